"""From trained weights to answers about plain data, for whoever judges, serves or compares: texts in, numbers out.

Everything goes through the same `Retriever` and `Embedder` as the command line. It must never see which passage is
the right one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragcun.embedder import Embedder, Matrix
from ragcun.lexical import Bm25, LexicalIndex, best
from ragcun.model import SIDES
from ragcun.retriever import Mode, Retriever
from ragcun.tokens import subtokens

__all__ = ["Bridge", "bm25", "load"]


def bm25(queries: Sequence[str], passages: str, k1: float, b: float, k: int) -> list[list[tuple[str, float]]]:
    """For each query the best k (id, score) of a file of passages by BM25 over all sub-tokens: no weights take part."""
    ids, texts = _read(passages)
    found = LexicalIndex.of(texts, Bm25(k1, b)).rows([subtokens(query) for query in queries])
    return [[(ids[place], float(scores[place])) for place in best(scores, k)] for scores in found]


def load(artifact: Path) -> Bridge:
    """The trained model in the folder `artifact`. RagcunError when it holds none."""
    return Bridge(Embedder.load(Path(artifact)))


class Bridge:
    """Answers of one trained model; safe from several threads once a file of passages was read."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self._retrievers: dict[str, Retriever] = {}

    def embed(self, texts: Sequence[str], side: str) -> Matrix:
        """(N, D) embeddings of texts as "query" or as "passage"."""
        return self.embedder.embed(texts, side)

    def embed_pairs(self, pairs: Sequence[Sequence[str]]) -> dict[str, Matrix]:
        """{"query": (N, D), "passage": (N, D)} of N pairs [query, passage]."""
        return {side: self.embed([pair[i] for pair in pairs], side) for i, side in enumerate(SIDES)}

    def features(self, texts: Sequence[str], side: str) -> Matrix:
        """(N, W) features of the base alone."""
        return self.embedder.features(texts, side)

    def search(self, queries: Sequence[str], passages: str, mode: Mode, k: int) -> list[list[tuple[str, float]]]:
        """For each query the best k (id, score) of the passages in a JSON Lines file with id and text."""
        return [[(hit.id, hit.score) for hit in hits] for hits in self._over(passages).search_all(queries, k, mode)]

    def answer(self, query: str, passages: str, mode: Mode = "hybrid", k: int = 10) -> list[dict[str, Any]]:
        """What a person gets for one query: id, score and text of the best k passages."""
        return [
            {"id": hit.id, "score": hit.score, "text": hit.text} for hit in self._over(passages).search(query, k, mode)
        ]

    def _over(self, path: str) -> Retriever:
        if path not in self._retrievers:
            self._retrievers[path] = Retriever(self.embedder)
            self._retrievers[path].add(*_read(path))
        return self._retrievers[path]


def _read(path: str) -> tuple[list[str], list[str]]:
    """Ids and texts of a JSON Lines file of passages."""
    with Path(path).open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["id"] for row in rows], [row["text"] for row in rows]
