"""`assay lint` from outside: formats, exit codes, ignores, baseline, cache; and that nothing on a disk can stop it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from assay import cli
from assay.lint import engine
from assay.lint.cache import Cache
from assay.lint.facts import Facts
from assay.lint.module import Module, parents, within
from assay.lint.source import kind_of, parse, read

DROPPED = "loader = DataLoader(rows, batch_size=8, collate_fn=lambda b: b[0]){}\n"
STUB = b"placeholder for trained weights\n"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    (tmp_path / "train.py").write_text("import os\n\n" + DROPPED.format(""))
    (tmp_path / "best.pt").write_bytes(STUB)
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["lint", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return 2, f"{type(result.exception).__name__}: {result.exception}"
    return result.exit_code, result.stdout


def test_json_is_the_contract(tree: Path) -> None:
    code, out = run("--format", "json")
    assert code == 1
    found = json.loads(out)
    assert [(f["rule"], f["confidence"], f["path"], f["line"]) for f in found] == [
        ("AS501", "certain", "best.pt", 1),
        ("AS303", "certain", "train.py", 3),
    ]
    assert all(set(f) == {"rule", "confidence", "path", "line", "message"} for f in found)


def test_text_names_place_and_rule(tree: Path) -> None:
    assert "train.py:3: AS303 batch-dropped (certain) " in run()[1]


def test_github_annotations_escape_what_would_end_them(tree: Path) -> None:
    (tree / "a,b:c.py").write_text(DROPPED.format(""))
    out = run("--format", "github")[1]
    assert "::error file=a%2Cb%3Ac.py,line=1,title=AS303 batch-dropped::" in out


def test_sarif_has_what_the_standard_requires(tree: Path) -> None:
    """SARIF 2.1.0: 3.13.2 version, 3.13.4 runs, 3.14.6 tool, 3.19.8 name, 3.49.3 id, 3.27.11 message, 3.28.3 location."""
    log = json.loads(run("--format", "sarif")[1])
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (only,) = log["runs"]
    driver = only["tool"]["driver"]
    assert driver["name"]
    for result in only["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert not place["artifactLocation"]["uri"].startswith("/")


def test_exit_codes_are_those_of_ruff(tree: Path) -> None:
    assert run("--select", "AS2")[0] == 0
    assert run()[0] == 1
    assert run("nowhere")[0] == 2
    assert run("--select", "AS999")[0] == 2
    assert run("--format", "xml")[0] == 2
    assert run("--confidence", "sure")[0] == 2


def test_a_users_mistake_shows_no_traceback(tree: Path) -> None:
    command = [sys.executable, "-m", "assay.cli", "lint", "--select", "batch-droped"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert result.returncode == 2
    assert "batch-dropped" in result.stderr
    assert "Traceback" not in result.stderr


def test_select_ignore_and_confidence(tree: Path) -> None:
    (tree / "load.py").write_text("import pickle\n\nx = pickle.load(file)\n")
    rules = {f["rule"] for f in json.loads(run("--format", "json")[1])}
    assert rules == {"AS303", "AS501", "AS505"}
    assert {f["rule"] for f in json.loads(run("--format", "json", "--ignore", "AS5")[1])} == {"AS303"}
    assert {f["rule"] for f in json.loads(run("--format", "json", "--select", "pickle-checkpoint")[1])} == {"AS505"}
    assert "AS505" not in run("--confidence", "certain")[1]


def rules_in(tree: Path, *lines: str) -> set[str]:
    (tree / "train.py").write_text("".join(lines))
    return {f["rule"] for f in json.loads(run("train.py", "--format", "json")[1])}


def test_ignores_need_a_reason_and_a_finding(tree: Path) -> None:
    assert rules_in(tree, DROPPED.format("  # assay: ignore[AS303] one graph fills the memory")) == set()
    assert rules_in(tree, "# assay: ignore[AS303] one graph fills the memory\n", DROPPED.format("")) == set()
    assert rules_in(tree, DROPPED.format("  # assay: ignore[AS303]")) == {"AS303", "AS001"}
    assert rules_in(tree, DROPPED.format("  # assay: ignore everything here")) == {"AS303", "AS001"}
    assert rules_in(tree, DROPPED.format("  # assay: ignore[AS301] another rule")) == {"AS303", "AS002"}
    assert rules_in(tree, "x = 1  # assay: ignore[AS303] long gone\n") == {"AS002"}
    assert rules_in(tree, "x = 1  # assay: ignore[AS999] no such rule\n") == {"AS002"}
    assert rules_in(tree, 'x = "# assay: ignore[AS303] a text, no comment"\n') == set()


def test_files_named_one_by_one_are_judged_with_their_project_around_them(tree: Path) -> None:
    """A pre-commit hook names what changed; the key of a configuration is read elsewhere, and findings there stay there."""
    (tree / "settings.py").write_text(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Config:\n    rate: float = 1\n    drop: float = 0\n"
    )
    (tree / "fit.py").write_text("def fit(config):\n    return config.rate\n")
    (tree / "model.py").write_text("def build(config):\n    return config.drop\n")
    (tree / "pyproject.toml").write_text("")
    assert run("settings.py", "fit.py") == (0, "")
    (tree / "model.py").unlink()
    assert "`drop`" in run("settings.py", "fit.py")[1]
    assert "best.pt" not in run("settings.py")[1]


def test_what_is_excluded_is_so_by_name_as_well(tree: Path) -> None:
    (tree / "samples").mkdir()
    (tree / "train.py").rename(tree / "samples" / "train.py")
    (tree / "pyproject.toml").write_text('[tool.assay.lint]\nexclude = ["samples", "*.pt"]\n')
    assert run("samples/train.py", "best.pt") == run() == (0, "")


def test_baseline_holds_what_was_there_and_nothing_new(tree: Path) -> None:
    assert run("--write-baseline", "lint.json")[0] == 0
    (tree / "train.py").write_text("import os\n\n\n\n" + DROPPED.format(""))
    assert run("--baseline", "lint.json")[0] == 0
    (tree / "train.py").write_text(DROPPED.format("") + DROPPED.format("").replace("loader", "second"))
    code, out = run("--baseline", "lint.json", "--format", "json")
    assert (code, len(json.loads(out))) == (1, 1)
    (tree / "bad.json").write_text("[]")
    assert run("--baseline", "bad.json")[0] == 2


def test_project_rules_see_what_changed_behind_a_warm_cache(tree: Path) -> None:
    """A finding across files must vanish when another file, not its own, changes."""
    (tree / "c.yaml").write_text("train:\n  lr: 0.1\n  warmup: 10\n")
    (tree / "a.py").write_text('import yaml\n\ncfg = yaml.safe_load(open("c.yaml"))["train"]\nfit(cfg["lr"])\n')
    (tree / "b.py").write_text("x = 1\n")
    assert run("--select", "AS202")[0] == 1
    assert run("--select", "AS202")[0] == 1
    (tree / "b.py").write_text('def warm(cfg):\n    return cfg["warmup"]\n')
    assert run("--select", "AS202")[0] == 0


def test_cached_facts_are_the_facts(tree: Path) -> None:
    cold = engine.run([tree], cache=Cache(tree / "k.json"), workers=1)
    warm = engine.run([tree], cache=Cache(tree / "k.json"), workers=1)
    assert warm.findings == cold.findings != []
    (tree / "k.json").write_text("{ damaged")
    assert engine.run([tree], cache=Cache(tree / "k.json"), workers=1).findings == cold.findings


def test_two_processes_find_what_one_does(tree: Path) -> None:
    for number in range(60):
        (tree / f"f{number}.py").write_text(DROPPED.format(""))
    assert engine.run([tree], workers=2).findings == engine.run([tree], workers=1).findings


def test_a_cell_of_a_notebook_is_named_and_its_line_is_on_disk(tree: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# hello\n"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "import torch\n"]},
        {"cell_type": "code", "source": ["print 'python 2 does not parse'\n"]},
        {"cell_type": "code", "source": ["rows = []\n", DROPPED.format("")]},
    ]
    (tree / "n.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}, indent=1))
    (found,) = json.loads(run("n.ipynb", "--format", "json")[1])
    assert "cell 4, line 2" in found["message"]
    assert "collate_fn" in (tree / "n.ipynb").read_text().splitlines()[found["line"] - 1]


def test_it_never_runs_what_it_reads(tree: Path) -> None:
    (tree / "setup.py").write_text('open("ran", "w").close()\n')
    (tree / "conftest.py").write_text('open("ran", "w").close()\n')
    run()
    assert not (tree / "ran").exists()


def test_it_survives_what_lies_on_disks(tree: Path) -> None:
    (tree / "two.py").write_text("print 'python 2'\nexec 'x' in {}\n")
    (tree / "latin.py").write_bytes("# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"))
    (tree / "lies.py").write_bytes(b"# -*- coding: utf-8 -*-\nname = '\xff\xfe'\n")
    (tree / "unknown.py").write_bytes(b"# -*- coding: klingon -*-\nx = 1\n")
    (tree / "wide.py").write_bytes("x = 1\n".encode("utf-16"))
    (tree / "nul.py").write_bytes(b"x = 1\x00\n")
    (tree / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000 + "\n")
    (tree / "chain.py").write_text("x = " + "+".join(["1"] * 20000) + "\n")
    (tree / "binary.py").write_bytes(bytes(range(256)) * 40)
    (tree / "empty.py").write_bytes(b"")
    (tree / "huge.py").write_bytes(b"x = 1\n" * 1_500_000)
    (tree / "bad.ipynb").write_text("[1, 2")
    (tree / "odd.ipynb").write_text('{"cells": [1, {"cell_type": "code", "source": 5}]}')
    (tree / "anchor.yaml").write_text("a: &x\n\tb: *x\n- - -\n? !!python/object:os.system\n")
    (tree / "loop").symlink_to(tree)
    (tree / "self.py").symlink_to(tree / "self.py")
    (tree / "gone.py").symlink_to(tree / "nowhere.py")
    os.mkfifo(tree / "pipe.py")
    result = engine.run([tree], workers=1)
    assert result.broken == []
    assert {f.rule for f in result.findings} == {"AS303", "AS501"}
    assert {"two.py", "huge.py", "bad.ipynb", "nul.py"} <= {path for path, _ in result.unread}


def of_bytes(name: str, data: bytes) -> Facts:
    kind = kind_of(name, data)
    assert kind is not None
    try:
        source = read(name, kind, data, len(data))
    except ValueError:
        return Facts(name, kind)
    return engine.of_source(source)


NAMES = st.sampled_from(["a.py", "a.ipynb", "a.sh", "a.yaml", "a.json", "a.md", "a.pt", "test_a.py"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(NAMES, st.binary(max_size=300))
def test_no_bytes_break_it(name: str, data: bytes) -> None:
    found = of_bytes(name, data)
    assert found.broken == []
    assert Facts.from_json(json.loads(json.dumps(found.as_json()))) == found


PIECES = st.sampled_from(
    ["def", "class", "for", "in", "if", "else", ":", "(", ")", "[", "]", "{", "}", "=", "==", ",", ".", "\n", "\n\t", "lambda", "b", ":", "b[0]", "loss", "=", "loss", "/", "accum", "loss.item()", "metrics", "accuracy\n", "", "", "", "0.93", "1", "self", "scores", "random.random()", "scheduler", "=", "torch.optim.lr_scheduler.StepLR(o)", "try:", "except:", "return", '{"confidence":', "0.0}\n", "", "", "", "model.eval()", "assert", "norm(x)", ">=", "0", "len(x)", "DataLoader(x,", "batch_size=8,", "collate_fn=f)", "seed", "args.lr", 'parser.add_argument("--x")\n', "", "", "", "softmax(softmax(x))", "with", 'open("a.pt")', "as", "f:", 'f.write("x")', "max(losses)", "fit(X,", "y)", '@app.post("/")', "autouse=True"]
)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES, st.lists(PIECES, max_size=40))
def test_no_soup_of_the_words_it_looks_for_breaks_it(name: str, pieces: list[str]) -> None:
    assert of_bytes(name, " ".join(pieces).encode()).broken == []


@pytest.mark.parametrize("folder", ["impl/assay", "property/assay"])
def test_every_mutilation_of_real_code_is_survived(folder: str) -> None:
    """Lines of real files, left out one at a time: trees of every shape, all of them parsed or refused."""
    root = Path(__file__).parents[2] / folder
    for path in sorted(root.glob("*.py"))[:12]:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for start in range(0, len(lines), max(1, len(lines) // 3)):
            text = "".join(lines[:start] + lines[start + 7 :])
            assert of_bytes("test_x.py", text.encode()).broken == []


def test_importing_assay_does_not_import_the_linter() -> None:
    command = (
        "import sys, assay, assay.plugin, assay.cli; print([m for m in sys.modules if m.startswith('assay.lint')])"
    )
    out = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_parse_gives_up_quietly() -> None:
    assert parse("def f(:") is None
    assert parse("\x00") is None


def test_the_pre_commit_hook_runs_a_command_that_exists() -> None:
    hooks = (Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    (entry,) = [line.split(": ")[1].split() for line in hooks.splitlines() if line.strip().startswith("entry:")]
    assert entry[0] == "assay"
    assert CliRunner().invoke(cli.app, [*entry[1:], "--help"]).exit_code == 0


EVERY_KIND = """
@d(1)
async def f(a, /, b: int = 1, *c, k=2, **e) -> int:
    async for x in y: await z
    async with a as b, c: yield x
    return (yield from [*p, {**q, 'r': s}, {t for t in u if v}])
class A(B, metaclass=C):
    x: int = 1; y += 2; del y; assert p, q
    def g(self): global h; nonlocal_ = lambda m, *n: (m if n else -m, not m, m < n <= 3)
try: raise E from e
except (F, G) as h: pass
else: from . import i as j
finally: import k.l
while w: break
else: w[1:2:3, ...] @= f'{x!r:>{width}}'
match v:
    case {'a': [1, *_], **rest} | C(2, k=None) | (3 as n) if n: pass
    case _: print((o := {k: v for k, v in o}), (i for i in j), sep='')
with a: x = y = 1 and 2 or 3
"""


@pytest.mark.parametrize("text", [EVERY_KIND, Path(__file__).read_text(), Path(ast.__file__).read_text()])
def test_the_index_holds_every_node_that_a_plain_walk_finds(text: str) -> None:
    """Law: fields that are left out of the walk hold no nodes but the marks (Load, Add, ...) that nodes share."""
    module = Module(read("m.py", "python", text.encode(), len(text)), ast.parse(text))
    shared = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
    every = [node for node in ast.walk(module.tree) if not isinstance(node, shared)]
    for kind in {type(node) for node in every}:
        assert set(module.nodes(kind)) == {node for node in every if type(node) is kind}
    assert all(module.tree in parents(node) for node in every if node is not module.tree)
    top = within(module.tree)
    inside = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    outer = [
        n
        for n in every
        if not isinstance(n, ast.Module | ast.Name) and not any(isinstance(p, inside) for p in parents(n))
    ]
    assert len(top) == len(set(top))
    assert set(top) == set(outer)
