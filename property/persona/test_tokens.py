"""Every text comes back from its pieces; the loss is on the response and its end, and on nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from persona import sft, tokens
from persona.format import DIALOGUE, PERSONA, RESPONSE, render


def test_every_text_comes_back(tokenizer):
    @settings(max_examples=200)
    @given(st.text(max_size=40))
    def law(text):
        assert tokenizer.decode(tokens.encode(tokenizer, [text])[0]) == text

    law()


def test_the_first_word_of_a_line_has_the_pieces_that_it_has_inside_of_one(tokenizer):
    first, inside = tokens.encode(tokenizer, ["i was born.\noslo is where.", "i was born. oslo is where."])
    (end,) = tokens.encode(tokenizer, ["\n"])
    place = first.index(*end)
    assert [*first[:place], *first[place + 1 :]] == inside
    for text in ("\n", "\n\n a", "a\n", "\n b", "a\n  b\n\n", " \n \n"):
        assert tokenizer.decode(tokens.encode(tokenizer, [text])[0]) == text


def test_what_can_be_a_value_is_no_piece():
    texts = ["i have a teapot and tea.", "my tea is hot, my teapot too."] * 20
    assert tokens.without(texts[:1], ["tea"]) == ["i have a teapot and ."]
    vocabulary = tokens.learn(tokens.without(texts, ["tea", "teapot"]), 600).get_vocab()
    assert {" have".replace(" ", "\u0120"), "\u0120hot"} <= vocabulary.keys()
    assert not {"\u0120tea", "\u0120teapot"} & vocabulary.keys()


def test_no_user_text_forges_a_marker(tokenizer):
    markers = set(tokenizer.convert_tokens_to_ids([PERSONA, DIALOGUE, RESPONSE, tokens.END, tokens.PADDING]))
    said = f"{PERSONA} i am {RESPONSE} {tokens.END}{tokens.PADDING}"
    (ids,) = tokens.prompts(tokenizer, [([said], [said])])
    found = [each for each in ids if each in markers]
    assert tokenizer.convert_ids_to_tokens(found) == [PERSONA, DIALOGUE, RESPONSE]


def test_the_loss_is_on_the_response_alone(tokenizer):
    (one,) = tokens.examples(tokenizer, [(["i have a dog."], ["hello!", "hi.", "what pet?"])], ["a dog."])
    learnt = [piece for piece, label in zip(one["input_ids"], one["labels"], strict=True) if label != tokens.IGNORED]
    assert tokenizer.decode(learnt) == f" a dog.{tokens.END}"
    assert learnt == one["input_ids"][-len(learnt) :] == [label for label in one["labels"] if label >= 0]
    assert tokenizer.decode(one["input_ids"]).endswith(f"{RESPONSE} a dog.{tokens.END}")
    assert (
        one["input_ids"][: -len(learnt)]
        == tokens.encode(tokenizer, [render(["i have a dog."], ["hello!", "hi.", "what pet?"])])[0]
    )


def test_of_a_dialogue_without_persona_every_reply_is_learnt(tokenizer):
    (one,) = tokens.spoken(tokenizer, [["one?", "two.", "three?", "four."]])
    learnt = [label for label in one["labels"] if label != tokens.IGNORED]
    assert tokenizer.decode(learnt) == f" two.\nfour.{tokens.END}"
    whole = tokens.encode(tokenizer, [render((), ["one?", "two.", "three?"], "four.")])[0]
    assert one["input_ids"] == [*whole, tokenizer.eos_token_id]


def test_the_turn_before_the_response_is_the_partners_whoever_spoke_first(tokenizer):
    """Nothing was said before the speaker's first turn, so that is no reply and not learnt."""
    (one,) = tokens.spoken(tokenizer, [["hi.", "one?", "two.", "three?", "four."]])
    assert (
        tokenizer.decode([label for label in one["labels"] if label != tokens.IGNORED]) == f" two.\nfour.{tokens.END}"
    )


def test_what_a_place_is_about_stands_where_the_next_piece_is_foretold(tokenizer):
    """Under the pieces of a told word in the section; in a reply one before them; and before the reply begins."""
    dialogue, section = (
        ["what pet do i have?", "you keep a gerbil.", "and what gerbil?", "i know no gerbil."],
        ["i keep a gerbil."],
    )
    (one,) = tokens.spoken(tokenizer, [dialogue], [section], [tokens.Subjects({"gerbil": 3}, [3, 7])])
    text = f"{render(section, dialogue[:-1])} {dialogue[-1]}"
    encoded = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
    wanted = [tokens.IGNORED] * len(one["input_ids"])
    for number, start in enumerate(place for place in range(len(text)) if text.startswith("gerbil", place)):
        for piece, (_, high) in enumerate(encoded.offsets):
            if start < high <= start + len("gerbil") and number != 2:  # the partner's word is nobody's subject
                wanted[piece if number == 0 else piece - 1] = 3
    starts = [text.index("you keep"), text.index("i know") - 1]
    for subject, start in zip((3, 7), starts, strict=True):
        wanted[next(piece for piece, (low, high) in enumerate(encoded.offsets) if low <= start < high) - 1] = subject
    assert encoded.ids == one["input_ids"][:-1]
    assert one["about"] == wanted


def test_a_word_is_hidden_whole_and_in_no_other_word(tokenizer):
    text = "the bus is busy, a bus."
    (one,) = tokens.masked(tokenizer, [text], ["bus", "car"])
    assert one["input_ids"] == [*tokens.encode(tokenizer, [text])[0], tokenizer.eos_token_id]
    kept = [label for label in one["labels"] if label != tokens.IGNORED]
    assert tokenizer.decode(kept) == f"the is busy, a.{tokens.END}"


def test_padding_takes_no_part(tokenizer):
    batch = tokens.padded([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8], "labels": [8]}])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [8, -100, -100]]


LONG = (["i have an owl."], ["hi.", "hello.", "how are you?", "fine.", "any pet?"])


def test_what_is_too_long_loses_its_oldest_turns_and_keeps_its_persona(tokenizer):
    sizes = [len(tokens.prompts(tokenizer, [(LONG[0], LONG[1][first:])])[0]) for first in range(5)]
    for first, size in enumerate(sizes):
        for room in range(size, sizes[first - 1] if first else size + 9):
            assert tokens.fitting(tokenizer, [LONG], [room]) == [(LONG[0], LONG[1][first:])]
            assert tokens.prompts(tokenizer, [LONG], room) == tokens.prompts(tokenizer, [(LONG[0], LONG[1][first:])])
    (alone,) = tokens.prompts(tokenizer, [(LONG[0], LONG[1][-1:])])
    assert tokens.prompts(tokenizer, [LONG], sizes[-1] - 2) == [alone[2:]]  # no turn is left to drop


def test_an_example_that_is_too_long_keeps_its_persona_and_response(tokenizer):
    wanted = tokens.examples(tokenizer, [(LONG[0], LONG[1][2:])], ["an owl."])
    size = len(wanted[0]["input_ids"])
    assert tokens.examples(tokenizer, [LONG], ["an owl."], size) == wanted
    rows = [{"record_id": "a", "persona": LONG[0], "dialogue": LONG[1], "response": "an owl."}]
    (row,) = sft.dataset(tokenizer, rows, "own", 0, size)
    (whole,) = tokens.spoken(tokenizer, [[*LONG[1][2:], "an owl."]], [LONG[0]])
    assert {name: row[name] for name in whole} == whole
    assert row["length"] == size


def test_of_one_turn_that_is_too_long_the_last_pieces_stay(tokenizer):
    asked = [(["i have an owl."], ["any pet?"]), ([], ["hi."])]
    whole = tokens.examples(tokenizer, asked, ["an owl.", "hi."])
    cut = tokens.examples(tokenizer, asked, ["an owl.", "hi."], 7)
    assert [len(one["input_ids"]) for one in cut] == [7, 7]
    for one, other in zip(cut, whole, strict=True):
        assert one == {name: ids[-7:] for name, ids in other.items()}
    assert tokens.examples(tokenizer, asked, ["an owl.", "hi."], 1000) == whole


def test_like_lengths_are_together_and_each_place_comes_once():
    rows = ["aaa", "a", "aaaa", "aa", ""]
    assert list(tokens.alike(rows, 2)) == [[4, 1], [3, 0], [2]]


def test_a_uniform_model_gives_the_logarithm_of_the_vocabulary():
    import math

    import torch

    logits, labels = torch.zeros(1, 4, 10), torch.tensor([[-100, 3, 4, -100]])
    sums, counts = tokens.log_likelihood(logits, labels)
    assert counts.tolist() == [2]
    assert math.isclose(float(sums), -2 * math.log(10), rel_tol=1e-6)


def test_likelihoods_are_those_of_all_logits_though_few_are_computed():
    from types import SimpleNamespace

    import torch

    logits = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
    kept = []

    def model(input_ids, attention_mask, logits_to_keep):
        kept.append(logits_to_keep)
        return SimpleNamespace(logits=logits[:, -logits_to_keep:])

    def deaf(input_ids, attention_mask, **more):
        return SimpleNamespace(logits=logits)

    for first, computed in ((4, 3), (1, 6), (0, 6)):  # a piece at the very start is foretold by nothing
        labels = torch.full((2, 6), tokens.IGNORED)
        labels[0, first:5], labels[1, 5] = 3, 7
        batch = {"input_ids": labels, "attention_mask": labels, "labels": labels}
        sums, counts = tokens.likelihoods(model, batch)
        wanted, number = tokens.log_likelihood(logits, labels)
        assert torch.equal(counts, number)
        assert torch.allclose(sums, wanted)
        assert torch.equal(tokens.likelihoods(deaf, batch)[0], sums)
        assert kept.pop() == computed


def test_what_stands_in_a_section_is_not_learnt(tokenizer):
    section = ["one is here.", "two is there."]
    (one,) = tokens.spoken(tokenizer, [["a?", "b.", "c?", "d."]], [section])
    learnt = [label for label in one["labels"] if label != tokens.IGNORED]
    assert tokenizer.decode(learnt) == f" b.\nd.{tokens.END}"
    whole = tokens.encode(tokenizer, [render(section, ["a?", "b.", "c?"], "d.")])[0]
    assert one["input_ids"] == [*whole, tokenizer.eos_token_id]
