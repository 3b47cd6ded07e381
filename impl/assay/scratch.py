"""Temporary folders that no killed process leaves behind: each is held by a lock, and the next of its kind removes
those that nobody holds any more.

Never a place for anything that is to last, and never removes a folder that it did not make.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HELD = ".held"
"""File in every scratch folder, locked while its process lives."""

_SETTLED = 5.0
"""Seconds after which whoever made a folder has taken its lock."""


MEMORY = Path("/dev/shm")
"""A file system in memory, where there is one. No ledger in it waits for a disk."""

_ROOM = 1 << 30
"""Free bytes from which a folder may lie in memory."""


@contextlib.contextmanager
def folder(kind: str, in_memory: bool = False) -> Iterator[Path]:
    """A new folder `assay-KIND-...` among the system's temporary files; removed at the end of the context.

    Args:
        in_memory: that it lies in memory, where there is room; never against a TMPDIR that the user chose.
    """
    root = MEMORY if in_memory and _has_room() else Path(tempfile.gettempdir())
    _sweep(root, kind)
    with (
        tempfile.TemporaryDirectory(prefix=f"assay-{kind}-", dir=root) as place,
        (Path(place) / HELD).open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(place)


def _has_room() -> bool:
    try:
        usable = "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK | os.X_OK)
        return usable and shutil.disk_usage(MEMORY).free >= _ROOM
    except OSError:
        return False


def _sweep(root: Path, kind: str) -> None:
    for held in root.glob(f"assay-{kind}-*/{HELD}"):
        with contextlib.suppress(OSError):  # locked, of another user, or removed by somebody else just now
            if held.parent.stat().st_uid != os.getuid() or time.time() - held.stat().st_mtime < _SETTLED:
                continue
            with held.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(held.parent)
