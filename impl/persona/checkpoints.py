"""Checkpoints of a training loop: whole or not there, the last few and the best, and the way back from them.

A checkpoint is a folder with the weights and the optimizer's state as safetensors; it is written beside and renamed. It
must never be read where a kill left half of it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_model, save_file, save_model

FOLDER = "checkpoints"
"""Where those of every stage are, until a training has finished."""
COMPLETE = "complete.json"
"""Written last into a checkpoint that a trainer of transformers made; without it, it is half of one."""


def save(
    folder: Path,
    update: int,
    model: Any,
    optimizer: Any,
    schedule: Any,
    state: Mapping[str, Any],
    keep: int,
    loss: float,
) -> None:
    """Write checkpoint `update`, then drop all but the last `keep` and the one with the least loss."""
    target = folder / f"checkpoint-{update}"
    beside = folder / f"partial-{update}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_model(model, str(beside / "model.safetensors"))
    flat = {
        f"{number}.{name}": torch.as_tensor(value).contiguous()
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }
    save_file({**flat, "rng": torch.get_rng_state()}, beside / "optimizer.safetensors")
    about = {"state": state, "groups": optimizer.state_dict()["param_groups"], "last_epoch": schedule.last_epoch}
    (beside / COMPLETE).write_text(json.dumps({**about, "loss": loss}, default=list), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(beside, target)
    prune(folder, keep)


def prune(folder: Path, keep: int) -> None:
    """Drop all whole checkpoints but the last `keep` and the best, and every half one."""
    whole = list(complete(folder))
    kept = {*whole[-max(1, keep) :], min(whole, key=_loss, default=None)}
    for path in folder.glob("*-*"):
        if path.is_dir() and path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def complete(folder: Path) -> Iterable[Path]:
    """The whole checkpoints, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).is_file()]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def last(folder: Path) -> Path | None:
    """The newest whole checkpoint."""
    return max(complete(folder), key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def restore(folder: Path, model: Any, optimizer: Any, schedule: Any) -> dict[str, Any]:
    """Set everything to the newest whole checkpoint and give its state; {} where there is none."""
    path = last(folder)
    if path is None:
        return {}
    about = json.loads((path / COMPLETE).read_text(encoding="utf-8"))
    load_model(model, str(path / "model.safetensors"))
    state: dict[int, dict[str, Any]] = {}
    with safe_open(path / "optimizer.safetensors", framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (not a dict)
            number, _, key = name.partition(".")
            if key:
                state.setdefault(int(number), {})[key] = file.get_tensor(name)
        torch.set_rng_state(file.get_tensor("rng"))
    optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})
    schedule.last_epoch = about["last_epoch"]
    schedule._last_lr = [group["lr"] for group in optimizer.param_groups]
    return dict(about["state"])


def _loss(path: Path) -> float:
    return float(json.loads((path / COMPLETE).read_text(encoding="utf-8"))["loss"])
