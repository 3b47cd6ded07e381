"""The summary said 129 of 130, 99.2 %; the run said 172 of 180. The script that printed the summary had `passed
= 129` in its third line. Another took the eight "expected failures" out of the denominator."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import flow, origin, vocabulary
from assay.lint.module import Module, constant, name_of, string
from assay.lint.rule import Hit, Rule
from assay.lint.source import Source

RULE = Rule(
    "AS408",
    "typed-test-counts",
    __doc__,
    fix="Read the counts from the run's own report (JUnit XML, `pytest --report-log`); failures stay in the "
    "denominator.",
    bad="""
    passed = 129
    total = 130
    print(f"{passed / total:.1%} of the tests pass")
    """,
    good="""
    def pass_rate(results):
        return sum(result.passed for result in results) / len(results)
    """,
    words=("pass", "total|fail|count|expected|/| of "),
)
_ECHOED = re.compile(r"\b(echo|printf)\b.*\b\d+\s*(?:/|of|out of)\s*\d+\s+(?:\w+\s+)?pass", re.I)
_EXCUSED = vocabulary.listed("expected known xfail xfailed allowed skipped ignored flaky excluded")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    for node in module.nodes(ast.BinOp):
        if not isinstance(node.op, ast.Div) or not any("passed" in vocabulary.words(n) for n in _names(node.left)):
            continue
        if _is_typed(node.left) and _is_typed(node.right):
            yield Hit(node.lineno, "likely", "the pass rate is computed from counts typed into the source")
        for inner in ast.walk(node.right):
            if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub) and _excuses(inner.right):
                yield Hit(node.lineno, "likely", "failures that were excused are taken out of the denominator")
                break
    typed = any("passed" in (string(key) or "") for node in module.nodes(ast.Dict) for key in node.keys)
    for function in module.functions if typed else ():
        for value in module.scope(function).returns():
            counts = [
                k for k, v in origin.entries(value, module.scope(function)) if isinstance(constant(v), int | float)
            ]
            words = [vocabulary.words(key) for key in counts]
            if any("passed" in w for w in words) and any({"total", "rate", "failed"} & w for w in words):
                yield Hit(value.lineno, "likely", f"`{function.name}` returns test counts typed into the source")


@RULE.text("shell", "yaml")
def check_echoes(source: Source) -> Iterator[Hit]:
    for number, line in enumerate(source.lines, start=1):
        if _ECHOED.search(line) and "$" not in line and not line.lstrip().startswith("#"):
            yield Hit(number, "likely", "a script says how many tests pass, in figures typed into its source")


def _names(node: ast.expr) -> list[str]:
    return [name_of(n) for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)]


def _is_typed(node: ast.expr | None) -> bool:
    """Is it made of numbers written out above, and of nothing that was counted?"""
    if isinstance(node, ast.BinOp):
        return _is_typed(node.left) and _is_typed(node.right)
    found = constant(flow.value(node) if node is not None and name_of(node) else node)
    return isinstance(found, int | float) and not isinstance(found, bool)


def _excuses(node: ast.expr) -> bool:
    return any(vocabulary.says(name.rpartition(".")[2], _EXCUSED) for name in _names(node))
