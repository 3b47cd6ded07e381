"""The training run, through Hugging Face `Trainer`: facts, texts and pairs in, weights and everything to load them out.

One optimizer and one schedule over batches of chains and of pairs. A run that was killed and started again in the same
folder ends with the same bits as one that was not (on a CPU, with the same number of threads). It must never read a
test split.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from corpus import ontology as ontologies
from corpus import tokenizer as tokenizers
from corpus.tokenizer import CodeTokenizer
from graphmer import data as batches
from graphmer import records, tasks
from graphmer.config import ABOUT, Settings
from graphmer.data import Graph, Pairs, Plan
from graphmer.encoder import TOKENIZER, Encoder
from graphmer.errors import GraphmerError
from graphmer.model import Graphmer, GraphmerConfig
from graphmer.records import Record
from optim.muon import Muon

SIDES = ("train", "dev")
ROWS = ("tokens.weight", "importance.weight")
WORDS = ("words.table.weight", "words.weight.weight")
"""Parameters with a row for each entry of the vocabulary: those of the layers, and those of bags of words."""


class PlanTrainer(Trainer):  # type: ignore[misc]
    """Batches in the order of the plan, four learning rates, and every term of the loss in the log."""

    def __init__(self, *, settings: Settings, **more: Any) -> None:
        super().__init__(**more)
        self.settings = settings
        self.terms: dict[str, list[torch.Tensor]] = {}

    def _get_train_sampler(self, *arguments: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The matrices of linear layers by Muon where the profile says so; everything else by AdamW."""
        if self.optimizer is None:
            settings, named = self.settings, dict(self.model.named_parameters())
            rows, words = ([named.pop(name) for name in kind] for kind in (ROWS, WORDS))
            linear = [name for name, module in self.model.named_modules() if isinstance(module, torch.nn.Linear)]
            matrices = [named.pop(f"{name}.weight") for name in linear]
            self.optimizer = Muon(
                [
                    {"params": rows, "lr": settings.embedding_learning_rate, "orthogonal": False, "weight_decay": 0.0},
                    {"params": words, "lr": settings.word_learning_rate, "orthogonal": False, "weight_decay": 0.0},
                    {"params": matrices, "lr": settings.matrix_learning_rate, "orthogonal": settings.orthogonal},
                    {"params": named.values(), "lr": settings.learning_rate, "orthogonal": False, "weight_decay": 0.0},
                ],
                weight_decay=settings.weight_decay,
                betas=(0.9, 0.98),
                dtype=torch.bfloat16 if self.args.bf16 else torch.float32,
            )
        return self.optimizer

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
        outputs = model(**inputs)
        if model.training:
            for name, value in outputs.losses.items():
                self.terms.setdefault(name, []).append(value.detach())
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def prediction_step(self, model: Any, inputs: Any, *arguments: Any, **more: Any) -> Any:
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            terms, self.terms = self.terms, {}
            logs |= {f"loss_{name}": float(torch.stack(values).mean()) for name, values in terms.items()}
        super().log(logs, start_time)


class LastStep(TrainerCallback):  # type: ignore[misc]
    """The declared last step is evaluated, whatever number it has."""

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> Any:
        if state.global_step == state.max_steps:
            control.should_evaluate = True
        return control


def train(config: Mapping[str, Any], data: Mapping[str, Path], out: Path) -> None:
    """Train on the graph and the pairs of "train", watch those of "dev", then fit the tasks' heads.

    Args:
        config: the table of a profile.
        data: for each SIDE in "train", "dev": SIDE_triples, SIDE_entities, SIDE_files and SIDE_pairs, and whatever
            `tasks.fit` knows.
        out: gets `model.safetensors`, `config.json`, `tokenizer.json`, `training.json` and what tasks leave.

    Called again with the same arguments after a kill, it goes on from the last checkpoint. Under `torchrun` every
    process calls it.
    """
    settings = Settings.read(config)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True, warn_only=settings.device != "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing reads it, and to fill it takes a twentieth
    os.environ.setdefault("TOKENIZERS_PARALLELISM", str(settings.threads > 1).lower())
    os.environ.setdefault("RAYON_NUM_THREADS", str(settings.threads))
    out.mkdir(parents=True, exist_ok=True)
    trainer = start(settings, data, out)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints(out))))
    if trainer.is_world_process_zero():
        finish(trainer, settings, out)
        tasks.fit(Encoder.load(out, device=settings.device), data, out, config)


def checkpoints(out: Path) -> Path:
    folder = out / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start(settings: Settings, data: Mapping[str, Path], out: Path) -> PlanTrainer:
    """The trainer over the plan of all batches, with the model at initialisation."""
    set_seed(settings.seed)
    found = {side: read(data, side) for side in SIDES}
    pairs = {side: batches.pairs(Path(data[f"{side}_pairs"])) for side in SIDES}
    tokenizer = learnt(found["train"], pairs["train"], settings, out)
    ontology = ontologies.load()
    graphs = {side: Graph(found[side], tokenizer, ontology, settings) for side in SIDES}
    aligned = {side: Pairs(pairs[side], tokenizer, settings) for side in SIDES}
    plan = Plan.training(graphs["train"], aligned["train"], settings)
    model = build(settings, ontology)
    model.words.weigh(aligned["train"].frequencies(len(tokenizer)), 2 * len(aligned["train"].rows))
    return PlanTrainer(
        settings=settings,
        model=model,
        args=arguments(settings, len(plan), out),
        train_dataset=plan,
        eval_dataset=Plan.evaluation(graphs["dev"], aligned["dev"], settings),
        data_collator=_made,
        callbacks=[LastStep()],
    )


def read(data: Mapping[str, Path], side: str) -> list[Record]:
    """The records of one side. GraphmerError where a row lacks a key."""
    paths = [Path(data[f"{side}_{part}"]) for part in ("triples", "entities", "files")]
    try:
        return records.build(*map(records.read, paths))
    except KeyError as error:
        raise GraphmerError(f"a row of {', '.join(map(str, paths))} has no key {error}") from None


def learnt(found: list[Record], pairs: list[batches.Pair], settings: Settings, out: Path) -> CodeTokenizer:
    """The tokenizer of the training texts, learnt once and kept in the artifact."""
    path = out / TOKENIZER
    if not path.is_file():
        tokenizers.train(texts(found, pairs, settings), settings.vocabulary).write(path)
    return tokenizers.read(path)


def texts(found: list[Record], pairs: list[batches.Pair], settings: Settings) -> list[str]:
    """What the tokenizer learns from: every text and name that training reads, once each."""
    own = [text for each in found for text in (each.head, each.text, *(fact.tail for fact in each.facts))]
    own += [batches.opening(pair.query, settings.query_length) for pair in pairs]
    own += [batches.opening(pair.target, settings.target_length) for pair in pairs]
    return list(dict.fromkeys(own))


def build(settings: Settings, ontology: ontologies.Ontology) -> Graphmer:
    """The model at initialisation. Weights of losses that the switches leave without labels are 0."""
    graph = settings.leaves
    config = GraphmerConfig(
        vocabulary=settings.vocabulary,
        hidden=settings.hidden,
        layers=settings.layers,
        heads=settings.heads,
        feed_forward=settings.feed_forward,
        dimensions=settings.dimensions,
        positions=max(settings.lengths[-1], settings.target_length),
        relations=len(ontology.relations),
        dropout=settings.dropout,
        word_dropout=settings.word_dropout,
        bias=settings.bias,
        weights={
            "mlm": settings.mlm_weight,
            "mnm": settings.mnm_weight * graph,
            "link": settings.link_weight * graph,
            "ontology": settings.ontology_weight * graph,
        },
        laws=batches.laws(ontology),
    )
    return Graphmer(config)


def _made(batch: dict[str, Any]) -> dict[str, Any]:
    """A plan hands out whole batches: nothing is left to collate."""
    return batch


def arguments(settings: Settings, steps: int, out: Path) -> TrainingArguments:
    """What `Trainer` is told: warm-up and cosine per update, evaluation at the start and `evaluations` times after."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    updates = math.ceil(math.ceil(steps / processes) / settings.accumulation)
    every = math.ceil(updates / settings.evaluations)  # rounded down, the last two steps would both be evaluated
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(out / "tensorboard"))
    return TrainingArguments(
        output_dir=str(checkpoints(out)),
        per_device_train_batch_size=1,  # a plan's item is a batch
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=settings.accumulation,
        activation_checkpointing=settings.gradient_checkpointing,
        num_train_epochs=1,  # a plan holds all of them
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup_share * updates),
        max_grad_norm=settings.gradient_norm,
        bf16=settings.numbers == "bf16",
        eval_strategy="steps",
        eval_steps=every,
        eval_on_start=True,
        prediction_loss_only=True,
        save_steps=every,
        save_total_limit=1,
        logging_steps=max(1, every // 4),
        report_to=["tensorboard"] if settings.tensorboard else [],
        remove_unused_columns=False,
        ddp_find_unused_parameters=True,
        use_cpu=settings.device == "cpu",
        dataloader_pin_memory=False,
        disable_tqdm=not sys.stderr.isatty(),
        seed=settings.seed,
    )


def finish(trainer: PlanTrainer, settings: Settings, out: Path) -> None:
    """Write what `Encoder.load` reads, and how training went."""
    history = [row for row in trainer.state.log_history if "loss" in row or "eval_loss" in row]
    about = {"settings": asdict(settings), "updates": trainer.state.global_step, "history": history}
    _write(out / ABOUT, json.dumps(about, indent=1))
    beside = out / "saved.partial"
    trainer.model.save_pretrained(beside)
    for name in ("config.json", "model.safetensors"):
        os.replace(beside / name, out / name)
    shutil.rmtree(beside)
    shutil.rmtree(checkpoints(out))


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".partial")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


if __name__ == "__main__":  # torchrun -m graphmer.train JOB.json OUT: what every process of a distributed run does
    _config, _data = (json.loads(Path(sys.argv[1]).read_text())[key] for key in ("config", "data"))
    train(_config, {name: Path(path) for name, path in _data.items()}, Path(sys.argv[2]))
