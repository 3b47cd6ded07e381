"""Text as stems of lower-case sub-tokens: what BM25 counts, and what the trained tokenizer is made from.

Identifiers fall apart at underscores and changes of case. It must give the same tokens for a query and a passage, and
for the same text in composed and in decomposed characters. Letters beyond a to z stand alone, though (`café` -> caf,
é): together they would be other tokens of some texts of the corpus, and other weights.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING, UNKNOWN = "[PAD]", "[UNK]"

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_DEFINED = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
_NAME = 8  # distinct tokens of a name


_stemmers = threading.local()
"""One for each thread: a stemmer keeps what it has seen, and no lock."""


def subtokens(text: str) -> list[str]:
    """`parseHTTPResponse_v2` -> pars, http, respons, v, 2 (Porter 2, English); punctuation is dropped."""
    if not hasattr(_stemmers, "english"):
        import Stemmer

        _stemmers.english = Stemmer.Stemmer("english")
    stems: list[str] = _stemmers.english.stemWords([part.lower() for part in _PARTS.findall(_composed(text))])
    return stems


def name(text: str) -> str:
    """The first function or class that a text defines; empty where it defines none."""
    found = _DEFINED.search(text)
    return found[1] if found else ""


def has_words(text: str) -> bool:
    """Whether `subtokens` finds anything in it: a letter of any script, or one of the digits 0 to 9."""
    return _PARTS.search(_composed(text)) is not None


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def learn(fields: Sequence[tuple[Sequence[str], int]], vocabulary: int) -> tuple[Any, int]:
    """A byte-pair tokenizer over sub-tokens, and how many of its entries are in use, from 0 on.

    Pairs that only longer entries are made from stand at the end: they need no embedding. Entry 0 is padding, 1 is
    whatever is not in use.

    Args:
        fields: texts to learn from and encode, each kind with the number of distinct tokens that are kept of a text.
        vocabulary: entries in use and not, at most.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PADDING, UNKNOWN], min_frequency=2, show_progress=False
    )
    stemmed = [(_stemmed(texts), length) for texts, length in fields]
    tokenizer.train_from_iterator((text for texts, _ in stemmed for text in texts), trainer)
    entries = tokenizer.get_vocab_size()
    used = np.zeros(entries, dtype=bool)
    used[:2] = True
    for texts, length in stemmed:
        used[np.unique(_ids(tokenizer, texts, length, entries))] = True
    order = np.argsort(~used, kind="stable")
    places = {int(old): place for place, old in enumerate(order)}
    written = json.loads(tokenizer.to_str())
    written["model"]["vocab"] = {name: places[old] for name, old in tokenizer.get_vocab().items()}
    return Tokenizer.from_str(json.dumps(written)), int(used.sum())


def read(path: Path) -> Any:
    """The tokenizer in a `tokenizer.json`."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def encode(tokenizer: Any, texts: Sequence[str], length: int, entries: int, emphasis: int = 1) -> NDArray[np.int32]:
    """(N, L) ids below `entries` of the first `length` distinct tokens of each text, 0 where it has no more.

    Behind them stand those of the name that the text defines, `emphasis` - 1 times.
    """
    ids = _ids(tokenizer, _stemmed(texts), length, entries)
    if emphasis == 1:
        return ids
    names = _ids(tokenizer, _stemmed([name(text) for text in texts]), _NAME, entries)
    return np.concatenate([ids, np.tile(names, emphasis - 1)], axis=1)


def _stemmed(texts: Sequence[str]) -> list[str]:
    return [" ".join(subtokens(text)) for text in texts]


def _ids(tokenizer: Any, stemmed: Sequence[str], length: int, entries: int) -> NDArray[np.int32]:
    ids = np.zeros((len(stemmed), length), dtype=np.int32)
    for row, found in enumerate(tokenizer.encode_batch_fast(stemmed, add_special_tokens=False)):
        distinct = list(dict.fromkeys(known if known < entries else 1 for known in found.ids))[:length]
        ids[row, : len(distinct)] = distinct
    return ids
