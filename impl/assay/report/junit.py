"""A row as `user_properties` of its pytest item, which pytest writes into the JUnit file.

Machine-readable: full precision, no thousands separators, nothing rounded.
"""

from __future__ import annotations

import json

from assay.board import Row
from assay.evidence import Pair


def properties(row: Row) -> list[tuple[str, str]]:
    """(name, value) pairs: what and which verdict, then the number and its company as far as they exist."""
    requirement, evidence = row.requirement, row.evidence
    result = [
        ("requirement", requirement.id),
        ("kind", requirement.kind),
        ("origin", requirement.origin),
        ("metric", requirement.metric),
        ("verdict", row.kind),
        ("reason", row.verdict.reason),
    ]
    if requirement.bound is not None:
        result.append(("bound", json.dumps(requirement.bound.given())))
    result += [("goalpost", str(move)) for move in row.moves]
    if row.waiver:
        result.append(("waiver", row.waiver))
    if evidence is None:
        return result
    result += _number("value", evidence.value)
    result += _pair("interval", evidence.interval)
    result += [("n", str(evidence.n)), ("groups", str(evidence.groups))]
    if evidence.seeds:
        result.append(("seeds", json.dumps(list(evidence.seeds))))
    result += _number("chance", evidence.chance)
    result += _number("ceiling", evidence.ceiling)
    for kind, table in (("baseline", evidence.baselines), ("control", evidence.controls)):
        for name, other in table.items():
            result += _number(f"{kind}.{name}", other.value)
            result += _pair(f"{kind}.{name}.difference", other.interval)
    result.append(("hardware", evidence.hardware.model or evidence.hardware.kind))
    if evidence.weights:
        result.append(("weights", evidence.weights))
    return result


def _number(name: str, value: float | None) -> list[tuple[str, str]]:
    return [] if value is None else [(name, repr(value))]


def _pair(name: str, interval: Pair | None) -> list[tuple[str, str]]:
    return [] if interval is None else [(name, json.dumps(list(interval)))]
