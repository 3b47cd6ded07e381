"""A few trainings side by side: which learning rate, size, share of masked tokens does best on dev?

Each trial is a training like any other, kept in a folder of its own and taken up again after a kill. It must never
look at anything but dev losses.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphmer.config import ABOUT
from graphmer.encoder import WEIGHTS
from graphmer.train import train


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of values and the dev losses of its training, first and last."""

    values: Mapping[str, Any]
    folder: Path
    before: float
    after: float


def combinations(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of all keys, the last key fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def sweep(
    config: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], data: Mapping[str, Path], out: Path
) -> Iterator[Trial]:
    """Train with each combination in turn; a trial that is done already is read, not made again."""
    for values in combinations(grid):
        folder = out / ",".join(f"{key}={value}" for key, value in values.items())
        if not (folder / WEIGHTS).is_file():
            train({**config, **values}, data, folder)
        history = json.loads((folder / ABOUT).read_text(encoding="utf-8"))["history"]
        losses = [row["eval_loss"] for row in history if "eval_loss" in row]
        yield Trial(values, folder, losses[0], losses[-1])
