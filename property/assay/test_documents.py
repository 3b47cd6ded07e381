"""A number in a document has a source, a command exists; nothing else is accused."""

from __future__ import annotations

import pytest

from assay import documents

BOARD = {
    "systems": [
        {
            "requirements": [
                {
                    "id": "a",
                    "verdict": "PASS",
                    "value": 0.8571,
                    "n": 29174,
                    "interval": [0.81, 0.90],
                    "bound": {"at_least": 0.8},
                },
                {"id": "b", "verdict": "FAIL", "value": 0.5, "n": 40, "interval": None, "bound": None},
                {"id": "c", "verdict": "UNPROVEN", "value": None, "n": 0, "interval": None, "bound": None},
            ]
        }
    ]
}


@pytest.mark.parametrize(
    "text",
    [
        "Accuracy 0.857 on 29,174 items, at least 0.80.",
        "85.7 % right, 86% rounded",
        "3 requirements, 1 of 2 measured ones PASS",
        "```\nassay verify --hardware cpu  # 99.9\n```",
        "version 1.2.3 of 2.x",
        "",
    ],
)
def test_numbers_of_the_board_are_known(text: str):
    assert documents.stray(text, documents.known(BOARD)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Accuracy 0.93", "line 1: 0.93"),
        ("fine\n129 of 130", "line 2: 129"),
        ("99.2 % of tests pass", "line 1: 99.2 %"),
        ("on 31,000 items", "line 1: 31,000"),
        ("0.8572 exactly", "line 1: 0.8572"),
    ],
)
def test_numbers_that_nothing_has_are_named_with_their_line(text: str, found: str):
    assert found in documents.stray(text, documents.known(BOARD))


def test_more_numbers_can_be_vouched_for():
    assert documents.stray("31,000 rows", documents.known(BOARD, more=[31000])) == []


def test_commands_and_flags_are_looked_up():
    assert documents.unknown_commands("assay verify --hardware cpu\n$ assay spec check\n") == []
    assert documents.unknown_commands("assay train --fast") == ["assay train --fast: no train"]
    assert documents.unknown_commands("assay verify --fast") == ["assay verify --fast: no --fast"]


def test_both_doubts_come_by_name():
    found = {check.name: check.ok for check in documents.checks("0.93\nassay train\n", documents.known(BOARD))}
    assert found == {"documents": False, "commands": False}
