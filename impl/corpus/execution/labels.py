"""Outcomes that are already known: nothing is run twice.

The key is a digest of everything that an outcome depends on: the task with its tests and limits, the code of this
package, the version of Python, the hash seed. A program that took its cell down is never remembered.
"""

import ast
import hashlib
import json
import platform
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from corpus.errors import CorpusError
from corpus.execution.sandbox import Limits, Outcome, Sandbox, Task
from corpus.parsing import parse

_BATCH: Final = 200  # outcomes between two writes: what a killed run loses at most
_BUSY_SECONDS: Final = 60.0
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS labels (digest TEXT PRIMARY KEY, passed INTEGER, reason TEXT, cpu_ms REAL, loaded TEXT)"
)


def digest(task: Task, hash_seed: int = 0) -> str:
    """64 hex digits; equal only where the outcome must be equal."""
    parts = [type(task).__name__, list(task.steps()), [getattr(task.limits, name) for name in Limits.__slots__]]
    content = json.dumps([*parts, hash_seed, platform.python_version(), _code()])
    return hashlib.sha256(content.encode()).hexdigest()


def run_all(
    sandbox: Sandbox, tasks: Sequence[Task], memory: Path | None, progress: Callable[[int], None] | None = None
) -> list[Outcome]:
    """Outcomes in the order of the tasks; equal tasks, and tasks that `memory` (a file) knows, are not run again.

    `progress` is told how many tasks are known. An interrupted run goes on where it stopped.
    """
    keys = [digest(task, sandbox.hash_seed) for task in tasks]
    with _open(memory) as store:
        known = _known(store, keys)
        missing = {key: task for key, task in zip(keys, tasks, strict=True) if key not in known}
        order = list(missing)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            if progress is not None:
                progress(len(tasks) - len(order) + start)
            outcomes = dict(zip(batch, sandbox.run_all([missing[key] for key in batch]), strict=True))
            _remember(store, outcomes)
            known.update(outcomes)
    return [known[key] for key in keys]


@contextmanager
def _open(memory: Path | None) -> Iterator[sqlite3.Connection]:
    try:
        if memory is not None:
            memory.parent.mkdir(parents=True, exist_ok=True)
        store = sqlite3.connect(memory or ":memory:", timeout=_BUSY_SECONDS)
    except (OSError, sqlite3.Error) as error:
        raise CorpusError(f"{memory}: cannot hold known outcomes ({error}); name another file") from None
    with closing(store):
        try:
            if memory is not None:
                store.execute("PRAGMA journal_mode = WAL")
            store.execute(_SCHEMA)
            yield store
        except sqlite3.DatabaseError as error:
            raise CorpusError(f"{memory}: {error}; delete the file, outcomes are found anew") from None


def _known(store: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Outcome]:
    found = {}
    for key in set(keys):
        row = store.execute("SELECT passed, reason, cpu_ms, loaded FROM labels WHERE digest = ?", (key,)).fetchone()
        if row is not None:
            found[key] = Outcome(bool(row[0]), row[1], row[2], tuple(row[3].split()))
    return found


def _remember(store: sqlite3.Connection, outcomes: dict[str, Outcome]) -> None:
    rows = [
        (key, each.passed, each.reason, each.cpu_ms, " ".join(each.loaded))
        for key, each in outcomes.items()
        if not each.is_doubtful
    ]
    for attempt in range(5):
        try:
            with store:
                store.executemany("INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?)", rows)
            return
        except sqlite3.OperationalError:  # another run writes
            time.sleep(attempt)


@cache
def _code() -> str:
    """Digest of the trees of this package: a comment or a docstring changes no outcome."""
    whole = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = parse(path.read_bytes())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list):
                node.body = [each for each in body if not _is_text(each)]  # type: ignore[attr-defined]
        whole.update(ast.dump(tree).encode())
    return whole.hexdigest()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
