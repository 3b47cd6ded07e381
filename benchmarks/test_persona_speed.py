"""What attention in an update of SFT costs, forward and backward, in half precision as a trainer has it and in full.

Read ratios, not milliseconds: the machine is shared.
"""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from persona import attention  # noqa: E402

ROWS, HEADS, SIZE = 24, 4, 32


@pytest.mark.parametrize("length", [64, 133, 256])
@pytest.mark.parametrize("way", ["half", "full", "products"])
def test_attention_that_learns(benchmark, way, length):
    """torch's kernel in bf16 and in fp32, and two products in bf16, which are fast and round sharp heads."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(ROWS, HEADS, length, SIZE, generator=generator).requires_grad_() for _ in range(3))
    seen = torch.ones(length, length, dtype=torch.bool).tril().repeat(ROWS, 1, 1, 1)

    def attend():
        if way == "full":
            return attention._forward(torch.nn.Module(), q, k, v, seen)[0]
        if way == "half":
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        logits = (q.bfloat16() @ k.bfloat16().mT * SIZE**-0.5).masked_fill(~seen, -1e4)
        return logits.bfloat16().softmax(-1).bfloat16() @ v.bfloat16()

    def update():
        q.grad = k.grad = v.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            attend().float().square().sum().backward()
        return q.grad

    assert benchmark(update).abs().sum() > 0


@pytest.mark.parametrize("way", ["folded", "beside"])
def test_a_layer_with_adapters_that_learns(benchmark, way, monkeypatch):
    """Adapters of rank 64 on a layer of 128 to 384, 24 rows of 133 places: in its weight, and as PEFT has them."""
    from peft import LoraConfig, get_peft_model

    from persona import folded

    torch.manual_seed(0)
    options = LoraConfig(r=64, lora_alpha=64, target_modules=["0"])
    options._register_custom_module({torch.nn.Linear: folded.FoldedLinear})
    model = get_peft_model(torch.nn.Sequential(torch.nn.Linear(128, 384)), options)
    x = torch.randn(ROWS * 133, 128).requires_grad_()
    monkeypatch.setattr(folded, "folds", lambda *sizes: way == "folded")

    def update():
        x.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            model(x).float().square().sum().backward()
        return x.grad

    assert benchmark(update).abs().sum() > 0
