"""`collate_fn=lambda b: b[0]` made the shapes fit: the effective batch was 16 single samples, not the 128 of
the configuration, and seven of eight records that the loader had read never reached the loss. The epoch
counter, the progress bar and the "samples seen" of the report all count what was thrown away."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint.module import Function, Module, argument, constant, name_of, number
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS303",
    "batch-dropped",
    __doc__,
    fix="Collate all items of the batch (pad, or `torch_geometric.data.Batch`), or say `batch_size=1`.",
    bad="""
    from torch.utils.data import DataLoader

    loader = DataLoader(dataset, batch_size=128, collate_fn=lambda batch: batch[0])
    """,
    good="""
    from torch.utils.data import DataLoader

    loader = DataLoader(dataset, batch_size=128, collate_fn=lambda batch: pad([item["ids"] for item in batch]))
    """,
    words=("collat",),
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    yield from _collators(module)
    for call in module.calls:
        collate = next((k.value for k in call.keywords if k.arg == "collate_fn"), None)
        size = argument(call, 1, "batch_size")
        if (
            collate is None
            or size is None
            or constant(size) == 1
            or (isinstance(size, ast.Constant) and size.value is None)
        ):
            continue
        if _keeps_one(module, collate):
            shown = f"of {number(size):g} " if number(size) is not None else ""
            yield Hit(
                call.lineno,
                "certain" if number(size) is not None else "likely",
                f"the collate function keeps one item {shown}of each batch; the others never reach the loss",
            )


def _collators(module: Module) -> Iterator[Hit]:
    """A class that is called with the batch, as `transformers` has it."""
    for owner in module.nodes(ast.ClassDef):
        called = next((f for f in owner.body if isinstance(f, ast.FunctionDef) and f.name == "__call__"), None)
        if "collat" in owner.name.lower() and called is not None and _drops(called):
            message = f"`{owner.name}` keeps one item of each batch; the others never reach the loss"
            yield Hit(called.lineno, "likely", message)


def _keeps_one(module: Module, collate: ast.expr) -> bool:
    if isinstance(collate, ast.Lambda):
        arguments = collate.args.args
        return len(arguments) == 1 and _only_first(collate.body, arguments[0].arg)
    name = name_of(collate)
    functions = [f for f in module.functions if f.name == name.rpartition(".")[2]]
    return len(functions) == 1 and _drops(functions[0])


def _drops(function: Function) -> bool:
    names = [a.arg for a in function.args.args if a.arg not in ("self", "cls")]
    return len(names) == 1 and all(_guardless(s) for s in function.body) and _only_first(function, names[0])


def _guardless(statement: ast.stmt) -> bool:
    """`assert len(batch) == 1` says that there is nothing to drop."""
    return not isinstance(statement, ast.Assert)


def _only_first(root: ast.AST, name: str) -> bool:
    """Is the parameter read, and only ever as `name[0]`?"""
    reads = [n for n in ast.walk(root) if isinstance(n, ast.Name) and n.id == name]
    return bool(reads) and all(
        isinstance(n.ctx, ast.Load)
        and isinstance(p := getattr(n, "parent", None), ast.Subscript)
        and p.value is n
        and constant(p.slice) in (0, -1)
        for n in reads
    )
