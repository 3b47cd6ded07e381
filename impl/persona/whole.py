"""A Llama that reads the section of the persona as a whole, and what follows it piece by piece, as it is said.

"oslo is where i was born": a causal model meets the word before it can know what it will be about, and has to come back
for it later. Places before the mark [DIALOGUE] see each other here, those after them too; all else stays causal (a
prefix language model, Raffel et al. 2020, section 3.2.1). No sentence of a section is ever foretold, so no loss and no
answer can look ahead. Without the mark it is a Llama.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, LlamaForSequenceClassification, LlamaModel


def sight(ids: Tensor, mask: Tensor | None, mark: int) -> Tensor | None:
    """Whom a place sees: (N, 1, T, T), query by key.

    `ids` are (N, T), `mask` is (N, T), 0 where a row is filled up. `mask` itself where no row has the mark: then all is
    causal.
    """
    found = ids == mark
    if not bool(found.any()):
        return mask
    place = torch.arange(ids.shape[1], device=ids.device)
    first = torch.where(found.any(1), found.int().argmax(1), 0)  # (N,)
    section = place < first[:, None]  # (N, T)
    seen = (place[:, None] >= place) | (section[:, :, None] & section[:, None, :])
    if mask is not None:
        seen = (seen & mask.bool()[:, None, :]) | (place[:, None] == place)  # what is filled up sees itself
    return seen[:, None]


class WholeModel(LlamaModel):  # type: ignore[misc]
    """The body; `config.section_end` is the id of the mark."""

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **more: Any) -> Any:
        """As a Llama's; the section has to come in one piece, as generation hands it over."""
        past = more.get("past_key_values")
        if input_ids is not None and (past is None or past.get_seq_length() == 0):
            attention_mask = sight(input_ids, attention_mask, self.config.section_end)
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **more)


class WholeForCausalLM(LlamaForCausalLM):  # type: ignore[misc]
    """The language model."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = WholeModel(config)
        self.post_init()


class WholeForSequenceClassification(LlamaForSequenceClassification):  # type: ignore[misc]
    """The scorer."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = WholeModel(config)
        self.post_init()
