"""Is the metric alive on these very items, and the bound neither trivial nor out of reach?

Policies that know everything and policies that know nothing are scored on the gold at hand before a threshold counts.
Deterministic; never sees what the subject predicted, except to ask whether there is anything in it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from assay.errors import MetricError
from assay.metrics.metric import InvalidPredictionsError, Metric, has_nan, size

UNINFORMED = ("shuffled", "constant", "random")
GUESSES = ("place",)
"""Policies that know one thing about all of gold and nothing about an item; a metric has them where gold shows it."""
LEAST_RECORDS = 8
"""Sampled training records below which nothing is said of their variety."""

LEAST_ITEMS = 20
"""Items below which policies cannot be told apart from luck."""
_EQUAL = 1e-9
_AGREEMENT = 1e-6
_TAIL = 0.025
_SIGN = {"higher": 1.0, "lower": -1.0, "none": 0.0}


class Bounded(Protocol):
    """A bound of the specification: the numbers it is made of, and whether a value keeps to it."""

    @property
    def numbers(self) -> tuple[float, ...]: ...

    def holds(self, low: float, high: float | None = None) -> bool: ...


@dataclass(frozen=True)
class Check:
    """One doubt, and whether it was dispelled."""

    name: str
    ok: bool
    detail: str


def examine(metric: Metric, gold: Any, options: Mapping[str, Any], bound: Bounded | None = None) -> list[Check]:
    """Score the policies on the gold and say what that proves about metric and bound.

    Args:
        metric: of predictions or outputs; for others there is nothing to examine.
        gold: N items in the metric's format.
        options: as in the specification.
        bound: what is demanded; None for reported rows.

    Returns:
        items (enough of them), liveness (the oracle beats the uninformed, they are not worse than the inverted, and
        the value moves at all), refuses-nan, refuses-empty, triviality (no uninformed policy reaches the bound, nor
        a guess), reachability (the oracle does), decidable (a perfect score on so few items would), ties (lifting wrong
        answers to the right one's level costs), every-query and gold-absent (leaving answers or the right ones out
        costs), reference (an independent implementation agrees).
    """
    if metric.consumes != "predictions" or metric.policy_form is None:
        return []
    n = size(gold)
    enough = Check("items", n >= LEAST_ITEMS, "" if n >= LEAST_ITEMS else f"{n} items, {LEAST_ITEMS} are needed")
    try:
        policies = metric.policies(gold, np.random.default_rng(0), **options)
    except MetricError as error:
        return [enough, Check("liveness", False, f"no policy can be built on this gold: {error}")]
    values: dict[str, float] = {}
    for name in ("oracle", "inverted", *UNINFORMED):
        try:
            values[name] = metric.compute(policies[name], gold, **options)
        except MetricError as error:
            return [enough, Check("liveness", False, f"the {name} policy cannot be scored: {error}")]
    guesses = {name: metric.compute(policies[name], gold, **options) for name in GUESSES if name in policies}
    checks = [
        enough,
        _alive(metric, values),
        _refuses(metric, "nan", policies["nan"], gold, options),
        _refuses(metric, "empty", policies["empty"], gold, options),
    ]
    if metric.direction != "none" and not metric.supporting and _gap(metric, values, "constant") > _EQUAL:
        checks += _probes(metric, policies["oracle"], values["oracle"], gold, options)
    if metric.independent is not None:
        checks.append(_agrees(metric, policies, gold, options))
    if bound is not None:
        checks += [_nontrivial(metric, values | guesses, gold, options, bound), _reachable(metric, values, n, bound)]
        checks += _decidable(metric, n, bound)
    return checks


def training_alive(record: Mapping[str, Any]) -> list[Check]:
    """Is there anything in the training inputs that the flight recorder sampled? Nothing where none carried tokens."""
    samples = dict(reversed([(str(one), tuple(ids)) for one, ids in record.get("token_ids", {}).get("samples", [])]))
    if len(samples) < LEAST_RECORDS:
        return []
    rows = list(samples.values())
    empty, distinct = sum(not one for one in rows), len(set(rows))
    told = f"{empty} of {len(rows)} training records came out of the loader empty"
    same = f"{len(rows)} training records came out of the loader as {distinct} different ones"
    return [
        Check("inputs-filled", empty * 2 <= len(rows), told if empty else ""),
        Check("unique-inputs", distinct * 5 > len(rows), same if distinct < len(rows) else ""),
    ]


def predictions_alive(predictions: Any, n: int) -> list[Check]:
    """Is there anything in what was predicted: the right number of answers, all finite, not one and the same?

    Args:
        predictions: as the subject gave them (list, array, or a mapping of these).
        n: number of items that were asked about.
    """
    try:
        answered = size(predictions)
        length = Check("length", answered == n, "" if answered == n else f"{answered:,} answers to {n:,} items")
    except MetricError as error:
        length = Check("length", False, str(error))
    if not length.ok:
        return [length]
    bad = _not_finite(predictions)
    finite = Check("finite", not bad, bad)
    return [length, finite, _varied(predictions, n)] if finite.ok else [length, finite]


def _alive(metric: Metric, values: Mapping[str, float]) -> Check:
    told = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    if max(values.values()) - min(values.values()) <= _EQUAL:
        return Check("liveness", False, f"every policy scores the same: {told}")
    sign = _SIGN[metric.direction]
    if sign == 0.0:
        return Check("liveness", True, told)
    uninformed = [name for name in UNINFORMED if not (metric.supporting and name != "random")]
    oracle, inverted = sign * values["oracle"], sign * values["inverted"]
    for name in uninformed:
        if oracle - sign * values[name] <= _EQUAL:
            return Check("liveness", False, f"the oracle is no better than the {name} policy: {told}")
    if oracle - inverted <= _EQUAL:
        return Check("liveness", False, f"the oracle is no better than its inversion: {told}")
    for name in uninformed:
        if inverted - sign * values[name] > _EQUAL:
            return Check("liveness", False, f"the inverted oracle beats the {name} policy: {told}")
    return Check("liveness", True, told)


def _refuses(metric: Metric, name: str, predictions: Any, gold: Any, options: Mapping[str, Any]) -> Check:
    try:
        value = metric.compute(predictions, gold, **options)
    except InvalidPredictionsError:
        return Check(f"refuses-{name}", True, "")
    except Exception as error:
        return Check(f"refuses-{name}", False, f"{name} predictions raise {type(error).__name__}: {error}")
    return Check(f"refuses-{name}", False, f"{name} predictions score {value:.4g}")


def _gap(metric: Metric, values: Mapping[str, float], name: str) -> float:
    """By how much the oracle is better than a policy."""
    return _SIGN[metric.direction] * (values["oracle"] - values[name])


def _probes(metric: Metric, oracle: Any, best: float, gold: Any, options: Mapping[str, Any]) -> list[Check]:
    """The oracle spoilt in one way at a time: each must cost something."""
    found = []
    for name, spoil, what in (
        ("ties", _tied, "wrong answers tied with the right ones"),
        ("every-query", _half_empty, "half of the answers left out"),
        ("gold-absent", _gutted, "every right answer left out"),
    ):
        spoilt = spoil(oracle)
        if spoilt is None:
            continue
        try:
            value = metric.compute(spoilt, gold, **options)
        except MetricError:
            found.append(Check(name, True, "refused"))
            continue
        except Exception as error:
            found.append(Check(name, False, f"{what} raise {type(error).__name__}: {error}"))
            continue
        ok = _SIGN[metric.direction] * (best - value) > _EQUAL
        found.append(Check(name, ok, "" if ok else f"{what} score {value:.4g}, the oracle {best:.4g}"))
    return found


def _tied(predictions: Any) -> Any:
    """All but one of the lower scores lifted to the highest: what counts ties as hits calls this perfect."""
    if isinstance(predictions, Mapping):
        if set(predictions) == {"scores"}:
            return {"scores": _tied(predictions["scores"])}
        return None
    if isinstance(predictions, np.ndarray) and predictions.dtype.kind == "f" and predictions.size:
        table = np.array(predictions, dtype=float)
        rows = table if table.ndim == 2 else table[None, :] if table.ndim == 1 else None
        if rows is None:
            return None
        for row in rows:
            lower = np.flatnonzero(row < row.max())
            row[lower[:-1]] = row.max()
        return table
    if isinstance(predictions, list) and predictions and all(_is_run(one) for one in predictions):
        lifted = []
        for run in predictions:
            top = max(run.values())
            kept = [d for d, score in run.items() if score < top][-1:]
            lifted.append({d: score if d in kept else top for d, score in run.items()})
        return lifted
    return None


def _half_empty(predictions: Any) -> Any:
    """Every second answer empty, where answers can be."""
    if not isinstance(predictions, list) or not all(isinstance(one, dict | list | str) for one in predictions):
        return None
    return [type(one)() if index % 2 else one for index, one in enumerate(predictions)]


def _gutted(predictions: Any) -> Any:
    """Runs without their best documents: what is not retrieved is no hit."""
    if not isinstance(predictions, list) or not predictions or not all(_is_run(one) for one in predictions):
        return None
    worst = [min(run.values()) for run in predictions]
    return [{d: score for d, score in run.items() if score <= low} for run, low in zip(predictions, worst, strict=True)]


def _is_run(one: Any) -> bool:
    return isinstance(one, dict) and bool(one) and all(isinstance(score, int | float) for score in one.values())


def _agrees(metric: Metric, policies: Mapping[str, Any], gold: Any, options: Mapping[str, Any]) -> Check:
    """The independent implementation on the policies."""
    assert metric.independent is not None
    spoilt = _tied(policies["oracle"])
    tried = {name: policies[name] for name in ("oracle", "inverted", "shuffled", "random")}
    for name, predictions in {**tried, **({} if spoilt is None else {"tied": spoilt})}.items():
        try:
            mine = metric.compute(predictions, gold, **options)
        except MetricError as error:
            return Check("reference", False, f"the {name} policy cannot be scored: {error}")
        other = float(metric.independent(predictions, gold, **options))
        if not abs(mine - other) <= _AGREEMENT:
            return Check(
                "reference", False, f"{name} scores {mine:.6g}, the independent implementation says {other:.6g}"
            )
    return Check("reference", True, "")


def undecidable(metric: Metric, n: int, bound: Bounded) -> str:
    """Why not even the best result on n items could show that the bound holds; "" where it could.

    A share that is right n times of n is 95 % sure of 0.025 ** (1 / n) only (Clopper & Pearson 1934); nothing bounds a
    quantile q from above when all of n calls may lie below it, which happens in q ** n of all cases.
    """
    if metric.quantile is not None and not bound.holds(math.inf):
        needed = math.ceil(math.log(_TAIL) / math.log(metric.quantile))
        told = f"{n:,} calls bound no {100 * metric.quantile:g}th percentile from above: {needed:,} are needed"
        return told if n < needed else ""
    graded = metric.per_item is not None and metric.range == (0.0, 1.0) and metric.direction == "higher"
    if metric.counted or not graded or not (bound.holds(1.0) and bound.holds(math.nextafter(1.0, 0.0))):
        return ""
    low = _TAIL ** (1 / max(n, 1))
    if bound.holds(low, 1.0):
        return ""
    needed = 1 + bisect.bisect_left(range(1, 10**9), True, key=lambda m: bound.holds(_TAIL ** (1 / m), 1.0))
    return f"even {n:,} right answers of {n:,} leave [{low:.3g}, 1] against {bound}: {needed:,} items are needed"


def _decidable(metric: Metric, n: int, bound: Bounded) -> list[Check]:
    told = undecidable(metric, n, bound)
    return [Check("decidable", not told, told)]


def _nontrivial(
    metric: Metric, values: Mapping[str, float], gold: Any, options: Mapping[str, Any], bound: Bounded
) -> Check:
    cheap = {name: values[name] for name in (*UNINFORMED, *GUESSES) if name in values}
    chance = metric.chance_level(gold, options)
    if chance is not None:
        cheap["chance"] = chance
    reached = {name: value for name, value in cheap.items() if bound.holds(_snapped(value, bound))}
    if not reached:
        return Check("triviality", True, "")
    told = f"{', '.join(f'{name} {value:.4g}' for name, value in reached.items())} keeps to {bound}"
    if metric.supporting:
        return Check("triviality", True, f"{told}: proves nothing without a discriminating row")
    if reached.keys() == {"place"}:
        return Check("triviality", False, f"{told}: right candidates nearly all have one place; shuffle them, by item")
    return Check("triviality", False, f"{told}: the bound demands nothing")


def _reachable(metric: Metric, values: Mapping[str, float], n: int, bound: Bounded) -> Check:
    oracle = values["oracle"]
    ok = bound.holds(_snapped(oracle, bound))
    told = f"{n:,} item{'' if n == 1 else 's'}: best possible {metric.name} is {oracle:.3g}, threshold {bound}"
    return Check("reachability", ok, "" if ok else told)


def _snapped(value: float, bound: Bounded) -> float:
    """The bound's own number where the value differs from it by rounding only."""
    return next((number for number in bound.numbers if abs(value - number) <= _EQUAL), value)


def _not_finite(predictions: Any, ranks: bool = False) -> str:
    """What is not finite in the predictions, in words.

    -inf is "never offered" in score matrices and passes; so does +inf in `ranks`: "not answered", the worst there is.
    """
    if isinstance(predictions, Mapping):
        ranks = predictions.keys() == {"optimistic", "pessimistic"}
        found = [f"{name}: {text}" for name, leaf in predictions.items() if (text := _not_finite(leaf, ranks))]
        return "; ".join(found)
    if isinstance(predictions, np.ndarray) and predictions.dtype.kind in "fc":
        table = predictions.reshape(len(predictions), -1)
        bad = np.isnan(table) | (np.isposinf(table) & (not ranks)) | (np.isneginf(table) & (predictions.ndim == 1))
        rows = np.asarray(bad.any(axis=1))
        return f"{int(rows.sum()):,} of {len(rows):,} answers are not finite" if rows.any() else ""
    if isinstance(predictions, list | tuple):
        endless = (-math.inf,) if ranks else (math.inf, -math.inf)
        holes = has_nan(predictions)
        count = sum((holes and has_nan(one)) or (isinstance(one, float) and one in endless) for one in predictions)
        return f"{count:,} of {len(predictions):,} answers are not finite" if count else ""
    return ""


def _varied(predictions: Any, n: int) -> Check:
    """Not constant: more than one distinct answer, and scores that differ by more than rounding."""
    if n < 2:
        return Check("varied", True, "")
    leaves = list(predictions.values()) if isinstance(predictions, Mapping) else [predictions]
    if any(_leaf_varies(leaf) for leaf in leaves):
        return Check("varied", True, "")
    first = leaves[0][0] if len(leaves[0]) else None
    return Check("varied", False, f"all {n:,} answers are the same: {_short(first)}")


def _leaf_varies(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "fiub":
        rows = leaf.reshape(len(leaf), -1).astype(np.float64)
        rows = np.where(np.isinf(rows), 0.0, rows)
        spread = rows.max(axis=0) - rows.min(axis=0)
        return bool((spread > 1e-6 * np.maximum(1e-6, np.abs(rows).max(axis=0))).any())
    if isinstance(leaf, list | tuple) and all(isinstance(one, int | float) for one in leaf):
        return _leaf_varies(np.asarray(leaf, dtype=np.float64))
    if isinstance(leaf, list | tuple | np.ndarray):
        first = _key(leaf[0])
        return any(_key(one) != first for one in leaf)
    return False


def _key(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape}{value.dtype}{value.tobytes()!r}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_key, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{name}:{_key(one)}' for name, one in value.items())}}}"
    return repr(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
