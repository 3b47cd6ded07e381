"""Is it fast enough, from the text of a query to the ten best of 100,000 passages, through the public entry point?"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from acceptance.ragcun import transformer
from assay.evidence import CheckResult
from assay.metrics import training
from assay.subject import Predictions

WARM_UP = 20


@pytest.fixture(scope="session")
def answers(ragcun, heldout, large_pool, tables):
    """One call each on one pinned core, in an order that no distribution has to itself."""
    count = min(len(heldout.queries), tables("timing")["calls"] + WARM_UP)
    queries = random.Random(0).sample(heldout.queries, count)
    return ragcun.timings(
        "answer", queries, threads=1, warm_up=WARM_UP, passages=str(large_pool.path("passages.jsonl"))
    )


@pytest.mark.requirement("ragcun/latency.p95")
def test_answers_within_ten_milliseconds(judge, answers):
    judge(answers)


@pytest.mark.requirement("ragcun/amp.speed")
def test_half_precision_is_worth_it(judge, ragcun, dataset, pair_data, tables):
    """Updates of a transformer base in bf16 and in fp32, as the flight recorder timed them, the first ones left out."""
    table = tables("amp")
    shape = {name: table[name] for name in ("layers", "width", "heads", "vocabulary")}
    base = dataset("amp", transformer.build_base, sources={}, tables=["amp"], pairs=str(pair_data.folder), **shape)
    flights = {
        precision: ragcun.variant(
            base=str(base.folder), base_learning_rate=1e-4, precision=precision, epochs=1, batch=table["batch"]
        ).artifact.flight
        for precision in ("bf16", "fp32")
    }
    arms = {precision: flight["step_seconds"][table["warm_up"] :] for precision, flight in flights.items()}
    judge(
        Predictions(
            ragcun, "ragcun.train:train", range(len(arms["bf16"])), {"with": arms["bf16"], "without": arms["fp32"]},
            None, repeatable=True,
        ),
        datasets=[base],
        checks=[multiplied_in(precision, flight) for precision, flight in flights.items()],
    )  # fmt: skip


def multiplied_in(precision: str, flight: Mapping[str, Any]) -> CheckResult:
    """An arm that is called bf16 and multiplies in fp32 is compared with itself."""
    share = training.precision(flight, {"precision": precision})
    detail = f"{share:.0%} of the matrix products of the {precision} arm were in {precision}"
    return CheckResult(name="training.precision", ok=share >= 0.5, detail=detail)


@pytest.mark.requirement("ragcun/model.size")
def test_size_is_told(judge, ragcun):
    judge(ragcun.artifact, subject=ragcun, details=json.loads((ragcun.artifact.folder / "config.json").read_text()))
