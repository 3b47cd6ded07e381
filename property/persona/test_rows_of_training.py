"""The acceptance rows about training, asked about records with and without the fault that they are there for."""

from __future__ import annotations

from types import SimpleNamespace

import acceptance.persona.test_training as suite

from assay.metrics import training
from assay.subject import Flight

BASE = {"model.embed_tokens.weight": (9, 4), "model.layers.0.self_attn.q_proj.weight": (4, 4)}
OTHERS = {
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (2, 4),
    "base_model.model.score.weight": (1, 5),
}
STILL = [
    "PeftModelForCausalLM.base_model.model.model.embed_tokens.weight",
    "PeftModelForCausalLM.base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight",
    "PeftModelForCausalLM2.base_model.model.model.embed_tokens.weight",
    "PeftModelForCausalLM2.base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight",
    "PeftModelForCausalLM3.base_model.model.model.embed_tokens.weight",
    "PeftModelForCausalLM3.base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight",
    "PeftModelForSequenceClassification.base_model.model.model.model.model.embed_tokens.weight",
    "PeftModelForSequenceClassification.base_model.model.model.model.model.layers.0.self_attn.q_proj.base_layer.weight",
    "PeftModelForSequenceClassification.base_model.model.score.original_module.weight",
    "SectionForCausalLM.model.embed_tokens.weight",
    "SectionForCausalLM.model.layers.0.self_attn.q_proj.base_layer.weight",
]


def subject(**record):
    """What a row asks of a trained chain: its record, its weight files, its profile."""
    artifact = SimpleNamespace(shapes={**BASE, **OTHERS}, parameters=36 + 16 + 8 + 5)
    profile = {"model": {"width": 4}}
    return SimpleNamespace(flight=Flight(None, record, None), artifact=artifact, profile=profile)


def faults(parameters):
    """What the row's metric makes of the parameters of a record."""
    found = []

    def judge(flight, declared, details):
        found.append(training.parameters(flight.record, declared))

    suite.test_adapters_alone_move_above_the_base(judge, subject(parameters=parameters))
    return found[0]


COUNTED = 7 * (36 + 16) + 8 + 3 * 5 + (len(suite.WORLD.slots) + 1) * 5


def test_a_base_weight_that_moves_under_adapters_is_a_fault():
    right = {"counted": COUNTED, "trainable": 8, "without_gradient": STILL, "never_moved": STILL}
    assert faults(right) == 0
    for name in STILL:  # wherever it is, and also when it had no gradient
        assert faults({**right, "never_moved": [one for one in STILL if one != name]}) == 1
    assert faults({**right, "never_moved": []}) == len(STILL)


def test_an_adapter_that_does_not_move_is_a_fault():
    idle = [*STILL, "SectionForCausalLM.model.layers.0.self_attn.q_proj.lora_A.default.weight"]
    assert faults({"counted": COUNTED, "trainable": 8, "without_gradient": [], "never_moved": idle}) == 1


def test_sft_is_judged_by_the_adapters_that_are_kept():
    """The last ones, see `test_sft`; the second look at the dev split has a lower loss, and is not kept."""
    looks = [{"update": update, "loss": loss} for update, loss in ((0, 2.0), (2, 0.5), (4, 1.0))]
    found = []

    def judge(flight, declared):
        found.append(training.learns(flight.record, declared))

    suite.test_sft_learns_and_was_evaluated_as_it_should(judge, subject(), None, looks, {"dev": [], "test": []})
    assert found == [0.5]
