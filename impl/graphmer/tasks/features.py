"""What a text says of a name: the words that names are made of, and how often, and in which places, code writes one.

Regular expressions only, so that what does not parse can be read, too. It must never look at an import statement's
own text: callers hand in code without imports.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_USE: Final = re.compile(r"(\.?)(?<!\w)([A-Za-z_]\w*)(\s?\(|\s?=(?!=))?")
_CONTEXTS: Final = {
    5: re.compile(r"\braise\s+([\w.]+)"),
    6: re.compile(r"\bexcept\s+\(?([\w., ]+)"),
    7: re.compile(r"^\s*@([\w.]+)", re.MULTILINE),
    8: re.compile(r"(?:->|:)\s*([\w.\[\], |\"']+)"),
    9: re.compile(r"\bclass\s+\w+\(([^)]*)\)"),
}
_EARLY: Final = 400
_ROWS: Final = 64
_CONSTRUCTORS: Final = frozenset({"__init__", "__new__", "__call__"})
_PROTOCOLS: Final = {
    "__enter__": "with", "__exit__": "with", "__aenter__": "with", "__aexit__": "with", "__iter__": "for",
    "__next__": "for", "__getitem__": "[", "__contains__": "in", "__eq__": "==", "__add__": "+", "__len__": "len",
}  # fmt: skip

PLACES: Final = (
    "any",
    "call",
    "attribute",
    "self",
    "stored",
    "raised",
    "caught",
    "decorator",
    "annotation",
    "base",
    "early",
)
"""Ways in which a name stands in code, counted one by one."""


@lru_cache(maxsize=200_000)
def words(name: str) -> tuple[str, ...]:
    """Lower-case words of an identifier or a text, split at underscores and changes of case."""
    return tuple(word.lower() for word in _WORD.findall(name))


def parts(name: str) -> tuple[str, ...]:
    """The components of a qualified name."""
    return tuple(name.replace(":", ".").replace(".<locals>", "").split("."))


def spoken(name: str) -> str:
    """What code writes to mean an entity: its last name; of a constructor, that of its class."""
    split = parts(name)
    last = split[-1]
    if last in _CONSTRUCTORS and len(split) > 1:
        return split[-2]
    return _PROTOCOLS.get(last, last)


class Body:
    """The names in a piece of code: where each stands, and what stands in front of its dot."""

    def __init__(self, text: str) -> None:
        self.counts: dict[str, list[int]] = {}
        self.receivers: dict[str, set[str]] = {}
        counts, receivers = self.counts, self.receivers
        previous = ""
        for dot, name, after in _USE.findall(text):
            row = counts.get(name)
            if row is None:
                row = counts[name] = [0] * len(PLACES)
            row[0] += 1
            if after:
                row[1 if after[-1] == "(" else 4] += 1
            if dot:
                row[2] += 1
                if previous in ("self", "cls"):
                    row[3] += 1
                else:
                    receivers.setdefault(name, set()).add(previous)
            previous = name
        for place, pattern in _CONTEXTS.items():
            for written in pattern.findall(text):
                for name in _NAME.findall(written):
                    if name in counts:
                        counts[name][place] += 1
        for name in _NAME.findall(text[:_EARLY]):
            if name in counts:
                counts[name][10] += 1
        for sign in ("[", "==", "+"):
            if sign in text:
                counts[sign] = [text.count(sign), *[0] * (len(PLACES) - 1)]

    def row(self, name: str) -> Sequence[int]:
        """(len(PLACES),) counts of a name."""
        return self.counts.get(name) or _NONE


_NONE: Final = (0,) * len(PLACES)


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Jaccard similarity of two bags of words as sets."""
    a, b = set(first), set(second)
    return len(a & b) / len(a | b) if a and b else 0.0


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one; zeros stay."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), dtype=np.float32)


def cosines(asked: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, K) products of unit vectors, (N, D) and (K, D).

    Always of so many rows at a time, the last filled up with zeros: libraries sum in another order where a shape is
    another, and what a question gets must not depend on those beside it.
    """
    found = np.empty((len(asked), len(known)), dtype=np.float32)
    block = np.zeros((_ROWS, asked.shape[1]), dtype=np.float32)
    for low in range(0, len(asked), _ROWS):
        part = asked[low : low + _ROWS]
        block[: len(part)] = part
        found[low : low + _ROWS] = (block @ known.T)[: len(part)]
    return found
