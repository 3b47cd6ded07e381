"""What an update sees: chains packed into rows, pairs of one kind, and the order in which batches of both come.

Everything random about a batch is a function of seed and place, so that a resumed run draws the same. It must never
leave a chain out: each pass over the records holds every fact once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from corpus.ontology import Ontology
from corpus.tokenizer import MARKERS, MASK, CodeTokenizer
from graphmer import leafy
from graphmer.config import Settings
from graphmer.encoder import padded
from graphmer.errors import GraphmerError
from graphmer.leafy import Chain
from graphmer.records import Record, read

IGNORED = -100
_WINDOW = 768  # chains that are packed at a time
_KEPT, _RANDOM = 0.1, 0.1  # shares of the masked tokens of a chain that stay, or become any other (Devlin et al. 2019)
_FIRST = len(MARKERS)
_CHARACTERS = 6  # a token has three to four

Batch = dict[str, Any]


class Graph:
    """Records as tokens and numbers: what chains and negatives are made of."""

    def __init__(
        self, records: Sequence[Record], tokenizer: CodeTokenizer, ontology: Ontology, settings: Settings
    ) -> None:
        self.records, self.settings = records, settings
        self.tokens = leafy.tokenise(records, tokenizer)
        self.relations = {name: number for number, name in enumerate(ontology.relations, start=1)}
        self.entities: dict[str, int] = {}
        names: list[list[int]] = []
        self.facts: list[NDArray[np.int64]] = []  # by record: (T, 3) head, relation, tail
        for record, tokens in zip(records, self.tokens, strict=True):
            head = self._entity(record.head, tokens.head, names)
            rows = [
                (head, self.relations[fact.relation], self._entity(fact.tail, tail, names))
                for fact, tail in zip(record.facts, tokens.tails, strict=True)
            ]
            self.facts.append(np.array(rows, np.int64).reshape(-1, 3))
        self.names = names
        self._known = np.unique(self._code(np.concatenate(self.facts)))
        self._inside = self._ranges(ontology)

    def _entity(self, name: str, tokens: list[int], names: list[list[int]]) -> int:
        number = self.entities.setdefault(name, len(names))
        if number == len(names):
            names.append(tokens)
        return number

    def _code(self, facts: NDArray[np.int64]) -> NDArray[np.int64]:
        count = len(self.names)
        coded: NDArray[np.int64] = (facts[..., 0] * (len(self.relations) + 1) + facts[..., 1]) * count + facts[..., 2]
        return coded

    def _ranges(self, ontology: Ontology) -> NDArray[np.bool_]:
        """(R + 1, E) whether an entity was seen as a tail, or head, of a type that the relation's range holds.

        Types are those that the ontology implies of where an entity stands in training facts: one that is a tail of
        `raises` may be a tail of `catches`.
        """
        types = list(ontology.entities)
        possible = np.ones((len(self.names), len(types)), bool)
        inside = np.zeros((len(self.relations) + 1, len(self.names)), bool)
        facts = np.concatenate(self.facts)
        for name, number in self.relations.items():
            relation = ontology.relations[name]
            own = facts[facts[:, 1] == number]
            for entities, side in ((own[:, 0], relation.domain), (own[:, 2], relation.range)):
                keep = np.array([kind in side for kind in types])
                possible[np.unique(entities)] &= keep
        for name, number in self.relations.items():
            keep = [place for place, kind in enumerate(types) if kind in ontology.relations[name].range]
            inside[number] = possible[:, keep].any(1)
        return inside

    def allowed(self, facts: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(M, E) which of some entities may stand against the tails of M facts, the tails included."""
        heads, relations, tails = facts.T
        own = among[None, :] == tails[:, None]
        if not self.settings.constrained_negatives:
            return np.ones_like(own)
        triples = np.stack(np.broadcast_arrays(heads[:, None], relations[:, None], among[None, :]), axis=2)
        known = np.isin(self._code(triples), self._known, assume_unique=False)
        result: NDArray[np.bool_] = own | (self._inside[relations][:, among] & ~known)
        return result

    def chains(self, number: int, width: int) -> list[Chain]:
        """The chains of one record."""
        settings = self.settings
        return leafy.encode(
            number, self.records[number], self.tokens[number], self.relations, width, settings.roots, settings.leaves
        )


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows of chains of one width; a batch to be masked."""

    width: int
    rows: tuple[tuple[Chain, ...], ...]


def pack(chains: Sequence[Chain], width: int, seed: Sequence[int]) -> list[tuple[Chain, ...]]:
    """Rows that hold every chain once, first fit by falling length within windows of chains."""
    rng = np.random.default_rng(list(seed))
    order = rng.permutation(len(chains))
    rows: list[tuple[Chain, ...]] = []
    for low in range(0, len(order), _WINDOW):
        window = sorted((chains[place] for place in order[low : low + _WINDOW]), key=len, reverse=True)
        rows += _first_fit(window, width)
    return [rows[place] for place in rng.permutation(len(rows))]


def _first_fit(chains: Sequence[Chain], width: int) -> Iterator[tuple[Chain, ...]]:
    room = np.zeros(len(chains), np.int64)
    bins: list[list[Chain]] = []
    for chain in chains:
        fits = np.flatnonzero(room[: len(bins)] >= len(chain))
        if len(fits):
            place = int(fits[0])
        else:
            place = len(bins)
            bins.append([])
            room[place] = width
        bins[place].append(chain)
        room[place] -= len(chain)
    return (tuple(each) for each in bins)


def chain_batch(packed: Packed) -> Batch:
    """What `Graphmer.encode` takes, nothing masked."""
    shape = (len(packed.rows), packed.width)
    names = ("input_ids", "segments", "anchors", "relation_ids", "leaf_places")
    table = {name: np.zeros(shape, np.int64) for name in names}
    for row, chains in enumerate(packed.rows):
        column = 0
        for segment, chain in enumerate(chains, start=1):
            inside = slice(column, column + len(chain))
            own = (chain.ids, np.int64(segment), chain.anchors, chain.relations, chain.places)
            for name, values in zip(names, own, strict=True):
                table[name][row, inside] = values
            column += len(chain)
    return {name: torch.from_numpy(values) for name, values in table.items()}


def collate(packed: Packed, graph: Graph, seed: Sequence[int]) -> Batch:
    """What `Graphmer.forward` takes, masked by a generator of this seed. The chains that begin rows come first."""
    settings = graph.settings
    rng = np.random.default_rng(list(seed))
    batch: Batch = chain_batch(packed)
    flat = batch["input_ids"].numpy().reshape(-1)  # the tensor's own memory
    placed = [
        (chain, row * packed.width + column)
        for row, chains in enumerate(packed.rows)
        for chain, column in zip(chains, np.cumsum([0, *map(len, chains[:-1])]).tolist(), strict=True)
    ]
    placed.sort(key=lambda one: (one[1] % packed.width != 0, one[1]))
    roots, leaves, asked, asked_at = [], [], [], []
    facts: list[NDArray[np.int64]] = []
    for chain, start in placed:
        masked = _roots(chain, settings.mlm_share, rng)
        roots.append((masked + start, chain.ids[masked]))
        flat[masked + start] = _disguised(chain.ids[masked], settings.vocabulary, rng)
        if settings.leaves:
            hidden, numbers = _leaves(chain, settings.mnm_share, rng)
            leaves.append((hidden + start, chain.ids[hidden]))
            flat[hidden + start] = MASK
            seen = sum(map(len, facts))
            asked += [seen + number for number in numbers]
            asked_at += [start] * len(numbers)
            facts.append(graph.facts[chain.record][list(chain.facts)])
    batch |= {"record_id": [chain.record_id for chain, _ in placed], **_labels("mlm", roots)}
    if leaves:
        batch |= {**_labels("mnm", leaves), **_questions(graph, np.concatenate(facts), asked, asked_at)}
    return batch


def _roots(chain: Chain, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of the tokens of head and text that are masked: at least one."""
    open_to = np.flatnonzero((chain.leaves == 0) & (chain.ids >= _FIRST))
    return np.sort(rng.choice(open_to, max(1, round(share * len(open_to))), replace=False))


def _disguised(ids: NDArray[np.int32], vocabulary: int, rng: np.random.Generator) -> NDArray[np.int64]:
    draw = rng.random(len(ids))
    other = rng.integers(_FIRST, vocabulary, len(ids))
    return np.where(draw < _KEPT, ids, np.where(draw < _KEPT + _RANDOM, other, MASK)).astype(np.int64)


def _leaves(chain: Chain, share: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[int]]:
    """Places of all tokens of the leaves that are masked, at least one leaf; and the numbers of the leaves, from 0."""
    count = int(chain.leaves.max())
    chosen = np.sort(rng.choice(count, max(1, round(share * count)), replace=False))
    return np.flatnonzero(np.isin(chain.leaves, chosen + 1)), chosen.tolist()


def _labels(name: str, parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int32]]]) -> Batch:
    """`NAME_positions` and `NAME_labels`, (N, K) each."""
    width = max(len(places) for places, _ in parts)
    positions = np.zeros((len(parts), width), np.int64)
    labels = np.full((len(parts), width), IGNORED, np.int64)
    for row, (places, ids) in enumerate(parts):
        positions[row, : len(places)] = places
        labels[row, : len(ids)] = ids
    return {f"{name}_positions": torch.from_numpy(positions), f"{name}_labels": torch.from_numpy(labels)}


def _questions(graph: Graph, facts: NDArray[np.int64], asked: Sequence[int], asked_at: Sequence[int]) -> Batch:
    """The facts of a batch with its entities numbered anew, and what stands against each masked tail."""
    among, numbers = np.unique(facts[:, [0, 2]], return_inverse=True)
    local = facts.copy()
    local[:, [0, 2]] = numbers.reshape(-1, 2)
    return {
        "entities": padded([graph.names[each] for each in among]),
        "facts": torch.from_numpy(local),
        "asked": torch.tensor(asked),
        "asked_at": torch.tensor(asked_at),
        "allowed": torch.from_numpy(graph.allowed(facts[list(asked)], among)),
    }


@dataclass(frozen=True, slots=True)
class Pair:
    """A text that asks and a text that answers; `kind` says how, and only pairs of one kind stand in one batch."""

    record_id: str
    kind: str
    query: str
    target: str


def pairs(path: Path) -> list[Pair]:
    """Pairs of a JSON Lines file. GraphmerError names file and line."""
    found = []
    for number, row in enumerate(read(path), start=1):
        try:
            found.append(Pair(str(row["record_id"]), str(row["kind"]), row["query"], row["target"]))
        except KeyError as error:
            raise GraphmerError(f"{path}:{number}: no pair with record_id, kind, query, target ({error})") from None
    return found


class Pairs:
    """Pairs as tokens."""

    def __init__(self, rows: Sequence[Pair], tokenizer: CodeTokenizer, settings: Settings) -> None:
        self.rows = rows
        self.queries = _cut(tokenizer, [row.query for row in rows], settings.query_length)
        self.targets = _cut(tokenizer, [row.target for row in rows], settings.target_length)
        same: dict[tuple[int, ...], int] = {}
        self.meaning = np.array([same.setdefault(tuple(target), len(same)) for target in self.targets], np.int64)
        asked: dict[tuple[int, ...], int] = {}
        self.asking = np.array([asked.setdefault(tuple(query), len(asked)) for query in self.queries], np.int64)

    def frequencies(self, vocabulary: int) -> torch.Tensor:
        """(V,) in how many queries and targets each entry stands."""
        found = np.zeros(vocabulary, np.int64)
        for ids in (*self.queries, *self.targets):
            found[list(set(ids))] += 1
        return torch.from_numpy(found)

    def batch(self, chosen: Sequence[int], bags: bool = False) -> Batch:
        """What `Graphmer.forward` takes, for the pairs at these positions."""
        places = np.asarray(chosen)
        equal = self.meaning[places][:, None] == self.meaning[places][None, :]
        equal |= self.asking[places][:, None] == self.asking[places][None, :]
        np.fill_diagonal(equal, False)
        return {
            "record_id": [self.rows[place].record_id for place in chosen],
            "query_ids": padded([self.queries[place] for place in chosen]),
            "target_ids": padded([self.targets[place] for place in chosen]),
            "labels": torch.arange(len(chosen)),
            "clashes": torch.from_numpy(equal),
            **({"bags": True} if bags else {}),
        }


def opening(text: str, length: int) -> str:
    """The part of a text that its first `length` tokens are taken from: to read all of a long one takes minutes."""
    return text[: length * _CHARACTERS]


def _cut(tokenizer: CodeTokenizer, texts: Sequence[str], length: int) -> list[list[int]]:
    """The first tokens of the opening of each text; equal ones are read once."""
    starts = [opening(text, length) for text in texts]
    distinct = list(dict.fromkeys(starts))
    known = dict(zip(distinct, tokenizer.encode_batch(distinct), strict=True))
    return [known[start][:length] or [MASK] for start in starts]


@dataclass(frozen=True, slots=True)
class Step:
    """One batch, before it is drawn up: rows of chains, or positions of pairs, and the seed of its masks."""

    chains: Packed | None
    pairs: tuple[int, ...]
    seed: tuple[int, ...]
    bags: bool = False  # of pairs: their words alone


class Plan(torch.utils.data.Dataset[Batch]):
    """All batches of a training run, or of one evaluation, in order."""

    def __init__(self, graph: Graph, aligned: Pairs, steps: Sequence[Step]) -> None:
        self.graph, self.aligned, self.steps = graph, aligned, steps

    @classmethod
    def training(cls, graph: Graph, aligned: Pairs, settings: Settings) -> Plan:
        """Batches of chains, short rows first; from `align_from` on, batches of pairs evenly between them.

        Before that, as evenly, larger ones of their words alone.
        """
        chains = [step for epoch in range(settings.epochs) for step in _pass(graph, settings, epoch)]
        chains.sort(key=lambda step: step.chains.width if step.chains else 0)
        between = [
            Step(None, part, ())
            for epoch in range(settings.align_epochs)
            for part in _drawn(aligned.rows, settings.align_batch, [settings.seed, 1, epoch])
        ]
        bags = [
            Step(None, part, (), bags=True)
            for epoch in range(settings.word_epochs)
            for part in _drawn(aligned.rows, settings.word_batch, [settings.seed, 4, epoch])
        ]
        alone = round(settings.align_from * len(chains))
        steps = [*_interleaved(chains[:alone], bags), *_interleaved(chains[alone:], between)]
        most = settings.updates * settings.accumulation
        return cls(graph, aligned, steps[:most] if most else steps)

    @classmethod
    def evaluation(cls, graph: Graph, aligned: Pairs, settings: Settings) -> Plan:
        """Every record in the widest rows and every pair, masked the same way whenever and with whatever seed."""
        numbers = range(len(graph.records))
        chains = [chain for number in numbers for chain in graph.chains(number, settings.lengths[-1])]
        rows = pack(chains, settings.lengths[-1], [0])
        steps = [
            Step(Packed(settings.lengths[-1], tuple(part)), (), (0, place))
            for place, part in enumerate(_slices(rows, settings.rows))
        ]
        steps += [Step(None, part, ()) for part in _drawn(aligned.rows, settings.align_batch, [0])]
        return cls(graph, aligned, steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, place: int) -> Batch:
        return self.__getitems__([place])

    def __getitems__(self, places: Sequence[int]) -> Batch:
        """The batch at one place: batches are whole already."""
        (place,) = places
        step = self.steps[place]
        if step.chains is None:
            return self.aligned.batch(step.pairs, step.bags)
        return collate(step.chains, self.graph, step.seed)


def _pass(graph: Graph, settings: Settings, epoch: int) -> Iterator[Step]:
    """Batches of one pass over the records: some in short rows, the others in long ones."""
    order = np.random.default_rng([settings.seed, 0, epoch]).permutation(len(graph.records))
    later = len(settings.lengths) - 1
    shares = [settings.short_share, *[(1 - settings.short_share) / later] * later] if later else [1.0]
    ends = np.round(np.cumsum(shares) * len(order)).astype(int)
    low = 0
    for width, high in zip(settings.lengths, ends, strict=True):
        chains = [chain for number in order[low:high] for chain in graph.chains(int(number), width)]
        rows = pack(chains, width, [settings.seed, 2, epoch, width])
        for place, part in enumerate(_slices(rows, settings.rows)):
            yield Step(Packed(width, tuple(part)), (), (settings.seed, 3, epoch, width, place))
        low = high


def _drawn(rows: Sequence[Pair], size: int, seed: Sequence[int]) -> list[tuple[int, ...]]:
    """Positions in random order, `size` at a time and of one kind; a rest of a single pair joins the one before."""
    rng = np.random.default_rng(list(seed))
    kinds: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        kinds.setdefault(row.kind, []).append(place)
    parts: list[tuple[int, ...]] = []
    for kind in sorted(kinds):
        order = [kinds[kind][place] for place in rng.permutation(len(kinds[kind]))]
        mine = _slices(order, size)
        if len(mine) > 1 and len(mine[-1]) == 1:
            mine[-2:] = [[*mine[-2], *mine[-1]]]
        parts += [tuple(part) for part in mine]
    return [parts[place] for place in rng.permutation(len(parts))]


def _slices(items: Sequence[Any], size: int) -> list[Any]:
    return [items[low : low + size] for low in range(0, len(items), size)]


def _interleaved(chains: Sequence[Step], between: Sequence[Step]) -> list[Step]:
    """Both kinds, each spread evenly."""
    keyed = [((place + 0.5) / len(chains), 0, step) for place, step in enumerate(chains)]
    keyed += [((place + 0.5) / len(between), 1, step) for place, step in enumerate(between)]
    return [step for _, _, step in sorted(keyed, key=lambda one: one[:2])]


def laws(ontology: Ontology) -> dict[str, list[int]]:
    """Law -> numbers of the relations that the ontology says keep it."""
    numbered: Mapping[str, int] = {name: number for number, name in enumerate(ontology.relations, start=1)}
    return {
        law: [numbered[name] for name, one in ontology.relations.items() if getattr(one, law)]
        for law in ("antisymmetric", "acyclic", "transitive")
    }
