"""A sentence of a section sees itself alone; after it nobody sees what comes later; answers are the same in any batch."""

from __future__ import annotations

import json

import pytest
import torch

from persona import tokens
from persona.errors import PersonaError
from persona.format import DIALOGUE, PERSONA, RESPONSE
from persona.model import Shape, build
from persona.policy import Folder, Policy
from persona.section import SectionConfig, sight

START, MARK, LINE = 2, 3, 4
MARKS = SectionConfig(section_start=START, section_end=MARK, line_end=LINE)


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    shape = Shape(len(tokenizer), 32, 3, 2, 48, 256, True)
    return build(shape, tokenizer.pad_token_id, tokenizer.eos_token_id, tokens.marks(tokenizer)).eval()


@pytest.fixture
def row(tokenizer):
    text = f"{PERSONA} oslo is where i was born.\ni am a baker.\n{DIALOGUE} hello!\n{RESPONSE} hi there."
    ids = torch.tensor(tokens.encode(tokenizer, [text]))
    return ids, int((ids[0] == tokenizer.convert_tokens_to_ids(DIALOGUE)).int().argmax())


def states(model, ids, **more):
    return model(input_ids=ids, output_hidden_states=True, **more).hidden_states[-1][0]


def test_sight_by_hand():
    ids = torch.tensor([[7, 8, MARK, 9], [0, 7, MARK, 9], [5, 6, 7, 8]])
    mask = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 0]])
    seen = sight(ids, mask, MARKS)[:, 0].int().tolist()
    assert seen[0] == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert seen[1] == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    assert seen[2] == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    unmarked = mask[2:]
    assert sight(ids[2:], unmarked, MARKS) is unmarked


def test_sentences_are_apart_by_hand():
    """[PERSONA] 7 8 / 9 / [DIALOGUE] 7: the mark alone, then each line by itself, its end with what follows it."""
    ids = torch.tensor([[START, 7, 8, LINE, 9, LINE, MARK, 7]])
    (seen,) = sight(ids, None, MARKS)[:, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ]


@torch.no_grad()
def test_what_ends_a_sentence_reaches_its_first_word_and_no_other_sentence(model, row, tokenizer):
    ids, end = row
    (line, *_) = (ids[0] == tokens.marks(tokenizer)["line_end"]).nonzero()[:, 0].tolist()
    other = ids.clone()
    other[0, end - 2] += 1  # the last piece of the second sentence; behind it stands the line's end
    changed = (states(model, ids) - states(model, other)).abs().amax(-1) > 1e-6
    assert changed[:end].tolist() == [line <= place < end - 1 for place in range(end)]


@torch.no_grad()
def test_nothing_looks_ahead_after_the_section(model, row):
    ids, end = row
    for place in range(end, ids.shape[1]):
        other = ids.clone()
        other[0, place] = 200 if ids[0, place] != 200 else 201
        if place == end:
            continue  # without the mark there is no section
        assert torch.allclose(states(model, ids)[:place], states(model, other)[:place], atol=1e-6)


@torch.no_grad()
def test_without_a_section_it_is_a_llama(tokenizer, model):
    torch.manual_seed(0)
    plain = build(Shape(len(tokenizer), 32, 3, 2, 48, 256, True), tokenizer.pad_token_id, tokenizer.eos_token_id).eval()
    plain.load_state_dict(model.state_dict())
    ids = torch.randint(5, len(tokenizer), (2, 20))
    assert torch.allclose(states(model, ids), states(plain, ids), atol=1e-6)


def test_answers_are_the_same_in_any_company(tokenizer, model):
    rows = [
        (["i am a baker.", "oslo is where i was born."], ["hello!", "hi.", "what is your job?"]),
        ([], ["what is your job?"]),
        (["i have a dog."], ["where do you live? i live in paris, and i like it there."]),
    ]
    policy = Policy(model, tokenizer, 256)
    together = policy.replies(rows, 8)
    assert together == [policy.replies([one], 8)[0] for one in rows]
    likely = policy.likelihoods([(*one, "i am a baker.") for one in rows])
    for one, (total, count) in zip(rows, likely, strict=True):
        ((alone, same),) = policy.likelihoods([(*one, "i am a baker.")])
        assert count == same
        assert total == pytest.approx(alone, abs=1e-3)


@torch.no_grad()
def test_generation_from_a_cache_says_what_the_whole_model_says(tokenizer, model, row):
    ids, _ = row
    read = []
    model.model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    said = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False,
        eos_token_id=None, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    assert read == [ids.shape[1], 1, 1, 1, 1, 1]  # unasked, as reinforcement generates
    again = ids
    for _ in range(6):
        again = torch.cat([again, model(input_ids=again).logits[:, -1:].argmax(-1)], dim=1)
    assert said.tolist() == again.tolist()


def test_a_line_end_ends_a_turn(tokenizer, model):
    policy = Policy(model, tokenizer, 256)
    ids = tokens.encode(tokenizer, [" i am a baker.\nwhat do you do?"])[0]
    assert policy.text(ids) == "i am a baker."
    assert policy.text([*tokens.encode(tokenizer, [" i am"])[0], tokenizer.eos_token_id, *ids]) == "i am"


def test_a_folder_that_says_nothing_of_it_was_read_from_left_to_right(tmp_path, tokenizer):
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    for told, apart in (({}, False), ({"apart": True}, True), ({"apart": False}, False)):
        about = {"settings": {"base": "scratch", "model": {"width": 32, "heads": 2, **told}}, "stages": []}
        (tmp_path / "config.json").write_text(json.dumps(about))
        assert Folder(tmp_path).settings.model.apart is apart


def test_a_folder_that_was_read_otherwise_is_refused_by_name(tmp_path):
    about = {"settings": {"base": "scratch", "model": {"whole": True}}, "stages": []}
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(PersonaError, match=r'config\.json: .*"model\.whole" is no key'):
        Folder(tmp_path)
