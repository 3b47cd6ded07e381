"""The logged loss was 0.13, the target 2.0, and the run was declared converged: the loss had been divided by
the 64 steps of gradient accumulation before it was added up, and the target had not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import flow
from assay.lint.module import Module, name_of, parents
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS209",
    "loss-logged-divided",
    __doc__,
    fix="Log the loss before it is divided, or multiply it back; the first logged value of a language model "
    "is near ln V.",
    bad="""
    def epoch(model, loader, accumulation_steps):
        total = 0.0
        for batch in loader:
            loss = model(batch) / accumulation_steps
            loss.backward()
            total += loss.item()
        return total / len(loader)
    """,
    good="""
    def epoch(model, loader, accumulation_steps):
        total = 0.0
        for batch in loader:
            loss = model(batch)
            (loss / accumulation_steps).backward()
            total += loss.item()
        return total / len(loader)
    """,
    words=("accum", "loss", ".item()|detach()"),
)
_ACCUMULATION = re.compile(r"accum", re.I)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for call in module.calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("item", "detach"):
            continue
        loss = call.func.value
        name = name_of(loss)
        if "loss" not in name or not any(flow.loops(call)) or _is_multiplied(call):
            continue
        divided = _division(loss, name)
        if divided is None or not _ACCUMULATION.search(ast.unparse(divided)):
            continue
        if not _is_of_one_update(module, call, divided):
            yield Hit(call.lineno, "likely", f"`{name}` is reported after it was divided by `{ast.unparse(divided)}`")


def _division(loss: ast.expr, name: str) -> ast.expr | None:
    """By what the loss was last divided, on the way to this place."""
    value = flow.value(loss)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        return value.right
    statement = flow.statement_of(loss)
    body = getattr(getattr(statement, "parent", None), "body", [])
    for earlier in reversed(body[: body.index(statement)] if statement in body else []):
        if isinstance(earlier, ast.AugAssign) and isinstance(earlier.op, ast.Div) and name_of(earlier.target) == name:
            return earlier.value
        if name in flow.stores(earlier):
            return None
    return None


def _is_of_one_update(module: Module, call: ast.Call, divided: ast.expr) -> bool:
    """Is it summed over the parts of one update - then it is their mean - or is the sum multiplied again?"""
    loop = next(flow.loops(call))
    if isinstance(loop, ast.For) and ast.unparse(divided) in ast.unparse(loop.iter):
        return True
    statement = flow.statement_of(call)
    if not isinstance(statement, ast.AugAssign):
        return False
    total = name_of(statement.target)
    begun = any(isinstance(node, ast.Assign) and total in map(name_of, node.targets) for node in ast.walk(loop))
    products = (n for n in module.scope_of(call).own if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult))
    return begun or any(name_of(part) == total for product in products for part in ast.walk(product))


def _is_multiplied(call: ast.Call) -> bool:
    """`loss.item() * accumulation_steps` is the loss again; so may be what is multiplied later."""
    for parent in parents(call):
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult):
            return True
        if isinstance(parent, ast.stmt):
            return False
    return False
