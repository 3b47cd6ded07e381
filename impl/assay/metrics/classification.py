"""Metrics of labels and scores: AUROC, recall at a false-positive rate, accuracy, F1, and the spread of the scores.

A one-class evaluation has no AUROC and says so; ties, thresholds and strata are part of the formula, never of chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

Labels = NDArray[np.bool_]
Codes = NDArray[np.intp]

# ------------------------------------------------------------------------------ reading the two sides


def _scores(predictions: Any) -> Floats:
    """(N,) finite scores, given plainly or under "scores"."""
    given = predictions["scores"] if isinstance(predictions, Mapping) else predictions
    scores = real(given, "scores")
    if scores.ndim != 1:
        raise InvalidPredictionsError(f"scores have shape {scores.shape}, one number per item is needed")
    return scores


def _binary(gold: Any) -> Labels:
    """(N,) labels 0/1, given plainly or under "label"."""
    given = gold["label"] if isinstance(gold, Mapping) else gold
    labels = np.asarray(given)
    if labels.ndim != 1 or labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
        raise MetricError("gold labels must be 0 or 1, one per item")
    return labels.astype(bool)


def _strata(gold: Any, n: int) -> tuple[Codes, list[Any]]:
    """(N,) index of each item's stratum, and the strata in order of appearance; one stratum when none is given."""
    if not isinstance(gold, Mapping) or "stratum" not in gold:
        return np.zeros(n, dtype=np.intp), ["all"]
    given = gold["stratum"]
    values = given.tolist() if isinstance(given, np.ndarray) else given
    names: dict[Any, int] = {}
    codes = np.fromiter((names.setdefault(value, len(names)) for value in values), dtype=np.intp, count=n)
    return codes, list(names)


def _threshold(predictions: Any, gold: Any, option: float | None, n: int) -> Floats | None:
    """(N,) threshold: the predictor's own (it belongs to the scale of its scores), the gold's, or the option's."""
    for side in (predictions, gold):
        if isinstance(side, Mapping) and "threshold" in side:
            return real(side["threshold"], "thresholds")
    return None if option is None else np.full(n, float(option))


def _both_classes(labels: Labels, where: str = "") -> None:
    positives = int(labels.sum())
    if positives in (0, len(labels)):
        kind = "negative" if positives else "positive"
        raise UndefinedMetricError(
            f"{where}all {len(labels):,} items are of one class: there is no {kind} to tell apart"
        )


# ------------------------------------------------------------------------------ AUROC


def area(scores: Floats, labels: Labels) -> float:
    """Area under the ROC curve of scores (N,) and labels (N,): Mann-Whitney U, ties count half.

    Source: Hanley & McNeil 1982, eq. 1.
    """
    positives, negatives = np.sort(scores[labels]), np.sort(scores[~labels])
    wins = sum(int(np.searchsorted(negatives, positives, side).sum()) for side in ("left", "right"))
    return wins / (2 * len(positives) * len(negatives))


def auroc(predictions: Any, gold: Any) -> float:
    """AUROC over all items.

    Args:
        predictions: (N,) scores, higher means positive; or {"scores": (N,)}.
        gold: (N,) labels 0/1, or {"label": (N,)}.

    Returns:
        A value in [0, 1]; 0.5 is chance. UndefinedMetricError when all items are of one class.
    """
    scores, labels = _scores(predictions), _binary(gold)
    _both_classes(labels)
    return area(scores, labels)


def macro_auroc(predictions: Any, gold: Any) -> float:
    """Mean over strata of the AUROC inside each stratum.

    Args:
        predictions: (N,) scores or {"scores": (N,)}.
        gold: {"label": (N,) 0/1, "stratum": (N,)}; e.g. each defect operator with its own originals.

    Returns:
        A value in [0, 1]. UndefinedMetricError when a stratum holds one class only.
    """
    scores, labels = _scores(predictions), _binary(gold)
    codes, names = _strata(gold, len(labels))
    areas = []
    for code, name in enumerate(names):
        inside = codes == code
        _both_classes(labels[inside], f'stratum "{name}": ')
        areas.append(area(scores[inside], labels[inside]))
    return float(np.mean(areas))


# ------------------------------------------------------------------------------ thresholded recall


def threshold_at_fpr(scores: Any, labels: Any, fpr: float = 0.05) -> float:
    """The lowest score t such that at most a share `fpr` of the negatives scores above t. To be set on dev.

    Args:
        scores: (N,); labels: (N,) 0/1 with at least one 0.
    """
    if not 0 <= fpr < 1:
        raise InvalidOptionError(f"fpr = {fpr} is not in [0, 1)")
    negatives = np.sort(_scores(scores)[~_binary(labels)])[::-1]
    if not len(negatives):
        raise UndefinedMetricError("there is no negative item: no false-positive rate")
    return float(negatives[math.floor(fpr * len(negatives) + 1e-9)])


def macro_recall_at_fpr(predictions: Any, gold: Any, *, fpr: float = 0.05, threshold: float | None = None) -> float:
    """Mean over strata of the share of positives that score above the threshold.

    A threshold set on dev is `predictions["threshold"]` (N,), else `gold["threshold"]` (N,), else the option. It
    counts unless it lets more than a share `fpr` of all negatives through here: then the lowest one that does not
    takes its place, so that false alarms never buy recall. Without a threshold from dev, each stratum has its own:
    the lowest at which at most a share `fpr` of its negatives scores above it. Scores equal to the threshold are
    negative, so that a constant finds nothing.

    Args:
        predictions: (N,) scores or {"scores": (N,), "threshold": (N,)}.
        gold: {"label": (N,), "stratum": (N,) (optional), "threshold": (N,) (optional)}.
    """
    scores, labels = _scores(predictions), _binary(gold)
    if not 0 <= fpr < 1:
        raise InvalidOptionError(f"fpr = {fpr} is not in [0, 1)")
    given = _threshold(predictions, gold, threshold, len(labels))
    if given is not None:
        given = np.maximum(given, threshold_at_fpr(scores, labels, fpr))
    codes, names = _strata(gold, len(labels))
    recalls = []
    for code, name in enumerate(names):
        inside = codes == code
        _both_classes(labels[inside], f'stratum "{name}": ')
        own, truth = scores[inside], labels[inside]
        limit = threshold_at_fpr(own, truth, fpr) if given is None else given[inside]
        recalls.append(float((own > limit)[truth].mean()))
    return float(np.mean(recalls))


def false_positive_rate(predictions: Any, gold: Any, *, threshold: float | None = None) -> float:
    """Share of negatives that score above the threshold: what a threshold set on dev really costs here.

    Args:
        predictions: (N,) scores or {"scores": (N,), "threshold": (N,)}.
        gold: (N,) labels or {"label": (N,), "threshold": (N,)}.
    """
    scores, labels = _scores(predictions), _binary(gold)
    given = _threshold(predictions, gold, threshold, len(labels))
    if given is None:
        raise InvalidOptionError("false_positive_rate needs a threshold: in the predictions, the gold or as an option")
    if labels.all():
        raise UndefinedMetricError("there is no negative item: no false-positive rate")
    return float((scores > given)[~labels].mean())


# ------------------------------------------------------------------------------ probabilities


def probabilities(predictions: Any) -> Floats:
    """(N,) probabilities; InvalidPredictionsError when one lies outside [0, 1]."""
    scores = _scores(predictions)
    if len(scores) and (scores.min() < 0 or scores.max() > 1):
        raise InvalidPredictionsError(
            f"probabilities must lie in [0, 1], got [{scores.min():.4g}, {scores.max():.4g}]: are these logits?"
        )
    return scores


def brier_skill(predictions: Any, gold: Any) -> float:
    """Brier skill score 1 - BS / BS_ref; the reference forecasts the base rate of these items.

    Args:
        predictions: (N,) probabilities of label 1.
        gold: (N,) labels 0/1 or {"label": (N,)}.

    Returns:
        At most 1; 0 is the base rate, below 0 is worse than it. Source: Murphy 1973; Wilks, Statistical Methods, 7.4.
    """
    scores, labels = probabilities(predictions), _binary(gold)
    _both_classes(labels)
    rate = labels.mean()
    return float(1 - np.mean((scores - labels) ** 2) / (rate * (1 - rate)))


# ------------------------------------------------------------------------------ accuracy


def key(value: Any) -> Any:
    """A hashable twin of a label: lists and arrays (spans, vectors) become tuples."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(key(one) for one in value)
    return value


def _answers(given: Any) -> list[Any]:
    return [key(one) for one in given]


def _classes(gold: Any) -> list[Any]:
    return _answers(gold["label"] if isinstance(gold, Mapping) else gold)


def right(predictions: Any, gold: Any) -> Floats:
    """(N,) 1.0 where prediction and label are equal, else 0.0. None as a prediction is an answer not given: wrong.

    Args:
        predictions: (N,) labels of any kind: numbers, strings, spans; or {"label": (N,)}.
        gold: (N,) labels or {"label": (N,)}.
    """
    answers = _answers(predictions["label"] if isinstance(predictions, Mapping) else predictions)
    pairs = zip(answers, _classes(gold), strict=True)
    return np.fromiter((a == b and a is not None for a, b in pairs), dtype=np.float64, count=len(answers))


def macro_accuracy(predictions: Any, gold: Any) -> float:
    """Mean over strata of the accuracy inside each stratum.

    Args:
        predictions: (N,) labels of any kind.
        gold: {"label": (N,), "stratum": (N,)}.
    """
    correct = right(predictions, gold)
    codes, _ = _strata(gold, len(correct))
    return float((np.bincount(codes, weights=correct) / np.bincount(codes)).mean())


# ------------------------------------------------------------------------------ several labels per item


def label_matrix(names: Sequence[Sequence[Any]], columns: Sequence[Any]) -> dict[str, NDArray[Any]]:
    """Gold of a multi-label task from the names that are true of each item.

    Args:
        names: N sequences of label names.
        columns: the K names that can be predicted.

    Returns:
        {"labels": (N, K) bool, "outside": (N,) number of true names that no column has: misses by construction}.
    """
    place = {name: i for i, name in enumerate(columns)}
    if len(place) != len(columns):
        raise MetricError("a column name stands twice")
    labels = np.zeros((len(names), len(columns)), dtype=bool)
    outside = np.zeros(len(names), dtype=np.int64)
    for row, true in enumerate(names):
        for name in set(true):
            if name in place:
                labels[row, place[name]] = True
            else:
                outside[row] += 1
    return {"labels": labels, "outside": outside}


def align(scores: Any, names: Sequence[Any], columns: Sequence[Any]) -> Floats:
    """(N, K) scores in the order of `columns` from (N, M) scores in the order of `names`.

    A column that the predictor does not know gets -inf (never offered); a name that is no column is dropped.
    """
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != len(names):
        raise InvalidPredictionsError(f"scores have shape {given.shape}, {len(names)} names were given")
    place = {name: i for i, name in enumerate(names)}
    if len(place) != len(names):
        raise InvalidPredictionsError("a name stands twice among the predictor's names")
    result = np.full((len(given), len(columns)), -np.inf)
    for column, name in enumerate(columns):
        if name in place:
            result[:, column] = given[:, place[name]]
    return result


def _matrix(predictions: Any, gold: Any) -> tuple[Floats, Labels, NDArray[np.int64]]:
    """(N, K) scores, (N, K) labels, (N,) true labels outside of the columns."""
    truth = gold["labels"] if isinstance(gold, Mapping) else gold
    labels = np.asarray(truth)
    if labels.ndim != 2 or (labels.dtype != bool and not np.isin(labels, (0, 1)).all()):
        raise MetricError("multi-label gold is an (N, K) matrix of 0 and 1 (see classification.label_matrix)")
    outside = gold.get("outside") if isinstance(gold, Mapping) else None
    extra = np.zeros(len(labels), dtype=np.int64) if outside is None else np.asarray(outside, dtype=np.int64)
    given = predictions["scores"] if isinstance(predictions, Mapping) else predictions
    try:
        scores = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidPredictionsError("scores are not an (N, K) matrix of numbers") from None
    if scores.shape != labels.shape:
        raise InvalidPredictionsError(f"scores have shape {scores.shape}, gold has {labels.shape}")
    if np.isposinf(scores).any():
        raise InvalidPredictionsError("scores hold +inf")
    return scores, labels.astype(bool), extra


def recall_at_k(predictions: Any, gold: Any, *, k: int = 5) -> Floats:
    """(N,) share of an item's true labels among its k best-scored ones, in expectation over the order of ties.

    Args:
        predictions: (N, K) scores or {"scores": (N, K)}; -inf is never offered.
        gold: (N, K) 0/1, or {"labels": (N, K), "outside": (N,)}; true labels outside of the columns are misses.
    """
    _positive(k)
    scores, labels, outside = _matrix(predictions, gold)
    total = labels.sum(axis=1) + outside
    if (total == 0).any():
        row = int(np.flatnonzero(total == 0)[0])
        raise UndefinedMetricError(f"item {row} has no true label: recall is not defined, leave such items out")
    if k >= scores.shape[1]:
        offered = (scores > -np.inf).astype(np.float64)
    else:
        cut = -np.partition(-scores, k - 1, axis=1)[:, [k - 1]]  # (N, 1) the k-th best score
        above, tied = scores > cut, scores == cut
        share = (k - above.sum(axis=1, keepdims=True)) / np.maximum(tied.sum(axis=1, keepdims=True), 1)
        offered = (above + tied * share) * (scores > -np.inf)
    result: Floats = (offered * labels).sum(axis=1) / total
    return result


def micro_f1(predictions: Any, gold: Any, *, threshold: float = 0.5) -> float:
    """F1 over all (item, label) decisions pooled: 2 TP / (predicted + true).

    Args:
        predictions: (N, K) scores or {"scores": (N, K), "threshold": (N,) (optional)}; a label is predicted when its
            score is at least the threshold (set on dev). Or {"sets": N sequences of label names}.
        gold: (N, K) 0/1 or {"labels": (N, K), "outside": (N,), "threshold": (N,)}; or {"sets": N sequences of names}.
    """
    if isinstance(gold, Mapping) and "sets" in gold:
        if not isinstance(predictions, Mapping) or "sets" not in predictions:
            raise InvalidPredictionsError('gold is given as "sets", so predictions must be {"sets": ...}')
        given, true = [[set(_answers(one)) for one in side["sets"]] for side in (predictions, gold)]
        hits = sum(len(a & b) for a, b in zip(given, true, strict=True))
        size = sum(map(len, given)) + sum(map(len, true))
    else:
        scores, labels, outside = _matrix(predictions, gold)
        limit = _threshold(predictions, gold, threshold, len(labels))
        assert limit is not None
        predicted = scores >= limit[:, None]
        hits = int((predicted & labels).sum())
        size = int(predicted.sum() + labels.sum() + outside.sum())
    if size == 0:
        raise UndefinedMetricError("nothing is true and nothing was predicted: F1 is not defined")
    return 2 * hits / size


def _positive(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InvalidOptionError(f"k = {k!r} is not a whole number of at least 1")


# ------------------------------------------------------------------------------ spread of the outputs


def standard_deviation(predictions: Any, gold: Any = None) -> float:
    """Population standard deviation of (N,) scores: 0.000 is a constant, however stable it is called."""
    return float(_scores(predictions).std())


def unique_ratio(predictions: Any, gold: Any = None) -> float:
    """Distinct predictions / predictions, in (0, 1]."""
    given = predictions["scores"] if isinstance(predictions, Mapping) else predictions
    answers = _answers(given)
    return len({repr(one) for one in answers}) / len(answers)


# ------------------------------------------------------------------------------ policies and chance


def _binary_policies(gold: Any, rng: np.random.Generator) -> Policies:
    truth = _binary(gold).astype(np.float64)
    return {
        "oracle": truth,
        "inverted": 1 - truth,
        "shuffled": truth[reshuffled(truth, rng)],
        "constant": np.full(len(truth), truth.mean()),
        "random": rng.random(len(truth)),
    }


def _policies_at_fpr(
    gold: Any, rng: np.random.Generator, *, fpr: float = 0.05, threshold: float | None = None
) -> Policies:
    """The binary policies; where a threshold comes from dev, each with its own one, as the protocol would set it."""
    found = _binary_policies(gold, rng)
    labels = _binary(gold)
    if _threshold(None, gold, threshold, len(labels)) is None or labels.all():
        return found
    limits = {name: threshold_at_fpr(scores, labels, fpr) for name, scores in found.items()}
    return {name: {"scores": scores, "threshold": np.full(len(scores), limits[name])} for name, scores in found.items()}


def _thresholded_policies(gold: Any, rng: np.random.Generator, *, threshold: float | None = None) -> Policies:
    """The binary policies moved so that 0.5 of theirs lies on the threshold, whatever its scale."""
    found = _binary_policies(gold, rng)
    limit = _threshold(None, gold, threshold, len(found["oracle"]))
    if limit is None:
        return found
    found["constant"] = limit - 0.5 if found["constant"].mean() < 0.5 else limit + 0.5
    return {name: scores if name == "constant" else scores - 0.5 + limit for name, scores in found.items()}


def _class_policies(gold: Any, rng: np.random.Generator) -> Policies:
    truth = _classes(gold)
    counts: dict[Any, int] = {}
    for one in truth:
        counts[one] = counts.get(one, 0) + 1
    known = list(counts)
    after = {one: known[(i + 1) % len(known)] if len(known) > 1 else None for i, one in enumerate(known)}
    return {
        "oracle": truth,
        "inverted": [after[one] for one in truth],
        "shuffled": [truth[i] for i in reshuffled(truth, rng)],
        "constant": [max(known, key=lambda one: counts[one])] * len(truth),
        "random": [known[i] for i in rng.integers(len(known), size=len(truth))],
    }


def _multilabel_policies(gold: Any, rng: np.random.Generator, *, threshold: float = 0.5) -> Policies:
    if isinstance(gold, Mapping) and "sets" in gold:
        return _set_policies([sorted(set(_answers(one)), key=repr) for one in gold["sets"]], rng)
    truth = np.asarray(gold["labels"] if isinstance(gold, Mapping) else gold).astype(np.float64)
    limit = _threshold(None, gold, threshold, len(truth))
    assert limit is not None
    shift = (limit - 0.5)[:, None]
    constant = np.tile(_best_constant(truth.sum(axis=0), len(truth)), (len(truth), 1))
    found = {
        "oracle": truth,
        "inverted": 1 - truth,
        "shuffled": truth[reshuffled(truth, rng)],
        "constant": constant,
        "random": rng.random(truth.shape),
    }
    return {name: scores + shift for name, scores in found.items()}


def _best_constant(counts: Floats, n: int) -> Floats:
    """(K,) one row for all items: ordered by frequency, and above 0.5 for the most frequent ones that earn F1."""
    order = np.argsort(-counts, kind="stable")
    sizes = np.arange(1, len(counts) + 1)
    f1 = 2 * np.cumsum(counts[order]) / (sizes * n + counts.sum())
    row = np.empty(len(counts))
    chosen = int(np.argmax(f1)) + 1
    row[order] = np.where(sizes <= chosen, 1.0, 0.4) - 0.3 * sizes / len(counts)
    return row


def _set_policies(truth: list[list[Any]], rng: np.random.Generator) -> Policies:
    counts: dict[Any, int] = {}
    for names in truth:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    known = sorted(counts, key=lambda name: (-counts[name], repr(name)))
    total = sum(counts.values())
    if not known:
        raise UndefinedMetricError("no item has a true label")
    found = np.cumsum([counts[name] for name in known])
    f1 = 2 * found / (np.arange(1, len(known) + 1) * len(truth) + total)
    constant = known[: int(np.argmax(f1)) + 1]
    chosen = rng.random((len(truth), len(known))) < 0.5
    sets = {
        "oracle": truth,
        "inverted": [[name for name in known if name not in set(names)] for names in truth],
        "shuffled": [truth[i] for i in reshuffled(truth, rng)],
        "constant": [constant] * len(truth),
        "random": [[known[i] for i in np.flatnonzero(row)] for row in chosen],
    }
    return {name: {"sets": value} for name, value in sets.items()}


def _random_recall_at_fpr(gold: Any, *, fpr: float = 0.05, threshold: float | None = None) -> float:
    """`fpr` for a threshold from dev; for the stratum's own n negatives (floor(fpr n) + 1) / (n + 1), exactly."""
    labels = _binary(gold)
    if _threshold(None, gold, threshold, len(labels)) is not None:
        return fpr
    codes, _ = _strata(gold, len(labels))
    negatives = np.bincount(codes, weights=~labels)
    return float(np.mean((np.floor(fpr * negatives + 1e-9) + 1) / (negatives + 1)))


def _majority(gold: Any) -> float:
    truth = _classes(gold)
    codes, names = _strata(gold, len(truth))
    return (
        max(
            float((np.bincount(codes, weights=[a == b for a in truth]) / np.bincount(codes)).mean())
            for b in _most_common(truth)
        )
        if names
        else math.nan
    )


def _most_common(truth: Sequence[Any]) -> list[Any]:
    """The labels that can be the strongest constant: the 50 most frequent ones."""
    counts: dict[Any, int] = {}
    for one in truth:
        counts[one] = counts.get(one, 0) + 1
    return sorted(counts, key=lambda one: -counts[one])[:50]


def _random_recall(gold: Any, *, k: int = 5) -> float:
    labels = np.asarray(gold["labels"] if isinstance(gold, Mapping) else gold)
    outside = np.asarray(gold["outside"]) if isinstance(gold, Mapping) and "outside" in gold else 0
    inside = labels.sum(axis=1)
    return float(np.mean(min(k / labels.shape[1], 1.0) * inside / (inside + outside)))


register(
    Metric(
        name="classification.auroc",
        direction="higher",
        range=(0.0, 1.0),
        source="Hanley & McNeil 1982, eq. 1 (Mann-Whitney U over mid-ranks)",
        formula=auroc,
        chance_form=0.5,
        policy_form=_binary_policies,
        reference="sklearn.metrics.roc_auc_score",
    )
)
register(
    Metric(
        name="classification.macro_auroc",
        direction="higher",
        range=(0.0, 1.0),
        source="mean over strata of Hanley & McNeil 1982, eq. 1",
        formula=macro_auroc,
        chance_form=0.5,
        policy_form=_binary_policies,
        reference="sklearn.metrics.roc_auc_score per stratum",
    )
)
register(
    Metric(
        name="classification.macro_recall_at_fpr",
        direction="higher",
        range=(0.0, 1.0),
        source="a point of the ROC curve (Fawcett 2006), mean over strata",
        formula=macro_recall_at_fpr,
        chance_form=_random_recall_at_fpr,
        policy_form=_policies_at_fpr,
        reference="sklearn.metrics.roc_curve",
    )
)
register(
    Metric(
        name="classification.false_positive_rate",
        direction="lower",
        range=(0.0, 1.0),
        source="Fawcett 2006, fig. 1",
        formula=false_positive_rate,
        policy_form=_thresholded_policies,
        supporting=True,
        reference="sklearn.metrics.confusion_matrix",
    )
)
register(
    Metric(
        name="classification.brier_skill",
        direction="higher",
        range=(-math.inf, 1.0),
        source="Murphy 1973; reference forecast = base rate of the items",
        formula=brier_skill,
        chance_form=0.0,
        policy_form=_binary_policies,
        reference="sklearn.metrics.brier_score_loss",
    )
)
register(
    Metric(
        name="classification.accuracy",
        direction="higher",
        range=(0.0, 1.0),
        source="share of equal labels; chance = the majority class",
        per_item=right,
        chance_form=lambda gold: _majority(_classes(gold)),
        policy_form=_class_policies,
        reference="sklearn.metrics.accuracy_score",
    )
)
register(
    Metric(
        name="classification.macro_accuracy",
        direction="higher",
        range=(0.0, 1.0),
        source="mean over strata of accuracy; chance = the best constant label",
        formula=macro_accuracy,
        chance_form=_majority,
        policy_form=_class_policies,
        reference="sklearn.metrics.accuracy_score per stratum",
    )
)
register(
    Metric(
        name="classification.recall_at_k",
        direction="higher",
        range=(0.0, 1.0),
        source="Manning et al., Introduction to Information Retrieval, 8.4; expectation over ties",
        per_item=recall_at_k,
        chance_form=_random_recall,
        policy_form=_multilabel_policies,
        reference="brute force over all orders of ties",
    )
)
register(
    Metric(
        name="classification.micro_f1",
        direction="higher",
        range=(0.0, 1.0),
        source="van Rijsbergen 1979, pooled over decisions",
        formula=micro_f1,
        policy_form=_multilabel_policies,
        reference="sklearn.metrics.f1_score(average='micro')",
    )
)
register(
    Metric(
        name="classification.standard_deviation",
        direction="higher",
        range=(0.0, math.inf),
        source="population standard deviation of the scores",
        formula=standard_deviation,
        consumes="outputs",
        supporting=True,
        reference="statistics.pstdev",
    )
)
register(
    Metric(
        name="classification.unique_ratio",
        direction="higher",
        range=(0.0, 1.0),
        source="distinct predictions / predictions",
        formula=unique_ratio,
        consumes="outputs",
        counted=True,
        supporting=True,
        reference="len(set(...)) / len(...)",
    )
)
