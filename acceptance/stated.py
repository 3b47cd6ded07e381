"""Probabilities that the subject states, held against what was true: a reliability diagram in the report's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assay.metrics.calibration import reliability


def diagram(scores: Sequence[float], labels: Sequence[int]) -> dict[str, list[Any]]:
    """Stated confidence and share of what was true, in ten bins; empty ones hold nothing."""
    found = reliability(np.asarray(scores), np.asarray(labels), bins=10)
    empty = found.count == 0
    return {
        "confidence": [None if gone else float(one) for one, gone in zip(found.confidence, empty, strict=True)],
        "accuracy": [None if gone else float(one) for one, gone in zip(found.frequency, empty, strict=True)],
        "count": found.count.tolist(),
    }
