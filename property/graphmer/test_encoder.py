"""A vector is the text's alone: to the last bit it is the same whatever else was asked, and in whatever order."""

from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from corpus import tokenizer as tokenizers  # noqa: E402
from graphmer.encoder import Encoder  # noqa: E402
from graphmer.model import Graphmer, GraphmerConfig  # noqa: E402
from graphmer.tasks.features import cosines, unit  # noqa: E402


@pytest.fixture(scope="module")
def encoder():
    """Of the size that is judged: in a smaller one, libraries sum in one order only."""
    torch.manual_seed(0)
    tokenizer = tokenizers.train(["def read(path): return path", "class Row: pass"], 280)
    return Encoder(Graphmer(GraphmerConfig(vocabulary=len(tokenizer), positions=192)), tokenizer)


@pytest.fixture(scope="module")
def texts():
    rng = random.Random(0)
    return ["".join(rng.choice("abcdef (\n") for _ in range(rng.randrange(1, 260))) for _ in range(120)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [2, 50])
def test_a_vector_is_the_same_in_any_company(encoder, texts, threads, count):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = encoder.vectors(texts, maximum_tokens=256)
        chosen = random.Random(count).sample(range(len(texts)), count)
        assert (encoder.vectors([texts[i] for i in chosen], maximum_tokens=256) == whole[chosen]).all()
    finally:
        torch.set_num_threads(before)


def test_a_text_alone_differs_by_the_last_bits_at_most(encoder, texts):
    whole = encoder.vectors(texts[:20])
    alone = np.concatenate([encoder.vectors([text]) for text in texts[:20]])
    np.testing.assert_allclose(alone, whole, atol=1e-6)
    assert encoder.vectors([]).shape == (0, encoder.dimensions)


def test_a_text_alone_fills_no_batch(encoder, monkeypatch):
    shapes = []
    pooled = encoder.model.pooled
    monkeypatch.setattr(encoder.model, "pooled", lambda ids: (shapes.append(tuple(ids.shape)), pooled(ids))[1])
    encoder.vectors(["a" * 20])
    encoder.vectors(["a" * 20, "b" * 20])
    assert shapes[0][0] == 1
    assert shapes[1][0] > 1
    assert {width % 16 for _, width in shapes} == {0}


def test_a_window_is_never_longer_than_the_model_reads(texts):
    tokenizer = tokenizers.train(["def read(path): return path", "class Row: pass"], 280)
    encoder = Encoder(Graphmer(GraphmerConfig(vocabulary=len(tokenizer), hidden=16, positions=20)), tokenizer)
    assert np.isfinite(encoder.vectors(texts[:10], maximum_tokens=50)).all()


@pytest.mark.parametrize("count", [1, 5, 64, 100])
def test_a_cosine_is_the_same_in_any_company(count):
    rng = np.random.default_rng(0)
    asked, known = (unit(rng.standard_normal((n, 128)).astype(np.float32)) for n in (300, 3000))
    whole = cosines(asked, known)
    np.testing.assert_allclose(whole, asked.astype(float) @ known.astype(float).T, atol=1e-6)
    chosen = rng.permutation(300)[:count]
    assert (cosines(asked[chosen], known) == whole[chosen]).all()
