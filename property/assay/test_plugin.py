"""What a person sees when the plugin judges: real inner pytest runs on a toy project, one behaviour a test."""

from __future__ import annotations

import json
import sqlite3
import time

import pytest

from assay import errors


def test_honest_subject_passes_and_is_done(judged):
    rows = judged.rows()
    assert {row["verdict"] for row in rows.values()} == {"PASS"}
    auroc = rows["auroc"]
    assert auroc["interval"][0] <= auroc["value"] <= auroc["interval"][1]
    assert auroc["n"] == 400
    assert auroc["chance"] == 0.5
    assert auroc["baselines"]["coin"]["beaten"] is True
    assert len(auroc["weights"]) == 64
    assert judged.assay("verify", "toy", fresh=True).returncode == 0


def test_running_one_file_alone_works(toy):
    done = toy.pytest("acceptance/test_accuracy.py")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = toy.rows()
    assert rows["accuracy"]["verdict"] == "PASS"
    assert rows["auroc"]["verdict"] == "UNPROVEN"


def test_deleted_acceptance_test_fails_the_run_and_is_named(judged):
    judged.file("acceptance/test_accuracy.py").unlink()
    done = judged.pytest("acceptance")
    assert done.returncode == 4
    assert "toy/accuracy" in done.stderr + done.stdout
    verified = judged.assay("verify", "toy")
    assert verified.returncode == 2
    assert "toy/accuracy" in verified.stderr
    assert "Traceback" not in verified.stderr


def test_doubly_claimed_requirement_fails_the_run(judged):
    judged.edit("acceptance/test_size.py", '"toy/size"', '"toy/size", "toy/auroc"')
    done = judged.pytest("acceptance")
    assert done.returncode == 4
    assert "claimed 2 times" in done.stderr + done.stdout


def test_skipped_test_proves_nothing(judged):
    judged.edit("acceptance/test_accuracy.py", "    judge(", '    pytest.skip("not today")\n    judge(')
    done = judged.pytest("acceptance")
    assert done.returncode == 1, "a skipped requirement must turn the run red"
    row = judged.rows()["accuracy"]
    assert row["verdict"] == "UNPROVEN"
    assert "not today" in row["reason"]


def test_runtime_skip_outdates_older_evidence(judged):
    """The code is the same, only the outcome differs: the newer row counts."""
    judged.edit(
        "acceptance/test_accuracy.py",
        "    judge(",
        '    import os\n    os.getenv("SKIP") and pytest.skip()\n    judge(',
    )
    assert judged.pytest("acceptance").returncode == 0
    assert judged.rows()["accuracy"]["verdict"] == "PASS"
    assert judged.pytest("acceptance", environment={"SKIP": "1"}).returncode == 1
    assert judged.rows()["accuracy"]["verdict"] == "UNPROVEN"


def test_test_that_never_judges_is_an_error(judged):
    judged.edit("acceptance/test_accuracy.py", "    judge(", "    return\n    judge(")
    done = judged.pytest("acceptance")
    assert done.returncode == 1
    row = judged.rows()["accuracy"]
    assert row["verdict"] == "UNPROVEN"
    assert "without calling judge" in row["reason"]


def test_raising_test_is_an_error(judged):
    judged.edit("acceptance/test_accuracy.py", "    judge(", '    raise RuntimeError("boom")\n    judge(')
    assert judged.pytest("acceptance").returncode == 1
    row = judged.rows()["accuracy"]
    assert row["verdict"] == "UNPROVEN"
    assert "boom" in row["reason"]


def test_deselected_requirement_keeps_its_evidence(judged):
    assert judged.pytest("acceptance", "-k", "auroc").returncode == 0
    assert judged.rows()["accuracy"]["verdict"] == "PASS"


def test_constant_predictions_do_not_pass(judged):
    judged.edit("toy.py", "return 1 / (1 + np.exp(-(x @ self.w[:5] + self.w[5])))", "return np.full(len(x), 0.63)")
    done = judged.pytest("acceptance")
    assert done.returncode == 1
    row = judged.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "all 400 answers are the same" in row["reason"]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("np.full(len(x), np.nan)", "not finite"),
        ("x[:-1]", "399"),
        ("np.random.default_rng().random(len(x))", "repeatable"),
        ("object()", "plain data"),
        ("[]", "0"),
    ],
    ids=["nan", "too-few", "random", "object", "empty"],
)
def test_unusable_predictions_never_pass_and_are_named(toy, answer, word):
    toy.edit("toy.py", "return 1 / (1 + np.exp(-(x @ self.w[:5] + self.w[5])))", f"return {answer}")
    assert toy.pytest("acceptance").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] in ("UNPROVEN", "VOID", "FAIL")
    assert word in row["reason"]


def test_weights_that_do_not_matter_are_void(toy):
    """A heuristic in the place of the model scores as well with shuffled weights."""
    toy.edit("toy.py", "(x @ self.w[:5] + self.w[5])", "(x @ [1, -1, 1, 0, 0])")
    assert toy.pytest("acceptance").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "weights" in row["reason"]


def test_unread_configuration_is_void(toy):
    toy.edit("spec/toy.toml", "[profile.cpu]\n", "[profile.cpu]\nwarmup = 100\n")
    assert toy.pytest("acceptance").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "warmup" in row["reason"]


def test_comment_kills_no_claim_a_line_does(judged):
    judged.edit("toy.py", "    return Plane(", "    # only a remark\n    return Plane(")
    assert {row["verdict"] for row in judged.rows().values()} == {"PASS"}
    judged.edit("toy.py", "> 0.5", "> 0.49")
    rows = judged.rows()
    assert rows["accuracy"]["verdict"] == "UNPROVEN"
    assert "toy" in rows["accuracy"]["reason"]
    assert "stale" in rows["accuracy"]["reason"]


def test_changed_profile_is_stale(judged):
    judged.edit("spec/toy.toml", "[profile.cpu]\nseed = 0", "[profile.cpu]\nseed = 1")
    row = judged.rows()["auroc"]
    assert row["verdict"] == "UNPROVEN"
    assert "profile.cpu" in row["reason"]


def test_changed_requirement_is_stale(judged):
    judged.edit("spec/toy.toml", "at_least = 0.8", "at_least = 0.81")
    row = judged.rows()["auroc"]
    assert row["verdict"] == "UNPROVEN"
    assert "requirement itself changed" in row["reason"]


def test_lowered_threshold_shows_moved_goalpost_on_a_fresh_clone(judged):
    assert judged.assay("spec", "lock").returncode == 0
    judged.edit("spec/toy.toml", "at_least = 0.8\n", "at_least = 0.6\n")
    for path in (judged.file(".assay") / "ledger.db").parent.glob("ledger.db*"):
        path.unlink()
    assert judged.pytest("acceptance").returncode == 1
    row = judged.rows()["auroc"]
    (told,) = row["goalpost"]
    assert told.startswith("goalpost moved >= 0.8 -> >= 0.6, since ")
    assert row["verdict"] == "UNPROVEN"
    checked = judged.assay("spec", "check")
    assert checked.returncode == 2
    assert "goalpost moved" in checked.stderr
    judged.edit(
        "spec/toy.toml", "at_least = 0.6\n", 'at_least = 0.6\nreason = "0.6: a third of the old set was mislabelled"\n'
    )
    row = judged.rows()["auroc"]
    assert row["verdict"] == "PASS"
    assert row["goalpost"] == [told]


def test_edited_ledger_row_is_void(judged):
    path = judged.file(".assay/ledger.db")
    with sqlite3.connect(path) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        seq, payload = connection.execute(
            "SELECT seq, payload FROM rows WHERE requirement = 'accuracy' ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        value = json.loads(payload)["value"]
        connection.execute("UPDATE rows SET payload = ? WHERE seq = ?", (payload.replace(str(value), "0.999", 1), seq))
    connection.close()
    rows = judged.rows()
    assert rows["accuracy"]["verdict"] == "VOID"
    assert "ledger" in rows["accuracy"]["reason"]
    assert rows["size"]["verdict"] == "PASS"


def test_changed_data_is_stale(judged):
    """A source file of the data set is edited: every claim on it goes."""
    judged.file("points.txt").write_text("1")
    judged.edit("acceptance/conftest.py", "sources={}", 'sources={"points.txt": Path("points.txt").absolute()}')
    judged.edit("acceptance/conftest.py", "import json", "import json\nfrom pathlib import Path")
    assert judged.pytest("acceptance").returncode == 0
    judged.file("points.txt").write_text("22")
    row = judged.rows()["auroc"]
    assert row["verdict"] == "UNPROVEN"
    assert "points.txt" in row["reason"]


def test_absent_hardware_is_an_error_with_exit_code_1(judged):
    done = judged.assay("verify", "toy", "--hardware", "cuda")
    assert done.returncode == 1
    assert "cuda" in done.stderr
    assert "Traceback" not in done.stderr
    inner = judged.pytest("acceptance", "-m", "cuda")
    assert inner.returncode != 0


@pytest.mark.parametrize("claim", [("--hardware", "cuda"), ("-m", "cuda")], ids=["option", "marker"])
def test_pytest_with_absent_hardware_ends_with_exit_code_1_and_runs_nothing(judged, claim):
    judged.edit("spec/toy.toml", 'targets = ["cpu"]', 'targets = ["cpu", "cuda"]')
    done = judged.pytest("acceptance", *claim, environment={"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 1
    assert "hardware cuda is claimed and does not work here" in done.stdout + done.stderr
    assert " passed" not in done.stdout


def test_unknown_hardware_is_a_usage_error(judged):
    done = judged.pytest("acceptance", "--hardware", "gpu9000")
    assert done.returncode == 4
    assert "gpu9000" in done.stderr + done.stdout


def test_smoke_profile_records_nothing(toy):
    done = toy.pytest("acceptance", "--assay-profile", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["verdict"] for row in toy.rows().values()} == {"UNPROVEN"}


def test_a_sketch_is_no_evidence_and_leaves_earlier_evidence_alone(judged):
    """Law: it fails no test, whatever it measures, and the board stays as it was."""
    judged.edit("spec/toy.toml", "[profile.smoke]", "[profile.sketch]\nseed = 0\nslope = -1.0\n\n[profile.smoke]")
    before = {name: (row["verdict"], row["value"]) for name, row in judged.rows().items()}
    done = judged.pytest("acceptance", "--assay-profile", "sketch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sketch profile - no evidence was recorded" in done.stdout
    assert {name: (row["verdict"], row["value"]) for name, row in judged.rows().items()} == before
    assert {verdict for verdict, _ in before.values()} == {"PASS"}


def test_a_sketch_leaves_method_claims_to_a_full_run(toy):
    toy.edit("spec/toy.toml", "[profile.smoke]", "[profile.sketch]\nseed = 0\nslope = 1.0\n\n[profile.smoke]")
    toy.edit("spec/toy.toml", 'id = "accuracy"', 'id = "accuracy"\nkind = "method"')
    assert toy.assay("spec", "lock").returncode == 0
    ran = {name: toy.pytest("acceptance", "--assay-profile", name).stdout for name in ("smoke", "sketch")}
    assert "3 passed" in ran["smoke"]
    assert "2 passed, 1 " in ran["sketch"]


def test_parallel_run_trains_once_and_judges_all(toy):
    done = toy.pytest("acceptance", "-n", "2", environment={"PYTEST_PLUGINS": "assay.plugin,xdist.plugin"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "toy on cpu" in done.stdout, "the controller prints the board"
    trained = list((toy.root / "cache" / "artifact").glob("*/trained.txt"))
    assert [path.read_text() for path in trained] == ["once\n"]
    assert {row["verdict"] for row in toy.rows().values()} == {"PASS"}


def meanwhile(toy, acts: str, **files) -> None:
    """Have the toy's suite call these while the subject trains; `files` are paths by the names that `acts` uses."""
    named = "".join(f"    {name} = pathlib.Path({str(path)!r})\n" for name, path in files.items())
    toy.edit(
        "acceptance/conftest.py", "def toy(subject, points):",
        f"def toy(subject, points):\n    import pathlib, time\n{named}    acts = [{acts}]",
    )  # fmt: skip
    toy.edit("acceptance/conftest.py", "datasets=[points]", "datasets=[points], meanwhile=acts")


def test_what_judging_needs_is_made_while_the_subject_trains(toy):
    """The subject waits for a sign of it, the judge for its end; what raises there stops neither."""
    sign, end = toy.file("sign"), toy.file("end")
    meanwhile(toy, "lambda: 1 / 0, sign.touch, lambda: time.sleep(0.5), end.touch", sign=sign, end=end)
    toy.edit("toy.py", "import numpy as np", "import pathlib, time\nimport numpy as np\nimport torch")
    toy.edit(
        "toy.py", "    rows = json",
        f"    sign = pathlib.Path({str(sign)!r})\n"
        "    time.sleep(0.2)\n"
        "    assert not sign.exists(), 'begun before the first update'\n"
        "    weight = torch.nn.Parameter(torch.ones(1))\n"
        "    optimizer = torch.optim.SGD([weight], lr=0.1)\n"
        "    (weight**2).sum().backward()\n"
        "    optimizer.step()\n"
        "    deadline = time.monotonic() + 30\n"
        "    while not sign.exists():\n        assert time.monotonic() < deadline\n        time.sleep(0.01)\n"
        "    rows = json",
    )  # fmt: skip
    toy.edit("acceptance/test_size.py", "    judge(", f"    toy.artifact\n    assert open({str(end)!r})\n    judge(")
    done = toy.pytest("acceptance/test_size.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert toy.rows()["size"]["verdict"] == "PASS"


def test_after_a_subject_that_breaks_nothing_more_is_begun_beside_it(toy):
    """What runs then is waited for: its processes and files would outlive the run, and race with what comes next."""
    first, second = toy.file("first"), toy.file("second")
    meanwhile(toy, "lambda: time.sleep(1) or first.touch(), second.touch", first=first, second=second)
    toy.edit("toy.py", "    rows = json", "    raise RuntimeError('no more')\n    rows = json")
    done = toy.pytest("acceptance/test_size.py")
    assert "no more" in done.stdout + done.stderr
    assert first.exists()
    assert not second.exists()


def test_what_judging_needs_is_made_beside_a_subject_that_nobody_watches(toy):
    """Without torch no recorder tells of a first update."""
    sign = toy.file("sign")
    meanwhile(toy, "sign.touch", sign=sign)
    assert toy.pytest("acceptance/test_size.py").returncode == 0
    assert sign.exists()


def test_subject_that_breaks_gives_its_last_words(toy):
    toy.edit("toy.py", "    weight = ", '    raise ValueError("no such column")\n    weight = ')
    done = toy.pytest("acceptance")
    assert done.returncode == 1
    assert "no such column" in toy.rows()["auroc"]["reason"]


def test_junit_carries_the_numbers(judged):
    judged.pytest("acceptance", "--junitxml=junit.xml")
    text = judged.file("junit.xml").read_text()
    assert 'name="verdict" value="PASS"' in text
    assert 'name="assay.requirement" value="toy/auroc"' in text


def test_session_without_requirements_is_left_alone(toy):
    toy.file("test_plain.py").write_text("def test_plain():\n    assert True\n")
    done = toy.pytest("test_plain.py", fresh=True)
    assert done.returncode == 0
    assert "assay" not in done.stdout.replace("plugins: ", "").split("collected")[1]
    assert not toy.file(".assay").exists()


def test_status_is_quick(judged):
    start = time.perf_counter()
    assert judged.assay("status").returncode == 0
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("command", [["status"], ["spec", "check"], ["report"]])
def test_broken_specification_is_one_clear_line(toy, command):
    toy.edit("spec/toy.toml", 'metric = "classification.auroc"', 'metric = "classification.aurok"')
    done = toy.assay(*command)
    assert done.returncode == 2
    assert "spec/toy.toml:" in done.stderr
    assert 'did you mean "classification.auroc"' in done.stderr
    assert "Traceback" not in done.stderr


def test_init_tutorial_is_done_at_once(tmp_path, toy):
    folder = tmp_path / "tutorial"
    assert toy.assay("init", str(folder)).returncode == 0
    tutorial = type(toy)(folder)
    done = tutorial.pytest()
    assert done.returncode == 0, done.stdout + done.stderr
    verified = tutorial.assay("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert (folder / "report.html").is_file()
    again = tutorial.assay("init")
    assert again.returncode == 2
    assert "already there" in again.stderr


# ------------------------------------------------------------------ ways to be DONE without being so, each found once


def test_failing_after_the_judgement_is_not_done(toy):
    toy.edit("acceptance/test_size.py", "subject=toy)", 'subject=toy)\n    assert False, "train and test overlap"')
    done = toy.assay("verify", "toy")
    assert done.returncode == 1
    row = toy.rows()["size"]
    assert row["verdict"] == "UNPROVEN"
    assert "overlap" in row["reason"]


def test_judging_twice_is_an_error(toy):
    toy.edit(
        "acceptance/test_size.py", "    judge(toy.artifact, subject=toy)", "    judge(toy.artifact, subject=toy)\n" * 2
    )
    assert toy.pytest("acceptance").returncode == 1
    assert "judged already" in toy.rows()["size"]["reason"]


def test_parametrised_claim_is_refused(toy):
    toy.edit(
        "acceptance/test_size.py",
        "def test_size(judge, toy):",
        '@pytest.mark.parametrize("n", [1, 2])\ndef test_size(judge, toy, n):',
    )
    done = toy.pytest("acceptance")
    assert done.returncode == 4
    assert "claimed by two tests" in done.stderr + done.stdout


def test_expected_failure_is_refused(toy):
    toy.edit("acceptance/test_size.py", "@pytest.mark.requirement", "@pytest.mark.xfail\n@pytest.mark.requirement")
    done = toy.pytest("acceptance")
    assert done.returncode == 4
    assert "expected to fail" in done.stderr + done.stdout


def test_another_entry_point_is_another_subject(judged):
    judged.edit("toy.py", "class Plane:", "def load_other(artifact):\n    raise ValueError\n\n\nclass Plane:")
    assert judged.pytest("acceptance").returncode == 0
    judged.edit("spec/toy.toml", 'load = "toy:load"', 'load = "toy:load_other"')
    assert judged.rows()["auroc"]["verdict"] == "UNPROVEN"
    assert judged.pytest("acceptance").returncode == 1


def test_training_cannot_read_gold_beside_its_own_file(toy):
    toy.edit(
        "toy.py",
        '    rows = json.loads(data["train"].read_text())',
        '    rows = json.loads(data["train"].with_name("test.json").read_text())',
    )
    assert toy.pytest("acceptance").returncode == 1
    assert "FileNotFoundError" in toy.rows()["auroc"]["reason"]


def test_place_in_the_batch_cannot_carry_the_answer(toy):
    toy.edit("toy.py", "x @ self.w[:5] + self.w[5]", "x @ self.w[:5] + np.arange(len(x)) / 50")
    assert toy.pytest("acceptance").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "VOID"
    assert "repeatable" in row["reason"]


def test_other_profile_is_no_evidence_for_the_hardware(toy):
    toy.edit("spec/toy.toml", "[profile.smoke]", "[profile.tiny]\nseed = 0\nslope = 1.0\n\n[profile.smoke]")
    assert toy.pytest("acceptance", "--assay-profile", "tiny").returncode == 1
    row = toy.rows()["auroc"]
    assert row["verdict"] == "UNPROVEN"
    assert "tiny" in row["reason"]


def test_unknown_profile_leaves_earlier_evidence_alone(judged):
    assert judged.pytest("acceptance", "--assay-profile", "smokee").returncode == 4
    assert judged.rows()["auroc"]["verdict"] == "PASS"


def test_variant_is_no_evidence_for_the_profile(toy):
    toy.edit("acceptance/test_auroc.py", 'toy.predictions("scores"', 'toy.variant(slope=9.0).predictions("scores"')
    assert toy.pytest("acceptance").returncode == 1
    assert "variant" in toy.rows()["auroc"]["reason"]


def test_a_claim_decays_with_every_profile_that_it_was_measured_with(toy):
    toy.edit("spec/toy.toml", "[profile.smoke]", "[profile.steep]\nseed = 0\nslope = 3.0\n\n[profile.smoke]")
    asked = 'toy.table("steep") and toy.predictions("scores"'
    toy.edit("acceptance/test_auroc.py", 'toy.predictions("scores"', asked)
    assert toy.pytest("acceptance").returncode == 0
    toy.edit("spec/toy.toml", "slope = 3.0", "slope = 4.0")
    row = toy.rows()["auroc"]
    assert row["verdict"] == "UNPROVEN"
    assert "profile.steep" in row["reason"]
    toy.edit("acceptance/test_auroc.py", 'toy.table("steep")', 'toy.table("step")')
    assert toy.pytest("acceptance").returncode == 1
    assert 'no table [profile.step]; did you mean "steep"?' in toy.rows()["auroc"]["reason"]


def test_verify_notices_what_did_not_run(judged):
    judged.edit(
        "acceptance/test_size.py", "import pytest\n", 'import pytest\n\npytest.skip("later", allow_module_level=True)\n'
    )
    done = judged.assay("verify", "toy")
    assert done.returncode == 1
    assert "toy/size" in done.stderr
    collected = judged._run("assay.cli", "verify", "toy", environment={"PYTEST_ADDOPTS": "--co"})
    assert collected.returncode == 1


def test_a_file_that_skips_itself_proves_nothing(judged):
    """Also where the file is as it was measured and only its surroundings are not: the earlier rows do not stand."""
    judged.edit("acceptance/test_size.py", "import pytest\n", 'import pytest\n\npytest.importorskip("absent_module")\n')
    assert judged.pytest("acceptance").returncode == 1
    assert judged.rows()["size"]["verdict"] == "UNPROVEN"
    assert "absent_module" in judged.rows()["size"]["reason"]
    assert judged.rows()["auroc"]["verdict"] == "PASS"


def test_verify_names_the_file_that_cannot_be_collected(judged):
    judged.edit("acceptance/test_size.py", "import pytest\n", "import pytest\nimport nonexistent_module\n")
    done = judged.assay("verify", "toy")
    assert done.returncode == 1
    assert "test_size.py" in done.stderr
    assert "nonexistent_module" in done.stderr


def test_removed_system_and_missing_lock_are_seen(judged):
    other = judged.file("spec/other.toml")
    other.write_text(judged.file("spec/toy.toml").read_text().replace('name = "toy"', 'name = "other"'))
    assert judged.assay("spec", "lock").returncode == 0
    other.unlink()
    done = judged.assay("verify")
    assert done.returncode == 1
    assert "other" in done.stdout
    judged.file("spec/spec.lock").unlink()
    done = judged.assay("verify", "toy")
    assert done.returncode == 1
    assert "spec.lock is missing" in done.stdout


def test_repeated_items_are_no_timing(toy):
    toy.edit("spec/toy.toml", '[[requirement]]\nid = "size"', LATENCY + '\n[[requirement]]\nid = "size"')
    assert toy.assay("spec", "lock").returncode == 0
    toy.file("acceptance/test_fast.py").write_text(
        'import pytest\n\n\n@pytest.mark.requirement("toy/fast")\ndef test_fast(judge, toy, held):\n'
        '    judge(toy.timings("answer", held["x"][:20] * 20))\n'
    )
    toy.edit("toy.py", "    def decisions(", "    def answer(self, item):\n        return item\n\n    def decisions(")
    assert toy.pytest("acceptance").returncode == 1
    row = toy.rows()["fast"]
    assert row["verdict"] == "VOID"
    assert "repeats" in row["reason"]


def test_what_a_user_can_mend_is_told_without_a_traceback(toy):
    toy.edit("acceptance/test_accuracy.py", '"decisions"', '"decide"')
    said = toy.pytest("acceptance").stdout
    assert "Plane has no method 'decide'" in said
    assert "Traceback" not in said
    assert "subject.py" not in said


def test_answers_that_are_no_data_name_their_method(toy):
    toy.edit("toy.py", ".astype(int)", ".astype(int).view(np.ndarray).tobytes()")
    toy.pytest("acceptance")
    row = toy.rows()["accuracy"]
    assert "the subject (decisions) returned what is no plain data: builtins.bytes" in row["reason"]


def test_a_training_row_of_what_is_not_recorded_says_so(toy):
    toy.edit(
        "spec/toy.toml",
        '[[requirement]]\nid = "size"',
        '[[requirement]]\nid = "finite"\nstatement = "No loss is NaN"\nmetric = "training.finite"\nequals = 0\n'
        '\n[[requirement]]\nid = "size"',
    )
    toy.file("acceptance/test_finite.py").write_text(
        'import pytest\n\n\n@pytest.mark.requirement("toy/finite")\ndef test_finite(judge, toy):\n    judge(toy.flight)\n'
    )
    assert toy.assay("spec", "lock").returncode == 0
    toy.pytest("acceptance")
    row = toy.rows()["finite"]
    assert row["verdict"] == "UNPROVEN"
    assert "imports nothing that the flight recorder watches" in row["reason"]


def test_gold_that_was_forgotten_is_missed_by_name(toy):
    toy.edit("acceptance/test_accuracy.py", ', gold=held["y"]', "")
    toy.pytest("acceptance")
    assert "classification.accuracy was given no gold" in toy.rows()["accuracy"]["reason"]


LABELS = """
import pytest


@pytest.mark.requirement("toy/labels")
def test_labels(judge, toy, held):
    rows = [{"x": x, "y": int(y)} for x, y in zip(held["x"], held["y"])]
    judge(ASKED, gold=held["y"])
"""


@pytest.mark.parametrize(
    ("asked", "verdict"), [('toy.outputs("toy:labels", rows)', "PASS"), ('toy.predictions("labels", rows)', "VOID")]
)
def test_a_reader_of_labels_is_given_them_and_a_model_is_not(toy, asked, verdict):
    toy.edit(
        "spec/toy.toml",
        '[[requirement]]\nid = "size"',
        '[[requirement]]\nid = "labels"\nstatement = "Labels are read"\nmetric = "classification.accuracy"\n'
        'at_least = 0.9\ncontrol = false\n\n[[requirement]]\nid = "size"',
    )
    assert toy.assay("spec", "lock").returncode == 0
    reader = 'def labels(rows):\n    return [row["y"] for row in rows]\n\n\n'
    toy.edit("toy.py", "class Plane:\n", f"{reader}class Plane:\n    labels = staticmethod(labels)\n\n")
    toy.file("acceptance/test_labels.py").write_text(LABELS.replace("ASKED", asked))
    toy.pytest("acceptance/test_labels.py")
    row = toy.rows()["labels"]
    assert row["verdict"] == verdict, row["reason"]
    assert ("gold-in-items" in row["reason"]) == (verdict == "VOID")


def test_groups_that_are_counted_must_be_given(toy):
    toy.edit("spec/toy.toml", 'id = "accuracy"', 'id = "accuracy"\nminimum_groups = 5')
    assert toy.assay("spec", "lock").returncode == 0
    toy.pytest("acceptance")
    assert "minimum_groups = 5; pass groups=[...]" in toy.rows()["accuracy"]["reason"]
    toy.edit(
        "acceptance/test_accuracy.py",
        'gold=held["y"]',
        'gold=held["y"], groups=__import__("numpy").full(400, float("nan"))',
    )
    toy.pytest("acceptance")
    assert "groups: 400 of 400 are NaN" in toy.rows()["accuracy"]["reason"]


def test_an_error_names_its_kind_and_its_place(toy):
    """In a fixture, and in the subject."""
    toy.edit("acceptance/conftest.py", "    rng = np.random.default_rng(0)", "    rng = np.random.default_rng(zero)")
    toy.pytest("acceptance")
    assert toy.rows()["size"]["reason"].startswith(
        "error: NameError: name 'zero' is not defined (acceptance/conftest.py:"
    )
    toy.edit("acceptance/conftest.py", "default_rng(zero)", "default_rng(0)")
    toy.edit("toy.py", '    weight = config["slope"]', '    1 / 0\n    weight = config["slope"]')
    toy.pytest("acceptance")
    assert "the subject raised ZeroDivisionError: division by zero (toy.py:" in toy.rows()["size"]["reason"]


def test_the_place_of_an_error_is_in_the_projects_own_code(tmp_path, monkeypatch):
    """Not in a library that lies in the project, nor in the standard library."""
    library = tmp_path / "lib" / "site-packages"
    library.mkdir(parents=True)
    (library / "helped_by.py").write_text("import json\n\n\ndef read(text):\n    return json.loads(text)\n")
    (tmp_path / "own_code.py").write_text("import helped_by\n\n\ndef run():\n    helped_by.read('{')\n")
    monkeypatch.syspath_prepend(str(library))
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_code

    with pytest.raises(ValueError, match="Expecting") as met:
        own_code.run()
    met.value.__traceback__ = met.value.__traceback__.tb_next  # from the code of the project on
    assert errors.place(met.value, tmp_path) == " (own_code.py:5)"
    assert errors.place(met.value, tmp_path / "elsewhere") == " (own_code.py:5)"
    assert errors.place(ValueError("never raised"), tmp_path) == ""


def test_a_model_card_is_printed(judged):
    done = judged.assay("report", "--card")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# A plane through points\n")
    assert "### What was shown" in done.stdout
    assert not judged.file("report.html").exists()


def timed(toy, answer, test=None):
    """The row of a latency claim on a subject with this method `answer`."""
    toy.edit("spec/toy.toml", '[[requirement]]\nid = "size"', LATENCY + '\n[[requirement]]\nid = "size"')
    assert toy.assay("spec", "lock").returncode == 0
    toy.file("acceptance/test_fast.py").write_text(test or FAST)
    toy.edit("toy.py", "    def decisions(", answer + "\n    def decisions(")
    toy.pytest("acceptance")
    return toy.rows()["fast"]


FAST = """
import pytest


@pytest.mark.requirement("toy/fast")
def test_fast(judge, toy, held):
    judge(toy.timings("answer", held["x"]))
"""


def test_an_honest_answer_is_timed(toy):
    row = timed(toy, "    def answer(self, item):\n        return float(self.scores([item])[0])\n")
    assert row["verdict"] == "PASS", row["reason"]


def test_a_large_answer_is_the_subjects_own_affair(toy):
    """Packing takes longer than answering, and nothing of it was still to be computed."""
    row = timed(
        toy, "    def answer(self, item):\n        return {str(n): {'a': n, 'b': [item] * 9} for n in range(60)}\n"
    )
    assert row["verdict"] == "PASS", row["reason"]


def test_timed_calls_tell_what_they_answered_where_that_is_asked_for(toy):
    """The answers of the timed calls alone, in their order, and large ones make no slow clock of it."""
    row = timed(toy, "    def answer(self, item):\n        return {'sum': sum(item), 'more': [item] * 500}\n", TOLD)
    assert row["verdict"] == "PASS", row["reason"]


TOLD = """
import math
import pytest


@pytest.mark.requirement("toy/fast")
def test_fast(judge, toy, held):
    clock = toy.timings("answer", held["x"], warm_up=30, answers=True)
    assert len(clock.answers) == len(clock.seconds) == len(held["x"]) - 30
    for item, answer in zip(held["x"][30:], clock.answers):
        assert math.isclose(answer["sum"], sum(item)) and len(answer["more"]) == 500
    assert toy.timings("answer", held["x"][:40]).answers == ()
    judge(clock)
"""


def test_code_that_is_edited_meanwhile_is_no_timing(toy):
    toy.file("scale.py").write_text("SCALE = 1.0\n")
    row = timed(
        toy,
        "    def answer(self, item):\n"
        "        import pathlib\n"
        '        pathlib.Path(__file__).with_name("scale.py").write_text("SCALE = 2.0\\n")\n'
        "        import scale\n"
        "        return float(self.scores([item])[0]) * scale.SCALE\n",
    )
    assert row["verdict"] == "UNPROVEN"
    assert "scale was edited while it was timed" in row["reason"]


LATE = """    def answer(self, item):
        import collections.abc
        import time

        class Late(collections.abc.Sequence):
            def __len__(late):
                return 1

            def __getitem__(late, place):
                time.sleep(0.001)
                return item[[0][place]]

        return Late()
"""


def test_answers_that_are_computed_when_they_are_looked_at_are_no_timing(toy):
    row = timed(toy, LATE)
    assert row["verdict"] == "VOID"
    assert "clock" in row["reason"]


REMEMBERING = """    known = {}

    def answer(self, item):
        import time

        if tuple(item) not in self.known:
            time.sleep(0.004)
            self.known[tuple(item)] = item[0]
        return self.known[tuple(item)]
"""


def test_an_earlier_question_makes_no_timing_faster(toy):
    """Two rows ask the same items: the second asks a process that knows none of them."""
    again = LATENCY.replace('"fast"', '"again"').replace("p95", "mean")
    toy.edit("spec/toy.toml", '[[requirement]]\nid = "size"', again + '\n[[requirement]]\nid = "size"')
    toy.file("acceptance/test_again.py").write_text(FAST.replace("fast", "again"))
    fast = timed(toy, REMEMBERING)
    assert min(fast["value"], toy.rows()["again"]["value"]) > 3.9, "milliseconds"


SEEDED = """
[[requirement]]
id = "way"
kind = "method"
statement = "The way of training ranks positives above negatives"
metric = "classification.auroc"
at_least = 0.8
data = "points"
beats = [{ baseline = "noise" }]
seeds = 3
minimum_groups = 8
"""
SEEDED_TEST = """
import pytest


@pytest.mark.requirement("toy/way")
def test_way(judge, toy, held):
    judge.seeds(
        [toy.variant(seed=seed) for seed in (1, 2, 3)],
        lambda variant: variant.predictions("scores", held["x"]),
        gold=held["y"],
        groups=[f"group {number % 10}" for number in range(400)],
        baselines={
            "noise": lambda variant: variant.predictions("noise", held["x"]),
            "second": lambda variant: CONTROL.predictions("SECOND", held["x"]),
        },
    )
"""
NOISE = """    def noise(self, items):
        return np.random.default_rng(len(items)).permutation(len(items)) / 1e3 + 1e-6 * np.array(items)[:, 0]
"""


def seeded(toy, second="noise", control="variant", more=None, first=""):
    """The row of a claim over seeds, with a second control that the specification does not name."""
    test = first + SEEDED_TEST.replace("SECOND", second).replace("CONTROL", control)
    test = test.replace(*more) if more else test
    toy.edit("spec/toy.toml", '[[requirement]]\nid = "size"', SEEDED + '\n[[requirement]]\nid = "size"')
    assert toy.assay("spec", "lock").returncode == 0
    toy.file("acceptance/test_way.py").write_text(test)
    toy.edit("toy.py", "    def decisions(", NOISE + "\n    def decisions(")
    done = toy.pytest("acceptance/test_way.py", "--assay-full")
    row = toy.rows()["way"]
    assert row["verdict"] in done.stdout
    return row


def test_groups_of_a_claim_over_seeds_are_groups(toy):
    row = seeded(toy)
    assert (row["n"], row["groups"], row["seeds"]) == (400, 10, [1, 2, 3])
    assert row["verdict"] == "PASS", row["reason"]


def test_a_doubt_of_the_tests_own_voids_a_claim_over_seeds(toy):
    """Whether the clock was honest, say: the judge cannot know it."""
    doubt = (
        'from assay.evidence import CheckResult\n\nDOUBT = CheckResult(name="own", ok=False, detail="a slow clock")\n'
    )
    row = seeded(toy, more=("        baselines={", "        checks=[DOUBT],\n        baselines={"), first=doubt)
    assert row["verdict"] == "VOID"
    assert "own: a slow clock" in row["reason"]


def test_a_claim_over_seeds_that_needs_no_weights_is_void(toy):
    toy.edit("toy.py", "(x @ self.w[:5] + self.w[5])", "(x @ [1, -1, 1, 0, 0] + 1e-9 * self.w[5])")
    row = seeded(toy)
    assert row["verdict"] == "VOID"
    assert "weights-matter" in row["reason"]


def test_a_claim_over_seeds_that_an_unnamed_control_makes_as_well_is_void(toy):
    row = seeded(toy, second="scores")
    assert row["verdict"] == "VOID"
    assert "cheap-baseline: second" in row["reason"]


def test_a_claim_over_seeds_has_a_control_for_each_seed_and_says_in_what_it_differs(toy):
    row = seeded(toy, control="toy.variant(seed=7, slope=1.0)")
    assert row["verdict"] == "VOID"
    assert "seeds-differ: second: the control of 3 seeds was trained with 1" in row["reason"]
    assert toy.assay("report").returncode == 0
    page = toy.file("report.html").read_text()
    assert "the same profile" in page
    assert "slope = 1.0 for 2.0" in page


def test_groups_on_both_sides_void_a_claim_over_seeds(toy):
    toy.edit(
        "acceptance/conftest.py",
        'data={"train": points.path("train.json")}',
        'data={"train": points.path("train.json"), "sites": points.path("sites.jsonl")}',
    )
    toy.edit(
        "acceptance/conftest.py",
        "    rng = np.random.default_rng(0)\n",
        '    (out / "sites.jsonl").write_text("".join(json.dumps({"site": f"group {k}"}) + "\\n" for k in range(10)))\n'
        "    rng = np.random.default_rng(0)\n",
    )
    row = seeded(toy)
    assert row["verdict"] == "VOID"
    assert row["reason"].count("group-leakage") == 1, "said once, not once a seed"


def test_a_claim_over_seeds_with_too_few_answers_says_so(toy):
    toy.edit(
        "toy.py",
        "        x = np.array(items)\n",
        "        x = np.array(items)[1:] if len(items) > 300 else np.array(items)\n",
    )
    row = seeded(toy)
    assert row["verdict"] == "VOID"
    assert "length" in row["reason"]


def test_data_named_in_the_specification_must_be_the_data_measured(toy):
    toy.edit("spec/toy.toml", 'data = "points"\nbeats', 'data = "imagenet"\nbeats')
    assert toy.pytest("acceptance").returncode == 1
    assert "imagenet" in toy.rows()["auroc"]["reason"]


LATENCY = """
[[requirement]]
id = "fast"
statement = "Answers quickly"
metric = "latency.p95_ms"
below = 50
"""


MODELLESS = {
    "spec/tool.toml": """
[system]
name = "tool"
title = "Nothing to train"
targets = ["cpu"]

[[requirement]]
id = "exact"
statement = "Says aloud what it is told"
metric = "text.exact_match"
at_least = 0.9
""",
    "tool.py": "def shout(items):\n    return [item.upper() for item in items]\n",
    "acceptance/test_tool.py": """
import pytest


@pytest.mark.requirement("tool/exact")
def test_shouts(judge, subject):
    words = [f"w{i}" for i in range(200)]
    judge(subject("tool").outputs("tool:shout", words), gold=[word.upper() for word in words])
""",
}


def test_a_system_that_trains_nothing_is_judged_by_its_outputs_and_decays_with_their_code(toy):
    for name, text in MODELLESS.items():
        toy.file(name).write_text(text)
    assert toy.assay("spec", "lock").returncode == 0

    def row():
        systems = json.loads(toy.assay("status", "tool", "--json").stdout)["systems"]
        return systems[0]["requirements"][0]

    done = toy.pytest("acceptance/test_tool.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert row()["verdict"] == "PASS"
    toy.edit("tool.py", "upper", "lower")
    assert row()["verdict"] == "UNPROVEN"
    assert "tool" in row()["reason"]


def test_train_without_load_is_refused(toy):
    toy.edit("spec/toy.toml", 'load = "toy:load"\n', "")
    done = toy.assay("spec", "check")
    assert done.returncode == 2
    assert "train and load go together" in done.stderr


def test_a_model_asked_of_a_system_that_trains_nothing_is_a_clear_error(toy):
    for name, text in MODELLESS.items():
        toy.file(name).write_text(text)
    toy.edit("acceptance/test_tool.py", 'outputs("tool:shout"', 'predictions("shout"')
    assert toy.assay("spec", "lock").returncode == 0
    done = toy.pytest("acceptance/test_tool.py")
    assert done.returncode == 1
    assert "trains nothing" in done.stdout
