"""Code search: docstring -> function by distribution, and a pool of every held-out function, documented or not.

Alone in its file, so that nothing else makes it read the corpus again.
"""

from __future__ import annotations

import random
import re
from dataclasses import asdict
from pathlib import Path

from acceptance import jsonl
from corpus import distributions, pairs
from corpus.functions import functions_of
from corpus.splits import split

_DEFINED = re.compile(r"def\s+(\w+)")


def build_functions(out: Path, train: list[str], dev: list[str], test: list[str]) -> None:
    """train.jsonl, dev.jsonl, test.jsonl: pairs. dev-pool.jsonl, test-pool.jsonl: what is searched, ids and texts."""
    documented = functions_of(distributions.find(train), documented=True)
    others = functions_of(distributions.find([*dev, *test]))
    made = pairs.sides([*documented, *others], train, dev, test, fit=0, held=0)
    for side in ("train", "dev", "test"):
        jsonl.write(out / f"{side}.jsonl", (asdict(row) for row in made[side]))
    apart = split([*documented, *others], train, dev, test)
    for side in ("dev", "test"):
        asked = {pair.record_id: pair.passage for pair in made[side]}
        texts = {each.record_id: each.source for each in apart[side]} | asked
        jsonl.write(out / f"{side}-pool.jsonl", ({"id": name, "text": texts[name]} for name in sorted(texts)))


def build_search_pool(out: Path, functions: str, fit: list[str]) -> None:
    """The two pools alone: what the subject searches, without a word about the answers. fit.jsonl: the training pairs
    of the distributions `fit`, on which it learns to rank."""
    pairs = [row for row in jsonl.read(Path(functions) / "train.jsonl") if row["group"] in fit]
    random.Random(0).shuffle(pairs)
    jsonl.write(out / "fit.jsonl", pairs)
    for name in ("dev-pool", "test-pool"):
        (out / f"{name}.jsonl").write_bytes((Path(functions) / f"{name}.jsonl").read_bytes())
    rows = jsonl.read(Path(functions) / "test-pool.jsonl")
    jsonl.write(out / "nameless-pool.jsonl", ({"id": row["id"], "text": nameless(row["text"])} for row in rows))


def nameless(source: str) -> str:
    """A function that does not say what it is called, nor where it calls itself."""
    found = _DEFINED.search(source)
    return source if found is None else re.sub(rf"\b{found[1]}\b", "function", source)
