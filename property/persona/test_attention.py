"""Both ways of attending say the same, see the same places and learn the same; which is taken where is as said."""

from __future__ import annotations

import pytest
import torch

from persona import attention, tokens
from persona.model import Shape, build

UNSEEN_ROW = 2


def drawn(kind, heads=4, groups=4):
    """Queries, keys, values of (2, H or K, 5, 8), and whom the places see: not what comes later, and one nobody."""
    generator = torch.Generator().manual_seed(0)
    found = [torch.randn(2, count, 5, 8, generator=generator) for count in (heads, groups, groups)]
    seen = torch.ones(5, 5, dtype=torch.bool).tril().repeat(2, 1, 1, 1)
    seen[1, 0, UNSEEN_ROW] = False
    return [one.to(kind).requires_grad_() for one in found], seen


def by_hand(query, key, value, seen, scaling):
    """In double precision, one head after the other."""
    query, key, value = (one.detach().double().requires_grad_() for one in (query, key, value))
    share = query.shape[1] // key.shape[1]
    heads = []
    for head in range(query.shape[1]):
        logits = query[:, head] @ key[:, head // share].mT * scaling
        weights = logits.masked_fill(~seen[:, 0], -1e4).softmax(-1)
        heads.append(weights @ value[:, head // share])
    return (query, key, value), torch.stack(heads, 1)


@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize("scaling", [None, 0.7])
def test_products_are_softmax_attention_and_learn_like_it(groups, scaling):
    (query, key, value), seen = drawn(torch.bfloat16, groups=groups)
    found = attention.attend(query, key, value, seen, scaling)
    leaves, wanted = by_hand(query, key, value, seen, scaling or 8**-0.5)
    sighted = seen.any(-1)[..., None]  # what sees nothing says whatever: nobody asks it
    assert torch.allclose(found * sighted, (wanted * sighted).to(found.dtype), atol=2e-2)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)) * sighted
    (found * weight).sum().backward()
    (wanted * weight).sum().backward()
    for one, leaf in zip((query, key, value), leaves, strict=True):
        assert torch.allclose(one.grad.double(), leaf.grad, atol=4e-2)
        assert leaf.grad.abs().max() > 0.5


def test_a_place_that_sees_nothing_is_no_division_by_zero():
    (query, key, value), seen = drawn(torch.bfloat16)
    found = attention.attend(query, key, value, seen)
    found.float().sum().backward()
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(one.grad).all() for one in (query, key, value))


@pytest.fixture
def kernels(monkeypatch):
    """One entry for each time that the fused kernel is taken."""
    taken = []
    kernel = attention.scaled_dot_product_attention
    monkeypatch.setattr(attention, "scaled_dot_product_attention", lambda *a, **k: taken.append(1) or kernel(*a, **k))
    return taken


@pytest.mark.parametrize(
    ("kind", "autocast", "fused"),
    [
        (torch.bfloat16, False, False),
        (torch.float32, True, False),  # a trainer's: places are turned into queries and keys in fp32
        (torch.float32, False, True),
    ],
)
def test_the_fused_kernel_is_taken_but_in_half_precision(kernels, kind, autocast, fused):
    (query, key, value), seen = drawn(kind, groups=2)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = attention.attend(query, key, value, seen)
    assert bool(kernels) == fused
    assert found.dtype == (torch.bfloat16 if autocast else kind)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    shape = Shape(len(tokenizer), 32, 2, 2, 48, 256, induction=True)
    return build(shape, tokenizer.pad_token_id, tokenizer.eos_token_id, tokens.marks(tokenizer))


def test_a_model_learns_by_products_what_it_learns_by_the_kernel(model, tokenizer, kernels):
    rows = [(["i am a baker.", "oslo is my home."], ["hello!", "hi.", "your job?"]), ([], ["hello!"])]
    batch = tokens.padded(tokens.examples(tokenizer, rows, ["a baker, and you?", "hello."]))
    gradients = {}
    for name in (attention.NAME, "sdpa"):
        model.set_attn_implementation(name)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            model(**batch).loss.backward()
        gradients[name] = torch.cat([one.grad.flatten() for one in model.parameters()])
    assert not kernels
    ours, theirs = gradients.values()
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.999


def test_rows_without_a_section_are_causal(model, tokenizer):
    """A mask of transformers' own, as filled-up rows of a hub's format have it."""
    ids = torch.randint(5, len(tokenizer), (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    states = {}
    for name in (attention.NAME, "sdpa"):
        model.set_attn_implementation(name)
        with torch.autocast("cpu", torch.bfloat16):
            states[name] = model(input_ids=ids, attention_mask=mask).logits.float()
    assert torch.allclose(states[attention.NAME][0], states["sdpa"][0], atol=5e-2)
    assert torch.allclose(states[attention.NAME][1, :9], states["sdpa"][1, :9], atol=5e-2)
