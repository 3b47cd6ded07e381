"""Dependency inference: a module's code without its imports, and the top-level modules that it imports.

The imports are read here and nowhere else; a module's own package is no dependency.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from acceptance import jsonl
from corpus import distributions
from corpus.distributions import Distribution
from corpus.hiding import code_alone
from corpus.parsing import UNREADABLE, content_of, parse

LEAST_BYTES = 200
_NAME = re.compile(r"[A-Za-z_]\w*")


def imported(tree: ast.Module) -> set[str]:
    """Top-level names of all absolute imports of a module, wherever they stand."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found - {"__future__"}


def bound_names(tree: ast.Module) -> dict[str, str]:
    """Every name that an import binds -> M0, M1, ... in the order of the text."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                names.setdefault(alias.asname or alias.name.partition(".")[0], f"M{len(names)}")
    return names


def build_dependencies(
    out: Path, train: list[str], dev: list[str], test: list[str], fit: list[str], files: Mapping[str, int],
    largest: int, seed: int,
) -> None:  # fmt: skip
    """train.jsonl, dev.jsonl, test.jsonl: {record_id, group, text, modules, fit}; at most `files` of a distribution.
    `fit` marks what the ranker learns from: no pair that aligns vectors comes from there.

    Training leaves out files beyond `largest` bytes, to keep the data small; dev and test leave out none.
    """
    for side, names in (("train", train), ("dev", dev), ("test", test)):
        limit = largest if side == "train" else 1 << 30
        rows = [
            row for one in distributions.find(names) for row in _rows(one, files.get(one.name, files["*"]), limit, seed)
        ]
        if side == "train":
            rows = [{name: value for name, value in row.items() if name != "masked"} for row in rows]
        jsonl.write(out / f"{side}.jsonl", ({**row, "fit": row["group"] in fit} for row in rows))


def _rows(distribution: Distribution, files: int, largest: int, seed: int) -> Iterator[dict[str, Any]]:
    chosen = [file for file in distribution.files if LEAST_BYTES <= file.stat().st_size <= largest]
    random.Random(seed).shuffle(chosen)
    own = {distribution.relative(file).partition("/")[0].removesuffix(".py") for file in distribution.files}
    if distribution.name == distributions.STANDARD_LIBRARY:
        own = set()
    count = 0
    for file in chosen:
        relative = distribution.relative(file)
        try:
            text = content_of(file).decode("utf-8")
            modules = sorted(imported(parse(text)) - own - {relative.partition("/")[0].removesuffix(".py")})
            code = code_alone(text) if modules else ""
        except UNREADABLE:
            continue
        if not modules:
            continue
        bound = bound_names(parse(text))
        yield {
            "masked": _NAME.sub(lambda found, bound=bound: bound.get(found[0], found[0]), code),
            "record_id": f"{distribution.name}/{relative}",
            "group": distribution.name,
            "text": code,
            "modules": modules,
        }
        count += 1
        if count == files:
            return
