"""Laws of SIGReg and of the layers that make embeddings Gaussian: collapse is punished, N(0, I) is not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.metrics import geometry

torch = pytest.importorskip("torch")

from ragcun import gaussian  # noqa: E402

N, D = 2048, 32


@pytest.fixture(scope="module")
def normal():
    return torch.randn(N, D, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def slices():
    return gaussian.directions(D, 256, torch.Generator().manual_seed(6))


def expected():
    """Closed form for N(0, 1): the integral of (1 - exp(-t^2)) exp(-t^2 / 2) over [-3, 3]."""
    wide, narrow = (math.sqrt(2 * math.pi / k) * math.erf(3 * math.sqrt(k / 2)) for k in (1, 3))
    return wide - narrow


def excess(embeddings, slices):
    """Mean over slices of (T - E[T]) / N."""
    return (gaussian.epps_pulley(embeddings @ slices) - expected()).mean() / len(embeddings)


def test_a_gaussian_has_no_excess_whatever_n_and_d():
    for n, d in ((500, 4), (4000, 64)):
        x = torch.randn(n, d, generator=torch.Generator().manual_seed(n))
        assert abs(float(excess(x, gaussian.directions(d, 512)))) < 3 / n


@pytest.mark.parametrize(
    "broken",
    [
        lambda x: 0.5 * x,
        lambda x: 0.01 * x,
        lambda x: 2 * x,
        lambda x: x + 0.8,
        lambda x: x * torch.tensor([1.0, 0.0]).repeat(D // 2),
        lambda x: x.sign(),
        lambda x: x * torch.exp(torch.randn(N, 1, generator=torch.Generator().manual_seed(1))),
    ],
    ids=["shrunken", "collapsed", "blown-up", "cone", "half-rank", "corners", "heavy-tailed"],
)
def test_everything_else_scores_worse(normal, slices, broken):
    axes = torch.cat([slices, torch.eye(D)], dim=1)
    assert excess(broken(normal), axes) > excess(normal, axes) + 1e-3


def test_smaller_is_worse_all_the_way_to_a_point(normal, slices):
    """No reward for shrinking: the excess grows monotonically as the batch collapses."""
    values = [float(excess(scale * normal, slices)) for scale in (1.0, 0.8, 0.5, 0.2, 0.05, 0.0)]
    assert values == sorted(values)


def test_the_gradient_pushes_a_collapsed_batch_apart(normal, slices):
    scale = torch.tensor(0.3, requires_grad=True)
    excess(scale * normal, slices).backward()
    assert scale.grad < 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 3), st.floats(-1, 1))
def test_agrees_with_the_judges_own_implementation(seed, scale, shift):
    """Two implementations, one in torch and one in numpy, written apart."""
    x = torch.randn(200, 6, generator=torch.Generator().manual_seed(seed)) * scale + shift
    theirs = geometry.sigreg(x.numpy().astype(np.float64), slices="axes")
    assert float(excess(x, torch.eye(6))) == pytest.approx(theirs, abs=1e-5)


def correlated(n: int, d: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=generator) + 2 * torch.eye(d)
    return torch.randn(n, d, generator=generator) @ mixing + 3


def test_whitening_gives_identity_covariance_in_both_modes():
    x = correlated(4000, 8, 0)
    layer = gaussian.Whitening(8, shrinkage=0.0).train()
    batch = layer(x)
    assert torch.allclose(torch.cov(batch.T), torch.eye(8), atol=0.02)
    fitted = layer.fit(x, x)
    assert torch.allclose(torch.cov(fitted.T), torch.eye(8), atol=1e-3)
    assert torch.allclose(layer.eval()(x), fitted, atol=1e-5)
    assert torch.allclose(batch, fitted, atol=0.05)  # what training sees is what evaluation gives


def test_whitening_of_one_row_does_not_depend_on_its_company():
    layer = gaussian.Whitening(8)
    layer.fit(correlated(500, 8, 1), correlated(900, 8, 3))
    x = correlated(10, 8, 2)
    assert torch.allclose(layer.eval()(x)[:1], layer(x[:1]), atol=1e-5)


def test_known_items_give_the_axes_that_few_fresh_ones_cannot():
    """Known ones are twice as wide and shifted, as embeddings are that a model was trained on."""
    covariance_root = correlated(64, 64, 7) + 4 * torch.eye(64)
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        return torch.randn(count, 64, generator=generator) @ covariance_root

    fresh, known, others = draw(1000), 2 * draw(20_000) + 1, draw(50_000)
    alone, together = gaussian.Whitening(64).eval(), gaussian.Whitening(64).eval()
    alone.fit(fresh, fresh)
    together.fit(fresh, known)
    few, both = (torch.linalg.eigvalsh(torch.cov(layer(others).T)) for layer in (alone, together))
    assert few[-1] > 1.4  # Marchenko & Pastur: (1 +- sqrt(64 / 1000))^-2
    assert few[0] < 0.7
    assert both.tolist() == pytest.approx([1.0] * 64, abs=0.15)
    assert together(others).mean(0).abs().max() < 0.15


def test_inverse_root_against_the_eigendecomposition():
    covariance = torch.cov(correlated(500, 6, 3).T)
    values, vectors = torch.linalg.eigh(covariance)
    exact = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    assert torch.allclose(gaussian.inverse_root(covariance), exact, atol=1e-3)
    assert torch.allclose(exact @ covariance @ exact, torch.eye(6), atol=1e-3)


@pytest.mark.parametrize("spectrum", [(1.0, 2.0, 5.0), (1.0, 1.0, 1.0), (3.0, 3.0, 0.5)])
def test_its_gradient_is_right_at_equal_eigenvalues_too(spectrum):
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))
    covariance = (rotation * torch.tensor(spectrum, dtype=torch.float64)) @ rotation.T

    def root(x):
        return gaussian.inverse_root((x + x.T) / 2)

    assert torch.autograd.gradcheck(root, covariance.requires_grad_())


def test_norms_become_those_of_a_gaussian_and_keep_their_order():
    x = torch.randn(3000, D) * torch.exp(0.5 * torch.randn(3000, 1))
    layer = gaussian.RadialNorm(D).train()
    for y in (layer(x), layer.fit(x), layer.eval()(x)):
        norms = y.norm(dim=1)
        assert norms.mean() == pytest.approx(math.sqrt(D - 0.5), abs=0.05)
        assert norms.std() == pytest.approx(math.sqrt(0.5), abs=0.05)
        assert torch.nn.functional.cosine_similarity(x, y).min() > 0.9999
    order = x.norm(dim=1).argsort()
    assert (layer(x).norm(dim=1)[order].diff() > -1e-4).all()
