"""Of 180 green tests, 41 built a model, ran it and asserted nothing: they would have passed with any weights,
any shapes and most bugs. "All tests pass" was the headline."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint.module import Function, Module, name_of, parents
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS401",
    "no-assertion",
    __doc__,
    fix="Assert what the result must be; a test that only runs the code should say so in its name.",
    bad={"test_model.py": "def test_forward():\n    out = Encoder()([1, 2])\n    print(out)\n"},
    good={"test_model.py": "def test_forward():\n    assert Encoder()([1, 2]).shape == (2, 8)\n"},
    words=("def test",),
)
_CHECKS = re.compile(
    r"assert|raises|warns|check|verify|expect|fail|validate|compare|\btest|_test|ensure|match|benchmark|should", re.I
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if not module.is_test_file:
        return
    local = {f.name: f for f in module.functions}
    for function in module.functions:
        owner = next((p for p in parents(function) if isinstance(p, ast.ClassDef | ast.FunctionDef)), None)
        if not function.name.startswith("test") or isinstance(owner, ast.FunctionDef) or _is_empty(function):
            continue
        if "smoke" in function.name or "runs" in function.name or function.decorator_list:
            continue
        if not _checks(function, local, set()):
            yield Hit(function.lineno, "look", f"`{function.name}` asserts nothing")


def _is_empty(function: Function) -> bool:
    return all(isinstance(s, ast.Pass) for s in function.body)


def _checks(function: Function, local: dict[str, Function], seen: set[str]) -> bool:
    seen.add(function.name)
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise | ast.Yield):
            return True
        if isinstance(node, ast.Call):
            name = name_of(node.func)
            last = name.rpartition(".")[2]
            if _CHECKS.search(name):
                return True
            if last in local and last not in seen and _checks(local[last], local, seen):
                return True
            if name.startswith(("self.", "super()")) and last not in local:
                return True
    return False
