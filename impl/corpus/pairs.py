"""Docstring -> function pairs on five sides: what a retriever trains on, is tuned on and is judged by.

The first paragraph of the docstring is the query, the function without its docstring the passage. Sides are
distributions; an equal query is never on two of them, a near-duplicate of a passage seldom (`NEAR`). It must never
keep a query that its passage holds verbatim: finding it would prove nothing.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from corpus.errors import CorpusError
from corpus.functions import Function
from corpus.splits import split

MIN_WORDS: Final = 3  # shorter queries name nothing: "Constructor.", "See above."
NEAR: Final = 0.8
"""Jaccard similarity of token 4-grams around which two passages are taken for one. The index has 5 bands of 11 rows:
it finds 36 % of pairs at .80, 60 % at .85, 85 % at .90. Of 38,843 passages an exact join finds 136 pairs from .80 on
that were kept, 42 of them across training, fit and held, none with dev or test."""
PERMUTATIONS: Final = 64

_WORD: Final = re.compile(r"\w+")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_PARAGRAPH: Final = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and the one passage that answers it; `group` is what splits go by, `cluster` a finer unit."""

    record_id: str
    group: str
    cluster: str
    query: str
    passage: str


def query_of(docstring: str) -> str:
    """First paragraph on one line; "" where it is too short or an example session."""
    text = " ".join(_PARAGRAPH.split(docstring.strip(), maxsplit=1)[0].split())
    return "" if text.startswith(">>>") or len(_WORD.findall(text)) < MIN_WORDS else text


def pairs_of(functions: Iterable[Function]) -> list[Pair]:
    """Pairs of documented functions, without queries that stand in their own passage."""
    found = []
    for each in functions:
        query = query_of(each.docstring)
        if query and query not in each.source:
            found.append(Pair(each.record_id, each.distribution, each.module, query, each.source))
    return found


def sides(
    functions: Iterable[Function],
    train: Sequence[str],
    dev: Sequence[str],
    test: Sequence[str],
    fit: int,
    held: int,
) -> dict[str, list[Pair]]:
    """{"train", "fit", "held", "dev", "test"}: pairs by distribution, no two sides sharing a query or a passage.

    `fit` and `held` are that many functions of the training distributions that are not trained on, chosen by a hash of
    their record ids: the statistics of embeddings are fitted on one and measured on the other.
    Raises CorpusError when the training distributions hold no more than `fit + held` pairs.
    """
    found = {side: pairs_of(rows) for side, rows in split(functions, train, dev, test).items()}
    queries: set[str] = set()
    near = _Near()
    kept = {side: list(_new(rows, queries, near)) for side, rows in found.items()}
    if len(kept["train"]) <= fit + held:
        raise CorpusError(
            f"the training distributions hold {len(kept['train']):,} pairs, {fit + held:,} are to be held back: "
            "name more distributions, or hold back fewer"
        )
    drawn = sorted(kept["train"], key=lambda pair: zlib.crc32(pair.record_id.encode()))
    side_of = {pair.record_id: "fit" for pair in drawn[:fit]}
    side_of |= {pair.record_id: "held" for pair in drawn[fit : fit + held]}
    result: dict[str, list[Pair]] = {"train": [], "fit": [], "held": []}
    for pair in kept["train"]:
        result[side_of.get(pair.record_id, "train")].append(pair)
    return {**result, "dev": kept["dev"], "test": kept["test"]}


def _new(rows: Iterable[Pair], queries: set[str], near: "_Near") -> Iterator[Pair]:
    """Pairs whose query and passage no earlier pair has: the later side gives way."""
    for pair in rows:
        key = " ".join(_WORD.findall(pair.query.lower()))
        if key not in queries and near.is_new(pair.record_id, pair.passage):
            queries.add(key)
            yield pair


class _Near:
    """Passages seen so far, by MinHash of their token 4-grams (Broder 1997)."""

    def __init__(self) -> None:
        from datasketch import MinHash, MinHashLSH
        from xxhash import xxh32_intdigest

        self._index = MinHashLSH(threshold=NEAR, num_perm=PERMUTATIONS)
        self._blank = MinHash(num_perm=PERMUTATIONS, hashfunc=xxh32_intdigest)

    def is_new(self, key: str, text: str) -> bool:
        tokens = _TOKEN.findall(text)
        shifted = [tokens[place:] for place in range(4)] if len(tokens) > 4 else [[" ".join(tokens)]]
        grams = set(map(" ".join, zip(*shifted, strict=False)))
        sketch = self._blank.copy()  # drawing the permutations takes as long as hashing a passage
        sketch.update_batch([gram.encode() for gram in grams])
        if self._index.query(sketch):
            return False
        self._index.insert(key, sketch, check_duplication=False)
        return True
