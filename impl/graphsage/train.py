"""The training run: samples, updates, dev loss, early stopping, checkpoints, and the weights that dev chose.

A run that was killed and started again in the same folder ends with the same bits as one that was not (on a CPU, with
the same number of threads). It must never read a test split: it knows "train" and "dev", and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from corpus import records
from corpus.programs import TEST_ONLY, Program
from graphsage import batches, data, growth, names
from graphsage.device import Device
from graphsage.model import ANSWERS, Batch, GraphSage, Output
from optim.muon import Muon

_DEV_BATCH = 64  # functions
_DEV_MUTANTS = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """One profile of the specification; every field is a key there, and every key is read."""

    hidden: list[int]
    head: int
    narrow: int  # training starts with one in so many of all hidden units ...
    narrow_share: float  # ... and has all of them after this share of its updates
    dropout: float
    loss_weights: list[float]  # bugs, location, imports, confidence, embedding
    mutants: int  # built for each function
    rewritten: int  # training functions that are there in another way of writing, too; a tenth as many in dev
    program_visits: int  # how often an epoch comes back to a problem, each time with other versions
    edges: bool  # false leaves every node without neighbours: the control for what the graph is worth
    window: int  # nodes of a function that one update looks for defects in
    module_seen: int  # training functions that must use a module for it to become a label
    functions_per_update: int
    epochs: int
    learning_rate: float  # of everything that Muon does not move, by AdamW
    matrix_rate: float  # of the matrices between hidden states, by Muon
    weight_decay: float
    average: float  # decay of the running mean of the weights; the mean is what dev sees and what is kept
    gradient_norm: float
    evaluations_per_epoch: int
    plateau_factor: float
    plateau_patience: int
    stop_patience: int
    checkpoint_every: int  # evaluations between two periodic checkpoints
    device: str  # "cpu", "cuda" or "mps"
    precision: str  # "native", "bf16" or "fp32"
    threads: int
    processes: int
    seed: int

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Settings:
        """From the plain mapping of a profile; a missing key raises KeyError with its name."""
        return cls(
            hidden=[int(width) for width in config["hidden"]],
            head=int(config["head"]),
            narrow=int(config["narrow"]),
            narrow_share=float(config["narrow_share"]),
            dropout=float(config["dropout"]),
            loss_weights=[float(weight) for weight in config["loss_weights"]],
            mutants=int(config["mutants"]),
            rewritten=int(config["rewritten"]),
            program_visits=int(config["program_visits"]),
            edges=bool(config["edges"]),
            window=int(config["window"]),
            module_seen=int(config["module_seen"]),
            functions_per_update=int(config["functions_per_update"]),
            epochs=int(config["epochs"]),
            learning_rate=float(config["learning_rate"]),
            matrix_rate=float(config["matrix_rate"]),
            weight_decay=float(config["weight_decay"]),
            average=float(config["average"]),
            gradient_norm=float(config["gradient_norm"]),
            evaluations_per_epoch=int(config["evaluations_per_epoch"]),
            plateau_factor=float(config["plateau_factor"]),
            plateau_patience=int(config["plateau_patience"]),
            stop_patience=int(config["stop_patience"]),
            checkpoint_every=int(config["checkpoint_every"]),
            device=str(config["device"]),
            precision=str(config["precision"]),
            threads=int(config["threads"]),
            processes=int(config["processes"]),
            seed=int(config["seed"]),
        )

    def model(self, modules: int, narrow: int = 1) -> GraphSage:
        """The model, or one with `narrow` times fewer hidden units. Raises ValueError where that is no whole number."""
        if narrow < 1 or any(width % narrow for width in (*self.hidden[1:], self.head)):
            raise ValueError(f"narrow = {narrow}: {self.hidden[1:]} and head = {self.head} are no multiples of it")
        hidden = [self.hidden[0], *(width // narrow for width in self.hidden[1:])]
        return GraphSage(hidden, self.head // narrow, len(data.OPERATORS), modules, self.dropout, self.loss_weights)


@dataclass(slots=True)
class Progress:
    """Where a run stands; with weights, optimizer and RNG state it is all that a checkpoint holds."""

    update: int = 0
    evaluations: int = 0
    best_loss: float = float("inf")
    best_update: int = 0
    stale: int = 0  # evaluations since the best one
    done: bool = False


class Run:
    """One training run in the folder `out`; `resume` continues from its last checkpoint if there is one."""

    def __init__(
        self, settings: Settings, train: data.Samples, dev: data.Samples, modules: list[str], origin: str, out: Path
    ) -> None:
        self.settings, self.train, self.dev, self.modules, self.out = settings, train, dev, modules, out
        self.origin = origin  # SHA-256 of the files that all of it was read from
        settings.model(len(modules), settings.narrow)  # refused here, and not after hours, where it has no such part
        torch.manual_seed(settings.seed)
        self.device = Device.of(settings.device, settings.precision)
        self.model = settings.model(len(modules)).to(self.device.kind)
        matrices = self.model.between()
        taken = set(map(id, matrices))
        others = [p for p in self.model.parameters() if id(p) not in taken]
        rate = settings.learning_rate
        self.optimizer = Muon(
            [
                {"params": matrices, "lr": settings.matrix_rate, "orthogonal": True},
                {"params": [p for p in others if p.ndim > 1], "lr": rate, "orthogonal": False},
                {"params": [p for p in others if p.ndim <= 1], "lr": rate, "orthogonal": False, "weight_decay": 0.0},
            ],
            weight_decay=settings.weight_decay,
            betas=(0.9, 0.999),  # most columns of features are seldom there
            dtype=self.device.dtype,
        )
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=settings.plateau_factor, patience=settings.plateau_patience
        )
        self.averaged = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.shapes = {name: value.shape for name, value in self.averaged.items()}
        self.progress = Progress()
        # a function comes once an epoch, a problem several times
        visits = np.where((train.passed != data.IGNORED).any(axis=1), settings.program_visits, 1)
        self.visits = np.repeat(np.arange(len(train)), visits)
        self.updates_per_epoch = -(-len(self.visits) // settings.functions_per_update)
        self.total = self.updates_per_epoch * settings.epochs
        self.narrow_until = int(settings.narrow_share * self.total) if settings.narrow > 1 else 0  # updates
        if self.narrow_until >= self.total:
            raise ValueError(f"narrow_share = {settings.narrow_share}: no update is left for all units")
        self.evaluate_every = -(-self.updates_per_epoch // settings.evaluations_per_epoch)  # the last one at the end
        self.ahead = ThreadPoolExecutor(1)
        self.following: tuple[int, Future[Batch]] = (-1, Future())
        self.started = time.monotonic()

    @property
    def grown(self) -> bool:
        """Whether all units take part; before that nothing is kept and nothing ends the run."""
        return not self.narrow_until or self.progress.update > self.narrow_until

    @property
    def checkpoints(self) -> Path:
        return self.out / "checkpoints"

    def run(self) -> None:
        """Train to the end, to early stopping, or on from where a killed run stood."""
        self.resume()
        if not self.progress.evaluations:
            self.evaluate()  # where it starts from: what training has to beat
        while not self.progress.done:
            self.step()
            if self.progress.update % self.evaluate_every == 0 or self.progress.update == self.total:
                self.evaluate()
                stopped = self.grown and self.progress.stale >= self.settings.stop_patience
                self.progress.done = stopped or self.progress.update == self.total
                self.save()

    def step(self) -> None:
        """One optimizer update."""
        settings, update = self.settings, self.progress.update
        if self.narrow_until and update == 0:
            self.narrow()
        elif self.narrow_until and update == self.narrow_until:
            self.widen()
        # a narrow model has too little work for two threads: one is as fast, and leaves a core to others
        torch.set_num_threads(1 if update < self.narrow_until else settings.threads)
        batch = self.batch(update).to(self.device.kind)
        self.model.train()
        with self.device.autocast():
            output: Output = self.model(batch)
        assert output.loss is not None
        self.optimizer.zero_grad(set_to_none=True)
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_norm)
        self.optimizer.step()
        self.progress.update += 1
        # the first updates count less, so that the mean leaves the random weights behind
        decay = min(settings.average, (1 + update) / (10 + update))
        torch._foreach_lerp_(list(self.averaged.values()), list(self.model.state_dict().values()), 1 - decay)
        if update % 10 == 0 and sys.stderr.isatty():
            self.show({name: float(loss) for name, loss in output.losses.items()})

    def narrow(self) -> None:
        """Go on with a model of fewer units, at its random start."""
        small = self.settings.model(len(self.modules), self.settings.narrow).to(self.device.kind)
        growth.assign(self.model, small.state_dict())
        self.averaged = {name: value.clone() for name, value in self.model.state_dict().items()}

    def widen(self) -> None:
        """Go on with all units; the model and the mean of its weights are the functions that they were.

        What was best so far is forgotten: it is a part of the units, each several times, and never what is kept.
        """
        self.averaged = self.whole(self.averaged)
        growth.assign(self.model, self.whole(self.model.state_dict()))
        self.optimizer.state.clear()  # moments of other weights
        self.progress.best_loss, self.progress.stale = float("inf"), 0

    def whole(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return growth.widened(weights, self.shapes, self.settings.narrow, self.settings.seed)

    def batch(self, update: int) -> Batch:
        """The batch of one update; a thread collates the next one while this one is learnt from."""
        number, batch = self.following
        found = batch.result() if number == update else self.collated(update)
        if update + 1 < self.total:
            self.following = update + 1, self.ahead.submit(self.collated, update + 1)
        return found

    def collated(self, update: int) -> Batch:
        chosen, versions, places = self.draw(*divmod(update, self.updates_per_epoch))
        return batches.collate(self.train, chosen, versions, True, self.settings.window, places)

    def draw(self, epoch: int, place: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Samples of one update (B,), their versions (B, 4), and places (B, 2).

        The versions: the original, a mutant that failed or was not run, a rewrite, a mutant that passed; -1 where there
        is none. Somebody else's solution stands where a mutant does.
        """
        size = self.settings.functions_per_update
        rng = np.random.default_rng([self.settings.seed, epoch])
        order = rng.permutation(len(self.visits))[place * size : (place + 1) * size]
        places = rng.random((len(self.visits), 5))[order]
        chosen = self.visits[order]
        role, passed = self.train.role[chosen], self.train.passed[chosen]
        there = self.train.versions[chosen] >= 0
        other = there & ((role == data.MUTANT) | (role == data.SUBMISSION))
        kinds = (other & (passed != 1), there & (role == data.REWRITE), other & (passed == 1))
        drawn = [_one_of(kind, place) for kind, place in zip(kinds, places[:, 2:].T, strict=True)]
        return chosen, np.stack([np.zeros_like(chosen), *drawn], axis=1), places[:, :2]

    def evaluate(self) -> None:
        """Loss of the averaged weights over the whole dev split; steps the plateau and keeps the best weights."""
        trained = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.averaged)
        losses = dev_losses(self.model, self.dev, self.device)
        self.model.load_state_dict(trained)
        loss = sum(losses.values())
        progress = self.progress
        progress.evaluations += 1
        self.plateau.step(loss)
        if loss < progress.best_loss:
            progress.best_loss, progress.best_update, progress.stale = loss, progress.update, 0
            if self.grown:
                _save(self.checkpoints / "best.safetensors", self.averaged, {})
        else:
            progress.stale += 1
        self.show({f"dev {name}": value for name, value in losses.items()}, end="\n")

    def show(self, losses: Mapping[str, float], end: str = "") -> None:
        parts = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
        rate = self.optimizer.param_groups[0]["lr"]
        elapsed = time.monotonic() - self.started
        line = f"update {self.progress.update}/{self.total} {elapsed:.0f} s lr {rate:.1e} {parts}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)
        elif end:
            print(line, file=sys.stderr, flush=True)

    def identity(self) -> dict[str, Any]:
        """What has to be the same for a run to go on from a checkpoint."""
        settings = asdict(self.settings)
        return {"answers": ANSWERS, "settings": settings, "modules": self.modules, "origin": self.origin}

    def save(self) -> None:
        tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"averaged.{name}": value for name, value in self.averaged.items()}
        state = self.optimizer.state_dict()
        for number, values in state["state"].items():
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
        tensors["rng"] = torch.get_rng_state()
        about = {
            "progress": asdict(self.progress),
            "groups": state["param_groups"],
            "plateau": {k: v for k, v in self.plateau.state_dict().items() if isinstance(v, int | float | list)},
            **self.identity(),
        }
        last = self.checkpoints / "last.safetensors"
        _save(last, tensors, {"state": json.dumps(about)})
        if self.progress.evaluations % self.settings.checkpoint_every == 0:
            shutil.copyfile(last, self.checkpoints / f"update-{self.progress.update:06d}.safetensors")

    def resume(self) -> None:
        last = self.checkpoints / "last.safetensors"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        if not last.exists():
            return
        with safe_open(last, framework="pt") as file:
            about = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if any(about.get(name) != value for name, value in self.identity().items()):
            raise ValueError(
                f"{last}: written by another profile or version, or from other data; remove it to start anew"
            )
        growth.assign(self.model, {n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
        self.averaged = {n: tensors[f"averaged.{n}"] for n in self.model.state_dict()}  # in the order of the model
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, number, key = name.split(".")
                state.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})
        self.plateau.load_state_dict(about["plateau"])
        torch.set_rng_state(tensors["rng"])
        self.progress = Progress(**about["progress"])


def _one_of(flags: NDArray[np.bool_], place: NDArray[np.float64]) -> NDArray[np.int64]:
    """(B, V) flags and (B,) places uniform in [0, 1) -> (B,) one of the flagged columns, -1 where there is none."""
    count = flags.sum(axis=1)
    wanted = (place * count).astype(np.int64)[:, None]
    return np.where(count > 0, (flags.cumsum(axis=1) > wanted).argmax(axis=1), -1)


def dev_losses(model: GraphSage, samples: data.Samples, device: Device) -> dict[str, float]:
    """Each loss component over the whole split, every version in it, in eval mode: the mean over samples.

    Functions and problems are mixed evenly: a batch without a label of some kind would count as one without loss.
    """
    model.eval()
    totals: dict[str, float] = {}
    order = evenly((samples.passed != data.IGNORED).any(axis=1))
    with torch.inference_mode(), device.autocast():
        for low in range(0, len(samples), _DEV_BATCH):
            chosen = order[low : low + _DEV_BATCH]
            versions = np.tile(np.arange(samples.versions.shape[1]), (len(chosen), 1))
            output = model(batches.collate(samples, chosen, versions, gradient=False).to(device.kind))
            for name, loss in output.losses.items():
                totals[name] = totals.get(name, 0.0) + float(loss) * len(chosen)
    return {name: total / len(samples) for name, total in totals.items()}


def evenly(kind: NDArray[Any]) -> NDArray[np.int64]:
    """An order of the N samples in which those of each kind (N,) are drawn by chance and come at even distances."""
    rng, place = np.random.default_rng(0), np.zeros(len(kind))
    for each in np.unique(kind):
        members = rng.permutation(np.flatnonzero(kind == each))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.argsort(place, kind="stable")


def chosen(model: GraphSage, table: names.Names, samples: data.Samples, device: Device) -> dict[str, dict[str, float]]:
    """Chosen on dev: "thresholds", the defect probability that 5 % of the originals exceed and the one for imports by
    micro-F1, and "names", the weights of the table of names beside the model.

    The latter two on functions as they are, their imported names in sight.
    """
    functions = np.flatnonzero((samples.passed == data.IGNORED).all(axis=1))
    used = np.flatnonzero(samples.masked >= 0)
    defects = torch.cat([each.defects for each in _outputs(model, samples, samples.versions[functions, 0], device)])
    cuts = {"defect": float(np.quantile(defects.double().sigmoid().numpy(), 0.95)), "imports": 0.5}
    weights = names.Weights()
    if len(used):
        imports = torch.cat([each.imports for each in _outputs(model, samples, samples.versions[used, 0], device)])
        own, truth = imports.double().numpy(), samples.modules[used]
        shares = table.shares(samples.seen.owner, samples.seen.symbol, samples.modules.shape)[used]
        weights = names.fit(own, shares, truth)
        scores = torch.from_numpy(names.fused(own, shares, weights)).sigmoid().numpy()
        best = -1.0
        for threshold in np.arange(0.05, 0.96, 0.025):
            hit = scores >= threshold
            f1 = 2 * (hit & (truth > 0)).sum() / max(hit.sum() + truth.sum(), 1)
            if f1 > best:
                best, cuts["imports"] = f1, float(threshold)
    return {"thresholds": cuts, "names": asdict(weights)}


def calibration(model: GraphSage, samples: data.Samples, device: Device) -> dict[str, float]:
    """The factor of the confidence (its temperature's inverse, Guo et al. 2017, section 4.2), on the programs of dev.

    There is no offset: both classes are equally frequent in all data, and the few problems of dev would choose it by
    chance. The two classes of a problem weigh the same. Without programs of both kinds the logits stay as they are.
    """
    run = samples.passed != data.IGNORED
    label = samples.passed[run]
    if len(set(label.tolist())) < 2:
        return {"scale": 1.0}
    logits = torch.cat([each.confidence for each in _outputs(model, samples, samples.versions[run], device)])
    weight = np.zeros(samples.passed.shape)
    for kind in (0, 1):
        here = samples.passed == kind
        weight = np.where(here, 1 / np.maximum(here.sum(axis=1, keepdims=True), 1), weight)
    return {"scale": scale(logits.double(), torch.from_numpy(label).double(), torch.from_numpy(weight[run]))}


def scale(logits: Tensor, labels: Tensor, weight: Tensor) -> float:
    """The factor of the logits (L,) with the least weighted cross-entropy; never negative."""
    logarithm = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([logarithm], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logarithm.exp() * logits, labels, weight)
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    return math.exp(float(logarithm.detach()))


def _outputs(model: GraphSage, samples: data.Samples, numbers: NDArray[np.int64], device: Device) -> Iterator[Output]:
    """What the model says of the numbered graphs, batch by batch, on the CPU."""
    model.eval()
    with torch.inference_mode(), device.autocast():
        for low in range(0, len(numbers), 128):
            batch = batches.graphs(samples.store, numbers[low : low + 128], gradient=False)
            yield model.logits(batch.to(device.kind)).cpu()


def train(config: Mapping[str, Any], data: Mapping[str, Path], out: Path) -> None:
    """Train on data["train"], choose on data["dev"], leave `model.safetensors`, `names.npz` and `config.json` in `out`.

    Called again with the same arguments after a kill, it goes on from the last checkpoint.
    """
    settings = Settings.read(config)
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.device == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # of no use where nothing is read before it is written
    out.mkdir(parents=True, exist_ok=True)
    functions = [records.read(Path(data[side])) for side in ("train", "dev")]
    labelled = [records.read(Path(data[f"{side}_programs"]), Program) for side in ("train", "dev")]
    if any(program.origin == TEST_ONLY for programs in labelled for program in programs):
        raise ValueError("HumanEval is for tests only, never for training or model selection; take its programs out")
    run = start(settings, functions, labelled, digest(data), out)
    run.run()
    finish(run)


def digest(files: Mapping[str, Path]) -> str:
    """SHA-256 of what stands in the files, and of what each is for; where they lie does not matter."""
    each = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in files.items()}
    return hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()


def start(settings: Settings, functions: Sequence[Any], labelled: Sequence[Any], origin: str, out: Path) -> Run:
    """Build the samples of both sides (train, dev) and the run over them; `origin` is the digest of their files."""
    modules = data.vocabulary(functions[0], settings.module_seen)
    began = time.monotonic()

    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text} {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True)

    sides = []
    with data.readers(settings.processes) as readers:
        wanted = ((settings.mutants, settings.rewritten), (_DEV_MUTANTS, settings.rewritten // 10))
        for number, (mutants, rewritten) in enumerate(wanted):
            common = (readers, progress, settings.edges)
            seed = settings.seed + number
            parts = [data.prepare(functions[number], modules, mutants, seed, *common, rewritten=rewritten)]
            if labelled[number]:
                parts.append(data.prepare_programs(labelled[number], len(modules), *common))
            sides.append(data.Samples.join(parts))
    return Run(settings, sides[0], sides[1], modules, origin, out)


def finish(run: Run) -> None:
    """Write the model of the best dev loss, and what the bridge needs to read it."""
    with safe_open(run.checkpoints / "best.safetensors", framework="pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    run.model.load_state_dict(weights)
    table = names.Names.learn(run.train.seen, run.train.modules)
    about = {
        "answers": ANSWERS,
        "hidden": run.settings.hidden,
        "head": run.settings.head,
        "operators": list(data.OPERATORS),
        "modules": run.modules,
        "device": run.settings.device,
        "precision": run.settings.precision,
        "edges": run.settings.edges,
        **chosen(run.model, table, run.dev, run.device),
        "calibration": calibration(run.model, run.dev, run.device),
        "training": asdict(run.progress),
    }
    _write(run.out / "config.json", json.dumps(about, indent=1).encode())
    _write(run.out / names.FILE, table.content())
    _save(run.out / "model.safetensors", weights, {})


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside, then rename: a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, beside, metadata=metadata)
    os.replace(beside, path)


def _write(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".partial")
    beside.write_bytes(content)
    os.replace(beside, path)
