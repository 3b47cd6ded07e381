"""The learning rate was reported as "cosine with warm-up" and was constant for the whole run: the schedule was
built, its current rate was even printed, and nobody called `step`. Nothing fails, the loss falls a little, and
the recipe in the paper is not the one that ran."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.lint import usage
from assay.lint.module import Module, name_of
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
