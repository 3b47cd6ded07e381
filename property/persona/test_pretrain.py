"""What an update sees is a function of seed and update; a kill leaves no trace; half a checkpoint is none."""

from __future__ import annotations

import copy
import math
import random
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona import checkpoints, pretrain, tokens
from persona.chain import subjects
from persona.config import Pretrain
from persona.tokens import IGNORED

SETTINGS = Pretrain(drills=3, dialogues=5, tokens=200, drill_share=0.3, learning_rate=3e-3, warmup=2)


@pytest.fixture
def corpus(tokenizer, rows):
    dialogues = [[*row["dialogue"], row["response"]] for row in rows["chatter"]]
    examples = tokens.spoken(tokenizer, dialogues, subjects=subjects(rows["chatter"]))
    return pretrain.Corpus(examples, examples[:4], len(tokenizer), SETTINGS, seed=0)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_drill_learns_only_what_was_said_before(seed, grown):
    corpus = pretrain.Corpus([{"input_ids": [5], "labels": [5]}] * 4, [], 300, SETTINGS, seed=0)
    batch = corpus.drill(random.Random(seed), grown)
    for ids, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        first = next(place for place, label in enumerate(labels) if label != IGNORED)
        period = first - 1
        assert labels[first:] == ids[first:] == ids[first - period : -period]
        assert min(ids) >= 5


def test_an_update_is_a_function_of_seed_and_update(corpus):
    for update in range(8):
        one, other = corpus.batch(update), copy.deepcopy(corpus).batch(update)
        assert all(torch.equal(one[name], other[name]) for name in one)
    drawn = {tuple(corpus.batch(update)["input_ids"].flatten().tolist()) for update in range(8)}
    assert len(drawn) == 8


def test_an_update_holds_no_more_tokens_than_declared(corpus):
    """Padding counts; one dialogue is taken however long."""
    for update in range(SETTINGS.drills, 60):
        rows, width = corpus.batch(update)["input_ids"].shape
        assert rows == 1 or rows * width <= SETTINGS.tokens


def test_what_is_held_back_is_not_drawn(corpus):
    assert len(corpus.held) == 8
    assert len(corpus.chatter) == 72
    held = {id(one) for one in corpus.held}
    assert not any(id(one) in held for one in corpus.chatter)


def test_the_rate_rises_and_falls():
    """Half a cosine over six updates: 1 at its start, 1/2 in the middle, 0 at the last."""
    shares = [pretrain.rate(SETTINGS, update) for update in range(8)]
    assert shares == pytest.approx([0.5, 1, 0.9330127, 0.75, 0.5, 0.25, 0.0669873, 0], abs=1e-6)


def test_what_a_place_is_about_weighs_as_declared(corpus, language_model):
    """Readouts that have learnt nothing cost ln K of K subjects, and ln 2; without subjects there is no other loss."""
    batch = next(b for b in map(corpus.batch, range(3, 60)) if "about" in b and (b["about"] != IGNORED).any())
    alone = {name: each for name, each in batch.items() if name != "about"}
    reader = pretrain.Reader(language_model.eval(), corpus.subjects, 0.5)
    with torch.no_grad():
        wanted = float(language_model(**alone).loss)
        assert float(reader(**batch)) == pytest.approx(wanted + 0.5 * math.log(2 * corpus.subjects), rel=1e-5)
        assert float(pretrain.Reader(language_model, 0, 0.5)(**batch)) == pytest.approx(wanted, rel=1e-6)
        assert float(reader(**alone)) == pytest.approx(wanted, rel=1e-5), "a drill is about nothing"


def test_how_a_reply_is_put_weighs_less_than_the_word_that_it_gives(language_model):
    """By hand: the mean over learnt pieces, those after which a told word's piece comes weighing four times the others."""
    ids = torch.tensor([[7, 8, 9, 10, 11]])
    labels = torch.tensor([[IGNORED, IGNORED, 9, 10, 11]])
    about = torch.tensor([[3, IGNORED, 2, IGNORED, IGNORED]])  # 10 is of a told word; 7 is told, and not learnt
    with torch.no_grad():
        costs = -language_model.eval()(input_ids=ids).logits[0].log_softmax(-1)
        nine, ten, eleven = (float(costs[place, label]) for place, label in ((1, 9), (2, 10), (3, 11)))
        reader = pretrain.Reader(language_model, 5, 0.0, phrasing=0.25)
        found = float(reader(input_ids=ids, labels=labels, about=about))
    assert found == pytest.approx((0.25 * nine + ten + 0.25 * eleven) / 1.5, rel=1e-5)


def test_what_is_asked_was_told_or_not():
    """By hand: subjects 3 and 1 are told at places 0 and 1; replies begin after 2, of subject 1, and after 4, of 2."""
    labels = torch.tensor([[IGNORED, IGNORED, IGNORED, 9, IGNORED, 8, 7]])
    about = torch.tensor([[3, 1, 1, 1, 2, IGNORED, IGNORED]])  # 3: where a piece of the told word is looked for
    begins, known = pretrain.answerable(labels, about)
    assert begins[0].tolist() == [False, False, True, False, True, False, False]
    assert known.tolist() == [True, False]


def test_what_is_told_and_never_asked_for_is_no_loss(language_model):
    ids = torch.tensor([[7, 8, 9]])
    about = torch.tensor([[1, IGNORED, IGNORED]])
    labels = torch.tensor([[IGNORED, IGNORED, 9]])
    with torch.no_grad():
        reader, alone = (pretrain.Reader(language_model.eval(), 2, share) for share in (0.5, 0.0))
        found, loss = (float(one(input_ids=ids, labels=labels, about=about)) for one in (reader, alone))
    assert found == pytest.approx(loss + 0.5 * math.log(2), rel=1e-5)


def test_an_update_without_need_is_not_cut_short(tokenizer, rows):
    """All of one length: every update of dialogue has as many as the tokens hold."""
    (one,) = tokens.spoken(tokenizer, [["how are you?", "fine."]])
    corpus = pretrain.Corpus([one] * 40, [], len(tokenizer), SETTINGS, seed=0)
    for update in range(20):
        found = corpus.alike(random.Random(update), corpus.chatter)
        assert len(found) == SETTINGS.tokens // len(one["input_ids"])
        assert corpus.alike(random.Random(update), [{"input_ids": [5], "labels": [5]}])  # shorter than any of chatter


class Stop(Exception):  # noqa: N818
    pass


def test_a_killed_run_ends_with_the_same_weights(corpus, language_model, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "_SAVE_EVERY", 2)
    whole, killed = copy.deepcopy(language_model), copy.deepcopy(language_model)
    history = pretrain.pretrain(whole, corpus, SETTINGS, tmp_path / "whole", keep=1)

    batch = corpus.batch

    def stops(update):
        if update == 5:
            raise Stop
        return batch(update)

    monkeypatch.setattr(corpus, "batch", stops)
    with pytest.raises(Stop):
        pretrain.pretrain(killed, corpus, SETTINGS, tmp_path / "killed", keep=1)
    monkeypatch.undo()
    monkeypatch.setattr(pretrain, "_SAVE_EVERY", 2)
    fresh = copy.deepcopy(language_model)
    (tmp_path / "killed" / "partial-6").mkdir()  # what a kill within a save leaves
    assert pretrain.pretrain(fresh, corpus, SETTINGS, tmp_path / "killed", keep=1) == history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name]), name
    again = copy.deepcopy(language_model)
    assert pretrain.pretrain(again, corpus, SETTINGS, tmp_path / "killed", keep=1) == history  # done: no update


def test_the_last_and_the_best_are_kept(language_model, tmp_path):
    optimizer = torch.optim.AdamW(language_model.parameters())
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    for update, loss in enumerate([3.0, 1.0, 2.0, 4.0, 5.0], 1):
        checkpoints.save(tmp_path, update, language_model, optimizer, schedule, {"update": update}, 2, loss)
    assert [path.name for path in checkpoints.complete(tmp_path)] == ["checkpoint-2", "checkpoint-4", "checkpoint-5"]
    (tmp_path / "checkpoint-5" / checkpoints.COMPLETE).unlink()
    assert checkpoints.last(tmp_path).name == "checkpoint-4"
    shutil.rmtree(tmp_path / "checkpoint-4")
    assert checkpoints.restore(tmp_path, language_model, optimizer, schedule) == {"update": 2}
