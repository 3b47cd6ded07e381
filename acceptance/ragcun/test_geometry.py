"""Are the embeddings isotropic Gaussian? Measured by the judge on functions that neither training nor whitening saw."""

from __future__ import annotations

import numpy as np
import pytest

from assay.evidence import CheckResult
from assay.metrics import geometry

SIDES = ("query", "passage")


@pytest.fixture(scope="session")
def embed(ragcun):
    """Pairs -> predictions {"query": (N, D), "passage": (N, D)}."""
    return lambda rows: ragcun.predictions("embed_pairs", [[row["query"], row["passage"]] for row in rows])


@pytest.fixture(scope="session")
def embedded(embed, pair_data):
    return embed(pair_data.rows("held.jsonl"))


@pytest.mark.requirement(
    "ragcun/geometry.std",
    "ragcun/geometry.mean",
    "ragcun/geometry.sigreg",
    "ragcun/geometry.sigreg_axes",
    "ragcun/geometry.isoscore",
    "ragcun/geometry.norms",
    "ragcun/geometry.rankme",
    "ragcun/geometry.uniformity",
)
def test_embeddings_are_gaussian(judge, embedded):
    judge(embedded)


@pytest.mark.requirement("ragcun/geometry.sigreg_principal")
def test_no_principal_axis_betrays_them(judge, embed, embedded, pair_data):
    """Axes of functions that were trained on: those of the measured ones are never Gaussian in-sample."""
    other = embed(pair_data.rows("train.jsonl")[:: max(1, len(pair_data.rows("train.jsonl")) // 4300)]).values
    axes = {side: np.linalg.eigh(np.cov(other[side], rowvar=False))[1] for side in SIDES}
    judge(embedded.map(lambda both: {side: both[side] @ axes[side] for side in SIDES}))


@pytest.mark.requirement("ragcun/geometry.properties")
def test_all_laws_hold_together(judge, embedded):
    judge(embedded, checks=sabotaged(embedded.values), details={"laws": list(geometry.LAWS)})


@pytest.mark.requirement(
    "ragcun/geometry.shifted_mean",
    "ragcun/geometry.shifted_sigreg",
    "ragcun/geometry.shifted_isoscore",
)
def test_geometry_on_unseen_distributions(judge, embed, pair_data):
    rows = pair_data.rows("test.jsonl")
    judge(embed(rows), groups=[row["group"] for row in rows], clusters=[row["cluster"] for row in rows])


def sabotaged(both) -> list[CheckResult]:
    """The laws must let a Gaussian pass and refuse what is broken on purpose."""
    rng = np.random.default_rng(0)
    n, dimensions = both["query"].shape

    def normal():
        return rng.standard_normal((n, dimensions))

    first = normal()
    honest = {"query": first, "passage": 0.8 * first + 0.6 * normal()}
    half = np.repeat([1.0, 0.0], [dimensions - dimensions // 2, dimensions // 2]) * np.sqrt(2)
    spoilt = {
        "a mock that knows nothing of the text": {"query": normal(), "passage": normal()},
        "collapsed to a point": {side: 0.01 * both[side] for side in SIDES},
        "half of the rank": {side: both[side] * half for side in SIDES},
        "on a sphere": {
            side: both[side] / np.linalg.norm(both[side], axis=1, keepdims=True) * np.sqrt(dimensions) for side in SIDES
        },
        "mostly noise": {side: (both[side] + 4 * normal()) / np.sqrt(17) for side in SIDES},
    }
    passes = geometry.broken(honest)
    return [
        CheckResult(name="laws-hold-for-a-gaussian", ok=not passes, detail="; ".join(passes)),
        *(
            CheckResult(name="laws-are-broken", ok=bool(geometry.broken(bad)), detail=f"{name}: no law is broken")
            for name, bad in spoilt.items()
        ),
    ]
