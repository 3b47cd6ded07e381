"""A model card whose every number is read off the board; it must never say more than was shown."""

from __future__ import annotations

from assay.board import Board, Row, SystemBoard
from assay.errors import AssayError, did_you_mean
from assay.report import cells, notation
from assay.report.github import markdown


def model_card(board: Board, system: str) -> str:
    """Markdown: what was shown and where, what was not shown, and which weights the numbers belong to.

    Raises:
        AssayError: when the board does not hold the system.
    """
    boards = [one for one in board.systems if one.name == system]
    if not boards:
        known = [one.name for one in board.systems]
        raise AssayError(f'the board holds no system "{system}"{did_you_mean(system, known)}')
    parts = [f"# {markdown(boards[0].title)}"]
    parts += [part for one in boards for part in _target(one)]
    return "\n\n".join(parts) + "\n"


def _target(system: SystemBoard) -> list[str]:
    passed = [row for row in system.rows if row.verdict.passed]
    open_ = [row for row in system.rows if not row.verdict.passed]
    parts = [f"## On {markdown(system.target)}: {cells.standing(system)}", f"{cells.tally(system)}."]
    parts += [f"**Not to be trusted**: {markdown(problem)}" for problem in system.problems]
    if passed:
        parts += ["### What was shown", "\n".join(_shown(row) for row in passed)]
    if open_:
        parts += ["### What was not shown", "\n".join(_missing(row) for row in open_)]
    if system.dropped:
        parts += ["### No longer demanded", "\n".join(f"- {markdown(text)}" for text in system.dropped)]
    if system.moved:
        parts += ["### Changed in the protocol", "\n".join(f"- {markdown(text)}" for text in system.moved)]
    if system.attested:
        parts += ["### Attested", "\n".join(f"- {markdown(text)}" for text in system.attested)]
    return [*parts, "### What the numbers belong to", "\n".join(_belongings(system))]


def _shown(row: Row) -> str:
    said = [str(cells.measured(row))]
    said += [f"demanded {cells.demand(row.requirement)}"] if row.requirement.gates else []
    said += [f"chance {cells.chance(row)}"] if cells.chance(row) else []
    rival = cells.strongest(row)
    said += [f"beside {rival}"] if rival else []
    said += [f"n {cells.size(row)}"] if cells.size(row) else []
    said += cells.remarks(row)
    return _line(row, "", said)


def _missing(row: Row) -> str:
    return _line(row, f"**{row.kind}** ", [row.verdict.reason, *cells.remarks(row)])


def _line(row: Row, mark: str, said: list[str]) -> str:
    statement, rest = markdown(row.requirement.statement), markdown("; ".join(filter(None, said)))
    return f"- {mark}{statement} (`{row.requirement.id}`): {rest}"


def _belongings(system: SystemBoard) -> list[str]:
    evidence = [row.evidence for row in system.rows if row.evidence is not None]
    weights = sorted({e.weights for e in evidence if e.weights})
    data = sorted({(name, digest) for e in evidence for name, digest in e.data.items()})
    lines = [f"- weights `{notation.clean(digest).replace('`', '')}`" for digest in weights]
    lines += [f"- data {markdown(name)} `{notation.clean(digest).replace('`', '')}`" for name, digest in data]
    lines += [f"- measured on {markdown(machine)}" for machine in cells.hardware(system)]
    return lines or ["- nothing was measured"]
