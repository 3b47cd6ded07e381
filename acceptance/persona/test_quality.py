"""How does it speak? Reported beside the reference: none of these says that it is true to its persona."""

from __future__ import annotations

import math

import pytest

from acceptance.persona import policies
from acceptance.persona.replies import STAGE, replies, texts


@pytest.mark.requirement("persona/copy.rate")
def test_does_not_copy_much_more_than_the_reference(judge, persona, heldout, probe_data):
    judge(
        replies(persona, heldout.items).map(texts),
        gold={"given": heldout.given, "reference": heldout.responses},
        groups=heldout.groups,
        baselines={"recite-persona": policies.recite_persona(heldout.items)},
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/quality.bleu", "persona/quality.rouge_l")
def test_speaks_like_the_reference(judge, persona, heldout, probe_data):
    judge(
        replies(persona, heldout.items).map(texts),
        gold=heldout.responses,
        groups=heldout.groups,
        baselines={
            "sft": texts(replies(persona, heldout.items, stage="sft").values),
            "random-reply": policies.random_reply(heldout.items, heldout.responses),
        },
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/quality.distinct_1", "persona/quality.distinct_2")
def test_does_not_say_one_thing_to_everybody(judge, persona, heldout, probe_data):
    judge(
        replies(persona, heldout.items).map(texts),
        groups=heldout.groups,
        baselines={
            "reference": heldout.responses,
            "sft": texts(replies(persona, heldout.items, stage="sft").values),
        },
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/quality.engagement")
def test_keeps_a_conversation_going(judge, persona, asked, probe_data):
    rows = asked("engagement")
    judge(
        replies(persona, rows.items).map(texts),
        gold=[item["dialogue"][-1] for item in rows.items],
        groups=rows.groups,
        baselines={
            "reference": rows.responses,
            "sft": texts(replies(persona, rows.items, stage="sft").values),
            "copy-last-turn": policies.copy_last_turn(rows.items),
        },
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/quality.perplexity")
def test_ppo_has_not_forgotten_how_to_speak(judge, persona, asked, probe_data):
    rows = asked("engagement")
    items = [{**item, "response": response} for item, response in zip(rows.items, rows.responses, strict=True)]

    def ask(stage):
        return persona.predictions("perplexity", items, stage=stage).map(
            lambda values: [-each["nll"] / each["tokens"] for each in values]
        )

    observed, sft = ask(STAGE), ask("sft")
    judge(
        observed,
        groups=rows.groups,
        baselines={"sft": sft.values},
        datasets=[probe_data],
        details={"perplexity": {name: perplexity(each.values) for name, each in (("ppo", observed), ("sft", sft))}},
    )


def perplexity(log_likelihoods):
    return math.exp(-sum(log_likelihoods) / len(log_likelihoods))
