"""Laws of tracing: the edges of small programs are those that a reader finds by hand, and no suite escapes its limits.

All programs run once, in one process; each test looks at one of them.
"""

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from corpus import tracing
from corpus.distributions import Distribution
from corpus.errors import CorpusError
from corpus.tracing import Limits, Trace

Edges = set[tuple[str, str, bool]]

# name -> (program, expected edges (caller, callee, by a call expression), all names inside the module)
PROGRAMS: dict[str, tuple[str, Edges]] = {
    "plain": (
        """
        def f(): return g() + g()
        def g(): return 1
        def never(): return g()
        f()
        """,
        {("f", "g", True)},
    ),
    "wrapped": (
        """
        import functools
        def log(text): pass
        def traced(function):
            @functools.wraps(function)
            def wrapper(*args):
                log(function.__name__)
                return function(*args)
            return wrapper
        @traced
        def g(): return 1
        alias = g
        def f(): return g()
        def by_another_name(): return alias()
        f(); by_another_name()
        """,
        {("f", "g", True), ("by_another_name", "g", True), ("traced.<locals>.wrapper", "log", True)},
    ),
    "wrapped_with_arguments": (
        """
        def repeat(times):
            def decorate(function):
                def again(*args):
                    for _ in range(times):
                        result = function(*args)
                    return result
                return again
            return decorate
        class C:
            @repeat(2)
            def m(self): return self.n()
            def n(self): return 1
        def f(): return C().m()
        f()
        """,
        {("f", "C.m", True), ("C.m", "C.n", True)},
    ),
    "wrapped_by_an_object": (
        """
        class Dispatch:
            def __init__(self, function): self.function = function
            def __call__(self, *args): return self.function(*self.checked(args))
            def checked(self, args): return args
        @Dispatch
        def g(): return 1
        def f(): return g()
        f()
        """,
        {("f", "g", True), ("Dispatch.__call__", "Dispatch.checked", True)},
    ),
    "delegation": (
        """
        class Inner:
            def process(self): return 1
        class Outer:
            def __init__(self): self.inner = Inner()
            def process(self): return self.inner.process()
        def f(outer): return outer.process()
        f(Outer())
        """,
        {("f", "Outer.process", True), ("Outer.process", "Inner.process", True)},
    ),
    "generators": (
        """
        def numbers(): yield 1
        def make(): return numbers()
        def use(): return list(make())
        def loop():
            for number in numbers(): pass
        def unused(): return numbers()
        use(); loop(); unused()
        """,
        {("make", "numbers", True), ("use", "make", True), ("loop", "numbers", True), ("unused", "numbers", True)},
    ),
    "coroutines": (
        """
        import asyncio
        async def child(): return 1
        async def parent(): return await child()
        def f(): return asyncio.run(parent())
        f()
        """,
        {("parent", "child", True), ("f", "parent", True)},
    ),
    "contexts": (
        """
        import contextlib
        @contextlib.contextmanager
        def opened(): yield 1
        class Lock:
            def __enter__(self): pass
            def __exit__(self, *_): pass
        def f():
            with opened(): pass
        def g():
            with Lock(): pass
        f(); g()
        """,
        {("f", "opened", True), ("g", "Lock.__enter__", False), ("g", "Lock.__exit__", False)},
    ),
    "protocols": (
        """
        class C:
            def __add__(self, other): return 1
            def __getitem__(self, key): return key
            def __iter__(self): return iter(())
            def __str__(self): return "c"
            @property
            def value(self): return 1
        def f(c):
            for _ in c: pass
            return c + c, c[0], c.value, str(c)
        f(C())
        """,
        {("f", f"C.{name}", False) for name in ("__add__", "__getitem__", "__iter__", "value", "__str__")},
    ),
    "instances": (
        """
        class A:
            def __init__(self): self.set()
            def set(self): pass
            def run(self): return 1
        class B(A):
            def run(self): return super().run()
            @classmethod
            def make(cls): return cls()
            @staticmethod
            def count(): return B.make()
        def f(): return B().run(), B.count()
        f()
        """,
        {("f", "A.__init__", True), ("A.__init__", "A.set", True), ("f", "B.run", True), ("B.run", "A.run", True),
         ("B.make", "A.__init__", True), ("B.count", "B.make", True), ("f", "B.count", True)},
    ),
    "callbacks": (
        """
        import functools
        def key(x): return x
        def add(x, y): return x + y
        def f(xs):
            xs.sort(key=key)
            return functools.reduce(add, xs)
        def g(xs): return list(map(key, xs))
        def apply(function, x): return function(x)
        def h(): return apply(key, 1)
        f([2, 1]); g([1]); h()
        """,
        {("f", "key", False), ("f", "add", False), ("g", "key", False), ("h", "apply", True), ("apply", "key", True)},
    ),
    "folded": (
        """
        def g(x): return x
        def f(xs): return [g(x) for x in xs], {g(x): 1 for x in xs}, all(g(x) for x in xs)
        def h(): return (lambda: g(1))()
        def outer():
            def inner(): return g(1)
            return inner()
        f([1]); h(); outer()
        """,
        {("f", "g", True), ("h", "g", True), ("outer", "outer.<locals>.inner", True),
         ("outer.<locals>.inner", "g", True)},
    ),
    "tables": (
        """
        def g(): return 1
        TABLE = {"g": g}
        def f(key): return TABLE[key]()
        def again(n): return again(n - 1) if n else 0
        f("g"); again(2)
        """,
        {("f", "g", True), ("again", "again", True)},
    ),
    "threads": (
        """
        import threading
        def g(): return 1
        def work(): return g()
        def f():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        f()
        """,
        {("work", "g", True)},
    ),
    "generated": (
        """
        import dataclasses
        @dataclasses.dataclass
        class D:
            n: int = 1
            def __post_init__(self): self.check()
            def check(self): pass
        def check(x): return x
        def compiled(function):
            space = {"check": check, "function": function}
            exec("def wrapper(*args):\\n    check(1)\\n    return function(*args)", space)
            return space["wrapper"]
        @compiled
        def g(): return D()
        def f(): return g()
        f()
        """,
        {("f", "g", True), ("g", "D.__post_init__", True), ("D.__post_init__", "D.check", True)},
    ),
    "signatures": (
        """
        import inspect
        def lazily(a, b=2, *, c=3):
            yield a + b + c
        def f(): return list(lazily(1)), lazily.__defaults__, list(inspect.signature(lazily).parameters)
        assert f() == ([6], (2,), ["a", "b", "c"]), f()
        """,
        {("f", "lazily", True)},
    ),
}  # fmt: skip

LINES = """
def f(x):
    if x:
        return [
            g(y)
            for y in (1,)
        ]
    else:
        return g(2)
def g(y):
    return y
f(1)
"""


def distribution(root: Path, modules: dict[str, str], name: str = "shop") -> Distribution:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))
    files = tuple(sorted(path for path in folder.glob("*.py") if not path.name.startswith("test_")))
    return Distribution(name, "1.0", "MIT", root, files)


def interpreters() -> list[str]:
    """This Python, and one with `sys.monitoring` where the machine has one."""
    found = [sys.executable]
    for name in ("python3.12", "python3.13", "python3.14"):
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            found.append(path)
            break
    return found


@pytest.fixture(scope="module", params=interpreters(), ids=lambda path: Path(path).name)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    modules = {name: program for name, (program, _) in PROGRAMS.items()} | {"lines": LINES}
    shop = distribution(tmp_path_factory.mktemp("shop"), modules)
    return tracing.trace(shop, [f"shop.{name}" for name in modules], python=request.param, script=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_edges_are_those_found_by_hand(traced: Trace, name: str) -> None:
    prefix = f"shop.{name}."
    found = {
        (edge.caller.removeprefix(prefix), edge.callee.removeprefix(prefix), edge.is_call)
        for edge in traced.edges
        if edge.file == f"shop/{name}.py"
    }
    assert found == PROGRAMS[name][1]


def test_an_edge_stands_where_its_call_stands(traced: Trace) -> None:
    program = textwrap.dedent(PROGRAMS["plain"][0]).splitlines()
    spans = [edge.span for edge in traced.edges if edge.file == "shop/plain.py"]
    assert [program[line - 1][start:end] for line, start, _, end in spans] == ["g()", "g()"]
    assert len({span[1] for span in spans}) == 2


def test_functions_and_lines_are_those_that_ran(traced: Trace) -> None:
    lines = traced.lines()
    assert lines["shop.lines.g"] == {10, 11} - {10}
    assert {3, 5} <= lines["shop.lines.f"] <= {3, 4, 5, 6}
    assert "shop.plain.never" not in lines
    assert traced.adjacency()["shop.plain.f"] == ["shop.plain.g"]
    assert traced.adjacency()["shop.plain.g"] == []
    assert traced.adjacency()["shop.callbacks.f"] == []
    assert traced.adjacency(calls_only=False)["shop.callbacks.f"] == ["shop.callbacks.add", "shop.callbacks.key"]
    by_name = {each.name: each for each in traced.functions}
    assert (by_name["shop.lines.g"].file, by_name["shop.lines.g"].line) == ("shop/lines.py", 10)


SUITE = """
import pytest
from suite.core import f
def test_passes(): assert f() == 1
def test_fails(): assert f() == 2
@pytest.mark.skip
def test_not_now(): pass
"""


def test_a_pytest_suite_is_run_and_its_outcomes_counted(tmp_path: Path) -> None:
    suite = distribution(
        tmp_path, {"core": "def f(): return g()\ndef g(): return 1\n", "test_core": SUITE}, name="suite"
    )
    found = tracing.trace(suite, ["suite.test_core"])
    assert found.outcomes == {"passed": 1, "failed": 1, "skipped": 1}
    assert found.adjacency() == {"suite.core.f": ["suite.core.g"], "suite.core.g": []}  # no test among them
    assert found.describe() == (
        "suite 1.0: 1 passed, 1 failed, 1 skipped; 2 functions executed, 1 sites with an edge, "
        "1 of them call expressions"
    )
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("program", "limits", "message"),
    [
        ("while True: pass", Limits(cpu_s=1), r"was killed \(limits: 1 s of processor time"),
        ("import time\ntime.sleep(60)", Limits(wall_s=1), "took more than 1 s; name fewer test modules"),
        ("x = bytearray(3 << 30)", Limits(memory=2 << 30), "ended with status 1: MemoryError"),
        ("open('big', 'wb').write(bytes(2 << 20))", Limits(file=1 << 20), "File too large|SIGXFSZ|status -25"),
        ("import os\nos._exit(0)", Limits(), "ended with status 0: it said nothing"),
        ("1 / 0", Limits(), "ended with status 1: ZeroDivisionError"),
    ],
)
def test_a_run_that_breaks_is_an_error_and_not_an_empty_truth(
    tmp_path: Path, program: str, limits: Limits, message: str
) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        tracing.trace(distribution(tmp_path, {"bad": program}), ["shop.bad"], limits=limits, script=True)
    assert str(caught.value).startswith('distribution "shop": tracing its tests')


def test_a_suite_without_a_passing_test_is_an_error(tmp_path: Path) -> None:
    shop = distribution(tmp_path, {"core": "", "test_core": "def test(): assert False\n"})
    with pytest.raises(CorpusError, match=r"no test passed \(1 failed in .*are shop.test_core its test modules"):
        tracing.trace(shop, ["shop.test_core"])
    with pytest.raises(CorpusError, match="no test passed"):
        tracing.trace(shop, ["shop.test_none"])
    with pytest.raises(CorpusError, match="no test module is named"):
        tracing.trace(shop, [])


def test_children_of_a_suite_do_not_outlive_it(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(1); pathlib.Path({str(mark)!r}).write_text('')"
    shop = distribution(
        tmp_path, {"core": f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {child!r}])"}
    )
    tracing.trace(shop, ["shop.core"], script=True)
    subprocess.run([sys.executable, "-c", "import time; time.sleep(1.5)"], check=True)
    assert not mark.exists()


def test_a_trace_is_kept_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = distribution(tmp_path / "site", {"core": "def f(): return g()\ndef g(): return 1\nf()\n", "other": ""})
    cache = tmp_path / "cache"
    first = tracing.trace(shop, ["shop.core"], cache=cache, script=True)
    runs: list[str] = []
    real = tracing._run
    monkeypatch.setattr(tracing, "_run", lambda *args: runs.append("") or real(*args))
    assert tracing.trace(shop, ["shop.core"], cache=cache, script=True) == first
    assert not runs
    (kept,) = (cache / "traces").iterdir()
    kept.write_text(kept.read_text()[:-9])  # damaged: run again, and repaired
    assert tracing.trace(shop, ["shop.core"], cache=cache, script=True) == first
    assert len(runs) == 1
    (tmp_path / "site" / "shop" / "other.py").write_text("# edited\n")
    tracing.trace(shop, ["shop.core"], cache=cache, script=True)
    assert len(runs) == 2
