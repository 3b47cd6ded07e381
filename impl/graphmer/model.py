"""The model: a transformer over leafy chains, whose attention knows how far apart two tokens are in the graph.

Shapes: B rows, L tokens of a row, W hidden size, H heads, R relations and one more for "none" (0), D dimensions of the
vectors of texts. A row holds several chains; no token ever attends to another chain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput

from corpus.tokenizer import MARKERS
from graphmer import objectives

REACH = 64
"""Distances in the chain graph from here on count as this one."""

LEAF_TOKENS = 64
"""Tokens of a leaf from here on share one position."""

SELDOM = 6.0
"""Log-odds, at first, against a hidden token being copied from its chain: the model starts as one without a pointer."""

LAMBDA = 0.6
"""What attention shrinks by, at first, for each step of gelu(sqrt(distance) - offset) (GraphMERT, section 4)."""


class GraphmerConfig(PretrainedConfig):  # type: ignore[misc]
    """Sizes and weights of the losses; saved as `config.json` beside the weights."""

    model_type = "graphmer"

    def __init__(
        self,
        vocabulary: int = 8000,
        hidden: int = 128,
        layers: int = 2,
        heads: int = 4,
        feed_forward: int = 512,
        dimensions: int = 128,
        positions: int = 512,
        relations: int = 22,
        dropout: float = 0.1,
        word_dropout: float = 0.0,
        bias: bool = True,
        weights: Mapping[str, float] | None = None,
        laws: Mapping[str, list[int]] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.vocabulary, self.hidden, self.layers, self.heads = vocabulary, hidden, layers, heads
        self.feed_forward, self.dimensions, self.positions, self.relations = (
            feed_forward, dimensions, positions, relations,
        )  # fmt: skip
        self.dropout, self.word_dropout, self.bias = dropout, word_dropout, bias
        self.weights = dict(weights or {"mlm": 1.0, "mnm": 1.0, "link": 1.0, "ontology": 1.0})
        self.laws = dict(laws or {})  # law -> relations that keep it, as numbers from 1


@dataclass
class Output(ModelOutput):  # type: ignore[misc]
    """`loss` is the sum of `losses`."""

    loss: Tensor | None = None
    losses: Mapping[str, Tensor] | None = None


def distances(anchors: Tensor, leaf: Tensor) -> Tensor:
    """(B, L, L) steps between tokens in the chain graph.

    Roots are a path; a leaf is one step from its root; leaves of one root are one step from each other.

    Args:
        anchors: (B, L) place in the chain of a root, or of the root that a leaf hangs on.
        leaf: (B, L) whether the token is part of a leaf.
    """
    apart = (anchors.unsqueeze(2) - anchors.unsqueeze(1)).abs()  # (B, L, L)
    steps = apart + leaf.unsqueeze(2).to(apart.dtype) + leaf.unsqueeze(1).to(apart.dtype)
    siblings = leaf.unsqueeze(2) & leaf.unsqueeze(1) & (apart == 0)
    same = torch.eye(anchors.shape[1], dtype=torch.bool, device=anchors.device)
    return steps.masked_fill(siblings, 1).masked_fill(same, 0)


class RelationBias(nn.Module):
    """What is added to the attention logits of two tokens: -strength x gelu(sqrt(distance) - offset).

    Strength and offset are learned for each head and each relation: that of the leaf that is looked at, else of the
    leaf that looks, else "none". At the start strength is -ln 0.6: the published decay 0.6^gelu(...), as a logarithm.
    """

    def __init__(self, heads: int, relations: int) -> None:
        super().__init__()
        start = math.log(math.expm1(-math.log(LAMBDA)))  # softplus of it is -ln(lambda)
        spread = torch.linspace(0.5, 2.5, heads).unsqueeze(1)  # heads start with different reaches
        self.strength = nn.Parameter(torch.full((heads, relations + 1), start))
        self.offset = nn.Parameter(spread.repeat(1, relations + 1))

    def table(self) -> Tensor:
        """(H, R + 1, REACH + 1) bias by head, relation and distance."""
        steps = torch.arange(REACH + 1, device=self.strength.device, dtype=self.strength.dtype).sqrt()
        decay = F.gelu(steps - self.offset.unsqueeze(2))
        return -F.softplus(self.strength).unsqueeze(2) * decay

    def forward(self, relations: Tensor, anchors: Tensor, leaf: Tensor) -> Tensor:  # (B, L) each -> (B, H, L, L)
        steps = distances(anchors, leaf).clamp(max=REACH)
        looked_at, looking = relations.unsqueeze(1), relations.unsqueeze(2)  # (B, 1, L), (B, L, 1)
        relation = torch.where(looked_at > 0, looked_at, looking)  # (B, L, L)
        index = relation * (REACH + 1) + steps
        table = self.table().flatten(1).T.contiguous()  # ((R + 1)(REACH + 1), H)
        return F.embedding(index, table).permute(0, 3, 1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:  # (B, H, L, D) x 3, (B, H, L, L)
    """(B, H, L, D) softmax(q k^T / sqrt(D) + mask) v.

    torch has no fused kernel on a CPU for a mask that learns, and its substitute takes twice what three products do
    (benchmarks/test_graphmer_speed.py); answers alone are fused.
    """
    if q.device.type != "cpu" or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    rows, heads, length, size = q.shape
    q, k, v = (each.reshape(rows * heads, length, size) for each in (q, k, v))
    logits = torch.baddbmm(mask.flatten(0, 1), q, k.transpose(1, 2), alpha=size**-0.5)  # (B H, L, L)
    return torch.bmm(logits.softmax(2), v).view(rows, heads, length, size)


class Layer(nn.Module):
    """Attention and feed-forward, normalised before each (Xiong et al. 2020)."""

    def __init__(self, config: GraphmerConfig) -> None:
        super().__init__()
        width = config.hidden
        self.heads, self.dropout = config.heads, config.dropout
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, config.feed_forward), nn.Linear(config.feed_forward, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # (B, L, W), (B, H, L, L) -> (B, L, W)
        rows, length, width = x.shape
        parts = self.queries_keys_values(self.before_attention(x)).view(rows, length, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # (B, H, L, W / H) each
        seen = attend(q, k, v, mask)  # (B, H, L, W / H)
        x = x + self._drop(self.mix(seen.transpose(1, 2).reshape(rows, length, width)))
        return x + self._drop(self.down(F.gelu(self.up(self.before_feed(x)))))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class Pointer(nn.Module):
    """Where else in its chain a hidden token may stand, and how likely it is that it does (See et al. 2017, eq. 9).

    The names of a distribution that training never saw are in no weight; most are in the chain itself.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.queries, self.gate = nn.Linear(width, width), nn.Linear(width, 1)
        self.keys = nn.Linear(width, width, bias=False)  # one would add the same to all scores of a place

    def forward(self, hidden: Tensor, at: Tensor, input_ids: Tensor, segments: Tensor) -> tuple[Tensor, Tensor]:
        """Of K places: (K, L) how likely each token of its row is what stands there, and (K,) the log-odds that any is.

        Args:
            hidden: (B, L, W) hidden states.
            at: (K,) the places among the B x L tokens.
            input_ids, segments: (B, L); only other tokens of a place's own chain count that are no markers. Where there
                are none, nothing is copied.
        """
        length = hidden.shape[1]
        asking, row = hidden.flatten(0, 1)[at], at // length
        scores = self.queries(asking) @ self.keys(hidden).flatten(0, 1).T  # (K, B L)
        own = scores.view(-1, *segments.shape)[torch.arange(len(at), device=at.device), row].float()  # (K, L)
        visible = (segments[row] == segments.flatten()[at].unsqueeze(1)) & (input_ids[row] >= len(MARKERS))
        visible &= torch.arange(length, device=at.device) != (at % length).unsqueeze(1)  # it may show what is asked for
        found = (own * hidden.shape[2] ** -0.5).masked_fill(~visible, -1e4).softmax(1) * visible
        odds = self.gate(asking).squeeze(1).float() - SELDOM
        return found, odds.masked_fill(~visible.any(1), -1e4)


class WordBag(nn.Module):
    """A text as the weighted sum of vectors of its own, one for each entry: what it says, in whatever order.

    It finds a function by the words of its docstring before any layer has learnt to; a weight starts as the logarithm
    of the inverse document frequency (Spärck Jones 1972). In training a share of the words is left out at random.
    """

    def __init__(self, vocabulary: int, dimensions: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.table = nn.Embedding(vocabulary, dimensions)
        self.weight = nn.Embedding(vocabulary, 1)  # as logarithm

    def weigh(self, found: Tensor, texts: int) -> None:
        """Start from the number of texts that hold each entry, (V,), of so many."""
        with torch.no_grad():
            self.weight.weight[:, 0] = ((texts + 1) / (found + 1)).log().clamp(min=0.05).log()

    def forward(self, ids: Tensor) -> Tensor:  # (N, L) entries, 0 beyond the end -> (N, D)
        weight = F.dropout(self.weight(ids).squeeze(2).exp() * (ids > 0), self.dropout, self.training)
        return F.embedding_bag(ids, self.table.weight, per_sample_weights=weight, mode="sum")


class Graphmer(PreTrainedModel):  # type: ignore[misc]
    """Encoder, output layer, graph head and pooling; `forward` gives the losses of a batch of chains or of pairs."""

    config_class = GraphmerConfig
    base_model_prefix = "graphmer"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # losses are means already: `Trainer` divides them by the accumulation

    def __init__(self, config: GraphmerConfig) -> None:
        super().__init__(config)
        width = config.hidden
        self.tokens = nn.Embedding(config.vocabulary, width)
        self.positions = nn.Embedding(config.positions, width)
        self.relations = nn.Embedding(config.relations + 1, width)
        self.leaf_positions = nn.Embedding(LEAF_TOKENS + 1, width)
        self.bias = RelationBias(config.heads, config.relations) if config.bias else None
        self.layers = nn.ModuleList([Layer(config) for _ in range(config.layers)])
        self.last = nn.LayerNorm(width)
        self.prediction = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.prediction_bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.pointer = Pointer(width)
        self.graph = objectives.GraphHead(width, config.dimensions, config.relations)
        self.importance = nn.Embedding(config.vocabulary, 1)
        self.pool = nn.Linear(width, config.dimensions, bias=False)
        self.words = WordBag(config.vocabulary, config.dimensions, config.word_dropout)
        self.mixed = nn.Parameter(torch.tensor([0.3, 1.0]))  # of a vector: what is read, and the words alone
        self.log_scale = nn.Parameter(torch.tensor(math.log(12.0)))
        self.checkpointing = False
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """A small model starts with activations of unit size and learns in hundreds of updates; a large one as BERT."""
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02 if self.config.hidden > 512 else module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            std = module.embedding_dim**-0.5 if module is self.words.table else 0.02  # a bag's vectors have length one
            nn.init.normal_(module.weight, std=std) if module.embedding_dim > 1 else nn.init.zeros_(module.weight)

    def activation_checkpointing_enable(self, *options: Any, **more: Any) -> None:
        """Recompute a layer's activations in the backward pass instead of keeping them; the name is `Trainer`'s."""
        self.checkpointing = True

    def encode(
        self, input_ids: Tensor, segments: Tensor, anchors: Tensor, relation_ids: Tensor, leaf_places: Tensor
    ) -> Tensor:
        """(B, L, W) of packed rows.

        Args:
            input_ids: (B, L) entries of the vocabulary.
            segments: (B, L) number of the chain in its row, from 1; 0 is padding.
            anchors: (B, L) place in the chain of a root, or of the root that a leaf hangs on.
            relation_ids: (B, L) the relation of a leaf's token, 0 at a root.
            leaf_places: (B, L) place of a token in its leaf, from 1; 0 at a root.
        """
        leaf = leaf_places > 0
        x = self.tokens(input_ids) + self.positions(anchors) + self.relations(relation_ids)  # (B, L, W)
        x = x + self.leaf_positions(leaf_places.clamp(max=LEAF_TOKENS))
        together = segments.unsqueeze(2) == segments.unsqueeze(1)  # (B, L, L)
        if self.bias is None:
            mask = torch.zeros_like(together, dtype=x.dtype).unsqueeze(1)
        else:
            mask = self.bias(relation_ids, anchors, leaf)  # (B, H, L, L)
        return self._through(x, mask.masked_fill(~together.unsqueeze(1), -1e4))

    def _through(self, x: Tensor, mask: Tensor) -> Tensor:
        x = F.dropout(x, self.config.dropout, self.training)
        device, (rows, length, _) = x.device.type, x.shape
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        mask = mask.to(dtype).expand(rows, self.config.heads, length, length).contiguous()  # once for all layers
        for layer in self.layers:
            if self.checkpointing and self.training:
                x = checkpoint(layer, x, mask, use_reentrant=False)
            else:
                x = layer(x, mask)
        result: Tensor = self.last(x)
        return result

    def embed(self, ids: Tensor) -> Tensor:  # (N, L) entries, 0 beyond the end -> (N, D)
        """Vectors of texts that fit into one window."""
        return self.vectors(*self.pooled(ids))

    def vectors(self, total: Tensor, weight: Tensor) -> Tensor:  # (N, W + D), (N,) -> (N, D)
        """Vectors of texts from what `pooled` gives, summed over the windows of a text."""
        read, words = total[:, : self.config.hidden].float(), total[:, self.config.hidden :].float()
        read = F.normalize(self.pool(read / (weight.unsqueeze(1) + 1e-6)).float(), dim=1)
        result: Tensor = self.mixed[0] * read + self.mixed[1] * F.normalize(words, dim=1)
        return result

    def pooled(self, ids: Tensor) -> tuple[Tensor, Tensor]:  # (N, L) -> (N, W + D), (N,)
        """Hidden states times learned weights of their entries, and the bag of words, each summed over a window; and
        the sum of the weights."""
        kept = ids > 0
        anchors = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        nothing = torch.zeros_like(ids)
        x = self.tokens(ids) + self.positions(anchors) + self.relations(nothing) + self.leaf_positions(nothing)
        near = x.new_zeros(1, 1, 1, 1)
        if self.bias is not None:
            near = self.bias(nothing[:1], anchors[:1], nothing[:1] > 0)  # (1, H, L, L): the same for every text
        hidden = self._through(x, near.masked_fill(~kept[:, None, None, :], -1e4))
        weight = self.importance(ids).squeeze(2).exp() * kept  # (N, L)
        return torch.cat([(weight.unsqueeze(2) * hidden).sum(1), self.words(ids)], dim=1), weight.sum(1)

    def predict(self, hidden: Tensor) -> Tensor:  # (K, W) -> (K, vocabulary)
        """Logits at positions that were chosen beforehand: all of them would cost more than the encoder."""
        return F.linear(self.prediction(hidden), self.tokens.weight, self.prediction_bias)

    def fill(self, hidden: Tensor, at: Tensor, input_ids: Tensor, segments: Tensor) -> Tensor:
        """(K, vocabulary) log-probabilities of what stands at K of the B x L places of (B, L, W) hidden states.

        For answers alone: what nothing says has no finite gradient here.
        """
        copied, odds = self.pointer(hidden, at, input_ids, segments)
        said = torch.zeros(len(at), self.config.vocabulary, device=hidden.device)
        said.scatter_add_(1, input_ids[at // hidden.shape[1]], copied)
        own = self.predict(hidden.flatten(0, 1)[at]).float().log_softmax(1)
        return torch.logaddexp(F.logsigmoid(-odds)[:, None] + own, F.logsigmoid(odds)[:, None] + said.log())

    def forward(self, record_id: Any = None, input_ids: Tensor | None = None, **batch: Tensor) -> Output:
        """Losses of a batch of chains (`input_ids` and what `data.Chains` puts beside) or of pairs (`query_ids`)."""
        if input_ids is None:
            return self._align(**batch)
        return self._pretrain(input_ids, **batch)

    def _pretrain(
        self,
        input_ids: Tensor,
        segments: Tensor,
        anchors: Tensor,
        relation_ids: Tensor,
        leaf_places: Tensor,
        mlm_positions: Tensor,
        mlm_labels: Tensor,
        **leaves: Tensor,
    ) -> Output:
        """Losses of packed chains: N chains, K masked tokens of each at most.

        Args:
            mlm_positions: (N, K) places of masked tokens in the B x L tokens of the batch.
            mlm_labels: (N, K) what stood there; -100 where a chain has fewer.
            leaves: the same of leaves, as mnm, and what `_graph` takes; nothing where chains have no leaves.
        """
        hidden = self.encode(input_ids, segments, anchors, relation_ids, leaf_places)
        losses = {"mlm": self._masked(hidden, mlm_positions, mlm_labels, input_ids, segments)}
        if leaves:
            labels = leaves.pop("mnm_positions"), leaves.pop("mnm_labels")
            losses["mnm"] = self._masked(hidden, *labels, input_ids, segments)
            losses |= self._graph(hidden.flatten(0, 1), **leaves)
        weights = self.config.weights
        losses = {name: weights[name] * loss for name, loss in losses.items() if weights[name]}
        return Output(loss=sum(losses.values(), torch.zeros(())), losses=losses)

    def _graph(
        self,
        flat: Tensor,
        entities: Tensor,
        facts: Tensor,
        asked: Tensor,
        asked_at: Tensor,
        allowed: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of leaves: E entities, T facts, M of them with a masked tail.

        Args:
            flat: (B L, W) hidden states.
            entities: (E, K) tokens of the names of entities, 0 beyond the end.
            facts: (T, 3) head, relation, tail; heads and tails are rows of `entities`.
            asked: (M,) rows of `facts` whose tails are masked.
            asked_at: (M,) place of the first token of their chains in the B x L tokens.
            allowed: (M, E) which entities stand against the tail, itself included.
        """
        names = self.graph.names(entities, self.tokens.weight)  # (E, W)
        return {
            "link": self.graph.link(names, facts, asked, flat[asked_at], allowed),
            "ontology": self.graph.ontology(names, facts, self.config.laws),
        }

    def _masked(self, hidden: Tensor, positions: Tensor, labels: Tensor, input_ids: Tensor, segments: Tensor) -> Tensor:
        """Mean cross-entropy of `fill`, of which the labels' column is all that is computed."""
        there = labels != -100
        at, right = positions[there], labels[there]
        copied, odds = self.pointer(hidden, at, input_ids, segments)
        said = (copied * (input_ids[at // hidden.shape[1]] == right.unsqueeze(1))).sum(1)
        own = F.cross_entropy(self.predict(hidden.flatten(0, 1)[at]).float(), right, reduction="none")
        return -torch.logaddexp(F.logsigmoid(-odds) - own, F.logsigmoid(odds) + (said + 1e-9).log()).mean()

    def _align(
        self, query_ids: Tensor, target_ids: Tensor, labels: Tensor, clashes: Tensor, bags: bool = False
    ) -> Output:
        """InfoNCE in both directions over a batch of pairs of one kind (van den Oord et al. 2018, eq. 4).

        Args:
            query_ids, target_ids: (N, L) tokens, 0 beyond the end.
            labels: (N,) the column of each query's target.
            clashes: (N, N) columns that answer the query of a row although they are not its pair.
            bags: compare the bags of words alone, which cost next to nothing.
        """
        read = self.words if bags else self.embed
        queries, targets = (F.normalize(read(ids), dim=1) for ids in (query_ids, target_ids))
        logits = (queries @ targets.T) * self.log_scale.exp().clamp(max=100.0)
        logits = logits.masked_fill(clashes, -1e4)
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
        return Output(loss=loss, losses={"words" if bags else "align": loss})
