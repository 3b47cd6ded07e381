"""Does it find defects in code of distributions that it never saw, and where?"""

from __future__ import annotations

import ast
import random
from collections import Counter

import numpy as np
import pytest

from assay.metrics import Metric
from assay.metrics.classification import threshold_at_fpr
from corpus import defects


@pytest.fixture(scope="session")
def answers(graphsage, heldout_defects):
    """What the subject says of all held-out items; every source is read once for all rows."""
    return graphsage.predictions("defects", heldout_defects.sources, seed=0)


@pytest.fixture(scope="session")
def scores(answers):
    return answers.map(lambda found: found["score"])


@pytest.mark.requirement("graphsage/bugs.auroc")
def test_finds_injected_defects(judge, scores, heldout_defects, ngram_scores, defect_data):
    judge(
        scores,
        gold=heldout_defects.gold,
        groups=heldout_defects.column("distribution"),
        clusters=heldout_defects.column("module"),
        baselines={"ngram-logreg": ngram_scores["test"], "size": heldout_defects.sizes},
        slices={
            "operator": heldout_defects.column("operator"),
            "distribution": heldout_defects.column("distribution"),
        },
        datasets=[defect_data],
        details={"samples": samples(heldout_defects, scores)},
    )


@pytest.mark.requirement("graphsage/bugs.auroc_hard")
def test_finds_the_harder_defects(judge, scores, heldout_defects, ngram_scores, defect_data, nearly_artefacts):
    kept = heldout_defects.without(nearly_artefacts)
    judge(
        scores.map(lambda every: Metric.take(every, kept), items=Metric.take(heldout_defects.sources, kept)),
        gold=Metric.take(heldout_defects.gold, kept),
        groups=Metric.take(heldout_defects.column("distribution"), kept),
        clusters=Metric.take(heldout_defects.column("module"), kept),
        baselines={
            "ngram-logreg": Metric.take(ngram_scores["test"], kept),
            "size": Metric.take(heldout_defects.sizes, kept),
        },
        slices={"operator": Metric.take(heldout_defects.column("operator"), kept)},
        datasets=[defect_data],
    )


@pytest.mark.requirement("graphsage/bugs.recall")
def test_finds_defects_at_few_false_alarms(
    judge, graphsage, scores, heldout_defects, dev_defects, ngram_scores, defect_data
):
    """Subject and baseline each alarm above the score that lets 5 % of the dev originals through."""
    dev_labels = dev_defects.gold["label"]

    def with_threshold(found, of_dev):
        cut = threshold_at_fpr(of_dev, dev_labels, fpr=0.05)
        return {"scores": np.asarray(found), "threshold": np.full(len(found), cut)}

    own = graphsage.predictions("defect_scores", dev_defects.sources).values
    judge(
        scores.map(lambda found: with_threshold(found, own)),
        gold=heldout_defects.gold,
        groups=heldout_defects.column("distribution"),
        clusters=heldout_defects.column("module"),
        baselines={"ngram-logreg": with_threshold(ngram_scores["test"], ngram_scores["dev"])},
        slices={"operator": heldout_defects.column("operator")},
        datasets=[defect_data],
    )


@pytest.mark.requirement("graphsage/bugs.location")
def test_points_at_the_changed_node(judge, answers, heldout_defects, defect_data):
    kind = most_frequent_type(defect_data.rows("train.jsonl"))
    mutants = [row["mutant"] for row in heldout_defects.rows]
    gold = {
        "label": [named(row["span"]) for row in heldout_defects.rows],
        "stratum": [row["operator"] for row in heldout_defects.rows],
    }
    rng = random.Random(0)
    judge(
        answers.map(lambda found: [named(span) for span in found["place"][1::2]], items=mutants),
        gold=gold,
        groups=[row["distribution"] for row in heldout_defects.rows],
        clusters=[row["module"] for row in heldout_defects.rows],
        baselines={
            "random-node": [named(rng.choice(spans(source))) for source in mutants],
            "random-site": [named(rng.choice(sites(source))) for source in mutants],
            "frequent-type": [named(first_of_type(source, kind)) for source in mutants],
        },
        slices={"operator": gold["stratum"]},
        datasets=[defect_data],
    )


@pytest.mark.requirement("graphsage/edges.used")
def test_uses_its_edges(judge, answers, scores, heldout_defects, defect_data):
    judge(
        scores,
        gold=heldout_defects.gold,
        groups=heldout_defects.column("distribution"),
        clusters=heldout_defects.column("module"),
        baselines={"rewired": answers.values["rewired"]},
        datasets=[defect_data],
    )


def named(span) -> str:
    """A span as one word, which is compared a thousand times faster than it is as a list by every resampling."""
    return ":".join(map(str, span))


def spans(source: str) -> list[list[int]]:
    """Every node's place: what a random guess would choose from."""
    return [
        [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]
        for node in ast.walk(ast.parse(source))
        if hasattr(node, "end_col_offset")
    ]


def sites(source: str) -> list[tuple[int, int, int, int]]:
    """Places at which some operator could act; every node where there is none (the defect took the only one)."""
    return [site.span for site in defects.sites(source)] or [tuple(span) for span in spans(source)]


def most_frequent_type(rows) -> str:
    """The type of node that defects of training functions most often sit on."""
    return Counter(_type_at(row["mutant"], row["span"]) for row in rows).most_common(1)[0][0]


def first_of_type(source: str, kind: str) -> list[int]:
    """The first node of that type, or of any type when there is none."""
    nodes = [node for node in ast.walk(ast.parse(source)) if hasattr(node, "end_col_offset")]
    node = next((n for n in nodes if type(n).__name__ == kind), nodes[0])
    return [node.lineno, node.col_offset, node.end_lineno, node.end_col_offset]


def _type_at(source: str, span) -> str:
    for node in ast.walk(ast.parse(source)):
        if hasattr(node, "end_col_offset") and list(span) == [
            node.lineno, node.col_offset, node.end_lineno, node.end_col_offset,
        ]:  # fmt: skip
            return type(node).__name__
    return "?"


def samples(held_out, predictions) -> list[dict[str, object]]:
    """Twenty pairs with both scores, for a person to read."""
    values = np.asarray(predictions.values)
    return [
        {
            "operator": row["operator"],
            "mutant": row["mutant"],
            "score of original": round(float(values[2 * i]), 3),
            "score of mutant": round(float(values[2 * i + 1]), 3),
        }
        for i, row in list(enumerate(held_out.rows))[:20]
    ]
