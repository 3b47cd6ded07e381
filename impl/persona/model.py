"""The language models: a Llama of transformers built from a few numbers, and the memory that training one needs.

A small model learns to say again what it never saw only once it has induction heads (Olsson et al. 2022), and finding
them takes most of its training. So they are drawn, not found: the first layer starts with a head that looks one token
back and notes what stood there, the second with one that looks for a token whose note is the present token and says it
(mimetic initialisation, after Trockman & Kolter 2023). Layers above start with keys that are their queries, which looks
for places of like content: a question about a pet for the sentence about one. All of it is trained on like any other
weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from persona.errors import PersonaError

_SPREAD = 0.05  # standard deviation of what is drawn
_QUIET = 0.1  # factor on what a layer writes, so that at first tokens are louder than layers (cf. GPT-2)
_LOOK_BACK = 4.0  # how much the logit of the token before exceeds its neighbours'
_MATCH, _SAY = 2.0, 4.0  # gain of the search and of what is found
_ALIKE = 1.5  # gain of queries and keys that look for their like


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a model that is built here, not fetched."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    context: int  # tokens at most
    induction: bool  # start with a pair of induction heads


def build(shape: Shape, padding: int, end: int, marks: Mapping[str, int] | None = None) -> Any:
    """An untrained `LlamaForCausalLM` with tied embeddings. Draws from torch's generator.

    With `marks`, what a `SectionConfig` is told beside, it reads the sentences of a section apart (`persona.section`).
    """
    from transformers import AutoModelForCausalLM, LlamaConfig

    from persona import attention
    from persona.section import SectionConfig

    config = (SectionConfig if marks else LlamaConfig)(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        attention_bias=True,
        initializer_range=_SPREAD,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
        attn_implementation=attention.NAME,
        pad_token_id=padding,
        bos_token_id=None,
        eos_token_id=end,
        use_cache=False,
        **(marks or {}),
    )
    model = AutoModelForCausalLM.from_config(config)
    model.generation_config.use_cache = True  # in training there is nothing to keep; one who speaks goes on
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= _QUIET
            layer.mlp.down_proj.weight *= _QUIET
        if shape.induction:
            _induce(model)
    return model


def _induce(model: Any) -> None:
    """Make the first head of layer 0 look one token back, and the first of layer 1 find and say what came after.

    Rotary embedding turns the pair of frequency t at position p by p t. With query (1, 0) and key (cos t, sin t) the
    logit at distance d is the sum of cos((d - 1) t), largest at d = 1. Layer 0 copies a projection A of that token into
    a place B of the stream; layer 1 has query A and key B, so that it finds what came after the present token, and
    copies a projection C of it to where the output reads.
    """
    config = model.config
    if config.num_hidden_layers < 2:
        raise PersonaError("induction heads need a model of at least two layers")
    width = config.hidden_size
    size = width // config.num_attention_heads
    head = slice(0, size)
    frequency = 1.0 / config.rope_parameters["rope_theta"] ** (torch.arange(0, size, 2).float() / size)  # (size / 2,)
    strength = math.sqrt(_LOOK_BACK * math.sqrt(size) / float((1 - frequency.cos()).sum()))
    places = torch.linalg.qr(torch.randn(width, width))[0]  # (width, width), orthonormal
    read, note, say = (places[:, n * size : (n + 1) * size] for n in (0, 1, 1 if 3 * size > width else 2))
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    for projection in (first.q_proj, first.k_proj):
        projection.weight[head] *= 0.1
    first.q_proj.bias[head] = strength * torch.cat([torch.ones(size // 2), torch.zeros(size // 2)])
    first.k_proj.bias[head] = strength * torch.cat([frequency.cos(), frequency.sin()])
    first.v_proj.weight[head] = read.T
    first.o_proj.weight[:, head] = _SPREAD * note
    second.q_proj.weight[head] = _MATCH * read.T
    second.k_proj.weight[head] = _MATCH * note.T
    second.v_proj.weight[head] = say.T
    second.o_proj.weight[:, head] = _SPREAD * _SAY * say
    for layer in model.model.layers[2:]:
        layer.self_attn.q_proj.weight *= _ALIKE
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)


def memory_gib(model: Any, settings: Any) -> float:
    """GiB that the hungriest stage needs on one device, from shapes alone.

    PPO holds the policy with its adapters and the frozen reward model, trains a value model of the same size in full
    (weights, gradients and two moments in 4 bytes each), and keeps the activations of both for the backward pass. A
    block keeps about 17 width + 3 inner numbers a token and its attention weights (Korthikanti et al. 2022, section 4,
    without dropout), or its input alone with checkpointing; the logits of a token and their gradient are two
    vocabularies. SFT and the reward model train adapters alone, the latter on two responses a row.
    """
    config = model.config
    parameters = sum(p.numel() for p in model.parameters())
    width, layers = config.hidden_size, config.num_hidden_layers
    inner = getattr(config, "intermediate_size", None) or 4 * width
    heads, vocabulary = config.num_attention_heads, config.vocab_size
    bytes_each = 4 if settings.precision == "fp32" else 2

    def activations(rows: int) -> float:
        tokens = rows * settings.model.context
        block = width if settings.gradient_checkpointing else 17 * width + 3 * inner + heads * settings.model.context
        return tokens * (block * layers * bytes_each + 2 * 4 * vocabulary)

    def adapters(stage: Any) -> int:
        return stage.lora.rank * (4 * 2 * width + 3 * (width + inner)) * layers  # type: ignore[no-any-return]

    sft = 4 * parameters + 16 * adapters(settings.sft) + activations(settings.sft.batch)
    reinforce, rows = 0.0, settings.reinforce.batch // settings.reinforce.minibatches
    if settings.reinforce.updates:
        reinforce = (4 + 4 + 16) * parameters + 16 * adapters(settings.reinforce) + 2 * activations(rows)
    reward = 0.0
    if settings.reward.epochs:  # both responses of a pair, all their logits
        reward = 4 * parameters + 16 * adapters(settings.reward) + activations(2 * settings.reward.batch)
    return max(sft, reward, reinforce) / 2**30
