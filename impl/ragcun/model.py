"""The encoder of queries and passages, and the loss that makes its embeddings Gaussian.

Text ids -> base features -> projection -> whitening, per side. Two embeddings are compared by squared Euclidean
distance, here and in the index alike. It must never normalise an embedding to unit length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.utils import ModelOutput

from ragcun import gaussian

SIDES = ("query", "passage")


class Base(Protocol):
    """Features of text: `encode` makes ids of texts, calling the module makes features of ids."""

    width: int

    def encode(self, texts: Sequence[str], length: int) -> Tensor: ...  # (N, L) ids, 0 beyond the end
    def save(self, folder: Path) -> None: ...


@dataclass
class Output(ModelOutput):
    """`loss` is the sum of `losses`."""

    loss: Tensor | None = None
    losses: Mapping[str, Tensor] | None = None


def squared_distances(queries: Tensor, passages: Tensor, squares: Tensor | None = None) -> Tensor:
    """(N, M) squared Euclidean distances of (N, D) and (M, D): the one definition of the score, smaller is nearer.

    `squares` are the (M,) squared lengths of the passages, where they are known.
    """
    cross = queries @ passages.T
    known = passages.square().sum(1) if squares is None else squares
    return queries.square().sum(1, keepdim=True) + known - 2 * cross


class StaticBase(nn.Module):
    """Sum of the embeddings of distinct tokens over the root of their number: no order, no context, and cheap.

    Those of the name that a text defines count `emphasis` times, as a title would.
    """

    padding = 0

    def __init__(self, tokenizer: Any, entries: int, width: int, dropout: float, emphasis: int = 1) -> None:
        super().__init__()
        self.tokenizer, self.width, self.dropout, self.emphasis = tokenizer, width, dropout, emphasis
        self.embedding = nn.Embedding(entries, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(width))
        with torch.no_grad():
            self.embedding.weight[0].zero_()

    @torch.no_grad()
    def weigh(self, ids: Tensor) -> None:
        """Start with embeddings as long as the inverse document frequencies in (N, L) ids, relative to their mean."""
        counts = torch.bincount(ids.reshape(-1).long(), minlength=len(self.embedding.weight))
        frequency = torch.log(len(ids) / (counts + 1) + 1)
        self.embedding.weight.mul_((frequency / frequency.mean()).clamp(0.05, 3).unsqueeze(1))

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        from ragcun import tokens

        entries = self.embedding.num_embeddings
        return torch.from_numpy(tokens.encode(self.tokenizer, texts, length, entries, self.emphasis))

    def save(self, folder: Path) -> None:
        """Write what `load` needs besides the weights."""
        self.tokenizer.save(str(folder / "tokenizer.json"))

    def forward(self, ids: Tensor) -> Tensor:  # (N, L) -> (N, W)
        kept = ids != self.padding
        if self.training and self.dropout:
            kept = kept & (torch.rand(ids.shape, device=ids.device) >= self.dropout)
        count = kept.sum(1)
        # flat: a padded bag costs three times as much
        starts = count.cumsum(0) - count
        total = F.embedding_bag(ids[kept], self.embedding.weight, starts.to(ids.dtype), mode="sum")
        return total / (count + 1e-6).sqrt().unsqueeze(1)


class Gaussianise(nn.Module):
    """Whitening, then the norms of a Gaussian, then whitening of what that left: linear but for the norms.

    In training the batch's own statistics act, and only in the first two steps; in evaluation those of `fit`.
    """

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            [gaussian.Whitening(dimensions), gaussian.RadialNorm(dimensions), gaussian.Whitening(dimensions)]
        )

    def forward(self, x: Tensor) -> Tensor:  # (N, D) -> (N, D)
        for step in self.steps[:2] if self.training else self.steps:
            x = step(x)
        return x

    @torch.no_grad()
    def fit(self, fresh: Tensor, known: Tensor) -> None:
        """Fit on (N, D) that training did not see and (M, D) that it saw (see `Whitening.fit`)."""
        whiten, norms, again = self.steps
        fresh, known = whiten.fit(fresh, known), whiten(known)
        fresh, known = norms.fit(fresh), norms(known)
        again.fit(fresh, known)


class Encoder(nn.Module):
    """Embeddings of queries and passages, and the loss over a batch of pairs with hard negatives.

    Args:
        base: features of text.
        dimensions: D of the embeddings.
        isotropy: weight of SIGReg; 0 switches it off.
        regularisation: weight of the penalty on the scale of what the projection gives.
        prediction: weight of a JEPA-style predictor of the passage's embedding from the query's; 0: there is none.
        whitening: whether embeddings are whitened inside the model.
        slices: random directions that SIGReg looks at in an update.
    """

    def __init__(
        self,
        base: Any,
        dimensions: int,
        isotropy: float,
        regularisation: float,
        prediction: float,
        whitening: bool,
        slices: int,
    ) -> None:
        super().__init__()
        self.base = base
        self.dimensions, self.slices, self.whitening = dimensions, slices, whitening
        self.weights = {"isotropy": isotropy, "regularisation": regularisation, "prediction": prediction}
        self.projection = nn.Linear(base.width, dimensions, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.predictor = nn.Linear(dimensions, dimensions) if prediction else None
        self.gaussianise = nn.ModuleDict({side: Gaussianise(dimensions) for side in SIDES}) if whitening else None
        self.checkpointing = False

    def gradient_checkpointing_enable(self, *options: Any, **more: Any) -> None:
        """Recompute the base's activations in the backward pass instead of keeping them; the name is `Trainer`'s."""
        self.checkpointing = True

    def features(self, ids: Tensor) -> Tensor:  # (N, L) ids, or (N, W) features computed before
        ids = ids.to(self.log_scale.device)  # texts are encoded on the host
        if ids.is_floating_point():
            return ids
        if self.checkpointing and self.training:
            result: Tensor = checkpoint(self.base, ids, use_reentrant=False)
            return result
        result = self.base(ids)
        return result

    def project(self, ids: Tensor) -> Tensor:  # -> (N, D), before whitening
        projected: Tensor = self.projection(self.features(ids))
        return projected.float()

    def embed(self, ids: Tensor, side: str) -> Tensor:
        """(N, D) embeddings of the ids (or features) of one side."""
        return self.whitened(self.project(ids), side)

    def whitened(self, projected: Tensor, side: str) -> Tensor:
        if self.gaussianise is None:
            return projected
        result: Tensor = self.gaussianise[side](projected)
        return result

    @torch.no_grad()
    def fit(self, fresh: Sequence[Sequence[Tensor]], known: Sequence[Sequence[Tensor]]) -> None:
        """Fit the whitening of both sides on chunks of ids (or features): of queries, then of passages."""
        if self.gaussianise is None:
            return
        training = self.training
        self.eval()
        for place, side in enumerate(SIDES):
            parts = [torch.cat([self.project(chunk) for chunk in chunks[place]]) for chunks in (fresh, known)]
            self.gaussianise[side].fit(*parts)
        self.train(training)

    def forward(
        self,
        record_id: Sequence[str],
        input_ids: Tensor,
        widths: Tensor,
        labels: Tensor,
        clashes: Tensor | None = None,
    ) -> Output:
        """Loss of B pairs.

        Args:
            record_id: B names; the loss does not use them.
            input_ids: (B, sum of widths) ids (or features) of query, passage and, if there is a third, hard negative.
            widths: (2,) or (3,) columns of each.
            labels: (B,) position of each query's passage among the B passages.
            clashes: (B, B) or, with hard negatives, (B, 2B) where a column is no wrong answer to a row's query.
        """
        parts = input_ids.split(widths.tolist(), dim=1)
        projected = [self.project(part) for part in parts]
        queries = self.whitened(projected[0], "query")  # (B, D)
        passages = self.whitened(torch.cat(projected[1:]), "passage")  # (B or 2B, D)
        logits = -squared_distances(queries, passages) * (self.log_scale.exp() / (2 * self.dimensions))
        if clashes is not None:
            logits = logits.masked_fill(clashes, -1e4)
        losses = {"contrastive": F.cross_entropy(logits, labels)}
        weights = self.weights
        if weights["isotropy"]:
            directions = gaussian.directions(self.dimensions, self.slices).to(queries)
            statistics = [gaussian.epps_pulley((side @ directions).float()).mean() for side in (queries, passages)]
            losses["isotropy"] = weights["isotropy"] * sum(statistics)
        if weights["regularisation"]:
            raw = torch.cat(projected)
            spread = (raw.std(0) - 1).square().mean() + raw.mean(0).square().mean()
            losses["regularisation"] = weights["regularisation"] * spread
        if self.predictor is not None:
            gap = self.predictor(queries) - passages[labels].detach()
            losses["prediction"] = weights["prediction"] * gap.float().square().mean()
        return Output(loss=sum(losses.values(), torch.zeros(())), losses=losses)
