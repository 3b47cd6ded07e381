"""Evaluation against trec_eval itself where there are no ties, and against all orders where there are."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcun import beir
from ragcun.errors import RagcunError

pytrec_eval = pytest.importorskip("pytrec_eval")

documents = st.sampled_from([f"d{i}" for i in range(12)])


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.dictionaries(documents, st.integers(0, 3), min_size=1), min_size=1),
    st.integers(0, 10**6),
)
def test_without_ties_it_is_trec_eval(qrels, seed):
    """Unanswered queries, unjudged documents, k beyond the run: all as trec_eval -c counts them."""
    judged = {query: grades for query, grades in qrels.items() if any(grades.values())}
    if not judged:
        with pytest.raises(RagcunError):
            beir.evaluate({}, qrels)
        return
    rng = np.random.default_rng(seed)
    run = {}
    for query in judged:
        chosen = rng.permutation(12)[: rng.integers(0, 13)]
        run[query] = {f"d{i}": float(score) for i, score in zip(chosen, rng.permutation(100), strict=False)}
    measures = {"ndcg_cut.10", "recall.3,10,100", "map", "recip_rank"}
    found = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate({q: r for q, r in run.items() if r})
    mine = beir.evaluate(run, qrels, recall_at=(3, 10, 100))
    for name, theirs in (
        ("ndcg@10", "ndcg_cut_10"), ("map", "map"), ("recall@3", "recall_3"), ("recall@100", "recall_100"),
    ):  # fmt: skip
        expected = sum(one[theirs] for one in found.values()) / len(judged)
        assert mine[name] == pytest.approx(expected, abs=1e-9), name
    first = sum(r if (r := one["recip_rank"]) >= 0.1 else 0.0 for one in found.values()) / len(judged)
    assert mine["mrr@10"] == pytest.approx(first)


def strict(grades, wanted):
    """Measures of one order, by their definitions."""
    dcg = sum(g / math.log2(i + 1) for i, g in enumerate(grades[:10], 1))
    best = sum(g / math.log2(i + 1) for i, g in enumerate(sorted(wanted, reverse=True)[:10], 1))
    hits = [i for i, g in enumerate(grades, 1) if g > 0]
    relevant = sum(g > 0 for g in wanted)
    return (
        dcg / best,
        len([i for i in hits if i <= 2]) / relevant,
        sum((n / i) for n, i in enumerate(hits, 1)) / relevant,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6), st.integers(0, 2))
def test_ties_count_as_the_mean_over_all_their_orders(cells, missing):
    """(score, grade) of each document; `missing` relevant ones were not retrieved."""
    grades = {f"d{i}": grade for i, (_, grade) in enumerate(cells)} | {f"m{i}": 1 for i in range(missing)}
    if not any(grades.values()):
        return
    orders = [
        order
        for order in itertools.permutations(range(len(cells)))
        if all(cells[a][0] >= cells[b][0] for a, b in itertools.pairwise(order))
    ]
    expected = np.mean([strict([cells[i][1] for i in order], list(grades.values())) for order in orders], axis=0)
    run = {"q": {f"d{i}": float(score) for i, (score, _) in enumerate(cells)}}
    mine = beir.evaluate(run, {"q": grades}, recall_at=(2,))
    assert [mine["ndcg@10"], mine["recall@2"], mine["map"]] == pytest.approx(list(expected))


def test_constant_scores_earn_nothing_by_document_order():
    """trec_eval breaks ties by document number; a constant must not look perfect here."""
    qrels = {"q": {"z": 1}}
    run = {"q": {**{f"a{i}": 0.0 for i in range(9)}, "z": 0.0}}
    assert beir.evaluate(run, qrels)["mrr@10"] == pytest.approx(1 / 5.5)
    assert beir.evaluate(run, qrels)["recall@10"] == 1


def test_self_matches_are_an_option():
    qrels, run = {"q": {"q": 1, "b": 1}}, {"q": [("q", 2.0), ("b", 1.0)]}
    assert beir.evaluate(run, qrels)["map"] == 1
    assert beir.evaluate(run, qrels, keep_self=False)["map"] == 1
    only = {"q": [("q", 2.0), ("x", 1.5), ("b", 1.0)]}
    assert beir.evaluate(only, qrels, keep_self=False)["mrr@10"] == 0.5


@pytest.mark.parametrize(
    ("run", "told"),
    [({"q": [("a", 1.0), ("a", 0.5)]}, "twice"), ({"q": {"a": math.nan}}, "score"), ({"q": {"a": math.inf}}, "score")],
)
def test_bad_runs_are_refused(run, told):
    with pytest.raises(RagcunError, match=told):
        beir.evaluate(run, {"q": {"a": 1}})


def test_files_are_read_or_refused_with_their_line(tmp_path):
    corpus, queries, qrels = (tmp_path / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"))
    corpus.write_text('{"_id": "a", "title": "T", "text": "x"}\n{"_id": "b", "text": "y"}\n')
    queries.write_text('{"_id": "q", "text": "why"}\n')
    qrels.write_text("query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t0\n")
    found = beir.read(corpus, queries, qrels)
    assert found.documents == {"a": "T x", "b": "y"}
    assert found.qrels == {"q": {"a": 2, "b": 0}}
    qrels.write_text("q 0 a 1\n")
    assert beir.read(corpus, queries, qrels).qrels == {"q": {"a": 1}}  # TREC's columns
    for path, text, told in (
        (qrels, "q\tc\t1\n", '"c" is judged'),
        (qrels, "p\ta\t1\n", '"p" is judged'),
        (qrels, "q\ta\t1\nq\ta\t1\n", "judged twice"),
        (qrels, "q\ta\t0\n", "nothing can be measured"),
        (qrels, "q\ta\t1\nq\ta\tgood\n", "qrels.tsv:2"),
        (corpus, '{"_id": "a", "text": "x"}\n{"_id": "a", "text": "x"}\n', "jsonl:2"),
        (corpus, json.dumps({"_id": "a"}) + "\n", "jsonl:1"),
        (corpus, json.dumps({"_id": "a", "title": 5, "text": "x"}) + "\n", "jsonl:1"),
    ):
        kept = path.read_text()
        path.write_text(text)
        with pytest.raises(RagcunError, match=told):
            beir.read(corpus, queries, qrels)
        path.write_text(kept)
