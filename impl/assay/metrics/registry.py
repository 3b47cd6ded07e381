"""The metrics by name. A name means one formula for the life of a process; registering it twice is an error."""

from __future__ import annotations

from assay.errors import MetricError, did_you_mean
from assay.metrics.metric import Metric, UnknownMetricError

_metrics: dict[str, Metric] = {}


def register(metric: Metric) -> Metric:
    """Make a metric known under its name.

    Raises:
        MetricError: when the name is taken, or is not "family.metric".
    """
    family, dot, rest = metric.name.partition(".")
    if not dot or not family or not rest or metric.name != metric.name.lower() or " " in metric.name:
        raise MetricError(f'metric "{metric.name}": a name is lower case and reads "family.metric"')
    if metric.name in _metrics:
        raise MetricError(f'metric "{metric.name}" is already registered by {_metrics[metric.name].module}')
    _metrics[metric.name] = metric
    return metric


def get(name: str) -> Metric:
    """The metric of that name. UnknownMetricError, with the nearest name, otherwise."""
    try:
        return _metrics[name]
    except KeyError:
        raise UnknownMetricError(f'unknown metric "{name}"{did_you_mean(name, _metrics)}') from None


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
