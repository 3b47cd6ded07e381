"""Was it trained as the specification says? Read from the flight record, never from the subject."""

from __future__ import annotations

import json
import math

import pytest

from acceptance import precision


@pytest.fixture(scope="session")
def declared(graphsage, functions, import_data, program_data, heldout_programs):
    """What specification and data say of the run; read once for all rows."""
    profile = graphsage.profile
    ids = {side: [row["record_id"] for row in functions.rows(f"{side}.jsonl")] for side in ("train", "dev", "test")}
    solved = {side: solved_problems(program_data.rows(f"{side}.jsonl")) for side in ("train", "dev")}
    solved["test"] = solved_problems(heldout_programs.rows)
    visits = len(ids["train"]) + profile["program_visits"] * len(solved["train"])
    updates = profile["epochs"] * math.ceil(visits / profile["functions_per_update"])
    return {
        "records": ids["train"] + solved["train"],
        "dev_records": ids["dev"] + solved["dev"],
        "test_records": ids["test"] + solved["test"],
        "updates": updates,
        # only what was trained with all units is kept
        "chosen_from": int(profile["narrow_share"] * updates) if profile["narrow"] > 1 else 0,
        "learning_rate": [profile["matrix_rate"], profile["learning_rate"], profile["learning_rate"]],
        "schedule": "plateau",
        "active_labels": ["bug_labels"],
        "precision": precision.declared(profile),
        "constant_losses": constant_losses(profile, functions, import_data),
    }


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
    "graphsage/training.learns_bugs",
    "graphsage/training.learns_location",
    "graphsage/training.learns_imports",
    "graphsage/training.learns_confidence",
    "graphsage/training.learns_embedding",
    "graphsage/training.precision",
)
def test_was_trained_as_declared(judge, graphsage, declared, heldout_program_data):
    judge(graphsage.flight, declared=declared, datasets=[heldout_program_data])


def solved_problems(rows) -> list[str]:
    """Problems with a solution that passed, in order: a sample of training each."""
    return list(dict.fromkeys(row["problem"] for row in rows if row["kind"] == "canonical" and row["passed"]))


def constant_losses(profile, functions, import_data) -> dict[str, float]:
    """Of predictors that say the same of everything, times the weights.

    One half where both labels weigh the same: ln 2. Of modules their shares in training. Places and the embedding start
    as constants.
    """
    names = ("bugs", "location", "imports", "confidence", "embedding")
    weights = dict(zip(names, profile["loss_weights"], strict=True))
    vocabulary = json.loads(import_data.path("vocabulary.json").read_text())
    train, dev = (
        [set(row["uses"]) for row in functions.rows(f"{side}.jsonl") if row["uses"]] for side in ("train", "dev")
    )
    modules = 0.0
    for module in vocabulary:
        share, there = (sum(module in uses for uses in side) / len(side) for side in (train, dev))
        modules -= there * math.log(share) + (1 - there) * math.log1p(-share)
    return {"bugs": weights["bugs"] * math.log(2), "confidence": weights["confidence"] * math.log(2),
            "imports": weights["imports"] * modules}  # fmt: skip


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
