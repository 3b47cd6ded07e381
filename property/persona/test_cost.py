"""Savings are what was measured: no table, and twice the hours are twice the price."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona.cost import GIB, Device, MetricsTracker, Usage
from persona.errors import PersonaError

positive = st.floats(0.01, 1e5)


def tracker(full, ours, **prices):
    made = MetricsTracker(**prices)
    made.record("full", full)
    made.record("ours", ours)
    return made


def test_by_hand():
    """An hour on a T4 and 2 GiB kept, against 15 minutes on it and half a GiB."""
    savings = tracker(
        Usage(3600, 8 * GIB, 1000, 800, 2 * GIB), Usage(900, 2 * GIB, 100, 80, GIB // 2)
    ).calculate_savings()
    assert savings["time"] == pytest.approx(0.75)
    assert savings["cost"] == pytest.approx(1 - (0.35 / 4 + 0.01) / (0.35 + 0.04))
    assert savings["memory"] == pytest.approx(0.75)
    assert savings["trainable"] == savings["optimizer"] == pytest.approx(0.9)
    assert savings["storage"] == pytest.approx(0.75)


def test_a_smaller_device_is_cheaper():
    """30 GiB need an A100, 10 GiB a T4: the same hours at less than a third of the price."""
    saved = tracker(Usage(3600, 30 * GIB, 1, 1, 1), Usage(3600, 10 * GIB, 1, 1, 1)).calculate_savings()
    assert saved["time"] == 0
    assert saved["cost"] == pytest.approx(1 - 0.35 / 1.10, abs=1e-6)


@given(positive, positive, st.floats(1.1, 10))
def test_savings_follow_the_measured_hours(full, ours, factor):
    def saved(seconds):
        return tracker(Usage(full, GIB, 10, 10, 10), Usage(seconds, GIB, 10, 10, 10)).calculate_savings()

    assert saved(ours)["time"] == pytest.approx(1 - ours / full)
    assert saved(ours * factor)["time"] < saved(ours)["time"]
    assert saved(ours * factor)["cost"] < saved(ours)["cost"]


def test_several_runs_add_up():
    made = tracker(Usage(10, 1, 1, 1, 1), Usage(1, 1, 1, 1, 1))
    made.record("full", Usage(30, 1, 1, 1, 1))
    made.record("ours", Usage(19, 1, 1, 1, 1))
    assert made.calculate_savings()["time"] == pytest.approx(0.5)


def test_runs_are_compared_in_pairs():
    made = tracker(Usage(10, 1, 1, 1, 1), Usage(1, 1, 1, 1, 1))
    made.record("full", Usage(30, 1, 1, 1, 1))
    with pytest.raises(PersonaError, match='2 of "full" and 1 of "ours"'):
        made.calculate_savings()


@pytest.mark.parametrize("place", range(5))
def test_nothing_can_be_saved_of_nothing(place):
    used = [0 if each == place else 1 for each in range(5)]
    with pytest.raises(PersonaError, match='"full" used 0 of'):
        tracker(Usage(*used), Usage(1, 1, 1, 1, 1)).calculate_savings()


def test_what_was_not_measured_has_no_savings():
    with pytest.raises(PersonaError, match='nothing was measured of "full"'):
        MetricsTracker().calculate_savings()
    with pytest.raises(PersonaError, match="fit no device"):
        MetricsTracker(devices=[Device("T4", 16, 0.35)]).cost(Usage(1, 17 * GIB, 1, 1, 1))
