"""Code search without an encoder: BM25 over sub-tokens as it comes, and tuned on dev distributions.

The judge's own: nothing here is shared with the system under judgement.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acceptance import jsonl
from acceptance.analysers import ANALYSERS

DEPTH = 10
SATURATION = (0.9, 1.2, 2.0, 3.0, 4.5)
LENGTH = (0.4, 0.6, 0.75, 0.9, 1.0)

Run = list[tuple[str, float]]


def runs(
    queries: Sequence[list[str]], passages: Sequence[list[str]], ids: Sequence[str], k1: float, b: float
) -> list[Run]:
    """The ten best passages of each query by BM25 (Lucene's variant, bm25s); ties at the cut are all kept."""
    import bm25s

    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(list(passages), show_progress=False)
    found = []
    for query in queries:
        known = [word for word in query if word in index.vocab_dict]
        scores: NDArray[np.float32] = index.get_scores(known) if known else np.zeros(len(ids), dtype=np.float32)
        cut = np.partition(scores, -DEPTH)[-DEPTH]
        chosen = np.flatnonzero((scores >= cut) & (scores > 0))
        found.append([(ids[i], float(scores[i])) for i in chosen])
    return found


def mrr(found: Sequence[Run], gold: Sequence[str]) -> float:
    """Mean reciprocal rank up to ten; ties count half. For tuning only: judged is by assay's metric."""
    total = 0.0
    for run, name in zip(found, gold, strict=True):
        scores = dict(run)
        if name in scores:
            better = sum(score > scores[name] for score in scores.values())
            tied = sum(score == scores[name] for score in scores.values())
            rank = better + (tied + 1) / 2
            total += 1 / rank if rank <= DEPTH else 0.0
    return total / len(gold)


def build_search_baselines(out: Path, functions: str, tuned_on: int) -> None:
    """runs.json: policy -> the ten best of each test query. tuned.json: what was tuned."""
    folder = Path(functions)
    dev, test = (jsonl.read(folder / f"{side}.jsonl") for side in ("dev", "test"))
    pools = {side: jsonl.read(folder / f"{side}-pool.jsonl") for side in ("dev", "test")}
    ids = {side: [row["id"] for row in rows] for side, rows in pools.items()}
    best: tuple[float, str, float, float] = (-1.0, "", 0.0, 0.0)
    gold = [row["record_id"] for row in dev[:tuned_on]]
    for name, analyse in ANALYSERS.items():
        asked = [analyse(row["query"]) for row in dev[:tuned_on]]
        texts = [analyse(row["text"]) for row in pools["dev"]]
        for k1, b in itertools.product(SATURATION, LENGTH):
            best = max(best, (mrr(runs(asked, texts, ids["dev"], k1, b), gold), name, k1, b))
    _, name, k1, b = best
    found = {}
    for policy, (analyser, s, length) in {"bm25-tuned": (name, k1, b), "bm25-default": ("words", 1.2, 0.75)}.items():
        analyse = ANALYSERS[analyser]
        found[policy] = runs(
            [analyse(row["query"]) for row in test], [analyse(row["text"]) for row in pools["test"]],
            ids["test"], s, length,
        )  # fmt: skip
    (out / "runs.json").write_text(json.dumps(found))
    (out / "tuned.json").write_text(json.dumps({"MRR@10 on dev": best[0], "analyser": name, "k1": k1, "b": b}))
