"""What holding a contract against data gave, as one HTML page that needs nothing else.

Everything foreign - names, samples - is text: escaped, never interpreted.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from assay.contracts import ContractResult
from assay.errors import AssayError


def render(result: ContractResult, data: Path, path: Path | None = None) -> str:
    """The page as HTML text; also written to `path` (UTF-8) unless that is None.

    Raises:
        AssayError: when `path` cannot be written.
    """
    template = resources.files("assay.report").joinpath("contract.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(template).render(result=result, data=data.name, shown=_shown)
    if path is not None:
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise AssayError(f"{path}: cannot be written: {error.strerror}; choose another place with -o") from None
    return text


def _shown(example: Any) -> str:
    """A value as JSON; what a browser or a terminal would act on is written as an escape."""
    text = json.dumps(example, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
