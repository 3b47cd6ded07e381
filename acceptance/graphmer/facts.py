"""The graph of some distributions as training gets it, for two sides; what link prediction asks for is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from acceptance import jsonl
from corpus import bridge, graph
from corpus import facts as corpus_facts

PARTS = corpus_facts.PARTS


def build_facts(out: Path, train: Sequence[str], dev: Sequence[str], links: str) -> None:
    """For each side SIDE_triples.jsonl, SIDE_entities.jsonl and SIDE_files.jsonl.

    What is held out of the training graph is left out here, with whatever else is said of the same two ends.
    """
    for side, names in (("train", train), ("dev", dev)):
        _write(out, side, names)
    held = {
        (row["head"], row["tail"]) for name in ("examples", "test") for row in jsonl.read(Path(links) / f"{name}.jsonl")
    }
    path = out / "train_triples.jsonl"
    jsonl.write(path, [row for row in jsonl.read(path) if (row["head"], row["tail"]) not in held])


def build_unseen(out: Path, distributions: Sequence[str]) -> None:
    """The same of one more side, which training is not even evaluated on: test_triples.jsonl and so on."""
    _write(out, "test", distributions)


def _write(out: Path, side: str, names: Sequence[str]) -> None:
    found = bridge.chosen(names, tests=[])
    corpus_facts.write(out, side, found, graph.cached(found, processes=2))
