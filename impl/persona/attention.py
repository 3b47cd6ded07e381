"""Attention of a model that is built here: in full precision on a CPU, whatever the layers around it are in.

torch's fused kernel is made for fp32 there: to learn, bf16 takes it 1.3 times as long at 256 places, 2.5 times at 133
(benchmarks/test_persona_speed.py), and rounds more. On other devices it is what it would be.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME: Final = "full_precision"
"""What a model's `attn_implementation` is called."""


def _forward(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any) -> Any:
    """What a block of transformers calls: (N, H, R, D) queries -> (N, R, H, D)."""
    if query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, mask, **more)
    with torch.autocast("cpu", enabled=False):
        found, weights = sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **more)
    return found.to(query.dtype), weights


AttentionInterface.register(NAME, _forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
