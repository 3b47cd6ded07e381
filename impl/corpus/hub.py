"""Public data sets: from the folder that ASSAY_DATA names, else from the Hugging Face hub, else a clear word.

Rows come as plain mappings, one at a time, whatever the file: JSON Lines (gzip or not) or Parquet. It must never
write into the data folder, and never fall back on anything else in silence.
"""

import fnmatch
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpus.errors import CorpusError

VARIABLE: Final = "ASSAY_DATA"
_PARQUET_ROWS: Final = 64  # at a time: one row of CodeContests may hold megabytes


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set lies: `local` is a path or pattern under the data folder, `files` a pattern in the repository.

    `revision` is a branch, tag or commit of the repository.
    """

    name: str
    title: str
    local: str
    repository: str
    files: str
    revision: str = "main"

    def files_in(self, data: Path | None) -> list[Path]:
        """Its files under a data folder, by name; empty where it is not there."""
        return [] if data is None else sorted(path for path in data.glob(self.local) if path.is_file())


def folder() -> Path | None:
    """The folder that ASSAY_DATA names, None where it names none."""
    name = os.environ.get(VARIABLE, "")
    return Path(name) if name else None


def rows(source: Source, data: Path | None) -> Iterator[dict[str, Any]]:
    """All rows of the data set, files in the order of their names.

    Raises CorpusError where it is neither local nor on the hub, naming both places and the way out; and where a file
    is damaged, naming it.
    """
    for path in files(source, data):
        yield from read(path)


def files(source: Source, data: Path | None) -> Iterator[Path]:
    """The files of the data set, in the order of their names; from the hub each is fetched when it is its turn."""
    yield from source.files_in(data) or _download(source, data)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of one `.jsonl`, `.jsonl.gz` or `.parquet` file."""
    try:
        yield from _parquet(path) if path.suffix == ".parquet" else _json_lines(path)
    except (OSError, EOFError, ValueError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); fetch it again") from None


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise CorpusError(f"{path}: reading Parquet needs pyarrow; run: pip install pyarrow") from None
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(_PARQUET_ROWS):
        yield from batch.to_pylist()


def _download(source: Source, data: Path | None) -> Iterator[Path]:
    place = f"{data / source.local}" if data is not None else f"the folder that {VARIABLE} names (it names none)"
    way_out = f"put it there, or allow the hub: pip install huggingface_hub, and unset HF_HUB_OFFLINE ({source.title})"
    try:
        import huggingface_hub
    except ImportError:
        raise CorpusError(
            f'data set "{source.name}" is not in {place}, and huggingface_hub is not installed; {way_out}'
        ) from None
    try:
        listed = huggingface_hub.list_repo_files(source.repository, repo_type="dataset", revision=source.revision)
        names = sorted(fnmatch.filter(listed, source.files))
        for name in names:
            yield Path(
                huggingface_hub.hf_hub_download(source.repository, name, repo_type="dataset", revision=source.revision)
            )
    except Exception as error:  # the client raises whatever its transport does
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise CorpusError(
            f'data set "{source.name}" is not in {place}, and the hub has not given "{source.repository}"'
            f" ({reason}); {way_out}"
        ) from None
    if not names:
        raise CorpusError(f'the hub\'s "{source.repository}" has no file {source.files}; its layout has changed')
