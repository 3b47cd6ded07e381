"""A rule: its code, its story, its examples (which are its tests), and the functions that look.

A check yields hits and never decides about paths, ignores or output. A file check sees one source; a project check sees
the facts of all files. A rule whose words do not occur in a file is not asked about it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assay.lint.finding import Confidence

if TYPE_CHECKING:
    from assay.lint.module import Module
    from assay.lint.project import Project
    from assay.lint.source import Source

Kind = str
Files = Mapping[str, str]


@dataclass(frozen=True)
class Hit:
    """A place in the source at hand (a line of its text, 1-based), how sure the rule is, and what is wrong there."""

    line: int
    confidence: Confidence
    message: str
    path: str = ""


class Rule:
    """One pattern behind false claims.

    Args:
        code: stable, `AS` and three digits; the first digit is the family.
        name: stable, what a reader remembers.
        doc: the module docstring: one paragraph with the story.
        fix: what to do instead, one sentence.
        bad, good: file name -> text; found in the first, silent on the second.
        words: alternatives in lower case, `sigmoid|softmax`; one of each must occur in a file, or it is not checked.
    """

    def __init__(
        self, code: str, name: str, doc: str | None, *, fix: str, bad: str | Files, good: str | Files,
        words: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.code = code
        self.name = name
        self.doc = inspect.cleandoc(doc or "")
        self.fix = fix
        self.bad = _files(bad)
        self.good = _files(good)
        self._words = [word.encode().split(b"|") for word in words]
        self.checks: dict[Kind, Callable[[Any], Iterator[Hit]]] = {}
        self.across: Callable[[Project], Iterator[Hit]] | None = None

    @property
    def family(self) -> str:
        """The heading under which the catalogue lists the rule."""
        return FAMILIES[self.code[2]]

    def applies(self, holds: Callable[[bytes], bool]) -> bool:
        """May the rule find anything in a file of these words, in lower case? A cheap and necessary condition."""
        return all(any(map(holds, alternatives)) for alternatives in self._words)

    def python(self, check: Callable[[Module], Iterator[Hit]]) -> Callable[[Module], Iterator[Hit]]:
        """Register the check for Python files and for the code cells of notebooks."""
        self.checks["python"] = check
        return check

    def text(self, *kinds: Kind) -> Callable[[Callable[[Source], Iterator[Hit]]], Callable[[Source], Iterator[Hit]]]:
        """Register a check of sources of other kinds: shell, yaml, json, markdown, weights."""

        def register(check: Callable[[Source], Iterator[Hit]]) -> Callable[[Source], Iterator[Hit]]:
            for kind in kinds:
                self.checks[kind] = check
            return check

        return register

    def project(self, check: Callable[[Project], Iterator[Hit]]) -> Callable[[Project], Iterator[Hit]]:
        """Register the check over the facts of all files."""
        self.across = check
        return check


FAMILIES = {
    "0": "Ignores",
    "1": "Evaluation",
    "2": "Training",
    "3": "Data",
    "4": "Tests and CI",
    "5": "Artifacts, serving, documents",
}


def _files(example: str | Files) -> Files:
    return {"code.py": inspect.cleandoc(example) + "\n"} if isinstance(example, str) else example
