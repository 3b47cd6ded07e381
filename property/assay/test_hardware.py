"""Laws of the hardware: what is claimed is probed by running on it, and what is not there is an error with a reason."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay import hardware
from assay.errors import HardwareError
from assay.spec import HARDWARE

GPU = Path("/dev/nvidia0").exists()


@pytest.fixture(autouse=True)
def _unremembered() -> Iterator[None]:
    hardware.probe.cache_clear()
    yield
    hardware.probe.cache_clear()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the kernel process find what a test wants it to find; returns what was asked for."""
    asked: list[str] = []

    def pretend(names: list[str], memory: float = 15.0, code: int = 0, error: str = "") -> list[str]:
        def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
            asked.append(command[-1])
            said = "a warning\n" + json.dumps({"names": names, "memory": memory}) + "\n"
            return subprocess.CompletedProcess(command, code, stdout=said, stderr=error)

        monkeypatch.setattr(subprocess, "run", run)
        return asked

    return pretend


def test_the_cpu_says_what_it_is() -> None:
    found = hardware.probe("cpu")
    assert found.kind == "cpu"
    assert found.model.strip()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_gib > 0
    assert platform.system() in found.platform
    assert hardware.probe("cpu") is found
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and "model name" in cpuinfo.read_text():
        assert f"model name\t: {found.model}\n" in cpuinfo.read_text()


@pytest.mark.skipif(GPU, reason="this machine has an NVIDIA GPU")
def test_claimed_and_absent_is_an_error_with_the_reason() -> None:
    """The real kernel in a real process, on a machine without the device."""
    with pytest.raises(HardwareError, match=r"hardware cuda is claimed and does not work here: .*CUDA"):
        hardware.probe("cuda")
    assert hardware.found(HARDWARE) == "cpu"


@pytest.mark.skipif(not GPU, reason="this machine has no NVIDIA GPU")
def test_claimed_and_there_is_probed_by_a_kernel() -> None:
    found = hardware.probe("cuda")
    assert (found.kind, found.cores >= 1, found.memory_gib > 1) == ("cuda", True, True)
    assert hardware.found(HARDWARE) == "cuda"


@pytest.mark.parametrize("name", ["gpu", "", "CUDA"])
def test_unknown_hardware_is_an_error_that_lists_what_is_known(name: str) -> None:
    with pytest.raises(HardwareError, match=f'unknown hardware "{name}".*cpu, cuda, mps, tpu, t4x2, rtx3050'):
        hardware.probe(name)


def test_every_name_of_the_spec_can_be_probed(kernel: Any) -> None:
    """Law: a name that a spec may demand is one that the probe knows, and only "cpu" needs no kernel."""
    asked = kernel(["Tesla T4", "Tesla T4", "NVIDIA GeForce RTX 3050"])
    for name in HARDWARE:
        assert hardware.probe(name).kind == name
    assert asked == [name for name in HARDWARE if name != "cpu"]


@pytest.mark.parametrize(
    ("kind", "names", "there"),
    [
        ("cuda", [], False),
        ("cuda", ["NVIDIA H200"], True),
        ("t4x2", ["Tesla T4"], False),
        ("t4x2", ["Tesla T4", "NVIDIA H200"], False),
        ("t4x2", ["Tesla T4", "Tesla T4"], True),
        ("rtx3050", ["NVIDIA GeForce RTX 3060"], False),
        ("rtx3050", ["NVIDIA GeForce RTX 3050"], True),
        ("mps", ["Apple MPS"], True),
    ],
)
def test_another_device_is_not_the_one_that_was_claimed(kernel: Any, kind: str, names: list[str], there: bool) -> None:
    kernel(names)
    if there:
        found = hardware.probe(kind)
        assert (found.kind, found.model, found.cores) == (kind, names[0], len(names))
        return
    with pytest.raises(HardwareError, match=f"hardware {kind} is claimed and not there: found") as caught:
        hardware.probe(kind)
    assert (", ".join(names) or "no device") in str(caught.value)


def test_a_device_that_computes_wrongly_is_not_there(kernel: Any) -> None:
    kernel(["NVIDIA H200"], code=1, error="Traceback\nAssertionError: a matrix product came out wrong\n")
    with pytest.raises(HardwareError, match="does not work here: AssertionError: a matrix product came out wrong"):
        hardware.probe("cuda")


def test_a_device_that_does_not_answer_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(command: list[str], **options: Any) -> None:
        assert options["timeout"] <= 300
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(HardwareError, match="did not answer"):
        hardware.probe("cuda")


def test_an_error_is_not_remembered(kernel: Any) -> None:
    """A device that was busy may be there the next time; one that was there is not probed twice."""
    kernel([], code=1, error="busy")
    with pytest.raises(HardwareError, match="busy"):
        hardware.probe("cuda")
    asked = kernel(["NVIDIA H200"])
    assert hardware.probe("cuda").model == "NVIDIA H200"
    assert hardware.probe("cuda").model == "NVIDIA H200"
    assert asked == ["cuda", "cuda"]


@pytest.mark.parametrize("candidates", [(), ("cpu",), ("cpu", "tpu"), ("t4x2", "rtx3050")])
def test_nothing_is_started_where_no_accelerator_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, candidates: tuple[str, ...]
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("a process was started"))
    assert hardware.found(candidates) == "cpu"


@pytest.mark.parametrize(("works", "expected"), [(True, "cuda"), (False, "cpu")])
def test_a_device_file_alone_is_no_device(
    kernel: Any, monkeypatch: pytest.MonkeyPatch, works: bool, expected: str
) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: True)
    kernel(["NVIDIA H200"] if works else [], code=0 if works else 1)
    assert hardware.found(("cpu", "cuda")) == expected


def test_apple_gpus_are_found_on_apple_machines(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(["Apple MPS"])
    assert hardware.found(("mps",)) == "cpu" or sys.platform == "darwin"
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert hardware.found(("cpu", "mps")) == "mps"
