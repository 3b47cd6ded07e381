"""Laws of a distribution that travels as rows: what comes out of them is what went in, wherever that was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from corpus import callgraph, distributions, folders
from corpus.errors import CorpusError


def test_unpacked_it_has_the_same_calls() -> None:
    (installed,) = distributions.find(["packaging"])
    few = replace(installed, files=installed.files[:8])
    with folders.unpacked(folders.packed(few)) as found:
        again = found[few.name]
        assert (again.name, again.version) == (few.name, few.version)
        assert [again.relative(path) for path in again.files] == [few.relative(path) for path in few.files]
        assert [path.read_bytes() for path in again.files] == [path.read_bytes() for path in few.files]
        calls = list(callgraph.sites([few]))
        assert len(calls) > 50
        assert list(callgraph.sites([again])) == calls
        place = again.root
    assert not place.exists()


def test_line_ends_stay(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_bytes(b"x = 1\r\ny = '\xc3\xa9'\r\n")
    (tmp_path / "two.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    (tmp_path / "three.py").write_bytes(b"z = 0")
    with folders.unpacked(folders.packed(folders.distribution(tmp_path))) as found:
        (one,) = found.values()
        texts = {path.name: path.read_bytes() for path in one.files}
    assert texts == {"one.py": b"x = 1\r\ny = '\xc3\xa9'\r\n", "three.py": b"z = 0"}  # no text, no row


@pytest.mark.parametrize(
    ("name", "file"),
    [("pkg", "../other.py"), ("pkg", "/etc/x.py"), ("../pkg", "a.py"), ("..", "zz/a.py"), ("", "a.py")],
)
def test_no_row_writes_outside(name: str, file: str) -> None:
    row = {"distribution": name, "version": "1", "file": file, "text": "x = 1"}
    with pytest.raises(CorpusError, match="outside"), folders.unpacked([row]):
        pass


def test_one_name_is_one_version() -> None:
    rows = [{"distribution": "pkg", "version": version, "file": "a.py", "text": "x = 1"} for version in ("1", "2")]
    with pytest.raises(CorpusError, match="of 1 and of 2"), folders.unpacked(rows):
        pass
