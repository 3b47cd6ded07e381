"""Laws of extraction: scope-exact masking, a hash that sees structure only, and no file that can stop it."""

import ast
import inspect
import keyword
import os
import re
import string
import symtable
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.distributions import Distribution
from corpus.functions import Function, Skipped, ast_hash, from_text, functions, functions_of

MODULE = '''
import os.path
import numpy as np
from json import dumps, loads as read
from . import sibling
from pkg.inner import tool
from typing import *
from __future__ import annotations
try:
    import tomllib
except ImportError:
    import tomli as tomllib

@np.vectorize
def mask(x: np.ndarray, read=None) -> "np.float64":
    """Docstring with np and
      an indented line."""
    import re, sys as system
    from collections import OrderedDict
    M2 = np.zeros(3)  # a comment
    read(dumps(x), np=1)
    return [os for os in os.path.split(x)], re.sub('np', system.platform, x.np), sibling, tool(M2)

class Outer:
    dumps = 1
    def dumps(self, a=dumps, b=tomllib):
        tool.run(self)
        return [dumps(self) for _ in range(3)]

    class Inner:
        async def deep(self, np):
            async with np as read:
                await read(np)
            return read

def stub(self): ...

def short(self):
    return self.x

if np:
    def conditional(a, b):
        def nested(c):
            first = c
            return first + 1
        return nested(a) + nested(b)
'''


def by_name(text: str, **keywords: str) -> dict[str, Function]:
    return {each.qualname: each for each in from_text(text, **keywords)}


def test_example_what_is_a_function_here() -> None:
    found = by_name(MODULE, file="pkg/mod.py", distribution="d", version="1", licence="MIT")
    # stubs and one-word accessors are left out, nested functions are part of their owner
    assert list(found) == ["mask", "Outer.dumps", "Outer.Inner.deep", "conditional"]
    row = found["mask"]
    assert (row.module, row.file, row.distribution, row.version, row.licence) == (
        "pkg.mod",
        "pkg/mod.py",
        "d",
        "1",
        "MIT",
    )
    assert (row.line, row.end_line) == (15, 22)
    assert row.docstring == "Docstring with np and\nan indented line."
    assert len(row.record_id) == 16
    assert set(row.record_id) <= set(string.hexdigits.lower())


def test_example_masking_follows_scopes() -> None:
    found = by_name(MODULE, file="pkg/mod.py")
    assert found["mask"].source == (
        "@np.vectorize\n"
        "def mask(x: np.ndarray, read=None) -> 'np.float64':\n"
        "    import re, sys as system\n"
        "    from collections import OrderedDict\n"
        "    M2 = np.zeros(3)\n"
        "    read(dumps(x), np=1)\n"
        "    return ([os for os in os.path.split(x)], re.sub('np', system.platform, x.np), sibling, tool(M2))"
    )
    # `read` is a parameter here, `os` inside the list is its own; M2 is taken, so the masks pass over it
    assert found["mask"].masked == (
        "@M0.vectorize\n"
        "def mask(x: M0.ndarray, read=None) -> 'M0.float64':\n"
        "    M2 = M0.zeros(3)\n"
        "    read(M1(x), np=1)\n"
        "    return ([os for os in M3.path.split(x)], M4.sub('np', M5.platform, x.np), M6, M7(M2))"
    )
    # `pkg` is the module's own package, `.` is relative, OrderedDict is imported and never read
    assert found["mask"].uses == ("json", "numpy", "os", "re", "sys")


def test_example_texts_tell_of_no_module_either() -> None:
    text = """
import sys, time, numpy as np
from typing import Literal, Optional
class C:
    Literal = 1
    def f(self, a: 'Optional["np.ndarray"]', b: 'numpy of', c: Optional['Literal[1]'], time=b'x') -> 'tuple[f, np.x]':
        def g():
            ">>> import numpy as np"
        class D:
            "Of numpy."
            z: "np.int8 | int" = sys.argv
        if 'numpy' in sys.modules or b'sys' in g:
            raise ImportError(f'numpy{a}needs numpyro, {b:sys}, sys', 'np', 'sysctl')
        return time.time(), np.time, D(numpy='typing.io')
"""
    (row,) = from_text(text)
    assert row.uses == ("numpy", "sys", "typing")
    # `time` is a parameter here and `Literal` the class's own; a keyword and an attribute may be called as modules are
    assert row.masked == (
        "def f(self, a: \"M0['M1.ndarray']\", b: '', c: M0['Literal[1]'], time=b'x') -> 'tuple[f, M1.x]':\n\n"
        "    def g():\n"
        "        pass\n\n"
        "    class D:\n"
        "        z: 'M1.int8 | int' = M2.argv\n"
        "    if '' in M2.modules or b'' in g:\n"
        "        raise ImportError(f'{a}needs numpyro, {b:}', 'np', 'sysctl')\n"
        "    return (time.time(), M1.time, D(numpy=''))"
    )
    assert ">>> import numpy as np" in row.source


def test_example_a_default_is_read_in_the_class_and_a_body_past_it() -> None:
    row = by_name(MODULE, file="other/mod.py")["Outer.dumps"]
    assert row.masked == ("def dumps(self, a=dumps, b=M0):\n    M1.run(self)\n    return [M2(self) for _ in range(3)]")
    assert row.uses == ("json", "pkg", "tomli", "tomllib")


def test_example_without_imported_names_masked_is_source() -> None:
    row = by_name(MODULE)["Outer.Inner.deep"]
    assert row.uses == ()
    assert row.masked == row.source


def test_example_a_block_that_held_only_imports_keeps_a_statement() -> None:
    text = "def f(a):\n    try:\n        import x\n    except ImportError:\n        x = None\n    return x(a), a\n"
    (row,) = from_text(text)
    assert row.masked == (
        "def f(a):\n    try:\n        pass\n    except ImportError:\n        M0 = None\n    return (M0(a), a)"
    )
    assert row.uses == ("x",)


def test_example_a_block_of_several_imports_keeps_one_statement() -> None:
    text = "def f(a):\n    if a:\n        import x\n        import y\n    return x(a), y\n"
    (row,) = from_text(text)
    assert row.masked == "def f(a):\n    if a:\n        pass\n    return (M0(a), M1)"


def test_example_a_method_does_not_see_the_names_of_its_class() -> None:
    body = "    class C:\n        x = a\n        y = x\n        def m(self):\n            return x\n    return C\n"
    text = "import x\ndef f(a):\n" + body
    (row,) = from_text(text)
    assert "y = x\n" in row.masked
    assert "return M0\n" in row.masked


def own_imports(text: str) -> dict[str, set[str]]:
    """Names bound by import statements outside functions and classes, found with nothing but `ast.walk`."""
    tree = ast.parse(text)
    inside = {
        id(each)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for each in ast.walk(node)
    }
    bound: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if id(node) in inside or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for alias in node.names:
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
            name = alias.asname or (alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0])
            bound.setdefault(name, set()).update({module.split(".")[0]} - {""})
    return bound


def globals_read(source: str) -> set[str]:
    """What Python's own symbol table says that a function at module level reads from its module."""

    def tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
        yield table
        for child in table.get_children():
            yield from tables(child)

    top = symtable.symtable(source, "source", "exec")
    return {
        symbol.get_name()
        for table in tables(top)
        for symbol in table.get_symbols()
        if symbol.is_referenced() and (symbol.is_global() or table is top)
    }


def test_law_masked_source_reads_no_imported_name_and_uses_are_what_source_reads(
    real: list[Function], library: Distribution
) -> None:
    texts = {library.relative(file): file.read_text() for file in library.files}
    imports = {file: own_imports(text) for file, text in texts.items()}
    checked = 0
    for row in real:
        bound = imports[row.file]
        assert not globals_read(row.masked) & set(bound), row
        assert "import " not in " ".join(line for line in row.masked.split("\n") if line.strip().startswith("import "))
        if "import " in row.source or "." in row.qualname:
            continue  # its own imports, and names of its class, are for the worked examples
        modules = {module for name in globals_read(row.source) & set(bound) for module in bound[name]}
        assert set(row.uses) == modules - {row.module.split(".")[0], "__future__"}, row
        checked += bool(row.uses)
    assert checked > 80


def test_law_no_text_of_masked_source_names_a_module_that_it_uses(real: list[Function]) -> None:
    for row in real:
        tree = ast.parse(row.masked)
        texts = [
            each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
        words = {word for text in texts for word in re.findall(r"\w+", text)}
        assert not words & set(row.uses), row
        assert not [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and ast.get_docstring(each)]


def test_law_source_is_canonical_and_both_forms_parse(real: list[Function]) -> None:
    for row in real:
        tree = ast.parse(row.source)
        assert len(tree.body) == 1
        assert ast.unparse(tree).strip("\n") == row.source
        assert ast.get_docstring(tree.body[0]) is None or row.docstring  # type: ignore[arg-type]
        ast.parse(row.masked)
    assert len({row.record_id for row in real}) == len(real) > 600


def test_law_layout_comments_and_docstrings_do_not_change_the_hash(real: list[Function], library: Distribution) -> None:
    texts = {library.relative(file): file.read_text().split("\n") for file in library.files}
    for row in real:
        assert ast_hash(row.source) == row.ast_hash
        written = textwrap.dedent("\n".join(texts[row.file][row.line - 1 : row.end_line]))
        if row.source.startswith("@"):
            continue  # the lines of a decorator lie above the definition's
        assert ast_hash("# first\n" + written + "\n\n# last") == row.ast_hash


TEMPLATES = (
    """def {f}({a}, *{b}, {c}=1):
    {d} = {a}
    for {e} in {b}:
        {d} += {e}.a
    return {d}, {c}, len({a})""",
    """def {f}({a}):
    {b} = [{c} for {d} in {a} for {c} in {d} if {c}]
    return (lambda {e}=1: {e})({b})""",
    """def {f}({a}):
    try:
        {b} = {f}({a})
    except Error as {c}:
        raise {c}
    else:
        del {b}""",
    """def {f}({a}):
    def {b}({c}):
        nonlocal {a}
        {a} = {c}
    with open({a}) as {d}:
        return {b}({d})""",
    """def {f}({a}):
    if ({b} := {a}.b):
        return {{{c}: ({d} := {c}) for {c} in {b}}}, {d}
    match {a}:
        case [{e}, *{c}]:
            return {e}
        case {{'k': {d}, **{b}}}:
            return {b}""",
    """def {f}({a}):
    class {b}({a}):
        {c} = {a}
        def m(self):
            return {b}
    import x as {d}
    return {b}(), {d}""",
)
KEPT = {"_", "len", "open", "Error", "x", "m", "self", "k", "a", "b"}
identifiers = st.text(string.ascii_letters + "_é", min_size=1, max_size=6).filter(
    lambda name: name.isidentifier() and name not in KEPT and not keyword.iskeyword(name)
)


@settings(deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.lists(identifiers, min_size=6, max_size=6, unique=True),
    st.lists(identifiers, min_size=6, max_size=6, unique=True),
)
def test_law_the_hash_is_invariant_under_alpha_renaming(template: str, first: list[str], second: list[str]) -> None:
    one, two = (template.format(**dict(zip("fabcde", names, strict=True))) for names in (first, second))
    assert ast_hash(one) == ast_hash(two)


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ("return a + 1", "return a + 2", True),
        ("return a + 1", "return a + '1'", False),
        ("return a + b", "return b + a", False),
        ("return a.x", "return a.y", False),
        ("return f(a)", "return g(a)", False),
        ("return f(k=a)", "return f(l=a)", False),
        ("x = a\n    return x", "y = a\n    return y", True),
        ("x = a\n    return x", "x = a\n    return a", False),
        ("return [x for x in a]", "return [a for a in a]", True),
        ("return [x for x in a]", "return [a for x in a]", False),
        ("return lambda x: x", "return lambda x: a", False),
        ("'''doc'''\n    return a", "return a", True),
    ],
)
def test_examples_of_what_the_hash_sees(one: str, two: str, equal: bool) -> None:
    head = "def h(a, b):\n    "
    assert (ast_hash(head + one) == ast_hash(head + two)) is equal


def test_errors_of_the_hash() -> None:
    with pytest.raises(ValueError, match="defines no function"):
        ast_hash("x = 1")
    with pytest.raises(SyntaxError):
        ast_hash("def f(")


def distribution(root: Path, **files: bytes) -> Distribution:
    for name, content in files.items():
        (root / f"{name}.py").write_bytes(content)
    return Distribution("d", "1", "MIT", root, tuple(root / f"{name}.py" for name in files))


GOOD = b"def f(a, b):\n    c = a + b\n    return c * 2\n"


def test_examples_of_files_that_cannot_be_read(tmp_path: Path) -> None:
    found = distribution(
        tmp_path,
        good=GOOD,
        python2=b"def f(a):\n    print 'x'\n    raise E, 'y'\n",
        null=b"x = 1\0",
        latin=b"# -*- coding: latin-1 -*-\n" + "def f(a):\n    b = 'é'\n    return a, b\n".encode("latin-1"),
        broken=b"# -*- coding: utf-8 -*-\nx = '\xff'\n",
        codec=b"# -*- coding: no-such-codec -*-\nx = 1\n",
        deep=b"x = " + b"-" * 100_000 + b"1\n",
        elif_=b"if a:\n    pass\n" + b"elif b:\n    pass\n" * 3_000,
        huge=b"# " + b"x" * 2_000_001,
        bom=b"\xef\xbb\xbf" + GOOD,
        empty=b"",
    )
    gone = tmp_path / "gone.py"
    loop = tmp_path / "loop.py"
    os.symlink(loop, loop)
    found = Distribution("d", "1", "MIT", tmp_path, (*found.files, gone, loop))
    skipped: list[Skipped] = []
    rows = list(functions(found, skipped))
    assert [row.file for row in rows] == ["good.py", "latin.py", "bom.py"]
    assert rows[1].source == "def f(a):\n    b = 'é'\n    return (a, b)"
    assert {each.file: each.reason for each in skipped} == {
        "python2.py": "syntax",
        "null.py": "null-bytes",
        "broken.py": "encoding",
        "codec.py": "encoding",
        "deep.py": "nesting",
        "elif_.py": "nesting",
        "huge.py": "too-large",
        "gone.py": "unreadable",
        "loop.py": "unreadable",
    }


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text("def f(a):\n\t 'é#\\{}[]=+@\x0c", max_size=200).map(str.encode)))
def test_law_any_bytes_are_read_or_skipped_with_a_reason(tmp_path: Path, content: bytes) -> None:
    skipped: list[Skipped] = []
    for row in functions(distribution(tmp_path, any=content), skipped):
        ast.parse(row.masked)
    assert all(each.reason for each in skipped)
    assert len(skipped) <= 1


def test_law_processes_change_nothing(tmp_path: Path) -> None:
    texts = {f"m{number}": GOOD.replace(b"2", b"%d" % number) for number in range(40)}
    found = distribution(tmp_path, **texts, broken=b"def")
    alone: list[Skipped] = []
    together: list[Skipped] = []
    rows = functions_of([found], processes=1, skipped=alone)
    assert functions_of([found], processes=2, skipped=together) == rows
    assert together == alone == [Skipped("d", "broken.py", "", "syntax")]
    assert len(rows) == 40


def test_example_sizes_at_the_edges() -> None:
    # return(1) + list(1) + 598 constants = 600 nodes with FunctionDef and arguments counted: 602 is too many
    def rows(constants: int) -> int:
        return len(from_text(f"def f():\n    return [{', '.join('1' * constants)}]"))

    assert rows(596) == 1
    assert rows(597) == 0
    assert rows(13) == 1  # 15 nodes in the only statement
    assert rows(12) == 0


def test_law_the_documented_size_is_the_one_counted(real: list[Function]) -> None:
    for row in real:
        nodes = [node for node in ast.walk(ast.parse(row.source).body[0]) if not isinstance(node, ast.expr_context)]
        assert 10 <= len(nodes) <= 600


def test_public_documentation_is_there() -> None:
    for each in (from_text, functions, functions_of, ast_hash, Function, Skipped):
        assert inspect.getdoc(each)
