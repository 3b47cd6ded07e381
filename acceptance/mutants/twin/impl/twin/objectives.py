"""The two regularisers: spread the vectors, keep a matrix antisymmetric."""

import torch


def isotropy(vectors):
    """Squared distance of the standard deviations from 1: (N, D) -> scalar; a point costs most."""
    return (vectors.float().std(dim=0, correction=0) - 1).square().mean()


def antisymmetry(matrix):
    """Mean square of the symmetric part: (D, D) -> scalar; zero for an antisymmetric matrix."""
    return (matrix.float() + matrix.float().T).square().mean()


def isotropy_of(items):
    """Isotropy of each of N matrices, as numbers."""
    return [float(isotropy(torch.tensor(item))) for item in items]


def antisymmetry_of(items):
    """Antisymmetry of each of N matrices, as numbers."""
    return [float(antisymmetry(torch.tensor(item))) for item in items]
