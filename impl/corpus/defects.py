"""One injected defect per function, of eight named kinds, with the exact place of the changed node.

A mutant must compile, must differ, and must not give itself away: original and mutant both go through
`ast.unparse`, only the body is touched, and whatever a rule on one token could see is not produced.
Labels come from here and never from a model.

What each operator does, and how close it stays to an artefact:

    arithmetic       + <-> -, * <-> /, / <-> // of numbers (never with a text, list or tuple display in the
                     chain); also as augmented assignment
    boolean          and <-> or, and a condition x <-> not x: near an artefact
    compare          < <-> <=, > <-> >=, == <-> !=, is <-> is not, in <-> not in: one link of a comparison
    constant         n -> n + 1 or n - 1, True <-> False, where the result still could have been written: no
                     `x + 0`, `x // 1`, `while False`, `len(x) > -1`
    missing_return   return f(x) -> f(x), where another return with a value remains: near an artefact, a
                     branch rarely ends in a bare call; calls and awaits only, other bare expressions show
    swap_arguments   two different positional arguments of one call (never of max, min, super and the like)
    swap_operands    x - y -> y - x, and / // % ** @ << >>; neither side a constant: `1 - x` for `x - 1` shows
    variable_misuse  a local or parameter read in place of another that is bound at that point, never self,
                     cls, *args or **kwargs

A change that has a direction (+ to -, 0 to 1, is to is not) would show by its rarer token alone: `pairs` makes
as many in one direction as in the other, within one call. No mutant holds an expression beside its equal
(x - x, f(a, a), a == a) unless the original does at that place. Nothing inside f-strings, decorators, defaults,
annotations or patterns is touched, nor what stands after a return, raise, continue or break of its own block. Spans
are those of `ast`: lines from 1, columns from 0 in UTF-8 bytes, end exclusive; a negative number is one node, sign and
all.
"""

import ast
import copy
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from corpus import mutations
from corpus.functions import Function, node_hash
from corpus.mutations import Change, Step, same
from corpus.parsing import FunctionNode, compiles, function_node, parse, unparse

OPERATORS: Final = (
    "arithmetic",
    "boolean",
    "compare",
    "constant",
    "missing_return",
    "swap_arguments",
    "swap_operands",
    "variable_misuse",
)

Span = tuple[int, int, int, int]

_SLACK: Final = 1  # pairs that one direction of a change may be ahead of the other


@dataclass(frozen=True, slots=True)
class Site:
    """A place where an operator can act: the span of the node it would change, in the canonical source."""

    operator: str
    span: Span


@dataclass(frozen=True, slots=True)
class Defect:
    """A mutant's source, canonical, and the span of the changed node in it."""

    operator: str
    source: str
    span: Span


@dataclass(frozen=True, slots=True)
class Pair:
    """An original and its mutant, both canonical; `record_id` is the function's, `span` is in the mutant."""

    record_id: str
    distribution: str
    module: str
    operator: str
    original: str
    mutant: str
    span: Span


def sites(source: str) -> list[Site]:
    """Every place where an operator can act, in canonical coordinates, ordered by span and operator.

    Raises SyntaxError where `source` does not parse, ValueError where it defines no function.
    """
    return sorted(
        {Site(change.operator, _span(change.path[-1].node)) for change in _Subject(source).changes},
        key=lambda site: (site.span, site.operator),
    )


def mutate(source: str, operator: str, rng: random.Random) -> Defect | None:
    """One mutant by this operator at a place that `rng` chooses; None where it cannot act.

    The mutant compiles, its tree differs from the source's, and the span is that of the changed node in it.
    Raises ValueError for an unknown operator, and what `sites` raises.
    """
    if operator not in OPERATORS:
        raise ValueError(f'unknown defect operator "{operator}"; known: {", ".join(OPERATORS)}')
    return _Subject(source).mutant(operator, rng)


def mutants(source: str, rng: random.Random, most: int, used: Counter[str] | None = None) -> list[Defect]:
    """Up to `most` different mutants of one function, operators that `used` counts least first, and counted there.

    Raises what `sites` raises.
    """
    used = Counter() if used is None else used
    subject = _Subject(source)
    possible = subject.operators()
    rng.shuffle(possible)
    possible.sort(key=lambda operator: used[operator])
    sources = [subject.mutants(operator, rng) for operator in possible]
    found: dict[str, Defect] = {}
    while sources and len(found) < most:
        for each in list(sources):
            made = next(each, None)
            if made is None:
                sources.remove(each)
            elif made[1].source not in found and len(found) < most:
                found[made[1].source] = made[1]
                used[made[1].operator] += 1
    return list(found.values())


def pairs(functions: Iterable[Function], seed: int, per_function: int = 1) -> list[Pair]:
    """Originals with mutants, `per_function` different operators each, operators as even as the code allows.

    Functions are taken in an order shuffled by `seed`, and each is given the least used operator that can act
    on it, in the direction that is behind its reverse. A mutant that equals another original is dropped. The
    result is in the order of `functions`, and a pure function of its arguments.
    """
    rows = list(functions)
    originals = Counter(row.ast_hash for row in rows)
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    used: Counter[str] = Counter()
    lead = _Lead()
    made: dict[int, list[Pair]] = {}
    for index in order:
        row = rows[index]
        rng = random.Random(f"{seed} {row.record_id}")
        try:
            subject = _Subject(row.source, canonical=True)
        except (SyntaxError, ValueError, RecursionError):
            continue
        possible = subject.operators()
        rng.shuffle(possible)
        possible.sort(key=lambda operator: used[operator])
        chosen: list[Pair] = []
        for operator in possible:
            if len(chosen) == per_function:
                break
            made_now = next(
                (
                    (change, defect)
                    for change, defect, node in subject.mutants(operator, rng, lead.rank)
                    if not _is_an_original(defect, node, row, originals)
                ),
                None,
            )
            if made_now is None:
                continue
            change, defect = made_now
            used[operator] += 1
            lead.count(change)
            chosen.append(
                Pair(
                    record_id=row.record_id,
                    distribution=row.distribution,
                    module=row.module,
                    operator=operator,
                    original=subject.source,
                    mutant=defect.source,
                    span=defect.span,
                )
            )
        if chosen:
            made[index] = chosen
    return [pair for index in sorted(made) for pair in made[index]]


def _is_an_original(defect: Defect, node: FunctionNode, row: Function, originals: Counter[str]) -> bool:
    digest = node_hash(node)
    if digest != row.ast_hash:
        return digest in originals
    # The normal form hides constants, so a changed constant has its own original's hash; any other operator
    # that arrives there has only renamed, and a second function of that form may be the very mutant.
    return defect.operator != "constant" or originals[digest] > 1


# -- one function under mutation -------------------------------------------------------------------


class _Lead:
    """How far each direction of a change is ahead of its reverse."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def rank(self, change: Change) -> int | None:
        if not change.before:
            return 0
        ahead = self._counts[change.operator, change.before, change.after]
        behind = self._counts[change.operator, change.after, change.before]
        return None if ahead - behind >= _SLACK else ahead - behind

    def count(self, change: Change) -> None:
        self._counts[change.operator, change.before, change.after] += 1


class _Subject:
    """A function in canonical form with everything that can be done to it; a mutant leaves it as it was."""

    def __init__(self, source: str, canonical: bool = False) -> None:
        self.source, self.node = (source, function_node(source)) if canonical else _canonical(source)
        self._lines = self.source.split("\n")
        self.changes = mutations.changes(self.node)

    def operators(self) -> list[str]:
        present = {change.operator for change in self.changes}
        return [operator for operator in OPERATORS if operator in present]

    def mutant(self, operator: str, rng: random.Random) -> Defect | None:
        return next((defect for _, defect, _ in self.mutants(operator, rng)), None)

    def mutants(
        self, operator: str, rng: random.Random, rank: Callable[[Change], int | None] | None = None
    ) -> Iterator[tuple[Change, Defect, FunctionNode]]:
        """Mutants by this operator as `rng` orders them, lowest `rank` first; rank None is passed over.

        With each the change that made it, and its own tree, which is the caller's.
        """
        changes = [change for change in self.changes if change.operator == operator]
        rng.shuffle(changes)
        if rank is not None:
            ranked = [(rank(change), position) for position, change in enumerate(changes)]
            changes = [changes[position] for value, position in sorted(_known(ranked))]
        for change in changes:
            made = self._apply(change, rng)
            if made is not None:
                yield change, *made

    def _apply(self, change: Change, rng: random.Random) -> tuple[Defect, FunctionNode] | None:
        new = change.replacement(rng)
        steps = change.path
        parent = steps[-2].node
        _put(parent, steps[-1], new)
        try:
            if _has_twin(steps, new):
                return None
            place = max(place for place, step in enumerate(steps) if isinstance(step.node, ast.stmt))
            before = steps[place].node
            meant = new if before is steps[-1].node else before
            assert isinstance(before, ast.stmt)
            assert isinstance(meant, ast.stmt)
            text = self._with(before, meant)
            if text == self.source:
                return None
            tree = parse(text)
            # The text must mean the tree that was meant: precedence and literals are where it could differ.
            if len(tree.body) != 1 or not _same_head(_reached(tree, steps[1 : place + 1]), meant):
                return None
        except (SyntaxError, ValueError):
            return None
        finally:
            _put(parent, steps[-1], steps[-1].node)
        if not compiles(tree):
            return None
        node = tree.body[0]
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        return Defect(change.operator, text, _span(_reached(tree, steps[1:]))), node

    def _with(self, before: ast.stmt, after: ast.stmt) -> str:
        """The canonical text with one statement, or the head of one, written anew: a tenth of all of it, or less."""
        if isinstance(before, ast.Match):  # its change may be in any of its cases
            return unparse(self.node)
        last = before.end_lineno
        body = getattr(before, "body", None)
        if body:
            last = min(each.lineno for each in (body[0], *getattr(body[0], "decorator_list", ()))) - 1
            while not self._lines[last - 1]:  # before a definition
                last -= 1
            after = copy.copy(after)
            for field in _BLOCKS:
                setattr(after, field, [])
        text = unparse(after)
        if isinstance(before, ast.If) and self._lines[before.lineno - 1].startswith("elif", before.col_offset):
            text = f"el{text}"
        return "\n".join([*self._lines[: before.lineno - 1], " " * before.col_offset + text, *self._lines[last:]])


_BLOCKS: Final = ("body", "orelse")


def _same_head(first: ast.AST, second: ast.AST) -> bool:
    """Whether two statements are written alike, blocks aside."""
    fields = [field for field in second._fields if field not in _BLOCKS]
    return type(first) is type(second) and all(same(getattr(first, each), getattr(second, each)) for each in fields)


def _reached(tree: ast.Module, steps: Sequence[Step]) -> ast.AST:
    """The node at the end of `steps`, which begin in the one function of `tree`."""
    found: ast.AST = tree.body[0]
    for step in steps:
        value = getattr(found, step.field)
        found = value if step.index is None else value[step.index]
    return found


def _known(ranked: Iterable[tuple[int | None, int]]) -> Iterator[tuple[int, int]]:
    return ((value, position) for value, position in ranked if value is not None)


def _canonical(source: str) -> tuple[str, FunctionNode]:
    """`source` as `ast.unparse` writes it, and its tree with the positions of that text."""
    node = function_node(source)
    text = unparse(node)
    return (source, node) if text == source else (text, function_node(text))


def _put(parent: ast.AST, step: Step, node: ast.AST) -> None:
    if step.index is None:
        setattr(parent, step.field, node)
    else:
        getattr(parent, step.field)[step.index] = node


def _span(node: ast.AST) -> Span:
    assert isinstance(node, ast.expr | ast.stmt)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _has_twin(steps: Sequence[Step], new: ast.AST) -> bool:
    """Whether, at any level of its statement, the changed branch now equals a sibling."""
    branch = new
    for step in reversed(steps[:-1]):
        parent = step.node
        if isinstance(branch, ast.expr):
            siblings = (each for each in _operands(parent) if each is not branch)
            if any(same(each, branch) for each in siblings):
                return True
        if isinstance(parent, ast.stmt):
            return False
        branch = parent
    return False


def _operands(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that stand beside one another in a node; a keyword argument stands for its value."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.keyword):
            yield child.value
        elif isinstance(child, ast.expr):
            yield child
