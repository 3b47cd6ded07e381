"""Dependency inference without learning to: popularity, names that are modules, a lookup, one linear model a module.

The judge's own: nothing here is shared with the system under judgement. What can be tuned is tuned on dev.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acceptance import jsonl

SEEN = 5
"""Training files that must import a module for it to be in the vocabulary; the rest is out of it, and missed."""

_NAME = re.compile(r"[A-Za-z_]\w*")
Scores = NDArray[np.float64]


def vocabulary(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Modules that may be predicted, the most frequent first."""
    counts = Counter(module for row in rows for module in row["modules"])
    return [name for name, count in counts.most_common() if count >= SEEN]


class Lookup:
    """P(module | identifier), counted over training files."""

    def __init__(self, train: Sequence[Mapping[str, Any]], known: Sequence[str]) -> None:
        self.known = known
        place = {name: i for i, name in enumerate(known)}
        self._alone: Counter[str] = Counter()
        self._with: dict[str, Counter[int]] = defaultdict(Counter)
        for row in train:
            names = set(_NAME.findall(row["text"]))
            self._alone.update(names)
            columns = [place[module] for module in row["modules"] if module in place]
            for name in names:
                self._with[name].update(columns)

    def scores(self, rows: Sequence[Mapping[str, Any]], support: int, prior: float) -> Scores:
        """(N, M) the highest share over the identifiers of a file that `support` training files have."""
        scores = np.zeros((len(rows), len(self.known)))
        for line, row in zip(scores, rows, strict=True):
            for name in set(_NAME.findall(row["text"])):
                if self._alone[name] >= support:
                    for column, count in self._with[name].items():
                        line[column] = max(line[column], count / (self._alone[name] + prior))
        return scores


def linear(
    train: Sequence[Mapping[str, Any]],
    others: Sequence[Sequence[Mapping[str, Any]]],
    known: Sequence[str],
    weight: float,
) -> list[Scores]:
    """(N, M) margins of one linear support vector machine a module, on TF-IDF of identifiers."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    analyse = TfidfVectorizer(token_pattern=r"[A-Za-z_]\w*", lowercase=False, min_df=3, sublinear_tf=True)
    table = analyse.fit_transform([row["text"] for row in train])
    tables = [analyse.transform([row["text"] for row in rows]) for rows in others]
    found = [np.zeros((len(rows), len(known))) for rows in others]
    for column, module in enumerate(known):
        labels = np.array([module in row["modules"] for row in train])
        model = LinearSVC(C=weight).fit(table, labels)
        for scores, each in zip(found, tables, strict=True):
            scores[:, column] = model.decision_function(each)
    return found


def truth(rows: Sequence[Mapping[str, Any]], universe: Sequence[str]) -> NDArray[np.int64]:
    """(N, K) what each file imports."""
    place = {name: i for i, name in enumerate(universe)}
    table = np.zeros((len(rows), len(universe)), dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        line[[place[name] for name in row["modules"]]] = 1
    return table


def best_cut(scores: Scores, gold: NDArray[np.int64], missed: int = 0) -> tuple[float, float]:
    """(cut, F1): the cut with the best micro-F1 on these items, `missed` labels being out of reach."""
    order = np.argsort(-scores, axis=None, kind="stable")
    hits = np.cumsum(gold.ravel()[order])
    ranked = scores.ravel()[order]
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + gold.sum() + missed)
    last = np.append(ranked[1:] < ranked[:-1], True)
    best = int(np.argmax(np.where(last, f1, 0)))
    return float(ranked[best]), float(f1[best])


def build_dependency_baselines(out: Path, dependencies: str) -> None:
    """sets.json: policy -> modules of each test file. vocabulary.json."""
    folder = Path(dependencies)
    train, dev, test = (jsonl.read(folder / f"{side}.jsonl") for side in ("train", "dev", "test"))
    known = vocabulary(train)
    inside = [{**row, "modules": [name for name in row["modules"] if name in set(known)]} for row in dev]
    gold = truth(inside, known)
    missed = sum(len(row["modules"]) for row in dev) - int(gold.sum())
    popular = np.linspace(1.0, 0.0, len(known))
    table = Lookup(train, known)
    shares = {
        options: table.scores(dev, *options)
        for options in itertools.product((2, 3, 5, 10), (0.0, 1.0, 3.0))
    }  # fmt: skip
    options = max(shares, key=lambda one: best_cut(shares[one], gold, missed)[1])
    models = {weight: linear(train, [dev, test], known, weight) for weight in (0.3, 3.0)}
    weight = max(models, key=lambda one: best_cut(models[one][0], gold, missed)[1])
    scored = {
        "popularity": (np.tile(popular, (len(dev), 1)), np.tile(popular, (len(test), 1))),
        "name-is-module": (_named(dev, known), _named(test, known)),
        "lookup": (shares[options], table.scores(test, *options)),
        "one-vs-rest": (models[weight][0], models[weight][1]),
    }
    sets = {}
    for name, (tuned, scores) in scored.items():
        cut, _ = best_cut(tuned, gold, missed)
        sets[name] = [[known[i] for i in np.flatnonzero(row >= cut)] for row in scores]
    (out / "sets.json").write_text(json.dumps(sets))
    (out / "vocabulary.json").write_text(json.dumps(known))
    (out / "tuned.json").write_text(json.dumps({"lookup": options, "one-vs-rest": weight}))


def _named(rows: Sequence[Mapping[str, Any]], known: Sequence[str]) -> Scores:
    """1 where an identifier of the file is the module's name."""
    names = [set(_NAME.findall(row["text"])) for row in rows]
    return np.array([[float(name in each) for name in known] for each in names])
