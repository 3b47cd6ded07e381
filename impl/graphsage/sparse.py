"""Sparse matrix times dense matrix with a gradient, as PyTorch's fused embedding bag (fp32 and bf16).

Everything that is sparse here goes through it: node features, neighbour means, pooling. Never densifies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Rows:
    """A matrix in compressed rows: row i has weight[k] at column index[k], k in ptr[i]:ptr[i + 1]."""

    ptr: Tensor  # (R + 1,) int32
    index: Tensor  # (nnz,) int32
    weight: Tensor  # (nnz,) float32

    def to(self, device: str) -> Rows:
        return Rows(self.ptr.to(device), self.index.to(device), self.weight.to(device))

    def times(self, dense: Tensor) -> Tensor:
        """(R, C) x (C, D) -> (R, D), in the dtype of `dense`."""
        return functional.embedding_bag(
            self.index,
            dense.contiguous(),
            self.ptr,
            mode="sum",
            per_sample_weights=self.weight.to(dense.dtype),
            include_last_offset=True,
        )


@dataclass(frozen=True, slots=True)
class Sparse:
    """A constant sparse matrix and, where a gradient is needed, its transpose."""

    rows: Rows
    transposed: Rows | None = None

    def to(self, device: str) -> Sparse:
        return Sparse(self.rows.to(device), None if self.transposed is None else self.transposed.to(device))

    def __matmul__(self, dense: Tensor) -> Tensor:
        """(R, C) @ (C, D) -> (R, D); under autocast in autocast's dtype."""
        kind = dense.device.type
        if torch.is_autocast_enabled(kind):
            dense = dense.to(torch.get_autocast_dtype(kind))
        if self.transposed is None or not torch.is_grad_enabled() or not dense.requires_grad:
            return self.rows.times(dense)
        return _Product.apply(dense, self.rows, self.transposed)  # type: ignore[no-any-return]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, rows: Rows, transposed: Rows) -> Tensor:
        ctx.transposed = transposed
        return rows.times(dense)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed.times(gradient), None, None
