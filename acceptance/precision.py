"""What precision a profile stands for on this processor: found out by the judge, never asked of the subject."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BF16_UNITS = {"amx_bf16", "avx512_bf16", "bf16"}


def declared(profile: Mapping[str, Any]) -> str:
    """The profile's own word, or for "native" bf16 where the processor multiplies it, as the kernel tells it."""
    if profile["precision"] != "native":
        return str(profile["precision"])
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return "fp32"
    return "bf16" if _BF16_UNITS & set(flags) else "fp32"
