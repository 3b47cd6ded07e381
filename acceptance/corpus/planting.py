"""Triples that are ill-typed or unlawful on purpose, made from real ones; only this side knows which they are.

Every kind is against the definitions of its ends or a law of its relation, whatever types it claims. A triple that is
lawful and false (a call of another function) is none of them: no validator sees that, an independent resolver may.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from corpus.ontology import Ontology, Relation

Row = list[Any]
HEAD, RELATION, TAIL, HEAD_TYPE, TAIL_TYPE = range(5)


def plant(
    rows: Sequence[Row], types: Mapping[str, str], ontology: Ontology, count: int, seed: int
) -> list[tuple[str, Row]]:
    """`count` pairs of kind and planted triple, the kinds in turn.

    Args:
        rows: real triples with both ends defined inside the corpus.
        types: name -> type of every defined entity.
    """
    rng = random.Random(seed)
    by_type: dict[str, list[str]] = defaultdict(list)
    for name, type_ in sorted(types.items()):
        by_type[type_].append(name)
    present = {(row[HEAD], row[RELATION], row[TAIL]) for row in rows}
    found: list[tuple[str, Row]] = []
    kinds = list(_KINDS)
    while len(found) < count:
        kind = kinds[len(found) % len(kinds)]
        while True:
            row = list(rng.choice(rows))
            made = _KINDS[kind](row, ontology.relations[row[RELATION]], by_type, ontology, rng)
            if made is not None and (made[HEAD], made[RELATION], made[TAIL]) not in present:
                break
            if made is not None and kind == "claimed type":
                break
        found.append((kind, made))
    return found


By = Mapping[str, list[str]]


def _other(allowed: frozenset[str], by_type: By, rng: random.Random) -> tuple[str, str] | None:
    kinds = [kind for kind in sorted(by_type) if kind not in allowed]
    if not kinds:
        return None
    kind = rng.choice(kinds)
    return rng.choice(by_type[kind]), kind


def _wrong_tail(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """A tail of a kind that the relation does not lead to."""
    other = _other(relation.range, by_type, rng)
    return None if other is None else [row[HEAD], row[RELATION], other[0], row[HEAD_TYPE], other[1], *row[5:]]


def _disguised_tail(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """The same, claiming to be of the kind that the real tail had: only the definition tells."""
    made = _wrong_tail(row, relation, by_type, ontology, rng)
    return None if made is None else [*made[:TAIL_TYPE], row[TAIL_TYPE], *row[5:]]


def _wrong_head(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    other = _other(relation.domain, by_type, rng)
    return None if other is None else [other[0], row[RELATION], row[TAIL], other[1], row[TAIL_TYPE], *row[5:]]


def _claimed_type(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """A real triple with a type that the relation allows and the definition does not bear out."""
    kinds = sorted(relation.range - {row[TAIL_TYPE]})
    return [*row[:TAIL_TYPE], rng.choice(kinds), *row[5:]] if kinds else None


def _unknown(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """A tail that nothing defines."""
    return [row[HEAD], row[RELATION], row[TAIL] + rng.choice(["_v2", ".Inner", "Fixed"]), *row[3:]]


def _other_relation(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """The ends of one relation under another that does not allow them."""
    names = [
        name
        for name, one in ontology.relations.items()
        if row[HEAD_TYPE] not in one.domain or row[TAIL_TYPE] not in one.range
    ]
    return [row[HEAD], rng.choice(names), *row[TAIL:]] if names else None


def _reversed(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """Head and tail of an antisymmetric relation changed round."""
    if not relation.antisymmetric:
        return None
    return [row[TAIL], row[RELATION], row[HEAD], row[TAIL_TYPE], row[HEAD_TYPE], *row[5:]]


def _second_place(row: Row, relation: Relation, by_type: By, ontology: Ontology, rng: random.Random) -> Row | None:
    """Another tail of the right kind where there can be one only."""
    if not relation.functional:
        return None
    other = rng.choice(by_type[row[TAIL_TYPE]])
    return None if other == row[TAIL] else [row[HEAD], row[RELATION], other, *row[3:]]


_KINDS: dict[str, Callable[..., Row | None]] = {
    "wrong tail": _wrong_tail,
    "disguised tail": _disguised_tail,
    "wrong head": _wrong_head,
    "claimed type": _claimed_type,
    "unknown tail": _unknown,
    "other relation": _other_relation,
    "reversed": _reversed,
    "second place": _second_place,
}
