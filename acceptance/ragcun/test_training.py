"""Was it trained as the specification says? Read from the flight record, never from the subject."""

from __future__ import annotations

import pytest


@pytest.mark.requirement(
    "ragcun/training.finite",
    "ragcun/training.updates",
    "ragcun/training.schedule",
    "ragcun/training.parameters",
    "ragcun/training.records",
    "ragcun/training.tokens",
    "ragcun/training.labels",
    "ragcun/training.components",
    "ragcun/training.evaluation",
    "ragcun/training.learns",
    "ragcun/training.precision",
)
def test_was_trained_as_declared(judge, ragcun, pair_data):
    profile = ragcun.profile
    records = {side: [row["record_id"] for row in pair_data.rows(f"{side}.jsonl")] for side in ("train", "dev", "test")}
    updates = profile["epochs"] * -(-len(records["train"]) // (profile["batch"] * profile["accumulation"]))
    judge(
        ragcun.flight,
        declared={
            "records": records["train"],
            "dev_records": records["dev"],
            "test_records": records["test"],
            "batch_size": profile["batch"],
            "learning_rate": [profile["base_learning_rate"], profile["projection_learning_rate"]],
            "schedule": "cosine",
            "warmup_updates": round(profile["warmup_share"] * updates),
            "active_labels": ["labels"],
        },
    )
