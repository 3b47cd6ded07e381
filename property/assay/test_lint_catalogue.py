"""The catalogue of rules cannot drift from the rules."""

from __future__ import annotations

import re
from pathlib import Path

from assay.lint import catalogue
from assay.lint.rules import RULES

ROOT = Path(__file__).parents[2]


def test_catalogue_is_current() -> None:
    """`assay lint --catalogue > docs/lint.md` writes it."""
    assert (ROOT / "docs" / "lint.md").read_text(encoding="utf-8") == catalogue.markdown()


def test_every_code_and_name_is_well_formed_and_used_once() -> None:
    assert all(re.fullmatch(r"AS[0-5]\d\d", code) for code in RULES)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name) for rule in RULES.values())
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
