"""How far a number can be trusted: intervals that respect groups, paired differences, and what would settle a row.

Pure functions of data. No interval is ever invented: where the data carry none, the answer is a reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from assay.errors import MetricError
from assay.metrics.metric import Floats, Metric, UndefinedMetricError, arrays, size, take

LEVEL = 0.95
FEW_GROUPS = 10
"""Below this many groups an interval holds for these groups at best, not for new ones."""
BINS = 60
"""More clusters than this are binned for metrics that are no means over items: each costs one evaluation."""
POWER = 0.85
"""Aimed at where 0.8 is promised: the error and the truth behind a stated number are themselves estimates."""
_TOO_MANY = 50
"""Times the present data: beyond it collecting more is no advice."""
_UNBOUNDED = "no group differs, and nothing bounds the metric there (a share of right answers has an interval)"

Formula = Callable[[Any, Any], float]


class Bounded(Protocol):
    """A bound of the specification: the numbers it is made of, and whether a closed interval keeps to it."""

    @property
    def numbers(self) -> tuple[float, ...]: ...

    def holds(self, low: float, high: float | None = None) -> bool: ...


@dataclass(frozen=True)
class Interval:
    """A confidence interval and where it comes from.

    Attributes:
        low, high: its ends, inside the metric's range.
        level: nominal two-sided coverage.
        method: in words, for the board.
        groups: independent units it was made of (clusters, calls, seeds).
        n: items.
        error: standard error on the metric's own scale; 0 for counted values.
        freedom: degrees of freedom of the t quantile; inf where none is used.
        range: smallest and largest possible value.
        floor: the part of `error` that more groups of this kind leave as it is (items, where the groups are seeds).
        clusters: groups of items, where `groups` counts seeds; 0 elsewhere.
    """

    low: float
    high: float
    level: float
    method: str
    groups: int
    n: int
    error: float = 0.0
    freedom: float = math.inf
    range: tuple[float, float] = (-math.inf, math.inf)
    floor: float = 0.0
    clusters: int = 0


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, or with the reason why there is none."""

    estimate: float
    interval: Interval | None
    reason: str = ""


# ------------------------------------------------------------------------------ intervals over items


def interval(
    metric: Metric | Formula,
    predictions: Any,
    gold: Any,
    groups: Sequence[Any] | NDArray[Any] | None,
    *,
    options: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> Interval | None:
    """The interval of `estimate`; None where the data carry none."""
    return estimate(metric, predictions, gold, groups, options=options, level=level).interval


def estimate(
    metric: Metric | Formula,
    predictions: Any,
    gold: Any,
    groups: Sequence[Any] | NDArray[Any] | None,
    *,
    options: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """Value and cluster-jackknife interval of a metric.

    Delete-one-group jackknife on a scale without bounds (logit for metrics in [0, 1]), variance of the type CV3
    (MacKinnon, Nielsen & Webb 2023, eq. 14), t quantile with G* - 1 degrees of freedom, G* = 1 / sum of squared
    group shares: the effective number of clusters (Carter, Schnepel & Steigerwald 2017, fully correlated groups).
    With G - 1 degrees it covers 92-94 % where group sizes differ, with CR2 and Satterthwaite degrees 97-98 %.
    A share of independent items that are right or wrong has Wilson's interval instead.

    Metrics that are means over items use every cluster; for others more than 60 clusters are first merged into 60
    of balanced size.

    Args:
        metric: a registered metric, or a function of predictions and gold (then no range is known).
        predictions, gold: N items each.
        groups: (N,) the unit that was sampled; None when every item is its own.
        options: of the metric.

    Raises:
        MetricError: when the metric has no value on all items; ValueError for groups of another length.
    """
    study = _Study(metric, predictions, gold, groups, options)
    value = study.value
    if isinstance(metric, Metric) and metric.counted:
        counted = Interval(value, value, level, "counted, not sampled", study.groups, study.n)
        return Estimate(value, counted)
    if (right := study.proportion()) is not None:
        low, high = wilson(right, study.n, level)
        reach = (high - low) / (2 * t_quantile((1 + level) / 2, math.inf))
        shown = Interval(
            low, high, level, f"Wilson over {study.n:,} items", study.n, study.n, reach, math.inf, (0.0, 1.0)
        )
        return Estimate(value, shown)
    if study.groups < 2:
        return Estimate(value, None, "one group only: how groups differ cannot be seen")
    try:
        replicates = study.replicates()
    except MetricError as error:
        return Estimate(value, None, f"the value hangs on single groups: {error}")
    found = _jackknife(value, replicates, study, study.range, level)
    return Estimate(value, found, "" if found else _UNBOUNDED)


def paired_difference(
    metric: Metric | Formula,
    predictions: Any,
    baseline: Any,
    gold: Any,
    groups: Sequence[Any] | NDArray[Any] | None,
    *,
    relative: float = 0.0,
    margin: float = 0.0,
    options: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """How much better the predictions are than a baseline's on the same items, beyond what is demanded.

    The difference is signed so that positive is better: model - baseline - |baseline| x relative - margin, and for
    metrics of which less is better baseline - model - |baseline| x relative - margin. Jackknife as in `estimate`, on
    the difference itself: groups that are hard for both cancel.

    Args:
        relative: demanded share of the baseline's value.
        margin: demanded absolute lead; negative for non-inferiority.
    """
    ours = _Study(metric, predictions, gold, groups, options)
    theirs = _Study(metric, baseline, gold, groups, options)
    less = isinstance(metric, Metric) and metric.direction == "lower"

    def lead(a: Any, b: Any) -> Any:
        return _lead(a, b, less, relative, margin)

    value = float(lead(ours.value, theirs.value))
    low, high = ours.range
    ends = (lead(high, low), lead(low, high)) if less else (lead(low, high), lead(high, low))
    if isinstance(metric, Metric) and metric.counted:
        return Estimate(value, Interval(value, value, level, "counted, not sampled", ours.groups, ours.n))
    if ours.groups < 2:
        return Estimate(value, None, "one group only: how groups differ cannot be seen")
    try:
        replicates = lead(ours.replicates(), theirs.replicates())
    except MetricError as error:
        return Estimate(value, None, f"the value hangs on single groups: {error}")
    bounds = (float(ends[0]), float(ends[1])) if np.isfinite(ends).all() else (-math.inf, math.inf)
    found = _jackknife(value, replicates, ours, bounds, level, linear=True)
    return Estimate(value, found, "" if found else _UNBOUNDED)


def seeded(
    metric: Metric | Formula,
    runs: Sequence[Any],
    gold: Any,
    groups: Sequence[Any] | NDArray[Any] | None,
    *,
    controls: Sequence[Any] | None = None,
    relative: float = 0.0,
    margin: float = 0.0,
    options: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """The mean value of several training runs on the same items, or its lead over a control trained with each seed.

    Seeds and groups of items are crossed random effects: the interval speaks of new seeds on new items. Its variance
    is that between seeds plus that between groups less their interaction, which both hold (Cameron, Gelbach & Miller
    2011, eq. 2.8, with jackknife in place of sandwich); degrees of freedom by Satterthwaite 1946. With one seed's luck
    in two trainings out of three, three seeds say little: that is the t quantile of two degrees, not a defect.

    Args:
        runs: predictions of each run for the same N items.
        controls: predictions of each run's control; then the paired lead of run over control is estimated.
        relative, margin: as in `paired_difference`.

    Returns:
        No interval for fewer than 3 runs, or where nothing differs.
    """
    less = isinstance(metric, Metric) and metric.direction == "lower"
    mine = [_Study(metric, run, gold, groups, options) for run in runs]
    theirs = [_Study(metric, run, gold, groups, options) for run in controls or ()]
    if theirs and len(theirs) != len(mine):
        raise ValueError(f"{len(theirs)} controls for {len(mine)} runs")

    def lead(a: Any, b: Any) -> Any:
        return _lead(a, b, less, relative, margin)

    values = np.array([a.value for a in mine])
    if theirs:
        values = lead(values, np.array([b.value for b in theirs]))
    middle = float(values.mean())
    if len(mine) < 3:
        return Estimate(middle, None, f"{len(mine)} seeds: fewer than 3 say nothing of the next one")
    count, study = len(mine), mine[0]
    between = float(values.var(ddof=1)) / count
    within = shared = 0.0
    if study.groups >= 2 and not (isinstance(metric, Metric) and metric.counted):
        try:
            table = np.stack([a.replicates() for a in mine])  # (seeds, groups)
            if theirs:
                table = lead(table, np.stack([b.replicates() for b in theirs]))
        except MetricError as error:
            return Estimate(middle, None, f"the value hangs on single groups: {error}")
        factor = (table.shape[1] - 1) / table.shape[1]
        within = factor * float(((table.mean(axis=0) - middle) ** 2).sum())
        alone = factor * float(((table - values[:, None]) ** 2).sum()) / count
        shared = max(0.0, (alone - within) / (count - 1))
    variance = max(between, within, between + within - shared)
    if variance <= 1e-24 * max(1.0, middle * middle):
        return Estimate(middle, None, "no seed differs: their spread cannot be seen")
    units = max(1 / float((study.shares**2).sum()) - 1, 1.0)
    freedom = max(variance**2 / (between**2 / (count - 1) + within**2 / units), 1.0)
    spread = math.sqrt(variance)
    reach = t_quantile((1 + level) / 2, freedom) * spread
    label = "groups" if study.groups < study.n else "items"
    method = f"crossed effects of {count} seeds and {study.groups:,} {label}, t({freedom:.3g})"
    low, high = (-math.inf, math.inf) if theirs else study.range
    ends = max(low, middle - reach), min(high, middle + reach)
    floor = min(math.sqrt(max(0.0, within - shared)), spread)
    return Estimate(
        middle,
        Interval(*ends, level, method, count, study.n, spread, freedom, (low, high), floor, study.groups),
    )


def _lead(a: Any, b: Any, less: bool, relative: float, margin: float) -> Any:
    """How much better `a` is than `b`, beyond what is demanded; positive is better."""
    demanded = abs(b) * relative + margin  # a share of a negative value would ask for less than the value itself
    return b - a - demanded if less else a - b - demanded


class _Study:
    """One metric on one set of items in clusters: its value, and its value without each cluster."""

    def __init__(
        self,
        metric: Metric | Formula,
        predictions: Any,
        gold: Any,
        groups: Sequence[Any] | NDArray[Any] | None,
        options: Mapping[str, Any] | None,
    ) -> None:
        self.metric, self.options = metric, dict(options or {})
        self.predictions, self.gold = arrays(predictions), arrays(gold)
        self.n = size(predictions)
        self.range = metric.range if isinstance(metric, Metric) else (-math.inf, math.inf)
        self.items = metric.items(self.predictions, self.gold, **self.options) if isinstance(metric, Metric) else None
        self.value = self._of(self.predictions, self.gold) if self.items is None else float(self.items.mean())
        self.codes, self.names = clusters(groups, self.n)
        self.groups = len(self.names)
        if self.items is None and self.groups > BINS:
            self.codes = _binned(self.codes, BINS)
        self.shares = np.bincount(self.codes) / self.n

    def _of(self, predictions: Any, gold: Any) -> float:
        if isinstance(self.metric, Metric):
            return self.metric.compute(predictions, gold, **self.options)
        return float(self.metric(predictions, gold, **self.options))

    def proportion(self) -> int | None:
        """How many items are right, where the value is a share of independent items that are right or wrong.

        None otherwise, and where all are the same: there Clopper and Pearson's end says more.
        """
        items, (low, high) = self.items, self.range
        if items is None or self.groups < self.n or low != 0 or high != 1:
            return None
        if not ((items == 0) | (items == 1)).all():
            return None
        right = int(items.sum())
        return right if 0 < right < self.n else None

    def replicates(self) -> Floats:
        """(G,) the value without each cluster. MetricError when the metric has none."""
        if self.items is not None:
            counts = np.bincount(self.codes)
            sums = np.bincount(self.codes, weights=self.items)
            without: Floats = (sums.sum() - sums) / (self.n - counts)
            return without
        if isinstance(self.metric, Metric) and self.metric.without is not None:
            return self.metric.without(self.predictions, self.gold, self.codes, **self.options)
        result = np.empty(len(self.shares))
        for code in range(len(result)):
            kept = np.flatnonzero(self.codes != code)
            try:
                result[code] = self._of(take(self.predictions, kept), take(self.gold, kept))
            except MetricError as error:
                name = f' "{self.names[code]}"' if len(result) == len(self.names) else ""
                raise UndefinedMetricError(f"without group{name} {error}") from None
        return result


def clusters(groups: Sequence[Any] | NDArray[Any] | None, n: int) -> tuple[NDArray[np.intp], list[Any]]:
    """(N,) index of each item's cluster and the clusters' names, in sorted order, so that item order is irrelevant.

    None stands for every item on its own.
    """
    if groups is None:
        return np.arange(n), list(range(n))
    given = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    if len(given) != n:
        raise ValueError(f"groups has {len(given):,} entries for {n:,} items")
    names = sorted(set(given), key=lambda name: (str(type(name)), name))
    place = {name: i for i, name in enumerate(names)}
    return np.fromiter((place[name] for name in given), dtype=np.intp, count=n), names


def _binned(codes: NDArray[np.intp], bins: int) -> NDArray[np.intp]:
    """Clusters merged into bins of nearly equal size: largest first into the emptiest bin, equals in a fixed random
    order (an alphabetic one could put siblings into one bin, or one of each kind into every bin).
    """
    counts = np.bincount(codes)
    mixed = np.random.default_rng(0).permutation(len(counts))
    order = mixed[np.argsort(-counts[mixed], kind="stable")]
    loads = np.zeros(bins)
    target = np.empty(len(counts), dtype=np.intp)
    for cluster in order:
        emptiest = int(loads.argmin())
        target[cluster] = emptiest
        loads[emptiest] += counts[cluster]
    merged: NDArray[np.intp] = target[codes]
    return merged


def _jackknife(
    value: float,
    replicates: Floats,
    study: _Study,
    bounds: tuple[float, float],
    level: float,
    linear: bool = False,
) -> Interval | None:
    """The interval from the values without each group; None when nothing varies and nothing bounds the metric."""
    groups, n, units = study.groups, study.n, len(replicates)
    low, high = bounds
    spread = (units - 1) / units
    error = math.sqrt(spread * float(((replicates - value) ** 2).sum()))
    if error <= 1e-12 * max(1.0, abs(value)):
        return _unvaried(value, bounds, groups, level, n)
    freedom = max(1 / float((study.shares**2).sum()) - 1, 1.0)
    reach = t_quantile((1 + level) / 2, freedom)
    merged = f"{units} bins of " if units < groups else ""
    label = "groups" if groups < n else "items"
    method = f"jackknife over {merged}{groups:,} {label}, t({freedom:.3g})"
    if linear or not (math.isfinite(low) or math.isfinite(high)):
        ends = value - reach * error, value + reach * error
        inside = (max(ends[0], low), min(ends[1], high))
        return Interval(*inside, level, method, groups, n, error, freedom, bounds)
    scale = _Scale(low, high)
    if value <= low or value >= high:
        # At the edge of its range there is no slope: add what a group not seen could still change.
        wide = _unvaried(value, bounds, groups, level, n)
        ends = max(low, value - reach * error), min(high, value + reach * error)
        if wide is not None:
            ends = min(ends[0], wide.low), max(ends[1], wide.high)
        return Interval(*ends, level, method + ", at the edge of the range", groups, n, error, freedom, bounds)
    if (replicates <= low).any() or (replicates >= high).any():
        stretched = error * scale.slope(value)
    else:
        moved = scale.out(replicates) - scale.out(np.array(value))
        stretched = math.sqrt(spread * float((moved**2).sum()))
    middle = float(scale.out(np.array(value)))
    ends = scale.back(middle - reach * stretched), scale.back(middle + reach * stretched)
    return Interval(*ends, level, method, groups, n, error, freedom, bounds)


class _Scale:
    """A monotone map of an open range onto the line: logit, log, or the mirrored log."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def out(self, x: Floats) -> Floats:
        result = np.zeros_like(x, dtype=np.float64)
        if math.isfinite(self.low):
            result = result + np.log(x - self.low)
        if math.isfinite(self.high):
            result = result - np.log(self.high - x)
        return result

    def slope(self, x: float) -> float:
        below = 1 / (x - self.low) if math.isfinite(self.low) else 0.0
        above = 1 / (self.high - x) if math.isfinite(self.high) else 0.0
        return below + above

    def back(self, y: float) -> float:
        if not math.isfinite(self.high):
            return self.low + math.exp(min(y, 700.0))
        if not math.isfinite(self.low):
            return self.high - math.exp(min(-y, 700.0))
        share = 1 / (1 + math.exp(-y)) if y > -700 else 0.0
        return self.low + (self.high - self.low) * share


def _unvaried(value: float, bounds: tuple[float, float], groups: int, level: float, n: int) -> Interval | None:
    """When all groups agree: a share q of groups not seen, q = 1 - (alpha/2)^(1/G), could lie at either end.

    For means of right and wrong answers that are all right this is Clopper & Pearson 1934 over groups.
    """
    low, high = bounds
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    seen = ((1 - level) / 2) ** (1 / groups)
    ends = low + (value - low) * seen, high - (high - value) * seen
    label = "groups" if groups < n else "items"
    method = f"no {label[:-1]} of {groups} differs: Clopper-Pearson over {label}"
    return Interval(*ends, level, method, groups, n, 0.0, math.inf, bounds)


# ------------------------------------------------------------------------------ intervals over other things


def t_quantile(p: float, freedom: float) -> float:
    """Quantile of Student's t; of the normal for infinite degrees of freedom."""
    from scipy import special

    return float(special.ndtri(p) if math.isinf(freedom) else special.stdtrit(freedom, p))


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of a share. Source: Wilson 1927; Brown, Cai & DasGupta 2001, eq. 4."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} is no share")
    z = t_quantile((1 + level) / 2, math.inf)
    share, penalty = successes / n, z * z / n
    middle = (share + penalty / 2) / (1 + penalty)
    reach = z / (1 + penalty) * math.sqrt(share * (1 - share) / n + penalty / (4 * n))
    low = 0.0 if successes == 0 else middle - reach
    return low, 1.0 if successes == n else middle + reach


def quantile_interval(values: Sequence[float] | Floats, q: float, level: float = LEVEL) -> Interval | None:
    """Interval of a quantile from order statistics: distribution-free (David & Nagaraja 2003, 7.1).

    The ranks are those of the binomial count of values below the quantile. Assumes independent values. None when
    there are too few values for one end.
    """
    from scipy import special

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n, alpha = len(ordered), (1 - level) / 2
    if n == 0 or not 0 < q < 1:
        raise ValueError(f"quantile {q} of {n} values")
    counts = np.arange(n + 1)
    below = special.bdtr(counts, n, q)  # P(count of values below the quantile <= k)
    # 1-based ranks l, u with P(B < l) <= alpha and P(B >= u) <= alpha
    smallest = int((below <= alpha).sum())
    largest = int(np.searchsorted(below, 1 - alpha) + 1)
    if smallest < 1 or largest > n:
        return None
    method = f"order statistics {smallest} and {largest} of {n} calls"
    ends = float(ordered[smallest - 1]), float(ordered[largest - 1])
    error = (ends[1] - ends[0]) / (2 * t_quantile(1 - alpha, math.inf))
    return Interval(*ends, level, method, n, n, error, math.inf, (0.0, math.inf))


def timing_interval(
    metric: Metric, seconds: Floats, sizes: Floats | None = None, level: float = LEVEL
) -> Interval | None:
    """Interval of a latency metric: order statistics for percentiles, else a jackknife over up to 30 runs of
    consecutive calls (a machine's slow phases last longer than a call).

    Args:
        seconds: (calls,) in the order in which they were made.
        sizes: (calls,) items that each call answered.
    """
    seconds = np.asarray(seconds, dtype=np.float64)
    if metric.quantile is not None:
        return quantile_interval(seconds * 1e3, metric.quantile, level)
    blocks = min(30, len(seconds))
    if blocks < 5:
        return None
    codes = np.arange(len(seconds)) * blocks // len(seconds)
    counts = np.ones(len(seconds)) if sizes is None else np.asarray(sizes, dtype=np.float64)

    def formula(rows: Mapping[str, Floats], _: Any) -> float:
        times, amounts = rows["seconds"], rows["sizes"]
        if metric.direction == "higher":
            return float(amounts.sum() / times.sum())
        return float(times.mean() * 1e3)

    rows = {"seconds": seconds, "sizes": counts}
    study = _Study(formula, rows, None, codes, None)
    return _jackknife(study.value, study.replicates(), study, metric.range, level)


# ------------------------------------------------------------------------------ what would settle it


def samples_needed(value: float, found: Interval, threshold: float, *, power: float = POWER) -> int | str:
    """How many more groups (of the present mean size) put the whole interval on one side of the threshold.

    The true value is taken to lie around the estimate as the interval says, not to be the estimate (assurance:
    O'Hagan, Stevens & Campbell 2005), and the new groups are to decide by themselves; the present ones come on top.
    So the stated number decides in at least 80 % of the undecided rows, as simulated: fewer of those whose truth
    lies within half a standard error of the threshold, more of the others. It promises no side.

    Args:
        value: the estimate.
        found: its interval.
        threshold: the number to get clear of.

    Returns:
        The number, at least 1; or a reason in words why no number will do.
    """
    if found.method.startswith("counted"):
        return "the value is counted, not sampled: more samples change nothing"
    if value == threshold:
        return "the value lies exactly on the bound: no number of samples is known to settle it"
    groups = found.groups
    if found.error == 0:
        low, high = found.range
        end = low if threshold < value else high
        if not math.isfinite(end) or (threshold - end) / (value - end) <= 0:
            return "no group differs: there is nothing to compute a number from"
        needed = math.log((1 - found.level) / 2) / math.log((threshold - end) / (value - end))
        return max(1, math.ceil(needed) - groups)
    gap = abs(value - threshold) / found.error
    if _decides(gap, groups, found, _TOO_MANY * groups) < power:
        return (
            f"the value lies {abs(value - threshold):.2g} from the bound, {gap:.2g} standard errors: "
            f"{_TOO_MANY} times the data would not settle it, a better or worse model does"
        )
    low_count, high_count = 0, 1
    while _decides(gap, groups, found, high_count) < power:
        low_count, high_count = high_count, high_count * 2
    while high_count - low_count > 1:
        middle = (low_count + high_count) // 2
        if _decides(gap, groups, found, middle) < power:
            low_count = middle
        else:
            high_count = middle
    return high_count


def _decides(gap: float, groups: int, found: Interval, more: int) -> float:
    """Probability that an interval from `more` new groups lies on one side; gap in present standard errors."""
    from scipy import special

    kept = (found.floor / found.error) ** 2
    ratio = math.sqrt((1 - kept) * groups / more + kept)
    freedom = max(found.freedom * (more / groups if kept < 0.5 else 1.0), 1.0)
    reach = t_quantile((1 + found.level) / 2, freedom) * ratio
    spread = math.sqrt(1 + ratio**2)

    def tail(x: float) -> float:
        """Of the t distribution: few groups leave the truth wide open."""
        return float(special.ndtr(x) if math.isinf(found.freedom) else special.stdtr(found.freedom, x))

    return tail((gap - reach) / spread) + tail((-gap - reach) / spread)


def needed(value: float, found: Interval, bound: Bounded) -> str:
    """What would settle an undecided row, in words: "about 1,240 more items"."""
    crossed = [number for number in bound.numbers if found.low <= number <= found.high] or list(bound.numbers)
    return needed_beyond(value, found, min(crossed, key=lambda number: abs(number - value)))


def needed_beyond(value: float, found: Interval, threshold: float = 0.0) -> str:
    """What would put the interval on one side of the threshold, in words; 0 for a lead over a baseline."""
    count = samples_needed(value, found, threshold)
    if found.clusters:
        if not isinstance(count, str):
            return f"about {count:,} more {'seed' if count == 1 else 'seeds'}"
        rest = math.sqrt(max(0.0, found.error**2 - found.floor**2))
        items = replace(found, groups=found.clusters, floor=rest, clusters=0)
        more = samples_needed(value, items, threshold)
        return count if isinstance(more, str) else f"more seeds would not; {_items(more, items)} would"
    return count if isinstance(count, str) else _items(count, found)


def _items(count: int, found: Interval) -> str:
    if "calls" in found.method:
        return f"about {count:,} more calls"
    items = math.ceil(count * found.n / found.groups)
    if found.groups == found.n:
        return f"about {items:,} more items"
    return f"about {count:,} more groups ({items:,} items)"
