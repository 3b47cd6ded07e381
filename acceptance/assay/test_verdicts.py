"""Are the verdicts as sure as they say? Simulated studies whose truth is known."""

from __future__ import annotations

import pytest

from acceptance.assay import simulation

SEED = 20267


@pytest.mark.requirement("assay/verdict.false_pass")
def test_a_model_on_the_threshold_rarely_passes(judge, seen, due):
    runs = simulation.repeated(simulation.at_the_threshold(), due("verdict.false_pass", 6), SEED)
    passed, designs = simulation.table(runs, lambda verdict: verdict.passed)
    judge(seen("assay.measurement:Judge", passed), slices={"design": designs})


@pytest.mark.requirement("assay/verdict.power_estimate")
def test_the_stated_number_settles_the_row(judge, seen, due):
    runs = simulation.repeated(simulation.settled(), due("verdict.power_estimate", 4), SEED)
    decided, designs = simulation.table(runs, bool)
    judge(seen("assay.statistics:samples_needed", decided), slices={"design": designs})


@pytest.mark.requirement("assay/interval.coverage")
def test_intervals_hold_the_truth(judge, seen, due):
    runs = simulation.repeated(simulation.covered(), due("interval.coverage", 8), SEED)
    held, designs = simulation.table(runs, bool)
    judge(seen("assay.statistics:interval", held), slices={"design": designs})
