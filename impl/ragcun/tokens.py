"""Text as lower-case sub-tokens: what BM25 counts, and what the trained tokenizer is made from.

Identifiers fall apart at underscores and changes of case. It must give the same tokens for a query and a passage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING, UNKNOWN = "[PAD]", "[UNK]"

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W\d_a-zA-Z]+")


def subtokens(text: str) -> list[str]:
    """`parseHTTPResponse_v2` -> parse, http, response, v, 2; punctuation is dropped."""
    return [part.lower() for part in _PARTS.findall(text)]


def learn(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-pair tokenizer over sub-tokens, with at most `vocabulary` entries; entry 0 is padding."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[PADDING, UNKNOWN], min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator((" ".join(subtokens(text)) for text in texts), trainer)
    return tokenizer


def read(path: Path) -> Any:
    """The tokenizer in a `tokenizer.json`."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))


def encode(tokenizer: Any, texts: Sequence[str], length: int) -> NDArray[np.int32]:
    """(N, length) ids of the first distinct tokens of each text, 0 where it has no more."""
    ids = np.zeros((len(texts), length), dtype=np.int32)
    words = [" ".join(subtokens(text)) for text in texts]
    for row, found in enumerate(tokenizer.encode_batch_fast(words, add_special_tokens=False)):
        distinct = list(dict.fromkeys(found.ids))[:length]
        ids[row, : len(distinct)] = distinct
    return ids
