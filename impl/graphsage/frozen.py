"""Linear layers that no longer change, packed for the fastest products that the device has.

Only for answering: a packed layer has no gradient, and a change of the weights it was made from does not reach it.
What a row comes to must never depend on the rows beside it: they are other people's functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from graphsage.device import Device

_STEPS = 255  # of an unsigned 8-bit number
_ROWS = 32
_LEAST = 1e-12


class Frozen:
    """y_i = x W_i^T + b_i for x (N, C) without negative entries and layers with W_i (H, C) and b_i (H,) or none."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor | None]], device: Device) -> None:
        self.layers = [(weight.detach().contiguous(), None if b is None else b.detach()) for weight, b in layers]
        self.packed = [_Packed(weight, bias) for weight, bias in self.layers] if device.int8 else []

    def __call__(self, states: Tensor) -> list[Tensor]:
        if not self.packed:
            return [product(states, weight, bias) for weight, bias in self.layers]
        # Each row its own scale: one scale for all (Jacob et al. 2018, section 2) would let the company of a function
        # decide what it is rounded to.
        peak = states.amax(dim=1, keepdim=True).clamp_(min=_LEAST)  # (N, 1)
        shares = states / peak  # (N, C)
        return [layer(shares, peak) for layer in self.packed]


def product(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b for x (N, C) and W (H, C), without a gradient.

    On a CPU oneDNN compiles a product in bf16 for every number of rows that it meets, for half a millisecond. So rows
    are filled up to whole multiples, of which there are few.
    """
    if states.dtype is not torch.bfloat16 or states.device.type != "cpu":
        return functional.linear(states, weight, bias)
    rows = len(states)
    return functional.linear(functional.pad(states, (0, 0, 0, -rows % _ROWS)), weight, bias)[:rows]


class _Packed:
    """One layer in 8 bits, a scale for each row of W; sums are whole numbers, so their order does not matter."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        scales = weight.abs().amax(dim=1).double().clamp(min=_LEAST) / 127  # (H,)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*quantized tensor creation")  # torch is pinned
            rows = torch.quantize_per_channel(
                weight, scales, torch.zeros(len(weight), dtype=torch.long), 0, torch.qint8
            )
        self.weight = torch.ops.quantized.linear_prepack(rows, None)
        self.bias = bias

    def __call__(self, shares: Tensor, peak: Tensor) -> Tensor:
        """Rows (N, C) as shares of their peak (N, 1), which is the largest of each -> (N, H)."""
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            shares, 1 / _STEPS, 0, self.weight
        )
        return product.mul_(peak) if self.bias is None else torch.addcmul(self.bias, product, peak)
