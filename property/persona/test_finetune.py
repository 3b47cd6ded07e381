"""The cheap arm computes the same loss and the same gradients as the whole model, and less of everything else."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch

from persona import tokens
from persona.config import Finetune
from persona.errors import PersonaError
from persona.finetune import ARMS, Arm, Comparison, Plan, arm, learnt_places
from persona.model import Shape, build
from persona.tokens import IGNORED

PLAN = Plan(updates=4, batch=4, learning_rate=1e-3, frozen=1, rank=2)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    shape = Shape(len(tokenizer), 32, 3, 2, 48, 256, True)
    return build(shape, tokenizer.pad_token_id, tokenizer.eos_token_id, tokens.marks(tokenizer))


@pytest.fixture
def examples(tokenizer, rows):
    pairs = [(row["persona"], row["dialogue"]) for row in rows["train"]]
    return tokens.examples(tokenizer, pairs, [row["response"] for row in rows["train"]])


@pytest.mark.parametrize(("frozen", "smoothing"), [(1, 0.0), (2, 0.1)])
def test_what_is_left_out_changes_neither_loss_nor_gradient(model, examples, frozen, smoothing):
    one = arm("ours", model, examples, Plan(4, 4, 1e-3, frozen=frozen, rank=2, smoothing=smoothing))
    for name, parameter in one.model.named_parameters():
        if ".lora_B." in name:
            parameter.data.normal_(std=0.1)
    chosen = [0, 3, 5, 9]
    short = one.loss(chosen)
    assert sorted(one.below) == chosen, "rows that were not met cost nothing"
    whole = Arm.loss(one, chosen)
    assert float(short) == pytest.approx(float(whole), rel=1e-5)
    gradients = (torch.autograd.grad(loss, one.trainable) for loss in (short, whole))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-6)


def test_the_loss_is_the_models_own_and_smoothing_blends_it_with_that_of_all_pieces(model, examples):
    """(1 - s) times the cross-entropy of the piece, s times the mean of those of all pieces (Szegedy et al., eq. 9)."""
    batch = tokens.padded(examples[:4])
    found = model(**batch)
    assert float(arm("full", model, examples, PLAN).loss(range(4))) == pytest.approx(float(found.loss), rel=1e-5)
    logs, learnt = found.logits[:, :-1].log_softmax(-1), batch["labels"][:, 1:] != IGNORED
    blended = 0.9 * found.loss - 0.1 * logs[learnt].mean()
    plan = Plan(4, 4, 1e-3, smoothing=0.1)
    assert float(arm("full", model, examples, plan).loss(range(4))) == pytest.approx(float(blended), rel=1e-5)
    one = arm("full", model, examples, plan)
    assert sum(nll for nll, _ in one.nll(examples[:4])) == pytest.approx(
        float(found.loss) * int(learnt.sum()), rel=1e-4
    )


def test_learnt_places_are_found_in_order():
    labels = torch.tensor([[IGNORED, IGNORED, 7, 8, IGNORED], [IGNORED, 5, IGNORED, IGNORED, IGNORED]])
    places, wanted = learnt_places(labels)
    assert places[0].tolist() == [1, 2]
    assert wanted.tolist() == [[7, 8], [5, IGNORED]]
    assert int(places[1, 0]) == 0


def test_a_row_costs_what_it_costs_alone_at_its_place(model, examples):
    one = arm("full", model, examples, PLAN)
    rows = [examples[place] for place in (5, 0, 9, 3)]
    assert len({len(row["input_ids"]) for row in rows}) > 1
    for (nll, count), row in zip(one.nll(rows), rows, strict=True):
        ((alone, number),) = one.nll([row])
        assert (nll, count) == (pytest.approx(alone, rel=1e-4), number)


def test_no_arm_fills_up_more_than_another(model, examples):
    """What batches of like length save is no merit of ours: all arms take the same ones."""
    found = [list(itertools.islice(arm(name, copy.deepcopy(model), examples, PLAN).batches(), 9)) for name in ARMS]
    assert found[0] == found[1] == found[2]
    sizes = [[len(examples[place]["input_ids"]) for place in batch] for batch in found[0][:8]]
    in_order = [[len(one["input_ids"]) for one in examples[low : low + 4]] for low in range(0, len(examples), 4)]
    wasted, otherwise = (sum(4 * max(each) - sum(each) for each in batches) for batches in (sizes, in_order))
    assert wasted < 0.5 * otherwise


@pytest.mark.parametrize("name", ARMS)
def test_no_arm_computes_logits_that_nobody_learns(model, examples, name):
    one, places = arm(name, model, examples, PLAN), []
    one.head.register_forward_pre_hook(lambda module, given: places.append(given[0].shape[:-1].numel()))
    one.loss([0, 3, 5, 9])
    assert places == [sum(label != IGNORED for row in (0, 3, 5, 9) for label in examples[row]["labels"])]


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_learns_and_covers_all_rows_in_an_epoch(model, examples, name):
    one = arm(name, model, examples, PLAN)
    seen = list(itertools.islice(one.batches(), len(examples) // PLAN.batch))
    assert sorted(place for batch in seen for place in batch) == list(range(len(examples)))
    before = sum(nll for nll, _ in one.nll(examples))
    for _ in range(3):
        one.train(4)
    assert sum(nll for nll, _ in one.nll(examples)) < before
    assert one.done == 12


def test_frozen_layers_do_not_move(model, examples):
    before = copy.deepcopy(model.state_dict())
    one = arm("ours", model, examples, PLAN)
    one.train(2)
    for name, value in one.model.get_base_model().state_dict().items():
        if ".lora_" not in name:
            assert torch.equal(value, before[name.replace(".base_layer", "")])
    assert not any(".layers.0." in name for name, p in one.model.named_parameters() if p.requires_grad)


def test_usage_is_counted(model, examples):
    counts = {}
    for name in ARMS:
        one = arm(name, copy.deepcopy(model), examples, PLAN)
        one.train(1)
        counts[name] = one.usage()
    assert counts["full"]["trainable"] == sum(p.numel() for p in model.parameters())
    assert counts["full"]["optimizer_bytes"] >= 2 * 4 * counts["full"]["trainable"]
    assert counts["ours"]["trainable"] == counts["lora"]["trainable"] * 2 // 3
    assert counts["ours"]["checkpoint_bytes"] < counts["lora"]["checkpoint_bytes"] < counts["full"]["checkpoint_bytes"]


def test_a_wrong_arm_or_depth_is_named(model, examples):
    with pytest.raises(PersonaError, match="full, lora, ours"):
        arm("best", model, examples, PLAN)
    with pytest.raises(PersonaError, match="3 layers can freeze 1 to 2"):
        arm("ours", model, examples, Plan(4, 4, 1e-3, frozen=3))


def test_arms_take_turns_without_a_trace_of_each_other(model, examples):
    """Slices of other arms and dev losses in between leave the weights as they would be without them."""
    settings = Finetune(updates=4, our_updates=4, slices=2, batch=4, our_batch=4, frozen=1, rank=2)

    def comparison():
        return Comparison(lambda: copy.deepcopy(model), examples, examples[:6], settings, seed=1)

    mixed, losses = comparison(), {name: [] for name in ARMS}
    for name in ARMS:
        mixed.prepare(name)
    for number in range(2):
        for name in ARMS:
            assert mixed.run(name, number) == 2 * (number + 1)
            losses[name].append(sum(nll for nll, _ in mixed.nll(name)))
    for name in ARMS:
        alone = comparison()
        alone.run(name, 0)
        alone.run(name, 1)
        assert all(map(torch.equal, alone.arms[name].trainable, mixed.arms[name].trainable))
        assert losses[name][1] != losses[name][0]


def test_all_arms_of_a_comparison_learn_alike(model, examples):
    settings = Finetune(updates=4, our_updates=4, slices=2, batch=4, our_batch=4, smoothing=0.3)
    comparison = Comparison(lambda: copy.deepcopy(model), examples, examples[:6], settings, seed=5)
    plans = [comparison.prepare(name).plan for name in ARMS]
    assert {(plan.smoothing, plan.seed, plan.updates, plan.batch) for plan in plans} == {(0.3, 5, 4, 4)}
    assert [plan.learning_rate for plan in plans] == [1e-3, 4e-3, settings.our_learning_rate]


def test_a_slice_out_of_turn_is_refused(model, examples):
    settings = Finetune(updates=4, slices=2, batch=4)
    comparison = Comparison(lambda: copy.deepcopy(model), examples, examples[:6], settings, seed=1)
    with pytest.raises(PersonaError, match='arm "full" made 0 updates: slice 1 of 2'):
        comparison.run("full", 1)
    comparison.run("full", 0)
    for number in (0, 2, -1):
        with pytest.raises(PersonaError, match="is not its next"):
            comparison.run("full", number)
