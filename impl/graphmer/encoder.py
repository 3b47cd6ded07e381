"""From a trained artifact to vectors of texts: the one way in which tasks, command line and judge reach the encoder.

It must never compute in training mode, and never load weights of another shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from corpus import tokenizer as tokenizers
from corpus.errors import CorpusError
from corpus.tokenizer import CodeTokenizer
from graphmer.errors import GraphmerError
from graphmer.model import Graphmer, GraphmerConfig

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
_TOKENS_AT_ONCE = 8192

Vectors = NDArray[np.float32]


class Encoder:
    """A model in evaluation mode with its tokenizer. Safe from several threads."""

    def __init__(self, model: Graphmer, tokenizer: CodeTokenizer) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer

    @classmethod
    def load(cls, directory: Path, *, device: str = "cpu") -> Encoder:
        """The trained model in a folder, on a device. GraphmerError where there is none, or its parts do not fit."""
        return cls._fitting(_model(Path(directory)).to(device), Path(directory))

    @classmethod
    def untrained(cls, directory: Path, seed: int = 0) -> Encoder:
        """The same model with weights drawn anew: what every learned figure stands beside."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Graphmer(_model(Path(directory)).config)
        return cls._fitting(model, Path(directory))

    @classmethod
    def _fitting(cls, model: Graphmer, directory: Path) -> Encoder:
        try:
            tokenizer = tokenizers.read(directory / TOKENIZER)
        except CorpusError as error:
            raise GraphmerError(str(error)) from None
        if len(tokenizer) != model.config.vocabulary:
            raise GraphmerError(
                f"{directory / TOKENIZER}: {len(tokenizer):,} entries, the model has {model.config.vocabulary:,} rows"
            )
        return cls(model, tokenizer)

    @property
    def dimensions(self) -> int:
        return int(self.model.config.dimensions)

    @torch.inference_mode()
    def vectors(self, texts: Sequence[str], *, maximum_tokens: int = 128) -> Vectors:
        """(N, dimensions) float32, not normalised: compare them by cosine.

        A text is read in windows of as many tokens as the model has positions; what lies beyond `maximum_tokens` is
        not read.
        """
        device = self.model.tokens.weight.device
        windows, owners = self._windows(texts, maximum_tokens)
        total = torch.zeros(len(texts), int(self.model.config.hidden) + self.dimensions, device=device)
        weight = torch.zeros(len(texts), device=device)
        for low, high in _batches([len(each) for each in windows]):
            owner = torch.tensor(owners[low:high], device=device)
            sums, weights = self.model.pooled(padded(windows[low:high]).to(device))
            total.index_add_(0, owner, sums)
            weight.index_add_(0, owner, weights)
        vectors: Vectors = self.model.vectors(total, weight).cpu().numpy()
        return vectors

    def _windows(self, texts: Sequence[str], limit: int) -> tuple[list[list[int]], list[int]]:
        """Pieces of texts as tokens, by rising length, and whose they are. A text without any is one marker."""
        size = int(self.model.config.positions)
        found = [
            (ids[low : min(low + size, limit)], owner)
            for owner, ids in enumerate(self.tokenizer.encode_batch(texts))
            for low in range(0, max(1, min(len(ids), limit)), size)
        ]
        found.sort(key=lambda one: len(one[0]))
        return [ids or [tokenizers.SEP] for ids, _ in found], [owner for _, owner in found]


def _batches(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of rows of rising length that hold at most `_TOKENS_AT_ONCE` tokens when padded."""
    low = 0
    while low < len(lengths):
        high = low + 1
        while high < len(lengths) and (high - low + 1) * lengths[high] <= _TOKENS_AT_ONCE:
            high += 1
        yield low, high
        low = high


def padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """(N, longest) ids, 0 beyond the end of a row."""
    table = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return torch.from_numpy(table)


def _model(directory: Path) -> Graphmer:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        model = Graphmer(GraphmerConfig.from_json_file(directory / "config.json"))
        model.load_state_dict(load_file(directory / WEIGHTS))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GraphmerError(
            f"{directory}: holds no trained model ({first}); train one: python -m graphmer train"
        ) from None
    return model
