"""What the stages that transformers and TRL train have in common: arguments, checkpoints, the way back after a kill.

A checkpoint of theirs is a folder written file by file; one counts only once the mark that is written last is there.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainingArguments

from persona import checkpoints
from persona.config import Settings


@dataclass(frozen=True, slots=True)
class Schedule:
    """Updates of a stage and when it looks at the dev split."""

    updates: int
    warmup: int
    every: int

    @classmethod
    def of(cls, records: int, batch: int, epochs: int, warmup_share: float, evaluations: int) -> Schedule:
        """`batch` is that of an update, on all devices together."""
        updates = epochs * -(-records // batch)
        return cls(updates, round(warmup_share * updates), max(1, updates // max(1, evaluations)))


def arguments(settings: Settings, name: str, out: Path) -> dict[str, Any]:
    """What every trainer is told: where, how precisely, in which order, and whom it reports to."""
    if "tensorboard" in settings.report_to:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(out / "tensorboard" / name)
    kind = precision(settings.precision)
    return {
        "output_dir": str(out / checkpoints.FOLDER / name),
        "run_name": f"{out.name}-{name}",
        "report_to": list(settings.report_to),
        "seed": settings.seed,
        "bf16": kind == "bf16",
        "fp16": kind == "fp16",
        "gradient_checkpointing": settings.gradient_checkpointing,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
        "disable_tqdm": not sys.stderr.isatty(),
    }


def together(settings: Settings, name: str, out: Path, batch: int) -> int:
    """Rows of an update where each device, as the trainer counts them, takes `batch` of them."""
    seen = TrainingArguments(per_device_train_batch_size=batch, **arguments(settings, name, out))
    return seen.train_batch_size * seen.world_size


def evaluated(schedule: Schedule, batch: int, settings: Settings, best: bool) -> dict[str, Any]:
    """What the trainers with a dev split are told besides: cosine, checkpoints, the last or best of them at the end."""
    return {
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": batch,
        "max_steps": schedule.updates,
        "lr_scheduler_type": "cosine",
        "warmup_steps": schedule.warmup,
        "eval_strategy": "steps",
        "eval_steps": schedule.every,
        "eval_on_start": True,
        "prediction_loss_only": True,
        "save_strategy": "steps",
        "save_steps": schedule.every,
        "save_total_limit": max(1, settings.keep_checkpoints),
        "load_best_model_at_end": best,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "logging_steps": max(1, schedule.every // 4),
        "remove_unused_columns": False,
        "max_length": None,
    }


class Marker(TrainerCallback):  # type: ignore[misc]
    """Writes the mark of a whole checkpoint."""

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        losses = [row["eval_loss"] for row in state.log_history if "eval_loss" in row]
        (folder / checkpoints.COMPLETE).write_text(json.dumps({"loss": losses[-1] if losses else None}))


class Order(TrainerCallback):  # type: ignore[misc]
    """Makes the order of rows in every epoch but the first a function of seed and epoch.

    The trainer draws it from the generator as it is when an epoch begins, which in a run that goes on in the middle of
    one is not what it was. The first epoch begins as a stage does, with the generator as it was seeded.
    """

    def on_epoch_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **more: Any) -> None:
        epoch = int(state.epoch or 0)
        if epoch:
            sampler = train_dataloader.batch_sampler
            sampler = getattr(sampler, "batch_sampler", sampler).sampler  # of several processes, each has its share
            sampler.generator = torch.Generator().manual_seed(args.seed + epoch)


def run(trainer: Any, name: str) -> dict[str, Any]:
    """Train to the end, or on from the newest whole checkpoint; what its log says."""
    folder = Path(trainer.args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.add_callback(Marker())
    trainer.add_callback(Order())
    newest = checkpoints.last(folder)
    trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
    log = trainer.state.log_history
    return {
        "updates": trainer.state.global_step,
        "dev_loss": [row["eval_loss"] for row in log if "eval_loss" in row],
        "name": name,
    }


def precision(wanted: str, device: str | None = None) -> str:
    """ "native" as what the device multiplies fast: "cuda" or "cpu", the better one that there is by default."""
    if wanted != "native":
        return wanted
    if (device or "cuda") == "cuda" and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "fp32"
    return "bf16" if {"amx_bf16", "avx512_bf16"} & flags else "fp32"
