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


def build_functions(out: Path, train: list[str], dev: list[str], test: list[str], fit: list[str]) -> None:
    """train.jsonl, dev.jsonl, test.jsonl: pairs. fit-pool.jsonl (of the training distributions `fit`), dev-pool.jsonl,
    test-pool.jsonl: what is searched, documented or not, ids and texts."""
    documented = functions_of(distributions.find(train), documented=True)
    undocumented = [each for each in functions_of(distributions.find(fit)) if not each.docstring]
    others = functions_of(distributions.find([*dev, *test]))
    made = pairs.sides([*documented, *others], train, dev, test, fit=0, held=0)
    for side in ("train", "dev", "test"):
        jsonl.write(out / f"{side}.jsonl", (asdict(row) for row in made[side]))
    apart = split([*documented, *undocumented, *others], train, dev, test)
    pools = {"fit": "train", "dev": "dev", "test": "test"}
    for pool, side in pools.items():
        rows, asked = apart[side], made[side]
        if pool == "fit":
            rows = [each for each in rows if each.distribution in fit]
            asked = [pair for pair in asked if pair.group in fit]
        texts = {each.record_id: each.source for each in rows} | {pair.record_id: pair.passage for pair in asked}
        jsonl.write(out / f"{pool}-pool.jsonl", ({"id": name, "text": texts[name]} for name in sorted(texts)))


def build_search_pool(out: Path, functions: str, fit: list[str]) -> None:
    """The pools alone: what the subject searches, without a word about the answers. fit.jsonl: the training pairs of
    the distributions `fit`, on which it learns to rank, among all of their functions."""
    pairs = [row for row in jsonl.read(Path(functions) / "train.jsonl") if row["group"] in fit]
    random.Random(0).shuffle(pairs)
    jsonl.write(out / "fit.jsonl", pairs)
    for name in ("fit-pool", "dev-pool", "test-pool"):
        (out / f"{name}.jsonl").write_bytes((Path(functions) / f"{name}.jsonl").read_bytes())
    rows = jsonl.read(Path(functions) / "test-pool.jsonl")
    jsonl.write(out / "nameless-pool.jsonl", ({"id": row["id"], "text": nameless(row["text"])} for row in rows))


def nameless(source: str) -> str:
    """A function that does not say what it is called, nor where it calls itself."""
    found = _DEFINED.search(source)
    return source if found is None else re.sub(rf"\b{found[1]}\b", "function", source)
