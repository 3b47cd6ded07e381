"""The truth that call graphs are held to: suites that are traced, edges in scope, precision and recall.

In scope are call expressions of executed functions on lines that ran, and edges between functions of the distribution.
What a suite did not run has no truth and counts neither way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corpus.callgraph import Site
from corpus.distributions import Distribution
from corpus.tracing import Trace

Edge = tuple[str, str]
"""Caller and callee."""

SUITES: Final[Mapping[str, tuple[str, ...]]] = {
    "jsonschema": tuple(
        f"jsonschema.tests.test_{name}" for name in ("validators", "cli", "types", "utils", "format", "deprecations")
    ),
    "referencing": tuple(
        f"referencing.tests.test_{name}" for name in ("core", "jsonschema", "exceptions", "retrieval")
    ),
    "joblib": tuple(
        f"joblib.test.test_{name}"
        for name in (
            *("hashing", "memory", "func_inspect", "logger", "disk", "numpy_pickle", "numpy_pickle_utils", "utils"),
            *("backports", "store_backends", "config"),
        )
    ),
    "mpmath": tuple(
        f"mpmath.tests.test_{name}"
        for name in (
            *("basic_ops", "bitwise", "convert", "diff", "linalg", "matrices", "functions", "interval", "str"),
            *("division", "power", "special", "hp", "compatibility", "rootfinding", "summation"),
        )
    ),
    "networkx": (
        *(f"networkx.algorithms.{name}.tests" for name in ("traversal", "components", "shortest_paths", "bipartite")),
        *(f"networkx.{name}.tests" for name in ("classes", "readwrite", "utils")),
        *("networkx.generators.tests.test_classic", "networkx.algorithms.tests.test_dag"),
    ),
}
"""Distributions that ship tests, and the modules of theirs that run in minutes.

Of these mpmath is also among those that `graphmer` ranks calls by; the others are on no training or dev side.
"""


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of edges; scores of several distributions add up to the micro average."""

    found: int = 0
    predicted: int = 0
    true: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.found + other.found, self.predicted + other.predicted, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.found / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.found / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall: 2 TP / (predicted + true)."""
        return 2 * self.found / (self.predicted + self.true) if self.predicted + self.true else 0.0

    def __str__(self) -> str:
        return f"P {self.precision:.3f} R {self.recall:.3f} F1 {self.f1:.3f} ({self.true:,} edges)"


class Scope:
    """What a trace can decide: `callers` narrows it to some of the executed functions."""

    def __init__(self, distribution: Distribution, trace: Trace, callers: Iterable[str] | None = None) -> None:
        self._lines = trace.lines()
        if callers is not None:
            chosen = set(callers)
            self._lines = {name: lines for name, lines in self._lines.items() if name in chosen}
        self._tops = {Path(distribution.relative(file)).parts[0].removesuffix(".py") for file in distribution.files}
        self.truth = frozenset(
            (edge.caller, edge.callee) for edge in trace.edges if edge.is_call and edge.caller in self._lines
        )
        self.every = frozenset((edge.caller, edge.callee) for edge in trace.edges if edge.caller in self._lines)
        """Operators, properties and callbacks included: what recall over all edges is reported on."""

    def ran(self, site: Site) -> bool:
        """Whether the call expression is on a line that ran, in a function of the scope."""
        lines = self._lines.get(site.caller, frozenset())
        return any(line in lines for line in range(site.span[0], site.span[2] + 1))

    def inside(self, edges: Iterable[Edge]) -> frozenset[Edge]:
        """Edges from functions of the scope to functions of the distribution."""
        return frozenset(
            (caller, callee)
            for caller, callee in edges
            if caller in self._lines and callee.partition(".")[0] in self._tops
        )

    def static(self, sites: Iterable[Site]) -> frozenset[Edge]:
        """The edges that resolution finds at sites that ran."""
        return self.inside((site.caller, callee) for site in sites if self.ran(site) for callee in site.callees)

    def score(self, edges: frozenset[Edge]) -> Score:
        return Score(len(edges & self.truth), len(edges), len(self.truth))

    def reached(self, edges: frozenset[Edge]) -> float:
        """Recall over all edges, those of operators, properties and callbacks included."""
        return len(edges & self.every) / len(self.every) if self.every else 0.0
