"""The board as one HTML file that needs nothing else: no request leaves it, no script is in it.

Everything foreign is text: statements, reasons, names and samples are escaped, never interpreted.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup, escape

from assay.board import Board, Row, SystemBoard
from assay.evidence import Comparison
from assay.report import cells, notation, picture
from assay.report.advice import next_step
from assay.spec import Slice

_MOST_SAMPLES = 50
_LONGEST_TEXT = 4_000


class Company(NamedTuple):
    """A baseline or control as a table row."""

    kind: str
    name: str
    value: str
    lead: str
    demanded: str
    beaten: bool
    needed: str
    """What would show a lead that is not shown yet."""


class Part(NamedTuple):
    """A slice as a table row: its bar is decoration, the texts say it all."""

    name: str
    value: str
    n: str
    bar: Markup
    missed: bool


class Sliced(NamedTuple):
    """The parts of one slice, and the axis that their bars have in common."""

    rule: Slice
    axis: Markup
    parts: list[Part]


class Block(NamedTuple):
    """A piece of `Evidence.details` made ready: exactly one of picture, table and text is filled."""

    title: str
    picture: Markup = Markup()
    head: tuple[str, ...] = ()
    body: tuple[tuple[str, ...], ...] = ()
    text: str = ""
    more: str = ""


def render(board: Board, path: Path | None) -> str:
    """The report as HTML text; also written to `path` (UTF-8) unless that is None."""
    template = resources.files("assay.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.globals.update(
        cells=cells,
        notation=notation,
        anchor=anchor,
        blocks=blocks,
        company=company,
        digests=digests,
        drawing=_drawing,
        measured_at=_measured_at,
        slices=slices,
        spans=_spans,
        next_step=next_step(board),
        targets=sorted({system.target for system in board.systems}),
        names=list(dict.fromkeys(system.name for system in board.systems)),
    )
    page = environment.from_string(template).render(board=board)
    if path is not None:
        path.write_text(page, encoding="utf-8", newline="\n")
    return page


def anchor(system: SystemBoard, row: Row | None = None) -> str:
    """The id of a system's or a row's place on the page: stable, so that links to it keep."""
    parts = [system.name, system.target, *([row.requirement.id] if row else [])]
    return "--".join(re.sub(r"[^A-Za-z0-9_.]", "_", part) for part in parts)


def company(row: Row) -> list[Company]:
    """Baselines, strongest first, then controls."""
    evidence = row.evidence
    if evidence is None:
        return []
    strongest = cells.strongest(row)
    names = sorted(evidence.baselines, key=lambda name: strongest is None or name != strongest.name)
    return [
        *(_company("baseline", name, evidence.baselines[name], row) for name in names),
        *(_company("control", name, other, row) for name, other in evidence.controls.items()),
    ]


def _company(kind: str, name: str, other: Comparison, row: Row) -> Company:
    requirement = row.requirement
    demanded = ""
    if kind == "baseline":
        margin = cells.margin(requirement, name)
        if any(beat.baseline == name for beat in requirement.beats):
            demanded = f"beat {margin}".strip()
        elif any(rule.than == name for rule in requirement.not_worse):
            demanded = margin or "not worse"
    lead = notation.difference(other.difference, other.interval)
    return Company(kind, name, notation.number(other.value), lead, demanded, other.beaten, other.needed)


def slices(row: Row) -> list[Sliced]:
    """Each slice of the evidence, in its order, with a bar for each part."""
    evidence = row.evidence
    if evidence is None:
        return []
    rules = {rule.by: rule for rule in row.requirement.slices}
    result = []
    for by, table in evidence.slices.items():
        rule = rules.get(by, Slice(by=by))
        scale = picture.slice_scale(table.values(), rule.bound)
        landmarks = rule.bound.numbers if rule.bound else ()
        parts = [
            Part(
                name,
                str(notation.measured(part.value, part.interval, landmarks, cells.unit(row))),
                f"{part.n:,}",
                Markup(picture.slice_bar(part, rule.bound, scale)),
                rule.bound is not None and (part.value is None or not rule.bound.holds(part.value)),
            )
            for name, part in table.items()
        ]
        result.append(Sliced(rule, Markup(picture.slice_axis(scale)), parts))
    return result


def blocks(row: Row, identity: str) -> list[Block]:
    """`Evidence.details` as pictures, tables or, where the shape is not known, as JSON text."""
    details = row.evidence.details if row.evidence else {}
    return [_block(str(key), details[key], row, f"{identity}-{index}") for index, key in enumerate(details)]


def _block(key: str, value: Any, row: Row, identity: str) -> Block:
    try:
        if key == "curve":
            return Block("Curve", picture=Markup(picture.curves(value, identity)))
        if key == "reliability":
            return Block("Reliability", picture=Markup(picture.reliability(value, identity)))
        if key == "percentiles":
            return _percentiles(value, row)
        if key == "samples":
            return _samples(value)
    except ValueError:
        pass
    text, more = _cut(value if isinstance(value, str) else _json(value, indent=2))
    return Block(key, text=text, more=more)


def _percentiles(value: Any, row: Row) -> Block:
    if not isinstance(value, Mapping) or not value:
        raise ValueError("percentiles are a mapping")
    unit = cells.unit(row)
    body = tuple((str(name), " ".join(filter(None, (_cell(x)[0], unit)))) for name, x in value.items())
    return Block("Percentiles", head=("percentile", "value"), body=body)


def _samples(value: Any) -> Block:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(x, Mapping) for x in value):
        raise ValueError("samples are a list of mappings")
    shown = value[:_MOST_SAMPLES]
    head = tuple(dict.fromkeys(str(key) for sample in shown for key in sample))
    body = []
    for sample in shown:
        texts = {str(key): "".join(_cell(x)) for key, x in sample.items()}
        body.append(tuple(texts.get(key, "") for key in head))
    left = len(value) - len(shown)
    more = f"and {left:,} more" if left else ""
    return Block("Samples", head=head, body=tuple(body), more=more)


def _cell(value: Any) -> tuple[str, str]:
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "", ""
    if isinstance(value, int | float):
        return notation.number(value), ""
    return _cut(value if isinstance(value, str) else _json(value))


def _cut(text: str) -> tuple[str, str]:
    if len(text) <= _LONGEST_TEXT:
        return text, ""
    return text[:_LONGEST_TEXT], f" … and {len(text) - _LONGEST_TEXT:,} more characters"


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


def digests(row: Row) -> list[tuple[str, str]]:
    """Everything the number belongs to, by name."""
    evidence = row.evidence
    if evidence is None:
        return [("requirement now", row.requirement.digest)]
    return [
        ("weights", evidence.weights),
        ("artifact", evidence.artifact),
        ("requirement now", row.requirement.digest),
        ("requirement when measured", evidence.requirement_digest),
        *((f"data {name}", digest) for name, digest in evidence.data.items()),
        *(("source manifest", digest) for digest in evidence.sources),
        *((f"code {name}", digest) for name, digest in evidence.code.items()),
    ]


def _drawing(row: Row, identity: str) -> Markup:
    return Markup(picture.threshold(row, identity))


def _spans(text: str) -> Markup:
    """Text between back-ticks as code, everything escaped."""
    parts = notation.clean(text, lines=True).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def _measured_at(row: Row) -> str:
    if row.evidence is None:
        return ""
    try:
        when = datetime.datetime.fromtimestamp(row.evidence.measured_at, datetime.UTC)
    except (OverflowError, OSError, ValueError):
        return ""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _printable(value: Any) -> Any:
    """What Jinja prints: foreign text made visible, mark-up made here as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return notation.clean(value, lines=True)
    return value
