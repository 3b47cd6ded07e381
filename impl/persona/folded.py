"""Low-rank adapters that are added to the weight before it is used, where that is less work than using them apart.

x (W + s B A)^T is x W^T + s (x A^T) B^T, up to rounding - which in half precision is coarser: the sum is rounded before
it is used, as the weights of full fine-tuning are. Forward, back to x and back to A and B, n places take
n (2 in out + 3 r (in + out)) products apart, with a weight of in x out and adapters of rank r, and 3 (n + r) in out
folded. With a rank of half the width, which a small model needs, that is five to three; a rank of 16 on a width of 576
stays apart.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor


def folds(rows: int, inputs: int, outputs: int, rank: int) -> bool:
    """Whether adding the adapters to the weight is less work, forward and back, than using them beside it."""
    apart = rows * (2 * inputs * outputs + 3 * rank * (inputs + outputs))
    return 3 * (rows + rank) * inputs * outputs < apart


class FoldedLinear(Linear):  # type: ignore[misc]
    """PEFT's layer, for `LoraConfig._register_custom_module`."""

    def forward(self, x: Tensor, *arguments: Any, **more: Any) -> Tensor:
        """(..., in) -> (..., out)."""
        name = self._folded(x) if not arguments and not more else None
        if name is None:
            return super().forward(x, *arguments, **more)  # type: ignore[no-any-return]
        base, (down, up) = self.get_base_layer(), (self.lora_A[name].weight, self.lora_B[name].weight)
        weight = torch.addmm(base.weight, up, down, alpha=self.scaling[name])
        return torch.nn.functional.linear(x, weight, base.bias)

    def _folded(self, x: Tensor) -> str | None:
        """The adapters to fold; None where there are none, or several, or they are not plain, or it does not pay.

        Nor are adapters in full precision folded into a layer that is in half of it.
        """
        if self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return None
        (name,) = self.active_adapters
        plain = name in self.lora_A and name not in self.lora_variant and not self.lora_bias[name]
        if not plain or isinstance(self.lora_dropout[name], torch.nn.Dropout):
            return None
        if self.get_base_layer().weight.dtype != self.lora_A[name].weight.dtype:
            return None
        rows = x.numel() // x.shape[-1]
        return name if folds(rows, self.in_features, self.out_features, self.r[name]) else None
