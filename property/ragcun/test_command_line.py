"""The way of a person: prepare, train, index a folder, search it, evaluate; a mistake is one line and status 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from property.ragcun.conftest import PROFILE, make_rows, write

pytest.importorskip("torch")

from ragcun.__main__ import main

NOTES = {
    "tea.md": "# Tea\n\nBoil water and pour it on the leaves.\n\n# Coffee\n\nGrind the beans, then brew them.\n",
    "code.py": 'def add(a, b):\n    """Sum of two numbers."""\n    return a + b\n',
}


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "ragcun.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in PROFILE.items()]
    path.write_text("[profile.cpu]\n" + "\n".join(lines) + "\n")
    return path


def test_from_raw_pairs_to_an_answer(tmp_path, spec, capsys):
    raw, data, model, index, notes = (tmp_path / name for name in ("raw.jsonl", "data", "model", "index", "notes"))
    write(raw, make_rows(200, 5))
    notes.mkdir()
    for name, text in NOTES.items():
        (notes / name).write_text(text)
    assert main(["prepare", str(raw), "-o", str(data), "--negatives", "2"]) == 0
    assert json.loads((data / "train.jsonl").read_text().splitlines()[0])["negatives"]
    arguments = ["train", "--data", str(data), "--model", str(model), "--spec", str(spec), "--set", "epochs=2"]
    assert main(arguments) == 0
    assert main(["index", str(notes), "--model", str(model), "--index", str(index)]) == 0
    capsys.readouterr()
    assert main(["search", "grind beans", "--model", str(model), "--index", str(index), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["hits"][0]["id"] == "tea.md#2"
    assert len(answer["weights"]) == 64
    assert main(["search", "grind beans", "--model", str(model), "--index", str(index)]) == 0
    assert "tea.md#2" in capsys.readouterr().out.splitlines()[0]
    files = [f"--{name}={data / 'test' / file}" for name, file in
             (("corpus", "corpus.jsonl"), ("queries", "queries.jsonl"), ("qrels", "qrels.tsv"))]  # fmt: skip
    passage = (data / "test" / "qrels.tsv").read_text().split()[-2]
    with (data / "test" / "queries.jsonl").open("a") as file:  # there is nothing to be found by it
        file.write('{"_id": "?", "text": "?!"}\n')
    with (data / "test" / "qrels.tsv").open("a") as file:
        file.write(f"?\t{passage}\t1\n")
    assert main(["evaluate", *files, "--model", str(model), "--json", "--recall-at", "5000"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert {"ndcg@10", "mrr@10", "recall@10", "recall@100", "map", "queries", "documents"} <= figures.keys()
    assert figures["recall@5000"] >= figures["recall@10"]
    assert figures["queries"] == len((data / "test" / "queries.jsonl").read_text().splitlines())


def test_documents_become_pairs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for i in range(12):
        sentences = " ".join(f"Word{i} number {k} stands in sentence {k + i}." for k in range(6))
        (folder / f"{i}.md").write_text(f"# Title of page {i}\n\n{sentences}\n")
    out = tmp_path / "out"
    assert main(["prepare", str(folder), "-o", str(out), "--generate-pairs", "--num-pairs", "40"]) == 0
    counts = [len((out / f"{side}.jsonl").read_text().splitlines()) for side in ("train", "dev", "test")]
    assert sum(counts) == 40


def test_what_preparation_leaves_out_is_counted(tmp_path, capsys):
    spoilt = [{"query": "why is it so late", "passage": "why wait"}, {"query": "x", "passage": "Why is it so late?"}]
    raw = write(tmp_path / "raw.jsonl", [*make_rows(60, 5), *spoilt])
    assert main(["prepare", str(raw), "-o", str(tmp_path / "out")]) == 0
    assert "; left out: 1 whose query stands in another's passage" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["prepare", "absent.csv", "-o", "x"], "absent.csv: is not there"),
        (["prepare", "notes", "-o", "x"], "add --generate-pairs"),
        (["prepare", "notes", "-o", "x", "--generate-pairs", "--num-pairs", "9999"], "9,999 pairs were asked for"),
        (["prepare", "notes", "-o", "x", "--generate-pairs"], "belong together"),
        (["train", "--data", "absent", "--spec", "SPEC"], "python -m ragcun prepare"),
        (["train", "--spec", "SPEC", "--profile", "none"], "no table [profile.none]"),
        (["train", "--spec", "SPEC", "--data", "absent", "--set", "epoch=2"], "KEY=VALUE is needed"),
        (["train", "--spec", "SPEC", "--data", "absent", "--set", 'epochs="two"'], "the value must be int"),
        (["train", "--spec", "absent.toml"], "absent.toml"),
        (["train", "--spec", "SPEC"], "no [data.pairs] with train, dev, test, fit and held (KeyError('data')); add it"),
        (["train", "--spec", "latin.toml"], "latin.toml: 'utf-8' codec can't decode"),
        (["train", "--spec", "odd.toml"], "odd.toml: no table [profile.cpu]"),
        (["index", "absent"], "absent: is no folder"),
        (["index", "notes", "--model", "absent"], "nothing was trained here"),
        (["search", "x", "--model", "absent"], "nothing was trained here"),
        (["evaluate", "--corpus", "a", "--queries", "b", "--qrels", "c"], "a: cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:2]),
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, monkeypatch, spec, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    Path("notes/tea.md").write_text(NOTES["tea.md"])
    Path("latin.toml").write_bytes("# é\n".encode("latin-1"))
    Path("odd.toml").write_text("profile.cpu = 3\n")
    assert main([str(spec) if word == "SPEC" else word for word in arguments]) == 2
    shown = capsys.readouterr()
    assert told in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert "Traceback" not in shown.err
