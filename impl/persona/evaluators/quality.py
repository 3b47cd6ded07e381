"""How well is it said? Perplexity, BLEU, ROUGE and distinct-n, the middle two by their well-kept libraries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Final

from persona.errors import PersonaError
from persona.evaluators.words import grams, listed, paired

ROUGE: Final = ("rouge1", "rouge2", "rougeL")


class QualityEvaluator:
    """Scores of texts against references, or against nothing."""

    def compute_perplexity(self, log_probabilities: Sequence[Sequence[float]]) -> float:
        """exp of the mean negative log-probability of all tokens: a uniform model over V tokens has V.

        Args:
            log_probabilities: natural logarithms, one list a text; padding must not be among them.
        """
        tokens = [value for text in log_probabilities for value in text]
        if not tokens:
            raise PersonaError("no token was given: perplexity needs one at least")
        if any(not value <= 0 for value in tokens):
            raise PersonaError("a log-probability above 0, or NaN, is none")
        mean = -math.fsum(tokens) / len(tokens)
        try:
            return math.exp(mean)
        except OverflowError:
            raise PersonaError(f"{mean:.0f} nats a token: no number is large enough for that perplexity") from None

    def compute_bleu(self, responses: Sequence[str], references: Sequence[str]) -> float:
        """Corpus BLEU in [0, 1], one reference each (Papineni et al. 2002, by sacrebleu)."""
        from sacrebleu.metrics import BLEU

        paired("responses and references", responses, references)
        return float(BLEU().corpus_score(list(responses), [list(references)]).score) / 100

    def compute_rouge(self, responses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        """Mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004, by rouge-score, without stemming)."""
        from rouge_score.rouge_scorer import RougeScorer

        paired("responses and references", responses, references)
        scorer = RougeScorer(list(ROUGE))
        found = [scorer.score(truth, said) for truth, said in zip(references, responses, strict=True)]
        return {name: fmean(one[name].fmeasure for one in found) for name in ROUGE}

    def compute_distinct_n(self, responses: Sequence[str], n: int = 1) -> float:
        """Different word n-grams over all word n-grams (Li et al. 2016); 0 where no response has n words."""
        if n < 1:
            raise PersonaError(f"distinct-{n}: n is 1 or more")
        found = [gram for response in listed(responses) for gram in grams(response, n)]
        return len(set(found)) / len(found) if found else 0.0
