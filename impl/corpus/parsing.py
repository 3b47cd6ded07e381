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
from typing import Final

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

# Warning filters are the process's: two threads that change them at once could leave them changed for good.
_FILTERS: Final = threading.Lock()


def parse(text: str | bytes) -> ast.Module:
    """The tree of a file. Raises SyntaxError, ValueError, RecursionError, MemoryError as `ast.parse`."""
    with _silence():
        return ast.parse(text)


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
    with _FILTERS:
        collecting = gc.isenabled()
        gc.disable()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            if collecting:
                gc.enable()
