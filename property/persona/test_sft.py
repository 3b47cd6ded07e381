"""Adapters sit on every linear layer, the base stays as it is, and a control never sees the right persona."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import set_seed

from persona import reward, sft, stage
from persona.config import Lora, Settings, Sft, merge_configs
from persona.format import DIALOGUE, PERSONA
from persona.policy import adapters
from persona.tokens import IGNORED
from property.persona.conftest import PROFILE


@given(st.integers(2, 40), st.integers(0, 99))
def test_shuffled_personas_are_all_there_and_none_is_the_own_one(count, seed):
    rows = [{"persona": [str(number)]} for number in range(count)]
    found = sft.personas(rows, "shuffled", seed)
    assert sorted(found) == sorted(row["persona"] for row in rows)
    assert all(given != row["persona"] for given, row in zip(found, rows, strict=True))


def test_a_blind_prompt_holds_no_persona(tokenizer, rows):
    own, blind = (sft.dataset(tokenizer, rows["train"], pairing, 0, 256) for pairing in ("own", "blind"))
    for one, other in zip(own, blind, strict=True):
        learnt = [[label for label in each["labels"] if label != IGNORED] for each in (one, other)]
        assert learnt[0] == learnt[1]
        asked = tokenizer.decode(other["input_ids"][: -len(learnt[1])])
        assert asked.startswith(f"{PERSONA}\n{DIALOGUE} ")


def test_adapters_are_on_all_linear_layers_and_nothing_else_is_trained(language_model):
    from peft import get_peft_model

    linear = {
        name
        for name, module in language_model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    model = get_peft_model(language_model, adapters(Settings(sft=Sft(lora=Lora(rank=2))), "sft"))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all(".lora_A." in name or ".lora_B." in name for name in trained)
    assert {name.removeprefix("base_model.model.").partition(".lora_")[0] for name in trained} == linear
    assert len(linear) == 2 * 7
    assert len(trained) == 2 * len(linear)


def test_training_moves_the_adapters_alone(language_model, tokenizer, rows, tmp_path):
    before = {name: value.clone() for name, value in language_model.state_dict().items()}
    sides = {"train": rows["train"], "dev": rows["dev"]}
    model, log = sft.train(language_model, tokenizer, sides, Settings.read(PROFILE), "sft", "own", tmp_path)
    for name, value in model.get_base_model().state_dict().items():
        if ".lora_" not in name:
            assert torch.equal(value, before[name.replace(".base_layer", "")]), name
    moved = [value.abs().max() > 0 for name, value in model.state_dict().items() if ".lora_B." in name]
    assert all(moved)
    assert log["updates"] == 4
    assert log["dev_loss"][-1] < log["dev_loss"][0]


def test_rows_of_like_length_share_a_batch(language_model, tokenizer, rows, tmp_path, monkeypatch):
    """What padding to the longer row of each batch adds, against batches in the order of the file."""
    batches, collate = [], sft.collate

    def recorded(chosen):
        batches.append([(one["record_id"], len(one["input_ids"])) for one in chosen])
        return collate(chosen)

    monkeypatch.setattr(sft, "collate", recorded)
    settings = Settings.read(merge_configs(PROFILE, {"sft": {"batch": 2}}))  # a quarter of the rows is sorted at a time
    sft.train(language_model, tokenizer, rows, settings, "sft", "own", tmp_path)
    own = {row["record_id"] for row in rows["train"]}
    grouped = [[size for _, size in batch] for batch in batches if {name for name, _ in batch} <= own]
    sizes = [len(one["input_ids"]) for one in sft.dataset(tokenizer, rows["train"], "own", 0, settings.model.context)]
    in_order = [sizes[low : low + 2] for low in range(0, len(sizes), 2)]
    assert sorted(size for batch in grouped for size in batch) == sorted(sizes)
    wasted, otherwise = (sum(2 * max(batch) - sum(batch) for batch in batches_) for batches_ in (grouped, in_order))
    assert wasted < 0.7 * otherwise


def test_the_last_adapters_are_kept_and_not_those_of_the_least_dev_loss(language_model, tokenizer, rows, tmp_path):
    """At a rate so high that the dev loss has its least before the end."""
    settings = Settings.read(merge_configs(PROFILE, {"sft": {"learning_rate": 0.1, "evaluations": 4}}))
    model, log = sft.train(language_model, tokenizer, rows, settings, "sft", "own", tmp_path)
    assert min(log["dev_loss"][1:]) < log["dev_loss"][-1]
    kept = load_file(tmp_path / "checkpoints" / "sft" / f"checkpoint-{log['updates']}" / "adapter_model.safetensors")
    for name, value in get_peft_model_state_dict(model).items():
        assert torch.equal(value, kept[name])


@pytest.mark.parametrize(("name", "stopped"), [("sft", 5), ("sft", 7), ("reward", 7)])  # 4 ends the first epoch of two
def test_a_run_that_is_stopped_in_any_epoch_ends_with_the_same_bits(
    language_model, tokenizer, rows, tmp_path, monkeypatch, name, stopped
):
    options = {"epochs": 2, "evaluations": 4, "lora": {"rank": 2, "dropout": 0.1}}
    settings = Settings.read(merge_configs(PROFILE, {"sft": options, "reward": {**options, "batch": 8}}))

    def fit(out):
        set_seed(0)
        base = copy.deepcopy(language_model)
        if name == "sft":
            return sft.train(base, tokenizer, rows, settings, name, "own", out)[0]
        sides = {"train": rows["twins"], "dev": rows["twins_dev"]}
        return reward.train(base, tokenizer, sides, settings, out)[0]

    whole = get_peft_model_state_dict(fit(tmp_path / "whole"))
    monkeypatch.setattr(stage.Marker, "on_step_end", stop_at(stopped))
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "stopped")
    monkeypatch.undo()
    for key, value in get_peft_model_state_dict(fit(tmp_path / "stopped")).items():
        assert torch.equal(value, whole[key]), key


def test_updates_are_counted_by_what_all_devices_take_at_once(language_model, tokenizer, rows, tmp_path, monkeypatch):
    """Two T4 take twice the batch, so an epoch has half of the updates."""
    monkeypatch.setattr(stage.TrainingArguments, "n_gpu", 2)
    settings, asked = Settings.read(PROFILE), []
    monkeypatch.setattr(stage.Schedule, "of", lambda records, batch, *more: asked.append((records, batch)) or 1 / 0)
    for fit in (
        lambda: sft.train(language_model, tokenizer, rows, settings, "sft", "own", tmp_path),
        lambda: reward.train(
            language_model, tokenizer, {"train": rows["twins"], "dev": rows["twins_dev"]}, settings, tmp_path
        ),
    ):
        with pytest.raises(ZeroDivisionError):
            fit()
    assert asked == [(32, 16), (32, 16)]


def stop_at(update):
    def stop(callback, args, state, control, **more):
        if state.global_step == update:
            raise KeyboardInterrupt

    return stop


def test_the_loss_that_is_minimised_is_that_of_the_response(language_model, tokenizer, rows):
    """By hand: minus the mean log-probability of the learnt pieces, whatever stands before them."""
    data = sft.dataset(tokenizer, rows["train"][:3], "own", 0, 256)
    batch = sft.collate(list(data))
    record_ids = batch.pop("record_id")
    assert record_ids == [row["record_id"] for row in rows["train"][:3]]
    output = language_model(**batch)
    total, count = 0.0, 0
    for row in range(3):
        for place, label in enumerate(batch["labels"][row].tolist()):
            if label != IGNORED:
                total -= float(output.logits[row, place - 1].detach().log_softmax(-1)[label])
                count += 1
    assert float(output.loss.detach()) == pytest.approx(total / count, rel=1e-5)
