"""Twins: one dialogue, two personas, and the response that is true for each.

What is chosen for one twin is rejected for the other, so nothing but the persona tells them apart: a scorer that does
not look at it is right in exactly half of the cases, whatever lengths or fluency it goes by. Crossed twins hold the
same values, in each other's place: there the words of the persona do not tell either, only who they are said of.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from persona.errors import PersonaError
from persona.world.dialogues import SLICES, Probe, Speaker
from persona.world.grammar import WORLD, World

KINDS: Final[Mapping[str, float]] = {"plain": 0.4, "crossed": 0.35, "denied": 0.25}
"""Another value in the slot that is asked about; the values of two slots exchanged; the fact not held at all."""
TRAPPED: Final = 0.25
"""Share of twins whose last turn asserts what is false of both."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Two sides of one dialogue; `facts`, `personas`, `responses` and `answers` have one entry for each."""

    record_id: str
    split: str
    slice: str
    kind: str
    slot: str
    dialogue: tuple[str, ...]
    personas: tuple[tuple[str, ...], tuple[str, ...]]
    facts: tuple[Mapping[str, str], Mapping[str, str]]
    responses: tuple[str, str]
    answers: tuple[str | None, str | None]


def twins(split: str, count: int, seed: int, kinds: Sequence[str] | None = None, world: World = WORLD) -> list[Twin]:
    """`count` twins of a split. The responses of plain and crossed ones differ in the value alone."""
    if split not in SLICES:
        raise PersonaError(f'split "{split}" is unknown; there are {", ".join(SLICES)}')
    for wrong in set(kinds or ()) - set(KINDS):
        raise PersonaError(f'twins are never "{wrong}"; they are {", ".join(KINDS)}')
    weights = {kind: KINDS[kind] for kind in (kinds or KINDS)}
    slices = SLICES[split]
    return [_twin(world, split, slices[place % len(slices)], weights, seed, place) for place in range(count)]


def _twin(world: World, split: str, kind_of_new: str, weights: Mapping[str, float], seed: int, place: int) -> Twin:
    draw = random.Random(f"twins {split} {kind_of_new} {' '.join(weights)} {seed} {place}")
    kind = draw.choices(list(weights), list(weights.values()))[0]
    while True:
        one = Speaker(world, split, kind_of_new, draw, _neighbours(world, draw) if kind == "crossed" else ())
        if others := _others(one, kind):
            break
    name, facts = one.subject, draw.choice(others)
    one.unsaid.update(facts.values())
    turns = one.history({slot for slot in one.facts if one.facts[slot] != facts.get(slot)})
    probe = Probe("held", name, one.facts[name], "question")
    if draw.random() < TRAPPED:
        probe = Probe("trap", name, one.facts[name], "assertion", one.false(name))
    turn = one.turn(probe)
    state = draw.getstate()  # the same draws again: responses of one form, apart in the value
    mine = one.response(probe)
    draw.setstate(state)
    theirs = one.response(replace(probe, answer=facts.get(name)))
    first, second = draw.sample((0, 1), 2)  # which of the two is which must not follow from its place
    both_facts, both_responses = (one.facts, facts), (mine, theirs)
    return Twin(
        record_id=f"twin-{split}-{kind_of_new}-{'.'.join(weights)}-{seed}-{place:06d}",
        split=split,
        slice=kind_of_new,
        kind=kind,
        slot=name,
        dialogue=(*turns, one.answered(turn)),
        personas=(one.persona(both_facts[first]), one.persona(both_facts[second])),
        facts=(both_facts[first], both_facts[second]),
        responses=(both_responses[first], both_responses[second]),
        answers=(both_facts[first].get(name), both_facts[second].get(name)),
    )


def _neighbours(world: World, draw: random.Random) -> tuple[str, str]:
    """Two slots whose values are of one domain."""
    pairs = [
        (one.name, other.name)
        for one in world.slots.values()
        for other in world.slots.values()
        if one.domain == other.domain and one.name != other.name
    ]
    return draw.choice(pairs)


def _others(one: Speaker, kind: str) -> list[dict[str, str]]:
    """Facts of the twins that a speaker may have: never a combination that its split does not have."""
    name, own = one.subject, one.facts[one.subject]
    rest = {slot: value for slot, value in one.facts.items() if slot != name}
    if kind == "denied":
        return [rest]
    if kind == "plain":
        found = [{**one.facts, name: value} for value in one.other(name, set(one.facts.values()))]
    else:
        domain = one.world.slots[name].domain
        same = [slot for slot in rest if one.world.slots[slot].domain == domain]
        found = [{**one.facts, name: rest[slot], slot: own} for slot in same]
    return [facts for facts in found if one.fits(facts)]
