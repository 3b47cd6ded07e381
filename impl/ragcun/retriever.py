"""The product: passages in, the nearest ones out, by closeness of embeddings, by BM25, or by both.

Distances are exact up to `exact_up_to` passages; beyond, a scan of 4-bit codes (faiss) proposes and exact distances
decide. What is saved is never pickled, and a folder that is truncated, changed or made by other weights is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ragcun.embedder import Embedder, Matrix
from ragcun.errors import RagcunError
from ragcun.lexical import Bm25, Fusion, LexicalIndex, best, expected_rank, gain
from ragcun.model import squared_distances
from ragcun.tokens import has_words

Mode = Literal["hybrid", "dense", "lexical"]
MODES: tuple[Mode, ...] = ("hybrid", "dense", "lexical")
FORMAT = 2
DEPTH = 200
"""Passages that each half proposes to the hybrid, at least."""
EXACT_UP_TO = 50_000
"""Passages up to which every distance is computed: 3 ms on one core."""
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
POWERS = (0.0, 1.0, 2.0, 3.0)
FAR = 0.25
"""Trust in a query of a field that training never saw: its nearest passage is at three quarters of 2 D."""
PREMIUM = 0.01
"""nDCG@10 in the field of the dev pairs that is paid, at most, for doing no harm in others."""
PROPOSED = 800
"""Passages that the codes propose for DEPTH: of 100,000 Gaussian ones all of the nearest 10 and 99.9 % of 200."""
TRAINED_ON = 16_384
"""Passages that the levels of the codes are fitted on, fewer than twice as many."""
LEVELS = 16
"""Of each coordinate: 4 bits."""
_CHUNK = 64  # queries whose distances to all passages are computed at a time


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found; a larger score is better. Dense scores are minus the squared distance."""

    id: str
    score: float
    text: str


class _Snapshot:
    """Passages as they were at one moment: never changed, so that searches need no lock."""

    def __init__(self, ids: Sequence[str], texts: Sequence[str], embeddings: Matrix, parameters: Bm25) -> None:
        self.ids, self.texts, self.embeddings, self.parameters = ids, texts, embeddings, parameters
        self.norms = np.square(embeddings).sum(axis=1)

    @cached_property
    def lexical(self) -> LexicalIndex:
        return LexicalIndex.of(self.texts, self.parameters)

    @cached_property
    def codes(self) -> Any:
        """faiss' fast scan over 4 bits of each coordinate.

        Coordinates of an isotropic Gaussian are independent and vary alike, so that a code for each loses least; the
        same space is the hardest there is for a graph of neighbours.
        """
        import faiss

        size, dimensions = self.embeddings.shape
        codes = faiss.IndexPQFastScan(dimensions, dimensions, 4)
        codes.pq.cp.min_points_per_centroid = 1
        codes.train(self.embeddings[:: max(1, size // TRAINED_ON)])
        codes.add(self.embeddings)
        return codes

    def distances(self, queries: Matrix, places: NDArray[np.intp] | slice = slice(None)) -> Matrix:
        """(Q, passages) squared Euclidean distances to (Q, D) queries.

        By torch, like embeddings: threads of two libraries that take turns wait for each other, five times as long.
        """
        parts = (torch.from_numpy(part) for part in (queries, self.embeddings[places], self.norms[places]))
        found: Matrix = squared_distances(*parts).numpy()
        return found

    def near(self, queries: Matrix, k: int, exact: bool) -> Iterator[Near]:
        """What lies nearest to each of (Q, D) queries: k passages, fewer where there are no more."""
        if exact:
            for low in range(0, len(queries), _CHUNK):
                for row in self.distances(queries[low : low + _CHUNK]):
                    yield Near(best(-row, k), row.__getitem__)
            return
        _, found = self.codes.search(queries, min(max(PROPOSED, PROPOSED * k // DEPTH), len(self.ids)))
        for query, proposed in zip(queries, found, strict=True):
            distances = partial(self._distances_of, query)
            places = np.sort(proposed[proposed >= 0].astype(np.intp))
            yield Near(places[best(-distances(places), k)], distances)

    def _distances_of(self, query: Matrix, places: NDArray[np.intp]) -> NDArray[np.float32]:
        return self.distances(query[None, :], places)[0]


@dataclass(frozen=True, slots=True)
class Near:
    """Positions of the passages nearest to a query, nearest first, and squared distances by position."""

    places: NDArray[np.intp]
    distances: Callable[[NDArray[np.intp]], NDArray[np.float32]]


class Retriever:
    """Passages that can be searched; `add` and `search` are safe from several threads.

    Args:
        embedder: trained weights; also says how BM25 and the fusion were tuned.
        exact_up_to: number of passages up to which every distance is computed; at least LEVELS.
    """

    def __init__(self, embedder: Embedder, exact_up_to: int = EXACT_UP_TO) -> None:
        self.embedder, self.exact_up_to = embedder, max(exact_up_to, LEVELS)
        self.fusion = embedder.fusion
        self._lock = threading.Lock()
        empty = np.zeros((0, embedder.dimensions), dtype=np.float32)
        self._snapshot = _Snapshot((), (), empty, embedder.bm25)
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self._snapshot.ids)

    def add(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        """Add passages. RagcunError for an id that is there already or twice, or an empty text.

        One of punctuation alone is taken in, as there are commands and pieces of code of that kind: no word finds it.
        """
        if len(ids) != len(texts):
            raise RagcunError(f"{len(ids)} ids for {len(texts)} texts; give one id for each text")
        for name, text in zip(ids, texts, strict=True):
            if not text.strip():
                raise RagcunError(f'passage "{name}" is empty; leave it out')
        embeddings = self.embedder.embed(texts, "passage")
        with self._lock:
            new = set(ids)
            if len(new) < len(ids) or new & self._known:
                twice = next(name for i, name in enumerate(ids) if name in self._known or name in ids[:i])
                raise RagcunError(f'passage "{twice}" is there already; give every passage an id of its own')
            old = self._snapshot
            joined = np.concatenate([old.embeddings, embeddings])
            self._snapshot = _Snapshot((*old.ids, *ids), (*old.texts, *texts), joined, old.parameters)
            self._known |= new

    def search(self, query: str, k: int = 10, mode: Mode = "hybrid") -> list[Hit]:
        """The best k passages, best first. RagcunError for a query without a word, k < 1 or an unknown mode."""
        return self.search_all([query], k, mode)[0]

    def search_all(self, queries: Sequence[str], k: int = 10, mode: Mode = "hybrid") -> list[list[Hit]]:
        """The same for each query, several times as fast as one after the other."""
        for query in queries:
            if not has_words(query):
                raise RagcunError(f"the query {query!r} holds no word; give at least one")
        if k < 1:
            raise RagcunError(f"k = {k}: ask for at least one passage")
        if mode not in MODES:
            raise RagcunError(f'mode "{mode}" is not known: {", ".join(MODES)}')
        snapshot = self._snapshot
        if not snapshot.ids:
            return [[] for _ in queries]
        return [
            [
                Hit(snapshot.ids[place], float(score), snapshot.texts[place])
                for place, score in zip(places.tolist(), scores.tolist(), strict=True)
            ]
            for places, scores in self._ranked(snapshot, queries, k, mode)
        ]

    def _ranked(
        self, snapshot: _Snapshot, queries: Sequence[str], k: int, mode: Mode
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Positions and scores for each query."""
        if mode == "lexical":
            for query in queries:
                scores = snapshot.lexical.scores(query)
                places = best(scores, k)
                yield places, scores[places]
            return
        exact = len(snapshot.ids) <= self.exact_up_to
        vectors = self.embedder.embed(queries, "query")
        depth = k if mode == "dense" else max(k, DEPTH)
        for query, near in zip(queries, snapshot.near(vectors, depth, exact), strict=True):
            if mode == "dense":
                yield near.places, -near.distances(near.places)
                continue
            places, words, closeness, trust = halves(snapshot, query, near, self.embedder.dimensions, depth)
            fused = words + self.fusion.factor(trust) * closeness
            order = best(fused, k)
            yield places[order], fused[order]

    # ------------------------------------------------------------------------------ files

    def save(self, folder: Path) -> None:
        """Write all of it beside what is there, then point to it: a kill leaves the old index or the new one."""
        snapshot = self._snapshot
        folder.mkdir(parents=True, exist_ok=True)
        replaced = _files(folder)
        number = 1 + max((int(p.name[6:]) for p in folder.glob("files-*") if p.name[6:].isdigit()), default=0)
        files = folder / f"files-{number}"
        files.mkdir()
        np.save(files / "embeddings.npy", snapshot.embeddings, allow_pickle=False)
        with (files / "passages.jsonl").open("w", encoding="utf-8") as out:
            for name, text in zip(snapshot.ids, snapshot.texts, strict=True):
                out.write(json.dumps({"id": name, "text": text}) + "\n")
        if len(snapshot.ids) > self.exact_up_to:
            import faiss

            np.save(files / "codes.npy", faiss.serialize_index(snapshot.codes), allow_pickle=False)
        snapshot.lexical.save(files)
        about = {
            "format": FORMAT,
            "weights": self.embedder.weights,
            "passages": len(snapshot.ids),
            "dimensions": self.embedder.dimensions,
            "exact_up_to": self.exact_up_to,
            "folder": files.name,
            "files": {path.name: _digest(path) for path in sorted(files.iterdir())},
        }
        beside = folder / "index.json.partial"
        beside.write_text(json.dumps(about, indent=1), encoding="utf-8")
        os.replace(beside, folder / "index.json")
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)

    @classmethod
    def load(cls, folder: Path, embedder: Embedder) -> Retriever:
        """What `save` wrote. RagcunError when a file is missing, truncated, changed, or of other weights."""
        about = _manifest(folder)
        if about["weights"] != embedder.weights:
            raise RagcunError(
                f"{folder}: was indexed with the weights {about['weights'][:12]}, the model has "
                f"{embedder.weights[:12]}; index the passages again"
            )
        files = folder / about["folder"]
        for name, digest in about["files"].items():
            path = files / name
            if not path.is_file():
                raise RagcunError(f"{path}: is missing; index the passages again")
            if _digest(path) != digest:
                raise RagcunError(f"{path}: is not the file that was saved; index the passages again")
        with (files / "passages.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        embeddings = np.load(files / "embeddings.npy", allow_pickle=False)
        if embeddings.shape != (about["passages"], embedder.dimensions) or len(rows) != about["passages"]:
            raise RagcunError(
                f"{folder}: {len(rows)} passages, embeddings of shape {embeddings.shape}, {about['passages']} of "
                f"{embedder.dimensions} dimensions announced; index the passages again"
            )
        result = cls(embedder, about["exact_up_to"])
        ids, texts = tuple(row["id"] for row in rows), tuple(row["text"] for row in rows)
        snapshot = _Snapshot(ids, texts, embeddings, embedder.bm25)
        snapshot.__dict__["lexical"] = LexicalIndex.load(files, len(ids))
        if "codes.npy" in about["files"]:
            import faiss

            snapshot.__dict__["codes"] = faiss.deserialize_index(np.load(files / "codes.npy", allow_pickle=False))
        result._snapshot, result._known = snapshot, set(ids)
        return result


def halves(
    snapshot: _Snapshot, query: str, near: Near, dimensions: int, depth: int
) -> tuple[NDArray[np.intp], NDArray[Any], NDArray[Any], float]:
    """What either half proposes: positions, BM25 as a share of the best score, closeness, and trust in closeness.

    Closeness is 0 for the nearest passage and falls by 1 for each 2 D of squared distance, the mean distance of two
    independent N(0, I) embeddings (convex combination of normalised scores: Bruch et al. 2023). Trust is how much
    nearer the nearest passage is than an independent one: 1 at the same place, 0 at 2 D.
    """
    words = snapshot.lexical.scores(query)
    places = np.union1d(near.places, best(words, depth))
    independent = 2 * dimensions
    least = near.distances(near.places[:1])[0]
    closeness = (least - near.distances(places)) / independent
    top = float(words.max())
    trust = max(0.0, 1 - float(least) / independent)
    return places, words[places] / top if top > 0 else words[places], closeness, trust


def tune(embedder: Embedder, parameters: Bm25, queries: Sequence[str], passages: Sequence[str]) -> Fusion:
    """The fusion for pairs where passage i answers query i, by mean nDCG@10.

    Of those behind the best by no more than PREMIUM, the one that trusts embeddings least where the nearest passage is
    far: these pairs are of one field, and passages of others will be further than any of theirs.
    """
    snapshot = _Snapshot(tuple(passages), tuple(passages), embedder.embed(passages, "passage"), parameters)
    vectors = embedder.embed(queries, "query")
    grid = [Fusion(weight, power) for power in POWERS for weight in WEIGHTS]
    gains = np.zeros((len(queries), len(grid)))
    for i, (query, near) in enumerate(zip(queries, snapshot.near(vectors, DEPTH, exact=True), strict=True)):
        places, words, closeness, trust = halves(snapshot, query, near, embedder.dimensions, DEPTH)
        own = np.flatnonzero(places == i)
        if len(own):
            found = [words + fusion.factor(trust) * closeness for fusion in grid]
            gains[i] = [gain(expected_rank(scores, int(own[0]))) for scores in found]
    good = gains.mean(0) >= gains.mean(0).max() - PREMIUM
    return min((fusion for fusion, ok in zip(grid, good, strict=True) if ok), key=lambda fusion: fusion.factor(FAR))


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise RagcunError(f"{path}: format {about['format']} is not {FORMAT}; index the passages again")
        if not (isinstance(about["files"], dict) and {"embeddings.npy", "passages.jsonl"} <= about["files"].keys()):
            raise KeyError("files")
        kinds = {"weights": str, "folder": str, "passages": int, "dimensions": int, "exact_up_to": int}
        for key, kind in kinds.items():
            if not isinstance(about[key], kind):
                raise TypeError(key)
    except FileNotFoundError:
        raise RagcunError(f"{path}: there is no index here; make one with `python -m ragcun index`") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise RagcunError(f"{path}: is no index of this program ({error!r}); index the passages again") from None
    return about


def _files(folder: Path) -> Path | None:
    """Where the index in a folder keeps its files, if there is one: nothing else there is for `save` to remove."""
    try:
        name = _manifest(folder)["folder"]
    except RagcunError:
        return None
    return folder / name if re.fullmatch(r"files-[0-9]+", name) else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
