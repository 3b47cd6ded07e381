"""Reporting and gating: nothing was measured, or something else, and it is called done."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from assay.mutants import Edit, Mutant

BRIDGE, TRAIN, REPORT, SERVE = "impl/twin/bridge.py", "impl/twin/train.py", "impl/twin/report.py", "impl/twin/serve.py"
QUALITY, SERVING, SPEC = "acceptance/test_quality.py", "acceptance/test_serving.py", "spec/twin.toml"
BEGIN = '    train = reviews.rows("train.jsonl")\n    majority'
CLAIM = '@pytest.mark.requirement("twin/topic.accuracy")\n'
LINES = '    lines += [f"- {row'


def _serving(id: str, defect: str, killed_by: str, *edits: Edit) -> Mutant:  # noqa: A002 - the field's name
    return Mutant(id, defect, killed_by, edits, suites=("serving",))


def _quality(id: str, defect: str, killed_by: str, *edits: Edit) -> Mutant:  # noqa: A002 - the field's name
    return Mutant(id, defect, killed_by, edits, suites=("quality",))


def _empty_suite(root: Path) -> None:
    (root / SERVING).write_text("")


def _threshold(value: float) -> Callable[[Path], None]:
    """Writes what the bridge decides by, in a file beside it."""

    def write(root: Path) -> None:
        (root / "impl/twin/threshold.json").write_text(json.dumps(value))

    return write


def _edit_evidence(root: Path) -> None:
    """Write another accuracy into the ledger, past its triggers."""
    with sqlite3.connect(root / ".assay" / "ledger.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        wanted = "SELECT seq, payload FROM rows WHERE requirement = 'topic.accuracy' ORDER BY seq DESC LIMIT 1"
        seq, payload = connection.execute(wanted).fetchone()
        better = json.dumps({**json.loads(payload), "value": 0.999})
        connection.execute("UPDATE rows SET payload = ? WHERE seq = ?", (better, seq))
    connection.close()


def _delete_evidence(root: Path) -> None:
    for path in (root / ".assay").glob("ledger.db*"):
        path.unlink()


def _move_to_another_machine(root: Path) -> None:
    """The same checkout and ledger, read where the processor is another."""
    from assay import hardware

    here = hardware.probe("cpu")
    hardware.probe = lambda kind: here.model_copy(update={"model": "another processor"})


MUTANTS = (
    _quality(
        "missing-counts-as-pass",
        "the test returns before anything is measured",
        "principle-1",
        Edit(QUALITY, BEGIN, "    return\n" + BEGIN),
    ),
    Mutant(
        "missing-counts-as-pass.deleted",
        "the evidence is gone, the claim stays",
        "principle-1",
        then=(_delete_evidence,),
        suites=("quality",),
    ),
    _quality(
        "skip-is-green",
        "the suite skips itself and the run ends well",
        "executed-equals-declared",
        Edit(QUALITY, BEGIN, '    pytest.skip("needs a GPU")\n' + BEGIN),
    ),
    _quality(
        "expected-failure",
        "a failing test is called expected",
        "only-dated-waivers",
        Edit(QUALITY, CLAIM, '@pytest.mark.xfail(reason="known")\n' + CLAIM),
    ),
    _serving(
        "pass-rate-arithmetic",
        "the document counts 129 of 130",
        "counts-come-from-the-run",
        Edit(
            REPORT,
            "{passed} of {len(measured)} requirements measured here are PASS",
            "129 of 130 requirements measured here are PASS (99.2 %)",
        ),
    ),
    Mutant(
        "stale-evidence",
        "the model's code changed after it was measured",
        "digests",
        then=(Edit("impl/twin/model.py", "* self.scale + bag", "* self.scale - bag"),),
        suites=("quality",),
    ),
    Mutant(
        "stale-evidence.beside",
        "a number that the model decides by, in a file beside its code, changed after it was measured",
        "digests",
        (
            _threshold(0.5),
            Edit(BRIDGE, "import json\n", "import json\nfrom pathlib import Path\n"),
            Edit(
                BRIDGE,
                "        return [int(p >= 0.5) for p in self.topics(texts)]",
                '        threshold = json.loads(Path(__file__).with_name("threshold.json").read_text())\n'
                "        return [int(p >= threshold) for p in self.topics(texts)]",
            ),
        ),
        then=(_threshold(0.9),),
        suites=("quality",),
    ),
    Mutant(
        "foreign-hardware",
        "timed on one machine, claimed on another",
        "hardware-fingerprint",
        then=(_move_to_another_machine,),
        suites=("serving",),
    ),
    Mutant(
        "goalpost-moved",
        "a threshold is lowered after the measurement",
        "spec-history",
        then=(Edit(SPEC, "at_least   = 0.85", "at_least   = 0.55"),),
        suites=("quality",),
    ),
    Mutant(
        "goalpost-moved.dropped",
        "a requirement that was in the way is dropped",
        "spec-history",
        then=(Edit(SPEC, 'id         = "reasons.f1"', 'id         = "reasons.optional"'),),
        suites=("quality",),
    ),
    Mutant(
        "evidence-edited",
        "a better number is written into the ledger by hand",
        "hash-chain",
        then=(_edit_evidence,),
        suites=("quality",),
    ),
    _quality(
        "stub-artifact",
        "forty bytes of text as weights",
        "magic-bytes",
        Edit(
            TRAIN,
            'save_file(self.model.state_dict(), self.out / "model.safetensors")',
            '(self.out / "model.safetensors").write_text("placeholder weights, made so that tests")',
        ),
    ),
    _serving(
        "fabricated-metadata",
        "an improvement that stands in the script as a literal",
        "numbers-resolve-to-evidence",
        Edit(REPORT, LINES, '    lines += ["- improvement: 87.31 %"]\n' + LINES),
    ),
    _serving(
        "doc-number-without-evidence",
        "a figure that no run produced, a command that does not exist",
        "documents-numbers",
        Edit(REPORT, '"assay status --json"', '"assay train --fast"'),
        Edit(REPORT, LINES, '    lines += ["Accuracy of 0.9731 after fine-tuning."]\n' + LINES),
    ),
    _serving(
        "unconditional-success",
        "the gate says yes whatever happened",
        "planted-failure",
        Edit(
            REPORT,
            'return [all(name in board and board[name]["value"] >= board[name]["bound"] for name in wanted) for board in boards]',
            "return [bool(wanted) for board in boards]",
        ),
    ),
    _quality(
        "vacuous-tests",
        "the test asserts what is always so",
        "test-suite-judges",
        Edit(QUALITY, BEGIN, "    assert len([1, 2, 3]) == 3\n    assert abs(-1) >= 0\n    return\n" + BEGIN),
    ),
    Mutant(
        "vacuous-tests.empty",
        "a test file of no bytes",
        "executed-equals-declared",
        (_empty_suite,),
    ),
    _serving(
        "metric-file-missing-passes",
        "a metric that is not there counts as met",
        "missing-is-unproven",
        Edit(REPORT, "name in board and board", "name not in board or board"),
    ),
    _serving(
        "error-as-answer",
        "an exception becomes a confidence of 0.0",
        "fault-injection",
        Edit(
            SERVE,
            '    return {"praise": reader.topics([request["text"]])[0]}',
            '    try:\n        return {"praise": reader.topics([request["text"]])[0]}\n    except Exception:\n        return {"praise": 0.0}',
        ),
    ),
    _serving(
        "random-serving",
        "the server answers with random numbers",
        "same-request-twice",
        Edit(
            SERVE,
            '    return {"praise": reader.topics([request["text"]])[0]}',
            '    import random\n\n    reader.topics([request["text"]])\n    return {"praise": random.random()}',
        ),
    ),
    _serving(
        "serve-untrained",
        "without usable weights an untrained model is served, unmarked",
        "only-done-is-served",
        Edit(
            BRIDGE,
            '    model.load_state_dict(load_file(folder / "model.safetensors"))\n',
            '    try:\n        model.load_state_dict(load_file(folder / "model.safetensors"))\n    except Exception:\n        model = Twin(config)\n',
        ),
    ),
    _quality(
        "pickle-checkpoint",
        "weights as a pickle that whoever loads it executes",
        "safetensors-only",
        Edit(
            TRAIN,
            'save_file(self.model.state_dict(), self.out / "model.safetensors")',
            'torch.save(self.model.state_dict(), self.out / "model.pt")',
        ),
        Edit(BRIDGE, 'load_file(folder / "model.safetensors")', 'torch.load(folder / "model.pt", weights_only=False)'),
    ),
)
