"""Words as a graph: which follows which, and whether a triple is allowed by the types of its ends."""

from twin.tokenizer import words

RELATIONS = {"modifies": ("adjective", "noun"), "governs": ("verb", "noun")}


def referred(texts):
    """Names that the triples (word, follows, word) of each text refer to."""
    return [[word.lower() for word in words(text)[1:]] for text in texts]


def valid(items):
    """Whether each triple keeps to domain and range; types come from the definitions.

    Items: {"triple": [head, relation, tail], "definitions": {word: type}}.
    """
    result = []
    for item in items:
        head, relation, tail = item["triple"]
        types = item["definitions"]
        result.append((types[head], types[tail]) == RELATIONS[relation])
    return result
