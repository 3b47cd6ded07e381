"""The catalogue of checks: what each one doubts, and the names under which evidence, verdict and board raise it.

Pure data. A check's id begins with the words by which the catalogue of false claims names it; what raises it is a
check of the evidence (`exact-duplicates`), a requirement's metric that missed its bound (`training.records`), or a question of
the verdict (`beats:*`).
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Fires = Literal["by default", "when declared"]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        id: its name in the matrix of mutants.
        asks: what it doubts, as a question.
        raised_by: names (patterns) of what trips when it does.
        fires: whether a user gets it for nothing, or has to write a requirement for it.
    """

    id: str
    asks: str
    raised_by: tuple[str, ...]
    fires: Fires = "by default"


def _declared(id: str, asks: str, *raised_by: str) -> Check:  # noqa: A002 - the field's name
    return Check(id, asks, raised_by, "when declared")


def _always(id: str, asks: str, *raised_by: str) -> Check:  # noqa: A002 - the field's name
    return Check(id, asks, raised_by)


CHECKS: tuple[Check, ...] = (
    # data and tokenizer
    _declared("embedding-rows", "Does the embedding have one row for each entry of the tokenizer, and are they used?",
              "artifact.tensor_rows", "training.tokens"),
    _declared("ids-decode", "Do the ids in the loss decode to the record's own text?", "training.decodes"),
    _declared("ledger-of-records", "Which share of the training records reached a loss?", "training.records"),
    _declared("recorder-counts-units", "Is what is counted the declared units?", "records-unknown"),
    _always("contract-on-the-batch", "Is there any text in what the loader gave to training?", "inputs-filled", "training.filled"),
    _always("unique-input-ratio", "Do inputs differ from record to record?", "unique-inputs", "training.inputs"),
    _declared("parse-rate", "Is every input parsed, or does it become the zero vector?", "features.zero_vectors"),
    _declared("non-constant-columns", "Which feature columns ever vary?", "features.nonconstant_columns"),
    _always("same-source-same-vector", "Does the same input give the same output?", "repeatable"),
    _declared("share-told-apart", "Are changed inputs told from their originals?", "features.told_apart"),
    _always("re-reading-labels", "Does reading the labels again give the same labels?", "repeatable"),
    _declared("permuted-labels-hurt", "Does training on shuffled labels score worse?", "beats:shuffled-labels"),
    _always("exact-and-near-duplicates", "Do the items stand in the training data?", "exact-duplicates", "near-duplicates"),
    _always("disjointness", "Is validation apart from training, and test from both?", "training.evaluation", "exact-duplicates"),
    _always("gold-apart-from-items", "Is gold a field of what the subject is given, or on a line with one?", "gold-in-items"),
    _declared("group-leakage", "Do the groups of the items stand in the training data?", "group-leakage"),
    _declared("overlap-detector", "Are queries pieces of what they are to find?", "overlap", "beats:lexical"),
    _always("threshold-trivial-or-unreachable", "Can guessing reach the bound, and can the oracle?",
            "triviality", "reachability", "items", "decidable", "cheap-baseline"),
    _declared("validator-blind", "Are planted wrong rows reported?", "behaviour.planted_found"),
    _declared("resolution-rate", "Are the names that are referred to defined?", "behaviour.resolved"),
    _declared("uniqueness-contract", "Does a row stand twice?", "contract:expect_column_values_to_be_unique"),
    _declared("counts-per-language", "Is every declared language there?",
              "contract:expect_column_distinct_values_to_contain_set"),
    _always("data-handed-over", "Did training or answering read data sets of the judge's that they were not given?", "data-handed-over"),
    _always("digest-of-the-data", "Are the files those that were hashed?", "built-changed", "data-changed"),
    _declared("contract-on-provenance", "Does every record carry licence and source?",
              "contract:expect_column_values_to_not_be_null"),
    # training
    _declared("counted-parameters", "Is the number of parameters in the file the declared one?", "artifact.parameters"),
    _declared("distinct-units", "Are units copies of one another, so that the size is got by repetition?", "copied-units"),
    _always("access-tracking-config", "Was every key of the profile read?", "config-read"),
    _declared("flip-the-flag", "Does another value of a switch give other weights?", "training.effects"),
    _declared("dtype-in-matmuls", "In which precision were matrix products computed?", "training.precision"),
    _declared("learning-rates-seen", "Are the learning rates those of the closed form?", "training.schedule"),
    _declared("optimizer-steps", "How many updates were made?", "training.updates"),
    _declared("samples-in-the-graph", "How many samples reached an update?", "training.batch"),
    _declared("labels-per-loss", "Has every sample a label for every loss?", "training.labels"),
    _declared("every-loss-finite", "Is every loss finite, and was no update skipped?", "training.finite"),
    _declared("logged-total", "Is the loss the sum of its components, and what was backpropagated?", "training.components"),
    _declared("fixed-weight-validation", "Is it better than at initialisation by one fixed measure?", "beats:initialisation"),
    _declared("declared-step", "Was the whole validation set used at the declared step?", "training.evaluation"),
    _declared("minimum-n", "Were enough items evaluated, in eval mode?", "training.evaluation", "minimum-n", "items"),
    _declared("selection-split", "Is what selects apart from what tests?", "training.evaluation"),
    _declared("parameters-without-gradient", "Did every parameter get a gradient and move?", "training.parameters"),
    _declared("metamorphic", "Does a planted violation raise the term?", "behaviour.raises"),
    _declared("loss-of-the-collapsed", "Does collapse cost more than spread?", "behaviour.raises"),
    _always("compare-with-initialisation", "Is it better than before the first update?", "training.learns", "weights-matter"),
    _declared("lengths-seen", "Which sequence lengths reached training?", "training.lengths"),
    _declared("on-off", "Does turning a part off change the weights?", "training.effects"),
    _always("weights-at-initialisation", "Do other seeds give other weights?", "seeds-differ", "training.effects"),
    _declared("resumed-equals-uninterrupted", "Does a killed and resumed run end with the same bits?", "training.resume"),
    _always("artifacts-are-content-addressed", "Do the answers come from the artifact's own weights?", "weights-matter"),
    _declared("both-arms", "Did both arms get the same data and reach the same loss?", "both-arms"),
    _declared("change-the-measured-hours", "Do savings follow the measurement?", "features.told_apart"),
    _declared("records-per-parameter", "Are there enough records for so many parameters?", "training.records_per_parameter"),
    # evaluation
    _always("subjects-answer-twice-the-same", "Does asking again give the same answer?", "repeatable"),
    _always("liveness", "Does the metric tell oracle, inverted, shuffled, constant and random apart?", "liveness"),
    _always("weights-digest", "Do the answers come from the weights of the evidence?", "weights-matter", "behaviour.refused", "behaviour.depends"),
    _always("std-and-unique-values", "Is there more than one answer?", "varied"),
    _declared("extreme-logits", "Do extreme logits reach 0 and 1?", "behaviour.identity_gap"),
    _always("both-classes", "Are there items of both classes?", "liveness"),
    _always("metric-against-a-library", "Does an independent implementation agree?", "reference"),
    _always("bounds-and-reference", "Does the value keep to its range and to the reference?", "reference", "liveness"),
    _always("every-query-counts", "Does an unanswered query cost?", "every-query", "reference"),
    _always("gold-among-candidates", "Does leaving out the right answer cost?", "gold-absent", "reference"),
    _always("pessimistic-ties", "Do ties with wrong answers cost?", "ties", "liveness", "reference"),
    _always("chance-and-baseline", "Is it better than chance and the baselines on the same items?", "chance", "beats:*"),
    _always("strongest-baseline", "Was every baseline of the specification measured?", "baseline-missing"),
    _declared("identities-recomputed", "Do the parts sum to the total?", "behaviour.identity_gap"),
    _always("trivial-policies", "Does a trivial policy score above gold?", "gameable", "cheap-baseline", "triviality"),
    _declared("swap-control", "Does exchanging the partner cost?", "beats:swapped"),
    _declared("uniform-model-gives-v", "Does a uniform model score exactly the vocabulary's size?", "behaviour.identity_gap"),
    _always("protocol-option-explicit", "Is every choice of the protocol written down?", "option-unsaid"),
    _always("seeds-required", "Were as many seeds measured as the claim needs?", "seeds"),
    _always("latency-through-the-public-entry", "Were unrepeated real inputs timed by a clock that agrees?", "clock"),
    _always("minimum-count", "Are there enough calls for the percentile?", "few-calls"),
    _always("every-item-answered", "Is there an answer to every item?", "length"),
    _always("answers-before-it-ends", "Did the subject's process live to answer?", "died"),
    _always("every-answer-finite", "Is every answer a finite number?", "finite"),
    _always("below-its-bound", "Does the value keep to its bound?", "bound", "interval"),
    _always("time-is-the-judges", "Was the time taken by a clock that the subject cannot have touched?", "latency.*", "clock"),
    # reporting and gating
    _always("principle-1", "Was anything measured at all?", "unmeasured", "judges", "unclaimed"),
    _always("executed-equals-declared", "Did every declared requirement run?", "skipped", "unclaimed", "unmeasured"),
    _always("only-dated-waivers", "Is a miss expected without a date and a reason?", "xfail"),
    _declared("counts-come-from-the-run", "Are the counts in the documents those of the board?", "documents"),
    _declared("documents-from-the-manifest", "Are the figures in the documents those of the data?", "documents"),
    _always("digests", "Is the evidence about this code, data and these weights?",
            "code-changed", "data-changed", "weights-changed", "spec-changed"),
    _always("hardware-fingerprint", "Was it measured on this hardware?", "hardware"),
    _always("spec-history", "Was a goalpost moved?", "goalpost", "board"),
    _always("hash-chain", "Does the ledger vouch for the evidence?", "ledger"),
    _always("magic-bytes", "Are the weights weights?", "weights-format"),
    _declared("numbers-resolve-to-evidence", "Does every number in the metadata come from evidence?", "documents"),
    _declared("documents-numbers", "Does every number and command in the documents exist?", "documents", "commands"),
    _declared("planted-failure", "Does a planted failure turn the gate red?", "behaviour.planted_found"),
    _always("test-suite-judges", "Does every test judge?", "judges"),
    _declared("missing-is-unproven", "Is a missing metric missing?", "behaviour.planted_found"),
    _declared("fault-injection", "Is what cannot be answered refused?", "behaviour.refused"),
    _always("same-request-twice", "Does the same request get the same answer?", "repeatable"),
    _declared("only-done-is-served", "Are damaged or missing weights refused?", "behaviour.refused"),
    _always("safetensors-only", "Are there weights that are safetensors?", "weights-absent", "weights-format"),
)  # fmt: skip

BY_ID = {check.id: check for check in CHECKS}


def tripped(raised: Iterable[str]) -> list[str]:
    """Ids of the checks that the raised names stand for, in order of the catalogue."""
    names = list(raised)
    return [check.id for check in CHECKS if any(fnmatch.filter(names, pattern) for pattern in check.raised_by)]


def document() -> str:
    """The catalogue as a document: what `docs/checks.md` holds."""
    rows = [
        "# Checks\n",
        "What Assay doubts, by the ids that `assay mutants` prints. *By default*: every system gets it for nothing. *When",
        "declared*: it takes a requirement, or an argument of `judge(...)`, to say what is right.\n",
        "| check | asks | raised by | fires |",
        "|---|---|---|---|",
    ]
    for check in CHECKS:
        names = ", ".join(f"`{name}`" for name in check.raised_by)
        rows.append(f"| `{check.id}` | {check.asks} | {names} | {check.fires} |")
    return "\n".join(rows) + "\n"
