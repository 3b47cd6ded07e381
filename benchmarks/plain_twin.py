"""What a careful team would write without Assay: the twin's own numbers against the same thresholds, in plain pytest.

`plain_pytest.py` puts this file into each mutant as `test_twin.py`; it is not collected here.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT / "impl"), str(ROOT / "acceptance")]


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """Data built, model trained, and what the twin then says of itself."""
    import conftest  # the suite's builders
    from twin import evaluate, train

    spec = tomllib.loads((ROOT / "spec" / "twin.toml").read_text())
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    conftest.build_reviews(data, **spec["data"]["reviews"])
    conftest.build_queries(data, str(data / "test.jsonl"), seed=3, queries=80)
    train.train(spec["profile"]["cpu"], {side: data / f"{side}.jsonl" for side in ("train", "dev")}, out)
    rows, queries = (read(data / name) for name in ("test.jsonl", "queries.jsonl"))
    return evaluate.metrics(out, rows, queries)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_accuracy(numbers):
    assert numbers["accuracy"] >= 0.85


def test_brier(numbers):
    assert numbers["brier"] <= 0.20


def test_ranking(numbers):
    assert numbers["ranking"] >= 0.60


def test_loss_fell(numbers):
    assert numbers["loss at last"] <= 0.95 * numbers["loss at first"]


def test_model_has_parameters(numbers):
    assert numbers["parameters"] == 1313


def test_serves_probabilities(numbers):
    assert 0 <= numbers["served"] <= 1


def test_is_quick(numbers):
    assert numbers["milliseconds"] < 400


def test_saves_time(numbers):
    assert numbers["saved"] >= 0.6
