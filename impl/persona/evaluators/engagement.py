"""Does a reply keep a conversation going? A heuristic of four parts, to read beside a reference, never a gate."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Final

from persona.errors import PersonaError
from persona.evaluators.words import listed, paired, words

LONG: Final = 10
"""Words that earn the whole part for length."""


class EngagementEvaluator:
    """Scores in [0, 1]: mean of asking back, length, variety of words, and words that the last turn did not have."""

    def calculate_engagement_score(self, response: str, last_turn: str = "") -> float:
        """The score of one response; one without words earns 0."""
        return fmean(self.parts(response, last_turn).values())

    def parts(self, response: str, last_turn: str = "") -> dict[str, float]:
        """What the score is the mean of."""
        found, heard = words(response), set(words(last_turn))
        if not found:
            return dict.fromkeys(("asks", "length", "variety", "own"), 0.0)
        return {
            "asks": float("?" in response),
            "length": min(1.0, len(found) / LONG),
            "variety": len(set(found)) / len(found),
            "own": sum(word not in heard for word in found) / len(found),
        }

    def evaluate_engagement(self, responses: Sequence[str], last_turns: Sequence[str] | None = None) -> dict[str, Any]:
        """{"mean", "scores", "asks", "length", "variety", "own"}: the parts are means over the responses."""
        turns = [""] * len(listed(responses)) if last_turns is None else last_turns
        paired("responses and last turns", responses, turns)
        parts = [self.parts(response, turn) for response, turn in zip(responses, turns, strict=True)]
        scores = [fmean(one.values()) for one in parts]
        return {"mean": fmean(scores), "scores": scores, **{name: fmean(p[name] for p in parts) for name in parts[0]}}

    def evaluate_multi_turn_engagement(self, dialogue: Sequence[str], first: int = 1) -> dict[str, Any]:
        """{"mean", "scores", "trend", "repeated"} over every second turn from `first` on.

        `trend` is the last score less the first; `repeated` the share of responses that were given before, word for
        word. PersonaError where there is no such turn.
        """
        places = range(first, len(listed(dialogue)), 2)
        if not places:
            raise PersonaError(f"a dialogue of {len(dialogue)} turns has no response at {first}")
        scores = [
            self.calculate_engagement_score(dialogue[place], dialogue[place - 1] if place else "") for place in places
        ]
        said = [tuple(words(dialogue[place])) for place in places]
        return {
            "mean": fmean(scores),
            "scores": scores,
            "trend": scores[-1] - scores[0],
            "repeated": 1 - len(set(said)) / len(said),
        }
