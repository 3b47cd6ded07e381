"""Who calls whom: the call edges of a graph as an adjacency of qualified names, outside names included.

Only what resolution knows is an edge. Invoked functions (constructors, getters, context managers) are called, too.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from corpus import graph, triples
from corpus.distributions import Distribution

_CALLERS: Final = frozenset({"Function", "Method", "Test"})


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
