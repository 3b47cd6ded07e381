"""Facts of what is not Python: keys of YAML and JSON files, commands that documents and scripts show.

Line scanners, not parsers: they know the common forms, keep the line, and never fail.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from assay.lint.facts import Command, Config, Entry, Facts
from assay.lint.source import Source

_KEY = re.compile(r"^(?P<indent>\s*)(?P<dash>-\s+)?(?P<key>[\w.\-/\"']+)\s*:(?:\s+(?P<value>.*))?$")
_FOREIGN = re.compile(
    r"(^|/)(\.github|\.circleci|\.gitlab[^/]*|docker-compose[^/]*|compose\.ya?ml|mkdocs\.ya?ml|\.pre-commit[^/]*|codecov\.ya?ml|"
    r"environment[^/]*\.ya?ml|meta\.ya?ml|action\.ya?ml|package(-lock)?\.json|tsconfig[^/]*|\.?readthedocs[^/]*|"
    r"openapi[^/]*|\.vscode|\.devcontainer|[^/]*schema\.json|pnpm-lock\.ya?ml|CITATION[^/]*)"
)


def fill(source: Source, facts: Facts) -> None:
    """Fill in the facts of a file that is not Python."""
    if source.kind in ("yaml", "json") and not _FOREIGN.search(source.path):
        entries = list(yaml_entries(source) if source.kind == "yaml" else json_entries(source))
        if entries:
            facts.configs = [Config(source.path.rpartition("/")[2], "file", entries)]
    if source.kind in ("markdown", "shell", "yaml"):
        facts.commands = list(commands(source))


def yaml_entries(source: Source) -> Iterator[Entry]:
    """The leaves of block mappings, each with the keys above it."""
    stack: list[tuple[int, str]] = []
    pending: tuple[int, Entry] | None = None
    block: int | None = None
    for number, line in enumerate(source.lines, start=1):
        if not line.strip() or line.lstrip().startswith("#") or line.startswith(("---", "...")):
            continue
        indent = len(line) - len(line.lstrip())
        if block is not None:
            if indent > block:
                continue
            block = None
        match = _KEY.match(line)
        if match is None:
            continue
        if match["dash"]:
            indent += len(match["dash"])
        if pending and pending[0] >= indent:
            yield pending[1]
        pending = None
        while stack and stack[-1][0] >= indent:
            stack.pop()
        key = match["key"].strip("\"'")
        value = re.sub(r"\s+#.*$", "", match["value"] or "").strip()
        path = [name for _, name in stack]
        if value in ("|", ">", "|-", ">-", "|+", ">+"):
            block = indent
            yield Entry(key, number, None, path)
        elif value and not value.startswith(("&", "*", "{")):
            yield Entry(key, number, _scalar(value), path)
        elif not value:
            pending = (indent, Entry(key, number, None, path))
        stack.append((indent, key))
    if pending:
        yield pending[1]


def json_entries(source: Source) -> Iterator[Entry]:
    """The leaves of a small JSON object; data files are none."""
    if source.size > 200_000:
        return
    try:
        value = json.loads(source.text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict):
        yield from _json_leaves(value, [], source, [0], 0)


def _json_leaves(
    value: dict[str, Any], path: list[str], source: Source, offset: list[int], depth: int
) -> Iterator[Entry]:
    for key, inner in value.items():
        found = source.text.find(json.dumps(key), offset[0])
        if found >= 0:
            offset[0] = found
        if isinstance(inner, dict) and inner and depth < 20:
            yield from _json_leaves(inner, [*path, key], source, offset, depth + 1)
        elif not isinstance(inner, dict | list):
            yield Entry(key, source.text.count("\n", 0, offset[0]) + 1, inner, path)


def _scalar(text: str) -> Any:
    bare = text.strip("\"'")
    try:
        return float(text)
    except ValueError:
        return bare


def commands(source: Source) -> Iterator[Command]:
    """`python script.py --flag`, `python -m package --flag`: in code blocks, in backticks, in scripts and workflows."""
    for number, line in _shown(source):
        for match in re.finditer(r"(?:^|[\s;&|(`$])(?:accelerate launch|torchrun|python[\d.]*)\s+([^`|;&>]+)", line):
            try:
                words = shlex.split(match.group(1), comments=True)
            except ValueError:
                continue
            script = _script(words)
            if script:
                yield Command(number, script[0], [w.partition("=")[0] for w in script[1] if re.match(r"--[A-Za-z]", w)])


def _script(words: list[str]) -> tuple[str, list[str]] | None:
    for index, word in enumerate(words):
        if word == "-m" and index + 1 < len(words):
            return words[index + 1], words[index + 2 :]
        if word.endswith(".py"):
            return word, words[index + 1 :]
        if not word.startswith("-") and "=" not in word:
            return None
    return None


def _shown(source: Source) -> Iterator[tuple[int, str]]:
    """(number, line) with continued lines joined; in Markdown only what is code."""
    fenced = False
    start, held = 0, ""
    for number, line in enumerate(source.lines, start=1):
        if source.kind == "markdown":
            if line.lstrip().startswith(("```", "~~~")):
                fenced, held = not fenced, ""
                continue
            if not fenced and not line.startswith(("    ", "\t")) and not held:
                for code in re.findall(r"`([^`]+)`", line):
                    yield number, code
                continue
        stripped = line.rstrip()
        if stripped.endswith("\\"):
            start = start if held else number
            held += stripped[:-1] + " "
            continue
        yield (start if held else number), held + stripped
        held = ""
