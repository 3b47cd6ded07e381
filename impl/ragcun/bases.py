"""Transformer bases: any sentence-transformers or hub encoder, by name or folder, in place of the static one.

Its final normalisation, if it has one, is left out: embeddings keep their length. It must never reach for the hub
when a folder was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ragcun.errors import RagcunError


class SentenceBase(nn.Module):
    """Pooled output of a sentence-transformers model: ids (N, L), 0 beyond the end, -> features (N, W).

    Ids are shifted by one against the model's own, so that 0 means "nothing there" whatever its padding token is.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        from sentence_transformers.sentence_transformer.modules import Normalize

        kept = [module for module in encoder if not isinstance(module, Normalize)]
        self.modules_in_order = nn.ModuleList(kept)
        self.encoder = [encoder]  # in a list, so that its parameters are not counted twice
        self.tokenizer = encoder.tokenizer
        width = encoder.get_embedding_dimension()
        if not isinstance(width, int):
            raise RagcunError(f"{encoder}: does not say how wide its embeddings are")
        self.width = width

    @classmethod
    def load(cls, name: str) -> SentenceBase:
        """From a folder, or by name from the hub or its local cache. RagcunError when it cannot be had."""
        from sentence_transformers import SentenceTransformer

        there = Path(name).is_dir()
        if not there and (name.startswith((".", "/")) or name.count("/") > 1):
            raise RagcunError(f"base {name}: there is no such folder")
        try:
            return cls(SentenceTransformer(name, device="cpu", local_files_only=there))
        except RagcunError:
            raise
        except Exception as error:  # OSError, ValueError and those of three libraries
            raise RagcunError(
                f"base {name}: cannot be loaded ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            ) from None

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        """(N, <= length) ids plus one."""
        longest = min(length, int(getattr(self.tokenizer, "model_max_length", length)))
        if not texts:
            return torch.zeros((0, longest), dtype=torch.int32)
        found = self.tokenizer(
            list(texts), truncation=True, max_length=longest, padding="max_length", return_tensors="pt"
        )
        return ((found["input_ids"] + 1) * found["attention_mask"]).int()

    def forward(self, ids: Tensor) -> Tensor:
        kept = (ids != 0).long()
        longest = int(kept.sum(1).max()) if len(ids) else 0
        kept, ids = kept[:, :longest], ids[:, :longest].long()
        features = {"input_ids": (ids - 1).clamp_min(0), "attention_mask": kept}
        for module in self.modules_in_order:
            features = module(features)
        result: Tensor = features["sentence_embedding"]
        return result

    def save(self, folder: Path) -> None:
        """Configuration, tokenizer and modules under folder/base; the weights that count are in model.safetensors."""
        self.encoder[0].save(str(folder / "base"), create_model_card=False)
