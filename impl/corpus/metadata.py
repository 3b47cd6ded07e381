"""What the metadata of a distribution say: what it depends on, and what installing it makes.

Read from the text of METADATA, entry_points.txt and pyproject.toml with the line of each statement. It must never
import or run what they name.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpus.distributions import STANDARD_LIBRARY, Distribution, normalised
from corpus.syntax import Span

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTENSION: Final = re.compile(r"(?P<stem>[^.]+)(\.[^.]+)*\.(so|pyd)")


@dataclass(frozen=True, slots=True)
class Dependency:
    """A distribution that is demanded, always or by an extra; its name is normalised."""

    name: str
    file: str
    span: Span


@dataclass(frozen=True, slots=True)
class Target:
    """What an installation makes. `runs` is "module:object" of an entry point, None for a compiled extension."""

    name: str
    runs: str | None
    file: str
    span: Span


@dataclass(frozen=True, slots=True)
class Metadata:
    """`files` are those that were read, relative to the distribution's root."""

    dependencies: tuple[Dependency, ...]
    targets: tuple[Target, ...]
    files: tuple[str, ...]


def of(distribution: Distribution) -> Metadata:
    """The metadata of an installed distribution or of a project folder; empty where there are none."""
    root = distribution.root
    if distribution.name == STANDARD_LIBRARY:
        return Metadata((), tuple(_extensions(root, root / "lib-dynload", "lib-dynload")), ())
    project = root / "pyproject.toml"
    if project.is_file():
        return _project(project)
    folder = _dist_info(distribution)
    if folder is None:
        return Metadata((), (), ())
    files = [f"{folder.name}/{name}" for name in ("METADATA", "entry_points.txt") if (folder / name).is_file()]
    targets = [*_entry_points(folder), *_compiled(distribution)]
    return Metadata(tuple(_requirements(folder)), tuple(targets), tuple(files))


def _dist_info(distribution: Distribution) -> Path | None:
    for folder in sorted(distribution.root.glob("*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if normalised(name) == normalised(distribution.name) and version == distribution.version:
            return folder
    return None


def _requirements(folder: Path) -> Iterator[Dependency]:
    """Requires-Dist lines of the header of METADATA."""
    path = folder / "METADATA"
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            return
        if line.startswith("Requires-Dist:") and (found := _NAME.search(line, len("Requires-Dist:"))):
            name = normalised(found.group())
            if name not in seen:
                seen.add(name)
                yield Dependency(name, f"{folder.name}/METADATA", (number, 0, number, len(line.encode())))


def _entry_points(folder: Path) -> Iterator[Target]:
    path = folder / "entry_points.txt"
    group = ""
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            group = text[1:-1].strip()
        elif "=" in text and group and not text.startswith(("#", ";")):
            name, _, runs = (part.strip() for part in text.partition("="))
            span = (number, 0, number, len(line.encode()))
            yield Target(f"target:{group}/{name}", _object(runs), f"{folder.name}/entry_points.txt", span)


def _object(written: str) -> str:
    """`module:object` without extras."""
    return written.partition("[")[0].strip()


def _compiled(distribution: Distribution) -> Iterator[Target]:
    """Compiled extensions beside the distribution's own modules."""
    tops = sorted({file.relative_to(distribution.root).parts[0] for file in distribution.files})
    for top in tops:
        if (distribution.root / top).is_dir():
            yield from _extensions(distribution.root, distribution.root / top, "")


def _extensions(root: Path, folder: Path, prefix: str) -> Iterator[Target]:
    for path in sorted([*folder.rglob("*.so"), *folder.rglob("*.pyd")]):
        file = path.relative_to(root).as_posix()
        found = _EXTENSION.fullmatch(path.name)
        if found is None or "tests" in file.split("/") or ".libs" in file:
            continue
        parts = [*path.relative_to(root / prefix if prefix else root).parent.parts, found["stem"]]
        if all(part.isidentifier() for part in parts):
            yield Target(".".join(parts), None, file, (1, 0, 1, 0))


def _project(path: Path) -> Metadata:
    """The [project] table; the line of a statement is the first that holds its text."""
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return Metadata((), (), ())
    lines = list(_lines(path))

    def span(text: str) -> Span:
        for number, line in enumerate(lines, start=1):
            if text in line:
                return (number, 0, number, len(line.encode()))
        return (1, 0, 1, 0)

    table = table if isinstance(table, dict) else {}
    extras = table.get("optional-dependencies", {})
    written = [*_texts(table.get("dependencies")), *(one for some in _tables(extras) for one in _texts(some))]
    names: dict[str, Dependency] = {}
    for text in written:
        if found := _NAME.match(text.strip()):
            name = normalised(found.group())
            names.setdefault(name, Dependency(name, path.name, span(text)))
    groups = {"console_scripts": table.get("scripts"), "gui_scripts": table.get("gui-scripts")}
    points = table.get("entry-points", {})
    groups |= points if isinstance(points, dict) else {}
    targets = [
        Target(f"target:{group}/{name}", _object(runs), path.name, span(runs))
        for group, entries in groups.items()
        if isinstance(entries, dict)
        for name, runs in entries.items()
        if isinstance(runs, str)
    ]
    own = normalised(str(table.get("name", "")))
    return Metadata(tuple(one for one in names.values() if one.name != own), tuple(targets), (path.name,))


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _tables(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
