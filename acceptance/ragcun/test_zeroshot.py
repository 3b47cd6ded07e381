"""Is the hybrid no worse than BM25 on collections of another kind, that nothing was trained or tuned on?"""

from __future__ import annotations

import numpy as np
import pytest

from acceptance.ragcun import baselines, collections


def judged(judge, ragcun, data, path):
    """Hybrid beside BM25 as it comes, with stems, and without stop words: there is no dev split to tune it on."""
    passages, rows = data.rows("passages.jsonl"), data.rows("queries.jsonl")
    queries, texts = [row["query"] for row in rows], [row["text"] for row in passages]
    ids = [row["id"] for row in passages]
    runs = ragcun.predictions("search", queries, passages=path, mode="hybrid", k=baselines.DEPTH)
    judge(
        runs,
        gold={"qrels": [row["qrels"] for row in rows], "candidates": np.full(len(rows), len(passages))},
        baselines={
            "bm25": baselines.runs(baselines.bm25(queries, texts, "words", 1.2, 0.75), ids),
            **{
                f"bm25-{way}": baselines.runs(baselines.bm25(queries, texts, way, 1.2, 0.75), ids)
                for way in ("stems", "stems-no-stop-words")
            },
        },
        datasets=[data],
    )


@pytest.mark.requirement("ragcun/zeroshot.cranfield")
def test_on_cranfield(judge, ragcun, collection, passages_of):
    data = collection("cranfield", collections.build_cranfield)
    judged(judge, ragcun, data, passages_of(data))


@pytest.mark.requirement("ragcun/zeroshot.cisi")
def test_on_cisi(judge, ragcun, collection, passages_of):
    data = collection("cisi", collections.build_cisi)
    judged(judge, ragcun, data, passages_of(data))


@pytest.mark.requirement("ragcun/retrieval.commands")
def test_finds_commands_by_description(judge, ragcun, commands, passages_of):
    if commands is None:
        pytest.skip("tldr is not there: put tldr.jsonl.gz under $ASSAY_DATA/tldr")
    rows = commands.rows("test.jsonl")
    pool = commands.rows("passages.jsonl")
    queries, texts, ids = [row["query"] for row in rows], [row["text"] for row in pool], [row["id"] for row in pool]
    judge(
        ragcun.predictions("search", queries, passages=passages_of(commands), mode="hybrid", k=baselines.DEPTH),
        gold={"qrels": [{row["record_id"]: 1.0} for row in rows], "candidates": np.full(len(rows), len(pool))},
        groups=[row["group"] for row in rows],
        baselines={"bm25": baselines.runs(baselines.bm25(queries, texts, "words", 1.2, 0.75), ids)},
    )
