"""Values as JSON texts, and back: the only language between a program and its examiner.

What is decoded is built here, from plain types alone: no class, method or code of the program can arrive. A value of
any other type arrives as `Opaque`, which equals nothing. It must never unpickle.

JSON's null, truth values, numbers (NaN and the infinities, too) and texts stand for themselves; everything else is an
array whose first element names its type.
"""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import chain, islice
from typing import Any, Final

DEEPEST: Final = 200
LONGEST: Final = 1_000_000
"""Elements of an iterator that are looked at, and the largest sum of the lengths of all containers of one value."""


class Opaque:
    """Stands for a value that is no plain data; its equality is identity."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name}: not plain data>"


class ValueDamage(ValueError):  # noqa: N818  # it is about damage to a value, not about a wrong value
    """A text that `dumps` never writes, or a value too deep or too long to write."""


def dumps(value: Any) -> str:
    """Raises ValueDamage for nesting beyond DEEPEST and for more than LONGEST elements."""
    return json.dumps(_encode(value, DEEPEST, [LONGEST]))


def loads(text: str | bytes) -> Any:
    """Raises ValueDamage for whatever `dumps` did not write."""
    try:
        return _decode(json.loads(text))
    except ValueDamage:
        raise
    except (ValueError, TypeError, LookupError, RecursionError, ArithmeticError) as error:
        raise ValueDamage(f"not a value: {type(error).__name__}") from None


_TYPES: Final = {each.__name__: each for each in (bool, int, float, str, bytes, complex, tuple, list, dict, set)}

# Exact types first; a subclass (an IntEnum, a named tuple, a numpy float) is written as what it derives from.
_SCALARS: Final = (bool, int, float, str)
_BASES: Final = (int, float, str, complex, bytes, bytearray, tuple, list, Counter, dict, set, frozenset, deque)


def _encode(value: Any, depth: int, room: list[int]) -> Any:
    kind = type(value)
    if value is None or kind in _SCALARS:
        return value
    if depth == 0:
        raise ValueDamage(f"nested deeper than {DEEPEST}")
    if kind is type and _TYPES.get(value.__name__) is value:
        return ["type", value.__name__]
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value, depth - 1, room)
    if isinstance(value, _BASES):
        base = next(each for each in _BASES if isinstance(value, each))
        plain = base.__add__(value, base()) if base in (int, float, str, complex, bytes) else base(value)
        return _encode(plain, depth, room) if type(plain) is base else ["opaque", kind.__name__]
    if isinstance(value, Iterator):
        return ["iterator", *_items(islice(value, LONGEST), depth - 1, room)]
    return ["opaque", kind.__name__]


def _items(values: Any, depth: int, room: list[int]) -> list[Any]:
    found = []
    for value in values:
        room[0] -= 1
        if room[0] < 0:
            raise ValueDamage(f"longer than {LONGEST} elements")
        found.append(_encode(value, depth, room))
    return found


def _sequence(name: str) -> Callable[[Any, int, list[int]], list[Any]]:
    return lambda value, depth, room: [name, *_items(value, depth, room)]


def _mapping(name: str) -> Callable[[Any, int, list[int]], list[Any]]:
    return lambda value, depth, room: [name, *_items(chain.from_iterable(value.items()), depth, room)]


_WRITERS: Final[dict[type, Callable[[Any, int, list[int]], list[Any]]]] = {
    list: _sequence("list"),
    tuple: _sequence("tuple"),
    set: _sequence("set"),
    frozenset: _sequence("frozenset"),
    deque: _sequence("deque"),
    dict: _mapping("dict"),
    Counter: _mapping("counter"),
    complex: lambda value, depth, room: ["complex", value.real, value.imag],
    bytes: lambda value, depth, room: ["bytes", value.decode("latin-1")],
    bytearray: lambda value, depth, room: ["bytearray", value.decode("latin-1")],
    range: lambda value, depth, room: ["range", value.start, value.stop, value.step],
    Fraction: lambda value, depth, room: ["fraction", value.numerator, value.denominator],
    Decimal: lambda value, depth, room: ["decimal", str(value)],
}


def _decode(value: Any) -> Any:
    if type(value) is not list:
        if isinstance(value, dict):
            raise ValueDamage("an object is no value")
        return value
    if not value or value[0] not in _READERS:
        raise ValueDamage("an array without the name of its type")
    return _READERS[value[0]](value[1:])


def _pairs(items: list[Any]) -> list[tuple[Any, Any]]:
    decoded = [_decode(item) for item in items]
    return list(zip(decoded[::2], decoded[1::2], strict=True))


_READERS: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "list": lambda items: [_decode(item) for item in items],
    "tuple": lambda items: tuple([_decode(item) for item in items]),
    "set": lambda items: {_decode(item) for item in items},
    "frozenset": lambda items: frozenset([_decode(item) for item in items]),
    "deque": lambda items: deque([_decode(item) for item in items]),
    "iterator": lambda items: iter([_decode(item) for item in items]),
    "dict": lambda items: dict(_pairs(items)),
    "counter": lambda items: Counter(dict(_pairs(items))),
    "complex": lambda items: complex(*map(float, items)),
    "bytes": lambda items: str(items[0]).encode("latin-1"),
    "bytearray": lambda items: bytearray(str(items[0]).encode("latin-1")),
    "range": lambda items: range(*items),
    "fraction": lambda items: Fraction(*items),
    "decimal": lambda items: Decimal(str(items[0])),
    "type": lambda items: _TYPES[items[0]],
    "opaque": lambda items: Opaque(str(items[0])),
}
