"""The cost tracker measured hours, dutifully, and then looked its savings up in a table: 76 % with PPO,
whatever had been measured. Change the hours and the saving stays; the headline of the project was a dictionary
literal."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint import origin, vocabulary
from assay.lint.module import Function, Module, constant, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS109",
    "savings-constant",
    __doc__,
    fix="Compute savings from two measured runs: same data, same quality, both arms' hours.",
    bad="""
    def cost_savings(method):
        return {"lora": 0.75, "full": 0.0}[method]
    """,
    good="""
    def cost_savings(baseline_hours, hours):
        return 1 - hours / baseline_hours
    """,
    words=("saving|saved|reduction|improvement|gain|speedup", "."),
)
_GAINS = vocabulary.GAINS
_SUBJECTS = vocabulary.listed("cost costs time hours compute memory energy money latency training")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    keyed = any(map(_is_saving, {string(node) or "" for node in module.nodes(ast.Constant)}))
    for function in module.functions:
        if keyed:
            yield from _entries(module, function)
        if not vocabulary.says(function.name, _GAINS) or vocabulary.says(function.name, vocabulary.NOT_MEASURED):
            continue
        scope = module.scope(function)
        returned = scope.returns()
        if not returned or not all(origin.only_literal(origin.of(module, value, scope)) for value in returned):
            continue
        if any(
            isinstance(value, float) and value not in (0, 1)
            for returning in returned
            for value in origin.numbers(module, returning, scope)
        ):
            strong = vocabulary.says(function.name, _SUBJECTS)
            message = f"`{function.name}` returns numbers from the source text, whatever was measured"
            yield Hit(returned[0].lineno, "certain" if strong else "likely", message)


def _is_saving(key: str) -> bool:
    return len(key) < 60 and vocabulary.says(key, _GAINS) and vocabulary.says(key, _SUBJECTS)


def _entries(module: Module, function: Function) -> Iterator[Hit]:
    """`"cost_reduction": 0.753` in what a report returns, beside what was measured."""
    scope = module.scope(function)
    for value in scope.returns():
        for key, inner in origin.entries(value, scope):
            typed = constant(inner)
            if (
                _is_saving(key)
                and not vocabulary.says(f"{function.name} {key}", vocabulary.NOT_MEASURED)
                and isinstance(typed, float)
                and typed not in (0, 1)
            ):
                yield Hit(
                    inner.lineno, "likely", f'"{key}" is a number typed into `{function.name}`, whatever was measured'
                )
