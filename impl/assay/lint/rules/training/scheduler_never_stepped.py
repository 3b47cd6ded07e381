"""The learning rate was reported as "cosine with warm-up" and was constant for the whole run: the schedule was
built, its current rate was even printed, and nobody called `step`. Nothing fails, the loss falls a little, and
the recipe in the paper is not the one that ran."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import usage
from assay.lint.module import Function, Module, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS206",
    "scheduler-never-stepped",
    __doc__,
    fix="Call `scheduler.step()` once per unit of its horizon, after `optimizer.step()`, or delete the scheduler.",
    bad="""
    import torch

    def train(model, loader):
        optimizer = torch.optim.AdamW(model.parameters())
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=len(loader))
        for batch in loader:
            model(batch).backward()
            optimizer.step()
            optimizer.zero_grad()
    """,
    good="""
    import torch

    def train(model, loader):
        optimizer = torch.optim.AdamW(model.parameters())
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=len(loader))
        for batch in loader:
            model(batch).backward()
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    """,
    words=("schedule",),
)

MAKERS = re.compile(r"lr_scheduler\.(\w+LR|\w+Restarts|ReduceLROnPlateau)$|(^|\.)get_(\w+_)?schedule(r|_with_\w+)?$")
_TRAINS = re.compile(r"\.(backward|step)$")
_STEPS = frozenset({"step", "step_update", "batch_step"})


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    trains = any(name_of(call.func).endswith(".backward") for call in module.calls)
    for call in module.calls:
        if not MAKERS.search(module.called(call)):
            continue
        target = usage.kept(call)
        if target is None:
            continue
        used = usage.of(module, target)
        if used.escapes or used.attributes & _STEPS:
            continue
        steps = trains and any(name_of(c.func).endswith(".step") for c in module.calls)
        yield Hit(
            call.lineno,
            "certain" if steps else "likely",
            f"`{name_of(target)}` is built and never stepped: the learning rate stays what the optimizer was given",
        )
    yield from _handed_back(module)


def _handed_back(module: Module) -> Iterator[Hit]:
    """`optimizer, scheduler = build(model)` where training happens, and nobody asks for the scheduler again."""
    makers = {place[0]: place[1] for function in module.functions if (place := _returned(module, function)) is not None}
    for assign in module.nodes(ast.Assign) if makers else ():
        targets, call = assign.targets[0], assign.value
        maker = name_of(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
        if maker not in makers or not isinstance(targets, ast.Tuple) or len(targets.elts) <= makers[maker]:
            continue
        target = targets.elts[makers[maker]]
        name = name_of(target)
        trains = any(isinstance(n, ast.Call) and _TRAINS.search(name_of(n.func)) for n in module.scope_of(assign).own)
        given_up = any(name == name_of(t) for node in module.nodes(ast.Delete) for t in node.targets)
        if not name or name.startswith("_") or not trains or given_up:
            continue
        used = usage.of(module, target)
        if not (used.escapes or used.attributes & _STEPS):
            yield Hit(assign.lineno, "likely", f"`{name}`, which `{maker}` builds, is never stepped")


def _returned(module: Module, function: Function) -> tuple[str, int] | None:
    """The name of a function whose one return is a tuple with a new scheduler, and where in the tuple that stands."""
    scope = module.scope(function)
    returned = scope.returns()
    if len(returned) != 1 or not isinstance(returned[0], ast.Tuple):
        return None
    for index, element in enumerate(returned[0].elts):
        made = scope.values.get(name_of(element), [element])
        if made and all(isinstance(v, ast.Call) and MAKERS.search(module.called(v)) for v in made):
            return function.name, index
    return None
