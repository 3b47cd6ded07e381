"""Laws of records: what is written is read back, and damage is an error with its place."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import records
from corpus.errors import CorpusError
from corpus.functions import Function

# Lone surrogates and line separators are what text formats break on.
texts = st.text(st.characters(codec=None), max_size=20)
TEXTS = ("record_id", "distribution", "version", "licence", "module", "file", "qualname", "source", "docstring")
functions = st.lists(
    st.builds(
        Function,
        **dict.fromkeys((*TEXTS, "masked", "ast_hash"), texts),
        line=st.integers(1),
        end_line=st.integers(1),
        uses=st.lists(texts, max_size=3).map(tuple),
    ),
    max_size=4,
)
ROW = Function("0" * 16, "d", "1", "MIT", "m", "m.py", "f", 1, 2, "def f(): pass", "", ("os",), "def f(): pass", "x")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(functions)
def test_law_records_round_trip(tmp_path: Path, rows: list[Function]) -> None:
    path = tmp_path / "folder" / "rows.jsonl"
    assert records.write(path, rows) == len(rows)
    assert records.read(path) == rows
    assert path.read_bytes().count(b"\n") == len(rows)
    assert [each.name for each in path.parent.iterdir()] == ["rows.jsonl"]


def test_example_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    records.write(path, [ROW])

    def broken() -> object:
        yield ROW
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records.write(path, broken())  # type: ignore[arg-type]
    assert records.read(path) == [ROW]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda good: good + good[:-20], "rows.jsonl:2: the last line has no end, the file is truncated"),
        (lambda good: good + b"\n" + good, "rows.jsonl:2: not a JSON object"),
        (lambda good: good + b"[1]\n", "rows.jsonl:2: a list where an object is needed"),
        (lambda good: good + good.replace(b"MIT", b"\xff"), "rows.jsonl:2: byte "),
        (lambda good: good.replace(b'"masked"', b'"mask"'), 'rows.jsonl:1: key "masked" is missing'),
        (lambda good: good.replace(b'"line": 1', b'"line": "1"'), 'rows.jsonl:1: key "line" is str, not int'),
        (lambda good: good.replace(b'["os"]', b"[1]"), 'rows.jsonl:1: key "uses" must hold texts only'),
    ],
)
def test_errors_name_file_line_and_key(tmp_path: Path, damage: object, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    records.write(path, [ROW])
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(CorpusError) as caught:
        records.read(path)
    assert message in str(caught.value)


def test_errors_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"rows\.jsonl: No such file"):
        records.read(tmp_path / "rows.jsonl")


def test_example_other_keys_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    records.write(path, [ROW])
    path.write_bytes(path.read_bytes().replace(b"{", b'{"extra": 1, ', 1))
    assert records.read(path) == [ROW]
    assert replace(ROW, line=2) != ROW
    assert asdict(ROW)["uses"] == ("os",)
