"""Does the ledger keep what it was given, and is it quick to read?"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from benchmarks.test_ledger_scale import filled
from property.assay.test_ledger_crash import kill_points


@pytest.mark.requirement("assay/ledger.crash")
def test_killed_writers_lose_and_tear_nothing(judge, seen, due, tmp_path):
    points = due("ledger.crash", 3)
    crash = kill_points(points, tmp_path)
    assert crash.acknowledged > 0, "the writers were killed before they wrote anything"
    faulty = {fault.partition(":")[0] for fault in crash.faults}
    names = [f"point {point}" for point in range(points)]
    judge(
        seen("assay.ledger:Ledger", {"case": names, "holds": [name not in faulty for name in names]}),
        details={"acknowledged rows": crash.acknowledged, "faults": list(crash.faults)},
    )


@pytest.mark.requirement("assay/status.100k")
def test_the_board_of_a_long_ledger_is_there_at_once(judge, timed, due, compiled, assay_session, tmp_path):
    rows = 2_000 if assay_session.smoke else 100_000
    command = [sys.executable, "-m", "assay.cli"]
    subprocess.run([*command, "init", str(tmp_path / "project")], check=True, capture_output=True)
    filled(tmp_path / "project" / ".assay" / "ledger.db", rows)
    time.sleep(0.2)  # at rest
    seconds = []
    for _ in range(due("status.100k", 2) + 1):
        child = subprocess.Popen(
            [*command, "status", "--json"], cwd=tmp_path / "project", env=compiled, stdout=subprocess.DEVNULL
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        seconds.append(used.ru_utime + used.ru_stime)
    judge(
        timed("assay.cli:status", seconds[1:]),
        details={"first reading after a change, s": seconds[0], "rows": rows},
    )
