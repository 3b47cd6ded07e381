"""Contracts of the chatbot's data: what is prepared holds them, and every expectation is seen to fail by a defect."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas
import pytest

from assay.contracts import ContractResult, check
from persona import conversations, prepare

CONTRACTS = Path(__file__).parents[2] / "spec" / "contracts"
Row = dict[str, Any]
NULL, REGEX, UNIQUE = "column_values_to_not_be_null", "column_values_to_match_regex", "column_values_to_be_unique"
NOT_REGEX, IN_SET = "column_values_to_not_match_regex", "column_values_to_be_in_set"
PROPORTION, ROWS = "column_proportion_of_unique_values_to_be_between", "table_row_count_to_be_between"
COLUMNS, DISTINCT = "table_columns_to_match_set", "column_distinct_values_to_contain_set"


def told(number: int) -> conversations.Conversation:
    """A conversation of two people, each with a persona of their own."""
    return conversations.conversation(
        f"made-{number:03d}",
        f"I like number {number}.\nI swim every day.",
        f"I cook dish {number}.\nI have a dog.",
        f"User 1: Hi, I am the {number}th!\nUser 2: Hello, I cook {number} dishes.\nUser 1: I swim {number} miles.",
    )


def in_one_cluster_each(number: int) -> conversations.Conversation:
    found = told(number)
    personas = tuple(tuple(f"{line} ({number})" for line in side) for side in found.personas)
    return conversations.Conversation(found.record_id, personas, found.turns)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """Rows as they are prepared, read back from their files."""
    out = tmp_path_factory.mktemp("prepared")
    found = prepare.write_world(out, 0, {"train": 60, "twins": 40})
    sides = conversations.split([in_one_cluster_each(number) for number in range(40)])
    rows = {"personas": prepare.read(found["train"]), "twins": prepare.read(found["twins"])}
    return {**rows, "conversations": json.loads(json.dumps([asdict(row) for row in sides["train"]]))}


def held(name: str, rows: list[Row]) -> ContractResult:
    frame = pandas.DataFrame(rows)
    return check(CONTRACTS / f"{name}.json", frame.astype(object).where(frame.notna(), None))


def stated(name: str) -> set[tuple[str, str | None]]:
    suite = json.loads((CONTRACTS / f"{name}.json").read_text())
    return {(each["type"].removeprefix("expect_"), each["kwargs"].get("column")) for each in suite["expectations"]}


def failing(result: ContractResult) -> set[tuple[str, str | None]]:
    return {(one.expectation.removeprefix("expect_"), one.column) for one in result.failed}


PLANTED: dict[str, list[tuple[str, Any, str]]] = {
    "personas": [
        *((name, None, NULL) for name in ("record_id", "group", "persona", "facts", "dialogue", "response", "probe")),
        ("record_id", "two words", REGEX),
        ("record_id", "SAME", UNIQUE),
        ("record_id", "SAME", UNIQUE),
        ("group", " ", REGEX),
        ("split", "valid", IN_SET),
        ("slice", "odd", IN_SET),
        ("persona", ["i am alone."], REGEX),
        ("persona", ["i am {a} baker.", "i am [PERSONA] here.", "i swim."], NOT_REGEX),
        ("facts", [], REGEX),
        ("dialogue", ["hi!", "hello!"], REGEX),
        ("response", " ", REGEX),
        ("response", "i am {a} {v}.", NOT_REGEX),
        ("probe", {"kind": "guess"}, REGEX),
    ],
    "twins": [
        *((name, None, NULL) for name in ("record_id", "dialogue", "personas", "responses")),
        ("record_id", "SAME", UNIQUE),
        ("record_id", "SAME", UNIQUE),
        ("kind", "odd", IN_SET),
        ("dialogue", [" "], REGEX),
        ("personas", [["i swim."]], REGEX),
        ("responses", ["the same.", "the same."], REGEX),
    ],
    "conversations": [
        *((name, None, NULL) for name in ("record_id", "group", "persona", "dialogue", "response")),
        ("record_id", "SAME", UNIQUE),
        ("record_id", "SAME", UNIQUE),
        ("group", " ", REGEX),
        ("split", "valid", IN_SET),
        ("persona", ["I swim."], REGEX),
        ("persona", ["user 1 personas", "user 2 personas"], NOT_REGEX),
        ("dialogue", [" "], REGEX),
        ("dialogue", ["I am [user 1's name]."], NOT_REGEX),
        ("response", " ", REGEX),
        ("response", "Hello (name), I am here.", NOT_REGEX),
    ],
}
SPOILT: dict[str, list[tuple[str, str | None, Any]]] = {
    "personas": [
        (ROWS, None, lambda rows: rows[:19]),
        (COLUMNS, None, lambda rows: [{**row, "more": 1} for row in rows]),
        (PROPORTION, "response", lambda rows: [{**row, "response": "yes."} for row in rows * 2]),
        (PROPORTION, "dialogue", lambda rows: [{**row, "dialogue": ["hi!"]} for row in rows]),
    ],
    "twins": [
        (ROWS, None, lambda rows: rows[:9]),
        (COLUMNS, None, lambda rows: [{**row, "more": 1} for row in rows]),
        (DISTINCT, "kind", lambda rows: [{**row, "kind": "plain"} for row in rows]),
        (PROPORTION, "responses", lambda rows: [{**row, "responses": ["yes.", "no."]} for row in rows]),
    ],
    "conversations": [
        (ROWS, None, lambda rows: rows[:19]),
        (COLUMNS, None, lambda rows: [{**row, "more": 1} for row in rows]),
        (PROPORTION, "response", lambda rows: [{**row, "response": "Yes!"} for row in rows]),
    ],
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_prepared_holds(honest, name):
    result = held(name, honest[name])
    assert result.success, result.describe()


@pytest.mark.parametrize("name", PLANTED)
def test_every_expectation_can_fail(honest, name):
    rows = copy.deepcopy(honest[name])
    assert len(rows) > len(PLANTED[name])
    for place, (column, value, _) in enumerate(PLANTED[name]):
        rows[place][column] = value
    seen = failing(held(name, rows))
    planted = {(expectation, column) for column, _, expectation in PLANTED[name]}
    assert planted <= seen, planted - seen
    for expectation, column, spoil in SPOILT[name]:
        found = failing(held(name, spoil(copy.deepcopy(honest[name]))))
        assert (expectation, column) in found, (expectation, column, found)
        seen.add((expectation, column))
    assert stated(name) <= seen, stated(name) - seen
