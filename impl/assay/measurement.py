"""From what a subject delivered to one `Evidence`: the metric, its company, and the doubts about it.

Gold lives here and in the acceptance test, in the parent process. Nothing here decides: `verdict.judge` does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay import digests, leakage, liveness, metrics, statistics, units
from assay.errors import MetricError, ObservationError
from assay.evidence import CheckResult, Comparison, Evidence, SliceValue
from assay.metrics import Metric
from assay.project import METRICS_FILE, SUITE_FOLDER, harness_digest
from assay.session import Session
from assay.statistics import Estimate, Interval
from assay.subject import Artifact, Dataset, Flight, Predictions, Subject, Timings
from assay.verdict import Verdict

FEW_GROUPS = 10
"""Below this many groups the interval clusters by a finer unit and is conditional on these groups."""


class Judge:
    """`judge(observation, ...)`: measures one requirement, records the evidence, and fails the test unless PASS.

    Made by the `judge` fixture for the requirement that the test claims.
    """

    def __init__(self, session: Session, name: str, item: pytest.Item) -> None:
        self.session, self.name, self._item = session, name, item
        self.spec, self.requirement = session.project.requirement(name)
        self.metric = metrics.get(self.requirement.metric)

    def __call__(
        self,
        observed: Predictions | Flight | Timings | Artifact,
        *,
        gold: Any = None,
        groups: Sequence[Any] | None = None,
        clusters: Sequence[Any] | None = None,
        baselines: Mapping[str, Any] | None = None,
        slices: Mapping[str, Sequence[Any]] | None = None,
        declared: Mapping[str, Any] | None = None,
        datasets: Sequence[Dataset] = (),
        subject: Subject | None = None,
        details: Mapping[str, Any] | None = None,
        checks: Sequence[CheckResult] = (),
    ) -> Verdict:
        """Measure and judge.

        Args:
            observed: predictions, flight record, timings or artifact of a subject.
            gold: what is true, in the form that the metric wants; N items. Never shown to the subject.
            groups: (N,) the unit that was sampled (distribution, problem, persona); intervals respect it.
            clusters: (N,) finer units (modules, files), used when there are fewer than 10 groups.
            baselines: name -> predictions of that policy for the same items.
            slices: name -> (N,) labels by which the value is reported.
            declared: for flight records, what the spec and the data say besides the profile.
            datasets: data sets that items and gold came from.
            subject: needed when `observed` is an Artifact.
            details: shown in the report, never judged.
            checks: doubts that the test itself examined.

        Raises:
            ObservationError: when what was handed in cannot be measured (wrong length, no items).
        """
        subject = observed.subject if isinstance(observed, Predictions | Flight | Timings) else subject
        if subject is None:
            raise ObservationError(f"{self.name}: judge(artifact, ...) needs subject=")
        if subject.overrides:
            told = ", ".join(f"{name} = {value}" for name, value in subject.overrides.items())
            raise ObservationError(f"{self.name}: a variant ({told}) is no evidence for the profile; use judge.seeds")
        self._check_arguments(subject, datasets, baselines, slices)
        artifact = observed if isinstance(observed, Artifact) else observed.artifact
        try:
            found = self._measure(observed, gold, groups, clusters, baselines or {}, slices or {}, declared or {})
        except metrics.UndefinedMetricError as error:
            if not self.session.rehearsal:
                raise
            found = {"value": None, "method": str(error)}  # too few items, on purpose
        read = [] if artifact is None or isinstance(observed, Predictions) else _read_everything(artifact)
        if artifact is not None and self.metric.name in units.COUNTS:
            read.append(units.distinct(artifact.folder))
        found["checks"] = (*found.get("checks", ()), *read, *checks)
        found["details"] = {**found.get("details", {}), **(details or {})}
        entry = observed.method if isinstance(observed, Predictions | Timings) and artifact is None else ""
        files = observed.read if isinstance(observed, Predictions) else {}
        evidence = self._evidence(subject, artifact, [*subject.datasets, *datasets], found, entry, files)
        verdict = self.session.record(self.spec, self.requirement, evidence)
        self._fail_unless_passed(verdict)
        return verdict

    def _check_arguments(self, subject: Subject, datasets: Any, baselines: Any, slices: Any) -> None:
        """What a test hands in must be what the specification says that it is."""
        for what, given in (("baselines", baselines), ("slices", slices)):
            if given is not None and not isinstance(given, Mapping):
                raise ObservationError(f"{self.name}: {what} is a mapping of name -> one entry per item")
        if isinstance(datasets, Dataset) or not all(isinstance(one, Dataset) for one in datasets):
            raise ObservationError(f"{self.name}: datasets is a list of what the dataset fixture returned")
        known = {dataset.name for dataset in [*subject.datasets, *datasets]}
        if self.requirement.data and self.requirement.data not in known:
            raise ObservationError(
                f'{self.name}: the specification says data = "{self.requirement.data}", '
                f"the test measured on {', '.join(sorted(known)) or 'no data set'}; pass datasets=[...]"
            )

    def _check_groups(self, groups: Sequence[Any] | None, clusters: Sequence[Any] | None = None) -> None:
        """Groups that the specification counts must be given, and be equal to themselves."""
        if groups is None and self.requirement.minimum_groups > 1:
            raise ObservationError(
                f"{self.name}: the specification says minimum_groups = {self.requirement.minimum_groups}; "
                "pass groups=[...]"
            )
        for what, column in (("groups", groups), ("clusters", clusters)):
            holes = sum(one != one for one in column) if column is not None else 0  # NaN alone is not itself
            if holes:
                told = f"{holes} of {0 if column is None else len(column)} are NaN, each a group of its own"
                raise ObservationError(f"{self.name}: {what}: {told}")

    def _measure(
        self,
        observed: Predictions | Flight | Timings | Artifact,
        gold: Any,
        groups: Sequence[Any] | None,
        clusters: Sequence[Any] | None,
        baselines: Mapping[str, Any],
        slices: Mapping[str, Sequence[Any]],
        declared: Mapping[str, Any],
    ) -> dict[str, Any]:
        if isinstance(observed, Predictions):
            self._expects("predictions", "outputs")
            return self._predictions(observed, gold, groups, clusters, baselines, slices)
        if isinstance(observed, Flight):
            self._expects("flight")
            return self._flight(observed, declared)
        if isinstance(observed, Timings):
            self._expects("timing")
            return self._timings(observed)
        self._expects("artifact")
        return self._artifact(observed)

    def seeds(
        self,
        variants: Sequence[Subject],
        ask: Callable[[Subject], Predictions],
        *,
        gold: Any,
        baselines: Mapping[str, Callable[[Subject], Predictions]],
        groups: Sequence[Any] | None = None,
        datasets: Sequence[Dataset] = (),
        checks: Sequence[CheckResult] = (),
        details: Mapping[str, Any] | None = None,
    ) -> Verdict:
        """Measure a method claim: the same way of training with several seeds, side by side with its controls.

        Args:
            variants: the subject once per seed.
            ask: a variant -> its predictions on the items.
            gold: as in a single judgement.
            baselines: name -> the control's predictions for the same seed; compared pairwise by seed.
            groups: (N,) the unit that was sampled; every item on its own by default.
            checks: doubts of your own.

        Seeds and groups are crossed random effects: the interval speaks of the way of training, on new items.
        """
        self._expects("predictions", "outputs")
        if self.session.smoke:
            variants = variants[:1]
        self._check_groups(groups)
        observed = [ask(variant) for variant in variants]
        first = observed[0]
        units = list(range(len(first.items))) if groups is None else list(groups)
        doubts = [*_once(check for one in observed for check in self._doubts(one, gold, groups)), *checks]
        distinct = {one.artifact.weights for one in observed if one.artifact}
        if len(distinct) < len(observed):
            detail = f"{len(observed)} seeds gave {len(distinct)} different weights: the seed has no effect"
            doubts.append(CheckResult(name="seeds-differ", ok=False, detail=detail))
        found: dict[str, Any] = {
            "value": None,
            "n": len(first.items),
            "groups": len(set(units)),
            "seeds": tuple(one.artifact.seed for one in observed if one.artifact),
            "checks": tuple(doubts),
            "details": {"weights": sorted(distinct), **(details or {})},
        }
        controls = {name: [control(variant) for variant in variants] for name, control in baselines.items()}
        doubts += _one_for_all(controls)
        found["checks"] = tuple(doubts)
        arms = {name: _differing(observed, several) for name, several in controls.items()}
        found["details"] = {"arms": arms, **found["details"]}
        asked = [*observed, *(one for several in controls.values() for one in several)]
        if all(check.ok for check in doubts if check.name in ("length", "finite")):
            try:
                found |= self._seeded(observed, controls, gold, groups, units, doubts)
            except MetricError:
                if all(check.ok for check in doubts):
                    raise  # else the checks say why there is no number
        files = {name: digest for one in asked for name, digest in one.all_read().items()}
        evidence = self._evidence(
            first.subject, first.artifact, [*first.subject.datasets, *datasets], found, files=files
        )
        verdict = self.session.record(self.spec, self.requirement, evidence)
        self._fail_unless_passed(verdict)
        return verdict

    def _seeded(
        self,
        observed: Sequence[Predictions],
        baselines: Mapping[str, Sequence[Predictions]],
        gold: Any,
        groups: Sequence[Any] | None,
        units: Sequence[Any],
        checks: Sequence[CheckResult],
    ) -> dict[str, Any]:
        """The value over seeds and its company; weights of before training are asked for by the first seed alone."""
        options = self.requirement.options
        runs = [one.values for one in observed]
        compared = {}
        for name, several in baselines.items():
            relative, margin = self._margins(name)
            theirs = [one.values for one in several]
            lead = statistics.seeded(
                self.metric, runs, gold, groups,
                controls=theirs, relative=relative, margin=margin, options=options,
            )  # fmt: skip
            mean = float(np.mean([self.metric.compute(one, gold, **options) for one in theirs]))
            compared[name] = _comparison(mean, lead)
        over = statistics.seeded(self.metric, runs, gold, groups, options=options)
        ceiling = self.metric.ceiling(gold, options)
        first = observed[0]
        controls = {}
        if first.artifact is not None and self.requirement.control:
            untrained = first.untrained()
            controls["untrained weights"] = self._compare(first.values, untrained, gold, units, (0.0, 0.0))
        return {
            "value": over.estimate,
            "interval": _pair(over.interval),
            "method": over.interval.method if over.interval else over.reason,
            "needed": self._needed(over.estimate, over.interval),
            "chance": self.metric.chance_level(gold, options),
            "ceiling": ceiling,
            "baselines": compared,
            "controls": controls,
            "checks": (*checks, *self._cheap(compared, ceiling)),
        }

    def _fail_unless_passed(self, verdict: Verdict) -> None:
        if not verdict.passed and not self.session.rehearsal:
            pytest.fail(f"{verdict.kind} {self.name}: {verdict.reason}", pytrace=False)

    def _expects(self, *consumed: str) -> None:
        if self.metric.consumes not in consumed:
            raise ObservationError(
                f"{self.name}: metric {self.metric.name} reads {self.metric.consumes}, got {consumed[0]}"
            )

    def _predictions(
        self,
        observed: Predictions,
        gold: Any,
        groups: Sequence[Any] | None,
        clusters: Sequence[Any] | None,
        baselines: Mapping[str, Any],
        slices: Mapping[str, Sequence[Any]],
    ) -> dict[str, Any]:
        metric, requirement = self.metric, self.requirement
        n = len(observed.items)
        units, note = _units(n, groups, clusters)
        for what, column in [("groups", groups), ("clusters", clusters), *slices.items()]:
            if column is not None and len(column) != n:
                raise ObservationError(f"{self.name}: {what} has {len(column)} entries for {n} items")
        self._check_groups(groups, clusters)
        options = requirement.options
        checks = self._doubts(observed, gold, groups)
        if any(not c.ok for c in checks if c.name in ("length", "finite")):
            return {"value": None, "n": n, "groups": len(set(units)), "checks": tuple(checks)}
        try:
            value = metric.compute(observed.values, gold, **options)
        except (MetricError, TypeError, AttributeError) as error:
            if gold is None and metric.policy_form is not None and not isinstance(error, metrics.UndefinedMetricError):
                told = f"{self.name}: {metric.name} was given no gold; judge(..., gold=...): {error}"
                raise ObservationError(told) from None
            if not isinstance(error, MetricError) or all(check.ok for check in checks):
                raise  # else the metric itself is in doubt: the checks say why there is no number
            return {"value": None, "n": n, "groups": len(set(units)), "checks": tuple(checks)}
        found = statistics.estimate(metric, observed.values, gold, units, options=options)
        interval = found.interval
        compared = {
            name: self._compare(observed.values, other, gold, units, self._margins(name))
            for name, other in baselines.items()
        }
        ceiling = metric.ceiling(gold, options)
        checks += self._cheap(compared, ceiling)
        controls: dict[str, Comparison] = {}
        if observed.artifact is not None and requirement.control:
            untrained = observed.untrained()
            controls["untrained weights"] = self._compare(observed.values, untrained, gold, units, (0.0, 0.0))
        return {
            "value": value,
            "interval": _pair(interval),
            "method": note + (interval.method if interval else found.reason),
            "n": n,
            "groups": len(set(groups if groups is not None else units)),
            "chance": metric.chance_level(gold, options),
            "ceiling": ceiling,
            "baselines": compared,
            "controls": controls,
            "slices": {by: self._slice(observed.values, gold, units, column) for by, column in slices.items()},
            "checks": tuple(checks),
            "needed": self._needed(value, interval),
        }

    def _doubts(self, observed: Predictions, gold: Any, groups: Sequence[Any] | None = None) -> list[CheckResult]:
        """Is there anything in these predictions, is the metric alive on this gold, were the items seen in training?"""
        repeated = "" if observed.repeatable else f"{observed.method} answers differently when asked again"
        given = gold is not None
        alive = liveness.predictions_alive(observed.values, len(observed.items))
        doubts = [
            *(one for one in alive if not (self.metric.uniform and one.name == "varied")),
            *(liveness.examine(self.metric, gold, self.requirement.options, self.requirement.bound) if given else ()),
        ]
        return [
            *(CheckResult(name=one.name, ok=bool(one.ok), detail=one.detail) for one in doubts),
            CheckResult(name="repeatable", ok=observed.repeatable, detail=repeated),
            *(self._training_doubts(observed, observed.artifact, gold, groups) if observed.artifact else ()),
        ]

    def _training_doubts(
        self, observed: Predictions, artifact: Artifact, gold: Any, groups: Sequence[Any] | None
    ) -> list[CheckResult]:
        """What speaks against the weights that answered: unread configuration, empty inputs, items seen in training."""
        doubts = _read_everything(artifact, observed.peeked)
        subject = observed.subject
        # asked of weights alone: a reader of files is given what stands there
        handed = leakage.handed_over(observed.asked, gold) if self.metric.policy_form else None
        doubts += [] if handed is None else [handed]
        if subject.recorded:
            alive = liveness.training_alive(artifact.flight)
            doubts += [CheckResult(name=one.name, ok=one.ok, detail=one.detail) for one in alive]
        if self.requirement.split != "transductive" and self.metric.consumes == "predictions":
            seen = self.session.seen_by(subject)
            doubts += leakage.duplicates(observed.asked, seen)
            beside = self.session.seen_in(artifact.read)
            doubts += [] if beside is None else [c for c in leakage.duplicates(observed.asked, beside) if not c.ok]
            shared = None if groups is None else leakage.shared_groups(groups, seen)
            doubts += [] if shared is None else [shared]
        return doubts

    def _cheap(self, compared: Mapping[str, Comparison], ceiling: float | None) -> list[CheckResult]:
        """Baselines that put the bound or the metric itself in doubt."""
        bound, sign = self.requirement.bound, -1.0 if self.metric.direction == "lower" else 1.0
        named = {b.baseline for b in self.requirement.beats} | {row.than for row in self.requirement.not_worse}
        known = {name: other.value for name, other in compared.items() if other.value is not None}
        reached = [name for name, v in known.items() if bound is not None and bound.holds(v) and name not in named]
        beyond = [name for name, v in known.items() if ceiling is not None and sign * (v - ceiling) > 1e-9]
        told = ", ".join(f"{name} {known[name]:.4g}" for name in reached)
        above = ", ".join(f"{name} {known[name]:.4g}" for name in beyond)
        return [
            CheckResult(
                name="cheap-baseline",
                ok=not reached,
                detail=f"{told} keeps to {bound}: name it under beats, or under not_worse with a margin"
                if told
                else "",
            ),
            CheckResult(name="gameable", ok=not beyond, detail=f"{above} scores above gold itself" if above else ""),
        ]

    def effects(self, subject: Subject, switches: Mapping[str, Any]) -> Verdict:
        """Measure that declared switches act: trained with another value, other weights must come out.

        Args:
            switches: profile key -> another value for it.
        """
        changed = {key: subject.variant(**{key: value}).artifact.weights for key, value in switches.items()}
        own = subject.artifact.weights
        return self(subject.flight, declared={"switches": {key: other != own for key, other in changed.items()}})

    def resume(self, subject: Subject, after: int) -> Verdict:
        """Measure that a run killed after so many updates and resumed ends with the weights of one that was not."""
        return self(subject.flight, declared={"differing": subject.differing_after_kill(after)})

    def _margins(self, name: str) -> tuple[float, float]:
        """(relative, absolute) that a named baseline must be beaten by; a non-inferiority margin is negative."""
        for beat in self.requirement.beats:
            if beat.baseline == name:
                return beat.relative, beat.margin
        for row in self.requirement.not_worse:
            if row.than == name:
                return 0.0, -row.margin
        return 0.0, 0.0

    def _compare(
        self, values: Any, other: Any, gold: Any, units: Sequence[Any], margins: tuple[float, float]
    ) -> Comparison:
        options = self.requirement.options
        try:
            theirs = self.metric.compute(other, gold, **options)
        except MetricError as error:
            raise ObservationError(f"{self.name}: a baseline cannot be measured: {error}") from None
        relative, margin = margins
        paired = statistics.paired_difference(
            self.metric, values, other, gold, units, relative=relative, margin=margin, options=options
        )
        return _comparison(theirs, paired)

    def _slice(self, values: Any, gold: Any, units: Sequence[Any], column: Sequence[Any]) -> dict[str, SliceValue]:
        result: dict[str, SliceValue] = {}
        labels = np.asarray([str(x) for x in column])
        for name in sorted(set(labels.tolist())):
            index = np.flatnonzero(labels == name)
            part, truth = Metric.take(values, index), Metric.take(gold, index)
            part_units = Metric.take(units, index)
            try:
                value = self.metric.compute(part, truth, **self.requirement.options)
                interval = statistics.interval(self.metric, part, truth, part_units, options=self.requirement.options)
            except MetricError:
                result[name] = SliceValue(value=None, n=len(index))
                continue
            result[name] = SliceValue(value=value, interval=_pair(interval), n=len(index))
        return result

    def _needed(self, value: float, interval: Interval | None) -> str:
        bound = self.requirement.bound
        if bound is None or interval is None or bound.holds(interval.low, interval.high):
            return ""
        if not bound.holds(value):
            return ""
        return statistics.needed(value, interval, bound)

    def _flight(self, observed: Flight, declared: Mapping[str, Any]) -> dict[str, Any]:
        known = {
            "profile": observed.subject.profile,
            "parameters": observed.artifact.parameters,
            "unread": list(observed.artifact.unread),
            **declared,
        }
        value = self.metric.compute(observed.record, known, **self.requirement.options)
        updates = int(observed.record.get("updates", 0))
        curve = {"x": list(range(updates)), "y": observed.record.get("losses", []), "label": "training loss"}
        return {
            **_counted(value, updates),
            "details": {"curve": _thin(curve)} if self.requirement.id.endswith("finite") else {},
        }

    def _timings(self, observed: Timings) -> dict[str, Any]:
        if self.session.parallel:
            raise ObservationError(f"{self.name}: timings are no evidence in a parallel run; run without -n")
        options = self.requirement.options
        value = self.metric.compute(observed.seconds, observed.sizes, **options)
        interval = statistics.timing_interval(self.metric, observed.seconds, observed.sizes)
        milliseconds = observed.seconds * 1e3
        percentiles = {f"P{q}": float(np.percentile(milliseconds, q)) for q in (50, 90, 95, 99)}
        return {
            "value": value,
            "interval": _pair(interval),
            "method": interval.method if interval else "too few calls for an interval",
            "n": len(observed.seconds),
            "groups": 1,
            "checks": (CheckResult(name="clock", ok=observed.honest, detail=observed.detail),),
            "details": {"percentiles": percentiles, "threads": observed.threads},
        }

    def _artifact(self, artifact: Artifact) -> dict[str, Any]:
        facts = {"parameters": artifact.parameters, "size_mib": artifact.size_mib, "shapes": artifact.shapes}
        return _counted(self.metric.compute(facts, None, **self.requirement.options), 1)

    def _evidence(
        self,
        subject: Subject,
        artifact: Artifact | None,
        datasets: Sequence[Dataset],
        found: dict[str, Any],
        entry: str = "",
        files: Mapping[str, str] | None = None,
    ) -> Evidence:
        profile = subject.profile_name
        return Evidence(
            system=self.spec.name,
            requirement=self.requirement.id,
            target=self.session.target,
            profile=profile,
            outcome="measured",
            requirement_digest=self.requirement.digest,
            code={
                **(subject.training_code if artifact else {}),
                **subject.predicting_code,
                **{name: digest for one in entry.split() for name, digest in _closure(subject, one).items()},
                **self._test_code(),
                **_tables(subject, profile, datasets),
                **subject.files,
                **(artifact.read if artifact else {}),
                **(files or {}),
            },
            data={
                **{f"{subject.name}.{name}": digest for name, digest in subject.data_digests.items()},
                **{d.name: d.digest for d in datasets},
            },
            sources=tuple(sorted({d.sources for d in datasets})),
            artifact=artifact.key if artifact else "",
            weights=artifact.weights if artifact else "",
            timing=self.metric.consumes == "timing",
            hardware=self.session.hardware(),
            measured_at=time.time(),
            seeds=found.pop("seeds", (artifact.seed,) if artifact else ()),
            **found,
        )

    def _test_code(self) -> dict[str, str]:
        """The acceptance test's own closure, the conftests above it, and the metric's and statistics' modules."""
        project = self.session.project
        result: dict[str, str] = {}
        path = Path(self._item.path).resolve()
        if not path.is_relative_to(project.root):
            raise ObservationError(f"{path}: is not part of the project {project.root}; run pytest from there")
        files = [path]
        own = project.root / SUITE_FOLDER / METRICS_FILE
        files += [own] if own.is_file() else []
        for folder in path.parents:
            if folder == project.root.parent:
                break
            if (folder / "conftest.py").is_file():
                files.append(folder / "conftest.py")
        for file in files:
            result |= project.code.closure_of_file(file, file.relative_to(project.root).as_posix())
        if self.session.changed_since_collection(result):
            raise ObservationError(f"{path}: was edited while it ran; run it again")
        module = self.metric.module
        for name in {
            module,
            "assay.statistics",
            "assay.liveness",
            "assay.leakage",
            "assay.measurement",
            "assay.metrics.metric",
            "assay.units",
        }:
            digest = harness_digest(name) if name.startswith("assay.") else project.code.current(name)
            if digest:
                result[name] = digest
        return result


def _one_for_all(controls: Mapping[str, Sequence[Predictions]]) -> list[CheckResult]:
    """Trained controls that are one training for all seeds: how it varies would be counted once."""
    checks = []
    for name, several in controls.items():
        seeds = [one.subject.profile.get("seed") for one in several if one.artifact is not None]
        if len(set(seeds)) < len(seeds):
            detail = f"{name}: the control of {len(seeds)} seeds was trained with {len(set(seeds))}"
            checks.append(CheckResult(name="seeds-differ", ok=False, detail=detail))
    return checks


def _differing(observed: Sequence[Predictions], controls: Sequence[Predictions]) -> str:
    """The profile keys by which a control was trained otherwise, with their values; seeds aside."""
    mine, theirs = observed[0].subject.profile, controls[0].subject.profile
    changed = {name: value for name, value in theirs.items() if name != "seed" and mine.get(name) != value}
    return ", ".join(f"{name} = {value} for {mine.get(name)}" for name, value in changed.items()) or "the same profile"


def _once(checks: Iterable[CheckResult]) -> list[CheckResult]:
    """One result for each name: the first that tripped, else the first."""
    found: dict[str, CheckResult] = {}
    for check in checks:
        if check.name not in found or (found[check.name].ok and not check.ok):
            found[check.name] = check
    return list(found.values())


def _closure(subject: Subject, entry: str) -> dict[str, str]:
    """Everything that an entry point ("package.module:function") imports."""
    return subject.code.closure(entry.partition(":")[0])


def _units(n: int, groups: Sequence[Any] | None, clusters: Sequence[Any] | None) -> tuple[Sequence[Any], str]:
    if groups is None:
        return list(range(n)), ""
    few = len(set(groups))
    if few >= FEW_GROUPS or clusters is None:
        return list(groups), ""
    return list(clusters), f"conditional on these {few} groups; "


def _tables(subject: Subject, profile: str, datasets: Sequence[Dataset]) -> dict[str, str]:
    spec = subject.spec
    result = {"[system]": digests.of_json([spec.system.train, spec.system.load])}
    if spec.system.trains:
        result |= {f"[profile.{name}]": digests.of_json(spec.profile[name]) for name in sorted(subject.profiles)}
    for name in sorted({table for dataset in datasets for table in dataset.tables}):
        if name not in spec.data:
            raise ObservationError(f"{spec.path}: no table [data.{name}], which a data set claims to come from")
        result[f"[data.{name}]"] = digests.of_json(spec.table(name, profile))
    return result


def _read_everything(artifact: Artifact, while_answering: Sequence[str] = ()) -> list[CheckResult]:
    detail = f"profile keys that training never read: {', '.join(artifact.unread)}" if artifact.unread else ""
    told = "files of the judge's data sets that were not handed over were read"
    peeked = [
        f"{told} {when}: {', '.join(files)}"
        for when, files in (("in training", artifact.peeked), ("while answering", while_answering))
        if files
    ]
    return [
        CheckResult(name="config-read", ok=not artifact.unread, detail=detail),
        CheckResult(name="data-handed-over", ok=not peeked, detail="; ".join(peeked)),
    ]


def _counted(value: float, n: int) -> dict[str, Any]:
    return {
        "value": value,
        "interval": (value, value),
        "method": "counted, not sampled",
        "n": n,
        "groups": 1,
    }


def _comparison(value: float, lead: Estimate) -> Comparison:
    """Another policy's value, the subject's lead over it, and what would settle a lead that is not shown."""
    found = lead.interval
    open_ = found is not None and lead.estimate > 0 and found.low <= 0
    needed = statistics.needed_beyond(lead.estimate, found) if open_ and found is not None else ""
    return Comparison(value=value, difference=lead.estimate, interval=_pair(found), needed=needed)


def _pair(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)


def _thin(curve: dict[str, Any], points: int = 200) -> dict[str, Any]:
    step = max(1, len(curve["y"]) // points)
    return {**curve, "x": curve["x"][::step], "y": curve["y"][::step]}
