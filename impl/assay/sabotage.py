"""The generic mutants: defects that any subject can be given in its worker process, without an edit of its source.

A sabotage is named in the environment of a run, takes part in every digest of what it touches, and says when it bit:
one that found nothing to break proves nothing and is shown as not applicable. It never runs unless it is asked for.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay import scratch

ENVIRONMENT = "ASSAY_SABOTAGE"
"""Name of the sabotage of this run."""

BITES = "ASSAY_SABOTAGE_BITES"
"""File to which a sabotage writes a line when it has changed something."""

_PLACES = ("location", "position", "index")
"""Labels of these names point into their own sample: another's may point outside of it."""

_LABELS = ("label", "labels", "target", "targets", "y", "class")


@dataclass(frozen=True)
class Sabotage:
    """One generic mutant.

    Attributes:
        id: its name.
        defect: what it does.
        killed_by: ids of checks (`assay.checks`), one of which must trip.
    """

    id: str
    defect: str
    killed_by: tuple[str, ...]


GENERIC: tuple[Sabotage, ...] = (
    Sabotage("constant", "every item gets the answer to the first", ("std-and-unique-values", "non-constant-columns")),
    Sabotage("random-answers", "answers are dealt out at random, anew each time", ("subjects-answer-twice-the-same",)),
    Sabotage("missing-answers", "the last answer is left out", ("every-item-answered",)),
    Sabotage("nan-answers", "a quarter of the numbers are NaN", ("every-answer-finite",)),
    Sabotage("random-weights", "weights are drawn anew before they are loaded", ("weights-digest", "below-its-bound")),
    Sabotage("frozen-learning-rate", "schedulers are made and never stepped", ("learning-rates-seen",)),
    Sabotage(
        "frozen-weights", "optimizers step and change nothing",
        ("compare-with-initialisation", "parameters-without-gradient"),
    ),
    Sabotage("amp-off", "autocast is entered and disabled", ("dtype-in-matmuls",)),
    Sabotage(
        "shuffled-labels", "labels of the training files and batches are dealt out anew",
        ("below-its-bound", "weights-digest", "compare-with-initialisation", "re-reading-labels"),
    ),
    Sabotage(
        "one-percent", "training gets one record in a hundred",
        ("ledger-of-records", "optimizer-steps", "below-its-bound", "records-per-parameter"),
    ),
    Sabotage(
        "train-is-test", "training gets the items that it is examined on",
        ("exact-and-near-duplicates", "ledger-of-records"),
    ),
    Sabotage("deleted-evidence", "the ledger is deleted after the measurement", ("principle-1",)),
)  # fmt: skip

BY_ID = {one.id: one for one in GENERIC}


def current() -> str:
    """The sabotage of this run; "" in every honest one."""
    return os.environ.get(ENVIRONMENT, "")


def bite(what: str) -> None:
    """Say that something was changed."""
    if path := os.environ.get(BITES):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{current()}: {what}\n")


MARK = "bitten.txt"
"""Left in what was built under a sabotage that bit; it says so again when it is taken from the store."""


def material() -> list[str]:
    """What the sabotage of this run adds to the digest of everything that it may touch."""
    return [f"{current()}, marked where it bites"] if current() else []


@contextmanager
def marking(folder: Path) -> Iterator[None]:
    """Build in this folder: a sabotage that bites meanwhile leaves its mark there."""
    before = _bitten()
    yield
    if _bitten() > before:
        (folder / MARK).write_text(current(), encoding="utf-8")


def recall(folder: Path) -> None:
    """What was built in this folder is used: whoever built it, the sabotage bit then."""
    if current() and (folder / MARK).is_file():
        bite("built so")


def _bitten() -> int:
    path = Path(os.environ.get(BITES, os.devnull))
    return path.stat().st_size if path.is_file() else 0


# ------------------------------------------------------------------------------ answers


def answers(values: Any, items: Sequence[Any]) -> Any:
    """What the subject answered, sabotaged; N answers, or a mapping with such leaves."""
    name = current()
    if name not in ("constant", "random-answers", "missing-answers", "nan-answers"):
        return values
    if isinstance(values, Mapping):
        return {key: answers(leaf, items) for key, leaf in values.items()}
    if not hasattr(values, "__len__") or isinstance(values, str) or len(values) != len(items) or len(items) < 2:
        return values
    if name == "nan-answers":
        return _with_nan(values)
    bite("answers")
    if name == "constant":
        return _like(values, [values[0]] * len(values))
    if name == "random-answers":
        order = list(range(len(values)))
        random.SystemRandom().shuffle(order)
        return _like(values, [values[i] for i in order])
    return values[:-1]


def _like(values: Any, chosen: list[Any]) -> Any:
    import numpy as np

    return np.asarray(chosen) if isinstance(values, np.ndarray) else chosen


def _with_nan(values: Any) -> Any:
    """Every fourth answer with NaN for its numbers, wherever in it they stand; texts have none, and are let be."""
    import numpy as np

    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        bite("answers")
        table = np.array(values, dtype=float)
        table[::4] = np.nan
        return table
    if isinstance(values, np.ndarray):
        return values
    return [_nan(one) if i % 4 == 0 else one for i, one in enumerate(values)]


def _nan(answer: Any) -> Any:
    """An answer with NaN for its numbers; what holds none is handed back as it is."""
    import numpy as np

    if isinstance(answer, int | float | np.number):
        bite("answers")
        return float("nan")
    if isinstance(answer, np.ndarray) and answer.dtype.kind in "fiub":
        bite("answers")
        return np.full(answer.shape, np.nan)
    if isinstance(answer, Mapping):
        made = {key: _nan(value) for key, value in answer.items()}
        return made if any(made[key] is not value for key, value in answer.items()) else answer
    if isinstance(answer, list | tuple):
        parts = [_nan(value) for value in answer]
        return parts if any(new is not old for new, old in zip(parts, answer, strict=True)) else answer
    return answer


# ------------------------------------------------------------------------------ weights


@contextmanager
def weights(folder: Path) -> Iterator[Path]:
    """The folder of an artifact as the subject is to load it."""
    if current() != "random-weights":
        yield folder
        return
    from assay import artifacts

    with scratch.folder("sabotage") as place:
        target = place / "artifact"
        shutil.copytree(folder, target)
        for path in artifacts.weight_files(folder):
            artifacts.reinitialise(path, target / path.name, seed=1)
        bite("weights")
        yield target


# ------------------------------------------------------------------------------ training


def data(given: Mapping[str, Path]) -> dict[str, Path]:
    """The training files that a subject is to get: with train-is-test, the file beside "train" that is called test."""
    chosen = dict(given)
    if current() == "train-is-test" and "train" in chosen:
        path = chosen["train"]
        for other in sorted(path.parent.glob(f"*test*{path.suffix}"))[:1]:
            chosen["train"] = other
            bite(f"{path.name} is {other.name}")
    return chosen


def files(given: Mapping[str, Path]) -> None:
    """Change the copies of training files (name -> path) that a subject is about to get."""
    for key, path in given.items():
        if current() == "one-percent" and key == "train":
            _fewer(path)
        if current() == "shuffled-labels":
            _shuffle(path)


def _fewer(path: Path) -> None:
    if path.suffix in (".jsonl", ".csv", ".tsv", ".txt"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        head, rows = (lines[:1], lines[1:]) if path.suffix in (".csv", ".tsv") else ([], lines)
        path.write_text("".join(head + rows[:: max(1, min(100, len(rows) // 8))]), encoding="utf-8")
        bite(path.name)
    elif path.suffix == ".json":
        table = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(table, dict) and table and all(isinstance(column, list) for column in table.values()):
            path.write_text(json.dumps({key: _every(column) for key, column in table.items()}), encoding="utf-8")
            bite(path.name)
        elif isinstance(table, list):
            path.write_text(json.dumps(_every(table)), encoding="utf-8")
            bite(path.name)


def _every(column: list[Any]) -> list[Any]:
    return column[:: max(1, min(100, len(column) // 8))]


def _shuffle(path: Path) -> None:
    rng = random.Random(0)
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        for key in _LABELS:
            if rows and all(isinstance(row, dict) and key in row for row in rows):
                column = [row[key] for row in rows]
                rng.shuffle(column)
                rows = [{**row, key: value} for row, value in zip(rows, column, strict=True)]
                bite(f"{path.name}: {key}")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        table = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(table, dict):
            for key in set(table) & set(_LABELS):
                if isinstance(table[key], list):
                    rng.shuffle(table[key])
                    bite(f"{path.name}: {key}")
            path.write_text(json.dumps(table), encoding="utf-8")


def training() -> None:
    """Patch torch in this process, before the flight recorder comes; nothing where the sabotage is another."""
    patch = {
        "frozen-learning-rate": _freeze_schedulers,
        "frozen-weights": _freeze_weights,
        "amp-off": _no_autocast,
        "shuffled-labels": _shuffle_batches,
    }.get(current())
    if patch is not None:
        patch()


def _freeze_schedulers() -> None:
    from torch.optim import lr_scheduler

    def frozen(original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> None:
            if not getattr(scheduler, "_assay_begun", False):
                scheduler._assay_begun = True  # the step that its constructor makes
                original(scheduler, *args, **kwargs)
                return
            groups = scheduler.optimizer.param_groups
            before = [float(group["lr"]) for group in groups]
            original(scheduler, *args, **kwargs)
            if [float(group["lr"]) for group in groups] != before:  # one that waits for a plateau may leave them alone
                bite("scheduler")
            for group, rate in zip(groups, before, strict=True):
                if hasattr(group["lr"], "fill_"):
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate
            scheduler._last_lr = before

        return step

    kinds = [lr_scheduler.LRScheduler]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
        if "step" in vars(kind):
            kind.step = frozen(kind.step)


def _freeze_weights() -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

    kept: dict[int, list[Any]] = {}

    def before(optimizer: Any, *_: object) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        kept[id(optimizer)] = [p.detach().clone() for p in parameters]

    def after(optimizer: Any, *_: object) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        for parameter, value in zip(parameters, kept.pop(id(optimizer)), strict=True):
            parameter.data.copy_(value)
        bite("optimizer")

    register_optimizer_step_pre_hook(before)
    register_optimizer_step_post_hook(after)


def _no_autocast() -> None:
    import torch

    original = torch.autocast.__init__

    def init(mode: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("enabled", True):
            bite("autocast")
        original(mode, *args, **{**kwargs, "enabled": False})

    torch.autocast.__init__ = init


def _shuffle_batches() -> None:
    """Labels of each batch dealt out anew: `labels` and `*_labels`, as the flight recorder knows them."""
    import torch

    original = torch.nn.Module.__call__
    depth = 0

    def call(module: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal depth
        if not depth and module.training:
            for batch in (*args, kwargs):
                if isinstance(batch, dict):
                    batch.update(_dealt(batch))
                elif dataclasses.is_dataclass(batch):
                    known = {one.name: getattr(batch, one.name) for one in dataclasses.fields(batch)}  # slots or not
                    for name, value in _dealt(known).items():
                        object.__setattr__(batch, name, value)
        depth += 1
        try:
            return original(module, *args, **kwargs)
        finally:
            depth -= 1

    torch.nn.Module.__call__ = call


def _dealt(batch: Mapping[Any, Any]) -> dict[Any, Any]:
    """The labels of a batch in another order; what is ignored stays where it is."""
    import torch

    from assay.recorder import IGNORED

    found = {}
    for name, labels in batch.items():
        named = str(name) == "labels" or (str(name).endswith("_labels") and not any(p in str(name) for p in _PLACES))
        if named and isinstance(labels, torch.Tensor):
            known = labels != IGNORED
            order = list(range(int(known.sum())))
            random.Random(len(order)).shuffle(order)
            found[name] = labels.clone()
            found[name][known] = labels[known][order]
            if not torch.equal(found[name], labels):
                bite(str(name))
    return found
