"""What a fine-tuning costs, and what is saved: prices of what was measured, never a table of savings.

Nothing here measures; `finetune` trains, whoever holds the clock records, and this adds up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from persona.errors import PersonaError

GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Usage:
    """What one training used."""

    seconds: float
    peak_bytes: int
    trainable: int
    optimizer_bytes: int
    checkpoint_bytes: int


@dataclass(frozen=True, slots=True)
class Device:
    """One line of a price table."""

    name: str
    gib: float
    per_hour: float  # US dollars


@dataclass(slots=True)
class MetricsTracker:
    """Prices what was measured; `devices` and `per_gib_month` are the price table.

    Nothing is assumed about an arm: change the seconds or the bytes, and the savings change.
    """

    devices: Sequence[Device] = (Device("T4", 16, 0.35), Device("A100", 40, 1.10), Device("H100", 80, 2.50))
    per_gib_month: float = 0.02
    runs: dict[str, list[Usage]] = field(default_factory=dict)

    def record(self, arm: str, usage: Usage) -> None:
        """Add a measured run of an arm."""
        self.runs.setdefault(arm, []).append(usage)

    def device(self, peak_bytes: int) -> Device:
        """The cheapest device that holds the peak. PersonaError when none does."""
        fitting = [device for device in self.devices if peak_bytes <= device.gib * GIB]
        if not fitting:
            raise PersonaError(f"{peak_bytes / GIB:.1f} GiB fit no device of the price table")
        return min(fitting, key=lambda device: device.per_hour)

    def cost(self, usage: Usage) -> float:
        """US dollars: time at the price of the device, and a month of the checkpoint kept."""
        hours = usage.seconds / 3600
        return hours * self.device(usage.peak_bytes).per_hour + usage.checkpoint_bytes / GIB * self.per_gib_month

    def calculate_savings(self, full: str = "full", ours: str = "ours") -> dict[str, float]:
        """Shares that `ours` saves of what `full` used, in all pairs of runs: time, cost, memory, trainable, storage.

        PersonaError where an arm has no run, runs are not in pairs, or the full arm used nothing of something.
        """
        for arm in (full, ours):
            if not self.runs.get(arm):
                raise PersonaError(f'nothing was measured of "{arm}"; record a run of it first')
        count = {arm: len(self.runs[arm]) for arm in (full, ours)}
        if count[full] != count[ours]:
            told = " and ".join(f'{number} of "{arm}"' for arm, number in count.items())
            raise PersonaError(f"runs are compared in pairs, and there are {told}; record one of each for each seed")
        amounts: dict[str, Callable[[Usage], float]] = {
            "time": lambda usage: usage.seconds,
            "cost": self.cost,
            "memory": lambda usage: usage.peak_bytes,
            "trainable": lambda usage: usage.trainable,
            "optimizer": lambda usage: usage.optimizer_bytes,
            "storage": lambda usage: usage.checkpoint_bytes,
        }
        savings = {}
        for name, amount in amounts.items():
            before, after = (sum(map(amount, self.runs[arm])) for arm in (full, ours))
            if not before > 0:
                raise PersonaError(f'"{full}" used {before:g} of {name}: nothing can be saved of that')
            savings[name] = 1 - after / before
        return savings
