"""Policies that know nothing of what was asked: what must not pass the gates.

Each takes the items that the subject is given - persona, dialogue - and returns one reply for each.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

Items = Sequence[Mapping[str, Any]]


def recite_persona(items: Items) -> list[str]:
    """All sentences of the persona, whatever was asked: has every keyword."""
    return [" ".join(item["persona"]) for item in items]


def copy_last_turn(items: Items) -> list[str]:
    """The partner's last turn, said back."""
    return [item["dialogue"][-1] for item in items]


def constant_keywords(items: Items) -> list[str]:
    """One string of the commonest words of all personas, with a denial in it, for everybody."""
    words: dict[str, int] = {}
    for item in items:
        for word in {word for sentence in item["persona"] for word in sentence.strip(".").split()}:
            words[word] = words.get(word, 0) + 1
    common = sorted(words, key=lambda word: (-words[word], word))[:25]
    return [f"no, i don't. {' '.join(common)}"] * len(items)


def random_reply(items: Items, replies: Sequence[str], seed: int = 0) -> list[str]:
    """A reply that was right for somebody else."""
    draw = random.Random(seed)
    return [draw.choice(replies) for _ in items]


def random_sentence(items: Items, seed: int = 0) -> list[str]:
    """One sentence of the persona, drawn blindly: right as often as chance."""
    draw = random.Random(seed)
    return [draw.choice(item["persona"]) for item in items]


def trivial(items: Items, replies: Sequence[str]) -> dict[str, list[str]]:
    """Name -> replies of each; `replies` are those that were right, for somebody."""
    return {
        "recite-persona": recite_persona(items),
        "random-sentence": random_sentence(items),
        "copy-last-turn": copy_last_turn(items),
        "constant-keywords": constant_keywords(items),
        "random-reply": random_reply(items, replies),
    }
