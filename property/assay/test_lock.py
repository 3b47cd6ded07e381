"""Laws of the goalposts: what is looser than its lock moved, and the lock itself is only ever tightened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from assay import lock
from assay.errors import SpecError
from assay.spec import Beat, Bound, Dropped, NotWorse, Requirement, Slice, Spec, System

GRID = [x / 4 for x in range(5)]
SAMPLES = [x / 8 for x in range(-2, 11)]  # between two neighbours of the grid lies one: sampling decides exactly

levels = st.sampled_from(GRID)
bounds = st.one_of(
    *(levels.map(lambda x, key=key: Bound(**{key: x})) for key in ("at_least", "at_most", "above", "below", "equals")),
    st.tuples(levels, levels).map(lambda two: Bound(within=(min(two), max(two)))),
)
targets = st.sets(st.sampled_from(["cpu", "cuda", "mps"]), min_size=1).map(lambda s: tuple(sorted(s)))


@st.composite
def requirements(draw: st.DrawFn, name: str = "a") -> Requirement:
    """Few values for each field, so that looser, stricter and equal pairs are all common."""
    margins = st.sampled_from([0.0, 0.1])
    fields = {
        "bound": st.none() | bounds,
        "metric": st.sampled_from(["m", "n"]),
        "options": st.sampled_from([{}, {"k": 5}]),
        "origin": st.sampled_from(["user", "assay"]),
        "data": st.sampled_from(["", "heldout"]),
        "split": st.sampled_from(["", "by-package"]),
        "on": targets,
        "beats": st.just(
            tuple(
                Beat(baseline=b, relative=draw(margins), margin=draw(margins))
                for b in draw(st.lists(st.sampled_from(["b", "c"]), unique=True))
            )
        ),
        "not_worse": st.just(tuple(NotWorse(than="d", margin=draw(margins)) for _ in range(draw(st.integers(0, 1))))),
        "slices": st.just(tuple(Slice(by="s", bound=draw(st.none() | bounds)) for _ in range(draw(st.integers(0, 1))))),
        "minimum_n": st.integers(1, 2),
        "minimum_groups": st.integers(1, 2),
        "seeds": st.integers(3, 4),
        "kind": st.sampled_from(["artifact", "method"]),
        "control": st.booleans(),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(fields)), max_size=4))
    # What is not drawn is the same in every requirement: most pairs differ in a few fields only.
    usual: dict[str, Any] = {"bound": Bound(at_least=0.5), "metric": "m", "on": ("cpu",), "seeds": 3}
    return Requirement(
        id=name,
        statement=draw(st.sampled_from(["Something holds", "Said in other words"])),
        **{**usual, **{key: draw(fields[key]) for key in sorted(chosen)}},
    )


def accepted(bound: Bound | None) -> set[float]:
    return {x for x in SAMPLES if bound is None or bound.holds(x)}


def looser(now: Requirement, before: Requirement) -> bool:
    """Whether something that `before` refused, or did not allow, could pass `now`: written from its meaning."""
    beats = {b.baseline: b for b in now.beats}
    spared = {row.than: row.margin for row in now.not_worse}
    cut = {s.by: s.bound for s in now.slices}
    return (
        not accepted(now.bound) <= accepted(before.bound)
        or any(getattr(now, key) != getattr(before, key) for key in ("metric", "options", "kind", "data", "split"))
        or not all(
            b.baseline in beats and beats[b.baseline].relative >= b.relative and beats[b.baseline].margin >= b.margin
            for b in before.beats
        )
        or not all(row.than in spared and spared[row.than] <= row.margin for row in before.not_worse)
        or not all(s.by in cut and accepted(cut[s.by]) <= accepted(s.bound) for s in before.slices)
        or any(getattr(now, key) < getattr(before, key) for key in ("minimum_n", "minimum_groups", "seeds"))
        or before.control > now.control
        or (before.origin == "user" and now.origin != "user")
        or not set(before.on) <= set(now.on)
    )


@settings(max_examples=300, deadline=None)
@given(requirements(), requirements())
@example(
    Requirement(id="a", statement="Something holds", metric="m"),
    Requirement(id="a", statement="Something holds", metric="m", bound=Bound(at_least=0.5)),
)
def test_something_moved_exactly_when_the_requirement_is_looser(now: Requirement, before: Requirement) -> None:
    """Law: moves(now, entry(before)) is empty iff now is nowhere looser than, or other than, before."""
    assert bool(lock.moves(now, lock.entry(before))) == looser(now, before)


@settings(max_examples=50, deadline=None)
@given(requirements())
def test_nothing_moved_against_itself_or_against_no_lock(requirement: Requirement) -> None:
    """Law: a requirement is not looser than its own entry, also when that went through JSON; wording is free."""
    entry = json.loads(json.dumps(lock.entry(requirement)))
    assert lock.moves(requirement, entry) == ()
    assert lock.moves(requirement.model_copy(update={"statement": "Said in a third way", "goal": 1.0}), entry) == ()
    assert lock.moves(requirement, None) == ()


def test_each_field_that_moves_is_named_with_before_and_after() -> None:
    """A worked example: everything about one requirement is loosened, and each loosening is told."""
    strict = Requirement.model_validate(
        {"id": "a", "kind": "method", "statement": "Something holds", "metric": "ranking.mrr", "options": {"k": 5},
         "at_least": 0.9, "data": "heldout", "split": "by-package", "on": ["cpu", "cuda"], "origin": "user",
         "beats": [{"baseline": "bm25", "relative": 0.05}, {"baseline": "tfidf"}],
         "not_worse": [{"than": "splade", "margin": 0.01}], "slices": ["package", {"by": "length", "at_least": 0.5}],
         "minimum_n": 1000, "minimum_groups": 12, "seeds": 5}
    )  # fmt: skip
    loose = Requirement.model_validate(
        {"id": "a", "statement": "Something holds", "metric": "ranking.hits_at_k", "at_least": 0.85, "on": ["cpu"],
         "beats": [{"baseline": "bm25"}], "not_worse": [{"than": "splade", "margin": 0.02}], "slices": ["length"],
         "minimum_n": 10, "control": False}
    )  # fmt: skip
    told = [str(move) for move in lock.moves(loose, lock.entry(strict))]
    assert told == [
        "goalpost moved >= 0.9 -> >= 0.85",
        "goalpost moved metric ranking.mrr -> ranking.hits_at_k",
        'goalpost moved options {"k": 5} -> none',
        "goalpost moved kind method -> artifact",
        "goalpost moved data heldout -> none",
        "goalpost moved split by-package -> none",
        "goalpost moved beats bm25 by more than 5 % -> by more than 0",
        "goalpost moved beats tfidf by more than 0 -> none",
        "goalpost moved not worse than splade 0.01 -> 0.02",
        "goalpost moved slice package none -> none",
        'goalpost moved slice length {"at_least": 0.5} -> none',
        "goalpost moved minimum_n 1000 -> 10",
        "goalpost moved minimum_groups 12 -> 1",
        "goalpost moved seeds 5 -> 1",
        "goalpost moved origin user -> assay",
        "goalpost moved control untrained weights -> none",
        "goalpost moved on cpu, cuda -> without cuda",
    ]
    assert lock.moves(strict, lock.entry(strict)) == ()


# --------------------------------------------------------------------------------------------- histories

IDS = ("a", "b")


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    kept = draw(st.lists(st.sampled_from(IDS), unique=True))
    gone = [name for name in IDS if name not in kept and draw(st.booleans())]
    return Spec(
        system=System(name="s", title="S", targets=("cpu",)),
        requirement=tuple(draw(requirements(name)) for name in kept),
        dropped=tuple(Dropped(id=name, reason="no longer of use") for name in gone),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(specs(), min_size=1, max_size=5))
def test_a_lock_is_only_ever_tightened(tmp_path: Path, history: list[Spec]) -> None:
    """Law: through any history of specs, and through the file, no entry is lost or loosened."""
    (tmp_path / lock.NAME).unlink(missing_ok=True)
    accepted_ever: dict[str, list[Requirement]] = {name: [] for name in IDS}
    for spec in history:
        locked = lock.read(tmp_path).get("s", {})
        after = lock.tightened(spec, locked)
        assert set(after) == set(locked) | {row.id for row in spec}
        for row in spec:
            if not lock.moves(row, locked.get(row.id)):
                assert after[row.id] == lock.entry(row), "what is as strict as before is taken in"
                accepted_ever[row.id].append(row)
            else:
                assert after[row.id] == locked[row.id], "what is looser leaves the lock as it was"
        for name in set(locked) - {row.id for row in spec}:
            assert after[name] == locked[name]
        assert lock.tightened(spec, after) == after
        lock.write(tmp_path, {"s": after})
        assert lock.read(tmp_path)["s"] == json.loads(json.dumps(after))
    final = lock.read(tmp_path)["s"]
    for name, rows in accepted_ever.items():
        for row in rows:  # the last one taken in stands in the lock: it is as strict as all before it
            assert not looser(rows[-1], row)
            assert lock.moves(rows[-1], final[name]) == ()


@settings(max_examples=50, deadline=None)
@given(specs(), specs())
def test_a_dropped_requirement_is_remembered(before: Spec, after: Spec) -> None:
    """Law: dropped() names exactly what the lock has and the spec has not, with the spec's reason for it or none."""
    locked = lock.tightened(before, {})
    gone = lock.dropped(after, lock.tightened(after, locked))
    assert set(gone) == {row.id for row in before} - {row.id for row in after}
    reasons = {row.id: row.reason for row in after.dropped}
    assert gone == {name: reasons.get(name, "") for name in gone}


@settings(max_examples=20, deadline=None)
@given(specs())
def test_the_caller_keeps_its_lock(spec: Spec) -> None:
    """Law: tightened() makes a new lock and leaves the one it was given alone."""
    locked = {"a": lock.entry(Requirement(id="a", statement="Something holds", metric="m"))}
    copy = deepcopy(locked)
    lock.tightened(spec, locked)
    assert locked == copy


# ------------------------------------------------------------------------------------------------ files


def test_no_lock_is_an_empty_lock(tmp_path: Path) -> None:
    assert lock.read(tmp_path) == {}


def test_a_lock_has_stable_bytes_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    first = {"b": lock.entry(Requirement(id="b", statement="Something holds", metric="m"))}
    second = {"a": lock.entry(Requirement(id="a", statement="Something holds", metric="m"))}
    lock.write(tmp_path, {"s": {**first, **second}})
    text = (tmp_path / lock.NAME).read_bytes()
    lock.write(tmp_path, {"s": {**second, **first}})
    assert (tmp_path / lock.NAME).read_bytes() == text
    assert text.endswith(b"}\n")
    assert [p.name for p in tmp_path.iterdir()] == [lock.NAME]


GOOD = {
    "version": 1,
    "systems": {
        "s": {
            "a": lock.entry(
                Requirement.model_validate(
                    {
                        "id": "a",
                        "statement": "Something holds",
                        "metric": "m",
                        "within": [0, 1],
                        "on": ["cpu"],
                        "beats": [{"baseline": "b"}],
                        "not_worse": [{"than": "d"}],
                        "slices": ["s", {"by": "t", "above": 0}],
                    }
                )
            )
        }
    },
}


def read(folder: Path, content: bytes) -> dict[str, dict[str, Any]]:
    (folder / lock.NAME).write_bytes(content)
    return lock.read(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"3",
        b'{"version": 1}',
        b'{"version": 2, "systems": {}}',
        b'{"version": 1, "systems": []}',
        b'{"version": 1, "systems": {"s": 5}}',
        b'{"version": 1, "systems": {"s": [1]}}',
        b'{"version": 1, "systems": {"s": {"a": {}}}}',
        b'{"version": 1, "systems": {"s": {"a": {"bound": null}}}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b"<<<<<<< ours\n" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).encode()[:-40],
        json.dumps(GOOD).replace('"within": [0.0, 1.0]', '"within": [0.0]').encode(),
        json.dumps(GOOD).replace('"within": [0.0, 1.0]', '"at_least": 0, "at_most": 1').encode(),
        json.dumps(GOOD).replace("[0.0, 0.0]", "[0.0]").encode(),
    ],
)
def test_a_broken_lock_is_an_error_that_says_what_not_to_do(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, json.dumps(GOOD).encode())["s"].keys() == {"a"}
    with pytest.raises(SpecError, match=r"spec\.lock: not a readable lock .*; restore it from version control"):
        read(tmp_path, content)


def test_a_lock_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).mkdir()
    with pytest.raises(SpecError, match="not a readable lock"):
        lock.read(tmp_path)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*at, key)
        if isinstance(item, dict | list | tuple):
            yield from places(item, (*at, key))


PLAIN = json.loads(json.dumps(GOOD))
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(("systems", "s", "a", "beats", "b", 0), "0", False)
@example(("systems", "s", "a", "minimum_n"), "0", False)
@given(st.sampled_from(sorted(places(PLAIN), key=str)), junk, st.booleans())
def test_a_lock_with_junk_in_it_is_refused_or_can_be_used(
    tmp_path: Path, at: tuple[Any, ...], value: Any, remove: bool
) -> None:
    """Law: whatever stands in the file, reading and comparing raise nothing but SpecError."""
    raw = deepcopy(PLAIN)
    parent = raw
    for key in at[:-1]:
        parent = parent[key]
    if remove and isinstance(parent, dict):
        del parent[at[-1]]
    else:
        parent[at[-1]] = value
    try:
        systems = read(tmp_path, json.dumps(raw).encode())
    except SpecError:
        return
    for entries in systems.values():
        for name, entry in entries.items():
            now = Requirement(id="a", statement="Something holds", metric="m", on=("cpu",))
            assert all(str(move) for move in lock.moves(now, entry))
            system = System(name="s", title="S", targets=("cpu",))
            assert lock.tightened(Spec(system=system, requirement=(now,)), {name: entry})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.text().map(lambda t: t.encode(errors="replace")))
def test_bytes_that_are_no_lock_are_refused(tmp_path: Path, content: bytes) -> None:
    """Law: no bytes that a lock was not written as are read as one."""
    with pytest.raises(SpecError):
        read(tmp_path, content)


# ------------------------------------------------------------------------------------------------ since when


def at_least(x: float, **more: object) -> Requirement:
    raw = {"id": "a", "statement": "The first thing holds", "metric": "classification.accuracy", "at_least": x, **more}
    return Requirement.model_validate(raw)


def test_the_ledger_remembers_what_a_new_lock_forgets() -> None:
    """Measured at 0.9, loosened, the lock made anew: the ledger still tells, and since when."""
    first = lock.remembered(at_least(0.9), lock.entry(at_least(0.9)), (), None, 100.0)
    assert first.since == {}
    loose = at_least(0.85)
    second = lock.remembered(loose, lock.entry(loose), (), first, 86_400.0 * 3)
    third = lock.remembered(loose, lock.entry(loose), (), second, 86_400.0 * 9)
    for known in (second, third):
        (move,) = lock.moved(loose, lock.entry(loose), known)
        assert str(move) == "goalpost moved >= 0.9 -> >= 0.85, since 1970-01-04"
    assert lock.moved(at_least(0.9), lock.entry(loose), third) == ()


def test_a_move_not_measured_yet_has_no_day() -> None:
    first = lock.remembered(at_least(0.9), lock.entry(at_least(0.9)), (), None, 100.0)
    (move,) = lock.moved(at_least(0.85), lock.entry(at_least(0.9)), first)
    assert str(move) == "goalpost moved >= 0.9 -> >= 0.85"


def test_a_clone_without_history_dates_the_move_by_its_own_first_measurement() -> None:
    known = lock.remembered(at_least(0.85), lock.entry(at_least(0.9)), (), None, 86_400.0)
    (move,) = lock.moved(at_least(0.85), lock.entry(at_least(0.9)), known)
    assert move.when == "1970-01-02"


def test_the_lock_knows_since_when_in_every_clone(tmp_path: Path) -> None:
    """`spec lock` dates a move when it first sees it; a later measurement does not make it younger, a return ends it."""
    system = {"name": "demo", "title": "A demonstration", "targets": ["cpu"]}
    kept, loose = {"row": lock.entry(at_least(0.9))}, at_least(0.85)
    spec = Spec.model_validate({"system": system, "requirement": [loose.model_copy(update={"id": "row"}).model_dump()]})
    days = lock.seen(spec, kept, {}, {}, "1970-01-02")
    assert lock.seen(spec, kept, {}, days, "1970-01-09") == days
    lock.write(tmp_path, {"demo": kept}, {}, {"demo": days, "other": {}})
    assert lock.read(tmp_path).since == {"demo": days}
    measured = lock.remembered(loose, kept["row"], (), None, 86_400.0 * 30)
    for known in (None, measured):
        (move,) = lock.moved(spec.requirement[0], kept["row"], known, days)
        assert str(move) == "goalpost moved >= 0.9 -> >= 0.85, since 1970-01-02"
    back = Spec.model_validate(
        {"system": system, "requirement": [at_least(0.9).model_copy(update={"id": "row"}).model_dump()]}
    )
    assert lock.seen(back, kept, {}, days, "1970-01-09") == {}


@given(st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9]), min_size=1, max_size=8))
def test_the_ledger_holds_the_strictest_bound_it_ever_saw(bounds: list[float]) -> None:
    """Law: after any history, the move shown is from the largest bound to the last, and from the day it last became so."""
    known = None
    for day, bound in enumerate(bounds):
        known = lock.remembered(at_least(bound), None, (), known, 86_400.0 * day)
    shown = lock.moved(at_least(bounds[-1]), None, known)
    if bounds[-1] == max(bounds):
        assert shown == ()
        return
    (move,) = shown
    assert (move.before, move.after) == (f">= {max(bounds)}", f">= {bounds[-1]}")
    run = len(bounds) - 1
    while run > 0 and bounds[run - 1] == bounds[-1] and max(bounds[:run]) == max(bounds):
        run -= 1
    assert move.when == f"1970-01-{run + 1:02}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"minimum_n": 10}, "minimum_n"),
        ({"minimum_groups": 2}, "minimum_groups"),
        ({"beats": []}, "beats majority"),
        ({"beats": [{"baseline": "majority", "margin": 0.01}]}, "beats majority"),
        ({"not_worse": []}, "not worse than bm25"),
        ({"metric": "classification.auroc"}, "metric"),
        ({"data": "easier"}, "data"),
        ({"split": "by-row"}, "split"),
        ({"slices": []}, "slice operator"),
        ({"control": False}, "control"),
    ],
)
def test_every_way_to_loosen_is_dated(change: dict[str, object], field: str) -> None:
    strict: dict[str, object] = {
        "minimum_n": 1000, "minimum_groups": 10, "data": "heldout", "split": "by-distribution",
        "beats": [{"baseline": "majority", "margin": 0.05}], "not_worse": [{"than": "bm25", "margin": 0.01}],
        "slices": ["operator"],
    }  # fmt: skip
    first = lock.remembered(at_least(0.9, **strict), None, (), None, 0.0)
    loose = at_least(0.9, **{**strict, **change})
    second = lock.remembered(loose, None, (), first, 86_400.0)
    (move,) = lock.moved(loose, None, second)
    assert (move.field, move.when) == (field, "1970-01-02")


def data_spec(**tables: dict[str, object]) -> Spec:
    system = {"name": "demo", "title": "A demonstration", "targets": ["cpu"]}
    return Spec.model_validate({"system": system, "data": tables})


def test_a_changed_data_table_is_told_and_the_lock_keeps_the_first() -> None:
    kept = lock.kept_tables(data_spec(pairs={"n": 4000, "seed": 1, "smoke": {"n": 4}, "sketch": {"n": 40}}), {})
    now = data_spec(pairs={"n": 40, "seed": 1, "fresh": True, "smoke": {"n": 2}})
    assert [str(move) for move in lock.table_moves(now, kept)] == ["goalpost moved [data.pairs] n 4000 -> 40"]
    kept = lock.kept_tables(now, kept)
    assert kept == {"pairs": {"n": 4000, "seed": 1, "fresh": True}}
    gone = lock.table_moves(data_spec(), kept)
    assert [move.after for move in gone] == ["none"] * 3


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (["a", "b"], ["b", "c"], '["a", "b"] -> ["b", "c"] (+c, -a)'),
        (["a", "b"], ["b", "a"], '["a", "b"] -> ["b", "a"] (another order)'),
        ([f"distribution-{i}" for i in range(9)], ["x"], "9 entries -> [\"x\"] (+x, -distribution-0, "
         "-distribution-1, -distribution-2, -distribution-3, -distribution-4, and 4 more)"),
        (["a"], None, '["a"] -> none'),
    ],
)  # fmt: skip
def test_a_changed_list_says_what_came_and_what_went(before: object, after: object, told: str) -> None:
    (move,) = lock.table_moves(data_spec(corpus={"test": after} if after else {}), {"corpus": {"test": before}})
    assert str(move) == f"goalpost moved [data.corpus] test {told}"


def test_the_lock_file_keeps_tables(tmp_path: Path) -> None:
    lock.write(tmp_path, {}, {"demo": {"pairs": {"n": 4000}}})
    assert lock.read(tmp_path).tables == {"demo": {"pairs": {"n": 4000}}}
    assert lock.read(tmp_path) == {}
