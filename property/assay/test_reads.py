"""Files that no import tells of: what a process reads is part of its claims, of their cache and of their leaks."""

from __future__ import annotations

import json
import os
import py_compile
from pathlib import Path

from assay.reads import Reads, labels


def test_what_is_read_is_known_and_what_was_written_here_is_not(tmp_path):
    watched, other = tmp_path / "watched", tmp_path / "other"
    for folder in (watched, other):
        folder.mkdir()
        (folder / "table.json").write_text("{}")
    reads = Reads([watched])
    (watched / "own.txt").write_text("written")
    (watched / "own.txt").read_text()
    (other / "table.json").read_text()
    assert reads.files == set()
    (watched / "table.json").read_text()
    os.close(os.open(watched / "own.txt", os.O_RDONLY))
    assert reads.files == {str(watched / "table.json")}
    (watched / "table.json").write_text("{} ")
    assert reads.files == {str(watched / "table.json")}, "what was read first stays read"


def test_a_relative_path_and_a_compiled_module_count_as_their_file(tmp_path, monkeypatch):
    (tmp_path / "model.py").write_text("x = 1\n")
    compiled = Path(py_compile.compile(str(tmp_path / "model.py"), doraise=True))
    (tmp_path / "a.csv").write_text("x")
    monkeypatch.chdir(tmp_path)
    reads = Reads([tmp_path])
    compiled.read_bytes()
    Path("a.csv").read_text()
    assert reads.files == {str(tmp_path / "model.py"), str(tmp_path / "a.csv")}


def test_labels_are_of_the_projects_own_files(tmp_path):
    names = ("a.csv", "pk/b.json", ".venv/x.py", "lib/site-packages/c.py", "m.egg-info/PKG-INFO", "store/d", "known.py")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    files = [*(tmp_path / name for name in names), tmp_path / "gone.csv", Path(__file__)]
    found = labels(files, tmp_path, known=[tmp_path / "known.py"], apart=tmp_path / "store")
    assert found == {"a.csv": tmp_path / "a.csv", "pk/b.json": tmp_path / "pk/b.json"}


def test_a_table_beside_the_code_takes_the_claim_with_it_and_is_asked_anew(toy):
    toy.file("limit.json").write_text("0.5")
    toy.edit(
        "toy.py", "(self.scores(items) > 0.5)", '(self.scores(items) > json.load(open(__file__[:-6] + "limit.json")))'
    )
    assert toy.pytest("acceptance").returncode == 0
    assert toy.rows()["accuracy"]["verdict"] == "PASS"
    toy.file("limit.json").write_text("2")
    row = toy.rows()["accuracy"]
    assert row["verdict"] == "UNPROVEN"
    assert "limit.json" in row["reason"]
    assert toy.pytest("acceptance", "-k", "accuracy").returncode == 1
    assert toy.rows()["accuracy"]["value"] < 0.7, "not the answers of before"


def test_what_training_reads_beside_its_data_is_trained_on_anew(toy):
    toy.file("factor.json").write_text("1")
    toy.edit("toy.py", 'config["slope"] *', 'config["slope"] * json.load(open(__file__[:-6] + "factor.json")) *')
    assert toy.pytest("acceptance").returncode == 0
    toy.file("factor.json").write_text("-1")
    assert toy.rows()["size"]["verdict"] == "UNPROVEN"
    assert toy.pytest("acceptance").returncode == 1
    assert toy.rows()["auroc"]["value"] < 0.5, "not the weights of before"


def test_items_in_a_file_that_training_finds_by_itself_are_a_leak(toy):
    toy.edit("acceptance/conftest.py", "def held(", "def kept(")
    toy.file("acceptance/conftest.py").write_text(
        toy.file("acceptance/conftest.py").read_text()
        + '\n\n@pytest.fixture(scope="session")\ndef held(kept):\n    import pathlib\n'
        '    rows = [{"x": x, "y": int(y)} for x, y in zip(kept["x"], kept["y"])]\n'
        '    path = pathlib.Path(__file__).parent.parent / "heldout.json"\n'
        "    path.exists() or path.write_text(json.dumps(rows))\n"
        "    return kept\n"
    )
    toy.edit(
        "toy.py",
        "    rows = json.loads(",
        '    json.load(open(__file__[:-6] + "heldout.json"))\n    rows = json.loads(',
    )
    toy.pytest("acceptance", "-k", "auroc")  # writes the file; training came first, and found none
    toy.pytest("acceptance", "-k", "auroc")
    row = toy.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "exact-duplicates" in row["reason"]


def test_data_sets_that_training_was_not_given_are_none_of_its_business(toy):
    toy.edit(
        "toy.py",
        "    rows = json.loads(",
        '    import pathlib\n    for file in pathlib.Path(__file__).parent.joinpath("cache/data").rglob("*.json"):\n        file.read_text()\n'
        "    rows = json.loads(",
    )
    assert toy.pytest("acceptance").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "data-handed-over" in row["reason"]


def test_gold_in_a_plain_file_takes_the_claim_with_it(toy):
    toy.file("gold.json").write_text("[]")
    toy.edit(
        "acceptance/test_accuracy.py",
        "    judge(",
        "    import json, pathlib\n    path = pathlib.Path(__file__).parent.parent / 'gold.json'\n"
        "    json.loads(path.read_text())\n    judge(",
    )
    assert toy.pytest("acceptance").returncode == 0
    assert toy.rows()["accuracy"]["verdict"] == "PASS"
    toy.file("gold.json").write_text("[1]")
    row = toy.rows()["accuracy"]
    assert row["verdict"] == "UNPROVEN"
    assert "gold.json" in row["reason"]


def test_documents_and_what_is_hidden_kill_no_claim(toy):
    for name in ("NOTES.md", ".secret"):
        toy.file(name).write_text("one")
    toy.edit(
        "acceptance/test_accuracy.py",
        "    judge(",
        "    import pathlib\n    root = pathlib.Path(__file__).parent.parent\n"
        "    (root / 'NOTES.md').read_text(), (root / '.secret').read_text()\n    judge(",
    )
    assert toy.pytest("acceptance").returncode == 0
    for name in ("NOTES.md", ".secret"):
        toy.file(name).write_text("two")
    assert toy.rows()["accuracy"]["verdict"] == "PASS"


def test_a_file_that_is_run_by_its_path_is_code(toy):
    toy.file("scale.py").write_text("SCALE = 1.0\n")
    toy.edit(
        "toy.py",
        "x = np.array(items)",
        'import runpy\n        x = runpy.run_path(__file__[:-6] + "scale.py")["SCALE"] * np.array(items)',
    )
    assert toy.pytest("acceptance").returncode == 0
    toy.file("scale.py").write_text("SCALE = 1.0  # as before\n")
    assert toy.rows()["auroc"]["verdict"] == "PASS", "a comment changes nothing"
    toy.file("scale.py").write_text("SCALE = -1.0\n")
    assert toy.rows()["auroc"]["verdict"] == "UNPROVEN"
    assert toy.pytest("acceptance", "-k", "auroc").returncode == 1
    assert toy.rows()["auroc"]["value"] < 0.5


def test_the_evidence_names_what_was_read(toy):
    toy.file("limit.json").write_text("0.5")
    toy.edit(
        "toy.py", "(self.scores(items) > 0.5)", '(self.scores(items) > json.load(open(__file__[:-6] + "limit.json")))'
    )
    toy.pytest("acceptance")
    kept = [path.read_text() for path in (toy.root / "cache" / "predictions").glob("*/read.json")]
    assert "limit.json" in {name for text in kept for name in json.loads(text)}
