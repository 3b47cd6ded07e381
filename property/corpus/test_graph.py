"""Law: the graph is a function of its inputs - not of shards, processes, interruptions or what it cannot read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from corpus import __main__ as command
from corpus import distributions, folders, graph, syntax, triples
from corpus.errors import CorpusError
from corpus.parsing import UNREADABLE


@pytest.fixture(scope="module")
def some():
    """A real distribution with its tests; jsonschema ships them."""
    return distributions.find(["jsonschema", "filelock"])


def contents(built):
    return [path.read_bytes() for path in (built.triples, built.entities, built.manifest)]


def test_shards_and_processes_do_not_show(tmp_path, some):
    whole = contents(graph.build(some, tmp_path / "1" / "g.jsonl", processes=1, shards=1))
    for shards, processes in ((2, 1), (7, 2)):
        assert (
            contents(graph.build(some, tmp_path / str(shards) / "g.jsonl", processes=processes, shards=shards)) == whole
        )


def test_parquet_says_the_same(tmp_path, some):
    lines = graph.build(some, tmp_path / "g.jsonl", processes=1)
    table = graph.build(some, tmp_path / "g.parquet", processes=1, shards=3)
    assert list(triples.read_triples(table.triples)) == list(triples.read_triples(lines.triples))
    assert list(triples.read_entities(table.entities)) == list(triples.read_entities(lines.entities))


def test_a_run_that_was_killed_is_taken_up(tmp_path, some):
    whole = contents(graph.build(some, tmp_path / "whole" / "g.jsonl", processes=1))
    output = tmp_path / "killed" / "g.jsonl"
    script = (
        "from pathlib import Path; from corpus import distributions, graph\n"
        "found = distributions.find(['jsonschema', 'filelock'])\n"
        f"graph.build(found, Path({str(output)!r}), processes=1, shards=7, say=lambda t: print(t, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(graph.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if line.startswith("resolving"):
                run.kill()
                break
    assert not output.exists()
    parts = output.parent / ".g.jsonl.parts"
    finished = {path: path.stat().st_mtime_ns for path in parts.glob("*.resolved.json")}
    assert finished
    said = []

    def say(text):
        said.append(text)
        if text == "merging":
            assert {path: path.stat().st_mtime_ns for path in finished} == finished

    assert contents(graph.build(some, output, processes=1, shards=7, say=say)) == whole
    assert not parts.exists()


def test_two_runs_never_write_one_output(tmp_path, capsys):
    (tmp_path / "m.py").write_text("def f(): f()\n")
    output = tmp_path / "out" / "g.jsonl"
    met = []

    def say(text):
        if text == "merging":
            met.append(command.main(["kg", str(tmp_path / "m.py"), "-o", str(output), "--processes", "1"]))

    whole = contents(graph.build([folders.distribution(tmp_path / "m.py")], output, processes=1, say=say))
    assert met == [2]
    assert "another run is writing it" in capsys.readouterr().err
    assert command.main(["kg", str(tmp_path / "m.py"), "-o", str(output), "--processes", "1"]) == 0
    assert [path.read_bytes() for path in graph._paths(output)[:3]] == whole


def test_a_finished_graph_is_kept_until_inputs_or_outputs_change(tmp_path):
    (tmp_path / "p").mkdir()
    file = tmp_path / "p" / "m.py"
    file.write_text("def f(): pass\n")

    def build():
        said = []
        built = graph.build([folders.distribution(tmp_path / "p")], tmp_path / "g.jsonl", processes=1, say=said.append)
        return built, "unchanged" in said

    first, kept = build()
    assert not kept
    assert build() == (first, True)
    first.triples.write_text(first.triples.read_text()[:-1])
    assert build() == (first, False)
    file.write_text("def f(): f()\n")
    changed, kept = build()
    assert not kept
    assert changed.summary["relations"]["calls"] == 1


def test_the_manifest_hashes_inputs_and_outputs_and_counts_what_is_there(tmp_path, some):
    built = graph.build(some, tmp_path / "g.jsonl", processes=1)
    told = json.loads(built.manifest.read_text())
    rows = list(triples.read_triples(built.triples))
    assert told["triples"] == len(rows) == len({one.content for one in rows})
    assert sum(told["types"].values()) == told["entities"] == len(list(triples.read_entities(built.entities)))
    names = [one.name for one in triples.read_entities(built.entities)]
    assert len(names) == len(set(names))
    assert {one.head for one in rows} | {one.tail for one in rows} <= set(names)
    assert len(told["outputs"]) == 2
    assert all(len(row[4]) == 64 for row in told["inputs"])


def test_every_head_can_be_found_in_its_source(tmp_path, some):
    built = graph.build(some, tmp_path / "g.jsonl", processes=1)
    roots = {each.name: each.root for each in some}
    defined = {one.name: one.definition for one in triples.read_entities(built.entities) if one.definition}
    for one in triples.read_triples(built.triples):
        place = defined[one.head]
        lines = (roots[place.distribution] / place.file).read_text().split("\n")
        line, column, end_line, _ = place.span
        assert 1 <= line <= end_line <= len(lines)
        if one.head_type in ("Function", "Method", "Class", "Test"):
            leaf = one.head.rpartition(".")[2].rpartition(":")[2]
            assert any(leaf in text for text in lines[line - 1 : end_line])
            assert lines[line - 1].encode()[column:].startswith((b"def", b"class", b"async", b"@"))


NESTED = "x = " + "(\n" * 10_000 + ")\n" * 10_000  # on many lines: long ones are left out as generated
CHAINED = "x = (a" + "\n.b" * 10_000 + ")"
ADDED = "x = (" + " +\n".join(["'a'"] * 10_000) + ")"
IMPORTED = "import p." + ".\\\n".join(["a"] * 10_000) + "\np.a.a()"
MINUS = "x = (" + "-\n" * 10_000 + "1)"


def test_what_cannot_be_read_is_skipped_with_a_counted_reason(tmp_path):
    root = tmp_path / "p"
    root.mkdir()
    (root / "good.py").write_text("def f(): f()\n")
    (root / "two.py").write_text("print 'python 2'\n")
    (root / "nul.py").write_bytes(b"x = 1\0")
    (root / "latin.py").write_bytes("x = 'é'".encode("latin-1"))
    (root / "declared.py").write_bytes("# coding: latin-1\nx = 'é'\n".encode("latin-1"))
    (root / "strange.py").write_bytes(b"# coding: no-such-codec\nx = 1\n")
    (root / "nested.py").write_text(NESTED)
    (root / "minus.py").write_text(MINUS)
    (root / "chained.py").write_text(CHAINED)
    (root / "added.py").write_text(ADDED)
    (root / "imported.py").write_text(IMPORTED)
    (root / "p.py").write_text("")
    with (root / "huge.py").open("w") as huge:
        huge.truncate(50_000_000)
    (root / "gone.py").symlink_to(root / "nowhere.py")
    (root / "loop").symlink_to(root)
    built = graph.build([folders.distribution(root)], tmp_path / "g.jsonl", processes=1)
    reasons = {file: reason for _, file, reason in built.summary["skipped_files"]}
    assert {name: reasons.get(name) for name in ("two.py", "nul.py", "latin.py", "strange.py", "huge.py")} == {
        "two.py": "syntax", "nul.py": "null-bytes", "latin.py": "encoding", "strange.py": "encoding",
        "huge.py": "too-large",
    }  # fmt: skip
    assert reasons["nested.py"] in ("syntax", "nesting")
    assert reasons["minus.py"] in ("syntax", "nesting")
    assert not {"good.py", "declared.py", "added.py"} & set(reasons)
    assert built.summary["relations"]["calls"] >= 1
    assert sum(built.summary["skipped"].values()) == len(reasons)
    left_out = built.summary["distributions"]["p"]["left_out"]
    assert left_out == {"unreadable": 1} or "gone.py" in reasons


SNIPPETS = st.sampled_from(
    [
        "def",
        "class",
        "f",
        "g",
        "A",
        "self",
        "x",
        "(",
        ")",
        ":",
        ",",
        ".",
        "=",
        "\n",
        "\n    ",
        "import ",
        "from ",
        "*",
        "as ",
        "return ",
        "raise ",
        "try:",
        "except ",
        "with ",
        "for ",
        "in ",
        "if ",
        "lambda",
        "[",
        "]",
        "@",
        "async ",
        "await ",
        "yield ",
        "global x",
        "nonlocal x",
        "super()",
        ":=",
        "match x:",
        "case ",
        "1",
        "'s'",
        "->",
        "A.",
        "self.",
        "x: A",
        "del x",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(SNIPPETS, max_size=40).map("".join) | st.binary(max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        facts = syntax.read(text)
    except UNREADABLE:
        return
    assert len(facts["scopes"]) == len(facts["events"])


BODIES = st.lists(
    st.sampled_from(
        [
            "class A(B): pass", "class B(A): x = A()", "def f(a: A = None, *b, **c) -> 'B': return a.f(b, c)",
            "x = y = f", "y = x", "x: A = y", "from . import m0", "from m1 import *", "import m0.m1", "f()()",
            "class C:\n def f(self): self.x = self; return super().f(self.x.y)", "A().x.f().g", "x = [y for y in x]",
            "with A() as x, x as y: x[y](y)", "global x", "del x", "async def g(): await x.g()", "@f\ndef h(): h.h()",
            "try: x()\nexcept A as e: raise e\nexcept (B, f()): raise A() from x", "for x.y in f(): x.y += 1",
            "lambda x: x.f(lambda: x)", "x = A if y else B", "f = classmethod(f)", "A.f = lambda self: self.f()",
            "class D(x.y, metaclass=A): __slots__ = ()", "def m1(): from m0 import m1; m1.m1()", "T = A | None",
            "import m1.A.f as x", "from m1.f import x", "from .m1 import A as m1", "class m0: m1 = x", "import os.path",
            "from os.path import join as f", "x.y.z: A = f", "from ..m0 import A", "import A.f, f", "m1 = m0 = f",
        ]
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES, BODIES, st.booleans())
@example(["def m1(): from m0 import m1; m1.m1()"], ["import m0.m1"], False)
def test_any_program_gives_a_graph_that_is_sound(tmp_path_factory, first, second, package):
    root = tmp_path_factory.mktemp("p")
    (root / "m0.py").write_text("\n".join(first))
    (root / "m1.py").write_text("\n".join(second))
    if package:
        (root / "__init__.py").write_text("from .m0 import *\n")
    each = folders.distribution(root)
    one = graph.build([each], root / "1.jsonl", processes=1, shards=1)
    two = graph.build([each], root / "2.jsonl", processes=1, shards=2)
    assert one.triples.read_bytes() == two.triples.read_bytes()
    rows = list(triples.read_triples(one.triples))
    types = {entity.name: entity.type for entity in triples.read_entities(one.entities)}
    assert len(rows) == len({row.content for row in rows})
    assert all(types[row.head] == row.head_type and types[row.tail] == row.tail_type for row in rows)


def test_the_command_writes_a_graph_its_summary_and_a_picture(tmp_path, capsys):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "m.py").write_text("def f(): pass\ndef g(): f()\n")
    output = tmp_path / "out" / "triples.jsonl"
    assert command.main(["kg", str(tmp_path / "p"), "-o", str(output), "--processes", "1"]) == 0
    assert "calls" in capsys.readouterr().out
    names = {f"triples.{kind}" for kind in ("jsonl", "entities.jsonl", "manifest.json", "counts.jsonl", "svg")}
    assert {path.name for path in output.parent.iterdir()} == names
    assert (output.parent / "triples.svg").read_text().startswith("<svg")
    assert command.main(["callgraph", str(tmp_path / "p"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"m.f": [], "m.g": ["m.f"]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["kg", "{}/none", "-o", "{}/t.jsonl"],
        ["kg", "{}", "-o", "{}/t.csv"],
        ["kg", "--distributions", "no-such-distribution", "-o", "{}/t.jsonl"],
        ["callgraph", "{}/none"],
        ["kg", "--archives", ",", "-o", "{}/t.jsonl"],
        ["programs", "--origins", " , ", "-o", "{}/out"],
        ["programs", "-o", "{}/m.py"],
    ],
)
def test_a_users_mistake_is_one_line(tmp_path, capsys, arguments):
    (tmp_path / "m.py").write_text("")
    assert command.main([one.format(tmp_path) for one in arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("corpus: ")
    assert told.count("\n") == 1
    assert all(option in told for option in ("--archives", "--origins") if option in arguments)


def test_two_inputs_of_one_name_are_refused(tmp_path, some):
    with pytest.raises(CorpusError, match="filelock"):
        graph.build([*some, replace(some[1])], tmp_path / "g.jsonl")


def test_a_second_file_of_a_module_name_is_counted(tmp_path):
    for name in ("a/setup.py", "b/setup.py"):
        (tmp_path / "p" / name).parent.mkdir(parents=True)
        (tmp_path / "p" / name).write_text("def f(): pass\n")
    built = graph.build([folders.distribution(tmp_path / "p")], tmp_path / "g.jsonl", processes=1)
    assert built.summary["skipped"] == {"module-name-taken": 1}


def test_the_cache_makes_a_graph_once_and_keeps_the_last_few(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p").mkdir()
    said = []
    for number in range(graph.KEPT + 2):
        (tmp_path / "p" / "m.py").write_text(f"def f{number}(): pass\n")
        each = folders.distribution(tmp_path / "p")
        first = graph.cached([each], processes=1)
        assert graph.cached([each], processes=1, say=said.append) == first
        assert said.pop() == "unchanged"
    assert sum(path.is_dir() for path in (tmp_path / "cache" / "graphs").iterdir()) == graph.KEPT
