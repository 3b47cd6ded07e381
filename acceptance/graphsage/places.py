"""Where a defect may be: places as words, and what guesses without a model say of held-out mutants."""

from __future__ import annotations

import ast
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance import jsonl
from corpus import defects


def build_guesses(out: Path, learnt: str, asked: str) -> None:
    """A random node, a random place for a defect, the first node of the type most frequent in the pairs `learnt`."""
    kind = most_frequent_type(jsonl.read(Path(learnt)))
    mutants = [row["mutant"] for row in jsonl.read(Path(asked))]
    rng = random.Random(0)
    guesses = {
        "random-node": [named(rng.choice(spans(source))) for source in mutants],
        "random-site": [named(rng.choice(sites(source))) for source in mutants],
        "frequent-type": [named(first_of_type(source, kind)) for source in mutants],
    }
    (out / "guesses.json").write_text(json.dumps(guesses))


def named(span: Sequence[int]) -> str:
    """A span as one word, which is compared a thousand times faster than it is as a list by every resampling."""
    return ":".join(map(str, span))


def spans(source: str) -> list[list[int]]:
    """Every node's place: what a random guess would choose from."""
    return [
        [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]
        for node in ast.walk(ast.parse(source))
        if hasattr(node, "end_col_offset")
    ]


def sites(source: str) -> list[tuple[int, int, int, int]]:
    """Places at which some operator could act; every node where there is none (the defect took the only one)."""
    return [site.span for site in defects.sites(source)] or [tuple(span) for span in spans(source)]


def most_frequent_type(rows: Iterable[Mapping[str, Any]]) -> str:
    """The type of node that defects of training functions most often sit on."""
    return Counter(_type_at(row["mutant"], row["span"]) for row in rows).most_common(1)[0][0]


def first_of_type(source: str, kind: str) -> list[int]:
    """The first node of that type, or of any type when there is none."""
    nodes = [node for node in ast.walk(ast.parse(source)) if hasattr(node, "end_col_offset")]
    node = next((n for n in nodes if type(n).__name__ == kind), nodes[0])
    return [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]


def _type_at(source: str, span: Sequence[int]) -> str:
    for node in ast.walk(ast.parse(source)):
        if hasattr(node, "end_col_offset") and list(span) == [
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset,
        ]:  # fmt: skip
            return type(node).__name__
    return "?"
