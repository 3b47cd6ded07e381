"""The tasks on top of the encoder: what each learns is saved beside it, in the same artifact.

It must never touch the encoder's weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphmer.encoder import Encoder


def fit(encoder: Encoder, data: Mapping[str, Path], out: Path, profile: Mapping[str, Any]) -> None:
    """Fit the heads whose data are among `data` (name -> file) and leave them in `out`."""
