"""The temperature is the one under which the learnt pieces of the dev split cost least, and no answer hangs on it."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from persona import calibration, tokens  # noqa: E402
from persona.bridge import load  # noqa: E402
from persona.calibration import TEMPERATURES, temperature  # noqa: E402
from persona.policy import ABOUT, Policy  # noqa: E402
from persona.tokens import IGNORED  # noqa: E402


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


def test_what_is_not_learnt_costs_nothing():
    silent = {"input_ids": [1, 3], "labels": [IGNORED, IGNORED]}
    assert temperature(Sure(4.0), [*[example(2)] * 3, example(3), *[silent] * 50]) == TEMPERATURES[29]  # 3.73


def test_cost_by_hand():
    """ln 2 of two alike; ln(1 + e^-2) at a temperature of 1/2 where the margin is 1."""
    costs = calibration.spent(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0]))
    assert costs[0] == pytest.approx(math.log(2) + math.log1p(math.exp(-2)), rel=1e-6)
    assert len(costs) == len(TEMPERATURES)


def test_a_chain_keeps_one_for_each_policy_and_answers_do_not_hang_on_it(trained, rows):
    told = json.loads((trained / ABOUT).read_text())
    assert set(told["temperatures"]) == {"sft", "ppo"}
    assert set(told["temperatures"].values()) <= set(TEMPERATURES)
    bridge = load(trained)
    items = [{name: row[name] for name in ("persona", "dialogue", "response")} for row in rows["dev"]]
    policy = bridge._policy("sft")
    asked = [(item["persona"], item["dialogue"], item["response"]) for item in items]
    hot = Policy(policy.model, policy.tokenizer, policy.context, temperature=2.0)
    assert hot.replies([one[:2] for one in asked]) == policy.replies([one[:2] for one in asked])
    batch = tokens.padded(tokens.examples(policy.tokenizer, [one[:2] for one in asked], [one[2] for one in asked]))
    with torch.inference_mode():
        logits = policy.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    for degree, one in ((told["temperatures"]["sft"], policy), (2.0, hot)):
        wanted = tokens.log_likelihood(logits / degree, batch["labels"])[0]
        assert [total for total, _ in one.likelihoods(asked)] == pytest.approx(wanted.tolist(), rel=1e-4)


def test_a_folder_that_tells_of_none_has_one(trained, tmp_path):
    import shutil

    out = shutil.copytree(trained, tmp_path / "older")
    told = json.loads((out / ABOUT).read_text())
    del told["temperatures"]
    (out / ABOUT).write_text(json.dumps(told))
    assert load(out)._policy("ppo").temperature == 1.0
    assert load(trained)._policy("ppo").temperature == json.loads((trained / ABOUT).read_text())["temperatures"]["ppo"]
