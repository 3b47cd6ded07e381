"""All rules, by code. A rule is a module in a folder here that defines `RULE`; adding the file registers it."""

from __future__ import annotations

import importlib
import pkgutil

from assay.lint import ignores
from assay.lint.rule import Rule


def _found() -> dict[str, Rule]:
    rules = [ignores.WITHOUT_REASON, ignores.UNUSED]
    for module in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        if not module.ispkg:
            rules.append(importlib.import_module(module.name).RULE)
    by_code: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda r: r.code):
        if rule.code in by_code:
            raise ValueError(f"{rule.name} and {by_code[rule.code].name} both call themselves {rule.code}")
        by_code[rule.code] = rule
    return by_code


RULES: dict[str, Rule] = _found()
