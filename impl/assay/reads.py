"""Which files of a project a process has read: what no import tells of, a table beside the code, gold in a plain file.

Python's own audit events say so (PEP 578). What a library opens without Python, and what a process of the subject's own
opens, is not seen.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_NOT_OWN = ("site-packages", ".egg-info", ".dist-info")
_HARNESS = Path(__file__).resolve().parent
_WRITING = os.O_WRONLY | os.O_RDWR
_watched: list[tuple[tuple[str, ...], Reads]] = []
_lock = threading.Lock()


class Reads:
    """Files under some folders that this process has opened to read since this object was made, and did not write."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._read: set[str] = set()
        self._written: set[str] = set()
        places = {
            f"{place}{os.sep}" for folder in folders for place in (os.path.abspath(folder), os.path.realpath(folder))
        }
        with _lock:
            if not _watched:
                sys.addaudithook(_note)
            _watched.append((tuple(places), self))

    @property
    def files(self) -> set[str]:
        """Absolute paths; a compiled module counts as its source."""
        return {_source(name) for name in self._read - self._written}

    def note(self, name: str, writing: bool) -> None:
        """One opened file."""
        (self._written if writing and name not in self._read else self._read).add(name)


def labels(
    files: Iterable[str | Path], root: Path, known: Iterable[Path] = (), apart: Path | None = None
) -> dict[str, Path]:
    """Path below the root -> file, of those that are there and are the project's own.

    Left out are hidden folders, installed libraries, the harness, the folder `apart` (the store, which may lie there),
    and the `known` files, which are digested otherwise.
    """
    root = root.resolve()
    skipped = {path.resolve() for path in known}
    libraries = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    found = {}
    for file in files:
        path = Path(file).resolve()
        if not path.is_relative_to(root) or path in skipped or not path.is_file():
            continue
        if path.is_relative_to(_HARNESS) or (apart is not None and path.is_relative_to(apart.resolve())):
            continue
        inside = path.relative_to(root)
        if any(part.startswith(".") or part.endswith(_NOT_OWN) for part in inside.parts):
            continue
        if not any(path.is_relative_to(library) and library.is_relative_to(root) for library in libraries):
            found[inside.as_posix()] = path
    return dict(sorted(found.items()))


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open":
        return
    path, _, flags = arguments
    if isinstance(path, int) or path is None:
        return
    try:
        name = os.path.abspath(os.fsdecode(path))
        writing = bool((flags or 0) & _WRITING)
    except (TypeError, ValueError, OSError):
        return  # a hook that raises would stop whoever opens
    for places, reads in _watched:
        if name.startswith(places):
            reads.note(name, writing)


def _source(name: str) -> str:
    if not name.endswith(".pyc"):
        return name
    try:
        return importlib.util.source_from_cache(name)
    except ValueError:
        return name
