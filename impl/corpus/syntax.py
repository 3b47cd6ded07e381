"""What one Python file says, as plain data: scopes, bindings, and events such as calls, with their places.

One walk over the tree, no other file is looked at: names stay unresolved until `resolution` has all modules. The
result is made of tuples, lists, dicts, texts and numbers only, so it can be stored with `marshal` and forgotten.
It must never execute code.

An expression is written as a tuple:
    ("n", name)  ("a", value, attribute)  ("c", function[, arguments])  ("k", builtin type of a literal)
    ("i", value, annotation arguments)  ("|", alternatives)  ("l", builtin container, element)
None is anything else. An event is (kind, expression, span), kinds: see `EVENTS`.
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any, Final

from corpus.parsing import FunctionNode, parse

Expression = tuple[Any, ...] | None
Span = tuple[int, int, int, int]

EVENTS: Final = {
    "call": "function of a call expression",
    "load": "a name or attribute that is read",
    "store": "a name or attribute that is assigned, deleted or stored into",
    "raise": "what is raised",
    "catch": "what an except clause names",
    "with": "a context manager",
    "awith": "an asynchronous context manager",
    "for": "what a loop goes over",
    "item": "what is subscripted",
    "return": "a call that is returned",
    "type": "a name in an annotation of a signature, read outside the function",
    "result": "a return annotation",
}

MODULE, CLASS, FUNCTION, INNER = "module", "class", "function", "inner"  # INNER: lambda or comprehension

_DEEPEST: Final = 30  # links of one expression: longer chains are unknown rather than quadratic
_BINDINGS: Final = 8  # assignments of one name that are looked at: tables rebind one name hundreds of times
_RETURNS: Final = 6

_TYPE_MAKERS: Final = frozenset(
    {"TypeVar", "NewType", "ParamSpec", "TypeVarTuple", "TypeAliasType", "namedtuple", "NamedTuple", "TypedDict"}
)
_GENERICS: Final = frozenset(
    [
        "Union",
        "Optional",
        "Callable",
        "Literal",
        "Annotated",
        "Type",
        "Dict",
        "List",
        "Tuple",
        "Set",
        "FrozenSet",
        "Sequence",
        "Iterable",
        "Iterator",
        "Mapping",
        "MutableMapping",
        "Awaitable",
        "Coroutine",
        "Generator",
        "AsyncIterator",
        "AsyncIterable",
        "ClassVar",
    ]
)
_LITERALS: Final = {
    ast.JoinedStr: "str",
    ast.Dict: "dict",
    ast.DictComp: "dict",
}


def span_of(node: Any) -> Span:
    return node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset


class Scope:
    """One scope under construction; `plain` is what is kept of it."""

    __slots__ = (
        "attributes", "bases", "bindings", "decorators", "events", "flags", "globals", "index", "keywords", "kind",
        "name", "nonlocals", "parent", "public", "qualname", "result", "returns", "self_name", "span", "stars",
        "types",
    )  # fmt: skip

    def __init__(self, index: int, kind: str, name: str, parent: "Scope | None", span: Span) -> None:
        self.index, self.kind, self.name, self.parent, self.span = index, kind, name, parent, span
        if parent is None or kind == INNER:
            self.qualname = "" if parent is None else parent.qualname
        elif parent.owner.kind == FUNCTION:
            self.qualname = f"{parent.qualname}.<locals>.{name}"
        else:
            self.qualname = f"{parent.qualname}.{name}" if parent.qualname else name
        self.bindings: dict[str, list[Any]] = {}  # name -> [span, [binding, ...]]
        self.attributes: dict[str, list[Any]] = {}  # of instances of a class, likewise
        self.events: list[tuple[str, Expression, Span]] = []
        self.bases: list[tuple[Expression, Span]] = []
        self.keywords: list[tuple[str, Expression]] = []
        self.decorators: list[tuple[Expression, Span]] = []
        self.returns: list[Expression] = []
        self.result: Expression = None
        self.stars: list[tuple[str, int]] = []
        self.public: list[str] | None = None
        self.types: list[str] = []
        self.flags: list[str] = []
        self.self_name = ""
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()

    @property
    def owner(self) -> "Scope":
        """The scope that Python has a name for: a lambda or a comprehension belongs to what is around it."""
        scope = self
        while scope.kind == INNER and scope.parent is not None:
            scope = scope.parent
        return scope

    def plain(self) -> tuple[dict[str, Any], list[Any]]:
        """(names, events)."""
        names = {
            "kind": self.kind,
            "name": self.name,
            "qualname": self.qualname,
            "parent": -1 if self.parent is None else self.parent.index,
            "span": self.span,
            "bindings": self.bindings,
            "attributes": self.attributes,
            "bases": self.bases,
            "keywords": self.keywords,
            "decorators": self.decorators,
            "returns": self.returns,
            "result": self.result,
            "stars": self.stars,
            "public": self.public,
            "types": self.types,
            "flags": self.flags,
            "self": self.self_name,
        }
        return names, self._events()

    def _events(self) -> list[Any]:
        """Without the reads of plain local variables, of which no entity is made."""
        if self.kind not in (FUNCTION, INNER):
            return self.events
        local = {name for name, (_, found) in self.bindings.items() if all(b[0] not in "MFS" for b in found)}
        return [e for e in self.events if not (e[0] == "load" and e[1] and e[1][0] == "n" and e[1][1] in local)]


def read(content: bytes | str) -> dict[str, Any]:
    """{"scopes": names of each scope, the module first; "events": events of each; "imports": import statements}.

    An import is (scope, module, level, name or None, span). Raises as `ast.parse`, and RecursionError for a tree that
    is too deep to walk.
    """
    tree = parse(content)
    reader = _Reader()
    lines = content.count(b"\n" if isinstance(content, bytes) else "\n") + 1
    module = reader.open(MODULE, "", None, (1, 0, lines, 0))
    reader.body(tree.body, module)
    plain = [scope.plain() for scope in reader.scopes]
    return {
        "scopes": [names for names, _ in plain],
        "events": [events for _, events in plain],
        "imports": reader.imports,
    }


class _Reader:
    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.imports: list[tuple[int, str, int, str | None, Span]] = []

    def open(self, kind: str, name: str, parent: Scope | None, span: Span) -> Scope:
        scope = Scope(len(self.scopes), kind, name, parent, span)
        self.scopes.append(scope)
        return scope

    def body(self, statements: Sequence[ast.stmt], scope: Scope) -> None:
        for node in statements:
            _STATEMENTS[type(node)](self, node, scope)

    # -- bindings ----------------------------------------------------------------------------------

    def bind(self, scope: Scope, name: str, binding: tuple[Any, ...], span: Span) -> None:
        """Make `name` mean `binding` in the scope that Python would bind it in."""
        if name in scope.globals:
            scope.events.append(("store", ("n", name), span))
            scope = self.scopes[0]
        elif name in scope.nonlocals:
            outer = scope.parent
            while outer is not None and not (outer.kind == FUNCTION and name in outer.bindings):
                outer = outer.parent
            scope = outer or scope
        entry = scope.bindings.get(name)
        if entry is None:
            scope.bindings[name] = [span, [binding]]
        elif len(entry[1]) < _BINDINGS and binding not in entry[1]:
            entry[1].append(binding)

    def target(self, node: ast.expr, scope: Scope, binding: tuple[Any, ...], span: Span) -> None:
        """Assign to `node`: bind a name, note an attribute of `self`, record what is stored into."""
        kind = type(node)
        if kind is ast.Name:
            self.bind(scope.owner if binding[0] == "=" else scope, node.id, binding, span)
        elif kind is ast.Attribute:
            value = self.expression(node.value, scope, False)
            scope.events.append(("store", ("a", value, node.attr), span_of(node)))
            self.attribute(node, scope, binding)
        elif kind is ast.Subscript:
            value = self.expression(node.value, scope, False)
            self.expression(node.slice, scope)
            if value is not None and value[0] in "na":
                scope.events.append(("store", value, span_of(node.value)))
        elif kind is ast.Starred:
            self.target(node.value, scope, ("U",), span)
        elif kind is ast.Tuple or kind is ast.List:
            for part in node.elts:
                self.target(part, scope, ("U",), span)

    def attribute(self, node: ast.Attribute, scope: Scope, binding: tuple[Any, ...]) -> None:
        """`self.x = ...` in a method makes x an attribute of the class's instances."""
        if not isinstance(node.value, ast.Name):
            return
        method = scope
        while method is not None and node.value.id != method.self_name:
            if node.value.id in method.bindings:
                return
            method = method.parent  # type: ignore[assignment]
        if method is None or method.parent is None:
            return
        entry = method.parent.owner.attributes.setdefault(node.attr, [span_of(node), []])
        if len(entry[1]) < _BINDINGS and binding not in entry[1]:
            entry[1].append(binding)

    # -- statements --------------------------------------------------------------------------------

    def defined(self, kind: str, node: FunctionNode | ast.ClassDef, scope: Scope) -> Scope:
        """The scope of a function or class, bound to its name; it begins with its first decorator."""
        decorators = [self.decorator(one, scope) for one in node.decorator_list]
        start = span_of(node)
        if node.decorator_list:
            first = node.decorator_list[0]
            start = (first.lineno, max(0, first.col_offset - 1), start[2], start[3])
        inner = self.open(kind, node.name, scope, start)
        inner.decorators = decorators
        self.bind(scope, node.name, ("S", inner.index), start)
        return inner

    def function(self, node: FunctionNode, scope: Scope) -> None:
        inner = self.defined(FUNCTION, node, scope)
        self.parameters(node.args, scope, inner)
        if node.returns is not None:
            inner.result = self.annotation(node.returns, inner, "type")
            inner.events.append(("result", inner.result, span_of(node.returns)))
        if isinstance(node, ast.AsyncFunctionDef):
            inner.flags.append("async")
        if _is_stub(node.body):
            inner.flags.append("stub")
        self.body(node.body, inner)

    def parameters(self, node: ast.arguments, scope: Scope, inner: Scope) -> None:
        """Names are bound inside, defaults are read outside; the first of a method is its receiver."""
        ordered = [*node.posonlyargs, *node.args]
        defaults: list[ast.expr | None] = [*([None] * (len(ordered) - len(node.defaults))), *node.defaults]
        method = inner.kind == FUNCTION and scope.kind == CLASS
        names = {ir[1] for ir, _ in inner.decorators if ir is not None and ir[0] == "n"}
        pairs = list(zip(ordered, defaults, strict=True)) + list(zip(node.kwonlyargs, node.kw_defaults, strict=True))
        for position, (argument, default) in enumerate(pairs):
            value = None if default is None else self.expression(default, scope)
            note = None if argument.annotation is None else self.annotation(argument.annotation, inner, "type")
            binding: tuple[Any, ...] = ("P", note, value, inner.index)
            if method and position == 0 and ordered and "staticmethod" not in names:
                is_class = "classmethod" in names or inner.name in ("__new__", "__init_subclass__", "__class_getitem__")
                binding = ("C" if is_class else "R", scope.index, note)
                inner.self_name = argument.arg
            inner.bindings[argument.arg] = [span_of(argument), [binding]]
        for argument, container in ((node.vararg, "tuple"), (node.kwarg, "dict")):
            if argument is not None:
                if argument.annotation is not None:
                    self.annotation(argument.annotation, inner, "type")
                inner.bindings[argument.arg] = [span_of(argument), [("=", ("k", container), None, inner.index)]]

    def decorator(self, node: ast.expr, scope: Scope) -> tuple[Expression, Span]:
        """What decorates; of a decorator that is called, the function that is called."""
        written = self.expression(node, scope, False)
        if isinstance(node, ast.Call) and written is not None:
            return (written[1], span_of(node.func))
        return (written, span_of(node))

    def klass(self, node: ast.ClassDef, scope: Scope) -> None:
        inner = self.defined(CLASS, node, scope)
        for base in node.bases:
            whole, base = base, base.value if isinstance(base, ast.Subscript) else base
            inner.bases.append((self.expression(base, scope, False), span_of(whole)))
            if isinstance(whole, ast.Subscript):
                self.annotation(whole.slice, inner, "type")
        for keyword in node.keywords:
            value = self.expression(keyword.value, scope, keyword.arg != "metaclass")
            if keyword.arg is not None:
                inner.keywords.append((keyword.arg, value))
        self.body(node.body, inner)

    def assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.expression(node.value, scope)
        span = span_of(node)
        for target in node.targets:
            if (
                isinstance(target, ast.Tuple | ast.List)
                and isinstance(node.value, ast.Tuple | ast.List)
                and len(target.elts) == len(node.value.elts)
                and not any(isinstance(one, ast.Starred) for one in (*target.elts, *node.value.elts))
            ):
                for part, one in zip(target.elts, node.value.elts, strict=True):
                    self.target(part, scope, ("=", _quiet(one), None, scope.index), span)
                continue
            binding: tuple[Any, ...] = ("=", value, None, scope.index)
            if scope.kind in (MODULE, CLASS) and isinstance(target, ast.Name):
                if target.id == "__all__":
                    self.exports(node.value, scope)
                if _makes_type(target.id, node.value):
                    scope.types.append(target.id)
                    binding = ("T", _quiet_annotation(node.value), None, scope.index)
            self.target(target, scope, binding, span)

    def annotated(self, node: ast.AnnAssign, scope: Scope) -> None:
        note = self.annotation(node.annotation, scope, "load")
        value = None if node.value is None else self.expression(node.value, scope)
        binding: tuple[Any, ...] = ("=", value, note, scope.index)
        if isinstance(node.target, ast.Name):
            if _leaf(note) == "TypeAlias" and node.value is not None:
                scope.types.append(node.target.id)
                binding = ("T", _quiet_annotation(node.value), None, scope.index)
            self.bind(scope, node.target.id, binding, span_of(node))
        elif node.value is None and isinstance(node.target, ast.Attribute):
            self.attribute(node.target, scope, binding)
        else:
            self.target(node.target, scope, binding, span_of(node))

    def augmented(self, node: ast.AugAssign, scope: Scope) -> None:
        value = self.expression(node.value, scope)
        target = node.target
        if isinstance(target, ast.Name):
            if scope.kind == MODULE and target.id == "__all__":
                self.exports(node.value, scope, more=True)
            if target.id in scope.globals or target.id not in scope.bindings:
                scope.events.append(("store", ("n", target.id), span_of(target)))
                return
        self.target(target, scope, ("U",) if value is None else ("=", None, None, scope.index), span_of(node))

    def exports(self, node: ast.expr, scope: Scope, more: bool = False) -> None:
        """`__all__`, where it is written out; a computed part is left out."""
        parts = node.elts if isinstance(node, ast.List | ast.Tuple) else []
        names = [one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if names or parts:
            scope.public = [*(scope.public or []), *names] if more or scope.public else names

    def delete(self, node: ast.Delete, scope: Scope) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                if target.id in scope.globals:
                    scope.events.append(("store", ("n", target.id), span_of(target)))
            else:
                self.target(target, scope, ("U",), span_of(node))

    def returned(self, node: ast.Return, scope: Scope) -> None:
        if node.value is None:
            return
        value = self.expression(node.value, scope)
        owner = scope.owner
        if value is not None and len(owner.returns) < _RETURNS and value not in owner.returns:
            owner.returns.append(value)
        if isinstance(node.value, ast.Call):
            scope.events.append(("return", value, span_of(node.value)))

    def loop(self, node: ast.For | ast.AsyncFor, scope: Scope) -> None:
        value = self.expression(node.iter, scope)
        scope.events.append(("for", value, span_of(node.iter)))
        self.target(node.target, scope, ("E", value, scope.index), span_of(node.target))
        self.body(node.body, scope)
        self.body(node.orelse, scope)

    def context(self, node: ast.With | ast.AsyncWith, scope: Scope) -> None:
        kind = "with" if isinstance(node, ast.With) else "awith"
        for item in node.items:
            value = self.expression(item.context_expr, scope)
            scope.events.append((kind, value, span_of(item.context_expr)))
            if item.optional_vars is not None:
                self.target(item.optional_vars, scope, ("W", value, scope.index), span_of(item.optional_vars))
        self.body(node.body, scope)

    def raised(self, node: ast.Raise, scope: Scope) -> None:
        if node.exc is not None:
            value = self.expression(node.exc, scope, False)
            scope.events.append(("raise", value, span_of(node.exc)))
        if node.cause is not None:
            self.expression(node.cause, scope)

    def attempt(self, node: Any, scope: Scope) -> None:
        self.body(node.body, scope)
        for handler in node.handlers:
            caught: list[Expression] = []
            if handler.type is not None:
                for one in handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]:
                    caught.append(self.expression(one, scope, False))
                    scope.events.append(("catch", caught[-1], span_of(one)))
            if handler.name is not None:
                self.bind(scope, handler.name, ("X", _either(*caught), scope.index), span_of(handler))
            self.body(handler.body, scope)
        self.body(node.orelse, scope)
        self.body(node.finalbody, scope)

    def branch(self, node: ast.If | ast.While, scope: Scope) -> None:
        self.expression(node.test, scope)
        self.body(node.body, scope)
        self.body(node.orelse, scope)

    def check(self, node: ast.Assert, scope: Scope) -> None:
        self.expression(node.test, scope)
        if node.msg is not None:
            self.expression(node.msg, scope)

    def match(self, node: ast.Match, scope: Scope) -> None:
        self.expression(node.subject, scope)
        for case in node.cases:
            self.pattern(case.pattern, scope)
            if case.guard is not None:
                self.expression(case.guard, scope)
            self.body(case.body, scope)

    def pattern(self, node: ast.pattern, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.pattern):
                self.pattern(child, scope)
            elif isinstance(child, ast.expr):
                self.expression(child, scope)
        name = getattr(node, "name", None) or getattr(node, "rest", None)
        if name is not None:
            inner = node.pattern if isinstance(node, ast.MatchAs) else None
            found: tuple[Any, ...] = ("U",)
            if isinstance(inner, ast.MatchClass):
                found = ("H", _quiet(inner.cls), scope.index)
            self.bind(scope, name, found, span_of(node))

    def plain_import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            span = span_of(alias)
            self.imports.append((scope.index, alias.name, 0, None, span))
            if alias.asname is not None:
                self.bind(scope, alias.asname, ("M", alias.name), span)
            else:
                self.bind(scope, alias.name.partition(".")[0], ("M", alias.name.partition(".")[0]), span)

    def from_import(self, node: ast.ImportFrom, scope: Scope) -> None:
        module = node.module or ""
        if module == "__future__" and node.level == 0:
            return
        for alias in node.names:
            span = span_of(alias)
            if alias.name == "*":
                scope.stars.append((module, node.level))
                self.imports.append((scope.index, module, node.level, "*", span))
                continue
            self.imports.append((scope.index, module, node.level, alias.name, span))
            self.bind(scope, alias.asname or alias.name, ("F", module, node.level, alias.name), span)

    def global_names(self, node: ast.Global, scope: Scope) -> None:
        scope.globals.update(node.names)

    def nonlocal_names(self, node: ast.Nonlocal, scope: Scope) -> None:
        scope.nonlocals.update(node.names)

    def statement(self, node: ast.Expr, scope: Scope) -> None:
        if type(node.value) is not ast.Constant:
            self.expression(node.value, scope)

    def nothing(self, node: ast.stmt, scope: Scope) -> None:
        return

    def alias(self, node: Any, scope: Scope) -> None:
        """`type X = ...`, Python 3.12."""
        scope.types.append(node.name.id)
        written = self.annotation(node.value, scope, "load")
        self.bind(scope, node.name.id, ("T", written, None, scope.index), span_of(node))

    # -- expressions -------------------------------------------------------------------------------

    def expression(self, node: ast.expr, scope: Scope, loud: bool = True) -> Expression:
        """What `node` is, with the events inside it; `loud` records the reading of the name or attribute itself."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node, scope, loud)  # type: ignore[no-any-return]
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.expression(child, scope)
        kind = _LITERALS.get(type(node))  # type: ignore[call-overload]
        return None if kind is None else ("k", kind)

    def name(self, node: ast.Name, scope: Scope, loud: bool) -> Expression:
        written = ("n", node.id)
        if loud:
            scope.events.append(("load", written, span_of(node)))
        return written

    def member(self, node: ast.Attribute, scope: Scope, loud: bool) -> Expression:
        inner = node.value
        value = self.expression(inner, scope, not isinstance(inner, ast.Name | ast.Attribute))
        written = ("a", value, node.attr) if _depth(value) < _DEEPEST else None
        if loud:
            scope.events.append(("load", written, span_of(node)))
        return written

    def call(self, node: ast.Call, scope: Scope, loud: bool) -> Expression:
        function = self.expression(node.func, scope, False)
        span = span_of(node)
        scope.events.append(("call", function, span))
        arguments = [self.expression(one, scope) for one in node.args]
        for keyword in node.keywords:
            self.expression(keyword.value, scope)
        leaf = _leaf(function)
        if leaf == "isinstance" and len(node.args) == 2 and isinstance(node.args[0], ast.Name):
            self.hint(node.args[0].id, node.args[1], scope)
        if _depth(function) >= _DEEPEST:
            return None
        if leaf == "cast" and len(node.args) == 2:
            return ("c", function, (_quiet_annotation(node.args[0]),))
        return ("c", function, tuple(arguments)) if leaf in ("super", "type", "iter", "next") else ("c", function)

    def hint(self, name: str, node: ast.expr, scope: Scope) -> None:
        """isinstance(name, T): a local name may be a T, and where it is used as one, it is."""
        place: Scope | None = scope
        while place is not None and name not in place.bindings:
            place = place.parent
        if place is None or place.kind != FUNCTION:
            return
        for one in node.elts if isinstance(node, ast.Tuple) else [node]:
            self.bind(place, name, ("H", _quiet(one), scope.index), span_of(node))

    def constant(self, node: ast.Constant, scope: Scope, loud: bool) -> Expression:
        kind = type(node.value).__name__
        return None if kind in ("NoneType", "ellipsis") else ("k", kind)

    def choice(self, node: ast.IfExp, scope: Scope, loud: bool) -> Expression:
        self.expression(node.test, scope)
        return _either(self.expression(node.body, scope), self.expression(node.orelse, scope))

    def boolean(self, node: ast.BoolOp, scope: Scope, loud: bool) -> Expression:
        return _either(*[self.expression(one, scope) for one in node.values])

    def binary(self, node: ast.BinOp, scope: Scope, loud: bool) -> Expression:
        # A loop, not recursion, along the left: "a" + "b" + ... is written thousands of terms long.
        terms: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            terms.append(left.right)
            left = left.left
        first = self.expression(left, scope)
        for term in reversed(terms):
            self.expression(term, scope)
        return first if first is not None and first[0] == "k" and first[1] in ("str", "bytes") else None

    def comparison(self, node: ast.Compare, scope: Scope, loud: bool) -> Expression:
        self.expression(node.left, scope)
        for one in node.comparators:
            self.expression(one, scope)
        return ("k", "bool")

    def subscript(self, node: ast.Subscript, scope: Scope, loud: bool) -> Expression:
        value = self.expression(node.value, scope)
        self.expression(node.slice, scope)
        if value is None or _depth(value) >= _DEEPEST:
            return None
        scope.events.append(("item", value, span_of(node)))
        return ("i", value, ())

    def awaited(self, node: ast.Await, scope: Scope, loud: bool) -> Expression:
        return self.expression(node.value, scope)

    def yielded(self, node: ast.Yield | ast.YieldFrom, scope: Scope, loud: bool) -> Expression:
        owner = scope.owner
        if "generator" not in owner.flags:
            owner.flags.append("generator")
        if node.value is not None:
            self.expression(node.value, scope)
        return None

    def walrus(self, node: ast.NamedExpr, scope: Scope, loud: bool) -> Expression:
        value = self.expression(node.value, scope)
        self.bind(scope.owner, node.target.id, ("=", value, None, scope.index), span_of(node))
        return value

    def sequence(self, node: ast.List | ast.Tuple | ast.Set, scope: Scope, loud: bool) -> Expression:
        parts = [self.expression(one, scope) for one in node.elts]
        kind = type(node).__name__.lower()
        first = parts[0] if parts else None
        alike = first is not None and _depth(first) < _DEEPEST and len(parts) <= 8
        return ("l", kind, _either(*parts)) if alike else ("k", kind)

    def lambda_(self, node: ast.Lambda, scope: Scope, loud: bool) -> Expression:
        inner = self.open(INNER, "<lambda>", scope, span_of(node))
        self.parameters(node.args, scope, inner)
        self.expression(node.body, inner)
        return None

    def comprehension(self, node: Any, scope: Scope, loud: bool) -> Expression:
        inner = self.open(INNER, "<comprehension>", scope, span_of(node))
        for position, generator in enumerate(node.generators):
            place = scope if position == 0 else inner
            value = self.expression(generator.iter, place)
            place.events.append(("for", value, span_of(generator.iter)))
            self.target(generator.target, inner, ("E", value, place.index), span_of(generator.target))
            for test in generator.ifs:
                self.expression(test, inner)
        if isinstance(node, ast.DictComp):
            self.expression(node.key, inner)
            self.expression(node.value, inner)
            return ("k", "dict")
        self.expression(node.elt, inner)
        kind = {ast.ListComp: "list", ast.SetComp: "set"}.get(type(node))
        return None if kind is None else ("k", kind)

    # -- annotations -------------------------------------------------------------------------------

    def annotation(self, node: ast.expr, scope: Scope, event: str) -> Expression:
        """A type expression, with an event for each name in it; forward references in quotes are read, too."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                inner = ast.parse(node.value.strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return None
            for part in ast.walk(inner):
                if isinstance(part, ast.expr):
                    ast.copy_location(part, node)
            node = inner
        if isinstance(node, ast.Name | ast.Attribute):
            written = _quiet(node)
            if written is not None:
                scope.events.append((event, written, span_of(node)))
            return written
        if isinstance(node, ast.Subscript):
            base = self.annotation(node.value, scope, event)
            if _leaf(base) == "Literal":
                return None
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if _leaf(base) == "Annotated":
                parts = parts[:1]
            return ("i", base, tuple(self.annotation(one, scope, event) for one in parts))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return ("|", (self.annotation(node.left, scope, event), self.annotation(node.right, scope, event)))
        if isinstance(node, ast.List | ast.Tuple):
            for one in node.elts:
                self.annotation(one, scope, event)
        return None


def _is_stub(body: Sequence[ast.stmt]) -> bool:
    """Whether a function has no body to speak of: docstring, `...`, pass, raise NotImplementedError."""
    return all(
        isinstance(one, ast.Pass)
        or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        or (isinstance(one, ast.Raise) and one.exc is not None and "NotImplementedError" in ast.dump(one.exc))
        for one in body
    )


def _quiet(node: ast.expr) -> Expression:
    """The expression of a node whose events are recorded elsewhere."""
    if isinstance(node, ast.Name):
        return ("n", node.id)
    if isinstance(node, ast.Attribute):
        value = _quiet(node.value)
        return None if value is None or _depth(value) >= _DEEPEST else ("a", value, node.attr)
    if isinstance(node, ast.Call):
        function = _quiet(node.func)
        return None if function is None else ("c", function)
    if isinstance(node, ast.Constant):
        kind = type(node.value).__name__
        return None if kind in ("NoneType", "ellipsis") else ("k", kind)
    kind = {ast.List: "list", ast.Dict: "dict", ast.Set: "set", ast.Tuple: "tuple"}.get(type(node), "")  # type: ignore[call-overload]
    return ("k", kind) if kind else None


def _quiet_annotation(node: ast.expr) -> Expression:
    return _Reader().annotation(node, Scope(0, INNER, "", None, (0, 0, 0, 0)), "load")


def _makes_type(name: str, value: ast.expr) -> bool:
    """`X = TypeVar(...)`, `X = Union[...]`, `X = A | None`: an alias and no variable."""
    if isinstance(value, ast.Call):
        return _leaf(_quiet(value.func)) in _TYPE_MAKERS
    if isinstance(value, ast.Subscript):
        leaf = _leaf(_quiet(value.value))
        return leaf in _GENERICS or (leaf in ("dict", "list", "tuple", "set", "type") and name[:1].isupper())
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr) and not name.isupper():
        while isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
            right = value.right
            if isinstance(right, ast.Constant) and right.value is None:
                return name[:1].isupper() or name[:1] == "_"
            if isinstance(right, ast.Subscript):
                return True
            value = value.left
    return False


def _leaf(written: Expression) -> str:
    """The last name of an expression: Optional of typing.Optional[int]."""
    while written is not None and written[0] in "ic":
        written = written[1]
    if written is None or written[0] not in "na":
        return ""
    return str(written[-1])


def _depth(written: Expression) -> int:
    depth = 0
    while written is not None and written[0] in "aci":
        written = written[1]
        depth += 1
    return depth


def _either(*parts: Expression) -> Expression:
    known = [part for part in parts if part is not None]
    distinct = [part for index, part in enumerate(known) if part not in known[:index]]
    if len(distinct) <= 1:
        return distinct[0] if distinct else None
    return ("|", tuple(distinct[:4]))


_STATEMENTS: Final[dict[type[ast.AST], Callable[..., None]]] = {
    ast.FunctionDef: _Reader.function,
    ast.AsyncFunctionDef: _Reader.function,
    ast.ClassDef: _Reader.klass,
    ast.Return: _Reader.returned,
    ast.Delete: _Reader.delete,
    ast.Assign: _Reader.assign,
    ast.AugAssign: _Reader.augmented,
    ast.AnnAssign: _Reader.annotated,
    ast.For: _Reader.loop,
    ast.AsyncFor: _Reader.loop,
    ast.While: _Reader.branch,
    ast.If: _Reader.branch,
    ast.With: _Reader.context,
    ast.AsyncWith: _Reader.context,
    ast.Match: _Reader.match,
    ast.Raise: _Reader.raised,
    ast.Try: _Reader.attempt,
    ast.TryStar: _Reader.attempt,
    ast.Assert: _Reader.check,
    ast.Import: _Reader.plain_import,
    ast.ImportFrom: _Reader.from_import,
    ast.Global: _Reader.global_names,
    ast.Nonlocal: _Reader.nonlocal_names,
    ast.Expr: _Reader.statement,
    ast.Pass: _Reader.nothing,
    ast.Break: _Reader.nothing,
    ast.Continue: _Reader.nothing,
}
if hasattr(ast, "TypeAlias"):
    _STATEMENTS[ast.TypeAlias] = _Reader.alias

_EXPRESSIONS: Final[dict[type[ast.AST], Callable[..., Expression]]] = {
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.member,
    ast.Call: _Reader.call,
    ast.Constant: _Reader.constant,
    ast.IfExp: _Reader.choice,
    ast.BoolOp: _Reader.boolean,
    ast.BinOp: _Reader.binary,
    ast.Compare: _Reader.comparison,
    ast.Subscript: _Reader.subscript,
    ast.Await: _Reader.awaited,
    ast.Yield: _Reader.yielded,
    ast.YieldFrom: _Reader.yielded,
    ast.NamedExpr: _Reader.walrus,
    ast.List: _Reader.sequence,
    ast.Tuple: _Reader.sequence,
    ast.Set: _Reader.sequence,
    ast.Lambda: _Reader.lambda_,
    ast.ListComp: _Reader.comprehension,
    ast.SetComp: _Reader.comprehension,
    ast.GeneratorExp: _Reader.comprehension,
    ast.DictComp: _Reader.comprehension,
}
