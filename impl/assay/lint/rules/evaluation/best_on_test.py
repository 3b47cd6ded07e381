"""Two hundred epochs, the test accuracy measured after each, the best one printed as "Test accuracy". The test
set chose the epoch; what is left of the figure is not a measurement on unseen data. On small graphs this alone
is worth two points."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint import flow, vocabulary
from assay.lint.module import Module, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS108",
    "best-on-test",
    __doc__,
    fix="Select on validation data, then measure once on the test data.",
    bad="""
    best_test_acc = 0
    for epoch in range(200):
        test_acc = evaluate(model, test_loader)
        if test_acc > best_test_acc:
            best_test_acc = test_acc
    print("Test accuracy:", best_test_acc)
    """,
    good="""
    best_val_acc = 0
    for epoch in range(200):
        val_acc = evaluate(model, val_loader)
        if val_acc > best_val_acc:
            best_val_acc, test_acc = val_acc, evaluate(model, test_loader)
    print("Test accuracy:", test_acc)
    """,
    words=("best", "test"),
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for assign in module.nodes(ast.Assign):
        target, value = assign.targets[0], assign.value
        name = name_of(target)
        if "best" not in vocabulary.words(name) or not any(flow.loops(assign)):
            continue
        if isinstance(value, ast.Call) and name_of(value.func) == "max" and any(name_of(a) == name for a in value.args):
            measured = next((name_of(a) for a in value.args if name_of(a) != name), "")
        else:
            measured = name_of(value) if _is_compared(assign, name) else ""
        if "test" in vocabulary.words(measured) and vocabulary.says(measured, vocabulary.METRICS | {"loss", "perf"}):
            yield Hit(assign.lineno, "likely", f"`{name}` keeps the best `{measured}`: the test data choose the epoch")


def _is_compared(assign: ast.Assign, name: str) -> bool:
    parent = getattr(assign, "parent", None)
    if not isinstance(parent, ast.If) or not isinstance(parent.test, ast.Compare):
        return False
    sides = {name_of(parent.test.left), *map(name_of, parent.test.comparators)}
    return name in sides and name_of(assign.value) in sides
