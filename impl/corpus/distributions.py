"""Which files on this machine are corpus: the standard library and installed distributions, by name.

Tests, vendored copies and generated files are left out and counted. It must never read this project itself or
an editable install: their bytes are pinned by nothing.
"""

import importlib.metadata
import json
import os
import platform
import re
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from corpus.errors import CorpusError

STANDARD_LIBRARY: Final = "python"
PROJECT: Final = "assay"

_TEST_FOLDERS: Final = frozenset(
    {"test", "tests", "_test", "_tests", "testsuite", "testsuites", "test_suite", "unittests", "doctests"}
)
_TEST_FILE: Final = re.compile(r"(test_.*|.*_test|conftest)\.py")
_VENDORED_FOLDERS: Final = frozenset(
    {
        *("_vendor", "vendor", "_vendored", "vendored", "vendored_packages", "_bundled", "bundled"),
        *(
            "extern",
            "_extern",
            "external",
            "_external",
            "externals",
            "_externals",
            "third_party",
            "thirdparty",
        ),
        *("_distutils", "array_api_compat", "array_api_extra"),
    }
)
# Copies of other projects, or test machinery, that no folder name gives away.
_LEFT_OUT_PREFIXES: Final[Mapping[str, str]] = {
    "typer/_click/": "vendored",
    "scipy/_lib/cobyqa/": "vendored",
    "scipy/_lib/pyprima/": "vendored",
    "scipy/_lib/_uarray/": "vendored",
    "torch/testing/_internal/": "test",
    "torch/_inductor/autoheuristic/artifacts/": "generated",
}
_NOT_LIBRARY: Final = frozenset(
    {"idlelib", "turtledemo", "ensurepip", "site-packages", "dist-packages", "lib-dynload", "__pycache__"}
)
_GENERATED_FILE: Final = re.compile(r".*_pb2(_grpc)?\.pyi?|_sysconfigdata.*\.py|.*\.gen\.py|.*_generated\.py")
_GENERATED_HEADER: Final = re.compile(
    rb"@generated|auto-?generated|automatically[ -]generated|machine[ -]generated|do not edit"
    rb"|(this (file|module|code)( is| was| has been)?|^#*\s*) generated (by|from|with|using)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_BYTES: Final = 600  # a generator says so at the top; further down the words are about something else
_LONGEST_LINE: Final = 4_000  # no hand writes a line of 4,000 bytes: tables and minified code
_LARGEST_FILE: Final = 2_000_000  # bytes; larger files are left to the reader, which counts them as skipped


@dataclass(frozen=True, slots=True)
class Distribution:
    """One pinned source of code: `files` are absolute, sorted, and lie under `root`.

    `tests` are its test suite, where it ships one; it is no part of `files`. Of an installed distribution the path of a
    file is the name of its module; in a project `folder` the packages have to be looked for.
    """

    name: str
    version: str
    licence: str
    root: Path
    files: tuple[Path, ...]
    left_out: Mapping[str, int] = field(default_factory=dict, compare=False)
    tests: tuple[Path, ...] = field(default=(), compare=False)
    folder: bool = False

    def relative(self, file: Path) -> str:
        """`file` as records and manifests name it: POSIX, under the root, the same on every machine."""
        return file.relative_to(self.root).as_posix()


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it: `Scikit_Learn` and `scikit-learn` are one."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def find(names: Sequence[str]) -> list[Distribution]:
    """The distributions of these names, in the order given; "python" is the standard library.

    Raises CorpusError for a name that is missing, given twice, installed editable, or this project.
    """
    wanted = [normalised(name) for name in names]
    for name, count in Counter(wanted).items():
        if count > 1:
            raise CorpusError(f'distribution "{name}" is named {count} times; name it once')
    return [_standard_library() if name == STANDARD_LIBRARY else _installed(name) for name in wanted]


def installed() -> list[str]:
    """Names that `find` accepts here: the standard library, then every pinned distribution with code."""
    names = {
        normalised(distribution.metadata["Name"])
        for distribution in importlib.metadata.distributions()
        if distribution.metadata["Name"] and not _editable(distribution)
    }
    return [
        STANDARD_LIBRARY,
        *(name for name in sorted(names - {PROJECT, STANDARD_LIBRARY}) if _has_code(name)),
    ]


def module_name(file: str) -> str:
    """`pkg/sub/__init__.py` -> `pkg.sub`, `pkg/mod.py` -> `pkg.mod`."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def reason_to_leave_out(file: str) -> str | None:
    """`test`, `vendored` or `generated` when the path alone says so; `file` is POSIX, under the root."""
    for prefix, reason in _LEFT_OUT_PREFIXES.items():
        if file.startswith(prefix):
            return reason
    *folders, base = file.split("/")
    if not _TEST_FOLDERS.isdisjoint(folders) or _TEST_FILE.fullmatch(base):
        return "test"
    if not _VENDORED_FOLDERS.isdisjoint(folders):
        return "vendored"
    return "generated" if _GENERATED_FILE.fullmatch(base) else None


def is_generated(content: bytes) -> bool:
    """Whether the head of a file says that a program wrote it, or a line is longer than hands write."""
    if _GENERATED_HEADER.search(content[:_HEADER_BYTES]):
        return True
    return len(content) > _LONGEST_LINE and max(map(len, content.splitlines())) > _LONGEST_LINE


def _standard_library() -> Distribution:
    root = Path(sysconfig.get_path("stdlib"))
    files = (file for file in _walk(root) if not file.startswith("config-"))
    kept, left_out, tests = _select(root, files)
    return Distribution(STANDARD_LIBRARY, platform.python_version(), "PSF-2.0", root, kept, left_out, tests)


def _walk(root: Path) -> Iterator[str]:
    """Python files under `root`, never through a symbolic link to a folder: links may form loops."""
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _NOT_LIBRARY)
        place = Path(folder).relative_to(root)
        yield from ((place / name).as_posix() for name in sorted(files) if name.endswith(".py"))


def _installed(name: str) -> Distribution:
    found, root, listed = _listed(name)
    kept, left_out, tests = _select(root, listed)
    if not kept:
        raise CorpusError(f'distribution "{name}" {found.version} has no Python code; take it off the list')
    return Distribution(name, found.version, _licence(found), root, kept, left_out, tests)


def _listed(name: str) -> tuple[importlib.metadata.Distribution, Path, list[str]]:
    """An installed distribution, its root, and its Python files relative to it, sorted."""
    if name == PROJECT:
        raise CorpusError(f'distribution "{name}" is this project itself, never corpus; take it off the list')
    try:
        found = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise CorpusError(f'distribution "{name}" is not installed here; run: pip install {name}') from None
    if _editable(found):
        raise CorpusError(
            f'distribution "{name}" is an editable install, which no version pins; run: pip install {name}'
        )
    if found.files is None:
        raise CorpusError(
            f'distribution "{name}" {found.version} has no list of its files (RECORD);'
            f" run: pip install --force-reinstall {name}=={found.version}"
        )
    listed = {file.as_posix() for file in found.files if file.suffix == ".py" and ".." not in file.parts}
    return found, Path(str(found.locate_file(""))), sorted(listed)


def _select(root: Path, files: Iterable[str]) -> tuple[tuple[Path, ...], dict[str, int], tuple[Path, ...]]:
    kept: list[str] = []
    tests: list[str] = []
    left_out: Counter[str] = Counter()
    for file in files:
        reason = reason_of_file(root, file)
        if reason is None:
            kept.append(file)
        else:
            left_out[reason] += 1
            if reason == "test":
                tests.append(file)
    absolute = (tuple(root / file for file in sorted(chosen)) for chosen in (kept, tests))
    return next(absolute), dict(sorted(left_out.items())), next(absolute)


def reason_of_file(root: Path, file: str) -> str | None:
    """Why a file is left out, by its path or its content; None where it is corpus."""
    reason = reason_to_leave_out(file)
    if reason is not None:
        return reason
    path = root / file
    try:
        if path.stat().st_size <= _LARGEST_FILE and is_generated(path.read_bytes()):
            return "generated"
    except OSError:
        return "unreadable"
    return None


def _editable(distribution: importlib.metadata.Distribution) -> bool:
    text = distribution.read_text("direct_url.json")
    if text is None:
        return False
    try:
        return bool(json.loads(text).get("dir_info", {}).get("editable", False))
    except (ValueError, AttributeError):
        return False


def _has_code(name: str) -> bool:
    try:
        _, root, listed = _listed(name)
    except CorpusError:
        return False
    return any(reason_of_file(root, file) is None for file in listed)


def _licence(distribution: importlib.metadata.Distribution) -> str:
    """License-Expression, else the licence classifiers, else the first line of License, else "unknown"."""
    metadata = distribution.metadata
    expression = _first(metadata, "License-Expression")
    if expression:
        return expression
    named = [
        value.rpartition("::")[2].strip()
        for value in metadata.get_all("Classifier") or ()
        if value.startswith("License ::")
    ]
    named = [value for value in named if value != "OSI Approved"]
    if named:
        return " AND ".join(sorted(set(named)))
    lines = _first(metadata, "License").splitlines()
    return lines[0].strip()[:100] if lines and lines[0].strip() != "UNKNOWN" else "unknown"


def _first(metadata: importlib.metadata.PackageMetadata, key: str) -> str:
    values = metadata.get_all(key) or ()
    return str(values[0]).strip() if values else ""
