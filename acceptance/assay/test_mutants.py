"""Can the gate say no, and only when it should? The catalogue of mutants and the census of honest twins, run once."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path

import pytest

CATALOGUE = "acceptance.mutants.catalogue"
GATE = "assay.plugin:pytest_configure assay.mutants:run"


def build_listing(out: Path, files: list[str]) -> None:
    """Which files the twin and its mutants are made of; their contents are the data set's sources."""
    (out / "files.json").write_text(json.dumps(files))


@pytest.fixture(scope="session")
def twin(dataset, assay_session):
    """The honest twin and its mutants, as data that the rows decay with."""
    folder = assay_session.project.root / "acceptance" / "mutants"
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(found)}
    return dataset("twin", build_listing, sources=files, files=list(files))


@pytest.fixture(scope="session")
def matrix(assay_session):
    """Mutants and honest twins as `assay mutants` judges them; of smoke runs, one mutant."""
    if importlib.util.find_spec("assay.mutants") is None:
        pytest.skip("the catalogue of mutants is not part of this checkout")
    runner = importlib.import_module("assay.mutants")
    root, smoke = assay_session.project.root, assay_session.smoke
    only = [importlib.import_module(CATALOGUE).MUTANTS[0].id] if smoke else []

    def told(name: str, done: int, total: int) -> None:
        assay_session.say(f"mutants: {done} of {total}, {name}")

    return runner.run(root, only, honest=not smoke, on_result=told)


@pytest.mark.requirement("assay/mutants.killed_by_named_check")
def test_every_mutant_is_killed_by_the_check_named_for_it(judge, seen, matrix, twin):
    rows = matrix.as_json()["mutants"]
    killed = {"case": [row["id"] for row in rows], "holds": [row["expected"] in row["killed_by"] for row in rows]}
    survivors = [row for row in rows if row["expected"] not in row["killed_by"]]
    judge(seen(GATE, killed), datasets=[twin], details={"survivors": survivors})


@pytest.mark.requirement("assay/honest.false_alarms")
def test_no_honest_twin_is_accused(judge, seen, matrix, twin, assay_session):
    if assay_session.smoke:
        pytest.skip("a census takes minutes; smoke runs judge one mutant")
    honest = matrix.as_json()["honest"]
    names = [one.name for one in importlib.import_module(CATALOGUE).HONEST]
    assert len(names) == honest["runs"]
    accused = {alarm.partition(":")[0] for alarm in honest["false_alarms"]}
    cases = {"case": names, "holds": [name not in accused for name in names]}
    judge(seen(GATE, cases), datasets=[twin], details={"alarms": honest["false_alarms"]})
