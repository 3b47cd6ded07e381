"""One pytest session that judges: which project, on which hardware, with which profile, and what it has measured.

Stands between the plugin (hooks) and the rest; it never computes a metric or a verdict itself.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from assay import digests, hardware, leakage, metrics, reads, sabotage
from assay.artifacts import Store
from assay.errors import HardwareError, ObservationError, SpecError
from assay.evidence import CheckResult, Evidence, Hardware
from assay.project import Project
from assay.spec import HARDWARE, REHEARSALS, SMOKE, Requirement, Spec
from assay.subject import Dataset, Subject
from assay.verdict import Verdict

Say = Callable[[str], None]


class Session:
    """What a running judgement knows.

    Args:
        project: the checkout.
        target: the hardware that this run claims.
        profile: the profile to train; None means the one named after the target.
        full: whether method claims are settled, too.
        parallel: whether several pytest processes run at once (timings are then no evidence).
        say: where progress goes.
    """

    def __init__(
        self,
        project: Project,
        target: str,
        profile: str | None = None,
        full: bool = False,
        parallel: bool = False,
        say: Say = lambda text: None,
    ) -> None:
        self.project, self.target, self.full, self.parallel, self.say = project, target, full, parallel, say
        self._profile = profile
        self._subjects: list[Subject] = []
        self._verdicts: dict[str, Verdict] = {}
        self._values: dict[str, float | None] = {}
        self._collected: dict[str, str] = {}
        self._seen: dict[str, leakage.Seen] = {}
        self.measured: dict[str, Evidence] = {}
        """What this run measured, by requirement, whether or not it is evidence."""

    @classmethod
    def of(cls, config: pytest.Config) -> Session:
        """The session that a pytest command line asks for.

        Raises:
            SpecError: when there is no project around pytest's root folder.
            HardwareError: when two different kinds of hardware are claimed.
        """
        project = Project.here(Path(config.rootpath))
        option, marker = config.getoption("--hardware"), str(config.getoption("markexpr", "") or "")
        if option and option not in HARDWARE:
            raise HardwareError(f'--hardware: unknown hardware "{option}" (known: {", ".join(HARDWARE)})')
        if option and marker in HARDWARE and marker != option:
            raise HardwareError(f"-m {marker} and --hardware {option} claim different hardware")
        targets = tuple(sorted({t for spec in project.specs.values() for t in spec.system.targets}))
        target = option or (marker if marker in HARDWARE else hardware.found(targets))
        return cls(
            project,
            target,
            profile=config.getoption("--assay-profile"),
            full=config.getoption("--assay-full"),
            parallel=hasattr(config, "workerinput"),
            say=_progress(config),
        )

    @property
    def rehearsal(self) -> bool:
        """Whether nothing that is measured is evidence."""
        return self._profile in REHEARSALS

    @property
    def smoke(self) -> bool:
        """Whether it is a rehearsal of the mechanics alone: of every row, on whatever is there."""
        return self._profile == SMOKE

    def profile_of(self, spec: Spec) -> str:
        """The profile that is trained for a system. SpecError when the spec has none of that name.

        A system that trains nothing (a corpus, a tool) needs no such table.
        """
        name = self._profile or self.target
        if spec.system.trains and name not in spec.profile:
            known = ", ".join(spec.profile) or "none"
            raise SpecError(f"{spec.path}: no table [profile.{name}] (profiles: {known})")
        return name

    def collected(self, names: Sequence[str]) -> None:
        """Requirements that tests of this run claim: check the claims of their whole systems."""
        self.project.check_claims(sorted({name.partition("/")[0] for name in names}))

    def start(self, names: Sequence[str]) -> None:
        """Before the first test: the claimed hardware must be there and work, and the profile must exist."""
        if names and not self.rehearsal:
            self.hardware()
        for name in sorted({name.partition("/")[0] for name in names}):
            self.profile_of(self.project.spec(name))

    def remember(self, path: Path) -> None:
        """Keep the digest of a claiming test file as it was collected."""
        path = path.resolve()
        if path.is_relative_to(self.project.root):
            name = path.relative_to(self.project.root).as_posix()
            self._collected |= self.project.code.closure_of_file(path, name)

    def changed_since_collection(self, now: Mapping[str, str]) -> bool:
        """Whether code that was collected is not the code that lies there now."""
        return any(now.get(name, digest) != digest for name, digest in self._collected.items())

    def hardware(self) -> Hardware:
        """The fingerprint of the claimed hardware. HardwareError when it does not work here.

        A rehearsal proves nothing about any: it is not probed, which takes seconds for every row where it is absent.
        """
        return Hardware(kind=self.target, model="not probed") if self.rehearsal else hardware.probe(self.target)

    def postponed(self, name: str) -> str:
        """Why a requirement is not measured in this run although it is selected; "" when it is."""
        _, requirement = self.project.requirement(name)
        if requirement.kind == "method" and not self.full and not self.smoke:
            return "method claim: settled by `assay verify --full`"
        if self.target not in requirement.on and not self.smoke:
            return f"demanded on {', '.join(requirement.on)}, this run judges for {self.target}"
        return ""

    def early(self, names: Sequence[str]) -> bool:
        """Whether the requirement is measured on outputs that need no trained weights.

        A supporting metric of outputs, such as their spread, speaks of predictions.
        """
        found = (metrics.get(self.project.requirement(name)[1].metric) for name in names)
        return any(metric.consumes == "outputs" and not metric.supporting for metric in found)

    def judged(self, name: str) -> bool:
        """Whether judge(...) gave a verdict for the requirement in this run."""
        return name in self._verdicts

    def passed(self, name: str) -> bool:
        """Whether that verdict was PASS (in a rehearsal: whether there was one)."""
        return name in self._verdicts and (self.rehearsal or self._verdicts[name].passed)

    def record(self, spec: Spec, requirement: Requirement, evidence: Evidence) -> Verdict:
        """Append the evidence to the ledger and return the verdict on it; rehearsals append nothing."""
        name = f"{spec.name}/{requirement.id}"
        if name in self._verdicts:
            raise ObservationError(f"{name}: was judged already in this run; a requirement is measured once")
        self.measured[name] = evidence
        if self.rehearsal:
            verdict = Verdict(kind="UNPROVEN", reason=f"{self._profile} profile: never evidence")
        else:
            goalposts = self.project.goalposts(spec, requirement, self.target)
            self.project.ledger.append(evidence.model_copy(update={"goalposts": goalposts}))
            found = self.project.ledger.latest().get(evidence.key)
            verdict = self.project.verdict(spec, requirement, self.target, found)
        self._verdicts[name], self._values[name] = verdict, evidence.value
        return verdict

    def headline(self, name: str) -> str:
        """Verdict and value of a requirement judged in this run, on one line."""
        value = self._values[name]
        kind = str(self._profile) if self.rehearsal else self._verdicts[name].kind
        return kind if value is None else f"{kind} {value:.4g}"

    def skipped(self, file: Path, reason: str) -> list[str]:
        """A file skipped itself: leave a row for each requirement that its tests claim and this run should measure."""
        path = file.resolve()
        if not path.is_relative_to(self.project.root):
            return []
        where = path.relative_to(self.project.root).as_posix() + "::"
        claims = self.project.claims.items()
        claimed = [name for name, tests in claims if any(test.startswith(where) for test in tests)]
        due = [name for name in claimed if not self.postponed(name)]
        for name in due:
            self.unmeasured(name, "skipped", reason)
        return due

    def unmeasured(self, name: str, outcome: Literal["skipped", "error"], reason: str, check: str = "") -> None:
        """A selected test measured nothing: leave a row that says so, and which check refused where one did."""
        spec, requirement = self.project.requirement(name)
        try:
            machine = self.hardware()
        except HardwareError:
            machine = Hardware(kind=self.target, model="absent")
        unmeasured = Evidence(
            system=spec.name,
            requirement=requirement.id,
            target=self.target,
            profile=self._profile or self.target,
            outcome=outcome,
            reason=reason,
            checks=(CheckResult(name=check, ok=False, detail=reason),) if check else (),
            requirement_digest=requirement.digest,
            hardware=machine,
            measured_at=time.time(),
        )
        if not self.rehearsal:
            goalposts = self.project.goalposts(spec, requirement, self.target)
            unmeasured = unmeasured.model_copy(update={"goalposts": goalposts})
            self.project.ledger.append(unmeasured)
        self.measured[name] = unmeasured

    def properties(self, name: str) -> list[tuple[str, str]]:
        """JUnit properties of a requirement as it stands now."""
        if self.rehearsal:
            return []
        from assay.report import junit

        spec, requirement = self.project.requirement(name)
        rows = self.project.board([spec.name], self.target, only=[requirement.id]).systems[0].rows
        return junit.properties(rows[0]) if rows else []

    def green(self, seen: Mapping[str, str]) -> bool:
        """Whether every requirement that this run touched, and that gates here, is PASS now."""
        if self.rehearsal:
            return "failed" not in seen.values()
        systems = sorted({name.partition("/")[0] for name in seen})
        board = self.project.board(systems, self.target)
        return all(
            row.verdict.passed
            for system in board.systems
            for row in system.gating
            if f"{system.name}/{row.requirement.id}" in seen
        )

    def print_board(self, reporter: Any, seen: Mapping[str, str]) -> None:
        """Print the board of the systems that this run touched."""
        if self.rehearsal:
            reporter.write_line(f"assay: {self._profile} profile - no evidence was recorded")
            return
        from rich.console import Console

        from assay.report import terminal

        systems = sorted({name.partition("/")[0] for name in seen})
        reporter.ensure_newline()
        console = Console(file=reporter._tw._file, no_color=not reporter.hasmarkup, width=reporter._tw.fullwidth)
        terminal.render(self.project.board(systems, self.target), console)

    def dataset(
        self,
        name: str,
        build: Callable[..., Any],
        *,
        sources: Mapping[str, Path],
        tables: Sequence[str] = (),
        **parameters: Any,
    ) -> Dataset:
        """Build a data set once: `build(out: Path, **parameters)` writes files into `out`.

        Args:
            name: what the evidence calls it.
            build: a module-level function; its import closure is part of the key.
            sources: label -> file that the data is made from; the claims decay when one changes.
            tables: `[data.X]` tables of the spec that the parameters came from.
        """
        wrong = next((label for label, path in sources.items() if not isinstance(path, Path)), None)
        if wrong is not None:
            raise ObservationError(f'data set "{name}": sources maps labels to paths; "{wrong}" is no Path')
        manifest = digests.Manifest.of(sources, self.project.root)
        source_file = inspect.getsourcefile(build)
        if source_file is None or build.__name__ == "<lambda>":
            raise ObservationError(f'data set "{name}": build must be a function defined in a file')
        closure = self.project.code.closure_of_file(Path(source_file), "build")
        key = digests.of_json([name, closure, build.__qualname__, manifest.digest, parameters])
        if not self.project.store.has("data", key):
            self.say(f"building data set {name}")
        folder = self.project.store.build("data", key, lambda out: build(out, **parameters), name=name)
        self.project.store.verify("data", key)
        record = self.project.store.record("data", key) or {"files": {}}
        self.project.code.save()
        return Dataset(
            name=name,
            folder=folder,
            digest=digests.of_json(record["files"]),
            sources=self.project.store.save_manifest(manifest),
            tables=tuple(tables),
        )

    def subject(
        self,
        name: str,
        *,
        data: Mapping[str, Path] | None = None,
        datasets: Sequence[Dataset] = (),
        meanwhile: Sequence[Callable[[], object]] = (),
    ) -> Subject:
        """The subject of a system with its training files (by the name that `train` reads them under).

        `meanwhile` is called while it trains: data sets that training does not need. None may ask a subject.
        """
        spec = self.project.spec(name)
        subject = Subject(
            spec,
            self.profile_of(spec),
            self.store,
            self.project.code,
            sabotage.data(data or {}),
            datasets,
            on_progress=self.say,
            meanwhile=[lambda: self.seen_by(subject), *meanwhile],
        )
        self._subjects.append(subject)
        return subject

    def seen_by(self, subject: Subject) -> leakage.Seen:
        """What stands in the training files of a subject, as far as they can be read; kept for the session."""
        key = digests.of_json(subject.data_digests)
        if key not in self._seen:
            found = {path.name: leakage.rows(path) for path in subject.data.values()}
            seen = leakage.Seen.of(row for rows in found.values() if rows is not None for row in rows)
            seen.unread = [name for name, rows in found.items() if rows is None]
            self._seen[key] = seen
        return self._seen[key]

    def seen_in(self, files: Mapping[str, str]) -> leakage.Seen | None:
        """What stands in files of the project that training read beside its data; None where none can be read."""
        key = digests.of_json(files)
        if key not in self._seen and any(Path(name).suffix in leakage.READABLE for name in files):
            found = [leakage.rows(reads.file(name, self.project.root)) for name in files]
            self._seen[key] = leakage.Seen.of(row for rows in found if rows is not None for row in rows)
        return self._seen.get(key)

    @property
    def store(self) -> Store:
        return self.project.store

    def close(self) -> None:
        """End worker processes and save caches."""
        for subject in self._subjects:
            subject.close()
        self.project.code.save()
        self.say("")


def _progress(config: pytest.Config) -> Say:
    """Show what takes long, past pytest's capture: one rewritten line on a terminal, sparse lines elsewhere."""
    manager = config.pluginmanager.getplugin("capturemanager")
    terminal = sys.stderr.isatty()
    last = [0.0]

    def say(text: str) -> None:
        now = time.monotonic()
        if text and now - last[0] < (0.2 if terminal else 20.0) and ": update" in text:
            return
        last[0] = now
        line = (f"\r\x1b[2K  {text}" if text else "\r\x1b[2K") if terminal else (f"  {text}\n" if text else "")
        if manager is None:
            sys.stderr.write(line)
            sys.stderr.flush()
            return
        with manager.global_and_fixture_disabled():
            sys.stderr.write(line)
            sys.stderr.flush()

    return say
