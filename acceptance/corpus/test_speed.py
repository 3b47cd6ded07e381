"""Is extraction cheap beside the parsing that it cannot do without, linear in its files, and faster on two processes?

All but the last are the CPU time of this one process, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from assay.subject import Predictions
from corpus import distributions, graph
from corpus.distributions import Distribution
from corpus.parsing import parse

EXTRACTION = "corpus.graph:build"


@pytest.fixture(scope="module")
def quiet(assay_session) -> Iterator[None]:
    """Timings that are evidence: one run at a time, and no collector that walks over what other tests hold."""
    if assay_session.parallel:
        pytest.skip("timings are no evidence in a parallel run; run without -n")
    gc.collect()
    gc.freeze()
    _extract(distributions.find(["pluggy"]))  # imports and caches of the process itself
    yield
    gc.unfreeze()


@pytest.mark.requirement("corpus/kg.speed")
def test_extraction_costs_a_few_bare_parses(judge, corpus, files, quiet, tables):
    names = tables("speed")["distributions"]
    pairs = [
        _in_turns(
            turn,
            lambda each=each: _extract([each]),
            lambda each=each: _parse_all([Path(source.path) for source in graph.sources_of([each])[0]]),
        )
        for turn, each in enumerate(distributions.find(names))
    ]
    judge(Predictions(corpus, EXTRACTION, names, _seconds(pairs), None, repeatable=True), groups=names)


@pytest.mark.requirement("corpus/kg.linear")
def test_many_distributions_cost_no_more_than_each_alone(judge, corpus, files, quiet, tables):
    """Sets of ten or so, each extracted both ways several times."""
    names, parts, rounds = (tables("speed")[key] for key in ("distributions", "parts", "rounds"))
    sets = [distributions.find(names[part::parts]) for part in range(parts)]
    pairs = [
        _in_turns(
            turn, lambda found=found: _extract(found), lambda found=found: sum(_extract([each]) for each in found)
        )
        for turn in range(rounds)
        for found in sets
    ]
    items = [f"round {turn} of set {part}" for turn in range(rounds) for part in range(parts)]
    judge(Predictions(corpus, EXTRACTION, items, _seconds(pairs), None, repeatable=True), groups=items)


@pytest.mark.requirement("corpus/kg.parallel")
def test_two_processes_are_faster_than_one(judge, corpus, files, quiet, tables):
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two processes need two cores; run on a machine that has them")
    found = distributions.find(tables("parallel")["distributions"])
    rounds = tables("parallel")["rounds"]
    pairs = [(_elapsed(found, 1), _elapsed(found, 2)) for _ in range(rounds)]
    one, two = zip(*pairs, strict=True)
    items = [f"round {number}" for number in range(rounds)]
    seconds = {"with": list(two), "without": list(one)}
    judge(Predictions(corpus, EXTRACTION, items, seconds, None, repeatable=True), groups=items)


def _in_turns(turn: int, longer: Callable[[], float], plain: Callable[[], float]) -> tuple[float, float]:
    """Seconds of both, now one first and now the other: a clock's drift and a warm cache cancel."""
    if turn % 2:
        return longer(), plain()
    first = plain()
    return longer(), first


def _seconds(pairs: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    longer, plain = zip(*pairs, strict=True)
    return {"with": list(longer), "without": list(plain)}


def _parse_all(paths: Sequence[Path]) -> float:
    start = time.process_time()
    for path in paths:
        parse(path.read_bytes())
    return time.process_time() - start


def _extract(found: Sequence[Distribution]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        graph.build(found, Path(folder) / "graph.jsonl", processes=1)
        return time.process_time() - start


def _elapsed(found: Sequence[Distribution], processes: int) -> float:
    """On the clock: what waits for a process costs nothing but time."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        graph.build(found, Path(folder) / "graph.jsonl", processes=processes)
        return time.perf_counter() - start
