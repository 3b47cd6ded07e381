"""Does it know what a short name means in a file whose imports are hidden?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from assay.subject import Dataset, Predictions, Subject

ASKED = ("file", "head", "name", "line", "code", "candidates")


@pytest.fixture(scope="session")
def mentions(names: Dataset) -> list[dict[str, Any]]:
    return names.rows("test.jsonl")


@pytest.fixture(scope="session")
def cheap(compared: dict[str, Callable[[], Dataset]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(compared["names"]().path("answers.json").read_text())
    return found


@pytest.mark.requirement("graphmer/disambiguation.top1")
def test_says_what_short_names_mean(judge, graphmer: Subject, names, names_read, mentions, cheap):
    items = [{key: row[key] for key in ASKED} for row in mentions]
    place = str(names_read.folder)
    answers = graphmer.predictions("resolve", items, names=place)
    zeroed = graphmer.predictions("resolve", items, names=place, encoder=False)
    groups = [row["group"] for row in mentions]
    judge(
        answers,
        gold=[row["gold"] for row in mentions],
        groups=groups,
        clusters=[row["file"] for row in mentions],
        baselines={**cheap, "encoder-zeroed": zeroed.values},
        slices={"kind": [row["kind"] for row in mentions], "distribution": groups},
        datasets=[names, names_read],
        details={"samples": samples(mentions, answers.values, names)},
    )


@pytest.mark.requirement("graphmer/scaling.names")
def test_names_after_more_training(judge, scaling, names, names_read, mentions):
    items = [{key: row[key] for key in ASKED} for row in mentions]

    def ask(variant: Subject) -> Predictions:
        return variant.predictions("resolve", items, names=str(names_read.folder))

    judge.seeds(
        scaling.longer, ask, gold=[row["gold"] for row in mentions], groups=[row["group"] for row in mentions],
        baselines=scaling.beside(ask), datasets=[names, names_read], details=scaling.cost,
    )  # fmt: skip


def samples(mentions: Sequence[dict[str, Any]], answers: Sequence[str], names: Dataset) -> list[dict[str, object]]:
    """Twenty mentions with gold and answer, for a person to read."""
    texts = {row["file"]: row["text"].split("\n") for row in names.rows("files.jsonl")}
    return [
        {
            "line": texts[row["file"]][row["line"] - 1].strip(),
            "name": row["name"],
            "gold": row["gold"],
            "answer": answer,
            "candidates": len(row["candidates"]),
        }
        for row, answer in list(zip(mentions, answers, strict=True))[:20]
    ]
