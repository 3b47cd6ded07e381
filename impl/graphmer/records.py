"""Records of the graph: one thing of the code, its own text without imports, and the facts of which it is the head.

Every triple becomes a fact of exactly one record. It must never read an import statement: it would name the answers.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus.parsing import UNREADABLE, parse
from graphmer.errors import GraphmerError

_WORD = re.compile(r"\w+")
_WHOLE = ("Function", "Method", "Test", "Variable", "Type")
"""Types of entities whose text is kept whole; of others the bodies of functions inside are left out."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """What the head has to do with the tail; `place` is where the text first says the tail's short name, else -1."""

    relation: str
    tail: str
    place: int = -1


@dataclass(frozen=True, slots=True)
class Record:
    """A head with its text and its facts."""

    record_id: str
    group: str
    head: str
    text: str
    facts: tuple[Fact, ...]


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON Lines file. GraphmerError names file and line."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(file)  # only a line feed ends a line
    except (OSError, UnicodeDecodeError) as error:
        raise GraphmerError(f"{path}: cannot be read: {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise GraphmerError(f"{path}:{number}: not a JSON object ({error})") from None
        if not isinstance(row, dict):
            raise GraphmerError(f"{path}:{number}: not a JSON object")
        rows.append(row)
    return rows


def build(triples: Iterable[Row], entities: Iterable[Row], files: Iterable[Row]) -> list[Record]:
    """Records in the order of the heads' first triples; a triple that is there twice is one fact.

    Args:
        triples: head, relation, tail, distribution.
        entities: name, type, file, line, end_line of what has a definition.
        files: file, text (without imports).
    """
    facts: dict[str, dict[tuple[str, str], None]] = {}
    groups: dict[str, str] = {}
    for row in triples:
        facts.setdefault(row["head"], {})[row["relation"], row["tail"]] = None
        groups.setdefault(row["head"], row["distribution"])
    texts = _texts(facts, entities, files)
    found = []
    for head, known in facts.items():
        text = texts.get(head, "")
        found.append(Record(head, groups[head], head, text, places_of(text, list(known))))
    return found


def places_of(text: str, facts: Sequence[tuple[str, str]]) -> tuple[Fact, ...]:
    """Facts (relation, tail) with the places where the text first says their tails."""
    places = _places(text)
    return tuple(Fact(relation, tail, places.get(short(tail), -1)) for relation, tail in facts)


def short(name: str) -> str:
    """The last component of a qualified name, without parameters: what code writes."""
    bare = name.partition("(")[0]
    return re.split(r"[.:/]", bare)[-1]


def _places(text: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for match in _WORD.finditer(text):
        places.setdefault(match.group(), match.start())
    return places


def _texts(heads: Mapping[str, Any], entities: Iterable[Row], files: Iterable[Row]) -> dict[str, str]:
    """The text of each head that has a definition in a file that was read."""
    wanted: dict[str, list[Row]] = {}
    for one in entities:
        if one["name"] in heads and one["file"] and one["end_line"]:
            wanted.setdefault(one["file"], []).append(one)
    texts: dict[str, str] = {}
    for file in files:
        if not (inside := wanted.get(file["file"])):
            continue
        lines = file["text"].split("\n")
        bodies = _bodies(file["text"]) if file["file"].endswith(".py") else []
        for one in inside:
            texts[one["name"]] = _text(lines, int(one["line"]), int(one["end_line"]), one["type"], bodies)
    return texts


def _text(lines: Sequence[str], first: int, last: int, kind: str, bodies: Sequence[tuple[int, int]]) -> str:
    if kind == "Module":
        first, last = 1, len(lines)
    left_out: set[int] = set()
    if kind not in _WHOLE:
        for low, high in bodies:
            if first <= low and high <= last:
                left_out.update(range(low, high + 1))
    kept = [line for number, line in enumerate(lines[first - 1 : last], start=first) if number not in left_out]
    margin = min((len(line) - len(line.lstrip()) for line in kept if line.strip()), default=0)
    return "\n".join(line[margin:].rstrip() for line in kept if line.strip())


def _bodies(text: str) -> list[tuple[int, int]]:
    """First and last lines of the bodies of all functions."""
    try:
        tree = parse(text)
    except UNREADABLE:
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            low, high = node.body[0].lineno, node.end_lineno or node.body[0].lineno
            if low > node.lineno:
                found.append((low, high))
    return found
