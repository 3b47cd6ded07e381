"""Goalposts: `spec/spec.lock` remembers the strictest form that each requirement ever had, and its data tables.

It is generated, committed and only ever tightened; a requirement that is looser than its lock says so on the board. The
ledger remembers the same from measurement to measurement, so that a lock made anew hides nothing from it.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Strict, StrictBool, StrictInt, ValidationError

from assay.errors import SpecError
from assay.evidence import Goalposts
from assay.spec import REHEARSALS, Bound, Frozen, Requirement, Spec
from assay.verdict import Move

NAME = "spec.lock"

Entry = dict[str, Any]
"""What is kept of one requirement; plain JSON."""

Tables = dict[str, dict[str, Any]]
"""`[data.X]` -> its keys, as first taken in."""

Days = dict[str, str]
"""A moved goalpost, as `_place` names it -> the day on which `assay spec lock` first saw it, YYYY-MM-DD."""


_Number = Annotated[float, Strict()]  # what was read is compared as it stands: "0" is no number


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
    beats: dict[str, tuple[_Number, _Number]]
    not_worse: dict[str, _Number]
    slices: dict[str, Bound | None]
    minimum_n: StrictInt
    minimum_groups: StrictInt
    seeds: StrictInt
    control: StrictBool


class _File(Frozen):
    version: Literal[1]
    systems: dict[str, dict[str, _Row]]
    tables: dict[str, Tables] = {}
    since: dict[str, Days] = {}


class Locked(dict[str, dict[str, Entry]]):
    """System -> requirement -> entry; beside it the data tables of each system, and since when its goalposts moved."""

    tables: dict[str, Tables]
    since: dict[str, Days]

    def __init__(
        self,
        systems: Mapping[str, dict[str, Entry]],
        tables: Mapping[str, Tables] | None = None,
        since: Mapping[str, Days] | None = None,
    ) -> None:
        super().__init__(systems)
        self.tables = dict(tables or {})
        self.since = dict(since or {})


def read(folder: Path) -> Locked:
    """What `folder/spec.lock` holds; empty when there is no lock yet.

    Raises:
        SpecError: when the file is there and cannot be read.
    """
    path = folder / NAME
    if not path.exists():
        return Locked({})
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _File.model_validate(content)
        return Locked(content["systems"], content.get("tables"), content.get("since"))
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error)
    raise SpecError(
        f"{path}: not a readable lock ({reason}); restore it from version control, "
        "do not regenerate it: it remembers the strictest goalposts"
    )


def write(
    folder: Path,
    entries: Mapping[str, Mapping[str, Entry]],
    tables: Mapping[str, Tables] | None = None,
    since: Mapping[str, Days] | None = None,
) -> None:
    """Write the lock, atomically and with stable bytes."""
    path = folder / NAME
    content = {"version": 1, "systems": entries, "tables": tables or {}}
    if since and any(since.values()):
        content["since"] = {system: days for system, days in since.items() if days}
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
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
            found.append(Move(field=f"beats {name}", before=_margins(margins), after=_margins(mine)))
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


def demanded(locked: Entry) -> str:
    """The bound that a dropped requirement had, in brackets; nothing where it only reported."""
    return f" ({Bound.model_validate(locked['bound'])})" if locked["bound"] else ""


def tightened(spec: Spec, locked: Mapping[str, Entry]) -> dict[str, Entry]:
    """The lock of a system after its spec is taken in: new rows added, stricter ones tightened, none loosened."""
    result = {name: dict(row) for name, row in locked.items()}
    for requirement in spec:
        before = result.get(requirement.id)
        if before is None or not moves(requirement, before):
            result[requirement.id] = entry(requirement)
    return result


def remembered(
    requirement: Requirement, locked: Entry | None, tables: tuple[Move, ...], before: Goalposts | None, now: float
) -> Goalposts:
    """What the next row of the ledger remembers, given what the last one did.

    Args:
        locked: the entry of `spec.lock`.
        tables: changes of the system's data tables.
        before: goalposts of the last row; None for the first.
        now: seconds since the epoch.
    """
    last = before or Goalposts()
    moved = moves(requirement, last.strictest or None)
    strictest = last.strictest if moved else entry(requirement)
    every = {_key(move) for move in (*moves(requirement, locked), *moved, *tables)}
    return Goalposts(strictest=strictest, since={key: last.since.get(key, now) for key in sorted(every)})


def moved(
    requirement: Requirement, locked: Entry | None, known: Goalposts | None, noted: Days | None = None
) -> tuple[Move, ...]:
    """Everything in which the requirement is looser than its lock or than the ledger remembers it, and since when."""
    known = known or Goalposts()
    found = {move.field: move for move in moves(requirement, known.strictest or None)}
    found |= {move.field: move for move in moves(requirement, locked)}
    return dated(found.values(), known, noted, requirement.id)


def dated(found: Iterable[Move], known: Goalposts, noted: Days | None = None, name: str = "") -> tuple[Move, ...]:
    """The moves with the day on which each was first measured or locked; none for those of which neither knows.

    Args:
        noted: the days that the lock knows.
        name: of the requirement; "" for data tables.
    """
    days = {move: [_day(known.since.get(_key(move))), (noted or {}).get(_place(name, move), "")] for move in found}
    return tuple(move.model_copy(update={"when": min(filter(None, told), default="")}) for move, told in days.items())


def seen(spec: Spec, locked: Mapping[str, Entry], kept: Tables, before: Days, today: str) -> Days:
    """The moved goalposts of a system, each with the day that the lock knows, or else today."""
    places = [_place(row.id, move) for row in spec for move in moves(row, locked.get(row.id))]
    places += [_place("", move) for move in table_moves(spec, kept)]
    return {place: before.get(place, today) for place in places}


def tables(spec: Spec) -> Tables:
    """The data tables of a specification as the lock keeps them: without what is for rehearsals."""
    kept = {name: {k: v for k, v in table.items() if k not in REHEARSALS} for name, table in spec.data.items()}
    result: Tables = json.loads(json.dumps(kept, default=str))
    return result


def kept_tables(spec: Spec, locked: Tables) -> Tables:
    """The tables of a system after its spec is taken in: new ones and new keys added, none changed."""
    return {name: {**table, **locked.get(name, {})} for name, table in {**locked, **tables(spec)}.items()}


def table_moves(spec: Spec, locked: Tables) -> tuple[Move, ...]:
    """Keys of the data tables that are other than when they were taken in: a protocol has no looser and stricter."""
    now = tables(spec)
    return tuple(
        Move(field=f"[data.{name}] {key}", before=_short(value), after=_change(value, now.get(name, {}).get(key)))
        for name, table in locked.items()
        for key, value in table.items()
        if now.get(name, {}).get(key) != value
    )


def _key(move: Move) -> str:
    return f"{move.field}: {move.before} -> {move.after}"


def _place(name: str, move: Move) -> str:
    return f"{name}: {_key(move)}" if name else _key(move)


def _day(seconds: float | None) -> str:
    return "" if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d")


def _short(value: Any) -> str:
    text = _text(value)
    return f"{len(value)} entries" if isinstance(value, list) and len(text) > 40 else text


def _change(before: Any, after: Any) -> str:
    """The new value; of a list what came and what went."""
    if not (isinstance(before, list) and isinstance(after, list)):
        return _short(after)
    told = [f"+{_text(x)}" for x in after if x not in before] + [f"-{_text(x)}" for x in before if x not in after]
    more = [f"and {len(told) - 6} more"] if len(told) > 6 else []
    return f"{_short(after)} ({', '.join([*told[:6], *more]) or 'another order'})"


def _margins(margins: list[float] | None) -> str:
    """By how much a baseline is to be beaten, relatively and absolutely."""
    if margins is None:
        return "none"
    relative, margin = margins
    told = [f"{100 * relative:g} %"] * bool(relative) + [f"{margin:g}"] * bool(margin or not relative)
    return f"by more than {' and '.join(told)}"


def _text(value: Any) -> str:
    return "none" if value in (None, "", [], {}) else json.dumps(value).strip('"')
