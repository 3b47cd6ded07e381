"""Laws of injected defects: they compile, differ, stay in the body, lie where the span says, and do not show."""

import ast
import io
import random
import tokenize
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.defects import OPERATORS, Defect, mutate, pairs, sites
from corpus.functions import Function, ast_hash

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def function(source: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return node


def first_difference(before: ast.AST, after: ast.AST) -> ast.AST | None:
    """The smallest node of `after` that has a position and holds everything that differs; None if nothing does."""
    if ast.dump(before) == ast.dump(after):
        return None
    if isinstance(before, ast.UnaryOp) and isinstance(before.op, ast.USub) and isinstance(before.operand, ast.Constant):
        return after  # a signed number is one number
    if type(before) is type(after):
        old, new = list(ast.iter_child_nodes(before)), list(ast.iter_child_nodes(after))
        if len(old) == len(new):
            inside = [(a, b) for a, b in zip(old, new, strict=True) if ast.dump(a) != ast.dump(b)]
            # An operator has no position, and neither has the `for` of a comprehension, which holds nodes that have.
            found = first_difference(*inside[0]) if len(inside) == 1 else None
            if hasattr(found, "lineno"):
                return found
    return after


def every(source: str, operator: str) -> set[str]:
    """Bodies of all mutants that many seeds reach, the header cut off."""
    made = (mutate(source, operator, random.Random(seed)) for seed in range(200))
    return {each.source.split("\n", 1)[1].strip() for each in made if each is not None}


@relaxed
@given(st.data())
def test_law_a_mutant_compiles_differs_and_is_canonical(real: list[Function], data: st.DataObject) -> None:
    row = real[data.draw(st.integers(0, len(real) - 1))]
    operator = data.draw(st.sampled_from(OPERATORS))
    defect = mutate(row.source, operator, random.Random(data.draw(st.integers(0, 1_000))))
    if defect is None:
        return
    compile(defect.source, "mutant", "exec")
    before, after = function(row.source), function(defect.source)
    assert ast.dump(before) != ast.dump(after)
    assert ast.unparse(after).strip("\n") == defect.source
    for part in ("args", "decorator_list", "returns", "name"):
        old, new = getattr(before, part), getattr(after, part)
        assert ast.dump(ast.Tuple(old)) == ast.dump(ast.Tuple(new)) if isinstance(old, list) else True
        assert ast.dump(old) == ast.dump(new) if isinstance(old, ast.AST) else True


@relaxed
@given(st.data())
def test_law_the_span_is_that_of_the_changed_node(real: list[Function], data: st.DataObject) -> None:
    row = real[data.draw(st.integers(0, len(real) - 1))]
    operator = data.draw(st.sampled_from(OPERATORS))
    defect = mutate(row.source, operator, random.Random(data.draw(st.integers(0, 1_000))))
    if defect is None:
        return
    changed = first_difference(function(row.source), function(defect.source))
    assert changed is not None
    assert (changed.lineno, changed.col_offset, changed.end_lineno, changed.end_col_offset) == defect.span


@relaxed
@given(st.data())
def test_law_a_mutant_needs_a_site_and_a_seed_repeats_it(real: list[Function], data: st.DataObject) -> None:
    row = real[data.draw(st.integers(0, len(real) - 1))]
    operator = data.draw(st.sampled_from(OPERATORS))
    seed = data.draw(st.integers(0, 1_000))
    first = mutate(row.source, operator, random.Random(seed))
    assert first == mutate(row.source, operator, random.Random(seed))
    if first is not None:
        assert operator in {site.operator for site in sites(row.source)}


def test_law_sites_are_places_of_nodes_in_the_body(real: list[Function]) -> None:
    for row in real[:200]:
        node = function(row.source)
        places = {
            (each.lineno, each.col_offset, each.end_lineno, each.end_col_offset)
            for statement in node.body
            for each in ast.walk(statement)
            if isinstance(each, ast.expr | ast.stmt)
        }
        found = sites(row.source)
        assert {site.span for site in found} <= places
        assert found == sorted(found, key=lambda site: (site.span, site.operator))


@pytest.mark.parametrize(
    ("operator", "body", "expected"),
    [
        ("arithmetic", "return a + b", {"return a - b"}),
        ("arithmetic", "return a / b", {"return a * b", "return a // b"}),
        ("arithmetic", "a += b", {"a -= b"}),
        ("arithmetic", "return a % b", set()),
        ("arithmetic", "return 'x' + a + b", set()),
        ("arithmetic", "return [0] * a", set()),
        ("boolean", "return a and b", {"return a or b"}),
        ("boolean", "return a or (a and b)", set()),  # the brackets of `a or (a or b)` would show
        ("boolean", "assert a", {"assert not a"}),
        ("boolean", "return 1 if not a else 2", {"return 1 if a else 2"}),
        ("boolean", "assert a == b", set()),  # nobody writes `not a == b`
        ("compare", "return a < b", {"return a <= b"}),
        ("compare", "return a is None", {"return a is not None"}),
        ("compare", "return a < b < c", {"return a <= b < c", "return a < b <= c"}),
        ("compare", "return a not in b", {"return a in b"}),
        ("constant", "return a[1]", {"return a[0]", "return a[2]"}),
        ("constant", "return a[-1]", {"return a[-2]", "return a[0]"}),
        ("constant", "return a + 1", {"return a + 2"}),  # not a + 0
        ("constant", "return a[1:]", {"return a[2:]"}),  # not a[0:]
        ("constant", "return f(a, x=True)", {"return f(a, x=False)"}),
        ("constant", "return f(1, 2)", {"return f(0, 2)", "return f(1, 3)"}),  # not f(2, 2) or f(1, 1)
        ("constant", "while True: a()", set()),
        ("constant", "return 'n1', 1.5, f'{a:1}'", set()),
        ("missing_return", "if a: return b\n    return f(a)", {"if a:\n        return b\n    f(a)"}),
        ("missing_return", "return f(a)", set()),  # a function without any return would show
        ("missing_return", "if a: return b\n    return str(a)", set()),
        ("missing_return", "if a: return b\n    return a.c", set()),
        ("swap_arguments", "return f(a, b)", {"return f(b, a)"}),
        ("swap_arguments", "return f(a, b, c)", {"return f(b, a, c)", "return f(c, b, a)", "return f(a, c, b)"}),
        ("swap_arguments", "return f(a, a)", set()),
        ("swap_arguments", "return max(a, b)", set()),
        ("swap_arguments", "return f(a, *b)", set()),
        ("swap_arguments", "return f(a, b=b)", set()),
        ("swap_operands", "return a - b", {"return b - a"}),
        ("swap_operands", "return a - b - c", {"return c - (a - b)", "return b - a - c"}),
        ("swap_operands", "return a - 1", set()),
        ("swap_operands", "return '%s' % a", set()),
        ("swap_operands", "return a + b", set()),
        ("variable_misuse", "return g(a)", {"return g(b)", "return g(c)"}),
        ("variable_misuse", "d = 1\n    return d", {f"d = 1\n    return {name}" for name in "abc"}),
    ],
)
def test_examples_of_every_operator(operator: str, body: str, expected: set[str]) -> None:
    assert every(f"def h(a, b, c):\n    {body}", operator) == expected


def test_example_spans_count_utf8_bytes_from_zero_and_lines_from_one() -> None:
    defect = mutate("def h(a, b):\n    return ('é', a < b)", "compare", random.Random(0))
    # four blanks, `return (`, 'é' in quotes is 4 bytes, `, `
    assert defect == Defect("compare", "def h(a, b):\n    return ('é', a <= b)", (2, 18, 2, 24))


def test_example_a_variable_is_replaced_only_by_what_is_bound_for_certain() -> None:
    source = (
        "def h(self, a, *args):\n"
        "    if a:\n"
        "        x = 1\n"
        "    else:\n"
        "        x = y = 2\n"
        "    for z in a:\n"
        "        pass\n"
        "    return g(a)"
    )
    last = {body.rsplit("\n", 1)[1].strip() for body in every(source, "variable_misuse")}
    # x is bound on both branches; y on one, z perhaps never; self and args are never used as replacements
    assert last == {"return g(a)", "return g(x)"}


@pytest.mark.parametrize(
    "body",
    [
        "    return a < b\n    return a > b",
        "    if a < b:\n        raise a\n        return a > b\n    return a",
        "    for c in a:\n        if c:\n            continue\n            c > b\n        while c < b:\n            break\n            c > b",
        "    try:\n        return a < b\n    except E:\n        pass\n    else:\n        return a > b",
    ],
)  # fmt: skip
def test_example_what_is_never_reached_is_left_alone(body: str) -> None:
    source = f"def h(a, b):\n{body}"
    assert every(source, "compare") == {body.replace("<", "<=").strip()}


def test_example_no_expression_beside_its_equal() -> None:
    assert every("def h(a, b):\n    return a - b", "variable_misuse") == set()
    assert every("def h(a, b):\n    return g(a.x, b.x)", "variable_misuse") == set()
    assert every("def h(a, b):\n    a = b", "variable_misuse") == set()


def test_example_what_is_not_the_body_is_left_alone() -> None:
    source = "@d(1 + 2)\ndef h(a: x[1]=1 + 2) -> y[1]:\n    b: z[1] = f'{a + 1}'\n    return b"
    for operator in ("arithmetic", "constant"):
        assert mutate(source, operator, random.Random(0)) is None


def test_example_source_that_is_not_canonical_is_made_so() -> None:
    defect = mutate("def h( a,b ):\n  # why\n  return (a<b)", "compare", random.Random(0))
    assert defect is not None
    assert defect.source == "def h(a, b):\n    return a <= b"


@pytest.mark.parametrize(
    "source",
    [
        "def h(a, b):\n    elif_a = a < b\n    return elif_a",
        "def h(a, b):\n    if a:\n        return 1\n    elif a < b:\n        return 2\n    return 3",
        "def h(a, b):\n    if a < b:\n\n        @d\n        def k():\n            return a\n    return b",
        "def h(a, b):\n    while a < b:\n        a += 1\n    else:\n        a = 0\n    return a",
        "def h(a, b):\n    with a(b < 2) as c, b:\n        return c",
        "def h(a, b):\n    match a < b:\n        case True if a > b:\n            return (a < b)\n    return b",
        'def h(a, b):\n    return a < b and f"""{a}\n    if {b}:\n"""',
    ],
)
def test_example_a_change_writes_its_own_statement_anew_and_nothing_else(source: str) -> None:
    canonical = ast.unparse(ast.parse(source)).strip("\n")
    made = [mutate(source, "compare", random.Random(seed)) for seed in range(20)]
    texts = {each.source for each in made if each is not None}
    assert len(texts) == sum(isinstance(node, ast.Compare) for node in ast.walk(ast.parse(source)))
    for text in texts:
        assert ast.unparse(ast.parse(text)).strip("\n") == text
        before, after = canonical.split("\n"), text.split("\n")
        assert sum(old != new for old, new in zip(before, after, strict=True)) == 1


def test_errors() -> None:
    with pytest.raises(ValueError, match='unknown defect operator "arithmetics"; known: arithmetic, boolean'):
        mutate("def h(): pass", "arithmetics", random.Random(0))
    with pytest.raises(ValueError, match="no function"):
        sites("x = 1")
    with pytest.raises(SyntaxError):
        sites("def")


def tokens(source: str) -> Counter[str]:
    return Counter(token.string for token in tokenize.generate_tokens(io.StringIO(source + "\n").readline))


def test_law_pairs_are_balanced_deterministic_and_hold_no_original(real: list[Function]) -> None:
    real = real[::3]
    made = pairs(real, seed=7)
    assert made == pairs(real, seed=7)
    assert made != pairs(real, seed=8)
    order = {row.record_id: position for position, row in enumerate(real)}
    assert [order[pair.record_id] for pair in made] == sorted({order[pair.record_id] for pair in made})
    by_id = {row.record_id: row for row in real}
    originals = {row.source for row in real}
    for pair in made:
        assert pair.original == by_id[pair.record_id].source
        assert pair.mutant not in originals
        assert (pair.distribution, pair.module) == ("python", by_id[pair.record_id].module)
    used = Counter(pair.operator for pair in made)
    assert set(used) == set(OPERATORS)
    plenty = [used[name] for name in ("boolean", "compare", "swap_arguments", "variable_misuse")]
    assert max(plenty) <= 1.15 * min(plenty)
    assert len(made) > 0.8 * len(real)


def test_law_no_direction_of_a_change_outweighs_its_reverse(real: list[Function]) -> None:
    exchanged: Counter[tuple[str, ...]] = Counter()
    for pair in pairs(real[1::2], seed=3):
        if pair.operator in ("arithmetic", "compare"):
            before, after = tokens(pair.original), tokens(pair.mutant)
            lost, gained = sorted((before - after).elements()), sorted((after - before).elements())
            exchanged[" ".join(lost), " ".join(gained)] += 1
    assert len(exchanged) >= 8
    for (lost, gained), count in exchanged.items():
        assert abs(count - exchanged[gained, lost]) <= 1, (lost, gained)


def test_law_pairs_of_one_function_use_different_operators(real: list[Function]) -> None:
    by_function: dict[str, list[str]] = {}
    for pair in pairs(real[:150], seed=1, per_function=3):
        by_function.setdefault(pair.record_id, []).append(pair.operator)
    assert max(map(len, by_function.values())) == 3
    for operators in by_function.values():
        assert len(set(operators)) == len(operators)


def test_example_a_mutant_that_is_another_original_is_dropped(real: list[Function]) -> None:
    def row(name: str, source: str) -> Function:
        return Function(name, "d", "1", "MIT", "m", "m.py", name, 1, 2, source, "", (), source, ast_hash(source))

    less, at_most = row("a", "def f(a, b):\n    return a < b"), row("b", "def g(x, y):\n    return x <= y")
    assert [pair.operator for pair in pairs([less], seed=0)] == ["compare"]
    assert pairs([less, at_most], seed=0) == []
