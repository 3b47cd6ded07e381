"""How long the ledger takes at 100,000 rows: every opening verifies the whole chain, so it must be quick."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path
from typing import Any

import pytest

from assay.evidence import CheckResult, Comparison, Evidence, Hardware, SliceValue
from assay.ledger import Ledger, _canonical

REQUIREMENTS = 120


def _evidence(number: int) -> Evidence:
    """A row of the size that a real requirement leaves (2-3 KB of JSON)."""
    rng = random.Random(number)

    def digest() -> str:
        return hashlib.sha256(str(rng.random()).encode()).hexdigest()

    def comparison() -> Comparison:
        return Comparison(value=rng.random(), difference=rng.random(), interval=(rng.random(), 1.0))

    return Evidence(
        system=f"system{number % 4}",
        requirement=f"group.row{number % REQUIREMENTS}",
        target="cpu",
        profile="cpu",
        outcome="measured",
        value=rng.random(),
        interval=(rng.random(), rng.random()),
        method="bootstrap-t over 14 groups",
        n=5000,
        groups=14,
        seeds=(1, 2, 3),
        baselines={name: comparison() for name in ("majority", "ngram-logreg")},
        controls={"reinitialised": comparison()},
        slices={"operator": {f"slice{i}": SliceValue(value=rng.random(), n=99) for i in range(4)}},
        checks=tuple(CheckResult(name=f"check{i}", ok=True) for i in range(8)),
        requirement_digest=digest(),
        code={f"package.module{i}": digest() for i in range(8)},
        data={"heldout": digest()},
        artifact=digest(),
        weights=digest(),
        hardware=Hardware(kind="cpu", model="a processor", cores=2, memory_gib=24.0),
        measured_at=1.7e9 + number,
    )


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> int:
    return 2_000 if request.config.getoption("benchmark_disable") else 100_000


def filled(path: Path, rows: int) -> Ledger:
    """A ledger of that many rows of real size, at `path`."""
    built = Ledger(path)
    distinct = [_evidence(number) for number in range(4 * REQUIREMENTS)]
    texts = [(*evidence.key, _canonical(evidence)) for evidence in distinct]
    built._write(texts[number % len(texts)] for number in range(rows))
    return built


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory, rows: int) -> Ledger:
    built = filled(tmp_path_factory.mktemp("ledger") / "ledger.db", rows)
    time.sleep(0.2)  # so that the times below are those of a ledger at rest
    return built


def test_open_verify_latest(benchmark: Any, ledger: Ledger, rows: int) -> None:
    """Open, verify every row of the chain, hand out the newest row of each requirement."""

    def read() -> int:
        fresh = Ledger(ledger.path)
        assert fresh.problems() == ()
        return len(fresh.latest())

    keys = benchmark.pedantic(read, rounds=5, warmup_rounds=1)
    assert keys == len({(f"system{n % 4}", f"group.row{n % REQUIREMENTS}") for n in range(4 * REQUIREMENTS)})
    size = ledger.path.stat().st_size
    benchmark.extra_info.update(rows=rows, bytes_per_row=round(size / rows), megabytes=round(size / 2**20))


@pytest.mark.parametrize("length", [0, 2_000, None], ids=["empty", "2000-rows", "all-rows"])
def test_append(benchmark: Any, ledger: Ledger, rows: int, length: int | None, tmp_path: Path) -> None:
    """One durable append; its cost must not grow with the ledger."""
    target = ledger if length is None else Ledger(tmp_path / "ledger.db")
    if length:
        target._write((*_evidence(n).key, _canonical(_evidence(n))) for n in range(length))
    before = len(target)
    count = 0

    def append() -> None:
        nonlocal count
        target.append(_evidence(count))
        count += 1

    benchmark.pedantic(append, rounds=50)
    assert len(target) == before + count
    benchmark.extra_info.update(rows=before)
