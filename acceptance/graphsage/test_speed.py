"""Is it fast enough, from source text to decoded answer, through the public entry point?"""

from __future__ import annotations

import random

import numpy as np
import pytest

from corpus import distributions, parsing

WARM_UP = 20
SIZES = {"up to 100 lines": (0, 100), "101 to 400 lines": (101, 400), "more lines": (401, 10**9)}


@pytest.fixture(scope="session")
def sources(functions, tables):
    """All held-out functions, none twice, in an order that no distribution has to itself."""
    found = [row["source"] for row in functions.rows("test.jsonl")]
    random.Random(tables("timing")["seed"]).shuffle(found)
    return found


@pytest.fixture(scope="session")
def answers(graphsage, sources, tables):
    """One call each on one pinned core; the three latency rows read the same calls."""
    return graphsage.timings("answer", sources[: tables("timing")["calls"] + WARM_UP], threads=1, warm_up=WARM_UP)


@pytest.fixture(scope="session")
def files(tables):
    """Texts of whole held-out files, none twice."""
    found = distributions.find(tables("corpus")["test"])
    paths = [path for distribution in found for path in distribution.files]
    random.Random(0).shuffle(paths)
    texts: dict[str, None] = {}
    for path in paths:
        if len(texts) == tables("timing")["files"] + WARM_UP:
            break
        try:
            text = parsing.content_of(path).decode()
            parsing.parse(text)
        except parsing.UNREADABLE:
            continue
        texts[text] = None
    return list(texts)


@pytest.fixture(scope="session")
def whole_files(graphsage, files):
    """Milliseconds from a whole file to the answers for all of its functions, by size: shown, never judged."""
    seconds = graphsage.timings("answer_file", files, threads=1, warm_up=WARM_UP).seconds
    lines = np.array([text.count("\n") + 1 for text in files[WARM_UP:]])
    rows = []
    for size, (low, high) in SIZES.items():
        here = seconds[(low <= lines) & (lines <= high)] * 1e3
        if len(here):
            percentiles = {f"P{q} ms": round(float(np.percentile(here, q)), 1) for q in (50, 95, 99)}
            rows.append({"size": size, "files": len(here), **percentiles})
    return rows


@pytest.mark.requirement(
    "graphsage/latency.average",
    "graphsage/latency.p95",
    "graphsage/latency.p99",
)
def test_answers_within_ten_milliseconds(judge, answers, whole_files, functions):
    judge(answers, details={"whole files": whole_files})


@pytest.mark.requirement("graphsage/throughput")
def test_answers_many_in_batches(judge, graphsage, sources, tables):
    size, count = tables("timing")["batch"], tables("timing")["batches"]
    batches = [sources[i : i + size] for i in range(0, size * (count + 1), size)]
    processes = graphsage.profile["processes"]
    sizes = [len(batch) for batch in batches]
    judge(graphsage.timings("answer_batch", batches, threads=None, warm_up=1, sizes=sizes, processes=processes))
