"""Pre-training from scratch: a language model that has read dialogue of speakers who have no persona.

First drills - random pieces, said twice - until it repeats what it never saw; then dialogue with drills in between. Of
drills and exercises only what can be foretold is learnt: the second saying, the reply. What an update draws is a
function of seed and update, so a killed run goes on to the same bits. In the section where a persona will stand it
reads what a partner tells, of himself or of what lies where, with words of all sides but the novel ones: see
`world.chatter`. It must never see a persona of a row, nor another split's rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from optim.muon import Muon
from persona import checkpoints
from persona.config import Pretrain
from persona.console import Console
from persona.tokens import IGNORED, padded

_FIRST_PIECE = 5  # those before are padding, end and markers
_SHORTEST, _LONGEST = 8, 32  # pieces of a random sequence, at first and at last
_NARROW, _WIDE = 32, 96  # tokens of a drill, at first and at last
_HELD_BACK = 64  # dialogues that are evaluated on and not trained on; of few, a tenth
LEAST = 10
"""Dialogues that pre-training needs: one of them is held back."""
_CHOICE = 8  # times as many dialogues are drawn as a batch holds, so that there are some of like length
_SAVE_EVERY = 100

Examples = Sequence[Mapping[str, list[int]]]


class Corpus:
    """Tokenised dialogues, and what an update is made of.

    `chatter` are dialogues made for this; `spoken`, those of the training rows without their personas.
    """

    def __init__(self, chatter: Examples, spoken: Examples, vocabulary: int, settings: Pretrain, seed: int) -> None:
        held = min(_HELD_BACK, len(chatter) // LEAST)
        self.held, self.chatter, self.spoken = chatter[:held], chatter[held:], spoken
        self.vocabulary, self.settings, self.seed = vocabulary, settings, seed
        self.subjects = max(0, 1 + max((each for one in chatter for each in one.get("about", ())), default=IGNORED))
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
        fitting = [max(1, self.settings.tokens // len(one["input_ids"])) for one in found]
        lasts = [last for last in range(1, len(found) + 1) if fitting[last - 1] <= last]  # longest of a full update
        last = draw.choice(lasts or [len(found)])
        return found[max(0, last - fitting[last - 1]) : last]

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


class Reader(torch.nn.Module):
    """A language model, and two things read out of it: which subject a place is about, and whether it was told.

    A model finds what is asked for among what it was told once it knows what a sentence is about, and can deny once it
    knows that nothing was; to be told both while it learns to speak saves most of the way. The first is read out of
    what the last layer is given, the second, where a reply is about to begin, out of what it gives. The readouts are
    thrown away. How a reply is put is left to chance, and learning chances drowns the word that it gives: pieces of a
    reply weigh `phrasing`, but for its first one and those of the word - or all of them, where it is about nothing and
    shares a batch with one that is. A batch that is about nothing, as all are without subjects, is the model's alone.
    """

    def __init__(self, model: Any, subjects: int, share: float, phrasing: float = 1.0) -> None:
        super().__init__()
        self.model, self.share, self.phrasing = model, share if subjects else 0.0, phrasing
        self.subject = torch.nn.Linear(model.config.hidden_size, max(1, subjects))
        self.told = torch.nn.Linear(model.config.hidden_size, 1)
        for readout in (self.subject, self.told):
            torch.nn.init.zeros_(readout.weight)  # no draw that a resumed run would have to make again
            torch.nn.init.zeros_(readout.bias)

    def forward(self, labels: Tensor, about: Tensor | None = None, **batch: Tensor) -> Tensor:
        """The loss, (): (N, T) rows as `padded` gives them."""
        if about is None or not bool((about != IGNORED).any()):
            return self.model(**batch, labels=labels).loss  # type: ignore[no-any-return]
        found = self.model(**batch, output_hidden_states=bool(self.share))
        each = cross_entropy(found.logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), reduction="none")
        weight = torch.where(about[:, :-1] != IGNORED, 1.0, self.phrasing) * (labels[:, 1:] != IGNORED)
        loss = (each * weight.flatten()).sum() / weight.sum()
        if not self.share:
            return loss
        given = found.hidden_states[-2][about != IGNORED]  # (M, width)
        subjects = self.subject(torch.nn.functional.rms_norm(given, given.shape[-1:]))
        begins, known = answerable(labels, about)
        told = self.told(found.hidden_states[-1][begins])[:, 0]
        missed = binary_cross_entropy_with_logits(told, known.float()) if len(told) else 0.0  # nothing is asked
        return loss + self.share * (cross_entropy(subjects, about[about != IGNORED]) + missed)


def answerable(labels: Tensor, about: Tensor) -> tuple[Tensor, Tensor]:
    """Where a reply is about to begin, (N, T), and of each, (B,), whether its subject is told in the section."""
    foretells = torch.zeros_like(labels, dtype=torch.bool)
    foretells[:, :-1] = labels[:, 1:] != IGNORED
    begins = foretells & (labels == IGNORED) & (about != IGNORED)
    told = (about != IGNORED) & ~foretells
    return begins, ((about[:, :, None] == about[:, None, :]) & told[:, None, :]).any(2)[begins]


def rate(settings: Pretrain, update: int) -> float:
    """Share of the peak rate that update `update` (from 0) is made with: linearly up, then half a cosine down."""
    if update < settings.warmup:
        return (update + 1) / settings.warmup
    total = settings.drills + settings.dialogues
    return (1 + math.cos(math.pi * min(1.0, (update + 1 - settings.warmup) / (total - settings.warmup)))) / 2


def pretrain(
    model: Any, corpus: Corpus, settings: Pretrain, folder: Path, keep: int, dtype: torch.dtype = torch.float32
) -> list[float]:
    """Train `model` in place, or on from the last checkpoint in `folder`; the losses on dialogues held back.

    Losses are computed in fp32: with so few tokens an update half precision saves next to nothing. In `dtype` matrices
    are made orthogonal, which in fp32 takes a quarter of an update.
    """
    reader = Reader(model, corpus.subjects, settings.about, settings.phrasing)
    matrices = [each for layer in model.model.layers for each in layer.parameters() if each.ndim == 2]
    taken = set(map(id, matrices))
    others = [each for each in reader.parameters() if id(each) not in taken]
    optimizer = Muon(
        [
            {"params": matrices, "lr": settings.matrix_rate, "orthogonal": True},
            {"params": others, "lr": settings.learning_rate, "orthogonal": False},
        ],
        dtype=dtype,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: rate(settings, update))
    total = settings.drills + settings.dialogues
    state = checkpoints.restore(folder, reader, optimizer, schedule)
    done = int(state.get("update", 0))
    history: list[float] = list(state.get("history", []))
    with Console("pre-training", total) as console:
        for update in range(done, total):
            batch = corpus.batch(update)
            reader.train()
            loss = reader(**batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            console.show(update + 1, loss)
            if (update + 1) % _SAVE_EVERY == 0 or update + 1 == total:
                history.append(held_back(model, corpus))
                state = {"update": update + 1, "history": history}
                checkpoints.save(folder, update + 1, reader, optimizer, schedule, state, keep, history[-1])
    return history


def held_back(model: Any, corpus: Corpus) -> float:
    """Loss on the dialogues that are not trained on."""
    model.eval()
    with torch.inference_mode():
        batch = padded(corpus.held)
        batch.pop("about", None)
        return float(model(**batch).loss)


def induction(model: Any, vocabulary: int, rows: int = 32, period: int = 32, width: int = 96, seed: int = 1) -> float:
    """Share of pieces of the second saying of random sequences that are foretold, in [0, 1]; chance 1 / vocabulary."""
    corpus = Corpus([{"input_ids": [0], "labels": [0]}] * 2, [], vocabulary, Pretrain(tokens=rows * width), seed)
    batch = corpus.drill(random.Random(seed), 1.0)
    model.eval()
    with torch.inference_mode():
        guess = model(input_ids=batch["input_ids"]).logits[:, :-1].argmax(-1)
    wanted = batch["labels"][:, 1:]
    return float((guess == wanted)[wanted != IGNORED].float().mean())
