"""Records as JSON lines, and back: the form in which data reaches training.

A damaged file is an error with its file and line, never a shorter data set.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, get_origin, get_type_hints

from corpus.errors import CorpusError
from corpus.functions import Function

Record = TypeVar("Record")

_JSON: Final[Mapping[Any, type]] = {str: str, int: int, bool: bool, tuple: list}


def write(path: Path, rows: Iterable[Any]) -> int:
    """Write one JSON object a line, in order, and return how many. A reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as out:
            for row in rows:
                out.write(json.dumps(asdict(row)) + "\n")
                count += 1
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return count


def read(path: Path, of: type[Record] = Function) -> list[Record]:  # type: ignore[assignment]
    """All records of a file that `write` wrote; keys that the record type does not have are ignored.

    `of` is a dataclass whose fields are texts, whole numbers, truth values and tuples of texts. Raises
    CorpusError naming file, line and key for a missing file, a truncated or empty line, an encoding that is
    not UTF-8, a missing key, a value of the wrong type.
    """
    return list(_rows(path, of))


@cache
def _kinds(of: type) -> dict[str, type]:
    assert is_dataclass(of)
    return {name: _JSON[get_origin(hint) or hint] for name, hint in get_type_hints(of).items()}


def _rows(path: Path, of: type[Record]) -> Iterator[Record]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}; write it with corpus.records.write") from None
    if content and not content.endswith(b"\n"):
        last = content.count(b"\n") + 1
        raise CorpusError(f"{path}:{last}: the last line has no end, the file is truncated; write it again")
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        yield _row(line, f"{path}:{number}", of)


def _row(line: bytes, place: str, of: type[Record]) -> Record:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: byte {error.start} is not UTF-8; write the file again") from None
    except ValueError as error:
        raise CorpusError(f"{place}: not a JSON object ({error}); write the file again") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{place}: a {type(row).__name__} where an object is needed; write the file again")
    values: dict[str, Any] = {}
    for name, kind in _kinds(of).items():
        if name not in row:
            raise CorpusError(f'{place}: key "{name}" is missing; write the file again')
        value = row[name]
        if type(value) is not kind:
            found = type(value).__name__
            raise CorpusError(f'{place}: key "{name}" is {found}, not {kind.__name__}; write the file again')
        if kind is list:
            if not all(isinstance(each, str) for each in value):
                raise CorpusError(f'{place}: key "{name}" must hold texts only; write the file again')
            value = tuple(value)
        values[name] = value
    return of(**values)
