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
    for assign, target, value in _assigned(module):
        name = name_of(target)
        if "best" not in vocabulary.words(name) or not any(flow.loops(assign)):
            continue
        if isinstance(value, ast.Call) and name_of(value.func) == "max" and any(name_of(a) == name for a in value.args):
            measured = next((a for a in value.args if name_of(a) != name), None)
        else:
            measured = value if _is_compared(assign, name, value) else None
        told = name_of(measured)
        if vocabulary.says(told, vocabulary.METRICS | {"loss", "perf"}) and _is_of_test(measured):
            yield Hit(assign.lineno, "likely", f"`{name}` keeps the best `{told}`: the test data choose the epoch")


def _assigned(module: Module) -> Iterator[tuple[ast.Assign, ast.expr, ast.expr]]:
    """Targets and values one by one: `best_acc, best_epoch = test_acc, epoch`."""
    for assign in module.nodes(ast.Assign):
        target, value = assign.targets[0], assign.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                yield assign, one, other
        else:
            yield assign, target, value


def _is_of_test(measured: ast.expr | None) -> bool:
    """Does the name say so, or what it was measured on: `acc = evaluate(model, test_loader)`?"""
    if "test" in vocabulary.words(name_of(measured)):
        return True
    made = flow.value(measured) if isinstance(measured, ast.Name) else None
    given = [name_of(each) for each in made.args] if isinstance(made, ast.Call) else []
    return any({"test", "testloader", "testset"} & vocabulary.words(each) for each in given)


def _is_compared(assign: ast.Assign, name: str, value: ast.expr) -> bool:
    parent = getattr(assign, "parent", None)
    tests = parent.test.values if isinstance(parent, ast.If) and isinstance(parent.test, ast.BoolOp) else []
    tests = [parent.test] if isinstance(parent, ast.If) and not tests else tests
    compared = (
        {name_of(test.left), *map(name_of, test.comparators)} for test in tests if isinstance(test, ast.Compare)
    )
    return any(name in sides and name_of(value) in sides for sides in compared)
