"""Pairs as arrays: ids of queries, passages and mined negatives, and the batches that training draws.

Everything random about a batch is a function of seed and epoch, so that a resumed run draws the same. It must never
offer a query's own passage, or a near-duplicate of it, as a negative.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
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


def mine(pairs: Sequence[Pair], count: int, parameters: Bm25 | None = None) -> NDArray[np.int32]:
    """(N, count) positions of the passages that BM25 ranks first for each query and that do not answer it.

    A passage that shares most of its sub-tokens with the positive is taken for a copy of it and left out; where too
    few are left with a word of the query in them, the last ones are passages drawn at random. Equal scores go by
    position, so that another processor mines the same.
    """
    tokens = [subtokens(pair.passage) for pair in pairs]
    sets = [frozenset(each) for each in tokens]
    index = LexicalIndex(tokens, parameters or Bm25())
    rng = np.random.default_rng(0)
    mined = rng.integers(0, len(pairs), (len(pairs), count)).astype(np.int32)
    for row, scores in enumerate(index.rows([subtokens(pair.query) for pair in pairs])):
        found = best(scores, 2 * count + 1)
        kept = [
            place for place in found[scores[found] > 0].tolist() if place != row and not _copies(sets[row], sets[place])
        ]
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
        ids: record ids.
        queries, passages: (N, L) ids, or (N, W) features computed before.
        mined: (N, K) positions of hard negatives, or None for in-batch negatives alone.
    """

    def __init__(
        self, ids: Sequence[str], queries: Tensor, passages: Tensor, mined: NDArray[np.int32] | None, seed: int
    ) -> None:
        self.ids, self.queries, self.passages, self.mined, self.seed = ids, queries, passages, mined, seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        if self.mined is not None:
            rng = np.random.default_rng([self.seed, epoch])
            self._column = rng.integers(0, self.mined.shape[1], len(self.ids))

    def __getitem__(self, place: int) -> dict[str, Any]:
        return self.__getitems__([place])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitems__(self, places: Sequence[int]) -> dict[str, Any]:
        """What `Encoder.forward` takes, for the rows at these positions."""
        chosen = np.asarray(places)
        parts = [self.queries[chosen], self.passages[chosen]]
        batch: dict[str, Any] = {}
        if self.mined is not None:
            drawn = self.mined[chosen, self._column[chosen]]
            parts.append(self.passages[drawn])
            batch["clashes"] = torch.from_numpy(drawn[None, :] == chosen[:, None])
        return {
            **batch,
            "record_id": [self.ids[place] for place in places],
            "input_ids": torch.cat(parts, dim=1),
            "widths": torch.tensor([part.shape[1] for part in parts]),
            "labels": torch.arange(len(places)),
        }
