"""Train, dev and test by distribution; functions of one normalised tree (`ast_hash`) are kept once, on one side.

That drops copies with other comments, docstrings or layout; what was changed by a word stays.

The names come from the specification. It must never split by row, and never drop from training what a test
side holds: the later side gives way, so that a score cannot come from a copy.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from corpus.distributions import normalised
from corpus.errors import CorpusError
from corpus.functions import Function


def split(
    functions: Iterable[Function], train: Sequence[str], dev: Sequence[str], test: Sequence[str]
) -> dict[str, list[Function]]:
    """{"train": ..., "dev": ..., "test": ...} in the order given, by the distributions named for each side.

    A function whose `ast_hash` was seen on an earlier side, or before on its own, is removed. Distributions
    that no side names are left out. Raises CorpusError for a side without a name, a name on two sides or
    twice on one, and a name that no function comes from.
    """
    sides = {"train": train, "dev": dev, "test": test}
    side_of: dict[str, str] = {}
    for side, names in sides.items():
        if not names:
            raise CorpusError(f'split side "{side}" names no distribution; name at least one')
        for name in map(normalised, names):
            if name in side_of:
                raise CorpusError(f'distribution "{name}" is on side "{side_of[name]}" and on "{side}"; keep one')
            side_of[name] = side
    by_side: dict[str, list[Function]] = {side: [] for side in sides}
    present: Counter[str] = Counter()
    for function in functions:
        name = normalised(function.distribution)
        present[name] += 1
        if name in side_of:
            by_side[side_of[name]].append(function)
    for name, side in side_of.items():
        if not present[name]:
            known = ", ".join(sorted(present)) or "none"
            raise CorpusError(f'split side "{side}": no function comes from "{name}"; distributions read: {known}')
    seen: set[str] = set()
    return {side: [each for each in rows if _is_new(each, seen)] for side, rows in by_side.items()}


def _is_new(function: Function, seen: set[str]) -> bool:
    if function.ast_hash in seen:
        return False
    seen.add(function.ast_hash)
    return True
