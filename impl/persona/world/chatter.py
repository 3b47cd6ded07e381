"""Dialogue without a persona, for pre-training: small talk, and exercises in saying again, recalling and reading.

Its words are all words of the world but the "novel" ones, and made-up ones: a language model knows words before it
meets a persona. The speaker states nothing about himself here. In reading it is the partner who tells of himself and
wants to hear it again, so that the language model knows what the sentences of training ask and say; what he tells is
mostly absurd. Words that are said again or found again are of all sides, and a reply may hold a test value; what is
held out of all training is a novel one. It must never hold such a value, a sentence of the dev or test side, or a dev
or test value as a fact that the partner tells of himself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from persona.world.dialogues import Probe, Row
from persona.world.grammar import SIDES, WORLD, Slot, World, filled

KINDS: Final[Mapping[str, float]] = {"small": 0.15, "echo": 0.30, "recall": 0.55}
READ: Final = 0.75
"""Share of rows that are reading; in the others each exchange is of one of KINDS."""
MADE_UP: Final = 0.15
"""Share of words that are made up of syllables, so that copying does not need a known word."""
EXCHANGES: Final = (1, 2, 2, 3)
HELD: Final = (2, 3, 4, 5)
"""Things that something is put into before it is asked for."""
NOTHING, CLAIMED, RIGHT = 0.2, 0.2, 0.4
TOLD: Final = (4, 5, 6, 7)
"""Things that the partner tells of himself."""
KEPT: Final = (1, 2)
"""Things among those asked for that he did not tell."""
ASKED: Final = 5
"""Things that he asks for, at most."""
LIKELY: Final = 0.3
"""Share of what he tells that could be true."""

_ONSETS: Final = (
    "b",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "br",
    "gr",
    "pl",
    "st",
)
_VOWELS: Final = ["a", "e", "i", "o", "u"]
_ENDS: Final = ["", "", "n", "r", "l", "s", "t"]


def chatter(count: int, seed: int, world: World = WORLD) -> list[Row]:
    """`count` dialogues, persona and facts empty, of the training split."""
    words = _Words(world)
    return [_row(world, words, seed, place) for place in range(count)]


def _row(world: World, words: _Words, seed: int, place: int) -> Row:
    draw = random.Random(f"chatter {seed} {place}")
    told, asked, turns = _read(world, words, draw) if draw.random() < READ else ({}, [], [])
    for _ in range(0 if turns else draw.choice(EXCHANGES)):
        kind = draw.choices(list(KINDS), list(KINDS.values()))[0]
        turns += {"small": _small, "echo": _echo, "recall": _recall}[kind](world, words, draw)
    return Row(
        record_id=f"chatter-{seed}-{place:06d}",
        group=f"chatter-{seed}-{place:06d}",
        split="train",
        slice="chatter",
        persona=(),
        facts={},
        dialogue=tuple(turns[:-1]),
        response=turns[-1],
        probe=Probe("smalltalk", None, None, "remark"),
        told=told,
        asked=tuple(asked),
    )


@dataclass(frozen=True, slots=True)
class _Words:
    known: tuple[str, ...]
    facts: tuple[str, ...]
    """What may be told as a fact: no value of another side than training."""

    def __init__(self, world: World) -> None:
        def all_of(*sides: str) -> tuple[str, ...]:
            values = [value for domain in world.values.values() for side in sides for value in domain[side]]
            return tuple(dict.fromkeys([*values, *world.talk["words"]["plain"]]))

        object.__setattr__(self, "known", all_of(*SIDES))
        object.__setattr__(self, "facts", all_of("train"))

    def draw(self, draw: random.Random, count: int) -> list[str]:
        """Different words, some of them made up."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self._one(draw, self.known)] = None
        return list(found)

    def fact(self, draw: random.Random) -> str:
        """A word that may be told as a fact, of whatever kind."""
        return self._one(draw, self.facts)

    def _one(self, draw: random.Random, known: tuple[str, ...]) -> str:
        return self._made_up(draw) if draw.random() < MADE_UP else draw.choice(known)

    def _made_up(self, draw: random.Random) -> str:
        syllables = draw.choice((1, 2, 2, 3))
        word = "".join(draw.choice(_ONSETS) + draw.choice(_VOWELS) for _ in range(syllables))
        return word + draw.choice(_ENDS)


def _small(world: World, words: _Words, draw: random.Random) -> list[str]:
    topic = draw.choice(world.talk["small"])
    return [draw.choice(topic["turns"]["train"]), draw.choice(topic["replies"]["train"])]


def _echo(world: World, words: _Words, draw: random.Random) -> list[str]:
    first, second = words.draw(draw, 2)
    said, back = draw.choice(world.talk["echo"]["single"] + world.talk["echo"]["double"])
    return [text.replace("{w}", first).replace("{z}", second) for text in (said, back)]


def _recall(world: World, words: _Words, draw: random.Random) -> list[str]:
    """Where is what: some things are filled, one is asked for, or claimed to hold what it does not hold."""
    recall = world.talk["recall"]
    things = draw.sample(recall["things"], draw.choice(HELD))
    held = dict(zip(things, words.draw(draw, len(things)), strict=True))
    told = [_say(draw.choice(recall["places"]), thing, word) for thing, word in held.items()]
    if draw.random() < NOTHING:
        asked = draw.choice([thing for thing in recall["things"] if thing not in held])
        answer = _say(draw.choice(recall["nothing"]), asked, "")
    else:
        asked = draw.choice(things)
        answer = _say(draw.choice(recall["tells"]), asked, held[asked])
    if draw.random() < CLAIMED:
        claimed = held[asked] if asked in held and draw.random() < RIGHT else words.draw(draw, 1)[0]
        answer = f"{'yes' if claimed == held.get(asked) else 'no'}, {answer}"
        question = _say(draw.choice(recall["claims"]), asked, claimed)
    else:
        question = _say(draw.choice(recall["asks"]), asked, "")
    return [" ".join([*told, question]), answer]


def _read(world: World, words: _Words, draw: random.Random) -> tuple[dict[str, str], list[str], list[str]]:
    """The partner tells of himself, and asks or claims one thing after the other about it: told, asked, turns."""
    told: dict[str, str] = {}
    for name in draw.sample(list(world.slots), draw.choice(TOLD)):
        likely = draw.random() < LIKELY
        value = draw.choice(world.values[world.slots[name].domain]["train"]) if likely else words.fact(draw)
        if value not in told.values():
            told[name] = value
    kept = draw.sample([name for name in world.slots if name not in told], draw.choice(KEPT))
    asked = [*draw.sample(list(told), min(len(told), ASKED - len(kept))), *kept]
    draw.shuffle(asked)
    turns = [turn for name in asked for turn in _asked(world, words, draw, world.slots[name], told.get(name))]
    facts = [filled(draw.choice(world.slots[name].facts["train"]), value) for name, value in told.items()]
    first = " ".join([*(world.loosened(fact, draw) for fact in facts), turns[0]])
    return told, asked, [first, *turns[1:]]


def _asked(world: World, words: _Words, draw: random.Random, slot: Slot, value: str | None) -> list[str]:
    """A question or claim of the partner about himself, and the answer: the sentences of training, mirrored."""

    def said(lines: Sequence[str], word: str = "") -> str:
        line = mirrored(draw.choice(lines))
        return filled(line, word) if word else line

    def framed(name: str, sentence: str) -> str:
        return world.frame(name, "train", draw, sentence)

    claimed = None
    if draw.random() < CLAIMED:
        claimed = value if value and draw.random() < RIGHT else words.fact(draw)
        turn = framed("tags", said(slot.assertions["train"], claimed))
    else:
        turn = framed("openers", said(slot.questions["train"]))
    turn = world.loosened(turn, draw)
    if value is None:
        return [turn, framed("refusals", said(slot.denials["train"]))]
    reply = said(slot.replies["train"], value)
    if claimed is None:
        return [turn, reply]
    return [turn, framed("agreements" if claimed == value else "corrections", reply)]


_OBJECT = re.compile(
    r"\b(for|to|with|find|visit|see|hear|tell|call|pay|brings?|train|told|takes?|makes?|keeps|puts|gives|scares|frightens?|disgust)"
    r" you\b"
)
_TURNED: Final[Mapping[str, str]] = {
    "i am": "you are", "am i": "are you", "i was": "you were", "was i": "were you", "i": "you", "me": "you",
    "my": "your", "mine": "yours", "myself": "yourself", "you are": "i am", "are you": "am i", "you were": "i was",
    "were you": "was i", "you": "i", "your": "my", "yours": "mine", "yourself": "myself",
}  # fmt: skip
_PERSON = re.compile(rf"\b(?:{'|'.join(sorted(_TURNED, key=len, reverse=True))})\b")


def mirrored(sentence: str) -> str:
    """What is said of the one who speaks, said of the one who is spoken to, and the other way round."""
    return _PERSON.sub(lambda found: _TURNED[found[0]], _OBJECT.sub(r"\1 @", sentence)).replace("@", "me")


def _say(template: str, thing: str, word: str) -> str:
    return template.replace("{k}", thing).replace("{w}", word)
