"""Laws of the ledger: what was appended is read back, what was not appended is never vouched for."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assay import ledger as ledger_module
from assay.errors import LedgerError
from assay.evidence import Comparison, Evidence, Hardware
from assay.ledger import Ledger

TRIGGERS = ("rows_insert", "rows_update", "rows_delete", "head_update", "head_delete")


def evidence(value: float | None = 0.5, requirement: str = "a.b", **fields: Any) -> Evidence:
    row = {
        "system": "twin",
        "requirement": requirement,
        "target": "cpu",
        "profile": "cpu",
        "outcome": "measured",
        "value": value,
        "requirement_digest": "d0",
        "hardware": Hardware(kind="cpu", model="m"),
        "measured_at": 1.0,
    }
    return Evidence(**{**row, **fields})


def tamper(path: Path, *statements: str, **values: Any) -> None:
    """What somebody with a raw connection does, the guards taken away first."""
    connection = sqlite3.connect(path)
    with connection:
        for trigger in TRIGGERS:
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.execute(statement, values)
    connection.close()


def tampered(ledger: Ledger) -> list[int]:
    """Rows that the chain does not vouch for."""
    return [e.seq for r in ("a.b", "c.d") for e in ledger.history("twin", r) if e.tampered]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    """Five rows: a.b = 0, c.d = 1, a.b = 2, c.d = 3, a.b = 4."""
    built = Ledger(path)
    for number in range(5):
        built.append(evidence(float(number), "a.b" if number % 2 == 0 else "c.d"))
    return built


# -- what is appended is read back


def test_nothing_is_created_before_the_first_append(path: Path) -> None:
    empty = Ledger(path)
    assert (len(empty), empty.latest(), empty.history("a", "b"), empty.problems()) == (0, {}, [], ())
    assert empty.head() == (0, "00" * 32)
    assert not path.parent.exists()
    assert empty.append(evidence()) == 1
    assert path.exists()


def test_latest_is_the_newest_row_of_each_key(ledger: Ledger) -> None:
    latest = Ledger(ledger.path).latest()
    assert {key: (e.seq, e.evidence.value, e.tampered) for key, e in latest.items()} == {
        ("twin", "a.b", "cpu"): (5, 4.0, ""),
        ("twin", "c.d", "cpu"): (4, 3.0, ""),
    }
    assert ledger.problems() == ()


def test_history_is_in_order_and_by_target(ledger: Ledger) -> None:
    ledger.append(evidence(9.0, target="cuda"))
    assert [e.evidence.value for e in ledger.history("twin", "a.b")] == [0.0, 2.0, 4.0, 9.0]
    assert [e.seq for e in ledger.history("twin", "a.b", "cuda")] == [6]
    assert ledger.history("twin", "a") == []


def test_extend_is_all_or_none(ledger: Ledger) -> None:
    assert ledger.extend([evidence(5.0), evidence(6.0)]) == 7
    with pytest.raises(LedgerError, match="what JSON cannot"):
        ledger.extend([evidence(7.0), evidence(8.0, details={"x": object()})])
    assert len(ledger) == 7
    assert ledger.problems() == ()


def test_a_name_that_is_not_unicode_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="not valid Unicode"):
        ledger.append(evidence(system="\ud800"))
    assert len(ledger) == 5


def test_hash_chain_by_hand(path: Path) -> None:
    """The format, computed independently: an attestation made elsewhere must be able to recompute it."""
    ledger = Ledger(path)
    ledger.append(evidence())
    ledger.append(evidence(0.25))
    rows = sqlite3.connect(path).execute("SELECT seq, payload, previous, hash FROM rows").fetchall()
    previous = bytes(32)
    for seq, payload, stored, current in rows:
        assert stored == previous
        text = b"%d 4 3 3 twina.bcpu" % seq
        previous = hashlib.sha256(previous + hashlib.sha256(payload.encode()).digest() + text).digest()
        assert current == previous
    assert ledger.head() == (2, previous.hex())


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=20)
jsons = st.recursive(
    leaves | texts, lambda x: st.lists(x, max_size=3) | st.dictionaries(texts, x, max_size=3), max_leaves=8
)
numbers = st.floats(allow_nan=False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=numbers, low=numbers, details=st.dictionaries(texts, jsons, max_size=4), reason=texts, name=texts)
def test_round_trip(tmp_path: Path, value: float, low: float, details: dict[str, Any], reason: str, name: str) -> None:
    """Law: latest() gives back what append() was given, whatever the texts and numbers; infinities too."""
    written = evidence(
        value, interval=(low, value), details=details, reason=reason, baselines={name: Comparison(value=low)}
    )
    ledger = Ledger(tmp_path / "ledger.db")
    seq = ledger.append(written)
    entry = ledger.latest()[written.key]
    assert (entry.seq, entry.tampered, entry.evidence) == (seq, "", written)


def test_nan_comes_back_as_nan(ledger: Ledger) -> None:
    ledger.append(evidence(math.nan, interval=(math.nan, math.inf)))
    entry = ledger.latest()["twin", "a.b", "cpu"]
    assert entry.evidence.value is not None
    assert math.isnan(entry.evidence.value)
    assert entry.evidence.interval is not None
    assert entry.evidence.interval[1] == math.inf


def test_a_key_that_looks_like_another_is_another(path: Path) -> None:
    """Law: the hash separates the key's parts."""
    ledger = Ledger(path)
    ledger.append(evidence(requirement="ab", target="c"))
    tamper(path, "UPDATE rows SET requirement = 'a', target = 'bc'")
    assert ledger.latest()["twin", "ab", "c"].tampered


# -- guards against accidents


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rows SET payload = '{}' WHERE seq = 2",
        "DELETE FROM rows WHERE seq = 2",
        "DELETE FROM rows",
        "INSERT OR REPLACE INTO rows SELECT 2, system, requirement, target, '', '', '', '' FROM rows LIMIT 1",
        "UPDATE head SET hash = x'00'",
        "UPDATE head SET count = 1",
        "DELETE FROM head",
    ],
)
def test_accidents_are_refused_by_the_file_itself(ledger: Ledger, statement: str) -> None:
    connection = sqlite3.connect(ledger.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert ledger.problems() == ()
    assert tampered(ledger) == []


# -- tampering with one row: exactly that row, under its own key

EDITS = {
    "value": "payload = replace(payload, '\"value\":2.0', '\"value\":0.9')",
    "blank": "payload = payload || ' '",
    "no-json": "payload = 'nonsense'",
    "no-evidence": "payload = '{}'",
    "no-object": "payload = '[1]'",
    "no-text": "payload = x'ff00'",
    "number": "payload = 17",
    "system": "system = 'other'",
    "requirement": "requirement = 'c.d'",
    "target": "target = 'cuda'",
    "digest": "digest = zeroblob(32)",
    "digest-type": "digest = 5",
    "previous": "previous = x'11'",
    "previous-type": "previous = 5",
    "hash": "hash = zeroblob(32)",
    "hash-type": "hash = 1.5",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("seq", [1, 3, 5], ids=["first", "middle", "last"])
def test_an_edit_is_pinned_to_its_row(ledger: Ledger, seq: int, edit: str) -> None:
    if "replace(" in edit:
        edit = edit.replace("2.0", f"{seq - 1}.0")
    tamper(ledger.path, f"UPDATE rows SET {edit} WHERE seq = {seq}")
    fresh = Ledger(ledger.path)
    assert tampered(fresh) == [seq]
    (entry,) = (e for e in fresh.history("twin", "a.b") if e.seq == seq)
    assert entry.tampered == f"row {seq} was edited after it was written"
    assert fresh.problems() == ()
    latest = fresh.latest()
    assert set(latest) == {("twin", "a.b", "cpu"), ("twin", "c.d", "cpu")}
    assert bool(latest["twin", "a.b", "cpu"].tampered) == (seq == 5)
    assert latest["twin", "c.d", "cpu"] == Ledger(ledger.path).latest()["twin", "c.d", "cpu"]
    assert not latest["twin", "c.d", "cpu"].tampered


def test_a_good_row_appended_after_a_tampered_one_counts(ledger: Ledger) -> None:
    tamper(ledger.path, f"UPDATE rows SET {EDITS['hash']} WHERE seq = 5")
    assert ledger.append(evidence(0.75)) == 6
    entry = ledger.latest()["twin", "a.b", "cpu"]
    assert (entry.seq, entry.tampered, entry.evidence.value) == (6, "", 0.75)
    assert ledger.problems() == ()
    assert tampered(ledger) == [5]


def rewrite(path: Path, seq: int, requirement: str, value: float, **head: bool) -> None:
    """Row `seq` anew, consistent in itself: payload, columns, digest and hash."""
    (previous,) = sqlite3.connect(path).execute("SELECT previous FROM rows WHERE seq = ?", (seq,)).fetchone()
    payload = ledger_module._canonical(evidence(value, requirement))
    digest = hashlib.sha256(payload.encode()).digest()
    current = ledger_module._chain(previous, seq, b"twin", requirement.encode(), b"cpu", digest)
    tamper(
        path,
        "UPDATE rows SET payload = :payload, requirement = :requirement, digest = :digest, hash = :hash"
        f" WHERE seq = {seq}",
        payload=payload,
        requirement=requirement,
        digest=digest,
        hash=current,
    )


@pytest.mark.parametrize("seq", [1, 3, 5], ids=["first", "middle", "last"])
def test_a_row_rewritten_with_its_hash_is_pinned_by_its_neighbour(ledger: Ledger, seq: int) -> None:
    rewrite(ledger.path, seq, "a.b", 0.99)
    assert tampered(ledger) == [seq]
    assert any(f"row {seq} was rewritten together with its hash" in p for p in ledger.problems())


def test_a_row_edited_past_proof_of_its_key_taints_the_board(ledger: Ledger) -> None:
    tamper(ledger.path, "UPDATE rows SET payload = '{}', digest = zeroblob(32) WHERE seq = 3")
    assert tampered(ledger) == [3]
    assert ledger.problems() == (
        "row 3 was edited after it was written, and which requirement it spoke of cannot be proven",
    )


def test_a_failure_cannot_be_hidden_by_moving_it_to_another_requirement(ledger: Ledger) -> None:
    """The old PASS of a.b must not come back when its newest row is relabelled: the board is tainted."""
    rewrite(ledger.path, 5, "c.d", 0.99)
    assert ledger.latest()["twin", "c.d", "cpu"].tampered
    assert any("which requirement it spoke of cannot be proven" in p for p in ledger.problems())


def test_relabelling_the_column_alone_does_not_bring_the_older_row_back(ledger: Ledger) -> None:
    tamper(ledger.path, "UPDATE rows SET requirement = 'c.d' WHERE seq = 5")
    latest = ledger.latest()
    assert latest["twin", "a.b", "cpu"].seq == 5
    assert latest["twin", "a.b", "cpu"].tampered
    assert (latest["twin", "c.d", "cpu"].seq, latest["twin", "c.d", "cpu"].tampered) == (4, "")


# -- tampering that no row can answer for


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["DELETE FROM rows WHERE seq = 3"], "row 3 is missing"),
        (["DELETE FROM rows WHERE seq IN (2, 3)"], "rows 2 to 3 are missing"),
        (["DELETE FROM rows WHERE seq = 1"], "row 1 is missing"),
        (["DELETE FROM rows WHERE seq = 5"], "row 5 is missing"),
        (["DELETE FROM rows WHERE seq > 2"], "rows 3 to 5 are missing"),
        (["DELETE FROM rows"], "rows 1 to 5 are missing"),
        (["UPDATE rows SET seq = 99 WHERE seq = 2"], "row 2 is missing"),
        (
            [
                "UPDATE rows SET seq = 99 WHERE seq = 2",
                "UPDATE rows SET seq = 2 WHERE seq = 3",
                "UPDATE rows SET seq = 3 WHERE seq = 99",
            ],
            "row 2 is out of its place: it was written after row 3",
        ),
        (
            ["DELETE FROM rows WHERE seq = 1", "UPDATE rows SET seq = seq - 1", "UPDATE head SET count = 4"],
            "row 1 was edited after it was written, and which requirement",
        ),
        (["DELETE FROM head"], "the head record is gone"),
        (["UPDATE head SET count = 'x'"], "the head record is gone"),
        (["UPDATE head SET count = 3"], "the head record ends at row 3, the rows at 5"),
        (["UPDATE head SET hash = zeroblob(32)"], "the head record does not hold the hash of row 5"),
        (
            ["DELETE FROM rows", "UPDATE head SET count = 0"],
            "the head record does not hold the hash of row 0",
        ),
    ],
)
def test_what_is_gone_or_displaced_is_a_problem(ledger: Ledger, statements: list[str], words: str) -> None:
    tamper(ledger.path, *statements)
    fresh = Ledger(ledger.path)
    assert any(words in problem for problem in fresh.problems()), fresh.problems()
    fresh.latest()
    fresh.history("twin", "a.b")


def test_rows_before_the_first_cannot_be_renumbered_away(ledger: Ledger) -> None:
    tamper(
        ledger.path,
        "DELETE FROM rows WHERE seq = 1",
        "UPDATE rows SET seq = seq - 1",
        "UPDATE head SET count = 4",
    )
    assert tampered(ledger) == [1, 3, 2, 4] or sorted(tampered(ledger)) == [1, 2, 3, 4]
    assert ledger.problems()


def test_a_row_that_assay_did_not_append_is_not_vouched_for(ledger: Ledger) -> None:
    payload = ledger_module._canonical(evidence(1.0))
    tamper(
        ledger.path,
        "INSERT INTO rows SELECT 6, 'twin', 'a.b', 'cpu', :payload, x'00', hash, x'00' FROM rows WHERE seq = 5",
        payload=payload,
    )
    assert ledger.latest()["twin", "a.b", "cpu"].tampered
    assert any("the head record ends at row 5" in problem for problem in ledger.problems())


def test_appending_never_heals_a_cut_tail(ledger: Ledger) -> None:
    tamper(ledger.path, "DELETE FROM rows WHERE seq > 3")
    assert ledger.append(evidence(0.1)) == 6
    assert ledger.problems() == ("rows 4 to 5 are missing",)


@pytest.mark.parametrize("statement", ["DELETE FROM head", "UPDATE head SET count = 2"])
def test_nothing_is_appended_to_a_broken_head(ledger: Ledger, statement: str) -> None:
    tamper(ledger.path, statement)
    with pytest.raises(LedgerError, match=r"ledger\.db: the head record no longer fits.*mv ledger\.db"):
        ledger.append(evidence())
    assert len(ledger) == 5


def test_many_problems_are_counted(path: Path) -> None:
    ledger = Ledger(path)
    ledger.extend([evidence(float(n)) for n in range(40)])
    tamper(path, "DELETE FROM rows WHERE seq % 2 = 0")
    assert len(ledger.problems()) == 6
    assert ledger.problems()[-1] == "and 15 more problems of this kind"


def test_a_change_is_seen_by_a_reader_that_has_read_before(ledger: Ledger) -> None:
    """Law: what was verified once is verified again when the file changes, however quickly."""
    for seq in (1, 3, 5):
        time.sleep(0.12)  # long enough for a pass over the file to be remembered
        assert seq not in tampered(ledger)
        assert ledger._cached is not None
        tamper(ledger.path, f"UPDATE rows SET {EDITS['blank']} WHERE seq = {seq}")
        assert seq in tampered(ledger)


def test_changes_in_quick_succession_are_seen(ledger: Ledger) -> None:
    for turn in range(12):
        edit = f"trim(payload) || '{' ' * (turn % 2)}'"
        tamper(ledger.path, f"UPDATE rows SET payload = {edit} WHERE seq = 3")
        assert tampered(ledger) == [3] * (turn % 2)


def test_a_pass_over_a_file_that_has_only_just_changed_is_not_remembered(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file clock ticks coarsely, such a file may change again unseen."""
    monkeypatch.setattr(ledger_module, "_RACY_NS", 10**15)
    ledger.latest()
    assert ledger._cached is None


@pytest.fixture
def remembered(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger whose sound scan was kept beside it, as of a long one."""
    monkeypatch.setattr(ledger_module, "REMEMBERED_FROM", 0)
    time.sleep(0.12)
    Ledger(ledger.path).latest()
    assert ledger.path.with_suffix(".scan").is_file()
    return ledger


def test_another_process_recalls_a_sound_scan(remembered: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Ledger(remembered.path).latest()
    remembered.path.with_suffix(".scan").rename(remembered.path.with_suffix(".kept"))
    assert Ledger(remembered.path).latest() == expected
    remembered.path.with_suffix(".kept").rename(remembered.path.with_suffix(".scan"))
    monkeypatch.setattr(ledger_module, "_verify", None)  # whoever scans now, fails
    assert Ledger(remembered.path).latest() == expected
    assert Ledger(remembered.path).problems() == ()


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("seq", [1, 5], ids=["superseded", "latest"])
def test_no_edit_hides_behind_a_recalled_scan(remembered: Ledger, seq: int, edit: str) -> None:
    if "replace(" in edit:
        edit = edit.replace("2.0", f"{seq - 1}.0")
    tamper(remembered.path, f"UPDATE rows SET {edit} WHERE seq = {seq}")
    assert tampered(Ledger(remembered.path)) == [seq]
    time.sleep(0.12)
    assert tampered(Ledger(remembered.path)) == [seq]  # nor is a ledger that was tampered with remembered


@pytest.mark.parametrize("memory", ["", "{}", "[]", "\x00", '{"state": 1, "head": 2, "latest": [9]}'])
def test_a_memory_that_fits_nothing_is_ignored(remembered: Ledger, memory: str) -> None:
    expected = Ledger(remembered.path).latest()
    remembered.path.with_suffix(".scan").write_text(memory)
    assert Ledger(remembered.path).latest() == expected


def test_an_append_after_the_memory_counts(remembered: Ledger) -> None:
    remembered.append(evidence(9.0, "a.b"))
    assert Ledger(remembered.path).latest()["twin", "a.b", "cpu"].evidence.value == 9.0


def test_a_replaced_file_is_seen(ledger: Ledger, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other.db")
    other.append(evidence(7.0, "x.y"))
    ledger.latest()
    for suffix in ("-wal", "-shm"):
        ledger.path.with_name(ledger.path.name + suffix).unlink(missing_ok=True)
    shutil.copy(other.path, ledger.path)
    assert list(ledger.latest()) == [("twin", "x.y", "cpu")]


# -- rows of other times


def test_a_row_of_an_older_version_is_an_error_with_a_reason(ledger: Ledger) -> None:
    """The chain vouches for it, but it does not say what evidence says today."""
    raw = json.loads(ledger_module._canonical(evidence()))
    del raw["outcome"]
    raw["was_called"] = "outcome"
    ledger._write([("twin", "a.b", "cpu", json.dumps(raw))])
    entry = ledger.latest()["twin", "a.b", "cpu"]
    assert (entry.seq, entry.tampered, entry.evidence.outcome) == (6, "", "error")
    assert "row 6 of the ledger does not have the form of evidence" in entry.evidence.reason
    assert entry.evidence.requirement_digest == "d0"
    assert entry.evidence.value is None


# -- files that are no ledger


def _text(path: Path) -> None:
    path.write_text("not a database, but long enough to be read as the header of one. " * 10)


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE rows (x)")


def _newer(path: Path) -> None:
    Ledger(path).append(evidence())
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")


def _gutted(path: Path) -> None:
    Ledger(path).append(evidence())
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    path.write_bytes(path.read_bytes()[:16384] + b"\xff" * 65536)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_text, "not a readable ledger"),
        (_foreign, "a database, but not a ledger of assay"),
        (_newer, "ledger format 2 was written by a newer assay .this one reads 1.; upgrade assay"),
        (_gutted, "not a readable ledger|cannot be read"),
        (_folder, "cannot be read"),
    ],
)
def test_what_is_no_ledger_is_named_with_the_way_out(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    path = tmp_path / "led#g?r %41.db"
    make(path)
    with pytest.raises(LedgerError, match=words) as caught:
        Ledger(path).latest()
    assert str(path) in str(caught.value)
    assert "mv led#g?r %41.db" in str(caught.value)


@pytest.mark.parametrize("make", [_text, _foreign, _newer, _folder])
def test_what_is_no_ledger_is_refused_at_once_and_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "ledger.db"
    intact = Ledger(path)
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(LedgerError):
        Ledger(path)
    with pytest.raises(LedgerError):
        intact.append(evidence())
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        Ledger(tmp_path / "file" / "ledger.db").append(evidence())


def test_an_empty_file_is_an_empty_ledger(tmp_path: Path) -> None:
    """`kill -9` during the first append leaves one; it proves nothing and hinders nobody."""
    path = tmp_path / "ledger.db"
    path.touch()
    ledger = Ledger(path)
    assert (len(ledger), ledger.latest(), ledger.problems()) == (0, {}, ())
    assert ledger.append(evidence()) == 1


# -- several writers at once


def test_threads_append_at_once(path: Path) -> None:
    ledger = Ledger(path)
    seqs: list[int] = []

    def write(writer: int) -> None:
        seqs.extend(ledger.append(evidence(float(n), f"w.{writer}")) for n in range(15))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seqs) == list(range(1, 61))
    assert ledger.problems() == ()
    for writer in range(4):
        entries = ledger.history("twin", f"w.{writer}")
        assert [e.evidence.value for e in entries] == [float(n) for n in range(15)]
        assert not any(e.tampered for e in entries)


WRITER = """
import sys
from pathlib import Path
from assay.evidence import Evidence, Hardware
from assay.ledger import Ledger
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger(path)
for n in range(count):
    print(ledger.append(Evidence(system="twin", requirement=name, target="cpu", profile="cpu",
        outcome="measured", value=float(n), requirement_digest="", measured_at=0.0,
        hardware=Hardware(kind="cpu", model="m"))), flush=True)
"""


def test_processes_append_at_once_from_the_very_first_row(path: Path) -> None:
    """Both start on a file that does not exist yet, so that its creation is raced for, too."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"w.{n}", "60"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    acknowledged = []
    for number, process in enumerate(processes):
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        acknowledged.append([int(line) for line in out.split()])
        assert [e.seq for e in Ledger(path).history("twin", f"w.{number}")] == acknowledged[-1]
    assert sorted(itertools.chain(*acknowledged)) == list(range(1, 121))
    assert Ledger(path).problems() == ()


# -- everything at once, against a list


class LedgerMachine(RuleBasedStateMachine):
    """Law: the ledger is a list; an edited row is named, and a lost one is never overlooked."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = Ledger(self.folder / "ledger.db")
        self.model: list[Evidence] = []
        self.edited: set[int] = set()
        self.broken = False

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(requirement=st.sampled_from(["a.b", "c.d"]), hardware=st.sampled_from(["cpu", "cuda"]))
    def append(self, requirement: str, hardware: str) -> None:
        row = evidence(float(len(self.model)), requirement, target=hardware)
        if not self.broken:
            assert self.ledger.append(row) == len(self.model) + 1
            self.model.append(row)

    @rule(count=st.integers(0, 3))
    def extend(self, count: int) -> None:
        rows = [evidence(float(len(self.model) + n)) for n in range(count)]
        if not self.broken:
            assert self.ledger.extend(rows) == len(self.model) + count
            self.model.extend(rows)

    @precondition(lambda self: not self.broken)
    @rule()
    def append_from_two_threads(self) -> None:
        rows = [evidence(float(len(self.model) + n), f"w.{n}") for n in range(2)]
        threads = [threading.Thread(target=self.ledger.append, args=(row,)) for row in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        first = self.ledger.history("twin", "w.0")[-1].seq
        self.model.extend(rows if first == len(self.model) + 1 else rows[::-1])

    @precondition(lambda self: not self.broken)
    @rule()
    def crash_in_the_middle_of_an_append(self) -> None:
        """A row is in the file, but neither the head nor the commit: as if it had never been."""
        connection = self.ledger._open_for_writing()
        connection.execute("BEGIN IMMEDIATE")
        self.ledger._prepare(connection)
        connection.execute("INSERT INTO rows VALUES (?, '', '', '', '', '', '', '')", (len(self.model) + 1,))
        connection.close()

    @rule()
    def reopen(self) -> None:
        self.ledger = Ledger(self.ledger.path)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), edit=st.sampled_from(["blank", "no-json", "digest", "hash"]))
    def edit(self, data: st.DataObject, edit: str) -> None:
        seq = data.draw(st.integers(1, len(self.model)))
        if seq not in self.edited:  # twice edited, its key may be past proof: see the tests above
            tamper(self.ledger.path, f"UPDATE rows SET {EDITS[edit]} WHERE seq = {seq}")
        if not self.broken:
            self.edited.add(seq)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(1, len(self.model)))
        tamper(self.ledger.path, f"DELETE FROM rows WHERE seq = {seq}")
        self.broken = True

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def truncate(self, data: st.DataObject) -> None:
        seq = data.draw(st.integers(0, len(self.model) - 1))
        tamper(self.ledger.path, f"DELETE FROM rows WHERE seq > {seq}")
        self.broken = True

    @precondition(lambda self: len(self.model) > 1 and not self.broken)
    @rule(data=st.data())
    def swap(self, data: st.DataObject) -> None:
        a, b = data.draw(st.lists(st.integers(1, len(self.model)), min_size=2, max_size=2, unique=True))
        tamper(
            self.ledger.path,
            f"UPDATE rows SET seq = 999 WHERE seq = {a}",
            f"UPDATE rows SET seq = {a} WHERE seq = {b}",
            f"UPDATE rows SET seq = {b} WHERE seq = 999",
        )
        self.broken = True

    @invariant()
    def agrees_with_the_list(self) -> None:
        latest, problems = self.ledger.latest(), self.ledger.problems()
        if self.broken:
            assert problems
            return
        assert len(self.ledger) == len(self.model)
        assert self.ledger.head()[0] == len(self.model)
        expected = {row.key: (seq, row) for seq, row in enumerate(self.model, 1)}
        assert {key: entry.seq for key, entry in latest.items()} == {k: s for k, (s, _) in expected.items()}
        for key, (seq, row) in expected.items():
            assert bool(latest[key].tampered) == (seq in self.edited)
            if seq not in self.edited:
                assert latest[key].evidence == row
        if not any(seq + 1 in self.edited for seq in self.edited):
            assert problems == ()
        for system, requirement in {(row.system, row.requirement) for row in self.model}:
            entries = self.ledger.history(system, requirement)
            rows = [s for s, r in enumerate(self.model, 1) if r.requirement == requirement]
            assert [e.seq for e in entries] == rows
            assert {e.seq for e in entries if e.tampered} == self.edited & set(rows)


LedgerMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
TestLedgerMachine = LedgerMachine.TestCase
