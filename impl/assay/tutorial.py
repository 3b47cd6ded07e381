"""What `assay init` writes: a specification, a subject and an acceptance test around a scikit-learn model.

The files under `templates/` are the tutorial itself; a test runs them as they are.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from assay.errors import AssayError

TEMPLATES = Path(__file__).with_name("templates")


def write(folder: Path) -> list[Path]:
    """Copy the tutorial project into the folder; returns the files written.

    Raises:
        AssayError: when one of the files is already there; nothing is written then.
    """
    sources = sorted(p for p in TEMPLATES.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    targets = [folder / p.relative_to(TEMPLATES) for p in sources]
    present = [target for target in targets if target.exists()]
    if present:
        raise AssayError(f"{present[0]} is already there; run `assay init` in an empty folder")
    for source, target in zip(sources, targets, strict=True):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise AssayError(f"{target}: cannot be written: {error.strerror}") from None
    return targets
