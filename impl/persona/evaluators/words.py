"""Words of a text, and which of them carry content: what all counting of replies rests on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from persona.errors import PersonaError

Each = TypeVar("Each")
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
FUNCTION_WORDS: Final = frozenset(
    _WORD.findall(
        "a about am an and any are as at be been but can do for from go have i i'm if in is it it's like love me my of"
        " on or really so that the there they this to was we what when with you your"
    )
)


def words(text: str) -> list[str]:
    """Words in lower case, as they come. PersonaError for what is no text."""
    if not isinstance(text, str):
        raise PersonaError(f"a text is needed, got {text!r:.60}")
    return _WORD.findall(text.lower())


def content(sentences: Sequence[str]) -> set[str]:
    """Words of the sentences that are no function words."""
    return {word for sentence in listed(sentences) for word in words(sentence)} - FUNCTION_WORDS


def listed(items: Sequence[Each]) -> Sequence[Each]:
    """The same. PersonaError for a text, of which every letter would be an item, and for what is no list."""
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise PersonaError(f"a list is needed, got {items!r:.60}")
    return items


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    """Word n-grams in order."""
    found = words(text)
    return [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]


def paired(what: str, first: Sequence[object], second: Sequence[object]) -> None:
    """PersonaError where there is not one of the second for each of the first, or nothing at all."""
    if len(listed(first)) != len(listed(second)) or not first:
        raise PersonaError(f"{what}: one of each is needed, got {len(first)} and {len(second)}")
