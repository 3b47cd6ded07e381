"""Pairs as arrays: ids of queries, passages and mined negatives, and the batches that training draws.

Everything random about a batch is a function of seed and epoch, so that a resumed run draws the same. It must never
count a passage that answers an equal query as a wrong answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ragcun.errors import RagcunError
from ragcun.lexical import Bm25, LexicalIndex, best
from ragcun.tokens import subtokens

NEAR = 0.8
"""Share of common sub-tokens (Jaccard) from which on a mined passage counts as the positive itself."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and the passage that answers it; `negatives` are passages that do not, where the data name some."""

    record_id: str
    query: str
    passage: str
    negatives: tuple[str, ...] = ()


def read(path: Path) -> list[Pair]:
    """Pairs of a JSON Lines file with record_id, query and passage. RagcunError names file and line."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(file)  # not splitlines: U+2028 and its like end no line of JSON
    except (OSError, UnicodeDecodeError) as error:
        raise RagcunError(f"{path}: cannot be read: {error}") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            query, passage, wrong = row["query"], row["passage"], row.get("negatives", [])
            if not isinstance(wrong, list) or not all(isinstance(text, str) for text in (query, passage, *wrong)):
                raise TypeError("a text is no string")
            pairs.append(Pair(str(row["record_id"]), query, passage, tuple(wrong)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RagcunError(f"{path}:{number}: no pair with record_id, query and passage ({error!r})") from None
    if not pairs:
        raise RagcunError(f"{path}: holds no pairs")
    return pairs


def answers(pairs: Iterable[Any]) -> dict[str, set[str]]:
    """Query -> the passages of all pairs with that query: each of them is a right answer."""
    found: dict[str, set[str]] = {}
    for pair in pairs:
        found.setdefault(pair.query, set()).add(pair.passage)
    return found


def mine(pairs: Sequence[Pair], count: int) -> NDArray[np.int32]:
    """(N, count) positions of the passages that BM25 ranks first for each query and that do not answer it.

    A passage that shares most of its sub-tokens with the positive is taken for a copy of it and left out; where too
    few are left with a word of the query in them, the last ones are passages drawn at random. A row's own position
    stands for a right answer that was drawn: there is no negative there. Equal scores go by position, so that another
    processor mines the same.
    """
    right = answers(pairs)
    places: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        places.setdefault(pair.passage, []).append(place)
    tokens = [subtokens(pair.passage) for pair in pairs]
    sets = [frozenset(each) for each in tokens]
    index = LexicalIndex(tokens, Bm25())
    rng = np.random.default_rng(0)
    mined = rng.integers(0, len(pairs), (len(pairs), count)).astype(np.int32)
    for row, scores in enumerate(index.rows([subtokens(pair.query) for pair in pairs])):
        own = {place for passage in right[pairs[row].query] for place in places[passage]}
        found = best(scores, 2 * count + len(own))
        others = (place for place in found[scores[found] > 0].tolist() if place not in own)
        kept = [place for place in others if not _copies(sets[row], sets[place])]
        mined[row] = [row if place in own else place for place in mined[row].tolist()]
        mined[row, : len(kept[:count])] = kept[:count]
    return mined


def _copies(one: frozenset[str], other: frozenset[str]) -> bool:
    if min(len(one), len(other)) < NEAR * max(len(one), len(other)):
        return False  # the sizes alone say so
    return len(one & other) >= NEAR * len(one | other)


def negatives(pairs: Sequence[Pair], count: int) -> NDArray[np.int32]:
    """(N, count) positions among the passages of `texts`: the negatives that a pair names first, then mined ones."""
    table = mine(pairs, count)
    place = len(pairs)
    for row, pair in enumerate(pairs):
        named = list(range(place, place + len(pair.negatives)))
        place += len(named)
        if named:
            table[row] = [*named, *table[row]][:count]
    return table


def texts(pairs: Sequence[Pair]) -> list[str]:
    """The passages of all pairs, then the negatives that they name."""
    return [pair.passage for pair in pairs] + [text for pair in pairs for text in pair.negatives]


class Batches(torch.utils.data.Dataset[dict[str, Any]]):
    """Whole batches by the positions of their rows. accelerate tells it the epoch.

    Args:
        pairs: what the batches are made of.
        queries, passages: (N, L) ids, or (N, W) features computed before, in the order of `pairs` and of `texts`.
        mined: (N, K) positions of hard negatives, or None for in-batch negatives alone.
    """

    def __init__(
        self, pairs: Sequence[Pair], queries: Tensor, passages: Tensor, mined: NDArray[np.int32] | None, seed: int
    ) -> None:
        self.pairs, self.queries, self.passages, self.mined, self.seed = pairs, queries, passages, mined, seed
        self.texts, self.answers = texts(pairs), answers(pairs)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        if self.mined is not None:
            rng = np.random.default_rng([self.seed, epoch])
            self._column = rng.integers(0, self.mined.shape[1], len(self.pairs))

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.__getitems__([place])

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitems__(self, places: Sequence[int]) -> dict[str, Any]:
        """What `Encoder.forward` takes, for the rows at these positions."""
        chosen = np.asarray(places)
        columns = [chosen]
        if self.mined is not None:
            columns.append(self.mined[chosen, self._column[chosen]])
        parts = [self.queries[chosen], *(self.passages[column] for column in columns)]
        return {
            "clashes": self._clashes(chosen.tolist(), np.concatenate(columns).tolist()),
            "record_id": [self.pairs[place].record_id for place in places],
            "input_ids": torch.cat(parts, dim=1),
            "widths": torch.tensor([part.shape[1] for part in parts]),
            "labels": torch.arange(len(places)),
        }

    def _clashes(self, rows: Sequence[int], columns: Sequence[int]) -> Tensor:
        """(rows, columns) where the passage of a column answers the query of a row and is not its label."""
        where: dict[str, list[int]] = {}
        for column, place in enumerate(columns):
            where.setdefault(self.texts[place], []).append(column)
        found = np.zeros((len(rows), len(columns)), dtype=bool)
        for row, place in enumerate(rows):
            for passage in self.answers[self.pairs[place].query] & where.keys():
                found[row, where[passage]] = True
        np.fill_diagonal(found, False)
        return torch.from_numpy(found)
