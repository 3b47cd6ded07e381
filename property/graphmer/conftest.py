"""A world small enough to be learnt in seconds: a few modules of functions that call each other, and their graph."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

PROFILE: dict[str, Any] = {
    "hidden": 16, "layers": 1, "heads": 2, "feed_forward": 32, "dimensions": 8, "vocabulary": 380, "dropout": 0.1,
    "bias": True, "leaves": True, "constrained_negatives": True, "lengths": [64, 96], "short_share": 0.5, "roots": 0.5,
    "mlm_share": 0.15, "mnm_share": 0.2, "mlm_weight": 1.0, "mnm_weight": 1.0, "link_weight": 0.5,
    "ontology_weight": 0.5, "rows": 8, "epochs": 1, "updates": 0, "align_epochs": 1, "align_from": 0.3, "align_batch": 16,
    "word_epochs": 2, "word_batch": 64,
    "query_length": 12, "target_length": 24, "embedding_learning_rate": 0.01, "word_learning_rate": 0.01, "word_dropout": 0.0, "matrix_learning_rate": 0.01, "orthogonal": True, "learning_rate": 0.005, "weight_decay": 0.01, "warmup_share": 0.2,
    "gradient_norm": 1.0, "accumulation": 1, "gradient_checkpointing": False, "evaluations": 2, "tensorboard": False,
    "device": "cpu", "precision": "fp32", "threads": 1, "seed": 0,
}  # fmt: skip

WORDS = [
    "read",
    "write",
    "parse",
    "file",
    "token",
    "value",
    "name",
    "count",
    "table",
    "row",
    "index",
    "path",
    "merge",
    "split",
    "load",
    "store",
]


def make_side(folder: Path, side: str, modules: int, seed: int) -> dict[str, Path]:
    """SIDE_triples, SIDE_entities, SIDE_files and SIDE_pairs of a package named after the side."""
    rng = random.Random(seed)
    triples, entities, files, pairs = [], [], [], []

    def say(head: str, relation: str, tail: str) -> None:
        row = {"head": head, "relation": relation, "tail": tail, "distribution": side}
        triples.append({"record_id": f"{head}\t{relation}\t{tail}", **row})

    known: list[str] = []
    for number in range(modules):
        module = f"{side}.{rng.choice(WORDS)}{number}"
        lines = [f'"""Module {number}."""', ""]
        for place in range(5):
            first, second = rng.sample(WORDS, 2)
            short = f"{first}_{second}{place}"
            called = rng.sample(known, min(len(known), 3))
            line = len(lines) + 1
            lines += [f"def {short}({first}, {second}):", f'    """Give the {second} of a {first}."""']
            lines += [f"    {second} = {one.rpartition('.')[2]}({first})" for one in called]
            lines += [f"    return {second}", ""]
            name = f"{module}.{short}"
            entities.append(place_of(name, "Function", module, line, len(lines) - 1))
            say(module, "defines", name)
            for one in called:
                say(name, "calls", one)
            pairs.append(
                {
                    "record_id": name, "kind": "docstring", "query": f"Give the {second} of a {first}.",
                    "target": "\n".join(lines[line - 1 :]), "group": side,
                }
            )  # fmt: skip
            known.append(name)
        entities.append(place_of(module, "Module", module, 1, len(lines)))
        say(f"repo:{side}", "contains", module)
        files.append({"file": f"{side}/{module}.py", "text": "\n".join(lines)})
    rows = {"triples": triples, "entities": entities, "files": files, "pairs": pairs}
    return {f"{side}_{part}": write(folder / f"{side}_{part}.jsonl", each) for part, each in rows.items()}


def place_of(name: str, kind: str, module: str, line: int, end_line: int) -> dict[str, Any]:
    side = module.partition(".")[0]
    return {"name": name, "type": kind, "file": f"{side}/{module}.py", "line": line, "end_line": end_line}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("world")
    return {**make_side(folder, "train", 12, 1), **make_side(folder, "dev", 3, 2)}


@pytest.fixture(scope="session")
def world(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(graph, pairs) of the training side as training has them."""
    from corpus import ontology
    from graphmer import data, train
    from graphmer.config import Settings

    settings = Settings.read(PROFILE)
    found = train.read(files, "train")
    pairs = data.pairs(files["train_pairs"])
    tokenizer = train.learnt(found, pairs, settings, tmp_path_factory.mktemp("tokenizer"))
    graph = data.Graph(found, tokenizer, ontology.load(), settings)
    return graph, data.Pairs(pairs, tokenizer, settings), tokenizer


@pytest.fixture(scope="session")
def trained(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model trained on the world."""
    from graphmer.train import train

    out = tmp_path_factory.mktemp("model")
    train({**PROFILE, "epochs": 4, "align_epochs": 6}, files, out)
    return out
