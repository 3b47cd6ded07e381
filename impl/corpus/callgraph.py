"""Who calls whom: the call edges of a graph as an adjacency of qualified names, outside names included.

Only what resolution knows is an edge. Invoked functions (constructors, getters, context managers) are called, too.
"""

import marshal
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corpus import extraction, graph, triples
from corpus.distributions import Distribution
from corpus.modules import ModuleTable, Place
from corpus.triples import Span

_CALLERS: Final = frozenset({"Function", "Method", "Test"})


@dataclass(frozen=True, slots=True)
class Site:
    """One call expression: whose code it is in, where (as in `ast`), and what it calls, as far as it is known.

    `callees` are functions, the constructor of an instantiated class among them; `classes` what is instantiated.
    """

    caller: str
    file: str
    span: Span
    callees: tuple[str, ...]
    classes: tuple[str, ...]


def sites(distributions: Sequence[Distribution], files: Collection[str] | None = None) -> Iterator[Site]:
    """Every call expression of the distributions' Python files, resolved over all of them; of some `files` only, if
    they are given as paths within a distribution: to resolve is half of the work."""
    sources, _ = graph.sources_of(distributions)
    by_module = {source.module: source for source in sources}
    with tempfile.TemporaryDirectory(prefix="corpus-sites-") as folder:
        facts = Path(folder) / "facts"
        read = graph.read_shard(sources, facts)
        modules = ModuleTable(
            {module: Place(by_module[module], str(facts), at, size) for module, at, size, _, _ in read.files}
        )
        with facts.open("rb") as file:
            for module, _, _, at, size in read.files:
                source = by_module[module]
                if files is not None and source.file not in files:
                    continue
                file.seek(at)
                events, _ = marshal.loads(file.read(size))
                for caller, span, callees, classes in extraction.calls(source, events, modules):
                    yield Site(caller, source.file, span, callees, classes)


def adjacency(
    distributions: Sequence[Distribution], processes: int = 1, say: Callable[[str], None] = lambda text: None
) -> dict[str, list[str]]:
    """{"pkg.mod.f": ["pkg.mod.g", ...]}, sorted: every function and method, and modules and classes that call.

    An instantiated class stands for itself where it has no constructor of its own in the corpus.
    """
    with tempfile.TemporaryDirectory(prefix="corpus-callgraph-") as folder:
        built = graph.build(distributions, Path(folder) / "graph.jsonl", processes=processes, say=say)
        calls = {
            entity.name: set[str]()
            for entity in triples.read_entities(built.entities)
            if entity.definition is not None and entity.type in _CALLERS
        }
        made: dict[str, set[str]] = {}
        for triple in triples.read_triples(built.triples):
            if triple.relation in ("calls", "invokes") and triple.head_type != "BuildTarget":
                calls.setdefault(triple.head, set()).add(triple.tail)
            elif triple.relation == "instantiates":
                made.setdefault(triple.head, set()).add(triple.tail)
    for head, classes in made.items():
        known = calls.setdefault(head, set())
        known.update(name for name in classes if f"{name}.__init__" not in known and f"{name}.__new__" not in known)
    return {name: sorted(calls[name]) for name in sorted(calls)}
