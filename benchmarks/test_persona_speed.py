"""What attention in an update of SFT costs, forward and backward: torch's fused kernel against three products.

Read ratios, not milliseconds: the machine is shared.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from persona.attention import attend  # noqa: E402

ROWS, HEADS, SIZE = 24, 4, 32


@pytest.mark.parametrize("length", [64, 133, 256])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("way", ["fused", "products"])
def test_attention_that_learns(benchmark, way, precision, length):
    """Products win in bf16 alone, where the kernel is slower than in fp32; in fp32 the model takes it, too."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(ROWS, HEADS, length, SIZE, generator=generator).to(dtype).requires_grad_() for _ in range(3))
    seen = torch.ones(length, length, dtype=torch.bool).tril().repeat(ROWS, 1, 1, 1)

    def fused():
        return scaled_dot_product_attention(q, k, v, attn_mask=seen)

    def products():
        return attend(q, k, v, seen)

    def update():
        q.grad = k.grad = v.grad = None
        (fused() if way == "fused" else products()).float().square().sum().backward()
        return q.grad

    assert benchmark(update).abs().sum() > 0
