"""One index over a file of passages, in a process of its own: what it takes to build it, to keep it and to store it.

`python -m benchmarks.ragcun_index NAME MODEL PASSAGES` prints a JSON object. Texts and model are loaded before, for
all alike; the clock runs from the texts to the first answer, on one thread. Memory is what stays resident, not a sum of
what the index says of itself.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import psutil
import torch

from ragcun.embedder import Embedder
from ragcun.lexical import LexicalIndex
from ragcun.retriever import Retriever

QUERY = "read a file into memory"
DEPTH = 10

Index = tuple[int, Callable[[Path], None]]
"""How many passages it found for QUERY, and what writes it into a folder."""


def hybrid(embedder: Embedder, texts: list[str]) -> Index:
    """The product: embeddings, BM25, and past 50,000 passages codes."""
    retriever = Retriever(embedder)
    retriever.add([str(i) for i in range(len(texts))], texts)
    return len(retriever.search(QUERY, DEPTH)), retriever.save


def bm25s(embedder: Embedder, texts: list[str]) -> Index:
    """BM25 alone, on the same stems."""
    index = LexicalIndex.of(texts, embedder.bm25)
    return int((index.scores(QUERY) > 0).sum()), index.save


def exact_scan(embedder: Embedder, texts: list[str]) -> Index:
    """The same embeddings, every distance computed."""
    return _faiss(faiss.IndexFlatL2(embedder.dimensions), embedder, texts)


def hnsw(embedder: Embedder, texts: list[str]) -> Index:
    """The same embeddings in a graph of neighbours."""
    graph = faiss.IndexHNSWFlat(embedder.dimensions, 32)
    graph.hnsw.efConstruction = 40
    return _faiss(graph, embedder, texts)


def _faiss(index: Any, embedder: Embedder, texts: list[str]) -> Index:
    index.add(embedder.embed(texts, "passage"))
    _, found = index.search(embedder.embed([QUERY], "query"), DEPTH)
    return int((found >= 0).sum()), lambda folder: faiss.write_index(index, str(folder / "index.faiss"))


INDICES: dict[str, Callable[[Embedder, list[str]], Index]] = {
    "ragcun": hybrid, "bm25s": bm25s, "exact-scan": exact_scan, "hnsw": hnsw,
}  # fmt: skip


def resident() -> int:
    """Bytes of this process in memory, after what is free was given back."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_info().rss)


def measure(name: str, model: Path, passages: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    texts = [json.loads(line)["text"] for line in passages.read_text(encoding="utf-8").splitlines()]
    embedder = Embedder.load(model)
    INDICES[name](embedder, texts[:64])  # what is imported or set up once is no part of an index
    before, start = resident(), time.perf_counter()
    found, save = INDICES[name](embedder, texts)
    seconds = time.perf_counter() - start
    kept = resident() - before
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        stored = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    return {
        "passages": len(texts), "found": found, "build_s": round(seconds, 2), "resident_mib": round(kept / 2**20, 1),
        "stored_mib": round(stored / 2**20, 1),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
