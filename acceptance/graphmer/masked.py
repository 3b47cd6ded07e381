"""Chains with hidden tokens as items: which entry stood there stays on this side."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from acceptance.graphmer.conftest import Heads
from corpus import ontology
from corpus import tokenizer as tokenizers
from corpus.tokenizer import MARKERS, MASK
from graphmer import leafy, records
from graphmer.records import Record

Kind = Literal["mlm", "mnm"]
MOST = 50
"""Entries that a baseline ranks, as many as the subject does."""
_TIMES = 4


@dataclass(frozen=True)
class Masked:
    """Hidden tokens of the text (mlm) or of a hidden leaf (mnm), one asked for at a time."""

    items: Sequence[dict[str, Any]]
    answers: Sequence[int]
    heads: Sequence[str]
    """Of whose chain each is: chains of one head have one text, and one chain may be asked several times."""
    entries: int

    @cached_property
    def gold(self) -> dict[str, Any]:
        return {
            "qrels": [{str(one): 1.0} for one in self.answers],
            "candidates": np.full(len(self.answers), self.entries),
        }

    def unigram(self, counts: Counter[int]) -> list[list[tuple[str, float]]]:
        """The most frequent entries of training, whatever the question."""
        best = [(str(entry), float(count)) for entry, count in counts.most_common(MOST)]
        return [best] * len(self.items)

    def copied(self, counts: Counter[int]) -> list[list[tuple[str, float]]]:
        """What the chain shows most often, at that place of other leaves first; then the most frequent entries."""
        total = max(1, counts.total())
        common = {entry: count / total for entry, count in counts.most_common(MOST)}
        found = []
        for item in self.items:
            place = item["places"][item["at"]]
            seen = [one for one in zip(item["ids"], item["places"], strict=True) if one[0] >= len(MARKERS)]
            anywhere = Counter(entry for entry, _ in seen)
            there = Counter(entry for entry, own in seen if place and own == place)
            scores = {
                entry: 1000 * there[entry] + anywhere[entry] + common.get(entry, 0.0) for entry in {*anywhere, *common}
            }
            ranked = sorted(scores.items(), key=lambda one: (-one[1], one[0]))[:MOST]
            found.append([(str(entry), float(score)) for entry, score in ranked])
        return found


def questions(heads: Heads, artifact: Path, profile: dict[str, Any], kind: Kind, count: int) -> Masked:
    """So many chains of the widest rows, masked in the profile's shares, a token of each asked for.

    Where there are fewer chains, all are masked anew, up to `_TIMES` times.
    """
    tokenizer = tokenizers.read(artifact / "tokenizer.json")
    rng = np.random.default_rng(0)
    whose = [(str(item["head"]), chain) for item, found in encoded(heads, tokenizer, profile) for chain in found]
    chains = [chain for _, chain in whose]
    orders = (rng.permutation(len(chains)).tolist() for _ in range(_TIMES))
    places = list(itertools.islice(itertools.chain.from_iterable(orders), count))
    items, answers = [], []
    for place in places:
        chain = chains[place]
        roots = np.flatnonzero((chain.leaves == 0) & (chain.ids >= len(MARKERS)))
        hidden = rng.choice(roots, max(1, round(profile["mlm_share"] * len(roots))), replace=False)
        number = int(chain.leaves.max())
        leaves = rng.choice(number, max(1, round(profile["mnm_share"] * number)), replace=False) + 1
        inside = np.flatnonzero(np.isin(chain.leaves, leaves))
        at = int(rng.choice(hidden if kind == "mlm" else inside))
        ids = chain.ids.copy()
        answers.append(int(ids[at]))
        ids[hidden] = MASK
        ids[inside] = MASK
        columns = (("ids", ids), ("relations", chain.relations), ("anchors", chain.anchors), ("places", chain.places))
        items.append({**{name: column.tolist() for name, column in columns}, "at": at})
    return Masked(items, answers, [whose[place][0] for place in places], len(tokenizer))


def counts(heads: Heads, artifact: Path, profile: dict[str, Any], kind: Kind) -> Counter[int]:
    """How often each entry stands in the texts (mlm) or the leaves (mnm) of some heads."""
    found: Counter[int] = Counter()
    for _, chains in encoded(heads, tokenizers.read(artifact / "tokenizer.json"), profile):
        for chain in chains:
            inside = (chain.leaves > 0) if kind == "mnm" else (chain.leaves == 0) & (chain.ids >= len(MARKERS))
            found.update(chain.ids[inside].tolist())
    return found


def encoded(heads: Heads, tokenizer: Any, profile: dict[str, Any]) -> list[tuple[dict[str, Any], list[leafy.Chain]]]:
    relations = {name: number for number, name in enumerate(ontology.load().relations, start=1)}
    found = [
        Record(each["head"], "", each["head"], each["text"], records.places_of(each["text"], map(tuple, each["facts"])))
        for each in heads.items
    ]
    tokens = leafy.tokenise(found, tokenizer)
    width, roots = profile["lengths"][-1], profile["roots"]
    return [
        (item, leafy.encode(number, record, own, relations, width, roots, True))
        for number, (item, record, own) in enumerate(zip(heads.items, found, tokens, strict=True))
    ]
