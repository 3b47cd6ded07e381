"""A dead metric, a one-class evaluation, a trivial or unreachable bound, a constant predictor: each is found out."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from assay import liveness, metrics, statistics
from assay.errors import MetricError
from assay.liveness import Check
from assay.metrics import Metric
from assay.spec import Bound

GOLD = np.arange(60) % 2


def examine(metric: Metric | str, gold: Any, bound: Bound | None = None, **options: Any) -> dict[str, Check]:
    found = metrics.get(metric) if isinstance(metric, str) else metric
    return {check.name: check for check in liveness.examine(found, gold, options, bound)}


def failed(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if not check.ok]


def honest(name: str) -> Any:
    return metrics.get("classification.auroc").policies(GOLD, np.random.default_rng(0))[name]


def binary(formula: Any, direction: Any = "higher", bounds: tuple[float, float] = (-9, 9)) -> Metric:
    policies = metrics.get("classification.auroc").policy_form
    return Metric("own.metric", direction, bounds, "test", formula, policy_form=policies)


@pytest.mark.parametrize(
    ("name", "gold", "bound"),
    [
        ("classification.auroc", GOLD, Bound(at_least=0.7)),
        ("classification.macro_auroc", {"label": GOLD, "stratum": np.arange(60) // 20}, Bound(at_least=0.7)),
        ("classification.macro_recall_at_fpr", {"label": GOLD, "threshold": [0.02] * 60}, Bound(at_least=0.2)),
        ("classification.macro_recall_at_fpr", {"label": GOLD, "threshold": [-3.0] * 60}, Bound(at_least=0.2)),
        ("classification.brier_skill", GOLD, Bound(above=0)),
        ("classification.brier_skill", [1] + [0] * 19, Bound(above=0)),
        ("classification.accuracy", GOLD % 3, Bound(at_least=0.9)),
        ("classification.macro_accuracy", {"label": [[i % 7, 0] for i in range(60)], "stratum": GOLD}, None),
        ("classification.recall_at_k", np.eye(20)[np.arange(60) % 20], Bound(at_least=0.5)),
        ("classification.micro_f1", np.eye(20)[np.arange(60) % 20], Bound(at_least=0.5)),
        ("classification.micro_f1", {"sets": [[f"n{i % 9}"] for i in range(60)]}, Bound(at_least=0.5)),
        ("calibration.ece", GOLD, Bound(at_most=0.08)),
        ("calibration.brier", GOLD, Bound(at_most=0.2)),
        ("ranking.mrr", {"relevant": np.arange(60), "candidates": [1000] * 60}, Bound(at_least=0.52)),
        ("ranking.hits_at_k", {"relevant": np.arange(60), "candidates": [1000] * 60}, Bound(at_least=0.78)),
        ("ranking.ndcg_at_k", np.eye(60) + 2 * np.eye(60, k=1), Bound(at_least=0.4)),
        ("ranking.recall_at_k", [{f"d{i}": 1} for i in range(60)], Bound(at_least=0.4)),
        ("regression.mae", np.arange(60.0) ** 3, Bound(at_most=1e4)),
        ("regression.rmse", np.exp(np.arange(60.0) / 4), Bound(at_most=1e5)),
        ("regression.r2", {"value": np.arange(60.0) ** 3}, Bound(at_least=0.5)),
        ("text.token_f1", [f"tok{i} is {i * i}" for i in range(60)], Bound(at_least=0.6)),
        ("text.exact_match", [f"tok{i}" for i in range(60)], Bound(at_least=0.6)),
    ],
)
def test_honest_tasks_are_not_accused(name: str, gold: Any, bound: Bound | None) -> None:
    checks = examine(name, gold, bound)
    assert failed(checks) == [], [checks[n].detail for n in failed(checks)]
    assert {"items", "liveness", "refuses-nan", "refuses-empty"} <= set(checks)
    assert ("triviality" in checks) == (bound is not None)


@pytest.mark.parametrize("constant", [0.75, 1.0])
def test_a_hard_coded_metric_is_dead(constant: float) -> None:
    checks = examine(binary(lambda predictions, gold: constant), GOLD, Bound(at_least=0.7))
    assert "every policy scores the same" in checks["liveness"].detail
    assert {"liveness", "triviality"} <= set(failed(checks))


def test_a_metric_with_its_direction_wrong_is_dead() -> None:
    auroc = metrics.get("classification.auroc").compute
    assert failed(examine(binary(auroc), GOLD)) == []
    checks = examine(binary(auroc, "lower"), GOLD)
    assert failed(checks) == ["liveness"]
    assert "no better than the shuffled" in checks["liveness"].detail


def test_a_form_that_gives_no_shuffled_policy_is_told_so() -> None:
    def form(gold: Any, rng: Any) -> dict[str, Any]:
        return {name: np.asarray(gold, float) for name in ("oracle", "inverted", "constant", "random")}

    found = examine(
        Metric("own.metric", "higher", (0, 1), "test", metrics.get("classification.auroc").compute, policy_form=form),
        GOLD,
    )
    assert failed(found) == ["liveness"]
    assert found["liveness"].detail.endswith("metric own.metric: its policy_form gives no shuffled policy")


def test_a_metric_that_rewards_the_spread_alone_is_dead() -> None:
    checks = examine(binary(lambda predictions, gold: float(np.std(predictions))), GOLD)
    assert "liveness" in failed(checks)


def test_a_metric_whose_noise_falls_below_the_inverted_oracle_is_dead() -> None:
    """|AUROC - 0.5|: the inverted oracle is as good as the oracle."""
    auroc = metrics.get("classification.auroc").compute
    checks = examine(binary(lambda predictions, gold: abs(auroc(predictions, gold) - 0.5)), GOLD)
    assert "no better than its inversion" in checks["liveness"].detail


def test_a_metric_that_rewards_being_consistently_wrong_is_dead() -> None:
    auroc = metrics.get("classification.auroc").compute
    checks = examine(binary(lambda predictions, gold: {1.0: 1.0, 0.0: 0.9}.get(auroc(predictions, gold), 0.5)), GOLD)
    assert "the inverted oracle beats the shuffled policy" in checks["liveness"].detail


def test_a_metric_that_scores_nothing_is_caught() -> None:
    """Metrics that turn NaN or no predictions into a number; the guard of `compute` is taken out on purpose."""

    class Loose(Metric):
        def _guard(self, predictions: Any, gold: Any) -> None:
            """Let everything through."""

    def formula(predictions: Any, gold: Any) -> float:
        if len(predictions) != len(gold):
            return 1.0
        return float(np.mean(np.nan_to_num(predictions) == gold))

    loose = Loose(
        "own.loose", "higher", (0, 1), "test", formula, policy_form=metrics.get("classification.auroc").policy_form
    )
    checks = examine(loose, GOLD)
    assert failed(checks) == ["refuses-nan", "refuses-empty"]
    assert checks["refuses-empty"].detail == "empty predictions score 1"
    assert checks["refuses-nan"].detail == "nan predictions score 0.5"


@pytest.mark.parametrize("gold", [np.ones(60, int), np.zeros(60, int)])
def test_a_one_class_evaluation_is_dead(gold: np.ndarray) -> None:
    for name in ("classification.auroc", "classification.brier_skill", "classification.accuracy"):
        assert "liveness" in failed(examine(name, gold))


def test_a_ranking_without_distractors_is_dead() -> None:
    gold = {"relevant": [0] * 60, "candidates": [1] * 60}
    assert "every policy scores the same" in examine("ranking.mrr", gold)["liveness"].detail


@pytest.mark.parametrize(
    ("name", "gold", "bound"),
    [
        ("classification.auroc", GOLD, Bound(at_least=0.5)),
        ("classification.accuracy", [1] * 50 + [0] * 10, Bound(at_least=0.8)),
        ("ranking.recall_at_k", {"relevant": [0] * 60, "candidates": [12] * 60}, Bound(at_least=0.8)),
        ("ranking.mrr", {"relevant": [1] * 60, "candidates": [2] * 60}, Bound(at_least=0.44)),
        ("calibration.brier", GOLD, Bound(at_most=0.25)),
        ("regression.mae", np.arange(60.0), Bound(at_most=15.0)),
        ("regression.rmse", np.arange(60.0), Bound(at_most=17.4)),
        ("regression.r2", np.arange(60.0), Bound(at_least=0.0)),
    ],
)
def test_a_bound_that_a_cheap_policy_keeps_is_trivial(name: str, gold: Any, bound: Bound) -> None:
    checks = examine(name, gold, bound)
    assert "triviality" in failed(checks)
    assert "demands nothing" in checks["triviality"].detail


@pytest.mark.parametrize("lengths", [np.full(60, 12), np.arange(60) % 9 + 6, np.r_[np.full(55, 12), np.ones(5, int)]])
@pytest.mark.parametrize("place", [0, 3, -1])
def test_candidates_whose_order_tells_the_right_one_are_named(place: int, lengths: np.ndarray) -> None:
    """Nearly all of the right ones at one place, from the first or from the last, a few elsewhere."""
    relevant = np.where(np.arange(60) < 55, place % lengths if place < 0 else place, np.minimum(4, lengths - 1))
    check = examine("ranking.mrr", {"relevant": relevant, "candidates": lengths}, Bound(at_least=0.8))["triviality"]
    assert not check.ok
    assert check.detail.startswith(("place 0.9", "place 1 "))  # where all others have one candidate, 1
    assert "shuffle them, by item" in check.detail


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("answers", [2, 10, 100])
def test_a_pool_of_which_few_are_asked_about_is_honest(answers: int, k: int) -> None:
    """Three hundred queries, each about one of a few documents of a pool: to know which would be gold itself."""
    relevant = np.random.default_rng(0).integers(0, answers, 300)
    gold = {"relevant": relevant, "candidates": [10_000] * 300}
    assert examine("ranking.hits_at_k", gold, Bound(at_least=0.6), k=k)["triviality"].ok


def test_what_most_are_asked_about_is_no_telling_place() -> None:
    """Eight queries in ten about one document of a pool: popular, and no proof of a telling order."""
    gold = {"relevant": [7] * 240 + list(range(10, 70)), "candidates": [10_000] * 300}
    assert examine("ranking.hits_at_k", gold, Bound(at_least=0.6), k=1)["triviality"].ok


@pytest.mark.parametrize("relevant", [[], [-1] * 30, [0.5] * 30, [2**45] * 30, [[0]] * 30])
def test_gold_that_is_no_gold_is_told_and_raises_nothing(relevant: list[Any]) -> None:
    with contextlib.suppress(MetricError):
        examine("ranking.mrr", {"relevant": relevant, "candidates": [5] * 30}, Bound(at_least=0.5))


def test_a_supporting_metric_is_trivial_by_nature_and_says_so() -> None:
    check = examine("calibration.ece", GOLD, Bound(at_most=0.08))["triviality"]
    assert check.ok
    assert check.detail == "constant 0 keeps to <= 0.08: proves nothing without a discriminating row"


@pytest.mark.parametrize(("items", "told"), [(60, "60 items"), (1, "1 item")])
def test_a_bound_that_the_oracle_misses_is_unreachable(items: int, told: str) -> None:
    """Half of the true labels have no column: the best possible F1 is 0.667 against a bar of 0.70."""
    gold = {"labels": np.eye(20)[np.arange(items) % 20], "outside": [1] * items}
    checks = examine("classification.micro_f1", gold, Bound(at_least=0.70))
    assert "reachability" in failed(checks)
    said = checks["reachability"].detail
    assert said == f"{told}: best possible classification.micro_f1 is 0.667, threshold >= 0.7"


@pytest.mark.parametrize("bound", [Bound(at_least=0.7), Bound(above=0.95), Bound(within=(0.9, 1.0))])
def test_the_number_of_items_that_could_decide_is_the_smallest_one(bound: Bound) -> None:
    """Law: with that many right answers of as many, Clopper and Pearson's interval keeps to the bound; with one less
    it does not."""

    def low(n: int) -> float:
        return float(stats.binomtest(n, n).proportion_ci(0.95, method="exact").low)

    said = liveness.undecidable(metrics.get("classification.accuracy"), 1, bound)
    needed = int(said.split(": ")[1].split()[0])
    assert bound.holds(low(needed), 1.0)
    assert not bound.holds(low(needed - 1), 1.0)
    assert liveness.undecidable(metrics.get("classification.accuracy"), needed, bound) == ""


@pytest.mark.parametrize(("name", "needed"), [("latency.p50_ms", 6), ("latency.p95_ms", 72), ("latency.p99_ms", 368)])
def test_a_percentile_of_few_calls_has_no_upper_end(name: str, needed: int) -> None:
    metric, bound = metrics.get(name), Bound(below=10)
    assert f"{needed} are needed" in liveness.undecidable(metric, needed - 1, bound)
    assert liveness.undecidable(metric, needed, bound) == ""
    assert liveness.undecidable(metric, 1, Bound(at_least=1)) == ""
    assert metric.quantile is not None
    assert statistics.quantile_interval(np.arange(needed - 1.0), metric.quantile) is None
    assert statistics.quantile_interval(np.arange(float(needed)), metric.quantile) is not None


def test_an_exact_bound_at_the_end_of_the_range_is_reachable() -> None:
    assert failed(examine("classification.accuracy", GOLD, Bound(equals=1))) == []


def test_too_few_items_are_named() -> None:
    checks = examine("classification.auroc", [0, 1] * 5)
    assert failed(checks) == ["items"]
    assert checks["items"].detail == "10 items, 20 are needed"


def test_gold_that_no_policy_can_be_built_on_is_a_failed_check_and_no_traceback() -> None:
    assert "liveness" in failed(examine("classification.auroc", [0, 1, 2] * 10))
    checks = examine("ranking.ndcg_at_k", np.zeros((30, 4)))
    assert "cannot be scored: query 0 has no relevant candidate" in checks["liveness"].detail


def test_it_is_deterministic() -> None:
    first = liveness.examine(metrics.get("classification.auroc"), GOLD, {}, Bound(at_least=0.7))
    assert first == liveness.examine(metrics.get("classification.auroc"), GOLD, {}, Bound(at_least=0.7))


def test_only_predictions_are_examined() -> None:
    for name in ("training.updates", "latency.mean_ms", "artifact.parameters", "features.told_apart"):
        assert liveness.examine(metrics.get(name), GOLD, {}, None) == []


# ------------------------------------------------------------------------------ probes of a metric

RUNS = [{f"d{i}": 1.0} for i in range(60)]


def runs_metric(per_item: Any, **more: Any) -> Metric:
    policies = metrics.get("ranking.ndcg_at_k").policy_form
    return Metric("own.runs", "higher", (0.0, 1.0), "test", per_item=per_item, policy_form=policies, **more)


def first_rank(predictions: Any, gold: Any, tie: str = "expected", absent: float = 0.0) -> np.ndarray:
    """Reciprocal rank of the one relevant document; ties and absent documents as the argument says."""
    values = []
    for run, judged in zip(predictions, gold, strict=True):
        (relevant,) = judged
        if relevant not in run:
            values.append(absent)
            continue
        better = sum(score > run[relevant] for score in run.values())
        tied = sum(score == run[relevant] for score in run.values()) - 1
        values.append(1 / (1 + better + {"expected": tied / 2, "hit": 0}[tie]))
    return np.array(values)


def test_an_honest_metric_of_runs_passes_every_probe() -> None:
    checks = examine(runs_metric(first_rank), RUNS, Bound(at_least=0.5))
    assert failed(checks) == []
    assert {"ties", "every-query", "gold-absent"} <= set(checks)


def test_ties_that_count_as_hits_are_seen() -> None:
    checks = examine(runs_metric(lambda p, g: first_rank(p, g, tie="hit")), RUNS)
    assert "ties" in failed(checks) or "liveness" in failed(checks)


def test_one_tied_wrong_answer_short_of_constant_is_seen() -> None:
    """A metric that breaks ties for the right answer only when something lies below it: constants look honest."""

    def per_item(predictions: Any, gold: Any) -> np.ndarray:
        flat = [len(set(run.values())) == 1 for run in predictions]
        expected, hit = first_rank(predictions, gold), first_rank(predictions, gold, tie="hit")
        return np.where(flat, expected, hit)

    checks = examine(runs_metric(per_item), RUNS)
    assert failed(checks) == ["ties"]
    assert checks["ties"].detail == "wrong answers tied with the right ones score 1, the oracle 1"


def test_absent_gold_that_counts_as_a_hit_is_seen() -> None:
    checks = examine(runs_metric(lambda p, g: first_rank(p, g, absent=1.0)), RUNS)
    assert {"gold-absent", "every-query"} <= set(failed(checks))


def test_unanswered_queries_left_out_of_the_mean_are_seen() -> None:
    def per_item(predictions: Any, gold: Any) -> np.ndarray:
        answered = [(run, judged) for run, judged in zip(predictions, gold, strict=True) if run]
        mean = float(first_rank(*zip(*answered, strict=True)).mean())
        return np.full(len(gold), mean)

    assert failed(examine(runs_metric(per_item), RUNS)) == ["every-query"]


def test_an_independent_implementation_that_disagrees_is_seen() -> None:
    def reference(predictions: Any, gold: Any) -> float:
        return float(first_rank(predictions, gold).mean())

    assert failed(examine(runs_metric(first_rank, independent=reference), RUNS)) == []
    wrong = runs_metric(lambda p, g: first_rank(p, g) ** 2, independent=reference)
    checks = examine(wrong, RUNS)
    assert failed(checks) == ["reference"]
    assert "the independent implementation says" in checks["reference"].detail


@pytest.mark.parametrize(("n", "ok"), [(60, False), (400, True)])
def test_a_bound_that_a_perfect_score_cannot_show_needs_more_items(n: int, ok: bool) -> None:
    """0.025 ** (1 / n) is the exact lower limit for n right answers of n: 0.9404 at 60, 0.9908 at 400."""
    gold = np.arange(n) % 2
    checks = examine("classification.accuracy", gold, Bound(at_least=0.99))
    assert checks["decidable"].ok is ok
    assert ("even 60 right answers of 60 leave [0.94, 1]" in checks["decidable"].detail) is not ok


def test_training_inputs_that_are_one_and_the_same_or_empty_are_seen() -> None:
    def record(rows: list[list[int]]) -> dict[str, Any]:
        return {"token_ids": {"samples": [[f"r{i}", row] for i, row in enumerate(rows)]}}

    alive = {c.name: c.ok for c in liveness.training_alive(record([[1, i] for i in range(20)]))}
    assert alive == {"inputs-filled": True, "unique-inputs": True}
    assert not {c.name: c.ok for c in liveness.training_alive(record([[1, 2]] * 20))}["unique-inputs"]
    assert not {c.name: c.ok for c in liveness.training_alive(record([[]] * 20))}["inputs-filled"]
    assert liveness.training_alive(record([[1]] * 3)) == []
    assert liveness.training_alive({}) == []


# ------------------------------------------------------------------------------ predictions


@pytest.mark.parametrize(
    "predictions",
    [
        [0.1, 0.2, 0.1],
        np.array([0.1, 0.2, 0.1]),
        ["a", "b", "a"],
        [[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 4]],
        {"scores": np.array([[0.1, 0.2], [0.1, 0.3], [0.1, 0.2]])},
        {"first": ["a", "b", "c"], "second": ["a", "b", "c"]},
        [np.zeros((2, 3)), np.zeros((3, 3)), np.zeros((2, 3))],
        [{"d1": 0.5}, {"d1": 0.6}, {}],
        np.array([[0.0, -math.inf], [1.0, -math.inf], [0.5, 0.1]]),
        {"optimistic": np.array([1.0, math.inf, 3.0]), "pessimistic": np.array([2.0, math.inf, 3.0])},  # unanswered
        {"optimistic": [1.0, math.inf, 3.0], "pessimistic": [2.0, math.inf, 3.0]},
    ],
)
def test_living_predictions_pass(predictions: Any) -> None:
    checks = liveness.predictions_alive(predictions, 3)
    assert [c.name for c in checks] == ["length", "finite", "varied"]
    assert all(c.ok for c in checks)


@pytest.mark.parametrize(
    ("predictions", "name", "detail"),
    [
        ([0.1, 0.2], "length", "2 answers to 3 items"),
        ([], "length", "0 answers to 3 items"),
        ({"a": [1, 2, 3], "b": [1, 2]}, "length", "one entry per item is needed everywhere, got a 3, b 2"),
        (None, "length", "NoneType holds no items: give a list, an array or a mapping of them"),
        ([0.1, math.nan, 0.2], "finite", "1 of 3 answers are not finite"),
        (np.array([0.1, math.inf, math.nan]), "finite", "2 of 3 answers are not finite"),
        (np.array([0.1, -math.inf, 0.2]), "finite", "1 of 3 answers are not finite"),
        (
            {"optimistic": [1.0, -math.inf, math.inf], "pessimistic": [1.0, 2.0, math.inf]},
            "finite",
            "optimistic: 1 of 3 answers are not finite",
        ),
        (
            {"optimistic": np.array([1.0, math.nan, 2.0]), "pessimistic": np.array([1.0, 2.0, 3.0])},
            "finite",
            "optimistic: 1 of 3 answers are not finite",
        ),
        (
            {"scores": np.array([[1.0, math.inf], [0.0, 1.0], [0.0, 2.0]])},
            "finite",
            "scores: 1 of 3 answers are not finite",
        ),
        ({"scores": np.array([[1.0, math.nan]] * 3)}, "finite", "scores: 3 of 3 answers are not finite"),
        ([0.630, 0.630, 0.630], "varied", "all 3 answers are the same: 0.63"),
        ([0.630, 0.630 + 1e-9, 0.630], "varied", "all 3 answers are the same: 0.63"),
        ([{"d": 1}, {"d": 1}, {"d": 1}], "varied", "all 3 answers are the same: {'d': 1}"),
        ({"scores": np.ones((3, 2))}, "varied", "all 3 answers are the same: array([1., 1.])"),
    ],
)
def test_dead_predictions_are_named_with_their_numbers(predictions: Any, name: str, detail: str) -> None:
    last = liveness.predictions_alive(predictions, 3)[-1]
    assert (last.name, last.ok, last.detail) == (name, False, detail)
