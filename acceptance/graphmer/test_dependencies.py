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


@pytest.mark.requirement("graphmer/dependency.f1")
def test_infers_imports_from_the_code(judge, graphmer: Subject, modules, cheap, dependencies):
    """Subject and baselines each cut at the score that was best on dev distributions."""
    dev, test = modules["dev"], modules["test"]
    asked = {side: [row["text"] for row in rows] for side, rows in modules.items()}
    cuts, found = {}, {}
    for encoder in (True, False):
        cuts[encoder] = tuned(graphmer.predictions("dependencies", asked["dev"], encoder=encoder).values, dev)
        found[encoder] = graphmer.predictions("dependencies", asked["test"], encoder=encoder)
    told = {name: {"sets": rows} for name, rows in json.loads(cheap.path("sets.json").read_text()).items()}
    known = set(json.loads(cheap.path("vocabulary.json").read_text()))
    predictions = found[True].map(lambda answers: sets(answers, cuts[True]))
    labels = [name for row in test for name in row["modules"]]
    judge(
        predictions,
        gold={"sets": [row["modules"] for row in test]},
        groups=[row["group"] for row in test],
        clusters=[row["record_id"] for row in test],
        baselines={**told, "encoder-zeroed": sets(found[False].values, cuts[False])},
        slices={"distribution": [row["group"] for row in test]},
        datasets=[dependencies],
        details={
            "labels out of vocabulary": f"{sum(name not in known for name in labels)} of {len(labels)}",
            "reliability": stated(test, found[True].values),
            "samples": samples(test, predictions.values["sets"]),
        },
    )


@pytest.mark.requirement("graphmer/scaling.dependency")
def test_imports_after_more_training(judge, scaling, modules, dependencies):
    """Every variant is cut where it was best on dev."""
    asked = {side: [row["text"] for row in rows] for side, rows in modules.items()}

    def ask(variant: Subject) -> Predictions:
        cut = tuned(variant.predictions("dependencies", asked["dev"], encoder=True).values, modules["dev"])
        found = variant.predictions("dependencies", asked["test"], encoder=True)
        return found.map(lambda answers: sets(answers, cut))

    judge.seeds(
        scaling.longer, ask, gold={"sets": [row["modules"] for row in modules["test"]]},
        groups=[row["group"] for row in modules["test"]], baselines=scaling.beside(ask), datasets=[dependencies],
        details=scaling.cost,
    )  # fmt: skip


@pytest.mark.requirement("graphmer/dependency.f1_masked")
def test_infers_imports_when_bound_names_are_masked(judge, graphmer: Subject, modules, dependencies):
    """The same ranker, told nothing of the mask: what attributes, keywords and the rest of the code give away."""
    dev, test = modules["dev"], modules["test"]
    cut = tuned(graphmer.predictions("dependencies", [row["masked"] for row in dev]).values, dev)
    judge(
        graphmer.predictions("dependencies", [row["masked"] for row in test]).map(lambda answers: sets(answers, cut)),
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
