"""Three of four heads were trained against `torch.rand`: the "confidence supervision" of a code model was a
fresh random number per sample and epoch. Its loss sank to 1/12, the variance of a uniform variable, and the
board called that convergence."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint import origin, vocabulary
from assay.lint.module import Module, Scope, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS301",
    "random-labels",
    __doc__,
    fix="Use labels that something measured: executed tests, removed imports, annotators; without them, drop the head.",
    bad="""
    import torch

    def step(model, batch):
        target = torch.rand(len(batch))
        return torch.nn.functional.mse_loss(model(batch), target)
    """,
    good="""
    import torch

    def step(model, batch):
        return torch.nn.functional.mse_loss(model(batch.x), batch.tests_passed)
    """,
    words=("rand|rng|sample|choice",),
)
_VAGUE = frozenset({"y", "target", "targets", "truth"})
_PICKS = frozenset({"sample", "choice", "choices"})
_MADE_UP = (
    vocabulary.DELIBERATE | vocabulary.listed("make samples generator permute new noised denoising negative negatives")
) - {
    "example",
    "examples",
    "tests",
    "test",
    "benchmark",
}
_NO_LABELS = _MADE_UP | {"idx", "index", "ids", "network", "length"}


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for name, value in _given(module):
        words = vocabulary.words(name)
        if words.isdisjoint(vocabulary.LABELS) or not words.isdisjoint(_NO_LABELS):
            continue
        if vocabulary.says(module.context(value), _MADE_UP):
            continue
        scope = module.scope_of(value)
        random = origin.only_random(origin.of(module, value, scope))
        picked = isinstance(value, ast.Call) and name_of(value.func).rpartition(".")[2] in _PICKS
        if not random and not (
            picked and isinstance(value, ast.Call) and origin.draw(module, value, scope) == "select"
        ):
            continue
        if origin.is_rehearsal(module, name, value):
            continue
        used = _is_learned(module, name) or _is_served(module, name, value, scope)
        if words & _VAGUE and not (used or words - _VAGUE):
            continue
        yield Hit(
            value.lineno,
            "certain" if used and random and not words & _VAGUE else "likely",
            f"`{name}` comes from a random number generator",
        )


def _given(module: Module) -> Iterator[tuple[str, ast.expr]]:
    for assign in module.nodes(ast.Assign):
        target = assign.targets[0]
        if name := name_of(target):
            yield name, assign.value
        elif isinstance(target, ast.Subscript) and (key := string(target.slice)):
            yield key, assign.value
    for node in module.nodes(ast.Dict):
        for key_node, value in zip(node.keys, node.values, strict=True):
            if (key := string(key_node)) and isinstance(value, ast.Call):
                yield key, value


def _is_learned(module: Module, name: str) -> bool:
    """Does a loss or a fit take the name?"""
    return any(
        ("loss" in (called := name_of(call.func).lower()) or called.endswith((".fit", "entropy", "criterion")))
        and any(name_of(a) == name for a in [*call.args, *(k.value for k in call.keywords)])
        for call in module.calls
    )


def _is_served(module: Module, name: str, value: ast.expr, scope: Scope) -> bool:
    """Does a data set's `__getitem__` hand it out as the last of a record whose first was given?"""
    function = module.function_of(value)
    return (
        function is not None
        and function.name == "__getitem__"
        and any(
            isinstance(returned, ast.Tuple)
            and returned.elts
            and name_of(returned.elts[-1]) == name
            and origin.GIVEN in origin.of(module, returned.elts[0], scope)
            for returned in scope.returns()
        )
    )
