"""The twin, its honest variations and its mutants: what `assay mutants` runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from acceptance.mutants import data, evaluation, isolation, reporting, training
from acceptance.mutants.variations import HONEST
from assay import documents
from assay.evidence import CheckResult
from assay.project import Project
from assay.worker import Worker

__all__ = ["HONEST", "MUTANTS", "PROJECT", "afterwards"]

PROJECT = Path(__file__).with_name("twin")
MUTANTS = (*data.MUTANTS, *training.MUTANTS, *evaluation.MUTANTS, *reporting.MUTANTS, *isolation.MUTANTS)


def afterwards(root: Path) -> list[CheckResult]:
    """The twin writes its document from the board, in a process of its own; every number in it must be the board's."""
    project = Project(root)
    board: dict[str, Any] = project.board(target="cpu").as_json()
    with Worker(project.roots) as worker:
        (text,) = worker.ask("call", artifact=None, method="twin.report:document", items=[board], arguments={})
    sizes = [len(path.read_text().splitlines()) for path in (project.store.root / "data").glob("*/*.jsonl")]
    return documents.checks(text, documents.known(json.loads(json.dumps(board)), sizes))
