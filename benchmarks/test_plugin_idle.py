"""What the plugin costs a pytest session that does not use it, side by side with the same session without it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

ROUNDS = 15


@pytest.fixture
def session(tmp_path):
    (tmp_path / "test_bare.py").write_text("def test_bare():\n    assert True\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(*arguments: str) -> float:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode()
        return time.perf_counter() - start

    return run


def test_idle_cost(benchmark, session):
    """Interleaved pairs; the figure is the median of the paired differences, in milliseconds."""
    rounds = 1 if benchmark.disabled else ROUNDS
    session()
    gaps = []
    for _ in range(rounds):
        without = session("-p", "no:assay")
        gaps.append(session() - without)
    benchmark.extra_info["idle cost, ms (median of paired differences)"] = 1e3 * statistics.median(gaps)
    benchmark.extra_info["rounds"] = rounds
    benchmark.pedantic(session, rounds=rounds)


def test_importing_the_plugin_loads_nothing_heavy():
    code = "import sys, pytest; before = set(sys.modules); import assay.plugin; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"numpy", "torch", "pydantic", "rich", "typer", "scipy", "sklearn", "great_expectations"}
    assert not heavy & set(loaded)
