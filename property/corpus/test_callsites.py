"""Laws of call sites: every call expression is told once, with what the graph's edges say of it."""

import ast
import textwrap
from pathlib import Path

from corpus import callgraph
from corpus.distributions import Distribution

PROGRAM = """
    import json
    class A:
        def __init__(self): self.run()
        def run(self): return helper(json.dumps(1))
    class B(A): pass
    class Plain: pass
    def helper(x):
        return [B() for _ in x], unknown(x), Plain()
    def outer():
        def inner(): return helper(1)
        return inner() or (lambda: helper(2))()
    outer()
"""


def sites(tmp_path: Path) -> list[callgraph.Site]:
    (tmp_path / "m.py").write_text(textwrap.dedent(PROGRAM))
    return list(callgraph.sites([Distribution("d", "1", "MIT", tmp_path, (tmp_path / "m.py",))]))


def test_every_call_expression_is_a_site_at_its_place(tmp_path: Path) -> None:
    found = sites(tmp_path)
    tree = ast.parse(textwrap.dedent(PROGRAM))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert sorted(site.span for site in found) == sorted(
        (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) for node in calls
    )
    assert {site.file for site in found} == {"m.py"}


def test_sites_of_some_files_are_those_among_all(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    (tmp_path / "b.py").write_text("from a import f\ndef g(): f()\n")
    (tmp_path / "c.py").write_text("from b import g\ng()\n")
    one = Distribution("d", "1", "MIT", tmp_path, tuple(tmp_path / f"{name}.py" for name in "abc"))
    every = list(callgraph.sites([one]))
    assert [site.callees for site in every] == [("a.f",), ("b.g",)]
    for file in ("a.py", "b.py", "c.py"):
        assert list(callgraph.sites([one], {file})) == [site for site in every if site.file == file]
    assert list(callgraph.sites([one], ())) == []


def test_sites_say_whom_they_call(tmp_path: Path) -> None:
    known = {(site.caller, site.callees, site.classes) for site in sites(tmp_path)}
    assert known == {
        ("m.A.__init__", ("m.A.run",), ()),
        ("m.A.run", ("m.helper",), ()),
        ("m.A.run", ("json.dumps",), ()),
        ("m.helper", ("m.A.__init__",), ("m.B",)),  # in a comprehension, and by an inherited constructor
        ("m.helper", (), ()),
        ("m.helper", (), ("m.Plain",)),
        ("m.outer.<locals>.inner", ("m.helper",), ()),
        ("m.outer", ("m.outer.<locals>.inner",), ()),
        ("m.outer", (), ()),  # the lambda itself
        ("m.outer", ("m.helper",), ()),  # in the lambda
        ("m", ("m.outer",), ()),
    }
