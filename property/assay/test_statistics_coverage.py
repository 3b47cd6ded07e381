"""Simulated promises: intervals cover, a model at the threshold rarely passes, the stated number of groups decides.

Groups are correlated within (intra-class correlation 0.1 to 0.2, varying difficulty) and of unequal size. Seeds are
fixed; the bands are the nominal ones widened by what so few repetitions cannot tell. `-s` prints the table.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from acceptance.assay import simulation

from assay import metrics, statistics
from assay.metrics import Metric
from assay.metrics.classification import area

AUROC = metrics.get("classification.auroc")
SHARE = Metric("own.share", "higher", (0, 1), "test", per_item=lambda predictions, gold: predictions)
GROUPS = (12, 20, 60)


def band(repetitions: int) -> tuple[float, float]:
    """93 to 97 %, and 2.5 standard errors of a simulated share on either side."""
    slack = 2.5 * math.sqrt(0.05 * 0.95 / repetitions)
    return 0.93 - slack, 0.97 + slack


def false_pass(repetitions: int) -> float:
    """5 %, and 2.5 standard errors."""
    return 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / repetitions)


def sizes(groups: int, rng: np.random.Generator, spread: float) -> np.ndarray:
    """Log-normal group sizes of mean 20, at least 2, even."""
    raw = np.exp(rng.normal(0, spread, groups))
    return np.maximum(2, 2 * np.round(raw / raw.mean() * 10)).astype(int)


def answers(
    groups: int, rng: np.random.Generator, share: float, correlation: float, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    """Right and wrong answers with beta-distributed group difficulty."""
    units = np.repeat(np.arange(groups), sizes(groups, rng, spread))
    scale = (1 - correlation) / correlation
    ability = rng.beta(share * scale, (1 - share) * scale, groups)
    return (rng.random(len(units)) < ability[units]).astype(float), units


def scores(
    groups: int, rng: np.random.Generator, spread: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores of a model and a correlated baseline, labels, groups; difficulty and level vary by group."""
    units = np.repeat(np.arange(groups), sizes(groups, rng, spread))
    labels = np.arange(len(units)) % 2
    level, signal = rng.normal(0, 0.5, groups), rng.normal(1.2, 0.4, groups)
    noise = rng.normal(size=len(units))
    other = 0.6 * noise + 0.8 * rng.normal(size=len(units))
    model = noise + level[units] + signal[units] * labels
    return model, other + level[units] + (signal[units] - 0.5) * labels, labels, units


@pytest.fixture(scope="module")
def truth() -> tuple[float, float]:
    """AUROC of model and baseline in the population of groups (4,000 of them; error about 0.001)."""
    model, other, labels, _ = scores(40_000, np.random.default_rng(99), 0.7)
    return area(model, labels == 1), area(other, labels == 1)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize(("share", "correlation"), [(0.7, 0.2), (0.9, 0.1)])
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_means_cover(groups: int, share: float, correlation: float, spread: float) -> None:
    repetitions, rng = 1500, np.random.default_rng(7)
    covered = above = 0
    for _ in range(repetitions):
        right, units = answers(groups, rng, share, correlation, spread)
        found = statistics.interval(SHARE, right, right, units)
        assert found is not None
        covered += found.low <= share <= found.high
        above += found.low >= share
    print(f"\nmean {share} ICC {correlation} spread {spread} groups {groups}: {covered / repetitions:.3f} covered, "
          f"{above / repetitions:.3f} false pass")  # fmt: skip
    low, high = band(repetitions)
    assert low <= covered / repetitions <= high
    assert above / repetitions <= false_pass(repetitions)


@pytest.mark.parametrize(("groups", "repetitions"), [(12, 400), (20, 300), (60, 120)])
def test_auroc_and_paired_difference_cover(groups: int, repetitions: int, truth: tuple[float, float]) -> None:
    rng, lead = np.random.default_rng(7), truth[0] - truth[1]
    covered = above = paired = beaten = 0
    for _ in range(repetitions):
        model, other, labels, units = scores(groups, rng, 0.7)
        found = statistics.interval(AUROC, model, labels, units)
        assert found is not None
        covered += found.low <= truth[0] <= found.high
        above += found.low >= truth[0]
        # The demanded margin is the true lead, so that 0 is the truth and a positive interval a false pass.
        difference = statistics.paired_difference(AUROC, model, other, labels, units, margin=lead).interval
        assert difference is not None
        paired += difference.low <= 0 <= difference.high
        beaten += difference.low > 0
    print(f"\nAUROC groups {groups}: {covered / repetitions:.3f} covered, {above / repetitions:.3f} false pass; "
          f"paired {paired / repetitions:.3f} covered, {beaten / repetitions:.3f} false pass")  # fmt: skip
    low, high = band(repetitions)
    assert low <= covered / repetitions <= high
    assert low <= paired / repetitions <= high
    assert max(above, beaten) / repetitions <= false_pass(repetitions)


@pytest.mark.parametrize("groups", [12, 30])
def test_the_stated_number_of_groups_decides(groups: int) -> None:
    """Truths spread evenly around the threshold, as far as a pilot can leave them open; undecided pilots go on."""
    rng = np.random.default_rng(3)
    undecided = decided = wrong = 0
    for _ in range(400):
        share = rng.uniform(0.45, 0.95)
        right, units = answers(groups, rng, share, 0.15, 0.5)
        pilot = statistics.interval(SHARE, right, right, units)
        assert pilot is not None
        threshold = 0.7
        if not pilot.low < threshold < pilot.high:
            continue
        more = statistics.samples_needed(float(right.mean()), pilot, threshold)
        if isinstance(more, str):
            continue
        undecided += 1
        extra, others = answers(min(more, 20_000), rng, share, 0.15, 0.5)
        final = statistics.interval(SHARE, np.r_[right, extra], np.r_[right, extra], np.r_[units, others + groups])
        assert final is not None
        decided += not final.low <= threshold <= final.high
        wrong += final.low > threshold if share < threshold else final.high < threshold
    print(f"\nstated number from {groups} groups: {decided / undecided:.3f} of {undecided} decided, {wrong} wrongly")
    assert undecided >= 60
    assert decided / undecided >= 0.8 - 2.5 * math.sqrt(0.8 * 0.2 / undecided)
    assert wrong / undecided <= 0.05


@pytest.mark.parametrize(("q", "n"), [(0.5, 40), (0.95, 400), (0.99, 1200)])
def test_order_statistics_cover(q: float, n: int) -> None:
    rng, repetitions = np.random.default_rng(5), 800
    hit = 0
    for _ in range(repetitions):
        found = statistics.quantile_interval(rng.exponential(size=n), q)
        assert found is not None
        hit += found.low <= -math.log(1 - q) <= found.high
    print(f"\nquantile {q} of {n}: {hit / repetitions:.3f} covered")
    low, _ = band(repetitions)
    assert low <= hit / repetitions <= 0.99  # conservative by the steps of the binomial


# ------------------------------------------------------------------------------ end to end, as the harness judges itself


def share(designs: dict[str, Any], name: str, repetitions: int) -> float:
    rows = simulation.repeated({name: designs[name]}, repetitions, seed=11)
    return float(np.mean([getattr(outcome, "passed", outcome) for _, _, outcome in rows]))


@pytest.mark.parametrize("name", simulation.at_the_threshold())
def test_a_model_on_the_threshold_rarely_passes_the_judge(name: str) -> None:
    """Law: judged end to end, at most 5 % of the models whose truth is the threshold itself are let through."""
    assert share(simulation.at_the_threshold(), name, 120) <= false_pass(120)


def test_a_model_well_above_the_threshold_passes() -> None:
    """The law above is not kept by passing nobody."""
    rng = np.random.default_rng(0)
    demanded = simulation.row(at_least=0.75, beats=[{"baseline": "rival", "margin": 0.03}])
    verdicts = [simulation.verdict_of(demanded, simulation.draw(rng, 40, 0.88, lead=0.14)) for _ in range(30)]
    assert sum(verdict.passed for verdict in verdicts) >= 25


@pytest.mark.parametrize("name", simulation.settled())
def test_the_stated_number_settles_items_groups_pairs_and_seeds(name: str) -> None:
    assert share(simulation.settled(), name, 60) >= 0.8 - 2.5 * math.sqrt(0.8 * 0.2 / 60)


@pytest.mark.parametrize("scatter", [(1.0, 0.2, 0.2), (0.2, 1.0, 0.5), (0.1, 0.1, 1.0)])
def test_crossed_effects_of_seeds_and_groups_cover(scatter: tuple[float, float, float]) -> None:
    rng, repetitions = np.random.default_rng(5), 1200
    hit = 0
    for _ in range(repetitions):
        runs, groups, truth = simulation.trained(rng, 3, 14, 0.3, scatter)
        found = statistics.seeded(simulation.LEAD, runs, None, groups).interval
        assert found is not None
        hit += found.low <= truth <= found.high
    print(f"\nseeds {scatter}: {hit / repetitions:.3f} covered")
    low, high = band(repetitions)
    assert low <= hit / repetitions <= high


def test_shares_of_independent_items_cover() -> None:
    """Wilson, on average over shares: for one share and number it oscillates (Brown, Cai & DasGupta 2001)."""
    low, high = band(1500)
    assert low <= share(simulation.covered(), "shares", 1500) <= high
