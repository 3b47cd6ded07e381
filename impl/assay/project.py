"""A checkout that is judged: its specifications, ledger, store and sources, and the world they make up today.

The one place that joins the pure core (spec, verdict, board) with the disk.
"""

from __future__ import annotations

import ast
import datetime
import runpy
import time
from collections.abc import Collection, Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path

from assay import attest, digests, hardware, lock, reads
from assay import spec as specs
from assay.artifacts import Store, recorded_weights_digest
from assay.attest import AttestedRow, Statement
from assay.board import Board, Row, SystemBoard
from assay.errors import AttestError, ClaimError, SpecError, did_you_mean
from assay.evidence import Evidence, Goalposts
from assay.ledger import Entry, Ledger
from assay.spec import Requirement, Spec
from assay.verdict import Verdict, World, judge, tripped

SPEC_FOLDER = "spec"
CONSTRAINTS = "constraints.txt"
"""Versions that the project pins, a `name==version` a line, where it has such a file."""
SUITE_FOLDER = "acceptance"
STATE_FOLDER = ".assay"
METRICS_FILE = "metrics.py"
"""Of the suite folder: registers metrics that the specifications name and Assay does not have."""


def find_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds `spec/*.toml`; None when there is none."""
    for folder in (start, *start.parents):
        if any((folder / SPEC_FOLDER).glob("*.toml")):
            return folder
    return None


class Project:
    """Everything about one checkout, read lazily.

    Args:
        root: the folder that holds `spec/` and `acceptance/`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @classmethod
    def here(cls, start: Path | None = None) -> Project:
        """The project around the current folder. SpecError when there is none."""
        start = (start or Path.cwd()).resolve()
        root = find_root(start)
        if root is None:
            raise SpecError(f"{start}: no spec/*.toml here or above; `assay init` writes a first project")
        return cls(root)

    @cached_property
    def specs(self) -> dict[str, Spec]:
        """All specifications by system name; they may name metrics that the suites bring along."""
        _register_metrics(self.root / SUITE_FOLDER / METRICS_FILE)
        return specs.load_all(self.root / SPEC_FOLDER)

    def spec(self, name: str) -> Spec:
        """One system's specification. SpecError with the nearest name otherwise."""
        if name not in self.specs:
            known = ", ".join(self.specs)
            raise SpecError(
                f'{self.root / SPEC_FOLDER}: no system "{name}"{did_you_mean(name, self.specs)} (known: {known})'
            )
        return self.specs[name]

    def requirement(self, name: str) -> tuple[Spec, Requirement]:
        """`system/requirement.id` -> its spec and requirement. ClaimError for anything else."""
        system, slash, row = name.partition("/")
        if not slash:
            raise ClaimError(f'"{name}": write system/requirement, e.g. "graphsage/bugs.auroc"')
        try:
            spec = self.spec(system)
            return spec, spec.get(row)
        except SpecError as error:
            raise ClaimError(str(error)) from None

    @cached_property
    def roots(self) -> list[Path]:
        """Where importable code lies: `impl/` when the project has one, else the project itself."""
        implementation = self.root / "impl"
        return [implementation if implementation.is_dir() else self.root]

    @cached_property
    def code(self) -> digests.Code:
        return digests.Code(self.roots, cache=self.root / STATE_FOLDER / "digests.json")

    @cached_property
    def store(self) -> Store:
        return Store()

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.root / STATE_FOLDER / "ledger.db")

    @cached_property
    def locked(self) -> lock.Locked:
        return lock.read(self.root / SPEC_FOLDER)

    @cached_property
    def attestations(self) -> dict[Path, Statement | AttestError]:
        """The committed statements, and what is wrong with those that cannot be read."""
        return attest.read_all(self.root / attest.FOLDER)

    @cached_property
    def pins(self) -> dict[str, str]:
        """Distribution (normalised name) -> version, of the constraints file; nothing where there is none."""
        try:
            lines = (self.root / CONSTRAINTS).read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        pinned = (line.partition("#")[0].partition(";")[0].partition("==") for line in lines)
        return {attest.normalised(name.strip()): version.strip() for name, same, version in pinned if same}

    @cached_property
    def claims(self) -> dict[str, list[str]]:
        """Requirement name -> the acceptance tests that claim it, found without importing them."""
        return scan_claims(self.root / SUITE_FOLDER, self.root)

    def check_claims(self, systems: Iterable[str]) -> None:
        """Every requirement of the systems is claimed by exactly one acceptance test.

        Raises:
            ClaimError: naming all requirements that are not, and all tests that claim what does not exist.
        """
        problems: list[str] = []
        for name in systems:
            spec = self.spec(name)
            for requirement in spec:
                full = f"{name}/{requirement.id}"
                tests = self.claims.get(full, [])
                if not tests:
                    problems.append(
                        f'requirement "{full}" ({spec.path.name}) is claimed by no acceptance test: '
                        f'add @pytest.mark.requirement("{full}") to the test that measures it'
                    )
                elif len(tests) > 1:
                    problems.append(f'requirement "{full}" is claimed {len(tests)} times: {", ".join(tests)}')
        for full, tests in self.claims.items():
            try:
                self.requirement(full)
            except ClaimError as error:
                problems.append(f"{tests[0]}: {error}")
        if problems:
            raise ClaimError("\n".join(problems), check="unclaimed")

    def board(
        self,
        names: Iterable[str] = (),
        target: str | None = None,
        borrow: bool = True,
        only: Collection[str] = (),
    ) -> Board:
        """The board of the systems (all of them by default) on one target, or on each of their targets.

        With `borrow`, a row that was never measured here takes the newest attested evidence for its target.
        With `only`, no other requirements (by id) are looked at.
        """
        chosen = [self.spec(name) for name in names] or list(self.specs.values())
        entries = self.ledger.latest()
        problems = self.ledger.problems()
        known_data: dict[str, tuple[str, ...]] = {}
        systems = [
            self._system(spec, where, entries, problems, known_data, borrow, only)
            for spec in chosen
            for where in ([target] if target else spec.system.targets)
        ]
        if not names:
            systems += [self._gone(name) for name in sorted(set(self.locked) - set(self.specs))]
        self.code.save()
        return Board(systems=tuple(systems))

    def verdict(self, spec: Spec, requirement: Requirement, target: str, found: Entry | None) -> Verdict:
        """The verdict on one requirement given its latest ledger entry."""
        evidence = found.evidence if found else None
        return judge(requirement, evidence, self._world(spec, requirement, target, found, {}))

    def goalposts(self, spec: Spec, requirement: Requirement, target: str) -> Goalposts:
        """What the next ledger row of a requirement remembers of its goalposts."""
        found = self.ledger.latest().get((spec.name, requirement.id, target))
        before = found.evidence.goalposts if found else None
        locked = self.locked.get(spec.name, {}).get(requirement.id)
        tables = lock.table_moves(spec, self.locked.tables.get(spec.name, {}))
        return lock.remembered(requirement, locked, tables, before, time.time())

    def current_code(self, spec: Spec, name: str, profile: str) -> str | None:
        """The digest now of whatever an evidence row that was measured in a profile names under `code`."""
        if name.startswith(reads.PREFIX):
            return reads.digest(name, self.root, self.code)
        if name == "[system]":
            return digests.of_json([spec.system.train, spec.system.load])
        if name.startswith("[") and name.endswith("]"):
            kind, _, key = name[1:-1].partition(".")
            if key not in {"profile": spec.profile, "data": spec.data}.get(kind, {}):
                return None
            return digests.of_json(spec.profile[key] if kind == "profile" else spec.table(key, profile))
        if name.startswith(f"{digests.Code.HARNESS}."):
            return harness_digest(name)
        return self.code.current(name)

    def _gone(self, name: str) -> SystemBoard:
        """A system that the lock remembers and that has no specification any more."""
        problem = (
            f"{lock.NAME} remembers this system, and no specification of spec/ names it; restore it, or take it out of "
            f"{lock.NAME} by hand"
        )
        return SystemBoard(name=name, title="no specification", target="none", rows=(), problems=(problem,))

    def _unlocked(self, spec: Spec) -> tuple[str, ...]:
        """Why the goalposts of a system are not remembered, if they are not."""
        if not (self.root / SPEC_FOLDER / lock.NAME).is_file():
            return (f"spec/{lock.NAME} is missing, so no goalpost is remembered; run `assay spec lock` and commit it",)
        missing = sorted({row.id for row in spec} - set(self.locked.get(spec.name, {})))
        return (f"{', '.join(missing[:3])}: not in {lock.NAME}; run `assay spec lock`",) if missing else ()

    def _system(
        self,
        spec: Spec,
        target: str,
        entries: dict[tuple[str, str, str], Entry],
        problems: tuple[str, ...],
        known_data: dict[str, tuple[str, ...]],
        borrow: bool,
        only: Collection[str] = (),
    ) -> SystemBoard:
        locked = self.locked.get(spec.name, {})
        statements, faults = self._statements(spec)
        rows = []
        for requirement in spec.on(target):
            if only and requirement.id not in only:
                continue
            found = entries.get((spec.name, requirement.id, target))
            travelled = [
                (statement, row)
                for statement in statements
                for row in statement.assay.rows
                if row.requirement.id == requirement.id and row.evidence is not None
            ]
            here = [(one, row.evidence) for one, row in travelled if one.assay.target == target and row.evidence]
            borrowed = borrow and found is None and bool(here)
            evidence: Evidence | None
            if borrowed:
                newest, evidence = max(here, key=lambda one: one[1].measured_at)
                world = self._foreign_world(spec, requirement, newest, evidence, known_data)
            else:
                evidence = found.evidence if found else None
                world = self._world(spec, requirement, target, found, known_data)
            rows.append(
                Row(
                    requirement=requirement,
                    verdict=judge(requirement, evidence, world),
                    evidence=evidence,
                    moves=world.moves,
                    tripped=tripped(requirement, evidence, world),
                    waiver=_waiver_text(spec, requirement),
                    attested="; ".join(self._told(spec, requirement, *pair, known_data) for pair in travelled),
                    borrowed=borrowed,
                    age_s=None if evidence is None else round(time.time() - evidence.measured_at, 1),
                )
            )
        gone = lock.dropped(spec, locked)
        withdrawn = [
            requirement.id
            for requirement in spec
            if target in locked.get(requirement.id, {"on": ()})["on"]
            and target not in requirement.on
            and not all(
                move.explained_by(requirement.reason) for move in lock.moves(requirement, locked[requirement.id])
            )
        ]
        return SystemBoard(
            name=spec.name,
            title=spec.system.title,
            target=target,
            rows=tuple(rows),
            dropped=tuple(
                f"{id_}{lock.demanded(locked[id_])}: {reason or 'no reason given'}{_last_seen(entries, spec.name, id_)}"
                for id_, reason in gone.items()
            ),
            moved=self._moved_tables(spec, [row.evidence for row in rows if row.evidence]),
            attested=tuple(self._summary(spec, statement, known_data) for statement in statements),
            problems=(
                *problems,
                *faults,
                *self._unlocked(spec),
                *(
                    f"requirement {name} was dropped without a reason; write [[dropped]] in {spec.path.name}"
                    for name, reason in gone.items()
                    if not reason.strip()
                ),
                *(
                    f"requirement {name} is no longer demanded on {target}; write its reason in {spec.path.name}"
                    for name in withdrawn
                ),
            ),
        )

    def _world(
        self,
        spec: Spec,
        requirement: Requirement,
        target: str,
        found: Entry | None,
        known_data: dict[str, tuple[str, ...]],
    ) -> World:
        evidence = found.evidence if found else None
        return World(
            target=target,
            requirement_digest=requirement.digest,
            hardware_model=hardware.probe("cpu").model if target == "cpu" else _model(evidence),
            code={name: self.current_code(spec, name, evidence.profile) for name in evidence.code} if evidence else {},
            changed_data=self._changed_data(evidence, known_data) if evidence else (),
            changed_weights=self._changed_weights(evidence) if evidence else "",
            tampered=found.tampered if found else "",
            moves=lock.moved(
                requirement,
                self.locked.get(spec.name, {}).get(requirement.id),
                evidence.goalposts if evidence else None,
                self.locked.since.get(spec.name),
            ),
        )

    def _foreign_world(
        self,
        spec: Spec,
        requirement: Requirement,
        statement: Statement,
        evidence: Evidence | None,
        known_data: dict[str, tuple[str, ...]],
    ) -> World:
        """The world of now for evidence from another machine: what that machine alone holds cannot have changed here.

        Its weights and data sources are compared where they are here, too. Its libraries are its own: one counts as
        changed when the project pins another version now than it did then, whatever is installed here.
        """
        target = statement.assay.target
        if evidence is None:
            return self._world(spec, requirement, target, None, known_data)
        known = [digest for digest in evidence.sources if self.has_sources(digest)]
        here = evidence.model_copy(update={"sources": tuple(known)})
        has_weights = self.store.record("artifact", evidence.artifact) is not None
        code = {name: self.current_code(spec, name, evidence.profile) for name in evidence.code}
        libraries = {name: said for name, said in evidence.code.items() if name.endswith(" (version)")}
        moved = self._moved_pins(statement)
        for name, said in libraries.items():
            pinned = moved & attest.distributions(name.removesuffix(" (version)"), said).keys()
            code[name] = "another pin" if pinned else said
        return World(
            target=target,
            requirement_digest=requirement.digest,
            hardware_model=hardware.probe("cpu").model if target == "cpu" else _model(evidence),
            code=code,
            changed_data=self._changed_data(here, known_data),
            changed_weights=self._changed_weights(evidence) if has_weights else "",
            moves=lock.moved(
                requirement,
                self.locked.get(spec.name, {}).get(requirement.id),
                evidence.goalposts,
                self.locked.since.get(spec.name),
            ),
        )

    def _moved_pins(self, statement: Statement) -> set[str]:
        """Libraries of a statement whose pin is another one now, or whose pin came or went."""
        then = statement.assay.pins
        return {name for name in statement.assay.libraries if then.get(name) != self.pins.get(name)}

    def _moved_tables(self, spec: Spec, evidence: Iterable[Evidence]) -> tuple[str, ...]:
        """Changes of the data tables, each with the first day on which any row was measured that way."""
        since: dict[str, float] = {}
        for row in evidence:
            for key, seconds in row.goalposts.since.items():
                since[key] = min(seconds, since.get(key, seconds))
        found = lock.table_moves(spec, self.locked.tables.get(spec.name, {}))
        return tuple(str(move) for move in lock.dated(found, Goalposts(since=since), self.locked.since.get(spec.name)))

    def _statements(self, spec: Spec) -> tuple[list[Statement], tuple[str, ...]]:
        """The committed statements on a system, and the faults of those that contradict themselves."""
        sound: list[Statement] = []
        faults: list[str] = []
        for path, found in self.attestations.items():
            if isinstance(found, AttestError):
                faults.append(f"{attest.FOLDER}/{path.name}: {str(found).partition(': ')[2]}")
            elif found.assay.system == spec.name:
                wrong = found.faults()
                faults += [f"{attest.FOLDER}/{path.name}: {fault}" for fault in wrong]
                sound += [] if wrong else [found]
        return sound, tuple(faults)

    def standing(
        self, spec: Spec, statement: Statement, row: AttestedRow, known_data: dict[str, tuple[str, ...]]
    ) -> Verdict:
        """What an attested row is worth today; `known_data` remembers which sources changed."""
        requirement = next((one for one in spec if one.id == row.requirement.id), None)
        if requirement is None:
            return Verdict(kind="UNPROVEN", reason=f"{spec.path.name} no longer demands it")
        world = self._foreign_world(spec, requirement, statement, row.evidence, known_data)
        return judge(requirement, row.evidence, world)

    def _told(
        self,
        spec: Spec,
        requirement: Requirement,
        statement: Statement,
        row: AttestedRow,
        known_data: dict[str, tuple[str, ...]],
    ) -> str:
        assert row.evidence is not None
        now = self.standing(spec, statement, row, known_data)
        fallen = "" if now.kind == row.verdict.kind else f" (was {row.verdict.kind})"
        day = attest.stamp(row.evidence.measured_at)[:10]
        return f"{statement.assay.target}: {now.kind}{fallen}, attested on {row.evidence.hardware.model}, {day}"

    def _summary(self, spec: Spec, statement: Statement, known_data: dict[str, tuple[str, ...]]) -> str:
        assay = statement.assay
        now = {row.requirement.id: self.standing(spec, statement, row, known_data) for row in assay.rows}
        gating = assay.board(now).gating
        standing = sum(row.verdict.passed for row in gating)
        other = [
            f"{name} {version} (pinned: {assay.pins[name]})"
            for name, version in sorted(assay.libraries.items())
            if name in assay.pins and assay.pins[name] != version.partition("+")[0]
        ]
        return (
            f"{assay.target}: {standing} of {len(gating)} gating rows PASS, {assay.verdict} when attested on "
            f"{assay.machine}, {assay.time[:10]}{', with ' if other else ''}{', '.join(other)}"
        )

    def has_sources(self, digest: str) -> bool:
        """Whether anything can be said here of the files of a manifest."""
        manifest = self.store.load_manifest(digest)
        return manifest is not None and manifest.is_here

    def _changed_data(self, evidence: Evidence, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        changed: list[str] = []
        for digest in evidence.sources:
            if digest not in known:
                manifest = self.store.load_manifest(digest)
                known[digest] = ("sources unknown here",) if manifest is None else tuple(manifest.changed(self.root))
            changed.extend(known[digest])
        return tuple(changed)

    def _changed_weights(self, evidence: Evidence) -> str:
        if not evidence.artifact:
            return ""
        record = self.store.record("artifact", evidence.artifact)
        if record is None:
            return f"the weights {evidence.weights[:12]} are no longer in {self.store.root}; run `assay verify`"
        if recorded_weights_digest(record["files"]) != evidence.weights:
            return "the artifact holds other weights now"
        altered = self.altered(evidence.artifact, record["files"])
        return f"{altered}: changed after it was built" if altered else ""

    def altered(self, key: str, files: Mapping[str, str]) -> Path | None:
        """The first of these files of an artifact that is gone, or has other bytes than when it was built.

        Not those in folders (checkpoints), which no answer comes from.
        """
        folder = self.store.path("artifact", key)
        own = [(folder / name, digest) for name, digest in files.items() if "/" not in name]
        return next((path for path, digest in own if not path.is_file() or self.code.of_file(path) != digest), None)


def scan_claims(folder: Path, root: Path) -> dict[str, list[str]]:
    """`@pytest.mark.requirement("system/id", ...)` on test functions under the folder, read from their source.

    Returns:
        Requirement name -> ["acceptance/x/test_y.py::test_z", ...].
    """
    claims: dict[str, list[str]] = {}
    for path in sorted({*folder.rglob("test_*.py"), *folder.rglob("*_test.py")}):
        if find_root(path.parent) not in (root, None):
            continue  # a project inside this one makes its own claims
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError) as error:
            raise ClaimError(f"{path}: cannot be scanned for claims: {error}") from None
        where = path.relative_to(root).as_posix()
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for decorator in node.decorator_list:
                for name in _claimed(decorator, f"{where}:{node.lineno}"):
                    claims.setdefault(name, []).append(f"{where}::{node.name}")
    return claims


def _claimed(decorator: ast.expr, where: str) -> list[str]:
    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
        return []
    if decorator.func.attr != "requirement":
        return []
    names = []
    for argument in decorator.args:
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            raise ClaimError(f"{where}: a claim is written as plain strings, so that it can be found unrun")
        names.append(argument.value)
    return names


@cache
def _register_metrics(path: Path) -> None:
    """Run the project's own metrics file, once for a process. SpecError when it cannot be."""
    if not path.is_file():
        return
    try:
        runpy.run_path(str(path), run_name="acceptance_metrics")
    except Exception as error:
        raise SpecError(f"{path}: the project's metrics cannot be registered: {error}") from error


@cache
def harness_digest(module: str) -> str | None:
    """Digest of one of the harness's own modules ("assay.statistics"), wherever it is installed."""
    relative = Path(*module.split(".")[1:])
    base = Path(__file__).parent / relative
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return digests.of_source(path.read_bytes())
    return None


def _waiver_text(spec: Spec, requirement: Requirement) -> str:
    waiver = next((w for w in spec.waiver if w.id == requirement.id), None)
    if waiver is None:
        return ""
    state = "expired" if waiver.until < datetime.datetime.now(datetime.UTC).date() else "until"
    return f"waived, {state} {waiver.until}: {waiver.reason}"


def _last_seen(entries: dict[tuple[str, str, str], Entry], system: str, requirement: str) -> str:
    """When a dropped requirement was last measured."""
    times = [e.evidence.measured_at for key, e in entries.items() if key[:2] == (system, requirement)]
    return f" (last measured {attest.stamp(max(times))[:10]})" if times else ""


def _model(evidence: Evidence | None) -> str:
    return evidence.hardware.model if evidence else ""
