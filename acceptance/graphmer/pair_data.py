"""Texts that ask and texts that answer, for the alignment of vectors: train and dev distributions, never test."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from acceptance import jsonl
from corpus import distributions
from corpus.functions import functions_of
from corpus.pairs import pairs_of
from corpus.splits import split


def build_pairs(
    out: Path, train: Sequence[str], dev: Sequence[str], test: Sequence[str], limit: int, dev_limit: int
) -> None:
    """train_pairs.jsonl and dev_pairs.jsonl: docstring -> function, at most `limit` of them, chosen at random."""
    found = functions_of(distributions.find([*train, *dev, *test]), documented=True)
    sides = split(found, train, dev, test)
    for side, most in (("train", limit), ("dev", dev_limit)):
        pairs = pairs_of(sides[side])
        random.Random(0).shuffle(pairs)
        rows = [
            {"record_id": p.record_id, "kind": "docstring", "query": p.query, "target": p.passage, "group": p.group}
            for p in pairs[:most]
        ]
        jsonl.write(out / f"{side}_pairs.jsonl", rows)
