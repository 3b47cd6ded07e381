"""`tests/test_training.py` was listed in the report among the suites that pass. It had 0 bytes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint.module import Module
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS404",
    "empty-test-file",
    __doc__,
    fix="Write the tests, or delete the file.",
    bad={"tests/test_training.py": "# TODO\n"},
    good={"tests/test_training.py": "def test_sum():\n    assert sum([1, 2]) == 3\n"},
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test_file and "test" in module.path.rpartition("/")[2]:
        told = [s for s in module.tree.body if not isinstance(s, ast.Pass)]
        docstring = len(told) == 1 and isinstance(told[0], ast.Expr) and isinstance(told[0].value, ast.Constant)
        if not told or docstring:
            yield Hit(1, "likely", "a test file without a single test")
