"""The whole chain on tiny data: what it leaves, what it answers, what it refuses, and a kill in the middle."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file

from persona import __main__ as command
from persona import bridge, policy, ppo, pretrain, reward, stage, tokens
from persona.chain import Chain, check, read, train
from persona.chat import chat
from persona.config import Settings, merge_configs, save_config
from persona.errors import PersonaError
from property.persona.conftest import PROFILE

KILLED = """
import json, os, signal, sys
from pathlib import Path
from transformers import TrainerCallback
from persona import chain, stage

class Kill(TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if "sft" in args.output_dir and state.global_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)

stage.Marker.on_step_end = Kill.on_step_end
config, files, out = json.loads(sys.argv[1])
chain.train(config, {name: Path(path) for name, path in files.items()}, Path(out))
"""


@pytest.fixture(scope="module")
def model(trained):
    return bridge.load(trained)


@pytest.fixture(scope="module")
def items(files):
    rows = read(files)["dev"]
    return [{**row, "candidates": [row["response"], "no."]} for row in rows]


def weights(out):
    paths = sorted(out.rglob("*.safetensors"))
    return {path.relative_to(out).as_posix(): load_file(path) for path in paths}


def test_it_leaves_a_base_and_adapters_of_every_stage(trained, model):
    assert model.stages == ["pretrain", "sft", "reward", "ppo"]
    assert set(weights(trained)) == {
        "model.safetensors",
        *(f"{name}.safetensors" for name in ("sft", "reward", "ppo")),
    }
    assert not (trained / "checkpoints").exists()
    moved = weights(trained)["ppo.safetensors"]
    assert any(value.abs().max() > 0 for name, value in moved.items() if "lora_B" in name)


def test_the_chain_learns_its_pieces_without_the_values_of_its_rows(rows, tmp_path):
    told = {**rows["train"][0], "persona": ["i have a gerbil."], "response": "a gerbil.", "facts": {"pet": "gerbil"}}
    files = {**rows, "train": [told] * 200}
    pieces = Chain(Settings.read(PROFILE), files, tmp_path).tokenizer.get_vocab()
    assert "\u0120have" in pieces
    assert "\u0120gerbil" not in pieces


def test_a_killed_chain_ends_with_the_same_weights(trained, files, tmp_path):
    out = tmp_path / "killed"
    told = json.dumps([PROFILE, {name: str(path) for name, path in files.items()}, str(out)])
    killed = subprocess.run([sys.executable, "-c", KILLED, told], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr[-2000:]
    assert not (out / "config.json").exists()
    train(PROFILE, files, out)
    one, other = weights(trained), weights(out)
    assert one.keys() == other.keys()
    for file, tensors in one.items():
        for name, value in tensors.items():
            assert torch.equal(value, other[file][name]), f"{file}: {name}"


def contents(out):
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_folder_is_of_one_training(trained, files, tmp_path):
    """Other settings or data are refused, whether the training there has finished or not, and nothing is touched."""
    out = tmp_path / "copy"
    shutil.copytree(trained, out)
    other = {**files, "train": files["dev"]}
    for finished in (True, False):
        if not finished:
            (out / "config.json").unlink()
        before = contents(out)
        with pytest.raises(PersonaError, match=rf"{out}: .*settings\.sft\.epochs; give another folder, or remove"):
            train(merge_configs(PROFILE, {"sft": {"epochs": 2}}), files, out)
        with pytest.raises(PersonaError, match=r"differing in data\.train;"):
            train(PROFILE, other, out)
        assert contents(out) == before
    (out / "training.json").unlink()
    with pytest.raises(PersonaError, match=r"without a training\.json"):
        train(PROFILE, files, out)


def test_a_folder_counts_as_finished_only_after_its_last_training(trained, files, tmp_path, monkeypatch):
    out = tmp_path / "copy"
    shutil.copytree(trained, out)
    monkeypatch.setattr(Chain, "all", lambda run: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(PROFILE, files, out)
    with pytest.raises(PersonaError, match=r"no config\.json"):
        bridge.load(out)


def test_a_folder_without_weights_is_free(files, tmp_path, monkeypatch):
    """What failed before it made any leaves no claim, nor pieces learnt otherwise."""
    with pytest.raises(PersonaError, match="the device has"):
        train(merge_configs(PROFILE, {"memory_gib": 1e-6}), files, tmp_path)
    monkeypatch.setattr(Chain, "all", lambda run: None)
    monkeypatch.setattr(Chain, "finish", lambda run: None)
    train(merge_configs(PROFILE, {"model": {"vocabulary": 400}}), files, tmp_path)
    assert len(tokens.read(tmp_path / "tokenizer.json")) == 400


def test_answers_are_one_for_an_item_in_order_and_repeat(model, items):
    whole = model.reply(items)
    assert whole == model.reply(items, stage="ppo")
    assert len(whole) == len(items)
    assert [model.reply([item])[0] for item in items] == whole
    assert all(set(one) == {"text"} for one in whole)


TALK = {"persona": ["i am a baker."], "dialogue": ["hello, how are you today?"] * 101}


def starts(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False).startswith("[PERSONA] i am a baker.\n[DIALOGUE] hello, how")


def test_a_long_talk_is_answered_by_the_persona(model, monkeypatch):
    policy, given = model._policy("sft"), []
    answer = policy.model.generate
    monkeypatch.setattr(policy.model, "generate", lambda **how: given.append(how["input_ids"]) or answer(**how))
    assert len(model.reply([TALK], stage="sft")) == 1
    assert starts(policy.tokenizer, given[0][0])
    assert 256 - 8 - 12 < given[0].shape[1] <= 256 - 8


def test_a_long_talk_is_rehearsed_by_the_persona(language_model, tokenizer, tmp_path, monkeypatch):
    from trl.experimental import ppo as trl_ppo

    given = []

    def trainer(**how):
        given.extend(how["train_dataset"])
        raise KeyboardInterrupt

    monkeypatch.setattr(trl_ppo, "PPOTrainer", trainer)
    with pytest.raises(KeyboardInterrupt):
        ppo.train(language_model, language_model, tokenizer, [TALK], Settings.read(PROFILE), tmp_path)
    assert starts(tokenizer, given[0]["input_ids"])


def test_likelihood_is_perplexity_by_another_name(model, items):
    scores = model.likelihood(items, stage="sft")
    for one, other in zip(scores, model.perplexity(items, stage="sft"), strict=True):
        assert one["scores"][0] == pytest.approx(-other["nll"] / other["tokens"], rel=1e-4)
        assert len(one["scores"]) == 2


def test_a_response_is_scored_under_each_persona(model, items):
    item = items[0]
    personas = [item["persona"], items[1]["persona"]]
    (found,) = model.likelihood([{**item, "personas": personas}])
    alone = [model.likelihood([{**item, "persona": one, "candidates": [item["response"]]}])[0] for one in personas]
    assert found["scores"] == pytest.approx([one["scores"][0] for one in alone], rel=1e-4)


def test_the_reward_hangs_on_the_persona(model, items):
    own = model.reward(items)
    swapped = model.reward([{**item, "persona": items[place - 1]["persona"]} for place, item in enumerate(items)])
    assert all(one["score"] != other["score"] for one, other in zip(own, swapped, strict=True))


def test_a_pair_is_asked_under_both_personas(tokenizer, rows):
    twin = rows["twins"][0]
    first, second = list(reward.dataset(tokenizer, [twin], 256))
    assert tokenizer.decode(first["chosen_ids"]).endswith(f" {twin['responses'][0]}<eos>")
    assert tokenizer.decode(second["chosen_ids"]).endswith(f" {twin['responses'][1]}<eos>")
    assert tokenizer.decode(first["rejected_ids"]).endswith(f" {twin['responses'][1]}<eos>")
    for pair in (first, second):
        prompts = [tokenizer.decode(pair[key]).partition("[RESPONSE]")[0] for key in ("chosen_ids", "rejected_ids")]
        assert prompts[0] == prompts[1]
    batch = reward.collate(tokenizer.pad_token_id, [first, second])
    assert batch["record_id"] == [twin["record_id"]] * 4
    assert batch["input_ids"].shape == batch["attention_mask"].shape


def test_the_base_never_learns_a_value_without_its_persona(files, tmp_path):
    """Of the rows that lend their language to pre-training, no value is learnt; everything else is."""
    from persona import disguise
    from persona.chain import Chain
    from persona.config import Settings

    chain = Chain(Settings.read(PROFILE), read(files), tmp_path)
    _, spoken = chain._dialogues()
    values = disguise.values(read(files)["train"])
    word, hidden = re.compile(r"[a-z]+"), 0
    for row, one in zip(read(files)["train"], spoken, strict=True):
        said = word.findall(" ".join([*row["dialogue"], row["response"]]))
        blank = chain.tokenizer.encode("#")[0]
        labels = [blank if label == tokens.IGNORED else label for label in one["labels"]]
        learnt = word.findall(chain.tokenizer.decode(labels, skip_special_tokens=True))
        assert learnt == [each for each in said if each not in values]
        hidden += len(said) - len(learnt)
    assert hidden > 10


def test_what_was_not_trained_is_named(model, items, tmp_path, trained):
    with pytest.raises(PersonaError, match="there are base, sft, ppo"):
        model.reply(items, stage="blind")
    with pytest.raises(PersonaError, match=r"no config\.json"):
        bridge.load(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(trained, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(PersonaError, match=r"model\.safetensors"):
        bridge.load(broken)


def test_rows_that_lack_something_are_named(files, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"record_id": "a", "persona": []}\n')
    with pytest.raises(PersonaError, match=r"train\.jsonl:1: key \"dialogue\" is missing"):
        read({**files, "train": path})
    with pytest.raises(PersonaError, match="not there"):
        read({**files, "train": tmp_path / "nothing.jsonl"})


def test_a_person_can_talk_to_it(model):
    said = []
    lines = ["hello!", "/persona", "what is your job?", "/again", "", "/quit", "never read"]
    assert chat(model, ["i am a baker."], lines, said.append, stage="sft") == 2
    assert said[1] == "i am a baker."
    assert len(said) == 3


def test_the_command_line_evaluates_and_chats(trained, files, monkeypatch, capsys):
    model = ["--model", str(trained), "--stage", "sft"]
    assert command.main(["evaluate", str(files["dev"]), *model, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == len(told["replies"]) == 8
    assert told["perplexity"] > 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello!\n"))
    assert command.main(["chat", *model, "--persona", "i am a baker."]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_users_mistake_is_one_line(tmp_path, capsys, trained, files):
    save_config({"seed": 1}, tmp_path / "config.json")
    (tmp_path / "latin.toml").write_bytes(b'base = "\xff"')
    (tmp_path / "spec.toml").write_text("profile = 3")
    for number, damage in enumerate(("tokenizer.json", "config.json")):
        broken = tmp_path / f"broken{number}"
        shutil.copytree(trained, broken)
        (broken / damage).write_text("[]")
    shutil.copytree(trained, tmp_path / "lacking")
    (tmp_path / "lacking" / "tokenizer.json").unlink()
    row = {"persona": [], "dialogue": ["hello!"], "response": "hi."}
    for name, wrong in (
        ("number", {"response": 3}),
        ("text", {"persona": "i am a baker."}),
        ("null", {"dialogue": None}),
    ):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**row, **wrong}))
    few = tmp_path / "few"
    shutil.copytree(files["dev"].parent, few)
    few.joinpath("chatter.jsonl").write_text("".join(files["chatter"].read_text().splitlines(True)[:9]))
    quick = ["--data", str(few), "--model", str(tmp_path / "m")]
    for arguments, told in (
        (["train", "--set", "sft.epoch=3", "--data", str(tmp_path)], "sft.epochs"),
        (["train", "--config", str(tmp_path / "config.json"), "--data", str(tmp_path), "--model", "m"], "not there"),
        (["train", "--config", str(tmp_path / "latin.toml")], "no UTF-8"),
        (["train", "--spec", str(tmp_path / "latin.toml")], "latin.toml: 'utf-8'"),
        (["train", "--spec", str(tmp_path / "spec.toml")], "no [profile.cpu]; there are none"),
        (["train", "--profile", "smoke"], "--profile names one of --spec"),
        (["train", "--set", "threads=0"], "threads"),
        (["train", "--set", "sft.learning_rate=nan"], "sft.learning_rate"),
        (["train", *quick], "chatter: 9 rows are too few, 10 are needed"),
        (["train", *quick, "--set", 'base="nobody"'], "train: 32 rows are too few, 64 are needed"),
        (["chat", "--model", str(tmp_path)], "config.json: not of a trained chain"),
        (["chat", "--model", str(tmp_path / "broken0")], "tokenizer.json: cannot be read"),
        (["chat", "--model", str(tmp_path / "broken1")], "config.json: not of a trained chain"),
        (["chat", "--model", str(tmp_path / "lacking")], "tokenizer.json: cannot be read"),
        (["evaluate", str(tmp_path / "no.jsonl")], "not there"),
        *((["evaluate", str(tmp_path / f"{name}.jsonl")], f"{name}.jsonl:1") for name in ("number", "text", "null")),
    ):
        assert command.main(arguments) == 2, arguments
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line


def test_a_report_to_nobody_is_refused_before_anything_is_trained(files, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PersonaError, match='report_to = "wandb": no package'):
        check(Settings.read({**PROFILE, "report_to": ["wandb"]}), read(files))


def test_a_profile_that_does_not_fit_the_device_is_refused(files, tmp_path):
    config = merge_configs(PROFILE, {"memory_gib": 1e-6})
    with pytest.raises(PersonaError, match="the device has 1e-06"):
        train(config, files, tmp_path)


def other(algorithm, **options):
    return Settings.read(merge_configs(PROFILE, {"reinforce": {"algorithm": algorithm, "generations": 2, **options}}))


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_other_algorithms_are_selected(algorithm, language_model, tokenizer, rows, tmp_path, monkeypatch):
    asked, score = [], ppo.of_pieces
    monkeypatch.setattr(ppo, "of_pieces", lambda *given: asked.append(given[-1]) or score(*given))
    scorer = policy.classifier(copy.deepcopy(language_model), tokenizer).eval()
    _, log = ppo.train(language_model, scorer, tokenizer, rows["train"], other(algorithm, updates=1), tmp_path)
    assert log["updates"] == 1
    assert log["finite"]
    response = tokenizer.convert_tokens_to_ids("[RESPONSE]")
    prompts = [tuple(ids[: ids.index(response)]) for batch in asked for ids in batch]
    assert sorted(Counter(prompts).values()) == [2] * 8  # a batch of eight prompts, each answered twice


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_in_other_algorithms_what_does_not_end_is_scored_as_such(
    algorithm, language_model, tokenizer, tmp_path, monkeypatch
):
    import trl

    given = {}
    monkeypatch.setattr(trl, f"{algorithm.upper()}Trainer", lambda **how: given.update(how) or 1 / 0)
    scorer = policy.classifier(copy.deepcopy(language_model), tokenizer).eval()
    with pytest.raises(ZeroDivisionError):
        settings = other(algorithm, updates=3, epochs=2, unfinished_penalty=7.0)
        ppo.train(language_model, scorer, tokenizer, [TALK], settings, tmp_path)
    (row,) = given["train_dataset"]
    assert starts(tokenizer, row["asked"])
    assert len(row["asked"]) <= 256 - 8
    assert tokens.encode(tokenizer, [row["prompt"]]) == [row["asked"]]
    said, short = [*tokens.encode(tokenizer, [" hi."])[0], tokenizer.eos_token_id], {**TALK, "dialogue": ["hello!"]}
    (asked,) = tokens.prompts(tokenizer, [(short["persona"], short["dialogue"])])
    whole, cut = given["reward_funcs"](
        completion_ids=[said, said[:-1]], asked=[asked, asked], prompts=[], completions=[]
    )
    assert whole == pytest.approx(reward.scores(scorer, tokenizer, [(short["persona"], short["dialogue"], "hi.")])[0])
    (so_far,) = reward.of_pieces(scorer, tokenizer.pad_token_id, [asked + said[:-1]])
    assert cut == pytest.approx(so_far - 7.0)
    assert so_far != pytest.approx(whole)
    assert given["args"].max_steps == 3 * 2


def test_native_precision_is_one_that_is_known():
    assert stage.precision("native") in ("bf16", "fp16", "fp32")
    assert stage.precision("fp32") == "fp32"


def test_a_base_that_is_trained_on_the_cpu_asks_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(stage.Path, "read_text", lambda self, encoding: "flags: sse2")
    assert (stage.precision("native"), stage.precision("native", "cpu")) == ("bf16", "fp32")


def test_its_matrices_are_orthogonal_in_what_the_cpu_multiplies(files, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(stage, "precision", lambda wanted, device=None: asked.append((wanted, device)) or "bf16")
    monkeypatch.setattr(pretrain, "pretrain", lambda *given: asked.append(given[-1]) or [0.0])
    Chain(Settings.read({**PROFILE, "precision": "native"}), read(files), tmp_path).base()
    assert asked == [("native", "cpu"), torch.bfloat16]


def test_a_hub_model_is_a_base(files, tokenizer, tmp_path):
    """A GPT-2 in a local folder, as a hub would hand it out; afterwards the folder is not needed any more."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from persona.tokens import learn

    source = tmp_path / "gpt2"
    learn(["hello there, how are you?"], 300).save_pretrained(str(source))
    sizes = {"vocab_size": 300, "n_positions": 256, "n_embd": 32, "n_layer": 2, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(**sizes)).bfloat16().save_pretrained(str(source))
    out = tmp_path / "out"
    config = merge_configs(PROFILE, {"base": str(source), "reward": {"epochs": 0}})
    train(config, files, out)
    shutil.rmtree(out / "hub")  # as a kill between two files would leave it
    Chain(Settings.read(config), read(files), out).base()
    shutil.rmtree(source)
    model = bridge.load(out)
    assert model.stages == ["sft"]
    items = [{"persona": ["i am a baker."], "dialogue": ["hello!"], "response": "hi.", "candidates": ["hi."]}]
    assert {p.dtype for p in model.folder.base().parameters()} == {torch.float32}
    assert {value.dtype for value in weights(out)["model.safetensors"].values()} == {torch.float32}
    for ask in (model.reply, model.likelihood, model.perplexity):  # of the last stage that there is
        assert ask(items) == ask(items, stage="sft")
    model.folder.stages.clear()
    with pytest.raises(PersonaError, match="none of sft, ppo was trained"):
        model.reply(items)
