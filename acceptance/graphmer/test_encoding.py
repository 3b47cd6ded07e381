"""Do the chains hold the graph, and do the laws of the ontology act? Nothing here needs good weights."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.requirement("graphmer/leafy.roundtrip")
def test_chains_decode_to_the_same_triples(judge, heads, chains):
    """In rows of every width: the head, and exactly its facts."""

    def cases(rows):
        same = []
        for item, gold, own in zip(heads.items, heads.gold, rows, strict=True):
            widths: dict[str, list[tuple[str, str]]] = {}
            for one in own:
                width = one["id"].rpartition("@")[2].partition("#")[0]
                widths.setdefault(width, []).extend((relation, tail) for relation, tail in one["facts"])
            right = all(one["head"] == item["head"] for one in own) and len(widths) > 0
            same.append(right and all(len(f) == len(gold) and set(f) == gold for f in widths.values()))
        return {"case": [item["head"] for item in heads.items], "holds": same}

    judge(chains.map(cases))


@pytest.mark.requirement("graphmer/constraints.raised")
def test_planted_violations_cost_more(judge, graphmer):
    """A reversed edge, a closed cycle and a broken closure each cost more than the same graph without."""
    rng = np.random.default_rng(0)
    clean, planted = [], []
    for _ in range(20):
        order = np.triu(rng.uniform(0.0, 0.3, (8, 8)), 1)  # edges go forward only
        low, high = sorted(rng.choice(8, 2, replace=False))
        for law in ("antisymmetric", "acyclic"):
            order[low, high] = 0.9
            clean.append({"law": law, "adjacency": order.tolist()})
            back = order.copy()
            back[high, low] = 0.9
            planted.append({"law": law, "adjacency": back.tolist()})
        a, b, c = sorted(rng.choice(8, 3, replace=False))
        closed = order.copy()
        closed[a, b] = closed[b, c] = closed[a, c] = 1.0
        open_ = closed.copy()
        open_[a, c] = 0.0
        clean.append({"law": "transitive", "adjacency": closed.tolist()})
        planted.append({"law": "transitive", "adjacency": open_.tolist()})
    items = [one for both in zip(clean, planted, strict=True) for one in both]
    found = graphmer.outputs("graphmer.bridge:law_costs", items)
    judge(found.map(lambda x: {"first": x[0::2], "second": x[1::2]}, items=clean))
