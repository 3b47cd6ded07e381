"""What an update sees: every fact once in a pass, a label for every loss, masks that depend on seed and place alone."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from corpus import ontology  # noqa: E402
from corpus.tokenizer import MASK  # noqa: E402
from graphmer import data  # noqa: E402
from graphmer.data import IGNORED, Graph, Packed, Pair, Pairs, Plan  # noqa: E402
from graphmer.records import Fact, Record  # noqa: E402


def chains_of(graph, width):
    return [chain for number in range(len(graph.records)) for chain in graph.chains(number, width)]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_pass_holds_every_fact_once(world, seed):
    graph, aligned, _ = world
    plan = Plan.training(graph, aligned, replace(graph.settings, epochs=2, seed=seed))
    seen: dict[tuple[int, int], int] = {}
    for step in plan.steps:
        for row in step.chains.rows if step.chains else ():
            for chain in row:
                for fact in chain.facts:
                    seen[chain.record, fact] = seen.get((chain.record, fact), 0) + 1
    wanted = {(number, fact) for number, each in enumerate(graph.records) for fact in range(len(each.facts))}
    assert seen == dict.fromkeys(wanted, 2)


@given(st.integers(0, 5000), st.sampled_from([64, 96]))
@settings(max_examples=20, deadline=None)
def test_packed_rows_hold_every_chain_once_and_no_more_than_fits(world, seed, width):
    graph, _, _ = world
    chains = chains_of(graph, width)
    rows = data.pack(chains, width, [seed])
    assert sorted(chain.record_id for row in rows for chain in row) == sorted(chain.record_id for chain in chains)
    assert max(sum(map(len, row)) for row in rows) <= width
    # first fit: no two rows would have fitted into one
    sums = sorted(sum(map(len, row)) for row in rows)
    assert sums[0] + sums[1] > width


@given(st.integers(0, 5000))
@settings(max_examples=25, deadline=None)
def test_every_chain_has_a_label_for_every_loss(world, seed):
    """And the labels are what stood where the input was hidden."""
    graph, _, _ = world
    rows = data.pack(chains_of(graph, 64), 64, [seed])[:6]
    packed = Packed(64, tuple(rows))
    batch, plain = data.collate(packed, graph, [seed]), data.chain_batch(packed)
    flat, before = batch["input_ids"].flatten(), plain["input_ids"].flatten()
    at = {}
    for name in ("mlm", "mnm"):
        there = batch[f"{name}_labels"] != IGNORED
        assert len(there) == len(batch["record_id"]) == sum(map(len, rows))
        assert there.any(1).all()
        at[name] = batch[f"{name}_positions"][there]
        assert (before[at[name]] == batch[f"{name}_labels"][there]).all()
        assert len(set(at[name].tolist())) == len(at[name])
    leaf = plain["leaf_places"].flatten() > 0
    assert not leaf[at["mlm"]].any()
    assert leaf[at["mnm"]].all()
    assert (flat[at["mnm"]] == MASK).all()
    hidden = torch.cat(list(at.values()))
    others = torch.ones(len(flat), dtype=torch.bool)
    others[hidden] = False
    assert (flat[others] == before[others]).all()
    # a leaf is hidden as a whole
    for question, place in zip(batch["asked"].tolist(), batch["asked_at"].tolist(), strict=True):
        assert 0 <= question < len(batch["facts"])
        assert plain["anchors"].flatten()[place] == 0


def test_rows_begin_with_the_first_records(world):
    """The recorder pairs record ids and rows of input_ids by place."""
    graph, _, _ = world
    packed = Packed(96, tuple(data.pack(chains_of(graph, 96), 96, [0])[:8]))
    batch = data.collate(packed, graph, [0])
    assert batch["record_id"][:8] == [row[0].record_id for row in packed.rows]


def test_the_same_seed_and_place_give_the_same_batch(world):
    graph, _, _ = world
    packed = Packed(64, tuple(data.pack(chains_of(graph, 64), 64, [0])[:4]))
    one, two, three = (data.collate(packed, graph, seed) for seed in ([1, 2], [1, 2], [1, 3]))
    assert all(torch.equal(one[name], two[name]) for name in one if name != "record_id")
    assert not torch.equal(one["input_ids"], three["input_ids"])


def test_shares_of_masked_tokens_are_those_declared(world):
    graph = copy.copy(world[0])
    graph.settings = replace(graph.settings, mlm_share=0.5)
    packed = Packed(96, tuple(data.pack(chains_of(graph, 96), 96, [0])))
    batch, plain = data.collate(packed, graph, [0]), data.chain_batch(packed)
    roots = int(((plain["leaf_places"] == 0) & (plain["input_ids"] > 3)).sum())
    labels = batch["mlm_labels"] != IGNORED
    assert int(labels.sum()) / roots == pytest.approx(0.5, abs=0.02)
    hidden = batch["input_ids"].flatten()[batch["mlm_positions"][labels]]
    assert float((hidden == MASK).float().mean()) == pytest.approx(0.8, abs=0.05)
    assert float((hidden == batch["mlm_labels"][labels]).float().mean()) == pytest.approx(0.1, abs=0.04)


def test_negatives_keep_to_the_ontology_and_to_what_is_known(world):
    """By hand: of five entities, the known other callee and the module are no negatives of a call."""
    graph, _, tokenizer = world
    records = [
        Record("m", "g", "m", "", (Fact("defines", "m.f"), Fact("defines", "m.g"), Fact("contains", "m.sub"))),
        Record("m.f", "g", "m.f", "", (Fact("calls", "m.g"), Fact("calls", "m.h"))),
        Record("m.g", "g", "m.g", "", (Fact("calls", "m.k"),)),
    ]
    small = Graph(records, tokenizer, ontology.load(), graph.settings)
    names = ["m.f", "m.g", "m.h", "m.k", "m.sub"]
    among = np.array([small.entities[name] for name in names])
    asked = small.facts[1][:1]  # m.f calls m.g
    assert dict(zip(names, small.allowed(asked, among)[0].tolist(), strict=True)) == {
        "m.f": True, "m.g": True, "m.h": False, "m.k": True, "m.sub": False,
    }  # fmt: skip
    plain = Graph(records, tokenizer, ontology.load(), replace(graph.settings, constrained_negatives=False))
    assert plain.allowed(asked, among).all()


def test_pairs_of_one_kind_meet_and_equal_answers_do_not_count_against_each_other(world):
    graph, _, tokenizer = world
    rows = [Pair(f"{kind}{n}", kind, f"read {n}", f"parse {n % 5}") for kind in ("a", "b") for n in range(20)]
    aligned = Pairs(rows, tokenizer, graph.settings)
    plan = Plan.training(graph, aligned, graph.settings)
    batches = [plan[place] for place, step in enumerate(plan.steps) if step.pairs]
    for bags, times in ((False, graph.settings.align_epochs), (True, graph.settings.word_epochs)):
        seen = [one for batch in batches if ("bags" in batch) == bags for one in batch["record_id"]]
        assert sorted(seen) == sorted([row.record_id for row in rows] * times)
    for batch in batches:
        assert len({one[0] for one in batch["record_id"]}) == 1
        for a, first in enumerate(batch["record_id"]):
            for b, second in enumerate(batch["record_id"]):
                same = int(first[1:]) % 5 == int(second[1:]) % 5 and a != b
                assert bool(batch["clashes"][a, b]) == same


def test_batches_come_short_rows_first_and_pairs_late(world):
    graph, aligned, _ = world
    settings_ = replace(graph.settings, align_epochs=3, align_from=0.5)
    plan = Plan.training(graph, aligned, settings_)
    widths = [step.chains.width for step in plan.steps if step.chains]
    assert widths == sorted(widths)
    assert set(widths) == {64, 96}
    kinds = ["chains" if step.chains else "bags" if step.bags else "pairs" for step in plan.steps]
    first = kinds.index("pairs")
    assert kinds[:first].count("chains") >= round(0.5 * len(widths))
    assert "bags" not in kinds[first:]
    assert kinds.count("pairs") == 3 * -(-len(aligned.rows) // settings_.align_batch)
    assert kinds.count("bags") == settings_.word_epochs * -(-len(aligned.rows) // settings_.word_batch)
    bags = [plan[place] for place, kind in enumerate(kinds) if kind == "bags"]
    assert all(batch["bags"] is True for batch in bags)
