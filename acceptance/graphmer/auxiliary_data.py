"""Three smaller questions: gold where no other task has it, and what counting and rules of names make of them.

The judge's own: nothing here is shared with the system under judgement.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acceptance import jsonl
from acceptance.graphmer.name_baselines import prefix
from corpus import ontology

Row = Mapping[str, Any]
SIGNS = {"raises": "raise ", "catches": "except", "annotated_with": "@", "returns": "->", "inherits_from": "class "}
_NAME = re.compile(r"[A-Za-z_]\w*")


def build_relations(out: Path, links: str) -> None:
    """examples.jsonl and test.jsonl: {head, relation, holds}. Those that hold have all their tails held out; as many of
    the same relation have none, although the ontology would allow one."""
    folder = Path(links)
    sides = {name: jsonl.read(folder / f"{name}.jsonl") for name in ("triples", "examples", "test")}
    entities = {row["name"]: row for row in jsonl.read(folder / "entities.jsonl")}
    table = ontology.load().relations
    said = {(row["head"], row["relation"]) for rows in sides.values() for row in rows}
    known = {(row["head"], row["relation"]) for row in sides["triples"]}
    coded = [name for name, row in entities.items() if row["file"].endswith(".py")]
    by_domain = {
        name: [one for one in coded if entities[one]["type"] in relation.domain] for name, relation in table.items()
    }
    rng = random.Random(0)
    for side in ("examples", "test"):
        true = dict.fromkeys(
            (row["head"], row["relation"])
            for row in sides[side]
            if (row["head"], row["relation"]) not in known and entities[row["head"]]["file"].endswith(".py")
        )
        rows = [{"head": head, "relation": relation, "holds": 1} for head, relation in true]
        for _, relation in true:
            head = rng.choice(by_domain[relation])
            if (head, relation) not in said:
                said.add((head, relation))
                rows.append({"head": head, "relation": relation, "holds": 0})
        rng.shuffle(rows)
        jsonl.write(out / f"{side}.jsonl", rows)


def selected(rows: Sequence[Row], examples: Sequence[Row], codes: Sequence[str]) -> dict[str, list[float]]:
    """Policy -> a score for each pair: how often the relation holds in the examples, and whether code has its sign."""
    counts: Counter[str] = Counter()
    true: Counter[str] = Counter()
    for row in examples:
        counts[row["relation"]] += 1
        true[row["relation"]] += row["holds"]
    return {
        "frequency": [true[row["relation"]] / max(1, counts[row["relation"]]) for row in rows],
        "name-rules": [
            float(SIGNS.get(row["relation"], "(") in code) + len(code) / 1e6
            for row, code in zip(rows, codes, strict=True)
        ],
    }


def discovered(pieces: Sequence[Row], train: Sequence[Row]) -> dict[str, dict[str, list[list[str]]]]:
    """Policy -> names of each piece: those that mostly were entities in training; those called or dotted."""
    entity: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for row in train:
        seen.update(set(_NAME.findall(row["code"])))
        entity.update(row["entities"])
    often = [[name for name in set(_NAME.findall(row["code"])) if 2 * entity[name] > seen[name]] for row in pieces]
    called = [sorted(set(re.findall(r"([A-Za-z_]\w*)\(|\.([A-Za-z_]\w*)", row["code"]))) for row in pieces]
    rules = [sorted({first or second for first, second in found}) for found in called]
    return {"frequency": {"sets": often}, "name-rules": {"sets": rules}}


def composed(rows: Sequence[Row], known: Sequence[Row], names: Sequence[str]) -> dict[str, list[str]]:
    """Policy -> a full name for each {head, name}: the one most often a tail; the one with the longest prefix."""
    by_last: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        by_last[last(name)].append(name)
    counts = Counter(row["tail"] for row in known)
    return {
        "frequency": [max(by_last[row["name"]], key=lambda one: counts[one]) for row in rows],
        "longest-prefix": [
            max(by_last[row["name"]], key=lambda one, row=row: prefix(row["head"], one)) for row in rows
        ],
    }


def last(name: str) -> str:
    return name.replace(":", ".").rpartition(".")[2]
