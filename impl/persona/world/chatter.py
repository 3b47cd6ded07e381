"""Dialogue without a persona, for pre-training: small talk, and exercises in saying again and recalling.

Its words are all words of the world but the "novel" ones, and made-up ones: a language model knows words before it
meets a persona. Nobody states anything about himself here. It must never hold a novel value, a sentence of the dev or
test side, or a fact.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from persona.world.dialogues import Probe, Row
from persona.world.grammar import SIDES, WORLD, World

KINDS: Final[Mapping[str, float]] = {"small": 0.15, "echo": 0.30, "recall": 0.55}
MADE_UP: Final = 0.15
"""Share of words that are made up of syllables, so that copying does not need a known word."""
EXCHANGES: Final = (1, 2, 2, 3)
HELD: Final = (2, 3, 4, 5)
"""Things that something is put into before it is asked for."""
NOTHING, CLAIMED, RIGHT = 0.2, 0.2, 0.4

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
    turns: list[str] = []
    for _ in range(draw.choice(EXCHANGES)):
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
    )


@dataclass(frozen=True, slots=True)
class _Words:
    known: tuple[str, ...]

    def __init__(self, world: World) -> None:
        values = [value for domain in world.values.values() for side in SIDES for value in domain[side]]
        object.__setattr__(self, "known", tuple(dict.fromkeys([*values, *world.talk["words"]["plain"]])))

    def draw(self, draw: random.Random, count: int) -> list[str]:
        """Different words, some of them made up."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[self._made_up(draw) if draw.random() < MADE_UP else draw.choice(self.known)] = None
        return list(found)

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


def _say(template: str, thing: str, word: str) -> str:
    return template.replace("{k}", thing).replace("{w}", word)
