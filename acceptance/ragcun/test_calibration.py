"""Does the judge read Cranfield and CISI as others do? BM25 must come out where others published it.

What is judged is the evaluator: loader, judgements, ranking metrics. No trained weights take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from acceptance.ragcun import baselines, collections
from assay.evidence import CheckResult
from assay.metrics.ranking import mrr, ndcg_at_k, recall_at_k
from ragcun import beir

DEPTH = 100

FIGURES = {
    "ndcg@10": lambda runs, gold: ndcg_at_k(runs, gold, k=10),
    "mrr@10": lambda runs, gold: mrr(runs, gold, k=10),
    "mrr": mrr,
    "recall@100": lambda runs, gold: recall_at_k(runs, gold, k=100),
}


@dataclass(frozen=True)
class Published:
    """Figures of BM25 with k1 and b on a collection, and where they stand."""

    k1: float
    b: float
    figures: Mapping[str, float]
    source: str


CRANFIELD = Published(
    1.5,
    0.75,
    {"ndcg@10": 0.3509, "mrr": 0.5135},
    "github.com/zahraarmantech/scbs, scbs_clean/benchmarks/run_cranfield.py on the same three files",
)
CISI = Published(
    1.2, 0.75, {"ndcg@10": 0.3774, "mrr@10": 0.6186}, "github.com/MohitKhetan10/cisi-ir, results/evaluation.json"
)


def judged(judge, ragcun_untrained, data, path, published, checks=()):
    """The lexical half of the product, with stems, against the published figures, and both evaluators on its runs."""
    rows = data.rows("queries.jsonl")
    passages = len(data.rows("passages.jsonl"))
    gold = {"qrels": [row["qrels"] for row in rows], "candidates": np.full(len(rows), passages)}
    queries, names = [row["query"] for row in rows], list(published.figures)
    runs = ragcun_untrained.outputs(
        "ragcun.bridge:bm25", queries, passages=path, k1=published.k1, b=published.b, k=DEPTH
    )
    judge(
        runs.map(lambda found: np.array([mean(name, found, gold) for name in names]), items=names),
        gold=np.array([published.figures[name] for name in names]),
        datasets=[data],
        checks=[agree(rows, runs.values, gold), *checks],
        details={"published": dict(published.figures), "source": published.source,
                 "found": {name: mean(name, runs.values, gold) for name in FIGURES}},
    )  # fmt: skip


def mean(name, runs, gold) -> float:
    return float(FIGURES[name](runs, gold).mean())


def agree(rows: Sequence[Mapping], runs, gold) -> CheckResult:
    """The evaluator of the command line, on the same runs."""
    qrels = {row["id"]: {name: int(grade) for name, grade in row["qrels"].items()} for row in rows}
    told = beir.evaluate({row["id"]: run for row, run in zip(rows, runs, strict=True)}, qrels)
    gaps = {name: abs(told[name] - mean(name, runs, gold)) for name in ("ndcg@10", "mrr@10", "recall@100")}
    apart = ", ".join(f"{name} by {gap:.2g}" for name, gap in gaps.items() if gap > 1e-9)
    return CheckResult(
        name="evaluators-agree", ok=not apart, detail=apart and f"`ragcun evaluate` differs from the judge: {apart}"
    )


def reproduced(data, folder: str) -> CheckResult:
    """The judge's own BM25, analysed as the source has it: words between blanks, the title once more before the text.

    Then nothing is left to differ but rounding and the order of ties.
    """
    rows = data.rows("queries.jsonl")
    documents = {number: f"{title} {text}" for number, (title, text) in collections.cranfield_documents(folder).items()}
    kept = [row["id"] for row in data.rows("passages.jsonl")]
    table = baselines.scores(
        [bare(row["query"]) for row in rows], [bare(documents[name]) for name in kept], CRANFIELD.k1, CRANFIELD.b
    )
    gold = {"qrels": [row["qrels"] for row in rows], "candidates": np.full(len(rows), len(kept))}
    runs = baselines.runs(table, kept, DEPTH)
    expected = {**CRANFIELD.figures, "recall@100": 0.6907}
    apart = {name: mean(name, runs, gold) for name in expected}
    wrong = ", ".join(
        f"{name} {apart[name]:.4f}, published {value}"
        for name, value in expected.items()
        if abs(apart[name] - value) > 5e-4
    )
    return CheckResult(name="reproduced", ok=not wrong, detail=wrong)


def bare(text: str) -> list[str]:
    return [word.lower().strip(".,!?;:\"'()") for word in text.split()]


@pytest.fixture(scope="session")
def ragcun_untrained(subject):
    """The system without data: nothing is trained for rows about its lexical half."""
    return subject("ragcun")


@pytest.mark.requirement("ragcun/calibration.cranfield")
def test_bm25_on_cranfield_is_as_published(judge, ragcun_untrained, collection, passages_of):
    data = collection("cranfield", collections.build_cranfield)
    exact = reproduced(data, str(collections.folder("cranfield")))
    judged(judge, ragcun_untrained, data, passages_of(data), CRANFIELD, [exact])


@pytest.mark.requirement("ragcun/calibration.cisi")
def test_bm25_on_cisi_is_as_published(judge, ragcun_untrained, collection, passages_of):
    data = collection("cisi", collections.build_cisi)
    judged(judge, ragcun_untrained, data, passages_of(data), CISI)
