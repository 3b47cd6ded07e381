"""Text to tree, silently: warnings about foreign code are not the reader's, and a tree under construction is
no garbage.

It must never execute what it parses, and must leave warnings and the collector as it found them.
"""

import ast
import gc
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

MAX_BYTES: Final = 2_000_000  # larger files are tables


class UnreadableError(Exception):
    """A file that is not even parsed; the text is the reason in one word."""


UNREADABLE: Final = (UnreadableError, SyntaxError, RecursionError, MemoryError, UnicodeError, LookupError, ValueError)
"""What reading and parsing a foreign file may raise; `reason_of` has a word for each."""

# One thread at a time: warning filters are the process's, and CPython 3.11 counts the depth of the trees that it builds
# for all threads together (two at once may end in a SystemError).
_ALONE: Final = threading.Lock()


def parse(text: str | bytes) -> ast.Module:
    """The tree of a file. Raises SyntaxError, ValueError, RecursionError, MemoryError as `ast.parse`."""
    with _silence():
        return ast.parse(text)


def content_of(path: Path) -> bytes:
    """The bytes of a file. Raises UnreadableError: too-large, unreadable, null-bytes."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnreadableError("too-large")
        content = path.read_bytes()
    except OSError:
        raise UnreadableError("unreadable") from None
    if b"\0" in content:
        raise UnreadableError("null-bytes")
    return content


def reason_of(error: BaseException) -> str:
    """Why a file could not be read, in one word."""
    if isinstance(error, UnreadableError):
        return str(error)
    if isinstance(error, SyntaxError):
        return "encoding" if "codec" in str(error) or "encoding" in str(error) else "syntax"
    if isinstance(error, RecursionError | MemoryError):
        return "nesting"
    return "encoding" if isinstance(error, UnicodeError | LookupError) else "null-bytes"


def compiles(tree: ast.Module) -> bool:
    """Whether Python accepts the tree, not only its grammar."""
    try:
        with _silence():
            compile(tree, "<corpus>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def function_node(source: str) -> FunctionNode:
    """The first function that `source` defines at its top level.

    Raises what `parse` raises, and ValueError where there is none.
    """
    for node in parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return node
    raise ValueError("source defines no function at its top level; pass the text of one function definition")


def unparse(node: ast.AST) -> str:
    """The canonical text of a statement, without a line break at either end."""
    return ast.unparse(node).strip("\n")


@contextmanager
def _silence() -> Iterator[None]:
    with _ALONE:
        collecting = gc.isenabled()
        gc.disable()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            if collecting:
                gc.enable()
