"""Which files there are to read: each once, in a fixed order, whatever links and loops the folders hold."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from assay.lint.source import kind_of

SKIPPED = {
    ".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".hypothesis", ".ipynb_checkpoints", ".eggs", "site-packages", ".assay",
}  # fmt: skip
"""Folders that hold no one's own code. One that is named on the command line is read all the same."""


ROOTS = (".git", ".hg", "pyproject.toml", "setup.py", "setup.cfg")
"""What lies in the topmost folder of a project."""


def around(paths: Sequence[Path]) -> list[Path]:
    """The projects of files that are named one by one, as a pre-commit hook names them: who reads a key may lie there.

    None for a file that no walk from the top of its project would reach.
    """
    found: dict[Path, None] = {}
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            continue
        for folder in path.absolute().parents:
            if folder in seen:
                break  # what lies above was found with the file that came here first
            seen.add(folder)
            if folder.name in SKIPPED or (folder / "pyvenv.cfg").is_file():
                break
            if any((folder / name).exists() for name in ROOTS):
                found[folder] = None
                break
    return list(found)


def files(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Iterator[tuple[str, Path]]:
    """(path as it is reported, path to open) of every file of a known kind.

    Args:
        paths: files, taken whatever they are called, and folders.
        exclude: globs over the reported path, or over the name of a file or folder; they hold for files that are named
            one by one, too, as a pre-commit hook names them.
    """
    seen: set[tuple[int, int]] = set()
    for path in paths:
        if path.is_dir():
            yield from _walk(path, seen, exclude)
        elif not (exclude and any(_excluded(one, exclude) for one in (path, *path.parents))) and _is_new(path, seen):
            yield shown(path), path


def shown(path: Path) -> str:
    """Relative to the working folder where it lies below it, with forward slashes; surrogates are made printable."""
    text = os.path.normpath(path)
    here = os.getcwd() + os.sep
    text = text[len(here) :] if text.startswith(here) else text
    return text.replace(os.sep, "/").encode("utf-8", "backslashreplace").decode()


def _walk(folder: Path, seen: set[tuple[int, int]], exclude: Sequence[str]) -> Iterator[tuple[str, Path]]:
    stack = [folder]
    while stack:
        current = stack.pop()
        if not _is_new(current, seen, folder=True):
            continue
        try:
            names = sorted(os.listdir(current))
        except OSError:
            continue
        below = []
        for name in names:
            path = current / name
            if exclude and _excluded(path, exclude):
                continue
            try:
                is_folder = path.is_dir()
            except OSError:
                continue
            if is_folder:
                if name not in SKIPPED and not (path / "pyvenv.cfg").is_file():
                    below.append(path)
            elif (kind_of(name) or _has_shebang(path)) and _is_new(path, seen):
                yield shown(path), path
        stack.extend(reversed(below))


def _is_new(path: Path, seen: set[tuple[int, int]], folder: bool = False) -> bool:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return False
    if not folder and not stat.S_ISREG(found.st_mode):
        return False
    key = (found.st_dev, found.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


def _has_shebang(path: Path) -> bool:
    if path.suffix or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return kind_of(path.name, file.read(64)) is not None
    except OSError:
        return False


def _excluded(path: Path, exclude: Sequence[str]) -> bool:
    text = shown(path)
    return any(fnmatch.fnmatch(text, glob) or fnmatch.fnmatch(path.name, glob) for glob in exclude)
