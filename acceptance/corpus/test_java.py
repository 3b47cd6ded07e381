"""Do Java sources give a graph by the same rules as Python ones?"""

from __future__ import annotations

import pytest

from acceptance.corpus import sites
from acceptance.corpus.conftest import RELATION, Edges
from corpus import archives, bridge
from corpus.errors import CorpusError
from corpus.validation import OUTSIDE


@pytest.fixture(scope="session")
def unpacked(assay_session, tables):
    """The archives, fetched where a judgement needs them; a smoke run looks into the cache only."""
    try:
        return [archives.find(name, fetch=not assay_session.smoke) for name in tables("java")["archives"]]
    except CorpusError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def named(tables):
    """The arguments that name the graph: the archives with their tests."""
    names = tables("java")["archives"]
    return {"distributions": [f"{bridge.JAVA}{name}" for name in names], "tests": names}


@pytest.fixture(scope="session")
def places(unpacked):
    """Label -> file."""
    return {f"{one.name}/{one.relative(path)}": path for one in unpacked for path in (*one.files, *one.tests)}


@pytest.fixture(scope="session")
def java(dataset, subject, places):
    return subject("corpus", datasets=[dataset("java", build, sources=places, tables=["java"], labels=sorted(places))])


def build(out, labels):
    (out / "labels.txt").write_text("\n".join(labels))


@pytest.fixture(scope="session")
def told(java, places, named):
    return Edges(java.outputs("corpus.bridge:triples_of_files", sorted(places), **named))


@pytest.mark.requirement("corpus/java.size")
def test_java_gives_enough_triples(judge, told):
    judge(told.as_items(lambda rows: [row[:3] for row in rows]))


@pytest.mark.requirement("corpus/java.validity")
def test_java_triples_keep_to_the_ontology(judge, java, told, places, named):
    answers = java.outputs("corpus.bridge:complaints_of_files", sorted(places), **named)
    said = [text for texts in answers.values for text in texts]
    inside = [index for index, text in enumerate(said) if text != OUTSIDE]
    cases = {
        "case": [" ".join(told.rows[index][:3]) for index in inside],
        "holds": [not said[index] for index in inside],
    }
    judge(
        answers.map(lambda found: cases, items=inside),
        slices={"relation": [told.rows[index][RELATION] for index in inside]},
        details={"excluded, an end without a definition": len(said) - len(inside)},
    )


@pytest.mark.requirement("corpus/java.resolution")
def test_java_calls_are_resolved_or_counted(judge, java, places, named):
    written = sites.of(places)
    told = java.outputs("corpus.bridge:call_sites", list(written), **named)
    distributions = [label.partition("/")[0] for label in written]
    judge(
        sites.resolved(told, written),
        slices={"distribution": distributions},
        details=sites.details(told.values["sites"], written),
    )
