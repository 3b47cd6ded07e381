"""The whole model: a GraphSAGE trunk over sparse node features and four heads: defects, imports, confidence, embedding.

Reads batches and returns losses and logits; it never sees source text, files or metrics.
B samples (functions, problems), V versions of each, G graphs, N nodes, C = 978 columns, O operators, K modules.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import SAGEConv

from graphsage.data import WORDS
from graphsage.device import Device
from graphsage.frozen import Frozen, product
from graphsage.sparse import Sparse

IGNORED = -100
RARE = -6.0  # first logit of a cell
_WORD = 32  # numbers for an attribute
TEMPERATURE = 0.1  # of the similarities that the embedding is trained by
ANSWERS = 5
"""What weights mean: raised when others are needed for the same answers. 1: a defect was a sum over places; 2: the
confidence read all states; 3: imports were learnt with their names masked alone; 4: names had no table beside them, and
attributes no words."""
LOSSES = ("bugs", "location", "imports", "confidence", "embedding")


@dataclass(slots=True)
class Batch:
    """Graphs side by side, and for training the samples that they belong to."""

    features: Sparse  # (N, C)
    neighbours: Sparse  # (N, N) row-normalised: times states gives the mean over neighbours
    pool: Sparse  # (G, N) row-normalised: times states gives the mean over the nodes of a graph
    spread: Sparse  # (N, G) times graph vectors gives each node its graph's
    words: Sparse  # (G, WORDS) which attributes a graph reaches for
    start: Tensor  # (G + 1,) first node of each graph
    record_id: list[str] = field(default_factory=list)  # B
    version_graph: Tensor | None = None  # (B, V) graph of the original and its other versions, -1 where there is none
    import_graph: Tensor | None = None  # (B, 2) graph with the imported names masked, and as it is; -1 for a gap
    bug_labels: Tensor | None = None  # (B, V) 1 where the graph holds a defect
    location_labels: Tensor | None = None  # (B, V) node of the defect inside its graph
    operator_labels: Tensor | None = None  # (B, V) operator that made the defect
    import_labels: Tensor | None = None  # (B, K) 1 where the function uses the module
    confidence_labels: Tensor | None = None  # (B, V) 1 where the program passed its tests, 0 where it failed
    embedding_labels: Tensor | None = None  # (B, V) 1 for a rewrite of the original, 0 for what behaves otherwise

    def to(self, device: str) -> Batch:
        """The same batch on a device; the batch itself where it is there already."""
        if self.start.device.type == device:
            return self
        moved = {
            each.name: value if isinstance(value := getattr(self, each.name), list | None) else value.to(device)
            for each in fields(self)
        }
        return Batch(**moved)


@dataclass(slots=True)
class Output:
    """Logits, and the losses where the batch has labels; `loss` is the sum of `losses`."""

    defects: Tensor  # (G,)
    cells: Tensor  # (N, O)
    imports: Tensor  # (G, K)
    confidence: Tensor  # (G,)
    embedding: Tensor  # (G, E) of length 1
    losses: dict[str, Tensor] = field(default_factory=dict)
    loss: Tensor | None = None

    def cpu(self) -> Output:
        """The logits where NumPy can read them."""
        logits = (self.defects, self.cells, self.imports, self.confidence, self.embedding)
        return Output(*(each.float().cpu() for each in logits))


def _propagate(*_: Any, **__: Any) -> Tensor:
    """The mean over neighbours is a sparse product. A class with PyTorch Geometric's own has it written anew into the
    temporary folder, in a file that stays, by every process."""
    raise NotImplementedError


class SparseInputSage(SAGEConv):
    """SAGEConv whose input rows are sparse: the mean is taken after the projection, which commutes with it."""

    propagate = _propagate
    frozen: tuple[Tensor, ...] | None = None  # the weights as (C, H), once they no longer change

    def freeze(self, device: Device) -> None:
        # half the bytes: this table is read in rows all over the place, and memory is what that costs
        dtype = torch.bfloat16 if device.int8 else device.dtype
        self.frozen = tuple(each.weight.detach().t().to(dtype).contiguous() for each in (self.lin_l, self.lin_r))

    def forward(self, features: Sparse, neighbours: Sparse) -> Tensor:
        if self.frozen is not None:
            left, right = (features @ weight for weight in self.frozen)
            return right.add_(neighbours @ left).to(self.lin_l.bias.dtype).add_(self.lin_l.bias)
        left, right = (features @ each.weight.t() for each in (self.lin_l, self.lin_r))  # (N, H) each
        return neighbours @ left + right + self.lin_l.bias.to(left.dtype)  # (N, H)


class Sage(SAGEConv):
    """SAGEConv with its mean over neighbours as a sparse product."""

    propagate = _propagate
    frozen: Frozen | None = None  # both layers, once they no longer change

    def freeze(self, device: Device) -> None:
        self.frozen = Frozen([(self.lin_l.weight, None), (self.lin_r.weight, self.lin_l.bias)], device)

    def forward(self, states: Tensor, neighbours: Sparse) -> Tensor:
        if self.frozen is None:
            return self.lin_l(neighbours @ states) + self.lin_r(states)  # (N, H)
        left, right = self.frozen(states)
        return right.add_(neighbours @ left)  # the mean commutes with the projection


class GraphSage(nn.Module):
    """Trunk and heads. `hidden` = [978, 512, 512, 256] in the default profile; K modules; O operators."""

    frozen: Frozen | None = None  # the head of the nodes, once it no longer changes

    def __init__(
        self,
        hidden: Sequence[int],
        head: int,
        operators: int,
        modules: int,
        dropout: float = 0.0,
        weights: Sequence[float] = (1.0,) * len(LOSSES),
    ) -> None:
        super().__init__()
        first, *others = list(itertools.pairwise(hidden))
        self.convolutions = nn.ModuleList([SparseInputSage(*first), *(Sage(*pair) for pair in others)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in hidden[1:]])
        self.dropout = dropout
        self.weights = dict(zip(LOSSES, weights, strict=True))
        width = hidden[-1]
        self.node = nn.Linear(width, head)
        self.surroundings = nn.Linear(width, head, bias=False)
        self.cell = nn.Linear(head, operators)
        self.whole = nn.Linear(width, 1)
        nn.init.constant_(self.cell.bias, RARE)
        nn.init.constant_(self.whole.bias, -RARE - math.log(operators))  # a graph starts undecided
        self.modules_hidden = nn.Linear(2 * width, head)
        self.modules_out = nn.Linear(head, modules)
        nn.init.constant_(self.modules_out.bias, RARE / 2)
        self.words = nn.Embedding(WORDS, _WORD)
        nn.init.normal_(self.words.weight, std=0.1)
        self.words_out = nn.Linear(_WORD, modules, bias=False)
        alarms = operators + 1
        # of what speaks against a program alone: the states of the few that were run would be learnt by heart
        self.confidence_out = nn.Linear(alarms, 1)
        with torch.no_grad():
            self.confidence_out.weight.zero_()[0, -1] = RARE  # at first a program passes as far as no defect is seen
            self.confidence_out.bias.zero_()
        self.embedding_hidden = nn.Linear(2 * width + alarms, head)
        self.embedding_out = nn.Linear(head, head)

    def between(self) -> list[nn.Parameter]:
        """The matrices between hidden states: not those that read features, most of them absent, or say a logit."""
        layers = [self.node, self.surroundings, self.modules_hidden, self.embedding_hidden, self.embedding_out]
        for convolution in self.convolutions[1:]:
            layers += [convolution.lin_l, convolution.lin_r]
        return [layer.weight for layer in layers]

    def freeze(self, device: Device) -> None:
        """Prepare for answering on the device: the weights must not change from here on."""
        for convolution in self.convolutions:
            convolution.freeze(device)
        self.frozen = Frozen([(self.node.weight, self.node.bias)], device)

    def trunk(self, batch: Batch) -> Tensor:
        """States of the nodes (N, H)."""
        states: Tensor | Sparse = batch.features
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            states = norm(convolution(states, batch.neighbours))
            states = functional.relu(states, inplace=not torch.is_grad_enabled())  # (N, H)
            states = functional.dropout(states, self.dropout, self.training)
        assert isinstance(states, Tensor)
        return states

    def pool(self, states: Tensor, batch: Batch) -> Tensor:
        """Mean and maximum over the nodes of each graph (G, 2H)."""
        peak = segment_max(states.float(), batch.start)  # (G, H)
        return torch.cat([batch.pool @ states, peak.to(states.dtype)], dim=1)

    def defects(self, states: Tensor, pooled: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logit per graph that it holds a defect (G,), and per node and operator what speaks for it (N, O)."""
        mean = pooled[:, : pooled.shape[1] // 2]  # (G, H)
        own = self.node(states) if self.frozen is None else self.frozen(states)[0]
        hidden = functional.relu(own + batch.spread @ self.surroundings(mean), inplace=True)
        if self.frozen is None:
            cells = self.cell(hidden).float()  # (N, O)
        else:
            cells = product(hidden, self.cell.weight, self.cell.bias).float()
        score = segment_logmeanexp(cells.logsumexp(dim=1), batch.start)  # (G,)
        return score + self.whole(mean).float().squeeze(1), cells

    def imports(self, pooled: Tensor, batch: Batch) -> Tensor:
        """Logit per graph and module (G, K): what is done, and the very attributes that are reached for.

        Features know the parts of a name by hashes that many share; what `.reshape` belongs to is known by the whole.
        Both are learnt as one sum: each by a loss of its own, and then averaged, F1 on dev is .64 for .67.
        """
        words = self.words_out(batch.words @ self.words.weight)
        return (self.modules_out(functional.relu(self.modules_hidden(pooled))) + words).float()

    def alarms(self, defects: Tensor, cells: Tensor, batch: Batch) -> Tensor:
        """How strongly each operator is suspected, and a defect of any kind (G, O + 1); about as large as states."""
        suspicion = segment_logmeanexp(cells, batch.start)  # (G, O)
        return torch.cat([suspicion, defects[:, None]], dim=1) / -RARE

    def confidence(self, alarms: Tensor) -> Tensor:
        """Logit per graph that the program passes its tests (G,), before calibration."""
        read = self.confidence_out
        with torch.autocast(alarms.device.type, enabled=False):  # in half precision an alarm is told to a hundredth
            return functional.linear(alarms.float(), read.weight.float(), read.bias.float()).squeeze(1)

    def embedding(self, pooled: Tensor, alarms: Tensor) -> Tensor:
        """A vector of length 1 per graph (G, E): near for programs that behave the same."""
        summary = torch.cat([pooled, alarms.to(pooled.dtype)], dim=1)  # (G, 2H + O + 1)
        hidden = functional.relu(self.embedding_hidden(summary))
        return functional.normalize(self.embedding_out(hidden).float(), dim=1)

    def forward(self, batch: Batch) -> Output:
        """Logits, and losses where the batch has labels: training and the evaluation of a split."""
        output = self.logits(batch)
        if batch.bug_labels is not None:
            output.losses = {name: self.weights[name] * loss for name, loss in self.losses(output, batch).items()}
            output.loss = torch.stack(list(output.losses.values())).sum()
        return output

    def logits(self, batch: Batch, embed: bool = True) -> Output:
        """What all heads say; without `embed` the embedding stays out (G, 0)."""
        states = self.trunk(batch)
        pooled = self.pool(states, batch)
        defects, cells = self.defects(states, pooled, batch)
        alarms = self.alarms(defects, cells, batch)
        embedding = self.embedding(pooled, alarms) if embed else pooled[:, :0]
        return Output(defects, cells, self.imports(pooled, batch), self.confidence(alarms), embedding)

    @torch.inference_mode()
    def answer(self, batch: Batch, embed: bool = False) -> Output:
        """The logits alone, without gradients, on the CPU."""
        return self.logits(batch, embed).cpu()

    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Components by name, not yet weighted; one without a single label in the batch is left out."""
        found = {
            "bugs": self.bugs_loss(output, batch),
            "location": self.location_loss(output, batch),
            "imports": self.imports_loss(output, batch),
            "confidence": self.confidence_loss(output, batch),
            "embedding": self.embedding_loss(output, batch),
        }
        return {name: loss for name, loss in found.items() if loss is not None}

    def bugs_loss(self, output: Output, batch: Batch) -> Tensor | None:
        """Cross-entropy of the graphs, and of the very cells that were changed."""
        assert batch.version_graph is not None
        assert batch.bug_labels is not None
        known = batch.bug_labels != IGNORED  # (B, V)
        if not known.any():
            return None
        loss = balanced_cross_entropy(output.defects[batch.version_graph[known]], batch.bug_labels)
        return (loss + self.contrast(output.cells, batch)) / 2

    def location_loss(self, output: Output, batch: Batch) -> Tensor | None:
        """Cross-entropy of the changed cell among all cells of the mutant."""
        assert batch.version_graph is not None
        assert batch.location_labels is not None
        assert batch.operator_labels is not None
        placed = batch.location_labels != IGNORED  # (B, V)
        if not placed.any():
            return None
        graph = batch.version_graph[placed]  # (P,)
        node = batch.start[graph] + batch.location_labels[placed]
        cell = output.cells[node, batch.operator_labels[placed]]
        total = segment_logsumexp(output.cells.logsumexp(dim=1), batch.start)[graph]
        return (total - cell).mean()

    def imports_loss(self, output: Output, batch: Batch) -> Tensor | None:
        """Cross-entropy of every module, summed over the modules.

        With the imported names masked, where what is done with a module has to tell it, and as people ask.
        """
        assert batch.import_graph is not None
        assert batch.import_labels is not None
        there = (batch.import_graph >= 0) & (batch.import_labels[:, :1] != IGNORED)  # (B, 2)
        if not there.any():
            return None
        logits = output.imports[batch.import_graph[there]]  # (Q, K)
        target = batch.import_labels[there.nonzero()[:, 0]].float()
        return functional.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(logits)

    def confidence_loss(self, output: Output, batch: Batch) -> Tensor | None:
        """Cross-entropy of passing, and the order of every passing and failing version of the same problem."""
        assert batch.version_graph is not None
        assert batch.confidence_labels is not None
        labels = batch.confidence_labels  # (B, V)
        known = labels != IGNORED
        if not known.any():
            return None
        logits = output.confidence[batch.version_graph.clamp(min=0)]  # (B, V)
        loss = balanced_cross_entropy(logits[known], labels)
        pairs = (labels == 1)[:, :, None] & (labels == 0)[:, None, :]  # (B, V, V)
        if not pairs.any():
            return loss
        gaps = logits[:, :, None] - logits[:, None, :]
        weight = (pairs / pairs.sum(dim=(1, 2), keepdim=True).clamp(min=1))[pairs]  # every problem counts the same
        order = (functional.softplus(-gaps[pairs]) * weight).sum() / weight.sum()
        return (loss + order) / 2

    def embedding_loss(self, output: Output, batch: Batch) -> Tensor | None:
        """The original is nearer to its rewrite than to its own failing versions, and than to all other originals.

        Two InfoNCE terms (van den Oord et al. 2018, eq. 4) with the same weight: the own failing versions are few and
        hard, the others many and easy.
        """
        assert batch.version_graph is not None
        assert batch.embedding_labels is not None
        labels = batch.embedding_labels  # (B, V)
        rows = ((labels == 1).any(dim=1) & (labels == 0).any(dim=1)).nonzero().squeeze(1)  # (A,)
        if not len(rows):
            return None
        vectors = output.embedding[batch.version_graph.clamp(min=0)]  # (B, V, E)
        anchors = vectors[rows, 0]  # (A, E)
        own = torch.einsum("ae,ave->av", anchors, vectors[rows]) / TEMPERATURE  # (A, V)
        others = anchors @ vectors[:, 0].T / TEMPERATURE  # (A, B)
        others[torch.arange(len(rows)), rows] = -torch.inf
        failing, twins = labels[rows] == 0, labels[rows] == 1
        gaps = functional.softplus(own[:, None, :] - own[:, :, None])  # (A, V, V): rewrite, failing version
        pairs = twins[:, :, None] & failing[:, None, :]
        hard = ((gaps * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2))).mean()
        easy = functional.softplus(others.logsumexp(dim=1, keepdim=True) - own)
        easy = ((easy * twins).sum(dim=1) / twins.sum(dim=1)).mean()
        return (hard + easy) / 2

    def contrast(self, cells: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the very cell that was changed: a defect in the mutant, none in the original."""
        assert batch.version_graph is not None
        assert batch.location_labels is not None
        assert batch.operator_labels is not None
        placed = batch.location_labels != IGNORED  # (B, V)
        if not placed.any():
            return cells.sum() * 0.0
        original = batch.version_graph[:, :1].expand_as(placed)[placed]  # (P,)
        node, operator = batch.location_labels[placed], batch.operator_labels[placed]
        mutated = cells[batch.start[batch.version_graph[placed]] + node, operator]
        # nodes before the changed one are the same in both, so it has the same number
        before = cells[torch.minimum(batch.start[original] + node, batch.start[original + 1] - 1), operator]
        return (functional.softplus(-mutated).mean() + functional.softplus(before).mean()) / 2


def balanced_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the logits (L,) of the L labels (B, V) that are not IGNORED.

    The positives of a sample weigh as much together as one of them alone would, and so do its negatives.
    """
    weight = torch.zeros(labels.shape, device=logits.device)
    for label in (0, 1):
        here = labels == label
        weight = torch.where(here, 1 / here.sum(dim=1, keepdim=True).clamp(min=1), weight)
    known = labels != IGNORED
    loss = functional.binary_cross_entropy_with_logits(logits, labels[known].float(), weight[known], reduction="sum")
    return loss / weight[known].sum()


def segment_max(values: Tensor, start: Tensor) -> Tensor:
    """Maximum over each run start[i]:start[i + 1] of the first dimension, none of them empty."""
    if values.device.type == "mps":  # has no segment_reduce
        return scattered_max(values, torch.repeat_interleave(torch.diff(start)), len(start) - 1)
    if len(start) == 2 and not torch.is_grad_enabled():  # one graph: a plain maximum is many times as fast
        return values.amax(dim=0, keepdim=True)
    return torch.segment_reduce(values, "max", offsets=start, axis=0)


def scattered_max(values: Tensor, run: Tensor, runs: int) -> Tensor:
    """The same, where `run` (N,) says to which of the runs each row belongs."""
    least = values.new_full((runs, *values.shape[1:]), -torch.inf)
    index = run.reshape(-1, *[1] * (values.dim() - 1)).expand_as(values)
    return least.scatter_reduce(0, index, values, "amax")


def segment_logsumexp(values: Tensor, start: Tensor) -> Tensor:
    """(N, ...) -> (G, ...): log of the sum of exponentials over each run start[i]:start[i + 1]."""
    peak = segment_max(values.detach(), start)  # (G, ...)
    run = torch.repeat_interleave(torch.diff(start))
    shifted = (values - peak[run]).exp()
    return peak + torch.zeros_like(peak).index_add(0, run, shifted).log()


def segment_logmeanexp(values: Tensor, start: Tensor) -> Tensor:
    """(N, ...) -> (G, ...): log of the mean of exponentials over each run start[i]:start[i + 1].

    What speaks for a defect somewhere, when it can be anywhere: a large graph has more places, and each is less likely.
    """
    size = torch.diff(start).to(values.dtype).log()  # (G,)
    return segment_logsumexp(values, start) - size.reshape(-1, *[1] * (values.dim() - 1))
