"""The training run, through Hugging Face `Trainer`: pairs in, weights and everything that `bridge.load` needs out.

A run that was killed and started again in the same folder ends with the same bits as one that was not (on a CPU, with
the same number of threads). It must never read a test split: it knows "train", "fit" and "dev", and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Trainer, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from ragcun import tokens
from ragcun.data import Batches, Pair, negatives, read, texts
from ragcun.errors import RagcunError
from ragcun.model import Encoder, StaticBase

PRECISIONS = ("native", "bf16", "fp16", "fp32")
_NATIVE_BF16 = ("amx_bf16", "avx512_bf16", "bf16")  # x86 matrix and vector units, Arm
_CHUNK = 1024  # texts embedded at a time
_RUN = "run.json"  # beside the checkpoints

FitOn = tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Ids of (queries, passages) that training does not see, and of those that it sees."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One profile of the specification; every field is a key there, and every key is read."""

    base: str  # "static", or the name or folder of a sentence-transformers or hub model
    vocabulary: int
    width: int
    dimensions: int
    query_length: int  # distinct tokens
    passage_length: int
    emphasis: int  # times that the name which a text defines counts in its bag of tokens
    dropout: float  # share of tokens left out in training
    isotropy: float
    regularisation: float
    prediction: float
    whitening: bool
    slices: int
    negatives: int  # mined for each query; one of them is drawn in each epoch; 0: in-batch negatives alone
    freeze_base: bool
    base_learning_rate: float
    projection_learning_rate: float
    warmup_share: float
    gradient_norm: float
    batch: int
    accumulation: int
    gradient_checkpointing: bool
    epochs: int
    evaluations: int
    precision: str
    tensorboard: bool
    threads: int
    seed: int

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """From the plain mapping of a profile. RagcunError names a key that is missing or has no such value."""
        values = {}
        for field in fields(cls):
            if field.name not in config:
                raise RagcunError(f'the profile has no key "{field.name}"')
            value, (kinds, told) = config[field.name], _KINDS[str(field.type)]
            if type(value) not in kinds:  # not isinstance: true is no 1
                raise RagcunError(f"{field.name} = {value!r}: must be {told}")
            values[field.name] = kinds[0](value)
        settings = cls(**values)
        for told, (names, holds) in _RANGES.items():
            for name in names.split():
                if not holds(values[name]):
                    raise RagcunError(f"{name} = {values[name]}: must be {told}")
        if settings.precision not in PRECISIONS:
            raise RagcunError(f'precision = "{settings.precision}": known are {", ".join(PRECISIONS)}')
        return settings


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((float, int), "a number"),
    "bool": ((bool,), "true or false"),
}
"""Type of a setting -> the types of value that it takes, and how they are called."""

_RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "at least 2": ("vocabulary width dimensions batch", lambda value: value >= 2),
    "at least 1": (
        "query_length passage_length emphasis slices accumulation epochs evaluations threads",
        lambda value: value >= 1,
    ),
    "at least 0": ("isotropy regularisation prediction negatives seed", lambda value: value >= 0),
    "more than 0": ("base_learning_rate projection_learning_rate gradient_norm", lambda value: value > 0),
    "in [0, 1)": ("dropout", lambda value: 0 <= value < 1),
    "in [0, 1]": ("warmup_share", lambda value: 0 <= value <= 1),
}
"""What a number must be -> the keys of which that is true, and how it is seen."""


class PairTrainer(Trainer):
    """Two learning rates, whitening fitted before each evaluation, and every term of the loss in the log."""

    def __init__(self, *, settings: Settings, fit: FitOn, **more: Any) -> None:
        super().__init__(**more)
        self.settings, self.fit_on = settings, fit
        self.terms: dict[str, list[Tensor]] = {}

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            encoder = self.model
            base = [p for p in encoder.base.parameters() if p.requires_grad]
            others = [p for n, p in encoder.named_parameters() if not n.startswith("base.")]
            groups = [{"params": base, "lr": self.settings.base_learning_rate}] if base else []
            groups.append({"params": others, "lr": self.settings.projection_learning_rate})
            self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)
        return self.optimizer

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
        outputs = model(**inputs)
        if model.training:
            for name, value in outputs.losses.items():
                self.terms.setdefault(name, []).append(value.detach())
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def evaluate(self, *arguments: Any, **more: Any) -> dict[str, float]:
        fit(self.model, self.fit_on)  # before training, too: what training adds is not what whitening does
        result: dict[str, float] = super().evaluate(*arguments, **more)
        return result

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            terms, self.terms = self.terms, {}
            logs |= {f"loss_{name}": float(torch.stack(values).mean()) for name, values in terms.items()}
        super().log(logs, start_time)


def fit(model: Encoder, on: FitOn) -> None:
    """Fit the whitening on ids (or features) of queries and passages, fresh ones and known ones."""
    fresh, known = ([part.split(_CHUNK) for part in parts] for parts in on)
    model.fit(fresh, known)


def train(config: Mapping[str, Any], data: Mapping[str, Path], out: Path) -> None:
    """Train on data["train"], fit whitening on that and data["fit"], tune fusion on data["dev"].

    data["commands"], if given, are more pairs to train on (of another kind, so that whitening is not fitted on them).
    Leaves `model.safetensors`, `config.json` and the base's own files in `out`. Called again with the same arguments
    after a kill, it goes on from the last checkpoint; with others it raises RagcunError. Under `torchrun` every process
    calls it.
    """
    settings = Settings.read(config)
    torch.set_num_threads(settings.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what determinism asks of a GPU
    torch.use_deterministic_algorithms(True)
    sides = {side: read(Path(data[side])) for side in ("train", "fit", "dev")}
    own = len(sides["train"])
    if "commands" in data:
        sides["train"] += read(Path(data["commands"]))
    run = started_with(settings, data)
    last = get_last_checkpoint(str(checkpoints(out)))
    if last:
        _same(run, checkpoints(out))
    trainer = start(settings, sides, out, own)
    if trainer.is_world_process_zero():
        _write(checkpoints(out) / _RUN, json.dumps(run))
    trainer.train(resume_from_checkpoint=last)
    if trainer.is_world_process_zero():
        finish(trainer, settings, sides["dev"], out)


def checkpoints(out: Path) -> Path:
    folder = out / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def started_with(settings: Settings, data: Mapping[str, Path]) -> dict[str, Any]:
    """What the weights of a run follow from: every setting, and a digest of each file that it reads."""
    files = {side: Path(data[side]) for side in ("train", "fit", "dev", "commands") if side in data}
    digests = {f"{side} pairs": hashlib.sha256(path.read_bytes()).hexdigest()[:16] for side, path in files.items()}
    return asdict(settings) | digests


def _same(run: Mapping[str, Any], folder: Path) -> None:
    """RagcunError unless the checkpoints in the folder are of that run."""
    try:
        before = json.loads((folder / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RagcunError(f"{folder}: does not say what was trained there; train elsewhere, or remove it") from None
    keys = (key for key in {**before, **run} if before.get(key) != run.get(key))
    other = [f"{key}: {before.get(key)}, now {run.get(key)}" for key in keys]
    if other:
        raise RagcunError(
            f"{folder}: another run stopped here ({'; '.join(other)}); "
            "start that one again, train elsewhere, or remove the folder"
        )


def start(settings: Settings, sides: Mapping[str, Sequence[Pair]], out: Path, own: int | None = None) -> PairTrainer:
    """The trainer over the pairs of three sides, with the model at initialisation.

    Args:
        own: how many of the training pairs, from the first, are of the kind that whitening is for; None: all.
    """
    set_seed(settings.seed)
    base = build_base(settings, sides["train"])
    model = Encoder(
        base,
        settings.dimensions,
        settings.isotropy,
        settings.regularisation,
        settings.prediction,
        settings.whitening,
        settings.slices,
    )
    ids = {side: encode(settings, base, pairs) for side, pairs in sides.items()}
    if isinstance(base, StaticBase):
        base.weigh(torch.cat([part[:, : settings.query_length] for part in ids["train"]]))
    if settings.freeze_base:
        base.requires_grad_(False)
        ids = {side: tuple(features(base, part) for part in parts) for side, parts in ids.items()}
    hard = negatives(sides["train"], settings.negatives) if settings.negatives else None
    batches = {
        side: Batches(sides[side], *ids[side], mined, settings.seed) for side, mined in (("train", hard), ("dev", None))
    }
    return PairTrainer(
        settings=settings,
        fit=(ids["fit"], (ids["train"][0][:own], ids["train"][1][: own or len(sides["train"])])),
        model=model,
        args=arguments(settings, len(sides["train"]), out),
        train_dataset=batches["train"],
        eval_dataset=batches["dev"],
        data_collator=_made,
    )


def _made(batch: dict[str, Any]) -> dict[str, Any]:
    """`Batches` hands out whole batches: nothing is left to collate."""
    return batch


def arguments(settings: Settings, records: int, out: Path) -> TrainingArguments:
    """What `Trainer` is told: warm-up and cosine per update, evaluation at the start and `evaluations` times after."""
    updates = settings.epochs * -(-records // (settings.batch * settings.accumulation))
    every = max(1, updates // settings.evaluations)
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out / "tensorboard"))
    return TrainingArguments(
        output_dir=str(checkpoints(out)),
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        gradient_checkpointing=settings.gradient_checkpointing,
        num_train_epochs=settings.epochs,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup_share * updates),
        max_grad_norm=settings.gradient_norm,
        bf16=settings.precision == "bf16" or (settings.precision == "native" and native_bf16()),
        fp16=settings.precision == "fp16",
        eval_strategy="steps",
        eval_steps=every,
        eval_on_start=True,
        prediction_loss_only=True,
        label_names=["labels"],
        save_steps=every,
        save_total_limit=1,
        logging_steps=max(1, every // 4),
        report_to=["tensorboard"] if settings.tensorboard else [],
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        disable_tqdm=not sys.stderr.isatty(),
        seed=settings.seed,
    )


def native_bf16() -> bool:
    """Whether the device has units for bf16; without them such a product takes several times as long as in fp32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _NATIVE_BF16)


def build_base(settings: Settings, pairs: Sequence[Pair]) -> Any:
    """The base that the profile names, with a tokenizer trained on the pairs where it has none of its own."""
    if settings.base != "static":
        from ragcun import bases

        return bases.SentenceBase.load(settings.base)
    fields = [
        ([pair.query for pair in pairs], settings.query_length),
        ([pair.passage for pair in pairs], settings.passage_length),
    ]
    tokenizer, entries = tokens.learn(fields, settings.vocabulary)
    return StaticBase(tokenizer, entries, settings.width, settings.dropout, settings.emphasis)


def encode(settings: Settings, base: Any, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Ids of queries and of passages, the negatives that pairs name behind the others."""
    return (
        base.encode([pair.query for pair in pairs], settings.query_length),
        base.encode(texts(pairs), settings.passage_length),
    )


@torch.no_grad()
def features(base: Any, ids: Tensor) -> Tensor:
    """(N, W) features of ids by a base that will not change any more."""
    base.eval()
    return torch.cat([base(chunk) for chunk in ids.split(_CHUNK)])


def finish(trainer: PairTrainer, settings: Settings, dev: Sequence[Pair], out: Path) -> None:
    """Fit the whitening of the final weights, tune BM25 and the fusion on dev, write what `bridge.load` reads."""
    from ragcun import lexical
    from ragcun.embedder import Embedder, base_files
    from ragcun.retriever import tune

    model = trainer.model
    fit(model, trainer.fit_on)
    queries, passages = [pair.query for pair in dev], [pair.passage for pair in dev]
    embedder = Embedder(model.eval(), settings.query_length, settings.passage_length)
    parameters = lexical.tune(queries, passages)
    fusion = tune(embedder, parameters, queries, passages)
    model.base.save(out)
    about = {
        "settings": asdict(settings),
        "base": base_files(out),
        "bm25": asdict(parameters),
        "fusion": asdict(fusion),
        "training": {
            "updates": trainer.state.global_step,
            "dev_loss": [row["eval_loss"] for row in trainer.state.log_history if "eval_loss" in row],
        },
    }
    _write(out / "config.json", json.dumps(about, indent=1))
    beside = out / "model.partial"
    save_file({name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}, beside)
    os.replace(beside, out / "model.safetensors")
    shutil.rmtree(checkpoints(out))


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".partial")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


if __name__ == "__main__":  # torchrun -m ragcun.train CONFIG.json OUT: what every process of a distributed run does
    _config, _data = (json.loads(Path(sys.argv[1]).read_text())[key] for key in ("config", "data"))
    train(_config, {name: Path(path) for name, path in _data.items()}, Path(sys.argv[2]))
