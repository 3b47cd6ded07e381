"""The gates together let no policy through that does not read the persona, and let the true replies through."""

from __future__ import annotations

import pytest

from acceptance.persona import judges, policies
from acceptance.persona.replies import replies
from assay import metrics

GATES = ("consistency.probe", "consistency.abstain", "consistency.traps", "copy.rate")


@pytest.mark.requirement("persona/consistency.policies")
def test_no_trivial_policy_passes(judge, persona, heldout, asked, probe_data):
    probes = {"held": heldout, "unheld": asked("unheld"), "traps": asked("traps")}
    said = {
        kind: {**policies.trivial(rows.items, rows.responses), "true replies": rows.responses}
        for kind, rows in probes.items()
    }
    figures = {name: gates(probes, {kind: found[name] for kind, found in said.items()}) for name in said["held"]}
    spec = judge.spec
    passed = {
        name: all(spec.get(gate).bound.holds(value) for gate, value in found.items()) for name, found in figures.items()
    }
    cases = {
        "case": list(passed),
        "holds": [passes == (name == "true replies") for name, passes in passed.items()],
    }
    judge(
        replies(persona, heldout.items).map(lambda values: cases, items=list(passed)),
        datasets=[probe_data],
        details={"gates": figures},
    )


def gates(probes, said):
    """Each gate's figure for a policy's replies; abstention is the worse of its two kinds."""

    def share(kind, reading, gold):
        rows = probes[kind]
        read = [reading(reply, slot) for reply, slot in zip(said[kind], rows.slots, strict=True)]
        return metrics.get("text.exact_match").compute(read, gold, normalise=False)

    held, unheld = probes["held"], probes["unheld"]
    abstain = [
        share(kind, judges.denies, [wanted] * len(rows.rows))
        for kind, rows, wanted in (("held", held, judges.ANSWERS), ("unheld", unheld, judges.DENIES))
    ]
    given = {"given": held.given, "reference": held.responses}
    figures = (
        share("held", judges.named, held.answers),
        min(abstain),
        share("traps", judges.named, probes["traps"].answers),
        metrics.get("generation.copy_ratio").compute(said["held"], given),
    )
    return dict(zip(GATES, figures, strict=True))
