"""Which tail completes (head, relation)? All entities of the relation's range are scored; the best are ranked again.

First a sum of cheap scores over every candidate, and the encoder's nearest; then a learned ranker over what names,
places, the known graph and the encoder say of the best few hundred. It must never see a triple that it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from corpus import ontology
from graphmer import records
from graphmer.tasks.features import PLACES, Body, cosines, overlap, parts, spoken, unit, words
from graphmer.tasks.ranker import Floats, Ranker, Table

DEPTH: Final = 100
"""Tails that an answer holds at most."""

_GIVEN: Final = frozenset({"contains", "declares", "defines", "defined_in"})  # names say as much
_KEPT: Final = 200  # best of the cheap scores
_NEAREST: Final = 40  # of the encoder
_TOKENS: Final = 96
_ROUNDS: Final = 200
_AT_ONCE: Final = 512  # queries whose features are held in memory

Counted = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Entities, and how often each."""

Query = Mapping[str, Any]
Answer = list[tuple[str, float]]


class Encoder(Protocol):
    """What the tasks ask of the encoder."""

    dimensions: int

    def vectors(self, texts: Sequence[str], *, maximum_tokens: int = 128) -> NDArray[np.float32]:
        """(N, D) pooled vectors."""


def query_text(head: str, relation: str, source: str) -> str:
    """What the encoder reads of a query, and of an entity its bare name: as in the pairs that align it."""
    return f"{relation} | {head}\n{source}"


class Graph:
    """Entities, the triples that are known between them, and the code of each head."""

    def __init__(
        self, entities: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, str]], files: Mapping[str, str]
    ) -> None:
        self.entities = entities
        self.names = [row["name"] for row in entities]
        self.index = {name: place for place, name in enumerate(self.names)}
        self.files = files
        self.known = [
            (self.index[row["head"]], row["relation"], self.index[row["tail"]])
            for row in known
            if row["relation"] not in _GIVEN and row["head"] in self.index and row["tail"] in self.index
        ]
        self._bodies: dict[int, Body] = {}
        self._lines: dict[str, list[str]] = {}

    @classmethod
    def read(cls, triples: Path, entities: Path, files: Path) -> Graph:
        """From JSON Lines: triples (head, relation, tail), entities with their places, files without imports."""
        texts = {row["file"]: row["text"] for row in records.read(files)}
        return cls(records.read(entities), records.read(triples), texts)

    def without_code(self) -> Graph:
        """The same with the code of every entity hidden; what was counted over names and triples is shared."""
        other = copy(self)
        other.files, other._bodies, other._lines = {}, {}, {}
        return other

    def code(self, entity: int) -> str:
        """The definition of an entity, imports hidden; "" for what lies outside."""
        row = self.entities[entity]
        if row["file"] not in self.files:
            return ""
        lines = self._lines.get(row["file"])
        if lines is None:
            lines = self._lines[row["file"]] = self.files[row["file"]].split("\n")
        return "\n".join(line for line in lines[row["line"] - 1 : row["end_line"]] if line.strip() != "pass")

    def body(self, entity: int) -> Body:
        found = self._bodies.get(entity)
        if found is None:
            found = self._bodies[entity] = Body(self.code(entity))
        return found

    # -- columns over entities ---------------------------------------------------------------------

    @cached_property
    def types(self) -> NDArray[np.int32]:
        return self._ids([row["type"] for row in self.entities])

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Every name that code writes to mean an entity or what is around it -> its id."""
        names = [spoken(name) for name in self.names]
        names += [_around(name) for name in self.names]
        return {name: place for place, name in enumerate(dict.fromkeys(names))}

    @cached_property
    def spoken(self) -> NDArray[np.int32]:
        """(E,) id of the name that code writes."""
        return np.array([self.vocabulary[spoken(name)] for name in self.names], dtype=np.int32)

    @cached_property
    def owner_spoken(self) -> NDArray[np.int32]:
        """(E,) id of the last name of what is around it."""
        return np.array([self.vocabulary[_around(name)] for name in self.names], dtype=np.int32)

    @cached_property
    def written(self) -> list[str]:
        """The vocabulary in the order of its ids."""
        return list(self.vocabulary)

    @cached_property
    def namesakes(self) -> NDArray[np.int64]:
        """(V,) entities of each name."""
        return np.bincount(self.spoken, minlength=len(self.vocabulary))

    @cached_property
    def private(self) -> NDArray[np.bool_]:
        return np.array([name.startswith("_") for name in self.written])

    @cached_property
    def _by_word(self) -> dict[str, NDArray[np.int64]]:
        found: dict[str, list[int]] = defaultdict(list)
        for place, name in enumerate(self.written):
            for word in set(words(name)):
                found[word].append(place)
        return {word: np.array(places) for word, places in found.items()}

    @cached_property
    def _word_counts(self) -> Floats:
        return np.array([len(set(words(name))) for name in self.written], dtype=np.float32)

    def alike(self, entity: int) -> Floats:
        """(V,) Jaccard similarity of the words of an entity's name to each name's."""
        own = set(words(self.written[self.spoken[entity]]))
        shared = np.zeros(len(self.vocabulary), dtype=np.float32)
        for word in own:
            shared[self._by_word[word]] += 1
        return shared / np.maximum(1, len(own) + self._word_counts - shared)

    @cached_property
    def owners(self) -> NDArray[np.int32]:
        """(E,) id of the qualified name around it."""
        return self._ids([".".join(parts(name)[:-1]) for name in self.names])

    @cached_property
    def owner_entity(self) -> NDArray[np.int32]:
        """(E,) the entity around it; -1 where there is none."""
        plain = {".".join(parts(name)): place for place, name in enumerate(self.names)}
        return np.array([plain.get(".".join(parts(name)[:-1]), -1) for name in self.names], dtype=np.int32)

    @cached_property
    def modules(self) -> NDArray[np.int32]:
        """(E,) id of the file, or of all but the last name for what lies outside."""
        return self._ids([row["file"] or ".".join(parts(row["name"])[:-1]) for row in self.entities])

    @cached_property
    def distributions(self) -> NDArray[np.int32]:
        return self._ids([row["distribution"] for row in self.entities])

    @cached_property
    def depth_codes(self) -> list[NDArray[np.int32]]:
        """For each depth d, (E,) id of the first d components; -1 where a name is shorter."""
        split = [parts(name) for name in self.names]
        found = []
        for depth in range(1, 7):
            found.append(
                self._ids([".".join(one[:depth]) if len(one) >= depth else f"\0{i}" for i, one in enumerate(split)])
            )
        return found

    @staticmethod
    def _ids(labels: Sequence[str]) -> NDArray[np.int32]:
        ids: dict[str, int] = {}
        return np.fromiter((ids.setdefault(one, len(ids)) for one in labels), dtype=np.int32, count=len(labels))

    # -- the known graph ---------------------------------------------------------------------------

    @cached_property
    def popularity(self) -> dict[str, Floats]:
        """Relation -> (E,) log of how often it leads there; "" for all relations."""
        counts: dict[str, Floats] = defaultdict(lambda: np.zeros(len(self.names), dtype=np.float32))
        for _, relation, tail in self.known:
            counts[relation][tail] += 1
            counts[""][tail] += 1
        empty = np.zeros(len(self.names), dtype=np.float32)
        return defaultdict(lambda: empty, {name: np.log1p(table) for name, table in counts.items()})

    @cached_property
    def by_head(self) -> dict[int, list[tuple[str, int]]]:
        found: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for head, relation, tail in self.known:
            found[head].append((relation, tail))
        return found

    def _grouped(self, column: NDArray[np.int32]) -> dict[tuple[int, str], Counted]:
        found: dict[tuple[int, str], list[int]] = defaultdict(list)
        for head, relation, tail in self.known:
            found[int(column[head]), relation].append(tail)
            found[int(column[head]), ""].append(tail)
        return {key: np.unique(tails, return_counts=True) for key, tails in found.items()}

    @cached_property
    def by_module(self) -> dict[tuple[int, str], Counted]:
        """(file, relation) -> tails of everything in it; relation "" is any."""
        return self._grouped(self.modules)

    @cached_property
    def by_type(self) -> dict[tuple[int, str], Counted]:
        return self._grouped(self.types)

    @cached_property
    def by_owner(self) -> dict[tuple[int, str], Counted]:
        return self._grouped(self.owners)

    @cached_property
    def by_distribution(self) -> dict[tuple[int, str], Counted]:
        return self._grouped(self.distributions)

    @cached_property
    def by_spoken(self) -> dict[tuple[int, str], Counted]:
        """(last name of the head, relation) -> tails: what overrides and namesakes do."""
        return self._grouped(self.spoken)

    @cached_property
    def imported(self) -> dict[int, Counted]:
        """File -> what its module imports."""
        return {key[0]: tails for key, tails in self.by_module.items() if key[1] == "imports"}

    @cached_property
    def bases(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for head, relation, tail in self.known:
            if relation in ("inherits_from", "implements"):
                found[head].append(tail)
        return found

    def ancestry(self, entity: int) -> dict[int, int]:
        """Class -> steps up from the class that an entity belongs to (or is)."""
        start = [entity, int(self.owner_entity[entity])]
        found = {one: 0 for one in start if one >= 0}
        frontier = list(found)
        for steps in range(1, 7):
            frontier = [base for one in frontier for base in self.bases.get(one, ()) if base not in found]
            found |= dict.fromkeys(frontier, steps)
        return found

    @staticmethod
    def relation_number(relation: str) -> int:
        return _RELATIONS.index(relation)

    @cached_property
    def ranges(self) -> dict[str, NDArray[np.int32]]:
        """Relation -> all entities that it may lead to."""
        table = ontology.load().relations
        kinds = np.array([row["type"] for row in self.entities])
        return {name: np.flatnonzero(np.isin(kinds, list(one.range))).astype(np.int32) for name, one in table.items()}


def _around(name: str) -> str:
    """The last name of what is around an entity."""
    split = parts(name)
    return split[-2] if len(split) > 1 else ""


# -- features --------------------------------------------------------------------------------------

NEURAL: Final = ("cosine", "cosine below the best", "place by cosine")
FEATURES: Final = (
    *NEURAL,
    "relation", "head type", "tail type", "cheap score", "place by cheap score",
    *(f"name {place}" for place in PLACES),
    "name's share of the body", "namesakes", "namesakes nearer", "owner named", "receiver is owner",
    "receiver like owner",
    "same file", "same owner", "same distribution", "shared depth", "tail inside head", "head inside tail",
    "popularity", "popularity of any relation", "in distribution", "in file", "in file, any relation", "in owner",
    "in owner, any relation", "in namesakes", "imported", "owner imported", "steps up", "owner among tails",
    "siblings among tails", "sibling share", "tails known", "words shared with head", "length of body", "private",
)  # fmt: skip


class Links:
    """Tails of (head, relation) over one graph."""

    def __init__(self, encoder: Encoder, graph: Graph, ranker: Ranker | None = None) -> None:
        self.encoder, self.graph, self.ranker = encoder, graph, ranker
        self._tails: dict[str, Floats] = {}
        self._scratch = np.zeros(len(graph.names), dtype=np.float32)

    def without_code(self) -> Links:
        """The same ranker where no head shows its code. Tails are bare names: their vectors stay."""
        other = Links(self.encoder, self.graph.without_code(), self.ranker)
        other._tails = self._tails
        return other

    # -- answers -----------------------------------------------------------------------------------

    def tails(self, queries: Sequence[Query], encoder: bool = True, depth: int = DEPTH) -> list[Answer]:
        """The best tails for each query, best first. A head that the graph does not have gets none.

        Without the encoder its contribution is zeroed, and the ranker is the one that was fitted so.
        """
        assert self.ranker is not None
        answers: list[Answer] = []
        for start in range(0, len(queries), _AT_ONCE):
            found = self.tables(queries[start : start + _AT_ONCE], encoder)
            scores = self.ranker.scores(np.concatenate([table for _, table, _ in found]), encoder)
            bounds = np.cumsum([len(table) for _, table, _ in found])[:-1]
            for (candidates, *_), mine in zip(found, np.split(scores, bounds), strict=True):
                order = np.argsort(-mine, kind="stable")[:depth]
                answers.append([(self.graph.names[candidates[i]], float(mine[i])) for i in order])
        return answers

    def fit(self, examples: Sequence[Mapping[str, str]], threads: int = 1, seed: int = 0) -> Ranker:
        """Fit the ranker on triples that the graph does not hold."""
        true: dict[tuple[str, str], set[int]] = defaultdict(set)
        for head, relation, tail in self.graph.known:
            true[self.graph.names[head], relation].add(tail)
        for row in examples:
            true[row["head"], row["relation"]].add(self.graph.index[row["tail"]])
        tables, labels, sizes, cheap = [], [], [], []
        for row, (candidates, table, own) in zip(examples, self.tables(examples), strict=True):
            gold = self.graph.index[row["tail"]]
            others = true[row["head"], row["relation"]] - {gold}
            kept = ~np.isin(candidates, list(others))
            label = (candidates == gold)[kept]
            if label.any():
                tables.append(table[kept])
                labels.append(label)
                sizes.append(len(label))
                cheap.append(own[kept])
        neural = [FEATURES.index(name) for name in NEURAL]
        self.ranker = Ranker.fit(
            np.concatenate(tables), np.concatenate(labels).astype(np.int32), sizes, neural,
            rounds=_ROUNDS, cheap=np.concatenate(cheap), threads=threads, seed=seed,
        )  # fmt: skip
        return self.ranker

    # -- candidates and their features -------------------------------------------------------------

    def tables(self, queries: Sequence[Query], encoder: bool = True) -> list[Table]:
        """Of each query."""
        graph = self.graph
        heads = [graph.index.get(query["head"], -1) for query in queries]
        near: dict[int, Floats] = {}
        if encoder:
            texts = [
                query_text(query["head"], query["relation"], graph.code(head)[:2000] if head >= 0 else "")
                for query, head in zip(queries, heads, strict=True)
            ]
            asked = unit(self.encoder.vectors(texts, maximum_tokens=_TOKENS))
            for relation in sorted({query["relation"] for query in queries}):
                chosen = [i for i, query in enumerate(queries) if query["relation"] == relation]
                near |= zip(chosen, cosines(asked[chosen], self.tail_vectors(relation)), strict=True)
        found = []
        for i, (query, head) in enumerate(zip(queries, heads, strict=True)):
            everyone = graph.ranges.get(query["relation"], np.zeros(0, dtype=np.int32))
            if head < 0 or not len(everyone):
                nothing = np.zeros((0, len(FEATURES)), dtype=np.float32)
                found.append((np.zeros(0, dtype=np.int32), nothing, np.zeros(0, dtype=np.bool_)))
                continue
            found.append(self._table(head, query["relation"], everyone, near.pop(i, None)))
        return found

    def tail_vectors(self, relation: str) -> Floats:
        """(R, D) of every entity in the range."""
        if relation not in self._tails:
            if "" not in self._tails:
                wanted = sorted({int(i) for one in self.graph.ranges.values() for i in one})
                table = np.zeros((len(self.graph.names), self.encoder.dimensions), dtype=np.float32)
                texts = [self.graph.names[i] for i in wanted]
                table[wanted] = unit(self.encoder.vectors(texts, maximum_tokens=32))
                self._tails[""] = table
            self._tails[relation] = self._tails[""][self.graph.ranges[relation]]
        return self._tails[relation]

    def _table(self, head: int, relation: str, everyone: NDArray[np.int32], near: Floats | None) -> Table:
        graph = self.graph
        body = graph.body(head)
        written = self._written(body)
        cheap = self._cheap(head, relation, everyone, written)
        kept = own = _best(cheap, _KEPT)
        if near is not None:
            kept = np.union1d(own, _best(near, _NEAREST))
        kept = kept[everyone[kept] != head]
        candidates = everyone[kept]
        table = np.zeros((len(candidates), len(FEATURES)), dtype=np.float32)
        column = {name: place for place, name in enumerate(FEATURES)}

        def put(name: str, values: Any) -> None:
            table[:, column[name]] = values

        if near is not None:
            values = near[kept]
            put("cosine", values)
            put("cosine below the best", values - near.max())
            put("place by cosine", np.log1p(_places(values)))
        put("relation", graph.relation_number(relation))
        put("head type", graph.types[head])
        put("tail type", graph.types[candidates])
        put("cheap score", cheap[kept])
        put("place by cheap score", np.log1p(_places(cheap[kept])))
        ids, owner_ids = graph.spoken[candidates], graph.owner_spoken[candidates]
        counts = written[ids]
        first = column[f"name {PLACES[0]}"]
        table[:, first : first + len(PLACES)] = np.log1p(counts)
        total = sum(row[0] for row in body.counts.values()) or 1
        put("name's share of the body", counts[:, 0] / total)
        shared = self._shared(head, candidates)
        put("namesakes", np.log1p(graph.namesakes[ids]))
        put("namesakes nearer", _nearer(ids, shared + cheap[kept] * 1e-3))
        put("owner named", written[owner_ids, 0] > 0)
        for place in np.flatnonzero(counts[:, 2] > counts[:, 3]):
            owner = graph.written[owner_ids[place]]
            exact, like = _received(body.receivers.get(graph.written[ids[place]], ()), owner)
            table[place, column["receiver is owner"]] = exact
            table[place, column["receiver like owner"]] = like
        put("same file", graph.modules[candidates] == graph.modules[head])
        put("same owner", graph.owners[candidates] == graph.owners[head])
        put("same distribution", graph.distributions[candidates] == graph.distributions[head])
        put("shared depth", shared)
        put("tail inside head", graph.owner_entity[candidates] == head)
        put("head inside tail", candidates == graph.owner_entity[head])
        put("popularity", graph.popularity[relation][candidates])
        put("popularity of any relation", graph.popularity[""][candidates])
        for name, groups, key in (
            ("in distribution", graph.by_distribution, (int(graph.distributions[head]), relation)),
            ("in file", graph.by_module, (int(graph.modules[head]), relation)),
            ("in file, any relation", graph.by_module, (int(graph.modules[head]), "")),
            ("in owner", graph.by_owner, (int(graph.owners[head]), relation)),
            ("in owner, any relation", graph.by_owner, (int(graph.owners[head]), "")),
            ("in namesakes", graph.by_spoken, (int(graph.spoken[head]), relation)),
        ):
            put(name, np.log1p(self._counted(groups.get(key), candidates)))
        imports = graph.imported.get(int(graph.modules[head]))
        put("imported", self._counted(imports, candidates) > 0)
        owner_entity = graph.owner_entity[candidates]
        put("owner imported", (self._counted(imports, np.maximum(owner_entity, 0)) > 0) & (owner_entity >= 0))
        ancestry = graph.ancestry(head)
        put("steps up", [ancestry.get(int(one), 9) for one in owner_entity])
        known = graph.by_head.get(head, [])
        tails = np.array([tail for _, tail in known], dtype=np.int32)
        among = np.unique(tails, return_counts=True)
        put("owner among tails", (self._counted(among, np.maximum(owner_entity, 0)) > 0) & (owner_entity >= 0))
        mine = self._counted(among, candidates)
        siblings = (
            np.bincount(graph.owners[tails], minlength=int(graph.owners.max()) + 1)[graph.owners[candidates]] - mine
        )
        put("siblings among tails", np.log1p(siblings))
        put("sibling share", siblings / max(1, len(tails)))
        put("tails known", np.log1p(sum(1 for one, _ in known if one == relation)))
        put("words shared with head", graph.alike(head)[ids])
        put("length of body", np.log1p(total))
        put("private", graph.private[ids])
        return candidates, table, np.isin(kept, own)

    def _written(self, body: Body) -> Floats:
        """(V, places) how often the code writes each name."""
        table = np.zeros((len(self.graph.vocabulary), len(PLACES)), dtype=np.float32)
        for name, row in body.counts.items():
            place = self.graph.vocabulary.get(name)
            if place is not None:
                table[place] = row
        return table

    def _cheap(self, head: int, relation: str, everyone: NDArray[np.int32], written: Floats) -> Floats:
        """(R,) a fixed sum of what names, places and counts say: only to choose who is looked at."""
        graph = self.graph
        said = np.where(written[:, 0] > 0, 4.0 + 0.4 * np.minimum(written[:, 0], 5), 0.0).astype(np.float32)
        score = said[graph.spoken[everyone]]
        score += 0.5 * self._shared(head, everyone)
        score += 0.4 * graph.popularity[relation][everyone]
        for groups, key, weight in (
            (graph.by_distribution, int(graph.distributions[head]), 0.3),
            (graph.by_module, int(graph.modules[head]), 1.0),
            (graph.by_owner, int(graph.owners[head]), 0.5),
            (graph.by_spoken, int(graph.spoken[head]), 0.5),
        ):
            score += weight * np.log1p(self._counted(groups.get((key, relation)), everyone))
        score += 2.0 * (self._counted(graph.imported.get(int(graph.modules[head])), everyone) > 0)
        ancestry = graph.ancestry(head)
        if ancestry:
            score += 2.0 * np.isin(graph.owner_entity[everyone], list(ancestry))
        return score

    def _shared(self, head: int, chosen: NDArray[np.int32]) -> Floats:
        """How many leading components two names share."""
        total = np.zeros(len(chosen), dtype=np.float32)
        for codes in self.graph.depth_codes:
            total += codes[chosen] == codes[head]
        return total

    def _counted(self, tails: Counted | None, chosen: NDArray[np.int32]) -> Floats:
        """How often each of `chosen` is among `tails`."""
        if tails is None:
            return np.zeros(len(chosen), dtype=np.float32)
        self._scratch[tails[0]] = tails[1]
        found = self._scratch[chosen]
        self._scratch[tails[0]] = 0.0
        return np.asarray(found, dtype=np.float32)


def _best(scores: Floats, count: int) -> NDArray[np.int64]:
    if len(scores) <= count:
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, count - 1)[:count])


def _places(values: Floats) -> NDArray[np.int64]:
    """0 for the highest, and so on."""
    places = np.empty(len(values), dtype=np.int64)
    places[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return places


def _nearer(ids: NDArray[np.int32], near: Floats) -> NDArray[np.int64]:
    """How many candidates of the same name lie nearer, 20 at most."""
    order = np.lexsort((-near, ids))
    first = np.flatnonzero(np.diff(ids[order], prepend=-1))
    starts = np.repeat(first, np.diff(np.append(first, len(order))))
    ranks = np.empty(len(ids), dtype=np.int64)
    ranks[order] = np.minimum(np.arange(len(order)) - starts, 20)
    return ranks


def _received(receivers: Iterable[str], owner: str) -> tuple[float, float]:
    """Whether what stands before the dot is called like the owner, and how alike their words are at best."""
    plain = owner.lower().replace("_", "")
    exact = any(one.lower().replace("_", "") == plain for one in receivers)
    return float(exact), max((overlap(words(one), words(owner)) for one in receivers), default=0.0)


_RELATIONS: Final = tuple(sorted(ontology.load().relations))
