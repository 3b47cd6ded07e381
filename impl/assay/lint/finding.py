"""What a rule says about a line. Plain data: it is cached, sorted and printed, never asked how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Confidence = Literal["certain", "likely", "look"]

CONFIDENCES: tuple[Confidence, ...] = ("certain", "likely", "look")
"""Strongest first. certain: wrong on any reading; likely: wrong unless something unusual is meant; look: look."""


@dataclass(frozen=True, order=True)
class Finding:
    """One pattern at one place; `line` counts from 1 in the file as it lies on disk, 0 is the file as a whole."""

    path: str
    line: int
    rule: str
    confidence: Confidence
    message: str

    def as_json(self) -> dict[str, str | int]:
        """The contract of `assay lint --format json`."""
        return {
            "rule": self.rule,
            "confidence": self.confidence,
            "path": self.path,
            "line": self.line,
            "message": self.message,
        }


def at_least(confidence: Confidence, floor: Confidence) -> bool:
    """Is the confidence as strong as the floor?"""
    return CONFIDENCES.index(confidence) <= CONFIDENCES.index(floor)
