"""Is a knowledge graph what it says it is: how many distinct edges, of what kinds, on no cycle, found how often.

Counted on the edges themselves, which are texts; what they mean is for the acceptance test to know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assay.metrics.classification import key
from assay.metrics.metric import InvalidPredictionsError, Metric, real
from assay.metrics.registry import register


def unique(predictions: Any, gold: Any = None) -> float:
    """Number of distinct items; each is a text or a sequence of texts (head, relation, tail)."""
    return float(len({key(one) for one in predictions}))


def duplicates(predictions: Any, gold: Any = None) -> float:
    """Number of items that repeat an earlier one."""
    return float(len(predictions)) - unique(predictions)


def coverage(predictions: Any, gold: Any = None, *, known: Sequence[str], least: int = 1) -> float:
    """Share of the `known` labels that at least `least` of the N items carry, in [0, 1]; other labels count nothing."""
    if not known:
        raise InvalidPredictionsError("known is empty: there is nothing to cover")
    counts = dict.fromkeys(known, 0)
    for one in predictions:
        if one in counts:
            counts[one] += 1
    return sum(count >= least for count in counts.values()) / len(counts)


def acyclic(predictions: Any, gold: Any = None) -> float:
    """Share of edges that lie on no directed cycle of their own relation, in [0, 1].

    An edge lies on a cycle exactly when its ends are in one strongly connected component.

    Args:
        predictions: {"relation": N texts, "head": N texts, "tail": N texts}.
    """
    relation, head, tail = _columns(predictions, "relation", "head", "tail")
    names: dict[tuple[str, str], int] = {}
    ends = [
        (names.setdefault((r, h), len(names)), names.setdefault((r, t), len(names)))
        for r, h, t in zip(relation, head, tail, strict=True)
    ]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.asarray(ends)
    ones = np.ones(len(pairs), dtype=np.int8)
    matrix = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(names), len(names))).tocsr()
    _, component = connected_components(matrix, directed=True, connection="strong")
    return float((component[pairs[:, 0]] != component[pairs[:, 1]]).mean())


def rate(predictions: Any, gold: Any = None) -> float:
    """Sum of parts over sum of wholes, in [0, 1].

    Args:
        predictions: {"part": (N,) counts, "whole": (N,) counts}; no part exceeds its whole.
    """
    columns = _columns(predictions, "part", "whole")
    part, whole = real(columns[0], "parts"), real(columns[1], "wholes")
    if (part < 0).any() or (part > whole).any():
        raise InvalidPredictionsError("a part is negative or larger than its whole")
    return float(part.sum() / whole.sum()) if whole.sum() else math.nan


def _columns(predictions: Any, *names: str) -> list[Any]:
    if not isinstance(predictions, Mapping) or not set(names) <= set(predictions):
        raise InvalidPredictionsError(f"columns {', '.join(names)} are needed, one entry per item each")
    return [predictions[name] for name in names]


register(
    Metric(
        name="graph.unique",
        direction="higher",
        range=(0.0, math.inf),
        source="distinct items",
        formula=unique,
        consumes="outputs",
        counted=True,
        reference="numpy.unique",
    )
)
register(
    Metric(
        name="graph.duplicates",
        direction="lower",
        range=(0.0, math.inf),
        source="items - distinct items",
        formula=duplicates,
        consumes="outputs",
        counted=True,
        reference="numpy.unique",
    )
)
register(
    Metric(
        name="graph.coverage",
        direction="higher",
        range=(0.0, 1.0),
        source="known labels in use / known labels",
        formula=coverage,
        consumes="outputs",
        counted=True,
        reference="hand computation",
    )
)
register(
    Metric(
        name="graph.acyclic",
        direction="higher",
        range=(0.0, 1.0),
        source="edges between strongly connected components (Tarjan 1972) / edges",
        formula=acyclic,
        consumes="outputs",
        counted=True,
        reference="networkx.strongly_connected_components",
    )
)
register(
    Metric(
        name="graph.rate",
        direction="higher",
        range=(0.0, 1.0),
        source="sum of parts / sum of wholes",
        formula=rate,
        consumes="outputs",
        reference="numpy.average with weights",
    )
)
