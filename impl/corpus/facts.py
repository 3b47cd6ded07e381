"""A graph as plain rows for whoever learns from it: triples, entities with their places, sources without imports.

A relation that only says another one backwards is left out. It must never hand over an import statement.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from corpus import ontology, triples
from corpus.distributions import Distribution
from corpus.graph import Graph
from corpus.hiding import without_imports
from corpus.parsing import UNREADABLE, content_of
from corpus.triples import Entity, Triple

PARTS: Final = ("triples", "entities", "files")


def write(out: Path, side: str, distributions: Sequence[Distribution], built: Graph) -> None:
    """Write SIDE_triples.jsonl, SIDE_entities.jsonl and SIDE_files.jsonl of the graph of some distributions."""
    backwards = inverses()
    edges = (triple_row(one) for one in triples.read_triples(built.triples) if one.relation not in backwards)
    entities = [entity_row(one) for one in triples.read_entities(built.entities)]
    for part, rows in zip(PARTS, (edges, entities, sources(entities, distributions)), strict=True):
        with (out / f"{side}_{part}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def inverses() -> frozenset[str]:
    """Of two relations that are each other's inverse, the one that the ontology names second."""
    seen: set[str] = set()
    later: set[str] = set()
    for name, relation in ontology.load().relations.items():
        seen.add(name)
        if relation.inverse in seen:
            later.add(name)
    return frozenset(later)


def triple_row(one: Triple) -> dict[str, str]:
    """record_id (the content), head, relation, tail, distribution."""
    head, relation, tail = one.content
    return {
        "record_id": "\t".join(one.content), "head": head, "relation": relation, "tail": tail,
        "distribution": one.provenance.distribution,
    }  # fmt: skip


def entity_row(one: Entity) -> dict[str, Any]:
    """name, type, distribution, file ("distribution/path"), line, end_line; empty and 0 for what lies outside."""
    at = one.definition
    return {
        "name": one.name,
        "type": one.type,
        "distribution": at.distribution if at else "",
        "file": f"{at.distribution}/{at.file}" if at else "",
        "line": at.span[0] if at else 0,
        "end_line": at.span[2] if at else 0,
    }


def sources(entities: Iterable[Mapping[str, Any]], distributions: Sequence[Distribution]) -> Iterator[dict[str, str]]:
    """file and text (without imports) of the Python files in which entities are defined; unreadable ones left out."""
    roots = {each.name: each.root for each in distributions}
    for distribution, file in sorted({(row["distribution"], row["file"]) for row in entities}):
        if file.endswith(".py"):
            path = roots[distribution] / file.partition("/")[2]
            try:
                yield {"file": file, "text": without_imports(content_of(path).decode("utf-8"))}
            except UNREADABLE:
                continue
