"""Is it fast enough, one text of 512 tokens at a time, through the public entry point?"""

from __future__ import annotations

import pytest

WARM_UP = 20


@pytest.fixture(scope="session")
def answers(graphmer, fact_data, tables):
    """One call each on one pinned core; every text is another part of the dev side's files."""
    wanted = tables("timing")["calls"] + WARM_UP
    whole = "\n".join(row["text"] for row in fact_data.rows("dev_files.jsonl"))
    lines = [line for line in whole.splitlines() if line.strip()]
    step = max(1, (len(lines) - 80) // wanted)
    texts = ["\n".join(lines[low : low + 80]) for low in range(0, step * wanted, step)]
    return graphmer.timings("vector", texts, threads=1, warm_up=WARM_UP, maximum_tokens=512)


@pytest.mark.requirement("graphmer/latency.p50", "graphmer/latency.p95")
def test_answers_within_the_limit(judge, answers):
    judge(answers)
