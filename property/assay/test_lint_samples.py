"""Every (L) row of the catalogue of false claims is found in code written before its rule, and near misses are left alone.

A rule's own examples are tests as well: it finds its bad one and is silent on its good one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.lint import engine
from assay.lint.rules import RULES
from property.assay.lint_samples import Sample, blind, later, samples


def found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> engine.Result:
    monkeypatch.chdir(folder)
    result = engine.run([Path()], workers=1)
    assert result.broken == []
    return result


@pytest.mark.parametrize("sample", [*samples(), *blind(), *later()], ids=str)
def test_sample(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample.write(tmp_path)
    result = found(tmp_path, monkeypatch)
    named = [finding for finding in result.findings if finding.rule in sample.rules]
    assert bool(named) is sample.caught, result.findings


def test_every_row_has_three_samples_caught_and_one_silent() -> None:
    rows: dict[str, list[bool]] = {}
    for sample in samples():
        rows.setdefault(sample.row, []).append(sample.caught)
    assert {row for row, verdicts in rows.items() if sum(verdicts) < 3 or all(verdicts)} == set()


@pytest.mark.parametrize("code", RULES)
@pytest.mark.parametrize("side", ["bad", "good"])
def test_example(code: str, side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RULES[code]
    Sample("", (), True, "", tuple(getattr(rule, side).items())).write(tmp_path)
    result = found(tmp_path, monkeypatch)
    assert (code in {finding.rule for finding in result.findings}) is (side == "bad"), result.findings
    assert rule.doc
    assert rule.fix
