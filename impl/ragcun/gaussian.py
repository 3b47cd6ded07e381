"""How far embeddings are from N(0, I): SIGReg, the sketched Epps-Pulley statistic, and layers that bring them there.

From the published maths (Balestriero & LeCun 2025, LeJEPA; Epps & Pulley 1983). A batch that shrinks to a point, or to
half of the dimensions, must score worse than a Gaussian one: collapse is never rewarded.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

KNOTS = 17
REACH = 3.0
"""The characteristic functions are compared on [-REACH, REACH], at KNOTS points of [0, REACH] by symmetry."""


def _quadrature() -> tuple[Tensor, Tensor, Tensor]:
    """Points t (17,), trapezoid weights x 2 x exp(-t^2 / 2), and the standard normal's exp(-t^2 / 2)."""
    points = torch.linspace(0, REACH, KNOTS, dtype=torch.float64)
    weights = torch.full((KNOTS,), 2 * REACH / (KNOTS - 1), dtype=torch.float64)
    weights[[0, -1]] /= 2
    normal = torch.exp(-points.square() / 2)
    return points.float(), (weights * normal).float(), normal.float()


def epps_pulley(projected: Tensor) -> Tensor:
    """(K,) T = N x integral of |empirical characteristic function - that of N(0, 1)|^2 exp(-t^2 / 2) dt.

    Args:
        projected: (N, K) one-dimensional samples, a column each.
    """
    points, weights, normal = (each.to(projected) for each in _quadrature())
    angles = projected.unsqueeze(-1) * points  # (N, K, 17)
    gap = (angles.cos().mean(0) - normal).square() + angles.sin().mean(0).square()  # (K, 17)
    return len(projected) * (gap * weights).sum(-1)


def directions(dimensions: int, count: int, generator: torch.Generator | None = None) -> Tensor:
    """(dimensions, count) unit vectors, uniform on the sphere."""
    drawn = torch.randn(dimensions, count, generator=generator)
    return drawn / drawn.norm(dim=0, keepdim=True)


class Whitening(nn.Module):
    """Zero mean and identity covariance: by the batch's own statistics in training, by fitted ones in evaluation.

    ZCA, so that queries and passages keep their axes. Statistics are computed in fp32, whatever autocast says; they are
    applied in its precision. What is fitted is kept in buffers; until `fit` was called they are those of the identity.
    """

    def __init__(self, dimensions: int, shrinkage: float = 0.01) -> None:
        super().__init__()
        self.shrinkage = shrinkage
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("matrix", torch.eye(dimensions))
        self.mean: Tensor
        self.matrix: Tensor

    def forward(self, x: Tensor) -> Tensor:  # (N, D) -> (N, D)
        if not self.training:
            return ((x - self.mean) @ self.matrix).float()
        centred = x - x.mean(0)
        with torch.autocast(x.device.type, enabled=False):
            covariance = centred.T @ centred / len(x)  # (D, D)
            trace = covariance.diagonal().mean()
            eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
            matrix = inverse_root((1 - self.shrinkage) * covariance + self.shrinkage * trace * eye)
        return (centred @ matrix).float()

    @torch.no_grad()
    def fit(self, fresh: Tensor, known: Tensor) -> Tensor:
        """Fit on (N, D) and return them whitened.

        The covariance of N = 30 D items is off by a third along its worst axes, and those are the axes that give an
        embedding away. So the many `known` items, on which the model was trained, give the axes, and the `fresh` ones
        only correct them: by their covariance, shrunk as Ledoit & Wolf (2004) have it.
        """
        from sklearn.covariance import ledoit_wolf_shrinkage

        first_mean, first = _whitener(known.double(), 0.0)
        turned = (fresh.double() - first_mean) @ first
        share = ledoit_wolf_shrinkage(turned.cpu().numpy())
        second_mean, second = _whitener(turned, float(share))
        self.mean.copy_(first_mean + torch.linalg.solve(first.T, second_mean))
        self.matrix.copy_(first @ second)
        return (fresh - self.mean) @ self.matrix


def _whitener(x: Tensor, shrinkage: float) -> tuple[Tensor, Tensor]:
    """(D,) mean of (N, D), and the (D, D) inverse root of their covariance, shrunk towards a multiple of identity."""
    mean = x.mean(0)
    centred = x - mean
    covariance = centred.T @ centred / len(x)
    scale = covariance.diagonal().mean()
    eye = torch.eye(len(covariance), dtype=x.dtype, device=x.device)
    return mean, inverse_root((1 - shrinkage) * covariance + (shrinkage + 1e-6) * scale * eye)


class _InverseRoot(torch.autograd.Function):
    """Eigendecomposition forward; backward by divided differences (Daleckii & Krein 1965), finite at equal
    eigenvalues, where the gradient of the eigenvectors themselves is not.
    """

    @staticmethod
    def forward(context: Any, covariance: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(covariance)
        roots = values.clamp_min(values[-1] * 1e-7).sqrt()
        context.save_for_backward(roots, vectors)
        return (vectors / roots) @ vectors.T

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        roots, vectors = context.saved_tensors
        slopes = -1 / (roots.outer(roots) * (roots.unsqueeze(0) + roots.unsqueeze(1)))
        inner = vectors.T @ ((gradient + gradient.T) / 2) @ vectors
        return vectors @ (slopes * inner) @ vectors.T


def inverse_root(covariance: Tensor) -> Tensor:
    """covariance^(-1/2), (D, D), of a symmetric positive matrix."""
    result: Tensor = _InverseRoot.apply(covariance)
    return result


class RadialNorm(nn.Module):
    """Norms with mean and standard deviation of a Gaussian's, directions kept (Lyu & Simoncelli 2009, radially).

    Affine in the norm and increasing, so that of two passages in one direction the longer stays the longer.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.target = math.sqrt(dimensions - 0.5)  # mean of a chi variable, to first order
        self.register_buffer("centre", torch.tensor(self.target))
        self.register_buffer("spread", torch.tensor(math.sqrt(0.5)))
        self.centre: Tensor
        self.spread: Tensor

    def forward(self, x: Tensor) -> Tensor:  # (N, D) -> (N, D)
        norms = x.norm(dim=1, keepdim=True).clamp_min(1e-6)
        if self.training:
            centre, spread = norms.mean(), norms.std()
        else:
            centre, spread = self.centre, self.spread
        wanted = self.target + math.sqrt(0.5) * (norms - centre) / (spread + 1e-6)
        return x * (wanted.clamp_min(0.1 * self.target) / norms)

    @torch.no_grad()
    def fit(self, x: Tensor) -> Tensor:
        """Fit on (N, D) and return them with new norms."""
        norms = x.norm(dim=1)
        self.centre.copy_(norms.mean())
        self.spread.copy_(norms.std())
        training, self.training = self.training, False
        result: Tensor = self(x)
        self.training = training
        return result
