"""Bag of embeddings, one hidden layer, a head for the topic; masked words are predicted by the tied embedding."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from twin import objectives


@dataclass
class Output:
    logits: torch.Tensor  # (B,)
    loss: torch.Tensor | None = None
    losses: dict | None = None


class Twin(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config["width"]
        self.embedding = nn.Embedding(config["vocabulary"], width)
        self.hidden = nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, 1)
        self.scale = nn.Parameter(torch.ones(width))
        self.dropout = nn.Dropout(config["dropout"])
        self.weights = {name: config[f"{name}_weight"] for name in ("mlm", "contrast", "isotropy", "antisymmetry")}

    def forward(self, batch):
        """batch: input_ids (B, T), and for a loss labels (B,), mlm_labels (B, T)."""
        ids = batch["input_ids"]
        there = (ids != 0).unsqueeze(-1)  # (B, T, 1)
        bag = (self.embedding(ids) * there).sum(1) / there.sum(1).clamp(min=1)  # (B, W)
        hidden = self.hidden(self.dropout(bag)) * self.scale + bag
        logits = self.head(hidden).squeeze(-1).float()
        if "labels" not in batch:
            return Output(logits)
        losses = self.losses(batch, hidden, logits)
        return Output(logits, sum(losses.values()), losses)

    def losses(self, batch, hidden, logits):
        """Every component with its weight in it, so that they sum to what is minimised."""
        labels, masked = batch["labels"], batch["mlm_labels"]
        words = (hidden @ self.embedding.weight.T).float()  # (B, V)
        row, place = (masked != -100).nonzero(as_tuple=True)
        distance = (logits[:, None] - logits[None, :]).abs()
        other = labels[:, None] != labels[None, :]
        return {
            "topic": functional.binary_cross_entropy_with_logits(logits, labels.float()),
            "mlm": self.weights["mlm"] * functional.cross_entropy(words[row], masked[row, place]),
            "contrast": self.weights["contrast"] * (functional.relu(1 - distance) * other).mean(),
            "isotropy": self.weights["isotropy"] * objectives.isotropy(hidden),
            "antisymmetry": self.weights["antisymmetry"] * objectives.antisymmetry(self.hidden.weight),
        }


def probability(logits):
    """(N,) logits -> (N,) probabilities of praise."""
    return torch.sigmoid(torch.as_tensor(logits, dtype=torch.float64)).tolist()
