"""Laws of `python -m graphsage train`: it learns from what `verify` does, and a mistake in the specification is a line."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from acceptance import sides
from acceptance.graphsage.conftest import DataSets

from assay import spec
from corpus import distributions, hub, programs, records
from corpus.distributions import Distribution
from corpus.functions import from_text
from corpus.programs import Program
from graphsage import __main__ as command
from graphsage import train
from graphsage.__main__ import main
from property.corpus.test_problems import HUMANEVAL_ROWS, zipped
from property.corpus.test_programs import mbpp_rows

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


# -- what is learnt from ---------------------------------------------------------------------------


def written(distribution: Distribution) -> list:
    """Twenty doctested functions of different structure, the same for a name; nothing is read."""
    functions = []
    for number in range(20):
        body = "".join(
            f"    x = x + {word}(1)\n"
            for word in (distribution.name.replace("-", "_"), *"abcdefghijklmnopqrst"[:number])
        )
        functions.append(
            f'def f{number}(x):\n    """\n    >>> f{number}(1)\n    2\n    """\n    y = x * 2\n{body}    return x\n'
        )
    return from_text("\n\n".join(functions), file="module.py", distribution=distribution.name)


@pytest.fixture
def data(monkeypatch, tmp_path) -> None:
    """Distributions that are written here, MBPP and HumanEval in the data folder, and nothing is executed."""

    def label(found, plan):
        made = f"{plan.seed} {plan.rewrites} {plan.mutants}"
        rows = [(each, each.problem, each.group, each.origin) for each in found]
        return [Program(p, p, g, o, "canonical", "", made, each.solution, True, "") for each, p, g, o in rows], {}

    def functions_of(found):
        return [function for each in found for function in written(each)]

    monkeypatch.setattr(programs, "label", label)
    monkeypatch.setattr(distributions, "find", lambda names: [Distribution(n, "1", "", tmp_path, ()) for n in names])
    monkeypatch.setattr(command, "functions_of", functions_of)
    monkeypatch.setattr(sides, "functions_of", functions_of)
    monkeypatch.setenv(hub.VARIABLE, str(tmp_path))
    zipped(tmp_path / "mbpp/mbpp.jsonl.gz", mbpp_rows())
    zipped(tmp_path / "humaneval/HumanEval.jsonl.gz", HUMANEVAL_ROWS)


@pytest.fixture
def learnt(monkeypatch) -> dict[str, list]:
    """The rows that training was handed."""
    rows: dict[str, list] = {}

    def kept(_, paths, __):
        rows.update({name: [json.loads(line) for line in path.open()] for name, path in paths.items()})

    monkeypatch.setattr(train, "train", kept)
    return rows


def asked(folder: Path, profile: str, *more: str) -> int:
    return main(["train", "--spec", str(SPEC), "--profile", profile, "--model", str(folder / "model"), *more])


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("profile", ["cpu", "smoke", "sketch"])
def test_the_command_learns_from_what_is_judged(learnt, tmp_path, capsys, profile) -> None:
    assert asked(tmp_path, profile) == 0
    assert "without CodeContests" in capsys.readouterr().err
    about = spec.load(SPEC)

    def dataset(name, build, *, sources, tables=(), **arguments):
        folder = tmp_path / name
        folder.mkdir()
        build(folder, **arguments)
        return SimpleNamespace(folder=folder, path=lambda file: folder / file)

    judged = DataSets(dataset, lambda name: about.table(name, profile))
    found = {"": judged.functions, "_programs": judged.programs()}
    for kind, made in found.items():
        for side in ("train", "dev"):
            expected = [json.loads(line) for line in made.path(f"{side}.jsonl").open()]
            assert expected
            assert learnt[f"{side}{kind}"] == expected
    assert {row["origin"] for row in learnt["train_programs"]} == {"doctest", "mbpp"}


@pytest.mark.usefixtures("data")
def test_the_command_learns_from_programs_that_were_written_elsewhere(learnt, tmp_path, capsys) -> None:
    row = Program("0" * 16, "CodeContests/1", "CodeContests/1", "code_contests", "canonical", "", "", "s", True, "")
    assert asked(tmp_path, "smoke", "--programs", str(tmp_path / "nowhere")) == 2
    assert "nowhere" in capsys.readouterr().err
    for side in ("train", "dev"):
        records.write(tmp_path / f"{side}.jsonl", [row])
    assert asked(tmp_path, "smoke", "--programs", str(tmp_path)) == 0
    assert [each["origin"] for each in learnt["train_programs"] + learnt["dev_programs"]] == ["code_contests"] * 2
    assert learnt["train"]
