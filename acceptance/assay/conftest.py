"""The harness as its own subject: what it was seen to do, case by case, and the source that did it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.session import Session
from assay.subject import Predictions, Subject, Timings

See = Callable[[str, Mapping[str, Sequence[Any]]], Predictions]


@pytest.fixture(scope="session")
def harness(subject: Callable[..., Subject]) -> Subject:
    return subject("assay")


@pytest.fixture(scope="session")
def seen(harness: Subject) -> See:
    """What the named part of the harness did: `seen("assay.ledger:Ledger", {"case": names, "holds": booleans})`.

    The part's whole import closure goes into the evidence, so that the row decays with it; several parts are
    separated by blanks.
    """

    def observe(entry: str, values: Mapping[str, Sequence[Any]]) -> Predictions:
        return Predictions(harness, entry, next(iter(values.values())), dict(values), None, True)

    return observe


@pytest.fixture(scope="session")
def timed(harness: Subject) -> Callable[[str, Sequence[float]], Timings]:
    """Calls that the acceptance side timed itself."""

    def observe(entry: str, seconds: Sequence[float]) -> Timings:
        calls = np.asarray(seconds, dtype=float)
        return Timings(harness, calls, np.ones(len(calls)), None, 1, True, "timed from outside", entry)

    return observe


@pytest.fixture
def due(assay_session: Session) -> Callable[[str, int], int]:
    """How many cases a row is measured on: what the specification demands at least; a handful in smoke runs."""

    def count(requirement: str, few: int) -> int:
        return few if assay_session.smoke else assay_session.project.spec("assay").get(requirement).minimum_n

    return count


@pytest.fixture
def compiled(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python keeps what it compiles, as it does unless it is told not to."""
    told = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**told, "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
