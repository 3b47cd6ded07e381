"""Which assignment a name holds at a place, when only one can be meant: it dominates the place and nothing intervenes.

Loops are honoured: a name that a loop assigns anywhere in its body is unknown at the loop's head.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint.module import name_of, parents, walk

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def value(place: ast.expr) -> ast.expr | None:
    """The expression that the name or attribute at a place was last assigned, or None where that depends."""
    name = name_of(place)
    statement: ast.AST = place
    while name and (block := _block(statement)) is not None:
        body, index = block
        for earlier in reversed(body[:index]):
            if isinstance(earlier, ast.Assign) and len(earlier.targets) == 1 and name_of(earlier.targets[0]) == name:
                return earlier.value
            if name in stores(earlier):
                return None
        statement = body[index].parent  # type: ignore[attr-defined]
        if isinstance(statement, (*_FUNCTIONS, ast.Module)):
            return None
        if isinstance(statement, _LOOPS) and name in stores(statement):
            return None
    return None


def statement_of(node: ast.AST) -> ast.stmt | None:
    """The statement in which an expression stands."""
    return next((n for n in [node, *parents(node)] if isinstance(n, ast.stmt)), None)


def stores(node: ast.AST) -> set[str]:
    """Every name and attribute that is assigned somewhere in a piece of code."""
    return {
        name_of(n)
        for n in walk(node)
        if isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, (ast.Store, ast.Del))
    }


def loops(node: ast.AST) -> Iterator[ast.For | ast.AsyncFor | ast.While]:
    """The loops around a node within its function, from the inside out."""
    for parent in parents(node):
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if isinstance(parent, _LOOPS):
            yield parent


def _block(node: ast.AST) -> tuple[list[ast.stmt], int] | None:
    """The list of statements that holds the node's statement, and where in it."""
    statement = statement_of(node)
    parent = getattr(statement, "parent", None)
    if statement is None or parent is None:
        return None
    for field in ("body", "orelse", "finalbody"):
        body = getattr(parent, field, None)
        if isinstance(body, list) and statement in body:
            return body, body.index(statement)
    return None
