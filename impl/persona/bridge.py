"""From a trained chain to answers about plain data, for whoever judges or talks: items in, texts and numbers out.

An item is {"persona": [str], "dialogue": [str], ...}; `stage` says whose weights answer ("base", "sft", "ppo", and the
controls "blind" and "shuffled"; by default the last of "sft" and "ppo" that there is). A model that was trained without
a persona is asked without one. It must never see what is true of an item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from persona import prepare, reward, tokens
from persona.errors import PersonaError
from persona.finetune import Comparison
from persona.policy import Folder, Policy, unread

__all__ = ["Bridge", "load"]

Item = Mapping[str, Any]


def load(artifact: Path) -> Bridge:
    """The trained chain in the folder `artifact`. PersonaError when it holds none."""
    return Bridge(Folder(artifact))


class Bridge:
    """Answers of one trained chain."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._policies: dict[str, Policy] = {}
        self._comparisons: dict[tuple[str, str, int], Comparison] = {}
        folder.base()  # weights that do not fit are refused now

    @property
    def stages(self) -> list[str]:
        """What was trained, in order."""
        return self.folder.stages

    def reply(self, items: Sequence[Item], stage: str | None = None) -> list[dict[str, str]]:
        """{"text": response} of each item, greedy."""
        stage = stage or self.folder.best
        policy = self._policy(stage)
        asked = [self._asked(item, stage) for item in items]
        return [{"text": text} for text in policy.replies(asked, self.folder.settings.reinforce.response)]

    def likelihood(self, items: Sequence[Item], stage: str | None = None) -> list[dict[str, list[float]]]:
        """{"scores": one a candidate}: mean log-probability a piece of each of the item's "candidates" as response.

        An item may give "personas" in place of "persona" and "response" in place of "candidates": then the personas are
        the candidates, and what is scored is the one response under each of them.
        """
        stage, asked, sizes = stage or self.folder.best, [], []
        for item in items:
            if "personas" in item:
                several = [({**item, "persona": one}, item["response"]) for one in item["personas"]]
            else:
                several = [(item, candidate) for candidate in item["candidates"]]
            asked += [(*self._asked(one, stage), response) for one, response in several]
            sizes.append(len(several))
        means = iter([total / max(1, count) for total, count in self._policy(stage).likelihoods(asked)])
        return [{"scores": [next(means) for _ in range(size)]} for size in sizes]

    def perplexity(self, items: Sequence[Item], stage: str | None = None) -> list[dict[str, float]]:
        """{"nll", "tokens"}: negative log-likelihood in nats of the item's "response" with its end, and its pieces."""
        stage = stage or self.folder.best
        asked = [(*self._asked(item, stage), item["response"]) for item in items]
        return [{"nll": -total, "tokens": float(count)} for total, count in self._policy(stage).likelihoods(asked)]

    def reward(self, items: Sequence[Item]) -> list[dict[str, float]]:
        """{"score"}: what the reward model gives the item's "response"."""
        asked = [(item["persona"], item["dialogue"], item["response"]) for item in items]
        return [{"score": score} for score in reward.scores(self._scorer, self.folder.tokenizer, asked)]

    def finetune(self, item: Item, train: str, dev: str) -> dict[str, Any]:
        """Fine-tune the base once more, step by step, for a clock outside.

        The item is {"arm", "seed", "step"}: "prepare" builds the arm; "train" makes the slice of its updates that the
        item's "slice" names, the next one, and gives {"updates"} made so far; "dev" gives {"nll", "tokens"} of each
        dev row by the arm as it is; "usage" its numbers and bytes, see `finetune.Arm.usage`. `train` and `dev` are
        files of rows. PersonaError for another step or slice.
        """
        comparison, name = self._comparison(train, dev, item["seed"]), item["arm"]
        match item["step"]:
            case "prepare":
                return {"updates": comparison.prepare(name).done}
            case "train":
                return {"updates": comparison.run(name, item["slice"])}
            case "dev":
                rows = comparison.nll(name)
                return {"nll": [nll for nll, _ in rows], "tokens": [float(count) for _, count in rows]}
            case "usage":
                return comparison.prepare(name).usage()
            case other:
                raise PersonaError(f'step "{other}" is unknown; there are prepare, train, dev, usage')

    def _comparison(self, train: str, dev: str, seed: int) -> Comparison:
        key = (train, dev, seed)
        if key not in self._comparisons:
            settings, tokenizer = self.folder.settings, self.folder.tokenizer
            torch.set_num_threads(settings.threads)
            sides = []
            for path in (train, dev):
                rows = prepare.read(Path(path), "persona", "dialogue", "response")
                asked = [(row["persona"], row["dialogue"]) for row in rows]
                responses = [row["response"] for row in rows]
                sides.append(tokens.examples(tokenizer, asked, responses, settings.model.context))
            self._comparisons[key] = Comparison(self.folder.base, *sides, settings.finetune, seed)
        return self._comparisons[key]

    def _asked(self, item: Item, stage: str) -> tuple[Sequence[str], Sequence[str]]:
        if not item["dialogue"]:
            raise PersonaError("an item needs a dialogue of at least one turn to answer to")
        return () if unread(stage, self.folder.settings) else item["persona"], item["dialogue"]

    def _policy(self, stage: str) -> Policy:
        if stage not in self._policies:
            self._policies[stage] = self.folder.policy(stage)
        return self._policies[stage]

    @cached_property
    def _scorer(self) -> Any:
        return self.folder.scorer()
