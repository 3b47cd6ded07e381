"""Laws of the data contracts: what was not looked at is never a success, and a planted defect is named with its row.

great-expectations is imported once for the whole file (3-5 s).
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.contracts import FLOOR, ContractResult, check
from assay.errors import ContractError

CONTRACTS = Path(__file__).parents[2] / "spec" / "contracts"
FUNCTIONS = CONTRACTS / "functions.json"
SPLITS = CONTRACTS / "splits.json"

Row = dict[str, Any]


def function(number: int) -> Row:
    """An honest record, as corpus.records writes it."""
    source = f"def name{number}(path):\n    return json.loads(path.read_text())[{number}]"
    return {
        "record_id": f"{number:016x}",
        "distribution": "package",
        "version": "1.0",
        "licence": "MIT",
        "module": "package.module",
        "file": "package/module.py",
        "qualname": f"Name.name{number}",
        "line": 1 + 3 * number,
        "end_line": 3 + 3 * number,
        "source": source,
        "docstring": "",
        "uses": ["json"],
        "masked": source.replace("json", "M0"),
        "ast_hash": f"{number + 10**6:016x}",
    }


def functions(count: int = 130) -> list[Row]:
    return [function(number) for number in range(count)]


def jsonl(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def expect(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}


def contract(folder: Path, *expectations: dict[str, Any], floor: int = 1) -> Path:
    path = folder / "contract.json"
    rows = [{"type": FLOOR, "kwargs": {"min_value": floor}}, *expectations]
    path.write_text(json.dumps({"name": "small", "expectations": rows}))
    return path


def failures(result: ContractResult) -> set[tuple[str, str | None]]:
    return {(f.expectation.removeprefix("expect_"), f.column) for f in result.failed}


WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "os.mkdir", "os.rename", "tempfile.mkdtemp")


@pytest.fixture(scope="module", autouse=True)
def watch() -> Iterator[list[str]]:
    """What the process does to the network and the disk, from before the library is imported."""
    seen: list[str] = []
    active = True

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not active:
            return
        written = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
        if event in WATCHED or (written and "__pycache__" not in str(args[0])):
            seen.append(f"{event} {args}")

    sys.addaudithook(hook)
    yield seen
    active = False


# -- the contract of the function records


def test_honest_records_hold_and_nothing_is_sent_written_or_printed(
    tmp_path: Path, watch: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    data = jsonl(tmp_path / "train.jsonl", functions())
    watch.clear()
    result = check(FUNCTIONS, data)
    assert [event for event in watch if "__pycache__" not in event] == []
    assert result.failed == ()
    assert result.success
    assert result.rows == 130
    assert result.evaluated == len(json.loads(FUNCTIONS.read_text())["expectations"])
    assert capfd.readouterr() == ("", "")


DEFECTS: list[tuple[str, Any, str, str]] = [
    # column, planted value, the expectation that must name it, its columns
    *[
        (name, None, "column_values_to_not_be_null", name)
        for name in function(0)
    ],
    *[
        (name, 17, "column_values_to_be_of_type", name)
        for name, value in function(0).items()
        if isinstance(value, str)
    ],
    ("record_id", "0123456789ABCDEF", "column_values_to_match_regex", "record_id"),
    ("record_id", f"{0:016x}", "column_values_to_be_unique", "record_id"),
    ("ast_hash", "zz", "column_values_to_match_regex", "ast_hash"),
    ("ast_hash", f"{10**6:016x}", "column_values_to_be_unique", "ast_hash"),
    ("distribution", "", "column_values_to_match_regex", "distribution"),
    ("version", " ", "column_values_to_match_regex", "version"),
    ("licence", "", "column_values_to_match_regex", "licence"),
    ("module", "package/module", "column_values_to_match_regex", "module"),
    ("qualname", "", "column_values_to_match_regex", "qualname"),
    ("file", "/home/me/module.py", "column_values_to_match_regex", "file"),
    ("source", "", "column_values_to_match_regex", "source"),
    ("source", "def f(): pass", "column_value_lengths_to_be_between", "source"),
    ("masked", "", "column_values_to_match_regex", "masked"),
    ("masked", "def f():\n    import json\n    M0", "column_values_to_not_match_regex", "masked"),
    ("masked", "def f():\n    from json import loads\n    M0", "column_values_to_not_match_regex", "masked"),
    ("uses", "json", "column_values_to_match_regex", "uses"),
    ("uses", [1], "column_values_to_match_regex", "uses"),
    ("uses", {"json": 1}, "column_values_to_match_regex", "uses"),
    ("line", 0, "column_values_to_be_between", "line"),
    ("end_line", 1, "column_pair_values_a_to_be_greater_than_b", "end_line, line"),
]  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> ContractResult:
    """All defects at once, each in a row of its own: the contract is evaluated once for all of them."""
    rows = functions(200)
    for number, (column, value, _, _) in enumerate(DEFECTS):
        rows[number + 20][column] = value
    return check(FUNCTIONS, jsonl(tmp_path_factory.mktemp("planted") / "train.jsonl", rows))


@pytest.mark.parametrize(
    ("number", "defect"), list(enumerate(DEFECTS)), ids=[f"{d[0]}-{d[2]}-{d[1]!r:.12}" for d in DEFECTS]
)
def test_a_planted_defect_is_named_with_its_line(
    planted: ContractResult, number: int, defect: tuple[str, Any, str, str]
) -> None:
    _, _, expectation, column = defect
    named = [f for f in planted.failed if (f.expectation, f.column) == (f"expect_{expectation}", column)]
    assert [number + 21 in failure.rows for failure in named] == [True]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda rows: rows[:99], (FLOOR.removeprefix("expect_"), None)),
        (
            lambda rows: [{k: v for k, v in row.items() if k != "uses"} for row in rows],
            ("table_columns_to_match_set", None),
        ),
        (
            lambda rows: [{**row, "source": rows[0]["source"], "masked": rows[0]["masked"]} for row in rows],
            ("column_proportion_of_unique_values_to_be_between", "source"),
        ),
        (
            lambda rows: [{**row, "masked": rows[i % 100]["masked"]} for i, row in enumerate(rows)],
            ("column_proportion_of_unique_values_to_be_between", "masked"),
        ),
        (
            lambda rows: [{**row, "line": str(row["line"])} for row in rows],
            ("column_values_to_be_of_type", "line"),
        ),
        (
            lambda rows: [{**row, "end_line": row["end_line"] + 0.5} for row in rows],
            ("column_values_to_be_of_type", "end_line"),
        ),
    ],
    ids=["too-few", "column-gone", "constant-input", "repeated-input", "texts", "fractions"],
)
def test_a_defect_of_the_whole_table(
    tmp_path: Path, spoil: Callable[[list[Row]], list[Row]], expected: tuple[str, str | None]
) -> None:
    result = check(FUNCTIONS, jsonl(tmp_path / "train.jsonl", spoil(functions())))
    assert not result.success
    assert expected in failures(result)


def test_every_expectation_of_the_contract_has_been_seen_to_fail() -> None:
    """Law: an expectation that no planted defect breaks might as well not be there."""
    broken = {(f"expect_{kind}", column) for _, _, kind, column in DEFECTS}
    broken |= {("expect_column_values_to_be_of_type", name) for name in ("line", "end_line")}
    broken |= {(FLOOR, None), ("expect_table_columns_to_match_set", None)}
    broken |= {("expect_column_proportion_of_unique_values_to_be_between", name) for name in ("source", "masked")}
    stated = set()
    for expectation in json.loads(FUNCTIONS.read_text())["expectations"]:
        kwargs = expectation["kwargs"]
        pair = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
        stated.add((expectation["type"], ", ".join(pair) or None))
    assert stated <= broken, stated - broken


def test_the_corpus_writes_what_the_contract_asks(tmp_path: Path) -> None:
    """The real writer, on three installed distributions, split and deduplicated."""
    from corpus import distributions, functions, records, splits

    names = ["filelock", "packaging", "requests"]
    found = [f for each in distributions.find(names) for f in functions.functions(each)]
    sides = splits.split(found, train=names[:1], dev=names[1:2], test=names[2:])
    records.write(tmp_path / "train.jsonl", sides["train"])
    result = check(FUNCTIONS, tmp_path / "train.jsonl")
    assert result.success, result.describe()
    assert result.rows == len(sides["train"]) >= 100
    table = pandas.DataFrame([asdict(each) for each in sides["dev"]])
    assert check(FUNCTIONS, table).success


SIDES = [("train", "a", 9), ("train", "b", 2), ("dev", "c", 1), ("test", "d", 4)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (SIDES, set()),
        ([*SIDES, ("test", "a", 3)], {("column_values_to_be_unique", "distribution")}),
        (SIDES[:3], {("column_distinct_values_to_equal_set", "split")}),
        ([*SIDES, ("holdout", "e", 3)], {("column_distinct_values_to_equal_set", "split")}),
        ([*SIDES, ("test", "e", 0)], {("column_values_to_be_between", "functions")}),
        ([*SIDES, ("test", "", 1)], {("column_values_to_match_regex", "distribution")}),
        ([*SIDES, ("test", None, 1)], {("column_values_to_not_be_null", "distribution")}),
        ([*SIDES, ("test", "e", None)], {("column_values_to_not_be_null", "functions")}),
        ([*SIDES, (None, "e", 1)], {("column_values_to_not_be_null", "split")}),
        (
            SIDES[:2],
            {(FLOOR.removeprefix("expect_"), None), ("column_distinct_values_to_equal_set", "split")},
        ),
    ],
)
def test_contract_of_splits(rows: list[tuple[Any, ...]], expected: set[tuple[str, str | None]]) -> None:
    frame = pandas.DataFrame(rows, columns=["split", "distribution", "functions"])
    assert failures(check(SPLITS, frame)) == expected


def test_contract_of_splits_wants_its_columns_and_no_other() -> None:
    frame = pandas.DataFrame(SIDES, columns=["split", "distribution", "count"])
    assert ("table_columns_to_match_set", None) in failures(check(SPLITS, frame))


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_contract_of_the_project_refuses_an_empty_frame(path: Path) -> None:
    assert not check(path, pandas.DataFrame()).success


# -- what was not looked at is never a success

NOTHING = {"n": [1, 2, 3], "t": ["x", "y", "z"], "none": [None] * 3, "list": [["a"], [], ["b", "c"]]}


@pytest.mark.parametrize(
    ("expectation", "reason"),
    [
        (expect("column_values_to_match_regex", column="none", regex="^x$"), "all are missing"),
        (expect("column_values_to_be_between", column="none", min_value=1), "all are missing"),
        (expect("column_values_to_be_unique", column="none"), "all are missing"),
        (expect("column_distinct_values_to_be_in_set", column="none", value_set=[1]), "nothing was observed"),
        (
            expect(
                "column_values_to_be_between",
                column="n",
                min_value=1,
                row_condition='t == "q"',
                condition_parser="pandas",
            ),
            "the row condition selects none",
        ),
        (
            expect(
                "column_distinct_values_to_be_in_set",
                column="n",
                value_set=[1, 2, 3],
                row_condition='t == "q"',
                condition_parser="pandas",
            ),
            "nothing was observed",
        ),
        (expect("column_most_common_value_to_be_in_set", column="none", value_set=[1]), "nothing was observed"),
        (expect("column_to_exist", column="m"), 'column "m" is missing'),
        (expect("column_values_to_be_between", column="m", min_value=1), 'column "m" is missing'),
        (expect("column_mean_to_be_between", column="m", min_value=1), 'column "m" is missing'),
        (
            expect("column_pair_values_a_to_be_greater_than_b", column_A="n", column_B="tt"),
            'column "tt" is missing; did you mean "t"?',
        ),
        (expect("compound_columns_to_be_unique", column_list=["n", "q"]), 'column "q" is missing'),
        (expect("column_values_to_match_regex", column="t", regex="("), "missing )"),
        (expect("column_mean_to_be_between", column="t", min_value=1), ""),
        (expect("column_values_to_be_between", column="t", min_value=1), ""),
        (expect("column_value_lengths_to_be_between", column="list", min_value=0), "say minItems"),
        (expect("column_values_to_be_in_set", column="t", value_set={"$PARAMETER": "unknown"}), "unknown"),
        (expect("query_results_to_match_comparison", base_query="SELECT 1", comparison_query="SELECT 1",
                comparison_data_source_name="x"), ""),
    ],
)  # fmt: skip
def test_an_expectation_that_saw_nothing_fails(tmp_path: Path, expectation: dict[str, Any], reason: str) -> None:
    """Law: great-expectations calls most of these a success; here none is, and the good one beside it counts."""
    good = expect("column_values_to_be_between", column="n", min_value=1)
    result = check(contract(tmp_path, expectation, good), pandas.DataFrame(NOTHING))
    assert not result.success
    assert (result.rows, result.evaluated) == (3, 2)
    (failure,) = result.failed
    assert failure.expectation == expectation["type"]
    assert (failure.count, failure.rows) == (1, ())
    assert reason in failure.examples[0]


@pytest.mark.parametrize("frame", [pandas.DataFrame(), pandas.DataFrame({"n": []})])
def test_an_empty_frame_fails(tmp_path: Path, frame: pandas.DataFrame) -> None:
    path = contract(tmp_path, expect("column_values_to_be_unique", column="n"))
    result = check(path, frame)
    assert (result.success, result.rows, result.evaluated) == (False, 0, 0)
    assert failures(result) == {(FLOOR.removeprefix("expect_"), None)}


def test_the_floor_is_a_floor(tmp_path: Path) -> None:
    path = contract(tmp_path, floor=3)
    assert check(path, pandas.DataFrame({"n": [1, 2, 3]})).success
    assert not check(path, pandas.DataFrame({"n": [1, 2]})).success


# -- contracts that are refused


def suite(*expectations: Any, **keys: Any) -> str:
    return json.dumps({"name": "small", "expectations": list(expectations), **keys}, indent=1)


ROWS = expect("table_row_count_to_be_between", min_value=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (suite(), "the suite holds no expectation"),
        ("{}", 'not a suite: an object with "name"'),
        ("[]", 'not a suite: an object with "name"'),
        ('{"name": "x",\n "expectations": [', ":2: not valid JSON"),
        ('{"name": "x", "name": "y"}', 'key "name" stands twice'),
        (suite(expect("column_values_to_be_unique", column="n")), "no row floor; add"),
        (suite(expect("table_row_count_to_be_between", min_value=0)), "no row floor"),
        (suite(expect("table_row_count_to_be_between", max_value=9)), "no row floor"),
        (suite(expect("table_row_count_to_be_between", min_value=True)), "no row floor"),
        (suite(expect("table_row_count_to_be_between", min_value={"$PARAMETER": "x"})), "no row floor"),
        (suite(expect("table_row_count_to_be_between", min_value=5, row_condition="n==1")), "no row floor"),
        (suite(ROWS, expectation=1), 'unknown key "expectation"; did you mean "expectations"'),
        (suite(ROWS, {"expectation_type": "x"}), 'rename "expectation_type" to "type"'),
        (suite(ROWS, {"type": "expect_x", "kwarg": {}}), 'unknown key "kwarg"; did you mean "kwargs"'),
        (suite(ROWS, {"kwargs": {}}), '"type" must be a text'),
        (suite(ROWS, "expect"), 'not an object with "type"'),
        (
            suite(ROWS, expect("column_values_to_be_uniqe", column="n")),
            'expectation 2 "expect_column_values_to_be_uniqe": unknown; '
            'did you mean "expect_column_values_to_be_unique"',
        ),
        (
            suite(ROWS, expect("column_values_to_be_between", column="n", min_vlaue=1, max_value=2)),
            "min_vlaue; extra fields not permitted",
        ),
        (suite(ROWS, expect("column_values_to_be_between", column="n")), "min_value and max_value cannot both"),
        (suite(ROWS, expect("column_values_to_be_unique", column="n", mostly=0)), ":11: expectation 2: mostly = 0"),
        (suite(ROWS, expect("column_values_to_be_unique", column="n", mostly=True)), "mostly = True"),
        (suite(ROWS, expect("column_values_to_be_unique", column="n", result_format="BASIC")), "result_format"),
    ],
)  # fmt: skip
def test_a_contract_that_could_not_fail_or_is_not_understood_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "contract.json"
    path.write_text(text)
    with pytest.raises(ContractError) as caught:
        check(path, pandas.DataFrame({"n": [1]}))
    assert words in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_contract_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r'function\.json: no such contract; did you mean "functions"'):
        check(CONTRACTS / "function.json", pandas.DataFrame({"n": [1]}))


# -- files

GOOD = [{"id": "a", "n": 1, "x": 0.5}, {"id": "b\nc", "n": 2, "x": 1.5}, {"id": "a", "n": 30, "x": None}]
CSV = 'id,n,x\na,1,0.5\n"b\nc",2,1.5\na,30,\n'


def parquet(path: Path) -> bytes:
    pandas.DataFrame(GOOD).to_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(
    ("suffix", "content", "places"),
    [
        (".jsonl", "\n".join(json.dumps(row) for row in GOOD), (1, 3)),
        (".jsonl", "\ufeff" + "".join(json.dumps(row) + "\n" for row in GOOD), (1, 3)),
        (".json", json.dumps(GOOD, indent=2), (1, 3)),
        (".csv", CSV, (2, 5)),
        (".csv", "\ufeff" + CSV.replace("\n", "\r\n"), (2, 5)),
        (".tsv", CSV.replace(",", "\t"), (2, 5)),
        (".parquet", None, (1, 3)),
    ],
)
def test_every_kind_of_file_gives_the_same_answer(
    tmp_path: Path, suffix: str, content: str | None, places: tuple[int, int], packed: bool
) -> None:
    raw = parquet(tmp_path / "x.parquet") if content is None else content.encode()
    path = tmp_path / (f"data{suffix}.gz" if packed else f"data{suffix}")
    path.write_bytes(gzip.compress(raw) if packed else raw)
    result = check(
        contract(
            tmp_path,
            expect("column_values_to_be_unique", column="id"),
            expect("column_values_to_be_between", column="n", max_value=9),
            expect("column_values_to_be_of_type", column="n", type_="int64"),
            expect("column_values_to_not_be_null", column="x"),
            expect("column_mean_to_be_between", column="x", min_value=1, max_value=1),
        ),
        path,
    )
    assert result.evaluated == 6
    assert [(f.column, f.examples, f.count, f.rows) for f in result.failed] == [
        ("id", ("a",), 2, places),
        ("n", (30,), 1, places[1:]),
        ("x", (None,), 1, places[1:]),
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.jsonl", b'{"a": 1}\n{"a": 2', "x.jsonl:2: not valid JSON"),
        ("x.jsonl", b'{"a": 1}\n{"a": "tex', "the last line is cut, the file is truncated"),
        ("x.jsonl", b'{"a": 1}\n{"a":}\n{"a": 3}\n', "x.jsonl:2: not valid JSON"),
        ("x.jsonl", b'{"a": 1}\n\n{"a": 3}\n', "x.jsonl:2: empty line"),
        ("x.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n', "x.jsonl:2: byte 16 is not UTF-8"),
        ("x.jsonl", '{"a": 1}\n'.encode("utf-16"), "x.jsonl:1: byte 0 is not UTF-8"),
        ("x.jsonl", b'{"a": 1}\n{"a": 1, "a": 2}\n', 'x.jsonl:2: key "a" stands twice'),
        ("x.jsonl", b'{"a": {"b": 1, "b": 2}}\n', 'x.jsonl:1: key "b" stands twice'),
        ("x.jsonl", b'{"a": 1}\n{"b": 1}\n', 'x.jsonl:2: key "a" is missing; key "b" is not in the first row'),
        ("x.jsonl", b'{"a": 1}\n[1]\n', "x.jsonl:2: a list where an object is needed"),
        ("x.jsonl", b"{}\n", "x.jsonl:1: an object without keys"),
        ("x.jsonl", b"[" * 100_000 + b"\n", "x.jsonl:1: JSON nested too deeply"),
        ("x.json", b'{"a": [1]}', "x.json: a dict where a list of objects is needed"),
        ("x.json", b'[{"a": 1},\n {"b": 1}]', 'x.json: record 2: key "a" is missing'),
        ("x.json", b'[{"a": 1},\n {"a": ', "x.json:2: not valid JSON"),
        ("x.csv", b"a,b\n1,2\n3\n", "x.csv:3: 1 cells where the head has 2"),
        ("x.csv", b"a,b\n1,2,3\n", "x.csv:2: 3 cells where the head has 2"),
        ("x.csv", b"a,b,a\n1,2,3\n", 'x.csv:1: column "a" stands twice'),
        ("x.csv", b'a\n1\n"2\n', "x.csv:3: not valid CSV"),
        ("x.csv", b"a\n1\n\xff\n", "x.csv:3: byte 4 is not UTF-8"),
        ("x.parquet", b"PAR1 but not", "x.parquet: not a readable parquet file"),
        ("x.jsonl.gz", b"no gzip", "x.jsonl.gz: not a whole gzip file"),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-12], "x.jsonl.gz: not a whole gzip file"),
        ("x.xlsx", b"", 'x.xlsx: unknown kind of file ".xlsx"; readable are .jsonl'),
    ],
)
def test_a_damaged_file_is_an_error_with_its_place(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ContractError) as caught:
        check(contract(tmp_path), path)
    assert words in str(caught.value)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_jsonl_file_cut_anywhere_is_never_a_shorter_data_set(tmp_path: Path, cut: int) -> None:
    """Law: cut inside a line, the file is refused (cut at a line's end, nothing can tell)."""
    text = "".join(json.dumps(row) + "\n" for row in GOOD)
    path = tmp_path / "x.jsonl"
    path.write_text(text[:-cut])
    if text[-cut - 1] in "}\n" and text[-cut] == "\n":
        assert check(contract(tmp_path), path).success
    else:
        with pytest.raises(ContractError, match="truncated"):
            check(contract(tmp_path), path)


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv", "x.json"])
def test_a_file_without_rows_fails(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("[]" if name == "x.json" else "")
    assert (check(contract(tmp_path), path).success, check(contract(tmp_path), path).rows) == (False, 0)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"x\.jsonl: no such file"):
        check(contract(tmp_path), tmp_path / "x.jsonl")


def test_a_frame_with_a_column_twice(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match='column "a" stands twice'):
        check(contract(tmp_path), pandas.DataFrame([[1, 2]], columns=["a", "a"]))


def test_texts_that_look_like_numbers_stay_texts(tmp_path: Path) -> None:
    """An identifier with leading zeros must not lose them on the way through CSV."""
    path = tmp_path / "x.csv"
    path.write_text("id\n007\n008\n")
    regex = expect("column_values_to_match_regex", column="id", regex="^00[78]$")
    assert check(contract(tmp_path, regex), path).success


# -- nested cells


def test_lists_are_compared_by_content_and_matched_against_a_schema(tmp_path: Path) -> None:
    rows = [["a"], [], ["b", "c"], ["a"], "a", [1], {"k": 1, "j": 2}, {"j": 2, "k": 1}]
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    path = jsonl(tmp_path / "x.jsonl", [{"uses": row} for row in rows if row != "a"])
    result = check(
        contract(
            tmp_path,
            expect("column_values_to_be_unique", column="uses"),
            expect("column_values_to_match_json_schema", column="uses", json_schema=schema),
        ),
        path,
    )
    assert [f.rows for f in result.failed] == [(1, 4, 6, 7), (2, 5, 6, 7)]
    assert result.failed[1].examples == ("[]", "[1]", '{"j":2,"k":1}')


# -- the answer


def test_json_is_the_contract_of_the_command_surface(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"n": [1, 20, 30, 20], "t": ["x" * 900, "y", "z", "z"]})
    result = check(
        contract(
            tmp_path,
            expect("column_values_to_be_between", column="n", max_value=9),
            expect("column_max_to_be_between", column="n", max_value=9),
            expect("column_values_to_match_regex", column="t", regex="^.$"),
            expect("column_values_to_be_between", column="n", max_value=25, mostly=0.75),
        ),
        frame,
    )
    answer = result.as_json()
    assert json.loads(json.dumps(answer)) == {
        "success": False,
        "rows": 4,
        "evaluated": 5,
        "failed": [
            {"expectation": "expect_column_values_to_be_between", "column": "n", "examples": [20, 30], "count": 3},
            {"expectation": "expect_column_max_to_be_between", "column": "n", "examples": [30], "count": 1},
            {"expectation": "expect_column_values_to_match_regex", "column": "t",
             "examples": ["x" * 197 + "..."], "count": 1},
        ],
    }  # fmt: skip
    text = result.describe()
    assert text.splitlines()[0] == ("contract small does not hold: 4 rows, 5 expectations evaluated, 3 failed")
    assert "expect_column_values_to_be_between(n): 3 values, e.g. 20, 30 (rows 2, 3, 4)" in text


def test_what_holds_for_a_whole_column(tmp_path: Path) -> None:
    """Expectations that report neither rows nor an observed value still say what is wrong."""
    frame = pandas.DataFrame({"side": ["train", "train", "tests", "dev"]})
    sides = {"column": "side", "value_set": ["train", "dev", "test"]}
    names = ["to_equal_set", "to_contain_set", "to_be_in_set"]
    path = contract(
        tmp_path,
        expect("column_to_exist", column="side"),
        *(expect(f"column_distinct_values_{name}", **sides) for name in names),
        expect("column_distinct_values_to_equal_set", column="side", value_set=["train", "dev", "tests"]),
    )
    result = check(path, frame)
    assert result.evaluated == 6
    assert [(f.examples, f.count) for f in result.failed] == [
        (("tests", {"missing": ["test"]}), 2),
        (({"missing": ["test"]},), 1),
        (("tests",), 1),
    ]


numbers = st.lists(st.none() | st.integers(-5, 15), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=numbers)
def test_failures_are_those_of_a_plain_loop(tmp_path: Path, cells: list[int | None]) -> None:
    """Law: which rows break an expectation is what anybody would count by hand."""
    rows = jsonl(tmp_path / "x.jsonl", [{"n": cell, "i": i} for i, cell in enumerate(cells)])
    result = check(
        contract(
            tmp_path,
            expect("column_values_to_be_between", column="n", min_value=0, max_value=10),
            expect("column_values_to_not_be_null", column="n"),
            expect("column_values_to_be_unique", column="n"),
        ),
        rows,
    )
    filled = [cell for cell in cells if cell is not None]
    wrong = [
        [i for i, cell in enumerate(cells, 1) if cell is not None and not 0 <= cell <= 10],
        [i for i, cell in enumerate(cells, 1) if cell is None],
        [i for i, cell in enumerate(cells, 1) if cell is not None and filled.count(cell) > 1],
    ]
    if not filled:
        assert len(result.failed) == 3
        return
    assert [list(f.rows) for f in result.failed] == [rows[:20] for rows in wrong if rows]
    assert [f.count for f in result.failed] == [len(rows) for rows in wrong if rows]
    assert result.success == (not any(wrong))


def test_nothing_heavy_is_imported_before_a_contract_is_checked() -> None:
    code = (
        "import sys, assay, assay.contracts; "
        "print([m for m in ('great_expectations', 'pandas', 'pyarrow', 'torch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
