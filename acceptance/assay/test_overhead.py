"""Does it stay out of the way? With and without, in turns, in processor time, so that neighbours do not count."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from benchmarks.test_recorder_overhead import SETTLED, Sage, alternating


@pytest.mark.requirement("assay/recorder.overhead")
def test_the_recorder_hardly_lengthens_a_step(judge, seen, due, tmp_path, assay_session):
    settle = 0 if assay_session.smoke else SETTLED
    plain, watched = alternating(Sage, due("recorder.overhead", 5), tmp_path, settle)
    judge(
        seen("assay.recorder:FlightRecorder", {"with": watched, "without": plain}),
        details={"step without, ms": 1e3 * sum(plain) / len(plain)},
    )


@pytest.mark.requirement("assay/plugin.idle")
def test_an_idle_plugin_costs_nearly_nothing(judge, seen, due, tmp_path):
    (tmp_path / "test_bare.py").write_text("def test_bare():\n    assert True\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def session(*arguments: str) -> float:
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the others' cost is noise here
        child = subprocess.Popen(words, cwd=tmp_path, env=alone, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return used.ru_utime + used.ru_stime

    pairs = [(session("-p", "assay.plugin"), session()) for _ in range(due("plugin.idle", 1))]
    judge(seen("assay.plugin:pytest_configure", {"with": [a for a, _ in pairs], "without": [b for _, b in pairs]}))
