"""What does a reply say? A frozen reading by rule: which value of the slot it names, or that it denies to have one.

Written for the world's own words, so that nothing is left to a model's taste. It is no reward and no training signal:
the systems cannot import it, and it has nothing to do with the reward model that they train.
"""

from __future__ import annotations

import re
from functools import cache

from persona.world import WORLD

NOTHING = ""
"""The reply names no value of the slot and does not deny to have one."""
SEVERAL = "several values"
RECITES = "recites"
MOST = 2
"""Facts that an answer may tell; one that tells more recites the persona, and reciting answers nothing."""
DENIES = "denies"
ANSWERS = "answers"

_CLAUSE = re.compile(r"[.,;:!?]|\bbut\b")
_WORD = re.compile(r"[a-z']+")
_NEGATION = re.compile(r"\b(?:not|no|never|nothing|none|nobody|without|\w+n't)\b")
_DISLIKE = re.compile(r"\b(?:can't|cannot|can not|don't|do not) (?:stand|like)\b")
"""Negated words that state a fact where dislikes are asked for."""


def named(reply: str, slot: str) -> str:
    """The one value of the slot that the reply affirms; NOTHING, SEVERAL where it affirms more.

    RECITES where it affirms more than MOST values of whatever kind.

    A value behind a negation in the same clause is not affirmed: "not a pilot, but a baker" names baker.
    """
    affirmed: dict[str, None] = {}
    for clause in _clauses(reply, slot):
        negated = _NEGATION.search(clause)
        for word in _WORD.finditer(clause):
            value = word[0] if word[0] in _EVERY else word[0].removesuffix("'s")
            if value in _EVERY and not (negated and negated.start() < word.start()):
                affirmed[value] = None
    if len(affirmed) > MOST:
        return RECITES
    found = [value for value in affirmed if value in _values(slot)]
    return SEVERAL if len(found) > 1 else next(iter(found), NOTHING)


def denies(reply: str, slot: str) -> str:
    """ANSWERS where the reply affirms a value of the slot, DENIES where it affirms none and holds a negation.

    NOTHING where it does neither, and RECITES as above.
    """
    value = named(reply, slot)
    if value not in (NOTHING, RECITES):
        return ANSWERS
    negated = any(_NEGATION.search(clause) for clause in _clauses(reply, slot))
    return DENIES if negated and value == NOTHING else value


def _clauses(reply: str, slot: str) -> list[str]:
    """Clauses in lower case; a dislike that is stated by a negation loses it."""
    text = reply.lower().replace("\u2019", "'")
    if slot == "dislike":
        text = _DISLIKE.sub("hate", text)
    return _CLAUSE.split(text)


_EVERY = frozenset(value for domain in WORLD.values.values() for side in domain.values() for value in side)


@cache
def _values(slot: str) -> frozenset[str]:
    return frozenset(WORLD.every_value(slot))
