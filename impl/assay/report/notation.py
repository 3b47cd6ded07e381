"""How numbers and foreign text are written, the same in every report.

Rounding must never tell another story than the number: 0.7496 against a bound of 0.75 is not written "0.750".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from assay.evidence import Pair
from assay.spec import Bound

_UNITS = {
    "ms": "ms", "s": "s", "second": "s", "seconds": "s", "minutes": "min", "us": "us", "ns": "ns",
    "bytes": "B", "kib": "KiB", "mib": "MiB", "gib": "GiB", "percent": "%", "hz": "Hz", "usd": "USD",
}  # fmt: skip
_MOST_DIGITS = 16


class Measured(NamedTuple):
    """A value and its interval as text, rounded alike; an interval without width is "exact"."""

    value: str
    interval: str
    unit: str

    @property
    def tail(self) -> str:
        """What stands after the value: interval and unit, or unit and "exact"."""
        order = (self.unit, self.interval) if self.interval == "exact" else (self.interval, self.unit)
        return " ".join(part for part in order if part)

    def __str__(self) -> str:
        return f"{self.value} {self.tail}".strip()


def unit(metric: str) -> str:
    """The unit that a metric's name ends in ("size_mib": MiB); else latencies are milliseconds, overheads shares."""
    family, _, name = metric.rpartition(".")
    words = name.lower().split("_")
    if "per" in words[:-1]:
        return "/" + _UNITS.get(words[-1], words[-1])
    if words[-1] == "throughput":
        return "/s"
    if words[-1] == "overhead":
        return ""
    if words[-1] in _UNITS and len(words) > 1:
        return _UNITS[words[-1]]
    return "ms" if "latency" in family.split(".") or words[0] == "latency" else ""


def exact(x: float) -> str:
    """All digits of the number, as few as read back as it: for what a person wrote (bounds, goals)."""
    if not math.isfinite(x):
        return str(x)
    if x == int(x) and abs(x) < 1e15:
        return f"{int(x):,}"
    return f"{x:,}" if abs(x) >= 1e-4 else f"{x:g}" if float(f"{x:g}") == x else repr(x)


def number(x: float | None) -> str:
    """Four significant digits, whole numbers in full, without trailing zeros; "none" for None."""
    if x is None:
        return "none"
    if not math.isfinite(x):
        return str(x)
    if x == int(x) and abs(x) < 1e15:
        return f"{int(x):,}"
    magnitude = math.floor(math.log10(abs(x)))
    if magnitude < -4 or magnitude >= 15:
        return f"{x:.4g}"
    text = f"{x:,.{max(0, 3 - magnitude)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def measured(
    value: float | None, interval: Pair | None = None, landmarks: Iterable[float] = (), unit: str = ""
) -> Measured:
    """Value and interval with as many digits as the interval's width carries.

    Digits are added until each number stands on its true side of every landmark (a bound, zero).
    """
    if value is None:
        return Measured("none", "", "")
    numbers = _format([value, *(interval or ())], tuple(landmarks), signed=False)
    if interval == (value, value):
        return Measured(numbers[0], "exact", unit)
    return Measured(numbers[0], _brackets(numbers[1:]), unit)


def difference(value: float | None, interval: Pair | None = None) -> str:
    """A signed difference, zero being the landmark: "+0.061 [+0.040, +0.082]"; empty when there is none."""
    known = [x for x in (value, *(interval or ())) if x is not None]
    if not known:
        return ""
    numbers = _format(known, (0.0,), signed=True)
    if value is None:
        return _brackets(numbers)
    return " ".join(part for part in (numbers[0], _brackets(numbers[1:])) if part)


def bound(bound: Bound, unit: str = "", *, typographic: bool = False) -> str:
    """ ">= 0.75", "< 10 ms", "in [2, 3]"; with `typographic` the signs of print."""
    ((name, value),) = bound.given().items()
    tail = f" {unit}" if unit else ""
    if name == "within":
        return f"in [{exact(value[0])}, {exact(value[1])}]{tail}"
    plain = {"at_least": ">=", "at_most": "<=", "above": ">", "below": "<", "equals": "=="}
    fine = {**plain, "at_least": "≥", "at_most": "≤", "equals": "="}
    return f"{(fine if typographic else plain)[name]} {exact(value)}{tail}"


def age(seconds: float) -> str:
    """A duration in its largest sensible unit: "40 s", "3 h", "12 days"."""
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def clean(text: str, *, lines: bool = False) -> str:
    """Text that is safe to print: control characters and direction overrides become their code, "<U+001B>".

    With `lines` line ends and tabs stay; otherwise white space collapses to single spaces.
    """
    if not lines:
        text = re.sub(r"[ \t\r\n\f\v\x85\u2028\u2029]+", " ", text).strip()
    return "".join(_visible(c) if not c.isprintable() else c for c in text)


def _visible(c: str) -> str:
    if c in "\n\r\t\u200c\u200d" or unicodedata.category(c) == "Zs":  # joiners carry meaning in several scripts
        return c
    return f"<U+{ord(c):04X}>"


def _brackets(numbers: list[str]) -> str:
    return f"[{numbers[0]}, {numbers[1]}]" if numbers else ""


def _format(numbers: list[float], landmarks: tuple[float, ...], *, signed: bool) -> list[str]:
    finite = [x for x in numbers if math.isfinite(x)]
    if not finite:
        return [str(x) for x in numbers]
    sign = "+" if signed else ""
    for spec in _specs(finite):
        texts = [f"{x:{sign if x else ''}{spec}}" for x in numbers]
        if all(_keeps_side(text, x, landmarks) for text, x in zip(texts, numbers, strict=True)):
            return texts
    return [f"{x:{sign}}" for x in numbers]


def _specs(finite: list[float]) -> Iterator[str]:
    """Format specifications with ever more digits, the first with as many as the numbers carry."""
    largest = max(abs(x) for x in finite)
    if 0 < largest < 1e-4 or largest >= 1e15:
        yield from (f".{digits}g" for digits in range(3, _MOST_DIGITS))
    elif all(x == int(x) for x in finite):
        yield ",.0f"
    else:
        yield from (f",.{decimals}f" for decimals in range(_decimals(finite), _MOST_DIGITS))


def _keeps_side(text: str, x: float, landmarks: tuple[float, ...]) -> bool:
    if not math.isfinite(x):
        return True
    shown = float(text.replace(",", ""))
    return all(_side(shown, landmark) == _side(x, landmark) for landmark in landmarks)


def _decimals(finite: list[float]) -> int:
    width = max(finite) - min(finite)
    if len(finite) > 1 and width > 0:
        return min(8, max(0, 1 - math.floor(math.log10(width))))
    return min(8, max(0, 3 - math.floor(math.log10(max(abs(x) for x in finite)))))


def _side(x: float, landmark: float) -> int:
    return (x > landmark) - (x < landmark)
