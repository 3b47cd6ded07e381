"""Link prediction without learning: frequency, names, places, and whether the tail's name stands in the head's body.

The judge's own: nothing here is shared with the system under judgement. Weights are tuned on triples that neither the
graph nor the test side holds.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acceptance import jsonl
from acceptance.analysers import words
from acceptance.graphmer.link_data import GIVEN_BY_NAMES
from corpus import ontology

Floats = NDArray[np.float32]

FEATURES = (
    "frequency",
    "frequency nearby",
    "shared components",
    "shared words",
    "in body",
    "rarity in body",
)
WEIGHTS = (0.0, 0.3, 1.0, 3.0)
_NAME = re.compile(r"[A-Za-z_]\w*")


class World:
    """Entities by relation, what is true of them, and the words of each head's body."""

    def __init__(self, folder: Path) -> None:
        self.entities = jsonl.read(folder / "entities.jsonl")
        self.names = [row["name"] for row in self.entities]
        self.index = {name: place for place, name in enumerate(self.names)}
        self.known = [row for row in jsonl.read(folder / "triples.jsonl") if row["relation"] not in GIVEN_BY_NAMES]
        self.files = {row["file"]: row["text"].split("\n") for row in jsonl.read(folder / "files.jsonl")}
        kinds = np.array([row["type"] for row in self.entities])
        relations = ontology.load().relations
        self.ranges = {name: np.flatnonzero(np.isin(kinds, list(one.range))) for name, one in relations.items()}
        self.last = [_spoken(name) for name in self.names]
        self.last_ids, self.last_names = _numbered(self.last)
        split = [name.replace(":", ".").split(".") for name in self.names]
        self.depths = [
            _numbered([".".join(one[:depth]) if len(one) >= depth else f"\0{i}" for i, one in enumerate(split)])[0]
            for depth in range(1, 7)
        ]
        count: Counter[tuple[str, str]] = Counter()
        near: Counter[tuple[str, str, str]] = Counter()
        for row in self.known:
            count[row["relation"], row["tail"]] += 1
            near[row["distribution"], row["relation"], row["tail"]] += 1
        self.frequency: dict[str, Floats] = defaultdict(self._zeros)
        self.nearby: dict[tuple[str, str], Floats] = defaultdict(self._zeros)
        for (relation, tail), number in count.items():
            self.frequency[relation][self.index[tail]] = np.log1p(number)
        for (distribution, relation, tail), number in near.items():
            self.nearby[distribution, relation][self.index[tail]] = np.log1p(number)
        self._last_place = {name: at for at, name in enumerate(self.last_names)}
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for at, name in enumerate(self.last_names):
            for word in _words(name):
                self._by_word[word].append(at)
        self._namesakes = np.bincount(self.last_ids).astype(np.float32)
        self._bodies: dict[str, Counter[str]] = {}

    def _zeros(self) -> Floats:
        return np.zeros(len(self.names), dtype=np.float32)

    def body(self, head: str) -> Counter[str]:
        if head not in self._bodies:
            row = self.entities[self.index[head]]
            lines = self.files.get(row["file"], [])[row["line"] - 1 : row["end_line"]]
            self._bodies[head] = Counter(_NAME.findall("\n".join(lines)))
        return self._bodies[head]

    def true(self, *more: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], set[str]]:
        """(head, relation) -> every tail that is true: what a rank is filtered by."""
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in itertools.chain(self.known, *more):
            found[row["head"], row["relation"]].add(row["tail"])
        return found

    def features(self, head: str, relation: str) -> tuple[NDArray[np.int64], Floats]:
        """(candidates, (C, F)) of all entities in the relation's range."""
        chosen = self.ranges[relation]
        place = self.index[head]
        distribution = self.entities[place]["distribution"]
        body = self.body(head)
        written = np.zeros(len(self.last_names), dtype=np.float32)
        alike = np.zeros(len(self.last_names), dtype=np.float32)
        own = _words(self.last[place])
        for name in body:
            if (at := self._last_place.get(name)) is not None:
                written[at] = 1.0
        for at in self._alike(own):
            other = _words(self.last_names[at])
            alike[at] = len(own & other) / max(1, len(own | other))
        shared = np.zeros(len(chosen), dtype=np.float32)
        for codes in self.depths:
            shared += codes[chosen] == codes[place]
        ids = self.last_ids[chosen]
        return chosen, np.stack(
            [
                self.frequency[relation][chosen],
                self.nearby[distribution, relation][chosen],
                shared,
                alike[ids],
                written[ids],
                written[ids] / np.log1p(self._namesakes[ids]),
            ],
            axis=1,
        ).astype(np.float32)

    def _alike(self, own: frozenset[str]) -> set[int]:
        return {at for word in own for at in self._by_word.get(word, ())}


def _spoken(name: str) -> str:
    """The last name; for a constructor that of its class."""
    split = name.replace(":", ".").split(".")
    return split[-2] if split[-1] in ("__init__", "__new__") and len(split) > 1 else split[-1]


def _words(name: str) -> frozenset[str]:
    return frozenset(words(name))


def _numbered(labels: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    ids: dict[str, int] = {}
    column = np.array([ids.setdefault(one, len(ids)) for one in labels], dtype=np.int64)
    return column, list(ids)


def rank(scores: Floats, gold: int, others: NDArray[np.bool_]) -> tuple[float, float]:
    """(optimistic, pessimistic) rank of the gold candidate, other true ones left out."""
    kept = scores[~others]
    own = scores[gold]
    better = float((kept > own).sum())
    return better + 1, better + float((kept == own).sum())


def tune(
    world: World, rows: Sequence[Mapping[str, str]], true: Mapping[tuple[str, str], set[str]], columns: Sequence[int]
) -> list[float]:
    """Weights of the features in `columns` with the best MRR on the rows, by coordinates, twice around."""
    cases = []
    for row in rows:
        chosen, table = world.features(row["head"], row["relation"])
        gold = np.flatnonzero(chosen == world.index[row["tail"]])
        if len(gold):
            others = _others(world, row, true, chosen)
            cases.append((table.astype(np.float16), int(gold[0]), others))
    weights = [1.0 if place in columns else 0.0 for place in range(len(FEATURES))]

    def mrr(tried: Sequence[float]) -> float:
        vector = np.array(tried, dtype=np.float32)
        found = [rank(table.astype(np.float32) @ vector, gold, others) for table, gold, others in cases]
        return float(np.mean([2 / (low + high) for low, high in found]))

    best = mrr(weights)
    for _ in range(2):
        for place in columns:
            for value in (*WEIGHTS, weights[place] * 2, weights[place] / 2):
                tried = [*weights]
                tried[place] = value
                if (found := mrr(tried)) > best:
                    best, weights = found, tried
    return weights


def _others(
    world: World, row: Mapping[str, str], true: Mapping[tuple[str, str], set[str]], chosen: NDArray[np.int64]
) -> NDArray[np.bool_]:
    others = [world.index[name] for name in true[row["head"], row["relation"]] - {row["tail"]}]
    return np.isin(chosen, others)


POLICIES: Mapping[str, tuple[int, ...]] = {
    "relation-frequency": (0,),
    "name-locality-frequency": (0, 1, 2, 3),
    "name-in-body": (0, 1, 2, 3, 4, 5),
}


def build_link_baselines(out: Path, links: str, tuned_on: int) -> None:
    """ranks.json: policy -> optimistic and pessimistic ranks of the test tails. candidates.json: how many."""
    folder = Path(links)
    world = World(folder)
    examples, test = (jsonl.read(folder / f"{name}.jsonl") for name in ("examples", "test"))
    true = world.true(examples, test)
    weights = {name: tune(world, examples[:tuned_on], true, columns) for name, columns in POLICIES.items()}
    ranks: dict[str, dict[str, list[float]]] = {name: {"optimistic": [], "pessimistic": []} for name in POLICIES}
    candidates = []
    for row in test:
        chosen, table = world.features(row["head"], row["relation"])
        others = _others(world, row, true, chosen)
        candidates.append(int(len(chosen) - others.sum()))
        gold = np.flatnonzero(chosen == world.index[row["tail"]])
        for name, vector in weights.items():
            low, high = rank(table @ np.array(vector, dtype=np.float32), int(gold[0]), others)
            ranks[name]["optimistic"].append(low)
            ranks[name]["pessimistic"].append(high)
    (out / "ranks.json").write_text(json.dumps(ranks))
    (out / "candidates.json").write_text(json.dumps(candidates))
    (out / "weights.json").write_text(
        json.dumps({name: dict(zip(FEATURES, w, strict=True)) for name, w in weights.items()})
    )
