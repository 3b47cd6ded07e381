"""The graph of some distributions as training gets it: triples, entities with their places, sources without imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance import jsonl
from corpus import bridge, graph, triples
from corpus.hiding import without_imports
from corpus.parsing import UNREADABLE, content_of

INVERSES = ("defined_in", "tested_by")
"""Relations that say what another one says already: one of two is enough to learn from."""

PARTS = ("triples", "entities", "files")


def build_facts(out: Path, train: Sequence[str], dev: Sequence[str]) -> None:
    """For each side SIDE_triples.jsonl, SIDE_entities.jsonl and SIDE_files.jsonl."""
    for side, names in (("train", train), ("dev", dev)):
        found = bridge.chosen(names, tests=[])
        built = graph.cached(found, processes=2)
        entities = [_entity(one) for one in triples.read_entities(built.entities)]
        jsonl.write(out / f"{side}_entities.jsonl", entities)
        edges = triples.read_triples(built.triples)
        jsonl.write(out / f"{side}_triples.jsonl", (_triple(one) for one in edges if one.relation not in INVERSES))
        place = {each.name: each.root for each in found}
        wanted = sorted({(row["distribution"], row["file"]) for row in entities if row["file"].endswith(".py")})
        jsonl.write(out / f"{side}_files.jsonl", _sources(wanted, place))


def _triple(one: triples.Triple) -> dict[str, str]:
    return {
        "record_id": "\t".join(one.content),
        "head": one.head,
        "relation": one.relation,
        "tail": one.tail,
        "distribution": one.provenance.distribution,
    }


def _entity(one: triples.Entity) -> dict[str, Any]:
    at = one.definition
    return {
        "name": one.name,
        "type": one.type,
        "distribution": at.distribution if at else "",
        "file": f"{at.distribution}/{at.file}" if at else "",
        "line": at.span[0] if at else 0,
        "end_line": at.span[2] if at else 0,
    }


def _sources(wanted: Iterable[tuple[str, str]], place: Mapping[str, Path]) -> Iterable[dict[str, str]]:
    for distribution, file in wanted:
        path = place[distribution] / file.partition("/")[2]
        try:
            yield {"file": file, "text": without_imports(content_of(path).decode("utf-8"))}
        except UNREADABLE:
            continue
