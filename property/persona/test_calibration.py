"""The temperature is the one under which the learnt pieces of the dev split cost least, and no answer hangs on it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from persona import calibration, tokens  # noqa: E402
from persona.bridge import load  # noqa: E402
from persona.calibration import TEMPERATURES, temperature  # noqa: E402
from persona.chain import Chain  # noqa: E402
from persona.config import Settings  # noqa: E402
from persona.errors import PersonaError  # noqa: E402
from persona.policy import ABOUT, Policy  # noqa: E402
from persona.tokens import IGNORED  # noqa: E402
from property.persona.conftest import PROFILE  # noqa: E402


class Sure(torch.nn.Module):
    """After piece 1 it expects 2 rather than 3 by a margin, and nothing else at all."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.row = torch.nn.Parameter(torch.tensor([-1e4, -1e4, margin, 0.0]))

    def forward(self, input_ids, attention_mask, logits_to_keep):
        return SimpleNamespace(logits=self.row.expand(*input_ids.shape, 4)[:, -logits_to_keep:])


def example(piece):
    return {"input_ids": [1, piece], "labels": [IGNORED, piece]}


@pytest.mark.parametrize(("margin", "right"), [(4.0, 3), (1.0, 3), (2.0, 7)])
def test_by_hand(margin, right):
    """Of two pieces the expected one comes `right` times to one: odds of e^(margin / T) are odds of `right`."""
    wanted = margin / math.log(right)  # 3.64, 0.91, 1.03
    found = temperature(Sure(margin), [*[example(2)] * right, example(3)] * 20)
    assert abs(math.log2(found / wanted)) <= 0.05 + 1e-6  # the nearest of those that are tried


def test_cost_by_hand():
    """ln 2 of two alike; ln(1 + e^-2) at a temperature of 1/2 where the margin is 1."""
    costs = calibration.spent(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0]))
    assert costs[0] == pytest.approx(math.log(2) + math.log1p(math.exp(-2)), rel=1e-6)
    assert len(costs) == len(TEMPERATURES)


def test_a_loss_that_is_no_number_is_refused():
    with pytest.raises(PersonaError, match="no number"):
        temperature(Sure(math.nan), [example(2)])


@pytest.mark.parametrize("pairing", ["own", "blind"])
def test_it_is_fitted_on_sft_and_the_dev_split_as_sft_is_asked(trained, rows, tmp_path, pairing):
    """By another way: the whole logits of every dev row by itself. Reinforcement gets the same; a base gets none."""
    settings = Settings.read({**PROFILE, "pairing": pairing})
    chain = Chain(settings, rows, Path(shutil.copytree(trained, tmp_path / "chain")))
    found = chain.temperature()
    model = load(trained).folder.merged("sft").eval()
    costs = [0.0] * len(TEMPERATURES)
    for row in rows["dev"]:
        asked = [(row["persona"] if pairing == "own" else (), row["dialogue"])]
        batch = tokens.padded(tokens.examples(chain.tokenizer, asked, [row["response"]]))
        with torch.inference_mode():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        for place, each in enumerate(TEMPERATURES):
            costs[place] -= float(tokens.log_likelihood(logits / each, batch["labels"])[0])
    assert found == TEMPERATURES[costs.index(min(costs))]
    kept = json.loads((trained / ABOUT).read_text())["temperature"]
    if pairing == "own":
        assert kept == found
    policies = {stage: load(trained)._policy(stage).temperature for stage in ("base", "sft", "ppo")}
    assert policies == {"base": 1.0, "sft": kept, "ppo": kept}


def test_likelihoods_are_told_at_it(trained, rows):
    policy = load(trained)._policy("sft")
    asked = [(row["persona"], row["dialogue"], row["response"]) for row in rows["dev"]]
    batch = tokens.padded(tokens.examples(policy.tokenizer, [one[:2] for one in asked], [one[2] for one in asked]))
    with torch.inference_mode():
        logits = policy.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    for degree in (1.0, 0.5, 2.0):
        told = Policy(policy.model, policy.tokenizer, policy.context, degree).likelihoods(asked)
        wanted = tokens.log_likelihood(logits / degree, batch["labels"])[0]
        assert [total for total, _ in told] == pytest.approx(wanted.tolist(), rel=1e-4)


def test_a_folder_that_tells_of_none_has_one(trained, tmp_path):
    out = shutil.copytree(trained, tmp_path / "older")
    told = json.loads((out / ABOUT).read_text())
    del told["temperature"]
    (out / ABOUT).write_text(json.dumps(told))
    assert load(out)._policy("ppo").temperature == 1.0
