"""Verdicts that travel: in-toto test-result statements and the verdict file of a published model folder.

A statement carries its evidence, so that a reader judges again instead of believing. It binds by digest, not by
signature: it never proves who wrote it, and it never turns evidence that went stale here into a PASS.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from assay import artifacts, digests
from assay.board import Row, SystemBoard
from assay.errors import AttestError
from assay.evidence import Evidence
from assay.spec import Frozen, Requirement
from assay.verdict import Move, Verdict, World, judge

FOLDER = "attestations"
VERDICT_FILE = "verdict.json"
STATEMENT_FILE = "attestation.json"

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["https://in-toto.io/attestation/test-result/v0.1"] = (
    "https://in-toto.io/attestation/test-result/v0.1"
)

_NORMAL = "assayDigest"
"""Name of a SHA-256 over a normal form (syntax tree, canonical JSON); "sha256" is over the bytes of a file."""

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".pkl", ".joblib", ".h5", ".npz")
"""What a loader may take for weights: in a published folder all of it was judged."""


class _Foreign(BaseModel):
    """Part of a document that others extend: unknown fields are ignored (in-toto's parsing rules)."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Resource(_Foreign):
    """in-toto's ResourceDescriptor, as far as it is used."""

    name: str
    digest: dict[str, str] = {}
    uri: str = ""
    annotations: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        return {key: value for key, value in self.model_dump().items() if value}


class AttestedRow(Frozen):
    """One requirement as it was demanded, what was measured, and what follows from the two."""

    requirement: Requirement
    moves: tuple[Move, ...] = ()
    waiver: str = ""
    evidence: Evidence | None = None
    verdict: Verdict
    seq: int = 0
    """Row of the ledger that holds the evidence; 0 without evidence."""

    def again(self, target: str) -> Verdict:
        """The verdict that follows from the embedded evidence in the world in which it was measured."""
        return judge(self.requirement, self.evidence, _then(self.requirement, self.evidence, target, self.moves))


class LedgerHead(Frozen):
    """Rows of the ledger when the statement was made, and the hash of the last one."""

    rows: int
    head: str


class Attested(Frozen):
    """`predicate.assay`: what a test-result predicate has no field for."""

    version: Literal[1] = 1
    system: str
    title: str
    target: str
    time: str
    verdict: Literal["DONE", "NOT DONE"]
    problems: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    ledger: LedgerHead
    pins: dict[str, str] = {}
    """Distribution -> version that the project pinned then, of the libraries that the evidence names."""
    rows: tuple[AttestedRow, ...]

    @property
    def libraries(self) -> dict[str, str]:
        """Distribution -> version that was in use, of every library that the evidence names."""
        return libraries(row.evidence for row in self.rows if row.evidence)

    @property
    def machine(self) -> str:
        """The hardware of the newest evidence, by name."""
        found = [row.evidence for row in self.rows if row.evidence]
        return max(found, key=lambda one: one.measured_at).hardware.model if found else "no machine"

    def board(self, verdicts: Mapping[str, Verdict] | None = None) -> SystemBoard:
        """The system board that the rows make up, judged again or with the given verdicts by requirement."""
        rows = [
            Row(
                requirement=row.requirement,
                verdict=(verdicts or {}).get(row.requirement.id) or row.again(self.target),
                evidence=row.evidence,
                moves=row.moves,
                waiver=row.waiver,
            )
            for row in self.rows
        ]
        return SystemBoard(
            name=self.system,
            title=self.title,
            target=self.target,
            rows=tuple(rows),
            dropped=self.dropped,
            problems=self.problems,
        )


class Predicate(_Foreign):
    """The test-result predicate v0.1, and under `assay` what it has no field for."""

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: tuple[Resource, ...]
    passedTests: tuple[str, ...] = ()  # noqa: N815 - the names are in-toto's
    warnedTests: tuple[str, ...] = ()  # noqa: N815
    failedTests: tuple[str, ...] = ()  # noqa: N815
    assay: Attested


class Statement(_Foreign):
    """An in-toto Statement v1 about the artifact of one system on one target."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT_TYPE, alias="_type")
    subject: tuple[Resource, ...] = Field(min_length=1)
    predicateType: Literal["https://in-toto.io/attestation/test-result/v0.1"] = PREDICATE_TYPE  # noqa: N815
    predicate: Predicate

    @property
    def assay(self) -> Attested:
        return self.predicate.assay

    @property
    def name(self) -> str:
        """File name under `attestations/`: one per system, target and machine."""
        machine = re.sub(r"[^a-z0-9]+", "-", self.assay.machine.lower()).strip("-")
        return f"{self.assay.system}.{self.assay.target}.{machine or 'unknown'}.json"

    def text(self) -> str:
        """Stable JSON; numbers that JSON lacks are written as strings, which evidence reads back."""
        predicate = self.predicate
        document = {
            "_type": self.type,
            "subject": [one.document() for one in self.subject],
            "predicateType": self.predicateType,
            "predicate": {
                "result": predicate.result,
                "configuration": [one.document() for one in predicate.configuration],
                "passedTests": predicate.passedTests,
                "warnedTests": predicate.warnedTests,
                "failedTests": predicate.failedTests,
                "assay": predicate.assay.model_dump(mode="json"),
            },
        }
        return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"

    def faults(self) -> list[str]:
        """In what the statement contradicts itself: verdicts, lists, result and materials follow from the rows."""
        found: list[str] = []
        assay = self.assay
        for row in assay.rows:
            name, evidence = row.requirement.id, row.evidence
            if evidence is not None and evidence.key != (assay.system, name, assay.target):
                found.append(f"{name}: holds evidence of {'/'.join(evidence.key)}")
            again = row.again(assay.target)
            if again.kind != row.verdict.kind:
                found.append(
                    f"{name}: is said to be {row.verdict.kind}, its evidence gives {again.kind}: {again.reason}"
                )
        names = [row.requirement.id for row in assay.rows]
        found += [f"{name}: stands twice" for name in sorted({name for name in names if names.count(name) > 1})]
        board = assay.board()
        if (assay.verdict == "DONE") != board.done:
            found.append(f"is said to be {assay.verdict}, its rows give {'DONE' if board.done else 'NOT DONE'}")
        passed, warned, failed = _lists(board)
        result = _result(board)
        for field, said, follows in (
            ("result", self.predicate.result, result),
            ("passedTests", self.predicate.passedTests, passed),
            ("warnedTests", self.predicate.warnedTests, warned),
            ("failedTests", self.predicate.failedTests, failed),
        ):
            if said != follows:
                found.append(f"{field} does not follow from the rows")
        return [*found, *self._unbound()]

    def _unbound(self) -> list[str]:
        """Evidence of weights that are not the subject, and materials that the evidence does not name."""
        found = []
        files: dict[str, dict[str, str]] = {}
        for one in self.subject:
            key, _, path = one.name.partition("/")
            files.setdefault(key, {})[path] = one.digest.get("sha256", "")
        for row in self.assay.rows:
            evidence = row.evidence
            if evidence is None or not evidence.artifact:
                continue
            weights = artifacts.recorded_weights_digest(files.get(_short(evidence.artifact), {}))
            if weights != evidence.weights:
                found.append(f"{row.requirement.id}: was measured on weights that are not the subject")
        said = [one.document() for one in self.predicate.configuration]
        for one in _materials(row.evidence for row in self.assay.rows):
            if one.document() not in said:
                found.append(f"configuration: {one.name} is not what the evidence names")
        return found


class VerdictFile(_Foreign):
    """`verdict.json` beside published weights: for servers and registries, which need no more than this."""

    version: Literal[1] = 1
    system: str
    target: str
    profile: str
    hardware: str
    weights: str
    files: dict[str, str]
    verdict: Literal["DONE", "NOT DONE"]
    time: str
    requirements: dict[str, str]
    statement: str


def libraries(evidence: Iterable[Evidence]) -> dict[str, str]:
    """Distribution (normalised name) -> version, of every library that some evidence names."""
    found: dict[str, str] = {}
    for one in evidence:
        for name, said in one.code.items():
            if (library := name.removesuffix(" (version)")) != name:
                found |= distributions(library, said)
    return found


def distributions(library: str, said: str) -> dict[str, str]:
    """What a code closure says of a library, "2.0" or "owner 2.0, other 1.1", by distribution (normalised name)."""
    parts = [part.rpartition(" ") for part in said.split(", ")]
    return {normalised(owner or library): version for owner, _, version in parts}


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# ------------------------------------------------------------------------------------------------ making


def rows(board: SystemBoard, numbers: Mapping[str, int]) -> tuple[AttestedRow, ...]:
    """The rows of a board as a statement holds them: evidence that went stale is left out, and the row UNPROVEN.

    Args:
        board: one system on one target, as judged now from the ledger of this machine.
        numbers: requirement -> row of the ledger.

    Raises:
        AttestError: when nothing here is fresh, or the ledger does not vouch for a row.
    """
    found = tuple(_attested(row, board.target, numbers) for row in board.rows)
    if not any(row.evidence and row.evidence.outcome == "measured" for row in found):
        raise AttestError(f"{board.name} on {board.target}: no fresh evidence here to attest; run `assay verify`")
    return found


def state(
    board: SystemBoard,
    rows: tuple[AttestedRow, ...],
    ledger: tuple[int, str],
    subjects: Iterable[Resource],
    surroundings: Iterable[Resource],
    pins: Mapping[str, str],
    now: float,
) -> Statement:
    """The statement that the rows of a board make up.

    Args:
        board: one system on one target.
        rows: as `rows` gave them.
        ledger: its head.
        subjects: the files that were judged.
        surroundings: materials that no evidence names (specification, lock, environment).
        pins: distribution (normalised name) -> version that the project pins.
        now: seconds since the epoch.
    """
    attested = Attested(
        system=board.name,
        title=board.title,
        target=board.target,
        time=stamp(now),
        verdict="DONE" if board.done else "NOT DONE",
        problems=board.problems,
        dropped=board.dropped,
        ledger=LedgerHead(rows=ledger[0], head=ledger[1]),
        pins={name: pins[name] for name in libraries(row.evidence for row in rows if row.evidence) if name in pins},
        rows=rows,
    )
    again = attested.board()
    passed, warned, failed = _lists(again)
    return Statement(
        _type=STATEMENT_TYPE,
        subject=tuple(subjects),
        predicate=Predicate(
            result=_result(again),
            configuration=(*surroundings, *_materials(row.evidence for row in rows)),
            passedTests=passed,
            warnedTests=warned,
            failedTests=failed,
            assay=attested,
        ),
    )


def stamp(seconds: float) -> str:
    """RFC 3339, UTC, to the second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def released(files: Mapping[str, str]) -> dict[str, str]:
    """What of an artifact's files leaves the machine: no checkpoints, nothing of before training, nothing partial."""
    return {
        name: digest
        for name, digest in files.items()
        if not name.startswith("checkpoints/") and name not in artifacts.SIDE_FILES and not name.endswith(".partial")
    }


def of_artifact(key: str, files: Mapping[str, str]) -> list[Resource]:
    """Subjects: the released files of one artifact."""
    return [
        Resource(name=f"{_short(key)}/{name}", digest={"sha256": digest})
        for name, digest in sorted(released(files).items())
    ]


def of_source(name: str, path: Path) -> Resource:
    """Subject of a system that trains nothing: a source file, by its bytes and by its syntax tree (any may match)."""
    content = path.read_bytes()
    return Resource(name=name, digest={"sha256": digests.of_bytes(content), _NORMAL: digests.of_source(content)})


def of_file(name: str, path: Path) -> Resource:
    """A material that is a file."""
    return Resource(name=name, digest={"sha256": digests.of_file(path)})


def publish(statement: Statement, source: Path, files: Mapping[str, str], folder: Path) -> VerdictFile:
    """Copy the released files of the one judged artifact into a new folder, with statement and verdict file.

    Raises:
        AttestError: when the rows speak of several weights, or the folder holds something else.
    """
    assay = statement.assay
    judged = [row.evidence for row in assay.rows if row.requirement.kind == "artifact" and row.evidence]
    weights = sorted({evidence.weights for evidence in judged if evidence.weights})
    if len(weights) != 1:
        told = ", ".join(digest[:12] for digest in weights) or "no weights"
        raise AttestError(f"{assay.system}: its rows speak of {told}; one published folder is about one artifact")
    if folder.exists() and any(folder.iterdir()) and not (folder / VERDICT_FILE).is_file():
        raise AttestError(f"{folder}: is not empty and holds no {VERDICT_FILE}; name a new folder")
    kept = released(files)
    working = folder.with_name(f"{folder.name}.{os.getpid()}")
    working.mkdir(parents=True)
    for name in kept:
        (working / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, working / name)
    text = statement.text()
    (working / STATEMENT_FILE).write_text(text, encoding="utf-8")
    newest = max(judged, key=lambda evidence: evidence.measured_at)
    verdict = VerdictFile(
        system=assay.system,
        target=assay.target,
        profile=newest.profile,
        hardware=newest.hardware.model,
        weights=weights[0],
        files=dict(sorted(kept.items())),
        verdict=assay.verdict,
        time=assay.time,
        requirements={row.requirement.id: row.verdict.kind for row in assay.rows},
        statement=digests.of_bytes(text.encode()),
    )
    (working / VERDICT_FILE).write_text(json.dumps(verdict.model_dump(), indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    working.rename(folder)
    return verdict


# ------------------------------------------------------------------------------------------------ reading


def read(path: Path) -> Statement:
    """The statement in a file. AttestError when it is none, or of another version."""
    try:
        return Statement.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AttestError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise AttestError(f"{path}: no test-result statement of assay: {_first(error)}") from None


def read_all(folder: Path) -> dict[Path, Statement | AttestError]:
    """Every `*.json` of the folder; what cannot be read is kept as its error, for the board to show."""
    found: dict[Path, Statement | AttestError] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path] = read(path)
        except AttestError as error:
            found[path] = error
    return found


def read_verdict(folder: Path) -> VerdictFile:
    """The verdict file of a published folder. AttestError when it is not there or is none."""
    path = folder / VERDICT_FILE
    try:
        return VerdictFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AttestError(f"{path}: cannot be read: {error.strerror}; was the folder published?") from None
    except ValidationError as error:
        raise AttestError(f"{path}: no verdict file: {_first(error)}") from None


def folder_faults(folder: Path) -> tuple[Statement, list[str]]:
    """The statement of a published folder, and in what folder, verdict file and statement contradict each other."""
    verdict, statement = read_verdict(folder), read(folder / STATEMENT_FILE)
    assay = statement.assay
    found = []
    if digests.of_file(folder / STATEMENT_FILE) != verdict.statement:
        found.append(f"{STATEMENT_FILE}: is not the statement that {VERDICT_FILE} was made from")
    subjects = {one.name.partition("/")[2]: one.digest.get("sha256") for one in statement.subject}
    for name, digest in verdict.files.items():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            found.append(f"{name}: lies outside the folder")
        elif not path.is_file():
            found.append(f"{name}: is missing")
        elif digests.of_file(path) != digest:
            found.append(f"{name}: has other bytes than were judged")
        if subjects.get(name) != digest:
            found.append(f"{name}: is not a subject of the statement")
    weights = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in _WEIGHTS}
    found += [f"{name}: was not there when it was judged" for name in sorted(weights - set(verdict.files))]
    if artifacts.recorded_weights_digest(verdict.files) != verdict.weights:
        found.append(f"{VERDICT_FILE}: its weights digest is not that of its files")
    judged = {row.evidence.weights for row in assay.rows if row.requirement.kind == "artifact" and row.evidence} - {""}
    said = {row.requirement.id: row.verdict.kind for row in assay.rows}
    for field, mine, theirs in (
        ("system", verdict.system, assay.system),
        ("target", verdict.target, assay.target),
        ("verdict", verdict.verdict, assay.verdict),
        ("time", verdict.time, assay.time),
        ("requirements", verdict.requirements, said),
        ("weights", {verdict.weights}, judged),
    ):
        if mine != theirs:
            found.append(f"{VERDICT_FILE}: {field} is not what {STATEMENT_FILE} says")
    return statement, [*found, *statement.faults()]


# ------------------------------------------------------------------------------------------------ parts


def _attested(row: Row, target: str, numbers: Mapping[str, int]) -> AttestedRow:
    """The row with its evidence where that is fresh; without, and UNPROVEN, where it is stale."""
    requirement, evidence = row.requirement, row.evidence
    name = requirement.id
    if evidence is not None and evidence.requirement_digest == requirement.digest:
        then = judge(requirement, evidence, _then(requirement, evidence, target, row.moves))
        if then.kind == row.verdict.kind:
            bare = evidence.model_copy(update={"details": {}})  # shown, never judged; may quote held-out items
            return AttestedRow(
                requirement=requirement, moves=row.moves, waiver=row.waiver, evidence=bare, verdict=row.verdict,
                seq=numbers.get(name, 0),
            )  # fmt: skip
    if row.verdict.kind != "UNPROVEN":
        raise AttestError(f"{name}: {row.verdict.reason}: what the ledger does not vouch for is not attested")
    return AttestedRow(requirement=requirement, moves=row.moves, waiver=row.waiver, verdict=row.verdict)


def _then(requirement: Requirement, evidence: Evidence | None, target: str, moves: tuple[Move, ...]) -> World:
    """The world in which the evidence was measured: everything is as the evidence says."""
    return World(
        target=target,
        requirement_digest=requirement.digest,
        hardware_model=evidence.hardware.model if evidence else "",
        code=dict(evidence.code) if evidence else {},
        moves=moves,
    )


def _lists(board: SystemBoard) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Requirements that passed, that passed with something to be said (a moved goalpost, a waiver), and the rest."""
    warned = [row for row in board.rows if row.verdict.passed and (row.moves or row.waiver)]
    passed = [row for row in board.rows if row.verdict.passed and row not in warned]
    failed = [row for row in board.rows if not row.verdict.passed]
    names = [tuple(row.requirement.id for row in rows) for rows in (passed, warned, failed)]
    return names[0], names[1], names[2]


def _result(board: SystemBoard) -> Literal["PASSED", "WARNED", "FAILED"]:
    if not board.done:
        return "FAILED"
    return "WARNED" if _lists(board)[1] else "PASSED"


def _materials(evidence: Iterable[Evidence | None]) -> list[Resource]:
    """Code, data, libraries and hardware that the evidence names, each once; rows may name different ones."""
    found: dict[tuple[str, str], Resource] = {}

    def add(name: str, digest: str, uri: str = "", annotations: dict[str, Any] | None = None) -> None:
        normal = {} if uri else {_NORMAL: digest}
        found[name, digest] = Resource(name=name, digest=normal, uri=uri, annotations=annotations or {})

    for one in filter(None, evidence):
        for name, digest in one.code.items():
            library = name.removesuffix(" (version)")
            if library != name:
                add(f"environment:{library}", digest, uri=f"pkg:pypi/{library}@{digest}")
            else:
                add(f"code:{name}", digest)
        for name, digest in one.data.items():
            add(f"data:{name}", digest)
        for digest in one.sources:
            add("data-sources", digest)
        machine = one.hardware.model_dump(mode="json")
        add(f"hardware:{one.hardware.kind}", digests.of_json(machine), annotations=machine)
    return [found[key] for key in sorted(found)]


def _short(key: str) -> str:
    return key[:12]


def _plain(value: Any) -> Any:
    """Without NaN and infinity, which JSON lacks: "NaN", "Infinity"."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
