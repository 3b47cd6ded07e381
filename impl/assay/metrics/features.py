"""Is there anything in the features: columns that vary, vectors that are not zero, inputs that can be told apart.

Counted on the outputs themselves, without gold; a column that never varies is listed, not forgiven.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.metrics.classification import key
from assay.metrics.metric import Floats, InvalidPredictionsError, Metric
from assay.metrics.registry import register


def _blocks(outputs: Any) -> Iterator[NDArray[Any]]:
    """Blocks (rows, D) of an (N, D) matrix, or of N matrices (nodes, D) or vectors (D,)."""
    if isinstance(outputs, np.ndarray) and outputs.ndim == 2 and outputs.dtype != object:
        yield outputs
        return
    width = None
    for i, one in enumerate(outputs):
        block = np.atleast_2d(np.asarray(one))
        if block.ndim != 2 or block.dtype.kind not in "biuf":
            raise InvalidPredictionsError(f"item {i}: features have shape {block.shape} and type {block.dtype}")
        width = block.shape[1] if width is None else width
        if block.shape[1] != width:
            raise InvalidPredictionsError(f"item {i}: {block.shape[1]} feature columns, others have {width}")
        yield block


def dead_columns(outputs: Any) -> NDArray[np.intp]:
    """Indices of the columns that have one and the same value in every row of every item."""
    low: NDArray[Any] | None = None
    high: NDArray[Any] | None = None
    for block in _blocks(outputs):
        if not len(block):
            continue
        small, large = block.min(axis=0), block.max(axis=0)
        low = small if low is None else np.minimum(low, small)
        high = large if high is None else np.maximum(high, large)
    if low is None or high is None:
        raise InvalidPredictionsError("there is not one feature vector")
    return np.flatnonzero(low == high)


def nonconstant_columns(predictions: Any, gold: Any = None) -> float:
    """Share of the D feature columns that vary over all rows, in [0, 1].

    Args:
        predictions: N matrices (nodes, D), or one matrix (N, D).
    """
    width = int(next(_blocks(predictions)).shape[1])
    if width == 0:
        raise InvalidPredictionsError("features have no columns")
    return 1 - len(dead_columns(predictions)) / width


def zero_vectors(predictions: Any, gold: Any = None) -> float:
    """Number of all-zero feature vectors; an item without any vector counts as one (nothing was extracted)."""
    return float(sum(int((~block.any(axis=1)).sum()) if len(block) else 1 for block in _blocks(predictions)))


def told_apart(predictions: Any, gold: Any = None) -> Floats:
    """(N,) 1.0 where the two outputs of a pair differ, else 0.0.

    Args:
        predictions: {"first": N outputs, "second": N outputs} of any kind: fingerprints, vectors, graphs.
    """
    if not isinstance(predictions, Mapping) or set(predictions) != {"first", "second"}:
        raise InvalidPredictionsError('pairs are given as {"first": N outputs, "second": N outputs}')
    pairs = zip(predictions["first"], predictions["second"], strict=True)
    return np.array([float(not _equal(a, b)) for a, b in pairs])


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(key(a) == key(b))


register(
    Metric(
        name="features.nonconstant_columns",
        direction="higher",
        range=(0.0, 1.0),
        source="columns with at least two values / columns",
        formula=nonconstant_columns,
        consumes="outputs",
        counted=True,
        reference="numpy.unique per column",
    )
)
register(
    Metric(
        name="features.zero_vectors",
        direction="lower",
        range=(0.0, math.inf),
        source="rows without a non-zero entry",
        formula=zero_vectors,
        consumes="outputs",
        counted=True,
        reference="numpy.count_nonzero per row",
    )
)
register(
    Metric(
        name="features.told_apart",
        direction="higher",
        range=(0.0, 1.0),
        source="share of pairs with different outputs",
        per_item=told_apart,
        consumes="outputs",
        reference="hand computation",
    )
)
