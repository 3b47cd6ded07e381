"""Does the reward hang on the persona, and on nothing that is easier to find?"""

from __future__ import annotations

import random

import pytest

from acceptance.persona import baselines, probes
from assay.evidence import CheckResult

BLIND = (0.45, 0.55)
"""What a scorer that does not see the persona may earn on these pairs."""


@pytest.fixture(scope="session")
def pairs(probe_data):
    """Preferences as two responses in random order; `better` says which is true."""
    found = []
    for number, row in enumerate(probe_data.rows("preferences.jsonl")):
        swapped = random.Random(number).random() < 0.5
        first, second = (row["rejected"], row["chosen"]) if swapped else (row["chosen"], row["rejected"])
        found.append({**row, "first": first, "second": second, "better": "second" if swapped else "first"})
    return found


@pytest.mark.requirement("persona/reward.ranking")
def test_prefers_what_is_true_of_the_persona(judge, persona, pairs, world_data, probe_data):
    train = [one for twin in world_data.rows("twins.jsonl") for one in probes.preferences(twin)]
    blind = scored(persona, [{**row, "persona": []} for row in pairs], pairs)
    guessed = {
        "length": baselines.preferred(baselines.lengths(pairs)),
        "keyword": baselines.preferred(baselines.keywords(pairs)),
        "persona-blind": blind.values,
        "blind-logreg": baselines.preferred(baselines.blind_logreg(train, pairs)),
    }
    gold = [row["better"] for row in pairs]
    judge(
        scored(persona, pairs, pairs),
        gold=gold,
        groups=[row["group"] for row in pairs],
        baselines=guessed,
        slices={"kind": [row["kind"] for row in pairs], "new": [row["slice"] for row in pairs]},
        datasets=[probe_data],
        checks=[blindness(name, guessed[name], gold) for name in ("length", "persona-blind", "blind-logreg")],
    )


def scored(persona, rows, pairs):
    """Which of the two responses the reward model scores higher."""
    items = [
        {"persona": row["persona"], "dialogue": row["dialogue"], "response": row[side]}
        for row in rows
        for side in ("first", "second")
    ]

    def better(values):
        found = [each["score"] for each in values]
        return baselines.preferred([first - second for first, second in zip(found[::2], found[1::2], strict=True)])

    return persona.predictions("reward", items).map(better, items=pairs)


def blindness(name, found, gold):
    """Whether the pairs give nothing away to a scorer that knows nothing of the persona."""
    share = sum(one == truth for one, truth in zip(found, gold, strict=True)) / len(gold)
    ok = BLIND[0] <= share <= BLIND[1] or len(gold) < 100  # a smoke run has too few pairs for any share to mean much
    return CheckResult(name=f"{name} is blind", ok=ok, detail=f"{name} is right in {share:.3f} of the pairs")
