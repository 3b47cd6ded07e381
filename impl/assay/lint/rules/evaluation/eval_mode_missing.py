"""81.82 % of nine tokens out of eleven, with dropout on: the loop trained, called `evaluate`, and no line of
the project called `model.eval()`. The same input gave two answers, and batch norm learnt from the validation
set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint.module import Function, Module, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS106",
    "eval-mode-missing",
    __doc__,
    fix="Call `model.eval()` before and `model.train()` after; assert `not model.training` where figures are made.",
    bad="""
    import torch

    def train(model, loader):
        model.train()
        for batch in loader:
            model(batch).backward()

    def evaluate(model, loader):
        with torch.no_grad():
            return sum(model(batch).item() for batch in loader)
    """,
    good="""
    import torch

    def train(model, loader):
        model.train()
        for batch in loader:
            model(batch).backward()

    def evaluate(model, loader):
        model.eval()
        with torch.no_grad():
            return sum(model(batch).item() for batch in loader)
    """,
    words=(".train()", "eval|valid|test", "no_grad|inference_mode", "backward"),
)
_EVALUATES = re.compile(
    r"^_?(evaluate|validate|test|eval|validation|run_eval\w*|val_epoch|eval_epoch|evaluate_\w+|validate_\w+)$"
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    text = module.source.text
    if module.is_test or ".eval()" in text or re.search(r"\.train\((False|mode)", text):
        return
    trained = {
        name_of(c.func).removesuffix(".train")
        for c in module.calls
        if name_of(c.func).endswith(".train") and not c.args
    }
    for function in module.functions:
        if not _EVALUATES.match(function.name) or not _is_without_gradient(module, function):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and name_of(node.func) in trained and name_of(node.func).endswith("model"):
                message = (
                    f"`{function.name}` runs `{name_of(node.func)}` as training left it: nothing here calls `.eval()`"
                )
                yield Hit(function.lineno, "likely", message)
                break


def _is_without_gradient(module: Module, function: Function) -> bool:
    names = {module.dotted(n) for n in ast.walk(function) if isinstance(n, ast.Attribute | ast.Name)}
    return any(name.endswith(("no_grad", "inference_mode")) for name in names)
