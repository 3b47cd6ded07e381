"""The same function written in another way: what a model of meaning must not be misled by.

A rewrite keeps what the function returns for the values it is made for; what it may change (the order in which
operands without calls are read, rounding, whether a list is altered or made anew) is why a rewrite counts only after it
has passed the tests. Nothing is invented that nobody would write. Mutants are made of rewrites as well as of
originals, so the way of writing tells nothing about the label.

    rename         parameters and local names get other common names
    invert         the branches of an if or a conditional expression change places under the opposite condition;
                   an early return becomes the else of what follows
    comprehension  a loop that only appends becomes a comprehension, one that only finds becomes any() or all()
    loop           a comprehension that is assigned or returned becomes a loop that appends
    reassociate    a + b + c -> a + (b + c), and back; the same for *
    commute        a * b -> b * a, a + 1 -> 1 + a: no calls, and for + one side that can only be a number
    flip           a < b -> b > a
    augment        x += y -> x = x + y, and back
    name_result    return e -> result = e; return result, and back
    nest           if a and b: -> if a: if b:, and back
"""

import ast
import builtins
import copy
import keyword
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from corpus.mutations import is_text, same
from corpus.parsing import FunctionNode, compiles, function_node, parse, unparse
from corpus.scopes import Analysis

OPERATORS: Final = (
    "rename",
    "invert",
    "comprehension",
    "loop",
    "reassociate",
    "commute",
    "flip",
    "augment",
    "name_result",
    "nest",
)

# Names that stand in all kinds of code; the choice says nothing about what the function does.
_NAMES: Final = (
    *("a", "b", "c", "d", "e", "i", "j", "k", "m", "n", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"),
    *("acc", "arr", "base", "best", "cnt", "cur", "current", "data", "elem", "element", "end", "entry", "first"),
    *("found", "idx", "index", "item", "items", "key", "last", "left", "length", "limit", "lst", "nums", "number"),
    *("numbers", "out", "output", "pair", "part", "parts", "pos", "prev", "rest", "right", "row", "seq", "size"),
    *("start", "step", "temp", "text", "total", "val", "value", "values", "word", "words"),
)
_RESULTS: Final = ("result", "res", "ret", "output", "answer", "value")
_MIRRORED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}
# The opposites of < and > are not here: with NaN, or in a partial order, both can be false.
_OPPOSITE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ACTS: Final = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

_Site = Callable[[], None]


def rewrite(source: str, operator: str, rng: random.Random) -> str | None:
    """`source` in canonical form, rewritten at a place that `rng` chooses; None where the operator cannot act.

    Raises ValueError for an unknown operator, and what `corpus.parsing.function_node` raises.
    """
    if operator not in _FINDERS:
        raise ValueError(f'unknown rewrite "{operator}"; known: {", ".join(OPERATORS)}')
    node = function_node(source)
    before = unparse(node)
    sites = list(_FINDERS[operator](node, rng))
    if not sites:
        return None
    rng.choice(sites)()
    ast.fix_missing_locations(node)
    try:
        text = unparse(node)
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    return text if text != before and compiles(tree) else None


def versions(source: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """(operator, rewrite) by every operator that can act on `source`, in random order. Raises what `rewrite` raises."""
    operators = list(OPERATORS)
    rng.shuffle(operators)
    for operator in operators:
        found = rewrite(source, operator, rng)
        if found is not None:
            yield operator, found


# -- names -----------------------------------------------------------------------------------------


def _rename(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    analysis = Analysis(node)
    scope = analysis.scope
    if _declared(node) or scope.imports:
        return
    unfit = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Del)}
    unfit |= {"self", "cls", node.name}
    named = [each for each in analysis.occurrences if each.scope.resolve(each.name) is scope]
    names = sorted({each.name for each in named if not each.name.startswith("_")} - unfit)
    if not names:
        return
    taken = {each.name for each in analysis.occurrences} | set(vars(builtins)) | set(keyword.kwlist)
    taken |= {each.arg for each in ast.walk(node) if isinstance(each, ast.keyword) and each.arg is not None}
    fresh = [name for name in _NAMES if name not in taken]
    rng.shuffle(fresh)
    if len(fresh) < len(names):
        return
    renamed = dict(zip(names, fresh, strict=False))

    def act() -> None:
        for each in named:
            if each.name in renamed:
                each.rename(renamed[each.name])

    yield act


# -- conditions ------------------------------------------------------------------------------------


def _opposite(test: ast.expr) -> ast.expr:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPPOSITE:
            return ast.Compare(left, [_OPPOSITE[type(op)]()], [right])
    return ast.UnaryOp(ast.Not(), test)


def _invert(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    for each in ast.walk(node):
        if isinstance(each, ast.IfExp) or (isinstance(each, ast.If) and each.orelse and not _is_elif(each)):
            yield _swap_branches(each)
    for block in _blocks(node):
        for place, each in enumerate(block[:-1]):
            if isinstance(each, ast.If) and not each.orelse and isinstance(each.body[-1], ast.Return | ast.Raise):
                yield _early_return(block, place, each)


def _is_elif(node: ast.If) -> bool:
    return len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)


def _swap_branches(node: ast.If | ast.IfExp) -> _Site:
    def act() -> None:
        node.test = _opposite(node.test)
        node.body, node.orelse = node.orelse, node.body  # type: ignore[assignment]

    return act


def _early_return(block: list[ast.stmt], place: int, node: ast.If) -> _Site:
    """What follows an early return runs only under the opposite condition."""

    def act() -> None:
        rest = block[place + 1 :]
        node.test, node.body, node.orelse = _opposite(node.test), rest, node.body
        del block[place + 1 :]

    return act


def _nest(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    for each in ast.walk(node):
        if not isinstance(each, ast.If) or each.orelse:
            continue
        if isinstance(each.test, ast.BoolOp) and isinstance(each.test.op, ast.And):
            yield _split_condition(each, each.test.values)
        inner = each.body[0]
        if len(each.body) == 1 and isinstance(inner, ast.If) and not inner.orelse:
            yield _join_conditions(each, inner)


def _split_condition(node: ast.If, values: list[ast.expr]) -> _Site:
    def act() -> None:
        rest = values[1] if len(values) == 2 else ast.BoolOp(ast.And(), values[1:])
        node.test, node.body = values[0], [ast.If(rest, node.body, [])]

    return act


def _join_conditions(outer: ast.If, inner: ast.If) -> _Site:
    def act() -> None:
        outer.test, outer.body = ast.BoolOp(ast.And(), [outer.test, inner.test]), inner.body

    return act


def _flip(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    for each in ast.walk(node):
        if isinstance(each, ast.Compare) and len(each.ops) == 1 and type(each.ops[0]) in _MIRRORED:
            right = each.comparators[0]
            # Nobody writes `0 == x`, and an order of calls may matter.
            if isinstance(right, ast.Constant) or _acts(each.left) or _acts(right):
                continue
            yield _mirror(each)


def _mirror(node: ast.Compare) -> _Site:
    def act() -> None:
        node.left, node.comparators = node.comparators[0], [node.left]
        node.ops = [_MIRRORED[type(node.ops[0])]()]

    return act


# -- loops -----------------------------------------------------------------------------------------


def _comprehension(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    declared = _declared(node)
    for block in _blocks(node):
        for place in range(len(block) - 1):
            first, second = block[place], block[place + 1]
            if isinstance(first, ast.Assign) and isinstance(second, ast.For):
                site = _appending(node, block, place, first, second)
            elif isinstance(first, ast.For) and isinstance(second, ast.Return):
                site = _finding(block, place, first, second)
            else:
                site = None
            if site is not None and not declared & (_stored(first) | _stored(second)):
                yield site


def _appending(
    function: FunctionNode, block: list[ast.stmt], place: int, start: ast.Assign, loop: ast.For
) -> _Site | None:
    match start:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=[])):
            pass
        case _:
            return None
    if loop.orelse or len(loop.body) != 1:
        return None
    inner, tests = _guarded(loop.body[0])
    match inner:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=receiver), attr="append"), args=[element], keywords=[])
        ) if receiver == name:
            pass
        case _:
            return None
    parts = [element, loop.iter, *tests]
    if any(name in _names(part) or _has(part, ast.Await, ast.Yield, ast.YieldFrom) for part in parts):
        return None
    # The loop's variable lives on after a loop, and does not after a comprehension.
    if _names(loop.target) & _names_outside(function, loop):
        return None

    def act() -> None:
        start.value = ast.ListComp(element, [ast.comprehension(loop.target, loop.iter, tests, 0)])
        del block[place + 1]

    return act


def _finding(block: list[ast.stmt], place: int, loop: ast.For, end: ast.Return) -> _Site | None:
    if loop.orelse or len(loop.body) != 1:
        return None
    match loop.body[0], end.value:
        case (
            ast.If(test=test, body=[ast.Return(value=ast.Constant(value=bool() as found))], orelse=[]),
            ast.Constant(value=bool() as otherwise),
        ) if found is not otherwise:
            pass
        case _:
            return None
    if _has(test, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr):
        return None

    def act() -> None:
        element = test if found else _opposite(test)
        generator = ast.GeneratorExp(element, [ast.comprehension(loop.target, loop.iter, [], 0)])
        end.value = ast.Call(ast.Name("any" if found else "all", ast.Load()), [generator], [])
        del block[place]

    return act


def _guarded(statement: ast.stmt) -> tuple[ast.stmt, list[ast.expr]]:
    """The one statement under `if`s without an else, and their conditions."""
    tests: list[ast.expr] = []
    while isinstance(statement, ast.If) and not statement.orelse and len(statement.body) == 1:
        tests.append(statement.test)
        statement = statement.body[0]
    return statement, tests


def _loop(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    declared = _declared(node)
    used = _names(node) | declared
    for block in _blocks(node):
        for place, each in enumerate(block):
            match each:
                case ast.Return(value=ast.ListComp() as value):
                    name = next((name for name in _RESULTS if name not in used), None)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.ListComp() as value) if name not in declared:
                    pass
                case _:
                    continue
            if name is None or name in _names(value) or any(part.is_async for part in value.generators):
                continue
            targets = set().union(*(_names(part.target) for part in value.generators))
            if targets & (declared | _names_outside(node, value)) or _has(value, ast.NamedExpr, ast.Lambda):
                continue
            yield _unrolled(block, place, each, value, name)


def _unrolled(block: list[ast.stmt], place: int, statement: ast.stmt, value: ast.ListComp, name: str) -> _Site:
    def act() -> None:
        appended = ast.Attribute(ast.Name(name, ast.Load()), "append", ast.Load())
        inner: ast.stmt = ast.Expr(ast.Call(appended, [value.elt], []))
        for part in reversed(value.generators):
            for test in reversed(part.ifs):
                inner = ast.If(test, [inner], [])
            inner = ast.For(part.target, part.iter, [inner], [])
        lines: list[ast.stmt] = [ast.Assign([ast.Name(name, ast.Store())], ast.List([], ast.Load())), inner]
        if isinstance(statement, ast.Return):
            lines.append(ast.Return(ast.Name(name, ast.Load())))
        block[place : place + 1] = lines

    return act


# -- arithmetic ------------------------------------------------------------------------------------


def _reassociate(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    for each in ast.walk(node):
        if not isinstance(each, ast.BinOp) or not isinstance(each.op, ast.Add | ast.Mult):
            continue
        for inner in (each.left, each.right):
            if isinstance(inner, ast.BinOp) and type(inner.op) is type(each.op) and not is_text(each):
                yield _turn(each, inner)


def _turn(outer: ast.BinOp, inner: ast.BinOp) -> _Site:
    def act() -> None:
        if outer.left is inner:
            outer.left, outer.right = inner.left, ast.BinOp(inner.right, outer.op, outer.right)
        else:
            outer.left, outer.right = ast.BinOp(outer.left, outer.op, inner.left), inner.right

    return act


def _commute(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    for each in ast.walk(node):
        if not isinstance(each, ast.BinOp) or not (isinstance(each.op, ast.Mult) or _is_sum(each)):
            continue
        if not (is_text(each) or _acts(each.left) or _acts(each.right) or same(each.left, each.right)):
            yield _exchange(each)


def _is_sum(node: ast.BinOp) -> bool:
    """An addition of what can only be numbers: texts and lists are added, too, and do not commute."""
    return isinstance(node.op, ast.Add) and any(map(_is_number, (node.left, node.right)))


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=int() | float()) | ast.UnaryOp(op=ast.USub()):
            return True
        case ast.BinOp(op=ast.Sub() | ast.Div() | ast.FloorDiv() | ast.Pow()):
            return True
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _is_number(left) or _is_number(right)
        case ast.Call(func=ast.Name(id="len" | "int" | "float" | "abs" | "ord")):
            return True
    return False


def _exchange(node: ast.BinOp) -> _Site:
    def act() -> None:
        node.left, node.right = node.right, node.left

    return act


def _augment(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    for block in _blocks(node):
        for place, each in enumerate(block):
            match each:
                case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                    new: ast.stmt = ast.Assign(
                        [ast.Name(name, ast.Store())], ast.BinOp(ast.Name(name, ast.Load()), op, value)
                    )
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.BinOp(left=ast.Name(id=left), op=op, right=value)
                ) if name == left:
                    new = ast.AugAssign(ast.Name(name, ast.Store()), op, value)
                case _:
                    continue
            yield _put(block, place, [new])


# -- results ---------------------------------------------------------------------------------------


def _name_result(node: FunctionNode, rng: random.Random) -> Iterator[_Site]:
    declared = _declared(node)
    used = _names(node) | declared
    fresh = [name for name in _RESULTS if name not in used]
    rng.shuffle(fresh)
    for block in _blocks(node):
        for place, each in enumerate(block):
            if not isinstance(each, ast.Return) or each.value is None:
                continue
            if isinstance(each.value, ast.Name):
                before = block[place - 1] if place else None
                match before:
                    case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == each.value.id not in declared:
                        yield _put(block, place - 1, [ast.Return(value)], length=2)
            elif not isinstance(each.value, ast.Constant) and fresh:
                yield _put(
                    block,
                    place,
                    [
                        ast.Assign([ast.Name(fresh[0], ast.Store())], each.value),
                        ast.Return(ast.Name(fresh[0], ast.Load())),
                    ],
                )


# -- trees -----------------------------------------------------------------------------------------


def _put(block: list[ast.stmt], place: int, new: Sequence[ast.stmt], length: int = 1) -> _Site:
    def act() -> None:
        block[place : place + length] = copy.copy(list(new))

    return act


def _blocks(node: FunctionNode) -> Iterator[list[ast.stmt]]:
    """Every list of statements in the function's own body, nested functions and classes left alone."""
    pending: list[ast.AST] = [node]
    while pending:
        each = pending.pop()
        for field in ("body", "orelse", "finalbody"):
            block = getattr(each, field, None)
            if isinstance(block, list) and block:
                yield block
                pending.extend(part for part in block if not isinstance(part, _SCOPES))
        pending.extend(getattr(each, "handlers", ()))
        pending.extend(getattr(each, "cases", ()))


def _names(node: ast.AST) -> set[str]:
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return found | {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}


def _stored(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _declared(node: FunctionNode) -> set[str]:
    """Names that something declares global or nonlocal: binding one, or no longer, is seen elsewhere."""
    found = (each.names for each in ast.walk(node) if isinstance(each, ast.Global | ast.Nonlocal))
    return {name for names in found for name in names}


def _names_outside(function: FunctionNode, part: ast.AST) -> set[str]:
    """Names that the function uses elsewhere than in `part`; those that another comprehension binds are its own."""
    found: set[str] = set()
    pending: list[ast.AST] = [function]
    while pending:
        each = pending.pop()
        if each is part:
            continue
        if isinstance(each, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            own = set().union(*(_names(generator.target) for generator in each.generators))
            found |= (_names(each) - own) | _names(each.generators[0].iter)
            continue
        if isinstance(each, ast.Name):
            found.add(each.id)
        elif isinstance(each, ast.arg):
            found.add(each.arg)
        pending.extend(ast.iter_child_nodes(each))
    return found


def _has(node: ast.AST, *kinds: type[ast.AST]) -> bool:
    return any(isinstance(each, kinds) for each in ast.walk(node))


def _acts(node: ast.AST) -> bool:
    return _has(node, *_ACTS)


_FINDERS: Final[dict[str, Callable[[FunctionNode, random.Random], Iterator[_Site]]]] = {
    "rename": _rename,
    "invert": _invert,
    "comprehension": _comprehension,
    "loop": _loop,
    "reassociate": _reassociate,
    "commute": _commute,
    "flip": _flip,
    "augment": _augment,
    "name_result": _name_result,
    "nest": _nest,
}
