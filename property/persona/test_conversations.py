"""Synthetic-Persona-Chat: own personas, no placeholders, clusters on one side, and mistakes told in one line."""

from __future__ import annotations

import csv
import gzip
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona import conversations
from persona.conversations import COLUMNS, Conversation, clusters, conversation, split, without_placeholders
from persona.errors import PersonaError

TEXT = """User 1: Hi! I'm [user 1's name].
User 2: Hello, my name is (name).
User 2: I cook.
[A few minutes later]
* * *
* User 1: I swim every day.
And I run.
User 2: Great!"""


def test_turns_keep_their_speakers_and_lose_placeholders():
    found = conversation("r", "I swim.\n\n I  run. ", "I cook.", TEXT)
    assert found.personas == (("I swim.", "I run."), ("I cook.",))
    assert found.turns == ((0, "Hi!"), (1, "I cook."), (0, "I swim every day. And I run."), (1, "Great!"))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hi! I'm [name].", "Hi!"),
        ("I live in {city}. Nice!", "Nice!"),
        ("I am <name>.", ""),
        ("My name is ____.", ""),
        ("I'm XX years old. And you?", "And you?"),
        ("Hello, my name is (name).", ""),
        ("I <3 you. 2 < 3 and 4 > 1.", "I <3 you. 2 < 3 and 4 > 1."),
        ("They continue [walking. Then they stop].", ""),
    ],
)
def test_sentences_with_placeholders_go(text, kept):
    assert without_placeholders(text) == kept


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["Hi!", "I'm [name].", "Good. (later)", ""])), max_size=9))
def test_turns_alternate_whatever_was_left_out(lines):
    text = "\n".join(f"User {speaker + 1}: {said}" for speaker, said in lines)
    found = conversation("r", "I swim.", "I cook.", text).turns
    assert all(one[0] != other[0] for one, other in itertools.pairwise(found))
    assert all(said and "[" not in said and "(" not in said for _, said in found)


SENTENCES = st.integers(0, 25).map(lambda n: f"I like number {n}.")
PERSONA = st.lists(SENTENCES, min_size=1, max_size=3, unique=True)


@given(st.lists(PERSONA, min_size=1, max_size=30), st.randoms())
def test_clusters_are_the_connected_parts(personas, random):
    of = clusters(personas)
    for persona in personas:
        assert len({of[conversations._key(sentence)] for sentence in persona}) == 1
    reached = {name: {name} for name in of}  # reachability by repeated union: slow, and plainly right
    for _ in of:
        for persona in personas:
            keys = [conversations._key(sentence) for sentence in persona]
            joined = set().union(*(reached[key] for key in keys))
            for key in joined:
                reached[key] = reached[key] | joined
    for one, other in itertools.combinations(of, 2):
        assert (of[one] == of[other]) == (other in reached[one])
    shuffled = random.sample(personas, len(personas))
    assert clusters(shuffled) == of


@settings(max_examples=60)
@given(st.lists(st.tuples(PERSONA, PERSONA), min_size=1, max_size=40))
def test_nothing_of_a_later_side_is_on_an_earlier_one(pairs):
    turns = ((0, "Hi!"), (1, "Hello!"), (0, "Bye, then."))
    found = [Conversation(f"c{n:03d}", (tuple(one), tuple(other)), turns) for n, (one, other) in enumerate(pairs)]
    sides = split(found)
    dialogues = {side: {row.record_id[:4] for row in rows} for side, rows in sides.items()}
    sentences = {side: {sentence for row in rows for sentence in row.persona} for side, rows in sides.items()}
    for one, other in itertools.combinations(sides, 2):
        assert not dialogues[one] & dialogues[other]
        assert not sentences[one] & sentences[other]
        assert not {row.group for row in sides[one]} & {row.group for row in sides[other]}
    of = {one.record_id: one for one in found}
    for row in itertools.chain.from_iterable(sides.values()):
        place = int(row.record_id[-2:])
        speaker, said = of[row.record_id[:4]].turns[place]
        assert row.persona == of[row.record_id[:4]].personas[speaker], "the speaker's own persona"
        assert row.response == said
        assert row.dialogue[-1] == of[row.record_id[:4]].turns[place - 1][1]


def write(path, rows):
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerows(rows)


def test_a_local_folder_is_read(tmp_path):
    folder = tmp_path / "synthetic-persona-chat"
    folder.mkdir()
    write(folder / "part.csv.gz", [COLUMNS, ["I swim.", "I cook.", TEXT], ["I run.", "I ski.", "User 1: Alone."]])
    (found,) = conversations.load(tmp_path)  # one turn is no conversation
    assert found.record_id == "part-00000"
    assert found.personas[1] == ("I cook.",)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [["user 1 personas", "x", "Best Generated Conversation"], ["a", "b", "c"]],
            'part.csv.gz:2: column "user 2 personas"',
        ),
        ([COLUMNS, ["I swim.", " ", TEXT]], "is missing or empty"),
    ],
)
def test_a_wrong_table_is_told_by_line_and_column(tmp_path, rows, told):
    write(tmp_path / "part.csv.gz", rows)
    with pytest.raises(PersonaError, match=told):
        list(conversations.read(tmp_path / "part.csv.gz"))


def test_a_damaged_file_and_an_absent_set_say_the_way_out(tmp_path):
    (tmp_path / "bad.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(PersonaError, match="fetch it again"):
        list(conversations.read(tmp_path / "bad.csv.gz"))
    with pytest.raises(PersonaError, match="synthetic-persona-chat"):
        conversations.load(tmp_path)
