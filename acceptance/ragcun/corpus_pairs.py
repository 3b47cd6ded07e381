"""Docstring -> function pairs of the corpus. Alone in its file, so that nothing else makes it read the corpus again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from acceptance import jsonl
from corpus import distributions, pairs
from corpus.functions import functions_of


def build_pairs(out: Path, train: list[str], dev: list[str], test: list[str], fit: int, held: int) -> None:
    """Docstring -> function pairs on five sides, a JSON Lines file each."""
    found = functions_of(distributions.find([*train, *dev, *test]), documented=True)
    for side, rows in pairs.sides(found, train, dev, test, fit, held).items():
        jsonl.write(out / f"{side}.jsonl", (asdict(row) for row in rows))
