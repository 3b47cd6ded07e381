"""Link prediction ranked its candidates by `random.random()`, and the report said "six of six targets met":
with two candidates a query the chance level was the threshold. Elsewhere the accuracy was 0.82 plus a little
noise, so that it would look different in every run."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from assay.lint import origin, vocabulary
from assay.lint.module import Module, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS102",
    "random-scores",
    __doc__,
    fix="Take the scores from the model; call a chance baseline a baseline, and report it beside the model.",
    bad="""
    import random

    def rank(model, query, candidates):
        scores = [random.random() for _ in candidates]
        return sorted(zip(scores, candidates), reverse=True)
    """,
    good="""
    def rank(model, query, candidates):
        scores = [model.score(query, candidate) for candidate in candidates]
        return sorted(zip(scores, candidates), reverse=True)
    """,
    words=("rand|rng|normal|gauss|uniform|poisson",),
)
_NAMES = vocabulary.METRICS | vocabulary.PREDICTIONS
_NO_CLAIM = vocabulary.DELIBERATE | vocabulary.NOT_MEASURED
_PRETENDED = vocabulary.DELIBERATE - {"generate", "test", "tests", "sample", "benchmark"}
_SCORER = re.compile(r"(^|[._])(\w+_score|compute_(mrr|ndcg|f1|auc|map|accuracy)|ndcg_at_k|recall_at_k)$")
_VAGUE = vocabulary.listed(
    "probability probabilities probs prob map ap coherence correlation acc hits precision iou logit reward rewards"
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for name, value in [*_given(module), *_scored(module), *_returned(module)]:
        if not vocabulary.says(name, _NAMES) or vocabulary.says(name, _NO_CLAIM):
            continue
        if vocabulary.says(module.context(value), _PRETENDED):
            continue
        random = origin.only_random(origin.of(module, value, module.scope_of(value)))
        if random and not origin.is_rehearsal(module, name, value):
            strong = vocabulary.says(name, vocabulary.CORE_METRICS) and not name.endswith("_score")
            vague = vocabulary.says(name, _VAGUE)
            yield Hit(
                value.lineno,
                "certain" if strong else "look" if vague else "likely",
                f"`{name}` is drawn from a random number generator and nothing else",
            )


def _returned(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """(function, value) of what functions return that are called after what they measure."""
    for function in module.functions:
        if vocabulary.says(function.name, _NAMES) and not vocabulary.says(function.name, _VAGUE):
            for value in module.scope(function).returns():
                yield f"{function.name}_score", value


def _scored(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """(metric, argument) of `roc_auc_score(labels, scores)` and the like."""
    for callee in module.callees:
        for call in callee.calls if _is_scorer(callee.dotted) else ():
            for value in [*call.args, *(k.value for k in call.keywords if k.arg != "sample_weight")]:
                if not isinstance(value, ast.Constant | ast.Name):
                    yield callee.dotted.rpartition(".")[2], value


@functools.lru_cache(maxsize=65536)
def _is_scorer(name: str) -> bool:
    libraries = ("sklearn.metrics.", "torchmetrics.", "evaluate.", "scipy.stats.")
    return name.startswith(libraries) or _SCORER.search(name) is not None


def _given(module: Module) -> Iterator[tuple[str, ast.expr]]:
    """(name, value) of assignments to plain names, and of entries of dictionaries that are returned."""
    for assign in module.nodes(ast.Assign):
        target = assign.targets[0]
        if isinstance(target, ast.Name):
            yield target.id, assign.value
        elif isinstance(target, ast.Subscript) and (key := string(target.slice)):
            yield key, assign.value
    for node in module.nodes(ast.Dict):
        for key_node, value in zip(node.keys, node.values, strict=True):
            if (key := string(key_node)) is not None and not name_of(value):
                yield key, value
