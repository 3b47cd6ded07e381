"""What `python -m NAME` does, in a process that has its libraries already: where inner runs of the toy project begin."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path


def run(words: Sequence[str]) -> None:
    """Run a module by name, with arguments; its exit status is the process's."""
    sys.path.remove(str(Path(__file__).parent))  # put there for this module alone
    sys.path.insert(0, os.getcwd())
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
