"""One optimizer: hidden matrices by Muon, everything else by AdamW.

Muon (Jordan et al. 2024) moves a matrix by its momentum made orthogonal, so that no direction of it is left behind.
`torch.optim.Muon` takes matrices alone, and makes them orthogonal in bf16 everywhere, which a CPU without units for it
multiplies several times slower than fp32; a second optimizer beside it would be a second schedule and a second state to
resume.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, as published
_EPSILON = 1e-8


class Muon(torch.optim.Optimizer):
    """Groups of parameters, each with its own rate: those that say `orthogonal` by Muon, the others by AdamW.

    Args:
        groups: {"params": ..., "lr": rate, "orthogonal": whether they are matrices that Muon moves}, and whatever else
            is not to be as said here.
        dtype: in which matrices are made orthogonal: bf16, as published, is twice as fast where a device multiplies it.
    """

    _dtype = torch.float32  # of an optimizer that was copied: state and groups are all that travels

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._dtype = dtype
        common = {"weight_decay": weight_decay, "momentum": momentum, "betas": betas}
        # PyTorch's names, here and in the state: whoever reads an optimizer must know that decay is in no moment
        super().__init__(groups, {**common, "decoupled_weight_decay": True})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient; a closure is not taken."""
        assert closure is None
        for group in self.param_groups:
            learnt = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameter in learnt:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
            (self._muon if group["orthogonal"] else self._adam)(learnt, group)

    def _muon(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        moves: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            mean = state["momentum_buffer"]
            mean.lerp_(parameter.grad, 1 - group["momentum"])
            moves[tuple(parameter.shape)].append((parameter, parameter.grad.lerp(mean, group["momentum"])))  # Nesterov
        for (rows, columns), pairs in moves.items():
            rate = group["lr"] * max(1.0, rows / columns) ** 0.5
            found = orthogonal(torch.stack([one for _, one in pairs]), self._dtype)
            for (parameter, _), move in zip(pairs, found, strict=True):
                parameter.add_(move, alpha=-rate)

    def _adam(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if not state:
                state |= {"step": 0, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}
            state["step"] = made = int(state["step"]) + 1
            state["exp_avg"].lerp_(parameter.grad, 1 - first)
            state["exp_avg_sq"].mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
            spread = (state["exp_avg_sq"] / (1 - second**made)).sqrt_().add_(_EPSILON)
            parameter.addcdiv_(state["exp_avg"], spread, value=-group["lr"] / (1 - first**made))


def orthogonal(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(K, R, C) -> the same directions, all singular values near 1 (about 0.7 to 1.2), by Newton and Schulz."""
    a, b, c = _COEFFICIENTS
    found = (matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)).to(dtype)
    tall = found.shape[1] > found.shape[2]
    found = found.mT if tall else found
    for _ in range(_STEPS):
        gram = found @ found.mT
        found = a * found + (b * gram + c * gram @ gram) @ found
    return (found.mT if tall else found).to(matrices.dtype)
