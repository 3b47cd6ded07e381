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
from corpus import distributions, processes
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
    sides = {"train": train, "dev": dev, "test": test}
    jobs = [
        (side, one, files.get(one.name, files["*"]), largest if side == "train" else 1 << 30, seed)
        for side, names in sides.items()
        for one in distributions.find(names)
    ]
    rows: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    with processes.pool(2) as pool:
        for (side, *_), found in zip(jobs, pool.map(_read, jobs), strict=True):
            rows[side] += found
    for side, found in rows.items():
        jsonl.write(out / f"{side}.jsonl", ({**row, "fit": row["group"] in fit} for row in found))


def _read(job: tuple[str, Distribution, int, int, int]) -> list[dict[str, Any]]:
    side, *asked = job
    return list(_rows(*asked, masked=side != "train"))


def _rows(distribution: Distribution, files: int, largest: int, seed: int, masked: bool) -> Iterator[dict[str, Any]]:
    """`masked` adds the code with every name that an import bound hidden."""
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
            tree = parse(text)
            modules = sorted(imported(tree) - own - {relative.partition("/")[0].removesuffix(".py")})
            code = code_alone(text) if modules else ""
        except UNREADABLE:
            continue
        if not modules:
            continue
        bound = bound_names(tree) if masked else {}
        yield {
            **({"masked": _NAME.sub(lambda found, bound=bound: bound.get(found[0], found[0]), code)} if masked else {}),
            "record_id": f"{distribution.name}/{relative}",
            "group": distribution.name,
            "text": code,
            "modules": modules,
        }
        count += 1
        if count == files:
            return
