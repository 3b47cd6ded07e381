"""Nearest neighbours among 100,000 embeddings drawn from N(0, I): the product's codes beside a graph and a full scan.

`found` is the share of the true ten that were found, for queries half of which lie near a passage; `build_s` includes
nothing but the index. One thread.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("faiss")

import faiss
import torch

from ragcun.lexical import Bm25, Fusion
from ragcun.retriever import Retriever

DIMENSIONS, QUERIES, K = 128, 200, 10


class Drawn:
    """In an embedder's place: the text is the number of the row."""

    dimensions, bm25, fusion = DIMENSIONS, Bm25(), Fusion()

    def __init__(self, queries, passages):
        self.rows = {"query": queries, "passage": passages}

    def embed(self, texts, side):
        return self.rows[side][[int(text) for text in texts]]


@pytest.fixture(scope="module")
def world(request):
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    size = 2_000 if request.config.getoption("benchmark_disable") else 100_000
    passages = rng.standard_normal((size, DIMENSIONS), dtype=np.float32)
    queries = rng.standard_normal((QUERIES, DIMENSIONS), dtype=np.float32)
    queries[::2] = 0.8 * passages[: QUERIES // 2] + 0.6 * queries[::2]
    scan = faiss.IndexFlatL2(DIMENSIONS)
    scan.add(passages)
    return queries, passages, scan.search(queries, K)[1]


def codes(queries, passages):
    retriever = Retriever(Drawn(queries, passages), exact_up_to=1000)
    names = [str(i) for i in range(len(passages))]
    retriever.add(names, names)
    retriever.search("0", K, "dense")
    return lambda i: [int(hit.id) for hit in retriever.search(str(i), K, "dense")]


def graph(queries, passages):
    index = faiss.IndexHNSWFlat(DIMENSIONS, 32)
    index.hnsw.efConstruction = 40
    index.add(passages)
    wide = faiss.SearchParametersHNSW(efSearch=400)
    return lambda i: index.search(queries[i : i + 1], K, params=wide)[1][0].tolist()


def scan(queries, passages):
    index = faiss.IndexFlatL2(DIMENSIONS)
    index.add(passages)
    return lambda i: index.search(queries[i : i + 1], K)[1][0].tolist()


@pytest.mark.parametrize("made", [codes, graph, scan])
def test_neighbours(benchmark, world, made):
    queries, passages, truth = world
    start = time.thread_time()
    ask = made(queries, passages)
    benchmark.extra_info["build_s"] = round(time.thread_time() - start, 2)
    answers = [ask(i) for i in range(QUERIES)]
    found = float(np.mean([len({*mine} & {*row.tolist()}) / K for mine, row in zip(answers, truth, strict=True)]))
    benchmark.extra_info["found"] = round(found, 4)
    benchmark(lambda: [ask(i) for i in range(20)])
    print(made.__name__, benchmark.extra_info)
    assert found > (0.85 if made is graph else 0.99)
