"""Worlds whose truth is known: models on grouped items, measured and judged by the harness as a real one would be.

Groups differ in difficulty (beta-distributed, intra-class correlation 0.05 to 0.3) and in size (log-normal); seeds and
items are crossed random effects. Everything is drawn from the generator handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from assay import metrics, statistics
from assay.evidence import Evidence, Hardware
from assay.measurement import Judge
from assay.metrics import Metric
from assay.spec import Requirement
from assay.subject import Predictions
from assay.verdict import Verdict, World, judge

Rng = np.random.Generator

ACCURACY = metrics.get("classification.accuracy")
LEAD = Metric("simulated.lead", "higher", (-np.inf, np.inf), "test", per_item=lambda predictions, gold: predictions)


@dataclass(frozen=True)
class Draw:
    """Items of one simulated study: gold labels, answers of a model and of a rival, groups."""

    gold: np.ndarray
    model: np.ndarray
    rival: np.ndarray
    groups: np.ndarray

    def joined(self, other: Draw) -> Draw:
        """Both studies, their groups kept apart."""
        groups = np.r_[self.groups, other.groups + self.groups.max() + 1]
        pairs = ((self.gold, other.gold), (self.model, other.model), (self.rival, other.rival))
        return Draw(*(np.r_[a, b] for a, b in pairs), groups)


def draw(rng: Rng, groups: int, share: float, lead: float = 0.0, correlation: float = 0.15, size: int = 20) -> Draw:
    """A model that is right in `share` of all answers, a rival in `share - lead`; what is hard is hard for both.

    With size 1 the items are independent.
    """
    raw = np.exp(rng.normal(0, 0.5, groups))
    sizes = np.ones(groups, dtype=int) if size == 1 else np.maximum(2, np.round(raw / raw.mean() * size)).astype(int)
    units = np.repeat(np.arange(groups), sizes)
    scale = (1 - correlation) / correlation
    ability = np.full(groups, share) if size == 1 else rng.beta(share * scale, (1 - share) * scale, groups)
    gold = rng.integers(0, 2, len(units))
    right = rng.random(len(units)) < ability[units]
    # The rival answers as the model does, but loses a fixed share of what the model gets right.
    also = right & (rng.random(len(units)) >= lead / share)
    return Draw(gold, np.where(right, gold, 1 - gold), np.where(also, gold, 1 - gold), units)


# ------------------------------------------------------------------------------ end to end


def verdict_of(requirement: Requirement, study: Draw, grouped: bool = True) -> Verdict:
    """Measured by the harness as predictions of a subject are, recorded as evidence, judged."""
    project = SimpleNamespace(requirement=lambda name: (None, requirement))
    judging = Judge(SimpleNamespace(project=project, smoke=False, rehearsal=False), "simulated/row", None)  # type: ignore[arg-type]
    observed = Predictions(None, "answers", range(len(study.gold)), study.model, None, True)  # type: ignore[arg-type]
    named = {beat.baseline: study.rival for beat in requirement.beats}
    found = judging._measure(observed, study.gold, study.groups if grouped else None, None, named, {}, {})
    evidence = Evidence(
        system="simulated", requirement=requirement.id, target="cpu", profile="cpu", outcome="measured",
        requirement_digest=requirement.digest, hardware=Hardware(kind="cpu", model="any"), measured_at=0.0, **found,
    )  # fmt: skip
    return judge(requirement, evidence, World(target="cpu", requirement_digest=requirement.digest))


def row(**demands: Any) -> Requirement:
    """A requirement on accuracy."""
    base = {"id": "row", "statement": "A simulated row", "metric": "classification.accuracy", "control": False}
    return Requirement.model_validate({**base, **demands})


def at_the_threshold() -> dict[str, Callable[[Rng], Verdict]]:
    """Designs in which the truth lies exactly on what is demanded, so that every PASS is false."""

    def independent(rng: Rng) -> Verdict:
        return verdict_of(row(at_least=0.8), draw(rng, 200, 0.8, size=1), grouped=False)

    def few_groups(rng: Rng) -> Verdict:
        return verdict_of(row(at_least=0.75), draw(rng, 14, 0.75, correlation=0.2))

    def many_groups(rng: Rng) -> Verdict:
        return verdict_of(row(at_least=0.75), draw(rng, 40, 0.75, correlation=0.1, size=10))

    def at_most(rng: Rng) -> Verdict:
        return verdict_of(row(metric="classification.accuracy", at_most=0.7), draw(rng, 30, 0.7, size=12))

    def beats(rng: Rng) -> Verdict:
        return verdict_of(row(beats=[{"baseline": "rival", "margin": 0.08}]), draw(rng, 20, 0.8, lead=0.08))

    def both(rng: Rng) -> Verdict:
        demanded = row(at_least=0.8, beats=[{"baseline": "rival", "margin": 0.08}])
        return verdict_of(demanded, draw(rng, 20, 0.8, lead=0.08))

    return {f.__name__: f for f in (independent, few_groups, many_groups, at_most, beats, both)}


# ------------------------------------------------------------------------------ coverage


def covered() -> dict[str, Callable[[Rng], bool]]:
    """Designs of which the truth is known: does the interval hold it?"""

    def shares(rng: Rng) -> bool:
        share = rng.uniform(0.1, 0.95)
        study = draw(rng, int(rng.integers(60, 400)), share, size=1)
        return _holds(statistics.interval(ACCURACY, study.model, study.gold, None), share)

    def clusters(rng: Rng) -> bool:
        share = rng.uniform(0.4, 0.9)
        study = draw(rng, int(rng.integers(12, 60)), share, correlation=rng.uniform(0.05, 0.3))
        return _holds(statistics.interval(ACCURACY, study.model, study.gold, study.groups), share)

    def paired(rng: Rng) -> bool:
        lead = rng.uniform(0.03, 0.2)
        study = draw(rng, int(rng.integers(12, 60)), 0.75, lead=lead, correlation=rng.uniform(0.05, 0.3))
        found = statistics.paired_difference(ACCURACY, study.model, study.rival, study.gold, study.groups)
        return _holds(found.interval, lead)

    def seeds(rng: Rng) -> bool:
        runs, groups, truth = trained(rng, int(rng.integers(3, 6)), int(rng.integers(12, 40)), 0.3)
        return _holds(statistics.seeded(LEAD, runs, None, groups).interval, truth)

    return {f.__name__: f for f in (shares, clusters, paired, seeds)}


def trained(
    rng: Rng, seeds: int, groups: int, truth: float, scatter: tuple[float, float, float] | None = None
) -> tuple[list[np.ndarray], np.ndarray, float]:
    """Per-item leads of several training runs: effects of seed, group of 5 items, and of both together."""
    of_seed, of_group, of_both = scatter or rng.uniform(0.1, 1.0, 3)
    table = (
        truth
        + rng.normal(0, of_seed, (seeds, 1))
        + rng.normal(0, of_group, (1, groups))
        + rng.normal(0, of_both, (seeds, groups))
    )
    return list(np.repeat(table, 5, axis=1)), np.repeat(np.arange(groups), 5), truth


def _holds(found: statistics.Interval | None, truth: float) -> bool:
    return found is not None and found.low <= truth <= found.high


# ------------------------------------------------------------------------------ what would settle it


def settled() -> dict[str, Callable[[Rng], bool | None]]:
    """Designs with an undecided pilot: does the stated number decide? None where there is nothing to state."""

    def shares(rng: Rng) -> bool | None:
        share, pilot = rng.uniform(0.55, 0.95), int(rng.integers(60, 300))
        study = draw(rng, pilot, share, size=1)
        found = statistics.interval(ACCURACY, study.model, study.gold, None)
        more = _stated(ACCURACY.compute(study.model, study.gold), found, 0.75)
        if more is None:
            return None
        study = study.joined(draw(rng, more, share, size=1))
        return _decided(statistics.interval(ACCURACY, study.model, study.gold, None), 0.75)

    def clusters(rng: Rng) -> bool | None:
        share, pilot = rng.uniform(0.5, 0.95), int(rng.integers(12, 40))
        study = draw(rng, pilot, share)
        found = statistics.interval(ACCURACY, study.model, study.gold, study.groups)
        more = _stated(ACCURACY.compute(study.model, study.gold), found, 0.75)
        if more is None:
            return None
        study = study.joined(draw(rng, more, share))
        return _decided(statistics.interval(ACCURACY, study.model, study.gold, study.groups), 0.75)

    def paired(rng: Rng) -> bool | None:
        lead, margin, pilot = rng.uniform(0.0, 0.12), 0.06, int(rng.integers(12, 40))
        study = draw(rng, pilot, 0.8, lead=lead)
        found = _lead(study, margin)
        more = _stated(found.estimate, found.interval, 0.0)
        if more is None:
            return None
        return _decided(_lead(study.joined(draw(rng, more, 0.8, lead=lead)), margin).interval, 0.0)

    def seeds(rng: Rng) -> bool | None:
        truth, groups = rng.uniform(-1, 1), 30
        scatter = (0.5, 0.3, 0.3)
        of_group = rng.normal(0, scatter[1], groups)  # the same items are asked again

        def runs(count: int) -> list[np.ndarray]:
            made = trained(rng, count, groups, truth, (scatter[0], 0.0, scatter[2]))[0]
            return [run + np.repeat(of_group, 5) for run in made]

        pilot, units = runs(3), np.repeat(np.arange(groups), 5)
        found = statistics.seeded(LEAD, pilot, None, units)
        more = _stated(found.estimate, found.interval, 0.0)
        if more is None:
            return None
        return _decided(statistics.seeded(LEAD, [*pilot, *runs(more)], None, units).interval, 0.0)

    return {f.__name__: f for f in (shares, clusters, paired, seeds)}


def _lead(study: Draw, margin: float) -> statistics.Estimate:
    return statistics.paired_difference(ACCURACY, study.model, study.rival, study.gold, study.groups, margin=margin)


def _stated(value: float, found: statistics.Interval | None, threshold: float) -> int | None:
    """The number that an undecided row states; None for a decided row and for one that no number settles."""
    if found is None or not found.low <= threshold <= found.high:
        return None
    more = statistics.samples_needed(value, found, threshold)
    return None if isinstance(more, str) else more


def _decided(found: statistics.Interval | None, threshold: float) -> bool:
    return found is not None and not found.low <= threshold <= found.high


# ------------------------------------------------------------------------------ repetition


def repeated(designs: dict[str, Callable[[Rng], Any]], total: int, seed: int) -> Iterator[tuple[str, int, Any]]:
    """(design, repetition, outcome), every design equally often, `total` in all; None outcomes are drawn again."""
    each = -(-total // len(designs))
    for place, (name, run) in enumerate(designs.items()):
        done = attempt = 0
        while done < each:
            outcome = run(np.random.default_rng([seed, place, attempt]))
            attempt += 1
            if outcome is None:
                continue
            yield name, done, outcome
            done += 1


def table(
    rows: Iterator[tuple[str, int, Any]], holds: Callable[[Any], bool]
) -> tuple[dict[str, list[Any]], Sequence[str]]:
    """Cases as the counting metrics read them, and the design of each."""
    found = list(rows)
    cases = {
        "case": [f"{design} {number}" for design, number, _ in found],
        "holds": [bool(holds(outcome)) for _, _, outcome in found],
    }
    return cases, [design for design, _, _ in found]
