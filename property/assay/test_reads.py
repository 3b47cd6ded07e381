"""Files that no import tells of: what a process reads is part of its claims, of their cache and of their leaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.reads import changed, labels


def reading(tmp_path: Path, script: str) -> dict[str, list[int]]:
    """What `Reads` tells in a process of its own: an audit hook cannot be taken back."""
    text = (
        f"import json, os, sys\nfrom pathlib import Path\nfrom assay.reads import Reads\nos.chdir({str(tmp_path)!r})\n"
    )
    text += f"reads = Reads([Path('watched')])\n{script}\nread, imported = reads.take()\nprint(json.dumps(read | imported))\n"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def watched(tmp_path):
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "table.json").write_text("{}")
    (tmp_path / "other.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("script", "read"),
    [
        ("Path('watched/table.json').read_text(); Path('other.json').read_text()", True),
        ("os.close(os.open('watched/table.json', os.O_RDONLY))", True),
        ("open('watched/table.json', 'r+').close()", True),
        ("open(b'watched/../watched/table.json').close()", True),
        ("Path('watched/table.json').read_text(); reads.take()", False),
        ("Path('watched/table.json').read_text(); reads.take(); Path('watched/table.json').read_text()", True),
        ("Path('watched/table.json').write_text('{}'); Path('watched/table.json').read_text()", False),
        ("Path('watched/table.json').read_text(); Path('watched/table.json').write_text('[]')", False),
        ("Path('other.json').read_text()", False),
        ("os.path.exists('watched/table.json'); open(os.dup(0)).close()", False),
        ("import sqlite3; sqlite3.connect('watched/table.json').close()", True),
        ("import subprocess; subprocess.run(['cat', 'watched/table.json'], stdout=subprocess.DEVNULL)", True),
        ("import subprocess; subprocess.run(['cat', 'table.json'], cwd='watched', stdout=subprocess.DEVNULL)", True),
        ("import subprocess; subprocess.run(['true', 'watched', 'table.json'])", False),
        ("import subprocess; subprocess.run('true --table=watched/table.json', shell=True)", True),
        ("import subprocess; subprocess.run(['sh', '-c', 'echo 1 > $0', 'watched/table.json'])", False),
        ("import sqlite3; sqlite3.connect('file:watched/table.json?mode=ro', uri=True).close()", True),
        ("import sqlite3; c = sqlite3.connect('watched/table.json'); os.truncate('watched/table.json', 0)", False),
    ],
)
def test_what_is_read_is_told_and_what_is_written_too_is_not(tmp_path, watched, script, read):
    table = watched / "table.json"
    stat = table.stat()
    told = reading(tmp_path, script)
    assert told == ({str(table): [stat.st_size, stat.st_mtime_ns]} if read else {})


def test_modules_are_told_whether_or_not_they_were_compiled(tmp_path, watched):
    (watched / "model.py").write_text("x = 1\n")
    script = "sys.path.insert(0, 'watched'); import importlib; importlib.import_module('mo' + 'del')"
    for _ in range(2):
        assert list(reading(tmp_path, script)) == [str(watched / "model.py")]


def test_a_module_is_told_once(tmp_path, watched):
    (watched / "model.py").write_text("x = 1\n")
    assert reading(tmp_path, "sys.path.insert(0, 'watched'); import model; reads.take()") == {}


def test_a_file_that_changed_while_it_was_read_is_told_so(tmp_path):
    (tmp_path / "a").write_text("one")
    stat = (tmp_path / "a").stat()
    assert not changed(tmp_path / "a", (stat.st_size, stat.st_mtime_ns))
    (tmp_path / "a").write_text("two, longer")
    assert changed(tmp_path / "a", (stat.st_size, stat.st_mtime_ns))
    (tmp_path / "a").unlink()
    assert changed(tmp_path / "a", (stat.st_size, stat.st_mtime_ns))


def test_labels_are_of_the_projects_own_files(tmp_path, monkeypatch):
    names = (
        "a.csv",
        ".data/b.csv",
        "pk/b.json",
        ".venv/x.py",
        "lib/site-packages/c.py",
        "m.egg-info/PKG-INFO",
        "store/d",
        "known.py",
    )
    for name in (*names, "__pycache__/e.pyc", "elsewhere/real.json"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text("x")
    root = tmp_path / "root"
    (tmp_path / "outside.json").write_text("x")
    (root / "link.json").symlink_to(tmp_path / "outside.json")
    names = (*names, "__pycache__/e.pyc", "link.json")
    files = [*(str(root / name) for name in names), str(root / "gone.csv"), __file__]
    found = labels(files, root, known=[root / "known.py"], apart=root / "store")
    assert found == {name: root / name for name in ("a.csv", "link.json", "pk/b.json")}
    monkeypatch.setattr(sys, "prefix", str(root))
    assert labels([str(root / "a.csv"), str(root / "lib/x.csv")], root) == {"a.csv": root / "a.csv"}
    (tmp_path / "other-way").symlink_to(root)
    assert set(labels([str(tmp_path / "other-way" / "a.csv")], tmp_path / "other-way")) == {"a.csv"}


def reads_a_limit(toy):
    """Decisions are made by what a file beside the code says."""
    toy.file("limit.json").write_text("0.5")
    toy.edit("toy.py", "> 0.5)", '> json.load(open(__file__[:-6] + "limit.json")))')


def reads_a_factor(toy):
    """Training multiplies by what a file beside the code says."""
    toy.file("factor.json").write_text("1")
    toy.edit("toy.py", 'config["slope"] *', 'config["slope"] * json.load(open(__file__[:-6] + "factor.json")) *')


def test_a_table_beside_the_code_takes_the_claim_with_it_and_is_asked_anew(toy):
    reads_a_limit(toy)
    assert toy.pytest("acceptance").returncode == 0
    assert toy.rows()["accuracy"]["verdict"] == "PASS"
    toy.file("limit.json").write_text("2")
    row = toy.rows()["accuracy"]
    assert row["verdict"] == "UNPROVEN"
    assert "limit.json" in row["reason"]
    assert toy.pytest("acceptance", "-k", "accuracy").returncode == 1
    assert toy.rows()["accuracy"]["value"] < 0.7, "not the answers of before"


def test_data_sets_that_answering_was_not_given_are_none_of_its_business(toy):
    """Gold where it lies in the store, added to the scores."""
    peek = "json.loads(next(__import__('pathlib').Path(__file__).parent.glob('cache/data/*/test.json')).read_text())"
    toy.edit("toy.py", "        x = np.array(items)\n", f"        x = np.array(items)\n        found = {peek}\n")
    assert toy.pytest("acceptance", "-k", "auroc").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "data-handed-over" in row["reason"]
    assert "while answering" in row["reason"]


HANDED_OVER = """
import pytest
from conftest import build_points


@pytest.mark.requirement("toy/auroc")
def test_auroc(judge, toy, held, dataset):
    tables = [str(dataset(name, build_points, sources={}, n=n).path("test.json")) for name, n in (("a", 30), ("b", 40))]
    toy.predictions("ranks", held["x"][:60], table=tables[0])
    judge(
        toy.predictions("ranks", held["x"], table=tables[1]), gold=held["y"],
        baselines={"coin": [(7 * number) % 11 for number in range(len(held["x"]))]},
    )
"""


def test_a_data_set_that_is_handed_over_by_name_may_be_read(toy):
    """So may one that was handed over before."""
    toy.edit(
        "toy.py",
        "    def decisions(",
        "    def ranks(self, items, table):\n        open(table).close()\n        return self.scores(items)\n\n    def decisions(",
    )
    toy.file("acceptance/test_auroc.py").write_text(HANDED_OVER)
    toy.pytest("acceptance/test_auroc.py")
    assert toy.rows()["auroc"]["verdict"] == "PASS", toy.rows()["auroc"]["reason"]


def test_a_training_file_in_the_project_takes_the_claim_with_it(toy):
    """One that no data set was built from."""
    toy.pytest("acceptance")
    (built,) = toy.file("cache/data").glob("*/train.json")
    toy.file("train.json").write_text(built.read_text())
    toy.edit(
        "acceptance/conftest.py", 'points.path("train.json")', '__import__("pathlib").Path("train.json").absolute()'
    )
    assert toy.pytest("acceptance").returncode == 0
    assert {row["verdict"] for row in toy.rows().values()} == {"PASS"}
    toy.file("train.json").write_text(built.read_text() + " ")
    row = toy.rows()["size"]
    assert row["verdict"] == "UNPROVEN"
    assert "train.json" in row["reason"]


@pytest.mark.parametrize("during", ["train", "load"])
def test_code_that_is_edited_meanwhile_makes_nothing(toy, during):
    """What it made would be kept under the key of the code before; the next run finds nothing, and makes it anew."""
    toy.file("scale.py").write_text("SCALE = 1.0\n")
    late = '    import pathlib, time\n    pathlib.Path(__file__).with_name("scale.py").write_text("SCALE = -1.0\\n")\n    import scale\n'
    head = {"train": "def train(config, data, out):\n", "load": "def load(artifact):\n"}[during]
    toy.edit("toy.py", head, f"{head}{late}")
    assert toy.pytest("acceptance", "-k", "auroc").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "UNPROVEN"
    assert "scale was edited while it" in row["reason"]
    toy.pytest("acceptance", "-k", "auroc")
    assert toy.rows()["auroc"]["verdict"] == "PASS", "nothing changes any more"


def test_what_training_reads_beside_its_data_is_trained_on_anew(toy):
    reads_a_factor(toy)
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


def test_checkouts_that_share_a_store_keep_what_is_theirs(toy, tmp_path):
    """Another file of the same name: another artifact, beside the first and not in its place."""
    reads_a_factor(toy)
    assert toy.pytest("acceptance").returncode == 0
    own = {path.name for path in (toy.root / "cache" / "artifact").iterdir() if path.is_dir()}
    toy.file("factor.json").write_text("-1")
    toy.pytest("acceptance")
    toy.file("factor.json").write_text("1")
    assert own < {path.name for path in (toy.root / "cache" / "artifact").iterdir() if path.is_dir()}
    done = toy.pytest("acceptance")
    assert done.returncode == 0
    assert "training toy" not in done.stdout + done.stderr, "it is still there"
    assert {row["verdict"] for row in toy.rows().values()} == {"PASS"}


def test_what_one_method_reads_is_not_of_another(toy):
    reads_a_limit(toy)
    assert toy.pytest("acceptance").returncode == 0
    toy.file("limit.json").write_text("0.6")
    assert {name: row["verdict"] for name, row in toy.rows().items()} == {
        "accuracy": "UNPROVEN", "auroc": "PASS", "size": "PASS",
    }  # fmt: skip


def test_what_training_writes_itself_is_an_output(toy):
    toy.file("factor.json").write_text("1")
    toy.edit(
        "toy.py",
        'config["slope"] *',
        'config["slope"] * json.load(open(__file__[:-6] + "factor.json")) * bool(open(__file__[:-6] + "factor.json", "a").write(" ")) *',
    )
    assert toy.pytest("acceptance").returncode == 0
    assert {row["verdict"] for row in toy.rows().values()} == {"PASS"}


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
    reads_a_limit(toy)
    toy.pytest("acceptance")
    kept = [path.read_text() for path in (toy.root / "cache" / "predictions").glob("*/read.json")]
    assert "file:limit.json" in {name for text in kept for name in json.loads(text)}


@pytest.mark.parametrize("asked", ["load_refusals()", 'refusals("decisions", ["x", {}])'])
def test_refusals_bring_what_was_read_for_them(toy, asked):
    toy.file("limit.json").write_text("0.5")
    for entry in ("def load(artifact):\n", "    def decisions(self, items):\n"):
        indent = " " * (8 if entry.startswith(" ") else 4)
        toy.edit("toy.py", entry, f'{entry}{indent}json.load(open(__file__[:-6] + "limit.json"))\n')
    toy.edit(
        "spec/toy.toml",
        '[[requirement]]\nid = "size"',
        '[[requirement]]\nid = "refuses"\nstatement = "Refuses what it cannot answer"\nmetric = "behaviour.refused"\nequals = 1\n'
        'control = false\n\n[[requirement]]\nid = "size"',
    )
    toy.file("acceptance/test_refuses.py").write_text(
        f'import pytest\n\n\n@pytest.mark.requirement("toy/refuses")\ndef test_refuses(judge, toy):\n    judge(toy.{asked})\n'
    )
    assert toy.assay("spec", "lock").returncode == 0
    toy.pytest("acceptance")
    assert toy.rows()["refuses"]["verdict"] in ("PASS", "FAIL"), (
        "measured; one damage leaves the toy's six numbers whole"
    )
    toy.file("limit.json").write_text("0.6")
    assert "file:limit.json" in toy.rows()["refuses"]["reason"]
