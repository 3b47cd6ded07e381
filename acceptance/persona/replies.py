"""The subject's replies, and what they are read as. The reading happens here, where the true answers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from acceptance.persona.probes import Probes
from assay.subject import Predictions, Subject

Reading = Callable[[str, str], str]
STAGE = "ppo"
"""The policy that is judged: the end of the chain."""
CONTROLS = ("blind", "shuffled")
"""Trained beside it with no persona in the prompt, and with somebody else's."""


def replies(persona: Subject, items: Sequence[Mapping[str, Any]], stage: str = STAGE) -> Predictions:
    """One reply an item; items hold persona and dialogue."""
    return persona.predictions("reply", items, stage=stage)


def texts(values: Any) -> list[str]:
    """The replies as texts."""
    return [each["text"] for each in values]


def read(observed: Predictions, probes: Probes, reading: Reading) -> Predictions:
    """What each reply says about the slot that it was asked for."""
    return observed.map(
        lambda values: [reading(reply, slot) for reply, slot in zip(texts(values), probes.slots, strict=True)]
    )


def samples(probes: Probes, found: Sequence[str]) -> list[dict[str, Any]]:
    """Twenty replies with what was asked and what is true, for a person to read."""
    return [
        {"persona": row["persona"], "dialogue": row["dialogue"], "reply": reply, "true": row["probe"]["answer"]}
        for row, reply in list(zip(probes.rows, found, strict=True))[:20]
    ]
