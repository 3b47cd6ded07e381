"""Metrics of ranked candidates: MRR, nDCG@k, recall@k, Hits@k, in expectation over the order of ties.

Every query counts, an unanswered one as zero; the ideal comes from the judgements, never from what was retrieved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
class _Ties:
    """What was retrieved for N queries as B blocks of equal score, query by query and the best first; what could be.

    Attributes:
        queries: N.
        query: (B,) which one.
        start: (B,) candidates of that query with a better score.
        count: (B,) candidates in the block.
        gain: (B,) sum of what they are worth.
        relevant: (B,) how many of them are relevant.
        asked, gold: (R,) query and worth of every relevant candidate that there is.
    """

    queries: int
    query: NDArray[np.intp]
    start: NDArray[np.intp]
    count: NDArray[np.intp]
    gain: Floats
    relevant: NDArray[np.intp]
    asked: NDArray[np.intp]
    gold: Floats


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


def _ties(predictions: Any, gold: Any, value: Callable[[Floats], Floats] = np.asarray) -> _Ties:
    """Both sides in either of the formats with several relevant candidates; `value` is what a judged gain is worth."""
    qrels = gold.get("qrels") if isinstance(gold, Mapping) else gold
    if isinstance(qrels, list | tuple) and len(qrels) and isinstance(qrels[0], Mapping):
        given = predictions["runs"] if isinstance(predictions, Mapping) else predictions
        query, scores, gains = _of_runs(given, qrels)
        asked = np.repeat(np.arange(len(qrels)), [len(judged) for judged in qrels])
        judged = np.array([gain for judged in qrels for gain in judged.values()], dtype=np.float64)
        queries = len(qrels)
    else:
        truth = gold["gains"] if isinstance(gold, Mapping) and "gains" in gold else gold
        table, matrix = np.asarray(truth, dtype=np.float64), _scores(predictions)
        if table.shape != matrix.shape:
            raise MetricError(f"scores have shape {matrix.shape}, gains have {table.shape}.\n{FORMATS}")
        query, column = np.nonzero(matrix > -np.inf)
        scores, gains, queries = matrix[query, column], table[query, column], len(table)
        asked, judged = np.repeat(np.arange(queries), table.shape[1]), table.ravel()
    _check_gains(asked, judged, queries)
    order = np.lexsort((-scores, query))
    query, scores, gains = query[order], scores[order], gains[order]
    first = np.ones(len(query), dtype=bool)
    first[1:] = (query[1:] != query[:-1]) | (scores[1:] != scores[:-1])
    block = np.cumsum(first) - 1
    begins = np.flatnonzero(first)
    count = np.bincount(block, minlength=len(begins))
    before = np.concatenate([[0], np.cumsum(np.bincount(query, minlength=queries))])
    return _Ties(
        queries=queries,
        query=query[begins],
        start=begins - before[query[begins]],
        count=count,
        gain=_sums(block, value(gains), len(begins)),
        relevant=_sums(block, gains > 0, len(begins)).astype(np.intp),
        asked=asked[judged > 0],
        gold=value(judged[judged > 0]),
    )


def _of_runs(runs: Sequence[Any], qrels: Sequence[Mapping[Any, float]]) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Query, score and gain of everything that was retrieved."""
    documents: list[Any] = []
    scores: list[Any] = []
    gains: list[float] = []
    sizes = []
    for i, (run, judged) in enumerate(zip(runs, qrels, strict=True)):
        if isinstance(run, Mapping):
            documents, values = list(run), list(run.values())
        else:
            documents, values = [pair[0] for pair in run], [pair[1] for pair in run]
            if len(set(documents)) != len(documents):
                twice = next(d for d in documents if documents.count(d) > 1)
                raise InvalidPredictionsError(f"query {i}: document {twice!r} stands twice in the run")
        scores += values
        gains += [judged.get(d, 0.0) for d in documents]
        sizes.append(len(documents))
    query, found = np.repeat(np.arange(len(sizes)), sizes), np.array(scores, dtype=np.float64)
    if not np.isfinite(found).all():
        worst = query[int(np.flatnonzero(~np.isfinite(found))[0])]
        raise InvalidPredictionsError(f"query {worst}: the run holds scores that are not finite")
    return query, found, np.array(gains, dtype=np.float64)


def _check_gains(asked: NDArray[np.intp], gains: Floats, queries: int) -> None:
    wrong = ~np.isfinite(gains) | (gains < 0)
    if wrong.any():
        raise MetricError(f"query {asked[int(np.flatnonzero(wrong)[0])]}: gains must be finite and not negative")
    without = _sums(asked, gains > 0, queries) == 0
    if without.any():
        raise UndefinedMetricError(
            f"query {int(np.flatnonzero(without)[0])} has no relevant candidate: leave such queries out of the items"
        )


def _sums(part: NDArray[np.intp], values: NDArray[Any], parts: int) -> Floats:
    """(parts,) sum of the values in each part; 0 for a part that has none."""
    return np.asarray(np.bincount(part, weights=values, minlength=parts), dtype=np.float64)


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
    ranks = _first(_ties(predictions, gold)) if single is None else single[0] + (single[1] + 1) / 2
    result = np.zeros(len(ranks))
    hit = np.isfinite(ranks) & (ranks <= limit)
    result[hit] = value(ranks[hit])
    return result


def _first(ties: _Ties) -> Floats:
    """(N,) expected rank of the first relevant candidate; inf where none was retrieved."""
    found = np.flatnonzero(ties.relevant > 0)
    query, place = np.unique(ties.query[found], return_index=True)  # the best block of each query
    best = found[place]
    ranks = np.full(ties.queries, math.inf)
    ranks[query] = ties.start[best] + (ties.count[best] + 1) / (ties.relevant[best] + 1)
    return ranks


def recall_at_k(predictions: Any, gold: Any, *, k: int = 10) -> Floats:
    """(N,) share of the relevant candidates among the first `k`, in expectation over the order of ties."""
    _depth(k)
    single = _single(predictions, gold)
    if single is not None:
        better, tied = single
        chance: Floats = np.clip((k - better) / tied, 0, 1)
        return chance
    ties = _ties(predictions, gold)
    inside = np.clip((k - ties.start) / ties.count, 0, 1) * ties.relevant
    found: Floats = _sums(ties.query, inside, ties.queries) / np.bincount(ties.asked, minlength=ties.queries)
    return found


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
    ties = _ties(predictions, gold, lambda gains: _gains(gains, gain))
    depth = int(max(k, (ties.start + ties.count).max(initial=0)))
    sums = np.concatenate([[0.0], np.cumsum(np.where(np.arange(depth) < k, _discounts(depth), 0.0))])
    shares = ties.gain / ties.count * (sums[ties.start + ties.count] - sums[ties.start])
    order = np.lexsort((-ties.gold, ties.asked))
    asked, gold_gains = ties.asked[order], ties.gold[order]
    place = np.arange(len(asked)) - np.searchsorted(asked, asked)
    kept = place < k
    best = gold_gains[kept] * _discounts(k)[place[kept]]
    normalised: Floats = _sums(ties.query, shares, ties.queries) / _sums(asked[kept], best, ties.queries)
    return normalised


def _gains(gains: Floats, kind: str) -> Floats:
    exponential: Floats = np.exp2(gains) - 1
    return gains if kind == "linear" else exponential


def _discounts(depth: int) -> Floats:
    result: Floats = 1 / np.log2(np.arange(2, depth + 2))
    return result


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


_SINGLE = {"relevant", "candidates"}
_TELLING = 0.9  # share of the queries whose right candidate stands at one and the same place


def _policies(gold: Any, rng: np.random.Generator) -> Policies:
    if isinstance(gold, Mapping) and "qrels" not in gold and "gains" not in gold and gold.keys() & _SINGLE:
        relevant = np.asarray(gold["relevant"]) if "relevant" in gold else None
        if "candidates" in gold:
            candidates = np.asarray(gold["candidates"], dtype=np.float64)
        else:
            assert relevant is not None
            candidates = np.full(len(relevant), max(int(relevant.max()) + 1, 2.0))
        found = _rank_policies(candidates, rng)
        placed = None if relevant is None else _by_place(relevant, candidates)
        return found if placed is None else {**found, "place": placed}
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


def _by_place(relevant: NDArray[Any], candidates: Floats) -> dict[str, Floats] | None:
    """Ranks by one place that is right for nearly all queries, counted from the first candidate or from the last.

    None where there is no such place: less than nine in ten may be luck, or what people ask about.
    """
    if relevant.ndim != 1 or not len(relevant) or relevant.dtype.kind not in "iu":
        return None
    for place in (relevant.astype(np.float64), relevant - candidates):
        found, times = np.unique(place, return_counts=True)
        if times.max() >= _TELLING * len(place):
            there = place == found[times.argmax()]  # all others are level behind what stands there
            best = np.where(there, 1.0, np.minimum(2.0, candidates))
            return {"optimistic": best, "pessimistic": np.where(there, 1.0, np.maximum(best, candidates))}
    return None


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
    order = reshuffled(oracle, rng, lambda run: sorted(map(repr, run.items())))
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
