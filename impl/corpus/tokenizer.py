"""A byte-level BPE for code: identifiers fall into their words, and every text comes back as it was.

One artifact, `tokenizer.json`, used by its own ids: row i of an embedding is entry i. It must never see text of
another side than training, and a marker written in a text must never become the marker.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from corpus import records
from corpus.errors import CorpusError
from corpus.functions import Function

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY: Final = 8_000
MARKERS: Final = ("<pad>", "<mask>", "<cls>", "<sep>")
"""Ids 0, 1, 2, 3: written by a model's input pipeline, never produced by `encode`."""

PAD, MASK, CLS, SEP = range(len(MARKERS))

# One alternative per kind of piece; whatever none of them takes stays a piece of its own, so nothing is lost.
# A space or an underscore joins the word after it: `read_file` is `read` + `_file`, `readHTTPFile` is `read` + `HTTP`
# + `File`. A line break takes the indentation that follows.
PIECES: Final = "|".join(
    (
        r"\r?\n[ \t]*",
        r"[ _]?\p{Lu}+(?=\p{Lu}\p{Ll})",
        r"[ _]?\p{Lu}?\p{Ll}+",
        r"[ _]?\p{Lu}+",
        r"[ _]?[\p{Lt}\p{Lm}\p{Lo}\p{M}]+",
        r"[ _]?\p{N}{1,3}",
        r" ?[^\s\p{L}\p{M}\p{N}_]+",
        r"_+",
        r"\s+",
    )
)


@dataclass(frozen=True)
class CodeTokenizer:
    """Text to ids and back; `backend` is the library's object, for its offsets and batches."""

    backend: Tokenizer = field(repr=False)

    def __len__(self) -> int:
        """Number of entries, markers and bytes among them: the rows of every embedding and output matrix."""
        return self.backend.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without markers. Raises CorpusError for a lone surrogate, which no bytes can hold."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts, in order, by several threads where the machine has them."""
        try:
            return [each.ids for each in self.backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        except (TypeError, UnicodeEncodeError):
            raise CorpusError(f"text {_surrogate(texts)} cannot be written as UTF-8; replace lone surrogates") from None

    def spans(self, text: str) -> list[tuple[int, int, int]]:
        """(id, start, end) of each token, in characters; a character of several bytes is in all of its tokens."""
        found = self.backend.encode(text, add_special_tokens=False)
        return [(number, start, end) for number, (start, end) in zip(found.ids, found.offsets, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of these ids, markers included; `decode(encode(text)) == text`."""
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def seen(self, texts: Iterable[str]) -> frozenset[int]:
        """Ids that occur in the texts."""
        found: set[int] = set()
        for batch in _batches(texts):
            for ids in self.encode_batch(batch):
                found.update(ids)
        return frozenset(found)

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact."""
        return hashlib.sha256(self._text().encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Write the artifact whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(self._text(), encoding="utf-8", newline="\n")
        os.replace(draft, path)

    def _text(self) -> str:
        return self.backend.to_str(pretty=True) + "\n"


def train(texts: Iterable[str], vocabulary: int = VOCABULARY) -> CodeTokenizer:
    """Learn exactly `vocabulary` entries; the same texts in any order of batches give the same bytes.

    Raises CorpusError where the texts are too few for so many entries.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    least = len(alphabet) + len(MARKERS)
    if vocabulary < least:
        raise CorpusError(f"a vocabulary of {vocabulary:,} cannot hold 256 bytes and {len(MARKERS)} markers: {least}")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(alphabet),
        special_tokens=[AddedToken(marker, special=True, normalized=False) for marker in MARKERS],
        show_progress=False,
    )
    backend.train_from_iterator(_batches(texts), trainer=trainer)
    found = backend.get_vocab_size()
    if found != vocabulary:
        raise CorpusError(f"the texts give {found:,} entries, not {vocabulary:,}; name more distributions")
    return _ready(backend)


def read(path: Path) -> CodeTokenizer:
    """Read what `write` wrote. Raises CorpusError where it is missing, damaged or another kind of tokenizer."""
    from tokenizers import Tokenizer

    again = f"train one with: python -m corpus tokenizer --distributions A,B,C -o {path}"
    try:
        backend = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(f"tokenizer {path}: {error.strerror}; {again}") from None
    except Exception as error:  # the library raises bare Exception for whatever it cannot read
        raise CorpusError(f"tokenizer {path}: not a tokenizer ({error}); {again}") from None
    if [backend.token_to_id(marker) for marker in MARKERS] != list(range(len(MARKERS))):
        raise CorpusError(f"tokenizer {path}: ids 0 to {len(MARKERS) - 1} are not {', '.join(MARKERS)}; {again}")
    return _ready(backend)


def entries(items: Sequence[str], train: str, vocabulary: int) -> list[list[str]]:
    """For each item, whatever it is, the entries of the tokenizer of a records file, by id."""
    trained = _of_records(train, vocabulary)
    return [[trained.backend.id_to_token(number) or "" for number in range(len(trained))] for _ in items]


def encoded(items: Sequence[str], train: str, vocabulary: int) -> list[list[int]]:
    """The ids of each text, by the tokenizer of a records file."""
    return _of_records(train, vocabulary).encode_batch(items)


def decoded(items: Sequence[Sequence[int]], train: str, vocabulary: int) -> list[str]:
    """The text of each row of ids, by the same tokenizer."""
    trained = _of_records(train, vocabulary)
    return [trained.decode(ids) for ids in items]


@functools.lru_cache(maxsize=1)
def _of_records(path: str, vocabulary: int) -> CodeTokenizer:
    return train(texts_of(records.read(Path(path))), vocabulary)


def texts_of(functions: Iterable[Function]) -> Iterator[str]:
    """What a tokenizer learns from a function: its dotted name, its docstring, its source."""
    for each in functions:
        yield f"{each.module}.{each.qualname}"
        if each.docstring:
            yield each.docstring
        yield each.source


def _ready(backend: Tokenizer) -> CodeTokenizer:
    # The library would turn the five characters `<pad>` of a text into the marker; the artifact cannot say no to it.
    backend.encode_special_tokens = True
    return CodeTokenizer(backend)


def _batches(texts: Iterable[str], size: int = 1_000) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _surrogate(texts: Sequence[str]) -> str:
    for text in texts:
        for place, character in enumerate(text):
            if "\ud800" <= character <= "\udfff":
                return f"with U+{ord(character):04X} at {place}"
    return "of another type than str"
