"""Under what a value goes out: the key, the words before it in a message, the place that it is put into.

The text nearest before the value counts. Nothing here judges what the words mean.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from assay.lint.facts import LOGGING
from assay.lint.module import name_of, parents, string

_PERCENT = re.compile(r"%(?:\(\w+\))?[-+ #0]*[\d.*]*[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")


def of(value: ast.AST) -> str:
    """The label of an expression, through whatever calls and operators stand around it; nothing where it has none."""
    node = value
    for parent in parents(value):
        if isinstance(parent, ast.Dict):
            return next((string(k) or "" for k, v in zip(parent.keys, parent.values, strict=True) if v is node), "")
        if isinstance(parent, ast.JoinedStr):
            return _last_text(parent.values, node)
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add) and (before := string(parent.left)):
            return before
        if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mod) and (template := string(parent.left)):
            fields = parent.right.elts if isinstance(parent.right, ast.Tuple) else [parent.right]
            return _before(_PERCENT, template, _index(fields, value))
        if isinstance(parent, ast.Call) and any(argument is node for argument in parent.args):
            if isinstance(parent.func, ast.Attribute) and parent.func.attr == "format":
                return _before(_BRACES, string(parent.func.value) or "", _index(parent.args, node))
            if LOGGING.search(name_of(parent.func)) and (before := _last_text(parent.args, node)):
                return before
        if isinstance(parent, ast.Assign):
            target = parent.targets[0]
            return (string(target.slice) or "") if isinstance(target, ast.Subscript) else ""
        if isinstance(parent, ast.stmt | ast.Lambda | ast.comprehension):
            return ""
        node = parent
    return ""


def _index(elements: Sequence[ast.expr], value: ast.AST) -> int:
    """Which of the elements is the value, or holds it."""
    around = {id(value), *map(id, parents(value))}
    return next(index for index, element in enumerate(elements) if id(element) in around)


def _last_text(parts: Sequence[ast.expr], node: ast.AST) -> str:
    """The last words before the part that holds the node."""
    before = parts[: _index(parts, node)]
    return next((text for part in reversed(before) if (text := string(part))), "")


def _before(fields: re.Pattern[str], template: str, position: int) -> str:
    """The words of a template before its field of that number."""
    parts = fields.split(template)
    return parts[position] if position < len(parts) else ""
