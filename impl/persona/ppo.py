"""Reinforcement on the reward model: PPO as TRL has it, or RLOO or GRPO; divergence from the SFT policy is paid for.

PPO's trainer keeps no state that it could go on from: a run that was killed in this stage starts it again, and ends
with the same weights. What is optimised is the reward model's score, never that of the judge who accepts.
"""

from __future__ import annotations

import contextlib
import copy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import set_seed

from persona import checkpoints, stage, tokens
from persona.config import Settings
from persona.policy import adapters, left_padded
from persona.reward import of_pieces

Rows = Sequence[Mapping[str, Any]]


def train(
    model: Any, scorer: Any, tokenizer: Any, rows: Rows, settings: Settings, out: Path
) -> tuple[Any, dict[str, Any]]:
    """Fit new adapters on the SFT policy `model`; the model with them, and what the log says."""
    set_seed(settings.seed)
    with contextlib.redirect_stdout(sys.stderr):
        if settings.reinforce.algorithm == "ppo":
            return _ppo(model, scorer, tokenizer, rows, settings, out)
        return _grouped(model, scorer, tokenizer, rows, settings, out)


def _ppo(model: Any, scorer: Any, tokenizer: Any, rows: Rows, settings: Settings, out: Path) -> tuple[Any, Any]:
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    options = settings.reinforce
    prompts = Dataset.from_list([{"input_ids": ids} for ids in _prompts(tokenizer, rows, settings)])

    def collate(batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        ids, _ = left_padded([one["input_ids"] for one in batch], tokenizer.pad_token_id)
        return {"input_ids": ids}

    trainer = PPOTrainer(
        args=PPOConfig(
            learning_rate=options.learning_rate,
            lr_scheduler_type="cosine",
            per_device_train_batch_size=options.batch,
            num_mini_batches=options.minibatches,
            num_ppo_epochs=options.epochs,
            total_episodes=options.updates * options.batch,
            local_rollout_forward_batch_size=options.batch,
            response_length=options.response,
            temperature=options.temperature,
            kl_coef=options.kl,
            missing_eos_penalty=options.unfinished_penalty,
            stop_token="eos",
            num_sample_generations=0,
            save_strategy="no",
            logging_steps=1,
            **stage.arguments(settings, "ppo", out),
        ),
        processing_class=tokenizer,
        model=model,
        ref_model=None,  # the policy without its adapters
        reward_model=scorer.requires_grad_(False),
        value_model=copy.deepcopy(scorer).requires_grad_(True),
        train_dataset=prompts,
        data_collator=collate,
        peft_config=adapters(settings, "ppo"),
    )
    trainer.train()
    return trainer.model.policy, _log("ppo", trainer)


def _grouped(model: Any, scorer: Any, tokenizer: Any, rows: Rows, settings: Settings, out: Path) -> tuple[Any, Any]:
    """RLOO or GRPO: several responses to a prompt, each against the mean of the others.

    All responses to `batch` prompts make an update, as many of them at once as there are prompts.
    """
    import trl
    from datasets import Dataset

    options = settings.reinforce
    kind = {"rloo": "RLOO", "grpo": "GRPO"}[options.algorithm]
    config, trainer_class = getattr(trl, f"{kind}Config"), getattr(trl, f"{kind}Trainer")
    prompts = _prompts(tokenizer, rows, settings)
    data = Dataset.from_list([{"prompt": tokenizer.decode(ids), "asked": ids} for ids in prompts])

    def reward(completion_ids: Sequence[list[int]], asked: Sequence[list[int]], **more: Any) -> list[float]:
        whole = [before + after for before, after in zip(asked, completion_ids, strict=True)]
        found = of_pieces(scorer, tokenizer.pad_token_id, whole)
        unfinished = [tokenizer.eos_token_id not in ids for ids in completion_ids]
        return [score - options.unfinished_penalty * each for score, each in zip(found, unfinished, strict=True)]

    updates = options.updates * options.epochs
    trainer = trainer_class(
        model=model,
        reward_funcs=reward,
        args=config(
            learning_rate=options.learning_rate,
            lr_scheduler_type="cosine",
            per_device_train_batch_size=options.batch,
            gradient_accumulation_steps=options.generations,
            num_generations=options.generations,
            num_iterations=options.epochs,
            max_steps=updates,
            max_completion_length=options.response,
            temperature=options.temperature,
            beta=options.kl,
            save_strategy="steps",
            save_steps=max(1, updates // 4),
            save_total_limit=max(1, settings.keep_checkpoints),
            logging_steps=1,
            **stage.arguments(settings, options.algorithm, out),
        ),
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=adapters(settings, "ppo"),
    )
    folder = Path(trainer.args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.add_callback(stage.Marker())
    newest = checkpoints.last(folder)
    trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
    return trainer.model, _log("ppo", trainer)


def _prompts(tokenizer: Any, rows: Rows, settings: Settings) -> list[list[int]]:
    """Of each row, with room for a response."""
    asked = [(row["persona"], row["dialogue"]) for row in rows]
    return tokens.prompts(tokenizer, asked, settings.model.context - settings.reinforce.response)


def _log(name: str, trainer: Any) -> dict[str, Any]:
    """Of every update: the score, the divergence, and the entropy of what was sampled."""
    kept = {
        "score": ("objective/scores", "reward"),
        "kl": ("objective/kl", "kl"),
        "entropy": ("objective/entropy", "entropy"),
    }
    history: dict[str, list[float]] = {}
    for row in trainer.state.log_history:
        for short, names in kept.items():
            history.setdefault(short, []).extend(float(row[one]) for one in names if one in row)
    return {"name": name, "updates": int(trainer.state.global_step), "history": history, "finite": _finite(history)}


def _finite(history: Mapping[str, Sequence[float]]) -> bool:
    return all(bool(np.isfinite(values).all()) for values in history.values())
