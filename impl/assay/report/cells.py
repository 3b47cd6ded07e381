"""One row of the board as short texts, so that every report says the same thing in the same words.

Nothing is judged here: words come from the verdict, numbers from the evidence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from assay.board import Row, SystemBoard
from assay.evidence import Comparison, Hardware
from assay.report import notation
from assay.report.notation import Measured
from assay.spec import Requirement


class Rival(NamedTuple):
    """A baseline beside the subject: its name, value and the paired lead over it, as text."""

    name: str
    value: str
    lead: str
    margin: str
    """What the spec demands beyond mere lead ("by 0.06"); it is already taken off the lead."""

    @property
    def other(self) -> str:
        """Name and value."""
        return f"{self.name} {self.value}"

    def __str__(self) -> str:
        net = " net of margin" if self.lead and self.margin else ""
        return self.other + (f", {self.lead}{net}" if self.lead else "")


def measured(row: Row) -> Measured:
    """Value, interval and unit; empty texts when nothing was measured."""
    evidence = row.evidence
    if evidence is None or evidence.value is None:
        return Measured("", "", "")
    landmarks = row.requirement.bound.numbers if row.requirement.bound else ()
    return notation.measured(evidence.value, evidence.interval, landmarks, unit(row))


def unit(row: Row) -> str:
    """The unit of the row's values."""
    return notation.unit(row.requirement.metric)


def demand(requirement: Requirement, *, typographic: bool = False) -> str:
    """What the row demands, short: its bound, or that it must beat something, or that it is only reported."""
    if requirement.bound is not None:
        return notation.bound(requirement.bound, notation.unit(requirement.metric), typographic=typographic)
    if requirement.beats:
        return "beats baseline" if len(requirement.beats) == 1 else "beats baselines"
    return "not worse" if requirement.not_worse else "reported"


def size(row: Row) -> str:
    """Items measured, and groups in brackets: "1,240 (37)"; empty without evidence.

    No groups where each item is one of its own.
    """
    evidence = row.evidence
    if evidence is None or evidence.outcome != "measured":
        return ""
    return f"{evidence.n:,}" + (f" ({evidence.groups:,})" if evidence.groups not in (0, evidence.n) else "")


def sample(row: Row) -> str:
    """The same in words: "n 1,240 in 37 groups"."""
    items, _, groups = size(row).rstrip(")").partition(" (")
    return f"n {items}" + (f" in {groups} group{'' if groups == '1' else 's'}" if groups else "") if items else ""


def chance(row: Row) -> str:
    """The chance level, or the empty string where there is none."""
    return "" if row.evidence is None or row.evidence.chance is None else notation.number(row.evidence.chance)


def strongest(row: Row) -> Rival | None:
    """The baseline that the subject is least ahead of: by paired difference, else by value."""
    table = row.evidence.baselines if row.evidence else {}
    known = {name: c for name, c in table.items() if c.value is not None or c.difference is not None}
    if not known:
        return None
    return rival(row, min(known, key=lambda name: _lead(row, known[name])))


def rival(row: Row, name: str) -> Rival:
    """The baseline of that name as texts."""
    assert row.evidence is not None
    other = row.evidence.baselines[name]
    lead = notation.difference(other.difference, other.interval)
    return Rival(name, notation.number(other.value), lead, margin(row.requirement, name))


def margin(requirement: Requirement, baseline: str) -> str:
    """The margin that the spec demands over a baseline, in words; empty when bare lead is enough."""
    for beat in requirement.beats:
        if beat.baseline == baseline:
            parts = [f"{notation.exact(round(beat.relative * 100, 6))} %"] if beat.relative else []
            parts += [notation.exact(beat.margin)] if beat.margin else []
            return f"by {' and '.join(parts)}" if parts else ""
    for row in requirement.not_worse:
        if row.than == baseline and row.margin:
            return f"may lose {notation.exact(row.margin)}"
    return ""


def remarks(row: Row) -> list[str]:
    """What must be said even on a PASS: moved goalposts with the written reason, waivers, evidence of elsewhere."""
    said = [f"{move}" for move in row.moves]
    if said and row.requirement.reason:
        said[-1] += f" ({row.requirement.reason})"
    said += [f"waived: {row.waiver}"] if row.waiver else []
    return [*said, *([f"not measured here; {row.attested}"] if row.borrowed else [])]


def hardware(system: SystemBoard) -> list[str]:
    """The distinct machines on which the system's evidence was taken, as texts, in order of the rows."""
    found: dict[str, None] = {}
    for row in system.rows:
        if row.evidence is not None:
            machine = row.evidence.hardware
            parts = [machine.model or machine.kind]
            parts += [units(machine)] if machine.cores else []
            parts += [f"{notation.number(machine.memory_gib)} GiB"] if machine.memory_gib else []
            found[", ".join(parts)] = None
    return list(found)


def units(machine: Hardware) -> str:
    """How many cores a processor, or how many devices of an accelerator: "2 cores", "1 device"."""
    name = "core" if machine.kind == "cpu" else "device"
    return f"{machine.cores:,} {name}{'' if machine.cores == 1 else 's'}"


def groups(system: SystemBoard) -> list[tuple[str, list[Row]]]:
    """The rows by what hangs on them, spec order inside: artifact claims, method claims, reported rows."""
    gating = [row for row in system.rows if row.requirement.gates]
    parts = [
        ("Artifact claims", [row for row in gating if row.requirement.kind == "artifact"]),
        ("Method claims", [row for row in gating if row.requirement.kind == "method"]),
        ("Reported, never gates", [row for row in system.rows if not row.requirement.gates]),
    ]
    return [(title, rows) for title, rows in parts if rows]


def standing(system: SystemBoard) -> str:
    """DONE or NOT DONE."""
    return "DONE" if system.done else "NOT DONE"


def tally(system: SystemBoard) -> str:
    """How many of the rows that must be PASS are: "6 of 11 gating rows PASS"."""
    gating = system.gating
    if not gating:
        return "no gating rows"
    return f"{sum(row.verdict.passed for row in gating)} of {len(gating)} gating rows PASS"


def _lead(row: Row, other: Comparison) -> tuple[int, float]:
    if other.difference is not None and not math.isnan(other.difference):
        return 0, other.difference
    if other.value is None or math.isnan(other.value):
        return 1, math.inf
    bound = row.requirement.bound
    less_is_better = bound is not None and (bound.at_most is not None or bound.below is not None)
    return 1, other.value if less_is_better else -other.value
