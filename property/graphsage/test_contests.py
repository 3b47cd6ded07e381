"""CodeContests in the folder of public sets becomes training data: problems with other people's solutions beside them."""

import pytest
from acceptance.graphsage import programs as suite

from corpus import programs
from graphsage import data
from property.corpus.test_problems import CONTEST_ROW, HUMANEVAL_ROWS, parquet, zipped


@pytest.fixture
def built(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path))
    monkeypatch.setattr(suite, "default_root", lambda: tmp_path)
    parquet(tmp_path / "code_contests/train-00000.parquet", [CONTEST_ROW])
    zipped(tmp_path / "humaneval/HumanEval.jsonl.gz", HUMANEVAL_ROWS)
    for side in suite.programs.SIDES:
        (tmp_path / f"{side}.jsonl").write_text("")
    none = dict.fromkeys(suite.programs.SIDES, 0)
    suite.build_programs(tmp_path, str(tmp_path), none, none, {**none, "train": 2}, seed=0, rewrites=1, mutants=2)
    return programs.read(tmp_path / "train.jsonl")


def test_submissions_are_versions_of_their_problem_and_no_named_defects(built) -> None:
    assert suite.contests_files()
    assert {row.origin for row in built} == {"code_contests"}
    submitted = {row.passed for row in built if row.kind == "submission"}
    assert submitted == {True, False}
    (problem,) = {row.problem for row in built}
    samples = data.prepare_programs(built, modules=3, readers=None, progress=lambda text: None)
    assert samples.record_id == [problem]
    theirs = samples.role == data.SUBMISSION
    assert set(samples.passed[theirs].tolist()) == {0, 1}
    assert (samples.operator[theirs] == data.IGNORED).all()
