"""Has the subject seen what it is examined on: the same texts, nearly the same ones, the same groups, a giveaway?

Pure functions of items and training rows. They never excuse an overlap; what may be shared is said in the specification
(`split = "transductive"`).
"""

from __future__ import annotations

import csv
import heapq
import json
import math
import re
import zipfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.evidence import CheckResult
from assay.statistics import wilson

EXACT = 0.02
"""Share of items that may occur in the training data word for word: what remains after an honest deduplication."""

NEAR = 0.05
"""The same for near-duplicates, which boilerplate produces by itself."""

SHORTEST = 16
"""Characters from which on a text, or the different numbers of an item together, are no accident when repeated."""

LONGEST = 200
"""Characters up to which a text may be a field of a record; longer ones are texts."""

READABLE = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".npy", ".npz")
"""Kinds of files whose rows are looked at."""

_VECTOR = 4  # numbers from which on an item that is a list of them is looked for
_FEW_ROWS = 10  # of training, below which nothing is said of how many items have a double by accident
_BESIDE = 8  # numbers that a row of training may hold beside those of an item, wherever they stand
_COLUMNS = 64  # numbers of an item up to which its columns are looked for in another order
_SAMPLE = 50  # items of which they are
_FEW_VALUES = 10  # of gold, up to which a feature may tell nearly all of it, or lie on a line with it, honestly
_ROUNDED = 1e-6  # share of gold's range by which a column, in another unit or not, may miss it
_WORD = re.compile(r"\w+")
_SHINGLE = 5
_SKETCH = 4


@dataclass
class Seen:
    """What stands in training data: digests and sketches of its texts, its numbers, its records, values by field."""

    exact: set[bytes] = field(default_factory=set)
    near: set[bytes] = field(default_factory=set)
    fields: dict[str, set[str]] = field(default_factory=dict)
    numbers: dict[int, list[array[float]]] = field(default_factory=dict)
    """By length: of each row the numbers in it, one after the other, and each list of numbers in it by itself."""
    records: list[dict[str, str]] = field(default_factory=list)
    """Of each row that is a mapping its short fields, as texts."""
    unread: list[str] = field(default_factory=list)
    """Names of the files that could not be read for it."""
    _windows: dict[int, set[bytes]] = field(default_factory=dict, repr=False)
    _projections: dict[tuple[str, ...], set[bytes]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Seen:
        """Of rows as JSON and CSV have them: mappings, lists, texts, arrays."""
        seen = cls()
        for row in rows:
            for text in _texts(row):
                words = _words(text)
                seen.exact.add(_digest(text, words))
                seen.near.update(_sketch(words))
            for vector in _vectors(row):
                seen.numbers.setdefault(len(vector), []).append(array("d", vector))
            if isinstance(row, Mapping):
                seen.records.append(_record(row))
            for name, value in row.items() if isinstance(row, Mapping) else [("", row)]:
                if isinstance(value, str) and len(value) <= LONGEST:
                    seen.fields.setdefault(str(name), set()).add(value)
        return seen

    def vector(self, numbers: Sequence[float]) -> bool:
        """Whether the numbers stand in a row, one after the other, with at most a few before or behind them."""
        length = len(numbers)
        if length not in self._windows:
            self._windows[length] = {
                _bits(row[start : start + length])
                for beside in range(_BESIDE + 1)
                for row in self.numbers.get(length + beside, ())
                for start in range(beside + 1)
            }
        return _bits(numbers) in self._windows[length]

    def by_accident(self, items: Sequence[Sequence[float]]) -> float:
        """The share of the items, lists of numbers, that would stand in the data even if those were other rows.

        The probability that a further row is one of those that are there: 1 less the share of rows that are there once
        (Good 1953), where rows are cut to the columns that most of the items are found in. Its upper limit, and three
        standard errors of the items more. How often all rows are shown to training tells nothing.
        """
        expected = 0.0
        for length in {len(item) for item in items}:
            asked = Counter(_bits(item) for item in items if len(item) == length)
            n, there = asked.total(), self._cut(asked, length)
            if not there:
                continue
            shown = math.gcd(*there.values())
            rows, once = there.total() // shown, sum(times == shown for times in there.values())
            if rows < _FEW_ROWS:
                continue
            share = wilson(rows - once, rows, 0.997)[1]
            share += 3 * math.sqrt(share * (1 - share) / n)
            expected += n * min(share, 1.0)
        return expected / len(items)

    def _cut(self, asked: Counter[bytes], length: int) -> Counter[bytes]:
        """Rows of the data cut to `length` columns, where most of what is asked is found; how often each is there."""
        best, found = 0, Counter[bytes]()
        for beside in range(_BESIDE + 1):
            rows = self.numbers.get(length + beside, ())
            for start in range(beside + 1) if rows else ():
                cut = Counter(_bits(row[start : start + length]) for row in rows)
                if (shared := sum(times for one, times in asked.items() if one in cut)) > best:
                    best, found = shared, cut
        return found

    def in_another_order(self, items: Sequence[Sequence[float]]) -> int:
        """How many of the items, lists of different numbers, stand in rows whose columns have one order for all.

        A row may hold a few numbers more, wherever they stand. To be asked of items that stand nowhere in one piece.
        """
        common = Counter(number for item in items for number in _halved(item))
        wanted: dict[float, list[tuple[int, list[float]]]] = {}
        for index, item in enumerate(items):
            numbers = _halved(item)
            wanted.setdefault(min(numbers, key=lambda one: common[one]), []).append((index, numbers))
        found: dict[tuple[int, ...], set[int]] = {}
        lengths = {len(item) + beside for item in items for beside in range(_BESIDE + 1)}
        for row in (row for length in lengths for row in self.numbers.get(length, ())):
            place = {number: at for at, number in enumerate(_halved(row))}
            for telling in wanted.keys() & place.keys():
                for index, numbers in wanted[telling]:
                    if all(number in place for number in numbers):
                        found.setdefault(tuple(place[number] for number in numbers), set()).add(index)
        return max(map(len, found.values()), default=0)

    def record(self, record: Mapping[str, str]) -> bool:
        """Whether a row has all these fields with these values."""
        names = tuple(sorted(record))
        if names not in self._projections:
            rows = (row for row in self.records if row.keys() >= record.keys())
            self._projections[names] = {_digest_of([row[name] for name in names]) for row in rows}
        return _digest_of([record[name] for name in names]) in self._projections[names]

    def without_text(self, item: Any) -> bool | None:
        """Whether an item of numbers stands in the data; None where it says too little for that to be no accident.

        All of its numbers do, in one piece, by the names of its fields, or list by list: a mask, a padding or a
        category that it shares with others says nothing.
        """
        item = _plain(item)
        vectors = _vectors(item)
        is_vector = bool(vectors) and isinstance(item, list | tuple) and len(vectors[0]) == len(item) >= _VECTOR
        if not is_vector and not any(map(_tells, vectors)):
            return None
        whole, *parts = vectors
        record = _record(item) if isinstance(item, Mapping) else {}
        if record and len(record) < len(item):
            record = {}  # what else it holds would not be asked for
        return (
            self.vector(whole)
            or (bool(record) and self.record(record))
            or (bool(parts) and all(map(self.vector, parts)))
        )


def rows(path: Path) -> list[Any] | None:
    """The rows of a file of one of the kinds READABLE; None for what cannot be read as such."""
    try:
        match path.suffix:
            case ".jsonl":
                with path.open(encoding="utf-8") as file:  # not splitlines: a text may hold other ends of lines
                    return [json.loads(line) for line in file if line.strip()]
            case ".json":
                table = json.loads(path.read_text(encoding="utf-8"))
                return table if isinstance(table, list) else _by_row(table)
            case ".csv" | ".tsv":
                with path.open(encoding="utf-8", newline="") as file:
                    return list(csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t"))
            case ".txt":
                with path.open(encoding="utf-8") as file:
                    return [line.rstrip("\n") for line in file]
            case ".npy":
                return list(np.atleast_1d(np.load(path, allow_pickle=False)))
            case ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    return [row for name in arrays.files for row in np.atleast_1d(arrays[name])]
    except (OSError, ValueError, csv.Error, EOFError, RecursionError, zipfile.BadZipFile):
        return None
    return None


def _by_row(table: Any) -> list[Any]:
    """A table that is kept by column as rows, and as it stands: it may be one row that holds lists."""
    columns = {name: one for name, one in table.items() if isinstance(one, list)} if isinstance(table, Mapping) else {}
    length, times = Counter(map(len, columns.values())).most_common(1)[0] if columns else (0, 0)
    if length < 2 or times < 2:
        return [table]
    columns = {name: one for name, one in columns.items() if len(one) == length}
    return [*(dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)), table]


def duplicates(items: Sequence[Any], seen: Seen) -> list[CheckResult]:
    """Items that stand in the training data: exact-duplicates (words, case and punctuation aside), near-duplicates."""
    texts = [max(_texts(item), key=len, default="") for item in items]
    words = list(map(_words, texts))
    found = [
        _digest(text, said) in seen.exact if text else seen.without_text(item)
        for item, text, said in zip(items, texts, words, strict=True)
    ]
    note, accident = "", 0.0
    if any(found):
        flat = [one is not None and _is_flat(item) for item, one in zip(items, found, strict=True)]
        doubles = sum(bool(one) and alone for one, alone in zip(found, flat, strict=True))
        asked = [_plain(item) for item, alone in zip(items, flat, strict=True) if alone]
        accident = seen.by_accident(asked) if doubles else 0.0
        if doubles and doubles / len(asked) <= accident + EXACT:
            found = [one and not alone for one, alone in zip(found, flat, strict=True)]
            note = f"{doubles:,} items stand in the training data, as many as other rows of such numbers would"
    exact = [item for item, one in zip(items, found, strict=True) if one]
    told = (
        f"{len(exact):,} of {len(items):,} items stand in the training data word for word, e.g. {str(exact[:1])[:80]}"
    )
    ok = len(exact) <= EXACT * len(items)
    if not exact:
        told = note or _unexamined(sum(one is None for one in found), len(items), seen.unread)
    if ok and accident < 0.5:  # else most rows would be there in any order
        tables = [_plain(item) for item, one in zip(items, found, strict=True) if one is False and _is_table(item)]
        tables = tables[:: max(1, len(tables) // _SAMPLE)][:_SAMPLE]
        moved = seen.in_another_order(tables)
        if moved * 2 > len(tables):
            ok = False
            told = f"{moved} of {len(tables)} items stand in the training data, their columns in another order"
    checks = [CheckResult(name="exact-duplicates", ok=ok, detail=told)]
    if any(texts):
        near = sum(bool(sketch) and sketch <= seen.near for sketch in map(_sketch, words))
        detail = f"{near:,} of {len(items):,} items are in the training data nearly word for word"
        checks.append(CheckResult(name="near-duplicates", ok=near <= NEAR * len(items), detail=detail if near else ""))
    return checks


def _unexamined(unknown: int, total: int, unread: Sequence[str]) -> str:
    """What a reader of "no duplicates" has to know; empty where everything was looked at."""
    short = f"{unknown:,} of {total:,} items say too little to be recognised" if unknown * 2 > total else ""
    files = f"{', '.join(unread)} cannot be read for it" if unread else ""
    return f"not examined: {'; '.join(filter(None, (short, files)))}" if short or files else ""


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


def handed_over(items: Sequence[Any], gold: Any) -> CheckResult | None:
    """Whether one of the fields or columns of the items that the subject was given is the gold, or a line through it.

    None where gold is no value or list of values for each item, or items have no fields that could be compared with it;
    a single field may well be what is to be given back.
    """
    truth = _one_each(gold)
    if truth is None or len(truth) != len(items):
        return None
    said, columns = list(map(_said, truth)), list(_columns(items))
    different = len(set(said))
    if different < 2 or len(columns) < 2:
        return None
    numbers = _floats(truth)
    many = different > _FEW_VALUES
    wrong = int(EXACT * len(said)) if many else 0
    for name, column in columns:
        values = _floats(column)
        if values is None or numbers is None:
            off = _differ(column, said, wrong)
        else:
            off = int((~(np.abs(values - numbers) <= _ROUNDED * np.ptp(numbers))).sum())
        if off <= wrong:
            return CheckResult(name="gold-in-items", ok=False, detail=f"{name} of every item is its gold")
        if many and values is not None and numbers is not None and _on_a_line(values, numbers):
            told = f"{name} of the items and gold lie on one line: it is the gold in another unit"
            return CheckResult(name="gold-in-items", ok=False, detail=told)
    return CheckResult(name="gold-in-items", ok=True)


def _one_each(gold: Any) -> list[Any] | None:
    """What gold has for each item, a number, a text or a list of them; None for gold of another form."""
    names = ("label", "value", "relevant")
    given = next((gold[name] for name in names if name in gold), None) if isinstance(gold, Mapping) else gold
    values: Any = getattr(given, "tolist", lambda: given)()
    if not isinstance(values, list | tuple):
        return None
    values = list(map(_plain, values))
    return values if all(isinstance(one, str | int | float | list | tuple) for one in values) else None


def _columns(items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Name and values of what every item holds at the same place: a field, a place in a list, and one level deeper."""
    table: Any = items  # a subject is given arrays, too, and lists of them
    if not isinstance(table, np.ndarray) and all(isinstance(one, np.ndarray) for one in items):
        table = np.stack(items) if len({one.shape for one in items}) == 1 else np.array(0)
    if isinstance(table, np.ndarray):
        yield from ((f"column {place}", table[:, place]) for place in range(table.shape[1] if table.ndim == 2 else 0))
        return
    for name, values in _fields(list(map(_plain, items))):
        yield name, values
        yield from ((f"{inner} of {name}", those) for inner, those in _fields(values))


def _fields(values: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    if all(isinstance(one, Mapping) for one in values):
        shared = set.intersection(*(set(one) for one in values))
        yield from ((f'the field "{name}"', [_plain(one[name]) for one in values]) for name in sorted(shared, key=str))
    elif all(isinstance(one, list | tuple) for one in values) and len({len(one) for one in values}) == 1:
        yield from ((f"column {place}", list(column)) for place, column in enumerate(zip(*values, strict=True)))


def _said(value: Any) -> str:
    """A value as it would be written, numbers alike however they are kept."""
    value = _plain(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_said, value))}]"
    number = float(value) if isinstance(value, bool) else _number(value)
    return str(value) if number is None else _written(number)


def _differ(column: Sequence[Any], said: Sequence[str], most: int) -> int:
    """In how many items a column says something else than gold; no further than one more than `most`."""
    count = 0
    for value, other in zip(column, said, strict=True):
        count += _said(value) != other
        if count > most:
            break
    return count


def _floats(values: Any) -> NDArray[np.float64] | None:
    """Values as numbers, where all of them are: kept as numbers, or as texts of numbers."""
    if not isinstance(values, np.ndarray):
        read = [float(one) if isinstance(one, bool) else _number(_plain(one)) for one in values]
        values = np.array([]) if None in read else np.array(read)
    table = values.dtype.kind in "fiub" and values.ndim == 1 and len(values) > 0
    return values.astype(np.float64) if table else None


def _on_a_line(x: NDArray[np.float64], truth: NDArray[np.float64]) -> bool:
    """Whether a line through a column meets gold everywhere, up to rounding."""
    with np.errstate(all="ignore"):
        dx, dy = x - x.mean(), truth - truth.mean()
        return bool(np.abs(dy - dx * (dx @ dy) / (dx @ dx)).max() <= _ROUNDED * np.ptp(truth))


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


def _plain(value: Any) -> Any:
    """What an array or one of its numbers holds; anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _texts(value: Any) -> Iterator[str]:
    """Texts in a value that are long enough to be recognised; a number that a table holds as a text is none."""
    value = _plain(value)
    if isinstance(value, str):
        if len(value) >= SHORTEST and _number(value) is None:
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            if not isinstance(one, int | float):
                yield from _texts(one)


def _vectors(value: Any) -> list[list[float]]:
    """All numbers in a value, in order, and those of each list of numbers in it."""
    parts: list[list[float]] = []

    def collect(value: Any) -> list[float]:
        value = _plain(value)
        if isinstance(value, Mapping | list | tuple):
            inside = value.values() if isinstance(value, Mapping) else value
            own = [number for one in inside for number in collect(one)]
            if isinstance(value, list | tuple) and len(own) == len(value) > 1:
                parts.append(own)
            return own
        number = _number(value)
        return [] if number is None else [number]

    whole = collect(value)
    return parts if whole in parts or not whole else [whole, *parts]


def _number(value: Any) -> float | None:
    """A number, or what a table holds of one as a text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, str) and value[-1:].isdigit():
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _record(row: Mapping[str, Any]) -> dict[str, str]:
    """The short fields of a row, as texts: numbers alike however they are kept."""
    found: dict[str, str] = {}
    for name, value in row.items():
        one = _plain(value)
        number = _number(one)
        if number is not None:
            found[str(name)] = _written(number)
        elif isinstance(one, bool) or (isinstance(one, str) and len(one) <= LONGEST):
            found[str(name)] = str(one)
    return found


def _written(number: float) -> str:
    """A whole number in full, any other in six digits: a float of half the size is the same."""
    return f"{number:.0f}" if number.is_integer() else f"{number:.6g}"


def _tells(numbers: Iterable[float]) -> bool:
    """Whether numbers are no accident together: each counts once, so that zeros of a mask count as one."""
    return sum(len(_written(number)) for number in set(numbers)) >= SHORTEST


def _is_flat(item: Any) -> bool:
    """Whether an item is a list of numbers and nothing else."""
    item = _plain(item)
    return isinstance(item, list | tuple) and all(_number(_plain(one)) is not None for one in item)


def _is_table(item: Any) -> bool:
    """Whether an item is a row of a table, of different numbers that are no accident together."""
    item = _plain(item)
    if not isinstance(item, list | tuple) or not 1 < len(item) <= _COLUMNS:
        return False
    numbers = [one for one in (_number(_plain(one)) for one in item) if one is not None]
    return len(set(numbers)) == len(item) and _tells(numbers)


def _halved(numbers: Sequence[float]) -> list[float]:
    """The numbers as floats of half the size, which a table in text or on disk may keep of them."""
    with np.errstate(over="ignore"):
        found: list[float] = np.asarray(numbers, dtype=np.float32).astype(np.float64).tolist()
    return found


def _bits(numbers: Sequence[float]) -> bytes:
    """Whole numbers in full, others as floats of half the size."""
    exact = np.asarray(numbers, dtype=np.float64) + 0.0  # -0.0 is 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.where(exact == np.round(exact), exact, exact.astype(np.float32))
    return blake2b(found.tobytes(), digest_size=8).digest()


def _digest_of(texts: Sequence[str]) -> bytes:
    return blake2b("\0".join(texts).encode(errors="replace"), digest_size=8).digest()


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _digest(text: str, words: Sequence[str]) -> bytes:
    return _digest_of([" ".join(words) or text])


def _sketch(words: Sequence[str]) -> set[bytes]:
    """The smallest digests of a text's word 5-shingles (bottom-k sketch, Broder 1997); empty for short texts."""
    if len(words) < _SHINGLE + _SKETCH:
        return set()
    shingles = set(map(" ".join, zip(*(words[place:] for place in range(_SHINGLE)), strict=False)))
    return set(heapq.nsmallest(_SKETCH, (blake2b(one.encode(), digest_size=8).digest() for one in shingles)))
