"""Starts a system's server on a published folder, and only when the system is DONE. There is no way around the gate.

The server is the system's own: it is handed a folder, reads the verdict file there, and never meets the harness.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from assay import attest, notary
from assay.attest import VerdictFile
from assay.board import SystemBoard
from assay.errors import AttestError, NotDoneError
from assay.project import STATE_FOLDER, Project

_SHOWN = 8


def publish(project: Project, name: str, target: str, folder: Path) -> VerdictFile:
    """Copy the judged artifact of a system into a folder, with statement and verdict file, DONE or not.

    Raises:
        AttestError: when there is no fresh evidence, no artifact, or more than one.
    """
    statement = notary.make(project, name, target)
    keys = {
        row.evidence.artifact for row in statement.assay.rows if row.evidence and row.requirement.kind == "artifact"
    }
    keys -= {""}
    record = project.store.record("artifact", min(keys)) if keys else None
    if record is None:
        raise AttestError(f"{name} on {target}: no trained artifact is here to be published; run `assay verify {name}`")
    project.store.verify("artifact", min(keys))
    return attest.publish(statement, project.store.path("artifact", min(keys)), record["files"], folder)


def command(project: Project, name: str, target: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command that serves a DONE system: the spec's own, the published folder, then further arguments.

    Raises:
        NotDoneError: when a gating row is not PASS by evidence of this machine; the text names the rows.
        AttestError: when the system has no serve command or no artifact here.
    """
    spec = project.spec(name)
    words = shlex.split(spec.system.serve)
    if not words:
        raise AttestError(f'{spec.path}: [system] has no serve command; write serve = "python -m {name} serve"')
    (board,) = project.board([name], target, borrow=False).systems
    if not board.done:
        raise NotDoneError(_refusal(board))
    folder = project.root / STATE_FOLDER / "serve" / f"{name}.{target}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    publish(project, name, target, folder)
    first = sys.executable if words[0] in ("python", "python3") else words[0]
    return [first, *words[1:], str(folder), *arguments]


def run(project: Project, words: Sequence[str]) -> int:
    """Run the server until it ends; its exit code."""
    paths = [*map(str, project.roots), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    try:
        return subprocess.run(words, cwd=project.root, env=environment, check=False).returncode
    except FileNotFoundError:
        raise AttestError(f"{words[0]}: there is no such command; the specification's serve names it") from None
    except KeyboardInterrupt:
        return 130


def _refusal(board: SystemBoard) -> str:
    missing = [
        f"{row.kind} {row.requirement.id}: {row.verdict.reason}" for row in board.gating if not row.verdict.passed
    ]
    said = [*board.problems, *missing] or ["no row gates"]
    more = [f"and {len(said) - _SHOWN} more"] if len(said) > _SHOWN else []
    lines = "\n  ".join([*said[:_SHOWN], *more])
    return f"{board.name} is NOT DONE on {board.target} and is not served:\n  {lines}"
