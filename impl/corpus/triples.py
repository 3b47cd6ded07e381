"""The graph's two records, triple and entity, as JSON lines or Parquet and back: one form for every language.

Files are written in one pass, the same bytes for the same records, and appear whole or not at all. A damaged
file is an error with its file and line, never a smaller graph.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeVar

from corpus.errors import CorpusError

Span = tuple[int, int, int, int]
"""Line (from 1), column, end line, end column (columns from 0, in UTF-8 bytes, the end exclusive), as in `ast`."""

_quoted: Final = json.encoder.encode_basestring_ascii
_ROWS_AT_ONCE: Final = 50_000  # rows of a Parquet group: what a writer holds in memory
_LANGUAGES: Final = {".py": "python", ".pyi": "python", ".java": "java"}


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where something is written: `file` is POSIX, under the root of the distribution."""

    distribution: str
    version: str
    file: str
    span: Span
    licence: str


@dataclass(frozen=True, slots=True)
class Triple:
    """One edge. `provenance` is the place in the source that says so: a call, an import, a base, a metadata line."""

    head: str
    relation: str
    tail: str
    head_type: str
    tail_type: str
    provenance: Provenance

    @property
    def content(self) -> tuple[str, str, str]:
        """What makes a triple unique."""
        return self.head, self.relation, self.tail

    @property
    def language(self) -> str:
        return language_of(self.provenance.file)


@dataclass(frozen=True, slots=True)
class Entity:
    """One node. Its type comes from `definition`, the whole span of it; None for what lies outside the corpus."""

    name: str
    type: str
    language: str
    definition: Provenance | None


def language_of(file: str) -> str:
    """python, java, or "metadata" for what no compiler reads."""
    return _LANGUAGES.get(PurePosixPath(file).suffix, "metadata")


# -- as plain data ---------------------------------------------------------------------------------


def triple_row(triple: Triple) -> dict[str, Any]:
    """The JSON object of a triple, keys in the order of the record."""
    return {
        "head": triple.head,
        "relation": triple.relation,
        "tail": triple.tail,
        "head_type": triple.head_type,
        "tail_type": triple.tail_type,
        "provenance": _provenance_row(triple.provenance),
    }


def entity_row(entity: Entity) -> dict[str, Any]:
    """The JSON object of an entity."""
    definition = None if entity.definition is None else _provenance_row(entity.definition)
    return {"name": entity.name, "type": entity.type, "language": entity.language, "definition": definition}


def triple_line(triple: Triple) -> str:
    """The JSON object of a triple as one line of a file; put together by hand, five times as fast as `json`."""
    return (
        f'{{"head":{_quoted(triple.head)},"relation":{_quoted(triple.relation)},"tail":{_quoted(triple.tail)},'
        f'"head_type":{_quoted(triple.head_type)},"tail_type":{_quoted(triple.tail_type)},'
        f'"provenance":{_provenance_text(triple.provenance)}}}\n'
    )


def entity_line(entity: Entity) -> str:
    """The JSON object of an entity as one line of a file."""
    definition = "null" if entity.definition is None else _provenance_text(entity.definition)
    return (
        f'{{"name":{_quoted(entity.name)},"type":{_quoted(entity.type)},"language":{_quoted(entity.language)},'
        f'"definition":{definition}}}\n'
    )


def _provenance_text(provenance: Provenance) -> str:
    line, column, end_line, end_column = provenance.span
    return (
        f'{{"distribution":{_quoted(provenance.distribution)},"version":{_quoted(provenance.version)},'
        f'"file":{_quoted(provenance.file)},"span":[{line},{column},{end_line},{end_column}],'
        f'"licence":{_quoted(provenance.licence)}}}'
    )


def _provenance_row(provenance: Provenance) -> dict[str, Any]:
    return {
        "distribution": provenance.distribution,
        "version": provenance.version,
        "file": provenance.file,
        "span": list(provenance.span),
        "licence": provenance.licence,
    }


def _provenance(row: dict[str, Any]) -> Provenance:
    line, column, end_line, end_column = row["span"]
    if not all(type(number) is int for number in row["span"]):
        raise TypeError("span holds four integers")
    texts = (row["distribution"], row["version"], row["file"], row["licence"])
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("provenance holds texts")
    distribution, version, file, licence = texts
    return Provenance(distribution, version, file, (line, column, end_line, end_column), licence)


def _triple(row: dict[str, Any]) -> Triple:
    texts = (row["head"], row["relation"], row["tail"], row["head_type"], row["tail_type"])
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("head, relation, tail and their types are texts")
    return Triple(*texts, _provenance(row["provenance"]))


def _entity(row: dict[str, Any]) -> Entity:
    if not all(isinstance(row[key], str) for key in ("name", "type", "language")):
        raise TypeError("name, type and language are texts")
    definition = None if row["definition"] is None else _provenance(row["definition"])
    return Entity(row["name"], row["type"], row["language"], definition)


# -- files -----------------------------------------------------------------------------------------

Record = TypeVar("Record", Triple, Entity)


def write_triples(path: Path, triples: Iterable[Triple]) -> int:
    """Write `.jsonl` or `.parquet`, by the name of the file; how many were written."""
    return _write(path, triples, triple_line, triple_row, _triple_schema)


def write_entities(path: Path, entities: Iterable[Entity]) -> int:
    """As `write_triples`."""
    return _write(path, entities, entity_line, entity_row, _entity_schema)


def read_triples(path: Path) -> Iterator[Triple]:
    """Triples of a file that `write_triples` wrote, one after the other.

    Raises CorpusError naming file and line for a missing, truncated or damaged file.
    """
    return _read(path, _triple)


def read_entities(path: Path) -> Iterator[Entity]:
    """As `read_triples`."""
    return _read(path, _entity)


def join(path: Path, first: Iterable[Record], parts: Iterable[Path], last: Iterable[Record]) -> None:
    """Records, the bytes of finished JSON Lines files, and more records, as one such file."""
    with _whole_file(path) as temporary, temporary.open("wb") as out:
        out.writelines(_line_of(one) for one in first)
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, out, 1 << 20)
        out.writelines(_line_of(one) for one in last)


def _line_of(record: Triple | Entity) -> bytes:
    return (triple_line(record) if isinstance(record, Triple) else entity_line(record)).encode("ascii")


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole or not at all."""
    with _whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write(
    path: Path,
    records: Iterable[Record],
    line: Callable[[Record], str],
    row: Callable[[Record], dict[str, Any]],
    schema: Callable[[], Any],
) -> int:
    if path.suffix not in (".jsonl", ".parquet"):
        raise CorpusError(f'{path}: records are written as .jsonl or .parquet, not "{path.suffix}"')
    path.parent.mkdir(parents=True, exist_ok=True)
    with _whole_file(path) as temporary:
        if path.suffix == ".parquet":
            return _write_parquet(temporary, map(row, records), schema())
        count = 0
        with temporary.open("w", encoding="ascii", newline="\n") as out:
            for record in records:
                out.write(line(record))
                count += 1
        return count


def _write_parquet(path: Path, rows: Iterable[dict[str, Any]], schema: Any) -> int:
    import pyarrow
    import pyarrow.parquet

    count = 0
    batch: list[dict[str, Any]] = []
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            batch.clear()

        for row in rows:
            batch.append(row)
            count += 1
            if len(batch) == _ROWS_AT_ONCE:
                flush()
        if batch or count == 0:
            flush()
    return count


def _read(path: Path, record: Callable[[dict[str, Any]], Record]) -> Iterator[Record]:
    if path.suffix == ".parquet":
        yield from _read_parquet(path, record)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}; write it with python -m corpus kg") from None
    with file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                raise CorpusError(f"{path}:{number}: the last line has no end, the file is truncated; write it again")
            try:
                yield record(json.loads(line))
            except (KeyError, TypeError, ValueError) as error:
                told = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
                raise CorpusError(f"{path}:{number}: no record of the graph: {told}; write it again") from None


def _read_parquet(path: Path, record: Callable[[dict[str, Any]], Record]) -> Iterator[Record]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                yield from map(record, batch.to_pylist())
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error}); write it with python -m corpus kg") from None
    except (pyarrow.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise CorpusError(f"{path}: no records of the graph: {error}; write it again") from None


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well, and goes when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _provenance_type() -> Any:
    import pyarrow

    return pyarrow.struct(
        [
            ("distribution", pyarrow.string()),
            ("version", pyarrow.string()),
            ("file", pyarrow.string()),
            ("span", pyarrow.list_(pyarrow.int32(), 4)),
            ("licence", pyarrow.string()),
        ]
    )


def _triple_schema() -> Any:
    import pyarrow

    texts = ("head", "relation", "tail", "head_type", "tail_type")
    return pyarrow.schema([*((name, pyarrow.string()) for name in texts), ("provenance", _provenance_type())])


def _entity_schema() -> Any:
    import pyarrow

    texts = ("name", "type", "language")
    return pyarrow.schema([*((name, pyarrow.string()) for name in texts), ("definition", _provenance_type())])
