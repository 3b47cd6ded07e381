"""The 978 columns that describe one node of a code graph, each with a name and the formula it is computed by.

A pure function of the source text: no vocabulary, no state, no random numbers. Rows are sparse and never empty.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from graphsage import graph as g
from graphsage.graph import KIND, KINDS, LITERAL, LITERALS, OPERATORS, SLOT, SLOTS, CodeGraphs, Ints

Hashes = NDArray[np.uint64]
#: What a block contributes: (rows, columns inside the block, values or None for ones).
Entries = tuple[Ints, Ints, NDArray[np.float32] | None]
#: What a hashed block contributes: (rows, keys); `extract` turns the keys of all such blocks into buckets at once.
Keys = tuple[Ints, Hashes]

CATEGORIES = {
    "identity": 50,
    "structural": 100,
    "complexity": 100,
    "dependency": 150,
    "context": 100,
    "semantic": 200,
    "quality": 100,
    "temporal": 50,
    "statistical": 124,
    "language": 4,
}
WIDTH = 978
_ROW = 1024  # a key is the row times this, plus the column


@dataclass(frozen=True, slots=True)
class Column:
    """One feature. `lexical` says that its value depends on how identifiers are spelt."""

    name: str
    category: str
    formula: str
    lexical: bool


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Feature rows in compressed form: row i holds columns[indptr[i]:indptr[i + 1]] with those values."""

    indptr: Ints  # (N + 1,)
    columns: NDArray[np.int16]  # (nnz,) sorted inside a row, each column at most once
    values: NDArray[np.float32]  # (nnz,) never zero

    def dense(self) -> NDArray[np.float32]:
        """(N, 978) array."""
        rows = np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))
        out = np.zeros((len(self.indptr) - 1, WIDTH), dtype=np.float32)
        out[rows, self.columns] = self.values
        return out


# ---------------------------------------------------------------------------------------------------------------
# What the blocks look at


_M1, _M2, _M3 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)
_S29, _S32 = np.uint64(29), np.uint64(32)


def mix(first: Hashes, *rest: Hashes | Ints) -> Hashes:
    """One 64-bit hash of several integers, row by row; the order matters."""
    out = first * _M1
    for other in rest:
        out = (out ^ (out >> _S29)) * _M2 + other.astype(np.uint64) * _M3
    out = (out ^ (out >> _S32)) * _M1
    return out ^ (out >> _S29)


def _bucket(value: Ints, edges: tuple[int, ...]) -> Ints:
    """Index of the half-open bucket: below edges[0], [edges[0], edges[1]), ..., from edges[-1] on."""
    return _array(edges).searchsorted(value, side="right")


@cache
def _array(values: tuple[int, ...]) -> Ints:
    return np.array(values, dtype=np.int64)


def _table(items: tuple[str, ...]) -> Callable[[tuple[str, ...]], NDArray[np.bool_]]:
    """Names -> table over the items, True for those named."""
    return cache(lambda names: np.isin(items, names))


_KINDS, _SLOTS, _OPERATORS = _table(KINDS), _table(SLOTS), _table(OPERATORS)


_OPERATIONS = np.isin(
    np.arange(len(KINDS)),
    [
        KIND[name]
        for name in (
            *("BinOp", "Compare", "BoolOp", "UnaryOp", "AugAssign", "Subscript", "Call", "Assign", "Return", "IfExp"),
            *("If", "While", "keyword", "Assert"),
        )
    ],
)


class View:
    """A batch of graphs with the derived arrays that several blocks share; all of shape (N,)."""

    def __init__(self, graphs: CodeGraphs) -> None:
        self.g = graphs
        self.n = len(graphs.kind)
        self.nodes = np.arange(self.n, dtype=np.int64)
        self.up = np.where(graphs.parent < 0, self.nodes, graphs.parent)  # parent; a root is its own
        self.up2 = self.up[self.up]
        self.is_root = graphs.parent < 0
        self.graph = np.repeat(np.arange(len(graphs), dtype=np.int64), np.diff(graphs.start))
        self.root = graphs.start[:-1][self.graph]
        self.leaf = graphs.size == 1
        self.first = np.where(self.leaf, self.nodes, np.minimum(self.nodes + 1, self.n - 1))  # first child or itself
        # what the node is about: the last word of its name, its operator or value, at least its kind
        self.noun = mix(graphs.noun, graphs.kind)

    @cached_property
    def siblings(self) -> tuple[Ints, Ints]:
        """Next and previous sibling in order of execution; the node itself where there is none."""
        after = self.nodes + self.g.size
        inside = np.minimum(after, self.n - 1)
        has = (after < self.n) & (self.g.parent[inside] == self.g.parent) & ~self.is_root
        following = np.where(has, inside, self.nodes)
        previous = self.nodes.copy()
        previous[following[has]] = self.nodes[has]
        return following, previous

    @cached_property
    def second(self) -> Ints:
        """Second child; the first one where there is only one; the node itself at a leaf."""
        return self.siblings[0][self.first]

    @cached_property
    def children(self) -> Ints:
        return np.bincount(self.g.parent[~self.is_root], minlength=self.n)

    @cached_property
    def ends(self) -> Ints:
        """(N,) one past the last node of each subtree."""
        return self.nodes + self.g.size

    @cached_property
    def depth(self) -> Ints:
        """How many nodes are above each: of those that begin before it, the ones that have not ended."""
        return self.nodes - np.bincount(self.ends, minlength=self.n + 1)[: self.n].cumsum()

    def inherited(self, own: Ints) -> Ints:
        """Bit masks with those of all ancestors added."""
        above = self.up
        while True:
            own = own | own[above]
            if self.is_root[above].all():
                return own
            above = above[above]

    def inherited_count(self, flag: NDArray[np.bool_]) -> Ints:
        """How many of the node and its ancestors carry the flag."""
        return flag.cumsum() - np.bincount(self.ends[flag], minlength=self.n + 1)[: self.n].cumsum()

    @cached_property
    def is_statement(self) -> NDArray[np.bool_]:
        return (self.g.kind < KIND["BoolOp"]) | (self.g.flags & g.STATEMENT > 0)

    @cached_property
    def statement(self) -> Ints:
        """The nearest statement: the node itself or an ancestor (the root where there is none)."""
        target = np.where(self.is_statement, self.nodes, self.up)
        while True:
            further = target[target]
            if np.array_equal(further, target):
                return target
            target = further

    def below(self, flags: Sequence[NDArray[np.bool_]], rows: Ints) -> Ints:
        """(flags, rows) how many nodes of the subtrees of the rows (the row left out) carry each flag."""
        total = np.zeros((len(flags), self.n + 1), dtype=np.int64)
        np.cumsum(flags, axis=1, out=total[:, 1:])
        return total[:, self.ends[rows]] - total[:, rows + 1]

    def kinds(self, *names: str) -> NDArray[np.bool_]:
        return _KINDS(names).take(self.g.kind)

    def slots(self, *names: str) -> NDArray[np.bool_]:
        return _SLOTS(names).take(self.g.slot)

    def operators(self, *names: str) -> NDArray[np.bool_]:
        return _OPERATORS(names).take(self.g.operator)

    def flag(self, mask: int) -> NDArray[np.bool_]:
        return (self.g.flags & mask).astype(bool)

    @cached_property
    def is_variable(self) -> NDArray[np.bool_]:
        return self.flag(g.VARIABLE)

    @cached_property
    def is_write(self) -> NDArray[np.bool_]:
        return self.flag(g.STORE | g.DELETE)

    @cached_property
    def variables(self) -> Ints:
        return self.is_variable.nonzero()[0]

    @cached_property
    def operations(self) -> tuple[Ints, Hashes]:
        """Nodes that combine others, and their operator (kind where they have none)."""
        rows = np.flatnonzero(_OPERATIONS[self.g.kind])
        return rows, (self.g.kind * 32 + self.g.operator)[rows].astype(np.uint64)

    @cached_property
    def next_use(self) -> Ints:
        """Next occurrence of the same variable, or -1."""
        out = np.full(self.n, -1, dtype=np.int64)
        known = self.g.last_use >= 0
        out[self.g.last_use[known]] = self.nodes[known]
        return out

    @cached_property
    def chain(self) -> tuple[Ints, Ints, Ints]:
        """(reads, writes, first occurrence) of the variable that a node belongs to."""
        first = np.where(self.g.last_use >= 0, self.g.last_use, self.nodes)
        while True:
            further = first[first]
            if np.array_equal(further, first):
                break
            first = further
        variable, write = self.is_variable, self.is_write
        reads = np.bincount(first[variable & ~write], minlength=self.n)[first]
        writes = np.bincount(first[variable & write], minlength=self.n)[first]
        return reads, writes, first


# ---------------------------------------------------------------------------------------------------------------
# The blocks, in the order of the columns


@dataclass(frozen=True, slots=True)
class _Block:
    columns: tuple[Column, ...]
    compute: Callable[[View], Any]  # Entries, or Keys where it is hashed
    buckets: int = 0  # that a key of a hashed block falls into


_BLOCKS: list[_Block] = []


_Compute = TypeVar("_Compute", bound=Callable[[View], Any])


def _block(
    category: str, name: str, items: Sequence[str], formula: str, lexical: bool = False, buckets: int = 0
) -> Callable[[_Compute], _Compute]:
    """Register the columns `category.name.item`; '{}' in the formula stands for the item."""

    def register(compute: _Compute) -> _Compute:
        columns = tuple(
            Column(f"{category}.{name}.{item}", category, formula.replace("{}", item), lexical) for item in items
        )
        _BLOCKS.append(_Block(columns, compute, buckets))
        return compute

    return register


def _hashed(
    category: str, name: str, width: int, key: str, buckets: int = 2, lexical: bool = False
) -> Callable[[Callable[[View], Keys]], Callable[[View], Keys]]:
    """Register `width` signed hash buckets; a pair of buckets names a key far less ambiguously than one does."""
    told = "sum over the keys that fall there of +1 or -1; " + ("two buckets a key; " if buckets == 2 else "")
    formula = f"signed hash bucket {{}}: {told}{key}"
    return _block(category, name, [f"{index:02d}" for index in range(width)], formula, lexical, buckets)


def _buckets(edges: Sequence[int]) -> list[str]:
    """Names of the buckets of `_bucket` for counts from 0."""
    low = [0, *edges]
    names = [str(a) if b - a == 1 else f"{a}_to_{b - 1}" for a, b in itertools.pairwise(low)]
    return [*names, f"{edges[-1]}_up"]


def _one(rows: Ints, columns: Ints) -> Entries:
    return rows, columns, None


def _where(flags: Sequence[NDArray[np.bool_]]) -> Entries:
    """One column per flag."""
    columns, rows = np.divmod(np.concatenate(flags).nonzero()[0], len(flags[0]))
    return rows, columns, None


def _join(*parts: tuple[Ints, Ints]) -> Entries:
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([columns for _, columns in parts]), None


@_block("identity", "kind", KINDS, "1 if the node is a {}")
def _kind(v: View) -> Entries:
    return _one(v.nodes, v.g.kind)


#: Slots that one kind of node fills alone would repeat that kind's column.
_OPEN_SLOTS = tuple(s for s in SLOTS if s not in {"root", "parameter", "keyword", "handler", "generator"})
_OPEN_SLOT = np.array([_OPEN_SLOTS.index(s) if s in _OPEN_SLOTS else -1 for s in SLOTS], dtype=np.int64)


@_block("structural", "slot", _OPEN_SLOTS, "1 if the node fills the slot '{}' of its parent")
def _slot(v: View) -> Entries:
    column = _OPEN_SLOT[v.g.slot]
    rows = np.flatnonzero(column >= 0)
    return _one(rows, column[rows])


@_block("structural", "position", _buckets([1, 2, 3, 4]), "1 if {} nodes of the same slot stand before it")
def _position(v: View) -> Entries:
    return _one(v.nodes, np.minimum(v.g.position, 4))


@_block("structural", "from_end", ["last", "last_but_one"], "1 if the node is the {} of its parent's children")
def _from_end(v: View) -> Entries:
    following = v.siblings[0]
    last = (following == v.nodes) & ~v.is_root
    return _where([last, ~last & last[following] & ~v.is_root])


@_block("structural", "children", ["1", "2", "3", "4", "5_to_8", "9_up"], "1 if the node has {} children")
def _children(v: View) -> Entries:
    rows = np.flatnonzero(v.children)
    return _one(rows, _bucket(v.children[rows], (2, 3, 4, 5, 9)))


@_block("structural", "depth", _buckets([1, 2, 3, 4, 5, 7, 10]), "1 if {} nodes are above it")
def _depth(v: View) -> Entries:
    return _one(v.nodes, _bucket(v.depth, (1, 2, 3, 4, 5, 7, 10)))


@_block(
    "structural",
    "size",
    ["2_to_3", "4_to_6", "7_to_12", "13_to_25", "26_to_60", "61_up"],
    "1 if its subtree has {} nodes",
)
def _size(v: View) -> Entries:
    rows = np.flatnonzero(~v.leaf)
    return _one(rows, _bucket(v.g.size[rows], (4, 7, 13, 26, 61)))


@_hashed("structural", "path_hash", 10, "key = kinds and slots of node, parent and grandparent", buckets=1)
def _path(v: View) -> Keys:
    kind, slot = v.g.kind, v.g.slot
    return v.nodes, mix(kind.astype(np.uint64), slot, kind[v.up], slot[v.up], kind[v.up2])


@_hashed(
    "structural", "following_hash", 30, "key = operator or kind of the node, its slot, and the kind of its next sibling"
)
def _following(v: View) -> Keys:
    rows, what = v.operations
    return rows, mix(what, v.g.slot[rows], v.g.kind[v.siblings[0][rows]])


_COUNT_EDGES = (1, 3, 7)
_MEASURES = ("decisions", "calls", "returns", "operators", "reads", "writes")


@_block(
    "complexity",
    "below",
    [f"{measure}_{bucket}" for measure in _MEASURES for bucket in _buckets(_COUNT_EDGES)],
    "at functions, classes, branches, loops, try and with: 1 if the subtree holds that many: {}",
)
def _below(v: View) -> Entries:
    rows = np.flatnonzero(
        v.kinds("FunctionDef", "ClassDef", "Module", "For", "While", "If", "With", "Match", "Try", "Lambda")
    )
    flags = (
        v.kinds("If", "For", "While", "IfExp", "ExceptHandler", "BoolOp", "comprehension", "Match"),
        v.kinds("Call"),
        v.kinds("Return"),
        v.g.operator > 0,
        v.is_variable & ~v.is_write,
        v.is_write,
    )
    buckets = _bucket(v.below(flags, rows), _COUNT_EDGES) + 4 * np.arange(len(flags))[:, None]
    return np.tile(rows, len(flags)), buckets.ravel(), None


@_hashed(
    "complexity",
    "operation_hash",
    76,
    "key = what is computed from what: kind and operator of the node, kind and literal class of its first two "
    "children, kind and slot of its parent",
)
def _operation(v: View) -> Keys:
    rows = np.flatnonzero(~v.leaf)
    shape = v.g.kind * 32 + v.g.literal
    key = mix(
        (v.g.kind * 32 + v.g.operator)[rows].astype(np.uint64),
        shape[v.first[rows]],
        shape[v.second[rows]],
        (v.g.kind[v.up] * 64 + v.g.slot)[rows],
    )
    return rows, key


_BINDINGS = (
    *("parameter", "assignment", "augmented_assignment", "annotated_assignment", "for", "comprehension"),
    *("with", "except", "import", "definition", "walrus_or_pattern", "nothing_builtin", "nothing"),
)


@_block("dependency", "bound_by", _BINDINGS, "variable: 1 if its most recent write is made by {}", lexical=True)
def _bound_by(v: View) -> Entries:
    rows = v.variables
    table = np.full(len(KINDS), _BINDINGS.index("walrus_or_pattern"), dtype=np.int64)
    for kind, binding in {
        "arg": "parameter",
        "ExceptHandler": "except",
        "Import": "import",
        "FunctionDef": "definition",
        "ClassDef": "definition",
    }.items():
        table[KIND[kind]] = _BINDINGS.index(binding)
    by_parent = table.copy()
    for kind, binding in {
        "Assign": "assignment",
        "AugAssign": "augmented_assignment",
        "AnnAssign": "annotated_assignment",
        "For": "for",
        "comprehension": "comprehension",
        "With": "with",
    }.items():
        by_parent[KIND[kind]] = _BINDINGS.index(binding)
    write = v.g.last_write[rows]
    # targets sit in tuples, lists and stars: look above them
    holder = v.up.copy()
    for _ in range(3):
        holder = np.where(v.kinds("Tuple", "List", "Starred")[holder], v.up[holder], holder)
    at = np.maximum(write, 0)
    named = v.kinds("Name", "Attribute")[at]
    bound = np.where(named, by_parent[v.g.kind[holder[at]]], table[v.g.kind[at]])
    builtin = v.flag(g.BUILTIN)[rows]
    unbound = np.where(builtin, _BINDINGS.index("nothing_builtin"), _BINDINGS.index("nothing"))
    return _one(rows, np.where(write >= 0, bound, unbound))


@_block("dependency", "writes", _buckets([1, 2, 3]), "variable: 1 if the source writes it {} times")
def _writes(v: View) -> Entries:
    rows = v.variables
    return _one(rows, np.minimum(v.chain[1][rows], 3))


@_block("dependency", "reads", _buckets([1, 2, 3, 4, 7]), "variable: 1 if the source reads it {} times")
def _reads(v: View) -> Entries:
    rows = v.variables
    return _one(rows, _bucket(v.chain[0][rows], (1, 2, 3, 4, 7)))


@_block("dependency", "arguments", _buckets([1, 2, 3, 4, 5]), "call: 1 if it passes {} positional arguments")
def _arguments(v: View) -> Entries:
    rows = np.flatnonzero(v.kinds("Call"))
    return _one(rows, np.minimum(v.g.arity[rows] % 256, 5))


@_block("dependency", "keywords", _buckets([1, 2, 3]), "call: 1 if it passes {} keyword arguments")
def _keywords(v: View) -> Entries:
    rows = np.flatnonzero(v.kinds("Call"))
    return _one(rows, np.minimum(v.g.arity[rows] // 256, 3))


_BASES = ("self", "written_name", "free_name", "attribute", "call", "subscript", "other")


def _base_class(v: View, of: Ints) -> Ints:
    """Index in _BASES of the nodes `of`."""
    table = np.full(len(KINDS), 6, dtype=np.int64)
    table[[KIND["Name"], KIND["Attribute"], KIND["Call"], KIND["Subscript"]]] = (2, 3, 4, 5)
    out = table[v.g.kind[of]]
    out = np.where((out == 2) & (v.g.last_write[of] >= 0), 1, out)
    return np.where((v.g.known[of] == 0) | (v.g.known[of] == 1), 0, out)


@_block("dependency", "base", _BASES, "attribute: 1 if it is taken from a {}", lexical=True)
def _base(v: View) -> Entries:
    rows = np.flatnonzero(v.kinds("Attribute"))
    return _one(rows, _base_class(v, v.first[rows]))


_CALLEES = ("builtin", "local_name", "free_name", "method_of_self", "method_of_name", "method_of_other", "other")


@_block("dependency", "callee", _CALLEES, "call: 1 if what is called is a {}", lexical=True)
def _callee(v: View) -> Entries:
    rows = np.flatnonzero(v.kinds("Call"))
    function = v.first[rows]
    base = _base_class(v, v.first[function])
    name, attribute = v.g.kind[function] == KIND["Name"], v.g.kind[function] == KIND["Attribute"]
    plain = np.where(v.g.last_write[function] >= 0, 1, np.where(v.flag(g.BUILTIN)[function], 0, 2))
    method = np.where(base == 0, 3, np.where(base <= 2, 4, 5))
    return _one(rows, np.where(name, plain, np.where(attribute, method, 6)))


@_block(
    "dependency",
    "is",
    ["call_of_known", "call_of_definition", "optional_parameter", "annotated_parameter"],
    "1 if the node is a {}: a callee met before in the source, a function defined in it, a parameter with a default, "
    "one with an annotation",
)
def _is(v: View) -> Entries:
    known = v.g.callee >= 0
    definition = known & v.kinds("FunctionDef", "ClassDef")[np.maximum(v.g.callee, 0)]
    argument = v.kinds("arg")
    optional = argument & (v.g.slot[v.siblings[0]] == SLOT["default"])
    return _where([known & ~definition, definition, optional, argument & ~v.leaf])


@_hashed(
    "dependency",
    "parent_hash",
    51,
    "key = last word of the node's name and of its parent's name (operator, literal or kind where there is none), "
    "and the slot between them",
    lexical=True,
)
def _parent(v: View) -> Keys:
    rows = np.flatnonzero(~v.is_root)
    return rows, mix(v.noun[rows], v.noun[v.up[rows]], v.g.slot[rows])


@_hashed(
    "dependency",
    "argument_hash",
    48,
    "key = argument of a call: whole name of the callee, place or keyword, last word of the argument",
    lexical=True,
)
def _argument(v: View) -> Keys:
    plain = v.g.slot == SLOT["argument"]
    named = (v.g.slot == SLOT["value"]) & (v.g.kind[v.up] == KIND["keyword"])
    rows = np.flatnonzero(plain | named)
    call = np.where(plain, v.up, v.up2)[rows]
    place = np.where(plain, v.g.position.astype(np.uint64), v.g.symbol[v.up])[rows]
    return rows, mix(v.g.symbol[call], place, v.noun[rows])


_SURROUNDINGS = (
    *("loop_body", "condition", "else_branch", "try_body", "handler", "finally", "with_body", "comprehension"),
    *("lambda", "nested_function", "exception_cause", "message", "called", "call_argument", "keyword_value"),
    *("index", "default", "annotation", "formatted_string", "assigned_value", "written_target", "bound"),
    *("class_body", "with_item"),
)


@_block("context", "inside", _SURROUNDINGS, "1 if the node or an ancestor is in the place '{}'")
def _inside(v: View) -> Entries:
    above = np.where(v.is_root, KIND["Module"], v.g.kind[v.up])
    own = _PLACE[above, v.g.slot]
    nested = v.kinds("FunctionDef") & ~v.is_root
    own = own | (nested.astype(np.int64) << _SURROUNDINGS.index("nested_function"))
    mask = v.inherited(own)
    return _where(mask & _BITS != 0)


def _places() -> Ints:
    """(kinds of the parent, slots) -> bit of _SURROUNDINGS that the slot opens."""
    table = np.zeros((len(KINDS), len(SLOTS)), dtype=np.int64)
    for name, kinds, slots in (
        ("loop_body", ("For", "While"), ("body",)),
        ("condition", ("If", "While", "IfExp", "comprehension"), ("test", "condition")),
        ("else_branch", ("If", "For", "While", "IfExp", "Try"), ("orelse",)),
        ("try_body", ("Try",), ("body",)),
        ("handler", ("Try",), ("handler",)),
        ("finally", ("Try",), ("finalbody",)),
        ("with_body", ("With",), ("body",)),
        ("comprehension", ("ListComp", "DictComp", "GeneratorExp", "Set"), ("element", "generator", "key", "entry")),
        ("lambda", ("Lambda",), ("body",)),
        ("exception_cause", ("Raise",), ("cause",)),
        ("message", ("Assert",), ("message",)),
        ("called", ("Call",), ("func",)),
        ("call_argument", ("Call",), ("argument",)),
        ("keyword_value", ("keyword",), ("value",)),
        ("index", ("Subscript",), ("index",)),
        ("default", ("FunctionDef", "Lambda"), ("default", "decorator")),
        ("annotation", KINDS, ("annotation", "returns")),
        ("formatted_string", ("JoinedStr",), ("element",)),
        ("assigned_value", ("Assign", "AugAssign", "AnnAssign", "NamedExpr"), ("value",)),
        ("written_target", KINDS, ("target",)),
        ("bound", ("Slice",), ("lower", "upper", "step")),
        ("class_body", ("ClassDef",), ("body",)),
        ("with_item", ("With",), ("item",)),
    ):
        for kind in kinds:
            for slot in slots:
                table[KIND[kind], SLOT[slot]] |= 1 << _SURROUNDINGS.index(name)
    return table


_PLACE = _places()
_BITS = 1 << np.arange(len(_SURROUNDINGS), dtype=np.int64)[:, None]
#: Statements that hold other nodes come first among the kinds; an expression statement takes the module's place.
_STATEMENTS = tuple("Expr" if name == "Module" else name for name in KINDS[: KIND["Import"]])


@_block("context", "statement", _STATEMENTS, "1 if the nearest statement above the node is a {}")
def _statement(v: View) -> Entries:
    above = v.statement[v.up]
    kind = v.g.kind[above]
    rows = np.flatnonzero(~v.is_root & ((kind != KIND["Module"]) | ~v.is_root[above]))
    return _one(rows, np.where(kind < KIND["Import"], kind, KIND["Module"])[rows])


@_hashed(
    "context",
    "sibling_hash",
    60,
    "key = last words of the previous sibling and of the node, kind of the parent",
    lexical=True,
)
def _sibling(v: View) -> Keys:
    previous = v.siblings[1]
    rows = np.flatnonzero(previous != v.nodes)
    return rows, mix(v.noun[previous[rows]], v.noun[rows], v.g.kind[v.up[rows]])


@_block("semantic", "operator", OPERATORS[1:], "1 if the node's operator is {}")
def _operator(v: View) -> Entries:
    rows = np.flatnonzero(v.g.operator)
    return _one(rows, v.g.operator[rows] - 1)


@_block("semantic", "literal", LITERALS[1:], "1 if the node is a constant of the class {}")
def _literal(v: View) -> Entries:
    rows = np.flatnonzero(v.g.literal)
    return _one(rows, v.g.literal[rows] - 1)


@_block("semantic", "name", g.WELL_KNOWN, "1 if the node's identifier is '{}'", lexical=True)
def _name(v: View) -> Entries:
    rows = np.flatnonzero(v.g.known >= 0)
    return _one(rows, v.g.known[rows])


@_hashed(
    "semantic",
    "word_hash",
    34,
    "key = each of the last four words (camelCase and snake_case parts) of the node's identifier",
    lexical=True,
)
def _word(v: View) -> Keys:
    return v.g.word_node, mix(v.g.word)


@_hashed("semantic", "left_hash", 45, "key = operator or kind of the node, last word of its first child", lexical=True)
def _left(v: View) -> Keys:
    rows, what = v.operations
    return rows, mix(what, v.noun[v.first[rows]])


@_hashed(
    "semantic", "right_hash", 45, "key = operator or kind of the node, last word of its second child", lexical=True
)
def _right(v: View) -> Keys:
    rows, what = v.operations
    return rows, mix(what, v.noun[v.second[rows]])


_FLAWS = {
    "compares_none_by_value": "a comparison by == or != with None",
    "identity_of_literal": "a comparison by 'is' with a literal other than None, True, False",
    "literal_on_the_left": "a binary operation or comparison whose left side is a literal",
    "same_operands": "a binary operation or comparison with the same leaf on both sides",
    "twin_of_sibling": "a name equal to the name before or after it under the same parent",
    "assigns_to_itself": "an assignment of a name to itself",
    "value_without_effect": "an expression statement that is no call, await, yield or string",
    "call_statement": "an expression statement that is a call",
    "text_statement": "an expression statement that is a literal",
    "written_never_read": "a write of a name that is never read afterwards",
    "unused_parameter": "a parameter that is never read",
    "read_before_written": "a read of a name that is first written later",
    "written_twice": "a write of a name whose previous occurrence is a write too",
    "shadows_builtin": "a write of a name that is a builtin",
    "one_letter": "an identifier of one letter",
    "upper_case": "an identifier in capitals",
    "private": "an identifier with a leading underscore",
    "camel_case": "an identifier in camel case",
    "digits": "an identifier with digits",
    "long_name": "an identifier of more than 12 letters",
    "bare_except": "an except without a class",
    "broad_except": "an except of a class that is a builtin ending in ...Exception or an alias (first child a builtin)",
    "silent_handler": "an except that only passes",
    "mutable_default": "a default that is a list, dict or set",
    "constant_condition": "a condition that is a literal",
    "negated_condition": "a condition that begins with not",
    "truth_returned": "a return of True or False",
    "none_returned": "a return of None or of nothing",
    "no_value_returned": "a function without any return of a value",
    "returns_mixed": "a function with returns of values and returns of nothing",
    "falls_off_the_end": "a function that returns a value somewhere, and whose last statement is a plain one",
    "unreachable": "a statement after a return, raise, break or continue of the same block",
    "one_statement": "a function whose body is one statement",
    "only_branch_in_branch": "an if that is the only child of an if's block",
    "deep": "a statement below four other statements",
    "length_compared": "a comparison whose left side calls len",
    "magic_number": "a number of more than one digit in an operation or comparison",
    "one_added": "an addition or subtraction of 1",
    "chained": "a comparison of more than two values",
    "keyword_of_same_name": "a keyword argument whose value is the same name",
    "keyword_of_other_name": "a keyword argument whose value is another name",
    "field_of_same_name": "an assignment of a name to an attribute of that name",
    "field_of_other_name": "an assignment of a name to an attribute of another name",
    "argument_repeated": "an argument that occurs twice among the arguments of its call",
}


@_block("quality", "is", tuple(_FLAWS), "1 if the node is {}", lexical=True)
def _flaws(v: View) -> Entries:
    gs, kind, first, second = v.g, v.g.kind, v.first, v.second
    following, previous = v.siblings
    literal, symbol = gs.literal, gs.symbol
    compare, binary, assign = v.kinds("Compare"), v.kinds("BinOp"), v.kinds("Assign")
    operation = compare | binary
    name = v.kinds("Name")
    statement = v.flag(g.STATEMENT)
    variable, write = v.is_variable, v.is_write
    plain_name = variable & ~v.kinds("Attribute")
    two_leaves = ~v.leaf & v.leaf[first] & v.leaf[second] & (first != second)
    same = two_leaves & (symbol[first] == symbol[second]) & (kind[first] == kind[second])
    none = LITERAL["None"]
    twin_next, twin_previous = (
        name & name[other] & (other != v.nodes) & (symbol[other] == symbol) for other in (following, previous)
    )
    operand = operation[v.up]
    in_condition = v.slots("test", "condition")
    jump = v.kinds("Return", "Raise", "Break", "Continue")
    in_block = v.slots("body", "orelse", "finalbody")
    alone = in_block & ((following == v.nodes) | (gs.slot[following] != gs.slot)) & (gs.position == 0)
    handler = v.kinds("ExceptHandler")
    returns = v.kinds("Return")
    function = v.kinds("FunctionDef")
    functions = function.nonzero()[0]
    with_value, without = np.zeros((2, v.n), dtype=bool)
    found = v.below([returns & ~v.leaf, returns & v.leaf], functions) > 0
    with_value[functions], without[functions] = found
    # the last node of a function's children is the last of its body
    last = (following == v.nodes) & ~v.is_root
    plain_last = last & in_block & ~v.kinds("Return", "Raise", "If", "Try", "With", "While", "For", "Match")
    ends_plain = np.zeros(v.n, dtype=bool)
    ends_plain[v.up[plain_last]] = True
    one_statement = np.zeros(v.n, dtype=bool)
    one_statement[v.up[alone & last]] = True
    one_statement &= function
    keyword, keyword_name = v.kinds("keyword") & name[first], symbol == symbol[first]
    field = assign & name[first] & v.kinds("Attribute")[second]
    nesting = v.inherited_count(v.is_statement)
    argument = name & (gs.slot == SLOT["argument"])
    repeated = np.zeros(v.n, dtype=bool)
    rows = np.flatnonzero(argument)
    if len(rows):
        key = mix(symbol[rows], gs.parent[rows])
        order = key.argsort()
        twins = key[order[1:]] == key[order[:-1]]
        repeated[rows[order[1:][twins]]] = repeated[rows[order[:-1][twins]]] = True
    equality = v.operators("Eq", "NotEq")
    identity = v.operators("Is", "IsNot")
    number = (literal >= LITERAL["int_power_of_two"]) & (literal <= LITERAL["int_large"])
    flags = {
        "compares_none_by_value": compare & equality & (literal[second] == none),
        "identity_of_literal": compare & identity & (literal[second] > LITERAL["False"]),
        "literal_on_the_left": operation & (literal[first] > 0),
        "same_operands": operation & same,
        "twin_of_sibling": twin_next | twin_previous,
        "assigns_to_itself": assign & same,
        "value_without_effect": statement & ~v.kinds("Call", "Suspend", "Constant"),
        "call_statement": statement & v.kinds("Call"),
        "text_statement": statement & v.kinds("Constant"),
        "written_never_read": plain_name & write & (v.next_use < 0) & ~v.kinds("arg"),
        "unused_parameter": v.kinds("arg") & (v.next_use < 0),
        "read_before_written": plain_name & ~write & (gs.last_write < 0) & (v.chain[1] > 0),
        "written_twice": plain_name & write & (gs.last_use >= 0) & (gs.last_use == gs.last_write),
        "shadows_builtin": plain_name & write & v.flag(g.BUILTIN),
        "one_letter": v.flag(g.ONE_LETTER),
        "upper_case": v.flag(g.UPPER),
        "private": v.flag(g.PRIVATE),
        "camel_case": v.flag(g.CAMEL),
        "digits": v.flag(g.DIGITS),
        "long_name": v.flag(g.LONG),
        "bare_except": handler & (gs.slot[first] != SLOT["caught"]),
        "broad_except": handler & v.flag(g.BUILTIN)[first],
        "silent_handler": handler & v.kinds("Pass")[second],
        "mutable_default": (gs.slot == SLOT["default"]) & v.kinds("List", "Dict", "Set"),
        "constant_condition": in_condition & (literal > 0),
        "negated_condition": in_condition & (v.operators("Not")),
        "truth_returned": returns & (literal[first] >= LITERAL["True"]) & (literal[first] <= LITERAL["False"]),
        "none_returned": returns & (v.leaf | (literal[first] == none)),
        "no_value_returned": function & ~with_value,
        "returns_mixed": with_value & without,
        "falls_off_the_end": with_value & ends_plain,
        "unreachable": in_block & (previous != v.nodes) & jump[previous] & (gs.slot[previous] == gs.slot),
        "one_statement": one_statement,
        "only_branch_in_branch": v.kinds("If") & alone & v.kinds("If")[v.up],
        "deep": v.is_statement & (nesting > 4),
        "length_compared": compare & v.kinds("Call")[first] & (gs.known[first] == g.WELL_KNOWN.index("len")),
        "magic_number": operand & number,
        "one_added": binary & v.operators("Add", "Sub") & (literal[second] == LITERAL["int_1"]),
        "chained": compare & (v.children > 2),
        "keyword_of_same_name": keyword & keyword_name,
        "keyword_of_other_name": keyword & ~keyword_name,
        "field_of_same_name": field & (symbol[first] == symbol[second]),
        "field_of_other_name": field & (symbol[first] != symbol[second]),
        "argument_repeated": repeated,
    }
    return _where([flags[flaw] for flaw in _FLAWS])


@_hashed(
    "quality", "pair_hash", 56, "key = operator or kind of the node, last words of its first two children", lexical=True
)
def _pair(v: View) -> Keys:
    rows, what = v.operations
    return rows, mix(what, v.noun[v.first[rows]], v.noun[v.second[rows]])


_DISTANCE = (3, 6, 11, 21, 51)
_DISTANCES = ["none", "1_to_2", "3_to_5", "6_to_10", "11_to_20", "21_to_50", "51_up"]


def _distance(rows: Ints, other: Ints) -> Ints:
    return np.where(other < 0, 0, 1 + _bucket(np.abs(rows - other), _DISTANCE))


@_block("temporal", "since_use", _DISTANCES, "variable: 1 if its previous occurrence is {} nodes back", lexical=True)
def _since_use(v: View) -> Entries:
    rows = v.variables
    return _one(rows, _distance(rows, v.g.last_use[rows]))


@_block("temporal", "since_write", _DISTANCES, "variable: 1 if its most recent write is {} nodes back", lexical=True)
def _since_write(v: View) -> Entries:
    rows = v.variables
    return _one(rows, _distance(rows, v.g.last_write[rows]))


@_block("temporal", "until_use", _DISTANCES, "variable: 1 if its next occurrence is {} nodes ahead", lexical=True)
def _until_use(v: View) -> Entries:
    rows = v.variables
    return _one(rows, _distance(rows, v.next_use[rows]))


@_block(
    "temporal",
    "statements_since_write",
    _buckets([1, 2, 3, 5]),
    "variable: 1 if {} statements begin after its most recent write",
    lexical=True,
)
def _statements_since_write(v: View) -> Entries:
    rows = np.flatnonzero(v.is_variable & (v.g.last_write >= 0))
    begun = np.cumsum(v.is_statement)
    return _one(rows, _bucket(begun[rows] - begun[v.g.last_write[rows]], (1, 2, 3, 5)))


@_block("temporal", "occurrence", ["only", "first", "second", "last"], "variable: 1 at its {} occurrence", lexical=True)
def _occurrence(v: View) -> Entries:
    variable = v.is_variable
    first, last = v.g.last_use < 0, v.next_use < 0
    second = ~first & (v.g.last_use[np.maximum(v.g.last_use, 0)] < 0)
    return _where([variable & first & last, variable & first & ~last, variable & second, variable & last & ~first])


@_block(
    "temporal",
    "previous",
    ["is_write", "in_same_statement", "under_same_parent", "in_same_slot", "is_parameter"],
    "variable: 1 if its previous occurrence {}",
    lexical=True,
)
def _previous(v: View) -> Entries:
    has = v.is_variable & (v.g.last_use >= 0)
    before = np.maximum(v.g.last_use, 0)
    return _where(
        [
            has & (v.g.last_use == v.g.last_write),
            has & (v.statement[before] == v.statement),
            has & (v.g.parent[before] == v.g.parent),
            has & (v.g.slot[before] == v.g.slot),
            has & v.kinds("arg")[before],
        ]
    )


@_block(
    "temporal",
    "tenth",
    [f"{index:02d}" for index in range(10)],
    "statement: 1 if it begins in tenth {} of its function's nodes",
)
def _tenth(v: View) -> Entries:
    rows = np.flatnonzero(v.is_statement & ~v.is_root)
    root = v.root[rows]
    return _one(rows, ((rows - root) * 10 // v.g.size[root]))


@_block(
    "temporal",
    "statement",
    ["first_of_block", "last_of_block", "like_previous", "follows_loop", "follows_branch"],
    "1 if the node is a statement that is {}: by its place, by the kind of the statement before it",
)
def _order(v: View) -> Entries:
    following, previous = v.siblings
    block = v.is_statement & ~v.is_root
    has = block & (previous != v.nodes) & v.is_statement[previous]
    return _where(
        [
            block & ~has,
            block & (following == v.nodes),
            has & (v.g.kind[previous] == v.g.kind),
            has & v.kinds("For", "While")[previous],
            has & v.kinds("If", "Try")[previous],
        ]
    )


_COUNTED = (
    *("Return", "Assign", "AugAssign", "For", "While", "If", "With", "Raise", "Try", "BoolOp", "BinOp", "UnaryOp"),
    *("Lambda", "IfExp", "Dict", "ListComp", "GeneratorExp", "Compare", "Call", "JoinedStr", "Constant"),
    *("Attribute", "Subscript", "Name", "arg", "keyword"),
)
_COUNTED_AT = np.array([_COUNTED.index(name) if name in _COUNTED else -1 for name in KINDS])


@_block("statistical", "share", _COUNTED, "root: logarithm of 1 + the number of {} nodes in the source")
def _share(v: View) -> Entries:
    count = np.bincount(v.graph * len(KINDS) + v.g.kind, minlength=len(v.g) * len(KINDS))
    count[_COUNTED_AT[np.arange(len(count)) % len(KINDS)] < 0] = 0
    at = np.flatnonzero(count)
    rows = v.g.start[at // len(KINDS)]
    return rows, _COUNTED_AT[at % len(KINDS)], np.log1p(count[at]).astype(np.float32)


@_hashed(
    "statistical",
    "ngram_hash",
    98,
    "keys = the node's token with the one before it in the text, and with those before and after it",
    buckets=1,
    lexical=True,
)
def _ngram(v: View) -> Keys:
    order = v.g.order
    same = v.graph[order[1:]] == v.graph[order[:-1]]
    before = np.zeros(v.n, dtype=np.uint64)
    after = np.zeros(v.n, dtype=np.uint64)
    before[order[1:][same]] = v.noun[order[:-1][same]]
    after[order[:-1][same]] = v.noun[order[1:][same]]
    keys = mix(before, v.noun), mix(before, v.noun, after)
    return np.concatenate([v.nodes, v.nodes]), np.concatenate(keys)


@_block(
    "language",
    "is",
    ["python", "asynchronous", "annotated", "modern"],
    "1 if the source is {}: Python (at every node); has async or await (at the root, as the next two); "
    "has annotations; needs Python 3.8 or later (:=, positional-only parameters, match, except*)",
)
def _language(v: View) -> Entries:
    def anywhere(flag: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return np.bincount(v.graph[flag], minlength=len(v.g)) > 0

    annotated = v.slots("annotation", "returns")
    rows, columns, _ = _where([anywhere(flag) for flag in (v.flag(g.ASYNC), annotated, v.flag(g.MODERN))])
    return _join((v.nodes, np.zeros_like(v.nodes)), (v.g.start[rows], columns + 1))


COLUMNS: tuple[Column, ...] = tuple(column for block in _BLOCKS for column in block.columns)

#: Columns that cannot vary on a corpus of Python alone, with the reason.
CONSTANT_ON_PYTHON = {
    "language.is.python": "is 1 at every node: it would tell Python from another language, and there is none",
}


_PLAIN = [number for number, block in enumerate(_BLOCKS) if not block.buckets]
_HASHED = [number for buckets in (2, 1) for number, block in enumerate(_BLOCKS) if block.buckets == buckets]
_OF_TWO = sum(block.buckets == 2 for block in _BLOCKS)  # blocks, the first of the hashed ones
_WIDTHS = np.array([len(block.columns) for block in _BLOCKS])
_BASES = _WIDTHS.cumsum() - _WIDTHS


def extract(graphs: CodeGraphs) -> SparseRows:
    """Features of all nodes of the graphs: (N, 978), sparse."""
    view = View(graphs)
    found = [block.compute(view) for block in _BLOCKS]
    plain, hashed = [found[number] for number in _PLAIN], [found[number] for number in _HASHED]

    counts = [len(rows) for rows, _, _ in plain]
    place = np.concatenate([rows for rows, _, _ in plain]) * _ROW + _BASES[_PLAIN].repeat(counts)
    keys = [place + np.concatenate([columns for _, columns, _ in plain])]
    values = [np.ones(len(rows), dtype=np.float32) if value is None else value for rows, _, value in plain]
    counts = [len(rows) for rows, _ in hashed]
    place = np.concatenate([rows for rows, _ in hashed]) * _ROW + _BASES[_HASHED].repeat(counts)
    width = _WIDTHS[_HASHED].astype(np.uint64).repeat(counts)
    hashes = np.concatenate([each for _, each in hashed])
    for part, shift, sign in ((slice(None), 0, 61), (slice(sum(counts[:_OF_TWO])), 24, 62)):
        bucket = (hashes[part] >> np.uint64(shift)) % width[part]
        keys.append(place[part] + bucket.astype(np.int64))
        values.append(1 - 2 * (hashes[part] >> np.uint64(sign) & np.uint64(1)).astype(np.float32))
    key, value = _summed(np.concatenate(keys), np.concatenate(values))
    count = np.bincount(key // _ROW, minlength=view.n)
    return SparseRows(np.concatenate([[0], np.cumsum(count)]), (key % _ROW).astype(np.int16), value)


def _summed(key: Ints, value: NDArray[np.float32]) -> tuple[Ints, NDArray[np.float32]]:
    """Sorted distinct keys with the sums of their values, those that cancel dropped."""
    bits = len(key).bit_length()
    both = (key << bits) | np.arange(len(key))  # sorting numbers is ten times as fast as sorting their places
    both.sort(kind="stable")  # finds the runs of each block; numpy's other sort is slow on Zen 4
    key, value = both >> bits, value[both & ((1 << bits) - 1)]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    value = np.add.reduceat(value, first)
    kept = value != 0
    return key[first][kept], value[kept]
