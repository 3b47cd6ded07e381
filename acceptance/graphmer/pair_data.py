"""Texts that ask and texts that answer, for the alignment of vectors: train and dev distributions, never test.

Three kinds: docstring -> function; the name of a tail -> relation and code of its head; a module -> the code of a file
that imports it. The distributions that fit rankers give no docstrings and no files: a ranker must not learn from
vectors that were aligned on its own examples.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from acceptance import jsonl
from acceptance.graphmer.dependency_baselines import SEEN
from acceptance.graphmer.link_data import GIVEN_BY_NAMES

LONGEST = 2_000
"""Characters of a text: more than any window of the encoder."""

Row = dict[str, Any]


def build_pairs(
    out: Path, functions: str, links: str, dependencies: str, fit: Sequence[str], limit: int, tails: int, modules: int,
    dev_limit: int,
) -> None:  # fmt: skip
    """train_pairs.jsonl and dev_pairs.jsonl: at most so many of each kind, drawn at random."""
    limits = {"docstring": limit, "tail": tails, "module": modules}
    code = _Code(Path(links))
    for side, triples in (("train", "triples"), ("dev", "examples")):
        kinds = {
            "docstring": _docstrings(jsonl.read(Path(functions) / f"{side}.jsonl"), fit),
            "tail": _tails(jsonl.read(Path(links) / f"{triples}.jsonl"), code),
            "module": _modules(jsonl.read(Path(dependencies) / f"{side}.jsonl"), fit),
        }
        rows = [
            row
            for kind, found in kinds.items()
            for row in _drawn(list(found), limits[kind] if side == "train" else dev_limit)
        ]
        jsonl.write(out / f"{side}_pairs.jsonl", rows)


def _drawn(rows: list[Row], most: int) -> list[Row]:
    random.Random(0).shuffle(rows)
    return rows[:most]


def _docstrings(rows: Sequence[Row], fit: Sequence[str]) -> Iterator[Row]:
    for row in rows:
        if row["group"] not in fit:
            yield _pair(row["record_id"], "docstring", row["query"], row["passage"], row["group"])


class _Code:
    """The code of heads, imports hidden."""

    def __init__(self, links: Path) -> None:
        self._entities = {row["name"]: row for row in jsonl.read(links / "entities.jsonl")}
        self._files = {row["file"]: row["text"].split("\n") for row in jsonl.read(links / "files.jsonl")}

    def of(self, name: str) -> str:
        row = self._entities[name]
        lines = self._files.get(row["file"], [])[row["line"] - 1 : row["end_line"]]
        return "\n".join(line for line in lines if line.strip() != "pass")[:LONGEST]


def _tails(rows: Sequence[Row], code: _Code) -> Iterator[Row]:
    for row in rows:
        head, relation, tail = row["head"], row["relation"], row["tail"]
        if relation in GIVEN_BY_NAMES or not (text := code.of(head)):
            continue
        name = "\t".join((head, relation, tail))
        yield _pair(name, "tail", tail, f"{relation} | {head}\n{text}", row["distribution"])


def _modules(rows: Sequence[Row], fit: Sequence[str]) -> Iterator[Row]:
    counts = Counter(module for row in rows for module in row["modules"])
    for row in rows:
        for module in row["modules"]:
            if row["group"] not in fit and counts[module] >= SEEN:
                name = f"{row['record_id']}\t{module}"
                yield _pair(name, "module", f"imports | {module}", row["text"][:LONGEST], row["group"])


def _pair(record_id: str, kind: str, query: str, target: str, group: str) -> Row:
    return {"record_id": record_id, "kind": kind, "query": query, "target": target, "group": group}
