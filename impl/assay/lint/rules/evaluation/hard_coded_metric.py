"""The reward model's "ranking accuracy 0.75" was `return 0.75` under a comment that promised a head; the board,
the README and the threshold test all read it. A metric that does not depend on the predictions is not a metric,
however plausible its digits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint import origin, vocabulary
from assay.lint.module import Function, Module, Scope, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS101",
    "hard-coded-metric",
    __doc__,
    fix="Compute it from predictions and gold labels, or raise `NotImplementedError`.",
    bad="""
    def ranking_accuracy(model, pairs):
        # TODO: use the reward head
        return 0.75
    """,
    good="""
    def ranking_accuracy(model, pairs):
        return sum(model(chosen) > model(rejected) for chosen, rejected in pairs) / len(pairs)
    """,
    words=(
        "def ",
        ".",
        "accura|f1|mrr|ndcg|hits|recall|precis|auc|auroc|auprc|bleu|rouge|score|perplex|metric|eval",
    ),
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for function in module.functions:
        if vocabulary.says(function.name, vocabulary.DELIBERATE | vocabulary.NOT_MEASURED):
            continue
        yield from _function(module, function)


def _function(module: Module, function: Function) -> Iterator[Hit]:
    if not vocabulary.says(function.name, vocabulary.EVALUATING | vocabulary.METRICS):
        return
    scope = module.scope(function)
    returned = scope.returns()
    certain = vocabulary.says(function.name, vocabulary.CORE_METRICS) and bool(scope.parameters)
    if vocabulary.is_metric(function.name) and _only_numbers(module, returned, scope):
        value = returned[-1]
        yield Hit(
            value.lineno,
            "certain" if certain else "likely",
            f"`{function.name}` returns a number that depends on nothing it was given",
        )
        return
    for value in returned:
        for key, inner in [*origin.entries(value, scope), *_record(value)]:
            if vocabulary.is_metric(key, strict=True) and _is_literal(module, inner, scope):
                yield Hit(
                    inner.lineno, "likely", f'"{key}" is a number typed into `{function.name}`, not a measurement'
                )


def _record(value: ast.expr) -> list[tuple[str, ast.expr]]:
    """What `Scores(precision=0.71, recall=0.66)` holds."""
    if not isinstance(value, ast.Call) or not name_of(value.func).rpartition(".")[2][:1].isupper():
        return []
    return [(word.arg, word.value) for word in value.keywords if word.arg]


def _only_numbers(module: Module, returned: list[ast.expr], scope: Scope) -> bool:
    literal = bool(returned) and all(origin.only_literal(origin.of(module, value, scope)) for value in returned)
    return literal and any(_measured(module, value, scope) for value in returned)


def _is_literal(module: Module, value: ast.expr, scope: Scope) -> bool:
    return origin.only_literal(origin.of(module, value, scope)) and _measured(module, value, scope)


def _measured(module: Module, value: ast.expr, scope: Scope) -> bool:
    if isinstance(value, ast.Dict | ast.List | ast.Tuple | ast.JoinedStr):
        return False
    return any(map(origin.looks_measured, origin.numbers(module, value, scope)))
