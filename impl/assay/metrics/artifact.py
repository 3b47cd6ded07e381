"""Facts that the parent derived from the files of an artifact. Nothing that the subject says about itself counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from assay.errors import did_you_mean
from assay.metrics.metric import InvalidPredictionsError, Metric
from assay.metrics.registry import register


def _fact(facts: Mapping[str, Any], name: str) -> float:
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidPredictionsError(f'the artifact\'s "{name}" is {value!r}, not a number')
    return float(value)


def parameters(facts: Mapping[str, Any], gold: Any = None) -> float:
    """Floating-point numbers stored in the weight files; `facts["parameters"]`."""
    return _fact(facts, "parameters")


def size_mib(facts: Mapping[str, Any], gold: Any = None) -> float:
    """MiB (2**20 bytes) of the weight files; `facts["size_mib"]`."""
    return _fact(facts, "size_mib")


def tensor_rows(facts: Mapping[str, Any], gold: Any = None, *, tensor: str) -> float:
    """Rows (first dimension) of the tensor of that name: an embedding has one for each entry of its vocabulary."""
    shapes = facts.get("shapes") or {}
    if tensor not in shapes:
        raise InvalidPredictionsError(f'the weights hold no tensor "{tensor}"{did_you_mean(tensor, shapes)}')
    shape = shapes[tensor]
    return float(shape[0] if shape else 1)


register(
    Metric(
        name="artifact.tensor_rows",
        direction="none",
        range=(0.0, math.inf),
        source="shape in the safetensors headers",
        formula=tensor_rows,
        consumes="artifact",
        counted=True,
    )
)
register(
    Metric(
        name="artifact.parameters",
        direction="none",
        range=(0.0, math.inf),
        source="counted from the safetensors headers; void where rows are copies",
        formula=parameters,
        consumes="artifact",
        counted=True,
    )
)
register(
    Metric(
        name="artifact.size_mib",
        direction="lower",
        range=(0.0, math.inf),
        source="size of the weight files on disk",
        formula=size_mib,
        consumes="artifact",
        counted=True,
        unit="MiB",
    )
)
