"""Which function does a sentence describe? Words in every field of the code and the encoder, ranked together.

BM25 over stems and the encoder propose; a learned ranker weighs names, parameters, calls, strings and the cosine. It
must never see which passage answers which query, save in fitting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphmer import records
from graphmer.tasks.features import cosines, unit, words
from graphmer.tasks.links import Answer, Encoder
from graphmer.tasks.ranker import Floats, Ranker, Table

DEPTH: Final = 100
_PROPOSED: Final = 100  # by each of the two
_CHUNK: Final = 256
_ROUNDS: Final = 150
_QUERY_TOKENS, _PASSAGE_TOKENS = 48, 128

_SIGNATURE: Final = re.compile(r"def\s+(\w+)\s*\((.*?)\)\s*(?:->\s*([^:]+))?:", re.DOTALL)
_CALLED: Final = re.compile(r"(\w+)\s*\(")
_ATTRIBUTE: Final = re.compile(r"\.(\w+)")
_STRING: Final = re.compile(r"'([^'\n]*)'|\"([^\"\n]*)\"")
_RAISED: Final = re.compile(r"\braise\s+(\w+)|\breturn\s+([\w.]+)")

FIELDS: Final[Mapping[str, Callable[[str], str]]] = {
    "all": lambda text: text,
    "name": lambda text: _signature(text)[0],
    "parameters": lambda text: _signature(text)[1],
    "calls": lambda text: " ".join(_CALLED.findall(text)),
    "attributes": lambda text: " ".join(_ATTRIBUTE.findall(text)),
    "strings": lambda text: " ".join(first or second for first, second in _STRING.findall(text)),
    "results": lambda text: " ".join(first or second for first, second in _RAISED.findall(text)) + _signature(text)[2],
}

NEURAL: Final = ("cosine", "cosine below the best", "place by cosine")
FEATURES: Final = (
    *NEURAL,
    *(f"{field} {kind}" for field in FIELDS for kind in ("score", "share")),
    "place by words", "query covered", "name covered", "words in query", "words in name", "words in passage", "method",
    "private", "first word in name",
)  # fmt: skip


def _signature(text: str) -> tuple[str, str, str]:
    found = _SIGNATURE.search(text)
    return (found[1], found[2], found[3] or "") if found else ("", "", "")


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def stems(text: str) -> list[str]:
    """Stems (Porter 2) of the words of a text, identifiers split."""
    return [_stem(word) for word in words(text)]


class Field:
    """One field of all passages: BM25 weights and presence of words, as sparse matrices."""

    def __init__(self, documents: Sequence[Sequence[str]], k1: float = 2.0, b: float = 0.8) -> None:
        from scipy.sparse import csr_matrix

        self.vocabulary: dict[str, int] = {}
        indices: list[int] = []
        bounds = [0]
        for document in documents:
            indices += [self.vocabulary.setdefault(word, len(self.vocabulary)) for word in document]
            bounds.append(len(indices))
        shape = (len(documents), max(1, len(self.vocabulary)))
        counts = csr_matrix((np.ones(len(indices), dtype=np.float32), indices, bounds), shape=shape)
        counts.sum_duplicates()
        self.lengths = np.asarray(counts.sum(axis=1)).ravel()
        present = counts.copy()
        present.data[:] = 1.0
        frequency = np.asarray(present.sum(axis=0)).ravel()
        self.idf = np.log1p((len(documents) - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        scale = k1 * (1 - b + b * self.lengths / max(1e-9, float(self.lengths.mean())))
        weights = counts.copy()
        rows_of = np.repeat(np.arange(len(documents)), np.diff(counts.indptr))
        weights.data = self.idf[counts.indices] * counts.data * (k1 + 1) / (counts.data + scale[rows_of])
        present.data = self.idf[present.indices]
        self._weights, self._present = weights.T.tocsr(), present.T.tocsr()

    def scores(self, queries: Sequence[Sequence[str]]) -> tuple[Floats, Floats]:
        """(Q, P) BM25 scores, and (Q, P) inverse document frequency of the query's words that a passage has."""
        asked = self._matrix(queries)
        unique = asked.copy()
        unique.data[:] = 1.0
        return (asked @ self._weights).toarray(), (unique @ self._present).toarray()

    def weight(self, words_: Sequence[str]) -> float:
        """Summed inverse document frequency of distinct words; the rarest there is for a word not seen."""
        top = float(self.idf.max()) if len(self.idf) else 1.0
        return sum(float(self.idf[self.vocabulary[one]]) if one in self.vocabulary else top for one in set(words_))

    def _matrix(self, queries: Sequence[Sequence[str]]) -> Any:
        from scipy.sparse import csr_matrix

        indices = [[self.vocabulary[word] for word in query if word in self.vocabulary] for query in queries]
        bounds = np.cumsum([0, *map(len, indices)])
        flat = np.array([one for row in indices for one in row], dtype=np.int32)
        shape = (len(queries), max(1, len(self.vocabulary)))
        found = csr_matrix((np.ones(len(flat), dtype=np.float32), flat, bounds), shape=shape)
        found.sum_duplicates()
        return found


class Pool:
    """Passages that can be searched."""

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        self.ids, self.texts = list(ids), list(texts)
        self.fields = {name: Field([stems(cut(text)) for text in texts]) for name, cut in FIELDS.items()}
        names = [_signature(text)[0] for text in texts]
        self.method = np.array([_signature(text)[1].startswith(("self", "cls")) for text in texts], dtype=np.float32)
        self.private = np.array([name.startswith("_") for name in names], dtype=np.float32)

    @classmethod
    def load(cls, path: Path) -> Pool:
        found = records.read(path)
        return cls([row["id"] for row in found], [row["text"] for row in found])


class Search:
    """Passages for sentences."""

    def __init__(self, encoder: Encoder, ranker: Ranker | None = None) -> None:
        self.encoder, self.ranker = encoder, ranker
        self._vectors: dict[int, tuple[Pool, Floats]] = {}

    def passages(self, queries: Sequence[str], pool: Pool, encoder: bool = True, depth: int = DEPTH) -> list[Answer]:
        """The best passages for each query as (id, score), best first."""
        assert self.ranker is not None
        answers: list[Answer] = []
        for start in range(0, len(queries), _CHUNK):
            found = self.tables(queries[start : start + _CHUNK], pool, encoder)
            scores = self.ranker.scores(np.concatenate([table for _, table, _ in found]), encoder)
            bounds = np.cumsum([len(table) for _, table, _ in found])[:-1]
            for (candidates, *_), mine in zip(found, np.split(scores, bounds), strict=True):
                order = np.argsort(-mine, kind="stable")[:depth]
                answers.append([(pool.ids[candidates[i]], float(mine[i])) for i in order])
        return answers

    def dense(self, queries: Sequence[str], pool: Pool, depth: int = DEPTH) -> list[Answer]:
        """The nearest passages by cosine alone."""
        vectors = unit(self.encoder.vectors(queries, maximum_tokens=_QUERY_TOKENS))
        near = cosines(vectors, self._passages(pool))
        order = np.argsort(-near, axis=1, kind="stable")[:, :depth]
        return [[(pool.ids[i], float(line[i])) for i in chosen] for line, chosen in zip(near, order, strict=True)]

    def fit(self, queries: Sequence[str], gold: Sequence[str], pool: Pool, threads: int = 1, seed: int = 0) -> Ranker:
        """Fit the ranker on queries whose passage in the pool is known; none of them may have aligned the encoder."""
        place = {name: i for i, name in enumerate(pool.ids)}
        tables, labels, sizes, cheap = [], [], [], []
        for start in range(0, len(queries), _CHUNK):
            found = self.tables(queries[start : start + _CHUNK], pool)
            for (candidates, table, own), name in zip(found, gold[start : start + _CHUNK], strict=True):
                label = candidates == place[name]
                if label.any():
                    tables.append(table)
                    labels.append(label)
                    sizes.append(len(label))
                    cheap.append(own)
        neural = [FEATURES.index(name) for name in NEURAL]
        self.ranker = Ranker.fit(
            np.concatenate(tables), np.concatenate(labels).astype(np.int32), sizes, neural,
            rounds=_ROUNDS, leaves=15, cheap=np.concatenate(cheap), threads=threads, seed=seed,
        )  # fmt: skip
        return self.ranker

    def tables(self, queries: Sequence[str], pool: Pool, encoder: bool = True) -> list[Table]:
        """Of each query."""
        asked = [stems(query) for query in queries]
        fields = {name: field.scores(asked) for name, field in pool.fields.items()}
        near = None
        if encoder:
            vectors = unit(self.encoder.vectors(queries, maximum_tokens=_QUERY_TOKENS))
            near = cosines(vectors, self._passages(pool))
        return [self._table(i, asked[i], pool, fields, None if near is None else near[i]) for i in range(len(queries))]

    def _passages(self, pool: Pool) -> Floats:
        known = self._vectors.get(id(pool))
        if known is None or known[0] is not pool:
            vectors = unit(self.encoder.vectors(pool.texts, maximum_tokens=_PASSAGE_TOKENS))
            known = self._vectors[id(pool)] = (pool, vectors)
        return known[1]

    def _table(
        self,
        row: int,
        asked: Sequence[str],
        pool: Pool,
        fields: Mapping[str, tuple[Floats, Floats]],
        near: Floats | None,
    ) -> Table:
        lexical = fields["all"][0][row]
        own = np.union1d(_top(lexical, _PROPOSED), _top(lexical + 2 * fields["name"][0][row], _PROPOSED // 2))
        kept = own if near is None else np.union1d(own, _top(near, _PROPOSED // 2))
        table = np.zeros((len(kept), len(FEATURES)), dtype=np.float32)
        column = {name: place for place, name in enumerate(FEATURES)}
        if near is not None:
            table[:, column["cosine"]] = near[kept]
            table[:, column["cosine below the best"]] = near[kept] - near.max()
            table[:, column["place by cosine"]] = np.log1p(_places(near[kept]))
        for name, (scores, _) in fields.items():
            table[:, column[f"{name} score"]] = scores[row, kept]
            table[:, column[f"{name} share"]] = scores[row, kept] / max(1e-6, float(scores[row].max()))
        table[:, column["place by words"]] = np.log1p(_places(lexical[kept]))
        whole, name = pool.fields["all"], pool.fields["name"]
        table[:, column["query covered"]] = fields["all"][1][row, kept] / max(1e-6, whole.weight(asked))
        table[:, column["name covered"]] = fields["name"][1][row, kept] / np.maximum(1.0, name.lengths[kept])
        table[:, column["words in query"]] = len(asked)
        table[:, column["words in name"]] = name.lengths[kept]
        table[:, column["words in passage"]] = np.log1p(whole.lengths[kept])
        table[:, column["method"]] = pool.method[kept]
        table[:, column["private"]] = pool.private[kept]
        if asked:
            table[:, column["first word in name"]] = self._first(asked[0], pool)[kept]
        return kept, table, np.isin(kept, own)

    def _first(self, word: str, pool: Pool) -> NDArray[np.float32]:
        return pool.fields["name"].scores([[word]])[1][0] > 0  # type: ignore[return-value]


def _top(scores: Floats, count: int) -> NDArray[np.int64]:
    if len(scores) <= count:
        return np.arange(len(scores))
    return np.argpartition(-scores, count - 1)[:count]


def _places(values: Floats) -> NDArray[np.int64]:
    places = np.empty(len(values), dtype=np.int64)
    places[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return places
