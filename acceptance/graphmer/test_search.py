"""Does it find a function by its docstring in distributions that it never saw, better than BM25 does?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from assay.subject import Dataset, Predictions, Subject


@pytest.fixture(scope="session")
def queries(functions: Dataset) -> list[dict[str, Any]]:
    return functions.rows("test.jsonl")


@pytest.fixture(scope="session")
def gold(search_pool: Dataset, queries) -> dict[str, Any]:
    size = len(search_pool.path("test-pool.jsonl").read_text().splitlines())
    return {"qrels": [{row["record_id"]: 1.0} for row in queries], "candidates": np.full(len(queries), size)}


@pytest.fixture(scope="session")
def passages(search_pool: Dataset) -> str:
    return str(search_pool.path("test-pool.jsonl"))


@pytest.fixture(scope="session")
def bm25(compared: dict[str, Callable[[], Dataset]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compared["search"]().path("runs.json").read_text())
    return found


@pytest.fixture(scope="session")
def found(graphmer: Subject, queries, passages) -> Predictions:
    return graphmer.predictions("search", [row["query"] for row in queries], passages=passages)


@pytest.mark.requirement("graphmer/code_search.mrr10")
def test_finds_functions_by_their_docstrings(judge, graphmer, found, queries, passages, gold, bm25, search_pool):
    zeroed = graphmer.predictions("search", [row["query"] for row in queries], passages=passages, encoder=False)
    judge(
        found,
        gold=gold,
        groups=[row["group"] for row in queries],
        clusters=[row["cluster"] for row in queries],
        baselines={**bm25, "encoder-zeroed": zeroed.values},
        slices={"distribution": [row["group"] for row in queries]},
        datasets=[search_pool],
        details={"samples": samples(queries, found.values, search_pool)},
    )


@pytest.mark.requirement("graphmer/scaling.search")
def test_search_after_more_training(judge, scaling, queries, passages, gold, search_pool):
    def ask(variant: Subject) -> Predictions:
        return variant.predictions("search", [row["query"] for row in queries], passages=passages)

    judge.seeds(
        scaling.longer, ask, gold=gold, groups=[row["group"] for row in queries], baselines=scaling.beside(ask),
        datasets=[search_pool], details=scaling.cost,
    )  # fmt: skip


@pytest.mark.requirement("graphmer/code_search.dense")
def test_the_encoder_alone(judge, graphmer, queries, passages, gold, bm25, search_pool):
    dense = graphmer.predictions("search_dense", [row["query"] for row in queries], passages=passages)
    judge(
        dense,
        gold=gold,
        groups=[row["group"] for row in queries],
        clusters=[row["cluster"] for row in queries],
        baselines=bm25,
        datasets=[search_pool],
    )


@pytest.mark.requirement("graphmer/code_search.name_hidden")
def test_finds_functions_that_do_not_say_their_names(judge, graphmer, queries, gold, search_pool):
    pool = str(search_pool.path("nameless-pool.jsonl"))
    judge(
        graphmer.predictions("search", [row["query"] for row in queries], passages=pool),
        gold=gold,
        groups=[row["group"] for row in queries],
        clusters=[row["cluster"] for row in queries],
        datasets=[search_pool],
    )


def samples(queries: Sequence[dict[str, Any]], runs: Sequence[Any], pool: Dataset) -> list[dict[str, object]]:
    """Twenty queries with what was found first, for a person to read."""
    texts = {row["id"]: row["text"] for row in pool.rows("test-pool.jsonl")}
    return [
        {
            "query": row["query"],
            "found": texts[run[0][0]] if run else "",
            "rank of the right one": next((i for i, hit in enumerate(run, 1) if hit[0] == row["record_id"]), None),
        }
        for row, run in list(zip(queries, runs, strict=True))[:20]
    ]
