"""The whole model: a GraphSAGE trunk over sparse node features, a head for defects, a head for imports.

Reads batches and returns losses and logits; it never sees source text, files or metrics.
B samples (functions), M + 1 versions of each, G graphs, N nodes, C = 978 columns, O operators, K modules.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import SAGEConv

from graphsage.sparse import Sparse

IGNORED = -100
RARE = -6.0  # first logit of a cell: with some 400 cells a graph starts undecided


@dataclass(slots=True)
class Batch:
    """Graphs side by side, and for training the samples that they belong to."""

    features: Sparse  # (N, C)
    neighbours: Sparse  # (N, N) row-normalised: times states gives the mean over neighbours
    pool: Sparse  # (G, N) row-normalised: times states gives the mean over the nodes of a graph
    spread: Sparse  # (N, G) times graph vectors gives each node its graph's
    start: Tensor  # (G + 1,) first node of each graph
    record_id: list[str] = field(default_factory=list)  # B
    defect_graph: Tensor | None = None  # (B, M + 1) graph of the original and its mutants, -1 where there is none
    import_graph: Tensor | None = None  # (B,) graph of the masked source, -1 where there is none
    bug_labels: Tensor | None = None  # (B, M + 1) 1 where the graph holds a defect
    location_labels: Tensor | None = None  # (B, M + 1) node of the defect inside its graph
    operator_labels: Tensor | None = None  # (B, M + 1) operator that made the defect
    import_labels: Tensor | None = None  # (B, K) 1 where the function uses the module


@dataclass(slots=True)
class Output:
    """Logits, and the losses where the batch has labels; `loss` is the sum of `losses`."""

    defects: Tensor  # (G,)
    cells: Tensor  # (N, O)
    imports: Tensor  # (G, K)
    losses: dict[str, Tensor] = field(default_factory=dict)
    loss: Tensor | None = None


class SparseInputSage(SAGEConv):
    """SAGEConv whose input rows are sparse: the mean is taken after the projection, which commutes with it."""

    frozen: Tensor | None = None  # both weights as one matrix, once they no longer change

    def both(self) -> Tensor:
        """Weights for the neighbours and for the node itself side by side (C, 2H)."""
        return torch.cat([self.lin_l.weight, self.lin_r.weight]).t()

    def forward(self, features: Sparse, neighbours: Sparse) -> Tensor:
        both = self.both() if self.frozen is None else self.frozen
        left, right = (features @ both).chunk(2, dim=1)  # (N, H) each
        return neighbours @ left + right + self.lin_l.bias.to(left.dtype)  # (N, H)


class Sage(SAGEConv):
    """SAGEConv with its mean over neighbours as a sparse product."""

    def forward(self, states: Tensor, neighbours: Sparse) -> Tensor:
        return self.lin_l(neighbours @ states) + self.lin_r(states)  # (N, H)


class GraphSage(nn.Module):
    """Trunk and heads. `hidden` = [978, 512, 512, 256] in the default profile; K modules; O operators."""

    def __init__(
        self, hidden: Sequence[int], head: int, operators: int, modules: int, dropout: float, weights: Sequence[float]
    ) -> None:
        super().__init__()
        first, *others = list(itertools.pairwise(hidden))
        self.convolutions = nn.ModuleList([SparseInputSage(*first), *(Sage(*pair) for pair in others)])
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in hidden[1:]])
        self.dropout = dropout
        self.weights = tuple(weights)  # of the losses bugs, location, imports
        width = hidden[-1]
        self.node = nn.Linear(width, head)
        self.surroundings = nn.Linear(width, head, bias=False)
        self.cell = nn.Linear(head, operators)
        self.whole = nn.Linear(width, 1)
        nn.init.constant_(self.cell.bias, RARE)
        self.modules_hidden = nn.Linear(2 * width, head)
        self.modules_out = nn.Linear(head, modules)
        nn.init.constant_(self.modules_out.bias, RARE / 2)

    def freeze(self) -> None:
        """Prepare for answering: the weights must not change from here on."""
        first = self.convolutions[0]
        assert isinstance(first, SparseInputSage)
        first.frozen = first.both().detach().contiguous()

    def trunk(self, batch: Batch) -> Tensor:
        """States of the nodes (N, H)."""
        states: Tensor | Sparse = batch.features
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            states = functional.relu(norm(convolution(states, batch.neighbours)))  # (N, H)
            states = functional.dropout(states, self.dropout, self.training)
        assert isinstance(states, Tensor)
        return states

    def defects(self, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logit per graph that it holds a defect (G,), and per node and operator what speaks for it (N, O)."""
        mean = batch.pool @ states  # (G, H)
        hidden = functional.relu(self.node(states) + batch.spread @ self.surroundings(mean))  # (N, head)
        cells = self.cell(hidden).float()  # (N, O)
        score = segment_logsumexp(cells.logsumexp(dim=1), batch.start)  # (G,)
        return score + self.whole(mean).float().squeeze(1), cells

    def imports(self, states: Tensor, batch: Batch) -> Tensor:
        """Logit per graph and module (G, K)."""
        peak = segment_max(states.float(), batch.start)  # (G, H)
        pooled = torch.cat([batch.pool @ states, peak.to(states.dtype)], dim=1)  # (G, 2H)
        return self.modules_out(functional.relu(self.modules_hidden(pooled))).float()  # (G, K)

    def forward(self, batch: Batch) -> Output:
        states = self.trunk(batch)
        defects, cells = self.defects(states, batch)
        output = Output(defects, cells, self.imports(states, batch))
        if batch.bug_labels is not None:
            output.losses = self.losses(output, batch)
            output.loss = torch.stack(list(output.losses.values())).sum()
        return output

    def losses(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Weighted components; a component without a single label in the batch is left out."""
        losses: dict[str, Tensor] = {}
        bugs, location, imports = self.weights
        assert batch.defect_graph is not None
        assert batch.bug_labels is not None
        known = batch.bug_labels != IGNORED  # (B, M + 1)
        if known.any():
            # a function's original weighs as much as all its mutants together
            mutants = (batch.bug_labels == 1).sum(dim=1, keepdim=True)  # (B, 1)
            weight = torch.where(batch.bug_labels == 1, 1 / mutants.clamp(min=1), 1.0)[known]
            logits = output.defects[batch.defect_graph[known]]
            target = batch.bug_labels[known].float()
            loss = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
            losses["bugs"] = bugs * (loss / weight.sum() + self.contrast(output.cells, batch)) / 2
        assert batch.location_labels is not None
        assert batch.operator_labels is not None
        placed = batch.location_labels != IGNORED  # (B, M + 1)
        if placed.any():
            graph = batch.defect_graph[placed]  # (P,)
            node = batch.start[graph] + batch.location_labels[placed]
            cell = output.cells[node, batch.operator_labels[placed]]
            total = segment_logsumexp(output.cells.logsumexp(dim=1), batch.start)[graph]
            losses["location"] = location * (total - cell).mean()
        assert batch.import_graph is not None
        assert batch.import_labels is not None
        named = batch.import_labels[:, 0] != IGNORED  # (B,)
        if named.any():
            logits = output.imports[batch.import_graph[named]]  # (Q, K)
            target = batch.import_labels[named].float()
            loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
            losses["imports"] = imports * loss / len(logits)
        return losses

    def contrast(self, cells: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the very cell that was changed: a defect in the mutant, none in the original."""
        assert batch.defect_graph is not None
        assert batch.location_labels is not None
        assert batch.operator_labels is not None
        placed = batch.location_labels != IGNORED  # (B, M + 1)
        if not placed.any():
            return cells.sum() * 0.0
        original = batch.defect_graph[:, :1].expand_as(placed)[placed]  # (P,)
        node, operator = batch.location_labels[placed], batch.operator_labels[placed]
        mutated = cells[batch.start[batch.defect_graph[placed]] + node, operator]
        # nodes before the changed one are the same in both, so it has the same number
        before = cells[torch.minimum(batch.start[original] + node, batch.start[original + 1] - 1), operator]
        return (functional.softplus(-mutated).mean() + functional.softplus(before).mean()) / 2


def segment_max(values: Tensor, start: Tensor) -> Tensor:
    """Maximum over each run start[i]:start[i + 1] of the first dimension, none of them empty."""
    return torch.segment_reduce(values, "max", offsets=start, axis=0)


def segment_logsumexp(values: Tensor, start: Tensor) -> Tensor:
    """(N,) -> (G,): log of the sum of exponentials over each run start[i]:start[i + 1]."""
    peak = segment_max(values.detach(), start)  # (G,)
    shifted = (values - peak.repeat_interleave(torch.diff(start))).exp()
    return peak + torch.segment_reduce(shifted, "sum", offsets=start, axis=0).log()
