"""Laws of call-graph completion: every function of the written name is a candidate, and arguments tell them apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from corpus import distributions, folders
from corpus.errors import CorpusError
from graphmer import tasks
from graphmer.errors import GraphmerError
from graphmer.tasks.calls import FEATURES, Calls, _World, fused

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

class Named:
    def use(self): return Walker

class Other:
    def use(self): return Runner

@overload
def chosen(one: int): ...
@overload
def chosen(other: str): ...
def chosen(either): return either
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


def test_a_method_is_read_and_not_its_namesake_above(world) -> None:
    """Two classes have a `use`; the first one's text says Walker, the second one's does not."""
    assert "Walker" in world._named("pkg.moves.Named.use", world.code)
    assert "Walker" not in world._named("pkg.moves.Other.use", world.code)
    assert "Runner" in world._named("pkg.moves.Other.use", world.code)


def test_of_overloads_the_function_that_runs_is_read(world) -> None:
    one = world.code.functions["pkg.moves.chosen"]
    assert not one.abstract
    assert one.parameters == ("either",)


def test_a_site_is_labelled_by_what_it_reached_itself(distribution) -> None:
    world = _World(distribution)
    keys = [site(world, "thing.run(1)"), site(world, "runner.run(2)")]
    row = {
        "distribution": distribution.name, "caller": "pkg.moves.use", "sites": [[*flat(key)] for key in keys],
        "callees": ["pkg.moves.Fast.run", "pkg.moves.Runner.run"],
        "reached": [["pkg.moves.Fast.run"], ["pkg.moves.Runner.run"]],
    }  # fmt: skip
    _, _, labels, edges = Calls(Blind())._block(world, [row])
    right = [callee for label, (_, callee, _) in zip(labels, edges, strict=True) if label]
    assert right == ["pkg.moves.Fast.run", "pkg.moves.Runner.run"]  # one a site, of three candidates each
    assert sum(ok for *_, ok in edges) == 4


def test_a_context_begins_with_the_call_itself(world) -> None:
    head, call, *around = world.context("pkg.moves.use", site(world, "thing.run(1)")).split("\n")
    assert (head, call) == ("calls | pkg.moves.use", "thing.run(1)")
    assert "def use(thing):" in around


def test_odds_are_moved_by_the_cosine() -> None:
    """By hand: odds of 3 to 1, and e^2 times fewer for a cosine one below the best."""
    found = fused(np.array([0.75, 0.75, 1.0]), np.array([0.0, -1.0, 0.0], dtype=np.float32), 2.0)
    assert found[:2] == pytest.approx([0.75, 3 / (3 + np.e**2)])
    assert found[2] == pytest.approx(1.0, abs=1e-5)


class Given(Calls):
    """Blocks that are made up: features that say nothing, and cosines that do or do not."""

    def __init__(self, encoder, near) -> None:
        super().__init__(encoder)
        self.near = near

    def _world(self, distribution, rows):
        return distribution

    def _block(self, world, rows):
        draw = np.random.default_rng(int(world))
        labels = np.tile([1, 0, 0], 200).astype(np.int32)
        table = draw.normal(size=(600, len(FEATURES))).astype(np.float32)
        near = np.where(labels, 0.0, -0.5 * draw.random(600)).astype(np.float32) * self.near
        edges = [(place // 3, f"f{place}", bool(ok)) for place, ok in enumerate(labels)]
        return table, near, labels, edges


def test_an_encoder_weighs_as_much_as_it_helps_on_distributions_left_out() -> None:
    found = {name: (name, [{"callees": [str(i)]} for i in range(200)]) for name in ("1", "2")}
    knowing, blind = Given(Blind(), near=1), Given(Blind(), near=0)
    for one in (knowing, blind):
        one.fit(found)
    assert knowing.weight > 0
    assert blind.weight == 0
    assert blind.cuts[0] == blind.cuts[1] == knowing.cuts[1]


def test_a_cosine_counts_from_the_best_one_of_its_site(world) -> None:
    class Telling(Blind):
        def vectors(self, texts, *, maximum_tokens=128):
            return np.array([[1.0, len(text), text.count("r"), text.count("u")] for text in texts], dtype=np.float32)

    sites = [[*flat(site(world, text))] for text in ("thing.run(1)", "runner.run(2)")]
    _, near, places = Calls(Telling())._rows(world, [{"caller": "pkg.moves.use", "sites": sites}], True)
    for number in range(2):
        own = [value for value, (_, site_, _) in zip(near, places, strict=True) if site_ == number]
        assert len(own) == 3
        assert max(own) == 0
        assert min(own) < 0


def test_an_encoder_without_weight_is_not_asked(distribution, monkeypatch) -> None:
    key = site(_World(distribution), "thing.run(1)")
    row = {
        "distribution": distribution.name, "caller": "pkg.moves.use", "sites": [[*flat(key)]],
        "callees": ["pkg.moves.Fast.run"], "reached": [["pkg.moves.Fast.run"]],
    }  # fmt: skip
    calls = Calls(Blind())
    calls.fit({distribution.name: (distribution, [row] * 40)})
    assert calls.weight == 0  # all texts are alike to it
    monkeypatch.setattr(Blind, "vectors", None)
    calls.callees([row], {distribution.name: distribution})
    calls.weight = 1.0
    with pytest.raises(TypeError):
        calls.callees([row], {distribution.name: distribution})


def test_a_builtin_has_no_candidates(world) -> None:
    assert world.candidates(site(world, "len(path)")) == []


def test_answers_are_functions_of_the_distribution_and_repeat(distribution, tmp_path) -> None:
    callers = [
        {
            "distribution": distribution.name,
            "caller": name,
            "sites": [[*flat(key)]],
            "callees": callees,
            "reached": [callees],
        }
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
         "callees": ["pkg.moves.Runner.run"], "reached": [["pkg.moves.Runner.run"]]}
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
