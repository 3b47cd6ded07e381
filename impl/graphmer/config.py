"""One profile of the specification as a frozen record: every field is a key there, and every key is read.

It must never hold a default: what a profile leaves out is an error, not a surprise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from graphmer.errors import GraphmerError

ABOUT = "training.json"
"""In an artifact: the settings that it was trained with, and how that went."""

PRECISIONS = ("native", "bf16", "fp32")
DEVICES = ("cpu", "cuda", "mps", "tpu")
_NATIVE_BF16 = {"amx_bf16", "avx512_bf16", "bf16"}  # x86 matrix and vector units, Arm


@dataclass(frozen=True, slots=True)
class Settings:
    """What is trained, on what, how long."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    dimensions: int  # of the vectors of texts
    vocabulary: int  # entries of the tokenizer: rows of every embedding and output matrix
    dropout: float
    word_dropout: float  # share of the words that bags leave out in training
    bias: bool  # relation-aware attention bias
    leaves: bool  # facts on the chain
    constrained_negatives: bool  # only entities that the ontology allows and that are no known answer
    lengths: tuple[int, ...]  # tokens of a row, first and then
    short_share: float  # of the training, with the first of them
    roots: float  # share of a row that one chain's own tokens may take
    mlm_share: float
    mnm_share: float
    mlm_weight: float
    mnm_weight: float
    link_weight: float
    ontology_weight: float
    rows: int  # of packed chains in a batch
    epochs: int  # over the records of the graph
    updates: int  # at most; 0: as many as the batches give
    align_epochs: int  # over the pairs
    align_from: float  # share of the training after which batches of pairs come between the others
    align_batch: int
    word_epochs: int  # over the pairs as bags of words, before
    word_batch: int
    query_length: int
    target_length: int
    embedding_learning_rate: float  # of the rows of the vocabulary: each is in few batches
    word_learning_rate: float  # of those of the bags of words
    matrix_learning_rate: float  # of the matrices of linear layers
    orthogonal: bool  # Muon moves them; else AdamW, as everything else
    learning_rate: float  # of everything else
    weight_decay: float
    warmup_share: float
    gradient_norm: float
    accumulation: int
    gradient_checkpointing: bool
    evaluations: int
    tensorboard: bool
    device: str
    precision: str
    threads: int
    seed: int

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """From the plain mapping of a profile. GraphmerError names a key that is missing or has no such value."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in config:
                raise GraphmerError(f'the profile has no key "{field.name}"')
            values[field.name] = _KINDS[str(field.type)](config[field.name])
        settings = cls(**values)
        settings._check()
        return settings

    @classmethod
    def of(cls, artifact: Path) -> Settings:
        """What an artifact was trained with. GraphmerError where that is not written."""
        path = artifact / ABOUT
        try:
            return cls.read(json.loads(path.read_text(encoding="utf-8"))["settings"])
        except (OSError, ValueError, KeyError) as error:
            raise GraphmerError(f"{path}: cannot be read ({error}); train again: python -m graphmer train") from None

    def _check(self) -> None:
        if self.precision not in PRECISIONS:
            raise GraphmerError(f'precision = "{self.precision}": known are {", ".join(PRECISIONS)}')
        if self.device not in DEVICES:
            raise GraphmerError(f'device = "{self.device}": known are {", ".join(DEVICES)}')
        if not self.lengths or list(self.lengths) != sorted(self.lengths):
            raise GraphmerError(f"lengths = {list(self.lengths)}: the curriculum goes from short to long")
        if self.hidden % self.heads:
            raise GraphmerError(f"hidden = {self.hidden} does not divide into heads = {self.heads}")

    @property
    def numbers(self) -> Literal["bf16", "fp32"]:
        """The type of the numbers in matrix products. "native" is bf16 where the device multiplies it, else fp32."""
        if self.precision == "native":
            return "bf16" if _multiplies_bf16(self.device) else "fp32"
        return "bf16" if self.precision == "bf16" else "fp32"


_KINDS: Mapping[str, Any] = {
    "int": int, "float": float, "bool": bool, "str": str, "tuple[int, ...]": lambda value: tuple(map(int, value)),
}  # fmt: skip


def _multiplies_bf16(device: str) -> bool:
    import torch

    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in _NATIVE_BF16)
    return device == "tpu"


def profile(spec: Path, name: str, assignments: Mapping[str, str]) -> dict[str, Any]:
    """The table [profile.NAME] of a specification with some values replaced, as text from a command line.

    GraphmerError for a missing profile, an unknown key or a value of another type.
    """
    import tomllib

    try:
        profiles = tomllib.loads(spec.read_text(encoding="utf-8")).get("profile", {})
    except tomllib.TOMLDecodeError as error:
        raise GraphmerError(f"{spec}: {error}") from None
    if name not in profiles:
        raise GraphmerError(f"{spec}: no table [profile.{name}] (profiles: {', '.join(profiles)})")
    config: dict[str, Any] = dict(profiles[name])
    for key, text in assignments.items():
        if key not in config:
            raise GraphmerError(f"--set {key}={text}: the profile has no such key; known are {', '.join(config)}")
        try:
            value = tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError:
            value = text  # a word: no need to quote it twice
        if type(value) is not type(config[key]):
            raise GraphmerError(f"--set {key}={text}: the value must be {type(config[key]).__name__}")
        config[key] = value
    return config
