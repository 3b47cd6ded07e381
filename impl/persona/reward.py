"""The reward model: TRL's `RewardTrainer` on twins, where only the persona tells the better response.

Each response is the chosen one under one persona and the rejected one under the other, so pairs teach nothing of
length, fluency and words; the likelihood that the score starts from does count them. It steers training and must never
be the judge that accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from persona import stage, tokens
from persona.config import Settings
from persona.policy import adapters, classifier

Rows = Sequence[Mapping[str, Any]]


def dataset(tokenizer: Any, twins: Rows, context: int) -> Any:
    """A `datasets.Dataset` of record_id, chosen_ids and rejected_ids: two rows a twin, one for each persona."""
    from datasets import Dataset

    rows, chosen, rejected = [], [], []
    for twin in twins:
        for side in (0, 1):
            rows.append((twin["record_id"], (twin["personas"][side], twin["dialogue"])))
            chosen.append(twin["responses"][side])
            rejected.append(twin["responses"][1 - side])
    asked = [row for _, row in rows]
    better, worse = (tokens.examples(tokenizer, asked, responses, context) for responses in (chosen, rejected))
    return Dataset.from_list(
        [
            {
                "record_id": record,
                "length": max(len(one["input_ids"]), len(other["input_ids"])),  # like ones share a batch
                "chosen_ids": one["input_ids"],
                "rejected_ids": other["input_ids"],
            }
            for (record, _), one, other in zip(rows, better, worse, strict=True)
        ]
    )


def collate(padding: int, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All chosen ones, then all rejected ones, as RewardTrainer wants them; with the ids of their records, if any."""
    ids = [row[key] for key in ("chosen_ids", "rejected_ids") for row in rows]
    batch = tokens.padded([{"input_ids": one, "labels": one} for one in ids], padding)
    del batch["labels"]
    return {**batch, "record_id": [row["record_id"] for row in rows] * 2} if "record_id" in rows[0] else batch


def train(
    model: Any, tokenizer: Any, sides: Mapping[str, Rows], settings: Settings, out: Path
) -> tuple[Any, dict[str, Any]]:
    """Fit adapters and a head on the language model `model`, which is changed; the scorer and what the log says."""
    from trl import RewardConfig, RewardTrainer

    options = settings.reward
    data = {side: dataset(tokenizer, twins, settings.model.context) for side, twins in sides.items()}
    batch = stage.together(settings, "reward", out, options.batch)
    schedule = stage.Schedule.of(len(data["train"]), batch, options.epochs, options.warmup_share, options.evaluations)
    trainer = RewardTrainer(
        model=classifier(model, tokenizer),
        args=RewardConfig(
            learning_rate=options.learning_rate,
            train_sampling_strategy="group_by_length",
            **stage.evaluated(schedule, options.batch, settings, best=True),
            **stage.arguments(settings, "reward", out),
        ),
        train_dataset=data["train"],
        eval_dataset=data["dev"].remove_columns("record_id"),  # TRL's loss is no output: none would be seen of them
        processing_class=tokenizer,
        data_collator=partial(collate, tokenizer.pad_token_id),
        peft_config=adapters(settings, "reward"),
    )
    return trainer.model, stage.run(trainer, "reward")


def scores(scorer: Any, tokenizer: Any, items: Sequence[tuple[Sequence[str], Sequence[str], str]]) -> list[float]:
    """The reward of each (persona, dialogue, response)."""
    context = scorer.config.max_position_embeddings
    examples = tokens.examples(tokenizer, [one[:2] for one in items], [one[2] for one in items], context)
    return of_pieces(scorer, tokenizer.pad_token_id, [one["input_ids"] for one in examples])


@torch.inference_mode()
def of_pieces(scorer: Any, padding: int, rows: Sequence[list[int]]) -> list[float]:
    """The reward of each prompt with what was said, as ids: of what does not end, what it is worth so far."""
    found = [0.0] * len(rows)
    for chosen in tokens.alike(rows):
        batch = tokens.padded([{"input_ids": rows[place]} for place in chosen], padding)
        device = scorer.device
        logits = scorer(
            input_ids=batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device)
        ).logits
        for place, score in zip(chosen, logits[:, 0].tolist(), strict=True):
            found[place] = score
    return found
