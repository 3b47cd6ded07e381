"""Laws of parsing: foreign text is read silently, in any thread, and nothing of the process is left changed."""

import gc
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from corpus import parsing
from corpus.execution import labels


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as the interpreter can, in the middle of a tree, too: where garbage is collected."""
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()

    def turn(phase: str, info: dict[str, int]) -> None:
        time.sleep(1e-6)

    sys.setswitchinterval(1e-6)
    gc.set_threshold(100)
    gc.callbacks.append(turn)
    yield
    gc.callbacks.remove(turn)
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(before)


def test_law_threads_agree_on_the_code_of_outcomes(hasty: None) -> None:
    """CPython 3.11 counts the depth of all trees under construction together, and fails where threads overlap."""
    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(lambda _: labels._code.__wrapped__(), range(8)))
    assert digests == {labels._code()}


def test_law_filters_and_collector_are_left_as_they_were(hasty: None) -> None:
    before, collecting = list(warnings.filters), gc.isenabled()
    with ThreadPoolExecutor(4) as pool, warnings.catch_warnings(record=True) as told:
        list(pool.map(parsing.parse, [r"x = '\d'"] * 3_000))
    assert (list(warnings.filters), gc.isenabled(), told) == (before, collecting, [])


def test_example_a_syntax_error_leaves_them_too() -> None:
    before, collecting = list(warnings.filters), gc.isenabled()
    with pytest.raises(SyntaxError):
        parsing.parse("def")
    assert (list(warnings.filters), gc.isenabled()) == (before, collecting)
