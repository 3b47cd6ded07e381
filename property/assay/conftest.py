"""A toy project that inner pytest runs judge: one numpy subject, three requirements, everything in a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SPEC = """
[system]
name = "toy"
title = "A plane through points"
targets = ["cpu"]
train = "toy:train"
load = "toy:load"

[profile.cpu]
seed = 0
slope = 2.0

[profile.smoke]
seed = 0
slope = 2.0

[[requirement]]
id = "auroc"
statement = "Ranks positives above negatives"
metric = "classification.auroc"
at_least = 0.8
data = "points"
beats = [{ baseline = "coin" }]

[[requirement]]
id = "accuracy"
statement = "Gets most of them right"
metric = "classification.accuracy"
at_least = 0.7
data = "points"

[[requirement]]
id = "size"
statement = "Six numbers, no more"
metric = "artifact.parameters"
equals = 6
"""

SUBJECT = '''
"""The subject: a logistic plane."""
import json
import numpy as np
from safetensors.numpy import load_file, save_file


def train(config, data, out):
    rows = json.loads(data["train"].read_text())
    x, y = np.array(rows["x"]), np.array(rows["y"])
    weight = config["slope"] * (x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0))
    rng = np.random.default_rng(config["seed"])
    with open(out / "trained.txt", "a") as file:
        file.write("once\\n")
    save_file({"w": np.append(weight, 1e-3 * rng.normal())}, out / "model.safetensors")


def load(artifact):
    return Plane(load_file(artifact / "model.safetensors")["w"])


class Plane:
    def __init__(self, w):
        self.w = w

    def scores(self, items):
        x = np.array(items)
        return 1 / (1 + np.exp(-(x @ self.w[:5] + self.w[5])))

    def decisions(self, items):
        return (self.scores(items) > 0.5).astype(int)
'''

CONFTEST = """
import json
import numpy as np
import pytest


def build_points(out, n):
    rng = np.random.default_rng(0)
    for name in ("train", "test"):
        x = rng.normal(size=(n, 5))
        y = (x @ [1, -1, 1, 0, 0] + 0.5 * rng.normal(size=n) > 0).astype(int)
        (out / f"{name}.json").write_text(json.dumps({"x": x.tolist(), "y": y.tolist()}))


@pytest.fixture(scope="session")
def points(dataset):
    return dataset("points", build_points, sources={}, n=400)


@pytest.fixture(scope="session")
def held(points):
    return json.loads(points.path("test.json").read_text())


@pytest.fixture(scope="session")
def toy(subject, points):
    return subject("toy", data={"train": points.path("train.json")}, datasets=[points])
"""

TESTS = {
    "auroc": """
import numpy as np
import pytest


@pytest.mark.requirement("toy/auroc")
def test_auroc(judge, toy, held):
    coin = np.random.default_rng(1).random(len(held["y"]))
    judge(toy.predictions("scores", held["x"]), gold=held["y"], baselines={"coin": coin})
""",
    "accuracy": """
import pytest


@pytest.mark.requirement("toy/accuracy")
def test_accuracy(judge, toy, held):
    judge(toy.predictions("decisions", held["x"]), gold=held["y"])
""",
    "size": """
import pytest


@pytest.mark.requirement("toy/size")
def test_size(judge, toy):
    judge(toy.artifact, subject=toy)
""",
}


@dataclass
class Toy:
    """The toy project on disk, and how to run pytest and assay on it."""

    root: Path

    def file(self, name: str) -> Path:
        return self.root / name

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace a text that must be there."""
        path = self.root / name
        text = path.read_text()
        assert before in text, f"{name} does not hold {before!r}"
        path.write_text(text.replace(before, after))

    def _run(self, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "GITHUB_"))}
        inherited |= {"ASSAY_CACHE": str(self.root / "cache"), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        inherited |= environment or {}
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.root, env=inherited, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

    def pytest(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return self._run("pytest", "-p", "no:cacheprovider", *arguments, environment=environment)

    def assay(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("assay.cli", *arguments)

    def rows(self) -> dict[str, dict[str, Any]]:
        """Requirement id -> its row of `assay status --json`."""
        done = self.assay("status", "--json")
        assert done.returncode == 0, done.stderr
        (system,) = json.loads(done.stdout)["systems"]
        return {row["id"]: row for row in system["requirements"]}


def _lay_out(root: Path) -> Toy:
    for name, text in {
        "spec/toy.toml": SPEC,
        "toy.py": SUBJECT,
        "acceptance/conftest.py": CONFTEST,
        "pytest.ini": "[pytest]\n",
        **{f"acceptance/test_{name}.py": text for name, text in TESTS.items()},
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    toy = Toy(root)
    assert toy.assay("spec", "lock").returncode == 0
    return toy


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """The toy project, not yet judged."""
    return _lay_out(tmp_path / "project")


@pytest.fixture(scope="session")
def _judged_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    toy = _lay_out(tmp_path_factory.mktemp("judged") / "project")
    done = toy.pytest("acceptance")
    assert done.returncode == 0, done.stdout + done.stderr
    return toy.root


@pytest.fixture
def judged(_judged_once: Path, tmp_path: Path) -> Toy:
    """A copy of the toy project after one good run; ledger, weights and data set are in the copy."""
    return Toy(Path(shutil.copytree(_judged_once, tmp_path / "project")))
