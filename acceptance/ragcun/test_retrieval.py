"""Does it find a function by its docstring in distributions that it never saw, and better than what is cheap?"""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from sklearn.decomposition import PCA

from acceptance.ragcun import baselines
from assay.evidence import CheckResult
from assay.metrics.ranking import ndcg_at_k


@pytest.fixture(scope="session")
def passages(pool):
    """Where the pool lies: the subject reads ids and texts there, nothing else."""
    return str(pool.path("passages.jsonl"))


@pytest.fixture(scope="session")
def hybrid(ragcun, heldout, passages):
    """Runs of the product path."""
    return ragcun.predictions("search", heldout.queries, passages=passages, mode="hybrid", k=baselines.DEPTH)


@pytest.mark.requirement("ragcun/retrieval.hybrid")
def test_finds_functions_better_than_bm25(judge, hybrid, heldout, peers, pool):
    judge(
        hybrid,
        gold=heldout.gold,
        groups=heldout.distributions,
        clusters=heldout.modules,
        baselines=peers,
        slices={"distribution": heldout.distributions},
        datasets=[pool],
        details={"samples": samples(heldout, hybrid, pool)},
    )


@pytest.mark.requirement("ragcun/retrieval.distributions")
def test_is_better_on_most_distributions(judge, hybrid, heldout, peers, pool):
    theirs = by_distribution(peers["bm25-tuned"], heldout)
    names = sorted(theirs)

    def compare(runs):
        mine = by_distribution(runs, heldout)
        return {"mine": [mine[name] for name in names], "theirs": [theirs[name] for name in names]}

    judge(hybrid.map(compare, items=names), datasets=[pool], details={"distributions": names})


@pytest.mark.requirement("ragcun/retrieval.dense")
def test_embeddings_alone(judge, ragcun, heldout, passages, peers, pair_data, pool):
    """The index must rank as the distances of the very embeddings do whose geometry is judged."""
    dense = ragcun.predictions("search", heldout.queries, passages=passages, mode="dense", k=baselines.DEPTH)
    judge(
        dense,
        gold=heldout.gold,
        groups=heldout.distributions,
        clusters=heldout.modules,
        baselines={**peers, "own-base-whitened": whitened_base(ragcun, heldout, pair_data, pool)},
        slices={"distribution": heldout.distributions},
        datasets=[pool],
        checks=[ranks_by_distance(ragcun, heldout, pool, dense.values)],
    )


@pytest.mark.requirement("ragcun/scale.nearest")
def test_finds_the_nearest_among_many(judge, ragcun, heldout, large_pool, tables):
    """Where there are so many passages that codes propose them; what is nearest is computed here, of all."""
    rows = random.Random(0).sample(heldout.rows, min(len(heldout.rows), tables("timing")["nearest"]))
    passages, queries = large_pool.rows("passages.jsonl"), [row["query"] for row in rows]
    there = ragcun.predictions("embed", [row["text"] for row in passages], side="passage").values
    table = baselines.nearest(ragcun.predictions("embed", queries, side="query").values, there)
    nearest = baselines.runs(table, [row["id"] for row in passages], depth=10)
    judge(
        ragcun.predictions("search", queries, passages=str(large_pool.path("passages.jsonl")), mode="dense", k=10),
        gold={
            "qrels": [dict.fromkeys((name for name, _ in run), 1.0) for run in nearest],
            "candidates": np.full(len(rows), len(passages)),
        },
        groups=[row["group"] for row in rows],
        clusters=[row["cluster"] for row in rows],
        datasets=[large_pool],
    )


def whitened_base(ragcun, heldout, pair_data, pool):
    """Runs of the trained base without projection: PCA-whitened to as many dimensions, on functions it did not see."""
    fit, rows = pair_data.rows("fit.jsonl"), pool.rows("passages.jsonl")
    sides = {
        "query": ([row["query"] for row in fit], heldout.queries),
        "passage": ([row["passage"] for row in fit], [row["text"] for row in rows]),
    }
    asked = {
        side: [ragcun.predictions("features", texts, side=side).values for texts in both]
        for side, both in sides.items()
    }
    known = np.concatenate([asked["query"][0], asked["passage"][0]])
    dimensions = min(ragcun.profile["dimensions"], *known.shape)
    whitening = PCA(dimensions, whiten=True, random_state=0).fit(known)
    table = baselines.nearest(*(whitening.transform(asked[side][1]) for side in sides))
    return baselines.runs(table, [row["id"] for row in rows])


def by_distribution(runs, heldout) -> dict[str, float]:
    """Mean nDCG@10 of each distribution."""
    found = defaultdict(list)
    for name, value in zip(heldout.distributions, ndcg_at_k(runs, heldout.gold, k=10), strict=True):
        found[name].append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def ranks_by_distance(ragcun, heldout, pool, runs, queries: int = 200) -> CheckResult:
    """Whether the scores of the index are minus the squared distances of the embeddings that the subject gives."""
    rows = pool.rows("passages.jsonl")
    place = {row["id"]: i for i, row in enumerate(rows)}
    asked = ragcun.predictions("embed", heldout.queries[:queries], side="query").values
    there = ragcun.predictions("embed", [row["text"] for row in rows], side="passage").values
    worst = 0.0
    for vector, run in zip(asked, runs, strict=False):
        distances = np.square(there[[place[name] for name, _ in run]] - vector).sum(axis=1)
        worst = max(worst, float(np.abs(distances + [score for _, score in run]).max() / distances.max()))
    detail = f"scores of the index differ from the distances of the embeddings by up to {worst:.2g}"
    return CheckResult(name="one-embedding", ok=worst < 1e-3, detail="" if worst < 1e-3 else detail)


def samples(heldout, hybrid, pool) -> list[dict[str, object]]:
    """Twenty queries with what was found first, for a person to read."""
    texts = {row["id"]: row["text"] for row in pool.rows("passages.jsonl")}
    return [
        {
            "query": row["query"],
            "found": texts[run[0][0]] if run else "",
            "rank of the right one": next((i for i, hit in enumerate(run, 1) if hit[0] == row["record_id"]), None),
        }
        for row, run in list(zip(heldout.rows, hybrid.values, strict=True))[:20]
    ]
