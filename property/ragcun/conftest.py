"""A world of topics small enough to be learnt in seconds: query and passage share the words of one topic."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

PROFILE: dict[str, Any] = {
    "base": "static", "vocabulary": 400, "width": 24, "dimensions": 8, "query_length": 12, "passage_length": 24, "emphasis": 2,
    "dropout": 0.1, "isotropy": 0.02, "regularisation": 0.01, "prediction": 0.1, "whitening": True, "slices": 16,
    "negatives": 2, "freeze_base": False, "base_learning_rate": 0.02, "projection_learning_rate": 0.002,
    "warmup_share": 0.2, "gradient_norm": 5.0, "batch": 32, "accumulation": 2, "gradient_checkpointing": False,
    "epochs": 3, "evaluations": 3, "precision": "fp32", "tensorboard": False, "threads": 1, "seed": 0,
}  # fmt: skip


def make_rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Pairs with record_id, group, query, passage: 20 topics of 8 words each, drawn from a fixed vocabulary."""
    rng = random.Random(seed)
    letters = random.Random(0)
    words = ["".join(letters.choices("abcdefghijklmnop", k=6)) for _ in range(160)]
    topics = [words[i : i + 8] for i in range(0, 160, 8)]
    rows = []
    for number in range(count):
        topic = rng.choice(topics)
        query, passage = rng.sample(topic, 3), rng.sample(topic, 5) + rng.sample(words, 4)
        rng.shuffle(passage)
        name = f"{seed:08x}{number:08x}"
        rows.append(
            {"record_id": name, "group": f"g{number % 9}", "query": " ".join(query), "passage": " ".join(passage)}
        )
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Training files by side."""
    folder = tmp_path_factory.mktemp("pairs")
    sizes = {"train": (160, 1), "fit": (120, 2), "dev": (48, 3), "test": (60, 4)}
    return {side: write(folder / f"{side}.jsonl", make_rows(*size)) for side, size in sizes.items()}


@pytest.fixture(scope="session")
def trained(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model trained on the world of topics."""
    from ragcun.train import train

    out = tmp_path_factory.mktemp("model")
    train({**PROFILE, "epochs": 12, "batch": 32, "accumulation": 1}, files, out)
    return out


@pytest.fixture(scope="session")
def embedder(trained: Path) -> Any:
    from ragcun.embedder import Embedder

    return Embedder.load(trained)
