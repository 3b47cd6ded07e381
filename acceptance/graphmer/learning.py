"""Learning curves for the report: batches of chains, pairs and bags alternate, and one line for all would zigzag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.subject import Predictions, Subject

POINTS = 30


def curves(flight: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each term of the loss, means over stretches of the updates that have it; and the dev loss."""
    found = []
    for name, values in flight["components"].items():
        there = np.array([(at, value) for at, value in enumerate(values) if value is not None], float).reshape(-1, 2)
        parts = np.array_split(there, min(POINTS, len(there))) if len(there) else []
        means = [part.mean(axis=0) for part in parts]
        found.append({"label": name, "x": [float(x) for x, _ in means], "y": [float(y) for _, y in means]})
    dev = flight["evaluations"]
    found.append({"label": "dev", "x": [one["update"] for one in dev], "y": [one["loss"] for one in dev]})
    return found


def losses(variant: Subject) -> Predictions:
    """Terms of the dev loss before the first update and after the last, as `counting.reduction` reads them."""
    dev = variant.artifact.flight["evaluations"]
    before, after = dev[0]["components"], dev[-1]["components"]
    seen = variant.predictions("vectors", ["def read(path):", "def write(path):"])
    return seen.map(
        lambda _: {"before": [before[name] for name in before], "after": [after[name] for name in before]},
        items=list(before),
    )
