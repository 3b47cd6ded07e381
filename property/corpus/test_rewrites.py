"""Laws of rewrites: another text, the same answers; and a mutant of a rewrite is still a mutant.

Behaviour is compared by running both versions here, on functions written for this file and on random arguments.
"""

import ast
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import defects, rewrites
from corpus.functions import Function, ast_hash
from corpus.parsing import function_node, unparse

numbers = st.lists(st.integers(-20, 20), max_size=8)
small = st.integers(-10, 10)

TEMPLATES: dict[str, tuple[str, tuple[st.SearchStrategy[Any], ...]]] = {
    "filter": (
        """def f(xs, n):
    out = []
    for x in xs:
        if x > n and x != 3:
            out.append(x * 2 + n + 1)
    return out""",
        (numbers, small),
    ),
    "find": (
        """def f(xs, n):
    for x in xs:
        if x % 3 == n:
            return True
    return False""",
        (numbers, small),
    ),
    "all": (
        """def f(xs, n):
    for x in xs:
        if not x >= n:
            return False
    return True""",
        (numbers, small),
    ),
    "pairs": (
        """def f(xs, n):
    found = [(a, b) for a in xs if a < n for b in xs if a + b == n]
    if not found:
        return None
    return [a * b * n for a, b in found]""",
        (numbers, small),
    ),
    "sums": (
        """def f(a, b, c):
    total = a + b + c
    total += a * b * c
    if total > 10:
        if a < b:
            total = total - 1
    if a == b or b != c:
        total = total + (c + a - 1)
    else:
        total = 0
    result = total if a not in (b, c) else -total
    return result""",
        (small, small, small),
    ),
    "early": (
        """def f(xs, n):
    if len(xs) < 2:
        return xs
    low = min(xs)
    if low is None:
        raise ValueError
    def inner(k, low=low):
        return k + low
    return sorted(map(inner, xs), key=lambda k: -k)[:n]""",
        (numbers, small),
    ),
    "text": (
        """def f(xs, n):
    text = "a" + "b" + str(n)
    words = [text + w for w in map(str, xs)]
    for w in words:
        text += w
    return text""",
        (numbers, small),
    ),
    "while": (
        """def f(n, m):
    a, b = abs(n), abs(m)
    steps = 0
    while b and steps < 50:
        a, b = b, a % b
        steps = steps + 1
    return a, steps""",
        (small, small),
    ),
}


def function(source: str) -> Callable[..., Any]:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    found: Callable[..., Any] = namespace["f"]
    return found


def answer(source: str, arguments: list[Any]) -> Any:
    try:
        return function(source)(*[list(each) if isinstance(each, list) else each for each in arguments])
    except Exception as error:
        return type(error)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Any]]:
    source, strategies = TEMPLATES[draw(st.sampled_from(sorted(TEMPLATES)))]
    return source, [draw(each) for each in strategies]


@pytest.mark.parametrize("operator", rewrites.OPERATORS)
@given(case=cases(), seed=st.integers(0, 2**32))
def test_law_a_rewrite_gives_the_same_answers(operator: str, case: tuple[str, list[Any]], seed: int) -> None:
    source, arguments = case
    written = rewrites.rewrite(source, operator, random.Random(seed))
    if written is None:
        return
    assert written != unparse(function_node(source))
    assert written == unparse(function_node(written))
    assert answer(written, arguments) == answer(source, arguments)
    assert rewrites.rewrite(source, operator, random.Random(seed)) == written


@pytest.mark.parametrize("operator", rewrites.OPERATORS)
def test_law_every_operator_acts_on_some_template(operator: str) -> None:
    made = {
        name: {rewrites.rewrite(source, operator, random.Random(seed)) for seed in range(20)} - {None}
        for name, (source, _) in TEMPLATES.items()
    }
    assert any(made.values())


@given(case=cases(), seed=st.integers(0, 2**32))
def test_law_rewrites_of_rewrites_give_the_same_answers(case: tuple[str, list[Any]], seed: int) -> None:
    source, arguments = case
    rng = random.Random(seed)
    written = source
    for operator in rng.sample(rewrites.OPERATORS, 4):
        written = rewrites.rewrite(written, operator, rng) or written
    assert answer(written, arguments) == answer(source, arguments)


@given(data=st.data(), seed=st.integers(0, 2**32), operator=st.sampled_from(rewrites.OPERATORS))
def test_law_a_rewrite_of_real_code_is_one_function_of_the_same_name(
    real: list[Function], data: st.DataObject, seed: int, operator: str
) -> None:
    row = data.draw(st.sampled_from(real))
    written = rewrites.rewrite(row.source, operator, random.Random(seed))
    if written is None:
        return
    (node,) = ast.parse(written).body
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    assert node.name == row.qualname.rpartition(".")[2]
    assert [each.arg for each in node.args.args] == [
        each.arg for each in function_node(row.source).args.args
    ] or operator == "rename"
    if operator == "rename":
        assert ast_hash(written) == row.ast_hash


@pytest.mark.parametrize(
    ("operator", "source", "written"),
    [
        ("invert", "if x not in y:\n    a = 1\nelse:\n    a = 2\nreturn a", "if x in y:\n    a = 2\nelse:\n    a = 1\nreturn a"),
        ("invert", "if x < y:\n    return 1\nreturn 2", "if not x < y:\n    return 2\nelse:\n    return 1"),
        ("comprehension", "r = []\nfor i in x:\n    if i:\n        r.append(-i)\nreturn r", "r = [-i for i in x if i]\nreturn r"),
        ("comprehension", "for i in x:\n    if i == y:\n        return False\nreturn True", "return all((i != y for i in x))"),
        ("loop", "return [i + y for i in x if i]", "result = []\nfor i in x:\n    if i:\n        result.append(i + y)\nreturn result"),
        ("reassociate", "return x + y + 1", "return x + (y + 1)"),
        ("commute", "return x * 2", "return 2 * x"),
        ("flip", "return x <= y", "return y >= x"),
        ("augment", "x += y\nreturn x", "x = x + y\nreturn x"),
        ("name_result", "answer = x\nreturn answer", "return x"),
        ("nest", "if x and y:\n    x = 1\nreturn x", "if x:\n    if y:\n        x = 1\nreturn x"),
    ],
)  # fmt: skip
def test_example_what_each_operator_does(operator: str, source: str, written: str) -> None:
    def whole(body: str) -> str:
        return "def f(x, y):\n" + "\n".join("    " + line for line in body.split("\n"))

    found = {rewrites.rewrite(whole(source), operator, random.Random(seed)) for seed in range(8)}
    assert whole(written) in found


@pytest.mark.parametrize(
    ("operator", "body"),
    [
        # the variable of the loop is read after it
        ("comprehension", "    r = []\n    for i in x:\n        r.append(i)\n    return r + [i]"),
        # the list is read while it grows
        ("comprehension", "    r = []\n    for i in x:\n        r.append(len(r))\n    return r"),
        # the comprehension's variable would overwrite a name of the function
        ("loop", "    i = 5\n    r = [i for i in x]\n    return r * i"),
        # calls happen in the order that is written
        ("flip", "    return g(x) < h(x)"),
        ("commute", "    return g(x) + h(x)"),
        # texts and lists do not commute
        ("commute", "    return [1] + x"),
        ("commute", "    return 'a' + x"),
        ("commute", "    return x + y"),
        # a global name, an import and a private name are somebody else's
        ("rename", "    global x2\n    x2 = x\n    return y"),
        ("name_result", "    global cache\n    cache = g(x)\n    return cache"),
        ("name_result", "    r = 0\n    def h():\n        nonlocal r\n    r = g(x, h)\n    return r"),
        ("comprehension", "    global r\n    r = []\n    for i in x:\n        r.append(g(i))\n    return 1"),
        ("comprehension", "    global i\n    r = []\n    for i in x:\n        r.append(1)\n    return r"),
        ("comprehension", "    global i\n    for i in x:\n        if g(i):\n            return True\n    return False"),
        ("loop", "    global r\n    r = [g(i) for i in x]\n    return 1"),
        ("loop", "    global i\n    return [g(i) for i in x]"),
    ],
)  # fmt: skip
def test_example_where_an_operator_must_not_act(operator: str, body: str) -> None:
    source = f"def f(x, y):\n{body}"
    assert {rewrites.rewrite(source, operator, random.Random(seed)) for seed in range(8)} == {None}


@pytest.mark.parametrize("operator", ["loop", "name_result"])
def test_example_a_result_gets_no_name_that_is_declared_global(operator: str) -> None:
    source = "def f(x):\n    global result, res, ret, output, answer\n    return [i for i in x]"
    written = {rewrites.rewrite(source, operator, random.Random(seed)) for seed in range(8)}
    assert len(written) == 1
    assert all(each is not None and "    value = [" in each for each in written)


@given(st.sampled_from(sorted(TEMPLATES)), st.integers(0, 2**32))
def test_law_versions_are_by_all_operators_that_can_act_each_once(name: str, seed: int) -> None:
    source = TEMPLATES[name][0]
    made = dict(rewrites.versions(source, random.Random(seed)))
    able = {one for one in rewrites.OPERATORS if rewrites.rewrite(source, one, random.Random(seed)) is not None}
    assert set(made) == able
    assert len(list(rewrites.versions(source, random.Random(seed)))) == len(made)
    assert source not in made.values()


def test_example_versions_come_in_another_order_by_chance() -> None:
    source = TEMPLATES["filter"][0]
    orders = {tuple(name for name, _ in rewrites.versions(source, random.Random(seed))) for seed in range(20)}
    assert len(orders) > 5


def test_errors_name_the_operators() -> None:
    with pytest.raises(ValueError, match='unknown rewrite "renam"; known: rename, invert'):
        rewrites.rewrite("def f(): pass", "renam", random.Random(0))


@given(st.sampled_from(sorted(TEMPLATES)), st.integers(0, 2**32), st.integers(1, 8))
def test_law_mutants_are_different_and_as_even_as_the_code_allows(name: str, seed: int, most: int) -> None:
    source, _ = TEMPLATES[name]
    found = defects.mutants(source, random.Random(seed), most)
    assert len(found) <= most
    assert len({each.source for each in found} | {unparse(function_node(source))}) == len(found) + 1
    counts = [sum(each.operator == operator for each in found) for operator in {each.operator for each in found}]
    possible = {each.operator for each in defects.sites(source)}
    if len(found) < len(possible):
        assert max(counts) - 1 <= 1
    assert [each.source for each in defects.mutants(source, random.Random(seed), most)] == [
        each.source for each in found
    ]
