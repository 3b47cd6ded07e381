"""What `assay lint` does with its options: the only place of the linter that prints or takes files by name.

Exit codes as ruff's: 0 nothing found, 1 findings, 2 the question was wrong or a rule is broken.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from assay.errors import LintError, did_you_mean
from assay.lint import baseline as baselines
from assay.lint import catalogue, discovery, engine
from assay.lint.cache import Cache
from assay.lint.finding import CONFIDENCES, Finding, at_least
from assay.lint.formats import FORMATS
from assay.lint.rules import RULES

_NAMED = 20


def run(
    paths: Sequence[Path], *, output_format: str, select: Sequence[str], ignore: Sequence[str], confidence: str,
    exclude: Sequence[str], baseline: Path | None, write_baseline: Path | None, output: Path | None, use_cache: bool,
) -> int:  # fmt: skip
    """Lint and print; returns the exit code.

    Raises:
        LintError: a path, format, rule or confidence that does not exist.
    """
    if output_format not in FORMATS:
        raise LintError(f'--format: unknown format "{output_format}" (known: {", ".join(FORMATS)})')
    floor = next((known for known in CONFIDENCES if known == confidence), None)
    if floor is None:
        raise LintError(f'--confidence: unknown "{confidence}" (known: {", ".join(CONFIDENCES)})')
    for path in paths:
        if not path.exists():
            raise LintError(f"{path}: no such file or folder")
    chosen = _codes("--select", select) if select else set(RULES)
    chosen -= _codes("--ignore", ignore)
    result = engine.run(
        paths, exclude=[*exclude, *_configured()], selected=chosen, cache=Cache.of(_trees(paths)) if use_cache else None
    )
    findings = [finding for finding in result.findings if at_least(finding.confidence, floor)]
    if baseline is not None:
        findings = baselines.without(baseline, findings)
    _tell(result)
    if write_baseline is not None:
        print(f"{write_baseline}: {baselines.write(write_baseline, findings)} findings", file=sys.stderr)
        return 2 if result.broken else 0
    text = FORMATS[output_format](findings)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.flush()
    if output_format == "text":
        print(_summary(findings, result), file=sys.stderr)
    return 2 if result.broken else int(bool(findings))


def _trees(paths: Sequence[Path]) -> list[Path]:
    """The folders that are read: those of files named one by one are their projects."""
    return [path for path in paths if path.is_dir()] + discovery.around(paths) or list(paths)


def explain(name: str | None) -> str:
    """A rule's paragraph and fix; the whole catalogue for None.

    Raises:
        LintError: no such rule.
    """
    if name is None:
        return catalogue.markdown()
    return "".join(
        f"{code} {RULES[code].name}\n\n{RULES[code].doc}\n\nInstead: {RULES[code].fix}\n"
        for code in sorted(_codes("--explain", [name]))
    )


def _configured() -> list[str]:
    """`[tool.assay.lint] exclude` of the pyproject.toml in the working folder.

    Raises:
        LintError: it is no list of texts, or the file is no TOML.
    """
    path = Path("pyproject.toml")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise LintError(f"{path}: {error}") from None
    found = table.get("tool", {}).get("assay", {}).get("lint", {}).get("exclude", [])
    if not isinstance(found, list) or not all(isinstance(glob, str) for glob in found):
        raise LintError(f"{path}: tool.assay.lint.exclude must be a list of globs")
    return found


def _codes(option: str, names: Sequence[str]) -> set[str]:
    try:
        return engine.codes(names)
    except KeyError as error:
        name = str(error.args[0])
        known = [*RULES, *(rule.name for rule in RULES.values())]
        raise LintError(f'{option}: no rule is called "{name}"{did_you_mean(name, known)}') from None


def _tell(result: engine.Result) -> None:
    """What was not read is said: silence about a file must mean that it was looked at."""
    for text in result.broken:
        print(f"assay: a rule failed, which is a defect of Assay: {text}", file=sys.stderr)
    for path, why in result.unread[:_NAMED]:
        print(f"assay: {path}: not examined: {why}", file=sys.stderr)
    if len(result.unread) > _NAMED:
        print(f"assay: {len(result.unread) - _NAMED} more files were not examined", file=sys.stderr)


def _summary(findings: Sequence[Finding], result: engine.Result) -> str:
    counts = [f"{sum(f.confidence == c for f in findings)} {c}" for c in CONFIDENCES]
    told = f"{len(findings)} findings ({', '.join(counts)}) in {result.files:,} files, {result.lines:,} lines of Python"
    if not findings:
        return told
    code = findings[0].rule
    return (
        f"{told}\nwhy, and what to do instead: assay lint --explain {code}; to silence: # assay: ignore[{code}] reason"
    )
