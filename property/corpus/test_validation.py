"""Law: the validator says no to every kind of wrong triple, by definitions and laws alone, and only to those."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from acceptance.corpus.planting import plant

from corpus import bridge, graph, ontology, triples
from corpus.triples import Provenance, Triple
from corpus.validation import OUTSIDE, Node, Validator

AT = Provenance("d", "1", "m.py", (1, 0, 1, 1), "MIT")
NODES = {
    "m": Node("Module", True),
    "m.A": Node("Class", True),
    "m.B": Node("Class", True),
    "m.I": Node("Interface", True),
    "m.f": Node("Function", True),
    "m.v": Node("Variable", True),
    "m.E": Node("ExceptionType", True),
    "lib.g": Node("API", False),
}
EDGES = [("m", "defines", "m.A"), ("m.A", "defined_in", "m"), ("m.A", "inherits_from", "m.B")]


@pytest.fixture(scope="module")
def validator():
    return Validator(ontology.load(), NODES, EDGES)


def triple(head, relation, tail, head_type=None, tail_type=None):
    types = [NODES.get(name, Node("Class", True)).type for name in (head, tail)]
    return Triple(head, relation, tail, head_type or types[0], tail_type or types[1], AT)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (triple("m.f", "calls", "m.f"), ""),
        (triple("m.f", "raises", "m.E"), ""),
        (triple("m", "defines", "m.A"), ""),
        (triple("m.f", "calls", "lib.g"), OUTSIDE),
        (triple("m.v", "calls", "lib.g"), "head is a Variable"),
        (triple("m.f", "calls", "m.v"), "tail is a Variable"),
        (triple("m.f", "calls", "m.v", tail_type="Function"), "called Function and defined as Variable"),
        (triple("m.f", "calls", "m.f", head_type="Method"), "called Method and defined as Function"),
        (triple("m.f", "calls", "m.gone"), "tail is no entity"),
        (triple("m.f", "likes", "m.A"), "unknown relation"),
        (triple("m.B", "inherits_from", "m.A"), "both ways"),
        (triple("m.A", "inherits_from", "m.A"), "of itself"),
        (triple("m.A", "defined_in", "m.B"), "a second defined_in"),
        (triple("m", "defines", "m.B"), "no defined_in in return"),
        (triple("m.A", "implements", "m.B"), "tail is a Class"),
    ],
)
def test_each_wrong_is_told_by_name(validator, said, complaint):
    found = validator.complaints(said)
    assert (found == []) if not complaint else any(complaint in one for one in found)


def test_planted_triples_are_reported_and_real_ones_are_not(tmp_path):
    found = bridge.chosen(["jsonschema", "filelock"], ["jsonschema"])
    built = graph.build(found, tmp_path / "g.jsonl", processes=1)
    validator = Validator.of(built.entities, built.triples, ontology.load())
    real = list(triples.read_triples(built.triples))
    types = {one.name: one.type for one in triples.read_entities(built.entities) if one.definition}
    honest = [one for one in real if one.head in types and one.tail in types]
    rows = [[one.head, one.relation, one.tail, one.head_type, one.tail_type, one] for one in honest]
    planted = plant(rows, types, ontology.load(), 400, seed=1)
    assert min(Counter(kind for kind, _ in planted).values()) == 50
    missed = [(kind, row) for kind, row in planted if not validator.complaints(Triple(*row[:5], AT))]
    assert missed == []
    wrong = [one for one in honest if validator.complaints(one)]
    assert len(wrong) <= 0.0061 * len(honest)


def test_a_claimed_type_never_decides(validator):
    """Whatever a triple claims of its ends, what is wrong with them stays wrong."""
    said = triple("m.f", "calls", "m.v")
    for claimed in ontology.load().entities:
        assert validator.complaints(replace(said, head_type=claimed, tail_type=claimed))
