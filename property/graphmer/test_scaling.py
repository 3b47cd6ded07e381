"""Longer and shorter training differ in the passes alone, and are compared seed by seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from acceptance.graphmer.scaling import PROFILE, SEEDS, Scaling, told

from assay import digests, spec
from assay.artifacts import Store
from assay.subject import Subject
from graphmer.data import Plan

PASSES = ("epochs", "align_epochs", "word_epochs")


@pytest.fixture(scope="module")
def written():
    return spec.load(Path(__file__).parents[2] / "spec/graphmer.toml")


@pytest.fixture
def subject(written, tmp_path):
    """Asks and trains nothing until it is told to."""
    return lambda profile: Subject(written, profile, Store(tmp_path), digests.Code([]), data={})


def test_the_profile_is_that_of_cpu_with_as_many_times_the_passes_of_each_kind(written):
    longer, shorter = written.profile[PROFILE], written.profile["cpu"]
    differing = {key for key in shorter if longer[key] != shorter[key]}
    assert longer.keys() == shorter.keys()
    assert differing == {*PASSES, "evaluations"}
    assert {longer[key] / shorter[key] for key in PASSES} == {2}


def test_as_many_times_the_passes_are_as_many_times_the_samples(world):
    """Whatever the packing: of each kind of batch, every record, pair and bag is shown twice for once."""
    graph, aligned, _ = world

    def shown(times):
        own = replace(graph.settings, **{key: times * getattr(graph.settings, key) for key in PASSES})
        steps = Plan.training(graph, aligned, own).steps
        of_chains = [chain for step in steps if step.chains for row in step.chains.rows for chain in row]
        pairs = {bags: sum(len(step.pairs) for step in steps if step.bags is bags) for bags in (False, True)}
        return sum(len(chain.facts) for chain in of_chains), pairs[False], pairs[True]

    once = shown(1)
    assert min(once) > 0
    assert shown(2) == tuple(2 * count for count in once)


def test_every_seed_is_held_against_the_same_seed_of_the_profile_that_is_judged(written, subject):
    scaling = Scaling.of(subject("cpu"))
    assert [one.profile for one in scaling.longer] == [{**written.profile[PROFILE], "seed": seed} for seed in SEEDS]
    asked = []
    for longer in scaling.longer:
        for control in scaling.beside(asked.append).values():
            control(longer)
    assert [one.profile for one in asked] == [{**written.profile["cpu"], "seed": seed} for seed in SEEDS]
    assert {one.profile_name for one in [*asked, *scaling.longer]} == {"cpu"}


def test_a_smoke_run_trains_nothing_longer(written, subject):
    scaling = Scaling.of(subject("smoke"))
    assert [one.profile for one in scaling.longer] == [{**written.profile["smoke"], "seed": seed} for seed in SEEDS]


def test_the_cost_is_that_of_the_updates():
    assert told({"updates": 4, "step_seconds": [0.5, 1.5, 0.5, 1.5]}) == "4 updates in 4 s, 1000 ms each"
