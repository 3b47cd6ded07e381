"""The graph of some distributions as training gets it, for two sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpus import bridge, graph
from corpus import facts as corpus_facts

PARTS = corpus_facts.PARTS


def build_facts(out: Path, train: Sequence[str], dev: Sequence[str]) -> None:
    """For each side SIDE_triples.jsonl, SIDE_entities.jsonl and SIDE_files.jsonl."""
    for side, names in (("train", train), ("dev", dev)):
        found = bridge.chosen(names, tests=[])
        corpus_facts.write(out, side, found, graph.cached(found, processes=2))
