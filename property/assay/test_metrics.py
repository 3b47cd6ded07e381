"""Laws of every metric: names and options are checked, items can be taken, no missing prediction is a number."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import metrics
from assay.errors import MetricError
from assay.metrics import Metric
from assay.metrics import registry as registry_module
from assay.metrics.metric import arrays, has_nan, size, take

BINARY = {"label": [0, 1] * 20, "stratum": ["a", "a", "b", "b"] * 10}
CLASSES = {"label": ["x", "y", "z", "x"] * 10, "stratum": ["a", "b"] * 20}
GOLD = {
    "calibration.brier": BINARY,
    "calibration.ece": BINARY,
    "classification.accuracy": CLASSES,
    "classification.auroc": BINARY,
    "classification.brier_skill": BINARY,
    "classification.false_positive_rate": {**BINARY, "threshold": [7.0] * 40},
    "classification.macro_accuracy": CLASSES,
    "classification.macro_auroc": BINARY,
    "classification.macro_recall_at_fpr": BINARY,
    "classification.micro_f1": {"labels": np.eye(8)[np.arange(40) % 8], "outside": [0] * 40},
    "classification.recall_at_k": {"labels": np.eye(8)[np.arange(40) % 8], "outside": [0] * 40},
    "generation.bleu": [f"my name is answer number {i} and i like it" for i in range(40)],
    "generation.rouge_l": [f"my name is answer number {i} and i like it" for i in range(40)],
    "ranking.hits_at_k": {"relevant": np.arange(40) % 30, "candidates": [30] * 40},
    "ranking.mrr": np.eye(12)[np.arange(40) % 12],
    "ranking.ndcg_at_k": [{f"d{i}": 2, f"d{i + 1}": 1} for i in range(40)],
    "ranking.recall_at_k": {"gains": np.eye(30)[np.arange(40) % 30]},
    "regression.mae": [0.0, 1.0] * 20,
    "regression.r2": [0.0, 1.0] * 20,
    "regression.rmse": [0.0, 1.0] * 20,
    "text.exact_match": [f"answer {i}" for i in range(40)],
    "text.token_f1": [f"answer {i}" for i in range(40)],
}
JUDGED = sorted(GOLD)


def policies(name: str, seed: int = 0) -> dict[str, object]:
    return metrics.get(name).policies(GOLD[name], np.random.default_rng(seed))


def test_every_metric_of_predictions_is_examined_here_or_with_its_geometry() -> None:
    elsewhere = {name for name in metrics.names() if name.startswith("geometry.")} | {"ranking.groups_won"}
    judged = {name for name in metrics.names() if metrics.get(name).consumes == "predictions"}
    assert sorted(judged - elsewhere) == JUDGED


def test_importing_the_metrics_loads_nothing_heavy() -> None:
    code = "import sys, assay.metrics; print([m for m in ('scipy', 'sklearn', 'torch', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(metrics.UnknownMetricError, match=r'unknown metric "ranking.mmr"; did you mean "ranking.mrr"\?'):
        metrics.get("ranking.mmr")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ranking.ndcg_at_k", {"kk": 3}, r'no option "kk"; it takes k, gain; did you mean "k"'),
        ("classification.auroc", {"k": 3}, 'no option "k"; it takes none'),
    ],
)
def test_unknown_option_is_refused(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(metrics.InvalidOptionError, match=message):
        metrics.get(name).compute([0.1], [1], **options)


@pytest.mark.parametrize("k", [0, -1, 2.0, True])
@pytest.mark.parametrize(
    "name", ["ranking.ndcg_at_k", "ranking.mrr", "ranking.hits_at_k", "classification.recall_at_k"]
)
def test_a_depth_must_be_a_positive_whole_number(name: str, k: object) -> None:
    with pytest.raises(metrics.InvalidOptionError, match="whole number"):
        metrics.get(name).compute(policies(name)["oracle"], GOLD[name], k=k)


def test_a_needed_option_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def formula(predictions: list[float], gold: None, *, power: float) -> float:
        return predictions[0] ** power

    own = Metric("own.power", "higher", (0, math.inf), "test", formula)
    with pytest.raises(metrics.InvalidOptionError, match="needs the option power"):
        own.compute([2.0], [1])
    assert own.compute([2.0], [1], power=3) == 8


def test_a_registered_metric_is_found_and_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_metrics", dict(registry_module._metrics))
    policies = metrics.get("classification.accuracy").policy_form

    def doubled(predictions, gold):
        return 2.13 * sum(predictions)

    own = metrics.register(Metric("own.wrong", "higher", (0, 1), "test", doubled, policy_form=policies))
    assert metrics.get("own.wrong") is own
    assert own.module == __name__
    with pytest.raises(MetricError, match=r"gave 2.13, outside its range \[0, 1\]"):
        own.compute([1.0], [1])
    with pytest.raises(metrics.UndefinedMetricError):
        Metric("own.nan", "higher", (0, 1), "test", lambda predictions, gold: math.nan).compute([1.0], [1])
    with pytest.raises(MetricError, match="already registered"):
        metrics.register(Metric("own.wrong", "higher", (0, 1), "test", doubled, policy_form=policies))
    with pytest.raises(MetricError, match="names no policy_form"):
        metrics.register(Metric("own.other", "higher", (0, 1), "test", lambda predictions, gold: 1.0))


@pytest.mark.parametrize("name", ["auroc", "Own.x", "own.", ".x", "own. x"])
def test_a_name_reads_family_dot_metric(name: str) -> None:
    with pytest.raises(MetricError, match="lower case"):
        metrics.register(Metric(name, "higher", (0, 1), "test", lambda predictions, gold: 0.0))


def test_a_metric_has_exactly_one_formula() -> None:
    with pytest.raises(MetricError, match="either formula or per_item"):
        Metric("own.none", "higher", (0, 1), "test")


@pytest.mark.parametrize("name", JUDGED)
def test_nan_empty_and_missing_predictions_are_refused(name: str) -> None:
    metric, made = metrics.get(name), policies(name)
    short = take(made["oracle"], range(39))
    for bad, message in [
        (made["nan"], "NaN"),
        (made["empty"], "0 items"),
        (None, "no pred"),
        (short, "39 predictions"),
    ]:
        with pytest.raises(metrics.InvalidPredictionsError, match=message):
            metric.compute(bad, GOLD[name])


@pytest.mark.parametrize("name", JUDGED)
def test_one_nan_among_good_predictions_is_refused(name: str) -> None:
    made = policies(name)
    one = take(made["nan"], range(1))
    rest = take(made["oracle"], range(1, 40))

    def joined(a: object, b: object) -> object:
        if isinstance(a, dict) and isinstance(b, dict):
            return {key: joined(a[key], b[key]) for key in b}
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            return np.concatenate([a, b])
        assert isinstance(a, list)
        return [*a, *b] if isinstance(b, list) else [*a, *b.tolist()]  # type: ignore[attr-defined]

    with pytest.raises(metrics.InvalidPredictionsError, match="NaN"):
        metrics.get(name).compute(joined(one, rest), GOLD[name])


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_items_does_not_matter(name: str, seed: int) -> None:
    metric, made = metrics.get(name), policies(name)["random"]
    order = np.random.default_rng(seed).permutation(40)
    assert metric.compute(take(made, order), take(GOLD[name], order)) == pytest.approx(
        metric.compute(made, GOLD[name]), abs=1e-12
    )


@pytest.mark.parametrize("name", JUDGED)
def test_oracle_is_at_the_good_end_and_the_inverted_at_the_bad_one(name: str) -> None:
    metric, made = metrics.get(name), policies(name)
    best = metric.compute(made["oracle"], GOLD[name])
    worst = metric.compute(made["inverted"], GOLD[name])
    assert best == (1.0 if metric.direction == "higher" else 0.0)
    assert metric.ceiling(GOLD[name]) == best
    assert worst < 0.11 if metric.direction == "higher" else worst == 1.0


@pytest.mark.parametrize("name", [n for n in JUDGED if metrics.get(n).per_item])
def test_the_value_is_the_mean_of_the_items(name: str) -> None:
    metric, made = metrics.get(name), policies(name)["random"]
    items = metric.items(made, GOLD[name])
    assert items is not None
    assert items.shape == (40,)
    single = [metric.compute(take(made, [i]), take(GOLD[name], [i])) for i in range(40)]
    assert items.tolist() == pytest.approx(single)
    assert metric.compute(made, GOLD[name]) == pytest.approx(float(np.mean(single)))


@pytest.mark.parametrize("name", [n for n in JUDGED if metrics.get(n).chance_level(GOLD[n]) is not None])
def test_chance_is_what_guessing_earns(name: str) -> None:
    """Monte Carlo over 400 random policies (for labels and numbers: the strongest constant) meets the closed form."""
    metric, gold = metrics.get(name), GOLD[name]
    chance = metric.chance_level(gold)
    constant = metric.compute(policies(name)["constant"], gold)
    labels = ("classification.accuracy", "classification.macro_accuracy", "classification.brier_skill")
    if name in labels or name.startswith("regression."):
        assert chance == pytest.approx(constant)
        return
    if name == "calibration.brier":
        assert chance == pytest.approx(0.25) == pytest.approx(constant)
        return
    guessed = [metric.compute(policies(name, seed)["random"], gold) for seed in range(400)]
    error = float(np.std(guessed)) / 20
    assert np.mean(guessed) == pytest.approx(chance, abs=4 * error)


def test_take_reaches_every_leaf() -> None:
    data = {"a": [1, 2, 3], "b": {"c": np.arange(6).reshape(3, 2), "d": ("x", "y", "z")}}
    got = take(data, [2, 0])
    assert got["a"] == [3, 1]
    assert got["b"]["c"].tolist() == [[4, 5], [0, 1]]
    assert got["b"]["d"] == ["z", "x"]
    assert take(data, np.array([False, True, False]))["a"] == [2]
    assert take(None, [0]) is None
    assert Metric.take([5, 6], [1]) == [6]
    with pytest.raises(MetricError, match="str"):
        take("text", [0])


@given(st.lists(st.integers(), min_size=1), st.data())
def test_take_of_take_is_take_of_the_composition(values: list[int], data: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=5)
    first = data.draw(places)
    second = data.draw(st.lists(st.integers(0, len(first) - 1), max_size=5))
    assert take(take(values, first), second) == take(values, [first[i] for i in second])


def test_size_wants_one_entry_per_item_everywhere() -> None:
    assert size({"a": [1, 2], "b": np.zeros((2, 3))}) == 2
    assert size({}) == 0
    with pytest.raises(MetricError, match="a 2, b 3"):
        size({"a": [1, 2], "b": [1, 2, 3]})
    for nothing in ("text", 3, np.array(1.0)):
        with pytest.raises(MetricError, match="holds no items"):
            size(nothing)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1.0, math.nan], True),
        ({"a": [{"d": math.nan}]}, True),
        (np.array([1.0, math.nan]), True),
        (np.array([{"d": math.nan}], dtype=object), True),
        ([np.float32("nan")], True),
        ([1, "a", None, math.nan], True),
        ([np.float64(1.0), math.nan], True),
        ([1, [2.0, [math.nan]]], True),
        ([1.0, -math.inf, "nan", None], False),
        (np.arange(3), False),
    ],
)
def test_nan_is_found_anywhere(value: object, expected: bool) -> None:
    assert has_nan(value) is expected


@given(
    st.recursive(
        st.floats() | st.integers() | st.text() | st.none() | st.sampled_from([np.float32("nan"), np.arange(2.0)]),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    )
)
def test_law_nan_is_found_level_by_level_as_it_is_one_by_one(value: object) -> None:
    def one_by_one(x: object) -> bool:
        if isinstance(x, dict | list | tuple):
            return any(map(one_by_one, x.values() if isinstance(x, dict) else x))
        return isinstance(x, float | np.floating | np.ndarray) and bool(np.isnan(x).any())

    assert has_nan(value) is one_by_one(value)


def test_numbers_become_arrays_and_nothing_else_does() -> None:
    made = arrays({"a": [1, 2.5], "b": ["x"], "c": [[1], [2, 3]], "d": []})
    assert isinstance(made["a"], np.ndarray)
    assert made["b"] == ["x"]
    assert made["c"] == [[1], [2, 3]]
    assert made["d"] == []


@pytest.mark.parametrize("name", metrics.names())
def test_every_metric_says_what_it_takes(name: str) -> None:
    """Its own documentation, and the formats of its family where that has them."""
    said = registry_module.about(name)
    assert said.startswith(f"{name}: ")
    assert len(said.splitlines()) > 2
    assert "It is not documented" not in said
    assert ("optimistic" in said) == name.startswith("ranking.")


def test_an_unknown_metric_says_nothing() -> None:
    with pytest.raises(metrics.UnknownMetricError, match="did you mean"):
        registry_module.about("ranking.mmr")
