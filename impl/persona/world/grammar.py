"""The world as it is written in values.toml, slots.toml and talk.toml: what there is to say, and on which side.

A value or a sentence belongs to one side; asking for a side gives that side's alone. It must never make anything up
that does not stand in those files.
"""

from __future__ import annotations

import random
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

SIDES: Final = ("train", "dev", "test")
LEFT_OUT, PUT_IN, LOOSE = 0.15, 0.12, 0.5
"""Share of the words that may be left out, of places where one is put in, and of sentences that this is done to."""
HELD_OUT: Final = 10
"""One pair of facts in so many is kept out of the personas of the training and dev splits."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that a persona may hold: where its values come from, and all ways to speak of it, by side."""

    name: str
    domain: str
    facts: Mapping[str, Sequence[str]]
    questions: Mapping[str, Sequence[str]]
    replies: Mapping[str, Sequence[str]]
    assertions: Mapping[str, Sequence[str]]
    denials: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class World:
    """`values[domain][side]`, `slots[name]`, and `talk`: the frames and small talk of talk.toml."""

    values: Mapping[str, Mapping[str, Sequence[str]]]
    slots: Mapping[str, Slot]
    talk: Mapping[str, Any]

    def every_value(self, slot: str) -> tuple[str, ...]:
        """All values that a slot can have, on whatever side: what a reply about it may name."""
        return tuple(value for side in self.values[self.slots[slot].domain].values() for value in side)

    def frame(self, name: str, side: str, draw: random.Random, sentence: str) -> str:
        """`sentence` in one of the frames that talk.toml has under `name`."""
        return draw.choice(lines(self.talk[name], side)).replace("{x}", sentence)

    def loosened(self, sentence: str, draw: random.Random) -> str:
        """The sentence, or one that lacks small words and has others: what it is about is in the words that stay."""
        if draw.random() >= LOOSE:
            return sentence
        words: list[str] = []
        for word in sentence.split(" "):
            left, put = draw.random() < LEFT_OUT, draw.random() < PUT_IN
            if left and words and word.strip(".,?!") in self.talk["loose"]["left_out"]:
                continue
            words += [draw.choice(self.talk["loose"]["put_in"]), word] if put else [word]
        return " ".join(words)


def lines(by_side: Mapping[str, Sequence[str]], side: str) -> Sequence[str]:
    """The lines of a side; where it has none of its own, those of training."""
    return by_side.get(side) or by_side["train"]


def filled(template: str, value: str) -> str:
    """The template with the value and its article in it."""
    return template.replace("{a}", article(value)).replace("{v}", value)


def article(value: str) -> str:
    """a or an."""
    return "an" if value[0] in "aeiou" and not value.startswith("uni") else "a"


@cache
def held_out(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two facts, each a slot and a value, are a combination that no training persona has."""
    first, second = sorted((one, other))
    return zlib.crc32(" ".join((*first, *second)).encode()) % HELD_OUT == 0


def load() -> World:
    """The world, read anew."""
    folder = files("persona.world")
    values, slots, talk = (
        tomllib.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("values.toml", "slots.toml", "talk.toml")
    )
    return World(values, {name: Slot(name, **fields) for name, fields in slots.items()}, talk)


WORLD: Final = load()
