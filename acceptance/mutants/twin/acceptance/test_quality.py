"""Is it good, on authors it never read?"""

import re
from collections import Counter

import pytest
from conftest import vocabulary

from assay import leakage


@pytest.mark.requirement("twin/topic.accuracy")
def test_tells_praise_from_blame(judge, twin, texts, heldout, reviews):
    train = reviews.rows("train.jsonl")
    majority = Counter(row["label"] for row in train).most_common(1)[0][0]
    judge(
        twin.predictions("decisions", texts),
        gold=[row["label"] for row in heldout],
        groups=[row["author"] for row in heldout],
        baselines={"majority": [majority] * len(texts), "keyword": keyword(train, texts, majority)},
        slices={"language": [row["language"] for row in heldout]},
    )


@pytest.mark.requirement("twin/topic.brier")
def test_probabilities_are_better_than_at_first(judge, twin, texts, heldout):
    predictions = twin.predictions("topics", texts)
    judge(
        predictions,
        gold=[row["label"] for row in heldout],
        groups=[row["author"] for row in heldout],
        baselines={"initialisation": predictions.untrained()},
    )


@pytest.fixture(scope="session")
def asked(queries):
    return queries.rows("queries.jsonl")


@pytest.fixture(scope="session")
def runs(twin, asked):
    return twin.predictions("search", [{"query": row["query"], "documents": row["documents"]} for row in asked])


def matrix(found, asked):
    return [[run[name] for name in row["documents"]] for run, row in zip(found, asked, strict=True)]


@pytest.mark.requirement("twin/topic.ranking")
def test_finds_the_review_that_agrees(judge, twin, runs, asked, queries):
    relevant = [list(row["documents"]).index(row["relevant"]) for row in asked]
    other = {row["label"]: row["query"] for row in asked}  # a query that asks for the opposite
    swapped = twin.predictions(
        "search", [{"query": other[1 - row["label"]], "documents": row["documents"]} for row in asked]
    )
    judge(
        runs.map(lambda found: matrix(found, asked)),
        gold={"relevant": relevant, "candidates": [10] * len(asked)},
        baselines={
            "lexical": [[overlap(row["query"], text) for text in row["documents"].values()] for row in asked],
            "swapped": matrix(swapped.values, asked),
        },
        datasets=[queries],
        checks=[
            leakage.giveaway([row["query"] for row in asked], [row["documents"][row["relevant"]] for row in asked])
        ],
    )


@pytest.mark.requirement("twin/topic.ndcg")
def test_finds_it_by_the_suites_own_measure(judge, runs, asked, queries):
    judge(runs, gold=[{row["relevant"]: 1.0} for row in asked], datasets=[queries])


@pytest.mark.requirement("twin/reasons.f1")
def test_names_the_words_that_decided(judge, twin, texts, heldout):
    worth = vocabulary()
    gold = []
    for row in heldout:
        sign = 1 if row["label"] else -1
        words = re.findall(r"\w+", row["text"])
        gold.append(" ".join(sorted(words, key=lambda word, sign=sign: (-sign * worth.get(word, 0), word))[:2]))
    judge(twin.predictions("reasons", texts), gold=gold, baselines={"recite": texts})


@pytest.mark.requirement("twin/weights.used")
def test_every_part_of_the_weights_matters(judge, twin, texts):
    judge(twin.parts({"topics": texts[:20], "reasons": texts[:20]}))


@pytest.mark.requirement("twin/probability.form")
def test_squashes_once(judge, twin):
    import numpy as np

    logits = np.linspace(-30, 30, 61)
    judge(twin.outputs("twin.model:probability", logits.tolist()), gold=1 / (1 + np.exp(-logits)))


@pytest.mark.requirement("twin/seeds.matter")
def test_learns_from_labels(judge, twin, texts, heldout):
    judge.seeds(
        [twin.variant(seed=seed) for seed in (11, 12, 13)],
        lambda variant: variant.predictions("decisions", texts),
        gold=[row["label"] for row in heldout],
        baselines={"shuffled-labels": lambda v: v.variant(label_shuffle=True).predictions("decisions", texts)},
    )


def keyword(train, texts, majority):
    """The ten-line heuristic: the one word that tells most on the training side."""
    counts = Counter()
    for row in train:
        for word in set(re.findall(r"\w+", row["text"])):
            counts[word] += 1 if row["label"] else -1
    best = max(counts, key=lambda word: (abs(counts[word]), word))
    says = int(counts[best] > 0)
    return [says if best in re.findall(r"\w+", text) else majority for text in texts]


def overlap(query, text):
    return float(len(set(re.findall(r"\w+", query)) & set(re.findall(r"\w+", text))))
