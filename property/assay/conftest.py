"""A toy project that inner pytest runs judge: one numpy subject, three requirements, everything in a second.

Inner runs are processes of their own, forked from one that has imported the libraries, with no other plugin than
Assay's; what is asked `fresh` starts a new interpreter with all that is installed, as a user does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from assay.nursery import ENVIRONMENT, Nursery, fork

IMPORTED = (
    *(
        "pytest",
        "numpy",
        "pydantic",
        "rich.console",
        "safetensors.numpy",
        "sklearn.metrics",
        "scipy.stats",
        "jinja2",
        "torch",
    ),
    *("assay.plugin", "assay.cli", "assay.session", "assay.measurement", "assay.worker", "assay.report.html"),
    "assay.mutants:warm",
)

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
    nursery: ClassVar[str] = ""
    """Address of the process that inner runs are forked from."""

    def file(self, name: str) -> Path:
        return self.root / name

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace a text that must be there."""
        path = self.root / name
        text = path.read_text()
        assert before in text, f"{name} does not hold {before!r}"
        path.write_text(text.replace(before, after))

    def _run(
        self, *command: str, environment: dict[str, str] | None = None, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """`python -m COMMAND` in the project."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_", "GITHUB_"))}
        inherited |= {"ASSAY_CACHE": str(self.root / "cache"), "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        if fresh:
            return subprocess.run(
                [sys.executable, "-m", *command],
                cwd=self.root, env=inherited | (environment or {}), capture_output=True, text=True, timeout=180, check=False,
            )  # fmt: skip
        inherited |= {
            ENVIRONMENT: self.nursery, "PYTHONPATH": str(Path(__file__).parent),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "assay.plugin", **(environment or {}),
        }  # fmt: skip
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error, open(os.devnull, "rb") as nothing:
            streams = [nothing.fileno(), out.fileno(), error.fileno()]
            arguments = {"words": list(command)}
            child = fork(self.nursery, "inner:run", arguments, streams, inherited, self.root)
            code = child.wait(timeout=180)
            said = [os.pread(one.fileno(), 1 << 24, 0).decode() for one in (out, error)]
        return subprocess.CompletedProcess(command, code, *said)

    def pytest(
        self, *arguments: str, environment: dict[str, str] | None = None, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        return self._run("pytest", "-p", "no:cacheprovider", *arguments, environment=environment, fresh=fresh)

    def assay(self, *arguments: str, fresh: bool = False) -> subprocess.CompletedProcess[str]:
        return self._run("assay.cli", *arguments, fresh=fresh)

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


@pytest.fixture(scope="session")
def _nursery() -> Iterator[None]:
    with Nursery(IMPORTED) as nursery:
        Toy.nursery = nursery.address
        yield


@pytest.fixture
def toy(tmp_path: Path, _nursery: None) -> Toy:
    """The toy project, not yet judged."""
    return _lay_out(tmp_path / "project")


@pytest.fixture(scope="session")
def _judged_once(tmp_path_factory: pytest.TempPathFactory, _nursery: None) -> Path:
    toy = _lay_out(tmp_path_factory.mktemp("judged") / "project")
    done = toy.pytest("acceptance")
    assert done.returncode == 0, done.stdout + done.stderr
    return toy.root


@pytest.fixture
def judged(_judged_once: Path, tmp_path: Path) -> Toy:
    """A copy of the toy project after one good run; ledger, weights and data set are in the copy."""
    return Toy(Path(shutil.copytree(_judged_once, tmp_path / "project")))
