"""BM25 over sub-tokens (bm25s): the lexical half of the hybrid, tuned on pairs, rebuilt when passages were added.

The name that code defines counts several times, as a title does elsewhere, and a query's stop words do not count.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragcun.tokens import name, subtokens

SATURATION = (0.9, 1.2, 1.6, 2.2, 3.0, 4.0)
LENGTH = (0.3, 0.5, 0.75, 0.9, 1.0)
NAME = (1, 2, 4, 8, 16)
_CHUNK = 512  # queries scored at a time


@dataclass(frozen=True, slots=True)
class Bm25:
    """k1 (saturation of term frequency) and b (weight of the passage's length); the defaults are Lucene's.

    `name`: how often the words of the first name that a passage defines are counted (Robertson et al. 2004: fields as
    repeated words).
    """

    k1: float = 1.2
    b: float = 0.75
    name: int = 1


@dataclass(frozen=True, slots=True)
class Fusion:
    """How much closeness of embeddings weighs against BM25: `weight` times the query's trust to the power of `power`.

    With power 0 every query weighs the same; above, embeddings count less where even the nearest passage is far, as it
    is in a field that training never saw.
    """

    weight: float = 1.0
    power: float = 0.0

    def factor(self, trust: float) -> float:
        """Of a query whose trust is in [0, 1]."""
        return float(self.weight * trust**self.power)


class LexicalIndex:
    """Scores of every passage for a query. Read-only once built, so safe from several threads."""

    def __init__(self, tokens: Sequence[list[str]], parameters: Bm25) -> None:
        self.size = len(tokens)
        self._index: Any = None
        if any(tokens):
            import bm25s

            self._index = bm25s.BM25(k1=parameters.k1, b=parameters.b, method="lucene")
            self._index.index(tokens, show_progress=False)

    @classmethod
    def of(cls, texts: Sequence[str], parameters: Bm25) -> LexicalIndex:
        """The index of texts by their sub-tokens."""
        return cls([counted(subtokens(text), subtokens(name(text)), parameters) for text in texts], parameters)

    def save(self, folder: Path) -> None:
        """Write the index as arrays and JSON; nothing when there is no word in it."""
        if self._index is not None:
            self._index.save(folder, show_progress=False)

    @classmethod
    def load(cls, folder: Path, size: int) -> LexicalIndex:
        """What `save` wrote for `size` passages."""
        result = cls.__new__(cls)
        result.size, result._index = size, None
        if any(folder.glob("*.csc.index.npy")):
            import bm25s

            result._index = bm25s.BM25.load(folder, allow_pickle=False)
        return result

    def scores(self, query: str) -> NDArray[np.float32]:
        """(passages,) BM25 scores; zeros where no token of the query is known."""
        tokens = asked(query)
        if self._index is None or not tokens:
            return np.zeros(self.size, dtype=np.float32)
        result: NDArray[np.float32] = self._index.get_scores(tokens)
        return result

    def rows(self, queries: Sequence[list[str]]) -> Iterator[NDArray[np.float32]]:
        """(passages,) scores for each query, as sub-tokens, one after the other: much faster than `scores` for many."""
        for low in range(0, len(queries), _CHUNK):
            yield from self.table(queries[low : low + _CHUNK])

    def table(self, queries: Sequence[list[str]]) -> NDArray[np.float32]:
        """(queries, passages) the scores of several queries, as sub-tokens, by one product of sparse matrices."""
        from scipy.sparse import csc_matrix, csr_matrix

        if self._index is None:
            return np.zeros((len(queries), self.size), dtype=np.float32)
        parts, known = self._index.scores, self._index.vocab_dict
        weights = csc_matrix((parts["data"], parts["indices"], parts["indptr"])).T
        columns = [[known[token] for token in query if token in known] for query in queries]
        bounds = np.cumsum([0, *map(len, columns)])
        flat = np.fromiter(itertools.chain.from_iterable(columns), dtype=np.int32, count=int(bounds[-1]))
        asked = csr_matrix((np.ones(len(flat), np.float32), flat, bounds), shape=(len(queries), weights.shape[0]))
        found = np.zeros((len(queries), self.size), dtype=np.float32)
        found[:, : weights.shape[1]] = (asked @ weights).toarray()
        return found


def asked(query: str) -> list[str]:
    """Sub-tokens of a query without stop words (Lucene's for English), unless it has no others."""
    from bm25s.stopwords import STOPWORDS_EN

    tokens = subtokens(query)
    return [token for token in tokens if token not in STOPWORDS_EN] or tokens


def counted(tokens: list[str], defined: list[str], parameters: Bm25) -> list[str]:
    """What the index counts of a passage: its sub-tokens, and those of the name that it defines."""
    return tokens + (parameters.name - 1) * defined


def best(scores: NDArray[Any], k: int) -> NDArray[np.intp]:
    """Positions of the k largest scores, largest first, equal ones by position."""
    k = min(k, len(scores))
    if k < 1:
        return np.zeros(0, dtype=np.intp)
    # Most passages share no word with a query: looking for the k-th among thousands of equal scores takes ten times
    # as long as among the others.
    least = scores.min()
    chosen = np.flatnonzero(scores > least)
    if len(chosen) < k:
        chosen = np.concatenate([chosen, np.flatnonzero(scores == least)[: k - len(chosen)]])
    elif k < len(chosen):
        found = scores[chosen]
        cut = np.partition(found, len(found) - k)[len(found) - k]
        above = chosen[found > cut]
        chosen = np.concatenate([above, chosen[found == cut][: k - len(above)]])
    return chosen[np.argsort(-scores[chosen], kind="stable")]


def expected_rank(scores: NDArray[Any], own: int) -> float:
    """Expected rank of passage `own`: ties count half."""
    better, tied = (scores > scores[own]).sum(), (scores == scores[own]).sum()
    return float(better + (tied + 1) / 2)


def gain(rank: float, k: int = 10) -> float:
    """nDCG@k of one relevant passage at that rank."""
    return float(1 / np.log2(rank + 1)) if rank <= k else 0.0


def tune(queries: Sequence[str], passages: Sequence[str]) -> Bm25:
    """The weight of names, then k1 and b, with the best mean nDCG@10, where passage i answers query i."""
    words = [asked(query) for query in queries]  # once for the whole grid
    pool = [(subtokens(passage), subtokens(name(passage))) for passage in passages]

    def quality(parameters: Bm25) -> float:
        index = LexicalIndex([counted(*passage, parameters) for passage in pool], parameters)
        return sum(gain(expected_rank(row, i)) for i, row in enumerate(index.rows(words)))

    counts = max((Bm25(name=count) for count in NAME), key=quality).name
    return max((Bm25(k1, b, counts) for k1, b in itertools.product(SATURATION, LENGTH)), key=quality)
