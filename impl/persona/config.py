"""What the chain is trained with: one profile of the specification, or a file of the user's, over the defaults.

A key that nobody knows is an error, and so is a value of another type or out of its range: a misspelt option must never
train with the default in silence. Merging never changes what it is given.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

from persona.errors import PersonaError

ALGORITHMS: Final = ("ppo", "rloo", "grpo")
PRECISIONS: Final = ("native", "fp32", "bf16", "fp16")
PAIRINGS: Final = ("own", "blind", "shuffled")
"""Whose persona stands in the prompt of a training example: the speaker's, nobody's, somebody else's."""
REPORTS: Final = ("tensorboard", "wandb")
SCRATCH: Final = "scratch"


@dataclass(frozen=True, slots=True)
class Range:
    """From least to most, both allowed; `told` says so to whoever gave another value."""

    told: str
    least: float
    most: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether it is in it; infinity and what is no number never are."""
        return math.isfinite(value) and self.least <= value <= self.most


Count = Annotated[int, Range("a whole number of 1 or more", 1)]
Number = Annotated[int, Range("a whole number of 0 or more", 0)]
Seed = Annotated[int, Range("a whole number from 0 to 2**32 - 1", 0, 2**32 - 1)]
Share = Annotated[float, Range("a number from 0 to 1", 0, 1)]
Rate = Annotated[float, Range("a number above 0", math.ulp(0.0))]
Weight = Annotated[float, Range("a number of 0 or more", 0)]


@dataclass(frozen=True, slots=True)
class Model:
    """Of a model that is built here; a hub model brings its own and reads `context` alone."""

    vocabulary: Count = 1200
    width: Count = 128
    layers: Count = 3
    heads: Count = 4
    inner: Count = 384
    context: Count = 320  # tokens of prompt and response
    induction: bool = True  # start with a pair of induction heads
    apart: bool = True  # each sentence of the persona is read as a whole and apart from the others


@dataclass(frozen=True, slots=True)
class Pretrain:
    """Random sequences said twice, then dialogue without a persona with some of them in between."""

    drills: Number = 60  # updates
    dialogues: Number = 2500  # updates
    spoken: Share = 0.15  # share of them that are training dialogues without their personas
    tokens: Count = 1024  # an update
    about: Weight = 0.4  # weight of saying what a place is about and whether it was told, beside what is said next
    phrasing: Weight = 0.25  # weight of how a reply is put, beside the word that it gives
    drill_share: Share = 0.15  # of the later updates
    matrix_rate: Rate = 6e-3  # of the matrices inside layers
    learning_rate: Rate = 5e-3  # of everything else
    warmup: Number = 20  # updates


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters on all linear layers."""

    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.0


@dataclass(frozen=True, slots=True)
class Sft:
    epochs: Count = 1
    batch: Count = 24  # on each device
    learning_rate: Rate = 3e-3
    warmup_share: Share = 0.05
    evaluations: Number = 2
    disguised: Share = 0.75  # share of rows with other words in the place of values
    lora: Lora = field(default_factory=lambda: Lora(64, 64))


@dataclass(frozen=True, slots=True)
class Reward:
    epochs: Number = 1
    batch: Count = 32  # pairs, on each device
    learning_rate: Rate = 1e-3
    warmup_share: Share = 0.05
    evaluations: Number = 2
    disguised: Share = 0.75
    lora: Lora = field(default_factory=lambda: Lora(64, 64))


@dataclass(frozen=True, slots=True)
class Reinforce:
    algorithm: str = "ppo"
    updates: Number = 8  # batches that are sampled; of each, PPO makes epochs * minibatches steps, the others epochs
    batch: Count = 64  # prompts in one, answered once in PPO, `generations` times in the others
    epochs: Count = 2  # passes over what was sampled
    minibatches: Count = 2  # in PPO
    generations: Count = 4  # responses to a prompt, in RLOO and GRPO
    learning_rate: Rate = 5e-5
    kl: Weight = 0.1
    temperature: Rate = 0.7
    response: Count = 32  # tokens at most
    unfinished_penalty: Weight = 1.0  # taken off the score of a response that does not end
    lora: Lora = field(default_factory=Lora)


@dataclass(frozen=True, slots=True)
class Finetune:
    """The arms whose cost is compared: full fine-tuning, LoRA alone, and ours. Rates are each arm's own best."""

    updates: Count = 120  # of the full arm and of LoRA
    batch: Count = 32
    full_learning_rate: Rate = 1e-3
    lora_learning_rate: Rate = 4e-3
    our_learning_rate: Rate = 4e-3
    our_updates: Count = 120
    our_batch: Count = 32
    frozen: Count = 1  # lower layers
    rank: Count = 32
    smoothing: Share = 0.1  # of the labels, in every arm
    slices: Count = 6  # that an arm is timed in


@dataclass(frozen=True, slots=True)
class Settings:
    """One profile; the defaults are those of the `cpu` profile."""

    base: str = SCRATCH  # or the name or folder of a hub model
    model: Model = field(default_factory=Model)
    pretrain: Pretrain = field(default_factory=Pretrain)
    sft: Sft = field(default_factory=Sft)
    reward: Reward = field(default_factory=Reward)
    reinforce: Reinforce = field(default_factory=Reinforce)
    finetune: Finetune = field(default_factory=Finetune)
    pairing: str = "own"
    controls: bool = True  # train "blind" and "shuffled" beside
    gradient_checkpointing: bool = False
    precision: str = "native"
    memory_gib: Weight = 0.0  # what the device has; 0: not checked
    keep_checkpoints: Number = 2  # and the best one
    report_to: tuple[str, ...] = ()  # "tensorboard", "wandb"
    threads: Count = 2
    seed: Seed = 0

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """From a plain mapping over the defaults. PersonaError names a key or value that is wrong."""
        settings: Settings = _read(cls, config, "")
        model, reinforce = settings.model, settings.reinforce
        for name, value, known in (
            ("reinforce.algorithm", reinforce.algorithm, ALGORITHMS),
            ("precision", settings.precision, PRECISIONS),
            ("pairing", settings.pairing, PAIRINGS),
            *(("report_to", each, REPORTS) for each in settings.report_to),
        ):
            if value not in known:
                raise PersonaError(f'{name} = "{value}": known are {", ".join(known)}')
        for told, fits in (
            ("model.width: a multiple of twice model.heads", not model.width % (2 * model.heads)),
            ("reinforce.batch: a multiple of reinforce.minibatches", not reinforce.batch % reinforce.minibatches),
            ("reinforce.response: less than model.context", reinforce.response < model.context),
            ("reinforce.generations: 2 or more", reinforce.generations > 1 or reinforce.algorithm == "ppo"),
        ):
            if not fits:
                raise PersonaError(f"{told} is needed, which the configuration has not")
        return settings


def _read(cls: Any, table: Mapping[str, Any], prefix: str) -> Any:
    known = get_type_hints(cls, include_extras=True)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f'; did you mean "{prefix}{near[0]}"?' if near else f"; there are {', '.join(known)}"
            raise PersonaError(f'"{prefix}{key}" is no key of the configuration{hint}')
    values: dict[str, Any] = {}
    for each in fields(cls):
        if each.name not in table:
            continue
        value, kind = table[each.name], known[each.name]
        if is_dataclass(kind):
            if not isinstance(value, Mapping):
                raise PersonaError(f'"{prefix}{each.name}" is a table, not {value!r}')
            values[each.name] = _read(kind, value, f"{prefix}{each.name}.")
        else:
            values[each.name] = _typed(f"{prefix}{each.name}", value, kind)
    return cls(**values)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """The value, where it is of this kind; a list as a tuple."""
    ranges = getattr(kind, "__metadata__", ())
    kind = getattr(kind, "__origin__", kind) if ranges else kind
    if kind is float and type(value) is int:
        value = float(value)
    if kind not in (bool, int, float, str):
        fits, told = isinstance(value, list | tuple) and all(type(x) is str for x in value), "a list of strings"
        value = tuple(value) if fits else value
    else:
        fits, told = type(value) is kind, kind.__name__
        for limit in ranges:
            fits, told = fits and limit.holds(value), limit.told
    if not fits:
        raise PersonaError(f'"{name}" cannot be {value!r}: it is {told}')
    return value


def get_default_config() -> dict[str, Any]:
    """The defaults as plain tables, anew at each call."""
    return _plain(asdict(Settings()))


def merge_configs(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `override`, table by table; neither is changed, nothing is shared with the result."""
    merged: dict[str, Any] = {key: copy.deepcopy(value) for key, value in base.items()}
    for key, value in override.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge_configs(merged[key], value) if both else copy.deepcopy(value)
    return merged


def load_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The file (.toml, .json, .yaml) over the defaults. PersonaError when it is absent, broken, or has a wrong key."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise PersonaError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PersonaError(f"{file}: is no UTF-8 ({error})") from None
    try:
        table = _parsed(file.suffix, text)
    except ValueError as error:
        raise PersonaError(f"{file}: {error}") from None
    if not isinstance(table, Mapping):
        raise PersonaError(f"{file}: holds no table of keys and values")
    merged = merge_configs(get_default_config(), table)
    Settings.read(merged)
    return merged


def save_config(config: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the configuration as .json or .yaml, whole or not at all."""
    file = Path(path)
    if file.suffix == ".json":
        text = json.dumps(_plain(config), indent=2) + "\n"
    elif file.suffix in (".yaml", ".yml"):
        import yaml

        text = yaml.safe_dump(_plain(config), sort_keys=False)
    else:
        raise PersonaError(f'{file}: written are .json and .yaml, not "{file.suffix}"')
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{file.name}.partial")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)


def _parsed(suffix: str, text: str) -> Any:
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix == ".json":
        return json.loads(text)
    if suffix in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error).replace("\n", " ")) from None
    raise PersonaError(f'a configuration is a .toml, .json or .yaml file, not "{suffix}"')


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
