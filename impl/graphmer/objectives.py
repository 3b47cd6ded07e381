"""The losses of the graph: ranking a masked tail among entities, and the laws that the ontology declares.

Each law is a pure function of an adjacency in [0, 1]; a planted violation raises it, and it acts on no relation that
the ontology does not flag.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn

ENTITIES = 48
"""Entities of a batch that a law looks at: its cost grows with their cube."""


def antisymmetry(adjacency: Tensor) -> Tensor:
    """(...,) mean of r(a, b) r(b, a), a = b included: such an edge never comes with its reverse. (..., n, n) in."""
    return (adjacency * adjacency.transpose(-1, -2)).mean((-1, -2))


def acyclicity(adjacency: Tensor) -> Tensor:
    """(...,) weight of closed walks of one to four steps, a node: trace(A + A^2 / 2 + A^3 / 6 + A^4 / 24) / n.

    The first terms of trace(exp A) - n, which is 0 exactly where A has no cycle (Zheng et al. 2018, theorem 1).
    """
    walks, factor = adjacency, 1.0
    total = _trace(walks)
    for step in (2, 3, 4):
        walks = walks @ adjacency
        factor /= step
        total = total + factor * _trace(walks)
    return total / adjacency.shape[-1]


def transitivity(adjacency: Tensor) -> Tensor:
    """(...,) mean over a, b, c of how much r(a, b) r(b, c) exceeds r(a, c)."""
    path = adjacency.unsqueeze(-1) * adjacency.unsqueeze(-3)  # (..., a, b, c)
    return (path - adjacency.unsqueeze(-2)).clamp(min=0).mean((-1, -2, -3))


LAWS = {"antisymmetric": antisymmetry, "acyclic": acyclicity, "transitive": transitivity}
"""Flag of the ontology -> its term."""


def _trace(matrix: Tensor) -> Tensor:
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


class GraphHead(nn.Module):
    """Scores of (head, relation, tail): of the names alone, or with what the encoder made of the head's chain.

    s(h, r, t) = <P name(h) * w_r + v_r + C context, Q name(t)> / sqrt(D) + b_r: not symmetric in h and t.
    """

    def __init__(self, width: int, dimensions: int, relations: int) -> None:
        super().__init__()
        self.head, self.tail = nn.Linear(width, dimensions), nn.Linear(width, dimensions)
        self.context = nn.Linear(width, dimensions, bias=False)
        self.scale = nn.Parameter(torch.ones(relations + 1, dimensions))
        self.shift = nn.Parameter(torch.randn(relations + 1, dimensions) * 0.1)
        self.bias = nn.Parameter(torch.full((relations + 1,), -2.0))

    def names(self, tokens: Tensor, embedding: Tensor) -> Tensor:
        """(E, W) of (E, K) tokens of names: the normalised mean of their embeddings."""
        there = (tokens > 0).unsqueeze(2)
        total = (F.embedding(tokens, embedding) * there).sum(1)
        return F.layer_norm(total / there.sum(1).clamp(min=1), total.shape[-1:])

    def queries(self, names: Tensor, heads: Tensor, relations: Tensor) -> Tensor:  # (M,), (M,) -> (M, D)
        return self.head(names)[heads] * self.scale[relations] + self.shift[relations]

    def against(self, queries: Tensor, names: Tensor, relations: Tensor) -> Tensor:  # -> (M, E)
        """Scores of queries against all entities."""
        return self.scores(queries, self.tail(names), relations)

    def scores(self, queries: Tensor, tails: Tensor, relations: Tensor) -> Tensor:  # -> (M, E)
        """The same of (E, D) entities as tails."""
        return queries @ tails.T / tails.shape[1] ** 0.5 + self.bias[relations].unsqueeze(1)

    def link(self, names: Tensor, facts: Tensor, asked: Tensor, context: Tensor, allowed: Tensor) -> Tensor:
        """Cross-entropy of the masked tails among what is allowed, plus what sets the zero of the scores by name.

        Args as in `Graphmer._pretrain`; context: (M, W) what the encoder made of the chains' first tokens.
        """
        heads, relations, tails = facts[asked].unbind(1)
        by_name = self.queries(names, heads, relations)
        scores = self.against(by_name + self.context(context), names, relations).float()
        ranking = F.cross_entropy(scores.masked_fill(~allowed, -1e4), tails)
        plain = self.against(by_name, names, relations).float()
        wrong = allowed.clone()
        wrong[torch.arange(len(tails)), tails] = False
        right = -F.logsigmoid(plain.gather(1, tails.unsqueeze(1))).mean()
        others = -(F.logsigmoid(-plain) * wrong).sum() / wrong.sum().clamp(min=1)
        return ranking + right + others

    def adjacency(self, names: Tensor, relations: Tensor) -> Tensor:
        """(R, E, E) probability of each edge by names alone, for some relations."""
        heads = self.head(names) * self.scale[relations].unsqueeze(1) + self.shift[relations].unsqueeze(1)  # (R, E, D)
        scores = heads @ self.tail(names).T / heads.shape[-1] ** 0.5
        return torch.sigmoid((scores + self.bias[relations].view(-1, 1, 1)).float())

    def ontology(self, names: Tensor, facts: Tensor, laws: Mapping[str, list[int]]) -> Tensor:
        """Mean of the laws over the relations that keep them, on entities that facts of those relations join."""
        flagged = sorted({number for numbers in laws.values() for number in numbers})
        among = torch.isin(facts[:, 1], torch.tensor(flagged, device=facts.device))
        chosen = facts[among][:, [0, 2]].flatten().unique()[:ENTITIES]
        if not len(chosen):
            return names.sum() * 0.0
        names = names[chosen]
        terms = []
        for law, numbers in laws.items():
            terms.append(LAWS[law](self.adjacency(names, torch.tensor(numbers, device=facts.device))))
        return torch.cat(terms).mean()
