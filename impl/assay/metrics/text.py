"""Answers as text against one or several reference answers: exact match and token F1 (SQuAD).

Normalisation is part of the definition and stated; an empty answer earns nothing unless emptiness is the truth.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.metrics.metric import Floats, InvalidPredictionsError, Metric, Policies, reshuffled
from assay.metrics.registry import register

FORMATS = """Formats of predictions and gold (N items)

predictions        gold
N texts            N texts, or N sequences of acceptable texts
"""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Lower case, without punctuation and English articles, single spaces. Source: SQuAD 1.1 evaluation."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(predictions: Any, gold: Any, *, normalise: bool = True) -> Floats:
    """(N,) F1 of the bags of tokens of answer and reference; the best over references.

    Args:
        predictions: N strings.
        gold: N strings, or N sequences of acceptable strings.
        normalise: whether both sides go through `normalised`. Source: Rajpurkar et al. 2016, section 6.1.
    """
    return _best(_f1, predictions, gold, normalise)


def exact_match(predictions: Any, gold: Any, *, normalise: bool = True) -> Floats:
    """(N,) 1.0 where the answer equals a reference, else 0.0. Formats: see `FORMATS`."""
    return _best(lambda a, b: float(a == b), predictions, gold, normalise)


def _best(
    agree: Callable[[str, str], float], predictions: Sequence[Any], gold: Sequence[Any], normalise: bool
) -> Floats:
    wanted: Callable[[str], str] = normalised if normalise else str
    result = np.zeros(len(predictions))
    for i, (answer, truth) in enumerate(zip(predictions, gold, strict=True)):
        if not isinstance(answer, str):
            raise InvalidPredictionsError(f"item {i}: the answer is {type(answer).__name__}, not text")
        references = [truth] if isinstance(truth, str) else list(truth)
        result[i] = max((agree(wanted(answer), wanted(str(one))) for one in references), default=0.0)
    return result


def _f1(answer: str, truth: str) -> float:
    a, b = answer.split(), truth.split()
    if not a or not b:
        return float(a == b)
    shared = sum((Counter(a) & Counter(b)).values())
    return 2 * shared / (len(a) + len(b))


def _policies(gold: Any, rng: np.random.Generator) -> Policies:
    truth = [one if isinstance(one, str) else (list(one) or [""])[0] for one in gold]
    known = sorted(set(truth))
    tokens = sorted({token for one in truth for token in one.split()}) or [""]
    random = [" ".join(rng.choice(tokens, size=max(1, len(one.split())))) for one in truth]
    return {
        "oracle": truth,
        "inverted": ["\x00"] * len(truth),
        "shuffled": [truth[i] for i in reshuffled(truth, rng)],
        "constant": [max(known, key=truth.count)] * len(truth),
        "random": random,
    }


register(
    Metric(
        name="text.token_f1",
        direction="higher",
        range=(0.0, 1.0),
        source="Rajpurkar et al. 2016, section 6.1",
        per_item=token_f1,
        policy_form=_policies,
        reference="hand computation",
    )
)
register(
    Metric(
        name="text.exact_match",
        direction="higher",
        range=(0.0, 1.0),
        source="Rajpurkar et al. 2016, section 6.1",
        per_item=exact_match,
        policy_form=_policies,
        reference="hand computation",
    )
)
