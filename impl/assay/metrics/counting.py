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
