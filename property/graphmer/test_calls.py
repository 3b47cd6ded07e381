"""Laws of call-graph completion: every function of the written name is a candidate, and arguments tell them apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from corpus import distributions, folders
from corpus.errors import CorpusError
from graphmer import tasks
from graphmer.errors import GraphmerError
from graphmer.tasks.calls import FEATURES, Calls, _World

pytest.importorskip("lightgbm")

SOURCE = """
class Runner:
    def run(self, speed): return speed

class Walker:
    def run(self): return 0

class Fast(Runner):
    def run(self, speed): return 2 * speed

def use(thing):
    thing.run(1)

def direct():
    runner = Runner()
    runner.run(2)

def outside(path):
    return len(path)
"""


class Blind:
    """An encoder to which all texts are alike."""

    dimensions = 4

    def vectors(self, texts, *, maximum_tokens=128):
        return np.ones((len(texts), 4), dtype=np.float32)


@pytest.fixture(scope="module")
def distribution(tmp_path_factory):
    place = tmp_path_factory.mktemp("project") / "pkg"
    place.mkdir()
    (place / "__init__.py").write_text("")
    (place / "moves.py").write_text(SOURCE)
    return folders.distribution(place.parent)


@pytest.fixture(scope="module")
def world(distribution) -> _World:
    return _World(distribution)


def site(world: _World, text: str):
    """The call expression that is written so."""
    for (file, span), _ in world.code.calls.items():
        line = world.code.lines[file][span[0] - 1]
        if line[span[1] : span[3]] == text:
            return file, span
    raise AssertionError(text)


def value(world: _World, caller: str, key, callee: str, feature: str) -> float:
    candidates = world.candidates(key)
    row = {"distribution": "", "caller": caller, "sites": []}
    return world.features(row, key, callee, candidates)[FEATURES.index(feature)]


def test_an_unknown_receiver_has_every_function_of_the_name(world) -> None:
    key = site(world, "thing.run(1)")
    assert set(world.candidates(key)) == {f"pkg.moves.{owner}.run" for owner in ("Runner", "Walker", "Fast")}


def test_arguments_that_do_not_fit_are_seen(world) -> None:
    key = site(world, "thing.run(1)")
    assert value(world, "pkg.moves.use", key, "pkg.moves.Runner.run", "arguments fit") == 1
    assert value(world, "pkg.moves.use", key, "pkg.moves.Walker.run", "arguments fit") == 0
    assert value(world, "pkg.moves.use", key, "pkg.moves.Walker.run", "arguments beyond") == 1


def test_what_resolution_knows_is_marked_and_overridden(world) -> None:
    key = site(world, "runner.run(2)")
    assert value(world, "pkg.moves.direct", key, "pkg.moves.Runner.run", "static") == 1
    assert value(world, "pkg.moves.direct", key, "pkg.moves.Fast.run", "overrides static") == 1
    assert value(world, "pkg.moves.direct", key, "pkg.moves.Walker.run", "static") == 0


def test_a_builtin_has_no_candidates(world) -> None:
    assert world.candidates(site(world, "len(path)")) == []


def test_answers_are_functions_of_the_distribution_and_repeat(distribution, tmp_path) -> None:
    callers = [
        {"distribution": distribution.name, "caller": name, "sites": [[*flat(key)]], "callees": callees}
        for name, text, callees in (
            ("pkg.moves.use", "thing.run(1)", ["pkg.moves.Runner.run", "pkg.moves.Fast.run"]),
            ("pkg.moves.direct", "runner.run(2)", ["pkg.moves.Runner.run"]),
        )
        for key in [site(_World(distribution), text)]
    ]
    calls = Calls(Blind())
    calls.fit({distribution.name: (distribution, callers * 40)})
    first = calls.callees(callers, {distribution.name: distribution})
    calls.save(tmp_path)
    again = Calls.load(Blind(), tmp_path).callees(callers, {distribution.name: distribution})
    assert first == again
    assert all(name.startswith("pkg.moves.") for found in first for name in found)
    assert "pkg.moves.Walker.run" not in first[0]


def test_fitting_reads_what_it_is_given_and_nothing_installed(distribution, world, tmp_path) -> None:
    callers = [
        {"distribution": distribution.name, "caller": "pkg.moves.use", "sites": [[*flat(site(world, "thing.run(1)"))]],
         "callees": ["pkg.moves.Runner.run"]}
    ]  # fmt: skip
    data = {"call_examples": tmp_path / "callers.jsonl", "call_files": tmp_path / "files.jsonl"}
    for path, rows in zip(data.values(), (callers * 40, folders.packed(distribution)), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(CorpusError):
        distributions.find([distribution.name])  # nobody has it installed
    tasks.fit(Blind(), data, tmp_path, {"threads": 1, "seed": 0})
    assert Calls.load(Blind(), tmp_path / tasks.FOLDER / "calls").ranker is not None
    data["call_files"].write_text("")
    with pytest.raises(GraphmerError, match=distribution.name):
        tasks.fit(Blind(), data, tmp_path, {"threads": 1, "seed": 0})


def flat(key):
    file, span = key
    return file, *span
