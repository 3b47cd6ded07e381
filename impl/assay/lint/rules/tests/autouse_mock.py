"""An `autouse` fixture replaced `load_model` by a `MagicMock` that answered `confidence 0.9`: 129 tests of a
code model passed on a machine that had never seen its weights. The suite tested the mock."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint.module import Module, constant, keyword, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS403",
    "autouse-mock",
    __doc__,
    fix="Mock the model where a test is about something else, by name; keep a suite that runs the real one.",
    bad={
        "conftest.py": "import pytest\nfrom unittest.mock import patch\n\n\n@pytest.fixture(autouse=True)\n"
        'def fake_model():\n    with patch("app.load_model") as loader:\n        yield loader\n'
    },
    good={
        "conftest.py": "import pytest\nfrom unittest.mock import patch\n\n\n@pytest.fixture\n"
        'def fake_model():\n    with patch("app.load_model") as loader:\n        yield loader\n'
    },
    words=("autouse", "patch|mock"),
)
_MODEL = re.compile(
    r"model|predict|encoder|embedder|generat|inference|classif|from_pretrained|llm|pipeline|reward", re.I
)
_CONFIG = re.compile(r"config|cache|url|path|dir|env|download|registry|list|name|settings", re.I)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    for function in module.functions:
        fixtures = [
            d for d in function.decorator_list if isinstance(d, ast.Call) and name_of(d.func).endswith("fixture")
        ]
        if not any(constant(keyword(d, "autouse")) is True for d in fixtures):
            continue
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and (target := _patched(node))
                and _MODEL.search(target)
                and not _CONFIG.search(target)
            ):
                yield Hit(
                    function.lineno, "likely", f"every test in reach of this fixture runs with `{target}` replaced"
                )
                break


def _patched(call: ast.Call) -> str:
    name = name_of(call.func)
    if not call.args or name.rpartition(".")[2] not in ("patch", "object", "setattr"):
        return ""
    if name.endswith(".object") and "patch" not in name:
        return ""
    text = string(call.args[0])
    if text is not None:
        return text.rpartition(".")[2]
    return string(call.args[1]) or "" if len(call.args) > 1 else ""
