"""Is the model done? One test per requirement of spec/tumour.toml; each reads like the claim it checks."""

import pytest


@pytest.mark.requirement("tumour/auroc")
def test_ranks_malignant_first(judge, tumour, heldout):
    judge(
        tumour.predictions("probabilities", heldout["features"]),
        gold=heldout["labels"],
        baselines={"largest-radius": [row[20] for row in heldout["features"]]},
    )


@pytest.mark.requirement("tumour/accuracy")
def test_gets_most_right(judge, tumour, heldout):
    judge(
        tumour.predictions("decisions", heldout["features"]),
        gold=heldout["labels"],
        baselines={"majority": [0] * len(heldout["labels"])},
    )


@pytest.mark.requirement("tumour/latency.p95")
def test_answers_quickly(judge, tumour, heldout):
    judge(tumour.timings("answer", heldout["features"]))
