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
        "accura|f1|mrr|ndcg|hits|recall|precis|auc|auroc|auprc|bleu|rouge|score|perplex|metric|eval|valid|assess",
    ),
)


_VERBS = vocabulary.listed("evaluate evaluation eval validate validation assess benchmark")
_CLAIMS = vocabulary.EVALUATING | vocabulary.METRICS | _VERBS
_NO_CLAIM = vocabulary.DELIBERATE - {"benchmark"} | vocabulary.NOT_MEASURED
_AROUND = vocabulary.listed(
    "model models run do perform full final epoch loop step checkpoint one all on dataset data set performance "
    "predictions results network policy agent classifier and compute get"
)
"""What may stand beside the verb in the name of a function that evaluates, and does not return a share or a step."""
_EVALUATED = (
    vocabulary.PREDICTIONS
    | vocabulary.LABELS
    | vocabulary.listed(
        "model net network classifier estimator policy agent checkpoint ckpt weights data dataset datasets loader "
        "dataloader batch batches examples samples records items corpus queries pairs references hypotheses answers "
        "test dev val split"
    )
)
"""Parameters of a function that measures a model; what evaluates an expression or a point has others."""
_RESULTS = vocabulary.listed("result compute call score calculate")
"""Methods in which a class that is called a metric gives its value."""


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for function in module.functions:
        if vocabulary.says(function.name, _NO_CLAIM):
            continue
        yield from _function(module, function)


def _function(module: Module, function: Function) -> Iterator[Hit]:
    named = vocabulary.is_metric(function.name) or _is_result(module, function)
    if not (named or vocabulary.says(function.name, _CLAIMS)):
        return
    scope = module.scope(function)
    returned = scope.returns()
    if (named and _only_numbers(module, returned, scope)) or (
        _measures(module, function, scope) and _only_numbers(module, returned, scope, records=True)
    ):
        certain = vocabulary.says(function.name, vocabulary.CORE_METRICS) and bool(scope.parameters)
        told = f"`{function.name}` returns a number that depends on nothing it was given"
        yield Hit(returned[-1].lineno, "certain" if certain else "likely", told)
        return
    for value in returned:
        for key, inner in [*origin.entries(value, scope), *_record(value)]:
            if vocabulary.is_metric(key, strict=True) and _is_literal(module, inner, scope):
                yield Hit(
                    inner.lineno, "likely", f'"{key}" is a number typed into `{function.name}`, not a measurement'
                )


def _measures(module: Module, function: Function, scope: Scope) -> bool:
    """`evaluate(model, data)`, by its name and by what it is given; nothing that is there to be overridden."""
    words = {word for word in function.name.lower().split("_") if word}
    if not words & _VERBS or words - _VERBS - _AROUND:
        return False
    if not any(vocabulary.says(name, _EVALUATED) or name in ("X", "y") for name in scope.parameters):
        return False
    owner = module.class_of(function)
    bases = {name_of(base).rpartition(".")[2] for base in (owner.bases if owner else ())}
    declared = bool(bases & {"ABC", "Protocol"}) or any(
        name_of(mark).rpartition(".")[2] in ("abstractmethod", "overload") for mark in function.decorator_list
    )
    return not declared and not vocabulary.says(module.context(function), _PRETENDED)


_PRETENDED = vocabulary.DELIBERATE - vocabulary.listed("test tests testing benchmark") | vocabulary.listed(
    "base abstract null noop constant"
)
"""What a class that is there to be overridden, or to stand in, is called."""


def _is_result(module: Module, function: Function) -> bool:
    """Is it where a metric gives its value: `result` of a keras metric, `__call__` of an `F1Score`?"""
    owner = module.class_of(function)
    if owner is None or function.name.strip("_") not in _RESULTS or vocabulary.says(owner.name, vocabulary.DELIBERATE):
        return False
    derived = any(name_of(base).rpartition(".")[2] in ("Metric", "MetricBase") for base in owner.bases)
    return derived or vocabulary.says(owner.name, vocabulary.CORE_METRICS)


def _record(value: ast.expr) -> list[tuple[str, ast.expr]]:
    """What `Scores(precision=0.71, recall=0.66)` holds."""
    if not isinstance(value, ast.Call) or not name_of(value.func).rpartition(".")[2][:1].isupper():
        return []
    return [(word.arg, word.value) for word in value.keywords if word.arg]


def _only_numbers(module: Module, returned: list[ast.expr], scope: Scope, records: bool = False) -> bool:
    """Literals alone, one of which looks measured; `records`: `return 0.31, 0.912` among them."""
    literal = bool(returned) and all(origin.only_literal(origin.of(module, value, scope)) for value in returned)
    parts = [part for v in returned for part in (v.elts if records and isinstance(v, ast.Tuple) else [v])]
    return literal and any(_measured(module, part, scope) for part in parts)


def _is_literal(module: Module, value: ast.expr, scope: Scope) -> bool:
    return origin.only_literal(origin.of(module, value, scope)) and _measured(module, value, scope)


def _measured(module: Module, value: ast.expr, scope: Scope) -> bool:
    if isinstance(value, ast.Dict | ast.List | ast.Tuple | ast.JoinedStr):
        return False
    return any(map(origin.looks_measured, origin.numbers(module, value, scope)))
