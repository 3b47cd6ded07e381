"""The validation script printed both figures, both below target, and then "All targets achieved! Model is
production ready": the sentence stood at the end of the file, and no `if` anywhere. The sentence was what the
report quoted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import facts
from assay.lint.module import Module, Scope, constant, name_of, parents
from assay.lint.rule import Hit, Rule
from assay.lint.source import Source

RULE = Rule(
    "AS406",
    "unconditional-success",
    __doc__,
    fix="Compare the figures with their targets, exit non-zero when one is missed, and print what was found.",
    bad="""
    def report(metrics):
        print("mrr", metrics["mrr"])
        print("All targets achieved!")
    """,
    good="""
    def report(metrics):
        print("mrr", metrics["mrr"])
        if metrics["mrr"] < 0.52:
            raise SystemExit("mrr is below 0.52")
        print("All targets achieved!")
    """,
    words=("achieved|passed|ready|met|meets|success",),
)
_WHAT = r"(targets?|checks?|tests?|requirements?|metrics?|criteria|thresholds?|goals?)"
_CLAIM = re.compile(
    rf"\b(all|every)\b.{{0,40}}\b{_WHAT}\b.{{0,30}}\b(achieved|passed|met|succe\w+|satisfied|reached)"
    r"|production[- ]ready|\btargets?\b.{0,20}\b(met|achieved)\b|\bmeets? all\b|\btests? (all )?passed\b"
    r"|\b(validation|verification|evaluation|all) (passed|succeeded|successful)\b",
    re.I,
)
_MAYBE = re.compile(r"\bif\b|\bnot\b|\bfail|\bwhen\b|\bunless\b|\?|%[sd]|\bmust\b|\bshould\b|\{", re.I)
_LOOKS = re.compile(
    r"(^|[._])(assert\w*|check\w*|verify\w*|validate\w*|test\w*|main|run\w*|exit|fail|raise_\w+)$", re.I
)
_PROGRAMS = frozenset({"subprocess.run", "subprocess.call", "os.system"})
_SHOWS = re.compile(r"(^|\.)(print|info|success|echo|secho|write|log|rule)$")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test_file:
        return
    for call in [call for callee in module.callees if _SHOWS.search(callee.dotted) for call in callee.calls]:
        if not call.args:
            continue
        text = facts_text(call.args[0])
        if not _CLAIM.search(text) or _MAYBE.search(text) or _is_conditional(call):
            continue
        if not _was_checked(module, module.scope_of(call), call):
            yield Hit(call.lineno, "likely", f'"{text.strip()[:60]}" is said whatever happened before')


@RULE.text("shell")
def check_shell(source: Source) -> Iterator[Hit]:
    stops = bool(re.search(r"^\s*set -\w*e|^#!.*\s-\w*e|set -o errexit", source.text, re.M))
    depth = 0
    for number, line in enumerate(source.lines, start=1):
        text = line.strip()
        depth += bool(re.match(r"(if|case|for|while|until)\b|\w+\s*\(\)", text)) - bool(
            re.match(r"(fi|esac|done|\})\b|\}", text)
        )
        if text.startswith("echo") and _CLAIM.search(text) and not _MAYBE.search(text) and not stops and depth <= 0:
            yield Hit(number, "likely", "success is announced whatever the commands above returned")


def facts_text(node: ast.expr) -> str:
    """The constant words of a message."""
    return " ".join(n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def _is_conditional(call: ast.Call) -> bool:
    """Does something decide whether the line is reached?"""
    node: ast.AST = call
    for parent in parents(call):
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        if isinstance(parent, ast.If) and not _is_main(parent):
            return True
        if isinstance(parent, ast.IfExp | ast.While | ast.match_case | ast.ExceptHandler | ast.Lambda):
            return True
        if isinstance(parent, ast.Try) and (node in parent.orelse or node in parent.body):
            return True
        if isinstance(parent, ast.For) and node in parent.orelse:
            return True
        node = parent
    return False


def _was_checked(module: Module, scope: Scope, call: ast.Call) -> bool:
    """Could an earlier line of the scope have ended it?"""
    for node in scope.own:
        if getattr(node, "lineno", 0) >= call.lineno:
            continue
        swallowed = any(isinstance(p, ast.Try) and _swallows(p) for p in parents(node))
        if swallowed and not isinstance(node, ast.Return):
            continue
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Return) and any(isinstance(p, ast.If) for p in parents(node)):
            return True
        if isinstance(node, ast.Call) and not _is_unwatched(module, node):
            name = module.called(node) or getattr(node.func, "attr", "")
            if (_looks(name) or _is_own(module, name)) and not _is_harmless(module, name, set()):
                return True
    return False


def _is_own(module: Module, name: str) -> bool:
    return any(function.name == name for function in module.functions)


def _looks(name: str) -> bool:
    return bool(_LOOKS.search(name)) and not facts.LOGGING.search(name)


def _is_unwatched(module: Module, call: ast.Call) -> bool:
    """Is it a program that is run, and its exit code left where it is? `subprocess.run(...)` without `check`."""
    if module.called(call) not in _PROGRAMS or not isinstance(getattr(call, "parent", None), ast.Expr):
        return False
    return all(word.arg not in (None, "check") or constant(word.value) is False for word in call.keywords)


def _is_harmless(module: Module, name: str, seen: set[str]) -> bool:
    """Is it a function of this file that looks at nothing: no `raise`, no `assert`, nothing called that might look?"""
    seen.add(name)
    own = [function for function in module.functions if function.name == name]
    for node in (node for function in own for node in ast.walk(function)):
        if isinstance(node, ast.Assert | ast.Raise):
            return False
        if isinstance(node, ast.Call) and not _is_unwatched(module, node):
            inner = module.called(node) or getattr(node.func, "attr", "")
            looks = _looks(inner) or _is_own(module, inner)
            if looks and inner not in seen and not _is_harmless(module, inner, seen):
                return False
    return bool(own)


def _swallows(attempt: ast.Try) -> bool:
    return all(
        not any(isinstance(n, ast.Raise | ast.Return) for s in h.body for n in ast.walk(s)) for h in attempt.handlers
    )


def _is_main(node: ast.If) -> bool:
    return isinstance(node.test, ast.Compare) and name_of(node.test.left) == "__name__"
