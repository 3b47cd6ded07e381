"""The baseline of every row about defects and tests: logistic regression on token 1- to 3-grams."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from acceptance import jsonl


def build_defect_scores(out: Path, learnt: str, pairs: str, programs: Mapping[str, str]) -> None:
    """scores.json of what was learnt from the pairs `learnt`.

    "dev" and "test" hold the probability of a defect in the other pairs, original and mutant in turn; each name of
    `programs` the probability that the programs of that file have none.
    """
    train = jsonl.read(Path(learnt) / "train.jsonl")
    asked = {side: _versions(jsonl.read(Path(pairs) / f"{side}.jsonl")) for side in ("dev", "test")}
    asked |= {name: [row["source"] for row in jsonl.read(Path(file))] for name, file in programs.items()}
    found = probabilities(_versions(train), [0, 1] * len(train), asked, alpha=1e-6, epochs=10)
    found |= {name: [1 - probability for probability in found[name]] for name in programs}
    (out / "scores.json").write_text(json.dumps(found))


def build_passing_scores(out: Path, learnt: str, programs: Mapping[str, str]) -> None:
    """scores.json: for each name of `programs` the probability that those of the file pass, learnt from `learnt`."""
    train = jsonl.read(Path(learnt))
    asked = {name: [row["source"] for row in jsonl.read(Path(file))] for name, file in programs.items()}
    labels = [int(row["passed"]) for row in train]
    found = probabilities([row["source"] for row in train], labels, asked, alpha=1e-5, epochs=20)
    (out / "scores.json").write_text(json.dumps(found))


def probabilities(
    texts: Sequence[str], labels: Sequence[int], asked: Mapping[str, Sequence[str]], alpha: float, epochs: int
) -> dict[str, list[float]]:
    """Probability of label 1 for all texts that are `asked` about, by their names."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    vectorizer = HashingVectorizer(
        token_pattern=r"\w+|[^\w\s]+", ngram_range=(1, 3), n_features=2**18, binary=True, lowercase=False
    )
    model = SGDClassifier(loss="log_loss", alpha=alpha, max_iter=epochs, tol=None, random_state=0, average=True)
    model.fit(vectorizer.transform(texts), labels)
    return {name: model.predict_proba(vectorizer.transform(more))[:, 1].tolist() for name, more in asked.items()}


def _versions(pairs: Sequence[Mapping[str, str]]) -> list[str]:
    return [pair[kind] for pair in pairs for kind in ("original", "mutant")]
