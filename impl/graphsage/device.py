"""Where a model computes and in which precision: decided once, from what the machine really multiplies fast.

A device that was asked for and is not there is an error; nothing falls back to another one in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

KINDS = ("cpu", "cuda", "mps")
PRECISIONS = ("native", "bf16", "fp32")
_NATIVE_BF16 = ("amx_bf16", "avx512_bf16", "bf16")  # x86 matrix and vector units, Arm
_NATIVE_INT8 = ("avx512_vnni", "avx_vnni")
_TILES = ("amx_bf16",)


class DeviceUnavailable(ValueError):  # noqa: N818 (says what is the case)
    """The device is unknown, or this machine does not have it."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device and the type of the numbers in its matrix products."""

    kind: str
    dtype: torch.dtype
    int8: bool = False  # 8-bit products, for answers alone: three times as fast as fp32, off by 1 %

    @classmethod
    def of(cls, kind: str, precision: str, answers: bool = False) -> Device:
        """`precision` "native" is bf16 where the device has units for it, else fp32.

        Without such units a bf16 product takes 5 to 10 times as long as an fp32 one. For `answers` it is 8 bits where a
        CPU has vector units for them and no tiles: an answer takes .85 of the time of one with bf16 there. Raises
        DeviceUnavailable, and ValueError for an unknown precision.
        """
        if kind not in KINDS:
            raise DeviceUnavailable(f'device = "{kind}": known are {", ".join(KINDS)}')
        if precision not in PRECISIONS:
            raise ValueError(f'precision = "{precision}": known are {", ".join(PRECISIONS)}')
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not there[kind]:
            raise DeviceUnavailable(f'device "{kind}" is not here; ask for one of {[k for k in KINDS if there[k]]}')
        native = precision == "native"
        half = precision == "bf16" or (native and _has_bf16(kind))
        if answers and native and kind == "cpu" and _cpu_has(_NATIVE_INT8) and not _cpu_has(_TILES):
            return cls(kind, torch.float32, int8=True)
        return cls(kind, torch.bfloat16 if half else torch.float32)

    @property
    def name(self) -> str:
        """ "cpu bf16": what answers state."""
        return f"{self.kind} {'int8' if self.int8 else 'bf16' if self.dtype is torch.bfloat16 else 'fp32'}"

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.kind, dtype=torch.bfloat16, enabled=self.dtype is torch.bfloat16)


def _has_bf16(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and _cpu_has(_NATIVE_BF16)


def _cpu_has(units: Sequence[str]) -> bool:
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in units)
