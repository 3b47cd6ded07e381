"""The link prediction task: triples of a graph, nine in ten known, the rest to be predicted. Gold stays in its own set.

What the graph says twice is asked once: inverses, what names alone give away (contains, declares, defines), the same
ends under a second relation, and the import of a module beside that of a name from it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from acceptance import jsonl
from corpus import bridge, facts, graph, ontology, triples

GIVEN_BY_NAMES = ("contains", "declares", "defines", "defined_in")
INVERSES = ("tested_by",)
SPECIFIC_FIRST = (
    "inherits_from", "implements", "overrides", "raises", "catches", "returns", "annotated_with", "tests",
    "instantiates", "calls", "invokes", "writes_to", "reads_from", "imports", "depends_on", "produces", "uses",
)  # fmt: skip
"""Of several relations between the same two ends, the first here is asked about."""

Edge = tuple[str, str, str]


def asked(found: Iterable[Edge]) -> list[Edge]:
    """The triples of a graph that the task is about, in the order of the graph."""
    edges = list(dict.fromkeys(found))
    given = {(head, tail) for head, relation, tail in edges if relation in GIVEN_BY_NAMES}
    best: dict[tuple[str, str], str] = {}
    order = {name: place for place, name in enumerate(SPECIFIC_FIRST)}
    for head, relation, tail in edges:
        if relation in order and (head, tail) not in given:
            known = best.setdefault((head, tail), relation)
            if order[relation] < order[known]:
                best[head, tail] = relation
    parents = {
        (head, parent)
        for head, relation, tail in edges
        if relation == "imports"
        for parent in _parents(tail)
    }  # fmt: skip
    return [
        (head, relation, tail)
        for head, relation, tail in edges
        if best.get((head, tail)) == relation and not (relation == "imports" and (head, tail) in parents)
    ]


def _parents(name: str) -> list[str]:
    parts = name.replace(":", ".").split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def held_out(
    edges: Sequence[Edge], share: float, examples: float, queries: int, seed: int
) -> tuple[list[Edge], list[Edge], list[Edge]]:
    """(known, examples, test): of every relation a share is held out, and `queries` of all these are the test, in the
    natural mix of relations. The rest of them, and a further share, are examples to fit and tune on."""
    rng = random.Random(seed)
    by_relation: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        by_relation[edge[1]].append(edge)
    part = min(1.0, queries / max(1.0, share * len(edges)))
    fitted: list[Edge] = []
    test: list[Edge] = []
    for relation in sorted(by_relation):
        rows = by_relation[relation]
        hidden = rng.sample(rows, round((share + examples) * len(rows)))
        count = round(part * share * len(rows))
        test += hidden[:count]
        fitted += hidden[count:]
    apart = {*test, *fitted}
    rng.shuffle(test)
    rng.shuffle(fitted)
    return [edge for edge in edges if edge not in apart], fitted, test


def build_links(out: Path, distributions: list[str], share: float, examples: float, queries: int, seed: int) -> None:
    """triples.jsonl (what training may see, structure included), examples.jsonl (held out, to fit a ranker and to tune
    baselines), test.jsonl, entities.jsonl, files.jsonl (sources without imports)."""
    found = bridge.chosen(distributions, tests=[])
    built = graph.cached(found, processes=2)
    entities = [facts.entity_row(one) for one in triples.read_entities(built.entities)]
    edges = [(one.head, one.relation, one.tail) for one in triples.read_triples(built.triples)]
    home = {row["name"]: row["distribution"] for row in entities}
    kinds, table = {row["name"]: row["type"] for row in entities}, ontology.load().relations
    ranged = [edge for edge in asked(edges) if kinds.get(edge[2]) in table[edge[1]].range]  # a few break the ontology
    known, fitted, test = held_out(ranged, share, examples, queries, seed)
    structure = [edge for edge in dict.fromkeys(edges) if edge[1] in GIVEN_BY_NAMES and edge[1] != "defined_in"]
    for name, rows in (("triples", [*structure, *known]), ("examples", fitted), ("test", test)):
        jsonl.write(out / f"{name}.jsonl", (_row(edge, home) for edge in rows))
    jsonl.write(out / "entities.jsonl", entities)
    jsonl.write(out / "files.jsonl", facts.sources(entities, found))


def build_known(out: Path, links: str) -> None:
    """What the subject may read: everything but the test triples."""
    for name in ("triples", "examples", "entities", "files"):
        (out / f"{name}.jsonl").write_bytes((Path(links) / f"{name}.jsonl").read_bytes())


def _row(edge: Edge, home: Mapping[str, str]) -> dict[str, str]:
    head, relation, tail = edge
    return {"head": head, "relation": relation, "tail": tail, "distribution": home.get(head, "")}
