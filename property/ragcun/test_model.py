"""The encoder: one definition of distance, a loss that is the sum of its terms, switches that act."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

torch = pytest.importorskip("torch")

from ragcun import tokens  # noqa: E402
from ragcun.model import Encoder, StaticBase, squared_distances  # noqa: E402

TEXTS = ["parseHTTPResponse v2", "read_file the lines", "write the file now", "sum of all numbers", "sort the numbers"]


def make(isotropy=0.1, regularisation=0.1, prediction=0.1, whitening=True, dropout=0.0):
    torch.manual_seed(0)
    base = StaticBase(*tokens.learn([(TEXTS * 3, 6)], 200), 12, dropout)
    return Encoder(base, 4, isotropy, regularisation, prediction, whitening, 8)


def batch(model, clash=None):
    ids = model.base.encode(TEXTS, 6)
    clashes = torch.zeros(5, 10, dtype=torch.bool)
    if clash is not None:
        clashes[0, clash] = True
    return {
        "record_id": list("abcde"), "input_ids": torch.cat([ids, ids.flip(1), ids.roll(1, 0)], 1),
        "widths": torch.tensor([6, 6, 6]), "labels": torch.arange(5), "clashes": clashes,
    }  # fmt: skip


def test_distances_are_scipys():
    x, y = torch.randn(7, 5), torch.randn(4, 5)
    assert squared_distances(x, y).numpy() == pytest.approx(cdist(x, y, "sqeuclidean"), abs=1e-4)


def test_the_loss_is_the_sum_of_its_terms_and_each_can_be_switched_off():
    model = make()
    output = model(**batch(model))
    assert set(output.losses) == {"contrastive", "isotropy", "regularisation", "prediction"}
    assert float(output.loss) == pytest.approx(sum(map(float, output.losses.values())), rel=1e-6)
    bare = make(0, 0, 0)
    assert set(bare(**batch(bare)).losses) == {"contrastive"}


def test_every_parameter_gets_a_gradient():
    model = make()
    model(**batch(model)).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_name_that_a_text_defines_counts_several_times():
    tokenizer, entries = tokens.learn([(TEXTS * 3, 6)], 200)
    base = StaticBase(tokenizer, entries, 12, 0.0, emphasis=3)
    ids = base.encode(["async def read_file(lines): write", "read the file"], 6)
    assert ids.shape == (2, 6 + 2 * 8)
    number = {word: int(base.encode([word], 6)[0, 0]) for word in ("read", "file", "lines", "write", "the")}
    assert ids[0, 6:].tolist() == [number["read"], number["file"], 0, 0, 0, 0, 0, 0] * 2
    assert not ids[1, 6:].any()
    row = base.embedding.weight
    distinct = [int(one) for one in ids[0, :6] if one]
    expected = (sum(row[one] for one in distinct) + 2 * (row[number["read"]] + row[number["file"]])) / np.sqrt(
        len(distinct) + 4
    )
    assert torch.allclose(base(ids)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("@wraps(f)\ndef run_all(x):\n    def inner(): pass", "run_all"),
        ("    async def go(self): ...", "go"),
        ("class Tree(Base):\n    def walk(self): ...", "Tree"),
        ("undefined behaviour", ""),
        ("the classical define", ""),
    ],
)
def test_a_name_is_the_first_that_is_defined(text, name):
    assert tokens.name(text) == name


def test_a_text_without_a_known_token_has_a_finite_gradient():
    model = make()
    rows = batch(model)
    rows["input_ids"][2, :6] = 0
    model(**rows).loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_what_was_encoded_on_the_host_goes_where_the_weights_are():
    """On a GPU whitening is fitted and texts are embedded from ids that lie in the host's memory."""
    model = make().to("meta").eval()
    assert model.embed(torch.randn(3, 12), "query").device.type == "meta"


@pytest.mark.parametrize("column", [1, 6], ids=["passage of another", "hard negative"])
def test_a_negative_that_is_a_right_answer_does_not_count(column):
    model = make(0, 0, 0)
    plain, blocked = (float(model(**batch(model, clash)).loss) for clash in (None, column))
    assert blocked < plain


def test_contrastive_loss_by_hand():
    model = make(0, 0, 0, whitening=False)
    rows = batch(model)
    queries, passages, others = (model.project(part) for part in rows["input_ids"].split(6, dim=1))
    distances = cdist(queries.detach(), torch.cat([passages, others]).detach(), "sqeuclidean")
    logits = -distances * float(model.log_scale.exp()) / 8
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(logits)])
    assert float(model(**rows).loss) == pytest.approx(expected, rel=1e-4)


def test_checkpointing_gives_the_same_gradients():
    kept, again = make(), make()
    again.gradient_checkpointing_enable()
    for model in (kept, again):
        torch.manual_seed(1)
        model(**batch(model)).loss.backward()
    for one, other in zip(kept.parameters(), again.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_order_and_repetition_of_words_do_not_matter_to_a_bag():
    model = make().eval()
    one, two = model.base.encode(["the file the lines", "lines the file"], 6)
    assert torch.allclose(model.features(one[None]), model.features(two[None]), atol=1e-6)


def test_eval_mode_draws_no_random_number():
    model = make(dropout=0.5).eval()
    ids = model.base.encode(TEXTS, 6)
    assert torch.equal(model.embed(ids, "query"), model.embed(ids, "query"))


def test_every_entry_of_the_table_stands_in_a_text():
    """Parts of `abcde` are merged on the way to it; only what is left over in the end has a row."""
    tokenizer, entries = tokens.learn([(["abcde abcde abcde", "xy"], 8)], 100)
    ids = tokens.encode(tokenizer, ["abcde abcde abcde", "xy"], 8, entries)
    assert set(ids.ravel().tolist()) == {0, *range(2, entries)}
    without = [name for name, place in tokenizer.get_vocab().items() if place >= entries and len(name) > 1]
    assert without
    assert (tokens.encode(tokenizer, without, 8, entries)[:, 0] == 1).all()


def test_subtokens_are_stems_of_what_people_read():
    assert tokens.subtokens("parseHTTPResponse_v2(self.maxLen)") == [
        "pars", "http", "respons", "v", "2", "self", "max", "len",
    ]  # fmt: skip
    assert tokens.subtokens("naïve Über 東京") == ["na", "ï", "ve", "ü", "ber", "東京"]


def test_composed_and_decomposed_characters_are_the_same_words():
    assert tokens.subtokens("nai\u0308ve cafe\u0301") == tokens.subtokens("na\u00efve caf\u00e9") == [
        "na", "ï", "ve", "caf", "é",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a", "7", "λόγος", "東京", "слово", "_x_", "...\u00e9"])
def test_letters_of_any_script_are_words(text):
    assert tokens.has_words(text)
    assert tokens.subtokens(text)


@pytest.mark.parametrize("text", ["", " ", "!!!", "___", "→ 🙂", "\ud800"])
def test_punctuation_is_none(text):
    assert not tokens.has_words(text)
    assert not tokens.subtokens(text)
