"""The append-only, hash-chained store of evidence (SQLite); never vouches for a row that was not appended.

Every row carries the hash of the row before it, and a head record holds count and last hash, so that an edit,
a deletion or a cut tail is seen. A chain rewritten from some row to its end is not: for that, pin `head()`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from assay.errors import LedgerError
from assay.evidence import Evidence, Hardware

FORMAT = 1
"""Version of the file format, kept in SQLite's `user_version`."""

Key = tuple[str, str, str]
"""System, requirement, target."""

_APPLICATION = 0x41535359  # "ASSY" in SQLite's application_id: tells a ledger from any other database
_GENESIS = bytes(32)
_PATIENCE_S = 60.0
_RACY_NS = 100_000_000  # file times tick coarsely: a file changed this recently may change again unseen
_SHOWN = 5
REMEMBERED_FROM = 2_000
"""Rows from which a sound scan outlives the process: below, reading all is quicker than looking it up."""

_SCHEMA = """
CREATE TABLE rows (
    seq INTEGER PRIMARY KEY,
    system TEXT NOT NULL,
    requirement TEXT NOT NULL,
    target TEXT NOT NULL,
    payload TEXT NOT NULL,   -- canonical JSON of the evidence
    digest BLOB NOT NULL,    -- SHA-256 of the payload
    previous BLOB NOT NULL,  -- hash of the row before
    hash BLOB NOT NULL       -- SHA-256 of previous, seq, system, requirement, target, digest
);
CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL, hash BLOB NOT NULL);
INSERT INTO head VALUES (1, 0, zeroblob(32));
CREATE TRIGGER rows_insert BEFORE INSERT ON rows WHEN NEW.seq <= (SELECT count FROM head)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER rows_update BEFORE UPDATE ON rows
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER rows_delete BEFORE DELETE ON rows
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER head_update BEFORE UPDATE ON head WHEN NEW.count <= OLD.count
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER head_delete BEFORE DELETE ON head
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""

_COLUMNS = "seq, system, requirement, target, payload, digest, previous, hash"


@dataclass(frozen=True)
class Entry:
    """One row. `tampered` is empty when the chain vouches for it; otherwise it says what is wrong."""

    seq: int
    evidence: Evidence
    tampered: str


class _Row(NamedTuple):
    """A row as the file holds it; a tampered cell may be of any SQLite type."""

    seq: int
    system: bytes
    requirement: bytes
    target: bytes
    payload: bytes
    digest: bytes
    previous: bytes
    hash: bytes


@dataclass
class _Scan:
    """What one pass over the whole chain found."""

    latest: dict[Key, tuple[int, bytes]] = field(default_factory=dict)
    tampered: dict[int, str] = field(default_factory=dict)
    keys: dict[int, tuple[Key, ...]] = field(default_factory=dict)
    """Of tampered rows: the proven key, or every key that the row may have had."""
    problems: list[str] = field(default_factory=list)


class Ledger:
    """The evidence of one project. Safe under threads and processes: every call opens its own connection.

    An append is committed with synchronous=FULL before it returns: an acknowledged row survives `kill -9`.
    """

    def __init__(self, path: Path) -> None:
        """Checks the file if there is one; nothing is created before the first append.

        Raises:
            LedgerError: when the file is no ledger, of a newer format, or unreadable.
        """
        self.path = Path(path)
        self._cached: tuple[object, _Scan] | None = None
        if self._exists():
            with self._reading():
                pass

    def __len__(self) -> int:
        """Rows that the file holds."""
        with self._reading() as connection:
            if connection is None:
                return 0
            ((count,),) = connection.execute("SELECT count(*) FROM rows")
            return int(count)

    def append(self, evidence: Evidence) -> int:
        """Adds one row and returns its number (from 1), once it is safe on disk.

        Raises:
            LedgerError: when it cannot be written, or holds something that JSON cannot.
        """
        return self.extend([evidence])

    def extend(self, rows: Iterable[Evidence]) -> int:
        """Adds rows in one transaction, all or none; the number of the last row of the ledger.

        Raises:
            LedgerError: as for `append`.
        """
        return self._write([(*row.key, _canonical(row)) for row in rows])

    def latest(self) -> dict[Key, Entry]:
        """The newest row of every (system, requirement, target), tampered or not."""
        with self._reading() as connection:
            if connection is None:
                return {}
            scan = self._scan(connection)
        return {
            key: Entry(seq, _evidence(seq, key, payload), scan.tampered.get(seq, ""))
            for key, (seq, payload) in scan.latest.items()
        }

    def history(self, system: str, requirement: str, target: str | None = None) -> list[Entry]:
        """All rows of a requirement, oldest first, on one target or on all."""
        with self._reading() as connection:
            if connection is None:
                return []
            scan = self._scan(connection)
            entries: dict[int, Entry] = {}
            query = f"SELECT {_COLUMNS} FROM rows WHERE system = ? AND requirement = ?"
            for row in map(_Row._make, connection.execute(query, (system, requirement))):
                if row.seq not in scan.tampered:
                    key = _column_key(row)
                    entries[row.seq] = Entry(row.seq, _evidence(row.seq, key, row.payload), "")
            for seq, keys in scan.keys.items():
                for key in keys:
                    if key[:2] == (system, requirement):
                        payload = _bytes(_row(connection, seq).payload)
                        entries[seq] = Entry(seq, _evidence(seq, key, payload), scan.tampered[seq])
        chosen = [e for e in entries.values() if target is None or e.evidence.target == target]
        return sorted(chosen, key=lambda entry: entry.seq)

    def problems(self) -> tuple[str, ...]:
        """What cannot be pinned to the key of one row: missing or displaced rows, a broken head.

        Any of them taints every verdict: the row that tells against a claim may be the one that is gone.
        """
        with self._reading() as connection:
            return () if connection is None else tuple(self._scan(connection).problems)

    def head(self) -> tuple[int, str]:
        """Rows acknowledged so far and the hash (hex) of the last one: what an attestation pins."""
        with self._reading() as connection:
            head = None if connection is None else _head(connection)
        return (0, _GENESIS.hex()) if head is None else (head[0], head[1].hex())

    def hash_of(self, seq: int) -> str | None:
        """The hash (hex) that row `seq` carries; None when there is no such row."""
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT hash FROM rows WHERE seq = ?", (seq,)).fetchone()
        return None if row is None else _bytes(row[0]).hex()

    # -- writing

    def _write(self, rows: Iterable[tuple[str, str, str, str]]) -> int:
        """Chains (system, requirement, target, payload) rows to the head, in one transaction."""
        with self._failing("written"), contextlib.closing(self._open_for_writing()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self._prepare(connection)
            head = _head(connection)
            ((last,),) = connection.execute("SELECT coalesce(max(seq), 0) FROM rows")
            if head is None or head[0] < last:
                raise LedgerError(
                    f"{self.path}: the head record no longer fits the rows, so nothing can be appended; "
                    f"{_way_out(self.path)}"
                )
            seq, previous = head
            for system, requirement, target, payload in rows:
                seq += 1
                digest = hashlib.sha256(payload.encode()).digest()
                key = system.encode(), requirement.encode(), target.encode()
                current = _chain(previous, seq, *key, digest)
                connection.execute(
                    "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (seq, system, requirement, target, payload, digest, previous, current),
                )
                previous = current
            if seq > head[0]:
                connection.execute("UPDATE head SET count = ?, hash = ?", (seq, previous))
            connection.execute("COMMIT")
            return seq

    def _open_for_writing(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
        try:
            connection.execute("BEGIN")
            self._check(connection)  # before anything is changed in a file that may be somebody else's
            connection.execute("COMMIT")
            connection.execute("PRAGMA page_size = 16384")  # 2-3 KB rows fill it without much waste
            deadline = time.monotonic() + _PATIENCE_S
            while True:  # the switch of a new file to WAL does not wait for a lock by itself
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    break
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(0.005)
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Creates the tables in a new file; refuses one that is not ours."""
        if self._check(connection):
            return
        for statement in _statements(_SCHEMA):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")

    # -- reading

    def _exists(self) -> bool:
        try:
            return self.path.exists()
        except OSError as error:
            raise LedgerError(f"{self.path}: cannot be read: {error.strerror}") from None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A connection inside a read transaction; None when there is nothing to read yet."""
        if not self._exists():
            yield None
            return
        with self._failing("read"):
            # not mode=ro: after `kill -9` in the first append, the reader must be able to roll it back
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None)
            with contextlib.closing(connection):
                connection.text_factory = bytes  # hashes are over bytes, and a tampered text may not decode
                connection.execute("BEGIN")
                yield connection if self._check(connection) else None

    def _check(self, connection: sqlite3.Connection) -> bool:
        """True for a ledger, False for a file in which nothing was ever committed, else LedgerError."""
        ((application,),) = connection.execute("PRAGMA application_id")
        ((version,),) = connection.execute("PRAGMA user_version")
        ((tables,),) = connection.execute("SELECT count(*) FROM sqlite_master")
        if application == 0 and version == 0 and tables == 0:
            return False
        if application != _APPLICATION:
            raise LedgerError(f"{self.path}: a database, but not a ledger of assay; {_way_out(self.path)}")
        if version > FORMAT:
            raise LedgerError(
                f"{self.path}: ledger format {version} was written by a newer assay (this one reads "
                f"{FORMAT}); upgrade assay, or {_way_out(self.path)}"
            )
        return True

    @contextlib.contextmanager
    def _failing(self, verb: str) -> Iterator[None]:
        """Turns what SQLite and the operating system say into a LedgerError with the way out."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise LedgerError(
                    f"{self.path}: locked by another process for {_PATIENCE_S:.0f} s; wait for it or end it"
                ) from None
            raise LedgerError(f"{self.path}: cannot be {verb}: {error}; {_way_out(self.path)}") from None
        except sqlite3.Error as error:
            raise LedgerError(f"{self.path}: not a readable ledger: {error}; {_way_out(self.path)}") from None
        except UnicodeEncodeError as error:
            raise LedgerError(f"{self.path}: a name in the evidence is not valid Unicode: {error.object!r}") from None
        except OSError as error:
            raise LedgerError(f"{self.path}: cannot be {verb}: {error.strerror}") from None

    def _scan(self, connection: sqlite3.Connection) -> _Scan:
        """One full pass over the chain, or the last one when the file has not changed since."""
        state, settled = self._state()
        if self._cached is not None and self._cached[0] == state:
            return self._cached[1]
        scan = self._recalled(connection, state) if settled else None
        if scan is None:
            scan = _verify(connection)
            if settled and self._state()[0] == state:
                self._remember(connection, state, scan)
        self._cached = (state, scan) if settled and self._state()[0] == state else None
        return scan

    def _recalled(self, connection: sqlite3.Connection, state: object) -> _Scan | None:
        """What a whole scan of this very file found before: only that all was sound, and where the newest rows are.

        The file is known by inode, size and change time, which no program sets at will. The rows that are handed out
        are hashed again. Whoever forges this memory could as well have hashed the whole chain anew.
        """
        try:
            known = json.loads(self._memory.read_bytes())
            places = [int(seq) for seq in known["latest"]]
            if known["state"] != json.loads(json.dumps(state)) or known["head"] != _pinned(connection):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        scan = _Scan()
        for seq in places:
            row = connection.execute(f"SELECT {_COLUMNS} FROM rows WHERE seq = ?", (seq,)).fetchone()
            if row is None or not _sound(_Row._make(row)):
                return None
            scan.latest[_column_key(_Row._make(row))] = seq, row[4]
        return scan

    def _remember(self, connection: sqlite3.Connection, state: object, scan: _Scan) -> None:
        """Keep where the newest rows of a sound ledger are; a memory that cannot be written is no loss."""
        if scan.tampered or scan.problems or (_head(connection) or (0, b""))[0] < REMEMBERED_FROM:
            return
        places = [seq for seq, _ in scan.latest.values()]
        text = json.dumps({"state": state, "head": _pinned(connection), "latest": places})
        temporary = self._memory.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):
            temporary.write_text(text)
            temporary.replace(self._memory)

    @property
    def _memory(self) -> Path:
        return self.path.with_suffix(".scan")

    def _state(self) -> tuple[object, bool]:
        """Identity, size and change time of file and log, and whether they are old enough to trust."""
        state: list[tuple[int, int, int] | None] = []
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            try:
                stat = os.stat(path)
            except FileNotFoundError:
                state.append(None)
                continue
            state.append((stat.st_ino, stat.st_size, stat.st_ctime_ns) if stat.st_size else None)
        newest = max((s[2] for s in state if s is not None), default=0)
        return tuple(state), time.time_ns() - newest > _RACY_NS


def _verify(connection: sqlite3.Connection) -> _Scan:
    """Walks the chain once, hashing raw bytes; JSON is parsed of no sound row."""
    scan = _Scan()
    newest: dict[tuple[bytes, bytes, bytes], tuple[int, bytes]] = {}
    broken: list[int] = []  # rows whose `previous` is not the hash of the row before
    bad: set[int] = set()  # rows that contradict their own hash
    expected_seq, expected = 1, _GENESIS
    sha256 = hashlib.sha256
    for row in connection.execute(f"SELECT {_COLUMNS} FROM rows ORDER BY seq"):
        seq, system, requirement, target, payload, digest, previous, current = row
        try:  # `_sound`, inlined: this runs for every row
            sound = (
                sha256(payload).digest() == digest
                and _chain(previous, seq, system, requirement, target, digest) == current
            )
        except TypeError:  # a cell of another SQLite type
            sound = False
        if sound:
            newest[system, requirement, target] = seq, payload
        else:
            bad.add(seq)
        if previous != expected or seq != expected_seq:
            broken.append(seq)
        expected_seq, expected = seq + 1, current
    scan.latest = {_decode(key): value for key, value in newest.items()}
    count, last_hash = _head(connection) or (-1, b"")
    last = expected_seq - 1
    if broken or bad or count != last or last_hash != expected:
        _explain(connection, scan, bad, broken, last)
    return scan


def _explain(connection: sqlite3.Connection, scan: _Scan, bad: set[int], broken: list[int], last: int) -> None:
    """Says of a chain that does not hold what was edited (row by row) and what is gone or displaced."""
    words = {seq: f"row {seq} was edited after it was written" for seq in bad}
    problems: list[str] = []
    missing: list[tuple[int, int]] = []
    written = dict(connection.execute("SELECT hash, seq FROM rows")) if broken else {}
    written[_GENESIS] = 0
    for seq in broken:
        row = _row(connection, seq)
        before = _before(connection, seq)
        before_seq, before_hash = (before.seq, before.hash) if before else (0, _GENESIS)
        if before_seq + 1 != seq:
            missing.append((before_seq + 1, seq - 1))
        elif row.previous != before_hash:
            if row.previous in written:
                origin = f"after row {written[row.previous]}" if written[row.previous] else "first"
                problems.append(f"row {seq} is out of its place: it was written {origin}")
            elif seq in bad:
                continue
            elif before is None:
                problems.append("the rows before row 1 are gone: the chain does not start with it")
            elif before_seq not in bad:
                words[before_seq] = (
                    f"row {before_seq} was rewritten together with its hash: row {seq} holds another one"
                )
    problems += _head_problems(connection, words, bad, missing, last)
    if missing:
        ranges = [f"row {a} is" if a == b else f"rows {a} to {b} are" for a, b in missing]
        problems = [f"{text} missing" for text in ranges] + problems
    lost = []
    for seq, text in words.items():
        keys, proven = _keys(connection, seq, rewritten=seq not in bad)
        scan.tampered[seq], scan.keys[seq] = text, keys
        if not proven:
            lost.append(seq)
        for key in keys:
            if seq >= scan.latest.get(key, (0, b""))[0]:
                scan.latest[key] = seq, _bytes(_row(connection, seq).payload)
    problems += [f"{words[seq]}, and which requirement it spoke of cannot be proven" for seq in sorted(lost)]
    scan.problems = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        scan.problems.append(f"and {len(problems) - _SHOWN} more problems of this kind")


def _head_problems(
    connection: sqlite3.Connection,
    words: dict[int, str],
    bad: set[int],
    missing: list[tuple[int, int]],
    last: int,
) -> list[str]:
    head = _head(connection)
    if head is None:
        return ["the head record is gone: a cut tail could not be seen"]
    count, last_hash = head
    if count > last:
        missing.append((last + 1, count))
        return []
    if count < last:
        for (seq,) in connection.execute("SELECT seq FROM rows WHERE seq > ?", (count,)).fetchall():
            words.setdefault(seq, f"row {seq} was not appended by assay: the head record ends at row {count}")
        return [f"the head record ends at row {count}, the rows at {last}"]
    expected = _row(connection, last).hash if last else _GENESIS
    if last_hash != expected and last not in bad:
        if last:
            words[last] = f"row {last} was rewritten together with its hash: the head record holds another one"
        return [f"the head record does not hold the hash of row {last}"]
    return []


def _keys(connection: sqlite3.Connection, seq: int, rewritten: bool) -> tuple[tuple[Key, ...], bool]:
    """The key that a tampered row had when it was written, if that can still be proven.

    Some combination of what the row and its neighbours hold must give the hash to which the next row (or the
    head) is chained. Otherwise every key that the row may have had, and False.
    """
    row, before = _row(connection, seq), _before(connection, seq)
    after = connection.execute(f"SELECT {_COLUMNS} FROM rows WHERE seq = ?", (seq + 1,)).fetchone()
    head = _head(connection)
    if after is not None:
        witness = _Row._make(after).previous
    elif head is not None and head[0] == seq:
        witness = head[1]
    else:
        witness = b"" if rewritten else row.hash
    payload = _bytes(row.payload)
    keys = [_column_key(row)]
    stated = _payload_key(payload)
    if stated is not None and stated not in keys:
        keys.append(stated)
    digests = {_bytes(row.digest), hashlib.sha256(payload).digest()}
    chained_to = {_bytes(row.previous), _bytes(before.hash) if before is not None else _GENESIS}
    for key, digest, previous in itertools.product(keys, digests, chained_to):
        system, requirement, target = (part.encode("utf-8", "surrogatepass") for part in key)
        if _chain(previous, seq, system, requirement, target, digest) == witness:
            return (key,), True
    return tuple(keys), False


def _chain(previous: bytes, seq: int, system: bytes, requirement: bytes, target: bytes, digest: bytes) -> bytes:
    """The hash of a row. Lengths are part of it, so that no two rows give the same bytes."""
    return hashlib.sha256(
        b"%b%b%d %d %d %d %b%b%b"
        % (previous, digest, seq, len(system), len(requirement), len(target), system, requirement, target)
    ).digest()


def _sound(row: _Row) -> bool:
    """Whether a row agrees with its own hashes."""
    try:
        return (
            hashlib.sha256(row.payload).digest() == row.digest
            and _chain(row.previous, row.seq, row.system, row.requirement, row.target, row.digest) == row.hash
        )
    except TypeError:  # a cell of another SQLite type
        return False


def _pinned(connection: sqlite3.Connection) -> list[Any]:
    """The head record as JSON holds it."""
    count, last = _head(connection) or (0, b"")
    return [count, last.hex()]


def _head(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    row = connection.execute("SELECT count, hash FROM head").fetchone()
    if row is None or not isinstance(row[0], int):
        return None
    return row[0], _bytes(row[1])


def _row(connection: sqlite3.Connection, seq: int) -> _Row:
    return _Row._make(connection.execute(f"SELECT {_COLUMNS} FROM rows WHERE seq = ?", (seq,)).fetchone())


def _before(connection: sqlite3.Connection, seq: int) -> _Row | None:
    query = f"SELECT {_COLUMNS} FROM rows WHERE seq < ? ORDER BY seq DESC LIMIT 1"
    row = connection.execute(query, (seq,)).fetchone()
    return None if row is None else _Row._make(row)


def _bytes(cell: Any) -> bytes:
    """A cell of any SQLite type as bytes."""
    return cell if isinstance(cell, bytes) else b"" if cell is None else str(cell).encode()


def _decode(key: tuple[Any, Any, Any]) -> Key:
    system, requirement, target = (_bytes(part).decode("utf-8", "replace") for part in key)
    return system, requirement, target


def _column_key(row: _Row) -> Key:
    return _decode((row.system, row.requirement, row.target))


def _payload_key(payload: bytes) -> Key | None:
    try:
        raw = json.loads(payload)
        key = raw["system"], raw["requirement"], raw["target"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return key if all(isinstance(part, str) for part in key) else None


def _canonical(evidence: Evidence) -> str:
    """The same text for the same evidence: sorted keys, no blanks, ASCII; NaN and infinity are kept."""
    try:
        raw = evidence.model_dump(mode="json")
    except PydanticSerializationError as error:
        name = f"{evidence.system}/{evidence.requirement}"
        raise LedgerError(f"evidence of {name} holds what JSON cannot: {error}; turn it into plain data") from None
    return json.dumps(raw, sort_keys=True, separators=(",", ":"))


def _evidence(seq: int, key: Key, payload: bytes) -> Evidence:
    """The evidence of a row; an `error` outcome with the reason when the text is no longer evidence."""
    try:
        raw = json.loads(payload)
    except (ValueError, RecursionError):
        return _unreadable(key, f"row {seq} of the ledger holds no JSON", "")
    digest = raw.get("requirement_digest") if isinstance(raw, dict) else ""
    try:
        evidence = Evidence.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        reason = f"row {seq} of the ledger does not have the form of evidence ({place}: {first['msg']})"
        return _unreadable(key, f"{reason}; measure again", digest if isinstance(digest, str) else "")
    if evidence.key != key:
        return evidence.model_copy(update=dict(zip(("system", "requirement", "target"), key, strict=True)))
    return evidence


def _unreadable(key: Key, reason: str, requirement_digest: str) -> Evidence:
    system, requirement, target = key
    return Evidence(
        system=system,
        requirement=requirement,
        target=target,
        profile="",
        outcome="error",
        reason=reason,
        requirement_digest=requirement_digest,
        hardware=Hardware(kind="", model=""),
        measured_at=0.0,
    )


def _statements(script: str) -> Iterator[str]:
    """Single statements of a script: `executescript` would commit the transaction that they belong to."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _way_out(path: Path) -> str:
    return f"move it aside (mv {path.name} {path.name}.bad) and run `assay verify` again"
