"""Is there anything in the features? Counted by the judge on the arrays themselves."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def features(graphsage, functions, tables):
    """Feature matrices (nodes, 978) of training functions, evenly spread over the distributions."""
    rows = functions.rows("train.jsonl")
    step = max(1, len(rows) // tables("features")["functions"])
    return graphsage.outputs("graphsage.bridge:feature_matrices", [row["source"] for row in rows[::step]])


@pytest.mark.requirement("graphsage/features.alive", "graphsage/features.no_zero_vectors")
def test_feature_columns_are_alive(judge, graphsage, features):
    dead = dead_columns(features.values, graphsage.profile["hidden"][0])
    judge(features, details={"columns that never vary": dead})


def dead_columns(matrices, width) -> list[int]:
    """Columns with one value in all matrices."""
    low, high = matrices[0].min(axis=0), matrices[0].max(axis=0)
    for matrix in matrices:
        low, high = low.clip(max=matrix.min(axis=0)), high.clip(min=matrix.max(axis=0))
    assert len(low) == width
    return [index for index in range(width) if low[index] == high[index]]
