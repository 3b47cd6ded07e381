"""`--mixed_precision` built a `GradScaler`, and the loop called `loss.backward()` all the same. The run took as
long and as much memory as before, and the report's "trained in mixed precision" described an object that nobody
used. A scaler without autocast scales 32-bit gradients, to the same end."""

from __future__ import annotations

from collections.abc import Iterator

from assay.lint import usage
from assay.lint.module import Module, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS205",
    "amp-unused",
    __doc__,
    fix="Run the forward pass under `torch.autocast` and step through the scaler, or delete both.",
    bad="""
    import torch

    def train(model, loader, optimizer):
        scaler = torch.amp.GradScaler("cuda")
        for batch in loader:
            loss = model(batch)
            loss.backward()
            optimizer.step()
    """,
    good="""
    import torch

    def train(model, loader, optimizer):
        scaler = torch.amp.GradScaler("cuda")
        for batch in loader:
            with torch.autocast("cuda"):
                loss = model(batch)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    """,
    words=("gradscaler",),
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    trains = any(name_of(call.func).endswith(".backward") for call in module.calls)
    for call in module.calls:
        if not module.called(call).endswith("GradScaler") or (target := usage.kept(call)) is None:
            continue
        used = usage.of(module, target)
        name = name_of(target)
        if used.escapes:
            continue
        if not used.attributes & {"scale", "step"}:
            message = f"`{name}` is built and neither scales a loss nor steps an optimizer"
            yield Hit(call.lineno, "certain" if trains else "likely", message)
        elif not any(word in module.source.text for word in ("autocast", ".half()", "float16", "amp.initialize")):
            yield Hit(
                call.lineno, "likely", f"`{name}` scales, and nothing in this file runs in half precision (no autocast)"
            )
