"""A small trained model and small data for the laws of GraphSAGE; nothing here is evidence.

The programs were not run: what they "passed" is written down here, since only the mechanics are under test.
"""

import random
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from corpus import defects, records, rewrites
from corpus.distributions import Distribution
from corpus.functions import Function, functions
from corpus.programs import Program

TRAIN = ("csv.py", "fractions.py", "heapq.py", "textwrap.py", "shutil.py")
DEV = ("statistics.py",)


def _functions(files: tuple[str, ...]) -> list[Function]:
    root = Path(sysconfig.get_path("stdlib"))
    return list(functions(Distribution("python", "3", "PSF-2.0", root, tuple(root / name for name in files))))


class Functions(list[Function]):
    """Hypothesis prints the arguments of a failing example: not all of these."""

    def __repr__(self) -> str:
        return f"<{len(self)} functions>"


@pytest.fixture(scope="session")
def real() -> list[Function]:
    return Functions(_functions((*TRAIN, *DEV)))


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """A profile that trains in a second; dropout is on, so that random state matters."""
    return {
        "hidden": [978, 24, 24, 16],
        "head": 16,
        "narrow": 2,
        "narrow_share": 0.5,
        "dropout": 0.1,
        "loss_weights": [1.0, 0.5, 0.2, 0.5, 0.5],
        "mutants": 2,
        "rewritten": 12,
        "program_visits": 2,
        "edges": True,
        "window": 40,
        "module_seen": 1,
        "functions_per_update": 8,
        "epochs": 2,
        "learning_rate": 3e-3,
        "matrix_rate": 6e-3,
        "weight_decay": 0.01,
        "average": 0.9,
        "gradient_norm": 1.0,
        "evaluations_per_epoch": 2,
        "plateau_factor": 0.5,
        "plateau_patience": 0,
        "stop_patience": 10,
        "checkpoint_every": 2,
        "device": "cpu",
        "precision": "bf16",
        "threads": 1,
        "processes": 1,
        "seed": 3,
    }


def labelled(found: list[Function]) -> list[Program]:
    """Each function with two rewrites, mutants that fail, and one that passes where there are three of them.

    Every third one has two submissions of other people, too: a right and a wrong one.
    """
    made: list[Program] = []

    def add(problem: str, kind: str, operator: str, source: str, passed: bool) -> None:
        made.append(Program(str(len(made)), problem, problem, "doctest", kind, operator, "", source, passed, ""))

    for number, function in enumerate(found):
        rng = random.Random(function.record_id)
        problem = f"problem {function.record_id}"
        add(problem, "canonical", "", function.source, True)
        written = [(name, rewrites.rewrite(function.source, name, rng)) for name in rewrites.OPERATORS]
        for name, source in [pair for pair in written if pair[1] is not None][:2]:
            add(problem, "rewrite", name, str(source), True)
        mutants = [defect for name in defects.OPERATORS if (defect := defects.mutate(function.source, name, rng))][:3]
        for place, defect in enumerate(mutants):
            add(problem, "mutant", defect.operator, defect.source, place == 2)
        if number % 3 == 0:
            add(problem, "submission", "", "def somebody(x):\n    return [x]", True)
            add(problem, "submission", "", "def another(x):\n    return None", False)
    return made


@pytest.fixture(scope="session")
def programs(real: list[Function]) -> list[Program]:
    return labelled(real[:30])


@pytest.fixture(scope="session")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("records")
    names = ("train", "dev", "train_programs", "dev_programs")
    paths = {name: folder / f"{name}.jsonl" for name in names}
    records.write(paths["train"], _functions(TRAIN)[:60])
    records.write(paths["dev"], _functions(DEV)[:12])
    records.write(paths["train_programs"], labelled(_functions(TRAIN)[60:70]))
    records.write(paths["dev_programs"], labelled(_functions(DEV)[12:18]))
    return paths


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any], sides: Mapping[str, Path]) -> Path:
    from graphsage.train import train

    out = tmp_path_factory.mktemp("artifact")
    train(tiny, sides, out)
    return out
