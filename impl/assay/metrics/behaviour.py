"""What a subject does with what was planted: violations, wrong rows, broken requests, numbers that must add up.

Counted on outputs for items whose right treatment the acceptance test knows by construction. Nothing here is a score
that a model could be proud of; each row is either as it must be or the subject is not what it claims to be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay.metrics.metric import Floats, InvalidPredictionsError, Metric, real
from assay.metrics.registry import register


def _pairs(predictions: Any) -> tuple[Floats, Floats]:
    if not isinstance(predictions, Mapping) or set(predictions) != {"first", "second"}:
        raise InvalidPredictionsError('pairs are given as {"first": N numbers, "second": N numbers}')
    return real(predictions["first"], "first"), real(predictions["second"], "second")


def raises(predictions: Any, gold: Any = None) -> Floats:
    """(N,) 1.0 where the term is larger for the planted violation ("second") than for the clean twin ("first").

    For regularisers and losses: collapsed embeddings, a cycle, an asymmetric pair must cost more.
    """
    clean, planted = _pairs(predictions)
    return (planted > clean + 1e-9).astype(np.float64)


def planted_found(predictions: Any, gold: Any) -> float:
    """Share of planted wrong items that were reported, times that of right ones that were not.

    Args:
        predictions: (N,) True or 1 where the item was accepted as valid.
        gold: (N,) 1 for a right item, 0 for a planted wrong one; both must occur.
    """
    accepted, right = np.asarray(predictions).astype(bool), np.asarray(gold).astype(bool)
    if right.all() or not right.any():
        raise InvalidPredictionsError("both right items and planted wrong ones are needed")
    return float((~accepted[~right]).mean() * accepted[right].mean())


def refused(predictions: Any, gold: Any = None) -> Floats:
    """(N,) 1.0 where a broken request was refused with an error (see `Subject.refusals`), 0.0 where it was answered."""
    return np.asarray(predictions).astype(bool).astype(np.float64)


def depends(predictions: Any, gold: Any = None) -> Floats:
    """(N,) 1.0 where an answer depends on a part of the weights as it must (see `Subject.parts`)."""
    return np.asarray(predictions).astype(bool).astype(np.float64)


def identity_gap(predictions: Any, gold: Any) -> float:
    """Largest |number given - number recomputed|, relative to the larger of 1 and the number recomputed.

    Args:
        predictions: (N,) or (N, K) numbers of the subject; gold: the same, recomputed by the judge.
    """
    given, truth = real(predictions, "numbers given"), real(gold, "numbers recomputed")
    if given.shape != truth.shape:
        raise InvalidPredictionsError(f"numbers have shape {given.shape}, {truth.shape} were recomputed")
    return float((np.abs(given - truth) / np.maximum(1.0, np.abs(truth))).max())


def resolved(predictions: Any, gold: Any) -> float:
    """Share of the names that items refer to that are defined.

    Args:
        predictions: N lists of names referred to.
        gold: N collections of names that are defined for that item.
    """
    pairs = [(name, set(known)) for names, known in zip(predictions, gold, strict=True) for name in names]
    if not pairs:
        raise InvalidPredictionsError("no name is referred to")
    return sum(name in known for name, known in pairs) / len(pairs)


for _name, _formula, _direction, _range, _source in (
    (
        "planted_found",
        planted_found,
        "higher",
        (0.0, 1.0),
        "share of planted faults reported x share of right ones accepted",
    ),
    ("identity_gap", identity_gap, "lower", (0.0, math.inf), "relative gap of numbers recomputed by the judge"),
    ("resolved", resolved, "higher", (0.0, 1.0), "defined names / names referred to"),
):
    register(
        Metric(
            name=f"behaviour.{_name}",
            direction=_direction,  # type: ignore[arg-type]
            range=_range,
            source=_source,
            formula=_formula,
            consumes="outputs",
            counted=True,
            uniform=True,
            reference="hand computation",
        )
    )
for _name, _per_item, _source in (
    ("raises", raises, "share of planted violations that cost more than their clean twin"),
    ("refused", refused, "share of broken requests that raised"),
    ("depends", depends, "share of the parts of the weights that matter"),
):
    register(
        Metric(
            name=f"behaviour.{_name}",
            direction="higher",
            range=(0.0, 1.0),
            source=_source,
            per_item=_per_item,
            consumes="outputs",
            counted=True,
            uniform=True,
            reference="hand computation",
        )
    )
