"""The suite's own metric, as a suite may bring one along: nDCG over runs, ties in expectation."""

import math
from collections import defaultdict

import numpy as np

from assay.metrics import Metric, get, register


def ndcg(predictions, gold, *, k, self_match):
    """(N,) DCG@k / ideal DCG@k; the ideal is made of all judged documents. `self_match`: whether the query's own
    document may be found."""
    return np.array([_one(run, judged, k, self_match) for run, judged in zip(predictions, gold, strict=True)])


def _one(run, judged, k, self_match):
    run = {doc: score for doc, score in run.items() if self_match or doc != "query"}
    levels = sorted(set(run.values()), reverse=True)
    gains, place = 0.0, 0
    for level in levels:
        tied = [doc for doc, score in run.items() if score == level]
        mean = sum(judged.get(doc, 0.0) for doc in tied) / len(tied)
        gains += sum(mean / math.log2(rank + 2) for rank in range(place, min(k, place + len(tied))))
        place += len(tied)
    ideal = sorted(judged.values(), reverse=True)[:k]
    return gains / sum(gain / math.log2(rank + 2) for rank, gain in enumerate(ideal))


def reference(predictions, gold, *, k, self_match):
    """The same by scikit-learn; what a run leaves out ranks behind everything."""
    from sklearn.metrics import ndcg_score

    tables = defaultdict(lambda: ([], []))  # one call for all queries with as many documents
    for run, judged in zip(predictions, gold, strict=True):
        names = [doc for doc in dict.fromkeys([*judged, *run]) if self_match or doc != "query"]
        lowest = min(run.values(), default=0.0) - 1.0
        truth, scores = tables[len(names)]
        truth.append([judged.get(doc, 0.0) for doc in names])
        scores.append([run.get(doc, lowest) for doc in names])
    sums = [len(truth) * (ndcg_score(truth, scores, k=k) if n > 1 else 1.0) for n, (truth, scores) in tables.items()]
    return float(sum(sums) / len(gold))


register(
    Metric(
        name="suite.ndcg",
        direction="higher",
        range=(0.0, 1.0),
        source="Jarvelin & Kekalainen 2002; ties by McSherry & Najork 2008",
        per_item=ndcg,
        policy_form=get("ranking.ndcg_at_k").policy_form,
        independent=reference,
    )
)
