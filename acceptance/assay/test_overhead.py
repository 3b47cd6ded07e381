"""Does it stay out of the way? With and without, in turns, in processor time, so that neighbours do not count."""

from __future__ import annotations

import json
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


SESSIONS = """
import gc, json, os, sys
import pytest

def session(plugins):
    child = os.fork()
    if child == 0:
        os.environ["PYTEST_PLUGINS"] = plugins
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        sys.exit(pytest.main(["-q", "-p", "no:cacheprovider"]))
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit(f"a session ended with {status}")
    return used.ru_utime + used.ru_stime

gc.freeze()
turns = []
for number in range(1 + int(sys.argv[1])):
    used = {plugins: session(plugins) for plugins in ("assay.plugin", "")[:: 1 if number % 2 else -1]}
    turns.append((used["assay.plugin"], used[""]))
print(json.dumps(turns[1:]))
"""
"""Sessions forked from a process that has imported pytest: starting Python and pytest varies by more than 20 ms.

The plugin comes by PYTEST_PLUGINS, which costs what an entry point does where plugins load themselves; `-p` has pytest
search every distribution for its name. The first pair compiles, as the first session after an installation does.
"""


@pytest.mark.requirement("assay/plugin.idle")
def test_an_idle_plugin_costs_nearly_nothing(judge, seen, due, compiled, tmp_path):
    (tmp_path / "test_bare.py").write_text("def test_bare():\n    assert True\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    alone = {**compiled, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the others' cost is noise here
    words = [sys.executable, "-c", SESSIONS, str(due("plugin.idle", 1))]
    done = subprocess.run(words, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pairs = json.loads(done.stdout)
    judge(seen("assay.plugin:pytest_configure", {"with": [a for a, _ in pairs], "without": [b for _, b in pairs]}))
