"""The board in a terminal, a pipe or a log.

Must read without colour, in ASCII, and at any width; a number is never cut, the layout gives way instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from assay.board import Board, Row, SystemBoard
from assay.report import cells, notation
from assay.report.advice import next_step
from assay.report.cells import Rival

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNPROVEN": "bold yellow", "VOID": "bold magenta"}
_VERDICT = 8
_GAP = "  "
_GLUE = "\u00a0"
_NARROWEST = 24


class _Column(NamedTuple):
    """A table column; a text longer than `most` may run over the end of its line or is said below it."""

    heading: str
    text: Callable[[Row], str]
    right: bool = False
    most: int = 60
    gap: int = 2


_COLUMNS = (
    _Column("value", lambda row: cells.measured(row).value, right=True),
    _Column("", lambda row: cells.measured(row).tail, gap=1),
    _Column("bound", lambda row: cells.demand(row.requirement), most=14),
    _Column("n (groups)", cells.size, right=True),
    _Column("chance", cells.chance, right=True),
    _Column("strongest baseline", lambda row: _rival(row).other.strip()),
    _Column("difference, net of margin", lambda row: _rival(row).lead),
)
_FEWEST = 3
"""Columns that stay together in a row; with less room than they need, rows are stacked."""


def render(board: Board, console: Console, *, verbose: bool = False) -> None:
    """Print the board: a header, the rows and what keeps them from PASS for each system, then the next step.

    `verbose` adds statement, every baseline, control, slice and check, and what the number belongs to.
    """
    page = _Page(console)
    for system in board.systems:
        _system(page, system, verbose)
    page.wrapped(f"Next: {next_step(board)}", style="bold")


def _system(page: _Page, system: SystemBoard, verbose: bool) -> None:
    page.wrapped(
        f"{system.name} on {system.target}: {cells.standing(system)}, {cells.tally(system)}",
        style="bold green" if system.done else "bold red",
    )
    counts = [f"{count:,} {kind}" for kind, count in system.counts().items() if count]
    page.items([system.title, *cells.hardware(system), " ".join(counts) or "no requirements"], style="dim")
    for problem in system.problems:
        page.wrapped(f"problem: {problem}", indent=2, style="bold red")
    groups = cells.groups(system)
    layout = _Layout([row for _, rows in groups for row in rows], page)
    for number, (title, rows) in enumerate(groups):
        page.blank()
        layout.heading(title, first=number == 0)
        for row in rows:
            layout.row(row)
            _below(page, row, layout.indent, verbose)
    if any(row.requirement.origin == "user" for row in system.rows):
        page.blank()
        page.wrapped("* from the mission (origin user)", indent=2, style="dim")
    for dropped in system.dropped:
        page.wrapped(f"dropped: {dropped}", indent=2, style="yellow")
    for moved in system.moved:
        page.wrapped(moved, indent=2, style="yellow")
    for attested in system.attested:
        page.wrapped(f"attested: {attested}", indent=2, style="dim")
    page.rule()


def _below(page: _Page, row: Row, indent: int, verbose: bool) -> None:
    """The lines under a row: why it is not PASS, then what moved or is waived."""
    if not row.verdict.passed:
        page.wrapped(row.verdict.reason, indent=indent, style="dim")
    for remark in cells.remarks(row):
        page.wrapped(remark, indent=indent, style="yellow")
    if verbose:
        for line in _everything(row):
            page.wrapped(line, indent=indent, style="dim")


def _everything(row: Row) -> list[str]:
    requirement, evidence = row.requirement, row.evidence
    lines = [requirement.statement, f"metric {requirement.metric}"]
    if requirement.note:
        lines.append(f"note: {requirement.note}")
    if row.verdict.passed:
        lines.append(row.verdict.reason)
    if evidence is None:
        return lines
    unit = cells.unit(row)
    lines += [
        f"baseline {cells.rival(row, name)}" + (f"; {other.needed} would settle it" if other.needed else "")
        for name, other in evidence.baselines.items()
    ]
    for name, other in evidence.controls.items():
        lead = notation.difference(other.difference, other.interval)
        lines.append(f"control {name} {notation.number(other.value)}" + (f", {lead}" if lead else ""))
    for by, parts in evidence.slices.items():
        lines += [
            f"{by} = {name}: {notation.measured(part.value, part.interval, (), unit)}, n {part.n:,}"
            for name, part in parts.items()
        ]
    lines += [f"check {c.name} {'ok' if c.ok else 'TRIPPED'}: {c.detail}".rstrip(": ") for c in evidence.checks]
    if evidence.ceiling is not None:
        lines.append(f"at best {notation.number(evidence.ceiling)}")
    if evidence.seeds:
        lines.append(f"seeds {', '.join(map(str, evidence.seeds))}")
    if evidence.method:
        lines.append(f"interval: {evidence.method}")
    lines += [f"weights {evidence.weights}"] if evidence.weights else []
    lines += [f"measured {notation.age(row.age_s)} ago"] if row.age_s is not None else []
    lines += [f"attested: {row.attested}"] if row.attested else []
    return lines


class _Layout:
    """Which facts stand in columns at this width, and how wide the columns are."""

    def __init__(self, rows: list[Row], page: _Page) -> None:
        self._page = page
        self._labels = {row.requirement.id: _label(row) for row in rows}
        self._id = max((len(label) for label in self._labels.values()), default=0)
        self._widths = [max([len(c.heading), *(self._width(c, row) for row in rows)]) for c in _COLUMNS]
        self._fit = next((k for k in range(len(_COLUMNS), _FEWEST - 1, -1) if self._total(k) <= page.width), 0)
        if self._fit == len(_COLUMNS) - 1:
            self._fit -= 1  # a baseline and its difference stay together
        self.indent = 2 + _VERDICT + len(_GAP) + 2 if self._fit else 4

    def _width(self, column: _Column, row: Row) -> int:
        length = cell_len(self._page.safe(column.text(row)))
        return length if length <= column.most else 0

    def _total(self, columns: int) -> int:
        cut = sum(c.gap + w for c, w in zip(_COLUMNS[:columns], self._widths, strict=False))
        return 2 + _VERDICT + len(_GAP) + self._id + cut

    def heading(self, title: str, *, first: bool) -> None:
        room = _VERDICT + len(_GAP) + self._id
        if not self._fit or not first or len(title) > room:
            self._page.wrapped(title, indent=2, style="bold")
            title = ""
        if self._fit and first:
            heads = self._row([column.heading for column in _COLUMNS[: self._fit]])
            self._page.line([("  ", ""), (title, "bold"), (" " * (room - len(title)) + heads, "dim")])

    def row(self, row: Row) -> None:
        """The row, and below it what found no column."""
        kind, label = row.kind, self._labels[row.requirement.id]
        columns = _COLUMNS[: self._fit]
        texts = [self._page.safe(column.text(row)) for column in columns]
        start = 2 + _VERDICT + len(_GAP) + self._id
        spilled = [i for i, text in enumerate(texts) if cell_len(text) > self._widths[i]]
        if start + cell_len(self._row(texts)) > self._page.width or any(any(texts[i + 1 :]) for i in spilled):
            texts = ["" if i in spilled else text for i, text in enumerate(texts)]
        else:
            spilled = []
        parts = [("  ", ""), (kind.ljust(_VERDICT), _STYLES[kind]), (_GAP + label.ljust(self._id), "")]
        if self._fit:
            self._page.line([*parts, (self._row(texts), "")])
        else:
            self._page.line([*parts[:-1], (f" {label}", "")], wrap=4)
            value = str(cells.measured(row)) or "not measured"
            self._page.items([value, cells.demand(row.requirement)], indent=4)
        self._page.items(self._leftover(row, spilled), indent=self.indent, style="dim")

    def _leftover(self, row: Row, spilled: list[int]) -> list[str]:
        """The facts without a column, in words."""
        missing = {c.heading for i, c in enumerate(_COLUMNS) if i >= (self._fit or _FEWEST) or i in spilled}
        rival = cells.strongest(row)
        said = {
            "bound": f"bound {cells.demand(row.requirement)}",
            "n (groups)": cells.size(row) and f"n {cells.size(row)}",
            "chance": cells.chance(row) and f"chance {cells.chance(row)}",
            "strongest baseline": f"beside {rival}" if rival else "",
        }
        seeds = row.evidence.seeds if row.evidence and row.requirement.kind == "method" else ()
        count = f"{len(set(seeds)):,} seeds" if seeds else ""
        return [*(text for heading, text in said.items() if heading in missing), count]

    def _row(self, texts: list[str]) -> str:
        cut = ""
        for column, width, text in zip(_COLUMNS, self._widths, texts, strict=False):
            space = " " * max(0, width - cell_len(text))
            cut += " " * column.gap + (space + text if column.right else text + space)
        return cut.rstrip()


def _rival(row: Row) -> Rival:
    return cells.strongest(row) or Rival("", "", "", "")


def _label(row: Row) -> str:
    return ("* " if row.requirement.origin == "user" else "  ") + row.requirement.id


class _Page:
    """The console as this board uses it: styles only where colour is wanted, only characters it can show."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._styled = not console.no_color and console.color_system is not None
        self._ascii = console.options.ascii_only
        self.width = max(_NARROWEST, console.width)

    def line(self, parts: list[tuple[str, str]], wrap: int | None = None) -> None:
        """One line as it stands; with `wrap`, continuation lines indented so far if it is too long."""
        length = sum(cell_len(text) for text, _ in parts)
        if wrap is not None and length > self.width:
            for number, (text, style) in enumerate(parts[1:]):
                self.wrapped(text, indent=2 if number == 0 else wrap, style=style)
            return
        line = Text(no_wrap=True, overflow="ignore")
        for part, style in parts:
            line.append(part, style if self._styled else "")
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def wrapped(self, text: str, indent: int = 0, style: str = "") -> None:
        """Foreign text, made safe and wrapped at spaces; intervals are never broken."""
        glued = re.sub(r"\[[^\[\]\s]+, [^\[\]\s]+\]", lambda m: m[0].replace(" ", _GLUE), self.safe(text))
        glued = re.sub(r"(>=|<=|==|>|<) (?=[\d.+-])", rf"\1{_GLUE}", glued)
        for line in _wrap(glued.split(" "), max(_NARROWEST // 2, self.width - indent)):
            self.line([(" " * indent, ""), (line.replace(_GLUE, " "), style)])

    def items(self, texts: list[str], indent: int = 0, style: str = "") -> None:
        """Facts on as few lines as they need, separated by dots."""
        separator = " | " if self._ascii else " · "
        room = max(_NARROWEST // 2, self.width - indent)
        current = ""
        for text in [t for t in (self.safe(t) for t in texts) if t]:
            if current and cell_len(current + separator + text) > room:
                self.wrapped(current, indent, style)
                current = text
            else:
                current = current + separator + text if current else text
        if current:
            self.wrapped(current, indent, style)

    def blank(self) -> None:
        self.line([])

    def rule(self) -> None:
        self.line([(("-" if self._ascii else "─") * min(self.width, 160), "dim")])

    def safe(self, text: str) -> str:
        """The text on one line, without anything that steers a terminal or that its encoding lacks."""
        text = notation.clean(text)
        return text.encode("ascii", "backslashreplace").decode("ascii") if self._ascii else text


def _wrap(words: list[str], width: int) -> list[str]:
    """Words on lines of at most `width` cells; only a word without digits is ever broken."""
    lines: list[str] = [""]
    for word in words:
        while cell_len(word) > width and not any(c.isdigit() for c in word):
            room = width - cell_len(lines[-1]) - 1 if lines[-1] else width
            if room < 4:
                lines.append("")
                continue
            head = _head(word, room)
            lines[-1] = f"{lines[-1]} {head}" if lines[-1] else head
            word = word[len(head) :]
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return lines


def _head(word: str, room: int) -> str:
    size = 0
    for index, char in enumerate(word):
        size += cell_len(char)
        if size > room:
            return word[: max(1, index)]
    return word
