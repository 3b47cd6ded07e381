"""The board on a GitHub Actions run: annotations and the job summary.

Foreign text must never become a workflow command or Markdown of its own.
"""

import re
from collections.abc import Mapping
from typing import Literal

from assay.board import Board, Row, SystemBoard
from assay.report import cells, notation
from assay.report.advice import next_step

Level = Literal["error", "warning", "notice"]
_MARKS = {"PASS": "✅", "FAIL": "❌", "UNPROVEN": "❔", "VOID": "🚫"}


def annotations(board: Board, files: Mapping[str, tuple[str, Mapping[str, int]]] | None = None) -> list[str]:
    """Workflow commands, errors first, one for each thing that needs a look.

    A gating row that is FAIL or VOID is an error, UNPROVEN a warning; rows that do not gate, waived rows and
    dropped requirements are notices, moved goalposts warnings. `files` maps a system to its specification's
    path and the line of each requirement in it, which GitHub shows the annotation at.

    Escaping: docs.github.com/actions/reference/workflow-commands-for-github-actions and `escapeData` and
    `escapeProperty` of `@actions/core`.
    """
    found: list[tuple[Level, str]] = []
    for system in board.systems:
        file, lines = (files or {}).get(system.name, ("", {}))
        found += [
            (
                level,
                _command(level, f"{system.name}/{name} on {system.target}: {title}", message, file, lines.get(name)),
            )
            for level, name, title, message in _remarkable(system)
        ]
    order: tuple[Level, ...] = ("error", "warning", "notice")
    return [command for level in order for found_level, command in found if found_level == level]


def _remarkable(system: SystemBoard) -> list[tuple[Level, str, str, str]]:
    found: list[tuple[Level, str, str, str]] = [
        ("error", "ledger", "not to be trusted", problem) for problem in system.problems
    ]
    gating = {row.requirement.id for row in system.gating}
    for row in system.rows:
        name = row.requirement.id
        if not row.verdict.passed:
            level: Level = "error" if row.kind in ("FAIL", "VOID") else "warning"
            if name not in gating or row.waiver:
                level = "notice"
            said = [row.requirement.statement, row.verdict.reason]
            said += [f"waived: {row.waiver}"] if row.waiver else []
            found.append((level, name, row.kind, "\n".join(said)))
        if row.moves:
            moved = "; ".join(map(str, row.moves))
            why = row.requirement.reason or "no reason is written in the specification"
            found.append(("warning", name, "goalpost moved", f"{moved}\n{why}"))
    found += [("notice", "spec", "requirement dropped", text) for text in system.dropped]
    return found


def _command(level: Level, title: str, message: str, file: str, line: int | None) -> str:
    place = ({"file": file} if file else {}) | ({"line": str(line)} if file and line else {})
    properties = place | {"title": title}
    given = ",".join(f"{key}={_property(notation.clean(value))}" for key, value in properties.items())
    return f"::{level} {given}::{_data(notation.clean(message, lines=True))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(board: Board) -> str:
    """Markdown for $GITHUB_STEP_SUMMARY: a table for each system, reasons, and the next step."""
    parts = [f"## Assay: {'DONE' if board.done else 'NOT DONE'}"]
    for system in board.systems:
        parts.append(
            f"### {markdown(system.name)} on {markdown(system.target)}: {cells.standing(system)}\n\n"
            f"{markdown(system.title)}. {cells.tally(system)}."
        )
        if system.problems:
            parts.append("\n".join(f"- **problem**: {markdown(problem)}" for problem in system.problems))
        table = [
            "| verdict | requirement | value | bound | n (groups) | strongest baseline | chance |",
            "|---|---|---:|---|---:|---|---:|",
            *(_table_row(row) for row in system.rows),
        ]
        parts.append("\n".join(table))
        if reasons := [line for row in system.rows for line in _reasons(row)]:
            parts.append("\n".join(reasons))
        if system.dropped:
            parts.append("\n".join(f"- dropped: {markdown(text)}" for text in system.dropped))
    parts.append(f"**Next:** {markdown(next_step(board))}")
    return "\n\n".join(parts) + "\n"


def _table_row(row: Row) -> str:
    user = " (mission)" if row.requirement.origin == "user" else ""
    texts = [
        f"{_MARKS[row.kind]} {row.kind}",
        markdown(row.requirement.id) + user,
        markdown(str(cells.measured(row))),
        markdown(cells.demand(row.requirement)),
        cells.size(row),
        markdown(str(cells.strongest(row) or "")),
        cells.chance(row),
    ]
    return f"| {' | '.join(texts)} |"


def _reasons(row: Row) -> list[str]:
    said = cells.remarks(row) if row.verdict.passed else [row.verdict.reason, *cells.remarks(row)]
    return [f"- **{markdown(row.requirement.id)}** {row.kind}: {markdown('; '.join(said))}"] if said else []


def markdown(text: str) -> str:
    """Plain text as GitHub-flavoured Markdown: nothing in it is mark-up, a link or a table cell's end."""
    plain = notation.clean(text).replace("&", "&amp;").replace("<", "&lt;")
    escaped = re.sub(r"([\\`*_\[#|~$@])", r"\\\1", plain)
    escaped = escaped.replace("://", r":\//").replace("www.", r"www\.")
    return re.sub(r"^(\d*)(>|(?:[-+=]+|[.)])(?=\s|$))", r"\1\\\2", escaped)
