"""Has the subject seen what it is examined on: the same texts, nearly the same ones, the same groups, a giveaway?

Pure functions of items and training rows. They never excuse an overlap; what may be shared is said in the specification
(`split = "transductive"`).
"""

from __future__ import annotations

import csv
import heapq
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from assay.evidence import CheckResult

EXACT = 0.02
"""Share of items that may occur in the training data word for word: what remains after an honest deduplication."""

NEAR = 0.05
"""The same for near-duplicates, which boilerplate produces by itself."""

SHORTEST = 16
"""Characters from which on a text is long enough that a repetition is no accident."""

_WORD = re.compile(r"\w+")
_SHINGLE = 5
_SKETCH = 4


@dataclass
class Seen:
    """What stands in training data: digests of its texts and vectors, sketches of its texts, values by field."""

    exact: set[bytes] = field(default_factory=set)
    near: set[bytes] = field(default_factory=set)
    fields: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Seen:
        """Of rows as JSON has them: mappings, lists, texts."""
        seen = cls()
        for row in rows:
            for name, value in row.items() if isinstance(row, Mapping) else [("", row)]:
                for one in _values(value):
                    words = _words(one)
                    seen.exact.add(_digest(one, words))
                    seen.near.update(_sketch(words))
                if isinstance(value, str) and len(value) <= 200:
                    seen.fields.setdefault(str(name), set()).add(value)
        return seen


def rows(path: Path) -> list[Any] | None:
    """The rows of a .jsonl, .json or .csv file; None for what cannot be read as such."""
    try:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if path.suffix == ".json":
            table = json.loads(path.read_text(encoding="utf-8"))
            return table if isinstance(table, list) else [table]
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error):
        return None
    return None


def duplicates(items: Sequence[Any], seen: Seen) -> list[CheckResult]:
    """Items that stand in the training data: exact-duplicates (words, case and punctuation aside), near-duplicates."""
    texts = [max((one for one in _values(item)), key=_length, default=None) for item in items]
    given = [one for one in texts if one is not None]
    if not given:
        return []
    words = [_words(one) for one in given]
    exact = [one for one, each in zip(given, words, strict=True) if _digest(one, each) in seen.exact]
    share = len(exact) / len(items)
    detail = (
        f"{len(exact):,} of {len(items):,} items stand in the training data word for word, e.g. {str(exact[:1])[:80]}"
    )
    checks = [CheckResult(name="exact-duplicates", ok=share <= EXACT, detail=detail if exact else "")]
    if any(isinstance(one, str) for one in given):
        near = sum(bool(sketch) and sketch <= seen.near for sketch in map(_sketch, words))
        share = near / len(items)
        detail = f"{near:,} of {len(items):,} items are in the training data nearly word for word"
        checks.append(CheckResult(name="near-duplicates", ok=share <= NEAR, detail=detail if near else ""))
    return checks


def shared_groups(groups: Sequence[Any], seen: Seen) -> CheckResult | None:
    """Whether the groups that were sampled stand in a field of the training data, too: a split by row.

    None where the groups are no texts, or only one: an accident could not be told from a leak.
    """
    own = {one for one in groups if isinstance(one, str)}
    if len(own) < 2:
        return None
    for name, values in seen.fields.items():
        shared = own & values
        if len(shared) * 2 >= len(own):
            detail = f'{len(shared)} of {len(own)} groups are in the training data (field "{name}"): split by group'
            return CheckResult(name="group-leakage", ok=False, detail=detail)
    return CheckResult(name="group-leakage", ok=True)


def giveaway(queries: Sequence[str], positives: Sequence[str], limit: float = 0.1) -> CheckResult:
    """Whether queries are literal pieces of what they are to find.

    Args:
        queries: N texts; positives: N texts, the right answer to each.
        limit: share of queries that may stand in their positive word for word.
    """
    pairs = list(zip(queries, positives, strict=True))
    plain = [(" ".join(_words(query)), " ".join(_words(positive))) for query, positive in pairs]
    inside = [query for query, positive in plain if query and f" {query} " in f" {positive} "]
    detail = f"{len(inside)} of {len(pairs)} queries stand in their positive word for word"
    return CheckResult(name="overlap", ok=len(inside) <= limit * len(pairs), detail=detail if inside else "")


def _values(value: Any) -> Iterator[Any]:
    """Texts and vectors in a value that are long enough to be recognised."""
    if isinstance(value, str):
        if len(value) >= SHORTEST:
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _values(one)
    elif isinstance(value, list | tuple):
        if len(value) >= 4 and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
            yield tuple(float(one) for one in value)
        elif not all(isinstance(one, int | float) for one in value):
            for one in value:
                yield from _values(one)


def _length(value: Any) -> int:
    return len(value)


def _words(value: Any) -> list[str]:
    """Lower-case words of a text; none of anything else."""
    return _WORD.findall(value.lower()) if isinstance(value, str) else []


def _digest(value: Any, words: Sequence[str]) -> bytes:
    text = " ".join(words) or value if isinstance(value, str) else repr(value)
    return blake2b(text.encode(errors="replace"), digest_size=8).digest()


def _sketch(words: Sequence[str]) -> set[bytes]:
    """The smallest digests of a text's word 5-shingles (bottom-k sketch, Broder 1997); empty for short texts."""
    if len(words) < _SHINGLE + _SKETCH:
        return set()
    shingles = set(map(" ".join, zip(*(words[place:] for place in range(_SHINGLE)), strict=False)))
    return set(heapq.nsmallest(_SKETCH, (blake2b(one.encode(), digest_size=8).digest() for one in shingles)))
