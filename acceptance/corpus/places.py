"""Is what a triple says written where it points? The files are opened here; the subject is not asked."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance.corpus.conftest import DISTRIBUTION, FILE, HEAD, LINE, RELATION, TAIL
from assay.evidence import CheckResult

Row = Sequence[Any]

INTRODUCED = {"defines": TAIL, "declares": TAIL, "writes_to": TAIL, "overrides": TAIL, "defined_in": HEAD}
"""Relation -> the end whose name the place holds without exception: it is introduced or stored there."""

NAMED = (
    "calls", "instantiates", "reads_from", "uses", "imports", "inherits_from", "implements", "returns", "raises",
    "catches", "annotated_with", "tests", "depends_on",
)  # fmt: skip
"""Relations whose place names the tail, unless it is known there by another name."""

STRANGE = 0.05
"""Share of places that may not: what another module renames is called by its new name. Of the default corpus 1.4 % do
not; of places one line off 96 %."""


class Places:
    """The files of the graph by distribution, read when a triple points into them."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = roots

    @functools.cache  # noqa: B019 - lives as long as the test
    def _lines(self, distribution: str, file: str) -> list[bytes]:
        """Lines as Python counts them; none where there is no such file."""
        path = self._roots[distribution] / file
        return re.split(rb"\r\n|\r|\n", path.read_bytes()) if path.is_file() else []

    def span(self, row: Row) -> bytes | None:
        """The text that the row points at; None where it does not lie in the file."""
        lines = self._lines(row[DISTRIBUTION], row[FILE])
        line, column, last, end = row[LINE:]
        if not (1 <= line <= last <= len(lines) and column >= 0 and (line, column) <= (last, end)):
            return None
        if column > len(lines[line - 1]) or end > len(lines[last - 1]):
            return None
        return b"\n".join([*lines[line - 1 : last - 1], lines[last - 1][:end]])[column:]

    def holds(self, row: Row) -> bool:
        """Whether the place lies in the file and, where the relation introduces an end, holds its name."""
        span = self.span(row)
        introduced = INTRODUCED.get(row[RELATION])
        return span is not None and (introduced is None or _stands(row[introduced], span))

    def names(self, row: Row) -> bool:
        """Whether the tail's last name stands at the place, or one that the file gives it by `as` or `=`."""
        span = self.span(row)
        if span is None:
            return False
        lines = self._lines(row[DISTRIBUTION], row[FILE])
        if row[RELATION] == "imports":  # the module stands before the name that is taken from it
            span = b"\n".join(lines[row[LINE] - 1 : row[LINE + 2]])
        if _stands(row[TAIL], span):
            return True
        name = re.escape(_leaf(row[TAIL]))
        others = re.findall(rf"\b{name}\b.*\bas\s+(\w+)|\b(\w+)\s*=.*\b{name}\b", _text(b"\n".join(lines)))
        return any(_stands(by_as or assigned, span) for by_as, assigned in others)


def named_places(places: Places, rows: Sequence[Row], count: int, seed: int) -> list[CheckResult]:
    """The doubt whether places are those of their triples: of `count` rows drawn nearly all must name the tail."""
    named = [row for row in rows if row[RELATION] in NAMED]
    drawn = random.Random(seed).sample(named, min(count, len(named)))
    strange = [row for row in drawn if not places.names(row)]
    examples = [f"{' '.join(row[:3])}: {row[FILE]}:{row[LINE]}" for row in strange[:5]]
    detail = f"{len(drawn) - len(strange)} of {len(drawn)} places name the tail; not {'; '.join(examples)}"
    return [CheckResult(name="places", ok=len(strange) <= STRANGE * len(drawn), detail=detail)]


def _leaf(name: str) -> str:
    return re.split("[.:/]", name)[-1]


def _stands(name: str, text: bytes) -> bool:
    return re.search(rf"(?<!\w){re.escape(_leaf(name))}(?!\w)", _text(text)) is not None


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace")
