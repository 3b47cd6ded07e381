"""Errors of predicted numbers: mean absolute error, root mean squared error, and the share of variance explained.

The best constant knows nothing: its error is the chance level, and R squared is measured from it. Gold that does not
vary has no R squared, and one number per item is asked for: a mean over outputs of different units says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import MetricError
from assay.metrics.metric import (
    Floats,
    InvalidPredictionsError,
    Metric,
    Policies,
    UndefinedMetricError,
    real,
    reshuffled,
)
from assay.metrics.registry import register

FORMATS = """Formats of predictions and gold (N items)

predictions                              gold
(N,) numbers, or {"values": (N,)}        (N,) numbers, or {"value": (N,)}
"""

_ROUNDING = 1e-12  # of all spread: what is left of a sum from which as much was taken away


def mae(predictions: Any, gold: Any) -> Floats:
    """(N,) absolute errors, of which the metric is the mean.

    In the unit of gold, 0 is best. InvalidPredictionsError where a prediction is not one finite number. Formats: see
    `FORMATS`.
    """
    return np.abs(_errors(predictions, gold))


def rmse(predictions: Any, gold: Any) -> float:
    """Root of the mean squared error, in the unit of gold. Formats: see `FORMATS`."""
    return math.sqrt(float(np.mean(_errors(predictions, gold) ** 2)))


def r2(predictions: Any, gold: Any) -> float:
    """1 - squared errors / squared deviations of gold from its own mean. Formats: see `FORMATS`.

    In (-inf, 1]; 0 is the best constant. UndefinedMetricError where gold does not vary.
    """
    truth = _truth(gold)
    if truth.min() == truth.max():
        raise _unvaried(len(truth))
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float((_errors(predictions, gold) ** 2).sum()) / spread


def rmse_without(predictions: Any, gold: Any, codes: NDArray[np.intp]) -> Floats:
    """(G,) `rmse` without the items of each code."""
    left = len(codes) - np.bincount(codes)
    result: Floats = np.sqrt(_outside(_errors(predictions, gold) ** 2, codes) / left)
    return result


def r2_without(predictions: Any, gold: Any, codes: NDArray[np.intp]) -> Floats:
    """(G,) `r2` without the items of each code. UndefinedMetricError where the rest of gold does not vary."""
    truth = _truth(gold)
    centred = truth - truth.mean()  # else the squares of large numbers would cancel
    left = len(codes) - np.bincount(codes)
    spread = _outside(centred**2, codes) - _outside(centred, codes) ** 2 / left
    for code in np.flatnonzero(spread <= _ROUNDING * (centred**2).sum()):
        raise _unvaried(int(left[code]))
    result: Floats = 1 - _outside(_errors(predictions, gold) ** 2, codes) / spread
    return result


def _outside(values: Floats, codes: NDArray[np.intp]) -> Floats:
    """(N,) -> (G,) the sum of all values but those of each code."""
    return np.asarray(values.sum() - np.bincount(codes, weights=values), dtype=np.float64)


def _unvaried(count: int) -> UndefinedMetricError:
    return UndefinedMetricError(f"all {count:,} gold numbers are the same: there is no variance to explain")


def _errors(predictions: Any, gold: Any) -> Floats:
    """(N,) prediction - gold."""
    given = predictions["values"] if isinstance(predictions, Mapping) else predictions
    values = real(given, "predictions")
    if values.ndim != 1:
        raise InvalidPredictionsError(f"predictions have shape {values.shape}, one number per item is needed")
    return values - _truth(gold)


def _truth(gold: Any) -> Floats:
    """(N,) the numbers to come near to, given plainly or under "value"."""
    try:
        truth = real(gold["value"] if isinstance(gold, Mapping) else gold, "gold numbers")
    except InvalidPredictionsError as error:
        raise MetricError(str(error)) from None
    if truth.ndim != 1:
        raise MetricError(f"gold numbers have shape {truth.shape}, one number per item is needed")
    return truth


def _policies(gold: Any, rng: np.random.Generator, middle: float) -> Policies:
    truth = _truth(gold)
    low, high = float(truth.min()), float(truth.max())
    return {
        "oracle": truth,
        "inverted": np.where(truth - low > high - truth, low, high),  # no number of the range is farther off
        "shuffled": truth[reshuffled(truth, rng)],
        "constant": np.full(len(truth), middle),
        "random": rng.uniform(low, high, len(truth)),
    }


def _around_the_median(gold: Any, rng: np.random.Generator) -> Policies:
    return _policies(gold, rng, float(np.median(_truth(gold))))


def _around_the_mean(gold: Any, rng: np.random.Generator) -> Policies:
    return _policies(gold, rng, float(_truth(gold).mean()))


register(
    Metric(
        name="regression.mae",
        direction="lower",
        range=(0.0, math.inf),
        source="mean absolute error, in the unit of gold; chance = the median of gold",
        per_item=mae,
        chance_form=lambda gold: float(np.abs(_truth(gold) - np.median(_truth(gold))).mean()),
        policy_form=_around_the_median,
        reference="sklearn.metrics.mean_absolute_error",
    )
)
register(
    Metric(
        name="regression.rmse",
        direction="lower",
        range=(0.0, math.inf),
        source="root of the mean squared error, in the unit of gold; chance = the mean of gold",
        formula=rmse,
        chance_form=lambda gold: float(_truth(gold).std()),
        policy_form=_around_the_mean,
        without=rmse_without,
        reference="sklearn.metrics.root_mean_squared_error",
    )
)
register(
    Metric(
        name="regression.r2",
        direction="higher",
        range=(-math.inf, 1.0),
        source="coefficient of determination; 0 = the mean of gold",
        formula=r2,
        chance_form=0.0,
        policy_form=_around_the_mean,
        without=r2_without,
        reference="sklearn.metrics.r2_score",
    )
)
