"""Laws of the specification: what is written is what is demanded, and every mistake names its file, line and key."""

from __future__ import annotations

import datetime
import json
import math
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from assay import schema, spec
from assay.errors import SpecError
from assay.spec import HARDWARE, Bound, Requirement, Spec

ROOT = Path(__file__).resolve().parents[2]
quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# --------------------------------------------------------------------------------------------- bounds

# Quarters: halfway between two neighbours lies a value that no bound is at, so sampling decides exactly.
grid = st.integers(-8, 8).map(lambda x: x / 4)
SAMPLES = [x / 8 for x in range(-24, 25)]

bounds = st.one_of(
    *(grid.map(lambda x, key=key: Bound(**{key: x})) for key in ("at_least", "at_most", "above", "below", "equals")),
    st.tuples(grid, grid).map(lambda two: Bound(within=(min(two), max(two)))),
)


@settings(max_examples=300, deadline=None)
@given(bounds, bounds)
@example(Bound(at_least=0.5), Bound(above=0.5))
@example(Bound(above=0.5), Bound(at_least=0.5))
@example(Bound(within=(0.5, 0.5)), Bound(equals=0.5))
def test_looser_is_exactly_accepting_what_the_other_refuses(mine: Bound, other: Bound) -> None:
    """Law: looser_than iff some value is accepted here and refused there."""
    assert mine.looser_than(other) == any(mine.holds(x) and not other.holds(x) for x in SAMPLES)


@settings(max_examples=100, deadline=None)
@given(bounds, bounds, bounds)
def test_not_looser_is_a_preorder(a: Bound, b: Bound, c: Bound) -> None:
    """Law: nothing is looser than itself, and strictness is transitive."""
    assert not a.looser_than(a)
    if not a.looser_than(b) and not b.looser_than(c):
        assert not a.looser_than(c)


@settings(max_examples=200, deadline=None)
@given(bounds, grid, grid)
def test_an_interval_holds_when_each_value_in_it_does(bound: Bound, one: float, two: float) -> None:
    """Law: holds(low, high) iff holds(x) for every x of the interval."""
    low, high = min(one, two), max(one, two)
    assert bound.holds(low, high) == all(bound.holds(x) for x in SAMPLES if low <= x <= high)


@given(bounds)
def test_nan_keeps_to_no_bound(bound: Bound) -> None:
    """Law: a NaN, alone or at both ends of an interval, never holds."""
    assert not bound.holds(math.nan)
    assert not bound.holds(math.nan, math.nan)


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (Bound(at_least=0.75), ">= 0.75"),
        (Bound(at_most=50), "<= 50"),
        (Bound(above=0), "> 0"),
        (Bound(below=10.5), "< 10.5"),
        (Bound(equals=8000), "== 8000"),
        (Bound(equals=1_250_000), "== 1,250,000"),
        (Bound(at_least=-250_000), ">= -250,000"),
        (Bound(at_least=100_000.5), ">= 100000.5"),
        (Bound(within=(0.4, 0.6)), "in [0.4, 0.6]"),
        (Bound(at_least=0.9999999), ">= 0.9999999"),
    ],
)
def test_a_bound_reads_as_it_was_written(bound: Bound, text: str) -> None:
    assert str(bound) == text


written = st.integers(-(10**7), 10**7).map(lambda x: x / 10**6)


@given(written, written)
def test_bounds_that_differ_are_shown_differently(one: float, two: float) -> None:
    """Law: a goalpost that moved never reads as one that did not."""
    if one != two:
        assert str(Bound(at_least=one)) != str(Bound(at_least=two))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"at_least": 0.5, "at_most": 0.9},
        {"equals": 1, "within": [0, 1]},
        {"within": [0.6, 0.4]},
        {"within": [0.4]},
        {"at_least": math.nan},
        {"at_most": math.inf},
        {"within": [0, math.nan]},
        {"at_least": "0.5"},
        {"at_least": True},
    ],
)
def test_a_bound_is_one_finite_number_or_range(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Bound.model_validate(keys)


# ----------------------------------------------------------------------------------------- round trip


def toml(value: Any) -> str:
    """A TOML value; every way of writing that the loader must read is used somewhere in this file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(k)} = {toml(v)}' for k, v in value.items())} }}"
    return value.isoformat() if isinstance(value, datetime.date) else repr(value)


def document(raw: dict[str, Any]) -> str:
    """A TOML file: tables as tables, lists of tables as arrays of tables, keys one a line."""
    lines: list[str] = []
    for name, part in raw.items():
        for table in part if isinstance(part, list) else [part]:
            lines += ["", f"[[{name}]]" if isinstance(part, list) else f"[{name}]"]
            lines += [f"{key} = {toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def load(folder: Path, text: str | bytes, name: str = "x.toml") -> Spec:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return spec.load(path)


unit = st.floats(0.01, 0.99)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=20)
names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
metrics = st.sampled_from(["graph.rate", "calibration.brier", "calibration.ece", "geometry.isoscore"])
"""Of which no bound within their range is trivial, and no number of items too small, on the face of it."""
targets = st.lists(st.sampled_from(HARDWARE), min_size=1, max_size=3, unique=True)
one_bound = st.one_of(
    st.dictionaries(st.sampled_from(["at_least", "at_most", "above", "below", "equals"]), unit, min_size=1, max_size=1),
    st.tuples(unit, unit).map(lambda two: {"within": sorted(two)}),
)


@st.composite
def rows(draw: st.DrawFn, name: str) -> dict[str, Any]:
    rivals = draw(st.lists(names, max_size=3, unique=True))
    columns = draw(st.lists(names, max_size=2, unique=True))
    optional = {
        "kind": st.sampled_from(["artifact", "method"]),
        "options": st.just({}),
        "goal": unit,
        "data": words,
        "split": words,
        "on": targets,
        "origin": st.sampled_from(["user", "assay"]),
        "minimum_n": st.integers(1, 10**6),
        "minimum_groups": st.integers(1, 100),
        "seeds": st.integers(3, 9),
        "control": st.booleans(),
        "note": words,
        "reason": words,
        "beats": st.just([{"baseline": name, "margin": draw(unit)} for name in rivals[:2]]),
        "not_worse": st.just([{"than": name, "margin": 0} for name in rivals[2:]]),
        "slices": st.just([by if draw(st.booleans()) else {"by": by, **draw(one_bound)} for by in columns]),
    }
    chosen = draw(st.fixed_dictionaries({}, optional=optional))
    bound = draw(st.just({}) | one_bound)
    return {"id": name, "statement": draw(words), "metric": draw(metrics), **chosen, **bound}


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    ids = draw(st.lists(names, max_size=3, unique=True))
    waived = draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
    gone = [name for name in draw(st.lists(names, max_size=2, unique=True)) if name not in ids]
    return {
        "system": {
            "name": "s" + draw(names),
            "title": draw(words),
            "targets": draw(targets),
            "train": "a.b:train",
            "load": "a.b:load",
        },
        "profile.cpu": draw(st.dictionaries(names, unit | st.integers(-9, 9) | words | st.booleans(), max_size=3)),
        "data.d": draw(st.dictionaries(names, st.lists(words, max_size=2), max_size=2)),
        "requirement": [draw(rows(name)) for name in ids],
        "waiver": [{"id": name, "reason": draw(words), "until": draw(st.dates())} for name in waived],
        "dropped": [{"id": name, "reason": draw(words)} for name in gone],
    }


def flat(model: Any) -> Any:
    """A loaded model in the form of the file: given bounds beside the other keys, lists for tuples."""
    if isinstance(model, Bound):
        return flat(model.given())
    if hasattr(model, "model_fields_set"):
        found = {key: flat(getattr(model, key)) for key in model.model_fields_set}
        bound = found.pop("bound", None) or {}
        return {**found, **bound}
    if isinstance(model, dict):
        return {key: flat(value) for key, value in model.items()}
    return [flat(item) for item in model] if isinstance(model, list | tuple) else model


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(specs())
def test_what_is_written_is_what_is_loaded(tmp_path: Path, raw: dict[str, Any]) -> None:
    """Law: every key of a valid file is in the model with its value; defaults are the documented ones."""
    loaded = load(tmp_path, document(raw))
    assert flat(loaded.system) == raw["system"]
    assert loaded.profile == {"cpu": raw["profile.cpu"]}
    assert loaded.data == {"d": raw["data.d"]}
    assert flat(loaded.waiver) == raw["waiver"]
    assert flat(loaded.dropped) == raw["dropped"]
    assert [row.id for row in loaded] == [row["id"] for row in raw["requirement"]]
    for row, wrote in zip(loaded, raw["requirement"], strict=True):
        expected = {"on": raw["system"]["targets"], **wrote}
        if wrote.get("kind") == "method":
            expected.setdefault("seeds", 3)
        if "slices" in wrote:
            expected["slices"] = [{"by": s} if isinstance(s, str) else s for s in wrote["slices"]]
        assert flat(row) == expected
        assert row.gates == (
            any(key in wrote for key in Bound.model_fields)
            or bool(wrote.get("beats") or wrote.get("not_worse"))
            or any(set(s) - {"by"} for s in wrote.get("slices", []) if isinstance(s, dict))
        )
        assert loaded.get(row.id) is row
        for target in HARDWARE:
            assert (row in loaded.on(target)) == (target in expected["on"])


def test_what_is_not_written_is_the_least_demanding_that_is_still_honest() -> None:
    defaults = Requirement(id="a", statement="Something holds", metric="m").model_dump()
    assert defaults == {
        "id": "a", "kind": "artifact", "statement": "Something holds", "metric": "m", "options": {}, "bound": None,
        "goal": None, "data": "", "split": "", "beats": (), "not_worse": (), "slices": (), "on": (),
        "origin": "assay", "minimum_n": 1, "minimum_groups": 1, "seeds": 1, "control": True, "note": "", "reason": "",
    }  # fmt: skip


WORDING = {"statement": "Said otherwise", "note": "n", "reason": "because of it", "goal": 0.99, "origin": "user"}
MEASURE = {
    "metric": "ranking.mrr", "options": {"k": 5}, "data": "other", "split": "other", "minimum_n": 7,
    "minimum_groups": 7, "seeds": 7, "control": False, "at_least": 0.123, "id": "other", "kind": "method",
    "beats": [{"baseline": "b"}], "not_worse": [{"than": "b"}], "slices": ["s"],
}  # fmt: skip
ROW = {"id": "a", "statement": "Something holds", "metric": "classification.auroc", "at_least": 0.5, "on": ["cpu"]}


def test_a_digest_sees_what_is_measured_and_no_wording() -> None:
    """Law: the requirement's digest changes with each field that changes the claim, and with no other."""
    digest = Requirement.model_validate(ROW).digest
    for key, value in WORDING.items():
        assert Requirement.model_validate({**ROW, key: value}).digest == digest, key
    assert Requirement.model_validate({**ROW, "on": ["cpu", "cuda"]}).digest == digest
    found = {key: Requirement.model_validate({**ROW, key: value}).digest for key, value in MEASURE.items()}
    assert len({digest, *found.values()}) == len(MEASURE) + 1
    assert {*WORDING, *MEASURE, "on", "bound"} >= set(Requirement.model_fields), "a new field needs a decision"


# ----------------------------------------------------------------------------------- worked mistakes

GOOD = """\
# a comment with [[requirement]] in it
[system]
name    = "demo"
title   = "A demonstration"
targets = ["cpu"]
train   = "demo.train:train"
load    = "demo.bridge:load"

[profile.cpu]
hidden = [
  [978, 512],
  [512],
]
note = '''
[[requirement]]
id = "not.a.key"
'''

[data.defects]
pairs = 4000

[[requirement]]
id        = "bugs.auroc"
statement = "Finds defects in code it never saw"
metric    = "classification.macro_auroc"
at_least  = 0.75
data      = "defects"
beats     = [{ baseline = "majority" }, { baseline = "ngram", margin = 0.06 }]
slices    = ["operator"]

[[requirement]]
id         = "ece"
statement  = "Says how sure it is"
metric     = "calibration.ece"
"at_most"  = 0.1
minimum_n  = 100
control    = true

[requirement.options]
bins = 15

[[requirement.not_worse]]
than   = "bm25"
margin = 0.01

[[requirement]]
id        = "helps"
kind      = "method"
statement = "Attention bias helps"
metric    = "ranking.mrr"
above     = 0.0
seeds     = 3

[[waiver]]
id     = "ece"
reason = "calibration comes next"
until  = 2026-12-31

[[dropped]]
id     = "bugs.f1"
reason = "the threshold was set on test data"
"""


def test_each_requirement_knows_its_line() -> None:
    """Of the project's own files: on that line its table begins, and its id stands below."""
    for path in sorted((ROOT / "spec").glob("*.toml")):
        text = path.read_text().split("\n")
        loaded = spec.load(path)
        assert list(loaded.lines) == [row.id for row in loaded]
        for name, line in loaded.lines.items():
            assert text[line - 1] == "[[requirement]]"
            assert next(found for found in text[line:] if found.startswith("id")).split('"')[1] == name


def test_the_good_file_is_good(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    assert [row.id for row in loaded] == ["bugs.auroc", "ece", "helps"]
    assert loaded.get("ece").options == {"bins": 15}
    assert loaded.get("ece").not_worse[0].margin == 0.01
    assert loaded.profile["cpu"]["hidden"] == [[978, 512], [512]]


MISTAKES: list[tuple[str, str, tuple[str, ...]]] = [
    # (line of GOOD, what stands there instead, what the error names)
    ('name    = "demo"', 'name    = "Demo"', ('"system.name"', "Demo")),
    ('name    = "demo"', "name    = 3", ('"system.name"', "string", "3")),
    ('title   = "A demonstration"', 'titel   = "A demonstration"', ('"system.titel"', 'did you mean "title"?')),
    ('targets = ["cpu"]', 'targets = ["cdua"]', ('unknown hardware "cdua"', 'did you mean "cuda"?')),
    ('targets = ["cpu"]', "targets = []", ('"system.targets"',)),
    ('targets = ["cpu"]', 'targets = "cpu"', ('"system.targets"',)),
    ('train   = "demo.train:train"', 'train   = "demo.train"', ('"system.train"',)),
    ("hidden = [", "hidden = = [", ("not valid TOML",)),
    ('id        = "bugs.auroc"', 'id        = "Bugs AUROC"', ('"requirement.id"',)),
    ('id         = "ece"', 'id         = "bugs.auroc"', ('"bugs.auroc"', "stands twice")),
    ('statement = "Finds defects in code it never saw"', 'statement = "short"', ('"requirement.statement"',)),
    ('metric    = "classification.macro_auroc"', 'metric    = "classification.macro_auorc"',
     ('"bugs.auroc"', 'did you mean "classification.macro_auroc"?')),
    ('metric    = "classification.macro_auroc"', "metric    = 5", ('"requirement.metric"',)),
    ("at_least  = 0.75", "at_lest   = 0.75", ('"requirement.at_lest"', 'did you mean "at_least"?')),
    ("at_least  = 0.75", "bound     = { at_least = 0.75 }", ('unknown key "bound"',)),
    ("at_least  = 0.75", 'at_least  = "0.75"', ("at_least", "number")),
    ("at_least  = 0.75", "at_least  = true", ("at_least", "number")),
    ("at_least  = 0.75", "at_least  = nan", ("finite",)),
    ("at_least  = 0.75", "at_least  = inf", ("finite",)),
    ("at_least  = 0.75", "at_least  = 1.01", ('"at_least"', "outside the range [0, 1]")),
    ("at_least  = 0.75", "above     = 1", ('"above"', "outside the range [0, 1]")),
    ("at_least  = 0.75", "below     = 0", ('"below"', "outside the range [0, 1]")),
    ("at_least  = 0.75", "at_most   = -0.1", ('"at_most"', "outside the range [0, 1]")),
    ("at_least  = 0.75", "equals    = 2", ('"equals"', "outside the range [0, 1]")),
    ("at_least  = 0.75", "within    = [0.5, 1.5]", ('"within"', "outside the range [0, 1]")),
    ("at_least  = 0.75", "within    = [0.9, 0.5]", ("must not exceed",)),
    ("at_least  = 0.75", "within    = [0.5]", ("within",)),
    ("at_least  = 0.75", "at_least  = 0", ('"at_least"', "demands nothing")),
    ("at_least  = 0.75", "at_most   = 1", ('"at_most"', "demands nothing")),
    ("at_least  = 0.75", "within    = [0, 1]", ('"within"', "demands nothing")),
    ("at_least  = 0.75", "at_least  = 0.5", ('"at_least"', "guessing scores 0.5", "demands nothing")),
    ("at_least  = 0.75", "above     = 0.4", ('"above"', "guessing scores 0.5")),
    ("at_least  = 0.75", "at_most   = 0.9", ('"at_most"', "guessing scores 0.5")),
    ("at_least  = 0.75", "within    = [0.4, 0.9]", ('"within"', "guessing scores 0.5")),
    ('beats     = [{ baseline = "majority" }, { baseline = "ngram", margin = 0.06 }]',
     'beats     = [{ baseline = "majority", margin = 1 }]', ('"beats"', "margin 1 is out of reach", "majority")),
    ('data      = "defects"', "data      = 7", ('"requirement.data"',)),
    ('data      = "defects"', "at_most   = 0.9", ("exactly one of at_least", "at_most")),
    ('beats     = [{ baseline = "majority" }, { baseline = "ngram", margin = 0.06 }]',
     'beats     = [{ baseline = "majority", margn = 0.1 }]', ('"requirement.beats.margn"', 'did you mean "margin"?')),
    ('beats     = [{ baseline = "majority" }, { baseline = "ngram", margin = 0.06 }]',
     'beats     = [{ baseline = "majority" }, { baseline = "majority" }]', ("baseline majority stands twice",)),
    ('beats     = [{ baseline = "majority" }, { baseline = "ngram", margin = 0.06 }]',
     'beats     = [{ baseline = "majority", margin = -0.1 }]', ("beats.margin",)),
    ('beats     = [{ baseline = "majority" }, { baseline = "ngram", margin = 0.06 }]',
     'beats     = ["majority"]', ('"requirement.beats"',)),
    ('slices    = ["operator"]', "slices    = [3]", ('"requirement.slices"',)),
    ('slices    = ["operator"]', 'slices    = ["operator", "operator"]', ("column operator stands twice",)),
    ('slices    = ["operator"]', 'slices    = [{ by = "operator", at_lest = 0.5 }]',
     ('"requirement.slices.at_lest"', 'did you mean "at_least"?')),
    ('slices    = ["operator"]', 'slices    = [{ by = "operator", at_least = 1.5 }]', ('"slices"', "outside")),
    ('slices    = ["operator"]', 'slices    = [{ by = "operator", bound = { at_least = 0.5 } }]',
     ('unknown key "bound"',)),
    ('slices    = ["operator"]', 'on        = ["cpu", "gpu"]', ('"bugs.auroc"', 'unknown hardware "gpu"')),
    ('slices    = ["operator"]', "on        = []", ('"on" is empty',)),
    ('slices    = ["operator"]', 'on        = "cpu"', ('"requirement.on"',)),
    ('slices    = ["operator"]', "kind      = 'methodical'", ('"requirement.kind"',)),
    ('slices    = ["operator"]', "goal      = nan", ('"requirement.goal"',)),
    ('"at_most"  = 0.1', '"at_must"  = 0.1', ('"requirement.at_must"', "at_most")),
    ('metric     = "calibration.ece"', 'metric     = "calibration.brier"', ('"ece"', 'no option "bins"')),
    ("minimum_n  = 100", "minimum_n  = 0", ('"requirement.minimum_n"',)),
    ("minimum_n  = 100", "minimum_n  = 100.0", ('"requirement.minimum_n"',)),
    ("minimum_n  = 100", "minimum_n  = true", ('"requirement.minimum_n"',)),
    ("control    = true", 'control    = "yes"', ('"requirement.control"',)),
    ("control    = true", "control    = 1", ('"requirement.control"',)),
    ("[requirement.options]", "[requirement.option]", ('"requirement.option"', 'did you mean "options"?')),
    ("margin = 0.01", "margin = inf", ('"requirement.not_worse.margin"',)),
    ("margin = 0.01", "mergin = 0.01", ('"requirement.not_worse.mergin"', 'did you mean "margin"?')),
    ('than   = "bm25"', 'thn    = "bm25"', ("than",)),
    ('id     = "ece"', 'id     = "eca"', ('no requirement "eca"', 'did you mean "ece"?')),
    ("until  = 2026-12-31", 'until  = "next year"', ('"waiver.until"',)),
    ("until  = 2026-12-31", "until  = 2026-02-30", ("not valid TOML",)),
    ('reason = "calibration comes next"', 'reason = "later"', ('"waiver.reason"',)),
    ('id     = "bugs.f1"', 'id     = "ece"', ('"ece"', "both demanded and dropped")),
    ('reason = "the threshold was set on test data"', "reason = 3", ('"dropped.reason"',)),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "named"), MISTAKES, ids=[after for _, after, _ in MISTAKES])
def test_each_mistake_names_file_line_and_key(tmp_path: Path, before: str, after: str, named: tuple[str, ...]) -> None:
    lines = GOOD.splitlines()
    (number,) = (i for i, line in enumerate(lines) if line == before)
    lines[number] = after
    with pytest.raises(SpecError) as caught:
        load(tmp_path, "\n".join(lines))
    text = str(caught.value)
    place, _, message = text.partition(": ")
    # What contradicts another key of its row is reported at the row: the line of its header or of its id.
    whole_row = (
        "exactly one",
        "stands twice",
        "finite",
        "must not exceed",
        "twice",
        'key "requirement.not_worse.than"',
    )
    if any(word in text for word in whole_row) or "[requirement.option" in after:
        header = max(i for i in range(number + 1) if lines[i].startswith("[")) + 1
        assert place in {f"{tmp_path}/x.toml:{i}" for i in (header, header + 1, number + 1)}
    elif "no option" not in text:
        assert place == f"{tmp_path}/x.toml:{number + 1}"
    for word in named:
        assert word in message


@pytest.mark.parametrize(
    ("metric", "bound", "few", "enough"),
    [
        ("classification.accuracy", "at_least = 0.7", 10, 11),
        ("ranking.mrr", "above = 0.95", 71, 72),
        ("latency.p99_ms", "below = 10", 100, 368),
        ("calibration.brier", "at_most = 0.2", 0, 1),
    ],
)
def test_a_minimum_that_decides_nothing_is_refused(
    tmp_path: Path, metric: str, bound: str, few: int, enough: int
) -> None:
    def text(minimum: int) -> str:
        row = f'[[requirement]]\nid = "row"\nstatement = "Does it well"\nmetric = "{metric}"\n{bound}\n'
        return f'[system]\nname = "s"\ntitle = "t"\ntargets = ["cpu"]\n{row}minimum_n = {minimum}\n'

    load(tmp_path, text(enough))
    if few:
        with pytest.raises(
            SpecError, match=f'x.toml:10: requirement "row": "minimum_n": .*{enough} (items )?are needed'
        ) as e:
            load(tmp_path, text(few))
        assert "decide nothing" in str(e.value)


@pytest.mark.parametrize(
    ("line", "text", "number", "named"),
    [
        ('title   = "A demonstration"', '"system.title" is missing', 2, "title"),
        ('statement = "Attention bias helps"', '"requirement.statement" is missing', 46, "helps"),
        ('id        = "helps"', '"requirement.id" is missing', 46, '"?"'),
        ('than   = "bm25"', '"requirement.not_worse.than" is missing', 42, "ece"),
        ("until  = 2026-12-31", '"waiver.until" is missing', 54, "until"),
    ],
)
def test_a_missing_key_is_named_at_its_table(tmp_path: Path, line: str, text: str, number: int, named: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, GOOD.replace(line, "# gone"))
    assert str(caught.value).startswith(f"{tmp_path}/x.toml:{number}: ")
    assert text in str(caught.value)
    assert named in str(caught.value)


def test_a_method_claim_needs_three_seeds(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r'x\.toml:46: requirement "helps".*seeds >= 3'):
        load(tmp_path, GOOD.replace("seeds     = 3", "seeds     = 2"))
    assert load(tmp_path, GOOD.replace("seeds     = 3", "")).get("helps").seeds == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", 'key "system" is missing'),
        (b"\xff\xfe[system]", "not UTF-8 (byte 0)"),
        (GOOD.encode()[:40] + b"\xe9" + GOOD.encode()[40:], "not UTF-8 (byte 40)"),
        (b"path = 'elsewhere'\n" + GOOD.encode(), 'x.toml:1: unknown key "path"'),
        (b"x = " + b"9" * 5000, "not valid TOML"),
        (b"x = " + b"[" * 20000, "not valid TOML"),
        (b"requirement = 3\n" + GOOD.split("[[requirement]]\nid  ")[0].encode(), '"requirement"'),
        (b"requirement = [1]\n[system]\nname='a'\ntitle='a'\ntargets=['cpu']", 'requirement "?"'),
        (b"system = 3", '"system"'),
        (b"[system]\nname = 'a'\nname = 'b'", "x.toml:3: not valid TOML"),
    ],
)
def test_files_that_are_no_specification(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, content)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/x.toml:")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nothing\.toml: no such file; `assay init`"):
        spec.load(tmp_path / "nothing.toml")
    with pytest.raises(SpecError, match="cannot be read"):
        spec.load(tmp_path)
    with pytest.raises(SpecError, match="no specification"):
        spec.load_all(tmp_path / "nowhere")


def test_a_folder_is_loaded_in_order_and_names_are_unique(tmp_path: Path) -> None:
    for name in ("b", "a"):
        load(tmp_path, GOOD.replace('"demo"', f'"{name}"'), f"{name}.toml")
    assert list(spec.load_all(tmp_path)) == ["a", "b"]
    load(tmp_path, GOOD.replace('"demo"', '"a"'), "c.toml")
    with pytest.raises(SpecError, match=r'c\.toml: system "a" is already specified in .*a\.toml'):
        spec.load_all(tmp_path)


def test_unknown_rows_and_tables_are_named(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    with pytest.raises(SpecError, match=r'no requirement "bugs.auroc1"; did you mean "bugs.auroc"'):
        loaded.get("bugs.auroc1")
    with pytest.raises(SpecError, match=r"no table \[data.defect\]; did you mean"):
        loaded.table("defect", "cpu")


def test_a_profile_overrides_single_keys_of_a_data_table(tmp_path: Path) -> None:
    text = GOOD + "\n[profile.smoke]\n[data.defects.smoke]\npairs = 4\n[data.defects.more]\nx = 1\n"
    loaded = load(tmp_path, text)
    assert loaded.table("defects", "cpu") == {"pairs": 4000, "more": {"x": 1}}
    assert loaded.table("defects", "smoke") == {"pairs": 4, "more": {"x": 1}}
    assert load(tmp_path, GOOD).table("defects", "cpu") == {"pairs": 4000}


def test_a_sketch_has_the_data_of_smoke_but_for_what_it_says_itself(tmp_path: Path) -> None:
    text = GOOD + "\n[data.defects.smoke]\npairs = 4\nseed = 1\n[data.defects.sketch]\npairs = 40\n"
    loaded = load(tmp_path, text)
    assert loaded.table("defects", "sketch") == {"pairs": 40, "seed": 1}
    assert loaded.table("defects", "smoke") == {"pairs": 4, "seed": 1}
    assert loaded.table("defects", "cpu") == {"pairs": 4000}


def test_a_system_that_trains_nothing_has_data_for_a_profile_without_declaring_it(tmp_path: Path) -> None:
    text = '[system]\nname = "t"\ntitle = "t"\ntargets = ["cpu"]\n[data.d]\nn = 9\nsmoke = 1\n[data.d.cpu]\nn = 8\n'
    loaded = load(tmp_path, text)
    assert loaded.table("d", "cpu") == {"n": 8, "smoke": 1}
    assert loaded.table("d", "smoke") == {"n": 9, "smoke": 1}


# ----------------------------------------------------------------------------------------- corruption


def refusal(folder: Path, content: str | bytes) -> str:
    """The SpecError's text; "" when the file loads. Any other exception goes on."""
    try:
        load(folder, content)
    except SpecError as error:
        return str(error)
    return ""


WRONG: dict[type, list[Any]] = {
    str: [3, 0.5, True, ["x"], {"x": 1}, datetime.date(2026, 1, 1)],
    float: ["0.5", True, [0.5], {"x": 1}, "", datetime.date(2026, 1, 1)],
    int: ["5", True, 5.0, 0.5, [5], {"x": 1}],
    bool: ["true", 1, 0, "yes", [True]],
    list: ["x", 3, True, {"x": 1}],
    dict: ["x", 3, True, [1]],
    datetime.date: ["2026-12-31", 3, True, 0.5],
}
FREE = {"hidden", "note", "pairs", "bins"}
"""Keys of profiles, data tables and options: theirs to give a meaning to."""


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place inside a document with what stands there."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*at, key), item
        if isinstance(item, dict | list):
            yield from places(item, (*at, key))


def inlined(raw: dict[str, Any]) -> str:
    """The same document without any header: every table is written inline."""
    return "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in raw.items())


PLACES = [
    (at, type(item), wrong)
    for at, item in places(tomllib.loads(GOOD))
    if FREE.isdisjoint(at)
    for wrong in WRONG[type(item)]
]


@pytest.mark.parametrize("at", sorted({at for at, _, _ in PLACES}, key=str), ids=lambda at: ".".join(map(str, at)))
def test_a_value_of_another_type_is_refused_wherever_it_stands(tmp_path: Path, at: tuple[Any, ...]) -> None:
    """Law: no key is ever converted: "0.5", true and [0.5] are no numbers, 1 is no truth value."""
    for where, _, wrong in PLACES:
        if where != at:
            continue
        raw = deepcopy(tomllib.loads(GOOD))
        parent = raw
        for key in at[:-1]:
            parent = parent[key]
        parent[at[-1]] = wrong
        assert refusal(tmp_path, inlined(raw)).startswith(f"{tmp_path}/x.toml:"), f"{at} = {wrong!r}"


@quick
@given(st.data(), names)
def test_an_unknown_key_is_refused_wherever_it_stands(tmp_path: Path, data: st.DataObject, key: str) -> None:
    """Law: a key that the format does not have is an error in every table save the free ones."""
    raw = tomllib.loads(GOOD)
    tables = [raw, *(item for at, item in places(raw) if isinstance(item, dict) and FREE.isdisjoint(at))]
    free = [raw["profile"], raw["data"], raw["profile"]["cpu"], raw["data"]["defects"]]
    table = data.draw(st.sampled_from([t for t in tables if not any(t is other for other in free)]))
    known = {*Requirement.model_fields, *Bound.model_fields, *Spec.model_fields, "by", "than", "name", "title"}
    known |= {"targets", "train", "load", "serve", "baseline", "relative", "margin", "until", "bins"} - {"bound"}
    if key in known:
        return
    table[key] = 1
    with pytest.raises(SpecError) as caught:
        load(tmp_path, inlined(raw))
    assert key in str(caught.value)


def survives(folder: Path, content: str | bytes) -> None:
    """Loads, or raises a SpecError that names the file; nothing else."""
    text = refusal(folder, content)
    assert not text or text.startswith(f"{folder}/x.toml:")


@quick
@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_arbitrary_text_raises_nothing_but_a_spec_error(tmp_path: Path, text: str) -> None:
    """Law: the loader is total on text, up to SpecError."""
    survives(tmp_path, text.encode(errors="replace"))


@quick
@given(st.binary())
def test_arbitrary_bytes_raise_nothing_but_a_spec_error(tmp_path: Path, content: bytes) -> None:
    """Law: the loader is total on bytes, up to SpecError."""
    survives(tmp_path, content)


snippets = st.sampled_from(
    ["[[requirement]]\n", "[system]\n", "id = 1\n", "= ", '"', "'''", "{", "}", "[", "]", "1e999", "-nan", "\n", "#",
     "9" * 5000, "2026-01-01", "[requirement]\n", "a.b.c = 1\n", "[[system]]\n", "on = []\n", "\x85", "\u2028", "é"]
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 40), snippets | st.text(max_size=3)), max_size=4))
def test_mutilated_files_raise_nothing_but_a_spec_error(tmp_path: Path, cuts: list[tuple[int, int, str]]) -> None:
    """Law: a valid file with spans cut out and other text put in loads or raises a SpecError."""
    text = GOOD
    for start, length, insert in cuts:
        text = text[:start] + insert + text[start + length :]
    survives(tmp_path, text.encode(errors="replace"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
).filter(lambda v: v is not None and "None" not in repr(v))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), values)
def test_any_value_anywhere_raises_nothing_but_a_spec_error(tmp_path: Path, data: st.DataObject, value: Any) -> None:
    """Law: a valid document with any TOML value put in any place loads or raises a SpecError."""
    raw = tomllib.loads(GOOD)
    at = data.draw(st.sampled_from([at for at, _ in places(raw)]))
    parent = raw
    for key in at[:-1]:
        parent = parent[key]
    parent[at[-1]] = value
    survives(tmp_path, inlined(raw).encode(errors="replace"))


comments = st.sampled_from(["# a comment", "", "   ", "# [[requirement]]", "# id = 'x' \"", "\t# it's [a] \u2028 line"])


@quick
@given(st.lists(st.tuples(st.integers(0, 60), comments), max_size=8))
def test_lines_stay_right_whatever_comments_stand_between(tmp_path: Path, inserted: list[tuple[int, str]]) -> None:
    """Law: the line of an error is the line of its key in the file, comments and blank lines counted."""
    lines = GOOD.replace("above     = 0.0", "aboev     = 0.0").splitlines()
    inside = range(lines.index("hidden = ["), lines.index("[data.defects]"))  # the multi-line values stay as they are
    for at, comment in sorted(inserted, reverse=True):
        if at < len(lines) and at not in inside:
            lines.insert(at, comment)
    with pytest.raises(SpecError) as caught:
        load(tmp_path, "\n".join(lines))
    assert str(caught.value).startswith(f"{tmp_path}/x.toml:{lines.index('aboev     = 0.0') + 1}: ")


# --------------------------------------------------------------------------------------------- schema


def test_the_schema_says_what_the_loader_says(tmp_path: Path) -> None:
    """Law: the JSON Schema accepts the valid files and refuses unknown keys, as the loader does."""
    rules = json.loads(schema.text())
    checker = jsonschema.Draft202012Validator(rules)

    def accepted(text: str) -> bool:
        plain = json.loads(json.dumps(tomllib.loads(text), default=str))
        return checker.is_valid(plain)

    assert schema.text() == schema.text()
    for path in [*(ROOT / "spec").glob("*.toml"), *(ROOT / "impl/assay/templates/spec").glob("*.toml")]:
        spec.load(path)
        assert accepted(path.read_text()), path
    assert accepted(GOOD)
    for before, after in [
        ("at_least  = 0.75", "at_lest  = 0.75"),
        ("at_least  = 0.75", 'at_least  = "0.75"'),
        ("at_least  = 0.75", "bound     = { at_least = 0.75 }"),
        ('slices    = ["operator"]', 'on        = ["gpu"]'),
        ('title   = "A demonstration"', ""),
    ]:
        assert not accepted(GOOD.replace(before, after)), after
    assert "path" not in rules["properties"]
