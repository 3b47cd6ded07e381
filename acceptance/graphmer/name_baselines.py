"""Disambiguation by counting and by places: popularity, the longest common prefix, both, and a logistic regression.

The judge's own: nothing here is shared with the system under judgement. Popularity is counted on training files,
without those of a mention's own distribution.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acceptance import jsonl

WEIGHTS = (0.05, 0.1, 0.3, 1.0, 3.0)
_NAME = re.compile(r"[A-Za-z_]\w*")
Features = NDArray[np.float64]


class Counts:
    """How often training files mention each entity, by distribution."""

    def __init__(self, mentions: Sequence[Mapping[str, Any]]) -> None:
        self.all: Counter[str] = Counter()
        self.own: dict[str, Counter[str]] = defaultdict(Counter)
        for row in mentions:
            self.all[row["gold"]] += 1
            self.own[row["group"]][row["gold"]] += 1

    def of(self, name: str, group: str) -> int:
        return self.all[name] - self.own[group][name]


def module_of(file: str) -> str:
    return file.partition("/")[2].removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def prefix(first: str, second: str) -> int:
    """Leading components that two qualified names share."""
    count = 0
    for a, b in zip(first.split("."), second.replace(":", ".").split("."), strict=False):
        if a != b:
            break
        count += 1
    return count


def features(row: Mapping[str, Any], counts: Counts, names: frozenset[str]) -> Features:
    """(C, 6): popularity, prefix, same module, builtin, owner's name in the file, components."""
    module = module_of(row["file"])
    table = []
    for candidate in row["candidates"]:
        split = candidate.replace(":", ".").split(".")
        table.append(
            [
                np.log1p(counts.of(candidate, row["group"])),
                prefix(module, candidate),
                float(candidate.startswith((module + ".", module + ":"))),
                float(split[0] == "builtins"),
                float(len(split) > 1 and split[-2] in names),
                len(split),
            ]
        )
    return np.array(table, dtype=np.float64)


def chosen(row: Mapping[str, Any], scores: NDArray[Any]) -> str:
    """The candidate with the highest score; the first of equal ones by name."""
    name: str = row["candidates"][int(np.argmax(scores))]
    return name


def build_name_baselines(out: Path, names: str) -> None:
    """answers.json: policy -> the candidate it takes for each test mention."""
    folder = Path(names)
    rows = {side: jsonl.read(folder / f"{side}.jsonl") for side in ("train", "dev", "test")}
    texts = {row["file"]: frozenset(_NAME.findall(row["text"])) for row in jsonl.read(folder / "files.jsonl")}
    counts = Counts(rows["train"])
    tables = {
        side: [features(row, counts, texts[row["file"]]) for row in found] for side, found in rows.items()
    }  # fmt: skip

    def accuracy(weights: Sequence[float]) -> float:
        vector = np.array(weights)
        right = [
            chosen(row, table @ vector) == row["gold"] for row, table in zip(rows["dev"], tables["dev"], strict=True)
        ]
        return float(np.mean(right))

    weight = max(WEIGHTS, key=lambda one: accuracy([one, 1.0, 0, 0, 0, 0]))
    policies = {
        "popularity": [1.0, 0, 0, 0, 0, 0],
        "longest-prefix": [0, 1.0, 0, 0, 0, 0],
        "prefix-popularity": [weight, 1.0, 0, 0, 0, 0],
        "logistic-regression": _regression(rows["train"], tables["train"], accuracy),
    }
    answers = {
        name: [chosen(row, table @ np.array(w)) for row, table in zip(rows["test"], tables["test"], strict=True)]
        for name, w in policies.items()
    }
    (out / "answers.json").write_text(json.dumps(answers))
    (out / "tuned.json").write_text(json.dumps({name: list(map(float, w)) for name, w in policies.items()}))


def _regression(rows: Sequence[Mapping[str, Any]], tables: Sequence[Features], accuracy: Any) -> list[float]:
    """Weights of a logistic regression on all features of all candidates, its penalty tuned on dev."""
    from sklearn.linear_model import LogisticRegression

    labels = np.concatenate([[one == row["gold"] for one in row["candidates"]] for row in rows])
    table = np.concatenate(tables)
    fitted = [
        LogisticRegression(C=c, max_iter=1000).fit(table, labels).coef_[0].tolist() for c in (0.01, 1.0, 100.0)
    ]  # fmt: skip
    return max(fitted, key=accuracy)
