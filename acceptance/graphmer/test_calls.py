"""Whom does each executed function call, by the distribution's own test suite? Resolution alone misses a third."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from acceptance.calls import Score
from assay.subject import Dataset, Predictions, Subject


@pytest.fixture(scope="session")
def callers(traced: Dataset) -> list[dict[str, Any]]:
    return traced.rows("callers.jsonl")


@pytest.fixture(scope="session")
def static(traced: Dataset) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = json.loads(traced.path("static.json").read_text())
    return found


@pytest.fixture(scope="session")
def completed(graphmer: Subject, callers) -> Predictions:
    return graphmer.predictions("call_graph", asked(callers))


def asked(callers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the subject is told: the caller, and its call expressions that ran."""
    return [{name: row[name] for name in ("distribution", "caller", "sites")} for row in callers]


def sets(answers: Sequence[Sequence[str]]) -> dict[str, list[list[str]]]:
    return {"sets": [list(answer) for answer in answers]}


@pytest.mark.requirement("graphmer/call_graph.f1")
def test_completes_the_call_graph(judge, graphmer, completed, callers, static, traced):
    zeroed = graphmer.predictions("call_graph", asked(callers), encoder=False)
    groups = [row["distribution"] for row in callers]
    judge(
        completed.map(sets),
        gold={"sets": [row["callees"] for row in callers]},
        groups=groups,
        clusters=[row["sites"][0][0] for row in callers],
        baselines={**{name: sets(found) for name, found in static.items()}, "encoder-zeroed": sets(zeroed.values)},
        slices={"distribution": groups},
        datasets=[traced],
        details={
            "traces": [row["told"] for row in traced.rows("every.jsonl")],
            "samples": [
                {
                    "caller": row["caller"],
                    "missed": ", ".join(sorted(set(row["callees"]) - set(answer))),
                    "wrong": ", ".join(sorted(set(answer) - set(row["callees"]))),
                }
                for row, answer in list(zip(callers, completed.values, strict=True))[::40][:20]
            ],
        },
    )


@pytest.mark.requirement("graphmer/scaling.calls")
def test_calls_after_more_training(judge, scaling, callers, traced):
    """Four distributions are too few to be the sampled unit: the interval clusters by file, as that of the F1 does."""

    def ask(variant: Subject) -> Predictions:
        return variant.predictions("call_graph", asked(callers)).map(sets)

    judge.seeds(
        scaling.longer, ask, gold={"sets": [row["callees"] for row in callers]},
        groups=[row["sites"][0][0] for row in callers], baselines=scaling.beside(ask), datasets=[traced],
        details=scaling.cost,
    )  # fmt: skip


@pytest.mark.requirement("graphmer/call_graph.distributions")
def test_is_better_than_resolution_in_each_distribution(judge, completed, callers, static, traced):
    """Each distribution's F1 against 1.08 times that of the best static policy there."""
    mine = by_distribution(completed.values, callers)
    theirs = {
        name: max(by_distribution(found, callers)[name].f1 for found in static.values()) for name in mine
    }  # fmt: skip
    names = sorted(mine)
    judge(
        completed.map(
            lambda answers: {
                "mine": [by_distribution(answers, callers)[name].f1 for name in names],
                "theirs": [1.08 * theirs[name] for name in names],
            },
            items=names,
        ),
        datasets=[traced],
        details={name: f"{mine[name]}; best static {theirs[name]:.3f}" for name in names},
    )


@pytest.mark.requirement("graphmer/call_graph.all_edges")
def test_reaches_edges_that_no_call_expression_names(judge, completed, callers, traced):
    """Recall over operators, properties, protocol methods and callbacks, too."""
    edges = [
        (row["distribution"], caller, callee) for row in traced.rows("every.jsonl") for caller, callee in row["edges"]
    ]

    def held(answers):
        found = {
            (row["distribution"], row["caller"], callee)
            for row, answer in zip(callers, answers, strict=True)
            for callee in answer
        }
        return {"case": ["\t".join(edge) for edge in edges], "holds": [edge in found for edge in edges]}

    judge(completed.map(held, items=edges), datasets=[traced], slices={"distribution": [edge[0] for edge in edges]})


def by_distribution(answers: Sequence[Sequence[str]], callers: Sequence[dict[str, Any]]) -> dict[str, Score]:
    """Counts of edges in each distribution."""
    found: dict[str, Score] = defaultdict(Score)
    for row, answer in zip(callers, answers, strict=True):
        true, said = set(row["callees"]), set(answer)
        found[row["distribution"]] += Score(len(true & said), len(said), len(true))
    return found
