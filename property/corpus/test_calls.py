"""Laws of the truth that call graphs are held to: what did not run counts neither way, and F1 is the textbook's."""

from pathlib import Path

import pytest
from acceptance.calls import SUITES, Scope, Score
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from corpus.callgraph import Site
from corpus.distributions import Distribution
from corpus.tracing import Edge, Executed, Trace

ROOT = Path("/site")
FOUND = Distribution("shop", "1", "MIT", ROOT, (ROOT / "shop" / "a.py", ROOT / "alone.py"))
TRACE = Trace(
    "shop", "1", "3.11", ("shop.tests",), {"passed": 1, "failed": 0, "skipped": 0},
    (Executed("shop.a.f", "shop/a.py", 1, (2, 3, 5)), Executed("shop.a.g", "shop/a.py", 9, (10,))),
    (
        Edge("shop.a.f", "shop.a.g", "shop/a.py", (2, 4, 2, 7), True),
        Edge("shop.a.f", "shop.a.C.value", "shop/a.py", (3, 4, 3, 9), False),
        Edge("shop.a.g", "alone.h", "shop/a.py", (10, 4, 10, 7), True),
    ),
)  # fmt: skip


def site(caller: str, first: int, last: int, *callees: str) -> Site:
    return Site(caller, "shop/a.py", (first, 4, last, 9), callees, ())


SITES = [
    site("shop.a.f", 2, 2, "shop.a.g"),
    site("shop.a.f", 4, 4, "shop.a.never"),  # a line that did not run
    site("shop.a.f", 4, 5, "shop.a.wrong"),  # a call of two lines, one of which ran
    site("shop.a.f", 3, 3, "json.dumps"),  # outside
    site("shop.a.idle", 2, 2, "shop.a.g"),  # a function that did not run
    site("shop.a.g", 10, 10),  # nothing known
]


def test_only_what_ran_is_held_to_the_truth() -> None:
    scope = Scope(FOUND, TRACE)
    edges = scope.static(SITES)
    assert edges == {("shop.a.f", "shop.a.g"), ("shop.a.f", "shop.a.wrong")}
    assert scope.truth == {("shop.a.f", "shop.a.g"), ("shop.a.g", "alone.h")}  # no getter: no call expression
    assert scope.score(edges) == Score(found=1, predicted=2, true=2)
    assert scope.reached(edges) == pytest.approx(1 / 3)


def test_a_scope_may_be_narrowed_to_some_callers() -> None:
    scope = Scope(FOUND, TRACE, callers=["shop.a.g", "shop.a.idle"])
    assert scope.truth == {("shop.a.g", "alone.h")}
    assert scope.static(SITES) == frozenset()
    assert (scope.score(frozenset()).f1, scope.score(scope.truth).f1) == (0.0, 1.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_law_scores_are_those_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    true, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    score = Score(sum(a and b for a, b in pairs), sum(predicted), sum(true))
    half = Score() + score
    assert half == score
    assert score.precision == pytest.approx(precision_score(true, predicted, zero_division=0))
    assert score.recall == pytest.approx(recall_score(true, predicted, zero_division=0))
    assert score.f1 == pytest.approx(f1_score(true, predicted, zero_division=0))


def test_the_truth_comes_from_distributions_that_nothing_is_trained_on() -> None:
    import tomllib

    sides = tomllib.loads((Path(__file__).parents[2] / "spec" / "graphsage.toml").read_text())["data"]["corpus"]
    assert not set(SUITES) & {*sides["train"], *sides["dev"]}
    assert len(SUITES) >= 4
    assert all(test.partition(".")[0] == name for name, tests in SUITES.items() for test in tests)
