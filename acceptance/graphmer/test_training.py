"""Was it trained as the specification says? Read from the flight record and the files, never from the subject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from acceptance.graphmer import learning


@pytest.fixture(scope="session")
def declared(graphmer, chains, dev_chains, pairs):
    """What specification and data say of the run; read once for all rows."""
    profile = graphmer.profile
    rows = {side: pairs.rows(f"{side}_pairs.jsonl") for side in ("train", "dev")}
    ids = {side: [row["record_id"] for row in found] for side, found in rows.items()}
    updates = int(graphmer.flight.record["updates"])
    return {
        "records": [*seen_chains(graphmer, chains), *ids["train"]],
        "dev_records": [*widest(dev_chains, profile), *ids["dev"]],
        "test_records": [],
        "updates": declared_updates(graphmer, rows["train"]),
        "learning_rate": [profile[f"{which}learning_rate"] for which in ("embedding_", "word_", "matrix_", "")],
        "schedule": "cosine",
        "warmup_updates": round(profile["warmup_share"] * updates),
        "active_labels": ["mlm_labels", "mnm_labels", "labels"],
        "precision": native_precision() if profile["precision"] == "native" else profile["precision"],
    }


@pytest.mark.requirement(
    "graphmer/training.finite",
    "graphmer/training.updates",
    "graphmer/training.schedule",
    "graphmer/training.parameters",
    "graphmer/training.records",
    "graphmer/training.labels",
    "graphmer/training.components",
    "graphmer/training.evaluation",
    "graphmer/training.lengths",
    "graphmer/training.precision",
    "graphmer/tokenizer.seen",
    "graphmer/cost.step",
    "graphmer/cost.data",
    "graphmer/cost.memory",
)
def test_was_trained_as_declared(judge, graphmer, declared):
    judge(graphmer.flight, declared=declared)


@pytest.mark.requirement("graphmer/loss.reduction")
def test_dev_loss_falls(judge, graphmer, declared):
    judge(graphmer.flight, declared=declared, details={"curve": learning.curves(graphmer.flight.record)})


@pytest.mark.requirement("graphmer/scaling.loss")
def test_more_training_lowers_the_dev_loss_further(judge, scaling):
    """Both profiles have one dev loss: same rows, masks and batches of pairs."""
    curve = learning.curves(scaling.longer[0].artifact.flight)
    judge.seeds(
        scaling.longer, learning.losses, gold=None, baselines=scaling.beside(learning.losses),
        details={**scaling.cost, "curve": curve},
    )  # fmt: skip


def widest(chains, profile):
    """Ids of the chains in the widest rows: evaluation has no others."""
    suffix = f"@{profile['lengths'][-1]}#"
    return [one["id"] for rows in chains.values for one in rows if suffix in one["id"]]


def seen_chains(graphmer, chains):
    """Ids of the chains of each head in the width in which the run showed it (each pass chooses one for each head)."""
    seen = set(graphmer.flight.record["records"])
    found = []
    for rows in chains.values:
        by_width: dict[str, list[str]] = {}
        for one in rows:
            by_width.setdefault(one["id"].rpartition("@")[2].partition("#")[0], []).append(one["id"])
        shown = [ids for ids in by_width.values() if seen & set(ids)]
        found += [one for ids in shown or list(by_width.values())[:1] for one in ids]
    return found


def declared_updates(graphmer, trained_pairs):
    """Batches of chains, which the packing decides, and of pairs of each kind, which arithmetic decides."""
    profile = graphmer.profile
    kinds: dict[str, int] = {}
    for row in trained_pairs:
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + 1
    of_pairs = 0
    for name in ("align", "word"):
        for count in kinds.values():
            whole, rest = divmod(count, profile[f"{name}_batch"])
            of_pairs += profile[f"{name}_epochs"] * (whole + (rest > 1 or (rest == 1 and whole == 0)))
    components = graphmer.flight.record["components"]
    of_chains = sum(value is not None for value in components["mlm"])
    return of_chains + of_pairs if profile["accumulation"] == 1 else len(components["mlm"])


def native_precision() -> str:
    """What this processor multiplies natively, as the kernel tells it."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return "fp32"
    return "bf16" if {"amx_bf16", "avx512_bf16", "bf16"} & set(flags) else "fp32"


@pytest.mark.requirement("graphmer/data.used")
def test_every_training_triple_reaches_a_loss(judge, graphmer, heads, chains):
    """A triple was used when a chain that decodes to it was backpropagated: the unit here is the triple."""
    seen = set(graphmer.flight.record["records"])
    used = {
        "\t".join((item["head"], relation, tail))
        for item, rows in zip(heads.items, chains.values, strict=True)
        for one in rows
        if one["id"] in seen
        for relation, tail in one["facts"]
    }
    every = ["\t".join((item["head"], *fact)) for item in heads.items for fact in item["facts"]]
    observed = replace(graphmer.flight, record={**graphmer.flight.record, "records": sorted(used)})
    judge(observed, declared={"records": every})


@pytest.mark.requirement(
    "graphmer/model.parameters",
    "graphmer/model.parameters_cuda",
    "graphmer/tokenizer.vocab",
    "graphmer/tokenizer.output",
    "graphmer/cost.checkpoint",
)
def test_has_the_declared_size(judge, graphmer):
    judge(graphmer.artifact, subject=graphmer)


@pytest.mark.requirement("graphmer/full.parameters")
def test_the_large_profile_has_the_declared_layers(judge, graphmer):
    """Of 768/12/12/3072, counted without training any: 85,054,464 numbers in the layers."""
    declared = {"layers": 85_054_464}
    profile = graphmer.table("cuda")
    found = graphmer.outputs("graphmer.bridge:layer_parameters", [profile])
    counted = found.values[0]
    judge(
        found.map(lambda rows: {"case": list(declared), "holds": [rows[0][name] == n for name, n in declared.items()]}),
        details={"counted": {name: f"{n:,}" for name, n in counted.items()}},
    )
