"""A folder of documents as passages: text, Markdown and source files, cut at headings and paragraphs.

It must never skip a file silently: what is left out is counted with its reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ragcun.errors import RagcunError

SUFFIXES = frozenset({".md", ".markdown", ".rst", ".txt", ".text", ".py"})
LARGEST = 5_000_000  # bytes; larger files are data, not documents
WORDS = 200
"""Words from which on a passage ends with its paragraph."""

_HEADING = re.compile(r"#{1,6} +\S")


@dataclass(slots=True)
class Found:
    """Passages of a folder: ids are path#number, relative to the folder; `left_out` counts files by reason."""

    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def read(folder: Path) -> Found:
    """All passages under a folder, in the order of paths; hidden files and folders are not looked at.

    RagcunError when the folder is not there or holds no document.
    """
    if not folder.is_dir():
        raise RagcunError(f"{folder}: is no folder; give one with text or Markdown files")
    found = Found()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts) or not path.is_file():
            continue
        if path.suffix.lower() not in SUFFIXES:
            found.left_out["kind"] += 1
            continue
        text = _text(path, found.left_out)
        for number, passage in enumerate(passages(text), start=1):
            found.ids.append(f"{name.as_posix()}#{number}")
            found.texts.append(passage)
    if not found.ids:
        kinds = ", ".join(sorted(SUFFIXES))
        raise RagcunError(f"{folder}: holds no document with text in it (kinds: {kinds})")
    return found


def _text(path: Path, left_out: Counter[str]) -> str:
    try:
        if path.stat().st_size > LARGEST:
            left_out["too large"] += 1
            return ""
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        left_out["not UTF-8"] += 1
    except OSError:
        left_out["unreadable"] += 1
    return ""


def passages(text: str) -> Iterator[str]:
    """Paragraphs joined up to about `WORDS` words; a heading begins a new passage and stays with what follows it."""
    held: list[str] = []
    words = 0
    for paragraph in re.split(r"\n\s*\n", text):
        block = paragraph.strip()
        if not block:
            continue
        if held and (words >= WORDS or _HEADING.match(block)):
            yield "\n\n".join(held)
            held, words = [], 0
        held.append(block)
        words += len(block.split())
    if held:
        yield "\n\n".join(held)
