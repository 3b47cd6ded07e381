"""The call expressions of a file, counted here: what resolution is a share of. The subject is not asked."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay.subject import Predictions

JAVA = ("method_invocation", "object_creation_expression", "explicit_constructor_invocation")


def count(path: Path) -> int:
    """How many calls are written in a Python or Java file; none where it is not of the language at all."""
    content = path.read_bytes()
    return _java(content) if path.suffix == ".java" else _python(content)


def of(places: Mapping[str, Path]) -> dict[str, int]:
    """Label -> calls, of the files that hold any."""
    counted = {label: count(path) for label, path in sorted(places.items())}
    return {label: calls for label, calls in counted.items() if calls}


def resolved(told: Predictions, written: Mapping[str, int]) -> Predictions:
    """What the subject resolved as parts of what is `written`, its labels in order."""
    whole = list(written.values())
    return told.map(lambda found: {"part": found["resolved"], "whole": whole}, items=list(written))


def details(told: Sequence[int], written: Mapping[str, int]) -> dict[str, Any]:
    """What the subject's own count of call expressions says beside this one."""
    differ = [f"{label}: {own} of {n}" for (label, n), own in zip(written.items(), told, strict=True) if own != n]
    return {"call expressions": sum(written.values()), "files that the subject counts otherwise": differ}


def _python(content: bytes) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    return sum(isinstance(node, ast.Call) for node in ast.walk(tree))


def _java(content: bytes) -> int:
    import tree_sitter
    import tree_sitter_java

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_java.language()))
    nodes, calls = [parser.parse(content).root_node], 0
    while nodes:
        node = nodes.pop()
        calls += node.type in JAVA
        nodes += node.named_children
    return calls
