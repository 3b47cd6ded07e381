"""What others have published, with its source: for orientation. Most of it cannot be compared, and says why.

It must never hold a figure of this project: those come from measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One published figure. `data` and `protocol` say what it was measured on: compare only where both are the same."""

    model: str
    metric: str
    value: float
    higher_is_better: bool
    data: str
    protocol: str
    source: str


_CONVAI2: Final = "ConvAI2, hidden test set"
_TRANSFER: Final = "Wolf et al. 2019, arXiv:1901.08149"
_BOARD: Final = "ConvAI2 leaderboard, github.com/DeepPavlov/convai, README of May 2018"
_PAIRS: Final = "one of 20 candidate replies, distractors from other dialogues"
_TOKENS: Final = "per token of the competition's own dictionary"
_WORDS: Final = "word F1 against the one reference"

PUBLISHED: Final = (
    Benchmark("TransferTransfo (GPT, 117 M)", "perplexity", 16.28, False, _CONVAI2, _TOKENS, _TRANSFER),
    Benchmark("TransferTransfo (GPT, 117 M)", "hits@1", 0.807, True, _CONVAI2, _PAIRS, _TRANSFER),
    Benchmark("TransferTransfo (GPT, 117 M)", "f1", 0.195, True, _CONVAI2, _WORDS, _TRANSFER),
    Benchmark("Seq2Seq + attention", "perplexity", 31.35, False, _CONVAI2, _TOKENS, _BOARD),
    Benchmark("Seq2Seq + attention", "hits@1", 0.166, True, _CONVAI2, _PAIRS, _BOARD),
    Benchmark("Seq2Seq + attention", "f1", 0.1618, True, _CONVAI2, _WORDS, _BOARD),
)


class BenchmarkEvaluator:
    """Measured figures beside published ones."""

    def __init__(self, published: Sequence[Benchmark] = PUBLISHED) -> None:
        self.published = tuple(published)

    def compare(self, measured: Mapping[str, float], data: str, protocol: str) -> list[dict[str, Any]]:
        """One row for each published figure of a metric that was measured.

        `comparable` is True only for the same data and protocol; otherwise `difference` is None and `reason` says what
        differs.
        """
        return [
            self._row(one, measured[one.metric], data, protocol) for one in self.published if one.metric in measured
        ]

    def _row(self, one: Benchmark, value: float, data: str, protocol: str) -> dict[str, Any]:
        reasons = [
            f"{name} differs: {theirs} there, {ours} here"
            for name, theirs, ours in (("data", one.data, data), ("protocol", one.protocol, protocol))
            if theirs != ours
        ]
        lead = value - one.value if one.higher_is_better else one.value - value
        return {
            "model": one.model,
            "metric": one.metric,
            "published": one.value,
            "measured": value,
            "source": one.source,
            "comparable": not reasons,
            "difference": None if reasons else lead,
            "reason": "; ".join(reasons),
        }
