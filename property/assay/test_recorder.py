"""The flight recorder on plain PyTorch loops: what it says equals what the loop computed by hand."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import math
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch.optim.lr_scheduler import (  # noqa: E402
    CosineAnnealingWarmRestarts,
    LambdaLR,
    LinearLR,
    LRScheduler,
    ReduceLROnPlateau,
    SequentialLR,
)

from assay.recorder import FlightRecord, FlightRecorder, records_digest  # noqa: E402

F = torch.nn.functional


class Net(torch.nn.Module):
    """Tokens in, a class and a regulariser out; `gate` never gets a gradient, `base` may be frozen."""

    def __init__(self, dead: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 8)
        self.base = torch.nn.Linear(8, 8)
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(8, 5)
        if dead:
            self.gate = torch.nn.Parameter(torch.zeros(1))
            self.branch = torch.nn.Linear(8, 5)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        hidden = self.dropout(torch.tanh(self.base(self.embedding(batch["input_ids"]).mean(1))))
        logits = self.head(hidden)
        if hasattr(self, "gate"):
            logits = logits + self.gate.item() * self.branch(hidden)
        cross = F.cross_entropy(logits, batch["labels"])
        losses = {"cross": cross, "size": 0.1 * logits.pow(2).mean()}
        return {"losses": losses, "loss": losses["cross"] + losses["size"], "logits": logits}


def batch_of(step: int, size: int = 4, width: int = 6, prefix: str = "r") -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    return {
        "record_id": [f"{prefix}{step * size + row}" for row in range(size)],
        "input_ids": torch.randint(0, 20, (size, width), generator=generator),
        "labels": torch.randint(0, 5, (size,), generator=generator),
    }


def record(train: Callable[[], Any], out: Path, **options: Any) -> FlightRecord:
    with FlightRecorder(out, **options):
        train()
    flight: FlightRecord = json.loads((out / "flight.json").read_text())
    return flight


def fit(
    net: Any, batches: list[Any], optimizer: Any = None, after: Callable[[int], None] = lambda step: None
) -> list[float]:
    optimizer = optimizer or torch.optim.AdamW(net.parameters(), 1e-2)
    totals = []
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        output = net(batch)
        output["loss"].backward()
        optimizer.step()
        totals.append(float(output["loss"].detach()))
        after(step)
    return totals


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---------------------------------------------------------------------------------- what a run did


def test_record_holds_exactly_the_declared_keys(tmp_path: Path) -> None:
    flight = record(lambda: fit(Net(), [batch_of(0)]), tmp_path)
    assert set(flight) == set(FlightRecord.__annotations__) - {"optimizers"}


def test_losses_components_and_records_are_those_of_the_loop(tmp_path: Path) -> None:
    by_hand: list[float] = []
    batches = [batch_of(step, width=5 + step % 3) for step in range(7)]
    flight = record(lambda: by_hand.extend(fit(Net(), batches)), tmp_path)
    assert flight["updates"] == 7
    assert flight["losses"] == by_hand
    assert flight["initial_loss"] == by_hand[0]
    assert set(flight["components"]) == {"cross", "size"}
    sums = np.add(flight["components"]["cross"], flight["components"]["size"])
    np.testing.assert_allclose(sums, by_hand, rtol=1e-6)
    assert flight["totals_gap"] < 1e-6
    assert flight["backward_gap"] == 0
    assert flight["records"] == sorted(f"r{n}" for n in range(28))
    assert flight["records_per_update"] == [4] * 7
    assert flight["sequence_lengths"] == {"min": 5, "max": 7, "distinct": 3}
    assert flight["skipped_updates"] == flight["scheduler_steps"] == flight["scaler_steps"] == 0
    assert len(flight["step_seconds"]) == 7
    assert 0 < sum(flight["step_seconds"]) < flight["wall_seconds"]
    assert flight["peak_memory_bytes"] > 10 * 2**20
    assert flight["segments"] == 1


def test_tokens_are_counted_and_sampled_with_their_record(tmp_path: Path) -> None:
    batches = [batch_of(step) for step in range(6)]
    for batch in batches:
        batch["attention_mask"] = torch.ones_like(batch["input_ids"])
        batch["attention_mask"][:, 4:] = 0
    flight = record(lambda: fit(Net(), batches), tmp_path)
    together = torch.cat([batch["input_ids"] for batch in batches])
    assert flight["token_ids"]["distinct"] == len(together.unique())
    assert flight["token_ids"]["max"] == int(together.max())
    text = {
        record_id: ids[:4].tolist()
        for batch in batches
        for record_id, ids in zip(batch["record_id"], batch["input_ids"], strict=True)
    }
    samples = flight["token_ids"]["samples"]
    assert len(samples) == 4  # updates 0, 1, 2 and 4 are looked at closely
    assert all(text[record_id] == ids for record_id, ids in samples)


def test_recording_changes_nothing_in_the_run(tmp_path: Path) -> None:
    def run() -> dict[str, Any]:
        torch.manual_seed(3), np.random.seed(3), random.seed(3)
        net = Net(dropout=0.3)
        fit(net, [batch_of(step) for step in range(9)])
        return {**net.state_dict(), "next": torch.rand(3), "numpy": np.random.rand(), "python": random.random()}

    bare, watched = run(), {}
    record(lambda: watched.update(run()), tmp_path, sample_every=2)
    assert all(np.array_equal(np.asarray(bare[key]), np.asarray(watched[key])) for key in bare)


def test_initial_weights_are_those_before_the_first_forward_pass(tmp_path: Path) -> None:
    net = torch.nn.Sequential(Net())
    start = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    flight = record(lambda: fit(net, [batch_of(step) for step in range(3)]), tmp_path)
    saved = load_file(tmp_path / "initial.safetensors")
    assert set(saved) == set(start)
    assert all(torch.equal(saved[name], start[name]) for name in start)
    assert not any(torch.equal(saved[name], now) for name, now in net.state_dict().items())
    assert flight["seeds"]["torch"] == 0
    assert flight["seeds"]["from_initialisation"] is True


def test_batch_norm_statistics_are_saved_as_they_were_at_first(tmp_path: Path) -> None:
    class Normed(Net):
        def __init__(self) -> None:
            super().__init__()
            self.base = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))

    record(lambda: fit(Normed(), [batch_of(0)]), tmp_path)
    saved = load_file(tmp_path / "initial.safetensors")
    assert torch.equal(saved["base.1.running_mean"], torch.zeros(8))
    assert int(saved["base.1.num_batches_tracked"]) == 0


def test_seeds_tell_runs_apart(tmp_path: Path) -> None:
    def run(seed: int) -> None:
        torch.manual_seed(seed)
        fit(Net(), [batch_of(0)])

    seeds = [record(lambda s=seed: run(s), tmp_path / str(n))["seeds"] for n, seed in enumerate((1, 2, 1))]
    assert [one["torch"] for one in seeds] == [1, 2, 1]
    assert seeds[0]["weights"] == seeds[2]["weights"] != seeds[1]["weights"]


@pytest.mark.parametrize("form", ["object", "keyword", "unpacked", "integers"])
def test_batches_and_outputs_in_every_agreed_form(form: str, tmp_path: Path) -> None:
    class Shaped(Net):
        def forward(self, batch: Any = None, **fields: Any) -> Any:
            given = fields or (batch if isinstance(batch, dict) else vars(batch))
            return SimpleNamespace(**super().forward(given))

    def train() -> None:
        net = Shaped()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for step in range(3):
            batch = batch_of(step)
            if form == "integers":
                batch["record_id"] = torch.arange(4) + 4 * step
            output = {
                "object": lambda b: net(SimpleNamespace(**b)),
                "keyword": lambda b: net(batch=b),
                "unpacked": lambda b: net(**b),
                "integers": net,
            }[form](batch)
            optimizer.zero_grad()
            output.loss.backward()
            optimizer.step()

    flight = record(train, tmp_path)
    wanted = list(range(12)) if form == "integers" else sorted(f"r{n}" for n in range(12))
    assert flight["records"] == wanted
    assert flight["label_counts"] == {"labels": {"min": 1, "empty": 0, "samples": 12}}
    assert all(map(math.isfinite, flight["losses"]))


# -------------------------------------------------------------------------- losses and gradients


@pytest.mark.parametrize("inplace", [False, True])
def test_accumulation_is_a_mean_over_micro_batches(tmp_path: Path, inplace: bool) -> None:
    by_hand: list[float] = []

    def train() -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
        for update in range(4):
            seen = []
            for micro in range(3):
                output = net(batch_of(3 * update + micro))
                seen.append(output["loss"].item())
                loss = output["loss"]
                if inplace:
                    loss /= 3
                else:
                    loss = loss / 3
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            by_hand.append(sum(seen) / 3)

    flight = record(train, tmp_path)
    assert flight["losses"] == pytest.approx(by_hand, rel=1e-12)
    assert flight["records_per_update"] == [12] * 4
    assert flight["backward_gap"] < 1e-6
    assert flight["skipped_updates"] == 0


def test_a_total_that_is_not_the_sum_of_its_components_shows(tmp_path: Path) -> None:
    class Rescaled(Net):
        def forward(self, batch: Any) -> Any:
            output = super().forward(batch)
            output["loss"] = output["loss"] / 64
            return output

    flight = record(lambda: fit(Rescaled(), [batch_of(0)]), tmp_path)
    assert flight["totals_gap"] == pytest.approx(63 / 64, rel=1e-5)


def test_a_term_backpropagated_beside_the_loss_shows(tmp_path: Path) -> None:
    net = Net()

    def train() -> None:
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        output = net(batch_of(0))
        (output["loss"] * 0.5 + 7 * net.head.bias.sum() + 1).backward()
        optimizer.step()

    flight = record(train, tmp_path)
    assert flight["backward_gap"] > 0.1


@pytest.mark.parametrize(
    ("form", "gap"),
    [
        (lambda out: sum(out["losses"].values()), 0.0),
        (lambda out: sum(out["losses"].values()) / 4, 0.0),
        (lambda out: out["losses"]["cross"], 0.0),
        (lambda out: F.cross_entropy(out["logits"], torch.zeros(4, dtype=torch.long)), None),
    ],
)
def test_losses_rebuilt_outside_the_model(form: Any, gap: float | None, tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        output = net(batch_of(0))
        form(output).backward()
        optimizer.step()

    flight = record(train, tmp_path)
    assert flight["records_per_update"] == [4]
    assert flight["backward_gap"] > 0.01 if gap is None else flight["backward_gap"] < 1e-6


def test_without_losses_in_the_output_the_backpropagated_value_is_recorded(tmp_path: Path) -> None:
    by_hand = []

    def train() -> None:
        net = torch.nn.Linear(3, 2)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(3):
            loss = net(torch.ones(4, 3)).pow(2).mean()
            loss.backward()
            by_hand.append(loss.item())
            optimizer.step()
            optimizer.zero_grad()

    flight = record(train, tmp_path)
    assert flight["losses"] == by_hand
    assert flight["records"] == []
    assert math.isnan(flight["totals_gap"])
    assert math.isnan(flight["backward_gap"])


def test_nan_loss_is_recorded_as_nan(tmp_path: Path) -> None:
    batches = [batch_of(step) for step in range(3)]
    batches[1]["labels"] = torch.full((4,), -100)  # the mean over no labels
    by_hand: list[float] = []
    flight = record(lambda: by_hand.extend(fit(Net(), batches)), tmp_path)
    assert [math.isnan(loss) for loss in flight["losses"]] == [False, True, False]
    assert flight["losses"][::2] == by_hand[::2]
    assert flight["skipped_updates"] == 0
    assert flight["label_counts"]["labels"] == {"min": 0, "empty": 4, "samples": 12}


@pytest.mark.parametrize("when", ["before backward", "after backward"])
def test_steps_skipped_for_nan_are_counted(when: str, tmp_path: Path) -> None:
    batches = [batch_of(step) for step in range(6)]
    for bad in (1, 4):
        batches[bad]["labels"] = torch.full((4,), -100)

    def train() -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
        for batch in batches:
            optimizer.zero_grad()
            loss = net(batch)["loss"]
            if when == "before backward" and not torch.isfinite(loss):
                continue
            loss.backward()
            if not torch.isfinite(loss):
                continue
            optimizer.step()
        optimizer.zero_grad()

    flight = record(train, tmp_path)
    assert flight["updates"] == 4
    assert flight["skipped_updates"] == 2
    assert all(map(math.isfinite, flight["losses"]))
    assert len(flight["records"]) == 16


def test_labels_are_counted_per_name_and_sample(tmp_path: Path) -> None:
    class Two(Net):
        def forward(self, batch: Any) -> Any:
            return super().forward({**batch, "labels": batch["class_labels"]})

    batches = []
    for step in range(2):
        batch = batch_of(step)
        batch["class_labels"] = batch.pop("labels")
        batch["mlm_labels"] = torch.full((4, 6), -100)
        batch["mlm_labels"][0, :3] = 1  # 3, 2, 1 and 0 labels
        batch["mlm_labels"][1, :2] = 1
        batch["mlm_labels"][2, 0] = 1
        batches.append(batch)
    flight = record(lambda: fit(Two(), batches), tmp_path)
    assert flight["label_counts"] == {
        "class_labels": {"min": 1, "empty": 0, "samples": 8},
        "mlm_labels": {"min": 0, "empty": 2, "samples": 8},
    }


def test_records_that_a_collate_drops_are_not_counted(tmp_path: Path) -> None:
    first = [{k: v[:1] for k, v in batch_of(step).items()} for step in range(3)]
    flight = record(lambda: fit(Net(), first), tmp_path)
    assert flight["records"] == ["r0", "r4", "r8"]
    assert flight["records_per_update"] == [1, 1, 1]
    ids_only = [{**one, "record_id": batch_of(step)["record_id"]} for step, one in enumerate(first)]
    flight = record(lambda: fit(Net(), ids_only), tmp_path / "ids kept")
    assert flight["records_per_update"] == [1, 1, 1]
    assert len(flight["records"]) == 3


def test_a_subset_repeated_is_a_subset(tmp_path: Path) -> None:
    flight = record(lambda: fit(Net(), [batch_of(step % 2) for step in range(10)]), tmp_path)
    assert len(flight["records"]) == 8
    assert sum(flight["records_per_update"]) == 40


# ------------------------------------------------------------------------------------ parameters


def test_frozen_dead_and_excluded_parameters_are_named(tmp_path: Path) -> None:
    net = Net(dead=True)
    net.base.requires_grad_(False)
    trained = [p for name, p in net.named_parameters() if not name.startswith(("head.bias", "base"))]
    flight = record(lambda: fit(net, [batch_of(step) for step in range(4)], torch.optim.AdamW(trained, 1e-2)), tmp_path)
    parameters = flight["parameters"]
    assert parameters["counted"] == 20 * 8 + 72 + 45 + 1 + 45
    assert parameters["trainable"] == parameters["counted"] - 72
    assert parameters["frozen"] == ["base.bias", "base.weight"]
    # gate 0 read by .item(): no gradient at all; the branch behind it gets zeros and only decays
    assert parameters["without_gradient"] == ["gate", "branch.weight", "branch.bias"]
    assert "gate" in parameters["never_moved"]
    assert "head.bias" in parameters["never_moved"]  # has a gradient and no optimizer
    assert "head.weight" not in parameters["never_moved"]


def test_what_is_thawed_on_the_way_is_not_frozen(tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        net.base.requires_grad_(False)
        fit(net, [batch_of(n) for n in range(5)], after=lambda step: net.base.requires_grad_(step >= 1) and None)

    parameters = record(train, tmp_path)["parameters"]
    assert parameters["counted"] == 277
    assert parameters["frozen"] == parameters["without_gradient"] == parameters["never_moved"] == []


def test_an_optimizer_from_before_the_recorder_is_taken_up_at_its_first_step(tmp_path: Path) -> None:
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    flight = record(lambda: fit(net, [batch_of(n) for n in range(5)], optimizer), tmp_path)
    assert flight["updates"] == 5
    assert math.isnan(flight["losses"][0])
    assert all(map(math.isfinite, flight["losses"][1:]))
    assert flight["records_per_update"] == [0, 4, 4, 4, 4]
    assert flight["seeds"]["from_initialisation"] is False


def muon(net: Any) -> torch.optim.Optimizer:
    """Matrices by Muon, whose weight decay is decoupled; vectors stay as they are."""
    return torch.optim.Muon([p for p in net.parameters() if p.ndim == 2], lr=1e-3, weight_decay=0.1)


@pytest.mark.parametrize("optimizer", [lambda net: torch.optim.AdamW(net.parameters(), 1e-2), muon])
@pytest.mark.parametrize("seen", [True, False])
def test_a_gradient_that_comes_late_is_seen(tmp_path: Path, optimizer: Any, seen: bool) -> None:
    """Between the close looks a gradient leaves its trace in the optimizer's moments; decay alone leaves none."""

    class Late(Net):
        step = 0

        def forward(self, batch: Any) -> Any:
            Late.step += 1
            output = super().forward(batch)
            if Late.step == 12:
                output["loss"] = output["loss"] + self.late.sum() * seen
            return output

        def __init__(self) -> None:
            super().__init__()
            self.late = torch.nn.Parameter(torch.ones(3, 3))

    net = Late()
    flight = record(lambda: fit(net, [batch_of(step) for step in range(15)], optimizer(net)), tmp_path)
    assert ("late" in flight["parameters"]["without_gradient"]) is not seen


def test_zero_initialised_adapters_are_not_accused(tmp_path: Path) -> None:
    class Adapted(Net):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Linear(8, 2, bias=False), torch.nn.Linear(2, 8, bias=False)
            torch.nn.init.zeros_(self.b.weight)
            self.base = torch.nn.Sequential(self.base, torch.nn.Identity())
            self.base.register_forward_hook(lambda m, a, out: out + self.b(self.a(out)))

    flight = record(lambda: fit(Adapted(), [batch_of(step) for step in range(4)]), tmp_path)
    assert flight["parameters"]["without_gradient"] == flight["parameters"]["never_moved"] == []


def test_a_name_left_out_for_being_tied_is_left_out_of_the_initial_weights(tmp_path: Path) -> None:
    class Tied(Net):
        def __init__(self) -> None:
            super().__init__()
            self.head = torch.nn.Linear(8, 20)
            self.head.weight = self.embedding.weight

    def train() -> None:
        net = Tied()
        fit(net, [batch_of(0)])
        save_file({k: v for k, v in net.state_dict().items() if k != "head.weight"}, tmp_path / "model.safetensors")

    flight = record(train, tmp_path)
    assert set(load_file(tmp_path / "initial.safetensors")) == set(load_file(tmp_path / "model.safetensors"))
    assert flight["parameters"]["counted"] == 20 * 8 + 72 + 20


# -------------------------------------------------------------- learning rates, scaler and dtypes


def test_learning_rates_and_scheduler_steps(tmp_path: Path) -> None:
    def train(stepped: bool) -> None:
        net = Net()
        groups = [{"params": net.base.parameters(), "lr": 0.1}, {"params": net.head.parameters()}]
        optimizer = torch.optim.SGD(groups, 0.01)
        scheduler = LambdaLR(optimizer, lambda n: 1 / (1 + n))
        fit(net, [batch_of(n) for n in range(4)], optimizer, lambda n: scheduler.step() if stepped else None)

    flight = record(lambda: train(True), tmp_path / "a")
    assert flight["lrs"] == [pytest.approx([0.1 / (1 + n), 0.01 / (1 + n)]) for n in range(4)]
    assert flight["scheduler_steps"] == 4
    flight = record(lambda: train(False), tmp_path / "b")
    assert flight["lrs"] == [[0.1, 0.01]] * 4
    assert flight["scheduler_steps"] == 0


@pytest.mark.parametrize("kind", ["sequential", "restarts", "own"])
def test_composed_and_own_schedulers_count_once_per_step(kind: str, tmp_path: Path) -> None:
    class Own(LRScheduler):
        def get_lr(self) -> list[float]:
            return [0.5 for _ in self.base_lrs]

        def step(self, epoch: int | None = None) -> None:
            super().step(epoch)

    def train() -> None:
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        scheduler: Any = {
            "sequential": lambda: SequentialLR(optimizer, [LinearLR(optimizer), LinearLR(optimizer)], milestones=[2]),
            "restarts": lambda: CosineAnnealingWarmRestarts(optimizer, 3),
            "own": lambda: Own(optimizer),
        }[kind]()
        fit(net, [batch_of(n) for n in range(5)], optimizer, lambda n: scheduler.step())

    assert record(train, tmp_path)["scheduler_steps"] == 5


def test_plateau_records_its_metric(tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        plateau = ReduceLROnPlateau(optimizer, patience=0)
        values = iter((3.0, 2.0, 2.5))
        fit(
            net, [batch_of(n) for n in range(6)], optimizer,
            lambda n: plateau.step(torch.tensor(next(values))) if n % 2 else None,
        )  # fmt: skip

    flight = record(train, tmp_path)
    assert flight["scheduler_metrics"] == [[2, 3.0], [4, 2.0], [6, 2.5]]
    assert flight["scheduler_steps"] == 3


def test_autocast_is_seen_in_the_matrix_products(tmp_path: Path) -> None:
    def train(dtype: Any) -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters())
        for step in range(3):
            with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
                output = net(batch_of(step))
            output["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()

    # two linear layers, three updates looked at closely
    assert record(lambda: train(torch.bfloat16), tmp_path / "a")["dtypes"] == {"bfloat16": 6}
    assert record(lambda: train(None), tmp_path / "b")["dtypes"] == {"float32": 6}


def test_attention_sparse_and_convolution_products_are_seen(tmp_path: Path) -> None:
    class Mixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 4, 1)
            self.scale = torch.nn.Parameter(torch.ones(1))

        def forward(self, batch: Any) -> Any:
            x = self.conv(torch.ones(2, 4, 8))  # convolution
            x = F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])
            x = torch.eye(4).to_sparse() @ x[0, 0] * self.scale  # sparse mm
            x = torch.bmm(x[None].double(), x.T[None].double())
            return {"loss": x.mean(), "losses": {"only": x.mean()}}

    flight = record(lambda: fit(Mixed(), [{"record_id": ["a"]}]), tmp_path)
    assert flight["dtypes"] == {"float32": 3, "float64": 1}


def test_scaler_steps_and_skips(tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for step in range(4):
            optimizer.zero_grad()
            loss = net(batch_of(step))["loss"]
            scaler.scale(loss * math.inf if step == 2 else loss).backward()
            scaler.step(optimizer)
            scaler.update()

    flight = record(train, tmp_path)
    assert flight["scaler_steps"] == 4
    assert flight["updates"] == 3
    assert flight["skipped_updates"] == 1
    assert flight["backward_gap"] < 1e-6
    assert len(flight["records"]) == 12


def test_a_fused_optimizer_that_skips_inside_its_kernel(tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2, fused=True)
        scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
        for step in range(4):
            optimizer.zero_grad()
            loss = net(batch_of(step))["loss"]
            scaler.scale(loss * math.inf if step == 2 else loss).backward()
            scaler.step(optimizer)
            scaler.update()

    flight = record(train, tmp_path)
    assert (flight["updates"], flight["skipped_updates"], flight["scaler_steps"]) == (3, 1, 4)


def test_a_disabled_scaler_is_no_scaler(tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        scaler.scale(net(batch_of(0))["loss"]).backward()
        scaler.step(optimizer)
        scaler.update()

    flight = record(train, tmp_path)
    assert (flight["updates"], flight["scaler_steps"]) == (1, 0)


# ----------------------------------------------------------------------------------- evaluations


def evaluate(net: Any, steps: range, prefix: str, mode: bool = False, grad: bool = False) -> list[float]:
    net.train(mode)
    with torch.set_grad_enabled(grad):
        losses = [net(batch_of(step, prefix=prefix))["loss"].item() for step in steps]
    net.train()
    return losses


def test_evaluations_are_windows_with_mode_loss_and_records(tmp_path: Path) -> None:
    by_hand: list[float] = []

    def train() -> None:
        net = Net(dropout=0.2)

        def after(step: int) -> None:
            if step % 2:
                by_hand.append(float(np.mean(evaluate(net, range(3), "dev"))))
                evaluate(net, range(2), "test")

        fit(net, [batch_of(step) for step in range(4)], after=after)

    flight = record(train, tmp_path)
    dev = records_digest(f"dev{n}" for n in range(12))
    test = records_digest(f"test{n}" for n in range(8))
    seen = [
        (one["update"], one["training_mode"], one["records"], one["records_digest"]) for one in flight["evaluations"]
    ]
    assert seen == [(2, False, 12, dev), (2, False, 8, test), (4, False, 12, dev), (4, False, 8, test)]
    assert [one["loss"] for one in flight["evaluations"][::2]] == pytest.approx(by_hand, rel=1e-6)
    for one in flight["evaluations"]:
        assert sum(one["components"].values()) == pytest.approx(one["loss"], rel=1e-6)
    assert not any(record_id.startswith(("dev", "test")) for record_id in flight["records"])


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("mode", [False, True])
def test_evaluation_in_training_mode_shows(mode: bool, grad: bool, tmp_path: Path) -> None:
    def train() -> None:
        net = Net(dropout=0.2)
        fit(net, [batch_of(n) for n in range(4)], after=lambda n: evaluate(net, range(2), "dev", mode, grad) and None)

    flight = record(train, tmp_path)
    assert len(flight["records"]) == 16
    wanted = records_digest(f"dev{n}" for n in range(8))
    assert {one["training_mode"] for one in flight["evaluations"]} == {mode}
    assert wanted in {one["records_digest"] for one in flight["evaluations"]}
    assert flight["skipped_updates"] == 0


def test_a_dropout_left_on_is_training_mode(tmp_path: Path) -> None:
    def train() -> None:
        net = Net(dropout=0.2)

        def after(step: int) -> None:
            net.eval()
            net.dropout.train()
            with torch.no_grad():
                net(batch_of(0, prefix="dev"))
            net.train()

        fit(net, [batch_of(0)], after=after)

    assert [one["training_mode"] for one in record(train, tmp_path)["evaluations"]] == [True]


def test_training_with_the_module_in_evaluation_mode_is_training(tmp_path: Path) -> None:
    flight = record(lambda: fit(Net().eval(), [batch_of(n) for n in range(3)]), tmp_path)
    assert flight["updates"] == 3
    assert len(flight["records"]) == 12
    assert flight["evaluations"] == []


def test_an_averaged_copy_is_seen_and_not_accused(tmp_path: Path) -> None:
    def train() -> None:
        net = Net(dropout=0.2)

        def after(step: int) -> None:
            mean = copy.deepcopy(net).eval()
            with torch.no_grad():
                mean(batch_of(0, prefix="dev"))

        fit(net, [batch_of(n) for n in range(2)], after=after)

    flight = record(train, tmp_path)
    assert [(one["update"], one["training_mode"], one["records"]) for one in flight["evaluations"]] == [
        (1, False, 4),
        (2, False, 4),
    ]


# --------------------------------------------------------------------------- several of something


def test_two_optimizers_of_two_modules(tmp_path: Path) -> None:
    first: list[float] = []
    second: list[float] = []

    def train() -> None:
        one, two = Net(), Net()
        a, b = torch.optim.AdamW(one.parameters(), 1e-2), torch.optim.SGD(two.parameters(), 0.1)
        for step in range(6):
            first.extend(fit(one, [batch_of(step, prefix="a")], a))
            if step % 2 == 0:
                second.extend(fit(two, [batch_of(step, prefix="b")], b))

    flight = record(train, tmp_path)
    assert flight["losses"] == first
    assert flight["updates"] == 6
    other = flight["optimizers"]["1"]
    assert other["losses"] == second
    assert other["lrs"] == [[0.1]] * 3
    assert len(flight["records"]) == 4 * 9
    assert flight["parameters"]["counted"] == 2 * 277
    saved = load_file(tmp_path / "initial.safetensors")
    assert {"head.weight", "Net.head.weight"} <= set(saved)
    assert flight["parameters"]["never_moved"] == flight["parameters"]["without_gradient"] == []


def test_two_optimizers_of_one_module_share_its_losses(tmp_path: Path) -> None:
    by_hand: list[float] = []

    def train() -> None:
        net = Net()
        matrices = torch.optim.SGD([p for p in net.parameters() if p.dim() == 2], 0.1)
        vectors = torch.optim.AdamW([p for p in net.parameters() if p.dim() < 2], 1e-2)
        by_hand.extend(
            fit(net, [batch_of(n) for n in range(3)], SimpleNamespace(
                zero_grad=lambda: (matrices.zero_grad(), vectors.zero_grad()),
                step=lambda: (matrices.step(), vectors.step()),
            ))
        )  # fmt: skip

    flight = record(train, tmp_path)
    assert flight["losses"] == flight["optimizers"]["1"]["losses"] == by_hand
    assert flight["skipped_updates"] == flight["optimizers"]["1"]["skipped_updates"] == 0
    assert flight["label_counts"]["labels"]["samples"] == 12  # each sample once
    assert flight["records_per_update"] == [4, 4, 4]


def test_parts_called_one_by_one_are_roots_together(tmp_path: Path) -> None:
    def train() -> None:
        body, head = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)
        optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], 0.1)
        for _ in range(2):
            head(body(torch.ones(5, 3))).pow(2).mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    flight = record(train, tmp_path)
    assert flight["updates"] == 2
    assert flight["parameters"]["counted"] == 26
    assert all(map(math.isfinite, flight["losses"]))


def test_checkpointed_segments_count_once(tmp_path: Path) -> None:
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(Net):
        def forward(self, batch: Any) -> Any:
            hidden = checkpoint(self.base, self.embedding(batch["input_ids"]).mean(1), use_reentrant=True)
            loss = F.cross_entropy(self.head(hidden), batch["labels"])
            return {"loss": loss, "losses": {"cross": loss}}

    flight = record(lambda: fit(Checkpointed(), [batch_of(n) for n in range(3)]), tmp_path)
    assert flight["backward_gap"] == 0
    assert flight["records_per_update"] == [4] * 3


def test_lbfgs_calls_its_closure_within_one_update(tmp_path: Path) -> None:
    def train() -> None:
        net = Net()
        optimizer = torch.optim.LBFGS(net.parameters(), max_iter=3)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = net(batch_of(0))["loss"]
            loss.backward()
            return loss

        optimizer.step(closure)

    flight = record(train, tmp_path)
    assert (flight["updates"], flight["skipped_updates"]) == (1, 0)
    assert len(flight["records"]) == 4


# ------------------------------------------------------------------------------ coming and going


def patched_places() -> list[Any]:
    import safetensors.torch
    from torch.optim import lr_scheduler, optimizer

    kinds = [lr_scheduler.LRScheduler]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    module, opt = torch.nn.Module, torch.optim.Optimizer
    return [
        *(module.__call__, module.train, module.zero_grad),
        *(opt.__init__, opt.load_state_dict, opt.zero_grad),
        *(torch.Tensor.backward, torch.autograd.backward, torch.save),
        *(torch.amp.GradScaler.step, torch.amp.GradScaler.scale),
        *(safetensors.torch.save_file, safetensors.torch.serialize_file),
        *(vars(kind).get(name) for kind in kinds for name in ("__init__", "step", "_initial_step")),
        *(len(optimizer._global_optimizer_pre_hooks), len(optimizer._global_optimizer_post_hooks)),
    ]


@pytest.mark.parametrize("end", ["well", "exception", "in forward", "never called"])
def test_nothing_stays_patched(end: str, tmp_path: Path) -> None:
    class Failing(Net):
        def forward(self, batch: Any) -> Any:
            raise ArithmeticError("inside forward")

    before = patched_places()
    net: Any = Failing() if end == "in forward" else Net()
    recorder = FlightRecorder(tmp_path)

    def train() -> None:
        optimizer = torch.optim.AdamW(net.parameters())
        assert patched_places() != before
        if end != "never called":
            fit(net, [batch_of(0)], optimizer)
        if end == "exception":
            raise ArithmeticError("after a step")

    if end in ("exception", "in forward"):
        with pytest.raises(ArithmeticError), recorder:
            train()
    else:
        with recorder:
            train()
    assert patched_places() == before
    assert not net._forward_hooks
    assert not net._forward_pre_hooks
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None
    assert json.loads((tmp_path / "flight.json").read_text())["updates"] == (end in ("well", "exception"))


def test_submodules_are_called_as_ever_once_the_root_is_found(tmp_path: Path) -> None:
    original = torch.nn.Module.__call__
    calls = []

    def train() -> None:
        net = Net()
        optimizer = torch.optim.AdamW(net.parameters())
        calls.append(torch.nn.Module.__call__ is original)
        net(batch_of(0))
        calls.append(torch.nn.Module.__call__ is original)
        fit(net, [batch_of(0)], optimizer)
        calls.append(not net.head._forward_hooks)

    record(train, tmp_path)
    assert calls == [False, True, True]


def test_copies_and_pickles_of_a_watched_module_work_on(tmp_path: Path) -> None:
    kept: list[Any] = []

    def train() -> None:
        net = Net()
        fit(net, [batch_of(0)])
        kept.extend([copy.deepcopy(net), pickle.dumps(net)])

    record(train, tmp_path)
    for net in (kept[0], pickle.loads(kept[1])):
        assert torch.isfinite(net(batch_of(1))["loss"])
    assert b"assay.recorder" not in kept[1]


def test_signatures_survive(tmp_path: Path) -> None:
    plain = inspect.signature(torch.optim.Optimizer.__init__)
    with FlightRecorder(tmp_path):
        assert inspect.signature(torch.optim.Optimizer.__init__) == plain


def test_recorder_frees_what_it_watched(tmp_path: Path) -> None:
    import weakref

    found: list[Any] = []

    def train() -> None:
        net = Net()
        fit(net, [batch_of(0)])
        found.append(weakref.ref(net))

    with FlightRecorder(tmp_path) as recorder:
        train()
    gc.collect()
    assert found[0]() is None
    assert recorder.flight()["updates"] == 1


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    by_hand: list[float] = []
    record(lambda: by_hand.extend(fit(Net(), [batch_of(n) for n in range(3)])), tmp_path, on_progress=told.append)
    assert told[-1]["updates"] == 3
    assert told[-1]["loss"] == by_hand[-1]
    json.dumps(told)


def test_progress_counts_on_from_stage_to_stage(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def stages() -> None:
        for count in (3, 2):
            fit(Net(), [batch_of(n) for n in range(count)])

    record(stages, tmp_path, on_progress=told.append)
    assert told[-1]["updates"] == 5


def test_flight_can_be_asked_for_in_flight(tmp_path: Path) -> None:
    with FlightRecorder(tmp_path) as recorder:
        fit(Net(), [batch_of(n) for n in range(2)])
        assert recorder.flight()["updates"] == 2
    assert recorder.flight()["updates"] == 2


def test_importing_the_recorder_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, assay.recorder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
