"""Preparation keeps groups together, gives the count asked for or says how many there can be, and refuses by name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from property.ragcun.conftest import make_rows
from ragcun import data, folder, prepare
from ragcun.errors import RagcunError
from ragcun.prepare import Document, Row

ROOT = Path(__file__).parents[2]
TEXT = (
    "# Making tea\n\nBoil fresh water in a kettle first. Warm the pot with a little of it. "
    "Add one spoon of leaves for each cup. Pour the water and wait four minutes. Serve it with milk."
)


def rows(count=60):
    return [Row(row["record_id"], row["group"], row["query"], row["passage"]) for row in make_rows(count, 21)]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 40), st.integers(0, 40)), min_size=30, max_size=80),
    st.integers(0, 99),
)
def test_no_group_query_or_passage_is_on_two_sides(cells, seed):
    made = [Row(str(i), f"g{g}", f"query {q}", f"passage {p}") for i, (g, q, p) in enumerate(cells)]
    try:
        sides = prepare.split(made, seed)
    except RagcunError:  # all groups are tied to one another: nothing can be split
        return
    assert sorted(row.record_id for side in sides.values() for row in side) == sorted(row.record_id for row in made)
    for field in ("group", "query", "passage"):
        seen = [{getattr(row, field) for row in side} for side in sides.values()]
        assert not seen[0] & seen[1]
        assert not (seen[0] | seen[1]) & seen[2]


def test_shares_are_70_15_15_where_groups_allow_it():
    made = [Row(str(i), f"g{i % 100}", f"query {i}", f"passage {i}") for i in range(1000)]
    assert {side: len(found) for side, found in prepare.split(made, 3).items()} == {
        "train": 700,
        "dev": 150,
        "test": 150,
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"query": "  "}, "1 of 60 pairs have an empty"),
        ({"passage": ""}, "1 of 60 pairs have an empty"),
        ({"query": "The  Same words", "passage": "the same Words and more"}, "1 of 60 .* begins with, such as"),
        ({"query": "q", "passage": "p x", "negatives": ("P  x",)}, "1 of 60 .* own passage as a negative"),
    ],
)
def test_what_makes_scores_worthless_is_refused_with_count_and_example(change, told):
    made = rows()
    made[7] = Row("0" * 16, "g", **{"query": "why", "passage": "because", **change})
    with pytest.raises(RagcunError, match=told):
        prepare.check(made)


def test_duplicates_and_too_few_are_refused():
    made = rows()
    with pytest.raises(RagcunError, match="2 of 61 pairs are there more than once"):
        prepare.check([*made, made[3]])
    with pytest.raises(RagcunError, match="5 pairs are too few"):
        prepare.check(made[:5])
    prepare.check(made)


def test_generated_queries_are_taken_out_of_their_passage():
    documents = [Document(f"f{i}.md", TEXT.replace("tea", f"tea {i}").replace("milk", f"milk {i}")) for i in range(3)]
    with pytest.raises(RagcunError, match=r"3 documents give (\d+)") as refusal:
        prepare.generate(documents, 1000, 0)
    possible = int(str(refusal.value).split("give ")[1].split(";")[0])
    made = prepare.generate(documents, possible, 0)
    assert len(made) == possible > 0
    assert any(row.query.startswith("Making tea") for row in made)
    assert len({(row.group, row.passage) for row in made}) == 3  # one for each document
    for row in made:
        assert not any(row.query.lower() in other.passage.lower() for other in made)
        assert row.passage
    assert prepare.generate(documents, possible - 1, 5) == prepare.generate(documents, possible - 1, 5)


def test_a_sentence_that_another_document_holds_is_no_query():
    documents = [
        Document("a.md", "Boil fresh water in a kettle. Warm the pot with it. Then wait for four long minutes."),
        Document("b.md", "First of all, boil fresh water in a kettle (a clean one). Grind the beans rather finely."),
    ]
    queries = {row.query for seed in range(9) for row in prepare.generate(documents, 3, seed)}
    assert queries == {
        "Warm the pot with it.",
        "Then wait for four long minutes.",
        "First of all, boil fresh water in a kettle (a clean one).",
        "Grind the beans rather finely.",
    }
    with pytest.raises(RagcunError, match="2 documents give 3;"):  # of two sentences one is left to be found
        prepare.generate(documents, 4, 0)


def test_a_query_that_stands_in_a_passage_of_others_is_left_out():
    made = rows()
    right = [Row("a", "g", "How is tea made?", "pour water"), Row("b", "g", "How is tea made?", "so: how is tea made")]
    assert prepare.check([*made, *right]) == [*made, *right]  # both passages answer it
    wrong = Row("c", "h", "why wait", "see HOW, IS tea\n made")
    assert prepare.check([*made, *right, wrong]) == [*made, wrong]
    short = [Row("d", "i", "fresh tea", "pour water"), Row("e", "j", "why", "because fresh tea is best")]
    assert prepare.check([*made, *short]) == [*made, *short]  # keywords stand anywhere
    with pytest.raises(RagcunError, match="1 pairs are too few, at least 2"):
        prepare.check([*right, wrong], least=2)


def test_every_format_gives_the_same_pairs(tmp_path):
    made = make_rows(5, 1)
    plain = [{"query": row["query"], "positive": row["passage"], "group": row["group"]} for row in made]
    (tmp_path / "a.json").write_text(json.dumps(plain))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plain))
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(plain[0]), delimiter=mark)
            writer.writeheader()
            writer.writerows(plain)
    found = [prepare.read(str(tmp_path / name)) for name in ("a.json", "a.jsonl", "a.csv", "a.tsv")]
    assert found[0] == found[1] == found[2] == found[3]
    assert [row.query for row in found[0]] == [row["query"] for row in made]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "query,passage\nq,p\n"),
        ("x.json", '[{"query": "q", "passage": "p"}]'),
        ("x.jsonl", '{"query": "q", "passage": "p", "record_id": "1"}\n'),
    ],
)
def test_a_byte_order_mark_is_no_text(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8-sig")
    (row,) = prepare.read(str(path))
    assert (row.query, row.passage) == ("q", "p")
    if name == "x.jsonl":
        assert data.read(path)[0].query == "q"
    (tmp_path / "x.md").write_text("# Tea\n\nwater", encoding="utf-8-sig")
    assert folder.read(tmp_path).texts == ["# Tea\n\nwater"]


def test_triples_keep_their_negatives_and_documents_have_no_query(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"query": "q", "passage": "p", "negatives": ["n", " "]}) + "\n")
    assert prepare.read(str(path))[0].negatives == ("n",)
    path.write_text(json.dumps({"text": "a document", "title": "T"}) + "\n")
    assert prepare.read(str(path)) == [Document("T", "a document")]
    (tmp_path / "l.txt").write_text("one\n\ntwo\n")
    assert prepare.read(str(tmp_path / "l.txt")) == [Document("1", "one"), Document("3", "two")]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.json", "{", "not JSON"),
        ("x.json", "{}", "a list of objects"),
        ("x.jsonl", '{"query": "q", "passage": "p"}\n{bad\n', "x.jsonl:2"),
        ("x.jsonl", '{"query": "q"}\n', "no text under"),
        ("x.jsonl", '{"query": "q", "passage": "p"}\n{"text": "t"}\n', "mixes"),
        ("x.jsonl", '{"query": 3, "passage": "p"}\n', "not text"),
        ("x.csv", "a,b\n1,2\n", "x.csv:2"),
        ("x.csv", "query,passage\n", "holds nothing"),
        ("x.csv", "query,passage\nq,one, two\n", "x.csv:2: has more cells than the header; put a cell with a comma"),
        ("x.tsv", "query\tpassage\nq\tp\nq\tone\ttwo\n", "x.tsv:3: has more cells than the header; .* with a tab"),
        ("x.csv", f"query,passage\nq,p\nq,{'p' * 200_000}\n", "x.csv:3: field larger than field limit"),
        ("x.json", r'[{"query": "q", "passage": "half \ud83d"}]', "x.json: entry 1: holds half of a character"),
        ("x.jsonl", '{"query": "q", "passage": "p", "negatives": 5}\n', "x.jsonl:1: negatives are a text, or a list"),
        ("x.pdf", "x", "unknown kind"),
    ],
)
def test_bad_files_are_refused_by_name_and_line(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(RagcunError, match=told):
        prepare.read(str(tmp_path / name))
    with pytest.raises(RagcunError, match="is not there"):
        prepare.read(str(tmp_path / "absent.csv"))


def test_sets_of_the_hub_by_name(monkeypatch):
    datasets = pytest.importorskip("datasets")
    parts = {
        ("BeIR/tiny", "corpus"): [{"_id": "1", "title": "T", "text": "x"}, {"_id": "2", "title": "", "text": "y"}],
        ("BeIR/tiny", "queries"): [{"_id": "7", "text": "why"}],
        ("BeIR/tiny-qrels", None): [
            {"query-id": 7, "corpus-id": 2, "score": 1}, {"query-id": 7, "corpus-id": 1, "score": 0},
        ],
        ("microsoft/ms_marco", "v1.1"): [
            {"query": "q", "passages": {"passage_text": ["a", "b"], "is_selected": [0, 1]}},
            {"query": "r", "passages": {"passage_text": ["c"], "is_selected": [0]}},
        ],
    }  # fmt: skip
    monkeypatch.setattr(datasets, "load_dataset", lambda name, part=None, split="": parts[name, part])
    (row,) = prepare.read("hub:tiny")
    assert (row.query, row.passage) == ("why", "y")
    (row,) = prepare.read("hub:msmarco")
    assert (row.query, row.passage, row.negatives) == ("q", "b", ("a",))
    with pytest.raises(RagcunError, match="hub:absent: could not be had"):
        prepare.read("hub:absent")


def test_mined_negatives_never_answer_the_query():
    made = rows(80)
    mined = prepare.mined(made, 4)
    assert all(1 <= len(row.negatives) <= 4 and row.passage not in row.negatives for row in mined)
    copied = [Row("a" * 16, "g", "alpha beta", "alpha beta gamma delta one"),
              Row("b" * 16, "h", "other words", "alpha beta gamma delta one two"), *made]  # fmt: skip
    assert copied[1].passage not in prepare.mined(copied, 1)[0].negatives  # a near-duplicate of the positive


def test_of_negatives_that_score_alike_the_first_ones_are_taken_and_none_without_a_shared_word():
    passages = ["shared own words here", "shared b c d", "shared e f g", "shared h i j", "blue k l m"]
    pairs = [data.Pair(str(i), query, passage) for i, (query, passage) in enumerate(
        zip(["shared", "shared?", "Shared", "shared!", "blue"], passages, strict=True))]  # fmt: skip
    mined = data.mine(pairs, 2)
    assert mined[:4].tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    drawn = np.random.default_rng(0).integers(0, 5, (5, 2))
    assert mined[4].tolist() == drawn[4].tolist()  # nobody else says "blue"


def pairs(*texts):
    return [data.Pair(str(i), query, passage, tuple(named)) for i, (query, passage, *named) in enumerate(texts)]


def test_what_answers_an_equal_query_is_never_mined():
    """Three passages answer "shared"; one of them answers another query as well."""
    made = pairs(
        ("shared", "shared a b c"), ("shared", "shared d e f"), ("shared", "shared g h i"), ("g", "shared g h i"),
        ("j", "shared j k l m n o"), ("p", "shared p q r s t u"),
    )  # fmt: skip
    mined = data.mine(made, 2)
    assert mined[:3].tolist() == [[4, 5]] * 3  # longer ones, behind five that score higher
    drawn = data.mine(pairs(("q", "a"), ("q", "b"), ("q", "c")), 2)
    assert drawn.tolist() == [[0, 0], [1, 1], [2, 2]]  # there is no wrong answer


def test_what_answers_a_query_is_no_wrong_answer_in_a_batch():
    made = pairs(("one", "a"), ("one", "b"), ("two", "b"), ("three", "c"), ("four", "d", "c", "e"))
    ids = torch.arange(5)[:, None], torch.arange(7)[:, None]
    clashes = data.Batches(made, *ids, None, 0).__getitems__([0, 2, 1, 3])["clashes"]
    assert clashes.int().tolist() == [[0, 1, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    mined = np.array([[3], [4], [0], [5], [6]])  # the fourth is given "c" by another name, the third "a"
    clashes = data.Batches(made, *ids, mined, 0).__getitems__([0, 2, 3, 4])["clashes"]
    assert clashes[:, :4].int().tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert clashes[:, 4:].int().tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_what_is_written_keeps_the_contract_and_is_beir(tmp_path):
    from assay import contracts
    from ragcun import beir

    sides = prepare.split(rows(120), 0)
    prepare.write(sides, tmp_path)
    for side in sides:
        result = contracts.check(ROOT / "spec" / "contracts" / "retrieval_pairs.json", tmp_path / f"{side}.jsonl")
        assert result.success, result
    found = beir.read(*(tmp_path / "test" / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv")))
    assert len(found.queries) == len({row.query for row in sides["test"]})


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_character_that_only_looks_like_an_end_of_line_ends_none(tmp_path, end):
    from ragcun import beir, bridge

    text = "one\u2028two\u2029three\x85four"
    made = [Row(f"{i:016x}", f"g{i}", f"query {i} {text}", f"passage {i} {text}") for i in range(40)]
    prepare.write(prepare.split(made, 0), tmp_path)
    for path in tmp_path.rglob("*.*"):
        path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    for side in ("train", "dev", "test"):
        path = tmp_path / f"{side}.jsonl"
        found, again = data.read(path), prepare.read(str(path))
        assert [(row.query, row.passage) for row in again] == [(row.query, row.passage) for row in found]
        assert found
        assert all(row.query.endswith(text) and row.passage.endswith(text) for row in found)
    beir_files = [tmp_path / "test" / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv")]
    assert {name.split()[0] for name in beir.read(*beir_files).documents.values()} == {"passage"}
    passages = tmp_path / "passages.jsonl"
    passages.write_bytes((json.dumps({"id": "1", "text": text}, ensure_ascii=False) + end).encode())
    assert bridge._read(str(passages)) == (["1"], [text])
    (tmp_path / "lines.txt").write_bytes(f"{text}{end}more".encode())
    assert prepare.read(str(tmp_path / "lines.txt")) == [Document("1", text), Document("2", "more")]


def test_a_folder_becomes_passages_and_counts_what_it_leaves_out(tmp_path):
    (tmp_path / "a.md").write_text(f"{TEXT}\n\n# Next\n\nMore text here.\n")
    (tmp_path / "b.bin").write_bytes(b"\0")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe")
    (tmp_path / ".hidden.md").write_text("x")
    found = folder.read(tmp_path)
    assert found.ids == ["a.md#1", "a.md#2"]
    assert found.texts[1].startswith("# Next")
    assert dict(found.left_out) == {"kind": 1, "not UTF-8": 1}
    with pytest.raises(RagcunError, match="no folder"):
        folder.read(tmp_path / "none")


@given(st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30), max_size=40))
def test_no_word_of_a_document_is_lost(blocks):
    text = "\n\n".join(blocks)
    assert " ".join(" ".join(folder.passages(text)).split()) == " ".join(text.split())
