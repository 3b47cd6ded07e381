"""Leafy chain graphs: a chain of tokens - head's name, then its text - whose tokens carry the head's facts as leaves.

A leaf holds all tokens of the tail's name and the relation. Encoding loses no fact and decodes to the same facts:
where they do not fit into one chain, more chains of the same head carry the others. It must never cut a name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from corpus.tokenizer import CLS, SEP, CodeTokenizer
from graphmer.errors import GraphmerError
from graphmer.records import Record

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Chain:
    """One chain with its leaves; all arrays are (L,), roots first.

    `relations` is 0 at roots; `anchors` is the place of a root, or of the root that a leaf hangs on; `leaves` numbers
    the leaves from 1 and is 0 at roots; `places` counts a leaf's tokens from 1 and is 0 at roots. `facts` are the
    numbers of its facts in the record.
    """

    record_id: str
    record: int
    ids: Ids
    relations: Ids
    anchors: Ids
    leaves: Ids
    places: Ids
    facts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A record as tokens: `text` with the first character of each, `tails` by fact."""

    head: list[int]
    text: list[int]
    starts: list[int]
    tails: list[list[int]]


def tokenise(records: Sequence[Record], tokenizer: CodeTokenizer) -> list[Tokens]:
    """Tokens of all records; the names of tails are read once each."""
    texts = tokenizer.backend.encode_batch([each.text for each in records], add_special_tokens=False)
    heads = tokenizer.encode_batch([each.head for each in records])
    distinct = list(dict.fromkeys(fact.tail for each in records for fact in each.facts))
    tails = dict(zip(distinct, tokenizer.encode_batch(distinct), strict=True))
    return [
        Tokens(head, text.ids, [start for start, _ in text.offsets], [tails[fact.tail] for fact in each.facts])
        for each, head, text in zip(records, heads, texts, strict=True)
    ]


def encode(
    number: int, record: Record, tokens: Tokens, relations: Mapping[str, int], width: int, roots: float, leaves: bool
) -> list[Chain]:
    """The chains of a record, no longer than `width` tokens each.

    Args:
        number: of the record; chains remember it.
        relations: name -> number from 1.
        roots: share of the width that head and text may take.
        leaves: without them there is one chain for each piece of text.

    Raises GraphmerError for a name that does not fit into the width beside its head.
    """
    start = [CLS, *tokens.head, SEP]
    room = int(width * roots) - len(start)
    pieces = _pieces(len(tokens.text), max(0, room))
    chains = []
    by_piece: list[list[int]] = [[] for _ in pieces]
    for fact, known in enumerate(record.facts):
        token = bisect_right(tokens.starts, known.place) - 1 if known.place >= 0 else 0
        by_piece[_piece_of(pieces, token)].append(fact)
    for (low, high), facts in zip(pieces, by_piece, strict=True):
        for part in _parts(record, tokens, facts, width, len(start)) if leaves else ([()] if facts else []):
            taken = sum(len(tokens.tails[fact]) for fact in part)
            body = tokens.text[low : min(high, low + width - len(start) - taken)]
            name = f"{record.record_id}@{width}#{len(chains)}"
            chains.append(_chain(name, number, record, tokens, start, low, body, part, relations))
    return chains


def decode(chain: Chain, tokenizer: CodeTokenizer, relations: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """(head, [(relation, tail), ...]) of what is written in a chain; `relations` are names from number 1."""
    roots = chain.ids[chain.leaves == 0].tolist()
    head = tokenizer.decode(roots[1 : roots.index(SEP)])
    facts = []
    for leaf in range(1, int(chain.leaves.max(initial=0)) + 1):
        inside = chain.leaves == leaf
        relation = relations[int(chain.relations[inside][0]) - 1]
        facts.append((relation, tokenizer.decode(chain.ids[inside].tolist())))
    return head, facts


def _pieces(tokens: int, room: int) -> list[tuple[int, int]]:
    """A text of so many tokens in pieces of at most `room`; one empty piece where there is no text, or no room."""
    if not tokens or not room:
        return [(0, 0)]
    return list(pairwise([*range(0, tokens, room), tokens]))


def _piece_of(pieces: Sequence[tuple[int, int]], token: int) -> int:
    """The piece that holds a token of the text; the last one where it lies beyond all."""
    return min(bisect_right([low for low, _ in pieces], max(0, token)) - 1, len(pieces) - 1)


def _parts(record: Record, tokens: Tokens, facts: Sequence[int], width: int, start: int) -> Iterator[tuple[int, ...]]:
    """Facts in groups whose tails leave half of the rest of a chain to the text, or one fact alone."""
    budget = (width - start) // 2
    group: list[int] = []
    used = 0
    for fact in facts:
        size = len(tokens.tails[fact])
        if start + size > width:
            raise GraphmerError(
                f'"{record.facts[fact].tail}" ({size} tokens) does not fit beside "{record.head}" into {width}: '
                "raise the profile's lengths"
            )
        if group and used + size > budget:
            yield tuple(group)
            group, used = [], 0
        group.append(fact)
        used += size
    if group:
        yield tuple(group)


def _chain(
    name: str,
    number: int,
    record: Record,
    tokens: Tokens,
    start: Sequence[int],
    low: int,
    body: Sequence[int],
    facts: Sequence[int],
    relations: Mapping[str, int],
) -> Chain:
    ids = [*start, *body]
    roots = len(ids)
    relation, leaves, places = [0] * roots, [0] * roots, [0] * roots
    anchors = list(range(roots))
    for leaf, fact in enumerate(facts, start=1):
        known, tail = record.facts[fact], tokens.tails[fact]
        anchor = 1  # the head's name
        if known.place >= 0:
            token = bisect_right(tokens.starts, known.place) - 1 - low
            if 0 <= token < len(body):
                anchor = len(start) + token
        ids += tail
        relation += [relations[known.relation]] * len(tail)
        anchors += [anchor] * len(tail)
        leaves += [leaf] * len(tail)
        places += range(1, len(tail) + 1)
    columns = (np.array(each, np.int32) for each in (ids, relation, anchors, leaves, places))
    return Chain(name, number, *columns, tuple(facts))
