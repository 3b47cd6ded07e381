"""Units that repeat another one: a model grown by copying has fewer parameters than its weight files have numbers.

A unit is a row of a matrix: (out, in), as torch keeps the weights of linear, embedding and convolution layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay import artifacts
from assay.evidence import CheckResult

COUNTS = ("artifact.parameters", "training.parameters")
"""Metrics of a size that copies do not reach."""

NUMBERS, VALUES = 16, 8
"""A row of fewer numbers, or with fewer different values in it (zeros, constants, one-hot, ternary or binary weights, a
small kernel), says nothing when it comes twice."""

NEAR = 0.01
"""Rows that lie closer than this share of their length are copies that have hardly been trained since; both less their
means, for scales that have hardly left their first value of one are no copies."""

SAMPLE = 2048
"""Rows of a matrix, drawn at random, among which near copies are looked for; equal ones are among all."""

MOST = 0.01
"""Share of all numbers that may stand in copies: reserved entries of a vocabulary come with one and the same row."""


@dataclass(frozen=True)
class Repeated:
    """How many rows of one matrix (rows, width) repeat an earlier one."""

    name: str
    rows: int
    width: int
    copies: int


def repeated(folder: Path) -> list[Repeated]:
    """The matrices of an artifact's weight files in which rows repeat; every floating-point tensor of two dimensions or
    more is one, (first dimension, all others)."""
    found = []
    for name, table in _matrices(folder):
        rows, width = table.shape
        equal: dict[bytes, int] = {}
        copies = _copies(table, [equal.setdefault(row.tobytes(), i) for i, row in enumerate(table)])
        some = table
        if rows > SAMPLE:
            some = table[np.sort(np.random.default_rng(0).choice(rows, SAMPLE, replace=False))]
        copies = max(copies, round(rows * _copies(some, _near(some)) / len(some)))
        if copies:
            found.append(Repeated(name, rows, width, copies))
    return found


def distinct(folder: Path) -> CheckResult:
    """Whether the artifact's size is that of its distinct units."""
    found, total = repeated(folder), artifacts.count_parameters(folder)
    lost = sum(one.copies * one.width for one in found)
    told = ", ".join(f"{one.copies:,} of {one.rows:,} in {one.name}" for one in found)
    detail = f"rows that repeat another of their matrix: {told}; {total - lost:,} of {total:,} numbers are left without"
    return CheckResult(name="copied-units", ok=lost <= MOST * total, detail=detail if found else "")


def _matrices(folder: Path) -> Iterator[tuple[str, Any]]:
    """Name -> (rows, width) of what is wide enough."""
    from safetensors import safe_open

    for path in artifacts.weight_files(folder):
        wanted = {
            name: dtype
            for name, (dtype, shape) in artifacts.tensors(path).items()
            if dtype.startswith(("F", "BF")) and len(shape) > 1 and shape[0] > 1 and math.prod(shape[1:]) >= NUMBERS
        }
        known = all(dtype in ("F16", "F32", "F64") for dtype in wanted.values())
        with safe_open(path, framework="numpy" if known else "pt") as file:  # numpy has no bf16
            for name in wanted:
                tensor = file.get_tensor(name)
                yield name, (tensor if known else tensor.float().numpy()).reshape(len(tensor), -1)


def _near(table: Any) -> Sequence[int]:
    """For each row the first that lies next to it, itself if there is no other."""
    with np.errstate(over="ignore", invalid="ignore"):  # weights that are not finite are near to nothing
        rows = (table - table.mean(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)
        squares = np.einsum("ij,ij->i", rows, rows)
        apart = squares[:, None] + squares[None, :] - 2 * (rows @ rows.T)
        close = apart <= NEAR**2 * squares[:, None]
    np.fill_diagonal(close, True)
    return [int(first) for first in close.argmax(axis=1)]


def _copies(table: Any, first: Sequence[int]) -> int:
    """Rows whose first is another one, without a group larger than every other: rows that nothing trained, those of
    words never seen, may have kept the same first value."""
    groups: dict[int, int] = {}
    for i, other in enumerate(first):
        if i != other:
            groups[other] = groups.get(other, 0) + 1
    sizes = sorted(size for i, size in groups.items() if len(np.unique(table[i])) >= VALUES)
    if len(sizes) == 1 or (sizes and sizes[-1] > sizes[-2]):
        sizes.pop()
    return sum(sizes)
