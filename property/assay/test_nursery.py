"""The law: whoever waits for a child of the nursery hears of its end when it ends, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.nursery import UNKNOWN, Child, fork

ADDRESS = "socket"
"""Relative: a path in a temporary folder may be too long for a socket."""

DEAF = "import assay.nursery as n; n._ORPHAN_CHECK = 3600.0; n._serve({address!r})"
"""A nursery that never looks on its own: only a child's end can make it speak."""


@pytest.fixture
def process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acts.py").write_text(
        "import time\n\ndef sleep(seconds, status):\n    time.sleep(seconds)\n    return status\n"
    )
    process = subprocess.Popen([sys.executable, "-c", DEAF.format(address=ADDRESS)])
    while not Path(ADDRESS).exists():
        assert process.poll() is None
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def nursery(process):
    return ADDRESS


def begin(address: str, seconds: float, status: int = 0) -> Child:
    with open(os.devnull, "r+b") as nothing:
        streams = [nothing.fileno()] * 3
        environment = {"PYTHONPATH": os.getcwd()}
        return fork(address, "acts:sleep", {"seconds": seconds, "status": status}, streams, environment)


def test_the_end_of_a_child_is_told_with_its_status_while_nobody_else_asks(nursery):
    child = begin(nursery, 0.3, status=7)
    assert child.poll() is None
    assert child.wait(timeout=60) == 7


def test_children_that_end_out_of_turn_are_told_apart(nursery):
    late, early = begin(nursery, 1.0, status=3), begin(nursery, 0.0, status=4)
    assert early.wait(timeout=60) == 4
    assert late.wait(timeout=60) == 3


def test_a_killed_child_is_no_success(nursery):
    child = begin(nursery, 600)
    child.kill()
    assert child.wait(timeout=60) == -signal.SIGKILL


def test_of_a_child_whose_nursery_is_gone_nobody_says_how_it_ended(nursery, process):
    child = begin(nursery, 600)
    process.kill()
    process.wait()
    assert child.wait(timeout=60) == UNKNOWN
    child.kill()
