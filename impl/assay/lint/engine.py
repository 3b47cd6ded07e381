"""Reads a tree once: facts per file, from the cache or from two processes, then the rules that look across files.

Nothing that is read is ever imported, run or unpickled, and no file can stop the run: what cannot be read is named.
"""

from __future__ import annotations

import functools
import gc
import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from assay.lint import discovery, facts, ignores, texts
from assay.lint.cache import Cache
from assay.lint.facts import Facts
from assay.lint.finding import Finding
from assay.lint.module import Module
from assay.lint.project import Project
from assay.lint.rules import RULES
from assay.lint.source import HEAD, LARGEST, Source, kind_of, parse, read

PARALLEL = 48
"""Files to analyse from which a second process pays."""
_PLAIN = re.compile(rb"\w+").fullmatch
_APART = bytes(code if _PLAIN(bytes([code])) else ord(" ") for code in range(256))
"""For bytes.translate: everything but names becomes a space."""
_DEFINES = (b"add_argument", b"config", b"cfg", b"args", b"hparams", b"params", b"settings")


@dataclass
class Result:
    """What a run found, over how much, and what it could not read.

    Attributes:
        findings: sorted by place.
        files: how many were read.
        lines: of Python, how many.
        unread: (path, why).
        broken: rules that failed, with the file: defects of Assay.
    """

    findings: list[Finding]
    files: int
    lines: int
    unread: list[tuple[str, str]]
    broken: list[str]


def run(
    paths: Sequence[Path],
    *,
    exclude: Sequence[str] = (),
    selected: Collection[str] | None = None,
    cache: Cache | None = None,
    workers: int = 2,
) -> Result:
    """Lint files and folders.

    Args:
        paths: must exist. Files named one by one are judged with their project around them: its facts count, its
            findings are not reported.
        exclude: globs of what is left out.
        selected: codes of rules to report; all by default. Every rule runs, so that the cache holds for any selection.
        cache: where facts are kept between runs.
        workers: processes.
    """
    chosen = set(RULES) if selected is None else set(selected)
    listed = list(discovery.files(paths, exclude))
    named = {shown for shown, _ in listed}
    around = discovery.around(paths)
    known = _facts(list(discovery.files([*paths, *around], exclude)) if around else listed, cache, workers)
    project = Project(known)
    every = [file for file in known if file.path in named]
    findings = [
        Finding(file.path, line, code, confidence, message)  # type: ignore[arg-type]
        for file in every
        for code, line, confidence, message in file.hits
        if code in chosen
    ]
    broken = [text for file in every for text in file.broken]
    for code in sorted(chosen):
        rule = RULES[code]
        if rule.across is None:
            continue
        try:
            hits = [hit for hit in rule.across(project) if hit.path in named]
            findings += [Finding(h.path, h.line, code, h.confidence, h.message) for h in hits]
        except Exception as error:
            broken.append(f"{code} over all files: {type(error).__name__}: {error}")
    findings = ignores.apply(set(findings), every, chosen)
    return Result(
        sorted(findings),
        len(every),
        sum(file.lines for file in every if file.kind == "python"),
        [(file.path, file.note) for file in every if file.note],
        broken,
    )


def _facts(files: list[tuple[str, Path]], cache: Cache | None, workers: int) -> list[Facts]:
    known: dict[str, Facts] = {}
    todo: list[tuple[str, str]] = []
    for shown, path in files:
        found = cache.get(shown, path) if cache else None
        if found is None:
            todo.append((shown, str(path)))
        else:
            known[shown] = found
    if len(todo) >= PARALLEL and workers > 1:
        todo.sort(key=lambda item: -_size(item[1]))  # the largest first, so that the processes end together
        size = max(1, min(32, len(todo) // (8 * workers)))
        with ProcessPoolExecutor(workers) as pool:
            parts = pool.map(_examine_all, [todo[start : start + size] for start in range(0, len(todo), size)])
            made = [found for part in parts for found in part]
    else:
        made = _examine_all(todo)
    for found in made:
        known[found.path] = found
    if cache:
        cache.save(known[shown] for shown, _ in files)
    return [known[shown] for shown, _ in files]


def _examine_all(items: Sequence[tuple[str, str]]) -> list[Facts]:
    """Many files, while nobody looks for garbage: a growing tree has none, and one that was read is freed at once."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return [examine(item) for item in items]
    finally:
        if was_enabled:
            gc.enable()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def examine(item: tuple[str, str]) -> Facts:
    """The facts of one file. Never raises: what cannot be read says so in `note`."""
    shown, path = item
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as file:
            data = file.read(HEAD)
            kind = kind_of(shown, data)
            if kind is not None and kind != "weights" and size <= LARGEST:
                data += file.read()
    except OSError as error:
        return Facts(shown, "none", note=error.strerror or "cannot be opened")
    if kind is None:
        return Facts(shown, "none")
    if kind != "weights" and size > LARGEST:
        return Facts(shown, kind, note=f"{size:,} bytes: data, not read" if kind != "json" else "")
    try:
        source = read(shown, kind, data, size)
    except (ValueError, RecursionError, MemoryError, KeyError, TypeError, AttributeError) as error:
        return Facts(shown, kind, note=f"cannot be decoded: {type(error).__name__}")
    return of_source(source)


def of_source(source: Source) -> Facts:
    """The facts of a source that has been read."""
    found = Facts(source.path, source.kind)
    found.ignores = ignores.of(source)
    holds = _finder(source)
    applying = [rule for rule in RULES.values() if source.kind in rule.checks and rule.applies(holds)]
    subject: Module | Source = source
    if source.kind == "python":
        found.lines = source.text.count("\n") + 1
        if applying or any(map(holds, _DEFINES)):
            tree = parse(source.text)
            try:
                module = Module(source, tree) if tree is not None else None
                if module is not None:
                    facts.of_module(module, found)
            except (RecursionError, MemoryError):
                module = None
            if module is None:
                found.note = "does not parse" if tree is None else "nested too deeply"
                facts.of_text(source, found)
                applying = []
            else:
                subject = module
        else:
            facts.of_text(source, found)
    elif source.kind != "weights":
        texts.fill(source, found)
    for rule in applying:
        try:
            for hit in rule.checks[source.kind](subject):
                message = hit.message + source.where(hit.line)
                found.hits.append((rule.code, source.on_disk(hit.line), hit.confidence, message))
        except (RecursionError, MemoryError):
            found.note = "nested too deeply"
        except Exception as error:
            found.broken.append(f"{rule.code} on {source.path}: {type(error).__name__}: {error}")
    if isinstance(subject, Module):
        subject.close()
    found.hits = sorted(set(found.hits))
    return found


def _finder(source: Source) -> Callable[[bytes], bool]:
    """Is a word anywhere in the source, in lower case? Code repeats its names: plain words are sought among those."""
    text = source.data.lower()
    names = b" ".join(set(text.translate(_APART).split())) if source.kind == "python" else text
    return functools.cache(lambda word: word in (names if _PLAIN(word) else text))


def codes(names: Iterable[str]) -> set[str]:
    """Rules by code, by prefix (`AS1`) or by name.

    Raises:
        KeyError: with the name that no rule has.
    """
    found: set[str] = set()
    for name in names:
        matching = {c for c, rule in RULES.items() if c.startswith(name.upper()) or rule.name == name}
        if not matching:
            raise KeyError(name)
        found |= matching
    return found
