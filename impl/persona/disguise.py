"""Training rows with other words in the place of values, so that an answer has to be read and cannot be remembered.

A value is replaced by the same word wherever it stands in a row: in the persona, in what is said, in the response. The
words are other values of the training rows, of whatever kind, or made up, none from anywhere else: no value of another
split can get in. And what the speaker reads, the persona and the partner's turns, is put a little otherwise: with small
words more or less, so that a sentence is known by what it is about.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from persona.world import WORLD, World

Rows = Sequence[Mapping[str, Any]]
Row = Mapping[str, Any]

_WORD = re.compile(r"\b(?:(an?) )?([a-z]+)\b")
_MADE_UP = 0.3
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "tr", "st", "pl")
_SYLLABLES = [onset + vowel for onset in _ONSETS for vowel in "aeiou"]


def values(rows: Rows) -> set[str]:
    """All values of the facts of rows and twins."""
    found: set[str] = set()
    for row in rows:
        facts = row.get("facts") or ()
        for table in [facts] if isinstance(facts, Mapping) else facts:
            found.update(table.values())
    return found


def disguised(rows: Rows, known: Collection[str], share: float, seed: int) -> list[dict[str, Any]]:
    """The rows, a `share` of them with every known value replaced."""
    pool = sorted(known)
    found = []
    for row in rows:
        draw = random.Random(f"{seed} {row['record_id']}")
        found.append(replaced(row, known, pool, draw) if draw.random() < share else dict(row))
    return found


def loosened(rows: Rows, world: World = WORLD) -> list[dict[str, Any]]:
    """The rows with what the speaker reads loosened: small words more or less, in both personas of a twin the same."""

    def loose(row: Row, sentences: Sequence[str]) -> list[str]:
        draws = [random.Random(f"{row['record_id']} {place}") for place in range(len(sentences))]
        return [world.loosened(each, draw) for each, draw in zip(sentences, draws, strict=True)]

    found = []
    for row in rows:
        own, partners = row["dialogue"], loose(row, row["dialogue"])
        turns = [(own if (len(own) - place) % 2 == 0 else partners)[place] for place in range(len(own))]
        if "personas" in row:
            read = {"personas": [loose(row, persona) for persona in row["personas"]]}
        else:
            read = {"persona": loose(row, row["persona"])}
        found.append({**row, **read, "dialogue": turns})
    return found


def texts(row: Row) -> list[str]:
    """Everything that is said in a row or twin."""
    personas = row["personas"] if "personas" in row else [row["persona"]]
    responses = row["responses"] if "responses" in row else [row["response"]]
    return [*(sentence for persona in personas for sentence in persona), *row["dialogue"], *responses]


def replaced(row: Row, known: Collection[str], pool: Sequence[str], draw: random.Random) -> dict[str, Any]:
    """The row with another word for each known value in it, and its article."""
    said = {word for _, word in _WORD.findall(" ".join(texts(row)))}
    free = [word for word in draw.sample(pool, min(len(pool), 4 * len(said))) if word not in said]
    mapping: dict[str, str] = {}
    for word in sorted(said & set(known)):
        new = free.pop() if free and draw.random() >= _MADE_UP else made_up(draw)
        while new in said or new in mapping.values():  # "simon" is a name, and three syllables
            new = made_up(draw)
        mapping[word] = new

    def other(found: re.Match[str]) -> str:
        article, word = found.groups()
        if word not in mapping:
            return found[0]
        new = mapping[word]
        return new if article is None else f"{'an' if new[0] in 'aeiou' else 'a'} {new}"

    def change(value: Any) -> Any:
        return _WORD.sub(other, value) if isinstance(value, str) else [change(each) for each in value]

    return {**row, **{name: change(row[name]) for name in _SAID if name in row}}


_SAID = ("persona", "personas", "dialogue", "response", "responses")


def made_up(draw: random.Random) -> str:
    """A word of two or three syllables."""
    return "".join(draw.choice(_SYLLABLES) for _ in range(draw.choice((2, 2, 3)))) + draw.choice(["", "n", "r", "l"])
