"""The metrics by name. A name means one formula for the life of a process; registering it twice is an error."""

from __future__ import annotations

import inspect
import sys

from assay.errors import MetricError, did_you_mean
from assay.metrics.metric import Metric, UnknownMetricError

_metrics: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Make a metric known under its name.

    Raises:
        MetricError: when the name is taken, is not "family.metric", or belongs to a metric of predictions that an
            acceptance suite brings along without policies: nothing could tell it from `return 1.0`.
    """
    family, dot, rest = metric.name.partition(".")
    if not dot or not family or not rest or metric.name != metric.name.lower() or " " in metric.name:
        raise MetricError(f'metric "{metric.name}": a name is lower case and reads "family.metric"')
    if metric.name in _metrics:
        raise MetricError(f'metric "{metric.name}" is already registered by {_metrics[metric.name].module}')
    if metric.consumes == "predictions" and metric.policy_form is None and not metric.module.startswith("assay."):
        raise MetricError(
            f'metric "{metric.name}" names no policy_form, so nothing could tell it from `return 1.0`: give it that of '
            'a metric with the same gold, policy_form=get("classification.accuracy").policy_form, or one of its own '
            "(gold, rng -> oracle, inverted, shuffled, constant and random predictions)"
        )
    _metrics[metric.name] = metric
    return metric


def get(name: str) -> Metric:
    """The metric of that name. UnknownMetricError, with the nearest name, otherwise."""
    try:
        return _metrics[name]
    except KeyError:
        raise UnknownMetricError(
            f'unknown metric "{name}"{did_you_mean(name, _metrics)} '
            "(`assay spec metrics` lists them; acceptance/metrics.py registers your own)"
        ) from None


def names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_metrics)


def catalogue() -> str:
    """Every registered metric as a Markdown table."""
    rows = ["| metric | better | range | reads | options | source |", "|---|---|---|---|---|---|"]
    for name in names():
        metric = _metrics[name]
        low, high = metric.range
        options = ", ".join(f"`{option}`" for option in metric.options)
        rows.append(
            f"| `{name}` | {metric.direction} | [{low:g}, {high:g}] | {metric.consumes} | {options} | {metric.source} |"
        )
    return "\n".join(rows) + "\n"


def about(name: str) -> str:
    """What a metric is, and what it takes: the documentation of its formula, with the formats of its family.

    UnknownMetricError as for `get`.
    """
    metric = get(name)
    low, high = metric.range
    better = "no side" if metric.direction == "none" else metric.direction
    lines = [f"{name}: {better} is better, in [{low:g}, {high:g}]; {metric.source}", ""]
    lines.append(inspect.getdoc(metric.formula or metric.per_item) or "It is not documented.")
    formats = getattr(sys.modules.get(metric.module), "FORMATS", "")
    return "\n".join([*lines, *(["", formats.strip()] if formats else [])]) + "\n"
