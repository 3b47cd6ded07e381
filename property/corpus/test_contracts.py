"""Law of the data contracts: honest data hold, and every single expectation has been seen to fail by a planted defect.

Defects of rows are planted all at once, each in a row of its own, so that great-expectations runs once for all of
them; a defect of the whole table needs a table of its own.
"""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import pytest
from typer.testing import CliRunner

from assay.cli import app
from assay.contracts import ContractResult, check
from assay.errors import ContractError
from corpus import ontology
from corpus.__main__ import main

CONTRACTS = Path(__file__).parents[2] / "spec" / "contracts"
Row = dict[str, Any]
PLACE = {"distribution": "p", "file": "p/m.py", "licence": "MIT", "span": [1, 0, 2, 5], "version": "1"}


def place(**changes: Any) -> Row:
    return {**PLACE, **changes}


def triple(n: int) -> Row:
    row = {"head": f"p.m.f{n}", "relation": "calls", "tail": f"p.m.g{n}", "head_type": "Function", "tail_type": "API"}
    return {**row, "provenance": place(span=[n + 1, 0, n + 1, 9])}


def entity(n: int) -> Row:
    return {"name": f"p.m.f{n}", "type": "Function", "language": "python", "definition": place() if n % 2 else None}


def problem(n: int) -> Row:
    return {
        "task_id": f"MBPP/{n}",
        "prompt": f"def f{n}(x):",
        "entry_point": f"f{n}",
        "canonical_solution": "return x",
        "test": f"assert f{n}(1) == 1",
        "language": "python",
    }


def dialogue(n: int) -> Row:
    return {
        "user 1 personas": f"I like {n}.\nI swim.",
        "user 2 personas": "I cook.\nI have a dog.",
        "Best Generated Conversation": f"User 1: Hi {n}!\nUser 2: Hello!\nUser 1: Bye.",
    }


def pair(n: int) -> Row:
    return {
        "record_id": f"{n:016x}",
        "group": "p",
        "cluster": "p.m",
        "query": f"Return the number {n}.",
        "passage": f"def number{n}():\n    return {n}",
    }


def side(n: int) -> Row:
    return {"side": ("train", "dev", "test")[n % 3], "digest": f"{n:016x}"}


RELATIONS = list(ontology.load().relations)[:18]
TYPES = list(ontology.load().entities)[:14]
COUNTS: list[Row] = [
    {"dimension": dimension, "name": name, "count": count}
    for dimension, names, count in (
        ("total", ["triples"], 29_174),
        ("language", ["python", "java"], 1_000),
        ("language", ["metadata"], 7),
        ("relation", RELATIONS, 50),
        ("type", TYPES, 1),
    )
    for name in names
]

Spoil = Callable[[list[Row]], list[Row]]


def without(column: str) -> Spoil:
    return lambda rows: [{key: value for key, value in row.items() if key != column} for row in rows]


def changed(**values: Any) -> Spoil:
    """Every row with these values; a callable is given the row's number."""
    return lambda rows: [
        {**row, **{key: value(n) if callable(value) else value for key, value in values.items()}}
        for n, row in enumerate(rows)
    ]


def contest(number: int) -> Row:
    """A problem as the hub publishes CodeContests: lists under one key each."""
    tests = {"input": [f"{number}\n"], "output": [f"{number + 1}\n"]}
    return {
        "name": f"{number}_A. Successor",
        "public_tests": tests,
        "private_tests": tests,
        "generated_tests": {"input": [], "output": []},
        "solutions": {"language": [3], "solution": [f"print(int(input()) + 1)  # {number}"]},
        "incorrect_solutions": {"language": [], "solution": []},
    }


def everywhere(**values: Any) -> Spoil:
    return lambda rows: [{**row, **values} for row in rows]


def first(count: int) -> Spoil:
    return lambda rows: rows[:count]


def where(dimension: str, name: str | None = None, /, **values: Any) -> Spoil:
    """Counts with rows of one dimension changed, or gone where nothing is given."""

    def spoil(rows: list[Row]) -> list[Row]:
        hit = [row["dimension"] == dimension and name in (None, row["name"]) for row in rows]
        return [{**row, **values} if here else row for row, here in zip(rows, hit, strict=True) if values or not here]

    return spoil


@dataclass(frozen=True)
class Case:
    """A contract, honest rows, defects of one row (column, value) with the expectation that names it, of all rows."""

    rows: list[Row]
    defects: list[tuple[str, Any, str]] = field(default_factory=list)
    spoilt: list[tuple[Spoil, str, str | None]] = field(default_factory=list)


NULL, REGEX, SET, UNIQUE = (
    "column_values_to_not_be_null",
    "column_values_to_match_regex",
    "column_values_to_be_in_set",
    "column_values_to_be_unique",
)
ROWS, COLUMNS = "table_row_count_to_be_between", "table_columns_to_match_set"
PROPORTION = "column_proportion_of_unique_values_to_be_between"

CASES: dict[str, Case] = {
    "contests": Case(
        [contest(n) for n in range(120)],
        [
            *((name, None, NULL) for name in contest(0)),
            ("name", " ", REGEX),
        ],
        [
            (first(99), ROWS, None),
            (without("solutions"), COLUMNS, None),
            (everywhere(name="1_A. Successor"), PROPORTION, "name"),
            (everywhere(solutions=contest(1)["solutions"]), PROPORTION, "solutions"),
            (everywhere(solutions={"language": [], "solution": []}), REGEX, "solutions"),
            (everywhere(public_tests={"input": [], "output": []}), REGEX, "public_tests"),
        ],
    ),
    "triples": Case(
        [triple(n) for n in range(160)],
        [
            *((name, None, NULL) for name in ("head", "relation", "tail", "head_type", "tail_type", "provenance")),
            *(("head", "", REGEX), ("tail", " p.m.g", REGEX)),
            *(("relation", "call", SET), ("head_type", "function", SET), ("tail_type", "Thing", SET)),
            *(("head", "p.m.nobody", SET), ("tail", "p.m.nowhere", SET)),
            ("provenance", {k: v for k, v in PLACE.items() if k != "span"}, REGEX),
            ("provenance", place(span=[0, 0, 1, 1]), REGEX),
            ("provenance", place(file="/home/me/m.py"), REGEX),
            ("provenance", place(distribution=""), REGEX),
            ("provenance", place(licence="unknown"), REGEX),
            ("provenance", place(licence="All rights reserved"), REGEX),
            ("provenance", place(licence="GPL-3.0 OR MIT"), "column_values_to_not_match_regex"),
        ],
        [
            (first(99), ROWS, None),
            (without("tail_type"), COLUMNS, None),
            (lambda rows: [*rows, copy.deepcopy(rows[3])], "compound_columns_to_be_unique", "head, relation, tail"),
        ],
    ),
    "entities": Case(
        [entity(n) for n in range(60)],
        [
            *((name, None, NULL) for name in ("name", "type", "language")),
            *(("name", "\n", REGEX), ("name", "p.m.f0", UNIQUE), ("type", "Thing", SET), ("language", "c", SET)),
            ("definition", place(file="C:\\m.py", span=[]), REGEX),
        ],
        [(first(19), ROWS, None), (without("definition"), COLUMNS, None)],
    ),
    "counts": Case(
        COUNTS,
        [],
        [
            (first(19), ROWS, None),
            (without("count"), COLUMNS, None),
            (where("total", dimension=None), NULL, "dimension"),
            (where("total"), "column_distinct_values_to_equal_set", "dimension"),
            (where("type", "Class", name=None), NULL, "name"),
            (where("type", "Class", name=""), REGEX, "name"),
            (lambda rows: [*rows, rows[-1]], "compound_columns_to_be_unique", "dimension, name"),
            (where("type", "Class", count=None), NULL, "count"),
            (where("language", "metadata", count=0), "column_values_to_be_between", "count"),
            (where("total", count=29_173), "column_values_to_be_between", "count"),
            (where("language", "java"), "column_distinct_values_to_contain_set", "name"),
            (where("language", "java", count=999), "column_values_to_be_between", "count"),
            (where("relation", "uses", name="use"), "column_distinct_values_to_be_in_set", "name"),
            (where("relation", "uses"), "column_unique_value_count_to_be_between", "name"),
            (where("relation", "uses", count=49), "column_values_to_be_between", "count"),
            (where("type", "Class", name="class"), "column_distinct_values_to_be_in_set", "name"),
            (where("type", "Class"), "column_unique_value_count_to_be_between", "name"),
        ],
    ),
    "sides": Case(
        [side(n) for n in range(12)],
        [("digest", None, NULL), ("digest", "NOT-HEX!", REGEX), ("digest", f"{0:016x}", UNIQUE), ("side", None, NULL)],
        [
            (first(2), ROWS, None),
            (without("side"), COLUMNS, None),
            (changed(side="train"), "column_distinct_values_to_equal_set", "side"),
        ],
    ),
    "problems": Case(
        [problem(n) for n in range(160)],
        [
            *((name, None, NULL) for name in ("task_id", "prompt", "entry_point", "test")),
            *(("task_id", "7", REGEX), ("task_id", "MBPP/0", UNIQUE), ("prompt", " ", REGEX)),
            *(("entry_point", "f(x)", REGEX), ("canonical_solution", "", REGEX), ("test", "pass", REGEX)),
        ],
        [
            (first(99), ROWS, None),
            (without("test"), COLUMNS, None),
            (changed(prompt="def f(x):"), PROPORTION, "prompt"),
            (changed(test="assert True"), PROPORTION, "test"),
            (changed(canonical_solution=lambda n: None if n % 5 == 0 else "return x"), NULL, "canonical_solution"),
        ],
    ),
    "dialogues": Case(
        [dialogue(n) for n in range(160)],
        [
            *((name, None, NULL) for name in dialogue(0)),
            *((f"user {n} personas", " ", REGEX) for n in (1, 2)),
            *((f"user {n} personas", "I have one sentence.", REGEX) for n in (1, 2)),
            ("user 1 personas", "user 1 personas", "column_values_to_not_match_regex"),
            ("Best Generated Conversation", dialogue(0)["Best Generated Conversation"], UNIQUE),
        ],
        [
            (first(99), ROWS, None),
            (without("user 2 personas"), COLUMNS, None),
            (
                lambda rows: changed(**{"Best Generated Conversation": lambda n: f"User 1: Hi {n}!"})(rows),
                REGEX,
                "Best Generated Conversation",
            ),
        ],
    ),
    "pairs": Case(
        [pair(n) for n in range(160)],
        [
            *((name, None, NULL) for name in ("record_id", "group", "query", "passage")),
            *((name, " ", REGEX) for name in ("record_id", "group", "query", "passage")),
            *(("record_id", f"{0:016x}", UNIQUE), ("passage", "x", "column_value_lengths_to_be_between")),
        ],
        [
            (first(99), ROWS, None),
            (without("query"), COLUMNS, None),
            (changed(query="Return a number."), PROPORTION, "query"),
            (changed(passage="def number(): return 1"), PROPORTION, "passage"),
            (lambda rows: [*rows, {**rows[0], "record_id": "x"}], "compound_columns_to_be_unique", "query, passage"),
        ],
    ),
}


def held(name: str, rows: list[Row]) -> ContractResult:
    """The contract against rows; the entities of honest triples lie beside them."""
    beside = {}
    if name == "triples":
        names = [f"p.m.{letter}{n}" for n in range(160) for letter in "fg"]
        beside = {"entities": pandas.DataFrame({"name": names})}
    frame = pandas.DataFrame(rows)
    return check(CONTRACTS / f"{name}.json", frame.astype(object).where(frame.notna(), None), beside)


def failures(result: ContractResult) -> set[tuple[str, str | None]]:
    return {(one.expectation.removeprefix("expect_"), one.column) for one in result.failed}


def stated(name: str) -> list[tuple[str, str | None]]:
    found = []
    for each in json.loads((CONTRACTS / f"{name}.json").read_text())["expectations"]:
        kwargs = each["kwargs"]
        columns = [kwargs["column"]] if "column" in kwargs else kwargs.get("column_list", [])
        found.append((each["type"].removeprefix("expect_"), ", ".join(columns) or None))
    return found


@pytest.mark.parametrize("name", CASES)
def test_honest_rows_hold(name: str) -> None:
    result = held(name, CASES[name].rows)
    assert result.success, result.describe()
    assert result.evaluated == len(stated(name)) == len(result.held)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.defects])
def test_a_planted_row_is_named(name: str) -> None:
    case = CASES[name]
    rows = copy.deepcopy(case.rows)
    for number, (column, value, _) in enumerate(case.defects, start=1):
        rows[number][column] = value
    result = held(name, rows)
    for number, (column, value, expectation) in enumerate(case.defects, start=1):
        named = [one for one in result.failed if (one.expectation, one.column) == (f"expect_{expectation}", column)]
        assert any(number + 1 in one.rows for one in named), (column, value, expectation)


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, case in CASES.items() for number in range(len(case.spoilt))]
)
def test_a_defect_of_the_whole_table_is_named(name: str, number: int) -> None:
    spoil, expectation, column = CASES[name].spoilt[number]
    result = held(name, spoil(copy.deepcopy(CASES[name].rows)))
    assert not result.success
    assert (expectation, column) in failures(result)


@pytest.mark.parametrize("name", CASES)
def test_every_expectation_has_been_seen_to_fail(name: str) -> None:
    """Law: an expectation that no planted defect breaks might as well not be there; counted, not only named."""
    case = CASES[name]
    broken = [(expectation, column) for column, _, expectation in case.defects]
    broken += [(expectation, column) for _, expectation, column in case.spoilt]
    for one in set(stated(name)):
        assert broken.count(one) >= stated(name).count(one), one


def test_every_contract_is_tested_here_or_with_its_records() -> None:
    assert {path.stem for path in CONTRACTS.glob("*.json")} - CASES.keys() == {
        "functions",
        "splits",
        "programs",
        "retrieval_pairs",
        "conversations",
        "personas",
        "twins",
    }


# -- tables beside the data, and the page


def written(folder: Path, entities: int = 160) -> Path:
    data = folder / "kg.jsonl"
    data.write_text("".join(json.dumps(triple(n)) + "\n" for n in range(160)))
    names = [f"p.m.{letter}{n}" for n in range(entities) for letter in "fg"]
    (folder / "kg.entities.jsonl").write_text("".join(json.dumps({"name": name}) + "\n" for name in names))
    return data


def test_the_table_beside_a_file_is_found_by_its_name(tmp_path: Path) -> None:
    assert check(CONTRACTS / "triples.json", written(tmp_path)).success
    result = check(CONTRACTS / "triples.json", written(tmp_path, entities=159))
    assert failures(result) == {(SET, "head"), (SET, "tail")}
    assert [one.rows for one in result.failed] == [(160,), (160,)]
    (tmp_path / "kg.entities.jsonl").unlink()
    with pytest.raises(ContractError, match=r'refers to the table "entities"; put kg.entities.jsonl beside it'):
        check(CONTRACTS / "triples.json", tmp_path / "kg.jsonl")
    with pytest.raises(ContractError, match=r'pass it as beside\["entities"\]'):
        check(CONTRACTS / "triples.json", pandas.DataFrame([triple(1)]))
    with pytest.raises(ContractError, match='the table "entities" has no column "name"'):
        check(CONTRACTS / "triples.json", pandas.DataFrame([triple(1)]), {"entities": pandas.DataFrame({"n": [1]})})


def test_an_empty_table_beside_the_data_holds_nothing(tmp_path: Path) -> None:
    empty = {"entities": pandas.DataFrame({"name": []})}
    rows = pandas.DataFrame([triple(n) for n in range(160)])
    assert not check(CONTRACTS / "triples.json", rows, empty).success


def test_the_command_prints_what_fails_and_writes_a_page(tmp_path: Path) -> None:
    data = written(tmp_path)
    text = data.read_text().replace('"tail": "p.m.g5"', '"tail": "<script>alert(1)</script>"')
    data.write_text(text)
    page = tmp_path / "page.html"
    arguments = ["contract", "check", str(data), "--contract", str(CONTRACTS / "triples.json"), "-o", str(page)]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 1
    assert "expect_column_values_to_be_in_set(tail): 1 values" in run.output
    assert "(line 6)" in run.output
    assert f"report: {page}" in run.output
    html = page.read_text()
    assert "does not hold" in html
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert "http:" not in html
    assert "https:" not in html
    assert html.count("<li>") == len(stated("triples")) - 1
    answer = CliRunner().invoke(app, [*arguments, "--json"])
    assert (answer.exit_code, json.loads(answer.stdout)["success"]) == (1, False)
    data.write_text(text.replace("<script>alert(1)</script>", "p.m.g5"))
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert "What does not hold" not in page.read_text()


def test_a_graph_that_is_written_keeps_its_contracts_and_says_what_it_lacks(tmp_path: Path) -> None:
    """The real writer; a graph of one small Python project is honest, and no corpus of two languages."""
    project = tmp_path / "tool"
    project.mkdir()
    (project / "pyproject.toml").write_text('[project]\nname = "tool"\nversion = "1"\nlicense = "MIT"\n')
    body = "\n".join(f"def f{n}():\n    return g{n}()\ndef g{n}():\n    return len([])\n" for n in range(40))
    (project / "tool.py").write_text(body)
    assert main(["kg", str(project), "-o", str(tmp_path / "kg.jsonl"), "--processes", "1"]) == 0
    assert check(CONTRACTS / "triples.json", tmp_path / "kg.jsonl").success
    assert check(CONTRACTS / "entities.json", tmp_path / "kg.entities.jsonl").success
    result = check(CONTRACTS / "counts.json", tmp_path / "kg.counts.jsonl")
    named = {(one.expectation.removeprefix("expect_"), one.column, json.dumps(one.examples)) for one in result.failed}
    assert ("column_distinct_values_to_contain_set", "name", '[{"missing": ["java"]}]') in named
    assert any(kind == "column_values_to_be_between" for kind, _, _ in named)
