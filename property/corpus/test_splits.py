"""Laws of splits: sides share no distribution and no structure, and nothing else is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import CorpusError
from corpus.functions import Function
from corpus.splits import split


def row(number: int, distribution: str, digest: str) -> Function:
    name = f"f{number}"
    return Function(f"{number:016x}", distribution, "1", "MIT", "m", "m.py", name, 1, 2, "s", "", (), "s", digest)


rows = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("0123456789"))).map(
    lambda drawn: (
        [row(number, *each) for number, each in enumerate(drawn)]
        + [row(1_000 + number, name, f"only {name}") for number, name in enumerate("abcdef")]
    )
)


@given(rows)
def test_law_sides_are_disjoint_by_distribution_and_structure(functions: list[Function]) -> None:
    sides = split(functions, train=["a", "b"], dev=["c"], test=["d", "e"])
    assert list(sides) == ["train", "dev", "test"]
    for side, names in {"train": "ab", "dev": "c", "test": "de"}.items():
        assert {each.distribution for each in sides[side]} == set(names)
    hashes = [each.ast_hash for side in sides.values() for each in side]
    assert len(hashes) == len(set(hashes))
    # nothing is lost but copies, and what nobody named
    assert set(hashes) == {each.ast_hash for each in functions if each.distribution != "f"}


@given(rows)
def test_law_training_gives_nothing_up_for_a_later_side(functions: list[Function]) -> None:
    sides = split(functions, train=["a"], dev=["b"], test=["c"])
    assert {each.ast_hash for each in sides["train"]} == {
        each.ast_hash for each in functions if each.distribution == "a"
    }
    numbers = [each.record_id for each in sides["train"]]
    assert numbers == sorted(numbers)


def test_example_a_copy_stays_on_the_earliest_side() -> None:
    functions = [
        row(1, "t", "x"),
        row(2, "d", "x"),
        row(3, "d", "y"),
        row(4, "r", "x"),
        row(5, "r", "z"),
        row(6, "r", "z"),
    ]
    sides = split(functions, train=["R"], dev=["d"], test=["t"])
    assert {side: [each.record_id[-1] for each in found] for side, found in sides.items()} == {
        "train": ["4", "5"],
        "dev": ["3"],
        "test": [],
    }


@pytest.mark.parametrize(
    ("train", "dev", "test", "message"),
    [
        (["a"], ["b"], ["A"], 'distribution "a" is on side "train" and on "test"; keep one'),
        (["a", "a"], ["b"], ["c"], 'distribution "a" is on side "train" and on "train"'),
        (["a"], ["b"], ["nope"], 'split side "test": no function comes from "nope"; distributions read: a, b, c'),
        (["a"], [], ["c"], 'split side "dev" names no distribution'),
    ],
)
def test_errors(train: list[str], dev: list[str], test: list[str], message: str) -> None:
    functions = [row(number, name, name) for number, name in enumerate("abc")]
    with pytest.raises(CorpusError) as caught:
        split(functions, train, dev, test)
    assert message in str(caught.value)
