"""Does it find defects in code of distributions that it never saw, and where?"""

from __future__ import annotations

import numpy as np
import pytest

from acceptance.graphsage import places
from assay.metrics import Metric
from assay.metrics.classification import threshold_at_fpr


@pytest.fixture(scope="session")
def answers(ask, heldout_defects):
    """What the subject says of all held-out items; every source is read once for all rows."""
    return ask("defects", heldout_defects.sources, seed=0)


@pytest.fixture(scope="session")
def scores(answers):
    return answers.map(lambda found: found["score"])


@pytest.mark.requirement("graphsage/bugs.auroc")
def test_finds_injected_defects(judge, scores, heldout_defects, ngram_scores, pair_data):
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
        datasets=pair_data,
        details={"samples": samples(heldout_defects, scores)},
    )


@pytest.mark.requirement("graphsage/bugs.auroc_hard")
def test_finds_the_harder_defects(judge, scores, heldout_defects, ngram_scores, pair_data, nearly_artefacts):
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
        datasets=pair_data,
    )


@pytest.mark.requirement("graphsage/bugs.recall")
def test_finds_defects_at_few_false_alarms(judge, ask, scores, heldout_defects, dev_defects, ngram_scores, pair_data):
    """Subject and baseline each alarm above the score that lets 5 % of the dev originals through."""
    dev_labels = dev_defects.gold["label"]

    def with_threshold(found, of_dev):
        cut = threshold_at_fpr(of_dev, dev_labels, fpr=0.05)
        return {"scores": np.asarray(found), "threshold": np.full(len(found), cut)}

    judge(
        scores.map(with_threshold, beside=ask("defect_scores", dev_defects.sources)),
        gold=heldout_defects.gold,
        groups=heldout_defects.column("distribution"),
        clusters=heldout_defects.column("module"),
        baselines={"ngram-logreg": with_threshold(ngram_scores["test"], ngram_scores["dev"])},
        slices={"operator": heldout_defects.column("operator")},
        datasets=pair_data,
    )


@pytest.mark.requirement("graphsage/bugs.location")
def test_points_at_the_changed_node(judge, answers, heldout_defects, guesses, pair_data):
    gold = {
        "label": [places.named(row["span"]) for row in heldout_defects.rows],
        "stratum": [row["operator"] for row in heldout_defects.rows],
    }
    judge(
        answers.map(
            lambda found: [places.named(span) for span in found["place"][1::2]],
            items=[row["mutant"] for row in heldout_defects.rows],
        ),
        gold=gold,
        groups=[row["distribution"] for row in heldout_defects.rows],
        clusters=[row["module"] for row in heldout_defects.rows],
        baselines=guesses,
        slices={"operator": gold["stratum"]},
        datasets=pair_data,
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
