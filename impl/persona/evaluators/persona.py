"""Is a reply true to its persona? The keyword score that was asked for, and scores that reciting does not win.

The keyword score is gamed by saying the whole persona; probes, swaps and likelihood among strangers are not. None of
them is the reward that anything is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from statistics import fmean
from typing import Any

from persona.errors import PersonaError
from persona.evaluators.words import content, listed, paired, words


class PersonaEvaluator:
    """Scores in [0, 1] of replies and the personas, answers and rivals that they are held against."""

    def evaluate_consistency(self, persona: Sequence[str], response: str) -> dict[str, Any]:
        """{"score", "matched", "missed"}: content words of the persona that the response holds, and their share."""
        keys = content(persona)
        matched = keys & set(words(response))
        return {
            "score": len(matched) / len(keys) if keys else 0.0,
            "matched": sorted(matched),
            "missed": sorted(keys - matched),
        }

    def evaluate_batch_responses(self, personas: Sequence[Sequence[str]], responses: Sequence[str]) -> dict[str, Any]:
        """{"mean", "minimum", "maximum", "scores"} of the keyword score, one response for each persona."""
        paired("personas and responses", personas, responses)
        scores = [
            self.evaluate_consistency(persona, response)["score"]
            for persona, response in zip(personas, responses, strict=True)
        ]
        return {"mean": fmean(scores), "minimum": min(scores), "maximum": max(scores), "scores": scores}

    def compute_multi_turn_consistency(self, persona: Sequence[str], responses: Sequence[str]) -> dict[str, Any]:
        """{"score", "coverage", "scores"}: mean over the turns, and the share of keywords that any turn holds."""
        if not responses:
            raise PersonaError("a dialogue of one response at least is needed")
        scores = [self.evaluate_consistency(persona, response)["score"] for response in listed(responses)]
        whole = self.evaluate_consistency(persona, " ".join(responses))["score"]
        return {"score": fmean(scores), "coverage": whole, "scores": scores}

    def probe_accuracy(
        self, responses: Sequence[str], answers: Sequence[str], values: Sequence[Collection[str]]
    ) -> float:
        """Share of the responses that hold the true answer and no other of the values that could have been one."""
        paired("responses and answers", responses, answers)
        paired("answers and values", answers, values)
        return fmean(
            _named(response, [*others, answer]) == {answer}
            for response, answer, others in zip(responses, answers, values, strict=True)
        )

    def swap_following(
        self,
        responses: Sequence[tuple[str, str]],
        answers: Sequence[tuple[str, str]],
        values: Sequence[Collection[str]],
    ) -> float:
        """Share of dialogues, answered under two personas, in which each response names its own persona's value."""
        paired("responses and answers", responses, answers)
        paired("answers and values", answers, values)
        return fmean(
            all(_named(said, [*others, *true]) == {own} for said, own in zip(pair, true, strict=True))
            for pair, true, others in zip(responses, answers, values, strict=True)
        )

    def swap_likelihood(self, scores: Sequence[Sequence[float]], own: Sequence[int]) -> float:
        """Share of responses that are likeliest under the own persona among several; a tie counts as its chance.

        Args:
            scores: N rows of log-likelihoods, one for each persona.
            own: N places of the speaker's persona.
        """
        paired("scores and places", scores, own)
        won = []
        for row, place in zip(scores, own, strict=True):
            if not 0 <= place < len(row):
                raise PersonaError(f"the own persona's place {place} is not among {len(row)} scores")
            if any(map(math.isnan, row)):
                raise PersonaError(f"NaN among the scores of row {len(won)}: none of them is the best one")
            best = max(row)
            won.append((row[place] == best) / sum(score == best for score in row))
        return fmean(won)


def _named(response: str, values: Collection[str]) -> set[str]:
    """The values that stand in the response as words of their own."""
    text = f" {' '.join(words(response))} "
    return {value for value in values if f" {' '.join(words(value))} " in text}
