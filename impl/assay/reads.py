"""Which files of a project a subject's process has read: what no import tells of, such as a table beside the code.

Python's own audit events say so (PEP 578), and what has been imported in the end. What a library opens without Python,
and what a process of the subject's own opens, is not seen; the files that its command line names are. A file that the
process writes, too, is an output of it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from assay.digests import Code

PREFIX = "file:"
"""Before the path below the project, where evidence names a file that was read."""

Stamp = tuple[int, int]
"""Size and time of change (ns) of a file when it was first opened."""

_HARNESS = Path(__file__).resolve().parent
_NOT_OWN = ("site-packages", ".egg-info", ".dist-info", "__pycache__")
_OF_AN_ENVIRONMENT = frozenset({"lib", "lib64", "bin", "include", "share", "Lib", "Scripts", "Include"})


class Reads:
    """Files under some folders that this process has opened to read since this object was made.

    There is one in a process: an audit hook cannot be taken back.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        places = {f"{place}{os.sep}" for one in folders for place in (os.path.abspath(one), os.path.realpath(one))}
        self._places = tuple(places)
        self._read: dict[str, Stamp] = {}
        self._imported: set[str] = set()
        self._written: set[str] = set()
        self._maybe: set[str] = set()  # read or written, which shows by whether they change
        if places:
            sys.addaudithook(self._note)

    def take(self) -> tuple[dict[str, Stamp], dict[str, Stamp]]:
        """What was opened to be read since the last asking, and the modules that were imported since then."""
        if not self._places:
            return {}, {}
        read, self._read = self._read, {}
        for name in self._maybe & read.keys():
            if changed(Path(name), read[name]):
                self._written.add(name)
        files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
        for name in {os.path.abspath(one) for one in files if isinstance(one, str) and one.endswith(".py")}:
            if name not in self._imported:
                self._imported.add(name)
                self._add(name)
        imported, self._read = self._read, {}
        return {name: stamp for name, stamp in read.items() if name not in self._written}, imported

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        try:
            if event == "open":
                path, _, flags = arguments
                if isinstance(path, str | bytes | os.PathLike):
                    self._opened(os.path.abspath(os.fsdecode(path)), flags or 0)
            elif event == "sqlite3.connect":
                (path,) = arguments
                text = os.fsdecode(path)
                self._named(unquote(text.removeprefix("file:").partition("?")[0]) if text.startswith("file:") else text)
            elif event == "subprocess.Popen":
                _, command, folder, _ = arguments
                for part in shlex.split(os.fsdecode(command)) if isinstance(command, str | bytes) else command:
                    text = os.fsdecode(part)
                    for named in {text, text.rpartition("=")[2]}:
                        self._named(os.path.join(os.fsdecode(folder or ""), named))
        except (TypeError, ValueError, OSError):
            return  # a hook that raises would stop whoever opens

    def _opened(self, name: str, flags: int) -> None:
        if name.startswith(self._places):
            if flags & os.O_WRONLY or (flags & os.O_RDWR and flags & os.O_TRUNC):
                self._written.add(name)
            else:
                self._add(name)

    def _named(self, path: str) -> None:
        """A database, or a file that the command line of another process names: what becomes of it, nobody tells."""
        name = os.path.abspath(path)
        if name.startswith(self._places) and os.path.isfile(name):
            self._maybe.add(name)
            self._add(name)

    def _add(self, name: str) -> None:
        if name not in self._read and name.startswith(self._places):
            try:
                stat = os.stat(name)
            except OSError:
                return
            self._read[name] = (stat.st_size, stat.st_mtime_ns)


def changed(file: Path, stamp: Stamp) -> bool:
    """Whether a file is no longer the one that was read."""
    try:
        stat = file.stat()
    except OSError:
        return True
    return (stat.st_size, stat.st_mtime_ns) != stamp


def file(name: str, root: Path) -> Path:
    """The file that evidence names so."""
    return root / name.removeprefix(PREFIX)


def digest(name: str, root: Path, code: Code) -> str | None:
    """The digest now of a file that evidence names; None where it is gone."""
    path = file(name, root)
    return code.of_file(path) if path.is_file() else None


def labels(files: Iterable[str], root: Path, known: Iterable[Path] = (), apart: Path | None = None) -> dict[str, Path]:
    """Path below the root -> file, of those that are the project's own.

    A link counts where it lies. Left out are hidden folders, installed libraries, the harness, the folder `apart` (the
    store, which may lie there), and the `known` files, which are digested otherwise.
    """
    roots = {Path(os.path.abspath(root)), root.resolve()}
    skipped = {path.resolve() for path in known}
    environments = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()}
    found = {}
    for path in map(Path, files):
        base = next((one for one in roots if path.is_relative_to(one)), None)
        if base is None or not path.is_file():
            continue
        inside, real = path.relative_to(base), path.resolve()
        if any(part.startswith(".") or part.endswith(_NOT_OWN) for part in inside.parts):
            continue
        if real in skipped or real.is_relative_to(_HARNESS) or (apart and real.is_relative_to(apart.resolve())):
            continue
        if any(
            real.is_relative_to(one) and (one not in roots or inside.parts[0] in _OF_AN_ENVIRONMENT)
            for one in environments
            if one.is_relative_to(root.resolve())
        ):
            continue
        found[inside.as_posix()] = path
    return dict(sorted(found.items()))
