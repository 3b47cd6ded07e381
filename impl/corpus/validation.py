"""Does a triple keep to the ontology? Judged by the definitions of its two ends, never by the triple itself.

What an end *is* comes from the entity table, whatever the triple claims. Laws between triples (one place, no two ways,
an inverse) are checked against the rest of the graph. It reports; it never repairs and never drops.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from corpus import triples
from corpus.ontology import Ontology
from corpus.triples import Entity, Triple

OUTSIDE: Final = "outside"
"""No complaint, but an end without a definition, whose type nothing proves."""


class Node(NamedTuple):
    """What is known of an entity."""

    type: str
    defined: bool


class Validator:
    """Checks triples of one graph.

    Args:
        ontology: what may stand where.
        nodes: every entity of the graph by name.
        edges: the graph's triples; those of relations with laws between triples are remembered as hashes.
    """

    def __init__(self, ontology: Ontology, nodes: Mapping[str, Node], edges: Iterable[tuple[str, str, str]]) -> None:
        self._ontology, self._nodes = ontology, nodes
        self._edges: set[int] = set()
        self._tails: dict[int, str] = {}
        relations = ontology.relations
        functional = {name for name, one in relations.items() if one.functional}
        lawful = {name for name, one in relations.items() if one.antisymmetric or one.inverse}
        for head, relation, tail in edges:
            if relation in lawful:
                self._edges.add(hash((head, relation, tail)))
            if relation in functional:
                self._tails.setdefault(hash((head, relation)), tail)

    @classmethod
    def of(cls, entities: Path, edges: Path, ontology: Ontology) -> "Validator":
        """The validator of a graph on disk."""
        nodes = {one.name: _node(one) for one in triples.read_entities(entities)}
        return cls(ontology, nodes, (one.content for one in triples.read_triples(edges)))

    def complaints(self, triple: Triple) -> list[str]:
        """What is wrong with a triple; empty where nothing is, [OUTSIDE] where one end cannot be judged."""
        relation = self._ontology.relations.get(triple.relation)
        if relation is None:
            return ["unknown relation"]
        found: list[str] = []
        judged = True
        for side, name, claimed, allowed in (
            ("head", triple.head, triple.head_type, relation.domain),
            ("tail", triple.tail, triple.tail_type, relation.range),
        ):
            node = self._nodes.get(name)
            if node is None:
                found.append(f"{side} is no entity of the graph")
                continue
            if claimed != node.type:
                found.append(f"{side} is called {claimed} and defined as {node.type}")
            if not node.defined:
                judged = False
            elif node.type not in allowed:
                found.append(f"{side} is a {node.type}, which {triple.relation} does not allow")
        if relation.antisymmetric:
            if triple.head == triple.tail:
                found.append(f"{triple.relation} of itself")
            elif hash((triple.tail, triple.relation, triple.head)) in self._edges:
                found.append(f"{triple.relation} both ways")
        if relation.functional and self._tails.get(hash((triple.head, triple.relation)), triple.tail) != triple.tail:
            found.append(f"a second {triple.relation}")
        if relation.inverse and hash((triple.tail, relation.inverse, triple.head)) not in self._edges:
            found.append(f"no {relation.inverse} in return")
        return found or ([] if judged else [OUTSIDE])


def _node(entity: Entity) -> Node:
    return Node(entity.type, entity.definition is not None)
