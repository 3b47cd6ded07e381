"""Do the chains hold the graph, and do the laws of the ontology act? Nothing here needs good weights."""

from __future__ import annotations

import random

import numpy as np
import pytest

from acceptance.graphmer import masked
from corpus import ontology
from corpus.triples import Provenance, Triple
from corpus.validation import OUTSIDE, Node, Validator


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


def asked(graphmer, heads, unseen, unseen_heads, table, kind):
    """The subject's answers to questions of the unseen side; beside them gold, frequent entries, and copies."""
    folder, profile = graphmer.artifact.folder, graphmer.profile
    found = masked.questions(unseen_heads, folder, profile, kind, table["items"])
    counts = masked.counts(heads, folder, profile, kind)
    cheap = {"unigram": found.unigram(counts), "copy": found.copied(counts)}
    beside = {"gold": found.gold, "groups": found.heads, "baselines": cheap, "datasets": [unseen]}
    return graphmer.predictions("fill", found.items), beside


@pytest.fixture(scope="session")
def tokens_asked(graphmer, heads, unseen, unseen_heads, tables):
    return asked(graphmer, heads, unseen, unseen_heads, tables("masked"), "mlm")


@pytest.fixture(scope="session")
def leaves_asked(graphmer, heads, unseen, unseen_heads, tables):
    return asked(graphmer, heads, unseen, unseen_heads, tables("masked"), "mnm")


@pytest.mark.requirement("graphmer/mlm.accuracy", "graphmer/mlm.mrr", "graphmer/mlm.hits10")
def test_fills_in_hidden_tokens(judge, tokens_asked):
    answers, beside = tokens_asked
    judge(answers, **beside)


@pytest.mark.requirement("graphmer/mnm.accuracy", "graphmer/mnm.mrr", "graphmer/mnm.hits10")
def test_fills_in_hidden_leaves(judge, leaves_asked):
    answers, beside = leaves_asked
    judge(answers, **beside)


@pytest.mark.requirement("graphmer/constraints.violations")
def test_first_tails_keep_to_the_ontology(judge, graphmer, fact_data, tables):
    """Types come from definitions; a law between triples is checked against the training graph."""
    rows = {part: fact_data.rows(f"train_{part}.jsonl") for part in ("triples", "entities")}
    nodes = {row["name"]: Node(row["type"], bool(row["file"])) for row in rows["entities"]}
    edges = [(row["head"], row["relation"], row["tail"]) for row in rows["triples"]]
    validator = Validator(ontology.load(), nodes, edges)
    pairs = sorted({(head, relation) for head, relation, _ in edges if head in nodes})
    random.Random(0).shuffle(pairs)
    items = [{"head": head, "relation": relation} for head, relation in pairs[: tables("masked")["items"]]]
    entities = [[name, node.type] for name, node in sorted(nodes.items())]
    found = graphmer.predictions("tails", items, entities=entities)

    def broken(tails):
        verdicts = []
        for item, tail in zip(items, tails, strict=True):
            head = item["head"]
            place = Provenance("", "", "", (1, 0, 1, 0), "")
            triple = Triple(head, item["relation"], tail, nodes[head].type, nodes[tail].type, place)
            # the graph of the chains holds one of two inverse relations: the other never comes "in return"
            said = [one for one in validator.complaints(triple) if one != OUTSIDE and not one.endswith("in return")]
            verdicts.append(bool(said))
        return {"case": [f"{item['head']} {item['relation']}" for item in items], "holds": verdicts}

    judge(found.map(broken))
