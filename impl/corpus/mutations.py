"""Where a defect operator can act on a function, and what it would put there.

The rules of taste live here: what nobody would write is never proposed, since a rule would see it. Nothing is
changed in place; a change only knows its path and its replacement.
"""

import ast
import builtins
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

from corpus.parsing import FunctionNode

_ARITHMETIC: Final[dict[type[ast.operator], tuple[type[ast.operator], ...]]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div,),
}
_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_NON_COMMUTATIVE: Final = (*(ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult, ast.LShift, ast.RShift),)
_UNSWAPPABLE_CALLS: Final = frozenset({"super", "max", "min", "gcd", "lcm", "hypot", "union", "isclose", "samefile"})
_NOT_NUMBERS: Final = (
    *(ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
_NEGATABLE: Final = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
_SCOPES: Final = frozenset(
    {
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
        *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    }
)
_RECEIVERS: Final = frozenset({"self", "cls", "mcs", "metacls"})
_BUILTIN_CALLS: Final = frozenset(vars(builtins)) - {
    "print",
    "setattr",
    "delattr",
    "exec",
    "next",
    "open",
    "super",
}
_LARGEST_CONSTANT: Final = 1_000_000  # beyond it constants are magic numbers: any change of one is arbitrary


@dataclass(frozen=True, slots=True)
class Step:
    """One node on the way down from the root, and how it is reached from the step before."""

    node: ast.AST
    field: str
    index: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """Something an operator can do: replace `path[-1].node` by what `replacement` builds from it.

    `replacement` must not alter the node in place: the original is put back by reference. `before` and
    `after` are the tokens exchanged, both empty where the change has no direction.
    """

    operator: str
    path: tuple[Step, ...]
    replacement: Callable[[random.Random], ast.AST]
    before: str = ""
    after: str = ""


def changes(node: FunctionNode) -> list[Change]:
    """Everything that any operator can do to the body of a function, in order of execution."""
    found: list[Change] = []
    _Finder(node, found)
    return found


_Bound = frozenset[str]


@cache
def _children(kind: type[ast.AST]) -> tuple[str, ...]:
    """Fields of a kind of node that may hold something to change; contexts and operators do not."""
    return tuple(field for field in kind._fields if field not in ("ctx", "op", "ops"))


class _Finder:
    """Walks a body in order of execution, knowing which names are bound for certain at each point."""

    def __init__(self, node: FunctionNode, changes: list[Change]) -> None:
        self.changes = changes
        self.path: list[Step] = [Step(node, "", None)]
        # An assignment gives away a replaced name that nothing else reads; only names of this scope are
        # candidates.
        self.candidates = _candidates(node)
        parameters = frozenset(each.arg for each in _parameters(node.args)) & self.candidates
        self.bound: _Bound = parameters
        self.returns = _count_returns(node)
        self.depth = 0  # nested functions, lambdas, classes: their names are another scope's
        self._block(node, "body")

    # -- statements

    def _block(self, owner: ast.AST, field: str) -> bool:
        """Visit a list of statements as far as control gets; whether it cannot leave it at its end."""
        for index, statement in enumerate(getattr(owner, field)):
            self.path.append(Step(statement, field, index))
            self._statement(statement)
            self.path.pop()
            if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                return True
        return False

    def _branches(self, owner: ast.AST, fields: Sequence[str], before: _Bound) -> None:
        """Visit blocks of which one runs; afterwards bound is what every one that ends normally has bound."""
        ends: list[_Bound] = []
        for field in fields:
            self.bound = before
            if not self._block(owner, field):
                ends.append(self.bound)
        self.bound = frozenset.intersection(*ends) if ends else before

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._nested(node)
            case ast.ClassDef() | ast.Import() | ast.ImportFrom() | ast.Global() | ast.Nonlocal():
                pass
            case ast.If():
                self._condition(node, "test")
                self._branches(node, ("body", "orelse"), self.bound)
            case ast.While():
                self._condition(node, "test")
                before = self.bound
                self._block(node, "body")
                self.bound = before
                self._block(node, "orelse")
                self.bound = before
            case ast.For() | ast.AsyncFor():
                self._child(node, "iter")
                before = self.bound
                self._child(node, "target")
                self._bind(node.target)
                self._block(node, "body")
                self.bound = before
                self._block(node, "orelse")
                self.bound = before
            case ast.Try() | ast.TryStar():
                self._try(node)
            case ast.With() | ast.AsyncWith():
                for index, item in enumerate(node.items):
                    self.path.append(Step(item, "items", index))
                    self._child(item, "context_expr")
                    self.path.pop()
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars)
                self._block(node, "body")
            case ast.Match():
                self._child(node, "subject")
                before = self.bound
                for index, part in enumerate(node.cases):
                    self.path.append(Step(part, "cases", index))
                    self.bound = before
                    if part.guard is not None:
                        self._condition(part, "guard")
                    self._block(part, "body")
                    self.path.pop()
                self.bound = before
            case ast.Assign():
                self._child(node, "value")
                self._children(node, "targets")
                for target in node.targets:
                    self._bind(target)
            case ast.AnnAssign():
                if node.value is not None:
                    self._child(node, "value")
                    self._bind(node.target)
            case ast.AugAssign():
                self._arithmetic(node, node.value)
                self._child(node, "value")
                if not isinstance(node.target, ast.Name):
                    self._child(node, "target")
            case ast.Return():
                value = node.value
                if value is not None:
                    if self.returns > 1 and not self.depth and _stands_alone(value):
                        self._add("missing_return", lambda rng: ast.Expr(value))
                    self._child(node, "value")
            case ast.Assert():
                self._condition(node, "test")
            case ast.Delete():
                pass
            case _:
                self._generic(node)

    def _try(self, node: ast.Try | ast.TryStar) -> None:
        before = self.bound
        leaves = self._block(node, "body") or self._block(node, "orelse")
        ends = [] if leaves else [self.bound]
        for index, handler in enumerate(node.handlers):
            self.path.append(Step(handler, "handlers", index))
            self.bound = before
            if not self._block(handler, "body"):
                ends.append(self.bound)
            self.path.pop()
        after = frozenset.intersection(*ends) if ends else before
        self.bound = before
        self._block(node, "finalbody")
        self.bound |= after

    def _nested(self, node: FunctionNode | ast.Lambda) -> None:
        """A nested function reads the outer names too, but only those that it does not bind itself."""
        before, candidates = self.bound, self.candidates
        own = frozenset(each.arg for each in _parameters(node.args)) | _stored(node)
        self.bound = before - own
        self.candidates = candidates - own
        self.depth += 1
        if isinstance(node, ast.Lambda):
            self._child(node, "body")
        else:
            self._block(node, "body")
        self.depth -= 1
        self.bound, self.candidates = before, candidates

    def _bind(self, target: ast.expr) -> None:
        if self.depth:
            return
        names = {each.id for each in ast.walk(target) if isinstance(each, ast.Name) and _is_store(each)}
        self.bound |= names & self.candidates

    # -- expressions

    def _child(self, owner: ast.AST, field: str) -> None:
        node = getattr(owner, field)
        self.path.append(Step(node, field, None))
        self._expression(node)
        self.path.pop()

    def _children(self, owner: ast.AST, field: str) -> None:
        for index, node in enumerate(getattr(owner, field)):
            if isinstance(node, ast.AST):
                self.path.append(Step(node, field, index))
                self._expression(node)
                self.path.pop()

    def _generic(self, node: ast.AST) -> None:
        for field in _children(type(node)):
            value = getattr(node, field, None)
            if isinstance(value, list):
                self._children(node, field)
            elif isinstance(value, ast.AST):
                self._child(node, field)

    def _expression(self, node: ast.AST) -> None:
        match node:
            case ast.Name():
                self._name(node)
            case ast.Constant():
                self._constant(node, node.value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as value)):
                self._constant(node, -value)
            case ast.BinOp():
                self._binary(node)
                self._generic(node)
            case ast.BoolOp():
                self._boolean(node)
                self._generic(node)
            case ast.Compare():
                self._compare(node)
                self._generic(node)
            case ast.Call():
                self._call(node)
                self._generic(node)
            case ast.IfExp():
                self._condition(node, "test")
                self._child(node, "body")
                self._child(node, "orelse")
            case ast.Lambda():
                self._nested(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node)
            case ast.NamedExpr():
                self._child(node, "value")
                self._bind(node.target)
            case ast.JoinedStr():
                pass
            case _:
                self._generic(node)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        before, candidates = self.bound, self.candidates
        own = _stored(node)
        self.bound -= own
        self.candidates -= own
        for index, generator in enumerate(node.generators):
            self.path.append(Step(generator, "generators", index))
            self._child(generator, "iter")
            for position in range(len(generator.ifs)):
                self._condition(generator, "ifs", position)
            self.path.pop()
        for field in ("key", "value") if isinstance(node, ast.DictComp) else ("elt",):
            self._child(node, field)
        self.bound, self.candidates = before, candidates

    def _condition(self, owner: ast.AST, field: str, index: int | None = None) -> None:
        value = getattr(owner, field)
        node = value if index is None else value[index]
        self.path.append(Step(node, field, index))
        self._negation(node)
        self._expression(node)
        self.path.pop()

    # -- what can be done at a node

    def _add(
        self,
        operator: str,
        replacement: Callable[[random.Random], ast.AST],
        before: str = "",
        after: str = "",
    ) -> None:
        self.changes.append(Change(operator, tuple(self.path), replacement, before, after))

    def _negation(self, node: ast.expr) -> None:
        """`not x <-> x` where a truth value is asked for; `not a == b` nobody writes, so it is never made."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            operand = node.operand
            if isinstance(operand, _NEGATABLE):
                self._add("boolean", lambda rng: operand, "not", "-")
        elif isinstance(node, _NEGATABLE):
            self._add("boolean", lambda rng: ast.UnaryOp(ast.Not(), node), "-", "not")
        elif isinstance(node, ast.BoolOp):
            for index, value in enumerate(node.values):
                self.path.append(Step(value, "values", index))
                self._negation(value)
                self.path.pop()

    def _boolean(self, node: ast.BoolOp) -> None:
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        around = self.path[-2].node
        nested = [around, *node.values]
        # `a and (b and c)` would show: nobody writes those brackets.
        if not any(isinstance(each, ast.BoolOp) and isinstance(each.op, other) for each in nested):
            self._add(
                "boolean",
                lambda rng: ast.BoolOp(other(), node.values),
                type(node.op).__name__,
                other.__name__,
            )

    def _compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):

            def changed(rng: random.Random, index: int = index, operator: ast.cmpop = operator) -> ast.AST:
                ops = list(node.ops)
                ops[index] = _COMPARE[type(operator)]()
                return ast.Compare(node.left, ops, node.comparators)

            self._add("compare", changed, type(operator).__name__, _COMPARE[type(operator)].__name__)

    def _constant(self, node: ast.expr, value: object) -> None:
        around = self.path[-2].node
        field = self.path[-1].field
        if isinstance(around, ast.While):
            return
        if isinstance(value, bool):
            self._add("constant", lambda rng: ast.Constant(not value), str(value), str(not value))
        elif isinstance(value, int) and abs(value) <= _LARGEST_CONSTANT:
            for new in (value - 1, value + 1):
                if _is_writable(new, around, field):
                    self._add("constant", partial(_integer, new), str(value), str(new))

    def _arithmetic(self, node: ast.BinOp | ast.AugAssign, operand: ast.expr) -> None:
        if is_text(operand):
            return
        sign = "=" if isinstance(node, ast.AugAssign) else ""
        for kind in _ARITHMETIC.get(type(node.op), ()):
            self._add(
                "arithmetic",
                partial(_with_operator, node, kind),
                f"{type(node.op).__name__}{sign}",
                f"{kind.__name__}{sign}",
            )

    def _binary(self, node: ast.BinOp) -> None:
        self._arithmetic(node, node)
        sides = (node.left, node.right)
        if isinstance(node.op, _NON_COMMUTATIVE) and not any(map(_is_fixed, sides)) and not same(*sides):
            self._add("swap_operands", lambda rng: ast.BinOp(node.right, node.op, node.left))

    def _call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in _UNSWAPPABLE_CALLS:
            return
        positional = 0
        while positional < len(node.args) and not isinstance(node.args[positional], ast.Starred):
            positional += 1
        for first in range(positional):
            for second in range(first + 1, positional):
                if not same(node.args[first], node.args[second]):
                    self._add("swap_arguments", _swapped(node, first, second))

    def _name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load) or node.id not in self.candidates:
            return
        around = self.path[-2].node
        if isinstance(around, ast.Starred) or (isinstance(around, ast.keyword) and around.arg is None):
            return
        others = sorted(self.bound - {node.id})
        if others:
            self._add("variable_misuse", lambda rng: ast.Name(rng.choice(others), ast.Load()))


def _stands_alone(node: ast.expr) -> bool:
    """A call or await that could be a statement: builtins and methods of texts are called for a value."""
    if isinstance(node, ast.Await):
        return True
    if not isinstance(node, ast.Call):
        return False
    match node.func:
        case ast.Name(id=name):
            return name not in _BUILTIN_CALLS
        case ast.Attribute(value=receiver):
            return not is_text(receiver) and not isinstance(receiver, ast.Constant)
        case _:
            return True


def _count_returns(node: FunctionNode) -> int:
    """Returns with a value in this function's own body."""
    count = 0
    pending: list[ast.AST] = list(node.body)
    while pending:
        each = pending.pop()
        if isinstance(each, ast.Return):
            count += each.value is not None
        elif isinstance(each, ast.stmt | ast.excepthandler | ast.match_case) and not isinstance(
            each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ):
            pending.extend(ast.iter_child_nodes(each))
    return count


def _swapped(node: ast.Call, first: int, second: int) -> Callable[[random.Random], ast.AST]:
    def changed(rng: random.Random) -> ast.AST:
        arguments = list(node.args)
        arguments[first], arguments[second] = arguments[second], arguments[first]
        return ast.Call(node.func, arguments, node.keywords)

    return changed


def _with_operator(node: ast.BinOp | ast.AugAssign, kind: type[ast.operator], rng: random.Random) -> ast.AST:
    if isinstance(node, ast.AugAssign):
        return ast.AugAssign(node.target, kind(), node.value)
    return ast.BinOp(node.left, kind(), node.right)


def _integer(value: int, rng: random.Random) -> ast.expr:
    """The tree that Python reads for `value`: a negative number is a sign and a number."""
    return ast.Constant(value) if value >= 0 else ast.UnaryOp(ast.USub(), ast.Constant(-value))


def _is_writable(value: int, around: ast.AST, field: str) -> bool:
    """Whether somebody could have written this number here, as nobody does `x + 0` or `len(x) > -1`."""
    match around:
        case ast.BinOp() | ast.AugAssign():
            if isinstance(around.op, ast.Add | ast.Sub | ast.BitOr | ast.BitXor | ast.LShift | ast.RShift):
                return value > 0
            return value > 1
        case ast.Slice():
            return value != 0 if field != "step" else value not in (0, 1)
        case ast.Compare():
            return value >= 0
        case ast.Subscript() | ast.Tuple():
            return value >= -2
        case _:
            return True


def is_text(node: ast.expr) -> bool:
    """Whether an operand of this chain is plainly no number: another operator there is seen at a glance."""
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    return isinstance(node, _NOT_NUMBERS) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def _is_fixed(node: ast.expr) -> bool:
    """A constant, signed or not, or a display: on the wrong side of an operator it shows."""
    if isinstance(node, ast.UnaryOp):
        return _is_fixed(node.operand)
    return isinstance(node, ast.Constant) or is_text(node)


def same(first: object, second: object) -> bool:
    """Whether two trees are written alike (`x` assigned and `x` read are); far cheaper than two dumps."""
    kind = type(first)
    if kind is not type(second):
        return False
    if isinstance(first, ast.AST):
        for field in first._fields:  # a loop, not all(...): this is most of what making a mutant costs
            if field in ("ctx", "kind"):
                continue
            if not same(getattr(first, field, None), getattr(second, field, None)):
                return False
        return True
    if isinstance(first, list):
        assert isinstance(second, list)
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _parameters(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (each for each in (arguments.vararg, arguments.kwarg) if each is not None)


def _stored(node: ast.AST) -> frozenset[str]:
    return frozenset(each.id for each in ast.walk(node) if isinstance(each, ast.Name) and _is_store(each))


def _candidates(node: FunctionNode) -> frozenset[str]:
    """Parameters and assigned names of this very scope that hold a value wherever they are bound.

    Receivers, *args and **kwargs are left out (they would show), and so is what is global, nonlocal, deleted,
    imported, the name of an exception (unbound after its handler) or of a nested function or class.
    """
    names = {each.arg for each in _parameters(node.args)}
    unfit: set[str] = set(_RECEIVERS)
    unfit.update(each.arg for each in (node.args.vararg, node.args.kwarg) if each is not None)
    pending: list[ast.AST] = list(node.body)
    while pending:
        each = pending.pop()
        kind = type(each)
        if kind is ast.Name:
            assert isinstance(each, ast.Name)
            if type(each.ctx) is ast.Store:
                names.add(each.id)
            elif type(each.ctx) is ast.Del:
                unfit.add(each.id)
            continue
        if kind in _SCOPES:
            unfit.update(filter(None, [getattr(each, "name", None)]))
            # A walrus inside a comprehension binds here, but only once the comprehension has run.
            unfit.update(walrus.target.id for walrus in ast.walk(each) if isinstance(walrus, ast.NamedExpr))
            continue
        if isinstance(each, ast.Global | ast.Nonlocal):
            unfit.update(each.names)
        elif isinstance(each, ast.Import | ast.ImportFrom):
            unfit.update(alias.asname or alias.name.partition(".")[0] for alias in each.names)
        elif isinstance(each, ast.ExceptHandler) and each.name is not None:
            unfit.add(each.name)
        for field in kind._fields:
            value = getattr(each, field, None)
            if isinstance(value, list):
                pending.extend(child for child in value if isinstance(child, ast.AST))
            elif isinstance(value, ast.AST):
                pending.append(value)
    return frozenset(names - unfit)
