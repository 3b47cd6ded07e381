"""`assert torch.norm(v) >= 0` and `assert len(items) == 3`, two lines below `items = [1, 2, 3]`: true of every
model that was ever built. A constant stood in for the model, and all but nine of the suite's tests still
passed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import flow
from assay.lint.finding import Confidence
from assay.lint.module import Module, constant, name_of, number
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS402",
    "tautology",
    __doc__,
    fix="Assert something that a wrong model would violate: a value computed by hand, an invariant, a comparison.",
    bad={"test_norm.py": "def test_norm(v):\n    assert v.norm() >= 0\n"},
    good={"test_norm.py": "def test_norm(v):\n    assert abs(v.norm() - 1) < 1e-6\n"},
    words=("assert", "test"),
)
_NOT_NEGATIVE = re.compile(r"(^|\.)(norm|len|abs|std|var|square|vector_norm|count_nonzero|numel)$")
_METHODS = {"assertTrue": 1, "assertEqual": 2, "assertIsNotNone": 1, "assertEquals": 2}
_Verdict = tuple[Confidence, str]


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if not module.is_test:
        return
    for statement in module.nodes(ast.Assert):
        if (found := _always(statement.test)) is not None:
            yield Hit(statement.lineno, *found)
    yield from _swallowed(module)
    for call in module.calls:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if _METHODS.get(last) == 1 and call.args:
            argument = call.args[0]
            if last == "assertTrue" and (found := _always(argument)) is not None:
                yield Hit(call.lineno, *found)
            elif last == "assertIsNotNone" and name_of(argument) == "self":
                yield Hit(call.lineno, "certain", "`self` is never None")
        elif _METHODS.get(last) == 2 and len(call.args) >= 2 and _same(call.args[0], call.args[1]):
            yield Hit(call.lineno, "look", "both sides are the same expression")


def _always(test: ast.expr) -> _Verdict | None:
    """Why the expression is true whatever the code under test does."""
    if isinstance(test, ast.Constant) and test.value:
        return "likely", f"`{ast.unparse(test)[:40]}` is always true"
    if isinstance(test, ast.Tuple) and test.elts:
        return "certain", "a tuple is always true; the parentheses swallowed the comparison"
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) and any(map(_is_true, test.values)):
        return "certain", "`or True` is always true"
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) and _are_opposite(test.values):
        return "certain", f"`{ast.unparse(test)[:60]}` is always true: each half is the other's opposite"
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _compared(test.left, test.ops[0], test.comparators[0])
    return None


def _are_opposite(halves: list[ast.expr]) -> bool:
    """`x is None or x is not None`."""
    told = set()
    for half in halves:
        if isinstance(half, ast.Compare) and len(half.ops) == 1 and _is_plain(half.left, half.comparators[0]):
            told.add((ast.unparse(half.left), type(half.ops[0]), ast.unparse(half.comparators[0])))
    opposite = {ast.Is: ast.IsNot, ast.Eq: ast.NotEq, ast.In: ast.NotIn}
    return any((left, opposite.get(kind), right) in told for left, kind, right in told)


def _is_plain(*sides: ast.expr) -> bool:
    return all(isinstance(side, ast.Constant) or bool(name_of(side)) for side in sides)


def _swallowed(module: Module) -> Iterator[Hit]:
    """`try: assert ...` under an `except` that takes the failure and says nothing."""
    for attempt in module.nodes(ast.Try):
        asserted = next((s for s in attempt.body if isinstance(s, ast.Assert)), None)
        if asserted is None or attempt.orelse:
            continue
        for handler in attempt.handlers:
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            takes = any(t is None or name_of(t) in ("Exception", "BaseException", "AssertionError") for t in types)
            if takes and all(isinstance(s, ast.Pass | ast.Continue) for s in handler.body):
                yield Hit(asserted.lineno, "likely", "its failure is swallowed by the `except` below")


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> _Verdict | None:
    if isinstance(left, ast.Call) and isinstance(operator, ast.GtE) and number(right) == 0:
        last = left.func.attr if isinstance(left.func, ast.Attribute) else name_of(left.func)
        if _NOT_NEGATIVE.search(last):
            return "certain", f"`{last}` is never negative"
    if (
        isinstance(operator, ast.Eq)
        and isinstance(left, ast.Call)
        and name_of(left.func) == "len"
        and len(left.args) == 1
    ):
        made = flow.value(left.args[0]) if isinstance(left.args[0], ast.Name) else left.args[0]
        if isinstance(made, ast.List | ast.Tuple) and not any(isinstance(e, ast.Starred) for e in made.elts):
            place = left.args[0]
            untouched = not isinstance(place, ast.Name) or _is_only_measured(place)
            if number(right) == len(made.elts) and made.elts and untouched:
                return "certain", f"the list is written out above with {len(made.elts)} items"
    if isinstance(operator, ast.Eq | ast.Is) and _same(left, right):
        return "look", "both sides are the same expression"
    return None


def _is_only_measured(place: ast.Name) -> bool:
    """Is the list only built and measured, never handed to code that might change it?"""
    statement = flow.statement_of(place)
    holder = getattr(statement, "parent", None)
    names = [n for n in ast.walk(holder) if isinstance(n, ast.Name) and n.id == place.id] if holder is not None else []
    return len(names) == 2


def _same(left: ast.expr, right: ast.expr) -> bool:
    plain = isinstance(left, ast.Name | ast.Attribute) and constant(left) is None
    return plain and bool(name_of(left)) and name_of(left) == name_of(right) and "()" not in name_of(left)
