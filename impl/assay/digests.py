"""Digests at the right grain: a comment, a docstring or the README kills no claim, a line of code does.

Code is digested as normalised syntax trees over import closures; nothing is ever imported to be digested.
"""

from __future__ import annotations

import ast
import datetime
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from assay.errors import ObservationError

RACY_S = 2.0
"""A file younger than this may change again within one tick of the file system's clock: never cached."""


def of_bytes(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_json(value: Any) -> str:
    """SHA-256 of the canonical JSON text; equal values have equal digests whatever the order of keys.

    Raises:
        ObservationError: for what is neither JSON, a path, a date nor a numeric array.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ObservationError(f"plain data is needed: {error}") from None
    return of_bytes(text.encode())


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath | datetime.date | datetime.time):
        return str(value)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "tobytes") and not dtype.hasobject:
        return [str(dtype), list(value.shape), of_bytes(value.tobytes())]
    raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} has no digest")


def of_file(path: Path) -> str:
    """SHA-256 of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_source(source: str | bytes) -> str:
    """Digest of Python source that sees code only: no comments, formatting, docstrings or positions.

    What does not parse, or is nested too deeply to be walked, is digested as it stands.
    """
    as_it_stands = of_bytes(source.encode() if isinstance(source, str) else source)
    tree = _parse(source)
    if tree is None:
        return as_it_stands
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.JoinedStr):  # Python 3.12 puts an empty text behind the last field of a format
            node.values = [one for one in node.values if not (isinstance(one, ast.Constant) and one.value == "")]
    try:
        return of_bytes(_text(tree).encode())
    except (RecursionError, ValueError):
        return as_it_stands


def _text(node: Any) -> str:
    """A syntax tree as text, the same under every Python: new versions add fields, which are empty in older code."""
    if isinstance(node, ast.AST):
        fields = (
            f"{name}={_text(value)}" for name, value in ast.iter_fields(node) if value is not None and value != []
        )
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    return ascii(node)


@cache
def _itself() -> str:
    """Digest of this module: what another version of it computed is not comparable."""
    return of_file(Path(__file__))


def _parse(source: str | bytes) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class Code:
    """Digests of the modules under some source roots, with a cache keyed by file size and times.

    Args:
        roots: folders that hold importable packages, e.g. `impl/`; modules elsewhere are external.
        cache: file in which digests outlive the process; None keeps them in memory.
    """

    HARNESS = "assay"
    """The judge's own package is in the closure of no subject but itself; what a row owes to it is added by name."""

    def __init__(self, roots: Sequence[Path], cache: Path | None = None) -> None:
        self.roots = [root.resolve() for root in roots]
        self._cache_file = cache
        self._cache: dict[str, list[Any]] = {}
        self._dirty = False
        if cache is not None:
            try:
                known = json.loads(cache.read_text())
            except (OSError, ValueError):
                known = {}
            self._cache = known["files"] if isinstance(known, dict) and known.get("made_by") == _itself() else {}

    def closure(self, module: str) -> dict[str, str]:
        """Name -> digest of the module and everything under the roots that it imports, at any depth.

        External distributions that the closure imports appear as "name (version)" entries. The harness is followed
        only where it is asked for itself: then it is the subject.
        """
        itself = _package(module) == self.HARNESS
        found: dict[str, str] = {}
        seen: set[str] = set()
        queue = [module]
        while queue:
            name = queue.pop()
            if name in seen or (_package(name) == self.HARNESS and not itself):
                continue
            seen.add(name)
            parent = name.rpartition(".")[0]
            if parent:  # importing a.b.c runs a/__init__.py and a/b/__init__.py first
                queue.append(parent)
            path = self.find(name)
            if path is None:
                continue
            digest, imports = self._read(path)
            found[name] = digest
            package = name if path.name == "__init__.py" else parent
            for target in imports:
                queue.extend(self._resolve(target, package))
        for name in {_package(name) for name in seen} - set(found):
            version = _version(name)
            if version:
                found[f"{name} (version)"] = version
        return dict(sorted(found.items()))

    def closure_of_file(self, path: Path, name: str) -> dict[str, str]:
        """The closure of a file that is no module of the roots (an acceptance test), under the given name.

        Modules that lie beside the file, or in a folder above it that the name spans, are part of it.
        """
        result: dict[str, str] = {}
        followed: set[str] = set()
        queue = [(path, PurePosixPath(name))]
        while queue:
            file, label = queue.pop()
            if str(label) in result:
                continue
            digest, imports = self._read(file)
            result[str(label)] = digest
            for module in (m for target in imports for named in self._resolve(target, "") for m in _chain(named)):
                beside = _beside(file, label, module)
                if beside is not None and self.find(module) is None:
                    queue.append(beside)
                elif module not in followed and _package(module) != self.HARNESS:
                    followed.add(module)
                    result |= self.closure(module)
        return result

    def current(self, name: str) -> str | None:
        """The digest now of what an evidence row names: a module, a version, or a file beside a root."""
        if name.endswith(" (version)"):
            return _version(name.removesuffix(" (version)"))
        path = self.find(name)
        if path is None and name.endswith(".py"):
            candidates = [root.parent / name for root in self.roots] + [root / name for root in self.roots]
            path = next((p for p in candidates if p.is_file()), None)
        return None if path is None else self.of_file(path)

    def of_file(self, path: Path) -> str:
        """The digest of a file: of what it says where it is Python, else of its bytes."""
        return self._read(path)[0]

    def find(self, module: str) -> Path | None:
        """The file of a module under the roots, or None."""
        relative = Path(*module.split("."))
        for root in self.roots:
            for path in (root / relative / "__init__.py", root / relative.with_suffix(".py")):
                if path.is_file():
                    return path
        return None

    def save(self) -> None:
        """Write the cache, atomically, when it changed."""
        if self._cache_file is None or not self._dirty:
            return
        self._cache_file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._cache_file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        temporary.write_text(json.dumps({"made_by": _itself(), "files": self._cache}))
        temporary.replace(self._cache_file)
        self._dirty = False

    def _read(self, path: Path) -> tuple[str, list[str]]:
        stat = path.stat()
        key = str(path)
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        known = self._cache.get(key)
        if isinstance(known, list) and len(known) == 5 and known[:3] == stamp:
            return known[3], known[4]
        if path.suffix == ".py":
            source = path.read_bytes()
            digest, imports = of_source(source), sorted(_imports(source))
        else:
            digest, imports = of_file(path), []
        if time.time() - max(stat.st_mtime, stat.st_ctime) > RACY_S:
            self._cache[key] = [*stamp, digest, imports]
            self._dirty = True
        return digest, imports

    def _resolve(self, target: str, package: str) -> Iterable[str]:
        """`.level:module:name` -> the modules that the import can mean."""
        dots, _, rest = target.partition(":")
        module, _, name = rest.partition(":")
        if dots:
            parts = package.split(".") if package else []
            base = parts[: max(0, len(parts) - (len(dots) - 1))]
            module = ".".join([*base, *([module] if module else [])])
        if module:
            yield module
        if name and name != "*":  # a module or an attribute: the caller finds out
            yield f"{module}.{name}" if module else name


def _package(module: str) -> str:
    return module.partition(".")[0]


def _chain(module: str) -> list[str]:
    """`a.b.c` -> a, a.b, a.b.c: what importing it runs."""
    parts = module.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _beside(file: Path, label: PurePosixPath, module: str) -> tuple[Path, PurePosixPath] | None:
    relative = Path(*module.split("."))
    for folder, place in zip(file.parents, label.parents, strict=False):
        for candidate in (relative / "__init__.py", relative.with_suffix(".py")):
            if (folder / candidate).is_file():
                return folder / candidate, place / candidate
    return None


def _imports(source: str | bytes) -> set[str]:
    """What the source imports, as `dots:module:name`: statements at any depth, import_module("..."), `__all__`,
    `pytest_plugins`."""
    tree = _parse(source)
    if tree is None:
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {f":{alias.name}:" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{'.' * node.level}:{node.module or ''}:{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and _name_of(node.func) in ("import_module", "__import__", "run_module"):
            package = [*node.args[1:2], *(one.value for one in node.keywords if one.arg == "package")]
            found |= {_called(name, _strings(package)) for name in _strings(node.args[:1])}
        elif isinstance(node, ast.Assign) and [_name_of(t) for t in node.targets] == ["__all__"]:
            # a star import loads the submodules named here
            found |= {f".::{name}" for name in _strings(getattr(node.value, "elts", []))}
        elif isinstance(node, ast.Assign) and [_name_of(t) for t in node.targets] == ["pytest_plugins"]:
            found |= {f":{name}:" for name in _strings(getattr(node.value, "elts", [node.value]))}
    return found


def _called(name: str, package: Sequence[str]) -> str:
    """What import_module(name, package) imports; a package that is no plain text is taken for the module's own."""
    bare = name.lstrip(".")
    dots = len(name) - len(bare)
    if dots and package:
        parts = package[0].split(".")
        return f":{'.'.join([*parts[: max(0, len(parts) - (dots - 1))], bare])}:"
    return f"{'.' * dots}:{bare}:"


def _name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _strings(nodes: Iterable[ast.expr]) -> list[str]:
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value]


@lru_cache(maxsize=512)
def _version(name: str) -> str | None:
    """Version of the distribution that an import name belongs to; None for the standard library."""
    if not name or name in sys.stdlib_module_names:
        return None
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        owners = sorted(set(installed().get(name, ())))
        return ", ".join(f"{owner} {metadata.version(owner)}" for owner in owners) or None


@cache
def installed() -> Mapping[str, list[str]]:
    """Import name -> the distributions that bring it."""
    return metadata.packages_distributions()


class Manifest:
    """The files that a data set was built from: label -> [path, size, mtime_ns, ctime_ns, sha256].

    The project's own are kept by their path in it: another checkout on the same machine has its own files of that name,
    and who looks there whether something changed must not be told of these.
    """

    def __init__(self, rows: Mapping[str, Sequence[Any]]) -> None:
        self.rows = {label: list(row) for label, row in rows.items()}

    @classmethod
    def of(cls, files: Mapping[str, Path], root: Path) -> Manifest:
        """Read and digest the files of a project at `root`."""
        rows = {}
        for label, path in files.items():
            stat = path.stat()
            own = path.is_relative_to(root) and not path.is_relative_to(sys.prefix)  # an environment may lie inside
            place = path.relative_to(root) if own else path.absolute()
            rows[label] = [str(place), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, of_file(path)]
        return cls(rows)

    @property
    def digest(self) -> str:
        """Depends on labels and contents, not on where the files lie or when they were written."""
        return of_json(sorted((label, row[4]) for label, row in self.rows.items()))

    @property
    def is_here(self) -> bool:
        """Whether anything can be said of the files: not where all lay elsewhere and are gone, with a checkout, say.

        The project's own are always its own: that they are gone is a change.
        """
        places = [Path(row[0]) for row in self.rows.values()]
        return not places or any(not place.is_absolute() or place.is_file() for place in places)

    def changed(self, root: Path) -> list[str]:
        """Labels whose file is gone or has another content; a file with size and time unchanged is not read."""
        result = []
        for label, (name, size, mtime, ctime, digest) in self.rows.items():
            path = root / name
            try:
                stat = path.stat()
                same = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) == (size, mtime, ctime)
                same = same or of_file(path) == digest
            except OSError:
                same = False
            if not same:
                result.append(label)
        return result
