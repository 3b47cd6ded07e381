"""A Llama that reads each sentence of the persona as a whole and apart from the others, and what follows as it is said.

"oslo is where i was born": a causal model meets the word before it can know what it will be about, and one that sees
its neighbours has to find out where a sentence ends before it can tell whose word it is. A persona is a set of
sentences. So between the marks [PERSONA] and [DIALOGUE] places see their own sentence, before and behind them, and
nothing else; all that follows sees all that came before it (a prefix language model, Raffel et al. 2020, section 3.2.1,
with passages encoded apart, as Izacard & Grave 2021 do). The mark [PERSONA] sees itself alone, so it is the same in
every row: where to look when nothing fits. No sentence of a section is ever foretold, so no loss and no answer can look
ahead. Without the mark [DIALOGUE] it is a Llama.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
)


class SectionConfig(LlamaConfig):  # type: ignore[misc]
    """A Llama's, and the ids of the pieces that open a section, close it, and part its sentences."""

    model_type = "section_llama"
    section_start: int = -1
    section_end: int = -1
    line_end: int = -1


def sight(ids: Tensor, mask: Tensor | None, marks: SectionConfig) -> Tensor | None:
    """Whom a place sees: (N, 1, T, T), query by key.

    `ids` are (N, T), `mask` is (N, T), 0 where a row is filled up. `mask` itself where no row has the mark that closes
    a section: then all is causal.
    """
    found = ids == marks.section_end
    if not bool(found.any()):
        return mask
    place = torch.arange(ids.shape[1], device=ids.device)
    first = torch.where(found.any(1), found.int().argmax(1), 0)  # (N,)
    inside = place < first[:, None]  # (N, T)
    sentence = (ids == marks.line_end).cumsum(1).masked_fill(ids == marks.section_start, -1)  # (N, T)
    alike = sentence[:, :, None] == sentence[:, None, :]
    both = inside[:, :, None] & inside[:, None, :]
    seen = torch.where(both, alike, place[:, None] >= place)
    if mask is not None:
        seen = (seen & mask.bool()[:, None, :]) | (place[:, None] == place)  # what is filled up sees itself
    return seen[:, None]


class SectionModel(LlamaModel):  # type: ignore[misc]
    """The body."""

    config_class = SectionConfig

    def forward(self, input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **more: Any) -> Any:
        """As a Llama's; the section has to come in one piece, as generation hands it over."""
        past = more.get("past_key_values")
        if input_ids is not None and (past is None or past.get_seq_length() == 0):
            attention_mask = sight(input_ids, attention_mask, self.config)
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, **more)


class SectionForCausalLM(LlamaForCausalLM):  # type: ignore[misc]
    """The language model."""

    config_class = SectionConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = SectionModel(config)
        self.post_init()


AutoModel.register(SectionConfig, SectionModel)
AutoModelForCausalLM.register(SectionConfig, SectionForCausalLM)
