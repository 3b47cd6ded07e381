"""A project folder as a distribution: its Python and Java files, their module names, its name, version and licence.

A folder is walked without following links to folders, so that loops end; environments, caches, vendored and generated
files are left out and counted.
"""

import os
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from corpus.distributions import Distribution, normalised, reason_of_file
from corpus.errors import CorpusError
from corpus.parsing import UNREADABLE, content_of

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages", "build", "dist"})


def distribution(path: Path) -> Distribution:
    """The folder, or the one file, as a distribution; tests apart.

    Raises CorpusError where there is nothing at `path`, or no Python or Java file in it.
    """
    if not path.exists():
        raise CorpusError(f"{path}: no such file or folder")
    path = path.resolve()
    root = path if path.is_dir() else path.parent
    while (root / "__init__.py").is_file() and root != root.parent:
        root = root.parent  # a package inside a project keeps its full name
    files = _walk(root, path) if path.is_dir() else [path.relative_to(root).as_posix()]
    kept: list[str] = []
    tests: list[str] = []
    left_out: Counter[str] = Counter()
    for file in files:
        reason = reason_of_file(root, file) if path.is_dir() else None
        if reason is None:
            kept.append(file)
        elif reason == "test":
            tests.append(file)
        else:
            left_out[reason] += 1
    if not kept and not tests:
        raise CorpusError(f"{path}: no Python or Java file here; name a project folder or one such file")
    name, version, licence = _identity(path if path.is_dir() else root)
    return Distribution(
        name, version, licence, root,
        tuple(root / file for file in sorted(kept)), dict(sorted(left_out.items())),
        tuple(root / file for file in sorted(tests)), folder=True,
    )  # fmt: skip


def packed(distribution: Distribution) -> Iterator[dict[str, str]]:
    """{distribution, version, file, text} of each of its files that is UTF-8: `unpacked` makes it of them again."""
    for path in distribution.files:
        try:
            text = content_of(path).decode("utf-8")
        except UNREADABLE:
            continue
        file = distribution.relative(path)
        yield {"distribution": distribution.name, "version": distribution.version, "file": file, "text": text}


@contextmanager
def unpacked(rows: Iterable[Mapping[str, str]]) -> Iterator[dict[str, Distribution]]:
    """The distributions whose files these are, by name, in a folder of their own while the block runs.

    Raises CorpusError for a file that would lie outside of it, and for a distribution in two versions.
    """
    with tempfile.TemporaryDirectory(prefix="corpus-unpacked-") as folder:
        files: dict[str, list[Path]] = {}
        versions: dict[str, str] = {}
        for row in rows:
            name, version = row["distribution"], row["version"]
            root = Path(folder).resolve() / name
            path = (root / row["file"]).resolve()
            if root.parent != Path(folder).resolve() or not path.is_relative_to(root):
                raise CorpusError(f"{name}: {row['file']} lies outside of its distribution")
            if versions.setdefault(name, version) != version:
                raise CorpusError(f"{name}: files of {versions[name]} and of {version}; give those of one version")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(row["text"].encode("utf-8"))
            files.setdefault(name, []).append(path)
        yield {
            name: Distribution(name, versions[name], "unknown", Path(folder).resolve() / name, tuple(sorted(paths)))
            for name, paths in files.items()
        }


def module_name(root: Path, file: str) -> str:
    """Dotted name of a file: from the folder above its outermost package, as an import would find it."""
    parts = list(Path(file).with_suffix("").parts)
    start = len(parts) - 1
    while start > 0 and (root.joinpath(*parts[:start]) / "__init__.py").is_file():
        start -= 1
    inside = parts[start:]
    if inside[-1] == "__init__" and len(inside) > 1:
        inside = inside[:-1]
    return ".".join(inside)


def _walk(root: Path, below: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(below, followlinks=False):
        place = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _SKIPPED and not (place / name / "pyvenv.cfg").is_file()
        )
        relative = place.relative_to(root)
        yield from ((relative / name).as_posix() for name in sorted(files) if name.endswith((".py", ".java")))


def _identity(root: Path) -> tuple[str, str, str]:
    """Name, version and licence: of [project] in pyproject.toml where there is one."""
    try:
        table: Any = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        table = {}
    table = table if isinstance(table, dict) else {}
    licence = table.get("license", "unknown")
    if isinstance(licence, dict):
        licence = licence.get("text", "unknown")
    name = normalised(str(table.get("name") or root.name)) or "project"
    return name, str(table.get("version", "0")), str(licence).strip().split("\n")[0][:100] or "unknown"
