"""Call-graph completion: functions that a test suite executed, their call expressions that ran, and whom they called.

Traces are kept in the user's cache. Callees of test callers stay in a data set of their own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from acceptance import jsonl
from acceptance.calls import SUITES, Edge, Scope
from acceptance.graphmer import call_baselines
from corpus import archives, callgraph, distributions, folders, tracing

TRAINING: Mapping[str, tuple[str, ...]] = {
    "dill": tuple(f"dill.tests.test_{name}" for name in ("source", "detect", "nested", "recursive")),
    "mpmath": SUITES["mpmath"],
    "python": tuple(f"test.test_{name}" for name in ("textwrap", "shlex", "optparse", "cmd")),
}
"""Suites of distributions on no test side, for the filter to learn from."""


def build_calls(out: Path, names: Sequence[str], tests: Mapping[str, int], baselines: bool) -> None:
    """callers.jsonl: {distribution, caller, sites, callees}. every.jsonl: all edges.

    With `baselines` static.json: policy -> callees; else, to learn from, callers with `reached`, the callees of each
    site, and files.jsonl: {distribution, version, file, text}. Of a suite as many modules or packages are run as
    `tests` says, by its name or "*".
    """
    rows: list[dict[str, Any]] = []
    every: list[dict[str, Any]] = []
    cache = archives.cache_folder()
    suites = [{**TRAINING, **SUITES}[name][: tests.get(name, tests["*"])] for name in names]
    ones = [replace(distributions.find([name])[0], tests=()) for name in names]
    with ThreadPoolExecutor(2) as pool:  # a suite runs in a process of its own, and some of them sleep
        traces = list(pool.map(lambda one, suite: tracing.trace(one, suite, cache=cache), ones, suites))
    for name, one, trace in zip(names, ones, traces, strict=True):
        scope = Scope(one, trace)
        found = list(callgraph.sites([one], files={each.file for each in trace.functions}))
        ran = [site for site in found if scope.ran(site)]
        sites: dict[str, list[Any]] = defaultdict(list)
        for site in ran:
            sites[site.caller].append([site.file, *site.span])
        truth = _by_caller(scope.truth)
        reached: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for edge in trace.edges:
            if edge.is_call:
                reached[edge.caller, edge.file, *edge.span].add(edge.callee)
        for caller in sorted(sites):
            rows.append(
                {
                    "distribution": name,
                    "caller": caller,
                    "sites": sites[caller],
                    "callees": sorted(truth[caller]),
                }
            )
            if not baselines:
                rows[-1]["reached"] = [sorted(reached[caller, *site]) for site in sites[caller]]
        every.append({"distribution": name, "edges": sorted(scope.every), "told": trace.describe()})
    jsonl.write(out / "callers.jsonl", rows)
    jsonl.write(out / "every.jsonl", every)
    if not baselines:
        jsonl.write(out / "files.jsonl", (row for one in ones for row in folders.packed(one)))
    else:
        (out / "static.json").write_text(json.dumps(call_baselines.answers(rows)))


def _by_caller(edges: frozenset[Edge]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for caller, callee in edges:
        found[caller].add(callee)
    return found
