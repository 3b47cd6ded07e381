"""One record of one measurement, with everything that must travel with the number.

Evidence is data: it holds no verdict, because a verdict also depends on the specification and on today.
"""

from __future__ import annotations

from typing import Any, Literal

from assay.spec import Frozen

Pair = tuple[float, float]


class Comparison(Frozen):
    """Another policy on the same items. `difference` = subject - other, signed so that positive is better.

    A margin demanded by the spec (relative or absolute) is already taken off. `interval` is paired.
    """

    value: float | None
    difference: float | None = None
    interval: Pair | None = None
    needed: str = ""
    """What would show a lead that is not shown yet: "about 12 more groups (240 items)"."""

    @property
    def beaten(self) -> bool:
        """True when the whole paired interval is above 0; an interval with a NaN in it shows nothing."""
        return self.interval is not None and 0 < self.interval[0] <= self.interval[1]


class SliceValue(Frozen):
    """The value on one slice of the items."""

    value: float | None
    interval: Pair | None = None
    n: int


class CheckResult(Frozen):
    """One doubt, and whether it was dispelled. A tripped check makes the evidence VOID."""

    name: str
    ok: bool
    detail: str = ""


class Hardware(Frozen):
    """Where it was measured. `kind` is a target of the spec; `model` binds timing rows only."""

    kind: str
    model: str
    cores: int = 0
    memory_gib: float = 0.0
    platform: str = ""


class Goalposts(Frozen):
    """What the ledger remembers of a requirement from row to row, whatever becomes of `spec.lock`."""

    strictest: dict[str, Any] = {}
    """The strictest form it was ever measured in (`lock.entry`)."""
    since: dict[str, float] = {}
    """Move -> seconds since the epoch when it was first measured that way."""


class Evidence(Frozen):
    """One measurement of one requirement on one target."""

    system: str
    requirement: str
    target: str
    profile: str
    outcome: Literal["measured", "skipped", "error"]
    reason: str = ""
    value: float | None = None
    interval: Pair | None = None
    method: str = ""
    n: int = 0
    groups: int = 0
    seeds: tuple[int, ...] = ()
    chance: float | None = None
    ceiling: float | None = None
    baselines: dict[str, Comparison] = {}
    controls: dict[str, Comparison] = {}
    slices: dict[str, dict[str, SliceValue]] = {}
    checks: tuple[CheckResult, ...] = ()
    needed: str = ""
    """What would settle an undecided row: "1,240 more items"."""
    requirement_digest: str
    code: dict[str, str] = {}
    """Module (or test file) -> digest of its syntax tree: training, prediction, metric and test closures."""
    data: dict[str, str] = {}
    """Data set -> digest of its content; training data sets included."""
    sources: tuple[str, ...] = ()
    """Digests of source manifests (artifact store) from which the data sets were built."""
    artifact: str = ""
    weights: str = ""
    timing: bool = False
    hardware: Hardware
    measured_at: float
    """Seconds since the epoch, UTC."""
    goalposts: Goalposts = Goalposts()
    details: dict[str, Any] = {}
    """What the report shows beside the number: sampled predictions, percentiles, curves. Never judged."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.system, self.requirement, self.target
