"""Laws of the verdict: PASS is reached only past every way not to pass, and each refusal names its thing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.board import Board, Row, SystemBoard
from assay.evidence import CheckResult, Comparison, Evidence, Hardware, SliceValue
from assay.spec import Beat, Bound, NotWorse, Requirement, Slice
from assay.verdict import Move, Verdict, World, judge

MOVED = Move(field="bound", before=">= 0.9", after=">= 0.7")

# The richest requirement there is: every kind of demand at once.
FULL = Requirement.model_validate(
    {
        "id": "bugs.auroc",
        "kind": "method",
        "statement": "Finds defects in code it never saw",
        "metric": "classification.macro_auroc",
        "at_least": 0.7,
        "beats": [{"baseline": "ngram", "margin": 0.06}, {"baseline": "size"}],
        "not_worse": [{"than": "bm25", "margin": 0.01}],
        "slices": [{"by": "operator", "at_least": 0.5}, "package"],
        "on": ["cpu"],
        "minimum_n": 2000,
        "minimum_groups": 12,
        "seeds": 3,
    }
)


def ahead(by: float = 0.05, value: float | None = 0.6) -> Comparison:
    return Comparison(value=value, difference=by, interval=(by - 0.01, by + 0.01))


def proof(requirement: Requirement, value: float, interval: tuple[float, float] | None, **fields: Any) -> Evidence:
    """Evidence that meets every demand save what `value`, `interval` and `fields` say."""
    row = {
        "system": "graphsage",
        "requirement": requirement.id,
        "target": "cpu",
        "profile": "cpu",
        "outcome": "measured",
        "value": value,
        "interval": interval,
        "n": max(2000, requirement.minimum_n),
        "groups": max(20, requirement.minimum_groups),
        "seeds": tuple(range(requirement.seeds)),
        "baselines": {
            **{beat.baseline: ahead() for beat in requirement.beats},
            **{row.than: ahead() for row in requirement.not_worse},
        },
        "slices": {s.by: {"x": SliceValue(value=value, interval=interval, n=50)} for s in requirement.slices},
        "checks": (CheckResult(name="repeatable", ok=True),),
        "requirement_digest": requirement.digest,
        "code": {"graphsage.model": "c1", "graphsage.train": "c2"},
        "hardware": Hardware(kind="cpu", model="EPYC"),
        "measured_at": 1.0,
    }
    return Evidence(**{**row, **fields})


def now(requirement: Requirement, evidence: Evidence, **fields: Any) -> World:
    """A world that agrees with the evidence in everything save what `fields` say."""
    row = {
        "target": "cpu",
        "requirement_digest": requirement.digest,
        "hardware_model": "EPYC",
        "code": dict(evidence.code),
    }
    return World(**{**row, **fields})


GOOD = proof(FULL, 0.78, (0.75, 0.81))


def full(world: dict[str, Any] | None = None, **fields: Any) -> Verdict:
    """The verdict on FULL with some fields of the good evidence, or of the world, spoilt."""
    evidence = GOOD.model_copy(update=fields)
    return judge(FULL, evidence, now(FULL, GOOD, **(world or {})))


# ------------------------------------------------------------------------------------ worked examples


def test_good_evidence_passes_and_the_reason_says_by_what() -> None:
    verdict = full()
    assert (verdict.kind, verdict.passed) == ("PASS", True)
    for part in ("[0.75, 0.81] >= 0.7", "beats ngram by 0.06, size", "not worse than bm25", "every slice by operator"):
        assert part in verdict.reason
    assert "None" not in verdict.reason


def baselines(**changed: Comparison | None) -> dict[str, Comparison]:
    table: dict[str, Comparison | None] = {**GOOD.baselines, **changed}
    return {name: other for name, other in table.items() if other is not None}


def operator(**parts: SliceValue) -> dict[str, dict[str, SliceValue]]:
    return {**GOOD.slices, "operator": parts}


SPOILT: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    # name: (verdict, what the reason must name, fields of the evidence, fields of the world)
    "tampered": ("VOID", "row 7", {}, {"tampered": "row 7 was edited"}),
    "check": ("VOID", "leak: 3 rows", {"checks": (CheckResult(name="leak", ok=False, detail="3 rows"),)}, {}),
    "smoke": ("UNPROVEN", "smoke profile, which is never evidence", {"profile": "smoke"}, {}),
    "sketch": ("UNPROVEN", "sketch profile, which is never evidence", {"profile": "sketch"}, {}),
    "other profile": ("UNPROVEN", "profile overtrained", {"profile": "overtrained"}, {}),
    "not learnt": ("VOID", "untrained weights score 0.8", {"controls": {"untrained weights": ahead(-0.02, 0.8)}}, {}),
    "control ties": ("VOID", "weights-matter", {"controls": {"untrained weights": ahead(0.0, None)}}, {}),
    "control blank": ("UNPROVEN", "control untrained", {"controls": {"untrained weights": Comparison(value=None)}}, {}),
    "other row": ("UNPROVEN", "bugs.recall", {"requirement": "bugs.recall"}, {}),
    "other target": ("UNPROVEN", "measured on cuda, claimed on cpu", {"target": "cuda"}, {}),
    "requirement changed": ("UNPROVEN", "requirement itself changed", {}, {"requirement_digest": "other"}),
    "code changed": ("UNPROVEN", "graphsage.model", {}, {"code": {"graphsage.model": "c9", "graphsage.train": "c2"}}),
    "code gone": ("UNPROVEN", "graphsage.train", {}, {"code": {"graphsage.model": "c1", "graphsage.train": None}}),
    "code unknown": ("UNPROVEN", "graphsage.train", {}, {"code": {"graphsage.model": "c1"}}),
    "data changed": ("UNPROVEN", "numpy/core.py", {}, {"changed_data": ("numpy/core.py",)}),
    "weights changed": ("UNPROVEN", "no longer in the store", {}, {"changed_weights": "no longer in the store"}),
    "other processor": ("UNPROVEN", "timed on EPYC, this is Xeon", {"timing": True}, {"hardware_model": "Xeon"}),
    "skipped": ("UNPROVEN", "skipped: no GPU", {"outcome": "skipped", "reason": "no GPU"}, {}),
    "error": ("UNPROVEN", "error: no reason given", {"outcome": "error"}, {}),
    "no value": ("UNPROVEN", "None", {"value": None}, {}),
    "NaN": ("UNPROVEN", "nan", {"value": math.nan}, {}),
    "infinite": ("UNPROVEN", "inf", {"value": math.inf}, {}),
    "no items": ("UNPROVEN", "no items", {"n": 0}, {}),
    "few items": ("UNPROVEN", "1,999 items measured, the spec demands 2,000", {"n": 1999}, {}),
    "few groups": ("UNPROVEN", "11 groups measured, the spec demands 12", {"groups": 11}, {}),
    "few seeds": ("UNPROVEN", "2 seeds measured, the spec demands 3", {"seeds": (0, 1)}, {}),
    "one seed thrice": ("UNPROVEN", "1 seeds measured, the spec demands 3", {"seeds": (7, 7, 7)}, {}),
    "baseline missing": ("UNPROVEN", "ngram", {"baselines": baselines(ngram=None)}, {}),
    "not_worse missing": ("UNPROVEN", "bm25", {"baselines": baselines(bm25=None)}, {}),
    "baseline blank": ("UNPROVEN", "ngram", {"baselines": baselines(ngram=Comparison(value=None))}, {}),
    "baseline NaN": ("UNPROVEN", "size", {"baselines": baselines(size=ahead(math.nan))}, {}),
    "baseline wins": ("FAIL", "ngram by 0.06 (0.6)", {"baselines": baselines(ngram=ahead(-0.01))}, {}),
    "baseline ties": ("FAIL", "size", {"baselines": baselines(size=ahead(0.0))}, {}),
    "lost, no value": ("FAIL", "size (no value)", {"baselines": baselines(size=ahead(-0.1, None))}, {}),
    "worse": ("FAIL", "worse than bm25", {"baselines": baselines(bm25=ahead(-0.02))}, {}),
    "worse, no value": ("FAIL", "bm25 (no value)", {"baselines": baselines(bm25=ahead(-0.02, None))}, {}),
    "hardly ahead": ("UNPROVEN", "ahead of size", {"baselines": baselines(size=ahead(0.005))}, {}),
    "no paired interval": (
        "UNPROVEN",
        "ahead of ngram",
        {"baselines": baselines(ngram=Comparison(value=0.6, difference=0.1))},
        {},
    ),
    "half a paired interval": (
        "UNPROVEN",
        "ahead of ngram",
        {"baselines": baselines(ngram=Comparison(value=0.6, difference=0.1, interval=(0.05, math.nan)))},
        {},
    ),
    "slice missing": ("UNPROVEN", "package", {"slices": {"operator": GOOD.slices["operator"]}}, {}),
    "slice empty": ("UNPROVEN", "operator", {"slices": operator()}, {}),
    "slice blank": ("UNPROVEN", "operator swap", {"slices": operator(swap=SliceValue(value=None, n=2))}, {}),
    "slice NaN": ("UNPROVEN", "operator swap", {"slices": operator(swap=SliceValue(value=math.nan, n=2))}, {}),
    "slice misses": ("FAIL", "swap 0.49", {"slices": operator(swap=SliceValue(value=0.49, n=20))}, {}),
    "slice of a few": ("UNPROVEN", "operator swap (2)", {"slices": operator(swap=SliceValue(value=0.99, n=2))}, {}),
    "misses": ("FAIL", "0.69 [0.66, 0.72] misses >= 0.7", {"value": 0.69, "interval": (0.66, 0.72)}, {}),
    "undecided": ("UNPROVEN", "[0.66, 0.8]", {"interval": (0.66, 0.80)}, {}),
    "no interval": ("UNPROVEN", "too few groups", {"interval": None, "method": "too few groups"}, {}),
    "NaN interval": ("UNPROVEN", "no interval", {"interval": (math.nan, math.nan)}, {}),
    "half an interval": ("UNPROVEN", "no interval", {"interval": (0.75, math.nan)}, {}),
    "interval upside down": ("UNPROVEN", "no interval", {"interval": (0.81, 0.75)}, {}),
    "needed": ("UNPROVEN", "1,240 more items", {"interval": (0.66, 0.80), "needed": "1,240 more items"}, {}),
    "goalpost moved": ("UNPROVEN", "goalpost moved >= 0.9 -> >= 0.7", {}, {"moves": (MOVED,)}),
}


@pytest.mark.parametrize("name", SPOILT)
def test_each_way_not_to_pass_has_its_verdict_and_names_its_thing(name: str) -> None:
    kind, named, fields, world = SPOILT[name]
    verdict = full(world, **fields)
    assert verdict.kind == kind
    assert named in verdict.reason


def test_no_evidence_is_unproven_and_says_what_to_run() -> None:
    world = now(FULL, GOOD)
    assert judge(FULL, None, world) == Verdict(
        kind="UNPROVEN", reason="method claim: needs 3 seeds; run `assay verify --full`"
    )
    artifact = FULL.model_copy(update={"kind": "artifact"})
    assert judge(artifact, None, world).kind == "UNPROVEN"
    assert "assay verify" in judge(artifact, None, world).reason


@pytest.mark.parametrize(
    ("bound", "value", "interval", "kind"),
    [
        ({"at_most": 10}, 8.0, (7.0, 9.0), "PASS"),
        ({"at_most": 10}, 8.0, (7.0, 10.0), "PASS"),
        ({"below": 10}, 8.0, (7.0, 10.0), "UNPROVEN"),
        ({"at_most": 10}, 9.5, (8.0, 11.0), "UNPROVEN"),
        ({"at_most": 10}, 10.5, (9.0, 12.0), "FAIL"),
        ({"at_most": 10}, 12.0, (11.0, 13.0), "FAIL"),
        ({"below": 10}, 10.0, (9.0, 11.0), "FAIL"),
        ({"above": 0}, 0.0, (0.0, 0.0), "FAIL"),
        ({"above": 0}, 0.1, (0.0, 0.2), "UNPROVEN"),
        ({"within": [0.4, 0.6]}, 0.5, (0.45, 0.55), "PASS"),
        ({"within": [0.4, 0.6]}, 0.5, (0.4, 0.6), "PASS"),
        ({"within": [0.4, 0.6]}, 0.5, (0.39, 0.6), "UNPROVEN"),
        ({"within": [0.4, 0.6]}, 0.5, (0.4, 0.61), "UNPROVEN"),
        ({"within": [0.4, 0.6]}, 0.7, (0.55, 0.8), "FAIL"),
        ({"equals": 8000}, 8000.0, (8000.0, 8000.0), "PASS"),
        ({"equals": 8000}, 7999.0, (7999.0, 7999.0), "FAIL"),
        ({"equals": 8000}, 8000.0, (7999.0, 8001.0), "UNPROVEN"),
        ({"equals": 0}, 0.0, None, "UNPROVEN"),
    ],
)
def test_bounds_by_hand(bound: dict[str, Any], value: float, interval: tuple[float, float] | None, kind: str) -> None:
    requirement = Requirement.model_validate({"id": "a", "statement": "Worked example", "metric": "m", **bound})
    evidence = proof(requirement, value, interval)
    assert judge(requirement, evidence, now(requirement, evidence)).kind == kind


def test_a_row_without_demands_is_reported_and_does_not_gate() -> None:
    requirement = Requirement(id="a", statement="Only reported", metric="m")
    evidence = proof(requirement, 0.5, None)
    assert not requirement.gates
    verdict = judge(requirement, evidence, now(requirement, evidence))
    assert verdict == Verdict(kind="PASS", reason="reported; never gates")


def test_a_bounded_slice_gates_although_the_row_has_no_bound() -> None:
    requirement = Requirement.model_validate(
        {"id": "a", "statement": "Only slices", "metric": "m", "slices": [{"by": "package", "at_least": 0.5}]}
    )
    assert requirement.gates
    evidence = proof(requirement, 0.4, None)
    assert judge(requirement, evidence, now(requirement, evidence)).kind == "FAIL"


def test_an_artifact_row_that_demands_seeds_gets_them_too() -> None:
    requirement = Requirement.model_validate({"id": "a", "statement": "Two seeds", "metric": "m", "seeds": 2})
    evidence = proof(requirement, 0.5, None, seeds=(0,))
    verdict = judge(requirement, evidence, now(requirement, evidence))
    assert (verdict.kind, "1 seeds" in verdict.reason) == ("UNPROVEN", True)


@pytest.mark.parametrize(
    ("reason", "explains"),
    [
        ("", False),
        (" " * 40, False),
        ("0.7", False),
        (f"0.7{' ' * 40}", False),
        ("the harder half of the data came in", False),
        ("lowered to 0.75: the harder half of the data came in", False),
        ("lowered to 10.7: the harder half of the data came in", False),
        ("lowered to 0.7: the harder half of the data came in", True),
        ("the harder half of the data came in, hence 0.7.", True),
    ],
)
def test_only_a_reason_that_names_the_new_value_explains_a_moved_goalpost(reason: str, explains: bool) -> None:
    requirement = FULL.model_copy(update={"reason": reason})
    verdict = judge(requirement, GOOD, now(FULL, GOOD, moves=(MOVED,)))
    assert verdict.kind == ("PASS" if explains else "UNPROVEN")
    later = MOVED.model_copy(update={"after": ">= 0.6"})
    assert judge(requirement, GOOD, now(FULL, GOOD, moves=(MOVED, later))).kind == "UNPROVEN"


@pytest.mark.parametrize(
    ("field", "before", "after", "reason", "explains"),
    [
        ("bound", "== 1,500,000", "== 1,250,000", "the smaller model has 1,250,000", True),
        ("bound", "== 1,500,000", "== 1,250,000", "the smaller model has 1,000,000", False),
        ("bound", "in [0.4, 0.6]", "in [0.3, 0.6]", "up to 0.6 as it always was", False),
        ("bound", "in [0.4, 0.6]", "in [0.3, 0.6]", "as low as 0.3 on the new data", True),
        ("bound", ">= 0.5", "none", "none is demanded until the data is here", True),
        ("metric", "ranking.mrr", "ranking.ndcg_at_k", "ndcg_at_k is what others report", True),
        ("metric", "ranking.mrr", "ranking.ndcg_at_k", "mrr is what nobody reports", False),
        ("on", "cpu, cuda", "without cuda", "cuda is not what it is served on", True),
        ("minimum_n", "1000", "164", "HumanEval has 164 problems", True),
        ("minimum_n", "1000", "100", "HumanEval has 164 problems", False),
        ("beats b", "[0.05, 0.0]", "[0.0, 0.0]", "a margin of 0.0 was all we found", True),
        ("options", '{"k": 5}', "none", "the default of five is what none changes", True),
    ],
)
def test_reasons_and_moves(field: str, before: str, after: str, reason: str, explains: bool) -> None:
    assert Move(field=field, before=before, after=after).explained_by(reason) == explains


def test_a_long_list_of_changed_modules_is_cut_and_counted() -> None:
    code = {f"m{i}": "old" for i in range(6)}
    verdict = full({"code": dict.fromkeys(code, "new")}, code=code)
    assert verdict.reason.endswith("m0, m1, m2 and 3 more")
    few = dict.fromkeys(["m0", "m1", "m2"], "old")
    assert full({"code": dict.fromkeys(few, "new")}, code=few).reason.endswith("m0, m1, m2")


# ------------------------------------------------------------------------------------------------ laws

numbers = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])
anything = st.floats() | st.sampled_from([0.0, 0.5, 0.7, 1.0, math.nan, math.inf])
maybe = st.none() | anything
pairs = st.none() | st.tuples(anything, anything)
names = st.sampled_from(["ngram", "size", "bm25", "operator", "package", "other"])

bounds = st.one_of(
    st.sampled_from(["at_least", "at_most", "above", "below", "equals"]).flatmap(
        lambda key: numbers.map(lambda x: Bound(**{key: x}))
    ),
    st.tuples(numbers, numbers).map(lambda two: Bound(within=(min(two), max(two)))),
)


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    beaten = draw(st.lists(st.sampled_from(["ngram", "size"]), unique=True))
    return Requirement(
        id="bugs.auroc",
        kind="artifact",
        statement="Finds defects in code it never saw",
        metric="m",
        bound=draw(st.none() | bounds),
        beats=tuple(Beat(baseline=name) for name in beaten),
        not_worse=tuple(NotWorse(than=name) for name in draw(st.lists(st.just("bm25"), max_size=1))),
        slices=tuple(
            Slice(by=name, bound=draw(st.none() | bounds))
            for name in draw(st.lists(st.sampled_from(["operator", "package"]), unique=True))
        ),
        minimum_n=draw(st.integers(1, 5)),
        minimum_groups=draw(st.integers(1, 3)),
        seeds=draw(st.integers(1, 3)),
        reason=draw(st.sampled_from(["", "0.7", "0.7 is what the new data allows"])),
    )


comparisons = st.builds(Comparison, value=maybe, difference=maybe, interval=pairs)
slice_values = st.builds(SliceValue, value=maybe, interval=pairs, n=st.integers(0, 9))


@st.composite
def evidences(draw: st.DrawFn, requirement: Requirement) -> Evidence:
    """Anything that can stand in a ledger; mostly close to the requirement, so that PASS is within reach."""
    usual: dict[str, Any] = {
        "value": st.just(draw(numbers)) | maybe,
        "interval": pairs,
        "outcome": st.sampled_from(["measured", "measured", "measured", "skipped", "error"]),
        "profile": st.sampled_from(["cuda", "smoke"]),
        "controls": st.dictionaries(names, comparisons, max_size=1),
        "target": st.sampled_from(["cpu", "cpu", "cuda"]),
        "n": st.integers(-1, 9),
        "groups": st.integers(-1, 5),
        "seeds": st.lists(st.integers(0, 2)).map(tuple),
        "baselines": st.dictionaries(names, comparisons),
        "slices": st.dictionaries(names, st.dictionaries(names, slice_values)),
        "checks": st.lists(st.builds(CheckResult, name=names, ok=st.booleans(), detail=names)).map(tuple),
        "code": st.dictionaries(names, names),
        "timing": st.booleans(),
        "requirement_digest": st.sampled_from([requirement.digest, "other"]),
        "reason": names,
        "needed": names,
        "method": names,
    }
    start = draw(numbers)
    good = proof(requirement, start, (start, start))
    spoilt = draw(st.sets(st.sampled_from(sorted(usual)), max_size=3))
    return good.model_copy(update={name: draw(usual[name]) for name in sorted(spoilt)})


@st.composite
def cases(draw: st.DrawFn) -> tuple[Requirement, Evidence, World]:
    requirement = draw(requirements())
    evidence = draw(evidences(requirement))
    usual: dict[str, Any] = {
        "code": st.dictionaries(names, st.none() | names),
        "hardware_model": st.just("Xeon"),
        "changed_data": st.just(("numpy/core.py",)),
        "changed_weights": names,
        "tampered": names,
        "moves": st.just((MOVED,)),
    }
    spoilt = draw(st.sets(st.sampled_from(sorted(usual)), max_size=1))
    world = now(requirement, evidence, **{name: draw(usual[name]) for name in sorted(spoilt)})
    return requirement, evidence, world


def holds(bound: Bound, low: float, high: float) -> bool:
    """The meaning of a bound, written a second time."""
    sides = {
        "at_least": lambda x: low >= x,
        "above": lambda x: low > x,
        "at_most": lambda x: high <= x,
        "below": lambda x: high < x,
        "equals": lambda x: low == x == high,
        "within": lambda x: low >= x[0] and high <= x[1],
    }
    ((name, limit),) = bound.given().items()
    return sides[name](limit)


def may_pass(requirement: Requirement, evidence: Evidence, world: World) -> bool:
    """The constitution's conditions for PASS, each on its own."""
    value, interval, bound = evidence.value, evidence.interval, requirement.bound
    rivals = [b.baseline for b in requirement.beats] + [r.than for r in requirement.not_worse]
    sides = [evidence.baselines.get(name) for name in rivals]
    conditions: list[Callable[[], Any]] = [
        lambda: evidence.outcome == "measured" and evidence.profile == evidence.target == world.target,
        lambda: evidence.requirement_digest == world.requirement_digest,
        lambda: all(world.code.get(name) == digest for name, digest in evidence.code.items()),
        lambda: not (world.changed_data or world.changed_weights or world.tampered),
        lambda: not evidence.timing or evidence.hardware.model == world.hardware_model,
        lambda: all(check.ok for check in evidence.checks),
        lambda: value is not None and math.isfinite(value),
        lambda: evidence.n >= requirement.minimum_n and evidence.groups >= requirement.minimum_groups,
        lambda: requirement.seeds == 1 or len(set(evidence.seeds)) >= requirement.seeds,
        lambda: bound is None or (holds(bound, value, value) and interval and holds(bound, *interval)),
        lambda: bound is None or interval[0] <= interval[1],
        lambda: all(side and side.difference > 0 and 0 < side.interval[0] <= side.interval[1] for side in sides),
        lambda: all(evidence.slices.get(rule.by) for rule in requirement.slices),
        lambda: all(
            holds(rule.bound, part.value, part.value)
            for rule in requirement.slices
            if rule.bound
            for part in evidence.slices[rule.by].values()
        ),
        lambda: all(c.difference > 0 and 0 < c.interval[0] <= c.interval[1] for c in evidence.controls.values()),
        lambda: not world.moves or requirement.reason.startswith("0.7 is"),
    ]
    try:
        return all(condition() for condition in conditions)
    except (TypeError, KeyError):  # something that has to be a number is not there
        return False


@settings(max_examples=300, deadline=None)
@given(cases())
def test_total_and_sound(case: tuple[Requirement, Evidence, World]) -> None:
    """Law: judge never raises, always gives a reason, and says PASS exactly when every condition is met."""
    verdict = judge(*case)
    assert verdict.reason.strip()
    assert verdict.passed == may_pass(*case)


@settings(max_examples=50, deadline=None)
@given(requirements(), cases())
def test_no_evidence_never_passes(requirement: Requirement, case: tuple[Requirement, Evidence, World]) -> None:
    """Law: without evidence the verdict is UNPROVEN whatever the world."""
    assert judge(requirement, None, case[2]).kind == "UNPROVEN"


gains = st.floats(0, 0.5)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(["at_least", "above", "at_most", "below"]))
def test_better_evidence_never_turns_pass_into_worse(data: st.DataObject, key: str) -> None:
    """Law (monotone): value, interval and differences all moved for the better keep a PASS a PASS."""
    sign = 1 if key in ("at_least", "above") else -1
    limit = data.draw(numbers)
    requirement = data.draw(requirements()).model_copy(
        update={"bound": Bound(**{key: limit}), "slices": (Slice(by="operator", bound=Bound(**{key: limit})),)}
    )
    value = data.draw(numbers)
    low, high = value - data.draw(gains), value + data.draw(gains)
    worse = proof(requirement, value, (low, high))
    worse = worse.model_copy(
        update={
            "baselines": {
                name: Comparison(value=0.5, difference=d, interval=(d - data.draw(gains), d + data.draw(gains)))
                for name in worse.baselines
                for d in [data.draw(st.floats(-0.2, 0.6))]
            }
        }
    )
    up = sign * data.draw(gains)
    better = worse.model_copy(
        update={
            "value": value + up,
            "interval": (low + up, high + up),
            "baselines": {
                name: Comparison(
                    value=other.value,
                    difference=other.difference + rise,
                    interval=(other.interval[0] + rise, other.interval[1] + rise),
                )
                for name, other in worse.baselines.items()
                for rise in [data.draw(gains)]
                if other.difference is not None and other.interval is not None
            },
            "slices": {"operator": {"x": SliceValue(value=value + up, n=50)}},
        }
    )
    before = judge(requirement, worse, now(requirement, worse))
    if before.passed:
        assert judge(requirement, better, now(requirement, better)).passed


@settings(max_examples=100, deadline=None)
@given(cases())
def test_a_goalpost_moved_without_reason_is_never_pass(case: tuple[Requirement, Evidence, World]) -> None:
    """Law: with a move and no written reason no evidence whatever passes."""
    requirement, evidence, world = case
    silent = requirement.model_copy(update={"reason": ""})
    assert not judge(silent, evidence, world.model_copy(update={"moves": (MOVED,)})).passed


# ----------------------------------------------------------------------------------------------- board


def test_the_json_of_a_board_is_its_contract() -> None:
    """A worked example of every field of `assay status --json`."""
    evidence = GOOD.model_copy(update={"chance": 0.5, "ceiling": 1.0, "weights": "9f2c"})
    row = Row(
        requirement=FULL.model_copy(update={"goal": 0.8, "origin": "user"}), verdict=full(), evidence=evidence,
        moves=(MOVED,), waiver="waived, until 2026-12-31: soon", attested="by CI", age_s=2.5,
    )  # fmt: skip
    blank = Row(
        requirement=Requirement(id="b", statement="Only reported", metric="m"),
        verdict=judge(FULL, None, now(FULL, GOOD)),
    )
    board = SystemBoard(name="s", title="S", target="cpu", rows=(row, blank), dropped=("c: why",), problems=("p",))
    (system,) = json.loads(json.dumps(Board(systems=(board,)).as_json()))["systems"]
    first, second = system.pop("requirements")
    assert system == {
        "name": "s", "title": "S", "target": "cpu", "done": False, "problems": ["p"], "dropped": ["c: why"],
            "moved": [], "attested": [],
    }  # fmt: skip
    rival = {"value": 0.6, "difference": [pytest.approx(0.04), pytest.approx(0.06)], "beaten": True}
    part = {"x": {"value": 0.78, "interval": [0.75, 0.81], "n": 50}}
    assert first == {
        "id": "bugs.auroc", "kind": "method", "origin": "user", "statement": "Finds defects in code it never saw",
        "metric": "classification.macro_auroc", "gates": True, "verdict": "PASS", "value": 0.78,
        "interval": [0.75, 0.81], "bound": {"at_least": 0.7}, "goal": 0.8, "n": 2000, "groups": 20, "seeds": [0, 1, 2],
        "chance": 0.5, "ceiling": 1.0, "baselines": {"ngram": rival, "size": rival, "bm25": rival}, "controls": {},
        "slices": {"operator": part, "package": part},
        "hardware": {"kind": "cpu", "model": "EPYC", "cores": 0, "memory_gib": 0.0, "platform": ""},
        "weights": "9f2c", "reason": row.verdict.reason, "goalpost": ["goalpost moved >= 0.9 -> >= 0.7"],
        "waiver": "waived, until 2026-12-31: soon", "attested": "by CI", "age_s": 2.5,
    }  # fmt: skip
    assert second.keys() == first.keys()
    assert {key: value for key, value in second.items() if value not in (None, [], {}, 0)} == {
        "id": "b", "kind": "artifact", "origin": "assay", "statement": "Only reported", "metric": "m",
        "verdict": "UNPROVEN", "reason": blank.verdict.reason,
    }  # fmt: skip
    assert (second["gates"], second["n"], second["seeds"], second["baselines"]) == (False, 0, [], {})


@settings(max_examples=50, deadline=None)
@given(cases())
def test_any_board_is_json(case: tuple[Requirement, Evidence, World]) -> None:
    """Law: whatever was measured, the board is JSON that any reader can read: no NaN, no Infinity."""
    row = Row(requirement=case[0], verdict=judge(*case), evidence=case[1])
    board = Board(systems=(SystemBoard(name="s", title="S", target="cpu", rows=(row,)),))
    assert json.loads(json.dumps(board.as_json(), allow_nan=False)) == board.as_json()


rows = st.builds(
    lambda kind, bound, claim, origin, moves, reason: Row(
        requirement=Requirement(
            id="a", statement="A row of a board", metric="m", kind=claim, origin=origin, bound=bound, reason=reason,
            seeds=3,
        ),
        verdict=Verdict(kind=kind, reason="r"),
        moves=moves,
    ),
    st.sampled_from(["PASS", "FAIL", "UNPROVEN", "VOID"]),
    st.none() | st.just(Bound(at_least=0.5)),
    st.sampled_from(["artifact", "method"]),
    st.sampled_from(["user", "assay"]),
    st.sampled_from([(), (MOVED,)]),
    st.sampled_from(["", "0.7 is what the new data allows"]),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, max_size=4), st.sampled_from([(), ("the ledger is broken",)]))
def test_done_needs_every_gating_row(found: list[Row], problems: tuple[str, ...]) -> None:
    """Law: DONE needs a gating row and all of them PASS; a problem, or a move without a reason, taints the board."""
    board = SystemBoard(name="s", title="S", target="cpu", rows=tuple(found), problems=problems)
    must = [
        row
        for row in found
        if row.requirement.bound is not None
        and (row.requirement.kind == "artifact" or row.requirement.origin == "user")
    ]
    silent = [row for row in found if row.moves and not row.requirement.reason]
    if board.done:
        assert must or silent
        assert all(row.kind == "PASS" for row in [*must, *silent])
        assert not problems
    elif must and not problems and not silent:
        assert any(row.kind != "PASS" for row in must)
    assert sum(board.counts().values()) == len(found)
    assert Board(systems=(board,)).done == board.done
    assert not Board(systems=()).done
