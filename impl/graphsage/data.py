"""From records to training samples: functions with mutants of themselves and a masked twin for the imports, some with a
rewrite that nobody ran, and problems with the programs that were run against their tests.

Graphs are built once, by several processes, and kept as compact arrays; nothing here knows PyTorch, so that the
processes start quickly. It must never look at a record that its caller did not name.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from corpus import defects, rewrites
from corpus.functions import Function
from corpus.processes import pool
from corpus.programs import Program
from graphsage import features, graph

_T = TypeVar("_T")
_R = TypeVar("_R")

IGNORED = -100
OPERATORS: tuple[str, ...] = tuple(defects.OPERATORS)
ORIGINAL, MUTANT, REWRITE, SUBMISSION = 0, 1, 2, 3  # roles of a version
_CHUNK = 128  # functions: operators are balanced inside a chunk
WORDS = 4800  # buckets of attributes: with 32 numbers each they are a sixteenth of the model
_SHORT = 1500  # characters of a function that is learnt from whole, in three versions


@dataclass(slots=True)
class Store:
    """Many graphs with their features, one array per column of the table."""

    node_ptr: NDArray[np.int64]  # (G + 1,)
    feature_ptr: NDArray[np.int64]  # (N + 1,)
    columns: NDArray[np.int16]  # (nnz,)
    values: NDArray[np.float16]  # (nnz,)
    neighbour_ptr: NDArray[np.int64]  # (N + 1,)
    neighbours: NDArray[np.int32]  # (2E,) node inside its graph
    word_ptr: NDArray[np.int64]  # (G + 1,)
    words: NDArray[np.int16]  # (W,) buckets of the attributes that a graph reaches for, each once a graph

    def __len__(self) -> int:
        return len(self.node_ptr) - 1

    def size(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Nodes of each of the graphs."""
        return self.node_ptr[numbers + 1] - self.node_ptr[numbers]

    @classmethod
    def of(cls, graphs: graph.CodeGraphs) -> Store:
        rows = features.extract(graphs)
        source, target = graphs.both_directions()
        order = np.argsort(target, kind="stable")
        degree = np.bincount(target, minlength=len(graphs.kind))
        first = np.repeat(graphs.start[:-1], np.diff(graphs.start))
        reached = np.flatnonzero(graphs.kind == graph.KIND["Attribute"])
        owner = np.searchsorted(graphs.start, reached, side="right") - 1
        word = np.unique(owner * WORDS + (graphs.symbol[reached] % np.uint64(WORDS)).astype(np.int64))
        return cls(
            node_ptr=graphs.start.astype(np.int64),
            feature_ptr=rows.indptr.astype(np.int64),
            columns=rows.columns,
            values=rows.values.astype(np.float16),
            neighbour_ptr=np.concatenate([[0], np.cumsum(degree)]),
            neighbours=(source[order] - first[source[order]]).astype(np.int32),
            word_ptr=np.searchsorted(word, np.arange(len(graphs) + 1) * WORDS),
            words=(word % WORDS).astype(np.int16),
        )

    def alone(self, number: int) -> Store:
        """One of the graphs, as if it had been built by itself."""
        low, high = self.node_ptr[number : number + 2]
        features, around = self.feature_ptr[low : high + 1], self.neighbour_ptr[low : high + 1]
        return Store(
            node_ptr=np.array([0, high - low]),
            feature_ptr=features - features[0],
            columns=self.columns[features[0] : features[-1]],
            values=self.values[features[0] : features[-1]],
            neighbour_ptr=around - around[0],
            neighbours=self.neighbours[around[0] : around[-1]],
            word_ptr=self.word_ptr[number : number + 2] - self.word_ptr[number],
            words=self.words[self.word_ptr[number] : self.word_ptr[number + 1]],
        )

    def without_edges(self) -> Store:
        """The same nodes, none with a neighbour."""
        return replace(self, neighbour_ptr=np.zeros_like(self.neighbour_ptr), neighbours=self.neighbours[:0])

    @classmethod
    def join(cls, stores: Sequence[Store]) -> Store:
        def pointers(name: str) -> NDArray[np.int64]:
            parts = [np.zeros(1, dtype=np.int64)]
            total = 0
            for store in stores:
                part = getattr(store, name)
                parts.append(part[1:] + total)
                total += int(part[-1])
            return np.concatenate(parts)

        def column(name: str) -> NDArray:
            return np.concatenate([getattr(store, name) for store in stores])

        return cls(
            pointers("node_ptr"),
            pointers("feature_ptr"),
            column("columns"),
            column("values"),
            pointers("neighbour_ptr"),
            column("neighbours"),
            pointers("word_ptr"),
            column("words"),
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """Names that functions read and do not set themselves, each once a function."""

    owner: NDArray[np.int64]  # (S,) number of the function
    symbol: NDArray[np.uint64]  # (S,) hash of the name
    imported: NDArray[np.bool_]  # (S,) an import binds it: the masked function does not read it

    def from_(self, first: int) -> Seen:
        """The same of functions whose numbers begin at `first`."""
        return replace(self, owner=self.owner + first)

    @classmethod
    def join(cls, parts: Sequence[Seen]) -> Seen:
        none = (np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.bool_))
        columns = zip(none, *((part.owner, part.symbol, part.imported) for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def free(graphs: graph.CodeGraphs) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """(S,) graph and (S,) hash of names that are read where nothing but an import has set them; some more than once."""
    written = graphs.last_write
    outside = (written < 0) | (graphs.kind[written] == graph.KIND["Import"])
    read = (graphs.kind == graph.KIND["Name"]) & (graphs.flags & (graph.STORE | graph.DELETE) == 0)
    node = np.flatnonzero(read & outside)
    return np.searchsorted(graphs.start, node, side="right") - 1, graphs.symbol[node]


@dataclass(slots=True)
class Samples:
    """Training samples of B functions or problems in V versions; version 0 is the original.

    `versions` holds graph numbers (-1 where a sample has fewer of them), `masked` the graph of the masked source
    (-1 where no module is used).
    """

    store: Store
    record_id: list[str]  # B
    versions: NDArray[np.int64]  # (B, V)
    role: NDArray[np.int64]  # (B, V) ORIGINAL, MUTANT, REWRITE or SUBMISSION
    location: NDArray[np.int64]  # (B, V) node of the defect inside its graph, or IGNORED
    operator: NDArray[np.int64]  # (B, V) index in OPERATORS, or IGNORED
    passed: NDArray[np.int64]  # (B, V) what the tests said, 0 or 1; IGNORED where it was not run
    masked: NDArray[np.int64]  # (B,)
    modules: NDArray[np.int64]  # (B, K) 0 or 1
    seen: Seen  # of the originals of functions

    def __len__(self) -> int:
        return len(self.record_id)

    @classmethod
    def join(cls, parts: Sequence[Samples]) -> Samples:
        """One after the other; versions that a part does not have are gaps."""
        widest = max(part.versions.shape[1] for part in parts)
        first = np.cumsum([0, *(len(part.store) for part in parts)]).tolist()

        def table(name: str, gap: int) -> NDArray[np.int64]:
            tables = [getattr(part, name) for part in parts]
            wide = [np.pad(one, ((0, 0), (0, widest - one.shape[1])), constant_values=gap) for one in tables]
            return np.concatenate(wide)

        def graphs(name: str) -> list[NDArray[np.int64]]:
            numbers = [getattr(part, name) for part in parts]
            return [np.where(one >= 0, one + low, -1) for one, low in zip(numbers, first, strict=False)]

        rows = np.cumsum([0, *map(len, parts)]).tolist()
        seen = Seen.join([part.seen.from_(low) for part, low in zip(parts, rows, strict=False)])
        moved = [replace(part, versions=one) for part, one in zip(parts, graphs("versions"), strict=True)]
        parts, masked = moved, graphs("masked")
        return cls(
            store=Store.join([part.store for part in parts]),
            record_id=[record for part in parts for record in part.record_id],
            versions=table("versions", -1),
            role=table("role", MUTANT),
            location=table("location", IGNORED),
            operator=table("operator", IGNORED),
            passed=table("passed", IGNORED),
            masked=np.concatenate(masked),
            modules=np.concatenate([part.modules for part in parts]),
            seen=seen,
        )


def vocabulary(records: Sequence[Function], seen_at_least: int) -> list[str]:
    """Modules used by so many training functions, the most used first."""
    count = Counter(module for record in records for module in record.uses)
    kept = [module for module, times in count.items() if times >= seen_at_least]
    return sorted(kept, key=lambda module: (-count[module], module))


@dataclass(frozen=True, slots=True)
class _Job:
    functions: Sequence[Function]
    mutants: int
    rewritten: Sequence[bool] | None  # which of the functions stand there in another way of writing, too
    seed: int


_Row = tuple[list[int], list[int], list[int], int]  # versions, locations, operators, masked


def node_at(graphs: graph.CodeGraphs, index: int, span: Sequence[int]) -> int:
    """The outermost node of graph `index` with that span, counted inside the graph; IGNORED if there is none."""
    low, high = graphs.start[index], graphs.start[index + 1]
    hits = np.flatnonzero((graphs.span[low:high] == np.asarray(span)).all(axis=1))
    return int(hits[0]) if len(hits) else IGNORED


def _prepare(job: _Job) -> tuple[Store, list[_Row], Seen]:
    """Graphs, label rows and names of a chunk of functions; runs in a process of its own."""
    sources: list[str] = []
    rows: list[_Row] = []
    spans: list[tuple[int, int, int, Sequence[int]]] = []
    mutants: dict[str, list[defects.Pair]] = {}
    for pair in defects.pairs(job.functions, job.seed, job.mutants):
        mutants.setdefault(pair.record_id, []).append(pair)
    for number, function in enumerate(job.functions):
        versions, locations, operators = [len(sources)], [IGNORED], [IGNORED]
        sources.append(function.source)
        for pair in mutants.get(function.record_id, []):
            spans.append((len(rows), len(versions), len(sources), pair.span))
            versions.append(len(sources))
            locations.append(IGNORED)
            operators.append(OPERATORS.index(pair.operator))
            sources.append(pair.mutant)
        missing = job.mutants + 1 - len(versions)
        versions += [-1] * missing
        if job.rewritten is not None:
            other = _rewritten(function, job.seed) if job.rewritten[number] else None
            versions.append(-1 if other is None else len(sources))
            sources += [] if other is None else [other]
            missing += 1
        rows.append(
            (
                versions,
                locations + [IGNORED] * missing,
                operators + [IGNORED] * missing,
                len(sources) if function.uses else -1,
            )
        )
        if function.uses:
            sources.append(function.masked)
    graphs = graph.build(sources)
    for row, version, index, span in spans:
        rows[row][1][version] = node_at(graphs, index, span)
    return Store.of(graphs), rows, _seen(graphs, rows)


def _seen(graphs: graph.CodeGraphs, rows: Sequence[_Row]) -> Seen:
    """What the originals of the rows read, and which of it their masked twins do not."""
    asked = {number for versions, *_, masked in rows for number in (versions[0], masked)}
    read: dict[int, set[int]] = {number: set() for number in asked}
    for owner, symbol in zip(*(each.tolist() for each in free(graphs)), strict=True):
        if owner in read:
            read[owner].add(symbol)
    owners, symbols, imported = [], [], []
    for number, (versions, *_, masked) in enumerate(rows):
        for symbol in sorted(read[versions[0]]):
            owners.append(number)
            symbols.append(symbol)
            imported.append(masked >= 0 and symbol not in read[masked])
    return Seen(np.array(owners, np.int64), np.array(symbols, np.uint64), np.array(imported, np.bool_))


def _rewritten(function: Function, seed: int) -> str | None:
    """The function in another way of writing; None where no operator can act on it."""
    rng = random.Random(f"{seed} {function.record_id}")
    try:
        return next((found for _, found in rewrites.versions(function.source, rng)), None)
    except (SyntaxError, ValueError, RecursionError):
        return None


def prepare(
    records: Sequence[Function],
    modules: Sequence[str],
    mutants: int,
    seed: int,
    readers: Executor | None,
    progress: Callable[[str], None],
    edges: bool = True,
    rewritten: int = 0,
) -> Samples:
    """Samples of all records, in their order, the same whoever reads them.

    At most `rewritten` of them, drawn by `seed` among the shorter ones, have as their last version what they do,
    written in another way; nobody has run it.
    """
    short = [number for number, record in enumerate(records) if len(record.source) <= _SHORT]
    chosen = set(random.Random(seed).sample(short, min(rewritten, len(short))))
    flags = [number in chosen for number in range(len(records))]
    jobs = [
        _Job(records[low : low + _CHUNK], mutants, flags[low : low + _CHUNK] if rewritten else None, seed)
        for low in range(0, len(records), _CHUNK)
    ]
    stores: list[Store] = []
    rows: list[_Row] = []
    names: list[Seen] = []
    graphs = 0

    def take(result: tuple[Store, list[_Row], Seen]) -> None:
        nonlocal graphs
        store, part, seen = result
        names.append(seen.from_(len(rows)))
        for versions, locations, operators, masked in part:
            shifted = [v + graphs if v >= 0 else -1 for v in versions]
            rows.append((shifted, locations, operators, masked + graphs if masked >= 0 else -1))
        graphs += len(store)
        stores.append(store)
        progress(f"graphs {graphs:,} of {len(rows):,}/{len(records):,} functions")

    for result in each(_prepare, jobs, readers):
        take(result)
    index = {module: column for column, module in enumerate(modules)}
    labels = np.zeros((len(records), len(modules)), dtype=np.int64)
    for row, record in enumerate(records):
        for module in record.uses:
            if module in index:
                labels[row, index[module]] = 1
    store = Store.join(stores)
    roles = [ORIGINAL] + [MUTANT] * mutants + [REWRITE] * bool(rewritten)
    return Samples(
        store=store if edges else store.without_edges(),
        record_id=[record.record_id for record in records],
        versions=np.array([row[0] for row in rows]),
        role=np.tile(roles, (len(rows), 1)),
        location=np.array([row[1] for row in rows]),
        operator=np.array([row[2] for row in rows]),
        passed=np.full((len(rows), len(roles)), IGNORED),
        masked=np.array([row[3] for row in rows]),
        modules=labels,
        seen=Seen.join(names),
    )


_ROLES = {"canonical": ORIGINAL, "mutant": MUTANT, "rewrite": REWRITE, "submission": SUBMISSION}


def _store(sources: Sequence[str]) -> Store:
    return Store.of(graph.build(sources))


def prepare_programs(
    programs: Sequence[Program],
    modules: int,
    readers: Executor | None,
    progress: Callable[[str], None],
    edges: bool = True,
) -> Samples:
    """One sample a problem, in order of appearance, with all of its programs; the solution that passed comes first.

    `modules` is the number of module labels, which programs do not have. A problem whose solution failed is left out.
    """
    problems: dict[str, list[Program]] = {}
    for program in programs:
        problems.setdefault(program.problem, []).append(program)
    kept = []
    for versions in problems.values():
        versions.sort(key=lambda program: _ROLES[program.kind] != ORIGINAL)
        if versions[0].kind == "canonical" and versions[0].passed:
            kept.append(versions)
    sources = [program.source for versions in kept for program in versions]
    jobs = [sources[low : low + 4 * _CHUNK] for low in range(0, len(sources), 4 * _CHUNK)]
    stores: list[Store] = []
    for store in each(_store, jobs, readers):
        stores.append(store)
        progress(f"graphs of {sum(map(len, stores)):,}/{len(sources):,} programs")
    shape = (len(kept), max(map(len, kept), default=1))
    tables = {name: np.full(shape, gap) for name, gap in
              (("versions", -1), ("role", MUTANT), ("operator", IGNORED), ("passed", IGNORED))}  # fmt: skip
    first = 0
    for row, versions in enumerate(kept):
        for column, program in enumerate(versions):
            tables["versions"][row, column] = first + column
            tables["role"][row, column] = _ROLES[program.kind]
            tables["passed"][row, column] = program.passed
            if program.operator in OPERATORS:
                tables["operator"][row, column] = OPERATORS.index(program.operator)
        first += len(versions)
    joined = Store.join(stores)
    return Samples(
        store=joined if edges else joined.without_edges(),
        record_id=[versions[0].problem for versions in kept],
        location=np.full(shape, IGNORED),
        masked=np.full(len(kept), -1),
        modules=np.zeros((len(kept), modules), dtype=np.int64),
        seen=Seen.join([]),
        **tables,
    )


class Part(NamedTuple):
    """Some of the sources that are asked about together."""

    sources: Sequence[str]
    first: int = 0  # number of the first of them
    total: int | None = None  # how many there are; these alone if it is not said


@dataclass(frozen=True, slots=True)
class Reading:
    """Sources to graphs, as a bridge has them read, here or in another process."""

    edges: bool  # false: every node alone
    seed: int | None = None  # also the same graphs with who is whose neighbour shuffled by this seed

    def __call__(self, part: Part) -> tuple[graph.CodeGraphs, list[Store]]:
        """The graphs and their arrays; raises UnparseableSource."""
        graphs = graph.build(*part)
        return graphs, self.of(graphs)

    def of(self, graphs: graph.CodeGraphs) -> list[Store]:
        """The arrays of graphs that are there already."""
        store = Store.of(graphs)
        if not self.edges:
            store = store.without_edges()
        return [store] if self.seed is None else [store, rewired(store, self.seed)]


def rewired(store: Store, seed: int) -> Store:
    """The same with who is whose neighbour shuffled, graph by graph, for each the same in any company."""
    neighbours = store.neighbours.copy()
    for low, high in itertools.pairwise(store.node_ptr.tolist()):
        begin, end = store.neighbour_ptr[low], store.neighbour_ptr[high]
        rng = np.random.default_rng([seed, high - low, int(end - begin)])
        neighbours[begin:end] = rng.permutation(neighbours[begin:end])
    return replace(store, neighbours=neighbours)


def fingerprints(part: Part) -> list[str]:
    """SHA-256 of graph and features of each source."""
    stores = Store.of(graph.build(*part))
    prints = []
    for store in map(stores.alone, range(len(stores))):
        parts = (store.feature_ptr, store.columns, store.values, store.neighbour_ptr, store.neighbours, store.words)
        prints.append(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
    return prints


@contextmanager
def readers(processes: int) -> Iterator[Executor | None]:
    """Processes that read for `prepare`, `prepare_programs` and `each`; None where it is done here."""
    if processes > 1:
        with pool(processes) as several:
            yield several
    else:
        yield None


def each(work: Callable[[_T], _R], jobs: Sequence[_T], readers: Executor | None) -> Iterator[_R]:
    """The results in the order of the jobs."""
    return map(work, jobs) if readers is None else readers.map(work, jobs)
