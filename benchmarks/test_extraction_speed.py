"""Python to triples beside a bare `ast.parse` pass over the same files, and beside jedi's list of their names."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus import distributions, graph
from corpus.distributions import Distribution
from corpus.parsing import parse

ROUNDS = 3


@pytest.fixture(scope="module")
def chosen(request: pytest.FixtureRequest) -> Distribution:
    found = distributions.find(["filelock" if request.config.getoption("benchmark_disable") else "networkx"])[0]
    return replace(found, tests=())


def seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bare(files: tuple[Path, ...]) -> None:
    for path in files:
        parse(path.read_bytes())


def by_jedi(files: tuple[Path, ...]) -> None:
    import jedi

    for path in files:
        jedi.Script(path=path).get_names(all_scopes=True, references=True)


def test_extraction_beside_a_bare_parse(
    benchmark: Any, chosen: Distribution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One process, turn by turn, so that whatever else the machine does meets both."""
    rounds = 1 if benchmark.disabled else ROUNDS
    ratios, names, rates = [], [], []
    built = None
    for number in range(rounds):
        place = tmp_path / f"{number}" / "kg.jsonl"
        place.parent.mkdir()
        parsing = seconds(lambda: bare(chosen.files))
        start = time.perf_counter()
        built = graph.build([chosen], place, processes=1)
        extracting = time.perf_counter() - start
        ratios.append(extracting / parsing)
        rates.append(built.summary["triples"] / extracting)
        if number == 0:
            names.append(seconds(lambda: by_jedi(chosen.files[:20])) / seconds(lambda: bare(chosen.files[:20])))
    assert built is not None
    assert built.summary["triples"] > 100
    benchmark.pedantic(bare, args=(chosen.files,), rounds=rounds)
    benchmark.extra_info.update(
        files=len(chosen.files), triples=built.summary["triples"], ratio=sorted(ratios)[rounds // 2], jedi=names[0]
    )
    if not benchmark.disabled:
        with capsys.disabled():
            print(
                f"\n{chosen.name}: {len(chosen.files)} files, {built.summary['triples']:,} triples, "
                f"{sorted(rates)[rounds // 2]:,.0f} triples/s; a bare parse x {sorted(ratios)[rounds // 2]:.1f}; "
                f"jedi's names of 20 files: a bare parse x {names[0]:.1f}"
            )
