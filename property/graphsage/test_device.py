"""Laws of the device: what is asked for is what is used, or an error that names it; nothing falls back in silence."""

import pytest
import torch

from graphsage.device import Device, DeviceUnavailable

HAS = {"avx512_bf16": {"avx512_bf16": True, "avx512_vnni": True}, "avx512_vnni": {"avx512_vnni": True}, "neither": {}}


@pytest.mark.parametrize(
    ("units", "precision", "name"),
    [
        ("avx512_bf16", "native", "cpu bf16"),
        ("avx512_vnni", "native", "cpu int8"),
        ("neither", "native", "cpu fp32"),
        ("avx512_bf16", "fp32", "cpu fp32"),
        ("avx512_vnni", "fp32", "cpu fp32"),
        ("neither", "bf16", "cpu bf16"),
    ],
)
def test_native_is_what_the_processor_has_and_a_named_precision_is_kept(monkeypatch, units, precision, name) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: HAS[units])
    device = Device.of("cpu", precision)
    assert device.name == name
    assert device.autocast().fast_dtype is torch.bfloat16
    assert device.autocast()._enabled is (name == "cpu bf16")


def test_training_never_sees_eight_bits(monkeypatch) -> None:
    """8-bit products are a matter of answers: the numbers themselves stay fp32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: HAS["avx512_vnni"])
    assert Device.of("cpu", "native").dtype is torch.float32


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_absent_accelerator_is_an_error(monkeypatch, kind) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceUnavailable, match=rf'"{kind}" is not here; ask for one of \[\'cpu\'\]'):
        Device.of(kind, "native")


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(DeviceUnavailable, match='"abacus"'):
        Device.of("abacus", "native")
