"""How sure of itself a policy may be: one number that its logits are divided by, fitted on the dev split.

Replies of training are put in few ways, so a policy is all but certain of each word of them. Where a true reply is put
in another way, single pieces cost ten nats and more, under the speaker's persona as under anybody's, and what it costs
to name the wrong fact drowns in that. Temperature scaling (Guo et al. 2017) changes no greedy answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy

from persona import tokens
from persona.errors import PersonaError
from persona.tokens import IGNORED

TEMPERATURES: Final = tuple(2 ** (step / 10) for step in range(-10, 21))
"""Those that are tried, 1/2 to 4: the loss is so flat about its least that steps of 7 % miss nothing."""


@torch.inference_mode()
def temperature(model: Any, examples: Sequence[Mapping[str, list[int]]], batch: int = 64) -> float:
    """The one of TEMPERATURES under which the learnt pieces of `examples` (see `tokens.examples`) cost least.

    PersonaError where a cost is no number.
    """
    model.eval()
    device = next(model.parameters()).device
    costs = [0.0] * len(TEMPERATURES)
    for chosen in tokens.alike([one["input_ids"] for one in examples], batch):
        padded = tokens.padded([examples[place] for place in chosen])
        logits, labels = tokens.foretelling(model, {name: value.to(device) for name, value in padded.items()})
        there = labels[:, 1:] != IGNORED
        more = spent(logits[:, :-1][there].float(), labels[:, 1:][there])
        costs = [cost + one for cost, one in zip(costs, more, strict=True)]
    if not all(map(math.isfinite, costs)):
        raise PersonaError("the loss of the dev split is no number at any temperature: training has diverged")
    return TEMPERATURES[costs.index(min(costs))]


def spent(logits: Any, pieces: Any) -> list[float]:
    """Nats that (M,) pieces cost under (M, V) logits divided by each of TEMPERATURES."""
    return [float(cross_entropy(logits / each, pieces, reduction="sum")) for each in TEMPERATURES]
