"""Twenty honest twins: other seeds, other data, other hyper-parameters. Nobody may accuse them."""

from __future__ import annotations

import re
from pathlib import Path

from assay.mutants import Edit, Honest

SPEC = "spec/twin.toml"

CHANGES: tuple[dict[str, str], ...] = (
    {"seed": "1"},
    {"seed": "2"},
    {"seed": "3"},
    {"seed": "4", "epochs": "7"},
    {"seed": "5", "epochs": "8"},
    {"seed": "6", "learning_rate": "0.06", "head_rate": "0.1"},
    {"seed": "7", "learning_rate": "0.1", "head_rate": "0.06"},
    {"seed": "8", "batch_size": "64", "accumulation": "1"},
    {"seed": "9", "batch_size": "16", "accumulation": "4"},
    {"seed": "10", "dropout": "0.05"},
    {"seed": "11", "dropout": "0.2", "epochs": "8"},
    {"seed": "12", "mask_share": "0.25"},
    {"seed": "13", "warmup_updates": "16", "epochs": "7"},
    {"seed": "14", "contrast_weight": "0.2"},
    {"seed": "15", "isotropy_weight": "0.1"},
    {"seed": "16", "lengths": "[9, 12]"},
    {"seed": "17", "precision": '"fp32"'},
    {"seed": "18", "data.seed": "2"},
    {"seed": "19", "data.seed": "3"},
    {"seed": "20", "data.seed": "4", "epochs": "7"},
)

FULL = (0, 17)
"""Variations for which the rows that train several times over are judged, too."""

_PROFILE = re.search(
    r"\[profile\.cpu\]\n.*?\n\n", (Path(__file__).with_name("twin") / SPEC).read_text(encoding="utf-8"), re.DOTALL
)


def _edits(changes: dict[str, str]) -> tuple[Edit, ...]:
    assert _PROFILE is not None
    table = _PROFILE.group()
    for key, value in changes.items():
        if key != "data.seed":
            table = re.sub(rf"^({key}\s*= ).*$", lambda match, value=value: match.group(1) + value, table, flags=re.M)
    edits = [Edit(SPEC, _PROFILE.group(), table)]
    if "data.seed" in changes:
        before = "[data.reviews]\nseed    = 1\n"
        edits.append(Edit(SPEC, before, before.replace("1", changes["data.seed"])))
    return tuple(edits)


HONEST = tuple(
    Honest(f"honest-{number}", _edits(changes), full=number in FULL) for number, changes in enumerate(CHANGES)
)
