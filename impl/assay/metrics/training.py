"""What the flight recorder saw of a training run, held against what the specification declares.

Pure functions of the record (a mapping, see `assay.recorder.FlightRecord`) and of `declared`. What was not seen is an
error with the way out, never a zero that would read as "nothing wrong".
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from assay.errors import MetricError
from assay.metrics.metric import InvalidPredictionsError, Metric, UndefinedMetricError
from assay.metrics.registry import register

Record = Mapping[str, Any]
Declared = Mapping[str, Any]

_MISSING = object()
_DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "fp64": "float64"}


def _seen(flight: Record, name: str) -> Any:
    """One entry of the record."""
    if name not in flight:
        raise InvalidPredictionsError(f'the flight record has no "{name}": training was not observed, train again')
    return flight[name]


def _declared(declared: Declared | None, name: str, default: Any = _MISSING) -> Any:
    """What was declared: given by the acceptance test, or else a key of the profile."""
    table = declared or {}
    if name in table:
        return table[name]
    profile = table.get("profile") or {}
    if name in profile:
        return profile[name]
    if default is _MISSING:
        raise MetricError(
            f'"{name}" is declared nowhere: it is no key of the profile, and judge(..., declared={{"{name}": ...}}) '
            "does not give it"
        )
    return default


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidPredictionsError(f"{what} was not seen ({value!r})")
    return float(value)


def _count(value: Any) -> int:
    """A number of things given as the number or as the things."""
    return len(value) if isinstance(value, Sequence) and not isinstance(value, str) else int(value)


# ------------------------------------------------------------------------------ losses and updates


def finite(flight: Record, declared: Declared | None = None) -> float:
    """Number of losses (totals and components, of updates and evaluations) that are not finite, plus skipped updates.

    Reads: losses, components, skipped_updates, evaluations.
    """
    losses = list(_seen(flight, "losses"))
    if not losses:
        raise InvalidPredictionsError("the flight record holds no loss: the root's output carries none")
    values = [*losses, *(one["loss"] for one in flight.get("evaluations", []))]
    for parts in flight.get("components", {}).values():
        values += [part for part in parts if part is not None]
    bad = sum(1 for value in values if value is None or not math.isfinite(value))
    return float(bad + int(_seen(flight, "skipped_updates")))


def updates(flight: Record, declared: Declared | None = None) -> float:
    """Optimizer updates made / declared; 1 is right.

    Declared: `updates`; or `epochs`, `batch_size` and `records` (and `accumulation` = 1, `drop_last` = false), with
    `stop_patience` for early stopping: then training must have ended at the evaluation at which that many evaluations
    in a row had not improved, replayed on the losses that the scheduler was given or else that evaluations had.
    `chosen_from` (0) is the update after which evaluations begin to count for that.
    """
    made = int(_seen(flight, "updates"))
    total = _declared(declared, "updates", None)
    if total is None:
        per_epoch = _count(_declared(declared, "records")) / int(_declared(declared, "batch_size"))
        whole = math.floor(per_epoch) if _declared(declared, "drop_last", False) else math.ceil(per_epoch)
        steps = math.ceil(whole / int(_declared(declared, "accumulation", 1)))
        total = int(_declared(declared, "epochs")) * steps
    total = int(total)
    if total < 1:
        raise UndefinedMetricError(f"{total} updates are declared")
    patience = _declared(declared, "stop_patience", None)
    if patience is not None:
        after = int(_declared(declared, "chosen_from", 0))
        counted = [(update, loss) for update, loss in _dev_losses(flight) if not after or update > after]
        total = min(total, _stopped(counted, int(patience)) or total)
    return made / total


def _dev_losses(flight: Record) -> list[tuple[int, float]]:
    """(update, loss) of every evaluation, as the scheduler was told or else as observed."""
    told = [(int(update), float(value)) for update, value in flight.get("scheduler_metrics", [])]
    return told or [(int(one["update"]), float(one["loss"])) for one in flight.get("evaluations", [])]


def _stopped(losses: Iterable[tuple[int, float]], patience: int) -> int | None:
    """The update at which early stopping ends the run; None when it does not."""
    best, stale = math.inf, 0
    for update, loss in losses:
        best, stale = (loss, 0) if loss < best else (best, stale + 1)
        if stale >= patience:
            return update
    return None


# ------------------------------------------------------------------------------ learning rates


def schedule(flight: Record, declared: Declared | None = None) -> float:
    """Largest deviation of a learning rate from its closed form, over updates and parameter groups, relative to the
    group's peak rate.

    Declared: `learning_rate` (one, or one per group) and `schedule`:

    - "constant": the peak rate, after `warmup_updates` (0) of linear warm-up;
    - "linear", "cosine": warm-up, then to `minimum_rate` (0; a share of the peak) at `total_updates` (default: the
      updates made) - linearly, or along half a cosine (Loshchilov & Hutter 2017, eq. 5, one cycle);
    - "plateau": warm-up, times ReduceLROnPlateau (`plateau_factor`, `plateau_patience`, `plateau_threshold` 1e-4
      relative, `plateau_cooldown` 0, `plateau_minimum` 0) replayed on the dev losses that were given to it.

    Update u = 0, 1, ... of the warm-up has the share (u + `warmup_offset`) / warmup_updates; offset 0 (default) is
    transformers' convention, with a first rate of 0; 1 starts one step up.
    """
    seen = [list(map(float, rates)) for rates in _seen(flight, "lrs")]
    if not seen or not seen[0]:
        raise InvalidPredictionsError("the flight record holds no learning rate: no optimizer update was seen")
    groups = len(seen[0])
    rates = _declared(declared, "learning_rate")
    peaks = [float(one) for one in rates] if isinstance(rates, Sequence) else [float(rates)] * groups
    if len(peaks) != groups:
        raise MetricError(f"{len(peaks)} learning rates are declared, the optimizer has {groups} parameter groups")
    shapes = [_shape(flight, declared, len(seen), peak) for peak in peaks]
    worst = 0.0
    for update, row in enumerate(seen):
        if len(row) != groups:
            raise InvalidPredictionsError(f"update {update}: {len(row)} learning rates, {groups} before")
        for rate, peak, shape in zip(row, peaks, shapes, strict=True):
            gap = abs(rate - peak * shape[update]) / (abs(peak) or 1.0)
            worst = max(worst, gap if math.isfinite(gap) else math.inf)
    return worst


def _shape(flight: Record, declared: Declared | None, made: int, peak: float) -> list[float]:
    """(updates,) rate / peak."""
    kind = _declared(declared, "schedule")
    warmup = int(_declared(declared, "warmup_updates", 0))
    offset = int(_declared(declared, "warmup_offset", 0))
    total = int(_declared(declared, "total_updates", made))
    floor = float(_declared(declared, "minimum_rate", 0.0))
    rising = [min(1.0, (u + offset) / warmup) if u < warmup else 1.0 for u in range(made)]
    if kind == "constant":
        return rising
    if kind == "plateau":
        return [a * b for a, b in zip(rising, _plateau(flight, declared, made, peak), strict=True)]
    if kind not in ("linear", "cosine"):
        raise MetricError(f'schedule "{kind}" is not known: constant, linear, cosine or plateau')
    if total <= warmup:
        raise MetricError(f"a warm-up of {warmup} updates leaves none of {total} for the {kind} schedule")
    result = []
    for u in range(made):
        done = min(1.0, max(0.0, (u + offset - warmup) / (total - warmup)))
        share = 1 - done if kind == "linear" else (1 + math.cos(math.pi * done)) / 2
        result.append(rising[u] if u < warmup else floor + (1 - floor) * share)
    return result


def _plateau(flight: Record, declared: Declared | None, made: int, peak: float) -> list[float]:
    """(updates,) rate / peak of ReduceLROnPlateau, mode min, replayed on the recorded (update, dev loss)."""
    factor = float(_declared(declared, "plateau_factor"))
    patience = int(_declared(declared, "plateau_patience"))
    threshold = float(_declared(declared, "plateau_threshold", 1e-4))
    cooldown = int(_declared(declared, "plateau_cooldown", 0))
    minimum = float(_declared(declared, "plateau_minimum", 0.0))
    told = [(int(update), float(value)) for update, value in _seen(flight, "scheduler_metrics")]
    if not told:
        raise InvalidPredictionsError("ReduceLROnPlateau is declared and was never given a dev loss")
    result, rate = [], peak
    best, bad, waiting, place = math.inf, 0, 0, 0
    for u in range(made):
        while place < len(told) and told[place][0] <= u:
            value = told[place][1]
            place += 1
            if value < best * (1 - threshold) if math.isfinite(best) else value < best:
                best, bad = value, 0
            else:
                bad += 1
            if waiting > 0:
                waiting, bad = waiting - 1, 0
            if bad > patience:
                lowered = max(rate * factor, minimum)
                rate = lowered if rate - lowered > 1e-8 else rate
                waiting, bad = cooldown, 0
        result.append(rate / peak)
    return result


# ------------------------------------------------------------------------------ parameters, data, labels


def parameters(flight: Record, declared: Declared | None = None) -> float:
    """Number of faults: parameters without gradient or movement that are not declared `frozen`, plus the difference
    between the count observed and that of the weights file (declared `parameters`).

    `frozen` (names or prefixes ending in ".") defaults to none.
    """
    seen = _seen(flight, "parameters")
    counted = int(seen["counted"])
    if counted < 1:
        raise InvalidPredictionsError("no parameter was seen: the root module was not observed")
    frozen = tuple(_declared(declared, "frozen", ()))
    idle = {*seen["without_gradient"], *seen["never_moved"], *seen.get("frozen", ())}
    loose = [
        name for name in idle
        if not any(name == one or (one.endswith(".") and name.startswith(one)) for one in frozen)
    ]  # fmt: skip
    return float(len(loose) + abs(counted - int(_declared(declared, "parameters"))))


def records(flight: Record, declared: Declared | None = None) -> float:
    """Distinct training records that reached a loss / records available, in [0, 1].

    Declared: `records`, the ids of the training split (or their number). A record from anywhere else is a leak and an
    error.
    """
    seen = {str(one) for one in _seen(flight, "records")}
    if not seen:
        raise InvalidPredictionsError('no batch said which records it holds: give batches a "record_id"')
    available = _declared(declared, "records")
    total = _count(available)
    if total < 1:
        raise UndefinedMetricError("the training split has no records")
    if isinstance(available, Sequence):
        known = {str(one) for one in available}
        total = len(known)
        foreign = sorted(seen - known)
        if foreign:
            named = ", ".join(foreign[:3])
            told = f"{len(foreign):,} records reached a loss that are not in the training split: {named}"
            raise MetricError(told, check="records-unknown")
    elif len(seen) > total:
        told = f"{len(seen):,} distinct records reached a loss, the training split has {total:,}"
        raise MetricError(told, check="records-unknown")
    return len(seen) / total


def tokens(flight: Record, declared: Declared | None = None) -> float:
    """Distinct token ids that reached a loss / entries of the `vocabulary` (its size is declared), in [0, 1].

    An id at or above the vocabulary's size is an error: the model was fed by another vocabulary.
    """
    seen = _seen(flight, "token_ids")
    size = _count(_declared(declared, "vocabulary"))
    if int(seen["distinct"]) < 1 or size < 1:
        raise InvalidPredictionsError("no token id was seen in a loss")
    if int(seen["max"]) >= size:
        raise MetricError(f"token id {int(seen['max'])} reached a loss, the vocabulary has {size:,} entries")
    return int(seen["distinct"]) / size


def labels(flight: Record, declared: Declared | None = None) -> float:
    """Number of (sample, loss) cases without a label, over all losses that have label tensors.

    `active_labels` (names) restricts it to losses that every sample must take part in. A declared name that was never
    seen is an error.
    """
    seen = _seen(flight, "label_counts")
    names = list(_declared(declared, "active_labels", seen.keys()))
    absent = [name for name in names if name not in seen]
    if absent or not names:
        told = f"labels {', '.join(absent)} were" if absent else "no label tensor was"
        raise InvalidPredictionsError(f"{told} never seen in a training batch")
    empty = 0
    for name in names:
        counts = seen[name]
        if int(counts["samples"]) < 1:
            raise InvalidPredictionsError(f"labels {name}: no sample was seen")
        empty += int(counts.get("empty", 1 if int(counts["min"]) < 1 else 0))
    return float(empty)


def components(flight: Record, declared: Declared | None = None) -> float:
    """Largest relative gap between the loss and the sum of its components, and between what was backpropagated and
    the loss (`totals_gap`, `backward_gap` of the record).
    """
    if not flight.get("components"):
        raise InvalidPredictionsError("the loss has no components in the record: the root's output carries no losses")
    gaps = [_finite(_seen(flight, "totals_gap"), "the gap between loss and components")]
    if "backward_gap" in flight:
        gaps.append(_finite(flight["backward_gap"], "the tensor that was backpropagated"))
    return max(map(abs, gaps))


# ------------------------------------------------------------------------------ evaluation


def digest(ids: Iterable[Any], times: int = 1) -> str:
    """SHA-256 of record ids as text, sorted, each `times` times: what the recorder keeps of an evaluation."""
    every = sorted(str(one) for one in ids for _ in range(times))
    return hashlib.sha256("\n".join(every).encode()).hexdigest()


def evaluation(flight: Record, declared: Declared | None = None) -> float:
    """Number of faults of the evaluations during training.

    A fault each: an evaluation with a module in training mode; one that is not of the whole dev split, each record
    equally often (declared `dev_records`, ids); a dev record that is also in `test_records` (declared, may be empty).
    """
    seen = _seen(flight, "evaluations")
    if not seen:
        raise InvalidPredictionsError(
            "no evaluation was observed: evaluate the root module on the dev split in eval mode"
        )
    dev = [str(one) for one in _declared(declared, "dev_records")]
    if not dev:
        raise UndefinedMetricError("the dev split has no records")
    faults = len(set(dev) & {str(one) for one in _declared(declared, "test_records")})
    whole: dict[int, str] = {}
    for one in seen:
        times, rest = divmod(int(one["records"]), len(dev))
        if times and not rest and times not in whole:
            whole[times] = digest(dev, times)
        faults += bool(one["training_mode"])
        faults += bool(rest) or whole.get(times) != one["records_digest"]
    return float(faults)


def learns(flight: Record, declared: Declared | None = None, *, component: str = "") -> float:
    """Dev loss at the chosen step / dev loss before the first update, or that of a constant predictor if it is lower.

    With `component`, the same for one component of the loss, at the step that was chosen by the whole loss.

    Declared: `chosen`, "best" or "last" (default "best" where `stop_patience` is declared, else "last");
    `chosen_from` (0), the update after which a step can be chosen, where what came before is never kept;
    `constant_loss` (optional), the dev loss of the best constant predictor, and `constant_losses` by component.
    """
    seen = _seen(flight, "evaluations")
    first = [one for one in seen if int(one["update"]) == 0]
    later = [one for one in seen if int(one["update"]) > 0]
    if not first:
        raise InvalidPredictionsError("no evaluation before the first update was seen: evaluate once at initialisation")
    if not later:
        raise InvalidPredictionsError("no evaluation after an update was seen")
    what = f'the dev loss "{component}"' if component else "the dev loss"
    start = _finite(_loss(first[0], component), f"{what} at initialisation")
    constants = _declared(declared, "constant_losses", {})
    constant = constants.get(component) if component else _declared(declared, "constant_loss", None)
    reference = start if constant is None else min(start, _finite(constant, "the constant predictor's loss"))
    if reference <= 0:
        raise UndefinedMetricError(f"{what} to improve on is {reference:g}: a ratio needs a positive one")
    default = "last" if _declared(declared, "stop_patience", None) is None else "best"
    chosen = _declared(declared, "chosen", default)
    if chosen not in ("best", "last"):
        raise MetricError(f'chosen = "{chosen}" is not "best" or "last"')
    if not all(math.isfinite(float(one["loss"])) for one in later):
        raise InvalidPredictionsError("a dev loss is not finite")
    after = int(_declared(declared, "chosen_from", 0))
    kept = [one for one in later if int(one["update"]) > after]
    if not kept:
        raise InvalidPredictionsError(f"no evaluation was seen after update {after}, and none before can be chosen")
    step = min(kept, key=lambda one: float(one["loss"])) if chosen == "best" else kept[-1]
    return _finite(_loss(step, component), what) / reference


def _loss(evaluation: Record, component: str) -> Any:
    if not component:
        return evaluation["loss"]
    parts = evaluation.get("components", {})
    if component not in parts:
        raise MetricError(f'no loss component "{component}" was seen; known: {", ".join(parts) or "none"}')
    return parts[component]


def precision(flight: Record, declared: Declared | None = None) -> float:
    """Share of the matrix products seen that were computed in the declared `precision` (bf16, fp16, fp32, fp64)."""
    seen = {str(name): int(count) for name, count in _seen(flight, "dtypes").items()}
    wanted = str(_declared(declared, "precision"))
    name = _DTYPES.get(wanted, wanted)
    if name not in _DTYPES.values():
        raise MetricError(f'precision "{wanted}" is not known: {", ".join(_DTYPES)}')
    total = sum(seen.values())
    if total < 1:
        raise InvalidPredictionsError("no matrix product was seen on the sampled updates")
    return seen.get(name, 0) / total


# ------------------------------------------------------------------------------ what came in


def inputs(flight: Record, declared: Declared | None = None) -> float:
    """Share of the sampled training inputs (token rows of different records) that are distinct, in [0, 1].

    Near 0 when every record came out of the loader as one and the same text.
    """
    rows = _sampled_rows(flight)
    first = {record: tuple(ids) for record, ids in reversed(rows)}
    return len(set(first.values())) / len(first)


def filled(flight: Record, declared: Declared | None = None) -> float:
    """Share of the sampled training inputs that hold any token at all, in [0, 1]."""
    rows = _sampled_rows(flight)
    return sum(bool(ids) for _, ids in rows) / len(rows)


def decodes(flight: Record, declared: Declared | None = None) -> float:
    """Share of the sampled token ids whose entry stands in the record's own text, in [0, 1].

    Declared: `entries`, the vocabulary in order of id, as the tokenizer's file says; `texts`, record id -> text;
    `special` (), entries that stand for no text (mask, unknown).
    """
    rows = _sampled_rows(flight)
    entries, texts = list(_declared(declared, "entries")), _declared(declared, "texts")
    special = set(_declared(declared, "special", ()))
    right = total = 0
    for record, ids in rows:
        if str(record) not in texts:
            raise MetricError(f"record {record} reached a loss and has no declared text", check="records-unknown")
        words = str(texts[str(record)])
        for one in ids:
            entry = entries[one] if 0 <= one < len(entries) else None
            if entry in special:
                continue
            total += 1
            right += entry is not None and entry in words
    if not total:
        raise InvalidPredictionsError("no token that stands for text was sampled")
    return right / total


def _sampled_rows(flight: Record) -> list[tuple[Any, list[int]]]:
    rows = [(record, list(ids)) for record, ids in _seen(flight, "token_ids").get("samples", [])]
    if not rows:
        raise InvalidPredictionsError("no training input was sampled: batches carry no input_ids")
    return rows


def batch(flight: Record, declared: Declared | None = None) -> float:
    """Samples that reached the loss of an update / samples declared for one; the median over updates, 1 is right.

    Declared: `batch_size`, and `accumulation` (1) if `batch_size` is that of a micro-batch.
    """
    seen = sorted(int(one) for one in _seen(flight, "records_per_update"))
    if not seen:
        raise InvalidPredictionsError("no update was seen")
    wanted = int(_declared(declared, "batch_size")) * int(_declared(declared, "accumulation", 1))
    return seen[len(seen) // 2] / wanted


def lengths(flight: Record, declared: Declared | None = None) -> float:
    """Number of faults of the widths of `input_ids`: the narrowest and the widest seen are those of `lengths`."""
    seen = _seen(flight, "sequence_lengths")
    wanted = sorted(int(one) for one in _declared(declared, "lengths"))
    faults = (int(seen["min"]) != wanted[0]) + (int(seen["max"]) != wanted[-1])
    return float(faults + (int(seen["distinct"]) < len(set(wanted))))


def records_per_parameter(flight: Record, declared: Declared | None = None) -> float:
    """Distinct training records that reached a loss / parameters that were trained."""
    trained = int(_seen(flight, "parameters")["trainable"])
    if trained < 1:
        raise InvalidPredictionsError("no trainable parameter was seen")
    return len({str(one) for one in _seen(flight, "records")}) / trained


def effects(flight: Record, declared: Declared | None = None) -> float:
    """Number of declared switches that change nothing: with another value the same weights come out.

    Declared: `switches`, name -> whether the weights differ (what `Judge.effects` found out).
    """
    _seen(flight, "updates")
    switches = dict(_declared(declared, "switches"))
    if not switches:
        raise UndefinedMetricError("no switch was flipped")
    return float(sum(not changed for changed in switches.values()))


def resume(flight: Record, declared: Declared | None = None) -> float:
    """Number of tensors in which a run that was killed and resumed differs from an uninterrupted one.

    Declared: `differing` (what `Judge.resume` found out).
    """
    _seen(flight, "updates")
    return float(_count(_declared(declared, "differing")))


def saving(flight: Record, declared: Declared | None = None) -> float:
    """1 - work / work of the `other` arm, both to the same dev loss; work is samples through the loss x parameters
    that were trained.

    Declared: `other`, the flight record of the dearer arm, and `target_loss`. Both arms must have had the same records
    and have reached the target, otherwise there is nothing to compare and an error.
    """
    _seen(flight, "records")
    other = _declared(declared, "other")
    target = float(_declared(declared, "target_loss"))
    mine, theirs = ({str(one) for one in _seen(record, "records")} for record in (flight, other))
    if mine != theirs:
        raise InvalidPredictionsError(
            f"the arms did not get the same data: {len(mine):,} records and {len(theirs):,}",
            check="both-arms",
        )
    return 1 - _work(flight, target) / _work(other, target)


def _work(flight: Record, target: float) -> float:
    """Samples x trained parameters until the dev loss was first at or below the target."""
    reached = [int(one["update"]) for one in _seen(flight, "evaluations") if float(one["loss"]) <= target]
    if not reached:
        raise InvalidPredictionsError(f"an arm never reached the dev loss {target:g}", check="both-arms")
    samples = sum(int(one) for one in _seen(flight, "records_per_update")[: max(1, reached[0])])
    return float(samples * int(_seen(flight, "parameters")["trainable"]))


def step_ms(flight: Record, declared: Declared | None = None) -> float:
    """Median wall time of an update, milliseconds, without evaluation and checkpoints."""
    seen = sorted(float(one) for one in _seen(flight, "step_seconds"))
    if not seen:
        raise InvalidPredictionsError("no update was timed")
    return _finite(seen[len(seen) // 2] * 1e3, "the time of an update")


def data_share(flight: Record, declared: Declared | None = None) -> float:
    """Time spent waiting for data / time of all updates, in [0, 1]."""
    total = math.fsum(float(one) for one in _seen(flight, "step_seconds"))
    if total <= 0:
        raise InvalidPredictionsError("no update was timed")
    return min(1.0, _finite(_seen(flight, "data_seconds"), "the time spent waiting for data") / total)


def memory_mib(flight: Record, declared: Declared | None = None) -> float:
    """Peak memory of the training process in MiB (2**20 bytes): of the accelerator where there is one."""
    return _finite(_seen(flight, "peak_memory_bytes"), "the peak of memory") / 2**20


_METRICS: list[tuple[str, Callable[..., float], str, tuple[float, float], str]] = [
    ("finite", finite, "lower", (0.0, math.inf), "non-finite losses + skipped updates"),
    ("updates", updates, "none", (0.0, math.inf), "updates made / declared"),
    (
        "schedule",
        schedule,
        "lower",
        (0.0, math.inf),
        "closed forms of torch.optim.lr_scheduler and transformers",
    ),
    (
        "parameters",
        parameters,
        "lower",
        (0.0, math.inf),
        "idle parameters + |observed - counted in the file|; void where rows are copies",
    ),
    ("records", records, "higher", (0.0, 1.0), "distinct records in a loss / records of the split"),
    ("tokens", tokens, "higher", (0.0, 1.0), "distinct ids in a loss / vocabulary"),
    ("labels", labels, "lower", (0.0, math.inf), "(sample, loss) cases without a label"),
    ("components", components, "lower", (0.0, math.inf), "relative gap of an identity"),
    ("evaluation", evaluation, "lower", (0.0, math.inf), "faults of the evaluations observed"),
    ("learns", learns, "lower", (0.0, math.inf), "dev loss ratio"),
    ("precision", precision, "higher", (0.0, 1.0), "matrix products by dtype"),
    ("inputs", inputs, "higher", (0.0, 1.0), "distinct inputs / sampled inputs"),
    ("filled", filled, "higher", (0.0, 1.0), "sampled inputs with a token / sampled inputs"),
    ("decodes", decodes, "higher", (0.0, 1.0), "sampled ids that stand in the record's text"),
    ("batch", batch, "none", (0.0, math.inf), "samples in an update / declared"),
    ("lengths", lengths, "lower", (0.0, math.inf), "faults of the sequence lengths seen"),
    ("records_per_parameter", records_per_parameter, "higher", (0.0, math.inf), "records / trained parameters"),
    ("step_ms", step_ms, "lower", (0.0, math.inf), "median of the recorder's step times"),
    ("data_share", data_share, "lower", (0.0, 1.0), "waiting for data / all step times"),
    ("memory_mib", memory_mib, "lower", (0.0, math.inf), "peak memory that the recorder saw"),
    ("effects", effects, "lower", (0.0, math.inf), "switches that change nothing"),
    ("resume", resume, "lower", (0.0, math.inf), "tensors that differ after a kill"),
    ("saving", saving, "higher", (-math.inf, 1.0), "1 - work / work of the dearer arm"),
]

_UNLEARNT = {"learns": 1.0, "saving": 0.0}
"""What a run that learns or saves nothing scores."""

for _name, _formula, _direction, _range, _source in _METRICS:
    register(
        Metric(
            name=f"training.{_name}",
            direction=_direction,  # type: ignore[arg-type]
            range=_range,
            source=_source,
            formula=_formula,
            consumes="flight",
            chance_form=_UNLEARNT.get(_name),
            counted=True,
            reference="hand computation",
        )
    )
