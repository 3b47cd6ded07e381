"""A trained chain on disk, and the models in it: the base, and for each stage the base with its adapters merged.

Layout of the folder: `training.json`, written first, `model.safetensors` and `tokenizer.json` of the base,
`STAGE.safetensors` for the adapters of each stage, `config.json`, written last. It must never answer from weights that
are absent or do not fit.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from persona import tokens
from persona.config import SCRATCH, Settings
from persona.errors import PersonaError
from persona.format import RESPONSE, unescape
from persona.model import Shape, build

WEIGHTS: Final = "model.safetensors"
ABOUT: Final = "config.json"
HUB: Final = "hub"
"""Folder for the description of a hub model."""
PARENTS: Final[Mapping[str, str]] = {"ppo": "sft", "reward": "sft"}
"""Stage -> the stage whose adapters its own were trained upon; of the others, the base."""
BASE: Final = "base"
TAUGHT: Final = ("sft", "ppo")
"""SFT, and what reinforcement made of it: read as the profile's pairing says, and asked at SFT's temperature.

Reinforcement is given no temperature of its own, in which what it did to the likelihoods would not show.
"""


def unread(stage: str, settings: Settings) -> bool:
    """Whether a stage is asked without a persona."""
    return stage == "blind" or (settings.pairing == "blind" and stage in TAUGHT)


class Folder:
    """The folder of a trained chain."""

    def __init__(self, path: Path, device: str | None = None) -> None:
        self.path = Path(path)
        about = self.path / ABOUT
        if not about.is_file():
            raise PersonaError(f"{self.path}: no {ABOUT}, so no finished training; run `python -m persona train`")
        try:
            told = json.loads(about.read_text(encoding="utf-8"))
            # a folder that does not say how its section was read is older than the choice
            model = {"apart": False, **told["settings"].get("model", {})}
            self.settings = Settings.read({**told["settings"], "model": model})
            self.stages: list[str] = [row["name"] for row in told["stages"]]
            """What was trained, in order."""
            self.temperature = float(told.get("temperature", 1.0))
            """What logits of the stages in TAUGHT are divided by; 1 in a folder that is older than the number."""
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PersonaError(f"{about}: not of a trained chain: {error}") from None
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = tokenizer(self.path, self.settings)

    @property
    def best(self) -> str:
        """The last of TAUGHT that there is. PersonaError where there is none."""
        for name in reversed(self.stages):
            if name in TAUGHT:
                return name
        raise PersonaError(f"{self.path}: none of {', '.join(TAUGHT)} was trained; name a stage")

    def base(self) -> Any:
        """The base as it was before any adapter, with the weights of the folder."""
        return load_base(self.settings, self.tokenizer, self.path)

    def policy(self, stage: str) -> Policy:
        """The language model of a stage. PersonaError for a stage that was not trained."""
        calibrated = self.temperature if stage in TAUGHT else 1.0
        return Policy(self.merged(stage).to(self.device), self.tokenizer, self.settings.model.context, calibrated)

    def merged(self, stage: str) -> Any:
        """The base with the adapters of a stage, and of those below it, merged."""
        if stage == BASE:
            return self.base()
        if stage not in self.stages or stage == "reward":
            known = [BASE, *(name for name in self.stages if name not in ("pretrain", "reward"))]
            raise PersonaError(f'stage "{stage}" was not trained; there are {", ".join(known)}')
        return merge_adapters(self.merged(PARENTS.get(stage, BASE)), stage, self.settings, self.path)

    def scorer(self) -> Any:
        """The reward model: (N, T) ids -> logits (N, 1)."""
        if "reward" not in self.stages:
            raise PersonaError(f"{self.path}: no reward model was trained")
        scorer = classifier(self.merged(PARENTS["reward"]), self.tokenizer)
        return merge_adapters(scorer, "reward", self.settings, self.path).to(self.device).eval()


def tokenizer(path: Path, settings: Settings) -> Any:
    """The tokenizer beside the weights. PersonaError when it is absent or broken."""
    from transformers import AutoTokenizer

    file = path / "tokenizer.json"
    try:
        return tokens.read(file) if settings.base == SCRATCH else AutoTokenizer.from_pretrained(str(path))
    except Exception as error:  # what tokenizers raises is nothing narrower
        raise PersonaError(f"{file}: cannot be read ({str(error).splitlines()[0]}); train again") from None


def load_base(settings: Settings, tokenizer: Any, path: Path) -> Any:
    """The base with the weights in the folder. PersonaError when they are absent or do not fit."""
    from safetensors.torch import load_file

    file = Path(path) / WEIGHTS
    model = base_model(settings, tokenizer, Path(path))
    try:
        lacking, foreign = model.load_state_dict(load_file(file), strict=False)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise PersonaError(f"{file}: {str(error).splitlines()[0]}") from None
    wrong = [*foreign, *(set(lacking) - set(model.all_tied_weights_keys))]
    if wrong:
        raise PersonaError(f"{file}: does not fit {ABOUT}: {', '.join(wrong[:3])}")
    return model


def base_model(settings: Settings, tokenizer: Any, path: Path | None = None) -> Any:
    """An untrained base of the right shape, or the hub model, in fp32. Draws from torch's generator.

    With the folder of a trained chain, a hub model is built from the description there, without its weights.
    """
    if settings.base == SCRATCH:
        each = settings.model
        shape = Shape(len(tokenizer), each.width, each.layers, each.heads, each.inner, each.context, each.induction)
        marks = tokens.marks(tokenizer) if each.apart else None
        return build(shape, tokenizer.pad_token_id, tokenizer.eos_token_id, marks)
    from transformers import AutoConfig, AutoModelForCausalLM

    if path is not None:
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(path / HUB)), dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(settings.base, dtype=torch.float32)  # whatever it is stored in
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
    return model


def classifier(model: Any, tokenizer: Any) -> Any:
    """A scorer on a language model, which it may change; see `persona.scorer`."""
    from persona.scorer import Scorer

    return Scorer(model, tokenizer.convert_tokens_to_ids(RESPONSE))


class Policy:
    """A language model that answers; greedy, so that the same question has the same answer.

    How likely it finds what others say is told at a `temperature`, see `persona.calibration`.
    """

    def __init__(self, model: Any, tokenizer: Any, context: int, temperature: float = 1.0) -> None:
        self.model, self.tokenizer, self.context = model.eval(), tokenizer, context
        self.temperature = temperature
        self.device = next(model.parameters()).device

    @torch.inference_mode()
    def replies(self, rows: Sequence[tuple[Sequence[str], Sequence[str]]], longest: int = 32) -> list[str]:
        """The response to each (persona, dialogue), at most `longest` pieces."""
        ids = tokens.prompts(self.tokenizer, rows, self.context - longest)
        found = [""] * len(ids)
        for chosen in tokens.alike(ids):
            batch, mask = left_padded([ids[place] for place in chosen], self.tokenizer.pad_token_id)
            output = self.model.generate(
                input_ids=batch.to(self.device),
                attention_mask=mask.to(self.device),
                max_new_tokens=longest,
                do_sample=False,
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=self.tokenizer.pad_token_id,
            )
            for place, row in zip(chosen, output[:, batch.shape[1] :].tolist(), strict=True):
                found[place] = self.text(row)
        return found

    def text(self, ids: Sequence[int]) -> str:
        """What was said, from the pieces after [RESPONSE] up to the end token, or to a line end, which ends a turn.

        Reinforcement rewards up to the end token alone: what goes on after a line end pays for it there.
        """
        end = self.tokenizer.eos_token_id
        said = list(ids[: ids.index(end)] if end in ids else ids)
        text = self.tokenizer.decode(said, skip_special_tokens=True).partition("\n")[0].removeprefix(" ")
        try:
            return unescape(text)
        except PersonaError:
            return text  # a model may write an escape that nobody would

    @torch.inference_mode()
    def likelihoods(self, items: Sequence[tuple[Sequence[str], Sequence[str], str]]) -> list[tuple[float, int]]:
        """Sum of the log-probabilities of each response, its end included, and the number of its pieces."""
        rows = [(persona, dialogue) for persona, dialogue, _ in items]
        found: list[tuple[float, int]] = [(0.0, 0)] * len(items)
        examples = tokens.examples(self.tokenizer, rows, [response for _, _, response in items], self.context)
        for chosen in tokens.alike([one["input_ids"] for one in examples]):
            padded = tokens.padded([examples[place] for place in chosen])
            batch = {key: value.to(self.device) for key, value in padded.items()}
            sums, counts = tokens.likelihoods(self.model, batch, self.temperature)
            for place, total, count in zip(chosen, sums.tolist(), counts.tolist(), strict=True):
                found[place] = (total, count)
        return found


def left_padded(rows: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """(N, T) ids and mask, filled up on the left, as generation wants it."""
    width = max(map(len, rows))
    ids = torch.tensor([[padding] * (width - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def save_base(model: Any, out: Path) -> None:
    """Write the base's weights, tied ones once."""
    tied = set(model.all_tied_weights_keys)
    weights = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items() if name not in tied}
    beside = out / f"{WEIGHTS}.partial"
    save_file(weights, beside)
    os.replace(beside, out / WEIGHTS)


def save_hub(model: Any, tokenizer: Any, out: Path) -> None:
    """Write what the weights of a hub model are read with: its tokenizer, and its description; each file whole."""
    beside = out / f"{HUB}.partial"
    for one, folder in ((tokenizer, out), (model.config, out / HUB)):
        shutil.rmtree(beside, ignore_errors=True)
        one.save_pretrained(str(beside))
        folder.mkdir(exist_ok=True)
        for file in beside.iterdir():
            os.replace(file, folder / file.name)
    beside.rmdir()


def adapters(settings: Settings, name: str) -> Any:
    """The low-rank adapters of a stage, as PEFT wants them described."""
    from peft import LoraConfig

    from persona.folded import FoldedLinear

    options = {"reward": settings.reward.lora, "ppo": settings.reinforce.lora}.get(name, settings.sft.lora)
    described = LoraConfig(
        task_type="SEQ_CLS" if name == "reward" else "CAUSAL_LM",
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules="all-linear",  # but the output
        modules_to_save=["score"] if name == "reward" else None,
        bias="none",
    )
    described._register_custom_module({torch.nn.Linear: FoldedLinear})
    return described


def save_adapters(model: Any, name: str, out: Path) -> None:
    """Write the adapters (and head) of a PEFT model as `NAME.safetensors`, whole or not at all."""
    from peft import get_peft_model_state_dict

    weights = {key: value.detach().cpu().contiguous() for key, value in get_peft_model_state_dict(model).items()}
    beside = out / f"{name}.partial"
    save_file(weights, beside)
    os.replace(beside, out / f"{name}.safetensors")


def merge_adapters(below: Any, name: str, settings: Settings, path: Path) -> Any:
    """`below` with the adapters in `NAME.safetensors` merged. PersonaError when they are absent or do not fit."""
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors.torch import load_file

    file = path / f"{name}.safetensors"
    model = get_peft_model(below, adapters(settings, name))
    try:
        weights = load_file(file)
    except (OSError, SafetensorError) as error:
        raise PersonaError(f"{file}: {error}") from None
    wanted = {key: value.shape for key, value in get_peft_model_state_dict(model).items()}
    wrong = [key for key in {*wanted, *weights} if key not in weights or weights[key].shape != wanted.get(key)]
    if wrong:
        raise PersonaError(f"{file}: does not fit {ABOUT}: {', '.join(sorted(wrong)[:3])}")
    set_peft_model_state_dict(model, weights)
    return model.merge_and_unload()
