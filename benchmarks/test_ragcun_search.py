"""How fast is a search, beside bm25s and an exact scan, over the same passages."""

from __future__ import annotations

import numpy as np
import pytest
from property.ragcun.conftest import PROFILE, make_rows, write

pytest.importorskip("torch")

from ragcun.embedder import Embedder
from ragcun.lexical import Bm25, LexicalIndex
from ragcun.retriever import Retriever
from ragcun.train import train

PASSAGES = 3000


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ragcun")
    files = {side: write(folder / f"{side}.jsonl", make_rows(120, seed)) for seed, side in
             enumerate(("train", "fit", "dev"))}  # fmt: skip
    train({**PROFILE, "epochs": 1}, files, folder / "model")
    retriever = Retriever(Embedder.load(folder / "model"))
    rows = make_rows(PASSAGES, 9)
    retriever.add([row["record_id"] for row in rows], [row["passage"] for row in rows])
    retriever.search("warm up")
    return retriever


QUERIES = [row["query"] for row in make_rows(50, 10)]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_search(benchmark, filled, mode):
    found = benchmark(lambda: [filled.search(query, 10, mode) for query in QUERIES])
    assert all(len(hits) == 10 for hits in found)


def test_bare_bm25s(benchmark):
    index = LexicalIndex.of([row["passage"] for row in make_rows(PASSAGES, 9)], Bm25())
    found = benchmark(lambda: [np.argpartition(-index.scores(query), 10)[:10] for query in QUERIES])
    assert len(found) == len(QUERIES)
