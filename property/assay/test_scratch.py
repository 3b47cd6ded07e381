"""Scratch folders go with their process: at the end of the context, and with the next of their kind after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assay import scratch


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def age(folder: Path) -> None:
    os.utime(folder / scratch.HELD, (1, 1))


def test_a_folder_ends_with_its_context(tmp_path: Path) -> None:
    with scratch.folder("trial") as place:
        assert place.is_dir()
        assert place.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_a_killed_process_leaves_what_the_next_of_its_kind_removes(tmp_path: Path) -> None:
    program = (
        "import time\nfrom assay import scratch\n"
        "with scratch.folder('trial') as place:\n    print(place, flush=True)\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    assert child.stdout is not None
    left = Path(child.stdout.readline().strip())
    age(left)
    with scratch.folder("trial"):
        assert left.is_dir()  # its owner lives
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with scratch.folder("other"):
        assert left.is_dir()  # of another kind
    with scratch.folder("trial"):
        assert not left.exists()


def test_what_is_not_ours_or_just_made_is_left_alone(tmp_path: Path) -> None:
    foreign, fresh = tmp_path / "assay-trial-foreign", tmp_path / "assay-trial-fresh"
    for folder in (foreign, fresh):
        folder.mkdir()
    (fresh / scratch.HELD).touch()
    with scratch.folder("trial"):
        assert foreign.is_dir()
        assert fresh.is_dir()
    age(fresh)
    with scratch.folder("trial"):
        assert foreign.is_dir()
        assert not fresh.exists()


def test_a_folder_lies_in_memory_only_where_there_is_room_and_nobody_chose_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(scratch, "MEMORY", memory)
    monkeypatch.setattr(scratch, "_ROOM", 1)
    monkeypatch.delenv("TMPDIR", raising=False)
    with scratch.folder("trial") as place:
        assert place.parent == tmp_path  # nobody asked for it
    with scratch.folder("trial", in_memory=True) as place:
        assert place.parent == memory
    left = memory / "assay-trial-left"
    left.mkdir()
    (left / scratch.HELD).touch()
    age(left)
    with scratch.folder("trial", in_memory=True):
        assert not left.exists()
    with monkeypatch.context() as chosen:
        chosen.setenv("TMPDIR", str(tmp_path))
        with scratch.folder("trial", in_memory=True) as place:
            assert place.parent == tmp_path
    monkeypatch.setattr(scratch, "_ROOM", 1 << 80)
    with scratch.folder("trial", in_memory=True) as place:
        assert place.parent == tmp_path
    monkeypatch.setattr(scratch, "MEMORY", tmp_path / "nowhere")
    with scratch.folder("trial", in_memory=True) as place:
        assert place.parent == tmp_path
