"""Which binding every identifier of one function belongs to, by Python's own scoping rules.

Import masking, the normalised hash and the defect operators all stand on this one analysis.
It must never execute code, and never guess: a name that no scope binds is free.
"""

import ast
from collections.abc import Callable
from typing import Final

from corpus.parsing import FunctionNode

_SKIPPED: Final = (ast.expr_context,)
_IMPORTS_NOTHING: Final = frozenset({"__future__"})


class Scope:
    """One scope: what it binds, what it imports, what it declares global or nonlocal."""

    __slots__ = (
        "bound",
        "global_names",
        "imports",
        "is_class",
        "is_comprehension",
        "nonlocal_names",
        "parent",
    )

    def __init__(self, parent: "Scope | None", is_class: bool = False, is_comprehension: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.is_comprehension = is_comprehension
        self.bound: set[str] = set()
        self.imports: dict[str, set[str]] = {}
        self.global_names: set[str] = set()
        self.nonlocal_names: set[str] = set()

    def resolve(self, name: str) -> "Scope | None":
        """The scope whose binding `name` means when it is read here; None for a global or builtin."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            if name in scope.global_names:
                return None
            if name in scope.bound and name not in scope.nonlocal_names and (first or not scope.is_class):
                return scope
            first = False
            scope = scope.parent
        return None


class Occurrence:
    """One place that writes an identifier: `getattr(node, field)`, or its element `index` of a list."""

    __slots__ = ("field", "index", "name", "node", "scope")

    def __init__(self, scope: Scope, name: str, node: ast.AST, field: str, index: int | None = None) -> None:
        self.scope = scope
        self.name = name
        self.node = node
        self.field = field
        self.index = index

    def rename(self, name: str) -> None:
        if self.index is None:
            setattr(self.node, self.field, name)
        else:
            getattr(self.node, self.field)[self.index] = name


class TooLargeError(Exception):
    """Raised as soon as a function has more nodes than the caller's limit."""


class Analysis:
    """One walk over a function: its scopes, its identifiers in order, its size and its normal form.

    `outer` is the scope around the function (it binds the function's own name, and its decorators, defaults
    and annotations are read there), `scope` the function's own. `nodes` counts every AST node but
    Load/Store/Del.
    """

    __slots__ = ("imports_inside", "limit", "nodes", "occurrences", "outer", "parts", "scope")

    def __init__(self, node: FunctionNode, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.nodes = 0
        self.imports_inside = False
        self.occurrences: list[Occurrence] = []
        self.parts: list[str | Occurrence] = []
        self.outer = Scope(None)
        self.scope = self._function(node, self.outer)

    # -- results -----------------------------------------------------------------------------------

    def normal_form(self) -> str:
        """The tree as text: each bound name is the rank of its binding, each constant its type."""
        ranks: dict[tuple[int, str], str] = {}
        out: list[str] = []
        for part in self.parts:
            if type(part) is str:
                out.append(part)
                continue
            assert isinstance(part, Occurrence)
            owner = part.scope.resolve(part.name)
            if owner is None:
                out.append(part.name)
            else:
                key = (id(owner), part.name)
                rank = ranks.get(key)
                if rank is None:
                    rank = ranks[key] = f"<{len(ranks)}>"
                out.append(rank)
        return " ".join(out)

    # -- the walk ----------------------------------------------------------------------------------

    def _identifier(self, scope: Scope, name: str, node: ast.AST, field: str, index: int | None = None) -> None:
        occurrence = Occurrence(scope, name, node, field, index)
        self.occurrences.append(occurrence)
        self.parts.append(occurrence)

    def _visit(self, node: ast.AST, scope: Scope) -> None:
        self.nodes += 1
        if self.nodes > self.limit:
            raise TooLargeError
        kind = type(node)
        special = _SPECIAL.get(kind)
        if special is not None:
            special(self, node, scope)
            return
        parts = self.parts
        parts.append(kind.__name__)
        for field in kind._fields:
            value = getattr(node, field, None)
            if isinstance(value, ast.AST):
                if not isinstance(value, _SKIPPED):
                    self._visit(value, scope)
            elif isinstance(value, list):
                parts.append("[")
                for item in value:
                    if isinstance(item, ast.AST):
                        self._visit(item, scope)
                    else:
                        parts.append(str(item))
                parts.append("]")
            elif field != "type_comment":
                parts.append("-" if value is None else str(value))

    def _all(self, nodes: list[ast.stmt] | list[ast.expr], scope: Scope) -> None:
        self.parts.append("[")
        for node in nodes:
            self._visit(node, scope)
        self.parts.append("]")

    def _name(self, node: ast.Name, scope: Scope) -> None:
        if type(node.ctx) is not ast.Load:
            scope.bound.add(node.id)
        self.parts.append("Name")
        self._identifier(scope, node.id, node, "id")

    def _constant(self, node: ast.Constant, scope: Scope) -> None:
        self.parts.append(type(node.value).__name__)

    def _named_expression(self, node: ast.NamedExpr, scope: Scope) -> None:
        target = scope
        while target.is_comprehension and target.parent is not None:
            target = target.parent
        self.parts.append("NamedExpr")
        self.nodes += 1
        target.bound.add(node.target.id)
        self._identifier(target, node.target.id, node.target, "id")
        self._visit(node.value, scope)

    def _arguments(self, node: ast.arguments, scope: Scope, inner: Scope) -> None:
        """Names are bound inside, defaults and annotations are read outside."""
        self.parts.append("arguments")
        self.nodes += 1
        for group in (node.posonlyargs, node.args, [node.vararg], node.kwonlyargs, [node.kwarg]):
            self.parts.append("[")
            for argument in group:
                if argument is None:
                    continue
                self.nodes += 1
                inner.bound.add(argument.arg)
                self._identifier(inner, argument.arg, argument, "arg")
                if argument.annotation is not None:
                    self._visit(argument.annotation, scope)
            self.parts.append("]")
        self._all(node.defaults, scope)
        for default in node.kw_defaults:
            if default is None:
                self.parts.append("-")
            else:
                self._visit(default, scope)

    def _function(self, node: FunctionNode, scope: Scope) -> Scope:
        self.nodes += 1
        inner = Scope(scope)
        scope.bound.add(node.name)
        self.parts.append(type(node).__name__)
        self._identifier(scope, node.name, node, "name")
        self._all(node.decorator_list, scope)
        self._arguments(node.args, scope, inner)
        if node.returns is not None:
            self._visit(node.returns, scope)
        for parameter in getattr(node, "type_params", ()):
            self._visit(parameter, inner)
        self._all(node.body, inner)
        return inner

    def _nested_function(self, node: FunctionNode, scope: Scope) -> None:
        self.nodes -= 1
        self._function(node, scope)

    def _lambda(self, node: ast.Lambda, scope: Scope) -> None:
        inner = Scope(scope)
        self.parts.append("Lambda")
        self._arguments(node.args, scope, inner)
        self._visit(node.body, inner)

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        scope.bound.add(node.name)
        self.parts.append("ClassDef")
        self._identifier(scope, node.name, node, "name")
        self._all(node.decorator_list, scope)
        self._all(node.bases, scope)
        for keyword in node.keywords:
            self._visit(keyword, scope)
        inner = Scope(scope, is_class=True)
        for parameter in getattr(node, "type_params", ()):
            self._visit(parameter, inner)
        self._all(node.body, inner)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope) -> None:
        inner = Scope(scope, is_comprehension=True)
        self.parts.append(type(node).__name__)
        # Only the first iterable is read outside; the targets are visited first so that their order ranks
        # them.
        for position, generator in enumerate(node.generators):
            self.nodes += 1
            self._visit(generator.iter, scope if position == 0 else inner)
            self._visit(generator.target, inner)
            self.parts.append("async" if generator.is_async else "for")
            self._all(generator.ifs, inner)
        if isinstance(node, ast.DictComp):
            self._visit(node.key, inner)
            self._visit(node.value, inner)
        else:
            self._visit(node.elt, inner)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        self.imports_inside = True
        kind = type(node).__name__
        origin = f"{'.' * node.level}{node.module or ''}" if isinstance(node, ast.ImportFrom) else ""
        self.parts.append(f"{kind} {origin}")
        for alias in node.names:
            self.nodes += 1
            self.parts.append(alias.name)
            if alias.name == "*":
                continue
            bound = alias.asname or alias.name.partition(".")[0]
            scope.bound.add(bound)
            self._identifier(scope, bound, alias, "asname")
        add_imports(node, scope.imports)

    def _global(self, node: ast.Global | ast.Nonlocal, scope: Scope) -> None:
        names = scope.global_names if isinstance(node, ast.Global) else scope.nonlocal_names
        names.update(node.names)
        self.parts.append(type(node).__name__)
        for index, name in enumerate(node.names):
            self._identifier(scope, name, node, "names", index)

    def _handler(self, node: ast.ExceptHandler, scope: Scope) -> None:
        self.parts.append("ExceptHandler")
        if node.type is not None:
            self._visit(node.type, scope)
        if node.name is not None:
            scope.bound.add(node.name)
            self._identifier(scope, node.name, node, "name")
        self._all(node.body, scope)

    def _capture(self, node: ast.MatchAs | ast.MatchStar, scope: Scope) -> None:
        self.parts.append(type(node).__name__)
        if isinstance(node, ast.MatchAs) and node.pattern is not None:
            self._visit(node.pattern, scope)
        if node.name is not None:
            scope.bound.add(node.name)
            self._identifier(scope, node.name, node, "name")

    def _mapping(self, node: ast.MatchMapping, scope: Scope) -> None:
        self.parts.append("MatchMapping")
        self._all(node.keys, scope)
        for pattern in node.patterns:
            self._visit(pattern, scope)
        if node.rest is not None:
            scope.bound.add(node.rest)
            self._identifier(scope, node.rest, node, "rest")


_SPECIAL: Final[dict[type[ast.AST], Callable[..., None]]] = {
    ast.Name: Analysis._name,
    ast.Constant: Analysis._constant,
    ast.NamedExpr: Analysis._named_expression,
    ast.FunctionDef: Analysis._nested_function,
    ast.AsyncFunctionDef: Analysis._nested_function,
    ast.Lambda: Analysis._lambda,
    ast.ClassDef: Analysis._class,
    ast.ListComp: Analysis._comprehension,
    ast.SetComp: Analysis._comprehension,
    ast.DictComp: Analysis._comprehension,
    ast.GeneratorExp: Analysis._comprehension,
    ast.Import: Analysis._import,
    ast.ImportFrom: Analysis._import,
    ast.Global: Analysis._global,
    ast.Nonlocal: Analysis._global,
    ast.ExceptHandler: Analysis._handler,
    ast.MatchAs: Analysis._capture,
    ast.MatchStar: Analysis._capture,
    ast.MatchMapping: Analysis._mapping,
}


def add_imports(node: ast.Import | ast.ImportFrom, imports: dict[str, set[str]]) -> None:
    """Add what one import statement binds: name -> top-level modules, none for a relative import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            imports.setdefault(alias.asname or top, set()).add(top)
        return
    top = (node.module or "").partition(".")[0]
    if node.level == 0 and top in _IMPORTS_NOTHING:
        return
    for alias in node.names:
        if alias.name != "*":
            modules = imports.setdefault(alias.asname or alias.name, set())
            if node.level == 0:
                modules.add(top)
