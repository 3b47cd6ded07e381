"""Dialogues of a persona with a partner: the last turn is the partner's, the response is true by construction.

Four kinds of last turn: about a fact that the persona holds, about one that it does not hold, a trap (the partner
asserts something false about it), small talk. Partners speak of themselves, too, so that a value that was just named
is seldom the answer. Everything is a function of split, seed and place. It must never put a test value, a test
sentence or a held-out combination into the other splits.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

from persona.errors import PersonaError
from persona.world.grammar import WORLD, Slot, World, filled, held_out, lines

KINDS: Final[Mapping[str, float]] = {"held": 0.50, "unheld": 0.20, "trap": 0.18, "smalltalk": 0.12}
"""Kind of the last turn -> its share where no kinds are asked for."""
SLICES: Final[Mapping[str, Sequence[str]]] = {
    "train": ("seen",),
    "dev": ("seen", "value"),
    "test": ("combination", "value"),
}
"""Split -> what is new about its personas, in turn: nothing, a combination of facts, the value that is asked for.

"novel", of the test split, is there when asked for: values that stand in no text that anything is trained on.
"""
FACTS: Final = (5, 6, 7)
"""Facts that a persona holds."""
EXCHANGES: Final[Mapping[str, Sequence[int]]] = {
    "train": (0, 1, 2, 3, 4),
    "dev": (0, 0, 1, 1, 2),
    "test": (0, 0, 1, 1, 2),
}
"""Side -> exchanges before the last turn; of those to learn from, each gives an answer more to learn."""
OWN: Final = 0.3
"""Share of questions before which the partner tells the same of himself."""
ASSERTED: Final = 0.2
"""Share of held and unheld probes that come as an assertion of the partner."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What the last turn is about: `answer` is the true value, None where there is none. Never shown to a subject."""

    kind: str
    slot: str | None
    answer: str | None
    form: str
    """question, assertion, or remark."""
    claimed: str | None = None
    """The value that the partner asserts."""


@dataclass(frozen=True, slots=True)
class Row:
    """A persona, a dialogue and the speaker's response; turns alternate, and the last is the partner's."""

    record_id: str
    group: str
    split: str
    slice: str
    persona: tuple[str, ...]
    facts: Mapping[str, str]
    dialogue: tuple[str, ...]
    response: str
    probe: Probe
    told: Mapping[str, str] = field(default_factory=dict)
    """Slot -> what the partner tells of himself, where the dialogue is about that."""
    asked: Sequence[str] = ()
    """The slots that he asks for, turn by turn."""


def generate(
    split: str,
    count: int,
    seed: int,
    kinds: Sequence[str] | None = None,
    slices: Sequence[str] | None = None,
    world: World = WORLD,
) -> list[Row]:
    """`count` rows of a split; `kinds` and `slices` (taken in turn) narrow it. PersonaError for an unknown name."""
    if split not in SLICES:
        raise PersonaError(f'split "{split}" is unknown; there are {", ".join(SLICES)}')
    known = {*SLICES[split], *(("novel",) if split == "test" else ())}
    for wrong in [*(set(kinds or ()) - set(KINDS)), *(set(slices or ()) - known)]:
        raise PersonaError(f'the {split} split has no "{wrong}"; it has {", ".join([*KINDS, *sorted(known)])}')
    chosen = tuple(slices or SLICES[split])
    weights = {kind: KINDS[kind] for kind in (kinds or KINDS)}
    return [_row(world, split, chosen[place % len(chosen)], weights, seed, place) for place in range(count)]


def _row(world: World, split: str, kind_of_new: str, weights: Mapping[str, float], seed: int, place: int) -> Row:
    draw = random.Random(f"{split} {kind_of_new} {seed} {place}")
    kind = draw.choices(list(weights), list(weights.values()))[0]
    speaker = Speaker(world, split, kind_of_new, draw)
    slot = {"smalltalk": None, "unheld": draw.choice(speaker.unheld)}.get(kind, speaker.subject)
    turns = speaker.history({slot})
    turn, response, probe = speaker.exchange(kind, slot)
    return Row(
        record_id=f"{split}-{kind_of_new}-{'.'.join(weights)}-{seed}-{place:06d}",
        group=f"{zlib.crc32(repr(sorted(speaker.facts.items())).encode()):08x}",
        split=split,
        slice=kind_of_new,
        persona=speaker.persona(speaker.facts),
        facts=speaker.facts,
        dialogue=(*turns, speaker.answered(turn)),
        response=response,
        probe=probe,
    )


class Speaker:
    """Somebody with a persona, and what is said to and by them on one side of the world.

    `subject` is the slot that held probes and traps are about: the first that is `wanted`, where some are.
    """

    def __init__(
        self, world: World, side: str, kind_of_new: str, draw: random.Random, wanted: Sequence[str] = ()
    ) -> None:
        self.world, self.side, self.new, self.draw = world, side, kind_of_new, draw
        self.facts = self._facts(wanted)
        self.subject: str = next(iter(self.facts))
        self.unheld = [name for name in world.slots if name not in self.facts]
        self.unsaid: set[str] = set()
        """Values that the partner does not speak of."""
        self._order = draw.sample(list(self.facts), len(self.facts))
        self._templates = {name: draw.choice(lines(self._slot(name).facts, side)) for name in self.facts}
        self._asked_back: str | None = None
        self._told: set[str] = set()

    # -------------------------------------------------------------------------- who it is

    def _facts(self, wanted: Sequence[str]) -> dict[str, str]:
        """Slot -> value; the first is the one that is asked for."""
        while True:
            facts: dict[str, str] = {}
            drawn = [*wanted, *self.draw.sample(list(self.world.slots), self.draw.choice(FACTS))]
            for name in list(dict.fromkeys(drawn))[: self.draw.choice(FACTS)]:
                value = self._fitting(name, facts)
                if value is not None:
                    facts[name] = value
            if self.fits(facts) and all(name in facts for name in wanted):
                return facts

    def fits(self, facts: Mapping[str, str]) -> bool:
        """Whether a persona of this side and slice may hold these facts, the one that is asked for first."""
        if self.side != "test":
            return not any(held_out(one, other) for one, other in combinations(facts.items(), 2))
        first, *rest = facts.items()
        return self.new != "combination" or any(held_out(first, other) for other in rest)

    def _fitting(self, name: str, facts: Mapping[str, str]) -> str | None:
        """A value that no slot of the same domain has, and that makes no combination that is kept out."""
        pool = self.other(name, set(facts.values()), subject=not facts)
        for value in self.draw.sample(pool, len(pool)):
            if self.side == "test" or not any(held_out((name, value), other) for other in facts.items()):
                return value
        return None

    def other(self, name: str, taken: Collection[str] = (), subject: bool = True) -> list[str]:
        """Values of the slot that are not `taken`: new ones for the subject where the slice wants it, else mixed."""
        domain = self.world.values[self._slot(name).domain]
        fresh = {"value": self.side, "novel": "novel"}.get(self.new, "train")
        side = fresh if subject else self.draw.choice(["train", fresh])
        return [value for value in domain[side] if value not in taken]

    def _slot(self, name: str) -> Slot:
        return self.world.slots[name]

    def persona(self, facts: Mapping[str, str]) -> tuple[str, ...]:
        """Its sentences, were these its facts."""
        return tuple(filled(self._templates[name], facts[name]) for name in self._order if name in facts)

    # -------------------------------------------------------------------------- what is said

    def history(self, reserved: Collection[str | None]) -> list[str]:
        """Turns before the last: small talk and other facts, never slots that are reserved for the last turn."""
        turns: list[str] = []
        slots = [name for name in self.world.slots if name not in reserved and name != self.subject]
        for _ in range(self.draw.choice(EXCHANGES[self.side])):
            kind = self.draw.choice(["smalltalk", "held", "held", "unheld"])
            open_to = [name for name in slots if (name in self.facts) == (kind == "held")]
            slot = None if kind == "smalltalk" or not open_to else self.draw.choice(open_to)
            slots = [name for name in slots if name != slot]
            turn, response, _ = self.exchange("smalltalk" if slot is None else kind, slot)
            turns += [self.answered(turn), response]
            self._asked_back = slot if response.endswith("you?") and slot not in self._told else None
        return turns

    def answered(self, turn: str) -> str:
        """The partner's turn, after the answer to what the speaker asked back."""
        name, self._asked_back = self._asked_back, None
        return turn if name is None else f"{self._own(name)} {turn}"

    def exchange(self, kind: str, slot: str | None) -> tuple[str, str, Probe]:
        """A turn of the partner, the speaker's response, and what it is about."""
        if slot is None:
            topic = self.draw.choice(self.world.talk["small"])
            return self._line(topic["turns"]), self._line(topic["replies"]), Probe(kind, None, None, "remark")
        probe = Probe(kind, slot, self.facts.get(slot), "question")
        if kind == "trap" or self.draw.random() < ASSERTED:
            claimed = probe.answer if kind == "held" and probe.answer else self.false(slot)
            probe = replace(probe, form="assertion", claimed=claimed)
        return self.turn(probe), self.response(probe), probe

    def turn(self, probe: Probe) -> str:
        """What the partner says to probe."""
        assert probe.slot is not None
        slot = self._slot(probe.slot)
        if probe.claimed is not None:
            return self._framed("tags", filled(self._line(slot.assertions), probe.claimed))
        question = self._framed("openers", self._line(slot.questions))
        return f"{self._own(slot.name)} {question}" if self.draw.random() < OWN else question

    def response(self, probe: Probe) -> str:
        """A true response to a probe of this speaker."""
        assert probe.slot is not None
        slot, asserted = self._slot(probe.slot), probe.form == "assertion"
        if probe.answer is None:
            denial = self._line(slot.denials)
            return self._framed("corrections", f"{denial}.") if asserted else self._framed("refusals", denial)
        reply = filled(self._line(slot.replies), probe.answer)
        if asserted:
            return self._framed("agreements" if probe.claimed == probe.answer else "corrections", reply)
        return self._framed("answers", reply)

    def _own(self, slot: str) -> str:
        """What the partner tells of himself, never what is true of the speaker."""
        self._told.add(slot)
        return filled(self._line(self._slot(slot).facts), self.false(slot))

    def false(self, slot: str) -> str:
        """A value that is not true of the speaker."""
        taken = {*self.facts.values(), *self.unsaid}
        seen = self.world.values[self._slot(slot).domain]["train"]  # where a side's own values are all taken
        pool = self.other(slot, taken, subject=slot == self.subject) or [each for each in seen if each not in taken]
        return self.draw.choice(pool)

    def _line(self, by_side: Mapping[str, Sequence[str]]) -> str:
        return self.draw.choice(lines(by_side, self.side))

    def _framed(self, name: str, sentence: str) -> str:
        return self.world.frame(name, self.side, self.draw, sentence)
