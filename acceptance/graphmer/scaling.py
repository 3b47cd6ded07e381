"""What more training is worth: the profile `scaling` beside the one at hand, seed by seed, on the same items.

It must never become the profile that is judged: variants are evidence for claims about the way of training alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from assay.subject import Predictions, Subject

SEEDS = (0, 1, 2)
PROFILE = "scaling"
Ask = Callable[[Subject], Predictions]


@dataclass(frozen=True)
class Scaling:
    """A subject trained longer and as long as its profile says, each once per seed."""

    longer: Sequence[Subject]
    shorter: Mapping[int, Subject]
    """By seed. Kept: every question goes to the same six subjects, each with one process that loads it once."""

    @classmethod
    def of(cls, subject: Subject) -> Scaling:
        """In a smoke run, the profile at hand takes the place of the longer one, too."""
        smoke = subject.profile_name == "smoke"
        profile = subject.profile if smoke else subject.table(PROFILE)
        return cls(
            [subject.variant(**{**profile, "seed": seed}) for seed in SEEDS],
            {seed: subject.variant(seed=seed) for seed in SEEDS},
        )

    def beside(self, ask: Ask) -> dict[str, Ask]:
        """The control: the same seed, trained as long as the profile says."""
        return {"shorter": lambda longer: ask(self.shorter[longer.profile["seed"]])}

    @cached_property
    def cost(self) -> dict[str, str]:
        """What one seed took, from the flight records."""
        pair = {"longer": self.longer[0], "shorter": self.shorter[self.longer[0].profile["seed"]]}
        return {name: told(variant.artifact.flight) for name, variant in pair.items()}


def told(flight: Mapping[str, Any]) -> str:
    """Updates and the seconds that they took."""
    seconds = sum(flight["step_seconds"])
    return f"{flight['updates']:,} updates in {seconds:,.0f} s, {1e3 * seconds / flight['updates']:.0f} ms each"
