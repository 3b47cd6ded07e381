"""Laws of the tokenizer: every text comes back, pieces end where the words of an identifier end, bytes are the same."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import tokenizer
from corpus.__main__ import main
from corpus.errors import CorpusError
from corpus.functions import Function
from corpus.tokenizer import MARKERS, CodeTokenizer

SMALL = 900


@pytest.fixture(scope="module")
def texts(real: list[Function]) -> list[str]:
    return list(tokenizer.texts_of(real))


@pytest.fixture(scope="module")
def small(texts: list[str]) -> CodeTokenizer:
    return tokenizer.train(texts, SMALL)


PARTS = [
    *("def ", "readHTTPFile2", "_x", "__init__", "self.", "_", "A", "aB", "):", "'", "0.001"),
    *(" ", "  ", "\t", "\r\n", "\n    ", "\u2028", "\x00", "é", "日本", "\u0301", "🜁", "ǅ", "²"),
    *MARKERS,
]
code = st.lists(st.sampled_from(PARTS)).map("".join)


@settings(deadline=None, max_examples=400)
@given(text=st.text(max_size=60) | code)
def test_law_every_text_comes_back(small: CodeTokenizer, text: str) -> None:
    ids = small.encode(text)
    assert small.decode(ids) == text
    assert all(len(MARKERS) <= number < SMALL for number in ids)  # a text can never write a marker


@settings(deadline=None)
@given(text=st.text(max_size=40) | code)
def test_law_spans_cover_the_text_in_order(small: CodeTokenizer, text: str) -> None:
    spans = small.spans(text)
    assert [number for number, _, _ in spans] == small.encode(text)
    covered = {place for _, start, end in spans for place in range(start, end)}
    assert covered == set(range(len(text)))
    assert [start for _, start, _ in spans] == sorted(start for _, start, _ in spans)


def words(identifier: str) -> list[int]:
    """Where a word of an identifier begins, by the textbook: after _, before a capital that begins a word, at digits."""
    boundary = (
        r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[^_])(?=_)"
    )
    return [match.start() for match in re.finditer(boundary, identifier)]


@settings(deadline=None, max_examples=300)
@given(identifier=st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True))
def test_law_no_token_crosses_a_boundary_of_an_identifier(small: CodeTokenizer, identifier: str) -> None:
    for boundary in words(identifier):
        assert not any(start < boundary < end for _, start, end in small.spans(identifier)), identifier


def test_example_a_line_of_code(small: CodeTokenizer) -> None:
    line = "\n    return self._path"
    assert [line[start:end] for _, start, end in small.spans(line)][:4] == ["\n    ", "return", " self", "."]


def test_the_vocabulary_is_exact_and_its_ids_have_no_gap(small: CodeTokenizer) -> None:
    assert len(small) == SMALL
    assert sorted(small.backend.get_vocab().values()) == list(range(SMALL))
    assert [small.backend.id_to_token(number) for number in range(4)] == list(MARKERS)
    assert (tokenizer.PAD, tokenizer.MASK, tokenizer.CLS, tokenizer.SEP) == (0, 1, 2, 3)
    assert tokenizer.VOCABULARY == 8_000


def test_the_same_texts_give_the_same_bytes(texts: list[str], small: CodeTokenizer, tmp_path: Path) -> None:
    """Threads and the order of the texts may not matter: only their counts do."""
    again = tokenizer.train(reversed(texts), SMALL)
    small.write(tmp_path / "a" / "tokenizer.json")
    again.write(tmp_path / "b.json")
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert again.digest == small.digest
    assert tokenizer.train(texts[:-40], SMALL).digest != small.digest
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["tokenizer.json"]


def test_the_artifact_reads_back_as_it_was(texts: list[str], small: CodeTokenizer, tmp_path: Path) -> None:
    small.write(tmp_path / "tokenizer.json")
    back = tokenizer.read(tmp_path / "tokenizer.json")
    assert back.digest == small.digest
    assert back.encode_batch(texts[:50]) == small.encode_batch(texts[:50])
    assert back.decode(back.encode("<mask> <pad>")) == "<mask> <pad>"
    assert min(back.encode("<mask> <pad>")) >= len(MARKERS)


def test_the_ids_seen_are_counted(texts: list[str], small: CodeTokenizer) -> None:
    """A vocabulary that training does not use is the defect of 339 ids out of 8,000."""
    assert small.seen(["ab"]) == set(small.encode("ab"))
    assert small.seen([]) == frozenset()
    everything = small.seen(texts)
    assert everything == {number for text in texts for number in small.encode(text)}
    assert not everything & {0, 1, 2, 3}


def test_mistakes_are_told_in_one_line(texts: list[str], small: CodeTokenizer, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"the texts give 26\d entries, not 900; name more distributions"):
        tokenizer.train(["aba"], SMALL)
    with pytest.raises(CorpusError, match="a vocabulary of 10 cannot hold 256 bytes"):
        tokenizer.train(texts, 10)
    with pytest.raises(CorpusError, match=r"with U\+D800 at 1 cannot be written"):
        small.encode("a\ud800")
    with pytest.raises(CorpusError, match="No such file or directory; train one with"):
        tokenizer.read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(CorpusError, match="not a tokenizer"):
        tokenizer.read(tmp_path / "bad.json")
    small.write(tmp_path / "other.json")
    other = json.loads((tmp_path / "other.json").read_text())
    other["added_tokens"][0]["content"] = "<blank>"
    other["model"]["vocab"] = {("<blank>" if k == "<pad>" else k): v for k, v in other["model"]["vocab"].items()}
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(CorpusError, match="ids 0 to 3 are not <pad>"):
        tokenizer.read(tmp_path / "other.json")


def test_the_command_writes_the_artifact_and_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "VOCABULARY", SMALL)
    monkeypatch.setattr(tokenizer.train, "__defaults__", (SMALL,))
    out = tmp_path / "tokenizer.json"
    assert main(["tokenizer", "--distributions", "filelock", "-o", str(out)]) == 0
    line = capsys.readouterr().out
    assert line.startswith("900 entries from ")
    assert tokenizer.read(out).digest in line
    assert main(["tokenizer", "--distributions", " , ", "-o", str(out)]) == 2
    assert main(["tokenizer", "--distributions", "filelock", "-o", str(tmp_path)]) == 2
    assert "choose another place" in capsys.readouterr().err
