"""Pre-training from scratch: a language model that has read dialogue, and no persona.

First drills - random pieces, said twice - until it repeats what it never saw; then dialogue with drills in between.
Of drills and exercises only what can be foretold is learnt: the second saying, the reply. What an update draws is a
function of seed and update, so a killed run goes on to the same bits. It must never see a persona, nor another split.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from persona import checkpoints
from persona.config import Pretrain
from persona.console import Console
from persona.tokens import IGNORED, padded

_FIRST_PIECE = 5  # those before are padding, end and markers
_SHORTEST, _LONGEST = 8, 32  # pieces of a random sequence, at first and at last
_NARROW, _WIDE = 32, 96  # tokens of a drill, at first and at last
_HELD_BACK = 64  # dialogues that are evaluated on and not trained on
_CHOICE = 8  # times as many dialogues are drawn as a batch holds, so that there are some of like length
_SAVE_EVERY = 100

Examples = Sequence[Mapping[str, list[int]]]


class Corpus:
    """Tokenised dialogues, and what an update is made of.

    `chatter` are dialogues made for this; `spoken`, those of the training rows without their personas.
    """

    def __init__(self, chatter: Examples, spoken: Examples, vocabulary: int, settings: Pretrain, seed: int) -> None:
        held = min(_HELD_BACK, len(chatter) // 10)
        self.held, self.chatter, self.spoken = chatter[:held], chatter[held:], spoken
        self.vocabulary, self.settings, self.seed = vocabulary, settings, seed
        mean = sum(len(one["input_ids"]) for one in self.chatter) / len(self.chatter)
        self.dialogues = max(1, round(settings.tokens / mean))  # of an update, were all of one length

    def batch(self, update: int) -> dict[str, Tensor]:
        """What update `update` (from 0) is trained on."""
        settings, draw = self.settings, random.Random(f"{self.seed} {update}")
        if update < settings.drills:
            return self.drill(draw, (update / settings.drills) ** 2)
        if draw.random() < settings.drill_share:
            return self.drill(draw, 1.0)
        pool = self.spoken if self.spoken and draw.random() < settings.spoken else self.chatter
        return padded(self.alike(draw, pool))

    def alike(self, draw: random.Random, pool: Examples) -> Examples:
        """Dialogues of like length out of `pool`, as many as the tokens of an update hold with their padding."""
        found = sorted(draw.choices(pool, k=_CHOICE * self.dialogues), key=lambda one: len(one["input_ids"]))
        last = draw.randrange(len(found)) + 1  # the longest of them
        fitting = max(1, self.settings.tokens // len(found[last - 1]["input_ids"]))
        return found[max(0, last - fitting) : last]

    def drill(self, draw: random.Random, grown: float) -> dict[str, Tensor]:
        """Rows of random pieces repeated to the end; lengths are `grown` in [0, 1] between least and most."""
        width = round(_NARROW + (_WIDE - _NARROW) * grown)
        longest = round(_SHORTEST + (_LONGEST - _SHORTEST) * grown)
        period = draw.randint(longest // 2, longest)
        generator = torch.Generator().manual_seed(draw.getrandbits(62))
        rows = max(1, self.settings.tokens // width)
        once = torch.randint(_FIRST_PIECE, self.vocabulary, (rows, period), generator=generator)
        ids = once.repeat(1, width // period + 1)[:, :width]
        labels = ids.clone()
        labels[:, : period + 1] = IGNORED  # the first saying, and where it turns out to be said again
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def rate(settings: Pretrain, update: int) -> float:
    """Share of the peak rate that update `update` (from 0) is made with: linearly up, then half a cosine down."""
    if update < settings.warmup:
        return (update + 1) / settings.warmup
    total = settings.drills + settings.dialogues
    return (1 + math.cos(math.pi * min(1.0, (update + 1 - settings.warmup) / (total - settings.warmup)))) / 2


def pretrain(model: Any, corpus: Corpus, settings: Pretrain, folder: Path, keep: int) -> list[float]:
    """Train `model` in place, or on from the last checkpoint in `folder`; the losses on dialogues held back."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.01, foreach=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: rate(settings, update))
    total = settings.drills + settings.dialogues
    state = checkpoints.restore(folder, model, optimizer, schedule)
    done = int(state.get("update", 0))
    history: list[float] = list(state.get("history", []))
    with Console("pre-training", total) as console:
        for update in range(done, total):
            batch = corpus.batch(update)
            model.train()
            loss = model(**batch).loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            console.show(update + 1, loss)
            if (update + 1) % _SAVE_EVERY == 0 or update + 1 == total:
                history.append(held_back(model, corpus))
                state = {"update": update + 1, "history": history}
                checkpoints.save(folder, update + 1, model, optimizer, schedule, state, keep, history[-1])
    return history


def held_back(model: Any, corpus: Corpus) -> float:
    """Loss on the dialogues that are not trained on."""
    model.eval()
    with torch.inference_mode():
        return float(model(**padded(corpus.held)).loss)


def induction(model: Any, vocabulary: int, rows: int = 32, period: int = 32, width: int = 96, seed: int = 1) -> float:
    """Share of pieces of the second saying of random sequences that are foretold, in [0, 1]; chance 1 / vocabulary."""
    corpus = Corpus([{"input_ids": [0], "labels": [0]}] * 2, [], vocabulary, Pretrain(tokens=rows * width), seed)
    batch = corpus.drill(random.Random(seed), 1.0)
    model.eval()
    with torch.inference_mode():
        guess = model(input_ids=batch["input_ids"]).logits[:, :-1].argmax(-1)
    wanted = batch["labels"][:, 1:]
    return float((guess == wanted)[wanted != IGNORED].float().mean())
