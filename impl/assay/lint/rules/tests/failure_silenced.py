"""`pytest tests/ || true`: somebody needed a green badge on a Friday. The badge stayed, and became evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from assay.lint.rule import Hit, Rule
from assay.lint.source import Source

RULE = Rule(
    "AS407",
    "failure-silenced",
    __doc__,
    fix="Let the job fail; quarantine a flaky test by name, with a reason and a date.",
    bad={"ci.sh": "pytest tests/ -q || true\n"},
    good={"ci.sh": "pytest tests/ -q\n"},
)
_CHECKS = re.compile(r"^(- )?(run: )?(?:\w+=\S+ )*(?:uv run |poetry run |python3? -m |coverage run -m )?"
                     r"(pytest|unittest|tox|nox|make (test|verify)(?![\w-])|"
    r"python3? (?:\S*[/_])?(test|eval|verify|validat)\S*\.py)\b")  # fmt: skip
_SILENCED = re.compile(r"(\|\|\s*(true|:|echo\b.*|exit 0)|;\s*(true|exit 0))\s*(#.*)?$")


@RULE.text("shell", "yaml")
def check(source: Source) -> Iterator[Hit]:
    for number, line in enumerate(source.lines, start=1):
        text = line.strip()
        if _SILENCED.search(text) and _checks(re.split("&&|;", text)):
            yield Hit(number, "certain", "the failure of this check is thrown away")
        elif source.kind == "yaml" and text == "continue-on-error: true" and _checks(_step(source.lines, number - 1)):
            yield Hit(number, "likely", "the job stays green when this check fails")


def _checks(lines: Sequence[str]) -> bool:
    return any(_CHECKS.search(line.strip()) for line in lines)


def _step(lines: Sequence[str], place: int) -> Sequence[str]:
    """The lines of the step that line `place` (from 0) is one of, at most four before and after it."""
    first, end = max(0, place - 4), min(len(lines), place + 5)
    begins = [number for number in range(first, end) if lines[number].lstrip().startswith("- ")]
    low = max((number for number in begins if number <= place), default=first)
    return lines[low : min((number for number in begins if number > place), default=end)]
