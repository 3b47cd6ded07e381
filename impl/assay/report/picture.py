"""The drawings of the HTML report as SVG text: a value against its threshold, slices, curves, reliability.

Pure functions from numbers to text. Colours are CSS classes of the page; nothing is fetched, nothing runs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from assay.board import Row
from assay.evidence import Pair, SliceValue
from assay.report import cells, notation
from assay.spec import Bound

WIDTH = 460
"""Pixels of every picture, which is also its widest size on the page: letters keep their size."""
MARGIN = 12
_TRACK = 16
_LANE = 16
_LETTER = 6.4
_LONGEST = 30
_FAR = 8.0
"""A rival more than this many spans of number, interval and bound away is drawn at the edge."""
_HUGE = 1e150
"""Beyond this the differences of floats overflow; a picture has no use for more."""


class Scale(NamedTuple):
    """Maps [low, high] linearly onto the pixels [left, right]."""

    low: float
    high: float
    left: float = MARGIN
    right: float = WIDTH - MARGIN

    def x(self, value: float) -> float:
        """The pixel of a value; what lies outside is drawn at the edge, and all of no width in the middle."""
        if self.high <= self.low:  # where floats lie wider apart than the margin around one of them
            return (self.left + self.right) / 2
        inside = min(self.high, max(self.low, value))
        return self.left + (inside - self.low) / (self.high - self.low) * (self.right - self.left)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


class Mark(NamedTuple):
    """Something beside the value: kind is the CSS class (chance, ceiling, baseline, control, goal)."""

    kind: str
    name: str
    value: float


class Flag(NamedTuple):
    """A label placed beside its leader at pixel `x`, `lane` rows away from the track."""

    x: float
    lane: int
    left: float
    right: float

    @property
    def anchor(self) -> str:
        return "end" if self.right <= self.x else "start"


def marks(row: Row) -> list[Mark]:
    """Everything finite that stands beside the value, except the bound."""
    evidence = row.evidence
    if evidence is None:
        return []
    found: list[tuple[str, str, float | None]] = [
        ("chance", "chance", evidence.chance),
        ("ceiling", "at best", evidence.ceiling),
        ("goal", "goal", row.requirement.goal),
        *(("baseline", name, other.value) for name, other in evidence.baselines.items()),
        *(("control", name, other.value) for name, other in evidence.controls.items()),
    ]
    return [Mark(kind, name, x) for kind, name, x in found if x is not None and math.isfinite(x)]


def axis(row: Row) -> Scale:
    """The part of the metric's range that holds the number, its bound and its company.

    Shares (everything within [0, 1]) get all of [0, 1] once they span half of it; what is never negative
    starts no lower than 0; rivals that would squash the rest are left outside, at the edge.
    """
    evidence, bound = row.evidence, row.requirement.bound
    core = [x for x in (row.requirement.goal, *(bound.numbers if bound else ())) if x is not None]
    if evidence is not None:
        core += [x for x in (evidence.value, *(evidence.interval or ())) if x is not None and math.isfinite(x)]
    company = [mark.value for mark in marks(row)]
    if not core:
        core = company or [0.0, 1.0]
    span = (max(core) - min(core)) or abs(core[0]) or 1.0
    near = [x for x in company if min(core) - _FAR * span <= x <= max(core) + _FAR * span]
    points = [*core, *near]
    return _scale(points)


def _scale(points: Sequence[float], left: float = MARGIN, right: float = WIDTH - MARGIN) -> Scale:
    points = [min(_HUGE, max(-_HUGE, x)) for x in points]
    low, high = min(points), max(points)
    size = max(abs(low), abs(high))
    if high - low <= 1e-9 * size + 1e-300:
        half = max(0.5 * size, 1e-9) if size else 0.5
        low, high = low - half, high + half
    share = min(points) >= 0 and max(points) <= 1
    pad = 0.08 * (high - low)
    padded = low - pad, high + pad
    if share and high - low >= 0.5:
        padded = 0.0, 1.0
    elif share:
        padded = max(0.0, padded[0]), min(1.0, padded[1])
    elif min(points) >= 0:
        padded = max(0.0, padded[0]), padded[1]
    return Scale(*padded, left, right)


def region(bound: Bound, scale: Scale) -> tuple[float, float]:
    """The pixels between which the bound holds, cut to the axis."""
    low = next((x for x in (bound.at_least, bound.above, bound.equals) if x is not None), -math.inf)
    high = next((x for x in (bound.at_most, bound.below, bound.equals) if x is not None), math.inf)
    if bound.within is not None:
        low, high = bound.within
    return scale.x(low), scale.x(high)


def threshold(row: Row, identity: str) -> str:
    """A value with its interval on an axis, the region of its bound, and a flag for each of its company.

    Empty when there is no finite value. `identity` starts the ids inside; it must be unique on the page.
    """
    evidence = row.evidence
    if evidence is None or evidence.value is None or not math.isfinite(evidence.value):
        return ""
    scale, bound, company = axis(row), row.requirement.bound, marks(row)
    names = [_short(m.name) + ("" if scale.holds(m.value) else f" {notation.number(m.value)}") for m in company]
    above = flags([(scale.x(m.value), _width(name)) for m, name in zip(company, names, strict=True)])
    top = 4 + _LANE * (max((flag.lane for flag in above), default=-1) + 1)
    bottom = top + _TRACK
    body = [_tag("rect", class_="track", x=MARGIN, y=top, width=WIDTH - 2 * MARGIN, height=_TRACK, rx=3)]
    body += _region(bound, scale, top) if bound is not None else []
    for mark, name, flag in zip(company, names, above, strict=True):
        y = top - _LANE * flag.lane - 5
        title = _tag("title", _text(f"{mark.name} {notation.number(mark.value)}"))
        leader = _tag("line", x1=flag.x, y1=y - 8, x2=flag.x, y2=bottom)
        label = _label(flag, name, y, outside=not scale.holds(mark.value))
        body.append(_tag("g", title + leader + label, class_=mark.kind))
    body += _dot(row.kind, evidence.value, evidence.interval, scale, top + _TRACK / 2)
    below, lanes = _below(row, evidence.value, scale, bottom)
    return _svg(identity, bottom + 6 + _LANE * lanes, row.requirement.id, _described(row), [*body, *below])


def _region(bound: Bound, scale: Scale, top: float) -> list[str]:
    left, right = region(bound, scale)
    body = [_tag("rect", class_="region", x=left, y=top, width=max(1.0, right - left), height=_TRACK)]
    kind = "bound strict" if bound.above is not None or bound.below is not None else "bound"
    for x in map(scale.x, bound.numbers):
        body.append(_tag("line", class_=kind, x1=x, y1=top - 3, x2=x, y2=top + _TRACK + 5))
    return body


def _dot(kind: str, value: float, interval: Pair | None, scale: Scale, y: float) -> list[str]:
    body = []
    if interval is not None and not any(map(math.isnan, interval)):
        low, high = map(scale.x, interval)
        body.append(_tag("line", class_=f"interval {kind}", x1=low, y1=y, x2=high, y2=y))
    return [*body, _tag("circle", class_=f"value {kind}", cx=scale.x(value), cy=y, r=5.5)]


def _below(row: Row, value: float, scale: Scale, bottom: float) -> tuple[list[str], int]:
    """Value, bound, and as many axis numbers as leave those two readable; and the lanes they take."""
    shown, bound = cells.measured(row), row.requirement.bound
    said = [(value, f"{shown.value} {shown.unit}".strip(), f"number {row.kind}")]
    if bound is not None:
        nearest = min(bound.numbers, key=lambda x: abs(x - value))
        said.append((nearest, cells.demand(row.requirement, typographic=True), "demand"))
    taken: list[tuple[float, float, int]] = []
    body = []
    for number, text, kind in said:
        half = _width(text) * 0.54
        centre = min(WIDTH - half, max(half, scale.x(number)))
        left, right = centre - half - 4, centre + half + 4
        lane = 1 if any(left < r and le < right for le, r, _ in taken) else 0
        taken.append((left, right, lane))
        body.append(_words(text, centre, bottom + 16 + _LANE * lane, kind))
    for tick in ticks(scale.low, scale.high):
        text, x = notation.number(tick), scale.x(tick)
        body.append(_tag("line", class_="tick", x1=x, y1=bottom, x2=x, y2=bottom + 3))
        half = _width(text) / 2 + 2
        centre = min(WIDTH - half, max(half, x))
        if all(centre + half < left or right < centre - half for left, right, lane in taken if lane == 0):
            body.append(_words(text, centre, bottom + 16, "tick"))
    return body, 1 + max(lane for _, _, lane in taken)


def _described(row: Row) -> str:
    parts = [f"{row.kind}: {cells.measured(row)}", f"demanded: {cells.demand(row.requirement)}"]
    parts += [f"{mark.name} {notation.number(mark.value)}" for mark in marks(row)]
    return "; ".join(parts)


def flags(labels: Sequence[tuple[float, float]], gap: float = 6.0) -> list[Flag]:
    """Places labels, given as (pixel, width), in as few lanes as keep them and their leaders apart.

    Lane 0 is nearest to the track. Order of the result is that of the labels.
    """
    placed: dict[int, Flag] = {}
    for index in sorted(range(len(labels)), key=lambda i: -labels[i][0]):
        x, width = labels[index]
        free = [
            flag
            for lane in range(len(labels))
            for flag in _candidates(x, width + gap, lane)
            if not any(_overlap(flag, other) for other in placed.values())
        ]
        placed[index] = min(free, key=lambda flag: _cost(flag, placed.values()))
    return [placed[index] for index in range(len(labels))]


def _candidates(x: float, width: float, lane: int) -> list[Flag]:
    right, left = Flag(x, lane, x, x + width), Flag(x, lane, x - width, x)
    fitting = [flag for flag in (right, left) if flag.left >= 0 and flag.right <= WIDTH]
    return fitting or [right if x < WIDTH / 2 else left]


def _overlap(one: Flag, other: Flag) -> bool:
    return one.lane == other.lane and one.left < other.right and other.left < one.right


def _cost(flag: Flag, placed: Iterable[Flag]) -> float:
    """Lanes used, a little for pointing left, much for each leader that runs through a label."""
    pairs = ((flag, other) if flag.lane < other.lane else (other, flag) for other in placed)
    crossings = sum(near.left < far.x < near.right for near, far in pairs if near.lane < far.lane)
    return flag.lane + 1.5 * (flag.right <= flag.x) + 4 * crossings


def _label(flag: Flag, name: str, y: float, *, outside: bool) -> str:
    end = flag.anchor == "end"
    if outside:
        name = f"{name} ▸" if end else f"◂ {name}"
    return _words(name, flag.x - 4 if end else flag.x + 4, y, "", flag.anchor)


def slice_scale(parts: Iterable[SliceValue], bound: Bound | None, width: float = 180) -> Scale:
    """One axis from 0 for all bars of a slice."""
    points = [0.0, *(bound.numbers if bound else ())]
    for part in parts:
        points += [x for x in (part.value, *(part.interval or ())) if x is not None and math.isfinite(x)]
    low, high = min(points), max(points)
    return Scale(low, 1.0 if high <= 1 and high > 0.4 else (high or 1.0), 1, width - 1)


def slice_axis(scale: Scale) -> str:
    """The numbers at both ends of the bars; decoration, as they are."""
    ends = ((scale.low, scale.left, "start"), (scale.high, scale.right, "end"))
    body = [_words(notation.number(number), x, 11, "tick", anchor) for number, x, anchor in ends]
    return _strip(body, scale)


def slice_bar(part: SliceValue, bound: Bound | None, scale: Scale) -> str:
    """A bar from 0 to the slice's value, its interval, the bound; decoration, as the table has the text."""
    body = [_tag("rect", class_="track", x=scale.left, y=2, width=scale.right - scale.left, height=10)]
    if part.value is not None and math.isfinite(part.value):
        zero, x = scale.x(0.0), scale.x(part.value)
        kind = "bar" if bound is None or bound.holds(part.value) else "bar bad"
        body.append(_tag("rect", class_=kind, x=min(zero, x), y=2, width=abs(x - zero), height=10))
    if part.interval is not None and not any(map(math.isnan, part.interval)):
        low, high = map(scale.x, part.interval)
        body.append(_tag("line", class_="whisker", x1=low, y1=7, x2=high, y2=7))
    for x in map(scale.x, bound.numbers if bound else ()):
        body.append(_tag("line", class_="bound", x1=x, y1=0, x2=x, y2=14))
    return _strip(body, scale)


def _strip(body: Iterable[str], scale: Scale) -> str:
    width = _px(scale.right + scale.left)
    box = f"0 0 {width} 14"
    return _tag("svg", "".join(body), class_="slice", viewBox=box, width=width, height=14, aria_hidden="true")


def curves(given: Any, identity: str) -> str:
    """A line chart of one `{"x": [...], "y": [...], "label": "..."}` or a list of them.

    Raises:
        ValueError: when that is not what was given; the caller then shows it as data.
    """
    lines = [_curve(one) for one in (given if isinstance(given, list | tuple) else [given])]
    points = [p for _, line in lines for p in line if p is not None]
    if not points:
        raise ValueError("no finite point")
    height, left, top, floor = 210, 52, 10, 180
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across = Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, left, WIDTH - MARGIN)
    up = _scale(ys, floor, top)
    body = []
    for tick in ticks(up.low, up.high):
        y = up.x(tick)
        body.append(_tag("line", class_="grid", x1=left, y1=y, x2=WIDTH - MARGIN, y2=y))
        body.append(_words(notation.number(tick), left - 6, y + 4, "tick", "end"))
    for tick in ticks(across.low, across.high):
        body.append(_words(notation.number(tick), across.x(tick), floor + 18, "tick"))
    for index, (label, line) in enumerate(lines):
        kind = f"curve c{index % 6}"
        for _, run in itertools.groupby(line, lambda p: p is not None):
            path = " ".join(f"{_px(across.x(p[0]))},{_px(up.x(p[1]))}" for p in run if p is not None)
            body.append(_tag("polyline", class_=kind, points=path) if path else "")
        if label:
            y = height + _LANE * index
            body.append(_tag("line", class_=kind, x1=left, y1=y, x2=left + 24, y2=y))
            body.append(_words(_short(label, 56), left + 32, y + 4, "", "start"))
    legend = _LANE * len(lines) if any(label for label, _ in lines) else 0
    ends = [(label, [p for p in line if p is not None]) for label, line in lines]
    said = [f"x from {notation.number(across.low)} to {notation.number(across.high)}"]
    said += [f"{label or 'line'} ends at {notation.number(line[-1][1])}" for label, line in ends if line]
    title = "; ".join(label for label, _ in lines if label) or "curve"
    return _svg(identity, height + legend, title, "; ".join(said), body)


def _curve(one: Any) -> tuple[str, list[tuple[float, float] | None]]:
    if not isinstance(one, Mapping) or not {"x", "y"} <= set(one):
        raise ValueError('a curve needs "x" and "y"')
    xs, ys = _numbers(one["x"]), _numbers(one["y"])
    if len(xs) != len(ys):
        raise ValueError(f"{len(xs)} x and {len(ys)} y")
    points = [(x, y) if math.isfinite(x) and math.isfinite(y) else None for x, y in zip(xs, ys, strict=True)]
    step = max(1, math.ceil(len(points) / 600))
    thinned = [p for i, p in enumerate(points) if i % step == 0 or i == len(points) - 1]
    return str(one.get("label", "")), thinned


def reliability(given: Any, identity: str) -> str:
    """A reliability diagram of `{"confidence": [...], "accuracy": [...], "count": [...]}`; empty bins null.

    Raises:
        ValueError: when that is not what was given.
    """
    if not isinstance(given, Mapping) or not {"confidence", "accuracy"} <= set(given):
        raise ValueError('a reliability diagram needs "confidence" and "accuracy"')
    confidence, accuracy = _numbers(given["confidence"]), _numbers(given["accuracy"])
    counts = _numbers(given["count"]) if "count" in given else [1.0] * len(confidence)
    if not len(confidence) == len(accuracy) == len(counts):
        raise ValueError("confidence, accuracy and count differ in length")
    bins = [b for b in zip(confidence, accuracy, counts, strict=True) if all(map(math.isfinite, b)) and b[2] > 0]
    if not bins or any(not (0 <= c <= 1 and 0 <= a <= 1) for c, a, _ in bins):
        raise ValueError("no bin within [0, 1]")
    left, right, top, floor = 52, 292, 10, 250
    across, up = Scale(0, 1, left, right), Scale(0, 1, floor, top)
    most = max(count for _, _, count in bins)
    body = [_tag("line", class_="diagonal", x1=left, y1=floor, x2=right, y2=top)]
    for tick in ticks(0, 1):
        y, text = up.x(tick), notation.number(tick)
        body.append(_tag("line", class_="grid", x1=left, y1=y, x2=right, y2=y))
        body.append(_words(text, left - 6, y + 4, "tick", "end"))
        body.append(_words(text, across.x(tick), floor + 18, "tick"))
    path = " ".join(f"{_px(across.x(c))},{_px(up.x(a))}" for c, a, _ in bins)
    body.append(_tag("polyline", class_="curve c0", points=path))
    for c, a, count in bins:
        said = f"confidence {notation.number(c)}, accuracy {notation.number(a)}, {count:,.0f} items"
        radius = 2.5 + 5.5 * math.sqrt(count / most)
        title = _tag("title", _text(said))
        body.append(_tag("circle", title, class_="bin", cx=across.x(c), cy=up.x(a), r=radius))
    middle = (top + floor) / 2
    body += [
        _words("confidence", (left + right) / 2, floor + 36, ""),
        _tag("g", _words("accuracy", 14, middle, ""), transform=f"rotate(-90 14 {_px(middle)})"),
        _words("area of a dot:", right + 14, top + 12, "tick", "start"),
        _words("items in its bin", right + 14, top + 28, "tick", "start"),
    ]
    said = "; ".join(f"{notation.number(c)} -> {notation.number(a)} ({n:,.0f})" for c, a, n in bins)
    return _svg(identity, floor + 44, "Reliability: accuracy by stated confidence", said, body)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], at most `most` of them."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return []
    power = math.floor(math.log10(span / most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * 10.0**power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            digits = max(0, -math.floor(math.log10(step)))
            return [round(k * step, digits) for k in range(first, last + 1)]
    return []


def _numbers(given: Any) -> list[float]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError("not a list of numbers")
    try:
        return [math.nan if x is None else float(x) for x in given]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("not a list of numbers") from None


def _svg(identity: str, height: float, title: str, description: str, body: Sequence[str]) -> str:
    head = _tag("title", _text(title), id=f"{identity}-t") + _tag("desc", _text(description), id=f"{identity}-d")
    return _tag(
        "svg",
        head + "".join(body),
        class_="picture",
        viewBox=f"0 0 {WIDTH} {_px(height)}",
        width=WIDTH,
        height=height,
        role="img",
        aria_labelledby=f"{identity}-t {identity}-d",
    )


def _words(text: str, x: float, y: float, kind: str, anchor: str = "middle") -> str:
    return _tag("text", _text(text), class_=kind, x=x, y=y, text_anchor=anchor)


def _tag(element: str, content: str = "", **attributes: str | float) -> str:
    """An element; `content` is mark-up already, attributes are text: `text_anchor` becomes text-anchor."""
    given = ""
    for key, value in attributes.items():
        text = value if isinstance(value, str) else _px(value)
        given += f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"' if text else ""
    return f"<{element}{given}>{content}</{element}>" if content else f"<{element}{given}/>"


def _px(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _text(text: str) -> str:
    return escape(notation.clean(text))


def _short(name: str, most: int = _LONGEST) -> str:
    name = notation.clean(name)
    return name if len(name) <= most else name[: most - 1] + "…"


def _width(text: str) -> float:
    return len(text) * _LETTER
