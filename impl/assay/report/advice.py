"""The one most useful next step, read off the board.

It names a command or a row; it never promises that the step will succeed.
"""

from __future__ import annotations

import math

from assay.board import Board, Row, SystemBoard
from assay.report import notation

_OUTDATED = ("stale:", "timed on ", "measured on ")


def next_step(board: Board) -> str:
    """What to do now, as one sentence.

    Order: a tainted ledger, what was never measured, what could not be measured, what cannot be trusted, what
    misses, what is undecided, what only a full run settles; the first system that is not DONE comes first.
    """
    if not board.systems:
        return "no system on the board; `assay init` writes a first specification"
    open_systems = [system for system in board.systems if not system.done]
    if not open_systems:
        return "all DONE; nothing is left to do"
    return _of(open_systems[0])


def _of(system: SystemBoard) -> str:
    command = f"`assay verify {system.name} --hardware {system.target}`"
    if system.problems:
        return f"{system.name}: {system.problems[0]}; then run {command} again"
    rows = [row for row in system.gating if not row.verdict.passed]
    if not rows:
        return f"{system.name}: no row gates; give a requirement a bound in the specification"
    artifact = [row for row in rows if row.requirement.kind == "artifact"]
    if unmeasured := [row for row in artifact if _outdated(row)]:
        return f"{command}: {_rows(unmeasured)} without fresh evidence"
    if broken := [row for row in artifact if row.evidence and row.evidence.outcome != "measured"]:
        return f"{system.name}: make {_name(broken)} measurable: {broken[0].verdict.reason}"
    if void := [row for row in rows if row.kind == "VOID"]:
        return f"{system.name}: find out why {_name(void)} cannot be trusted: {void[0].verdict.reason}"
    if failed := [row for row in rows if row.kind == "FAIL"]:
        nearest = min(failed, key=_distance)
        which = f"{nearest.requirement.id} is the nearest of {len(failed):,} misses" if len(failed) > 1 else (
            f"improve {nearest.requirement.id}")  # fmt: skip
        return f"{system.name}: {which}: {nearest.verdict.reason}"
    method = [row for row in rows if row.requirement.kind == "method" and _outdated(row)]
    if undecided := [row for row in rows if row not in method]:
        return f"{system.name}: settle {_name(undecided)}: {undecided[0].verdict.reason}"
    return f"{command[:-1]} --full`: {_rows(method)} with a method claim, which needs more seeds"


def _outdated(row: Row) -> bool:
    return row.evidence is None or row.verdict.reason.startswith(_OUTDATED)


def _distance(row: Row) -> float:
    """How far the value is from its bound, as a share of the bound; what has no bound counts as far."""
    bound, evidence = row.requirement.bound, row.evidence
    if bound is None or evidence is None or evidence.value is None or bound.holds(evidence.value):
        return math.inf
    return min(abs(evidence.value - x) / (abs(x) or 1.0) for x in bound.numbers)


def _rows(rows: list[Row]) -> str:
    return notation.exact(len(rows)) + (" row" if len(rows) == 1 else " rows")


def _name(rows: list[Row]) -> str:
    return rows[0].requirement.id
