"""A second asking must say the same: rounding passes, what is random does not, in whatever column it hides."""

from __future__ import annotations

import numpy as np
import pytest

from assay.subject import _same

RNG = np.random.default_rng(0)
TABLE = np.column_stack([RNG.normal(0, 500, 80), RNG.normal(0, 50, 80), np.full(80, 3.0), RNG.random(80)])
CHOSEN = [5, 70, 11, 42, 3, 60]


@pytest.mark.parametrize("form", [np.asarray, lambda table: table.tolist()], ids=["array", "lists"])
def test_a_random_column_does_not_hide_behind_a_wide_one(form):
    again = TABLE[CHOSEN].copy()
    assert _same(form(TABLE), form(again), CHOSEN, 80)
    again[:, 3] = RNG.random(len(CHOSEN)) * 20
    assert not _same(form(TABLE), form(again), CHOSEN, 80)


@pytest.mark.parametrize("form", [np.asarray, lambda table: table.tolist()], ids=["array", "lists"])
def test_rounding_of_other_batch_shapes_passes(form):
    noisy = TABLE[CHOSEN] + 1e-3 * TABLE.std(axis=0)
    assert _same(form(TABLE), form(noisy), CHOSEN, 80)


TABLES = {
    "scores": lambda table: [{"score": float(row[3])} for row in table],
    "lists": lambda table: [{"scores": row.tolist()} for row in table],
    "columns": lambda table: {"score": table[:, 3].tolist()},
}


@pytest.mark.parametrize("form", TABLES.values(), ids=TABLES)
def test_answers_by_name_have_the_slack_of_plain_ones(form):
    """A score near zero is rounded like its neighbours: the spread of the column is the measure, not the score."""
    table = TABLE - TABLE[CHOSEN[0]] * (1 - 1e-6)
    noisy = table[CHOSEN] + 1e-3 * table.std(axis=0)
    assert _same(form(table), form(noisy), CHOSEN, 80)
    noisy[:, 3] = RNG.random(len(CHOSEN)) * 20
    assert not _same(form(table), form(noisy), CHOSEN, 80)


def test_a_random_name_does_not_hide_behind_a_wide_one():
    rows, again = ([{"wide": 1e6 * n, "narrow": float(RNG.random())} for n in range(80)] for _ in range(2))
    assert not _same(rows, [again[n] for n in CHOSEN], CHOSEN, 80)


def test_labels_and_texts_must_be_equal():
    assert _same(["a", "b", "c"], ["c", "a"], [2, 0], 3)
    assert not _same(["a", "b", "c"], ["c", "b"], [2, 0], 3)
    assert not _same([1, 2, 3], [3, 2], [2, 0], 3)
