"""Is the metric alive on these very items, and the bound neither trivial nor out of reach?

Policies that know everything and policies that know nothing are scored on the gold at hand before a threshold counts.
Deterministic; never sees what the subject predicted, except to ask whether there is anything in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from assay.errors import MetricError
from assay.metrics.metric import InvalidPredictionsError, Metric, has_nan, size

UNINFORMED = ("shuffled", "constant", "random")
LEAST_ITEMS = 20
"""Items below which policies cannot be told apart from luck."""
_EQUAL = 1e-9
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
        the value moves at all), refuses-nan, refuses-empty, triviality (no uninformed policy reaches the bound),
        reachability (the oracle does).
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
    checks = [
        enough,
        _alive(metric, values),
        _refuses(metric, "nan", policies["nan"], gold, options),
        _refuses(metric, "empty", policies["empty"], gold, options),
    ]
    if bound is not None:
        checks += [_nontrivial(metric, values, gold, options, bound), _reachable(values, bound)]
    return checks


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


def _nontrivial(
    metric: Metric, values: Mapping[str, float], gold: Any, options: Mapping[str, Any], bound: Bounded
) -> Check:
    cheap = {name: values[name] for name in UNINFORMED}
    chance = metric.chance_level(gold, options)
    if chance is not None:
        cheap["chance"] = chance
    reached = [f"{name} {value:.4g}" for name, value in cheap.items() if bound.holds(_snapped(value, bound))]
    if not reached:
        return Check("triviality", True, "")
    if metric.supporting:
        return Check(
            "triviality", True, f"{', '.join(reached)} keeps to {bound}: proves nothing without a discriminating row"
        )
    return Check("triviality", False, f"{', '.join(reached)} keeps to {bound}: the bound demands nothing")


def _reachable(values: Mapping[str, float], bound: Bounded) -> Check:
    oracle = values["oracle"]
    ok = bound.holds(_snapped(oracle, bound))
    return Check("reachability", ok, "" if ok else f"the oracle itself scores {oracle:.4g} against {bound}")


def _snapped(value: float, bound: Bounded) -> float:
    """The bound's own number where the value differs from it by rounding only."""
    return next((number for number in bound.numbers if abs(value - number) <= _EQUAL), value)


def _not_finite(predictions: Any) -> str:
    """What is not finite in the predictions, in words; -inf is "never offered" in score matrices and passes."""
    if isinstance(predictions, Mapping):
        found = [f"{name}: {text}" for name, leaf in predictions.items() if (text := _not_finite(leaf))]
        return "; ".join(found)
    if isinstance(predictions, np.ndarray) and predictions.dtype.kind in "fc":
        table = predictions.reshape(len(predictions), -1)
        bad = np.isnan(table) | np.isposinf(table) | (np.isneginf(table) & (predictions.ndim == 1))
        rows = np.asarray(bad.any(axis=1))
        return f"{int(rows.sum()):,} of {len(rows):,} answers are not finite" if rows.any() else ""
    if isinstance(predictions, list | tuple):
        count = sum(1 for one in predictions if has_nan(one) or (isinstance(one, float) and math.isinf(one)))
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
