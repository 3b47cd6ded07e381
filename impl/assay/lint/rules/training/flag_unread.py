"""`--hard-negatives 8` was in every command of the README. The parser took it, the log printed it, and nothing
else ever asked for it: the ablation "with and without hard negatives" was the same run twice."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint.finding import Confidence
from assay.lint.module import Function, Module, keyword, name_of, string
from assay.lint.project import Project
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS203",
    "flag-unread",
    __doc__,
    fix="Let the option act, or remove it; a test that flips the option must see a difference.",
    bad="""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--hard-negatives", type=int, default=8)
    args = parser.parse_args()
    train(epochs=args.epochs)
    """,
    good="""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--hard-negatives", type=int, default=8)
    args = parser.parse_args()
    train(epochs=args.epochs, negatives=args.hard_negatives)
    """,
    words=("click|typer",),  # of the file check: argparse is looked at across files
)
_ELSEWHERE = frozenset({"local_rank", "config", "f", "deepspeed", "deepspeed_config"})
"""Options that a launcher or kernel passes and the script only has to accept."""


@RULE.project
def check(project: Project) -> Iterator[Hit]:
    for facts, config in project.configs("flags"):
        if facts.parser != "argparse" or facts.test:
            continue
        handed = {name for file in project.closure(facts) for name in file.splats}
        if handed & {"*", "vars"} or not any(entry.key in project.reads for entry in config.entries):
            continue
        for entry in config.entries:
            if entry.key in project.reads or entry.key in _ELSEWHERE:
                continue
            how = "is printed and nothing else" if entry.key in project.logged else "is parsed and read by nobody"
            if entry.key in project.stored:
                how = f"is kept as `self.{project.stored[entry.key]}`, which nobody reads"
            confidence: Confidence = "certain" if config.closed else "look" if config.escapes else "likely"
            yield Hit(entry.line, confidence, f"option `{entry.key}` {how}", facts.path)


@RULE.python
def check_commands(module: Module) -> Iterator[Hit]:
    """Options of click and typer are parameters: of a command that never reads one, it has no effect."""
    if module.is_test or not {"click", "typer"} & {name.partition(".")[0] for name in _imported(module)}:
        return
    for function in module.functions:
        names = _options(module, function)
        reads = {n.id for s in function.body for n in ast.walk(s) if isinstance(n, ast.Name)}
        if not names or reads & {"locals", "ctx", "context"} or function.args.kwarg is not None or _is_stub(function):
            continue
        if any("get_current_context" in name_of(call.func) for call in module.calls):
            continue
        for name, line in names.items():
            if name not in reads and name not in _ELSEWHERE and not name.startswith("_"):
                yield Hit(line, "likely", f"option `{name}` is a parameter of `{function.name}` that nothing reads")


def _imported(module: Module) -> Iterator[str]:
    for node in module.nodes(ast.Import, ast.ImportFrom):
        yield from [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def _options(module: Module, function: Function) -> dict[str, int]:
    """Parameter -> line of the option that fills it; those with a callback of their own left out."""
    found = {}
    parameters = {a.arg: a for a in [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]}
    commanded = False
    for decorator in function.decorator_list:
        called = module.called(decorator) if isinstance(decorator, ast.Call) else module.dotted(decorator)
        commanded = commanded or called.endswith((".command", ".callback"))
        if not isinstance(decorator, ast.Call) or not called.endswith("option") or keyword(decorator, "callback"):
            continue
        given = [text for one in decorator.args if (text := string(one))]
        dashed = [text.partition("/")[0].lstrip("-").replace("-", "_") for text in given if text.startswith("--")]
        name = next((text for text in given if text.isidentifier()), dashed[0] if dashed else "")
        if name in parameters:
            found[name] = decorator.lineno
    if commanded and not found:
        defaults = dict(zip(reversed(function.args.args), reversed(function.args.defaults), strict=False))
        for argument, default in defaults.items():
            option = isinstance(default, ast.Call) and module.called(default) == "typer.Option"
            if option and not keyword(default, "callback"):  # type: ignore[arg-type]
                found[argument.arg] = argument.lineno
    return found


def _is_stub(function: Function) -> bool:
    return all(
        isinstance(s, ast.Pass | ast.Raise) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in function.body
    )
