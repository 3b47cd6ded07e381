"""Is it the persona that makes the difference? The same dialogue under another one, and replies among strangers."""

from __future__ import annotations

import numpy as np
import pytest

from acceptance.persona import baselines, judges, policies
from acceptance.persona.probes import Probes
from acceptance.persona.replies import CONTROLS, STAGE, read, replies, samples, texts


@pytest.fixture(scope="session")
def both_sides(probe_data):
    """Each twin twice, one persona after the other."""
    return Probes(
        [
            {
                "persona": twin["personas"][side],
                "dialogue": twin["dialogue"],
                "response": twin["responses"][side],
                "probe": {"slot": twin["slot"], "answer": twin["answers"][side]},
                "group": twin["record_id"],
                "slice": twin["slice"],
                "kind": twin["kind"],
            }
            for twin in probe_data.rows("twins.jsonl")
            for side in (0, 1)
        ]
    )


@pytest.mark.requirement("persona/swap.following")
def test_follows_the_persona_that_it_is_given(judge, persona, both_sides, probe_data):
    observed = replies(persona, both_sides.items)
    found = {
        **{f"persona-{stage}": texts(replies(persona, both_sides.items, stage=stage).values) for stage in CONTROLS},
        "recite-persona": policies.recite_persona(both_sides.items),
        "random-sentence": policies.random_sentence(both_sides.items),
    }
    judge(
        read(observed, both_sides, judges.named),
        gold=both_sides.answers,
        groups=both_sides.groups,
        baselines={
            name: [judges.named(reply, slot) for reply, slot in zip(said, both_sides.slots, strict=True)]
            for name, said in found.items()
        },
        slices={"kind": both_sides.column("kind"), "new": both_sides.column("slice")},
        datasets=[probe_data],
        details={"samples": samples(both_sides, texts(observed.values))},
    )


@pytest.mark.requirement("persona/swap.likelihood")
def test_likelihood_finds_the_speaker(judge, persona, world_data, probe_data):
    rows = probe_data.rows("candidates.jsonl")
    corpus = [" ".join(row["persona"]) for row in world_data.rows("train.jsonl")]
    judge(
        scores(persona, rows),
        gold=gold(rows),
        groups=[row["group"] for row in rows],
        baselines={
            "tfidf": baselines.tfidf(rows, corpus),
            "persona-blind": baselines.coin(rows),
        },
        slices={"new": [row["slice"] for row in rows]},
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/swap.conversations")
def test_likelihood_finds_the_speaker_of_real_turns(judge, persona, conversation_data):
    if conversation_data is None:
        pytest.skip("Synthetic-Persona-Chat is not there: put its files under $ASSAY_DATA/synthetic-persona-chat")
    rows = conversation_data.rows("candidates.jsonl")
    train = conversation_data.rows("train.jsonl")
    corpus = [*{" ".join(row["persona"]) for row in train}, *(row["response"] for row in train)]
    judge(
        scores(persona, rows),
        gold=gold(rows),
        groups=[row["group"] for row in rows],
        baselines={
            "tfidf": baselines.tfidf(rows, corpus),
            "tfidf-characters": baselines.tfidf(rows, corpus, characters=True),
            "persona-blind": baselines.coin(rows),
        },
        slices={"person": [row["person"] for row in rows]},
        datasets=[conversation_data],
    )


def scores(persona, rows):
    """(N, C) log-likelihood of each response under each persona, nats per token."""
    items = [{name: row[name] for name in ("personas", "dialogue", "response")} for row in rows]
    return persona.predictions("likelihood", items, stage=STAGE).map(
        lambda values: np.array([each["scores"] for each in values])
    )


def gold(rows):
    return {
        "relevant": np.array([row["own"] for row in rows]),
        "candidates": np.array([len(row["personas"]) for row in rows]),
    }
