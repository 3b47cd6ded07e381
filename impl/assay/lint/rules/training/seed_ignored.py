"""Five seeds, five runs, a standard deviation of 0.02 and p < 0.001: the loop variable was printed, and each
run began with `torch.manual_seed(42)`. In another study the seed went nowhere at all. An interval over seeds
that never reached a generator measures the file system."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import facts
from assay.lint.module import Function, Module, constant, name_of, parents, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS208",
    "seed-ignored",
    __doc__,
    fix="Pass the seed to every generator of the run, and compare the first weights of two seeds: they must differ.",
    bad="""
    def study(build, data):
        scores = []
        for seed in (1, 2, 3):
            print("seed", seed)
            scores.append(build().fit(data))
        return scores
    """,
    good="""
    import torch

    def study(build, data):
        scores = []
        for seed in (1, 2, 3):
            torch.manual_seed(seed)
            scores.append(build().fit(data))
        return scores
    """,
    words=("seed",),
)
_SEEDS = re.compile(r"^(random_)?seed(_value)?$")
_SEEDING = re.compile(r"(^|\.)(seed|manual_seed|manual_seed_all|set_seed|seed_everything|set_random_seed)$")
_NAMESPACES = frozenset({"args", "opts", "opt", "options", "flags"})
_TRAINS = re.compile(r"train|fit|run|experiment|evaluate|build|model|Net|learn", re.I)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for loop in module.nodes(ast.For):
        names = [n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name) and _SEEDS.match(n.id)]
        if names and not _acts(module, loop.body, names[0]) and _trains(loop.body):
            fixed = "; every run is seeded with a constant" if _constant_seed(module, loop.body) else ""
            message = f"`{names[0]}` reaches no call of the loop: all runs are the same experiment{fixed}"
            yield Hit(loop.lineno, "certain" if fixed else "likely", message)
    for function in module.functions:
        names = [a.arg for a in [*function.args.args, *function.args.kwonlyargs] if _SEEDS.match(a.arg)]
        if names and not _acts(module, function.body, names[0]) and _constant_seed(module, function.body):
            message = f"`{function.name}` takes `{names[0]}` and seeds with a constant"
            yield Hit(function.lineno, "certain", message)
        elif names and module.class_of(function) is None and _is_run(function) and not _mentions(function, names[0]):
            yield Hit(function.lineno, "likely", f"`{function.name}` takes `{names[0]}` and does nothing with it")
    yield from _option(module)


def _option(module: Module) -> Iterator[Hit]:
    """`--seed` goes into messages and names, and a constant seeds the run."""
    adding = [call for callee in module.callees if callee.name.endswith(".add_argument") for call in callee.calls]
    defined = next((call for call in adding if any(string(option) == "--seed" for option in call.args)), None)
    if defined is None:
        return
    reads = [n for n in module.nodes(ast.Attribute) if n.attr == "seed" and name_of(n.value) in _NAMESPACES]
    handed = any(
        name_of(a) in _NAMESPACES
        for call in module.calls
        for a in [*call.args, *(word.value for word in call.keywords)]
    )
    told = all(facts.is_logged(module, n) or _is_label(n) or _is_named(n) for n in reads)
    if reads and told and not handed and _constant_seed(module, module.tree.body):
        yield Hit(defined.lineno, "likely", "`--seed` is only told, and the run is seeded with a constant")


def _is_named(node: ast.AST) -> bool:
    """Is it part of a name, `f"run-{args.seed}"`, that is no command for another process?"""
    around = next((p for p in parents(node) if isinstance(p, ast.JoinedStr)), None)
    return around is not None and not any("seed" in (string(part) or "") for part in around.values)


def _acts(module: Module, body: list[ast.stmt], name: str) -> bool:
    """Is the seed used for more than messages, labels and keys?"""
    reads = [n for s in body for n in ast.walk(s) if isinstance(n, ast.Name) and n.id == name]
    return any(isinstance(n.ctx, ast.Store) or not (facts.is_logged(module, n) or _is_label(n)) for n in reads)


def _is_run(function: Function) -> bool:
    """Does it train: a backward pass, or a fit?"""
    calls = [n for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    return any(isinstance(n.func, ast.Attribute) and n.func.attr in ("backward", "fit", "train_step") for n in calls)


def _mentions(function: Function, name: str) -> bool:
    inside = [n for s in function.body for n in ast.walk(s)]
    return any(isinstance(n, ast.Name) and n.id in (name, "locals") for n in inside)


def _is_label(node: ast.AST) -> bool:
    child = node
    for parent in parents(node):
        if isinstance(parent, ast.Subscript) and child is parent.slice:
            return isinstance(parent.ctx, ast.Store)
        if isinstance(parent, ast.Dict):
            return child in parent.keys
        if not isinstance(parent, ast.JoinedStr | ast.FormattedValue):
            return False
        child = parent
    return False


def _constant_seed(module: Module, body: list[ast.stmt]) -> bool:
    calls = [n for s in body for n in ast.walk(s) if isinstance(n, ast.Call)]
    return any(_SEEDING.search(module.called(c)) and c.args and isinstance(constant(c.args[0]), int) for c in calls)


def _trains(body: list[ast.stmt]) -> bool:
    return any(_TRAINS.search(name_of(n.func)) for s in body for n in ast.walk(s) if isinstance(n, ast.Call))
