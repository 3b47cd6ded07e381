"""Text -> embeddings by trained weights: the one way in which index, search, evaluation and judge get them.

It refuses a folder without trained weights and weights of another shape, and never falls back to an untrained model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ragcun.errors import RagcunError
from ragcun.lexical import Bm25, Fusion
from ragcun.model import Encoder, StaticBase

Matrix = NDArray[np.float32]

_CHUNK = 512


class Embedder:
    """Embeddings of queries and passages, (N, D) float32; safe from several threads."""

    weights = ""
    """SHA-256 of the weights file; empty for a model that was not loaded from one."""
    bm25 = Bm25()
    fusion = Fusion()
    """Closeness against BM25 in the hybrid; this and `bm25` were tuned on dev."""

    def __init__(self, model: Encoder, query_length: int, passage_length: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.lengths = {"query": query_length, "passage": passage_length}

    @classmethod
    def load(cls, folder: Path) -> Embedder:
        """The trained model in a folder. RagcunError when there is none, or its files do not fit each other."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        weights, about = folder / "model.safetensors", folder / "config.json"
        for path in (weights, about):
            if not path.is_file():
                raise RagcunError(f"{path}: not there, so nothing was trained here; run `python -m ragcun train`")
        try:
            config = json.loads(about.read_text(encoding="utf-8"))
            known, found = config["base"], base_files(folder)
            for name in sorted({*known, *found}):
                if known.get(name) != found.get(name):
                    raise RagcunError(
                        f"{folder / name}: is not the file that these weights were saved with; train again"
                    )
            state = load_file(weights)
            model = _skeleton(folder, config["settings"], state)
            model.load_state_dict(state, strict=True)
            lengths = (int(config["settings"]["query_length"]), int(config["settings"]["passage_length"]))
            result = cls(model, *lengths)
            result.bm25, result.fusion = Bm25(**config["bm25"]), Fusion(**config["fusion"])
        except RagcunError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RagcunError(f"{about}: not the configuration of a model: {error!r}") from None
        except (RuntimeError, SafetensorError) as error:
            told = "; ".join(line.strip() for line in str(error).splitlines()[:2])
            raise RagcunError(f"{weights}: does not fit {about.name}: {told}") from None
        result.weights = hashlib.sha256(weights.read_bytes()).hexdigest()
        return result

    @property
    def dimensions(self) -> int:
        return self.model.dimensions

    def embed(self, texts: Sequence[str], side: str) -> Matrix:
        """(N, D) embeddings of texts as "query" or as "passage". RagcunError where one is not finite."""
        found = self._collect(texts, side, lambda ids: self.model.embed(ids, side), self.dimensions)
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            text = " ".join(texts[bad[0]].split())[:60]
            raise RagcunError(f'{side} "{text}": its embedding is not finite, so the weights are no good; train again')
        return found

    def features(self, texts: Sequence[str], side: str) -> Matrix:
        """(N, W) features of the base alone, before projection and whitening."""
        return self._collect(texts, side, self.model.features, self.model.base.width)

    def _collect(self, texts: Sequence[str], side: str, make: Any, width: int) -> Matrix:
        found = [np.zeros((0, width), dtype=np.float32)]
        with torch.inference_mode():
            for low in range(0, len(texts), _CHUNK):
                ids = self.model.base.encode(texts[low : low + _CHUNK], self.lengths[side])
                found.append(make(ids).float().cpu().numpy())
        return np.concatenate(found)


def base_files(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of what the base keeps beside the weights: a tokenizer of other words would fit them as well."""
    found = [folder / "tokenizer.json", *sorted((folder / "base").rglob("*"))]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if path.is_file()
    }


def _skeleton(folder: Path, settings: dict[str, Any], state: dict[str, torch.Tensor]) -> Encoder:
    """The model with the shapes of `settings` and of its table of embeddings, before its weights are read."""
    if settings["base"] == "static":
        from ragcun import tokens

        entries = len(state["base.embedding.weight"])
        base: Any = StaticBase(
            tokens.read(folder / "tokenizer.json"), entries, settings["width"], 0.0, settings["emphasis"]
        )
    else:
        from ragcun.bases import SentenceBase

        base = SentenceBase.load(str(folder / "base"))
    return Encoder(
        base,
        settings["dimensions"],
        settings["isotropy"],
        settings["regularisation"],
        settings["prediction"],
        settings["whitening"],
        settings["slices"],
    )
