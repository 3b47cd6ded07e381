"""The index gives the nearest passages, keeps them over a save, refuses what is not its own, and bears threads."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from property.ragcun.conftest import make_rows

pytest.importorskip("torch")

from ragcun import retriever as module
from ragcun.embedder import Embedder
from ragcun.errors import RagcunError
from ragcun.lexical import Bm25, LexicalIndex, asked, best, expected_rank, gain, tune
from ragcun.retriever import MODES, Retriever
from ragcun.tokens import subtokens

ROWS = make_rows(300, 11)
IDS, TEXTS = [row["record_id"] for row in ROWS], [row["passage"] for row in ROWS]
QUERIES = [row["query"] for row in make_rows(20, 12)]


@pytest.fixture(scope="module")
def filled(embedder):
    retriever = Retriever(embedder)
    retriever.add(IDS, TEXTS)
    return retriever


def answers(retriever, mode="hybrid", k=10):
    return [[(hit.id, round(hit.score, 4)) for hit in retriever.search(query, k, mode)] for query in QUERIES]


def test_dense_search_is_brute_force_over_the_embeddings(filled, embedder):
    passages = embedder.embed(TEXTS, "passage").astype(np.float64)
    for query in QUERIES:
        distances = np.square(passages - embedder.embed([query], "query")[0]).sum(axis=1)
        hits = filled.search(query, 5, "dense")
        assert [hit.id for hit in hits] == [IDS[i] for i in np.argsort(distances, kind="stable")[:5]]
        assert [-hit.score for hit in hits] == pytest.approx(sorted(distances)[:5], rel=1e-3, abs=1e-3)


def test_lexical_search_is_bm25s_own(filled, embedder):
    import bm25s
    import Stemmer

    index = bm25s.BM25(k1=embedder.bm25.k1, b=embedder.bm25.b, method="lucene")
    stem = Stemmer.Stemmer("english").stemWords
    index.index([stem(text.split()) for text in TEXTS], show_progress=False)
    for query in QUERIES:
        expected = index.get_scores(stem(query.split()))
        hits = filled.search(query, 5, "lexical")
        assert [hit.score for hit in hits] == pytest.approx(sorted(expected, reverse=True)[:5])


def test_hybrid_weighs_the_two_halves(filled, embedder):
    """By hand, over all passages: share of the best BM25 score + weight x trust^power x (nearest - distance) / 2 D."""
    fusion, independent = filled.fusion, 2 * embedder.dimensions
    passages = embedder.embed(TEXTS, "passage")
    for query in QUERIES[:5]:
        words = filled._snapshot.lexical.scores(query)
        distances = np.square(passages - embedder.embed([query], "query")[0]).sum(axis=1)
        factor = fusion.weight * max(0, 1 - distances.min() / independent) ** fusion.power
        fused = words / words.max() + factor * (distances.min() - distances) / independent
        assert filled.search(query, 1)[0].id == IDS[int(fused.argmax())]


@pytest.mark.parametrize("exact_up_to", [16, 1000])
def test_many_queries_at_once_get_what_each_gets_alone(embedder, exact_up_to):
    retriever = Retriever(embedder, exact_up_to)
    retriever.add(IDS, TEXTS)
    asked = [*QUERIES, "zzzz", QUERIES[0]] * 4  # more than are computed at a time
    for mode in MODES:
        together = retriever.search_all(asked, 7, mode)
        for query, hits in zip(asked, together, strict=True):
            alone = retriever.search(query, 7, mode)
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in alone], rel=1e-4, abs=1e-4)
            assert {hit.id for hit in hits[:5]} <= {hit.id for hit in alone}
    assert retriever.search_all([]) == []


def test_more_are_asked_for_than_there_are(filled):
    for mode in MODES:
        assert len(filled.search(QUERIES[0], 10_000, mode)) <= len(IDS)
    assert len(filled.search(QUERIES[0], 10_000, "dense")) == len(IDS)


def test_adding_in_parts_equals_adding_at_once(filled, embedder):
    parts = Retriever(embedder)
    for low in range(0, len(IDS), 70):
        parts.add(IDS[low : low + 70], TEXTS[low : low + 70])
        parts.search("x")
    assert answers(parts) == answers(filled)


def test_saved_and_loaded_it_answers_the_same(filled, embedder, tmp_path):
    filled.save(tmp_path)
    loaded = Retriever.load(tmp_path, embedder)
    for mode in MODES:
        assert answers(loaded, mode) == answers(filled, mode)
    loaded.add(["new"], ["one more passage"])  # what was loaded can grow
    loaded.save(tmp_path)
    assert len(Retriever.load(tmp_path, embedder)) == len(IDS) + 1
    assert len(list(tmp_path.glob("files-*"))) == 1


@pytest.mark.parametrize("name", ["files-backup", "files-77", "../elsewhere"])
def test_saving_removes_the_index_that_it_replaces_and_nothing_else(filled, tmp_path, name):
    kept = tmp_path / "index" / name / "thesis.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("years of work")
    index = tmp_path / "index"
    (index / "index.json").write_text("[]")
    filled.save(index)
    first = index / json.loads((index / "index.json").read_text())["folder"]
    filled.save(index)
    assert not first.exists()
    about = json.loads((index / "index.json").read_text())
    if not name.startswith("files-7"):  # one that another program wrote, by a name that is never given here
        (index / "index.json").write_text(json.dumps({**about, "folder": name}))
        filled.save(index)
    assert kept.read_text() == "years of work"


def test_nothing_that_is_saved_needs_pickle(filled, tmp_path):
    filled.save(tmp_path)
    for path in tmp_path.rglob("*.npy"):
        np.load(path, allow_pickle=False)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".npy", ".json", ".jsonl"}


def test_a_save_that_dies_leaves_the_old_index(filled, embedder, tmp_path, monkeypatch):
    filled.save(tmp_path)
    before = answers(filled)
    grown = Retriever.load(tmp_path, embedder)
    grown.add(["new"], ["one more passage"])

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        grown.save(tmp_path)
    assert answers(Retriever.load(tmp_path, embedder)) == before


@pytest.mark.parametrize(
    "damage", ["truncate", "flip", "remove", "manifest", "format", "foreign", "weights", "shape", "kind"]
)
def test_damaged_or_foreign_files_are_refused(filled, embedder, tmp_path, damage):
    filled.save(tmp_path)
    about = json.loads((tmp_path / "index.json").read_text())
    embeddings = tmp_path / about["folder"] / "embeddings.npy"
    if damage == "truncate":
        embeddings.write_bytes(embeddings.read_bytes()[:-100])
    elif damage == "flip":
        content = bytearray(embeddings.read_bytes())
        content[-1] ^= 1
        embeddings.write_bytes(content)
    elif damage == "remove":
        embeddings.unlink()
    elif damage == "manifest":
        (tmp_path / "index.json").write_text((tmp_path / "index.json").read_text()[:50])
    elif damage == "foreign":
        (tmp_path / "index.json").write_text("[]")
    else:
        change = {
            "format": {"format": 99},
            "weights": {"weights": "0" * 64},
            "shape": {"passages": 7},
            "kind": {"weights": 1},
        }[damage]
        (tmp_path / "index.json").write_text(json.dumps({**about, **change}))
    with pytest.raises(RagcunError, match="index the passages again"):
        Retriever.load(tmp_path, embedder)


def test_a_folder_without_an_index_says_how_to_make_one(embedder, tmp_path):
    with pytest.raises(RagcunError, match="python -m ragcun index"):
        Retriever.load(tmp_path, embedder)


@pytest.mark.parametrize(
    ("ids", "texts", "told"),
    [(["a", "a"], ["x", "y"], "already"), ([IDS[0]], ["x"], "already"), (["a"], ["  "], "empty"), (["a"], [], "ids")],
)
def test_bad_passages_are_refused_and_change_nothing(embedder, ids, texts, told):
    retriever = Retriever(embedder)
    retriever.add(IDS[:5], TEXTS[:5])
    with pytest.raises(RagcunError, match=told):
        retriever.add(ids, texts)
    assert len(retriever) == 5


@pytest.mark.parametrize(
    ("query", "k", "mode", "told"),
    [
        ("", 1, "dense", "no word"),
        ("!!!", 1, "hybrid", "query '!!!' holds no word"),
        ("x", 0, "dense", "at least"),
        ("x", 1, "b", "mode"),
    ],
)
def test_bad_questions_are_refused(filled, query, k, mode, told):
    with pytest.raises(RagcunError, match=told):
        filled.search(query, k, mode)


def test_a_passage_of_punctuation_is_kept_and_found_by_nothing(embedder):
    retriever = Retriever(embedder)
    retriever.add(["a", "b"], ["grind the beans", "{ } !"])
    assert [hit.score > 0 for hit in retriever.search("beans", 2, "lexical")] == [True, False]
    assert retriever.search("beans", 1)[0].id == "a"


def test_embeddings_that_are_not_finite_are_refused(trained):
    spoilt = Embedder.load(trained)
    spoilt.model.projection.weight[0, 0] = float("nan")
    retriever = Retriever(spoilt)
    with pytest.raises(RagcunError, match='passage "one two": its embedding is not finite'):
        retriever.add(["a"], ["one\n two"])
    assert len(retriever) == 0
    retriever._snapshot = module._Snapshot(("a",), ("x",), np.zeros((1, spoilt.dimensions), np.float32), spoilt.bm25)
    with pytest.raises(RagcunError, match='query "three": its embedding is not finite'):
        retriever.search("three")
    assert retriever.search("three", 1, "lexical")


def test_an_empty_index_and_unknown_words_find_something_sane(filled, embedder):
    assert Retriever(embedder).search("x") == []
    hits = filled.search("zzzz qqqq", 3)
    assert len({hit.id for hit in hits}) == 3
    assert all(np.isfinite(hit.score) for hit in hits)


def test_threads_add_and_search_at_once(embedder):
    retriever, failures = Retriever(embedder), []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            hits = retriever.search(QUERIES[0], 5)
            if len({hit.id for hit in hits}) != len(hits):
                failures.append(hits)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for each in askers:
        each.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda low: retriever.add(IDS[low : low + 20], TEXTS[low : low + 20]), range(0, 300, 20)))
    stop.set()
    for each in askers:
        each.join()
    assert not failures
    assert len(retriever) == 300
    everything = Retriever(embedder)
    everything.add(IDS, TEXTS)
    assert {a for run in answers(retriever) for a in run} == {a for run in answers(everything) for a in run}


def test_past_its_size_codes_propose_and_exact_distances_decide(embedder, tmp_path, filled):
    pytest.importorskip("faiss")
    coded = Retriever(embedder, exact_up_to=100)
    coded.add(IDS, TEXTS)
    found, exact = answers(coded, "dense"), answers(filled, "dense")
    shared = np.mean([len({i for i, _ in a} & {i for i, _ in b}) / len(b) for a, b in zip(found, exact, strict=True)])
    assert shared >= 0.95
    scores = dict(exact[0])
    assert all(score == scores[name] for name, score in found[0] if name in scores)  # exact distances decide
    coded.save(tmp_path)
    assert answers(Retriever.load(tmp_path, embedder), "dense") == found


def test_a_table_of_scores_is_query_by_query():
    index = LexicalIndex.of([*TEXTS[:40], "unseen alone"], Bm25(2.0, 0.9))
    asked = [*QUERIES[:5], "zzzz", QUERIES[0] + " " + QUERIES[0]]
    for query, row in zip(asked, index.table([subtokens(query) for query in asked]), strict=True):
        assert row == pytest.approx(index.scores(query), abs=1e-5)


def test_a_name_counts_as_often_as_it_is_told_to():
    texts = ["def sort_rows(table):\n    return table", "the table of rows", "sort sort sort"]
    told = LexicalIndex.of(texts, Bm25(1.2, 0.75, 3)).scores("sort rows")
    repeated = LexicalIndex.of([f"{texts[0]} sort_rows sort_rows", *texts[1:]], Bm25(1.2, 0.75)).scores("sort rows")
    assert told.tolist() == repeated.tolist()
    assert told[0] > LexicalIndex.of(texts, Bm25(1.2, 0.75)).scores("sort rows")[0]


def test_stop_words_do_not_count_unless_there_is_nothing_else():
    assert asked("the number of rows in a table") == ["number", "row", "tabl"]
    assert asked("to be or not to be") == ["to", "be", "or", "not", "to", "be"]


def test_tuning_finds_the_best_of_its_grid():
    queries, passages = [row["query"] for row in ROWS[:60]], TEXTS[:60]
    tuned = tune(queries, passages)

    def quality(parameters):
        index = LexicalIndex.of(passages, parameters)
        return np.mean([gain(expected_rank(index.scores(query), i)) for i, query in enumerate(queries)])

    assert quality(tuned) >= max(quality(Bm25(k1, b)) for k1 in (0.9, 4.0) for b in (0.3, 1.0)) - 1e-9


@given(st.lists(st.integers(0, 4).map(float), min_size=1, max_size=60), st.integers(0, 70))
def test_law_best_are_the_first_of_a_stable_order(scores, k):
    assert best(np.array(scores), k).tolist() == np.argsort(-np.array(scores), kind="stable")[:k].tolist()


def test_best_breaks_ties_by_position():
    assert best(np.array([1.0, 3.0, 3.0, 0.0, 3.0]), 2).tolist() == [1, 2]
    assert best(np.array([2.0, 2.0]), 5).tolist() == [0, 1]
