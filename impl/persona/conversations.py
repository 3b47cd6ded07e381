"""Synthetic-Persona-Chat (Jandaghi et al. 2023): what people-like speakers say, each with their own persona.

From the folder that ASSAY_DATA names, else from the hub. A row is one turn of one speaker with that speaker's persona
and what was said before. Sides go by clusters of personas that share a sentence; a dialogue of which a speaker is on
the test side is nowhere in training. It must never pair a turn with the partner's persona, nor keep a placeholder.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corpus import hub
from corpus.errors import CorpusError
from persona.errors import PersonaError

SOURCE: Final = hub.Source(
    name="synthetic-persona-chat",
    title="google/Synthetic-Persona-Chat, CC BY 4.0",
    local="synthetic-persona-chat/*.csv*",
    repository="google/Synthetic-Persona-Chat",
    files="data/Synthetic-Persona-Chat_*.csv",
)
COLUMNS: Final = ("user 1 personas", "user 2 personas", "Best Generated Conversation")
SHARES: Final[Mapping[str, float]] = {"train": 0.7, "dev": 0.1, "test": 0.2}
CONTEXT: Final = 5
"""Turns before the response that a row keeps, at most; the last is the partner's."""

_SPEAKER: Final = re.compile(r"[*\s]*User\s*([12])\s*:\s*(.*)")
_STAGE: Final = re.compile(r"[\s*]*(?:\[[^\]]*\])?[\s*.]*")  # "[A few minutes later]", "* * *"
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_PLACEHOLDER: Final = re.compile(r"[\[\]{}]|\([^()]*\)|<[^>\s][^>]*>|_{2,}|\bX{2,}\b")


@dataclass(frozen=True, slots=True)
class Conversation:
    """Two personas and what their owners say: `turns` are (0 or 1, text), alternating."""

    record_id: str
    personas: tuple[tuple[str, ...], tuple[str, ...]]
    turns: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A turn and what it answers; `group` is the cluster of the speaker's persona."""

    record_id: str
    group: str
    split: str
    persona: tuple[str, ...]
    dialogue: tuple[str, ...]
    response: str


def load(data: Path | None) -> list[Conversation]:
    """All conversations of the folder `data`, else of the hub. PersonaError says what is missing, and the way out."""
    try:
        return [one for path in hub.files(SOURCE, data) for one in read(path)]
    except CorpusError as error:
        raise PersonaError(str(error)) from None


def read(path: Path) -> Iterator[Conversation]:
    """The conversations of one .csv or .csv.gz file. PersonaError names the file, the line and the column."""
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8", newline="") as file
        ):
            table = csv.DictReader(file)
            for number, row in enumerate(table):
                for column in COLUMNS:
                    if not (row.get(column) or "").strip():
                        raise PersonaError(f'{path}:{table.line_num}: column "{column}" is missing or empty')
                found = conversation(f"{path.name.partition('.')[0]}-{number:05d}", *(row[name] for name in COLUMNS))
                if len(found.turns) > 1:
                    yield found
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise PersonaError(f"{path}: cannot be read ({error}); fetch it again") from None


def conversation(record_id: str, first: str, second: str, text: str) -> Conversation:
    """One row of the table; turns of one speaker in a row are joined, stage directions and placeholders left out."""
    turns: list[tuple[int, str]] = []
    speaker = None
    for line in text.splitlines():
        found = _SPEAKER.fullmatch(line)
        if found is not None:
            speaker = int(found[1]) - 1
        elif speaker is None or _STAGE.fullmatch(line):
            continue
        said = without_placeholders(found[2] if found is not None else line)
        if not said:
            continue
        assert speaker is not None
        if turns and turns[-1][0] == speaker:
            said = f"{turns.pop()[1]} {said}"
        turns.append((speaker, said))
    personas = [tuple(" ".join(line.split()) for line in side.splitlines() if line.strip()) for side in (first, second)]
    return Conversation(record_id, (personas[0], personas[1]), tuple(turns))


def without_placeholders(text: str) -> str:
    """The sentences of a turn that hold none: "Hi! I'm [name]." is "Hi!"."""
    sentences = _SENTENCE.split(" ".join(text.split()))
    return " ".join(sentence for sentence in sentences if not _PLACEHOLDER.search(sentence)).strip("* ")


def clusters(personas: Iterable[Sequence[str]]) -> dict[str, str]:
    """Sentence -> the sentence that stands for all that are tied to it by personas which share one (union-find)."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for persona in personas:
        keys = [_key(sentence) for sentence in persona]
        for key in keys:
            parent[root(key)] = root(keys[0])
    # the smallest of each cluster stands for it, whatever the order in which personas came
    least: dict[str, str] = {}
    for name in parent:
        least[root(name)] = min(least.get(root(name), name), name)
    return {name: least[root(name)] for name in parent}


def split(found: Sequence[Conversation], shares: Mapping[str, float] = SHARES) -> dict[str, list[Row]]:
    """Side -> rows. Clusters go to sides, largest first, so that `shares` come out.

    A row is on the side of its speaker. Of a dialogue whose speakers are on different sides only the rows of the later
    side (train < dev < test) are kept: nothing that is said to or by a test persona is trained on.
    """
    of = clusters(persona for one in found for persona in one.personas)
    count = Counter(of[_key(persona[0])] for one in found for persona in one.personas)
    sides: dict[str, str] = {}
    filled = dict.fromkeys(shares, 0)
    for name in sorted(count, key=lambda name: (-count[name], name)):
        sides[name] = max(shares, key=lambda side: shares[side] - filled[side] / count.total())
        filled[sides[name]] += count[name]
    order = list(shares)
    rows: dict[str, list[Row]] = {side: [] for side in shares}
    for one in found:
        groups = [of[_key(persona[0])] for persona in one.personas]
        latest = max((sides[group] for group in groups), key=order.index)
        for place in range(1, len(one.turns)):
            speaker, said = one.turns[place]
            if sides[groups[speaker]] == latest:
                before = tuple(text for _, text in one.turns[max(0, place - CONTEXT) : place])
                identity = f"{one.record_id}-{place:02d}"
                rows[latest].append(Row(identity, groups[speaker], latest, one.personas[speaker], before, said))
    return rows


def _key(sentence: str) -> str:
    return " ".join(re.findall(r"\w+", sentence.lower())) or sentence
