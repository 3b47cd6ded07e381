"""The board: every requirement of every system with its number, its company and its verdict, as data.

Everything that is shown (terminal, HTML, JSON, JUnit, GitHub) is made from these models and nothing else.
"""

from __future__ import annotations

import math
from typing import Any

from assay.evidence import CheckResult, Comparison, Evidence, Pair, SliceValue
from assay.spec import Frozen, Requirement
from assay.verdict import Kind, Move, Verdict


class Row(Frozen):
    """One requirement on one target."""

    requirement: Requirement
    verdict: Verdict
    evidence: Evidence | None = None
    moves: tuple[Move, ...] = ()
    tripped: tuple[CheckResult, ...] = ()
    """Everything that speaks against the row, not only what the verdict names first."""
    waiver: str = ""
    attested: str = ""
    """What attestations say of the row, on each hardware: "cuda: PASS, attested on NVIDIA H200, 2026-11-26"."""
    borrowed: bool = False
    """Whether the evidence is an attestation's, for want of evidence in this ledger."""
    age_s: float | None = None

    @property
    def kind(self) -> Kind:
        return self.verdict.kind


class SystemBoard(Frozen):
    """One system on one target."""

    name: str
    title: str
    target: str
    rows: tuple[Row, ...]
    dropped: tuple[str, ...] = ()
    """Requirements that the lock remembers and the spec no longer demands, with the reason."""
    problems: tuple[str, ...] = ()
    """What keeps the whole board from being trusted (a broken ledger)."""
    moved: tuple[str, ...] = ()
    """Data tables of the specification that are other than when the lock took them in: shown, never judged."""
    attested: tuple[str, ...] = ()
    """What committed attestations say of the system, on this target or on others, as far as it still stands."""

    @property
    def gating(self) -> tuple[Row, ...]:
        """Rows that must be PASS: artifact claims that gate, and with them the mission's method claims.

        A row whose goalpost was moved without a reason for it is among them: it may have gated before.
        """
        return tuple(
            row
            for row in self.rows
            if any(not move.explained_by(row.requirement.reason) for move in row.moves)
            or (row.requirement.gates and (row.requirement.kind == "artifact" or row.requirement.origin == "user"))
        )

    @property
    def done(self) -> bool:
        """DONE: there is at least one gating row, all of them are PASS, and nothing taints the board."""
        gating = self.gating
        return bool(gating) and not self.problems and all(row.verdict.passed for row in gating)

    def counts(self) -> dict[Kind, int]:
        """Rows per verdict."""
        result: dict[Kind, int] = {"PASS": 0, "FAIL": 0, "UNPROVEN": 0, "VOID": 0}
        for row in self.rows:
            result[row.kind] += 1
        return result


class Board(Frozen):
    """All systems asked for."""

    systems: tuple[SystemBoard, ...]

    @property
    def done(self) -> bool:
        return bool(self.systems) and all(system.done for system in self.systems)

    def as_json(self) -> dict[str, Any]:
        """The contract of `assay status --json`; what is not finite is null, as JSON has no word for it."""
        return {"systems": [_finite(_system(system)) for system in self.systems]}


def _system(system: SystemBoard) -> dict[str, Any]:
    return {
        "name": system.name,
        "title": system.title,
        "target": system.target,
        "done": system.done,
        "problems": list(system.problems),
        "dropped": list(system.dropped),
        "moved": list(system.moved),
        "attested": list(system.attested),
        "requirements": [_row(row) for row in system.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    requirement, evidence = row.requirement, row.evidence
    return {
        "id": requirement.id,
        "kind": requirement.kind,
        "origin": requirement.origin,
        "statement": requirement.statement,
        "metric": requirement.metric,
        "gates": requirement.gates,
        "verdict": row.verdict.kind,
        "value": evidence.value if evidence else None,
        "interval": list(evidence.interval) if evidence and evidence.interval else None,
        "bound": requirement.bound.given() if requirement.bound else None,
        "goal": requirement.goal,
        "n": evidence.n if evidence else 0,
        "groups": evidence.groups if evidence else 0,
        "seeds": list(evidence.seeds) if evidence else [],
        "chance": evidence.chance if evidence else None,
        "ceiling": evidence.ceiling if evidence else None,
        "baselines": _comparisons(evidence.baselines) if evidence else {},
        "controls": _comparisons(evidence.controls) if evidence else {},
        "slices": _slices(evidence.slices) if evidence else {},
        "hardware": evidence.hardware.model_dump() if evidence else None,
        "weights": evidence.weights if evidence else None,
        "reason": row.verdict.reason,
        "goalpost": [str(move) for move in row.moves] or None,
        "waiver": row.waiver or None,
        "attested": row.attested or None,
        "age_s": row.age_s,
    }


def _comparisons(table: dict[str, Comparison]) -> dict[str, Any]:
    return {
        name: {
            "value": other.value,
            "difference": _pair(other.interval),
            "beaten": other.beaten,
        }
        for name, other in table.items()
    }


def _slices(table: dict[str, dict[str, SliceValue]]) -> dict[str, Any]:
    return {
        by: {name: {"value": part.value, "interval": _pair(part.interval), "n": part.n} for name, part in parts.items()}
        for by, parts in table.items()
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pair(interval: Pair | None) -> list[float] | None:
    return None if interval is None else list(interval)
