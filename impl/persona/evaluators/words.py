"""Words of a text, and which of them carry content: what all counting of replies rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from persona.errors import PersonaError

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
FUNCTION_WORDS: Final = frozenset(
    _WORD.findall(
        "a about am an and any are as at be been but can do for from go have i i'm if in is it it's like love me my of"
        " on or really so that the there they this to was we what when with you your"
    )
)


def words(text: str) -> list[str]:
    """Words in lower case, as they come."""
    return _WORD.findall(text.lower())


def content(sentences: Iterable[str]) -> set[str]:
    """Words of the sentences that are no function words."""
    return {word for sentence in sentences for word in words(sentence)} - FUNCTION_WORDS


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    """Word n-grams in order."""
    found = words(text)
    return [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]


def paired(what: str, first: Sequence[object], second: Sequence[object]) -> None:
    """PersonaError where there is not one of the second for each of the first, or nothing at all."""
    if len(first) != len(second) or not first:
        raise PersonaError(f"{what}: one of each is needed, got {len(first)} and {len(second)}")
