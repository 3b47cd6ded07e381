"""Functions of the corpus on three sides, split by distribution: the data set that several suites start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acceptance import jsonl
from assay.session import Session
from assay.subject import Dataset
from corpus import distributions
from corpus.functions import Function, functions_of
from corpus.splits import split

Tables = Callable[[str], dict[str, Any]]


def tables(session: Session, system: str) -> Tables:
    """Name -> `[data.NAME]` of the system's spec, for the profile that runs."""
    spec = session.project.spec(system)
    profile = session.profile_of(spec)
    return lambda name: spec.table(name, profile)


def functions(dataset: Callable[..., Dataset], tables: Tables) -> Dataset:
    """Functions of the distributions in `[data.corpus]`: train.jsonl, dev.jsonl, test.jsonl."""
    sides = tables("corpus")
    files = {
        f"{found.name}/{path.relative_to(found.root).as_posix()}": path
        for found in distributions.find([*sides["train"], *sides["dev"], *sides["test"]])
        for path in found.files
    }
    return dataset("functions", build_functions, sources=files, tables=["corpus"], **sides)


def build_functions(out: Path, train: list[str], dev: list[str], test: list[str]) -> None:
    """Write train.jsonl, dev.jsonl and test.jsonl."""
    found = functions_of(distributions.find([*train, *dev, *test]))
    for side, rows in split(found, train, dev, test).items():
        jsonl.write(out / f"{side}.jsonl", (asdict(row) for row in rows))


def records(path: Path) -> list[Function]:
    """What `build_functions` wrote, as records of the corpus."""
    return [Function(**{**row, "uses": tuple(row["uses"])}) for row in jsonl.read(path)]
