"""What a flight record proves: each rule against hand-made records, learning rates against PyTorch's own schedulers."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import metrics
from assay.errors import MetricError
from assay.metrics.training import digest
from assay.recorder import records_digest

DEV = ["d1", "d2", "d3"]


def flight(**changes: Any) -> dict[str, Any]:
    """An honest run: 2 epochs over 5 records in batches of 2."""
    evaluations = [
        {"update": u, "training_mode": False, "loss": loss, "records": 3, "records_digest": records_digest(DEV)}
        for u, loss in [(0, 2.0), (3, 1.0), (6, 1.2)]
    ]
    record = {
        "updates": 6,
        "skipped_updates": 0,
        "losses": [2.0, 1.5, 1.2, 1.1, 1.0, 0.9],
        "components": {"bugs": [1.0, None, 0.6, 0.5, 0.5, 0.4], "imports": [1.0, 1.5, 0.6, 0.6, 0.5, 0.5]},
        "totals_gap": 1e-7,
        "backward_gap": 1e-8,
        "lrs": [[0.1]] * 6,
        "scheduler_metrics": [],
        "dtypes": {"bfloat16": 75, "float32": 25},
        "label_counts": {"bug_labels": {"min": 1, "empty": 0, "samples": 10}},
        "records": ["a", "b", "c", "d", "e"],
        "token_ids": {"distinct": 95, "max": 99},
        "parameters": {"counted": 1000, "without_gradient": [], "never_moved": [], "frozen": []},
        "evaluations": evaluations,
    }
    return {**record, **changes}


DECLARED = {
    "profile": {"epochs": 2, "batch_size": 2, "learning_rate": 0.1, "precision": "bf16"},
    "records": ["a", "b", "c", "d", "e"],
    "parameters": 1000,
    "schedule": "constant",
    "vocabulary": 100,
    "dev_records": DEV,
    "test_records": ["t1"],
}


def compute(name: str, record: dict[str, Any], **declared: Any) -> float:
    return metrics.get(f"training.{name}").compute(record, {**DECLARED, **declared})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("finite", 0), ("updates", 1), ("schedule", 0), ("parameters", 0), ("records", 1), ("tokens", 0.95),
        ("labels", 0), ("components", 1e-7), ("evaluation", 0), ("learns", 0.6), ("precision", 0.75),
    ],
)  # fmt: skip
def test_an_honest_run_has_its_values(name: str, value: float) -> None:
    assert compute(name, flight()) == pytest.approx(value)


@pytest.mark.parametrize("name", [n for n in metrics.names() if metrics.get(n).consumes == "flight"])
def test_an_empty_record_is_refused(name: str) -> None:
    with pytest.raises(metrics.InvalidPredictionsError, match=r"flight record|no component"):
        metrics.get(name).compute({}, DECLARED)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("finite", {"losses": []}, "no loss"),
        ("schedule", {"lrs": []}, "no learning rate"),
        ("parameters", {"parameters": {"counted": 0, "without_gradient": [], "never_moved": []}}, "no parameter"),
        ("tokens", {"token_ids": {"distinct": 0, "max": -1}}, "no token"),
        ("labels", {"label_counts": {}}, "no label tensor"),
        ("labels", {"label_counts": {"labels": {"min": 1, "samples": 0}}}, "no sample"),
        ("components", {"components": {}}, "no components"),
        ("components", {"totals_gap": math.nan}, "not seen"),
        ("components", {"backward_gap": math.nan}, "not seen"),
        ("evaluation", {"evaluations": []}, "no evaluation"),
        ("learns", {"evaluations": flight()["evaluations"][1:]}, "before the first update"),
        ("learns", {"evaluations": flight()["evaluations"][:1]}, "after an update"),
        ("precision", {"dtypes": {}}, "no matrix product"),
    ],
)  # fmt: skip
def test_what_was_not_seen_is_never_a_number(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(metrics.InvalidPredictionsError, match=message):
        compute(name, flight(**changes))


def test_what_is_not_declared_is_named_with_the_way_out() -> None:
    with pytest.raises(MetricError, match=r'"vocabulary" is declared nowhere.*declared=\{"vocabulary": \.\.\.\}'):
        metrics.get("training.tokens").compute(flight(), {"profile": {}})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_every_loss_that_is_not_finite_counts(bad: float) -> None:
    assert compute("finite", flight(losses=[1.0, bad, bad])) == 2
    assert compute("finite", flight(components={"bugs": [1.0, None, bad]})) == 1
    assert compute("finite", flight(skipped_updates=3)) == 3
    evaluations = [{**flight()["evaluations"][0], "loss": bad}]
    assert compute("finite", flight(evaluations=evaluations)) == 1


@pytest.mark.parametrize(
    ("made", "declared", "expected"),
    [
        (7, {"epochs": 500, "batch_size": 1, "records": 1}, 7 / 500),
        (4, {"drop_last": True}, 1.0),
        (4, {"accumulation": 2}, 1.0),
        (6, {"accumulation": 2}, 1.5),
        (12, {"updates": 12}, 1.0),
    ],
)
def test_updates_are_counted_against_the_declaration(made: int, declared: dict[str, Any], expected: float) -> None:
    assert compute("updates", flight(updates=made), **declared) == pytest.approx(expected)


def test_early_stopping_is_replayed() -> None:
    """Dev losses 3, 2, 2.5, 2.1: with patience 2 training ends at the fourth, update 30 of 100."""
    told = [[0, 3.0], [10, 2.0], [20, 2.5], [30, 2.1]]
    stop = {"updates": 100, "stop_patience": 2}
    assert compute("updates", flight(updates=30, scheduler_metrics=told), **stop) == 1
    assert compute("updates", flight(updates=40, scheduler_metrics=told), **stop) == pytest.approx(4 / 3)
    assert compute("updates", flight(updates=30, scheduler_metrics=told[:3]), **stop) == pytest.approx(0.3)
    observed = [{**flight()["evaluations"][0], "update": u, "loss": loss} for u, loss in told]
    assert compute("updates", flight(updates=30, evaluations=observed), **stop) == 1
    more = [*told, [40, 3.0], [50, 3.0]]  # counted from update 10: 2.5 is the first, 2.1 the best
    assert compute("updates", flight(updates=50, scheduler_metrics=more), **stop, chosen_from=10) == 1


# ------------------------------------------------------------------------------ learning rates


def optimizer(rates: list[float]) -> Any:
    import torch

    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])


def rates_of(made: Any) -> list[float]:
    return [float(group["lr"]) for group in made.param_groups]


@pytest.mark.parametrize("factor", [0.5, 0.1])
@pytest.mark.parametrize("seed", range(5))
def test_reduce_on_plateau_is_replayed_as_pytorch_plays_it(factor: float, seed: int) -> None:
    import torch

    chance, made = random.Random(seed), optimizer([0.1, 0.02])
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        made, factor=factor, patience=1, cooldown=seed % 2, min_lr=1e-4, threshold=1e-2
    )
    seen, told = [], []
    for update in range(120):
        if update % 3 == 0:
            told.append([update, 1 + chance.random() / (1 + update / 40)])
            scheduler.step(told[-1][1])
        seen.append(rates_of(made))
    record = flight(lrs=seen, scheduler_metrics=told)
    declared = {
        "schedule": "plateau", "learning_rate": [0.1, 0.02], "plateau_factor": factor, "plateau_patience": 1,
        "plateau_cooldown": seed % 2, "plateau_minimum": 1e-4, "plateau_threshold": 1e-2,
    }  # fmt: skip
    assert seen[0] != seen[-1]
    assert compute("schedule", record, **declared) < 1e-9
    assert compute("schedule", record, **{**declared, "plateau_factor": 0.7}) > 0.1
    assert compute("schedule", flight(lrs=[[0.1, 0.02]] * 120, scheduler_metrics=told), **declared) > 0.1
    with pytest.raises(metrics.InvalidPredictionsError, match="never given a dev loss"):
        compute("schedule", flight(lrs=seen), **declared)


def test_cosine_is_pytorchs() -> None:
    import torch

    made = optimizer([0.1])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(made, T_max=50, eta_min=0.01)
    seen = []
    for _ in range(50):
        seen.append(rates_of(made))
        made.step()
        scheduler.step()
    declared = {"schedule": "cosine", "minimum_rate": 0.1}
    assert compute("schedule", flight(lrs=seen), **declared) < 1e-9
    assert compute("schedule", flight(lrs=seen), schedule="linear", minimum_rate=0.1) > 0.05


@given(st.integers(1, 10), st.integers(0, 1))
def test_linear_with_warm_up_by_hand(warmup: int, offset: int) -> None:
    total = 40
    seen = [
        [0.1 * (u + offset) / warmup] if u < warmup else [0.1 * (total - u - offset) / (total - warmup)]
        for u in range(total)
    ]
    declared = {"schedule": "linear", "warmup_updates": warmup, "warmup_offset": offset}
    assert compute("schedule", flight(lrs=seen), **declared) < 1e-9
    flat = [[min(1.0, rates[0] / 0.1) * 0.1] for rates in seen[:warmup]] + [[0.1]] * (total - warmup)
    assert compute("schedule", flight(lrs=flat), **{**declared, "schedule": "constant"}) < 1e-9
    assert compute("schedule", flight(lrs=flat), **declared) > 0.5


def test_a_schedule_that_was_never_stepped_shows() -> None:
    assert compute("schedule", flight(), schedule="linear") == pytest.approx(5 / 6)


def test_a_schedule_stepped_per_epoch_shows() -> None:
    seen = [[0.1 * (1 - (u // 10) / 40)] for u in range(40)]
    assert compute("schedule", flight(lrs=seen), schedule="linear") > 0.5


def test_schedules_that_make_no_sense_are_refused() -> None:
    for declared, message in [
        ({"schedule": "step"}, 'schedule "step" is not known'),
        ({"schedule": "linear", "warmup_updates": 6}, "leaves none"),
        ({"learning_rate": [0.1, 0.2]}, "2 learning rates are declared"),
    ]:
        with pytest.raises(MetricError, match=message):
            compute("schedule", flight(), **declared)


# ------------------------------------------------------------------------------ parameters, data, labels


def test_idle_parameters_count_once_unless_declared_frozen() -> None:
    seen = {
        "counted": 1000,
        "without_gradient": ["gate", "base.w"],
        "never_moved": ["gate", "base.b"],
        "frozen": ["emb"],
    }
    assert compute("parameters", flight(parameters=seen)) == 4
    assert compute("parameters", flight(parameters=seen), frozen=["base.", "emb"]) == 1
    assert compute("parameters", flight(parameters=seen), frozen=["bas", "emb"]) == 3
    assert compute("parameters", flight(), parameters=1003) == 3


def test_batches_without_record_ids_are_no_zero() -> None:
    with pytest.raises(MetricError, match='give batches a "record_id"'):
        metrics.get("training.records").compute({"records": []}, {"records": ["a"]})


def test_records_that_never_reached_a_loss_are_missed() -> None:
    assert compute("records", flight(records=["a"])) == pytest.approx(0.2)
    assert compute("records", flight(records=[1, 2]), records=[1, 2, 3, 4]) == 0.5
    assert compute("records", flight(records=["a"]), records=29_174) == pytest.approx(1 / 29_174)


def test_records_from_elsewhere_are_a_leak() -> None:
    with pytest.raises(MetricError, match="1 records reached a loss that are not in the training split: x"):
        compute("records", flight(records=["a", "x"]))
    with pytest.raises(MetricError, match="5 distinct records"):
        compute("records", flight(), records=4)


def test_an_id_beyond_the_vocabulary_is_an_error() -> None:
    with pytest.raises(MetricError, match="token id 99"):
        compute("tokens", flight(), vocabulary=99)
    assert compute("tokens", flight(token_ids={"distinct": 339, "max": 338}), vocabulary=8000) < 0.05


def test_samples_without_label_are_counted_for_each_loss() -> None:
    counts = {
        "a_labels": {"min": 0, "empty": 3, "samples": 10},
        "b_labels": {"min": 0, "samples": 10},
        "c_labels": {"min": 2, "empty": 0, "samples": 10},
    }
    assert compute("labels", flight(label_counts=counts)) == 4
    assert compute("labels", flight(label_counts=counts), active_labels=["c_labels"]) == 0
    with pytest.raises(metrics.InvalidPredictionsError, match="labels d_labels were never seen"):
        compute("labels", flight(label_counts=counts), active_labels=["d_labels"])


def test_a_rescaled_loss_shows() -> None:
    assert compute("components", flight(totals_gap=63 / 64)) == pytest.approx(63 / 64)
    assert compute("components", flight(backward_gap=0.5)) == 0.5


# ------------------------------------------------------------------------------ evaluation


def evaluation(**changes: Any) -> dict[str, Any]:
    return {**flight()["evaluations"][0], **changes}


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"training_mode": True}, 1),
        ({"records": 1, "records_digest": records_digest(["d1"])}, 1),
        ({"records_digest": records_digest(["d1", "d2", "t1"])}, 1),
        ({"records": 6, "records_digest": records_digest(DEV * 2)}, 0),
        ({"records": 6, "records_digest": records_digest(["d1"] * 4 + ["d2", "d3"])}, 1),
        ({"records": 0, "records_digest": records_digest([])}, 1),
    ],
)
def test_faults_of_an_evaluation(changes: dict[str, Any], faults: int) -> None:
    record = flight(evaluations=[evaluation(), evaluation(**changes)])
    assert compute("evaluation", record) == faults


def test_dev_records_in_the_test_split_are_faults() -> None:
    assert compute("evaluation", flight(), test_records=["d1", "d3", "t"]) == 2
    with pytest.raises(metrics.UndefinedMetricError):
        compute("evaluation", flight(), dev_records=[])


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_the_digest_is_the_recorders(ids: list[str]) -> None:
    assert digest(ids) == records_digest(ids)
    assert digest(ids, 2) == records_digest(ids * 2)


def test_the_peak_is_no_result_unless_early_stopping_chose_it() -> None:
    assert compute("learns", flight()) == pytest.approx(1.2 / 2)
    assert compute("learns", flight(), stop_patience=3) == pytest.approx(1.0 / 2)
    assert compute("learns", flight(), chosen="best") == pytest.approx(1.0 / 2)
    assert compute("learns", flight(), constant_loss=1.5) == pytest.approx(1.2 / 1.5)
    with pytest.raises(MetricError, match="peak"):
        compute("learns", flight(), chosen="peak")


def test_a_step_that_is_never_kept_is_not_the_result() -> None:
    """Dev losses 2, 1, 1.2 at updates 0, 3, 6: from update 3 on only the last can be chosen."""
    assert compute("learns", flight(), stop_patience=3, chosen_from=2) == pytest.approx(1.0 / 2)
    assert compute("learns", flight(), stop_patience=3, chosen_from=3) == pytest.approx(1.2 / 2)
    with pytest.raises(metrics.InvalidPredictionsError, match="after update 6"):
        compute("learns", flight(), stop_patience=3, chosen_from=6)


def test_one_component_learns_at_the_step_that_the_whole_loss_chose():
    """Update 3 has the least total, although "b" is lower at update 6; the constant counts where it is lower."""
    parts = [{"a": 1.5, "b": 0.5}, {"a": 0.6, "b": 0.4}, {"a": 1.0, "b": 0.2}]
    evaluations = [{**one, "components": two} for one, two in zip(flight()["evaluations"], parts, strict=True)]
    seen = flight(evaluations=evaluations)

    def learns(component: str, **declared: Any) -> float:
        known = {"profile": {}, "stop_patience": 3, **declared}
        return metrics.get("training.learns").compute(seen, known, component=component)

    assert learns("b") == pytest.approx(0.4 / 0.5)
    assert learns("a") == pytest.approx(0.6 / 1.5)
    assert learns("a", constant_losses={"a": 1.2, "b": 9.0}) == pytest.approx(0.6 / 1.2)
    assert learns("b", constant_losses={"a": 1.2, "b": 9.0}) == pytest.approx(0.4 / 0.5)
    assert learns("b", chosen="last") == pytest.approx(0.2 / 0.5)
    with pytest.raises(MetricError, match='no loss component "c" was seen; known: a, b'):
        learns("c")


def test_precision_is_what_the_products_were_computed_in() -> None:
    assert compute("precision", flight(), precision="fp32") == 0.25
    assert compute("precision", flight(dtypes={"float32": 5})) == 0.0
    with pytest.raises(MetricError, match="bf61"):
        compute("precision", flight(), precision="bf61")
