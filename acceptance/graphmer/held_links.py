"""The test triples of link prediction as queries, and their filtered ranks. Gold stays on this side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from acceptance.graphmer.link_baselines import World
from assay.subject import Dataset, Predictions

DEPTH = 200
"""Tails that an answer may hold; a right one further down counts as not found."""


@dataclass(frozen=True)
class Held:
    """The test triples as queries. What is true besides the tail asked for is left out of every ranking."""

    folder: Dataset
    public: Dataset
    baselines: Dataset

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return self.folder.rows("test.jsonl")

    @cached_property
    def world(self) -> World:
        return World(self.folder.folder)

    @cached_property
    def true(self) -> Mapping[tuple[str, str], set[str]]:
        return self.world.true(self.rows, self.folder.rows("examples.jsonl"))

    @cached_property
    def queries(self) -> list[dict[str, str]]:
        return [{"head": row["head"], "relation": row["relation"]} for row in self.rows]

    @property
    def gold(self) -> dict[str, Any]:
        return {"candidates": np.array(json.loads(self.baselines.path("candidates.json").read_text()))}

    def column(self, name: str) -> list[str]:
        return [row[name] for row in self.rows]

    @cached_property
    def types(self) -> dict[str, set[str]]:
        """Relation -> entities in its range."""
        return {name: {self.world.names[i] for i in chosen} for name, chosen in self.world.ranges.items()}

    def ranks(self, answers: Sequence[Sequence[tuple[str, float]]]) -> dict[str, np.ndarray]:
        """Filtered ranks of the tails asked for: ties both ways, infinite for what was not answered.

        A tail that ties with the last of a full answer could be anywhere below: it was not answered. So was one outside
        the relation's range, and such tails still take places.
        """
        low, high = np.full(len(self.rows), np.inf), np.full(len(self.rows), np.inf)
        for i, (row, answer) in enumerate(zip(self.rows, answers, strict=True)):
            scores = dict(answer)
            own = scores.get(row["tail"])
            cut = min(scores.values(), default=0.0)
            if own is None or (len(answer) >= DEPTH and own <= cut):
                continue
            others = self.true[row["head"], row["relation"]] - {row["tail"]}
            kept = np.array([score for name, score in scores.items() if name not in others])
            low[i], high[i] = 1 + (kept > own).sum(), (kept >= own).sum()
        return {"optimistic": low, "pessimistic": high}

    def compared(self, *without: Predictions) -> dict[str, Any]:
        """Name -> ranks of each cheap policy, and of the answers without the encoder."""
        told = json.loads(self.baselines.path("ranks.json").read_text())
        found: dict[str, Any] = {
            name: {side: np.array(values) for side, values in ranks.items()} for name, ranks in told.items()
        }
        for one in without:
            found["encoder-zeroed"] = self.ranks(one.values)
        return found
