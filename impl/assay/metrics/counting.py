"""Cases that hold or do not: how many of all there are, or what share of a sample.

A case is named, so that a reader sees which did not hold. Whether a case holds is for the acceptance test to find out
by looking; nothing here knows what was counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.metrics.metric import Floats, InvalidPredictionsError, Metric
from assay.metrics.registry import register


def holds(predictions: Any, gold: Any = None) -> Floats:
    """(N,) 1.0 where the case holds, else 0.0.

    Args:
        predictions: {"case": N names, "holds": N booleans}.
    """
    if not isinstance(predictions, Mapping) or set(predictions) != {"case", "holds"}:
        raise InvalidPredictionsError('cases are given as {"case": N names, "holds": N booleans}')
    values = [bool(x) if isinstance(x, bool | np.bool_) else None for x in predictions["holds"]]
    if None in values:
        raise InvalidPredictionsError(f'case {values.index(None)}: "holds" is True or False, nothing between')
    return np.array(values, dtype=np.float64)


def share(predictions: Any, gold: Any = None) -> float:
    """Share of the cases that hold, in [0, 1]."""
    return float(holds(predictions).mean())


def exceptions(predictions: Any, gold: Any = None) -> float:
    """Number of cases that do not hold."""
    cases = holds(predictions)
    return float(len(cases) - cases.sum())


def reduction(predictions: Any, gold: Any = None) -> float:
    """1 - all that is used after / all that was used before; below 0 where more is used.

    Args:
        predictions: {"before": N amounts, "after": N amounts} of one unit, measured in pairs.
    """
    if not isinstance(predictions, Mapping) or set(predictions) != {"before", "after"}:
        raise InvalidPredictionsError('amounts are given as {"before": N numbers, "after": N numbers}')
    before, after = (np.asarray(predictions[name], dtype=np.float64) for name in ("before", "after"))
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise InvalidPredictionsError(f"amounts come in pairs: {before.shape} before, {after.shape} after")
    if not (np.isfinite(before).all() and np.isfinite(after).all()) or (before <= 0).any() or (after <= 0).any():
        raise InvalidPredictionsError("an amount that was used is finite and positive")
    return float(1 - after.sum() / before.sum())


register(
    Metric(
        name="counting.reduction",
        direction="higher",
        range=(-math.inf, 1.0),
        source="1 - sum after / sum before, measured in pairs",
        formula=reduction,
        consumes="outputs",
        counted=True,
        reference="hand computation",
    )
)
register(
    Metric(
        name="counting.share",
        direction="none",
        range=(0.0, 1.0),
        source="cases that hold / cases, sampled: interval of Wilson 1927",
        per_item=holds,
        consumes="outputs",
        reference="scipy.stats.binomtest",
    )
)
register(
    Metric(
        name="counting.all",
        direction="higher",
        range=(0.0, 1.0),
        source="cases that hold / cases, of all cases there are",
        formula=share,
        consumes="outputs",
        counted=True,
        reference="hand computation",
    )
)
register(
    Metric(
        name="counting.exceptions",
        direction="lower",
        range=(0.0, math.inf),
        source="cases that do not hold",
        formula=exceptions,
        consumes="outputs",
        counted=True,
        reference="hand computation",
    )
)
