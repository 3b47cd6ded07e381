"""Is the data what it is said to be, and is there anything in the features?"""

import random

import pytest
from conftest import vocabulary

from assay import contracts
from assay.project import Project


@pytest.mark.requirement("twin/data.labels")
def test_reads_the_labels_of_the_file(judge, twin, reviews):
    rows = reviews.rows("train.jsonl")
    contract = Project.here().root / "spec" / "contracts" / "reviews.json"
    judge(
        twin.outputs("twin.data:labels", rows),
        gold=[row["label"] for row in rows],
        checks=[
            one
            for side in ("train", "test")
            for one in contracts.check(contract, reviews.path(f"{side}.jsonl")).as_checks()
        ],
    )


@pytest.mark.requirement("twin/features.alive", "twin/features.parsed")
def test_features_are_alive(judge, twin, texts):
    judge(twin.outputs("twin.features:vectors", texts))


@pytest.mark.requirement("twin/features.see_changes")
def test_features_see_changed_words(judge, twin, texts):
    exchanged = [swapped(text) for text in texts]
    both = [text for pair in zip(texts, exchanged, strict=True) for text in pair]
    pairs = twin.outputs("twin.features:vectors", both)
    judge(pairs.map(lambda found: {"first": found[0::2], "second": found[1::2]}, items=texts))


@pytest.mark.requirement("twin/graph.resolved")
def test_words_resolve_to_the_lexicon(judge, twin, texts):
    judge(twin.outputs("twin.graph:referred", texts), gold=[list(vocabulary())] * len(texts))


@pytest.mark.requirement("twin/graph.validated")
def test_reports_planted_triples(judge, twin):
    definitions = {"red": "adjective", "house": "noun", "sees": "verb", "old": "adjective", "tree": "noun"}
    right = [["red", "modifies", "house"], ["old", "modifies", "tree"], ["sees", "governs", "tree"]]
    wrong = [["house", "modifies", "red"], ["sees", "modifies", "tree"], ["old", "governs", "sees"]]
    items = [{"triple": triple, "definitions": definitions} for triple in (right + wrong) * 10]
    judge(twin.outputs("twin.graph:valid", items), gold=[1, 1, 1, 0, 0, 0] * 10)


@pytest.mark.requirement("twin/keywords.f1")
def test_names_keywords(judge, twin, texts):
    names = ("bad", "bead", "bid", "bud", "dab", "dad", "deed", "did", "dub", "gab")
    found = [set(text[:-1].replace(",", "").split()) for text in texts]
    gold = {"labels": [[name in words for name in names] for words in found], "outside": [0] * len(texts)}
    judge(twin.outputs("twin.features:keywords", texts), gold=gold)


def swapped(text):
    """The same review with two words of different length exchanged by others."""
    words, rng = text[:-1].split(), random.Random(text)
    place = rng.randrange(len(words))
    words[place] = "steeb" if len(words[place]) < 5 else "ab"
    return " ".join(words) + "."
