"""A scorer starts as the likelihood of what was said, in any company, on any base; adapters and head are trained."""

from __future__ import annotations

import copy

import pytest
import torch

from persona import reward, tokens
from persona.model import Shape, build
from persona.policy import Policy, classifier

ASKED = [
    (["i am a baker.", "i have a dog."], ["what is your job?"], "i am a baker."),
    ([], ["hello!", "hi.", "and your pet?"], "i have a dog, and it is old."),
    (["oslo is where i was born."], ["where are you from?"], "oslo."),
]


@pytest.fixture(params=["apart", "causal", "untied"])
def model(request, tokenizer):
    torch.manual_seed(0)
    if request.param == "untied":
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
            num_attention_heads=2, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval()
    marks = tokens.marks(tokenizer) if request.param == "apart" else None
    shape = Shape(len(tokenizer), 32, 3, 2, 48, 256, True)
    return build(shape, tokenizer.pad_token_id, tokenizer.eos_token_id, marks).eval()


def test_it_starts_as_the_log_likelihood_of_the_response(model, tokenizer):
    wanted = [total for total, _ in Policy(model, tokenizer, 256).likelihoods(ASKED)]
    found = reward.scores(classifier(model, tokenizer).eval(), tokenizer, ASKED)
    assert found == pytest.approx(wanted, abs=1e-3)
    assert all(score < -1 for score in found)


@torch.no_grad()
def test_it_reads_only_what_is_said_and_up_to_where_it_stands(model, tokenizer):
    """What reinforcement asks: a value at every place, of rows filled up on the left, as the policy foretells it."""
    (one,) = tokens.examples(tokenizer, [ASKED[0][:2]], [ASKED[0][2]])
    ids = torch.tensor([one["input_ids"]])
    scorer = classifier(copy.deepcopy(model), tokenizer).eval()
    begun = len(ids[0]) - sum(label != tokens.IGNORED for label in one["labels"])
    likely = scorer.model(input_ids=ids).hidden_states[-1][0, :, -1]
    assert not likely[:begun].any()
    foretold = torch.log_softmax(model(input_ids=ids).logits[0], -1)
    step = [float(foretold[place - 1, ids[0, place]]) for place in range(begun, ids.shape[1])]
    assert likely[begun:].diff(prepend=torch.zeros(1)).tolist() == pytest.approx(step, abs=1e-3)
    filled = torch.nn.functional.pad(ids, (5, 0), value=tokenizer.pad_token_id)
    mask = filled != tokenizer.pad_token_id
    moved = scorer.model(input_ids=filled, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0))
    assert torch.allclose(moved.hidden_states[-1][0, 5:, -1], likely, atol=1e-3)


def test_scores_are_the_same_in_any_company_whatever_fills_up(tokenizer):
    """A hub tokenizer's padding is seldom entry 0."""
    other = copy.deepcopy(tokenizer)
    other.add_special_tokens({"pad_token": "<fill>"})
    assert other.pad_token_id == len(tokenizer)
    torch.manual_seed(0)
    shape = Shape(len(other), 32, 3, 2, 48, 256, True)
    scorer = classifier(build(shape, other.pad_token_id, other.eos_token_id), other).eval()
    together = reward.scores(scorer, other, ASKED)
    assert together == pytest.approx([reward.scores(scorer, other, [one])[0] for one in ASKED], abs=1e-3)
    batch = reward.collate(other.pad_token_id, [{"chosen_ids": [7, 8, 9], "rejected_ids": [7]}])
    assert batch["input_ids"].tolist() == [[7, 8, 9], [7, other.pad_token_id, other.pad_token_id]]
    assert scorer(**batch).logits.shape == (2, 1)


def test_a_model_in_half_precision_has_a_head_in_full(model, tokenizer):
    scorer = classifier(model.bfloat16(), tokenizer).eval()
    (score,) = reward.scores(scorer, tokenizer, ASKED[:1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = torch.tensor([[0.0] * 32 + [-37.113]])
        assert float(scorer.score(states).detach()) == pytest.approx(-37.113)
    assert score < -1


def test_adapters_are_on_its_layers_and_not_on_its_outputs(model, tokenizer):
    from peft import get_peft_model

    from persona.config import Settings
    from persona.policy import adapters

    found = get_peft_model(classifier(model, tokenizer), adapters(Settings(), "reward"))
    trained = [name for name, parameter in found.named_parameters() if parameter.requires_grad]
    assert any("self_attn.q_proj.lora_A" in name for name in trained)
    assert [name for name in trained if "lora" not in name] == ["base_model.model.score.modules_to_save.default.weight"]
    adapted = [name for name in trained if "lora" in name]
    assert not [name for name in adapted if "lm_head" in name or "embed" in name or "score" in name]
