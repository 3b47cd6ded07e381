"""Data to train on where nobody hands over any: the graph and the documented functions of two sides.

It must never put one distribution on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus import distributions, facts, folders, graph
from corpus.distributions import Distribution
from corpus.functions import functions_of
from corpus.pairs import pairs_of
from graphmer.errors import GraphmerError

SIDES = ("train", "dev")


def files(folder: Path) -> dict[str, Path]:
    """What training reads, by name, in a folder that `write` filled. GraphmerError names what is missing."""
    found = {f"{side}_{part}": folder / f"{side}_{part}.jsonl" for side in SIDES for part in (*facts.PARTS, "pairs")}
    for path in found.values():
        if not path.is_file():
            raise GraphmerError(f"{path}: is not there; leave --data out, or write it with python -m graphmer prepare")
    return found


def specified(out: Path, spec: Mapping[str, Any], profile: str) -> None:
    """Write the data that a specification names."""
    tables = {name: {**table, **table.get(profile, {})} for name, table in spec["data"].items()}
    for side in SIDES:
        known = distributions.find(tables["facts"][side])
        texts = distributions.find(tables["corpus"][side])
        write(out, side, known, texts, tables["pairs"]["limit" if side == "train" else "dev_limit"])


def of_folders(out: Path, train: Sequence[Path], dev: Sequence[Path]) -> None:
    """Write the data of project folders."""
    for side, paths in zip(SIDES, (train, dev), strict=True):
        found = [folders.distribution(path) for path in paths]
        write(out, side, found, found, None)


def write(
    out: Path, side: str, known: Sequence[Distribution], texts: Sequence[Distribution], limit: int | None
) -> None:
    """Write the facts of `known` and at most `limit` pairs docstring -> function of `texts` as one side."""
    import random

    out.mkdir(parents=True, exist_ok=True)
    facts.write(out, side, known, graph.build(known, out / f"{side}_graph" / "graph.jsonl"))
    pairs = pairs_of(functions_of(texts, documented=True))
    random.Random(0).shuffle(pairs)
    if not pairs:
        raise GraphmerError(f"{side}: no documented function in {', '.join(each.name for each in texts)}")
    with (out / f"{side}_pairs.jsonl").open("w", encoding="utf-8") as file:
        for pair in pairs[:limit]:
            row = {"record_id": pair.record_id, "kind": "docstring", "query": pair.query, "target": pair.passage}
            file.write(json.dumps({**row, "group": pair.group}, ensure_ascii=False) + "\n")
