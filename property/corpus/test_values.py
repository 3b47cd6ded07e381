"""Laws of values: plain data survives the way, nothing else arrives, and no text makes the reader do anything."""

import collections
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.execution import values

scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(st.characters(codec=None))),
    *(st.binary(), st.complex_numbers(allow_nan=False), st.fractions(), st.decimals(allow_nan=False)),
)
hashable = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
plain = st.recursive(
    scalars | hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashable, inner, max_size=3)
        | st.sets(hashable, max_size=3)
        | st.lists(inner, max_size=3).map(collections.deque)
        | st.binary(max_size=5).map(bytearray)
        | st.dictionaries(hashable, st.integers(), max_size=3).map(collections.Counter)
    ),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    """The types inside a value: 1 == True == 1.0 would hide a wrong one."""
    if isinstance(value, dict):
        return type(value), sorted(map(repr, (shape(each) for each in value.items())))
    if isinstance(value, list | tuple | collections.deque):
        return type(value), [shape(each) for each in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(repr(shape(each)) for each in value)
    return type(value)


@given(plain)
def test_law_plain_data_survives(value: Any) -> None:
    read = values.loads(values.dumps(value))
    assert read == value
    assert shape(read) == shape(value)


def test_example_numbers_that_json_does_not_have() -> None:
    read = values.loads(values.dumps([float("nan"), float("inf"), -0.0, 10**400, Fraction(1, 3), Decimal("1.50")]))
    assert str(read) == "[nan, inf, -0.0, " + "1" + "0" * 400 + ", Fraction(1, 3), Decimal('1.50')]"


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class Stranger:
    def __eq__(self, other: object) -> bool:
        return True

    def __reduce__(self) -> Any:
        raise AssertionError("nothing is pickled")


def test_example_a_value_that_equals_everything_arrives_as_what_it_is() -> None:
    read = values.loads(values.dumps([Liar(99), Stranger(), len]))
    assert type(read[0]) is int
    assert read[0] == 99
    assert read[0] != 3
    assert all(type(each) is values.Opaque for each in read[1:])
    assert not read[1] == 99  # noqa: SIM201
    assert [repr(each) for each in read[1:]] == [
        "<Stranger: not plain data>",
        "<builtin_function_or_method: not plain data>",
    ]


def test_example_an_iterator_arrives_as_an_iterator() -> None:
    read = values.loads(values.dumps(map(str, range(3))))
    assert read != ["0", "1", "2"]
    assert list(read) == ["0", "1", "2"]


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["set", "type"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=10,
).map(json.dumps)


@given(
    json_texts
    | st.text(max_size=30)
    | st.binary(max_size=30)
    | st.builds(
        lambda name, rest: json.dumps([name, *rest]),
        st.sampled_from(sorted(values._READERS)),
        st.lists(st.none() | st.integers(-9, 9) | st.text(max_size=3), max_size=4),
    )
)
def test_law_any_text_is_a_value_or_damage(text: str | bytes) -> None:
    try:
        value = values.loads(text)
    except values.ValueDamage:
        return
    assert isinstance(value, collections.abc.Iterator) or values.dumps(value)


@pytest.mark.parametrize("depth", [values.DEEPEST + 1, 100_000])
def test_example_what_is_too_deep_is_damage(depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(values.ValueDamage):
        values.dumps(value)
    with pytest.raises(values.ValueDamage):
        values.loads('["list", ' * 100_000 + "]" * 100_000)


def test_example_what_is_too_long_is_damage() -> None:
    shared: list[Any] = [0] * 1_000
    with pytest.raises(values.ValueDamage):
        values.dumps([shared] * 1_001)
