"""The whole training: tokenizer and base, SFT with adapters, its two controls, the reward model, reinforcement.

Called again with the same arguments after a kill, it goes on where it was and ends with the same weights; with others,
it refuses the folder. Stages that are done are walked through again without an update, so whoever watches sees the same
optimizers in the same order. It must never read a test split, nor leave weights of two trainings in one folder.
"""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import set_seed

from persona import calibration, checkpoints, disguise, policy, ppo, prepare, pretrain, reward, sft, stage, tokens
from persona.config import SCRATCH, Settings, save_config
from persona.errors import PersonaError
from persona.format import DIALOGUE, PERSONA, RESPONSE, render
from persona.model import memory_gib
from persona.pretrain import Examples

FILES = ("chatter", "train", "dev", "twins", "twins_dev")
"""What `train` is given: dialogue without a persona, rows with one, and twins for the reward model."""
_DIALOGUE_KEYS = ("record_id", "persona", "dialogue", "response")
_TWIN_KEYS = ("record_id", "personas", "dialogue", "responses")
TRAINING = "training.json"
"""What a folder is a training of: settings, and digests of the data files. Written before anything else."""
_LEARNT_FROM = 6000  # texts that the tokenizer is learnt from

_SENTENCE = re.compile(r"(?<=[.?!])\s+")

Rows = Sequence[Mapping[str, Any]]


def train(config: Mapping[str, Any], data: Mapping[str, Path], out: Path) -> None:
    """Train every stage on the JSON Lines files of `data` (see FILES); `out` is then what `bridge.load` reads.

    PersonaError where it holds a training with other settings or data.
    """
    settings = Settings.read(config)
    out = Path(out)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads it; 7 % of an update of SFT
    files = read(data)
    check(settings, files)
    claim(out, settings, data)
    run = Chain(settings, files, out)
    run.all()
    run.finish()


def read(data: Mapping[str, Path]) -> dict[str, Rows]:
    """The rows of every file. PersonaError for one that is absent, empty, or lacks a key."""
    found: dict[str, Rows] = {}
    for name in FILES:
        if name not in data:
            raise PersonaError(f'no file "{name}" was given; training needs {", ".join(FILES)}')
        keys = _TWIN_KEYS if name.startswith("twins") else _DIALOGUE_KEYS
        found[name] = prepare.read(Path(data[name]), *keys)
    return found


def check(settings: Settings, files: Mapping[str, Rows]) -> None:
    """PersonaError where the settings ask for more than the files, or this Python, have."""
    taught = settings.reward.epochs and settings.reinforce.updates
    for name, least, why in (
        ("chatter", pretrain.LEAST if settings.base == SCRATCH else 0, "some are held back from pre-training"),
        ("train", settings.reinforce.batch if taught else 0, "reinforce.batch prompts are asked at once"),
    ):
        if len(files[name]) < least:
            raise PersonaError(f"{name}: {len(files[name])} rows are too few, {least} are needed: {why}")
    for name in settings.report_to:
        if importlib.util.find_spec(name) is None:
            raise PersonaError(f'report_to = "{name}": no package of that name is installed')


def claim(out: Path, settings: Settings, data: Mapping[str, Path]) -> None:
    """Say in the folder what it is a training of, and take away the mark of a finished one.

    PersonaError where there are weights of another training in it.
    """
    digests = {name: hashlib.sha256(Path(data[name]).read_bytes()).hexdigest() for name in FILES}
    told = json.loads(json.dumps({"settings": asdict(settings), "data": digests}))
    file = out / TRAINING
    try:
        before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError:
        before = {}
    if before != told:
        if any((out / name).exists() for name in (policy.ABOUT, policy.WEIGHTS, checkpoints.FOLDER)):
            was, now = _flat(before), _flat(told)
            other = ", ".join([key for key in now if was.get(key) != now[key]][:3])
            what = f"differing in {other}" if before else f"without a {TRAINING} that could be read"
            raise PersonaError(f"{out}: holds another training, {what}; give another folder, or remove this one")
        (out / "tokenizer.json").unlink(missing_ok=True)
        save_config(told, file)
    (out / policy.ABOUT).unlink(missing_ok=True)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested tables by their keys, parted by dots."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value})
    return found


class Chain:
    """One run over all stages, in order; `logs` says what each did."""

    def __init__(self, settings: Settings, files: Mapping[str, Rows], out: Path) -> None:
        self.settings, self.files, self.out = settings, files, out
        self.logs: list[dict[str, Any]] = []
        self._made: dict[tuple[str, float], Rows] = {}
        out.mkdir(parents=True, exist_ok=True)
        self.tokenizer = self._tokenizer()

    def all(self) -> None:
        """Every stage that the profile asks for."""
        self.base()
        self.sft("sft", self.settings.pairing)
        if self.settings.controls:
            self.sft("blind", "blind")
            self.sft("shuffled", "shuffled")
        if self.settings.reward.epochs:
            self.reward()
            if self.settings.reinforce.updates:
                self.reinforce()

    def base(self) -> None:
        """Pre-train from scratch, or fetch the hub model; leave the base's weights."""
        settings = self.settings
        set_seed(settings.seed)
        model = policy.base_model(settings, self.tokenizer)
        if settings.memory_gib:
            self._fits(model)
        if settings.base == SCRATCH:
            corpus = pretrain.Corpus(*self._dialogues(), len(self.tokenizer), settings.pretrain, settings.seed)
            folder = self.out / checkpoints.FOLDER / "pretrain"
            kind = stage.precision(settings.precision, model.device.type)
            dtype = torch.bfloat16 if kind == "bf16" else torch.float32
            losses = pretrain.pretrain(model, corpus, settings.pretrain, folder, settings.keep_checkpoints, dtype)
            induction = pretrain.induction(model, len(self.tokenizer))
            updates = settings.pretrain.drills + settings.pretrain.dialogues
            self.logs.append({"name": "pretrain", "updates": updates, "dev_loss": losses, "induction": induction})
        else:
            policy.save_hub(model, self.tokenizer, self.out)
        policy.save_base(model, self.out)

    def sft(self, name: str, pairing: str) -> None:
        """Adapters on the base, with the persona that `pairing` says in the prompt."""
        set_seed(self.settings.seed)
        train = self._disguised("train", self.settings.sft.disguised)
        sides = {"train": train, "dev": self.files["dev"]}
        model, log = sft.train(self._below(), self.tokenizer, sides, self.settings, name, pairing, self.out)
        self._done(name, model, log)

    def reward(self) -> None:
        """Adapters and a head on the SFT policy."""
        set_seed(self.settings.seed)
        train = self._disguised("twins", self.settings.reward.disguised)
        sides = {"train": train, "dev": self.files["twins_dev"]}
        model, log = reward.train(self._below("sft"), self.tokenizer, sides, self.settings, self.out)
        self._done("reward", model, log)

    def reinforce(self) -> None:
        """Adapters on the SFT policy, by the reward of what it says."""
        set_seed(self.settings.seed)
        scorer = self._scorer()
        rows = self._disguised("train", self.settings.sft.disguised)
        model, log = ppo.train(self._below("sft"), scorer, self.tokenizer, rows, self.settings, self.out)
        self._done("ppo", model, log)

    def finish(self) -> None:
        """Write what the bridge reads, and drop what only a killed run would need."""
        about = {"settings": asdict(self.settings), "stages": self.logs, "temperature": self.temperature()}
        save_config(about, self.out / policy.ABOUT)
        shutil.rmtree(self.out / checkpoints.FOLDER, ignore_errors=True)

    def temperature(self) -> float:
        """What the logits of SFT are divided by, as suits the dev split."""
        rows, settings = self.files["dev"], self.settings
        unread = policy.unread("sft", settings)
        asked = [(() if unread else row["persona"], row["dialogue"]) for row in rows]
        responses = [row["response"] for row in rows]
        examples = tokens.examples(self.tokenizer, asked, responses, settings.model.context)
        model = self._below("sft").to("cuda" if torch.cuda.is_available() else "cpu")
        return calibration.temperature(model, examples, settings.sft.batch)

    def _dialogues(self) -> tuple[Examples, Examples]:
        """Chatter, with things that are told before a question in the section of the persona; rows without theirs.

        Of the rows all is learnt, what the partner says, too - this is where the language comes from - but the values:
        without the persona nobody could foretell them, and learning that would be learning not to look.
        """
        told = [_told([*row["dialogue"], row["response"]]) for row in self.files["chatter"]]
        sections, turns = zip(*told, strict=True)
        chatter = tokens.spoken(self.tokenizer, turns, sections, subjects(self.files["chatter"]))
        rows = self.files["train"]
        spoken = [render((), row["dialogue"], row["response"]) for row in rows]
        return chatter, tokens.masked(self.tokenizer, spoken, disguise.values(rows))

    def _disguised(self, name: str, share: float) -> Rows:
        """Rows of a file with other words for values, and loosened; made once, for several stages take the same."""
        made = name, share
        if made not in self._made:
            known = disguise.values(self.files["train"])
            found = disguise.disguised(self.files[name], known, share, self.settings.seed)
            self._made[made] = disguise.loosened(found)
        return self._made[made]

    def _done(self, name: str, model: Any, log: dict[str, Any]) -> None:
        policy.save_adapters(model, name, self.out)
        self.logs.append(log)
        gc.collect()  # trainers and models refer to each other

    def _below(self, *stages: str) -> Any:
        """A fresh base with the adapters of the stages merged, one after the other."""
        model = policy.load_base(self.settings, self.tokenizer, self.out)
        for name in stages:
            model = policy.merge_adapters(model, name, self.settings, self.out)
        return model

    def _scorer(self) -> Any:
        scorer = policy.classifier(self._below("sft"), self.tokenizer)
        return policy.merge_adapters(scorer, "reward", self.settings, self.out)

    def _tokenizer(self) -> Any:
        settings = self.settings
        if settings.base != SCRATCH:
            return _hub_tokenizer(settings.base)
        path = self.out / "tokenizer.json"
        if not path.is_file():
            rows = self.files["train"]
            texts = [render(row["persona"], row["dialogue"], row["response"]) for row in rows[:_LEARNT_FROM]]
            beside = path.with_suffix(".partial")
            tokens.learn(
                tokens.without(texts, disguise.values(rows)), settings.model.vocabulary
            ).backend_tokenizer.save(str(beside))
            os.replace(beside, path)
        return tokens.read(path)

    def _fits(self, model: Any) -> None:
        needed = memory_gib(model, self.settings)
        if needed > self.settings.memory_gib:
            raise PersonaError(
                f"the profile needs {needed:.1f} GiB and the device has {self.settings.memory_gib:g}: "
                "make batch, context or rank smaller, or set gradient_checkpointing"
            )


def _told(turns: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """A dialogue whose first turn tells several things before it asks: those as a section, and what is left to say."""
    first = _SENTENCE.split(turns[0])
    return (first[:-1], [first[-1], *turns[1:]]) if len(first) > 2 else ((), turns)


def subjects(rows: Rows) -> list[tokens.Subjects]:
    """What each dialogue is about, slots as numbers, where the rows say it."""
    names = sorted({slot for row in rows for slot in [*row.get("told", ()), *row.get("asked", ())]})
    number = {name: place for place, name in enumerate(names)}
    return [
        tokens.Subjects(
            {word: number[slot] for slot, word in row.get("told", {}).items()},
            [number[slot] for slot in row.get("asked", ())],
        )
        for row in rows
    ]


def _hub_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.eos_token is None:
        tokenizer.add_special_tokens({"eos_token": tokens.END})
    if tokenizer.pad_token is None or tokenizer.pad_token == tokenizer.eos_token:
        tokenizer.add_special_tokens({"pad_token": tokens.PADDING})  # the end of a response must be learnt
    tokenizer.add_special_tokens({"additional_special_tokens": [PERSONA, DIALOGUE, RESPONSE]})
    tokenizer.padding_side = "right"
    return tokenizer
