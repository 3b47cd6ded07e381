"""What the corpus answers when it is asked from outside its process: plain data in, plain data out.

A graph is made once and kept in the user's cache. Nothing here measures or judges: it hands over triples, entities and
complaints.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from corpus import archives, graph, ontology, triples
from corpus import distributions as installed
from corpus.distributions import Distribution
from corpus.graph import Graph
from corpus.triples import Provenance, Triple
from corpus.validation import Validator

Row = list[Any]
"""head, relation, tail, head_type, tail_type, distribution, version, file, licence, the four numbers of the span."""


JAVA = "java:"
"""In front of the name of a source archive."""


def chosen(distributions: Sequence[str], tests: Sequence[str]) -> list[Distribution]:
    """The distributions of these names; the test suites of those in `tests` alone. `java:NAME` is an archive."""
    wanted = {installed.normalised(name) for name in tests}
    found = installed.find([name for name in distributions if not name.startswith(JAVA)])
    found += [archives.find(name.removeprefix(JAVA), fetch=False) for name in distributions if name.startswith(JAVA)]
    return [one if one.name in wanted else replace(one, tests=()) for one in found]


def triples_of_files(items: Sequence[str], distributions: Sequence[str], tests: Sequence[str]) -> list[list[Row]]:
    """The triples that each file ("distribution/file") gives."""
    found = _by_file(tuple(distributions), tuple(tests))
    return [found.get(item, []) for item in items]


def entities_of_files(items: Sequence[str], distributions: Sequence[str], tests: Sequence[str]) -> list[list[Row]]:
    """(name, type) of what each file defines; under "" what lies outside."""
    table: dict[str, list[Row]] = {}
    for one in triples.read_entities(_graph(tuple(distributions), tuple(tests)).entities):
        place = "" if one.definition is None else f"{one.definition.distribution}/{one.definition.file}"
        table.setdefault(place, []).append([one.name, one.type])
    return [table.get(item, []) for item in items]


def call_sites(items: Sequence[str], distributions: Sequence[str], tests: Sequence[str]) -> dict[str, list[int]]:
    """{"resolved": ..., "sites": ...}: call expressions of each file."""
    table = _graph(tuple(distributions), tuple(tests)).summary["files"]
    rows = [table.get(item, [0, 0]) for item in items]
    return {"resolved": [row[0] for row in rows], "sites": [row[1] for row in rows]}


def complaints(items: Sequence[Row], distributions: Sequence[str], tests: Sequence[str]) -> list[list[str]]:
    """What the validator says of each triple, of the graph or not."""
    validator = _validator(tuple(distributions), tuple(tests))
    return [validator.complaints(_triple(item)) for item in items]


def complaints_of_files(items: Sequence[str], distributions: Sequence[str], tests: Sequence[str]) -> list[list[str]]:
    """What the validator says of each triple of each file, the first complaint or ""."""
    validator = _validator(tuple(distributions), tuple(tests))
    found = _by_file(tuple(distributions), tuple(tests))
    return [[(validator.complaints(_triple(row)) or [""])[0] for row in found.get(item, [])] for item in items]


@functools.lru_cache(maxsize=1)
def _graph(distributions: tuple[str, ...], tests: tuple[str, ...]) -> Graph:
    return graph.cached(chosen(distributions, tests), processes=2)


@functools.lru_cache(maxsize=1)
def _by_file(distributions: tuple[str, ...], tests: tuple[str, ...]) -> Mapping[str, list[Row]]:
    table: dict[str, list[Row]] = {}
    for one in triples.read_triples(_graph(distributions, tests).triples):
        at = one.provenance
        row = [
            one.head, one.relation, one.tail, one.head_type, one.tail_type,
            at.distribution, at.version, at.file, at.licence, *at.span,
        ]  # fmt: skip
        table.setdefault(f"{at.distribution}/{at.file}", []).append(row)
    return table


@functools.lru_cache(maxsize=1)
def _validator(distributions: tuple[str, ...], tests: tuple[str, ...]) -> Validator:
    built = _graph(distributions, tests)
    return Validator.of(built.entities, built.triples, ontology.load())


def _triple(row: Row) -> Triple:
    head, relation, tail, head_type, tail_type, distribution, version, file, licence, *span = row
    place = Provenance(distribution, version, file, tuple(span), licence)
    return Triple(head, relation, tail, head_type, tail_type, place)
