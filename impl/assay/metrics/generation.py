"""Generated replies: agreement with a reference, what is copied, how varied they are, how well they are predicted.

By the field's libraries where they have it. Most of these can be gamed, and none of them gates alone.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from assay.metrics.metric import (
    Floats,
    InvalidPredictionsError,
    Metric,
    Policies,
    UndefinedMetricError,
    real,
    reshuffled,
)
from assay.metrics.registry import register

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a about am an and any are as at be been but can do for from go have i i'm if in is it it's like love me my of"
        " on or really so that the there they this to was we what when with you your"
    )
)


def _words(text: Any) -> list[str]:
    if not isinstance(text, str):
        raise InvalidPredictionsError(f"a reply is {type(text).__name__}, not text")
    return _WORD.findall(text.lower())


def _grams(text: Any, n: int) -> Iterator[tuple[str, ...]]:
    found = _words(text)
    return (tuple(found[i : i + n]) for i in range(len(found) - n + 1))


def keyword_overlap(predictions: Sequence[str], gold: Sequence[Sequence[str]]) -> Floats:
    """(N,) share of the content words of the sentences that stand in the reply: reciting them earns 1.

    Args:
        predictions: N replies.
        gold: N lists of sentences (a persona); one without content words earns 0.
    """
    result = np.zeros(len(predictions))
    for i, (reply, sentences) in enumerate(zip(predictions, gold, strict=True)):
        keys = {word for sentence in sentences for word in _words(sentence)} - _FUNCTION_WORDS
        result[i] = len(keys & set(_words(reply))) / len(keys) if keys else 0.0
    return result


def copy_ratio(predictions: Sequence[str], gold: Mapping[str, Sequence[str]], *, n: int = 4) -> float:
    """Share of the replies' word n-grams that stand in what they were given, over the same share of the references.

    Args:
        predictions: N replies.
        gold: {"given": N texts, "reference": N replies}.
        n: words in a gram.
    """
    own, reference = (_copied(replies, gold["given"], n) for replies in (predictions, gold["reference"]))
    if reference == 0:
        raise UndefinedMetricError("the references copy nothing: there is no rate to compare with")
    return own / reference


def _copied(replies: Sequence[str], given: Sequence[str], n: int) -> float:
    taken = made = 0
    for reply, text in zip(replies, given, strict=True):
        source = set(_grams(text, n))
        for gram in _grams(reply, n):
            made += 1
            taken += gram in source
    return taken / made if made else 0.0


def cross_entropy(predictions: Any, gold: Any = None) -> Floats:
    """(N,) nats per token, from N length-normalised log-likelihoods. exp of the mean is the perplexity: a uniform
    model over V tokens has ln V."""
    values = real(predictions, "log-likelihoods")
    if values.ndim != 1 or (values > 0).any():
        raise InvalidPredictionsError("log-likelihoods are (N,) numbers not above 0")
    return -values


def bleu(predictions: Sequence[str], gold: Sequence[str]) -> float:
    """Corpus BLEU of N replies against one reference each, in [0, 1]. Source: Papineni et al. 2002, by sacrebleu."""
    from sacrebleu.metrics import BLEU

    return float(BLEU().corpus_score([str(one) for one in predictions], [list(gold)]).score) / 100


def rouge_l(predictions: Sequence[str], gold: Sequence[str]) -> Floats:
    """(N,) ROUGE-L F1 of reply and reference. Source: Lin 2004, section 3, by rouge-score, without stemming."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    pairs = zip(gold, predictions, strict=True)
    return np.array([scorer.score(truth, str(reply))["rougeL"].fmeasure for truth, reply in pairs])


def distinct(predictions: Sequence[str], gold: Any = None, *, n: int = 1) -> float:
    """Different word n-grams over all word n-grams of the replies. Source: Li et al. 2016, section 5.3 (distinct-n)."""
    count = Counter(gram for reply in predictions for gram in _grams(reply, n))
    if not count:
        raise UndefinedMetricError(f"no reply has {n} words")
    return len(count) / count.total()


def _policies(gold: Any, rng: np.random.Generator) -> Policies:
    reference = [str(one) for one in gold]
    vocabulary = sorted({word for one in reference for word in one.split()}) or [""]
    return {
        "oracle": reference,
        "inverted": ["\x00"] * len(reference),
        "shuffled": [reference[i] for i in reshuffled(reference, rng)],
        "constant": [max(sorted(set(reference)), key=reference.count)] * len(reference),
        "random": [" ".join(rng.choice(vocabulary, size=max(1, len(one.split())))) for one in reference],
    }


def engagement(predictions: Sequence[str], gold: Sequence[str]) -> Floats:
    """(N,) mean of four parts in [0, 1]: a question is asked back; length (10 words earn 1); different words over all
    words; words that the last turn does not have. A reply without words earns 0.

    Args:
        predictions: N replies.
        gold: N last turns of the partner.
    """
    result = np.zeros(len(predictions))
    for i, (reply, turn) in enumerate(zip(predictions, gold, strict=True)):
        found, heard = _words(reply), set(_words(turn))
        if found:
            new = sum(word not in heard for word in found) / len(found)
            parts = ("?" in reply, min(1.0, len(found) / 10), len(set(found)) / len(found), new)
            result[i] = sum(parts) / len(parts)
    return result


for _metric in (
    Metric(
        name="generation.keyword_overlap",
        direction="none",
        range=(0.0, 1.0),
        source="content words of the persona that stand in the reply; gamed by reciting it",
        per_item=keyword_overlap,
        consumes="outputs",
        reference="hand computation",
    ),
    Metric(
        name="generation.copy_ratio",
        direction="lower",
        range=(0.0, math.inf),
        source="copied n-grams / n-grams, over the same of the references",
        formula=copy_ratio,
        consumes="outputs",
        reference="hand computation",
    ),
    Metric(
        name="generation.cross_entropy",
        direction="lower",
        range=(0.0, math.inf),
        source="nats per token; exp of it is the perplexity",
        per_item=cross_entropy,
        consumes="outputs",
        reference="closed form: ln V of a uniform model",
    ),
    Metric(
        name="generation.bleu",
        direction="higher",
        range=(0.0, 1.0),
        source="Papineni et al. 2002, by sacrebleu",
        formula=bleu,
        policy_form=_policies,
        reference="nltk.translate.bleu_score.corpus_bleu",
    ),
    Metric(
        name="generation.rouge_l",
        direction="higher",
        range=(0.0, 1.0),
        source="Lin 2004, section 3, by rouge-score",
        per_item=rouge_l,
        policy_form=_policies,
        reference="brute force over common subsequences",
    ),
    Metric(
        name="generation.engagement",
        direction="none",
        range=(0.0, 1.0),
        source="mean of: asks back, length, variety, words of its own; a heuristic",
        per_item=engagement,
        consumes="outputs",
        reference="hand computation",
    ),
    Metric(
        name="generation.distinct",
        direction="none",
        range=(0.0, 1.0),
        source="Li et al. 2016, section 5.3",
        formula=distinct,
        consumes="outputs",
        reference="hand computation",
    ),
):
    register(_metric)
