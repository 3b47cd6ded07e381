"""Laws of `python -m graphsage train`: it learns from what `verify` does, and a mistake in the specification is a line."""

from pathlib import Path

import pytest

from graphsage import train
from graphsage.__main__ import main

SPEC = Path(__file__).parents[2] / "spec" / "graphsage.toml"


@pytest.fixture
def untrained(monkeypatch) -> None:
    def never(*_):
        raise AssertionError("nothing should be learnt from")

    monkeypatch.setattr(train, "train", never)


def without(table: str) -> str:
    """The specification without a table and those inside it."""
    kept, inside = [], False
    for line in SPEC.read_text().splitlines():
        if line.startswith("["):
            inside = line[1:].startswith((f"{table}]", f"{table}."))
        kept += [] if inside else [line]
    return "\n".join(kept)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (without("data"), "'data'"),
        (without("data.corpus"), "'corpus'"),
        (without("data.programs"), "'programs'"),
        (without("profile"), 'no profile "smoke"'),
        (SPEC.read_text().replace("doctest  = { train = 8, dev = 12, test = 8 }", "doctest = { train = 8 }"), "'dev'"),
        (SPEC.read_text().replace("rewritten = ", "written = "), "'rewritten'"),
        (f"data = 3\n{without('data')}", "TypeError"),
        (f"profile = 3\n{without('profile')}", "TypeError"),
        ("no toml", "Expected"),
    ],
)
def test_a_specification_that_lacks_something_is_one_line_and_exit_two(tmp_path, capsys, text, said) -> None:
    (tmp_path / "spec.toml").write_text(text)
    asked = ["--spec", str(tmp_path / "spec.toml"), "--profile", "smoke", "--model", str(tmp_path / "model")]
    assert main(["train", *asked]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
