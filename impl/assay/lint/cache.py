"""Facts between runs, keyed by path and content and by the linter's own code: a changed file or rule is read anew.

A cache that is damaged, foreign or not writable is no cache; it is never an error.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from assay.lint.facts import Facts


class Cache:
    """The facts of one tree.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._known: dict[str, Any] = {}
        self._keys: dict[str, str] = {}
        self._hits = 0
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(stored, dict) and stored.get("engine") == engine() and isinstance(stored.get("files"), dict):
                self._known = stored["files"]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Cache:
        """The cache of a set of command line paths, in the user's cache folder."""
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        name = hashlib.sha256("\0".join(sorted(str(path.resolve()) for path in paths)).encode("utf-8", "replace"))
        return cls(Path(base) / "assay" / "lint" / f"{name.hexdigest()[:24]}.json")

    def get(self, shown: str, path: Path) -> Facts | None:
        """The facts of a file whose content has been seen under this path."""
        try:
            with path.open("rb") as file:
                self._keys[shown] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None
        row = self._known.get(shown)
        if not isinstance(row, list) or len(row) != 2 or row[0] != self._keys[shown]:
            return None
        try:
            found = Facts.from_json(row[1])
        except (TypeError, KeyError, AttributeError):
            return None
        self._hits += 1
        return found

    def save(self, facts: Iterable[Facts]) -> None:
        """Keep what this run knows, atomically; files that are gone are forgotten."""
        rows = {f.path: [self._keys[f.path], f.as_json()] for f in facts if f.path in self._keys and not f.broken}
        if self._hits == len(rows) == len(self._known):
            return
        temporary = self.file.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"engine": engine(), "files": rows}), encoding="utf-8")
            temporary.replace(self.file)


@functools.cache
def engine() -> str:
    """Digest of the linter's own code and of the Python that parses."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
