"""What must hold: specification files (`spec/*.toml`) as frozen models.

Data only. Reading a specification never imports a subject and never takes a measurement.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from assay import liveness, metrics
from assay.errors import MetricError, SpecError, did_you_mean

HARDWARE = ("cpu", "cuda", "mps", "tpu", "t4x2", "rtx3050")
"""Names that `targets` and `on` may hold; each is a pytest marker and a value of `--hardware`."""

SMOKE = "smoke"
"""The profile that exercises mechanics on tiny data."""

SKETCH = "sketch"
"""The profile that learns in a minute or two what tells an honest run from a sabotaged one; a system may have none."""

REHEARSALS = (SMOKE, SKETCH)
"""Profiles of which nothing measured is ever evidence."""


class Frozen(BaseModel):
    """Immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Written(Frozen):
    """Written by hand: a value of another type is an error, never converted ("0.9" is no number)."""

    model_config = ConfigDict(strict=True)


Finite = Annotated[float, Field(allow_inf_nan=False)]
List = Field(strict=False)
"""A TOML array where the model holds a tuple."""


class Bound(Written):
    """One side (or both) that a value must keep to. Exactly one field is set.

    `at_least`/`at_most` admit equality, `above`/`below` do not, `within` is closed, `equals` is exact.
    """

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    equals: float | None = None
    within: Annotated[tuple[float, float], List] | None = None

    @model_validator(mode="after")
    def _one(self) -> Bound:
        given = self.given()
        if len(given) != 1:
            names = ", ".join(given) or "none"
            raise ValueError(f"exactly one of at_least, at_most, above, below, equals, within is needed; got {names}")
        numbers = self.numbers
        if any(not math.isfinite(x) for x in numbers):
            raise ValueError("a bound must be a finite number")
        if self.within is not None and self.within[0] > self.within[1]:
            raise ValueError(f"within = {list(self.within)} is empty: the first number must not exceed the second")
        return self

    def given(self) -> dict[str, Any]:
        """The one field that is set, as a mapping: what `assay status --json` shows."""
        return {k: v for k, v in self.model_dump().items() if v is not None}

    @property
    def numbers(self) -> tuple[float, ...]:
        (value,) = self.given().values()
        return tuple(value) if isinstance(value, tuple | list) else (value,)

    def holds(self, low: float, high: float | None = None) -> bool:
        """True when every value of the interval [low, high] (or the single value) keeps to the bound."""
        high = low if high is None else high
        if self.at_least is not None:
            return low >= self.at_least
        if self.above is not None:
            return low > self.above
        if self.at_most is not None:
            return high <= self.at_most
        if self.below is not None:
            return high < self.below
        if self.equals is not None:
            return low == high == self.equals
        assert self.within is not None
        return low >= self.within[0] and high <= self.within[1]

    def looser_than(self, other: Bound) -> bool:
        """True when some value that `other` refuses is accepted here."""
        low, high, open_low, open_high = self._region()
        olow, ohigh, oopen_low, oopen_high = other._region()
        lower = low < olow or (low == olow and oopen_low and not open_low)
        upper = high > ohigh or (high == ohigh and oopen_high and not open_high)
        return lower or upper

    def _region(self) -> tuple[float, float, bool, bool]:
        inf = math.inf
        if self.at_least is not None:
            return self.at_least, inf, False, False
        if self.above is not None:
            return self.above, inf, True, False
        if self.at_most is not None:
            return -inf, self.at_most, False, False
        if self.below is not None:
            return -inf, self.below, False, True
        if self.equals is not None:
            return self.equals, self.equals, False, False
        assert self.within is not None
        return *self.within, False, False

    def __str__(self) -> str:
        ((name, value),) = self.given().items()
        if name == "within":
            return f"in [{value[0]:.15g}, {value[1]:.15g}]"
        sign = {"at_least": ">=", "at_most": "<=", "above": ">", "below": "<", "equals": "=="}[name]
        return f"{sign} {value:,.0f}" if abs(value) >= 1e5 and value == int(value) else f"{sign} {value:.15g}"


class Beat(Written):
    """To be beaten on the same items: subject - baseline - |baseline| x relative - margin > 0."""

    baseline: str
    relative: Annotated[Finite, Field(ge=0)] = 0.0
    margin: Annotated[Finite, Field(ge=0)] = 0.0

    def __str__(self) -> str:
        extra = (f" by {self.relative:.0%}" if self.relative else "") + (f" by {self.margin:g}" if self.margin else "")
        return self.baseline + extra


class NotWorse(Written):
    """Non-inferiority: subject - baseline + margin > 0 on the same items."""

    than: str
    margin: Annotated[Finite, Field(ge=0)] = 0.0


class Slice(Written):
    """A column of the items by which the value is reported, with a bound for every slice if one is given."""

    by: str
    bound: Bound | None = None


_BOUND_KEYS = tuple(Bound.model_fields)


class Requirement(Written):
    """One thing that must hold, measured one way. With no bound and no baseline: reported, never gates."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")]
    kind: Literal["artifact", "method"] = "artifact"
    statement: Annotated[str, Field(min_length=8)]
    metric: str
    options: dict[str, Any] = {}
    bound: Bound | None = None
    goal: Finite | None = None
    data: str = ""
    split: str = ""
    beats: Annotated[tuple[Beat, ...], List] = ()
    not_worse: Annotated[tuple[NotWorse, ...], List] = ()
    slices: Annotated[tuple[Slice, ...], List] = ()
    on: Annotated[tuple[str, ...], List] = ()
    origin: Literal["user", "assay"] = "assay"
    minimum_n: Annotated[int, Field(ge=1)] = 1
    minimum_groups: Annotated[int, Field(ge=1)] = 1
    seeds: Annotated[int, Field(ge=1)] = 1
    control: bool = True
    note: str = ""
    reason: str = ""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        raw = dict(raw)
        bound = {key: raw.pop(key) for key in _BOUND_KEYS if key in raw}
        if bound:
            if "bound" in raw:
                raise ValueError(f"bound and {', '.join(bound)} are both given")
            raw["bound"] = bound
        if isinstance(raw.get("slices"), list):
            raw["slices"] = [cls._slice(item) for item in raw["slices"]]
        if raw.get("kind") == "method":
            raw.setdefault("seeds", 3)
        return raw

    @staticmethod
    def _slice(item: Any) -> Any:
        if isinstance(item, str):
            return {"by": item}
        if isinstance(item, dict):
            bound = {key: item[key] for key in _BOUND_KEYS if key in item}
            rest = {key: value for key, value in item.items() if key not in _BOUND_KEYS}
            if bound and "bound" in rest:
                raise ValueError(f"slices: bound and {', '.join(bound)} are both given")
            return {**rest, "bound": bound} if bound else rest
        return item

    @model_validator(mode="after")
    def _coherent(self) -> Requirement:
        if self.kind == "method" and self.seeds < 3:
            raise ValueError("a method claim needs seeds >= 3 (DESIGN: two kinds of claim)")
        names = [b.baseline for b in self.beats] + [row.than for row in self.not_worse]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"baseline {', '.join(twice)} stands twice under beats and not_worse")
        columns = [s.by for s in self.slices]
        if twice := sorted({by for by in columns if columns.count(by) > 1}):
            raise ValueError(f"column {', '.join(twice)} stands twice under slices")
        return self

    @property
    def gates(self) -> bool:
        """Whether a miss keeps the system from being DONE."""
        bounded = self.bound is not None or any(s.bound is not None for s in self.slices)
        return bounded or bool(self.beats) or bool(self.not_worse)

    @property
    def digest(self) -> str:
        """Changes when what is measured or demanded changes; not with wording (statement, note, reason)."""
        raw = self.model_dump(mode="json", exclude={"statement", "note", "reason", "goal", "on", "origin"})
        return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()


class System(Written):
    """Who is judged: name, hardware on which it must be DONE, and the two entry points of the subject.

    A system without `train` and `load` trains nothing: it is judged by its outputs alone.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    targets: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    train: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] = ""
    load: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] = ""
    serve: str = ""

    @model_validator(mode="after")
    def _both(self) -> System:
        if bool(self.train) != bool(self.load):
            raise ValueError("train and load go together: one makes the artifact that the other reads")
        return self

    @property
    def trains(self) -> bool:
        """Whether there is a model to be trained."""
        return bool(self.train)


class Waiver(Written):
    """A requirement that is allowed to miss until a date, for a reason; shown on the board, never a PASS."""

    id: str
    reason: Annotated[str, Field(min_length=8)]
    until: datetime.date


class Dropped(Written):
    """A requirement that was in the lock and is no longer demanded, with the reason; shown on the board."""

    id: str
    reason: Annotated[str, Field(min_length=8)]


class Spec(Written):
    """One specification file."""

    system: System
    profile: dict[str, dict[str, Any]] = {}
    data: dict[str, dict[str, Any]] = {}
    requirement: Annotated[tuple[Requirement, ...], List] = ()
    waiver: Annotated[tuple[Waiver, ...], List] = ()
    dropped: Annotated[tuple[Dropped, ...], List] = ()
    path: Path = Path()
    _lines: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def lines(self) -> dict[str, int]:
        """Requirement id -> the line on which its table began when the file was loaded."""
        return self._lines

    @property
    def name(self) -> str:
        return self.system.name

    def __iter__(self) -> Iterator[Requirement]:  # type: ignore[override]
        return iter(self.requirement)

    def get(self, requirement_id: str) -> Requirement:
        """The requirement of that id; SpecError with the nearest id otherwise."""
        for requirement in self.requirement:
            if requirement.id == requirement_id:
                return requirement
        known = [r.id for r in self.requirement]
        raise SpecError(f'{self.path}: no requirement "{requirement_id}"{did_you_mean(requirement_id, known)}')

    def on(self, target: str) -> tuple[Requirement, ...]:
        """The requirements that must be shown on that hardware."""
        return tuple(r for r in self.requirement if target in r.on)

    def table(self, name: str, profile: str) -> dict[str, Any]:
        """The `[data.NAME]` table; a sub-table named after the profile overrides single keys.

        A sketch has the data of smoke, but for what its own sub-table says.
        """
        if name not in self.data:
            raise SpecError(f"{self.path}: no table [data.{name}]{did_you_mean(name, self.data)}")
        table = self.data[name]
        profiles = {*self.profile, *HARDWARE, *REHEARSALS}  # a system that trains nothing declares none
        found = {k: v for k, v in table.items() if not (k in profiles and isinstance(v, dict))}
        for layer in REHEARSALS if profile == SKETCH else (profile,):
            override = table.get(layer)
            found |= override if isinstance(override, dict) else {}
        return found


def load(path: Path) -> Spec:
    """Read and check one specification file.

    Raises:
        SpecError: with file, line and key path, for anything from a missing file to a bound outside the
            range of its metric.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file; `assay init` writes a first one") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 (byte {error.start}); save the file as UTF-8") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = found.group(1) if found else text.count("\n") + 1  # "at end of document"
        raise SpecError(f"{path}:{line}: not valid TOML: {error}") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, arrays nested as deep
        raise SpecError(f"{path}: not valid TOML: {error}") from None
    lines = _Lines(text)
    for key in _only_in_code(raw):
        raise SpecError(f'{path}:{lines.find(key)}: unknown key "{key[-1]}"')
    raw = _with_default_hardware(raw)
    try:
        spec = Spec.model_validate({**raw, "path": path})
    except ValidationError as error:
        raise SpecError(_explain(path, lines, raw, error)) from None
    _check(spec, lines)
    spec._lines.update({row.id: lines.find(("requirement", number)) for number, row in enumerate(spec.requirement)})
    return spec


def load_all(folder: Path) -> dict[str, Spec]:
    """Every `*.toml` of the folder by system name, in order of name.

    Raises:
        SpecError: when the folder is missing or holds no specification, or two files name one system.
    """
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise SpecError(f"{folder}: no specification (*.toml) here; `assay init` writes a first one")
    specs: dict[str, Spec] = {}
    for path in files:
        spec = load(path)
        if spec.name in specs:
            raise SpecError(f'{path}: system "{spec.name}" is already specified in {specs[spec.name].path}')
        specs[spec.name] = spec
    return specs


def _only_in_code(raw: dict[str, Any]) -> Iterator[tuple[str | int, ...]]:
    """Keys that the models have and a file has not: in a file the bound's keys stand in the row itself."""
    if "path" in raw:
        yield ("path",)
    rows = raw.get("requirement")
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            if "bound" in row:
                yield ("requirement", index, "bound")
            parts = row.get("slices")
            for place, part in enumerate(parts if isinstance(parts, list) else []):
                if isinstance(part, dict) and "bound" in part:
                    yield ("requirement", index, "slices", place, "bound")


def _with_default_hardware(raw: dict[str, Any]) -> dict[str, Any]:
    targets = raw.get("system", {}).get("targets") if isinstance(raw.get("system"), dict) else None
    rows = raw.get("requirement")
    if not isinstance(rows, list) or not isinstance(targets, list):
        return raw
    filled = [{"on": targets, **row} if isinstance(row, dict) else row for row in rows]
    return {**raw, "requirement": filled}


def _check(spec: Spec, lines: _Lines) -> None:
    """What single fields cannot see: unknown metrics, impossible bounds, hardware and duplicate names."""
    for target in spec.system.targets:
        if target not in HARDWARE:
            where = lines.find(("system", "targets"))
            raise SpecError(
                f'{spec.path}:{where}: unknown hardware "{target}"{did_you_mean(target, HARDWARE)} '
                f"(known: {', '.join(HARDWARE)})"
            )
    seen: set[str] = set()
    for index, row in enumerate(spec.requirement):
        place = f'{spec.path}:{lines.find(("requirement", index, "id"))}: requirement "{row.id}"'
        if row.id in seen:
            raise SpecError(f"{place} stands twice; ids are unique within a system")
        seen.add(row.id)
        shown = f'{spec.path}:{lines.find(("requirement", index, "on"))}: requirement "{row.id}"'
        if not row.on:
            raise SpecError(f'{shown}: "on" is empty: the row would be shown on no hardware')
        for target in row.on:
            if target not in HARDWARE:
                raise SpecError(f'{shown}: unknown hardware "{target}"{did_you_mean(target, HARDWARE)}')
        try:
            metric = metrics.get(row.metric)
            metric.check_options(row.options)
        except MetricError as error:
            line = lines.find(("requirement", index, "metric"))
            raise SpecError(f'{spec.path}:{line}: requirement "{row.id}": {error}', check=error.check) from None
        for bound, key in [(row.bound, ""), *[(s.bound, "slices") for s in row.slices]]:
            if bound is not None:
                key = key or next(iter(bound.given()))
                line = lines.find(("requirement", index, key))
                _check_range(bound, metric, f'{spec.path}:{line}: requirement "{row.id}": "{key}"')
        for key, told in _undecided(row, metric):
            line = lines.find(("requirement", index, key))
            raise SpecError(f'{spec.path}:{line}: requirement "{row.id}": "{key}": {told}')
    for index, waiver in enumerate(spec.waiver):
        if waiver.id not in seen:
            line = lines.find(("waiver", index, "id"))
            raise SpecError(f'{spec.path}:{line}: waiver: no requirement "{waiver.id}"{did_you_mean(waiver.id, seen)}')
    for index, dropped in enumerate(spec.dropped):
        if dropped.id in seen:
            line = lines.find(("dropped", index, "id"))
            raise SpecError(f'{spec.path}:{line}: requirement "{dropped.id}" is both demanded and dropped')


def _check_range(bound: Bound, metric: metrics.Metric, place: str) -> None:
    low, high = metric.range
    outside = [x for x in bound.numbers if not low <= x <= high]
    never = (bound.above is not None and bound.above >= high) or (bound.below is not None and bound.below <= low)
    if outside or never:
        raise SpecError(
            f"{place}: bound {bound} lies outside the range [{low:g}, {high:g}] of metric {metric.name}: "
            "no result could ever decide it"
        )
    vacuous = (
        (bound.at_least is not None and bound.at_least <= low)
        or (bound.at_most is not None and bound.at_most >= high)
        or (bound.within is not None and bound.within[0] <= low and bound.within[1] >= high)
    )
    if vacuous:
        raise SpecError(
            f"{place}: bound {bound} holds for every value of metric {metric.name} "
            f"(range [{low:g}, {high:g}]): it demands nothing"
        )


def _undecided(row: Requirement, metric: metrics.Metric) -> Iterator[tuple[str, str]]:
    """Keys that ask for what guessing reaches, or what nothing could show, whatever the data: (key, reason)."""
    guess = metric.chance_form
    if row.bound is not None:
        (key,) = row.bound.given()
        if isinstance(guess, float) and not metric.supporting and row.bound.holds(guess):
            yield key, f"{row.bound} demands nothing: guessing scores {guess:g} on {metric.name}, whatever the data"
        if "minimum_n" in row.model_fields_set and (told := liveness.undecidable(metric, row.minimum_n, row.bound)):
            yield "minimum_n", f"so few decide nothing: {told}"
    low, high = metric.range
    for beat in row.beats:
        if beat.margin >= high - low:
            told = f"{metric.name} has the range [{low:g}, {high:g}]: nothing is ahead of {beat.baseline} by more"
            yield "beats", f"margin {beat.margin:g} is out of reach: {told}"


_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}|' r"'''.*?''''{0,2}|" r'"(?:\\.|[^"\\\n])*"|' r"'[^'\n]*'|" r"#[^\n]*",
    re.DOTALL,
)
_KEY = r"\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*"


class _Lines:
    """Line numbers of keys in a valid TOML text, by a scan of headers and assignments; tomllib keeps none."""

    def __init__(self, text: str) -> None:
        self.places: dict[tuple[str | int, ...], int] = {}
        self._counts: dict[tuple[str | int, ...], int] = {}
        table: tuple[str | int, ...] = ()
        depth = 0  # inside an array or an inline table that goes on over lines, nothing is a header
        for number, line in enumerate(_STRING.sub(self._bare, text).split("\n"), 1):
            if depth == 0 and (header := re.match(rf"\s*(\[\[?){_KEY}\]", line)):
                table = self._path(header.group(2), array=header.group(1) == "[[")
                self.places.setdefault(table, number)
                continue
            if depth == 0 and (assignment := re.match(f"{_KEY}=", line)):
                key = table
                for part in re.split(r"\s*\.\s*", assignment.group(1)):
                    key = (*key, part)
                    self.places.setdefault(key, number)
            depth += sum(line.count(c) for c in "[{") - sum(line.count(c) for c in "]}")

    @staticmethod
    def _bare(match: re.Match[str]) -> str:
        """A quoted bare key without its quotes; of other strings and comments only the line breaks."""
        text = match.group()
        return text[1:-1] if re.fullmatch(r"([\"'])[\w-]+\1", text) else "\n" * text.count("\n")

    def _path(self, name: str, array: bool) -> tuple[str | int, ...]:
        """`requirement.beats` -> ("requirement", 3, "beats", 0): tables under an array belong to its last row."""
        path: tuple[str | int, ...] = ()
        parts = re.split(r"\s*\.\s*", name)
        for index, part in enumerate(parts):
            path = (*path, part)
            if array and index == len(parts) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def find(self, key: tuple[str | int, ...]) -> int:
        """The line of the key, or of the nearest enclosing table; 1 when nothing is known."""
        while key:
            if key in self.places:
                return self.places[key]
            key = key[:-1]
        return 1


def _explain(path: Path, lines: _Lines, raw: dict[str, Any], error: ValidationError) -> str:
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])  # a misspelt key is missing, too
    location = tuple(x for x in first["loc"] if x not in ("bound", "function-before"))
    where = f"{path}:{lines.find(location)}"
    row = ""
    if len(location) >= 2 and location[0] == "requirement" and isinstance(location[1], int):
        name = raw["requirement"][location[1]]
        row = f'requirement "{name.get("id", "?") if isinstance(name, dict) else "?"}": '
    dotted = ".".join(str(x) for x in location if not isinstance(x, int)) or "file"
    if first["type"] == "extra_forbidden":
        key = str(location[-1])
        known = _fields_at(location)
        return f'{where}: {row}unknown key "{dotted}"{did_you_mean(key, known)}'
    if first["type"] == "missing":
        return f'{where}: {row}key "{dotted}" is missing'
    message = first["msg"].removeprefix("Value error, ")
    return f'{where}: {row}"{dotted}": {message} (got {first["input"]!r})'[:600]


def _fields_at(location: tuple[str | int, ...]) -> list[str]:
    names = [x for x in location[:-1] if isinstance(x, str)]
    if not names:
        return [name for name in Spec.model_fields if name != "path"]
    models: dict[str, type[BaseModel]] = {
        "system": System,
        "requirement": Requirement,
        "waiver": Waiver,
        "dropped": Dropped,
    }
    model = models.get(names[0], Spec)
    if names[-1] == "beats":
        model = Beat
    elif names[-1] == "not_worse":
        model = NotWorse
    elif names[-1] == "slices":
        model = Slice
    extra = _BOUND_KEYS if model in (Requirement, Slice) else ()
    return [*[f for f in model.model_fields if f != "bound"], *extra]
