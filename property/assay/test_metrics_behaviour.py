"""What was planted is counted by hand; what cannot be counted is refused."""

from __future__ import annotations

import numpy as np
import pytest

from assay import metrics
from assay.metrics import InvalidPredictionsError


def compute(name, predictions, gold=None, **options):
    return metrics.get(f"behaviour.{name}").compute(predictions, gold, **options)


def test_a_term_that_rises_with_the_violation():
    assert compute("raises", {"first": [1.0, 2.0, 3.0, 4.0], "second": [2.0, 3.0, 3.0, 1.0]}) == 0.5
    with pytest.raises(InvalidPredictionsError, match="pairs"):
        compute("raises", [1.0, 2.0])


def test_planted_faults_reported_and_right_ones_accepted():
    gold = [1, 1, 0, 0]
    assert compute("planted_found", [True, True, False, False], gold) == 1.0
    assert compute("planted_found", [True, True, True, False], gold) == 0.5
    assert compute("planted_found", [True, False, False, False], gold) == 0.5
    assert compute("planted_found", [False] * 4, gold) == 0.0, "who refuses everything has found nothing"
    assert compute("planted_found", [True] * 4, gold) == 0.0
    with pytest.raises(InvalidPredictionsError, match="both"):
        compute("planted_found", [True] * 4, [1] * 4)


def test_identities_are_relative_above_one():
    assert compute("identity_gap", np.array([1.0, 200.0]), np.array([1.0, 202.0])) == pytest.approx(2 / 202)
    assert compute("identity_gap", np.array([0.1, 0.0]), np.array([0.0, 0.0])) == pytest.approx(0.1)
    with pytest.raises(InvalidPredictionsError, match="shape"):
        compute("identity_gap", np.zeros((2, 2)), np.zeros(2))


def test_resolution_counts_names_not_items():
    assert compute("resolved", [["a", "b"], [], ["c", "c"]], [["a"], [], ["c"]]) == 0.75
    with pytest.raises(InvalidPredictionsError, match="no name"):
        compute("resolved", [[], []], [["a"], ["b"]])


def test_refusals_are_a_share():
    assert compute("refused", [True, False, True, True]) == 0.75
