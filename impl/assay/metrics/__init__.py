"""Metrics: what a number means, which way is better, what chance earns, and policies that put it in doubt.

The public face is `get`, `names`, `register` and `Metric`; the families register themselves on import (numpy only).
"""

from __future__ import annotations

from assay.metrics import (
    artifact,
    behaviour,
    calibration,
    classification,
    counting,
    features,
    generation,
    geometry,
    graph,
    latency,
    ranking,
    regression,
    text,
    training,
)
from assay.metrics.metric import (
    InvalidOptionError,
    InvalidPredictionsError,
    Metric,
    UndefinedMetricError,
    UnknownMetricError,
)
from assay.metrics.registry import catalogue, get, names, register

__all__ = [
    "InvalidOptionError",
    "InvalidPredictionsError",
    "Metric",
    "UndefinedMetricError",
    "UnknownMetricError",
    "artifact",
    "behaviour",
    "calibration",
    "catalogue",
    "classification",
    "counting",
    "features",
    "generation",
    "geometry",
    "get",
    "graph",
    "latency",
    "names",
    "ranking",
    "register",
    "regression",
    "text",
    "training",
]
