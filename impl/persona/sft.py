"""Supervised fine-tuning: TRL's `SFTTrainer` with low-rank adapters, the loss on what the speaker says alone.

Whose persona stands in the prompt is a switch: the speaker's own, nobody's, or that of another row - the two controls
that show what a model without a persona, or with the wrong ones in training, would reach.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from persona import stage, tokens
from persona.config import Settings
from persona.policy import adapters

Rows = Sequence[Mapping[str, Any]]


def personas(rows: Rows, pairing: str, seed: int) -> list[Sequence[str]]:
    """The persona in the prompt of each row: its own, none, or another row's."""
    own: list[Sequence[str]] = [row["persona"] for row in rows]
    if pairing == "own":
        return own
    if pairing == "blind":
        return [() for _ in rows]
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    # each takes the persona of the next in a random ring, so that nobody keeps their own
    next_of = {order[place]: order[(place + 1) % len(order)] for place in range(len(order))}
    return [own[next_of[place]] for place in range(len(rows))]


def dataset(tokenizer: Any, rows: Rows, pairing: str, seed: int, context: int) -> Any:
    """A `datasets.Dataset` of record_id, input_ids and labels; too long a row loses its oldest turns.

    Everything that the speaker says is learnt: the response, and the turns before it that are the speaker's.
    """
    from datasets import Dataset

    responses = [row["response"] for row in rows]
    rooms = [context - len(said) for said in tokens.completions(tokenizer, responses)]
    asked = zip(personas(rows, pairing, seed), [row["dialogue"] for row in rows], strict=True)
    sections, dialogues = zip(*tokens.fitting(tokenizer, list(asked), rooms), strict=True)
    said = [[*dialogue, response] for dialogue, response in zip(dialogues, responses, strict=True)]
    found = tokens.spoken(tokenizer, said, sections)
    return Dataset.from_list(
        [
            {
                "record_id": row["record_id"],
                "length": min(context, len(one["input_ids"])),  # like lengths share a batch
                **{key: ids[-context:] for key, ids in one.items()},
            }
            for row, one in zip(rows, found, strict=True)
        ]
    )


def collate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch of the dataset, with the ids of its records."""
    return {**tokens.padded(rows), "record_id": [row["record_id"] for row in rows]}


def train(
    model: Any, tokenizer: Any, sides: Mapping[str, Rows], settings: Settings, name: str, pairing: str, out: Path
) -> tuple[Any, dict[str, Any]]:
    """Fit adapters on `model`; the model with them, and what the log says.

    The last ones, not those of the least dev loss: dev sentences are put in ways that no training sentence is, and how
    strange they are outweighs the words in them. The rate falls to nothing, so the last are the settled ones.
    """
    from trl import SFTConfig, SFTTrainer

    if not torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)
    options, context = settings.sft, settings.model.context
    batch = stage.together(settings, name, out, options.batch)
    schedule = stage.Schedule.of(len(sides["train"]), batch, options.epochs, options.warmup_share, options.evaluations)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            learning_rate=options.learning_rate,
            packing=False,
            train_sampling_strategy="group_by_length",
            **stage.evaluated(schedule, options.batch, settings, best=False),
            **stage.arguments(settings, name, out),
        ),
        train_dataset=dataset(tokenizer, sides["train"], pairing, settings.seed, context),
        eval_dataset=dataset(tokenizer, sides["dev"], pairing, settings.seed, context),
        processing_class=tokenizer,
        data_collator=collate,
        peft_config=adapters(settings, name),
    )
    return trainer.model, stage.run(trainer, name)
