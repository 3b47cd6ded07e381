"""Generated replies: worked examples, and other libraries' numbers."""

from __future__ import annotations

import math
from typing import Any

import nltk.translate.bleu_score as nltk_bleu
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import metrics
from assay.errors import MetricError

WORDS = st.lists(st.sampled_from(["i", "like", "red", "tea", "not", "you"]), min_size=1, max_size=9)
LONG = st.lists(st.sampled_from(["i", "like", "red", "tea", "not", "you"]), min_size=4, max_size=9)


def compute(name: str, predictions: Any, gold: Any = None, **options: Any) -> float:
    return metrics.get(name).compute(predictions, gold, **options)


@pytest.mark.parametrize(
    ("reply", "share"),
    [
        ("i am a baker. i have a dog.", 1.0),
        ("A BAKER!", 0.5),
        ("i have a cat", 0.0),
        ("", 0.0),
        ("bakers", 0.0),
    ],
)
def test_keyword_overlap_by_hand(reply: str, share: float) -> None:
    """Content words are baker and dog."""
    assert compute("generation.keyword_overlap", [reply], [["I am a baker.", "I have a dog."]]) == share


def test_reciting_wins_the_keyword_score_and_never_the_copy_ratio() -> None:
    persona = ["i work as a baker.", "i live in a house in rome."]
    recited, reference = " ".join(persona), "i live in rome, in a house in rome."
    assert compute("generation.keyword_overlap", [recited], [persona]) == 1.0
    gold = {"given": [recited], "reference": [reference]}
    # 10 of 10 four-grams against "in a house in", "a house in rome" of 6
    assert compute("generation.copy_ratio", [recited], gold) == pytest.approx(1.0 / (2 / 6))
    assert compute("generation.copy_ratio", [reference], gold) == 1.0
    assert compute("generation.copy_ratio", ["short"], gold) == 0.0


def test_references_that_copy_nothing_have_no_rate() -> None:
    with pytest.raises(metrics.UndefinedMetricError, match="copy nothing"):
        compute("generation.copy_ratio", ["a b c d"], {"given": ["a b c d"], "reference": ["e"]})


@given(st.integers(1, 10**6), st.integers(1, 5))
def test_a_uniform_model_has_ln_of_its_vocabulary(vocabulary: int, n: int) -> None:
    value = compute("generation.cross_entropy", [math.log(1 / vocabulary)] * n)
    assert math.exp(value) == pytest.approx(vocabulary)


@pytest.mark.parametrize("wrong", [[0.1], [float("nan")], [-math.inf], ["x"]])
def test_what_is_no_log_likelihood_is_refused(wrong: list[Any]) -> None:
    with pytest.raises(MetricError):
        compute("generation.cross_entropy", wrong)


@given(st.lists(st.tuples(LONG, LONG), min_size=1, max_size=6))
def test_bleu_is_that_of_nltk(pairs: list[tuple[list[str], list[str]]]) -> None:
    """One pair that matches in all orders makes it defined without smoothing; nltk counts a 4-gram in shorter texts."""
    pairs = [*pairs, (["i", "like", "red", "tea"], ["i", "like", "red", "tea"])]
    replies, truths = [" ".join(one) for one, _ in pairs], [" ".join(two) for _, two in pairs]
    theirs = nltk_bleu.corpus_bleu([[two] for _, two in pairs], [one for one, _ in pairs])
    assert compute("generation.bleu", replies, truths) == pytest.approx(theirs)


@given(WORDS, WORDS)
def test_rouge_l_is_the_longest_common_subsequence(reply: list[str], truth: list[str]) -> None:
    table = np.zeros((len(reply) + 1, len(truth) + 1), dtype=int)
    for i, one in enumerate(reply):
        for j, two in enumerate(truth):
            table[i + 1, j + 1] = table[i, j] + 1 if one == two else max(table[i, j + 1], table[i + 1, j])
    common = int(table[-1, -1])
    f1 = 2 * common / (len(reply) + len(truth))
    assert compute("generation.rouge_l", [" ".join(reply)], [" ".join(truth)]) == pytest.approx(f1)


def test_distinct_by_hand() -> None:
    replies = ["i like tea", "i like red tea"]
    assert compute("generation.distinct", replies) == pytest.approx(4 / 7)
    assert compute("generation.distinct", replies, n=2) == pytest.approx(4 / 5)
    with pytest.raises(metrics.UndefinedMetricError):
        compute("generation.distinct", ["a"], n=2)


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("", 0.0),
        ("tea", (0 + 0.1 + 1 + 1) / 4),
        ("what tea do you like?", (1 + 0.5 + 1 + 0.2) / 4),
        ("no no", (0 + 0.2 + 0.5 + 1) / 4),
    ],
)
def test_engagement_by_hand(reply: str, score: float) -> None:
    assert compute("generation.engagement", [reply], ["what do you like, and when?"]) == pytest.approx(score)
