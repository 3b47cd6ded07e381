"""Does it complete (head, relation) with the right tail, among all entities that the relation could lead to?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from acceptance.graphmer.held_links import DEPTH, Held
from assay.subject import Predictions, Subject


@pytest.fixture(scope="session")
def zeroed(graphmer: Subject, held: Held) -> Predictions:
    """The same without the encoder: its columns blank, and the ranker fitted with them blank."""
    return graphmer.predictions("complete", held.queries, graph=str(held.public.folder), depth=DEPTH, encoder=False)


@pytest.mark.requirement("graphmer/link_prediction.mrr")
def test_completes_triples(judge, answers, zeroed, held):
    judge(
        answers.map(held.ranks),
        gold=held.gold,
        groups=held.column("distribution"),
        baselines=held.compared(zeroed),
        slices={"relation": held.column("relation"), "distribution": held.column("distribution")},
        datasets=[held.folder, held.public],
        details={"samples": samples(held, answers.values)},
    )


@pytest.mark.requirement("graphmer/link_prediction.hits10")
def test_has_the_tail_among_ten(judge, answers, zeroed, held):
    judge(
        answers.map(held.ranks),
        gold=held.gold,
        groups=held.column("distribution"),
        baselines=held.compared(zeroed),
        slices={"relation": held.column("relation")},
        datasets=[held.folder, held.public],
    )


@pytest.mark.requirement("graphmer/scaling.links", "graphmer/scaling.hits10")
def test_links_after_more_training(judge, scaling, held):
    def ask(variant: Subject) -> Predictions:
        return variant.predictions("complete", held.queries, graph=str(held.public.folder), depth=DEPTH).map(held.ranks)

    judge.seeds(
        scaling.longer, ask, gold=held.gold, groups=held.column("distribution"), baselines=scaling.beside(ask),
        datasets=[held.folder, held.public], details=scaling.cost,
    )  # fmt: skip


@pytest.mark.requirement("graphmer/link_prediction.macro")
def test_relation_by_relation(judge, answers, held):
    """The same per relation, each counting alike: how much of the mean is made by the frequent ones."""
    names = sorted(set(held.column("relation")))
    mine = by_relation(held, answers.values)
    judge(
        answers.map(
            lambda found: {"mine": list(by_relation(held, found).values()), "theirs": [0.52] * len(names)}, items=names
        ),
        datasets=[held.folder, held.public],
        details={
            "MRR of each relation": {name: f"{mean:.3f}" for name, mean in mine.items()},
            "macro MRR": f"{np.mean(list(mine.values())):.3f}",
        },
    )


def by_relation(held: Held, found: Sequence[Any]) -> dict[str, float]:
    """Mean reciprocal rank of each relation, by name."""
    values = defaultdict(list)
    ranks = held.ranks(found)
    for relation, low, high in zip(held.column("relation"), ranks["optimistic"], ranks["pessimistic"], strict=True):
        values[relation].append(0.0 if np.isinf(high) else 2 / (low + high))
    return {name: float(np.mean(values[name])) for name in sorted(values)}


@pytest.mark.requirement("graphmer/link_prediction.body_hidden")
def test_without_the_code_of_the_head(judge, graphmer, held):
    hidden = graphmer.predictions("complete", held.queries, graph=str(held.public.folder), depth=DEPTH, code=False)
    judge(
        hidden.map(held.ranks),
        gold=held.gold,
        groups=held.column("distribution"),
        baselines={name: ranks for name, ranks in held.compared().items() if name != "name-in-body"},
        datasets=[held.folder, held.public],
    )


def samples(held: Held, answers: Sequence[Any]) -> list[dict[str, object]]:
    """Twenty queries with the three best answers, for a person to read."""
    return [
        {
            "head": row["head"],
            "relation": row["relation"],
            "gold": row["tail"],
            "answers": ", ".join(name for name, _ in answer[:3]),
        }
        for row, answer in list(zip(held.rows, answers, strict=True))[:20]
    ]
