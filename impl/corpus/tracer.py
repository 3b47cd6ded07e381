"""Runs a test suite and writes down who called whom: the child process of `corpus.tracing`, standard library only.

It is started as a script with the path of a JSON request. It must never import the package it lies in, and must
leave what it observes as it is, except that calls of generator functions and coroutines are noted when they are made:
the interpreter reports only that their bodies start, later and elsewhere.
"""

import ast
import builtins
import contextlib
import dis
import functools
import importlib.machinery
import inspect
import json
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

CALLS: Final = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX", "PRECALL"})
HOOK: Final = "__corpus_created__"

# Frames of these say nothing about who wanted the call: they hand it on.
_FORWARDERS: Final = frozenset({contextlib.__file__, functools.__file__})
_BUILTIN_TYPES: Final = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))
_C_CALLABLES: Final = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)
_DEEPEST: Final = 40  # frames looked at above a call; wrappers are few
Span = tuple[int, int, int, int]
_NOWHERE: Final = (0, 0, 0, 0)
_LAZY: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Site(NamedTuple):
    """The instruction at which a frame stands: where in the source, whether a call, of which name.

    `identifier` is the last part of what is called; `is_name` where that is all of it.
    """

    span: Span
    is_call: bool
    identifier: str | None
    is_name: bool

    @property
    def makes_builtin(self) -> bool:
        """Whether the call makes a list, a set, ...: what it calls meanwhile is no callee of the expression."""
        return self.is_name and self.identifier in _BUILTIN_TYPES


class Source:
    """One file of the distribution: its call expressions by their end, its wrappers by name and line.

    The tree itself is let go: a suite that collects garbage would walk it each time.
    """

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
        self.calls: dict[tuple[int, int], tuple[str | None, bool]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self.calls[node.end_lineno or 0, node.end_col_offset or 0] = _identifier(node.func)
        self.wrappers = dict(_wrappers(tree, ()))


def _identifier(function: ast.expr) -> tuple[str | None, bool]:
    if isinstance(function, ast.Name):
        return function.id, True
    return (function.attr, False) if isinstance(function, ast.Attribute) else (None, False)


def _wrappers(
    node: ast.AST, enclosing: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]
) -> Iterator[tuple[tuple[str, int], frozenset[str]]]:
    """(name, first line) of each function that wraps another, with the names by which it calls that one.

    A wrapper is a function that an enclosing function returns and that calls a parameter of an enclosing function.
    """
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _wrappers(child, enclosing if not isinstance(child, ast.ClassDef) else ())
            continue
        if enclosing and child.name in _returned(enclosing[-1]):
            own = _parameters(child)
            given = {name for outer in enclosing for name in _parameters(outer)} - own
            called = {n.func.id for n in ast.walk(child) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
            if given & called:
                first = min([child.lineno, *(each.lineno for each in child.decorator_list)])
                yield (child.name, first), frozenset(given & called)
        yield from _wrappers(child, (*enclosing, child))


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}


def _returned(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names in the return statements of a function's own body."""
    found: set[str] = set()
    pending: list[ast.AST] = list(node.body)
    while pending:
        each = pending.pop()
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(each, ast.Return) and each.value is not None:
            found |= {name.id for name in ast.walk(each.value) if isinstance(name, ast.Name)}
        pending.extend(ast.iter_child_nodes(each))
    return found


class Code:
    """What is known of one code object of the distribution."""

    def __init__(self, code: types.CodeType, source: Callable[[], Source]) -> None:
        self.code = code
        self.name = code.co_name
        self.qualname = _folded(code.co_qualname)
        self.is_function = bool(code.co_flags & inspect.CO_OPTIMIZED) and not self.name.startswith("<")
        self.started = False
        self.lines: set[int] = set()
        self.missing = {line for _, _, line in code.co_lines() if line} - {code.co_firstlineno}
        self._source = source
        self._sites: dict[int, Site] = {}

    @functools.cached_property
    def wraps(self) -> frozenset[str]:
        """The names by which a wrapper calls what it wraps; empty for any other function."""
        if not self.is_function or "<locals>" not in self.qualname:
            return frozenset()
        return self._source().wrappers.get((self.name, self.code.co_firstlineno), frozenset())

    @functools.cached_property
    def _instructions(self) -> list[tuple[str, Span]]:
        """Operation and place for every unit of the bytecode; caches belong to the operation before them."""
        found: list[tuple[str, Span]] = []
        name = ""
        for instruction in dis.get_instructions(self.code, show_caches=True):
            name = name if instruction.opname == "CACHE" else instruction.opname
            place = instruction.positions or dis.Positions()
            span = (place.lineno or 0, place.col_offset or 0, place.end_lineno or 0, place.end_col_offset or 0)
            while len(found) < instruction.offset // 2:
                found.append(found[-1])
            found.append((name, span))
        return found

    def site(self, lasti: int) -> Site:
        """Where a frame of this code stands, by its last instruction."""
        found = self._sites.get(lasti)
        if found is None:
            unit = lasti // 2
            name, span = self._instructions[unit] if 0 <= unit < len(self._instructions) else ("", _NOWHERE)
            call = self._source().calls.get(span[2:]) if name in CALLS else None
            found = self._sites[lasti] = Site(span, call is not None, *(call or (None, False)))
        return found

    def ran(self, line: int) -> bool:
        """Note a line; whether others are left to see."""
        self.lines.add(line)
        self.missing.discard(line)
        return bool(self.missing)


def _folded(qualname: str) -> str:
    """Lambdas and comprehensions belong to the function they stand in: `f.<locals>.<genexpr>` -> `f`."""
    while (last := qualname.rpartition(".")[2]).startswith("<") and last != qualname:
        qualname = qualname[: -len(last) - 1].removesuffix(".<locals>")
    return qualname


class Recorder:
    """Who called whom, by qualified name; only functions of the distribution's own files."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files  # absolute path -> module
        self.sources: dict[str, Source] = {}
        self.codes: dict[int, Code | None] = {}
        self.foreign: list[types.CodeType] = []  # kept alive, so that no id comes twice
        self.edges: dict[tuple[str, str, str, Span], bool] = {}
        self.collapsed: set[tuple[str, str, str, Span]] = set()
        self.forwarding: dict[str, set[Span]] = {}  # function -> sites that only hand a call on
        self.settled: set[tuple[int, int, int, bool]] = set()
        self.local = threading.local()

    # -- what the interpreter reports

    def known(self, code: types.CodeType) -> Code | None:
        """The record of a code object; None for foreign code."""
        try:
            return self.codes[id(code)]
        except KeyError:
            pass
        found = None
        if code.co_filename in self.files:
            found = Code(code, functools.partial(self._source, code.co_filename))
        else:
            self.foreign.append(code)
        self.codes[id(code)] = found
        return found

    def start(self, frame: types.FrameType) -> None:
        """A function's body starts (a generator's: at every resumption)."""
        callee = self.known(frame.f_code)
        if callee is None:
            return
        callee.started = True
        if callee.is_function and not frame.f_code.co_flags & _LAZY:
            self.called(callee, frame)

    def called(self, callee: Code, frame: types.FrameType) -> None:
        """`callee` was called; `frame` is its own, or one that only hands the call on."""
        above = frame.f_back
        if above is None or callee.wraps:
            return
        in_c = self.c_calls[-1:] == [id(above)]
        key = (id(callee.code), id(above.f_code), above.f_lasti, in_c)
        if key not in self.settled and self._resolve(callee, frame, in_c):
            self.settled.add(key)

    @property
    def c_calls(self) -> list[int]:
        """Frames of this thread that are inside a function written in C, outermost first."""
        try:
            return self.local.stack  # type: ignore[no-any-return]
        except AttributeError:
            self.local.stack = []
            return self.local.stack  # type: ignore[no-any-return]

    # -- who wanted the call

    def _resolve(self, callee: Code, frame: types.FrameType, in_c: bool) -> bool:
        """Add the edge; whether the frame right above decides it, whatever is further up.

        The caller is the nearest frame of the distribution whose call expression names the callee, past frames that
        such an expression reached under another name (wrappers); else the nearest frame that is no wrapper.
        """
        nearest: tuple[Code, Site] | None = None
        between: list[tuple[Code, Site]] = []
        below = frame.f_code.co_name
        above = frame.f_back
        direct, generated = True, False
        for _ in range(_DEEPEST):
            if above is None:
                break
            caller = self.known(above.f_code)
            if caller is None:
                if not _forwards(above.f_code):
                    break
                # what generated code does for itself is not its caller's wish, but for __init__ and its kind
                generated = generated or (_is_generated(above.f_code) and not callee.name.startswith("__"))
            else:
                site = caller.site(above.f_lasti)
                named = site.is_call and site.identifier == callee.name
                if named and (direct or below != callee.name):
                    self._add(caller, callee, site, True, between)
                    return direct
                if not direct and site.identifier == below:
                    break  # a call under its proper name: what it does is its own affair
                if not self._hands_on(caller, site):
                    nearest = nearest or (caller, site)
                    if caller.name.startswith("__") and caller.name != "__call__":
                        break
                between.append((caller, site))
            below, direct = above.f_code.co_name, False
            above = above.f_back
        if nearest is not None and not generated:
            caller, site = nearest
            self._add(caller, callee, site, site.is_call and not site.makes_builtin and not in_c, [])
        return False

    def _add(self, caller: Code, callee: Code, site: Site, is_call: bool, between: Sequence[tuple[Code, Site]]) -> None:
        if not self._is_entity(caller):
            return
        place = (self._name(caller), caller.code.co_filename, site.span)
        key = (place[0], self._name(callee), *place[1:])
        self.edges[key] = self.edges.get(key, False) or is_call
        for wrapper, inner in between:
            self.collapsed.add((place[0], self._name(wrapper), *place[1:]))
            self.forwarding.setdefault(self._name(wrapper), set()).add(inner.span)

    def _hands_on(self, code: Code, site: Site) -> bool:
        """Whether the call at the site is the one that a wrapper exists for."""
        if site.is_name and site.identifier in code.wraps:
            return True
        return site.span in self.forwarding.get(self._name(code), ())

    def _is_entity(self, code: Code) -> bool:
        """Whether the code, with what it is folded into, is a function: not a module's or a class's body."""
        if code.is_function:
            return True
        return code.name.startswith("<") and code.name != "<module>" and ".<locals>" in code.code.co_qualname

    def _name(self, code: Code) -> str:
        return f"{self.files[code.code.co_filename]}.{code.qualname}"

    def _source(self, path: str) -> Source:
        if path not in self.sources:
            self.sources[path] = Source(path)
        return self.sources[path]

    # -- what is written

    def functions(self) -> list[dict[str, Any]]:
        """Executed functions with the lines that ran, those of their lambdas and comprehensions included."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for code in self.codes.values():
            if code is None or not code.started or not self._is_entity(code):
                continue
            key = (self._name(code), code.code.co_filename)
            row = found.setdefault(key, {"name": key[0], "file": key[1], "line": 0, "lines": set()})
            row["lines"] |= code.lines
            if code.is_function:
                row["line"] = code.code.co_firstlineno
        return [{**row, "lines": sorted(row["lines"])} for _, row in sorted(found.items()) if row["line"]]

    def calls(self) -> list[dict[str, Any]]:
        """Edges; those that lead to a wrapper, or from where it hands the call on, are left out."""
        kept = {
            edge: is_call
            for edge, is_call in self.edges.items()
            if edge not in self.collapsed and edge[3] not in self.forwarding.get(edge[0], ())
        }
        reached = {(caller, span) for caller, callee, _, span in kept if callee not in self.forwarding}
        return [
            {"caller": caller, "callee": callee, "file": file, "span": span, "is_call": is_call}
            for (caller, callee, file, span), is_call in sorted(kept.items())
            if callee not in self.forwarding or (caller, span) not in reached
        ]


def _forwards(code: types.CodeType) -> bool:
    """Generated code and forwarding modules."""
    return code.co_filename in _FORWARDERS or code.co_filename == __file__ or _is_generated(code)


def _is_generated(code: types.CodeType) -> bool:
    """Compiled from a text (dataclasses, decorators that compile); never the import system."""
    return code.co_filename.startswith("<") and not code.co_filename.startswith("<frozen")


# -- the two observers -----------------------------------------------------------------------------


class Profile:
    """Python 3.11: `sys.setprofile` for calls, `sys.settrace` for lines."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __enter__(self) -> None:
        threading.setprofile(self._event)
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        sys.setprofile(self._event)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        sys.settrace(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        threading.settrace(None)  # type: ignore[arg-type]

    def _event(self, frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            self.recorder.start(frame)
        elif event == "c_call":
            if self.recorder.known(frame.f_code) is not None:
                self.recorder.c_calls.append(id(frame))
        elif event in ("c_return", "c_exception") and self.recorder.c_calls[-1:] == [id(frame)]:
            self.recorder.c_calls.pop()

    def _trace(self, frame: types.FrameType, _: str, __: object) -> Callable[..., Any] | None:
        code = self.recorder.known(frame.f_code)
        if code is None or not code.missing:
            return None

        def line(frame: types.FrameType, event: str, _: object) -> Callable[..., Any] | None:
            if event == "line" and not code.ran(frame.f_lineno):
                return None
            return line

        return line


class Monitoring:
    """Python 3.12 and later: `sys.monitoring`, which switches itself off where there is nothing left to see."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        self.tool = self.monitoring.PROFILER_ID

    def __enter__(self) -> None:
        events = self.monitoring.events
        self.monitoring.use_tool_id(self.tool, "corpus")
        for event, callback in (
            (events.PY_START, self._start),
            (events.LINE, self._line),
            (events.CALL, self._call),
            (events.C_RETURN, self._returned),
            (events.C_RAISE, self._returned),
        ):
            self.monitoring.register_callback(self.tool, event, callback)
        self.monitoring.set_events(self.tool, events.PY_START | events.LINE | events.CALL)

    def __exit__(self, *_: object) -> None:
        self.monitoring.set_events(self.tool, 0)
        self.monitoring.free_tool_id(self.tool)

    def _start(self, code: types.CodeType, _: int) -> Any:
        if self.recorder.known(code) is None:
            return self.monitoring.DISABLE
        self.recorder.start(sys._getframe(1))
        return None

    def _line(self, code: types.CodeType, line: int) -> Any:
        known = self.recorder.known(code)
        if known is not None:
            known.ran(line)
        return self.monitoring.DISABLE

    def _call(self, code: types.CodeType, _: int, function: object, __: object) -> Any:
        if self.recorder.known(code) is None:
            return self.monitoring.DISABLE
        if isinstance(function, _C_CALLABLES):
            self.recorder.c_calls.append(id(sys._getframe(1)))
        return None

    def _returned(self, code: types.CodeType, _: int, function: object, __: object) -> None:
        if isinstance(function, _C_CALLABLES) and self.recorder.c_calls[-1:] == [id(sys._getframe(1))]:
            self.recorder.c_calls.pop()


# -- generators and coroutines ---------------------------------------------------------------------


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """Compiling is no part of the suite, and many times slower under observation."""
    profile, trace = sys.getprofile(), sys.gettrace()
    sys.setprofile(None)
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)


class _Marker(ast.NodeTransformer):
    """Gives every function with a lazy body the innermost decorator that notes its calls."""

    def _visit(self, node: Any) -> Any:
        self.generic_visit(node)
        if isinstance(node, ast.AsyncFunctionDef) or _yields(node):
            name = ast.Name(HOOK, ast.Load())
            node.decorator_list.append(ast.copy_location(name, node.body[0]))
            # the line of a decorator is the function's first: it may not move
            name.lineno = name.end_lineno = node.decorator_list[0].lineno if node.decorator_list[1:] else node.lineno
            name.col_offset = name.end_col_offset = node.col_offset
        return node

    visit_FunctionDef = _visit  # noqa: N815
    visit_AsyncFunctionDef = _visit  # noqa: N815


def _yields(node: ast.FunctionDef) -> bool:
    pending: list[ast.AST] = list(node.body)
    while pending:
        each = pending.pop()
        if isinstance(each, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(each))
    return False


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles a file of the distribution with its calls of lazy functions noted; no cached bytecode is involved."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        with unobserved():
            return self.source_to_code(self.get_data(path), path)

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> types.CodeType:
        return compile(_Marker().visit(ast.parse(data)), path, "exec", dont_inherit=True, optimize=_optimize)  # type: ignore[no-any-return]


class Finder:
    """Puts `_Loader` in front of the files of the distribution."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin not in self.files:
            return None
        if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(name, spec.origin)
        return spec


def note_creation(recorder: Recorder) -> Callable[[Any], Any]:
    """The decorator behind `HOOK`."""

    def mark(function: Any) -> Any:
        code = recorder.known(function.__code__)
        if code is None:
            return function

        @functools.wraps(function)
        def created(*arguments: Any, **keywords: Any) -> Any:
            recorder.called(code, sys._getframe(0))
            return function(*arguments, **keywords)

        created.__defaults__, created.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
        return created

    return mark


# -- the run ---------------------------------------------------------------------------------------


class Outcomes:
    """A pytest plugin that counts what became of the tests."""

    def __init__(self) -> None:
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1


def main(request: str) -> int:
    with open(request, encoding="utf-8") as file:
        asked = json.load(file)
    files: dict[str, str] = asked["files"]
    recorder = Recorder(files)
    setattr(builtins, HOOK, note_creation(recorder))
    sys.meta_path.insert(0, Finder(files))  # type: ignore[arg-type]
    sys.path[:0] = asked["path"]
    outcomes = Outcomes()
    observer = (Monitoring if sys.version_info >= (3, 12) else Profile)(recorder)
    run = _script if asked["script"] else _pytest
    with observer:
        status = run(asked["arguments"], outcomes)
    found = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "status": status,
        "outcomes": outcomes.counts,
        "functions": recorder.functions(),
        "edges": recorder.calls(),
    }
    draft = f"{asked['output']}.draft"
    with open(draft, "w", encoding="utf-8") as out:
        json.dump(found, out)
    os.replace(draft, asked["output"])
    return 0


def _pytest(arguments: list[str], outcomes: Outcomes) -> int:
    import pytest

    return int(pytest.main(arguments, plugins=[outcomes]))


def _script(arguments: list[str], outcomes: Outcomes) -> int:
    """Import modules one after the other: a suite that needs no runner."""
    for module in arguments:
        importlib.import_module(module)
        outcomes.counts["passed"] += 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
