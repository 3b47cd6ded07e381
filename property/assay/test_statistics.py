"""Intervals against SciPy and hand computation; what they do at edges; what they refuse to say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from assay import metrics, statistics
from assay.errors import MetricError
from assay.metrics import Metric
from assay.metrics.metric import take
from assay.spec import Bound

AUROC = metrics.get("classification.auroc")
ACCURACY = metrics.get("classification.accuracy")


def mean(predictions: Any, gold: Any) -> float:
    return float(np.mean(predictions))


def grouped(seed: int, groups: int = 12, size: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels and groups of a binary task with group effects."""
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(groups), size)
    labels = np.arange(groups * size) % 2
    return rng.normal(size=groups * size) + labels + rng.normal(0, 0.5, groups)[units], labels, units


# ------------------------------------------------------------------------------ the jackknife


@given(st.lists(st.floats(-10, 10), min_size=12, max_size=36).filter(lambda x: len(x) % 3 == 0))
def test_equal_groups_give_the_t_interval_of_the_group_means(values: list[float]) -> None:
    table = np.array(values).reshape(-1, 3)
    if table.mean(axis=1).std() < 1e-6:
        return
    found = statistics.interval(mean, table.ravel(), None, np.repeat(np.arange(len(table)), 3))
    means = table.mean(axis=1)
    expected = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
    assert found is not None
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert found.error == pytest.approx(stats.sem(means), rel=1e-6)


def test_unequal_groups_by_hand() -> None:
    """Groups of 1, 2, 3 items with sums 1, 2, 9: mean 2; without each: 11/5, 10/4, 3/3."""
    found = statistics.interval(mean, [1, 0, 2, 3, 3, 3], None, ["a", "b", "b", "c", "c", "c"])
    assert found is not None
    error = math.sqrt(2 / 3 * (0.2**2 + 0.5**2 + 1.0**2))
    freedom = max(1 / ((1 / 6) ** 2 + (2 / 6) ** 2 + (3 / 6) ** 2) - 1, 1)
    assert found.error == pytest.approx(error)
    assert found.freedom == pytest.approx(freedom)
    assert found.high == pytest.approx(2 + stats.t.ppf(0.975, freedom) * error)
    assert (found.groups, found.n) == (3, 6)


def test_a_share_is_bounded_on_the_logit_scale() -> None:
    right = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1.0])
    units = np.repeat([0, 1, 2, 3], 3)
    found = statistics.interval(ACCURACY, right, np.ones(12), units)
    assert found is not None

    def logit(x: Any) -> Any:
        return np.log(x / (1 - x))

    without = np.array([right[units != g].mean() for g in range(4)])
    error = math.sqrt(3 / 4 * ((logit(without) - logit(0.75)) ** 2).sum())
    ends = logit(0.75) + np.array([-1, 1]) * stats.t.ppf(0.975, 3) * error
    assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp(-ends))))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 80))
def test_the_interval_holds_the_value_and_stays_in_range(seed: int, groups: int) -> None:
    scores, labels, units = grouped(seed, groups, 6)
    found = statistics.interval(AUROC, scores, labels, units)
    value = AUROC.compute(scores, labels)
    assert found is not None
    assert 0 <= found.low <= value <= found.high <= 1
    assert found.groups == groups


@pytest.mark.parametrize("groups", [5, 12, 100])
def test_neither_item_order_nor_group_names_matter(groups: int) -> None:
    scores, labels, units = grouped(1, groups, 8)
    order = np.random.default_rng(2).permutation(len(units))
    first = statistics.interval(AUROC, scores, labels, units)
    second = statistics.interval(AUROC, scores[order].tolist(), labels[order].tolist(), units[order].tolist())
    assert first is not None
    assert second is not None
    assert (first.low, first.high) == pytest.approx((second.low, second.high))
    named = statistics.interval(AUROC, scores, labels, [f"g{u:04}" for u in units])
    assert named == first


def test_means_over_items_agree_with_brute_force() -> None:
    """The closed form for means and the evaluation without each group are one."""
    rng = np.random.default_rng(0)
    right, units = rng.random(300) < 0.7, rng.integers(0, 40, 300)
    slow = Metric("own.slow", "higher", (0, 1), "test", lambda predictions, gold: float(np.mean(predictions)))
    fast = Metric("own.fast", "higher", (0, 1), "test", per_item=lambda predictions, gold: predictions * 1.0)
    assert statistics.interval(slow, right, right, units) == statistics.interval(fast, right, right, units)


def test_many_clusters_are_binned_and_say_so() -> None:
    scores, labels, units = grouped(3, 200, 6)
    binned = statistics.interval(AUROC, scores, labels, units)
    assert binned is not None
    assert "60 bins of 200 groups" in binned.method
    assert binned.groups == 200
    fast = statistics.interval(ACCURACY, labels, np.ones(1200), units)
    assert fast is not None
    assert "bins" not in fast.method
    alone = statistics.interval(AUROC, scores, labels, None)
    assert alone is not None
    assert "60 bins of 1,200 items" in alone.method


@given(st.lists(st.integers(1, 40), min_size=61, max_size=150))
def test_bins_are_balanced_and_keep_clusters_whole(sizes: list[int]) -> None:
    codes = np.repeat(np.arange(len(sizes)), sizes)
    merged = statistics._binned(codes, 60)
    loads = np.bincount(merged, minlength=60)
    assert loads.max() - loads.min() <= max(sizes)
    assert all(len(set(merged[codes == c].tolist())) == 1 for c in range(len(sizes)))


def test_bins_do_not_follow_a_period_in_the_order_of_items() -> None:
    """Items whose kind repeats every 60 would fill bins with one kind each if bins were dealt in order."""
    kinds = (np.arange(6000) % 60 < 30).astype(float)
    found = statistics.interval(mean, kinds, None, None)
    assert found is not None
    assert found.error == pytest.approx(0.5 / math.sqrt(6000), rel=0.35)


# ------------------------------------------------------------------------------ edges


def test_one_group_has_no_interval_and_says_why() -> None:
    scores, labels, _ = grouped(0)
    found = statistics.estimate(AUROC, scores, labels, ["a"] * len(labels))
    assert found.interval is None
    assert found.reason.startswith("one group only")
    assert found.estimate == AUROC.compute(scores, labels)
    paired = statistics.paired_difference(AUROC, scores, scores, labels, ["a"] * len(labels))
    assert paired.interval is None


def test_a_value_that_hangs_on_one_group_has_no_interval_and_names_it() -> None:
    labels = [0, 0, 0, 0, 1, 1]
    found = statistics.estimate(AUROC, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], labels, ["a", "a", "b", "b", "c", "c"])
    assert found.interval is None
    assert 'without group "c"' in found.reason


@pytest.mark.parametrize("n", [5, 50, 164])
def test_all_right_is_clopper_pearson_over_groups(n: int) -> None:
    right = np.ones(3 * n)
    found = statistics.interval(ACCURACY, right, right, np.repeat(np.arange(n), 3))
    expected = stats.binomtest(n, n).proportion_ci(method="exact")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    wrong = statistics.interval(ACCURACY, 1 - right, right, np.repeat(np.arange(n), 3))
    assert wrong is not None
    assert (wrong.low, wrong.high) == pytest.approx((1 - expected.high, 1 - expected.low))


def test_a_perfect_auroc_is_not_certain() -> None:
    _, labels, units = grouped(0, 12)
    found = statistics.interval(AUROC, labels, labels, units)
    assert found is not None
    assert found.high == 1
    assert found.low == pytest.approx(0.025 ** (1 / 12))


def test_one_error_in_many_keeps_a_width_on_both_sides() -> None:
    right = np.ones(200)
    right[3] = 0
    found = statistics.interval(ACCURACY, right, np.ones(200), None)
    exact = stats.binomtest(199, 200).proportion_ci(method="exact")
    assert found is not None
    assert exact.low - 0.02 < found.low < exact.low + 0.01
    assert found.low < 0.995 < found.high < 1


def test_where_leaving_a_group_out_reaches_the_edge_the_slope_is_taken_at_the_value() -> None:
    """Groups 1, 1, 1/2 of two items each: without the third all are right, and a logit of 1 is infinite."""
    found = statistics.interval(ACCURACY, [1, 1, 1, 1, 1, 0], np.ones(6), [0, 0, 1, 1, 2, 2])
    value = 5 / 6
    error = math.sqrt(2 / 3 * (2 * (3 / 4 - value) ** 2 + (1 - value) ** 2))
    middle, stretched = math.log(5), error / (value * (1 - value))
    low = middle - stats.t.ppf(0.975, 2) * stretched
    assert found is not None
    assert found.low == pytest.approx(1 / (1 + math.exp(-low)))


def test_nothing_varies_and_nothing_bounds() -> None:
    assert statistics.interval(mean, [1.0] * 12, None, np.arange(12)) is None


def test_counted_values_are_exact() -> None:
    metric = metrics.get("features.zero_vectors")
    found = statistics.interval(metric, np.ones((30, 4)), None, None)
    assert found is not None
    assert (found.low, found.high, found.method) == (0, 0, "counted, not sampled")


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="11 entries for 12 items"):
        statistics.interval(mean, np.arange(12.0), None, np.arange(11))
    with pytest.raises(MetricError):
        statistics.interval(AUROC, [0.1, 0.2], [1, 1], [0, 1])


def test_options_reach_the_metric() -> None:
    scores, relevant = np.random.default_rng(0).random((40, 30)), np.arange(40) % 30
    metric = metrics.get("ranking.recall_at_k")
    found = statistics.estimate(metric, scores, {"relevant": relevant}, None, options={"k": 20})
    assert found.estimate == metric.compute(scores, {"relevant": relevant}, k=20)
    assert found.estimate != metric.compute(scores, {"relevant": relevant}, k=10)


# ------------------------------------------------------------------------------ paired differences


def test_the_difference_is_signed_and_the_demand_taken_off() -> None:
    scores, labels, units = grouped(0)
    other = np.random.default_rng(9).normal(size=len(labels))
    ours, theirs = AUROC.compute(scores, labels), AUROC.compute(other, labels)
    found = statistics.paired_difference(AUROC, scores, other, labels, units, relative=0.05, margin=0.02)
    assert found.estimate == pytest.approx(ours - theirs * 1.05 - 0.02)
    tolerant = statistics.paired_difference(AUROC, scores, other, labels, units, margin=-0.02)
    assert tolerant.estimate == pytest.approx(ours - theirs + 0.02)
    brier = metrics.get("calibration.brier")
    good, bad = labels * 0.8 + 0.1, np.full(len(labels), 0.5)
    less = statistics.paired_difference(brier, good, bad, labels, units, relative=0.1, margin=0.03)
    assert less.estimate == pytest.approx(0.25 * 0.9 - 0.01 - 0.03)


def test_a_share_of_a_negative_baseline_asks_for_more_and_not_for_less() -> None:
    """R squared -3 against -2: worse, and no share of -2 makes it better."""
    r2, gold = metrics.get("regression.r2"), np.array([0.0, 1, 0, 1] * 5)
    far, near = gold * 3 - 1, np.full(20, 0.5 + math.sqrt(0.5))  # squared errors of 20 and 10 for a spread of 5
    assert r2.compute(far, gold) == pytest.approx(-3)
    assert r2.compute(near, gold) == pytest.approx(-2)
    lead = statistics.paired_difference(r2, far, near, gold, None, relative=0.5)
    assert lead.estimate == pytest.approx(-3 + 2 - 0.5 * 2)
    lead = statistics.paired_difference(r2, near, far, gold, None, relative=0.5)
    assert lead.estimate == pytest.approx(-2 + 3 - 0.5 * 3)


def test_what_is_hard_for_both_cancels() -> None:
    """Group difficulty moves both models: the paired interval is far narrower than either one's."""
    rng = np.random.default_rng(4)
    units = np.repeat(np.arange(15), 40)
    hard = rng.random(15)[units]
    a = (rng.random(600) < 0.2 + 0.6 * hard).astype(float)
    b = np.where(rng.random(600) < 0.03, 1 - a, a)
    truth = np.ones(600)
    single = statistics.interval(ACCURACY, a, truth, units)
    paired = statistics.paired_difference(ACCURACY, a, b, truth, units).interval
    assert single is not None
    assert paired is not None
    assert paired.error < single.error / 4


def test_a_model_does_not_beat_itself() -> None:
    scores, labels, units = grouped(0)
    found = statistics.paired_difference(AUROC, scores, scores, labels, units)
    assert found.estimate == 0
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_swapping_the_two_models_mirrors_the_interval(seed: int) -> None:
    scores, labels, units = grouped(seed, 12, 10)
    other = np.random.default_rng(seed + 1).normal(size=len(labels))
    one = statistics.paired_difference(AUROC, scores, other, labels, units).interval
    two = statistics.paired_difference(AUROC, other, scores, labels, units).interval
    assert one is not None
    assert two is not None
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


def test_the_paired_interval_is_the_jackknife_of_the_difference() -> None:
    scores, labels, units = grouped(5)
    other = np.random.default_rng(9).normal(size=len(labels))
    found = statistics.paired_difference(AUROC, scores, other, labels, units).interval
    gaps = []
    for g in range(12):
        kept = np.flatnonzero(units != g)
        truth = take(labels, kept)
        gaps.append(AUROC.compute(take(scores, kept), truth) - AUROC.compute(take(other, kept), truth))
    whole = AUROC.compute(scores, labels) - AUROC.compute(other, labels)
    error = math.sqrt(11 / 12 * sum((gap - whole) ** 2 for gap in gaps))
    assert found is not None
    assert found.error == pytest.approx(error)
    assert found.low == pytest.approx(whole - stats.t.ppf(0.975, 11) * error)


# ------------------------------------------------------------------------------ other intervals


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(n: int, share: float, level: float) -> None:
    successes = round(share * n)
    expected = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert statistics.wilson(successes, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_share(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        statistics.wilson(successes, n)


@settings(deadline=None)
@given(st.integers(30, 3000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_quantile_intervals_agree_with_scipy(n: int, q: float) -> None:
    values = np.random.default_rng(n).permutation(n) + 1.0
    found = statistics.quantile_interval(values, q)
    expected = stats.quantile_test(values, q=0.0, p=q).confidence_interval(0.95)
    if math.isnan(expected.low) or math.isnan(expected.high):
        assert found is None
    else:
        assert found is not None
        assert (found.low, found.high) == (expected.low, expected.high)


def test_a_percentile_of_few_calls_has_no_interval() -> None:
    assert statistics.quantile_interval(np.arange(100.0), 0.99) is None


def test_timing_intervals() -> None:
    rng = np.random.default_rng(0)
    seconds = rng.lognormal(-6, 0.3, 2000)
    for name in ("mean_ms", "p50_ms", "p95_ms", "p99_ms", "throughput"):
        metric = metrics.get(f"latency.{name}")
        value = metric.compute(seconds, None)
        found = statistics.timing_interval(metric, seconds)
        assert found is not None
        assert found.low < value < found.high
    found = statistics.timing_interval(metrics.get("latency.mean_ms"), seconds)
    assert found is not None
    assert found.error == pytest.approx(stats.sem(seconds * 1e3), rel=0.4)
    assert statistics.timing_interval(metrics.get("latency.throughput"), seconds[:4]) is None


def test_slow_phases_of_the_machine_widen_the_mean() -> None:
    seconds = np.repeat([1e-3, 2e-3, 1e-3, 3e-3], 250) + np.random.default_rng(0).normal(0, 1e-5, 1000)
    found = statistics.timing_interval(metrics.get("latency.mean_ms"), seconds)
    assert found is not None
    assert found.error > 3 * stats.sem(seconds * 1e3)


def test_seeds_alone_give_the_t_interval() -> None:
    """Where every item agrees, only seeds differ: the t interval of their values."""
    runs = [np.full(40, value) for value in (0.70, 0.72, 0.74)]
    found = statistics.seeded(mean, runs, None, None).interval
    expected = stats.t.interval(0.95, 2, 0.72, 0.02 / math.sqrt(3))
    assert found is not None
    assert (found.low, found.high) == pytest.approx(expected)
    assert statistics.seeded(mean, runs[:2], None, None).interval is None
    assert statistics.seeded(mean, [runs[0]] * 3, None, None).interval is None


def test_items_alone_give_the_jackknife() -> None:
    """Where every seed gives the same predictions, only items differ."""
    values = np.random.default_rng(0).normal(size=(12, 5))
    groups = np.repeat(np.arange(12), 5)
    once = statistics.interval(mean, values.ravel(), None, groups)
    thrice = statistics.seeded(mean, [values.ravel()] * 3, None, groups).interval
    assert once is not None
    assert thrice is not None
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))


def test_noise_of_seed_and_item_together_is_counted_once() -> None:
    """Independent draws: the variance of the grand mean is s^2 / (seeds x items), which both parts hold."""
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(300):
        found = statistics.seeded(mean, list(rng.normal(size=(5, 40))), None, None).interval
        assert found is not None
        errors.append(found.error**2)
    assert 0.9 / 200 < np.mean(errors) < 1.5 / 200  # twice would be 2 / 200


def test_controls_are_paired_by_seed() -> None:
    """What a seed does to both arms cancels."""
    rng = np.random.default_rng(2)
    shared = rng.normal(0, 1, 5)
    arms = [np.full(30, s) + rng.normal(0, 0.01, 30) for s in shared]
    controls = [np.full(30, s - 0.5) + rng.normal(0, 0.01, 30) for s in shared]
    found = statistics.seeded(mean, arms, None, None, controls=controls, margin=0.1)
    assert found.estimate == pytest.approx(0.4, abs=0.01)
    assert found.interval is not None
    assert found.interval.error < 0.01
    with pytest.raises(ValueError, match="4 controls for 5 runs"):
        statistics.seeded(mean, arms, None, None, controls=controls[:4])


def test_what_settles_seeds_is_seeds_or_items_whichever_are_scarce() -> None:
    rng = np.random.default_rng(3)
    scattered = [np.full(400, x) + rng.normal(0, 0.1, 400) for x in (0.1, 0.5, 0.9)]
    found = statistics.seeded(mean, scattered, None, None)
    assert found.interval is not None
    assert found.interval.low < 0
    assert statistics.needed_beyond(found.estimate, found.interval).endswith(("more seed", "more seeds"))
    rng = np.random.default_rng(1)
    noise = rng.normal(0.25, 1, 60)
    alike = [noise + rng.normal(0, 0.01, 60) for _ in range(3)]
    found = statistics.seeded(mean, alike, None, None)
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high
    text = statistics.needed_beyond(found.estimate, found.interval)
    assert text.startswith("more seeds would not; about ")
    assert text.endswith("more items would")


# ------------------------------------------------------------------------------ what would settle it


def found(error: float, groups: int = 20, n: int = 400, **changes: Any) -> statistics.Interval:
    fields = {"low": 0.0, "high": 1.0, "level": 0.95, "method": "test", "freedom": groups - 1.0, **changes}
    return statistics.Interval(groups=groups, n=n, error=error, **fields)


def test_the_nearer_the_bound_the_more_is_needed() -> None:
    counts = [statistics.samples_needed(0.7, found(0.05), 0.7 - gap) for gap in (0.2, 0.1, 0.07, 0.05)]
    assert all(isinstance(count, int) for count in counts)
    assert counts == sorted(counts, key=lambda count: int(count))
    assert counts[0] < counts[-1]  # type: ignore[operator]


def test_power_of_the_plain_case_by_hand() -> None:
    """Known error, gap of 1.5 standard errors: P(|N(1.5, 1 + r^2)| > 1.96 r) = 0.8 for new/present = 1/r^2."""
    more = statistics.samples_needed(0.7, found(0.05, 1000, 1000, freedom=math.inf), 0.625, power=0.8)
    assert isinstance(more, int)
    ratio = math.sqrt(1000 / more)
    spread = math.sqrt(1 + ratio**2)
    power = stats.norm.cdf((1.5 - 1.96 * ratio) / spread) + stats.norm.cdf((-1.5 - 1.96 * ratio) / spread)
    assert power == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize(
    ("value", "interval", "threshold", "reason"),
    [
        (0.7, found(0.05), 0.7, "exactly on the bound"),
        (0.7, found(0.05), 0.7000001, "would not settle"),
        (3.0, found(0.0, method="counted, not sampled"), 2.0, "counted"),
        (3.0, found(0.0), 2.0, "nothing to compute"),
    ],
)
def test_some_rows_no_number_settles(
    value: float, interval: statistics.Interval, threshold: float, reason: str
) -> None:
    answer = statistics.samples_needed(value, interval, threshold)
    assert isinstance(answer, str)
    assert reason in answer


def test_all_right_needs_the_rule_of_three() -> None:
    """Lower end 0.025^(1/n) >= 0.98 takes 183 groups."""
    right = np.ones(100)
    interval = statistics.interval(ACCURACY, right, right, None)
    assert interval is not None
    more = statistics.samples_needed(1.0, interval, 0.98)
    assert more == 83
    assert 0.025 ** (1 / 183) >= 0.98 > 0.025 ** (1 / 182)


def test_what_is_needed_is_said_in_the_units_at_hand() -> None:
    bound = Bound(at_least=0.6)
    assert statistics.needed(0.7, found(0.05), bound).startswith("about ")
    assert "more groups (" in statistics.needed(0.7, found(0.05), bound)
    assert statistics.needed(0.7, found(0.05, 400, 400), bound).endswith("more items")
    calls = statistics.quantile_interval(np.random.default_rng(0).random(2000), 0.95)
    assert calls is not None
    assert statistics.needed(calls.low, calls, Bound(below=calls.high * 0.995)).endswith("more calls")
    assert "exactly on" in statistics.needed(0.6, found(0.05), bound)
    narrow = found(0.05, low=0.5, high=0.72)
    near = statistics.needed(0.6, narrow, Bound(within=(0.45, 0.7)))
    assert near == statistics.needed(0.6, narrow, Bound(at_most=0.7))
