"""Twins: one dialogue, two personas that differ in one fact, and the response that is true for each.

What is chosen for one twin is rejected for the other, so nothing but the persona tells them apart: a scorer that does
not look at it is right in exactly half of the cases, whatever lengths, keywords or fluency it goes by.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from persona.errors import PersonaError
from persona.world.dialogues import SLICES, Probe, Speaker
from persona.world.grammar import WORLD, World, held_out

DENIED: Final = 0.25
"""Share of twins of which one does not hold the fact at all, where such are asked for."""
TRAPPED: Final = 0.25
"""Share of twins whose last turn asserts what is false of both."""


@dataclass(frozen=True, slots=True)
class Twin:
    """Side a and side b of one dialogue; `facts`, `persona`, `responses` and `answers` have one entry each."""

    record_id: str
    split: str
    slice: str
    slot: str
    dialogue: tuple[str, ...]
    personas: tuple[tuple[str, ...], tuple[str, ...]]
    facts: tuple[Mapping[str, str], Mapping[str, str]]
    responses: tuple[str, str]
    answers: tuple[str | None, str | None]


def twins(split: str, count: int, seed: int, denials: bool = True, world: World = WORLD) -> list[Twin]:
    """`count` twins of a split. Without `denials` both hold the fact, and their responses differ in one word only."""
    if split not in SLICES:
        raise PersonaError(f'split "{split}" is unknown; there are {", ".join(SLICES)}')
    slices = SLICES[split]
    return [_twin(world, split, slices[place % len(slices)], denials, seed, place) for place in range(count)]


def _twin(world: World, split: str, kind_of_new: str, denials: bool, seed: int, place: int) -> Twin:
    draw = random.Random(f"twins {split} {kind_of_new} {denials} {seed} {place}")
    while not (pool := _fitting(one := Speaker(world, split, kind_of_new, draw))):
        pass  # seldom: no other value makes a persona of this split
    name = one.subject
    rest = {slot: value for slot, value in one.facts.items() if slot != name}
    value = None if denials and draw.random() < DENIED else draw.choice(pool)
    facts = rest if value is None else {**one.facts, name: value}
    one.unsaid.update(facts.values())
    turns = one.history(name)
    probe = Probe("held", name, one.facts[name], "question")
    if draw.random() < TRAPPED:
        probe = Probe("trap", name, one.facts[name], "assertion", one.false(name))
    turn = one.turn(probe)
    state = draw.getstate()  # the same draws again: responses of one form, apart in the value
    response = one.response(probe)
    draw.setstate(state)
    pair = (response, one.response(replace(probe, answer=value)))
    order = draw.sample((0, 1), 2)  # which of the two does not hold the fact must not follow from its place
    personas, responses = (one.persona(one.facts), one.persona(facts)), pair
    return Twin(
        record_id=f"twin-{split}-{kind_of_new}-{'any' if denials else 'held'}-{seed}-{place:06d}",
        split=split,
        slice=kind_of_new,
        slot=name,
        dialogue=(*turns, one.answered(turn)),
        personas=(personas[order[0]], personas[order[1]]),
        facts=((one.facts, facts)[order[0]], (one.facts, facts)[order[1]]),
        responses=(responses[order[0]], responses[order[1]]),
        answers=((one.facts[name], value)[order[0]], (one.facts[name], value)[order[1]]),
    )


def _fitting(one: Speaker) -> list[str]:
    """Values that the second twin may have in the same slot: its combinations must be those of its split, too."""
    pool = one.other(one.subject, set(one.facts.values()))
    rest = [(slot, value) for slot, value in one.facts.items() if slot != one.subject]
    if one.side == "test" and one.new != "combination":
        return pool
    return [
        value for value in pool if any(held_out((one.subject, value), fact) for fact in rest) == (one.side == "test")
    ]
