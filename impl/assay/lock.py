"""Goalposts: `spec/spec.lock` remembers the strictest form that each requirement ever had.

It is generated, committed and only ever tightened; a requirement that is looser than its lock says so on the board.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from assay.errors import SpecError
from assay.spec import Bound, Frozen, Requirement, Spec
from assay.verdict import Move

NAME = "spec.lock"

Entry = dict[str, Any]
"""What is kept of one requirement; plain JSON."""


class _Row(Frozen):
    """The form of an entry."""

    bound: Bound | None
    metric: str
    options: dict[str, Any]
    kind: str
    origin: str
    data: str
    split: str
    on: tuple[str, ...]
    beats: dict[str, tuple[float, float]]
    not_worse: dict[str, float]
    slices: dict[str, Bound | None]
    minimum_n: int
    minimum_groups: int
    seeds: int
    control: bool


class _File(Frozen):
    version: Literal[1]
    systems: dict[str, dict[str, _Row]]


def read(folder: Path) -> dict[str, dict[str, Entry]]:
    """System -> requirement -> entry of `folder/spec.lock`; empty when there is no lock yet.

    Raises:
        SpecError: when the file is there and cannot be read.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _File.model_validate(content)
        systems: dict[str, dict[str, Entry]] = content["systems"]
        return systems
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)
    raise SpecError(
        f"{path}: not a readable lock ({reason}); restore it from version control, "
        "do not regenerate it: it remembers the strictest goalposts"
    )


def write(folder: Path, entries: Mapping[str, Mapping[str, Entry]]) -> None:
    """Write the lock, atomically and with stable bytes."""
    path = folder / NAME
    text = json.dumps({"version": 1, "systems": entries}, indent=1, sort_keys=True) + "\n"
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def entry(requirement: Requirement) -> Entry:
    """What the lock keeps of a requirement, as it comes back from JSON."""
    kept = {
        "bound": requirement.bound.given() if requirement.bound else None,
        "metric": requirement.metric,
        "options": requirement.options,
        "kind": requirement.kind,
        "origin": requirement.origin,
        "data": requirement.data,
        "split": requirement.split,
        "on": sorted(requirement.on),
        "beats": {b.baseline: [b.relative, b.margin] for b in requirement.beats},
        "not_worse": {row.than: row.margin for row in requirement.not_worse},
        "slices": {s.by: s.bound.given() if s.bound else None for s in requirement.slices},
        "minimum_n": requirement.minimum_n,
        "minimum_groups": requirement.minimum_groups,
        "seeds": requirement.seeds,
        "control": requirement.control,
    }
    result: Entry = json.loads(json.dumps(kept))
    return result


def moves(requirement: Requirement, locked: Entry | None) -> tuple[Move, ...]:
    """Everything in which the requirement is looser than, or other than, its lock; empty without a lock."""
    if locked is None:
        return ()
    now = entry(requirement)
    found: list[Move] = []
    before = Bound.model_validate(locked["bound"]) if locked["bound"] else None
    if before is not None and (requirement.bound is None or requirement.bound.looser_than(before)):
        found.append(Move(field="bound", before=str(before), after=str(requirement.bound or "none")))
    for name in ("metric", "options", "kind", "data", "split"):
        if now[name] != locked[name]:
            found.append(Move(field=name, before=_text(locked[name]), after=_text(now[name])))
    for name, margins in locked["beats"].items():
        mine = now["beats"].get(name)
        if mine is None or any(a < b for a, b in zip(mine, margins, strict=True)):
            found.append(Move(field=f"beats {name}", before=_text(margins), after=_text(mine)))
    for name, margin in locked["not_worse"].items():
        mine = now["not_worse"].get(name)
        if mine is None or mine > margin:
            found.append(Move(field=f"not worse than {name}", before=_text(margin), after=_text(mine)))
    for by, bound in locked["slices"].items():
        mine = now["slices"].get(by, "none")
        looser = bound is not None and (
            not isinstance(mine, dict) or Bound.model_validate(mine).looser_than(Bound.model_validate(bound))
        )
        if mine == "none" or looser:
            found.append(Move(field=f"slice {by}", before=_text(bound), after=_text(mine)))
    for name in ("minimum_n", "minimum_groups", "seeds"):
        if now[name] < locked[name]:
            found.append(Move(field=name, before=str(locked[name]), after=str(now[name])))
    if locked["origin"] == "user" != now["origin"]:
        found.append(Move(field="origin", before="user", after=now["origin"]))
    if locked["control"] and not now["control"]:
        found.append(Move(field="control", before="untrained weights", after="none"))
    if gone := sorted(set(locked["on"]) - set(now["on"])):
        found.append(Move(field="on", before=", ".join(locked["on"]), after=f"without {', '.join(gone)}"))
    return tuple(found)


def dropped(spec: Spec, locked: Mapping[str, Entry]) -> dict[str, str]:
    """Requirements that the lock remembers and the spec no longer has -> the written reason, or ""."""
    reasons = {row.id: row.reason for row in spec.dropped}
    present = {row.id for row in spec}
    return {name: reasons.get(name, "") for name in sorted(set(locked) - present)}


def tightened(spec: Spec, locked: Mapping[str, Entry]) -> dict[str, Entry]:
    """The lock of a system after its spec is taken in: new rows added, stricter ones tightened, none loosened."""
    result = {name: dict(row) for name, row in locked.items()}
    for requirement in spec:
        before = result.get(requirement.id)
        if before is None or not moves(requirement, before):
            result[requirement.id] = entry(requirement)
    return result


def _text(value: Any) -> str:
    return "none" if value in (None, "", [], {}) else json.dumps(value).strip('"')
