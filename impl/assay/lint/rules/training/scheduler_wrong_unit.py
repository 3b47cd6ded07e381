"""The cosine was to reach zero after 12,000 updates and was stepped once per epoch: after three epochs it had
taken three of its 12,000 steps, and the "schedule" was a constant, in warm-up forever at a thousandth of the
rate."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import flow, usage, vocabulary
from assay.lint.module import Module, argument, keyword, name_of, parents
from assay.lint.rule import Hit, Rule
from assay.lint.rules.training.scheduler_never_stepped import MAKERS

RULE = Rule(
    "AS207",
    "scheduler-wrong-unit",
    __doc__,
    fix="Step it after each `optimizer.step()`, or give its horizon in epochs.",
    bad="""
    from transformers import get_linear_schedule_with_warmup

    def train(model, loader, optimizer, epochs):
        scheduler = get_linear_schedule_with_warmup(optimizer, 100, len(loader) * epochs)
        for epoch in range(epochs):
            for batch in loader:
                model(batch).backward()
                optimizer.step()
            scheduler.step()
    """,
    good="""
    from transformers import get_linear_schedule_with_warmup

    def train(model, loader, optimizer, epochs):
        scheduler = get_linear_schedule_with_warmup(optimizer, 100, len(loader) * epochs)
        for epoch in range(epochs):
            for batch in loader:
                model(batch).backward()
                optimizer.step()
                scheduler.step()
    """,
    words=("schedule", "epoch", "step"),
)
_HORIZON = {"CosineAnnealingLR": (1, "T_max"), "OneCycleLR": (2, "total_steps"), "PolynomialLR": (1, "total_iters")}
_STEPS = vocabulary.listed("steps updates iterations iters")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for call in module.calls:
        called = module.called(call)
        if not MAKERS.search(called) or (target := usage.kept(call)) is None or not _in_updates(module, call, called):
            continue
        name = name_of(target)
        stepped = [c for c in module.calls if name_of(c.func) == f"{name}.step"]
        if stepped and all(_per_epoch(c) for c in stepped):
            loop = next(flow.loops(stepped[0]))
            inner = any(name_of(n.func).endswith(".step") and _is_inside(n, loop) for n in _calls(loop, stepped[0]))
            message = f"`{name}` counts updates (line {call.lineno}) and is stepped once per epoch"
            yield Hit(stepped[0].lineno, "certain" if inner else "likely", message)


def _in_updates(module: Module, call: ast.Call, called: str) -> bool:
    """Is the horizon of a schedule given in optimizer updates?"""
    if keyword(call, "steps_per_epoch") is not None:
        return True
    last = called.rpartition(".")[2]
    position, name = _HORIZON.get(last, (3 if last == "get_scheduler" else 2, "num_training_steps"))
    horizon = argument(call, position, name)
    return horizon is not None and _counts_updates(module, horizon, 0)


def _counts_updates(module: Module, node: ast.expr, depth: int) -> bool:
    if isinstance(node, ast.Name | ast.Attribute) and depth < 4:
        values = [v for v in module.scope_of(node).values.get(name_of(node), ()) if v is not None]
        if values:
            return all(_counts_updates(module, value, depth + 1) for value in values)
        words = vocabulary.words(name_of(node))
        return not words.isdisjoint(_STEPS) and words.isdisjoint({"epoch", "epochs"})
    if isinstance(node, ast.Call):
        called, inner = name_of(node.func), node.args[0] if node.args else None
        if called == "int" and inner is not None:
            return _counts_updates(module, inner, depth + 1)
        return called == "len" and bool(re.search(r"load|data|batch|dl\b|train", name_of(inner), re.I))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _counts_updates(module, node.left, depth) or _counts_updates(module, node.right, depth)
    return False


def _per_epoch(call: ast.Call) -> bool:
    """Is the innermost loop around the call the one over epochs?"""
    loop = next(flow.loops(call), None)
    if not isinstance(loop, ast.For):
        return False
    head = f"{ast.unparse(loop.target)} {ast.unparse(loop.iter)}"
    guarded = any(
        isinstance(p, ast.If) and re.search(r"%|step", ast.unparse(p.test)) for p in parents(call) if p is not loop
    )
    return bool(re.search(r"epoch", head, re.I)) and not re.search(r"loader|enumerate|batch", head) and not guarded


def _calls(loop: ast.AST, but: ast.Call) -> Iterator[ast.Call]:
    return (n for n in ast.walk(loop) if isinstance(n, ast.Call) and n is not but)


def _is_inside(node: ast.AST, loop: ast.AST) -> bool:
    """Is the node in a loop within the loop?"""
    return next(flow.loops(node), None) is not loop
