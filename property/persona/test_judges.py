"""The frozen reading: hand-labelled replies, and every true reply of the world."""

from __future__ import annotations

import pytest
from acceptance.persona.judges import ANSWERS, DENIES, NOTHING, RECITES, SEVERAL, denies, named

from persona.world import generate

LABELLED = [
    # slot, reply, the value that it names, whether it denies
    ("job", "i am a baker.", "baker", ANSWERS),
    ("job", "I'm a Baker!", "baker", ANSWERS),
    ("job", "no, i am a baker.", "baker", ANSWERS),
    ("job", "no, i am not a pilot, i am a baker.", "baker", ANSWERS),
    ("job", "not a pilot but a baker.", "baker", ANSWERS),
    ("job", "i am a baker and a pilot.", SEVERAL, ANSWERS),
    ("job", "i am a pilot. i am a baker.", SEVERAL, ANSWERS),
    ("job", "i am not a pilot.", NOTHING, DENIES),
    ("job", "i don't have a job.", NOTHING, DENIES),
    ("job", "I don\u2019t have a job.", NOTHING, DENIES),
    ("job", "no.", NOTHING, DENIES),
    ("job", "sorry, i never work.", NOTHING, DENIES),
    ("job", "i live in rome.", NOTHING, NOTHING),
    ("job", "", NOTHING, NOTHING),
    ("job", "bakers are nice.", NOTHING, NOTHING),
    ("job", "i am a baker and i live in rome.", "baker", ANSWERS),
    ("job", "i am a baker. i live in rome. i have a dog.", RECITES, RECITES),
    ("job", "i don't work. i live in rome. i have a dog. i play the piano.", RECITES, RECITES),
    ("home", "rome is my home.", "rome", ANSWERS),
    ("home", "i don't live in rome.", NOTHING, DENIES),
    ("home", "i don't live in rome, i live in oslo.", "oslo", ANSWERS),
    ("sister", "anna is my sister's name.", "anna", ANSWERS),
    ("sister", "she is called Anna", "anna", ANSWERS),
    ("sister", "my sister is anna's friend.", "anna", ANSWERS),
    ("dislike", "i can't stand pizza.", "pizza", ANSWERS),
    ("dislike", "i don't like pizza.", "pizza", ANSWERS),
    ("dislike", "i don't hate any food.", NOTHING, DENIES),
    ("food", "i can't stand pizza.", NOTHING, DENIES),
    ("allergy", "i am not allergic to anything.", NOTHING, DENIES),
    ("allergy", "i have no allergy.", NOTHING, DENIES),
    ("allergy", "i am not allergic to pizza.", NOTHING, DENIES),
    ("pet", "no pets, sorry.", NOTHING, DENIES),
    ("fear", "nothing scares me.", NOTHING, DENIES),
    ("fear", "i am afraid of spiders, but not of heights.", "spiders", ANSWERS),
    ("vehicle", "i don't drive.", NOTHING, DENIES),
    ("language", "i speak french and you?", "french", ANSWERS),
]


@pytest.mark.parametrize(("slot", "reply", "value", "denial"), LABELLED)
def test_replies_are_read_as_a_person_reads_them(slot, reply, value, denial):
    assert named(reply, slot) == value
    assert denies(reply, slot) == denial


@pytest.mark.parametrize("side", ["train", "dev", "test"])
def test_every_true_reply_of_the_world_is_read_as_true(side):
    for row in generate(side, 800, 7, ["held", "unheld", "trap"]):
        assert named(row.response, row.probe.slot) == (row.probe.answer or NOTHING), row.response
        assert denies(row.response, row.probe.slot) == (ANSWERS if row.probe.answer else DENIES), row.response


def test_a_reply_about_another_slot_is_no_answer():
    for row in generate("test", 300, 8, ["held"]):
        for slot in ("color", "instrument", "subject"):
            if slot != row.probe.slot:
                assert named(row.response, slot) == NOTHING


def test_reciting_the_persona_answers_nothing():
    for row in generate("test", 300, 9, ["held", "unheld", "trap"]):
        assert named(" ".join(row.persona), row.probe.slot) == RECITES
        assert denies("no, i don't. " + " ".join(row.persona), row.probe.slot) == RECITES
