"""The twin's mutants under plain pytest, beside Assay: `python benchmarks/plain_pytest.py > docs/mutants.md`.

Plain pytest asserts the same thresholds on the numbers that the subject reports of itself (`plain_twin.py`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from acceptance.mutants.catalogue import MUTANTS, PROJECT  # noqa: E402

from assay import mutants  # noqa: E402
from assay.mutants import Mutant, take_step  # noqa: E402

HEAD = """# Who catches what

The mutants of the twin (`acceptance/mutants/`), each an honest little system sabotaged by one defect that was seen in a
real repository. *Plain pytest* asserts the same thresholds on the numbers that the system reports of itself. Written by
`python benchmarks/plain_pytest.py > docs/mutants.md`.

"""


def plainly(mutant: Mutant) -> bool:
    """Whether plain pytest turns red on the mutant."""
    with tempfile.TemporaryDirectory(prefix="plain-") as place:
        root = Path(place) / "twin"
        shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__", ".assay"))
        shutil.copyfile(ROOT / "benchmarks" / "plain_twin.py", root / "test_twin.py")
        for step in (*mutant.edits, *mutant.then):
            try:
                take_step(step, root)
            except OSError:
                pass  # a step on what plain pytest does not have: a ledger, a store
            except Exception as error:
                if "sqlite" not in type(error).__module__:
                    raise
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "test_twin.py"]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False).returncode != 0


def main() -> None:
    """Print the document."""
    if plainly(Mutant("honest", "", "")):
        sys.exit("the honest twin itself is red under plain pytest: nothing could be compared")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        plain = list(pool.map(plainly, MUTANTS))
    matrix = mutants.run(ROOT)
    caught, killed = sum(plain), sum(row.ok for row in matrix.mutants)
    print(HEAD, end="")
    print("| | mutants caught | honest twins accused |\n|---|---|---|")
    print(f"| plain pytest | {caught} of {len(plain)} | 0 of 1 |")
    print(f"| Assay | {killed} of {len(plain)} | {len(matrix.false_alarms)} of {matrix.honest_runs} |\n")
    print("| mutant | what was done | plain pytest | Assay |\n|---|---|---|---|")
    for row, red in zip(matrix.mutants, plain, strict=True):
        by = f"`{row.expected}`" if row.ok else "**survived**"
        print(f"| {row.id} | {row.defect} | {'red' if red else 'green'} | {by} |")


if __name__ == "__main__":
    main()
