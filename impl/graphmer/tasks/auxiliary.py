"""Two smaller questions to the same encoder: which names in code are entities, and which relations have a tail.

Each has a ranker of its own. It must never see a triple that it is asked about.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphmer.tasks.features import PLACES, Body, cosines, parts, unit, words
from graphmer.tasks.links import Encoder, Graph, Links, query_text
from graphmer.tasks.ranker import Floats, Ranker

_ROUNDS: Final = 120
_TOKENS: Final = 96

# -- entity discovery: which identifiers of a piece of code are entities ----------------------------

_NEURAL: Final = ("cosine", "cosine below the best")
_IDENTIFIER: Final = (
    *_NEURAL, *PLACES, "builtin", "keyword", "words", "letters", "capital", "constant", "private", "parameter", "share",
    "identifiers", "known as entity",
)  # fmt: skip


class Discovery:
    """Identifiers that are entities."""

    def __init__(self, encoder: Encoder, known: Mapping[str, int], ranker: Ranker | None = None) -> None:
        """`known` counts how often training code means an entity by a name."""
        self.encoder, self.known, self.ranker = encoder, known, ranker

    def fit(self, rows: Sequence[Mapping[str, Any]], threads: int = 1, seed: int = 0) -> Ranker:
        """Fit on {code, entities}; a name is counted without the code that it is asked in."""
        names, tables = self._tables(
            [row["code"] for row in rows], encoder=True, own=[set(row["entities"]) for row in rows]
        )
        labels = [np.array([name in row["entities"] for name in mine]) for row, mine in zip(rows, names, strict=True)]
        self.ranker = Ranker.fit(
            np.concatenate(tables), np.concatenate(labels).astype(np.int32), [len(one) for one in labels],
            [_IDENTIFIER.index(name) for name in _NEURAL], objective="binary", rounds=_ROUNDS, leaves=15,
            threads=threads, seed=seed,
        )  # fmt: skip
        return self.ranker

    def entities(self, codes: Sequence[str], encoder: bool = True) -> list[list[tuple[str, float]]]:
        """(identifier, probability) of each piece of code."""
        assert self.ranker is not None
        names, tables = self._tables(codes, encoder)
        scores = self.ranker.scores(np.concatenate(tables), encoder)
        parted = np.split(scores, np.cumsum([len(table) for table in tables])[:-1])
        return [list(zip(mine, map(float, told), strict=True)) for mine, told in zip(names, parted, strict=True)]

    def _tables(
        self, codes: Sequence[str], encoder: bool, own: Sequence[set[str]] | None = None
    ) -> tuple[list[list[str]], list[Floats]]:
        bodies = [Body(code) for code in codes]
        names = [sorted(name for name in body.counts if name.isidentifier()) for body in bodies]
        near: Sequence[Floats | None] = [None] * len(codes)
        if encoder:
            wanted = sorted({name for mine in names for name in mine})
            place = {name: i for i, name in enumerate(wanted)}
            vectors = unit(self.encoder.vectors(wanted, maximum_tokens=16))
            asked = unit(self.encoder.vectors([f"uses | {code}" for code in codes], maximum_tokens=_TOKENS))
            near = [vectors[[place[name] for name in mine]] @ line for mine, line in zip(names, asked, strict=True)]
        tables = []
        for i, (body, mine) in enumerate(zip(bodies, names, strict=True)):
            table = np.array([self._row(body, name, own[i] if own else set()) for name in mine], dtype=np.float32)
            table = table.reshape(len(mine), len(_IDENTIFIER))
            line = near[i]
            if line is not None and len(mine):
                table[:, 0], table[:, 1] = line, line - line.max()
            tables.append(table)
        return names, tables

    def _row(self, body: Body, name: str, own: set[str]) -> list[float]:
        counts = body.row(name)
        signature = bool(counts[10]) and counts[8] == 0 and counts[1] == 0
        return [
            0.0, 0.0, *map(float, np.log1p(counts)), hasattr(builtins, name), keyword.iskeyword(name), len(words(name)),
            len(name), name[:1].isupper(), name.isupper(), name.startswith("_"), signature,
            counts[0] / max(1, sum(row[0] for row in body.counts.values())), len(body.counts),
            float(np.log1p(self.known.get(name, 0) - (name in own))),
        ]  # fmt: skip


# -- relation selection: does (head, relation) have a tail ------------------------------------------

_SIGNS: Final = {
    "raises": "raise",
    "catches": "except",
    "annotated_with": "@",
    "returns": "->",
    "inherits_from": "class",
}
_RELATION: Final = (
    "cosine to the nearest tail", "mean cosine to ten", "relation", "head type", "sign", "length", "calls",
    "attributes", "stored", "raised", "caught", "decorators", "annotations", "known of the head", "share in the file",
    "share among neighbours", "share of the type", "share among namesakes", "defined", "private",
)  # fmt: skip


class Selection:
    """Whether a relation leads anywhere from a head."""

    def __init__(self, links: Links, ranker: Ranker | None = None) -> None:
        self.links, self.graph, self.ranker = links, links.graph, ranker

    def fit(self, rows: Sequence[Mapping[str, Any]], threads: int = 1, seed: int = 0) -> Ranker:
        """Fit on {head, relation, holds}."""
        table = self._table(rows, True)
        labels = np.array([row["holds"] for row in rows], dtype=np.int32)
        self.ranker = Ranker.fit(
            table,
            labels,
            [len(rows)],
            [0, 1],
            objective="binary",
            rounds=_ROUNDS,
            leaves=15,
            threads=threads,
            seed=seed,
        )
        return self.ranker

    def hold(self, queries: Sequence[Mapping[str, str]], encoder: bool = True) -> NDArray[np.float64]:
        """(N,) probability that (head, relation) has a tail."""
        assert self.ranker is not None
        return self.ranker.scores(self._table(queries, encoder), encoder)

    def _table(self, queries: Sequence[Mapping[str, Any]], encoder: bool) -> Floats:
        table = np.zeros((len(queries), len(_RELATION)), dtype=np.float32)
        if encoder:
            self._cosines(queries, table)
        for row, query in zip(table, queries, strict=True):
            row[2:] = self._row(self.graph, query["head"], query["relation"])
        return table

    def _cosines(self, queries: Sequence[Mapping[str, Any]], table: Floats) -> None:
        graph = self.graph
        texts = [
            query_text(query["head"], query["relation"], graph.code(graph.index[query["head"]])[:2000])
            for query in queries
        ]
        asked = unit(self.links.encoder.vectors(texts, maximum_tokens=_TOKENS))
        for relation in sorted({query["relation"] for query in queries}):
            chosen = [i for i, query in enumerate(queries) if query["relation"] == relation]
            near = np.sort(cosines(asked[chosen], self.links.tail_vectors(relation)), axis=1)[:, -10:]
            table[chosen, 0], table[chosen, 1] = near[:, -1], near.mean(axis=1)

    def _row(self, graph: Graph, head: str, relation: str) -> list[float]:
        place = graph.index[head]
        body = graph.body(place)
        code = graph.code(place)
        totals = np.sum(list(body.counts.values()) or [[0] * len(PLACES)], axis=0)

        def share(groups: Mapping[tuple[int, str], Any], key: int) -> float:
            mine, every = groups.get((key, relation)), groups.get((key, ""))
            return float(mine[1].sum() / every[1].sum()) if mine and every else 0.0

        return [
            graph.relation_number(relation), graph.types[place], float(_SIGNS.get(relation, "\0") in code),
            np.log1p(totals[0]), *np.log1p(totals[[1, 2, 4, 5, 6, 7, 8]]), np.log1p(len(graph.by_head.get(place, ()))),
            share(graph.by_module, int(graph.modules[place])), share(graph.by_owner, int(graph.owners[place])),
            share(graph.by_type, int(graph.types[place])), share(graph.by_spoken, int(graph.spoken[place])),
            bool(code), parts(head)[-1].startswith("_"),
        ]  # fmt: skip
