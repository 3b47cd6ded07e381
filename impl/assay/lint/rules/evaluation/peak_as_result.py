"""The MLM accuracy of "87.5 %" was the best of 500 noisy steps, eight masked tokens each; the last fifty
averaged 61 %. The best point of a curve that has been looked at is a selection, not a result: the more steps,
the higher it gets, with no learning at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import label, vocabulary
from assay.lint.module import Module, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS107",
    "peak-as-result",
    __doc__,
    fix="Report the declared step on the whole validation set; call a best-of a best-of, and test the weights "
    "it selected once.",
    bad="""
    def summary(history):
        accuracies = [row["accuracy"] for row in history]
        return {"final_accuracy": max(accuracies)}
    """,
    good="""
    def summary(history):
        accuracies = [row["accuracy"] for row in history]
        return {"final_accuracy": accuracies[-1], "best_accuracy": max(accuracies)}
    """,
    words=("max(|min(",),
)
_CURVES = vocabulary.STRICT_METRICS | vocabulary.listed("loss losses acc accs accuracies aucs f1s score scores")
_HONEST = re.compile(r"best|max|min|peak|highest|lowest|range|top|bound|worst|limit|oracle|upper|lower", re.I)
_EXTREMES = frozenset({"max", "min", "numpy.max", "numpy.min", "np.max", "np.min"})


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for call in [call for callee in module.callees if callee.dotted in _EXTREMES for call in callee.calls]:
        if len(call.args) != 1 or _HONEST.search(module.context(call)):
            continue
        curve = _curve(call.args[0])
        for told in [label.of(call), *_labels_of_name(module, call)]:
            yield from _reported(call, curve, told)


def _reported(call: ast.Call, curve: str, told: str) -> Iterator[Hit]:
    if vocabulary.says(curve, _CURVES) and vocabulary.says(told, _CURVES) and not _HONEST.search(told):
        final = bool(re.search(r"final|result", told, re.I))
        what = f"the {name_of(call.func).rpartition('.')[2]} of `{curve}` is reported as a result"
        yield Hit(call.lineno, "likely" if final else "look", what)


def _curve(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return string(node.slice) or ""
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _curve(node.elt)
    return name_of(node)


def _labels_of_name(module: Module, call: ast.Call) -> list[str]:
    """Under what the name goes out that the value is given: `best = max(curve)`, `print(f"Final F1: {best}")`."""
    parent = getattr(call, "parent", None)
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return []
    return [label.of(read) for read in module.scope_of(call).reads(parent.targets[0].id)]
