"""A parsed Python file, indexed once: nodes by type, parents, import aliases, and per scope who assigns and reads what.

Names are text: `self.scaler`, `args.lr`. Nothing here knows a rule.
"""

from __future__ import annotations

import ast
import functools
import operator
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar, overload

from assay.lint.source import Source
from assay.lint.vocabulary import listed

Function = ast.FunctionDef | ast.AsyncFunctionDef
A = TypeVar("A", bound=ast.AST)
B = TypeVar("B", bound=ast.AST)
C = TypeVar("C", bound=ast.AST)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_VALUES = listed("identifier int string constant object bool expr_context operator unaryop boolop cmpop type_ignore")
"""Types of fields that hold no node of their own: texts, numbers, and the marks that all nodes share."""
_TEST = re.compile(
    r"(^|/)(tests?|testing|unittests?|acceptance|property|benchmarks?|fixtures?)(/|$)"
    r"|(^|/)(test_[^/]*|[^/]*_test|conftest|testing_utils|[^/]*_checks|benchmark_[^/]*)\.(py|ipynb)$",
    re.IGNORECASE,
)


_PLACE = operator.attrgetter("lineno", "col_offset")
_ADDERS = frozenset({"append", "extend", "add", "update", "insert", "setdefault"})


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a kind of node that may hold nodes, by the signature in its docstring: Name(identifier id, ...)."""
    signature = (kind.__doc__ or "").partition("(")[2]
    types = {name: of.rstrip("*?") for of, name in re.findall(r"(\w+[*?]?) (\w+)[,)]", signature)}
    return tuple(name for name in kind._fields if types.get(name) not in _VALUES)


_FIELDS = {kind: _fields(kind) for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)}
_INNER = {
    kind: () if kind in (*_FUNCTIONS, ast.Lambda) else tuple(reversed(fields)) for kind, fields in _FIELDS.items()
}
"""The same for a walk that stays in one scope, last field first."""


class Module:
    """One file of Python.

    Attributes:
        source: the file.
        tree: its syntax tree; every node but the root has a `parent`.
        aliases: local name -> dotted name that was imported.
        origins: local name -> the module that it was imported from, relative ones with their dots.
    """

    def __init__(self, source: Source, tree: ast.Module) -> None:
        self.source = source
        self.tree = tree
        self._nodes: dict[type[ast.AST], list[ast.AST]] = _index(tree)
        self._sorted: dict[tuple[type[ast.AST], ...], list[Any]] = {}
        self.origins: dict[str, str] = {}
        self.aliases = self._imports()
        self._dotted: dict[str, str] = {}
        self._scopes: dict[ast.AST, Scope] = {}

    def close(self) -> None:
        """Empty what holds other nodes: a tree without cycles is gone with its last reader, and nobody collects it."""
        for kind, nodes in self._nodes.items():
            if _FIELDS[kind]:
                for node in nodes:
                    node.__dict__.clear()

    @property
    def path(self) -> str:
        """As it is reported."""
        return self.source.path

    @functools.cached_property
    def is_test(self) -> bool:
        """Does the path say that this is a test, a benchmark or their equipment?"""
        return bool(_TEST.search(self.path))

    @functools.cached_property
    def is_test_file(self) -> bool:
        """Would pytest collect the file?"""
        name = self.path.rpartition("/")[2]
        return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))

    @overload
    def nodes(self, kind: type[A], /) -> list[A]: ...
    @overload
    def nodes(self, kind: type[A], other: type[B], /) -> list[A | B]: ...
    @overload
    def nodes(self, kind: type[A], other: type[B], third: type[C], /) -> list[A | B | C]: ...
    def nodes(self, *types: type[ast.AST]) -> list[Any]:
        """All nodes of the types, in the order of the text."""
        if types not in self._sorted:
            found = [node for kind in types for node in self._nodes.get(kind, ())]
            try:
                self._sorted[types] = sorted(found, key=_PLACE)
            except AttributeError:  # a kind without a place of its own
                self._sorted[types] = found
        return self._sorted[types]

    @functools.cached_property
    def functions(self) -> list[Function]:
        """Every function and method."""
        return self.nodes(ast.FunctionDef, ast.AsyncFunctionDef)

    @functools.cached_property
    def calls(self) -> list[ast.Call]:
        """Every call."""
        return self.nodes(ast.Call)

    @functools.cached_property
    def callees(self) -> list[Callee]:
        """The calls by name; what is called without a chain of names has the empty one."""
        found: dict[str, list[ast.Call]] = {}
        for call in self.calls:
            name = name_of(call.func)
            known = found.get(name)
            if known is None:
                found[name] = [call]
            else:
                known.append(call)
        return [Callee(name, self._resolved(name), calls) for name, calls in found.items()]

    @functools.cached_property
    def stored(self) -> frozenset[str]:
        """The last word of every attribute that is assigned."""
        return frozenset(node.attr for node in self.nodes(ast.Attribute) if isinstance(node.ctx, ast.Store))

    def dotted(self, node: ast.AST | None) -> str:
        """`F.cross_entropy` -> "torch.nn.functional.cross_entropy"; what is no chain of names gives the empty string.

        A call inside the chain is written `()`: `torch.optim.Adam(p).step` -> "torch.optim.Adam().step".
        """
        return self._resolved(name_of(node))

    def _resolved(self, text: str) -> str:
        known = self._dotted.get(text)
        if known is None:
            first, dot, rest = text.partition(".")
            known = self._dotted[text] = self.aliases.get(first, first) + dot + rest
        return known

    def called(self, call: ast.Call) -> str:
        """The dotted name of what is called."""
        return self._resolved(name_of(call.func))

    def function_of(self, node: ast.AST) -> Function | None:
        """The innermost function around a node."""
        return next((p for p in parents(node) if isinstance(p, _FUNCTIONS)), None)

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        return next((p for p in parents(node) if isinstance(p, ast.ClassDef)), None)

    def scope_of(self, node: ast.AST) -> Scope:
        """The scope in which a node's names live: a function's, or the module's."""
        return self.scope(self.function_of(node) or self.tree)

    def scope(self, node: Function | ast.Module) -> Scope:
        """The scope of a function or of the module, built when it is asked for."""
        if node not in self._scopes:
            self._scopes[node] = Scope(node)
        return self._scopes[node]

    def context(self, node: ast.AST) -> str:
        """Path and names of the functions and classes around a node: what the author calls this."""
        names = [p.name for p in parents(node) if isinstance(p, (*_FUNCTIONS, ast.ClassDef))]
        own = [node.name] if isinstance(node, (*_FUNCTIONS, ast.ClassDef)) else []
        return " ".join([self.path.rpartition("/")[2], *reversed(names), *own])

    def _imports(self) -> dict[str, str]:
        found = {}
        for node in self.nodes(ast.Import, ast.ImportFrom):
            for alias in node.names:
                if isinstance(node, ast.ImportFrom):
                    self.origins[alias.asname or alias.name] = "." * node.level + (node.module or "")
                    found[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}".lstrip(".")
                else:
                    self.origins[alias.asname or alias.name.partition(".")[0]] = alias.name
                    if alias.asname:
                        found[alias.asname] = alias.name
        return found


class Callee(NamedTuple):
    """What is called under one name: as the text has it, with its imports resolved, and the calls.

    A file calls the same few names over and over: what depends on the name alone is looked at once.
    """

    name: str
    dotted: str
    calls: list[ast.Call]


@dataclass
class Scope:
    """Who assigns and who reads a name in one function, or on the module's level (class bodies included there).

    Attributes:
        node: the function or module.
        values: name -> expressions that are assigned to it; None stands for what is not an expression of its own
            (loop variables, parameters, unpacked tuples).
        added: name -> expressions put into the container of that name (`x.append(v)`, `x[k] = v`, `x |= v`).
        parameters: names of the parameters, without self and cls.
    """

    node: Function | ast.Module
    values: dict[str, list[ast.expr | None]] = field(default_factory=lambda: defaultdict(list))
    added: dict[str, list[ast.expr]] = field(default_factory=lambda: defaultdict(list))
    parameters: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.node, ast.Module):
            arguments = self.node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            for argument in every:
                if argument is not None:
                    self.values[argument.arg].append(None)
                    self.parameters.append(argument.arg)
            if self.parameters and self.parameters[0] in ("self", "cls"):
                del self.parameters[0]
        self.own = within(self.node)
        for node in self.own:
            note = _NOTES.get(type(node))
            if note is not None:
                note(self, node)

    def _note_assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assign(target, node.value)

    def _note_declared(self, node: ast.AnnAssign | ast.NamedExpr) -> None:
        if node.value is not None:
            self._assign(node.target, node.value)

    def _note_augmented(self, node: ast.AugAssign) -> None:
        self.added[name_of(node.target)].append(node.value)

    def _note_loop(self, node: ast.For | ast.AsyncFor) -> None:
        self._assign(node.target, None)

    def _note_with(self, node: ast.withitem) -> None:
        if node.optional_vars is not None:
            self._assign(node.optional_vars, node.context_expr)

    def _note_adding(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in _ADDERS and node.args:
            self.added[name_of(node.func.value)].append(node.args[-1])

    def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            same = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            for index, element in enumerate(target.elts):
                inner = value.elts[index] if same and isinstance(value, ast.Tuple | ast.List) else None
                self._assign(element, inner)
        elif isinstance(target, ast.Starred):
            self._assign(target.value, None)
        elif isinstance(target, ast.Subscript):
            if value is not None:
                self.added[name_of(target.value)].append(value)
        elif name := name_of(target):
            self.values[name].append(value)

    def reads(self, name: str) -> list[ast.AST]:
        """Every place in the scope, nested functions included, where the dotted name is read."""
        last = name.rpartition(".")[2]
        return [
            node
            for node in walk(self.node)
            if isinstance(node, (ast.Name, ast.Attribute))
            and isinstance(node.ctx, ast.Load)
            and (node.id if isinstance(node, ast.Name) else node.attr) == last
            and name_of(node) == name
        ]

    def returns(self) -> list[ast.expr]:
        """What the function returns or yields, None left out."""
        found = [node.value for node in self.own if isinstance(node, ast.Return | ast.Yield) and node.value is not None]
        return [value for value in found if not (isinstance(value, ast.Constant) and value.value is None)]


_NOTES: Final[dict[type[ast.AST], Any]] = {
    ast.Assign: Scope._note_assign,
    ast.AnnAssign: Scope._note_declared,
    ast.NamedExpr: Scope._note_declared,
    ast.AugAssign: Scope._note_augmented,
    ast.For: Scope._note_loop,
    ast.AsyncFor: Scope._note_loop,
    ast.withitem: Scope._note_with,
    ast.Call: Scope._note_adding,
}


def name_of(node: ast.AST | None) -> str:
    """`self.model.head` as text; calls inside become `()`, everything else the empty string. Remembered by the node."""
    if isinstance(node, ast.Name):
        return node.id
    if not isinstance(node, ast.Attribute):
        return ""
    known: str | None = node.__dict__.get("dotted")
    if known is None:
        owner = node.value
        inner = name_of(owner.func) + "()" if isinstance(owner, ast.Call) else name_of(owner)
        known = node.dotted = f"{inner}.{node.attr}" if inner not in ("", "()") else ""  # type: ignore[attr-defined]
    return known


def parents(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes around a node, from the inside out."""
    current = getattr(node, "parent", None)
    while current is not None:
        yield current
        current = getattr(current, "parent", None)


def within(scope: Function | ast.Module) -> list[ast.AST]:
    """The nodes of a scope in the order of the text, without plain names and the bodies of functions defined in it."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = list(reversed(scope.body))
    pop, push, keep = stack.pop, stack.append, found.append
    while stack:
        node = pop()
        keep(node)
        values = node.__dict__
        for name in _INNER[type(node)]:
            value = values.get(name)
            if value is None:
                continue
            if type(value) is list:
                for item in reversed(value):
                    if item is not None and type(item) is not ast.Name:
                        push(item)
            elif type(value) is not ast.Name:
                push(value)
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of a piece of code but the marks that nodes share, the node itself among them."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        values = current.__dict__
        for name in _FIELDS[type(current)]:
            value = values.get(name)
            if type(value) is list:
                stack.extend(item for item in value if item is not None)
            elif value is not None:
                stack.append(value)


def keyword(call: ast.Call, *names: str) -> ast.expr | None:
    """The value of the first of the keywords that the call has."""
    return next((k.value for name in names for k in call.keywords if k.arg == name), None)


def argument(call: ast.Call, position: int, *names: str) -> ast.expr | None:
    """The value of a parameter, given by keyword or by position."""
    by_name = keyword(call, *names)
    if by_name is not None:
        return by_name
    plain = call.args[: position + 1]
    return plain[position] if len(plain) > position and not any(isinstance(a, ast.Starred) for a in plain) else None


def constant(node: ast.AST | None) -> object:
    """The value of a literal, -1 and 1e-3 included; None for what is none."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, int | float) else None
    return None


def number(node: ast.AST | None) -> float | None:
    """The value of a numeric literal; True is none."""
    value = constant(node)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def string(node: ast.AST | None) -> str | None:
    """The value of a text literal."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _index(tree: ast.Module) -> dict[type[ast.AST], list[ast.AST]]:
    nodes: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
    stack: list[ast.AST] = [tree]
    pop, push, fields = stack.pop, stack.append, _FIELDS
    while stack:
        node = pop()
        kind = type(node)
        nodes[kind].append(node)
        inner = fields[kind]
        if not inner:
            continue
        values = node.__dict__
        for name in inner:
            value = values.get(name)
            if value is None:
                continue
            if type(value) is list:
                for item in value:
                    if item is not None:  # `**x` among the keys of a dictionary
                        item.parent = node
                        push(item)
            else:
                value.parent = node
                push(value)
    return nodes
