"""Is extraction cheap beside the parsing that it cannot do without?

Both are timed by the CPU time of this one process, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from assay.subject import Predictions
from corpus import distributions, graph
from corpus.parsing import parse


@pytest.mark.requirement("corpus/kg.speed")
def test_extraction_costs_a_few_bare_parses(judge, corpus, files, tables, assay_session):
    if assay_session.parallel:
        pytest.skip("timings are no evidence in a parallel run; run without -n")
    _extract(distributions.find(["pluggy"])[0])  # imports and caches of the process itself
    names = tables("speed")["distributions"]
    ours, bare = [], []
    for name in names:
        (found,) = distributions.find([name])
        paths = [Path(source.path) for source in graph.sources_of([found])[0]]
        bare.append(_parse_all(paths))
        ours.append(_extract(found))
    seconds = {"with": ours, "without": bare}
    judge(Predictions(corpus, "corpus.graph:build", names, seconds, None, repeatable=True), groups=names)


def _parse_all(paths):
    start = time.process_time()
    for path in paths:
        parse(path.read_bytes())
    return time.process_time() - start


def _extract(found):
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        graph.build([found], Path(folder) / "graph.jsonl", processes=1)
        return time.process_time() - start
