"""Kill and resume: the record of a training that was interrupted equals that of one that never was."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from assay import recorder as module  # noqa: E402
from assay.recorder import FlightRecorder  # noqa: E402

UPDATES = 16
TIMES = {"step_seconds", "data_seconds", "wall_seconds", "peak_memory_bytes", "segments", "seeds"}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(50, 6)
        self.head = torch.nn.Linear(6, 3)
        self.dead = torch.nn.Linear(2, 2)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        logits = self.head(self.embedding(batch["input_ids"]).mean(1))
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        return {"loss": loss, "losses": {"cross": loss}}


def batch_of(step: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    return {
        "record_id": [f"r{2 * step + row}" for row in range(2)],
        "input_ids": torch.randint(0, 50, (2, 4 + step % 3), generator=generator),
        "labels": torch.randint(0, 3, (2,), generator=generator),
    }


def adamw(net: Any) -> Any:
    return torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=0.0)


def sgd(net: Any) -> Any:
    return torch.optim.SGD(net.parameters(), 0.1)


def train(
    out: Path,
    make: Callable[[Any], Any] = adamw,
    every: int = 4,
    save: Callable[[Any, Path], None] = torch.save,  # bound by name, before the recorder comes
    load: Callable[[Path], Any] = torch.load,
    after: Callable[[int], None] = lambda step: None,
) -> None:
    """Trains to UPDATES, with a checkpoint each `every` updates; goes on from the last one in `out`."""
    torch.manual_seed(1)
    net = Net()
    optimizer = make(net)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, UPDATES)
    start = 0
    found = sorted(out.glob("checkpoint-*.pt"))
    if found:
        state = load(found[-1])
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        start = state["step"]
    for step in range(start, UPDATES):
        net.train()
        loss = net(batch_of(step))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        if (step + 1) % every == 0:
            net.eval()
            with torch.no_grad():
                net(batch_of(999))
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            save({**state, "scheduler": scheduler.state_dict()}, out / f"checkpoint-{step + 1:03}.pt")
        after(step + 1)


def recorded(out: Path, **options: Any) -> dict[str, Any]:
    with FlightRecorder(out):
        train(out, **options)
    flight: dict[str, Any] = json.loads((out / "flight.json").read_text())
    return flight


def killed_at(update: int, out: Path, left: Path, **options: Any) -> None:
    """Leaves in `left` what a kill after `update` would leave on disk."""

    def after(step: int) -> None:
        if step == update:
            shutil.copytree(out, left)

    with FlightRecorder(out):
        train(out, after=after, **options)


def same(interrupted: dict[str, Any], whole: dict[str, Any]) -> None:
    for key in set(whole) - TIMES - {"dtypes", "token_ids"}:
        assert interrupted[key] == whole[key], key
    assert interrupted["token_ids"]["distinct"] == whole["token_ids"]["distinct"]
    assert interrupted["token_ids"]["max"] == whole["token_ids"]["max"]
    assert interrupted["seeds"]["weights"] == whole["seeds"]["weights"]
    assert len(interrupted["step_seconds"]) == UPDATES


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("make", [adamw, sgd])
@pytest.mark.parametrize("update", [2, 8, 11, 16])
def test_killed_and_resumed_equals_never_killed(update: int, make: Any, tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole", make=make)
    assert whole["updates"] == len(whole["records"]) // 2 == UPDATES
    killed_at(update, tmp_path / "first", tmp_path / "left", make=make)
    again = recorded(tmp_path / "left", make=make)
    same(again, whole)
    assert again["segments"] == 2
    initial = load_file(tmp_path / "left" / "initial.safetensors")
    for name, tensor in load_file(tmp_path / "whole" / "initial.safetensors").items():
        assert torch.equal(initial[name], tensor)


def test_killed_twice(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole")
    killed_at(6, tmp_path / "a", tmp_path / "b")
    killed_at(14, tmp_path / "b", tmp_path / "c")
    again = recorded(tmp_path / "c")
    same(again, whole)
    assert again["segments"] == 3


@pytest.mark.parametrize("make", [adamw, sgd])
def test_resumed_from_an_older_checkpoint(make: Any, tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole", make=make)
    killed_at(14, tmp_path / "first", tmp_path / "left", make=make)
    for step in (8, 12):
        (tmp_path / "left" / f"checkpoint-{step:03}.pt").unlink()
    same(recorded(tmp_path / "left", make=make), whole)


def test_a_torn_line_is_forgotten(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole")
    killed_at(11, tmp_path / "first", tmp_path / "left")
    with (tmp_path / "left" / "flight.json.partial").open("a") as journal:
        journal.write('{"k": "update", "o": 0, "u": 9, "lo')
    same(recorded(tmp_path / "left"), whole)


QUIET = {  # checkpoints written and read in a way that the recorder does not watch
    "save": lambda state, path: path.write_bytes(pickle.dumps(mapped(state, torch.Tensor, lambda t: t.numpy()))),
    "load": lambda path: mapped(pickle.loads(path.read_bytes()), np.ndarray, torch.tensor),
}


def mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: mapped(one, kind, change) for key, one in value.items()}
    if isinstance(value, list):
        return [mapped(one, kind, change) for one in value]
    return change(value) if isinstance(value, kind) else value


def test_a_checkpoint_nobody_saw_is_found_by_the_step_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.0)
    whole = recorded(tmp_path / "whole", **QUIET)
    killed_at(11, tmp_path / "first", tmp_path / "left", **QUIET)
    again = recorded(tmp_path / "left", **QUIET)
    assert again["losses"] == whole["losses"]
    assert again["records"] == whole["records"]


def test_updates_that_nobody_wrote_down_stay_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 1e9)
    killed_at(11, tmp_path / "first", tmp_path / "left", **QUIET)
    again = recorded(tmp_path / "left", **QUIET)
    assert again["updates"] == UPDATES - 8
    assert len(again["records"]) == 2 * (UPDATES - 8)


def test_called_again_when_finished(tmp_path: Path) -> None:
    first = recorded(tmp_path)
    again = recorded(tmp_path)
    same(again, first)
    assert again["segments"] == 2


def test_trained_anew_in_the_same_folder(tmp_path: Path) -> None:
    first = recorded(tmp_path)
    for checkpoint in tmp_path.glob("*.pt"):
        checkpoint.unlink()
    same(recorded(tmp_path), first)


@pytest.mark.parametrize("make", [adamw, sgd])
def test_going_back_within_a_process(make: Any, tmp_path: Path) -> None:
    by_hand: dict[int, float] = {}

    def loop() -> None:
        net = Net()
        optimizer = make(net)
        step, gone_back = 0, False
        while step < 10:
            loss = net(batch_of(step if not gone_back else 100 + step))["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            by_hand[step] = loss.item()
            if step == 4 and not gone_back:
                torch.save((net.state_dict(), optimizer.state_dict()), tmp_path / "best.pt")
            if step == 7 and not gone_back:
                weights, state = torch.load(tmp_path / "best.pt")
                net.load_state_dict(weights)
                optimizer.load_state_dict(state)
                step, gone_back = 4, True

    with FlightRecorder(tmp_path) as recorder:
        loop()
    flight = recorder.flight()
    assert flight["updates"] == 10
    assert flight["losses"] == [by_hand[n] for n in range(1, 11)]
    kept = [*range(4), *(100 + n for n in range(4, 10))]
    assert set(flight["records"]) == {one for step in kept for one in batch_of(step)["record_id"]}


CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_recorder_resume as t
out = Path(sys.argv[2])

def after(step):
    if step == 11 and sys.argv[3] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)

t.torch.set_num_threads(1)
with t.FlightRecorder(out):
    t.train(out, after=after)
"""


def test_kill_nine_for_real(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole")
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path / "out")]
    assert subprocess.run([*command, "kill"], check=False).returncode == -signal.SIGKILL
    assert not os.path.exists(tmp_path / "out" / "flight.json")
    assert subprocess.run([*command, "go on"], check=False).returncode == 0
    again = json.loads((tmp_path / "out" / "flight.json").read_text())
    same(again, whole)
    assert again["segments"] == 2
