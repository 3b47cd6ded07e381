"""Linear layers that no longer change, packed for the fastest products that the device has.

Only for answering: a packed layer has no gradient, and a change of the weights it was made from does not reach it.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.nn import functional

from graphsage.device import Device


class Frozen:
    """y = x W^T + b for x (N, C), W (H, C), b (H,)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, device: Device) -> None:
        self.weight, self.bias = weight.detach().contiguous(), None if bias is None else bias.detach()
        self.packed = None
        if device.int8:
            # one scale a row of W; the scale of x is taken from each x (Jacob et al. 2018, section 2)
            scales = self.weight.abs().amax(dim=1).double().clamp(min=1e-12) / 127
            zeros = torch.zeros(len(scales), dtype=torch.long)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*quantized tensor creation")  # torch is pinned
                rows = torch.quantize_per_channel(self.weight, scales, zeros, 0, torch.qint8)
            self.packed = torch.ops.quantized.linear_prepack(rows, self.bias)

    def __call__(self, states: Tensor) -> Tensor:
        if self.packed is None:
            return functional.linear(states, self.weight, self.bias)
        return torch.ops.quantized.linear_dynamic(states, self.packed)  # type: ignore[no-any-return]
