"""Numbers and commands in documents: every figure comes from evidence, every command exists.

Reads text and a board; it never decides what a number means, only whether anything measured or demanded has it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from assay.evidence import CheckResult

_NUMBER = re.compile(r"(?<![\w.,])[-+]?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?\s*(%?)(?![\w]|[.,]\d)")
_COMMAND = re.compile(r"^\s*(?:\$\s*)?assay\s+(.*)$", re.MULTILINE)


def known(board: Mapping[str, Any], more: Iterable[float] = ()) -> list[float]:
    """Every number of a board (as `assay status --json` has it), the counts of its verdicts, and `more`."""
    found = [float(one) for one in more]
    for system in board["systems"]:
        rows = system["requirements"]
        found += _numbers(rows)
        verdicts = [row["verdict"] for row in rows]
        measured = [row["verdict"] for row in rows if row["value"] is not None]
        for kinds in (verdicts, measured):
            found += [float(len(kinds)), *(float(kinds.count(kind)) for kind in ("PASS", "FAIL", "UNPROVEN", "VOID"))]
    return found


def stray(text: str, numbers: Iterable[float]) -> list[str]:
    """Figures of the text that no known number rounds to, as "line 3: 0.93".

    Whole numbers below 10 count as words, and so does what stands in a fenced block.
    """
    values = list(numbers)
    result = []
    for place, line in enumerate(_outside_fences(text), 1):
        for match in _NUMBER.finditer(line):
            whole, fraction, percent = match.group(1).replace(",", ""), match.group(2) or "", match.group(3)
            value, digits = float(whole + fraction), max(0, len(fraction) - 1)
            if not fraction and not percent and value < 10:
                continue
            scale = 100.0 if percent else 1.0
            if not any(abs(abs(one) * scale - value) <= 0.5 * 10.0**-digits + 1e-9 for one in values):
                result.append(f"line {place}: {match.group(0).strip()}")
    return result


def unknown_commands(text: str) -> list[str]:
    """Commands and flags of `assay` in the text that the command line does not have."""
    import typer

    from assay.cli import app

    root: Any = typer.main.get_command(app)
    result = []
    for match in _COMMAND.finditer(text):
        words = [word for word in shlex.split(match.group(1), comments=True) if not word.isupper()]
        command = root
        for word in words:
            if word.startswith("-"):
                flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
                if word.partition("=")[0] not in {*flags, "--help"}:
                    result.append(f"assay {match.group(1).strip()}: no {word}")
            elif hasattr(command, "commands"):
                if word not in command.commands:
                    result.append(f"assay {match.group(1).strip()}: no {word}")
                    break
                command = command.commands[word]
    return result


def checks(text: str, numbers: Iterable[float]) -> list[CheckResult]:
    """The two doubts about a document, by name: documents, commands."""
    lost, unknown = stray(text, numbers), unknown_commands(text)
    return [
        CheckResult(name="documents", ok=not lost, detail="no evidence has " + ", ".join(lost[:5]) if lost else ""),
        CheckResult(name="commands", ok=not unknown, detail="; ".join(unknown[:5])),
    ]


def _outside_fences(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            inside = not inside
            yield ""
        else:
            yield "" if inside else line


def _numbers(value: Any) -> list[float]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [float(value)]
    if isinstance(value, Mapping):
        return [one for item in value.values() for one in _numbers(item)]
    return [one for item in value for one in _numbers(item)]
