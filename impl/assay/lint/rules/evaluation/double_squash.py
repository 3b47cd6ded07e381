"""The confidence head ended in a sigmoid and the bridge applied another: every probability of the product lay
between 0.5 and 0.731, the threshold of 0.8 could not be reached, and the report praised the model as "well
calibrated, never overconfident". Losses that take logits squash for themselves, and learn slowly from what was
squashed before."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator

from assay.lint import flow
from assay.lint.module import Module, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS105",
    "double-squash",
    __doc__,
    fix="Let the model return logits, and turn them into probabilities in one place.",
    bad="""
    import torch

    def confidence(head, features):
        probability = torch.sigmoid(head(features))
        return torch.sigmoid(probability)
    """,
    good="""
    import torch

    def confidence(head, features):
        logit = head(features)
        return torch.sigmoid(logit)
    """,
    words=("sigmoid|softmax",),
)
_SQUASH = re.compile(r"(^|\.)(sigmoid|softmax|expit)$")
_LOGIT_LOSS = re.compile(r"(^|\.)(cross_entropy|binary_cross_entropy_with_logits)$")
_LOGIT_LOSSES = re.compile(r"(^|\.)(CrossEntropyLoss|BCEWithLogitsLoss)$")
_LAYERS = re.compile(r"(^|\.)(Sigmoid|Softmax)$")
_NAMESPACES = frozenset({"torch", "F", "nn.functional", "torch.special", "torch.nn.functional"})
_PASSING = re.compile(r"\.(squeeze|unsqueeze|view|reshape|float|flatten|contiguous|to|cpu|detach|transpose|permute)$")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    losses = _losses(module)
    squashing: set[str] | None = None
    takers = [
        (call, _is_logit_loss(callee.dotted) or callee.name in losses)
        for callee in module.callees
        if not callee.name or callee.name in losses or _kind(callee.dotted) or _is_logit_loss(callee.dotted)
        for call in callee.calls
    ]
    for call, is_loss in takers:
        outer = squash(module, call)
        if not outer and not is_loss:
            continue
        inner = _input(module, call, outer)
        if inner is None:
            continue
        told = module.called(call).rpartition(".")[2] or "the loss"
        made = squash(module, inner) if isinstance(inner, ast.Call) else ""
        if made and (is_loss or made == outer):
            yield Hit(call.lineno, "certain", f"`{told}` of what `{made}` has already squashed")
        elif isinstance(inner, ast.Call) and (name := name_of(inner.func)):
            squashing = _squashing(module) if squashing is None else squashing
            if name in squashing:
                yield Hit(call.lineno, "likely", f"`{told}` of `{name}(...)`, which ends in a sigmoid or softmax")


def squash(module: Module, call: ast.Call) -> str:
    """`sigmoid` or `softmax` for a call of it, otherwise nothing."""
    return _kind(module.called(call) or getattr(call.func, "attr", ""))


@functools.lru_cache(maxsize=4096)
def _is_logit_loss(called: str) -> bool:
    return _LOGIT_LOSS.search(called) is not None


@functools.lru_cache(maxsize=4096)
def _kind(called: str) -> str:
    found = _SQUASH.search(called)
    return found.group(2) if found else ""


def _input(module: Module, call: ast.Call, outer: str) -> ast.expr | None:
    """What goes in, through names that can only hold one thing and through changes of shape."""
    node: ast.expr | None = (
        call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "input"), None)
    )
    if outer and isinstance(call.func, ast.Attribute):
        owner = name_of(call.func.value)
        if owner.split(".")[0] not in module.aliases and owner not in _NAMESPACES:
            node = call.func.value
    for _ in range(8):
        if isinstance(node, ast.Name | ast.Attribute) and (found := flow.value(node)) is not None:
            node = found
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and _PASSING.search("." + node.func.attr)
        ):
            node = node.func.value
        else:
            break
    return node


def _losses(module: Module) -> set[str]:
    """Names that hold a loss on logits."""
    return {
        name_of(target)
        for assign in module.nodes(ast.Assign)
        if isinstance(assign.value, ast.Call) and _LOGIT_LOSSES.search(module.called(assign.value))
        for target in assign.targets
        if name_of(target)
    }


def _squashing(module: Module) -> set[str]:
    """Names that hold a network whose output is squashed: a Sequential, or a class of this file."""
    classes = set()
    for node in module.nodes(ast.ClassDef):
        forward = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "forward"), None)
        returned = module.scope(forward).returns() if forward else []
        if returned and all(isinstance(value, ast.Call) and squash(module, value) for value in returned):
            classes.add(node.name)
    found: dict[str, set[bool]] = {}
    for assign in module.nodes(ast.Assign):
        name, value = name_of(assign.targets[0]), assign.value
        if not name or not isinstance(value, ast.Call):
            continue
        called = module.called(value)
        last = value.args[-1] if value.args else None
        ends = (
            called.endswith("Sequential") and isinstance(last, ast.Call) and bool(_LAYERS.search(module.called(last)))
        )
        if called[:1].isupper() or "." in called:
            found.setdefault(name, set()).add(ends or called in classes)
    return {name for name, kinds in found.items() if kinds == {True}}
