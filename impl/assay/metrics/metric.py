"""What a metric is: a formula with its direction, range, source, chance level and the policies that doubt it.

It takes predictions and gold as data and gives one number. It must never read a file, a clock or a score that the
subject computed itself, and never turn missing predictions into a number.
"""

from __future__ import annotations

import inspect
import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.errors import MetricError, did_you_mean

Floats = NDArray[np.float64]
Direction = Literal["higher", "lower", "none"]
Consumed = Literal["predictions", "flight", "timing", "artifact", "outputs"]
Policies = dict[str, Any]
POLICIES = ("oracle", "inverted", "shuffled", "constant", "random")
"""Those that every form gives; an uninformed guess of its own, such as a place, may come beside them."""


_SLACK = 1e-9  # rounding that a value may show outside its range


class UnknownMetricError(MetricError):
    """No metric of that name is registered."""


class InvalidOptionError(MetricError):
    """An option that the metric does not have, lacks, or cannot use."""


class InvalidPredictionsError(MetricError):
    """Predictions that no number can be made of: NaN, none at all, of the wrong length, shape or range."""


class UndefinedMetricError(MetricError):
    """The metric has no value on these items: one class only, nothing relevant, too few calls."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Exactly one of `formula` and `per_item` is given. Both are called as `f(predictions, gold, **options)`; the
    keyword-only parameters of their signature are the metric's options.

    Attributes:
        name: "family.metric", lower case.
        direction: which way is better; "none" where only a band makes sense.
        range: smallest and largest value it can take, infinities allowed.
        source: paper, equation or library that defines it.
        formula: predictions, gold -> one number.
        per_item: predictions, gold -> (N,) numbers of which the metric is the mean; makes intervals cheap.
        consumes: what `predictions` is: predictions, a flight record, timings, facts of an artifact, or outputs that
            are judged without gold.
        chance_form: gold, **options -> the value of an uninformed guesser in closed form; a number where it is the same
            on all gold, so that a bound which demands nothing is seen before anything is measured.
        policy_form: gold, rng, **options -> policies in the metric's own format, by name: oracle, inverted, shuffled,
            constant (the strongest constant), random; place where gold nearly always has one.
        counted: True where the value is counted on the very things it is about, so that no interval applies.
        supporting: True where an uninformed policy can be optimal by construction (calibration, spread): such a row
            says something only beside one that discriminates.
        quantile: for latency percentiles, which one; the interval then comes from order statistics.
        unit: shown with the value.
        reference: the independent implementation that the tests compare with.
        independent: the same value from another library, called as `f(predictions, gold, **options)`: liveness compares
            the two on its policies. For metrics that an acceptance suite brings along.
        uniform: True where one and the same answer for all items can be the right one.
        without: predictions, gold, (N,) codes, **options -> (G,) the value without the items of each code 0 .. G - 1,
            for a formula that can do so at once: an interval then costs one evaluation, not one for each group.
    """

    name: str
    direction: Direction
    range: tuple[float, float]
    source: str
    formula: Callable[..., float] | None = None
    per_item: Callable[..., Floats] | None = None
    consumes: Consumed = "predictions"
    chance_form: float | Callable[..., float | None] | None = None
    policy_form: Callable[..., Policies] | None = None
    counted: bool = False
    supporting: bool = False
    quantile: float | None = None
    unit: str = ""
    reference: str = ""
    independent: Callable[..., float] | None = None
    uniform: bool = False
    without: Callable[..., Floats] | None = None

    def __post_init__(self) -> None:
        if (self.formula is None) == (self.per_item is None):
            raise MetricError(f"metric {self.name}: give either formula or per_item")
        if self.direction not in ("higher", "lower", "none"):
            raise MetricError(f'metric {self.name}: direction "{self.direction}" is not higher, lower or none')
        if not self.range[0] < self.range[1]:
            raise MetricError(f"metric {self.name}: range {self.range} is empty")

    @property
    def module(self) -> str:
        """Dotted name of the module that defines the formula."""
        return str(self._function.__module__)

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default (`inspect.Parameter.empty` where there is none)."""
        return {name: parameter.default for name, parameter in _keywords(self._function).items()}

    @property
    def _function(self) -> Callable[..., Any]:
        function = self.formula or self.per_item
        assert function is not None
        return function

    def check_options(self, options: Mapping[str, Any]) -> None:
        """InvalidOptionError for an option that the metric does not have, or one that it needs and did not get."""
        known = self.options
        for name in options:
            if name not in known:
                has = f"it takes {', '.join(known)}" if known else "it takes none"
                raise InvalidOptionError(f'metric {self.name} has no option "{name}"; {has}{did_you_mean(name, known)}')
        missing = [n for n, default in known.items() if default is inspect.Parameter.empty and n not in options]
        if missing:
            raise InvalidOptionError(f"metric {self.name} needs the option {', '.join(missing)}", check="option-unsaid")

    def compute(self, predictions: Any, gold: Any = None, **options: Any) -> float:
        """The value of the metric.

        Raises:
            InvalidOptionError: see `check_options`.
            InvalidPredictionsError: empty, NaN, or not one prediction per gold item.
            UndefinedMetricError: the metric has no value on these items.
        """
        self.check_options(options)
        self._guard(predictions, gold)
        if self.per_item is not None:
            value = float(np.mean(self.per_item(predictions, gold, **options)))
        else:
            assert self.formula is not None
            value = float(self.formula(predictions, gold, **options))
        if math.isnan(value):
            raise UndefinedMetricError(f"metric {self.name} has no value on these items (NaN)")
        low, high = self.range
        if not low - _SLACK <= value <= high + _SLACK:
            raise MetricError(
                f"metric {self.name} gave {value:g}, outside its range [{low:g}, {high:g}]: the formula is wrong"
            )
        return min(max(value, low), high)

    def items(self, predictions: Any, gold: Any = None, **options: Any) -> Floats | None:
        """(N,) values of which `compute` is the mean; None where the metric is not a mean over items."""
        if self.per_item is None:
            return None
        self.check_options(options)
        self._guard(predictions, gold)
        return np.asarray(self.per_item(predictions, gold, **options), dtype=np.float64)

    def chance_level(self, gold: Any, options: Mapping[str, Any] | None = None) -> float | None:
        """The value that guessing earns on this gold; None where there is no closed form."""
        if self.chance_form is None or gold is None:
            return None
        if isinstance(self.chance_form, float):
            return self.chance_form
        value = self.chance_form(gold, **_accepted(self.chance_form, self._filled(options)))
        return None if value is None else float(value)

    def ceiling(self, gold: Any, options: Mapping[str, Any] | None = None) -> float | None:
        """The value of the oracle on this gold: what the items and the metric allow at best."""
        if self.policy_form is None or gold is None:
            return None
        oracle = self.policies(gold, np.random.default_rng(0), **(options or {}))["oracle"]
        try:
            return self.compute(oracle, gold, **(options or {}))
        except MetricError:
            return None

    def policies(self, gold: Any, rng: np.random.Generator, **options: Any) -> Policies:
        """Predictions of policies that know everything or nothing, in the metric's own format.

        Always there: oracle, inverted, shuffled, constant, random, nan, empty. MetricError where the form lacks one.
        """
        if self.policy_form is None:
            raise MetricError(f"metric {self.name} has no policies: its liveness cannot be examined")
        found = self.policy_form(gold, rng, **_accepted(self.policy_form, self._filled(options)))
        if missing := [name for name in POLICIES if name not in found]:
            raise MetricError(f"metric {self.name}: its policy_form gives no {', '.join(missing)} policy")
        return {"nan": _spoilt(found["oracle"]), "empty": take(found["oracle"], []), **found}

    @staticmethod
    def take(x: Any, index: Any) -> Any:
        """The items at `index`; see `take`."""
        return take(x, index)

    def _filled(self, options: Mapping[str, Any] | None) -> dict[str, Any]:
        """Options with the defaults of the formula: chance and policies must see what the formula sees."""
        given = dict(options or {})
        defaults = {k: v for k, v in self.options.items() if v is not inspect.Parameter.empty}
        return {**defaults, **given}

    def _guard(self, predictions: Any, gold: Any) -> None:
        if self.consumes not in ("predictions", "outputs"):
            return
        if predictions is None:
            raise InvalidPredictionsError(f"metric {self.name}: there are no predictions")
        try:
            n = size(predictions)
            items = None if gold is None else size(gold)
        except MetricError as error:
            raise InvalidPredictionsError(f"metric {self.name}: {error}") from None
        if n == 0:
            raise InvalidPredictionsError(f"metric {self.name}: there are no predictions (0 items)")
        if items is not None and n != items:
            raise InvalidPredictionsError(f"metric {self.name}: {n:,} predictions for {items:,} items")
        if has_nan(predictions):
            raise InvalidPredictionsError(f"metric {self.name}: predictions hold NaN")


def take(x: Any, index: Any) -> Any:
    """The items at `index` of a list, an array, or a mapping whose leaves have one entry per item.

    Args:
        x: list, tuple, array (first axis = item), a mapping of these, or None.
        index: integers, or a boolean mask over the items.
    """
    if x is None:
        return None
    where = np.asarray(index)
    where = np.flatnonzero(where) if where.dtype == bool else where.astype(np.intp)
    return _take(x, where)


def _take(x: Any, where: NDArray[np.intp]) -> Any:
    if isinstance(x, Mapping):
        return {name: _take(leaf, where) for name, leaf in x.items()}
    if isinstance(x, np.ndarray):
        return x[where]
    if isinstance(x, list | tuple):
        return [x[i] for i in where.tolist()]
    if hasattr(x, "__array__"):
        return np.asarray(x)[where]
    raise MetricError(f"cannot choose items from {type(x).__name__}: give a list, an array or a mapping of them")


def size(x: Any) -> int:
    """Number of items of a list, an array, or a mapping of them. MetricError when leaves disagree."""
    if isinstance(x, Mapping):
        sizes = {str(name): size(leaf) for name, leaf in x.items()}
        if not sizes:
            return 0
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} {n:,}" for name, n in sizes.items())
            raise MetricError(f"one entry per item is needed everywhere, got {told}")
        return next(iter(sizes.values()))
    scalar = isinstance(x, np.ndarray) and x.ndim == 0
    if scalar or isinstance(x, str | bytes) or not hasattr(x, "__len__"):
        raise MetricError(f"{type(x).__name__} holds no items: give a list, an array or a mapping of them")
    return len(x)


def has_nan(x: Any) -> bool:
    """Whether a number anywhere inside is NaN. Level by level, so that a million answers cost no million calls."""
    level = [x]
    while level:
        inside: list[Any] = []
        for kind in set(map(type, level)):
            some: list[Any] = [one for one in level if type(one) is kind]
            if issubclass(kind, float | np.floating):
                if any(map(operator.ne, some, some)):
                    return True
            elif issubclass(kind, np.ndarray):
                if any(one.dtype.kind in "fc" and np.isnan(one).any() for one in some):
                    return True
                inside += [each for one in some if one.dtype.kind == "O" for each in one.ravel().tolist()]
            elif issubclass(kind, Mapping):
                inside += itertools.chain.from_iterable(one.values() for one in some)
            elif issubclass(kind, list | tuple):
                inside += itertools.chain.from_iterable(some)
        level = inside
    return False


def arrays(x: Any) -> Any:
    """The same with plain lists of numbers as arrays, so that subsets of it are cheap."""
    if isinstance(x, Mapping):
        return {name: arrays(leaf) for name, leaf in x.items()}
    numbers = isinstance(x, list | tuple) and len(x) and all(isinstance(one, bool | int | float) for one in x)
    return np.asarray(x) if numbers else x


def real(values: Any, what: str) -> Floats:
    """Float array of `values`; InvalidPredictionsError when it is not numeric or not finite."""
    try:
        result = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidPredictionsError(f"{what} are not numbers") from None
    if not np.isfinite(result).all():
        bad = int((~np.isfinite(result)).sum())
        raise InvalidPredictionsError(f"{what}: {bad:,} of {result.size:,} are not finite")
    return result


def reshuffled(
    rows: Sequence[Any] | np.ndarray, rng: np.random.Generator, key: Callable[[Any], Any] = repr
) -> NDArray[np.intp]:
    """A permutation of the items that changes something where one exists: the uninformed twin of an oracle.

    Two rows with the same `key` are the same.
    """
    listed = rows.tolist() if isinstance(rows, np.ndarray) else rows
    order = rng.permutation(len(listed))
    for _ in range(20):
        if any(key(listed[i]) != key(listed[j]) for i, j in enumerate(order.tolist())):
            break
        order = rng.permutation(len(listed))
    return order


def _spoilt(predictions: Any) -> Any:
    if isinstance(predictions, Mapping):
        return {name: _spoilt(leaf) for name, leaf in predictions.items()}
    if isinstance(predictions, np.ndarray) and predictions.dtype.kind in "fiub":
        return np.full(predictions.shape, math.nan)
    return [math.nan] * len(predictions)


@cache
def _keywords(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _accepted(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    known = _keywords(function)
    return {name: value for name, value in options.items() if name in known}
