"""Law: what is read is what was written, in both forms; the same records give the same bytes; damage is an error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import triples
from corpus.errors import CorpusError
from corpus.triples import Entity, Provenance, Triple

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(0, 2**31 - 1)
places = st.builds(Provenance, texts, texts, texts, st.tuples(numbers, numbers, numbers, numbers), texts)
edges = st.builds(Triple, texts, texts, texts, texts, texts, places)
nodes = st.builds(Entity, texts, texts, texts, st.none() | places)
ONE = Triple("a.f", "calls", "b.g", "Function", "API", Provenance("a", "1", "a.py", (3, 4, 3, 9), "MIT"))


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@settings(max_examples=25, deadline=None)
@given(st.lists(edges, max_size=6), st.lists(nodes, max_size=6))
def test_what_is_read_is_what_was_written(tmp_path_factory, form, some, others):
    folder = tmp_path_factory.mktemp("records")
    for path in (folder / f"t.{form}", folder / f"again.{form}"):
        assert triples.write_triples(path, iter(some)) == len(some)
        assert list(triples.read_triples(path)) == some
    assert (folder / f"t.{form}").read_bytes() == (folder / f"again.{form}").read_bytes()
    path = folder / f"e.{form}"
    assert triples.write_entities(path, iter(others)) == len(others)
    assert list(triples.read_entities(path)) == others


def test_a_line_is_the_object_that_the_command_promises(tmp_path):
    path = tmp_path / "t.jsonl"
    triples.write_triples(path, [ONE])
    assert json.loads(path.read_text()) == {
        "head": "a.f",
        "relation": "calls",
        "tail": "b.g",
        "head_type": "Function",
        "tail_type": "API",
        "provenance": {"distribution": "a", "version": "1", "file": "a.py", "span": [3, 4, 3, 9], "licence": "MIT"},
    }


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda text: text[:-1], "truncated"),
        (lambda text: text.replace('"tail":', '"t":'), "tail"),
        (lambda text: text.replace("[3,4,3,9]", "[3,4,3]"), "expected 4"),
        (lambda text: text.replace("[3,4,3,9]", '[3,4,3,"9"]'), "integers"),
        (lambda text: text.replace('"b.g"', "7"), "texts"),
        (lambda text: text.replace("{", "", 1), "no record"),
        (lambda text: text + "\n", "no record"),
    ],
)
def test_a_damaged_line_is_an_error_with_its_place(tmp_path, spoil, told):
    path = tmp_path / "t.jsonl"
    triples.write_triples(path, [ONE, ONE])
    whole = path.read_text()
    path.write_text(spoil(whole))
    with pytest.raises(CorpusError, match=told) as caught:
        list(triples.read_triples(path))
    assert f"{path}:" in str(caught.value)


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    def broken():
        yield ONE
        raise RuntimeError("half way")

    path = tmp_path / "t.jsonl"
    triples.write_triples(path, [ONE])
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        triples.write_triples(path, broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_forms_and_missing_files_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="csv"):
        triples.write_triples(tmp_path / "t.csv", [ONE])
    for name in ("none.jsonl", "none.parquet"):
        with pytest.raises(CorpusError, match="corpus kg"):
            list(triples.read_triples(tmp_path / name))
