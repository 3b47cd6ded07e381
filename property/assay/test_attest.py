"""Laws of attestations: a statement says what its evidence gives, decays like evidence, and no edit of it goes unseen."""

from __future__ import annotations

import copy
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import google.protobuf.json_format as protobuf
import in_toto_attestation.predicates.test_result.v0.test_result_pb2 as test_result
import in_toto_attestation.v1.statement as reference
import in_toto_attestation.v1.statement_pb2 as reference_pb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import attest, mutants, notary, serving
from assay.attest import Statement
from assay.errors import AttestError
from assay.evidence import Hardware
from assay.ledger import Ledger
from assay.project import Project
from property.assay.conftest import Toy

SERVE = """
import pathlib, sys
print(sorted(p.name for p in pathlib.Path(sys.argv[1]).iterdir()), sys.argv[2:])
"""


@pytest.fixture(scope="module")
def _attested_once(_judged_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    toy = Toy(Path(shutil.copytree(_judged_once, tmp_path_factory.mktemp("attested") / "project")))
    done = toy.assay("attest", "toy")
    assert done.returncode == 0, done.stderr
    assert "toy on cpu, DONE, 3 of 3 rows PASS" in done.stdout
    return toy.root


@pytest.fixture
def attested(_attested_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A copy of the judged toy with its statement in attestations/."""
    toy = Toy(Path(shutil.copytree(_attested_once, tmp_path / "project")))
    monkeypatch.setenv("ASSAY_CACHE", str(toy.root / "cache"))
    return toy


def examine(toy: Toy, path: Path | None = None) -> notary.Examination:
    """What `assay attest verify` finds in the toy's checkout."""
    return notary.examine(path or only(toy), Project(toy.root))


def board(toy: Toy) -> dict[str, Any]:
    """Target -> system of `assay status --json`."""
    return {system["target"]: system for system in Project(toy.root).board().as_json()["systems"]}


def rows_of(toy: Toy) -> dict[str, Any]:
    return {row["id"]: row for row in board(toy)["cpu"]["requirements"]}


def only(toy: Toy) -> Path:
    (path,) = (toy.root / "attestations").iterdir()
    return path


@pytest.fixture(scope="module")
def document(_judged_once: Path) -> dict[str, Any]:
    """The statement of the judged toy as JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_CACHE", str(_judged_once / "cache"))
        made: dict[str, Any] = json.loads(notary.make(Project(_judged_once), "toy", "cpu").text())
    return made


def parsed(document: Any) -> Statement:
    return Statement.model_validate_json(json.dumps(document))


def forget(toy: Toy) -> None:
    """What a fresh clone has not: no ledger, no weights, no data."""
    shutil.rmtree(toy.root / ".assay")
    shutil.rmtree(toy.root / "cache")


# ------------------------------------------------------------------------------------------------ the document


def test_the_reference_library_reads_it(document: dict[str, Any]) -> None:
    message = protobuf.ParseDict(document, reference_pb.Statement())
    reference.Statement.copy_from_pb(message).validate()
    predicate = {key: value for key, value in document["predicate"].items() if key != "assay"}
    result = protobuf.ParseDict(predicate, test_result.TestResult())
    assert document["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert (result.result, list(result.passed_tests)) == ("PASSED", ["auroc", "accuracy", "size"])


def test_subjects_are_the_released_files_by_sha256(document: dict[str, Any], judged: Toy) -> None:
    import hashlib

    (folder,) = [p for p in (judged.root / "cache" / "artifact").iterdir() if p.is_dir()]
    expected = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name in ("model.safetensors", "harness.json", "trained.txt")
    }
    found = {one["name"].partition("/")[2]: one["digest"]["sha256"] for one in document["subject"]}
    assert {name: found[name] for name in expected} == expected
    assert all("/" not in name and not name.startswith("initial") for name in found)


def test_materials_are_spec_code_data_environment_and_hardware(document: dict[str, Any]) -> None:
    names = {one["name"] for one in document["predicate"]["configuration"]}
    assert {"spec/toy.toml", "spec/spec.lock", "code:toy", "data:points", "environment:python", "hardware:cpu"} <= names
    assert any(name.startswith("environment:numpy") for name in names)


def test_it_survives_its_own_text(document: dict[str, Any]) -> None:
    statement = parsed(document)
    assert statement.faults() == []
    assert json.loads(statement.text()) == document


def test_numbers_that_json_lacks_come_back(document: dict[str, Any]) -> None:
    statement = parsed(document)
    row = statement.assay.rows[0]
    assert row.evidence is not None
    odd = row.evidence.model_copy(update={"interval": (float("-inf"), float("nan"))})
    text = statement.model_copy(
        update={"predicate": statement.predicate.model_copy(
            update={"assay": statement.assay.model_copy(update={"rows": (row.model_copy(update={"evidence": odd}),)})}
        )}
    ).text()  # fmt: skip
    again = Statement.model_validate_json(text).assay.rows[0].evidence
    assert again is not None
    assert again.interval is not None
    assert again.interval[0] == float("-inf")
    assert again.interval[1] != again.interval[1]


# ------------------------------------------------------------------------------------------------ edits are seen


def edits() -> dict[str, Any]:
    """Ways to make a statement say more or other than its evidence, each on its own."""

    def row(document: Any, index: int = 0) -> Any:
        return document["predicate"]["assay"]["rows"][index]

    def worse(d: Any) -> None:
        row(d)["evidence"]["value"] = 0.1

    def undecided(d: Any) -> None:
        row(d)["evidence"]["interval"] = [0.5, 1.0]

    def unbeaten(d: Any) -> None:
        row(d)["evidence"]["baselines"] = {}

    def stricter(d: Any) -> None:
        row(d)["requirement"]["bound"]["at_least"] = 0.7999

    def dropped(d: Any) -> None:
        row(d)["evidence"] = None

    def foreign(d: Any) -> None:
        row(d)["evidence"]["requirement"] = "size"

    def removed(d: Any) -> None:
        del d["predicate"]["assay"]["rows"][0]

    def twice(d: Any) -> None:
        d["predicate"]["assay"]["rows"].append(row(d))

    def other_weights(d: Any) -> None:
        row(d)["evidence"]["weights"] = "0" * 64

    def other_subject(d: Any) -> None:
        for one in d["subject"]:
            one["digest"] = {"sha256": "0" * 64}

    def other_code(d: Any) -> None:
        row(d)["evidence"]["code"]["toy"] = "0" * 64

    def other_machine(d: Any) -> None:
        row(d)["evidence"]["hardware"]["model"] = "a faster one"

    def other_material(d: Any) -> None:
        next(one for one in d["predicate"]["configuration"] if one["name"] == "data:points")["digest"] = {}

    def failed(d: Any) -> None:
        d["predicate"]["result"] = "FAILED"

    def hidden(d: Any) -> None:
        d["predicate"]["passedTests"].pop()

    def not_done(d: Any) -> None:
        d["predicate"]["assay"]["verdict"] = "NOT DONE"

    def problem(d: Any) -> None:
        d["predicate"]["assay"]["problems"] = ["a broken ledger"]

    def void(d: Any) -> None:
        row(d)["verdict"]["kind"] = "VOID"

    def tripped(d: Any) -> None:
        row(d)["evidence"]["checks"][0]["ok"] = False

    def smoke(d: Any) -> None:
        row(d)["evidence"]["profile"] = "smoke"

    return {name: function for name, function in locals().items() if name != "row"}


@pytest.mark.parametrize("name", sorted(edits()))
def test_every_edit_is_a_fault(document: dict[str, Any], name: str) -> None:
    changed = copy.deepcopy(document)
    edits()[name](changed)
    assert parsed(changed).faults() != []


KINDS = ["PASS", "FAIL", "UNPROVEN", "VOID"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_only_the_verdicts_that_follow_are_believed(document: dict[str, Any], data: st.DataObject) -> None:
    """Law: whatever verdicts a statement claims, it is without fault exactly when they are those of its evidence."""
    changed = copy.deepcopy(document)
    rows = changed["predicate"]["assay"]["rows"]
    said = [data.draw(st.sampled_from(KINDS)) for _ in rows]
    for row, kind in zip(rows, said, strict=True):
        row["verdict"]["kind"] = kind
    assert (parsed(changed).faults() == []) == (said == ["PASS"] * 3)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"_type": "https://in-toto.io/Statement/v1"}', "\x00"])
def test_what_is_no_statement_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(AttestError, match=r"x\.json: no test-result statement of assay"):
        attest.read(path)


def test_a_newer_version_is_refused_not_guessed(document: dict[str, Any], tmp_path: Path) -> None:
    changed = copy.deepcopy(document)
    changed["predicate"]["assay"]["version"] = 2
    path = tmp_path / "x.json"
    path.write_text(json.dumps(changed))
    with pytest.raises(AttestError, match="version"):
        attest.read(path)


def test_unknown_fields_of_others_are_ignored(document: dict[str, Any]) -> None:
    changed = copy.deepcopy(document)
    changed["other"] = changed["predicate"]["url"] = "https://example.org"
    assert parsed(changed).faults() == []


# ------------------------------------------------------------------------------------------------ decay


def test_fresh_it_stands_and_a_comment_does_not_fell_it(attested: Toy) -> None:
    done = attested.assay("attest", "verify", str(only(attested)))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "  stands"), done.stdout
    attested.edit("toy.py", "def train", "# a remark\ndef train")
    assert examine(attested).stands


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("toy.py", "(self.scores(items) > 0.5)", "(self.scores(items) >= 0.5)", "stale: code changed"),
        ("spec/toy.toml", "at_least = 0.8", "at_least = 0.81", "the requirement itself changed"),
        ("spec/toy.toml", "[profile.cpu]\nseed = 0", "[profile.cpu]\nseed = 1", "stale: code changed"),
        ("spec/toy.toml", 'id = "size"', 'id = "sizes"', "no longer demands it"),
    ],
)
def test_it_falls_with_code_and_spec(attested: Toy, file: str, before: str, after: str, told: str) -> None:
    attested.edit(file, before, after)
    found = examine(attested)
    assert not found.stands
    assert found.faults == ()
    assert any(told in line for line in found.fallen)


def test_a_figure_that_the_ledger_does_not_hold_is_a_fault(attested: Toy) -> None:
    """The verdict follows from the figure, and the figure was edited."""
    path = only(attested)
    assert examine(attested).faults == ()
    document = json.loads(path.read_text())
    (row,) = [row for row in document["predicate"]["assay"]["rows"] if row["requirement"]["id"] == "auroc"]
    row["evidence"]["value"] += 0.0001
    path.write_text(json.dumps(document))
    (fault,) = examine(attested).faults
    assert fault.startswith(f"auroc: is not what row {row['seq']} of ")


def test_a_ledger_rewritten_after_it_is_a_fault(attested: Toy) -> None:
    path = attested.root / ".assay" / "ledger.db"
    rows = [entry.evidence for entry in Ledger(path).latest().values()]
    rows = sorted(rows, key=lambda row: row.measured_at)
    path.unlink()
    Ledger(path).extend([rows[0].model_copy(update={"value": 0.99}), *rows[1:]])
    found = examine(attested)
    assert not found.stands
    assert "was rewritten since" in found.faults[0]


@pytest.mark.parametrize("name", ["model.safetensors", "trained.txt"])
def test_an_artifact_that_was_overwritten_in_the_store_is_seen(attested: Toy, name: str) -> None:
    """Its weights, and what lies beside them: a cut or a vocabulary decides answers, too."""
    (weights,) = (attested.root / "cache" / "artifact").glob(f"*/{name}")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert {row["verdict"] for row in attested.rows().values()} == {"UNPROVEN"}
    assert f"{name}: changed after it was built" in attested.rows()["auroc"]["reason"]
    found = examine(attested)
    assert not found.stands
    assert f"{name}: changed after it was built" in found.faults[0]
    with pytest.raises(AttestError):
        notary.make(Project(attested.root), "toy", "cpu")


def test_a_clone_says_what_it_could_not_check(attested: Toy) -> None:
    forget(attested)
    found = examine(attested)
    assert found.stands
    assert any(line.startswith("the weights of artifact") for line in found.unchecked)
    assert "the ledger of the machine that attested" in found.unchecked


def test_stale_evidence_is_not_attested(attested: Toy) -> None:
    attested.edit("spec/toy.toml", "at_least = 0.8", "at_least = 0.81")
    statement = notary.make(Project(attested.root), "toy", "cpu")
    rows = {row.requirement.id: row for row in statement.assay.rows}
    assert statement.assay.verdict == "NOT DONE"
    assert rows["auroc"].evidence is None
    assert rows["auroc"].verdict.kind == "UNPROVEN"
    assert rows["size"].verdict.kind == "PASS"
    assert statement.faults() == []


def test_where_nothing_could_be_measured_nothing_is_attested(toy: Toy) -> None:
    """Rows that say why they have no value are evidence, and no statement is about them alone."""
    toy.edit(
        "acceptance/conftest.py",
        'return dataset("points"',
        'raise RuntimeError("no points today")\n    dataset("points"',
    )
    toy.pytest("acceptance")
    assert {row["reason"].partition(":")[0] for row in toy.rows().values()} == {"error"}
    done = toy.assay("attest", "toy")
    assert done.returncode == 1
    assert "no fresh evidence here to attest" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_evidence_nothing_is_attested(toy: Toy) -> None:
    done = toy.assay("attest", "toy")
    assert done.returncode == 1
    assert "no fresh evidence here to attest; run `assay verify`" in done.stderr
    assert not (toy.root / "attestations").exists()


# ------------------------------------------------------------------------------------------------ the board


def test_a_clone_shows_what_was_attested_and_that_it_was(attested: Toy) -> None:
    forget(attested)
    rows = rows_of(attested)
    assert {row["verdict"] for row in rows.values()} == {"PASS"}
    assert all(row["attested"].startswith("cpu: PASS, attested on ") for row in rows.values())
    attested.edit("toy.py", 'slope"] * ', 'slope"] * 1.0 * ')
    rows = rows_of(attested)
    assert {row["verdict"] for row in rows.values()} == {"UNPROVEN"}
    assert all("stale: code changed" in row["reason"] for row in rows.values())
    assert all(row["attested"].startswith("cpu: UNPROVEN (was PASS), attested on ") for row in rows.values())


def test_what_was_measured_here_is_not_replaced(attested: Toy) -> None:
    """An error of today beats a PASS of yesterday's attestation."""
    attested.edit("acceptance/test_size.py", "judge(toy.artifact", "raise RuntimeError; judge(toy.artifact")
    attested.pytest("acceptance/test_size.py")
    row = rows_of(attested)["size"]
    assert row["verdict"] == "UNPROVEN"
    assert row["attested"].startswith("cpu: UNPROVEN (was PASS)")


def elsewhere(toy: Toy) -> None:
    """As if the rows had been measured on a GPU machine, attested there, and only the statement had travelled."""
    toy.edit("spec/toy.toml", 'targets = ["cpu"]', 'targets = ["cpu", "cuda"]')
    toy.edit("spec/toy.toml", "[profile.smoke]", "[profile.cuda]\nseed = 0\nslope = 2.0\n\n[profile.smoke]")
    project = Project(toy.root)
    spec = project.spec("toy")
    made, built = [], {}
    for entry in project.ledger.latest().values():
        evidence = entry.evidence
        requirement = spec.get(evidence.requirement)
        code = {name: digest for name, digest in evidence.code.items() if name != "[profile.cpu]"}
        code["[profile.cuda]"] = str(project.current_code(spec, "[profile.cuda]", "cuda"))
        code["numpy (version)"] = "1.99.0+cu130"
        built |= code
        made.append(
            evidence.model_copy(
                update={
                    "target": "cuda", "profile": "cuda", "code": code, "requirement_digest": requirement.digest,
                    "hardware": Hardware(kind="cuda", model="NVIDIA H200", cores=1, memory_gib=139.8),
                }
            )
        )  # fmt: skip
    project.ledger.extend(made)
    assert toy.assay("spec", "lock").returncode == 0
    shutil.rmtree(toy.root / "attestations")
    # That version is not the one here: on the machine that attests, it is.
    with pytest.raises(AttestError, match="no fresh evidence"):
        notary.make(Project(toy.root), "toy", "cuda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "current_code", lambda self, spec, name, profile: built.get(name))
        statement = notary.make(Project(toy.root), "toy", "cuda")
    (toy.root / "attestations").mkdir()
    (toy.root / "attestations" / statement.name).write_text(statement.text())


def test_the_libraries_of_another_machine_are_its_own_and_a_moved_pin_is_a_change(attested: Toy) -> None:
    """What is installed here says nothing about that machine; what the project pins does, and is named if it differs."""
    constraints = attested.root / "constraints.txt"
    constraints.write_text("# pinned\nNumPy==1.99.1  # newer than the one in use there\nrich==1.0\n")
    elsewhere(attested)
    forget(attested)
    (path,) = (attested.root / "attestations").iterdir()
    assert json.loads(path.read_text())["predicate"]["assay"]["pins"] == {"numpy": "1.99.1"}
    found = board(attested)["cuda"]
    assert found["done"] is True
    assert found["attested"][0].endswith(", with numpy 1.99.0+cu130 (pinned: 1.99.1)")
    constraints.write_text("numpy==1.99.1\nrich==2.0\n")
    assert board(attested)["cuda"]["done"] is True
    for moved in ("numpy==1.99.2\n", "rich==1.0\n"):
        constraints.write_text(moved)
        rows = board(attested)["cuda"]["requirements"]
        stale = [row["reason"] for row in rows if row["verdict"] == "UNPROVEN"]
        assert stale == ["stale: code changed since it was measured: numpy (version)"] * len(rows), rows


def test_other_hardware_is_shown_with_machine_and_date(attested: Toy) -> None:
    elsewhere(attested)
    forget(attested)
    (path,) = (attested.root / "attestations").iterdir()
    assert path.name == "toy.cuda.nvidia-h200.json"
    systems = board(attested)
    assert systems["cuda"]["done"] is True
    assert systems["cpu"]["done"] is False
    for row in systems["cuda"]["requirements"]:
        assert row["verdict"] == "PASS"
        assert row["hardware"]["model"] == "NVIDIA H200"
        assert row["attested"].startswith("cuda: PASS, attested on NVIDIA H200, 2")
    assert systems["cpu"]["requirements"][0]["attested"].startswith("cuda: PASS, attested on NVIDIA H200, 2")
    summary = systems["cpu"]["attested"][0]
    assert summary.startswith("cuda: 3 of 3 gating rows PASS, DONE when attested on NVIDIA H200, 2")
    assert "numpy" not in summary  # pinned to nothing, so that it differs from nothing
    attested.edit("toy.py", "> 0.5", "> 0.4")
    systems = board(attested)
    assert systems["cuda"]["done"] is False
    assert systems["cpu"]["attested"][0].startswith("cuda: 0 of 3 gating rows PASS")


def test_attested_timings_count_on_the_same_processor_only(attested: Toy) -> None:
    path = only(attested)
    document = json.loads(path.read_text())
    for row in document["predicate"]["assay"]["rows"]:
        row["evidence"]["timing"] = True
        row["evidence"]["hardware"]["model"] = "another processor"
    statement = parsed(document)
    again = attest.state(statement.assay.board(), statement.assay.rows, (0, "0"), statement.subject, (), {}, 0.0)
    path.write_text(again.text())
    forget(attested)
    rows = rows_of(attested)
    assert all(row["verdict"] == "UNPROVEN" for row in rows.values())
    assert all(row["reason"].startswith("timed on another processor") for row in rows.values())


@pytest.mark.parametrize("damage", ["{", "lie"])
def test_a_statement_at_fault_taints_the_board(attested: Toy, damage: str) -> None:
    path = only(attested)
    if damage == "lie":
        document = json.loads(path.read_text())
        document["predicate"]["assay"]["rows"][0]["evidence"]["value"] = 0.1
        path.write_text(json.dumps(document))
    else:
        path.write_text(damage)
    system = board(attested)["cpu"]
    assert system["done"] is False
    assert any(problem.startswith(f"attestations/{path.name}: ") for problem in system["problems"])


# ------------------------------------------------------------------------------------------------ release


def published(toy: Toy) -> Path:
    folder = toy.root.parent / "published"
    serving.publish(Project(toy.root), "toy", "cpu", folder)
    return folder


def verify_outside(toy: Toy, folder: Path) -> Any:
    """`assay attest verify FOLDER` where there is no checkout."""
    import os
    import subprocess

    return subprocess.run(
        [sys.executable, "-m", "assay.cli", "attest", "verify", str(folder), "--json"],
        cwd=folder.parent, capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip


def test_a_published_folder_stands_anywhere(attested: Toy) -> None:
    folder = published(attested)
    assert {"model.safetensors", "verdict.json", "attestation.json"} <= {p.name for p in folder.iterdir()}
    assert not (folder / "checkpoints").exists()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert (verdict["system"], verdict["target"], verdict["verdict"]) == ("toy", "cpu", "DONE")
    assert verdict["requirements"] == {"auroc": "PASS", "accuracy": "PASS", "size": "PASS"}
    assert verdict["weights"] == rows_of(attested)["auroc"]["weights"]
    done = verify_outside(attested, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["unchecked"] != []
    assert examine(attested, folder).stands
    assert attested.assay("attest", "toy", "--publish", str(folder)).returncode == 0  # again, in place


def damages() -> dict[str, Any]:
    def weights(folder: Path) -> None:
        path = folder / "model.safetensors"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))

    def missing(folder: Path) -> None:
        (folder / "harness.json").unlink()

    def added(folder: Path) -> None:
        shutil.copy(folder / "model.safetensors", folder / "more.safetensors")

    def beside(folder: Path) -> None:
        """Weights of another format, which a loader may prefer."""
        (folder / "quantized").mkdir()
        (folder / "quantized" / "model.GGUF").write_bytes(b"GGUF")

    def verdict(folder: Path) -> None:
        path = folder / "verdict.json"
        path.write_text(path.read_text().replace('"size": "PASS"', '"size": "FAIL"'))

    def statement(folder: Path) -> None:
        path = folder / "attestation.json"
        path.write_text(path.read_text().replace('"time": "2', '"time": "3'))

    def relabelled(folder: Path) -> None:
        """Other weights with a verdict file made to fit them."""
        from assay.artifacts import recorded_weights_digest
        from assay.digests import of_file

        weights(folder)
        path = folder / "verdict.json"
        content = json.loads(path.read_text())
        content["files"]["model.safetensors"] = of_file(folder / "model.safetensors")
        content["weights"] = recorded_weights_digest(content["files"])
        path.write_text(json.dumps(content))

    return {name: function for name, function in locals().items() if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(damages()))
def test_a_damaged_folder_does_not_stand(attested: Toy, name: str) -> None:
    folder = published(attested)
    damages()[name](folder)
    _, faults = attest.folder_faults(folder)
    assert faults != []


def test_a_folder_with_other_things_is_not_overwritten(attested: Toy) -> None:
    done = attested.assay("attest", "toy", "--publish", str(attested.root / "spec"))
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert (attested.root / "spec" / "toy.toml").is_file()


def test_serving_starts_the_systems_command_on_a_published_folder(attested: Toy) -> None:
    attested.file("toyserve.py").write_text(SERVE)
    attested.edit("spec/toy.toml", 'load = "toy:load"', 'load = "toy:load"\nserve = "python -m toyserve"')
    done = attested.assay("serve", "toy", "--", "--port", "1")
    assert done.returncode == 0, done.stderr
    assert "verdict.json" in done.stdout
    assert "['--port', '1']" in done.stdout
    assert "toy is DONE on cpu" in done.stderr
    assert examine(attested, attested.root / ".assay" / "serve" / "toy.cpu").stands


def test_a_statement_does_not_stand_in_for_a_ledger_that_was_deleted(attested: Toy) -> None:
    (row,) = mutants.run_subject(attested.root, "toy", only=["deleted-evidence"]).mutants
    assert row.killed, row.detail


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("spec/toy.toml", "at_least = 0.8", "at_least = 0.9999"), "UNPROVEN auroc"),
        (("toy.py", "> 0.5", "> 0.4"), "stale: code changed"),
    ],
)
def test_what_is_not_done_is_not_served(attested: Toy, change: tuple[str, str, str], told: str) -> None:
    attested.edit("spec/toy.toml", 'load = "toy:load"', 'load = "toy:load"\nserve = "python -m toyserve"')
    attested.edit(*change)
    done = attested.assay("serve", "toy")
    assert done.returncode == 1
    assert "toy is NOT DONE on cpu and is not served" in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_attestation_alone_serves_nothing(attested: Toy) -> None:
    """The weights of another machine are not here."""
    attested.edit("spec/toy.toml", 'load = "toy:load"', 'load = "toy:load"\nserve = "python -m toyserve"')
    forget(attested)
    done = attested.assay("serve", "toy")
    assert done.returncode == 1
    assert "is not served" in done.stderr


def test_a_system_without_a_serve_command_says_so(attested: Toy) -> None:
    done = attested.assay("serve", "toy")
    assert done.returncode == 2
    assert 'write serve = "python -m toy serve"' in done.stderr
