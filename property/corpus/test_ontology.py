"""Law: the ontology says for each relation what may stand on either side, and a damaged one is refused by name."""

from pathlib import Path

import pytest

from corpus import ontology
from corpus.errors import CorpusError

ENTITIES = (
    "Repository Module File Class Interface Function Method Variable Type API Library ExceptionType Test "
    "BuildTarget Annotation"
)
RELATIONS = (
    "defines defined_in declares contains implements inherits_from overrides calls invokes instantiates imports "
    "depends_on uses reads_from writes_to returns raises catches tested_by tests annotated_with produces"
)
SMALL = """
[entity.A]
meaning = "one"
[entity.B]
meaning = "other"
[relation.r]
meaning = "to"
domain = ["A"]
range = ["B"]
inverse = "s"
[relation.s]
meaning = "fro"
domain = ["B"]
range = ["A"]
inverse = "r"
"""


def test_the_project_speaks_of_the_fifteen_types_and_twenty_two_relations_of_its_protocols():
    found = ontology.load()
    assert sorted(found.entities) == sorted(ENTITIES.split())
    assert sorted(found.relations) == sorted(RELATIONS.split())
    assert {name for name, r in found.relations.items() if r.inverse} == {"defines", "defined_in", "tests", "tested_by"}
    for name in ("inherits_from", "contains", "implements"):
        assert found.relations[name].acyclic
        assert found.relations[name].antisymmetric


def test_every_entity_type_can_take_part_in_a_relation():
    found = ontology.load()
    used = set().union(*(r.domain | r.range for r in found.relations.values()))
    assert used == set(found.entities)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('range = ["B"]', 'range = ["C"]', "C"),
        ('range = ["B"]', "range = []", "range"),
        ('domain = ["A"]', 'domain = "A"', "domain"),
        ('inverse = "r"', 'inverse = "s"', "does not name it back"),
        ('domain = ["B"]', 'domain = ["A"]', "swap"),
        ('meaning = "to"', 'meaning = " "', "relation.r"),
        ('meaning = "to"', 'meaning = "to"\nsymmetric = true', "symmetric"),
        ('meaning = "to"', 'meaning = "to"\nacyclic = "yes"', "acyclic"),
        ("[entity.A]", "[entity.A", "TOML"),
        ("[entity.", "[thing.", "entity"),
    ],
)
def test_a_damaged_ontology_is_refused_by_file_and_key(tmp_path, old, new, told):
    path = tmp_path / "code.toml"
    path.write_text(SMALL.replace(old, new))
    with pytest.raises(CorpusError, match=told) as caught:
        ontology.load(path)
    assert str(path) in str(caught.value)


def test_the_digest_speaks_of_rules_and_not_of_wording(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    first.write_text(SMALL)
    second.write_text(SMALL.replace('"to"', '"towards"'))
    third.write_text(SMALL.replace('meaning = "to"', 'meaning = "to"\nacyclic = true'))
    assert ontology.load(first).digest == ontology.load(second).digest != ontology.load(third).digest


def test_the_document_holds_the_relations_as_they_are():
    """Written by: python -c "from corpus import ontology; print(ontology.catalogue(ontology.load()))"."""
    document = Path(__file__).parents[2] / "docs" / "graph.md"
    assert ontology.catalogue(ontology.load()) in document.read_text(encoding="utf-8")


def test_a_missing_ontology_says_how_to_name_one(tmp_path):
    with pytest.raises(CorpusError, match="give `load` its path"):
        ontology.load(tmp_path / "none.toml")
