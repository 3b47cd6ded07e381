"""Real code to state the laws on: a handful of standard-library files, read once."""

import sysconfig
from pathlib import Path

import pytest

from corpus.distributions import Distribution
from corpus.functions import Function, functions

FILES = (
    *("argparse.py", "csv.py", "dataclasses.py", "difflib.py", "fractions.py", "heapq.py", "inspect.py"),
    *("json/decoder.py", "pathlib.py", "shutil.py", "statistics.py", "tarfile.py", "textwrap.py", "zipfile.py"),
)


@pytest.fixture(scope="session")
def library() -> Distribution:
    root = Path(sysconfig.get_path("stdlib"))
    return Distribution("python", "3", "PSF-2.0", root, tuple(root / name for name in FILES))


class Functions(list[Function]):
    """Hypothesis prints the arguments of a failing example: not all of these."""

    def __repr__(self) -> str:
        return f"<{len(self)} functions>"


@pytest.fixture(scope="session")
def real(library: Distribution) -> list[Function]:
    return Functions(functions(library))
