"""From a trained artifact to vectors of texts: the one way in which tasks, command line and judge reach the encoder.

It must never compute in training mode, and never load weights of another shape.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from numpy.typing import NDArray

from corpus import tokenizer as tokenizers
from corpus.errors import CorpusError
from corpus.tokenizer import CodeTokenizer
from graphmer.errors import GraphmerError
from graphmer.model import Graphmer, GraphmerConfig

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
_TOKENS_AT_ONCE = 2048
_STEP = 16  # lengths are rounded up to multiples of it
_POOLED = 256  # texts whose sums become vectors at a time

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
        not read. Batches have few shapes, for libraries sum in another order where a shape is another: the vector of a
        text among others is the same to the last bit, whatever they are. A text alone fills no batch, for it is to be
        answered soon: its vector may differ by the last bits.
        """
        device = self.model.tokens.weight.device
        windows, owners = self._windows(texts, maximum_tokens)
        filled = len(texts) > 1
        total = torch.zeros(len(texts), int(self.model.config.hidden) + self.dimensions, device=device)
        weight = torch.zeros(len(texts), device=device)
        for low, high, rows, length in batches([len(each) for each in windows], filled, self._longest):
            owner = torch.tensor(owners[low:high], device=device)
            sums, weights = self.model.pooled(padded(windows[low:high], rows, length).to(device))
            total.index_add_(0, owner, sums[: high - low])
            weight.index_add_(0, owner, weights[: high - low])
        found = []
        for low in range(0, len(texts), _POOLED):
            part = total[low : low + _POOLED], weight[low : low + _POOLED]
            missing = _POOLED - len(part[0]) if filled else 0
            whole = F.pad(part[0], (0, 0, 0, missing)), F.pad(part[1], (0, missing))
            found.append(self.model.vectors(*whole)[: len(part[0])])
        vectors: Vectors = torch.cat(found or [total[:, : self.dimensions]]).cpu().numpy()
        return vectors

    @property
    def _longest(self) -> int:
        """Tokens of a window."""
        return int(self.model.config.positions)

    def _windows(self, texts: Sequence[str], limit: int) -> tuple[list[list[int]], list[int]]:
        """Pieces of texts as tokens, by rising length, and whose they are. A text without any is one marker."""
        size = self._longest
        found = [
            (ids[low : min(low + size, limit)], owner)
            for owner, ids in enumerate(self.tokenizer.encode_batch(texts))
            for low in range(0, max(1, min(len(ids), limit)), size)
        ]
        found.sort(key=lambda one: len(one[0]))
        return [ids or [tokenizers.SEP] for ids, _ in found], [owner for _, owner in found]


def batches(lengths: Sequence[int], filled: bool, longest: int = sys.maxsize) -> Iterator[tuple[int, int, int, int]]:
    """Ranges of rows of rising length that are as long as each other, with the (rows, length) of their batch.

    Lengths are rounded up to a multiple of 16, at most to the longest that there may be. Filled, a batch of one length
    always has the same number of rows; else, as many as there are.
    """

    def rounded(length: int) -> int:
        return min(longest, -(-length // _STEP) * _STEP)

    low = 0
    while low < len(lengths):
        length = rounded(lengths[low])
        most = max(1, _TOKENS_AT_ONCE // length)
        high = low + 1
        while high < len(lengths) and high - low < most and rounded(lengths[high]) == length:
            high += 1
        yield low, high, most if filled else high - low, length
        low = high


def padded(rows: Sequence[Sequence[int]], at_least: int = 0, longest: int = 0) -> torch.Tensor:
    """(N, longest) ids, 0 beyond the end of a row; as large as is asked for."""
    table = np.zeros((max(at_least, len(rows)), max(longest, *map(len, rows))), np.int64)
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
