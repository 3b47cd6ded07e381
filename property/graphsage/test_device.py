"""Laws of the device: what is asked for is what is used, or an error that names it; nothing falls back in silence."""

import pytest
import torch

from graphsage.device import Device, DeviceUnavailable

HAS = {
    "tiles": {"amx_bf16": True, "avx512_bf16": True, "avx512_vnni": True},
    "both": {"avx512_bf16": True, "avx512_vnni": True},
    "avx512_bf16": {"avx512_bf16": True},
    "avx512_vnni": {"avx512_vnni": True},
    "neither": {},
}


@pytest.mark.parametrize(
    ("units", "precision", "trains", "answers"),
    [
        ("tiles", "native", "cpu bf16", "cpu bf16"),
        ("both", "native", "cpu bf16", "cpu int8"),
        ("avx512_bf16", "native", "cpu bf16", "cpu bf16"),
        ("avx512_vnni", "native", "cpu fp32", "cpu int8"),
        ("neither", "native", "cpu fp32", "cpu fp32"),
        ("both", "fp32", "cpu fp32", "cpu fp32"),
        ("both", "bf16", "cpu bf16", "cpu bf16"),
        ("neither", "bf16", "cpu bf16", "cpu bf16"),
    ],
)
def test_native_is_what_the_processor_has_and_a_named_precision_is_kept(
    monkeypatch, units, precision, trains, answers
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: HAS[units])
    for device, name in ((Device.of("cpu", precision), trains), (Device.of("cpu", precision, answers=True), answers)):
        assert device.name == name
        assert device.autocast().fast_dtype is torch.bfloat16
        assert device.autocast()._enabled is (name == "cpu bf16")


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_absent_accelerator_is_an_error(monkeypatch, kind) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceUnavailable, match=rf'"{kind}" is not here; ask for one of \[\'cpu\'\]'):
        Device.of(kind, "native")


def test_an_unknown_device_is_named() -> None:
    with pytest.raises(DeviceUnavailable, match='"abacus"'):
        Device.of("abacus", "native")
