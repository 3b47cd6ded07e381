"""Was it trained as the specification says? Read from the flight record, never from the subject."""

from __future__ import annotations

import pytest

from acceptance import precision
from acceptance.ragcun import baselines
from assay import artifacts


@pytest.fixture(scope="session")
def declared(ragcun, pair_data, commands):
    """What specification and data say of the run; read once for all rows."""
    profile = ragcun.profile
    records = {side: [row["record_id"] for row in pair_data.rows(f"{side}.jsonl")] for side in ("train", "dev", "test")}
    if commands is not None:
        records["train"] += [row["record_id"] for row in commands.rows("train.jsonl")]
    updates = profile["epochs"] * -(-len(records["train"]) // (profile["batch"] * profile["accumulation"]))
    return {
        "records": records["train"],
        "dev_records": records["dev"],
        "test_records": records["test"],
        "batch_size": profile["batch"],
        "learning_rate": [profile["base_learning_rate"], profile["projection_learning_rate"]],
        "schedule": "cosine",
        "warmup_updates": round(profile["warmup_share"] * updates),
        "active_labels": ["labels"],
        "precision": precision.declared(profile),
        "vocabulary": rows(ragcun.artifact.folder),
        "parameters": ragcun.artifact.parameters - fitted(profile),
    }


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
def test_was_trained_as_declared(judge, ragcun, declared):
    judge(ragcun.flight, declared=declared)


def rows(folder) -> int:
    """Entries with a row in the weights: pairs of the tokenizer that only longer entries are made from have none."""
    _, (entries, _) = artifacts.tensors(folder / "model.safetensors")["base.embedding.weight"]
    return entries


def fitted(profile) -> int:
    """Numbers in the weights file that are statistics, not parameters: of each side two whitenings and a norm."""
    dimensions = profile["dimensions"]
    return 2 * (2 * (dimensions + dimensions**2) + 2) if profile["whitening"] else 0


@pytest.mark.requirement("ragcun/geometry.worth")
def test_what_isotropy_is_worth(judge, ragcun, heldout, pool):
    """Three seeds with SIGReg against the same budget without it, with whitening in the model and without."""

    def ask(variant):
        passages = str(pool.path("passages.jsonl"))
        return variant.predictions("search", heldout.queries, passages=passages, mode="dense", k=baselines.DEPTH)

    judge.seeds(
        [ragcun.variant(seed=seed) for seed in (0, 1, 2)],
        ask,
        gold=heldout.gold,
        baselines={
            "whitening-alone": lambda variant: ask(variant.variant(isotropy=0.0)),
            "neither": lambda variant: ask(variant.variant(isotropy=0.0, whitening=False)),
        },
        datasets=[pool],
    )
