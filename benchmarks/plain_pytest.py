"""The twin's mutants under plain pytest, beside Assay: `python benchmarks/plain_pytest.py > docs/mutants.md`.

Plain pytest asserts the same thresholds on the numbers that the subject reports of itself (`plain_twin.py`). With the
output of `assay mutants --full --json` as an argument, Assay's side is read from there, that of the systems, too.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from acceptance.mutants.catalogue import MUTANTS, PROJECT  # noqa: E402

from assay import digests, mutants, sabotage, scratch  # noqa: E402
from assay.mutants import Mutant, take_step  # noqa: E402
from assay.nursery import Nursery, fork  # noqa: E402
from assay.spec import SMOKE  # noqa: E402

HEAD = """# Who catches what

The mutants of the twin (`acceptance/mutants/`), each an honest little system sabotaged by one defect that was seen in a
real repository. *Plain pytest* asserts the same thresholds on the numbers that the system reports of itself
(`benchmarks/plain_twin.py`). Written by `python benchmarks/plain_pytest.py FULL.json > docs/mutants.md`, where
`assay mutants --full --json > FULL.json`.

"""

SYSTEMS = """
## The systems

The generic mutants (`assay.sabotage`) on the systems here, each through its own acceptance suite up to the first row
that caught it, and the check that did: in the smoke profile, or, where a run that learns next to nothing looks no
different from a sabotaged one, in the one that is named. A dash: it found nothing to break. Timings and method claims
are left out.

"""

FOOT = "Twin, mutants and plain suite as they were then: "
"""Before the digest with which the document is compared: it goes stale with any of them, not with the harness."""


def red(nursery: Nursery, mutant: Mutant) -> bool:
    """Whether plain pytest turns red on the mutant."""
    with scratch.folder("plain") as place:
        root = place / "twin"
        shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns("__pycache__", ".assay"))
        shutil.copyfile(ROOT / "benchmarks" / "plain_twin.py", root / "test_twin.py")
        for step in (*mutant.edits, *(one for one in mutant.then if isinstance(one, mutants.Edit))):
            take_step(step, root)  # steps on a ledger or a store touch nothing that plain pytest has
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'impl'}"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with open(os.devnull, "r+b") as nothing:
            streams = [nothing.fileno()] * 3
            return fork(nursery.address, "benchmarks.plain_pytest:child", {}, streams, environment, root).wait() != 0


def child() -> int:
    """The process that runs pytest in the folder of one mutant."""
    import pytest

    return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "test_twin.py"]))


def digest() -> str:
    """Of twin, mutants and plain suite, comments aside."""
    files = [path for path in PROJECT.parent.rglob("*") if path.is_file() and not path.match("__pycache__/*")]
    files += [ROOT / "benchmarks" / name for name in ("plain_pytest.py", "plain_twin.py")]
    rows = {
        path.relative_to(ROOT).as_posix(): digests.of_source(path.read_bytes())
        if path.suffix == ".py"
        else digests.of_file(path)
        for path in sorted(files)
        if ".assay" not in path.parts
    }
    return digests.of_json(rows)[:16]


def document(plain: Sequence[bool], matrix: Mapping[str, Any]) -> str:
    """The table, from who was red and the JSON of `assay mutants`."""
    rows, honest = {row["id"]: row for row in matrix["mutants"]}, matrix["honest"]
    others = {(row["id"].partition("/")[0], row["profile"]) for row in matrix["mutants"] if row["tier"] == "system"}
    twins = honest["runs"] - len(others)  # the honest run of a system is what its mutants are compared with
    killed = sum(rows[mutant.id]["ok"] for mutant in MUTANTS)
    lines = [
        "| | mutants caught | honest twins accused |", "|---|---|---|",
        f"| plain pytest | {sum(plain)} of {len(plain)} | 0 of 1 |",
        f"| Assay | {killed} of {len(plain)} | {len(honest['false_alarms'])} of {twins} |", "",
        "| mutant | what was done | plain pytest | Assay |", "|---|---|---|---|",
    ]  # fmt: skip
    for mutant, caught in zip(MUTANTS, plain, strict=True):
        by = f"`{mutant.killed_by}`" if rows[mutant.id]["ok"] else "**survived**"
        lines.append(f"| {mutant.id} | {mutant.defect} | {'red' if caught else 'green'} | {by} |")
    return HEAD + "\n".join([*lines, "", f"{FOOT}`{digest()}`."]) + "\n" + systems(matrix)


def systems(matrix: Mapping[str, Any]) -> str:
    """Which check caught which generic mutant on which system; nothing where none was tried."""
    found = {tuple(row["id"].split("/")): row for row in matrix["mutants"] if row["tier"] == "system"}
    names = sorted({system for system, _ in found})
    if not names:
        return ""

    def cell(row: Mapping[str, Any]) -> str:
        if not row["ok"]:
            return "**survived**"
        where = "" if row["profile"] == SMOKE else f", {row['profile']}"
        return f"`{row['expected']}`{where}" if row["expected"] in row["killed_by"] else "-"

    lines = [f"| mutant | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    for one in sabotage.GENERIC:
        lines.append(f"| {one.id} | {' | '.join(cell(found[name, one.id]) for name in names)} |")
    return SYSTEMS + "\n".join(lines) + "\n"


def main() -> None:
    """Print the document."""
    with (
        Nursery(["pytest", *mutants.TORCH]) as nursery,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        if red(nursery, Mutant("honest", "", "")):
            sys.exit("the honest twin itself is red under plain pytest: nothing could be compared")
        plain = list(pool.map(lambda mutant: red(nursery, mutant), MUTANTS))
    given = sys.argv[1:]
    matrix = json.loads(Path(given[0]).read_text()) if given else mutants.run(ROOT).as_json()
    print(document(plain, matrix), end="")


if __name__ == "__main__":
    main()
