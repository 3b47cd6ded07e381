"""Is it fast enough, from source text to decoded answer, through the public entry point?"""

from __future__ import annotations

import pytest

WARM_UP = 20


@pytest.fixture(scope="session")
def sources(functions, tables):
    """Unrepeated held-out functions."""
    rows = functions.rows("test.jsonl")
    return [row["source"] for row in rows[: tables("timing")["calls"] + WARM_UP]]


@pytest.fixture(scope="session")
def answers(graphsage, sources):
    """One call each on one pinned core; the three latency rows read the same calls."""
    return graphsage.timings("answer", sources, threads=1, warm_up=WARM_UP)


@pytest.mark.requirement(
    "graphsage/latency.average",
    "graphsage/latency.p95",
    "graphsage/latency.p99",
)
def test_answers_within_ten_milliseconds(judge, answers, functions):
    judge(answers)


@pytest.mark.requirement("graphsage/throughput")
def test_answers_many_in_batches(judge, graphsage, functions, tables):
    size, count = tables("timing")["batch"], tables("timing")["batches"]
    sources = [row["source"] for row in functions.rows("test.jsonl")]
    batches = [sources[i : i + size] for i in range(0, size * (count + 1), size)]
    judge(graphsage.timings("answer_batch", batches, threads=None, warm_up=1, sizes=[len(b) for b in batches]))
