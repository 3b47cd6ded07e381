"""Text as words or stems, for the judge's lexical baselines: shared with no system under judgement."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def words(text: str) -> list[str]:
    """Lower-case words, identifiers split at underscores and changes of case."""
    return [word.lower() for word in _WORD.findall(text)]


def stems(text: str) -> list[str]:
    """The same, cut to their stems (Porter 2)."""
    import Stemmer

    return [str(stem) for stem in Stemmer.Stemmer("english").stemWords(words(text))]


ANALYSERS: Mapping[str, Callable[[str], list[str]]] = {"words": words, "stems": stems}
