"""A small ranker over features of candidates, and its twin without the encoder: the gap is what the encoder adds.

Gradient-boosted trees (LightGBM), stored as text. It must never be handed a feature that holds the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float32]
Table = tuple[NDArray[np.integer[Any]], Floats, NDArray[np.bool_]]
"""Candidates of a query, their features, and whether they are candidates without the encoder, too."""
Objective = Literal["lambdarank", "binary"]

_FULL: Final = "ranker.txt"
_ZEROED: Final = "ranker-without-encoder.txt"


@dataclass
class Ranker:
    """Scores rows of features. `neural` are the columns that come from the encoder."""

    full: lightgbm.Booster
    zeroed: lightgbm.Booster
    neural: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        features: Floats,
        labels: NDArray[Any],
        sizes: Sequence[int],
        neural: Sequence[int],
        *,
        objective: Objective = "lambdarank",
        rounds: int = 150,
        leaves: int = 31,
        monotone: Mapping[int, int] | None = None,
        cheap: NDArray[np.bool_] | None = None,
        threads: int = 1,
        seed: int = 0,
    ) -> Ranker:
        """Fit both rankers.

        Args:
            features: (N, F) rows of all queries, one after the other.
            labels: (N,) 1 for what is right.
            sizes: rows of each query; they sum to N.
            neural: columns that the encoder fills. The twin is fitted with zeros there; where there are none, there is
                no other.
            cheap: (N,) rows that are there without the encoder, too; the twin, asked about no others, is fitted on
                these alone. All of them, where it is not said.
            monotone: column -> 1 where more of it can only speak for a row, -1 where only against.
        """
        import lightgbm

        parameters = {
            "objective": objective,
            "learning_rate": 0.1,
            "num_leaves": leaves,
            "min_data_in_leaf": 40,
            "feature_fraction": 0.8,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "lambdarank_truncation_level": 20,
            "num_threads": threads,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if monotone:
            parameters["monotone_constraints"] = [monotone.get(i, 0) for i in range(features.shape[1])]

        def train(table: Floats, kept: NDArray[np.bool_]) -> lightgbm.Booster:
            query = np.repeat(np.arange(len(sizes)), sizes)
            if objective == "lambdarank":  # what holds nothing right teaches no order
                kept = kept & (np.bincount(query, weights=labels * kept, minlength=len(sizes)) > 0)[query]
            groups = np.bincount(query[kept], minlength=len(sizes))
            ranked = {"group": groups[groups > 0]} if objective == "lambdarank" else {}
            data = lightgbm.Dataset(table[kept], labels[kept], **ranked)
            return lightgbm.train(parameters, data, num_boost_round=rounds)

        every = np.ones(len(features), dtype=bool)
        twin = train(_without(features, neural), every if cheap is None else cheap)
        return cls(train(features, every) if len(neural) else twin, twin, tuple(neural))

    def scores(self, features: Floats, encoder: bool = True) -> NDArray[np.float64]:
        """(N,) scores; without the encoder, those of the twin."""
        if not len(features):
            return np.zeros(0)
        import torch

        table = features if encoder else _without(features, self.neural)
        trees = self.full if encoder else self.zeroed
        return np.asarray(trees.predict(table, num_threads=torch.get_num_threads()))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.full.save_model(str(folder / _FULL))
        self.zeroed.save_model(str(folder / _ZEROED))
        (folder / "neural.txt").write_text(" ".join(map(str, self.neural)))

    @classmethod
    def load(cls, folder: Path) -> Ranker:
        import lightgbm

        neural = tuple(int(one) for one in (folder / "neural.txt").read_text().split())
        return cls(
            lightgbm.Booster(model_file=str(folder / _FULL)),
            lightgbm.Booster(model_file=str(folder / _ZEROED)),
            neural,
        )


def _without(features: Floats, neural: Sequence[int]) -> Floats:
    blank = features.copy()
    blank[:, list(neural)] = 0.0
    return blank
