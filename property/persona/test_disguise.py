"""A disguise is one word for another throughout a row; what is true of the row stays true, and no foreign word comes in."""

from __future__ import annotations

import random
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from persona import disguise

MADE_UP = re.compile(rf"(?:{'|'.join(disguise._SYLLABLES)}){{2,3}}[nrl]?")

ROW = {
    "record_id": "a",
    "persona": ["i am a baker.", "i have an owl."],
    "dialogue": ["you are an usher, right?"],
    "response": "no, i am a baker.",
    "facts": {"job": "baker", "pet": "owl"},
}


def test_by_hand():
    row = disguise.replaced(ROW, {"baker", "owl", "usher"}, ["apple", "table", "stone", "chair"], random.Random(3))
    job = row["persona"][0].removeprefix("i am ").removesuffix(".")
    assert job.split()[0] == ("an" if job.split()[1][0] in "aeiou" else "a")
    assert "baker" not in " ".join(disguise.texts(row))
    assert row["response"] == f"no, i am {job}."
    assert row["facts"] == ROW["facts"]


@settings(max_examples=25)
@given(st.integers(0, 500))
@example(148)  # there a word that is made up is one that is said
def test_only_values_change_and_each_to_a_word_of_its_own(seed):
    from dataclasses import asdict

    from persona.world import generate

    rows = [asdict(row) for row in generate("train", 8, seed)]
    known = disguise.values(rows)
    for before, after in zip(rows, disguise.disguised(rows, known, 1.0, seed), strict=True):
        mapping: dict[str, str] = {}
        for old, new in zip(disguise.texts(before), disguise.texts(after), strict=True):
            for one, other in zip(old.split(" "), new.split(" "), strict=True):
                word = one.strip(".,?!")
                if word in known:
                    assert mapping.setdefault(word, other.strip(".,?!")) == other.strip(".,?!")
                elif one not in ("a", "an"):
                    assert one == other
        assert len(set(mapping.values())) == len(mapping)
        assert not set(mapping.values()) & set(mapping)
        assert all(word in known or MADE_UP.fullmatch(word) for word in mapping.values())
        for slot, value in before["facts"].items():
            assert mapping[value] in " ".join(after["persona"]), slot


def test_a_share_is_disguised_and_the_same_at_each_call():
    from dataclasses import asdict

    from persona.world import generate, twins

    rows = [asdict(row) for row in generate("train", 200, 0)]
    known = disguise.values(rows)
    once, again = (disguise.disguised(rows, known, 0.75, 1) for _ in range(2))
    assert once == again
    changed = sum(one["persona"] != other["persona"] for one, other in zip(rows, once, strict=True))
    assert 130 < changed < 170
    pairs = [asdict(twin) for twin in twins("train", 20, 0)]
    for before, after in zip(pairs, disguise.disguised(pairs, known, 1.0, 0), strict=True):
        assert after["responses"] != before["responses"]
        assert after["personas"][0] != after["personas"][1]


def test_what_is_read_is_loosened_and_what_is_said_is_not():
    """Words that stay keep their order; only small words go, and only small words come."""
    from dataclasses import asdict

    from persona.world import WORLD, generate, twins

    gone, come = (set(WORLD.talk["loose"][name]) for name in ("left_out", "put_in"))
    rows = [asdict(row) for row in generate("train", 60, 0)]
    changed = 0
    for before, after in zip(rows, disguise.loosened(rows), strict=True):
        assert after["response"] == before["response"]
        assert list(after["dialogue"][1::2]) == list(before["dialogue"][1::2])
        for old, new in zip(
            [*before["persona"], *before["dialogue"]], [*after["persona"], *after["dialogue"]], strict=True
        ):
            was, now = (re.findall(r"[a-z']+", text) for text in (old, new))
            assert set(was) - set(now) <= gone
            assert set(now) - set(was) <= come
            kept = [word for word in was if word not in gone | come]
            assert kept == [word for word in now if word not in gone | come]
            changed += old != new
    assert changed > 100
    opened = [{**row, "dialogue": ["hello!", *row["dialogue"]]} for row in rows]  # by the speaker
    for before, after in zip(opened, disguise.loosened(opened), strict=True):
        assert after["dialogue"][::2] == before["dialogue"][::2]
    assert any(
        one["dialogue"] != other["dialogue"] for one, other in zip(opened, disguise.loosened(opened), strict=True)
    )
    for before, after in zip(
        pairs := [asdict(twin) for twin in twins("train", 30, 0)], disguise.loosened(pairs), strict=True
    ):
        for one, other, old, new in zip(*after["personas"], *before["personas"], strict=False):
            assert (one == other) == (old == new)
