"""The world keeps its sides apart, its answers true, and its twins alike in all but one fact."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import pytest

from persona import tokens
from persona.config import Settings, get_default_config
from persona.errors import PersonaError
from persona.format import render
from persona.world import WORLD, chatter, generate, twins
from persona.world.chatter import mirrored
from persona.world.grammar import SIDES, filled, held_out, lines

WORD = re.compile(r"[a-z']+")
TEMPLATES = ("facts", "questions", "replies", "assertions", "denials")


def words(*texts: str) -> set[str]:
    return {word for text in texts for word in WORD.findall(text)}


def spoken(row) -> list[str]:
    return [*row.persona, *row.dialogue, row.response]


def values(side: str) -> set[str]:
    return {value for domain in WORLD.values.values() for value in domain[side]}


def by_side(side: str) -> dict[str, list[str]]:
    """Slot or topic -> its lines of one side alone."""
    found = {
        slot.name: [line for name in TEMPLATES for line in getattr(slot, name).get(side, ())]
        for slot in WORLD.slots.values()
    }
    for number, topic in enumerate(WORLD.talk["small"]):
        found[f"small {number}"] = [*topic["turns"][side], *topic["replies"][side]]
    return found


@pytest.fixture(scope="module")
def rows():
    return {side: generate(side, 1200, 0) for side in SIDES}


# ------------------------------------------------------------------------------ the files


def test_the_world_is_as_large_as_declared():
    assert len(WORLD.slots) >= 16
    assert sum(len(domain["train"]) for domain in WORLD.values.values()) >= 400
    for domain in WORLD.values.values():
        assert {side: len(domain[side]) for side in (*SIDES, "novel")} == {"train": 24, "dev": 4, "test": 8, "novel": 3}


def test_a_value_is_in_one_domain_on_one_side():
    count = Counter(value for domain in WORLD.values.values() for side in domain.values() for value in side)
    assert [value for value, times in count.items() if times > 1] == []


def test_no_value_is_a_word_of_a_template():
    """Otherwise a reply would name a value by accident."""
    every = {value for side in (*SIDES, "novel") for value in values(side)}
    said = words(*(line for side in SIDES for found in by_side(side).values() for line in found))
    frames = words(
        *(
            line
            for name in ("openers", "tags", "agreements", "corrections", "answers", "refusals")
            for side in WORLD.talk[name].values()
            for line in side
        )
    )
    assert every & (said | frames) == set()


def test_a_sentence_is_on_one_side_of_its_slot():
    for name in ("facts", "questions", "assertions", "denials"):
        for slot in WORLD.slots.values():
            count = Counter(line for side in getattr(slot, name).values() for line in set(side))
            assert [line for line, times in count.items() if times > 1] == [], (slot.name, name)
    for slot in WORLD.slots.values():
        stated = {side: {*slot.facts.get(side, ()), *slot.replies.get(side, ())} for side in SIDES}
        assert not stated["test"] & stated["train"], slot.name


def test_words_of_dev_and_test_sentences_are_known_from_training():
    """What is unseen is the sentence; an unseen word would test something else."""
    known = words(*(line for found in by_side("train").values() for line in found))
    known |= words(
        *(
            line
            for name in ("openers", "tags", "agreements", "corrections", "answers", "refusals")
            for line in WORLD.talk[name]["train"]
        )
    )
    unknown = {
        side: {word for found in by_side(side).values() for line in found for word in words(line)}
        - known
        - {"v", "a", "an"}
        for side in ("dev", "test")
    }
    assert unknown == {"dev": set(), "test": set()}


def test_values_are_ordinary_words_save_the_novel_ones(rows):
    heard = words(*(text for row in chatter(2500, 0) for text in spoken(row)))
    assert len(values("test") & heard) >= 0.95 * len(values("test"))
    said = heard | words(*(text for side in ("train", "dev") for row in rows[side] for text in spoken(row)))
    assert values("novel") & said == set()


# ------------------------------------------------------------------------------ sides


def test_no_test_value_or_sentence_reaches_training(rows):
    allowed = {"train": values("train"), "dev": values("train") | values("dev")}
    for side, own in allowed.items():
        every = {value for name in (*SIDES, "novel") for value in values(name)}
        said = words(*(text for row in rows[side] for text in spoken(row)))
        assert said & (every - own) == set()
    sentences = {side: {text for row in rows[side] for text in row.persona} for side in SIDES}
    assert sentences["train"] & sentences["test"] == set()
    questions = {side: {row.dialogue[-1] for row in rows[side] if row.probe.kind != "smalltalk"} for side in SIDES}
    assert questions["train"] & questions["test"] == set()


def test_held_out_combinations_are_in_test_alone(rows):
    for side in ("train", "dev"):
        for row in rows[side]:
            assert not any(held_out(one, other) for one, other in combinations(row.facts.items(), 2))
    for row in rows["test"]:
        if row.slice == "combination":
            assert set(row.facts.values()) <= values("train")
            first = next(iter(row.facts.items()))
            assert any(held_out(first, other) for other in row.facts.items() if other != first)
    share = sum(held_out(one, other) for row in rows["test"] for one, other in combinations(row.facts.items(), 2))
    assert share / sum(len(row.facts) * (len(row.facts) - 1) / 2 for row in rows["test"]) < 0.3


def test_the_value_that_is_asked_for_is_new_in_the_slice_of_values(rows):
    for side in ("dev", "test"):
        probed = [row.probe.answer for row in rows[side] if row.slice == "value" and row.probe.answer]
        assert set(probed) <= values(side)
        assert len(set(probed)) > 0.8 * len(values(side))
    novel = generate("test", 50, 0, kinds=["held"], slices=["novel"])
    assert {row.probe.answer for row in novel} <= values("novel")


def test_no_persona_is_on_two_sides(rows):
    groups = {side: {row.group for row in rows[side]} for side in SIDES}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["dev"]


# ------------------------------------------------------------------------------ truth


@pytest.mark.parametrize("side", SIDES)
def test_the_response_is_true(rows, side):
    for row in rows[side]:
        if row.probe.slot is None:
            continue
        named = words(row.response) & set(WORLD.every_value(row.probe.slot))
        assert named == ({row.probe.answer} if row.probe.answer else set()), row
        assert row.facts.get(row.probe.slot) == row.probe.answer
        assert (row.probe.kind == "unheld") == (row.probe.answer is None)


def test_a_trap_asserts_what_is_false(rows):
    for row in [row for side in SIDES for row in rows[side]]:
        if row.probe.kind == "trap":
            assert row.probe.claimed not in (None, row.probe.answer)
            assert row.probe.claimed in words(row.dialogue[-1])


def test_each_fact_is_one_sentence_and_each_sentence_a_fact(rows):
    for side in SIDES:
        for row in rows[side]:
            known = {
                filled(line, value): slot
                for slot, value in row.facts.items()
                for line in lines(WORLD.slots[slot].facts, side)
            }
            assert sorted(known[sentence] for sentence in row.persona) == sorted(row.facts)


def test_every_slot_and_kind_is_asked(rows):
    for side in SIDES:
        assert {row.probe.slot for row in rows[side]} == {*WORLD.slots, None}
        assert {row.probe.kind for row in rows[side]} == {"held", "unheld", "trap", "smalltalk"}


def test_the_partner_names_values_that_are_not_the_answer(rows):
    """Copying the value that was just named must not be the way."""
    held = [row for row in rows["test"] if row.probe.kind == "held"]
    told = [
        row for row in held if words(row.dialogue[-1]) & set(WORLD.every_value(row.probe.slot)) - {row.probe.answer}
    ]
    assert len(told) > 0.15 * len(held)


def test_turns_alternate_and_end_with_the_partner(rows):
    assert all(len(row.dialogue) % 2 == 1 for side in SIDES for row in rows[side])
    assert max(len(row.dialogue) for row in rows["test"]) >= 5


def test_rows_to_learn_from_ask_more(rows):
    """The mean of 0 to 4 exchanges before the last turn is 2; of (0, 0, 1, 1, 2) it is 0.8, on sides that are examined."""
    mean = {side: sum(len(row.dialogue) - 1 for row in rows[side]) / 2 / len(rows[side]) for side in SIDES}
    assert mean == {"train": pytest.approx(2.0, abs=0.15), "dev": pytest.approx(0.8, abs=0.1), "test": pytest.approx(0.8, abs=0.1)}  # fmt: skip


def test_rows_fit_into_the_context(rows):
    """With the tokenizer of the `cpu` profile, response included: what does not fit loses turns."""
    shape = Settings.read(get_default_config()).model
    texts = {side: [render(row.persona, row.dialogue, row.response) for row in rows[side]] for side in SIDES}
    told = [render((), row.dialogue, row.response) for row in chatter(1200, 0)]
    tokenizer = tokens.learn([*told, *texts["train"]], shape.vocabulary)
    for side in SIDES:
        assert max(map(len, tokens.encode(tokenizer, texts[side]))) < shape.context


# ------------------------------------------------------------------------------ repeatable


def test_rows_are_a_function_of_split_seed_and_place():
    assert generate("train", 40, 3) == generate("train", 60, 3)[:40]
    assert generate("train", 40, 3) != generate("train", 40, 4)
    assert chatter(20, 3) == chatter(30, 3)[:20]
    assert twins("dev", 20, 3) == twins("dev", 30, 3)[:20]
    ids = [row.record_id for side in SIDES for row in generate(side, 50, 0)] + [row.record_id for row in chatter(50, 0)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("wrong", [{"split": "tset"}, {"kinds": ["hold"]}, {"slices": ["novel"]}])
def test_an_unknown_name_is_refused(wrong):
    with pytest.raises(PersonaError, match=r"unknown|has no"):
        generate(**{"split": "train", "count": 1, "seed": 0, **wrong})


# ------------------------------------------------------------------------------ dialogue without a persona


def test_nobody_in_chatter_has_a_persona():
    assert all(row.persona == () and row.facts == {} for row in chatter(600, 1))


def test_chatter_holds_facts_of_training_alone():
    """Test values are words there and never what somebody tells of himself; sentences are those of training."""
    facts = {
        side: [
            re.compile(rf"^{re.escape(line).replace(re.escape('{a}'), 'an?').replace(re.escape('{v}'), '([a-z]+)')}$")
            for slot in WORLD.slots.values()
            for line in slot.facts.get(side, ())
        ]
        for side in SIDES
    }
    told = set()
    for row in chatter(1200, 1):
        for sentence in re.split(r"(?<=[.?!])\s+", row.dialogue[0])[:-1]:
            found = {side: [match[1] for frame in facts[side] if (match := frame.match(sentence))] for side in SIDES}
            assert found["train"] or not (found["dev"] or found["test"]), sentence
            told.update(found["train"])
    assert len(told & values("train")) > 0.9 * len(values("train"))
    assert told & (values("dev") | values("test") | values("novel")) == set()


def test_what_is_told_and_asked_is_what_is_said():
    """Everything that is said to be told stands in the first turn, and is the answer where it is said to be asked."""
    reading = [row for row in chatter(600, 1) if row.told]
    assert 0.6 < len(reading) / 600 < 0.9
    for row in reading:
        replies = [*row.dialogue, row.response][1::2]
        assert len(replies) == len(row.asked)
        assert all(word in row.dialogue[0] for word in row.told.values())
        for slot, reply in zip(row.asked, replies, strict=True):
            assert slot not in row.told or re.search(rf"\b{row.told[slot]}\b", reply), (slot, reply)


@pytest.mark.parametrize(
    ("said", "back"),
    [
        ("i am a baker.", "you are a baker."),
        ("what do you do for a living?", "what do i do for a living?"),
        ("where were you born?", "where was i born?"),
        ("your sister is called anna", "my sister is called anna"),
        ("what makes you nervous?", "what makes me nervous?"),
        ("if i visit you at home, where must i go?", "if you visit me at home, where must you go?"),
        ("you can write to me at my address in rome.", "i can write to you at your address in rome."),
    ],
)
def test_what_is_mirrored_is_said_of_the_other_one(said, back):
    assert mirrored(said) == back


# ------------------------------------------------------------------------------ twins


@pytest.fixture(scope="module")
def pairs():
    return {side: twins(side, 400, 0) for side in SIDES}


@pytest.mark.parametrize("side", SIDES)
def test_each_twin_has_its_own_truth(pairs, side):
    for twin in pairs[side]:
        assert twin.answers == tuple(facts.get(twin.slot) for facts in twin.facts)
        assert twin.answers[0] != twin.answers[1]
        for answer, response, persona in zip(twin.answers, twin.responses, twin.personas, strict=True):
            assert words(response) & set(WORLD.every_value(twin.slot)) == ({answer} if answer else set())
            assert answer is None or any(answer in words(sentence) for sentence in persona)
        named = {answer for answer in twin.answers if answer}
        assert not any(named & words(turn) for turn in twin.dialogue), "the dialogue would give one away"


@pytest.mark.parametrize("side", SIDES)
def test_twins_differ_as_their_kind_says(pairs, side):
    differing = {"plain": 1, "crossed": 2, "denied": 1}
    for twin in pairs[side]:
        one, other = twin.facts
        assert len({slot for slot in {*one, *other} if one.get(slot) != other.get(slot)}) == differing[twin.kind]
        assert (None in twin.answers) == (twin.kind == "denied")
        if twin.kind == "crossed":
            assert words(*twin.personas[0]) - {"a", "an"} == words(*twin.personas[1]) - {"a", "an"}
        if twin.kind != "denied":
            cut = [
                response.replace(answer, "_").replace(" an ", " a ")
                for response, answer in zip(twin.responses, twin.answers, strict=True)
            ]
            assert cut[0] == cut[1]
    assert {twin.kind for twin in pairs[side]} == set(differing)


def test_no_side_of_a_twin_is_known_by_its_place(pairs):
    places = Counter(twin.answers.index(None) for twin in pairs["train"] if None in twin.answers)
    assert min(places.values()) > 20


def test_twins_keep_to_the_combinations_of_their_split(pairs):
    for side in ("train", "dev"):
        for twin in pairs[side]:
            for facts in twin.facts:
                assert not any(held_out(one, other) for one, other in combinations(facts.items(), 2))
