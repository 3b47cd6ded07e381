"""Which hardware is really there: probed by executing a kernel on it, never by asking for a flag.

An absent accelerator is an error where a run claims it; nothing here falls back to another device.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from assay.errors import HardwareError
from assay.evidence import Hardware
from assay.spec import HARDWARE

_KERNEL = """
import json, sys
kind = sys.argv[1]
import torch
if kind == "tpu":
    import torch_xla.core.xla_model as xm
    devices = [xm.xla_device()]
    names = ["TPU"]
elif kind == "mps":
    devices, names = [torch.device("mps")], ["Apple MPS"]
else:
    count = torch.cuda.device_count()
    devices = [torch.device("cuda", i) for i in range(count)]
    names = [torch.cuda.get_device_name(i) for i in range(count)]
for device in devices:
    a = torch.arange(4096, dtype=torch.float32, device=device).reshape(64, 64)
    product = (a @ a.T).cpu().double()  # in this order: Apple GPUs have no float64
    expected = (a.cpu().double() @ a.cpu().double().T)
    assert torch.allclose(product, expected, rtol=1e-2), "a matrix product came out wrong"
memory = torch.cuda.get_device_properties(0).total_memory / 2**30 if kind not in ("tpu", "mps") else 0.0
print(json.dumps({"names": names, "memory": memory}))
"""

_NEEDED_NAMES = {"t4x2": ("T4", 2), "rtx3050": ("RTX 3050", 1), "cuda": ("", 1)}


@functools.cache
def probe(kind: str) -> Hardware:
    """Run a kernel on that hardware and say what it is.

    Raises:
        HardwareError: when it is not there or computes wrongly; the text holds the reason.
    """
    if kind not in HARDWARE:
        raise HardwareError(f'unknown hardware "{kind}" (known: {", ".join(HARDWARE)})')
    if kind == "cpu":
        return Hardware(
            kind="cpu",
            model=_cpu_model(),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            memory_gib=_memory_gib(),
            platform=platform.platform(terse=True),
        )
    result = _run_kernel(kind)
    names: list[str] = result["names"]
    wanted, count = _NEEDED_NAMES.get(kind, ("", 1))
    if len([name for name in names if wanted in name]) < count:
        found = ", ".join(names) or "no device"
        raise HardwareError(f"hardware {kind} is claimed and not there: found {found}")
    return Hardware(
        kind=kind,
        model=names[0],
        cores=len(names),
        memory_gib=round(result["memory"], 1),
        platform=platform.platform(terse=True),
    )


def found(candidates: tuple[str, ...]) -> str:
    """The best of the candidates that works here; "cpu" when nothing else does. Cheap where no accelerator is."""
    if "cuda" in candidates and Path("/dev/nvidia0").exists() and _works("cuda"):
        return "cuda"
    if "mps" in candidates and sys.platform == "darwin" and platform.machine() == "arm64" and _works("mps"):
        return "mps"
    return "cpu"


def _works(kind: str) -> bool:
    try:
        probe(kind)
    except HardwareError:
        return False
    return True


def _run_kernel(kind: str) -> Any:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _KERNEL, kind], capture_output=True, text=True, timeout=180, check=False
        )
    except subprocess.TimeoutExpired:
        raise HardwareError(f"hardware {kind} is claimed and did not answer within 180 s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise HardwareError(f"hardware {kind} is claimed and does not work here: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return 0.0
