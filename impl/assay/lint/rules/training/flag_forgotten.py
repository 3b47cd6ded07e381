"""`--projection_learning_rate` set the rate of the projection, unless the base was frozen: that branch built
its optimizer with the base's rate, a fiftieth of what the command line said, and it was the branch that the
product used."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint import vocabulary
from assay.lint.module import Module, name_of, parents
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS204",
    "flag-forgotten-in-branch",
    __doc__,
    fix="Use the option in both branches, or refuse the combination.",
    bad="""
    import torch

    def optimizer(model, args):
        if args.freeze:
            found = torch.optim.AdamW(model.head.parameters(), lr=args.lr)
        else:
            found = torch.optim.AdamW([
                {"params": model.base.parameters(), "lr": args.lr},
                {"params": model.head.parameters(), "lr": args.head_lr},
            ])
        return found
    """,
    good="""
    import torch

    def optimizer(model, args):
        if args.freeze:
            found = torch.optim.AdamW(model.head.parameters(), lr=args.head_lr)
        else:
            found = torch.optim.AdamW([
                {"params": model.base.parameters(), "lr": args.lr},
                {"params": model.head.parameters(), "lr": args.head_lr},
            ])
        return found
    """,
    words=("optim", "lr|rate"),
)
_RATES = vocabulary.listed("lr rate decay wd")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for branch in module.nodes(ast.If):
        if not branch.body or not branch.orelse or not (_optimizes(branch.body) and _optimizes(branch.orelse)):
            continue
        for arm, other in ((branch.body, branch.orelse), (branch.orelse, branch.body)):
            for name in sorted(_rates(arm) - _rates(other)):
                part = name.rpartition(".")[2].partition("_")[0]
                elsewhere = [n for n in module.nodes(ast.Attribute) if name_of(n) == name and branch not in parents(n)]
                if not elsewhere and part in _attributes(other):
                    message = f"`{name}` acts in one branch only; the other builds an optimizer for `{part}` without it"
                    yield Hit(branch.lineno, "likely", message)


def _rates(body: list[ast.stmt]) -> set[str]:
    """`args.head_lr` and the like, read in a piece of code."""
    names = {
        name_of(n) for s in body for n in ast.walk(s) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)
    }
    return {n for n in names if n.count(".") == 1 and "_" in n and vocabulary.says(n.rpartition(".")[2], _RATES)}


def _attributes(body: list[ast.stmt]) -> set[str]:
    return {n.attr for s in body for n in ast.walk(s) if isinstance(n, ast.Attribute)}


def _optimizes(body: list[ast.stmt]) -> bool:
    calls = [n for s in body for n in ast.walk(s) if isinstance(n, ast.Call)]
    return any("optim" in name_of(c.func).lower() or name_of(c.func).endswith(("Adam", "AdamW", "SGD")) for c in calls)
