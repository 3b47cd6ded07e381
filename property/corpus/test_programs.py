"""Laws of labelled programs: labels are earned, sides share no problem, HumanEval stays out, and no artefact tells.

The builders run for real, on a few problems that are written here.
"""

import ast
import json
import subprocess
import sys
import sysconfig
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contracts import check
from corpus import __main__ as command
from corpus import defects, doctests, hub, problems, programs, records, rewrites
from corpus.distributions import Distribution
from corpus.errors import CorpusError
from corpus.execution.sandbox import Doctest, Example, Sandbox
from corpus.functions import functions
from corpus.programs import Plan, Program
from property.corpus.test_problems import CONTEST_ROW, HUMANEVAL_ROWS, MBPP_HUB_ROWS, parquet, zipped

CONTRACT = Path(__file__).parents[2] / "spec" / "contracts" / "programs.json"
PLAN = Plan(rewrites=2, mutants=2, cells=2)


def mbpp_rows() -> list[dict[str, Any]]:
    """Problems of different structure, each with a few places for rewrites and defects."""
    bodies = {
        "total": ("xs", "t = 0\n  for x in xs:\n    t += x\n  return t", "[1, 2, 3]", 6),
        "biggest": ("xs", "best = xs[0]\n  for x in xs:\n    if x > best:\n      best = x\n  return best", "[3, 9, 4]", 9),
        "count_even": ("xs", "n = 0\n  for x in xs:\n    if x % 2 == 0:\n      n += 1\n  return n", "[1, 2, 4]", 2),
        "evens": ("xs", "return [x for x in xs if x % 2 == 0]", "[1, 2, 4]", [2, 4]),
        "power": ("a, b", "r = 1\n  while b > 0:\n    r = r * a\n    b = b - 1\n  return r", "3, 4", 81),
        "longest": ("xs", "if len(xs) == 0:\n    return None\n  return max(xs, key=len)", "['a', 'bbb', 'cc']", "bbb"),
        "clamp": ("x, lo, hi", "if x < lo:\n    return lo\n  if x > hi:\n    return hi\n  return x", "7, 1, 5", 5),
        "is_prime": ("n", "if n < 2:\n    return False\n  for d in range(2, n):\n    if n % d == 0:\n      return False\n  return True", "7", True),
    }  # fmt: skip
    return [
        {
            "task_id": number,
            "text": "",
            "code": f'def {name}({arguments}):\n  """A docstring with 1 + 1."""\n  # a comment\n  {body}',
            "test_list": [f"assert {name}({given}) == {want!r}"],
            "test_setup_code": "",
        }
        for number, (name, (arguments, body, given, want)) in enumerate(bodies.items(), start=1)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    twin = {
        **MBPP_HUB_ROWS[0],
        "task_id": 99,
        "code": "def area(r):\n  return half(math.pi*r**2)",
        "test_list": ["area(1)"],
    }
    zipped(folder / "mbpp/mbpp.jsonl.gz", [*mbpp_rows(), *MBPP_HUB_ROWS, twin])
    zipped(folder / "humaneval/HumanEval.jsonl.gz", [{**HUMANEVAL_ROWS[0], "prompt": HUMANEVAL_ROWS[0]["prompt"].replace(": float", "").replace(" -> float", "")}, HUMANEVAL_ROWS[1]])  # fmt: skip
    parquet(folder / "code_contests/train.parquet", [CONTEST_ROW])
    return folder


@pytest.fixture(scope="module")
def built(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("built")
    return folder, programs.build(folder, ["mbpp", "code_contests"], PLAN, data=data)


@pytest.fixture(scope="module")
def rows(built: tuple[Path, dict[str, Any]]) -> list[Program]:
    return [row for side in programs.SIDES for row in programs.read(built[0] / f"{side}.jsonl")]


def test_law_sides_share_no_group_and_no_program(built: tuple[Path, dict[str, Any]]) -> None:
    sides = {side: programs.read(built[0] / f"{side}.jsonl") for side in programs.SIDES}
    assert all(sides.values())
    groups = {side: {row.group for row in rows} for side, rows in sides.items()}
    assert sum(map(len, groups.values())) == len(set().union(*groups.values()))
    digests = [row.digest for rows in sides.values() for row in rows]
    assert len(digests) == len(set(digests))


def test_law_every_function_has_as_many_failing_as_passing_programs(rows: list[Program]) -> None:
    ways: dict[tuple[str, str], Counter[bool]] = {}
    for row in rows:
        way = {"rewrite": row.operator, "submission": "others"}.get(row.kind, row.base)
        ways.setdefault((row.problem, way), Counter())[row.passed] += 1
    assert all(counts[True] == counts[False] for counts in ways.values())
    assert {row.kind for row in rows} >= {"canonical", "rewrite", "mutant"}
    assert {row.base for row in rows if row.kind == "mutant"} - {""} <= set(rewrites.OPERATORS)


def test_law_sources_are_canonical_and_bare(rows: list[Program]) -> None:
    for row in rows:
        (node,) = ast.parse(row.source).body
        assert isinstance(node, ast.FunctionDef)
        assert ast.unparse(node).strip() == row.source
        assert ast.get_docstring(node) is None
        assert bool(row.reason) is not row.passed
        assert row.operator in {"rewrite": rewrites.OPERATORS, "mutant": defects.OPERATORS}.get(row.kind, ("",))


def test_law_labels_are_those_of_running_the_tests_here(data: Path, rows: list[Program]) -> None:
    tests = {f"MBPP/{row['task_id']}": row["test_list"] for row in mbpp_rows()}
    seen = 0
    for row in rows:
        if row.problem not in tests or row.reason == "timeout":
            continue
        namespace: dict[str, Any] = {}
        exec(row.source, namespace)
        try:
            for test in tests[row.problem]:
                exec(test, namespace)
        except Exception:
            assert not row.passed
        else:
            assert row.passed
        seen += 1
    assert seen > 20


def test_law_a_second_build_writes_the_same_bytes(
    data: Path, built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    memory = tmp_path / "known.sqlite"
    for _ in range(2):  # the second time from memory
        programs.build(tmp_path, ["mbpp", "code_contests"], replace(PLAN, cells=1, memory=memory), data=data)
        for side in programs.SIDES:
            assert (tmp_path / f"{side}.jsonl").read_bytes() == (built[0] / f"{side}.jsonl").read_bytes()


def test_law_humaneval_never_reaches_training(
    data: Path, rows: list[Program], built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="HumanEval is for tests only"):
        programs.build(tmp_path, ["mbpp", "humaneval"], PLAN, data=data)
    with pytest.raises(CorpusError, match="for tests only and is never split"):
        programs.split([replace(rows[0], origin="humaneval")], 0)
    assert {row.origin for row in rows} <= set(programs.TRAINING_ORIGINS)
    assert built[1]["copies"] == 1
    assert "MBPP/99" not in {row.problem for row in rows}  # HumanEval/0 under other names
    assert not list(tmp_path.iterdir())


def test_law_what_is_kept_out_of_training_is_asked_where_judging_asks(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HumanEval on the hub guards as well as in the folder; without it only doctests are built, and ask no network."""
    zipped(tmp_path / "mbpp/mbpp.jsonl.gz", list(hub.rows(problems.MBPP, data)))
    wanted = {"doctest": dict.fromkeys(programs.SIDES, 1), "mbpp": {"train": 99, "dev": 0, "test": 0}}
    nothing: dict[str, list[Any]] = {side: [] for side in programs.SIDES}
    with pytest.raises(CorpusError, match=r"only where HumanEval is at hand, to be kept out: .*put it there"):
        programs.draw(nothing, wanted, 0, tmp_path)
    with pytest.raises(CorpusError, match="only where HumanEval is at hand"):
        programs.build(tmp_path / "out", ["mbpp"], PLAN, data=tmp_path)
    none = {**wanted, "mbpp": dict.fromkeys(programs.SIDES, 0)}
    assert programs.draw(nothing, none, 0, tmp_path) == nothing
    import huggingface_hub

    parquet(tmp_path / "hub.parquet", list(hub.rows(problems.HUMANEVAL, data)))
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: ["openai_humaneval/test-0.parquet"])
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(tmp_path / "hub.parquet"))
    drawn = {each.problem for each in programs.draw(nothing, wanted, 0, tmp_path)["train"]}
    assert len(drawn) == 9
    assert "MBPP/99" not in drawn  # HumanEval/0 under other names


def test_law_a_draw_reads_and_parses_no_more_than_it_may_need(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of CodeContests are 13,000 problems with hundreds of solutions each."""

    def row(number: int) -> dict[str, Any]:
        right = ["+".join(["print(int(input())", *map(str, range(number)), f"{place})"]) for place in range(300)]
        wrong = [f"print({place}, {number})" for place in range(300)]
        texts = {"solutions": right, "incorrect_solutions": wrong}
        return {**CONTEST_ROW, "name": f"{number}_A", **{key: {"language": [3] * 300, "solution": each} for key, each in texts.items()}}  # fmt: skip

    zipped(tmp_path / "humaneval/HumanEval.jsonl.gz", HUMANEVAL_ROWS)
    zipped(tmp_path / "code_contests/rows.jsonl.gz", [row(number) for number in range(60)])
    parsed: list[str] = []
    as_function = problems._as_function
    monkeypatch.setattr(problems, "_as_function", lambda text: parsed.append(text) or as_function(text))
    nothing: dict[str, list[Any]] = {side: [] for side in programs.SIDES}
    wanted = {"doctest": dict.fromkeys(programs.SIDES, 0), "code_contests": {"train": 3, "dev": 1, "test": 1}}
    drawn = programs.draw(nothing, wanted, 0, tmp_path)
    assert {side: len(found) for side, found in drawn.items()} == wanted["code_contests"]
    assert len(parsed) == 20 * (5 + 4)
    assert all(len(each.submissions) == 8 for found in drawn.values() for each in found)
    assert max(int(each.problem[13:-2]) for found in drawn.values() for each in found) < 20
    assert [each.problem for each in drawn["train"]] != [f"CodeContests/{number}_A" for number in range(3)]


def test_law_every_humaneval_problem_is_judged(data: Path, tmp_path: Path) -> None:
    report = programs.build_humaneval(tmp_path, PLAN, data)
    rows = programs.read(tmp_path / "humaneval.jsonl")
    assert {row.problem for row in rows if row.kind == "canonical" and row.passed} == {"HumanEval/0", "HumanEval/1"}
    assert {row.passed for row in rows} == {True, False}
    assert report["problems"] == {"humaneval": 2}
    assert report == json.loads((tmp_path / "humaneval.json").read_text())
    zipped(tmp_path / "humaneval/HumanEval.jsonl.gz", [{**HUMANEVAL_ROWS[1], "canonical_solution": "    return 1\n"}])
    with pytest.raises(CorpusError, match="1 known solutions of HumanEval do not pass here, HumanEval/1 among them"):
        programs.build_humaneval(tmp_path, PLAN, tmp_path)


def test_example_the_report_counts_what_was_executed(built: tuple[Path, dict[str, Any]]) -> None:
    report = built[1]
    kinds = report["kinds"]
    assert report["executed"] == sum(sum(counts.values()) for counts in kinds.values())
    assert kinds["mbpp canonical"] == {"passed": 9, "failed": 0}
    assert kinds["code_contests submission"] == {"passed": 1, "failed": 1}
    killed, of = (sum(column) for column in zip(*report["kill_rate"].values(), strict=True))
    assert 0 < killed <= of == sum(sum(kinds.get(f"{o} mutant", {}).values()) for o in programs.TRAINING_ORIGINS)
    assert all(0 <= passed <= of for passed, of in report["rewrites_passed"].values())


def test_law_programs_of_a_problem_do_not_depend_on_the_problems_beside_it() -> None:
    """What one doctest finds on a machine must not change the mutants of all others."""
    found = [problems._from_assertions(row) for row in mbpp_rows()]
    together, _ = programs.label(found, PLAN)
    alone = [row for problem in found[::2] for row in programs.label([problem], PLAN)[0]]
    assert len(alone) > 10
    assert alone == [row for row in together if row.problem in {problem.problem for problem in found[::2]}]


@pytest.mark.parametrize("broken", ["g0", "g2", "g3"])
def test_law_a_group_that_breaks_is_told_of(data: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """Four groups in two threads; nothing is executed."""

    def passing(group: list[Any], *_: Any) -> dict[Any, Any]:
        if group[0].problem == broken:
            raise CorpusError(f"{broken} is broken")
        return {}

    monkeypatch.setattr(programs, "_passing", passing)
    each = {name: [replace(problems.mbpp(data)[0], problem=name)] for name in (f"g{place}" for place in range(4))}
    with pytest.raises(CorpusError, match=f"{broken} is broken"):
        programs._side_by_side(each, PLAN)


def test_example_doctests_of_a_module_that_changes_with_the_hash_seed(tmp_path: Path) -> None:
    """What prints a set is right in one order and wrong in another: it is no problem, and neither is what its
    examples never reach."""
    root = Path(sysconfig.get_path("stdlib"))
    found = doctests.problems(functions(Distribution("python", "3", "PSF-2.0", root, (root / "statistics.py",))))
    assert len(found) > 5
    template = found[0].template
    assert isinstance(template, Doctest)
    aside = replace(template, examples=(Example("1 + 1\n", "2\n"),))
    printed = replace(template, examples=(*template.examples, Example("print({'a', 'b', 'c', 'd'})\n", _order())))
    odd = [
        replace(found[0], problem="python:aside", template=aside),
        replace(found[0], problem="python:printed", template=printed),
    ]
    rows, report = programs.label([*found[:3], *odd], PLAN)
    assert {row.problem for row in rows} <= {each.problem for each in found[:3]}
    assert report["problems"] == {"doctest": 3}
    assert {"solution not-reached": 1, "solution not-stable": 1}.items() <= report["dropped"].items()


def test_example_a_doctest_that_writes_into_tmp_is_no_problem() -> None:
    """Where Python itself lies in /tmp its cells cannot write there: the label would be the machine's."""
    root = Path(sysconfig.get_path("stdlib"))
    problem = doctests.problems(functions(Distribution("python", "3", "PSF-2.0", root, (root / "statistics.py",))))[0]
    assert isinstance(problem.template, Doctest)
    written = (Example("_ = print(1, file=io.open('/tmp/1', 'w'))\n", ""), *problem.template.examples)
    aside = replace(problem, problem="python:aside", template=replace(problem.template, examples=written))
    rows, report = programs.label([problem, aside], PLAN)
    assert {row.problem for row in rows} == {problem.problem}
    assert report["dropped"]["solution of-this-machine"] == 1


def test_law_what_an_example_finds_imported_does_not_depend_on_the_cell_it_comes_to() -> None:
    """Modules of a distribution share cells: one that imports another must do so for all of them, or for none."""
    asks = (Example("import sys\n", ""), Example("'tabnanny' in sys.modules\n", "True\n"))
    root = Path(sysconfig.get_path("stdlib"))
    problem = doctests.problems(functions(Distribution("python", "3", "PSF-2.0", root, (root / "statistics.py",))))[0]
    assert isinstance(problem.template, Doctest)
    first = replace(problem, problem="python:first", template=replace(problem.template, examples=asks))
    other = replace(first, problem="python:other", template=replace(first.template, module="tabnanny"))
    for cells in (1, 3):
        _, report = programs.label([first, other], replace(PLAN, cells=cells, memory=None))
        # both see it imported; neither is about its own function
        assert report["dropped"] == {"solution not-reached": 1, "solution unready": 1}


def _order() -> str:
    return subprocess.run(
        [sys.executable, "-c", "print({'a', 'b', 'c', 'd'})"],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
    ).stdout


made = st.lists(
    st.builds(
        lambda number, problem, kind, operator, base, passed: Program(
            f"{number:016x}", problem, problem, "mbpp", kind, operator if kind == "rewrite" else "", base if kind == "mutant" else "", f"s{number}", passed, "" if passed else "wrong-answer"
        ),
        st.integers(0, 10**6),
        st.sampled_from("abcdefgh"),
        st.sampled_from(programs.KINDS),
        st.sampled_from(["flip", "loop"]),
        st.sampled_from(["", "flip", "loop"]),
        st.booleans(),
    ),
    max_size=40,
    unique_by=lambda row: row.digest,
)  # fmt: skip


@given(made, st.integers(0, 5))
def test_law_balance_is_even_keeps_order_and_prefers_what_is_written(rows: list[Program], seed: int) -> None:
    kept = programs.balanced(rows, seed)
    assert sum(row.passed for row in kept) * 2 == len(kept)
    assert [row for row in rows if row in kept] == kept
    assert programs.balanced(rows, seed) == kept
    lost = {row for row in rows if row not in kept}
    for row in lost:
        if row.kind == "canonical" and row.passed:
            assert not [each for each in kept if each.problem == row.problem and each.passed and each.kind == "mutant" and not each.base]  # fmt: skip


@given(made, st.integers(0, 5))
def test_law_split_loses_nothing(rows: list[Program], seed: int) -> None:
    sides = programs.split(rows, seed)
    assert sorted(row.digest for side in sides.values() for row in side) == sorted(row.digest for row in rows)
    where = {row.group: side for side, found in sides.items() for row in found}
    assert all(where[row.group] == side for side, found in sides.items() for row in found)
    groups = len(where)
    assert abs(sum(side == "train" for side in where.values()) - 0.7 * groups) <= 1


# -- contract and command --------------------------------------------------------------------------


def honest(count: int = 120) -> list[Program]:
    kinds = [("canonical", "", "", True), ("rewrite", "flip", "", True), ("mutant", "compare", "", False), ("mutant", "constant", "flip", False)]  # fmt: skip
    return [
        Program(f"{number:016x}", f"MBPP/{number // 4}", f"MBPP/{number // 4}", "mbpp", *kinds[number % 4][:3],
                f"def f{number}(x):\n    return x + {number}", kinds[number % 4][3], "" if kinds[number % 4][3] else "raised KeyError")
        for number in range(count)
    ]  # fmt: skip


def test_law_the_contract_accepts_honest_rows_and_names_damage(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    records.write(path, honest())
    assert programs.read(path) == honest()
    assert check(CONTRACT, path).success
    # One row is damaged in each of these columns, all rows in the last two.
    damages = {
        "digest": "0" * 16,
        "source": "",
        "origin": "elsewhere",
        "reason": "Traceback (most recent)",
        "group": "",
    }
    damaged = [asdict(replace(row, kind="mutant", passed=True)) for row in honest()]
    for place, (column, value) in enumerate(damages.items(), start=1):
        damaged[place][column] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in damaged))
    failed = {failure.column for failure in check(CONTRACT, path).failed}
    assert failed == {*damages, "kind", "passed"}


def test_example_the_command(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv(hub.VARIABLE, str(data))
    out = ["-o", str(tmp_path / "out")]
    assert command.main(["programs", "--origins", "mbpp", "--rewrites", "1", "--mutants", "1", *out]) == 0
    assert "train: " in capsys.readouterr().out
    assert command.main(["programs", "--origins", "mbpp,humaneval", *out]) == 2
    assert "HumanEval is for tests only" in capsys.readouterr().err
    assert command.main(["programs", "--origins", "nothing", *out]) == 2
    assert 'unknown origin "nothing"; known: doctest, mbpp, code_contests' in capsys.readouterr().err


def test_a_build_that_nothing_passes_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.delenv(hub.VARIABLE, raising=False)
    out = tmp_path / "out"
    assert command.main(["programs", "--distributions", "filelock", "-o", str(out)]) == 2
    assert capsys.readouterr().err == "corpus: none of 0 problems gives a program of doctest; name more sources\n"
    assert not list(out.iterdir())


def test_an_error_of_the_system_is_not_taken_for_one_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(programs, "build", fails)
    with pytest.raises(OSError, match="Too many open files"):
        command.main(["programs", "-o", str(tmp_path)])


def test_law_walls_that_are_missing_are_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "Sandbox", lambda cells, **how: Sandbox(cells, spaces=(), **how))
    found = [problems._from_assertions(row) for row in mbpp_rows()[:1]]
    _, report = programs.label(found, PLAN)
    assert "files" in report["missing_walls"]
