"""`kill -9` at any moment: no torn row, no lost acknowledged row.

`kill_points(n, folder)` is also what the acceptance row `ledger.crash` runs, with n = 200. Started as a
script, this file is the nursery: a process that imports the ledger once and forks the writers to be killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from assay.evidence import Evidence, Hardware
from assay.ledger import Ledger

LONGEST_S = 0.08
"""A writer is killed after 0 to this many seconds: from before the file exists to some dozens of rows."""

POINTS_PER_LEDGER = 5
"""Every so many kills a new ledger is begun, so that its creation is interrupted, too."""


@dataclass(frozen=True)
class Crash:
    """What the kills did."""

    points: int
    acknowledged: int
    faults: tuple[str, ...]


def kill_points(n: int, folder: Path, seed: int = 0) -> Crash:
    """Kills a writer at n random moments; after each, reads the ledger with a fresh reader."""
    rng = random.Random(seed)
    faults: list[str] = []
    total = 0
    nursery = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    with nursery:
        for point in range(n):
            path = folder / f"ledger{point // POINTS_PER_LEDGER}.db"
            known = len(Ledger(path))
            nursery.stdin.write(f"{point} {path}\n")
            nursery.stdin.flush()
            child = int(nursery.stdout.readline())
            time.sleep(rng.uniform(0, LONGEST_S))
            os.kill(child, signal.SIGKILL)
            acknowledged = []
            while (line := nursery.stdout.readline()) != "dead\n":
                assert line, "the nursery died"
                acknowledged.append(int(line))
            total += len(acknowledged)
            faults += [f"point {point}: {text}" for text in _faults(path, point, known, acknowledged)]
        nursery.stdin.close()
    return Crash(n, total, tuple(faults))


def _faults(path: Path, point: int, known: int, acknowledged: list[int]) -> list[str]:
    ledger = Ledger(path)
    faults = list(ledger.problems())
    rows = [entry for entry in ledger.history("system", "row") if entry.seq > known]
    faults += [entry.tampered for entry in rows if entry.tampered]
    if acknowledged != list(range(known + 1, known + 1 + len(acknowledged))):
        faults.append(f"acknowledged {acknowledged} after {known} rows")
    if [entry.seq for entry in rows][: len(acknowledged)] != acknowledged:
        faults.append(f"acknowledged {acknowledged}, found {[entry.seq for entry in rows]}")
    if len(rows) > len(acknowledged) + 1:
        faults.append(f"{len(rows)} rows, of which {len(acknowledged)} acknowledged; one may be in flight")
    for number, entry in enumerate(rows):
        if entry.evidence != evidence(point, number):
            faults.append(f"row {entry.seq} does not hold what was written")
    return faults


def evidence(point: int, number: int) -> Evidence:
    """The row that the writer of that point writes at that place; large enough to span pages."""
    return Evidence(
        system="system",
        requirement="row",
        target="cpu",
        profile="cpu",
        outcome="measured",
        value=float(number),
        requirement_digest="d",
        hardware=Hardware(kind="cpu", model="m"),
        measured_at=float(point),
        details={"filling": "x" * (137 * number % 20_000)},
    )


def _nursery() -> None:
    for line in sys.stdin:
        point, path = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if child == 0:
            os.write(1, f"{os.getpid()}\n".encode())
            ledger = Ledger(Path(path))
            number = 0
            while True:
                os.write(1, f"{ledger.append(evidence(int(point), number))}\n".encode())
                number += 1
        os.waitpid(child, 0)
        os.write(1, b"dead\n")


def test_killed_writers_lose_and_tear_nothing(tmp_path: Path) -> None:
    crash = kill_points(int(os.environ.get("ASSAY_KILL_POINTS", "12")), tmp_path)
    assert crash.faults == ()
    assert crash.acknowledged > 0, "the writers were killed before they wrote anything"


if __name__ == "__main__":
    _nursery()
