"""Do probabilities mean what they say: expected calibration error, Brier score, reliability curve.

A constant base rate is perfectly calibrated, so these rows support a discriminating one and never stand alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.metrics.classification import _binary, _binary_policies, probabilities
from assay.metrics.metric import Floats, InvalidOptionError, Metric, Policies
from assay.metrics.registry import register


@dataclass(frozen=True)
class Reliability:
    """The reliability curve of B equally wide bins; empty bins have NaN means.

    Attributes:
        edges: (B + 1,); confidence: (B,) mean probability; frequency: (B,) share of label 1; count: (B,) items.
    """

    edges: Floats
    confidence: Floats
    frequency: Floats
    count: NDArray[np.int64]


def reliability(predictions: Any, gold: Any, bins: int = 15) -> Reliability:
    """Probability against frequency (DeGroot & Fienberg 1983).

    Args:
        predictions: (N,) probabilities of label 1.
        gold: (N,) labels 0/1 or {"label": (N,)}.
        bins: number B of equally wide bins, (0, 1/B] ... with 0 itself in the first.
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise InvalidOptionError(f"bins = {bins!r} is not a whole number of at least 1")
    scores, labels = probabilities(predictions), _binary(gold).astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=scores, minlength=bins) / count
        frequency = np.bincount(place, weights=labels, minlength=bins) / count
    return Reliability(edges, confidence, frequency, count.astype(np.int64))


def ece(predictions: Any, gold: Any, *, bins: int = 15) -> float:
    """Expected calibration error: mean over items of |frequency - confidence| of their bin.

    In [0, 1], lower is better; upwards biased on few items. Source: Naeini et al. 2015, eq. 3; Guo et al. 2017.
    """
    curve = reliability(predictions, gold, bins)
    used = curve.count > 0
    gaps = np.abs(curve.frequency[used] - curve.confidence[used])
    return float((gaps * curve.count[used]).sum() / curve.count.sum())


def brier(predictions: Any, gold: Any) -> Floats:
    """(N,) squared error of the probability of label 1; the mean is the Brier score. Source: Brier 1950."""
    squared: Floats = (probabilities(predictions) - _binary(gold)) ** 2
    return squared


def _brier_chance(gold: Any) -> float:
    rate = float(_binary(gold).mean())
    return rate * (1 - rate)


def _policies(gold: Any, rng: np.random.Generator) -> Policies:
    return _binary_policies(gold, rng)


register(
    Metric(
        name="calibration.ece",
        direction="lower",
        range=(0.0, 1.0),
        source="Naeini et al. 2015, eq. 3; equally wide bins",
        formula=ece,
        policy_form=_policies,
        supporting=True,
        reference="hand computation; sklearn.calibration.calibration_curve",
    )
)
register(
    Metric(
        name="calibration.brier",
        direction="lower",
        range=(0.0, 1.0),
        source="Brier 1950",
        per_item=brier,
        chance_form=_brier_chance,
        policy_form=_policies,
        reference="sklearn.metrics.brier_score_loss",
    )
)
