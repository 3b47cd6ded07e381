"""Laws of problems: every public form gives the same kind of problem, and what is missing is named with the way out.

The files are written here, in the form of the public sets, with problems of our own. The hub is a stand-in.
"""

import ast
import gzip
import json
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from assay.contracts import check
from corpus import doctests, hub, problems
from corpus.distributions import Distribution
from corpus.errors import CorpusError
from corpus.execution.sandbox import Call, Doctest, Outcome, Sandbox, Script
from corpus.functions import from_text

HUMANEVAL_ROWS = [
    {
        "task_id": "HumanEval/0",
        "prompt": 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef area(r: float) -> float:\n    """ Area of a half circle.\n    >>> area(0)\n    0.0\n    """\n',
        "entry_point": "area",
        "canonical_solution": "    # half of the whole\n    return half(math.pi * r ** 2)\n",
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate(0) == half(0)\n    assert abs(candidate(1) - 1.5708) < 1e-3\n",
    },
    {
        "task_id": "HumanEval/1",
        "prompt": "def check(xs):\n",
        "entry_point": "check",
        "canonical_solution": "    return sorted(xs) == xs\n",
        "test": "def check(candidate):\n    assert candidate([1, 2])\n    assert not candidate([2, 1])\n",
    },
]  # fmt: skip
MBPP_HUB_ROWS = [
    {
        "task_id": 11,
        "text": "Write a function to add the positive numbers.",
        "code": "import math\r\ndef helper(x):\r\n  return x > 0\r\ndef add_positive(xs):\r\n  total = 0\r\n  for x in xs:\r\n    if helper(x):\r\n      total += x\r\n  return total",
        "test_list": ["assert add_positive([1, -2, 3]) == 4", "assert add_positive([]) == 0"],
        "test_setup_code": "import math",
        "challenge_test_list": [],
    }
]  # fmt: skip
CONTEST_ROW = {
    "name": "1_A. Sum of Two",
    "description": "Print the sum.",
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": ["5 5\n"], "output": ["10\n"]},
    "generated_tests": {"input": [], "output": []},
    "solutions": {
        "language": [2, 1, 3, 3],
        "solution": [
            "int main() {}",
            "print sum(map(int, raw_input().split()))",
            "import sys\nclass A:\n    k = 0\ndef main():\n    a, b = map(int, input().split())\n    print(a + b + A.k)\nif __name__ == '__main__':\n    main()\n    sys.exit(0)",
            "print(sum(int(x) for x in input().split()))",
        ],
    },
    "incorrect_solutions": {"language": [3, 3], "solution": ["print(3)", "from math import *\nprint(1)"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def cells() -> Iterator[Sandbox]:
    with Sandbox(1) as found:
        yield found


def zipped(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def canonical(source: str) -> bool:
    (node,) = ast.parse(source).body
    return ast.unparse(node).strip() == source and ast.get_docstring(node) is None  # type: ignore[arg-type]


def test_example_humaneval_by_folder(tmp_path: Path, cells: Sandbox) -> None:
    zipped(tmp_path / "humaneval/HumanEval.jsonl.gz", HUMANEVAL_ROWS)
    area, check = problems.humaneval(tmp_path)
    assert area.solution == "def area(r: float) -> float:\n    return half(math.pi * r ** 2)"
    assert area.prelude == "import math\ndef half(x):\n    return x / 2"
    assert (area.problem, area.group, area.origin) == ("HumanEval/0", "HumanEval/0", "humaneval")
    assert all(cells.run(each.task(each.solution)) == Outcome(True) for each in (area, check))
    assert cells.run(area.task("def area(r):\n    return half(math.pi * r)")) == Outcome(True)
    assert cells.run(area.task("def area(r):\n    return half(math.pi + r)")).reason == "wrong-answer"
    assert cells.run(check.task("def check(xs):\n    return True")).reason == "wrong-answer"


def test_example_mbpp_in_both_forms(tmp_path: Path, cells: Sandbox) -> None:
    mxeval = {**HUMANEVAL_ROWS[0], "task_id": "MBPP/7", "language": "python"}
    zipped(tmp_path / "mbpp/mbpp.jsonl.gz", [mxeval, *MBPP_HUB_ROWS])
    first, second = problems.mbpp(tmp_path)
    assert (first.problem, second.problem) == ("MBPP/7", "MBPP/11")
    assert second.solution.startswith("def add_positive(xs):\n    total = 0")
    for each in (first, second):
        assert isinstance(each.template, Call)
        assert canonical(each.solution)
        assert cells.run(each.task(each.solution)) == Outcome(True)
    assert not cells.run(second.task("def add_positive(xs):\n    return sum(xs)")).passed


def test_example_a_contest_becomes_a_function(tmp_path: Path, cells: Sandbox) -> None:
    python2 = {**CONTEST_ROW, "name": "no python", "solutions": {"language": [1], "solution": ["print 1"]}}
    untested = {**CONTEST_ROW, "name": "no tests", "public_tests": None, "private_tests": {"input": [], "output": []}}
    parquet(tmp_path / "code_contests/test-00000.parquet", [python2, untested, CONTEST_ROW])
    (found,) = problems.code_contests(tmp_path)
    assert isinstance(found.template, Script)
    assert found.problem == "CodeContests/1_A._Sum_of_Two"
    assert found.template.cases == (("1 2\n", "3\n"), ("5 5\n", "10\n"))
    assert len(found.submissions) == 2  # a star import cannot stand in a function
    assert all(map(canonical, (found.solution, *found.submissions)))
    outcomes = [cells.run(found.task(each)) for each in (found.solution, *found.submissions)]
    assert [each.passed for each in outcomes] == [True, True, False]
    assert problems.code_contests(tmp_path, limit=0) == []
    assert len(problems.code_contests(tmp_path, cases=1)[0].template.cases) == 1  # type: ignore[union-attr]


# -- the hub ---------------------------------------------------------------------------------------


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "list_repo_files", refuse)


def test_example_the_hub_is_asked_where_the_folder_has_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[tuple[str, ...]] = []
    files = {"README.md": [], "data/train-00001.parquet": [CONTEST_ROW], "data/train-00000.parquet": [CONTEST_ROW] * 2}

    def listing(repository: str, **how: str) -> list[str]:
        asked.append((repository, how["repo_type"], how["revision"]))
        return list(files)

    def download(repository: str, name: str, **how: str) -> str:
        asked.append((repository, name, how["repo_type"], how["revision"]))
        parquet(tmp_path / "hub" / name, files[name])
        return str(tmp_path / "hub" / name)

    monkeypatch.setattr(huggingface_hub, "list_repo_files", listing)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert len(problems.code_contests(tmp_path, limit=2)) == 2
    # files are fetched in order, and none that is not needed
    assert asked == [
        ("deepmind/code_contests", "dataset", "main"),
        ("deepmind/code_contests", "data/train-00000.parquet", "dataset", "main"),
    ]
    assert len(problems.code_contests(None)) == 3


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("load", [problems.humaneval, problems.mbpp, problems.code_contests])
@pytest.mark.parametrize("has_folder", [True, False])
def test_law_a_missing_set_is_named_with_the_way_out(
    tmp_path: Path, load: Callable[[Path | None], Any], has_folder: bool
) -> None:
    with pytest.raises(CorpusError) as caught:
        load(tmp_path if has_folder else None)
    message = str(caught.value)
    assert (str(tmp_path) if has_folder else "ASSAY_DATA") in message
    assert "no route to the hub" in message
    assert "put it there" in message
    assert "\n" not in message


def test_example_a_changed_layout_is_no_empty_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: ["README.md"])
    with pytest.raises(CorpusError, match=r"has no file full/\*\.parquet; its layout has changed"):
        problems.mbpp(tmp_path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"task_id": "1"}], 'has no text "entry_point"'),
        ([{**HUMANEVAL_ROWS[0], "entry_point": "volume"}], 'problem "HumanEval/0": its solution does not define "volume"'),
        ([{**HUMANEVAL_ROWS[0], "canonical_solution": "  return ("}], 'problem "HumanEval/0": its solution does not parse'),
    ],
)  # fmt: skip
def test_law_a_damaged_row_is_named(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    zipped(tmp_path / "humaneval/HumanEval.jsonl.gz", rows)
    with pytest.raises(CorpusError) as caught:
        problems.humaneval(tmp_path)
    assert message in str(caught.value)


def test_law_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mbpp/mbpp.jsonl.gz"
    zipped(path, MBPP_HUB_ROWS)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"mbpp\.jsonl\.gz: cannot be read .*; fetch it again"):
        list(hub.rows(problems.MBPP, tmp_path))
    (tmp_path / "code_contests").mkdir()
    (tmp_path / "code_contests/x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(CorpusError, match=r"x\.parquet: cannot be read"):
        list(hub.rows(problems.CODE_CONTESTS, tmp_path))


# -- doctests --------------------------------------------------------------------------------------

MODULE = '''
def double(x):
    """Twice.

    >>> double(2)
    4
    >>> double("a")  # doctest: +SKIP
    'never'
    >>> double(None)
    Traceback (most recent call last):
        ...
    TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'
    """
    result = x * 2
    return result


def dice(sides):
    """
    >>> random.seed(1)
    >>> dice(6)
    3
    """
    result = random.randint(1, sides)
    return result


def silent(x):
    """
    >>> y = silent(1)
    """
    result = [x for _ in range(10)]
    return result


def plain(x):
    """No example."""
    result = [x for _ in range(10)]
    return result
'''


def test_example_doctests_that_can_be_used(tmp_path: Path) -> None:
    (found,) = doctests.problems(from_text(MODULE, file="pkg/mod.py", distribution="pkg", version="1"))
    assert isinstance(found.template, Doctest)
    assert (found.problem, found.group) == ("pkg:pkg.mod.double", "pkg:pkg.mod")
    assert [each.source for each in found.template.examples] == ["double(2)\n", "double(None)\n"]
    assert found.template.examples[1].error == "TypeError: unsupported operand type(s) for *: 'NoneType' and 'int'\n"
    assert found.solution == "def double(x):\n    result = x * 2\n    return result"
    assert doctests.gutted(found.solution) == "def double(x):\n    raise RuntimeError"
    file = tmp_path / "pkg" / "mod.py"
    file.parent.mkdir()
    file.write_text(MODULE)
    assert doctests.candidates([Distribution("pkg", "1", "MIT", tmp_path, (file,))], processes=1) == [found]


def test_example_the_standard_library_judges_its_own(cells: Sandbox) -> None:
    text = Path(textwrap.__file__).read_bytes()
    found = doctests.problems(from_text(text, file="textwrap.py", distribution="python"))
    (shorten,) = [each for each in found if each.problem.endswith("shorten")]
    assert cells.run(shorten.task(shorten.solution)) == Outcome(True)
    assert not cells.run(shorten.task(doctests.gutted(shorten.solution))).passed


def test_law_the_contract_of_contests_accepts_the_public_form_and_names_damage(tmp_path: Path) -> None:
    def row(number: int) -> dict[str, Any]:
        solutions = {"language": [3], "solution": [f"print({number})"]}
        return {**CONTEST_ROW, "name": f"{number}_A. Problem", "solutions": solutions}

    contract = Path(__file__).parents[2] / "spec" / "contracts" / "contests.json"
    path = tmp_path / "contests.parquet"
    parquet(path, [row(number) for number in range(100)])
    assert check(contract, path).success
    nothing = {"language": [], "solution": []}
    untested = {"input": [], "output": []}
    parquet(path, [{**row(1), "solutions": nothing, "public_tests": untested} for _ in range(100)])
    assert {each.column for each in check(contract, path).failed} == {"name", "solutions", "public_tests"}
