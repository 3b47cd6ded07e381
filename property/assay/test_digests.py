"""Laws of the digests: they see every change of code and data, and no change of wording, layout or neighbours."""

from __future__ import annotations

import ast
import bisect
import datetime
import heapq
import inspect
import json
import os
import sys
import textwrap
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay import digests
from assay.digests import Code, Manifest, of_json, of_source
from assay.errors import ObservationError

SOURCES = [inspect.getsource(module) for module in (bisect, heapq, textwrap)]
sources = st.sampled_from(SOURCES)
modest = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# ---------------------------------------------------------------------------------------------- source


@st.composite
def commented(draw: st.DrawFn) -> tuple[str, str]:
    """A source, and the same with comments and blank lines between its statements and trailing spaces and comments."""
    source = draw(sources)
    tree = ast.parse(source)
    starts = sorted({node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)})
    lines = source.splitlines()
    strings = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=10)
    for number in sorted(draw(st.sets(st.sampled_from(starts), max_size=5)), reverse=True):
        if number not in strings and not lines[number - 1].endswith("\\"):
            lines[number - 1] += f"  # {draw(words)}"
        above = lines[number - 2].strip() if number > 1 else ""
        if not above.startswith("@") and not above.endswith("\\"):
            lines[number - 1 : number - 1] = ["", f"    # {draw(words)}", ""]
    return source, "\n".join(lines) + "\n"


@modest
@given(commented())
def test_comments_and_blank_lines_do_not_change_a_digest(pair: tuple[str, str]) -> None:
    """Law: of_source is blind to comments and blank lines."""
    source, other = pair
    assert of_source(source) == of_source(other)


def test_a_digest_is_of_code_and_not_of_the_python_that_reads_it() -> None:
    """Fields that are empty are left out: Python 3.12 gave every function and class a new one."""
    text = (
        "Module(body=[FunctionDef(name='f', args=arguments(args=[arg(arg='x')]), body=[Return(value=JoinedStr(values=["
        "Constant(value='\\xe9'), FormattedValue(value=Name(id='x', ctx=Load()), conversion=-1)]))]), "
        "ClassDef(name='C', body=[Expr(value=Constant())])])"
    )
    assert of_source('def f(x):\n    return f"\u00e9{x}"\n\nclass C:\n    None\n') == digests.of_bytes(text.encode())


def test_empty_texts_in_an_f_string_are_no_code() -> None:
    """Python 3.12 puts one behind the last field of a format specification, 3.11 does not."""
    tree = ast.parse('f"{x:{a}{b}}{y}"')
    fields = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    assert len(fields) == 2
    expected = digests.of_bytes(digests._text(ast.parse('f"{x:{a}{b}}{y}"')).encode())
    for node in fields:
        node.values.append(ast.Constant(""))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_parse", lambda source: tree)
        assert of_source("") == expected


@pytest.mark.parametrize("source", SOURCES)
def test_formatting_does_not_change_a_digest(source: str) -> None:
    """Law: of_source is blind to layout: what ast.unparse writes, other line ends, a byte order mark."""
    assert of_source(ast.unparse(ast.parse(source))) == of_source(source)
    assert of_source(source.replace("\n", "\r\n")) == of_source(source)
    assert of_source(b"\xef\xbb\xbf" + source.encode()) == of_source(source)
    assert of_source(source.encode()) == of_source(source)


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@modest
@given(sources, st.data())
def test_docstrings_do_not_change_a_digest(source: str, data: st.DataObject) -> None:
    """Law: adding, changing or removing docstrings of modules, classes and functions is not seen."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, Documented) and data.draw(st.booleans()):
            has = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
            body = node.body[1:] if has else node.body
            text = data.draw(st.none() | st.text(max_size=10))
            node.body = [ast.Expr(ast.Constant(text)), *body] if text is not None else body or [ast.Pass()]
    assert of_source(ast.unparse(ast.fix_missing_locations(tree))) == of_source(source)


OTHER: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Not: ast.USub, ast.USub: ast.UAdd, ast.RShift: ast.LShift, ast.LShift: ast.RShift,
}  # fmt: skip


def constant(value: Any) -> Any:
    """Another constant: the nearest one, so that little differs."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return float(value) if value % 2 else value + 1
    return value + "x" if isinstance(value, str) else 0


def sites(tree: ast.Module) -> list[tuple[str, Any]]:
    """Every place where one small change can be made, with what to do there."""
    found: list[tuple[str, Any]] = []
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, Documented) and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            found.append(("constant", node))
        if isinstance(node, ast.Name | ast.arg | ast.FunctionDef | ast.ClassDef | ast.Attribute | ast.alias):
            found.append(("name", node))
        found += [("operator", (node, field)) for field in ("op", "ops") if hasattr(node, field)]
        if isinstance(getattr(node, "body", None), list) and len(node.body) > 1:
            found.append(("statement", node))
    return found


def mutate(kind: str, site: Any) -> None:
    if kind == "constant":
        site.value = constant(site.value)
    elif kind == "name":
        field = next(f for f in ("id", "arg", "name", "attr") if hasattr(site, f))
        setattr(site, field, getattr(site, field) + "x")
    elif kind == "operator":
        node, field = site
        if field == "op":
            node.op = OTHER[type(node.op)]()
        else:
            node.ops[0] = OTHER[type(node.ops[0])]()
    else:
        del site.body[-1]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(SOURCES[:2]), st.data())
def test_every_small_change_of_code_changes_the_digest(source: str, data: st.DataObject) -> None:
    """Law: another constant, operator or name, or one statement less, is always seen."""
    tree = ast.parse(source)
    mutate(*data.draw(st.sampled_from(sites(tree))))
    changed = ast.unparse(ast.fix_missing_locations(tree))
    assert of_source(changed) != of_source(source)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("x = 1", "x = True"),
        ("x = 1", "x = 1.0"),
        ("x = 0.0", "x = -0.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = 1\ny = 2", "y = 2\nx = 1"),
        ("def f(a, b): return a", "def f(b, a): return a"),
        ("def f():\n    x = 'not a docstring'", "def f():\n    x = 'another'"),
        ("x: int = 1", "x: str = 1"),
        ("@cache\ndef f(): pass", "def f(): pass"),
        ("async def f(): pass", "def f(): pass"),
        ("f'{x:.2f}'", "f'{x:.3f}'"),
        ("def f(*, a=1): pass", "def f(a=1): pass"),
        ("# coding: latin-1\nx = '\u00e9'".encode("latin-1"), "# coding: latin-1\nx = '\u00e8'".encode("latin-1")),
    ],
)
def test_differences_that_are_easily_missed(one: str | bytes, two: str | bytes) -> None:
    assert of_source(one) != of_source(two)


def test_a_function_of_a_docstring_alone_is_a_function_that_does_nothing() -> None:
    assert of_source('def f():\n    """Says much."""') == of_source("def f():\n    pass")


@pytest.mark.parametrize(
    "text",
    ["def f(:", "x = \x00", "(" * 500, "-" * 5000 + "1", "+".join("1" * 5000), "x = 0x" + "f" * 5000, "\ufeff\ufeff"],
)
def test_what_cannot_be_read_as_python_is_digested_as_it_stands(text: str) -> None:
    """Law: of_source is total; broken or monstrous texts have a digest of their own that sees every byte."""
    assert of_source(text) == of_source(text)
    assert of_source(text) != of_source(text + "  # a comment")


@modest
@given(st.text() | st.binary())
def test_any_text_has_a_digest(text: str | bytes) -> None:
    """Law: of_source never raises on text or bytes."""
    if isinstance(text, str):
        text = text.encode(errors="replace").decode()
    assert len(of_source(text)) == 64


# ------------------------------------------------------------------------------------------------ json

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shuffled(item) for key, item in reversed(value.items())}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@modest
@given(plain, plain)
def test_json_digests_are_equal_exactly_when_the_values_are(one: Any, two: Any) -> None:
    """Law: of_json ignores the order of keys and sees everything else."""
    assert of_json(one) == of_json(shuffled(one))
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (of_json(one) == of_json(two)) == same


def test_arrays_are_digested_by_their_whole_content() -> None:
    """str() of a long array leaves out its middle, and of any array most of its digits: a digest must not."""
    long = np.zeros(5000)
    other = long.copy()
    other[2500] = 1e-12
    found = [of_json([x]) for x in (long, other, long.astype("float32"), long.reshape(50, 100), long[:4999])]
    assert len(set(found)) == len(found)
    assert of_json([long]) == of_json([long.copy()])
    assert of_json({"a": long[::2]}) == of_json({"a": long[::2].copy()})


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 0, np.array([object()]), {1: 2, "a": 3}, b"x"])
def test_what_is_no_plain_data_has_no_digest(value: Any) -> None:
    with pytest.raises(ObservationError, match="plain data"):
        of_json([value])


def test_paths_and_dates_are_plain() -> None:
    assert of_json([Path("a"), datetime.date(2026, 1, 1)]) == of_json(["a", "2026-01-01"])


# --------------------------------------------------------------------------------------------- closure


def tree(root: Path, files: dict[str, str]) -> Code:
    """Write files under the root, old enough to be cached."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(1, 1))
    return Code([root])


PROJECT = {
    "app/__init__.py": "",
    "app/main.py": "import app.absolute\nfrom . import relative\nfrom app import member\nfrom .deep import inner\n",
    "app/absolute.py": "from app.starred import *\n",
    "app/relative.py": "def f():\n    from .late import g\n    return g\n",
    "app/member.py": "try:\n    import app.guarded as h\nexcept ImportError:\n    h = None\n",
    "app/starred.py": "x = 1\n",
    "app/late.py": "import app.main\n",
    "app/guarded.py": "import importlib\nm = importlib.import_module('app.dynamic')\n",
    "app/dynamic.py": "from app.shop import *\nfrom importlib import import_module\n"
    "a, b = import_module('.near', __package__), import_module('.sea', package='app.shop')\n"
    "import runpy\nrunpy.run_module('app.run')\n",
    "app/near.py": "",
    "app/run.py": "",
    "app/shop/sea.py": "import_module('..far', 'app.shop')\n",
    "app/far.py": "",
    "app/shop/__init__.py": "__all__ = ['till']\n",
    "app/shop/till.py": "z = 1\n",
    "app/shop/cellar.py": "z = 2\n",
    "app/deep/__init__.py": "from ..up import y\n",
    "app/deep/inner.py": "from ...beyond import z\nfrom assay import spec\nimport assay.metrics\n",
    "app/up.py": "import json, numpy\nimport sklearn.svm\n",
    "app/unrelated.py": "import app.main\n",
    "other.py": "import app.main\n",
    "assay/__init__.py": "",
    "assay/spec.py": "",
}
REACHED = {
    "app", "app.main", "app.absolute", "app.relative", "app.member", "app.deep", "app.deep.inner", "app.starred",
    "app.late", "app.guarded", "app.dynamic", "app.shop", "app.shop.till", "app.up", "app.near", "app.run",
    "app.shop.sea", "app.far",
}  # fmt: skip


def test_the_closure_follows_every_way_to_import(tmp_path: Path) -> None:
    """A worked example: absolute, relative, member, function-level, guarded, star, `__all__`, by name; a cycle."""
    closure = tree(tmp_path, PROJECT).closure("app.main")
    versions = {name for name in closure if name.endswith(" (version)")}
    assert set(closure) - versions == REACHED
    assert versions == {"numpy (version)", "sklearn (version)"}
    assert closure["numpy (version)"] == metadata.version("numpy")
    assert closure["sklearn (version)"] == f"scikit-learn {metadata.version('scikit-learn')}"
    assert list(closure) == sorted(closure)


@pytest.mark.parametrize("name", sorted(name for name in PROJECT if not name.startswith("assay")))
def test_an_edit_is_seen_exactly_where_it_is_reached(tmp_path: Path, name: str) -> None:
    """Law: editing a module changes its own entry; editing a module outside the closure changes nothing."""
    before = tree(tmp_path, PROJECT).closure("app.main")
    (tmp_path / name).write_text(PROJECT[name] + "\nadded = 1\n")
    after = Code([tmp_path]).closure("app.main")
    module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    assert {key for key in before if before[key] != after[key]} == ({module} & REACHED)


STYLES = [
    "import {0}",
    "from {0} import x",
    "from .{1} import x",
    "from . import {1}",
    "from p import {1}",
    "from .{1} import *",
    "import {0} as y",
    "def f():\n    import {0}",
    "if 0:\n    from {0} import (x,\n  y)",
]


@settings(max_examples=40, deadline=None)
@given(st.data(), st.dictionaries(st.integers(0, 6), st.sets(st.integers(0, 6)), max_size=7))
def test_the_closure_is_reachability(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, graph: dict[int, set[int]]
) -> None:
    """Law: the closure holds exactly what can be reached over imports, whatever their style, cycles included."""
    root = tmp_path_factory.mktemp("graph")
    files = {"p/__init__.py": "x = 1"}
    for node in range(7):
        lines = [
            data.draw(st.sampled_from(STYLES)).format(f"p.m{target}", f"m{target}")
            for target in sorted(graph.get(node, ()))
        ]
        files[f"p/m{node}.py"] = "\n".join([*lines, f"value = {node}"])
    reached, queue = set(), [0]
    while queue:
        node = queue.pop()
        if node not in reached:
            reached.add(node)
            queue += graph.get(node, ())
    assert set(tree(root, files).closure("p.m0")) == {"p", *(f"p.m{node}" for node in reached)}


def test_a_parent_package_of_a_parent_package_is_part_of_the_closure(tmp_path: Path) -> None:
    files = {"a/__init__.py": "x = 1", "a/b/__init__.py": "", "a/b/c/__init__.py": "", "a/b/c/d.py": ""}
    assert set(tree(tmp_path, files).closure("a.b.c.d")) == {"a", "a.b", "a.b.c", "a.b.c.d"}


def test_namespace_packages_and_missing_modules_end_the_way(tmp_path: Path) -> None:
    code = tree(tmp_path, {"space/m.py": "import space.gone\nimport nowhere_at_all\nfrom . import also_gone\n"})
    assert set(code.closure("space.m")) == {"space.m"}
    assert code.closure("nowhere.at_all") == {}


def test_a_syntax_error_is_part_of_the_closure_and_ends_it(tmp_path: Path) -> None:
    code = tree(tmp_path, {"m.py": "import broken\n", "broken.py": "import m, other\ndef (:\n", "other.py": ""})
    before = code.closure("m")
    assert set(before) == {"m", "broken"}
    (tmp_path / "broken.py").write_text("import m, other\ndef (: # changed\n")
    after = code.closure("m")
    assert (after["m"], after["broken"] == before["broken"]) == (before["m"], False)


def test_the_judge_is_in_nobodys_closure(tmp_path: Path) -> None:
    own = {"assay/__init__.py": "", "assay/spec.py": "import n", "assay_tools.py": "", "n.py": ""}
    code = tree(tmp_path, {"m.py": "import assay\nfrom assay.spec import load\nimport assay_tools\n", **own})
    assert set(code.closure("m")) == {"m", "assay_tools"}


def test_a_test_file_brings_what_lies_beside_it(tmp_path: Path) -> None:
    """Modules beside an acceptance test, or above it up to the project, are code that its claim rests on."""
    code = tree(
        tmp_path / "impl",
        {
            "app/__init__.py": "", "app/m.py": "",
            "../acceptance/app/test_a.py": "from policies import coin\nfrom . import near\nimport app.m, common.deep\n"
            "from acceptance.app.gold import g\n",
            "../acceptance/app/policies.py": "import numpy\nfrom nearby import q\n"
            "pytest_plugins = ['acceptance.app.fixtures']\n",
            "../acceptance/app/fixtures.py": "pytest_plugins = 'more'\n", "../acceptance/app/more.py": "",
            "../acceptance/app/nearby.py": "", "../acceptance/app/near.py": "", "../acceptance/app/gold.py": "",
            "../acceptance/app/unrelated.py": "", "../acceptance/common/__init__.py": "",
            "../acceptance/common/deep.py": "",
        },
    )  # fmt: skip
    path = tmp_path / "acceptance/app/test_a.py"
    closure = code.closure_of_file(path, "acceptance/app/test_a.py")
    files = {
        f"acceptance/app/{name}.py" for name in ("test_a", "policies", "nearby", "near", "gold", "fixtures", "more")
    }
    files |= {"acceptance/common/__init__.py", "acceptance/common/deep.py"}
    assert {name for name in closure if name.endswith(".py")} == files
    assert {name for name in closure if not name.endswith(".py")} == {"app", "app.m", "numpy (version)"}
    assert all(code.current(name) == digest for name, digest in closure.items())
    assert set(code.closure_of_file(path, "build")) >= {"build", "policies.py", "app.m"}


def test_current_is_the_digest_of_now(tmp_path: Path) -> None:
    code = tree(tmp_path / "impl", {"m.py": "x = 1", "../acceptance/test_m.py": "import m"})
    assert code.current("m") == of_source("x = 1")
    assert code.current("acceptance/test_m.py") == of_source("import m")
    assert code.current("gone") is None
    assert code.current("gone.py") is None
    assert code.current("numpy (version)") == metadata.version("numpy")
    assert code.current("no_such_distribution (version)") is None
    assert code.current("json (version)") is None


# ----------------------------------------------------------------------------------------------- cache


def old(path: Path, text: str, at: int) -> None:
    """Write a file with the given age, so that nothing depends on when the test runs."""
    path.write_text(text)
    os.utime(path, ns=(at, at))


@pytest.mark.parametrize("kept", [False, True])
def test_the_cache_never_outlives_an_edit(tmp_path: Path, kept: bool) -> None:
    """Law: after an edit with a newer time the digest is that of the new text, in one process and across two."""
    path, cache = tmp_path / "m.py", tmp_path / "state" / "digests.json"
    code = Code([tmp_path], cache=cache)
    for number in range(1, 6):
        old(path, f"x = {number}", at=number * 10**9)
        assert code.current("m") == of_source(f"x = {number}")
        if kept:
            code.save()
            code = Code([tmp_path], cache=cache)


def test_an_edit_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    """Same size, same modification time, other text: what a quick edit after a quick look leaves behind."""
    path, code = tmp_path / "m.py", Code([tmp_path])
    for number in range(5):
        path.write_text(f"x = {number}")
        os.utime(path, ns=(10**9, 10**9))
        assert code.current("m") == of_source(f"x = {number}")


def test_a_cached_digest_is_not_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "digests.json"
    monkeypatch.setattr(digests, "RACY_S", -1.0)  # the file counts as old
    old(tmp_path / "m.py", "import n", at=10**9)
    old(tmp_path / "n.py", "x = 1", at=10**9)
    first = Code([tmp_path], cache=cache)
    expected = first.closure("m")
    first.save()
    monkeypatch.setattr(digests, "of_source", lambda source: pytest.fail("read again"))
    assert Code([tmp_path], cache=cache).closure("m") == expected


def test_what_another_version_of_the_digest_computed_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "digests.json"
    monkeypatch.setattr(digests, "RACY_S", -1.0)
    old(tmp_path / "m.py", "x = 1", at=10**9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "_itself", lambda: "another version")
        patch.setattr(digests, "of_source", lambda source: "its digest")
        before = Code([tmp_path], cache=cache)
        assert before.current("m") == "its digest"
        before.save()
    assert Code([tmp_path], cache=cache).current("m") == of_source("x = 1")


def test_a_cache_is_written_when_it_was_asked_for_and_something_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "RACY_S", -1.0)
    old(tmp_path / "m.py", "x = 1", at=10**9)
    in_memory = Code([tmp_path])
    assert in_memory.current("m")
    in_memory.save()
    assert [p.name for p in tmp_path.iterdir()] == ["m.py"]
    cache = tmp_path / "state" / "digests.json"
    Code([tmp_path], cache=cache).save()
    assert not cache.exists()
    code = Code([tmp_path], cache=cache)
    code.current("m")
    code.save()
    assert [p.name for p in cache.parent.iterdir()] == ["digests.json"]


@pytest.mark.parametrize("content", ["", "[]", "3", "{", '{"x": 1}', "\x00"])
def test_a_broken_cache_is_an_empty_cache(tmp_path: Path, content: str) -> None:
    old(tmp_path / "m.py", "x = 1", at=10**9)
    cache = tmp_path / "digests.json"
    cache.write_text(content)
    code = Code([tmp_path], cache=cache)
    assert code.current("m") == of_source("x = 1")
    code.save()
    broken = {str((tmp_path / "m.py").resolve()): value for value in [None]}
    for value in (None, 3, [], [1, 2], {"a": 1}):
        cache.write_text(json.dumps({"made_by": digests._itself(), "files": dict.fromkeys(broken, value)}))
        assert Code([tmp_path], cache=cache).current("m") == of_source("x = 1")


# -------------------------------------------------------------------------------------------- manifest


def test_a_manifest_sees_content_and_not_place_or_time(tmp_path: Path) -> None:
    """Law: the digest depends on labels and contents; changed() names what is gone or other."""
    files = {label: tmp_path / f"{label}.txt" for label in "abc"}
    for label, path in files.items():
        old(path, f"text of {label}", at=10**9)
    manifest = Manifest.of(files, tmp_path)
    assert manifest.changed(tmp_path) == []
    assert Manifest(json.loads(json.dumps(manifest.rows))).digest == manifest.digest

    moved = {label: path.rename(tmp_path / f"moved-{label}") for label, path in files.items()}
    os.utime(moved["a"])
    assert Manifest.of(moved, tmp_path).digest == manifest.digest
    assert sorted(manifest.changed(tmp_path)) == ["a", "b", "c"]

    here = Manifest.of(moved, tmp_path)
    os.utime(moved["a"])
    assert here.changed(tmp_path) == [], "a newer time with the same content is no change"
    moved["a"].write_text("text of A")
    moved["b"].unlink()
    assert here.changed(tmp_path) == ["a", "b"]
    assert Manifest.of({"a": moved["a"], "c": moved["c"]}, tmp_path).digest != here.digest
    renamed = {"a": moved["c"], "c": moved["a"]}
    assert Manifest.of(renamed, tmp_path).digest != Manifest.of({"a": moved["a"], "c": moved["c"]}, tmp_path).digest


@modest
@given(st.binary(), st.binary())
def test_files_and_bytes_have_the_same_digest(tmp_path: Path, one: bytes, two: bytes) -> None:
    """Law: of_file is of_bytes of the content, and differs when the content does."""
    path = tmp_path / "f"
    path.write_bytes(one)
    assert digests.of_file(path) == digests.of_bytes(one)
    assert (digests.of_bytes(one) == digests.of_bytes(two)) == (one == two)


def test_the_standard_library_has_no_version_of_its_own(tmp_path: Path) -> None:
    names = ", ".join(sorted(sys.stdlib_module_names)[:40])
    assert set(tree(tmp_path, {"m.py": f"import {names}"}).closure("m")) == {"m"}


# ------------------------------------------------------------------------------------------------ the judge itself


def test_the_harness_is_in_the_closure_of_no_subject_but_itself(tmp_path: Path) -> None:
    """Law: what a subject or a test imports of the harness is left out; asked for itself, all of it is followed."""
    for name, text in {
        "assay/__init__.py": "",
        "assay/verdict.py": "from assay import spec\nimport mine",
        "assay/spec.py": "x = 1",
        "mine.py": "import assay.verdict",
        "other.py": "y = 1",
    }.items():
        path = tmp_path / "impl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    test = tmp_path / "acceptance" / "test_x.py"
    test.parent.mkdir()
    test.write_text("from assay import verdict\nimport other")
    code = Code([tmp_path / "impl"])
    assert set(code.closure("mine")) == {"mine"}
    assert set(code.closure_of_file(test, "acceptance/test_x.py")) == {"acceptance/test_x.py", "other"}
    assert set(code.closure("assay.verdict")) == {"assay", "assay.verdict", "assay.spec", "mine"}
    before = code.closure("assay.verdict")
    (tmp_path / "impl" / "assay" / "spec.py").write_text("x = 2")
    assert Code([tmp_path / "impl"]).closure("assay.verdict") != before


def test_a_manifest_of_one_checkout_is_looked_up_in_the_files_of_another(tmp_path: Path) -> None:
    """Both share a store. What lies outside of them is looked up where it lies."""
    one, other, library = (tmp_path / name for name in ("one", "other", "library"))
    for folder in (one, other, library):
        folder.mkdir()
        (folder / "data.toml").write_text("x = 1")
    manifest = Manifest.of({"own": one / "data.toml", "library": library / "data.toml"}, one)
    assert manifest.rows["own"][0] == "data.toml"
    assert manifest.changed(other) == []
    (other / "data.toml").write_text("x = 2")
    assert manifest.changed(other) == ["own"]
    assert manifest.changed(one) == []
    (library / "data.toml").write_text("x = 3")
    assert manifest.changed(one) == ["library"]
    (other / "data.toml").unlink()
    assert manifest.changed(other) == ["own", "library"], "what is gone is a change"


def test_of_files_elsewhere_that_are_all_gone_nothing_can_be_said(tmp_path: Path, monkeypatch) -> None:
    """The project's own are its own, there or not; an environment in its folder is not its own."""
    root = tmp_path / "project"
    files = [root / "own.toml", root / "venv" / "lib.py", tmp_path / "lib.py"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1")
    monkeypatch.setattr(sys, "prefix", str(root / "venv"))
    own, foreign = (
        Manifest.of({"own": files[0], "lib": files[1]}, root),
        Manifest.of({"a": files[1], "b": files[2]}, root),
    )
    assert [Path(row[0]).is_absolute() for row in (*own.rows.values(), *foreign.rows.values())] == [False, *[True] * 3]
    files[1].unlink()
    assert foreign.is_here
    files[2].unlink()
    assert not foreign.is_here
    files[0].unlink()
    assert own.is_here
    assert own.changed(root) == ["own", "lib"]
