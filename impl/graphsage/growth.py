"""Training starts with a part of the units, at a part of the cost; the network then grows and stays the same function.

Net2WiderNet (Chen et al. 2016, arXiv:1511.05641): every unit is repeated, and what reads it shares its weight out among
the copies, at random, so that they do not stay copies. Means, maxima and layer norms of repeated units are unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def assign(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give the parameters of `model` these values, whose shapes may be others; the parameters stay the same objects."""
    for name, parameter in model.named_parameters():
        parameter.data = weights[name].detach().clone()
        parameter.grad = None
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.normalized_shape = tuple(module.weight.shape)


def widened(weights: Mapping[str, Tensor], like: Mapping[str, torch.Size], times: int, seed: int) -> dict[str, Tensor]:
    """The weights of the network in which each hidden unit stands `times` times, with the shapes `like`.

    Vectors are per unit, matrices (units, inputs). Linear in the weights: means of weights grow into means. Where
    inputs are not all repeated, the others come last.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, value in weights.items():
        wide = value
        for dimension, (size, before) in enumerate(zip(like[name], value.shape, strict=True)):
            if size == before:
                continue
            repeated = (size - before) // (times - 1)
            units = torch.arange(before, device=value.device)
            copies = torch.where(units < repeated, times, 1)
            wide = wide.repeat_interleave(copies, dim=dimension)
            if dimension == 1:
                share = torch.randn(len(wide), repeated, times, generator=generator)
                share = (1 + share - share.mean(dim=2, keepdim=True)) / times  # (units, inputs, copies), sum 1
                wide[:, : repeated * times] *= share.flatten(1).to(wide)
        if wide.shape != like[name]:
            raise ValueError(f"{name}: {tuple(value.shape)} does not grow {times} times into {tuple(like[name])}")
        found[name] = wide.contiguous()
    return found
