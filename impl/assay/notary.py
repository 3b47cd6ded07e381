"""Statements of a project: made from its ledger, and examined against the checkout as it is now.

The one place that joins `attest` (documents) with the disk. It never attests what the ledger does not vouch for.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from pathlib import Path

from assay import attest, lock
from assay.attest import Resource, Statement
from assay.errors import AttestError
from assay.evidence import Evidence
from assay.project import CONSTRAINTS, SPEC_FOLDER, Project
from assay.spec import Frozen, Spec


class Examination(Frozen):
    """What became of a statement: contradictions, what was true and is no longer, what could not be looked at."""

    system: str
    target: str
    machine: str
    time: str
    verdict: str
    faults: tuple[str, ...] = ()
    fallen: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        """Nothing at fault and nothing fallen."""
        return not self.faults and not self.fallen


def make(project: Project, name: str, target: str) -> Statement:
    """The statement on a system's evidence in this ledger. AttestError when nothing here is fresh."""
    spec, ledger = project.spec(name), project.ledger
    if problems := ledger.problems():
        raise AttestError(f"{ledger.path}: {problems[0]}: nothing is attested from a ledger that is not whole")
    (board,) = project.board([name], target, borrow=False).systems
    numbers = {row: entry.seq for (system, row, on), entry in ledger.latest().items() if (system, on) == (name, target)}
    rows = attest.rows(board, numbers)
    subjects = _subjects(project, [row.evidence for row in rows if row.evidence])
    return attest.state(board, rows, ledger.head(), subjects, _surroundings(project, spec), project.pins, time.time())


def examine(path: Path, project: Project | None) -> Examination:
    """Check a statement file or a published folder: by itself, and against the checkout around it if there is one.

    Raises:
        AttestError: when it is no statement.
    """
    if path.is_dir():
        statement, faults = attest.folder_faults(path)
    else:
        statement = attest.read(path)
        faults = statement.faults()
    fallen: list[str] = []
    unchecked: list[str] = []
    system = statement.assay.system
    if project is None or system not in project.specs:
        unchecked.append(f"whether code, data and goalposts are still the same: {system} has no specification here")
    else:
        fallen += _rows(project, statement)
        _compare_subjects(project, statement, path.is_dir(), faults, fallen, unchecked)
        _compare_ledger(project, statement, faults, unchecked)
        project.code.save()
    assay = statement.assay
    return Examination(
        system=system, target=assay.target, machine=assay.machine, time=assay.time, verdict=assay.verdict,
        faults=tuple(faults), fallen=tuple(fallen), unchecked=tuple(unchecked),
    )  # fmt: skip


def _rows(project: Project, statement: Statement) -> list[str]:
    """Requirements whose verdict is another one today, or that the statement does not know."""
    assay = statement.assay
    spec = project.spec(assay.system)
    known: dict[str, tuple[str, ...]] = {}
    fallen = []
    for row in assay.rows:
        now = project.standing(spec, statement, row, known)
        if row.evidence is not None and now.kind != row.verdict.kind:
            fallen.append(f"{row.requirement.id}: {row.verdict.kind} when attested, now {now.kind}: {now.reason}")
    attested = {row.requirement.id for row in assay.rows}
    new = [row.id for row in spec.on(assay.target) if row.id not in attested]
    return [*fallen, *(f"{name}: demanded now, and unknown to the statement" for name in new)]


def _compare_subjects(
    project: Project, statement: Statement, published: bool, faults: list[str], fallen: list[str], unchecked: list[str]
) -> None:
    """Files of the artifact with the store (unless their published folder was compared), source files with the root."""
    rows = [row.evidence for row in statement.assay.rows if row.evidence]
    keys = {row.artifact[:12]: row.artifact for row in rows if row.artifact}
    absent: dict[str, None] = {}
    for one in statement.subject:
        key, _, name = one.name.partition("/")
        path = project.root / one.name
        if key in keys:
            record = project.store.record("artifact", keys[key])
            if record is None:
                absent[key] = None
            elif record["files"].get(name) != one.digest.get("sha256"):
                faults.append(f"{one.name}: the store holds other bytes under this key")
            elif (altered := project.altered(keys[key], {name: record["files"][name]})) is not None:
                faults.append(f"{altered}: changed after it was built")
        elif not path.is_file():
            fallen.append(f"{one.name}: is gone")
        elif not attest.of_source(one.name, path).digest.items() & one.digest.items():
            fallen.append(f"{one.name}: changed")
    if not published:
        unchecked += [f"the weights of artifact {key}, which are not on this machine" for key in absent]
    sources = {digest for row in rows for digest in row.sources}
    unknown = [digest for digest in sources if not project.has_sources(digest)]
    if unknown:
        unchecked.append(f"{len(unknown)} of {len(sources)} data sources, which are not on this machine")


def _compare_ledger(project: Project, statement: Statement, faults: list[str], unchecked: list[str]) -> None:
    """A ledger that holds a row of the statement must hold all that stood before it, and the row, unchanged."""
    assay, ledger = statement.assay, project.ledger
    if ledger.hash_of(assay.ledger.rows) == assay.ledger.head:
        for row in assay.rows:
            held = {one.seq: one.evidence for one in ledger.history(assay.system, row.requirement.id, assay.target)}
            if row.evidence is not None and not _same(row.evidence, held.get(row.seq)):
                faults.append(f"{row.requirement.id}: is not what row {row.seq} of {ledger.path} says")
        return
    kept = {
        (entry.seq, entry.evidence.measured_at)
        for row in assay.rows
        for entry in ledger.history(assay.system, row.requirement.id, assay.target)
    }
    if kept & {(row.seq, row.evidence.measured_at) for row in assay.rows if row.evidence}:
        last = assay.ledger.rows
        faults.append(f"{ledger.path}: was rewritten since: row {last} does not carry the attested hash")
    else:
        unchecked.append("the ledger of the machine that attested")


def _same(attested: Evidence, held: Evidence | None) -> bool:
    """Whether a row of the ledger is the attested one; details are not attested. Compared as JSON, where NaN is NaN."""
    return held is not None and held.model_copy(update={"details": {}}).model_dump_json() == attested.model_dump_json()


def _subjects(project: Project, evidence: Iterable[Evidence]) -> list[Resource]:
    """What the evidence is about: files of artifacts; where nothing is trained, the source files."""
    rows = list(evidence)
    subjects: list[Resource] = []
    for key in dict.fromkeys(row.artifact for row in rows if row.artifact):
        record = project.store.record("artifact", key)
        subjects += attest.of_artifact(key, record["files"]) if record else []
    if not subjects:
        paths = {path for row in rows for name in row.code if (path := _source(project, name)) is not None}
        subjects = [attest.of_source(path.relative_to(project.root).as_posix(), path) for path in sorted(paths)]
    return subjects


def _source(project: Project, name: str) -> Path | None:
    path = project.code.find(name) or project.root / name
    return path if path.suffix == ".py" and path.is_file() and path.is_relative_to(project.root) else None


def _surroundings(project: Project, spec: Spec) -> list[Resource]:
    """Materials that no evidence names."""
    files = [spec.path, project.root / SPEC_FOLDER / lock.NAME, project.root / CONSTRAINTS]
    found = [attest.of_file(path.relative_to(project.root).as_posix(), path) for path in files if path.is_file()]
    return [*found, Resource(name="environment:python", uri=f"pkg:generic/python@{platform.python_version()}")]
