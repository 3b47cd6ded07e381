"""Every input failed to parse, every exception became `confidence 0.0`, and the report praised the model for
its stable output: std 0.000 over 164 problems. An error that looks like an answer is counted as one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import flow, vocabulary
from assay.lint.module import Module, constant, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS503",
    "error-as-answer",
    __doc__,
    fix="Let the error out, or answer with an error that no consumer can take for a score, and count it.",
    bad="""
    def predict(model, code):
        try:
            return {"confidence": model(code)}
        except Exception:
            return {"confidence": 0.0}
    """,
    good="""
    def predict(model, code):
        try:
            return {"confidence": model(code)}
        except SyntaxError as error:
            raise ValueError(f"cannot be parsed: {error}") from error
    """,
    words=("except",),
)
_ANSWERS = (vocabulary.METRICS | vocabulary.PREDICTIONS) - vocabulary.listed(
    "map ap precision recall correlation acc hits similarity similarities logit logits iou dice wer ece"
)
_ZEROS = re.compile(r"(^|\.)(zeros|zeros_like|randn|rand)$")
_VECTOR = re.compile(r"embed|encode|feature|extract|vector|represent", re.I)
_PREDICTS = vocabulary.listed("predict prediction classify infer inference detect rank")
_NO_VALUE = vocabulary.listed(
    "ZeroDivisionError ImportError ModuleNotFoundError AttributeError OverflowError StopIteration FloatingPointError "
    "KeyboardInterrupt NotImplementedError"
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for handler in module.nodes(ast.ExceptHandler):
        types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        names = {name_of(t).rpartition(".")[2] for t in types}
        inside = [n for s in handler.body for n in ast.walk(s)]
        if names <= _NO_VALUE or any(isinstance(n, ast.Raise | ast.Continue) for n in inside):
            continue
        function = module.function_of(handler)
        answer = next((a for n in inside if (a := _answer(n, function.name if function else "")) is not None), None)
        if answer is not None:
            sure = bool(names & {"", "Exception", "BaseException"})
            yield Hit(
                answer[0], "likely" if sure else "look", f"an error becomes {answer[1]}, which counts as an answer"
            )


def _answer(node: ast.AST, function: str) -> tuple[int, str] | None:
    """(line, what) of a literal given in place of a score."""
    if isinstance(node, ast.Return):
        first = node.value.elts[0] if isinstance(node.value, ast.Tuple) and node.value.elts else node.value
        if _VECTOR.search(function) and first is not None and (made := _zeros(first)) is not None:
            return node.lineno, f"`{ast.unparse(made)}`"
        if first is not node.value and _is_number(first) and vocabulary.says(function, _ANSWERS):
            return node.lineno, f"`{ast.unparse(node)}`"
        if _is_number(node.value) and vocabulary.says(function, _ANSWERS):
            return node.lineno, f"`{ast.unparse(node)}`"
        if isinstance(node.value, ast.Dict):
            values = node.value.values
            if values and all(map(_is_number, values)) and vocabulary.says(function, _PREDICTS):
                return node.lineno, f"`{ast.unparse(node.value)}`"
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if vocabulary.says(string(key) or "", _ANSWERS) and _is_number(value):
                    return node.lineno, f'`"{string(key)}": {ast.unparse(value)}`'
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
        kept = name_of(node.func.value)
        if node.args and _is_number(node.args[0]) and any(vocabulary.says(n, _ANSWERS) for n in (kept, function)):
            return node.lineno, f"`{ast.unparse(node)}`"
    if isinstance(node, ast.Assign):
        target, value = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=False))
        for left, right in pairs:
            name = name_of(left) or (string(left.slice) if isinstance(left, ast.Subscript) else "") or ""
            if (
                vocabulary.says(name, _ANSWERS)
                and _is_number(right)
                and not vocabulary.says(name, vocabulary.NOT_MEASURED)
            ):
                return node.lineno, f"`{name} = {ast.unparse(right)}`"
    return None


def _zeros(node: ast.expr) -> ast.expr | None:
    """The vector of nothing that an expression is: `np.zeros(768)`, `[0.0] * 768`, or a name that holds one."""
    made = flow.value(node) if isinstance(node, ast.Name) else node
    if isinstance(made, ast.Call) and _ZEROS.search(name_of(made.func)):
        return made
    listed = isinstance(made, ast.BinOp) and isinstance(made.op, ast.Mult) and isinstance(made.left, ast.List)
    return made if listed and all(_is_number(one) for one in made.left.elts) else None  # type: ignore[union-attr]


def _is_number(node: ast.expr | None) -> bool:
    value = constant(node)
    return isinstance(value, int | float) and not isinstance(value, bool)
