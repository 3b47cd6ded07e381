"""The gate proves that it can say no: honest projects sabotaged by one defect each, judged like any other.

A mutant is an edit of the source or the data of an honest project; the run that judges it is an ordinary pytest run
in a process of its own. Nothing here decides what a check says: it only compares what tripped with what had to.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from assay import checks, sabotage, scratch
from assay.errors import AssayError, did_you_mean
from assay.evidence import Evidence
from assay.nursery import ENVIRONMENT, Nursery, fork
from assay.spec import SKETCH, SMOKE
from assay.subject import USE_TORCH

Tier = Literal["twin", "system", "subject"]
Doubt = tuple[str, str]
"""A row of the board and the raw name of what tripped there."""

JUDGING = (
    *("numpy", "pytest", "safetensors.numpy", "sklearn.metrics", "scipy.stats", "rich.console", "filelock"),
    *("assay.session", "assay.measurement", "assay.worker", "assay.plugin", "assay.cli", "assay.documents"),
    "assay.mutants:warm",
)
"""What every judgement imports."""

TORCH = ("torch", "torch.optim", "torch.nn", "torch._dynamo", "safetensors.torch", "assay.recorder")
"""What training with torch imports, torch._dynamo with the first optimizer."""

CONTRACTS = ("great_expectations", "great_expectations.validator.v1_validator", "pandas", "assay.contracts")
"""What data contracts import: seconds, which a few judgements do not earn back."""

_FEW = 5

TARGET = "cpu"
"""What generic mutants are judged on, and the profile of it."""


@dataclass(frozen=True)
class Edit:
    """A text of a file that is there exactly once, and what takes its place; all of its places with `every`."""

    file: str
    before: str
    after: str
    every: bool = False

    def apply(self, root: Path) -> None:
        """Raises AssayError when the text is not there: a mutant that changes nothing would prove nothing."""
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        count = text.count(self.before)
        if not count or (count > 1 and not self.every):
            raise AssayError(f"{path}: {self.before!r} stands there {count} times; once is needed")
        path.write_text(text.replace(self.before, self.after), encoding="utf-8")


@dataclass(frozen=True)
class Mutant:
    """One sabotage.

    Attributes:
        id: row of the catalogue of false claims.
        defect: what was done, in words.
        killed_by: id of the check (`assay.checks`) that must be among those that trip.
        edits: what is changed before the project is judged.
        then: what is changed after an honest judgement; the board is read again, and judged again with `again` (in a
            store of its own: what is changed may lie there, and the others build on what is in the common one).
        full: whether the rows that train several times over are needed for the kill.
        suites: acceptance files (NAME for `test_NAME.py`, NAME::TEST for one test of it) that are to kill it; all
            of them by default.
    """

    id: str
    defect: str
    killed_by: str
    edits: tuple[Edit | Callable[[Path], None], ...] = ()
    then: tuple[Edit | Callable[[Path], None], ...] = ()
    again: bool = False
    full: bool = False
    suites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Honest:
    """A variation of the honest project: another seed, other hyper-parameters. Nothing may trip."""

    name: str
    edits: tuple[Edit, ...] = ()
    full: bool = False


class Catalogue(Protocol):
    """What `acceptance/mutants/catalogue.py` of a project defines."""

    PROJECT: Path
    MUTANTS: Sequence[Mutant]
    HONEST: Sequence[Honest]

    @staticmethod
    def afterwards(root: Path) -> list[Any]:
        """Doubts beyond the board (documents, published files), as CheckResults, after a judgement."""
        ...


@dataclass
class Trial:
    """What one judgement of one variation gave: raw names of what tripped, with the reason."""

    tripped: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    id: str
    tier: Tier
    defect: str
    expected: str
    killed_by: tuple[str, ...]
    ok: bool
    detail: str = ""
    seconds: float = 0.0
    profile: str = ""
    """What was trained where a system was sabotaged."""
    unlearnt: bool = False
    """Whether it survived where the honest run trips the same checks: a profile that learns can tell the two apart."""

    @property
    def killed(self) -> bool:
        """Whether the check named for it tripped; a sabotage that found nothing to break is `ok` and not killed."""
        return self.ok and self.expected in self.killed_by


@dataclass(frozen=True)
class Matrix:
    """The outcome: every mutant, and every accusation of an honest variation."""

    mutants: tuple[Row, ...]
    honest_runs: int
    false_alarms: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """All killed by the check named for them, nobody honest accused, and something was run at all."""
        return bool(self.mutants) and all(row.ok for row in self.mutants) and not self.false_alarms

    def as_json(self) -> dict[str, Any]:
        """The contract of `assay mutants --json`."""
        rows = [
            {
                "id": r.id, "tier": r.tier, "expected": r.expected, "killed_by": list(r.killed_by), "ok": r.ok,
                **({"profile": r.profile, "detail": r.detail} if r.profile else {}),
            }
            for r in self.mutants
        ]  # fmt: skip
        return {"mutants": rows, "honest": {"runs": self.honest_runs, "false_alarms": list(self.false_alarms)}}


def joined(matrices: Sequence[Matrix]) -> Matrix:
    """Several matrices as one."""
    return Matrix(
        tuple(row for matrix in matrices for row in matrix.mutants),
        sum(matrix.honest_runs for matrix in matrices),
        tuple(alarm for matrix in matrices for alarm in matrix.false_alarms),
        sum(matrix.seconds for matrix in matrices),
    )


def catalogue(root: Path) -> Catalogue:
    """The mutants of a project. AssayError when it has none."""
    path = root / "acceptance" / "mutants" / "catalogue.py"
    if not path.is_file():
        raise AssayError(f"{path}: no catalogue of mutants here; `assay mutants --subject NAME` runs the generic ones")
    with _importable(root):
        return importlib.import_module("acceptance.mutants.catalogue")  # type: ignore[return-value]


def run(
    root: Path,
    only: Sequence[str] = (),
    honest: bool = True,
    jobs: int | None = None,
    on_result: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Matrix:
    """Run the catalogue of the project at `root`.

    Args:
        only: ids of mutants; all by default.
        honest: whether the honest variations are judged, too.
        jobs: judgements at a time; one for each core by default.
        on_result: called with a name, the number of judgements done and their total.
    """
    start = time.monotonic()
    found = catalogue(root)
    known = {mutant.id for mutant in found.MUTANTS}
    if unknown := sorted(set(only) - known):
        raise AssayError(f'no mutant "{unknown[0]}"{did_you_mean(unknown[0], known)}')
    chosen = [mutant for mutant in found.MUTANTS if not only or mutant.id in only]
    variations = list(found.HONEST) if honest else []
    total = len(chosen) + len(variations)
    imports = (*TORCH, *(CONTRACTS if total > _FEW else ()), *JUDGING)
    with _Arena(root, found.PROJECT, imports) as arena, ThreadPoolExecutor(jobs or _cores()) as pool:
        # What the honest one trains and builds is there for the others.
        twin = arena.judge(Mutant("honest", "", "", suites=_suites_of(chosen) if only else ()))
        done = 0

        def finished(name: str) -> None:
            nonlocal done
            done += 1
            on_result(name, done, total)

        def kill(mutant: Mutant) -> Row:
            trial = arena.judge(mutant)
            finished(mutant.id)
            return row_of(mutant, trial, "twin")

        def accuse(variation: Honest) -> list[str]:
            trial = arena.judge(Mutant(variation.name, "", "", variation.edits, full=variation.full))
            finished(variation.name)
            said = [f"{name}: {detail}" for name, detail in trial.tripped.items()]
            said += [trial.failure] if trial.failure else []
            return [f"{variation.name}: {one}" for one in said]

        longest = sorted(chosen, key=lambda mutant: -mutant.full)
        rows = dict(zip([mutant.id for mutant in longest], pool.map(kill, longest), strict=True))
        alarms = [f"honest: {name}: {detail}" for name, detail in twin.tripped.items()]
        alarms += [f"honest: {twin.failure}"] if twin.failure else []
        alarms += [one for accused in pool.map(accuse, variations) for one in accused]
    ordered = tuple(rows[mutant.id] for mutant in chosen)
    return Matrix(ordered, len(variations), tuple(alarms), time.monotonic() - start)


def _suites_of(chosen: Sequence[Mutant]) -> tuple[str, ...]:
    """The suites that a few mutants need; all where one needs all, or only what trains several times over."""
    quick = {suite for mutant in chosen if not mutant.full for suite in mutant.suites or ("",)}
    return () if "" in quick else tuple(sorted(quick))


def row_of(mutant: Mutant, trial: Trial, tier: Tier) -> Row:
    """What a trial says of a mutant: killed only if the check named for it is among those that tripped."""
    killers = checks.tripped(trial.tripped)
    ok = mutant.killed_by in killers and not trial.failure
    detail = trial.failure
    if not detail and not ok:
        told = ", ".join(sorted(trial.tripped)) or "nothing"
        detail = (
            f"survived: {told} tripped" if not killers else f"killed, and not by {mutant.killed_by}: {told} tripped"
        )
    return Row(mutant.id, tier, mutant.defect, mutant.killed_by, tuple(killers), ok, detail, trial.seconds)


class _Arena:
    """Where variations of one project are laid out and judged, each in a process forked from the nursery."""

    def __init__(self, root: Path, project: Path, imports: Sequence[str]) -> None:
        self.root, self.project, self.imports = root, project, imports

    def __enter__(self) -> _Arena:
        self._stack = contextlib.ExitStack()
        self._folder = self._stack.enter_context(scratch.folder("mutants", in_memory=True))
        self._nursery = self._stack.enter_context(Nursery(list(filter(_present, self.imports))))
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def judge(self, mutant: Mutant) -> Trial:
        """Lay the project out, sabotage it, and judge it."""
        start = time.monotonic()
        place = self._folder / mutant.id.replace("/", "-")
        shutil.copytree(self.project, place, ignore=shutil.ignore_patterns("__pycache__", ".assay", ".pytest_cache"))
        try:
            for edit in mutant.edits:
                take_step(edit, place)
        except AssayError as error:
            return Trial(failure=str(error))
        result = place / "trial.json"
        # Steps that are functions stay in the catalogue: the child finds them by the mutant's id.
        arguments = {
            "root": str(place), "home": str(self.root), "result": str(result), "full": mutant.full,
            "suites": list(mutant.suites), "then": mutant.id if mutant.then else "",
        }  # fmt: skip
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "GITHUB_", "ASSAY_"))
        }
        environment |= {
            "ASSAY_CACHE": str((place if mutant.again else self._folder) / "cache"),
            ENVIRONMENT: self._nursery.address, "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }  # fmt: skip
        log = place / "trial.log"
        with log.open("wb") as output, open(os.devnull, "rb") as nothing:
            streams = [nothing.fileno(), output.fileno(), output.fileno()]
            child = fork(self._nursery.address, "assay.mutants:trial", arguments, streams, environment, place)
        try:
            child.wait(timeout=_PATIENCE)
        except Exception:
            child.kill()
            return Trial(failure=f"was not judged within {_PATIENCE:g} s")
        try:
            trial_ = Trial(**json.loads(result.read_text()))
        except (OSError, ValueError, TypeError):
            last = log.read_text(errors="replace").strip().splitlines()[-8:]
            return Trial(failure="the judging process ended without a result: " + " | ".join(last))
        trial_.seconds = time.monotonic() - start
        if not os.environ.get("ASSAY_KEEP_MUTANTS"):
            shutil.rmtree(place, ignore_errors=True)
        return trial_


_PATIENCE = 300.0


def trial(root: str, home: str, result: str, full: bool, suites: list[str], then: str) -> int:
    """Entry point of a judging process: judge the project at `root`, write a `Trial` to `result`."""
    where = Path(root)
    with _importable(Path(home)):
        found = catalogue(Path(home))
    tripped, seen = _judged(where, found, full, suites)
    if then:
        (mutant,) = (one for one in found.MUTANTS if one.id == then)
        if tripped:  # what comes after an honest judgement needs an honest judgement
            told = "; ".join(f"{name}: {detail}" for name, detail in tripped.items())
            Path(result).write_text(json.dumps(asdict(Trial(failure=f"the honest run tripped: {told}"[:1000]))))
            return 0
        for step in mutant.then:
            take_step(step, where)
        tripped = _judged(where, found, full, suites)[0] if mutant.again else _board(where, found, seen, full)
    Path(result).write_text(json.dumps(asdict(Trial(tripped={k: v[:500] for k, v in tripped.items()}))))
    return 0


def warm() -> None:
    """What the nursery does once for all judgements: digest the harness's modules, list what is installed."""
    from assay import digests
    from assay.project import harness_digest

    here = Path(__file__).parent
    for package in (here, here / "metrics"):
        for name in (path.stem for path in package.glob("*.py") if path.stem != "__init__"):
            harness_digest(".".join([*package.relative_to(here.parent).parts, name]))
    digests.installed()


def _suite(root: Path, name: str) -> str:
    """`quality` -> its file, `quality::test_x` -> that test alone, "" -> the whole folder."""
    file, _, test = name.partition("::")
    path = root / "acceptance" / (f"test_{file}.py" if file else "")
    return f"{path}::{test}" if test else str(path)


def _judged(root: Path, found: Catalogue, full: bool, suites: Sequence[str] = ()) -> tuple[dict[str, str], set[str]]:
    """Judge the project with pytest, as a user would: everything that speaks against it, and the rows that were run."""
    import pytest

    from assay.project import Project

    try:
        project = Project(root)
        project.check_claims(project.specs)
    except AssayError as error:
        return {error.check or "refused": str(error)}, set()
    for name in [name for name, module in sys.modules.items() if _lies_in(module, root)]:
        del sys.modules[name]  # a second run in this process reads the suite again
    seen = _Seen()
    selected = "cpu" if full else "cpu and not retrains"
    arguments = [
        *[_suite(root, name) for name in suites or [""]], "--rootdir", str(root), "--hardware", "cpu", "-m", selected,
        "-q", "--tb=short", "-p", "assay.plugin", "-p", "no:cacheprovider", "-p", "no:unraisableexception",
        "--assay-no-board", *(["--assay-full"] if full else []),
    ]  # fmt: skip
    code = pytest.main(arguments, plugins=[seen])
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        return {seen.refused or "refused": "the run was refused, see the message of pytest"}, set()
    return {**seen.broken, **_board(root, found, seen.names, full)}, seen.names


class _Seen:
    """Which requirements a run reached, which files it could not collect, and which check refused all of it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.broken: dict[str, str] = {}
        self.refused = ""

    def pytest_unconfigure(self, config: Any) -> None:
        from assay.plugin import REFUSED

        self.refused = config.stash.get(REFUSED, "")

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed or report.skipped:
            self.broken["skipped" if report.skipped else "error"] = str(report.longrepr)[-300:]

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.names |= {str(value) for key, value in report.user_properties if key == "assay.requirement"}


def _board(root: Path, found: Catalogue, seen: set[str], full: bool) -> dict[str, str]:
    """Raw names of everything that trips on the board as it stands; of the rows that were run."""
    from assay.project import Project

    tripped: dict[str, str] = {}
    for system in Project(root).board(target="cpu").systems:
        for problem in system.problems:
            tripped["board"] = problem
        for row in system.rows:
            name = f"{system.name}/{row.requirement.id}"
            postponed = row.requirement.kind == "method" and row.evidence is None and not full
            if row.verdict.passed or name not in seen or postponed:
                continue
            raised = {one.name: one.detail for one in row.tripped}
            for one in [*raised, *([row.requirement.metric] if _missed(row.evidence, raised) else [])]:
                tripped.setdefault(one, f"{row.requirement.id}: {raised.get(one) or row.verdict.reason}")
    for doubt in found.afterwards(root):
        if not doubt.ok:
            tripped.setdefault(doubt.name, doubt.detail)
    return tripped


def _missed(evidence: Evidence | None, raised: Iterable[str]) -> bool:
    """Whether it is what the row measures that speaks against it: a crash, or a doubt about the answers, is no miss."""
    return evidence is not None and evidence.value is not None and not {"bound", "interval"}.isdisjoint(raised)


def take_step(step: Edit | Callable[[Path], None], root: Path) -> None:
    """Make one change."""
    if isinstance(step, Edit):
        step.apply(root)
    else:
        step(root)


def _lies_in(module: object, root: Path) -> bool:
    return str(getattr(module, "__file__", None) or "").startswith(str(root))


@contextlib.contextmanager
def _importable(root: Path) -> Iterator[None]:
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ------------------------------------------------------------------------------ generic mutants on any subject


def run_subject(
    root: Path,
    system: str,
    profile: str = TARGET,
    tier: Tier = "subject",
    only: Sequence[str] = (),
    jobs: int | None = None,
    on_result: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Matrix:
    """Give a subject the generic mutants, through its own acceptance suite, and see what trips that did not before.

    Args:
        system: name of the system in `spec/`.
        profile: which is trained; that of the hardware by default, a rehearsal ("smoke", "sketch") is quicker.
        only: ids of generic mutants.
        jobs: judgements at a time, after the honest one; one for each core by default.

    The ledger of the project is left alone; what is built goes to the usual store, under keys of its own. A run ends
    with the first row at which a check named for the mutant trips.
    """
    start = time.monotonic()
    only = [name.removeprefix(f"{system}/") for name in only]  # as the matrix prints them
    chosen = [one for one in sabotage.GENERIC if not only or one.id in only]
    if unknown := sorted(set(only) - set(sabotage.BY_ID)):
        raise AssayError(f"no generic mutant {', '.join(unknown)} (known: {', '.join(sabotage.BY_ID)})")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch.folder("mutants"))
        nursery = stack.enter_context(Nursery(_imports(root, system)))
        honest, _, failure = _subject_trial(nursery, folder, root, system, profile)
        if failure:
            raise AssayError(f"{system}: the honest run came to no end: {failure}")

        def kill(one: sabotage.Sabotage) -> Row:
            begun = time.monotonic()
            found, bitten, failure = _subject_trial(nursery, folder, root, system, profile, one, honest)
            fresh = sorted({name for row, name in found - honest})
            killers = checks.tripped(fresh)
            named = [check for check in one.killed_by if check in killers]
            ok, detail, unlearnt = bool(named) and not failure, failure, False
            if not bitten and not failure:
                ok, detail = not named, "not applicable: it found nothing to break"
                if "error" in fresh:
                    ok, detail = False, "it broke the run before it changed anything: that shows nothing"
                elif named:  # two honest runs that do not say the same
                    detail = f"it found nothing to break, and yet {', '.join(fresh)} tripped"
            elif not ok and not failure:
                detail = f"survived: {', '.join(fresh) or 'nothing new'} tripped"
                before = [check for check in checks.tripped(name for _, name in honest) if check in one.killed_by]
                unlearnt = bool(before)
                if before:  # a smoke run that learns nothing looks like random weights without any
                    detail += f"; the honest run trips {', '.join(before)} itself: judge a profile that learns"
            expected = named[0] if named else one.killed_by[0]
            seconds = time.monotonic() - begun
            return Row(
                f"{system}/{one.id}", tier, one.defect, expected, tuple(killers), ok, detail, seconds, profile, unlearnt
            )

        rows: list[Row] = []
        with ThreadPoolExecutor(jobs or _cores()) as pool:
            for row in pool.map(kill, chosen):
                rows.append(row)
                on_result(row.id, len(rows), len(chosen))
    return Matrix(tuple(rows), 1, (), time.monotonic() - start)


def run_system(
    root: Path,
    system: str,
    jobs: int | None = None,
    on_result: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Matrix:
    """The generic mutants in the smoke profile of a system; one that looks there like the honest run, which learns next
    to nothing, in its sketch, or in the profile of the hardware where it has none."""
    from assay.project import Project

    quick = run_subject(root, system, SMOKE, "system", (), jobs, on_result)
    open_ = [row.id.partition("/")[2] for row in quick.mutants if row.unlearnt]
    if not open_:
        return quick
    learns = SKETCH if SKETCH in Project(root).spec(system).profile else TARGET
    slow = run_subject(root, system, learns, "system", open_, jobs, on_result)
    settled = {row.id: row for row in slow.mutants}
    rows = tuple(settled.get(row.id, row) for row in quick.mutants)
    return Matrix(rows, quick.honest_runs + slow.honest_runs, (), quick.seconds + slow.seconds)


def _subject_trial(
    nursery: Nursery,
    folder: Path,
    root: Path,
    system: str,
    profile: str,
    sabotaged: sabotage.Sabotage | None = None,
    honest: Set[Doubt] = frozenset(),
) -> tuple[set[Doubt], bool, str]:
    """Everything that trips, whether the sabotage bit, and why there is no result."""
    name = sabotaged.id if sabotaged else ""
    place = folder / (name or "honest")
    place.mkdir()
    result, bites, log = place / "result.json", place / "bites", place / "log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "GITHUB_"))}
    environment |= {
        ENVIRONMENT: nursery.address, sabotage.BITES: str(bites), sabotage.ENVIRONMENT: name, "COLUMNS": "200",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # fmt: skip
    arguments = {
        "root": str(root), "system": system, "profile": profile, "state": str(place), "result": str(result),
        "honest": sorted(honest), "killers": list(sabotaged.killed_by) if sabotaged else [],
    }  # fmt: skip
    with log.open("wb") as output, open(os.devnull, "rb") as nothing:
        streams = [nothing.fileno(), output.fileno(), output.fileno()]
        child = fork(nursery.address, "assay.mutants:subject_trial", arguments, streams, environment, root)
    child.wait()
    bitten = bites.is_file() or name == "deleted-evidence"
    try:
        found = {(row, raw) for row, raw in json.loads(result.read_text())}
    except (OSError, ValueError):
        last = " | ".join(log.read_text(errors="replace").strip().splitlines()[-6:])
        return set(), bitten, f"the judging process ended without a result: {last}"
    return found, bitten, ""


class _Watch:
    """Sees what trips in a run, and ends it once that is `enough`."""

    def __init__(self, project: Any, enough: Callable[[set[Doubt]], bool]) -> None:
        self.project, self.enough = project, enough
        self.session: Any = None

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out method claims, which smoke would judge, too: they train many times over what others train once."""
        from assay.plugin import CLAIMS

        def method(item: Any) -> bool:
            return any(self.project.requirement(name)[1].kind == "method" for name in item.stash.get(CLAIMS, ()))

        items[:] = [item for item in items if not method(item)]

    def pytest_collection_finish(self, session: Any) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "teardown" and self.enough(self.doubts()):
            self.session.shouldstop = "killed"

    def doubts(self) -> set[Doubt]:
        """Everything that trips for the rows measured so far, but timings: the load of the machine decides those."""
        from assay.plugin import SESSION
        from assay.verdict import World
        from assay.verdict import tripped as trips

        judging = self.session.config.stash.get(SESSION, None) if self.session else None
        found: set[Doubt] = set()
        for name, evidence in judging.measured.items() if judging else ():
            if evidence.timing:
                continue
            _, requirement = self.project.requirement(name)
            world = World(
                target=evidence.target, requirement_digest=requirement.digest, hardware_model=evidence.hardware.model,
                code=evidence.code,
            )  # fmt: skip
            raised = [one.name for one in trips(requirement, evidence, world)]
            raised += [requirement.metric] if _missed(evidence, raised) else []
            found |= {(requirement.id, one) for one in raised}
        return found


def subject_trial(
    root: str,
    system: str,
    profile: str,
    state: str,
    result: str,
    honest: Sequence[Sequence[str]],
    killers: Sequence[str],
) -> int:
    """Entry point of a judging process: judge one system of a real project, with the ledger in a folder of its own."""
    import pytest

    from assay import project as projects

    projects.STATE_FOLDER = state  # an absolute path: the project's own ledger is not touched
    project = projects.Project(Path(root))
    tests = [test for claim, found in project.claims.items() for test in found if claim.startswith(f"{system}/")]
    files = sorted({test.partition("::")[0] for test in tests})
    if not files:
        raise AssayError(f"no acceptance test claims a requirement of {system}")
    known = {(row, raw) for row, raw in honest}
    deleted = sabotage.current() == "deleted-evidence"

    def enough(found: set[Doubt]) -> bool:
        return deleted or bool({*checks.tripped(raw for _, raw in found - known)} & {*killers})

    watch = _Watch(project, enough)
    arguments = [
        *(str(project.root / file) for file in files), "--rootdir", root, "-q", "--tb=line", "-o", "addopts=",
        "-p", "assay.plugin", "-p", "no:cacheprovider", "--assay-no-board", "--hardware", TARGET,
        "--assay-profile", profile,
    ]  # fmt: skip
    pytest.main(arguments, plugins=[watch])
    found = watch.doubts()
    if deleted:
        for path in Path(state).glob("ledger.db*"):
            path.unlink()
        # What another machine attested may stand in for a ledger; here it would hide that this one is gone.
        rows = projects.Project(Path(root)).board([system], "cpu", borrow=False).systems[0].rows
        found = {(row.requirement.id, one.name) for row in rows for one in row.tripped}
    Path(result).write_text(json.dumps(sorted(found)))
    return 0


def _imports(root: Path, system: str) -> list[str]:
    """What judging one system imports."""
    from assay.project import Project

    project = Project(root)
    entries = {
        entry.partition(":")[0] for entry in (project.spec(system).system.train, project.spec(system).system.load)
    }
    packages = {name.partition(" ")[0] for entry in entries - {""} for name in project.code.closure(entry)}
    return list(filter(_present, (*(TORCH if packages & USE_TORCH else ()), *JUDGING)))


def _present(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None
