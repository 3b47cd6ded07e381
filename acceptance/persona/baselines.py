"""Cheap scorers beside the subject: TF-IDF for who says what, and what a reward can be guessed from without a persona.

They are fitted on training files only.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.metrics.generation import keyword_overlap

Rows = Sequence[Mapping[str, Any]]
TOKEN = r"[\w']+"


def tfidf(rows: Rows, corpus: Sequence[str], characters: bool = False) -> np.ndarray:
    """(N, C) cosine of each row's response with each of its personas, over words or over character 3- to 5-grams.

    Weights come from `corpus` and from the personas to choose from: without those, their own words would be unknown.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    units = {"analyzer": "char_wb", "ngram_range": (3, 5)} if characters else {"token_pattern": TOKEN}
    personas = [[" ".join(persona) for persona in row["personas"]] for row in rows]
    vectors = TfidfVectorizer(sublinear_tf=True, **units)
    vectors.fit([*corpus, *sorted({persona for each in personas for persona in each})])
    return np.array(
        [
            (vectors.transform(each) @ vectors.transform([row["response"]]).T).toarray()[:, 0]
            for each, row in zip(personas, rows, strict=True)
        ]
    )


def coin(rows: Rows, seed: int = 0) -> np.ndarray:
    """(N, C) scores of a scorer to which all personas are one: ties, broken by chance."""
    return np.random.default_rng(seed).random((len(rows), len(rows[0]["personas"])))


def lengths(rows: Rows) -> list[float]:
    """Words of the first response more than of the second."""
    return [float(len(row["first"].split()) - len(row["second"].split())) for row in rows]


def keywords(rows: Rows) -> list[float]:
    """Words of the persona in the first response, less those in the second."""
    personas = [row["persona"] for row in rows]
    first, second = (keyword_overlap([row[name] for row in rows], personas) for name in ("first", "second"))
    return (first - second).tolist()


def blind_logreg(train: Rows, rows: Rows) -> list[float]:
    """Logistic regression on words and word pairs of the last turn and the response: all but the persona."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    vectors = HashingVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), n_features=2**16, binary=True)

    def told(row: Mapping[str, Any], response: str) -> str:
        return f"{row['dialogue'][-1]} | {response}"

    texts = [told(row, row[name]) for row in train for name in ("chosen", "rejected")]
    model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=10, tol=None, random_state=0)
    model.fit(vectors.transform(texts), [label for _ in train for label in (1, 0)])
    first, second = (
        model.decision_function(vectors.transform([told(row, row[name]) for row in rows]))
        for name in ("first", "second")
    )
    return (first - second).tolist()


def preferred(differences: Sequence[float], seed: int = 0) -> list[str]:
    """Which of two responses is the better one; a tie is broken by a coin."""
    draw = random.Random(seed)
    sides = ("second", "first")
    return [sides[difference > 0] if difference else draw.choice(sides) for difference in differences]
