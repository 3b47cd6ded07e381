"""`judge(requirement, evidence, world) -> Verdict`: pure, total, no I/O, no clock.

PASS is the last answer it can reach, never the first: every way not to pass is asked before it.
"""

from __future__ import annotations

import math
import re
from typing import Literal, TypeGuard

from assay.evidence import CheckResult, Comparison, Evidence, Pair
from assay.spec import REHEARSALS, Frozen, Requirement

Kind = Literal["PASS", "FAIL", "UNPROVEN", "VOID"]

LEAST_IN_SLICE = 20
"""Items below which a slice that has a bound decides nothing: it is judged by its value alone."""

_WORDS = re.compile(r"\d+(?:[.,]\d+)*|\w+")


class Move(Frozen):
    """A goalpost that stands elsewhere than at its strictest: field, before, after, and since when it was measured."""

    field: str
    before: str
    after: str
    when: str = ""

    def explained_by(self, reason: str) -> bool:
        """Whether the written reason speaks of this move: it names the new value, so that it covers no later move."""
        return len(reason.strip()) >= 20 and self.named <= set(_WORDS.findall(reason))

    @property
    def named(self) -> set[str]:
        """The words that a reason for this move must hold: the new figures, or else the last word of what is new."""
        after = _WORDS.findall(self.after) or [self.after]
        return {word for word in after if word[0].isdigit()} - set(_WORDS.findall(self.before)) or {after[-1]}

    def __str__(self) -> str:
        what = "" if self.field == "bound" else f"{self.field} "
        return f"goalpost moved {what}{self.before} -> {self.after}{f', since {self.when}' if self.when else ''}"


class World(Frozen):
    """What the requirement's surroundings are now; everything that evidence must agree with to be fresh."""

    target: str
    requirement_digest: str
    hardware_model: str = ""
    code: dict[str, str | None] = {}
    """Current digest of every module that the evidence names; None where the module is gone."""
    changed_data: tuple[str, ...] = ()
    """Sources of the evidence's data sets that changed or can no longer be checked, in words."""
    changed_weights: str = ""
    """Why the weights of the evidence are no longer the artifact's; empty when they are."""
    tampered: str = ""
    """Why the ledger does not vouch for the evidence row; empty when it does."""
    moves: tuple[Move, ...] = ()


class Verdict(Frozen):
    """What may be said of a requirement, and why."""

    kind: Kind
    reason: str

    @property
    def passed(self) -> bool:
        return self.kind == "PASS"


def judge(requirement: Requirement, evidence: Evidence | None, world: World) -> Verdict:
    """The verdict on a requirement, given its latest evidence and the world of now.

    Order of questions: trusted? (VOID) - there and fresh? (UNPROVEN) - sound? (VOID) - on the right side, and
    better than what is cheap? (FAIL) - by more than chance? (UNPROVEN) - then PASS.
    """
    if evidence is None:
        return _unproven(_missing(requirement))
    if world.tampered:
        return Verdict(kind="VOID", reason=f"ledger: {world.tampered}")
    if stale := _stale(requirement, evidence, world):
        return _unproven(stale)
    if evidence.outcome != "measured":
        return _unproven(f"{evidence.outcome}: {evidence.reason or 'no reason given'}")
    tripped = [c for c in evidence.checks if not c.ok]
    if tripped:
        return Verdict(kind="VOID", reason="; ".join(f"{c.name}: {c.detail}" for c in tripped))
    if evidence.value is None or not math.isfinite(evidence.value):
        return _unproven(f"no finite value was measured ({evidence.value})")
    if scarce := _scarce(requirement, evidence):
        return _unproven(scarce)
    if failed := _failed(requirement, evidence):
        return Verdict(kind="FAIL", reason=failed)
    if unearned := _unearned(evidence):
        return Verdict(kind="VOID", reason=unearned)
    if undecided := _undecided(requirement, evidence):
        return _unproven(undecided)
    unexplained = [str(move) for move in world.moves if not move.explained_by(requirement.reason)]
    if unexplained:
        return _unproven(f"{'; '.join(unexplained)}; a looser spec needs a written reason that names the new value")
    if not requirement.gates:
        return Verdict(kind="PASS", reason="reported; never gates")
    return Verdict(kind="PASS", reason=_passed(requirement, evidence))


def tripped(requirement: Requirement, evidence: Evidence | None, world: World) -> tuple[CheckResult, ...]:
    """Everything that speaks against a row, by the name of the check: `judge` names only what it meets first.

    Besides the checks that the evidence holds: unmeasured, skipped, error, ledger, spec-changed, code-changed,
    data-changed, weights-changed, hardware, minimum-n, minimum-groups, seeds, baseline-missing, bound, interval,
    chance, beats:NAME, weights-matter, goalpost.
    """
    if evidence is None:
        return (CheckResult(name="unmeasured", ok=False, detail=_missing(requirement)),)
    found = {c.name: c.detail for c in evidence.checks if not c.ok}
    if evidence.outcome != "measured":
        found[evidence.outcome] = evidence.reason

    def trip(name: str, wrong: bool, detail: str) -> None:
        if wrong:
            found.setdefault(name, detail)

    trip("ledger", bool(world.tampered), world.tampered)
    trip("spec-changed", evidence.requirement_digest != world.requirement_digest, "measured for another requirement")
    trip(
        "code-changed",
        any(world.code.get(m) != d for m, d in evidence.code.items()),
        _stale(requirement, evidence, world),
    )
    trip("data-changed", bool(world.changed_data), ", ".join(world.changed_data))
    trip("weights-changed", bool(world.changed_weights), world.changed_weights)
    elsewhere = evidence.target != world.target or (evidence.timing and evidence.hardware.model != world.hardware_model)
    trip("hardware", elsewhere, f"measured on {evidence.hardware.model}, this is {world.hardware_model}")
    trip("goalpost", any(not m.explained_by(requirement.reason) for m in world.moves), "; ".join(map(str, world.moves)))
    if evidence.outcome != "measured":
        return tuple(CheckResult(name=name, ok=False, detail=detail) for name, detail in found.items())
    trip("minimum-n", evidence.n < requirement.minimum_n, f"{evidence.n:,} of {requirement.minimum_n:,} items")
    trip("minimum-groups", evidence.groups < requirement.minimum_groups, f"{evidence.groups} groups")
    seeds = len(set(evidence.seeds))
    trip("seeds", 1 < requirement.seeds > seeds, f"{seeds} of {requirement.seeds} seeds")
    absent = [name for name in _named(requirement) if not _compared(evidence.baselines.get(name))]
    trip("baseline-missing", bool(absent), ", ".join(absent))
    value, bound = evidence.value, requirement.bound
    trip("bound", bound is not None and (value is None or not bound.holds(value)), f"{_number(value)} misses {bound}")
    usable = evidence.interval if _usable(evidence.interval) else None
    trip("interval", bound is not None and (usable is None or not bound.holds(*usable)), f"{usable} against {bound}")
    if evidence.chance is not None and usable is not None:
        within = usable[0] <= evidence.chance <= usable[1]
        trip("chance", within, f"{_number(value)} cannot be told from chance, {evidence.chance:.4g}")
    for name in _named(requirement):
        other = evidence.baselines.get(name)
        trip(
            f"beats:{name}",
            other is not None and not other.beaten,
            f"against {_number(other.value if other else None)}",
        )
    for name, control in evidence.controls.items():
        trip("weights-matter", not control.beaten, f"{name}: {_number(control.value)} against {_number(value)}")
    return tuple(CheckResult(name=name, ok=False, detail=detail) for name, detail in found.items())


def _unproven(reason: str) -> Verdict:
    return Verdict(kind="UNPROVEN", reason=reason)


def _missing(requirement: Requirement) -> str:
    if requirement.kind == "method":
        return f"method claim: needs {requirement.seeds} seeds; run `assay verify --full`"
    return "no evidence on this hardware; run `assay verify`"


def _stale(requirement: Requirement, evidence: Evidence, world: World) -> str:
    if evidence.profile in REHEARSALS:
        return f"measured with the {evidence.profile} profile, which is never evidence; run `assay verify`"
    if evidence.requirement != requirement.id:
        return f"measured for {evidence.requirement}, not for {requirement.id}"
    if evidence.target != world.target:
        return f"measured on {evidence.target}, claimed on {world.target}"
    if evidence.profile != world.target:
        return f"measured in the profile {evidence.profile}, which is not that of {world.target}"
    if evidence.requirement_digest != world.requirement_digest:
        return "stale: the requirement itself changed since it was measured; run `assay verify`"
    changed = sorted(m for m, digest in evidence.code.items() if world.code.get(m) != digest)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        return f"stale: code changed since it was measured: {', '.join(changed[:3])}{more}"
    if world.changed_data:
        return f"stale: data changed since it was measured: {', '.join(world.changed_data[:3])}"
    if world.changed_weights:
        return f"stale: {world.changed_weights}"
    if evidence.timing and evidence.hardware.model != world.hardware_model:
        return f"timed on {evidence.hardware.model}, this is {world.hardware_model}"
    return ""


def _scarce(requirement: Requirement, evidence: Evidence) -> str:
    if evidence.n == 0:
        return "no items were measured"
    if evidence.n < requirement.minimum_n:
        more = requirement.minimum_n - evidence.n
        return f"{evidence.n:,} items measured, the spec demands {requirement.minimum_n:,}; {more:,} more items"
    if evidence.groups < requirement.minimum_groups:
        more = requirement.minimum_groups - evidence.groups
        return f"{evidence.groups} groups measured, the spec demands {requirement.minimum_groups}; {more:,} more groups"
    seeds = len(set(evidence.seeds))
    if 1 < requirement.seeds > seeds:
        return f"{seeds} seeds measured, the spec demands {requirement.seeds}; {requirement.seeds - seeds:,} more seeds"
    if absent := [name for name in _named(requirement) if not _compared(evidence.baselines.get(name))]:
        return f"baseline {', '.join(absent)} is named in the spec and was not measured on the same items"
    if blank := [name for name, control in evidence.controls.items() if not _compared(control)]:
        return f"control {', '.join(blank)} could not be compared on the same items"
    unsliced = [s.by for s in requirement.slices if not evidence.slices.get(s.by)]
    if unsliced:
        return f"slice {', '.join(unsliced)} is named in the spec and was not measured"
    blank = [
        f"{rule.by} {name}"
        for rule in requirement.slices
        if rule.bound is not None
        for name, part in evidence.slices[rule.by].items()
        if part.value is None or math.isnan(part.value)
    ]
    if blank:
        return f"slice {', '.join(blank)} has a bound in the spec and no value could be measured"
    tiny = [
        f"{rule.by} {name} ({part.n})"
        for rule in requirement.slices
        if rule.bound is not None
        for name, part in evidence.slices[rule.by].items()
        if part.n < LEAST_IN_SLICE
    ]
    if tiny:
        return f"slice {', '.join(tiny)} has a bound in the spec and fewer than {LEAST_IN_SLICE} items"
    return ""


def _failed(requirement: Requirement, evidence: Evidence) -> str:
    assert evidence.value is not None
    bound = requirement.bound
    if bound is not None and not bound.holds(evidence.value):
        low_high = "" if evidence.interval is None else " [{:.4g}, {:.4g}]".format(*evidence.interval)
        return f"{evidence.value:.4g}{low_high} misses {bound}"
    lost = [
        f"{beat} ({_number(evidence.baselines[beat.baseline].value)})"
        for beat in requirement.beats
        if not _positive(evidence.baselines[beat.baseline].difference)
    ]
    if lost:
        return f"{evidence.value:.4g} does not beat {', '.join(lost)}"
    worse = [
        f"{row.than} ({_number(evidence.baselines[row.than].value)})"
        for row in requirement.not_worse
        if not _positive(evidence.baselines[row.than].difference)
    ]
    if worse:
        return f"{evidence.value:.4g} is worse than {', '.join(worse)} by more than the margin"
    for rule in requirement.slices:
        if rule.bound is None:
            continue
        bad = [
            f"{name} {_number(part.value)}"
            for name, part in evidence.slices[rule.by].items()
            if part.value is None or not rule.bound.holds(part.value)
        ]
        if bad:
            return f"slices by {rule.by} miss {rule.bound}: {', '.join(bad)}"
    return ""


def _unearned(evidence: Evidence) -> str:
    """Untrained weights that do as well: the number is true and was not learnt."""
    for name, control in evidence.controls.items():
        if not _positive(control.difference):
            told = f"{_number(control.value)}, no less than {_number(evidence.value)}"
            return f"weights-matter: {name} score {told}: this number is not what was learnt"
    return ""


def _undecided(requirement: Requirement, evidence: Evidence) -> str:
    bound = requirement.bound
    needed = f"; {evidence.needed}" if evidence.needed else ""
    if bound is not None:
        if not _usable(evidence.interval):
            return f"{evidence.value:.4g} has no interval: {evidence.method or 'too few groups'}{needed}"
        low, high = evidence.interval
        if not bound.holds(low, high):
            return f"{evidence.value:.4g} is right of {bound} but [{low:.4g}, {high:.4g}] is not{needed}"
    others = [(name, evidence.baselines[name]) for name in _named(requirement)] + list(evidence.controls.items())
    open_ = [(name, other.needed) for name, other in others if not other.beaten]
    if open_:
        settle = "; ".join(f"{name}: {more}" for name, more in open_ if more)
        more = f"; {settle}" if settle else needed
        return f"ahead of {', '.join(name for name, _ in open_)} by less than the paired interval can tell{more}"
    return ""


def _passed(requirement: Requirement, evidence: Evidence) -> str:
    parts = []
    if requirement.bound is not None and evidence.interval is not None:
        low, high = evidence.interval
        parts.append(f"[{low:.4g}, {high:.4g}] {requirement.bound}")
    if requirement.beats:
        parts.append(f"beats {', '.join(map(str, requirement.beats))}")
    if requirement.not_worse:
        parts.append(f"not worse than {', '.join(row.than for row in requirement.not_worse)}")
    if bounded := [rule for rule in requirement.slices if rule.bound is not None]:
        parts.append("; ".join(f"every slice by {rule.by} {rule.bound}" for rule in bounded))
    return "; ".join(parts)


def _named(requirement: Requirement) -> list[str]:
    """The baselines that the requirement is compared with."""
    return [b.baseline for b in requirement.beats] + [row.than for row in requirement.not_worse]


def _compared(other: Comparison | None) -> bool:
    return other is not None and other.difference is not None and not math.isnan(other.difference)


def _usable(interval: Pair | None) -> TypeGuard[Pair]:
    """False for what is absent, NaN or upside down: such an interval holds nothing."""
    return interval is not None and interval[0] <= interval[1]


def _number(value: float | None) -> str:
    return "no value" if value is None else f"{value:.4g}"


def _positive(difference: float | None) -> bool:
    return difference is not None and difference > 0
