"""Findings as text, JSON, SARIF 2.1.0 and GitHub annotations. Strings out; nothing here prints or reads files."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any

from assay import __version__
from assay.lint.finding import Finding
from assay.lint.rules import RULES

_LEVELS = {"certain": "error", "likely": "warning", "look": "note"}
_ANNOTATIONS = {"certain": "error", "likely": "warning", "look": "notice"}


def text(findings: Sequence[Finding]) -> str:
    """`path:line: CODE name (confidence) message`, one finding a line."""
    return "".join(f"{f.path}:{f.line}: {f.rule} {RULES[f.rule].name} ({f.confidence}) {f.message}\n" for f in findings)


def as_json(findings: Sequence[Finding]) -> str:
    """`[{"rule","confidence","path","line","message"}]`."""
    return json.dumps([finding.as_json() for finding in findings], indent=1, ensure_ascii=False) + "\n"


def github(findings: Sequence[Finding]) -> str:
    """Workflow commands that GitHub shows beside the line."""
    return "".join(
        f"::{_ANNOTATIONS[f.confidence]} file={_property(f.path)},line={max(1, f.line)},"
        f"title={_property(f'{f.rule} {RULES[f.rule].name}')}::{_data(f.message)}\n"
        for f in findings
    )


def sarif(findings: Sequence[Finding]) -> str:
    """A SARIF 2.1.0 log with every rule that found something."""
    codes = sorted({finding.rule for finding in findings})
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "assay lint",
                "semanticVersion": __version__,
                "rules": [
                    {
                        "id": code,
                        "name": RULES[code].name,
                        "shortDescription": {"text": RULES[code].name.replace("-", " ")},
                        "fullDescription": {"text": RULES[code].doc},
                        "help": {"text": RULES[code].fix},
                    }
                    for code in codes
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [
            {
                "ruleId": f.rule,
                "ruleIndex": codes.index(f.rule),
                "level": _LEVELS[f.confidence],
                "message": {"text": f.message},
                "properties": {"confidence": f.confidence},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": urllib.parse.quote(f.path)},
                            "region": {"startLine": max(1, f.line)},
                        }
                    }
                ],
            }
            for f in findings
        ],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": text,
    "json": as_json,
    "sarif": sarif,
    "github": github,
}


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
