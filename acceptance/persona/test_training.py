"""Was every stage trained as the specification says? Read from the flight record, never from the subject.

The recorder numbers optimizers in the order in which they came: base, SFT, the controls, reward model, PPO. Of each row
the stage is shown that it speaks of; what speaks of the chain is added up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from assay.metrics.training import digest
from assay.subject import Flight, Subject
from persona.world import WORLD

STAGES = ("base", "sft", "blind", "shuffled", "reward", "ppo")
HEADS = ("score",)  # trained in full beside the adapters
ABOVE = {
    "sft": "PeftModelForCausalLM.base_model.model.",
    "blind": "PeftModelForCausalLM2.base_model.model.",
    "shuffled": "PeftModelForCausalLM3.base_model.model.",
    "reward": "PeftModelForSequenceClassification.base_model.model.model.model.",
    "ppo": "SectionForCausalLM.",
}
"""Stages that train adapters -> what stands in the flight record before the names of the base below them.

Roots after the first have their class before the name. PPO's value model is trained in full, and is none of them.
"""


@pytest.fixture(scope="session")
def stages(persona: Subject) -> dict[str, Any]:
    """Stage -> its part of the flight record; where stages are missing, fewer of them."""
    record = persona.flight.record
    parts = [record, *(part for _, part in sorted(record.get("optimizers", {}).items(), key=lambda each: int(each[0])))]
    return dict(zip(STAGES, parts, strict=False))


def seen(persona: Subject, **parts: Any) -> Flight:
    """The flight record with some of its parts taken from a stage."""
    return replace(persona.flight, record={**persona.flight.record, **parts})


def of(persona: Subject, stages: dict[str, Any], name: str) -> Flight:
    """The flight record of one stage."""
    kept = ("updates", "losses", "lrs", "skipped_updates", "records_per_update")
    return seen(persona, **{key: stages[name][key] for key in kept})


def updates(records: int, options: dict[str, Any]) -> int:
    return options["epochs"] * -(-records // options["batch"])


@pytest.fixture(scope="session")
def ids(world_data, probe_data) -> dict[str, list[str]]:
    """Record ids by file, and those of everything that is examined."""
    found = {name: [row["record_id"] for row in world_data.rows(f"{name}.jsonl")] for name in ("train", "dev", "twins")}
    probes = ("consistency", "unheld", "traps", "engagement", "novel")
    found["test"] = [row["record_id"] for name in probes for row in probe_data.rows(f"{name}.jsonl")]
    return found


@pytest.fixture(scope="session")
def evaluations(persona, ids) -> list[dict[str, Any]]:
    """Those of SFT: the first that saw the dev split whole, at the updates at which the profile evaluates."""
    wanted, options = digest(ids["dev"]), persona.profile["sft"]
    total = updates(len(ids["train"]), options)
    every = max(1, total // options["evaluations"])
    found = [one for one in persona.flight.record["evaluations"] if one["records_digest"] == wanted]
    times = [*range(0, total + 1, every)]
    return [{**one, "update": update} for one, update in zip(found, times, strict=False)]


@pytest.mark.requirement("persona/training.finite", "persona/training.updates")
def test_every_stage_ran_to_its_end(judge, persona, stages, ids):
    profile = persona.profile
    pretrain, reinforce = profile["pretrain"], profile["reinforce"]
    sft = updates(len(ids["train"]), profile["sft"])
    declared = {
        "base": pretrain["drills"] + pretrain["dialogues"],
        "sft": sft,
        "blind": sft,
        "shuffled": sft,
        "reward": updates(2 * len(ids["twins"]), profile["reward"]),
        "ppo": reinforce["updates"] * reinforce["epochs"] * reinforce["minibatches"],
    }
    judge(
        seen(
            persona,
            losses=[loss for part in stages.values() for loss in part["losses"]],
            skipped_updates=sum(part["skipped_updates"] for part in stages.values()),
            updates=sum(part["updates"] for part in stages.values()),
        ),
        declared={"updates": sum(declared.values())},
        details={"updates": {name: part["updates"] for name, part in stages.items()}, "declared": declared},
    )


@pytest.mark.requirement("persona/training.schedule_base")
def test_the_rate_of_the_base_is_its_closed_form(judge, persona, stages):
    options = persona.profile["pretrain"]
    judge(
        of(persona, stages, "base"),
        declared={
            "schedule": "cosine",
            "learning_rate": [options["matrix_rate"], options["learning_rate"]],
            "warmup_updates": options["warmup"],
            "warmup_offset": 1,
        },
    )


@pytest.mark.requirement("persona/training.schedule")
def test_the_rate_of_sft_is_its_closed_form(judge, persona, stages, ids):
    judge(of(persona, stages, "sft"), declared=cosine(len(ids["train"]), persona.profile["sft"]))


@pytest.mark.requirement("persona/training.schedule_reward")
def test_the_rate_of_the_reward_model_is_its_closed_form(judge, persona, stages, ids):
    judge(of(persona, stages, "reward"), declared=cosine(2 * len(ids["twins"]), persona.profile["reward"]))


def cosine(records: int, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "schedule": "cosine",
        "learning_rate": options["learning_rate"],
        "warmup_updates": round(options["warmup_share"] * updates(records, options)),
    }


@pytest.mark.requirement(
    "persona/training.records",
    "persona/training.tokens",
    "persona/training.labels",
    "persona/training.precision",
)
def test_what_reached_the_losses(judge, persona, ids):
    precision = persona.profile["precision"]
    judge(
        persona.flight,
        declared={
            "records": [*ids["train"], *ids["twins"]],
            "vocabulary": persona.profile["model"]["vocabulary"],
            "active_labels": ["labels"],
            "precision": native_precision() if precision == "native" else precision,
        },
    )


@pytest.mark.requirement("persona/training.evaluation", "persona/training.learns")
def test_sft_learns_and_was_evaluated_as_it_should(judge, persona, stages, evaluations, ids):
    judge(
        seen(persona, evaluations=evaluations),
        declared={"dev_records": ids["dev"], "test_records": ids["test"], "chosen": "last"},
    )


@pytest.mark.requirement("persona/training.parameters")
def test_adapters_alone_move_above_the_base(judge, persona):
    """Seven bases: pre-training, three SFTs, the reward model, PPO's policy and its value model; adapters and heads.

    Pre-training also learns to read out of each place which of the slots it is about, and before a reply whether that
    was told, and throws both readouts away.
    """
    parameters = persona.flight.record["parameters"]
    shapes = persona.artifact.shapes  # of all weight files, by name
    base = sum(math.prod(shape) for name, shape in shapes.items() if ".lora_" not in name and not head(name))
    width, heads = persona.profile["model"]["width"], 3  # PEFT keeps the reward head's first state; PPO's value model
    inputs = width + 1  # of a head: the last state, and how likely was what was said
    adapters = persona.artifact.parameters - base - inputs
    readouts = (len(WORLD.slots) + 1) * (width + 1)
    frozen = below_adapters(shapes)
    moved = sorted(frozen - {*parameters["never_moved"], *parameters.get("frozen", ())})
    strayed = [f"{name}, which should not move" for name in moved]  # each a fault, as if it should and had not
    judge(
        seen(persona, parameters={**parameters, "never_moved": [*parameters["never_moved"], *strayed]}),
        declared={"parameters": 7 * base + adapters + heads * inputs + readouts, "frozen": sorted(frozen)},
        details={
            "adapters": adapters,
            "base": base,
            "readouts": readouts,
            "trained at once, at most": parameters["trainable"],
            "moved below adapters": moved,
        },
    )


def below_adapters(names: Iterable[str]) -> set[str]:
    """What no stage in ABOVE may move, as the flight record calls it; `names` are those of all weight files."""
    names = list(names)
    adapted = {name.partition(".lora_A.")[0].removeprefix("base_model.model.") for name in names if ".lora_A." in name}
    base = [name for name in names if ".lora_" not in name and not head(name)]

    def within(name: str) -> str:
        layer, _, kind = name.rpartition(".")
        return f"{layer}.base_layer.{kind}" if layer in adapted else name

    first_heads = {f"PeftModelForSequenceClassification.base_model.model.{one}.original_module.weight" for one in HEADS}
    return first_heads | {prefix + within(name) for prefix in ABOVE.values() for name in base}


def head(name: str) -> bool:
    return any(f"{one}." in name and "original_module" not in name for one in HEADS)


def native_precision() -> str:
    """What this processor multiplies fast, as the kernel tells it."""
    from pathlib import Path

    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return "fp32"
    return "bf16" if {"amx_bf16", "avx512_bf16"} & flags else "fp32"
