"""Does it know which programs pass their tests, and do its probabilities mean what they say?"""

from __future__ import annotations

import numpy as np
import pytest

from acceptance.graphsage import programs
from acceptance.stated import diagram
from assay.evidence import CheckResult


@pytest.fixture(scope="session")
def ngrams(made):
    """Baseline -> probability of passing by token n-grams, for "programs" and "humaneval".

    The head of the subject reads what speaks for a defect, so it has an n-gram model of defects beside it, too.
    """
    return {"ngram-logreg": made.ngram_passing(), "ngram-defects": made.ngram_defects()}


@pytest.fixture(scope="session")
def predictions(ask, heldout_programs):
    return ask("confidences", heldout_programs.sources)


@pytest.mark.requirement("graphsage/confidence.heldout")
def test_knows_which_programs_pass(judge, predictions, heldout_programs, ngrams, heldout_program_data):
    judge(
        predictions,
        gold=heldout_programs.passed,
        groups=heldout_programs.column("group"),
        baselines={
            **{name: scores["programs"] for name, scores in ngrams.items()},
            "size": heldout_programs.sizes,
            "base-rate": [float(np.mean(heldout_programs.passed))] * len(heldout_programs.rows),
        },
        slices={
            "origin": heldout_programs.column("origin"),
            "way": ways(heldout_programs.rows),
        },
        datasets=[heldout_program_data],
        details={
            "inside a problem": inside(heldout_programs, predictions.values),
            "samples": samples(heldout_programs, predictions.values),
        },
    )


@pytest.mark.requirement("graphsage/confidence.brier", "graphsage/confidence.ece")
def test_probabilities_mean_what_they_say(judge, predictions, heldout_programs, heldout_program_data):
    judge(
        predictions,
        gold=heldout_programs.passed,
        groups=heldout_programs.column("group"),
        datasets=[heldout_program_data],
        details={"reliability": diagram(predictions.values, heldout_programs.passed)},
    )


@pytest.mark.requirement("graphsage/confidence.spread")
def test_confidence_varies(judge, predictions, heldout_programs, heldout_program_data):
    judge(predictions, groups=heldout_programs.column("group"), datasets=[heldout_program_data])


@pytest.mark.requirement("graphsage/confidence.humaneval")
def test_confidence_on_humaneval(judge, ask, ngrams, humaneval_data):
    """Every program of all 164 problems, whole problems drawn for the interval; none may fail to parse."""
    items = programs.Programs(humaneval_data.rows("humaneval.jsonl"))
    answers = ask("confidences", items.sources)  # a text that does not parse is an error there
    count = f"{len(answers.values):,} of {len(items.rows):,} programs parsed and answered"
    judge(
        answers,
        gold=items.passed,
        groups=items.column("problem"),
        baselines={
            **{name: scores["humaneval"] for name, scores in ngrams.items()},
            "size": items.sizes,
        },
        slices={"kind": items.column("kind")},
        datasets=[humaneval_data],
        checks=[CheckResult(name="parsed", ok=len(answers.values) == len(items.rows), detail=count)],
        details={
            "reliability": diagram(answers.values, items.passed),
            "inside a problem": inside(items, answers.values),
            "samples": samples(items, answers.values),
        },
    )


def ways(rows) -> list[str]:
    """How a program is written: as its author did, or as a rewrite of that does; mutants go with what they mutate."""
    return [(row["operator"] if row["kind"] == "rewrite" else row["base"]) or "as written" for row in rows]


def inside(items, scores) -> dict[str, float]:
    """Share of pairs of the same problem in the right order, mean over problems, and how far scores differ there."""
    values, passed = np.asarray(scores), np.asarray(items.passed)
    problems = np.asarray(items.column("problem"))
    ordered, spread = [], []
    for name in np.unique(problems):
        here = problems == name
        good, bad = values[here & (passed == 1)], values[here & (passed == 0)]
        if len(good) and len(bad):
            ordered.append(float(((good[:, None] > bad) + (good[:, None] == bad) / 2).mean()))
            spread.append(float(values[here].std()))
    return {
        "problems": len(ordered),
        "pairs in the right order": round(float(np.mean(ordered)), 4) if ordered else float("nan"),
        "standard deviation inside a problem": round(float(np.mean(spread)), 4) if spread else float("nan"),
    }


def samples(items, scores) -> list[dict[str, object]]:
    """Twenty programs in a row, so that versions of the same problem stand together, for a person to read."""
    return [
        {
            "problem": row["problem"],
            "version": " ".join(filter(None, (row["kind"], row["operator"], row["base"] and f"of {row['base']}"))),
            "passed": bool(row["passed"]),
            "confidence": round(float(score), 3),
            "source": row["source"],
        }
        for row, score in list(zip(items.rows, scores, strict=True))[:20]
    ]
