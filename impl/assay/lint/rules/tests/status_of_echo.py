"""CI ran the tests, echoed "tests finished" and then asked `$?`: the status of the echo, which is always 0. The
job was green for three months; 51 tests were failing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.lint.rule import Hit, Rule
from assay.lint.source import Source

RULE = Rule(
    "AS405",
    "status-of-echo",
    __doc__,
    fix="Keep the status first: `pytest; status=$?`, or `set -e`, or test the command itself: `if pytest; then`.",
    bad={"ci.sh": 'pytest -q\necho "tests finished"\nif [ $? -eq 0 ]; then echo "passed"; fi\n'},
    good={"ci.sh": 'pytest -q\nstatus=$?\necho "tests finished"\nif [ $status -eq 0 ]; then echo "passed"; fi\n'},
    words=("$?", "echo|printf"),
)
_ECHO = re.compile(r"^(echo|printf)\b[^|&;`>]*$|^(echo|printf) (\"[^\"]*\"|'[^']*')$")
_ONE_LINE = re.compile(r"\b(echo|printf) [^|&;`$]*;\s*(if \[|exit|return|test)[^;]*\$\?")
_ASKS = re.compile(r"^(if|elif|while)\b.*\$\?|^\w+=\$\?|^(exit|return) \$\?|^\[+ *\"?\$\?|^test \"?\$\?")


@RULE.text("shell", "yaml")
def check(source: Source) -> Iterator[Hit]:
    before = ""
    for number, line in enumerate(source.lines, start=1):
        text = re.sub(r"^(- )?run: \|?", "", line.strip()).strip()
        if not text or text.startswith("#"):
            continue
        if _ONE_LINE.search(text):
            yield Hit(number, "certain", "`$?` is the status of the echo before it: always 0")
        elif _ASKS.search(text) and _ECHO.search(before) and not before.endswith("\\"):
            yield Hit(number, "certain", "`$?` is the status of the echo above: always 0")
        before = text
