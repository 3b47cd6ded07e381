"""Law: a graph's figures are those of its edges, as an independent library counts them."""

from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import metrics
from assay.errors import MetricError

edges = st.lists(st.tuples(st.sampled_from("rs"), st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=30)


def compute(name: str, predictions: Any, **options: Any) -> float:
    return metrics.get(name).compute(predictions, None, **options)


@given(edges)
def test_edges_on_no_cycle_agree_with_networkx(found: list[tuple[str, int, int]]) -> None:
    on_cycle = 0
    for relation in "rs":
        pairs = [(head, tail) for name, head, tail in found if name == relation]
        graph = networkx.DiGraph(pairs)
        where = {
            node: index for index, part in enumerate(networkx.strongly_connected_components(graph)) for node in part
        }
        on_cycle += sum(where[head] == where[tail] for head, tail in pairs)
    columns = {
        name: list(column) for name, column in zip(("relation", "head", "tail"), zip(*found, strict=True), strict=True)
    }
    assert compute("graph.acyclic", columns) == pytest.approx(1 - on_cycle / len(found))


@given(edges)
def test_distinct_and_repeated_edges_make_all(found: list[tuple[str, int, int]]) -> None:
    assert compute("graph.unique", found) == len(np.unique(np.array(found, dtype=str), axis=0))
    assert compute("graph.unique", found) + compute("graph.duplicates", found) == len(found)


def test_coverage_counts_known_labels_with_enough_instances() -> None:
    labels = ["a", "a", "b", "other", "other"]
    assert compute("graph.coverage", labels, known=["a", "b", "c", "d"]) == 0.5
    assert compute("graph.coverage", labels, known=["a", "b", "c", "d"], least=2) == 0.25


def test_rates_are_sums_over_sums() -> None:
    assert compute("graph.rate", {"part": [1, 9], "whole": [2, 18]}) == 0.5
    assert compute("graph.rate", {"part": [1, 9], "whole": [10, 10]}) == pytest.approx(
        np.average([0.1, 0.9], weights=[10, 10])
    )


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        ("graph.rate", {"part": [3], "whole": [2]}),
        ("graph.rate", {"part": [0], "whole": [0]}),
        ("graph.rate", [1, 2]),
        ("graph.acyclic", {"head": ["a"], "tail": ["b"]}),
        ("graph.unique", []),
    ],
)
def test_what_cannot_be_counted_is_refused(name: str, spoilt: Any) -> None:
    with pytest.raises(MetricError):
        compute(name, spoilt)
