"""Stated probabilities against what was true, in the form that the report draws: a bin without any is a gap."""

from __future__ import annotations

import pytest
from acceptance.stated import diagram


def test_a_diagram_by_hand():
    """Ten bins: two items in the third, of which one is true, and one in the last, which is."""
    found = diagram([0.22, 0.28, 0.95], [0, 1, 1])
    assert found["count"] == [0, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert found["confidence"][2] == pytest.approx(0.25)
    assert found["accuracy"][2] == pytest.approx(0.5)
    assert (found["confidence"][9], found["accuracy"][9]) == pytest.approx((0.95, 1.0))
    for name in ("confidence", "accuracy"):
        assert [place for place, one in enumerate(found[name]) if one is not None] == [2, 9]
