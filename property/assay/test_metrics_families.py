"""Calibration, regression, text, latency, features and artifact facts: worked examples and laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from assay import metrics, statistics
from assay.errors import MetricError
from assay.metrics.calibration import reliability
from assay.metrics.features import dead_columns
from assay.metrics.latency import MINIMUM_CALLS
from assay.metrics.text import normalised


def compute(name: str, predictions: Any, gold: Any = None, **options: Any) -> float:
    return metrics.get(name).compute(predictions, gold, **options)


# ------------------------------------------------------------------------------ calibration


def test_ece_by_hand() -> None:
    """Two bins: (0.2, 0.4) with frequency 1/2 and (0.9, 0.9, 0.9) with frequency 1/3: .4 x .2 + .6 x .5667."""
    value = compute("calibration.ece", [0.2, 0.4, 0.9, 0.9, 0.9], [0, 1, 1, 0, 0], bins=2)
    assert value == pytest.approx(0.4 * abs(0.5 - 0.3) + 0.6 * abs(1 / 3 - 0.9))


@given(st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=2, max_size=50), st.integers(1, 12))
def test_the_reliability_curve_agrees_with_scikit_learn(pairs: list[tuple[float, bool]], bins: int) -> None:
    scores, labels = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    edges = np.linspace(0, 1, bins + 1)
    if np.isin(scores, edges).any():  # scikit-learn closes the bins on the other side
        return
    curve = reliability(scores, labels, bins)
    frequency, confidence = calibration_curve(labels, scores, n_bins=bins)
    used = curve.count > 0
    assert curve.frequency[used] == pytest.approx(frequency)
    assert curve.confidence[used] == pytest.approx(confidence)
    assert curve.count.sum() == len(pairs)


def test_a_constant_base_rate_is_calibrated_and_says_nothing() -> None:
    assert compute("calibration.ece", [0.25] * 8, [1, 1, 0, 0, 0, 0, 0, 0]) == 0
    assert metrics.get("calibration.ece").supporting


@pytest.mark.parametrize("bins", [0, 2.5, True])
def test_bins_must_be_a_whole_number(bins: object) -> None:
    with pytest.raises(metrics.InvalidOptionError, match="bins"):
        compute("calibration.ece", [0.5], [1], bins=bins)


# ------------------------------------------------------------------------------ regression

NUMBERS = hnp.arrays(np.float64, 12, elements=st.integers(-50, 50).map(lambda n: n / 4))


def test_errors_by_hand() -> None:
    """Errors 1, -1 and 4 of gold 0, 2 and 4, whose squared deviations from their mean are 4, 0 and 4."""
    predictions, gold = {"values": [1, 1, 8]}, {"value": [0, 2, 4]}
    assert compute("regression.mae", predictions, gold) == 2
    assert compute("regression.rmse", predictions, gold) == pytest.approx(math.sqrt(6))
    assert compute("regression.r2", predictions, gold) == 1 - 18 / 8


@given(NUMBERS, NUMBERS)
def test_errors_agree_with_scikit_learn(predictions: np.ndarray, gold: np.ndarray) -> None:
    assume(gold.min() < gold.max())
    assert compute("regression.mae", predictions, gold) == pytest.approx(sk.mean_absolute_error(gold, predictions))
    assert compute("regression.rmse", predictions, gold) == pytest.approx(sk.root_mean_squared_error(gold, predictions))
    assert compute("regression.r2", predictions, gold) == pytest.approx(sk.r2_score(gold, predictions))


@given(NUMBERS, NUMBERS, st.sampled_from([0.0, 1e9]))
def test_what_is_left_without_a_group_is_computed_at_once(
    predictions: np.ndarray, gold: np.ndarray, far: float
) -> None:
    """The same as without its items; numbers far from zero, such as dates in seconds, lose nothing."""
    codes = np.arange(12) % 4
    kept = [codes != code for code in range(4)]
    assume(all(np.ptp(gold[one]) > 0 for one in kept))
    predictions, gold = predictions + far, gold + far
    for name in ("regression.rmse", "regression.r2"):
        without = metrics.get(name).without
        assert without is not None
        expected = [compute(name, predictions[one], gold[one]) for one in kept]
        assert without(predictions, gold, codes) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(("name", "chance", "constant"), [("mae", 1, 0), ("rmse", math.sqrt(3), 1), ("r2", 0, 1)])
def test_chance_is_the_best_constant(name: str, chance: float, constant: float) -> None:
    """Of 0, 0, 0 and 4 the median is 0, and the mean is 1."""
    metric, gold = metrics.get(f"regression.{name}"), np.array([0.0, 0, 0, 4])
    made = metric.policies(gold, np.random.default_rng(0))
    assert metric.chance_level(gold) == pytest.approx(chance)
    assert made["constant"].tolist() == [constant] * 4
    assert metric.compute(made["constant"], gold) == pytest.approx(chance)
    assert made["inverted"].tolist() == [4, 4, 4, 0]


def test_gold_that_does_not_vary_has_no_r2() -> None:
    with pytest.raises(metrics.UndefinedMetricError, match="all 3 gold numbers are the same"):
        compute("regression.r2", [1.0, 2.0, 3.0], [0.1, 0.1, 0.1])
    assert compute("regression.rmse", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) == pytest.approx(math.sqrt(2 / 3))
    without = metrics.get("regression.r2").without
    assert without is not None
    with pytest.raises(metrics.UndefinedMetricError, match="all 2 gold numbers are the same"):
        without(np.zeros(3), np.array([0.1, 0.1, 0.7]), np.array([0, 1, 2]))


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_one_finite_number_an_item_is_asked_for(name: str) -> None:
    with pytest.raises(metrics.InvalidPredictionsError, match=r"shape \(2, 2\)"):
        compute(f"regression.{name}", np.zeros((2, 2)), [0.0, 1.0])
    with pytest.raises(metrics.InvalidPredictionsError, match="1 of 2 are not finite"):
        compute(f"regression.{name}", [math.inf, 1.0], [0.0, 1.0])
    with pytest.raises(MetricError, match=r"gold numbers have shape \(2, 1\)"):
        compute(f"regression.{name}", [0.0, 1.0], np.zeros((2, 1)))


# ------------------------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("answer", "truth", "f1", "exact"),
    [
        ("The cat sat.", "a cat sat", 1.0, 1.0),
        ("cat", "cat sat", 2 / 3, 0.0),
        ("cat cat", "cat dog", 0.5, 0.0),
        ("", "", 1.0, 1.0),
        ("", "cat", 0.0, 0.0),
        ("dog", ["cat", "dog house"], 2 / 3, 0.0),
        ("dog", [], 0.0, 0.0),
    ],
)
def test_answers_by_hand(answer: str, truth: Any, f1: float, exact: float) -> None:
    assert compute("text.token_f1", [answer], [truth]) == pytest.approx(f1)
    assert compute("text.exact_match", [answer], [truth]) == exact


def test_normalisation_can_be_switched_off() -> None:
    assert normalised("  The  A.B, an  ") == "ab"
    assert compute("text.exact_match", ["The Cat"], ["cat"], normalise=False) == 0
    with pytest.raises(metrics.InvalidPredictionsError, match=r"item 0.*int"):
        compute("text.exact_match", [3], ["3"])


@given(st.lists(st.tuples(st.text("ab ", max_size=6), st.text("ab ", max_size=6)), min_size=1))
def test_token_f1_is_symmetric_and_at_least_exact_match(pairs: list[tuple[str, str]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    assert compute("text.token_f1", a, b) == pytest.approx(compute("text.token_f1", b, a))
    assert compute("text.token_f1", a, b) >= compute("text.exact_match", a, b) - 1e-12


# ------------------------------------------------------------------------------ latency


def test_percentiles_are_observed_times_in_milliseconds() -> None:
    seconds = np.random.default_rng(0).permutation(np.arange(1, 1001)) / 1e3
    assert compute("latency.p50_ms", seconds) == 501
    assert compute("latency.p95_ms", seconds) == 951
    assert compute("latency.p99_ms", seconds) == 991
    assert compute("latency.mean_ms", seconds, np.ones(1000)) == pytest.approx(500.5)


@pytest.mark.parametrize("q", list(MINIMUM_CALLS))
def test_a_percentile_needs_its_calls(q: float) -> None:
    name, least = f"latency.p{q * 100:g}_ms", MINIMUM_CALLS[q]
    assert least * (1 - q) >= 10 - 1e-9
    compute(name, [0.1] * least)
    with pytest.raises(metrics.UndefinedMetricError, match=f"at least {least:,} calls, {least - 1:,} were timed"):
        compute(name, [0.1] * (least - 1))


def test_throughput_is_all_items_over_all_seconds() -> None:
    assert compute("latency.throughput", [1.0, 3.0], [10, 10]) == 5
    assert compute("latency.throughput", [0.5, 0.5]) == 2
    with pytest.raises(metrics.InvalidPredictionsError, match="sizes"):
        compute("latency.throughput", [1.0, 3.0], [10])


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["latency.mean_ms", "latency.p50_ms", "latency.throughput"])
def test_a_clock_that_stands_still_is_not_trusted(name: str, bad: float) -> None:
    with pytest.raises(metrics.InvalidPredictionsError, match="clock"):
        compute(name, [0.1] * 30 + [bad])
    with pytest.raises(metrics.InvalidPredictionsError, match="no call"):
        compute(name, [])


# ------------------------------------------------------------------------------ features


@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=st.integers(0, 1)))
def test_features_agree_with_numpy(table: np.ndarray) -> None:
    dead = [j for j in range(table.shape[1]) if len(np.unique(table[:, j])) == 1]
    zero = sum(np.count_nonzero(row) == 0 for row in table)
    for outputs in (table, list(table), [table[:1], table[1:]], [table[:, None, :][i] for i in range(len(table))]):
        assert dead_columns(outputs).tolist() == dead
        assert compute("features.nonconstant_columns", outputs) == pytest.approx(1 - len(dead) / table.shape[1])
    assert compute("features.zero_vectors", table) == zero


def test_an_item_without_vectors_counts_as_a_zero_vector() -> None:
    assert compute("features.zero_vectors", [np.ones((2, 3)), np.zeros((0, 3))]) == 1
    with pytest.raises(metrics.InvalidPredictionsError, match="not one feature vector"):
        compute("features.nonconstant_columns", [np.zeros((0, 3))])
    with pytest.raises(metrics.InvalidPredictionsError, match="item 1: 2 feature columns, others have 3"):
        compute("features.zero_vectors", [np.ones((2, 3)), np.ones((2, 2))])
    with pytest.raises(metrics.InvalidPredictionsError, match="item 0"):
        compute("features.zero_vectors", [np.array([["a"]])])


def test_pairs_are_told_apart_whatever_the_outputs_are() -> None:
    table = np.arange(6.0).reshape(3, 2)
    pairs = {
        "first": ["x", table, [table, "e"], {"nodes": table}, [1, 2]],
        "second": ["x", table + 1, [table.copy(), "e"], {"nodes": table * 2}, [1, 2, 3]],
    }
    assert compute("features.told_apart", pairs) == 0.6
    with pytest.raises(metrics.InvalidPredictionsError, match="first"):
        compute("features.told_apart", ["x", "y"])


# ------------------------------------------------------------------------------ artifact


def test_facts_of_an_artifact_are_passed_through_and_never_invented() -> None:
    assert compute("artifact.parameters", {"parameters": 2_450_000, "size_mib": 9.35}) == 2_450_000
    assert compute("artifact.size_mib", {"parameters": 2_450_000, "size_mib": 9.35}) == 9.35
    for facts in ({}, {"parameters": None}, {"parameters": math.nan}, {"parameters": True}):
        with pytest.raises(MetricError, match="not a number"):
            compute("artifact.parameters", facts)


# ------------------------------------------------------------------------------ counting, overheads


def cases(*holds: object) -> dict[str, list[Any]]:
    return {"case": [f"case {i}" for i in range(len(holds))], "holds": list(holds)}


def test_counting_by_hand() -> None:
    four = cases(True, False, True, True)
    assert compute("counting.share", four) == 0.75
    assert compute("counting.all", four) == 0.75
    assert compute("counting.exceptions", four) == 1
    assert compute("counting.reduction", {"before": [8, 2], "after": [1, 1.5]}) == 0.75
    assert compute("counting.reduction", {"before": [1], "after": [2]}) == -1


@given(st.lists(st.booleans(), min_size=2, max_size=300))
def test_a_share_has_wilsons_interval_and_a_count_has_none(holds: list[bool]) -> None:
    predictions = cases(*holds)
    counted = statistics.interval(metrics.get("counting.all"), predictions, None, None)
    assert counted is not None
    assert counted.low == counted.high == sum(holds) / len(holds)
    sampled = statistics.interval(metrics.get("counting.share"), predictions, None, None)
    assert sampled is not None
    if 0 < sum(holds) < len(holds):
        expected = scipy.stats.binomtest(sum(holds), len(holds)).proportion_ci(method="wilson")
        assert (sampled.low, sampled.high) == pytest.approx((expected.low, expected.high))
    else:  # all alike: the exact end
        expected = scipy.stats.binomtest(sum(holds), len(holds)).proportion_ci(method="exact")
        assert (sampled.low, sampled.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("holds", [[1, 0], [None, True], ["yes", "no"], [0.5, 1.0]])
def test_a_case_holds_or_does_not(holds: list[object]) -> None:
    with pytest.raises(metrics.InvalidPredictionsError, match=r"case \d: .* True or False"):
        compute("counting.share", cases(*holds))


def test_overheads_by_hand() -> None:
    pairs = {"with": [1.1, 2.1, 1.1, 2.1, 1.1], "without": [1.0, 2.0, 1.0, 2.0, 1.0]}
    assert compute("latency.overhead", pairs) == pytest.approx(0.5 / 7)
    assert compute("latency.overhead_ms", pairs) == pytest.approx(100)
    with pytest.raises(metrics.UndefinedMetricError, match="at least 5"):
        compute("latency.overhead", {name: values[:4] for name, values in pairs.items()})
    with pytest.raises(metrics.InvalidPredictionsError, match="pairs"):
        compute("latency.overhead", [1.0] * 5)
