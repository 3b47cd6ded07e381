"""Attention is in full precision on a CPU, also where a trainer computes the rest in half of it."""

from __future__ import annotations

import pytest
import torch

from persona import attention, tokens
from persona.model import Shape, build


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    shape = Shape(len(tokenizer), 32, 2, 2, 48, 256, induction=True)
    return build(shape, tokenizer.pad_token_id, tokenizer.eos_token_id, tokens.marks(tokenizer))


@pytest.fixture
def kernels(monkeypatch):
    """What the fused kernel is given: dtypes of queries, keys and values, and whether there is a mask."""
    given = []
    kernel = torch.nn.functional.scaled_dot_product_attention

    def taken(query, key, value, attn_mask=None, **more):
        found = kernel(query, key, value, attn_mask=attn_mask, **more)
        given.append(({query.dtype, key.dtype, value.dtype, found.dtype}, attn_mask is not None))
        return found

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", taken)
    return given


def rows(tokenizer):
    persona = ["i am a baker.", "oslo is my home."]
    asked = [(persona, ["hello!", "hi.", "your job?"]), ([], ["hello!"])]
    return tokens.padded(tokens.examples(tokenizer, asked, ["a baker, and you?", "hello."]))


def test_a_trainer_in_half_precision_attends_in_full(model, tokenizer, kernels):
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**rows(tokenizer)).loss
    loss.backward()
    assert kernels == [({torch.float32}, True)] * 2  # a layer each
    assert all(torch.isfinite(one.grad).all() for one in model.parameters())


def test_a_model_in_half_precision_attends_in_full(model, tokenizer, kernels):
    found = model.to(torch.bfloat16)(**rows(tokenizer))
    assert kernels == [({torch.float32}, True)] * 2
    assert found.logits.dtype == torch.bfloat16


def test_rows_without_a_section_are_causal_in_full_precision_too(model, tokenizer, kernels):
    ids = torch.randint(5, len(tokenizer), (2, 12), generator=torch.Generator().manual_seed(0))
    changed = ids.clone()
    changed[:, 8:] = 5
    with torch.autocast("cpu", torch.bfloat16):
        first, second = (model(input_ids=each).logits[:, :8] for each in (ids, changed))
    assert torch.equal(first, second)
    assert kernels == [({torch.float32}, False)] * 4


def test_sharp_attention_is_not_rounded():
    """Logits far apart, as induction heads make them: in bf16 the kernel errs by a hundred times as much."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 4, 40, 32, generator=generator) for _ in range(3))
    query = query * 8
    weights = (query.double() @ key.double().mT * 32**-0.5).tril()
    weights = weights.masked_fill(~torch.ones(40, 40, dtype=torch.bool).tril(), -torch.inf).softmax(-1)
    wanted = (weights @ value.double()).transpose(1, 2)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = attention._forward(torch.nn.Module(), query, key, value, None, is_causal=True)
        half = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
    error, usual = ((each.double() - wanted).abs().max() for each in (found, half))
    assert error < 1e-4
    assert usual > 100 * error
