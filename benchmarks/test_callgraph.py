"""The static call graph against traced truth, beside jedi on a sample of functions and PyCG where it finishes.

Run with timings on, all suites are traced (minutes, once: traces are kept); with `--benchmark-disable`, a few tests.
"""

from __future__ import annotations

import ast
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from acceptance.calls import SUITES, Edge, Scope, Score

from corpus import archives, callgraph, distributions, tracing
from corpus.callgraph import Site
from corpus.distributions import Distribution, module_name

PEER = Path(__file__).with_name("pycg_peer.py")
SAMPLE = 250  # call sites that jedi is asked about; it takes up to seconds for one
PYCG_S = 240


@dataclass(frozen=True)
class Case:
    distribution: Distribution
    sites: list[Site]
    scope: Scope
    trace: tracing.Trace


def definitions(distribution: Distribution) -> dict[tuple[str, int], str]:
    """(path, line of `def` or `class`) -> qualified name."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[int, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}"
                yield child.lineno, name
                yield from walk(child, name if isinstance(child, ast.ClassDef) else f"{name}.<locals>")
            else:
                yield from walk(child, prefix)

    found = {}
    for path in distribution.files:
        tree = ast.parse(path.read_bytes())
        for line, name in walk(tree, module_name(distribution.relative(path))):
            found[str(path), line] = name
    return found


def by_jedi(case: Case, sites: Sequence[Site]) -> frozenset[Edge]:
    """What jedi infers for the function of each call; a class counts as the constructor that resolution gives it."""
    import jedi

    names = definitions(case.distribution)
    constructors: dict[str, set[str]] = {}
    for site in case.sites:
        if len(site.classes) == 1:
            made = {name for name in site.callees if name.endswith((".__init__", ".__new__"))}
            constructors.setdefault(site.classes[0], set()).update(made)
    root = case.distribution.root
    project = jedi.Project(root, sys_path=[str(root), *sys.path[1:]], smart_sys_path=False)
    edges: set[Edge] = set()
    scripts: dict[str, tuple[Any, dict[tuple[int, int], tuple[int, int]]]] = {}
    for site in sites:
        path = root / site.file
        if site.file not in scripts:
            scripts[site.file] = jedi.Script(path=path, project=project), _called_names(path)
        script, places = scripts[site.file]
        place = places.get(site.span[2:])
        if place is None:
            continue
        try:
            inferred = script.infer(*place)
        except Exception:  # jedi raises whatever its inference runs into; the site is a miss
            continue
        for one in inferred:
            name = names.get((str(one.module_path), one.line)) if one.module_path and one.line else None
            if name is not None:
                callees = constructors.get(name, {f"{name}.__init__"}) if one.type == "class" else {name}
                edges.update((site.caller, callee) for callee in callees)
    return case.scope.inside(edges)


def _called_names(path: Path) -> dict[tuple[int, int], tuple[int, int]]:
    """End of each call expression -> where the last name of its function begins."""
    found = {}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call):
            function = node.func
            end = (node.end_lineno or 0, node.end_col_offset or 0)
            if isinstance(function, ast.Name):
                found[end] = function.lineno, function.col_offset
            elif isinstance(function, ast.Attribute):
                column = (function.end_col_offset or 0) - len(function.attr.encode())
                found[end] = function.end_lineno or 0, column
    return found


def by_pycg(case: Case, seconds: int, folder: Path) -> frozenset[Edge] | None:
    """PyCG's edges, nested names written as ours; None where it does not finish.

    It knows no lines: an edge is left out where the caller names the callee only on lines that did not run.
    """
    tops = {path.relative_to(case.distribution.root).parts[0] for path in case.distribution.files}
    files = []
    for top in tops:
        if (case.distribution.root / top).is_dir():
            shutil.copytree(
                case.distribution.root / top, folder / top, ignore=shutil.ignore_patterns("*.so", "__pycache__")
            )
    files = [str(folder / case.distribution.relative(path)) for path in case.distribution.files]
    command = [sys.executable, "-P", str(PEER), str(folder), *files]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    written = {name.replace(".<locals>", ""): name for name in definitions(case.distribution).values()}
    edges = case.scope.inside(
        (written.get(caller, caller), written.get(callee, callee))
        for caller, callees in json.loads(done.stdout).items()
        for callee in callees
    )
    ran: dict[str, set[str]] = {}
    idle: dict[str, set[str]] = {}
    for site, name in zip(case.sites, called_names(case), strict=True):
        (ran if case.scope.ran(site) else idle).setdefault(site.caller, set()).add(name)
    return frozenset(
        (caller, callee)
        for caller, callee in edges
        if (name := _spoken(callee)) in ran.get(caller, ()) or name not in idle.get(caller, ())
    )


def _spoken(callee: str) -> str:
    """The name by which a call means a function: that of its class for a constructor."""
    owner, _, name = callee.rpartition(".")
    return owner.rpartition(".")[2] if name in ("__init__", "__new__") else name


def called_names(case: Case) -> list[str]:
    """The last name of what each site calls, as written."""
    texts: dict[str, list[str]] = {}
    found = []
    for site in case.sites:
        if site.file not in texts:
            texts[site.file] = (case.distribution.root / site.file).read_text(encoding="utf-8").split("\n")
        line, start, end_line, end = site.span
        written = " ".join(texts[site.file][line - 1 : end_line])[start : end if line == end_line else None]
        found.append(written.partition("(")[0].rpartition(".")[2].strip())
    return found


def unique_names(case: Case) -> frozenset[Edge]:
    """Resolution, and at sites where it knows nothing the one function of that name, where there is one."""
    by_name: dict[str, list[str]] = {}
    for name in definitions(case.distribution).values():
        by_name.setdefault(name.rpartition(".")[2], []).append(name)
    edges = set(case.scope.static(case.sites))
    for site, name in zip(case.sites, called_names(case), strict=True):
        candidates = by_name.get(name, [])
        if len(candidates) == 1 and not site.callees and not site.classes and case.scope.ran(site):
            edges.add((site.caller, candidates[0]))
    return case.scope.inside(edges)


def sampled(case: Case, most: int) -> tuple[list[Site], Case]:
    """About so many sites that ran, all those of randomly chosen functions, and the case narrowed to these."""
    ran = [site for site in case.sites if case.scope.ran(site)]
    by_caller: dict[str, list[Site]] = {}
    for site in ran:
        by_caller.setdefault(site.caller, []).append(site)
    callers = sorted(by_caller)
    random.Random(0).shuffle(callers)
    chosen: list[Site] = []
    kept: set[str] = set()
    for caller in callers:
        if len(chosen) >= most:
            break
        kept.add(caller)
        chosen.extend(by_caller[caller])
    return chosen, replace(case, scope=Scope(case.distribution, case.trace, kept))


def lines(name: str, scores: Iterable[tuple[str, Score | None, float | None]]) -> str:
    rows = [f"\n{name}"]
    for what, score, reached in scores:
        told = "does not finish" if score is None else str(score)
        rows.append(f"  {what:<34} {told}" + ("" if reached is None else f"  all edges R {reached:.3f}"))
    return "\n".join(rows)


@pytest.fixture(scope="module")
def total() -> dict[str, Score]:
    return {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", ["referencing"] if metafunc.config.getoption("benchmark_disable") else SUITES)


def test_static_call_graph_against_traced_truth(
    benchmark: Any, name: str, total: dict[str, Score], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = SUITES[name][2:3] if benchmark.disabled else SUITES[name]
    most, seconds = (10, 60) if benchmark.disabled else (SAMPLE, PYCG_S)
    found = replace(distributions.find([name])[0], tests=())
    trace = tracing.trace(found, suite, cache=tmp_path if benchmark.disabled else archives.cache_folder())
    sites = benchmark.pedantic(lambda: list(callgraph.sites([found])), rounds=1)
    case = Case(found, sites, Scope(found, trace), trace)
    static, named = case.scope.static(sites), unique_names(case)
    scores: list[tuple[str, Score | None, float | None]] = [
        ("static", case.scope.score(static), case.scope.reached(static)),
        ("static, or the unique name", case.scope.score(named), case.scope.reached(named)),
    ]
    pycg = by_pycg(case, seconds, tmp_path)
    scores.append(("PyCG 0.0.7", None if pycg is None else case.scope.score(pycg), None))
    chosen, narrow = sampled(case, most)
    jedi = by_jedi(narrow, chosen)
    scores.append((f"static, {len(chosen)} sites", narrow.scope.score(narrow.scope.static(chosen)), None))
    scores.append((f"jedi, {len(chosen)} sites", narrow.scope.score(jedi), None))
    for what, score, _ in scores:
        if score is not None:
            key = what.partition(",")[0] + (" (sample)" if "sites" in what else "")
            key = key if "unique" not in what else "static or unique"
            total[key] = total.get(key, Score()) + score
            benchmark.extra_info[what] = str(score)
    if not benchmark.disabled:
        with capsys.disabled():
            print(lines(f"{trace.describe()}", scores))
            print(lines("so far, micro", [(key, score, None) for key, score in total.items()]))
    # what a reader of `referencing` finds at once must be found, whatever the rest is worth
    assert static <= named
    assert case.scope.score(static).precision > 0.5
    assert case.scope.truth
