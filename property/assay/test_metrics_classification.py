"""Labels and scores: agreement with scikit-learn, and the laws that ties, strata and thresholds obey."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk

from assay import metrics
from assay.errors import MetricError
from assay.metrics import classification
from assay.metrics.metric import take

SCORES = st.integers(-3, 3).map(float)  # few values: ties are the rule


@st.composite
def scored(draw: st.DrawFn, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and labels of both classes."""
    pairs = draw(st.lists(st.tuples(SCORES, st.booleans()), min_size=least, max_size=40))
    scores, labels = np.array([s for s, _ in pairs]), np.array([y for _, y in pairs])
    assume(labels.any() and not labels.all())
    return scores, labels


def compute(name: str, predictions: Any, gold: Any, **options: Any) -> float:
    return metrics.get(f"classification.{name}").compute(predictions, gold, **options)


# ------------------------------------------------------------------------------ AUROC


@given(scored())
def test_auroc_agrees_with_scikit_learn(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = data
    assert compute("auroc", scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores), abs=1e-12)


@given(scored())
def test_auroc_depends_on_the_order_alone(data: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = data
    value = compute("auroc", scores, labels)
    assert compute("auroc", np.exp(scores) + 7, labels) == pytest.approx(value)
    assert compute("auroc", -scores, labels) == pytest.approx(1 - value)
    assert compute("auroc", np.zeros(len(scores)), labels) == 0.5


def test_auroc_by_hand() -> None:
    """Pairs (positive, negative): 3 > 1, 3 > 2, 2 > 1 and a tie 2 = 2: 3.5 of 4."""
    assert compute("auroc", [1, 2, 2, 3], [0, 0, 1, 1]) == 3.5 / 4


@pytest.mark.parametrize(("labels", "missing"), [([1, 1], "no negative"), ([0, 0, 0], "no positive")])
def test_one_class_has_no_auroc(labels: list[int], missing: str) -> None:
    with pytest.raises(metrics.UndefinedMetricError, match=missing):
        compute("auroc", [0.5] * len(labels), labels)
    with pytest.raises(metrics.UndefinedMetricError, match='stratum "b"'):
        compute("macro_auroc", [0.5] * 4, {"label": [0, 1, 1, 1], "stratum": ["a", "a", "b", "b"]})


@given(scored(), scored())
def test_macro_auroc_is_the_mean_over_strata(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]
) -> None:
    """Adding a constant to one stratum changes the pooled value, never the macro one."""
    gold = {"label": [*a[1], *b[1]], "stratum": ["a"] * len(a[0]) + ["b"] * len(b[0])}
    expected = (sk.roc_auc_score(a[1], a[0]) + sk.roc_auc_score(b[1], b[0])) / 2
    assert compute("macro_auroc", [*a[0], *b[0]], gold) == pytest.approx(expected)
    assert compute("macro_auroc", [*a[0], *(b[0] + 100)], gold) == pytest.approx(expected)


def test_labels_other_than_0_and_1_are_refused() -> None:
    for labels in ([0, 2], [-1, 1], ["a", "b"], [[0], [1]]):
        with pytest.raises(MetricError, match="0 or 1"):
            compute("auroc", [0.1, 0.2], labels)


def test_scores_must_be_one_finite_number_each() -> None:
    for bad, message in [
        ([[0.1], [0.2]], "shape"),
        ([0.1, math.inf], "1 of 2 are not finite"),
        (["a", "b"], "numbers"),
    ]:
        with pytest.raises(metrics.InvalidPredictionsError, match=message):
            compute("auroc", bad, [0, 1])


# ------------------------------------------------------------------------------ recall at a false-positive rate


@given(scored(), st.sampled_from([0.0, 0.05, 0.2, 0.5]))
def test_recall_at_fpr_is_the_best_point_of_the_roc_curve(data: tuple[np.ndarray, np.ndarray], fpr: float) -> None:
    scores, labels = data
    false, true, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    expected = max(t for f, t in zip(false, true, strict=True) if f <= fpr + 1e-12)
    gold = {"label": labels, "stratum": [0] * len(labels)}
    assert compute("macro_recall_at_fpr", scores, gold, fpr=fpr) == pytest.approx(expected)


@given(scored(), st.sampled_from([0.0, 0.05, 0.2, 0.5]))
def test_a_threshold_lets_at_most_the_declared_share_through(data: tuple[np.ndarray, np.ndarray], fpr: float) -> None:
    scores, labels = data
    threshold = classification.threshold_at_fpr(scores, labels, fpr)
    assert compute("false_positive_rate", scores, labels, threshold=threshold) <= fpr
    lower = scores[scores < threshold]
    if len(lower):  # and the next lower one lets more through
        below = compute("false_positive_rate", scores, labels, threshold=float(lower.max()))
        assert below > fpr or not (scores[~labels] == threshold).any()


def test_the_threshold_of_dev_belongs_to_the_scale_of_the_scores() -> None:
    """Predictions' own threshold goes before gold's, gold's before the option; equal scores are negative."""
    gold = {"label": [0, 0, 1, 1], "threshold": [2.0] * 4}
    scores = [1.0, 1.0, 2.0, 3.0]
    assert compute("macro_recall_at_fpr", scores, gold) == 0.5
    assert compute("macro_recall_at_fpr", scores, gold, threshold=0.0) == 0.5
    own = {"scores": scores, "threshold": [1.0] * 4}
    assert compute("macro_recall_at_fpr", own, gold) == 1.0
    assert compute("false_positive_rate", {**own, "threshold": [0.5] * 4}, gold) == 1.0
    assert compute("macro_recall_at_fpr", scores, {"label": [0, 0, 1, 1]}, threshold=2.5) == 0.5
    with pytest.raises(metrics.InvalidOptionError, match="threshold"):
        compute("false_positive_rate", scores, [0, 0, 1, 1])
    with pytest.raises(metrics.InvalidOptionError, match="fpr"):
        compute("macro_recall_at_fpr", scores, gold, fpr=1.0)


@given(scored(), st.floats(-5, 5), st.sampled_from([0.0, 0.05, 0.2, 0.5]))
def test_false_alarms_never_buy_recall(data: tuple[np.ndarray, np.ndarray], threshold: float, fpr: float) -> None:
    """Whatever the threshold from dev, recall is at most the best that keeps to the false-positive rate here."""
    scores, labels = data
    value = compute("macro_recall_at_fpr", scores, {"label": labels}, fpr=fpr, threshold=threshold)
    assert value <= compute("macro_recall_at_fpr", scores, {"label": labels}, fpr=fpr)
    assert value <= (scores[labels] > threshold).mean()


# ------------------------------------------------------------------------------ probabilities


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30))
def test_brier_skill_agrees_with_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([s for s, _ in pairs]), np.array([y for _, y in pairs])
    assume(labels.any() and not labels.all())
    reference = sk.brier_score_loss(labels, np.full(len(labels), labels.mean()))
    expected = 1 - sk.brier_score_loss(labels, scores) / reference
    assert compute("brier_skill", scores, labels) == pytest.approx(expected)
    assert metrics.get("calibration.brier").compute(scores, labels) == pytest.approx(
        sk.brier_score_loss(labels, scores)
    )


def test_logits_are_no_probabilities() -> None:
    with pytest.raises(metrics.InvalidPredictionsError, match="logits"):
        compute("brier_skill", [-2.0, 3.0], [0, 1])


# ------------------------------------------------------------------------------ accuracy


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_accuracy_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    given_, true = [a for a, _ in pairs], [b for _, b in pairs]
    assert compute("accuracy", given_, true) == pytest.approx(sk.accuracy_score(true, given_))


def test_spans_are_equal_however_they_are_held() -> None:
    gold = {"label": [[1, 2, 3, 4], [5, 6, 7, 8], [1, 1, 1, 1]], "stratum": ["a", "a", "b"]}
    spans = np.array([[1, 2, 3, 4], [5, 6, 7, 9], [1, 1, 1, 1]])
    assert compute("macro_accuracy", spans, gold) == 0.75
    assert compute("accuracy", [tuple(s) for s in spans.tolist()], gold) == pytest.approx(2 / 3)


def test_an_answer_not_given_is_wrong() -> None:
    assert compute("accuracy", ["a", None, None], ["a", "b", None]) == pytest.approx(1 / 3)


def test_the_chance_of_macro_accuracy_is_the_best_constant_label() -> None:
    gold = {"label": ["x", "x", "x", "y"], "stratum": ["a", "a", "a", "b"]}
    assert metrics.get("classification.accuracy").chance_level(gold) == 0.75
    assert metrics.get("classification.macro_accuracy").chance_level(gold) == 0.5


# ------------------------------------------------------------------------------ several labels


@given(st.lists(st.tuples(st.lists(SCORES, min_size=4, max_size=4), st.integers(1, 15)), min_size=1, max_size=4),
       st.integers(1, 5), st.integers(0, 2))  # fmt: skip
def test_recall_at_k_is_the_mean_over_all_orders_of_ties(
    rows: list[tuple[list[float], int]], k: int, outside: int
) -> None:
    scores = np.array([row for row, _ in rows])
    labels = np.array([[bits >> j & 1 for j in range(4)] for _, bits in rows])
    expected = []
    for row, truth in zip(scores, labels, strict=True):
        found = []
        for order in itertools.permutations(range(4)):
            ranked = sorted(order, key=lambda j: -row[j])  # stable: ties stay in the permutation's order
            found.append(sum(truth[j] for j in ranked[:k]) / (truth.sum() + outside))
        expected.append(np.mean(found))
    gold = {"labels": labels, "outside": [outside] * len(rows)}
    assert compute("recall_at_k", {"scores": scores}, gold, k=k) == pytest.approx(float(np.mean(expected)))


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=8))
def test_micro_f1_agrees_with_scikit_learn(rows: list[tuple[int, int]]) -> None:
    given_ = np.array([[a >> j & 1 for j in range(4)] for a, _ in rows])
    truth = np.array([[b >> j & 1 for j in range(4)] for _, b in rows])
    assume(given_.any() or truth.any())
    expected = sk.f1_score(truth, given_, average="micro")
    assert compute("micro_f1", given_ * 0.8, truth) == pytest.approx(expected)
    names = [{"sets": [[f"n{j}" for j in range(4) if row[j]] for row in side]} for side in (given_, truth)]
    assert compute("micro_f1", *names) == pytest.approx(expected)


def test_labels_outside_of_the_columns_are_misses() -> None:
    gold = classification.label_matrix([["os", "re"], ["numpy", "zzz"]], ["os", "numpy", "re"])
    assert gold["labels"].tolist() == [[True, False, True], [False, True, False]]
    assert gold["outside"].tolist() == [0, 1]
    assert compute("recall_at_k", gold["labels"] * 1.0, gold, k=2) == 0.75
    assert compute("micro_f1", gold["labels"] * 1.0, gold) == pytest.approx(2 * 3 / (3 + 4))


def test_scores_are_aligned_to_the_columns_by_name() -> None:
    aligned = classification.align([[0.1, 0.2, 0.3]], ["re", "os", "odd"], ["os", "numpy", "re"])
    assert aligned.tolist() == [[0.2, -math.inf, 0.1]]
    gold = {"labels": [[0, 1, 0]]}
    assert compute("recall_at_k", aligned, gold, k=3) == 0.0  # never offered, so never found
    with pytest.raises(metrics.InvalidPredictionsError, match="twice"):
        classification.align([[0.1, 0.2]], ["os", "os"], ["os"])


def test_micro_f1_takes_the_threshold_of_dev() -> None:
    gold = {"labels": [[1, 0], [1, 0]]}
    scores = [[0.3, 0.1], [0.3, 0.1]]
    assert compute("micro_f1", {"scores": scores, "threshold": [0.3, 0.3]}, gold) == 1.0
    assert compute("micro_f1", scores, gold) == 0.0
    assert compute("micro_f1", scores, gold, threshold=0.05) == pytest.approx(2 / 3)


def test_an_item_without_a_true_label_has_no_recall() -> None:
    with pytest.raises(metrics.UndefinedMetricError, match="item 1"):
        compute("recall_at_k", [[1.0, 0.0], [1.0, 0.0]], [[1, 0], [0, 0]])
    with pytest.raises(metrics.UndefinedMetricError):
        compute("micro_f1", [[0.0, 0.0]], [[0, 0]])


def test_the_constant_policy_of_f1_is_the_strongest_constant() -> None:
    """Brute force over all 2^5 constant rows."""
    rng = np.random.default_rng(3)
    truth = rng.random((60, 5)) < np.array([0.7, 0.4, 0.3, 0.1, 0.05])
    metric = metrics.get("classification.micro_f1")
    ours = metric.compute(metric.policies(truth, rng)["constant"], truth)
    rows = [np.array(bits) for bits in itertools.product([0, 1], repeat=5) if any(bits)]
    assert ours == pytest.approx(max(metric.compute(np.tile(row, (60, 1)), truth) for row in rows))
    recall = metrics.get("classification.recall_at_k")
    constant = recall.policies(truth | (np.arange(5) == 0), rng)["constant"]
    assert np.argsort(-constant[0]).tolist() == [0, 1, 2, 3, 4]


# ------------------------------------------------------------------------------ spread


@given(st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_the_spread_agrees_with_the_standard_library(values: list[float]) -> None:
    assert compute("standard_deviation", values, None) == pytest.approx(statistics.pstdev(values), abs=1e-9)
    assert compute("unique_ratio", values, None) == len({repr(v) for v in values}) / len(values)


def test_a_constant_has_no_spread_however_stable_it_is_called() -> None:
    assert compute("standard_deviation", [0.630] * 164, None) == pytest.approx(0, abs=1e-12)
    assert compute("unique_ratio", [[1, 2], [1, 2], [1, 3]], None) == pytest.approx(2 / 3)


def test_a_shuffled_oracle_is_never_the_oracle_where_labels_differ() -> None:
    gold = [0, 1]
    for seed in range(50):
        made = metrics.get("classification.auroc").policies(gold, np.random.default_rng(seed))
        assert made["shuffled"].tolist() == [1.0, 0.0]
        assert take(made["oracle"], [0]).tolist() == [0.0]
