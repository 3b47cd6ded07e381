"""Exactly which bytes the corpus consists of: one row per file with its distribution, version, licence and
SHA-256.

The digest is of the data itself, so evidence can be bound to it. Two machines with the same pinned
distributions write the same bytes: no time, no absolute path, no order of the file system may enter.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from corpus.distributions import Distribution
from corpus.errors import CorpusError

FORMAT: Final = "corpus-manifest-1"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One file: its path is POSIX and relative to the distribution's root, `bytes` is its size."""

    distribution: str
    version: str
    licence: str
    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Rows ordered by distribution and file."""

    rows: tuple[Row, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) over the rows; it changes with any byte, name, version or licence."""
        return hashlib.sha256(json.dumps([list(asdict(row).values()) for row in self.rows]).encode()).hexdigest()

    def summary(self) -> dict[str, dict[str, Any]]:
        """Per distribution: version, licence, files, bytes."""
        files: Counter[str] = Counter()
        size: Counter[str] = Counter()
        for row in self.rows:
            files[row.distribution] += 1
            size[row.distribution] += row.bytes
        return {
            row.distribution: {
                "version": row.version,
                "licence": row.licence,
                "files": files[row.distribution],
                "bytes": size[row.distribution],
            }
            for row in self.rows
        }

    def write(self, path: Path) -> None:
        """Write JSON, the same bytes for the same rows."""
        content = {
            "format": FORMAT,
            "digest": self.digest,
            "distributions": self.summary(),
            "rows": [asdict(row) for row in self.rows],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def build(distributions: Iterable[Distribution]) -> Manifest:
    """Read and hash every file. Raises CorpusError for a file that has gone since it was found."""
    rows = [_row(distribution, file) for distribution in distributions for file in distribution.files]
    return Manifest(tuple(sorted(rows)))


def read(path: Path) -> Manifest:
    """Read what `write` wrote. Raises CorpusError where it is missing, damaged or edited."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(
            f"manifest {path}: {error.strerror}; write one with: python -m corpus manifest -o {path}"
        ) from None
    except ValueError as error:
        raise CorpusError(f"manifest {path}: not JSON ({error}); write it again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CorpusError(f'manifest {path}: key "format" is not "{FORMAT}"; write it again')
    names = [field.name for field in fields(Row)]
    rows: list[Row] = []
    for number, row in enumerate(content.get("rows", ())):
        if not isinstance(row, dict) or sorted(row) != sorted(names):
            wanted = ", ".join(names)
            raise CorpusError(f"manifest {path}: row {number} must have exactly {wanted}; write it again")
        rows.append(Row(**row))
    manifest = Manifest(tuple(rows))
    if manifest.digest != content.get("digest"):
        raise CorpusError(f"manifest {path}: its digest does not match its rows, it was edited; write it again")
    return manifest


def _row(distribution: Distribution, file: Path) -> Row:
    try:
        content = file.read_bytes()
    except OSError as error:
        file_name = distribution.relative(file)
        again = f"pip install --force-reinstall {distribution.name}=={distribution.version}"
        raise CorpusError(
            f'distribution "{distribution.name}": cannot read {file_name} ({error.strerror}); run: {again}'
        ) from None
    return Row(
        distribution=distribution.name,
        version=distribution.version,
        licence=distribution.licence,
        file=distribution.relative(file),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
    )
