"""Can the gate say no, and only when it should?"""

from __future__ import annotations

import pytest


@pytest.mark.requirement("assay/mutants.killed_by_named_check")
def test_every_mutant_is_killed_by_the_check_named_for_it(judge, seen):
    pytest.skip("the catalogue of mutants is not part of this checkout yet; `assay mutants` will run it")


@pytest.mark.requirement("assay/honest.false_alarms")
def test_no_honest_twin_is_accused(judge, seen):
    pytest.skip("the census of honest twins is not part of this checkout yet; `assay mutants` will run it")
