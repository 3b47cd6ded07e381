"""The tokenizer of the small models: byte-pair pieces learnt from generated text without its values.

Words that a sentence is known by are whole; words that can be a value are spelt from pieces, seen or never seen alike,
so a value that never was an answer in training can be one. The first word of a line has the pieces that it has inside
of one: what is said again is said with the same. Below the pieces lie all 256 bytes: any text can be encoded and comes
back as it was. The section markers of the prompt are single entries, which no user text can forge, because the format
escapes brackets. It must never learn from a split that is judged.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from persona.format import DIALOGUE, PERSONA, RESPONSE, escape, render

PADDING: Final = "<pad>"
END: Final = "<eos>"
IGNORED: Final = -100
"""Label of a token that takes no part in the loss."""

Asked = tuple[Sequence[str], Sequence[str]]
"""A persona and a dialogue: what a response is given to."""


def learn(texts: Iterable[str], vocabulary: int) -> Any:
    """A `PreTrainedTokenizerFast` with at most `vocabulary` entries; entry 0 is padding."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # a space more after every line end that something follows, taken off again: no text is two texts' encoding
    tokenizer.normalizer = normalizers.Replace(Regex(r"\n(?=[^\n])"), "\n ")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("\n ", "\n")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING, END, PERSONA, DIALOGUE, RESPONSE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return wrapped(tokenizer)


def without(texts: Iterable[str], words: Iterable[str]) -> list[str]:
    """The texts with these words cut out: what is learnt from them spells each of the words, seen or never seen."""
    wanted = _any_of(words)
    return [wanted.sub("", text) for text in texts]


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b")


def read(path: Path) -> Any:
    """The tokenizer in a `tokenizer.json`."""
    from tokenizers import Tokenizer

    return wrapped(Tokenizer.from_file(str(path)))


def wrapped(tokenizer: Any) -> Any:
    """The same as transformers and TRL want it; padding on the right."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


def marks(tokenizer: Any) -> dict[str, int]:
    """Ids of the pieces that make a section, by the names that `section.SectionConfig` has for them."""
    start, end = tokenizer.convert_tokens_to_ids([PERSONA, DIALOGUE])
    _, line_end, _ = encode(tokenizer, ["a\nb"])[0]
    return {"section_start": start, "section_end": end, "line_end": line_end}


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of each text and nothing else."""
    return [one.ids for one in tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def masked(tokenizer: Any, texts: Sequence[str], words: Iterable[str]) -> list[dict[str, list[int]]]:
    """`input_ids` and `labels` of each text with its end: all is learnt but the pieces of `words`."""
    wanted = _any_of(words)
    found = []
    for text, one in zip(texts, tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False), strict=True):
        gone = {place for word in wanted.finditer(text) for place in range(*word.span())}
        labels = [IGNORED if high - 1 in gone else piece for piece, (_, high) in zip(one.ids, one.offsets, strict=True)]
        found.append(
            {name: [*ids, tokenizer.eos_token_id] for name, ids in (("input_ids", one.ids), ("labels", labels))}
        )
    return found


def fitting(tokenizer: Any, rows: Sequence[Asked], rooms: Sequence[int]) -> list[Asked]:
    """Each (persona, dialogue) without its oldest turns, so that the prompt has at most so many pieces.

    The last turn stays, and so does the persona, which is what a reply has to be true to.
    """
    found = []
    for (persona, dialogue), ids, room in zip(rows, prompts(tokenizer, rows), rooms, strict=True):
        while len(ids) > room and len(dialogue) > 1:
            dialogue = dialogue[1:]
            (ids,) = prompts(tokenizer, [(persona, dialogue)])
        found.append((persona, dialogue))
    return found


def prompts(tokenizer: Any, rows: Sequence[Asked], room: int | None = None) -> list[list[int]]:
    """Ids of each (persona, dialogue), up to and with [RESPONSE].

    At most `room`: without the oldest turns, and where the rest is still too long, its last pieces.
    """
    if room is not None:
        rows = fitting(tokenizer, rows, [room] * len(rows))
    found = encode(tokenizer, [render(persona, dialogue) for persona, dialogue in rows])
    return found if room is None else [ids[-room:] for ids in found]


def completions(tokenizer: Any, responses: Sequence[str]) -> list[list[int]]:
    """Ids of what follows [RESPONSE], each with the end token."""
    found = encode(tokenizer, [f" {escape(response)}" for response in responses])
    return [[*ids, tokenizer.eos_token_id] for ids in found]


def examples(
    tokenizer: Any, rows: Sequence[Asked], responses: Sequence[str], context: int | None = None
) -> list[dict[str, list[int]]]:
    """`input_ids` and `labels` of each (persona, dialogue) and response: only the response and its end are learnt.

    One that is longer than `context` loses its oldest turns, and where the rest is still too long, its first pieces.
    """
    last, said = slice(-context if context else None, None), completions(tokenizer, responses)
    if context:
        rows = fitting(tokenizer, rows, [context - len(after) for after in said])
    return [
        {"input_ids": (before + after)[last], "labels": ([IGNORED] * len(before) + after)[last]}
        for before, after in zip(prompts(tokenizer, rows), said, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Subjects:
    """What a dialogue is about, as numbers: of each word that is told in the section, and of each reply in turn."""

    told: Mapping[str, int]
    replies: Sequence[int]


def spoken(
    tokenizer: Any,
    dialogues: Sequence[Sequence[str]],
    sections: Sequence[Sequence[str]] | None = None,
    subjects: Sequence[Subjects] | None = None,
) -> list[dict[str, list[int]]]:
    """The same of dialogues, the last turn being the response: every second turn is learnt, all that is said in reply.

    Counted from the response, for the turn before it is the partner's, whoever spoke first.

    `sections` is what stands after [PERSONA] in each; nothing by default. With `subjects` each has a row `about`, too:
    the subject at the pieces of a word that the section tells, at those after which a piece of such a word is said in
    reply, and where a reply is about to begin; IGNORED elsewhere.
    """
    texts, lines = [], []
    for number, turns in enumerate(dialogues):
        section = sections[number] if sections else ()
        prompt = render(section, turns[:-1])
        texts.append(f"{prompt} {escape(turns[-1])}")
        lines.append(_lines(prompt, max(1, len(section)), len(section)))
    found = []
    encoded = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    for number, (text, one, (starts, kinds)) in enumerate(zip(texts, encoded, lines, strict=True)):
        kind = [kinds[bisect_right(starts, high - 1) - 1] for _, high in one.offsets]
        row = {"input_ids": [*one.ids, tokenizer.eos_token_id]}
        learnt = [piece if each == _REPLY else IGNORED for piece, each in zip(one.ids, kind, strict=True)]
        row["labels"] = [*learnt, tokenizer.eos_token_id]
        if subjects:
            row["about"] = [*_about(text, one.offsets, kind, subjects[number]), IGNORED]
        found.append(row)
    return found


_OTHER, _TOLD, _REPLY = range(3)


def _lines(prompt: str, first: int, told: int) -> tuple[list[int], list[int]]:
    """Where the lines of a prompt start, and what is in each; the response is the last one.

    `first` is the number of lines before the dialogue, `told` that of the section's sentences.
    """
    lines = prompt.split("\n")
    starts = [0, *itertools.accumulate(len(line) + 1 for line in lines)]
    starts[-1] -= 1  # the response has no line end before it
    kinds = [
        _TOLD if place < told else _REPLY if place > first and (len(lines) - place) % 2 else _OTHER
        for place in range(len(lines) - 1)
    ]
    return starts, [*kinds, _OTHER, _REPLY]


def _about(text: str, offsets: Sequence[tuple[int, int]], kind: Sequence[int], subjects: Subjects) -> list[int]:
    """The row `about` of `spoken`, but for the end."""
    word_of = {
        place: subjects.told[word[0]] for word in _any_of(subjects.told).finditer(text) for place in range(*word.span())
    }
    own = [word_of.get(high - 1, IGNORED) for _, high in offsets]
    found = [one if each == _TOLD else IGNORED for one, each in zip(own, kind, strict=True)]
    replies = iter(subjects.replies)
    for place in range(1, len(kind)):
        if kind[place] == _REPLY:  # a piece is looked for where the one before it stands
            found[place - 1] = own[place] if kind[place - 1] == _REPLY else next(replies, IGNORED)
    return found


def alike(rows: Sequence[Sized], size: int = 64) -> Iterator[list[int]]:
    """Places of rows of like length, `size` at a time: little is filled up."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    return (order[low : low + size] for low in range(0, len(order), size))


def padded(examples: Sequence[Mapping[str, Any]], padding: int = 0) -> dict[str, Any]:
    """(N, T) `input_ids`, `attention_mask`, `labels`, and `about` where there is one, filled up on the right.

    What stands behind the end, `padding`, is seen by nobody, but who looks for the end looks for it.
    """
    import torch

    width = max(len(one["input_ids"]) for one in examples)
    ids = torch.full((len(examples), width), padding)
    mask, rows = torch.zeros_like(ids), {"labels": torch.full_like(ids, IGNORED)}
    if any("about" in one for one in examples):
        rows["about"] = torch.full_like(ids, IGNORED)
    for row, one in enumerate(examples):
        size = len(one["input_ids"])
        ids[row, :size], mask[row, :size] = torch.tensor(one["input_ids"]), 1
        for name in rows.keys() & one.keys():
            rows[name][row, :size] = torch.tensor(one[name])
    return {"input_ids": ids, "attention_mask": mask, **rows}


def foretold(logits: Any, pieces: Any) -> Any:
    """(N, R, V) logits and the (N, R) pieces that they foretell -> (N, R) log-probabilities."""
    import torch

    return torch.log_softmax(logits.float(), dim=-1).gather(-1, pieces[..., None])[..., 0]


def log_likelihood(logits: Any, labels: Any) -> tuple[Any, Any]:
    """(N, T, V) logits, (N, T) labels -> (N,) sum of log-probabilities of the labels, (N,) how many there are."""
    wanted = labels[:, 1:]
    there = wanted != IGNORED
    return (foretold(logits[:, :-1], wanted.clamp(min=0)) * there).sum(1), there.sum(1)


def likelihoods(model: Any, batch: Mapping[str, Any], temperature: float = 1.0) -> tuple[Any, Any]:
    """The same of a batch as `padded` gives it, under a model whose logits are divided by `temperature`."""
    logits, labels = foretelling(model, batch)
    return log_likelihood(logits if temperature == 1.0 else logits.float() / temperature, labels)


def foretelling(model: Any, batch: Mapping[str, Any]) -> tuple[Any, Any]:
    """(N, R, V) logits and (N, R) labels of the last R places, each of which foretells the label after it.

    The model is asked for no logits before the first learnt piece but one.
    """
    width = batch["labels"].shape[1]
    first = int((batch["labels"] != IGNORED).any(0).int().argmax())
    kept = width - max(0, first - 1)  # what foretells a piece stands before it
    found = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], logits_to_keep=kept)
    return found.logits[:, -kept:], batch["labels"][:, -kept:]  # a model that does not know the wish gives all of them
