"""Samples of false claims: what must be caught, and what must stay silent.

Those of this folder were written before any matcher; those in `blind/` from the catalogue alone, by an author who had
seen no rule, when the rules had been mended for the first; those in `later/` the same way, when they had been mended
for `blind/`. None is ever fitted to a rule.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
_FENCE = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Sample:
    """One section of a sample file: what is claimed about which rules, and the files (name -> text)."""

    row: str
    rules: tuple[str, ...]
    caught: bool
    title: str
    files: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.row}: {'caught' if self.caught else 'silent'}: {self.title}"

    def write(self, folder: Path) -> None:
        for name, text in self.files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def samples() -> list[Sample]:
    return [sample for path in sorted(HERE.glob("*.md")) for sample in _of(path)]


def blind() -> list[Sample]:
    return [sample for path in sorted(HERE.glob("blind/*.md")) for sample in _of(path)]


def later() -> list[Sample]:
    return [sample for path in sorted(HERE.glob("later/*.md")) for sample in _of(path)]


def _of(path: Path) -> list[Sample]:
    head, *sections = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.M)
    row, _, codes = head.removeprefix("# ").strip().partition(":")
    found = []
    for section in sections:
        verdict, _, rest = section.partition(": ")
        files = tuple(
            (name, _notebook(text) if language == "notebook" else text)
            for language, name, text in _FENCE.findall(section)
        )
        assert verdict in ("caught", "silent"), f"{path}: {section[:60]}"
        found.append(Sample(row, tuple(codes.split()), verdict == "caught", rest.partition("\n")[0], files))
    return found


def _notebook(text: str) -> str:
    cells = [
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": cell.strip("\n").splitlines(True),
        }
        for cell in text.split("# %%\n")
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}, indent=1)
