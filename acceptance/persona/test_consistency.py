"""Asked, told something false, asked for what it has not: does it say what its persona says?"""

from __future__ import annotations

import pytest

from acceptance.persona import judges, policies
from acceptance.persona.probes import Probes
from acceptance.persona.replies import CONTROLS, read, replies, samples, texts


@pytest.mark.requirement("persona/consistency.probe", "persona/consistency.gain")
def test_names_what_the_persona_holds(judge, persona, heldout, probe_data):
    """The base has read what partners tell of themselves, never what a speaker is to say of himself."""
    before = {name: replies(persona, heldout.items, stage=name) for name in ("base", "sft")}
    observed = replies(persona, heldout.items)
    judge(
        read(observed, heldout, judges.named),
        gold=heldout.answers,
        groups=heldout.groups,
        baselines={
            **peers(persona, heldout, judges.named),
            **{name: read(found, heldout, judges.named).values for name, found in before.items()},
            "chance": heldout.guesses(),
        },
        slices={"new": heldout.column("slice"), "form": heldout.of_probe("form"), "slot": heldout.slots},
        datasets=[probe_data],
        details={"samples": samples(heldout, texts(observed.values))},
    )


@pytest.mark.requirement("persona/consistency.novel")
def test_names_values_that_it_has_to_spell(judge, persona, asked, probe_data):
    novel = asked("novel")
    judge(
        read(replies(persona, novel.items), novel, judges.named),
        gold=novel.answers,
        groups=novel.groups,
        baselines={"chance": novel.guesses()},
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/consistency.shuffled")
def test_learns_to_look_at_the_persona(judge, seeds, heldout, probe_data):
    """Three seeds; each run trains the same adapters with the persona of another row, and with none, too."""

    def ask(stage):
        return lambda variant: read(replies(variant, heldout.items, stage=stage), heldout, judges.named)

    judge.seeds(
        seeds,
        ask("sft"),
        gold=heldout.answers,
        groups=heldout.groups,
        baselines={"persona-shuffled": ask("shuffled"), "persona-blind": ask("blind")},
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/consistency.abstain")
def test_denies_what_the_persona_does_not_hold(judge, persona, asked, heldout, probe_data):
    """As many probes of facts that are held, so that denying everything is half right."""
    unheld = asked("unheld")
    both = Probes([*unheld.rows, *heldout.rows[: len(unheld.rows)]])
    gold = {"unheld": judges.DENIES, "held": judges.ANSWERS}
    judge(
        read(replies(persona, both.items), both, judges.denies),
        gold=[gold[kind] for kind in both.of_probe("kind")],
        groups=both.groups,
        baselines=peers(persona, both, judges.denies),
        slices={"kind": both.of_probe("kind"), "form": both.of_probe("form"), "slot": both.slots},
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/consistency.traps")
def test_is_not_talked_into_what_is_false(judge, persona, asked, probe_data):
    traps = asked("traps")
    judge(
        read(replies(persona, traps.items), traps, judges.named),
        gold=traps.answers,
        groups=traps.groups,
        baselines=peers(persona, traps, judges.named),
        slices={"new": traps.column("slice"), "slot": traps.slots},
        datasets=[probe_data],
    )


@pytest.mark.requirement("persona/consistency.keyword")
def test_the_keyword_score_can_be_gamed(judge, persona, heldout, probe_data):
    judge(
        replies(persona, heldout.items).map(texts),
        gold=heldout.column("persona"),
        groups=heldout.groups,
        baselines={"reference": heldout.responses, **policies.trivial(heldout.items, heldout.responses)},
        datasets=[probe_data],
    )


def peers(persona, probes, reading):
    """The same reading of the trivial policies, and of what was trained on no persona or on somebody else's."""
    own = {f"persona-{stage}": texts(replies(persona, probes.items, stage=stage).values) for stage in CONTROLS}
    return {
        name: [reading(reply, slot) for reply, slot in zip(found, probes.slots, strict=True)]
        for name, found in {**own, **policies.trivial(probes.items, probes.responses)}.items()
    }
