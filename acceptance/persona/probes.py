"""Training files and examination items, built from the world. True answers stay in the files of this side."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from acceptance import jsonl
from persona import prepare, world
from persona.world import WORLD

FILES = ("values.toml", "slots.toml", "talk.toml")
"""What the world is written in, beside its code."""


def sources() -> dict[str, Path]:
    """The world's own files: data sets decay when one changes."""
    folder = Path(world.__file__).parent
    return {name: folder / name for name in FILES}


def build_world(out: Path, seed: int, **rows: int) -> None:
    """The files of training, as `python -m persona prepare` writes them."""
    prepare.write_world(out, seed, rows)


def build_probes(
    out: Path,
    seed: int,
    consistency: int,
    abstain: int,
    traps: int,
    twins: int,
    ranking: int,
    likelihood: int,
    distractors: int,
    engagement: int,
    novel: int,
) -> None:
    """One file of test rows for each question; candidates.jsonl holds personas to tell apart, the own one somewhere."""

    def rows(name: str, count: int, kinds: Sequence[str], slices: Sequence[str] | None = None) -> None:
        jsonl.write(out / f"{name}.jsonl", (asdict(row) for row in world.generate("test", count, seed, kinds, slices)))

    rows("consistency", consistency, ["held"])
    rows("unheld", abstain, ["unheld"])
    rows("traps", traps, ["trap"])
    rows("engagement", engagement, ["held", "smalltalk"])
    rows("novel", novel, ["held"], ["novel"])
    jsonl.write(out / "twins.jsonl", map(asdict, world.twins("test", twins, seed, ["plain", "crossed"])))
    pairs = world.twins("test", ranking, seed + 1, ["plain", "crossed"])
    jsonl.write(out / "preferences.jsonl", (one for twin in pairs for one in preferences(asdict(twin))))
    jsonl.write(out / "candidates.jsonl", candidates(likelihood, distractors, seed))


def preferences(twin: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Both sides of a twin, as a reward model is asked: what is true of one is what the other rejects."""
    shared = {name: twin[name] for name in ("slice", "kind", "slot", "dialogue")}
    return [
        {
            **shared,
            "group": twin["record_id"],
            "persona": twin["personas"][side],
            "chosen": twin["responses"][side],
            "rejected": twin["responses"][1 - side],
        }
        for side in (0, 1)
    ]


STRANGERS = 100
"""Personas that distractors are drawn from, for each distractor."""


def candidates(count: int, distractors: int, seed: int) -> list[dict[str, Any]]:
    """Rows whose response states a fact, with personas of others that do not hold it; `own` is the speaker's place.

    Where a value can be said of several things, half of the others hold the same value of something else: a scorer that
    looks for words alone must not find the speaker.
    """
    strangers = world.generate("test", STRANGERS * distractors, seed + 3, ["held"])
    found = []
    for place, row in enumerate(world.generate("test", count, seed + 2, ["held"])):
        draw = random.Random(f"candidates {seed} {place}")
        assert row.probe.slot is not None
        false = [one for one in strangers if one.facts.get(row.probe.slot) != row.probe.answer]
        near = [one for one in false if row.probe.answer in one.facts.values()]
        far = [one for one in false if one.slice == row.slice and row.probe.answer not in one.facts.values()]
        chosen = draw.sample(near, min(len(near), distractors // 2))
        chosen += draw.sample(far, distractors - len(chosen))
        others = [one.persona for one in draw.sample(chosen, distractors)]
        own = draw.randrange(distractors + 1)
        found.append({**asdict(row), "personas": [*others[:own], row.persona, *others[own:]], "own": own})
    return found


@dataclass(frozen=True)
class Probes:
    """Rows of one question, as items, gold and columns."""

    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """What the subject is given."""
        return [{"persona": row["persona"], "dialogue": row["dialogue"]} for row in self.rows]

    @cached_property
    def slots(self) -> list[str]:
        return [row["probe"]["slot"] for row in self.rows]

    @cached_property
    def answers(self) -> list[str]:
        return [row["probe"]["answer"] for row in self.rows]

    @cached_property
    def responses(self) -> list[str]:
        """What is true, in words of the test side."""
        return [row["response"] for row in self.rows]

    @cached_property
    def given(self) -> list[str]:
        """Everything that the subject was told, as one text each."""
        return [" ".join([*row["persona"], *row["dialogue"]]) for row in self.rows]

    @cached_property
    def groups(self) -> list[str]:
        return self.column("group")

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]

    def of_probe(self, name: str) -> list[Any]:
        return [row["probe"][name] for row in self.rows]

    def guesses(self, seed: int = 0) -> list[str]:
        """Chance: some value that the slot can have on the row's side."""
        draw = random.Random(seed)
        sides = {"combination": ["train"], "value": ["test"], "novel": ["novel"]}
        return [
            draw.choice([v for side in sides[row["slice"]] for v in WORLD.values[WORLD.slots[slot].domain][side]])
            for row, slot in zip(self.rows, self.slots, strict=True)
        ]
