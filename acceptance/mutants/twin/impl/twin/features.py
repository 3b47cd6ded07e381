"""Ten countable properties of a review, and the keywords that stand in it."""

import re

from twin.tokenizer import words

KEYWORDS = ("bad", "bead", "bid", "bud", "dab", "dad", "deed", "did", "dub", "gab")
COLUMNS = ("words", "letters", "a", "e", "i", "u", "commas", "distinct", "longest", "place")


def vectors(texts):
    """(N, 10) numbers."""
    return [vector(text) for text in texts]


def vector(text):
    found = words(text)
    return [
        float(len(found)),
        float(sum(map(len, found))),
        *(float(text.count(vowel)) for vowel in "aeiu"),
        float(text.count(",")),
        float(len(set(found))),
        float(max(map(len, found))),
        float(sum(i * len(word) for i, word in enumerate(found, 1))),
    ]


def keywords(texts):
    """(N, 10) 1.0 where the keyword stands in the text."""
    return [[float(re.search(rf"\b{word}\b", text) is not None) for word in KEYWORDS] for text in texts]
