"""Law: an edge is there exactly where Python's own rules of imports, scopes, classes and types put it."""

from __future__ import annotations

import textwrap

import pytest

from corpus import folders, graph, triples


@pytest.fixture
def edges(tmp_path):
    """files -> {relation: {(head, tail)}}."""

    def build(files):
        root = tmp_path / "project"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        built = graph.build([folders.distribution(root)], tmp_path / "graph.jsonl", processes=1)
        found = {}
        for one in triples.read_triples(built.triples):
            found.setdefault(one.relation, set()).add((one.head, one.tail))
        found["unresolved"] = built.summary["unresolved"]
        found["types"] = {one.name: one.type for one in triples.read_entities(built.entities)}
        return found

    return build


def test_imports_in_every_form_lead_to_the_definition(edges):
    found = edges(
        {
            "pkg/__init__.py": "from .core import f as g\nfrom .stars import *\n",
            "pkg/core.py": "def f(): pass\n",
            "pkg/stars.py": "__all__ = ['shown']\ndef shown(): pass\ndef hidden(): pass\n",
            "pkg/deep/__init__.py": "",
            "pkg/deep/low.py": "from .. import g\nfrom ..core import f\ndef a():\n    g()\n    f()\n",
            "use.py": """
                import pkg
                import pkg.core as c
                import pkg.deep.low
                try:
                    from nowhere import f
                except ImportError:
                    from pkg.core import f
                def a():
                    pkg.g()
                    c.f()
                    f()
                def b():
                    pkg.shown()
                    pkg.deep.low.a()
                def d():
                    from pkg.stars import hidden as h
                    h()
                """,
        }
    )
    calls = found["calls"]
    assert {("use.a", "pkg.core.f"), ("pkg.deep.low.a", "pkg.core.f")} <= calls
    assert {("use.b", "pkg.stars.shown"), ("use.b", "pkg.deep.low.a"), ("use.d", "pkg.stars.hidden")} <= calls
    assert ("use.a", "nowhere.f") not in calls
    assert {("pkg", "pkg.core.f"), ("pkg", "pkg.stars"), ("use", "pkg.deep.low"), ("use", "nowhere")} <= found[
        "imports"
    ]
    assert found["types"]["nowhere"] == "Library"


def test_names_mean_what_their_scope_binds(edges):
    found = edges(
        {
            "m.py": """
                def f(): pass
                def outer():
                    def f(): pass
                    return f()
                def shadowed(f):
                    f()
                class C:
                    def f(self): pass
                    def g(self):
                        f()
                def loop(rows):
                    return [f(x) for f in rows for x in f]
                def late():
                    global made
                    made = f
                    made()
                print(len([]))
                """
        }
    )
    calls = found["calls"]
    assert ("m.outer", "m.outer.<locals>.f") in calls
    assert ("m.outer", "m.f") not in calls
    assert {("m.C.g", "m.f"), ("m.late", "m.f"), ("m", "builtins.print"), ("m", "builtins.len")} <= calls
    assert not {("m.shadowed", "m.f"), ("m.loop", "m.f")} & calls
    assert ("m.late", "m.made") in found["writes_to"]
    assert found["unresolved"]["calls"]["parameter of no known type"] == 1


def test_methods_are_found_through_the_class_and_its_bases(edges):
    found = edges(
        {
            "a.py": """
                class Base:
                    def run(self): self.step()
                    def step(self): pass
                    @classmethod
                    def make(cls): return cls()
                    @staticmethod
                    def pure(): pass
                """,
            "b.py": """
                from a import Base
                class Left(Base):
                    def step(self): super().step()
                class Right(Base):
                    def step(self): pass
                class Both(Left, Right):
                    def go(self):
                        self.run()
                        self.step()
                        self.pure()
                        self.absent()
                def use():
                    made = Both.make()
                    made.go()
                """,
        }
    )
    calls = found["calls"]
    assert {("b.Left.step", "a.Base.step"), ("b.Both.go", "a.Base.run"), ("b.Both.go", "b.Left.step")} <= calls
    assert {("b.Both.go", "a.Base.pure"), ("b.use", "a.Base.make"), ("b.use", "b.Both.go")} <= calls
    assert ("b.Both.go", "b.Right.step") not in calls
    assert ("b.Both", "b.Left") in found["inherits_from"]
    assert {("b.Left.step", "a.Base.step"), ("b.Right.step", "a.Base.step")} == found["overrides"]
    assert found["unresolved"]["calls"] == {"no such attribute": 1}


def test_declared_and_assigned_types_name_the_receiver(edges):
    found = edges(
        {
            "m.py": """
                from __future__ import annotations
                from dataclasses import dataclass
                from typing import Optional
                class Engine:
                    def start(self) -> Engine: return self
                    @property
                    def power(self): return 1
                @dataclass
                class Car:
                    engine: Engine
                    spare: "Optional[Engine]" = None
                    def go(self):
                        self.engine.start().start()
                        self.spare.start()
                        return self.engine.power
                class Driver:
                    def __init__(self, car: Car):
                        self.car = car
                        self.own = Engine()
                    async def drive(self, cars: list[Car]):
                        self.car.go()
                        self.own.start()
                        for one in cars:
                            one.go()
                def local(x):
                    engine = Engine()
                    engine.start()
                    if isinstance(x, Car):
                        x.go()
                def text(words: list[str]):
                    return ", ".join(words).upper()
                """
        }
    )
    calls = found["calls"]
    assert {
        ("m.Car.go", "m.Engine.start"),
        ("m.Driver.drive", "m.Car.go"),
        ("m.Driver.drive", "m.Engine.start"),
    } <= calls
    assert {("m.local", "m.Engine.start"), ("m.local", "m.Car.go")} <= calls
    assert {("m.text", "builtins.str.join"), ("m.text", "builtins.str.upper")} <= calls
    assert ("m.Car.go", "m.Engine.power") in found["invokes"]
    assert ("m.Car.go", "m.Engine.power") not in calls
    assert {("m.Car.go", "m.Car.engine"), ("m.Driver.drive", "m.Driver.own")} <= found["reads_from"]
    assert ("m.Driver.__init__", "m.Driver.own") in found["writes_to"]
    assert ("m.Car", "dataclasses.dataclass") in found["annotated_with"]
    assert ("m.Engine.start", "m.Engine") in found["returns"]


def test_what_runs_without_being_named_is_invoked(edges):
    found = edges(
        {
            "m.py": """
                class File:
                    def __init__(self): pass
                    def __enter__(self): return self
                    def __exit__(self, *rest): pass
                    def __iter__(self): return iter([])
                    def __getitem__(self, key): pass
                    def __call__(self): pass
                def f():
                    with File() as file:
                        for line in file:
                            file[0]
                        file()
                """
        }
    )
    names = ("__init__", "__enter__", "__exit__", "__iter__", "__getitem__", "__call__")
    assert {("m.f", f"m.File.{name}") for name in names} == found["invokes"]
    assert ("m.f", "m.File") in found["instantiates"]


def test_types_of_entities_come_from_their_definitions(edges):
    found = edges(
        {
            "m.py": """
                import abc
                from typing import Protocol, TypeVar, Union
                from lib import LibError, Thing
                T = TypeVar("T")
                Alias = Union[int, str]
                LIMIT = 3
                class Oops(LibError): pass
                class Deep(Oops): pass
                class Plain(Thing): pass
                class Shape(abc.ABC):
                    @abc.abstractmethod
                    def area(self): ...
                class Proto(Protocol):
                    def f(self): ...
                class Square(Shape, Proto): pass
                def f():
                    try:
                        raise Deep("x")
                    except (Oops, ValueError) as error:
                        raise error
                """,
            "tests/test_m.py": """
                from m import f, Square
                def helper(): f()
                def test_f():
                    f()
                    Square()
                class TestMore:
                    def test_again(self): f()
                """,
        }
    )
    types = found["types"]
    expected = {
        "m": "Module", "m.T": "Type", "m.Alias": "Type", "m.LIMIT": "Variable", "m.Oops": "ExceptionType",
        "m.Deep": "ExceptionType", "m.Plain": "Class", "m.Shape": "Interface", "m.Proto": "Interface",
        "m.Square": "Class", "m.Shape.area": "Method", "m.f": "Function", "test_m.test_f": "Test",
        "test_m.TestMore.test_again": "Test", "test_m.helper": "Function", "lib.Thing": "API", "lib": "Library",
        "builtins.ValueError": "ExceptionType", "repo:project": "Repository", "file:project/m.py": "File",
    }  # fmt: skip
    assert {name: types.get(name) for name in expected} == expected
    assert {("m.Square", "m.Shape"), ("m.Square", "m.Proto")} == found["implements"]
    assert {("m.f", "m.Deep"), ("m.f", "m.Oops")} <= found["raises"]
    assert {("m.f", "m.Oops"), ("m.f", "builtins.ValueError")} == found["catches"]
    assert {("test_m.test_f", "m.f"), ("test_m.test_f", "m.Square"), ("test_m.TestMore.test_again", "m.f")} == found[
        "tests"
    ]
    assert found["tested_by"] == {(tail, head) for head, tail in found["tests"]}


def test_metadata_give_dependencies_and_targets(edges):
    found = edges(
        {
            "pyproject.toml": """
                [project]
                name = "Mine"
                dependencies = ["Requests>=2", "click"]
                optional-dependencies = { x = ["rich[jupyter]"] }
                scripts = { mine = "mine.cli:main" }
                """,
            "mine/__init__.py": "",
            "mine/cli.py": "def main(): pass\n",
        }
    )
    assert found["depends_on"] == {("repo:mine", f"dist:{name}") for name in ("requests", "click", "rich")}
    assert found["produces"] == {("repo:mine", "target:console_scripts/mine")}
    assert found["invokes"] == {("target:console_scripts/mine", "mine.cli.main")}


def test_a_name_that_is_module_and_definition_makes_two_entities(edges):
    found = edges(
        {
            "pkg/__init__.py": "from .run import run\nclass tool: pass\n",
            "pkg/run.py": "def run(): pass\n",
            "pkg/tool.py": "",
            "use.py": "from pkg import run\nrun()\n",
        }
    )
    assert found["types"]["pkg.tool"] == "Module"
    assert found["types"]["pkg:tool"] == "Class"
    assert ("use", "pkg.run.run") in found["calls"]


def test_what_typing_makes_of_functions_is_named_for_what_it_is(edges):
    found = edges(
        {
            "m.py": """
                from collections import namedtuple
                from typing import Any, NamedTuple, NoReturn, TypeGuard
                import builtins
                class Point(NamedTuple):
                    x: int
                Pair = namedtuple("Pair", "a b")
                def f(x: Any) -> NoReturn: raise x
                def g(x) -> "TypeGuard[int]": return builtins.str(Pair(1, 2)) == _("x")
                _ = print
                def h(): _("y")
                """
        }
    )
    assert found["inherits_from"] == {("m.Point", "builtins.tuple")}
    assert found["types"]["m.Pair"] == "Type"
    assert {("m.g", "m.Pair"), ("m.g", "builtins.str")} <= found["instantiates"]
    assert found["returns"] == {("m.g", "builtins.bool")}
    assert "raises" not in found
    assert ("m.h", "builtins.print") in found["calls"]
    assert ("m.h", "m._") in found["reads_from"]
    assert set(found["types"]) >= {head for head, _ in found["reads_from"]} | {tail for _, tail in found["reads_from"]}


def test_below_a_module_of_the_corpus_nothing_is_outside(edges):
    found = edges(
        {
            "pkg/__init__.py": "import helper as alias\n",
            "pkg/m.py": "def inner(): pass\n",
            "helper.py": "def f(): pass\n",
            "use.py": """
                import pkg.gone, pkg.m.inner, other.part
                import pkg.alias as a
                from pkg.lost import x
                from pkg.alias import f
                def g():
                    a.f()
                    f()
                    x()
                """,
        }
    )
    assert {tail for head, tail in found["imports"] if head == "use"} == {"other.part", "helper", "helper.f"}
    assert found["types"]["pkg.m.inner"] == "Function"
    assert found["calls"] == {("use.g", "helper.f")}
    assert found["unresolved"]["imports"] == {"no such module in the package": 3}
    assert found["unresolved"]["calls"] == {"import that leads nowhere": 1}


def test_circular_imports_and_bases_end(edges):
    found = edges(
        {
            "a.py": "from b import X\nclass Y(X): pass\ndef f(): return g()\ndef g(): return f()\nf().h()\n",
            "b.py": "from a import Y\nfrom c import *\nclass X(Y): pass\n",
            "c.py": "from b import *\nmissing()\n",
        }
    )
    assert {("a.Y", "b.X"), ("b.X", "a.Y")} == found["inherits_from"]
    assert found["unresolved"]["calls"]
