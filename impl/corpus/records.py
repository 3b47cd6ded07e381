"""Functions as JSON lines, and back: the form in which data reaches training.

A damaged file is an error with its file and line, never a shorter data set.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from corpus.errors import CorpusError
from corpus.functions import Function

_NUMBERS: Final = frozenset({"line", "end_line"})
_KINDS: Final = {
    field.name: int if field.name in _NUMBERS else list if field.name == "uses" else str for field in fields(Function)
}


def write(path: Path, functions: Iterable[Function]) -> int:
    """Write one JSON object a line, in order, and return how many. A reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as out:
            for function in functions:
                out.write(json.dumps(asdict(function)) + "\n")
                count += 1
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return count


def read(path: Path) -> list[Function]:
    """All functions of a file that `write` wrote; keys that Function does not have are ignored.

    Raises CorpusError naming file, line and key for a missing file, a truncated or empty line, an encoding
    that is not UTF-8, a missing key, a value of the wrong type.
    """
    return list(_rows(path))


def _rows(path: Path) -> Iterator[Function]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}; write it with corpus.records.write") from None
    if content and not content.endswith(b"\n"):
        last = content.count(b"\n") + 1
        raise CorpusError(f"{path}:{last}: the last line has no end, the file is truncated; write it again")
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        yield _row(line, f"{path}:{number}")


def _row(line: bytes, place: str) -> Function:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: byte {error.start} is not UTF-8; write the file again") from None
    except ValueError as error:
        raise CorpusError(f"{place}: not a JSON object ({error}); write the file again") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{place}: a {type(row).__name__} where an object is needed; write the file again")
    for name, kind in _KINDS.items():
        if name not in row:
            raise CorpusError(f'{place}: key "{name}" is missing; write the file again')
        if type(row[name]) is not kind:
            found = type(row[name]).__name__
            raise CorpusError(f'{place}: key "{name}" is {found}, not {kind.__name__}; write the file again')
    if not all(isinstance(module, str) for module in row["uses"]):
        raise CorpusError(f'{place}: key "uses" must hold module names only; write the file again')
    values: dict[str, Any] = {name: row[name] for name in _KINDS}
    values["uses"] = tuple(row["uses"])
    return Function(**values)
