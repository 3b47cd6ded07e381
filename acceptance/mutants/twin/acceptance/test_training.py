"""Was it trained as the specification says? Read from the flight record and from the files."""

import json
from pathlib import Path

import pytest


@pytest.mark.requirement(
    "twin/training.finite",
    "twin/training.updates",
    "twin/training.schedule",
    "twin/training.parameters",
    "twin/training.records",
    "twin/training.tokens",
    "twin/training.decodes",
    "twin/training.inputs",
    "twin/training.filled",
    "twin/training.batch",
    "twin/training.lengths",
    "twin/training.labels",
    "twin/training.components",
    "twin/training.evaluation",
    "twin/training.learns",
    "twin/training.precision",
    "twin/training.data_size",
)
def test_was_trained_as_declared(judge, twin, declared):
    judge(twin.flight, declared=declared)


@pytest.fixture(scope="session")
def declared(twin, reviews):
    """What the data and the profile say, beside which the flight record is read."""
    train, profile = reviews.rows("train.jsonl"), twin.profile
    return {
        "records": [row["record_id"] for row in train],
        "dev_records": [row["record_id"] for row in rows_of(twin.data["dev"])],
        "test_records": [row["record_id"] for row in reviews.rows("test.jsonl")],
        "schedule": "cosine",
        "learning_rate": [profile["learning_rate"], profile["head_rate"]],
        "entries": json.loads((twin.artifact.folder / "tokenizer.json").read_text()),
        "special": ["[PAD]", "[MASK]", "[UNK]"],
        "texts": {row["record_id"]: row["text"] for row in train},
    }


def rows_of(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.requirement("twin/model.size", "twin/model.vocabulary")
def test_has_the_declared_shape(judge, twin):
    judge(twin.artifact, subject=twin)


@pytest.mark.requirement("twin/objective.isotropy")
def test_collapse_costs_more_than_spread(judge, twin):
    import numpy as np

    rng = np.random.default_rng(0)
    spread = [rng.standard_normal((64, 8)) for _ in range(20)]
    items = [one.tolist() for pair in zip(spread, [0.1 * x for x in spread], strict=True) for one in pair]
    found = twin.outputs("twin.objectives:isotropy_of", items)
    judge(found.map(lambda x: {"first": x[0::2], "second": x[1::2]}, items=spread))


@pytest.mark.requirement("twin/objective.antisymmetry")
def test_planted_symmetry_costs_more(judge, twin):
    import numpy as np

    rng = np.random.default_rng(0)
    squares = [rng.standard_normal((8, 8)) for _ in range(20)]
    items = [one.tolist() for x in squares for one in (x - x.T, x - x.T + 0.5 * np.abs(x + x.T))]
    found = twin.outputs("twin.objectives:antisymmetry_of", items)
    judge(found.map(lambda x: {"first": x[0::2], "second": x[1::2]}, items=squares))


@pytest.mark.retrains
@pytest.mark.requirement("twin/training.effects")
def test_switches_act(judge, twin):
    switches = {"head_rate": 0.005, "precision": "fp32", "contrast_weight": 0.0, "seed": 5}
    judge.effects(twin, switches)


@pytest.mark.retrains
@pytest.mark.requirement("twin/training.resume")
def test_resumed_equals_uninterrupted(judge, twin):
    judge.resume(twin, after=20)


@pytest.mark.retrains
@pytest.mark.requirement("twin/training.saving")
def test_saves_work(judge, twin):
    wide = twin.variant(width=32)
    reached = [one["loss"] for record in (twin.flight.record, wide.flight.record) for one in record["evaluations"][-1:]]
    judge(twin.flight, declared={"other": wide.flight.record, "target_loss": max(reached) + 1e-9})
