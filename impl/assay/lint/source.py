"""A file as the rules see it: its kind, its text, and where each line of that text lies on disk.

Whatever is on the disk can be read: bad encodings are replaced, notebooks become one Python text.
"""

from __future__ import annotations

import ast
import functools
import io
import json
import re
import tokenize
import warnings
from dataclasses import dataclass, field
from pathlib import PurePosixPath

LARGEST = 8_000_000
"""Bytes of text above which a file is data, not code; it is named as not read."""

KINDS = {
    ".py": "python", ".ipynb": "notebook", ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".yml": "yaml",
    ".yaml": "yaml", ".json": "json", ".md": "markdown", ".markdown": "markdown", ".rst": "markdown",
}  # fmt: skip
WEIGHTS = {
    ".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".gguf", ".ggml", ".onnx", ".h5", ".hdf5", ".keras",
    ".pkl", ".pickle", ".joblib", ".npz", ".npy", ".tflite", ".pb",
}  # fmt: skip
HEAD = 4096
"""Bytes of an artifact that are read."""


@dataclass
class Source:
    """One file.

    Attributes:
        path: as it is reported, with forward slashes.
        kind: python (notebooks too), shell, yaml, json, markdown or weights.
        data: the bytes; of weights the first HEAD only.
        size: bytes on disk.
        text: decoded; of a notebook its code cells, one after the other.
        places: for a notebook, line of `text` -> (cell, line in the cell, line on disk).
    """

    path: str
    kind: str
    data: bytes
    size: int
    text: str = ""
    places: list[tuple[int, int, int]] = field(default_factory=list)

    @functools.cached_property
    def lines(self) -> list[str]:
        """The text by lines."""
        return self.text.split("\n")

    def on_disk(self, line: int) -> int:
        """The line of the file for a line of the text."""
        return self.places[line - 1][2] if 0 < line <= len(self.places) else line

    def where(self, line: int) -> str:
        """` (cell 3, line 2)` in a notebook, otherwise nothing."""
        if not 0 < line <= len(self.places):
            return ""
        cell, inner, _ = self.places[line - 1]
        return f" (cell {cell}, line {inner})"


def kind_of(path: str, head: bytes = b"") -> str | None:
    """What the file is, from its name, or from `#!` where it has no suffix."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in KINDS:
        return KINDS[suffix]
    if suffix in WEIGHTS:
        return "weights"
    if not suffix and head.startswith(b"#!"):
        first = head.split(b"\n", 1)[0]
        if b"python" in first:
            return "python"
        if re.search(rb"\b(?:ba|z|da)?sh\b", first):
            return "shell"
    return None


def read(path: str, kind: str, data: bytes, size: int) -> Source:
    """The source of a file; the bytes of weights are kept, everything else is decoded.

    Raises:
        ValueError: a notebook that is no notebook.
    """
    if kind == "weights":
        return Source(path, kind, data, size)
    if kind == "notebook":
        text, places = _cells(_decode(data))
        return Source(path, "python", text.encode("utf-8", "replace"), size, text, places)
    text = _decode_python(data) if kind == "python" else _decode(data)
    return Source(path, kind, data, size, text.replace("\r\n", "\n").replace("\r", "\n"))


def parse(text: str) -> ast.Module | None:
    """The syntax tree, or None for what this Python cannot parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return None


def _decode(data: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def _decode_python(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _decode(data)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding, "replace")
    except (SyntaxError, LookupError, UnicodeError, ValueError):
        return data.decode("latin-1")


def _cells(raw: str) -> tuple[str, list[tuple[int, int, int]]]:
    """The code cells of a notebook as one text. A cell that does not parse is blanked, so that the others are read."""
    notebook = json.loads(raw)
    sheets = notebook.get("worksheets") if isinstance(notebook, dict) else None  # nbformat 3
    holder = sheets[0] if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict) else notebook
    cells = holder.get("cells") if isinstance(holder, dict) else None
    if not isinstance(cells, list):
        raise ValueError("no cells")
    lines: list[str] = []
    places: list[tuple[int, int, int]] = []
    offset = 0
    for number, cell in enumerate(cells, start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", cell.get("input", ""))
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        code = [_without_magic(line) for line in text.replace("\r", "").split("\n")]
        if text.lstrip().startswith("%%") or parse("\n".join(code)) is None:
            code = [""] * len(code)
        line_on_disk = 1
        for inner, line in enumerate(text.replace("\r", "").split("\n"), start=1):
            found = _find(raw, line, offset)
            if found >= 0:
                offset, line_on_disk = found, raw.count("\n", 0, found) + 1
            elif inner == 1:
                line_on_disk = raw.count("\n", 0, offset) + 1
            places.append((number, inner, line_on_disk))
        lines += code
    return "\n".join(lines), places


def _find(raw: str, line: str, offset: int) -> int:
    if not line.strip():
        return -1
    for ascii_only in (False, True):
        found = raw.find(json.dumps(line, ensure_ascii=ascii_only)[1:-1], offset)
        if found >= 0:
            return found
    return -1


def _without_magic(line: str) -> str:
    """`%matplotlib inline` and `!pip install x` are no Python."""
    body = line.lstrip()
    if body.startswith(("%", "!")) or (body.endswith("?") and "#" not in body and "'" not in body and '"' not in body):
        return line[: len(line) - len(body)] + "pass"
    return line
