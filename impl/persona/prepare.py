"""The embedded world as JSON Lines, which the chain is trained on, and Synthetic-Persona-Chat by persona cluster.

The chain reads none of the latter: it is there to ask a trained model about (`python -m persona evaluate`). Contracts
say what is in the files: `personas`, `twins` and `conversations` under spec/contracts. It must never write the test
side of the world: examinations are made where the true answers are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from persona import world
from persona.conversations import Row, load, split
from persona.errors import PersonaError

ROWS: Final[Mapping[str, int]] = {"chatter": 12000, "train": 8000, "dev": 400, "twins": 2500, "twins_dev": 200}
"""File -> rows where no other number is asked for."""


def write_world(out: Path, seed: int, rows: Mapping[str, int] = ROWS) -> dict[str, Path]:
    """chatter, train, dev, twins and twins_dev under `out`; their paths by name. PersonaError for another name."""
    makers = {
        "chatter": lambda count: world.chatter(count, seed),
        "train": lambda count: world.generate("train", count, seed),
        "dev": lambda count: world.generate("dev", count, seed),
        "twins": lambda count: world.twins("train", count, seed),
        "twins_dev": lambda count: world.twins("dev", count, seed),
    }
    for name in rows:
        if name not in makers:
            raise PersonaError(f'there is no file "{name}" to prepare; there are {", ".join(makers)}')
    return {name: _write(out / f"{name}.jsonl", map(asdict, makers[name](count))) for name, count in rows.items()}


def write_conversations(out: Path, data: Path | None) -> dict[str, Path]:
    """conversations_train, conversations_dev and conversations_test under `out`, from `data` or the hub.

    PersonaError where the set is nowhere, says how to get it; and where a side is left without rows.
    """
    sides: dict[str, list[Row]] = split(load(data))
    empty = [side for side, rows in sides.items() if not rows]
    if empty:
        raise PersonaError(f"too few clusters of personas: no row is left for {', '.join(empty)}; give more dialogues")
    return {
        f"conversations_{side}": _write(out / f"conversations_{side}.jsonl", map(asdict, rows))
        for side, rows in sides.items()
    }


def read(path: Path, *keys: str) -> list[dict[str, Any]]:
    """The rows of a file. PersonaError names file and line of what is no object, lacks a key or has no text in it."""
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(file)  # only a line feed ends a line: a text may hold others (U+2028)
    except FileNotFoundError:
        raise PersonaError(f"{path}: not there; write it with `python -m persona prepare`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PersonaError(f"{path}: cannot be read ({error}); write it again") from None
    rows = [_row(f"{path}:{number}", line, keys) for number, line in enumerate(lines, start=1)]
    if not rows:
        raise PersonaError(f"{path}: holds no row; write it again")
    return rows


def _row(place: str, line: str, keys: Sequence[str]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise PersonaError(f"{place}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise PersonaError(f"{place}: an object is needed, got {type(row).__name__}")
    for key in keys:
        if key not in row:
            raise PersonaError(f'{place}: key "{key}" is missing; it has {", ".join(row) or "none"}')
        told, holds = _KINDS.get(key, ("", None))
        if holds and not holds(row[key]):
            raise PersonaError(f'{place}: "{key}" is {told}, got {row[key]!r:.60}')
    return row


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_KINDS: Final[Mapping[str, tuple[str, Callable[[Any], bool]]]] = {
    "persona": ("a list of texts", _texts),
    "personas": (
        "two lists of texts",
        lambda value: isinstance(value, list) and len(value) == 2 and all(map(_texts, value)),
    ),
    "dialogue": ("a list of texts", _texts),
    "response": ("a text", lambda value: isinstance(value, str)),
    "responses": ("two texts", lambda value: _texts(value) and len(value) == 2),
}


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """One object a line; a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.partial")
    with beside.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    os.replace(beside, path)
    return path
