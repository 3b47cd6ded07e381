"""Metrics of geometry against hand computation, independent libraries and the reference values of N(0, I).

Laws: a Gaussian sits at each metric's reference value; a collapse, a lost half of the rank, a cone and a sphere are each
seen by the metric meant for it; what a metric is documented to ignore leaves it unchanged.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.spatial.distance import pdist

from assay import metrics
from assay.metrics import geometry
from assay.metrics.metric import InvalidOptionError, InvalidPredictionsError

N, D = 4096, 128


@pytest.fixture(scope="module")
def gaussian():
    return np.random.default_rng(7).standard_normal((N, D))


def value(name, predictions, **options):
    return metrics.get(f"geometry.{name}").compute(predictions, **options)


def test_reference_values_of_an_exact_gaussian(gaussian):
    assert value("isoscore", gaussian) == pytest.approx(0.970, abs=0.002)
    assert value("isoscore", gaussian[:256]) == pytest.approx(0.655, abs=0.02)
    assert value("rankme", gaussian) == pytest.approx(0.996, abs=0.002)
    assert value("uniformity", gaussian) == pytest.approx(-3.94, abs=0.01)
    assert abs(value("sigreg", gaussian)) < 2e-5
    assert abs(value("sigreg", gaussian, slices="axes")) < 1e-4
    assert value("norm_std", gaussian) == pytest.approx(stats.chi(D).std(), abs=0.03)
    assert value("std_gap", gaussian) < 0.05
    assert value("mean_norm", gaussian) < 0.025


def test_sigreg_is_the_integral_by_an_independent_quadrature():
    """Of 5 points on a line, against scipy's adaptive quadrature; 17 knots are near it, not equal."""
    x = np.array([[-1.0, 0.3], [0.2, -0.4], [2.0, 1.1], [0.7, -2.2], [-0.5, 0.9]])

    def gap(t, column):
        phi = np.exp(1j * t * column).mean()
        return abs(phi - math.exp(-t * t / 2)) ** 2 * math.exp(-t * t / 2)

    expected = integrate.quad(lambda t: (1 - math.exp(-t * t)) * math.exp(-t * t / 2), -3, 3)[0]
    assert expected == pytest.approx(1.0525, abs=2e-3)
    deltas = [(5 * integrate.quad(gap, -3, 3, args=(x[:, i],))[0] - expected) / 5 for i in (0, 1)]
    assert value("sigreg", x, slices="axes") == pytest.approx(np.mean(deltas), abs=2e-3)


def test_isoscore_by_hand():
    """Variances 3 and 1: d = |sqrt(2)(3, 1)/sqrt(10) - (1, 1)| / sqrt(2(2 - sqrt 2)); one direction alone gives 0."""
    x = np.array([[math.sqrt(3), 0], [-math.sqrt(3), 0], [0, 1], [0, -1]])
    defect = math.dist((3 / math.sqrt(5), 1 / math.sqrt(5)), (1, 1)) / math.sqrt(2 * (2 - math.sqrt(2)))
    phi = (2 - defect**2 * (2 - math.sqrt(2))) ** 2 / 4
    assert value("isoscore", x) == pytest.approx(2 * phi - 1)
    assert value("isoscore", x * [1, 0]) == pytest.approx(0, abs=1e-9)
    assert value("isoscore", x / [math.sqrt(3), 1]) == pytest.approx(1)


def test_uniformity_and_pairing_by_brute_force():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 40, 6))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert value("uniformity", x) == pytest.approx(math.log(np.exp(-2 * pdist(unit) ** 2).mean()), rel=1e-5)
    wins = [np.sum((x[i] - y[j]) ** 2) > np.sum((x[i] - y[i]) ** 2) for i in range(40) for j in range(40) if i != j]
    assert value("pairing", {"query": x, "passage": y}) == pytest.approx(np.mean(wins))
    assert value("pairing", {"query": x, "passage": x}) == 1.0
    assert value("pairing", {"query": x, "passage": np.zeros_like(y)}) == 0.5  # ties count half


def test_simple_ones_by_hand():
    x = np.array([[3.0, 0], [3, 4], [-3, 0], [-3, 4]])
    assert value("std_gap", x) == pytest.approx(2)
    assert value("mean_norm", x) == pytest.approx(2 / math.sqrt(2))
    assert value("norm_std", x) == pytest.approx(1)
    shares = np.array([6, 8]) / 14  # singular values of columns that are orthogonal? (3,3,-3,-3) . (0,4,0,4) = 0
    singular = np.array([6.0, math.sqrt(32)])
    shares = singular / singular.sum()
    assert value("rankme", x) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()) / 2)


@pytest.mark.parametrize(
    ("broken", "seen_by"),
    [
        (lambda x: 0.01 * x, "sigreg"),
        (lambda x: x * np.repeat([math.sqrt(2), 0], D // 2), "isoscore"),
        (lambda x: x * np.repeat([math.sqrt(2), 0], D // 2), "std_gap"),
        (lambda x: x + 0.8, "mean_norm"),
        (lambda x: x + 0.8, "sigreg"),
        (lambda x: x / np.linalg.norm(x, axis=1, keepdims=True) * math.sqrt(D), "norm_std"),
        (lambda x: x * np.random.default_rng(3).lognormal(0, 0.3, (len(x), 1)), "norm_std"),
    ],
)
def test_each_defect_is_seen(gaussian, broken, seen_by):
    bound = {"sigreg": (-1, 0.001), "isoscore": (0.93, 1), "std_gap": (0, 0.1), "mean_norm": (0, 0.05)}
    low, high = bound.get(seen_by, (0.5, 0.9))
    assert low <= value(seen_by, gaussian) <= high
    assert not low <= value(seen_by, broken(gaussian)) <= high


def test_known_blindness_is_as_documented(gaussian):
    """No single score suffices: PROTOCOL of the gates, not an opinion."""
    cone = gaussian + 0.8
    assert value("isoscore", cone) == pytest.approx(value("isoscore", gaussian))
    assert value("isoscore", 7 * gaussian) == pytest.approx(value("isoscore", gaussian))
    sphere = gaussian / np.linalg.norm(gaussian, axis=1, keepdims=True) * math.sqrt(D)
    assert abs(value("sigreg", sphere)) < 1e-4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.integers(10, 60))
def test_rotation_changes_only_what_looks_at_axes(seed, d, n):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) * rng.uniform(0.5, 2, d) + rng.uniform(-1, 1, d)
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    for name in ("mean_norm", "isoscore", "norm_std", "rankme", "uniformity"):
        assert value(name, x @ rotation) == pytest.approx(value(name, x), abs=1e-6)


def test_the_worst_side_counts(gaussian):
    both = {"query": gaussian[:500], "passage": 3 * gaussian[500:1000]}
    assert value("std_gap", both) == value("std_gap", both["passage"]) > value("std_gap", both["query"])
    assert value("norm_std", both) == value("norm_std", both["passage"])


def test_laws_hold_for_a_gaussian_and_break_for_a_mock(gaussian):
    other = np.random.default_rng(8).standard_normal((N, D))
    honest = {"query": gaussian, "passage": 0.8 * gaussian + 0.6 * other}
    assert geometry.broken(honest) == []
    assert value("violations", {"query": gaussian, "passage": other}) == 1  # perfect shape, finds nothing
    assert value("violations", {"query": 0.01 * gaussian, "passage": 0.01 * gaussian}) >= 3


def test_refusals(gaussian):
    with pytest.raises(InvalidPredictionsError, match="shape"):
        value("std_gap", gaussian[0])
    with pytest.raises(InvalidPredictionsError, match="NaN"):
        value("isoscore", np.full((4, 3), math.nan))
    with pytest.raises(InvalidOptionError, match="slices"):
        value("sigreg", gaussian[:10], slices="best")
    with pytest.raises(InvalidPredictionsError, match="pairs"):
        value("pairing", gaussian)


def test_groups_won_counts_strict_wins():
    won = metrics.get("ranking.groups_won")
    assert won.compute({"mine": [0.5, 0.2, 0.9], "theirs": [0.4, 0.2, 1.0]}) == 1
    with pytest.raises(InvalidPredictionsError):
        won.compute([1, 2, 3])


@pytest.mark.parametrize(
    ("name", "options"),
    [("sigreg", {"count": 48}), ("sigreg", {"slices": "axes"}), ("uniformity", {})],
)
@pytest.mark.parametrize("sides", [1, 2])
def test_law_the_values_without_each_group_are_those_of_the_formula_without_it(name, options, sides):
    rng = np.random.default_rng(sides)
    both = {str(side): (1 + side / 2) * rng.standard_normal((90, 6)) for side in range(sides)}
    codes = np.concatenate([np.arange(5), rng.integers(0, 5, 85)])
    metric = metrics.get(f"geometry.{name}")
    assert metric.without is not None
    assert metric.without(both, None, codes, **options) == pytest.approx(
        [
            metric.compute({side: x[codes != code] for side, x in both.items()}, **options)
            for code in range(5)
        ],
        rel=1e-5,
    )  # fmt: skip


def test_every_metric_that_leaves_out_at_once_is_tried_above():
    """Those of regression with their family."""
    named = {n for n in metrics.names() if metrics.get(n).without is not None and not n.startswith("regression.")}
    assert named == {"geometry.sigreg", "geometry.uniformity"}
