"""Does it know what a module imports when its import statements are gone, in distributions that it never saw?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from acceptance.graphmer import dependency_baselines as baselines
from acceptance.stated import diagram
from assay.subject import Dataset, Predictions, Subject


@pytest.fixture(scope="session")
def modules(dependencies: Dataset) -> dict[str, list[dict[str, Any]]]:
    return {side: dependencies.rows(f"{side}.jsonl") for side in ("dev", "test")}


@pytest.fixture(scope="session")
def cheap(compared: dict[str, Callable[[], Dataset]]) -> Dataset:
    return compared["dependencies"]()


def sets(answers: Sequence[Sequence[tuple[str, float]]], cut: float) -> dict[str, list[list[str]]]:
    """The modules at or above the cut."""
    return {"sets": [[name for name, score in answer if score >= cut] for answer in answers]}


def tuned(answers: Sequence[Sequence[tuple[str, float]]], rows: Sequence[dict[str, Any]]) -> float:
    """The cut with the best micro-F1 on dev."""
    universe = sorted({name for answer in answers for name, _ in answer} | {m for row in rows for m in row["modules"]})
    place = {name: i for i, name in enumerate(universe)}
    scores = np.zeros((len(rows), len(universe)))
    for line, answer in zip(scores, answers, strict=True):
        for name, score in answer:
            line[place[name]] = score
    return baselines.best_cut(scores, baselines.truth(rows, universe))[0]


def cut_on_dev(subject: Subject, modules: dict[str, list[dict[str, Any]]], text: str, **how: bool) -> Predictions:
    """Modules of the test files, cut at the score that is best on dev."""
    dev, test = (
        subject.predictions("dependencies", [row[text] for row in modules[side]], **how) for side in ("dev", "test")
    )
    return test.map(lambda answers, on_dev: sets(answers, tuned(on_dev, modules["dev"])), beside=dev)


@pytest.mark.requirement("graphmer/dependency.f1")
def test_infers_imports_from_the_code(judge, graphmer: Subject, modules, cheap, dependencies):
    """Subject and baselines each cut at the score that was best on dev distributions."""
    test, asked = modules["test"], [row["text"] for row in modules["test"]]
    found = {encoder: cut_on_dev(graphmer, modules, "text", encoder=encoder) for encoder in (True, False)}
    told = {name: {"sets": rows} for name, rows in json.loads(cheap.path("sets.json").read_text()).items()}
    known = set(json.loads(cheap.path("vocabulary.json").read_text()))
    labels = [name for row in test for name in row["modules"]]
    judge(
        found[True],
        gold={"sets": [row["modules"] for row in test]},
        groups=[row["group"] for row in test],
        clusters=[row["record_id"] for row in test],
        baselines={**told, "encoder-zeroed": found[False].values},
        slices={"distribution": [row["group"] for row in test]},
        datasets=[dependencies],
        details={
            "labels out of vocabulary": f"{sum(name not in known for name in labels)} of {len(labels)}",
            "reliability": stated(test, graphmer.predictions("dependencies", asked, encoder=True).values),
            "samples": samples(test, found[True].values["sets"]),
        },
    )


@pytest.mark.requirement("graphmer/scaling.dependency")
def test_imports_after_more_training(judge, scaling, modules, dependencies):
    """Every variant is cut where it was best on dev."""

    def ask(variant: Subject) -> Predictions:
        return cut_on_dev(variant, modules, "text", encoder=True)

    judge.seeds(
        scaling.longer, ask, gold={"sets": [row["modules"] for row in modules["test"]]},
        groups=[row["group"] for row in modules["test"]], baselines=scaling.beside(ask), datasets=[dependencies],
        details=scaling.cost,
    )  # fmt: skip


@pytest.mark.requirement("graphmer/dependency.f1_masked")
def test_infers_imports_when_bound_names_are_masked(judge, graphmer: Subject, modules, dependencies):
    """The same ranker, told nothing of the mask: what attributes, keywords and the rest of the code give away."""
    test = modules["test"]
    judge(
        cut_on_dev(graphmer, modules, "masked"),
        gold={"sets": [row["modules"] for row in test]},
        groups=[row["group"] for row in test],
        datasets=[dependencies],
    )


def stated(rows: Sequence[dict[str, Any]], found: Sequence[Sequence[tuple[str, float]]]) -> dict[str, Any]:
    """Of every module that was thought of, the probability that it was given and whether the file imports it."""
    told = [(p, name in row["modules"]) for row, answer in zip(rows, found, strict=True) for name, p in answer]
    return diagram([p for p, _ in told], [true for _, true in told])


def samples(rows: Sequence[dict[str, Any]], found: Sequence[Sequence[str]]) -> list[dict[str, object]]:
    """Twenty files with gold and answer, for a person to read."""
    return [
        {"file": row["record_id"], "gold": ", ".join(row["modules"]), "answer": ", ".join(sorted(answer))}
        for row, answer in list(zip(rows, found, strict=True))[:20]
    ]
