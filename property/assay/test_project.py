"""Laws of the project: claims are found unrun and are one to one, and a board tells what was moved out of sight."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from assay import hardware, lock
from assay.artifacts import weights_digest
from assay.digests import Manifest, of_source
from assay.errors import ClaimError, SpecError
from assay.evidence import Evidence
from assay.project import Project, find_root, harness_digest, scan_claims

SPEC = """\
[system]
name = "demo"
title = "A demonstration"
targets = ["cpu"]

[profile.cpu]
seed = 0

[data.d]
pairs = 4

[[requirement]]
id = "a"
statement = "The first thing holds"
metric = "classification.accuracy"
at_least = 0.5

[[requirement]]
id = "b.c"
statement = "The second thing holds"
metric = "classification.accuracy"
at_least = 0.5
"""

CLAIMS = """\
import pytest

@pytest.mark.requirement("demo/a")
def test_a(judge): ...

@pytest.mark.requirement("demo/b.c")
def test_b(judge): ...
"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def project(tmp_path: Path, claims: str = CLAIMS, spec: str = SPEC) -> Project:
    write(tmp_path / "spec/demo.toml", spec)
    write(tmp_path / "acceptance/test_demo.py", claims)
    return Project(tmp_path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# ------------------------------------------------------------------------------------------------ root


def test_the_root_is_the_nearest_folder_with_a_spec(tmp_path: Path) -> None:
    write(tmp_path / "spec/demo.toml", SPEC)
    deep = tmp_path / "acceptance" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "acceptance" / "spec").mkdir()
    (tmp_path / "acceptance" / "spec" / "readme.md").write_text("no specification")
    for start in (tmp_path, tmp_path / "spec", deep):
        assert find_root(start) == tmp_path
        assert Project.here(start).root == tmp_path.resolve()
    write(deep / "spec/inner.toml", SPEC)
    assert find_root(deep) == deep


def test_no_spec_above_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    assert find_root(tmp_path) is None
    with pytest.raises(SpecError, match=r"no spec/\*\.toml here or above; `assay init`"):
        Project.here(tmp_path)


def test_code_lies_under_impl_or_in_the_project_itself(tmp_path: Path) -> None:
    assert project(tmp_path).roots == [tmp_path]
    (tmp_path / "impl").mkdir()
    assert project(tmp_path).roots == [tmp_path / "impl"]


# -------------------------------------------------------------------------------------------------- scan

MARKERS = '''
"""@pytest.mark.requirement("demo/in.a.docstring")"""
import pytest
from pytest import mark
from pytest.mark import requirement

# @pytest.mark.requirement("demo/commented.out")

@pytest.mark.requirement("demo/function")
def test_function(judge): ...

@pytest.mark.slow
@mark.requirement("demo/one", "demo/two")
@pytest.mark.parametrize("x", [1])
async def test_two(judge, x): ...

class TestInside:
    @pytest.mark.requirement("demo/method")
    def test_method(self, judge): ...

    class TestDeeper:
        @pytest.mark.requirement(
            "demo/"
            "deeper"
        )
        def test_deeper(self, judge): ...

if True:
    @pytest.mark.requirement("demo/conditional")
    def test_conditional(judge): ...

@pytest.mark.requirement
def test_unnamed(judge): ...

@requirement("demo/bare")
@pytest.mark.skipif(True, reason="demo/reason")
def test_bare(judge): ...

x = pytest.mark.requirement("demo/not.a.decorator")
'''


def test_literal_markers_are_found_and_nothing_is_imported(tmp_path: Path) -> None:
    write(tmp_path / "acceptance/x/test_m.py", MARKERS + "\nraise RuntimeError('imported')\n")
    write(tmp_path / "acceptance/y_test.py", '@m.mark.requirement("demo/other.name")\ndef test_o(): ...\n')
    write(tmp_path / "acceptance/test_both_test.py", '@m.mark.requirement("demo/both")\ndef test_b(): ...\n')
    write(tmp_path / "acceptance/conftest.py", '@m.mark.requirement("demo/no.test.file")\ndef test_c(): ...\n')
    assert scan_claims(tmp_path / "acceptance", tmp_path) == {
        "demo/function": ["acceptance/x/test_m.py::test_function"],
        "demo/one": ["acceptance/x/test_m.py::test_two"],
        "demo/two": ["acceptance/x/test_m.py::test_two"],
        "demo/method": ["acceptance/x/test_m.py::test_method"],
        "demo/deeper": ["acceptance/x/test_m.py::test_deeper"],
        "demo/conditional": ["acceptance/x/test_m.py::test_conditional"],
        "demo/other.name": ["acceptance/y_test.py::test_o"],
        "demo/both": ["acceptance/test_both_test.py::test_b"],
    }


def test_no_suite_claims_nothing(tmp_path: Path) -> None:
    assert scan_claims(tmp_path / "acceptance", tmp_path) == {}


@pytest.mark.parametrize(
    "argument", ["NAME", 'f"demo/{x}"', '"demo/" + x', "*NAMES", "3", 'b"demo/a"', "name()", "None"]
)
def test_a_computed_name_is_refused_with_its_place(tmp_path: Path, argument: str) -> None:
    text = f'import pytest\n\n@pytest.mark.requirement("demo/a", {argument})\ndef test_x(): ...\n'
    write(tmp_path / "acceptance/test_m.py", text)
    with pytest.raises(ClaimError, match=r"acceptance/test_m\.py:4: a claim is written as plain strings"):
        scan_claims(tmp_path / "acceptance", tmp_path)


@pytest.mark.parametrize("content", [b"def test_x(:\n", b"x = '\xff'\n", b"x = 1\x00\n"])
def test_a_file_that_cannot_be_scanned_is_an_error(tmp_path: Path, content: bytes) -> None:
    """It may hold a claim: to pass over it would be to believe that it does not."""
    (tmp_path / "acceptance").mkdir()
    (tmp_path / "acceptance" / "test_m.py").write_bytes(content)
    with pytest.raises(ClaimError, match=r"test_m\.py: cannot be scanned for claims"):
        scan_claims(tmp_path / "acceptance", tmp_path)


# ------------------------------------------------------------------------------------------------ claims


def test_one_claim_for_each_requirement_is_as_it_should_be(tmp_path: Path) -> None:
    project(tmp_path).check_claims(["demo"])


def refused(tmp_path: Path, claims: str, systems: tuple[str, ...] = ("demo",)) -> str:
    with pytest.raises(ClaimError) as caught:
        project(tmp_path, claims).check_claims(systems)
    return str(caught.value)


def test_unclaimed_and_doubly_claimed_and_unknown_are_all_named(tmp_path: Path) -> None:
    text = refused(
        tmp_path,
        CLAIMS.replace("demo/b.c", "demo/a")
        + '@pytest.mark.requirement("demo/b.d", "demmo/a", "nonsense")\ndef test_c(judge): ...\n',
    )
    lines = text.splitlines()
    assert lines[0] == (
        'requirement "demo/a" is claimed 2 times: acceptance/test_demo.py::test_a, acceptance/test_demo.py::test_b'
    )
    assert lines[1].startswith('requirement "demo/b.c" (demo.toml) is claimed by no acceptance test')
    assert '@pytest.mark.requirement("demo/b.c")' in lines[1]
    assert lines[2].startswith("acceptance/test_demo.py::test_c: ")
    assert 'no requirement "b.d"; did you mean "b.c"?' in lines[2]
    assert 'no system "demmo"; did you mean "demo"?' in lines[3]
    assert "(known: demo)" in lines[3]
    assert '"nonsense": write system/requirement' in lines[4]
    assert len(lines) == 5


def test_a_claim_of_a_system_that_is_not_asked_for_must_exist_too(tmp_path: Path) -> None:
    assert "demmo" in refused(tmp_path, CLAIMS + '@m.requirement("demmo/a")\ndef test_c(): ...\n', ())


def test_one_test_that_claims_twice_is_found(tmp_path: Path) -> None:
    assert "claimed 2 times" in refused(tmp_path, CLAIMS.replace('"demo/a"', '"demo/a", "demo/a"'))


names = st.sampled_from(["a", "b.c", "b", "a.b"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(names, min_size=1, max_size=3), max_size=4))
def test_claims_are_good_exactly_when_they_are_one_to_one(tmp_path: Path, tests: list[list[str]]) -> None:
    """Law: no error iff each requirement is claimed once and nothing else is; otherwise each wrong name is named."""
    text = "import pytest\n"
    for number, claimed in enumerate(tests):
        arguments = ", ".join(f'"demo/{name}"' for name in claimed)
        text += f"@pytest.mark.requirement({arguments})\ndef test_{number}(): ...\n"
    every = [name for claimed in tests for name in claimed]
    wrong = {name for name in ("a", "b.c") if every.count(name) != 1} | set(every) - {"a", "b.c"}
    try:
        project(tmp_path, text).check_claims(["demo"])
    except ClaimError as error:
        told = str(error)
    else:
        told = ""
    assert len(told.splitlines()) == len(wrong)
    for name in wrong:
        assert f'"demo/{name}"' in told or f'"{name}"' in told


def test_requirements_are_found_by_their_full_name(tmp_path: Path) -> None:
    spec, requirement = project(tmp_path).requirement("demo/b.c")
    assert (spec.name, requirement.id) == ("demo", "b.c")
    for name, words in [("demo/x", "no requirement"), ("x/a", "no system"), ("a", "write system/requirement")]:
        with pytest.raises(ClaimError, match=words):
            project(tmp_path).requirement(name)


# ------------------------------------------------------------------------------------------ the world


def test_current_code_knows_tables_modules_files_and_the_judge(tmp_path: Path) -> None:
    here = project(tmp_path)
    write(tmp_path / "demo.py", "x = 1")
    spec = here.spec("demo")
    known = {
        name: here.current_code(spec, name, "cpu")
        for name in (
            "[system]",
            "[profile.cpu]",
            "[data.d]",
            "demo",
            "acceptance/test_demo.py",
            "assay.verdict",
            "numpy (version)",
        )
    }
    assert all(known.values())
    assert known["demo"] == of_source("x = 1")
    assert known["assay.verdict"] == harness_digest("assay.verdict")
    for gone in ("[profile.gpu]", "[data.e]", "[other.cpu]", "demo.sub", "acceptance/gone.py", "assay.gone"):
        assert here.current_code(spec, gone, "cpu") is None
    changed = project(
        tmp_path,
        CLAIMS + "\nx = 1\n",
        SPEC.replace("pairs = 4", "pairs = 3")
        .replace("seed = 0", "seed = 1")
        .replace("title =", 'train = "demo:train"\nload = "demo:load"\ntitle ='),
    )
    write(tmp_path / "demo.py", "x = 2")
    now = {name: changed.current_code(changed.spec("demo"), name, "cpu") for name in known}
    differs = {name for name in known if now[name] != known[name]}
    assert differs == {"[system]", "[profile.cpu]", "[data.d]", "demo", "acceptance/test_demo.py"}


@pytest.mark.parametrize(
    ("before", "after", "stands"),
    [
        ("pairs = 1", "pairs = 2", True),  # of smoke runs
        ("[data.d.smoke]\npairs = 1", "", True),
        ("pairs = 3", "pairs = 2", True),  # of another profile
        ("pairs = 4", "pairs = 5", False),
        ("[data.d.smoke]", "[data.d.cpu]\npairs = 4\n[data.d.smoke]", True),  # says what held anyway
        ("[data.d.smoke]", "[data.d.cpu]\npairs = 5\n[data.d.smoke]", False),
    ],
)
def test_evidence_decays_with_the_data_table_of_its_own_profile_alone(
    tmp_path: Path, before: str, after: str, stands: bool
) -> None:
    spec = SPEC.replace("pairs = 4\n", "pairs = 4\n[data.d.smoke]\npairs = 1\n[data.d.cuda]\npairs = 3\n")
    assert proven(tmp_path, spec=spec).board().done
    rows = project(tmp_path, spec=spec.replace(before, after, 1)).board().systems[0].rows
    assert [row.verdict.passed for row in rows] == [stands, stands]
    assert stands or "[data.d]" in rows[0].verdict.reason


def test_the_judges_own_modules_have_digests() -> None:
    found = {name: harness_digest(f"assay.{name}") for name in ("verdict", "spec", "metrics", "metrics.classification")}
    assert None not in found.values()
    assert len(set(found.values())) == len(found)
    assert harness_digest("assay.no_such_module") is None


def test_without_evidence_nothing_is_proven(tmp_path: Path) -> None:
    board = project(tmp_path).board()
    assert not board.done
    assert [row.kind for row in board.systems[0].rows] == ["UNPROVEN", "UNPROVEN"]
    assert [row.age_s for row in board.systems[0].rows] == [None, None]


def proven(tmp_path: Path, spec: str = SPEC, **fields: Any) -> Project:
    """The project with its lock, and with good evidence in the ledger for both of its rows."""
    here = project(tmp_path, spec=spec)
    if not here.locked:
        lock.write(tmp_path / "spec", {"demo": lock.tightened(here.spec("demo"), {})})
    write(tmp_path / "demo.py", "x = 1")
    for requirement in here.spec("demo"):
        row: dict[str, Any] = {
            "system": "demo",
            "requirement": requirement.id,
            "target": "cpu",
            "profile": "cpu",
            "outcome": "measured",
            "value": 0.9,
            "interval": (0.8, 0.95),
            "n": 100,
            "groups": 10,
            "requirement_digest": requirement.digest,
            "code": {name: here.current_code(here.spec("demo"), name, "cpu") for name in ("demo", "[data.d]")},
            "hardware": hardware.probe("cpu"),
            "measured_at": time.time(),
        }
        here.ledger.append(Evidence(**{**row, **fields}))
    return Project(tmp_path)


def test_fresh_evidence_is_done_and_decays_with_its_code(tmp_path: Path) -> None:
    here = proven(tmp_path)
    (system,) = here.board().systems
    assert system.done
    assert all(row.age_s is not None and 0 <= row.age_s < 60 for row in system.rows)
    spec, requirement = here.requirement("demo/a")
    assert here.verdict(spec, requirement, "cpu", None).kind == "UNPROVEN"
    assert here.verdict(spec, requirement, "cpu", here.ledger.latest()["demo", "a", "cpu"]) == system.rows[0].verdict
    write(tmp_path / "demo.py", "x = 1  # a comment")
    assert Project(tmp_path).board().done
    write(tmp_path / "demo.py", "x = 2")
    board = Project(tmp_path).board()
    assert not board.done
    assert all("demo" in row.verdict.reason and row.kind == "UNPROVEN" for row in board.systems[0].rows)


def reasons(here: Project) -> list[str]:
    return [f"{row.kind} {row.verdict.reason}" for row in here.board(["demo"], "cpu").systems[0].rows]


def test_evidence_decays_with_its_sources(tmp_path: Path) -> None:
    source = tmp_path / "library.py"
    write(source, "x = 1")
    digest = Project(tmp_path).store.save_manifest(Manifest.of({"library/library.py": source}, tmp_path))
    here = proven(tmp_path, sources=(digest,))
    assert here.board().done
    write(source, "x = 20")
    stale = "UNPROVEN stale: data changed since it was measured: library/library.py"
    assert reasons(Project(tmp_path)) == [stale, stale]
    write(source, "x = 1")
    assert Project(tmp_path).board().done
    for kept in (tmp_path / "cache/sources").iterdir():
        kept.unlink()
    assert "sources unknown here" in reasons(Project(tmp_path))[0]


def test_sources_are_here_while_any_file_of_them_is(tmp_path: Path) -> None:
    """Of a checkout that shared the cache and was deleted nothing can be said; one file gone of several is a change."""
    here, files = Project(tmp_path), {name: tmp_path / "away" / name for name in ("a.py", "b.py")}
    for path in files.values():
        write(path, "x = 1")
    digest = here.store.save_manifest(Manifest.of(files, tmp_path / "another"))
    assert here.has_sources(digest)
    files["a.py"].unlink()
    assert here.has_sources(digest)
    files["b.py"].unlink()
    assert not here.has_sources(digest)
    assert not here.has_sources("0" * 64)
    assert here.has_sources(here.store.save_manifest(Manifest.of({}, tmp_path)))


def test_evidence_decays_with_its_weights(tmp_path: Path) -> None:
    """What the record says of the weight files is what `weights_digest` says of them, side files left out."""
    here, key = project(tmp_path), "a" * 64

    def train(folder: Path, value: float = 1.0) -> None:
        for name in ("b.safetensors", "a.safetensors", "initial.safetensors", "checkpoints/1.safetensors"):
            (folder / name).parent.mkdir(exist_ok=True)
            save_file({"w": np.array([value])}, folder / name)
        (folder / "config.json").write_text("{}")

    folder = here.store.build("artifact", key, train)
    here = proven(tmp_path, artifact=key, weights=weights_digest(folder))
    assert here.board().done
    shutil.rmtree(folder)
    assert "no longer in" in reasons(Project(tmp_path))[0]
    here.store.build("artifact", key, lambda f: train(f, 2.0))
    assert reasons(Project(tmp_path))[0] == "UNPROVEN stale: the artifact holds other weights now"


def test_a_row_that_the_ledger_does_not_vouch_for_is_void(tmp_path: Path) -> None:
    assert proven(tmp_path, value=0.1, interval=(0.0, 0.2)).board().systems[0].rows[0].kind == "FAIL"
    connection = sqlite3.connect(tmp_path / ".assay" / "ledger.db")
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        edit = """replace(replace(payload, '"value":0.1', '"value":0.9'), '[0.0,0.2]', '[0.8,0.95]')"""
        assert connection.execute(f"UPDATE rows SET payload = {edit} WHERE payload != {edit}").rowcount == 2
    connection.close()
    assert all(reason.startswith("VOID ledger: ") for reason in reasons(Project(tmp_path)))


def test_waivers_are_shown_and_change_no_verdict(tmp_path: Path) -> None:
    waivers = "".join(
        f'[[waiver]]\nid = "{name}"\nreason = "not ready yet"\nuntil = {until}\n'
        for name, until in [("a", "2999-12-31"), ("b.c", "2001-01-01")]
    )
    (system,) = proven(tmp_path, SPEC + waivers, value=0.1, interval=(0.0, 0.2)).board().systems
    assert [row.waiver for row in system.rows] == [
        "waived, until 2999-12-31: not ready yet",
        "waived, expired 2001-01-01: not ready yet",
    ]
    assert [row.kind for row in system.rows] == ["FAIL", "FAIL"]
    assert [row.waiver for row in project(tmp_path).board().systems[0].rows] == ["", ""]


def test_a_board_is_of_each_target_or_of_the_one_asked_for(tmp_path: Path) -> None:
    here = proven(tmp_path, SPEC.replace('targets = ["cpu"]', 'targets = ["cpu", "cuda"]'))
    both = here.board()
    assert [(system.target, system.done) for system in both.systems] == [("cpu", True), ("cuda", False)]
    assert not both.done
    assert [system.target for system in here.board(["demo"], "cuda").systems] == ["cuda"]
    with pytest.raises(SpecError, match='no system "dem"; did you mean "demo"'):
        here.board(["dem"])


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("at_least = 0.5", "at_least = 0.4", ">= 0.5 -> >= 0.4"),
        ("at_least = 0.5", "", ">= 0.5 -> none"),
        ("at_least = 0.5", 'at_least = 0.5\nkind = "method"', "kind artifact -> method"),
    ],
)
def test_what_was_loosened_keeps_the_board_from_done(tmp_path: Path, before: str, after: str, named: str) -> None:
    """A row that no longer gates because it was loosened without a word is no way to DONE."""
    proven(tmp_path)
    here = proven(tmp_path, SPEC.replace(before, after), seeds=(0, 1, 2))
    board = here.board()
    assert not board.done
    assert all(row.kind == "UNPROVEN" and named in row.verdict.reason for row in board.systems[0].rows)
    explained = proven(
        tmp_path, SPEC.replace(before, f'{after}\nreason = "a method at 0.4 or none at all"'), seeds=(0, 1, 2)
    ).board()
    assert all(named in str(row.moves[0]) for row in explained.systems[0].rows)
    assert all(row.kind == "PASS" for row in explained.systems[0].rows)


def test_without_a_whole_lock_nothing_is_done(tmp_path: Path) -> None:
    """A goalpost that nobody remembers can be moved unseen."""
    assert proven(tmp_path).board().done
    kept = lock.read(tmp_path / "spec")
    lock.write(tmp_path / "spec", {"demo": {"a": kept["demo"]["a"]}})
    (system,) = Project(tmp_path).board().systems
    assert (system.done, system.problems) == (False, ("b.c: not in spec.lock; run `assay spec lock`",))
    (tmp_path / "spec" / lock.NAME).unlink()
    (system,) = Project(tmp_path).board().systems
    assert not system.done
    assert "spec/spec.lock is missing" in system.problems[0]


def test_a_system_that_went_away_is_remembered(tmp_path: Path) -> None:
    here = proven(tmp_path)
    lock.write(tmp_path / "spec", {**here.locked, "gone": here.locked["demo"]})
    board = Project(tmp_path).board()
    assert [(system.name, system.done) for system in board.systems] == [("demo", True), ("gone", False)]
    assert not board.done
    assert Project(tmp_path).board(["demo"]).done


def test_a_dropped_row_needs_its_reason(tmp_path: Path) -> None:
    proven(tmp_path)
    shorter = SPEC[: SPEC.rindex("[[requirement]]")]
    (system,) = project(tmp_path, spec=shorter).board().systems
    assert not system.done
    assert any("b.c was dropped without a reason" in problem for problem in system.problems)
    told = shorter + '[[dropped]]\nid = "b.c"\nreason = "measured elsewhere now"\n'
    (system,) = project(tmp_path, spec=told).board().systems
    assert re.fullmatch(
        r"b\.c \(>= 0\.5\): measured elsewhere now \(last measured \d{4}-\d\d-\d\d\)", system.dropped[0]
    )
    assert system.done


def test_a_row_that_went_to_other_hardware_needs_its_reason(tmp_path: Path) -> None:
    """It is on no board of this target any more: silence would read as DONE."""
    proven(tmp_path)
    away = SPEC + 'on = ["cuda"]\n'
    (system,) = project(tmp_path, spec=away).board().systems
    assert [row.requirement.id for row in system.rows] == ["a"]
    assert not system.done
    assert any("b.c is no longer demanded on cpu" in problem for problem in system.problems)
    (system,) = project(tmp_path, spec=away + 'reason = "needs more memory than a cpu has"\n').board().systems
    assert system.done
