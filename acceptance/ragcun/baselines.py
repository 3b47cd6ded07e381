"""Retrieval without a trained encoder, on the same pool: BM25 tuned on dev, BM25 as it comes, TF-IDF with SVD.

The judge's own: nothing here is shared with the system under judgement.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acceptance.analysers import ANALYSERS, stems, words

Run = list[tuple[str, float]]
DEPTH = 20
"""Passages of a run: nDCG@10 looks at ten, the others are room for ties; longer runs only cost minutes."""

SATURATION = (0.9, 1.2, 2.0, 3.0, 4.5, 7.0)
LENGTH = (0.3, 0.6, 0.8, 0.9, 1.0)
NAME = (1, 2, 4, 8, 16)
_DEFINED = re.compile(r"(?:def|class)\s+(\w+)")


def telling(text: str) -> list[str]:
    """Stems without the stop words of English (scikit-learn's)."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return [stem for word, stem in zip(words(text), stems(text), strict=True) if word not in ENGLISH_STOP_WORDS]


WAYS = {**ANALYSERS, "stems-no-stop-words": telling}
"""Text -> what BM25 counts of it."""


def bm25(
    queries: Sequence[str], passages: Sequence[str], analyser: str, k1: float, b: float, name: int = 1
) -> NDArray[np.float32]:
    """(queries, passages) BM25 scores, Lucene's variant, by bm25s; the name that is defined counts `name` times."""
    analyse = WAYS[analyser]
    pool = [analyse(passage) + (name - 1) * analyse(defined(passage)) for passage in passages]
    return scores([analyse(query) for query in queries], pool, k1, b)


def defined(passage: str) -> str:
    """The first function or class that a passage defines; empty where it defines none."""
    found = _DEFINED.search(passage)
    return found[1] if found else ""


def scores(queries: Sequence[list[str]], passages: Sequence[list[str]], k1: float, b: float) -> NDArray[np.float32]:
    """The same on tokens. A word that a query repeats counts as often."""
    import bm25s
    from scipy.sparse import csc_matrix, csr_matrix

    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index(passages, show_progress=False)
    parts, vocabulary = index.scores, index.vocab_dict
    width = len(parts["indptr"]) - 1
    weights = csc_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=(len(passages), width))
    columns = [[vocabulary[word] for word in query if word in vocabulary] for query in queries]
    bounds = np.cumsum([0, *map(len, columns)])
    flat = np.fromiter(itertools.chain.from_iterable(columns), dtype=np.int64, count=int(bounds[-1]))
    asked = csr_matrix((np.ones(len(flat), dtype=np.float32), flat, bounds), shape=(len(queries), width))
    return np.asarray((asked @ weights.T).todense(), dtype=np.float32)


def tune(queries: Sequence[str], passages: Sequence[str]) -> dict[str, Any]:
    """Analyser, weight of names, k1 and b with the best nDCG@10 on pairs of which passage i answers query i."""
    best: dict[str, Any] = {"ndcg": -1.0}
    for analyser, analyse in WAYS.items():
        asked, pool = [analyse(query) for query in queries], [analyse(passage) for passage in passages]
        names = [analyse(defined(passage)) for passage in passages]
        weighed = {name: [one + (name - 1) * own for one, own in zip(pool, names, strict=True)] for name in NAME}
        name = max(NAME, key=lambda name: ndcg(scores(asked, weighed[name], 2.0, 0.8)))
        for k1, b in itertools.product(SATURATION, LENGTH):
            value = ndcg(scores(asked, weighed[name], k1, b))
            if value > best["ndcg"]:
                best = {"ndcg": value, "analyser": analyser, "k1": k1, "b": b, "name": name}
    return best


def ndcg(table: NDArray[np.float32], k: int = 10) -> float:
    """Mean nDCG@k where column i answers row i; ties count half. For tuning only: judged is by assay's metric."""
    own = np.diag(table)[:, None]
    ranks = (table > own).sum(1) + ((table == own).sum(1) + 1) / 2
    return float(np.where(ranks <= k, 1 / np.log2(ranks + 1), 0).mean())


def tfidf_svd(
    queries: Sequence[str], passages: Sequence[str], train: Sequence[str], dimensions: int
) -> NDArray[np.float32]:
    """(queries, passages) cosines of TF-IDF vectors in the D leading singular directions of training texts."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    model = make_pipeline(
        TfidfVectorizer(analyzer=words, sublinear_tf=True, min_df=2, max_features=30_000),
        TruncatedSVD(min(dimensions, len(train) - 1), random_state=0, n_iter=3),
        Normalizer(),
    )
    model.fit(train)
    return np.asarray(model.transform(queries) @ model.transform(passages).T, dtype=np.float32)


def nearest(queries: NDArray[Any], passages: NDArray[Any]) -> NDArray[np.float32]:
    """(queries, passages) minus squared Euclidean distances."""
    cross = queries @ passages.T
    return np.asarray(2 * cross - np.square(passages).sum(1) - np.square(queries).sum(1)[:, None], dtype=np.float32)


def runs(table: NDArray[np.float32], ids: Sequence[str], depth: int = DEPTH) -> list[Run]:
    """The best `depth` of every row as (id, score)."""
    depth = min(depth, table.shape[1])
    columns = np.argpartition(-table, depth - 1, axis=1)[:, :depth]
    return [
        [(ids[column], float(row[column])) for column in chosen]
        for row, chosen in zip(table, columns.tolist(), strict=True)
    ]
