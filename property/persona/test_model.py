"""Induction heads are there before training; memory is counted from shapes."""

from __future__ import annotations

import pytest
import torch

from persona.config import Settings, merge_configs
from persona.errors import PersonaError
from persona.model import Shape, build, memory_gib
from persona.pretrain import induction
from property.persona.conftest import PROFILE

SHAPE = {"vocabulary": 600, "width": 96, "layers": 2, "heads": 3, "inner": 96, "context": 128}


def made(**changes):
    torch.manual_seed(0)
    return build(Shape(**{**SHAPE, "induction": True, **changes}), 0, 1)


def test_an_untrained_model_says_again_what_it_never_saw():
    chance = 1 / SHAPE["vocabulary"]
    assert induction(made(), SHAPE["vocabulary"]) > 20 * chance
    assert induction(made(induction=False), SHAPE["vocabulary"]) < 5 * chance


def test_the_first_head_looks_one_token_back():
    model = made()
    model.set_attn_implementation("eager")
    ids = torch.randint(5, 600, (1, 24))
    seen = model(input_ids=ids, output_attentions=True).attentions[0][0, 0]  # (T, T) of head 0
    assert seen[2:].argmax(-1).tolist() == list(range(1, 23))


def test_upper_layers_look_for_their_like():
    """Twelve random states, each there twice, side by side: the twin gets more attention than others do."""
    torch.manual_seed(1)
    states = torch.randn(12, 96).repeat_interleave(2, 0)[None]
    attention = made(layers=3).model.layers[2].self_attn
    query, key = (project(states)[0].view(24, 3, 32) for project in (attention.q_proj, attention.k_proj))
    logits = torch.einsum("qhd,khd->hqk", query, key)
    assert (logits[:, 1::2].topk(2).indices.sort().values[..., 0] == torch.arange(0, 24, 2)).all()


def test_heads_need_two_layers():
    with pytest.raises(PersonaError, match="two layers"):
        made(layers=1)


def test_memory_grows_with_the_batch_and_shrinks_with_checkpointing():
    model = made()

    def needed(**changes):
        return memory_gib(model, Settings.read(merge_configs(PROFILE, changes)))

    small, large = needed(), needed(sft={"batch": 800})
    assert small < large
    assert needed(sft={"batch": 800}, gradient_checkpointing=True) < large


def test_memory_of_a_known_model_by_hand():
    """Without reinforcement: 4 bytes a weight, 16 an adapter's weight, activations and logits of the batch."""
    model = made()
    config = merge_configs(
        PROFILE, {"reinforce": {"updates": 0}, "reward": {"epochs": 0}, "sft": {"batch": 2, "lora": {"rank": 4}}}
    )
    weights = 4 * sum(p.numel() for p in model.parameters())
    adapters = 16 * 2 * 4 * (4 * (96 + 96) + 3 * (96 + 96))
    block = 17 * 96 + 3 * 96 + 3 * 256
    activations = 2 * 256 * (2 * block * 4 + 2 * 4 * 600)
    assert memory_gib(model, Settings.read(config)) * 2**30 == weights + adapters + activations
    rewarded = merge_configs(config, {"reward": {"epochs": 1, "batch": 3, "lora": {"rank": 4}}})  # six responses
    assert memory_gib(model, Settings.read(rewarded)) * 2**30 == weights + adapters + 3 * activations


@pytest.mark.parametrize(
    ("profile", "millions", "shape"),
    [
        (
            "t4x2",
            135,
            {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9},
        ),
        (
            "cuda",
            362,
            {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15},
        ),
    ],
)
def test_a_profile_fits_its_device(profile, millions, shape):
    """The shape of its SmolLM2, without the weights: 49,152 entries, one key for three heads."""
    import tomllib
    from pathlib import Path

    from transformers import LlamaConfig, LlamaForCausalLM

    spec = Path(__file__).parents[2] / "spec" / "persona.toml"
    settings = Settings.read(tomllib.loads(spec.read_text(encoding="utf-8"))["profile"][profile])
    heads = shape["num_attention_heads"] // 3
    with torch.device("meta"):
        config = LlamaConfig(vocab_size=49152, num_key_value_heads=heads, tie_word_embeddings=True, **shape)
        model = LlamaForCausalLM(config)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(millions * 1e6, rel=0.01)
    assert 2 < memory_gib(model, settings) < settings.memory_gib
