"""A chain small enough to be trained in seconds: it learns nothing, and every wheel of it turns."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

PROFILE: dict[str, Any] = {
    "base": "scratch",
    "model": {
        "vocabulary": 500, "width": 32, "layers": 2, "heads": 2, "inner": 48, "context": 256, "induction": True,
    },
    "pretrain": {
        "drills": 4, "dialogues": 6, "tokens": 256, "drill_share": 0.3, "learning_rate": 0.003, "warmup": 2,
    },
    "sft": {"epochs": 1, "batch": 8, "learning_rate": 0.003, "evaluations": 2},
    "reward": {"epochs": 1, "batch": 8, "learning_rate": 0.003, "evaluations": 2},
    "reinforce": {"updates": 2, "batch": 8, "epochs": 1, "minibatches": 2, "response": 8},
    "controls": False, "precision": "fp32", "threads": 1,
}  # fmt: skip


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """The five files of a training."""
    from persona.world import chatter, generate, twins

    folder = tmp_path_factory.mktemp("data")
    made = {
        "chatter": chatter(80, 0),
        "train": generate("train", 32, 0),
        "dev": generate("dev", 8, 0),
        "twins": twins("train", 16, 0),
        "twins_dev": twins("dev", 8, 0),
    }
    for name, rows in made.items():
        text = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.jsonl" for name in made}


@pytest.fixture(scope="session")
def rows(files):
    """The rows of each file."""
    from persona.chain import read

    return read(files)


@pytest.fixture(scope="session")
def tokenizer(rows):
    """Learnt from the rows of training."""
    from persona import tokens
    from persona.format import render

    texts = [render(row["persona"], row["dialogue"], row["response"]) for row in [*rows["chatter"], *rows["train"]]]
    return tokens.learn(texts, 500)


@pytest.fixture
def language_model(tokenizer):
    """An untrained one, the same at every call."""
    import torch

    from persona.model import Shape, build

    torch.manual_seed(0)
    return build(Shape(len(tokenizer), 32, 2, 2, 48, 256, True), tokenizer.pad_token_id, tokenizer.eos_token_id)


@pytest.fixture(scope="session")
def trained(files, tmp_path_factory) -> Path:
    """The folder of a chain trained to its end."""
    from persona.chain import train

    out = tmp_path_factory.mktemp("chain")
    train(PROFILE, files, out)
    return out
