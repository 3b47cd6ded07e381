"""Attention in half precision on a CPU: three products, where torch's fused kernel takes up to four times as long to
learn (it is made for fp32, and slower in bf16 than there: benchmarks/test_persona_speed.py).

Everywhere else it is the fused one. Both see the same places and say the same.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME: Final = "products"
"""What a model's `attn_implementation` is called."""

_UNSEEN: Final = -1e4  # added to a logit: finite, so that a row that sees nothing is no division by zero


def attend(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scaling: float | None = None) -> Tensor:
    """(N, H, R, D) softmax(q k^T scaling) v.

    Args:
        query: (N, H, R, D).
        key, value: (N, K, T, D); each of the K heads serves H / K of the queries' heads.
        seen: bool, broadcast to (N, 1, R, T): which place looks at which.
        scaling: of the logits, D^-1/2 by default.
    """
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    if device != "cpu" or dtype == torch.float32:
        grouped = key.shape[1] != query.shape[1]
        return scaled_dot_product_attention(query, key, value, attn_mask=seen, scale=scaling, enable_gqa=grouped)
    rows, heads, places, size = query.shape
    key, value = (each.repeat_interleave(heads // each.shape[1], 1) for each in (key, value))
    hidden = torch.zeros((), dtype=dtype).where(seen, _UNSEEN).expand(rows, heads, places, -1).flatten(0, 1)
    with torch.autocast(device, enabled=False):  # which would take the softmax in fp32
        query, key, value = (each.flatten(0, 1).to(dtype) for each in (query, key, value))
        logits = torch.baddbmm(hidden, query, key.mT, alpha=scaling or size**-0.5)  # (N H, R, T)
        return torch.bmm(logits.softmax(-1), value).view(rows, heads, places, size)


def _forward(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """What a block of transformers calls: (N, H, R, D) queries -> (N, R, H, D)."""
    if attention_mask is None or more.get("dropout"):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)  # type: ignore[no-any-return]
    found = attend(query, key, value, attention_mask, more.get("scaling"))
    return found.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
