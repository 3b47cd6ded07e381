"""Source text whose imports cannot be read: what an examinee sees when the imports are the answer, or give it away.

Statements are blanked in place, a parenthesised one with all its lines, those that strings and comments quote and
`__all__` with them, so that every other line and column stays where it was. It must never leave a statement behind; of
quoted ones it knows the usual forms, in texts without carriage returns.
"""

import ast
import re
from typing import Final

from corpus.parsing import parse

_NAMES: Final = r"\w+(?:[ \t]+as[ \t]+\w+)?"
_MODULES: Final = r"[\w.]+(?:[ \t]+as[ \t]+\w+)?"
_SEPARATOR: Final = r"[ \t]*,[ \t]*(?:\\\n[^\S\n]*(?:\.\.\.|\#)?[ \t]*)?"  # a quoted line may go on after a backslash
_QUOTED: Final = re.compile(
    rf"""from[ \t]+[\w.]+[ \t]+import\b
           (?:[ \t]*(?:\\\n[^\S\n]*(?:\.\.\.|\#)?[ \t]*)?(?:\([^()'"]*\)|\*|{_NAMES}(?:{_SEPARATOR}{_NAMES})*))?
       | (?:(?<=['"`;])|(?<=\\n)|^[^\S\n]*(?:>>>|\.\.\.|\#)*)[ \t]*
         import[ \t]+{_MODULES}(?:{_SEPARATOR}{_MODULES})*(?=[ \t]*(?:$|[\#;'"`]|\\n))""",
    re.MULTILINE | re.VERBOSE,
)  # the second alone at the start of what is quoted: "import" is a word of prose, too
_PROMPT: Final = re.compile(r"^[^\S\n]*(?:>>>|\.\.\.|#) ?", re.MULTILINE)
_STAND_IN: Final = b"pass"  # a block that held an import alone must keep a statement


def without_imports(text: str) -> str:
    """`text` with every import statement, those in strings and comments, and every binding of `__all__` blanked.

    Lines keep their numbers, and code its columns. Raises SyntaxError, ValueError, RecursionError as `ast.parse`.
    """
    lines = text.encode("utf-8", "replace").split(b"\n")
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) or _binds_all(node):
            _blank(lines, node)
    return _QUOTED.sub(_blanks, b"\n".join(lines).decode("utf-8", "replace"))  # code has no "import" any more


def code_alone(text: str) -> str:
    """A module without imports, docstrings, comment lines and empty lines: what its code says for itself.

    Raises as `without_imports`.
    """
    hidden = without_imports(text)
    lines = hidden.split("\n")
    for node in ast.walk(parse(hidden)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(line for line in lines if line.strip() not in ("", "pass") and not line.lstrip().startswith("#"))


def _binds_all(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    else:
        return False
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _blank(lines: list[bytes], node: ast.AST) -> None:
    """Spaces in place of a statement, a `pass` at its start."""
    first, last = node.lineno - 1, node.end_lineno - 1  # type: ignore[attr-defined]
    for number in range(first, last + 1):
        line = lines[number]
        start = node.col_offset if number == first else 0  # type: ignore[attr-defined]
        end = node.end_col_offset if number == last else len(line)  # type: ignore[attr-defined]
        stand_in = _STAND_IN if number == first else b""
        lines[number] = line[:start] + stand_in + b" " * (end - start - len(stand_in)) + line[end:]


def _blanks(quoted: re.Match[str]) -> str:
    """Spaces as wide as an import that a string or a comment quotes; prompts and ends of lines stay."""
    at_line = quoted.start() == 0 or quoted.string[quoted.start() - 1] == "\n"
    blanked = []
    for number, line in enumerate(quoted[0].split("\n")):
        prompt = _PROMPT.match(line) if number or at_line else None
        kept = prompt[0] if prompt else ""
        blanked.append(kept + " " * len(line[len(kept) :].encode()))
    return "\n".join(blanked)
