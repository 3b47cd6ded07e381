"""The confidence head ended in a sigmoid and the bridge applied another: every probability of the product lay
between 0.5 and 0.731, the threshold of 0.8 could not be reached, and the report praised the model as "well
calibrated, never overconfident". Losses that take logits squash for themselves, and learn slowly from what was
squashed before."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator

from assay.lint import flow
from assay.lint.module import Module, argument, constant, keyword, name_of, string
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
_PLACES = frozenset({"to", "cuda", "cpu", "half", "float", "train", "eval"})
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
    yield from _compiled(module)


def squash(module: Module, call: ast.Call) -> str:
    """`sigmoid` or `softmax` for a call of it, otherwise nothing."""
    return _kind(module.called(call) or getattr(call.func, "attr", ""))


@functools.lru_cache(maxsize=65536)
def _is_logit_loss(called: str) -> bool:
    return _LOGIT_LOSS.search(called) is not None


@functools.lru_cache(maxsize=65536)
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
    """Names that hold a loss on logits, wherever they are set: `self.criterion` may be another one in another class."""
    return _always(
        (name_of(target), bool(_LOGIT_LOSSES.search(module.called(assign.value))))
        for assign in module.nodes(ast.Assign)
        if isinstance(assign.value, ast.Call)
        for target in assign.targets
        if name_of(target)
    )


def _squashing(module: Module) -> set[str]:
    """Names that hold a network whose output is squashed: a Sequential, or a class of this file."""
    built = [
        (name_of(assign.targets[0]), assign.value, _ends_squashed(module, assign.value))
        for assign in module.nodes(ast.Assign)
        if isinstance(assign.value, ast.Call) and name_of(assign.targets[0])
    ]
    layers = _always((name, ends) for name, _, ends in built)
    classes = set()
    for node in module.nodes(ast.ClassDef):
        forward = next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "forward"), None)
        returned = [flow.value(each) or each for each in module.scope(forward).returns()] if forward else []
        if returned and all(
            isinstance(value, ast.Call) and (squash(module, value) or name_of(value.func) in layers)
            for value in returned
        ):
            classes.add(node.name)
    return _always((name, ends or module.called(_placed(made)) in classes) for name, made, ends in built)


def _placed(call: ast.Call) -> ast.Call:
    """`Net()` of `Net().to(device)`."""
    while isinstance(call.func, ast.Attribute) and call.func.attr in _PLACES and isinstance(call.func.value, ast.Call):
        call = call.func.value
    return call


def _always(built: Iterable[tuple[str, bool]]) -> set[str]:
    """The names for which it holds of everything that they are given."""
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for name, holds in built:
        names[holds].add(name)
    return names[True] - names[False]


def _ends_squashed(module: Module, call: ast.expr | None) -> bool:
    """`Sequential(..., Softmax())`, `Sequential([..., Dense(1, activation="sigmoid")])`, `Model(x, Dense(...)(h))`."""
    if not isinstance(call, ast.Call):
        return False
    if isinstance(call.func, ast.Call):  # a layer of keras, called
        return _is_squashing(module, call.func)
    called = module.called(call)
    if called.endswith("Sequential") and call.args:
        last = call.args[-1]
        return _is_squashing(module, last.elts[-1] if isinstance(last, ast.List) and last.elts else last)
    if called.endswith("Model"):
        output = argument(call, 1, "outputs")
        return _ends_squashed(module, flow.value(output) if isinstance(output, ast.Name) else output)
    return False


def _is_squashing(module: Module, layer: ast.expr) -> bool:
    if not isinstance(layer, ast.Call):
        return False
    called = module.called(layer)
    given = keyword(layer, "activation") if not called.endswith("Activation") else argument(layer, 0, "activation")
    return bool(_LAYERS.search(called)) or string(given) in ("sigmoid", "softmax")


def _compiled(module: Module) -> Iterator[Hit]:
    """Keras: a loss `from_logits` for a model whose last layer squashes."""
    squashing: set[str] | None = None
    for callee in module.callees:
        model, _, last = callee.name.rpartition(".")
        if last != "compile" or not model:
            continue
        for call in callee.calls:
            loss = argument(call, 1, "loss")
            if not isinstance(loss, ast.Call) or constant(keyword(loss, "from_logits")) is not True:
                continue
            squashing = _squashing(module) if squashing is None else squashing
            added = [one for c in module.callees if c.name == f"{model}.add" for one in c.calls if one.args]
            if model in squashing or (added and _is_squashing(module, added[-1].args[0])):
                yield Hit(
                    loss.lineno, "likely", f"the loss takes logits, and the last layer of `{model}` squashes them"
                )
