"""What each choice for speed is worth, beside its alternative in the same run: one training step of the cpu profile's
shape, and the vector of 512 tokens.

Read ratios, not milliseconds: the machine is shared.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch.nn.functional as F  # noqa: E402, N812 (its usual name)

from graphmer.model import Graphmer, GraphmerConfig, attend  # noqa: E402

ROWS, LENGTH, LEAF = 8, 128, 8


def chains():
    """Rows of one chain each: 80 roots, six leaves of eight tokens."""
    roots = LENGTH - 6 * LEAF
    places = [0] * roots + [*range(1, LEAF + 1)] * 6
    anchors = [*range(roots), *(10 * leaf for leaf in range(6) for _ in range(LEAF))]
    relations = [0] * roots + [leaf + 1 for leaf in range(6) for _ in range(LEAF)]
    table = {"segments": [1] * LENGTH, "anchors": anchors, "relation_ids": relations, "leaf_places": places}
    return {name: torch.tensor([column] * ROWS) for name, column in table.items()}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Graphmer(GraphmerConfig(positions=192, dropout=0.0, laws={"acyclic": [1]}))


@pytest.fixture(scope="module")
def ids():
    return torch.randint(5, 8000, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))


def step(model, ids, hidden, precision="fp32"):
    """Forward and backward of the hidden tokens' loss; `hidden` is how many a row."""
    model.zero_grad()
    at = torch.arange(hidden) * (LENGTH // hidden)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        states = model.encode(ids, **chains())
        logits = model.predict(states[:, at].flatten(0, 1))
    F.cross_entropy(logits.float(), ids[:, at].flatten()).backward()
    return model.tokens.weight.grad


@pytest.mark.parametrize("positions", ["hidden", "all"])
def test_logits_at_hidden_positions_against_all(benchmark, model, ids, positions):
    """A fifth of the positions or every one: the output layer has 8,000 rows."""
    grad = benchmark(step, model, ids, LENGTH // 4 if positions == "hidden" else LENGTH)
    assert grad.abs().sum() > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision(benchmark, model, ids, precision):
    """bf16 pays where the processor multiplies it natively, and costs severalfold elsewhere."""
    grad = benchmark(step, model, ids, LENGTH // 4, precision)
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize("bias", [True, False])
def test_attention_bias(benchmark, ids, bias):
    """What the relation-aware bias costs: a table of heads, relations and distances, looked up for each pair."""
    torch.manual_seed(0)
    model = Graphmer(GraphmerConfig(positions=192, dropout=0.0, bias=bias, laws={"acyclic": [1]}))
    grad = benchmark(step, model, ids, LENGTH // 4)
    assert grad.abs().sum() > 0


@pytest.mark.parametrize("way", ["fused", "by-hand"])
def test_attention_with_a_mask(benchmark, way):
    """torch's scaled-dot-product attention with the bias as its mask, against three operations; answers only."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, ROWS, 4, 512, 32, generator=generator)
    mask = torch.randn(ROWS, 4, 512, 512, generator=generator)

    @torch.inference_mode()
    def attend():
        if way == "fused":
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return torch.softmax(q @ k.transpose(2, 3) / 32**0.5 + mask, dim=3) @ v

    expected = torch.softmax(q @ k.transpose(2, 3) / 32**0.5 + mask, dim=3) @ v
    assert torch.allclose(benchmark(attend), expected, atol=1e-4)


@pytest.mark.parametrize("way", ["torch", "products"])
def test_attention_with_a_mask_that_learns(benchmark, way):
    """The same forward and backward, in bf16: torch's against the model's own."""
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(ROWS, 4, LENGTH, 32, generator=generator) for _ in range(3)]
    given.append(torch.randn(ROWS, 4, LENGTH, LENGTH, generator=generator))
    parts = [each.bfloat16().requires_grad_() for each in given]

    def gradients():
        for part in parts:
            part.grad = None
        q, k, v, mask = parts
        (
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask) if way == "torch" else attend(q, k, v, mask)
        ).sum().backward()
        return [part.grad.float() for part in parts]

    exact = [each.clone().requires_grad_() for each in given]
    F.scaled_dot_product_attention(*exact[:3], attn_mask=exact[3]).sum().backward()
    for found, wanted in zip(benchmark(gradients), exact, strict=True):
        assert (found - wanted.grad).norm() < 0.05 * wanted.grad.norm()


@pytest.mark.parametrize("windows", ["windows", "one-row"])
def test_vector_of_512_tokens(benchmark, windows):
    """Four windows of 128 tokens, as texts are read, against one row of 512."""
    torch.manual_seed(0)
    model = Graphmer(GraphmerConfig(positions=512, dropout=0.0, laws={"acyclic": [1]})).eval()
    ids = torch.randint(5, 8000, (1, 512), generator=torch.Generator().manual_seed(0))
    rows = ids.view(4, 128) if windows == "windows" else ids

    @torch.inference_mode()
    def vector():
        total, weight = model.pooled(rows)
        return model.vectors(total.sum(0, keepdim=True), weight.sum(0, keepdim=True))

    assert benchmark(vector).shape == (1, 128)
