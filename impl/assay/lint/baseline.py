"""A baseline: findings that were there before, so that only new ones turn CI red.

Keyed by path, rule and message, with a count, never by line: an edit above a known finding does not make it new.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from assay.errors import LintError
from assay.lint.finding import Finding


def write(path: Path, findings: Iterable[Finding]) -> int:
    """Write the findings as a baseline; returns how many."""
    counts = Counter((f.path, f.rule, f.message) for f in findings)
    rows = [{"path": p, "rule": r, "message": m, "count": n} for (p, r, m), n in sorted(counts.items())]
    path.write_text(json.dumps({"version": 1, "findings": rows}, indent=1) + "\n", encoding="utf-8")
    return counts.total()


def without(path: Path, findings: Iterable[Finding]) -> list[Finding]:
    """The findings that the baseline does not hold.

    Raises:
        LintError: the file is no baseline.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["findings"]
        left = Counter({(row["path"], row["rule"], row["message"]): int(row["count"]) for row in rows})
    except (ValueError, KeyError, TypeError) as error:
        raise LintError(f"{path}: not a baseline of assay lint ({error}); write one with --write-baseline") from None
    new = []
    for finding in findings:
        key = (finding.path, finding.rule, finding.message)
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(finding)
    return new
