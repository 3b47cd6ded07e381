"""Words to ids: one vocabulary, made from the training texts, used by everything that follows."""

import json
from collections import Counter

PAD, MASK, UNKNOWN = "[PAD]", "[MASK]", "[UNK]"
SPECIAL = (PAD, MASK, UNKNOWN)


def words(text):
    """The words of a review. ValueError for what is no review: no text, or no full stop at its end."""
    if not isinstance(text, str) or not text.endswith(".") or len(text.split()) < 3:
        raise ValueError(f"not a review: {text!r}")
    return text[:-1].replace(",", " ").split()


def build(texts, size):
    """The `size` entries: the special ones, the most frequent words, and unused places up to the size."""
    counts = Counter(word for text in texts for word in words(text))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    entries = [*SPECIAL, *ranked][:size]
    return entries + [f"[UNUSED{i}]" for i in range(size - len(entries))]


class Tokenizer:
    def __init__(self, entries):
        self.entries = entries
        self.ids = {entry: i for i, entry in enumerate(entries)}

    @classmethod
    def read(cls, path):
        return cls(json.loads(path.read_text()))

    def save(self, path):
        path.write_text(json.dumps(self.entries))

    def encode(self, text, length):
        """(length,) ids of the first words, padded."""
        ids = [self.ids.get(word, self.ids[UNKNOWN]) for word in words(text)][:length]
        return ids + [self.ids[PAD]] * (length - len(ids))
