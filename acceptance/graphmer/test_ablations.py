"""Does each part help, and does the large model train? Three seeds with and three without, everything else equal."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from acceptance.graphmer import learning, masked

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Found:
    """Queries among a pool, each with one answer."""

    queries: list[str]
    pool: list[str]

    @property
    def gold(self) -> dict[str, Any]:
        return {"relevant": np.arange(len(self.queries)), "candidates": np.full(len(self.queries), len(self.pool))}

    def ask(self, variant):
        """Cosines of every query with the whole pool."""

        def scores(vectors):
            units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            return units[: len(self.queries)] @ units[len(self.queries) :].T

        found = variant.predictions("vectors", [*self.queries, *self.pool])
        return found.map(scores, items=self.queries)


@pytest.fixture(scope="session")
def search(functions):
    """Docstrings of distributions that training is handed nothing of, and the functions that they describe."""
    rows = {row["passage"]: row for row in functions.rows("test.jsonl")}
    return Found([row["query"] for row in rows.values()], list(rows))


@dataclass(frozen=True)
class Tails:
    """(head, relation) of unseen distributions with one tail each, among all entities there."""

    items: list[dict[str, str]]
    entities: list[list[str]]
    gold: dict[str, Any]

    def ask(self, variant):
        return variant.predictions("ranked_tails", self.items, entities=self.entities)


@pytest.fixture(scope="session")
def tails(unseen, unseen_heads, tables):
    types = {row["name"]: row["type"] for row in unseen.rows("test_entities.jsonl")}
    texts = {item["head"]: item["text"] for item in unseen_heads.items}
    facts = [row for row in unseen.rows("test_triples.jsonl") if row["tail"] in types and texts[row["head"]]]
    known: dict[tuple[str, str], list[str]] = {}
    for row in facts:
        known.setdefault((row["head"], row["relation"]), []).append(row["tail"])
    random.Random(0).shuffle(facts)
    chosen = facts[: tables("masked")["items"]]
    items = [
        {
            "head": row["head"], "relation": row["relation"], "text": texts[row["head"]],
            "known": [one for one in known[row["head"], row["relation"]] if one != row["tail"]],
        }
        for row in chosen
    ]  # fmt: skip
    gold = {"qrels": [{row["tail"]: 1.0} for row in chosen], "candidates": np.full(len(chosen), len(types))}
    return Tails(items, [[name, kind] for name, kind in sorted(types.items())], gold)


def variants(encoder, **changes):
    return [encoder.variant(seed=seed, **changes) for seed in SEEDS]


def without(ask, **changes):
    """The control: the same seed trained with another value."""
    return {"without": lambda variant: ask(variant.variant(**changes))}


@pytest.mark.requirement("graphmer/ablation.bias")
def test_the_attention_bias_helps_hidden_leaves(judge, encoder, unseen, unseen_heads, tables):
    """Every variant has the same tokenizer: it is learnt from the same texts."""
    count = tables("masked")["items"]
    asked = masked.questions(unseen_heads, encoder.artifact.folder, encoder.profile, "mnm", count)

    def ask(variant):
        return variant.predictions("fill", asked.items)

    judge.seeds(
        variants(encoder), ask, gold=asked.gold, groups=asked.heads, baselines=without(ask, bias=False),
        datasets=[unseen],
    )  # fmt: skip


@pytest.mark.requirement("graphmer/ablation.bias_search")
def test_the_attention_bias_helps_search(judge, encoder, search, search_pool):
    judge.seeds(
        variants(encoder),
        search.ask,
        gold=search.gold,
        baselines=without(search.ask, bias=False),
        datasets=[search_pool],
    )


@pytest.mark.requirement("graphmer/ablation.leaves")
def test_leaves_help_search(judge, encoder, search, search_pool):
    judge.seeds(
        variants(encoder),
        search.ask,
        gold=search.gold,
        baselines=without(search.ask, leaves=False),
        datasets=[search_pool],
    )


@pytest.mark.requirement("graphmer/ablation.mnm")
def test_hidden_leaves_help_search(judge, encoder, search, search_pool):
    judge.seeds(
        variants(encoder), search.ask, gold=search.gold, baselines=without(search.ask, mnm_weight=0.0),
        datasets=[search_pool],
    )  # fmt: skip


@pytest.mark.requirement("graphmer/ablation.mnm_links")
def test_hidden_leaves_help_tails(judge, encoder, tails, unseen):
    judge.seeds(
        variants(encoder), tails.ask, gold=tails.gold, baselines=without(tails.ask, mnm_weight=0.0),
        datasets=[unseen],
    )  # fmt: skip


@pytest.mark.requirement("graphmer/ablation.negatives")
def test_constrained_negatives_help_tails(judge, encoder, tails, unseen):
    judge.seeds(
        variants(encoder), tails.ask, gold=tails.gold, baselines=without(tails.ask, constrained_negatives=False),
        datasets=[unseen],
    )  # fmt: skip


@pytest.mark.requirement("graphmer/full.85m")
def test_the_large_model_trains(judge, encoder):
    """The profile `full` (in a smoke run, the profile at hand): terms of the dev loss, from the flight record."""
    smoke = encoder.profile_name == "smoke"
    profile = encoder.profile if smoke else encoder.table("full")
    large = {name: value for name, value in profile.items() if name != "seed"}

    def losses(variant):
        flight = variant.artifact.flight
        assert smoke or flight["updates"] == profile["updates"]
        assert flight["skipped_updates"] == 0
        return learning.losses(variant)

    trained = variants(encoder, **large)
    curve = learning.curves(trained[0].artifact.flight)
    judge.seeds(trained, losses, gold=None, baselines={}, details={"curve": curve})
