"""Disambiguation: a short name that a function uses, and every entity of that name that its file could see.

Imports are hidden. Gold is what resolution found; a name that means two things in one function is not asked.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from acceptance import jsonl
from corpus import bridge, graph, triples
from corpus.hiding import without_imports
from corpus.parsing import UNREADABLE, content_of

MENTIONED = (
    "calls", "instantiates", "uses", "raises", "catches", "inherits_from", "implements", "annotated_with", "returns",
    "reads_from", "writes_to",
)  # fmt: skip
HEADS = ("Function", "Method", "Class", "ExceptionType", "Interface", "Module")
MOST_CANDIDATES = 60
AROUND = 6
"""Lines before and after a mention that are told with it."""


_NAME = re.compile(r"[A-Za-z_]\w*")


def short(name: str) -> str:
    return name.replace(":", ".").rpartition(".")[2]


def build_names(
    out: Path, distributions: list[str], beside: list[str], tests: list[str], train: list[str], dev: list[str],
    test: list[str], items: Mapping[str, int], pieces: Mapping[str, int], seed: int,
) -> None:  # fmt: skip
    """SIDE.jsonl: mentions with candidates and gold. SIDE-pieces.jsonl: functions, and which names in them are
    entities. files.jsonl, entities.jsonl: what they are read from.

    Distributions `beside` are for training alone: to dev and test nothing is known of them, nor of what only they name.
    """
    found = bridge.chosen([*distributions, *beside], tests)
    built = graph.cached(found, processes=2)
    roots = {each.name: each.root for each in found}
    entities = list(triples.read_entities(built.entities))
    test_files = {f"{each.name}/{each.relative(path)}" for each in found for path in each.tests}
    by_name: dict[str, list[triples.Entity]] = defaultdict(list)
    for one in entities:
        if one.type not in ("File", "Repository", "Test", "BuildTarget"):
            by_name[short(one.name)].append(one)
    mentions: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    demanded: list[triples.Triple] = []
    named: set[str] = set()
    taught: set[str] = set()
    for edge in triples.read_triples(built.triples):
        if edge.relation == "depends_on":
            demanded.append(edge)
        at = edge.provenance
        file = f"{at.distribution}/{at.file}"
        if at.distribution not in beside:
            named |= {edge.head, edge.tail}
        if at.distribution in train:
            taught |= {edge.head, edge.tail}
        if edge.relation in MENTIONED and edge.head_type in HEADS and file not in test_files and file.endswith(".py"):
            mentions[file, edge.head, short(edge.tail)].setdefault(edge.tail, at.span[:2])
    shared = {
        one.name
        for one in entities
        if (one.name in named if one.definition is None else one.definition.distribution not in beside)
    }
    needs = _needs(demanded)
    discovered = _discovered(mentions, entities)
    sides = {name: side for side, names in (("train", train), ("dev", dev), ("test", test)) for name in names}
    rows: dict[str, list[dict[str, Any]]] = {side: [] for side in ("train", "dev", "test")}
    for (file, head, name), tails in mentions.items():
        side = sides.get(file.partition("/")[0])
        if side is None or len(tails) != 1 or name.startswith("__"):
            continue
        ((gold, (line, _)),) = tails.items()
        seen = _visible(by_name[name], file.partition("/")[0], needs)
        if side != "train":
            seen &= shared
        if not 2 <= len(seen) <= MOST_CANDIDATES or gold not in seen:
            continue
        rows[side].append({
            "record_id": f"{file}\t{head}\t{name}", "group": file.partition("/")[0], "file": file, "head": head,
            "name": name, "line": line, "candidates": sorted(seen), "gold": gold,
        })  # fmt: skip
    texts = Texts(roots)
    for side, limit in items.items():
        random.Random(seed).shuffle(rows[side])
        kept = list(islice((row for row in rows[side] if _written(row, texts)), limit))
        for row in kept:
            row["kind"] = _kind(row, texts)
            row["code"] = "\n".join(_around(row, texts, AROUND, AROUND))
        jsonl.write(out / f"{side}.jsonl", kept)
        rows[side] = kept
    for side, limit in pieces.items():
        own = [row for row in discovered if sides.get(row["group"]) == side]
        random.Random(seed).shuffle(own)
        jsonl.write(out / f"{side}-pieces.jsonl", list(_pieces(own[: 2 * limit], texts))[:limit])
    for name, chosen in (("files", rows), ("train-files", {"train": rows["train"]})):
        used = sorted({row["file"] for side in chosen.values() for row in side})
        jsonl.write(out / f"{name}.jsonl", ({"file": file, "text": texts.of(file)} for file in used))
    known = [_entity(one) for one in entities if one.type not in ("File", "Repository")]
    jsonl.write(out / "entities.jsonl", (row for row in known if row["name"] in shared))
    told = (row for row in known if row["distribution"] in train or (not row["distribution"] and row["name"] in taught))
    jsonl.write(out / "train-entities.jsonl", told)


def _discovered(
    mentions: Mapping[tuple[str, str, str], Mapping[str, Any]], entities: Iterable[triples.Entity]
) -> list[dict[str, Any]]:
    """Functions with the short names of the entities that they use."""
    used: dict[str, set[str]] = defaultdict(set)
    for _, head, name in mentions:
        used[head].add(name)
    return [
        {
            "record_id": one.name, "group": one.definition.distribution, "file": one.definition.file,
            "line": one.definition.span[0], "end_line": one.definition.span[2], "entities": sorted(used[one.name]),
        }
        for one in entities
        if one.definition is not None and one.type in ("Function", "Method") and one.name in used
    ]  # fmt: skip


def _pieces(rows: Iterable[Mapping[str, Any]], texts: Texts) -> Iterator[dict[str, Any]]:
    for row in rows:
        lines = texts.lines(f"{row['group']}/{row['file']}")[row["line"] - 1 : row["end_line"]]
        code = "\n".join(line for line in lines if line.strip() != "pass")
        names = set(_NAME.findall(code))
        entities = [name for name in row["entities"] if name in names]
        if entities and len(names) > len(entities):
            yield {"record_id": row["record_id"], "group": row["group"], "code": code, "entities": entities}


def _entity(one: triples.Entity) -> dict[str, str]:
    at = one.definition
    return {"name": one.name, "type": one.type, "distribution": at.distribution if at else ""}


def _needs(demanded: Iterable[triples.Triple]) -> dict[str, set[str]]:
    """Distribution -> those that its metadata demand, with what these demand."""
    direct: dict[str, set[str]] = defaultdict(set)
    for edge in demanded:
        direct[edge.head.removeprefix("repo:")].add(edge.tail.removeprefix("repo:"))
    return {name: needed | {far for near in needed for far in direct.get(near, ())} for name, needed in direct.items()}


def _visible(entities: list[triples.Entity], distribution: str, needs: Mapping[str, set[str]]) -> set[str]:
    """Of one name, what a file can reach: its own distribution, the standard library, what it depends on, builtins."""
    reach = {distribution, "python", *needs.get(distribution, ())}
    return {one.name for one in entities if one.definition is None or one.definition.distribution in reach}


class Texts:
    """Files without their imports, each read once; "" for what cannot be read."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = roots
        self._lines: dict[str, list[str]] = {}

    def lines(self, file: str) -> list[str]:
        if file not in self._lines:
            distribution, _, relative = file.partition("/")
            try:
                text = without_imports(content_of(self._roots[distribution] / relative).decode("utf-8"))
            except UNREADABLE:
                text = ""
            self._lines[file] = text.split("\n")
        return self._lines[file]

    def of(self, file: str) -> str:
        return "\n".join(self.lines(file))


def _written(row: Mapping[str, Any], texts: Texts) -> bool:
    """Whether the name still stands near the place of its use, imports hidden: an alias is no mention of it."""
    return any(row["name"] in line for line in _around(row, texts))


def _around(row: Mapping[str, Any], texts: Texts, before: int = 0, after: int = 2) -> list[str]:
    return texts.lines(row["file"])[max(0, row["line"] - 1 - before) : row["line"] + after]


def _kind(row: Mapping[str, Any], texts: Texts) -> str:
    """same-module, attribute or imported: how the mention is written and where what it means lies."""
    module = row["file"].partition("/")[2].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if row["gold"].startswith(module + ".") or row["gold"].startswith(module + ":"):
        return "same-module"
    written = "\n".join(_around(row, texts))
    place = written.find(row["name"])
    return "attribute" if place > 0 and written[place - 1] == "." else "imported"


def build_names_read(out: Path, names: str) -> None:
    """files.jsonl and entities.jsonl alone: what the subject reads, without a word about the answers."""
    for name in ("files", "entities"):
        (out / f"{name}.jsonl").write_bytes((Path(names) / f"{name}.jsonl").read_bytes())
