"""The flight recorder around Hugging Face `Trainer`: the same record as for a plain loop, the loop unseen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from transformers import (  # noqa: E402
    PretrainedConfig,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import ModelOutput  # noqa: E402

from assay.recorder import FlightRecorder, records_digest  # noqa: E402


@dataclass
class Output(ModelOutput):
    loss: Any = None
    losses: Any = None
    logits: Any = None


class TinyConfig(PretrainedConfig):
    model_type = "tiny-recorder-test"


class Tiny(PreTrainedModel):
    config_class = TinyConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.embedding = torch.nn.Embedding(30, 8)
        self.dropout = torch.nn.Dropout(0.1)
        self.inner = torch.nn.Linear(8, 8)
        self.head = torch.nn.Linear(8, 4)
        self.post_init()

    def forward(self, input_ids: Any, labels: Any, record_id: Any) -> Output:
        hidden = torch.tanh(self.inner(self.dropout(self.embedding(input_ids).mean(1))))
        logits = self.head(hidden)
        losses = {
            "cross": torch.nn.functional.cross_entropy(logits, labels),
            "size": 0.01 * logits.pow(2).mean(),
        }
        return Output(loss=sum(losses.values()), losses=losses, logits=logits)


class Shared(Tiny):
    """Divides by the items of all micro-batches of the update, as the models of transformers do."""

    def forward(
        self, input_ids: Any, labels: Any, record_id: Any, num_items_in_batch: Any = None, **more: Any
    ) -> Output:
        output = super().forward(input_ids, labels, record_id)
        share = 1 if num_items_in_batch is None else len(labels) / num_items_in_batch
        losses = {name: loss * share for name, loss in output.losses.items()}
        return Output(loss=sum(losses.values()), losses=losses, logits=output.logits)


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, first: int, count: int) -> None:
        self.ids = range(first, first + count)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> dict[str, Any]:
        one = self.ids[place]
        return {"input_ids": [(one * 7 + k) % 30 for k in range(5)], "labels": one % 4, "record_id": one}


class Kill(TrainerCallback):
    """Leaves a copy of the folder as a kill after an update would have left it."""

    def __init__(self, update: int, out: Path, left: Path) -> None:
        self.update, self.out, self.left = update, out, left

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == self.update and not self.left.exists():
            shutil.copytree(self.out, self.left)


def train(out: Path, callbacks: tuple[Any, ...] = (), kind: type[Tiny] = Tiny, **options: Any) -> Any:
    arguments = TrainingArguments(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=4,
        per_device_eval_batch_size=8,
        gradient_accumulation_steps=2,
        max_steps=10,
        learning_rate=1e-2,
        lr_scheduler_type="linear",
        warmup_steps=2,
        eval_strategy="steps",
        eval_steps=5,
        save_steps=4,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=5,
        **options,
    )
    torch.manual_seed(5)
    model = kind(TinyConfig())
    trainer = Trainer(
        model, arguments, train_dataset=Rows(0, 80), eval_dataset=Rows(1000, 20), callbacks=list(callbacks)
    )
    checkpoints = (out / "checkpoints").glob("checkpoint-*")
    last = max(checkpoints, key=lambda path: int(path.name.split("-")[1]), default=None)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.save_model(str(out))
    return trainer


def record(out: Path, **options: Any) -> tuple[dict[str, Any], Any]:
    with FlightRecorder(out):
        trainer = train(out, **options)
    return json.loads((out / "flight.json").read_text()), trainer


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_trainer_with_accumulation_schedule_and_evaluation(tmp_path: Path) -> None:
    flight, trainer = record(tmp_path)
    assert flight["updates"] == 10
    assert flight["records"] == list(range(80))  # 10 updates of 2 x 4 rows: one epoch
    assert flight["records_per_update"] == [8] * 10
    by_hand = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    assert flight["losses"] == pytest.approx(by_hand, rel=1e-4)
    schedule = [1e-2 * (n / 2 if n < 2 else (10 - n) / 8) for n in range(10)]
    assert [rates[0] for rates in flight["lrs"]] == pytest.approx(schedule)
    assert flight["scheduler_steps"] == 10
    assert flight["totals_gap"] < 1e-6
    assert flight["backward_gap"] < 1e-6
    assert flight["skipped_updates"] == 0
    assert flight["label_counts"] == {"labels": {"min": 1, "empty": 0, "samples": 80}}
    assert flight["sequence_lengths"] == {"min": 5, "max": 5, "distinct": 1}
    dev = records_digest(range(1000, 1020))
    seen = [(e["update"], e["training_mode"], e["records"], e["records_digest"]) for e in flight["evaluations"]]
    assert seen == [(5, False, 20, dev), (10, False, 20, dev)]
    measured = [one["eval_loss"] for one in trainer.state.log_history if "eval_loss" in one]
    assert [e["loss"] for e in flight["evaluations"]] == pytest.approx(measured, rel=1e-5)
    assert set(flight["dtypes"]) == {"float32"}
    assert flight["parameters"]["without_gradient"] == flight["parameters"]["never_moved"] == []
    assert flight["parameters"]["counted"] == sum(p.numel() for p in trainer.model.parameters())


def test_losses_that_are_shares_of_the_update_are_summed(tmp_path: Path) -> None:
    flight, trainer = record(tmp_path, kind=Shared)
    by_hand = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    assert flight["losses"] == pytest.approx(by_hand, rel=1e-4)
    assert flight["initial_loss"] == pytest.approx(1.4, abs=0.2)  # near ln 4
    assert flight["backward_gap"] < 1e-6


def test_trainer_in_bf16_is_seen_in_bf16(tmp_path: Path) -> None:
    flight, _ = record(tmp_path, bf16=True)
    assert set(flight["dtypes"]) == {"bfloat16"}
    assert flight["updates"] == 10


def test_trainer_killed_and_resumed(tmp_path: Path) -> None:
    whole, _ = record(tmp_path / "whole")
    out, left = tmp_path / "first", tmp_path / "left"
    record(out, callbacks=(Kill(7, out, left),))
    again, _ = record(left)
    assert again["segments"] == 2
    for key in ("updates", "losses", "lrs", "records", "records_per_update", "scheduler_steps", "evaluations"):
        assert again[key] == whole[key], key
    assert again["parameters"] == whole["parameters"]
