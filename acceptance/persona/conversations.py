"""Turns of Synthetic-Persona-Chat as training files and examination items, by persona cluster."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acceptance import jsonl
from persona import conversations
from persona.conversations import SOURCE, Row

FIRST_PERSON = re.compile(r"\b(?:i|i'm|i've|my|me)\b", re.IGNORECASE)
SHORTEST = 4
"""Words that an examined turn has at least: "Me too!" is anybody's."""


def files() -> list[Path]:
    """The files of the set under ASSAY_DATA; none where it is not there."""
    root = os.environ.get("ASSAY_DATA")
    return sorted(Path(root).glob(SOURCE.local)) if root else []


def build_conversations(out: Path, data: list[str], seed: int, turns: int, distractors: int) -> None:
    """train.jsonl, dev.jsonl and test.jsonl; candidates.jsonl: test turns with personas of other clusters."""
    sides = conversations.split([one for path in data for one in conversations.read(Path(path))])
    for side, rows in sides.items():
        jsonl.write(out / f"{side}.jsonl", map(asdict, rows))
    jsonl.write(out / "candidates.jsonl", candidates(sides["test"], turns, distractors, seed))


def candidates(rows: list[Row], turns: int, distractors: int, seed: int) -> Iterable[dict[str, Any]]:
    """Rows with `personas`, the own one at place `own`, and others of as many different clusters as there are."""
    draw = random.Random(seed)
    long = [row for row in rows if len(row.response.split()) >= SHORTEST]
    personas = sorted({(row.group, row.persona) for row in rows})
    for row in draw.sample(long, min(turns, len(long))):
        by_cluster: dict[str, tuple[str, ...]] = {}
        for group, persona in draw.sample(personas, len(personas)):
            if group != row.group:
                by_cluster.setdefault(group, persona)
        others = draw.sample(list(by_cluster.values()), distractors)
        own = draw.randrange(distractors + 1)
        person = "first" if FIRST_PERSON.search(row.response) else "other"
        yield {**asdict(row), "person": person, "personas": [*others[:own], row.persona, *others[own:]], "own": own}
