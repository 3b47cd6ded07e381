"""Does the embedding see behaviour: is a rewrite nearer to its original than a defect of the same function?"""

from __future__ import annotations

import pytest


@pytest.mark.requirement("graphsage/embedding.triplet")
def test_a_rewrite_is_nearer_than_a_defect(judge, ask, heldout_programs, heldout_program_data):
    triplets = heldout_programs.triplets
    vectors = ask("embeddings", heldout_programs.sources)
    judge(
        vectors.map(triplets.by_vectors, items=triplets.places),
        gold=triplets.gold,
        groups=triplets.column("group"),
        baselines={"edit-distance": triplets.by_edits(), "tf-idf": triplets.by_tfidf()},
        slices={"rewrite": triplets.rewrites(), "origin": triplets.column("origin")},
        datasets=[heldout_program_data],
    )
