"""Metrics of ranked candidates: MRR, nDCG@k, recall@k, Hits@k, in expectation over the order of ties.

Every query counts, an unanswered one as zero; the ideal comes from the judgements, never from what was retrieved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import MetricError
from assay.metrics.metric import (
    Floats,
    InvalidOptionError,
    InvalidPredictionsError,
    Metric,
    Policies,
    UndefinedMetricError,
    real,
    reshuffled,
)
from assay.metrics.registry import register

FORMATS = """Formats of predictions and gold (N queries):

predictions                                        gold
(N, C) scores, or {"scores": (N, C)};              {"relevant": (N,) column of the one relevant candidate,
-inf = not retrieved                                "candidates": (N,) number of candidates (optional)}
the same                                           (N, C) gains >= 0, or {"gains": (N, C)}
{"optimistic": (N,), "pessimistic": (N,)} ranks    {"relevant": ..., "candidates": ...} or {"candidates": (N,)}
of the one relevant candidate; inf = unanswered
N runs {document: score}, or N lists of            N judgements {document: gain}, or {"qrels": N judgements,
(document, score); or {"runs": ...}                "candidates": (N,) (optional)}
"""


@dataclass(frozen=True)
class _Query:
    """What was retrieved for one query (scores and gains, (m,) each) and what could have been (positive gains)."""

    scores: Floats
    gains: Floats
    ideal: Floats


# ------------------------------------------------------------------------------ reading the two sides


def _single(predictions: Any, gold: Any) -> tuple[Floats, Floats] | None:
    """For one relevant candidate a query: (N,) candidates strictly better, (N,) candidates tied with it, itself
    included; better = inf when the query was not answered. None for other formats.
    """
    if isinstance(predictions, Mapping) and "optimistic" in predictions:
        optimistic = np.asarray(predictions["optimistic"], dtype=np.float64)
        pessimistic = np.asarray(predictions["pessimistic"], dtype=np.float64)
        if optimistic.ndim != 1 or (optimistic < 1).any() or (pessimistic < optimistic).any():
            raise InvalidPredictionsError("ranks must be (N,) with 1 <= optimistic <= pessimistic")
        candidates = gold.get("candidates") if isinstance(gold, Mapping) else None
        if candidates is not None:
            beyond = np.isfinite(pessimistic) & (pessimistic > np.asarray(candidates))
            if beyond.any():
                row = int(np.flatnonzero(beyond)[0])
                raise InvalidPredictionsError(
                    f"query {row}: rank {pessimistic[row]:g} of {np.asarray(candidates)[row]} candidates"
                )
        answered = np.isfinite(pessimistic)
        better = np.where(answered, optimistic - 1, np.inf)
        with np.errstate(invalid="ignore"):
            return better, np.where(answered, pessimistic - optimistic + 1, 1.0)
    if not (isinstance(gold, Mapping) and "relevant" in gold):
        return None
    scores = _scores(predictions)
    relevant = np.asarray(gold["relevant"])
    if relevant.dtype.kind not in "iu" or relevant.ndim != 1:
        raise MetricError('gold "relevant" must hold one column index per query')
    outside = (relevant < 0) | (relevant >= scores.shape[1])
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise MetricError(
            f"query {row}: the relevant candidate {int(relevant[row])} is not among the {scores.shape[1]} candidates"
        )
    own = scores[np.arange(len(scores)), relevant][:, None]
    better = (scores > own).sum(axis=1).astype(np.float64)
    tied = (scores == own).sum(axis=1).astype(np.float64)
    return np.where(own[:, 0] > -np.inf, better, np.inf), tied


def _scores(predictions: Any) -> Floats:
    given = predictions["scores"] if isinstance(predictions, Mapping) and "scores" in predictions else predictions
    try:
        scores = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidPredictionsError("scores are not an (N, C) matrix of numbers") from None
    if scores.ndim != 2:
        raise InvalidPredictionsError(f"scores have shape {scores.shape}, (queries, candidates) is needed")
    if np.isposinf(scores).any() or np.isnan(scores).any():
        raise InvalidPredictionsError("scores hold +inf or NaN")
    return scores


def _queries(predictions: Any, gold: Any) -> Iterator[_Query]:
    qrels = gold.get("qrels") if isinstance(gold, Mapping) else gold
    if isinstance(qrels, list | tuple) and len(qrels) and isinstance(qrels[0], Mapping):
        given = predictions["runs"] if isinstance(predictions, Mapping) else predictions
        for i, (run, judged) in enumerate(zip(given, qrels, strict=True)):
            yield _of_run(i, run, judged)
        return
    truth = gold["gains"] if isinstance(gold, Mapping) and "gains" in gold else gold
    gains, scores = np.asarray(truth, dtype=np.float64), _scores(predictions)
    if gains.shape != scores.shape:
        raise MetricError(f"scores have shape {scores.shape}, gains have {gains.shape}.\n{FORMATS}")
    for i in range(len(gains)):
        _check_gains(i, gains[i])
        kept = scores[i] > -np.inf
        yield _Query(scores[i][kept], gains[i][kept], gains[i][gains[i] > 0])


def _of_run(i: int, run: Any, judged: Mapping[Any, float]) -> _Query:
    ideal = np.fromiter(judged.values(), dtype=np.float64, count=len(judged))
    _check_gains(i, ideal)
    if isinstance(run, Mapping):
        documents, scores = list(run.keys()), list(run.values())
    else:
        documents, scores = [pair[0] for pair in run], [pair[1] for pair in run]
        if len(set(documents)) != len(documents):
            twice = next(d for d in documents if documents.count(d) > 1)
            raise InvalidPredictionsError(f"query {i}: document {twice!r} stands twice in the run")
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise InvalidPredictionsError(f"query {i}: the run holds scores that are not finite")
    gains = np.fromiter((judged.get(d, 0.0) for d in documents), dtype=np.float64, count=len(documents))
    return _Query(values, gains, ideal[ideal > 0])


def _check_gains(i: int, gains: Floats) -> None:
    if not np.isfinite(gains).all() or (gains < 0).any():
        raise MetricError(f"query {i}: gains must be finite and not negative")
    if not (gains > 0).any():
        raise UndefinedMetricError(f"query {i} has no relevant candidate: leave such queries out of the items")


# ------------------------------------------------------------------------------ the metrics


def mrr(predictions: Any, gold: Any, *, k: int | None = None) -> Floats:
    """(N,) reciprocal rank of the first relevant candidate; 0 beyond `k` and where nothing relevant was retrieved.

    Among ties the rank is the expected one: (optimistic + pessimistic) / 2 for one relevant candidate (Berrendorf et
    al. 2020, "realistic rank"), better + (tied + 1) / (relevant + 1) for several. Formats: see `FORMATS`.
    """
    return _by_rank(predictions, gold, k, lambda rank: 1 / rank)


def hits_at_k(predictions: Any, gold: Any, *, k: int = 10) -> Floats:
    """(N,) 1.0 where the expected rank of the first relevant candidate is at most `k`, else 0.0."""
    return _by_rank(predictions, gold, k, np.ones_like)


def _by_rank(predictions: Any, gold: Any, k: int | None, value: Callable[[Floats], Floats]) -> Floats:
    limit = math.inf if k is None else _depth(k)
    single = _single(predictions, gold)
    if single is not None:
        ranks = single[0] + (single[1] + 1) / 2
    else:
        ranks = np.array([_first(query) for query in _queries(predictions, gold)])
    result = np.zeros(len(ranks))
    hit = np.isfinite(ranks) & (ranks <= limit)
    result[hit] = value(ranks[hit])
    return result


def _first(query: _Query) -> float:
    """Expected rank of the first relevant candidate; inf when none was retrieved."""
    relevant = query.gains > 0
    if not relevant.any():
        return math.inf
    best = query.scores[relevant].max()
    tied = query.scores == best
    return float((query.scores > best).sum() + (tied.sum() + 1) / ((tied & relevant).sum() + 1))


def recall_at_k(predictions: Any, gold: Any, *, k: int = 10) -> Floats:
    """(N,) share of the relevant candidates among the first `k`, in expectation over the order of ties."""
    _depth(k)
    single = _single(predictions, gold)
    if single is not None:
        better, tied = single
        chance: Floats = np.clip((k - better) / tied, 0, 1)
        return chance
    result = []
    for query in _queries(predictions, gold):
        starts, counts, relevant = _blocks(query.scores, (query.gains > 0).astype(np.float64))
        inside = np.clip((k - starts) / counts, 0, 1)
        result.append(float((inside * relevant).sum()) / len(query.ideal))
    return np.array(result)


def ndcg_at_k(predictions: Any, gold: Any, *, k: int = 10, gain: str = "linear") -> Floats:
    """(N,) DCG@k / ideal DCG@k with discount 1 / log2(rank + 1); the ideal is made of all judged gains.

    Args:
        predictions, gold: see `FORMATS`.
        k: depth.
        gain: "linear" (the judged gain; Jarvelin & Kekalainen 2002) or "exponential" (2^gain - 1; Burges et al. 2005).

    Ties: every tied candidate gets the mean gain of its tie (McSherry & Najork 2008, eq. 9).
    """
    _depth(k)
    if gain not in ("linear", "exponential"):
        raise InvalidOptionError(f'gain = "{gain}" is not "linear" or "exponential"')
    single = _single(predictions, gold)
    if single is not None:
        better, tied = single
        sums = np.concatenate([[0.0], np.cumsum(_discounts(k))])
        start = np.minimum(better, k).astype(np.intp)
        end = np.minimum(np.where(np.isfinite(better), better, k) + tied, k).astype(np.intp)
        expected: Floats = (sums[end] - sums[start]) / tied
        return expected
    result = []
    for query in _queries(predictions, gold):
        gains, ideal = _gains(query.gains, gain), _gains(query.ideal, gain)
        starts, counts, total = _blocks(query.scores, gains)
        depth = max(k, len(query.scores))
        sums = np.concatenate([[0.0], np.cumsum(np.where(np.arange(depth) < k, _discounts(depth), 0.0))])
        dcg = float((total / counts * (sums[starts + counts] - sums[starts])).sum()) if len(starts) else 0.0
        best = np.sort(ideal)[::-1][:k]
        result.append(dcg / float((best * _discounts(len(best))).sum()))
    return np.array(result)


def _gains(gains: Floats, kind: str) -> Floats:
    exponential: Floats = np.exp2(gains) - 1
    return gains if kind == "linear" else exponential


def _discounts(depth: int) -> Floats:
    result: Floats = 1 / np.log2(np.arange(2, depth + 2))
    return result


def _blocks(scores: Floats, gains: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Ties from best to worst: position where each starts, its size, the sum of its gains."""
    _, inverse, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    sums: Floats = np.bincount(inverse, weights=gains, minlength=len(counts)).astype(np.float64)
    return (np.cumsum(counts) - counts).astype(np.intp), counts.astype(np.intp), sums


def _depth(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InvalidOptionError(f"k = {k!r} is not a whole number of at least 1")
    return k


def groups_won(predictions: Any, gold: Any = None) -> float:
    """Number of groups in which one policy is better than another: how widely a better mean is shared.

    Args:
        predictions: {"mine": (G,), "theirs": (G,)} values of a metric per group; a tie is not won.
    """
    if not isinstance(predictions, Mapping) or set(predictions) != {"mine", "theirs"}:
        raise InvalidPredictionsError('values per group are given as {"mine": (G,), "theirs": (G,)}')
    return float((real(predictions["mine"], "values") > real(predictions["theirs"], "values")).sum())


# ------------------------------------------------------------------------------ policies and chance


def _policies(gold: Any, rng: np.random.Generator) -> Policies:
    if isinstance(gold, Mapping) and "candidates" in gold and "qrels" not in gold and "gains" not in gold:
        return _rank_policies(np.asarray(gold["candidates"], dtype=np.float64), rng)
    if isinstance(gold, Mapping) and "relevant" in gold:
        relevant = np.asarray(gold["relevant"])
        return _rank_policies(np.full(len(relevant), max(int(relevant.max()) + 1, 2.0)), rng)
    qrels = gold.get("qrels") if isinstance(gold, Mapping) else gold
    if isinstance(qrels, list | tuple) and len(qrels) and isinstance(qrels[0], Mapping):
        return _run_policies(qrels, rng)
    gains = np.asarray(gold["gains"] if isinstance(gold, Mapping) else gold, dtype=np.float64)
    return {
        "oracle": gains,
        "inverted": -gains,
        "shuffled": gains[reshuffled(gains, rng)],
        "constant": np.zeros(gains.shape),
        "random": rng.random(gains.shape),
    }


def _rank_policies(candidates: Floats, rng: np.random.Generator) -> Policies:
    def exactly(ranks: Floats) -> Policies:
        return {"optimistic": ranks, "pessimistic": ranks}

    first = np.ones(len(candidates))
    return {
        "oracle": exactly(first),
        "inverted": exactly(candidates),
        "shuffled": exactly(np.floor(rng.random(len(candidates)) * candidates) + 1),
        "constant": {"optimistic": first, "pessimistic": candidates},
        "random": exactly(np.floor(rng.random(len(candidates)) * candidates) + 1),
    }


def _run_policies(qrels: Sequence[Mapping[Any, float]], rng: np.random.Generator) -> Policies:
    """Runs over each query's judged documents and up to 100 documents of other queries."""
    known = list(dict.fromkeys(d for judged in qrels for d in judged))
    others = [known[i] for i in rng.permutation(len(known))[:100]]
    pools = [list(dict.fromkeys([*judged, *others])) for judged in qrels]
    oracle = [{d: float(judged.get(d, 0.0)) for d in pool} for judged, pool in zip(qrels, pools, strict=True)]
    order = reshuffled([sorted(map(repr, run.items())) for run in oracle], rng)
    return {
        "oracle": oracle,
        "inverted": [{d: -score for d, score in run.items()} for run in oracle],
        "shuffled": [{d: oracle[order[i]].get(d, 0.0) for d in pool} for i, pool in enumerate(pools)],
        "constant": [dict.fromkeys(pool, 0.0) for pool in pools],
        "random": [dict(zip(pool, rng.random(len(pool)).tolist(), strict=True)) for pool in pools],
    }


def _candidates(gold: Any) -> NDArray[np.int64] | None:
    if isinstance(gold, Mapping):
        if "candidates" in gold:
            return np.asarray(gold["candidates"], dtype=np.int64)
        gold = gold.get("gains")
    if isinstance(gold, np.ndarray) and gold.ndim == 2:
        return np.full(len(gold), gold.shape[1], dtype=np.int64)
    return None


def _relevant(gold: Any) -> NDArray[np.int64]:
    """(N,) number of relevant candidates."""
    if isinstance(gold, Mapping):
        if "qrels" in gold:
            return np.array([sum(g > 0 for g in judged.values()) for judged in gold["qrels"]], dtype=np.int64)
        if "gains" not in gold:
            return np.ones(len(gold["candidates"]), dtype=np.int64)
        gold = gold["gains"]
    return np.asarray((np.asarray(gold) > 0).sum(axis=1), dtype=np.int64)


def _random_mrr(gold: Any, *, k: int | None = None) -> float | None:
    """Expected reciprocal rank of a random order, one relevant among C: H(min(k, C)) / C."""
    counts = _candidates(gold)
    if counts is None or (_relevant(gold) != 1).any():
        return None
    depths = counts if k is None else np.minimum(counts, k)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(depths.max()) + 1))])
    return float(np.mean(harmonic[depths] / counts))


def _random_recall(gold: Any, *, k: int = 10) -> float | None:
    counts = _candidates(gold)
    return None if counts is None else float(np.mean(np.minimum(k / counts, 1.0)))


def _random_hits(gold: Any, *, k: int = 10) -> float | None:
    counts = _candidates(gold)
    return None if counts is None or (_relevant(gold) != 1).any() else _random_recall(gold, k=k)


def _random_ndcg(gold: Any, *, k: int = 10) -> float | None:
    counts = _candidates(gold)
    if counts is None or (_relevant(gold) != 1).any():
        return None
    sums = np.concatenate([[0.0], np.cumsum(_discounts(k))])
    return float(np.mean(sums[np.minimum(counts, k)] / counts))


register(
    Metric(
        name="ranking.mrr",
        direction="higher",
        range=(0.0, 1.0),
        source="Voorhees 1999; expected rank on ties (Berrendorf et al. 2020)",
        per_item=mrr,
        chance_form=_random_mrr,
        policy_form=_policies,
        reference="brute force over all orders of ties (mean rank)",
    )
)
register(
    Metric(
        name="ranking.ndcg_at_k",
        direction="higher",
        range=(0.0, 1.0),
        source="Jarvelin & Kekalainen 2002; ties by McSherry & Najork 2008, eq. 9",
        per_item=ndcg_at_k,
        chance_form=_random_ndcg,
        policy_form=_policies,
        reference="sklearn.metrics.ndcg_score; brute force over all orders of ties",
    )
)
register(
    Metric(
        name="ranking.recall_at_k",
        direction="higher",
        range=(0.0, 1.0),
        source="Manning et al., Introduction to Information Retrieval, 8.4; expectation over ties",
        per_item=recall_at_k,
        chance_form=_random_recall,
        policy_form=_policies,
        reference="brute force over all orders of ties",
    )
)
register(
    Metric(
        name="ranking.hits_at_k",
        direction="higher",
        range=(0.0, 1.0),
        source="Bordes et al. 2013; expected rank on ties",
        per_item=hits_at_k,
        chance_form=_random_hits,
        policy_form=_policies,
        reference="brute force over all orders of ties (mean rank)",
    )
)
register(
    Metric(
        name="ranking.groups_won",
        direction="higher",
        range=(0.0, math.inf),
        source="groups with a positive difference",
        formula=groups_won,
        counted=True,
        reference="hand computation",
    )
)
