"""The flight recorder: watches a training run from outside, because training is observed and never believed.

It runs inside the worker around the subject's `train` and must never change what it watches: no random number
is drawn, no step waits for the accelerator, nothing stays patched. What it could not see is left out or NaN.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import json
import math
import os
import random
import sys
import time
import weakref
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from pathlib import Path
from typing import Any, TypedDict

IGNORED = -100
"""Label entries of this value take no part in a loss (the convention of torch's cross_entropy)."""

_TOKEN_LIMIT = 1 << 20  # ids from here on share one place in the bitmap; no vocabulary is that large
_TOKEN_SAMPLES = 64
_FLUSH_UPDATES = 200
_FLUSH_SECONDS = 0.5  # at most this much of a killed run is lost, unless a checkpoint was written meanwhile
_FIRST_FACTOR = {  # matrix products whose first factor is not their first argument
    **dict.fromkeys(("addmm", "addmm_", "baddbmm", "addmv", "_addmm_activation", "_sparse_addmm"), 1),
    "sparse_sampled_addmm": 1,
}
_MATRIX_PRODUCTS = {
    *("mm", "bmm", "mv", "linear", "mkldnn_linear", "_linear_pointwise", "_scaled_mm", "_int_mm", "_grouped_mm"),
    *("_sparse_mm", "_cslt_sparse_mm", "convolution", "_convolution", "_convolution_pointwise", "_trilinear"),
    *("mkldnn_rnn_layer", "_cudnn_rnn", *_FIRST_FACTOR),
}
_ATTENTION = ("_scaled_dot_product", "_flash_attention", "_efficient_attention", "flex_attention")


class FlightRecord(TypedDict, total=False):
    """What `flight.json` holds; lists "per update" are in order of the update index.

    Floats may be NaN or infinite (written as Python's json does). NaN in place of a number means "not seen":
    comparisons with it fail, as they should. `optimizers` is there only when several optimizers made updates.
    """

    version: int
    updates: int
    """Optimizer updates on the way to the final weights."""
    skipped_updates: int
    """By the gradient scaler; for a non-finite loss never backpropagated; with gradients thrown away unused."""
    losses: list[float]
    """Per update: mean of the outputs' `loss` over its micro-batches, before any divisor or scale; their sum where
    the trainer gives `num_items_in_batch`, as transformers does: then each loss is a share of the update's mean.
    Where outputs have no `loss`: the sum of what was backpropagated, without the scaler's factor."""
    components: dict[str, list[float | None]]
    """Per update: sum over the micro-batches / their number, so that they add up to `losses`; None: absent."""
    totals_gap: float
    """Largest |loss - sum(losses)| / max(|loss|, sum |losses|) of a micro-batch."""
    backward_gap: float
    """Largest |b - sum f_i loss_i| / max(|b|, sum |f_i loss_i|), b backpropagated, f_i = db/dloss_i measured."""
    lrs: list[list[float]]
    """Per update: learning rate of each parameter group, as the update used it."""
    scheduler_steps: int
    """Without the one that a scheduler's constructor makes."""
    scheduler_metrics: list[list[float]]
    """[update, value] for each value given to ReduceLROnPlateau."""
    scaler_steps: int
    dtypes: dict[str, int]
    """Matrix products in forward passes of sampled updates, by the dtype of their first factor."""
    label_counts: dict[str, dict[str, int]]
    """Name of the label tensor -> over all samples: least number of labels, samples without any, samples."""
    records: list[str | int]
    """Distinct record ids whose loss was backpropagated before an update."""
    records_per_update: list[int]
    """With repeats, and no more than the label tensors have rows."""
    token_ids: dict[str, Any]
    """distinct, max (-1: none), samples: up to 64 pairs [record id, its first 64 ids, without padding]."""
    sequence_lengths: dict[str, int]
    """Widths of input_ids: min, max, number of distinct ones; 0 without tokens."""
    parameters: dict[str, Any]
    """counted and trainable: numbers; names: frozen (at every look), without_gradient, never_moved (not frozen)."""
    evaluations: list[dict[str, Any]]
    """Forward passes not trained on, grouped by update and by calls of train() or eval(): update, training_mode
    (of the root or a dropout in it), loss and components (means over records), records, records_digest."""
    seeds: dict[str, Any]
    """Seed and digests of generator states when the root was first called, at_start: when the recorder came;
    weights: digest at initialisation; from_initialisation: False when training was first seen in mid-run."""
    initial_loss: float
    """Loss of the first update."""
    step_seconds: list[float]
    """Per update: wall time since the previous one, without evaluation, checkpoints and the recorder's writing."""
    data_seconds: float
    """Time between the last thing seen and the next training forward pass, in all: roughly waiting for data."""
    wall_seconds: float
    peak_memory_bytes: int
    """Of the accelerator's allocator when the root lives on one, else resident memory."""
    segments: int
    """Processes that took part."""
    optimizers: dict[str, dict[str, Any]]


def records_digest(ids: Iterable[str | int]) -> str:
    """SHA-256 (hex) of the record ids as text, sorted, repeats kept, joined by newlines.

    The parent computes it over a whole split to prove which split an evaluation used.
    """
    return hashlib.sha256("\n".join(sorted(map(str, ids))).encode()).hexdigest()


class TrackedConfig(Mapping[str, Any]):
    """A profile table that remembers which of its values were read, nested tables too.

    Reading is `config["key"]` or `.get`. What goes over the whole table - iteration, `**config`,
    `dict(config)`, `.items()`, `.values()` - reaches every key and so proves the use of none: it counts as
    bulk, not as a read. Copies are the table itself; a pickled one is a plain dict whose reads go unseen.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._build(table, "", set(), set())

    def _build(self, table: Mapping[str, Any], prefix: str, reads: set[str], bulk: set[str]) -> None:
        self._prefix, self._reads, self._bulk = prefix, reads, bulk
        self._live: list[list[str]] = []  # the key that each running iteration yielded last
        self._site: tuple[int, object, int] | None = None  # the instruction that last asked for keys()
        self._table: dict[str, Any] = {}
        for key, value in table.items():
            if isinstance(value, Mapping) and value:
                nested = TrackedConfig.__new__(TrackedConfig)
                nested._build(value, f"{prefix}{key}.", reads, bulk)
                value = nested
            self._table[key] = value

    @property
    def unread(self) -> list[str]:
        """Dotted keys, in the order of the table, that nobody read one by one."""
        return [key for key in self._leaves() if key not in self._reads]

    @property
    def bulk(self) -> list[str]:
        """Dotted keys that were reached only by going over a whole table."""
        return [key for key in self._leaves() if key in self._bulk - self._reads]

    def _leaves(self) -> Iterator[str]:
        for key, value in self._table.items():
            if isinstance(value, TrackedConfig):
                yield from value._leaves()
            else:
                yield self._prefix + key

    def __getitem__(self, key: str) -> Any:
        try:
            value = self._table[key]
        except KeyError:
            near = difflib.get_close_matches(str(key), self._table, n=1)
            hint = f'; did you mean "{self._prefix}{near[0]}"?' if near else ""
            raise KeyError(f'profile has no key "{self._prefix}{key}"{hint}') from None
        if not isinstance(value, TrackedConfig):
            frame = sys._getframe(1)
            # dict(config) and **config ask for keys() and for each item from one and the same instruction.
            whole = self._site == (id(frame), frame.f_code, frame.f_lasti) or [key] in self._live
            (self._bulk if whole else self._reads).add(self._prefix + key)
        return value

    def __iter__(self) -> Iterator[str]:
        last: list[str] = []
        self._live.append(last)
        try:
            for key in self._table:
                last[:] = [key]
                yield key
        finally:
            self._live = [one for one in self._live if one is not last]

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def keys(self) -> KeysView[str]:
        frame = sys._getframe(1)
        self._site = (id(frame), frame.f_code, frame.f_lasti)
        return KeysView(self)

    def items(self) -> ItemsView[str, Any]:
        self._bulk.update(self._leaves())
        return self._table.items()

    def values(self) -> ValuesView[Any]:
        self._bulk.update(self._leaves())
        return self._table.values()

    def __repr__(self) -> str:
        return f"TrackedConfig({self._table!r})"

    def __copy__(self) -> TrackedConfig:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TrackedConfig:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        self._bulk.update(self._leaves())
        return dict, (self._plain(),)

    def _plain(self) -> dict[str, Any]:
        return {k: v._plain() if isinstance(v, TrackedConfig) else v for k, v in self._table.items()}


# ------------------------------------------------------------- batches and outputs, duck-typed


def _field(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def _label_names(holder: Any) -> list[str]:
    names: Any
    if isinstance(holder, Mapping) or callable(getattr(holder, "keys", None)):
        names = holder.keys()
    elif dataclasses.is_dataclass(holder):
        names = [one.name for one in dataclasses.fields(holder)]
    else:
        names = getattr(holder, "_fields", None) or getattr(holder, "__dict__", ())
    return [n for n in names if isinstance(n, str) and (n == "labels" or n.endswith("_labels"))]


def _batch(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The batch among the arguments of the root: what carries `record_id`, or else the likeliest one."""
    if "record_id" in kwargs:
        return kwargs
    candidates = [*args, *kwargs.values()]
    for one in candidates:
        if _field(one, "record_id") is not None:
            return one
    if kwargs and not args and len(kwargs) > 1:
        return kwargs
    return candidates[0] if candidates else None


def _scalar(value: Any) -> Any:
    """A tensor of one element, detached and safe from in-place changes, or a plain number; None for the rest."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().reshape(()).clone() if value.numel() == 1 else None
    return float(value) if isinstance(value, int | float) else None


def _unwrapped(module: Any) -> Any:
    while type(module).__name__ in ("DistributedDataParallel", "DataParallel", "OptimizedModule"):
        module = getattr(module, "_orig_mod", None) or module.module
    return module


def _plain_name(name: str) -> str:
    return name.replace("_orig_mod.", "")


def _sampled(update: int, every: int) -> bool:
    """Whether an update (from 0) is looked at closely: 0, 1, 2, 4, 8 ... and every `every`-th."""
    return update % every == 0 or (update < every and update & (update - 1) == 0)


# ----------------------------------------------------------------------------- numbers, lazily


class _Fetch:
    """Brings many scalar tensors to the host with one transfer per device and dtype."""

    def __init__(self) -> None:
        self._groups: dict[Any, list[Any]] = {}
        self._results: dict[Any, list[Any]] = {}

    def add(self, value: Any) -> Callable[[], float]:
        """A promise of the float; NaN for None. Valid after `run`."""
        if value is None:
            return lambda: math.nan
        if isinstance(value, int | float):
            return lambda: value
        key = (value.device, value.dtype)
        group = self._groups.setdefault(key, [])
        place = len(group)
        group.append(value)
        return lambda: float(self._results[key][place])

    def run(self) -> None:
        import torch

        self._results = {key: torch.stack(group).tolist() for key, group in self._groups.items()}


def _gap(value: float, parts: Iterable[float]) -> float:
    """Relative distance of a value from the sum of its parts; NaN when either is not finite."""
    parts = list(parts)
    scale = max(abs(value), sum(map(abs, parts)))
    if not math.isfinite(scale):
        return math.nan
    return abs(value - math.fsum(parts)) / scale if scale else 0.0


def _largest(values: Iterable[float]) -> float:
    """Maximum of the numbers that are not NaN; NaN when there is none."""
    return max((v for v in values if v == v), default=math.nan)


# ----------------------------------------------------------------------- what is seen of a run


class _Pass:
    """One forward pass of a root with gradients or in evaluation; tensors in it are detached."""

    __slots__ = (
        *("ids", "loss", "parts", "shared", "samples", "labels", "tokens", "mask", "modes"),
        *("hooks", "reached", "consumed", "windowed"),
    )

    def __init__(self, ids: Any, loss: Any, parts: dict[str, Any]) -> None:
        self.ids, self.loss, self.parts = ids, loss, parts
        self.shared = False  # whether its loss is a share of the update's mean, to be summed and not averaged
        self.modes = True  # whether the module or a dropout in it was in training mode
        self.samples = 0 if ids is None else len(ids)
        self.labels: dict[str, tuple[Any, Any, int]] = {}
        self.tokens: Any = None
        self.mask: Any = None
        self.reached = self.consumed = self.windowed = False
        self.hooks: list[weakref.ref[Any]] = []

    def record_ids(self) -> list[str | int]:
        """The ids as plain values, cut to the samples that the labels show to be in the batch."""
        if self.ids is None:
            return []
        ids = self.ids.tolist() if hasattr(self.ids, "tolist") else list(self.ids)
        return [one if isinstance(one, str) else int(one) for one in ids[: self.samples]]

    def abandoned(self) -> bool:
        """Whether the graph is gone, so that this pass can never be backpropagated any more."""
        return not self.reached and all(hook() is None for hook in self.hooks)


class _Optimizer:
    """What is known of one optimizer: its parameters, roots and the passes since its last update."""

    def __init__(self, index: int, optimizer: Any) -> None:
        self.index, self.optimizer = index, optimizer
        self.uncovered: set[int] = set()
        self.pending: list[_Pass] = []
        self.extras: list[Any] = []  # backpropagated losses that came from no output
        self.gaps: list[tuple[Any, ...]] = []
        self.largest = 1  # most micro-batches seen in one update
        self.lrs: list[Any] = []
        self.found_inf: Any = None
        self.steps = 0  # in this process
        self.unresolved = 0  # of these, not yet in the journal
        self.stepping = self.rebase = False

    def parameters(self) -> list[Any]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def counter(self) -> int | None:
        """Updates that its own state says it has made; None when the state does not count."""
        steps = [int(s["step"]) for s in self.optimizer.state.values() if isinstance(s, dict) and "step" in s]
        return max(steps, default=None)


def _dropouts(module: Any) -> list[Any]:
    return [m for m in module.modules() if "dropout" in type(m).__name__.lower()]


class _Root:
    """A module whose forward passes are watched."""

    def __init__(self, module: Any) -> None:
        self.module, self.inner = module, _unwrapped(module)
        self.optimizers: list[_Optimizer] = []
        self.dropouts = _dropouts(module)
        self.handles: list[Any] = []
        self.initial: dict[str, Any] = {}
        self.prefix, self.named = "", False

    def trains(self, module: Any) -> bool:
        """Whether the root, or the copy of it that was called, has itself or a dropout in training mode."""
        dropouts = self.dropouts if module is self.module else _dropouts(module)
        return bool(module.training) or any(m.training for m in dropouts)


class _Hook:
    """A forward hook that copies of a module may share, and that a pickled module leaves behind."""

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call

    def __call__(self, *args: Any) -> None:
        self.call(*args)

    def __copy__(self) -> _Hook:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Hook:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Whoever unpickles the module may lack this package: the standard library's "accept all, do nothing".
        return getattr, (contextlib.nullcontext(), "__exit__")


# --------------------------------------------------------------------------------- the journal


class _Journal:
    """Append-only lines beside the artifact; what survives `kill -9` and goes on in the next process.

    A `resume` line cuts off what came after the checkpoint that training went on from: with `keep` all older
    lines after that position, otherwise those whose update counts (`at`) exceed `base`. `scope` says whether
    "older" means before this process or before this line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        self._file.truncate(sum(map(len, self._whole())))

    def _whole(self) -> Iterator[bytes]:
        """The lines up to the first that a kill tore."""
        with self.path.open("rb") as file:
            for raw in file:
                try:
                    whole = raw.endswith(b"\n") and isinstance(json.loads(raw), dict)
                except ValueError:
                    whole = False
                if not whole:
                    return
                yield raw

    def append(self, *lines: dict[str, Any]) -> None:
        self._file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def effective(self) -> list[tuple[int, dict[str, Any]]]:
        """Position and content of the lines on the way to the present weights."""
        kept: list[tuple[int, dict[str, Any]]] = []
        start = 0
        for place, line in enumerate(map(json.loads, self._whole())):
            if line["k"] == "resume":
                limit = start if line["scope"] == "segment" else place
                keep, base = line["keep"], line["base"]
                survivors = [
                    (p, e)
                    for p, e in kept
                    if p >= limit or e["k"] in ("segment", "clock") or (_within(e, base) if keep is None else p <= keep)
                ]
                kept = [(p, _clipped(e, base) if p >= limit else e) for p, e in survivors]
                continue
            if line["k"] == "segment":
                start = place
            kept.append((place, line))
        return kept


def _without(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in names}


def _at(counts: list[int], index: int) -> int:
    return counts[index] if index < len(counts) else 0


def _within(line: dict[str, Any], base: list[int]) -> bool:
    return all(count <= _at(base, index) for index, count in enumerate(line.get("at", ())))


def _clipped(line: dict[str, Any], base: list[int]) -> dict[str, Any]:
    if "at" not in line:
        return line
    return {**line, "at": [min(count, _at(base, index)) for index, count in enumerate(line["at"])]}


def _assembled(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The flight record from the effective journal lines."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        by_kind.setdefault(entry["k"], []).append(entry)
    rows: dict[int, dict[int, dict[str, Any]]] = {}
    for row in by_kind.get("update", []):
        rows.setdefault(row["o"], {})[row["u"]] = row  # last write wins per index
    primary = min(rows, default=0)
    updates = [row for _, row in sorted(rows.get(primary, {}).items())]
    everything = [row for of in rows.values() for row in of.values()]

    labels: dict[str, dict[str, int]] = {}
    for row in everything:
        for name, (least, empty, samples) in row["labels"].items():
            seen = labels.setdefault(name, {"min": least, "empty": 0, "samples": 0})
            seen["min"] = min(seen["min"], least)
            seen["empty"] += empty
            seen["samples"] += samples
    dtypes: dict[str, int] = {}
    for entry in by_kind.get("dtypes", []):
        for name, count in entry["counts"].items():
            dtypes[name] = dtypes.get(name, 0) + count
    tokens = by_kind.get("tokens", [])
    widths = {width for row in everything for width in row["widths"]}
    parameters: dict[str, Any] = {"counted": 0, "trainable": 0}
    names: list[str] = []
    unmoved: set[str] = set()
    for entry in entries:
        if entry["k"] == "parameters":
            parameters = {key: entry[key] for key in ("counted", "trainable")}
            unmoved |= set(entry["names"]) - set(names)
            names = entry["names"]
        elif entry["k"] == "moved":
            unmoved -= set(entry["names"])
        elif entry["k"] == "unmoved":  # at the end
            unmoved = set(entry["names"])
    frozen: set[str] | None = None
    for entry in by_kind.get("frozen", []):
        frozen = set(entry["names"]) if frozen is None else frozen & set(entry["names"])
    graded = {name for entry in by_kind.get("gradients", []) for name in entry["names"]}
    names = [n for n in names if n not in (frozen or ())]
    parameters["without_gradient"] = [n for n in names if n not in graded]
    parameters["never_moved"] = [n for n in names if n in unmoved]
    parameters["frozen"] = sorted(frozen or ())
    clocks = by_kind.get("clock", [])
    segments = by_kind.get("segment", [])
    last_clock = {entry["segment"]: entry for entry in clocks}
    seeds = by_kind.get("seeds", [{}])[-1]
    records = {one for row in everything for one in row["new"]}
    flight: dict[str, Any] = {
        "version": 1,
        **_short(updates, by_kind, primary),
        "dtypes": dtypes,
        "label_counts": labels,
        "records": sorted(records, key=lambda one: (isinstance(one, str), one)),
        "token_ids": {
            "distinct": len({one for entry in tokens for one in entry["ids"]}),
            "max": max((entry["max"] for entry in tokens), default=-1),
            "samples": [sample for entry in tokens for sample in entry["samples"]][:_TOKEN_SAMPLES],
        },
        "sequence_lengths": {"min": min(widths, default=0), "max": max(widths, default=0), "distinct": len(widths)},
        "parameters": parameters,
        "evaluations": [
            {"update": _at(entry["at"], primary), **_without(entry, "k", "at")}
            for entry in by_kind.get("evaluation", [])
        ],
        "seeds": _without(seeds, "k", "at"),
        "initial_loss": updates[0]["loss"] if updates and updates[0]["u"] == 1 else math.nan,
        "data_seconds": math.fsum(row["data"] for row in everything),
        "wall_seconds": math.fsum(entry["wall"] for entry in last_clock.values()),
        "peak_memory_bytes": max((entry["peak"] for entry in clocks), default=0),
        "segments": len(segments),
    }
    if len(rows) > 1:
        flight["optimizers"] = {
            str(index): _short([row for _, row in sorted(of.items())], by_kind, index)
            for index, of in sorted(rows.items())
            if index != primary
        }
    return flight


def _short(rows: list[dict[str, Any]], by_kind: dict[str, list[dict[str, Any]]], index: int) -> dict[str, Any]:
    """The keys that every optimizer has of its own."""
    schedules = [entry for entry in by_kind.get("scheduler", []) if entry["o"] == index]
    names = list(dict.fromkeys(name for row in rows for name in row["parts"]))
    return {
        "updates": len(rows),
        "skipped_updates": sum(entry["o"] == index for entry in by_kind.get("skip", [])),
        "losses": [row["loss"] for row in rows],
        "components": {name: [row["parts"].get(name) for row in rows] for name in names},
        "totals_gap": _largest(row["totals_gap"] for row in rows),
        "backward_gap": _largest(row["backward_gap"] for row in rows),
        "lrs": [row["lrs"] for row in rows],
        "scheduler_steps": len(schedules),
        "scheduler_metrics": [
            [_at(entry["at"], index), entry["metric"]] for entry in schedules if entry["metric"] is not None
        ],
        "scaler_steps": sum(entry["o"] == index for entry in by_kind.get("scaler", [])),
        "records_per_update": [row["records"] for row in rows],
        "step_seconds": [row["seconds"] for row in rows],
    }


# -------------------------------------------------------------------------------- the recorder


class FlightRecorder:
    """Context manager around a training function; writes `flight.json` and `initial.safetensors` into `out`.

    What is watched: the *roots* - the outermost modules called that own parameters of an optimizer - by forward
    hooks; their losses by tensor hooks, so that a loss counts as backpropagated when its gradient was computed,
    and with which factor; optimizer steps by PyTorch's global hooks; schedulers, gradient scaler, backward,
    zero_grad, train/eval and the writing of checkpoints by patches that leave on exit.

    What is not: updates made without torch.optim; matrix products inside fused kernels that are no library
    calls; several processes training one model; a loss whose tensor belongs to no root's output (then what was
    backpropagated is recorded as the loss, and no record id counts).

    Resuming: the journal `flight.json.partial` goes on over processes. Training that starts again from a
    checkpoint repeats updates, so what the journal holds beyond that checkpoint belongs to weights that no
    longer exist and is dropped. Which update a checkpoint holds is told, before the first update of a process,
    by (1) the weights, when they equal those at a moment when the subject wrote a file and no step counter
    contradicts, (2) the optimizer's own step counter; if neither says anything training began anew and all is
    dropped. An optimizer state loaded in mid-run is treated alike. Updates that nobody wrote down stay missing.

    Args:
        out: folder of the artifact, made if absent.
        sample_every: updates between two close looks (dtypes, gradients, token samples); 0, 1, 2, 4 ... besides.
        on_progress: called with `{"updates", "skipped", "loss", "seconds"}` whenever the journal is written, the
            updates of all optimizers together, so that stages that follow each other count on.
    """

    def __init__(
        self, out: Path, sample_every: int = 50, on_progress: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.out = Path(out)
        self._every = max(1, sample_every)
        self._on_progress = on_progress
        self._journal: _Journal | None = None
        self._active = False
        self._handles: list[Any] = []
        self._roots: list[_Root] = []
        self._patches: list[tuple[Any, str, Any, bool, Any]] = []
        self._unarm: Callable[[], None] | None = None

    # ------------------------------------------------------------------------- coming and going

    def __enter__(self) -> FlightRecorder:
        from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

        if self._active:
            raise RuntimeError("FlightRecorder: already recording; make one recorder per training run")
        self._journal = _Journal(self.out / "flight.json.partial")
        self._optimizers: list[_Optimizer] = []
        self._dismissed: weakref.WeakSet[Any] = weakref.WeakSet()
        self._queue: list[tuple[Any, ...]] = []
        self._window: list[_Pass] = []
        self._fired: list[tuple[_Pass, str, Any]] = []
        self._scaled: dict[int, tuple[weakref.ref[Any], Any]] = {}
        self._depth = {"call": 0, "root": 0, "backward": 0, "scheduler": 0, "save": 0}
        self._mode: Any = None
        self._dtypes: dict[str, int] = {}
        self._seen_tokens: Any = None
        self._known_tokens: Any = None
        self._max_token: Any = None
        self._samples: list[tuple[Any, int, Any, Any]] = []
        self._ungraded: dict[str, Any] = {}
        self._still: set[str] = set()  # parameters not yet seen to have moved
        self._frozen: list[str] | None = None
        self._seen_records: set[str | int] = set()
        self._saved_initial = False
        self._seeds: dict[str, Any] = {}
        earlier = [line for _, line in self._journal.effective()]
        self._segment = sum(line["k"] == "segment" for line in earlier)
        self._earlier = bool(earlier)
        self._resolved = not self._earlier
        self._counts: list[int] = []
        for line in earlier:
            if line["k"] == "update":
                self._count(line["o"], line["u"])
        self._skipped = sum(line["k"] == "skip" for line in earlier)
        self._last_loss = math.nan
        self._sample_count = sum(len(line["samples"]) for line in earlier if line["k"] == "tokens")
        self._start = self._now = self._step_from = self._flushed = time.perf_counter()
        self._begun = False
        self._waited = self._excluded = 0.0
        self._start_states = _generator_states()
        self._probe = _dtype_probe(self._dtypes)
        self._journal.append({"k": "segment"})
        self._active = True
        try:
            self._handles = [
                register_optimizer_step_pre_hook(self._before_step),
                register_optimizer_step_post_hook(self._after_step),
            ]
            self._install()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        assert self._journal is not None
        try:
            if self._mode is not None:
                self._mode.__exit__(None, None, None)
                self._mode = None
            self._remove()
            self._finish(clean=kind is None)
        finally:
            self._journal.close()
            self._optimizers, self._roots, self._queue = [], [], []
            self._ungraded, self._window = {}, []

    def flight(self) -> dict[str, Any]:
        """The record so far, of all processes that took part: a `FlightRecord`, JSON-able."""
        if self._journal is None:
            raise RuntimeError("FlightRecorder: nothing recorded yet; use it as a context manager")
        if self._active:
            self._flush()
        return _assembled([line for _, line in self._journal.effective()])

    def _patch(self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Replace an attribute by a wrapper until the recorder leaves; a wrapper left behind passes through."""
        original = getattr(owner, name)
        inner = make(original)

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return (inner if self._active else original)(*args, **kwargs)

        self._patches.append((owner, name, original, name in vars(owner), wrapper))
        setattr(owner, name, wrapper)

    def _remove(self) -> None:
        self._active = False
        if self._unarm is not None:
            self._unarm()
        for root in self._roots:
            for handle in root.handles:
                handle.remove()
            root.handles = []
        while self._handles:
            self._handles.pop().remove()
        while self._patches:
            owner, name, original, own, wrapper = self._patches.pop()
            if vars(owner).get(name) is wrapper:  # somebody may have patched on top: ours is inert by now
                if own:
                    setattr(owner, name, original)
                else:
                    delattr(owner, name)

    def _install(self) -> None:
        import torch
        from torch.optim import lr_scheduler

        self._patch(torch.optim.Optimizer, "__init__", self._on_optimizer)
        self._patch(torch.optim.Optimizer, "load_state_dict", self._on_load)
        self._patch(torch.optim.Optimizer, "zero_grad", self._on_zero_grad)
        self._patch(torch.nn.Module, "zero_grad", self._on_module_zero_grad)
        self._patch(torch.nn.Module, "train", self._on_train)
        self._patch(torch.Tensor, "backward", self._on_backward)
        self._patch(torch.autograd, "backward", self._on_backward)
        self._patch(torch.amp.GradScaler, "step", self._on_scaler_step)
        self._patch(torch.amp.GradScaler, "scale", self._on_scale)
        self._patch(lr_scheduler.LRScheduler, "__init__", self._on_scheduler)
        self._patch(lr_scheduler.LRScheduler, "_initial_step", self._quiet_scheduler)
        kinds = [lr_scheduler.LRScheduler]
        for kind in kinds:
            kinds.extend(kind.__subclasses__())
            self._patch_scheduler(kind)
        # The inner functions are seen, too, when the outer ones were imported by name before the recorder came.
        self._patch(torch, "save", self._on_save)
        if hasattr(torch.serialization, "_open_zipfile_writer"):
            self._patch(torch.serialization, "_open_zipfile_writer", self._on_save)
        with contextlib.suppress(ImportError):
            import safetensors.torch as files

            for name in ("save_file", "serialize_file"):
                if hasattr(files, name):
                    self._patch(files, name, self._on_save)

    # --------------------------------------------------------------------------- who is trained

    def _on_optimizer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def init(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            self._known(optimizer)

        return init

    def _known(self, optimizer: Any) -> _Optimizer:
        for one in self._optimizers:
            if one.optimizer is optimizer:
                return one
        found = _Optimizer(len(self._optimizers), optimizer)
        self._optimizers.append(found)
        found.uncovered = {id(p) for p in found.parameters()}
        self._dismissed.clear()
        for root in self._roots:
            self._adopt(root, [found])
        if found.uncovered:
            self._arm()
        return found

    def _arm(self) -> None:
        """Look at every module call until all parameters of every optimizer have a root."""
        import torch

        if self._unarm is not None:
            return
        original = torch.nn.Module.__call__
        self._depth["call"] = 0

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self._depth["call"] or not self._active or module in self._dismissed:
                return original(module, *args, **kwargs)
            self._dismissed.add(module)
            self._consider(module)
            self._depth["call"] += 1
            try:
                return original(module, *args, **kwargs)
            finally:
                self._depth["call"] -= 1

        def unarm() -> None:
            if torch.nn.Module.__call__ is call:
                torch.nn.Module.__call__ = original
            self._unarm = None

        torch.nn.Module.__call__ = call
        self._unarm = unarm

    def _consider(self, module: Any) -> None:
        wanted = [one for one in self._optimizers if one.uncovered]
        if any(root.module is module for root in self._roots):
            return
        owned = {id(p) for p in module.parameters()}
        if not any(one.uncovered & owned for one in wanted):
            return
        root = _Root(module)
        # Older roots inside this one were calls of a part: the part's own passes stay, its hooks leave.
        inside = {id(m) for m in module.modules()}
        for other in [one for one in self._roots if id(one.module) in inside]:
            self._roots.remove(other)
            for handle in other.handles:
                handle.remove()
        self._roots.append(root)
        self._adopt(root, self._optimizers)
        before, after = _Hook(self._before_forward(root)), _Hook(self._after_forward(root))
        if module._compiled_call_impl is not None:  # hooks run inside what is compiled there
            import torch

            before.call = torch.compiler.disable(before.call)
            after.call = torch.compiler.disable(after.call)
        root.handles = [
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after, with_kwargs=True, always_call=True),
        ]
        self._meet(root)
        if not any(one.uncovered for one in self._optimizers) and self._unarm is not None:
            self._unarm()

    def _adopt(self, root: _Root, optimizers: list[_Optimizer]) -> None:
        owned = {id(p) for p in root.module.parameters()}
        for one in optimizers:
            if any(id(p) in owned for p in one.parameters()):
                one.uncovered -= owned
                root.optimizers.append(one)

    def _meet(self, root: _Root) -> None:
        """What must be noted before the first forward pass of a root."""
        if not self._seeds:
            self._seeds = {**_generator_states(), "at_start": self._start_states}
        root.initial = _weights(root)

    def _named(self, what: str) -> dict[str, Any]:
        """Tensors of all roots by name: `initial` or `parameters`. Roots after the first have a prefix."""
        found: dict[str, Any] = {}
        seen: set[int] = set()
        for root in self._roots:
            tensors = root.initial if what == "initial" else dict(root.inner.named_parameters())
            for name, tensor in tensors.items():
                if id(tensor) not in seen:
                    seen.add(id(tensor))
                    found[root.prefix + _plain_name(name)] = tensor
        return found

    def _name_roots(self) -> None:
        """The root with most parameters keeps their names; decided once, before the first update."""
        for root in sorted(self._roots, key=lambda one: -sum(p.numel() for p in one.module.parameters())):
            if not root.named:
                taken = {one.prefix for one in self._roots if one.named}
                kind = type(root.inner).__name__
                choices = ["", f"{kind}.", *(f"{kind}{n}." for n in range(2, len(taken) + 2))]
                root.prefix, root.named = next(c for c in choices if c not in taken), True

    # --------------------------------------------------------------------------- forward passes

    def _before_forward(self, root: _Root) -> Callable[..., None]:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not self._active:
                return
            self._depth["root"] += 1
            if self._depth["root"] > 1:
                return
            now = time.perf_counter()
            if not self._begun:
                self._begun, self._step_from, self._now = True, now, now
            self._forward_from = now
            import torch

            if torch.is_grad_enabled() and module.training and self._mode is None:
                one = root.optimizers[0]
                if all(p.windowed for p in one.pending) and _sampled(self._update_of(one), self._every):
                    self._mode = self._probe()
                    self._mode.__enter__()

        return hook

    def _after_forward(self, root: _Root) -> Callable[..., None]:
        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any = None) -> None:
            if not self._active:
                return
            self._depth["root"] -= 1
            if self._depth["root"]:
                return
            if self._mode is not None:
                self._mode.__exit__(None, None, None)
                self._mode = None
            if output is not None:
                shared = kwargs.get("num_items_in_batch") is not None
                self._observe(root, module, _batch(args, kwargs), output, shared)

        return hook

    def _update_of(self, one: _Optimizer) -> int:
        """Updates made so far, not yet corrected for those that the scaler skipped inside a fused kernel."""
        return _at(self._counts, one.index) + one.unresolved

    def _observe(self, root: _Root, module: Any, batch: Any, output: Any, shared: bool) -> None:
        import torch

        ids = _field(batch, "record_id")
        if isinstance(ids, str | int):
            ids = [ids]
        elif isinstance(ids, torch.Tensor):
            ids = ids.detach().reshape(-1)
        total, parts = _field(output, "loss"), _field(output, "losses")
        parts = parts if isinstance(parts, Mapping) else {}
        tokens = _field(batch, "input_ids")
        tokens = tokens if isinstance(tokens, torch.Tensor) else None
        grad = torch.is_grad_enabled()
        if ids is None and total is None and (tokens is None or not grad):
            return
        kept = {str(name): _scalar(value) for name, value in parts.items()}
        seen = _Pass(ids, _scalar(total), {k: v for k, v in kept.items() if v is not None})
        seen.shared = shared
        if grad:
            self._hook(seen, total, parts, output)
        if seen.hooks:
            with torch.no_grad():
                self._labels(seen, batch)
            seen.tokens, seen.mask = tokens, _field(batch, "attention_mask")
            for one in root.optimizers:
                one.pending.append(seen)
            if module.training:
                self._waited += max(0.0, self._forward_from - self._now)
                self._now = time.perf_counter()
                return
        # In evaluation mode or without gradients: an evaluation, unless its loss is backpropagated after all.
        if ids is not None or total is not None:
            seen.windowed, seen.modes = True, root.trains(module)
            self._window.append(seen)
        now = time.perf_counter()
        if not seen.hooks:
            self._excluded += now - self._now
        self._now = now

    def _hook(self, seen: _Pass, total: Any, parts: Mapping[Any, Any], output: Any) -> None:
        import torch

        targets = [("loss", total), *((f"losses.{name}", value) for name, value in parts.items())]
        other = output if isinstance(output, torch.Tensor) else None
        if other is None:
            for value in _values(output):
                if isinstance(value, torch.Tensor) and value.requires_grad and value is not total:
                    other = value
                    break
        targets.append(("", other))
        for name, target in targets:
            if isinstance(target, torch.Tensor) and target.requires_grad and (not name or target.numel() == 1):

                def fired(gradient: Any, name: str = name) -> None:
                    if self._active:
                        seen.reached = True
                        if name:
                            self._fired.append((seen, name, gradient.detach().reshape(())))

                target.register_hook(fired)
                seen.hooks.append(weakref.ref(fired))

    def _labels(self, seen: _Pass, batch: Any) -> None:
        import torch

        for name in _label_names(batch):
            value = _field(batch, name)
            if not isinstance(value, torch.Tensor) or value.dim() == 0 or not len(value):
                continue
            there = value.detach() != IGNORED
            counts = there.flatten(1).sum(1) if there.dim() > 1 else there.long()
            seen.labels[name] = (counts.amin(), (counts == 0).sum(), len(value))
            seen.samples = min(seen.samples, len(value))

    # -------------------------------------------------------------------------- backward passes

    def _on_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        import torch

        def scale(scaler: Any, outputs: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(scaler, outputs, *args, **kwargs)
            if isinstance(result, torch.Tensor) and scaler.is_enabled() and scaler._scale is not None:
                self._scaled = {id(result): (weakref.ref(result), scaler._scale.clone())}
            return result

        return scale

    def _on_backward(self, original: Callable[..., Any]) -> Callable[..., Any]:
        import torch

        def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            self._depth["backward"] += 1
            self._fired = self._fired if self._depth["backward"] > 1 else []
            try:
                result = original(tensors, *args, **kwargs)
            finally:
                self._depth["backward"] -= 1  # nested: Tensor.backward calls autograd.backward; checkpoints do, too
            if not self._depth["backward"]:
                targets = [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)
                given = args[0] if args else kwargs.get("gradient", kwargs.get("grad_tensors"))
                plain = given is None and len(targets) == 1 and targets[0].numel() == 1
                fired, self._fired = self._fired, []
                self._backward(targets[0] if plain else None, fired)
                self._now = time.perf_counter()
            return result

        return backward

    def _backward(self, target: Any, fired: list[tuple[_Pass, str, Any]]) -> None:
        """Pair what was backpropagated with the outputs whose losses it reached."""
        value, scale = _scalar(target) if target is not None else None, None
        if target is not None and id(target) in self._scaled:
            reference, factor = self._scaled[id(target)]
            scale = factor if reference() is target else None
        passes: dict[int, tuple[_Pass, dict[str, Any]]] = {}
        for seen, name, gradient in fired:
            passes.setdefault(id(seen), (seen, {}))[1][name] = gradient
        seen_by_any = any(e.reached and not e.consumed for one in self._optimizers for e in one.pending)
        for one in self._optimizers:
            reached = [entry for entry in one.pending if entry.reached and not entry.consumed]
            mine = [passes[id(entry)] for entry in one.pending if id(entry) in passes]
            parts: list[tuple[Any, Any]] = []
            for seen, factors in mine:
                if "loss" in factors:
                    parts.append((factors["loss"], seen.loss))
                else:
                    parts += [(f, seen.parts.get(name[7:])) for name, f in factors.items() if name[:7] == "losses."]
            if value is None:
                continue
            if parts:
                one.gaps.append(("factors", value, parts))
            elif any(entry.loss is not None for entry in reached):
                # The loss was computed anew from the outputs: compare values, allowing the accumulation divisor.
                last = [entry for entry in reached if entry.loss is not None][-1]
                one.gaps.append(("values", value, scale, last.loss, one))
            elif reached or not seen_by_any:
                one.extras.append((value, scale))

    def _on_zero_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(optimizer, *args, **kwargs)
            for one in self._optimizers:
                if one.optimizer is optimizer:
                    self._discard([one])
            self._now = time.perf_counter()
            return result

        return zero_grad

    def _on_module_zero_grad(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def zero_grad(module: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(module, *args, **kwargs)
            for root in self._roots:
                if module is root.module or module is root.inner:
                    self._discard(root.optimizers)
            self._now = time.perf_counter()
            return result

        return zero_grad

    def _discard(self, optimizers: list[_Optimizer], why: str = "discarded") -> None:
        """Gradients were thrown away: if no update used them, an update was skipped."""
        for one in optimizers:
            if one.stepping:
                continue  # a closure (LBFGS) clears and refills within one step
            lost = [seen for seen in one.pending if seen.reached and not seen.consumed]
            if lost or one.extras or why == "scaler":
                self._queue.append(("skip", one.index, why))
            one.pending = [seen for seen in one.pending if not seen.reached]
            one.extras, one.gaps = [], []

    # ----------------------------------------------------------------------- steps of all kinds

    def _on_scaler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if not scaler.is_enabled():
                return original(scaler, optimizer, *args, **kwargs)
            one = self._known(optimizer)
            steps = one.steps
            self._queue.append(("scaler", one.index))
            result = original(scaler, optimizer, *args, **kwargs)
            if one.steps == steps:
                self._discard([one], "scaler")
            return result

        return step

    def _on_load(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def load(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(optimizer, *args, **kwargs)
            self._known(optimizer).rebase = True
            return result

        return load

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._active:
            return
        one = self._known(optimizer)
        if not one.steps:
            self._first_step(one)
        elif one.rebase:
            self._rebase(one)
        one.rebase = False
        one.stepping = True
        one.lrs = [_scalar(group["lr"]) for group in optimizer.param_groups]
        one.found_inf = getattr(optimizer, "found_inf", None)
        if self._ungraded and _sampled(self._update_of(one), self._every):
            self._look_at_gradients()
            self._look_at_frozen()

    def _after_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._active:
            return
        one = self._known(optimizer)
        one.stepping = False
        self._describe_roots(one)  # a closure may have called them for the first time
        if one.steps:  # parameters outside every module called by the second update will not find a root any more
            one.uncovered = set()
        if self._unarm is not None and not any(other.uncovered for other in self._optimizers):
            self._unarm()
        reached = [seen for seen in one.pending if seen.reached]
        fresh = [seen for seen in reached if not seen.consumed]
        number = self._update_of(one)
        if fresh:
            self._tokens(fresh, _sampled(number, self._every))
        for seen in reached:
            seen.consumed = True
        gone = [seen for seen in one.pending if not seen.windowed and seen.abandoned()]
        if gone:
            self._queue.append(("abandoned", one.index, gone))
        one.pending = [
            seen for seen in one.pending if not (seen.reached or seen.windowed or any(seen is g for g in gone))
        ]
        now = time.perf_counter()
        seconds = max(0.0, now - self._step_from - self._excluded)
        row = (one.index, one.lrs, reached, fresh, one.extras, one.gaps, one.largest, one.found_inf, seconds)
        one.largest = max(one.largest, len(reached))
        self._close_window()
        self._queue.append(("update", *row, self._waited))
        one.extras, one.gaps, one.found_inf = [], [], None
        one.steps += 1
        one.unresolved += 1
        self._waited = self._excluded = 0.0
        self._now = self._step_from = now
        if now - self._flushed >= _FLUSH_SECONDS or one.unresolved >= _FLUSH_UPDATES:
            self._flush()
            self._now = self._step_from = time.perf_counter()

    def _on_scheduler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def init(scheduler: Any, *args: Any, **kwargs: Any) -> None:
            for kind in type(scheduler).__mro__:
                self._patch_scheduler(kind)
            original(scheduler, *args, **kwargs)

        return init

    def _quiet_scheduler(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*args: Any, **kwargs: Any) -> Any:
            self._depth["scheduler"] += 1
            try:
                return original(*args, **kwargs)
            finally:
                self._depth["scheduler"] -= 1

        return inner

    def _patch_scheduler(self, kind: Any) -> None:
        if "step" in vars(kind) and not any(owner is kind and name == "step" for owner, name, *_ in self._patches):
            self._patch(kind, "step", self._on_scheduler_step)

    def _on_scheduler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        quiet = self._quiet_scheduler(original)

        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            result = quiet(scheduler, *args, **kwargs)
            if not self._depth["scheduler"]:
                metric = None
                if isinstance(scheduler, ReduceLROnPlateau):
                    metric = float(args[0] if args else kwargs["metrics"])
                optimizer = getattr(scheduler, "optimizer", None)
                index = next((one.index for one in self._optimizers if one.optimizer is optimizer), 0)
                self._queue.append(("scheduler", index, metric))
                self._now = time.perf_counter()
            return result

        return step

    def _on_train(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def train(module: Any, *args: Any, **kwargs: Any) -> Any:
            if self._window and any(module is root.module or module is root.inner for root in self._roots):
                self._close_window()
            return original(module, *args, **kwargs)

        return train

    def _on_save(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def save(*args: Any, **kwargs: Any) -> Any:
            outer = not self._depth["save"]
            if outer:
                self._close_window()
                self._flush()  # before, so that no checkpoint is ahead of the journal
                self._mark()
            self._depth["save"] += 1
            try:
                return original(*args, **kwargs)
            finally:
                self._depth["save"] -= 1
                if outer:
                    now = time.perf_counter()
                    self._excluded += now - self._now
                    self._now = now

        return save

    # --------------------------------------------------------------- looking closely, sometimes

    def _tokens(self, passes: list[_Pass], sampled: bool) -> None:
        import torch

        with torch.no_grad():
            for seen in passes:
                ids = seen.tokens
                if ids is None or not ids.numel() or ids.is_floating_point():
                    continue
                flat = ids.detach().reshape(-1).long()
                if self._seen_tokens is None:
                    self._seen_tokens = torch.zeros(_TOKEN_LIMIT + 1, dtype=torch.bool, device=flat.device)
                    self._max_token = torch.full((), -1, dtype=torch.long, device=flat.device)
                flat = flat.to(self._seen_tokens.device)
                self._seen_tokens.index_fill_(0, flat.clamp(0, _TOKEN_LIMIT), True)
                self._max_token = torch.maximum(self._max_token, flat.amax())
                if sampled and ids.dim() == 2 and seen.samples and self._sample_count < _TOKEN_SAMPLES:
                    sampled = False
                    row = self._sample_count % min(seen.samples, len(ids))
                    mask = seen.mask[row].clone() if _same_shape(seen.mask, ids) else None
                    self._samples.append((seen.ids, row, ids[row].detach().clone(), mask))
                    self._sample_count += 1

    def _look_at_gradients(self) -> None:
        import torch

        names, nonzero = [], []
        with torch.no_grad():
            for name, parameter in self._ungraded.items():
                gradient = parameter.grad
                if gradient is None:
                    continue
                if gradient.layout != torch.strided:
                    gradient = (
                        gradient.coalesce().values() if gradient.layout == torch.sparse_coo else gradient.values()
                    )
                if gradient.numel():
                    names.append(name)
                    nonzero.append(torch.linalg.vector_norm(gradient.reshape(-1), ord=math.inf) != 0)
        if names:
            self._queue.append(("gradients", names, nonzero))

    def _look_at_frozen(self) -> None:
        frozen = [name for name, p in self._named("parameters").items() if not p.requires_grad]
        if frozen != self._frozen:
            self._frozen = frozen
            self._queue.append(("line", {"k": "frozen", "names": frozen}))

    def _look_at_state(self) -> None:
        """Gradients between the close looks leave a trace in the optimizer's moments, unless decay is mixed in."""
        import torch

        names, nonzero = [], []
        groups = {
            id(p): (one.optimizer, group)
            for one in self._optimizers for group in one.optimizer.param_groups for p in group["params"]
        }  # fmt: skip
        for name, parameter in self._ungraded.items():
            optimizer, group = groups.get(id(parameter), (None, {}))
            kind = type(optimizer)
            is_known = "AdamW" in kind.__name__ or kind is getattr(torch.optim, "Muon", None)
            decoupled = group.get("decoupled_weight_decay") or is_known
            if optimizer is None or (group.get("weight_decay") and not decoupled):
                continue
            state = optimizer.state.get(parameter, {})
            for key in ("exp_avg", "momentum_buffer"):
                moment = state.get(key)
                if moment is not None and moment.shape == parameter.shape and moment.numel():
                    names.append(name)
                    nonzero.append((moment != 0).any())
        if names:
            self._queue.append(("gradients", names, nonzero))

    # ----------------------------------------------------------------------- starts and resumes

    def _first_step(self, one: _Optimizer) -> None:
        if not self._resolved:
            self._resolve()
        elif not self._earlier:  # an optimizer state from elsewhere may count from more than zero
            self._count(one.index, one.counter() or 0)
        self._describe_roots(one)

    def _describe_roots(self, one: _Optimizer) -> None:
        """Name the roots found since the last time and write down what they were before the first update."""
        new = [root for root in self._roots if not root.named]
        if not new:
            return
        self._name_roots()
        fresh = self._saved_initial or not self._update_of(one)  # what comes late had no gradient before
        if fresh or not (self.out / "initial.safetensors").exists():
            self._save_initial(fresh)
        for root in new:
            root.initial = {}
        graded = {n for e in self._effective("gradients") for n in e["names"]}
        everything = self._named("parameters")
        self._ungraded = {n: p for n, p in everything.items() if n not in graded}
        self._parameters()
        self._still = set(everything)
        self._frozen = None
        self._look_at_frozen()

    def _effective(self, kind: str) -> list[dict[str, Any]]:
        assert self._journal is not None
        return [line for _, line in self._journal.effective() if line["k"] == kind]

    def _resolve(self) -> None:
        """Decide which update this process went on from (class docstring)."""
        assert self._journal is not None
        self._flush()
        self._resolved = True
        counters = [one.counter() for one in self._optimizers]
        keep, base = self._checkpoint(counters)
        if base is None:
            base = [count or 0 for count in counters]
            keep = None if any(base) else -1
        self._cut("segment", keep, base)

    def _rebase(self, one: _Optimizer) -> None:
        """The subject loaded an optimizer state in mid-run: go back to where that state was."""
        self._flush()
        counter = one.counter()
        if counter == _at(self._counts, one.index):
            return
        keep, base = self._checkpoint([o.counter() for o in self._optimizers])
        if base is None:
            if counter is None:
                return
            base = list(self._counts)
            base[one.index] = counter
        self._cut("all", keep, base)

    def _checkpoint(self, counters: list[int | None]) -> tuple[int | None, list[int] | None]:
        """The last moment of writing a file whose weights are those of now, or whose counts are the counters'."""
        assert self._journal is not None
        marks = [(place, line) for place, line in self._journal.effective() if line["k"] == "saved"]
        agreeing = [
            (place, line) for place, line in marks
            if all(c is None or c == _at(line["at"], i) for i, c in enumerate(counters))
        ]  # fmt: skip
        weights = self._fingerprint()
        for place, line in reversed(agreeing):
            if line["weights"] == weights:
                return place, line["at"]
        if any(counter is not None for counter in counters) and agreeing:
            return agreeing[-1][0], agreeing[-1][1]["at"]
        return None, None

    def _cut(self, scope: str, keep: int | None, base: list[int]) -> None:
        assert self._journal is not None
        self._journal.append({"k": "resume", "scope": scope, "keep": keep, "base": base})
        self._counts = list(base)
        earlier = [line for _, line in self._journal.effective()]
        self._skipped = sum(line["k"] == "skip" for line in earlier)
        self._sample_count = sum(len(line["samples"]) for line in earlier if line["k"] == "tokens")
        if scope == "all":  # what was first seen after the checkpoint may have been dropped: see it again
            self._seen_records, self._known_tokens = set(), None
            self._still = set(self._named("parameters"))
            if self._seen_tokens is not None:
                self._seen_tokens.zero_()
            graded = {n for line in earlier if line["k"] == "gradients" for n in line["names"]}
            self._ungraded = {n: p for n, p in self._named("parameters").items() if n not in graded}

    def _mark(self) -> None:
        if self._begun and self._roots:
            assert self._journal is not None
            at = list(self._counts)
            initial = self.out / "initial.safetensors"
            if self._still and any(at) and initial.exists():
                unmoved = self._unmoved(initial, self._still)
                self._journal.append({"k": "moved", "at": at, "names": sorted(self._still - unmoved)})
                self._still = unmoved
            self._journal.append({"k": "saved", "at": at, "weights": self._fingerprint()})

    def _fingerprint(self) -> str:
        """Digest of up to 16 spread-out values of every trainable parameter: tells checkpoints apart, cheaply."""
        import torch

        pieces = []
        with torch.no_grad():
            for root in self._roots:
                for parameter in root.inner.parameters():
                    if parameter.requires_grad and parameter.numel():
                        flat = parameter.detach().reshape(-1)
                        pieces.append(flat[:: max(1, flat.numel() // 16)][:16].double().cpu())
        return _digest(torch.cat(pieces).numpy().tobytes()) if pieces else ""

    def _save_initial(self, fresh: bool) -> None:
        """Write down what the roots were before the first update; a root that came late is added."""
        from safetensors.torch import load_file, save_file

        for root in self._roots:
            if any(type(p).__name__.startswith("Uninitialized") for p in root.initial.values()):
                root.initial = _weights(root)
        target = self.out / "initial.safetensors"
        tensors = self._named("initial")
        if self._saved_initial or any(self._counts):
            tensors = {**(load_file(target) if target.exists() else {}), **tensors}
        self._saved_initial = True
        partial = target.with_suffix(".tmp")
        self._depth["save"] += 1
        try:
            save_file(tensors, partial)
        finally:
            self._depth["save"] -= 1
        os.replace(partial, target)
        weights = hashlib.sha256()
        for name in sorted(tensors):
            weights.update(name.encode())
            weights.update(_bytes(tensors[name]))
        seeds = {**self._seeds, "weights": weights.hexdigest(), "from_initialisation": fresh}
        self._queue.append(("line", {"k": "seeds", **seeds}))
        self._queue.append(("line", {"k": "tied", "names": _tied(self._roots)}))

    # -------------------------------------------------------------------------- writing it down

    def _count(self, index: int, value: int) -> None:
        self._counts.extend([0] * (index + 1 - len(self._counts)))
        self._counts[index] = value

    def _close_window(self) -> None:
        window = [seen for seen in self._window if not seen.reached]
        self._window = []
        if window:
            self._queue.append(("evaluation", window))

    def _flush(self) -> None:
        """Resolve what is queued, in order, and append it to the journal. The only place that waits for a device."""
        assert self._journal is not None
        queue, self._queue = self._queue, []
        fetch = _Fetch()
        handlers = [(entry, self._promise(fetch, entry)) for entry in queue]
        self._flush_tokens(fetch, handlers)
        fetch.run()
        lines: list[dict[str, Any]] = []
        for one in self._optimizers:
            one.unresolved = 0
        for _, finish in handlers:
            lines += finish()
        if self._dtypes:
            lines.append({"k": "dtypes", "at": list(self._counts), "counts": dict(self._dtypes)})
            self._dtypes.clear()
        now = time.perf_counter()
        clock = {"k": "clock", "segment": self._segment, "wall": now - self._start, "peak": _peak_memory(self._roots)}
        self._journal.append(*lines, clock)
        self._flushed = now
        if self._on_progress is not None:
            self._on_progress(
                {
                    "updates": sum(self._counts),
                    "skipped": self._skipped,
                    "loss": self._last_loss,
                    "seconds": now - self._start,
                }
            )

    def _promise(self, fetch: _Fetch, entry: tuple[Any, ...]) -> Callable[[], list[dict[str, Any]]]:
        """Ask for the tensors of an entry now; the function returned makes its lines once they are here."""
        kind = entry[0]
        if kind == "update":
            return self._promise_update(fetch, *entry[1:])
        if kind in ("evaluation", "abandoned"):
            return self._promise_passes(fetch, entry)
        if kind == "gradients":
            flags = [fetch.add(flag) for flag in entry[2]]

            def gradients() -> list[dict[str, Any]]:
                found = [n for n, flag in zip(entry[1], flags, strict=True) if flag() and n in self._ungraded]
                for name in found:
                    del self._ungraded[name]
                return [{"k": "gradients", "at": list(self._counts), "names": found}] if found else []

            return gradients

        def event() -> list[dict[str, Any]]:
            if kind == "line":
                return [{**entry[1], "at": list(self._counts)}]
            self._skipped += kind == "skip"
            line = {"k": kind, "o": entry[1], "at": list(self._counts)}
            if kind == "skip":
                line["why"] = entry[2]
            elif kind == "scheduler":
                line["metric"] = entry[2]
            return [line]

        return event

    def _promise_update(
        self, fetch: _Fetch, index: int, lrs: list[Any], reached: list[_Pass], fresh: list[_Pass], extras: list[Any],
        gaps: list[tuple[Any, ...]], largest: int, found_inf: Any, seconds: float, waited: float,
    ) -> Callable[[], list[dict[str, Any]]]:  # fmt: skip
        infinite = fetch.add(found_inf if found_inf is None else found_inf.detach().reshape(()))
        rates = [fetch.add(rate) for rate in lrs]
        losses = [(fetch.add(seen.loss), {n: fetch.add(v) for n, v in seen.parts.items()}) for seen in reached]
        anew = [(fetch.add(value), fetch.add(1.0 if scale is None else scale)) for value, scale in extras]
        labels = [
            (name, fetch.add(least), fetch.add(empty), samples)
            for seen in fresh for name, (least, empty, samples) in seen.labels.items()
        ]  # fmt: skip
        checks: list[tuple[Any, ...]] = []
        for gap in gaps:
            if gap[0] == "factors":
                checks.append((fetch.add(gap[1]), [(fetch.add(f), fetch.add(v)) for f, v in gap[2]]))
            else:
                checks.append((fetch.add(gap[1]), fetch.add(1.0 if gap[2] is None else gap[2]), fetch.add(gap[3])))

        def update() -> list[dict[str, Any]]:
            if found_inf is not None and infinite():
                self._skipped += 1
                return [{"k": "skip", "o": index, "at": list(self._counts), "why": "scaler"}]
            number = _at(self._counts, index) + 1
            self._count(index, number)
            with_loss = [
                (total(), {n: part() for n, part in parts.items()})
                for (total, parts), seen in zip(losses, reached, strict=True)
                if seen.loss is not None
            ]
            divisor = 1 if any(seen.shared for seen in reached) else len(with_loss)
            if with_loss:
                loss = sum(total for total, _ in with_loss) / divisor
            else:
                loss = sum(value() / scale() for value, scale in anew) if anew else math.nan
            parts: dict[str, float] = {}
            for _, one in with_loss:
                for name, part in one.items():
                    parts[name] = parts.get(name, 0.0) + part / divisor
            backward = []
            for check in checks:
                if len(check) == 2:
                    backward.append(_gap(check[0](), [factor() * value() for factor, value in check[1]]))
                else:
                    value = check[0]() / check[1]()
                    backward.append(min(_gap(value * d, [check[2]()]) for d in {1, len(reached) or 1, largest}))
            counts: dict[str, list[int]] = {}
            for name, least, empty, samples in labels:
                seen = counts.setdefault(name, [int(least()), 0, 0])
                counts[name] = [min(seen[0], int(least())), seen[1] + int(empty()), seen[2] + samples]
            new: list[str | int] = []
            for one_pass in fresh:
                for one_id in one_pass.record_ids():
                    if one_id not in self._seen_records:
                        self._seen_records.add(one_id)
                        new.append(one_id)
            self._last_loss = loss
            row: dict[str, Any] = {"k": "update", "o": index, "u": number, "at": list(self._counts)}
            row.update(loss=loss, parts=parts, lrs=[rate() for rate in rates], labels=counts, new=new)
            row["totals_gap"] = _largest(_gap(total, one.values()) for total, one in with_loss if one)
            row["backward_gap"] = _largest(backward)
            row["records"] = sum(seen.samples for seen in reached)
            widths = {seen.tokens.shape[-1] for seen in fresh if seen.tokens is not None and seen.tokens.dim()}
            row.update(widths=sorted(widths), seconds=seconds, data=waited)
            return [row]

        return update

    def _promise_passes(self, fetch: _Fetch, entry: tuple[Any, ...]) -> Callable[[], list[dict[str, Any]]]:
        kind, passes = entry[0], entry[-1]
        values = [(fetch.add(seen.loss), {n: fetch.add(v) for n, v in seen.parts.items()}) for seen in passes]

        def evaluation() -> list[dict[str, Any]]:
            lines: list[dict[str, Any]] = []
            chosen = list(range(len(passes)))
            if kind == "abandoned":  # trained on no more: a step skipped for its loss, or an evaluation in disguise
                wrong = [i for i in chosen if passes[i].loss is not None and not math.isfinite(values[i][0]())]
                self._skipped += len(wrong)
                lines += [
                    {"k": "skip", "o": entry[1], "at": list(self._counts), "why": "non-finite loss"} for _ in wrong
                ]
                chosen = [i for i in chosen if i not in wrong and passes[i].loss is not None]
            if not chosen:
                return lines
            sizes = [max(1, passes[i].samples) for i in chosen]
            mean = _weighted([values[i][0]() for i in chosen], sizes)
            names = dict.fromkeys(name for i in chosen for name in values[i][1])
            parts = {
                name: _weighted([values[i][1][name]() if name in values[i][1] else 0.0 for i in chosen], sizes)
                for name in names
            }
            ids = [one for i in chosen for one in passes[i].record_ids()]
            line = {"k": "evaluation", "at": list(self._counts), "loss": mean, "components": parts}
            line["training_mode"] = any(passes[i].modes for i in chosen)
            line.update(records=len(ids), records_digest=records_digest(ids))
            return [*lines, line]

        return evaluation

    def _flush_tokens(self, fetch: _Fetch, handlers: list[tuple[Any, Callable[[], list[dict[str, Any]]]]]) -> None:
        if self._seen_tokens is None:
            return
        seen = self._seen_tokens.cpu()
        new = seen if self._known_tokens is None else seen & ~self._known_tokens
        ids = new.nonzero().reshape(-1).tolist()
        samples, self._samples = self._samples, []
        if not ids and not samples:
            return
        self._known_tokens = seen.clone()
        highest = fetch.add(self._max_token)

        def tokens() -> list[dict[str, Any]]:
            rows = []
            for record_ids, row, one, mask in samples:
                values = one.tolist() if mask is None else one[mask.bool()].tolist()
                record = record_ids[row]
                rows.append([record if isinstance(record, str) else int(record), values[:64]])
            return [{"k": "tokens", "at": list(self._counts), "ids": ids, "max": int(highest()), "samples": rows}]

        handlers.append((("tokens",), tokens))

    def _parameters(self) -> None:
        found = self._named("parameters")
        counted = sum(p.numel() for p in found.values())
        trainable = sum(p.numel() for p in found.values() if p.requires_grad)
        line = {"k": "parameters", "counted": counted, "trainable": trainable, "names": list(found)}
        self._queue.append(("line", line))

    def _finish(self, clean: bool) -> None:
        assert self._journal is not None
        for one in self._optimizers if clean else ():
            gone = [seen for seen in one.pending if not seen.reached and not seen.windowed]
            if gone:
                self._queue.append(("abandoned", one.index, gone))
        self._close_window()
        if self._ungraded:
            self._look_at_gradients()
            self._look_at_state()
        self._name_roots()
        if self._roots and not self._saved_initial and not self._earlier:
            self._save_initial(True)
        initial = self.out / "initial.safetensors"
        if self._roots and initial.exists():
            self._parameters()
            names = self._unmoved(initial, set(self._named("parameters")))
            self._queue.append(("line", {"k": "unmoved", "names": sorted(names)}))
        self._flush()
        if initial.exists():
            self._untie(initial)
        target = self.out / "flight.json"
        partial = target.with_suffix(".tmp")
        partial.write_text(json.dumps(_assembled([line for _, line in self._journal.effective()])))
        os.replace(partial, target)

    def _unmoved(self, initial: Path, among: set[str]) -> set[str]:
        """Names of parameters that are now, bit for bit, what they were at initialisation."""
        import torch
        from safetensors import safe_open

        unmoved = set()
        with safe_open(initial, framework="pt") as before, torch.no_grad():
            known = among & set(before.keys())
            for name, parameter in self._named("parameters").items():
                if name in known:
                    old, new = before.get_tensor(name), parameter.detach().cpu()
                    if old.shape == new.shape and torch.equal(old.to(new.dtype), new):
                        unmoved.add(name)
        return unmoved

    def _untie(self, initial: Path) -> None:
        """Drop names of shared tensors that the final weights leave out: both files then hold the same names."""
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file, save_file

        others = [p for p in self.out.glob("*.safetensors") if p.name != initial.name]
        tied = {name: of for line in self._effective("tied") for name, of in line["names"].items()}
        if len(others) != 1 or not tied:
            return
        try:
            with safe_open(others[0], framework="pt") as final:
                names = set(final.keys())
        except (OSError, SafetensorError):
            return  # whoever loads these weights will say what is wrong with them
        missing = {name for group in _groups(tied) if group & names for name in group - names}
        if missing:
            tensors = {name: t for name, t in load_file(initial).items() if name not in missing}
            partial = initial.with_suffix(".tmp")
            save_file(tensors, partial)
            os.replace(partial, initial)


# -------------------------------------------------------------------------------- small pieces


def _weighted(values: list[float], sizes: list[int]) -> float:
    return sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)


def _values(output: Any) -> Iterable[Any]:
    if isinstance(output, Mapping):
        return output.values()
    if isinstance(output, tuple | list):
        return output
    return list(getattr(output, "__dict__", {}).values())


def _same_shape(mask: Any, ids: Any) -> bool:
    return bool(getattr(mask, "shape", None) == ids.shape)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _bytes(tensor: Any) -> bytes:
    import torch

    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""


def _generator_states() -> dict[str, Any]:
    import torch

    states = {
        "torch": int(torch.initial_seed()),
        "torch_state": _digest(torch.get_rng_state().numpy().tobytes()),
        "python_state": _digest(repr(random.getstate()).encode()),
    }
    if "numpy" in sys.modules:
        states["numpy_state"] = _digest(repr(sys.modules["numpy"].random.get_state(legacy=False)).encode())
    return states


def _weights(root: _Root) -> dict[str, Any]:
    """A copy of the root's state on the host; parameters without a shape yet stay as they are."""
    import torch

    found = {}
    with torch.no_grad():
        for name, tensor in root.inner.state_dict().items():
            if not isinstance(tensor, torch.Tensor):
                continue
            lazy = type(tensor).__name__.startswith("Uninitialized")
            found[name] = tensor if lazy else tensor.detach().to("cpu", copy=True).contiguous()
    return found


def _tied(roots: list[_Root]) -> dict[str, str]:
    """Name -> first name of the same tensor."""
    first: dict[tuple[Any, ...], str] = {}
    tied: dict[str, str] = {}
    for root in roots:
        for name, tensor in root.inner.state_dict(keep_vars=True).items():
            if hasattr(tensor, "data_ptr") and tensor.numel():
                key = (tensor.data_ptr(), tuple(tensor.shape), str(tensor.device))
                if key in first:
                    tied[root.prefix + _plain_name(name)] = first[key]
                else:
                    first[key] = root.prefix + _plain_name(name)
    return tied


def _groups(tied: Mapping[str, str]) -> list[set[str]]:
    groups: dict[str, set[str]] = {}
    for name, of in tied.items():
        groups.setdefault(of, {of}).add(name)
    return list(groups.values())


def _peak_memory(roots: list[_Root]) -> int:
    """Bytes at the highest point: of the accelerator where a root lives on one, else resident memory."""
    import torch

    for root in roots:
        parameter = next(iter(root.inner.parameters()), None)
        if parameter is not None and parameter.is_cuda:
            return int(torch.cuda.max_memory_allocated(parameter.device))
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):  # unlike ru_maxrss it does not inherit the parent's peak
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _dtype_probe(counts: dict[str, int]) -> Callable[[], Any]:
    """A maker of dispatch modes that count matrix products by the dtype of their first factor."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Probe(TorchDispatchMode):  # type: ignore[misc]
        supports_higher_order_operators = True

        @classmethod
        def ignore_compile_internals(cls) -> bool:
            return True  # compiled code runs as compiled; its library calls are seen

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = getattr(func, "__name__", "").partition(".")[0]
            if name in _MATRIX_PRODUCTS or name.startswith(_ATTENTION):
                factor = args[_FIRST_FACTOR.get(name, 0)] if args else None
                if isinstance(factor, torch.Tensor):
                    dtype = str(factor.dtype).removeprefix("torch.")
                    counts[dtype] = counts.get(dtype, 0) + 1
            return func(*args, **(kwargs or {}))

    return Probe
