"""The catalogue of mutants is sound: every sabotage bites, every named check exists, and the runner tells killed from not."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from assay import checks, mutants, sabotage
from assay.errors import AssayError
from assay.metrics.metric import has_nan
from assay.mutants import Edit, Matrix, Mutant, Row, Trial
from assay.plugin import SESSION
from assay.project import Project
from property.assay.conftest import Toy

ROOT = Path(__file__).parents[2]
FOUND = mutants.catalogue(ROOT)


def test_there_are_enough_and_each_has_its_own_name():
    names = [mutant.id for mutant in FOUND.MUTANTS]
    assert len(names) == len(set(names)) >= 80
    assert len(FOUND.HONEST) == 20


@pytest.mark.parametrize("mutant", FOUND.MUTANTS, ids=lambda mutant: mutant.id)
def test_a_mutant_changes_code_that_parses_and_names_a_check_that_exists(mutant: Mutant, tmp_path: Path):
    root = tmp_path / "twin"
    shutil.copytree(FOUND.PROJECT, root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for step in mutant.edits:
        mutants.take_step(step, root)
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    assert changed or mutant.then, "a mutant that changes nothing proves nothing"
    for path in changed:
        if path.suffix == ".py":
            ast.parse(path.read_text())
    assert mutant.killed_by in checks.BY_ID


def test_an_edit_whose_text_is_not_there_once_is_refused(tmp_path: Path):
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n")
    with pytest.raises(AssayError, match="stands there 2 times"):
        Edit("a.py", "= 1", "= 2").apply(tmp_path)
    with pytest.raises(AssayError, match="stands there 0 times"):
        Edit("a.py", "z", "= 2").apply(tmp_path)
    Edit("a.py", "= 1", "= 2", every=True).apply(tmp_path)
    assert (tmp_path / "a.py").read_text() == "x = 2\ny = 2\n"


def test_a_kill_by_another_check_is_no_kill():
    mutant = Mutant("m", "some defect", "parse-rate")
    assert mutants.row_of(mutant, Trial({"features.zero_vectors": "3"}), "twin").ok
    other = mutants.row_of(mutant, Trial({"varied": "all the same"}), "twin")
    assert not other.ok
    assert "killed, and not by parse-rate" in other.detail
    assert "survived" in mutants.row_of(mutant, Trial({}), "twin").detail
    assert not mutants.row_of(mutant, Trial({"features.zero_vectors": "3"}, failure="died"), "twin").ok


def test_the_matrix_is_red_on_survivors_false_alarms_and_emptiness():
    killed = Row("a", "twin", "defect", "varied", ("varied",), True)
    survivor = Row("b", "twin", "defect", "varied", (), False)
    assert Matrix((killed,), 20, (), 1.0).ok
    assert not Matrix((killed, survivor), 20, (), 1.0).ok
    assert not Matrix((killed,), 20, ("honest-1: liveness",), 1.0).ok
    assert not Matrix((), 20, (), 1.0).ok
    assert Matrix((killed,), 20, (), 1.0).as_json() == {
        "mutants": [{"id": "a", "tier": "twin", "expected": "varied", "killed_by": ["varied"], "ok": True}],
        "honest": {"runs": 20, "false_alarms": []},
    }


def test_patterns_raise_their_checks_in_the_order_of_the_catalogue():
    found = checks.tripped(["beats:lexical", "liveness"])
    assert found == [check.id for check in checks.CHECKS if check.id in found]
    assert {"overlap-detector", "liveness", "chance-and-baseline"} <= set(found)
    assert checks.tripped([]) == []


def test_a_mutant_that_is_not_there_is_named_with_its_nearest():
    with pytest.raises(AssayError, match='no mutant "hard-coded-metrik"; did you mean "hard-coded-metric"'):
        mutants.run(ROOT, only=["hard-coded-metrik"])


def test_no_check_is_raised_by_just_any_breakdown():
    """Law: a run that broke for a reason of its own kills no mutant."""
    assert checks.tripped(["error", "refused", "board"]) == [
        "spec-history"
    ]  # a problem of the board is a moved goalpost


def test_the_catalogue_of_checks_is_current():
    """`python -c 'from assay import checks; print(checks.document(), end="")' > docs/checks.md` writes it."""
    assert (ROOT / "docs" / "checks.md").read_text(encoding="utf-8") == checks.document()


def test_the_generic_mutants_of_a_subject_of_ones_own(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    """Real judgements in a nursery: what bites is killed, what finds nothing to break is said so, the ledger stays."""
    monkeypatch.setenv("ASSAY_CACHE", str(toy.root / "cache"))
    asked = ["constant", "random-weights", "amp-off", "shuffled-labels", "deleted-evidence"]
    matrix = mutants.run_subject(toy.root, "toy", only=asked)
    rows = {row.id.removeprefix("toy/"): row for row in matrix.mutants}
    assert list(rows) == asked
    assert matrix.ok, [row.detail for row in matrix.mutants]
    assert rows["amp-off"].detail.startswith("not applicable")  # there is no torch in it
    assert {name for name, row in rows.items() if row.killed} == {*asked} - {"amp-off"}
    again = mutants.run_subject(toy.root, "toy", only=asked)  # what was built is taken from the store now
    assert [(row.id, row.ok, row.killed) for row in again.mutants] == [(r.id, r.ok, r.killed) for r in matrix.mutants]
    assert not (toy.root / ".assay" / "ledger.db").exists()


def test_nan_answers_bite_where_there_are_numbers_and_only_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A sabotage that says that it bit and changed nothing would be called a survivor."""
    bites = tmp_path / "bites"
    monkeypatch.setenv(sabotage.ENVIRONMENT, "nan-answers")
    monkeypatch.setenv(sabotage.BITES, str(bites))
    items = list(range(5))
    for texts in (list("abcde"), [{"reply": "a", "seen": ("b",)}] * 5, [("a", ["b"])] * 5, np.array(list("abcde"))):
        assert list(sabotage.answers(texts, items)) == list(texts)
    assert not bites.exists()
    for numbers in ([0.5] * 5, np.arange(5), [{"label": "a", "p": [0.25, 0.75]}] * 5, [np.arange(3)] * 5):
        found = sabotage.answers(numbers, items)
        assert [has_nan(one) for one in found] == [True, False, False, False, True]
        assert bites.exists()
        bites.unlink()


def test_a_survivor_that_the_honest_run_already_looks_like_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(mutants, "Nursery", lambda modules: contextlib.nullcontext())
    monkeypatch.setattr(mutants, "_imports", lambda root, system: [])
    for honest, told in (({("auroc", "weights-matter")}, True), ({("auroc", "minimum-n")}, False)):
        monkeypatch.setattr(mutants, "_subject_trial", lambda *_, found=honest: (found, True, ""))
        (row,) = mutants.run_subject(tmp_path, "toy", only=["random-weights"]).mutants
        assert not row.ok
        assert ("the honest run trips weights-digest itself" in row.detail) == told


@pytest.mark.parametrize(("sketch", "learns"), [("", "cpu"), ("[profile.sketch]\nseed = 0\n\n", "sketch")])
def test_what_smoke_cannot_tell_is_judged_where_the_system_learns(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, sketch: str, learns: str
):
    """In its sketch, and where it has none in the profile of the hardware."""
    toy.edit("spec/toy.toml", "[profile.smoke]", f"{sketch}[profile.smoke]")
    monkeypatch.setattr(mutants, "Nursery", lambda modules: contextlib.nullcontext())
    monkeypatch.setattr(mutants, "_imports", lambda root, system: [])
    asked = []

    def trial(_nursery, _folder, _root, _system, profile, sabotaged=None, _honest=frozenset()):
        asked.append((profile, sabotaged.id if sabotaged else ""))
        told = {"constant": {("auroc", "varied")}, "random-weights": {("auroc", "weights-matter")}}
        honest = told["random-weights"] if profile == "smoke" else set()
        return honest | (told.get(sabotaged.id, set()) if sabotaged else set()), True, ""

    monkeypatch.setattr(mutants, "_subject_trial", trial)
    matrix = mutants.run_system(toy.root, "toy")
    rows = {row.id: row for row in matrix.mutants}
    assert len(rows) == len(mutants.sabotage.GENERIC)
    assert (rows["toy/constant"].killed, rows["toy/constant"].profile) == (True, "smoke")
    assert (rows["toy/random-weights"].killed, rows["toy/random-weights"].profile) == (True, learns)
    assert not rows["toy/amp-off"].ok  # a survivor that has nothing in common with the honest run stays one
    again = [name for profile, name in asked if profile != "smoke"]
    assert again[0] == ""  # the honest run comes first
    assert sorted(again) == ["", "frozen-weights", "random-weights", "shuffled-labels"]
    assert {profile for profile, _ in asked} == {"smoke", learns}
    told = {row["id"]: row for row in matrix.as_json()["mutants"]}["toy/random-weights"]
    assert (told["profile"], told["detail"]) == (learns, "")


def test_a_busy_machine_kills_no_mutant(judged: Toy):
    """Law: a timing that misses its bound is no doubt about a sabotaged subject; any other value that does is one."""
    project = Project(judged.root)
    (found,) = (row.evidence for row in project.board(["toy"], "cpu").systems[0].rows if row.requirement.id == "size")
    for timing, doubts in (
        (False, {("size", name) for name in ("bound", "interval", "artifact.parameters")}),
        (True, set()),
    ):
        missed = found.model_copy(update={"value": 7.0, "interval": (7.0, 7.0), "timing": timing})
        watch = mutants._Watch(project, lambda _: False)
        judging = SimpleNamespace(measured={"toy/size": missed})
        watch.session = SimpleNamespace(config=SimpleNamespace(stash={SESSION: judging}))
        assert watch.doubts() == doubts


def test_method_claims_are_left_out_in_smoke_too(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    """A mutant that only a method claim would catch survives: nobody waits for a score of trainings in a rehearsal."""
    monkeypatch.setenv("ASSAY_CACHE", str(toy.root / "cache"))
    for kind, caught in (("artifact", True), ("method", False)):
        if kind == "method":
            toy.edit("spec/toy.toml", "at_least = 0.8", 'at_least = 0.8\nkind = "method"')
            toy.edit("spec/toy.toml", "at_least = 0.7", 'at_least = 0.7\nkind = "method"')
        (row,) = mutants.run_subject(toy.root, "toy", "smoke", only=["constant"]).mutants
        assert row.killed == caught, row.detail


def test_a_subject_is_given_the_profile_that_is_asked_for(toy: Toy):
    done = toy.assay("mutants", "--subject", "toy", "--profile", "sketch")
    assert done.returncode == 2
    assert 'toy has no "sketch" (profiles: cpu, smoke)' in done.stderr
    done = toy.assay("mutants", "--profile", "smoke")
    assert done.returncode == 2
    assert "--subject NAME" in done.stderr
    done = toy.assay("mutants", "--subject", "toy", "--profile", "smoke", "--only", "constant", "--json")
    assert [(row["profile"], row["ok"]) for row in json.loads(done.stdout)["mutants"]] == [("smoke", True)]


def test_what_found_nothing_to_break_is_not_applicable_and_must_trip_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Where the check named for it trips all the same, two honest runs do not say the same; and a sabotage that breaks
    the run before it changes anything shows nothing."""
    monkeypatch.setattr(mutants, "Nursery", lambda modules: contextlib.nullcontext())
    monkeypatch.setattr(mutants, "_imports", lambda root, system: [])
    for found, ok in ((set(), True), ({("auroc", "weights-matter")}, False), ({("auroc", "error")}, False)):
        monkeypatch.setattr(
            mutants, "_subject_trial", lambda *given, f=found: (f if len(given) > 5 else set(), False, "")
        )
        (row,) = mutants.run_subject(tmp_path, "toy", only=["random-weights"]).mutants
        assert (row.ok, row.killed) == (ok, False), row.detail


DEALT = """
import dataclasses, torch
from assay import sabotage

@dataclasses.dataclass
class Batch:
    bug_labels: torch.Tensor
    location_labels: torch.Tensor

Slotted = dataclasses.make_dataclass("Slotted", ["bug_labels", "location_labels"], frozen=True, slots=True)

class Model(torch.nn.Module):
    def forward(self, batch):
        return batch

sabotage.training()
sabotage.bite = (bites := []).append
model = Model()
for make, read in ((lambda **k: dict(k, ids=torch.arange(8)), dict.__getitem__), (Batch, getattr), (Slotted, getattr)):
    bugs = torch.tensor([[0, 1, -100, 0], [1, 1, 0, -100]])
    batch = model(make(bug_labels=bugs, location_labels=torch.arange(8)))
    dealt = read(batch, "bug_labels")
    assert dealt.sum() == bugs.sum() and not torch.equal(dealt, bugs)
    assert torch.equal(dealt == -100, bugs == -100)  # as many labels in each sample as before
    assert torch.equal(read(batch, "location_labels"), torch.arange(8))  # they point into their own samples
    assert bites == ["bug_labels"]
    bites.clear()
    model(make(bug_labels=torch.ones(4), location_labels=torch.arange(4)))
    assert not bites  # nothing changes when all labels are one
model.eval()
assert torch.equal(model({"labels": torch.arange(9)})["labels"], torch.arange(9)) and not bites
"""


def test_labels_are_dealt_out_anew_among_those_that_count():
    environment = {**os.environ, sabotage.ENVIRONMENT: "shuffled-labels"}
    done = subprocess.run([sys.executable, "-c", DEALT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FROZEN = """
import torch
from assay import sabotage

sabotage.training()
for make, expected in (
    (lambda o: torch.optim.lr_scheduler.StepLR(o, 1, gamma=0.5), True),
    (lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.LinearLR(o), torch.optim.lr_scheduler.ConstantLR(o)], [2]), True),
    (lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0), True),
    (lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=9), False),
):
    sabotage.bite = (bites := []).append
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.8)
    scheduler = make(optimizer)
    first = optimizer.param_groups[0]["lr"]
    for _ in range(4):
        optimizer.step()
        scheduler.step(*([1.0] if "Plateau" in type(scheduler).__name__ else []))
        assert optimizer.param_groups[0]["lr"] == first, (type(scheduler), optimizer.param_groups[0]["lr"])
        assert scheduler.get_last_lr() == [first]
    assert bool(bites) == expected, (type(scheduler), bites)
"""


def test_a_frozen_scheduler_bites_where_it_would_have_changed_a_rate():
    """A step that leaves the rates alone anyway is no defect, and nothing could see that it is gone."""
    environment = {**os.environ, sabotage.ENVIRONMENT: "frozen-learning-rate"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FROZEN], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_table_of_who_catches_what_is_of_these_mutants():
    """`python benchmarks/plain_pytest.py FULL.json > docs/mutants.md` writes it, in minutes; it goes stale with twin and mutants."""
    from benchmarks import plain_pytest

    text = (ROOT / "docs" / "mutants.md").read_text(encoding="utf-8")
    assert f"{plain_pytest.FOOT}`{plain_pytest.digest()}`." in text, (
        "twin or mutants changed: write docs/mutants.md anew"
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    table = [row for row in rows if len(row) == 4][1:]
    assert [(row[0], row[1], row[3]) for row in table] == [
        (mutant.id, mutant.defect, f"`{mutant.killed_by}`") for mutant in FOUND.MUTANTS
    ]
    red = sum(row[2] == "red" for row in table)
    assert f"| plain pytest | {red} of {len(table)} | 0 of 1 |" in text
    assert f"| Assay | {len(table)} of {len(table)} | 0 of {len(FOUND.HONEST)} |" in text
    systems = [row for row in rows if row[0] in sabotage.BY_ID]
    assert [row[0] for row in systems] == list(sabotage.BY_ID)
    assert "survived" not in text
