"""The status page said "172/180 passing (99.2%)". 172 of 180 is 95.6 %; the 99.2 was another suite's, or a
wish. Numbers that cannot both be true are the cheapest evidence there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.lint.rule import Hit, Rule
from assay.lint.source import Source

RULE = Rule(
    "AS507",
    "impossible-percentage",
    __doc__,
    fix="Generate the sentence from the run's own counts.",
    bad={"STATUS.md": "Tests: 172/180 passing (99.2%).\n"},
    good={"STATUS.md": "Tests: 172/180 passing (95.6%).\n"},
    words=("%",),
)
_SHARE = re.compile(
    r"(?<![\d/.,])(\d[\d,]*)\s*(?:/|of|out of)\s*(\d[\d,]*)(?![\d/.])[^\d%\n|]{0,30}[(=]\s*(\d+(?:\.(\d+))?)\s*%"
    r"(?!\s*(?:CI\b|conf|cred|interval))"  # "(95 % CI 64 to 87)"
)
_COUNTED = re.compile(r"test|pass|correct|solved|succe|accura|hits?\b|queries|met\b", re.I)


@RULE.text("markdown")
def check(source: Source) -> Iterator[Hit]:
    for number, line in enumerate(source.lines, start=1):
        if not _COUNTED.search(line):
            continue
        for match in _SHARE.finditer(line):
            part, whole = (int(match.group(i).replace(",", "")) for i in (1, 2))
            if not 0 < part <= whole:
                continue
            share, said = 100 * part / whole, float(match.group(3))
            if abs(share - said) > 1.01 * 10.0 ** -len(match.group(4) or ""):
                yield Hit(number, "certain", f"{part:,} of {whole:,} is {share:.1f} %, not {said:g} %")
