"""Times of calls as the parent got them: mean, percentiles, throughput.

A percentile needs enough calls to exist: no P99 from 100 calls. Warm-up is left out before, nothing is trimmed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assay.metrics.metric import Floats, InvalidPredictionsError, Metric, UndefinedMetricError
from assay.metrics.registry import register

MINIMUM_CALLS = {0.5: 20, 0.95: 200, 0.99: 1000}
"""Calls that a percentile needs: ten observations beyond it."""


def _seconds(timings: Any, least: int, what: str) -> Floats:
    seconds = np.asarray(timings, dtype=np.float64)
    if seconds.ndim != 1 or not len(seconds):
        raise InvalidPredictionsError("no call was timed")
    if not np.isfinite(seconds).all() or (seconds <= 0).any():
        raise InvalidPredictionsError("a call took no finite positive time: the clock is not to be trusted")
    if len(seconds) < least:
        told = f"{what} needs at least {least:,} calls, {len(seconds):,} were timed"
        raise UndefinedMetricError(told, check="few-calls")
    return seconds


def mean_ms(timings: Any, sizes: Any = None) -> float:
    """Mean time of a call in milliseconds.

    Args:
        timings: (calls,) seconds.
        sizes: items that each call answered; not used.
    """
    return float(_seconds(timings, 20, "a mean").mean() * 1e3)


def percentile(q: float) -> Callable[..., float]:
    """The formula of one percentile: an observed time that at least a share `q` of the calls did not exceed."""

    def formula(timings: Any, sizes: Any = None) -> float:
        """Percentile in milliseconds of (calls,) seconds. UndefinedMetricError below the minimum number of calls."""
        seconds = _seconds(timings, MINIMUM_CALLS[q], f"P{q * 100:g}")
        return float(np.quantile(seconds, q, method="higher") * 1e3)

    return formula


def throughput(timings: Any, sizes: Any = None) -> float:
    """Items answered per second: all items / all seconds.

    Args:
        timings: (calls,) seconds.
        sizes: (calls,) items that each call answered; one each when left out.
    """
    seconds = _seconds(timings, 1, "throughput")
    counts = np.ones(len(seconds)) if sizes is None else np.asarray(sizes, dtype=np.float64)
    if counts.shape != seconds.shape or (counts <= 0).any():
        raise InvalidPredictionsError(f"{len(seconds):,} calls were timed, sizes of {len(counts):,} are given")
    return float(counts.sum() / seconds.sum())


def _pairs(predictions: Any) -> tuple[Floats, Floats]:
    if not isinstance(predictions, Mapping) or set(predictions) != {"with", "without"}:
        raise InvalidPredictionsError('pairs are given as {"with": N seconds, "without": N seconds}')
    return _seconds(predictions["with"], 5, "an overhead"), _seconds(predictions["without"], 5, "an overhead")


def overhead(predictions: Any, gold: Any = None) -> float:
    """By what share a thing lengthens what it is added to: all seconds with it / all seconds without it - 1.

    Args:
        predictions: {"with": N seconds, "without": N seconds}, taken in turns in one run, so that both see the same
            machine.
    """
    longer, plain = _pairs(predictions)
    return float(longer.sum() / plain.sum() - 1)


def overhead_ms(predictions: Any, gold: Any = None) -> Floats:
    """(N,) milliseconds that a thing adds, pair by pair; arguments as for `overhead`."""
    longer, plain = _pairs(predictions)
    return (longer - plain) * 1e3


register(
    Metric(
        name="latency.overhead",
        direction="lower",
        range=(-1.0, math.inf),
        source="all seconds with / all seconds without - 1, taken in turns",
        formula=overhead,
        consumes="outputs",
        reference="hand computation",
    )
)
register(
    Metric(
        name="latency.overhead_ms",
        direction="lower",
        range=(-math.inf, math.inf),
        source="mean of the paired differences",
        per_item=overhead_ms,
        consumes="outputs",
        unit="ms",
        reference="scipy.stats.ttest_rel",
    )
)
register(
    Metric(
        name="latency.mean_ms",
        direction="lower",
        range=(0.0, math.inf),
        source="arithmetic mean of the calls",
        formula=mean_ms,
        consumes="timing",
        unit="ms",
        reference="statistics.fmean",
    )
)
for _q in MINIMUM_CALLS:
    register(
        Metric(
            name=f"latency.p{_q * 100:g}_ms",
            direction="lower",
            range=(0.0, math.inf),
            source="order statistic, rounded up (Hyndman & Fan 1996 would interpolate)",
            formula=percentile(_q),
            consumes="timing",
            quantile=_q,
            unit="ms",
            reference="sorted(...)",
        )
    )
register(
    Metric(
        name="latency.throughput",
        direction="higher",
        range=(0.0, math.inf),
        source="all items / all seconds",
        formula=throughput,
        consumes="timing",
        unit="1/s",
        reference="hand computation",
    )
)
