"""The body and head of a reward model: a language model, and one number read out of it.

A small model that has learnt to answer from a persona finds a false answer unlikely, but no state of it says so: what
it foretold stands at one place, and what was said instead at the next. So the head is given the log-likelihood of what
was said, beside the last state, and starts as that alone; pairs train it, and the model below, from there. That a
policy is a reward model in itself is Rafailov et al. 2023, whose reward is relative to a reference; none is here, so of
two true replies the usual one is preferred, and the shorter one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_layers import GenericForSequenceClassification
from transformers.modeling_outputs import BaseModelOutputWithPast

from persona.tokens import foretold


class Reading(torch.nn.Module):
    """A causal language model that gives its last states, with one number more: how likely was what has been said.

    Said is what follows the first piece `response`; before it the number is 0.
    """

    def __init__(self, model: Any, response: int) -> None:
        super().__init__()
        self.model, self.response = model, response

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> BaseModelOutputWithPast:
        """(N, T) ids -> (N, T, D + 1) states."""
        begun = (input_ids == self.response).cumsum(1) > 0  # (N, T)
        first = int(begun.any(0).int().argmax())  # the rest needs no logits, which would be most of the memory
        more = {**more, "output_hidden_states": True, "return_dict": True}
        more["logits_to_keep"] = kept = input_ids.shape[1] - first
        found = self.model(input_ids=input_ids, attention_mask=attention_mask, **more)
        each = foretold(found.logits[:, -kept:-1], input_ids[:, first + 1 :]) * begun[:, first:-1]  # (N, T - first - 1)
        likely = torch.nn.functional.pad(each.cumsum(1), (first + 1, 0))[..., None]  # (N, T, 1)
        states = torch.cat([found.hidden_states[-1].float(), likely], dim=-1)
        return BaseModelOutputWithPast(last_hidden_state=states, hidden_states=(states,))


class Head(torch.nn.Linear):
    """In full precision, whatever the model below has: in half of it, a sum of -40 is told to a quarter."""

    def forward(self, states: Tensor) -> Tensor:
        """(..., D + 1) -> (..., 1)."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states)


class Scorer(GenericForSequenceClassification, PreTrainedModel):  # type: ignore[misc]
    """(N, T) ids, filled up -> logits (N, 1): the reward of what was said, read at its last piece."""

    _supports_sdpa = True
    supports_gradient_checkpointing = True

    def __init__(self, model: Any, response: int) -> None:
        about = {key: value for key, value in model.config.to_dict().items() if key not in ("id2label", "label2id")}
        PreTrainedModel.__init__(self, type(model.config).from_dict({**about, "num_labels": 1}))
        self.model = Reading(model, response)
        self.score = Head(model.config.hidden_size + 1, 1, bias=False)
        with torch.no_grad():
            self.score.weight.zero_()[:, -1] = 1.0

    def get_input_embeddings(self) -> Any:
        """Those of the language model."""
        return self.model.model.get_input_embeddings()

    def get_output_embeddings(self) -> Any:
        """Those of the language model, which no adapter is put on."""
        return self.model.model.get_output_embeddings()
