"""Was it trained as the specification says? Read from the flight record, never from the subject."""

from __future__ import annotations

import pytest


@pytest.mark.requirement(
    "graphsage/training.finite",
    "graphsage/training.updates",
    "graphsage/training.schedule",
    "graphsage/training.parameters",
    "graphsage/training.records",
    "graphsage/training.labels",
    "graphsage/training.components",
    "graphsage/training.evaluation",
    "graphsage/training.learns",
    "graphsage/training.precision",
)
def test_was_trained_as_declared(judge, graphsage, functions):
    judge(
        graphsage.flight,
        declared={
            "records": [row["record_id"] for row in functions.rows("train.jsonl")],
            "dev_records": [row["record_id"] for row in functions.rows("dev.jsonl")],
            "test_records": [row["record_id"] for row in functions.rows("test.jsonl")],
            "batch_size": graphsage.profile["functions_per_update"],
            "schedule": "plateau",
            "active_labels": ["bug_labels"],
        },
    )


@pytest.mark.requirement("graphsage/model.size", "graphsage/model.bytes")
def test_has_the_declared_size(judge, graphsage):
    judge(graphsage.artifact, subject=graphsage)


@pytest.mark.requirement("graphsage/edges.matter")
def test_edges_matter(judge, graphsage, heldout_defects, defect_data):
    """Three seeds with the graph's edges against three without, everything else equal."""
    judge.seeds(
        [graphsage.variant(seed=seed) for seed in (0, 1, 2)],
        lambda variant: variant.predictions("defect_scores", heldout_defects.sources),
        gold=heldout_defects.gold,
        baselines={
            "no-edges": lambda variant: variant.variant(edges=False).predictions(
                "defect_scores", heldout_defects.sources
            )
        },
        datasets=[defect_data],
    )
