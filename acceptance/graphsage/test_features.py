"""Is there anything in the features? Counted by the judge on the arrays themselves.

They need no weights and no executed program: the first verdicts, before anything is trained.
"""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def reader(subject, functions):
    """The system without its weights, and so without what it is trained on."""
    return subject("graphsage", datasets=[functions])


@pytest.fixture(scope="session")
def features(reader, functions, tables):
    """Feature matrices (nodes, 978) of training functions, evenly spread over the distributions."""
    rows = functions.rows("train.jsonl")
    step = max(1, len(rows) // tables("features")["functions"])
    return reader.outputs("graphsage.bridge:feature_matrices", [row["source"] for row in rows[::step]])


@pytest.mark.requirement("graphsage/features.alive", "graphsage/features.no_zero_vectors")
def test_feature_columns_are_alive(judge, reader, features):
    dead = dead_columns(features.values, reader.profile["hidden"][0])
    judge(features, details={"columns that never vary": dead})


@pytest.mark.requirement("graphsage/features.see_defects")
def test_features_see_defects(judge, reader, seen_defects, seen_data):
    sources, processes = seen_defects.sources, reader.profile["processes"]
    prints = reader.outputs("graphsage.bridge:fingerprints", sources, processes=processes)
    judge(
        prints.map(lambda values: {"first": values[0::2], "second": values[1::2]}, items=seen_defects.rows),
        groups=[row["distribution"] for row in seen_defects.rows],
        clusters=[row["module"] for row in seen_defects.rows],
        datasets=[seen_data],
    )


def dead_columns(matrices, width) -> list[int]:
    """Columns with one value in all matrices."""
    low, high = matrices[0].min(axis=0), matrices[0].max(axis=0)
    for matrix in matrices:
        low, high = low.clip(max=matrix.min(axis=0)), high.clip(min=matrix.max(axis=0))
    assert len(low) == width
    return [index for index in range(width) if low[index] == high[index]]
