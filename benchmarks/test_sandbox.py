"""Programs judged in the sandbox, beside the same tests run in this process, which protects nothing."""

from __future__ import annotations

import pytest

from corpus.execution.sandbox import Call, Outcome, Sandbox

SOURCE = "def f(xs):\n    return sorted(x * 2 for x in xs if x % 3)"
TEST = "\n".join(f"assert f(list(range({n}))) == sorted(x * 2 for x in range({n}) if x % 3)" for n in range(10))
PROGRAMS = 40


@pytest.fixture(scope="module")
def cells():
    with Sandbox(2) as found:
        yield found


def test_forty_programs_on_two_cells(benchmark, cells):
    outcomes = benchmark(lambda: cells.run_all([Call(SOURCE, "f", TEST)] * PROGRAMS))
    assert outcomes == [Outcome(True)] * PROGRAMS


def test_forty_programs_without_protection(benchmark):
    def run():
        for _ in range(PROGRAMS):
            namespace = {}
            exec(SOURCE, namespace)
            exec(TEST, namespace)

    benchmark(run)


def test_a_cell_from_start_to_end(benchmark):
    def run():
        with Sandbox(1) as one:
            return one.run(Call(SOURCE, "f", TEST))

    assert benchmark(run) == Outcome(True)
