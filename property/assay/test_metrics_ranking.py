"""Rankings: agreement with scikit-learn and with brute force over all orders of ties; no way to gain by tricks."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from assay import metrics
from assay.errors import MetricError

SCORES = st.integers(0, 3).map(float)
FIVE = st.lists(SCORES, min_size=5, max_size=5)
ROW = st.lists(st.tuples(SCORES, st.integers(0, 2)), min_size=2, max_size=6)


def compute(name: str, predictions: Any, gold: Any, **options: Any) -> float:
    return metrics.get(f"ranking.{name}").compute(predictions, gold, **options)


def orders(scores: list[float]) -> list[list[int]]:
    """All rankings that the scores allow, each tie in every order."""
    found = {tuple(sorted(order, key=lambda j: -scores[j])) for order in itertools.permutations(range(len(scores)))}
    return [list(order) for order in found]


def dcg(gains: list[float], k: int) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:k]))


@settings(deadline=None)
@given(ROW, st.integers(1, 7), st.sampled_from(["linear", "exponential"]))
def test_ndcg_is_the_mean_over_all_orders_of_ties(row: list[tuple[float, int]], k: int, gain: str) -> None:
    scores, judged = [s for s, _ in row], [g for _, g in row]
    assume(any(judged))
    gains = [float(g) if gain == "linear" else 2.0**g - 1 for g in judged]
    ideal = dcg(sorted(gains, reverse=True), k)
    expected = np.mean([dcg([gains[j] for j in order], k) for order in orders(scores)]) / ideal
    assert compute("ndcg_at_k", [scores], np.array([judged]), k=k, gain=gain) == pytest.approx(expected)
    runs = [{f"d{j}": s for j, s in enumerate(scores)}]
    qrels = [{f"d{j}": g for j, g in enumerate(judged)}]
    assert compute("ndcg_at_k", runs, qrels, k=k, gain=gain) == pytest.approx(expected)
    pairs = [[(f"d{j}", s) for j, s in enumerate(scores)]]
    assert compute("ndcg_at_k", pairs, qrels, k=k, gain=gain) == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.tuples(FIVE, st.lists(st.integers(0, 3), min_size=5, max_size=5)), min_size=1), st.integers(1, 6))
def test_ndcg_agrees_with_scikit_learn(rows: list[tuple[list[float], list[int]]], k: int) -> None:
    scores, gains = np.array([s for s, _ in rows]), np.array([g for _, g in rows])
    assume((gains.sum(axis=1) > 0).all())
    assert compute("ndcg_at_k", scores, gains, k=k) == pytest.approx(ndcg_score(gains, scores, k=k))


@settings(deadline=None)
@given(ROW, st.integers(1, 7))
def test_recall_and_first_rank_are_means_over_all_orders_of_ties(row: list[tuple[float, int]], k: int) -> None:
    scores, judged = [s for s, _ in row], np.array([g for _, g in row])
    relevant = judged > 0
    assume(relevant.any())
    rankings = orders(scores)
    recall = np.mean([relevant[order[:k]].sum() / relevant.sum() for order in rankings])
    rank = float(np.mean([relevant[order].argmax() + 1 for order in rankings]))
    assert compute("recall_at_k", [scores], judged[None], k=k) == pytest.approx(recall)
    assert compute("mrr", [scores], judged[None]) == pytest.approx(1 / rank)
    assert compute("mrr", [scores], judged[None], k=k) == pytest.approx(1 / rank if rank <= k else 0)
    assert compute("hits_at_k", [scores], judged[None], k=k) == float(rank <= k)


@settings(deadline=None)
@given(st.lists(st.lists(SCORES, min_size=5, max_size=5), min_size=1, max_size=6), st.integers(1, 6), st.data())
def test_all_forms_of_one_relevant_candidate_agree(rows: list[list[float]], k: int, data: st.DataObject) -> None:
    """Scores with an index, scores with gains, runs with judgements, and ranks are one and the same."""
    scores = np.array(rows)
    relevant = np.array([data.draw(st.integers(0, 4)) for _ in rows])
    own = scores[np.arange(len(rows)), relevant][:, None]
    ranks = {
        "optimistic": (scores > own).sum(axis=1) + 1.0,
        "pessimistic": (scores >= own).sum(axis=1) * 1.0,
    }
    one = {"relevant": relevant, "candidates": [5] * len(rows)}
    runs = [dict(enumerate(row)) for row in rows]
    for name in ("mrr", "hits_at_k", "recall_at_k", "ndcg_at_k"):
        values = [
            compute(name, scores, one, k=k),
            compute(name, scores, np.eye(5)[relevant], k=k),
            compute(name, {"runs": runs}, {"qrels": [{int(r): 3} for r in relevant]}, k=k),
            compute(name, ranks, one, k=k),
        ]
        assert values == pytest.approx([values[0]] * 4), name


def test_mrr_by_hand() -> None:
    """Ranks 1, 2 and, tied with one other behind one better, 2.5."""
    scores = [[3, 2, 1], [3, 2, 1], [3, 2, 2]]
    assert compute("mrr", scores, {"relevant": [0, 1, 1]}) == pytest.approx((1 + 1 / 2 + 1 / 2.5) / 3)


def test_constant_scores_earn_chance_and_not_the_top() -> None:
    candidates = 100
    gold = {"relevant": np.arange(50), "candidates": [candidates] * 50}
    constant = np.zeros((50, candidates))
    metric = metrics.get("ranking.ndcg_at_k")
    assert metric.compute(constant, gold) == pytest.approx(metric.chance_level(gold, {}))
    assert compute("recall_at_k", constant, gold, k=10) == pytest.approx(0.1)
    assert compute("mrr", constant, gold) == pytest.approx(1 / 50.5)
    assert compute("hits_at_k", constant, gold, k=10) == 0.0


def test_an_unanswered_query_counts_as_zero() -> None:
    qrels = [{"a": 1}, {"b": 1}, {"c": 1}]
    runs: list[dict[str, float]] = [{"a": 1.0, "x": 0.5}, {}, {"x": 1.0}]
    for name in ("mrr", "ndcg_at_k", "recall_at_k", "hits_at_k"):
        assert compute(name, runs, qrels) == pytest.approx(1 / 3)
    ranks = {"optimistic": [1.0, math.inf], "pessimistic": [1.0, math.inf]}
    scores = [[1.0, 0.0], [-math.inf, -math.inf]]
    for name in ("mrr", "ndcg_at_k", "recall_at_k", "hits_at_k"):
        assert compute(name, ranks, {"candidates": [5, 5]}) == 0.5
        assert compute(name, scores, {"relevant": [0, 1]}) == 0.5


def test_the_ideal_comes_from_the_judgements() -> None:
    """One of two relevant documents retrieved at the top is not perfect."""
    value = compute("ndcg_at_k", [{"a": 1.0}], [{"a": 1, "b": 1}])
    assert value == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert compute("recall_at_k", [{"a": 1.0}], [{"a": 1, "b": 1}]) == 0.5
    assert compute("ndcg_at_k", [[1.0, -math.inf]], np.array([[1, 1]])) == pytest.approx(value)
    assert compute("recall_at_k", [[1.0, -math.inf]], np.array([[1, 1]])) == 0.5


@pytest.mark.parametrize(
    ("predictions", "gold", "error", "message"),
    [
        ([[("a", 1.0), ("a", 0.9)]], [{"a": 1}], metrics.InvalidPredictionsError, "'a' stands twice"),
        ([[1.0, 2.0]], {"relevant": [2]}, MetricError, "query 0: the relevant candidate 2 is not among the 2"),
        ([[1.0, 2.0]], {"relevant": [-1]}, MetricError, "not among"),
        ([{"a": 1.0}], [{"a": 0}], metrics.UndefinedMetricError, "no relevant"),
        ([{"a": math.inf}], [{"a": 1}], metrics.InvalidPredictionsError, "not finite"),
        ([[1.0, 2.0]], [[1, -1]], MetricError, "not negative"),
        ([[1.0, 2.0]], np.ones((1, 3)), MetricError, "shape"),
        ([[math.inf, 0.0]], {"relevant": [0]}, metrics.InvalidPredictionsError, "inf"),
        ({"optimistic": [0.0], "pessimistic": [1.0]}, {"candidates": [5]}, metrics.InvalidPredictionsError, "ranks"),
        ({"optimistic": [2.0], "pessimistic": [1.0]}, {"candidates": [5]}, metrics.InvalidPredictionsError, "ranks"),
        ({"optimistic": [6.0], "pessimistic": [6.0]}, {"candidates": [5]}, metrics.InvalidPredictionsError, "rank 6"),
    ],
)
def test_what_cannot_be_ranked_is_refused(predictions: Any, gold: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        compute("ndcg_at_k", predictions, gold)


def test_gain_must_be_known() -> None:
    with pytest.raises(metrics.InvalidOptionError, match="linear"):
        compute("ndcg_at_k", [[1.0]], [[1]], gain="log")


@given(st.integers(1, 200), st.integers(1, 20))
def test_chance_closed_forms_by_direct_sums(candidates: int, k: int) -> None:
    gold = {"relevant": [0], "candidates": [candidates]}
    ranks = np.arange(1, candidates + 1)
    for name, values in [
        ("mrr", np.where(ranks <= k, 1 / ranks, 0)),
        ("hits_at_k", ranks <= k),
        ("recall_at_k", ranks <= k),
        ("ndcg_at_k", np.where(ranks <= k, 1 / np.log2(ranks + 1), 0)),
    ]:
        assert metrics.get(f"ranking.{name}").chance_level(gold, {"k": k}) == pytest.approx(float(np.mean(values)))
