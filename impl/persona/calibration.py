"""How sure of itself a policy may be: one number that its logits are divided by, fitted on the dev split.

Replies of training are put in few ways, so a policy is all but certain of each of their words: of a true reply that is
put in another way a piece costs ten nats, under the speaker's persona as under anybody's, and what it costs to name the
wrong fact drowns in that. Temperature scaling (Guo et al. 2017) changes no greedy answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch.nn.functional import cross_entropy

from persona import tokens
from persona.tokens import IGNORED

TEMPERATURES: Final = tuple(2 ** (step / 10) for step in range(-10, 21))
"""Those that are tried, 1/2 to 4: the loss is so flat about its least that steps of 7 % miss nothing."""


@torch.inference_mode()
def temperature(model: Any, examples: Sequence[Mapping[str, list[int]]]) -> float:
    """The one of TEMPERATURES under which the learnt pieces of `examples` (see `tokens.examples`) cost least."""
    model.eval()
    device = next(model.parameters()).device
    costs = torch.zeros(len(TEMPERATURES), dtype=torch.float64)
    order = sorted(examples, key=lambda one: len(one["input_ids"]))
    for low in range(0, len(order), 64):
        batch = {name: value.to(device) for name, value in tokens.padded(order[low : low + 64]).items()}
        logits, labels = tokens.foretelling(model, batch)
        wanted = labels[:, 1:]
        there = wanted != IGNORED
        costs += torch.tensor(spent(logits[:, :-1][there].float(), wanted[there]), dtype=torch.float64)
    return TEMPERATURES[int(costs.argmin())]


def spent(logits: Any, pieces: Any) -> list[float]:
    """Nats that (M,) pieces cost under (M, V) logits divided by each of TEMPERATURES."""
    return [float(cross_entropy(logits / each, pieces, reduction="sum")) for each in TEMPERATURES]
