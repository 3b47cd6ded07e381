"""Is the knowledge graph large, lawful, complete, and without repetition?"""

from __future__ import annotations

import random

import pytest

from acceptance.corpus.conftest import DISTRIBUTION, FILE, HEAD, LICENCE, LINE, RELATION, TAIL, VERSION
from acceptance.corpus.places import Places, named_places
from acceptance.corpus.planting import plant
from assay.evidence import CheckResult
from corpus import bridge, ontology
from corpus.validation import OUTSIDE

ACYCLIC = ("inherits_from", "contains", "implements")


@pytest.fixture(scope="session")
def said(complaints):
    """The complaint of each triple, flat, as `edges.rows`."""
    return [text for texts in complaints.values for text in texts]


@pytest.mark.requirement("corpus/kg.size")
def test_the_corpus_gives_enough_unique_valid_triples(judge, edges, said):
    valid = [index for index, text in enumerate(said) if text in ("", OUTSIDE)]
    contents = [edges.rows[index][:3] for index in valid]
    judge(
        edges.observed.map(lambda found: contents, items=contents),
        groups=[edges.rows[index][DISTRIBUTION] for index in valid],
    )


@pytest.mark.requirement("corpus/kg.validity")
def test_triples_keep_to_the_ontology(judge, edges, complaints, said):
    inside = [index for index, text in enumerate(said) if text != OUTSIDE]
    relations = [edges.rows[index][RELATION] for index in inside]
    cases = {
        "case": [" ".join(edges.rows[index][:3]) for index in inside],
        "holds": [not said[index] for index in inside],
    }
    judge(
        complaints.map(lambda found: cases, items=inside),
        groups=[edges.rows[index][DISTRIBUTION] for index in inside],
        slices={"relation": relations},
        details={
            "excluded, an end without a definition": len(said) - len(inside),
            "complaints": _examples(edges, said),
        },
    )


def _examples(edges, said):
    wrong = [index for index, text in enumerate(said) if text not in ("", OUTSIDE)]
    chosen = random.Random(0).sample(wrong, min(10, len(wrong)))
    return [f"{' '.join(edges.rows[index][:3])}: {said[index]}" for index in chosen]


@pytest.mark.requirement("corpus/kg.planted")
def test_planted_triples_are_reported(judge, corpus, edges, entities, said, chosen, tables):
    planted = _planted(edges, entities, said, **tables("planted"))
    rng = random.Random(tables("planted")["seed"])
    real = rng.sample(list(zip(edges.rows, said, strict=True)), len(planted))
    mixed = [*((kind, row, None) for kind, row in planted), *(("", row, text) for row, text in real)]
    rng.shuffle(mixed)
    answers = corpus.outputs("corpus.bridge:complaints", [row for _, row, _ in mixed], **chosen)
    where = [index for index, (kind, _, _) in enumerate(mixed) if kind]

    def reported(found):
        cases = [f"{kind}: {' '.join(row[:3])}" for kind, row, _ in mixed if kind]
        return {"case": cases, "holds": [bool(found[index]) for index in where]}

    judge(
        answers.map(reported, items=where),
        slices={"kind": [mixed[index][0] for index in where]},
        checks=[_same_answers(mixed, answers.values)],
    )


def _same_answers(mixed, found):
    """Whether real triples among planted ones are judged as they are alone: what reports all reports no planted one."""
    pairs = [(row, text, (told or [""])[0]) for (kind, row, text), told in zip(mixed, found, strict=True) if not kind]
    other = [f"{' '.join(row[:3])}: {told or 'nothing'}" for row, text, told in pairs if told != text]
    return CheckResult(name="real-triples", ok=not other, detail="; ".join(other[:5]))


def _planted(edges, entities, said, seed, triples):
    types = {name: kind for rows in entities.values[:-1] for name, kind in rows}
    inside = [row for row, text in zip(edges.rows, said, strict=True) if text == ""]
    return plant(inside, types, ontology.load(), triples, seed)


@pytest.mark.requirement("corpus/kg.acyclic")
def test_hierarchies_have_no_cycles(judge, edges):
    rows = [row for row in edges.rows if row[RELATION] in ACYCLIC]
    columns = {name: [row[at] for row in rows] for name, at in (("relation", RELATION), ("head", HEAD), ("tail", TAIL))}
    judge(edges.observed.map(lambda found: columns, items=rows))


@pytest.mark.requirement("corpus/kg.types")
def test_the_entity_types_are_in_use(judge, entities):
    types = [kind for rows in entities.values for _, kind in rows]
    judge(entities.map(lambda found: types, items=types))


@pytest.mark.requirement("corpus/kg.relations")
def test_the_relations_are_in_use(judge, edges):
    judge(edges.as_items(lambda rows: [row[RELATION] for row in rows]))


@pytest.mark.requirement("corpus/kg.provenance")
def test_every_triple_says_where_it_is_written(judge, edges, chosen, tables):
    places = Places({each.name: each.root for each in bridge.chosen(**chosen)})

    def told(row):
        known = all(row[at] for at in (DISTRIBUTION, VERSION, FILE, LICENCE)) and row[LICENCE] != "unknown"
        return known and len(row[LINE:]) == 4 and places.holds(row)

    judge(
        edges.as_items(lambda rows: {"case": [" ".join(r[:3]) for r in rows], "holds": [told(r) for r in rows]}),
        checks=named_places(places, edges.rows, **tables("places")),
    )


@pytest.mark.requirement("corpus/kg.duplicates")
def test_no_triple_is_said_twice(judge, edges):
    judge(edges.as_items(lambda rows: [row[:3] for row in rows]))
