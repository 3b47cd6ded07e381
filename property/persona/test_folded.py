"""Adapters added to the weight say what adapters beside it say."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from peft import LoraConfig, get_peft_model  # noqa: E402

from persona import folded  # noqa: E402

ROWS, INPUTS, OUTPUTS, RANK = 40, 6, 10, 4


class Two(torch.nn.Module):
    """Two layers, the first without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(INPUTS, OUTPUTS, bias=False)
        self.second = torch.nn.Linear(OUTPUTS, INPUTS)

    def forward(self, x):
        return self.second(self.first(x).relu())


def adapted(own: bool, layers: torch.dtype = torch.float32, **more):
    """Two layers with adapters; `own` ones are folded."""
    torch.manual_seed(0)
    options = LoraConfig(r=RANK, lora_alpha=12, target_modules=["first", "second"], **more)
    if own:
        options._register_custom_module({torch.nn.Linear: folded.FoldedLinear})
    model = get_peft_model(Two().to(layers), options)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(parameter)  # zeros at first: nothing would be told apart
    return model


def learnt(model, x):
    """What a loss has for the trained parameters, by name."""
    model(x).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@pytest.fixture
def x():
    return torch.randn(5, ROWS // 5, INPUTS, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def count(monkeypatch):
    """How often the layer did fold."""
    calls = []
    original = torch.addmm
    monkeypatch.setattr(folded.torch, "addmm", lambda *a, **k: calls.append(1) or original(*a, **k))
    return calls


def test_says_and_learns_what_peft_does(x, count):
    ours, peft = adapted(True), adapted(False)
    torch.testing.assert_close(ours(x), peft(x), rtol=1e-5, atol=1e-5)
    assert len(count) == 2
    expected = learnt(peft, x)
    assert len(expected) == 4
    torch.testing.assert_close(learnt(ours, x), expected, rtol=1e-4, atol=1e-4)


def test_without_adapters_it_is_the_layer_below(x, count):
    model = adapted(True)
    with model.disable_adapter():
        torch.testing.assert_close(model(x), model.get_base_model().second.base_layer(
            model.get_base_model().first.base_layer(x).relu()
        ))  # fmt: skip
    assert not count


def test_merged_it_says_the_same(x):
    model = adapted(True)
    before = model(x)
    torch.testing.assert_close(model.merge_and_unload()(x), before, rtol=1e-5, atol=1e-5)


def test_what_is_in_the_weight_already_is_not_added_again(x, count):
    model = adapted(True)
    before = model(x)
    assert len(count) == 2
    model.merge_adapter()
    torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)
    assert len(count) == 2


def test_several_adapters_are_used_as_peft_uses_them(x, count):
    found = []
    for own in (True, False):
        model = adapted(own)
        torch.manual_seed(1)
        model.add_adapter("more", model.peft_config["default"])
        for name, parameter in model.named_parameters():
            if ".lora_B.more" in name:
                torch.nn.init.normal_(parameter)
        model.base_model.set_adapter(["default", "more"])
        found.append(model(x))
    torch.testing.assert_close(*found)
    assert not count


def test_adapters_with_a_bias_are_used_as_peft_uses_them(x, count):
    ours, peft = adapted(True, lora_bias=True), adapted(False, lora_bias=True)
    for model in (ours, peft):
        for name, parameter in model.named_parameters():
            if ".lora_B." in name and name.endswith("bias"):
                torch.nn.init.ones_(parameter)
    torch.testing.assert_close(ours(x), peft(x))
    assert not count


def test_adapters_in_full_precision_are_not_added_to_a_layer_in_half_of_it(x, count):
    ours, peft = (adapted(own, layers=torch.bfloat16) for own in (True, False))
    torch.testing.assert_close(ours(x.bfloat16()), peft(x.bfloat16()))
    assert not count


def test_under_autocast_it_differs_by_rounding(x, count):
    with torch.autocast("cpu", torch.bfloat16):
        ours, peft = adapted(True)(x), adapted(False)(x)
    assert len(count) == 2
    exact = adapted(False)(x)
    assert float((ours - peft).abs().mean()) < 0.02 * float(exact.abs().mean())


def test_dropout_of_what_adapters_see_cannot_be_folded(x, count):
    model = adapted(True, lora_dropout=0.5).eval()
    torch.testing.assert_close(model(x), adapted(False, lora_dropout=0.5).eval()(x))
    assert not count


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs", "rank", "expected"),
    [
        (3000, 128, 128, 64, True),  # 3000 x (32768 + 49152) apart, 3 x 3064 x 16384 folded: 245.8 to 150.6 million
        (3000, 128, 128, 16, False),  # 3000 x (32768 + 12288) and 3 x 3016 x 16384: 135.2 to 148.2
        (3000, 576, 576, 16, False),
        (64, 128, 128, 64, False),  # 64 x 81920 and 3 x 128 x 16384: 5.2 to 6.3
        (3000, 128, 384, 64, True),  # 3000 x (98304 + 98304) and 3 x 3064 x 49152: 589.8 to 451.8
    ],
)
def test_what_is_less_work(rows, inputs, outputs, rank, expected):
    assert folded.folds(rows, inputs, outputs, rank) is expected
