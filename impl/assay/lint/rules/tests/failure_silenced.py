"""`pytest tests/ || true`: somebody needed a green badge on a Friday. The badge stayed, and became evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
                     r"(pytest|unittest|tox|nox|make (test|verify)|"
    r"python3? \S*(test|eval|verify|validat)\S*\.py)\b")  # fmt: skip
_SILENCED = re.compile(r"\|\|\s*(true|:|echo\b.*|exit 0)\s*$|;\s*(true|exit 0)\s*$")


@RULE.text("shell", "yaml")
def check(source: Source) -> Iterator[Hit]:
    for number, line in enumerate(source.lines, start=1):
        text = line.strip()
        if _CHECKS.search(text) and _SILENCED.search(text):
            yield Hit(number, "certain", "the failure of this check is thrown away")
        elif source.kind == "yaml" and text == "continue-on-error: true":
            around = source.lines[max(0, number - 5) : number + 4]
            if any(_CHECKS.search(near.strip()) for near in around):
                yield Hit(number, "likely", "the job stays green when this check fails")
