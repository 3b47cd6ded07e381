"""The judge's side of a subject: trains it once, asks it for predictions, keeps what it said.

Gold never passes through here. Everything about an artifact that can be derived from its files is derived from them.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from assay import artifacts, digests, reads, sabotage, scratch
from assay.artifacts import Store
from assay.attest import normalised
from assay.errors import ObservationError, SubjectError, did_you_mean
from assay.project import harness_digest
from assay.spec import Spec
from assay.worker import Worker, pack, unpack

USE_TORCH = {"torch", "torch_geometric", "transformers", "accelerate", "peft", "trl", "lightning"}
"""Packages that train by torch; some of them only name it as an extra."""

REPEATED = 64
"""Items on which a subject is asked a second time, alone, to see whether it answers the same."""

TOLERANCE = 0.05
"""How far a repeated floating-point answer may lie from the first, as a share of the standard deviation of all
answers (of its column, where answers are vectors): batches of other shapes round differently, and what is random
differs by much more."""

FLOOR = 0.002
"""The same as a share of the standard deviation of all columns: one that hardly varies is rounded like the others."""

_SLACK_S, _SLACK_OF_A_CALL_S = 0.02, 1e-4
"""Seconds by which packing answers may take longer than packing the same plain data again, for a run and a call."""

_CHANGED = "changed while it was read"
"""In the place of a digest: so no file of now is that one."""

_PEEKED = "peeked.json"
"""File of a folder of answers: which of the judge's data sets were read to give them, and not handed over."""

_READ = "read.json"
"""File of a folder of the store: what was read to make it, as evidence names it -> digest."""


@dataclass(frozen=True)
class Dataset:
    """A data set built by the acceptance side: a folder of files, its content digest and its sources' digest."""

    name: str
    folder: Path
    digest: str
    sources: str
    tables: tuple[str, ...] = ()

    def path(self, file: str) -> Path:
        """One file of the data set. ObservationError when it was not built."""
        path = self.folder / file
        if not path.is_file():
            raise ObservationError(f'data set "{self.name}" has no file {file}: it holds {self._names()}')
        return path

    def rows(self, file: str) -> list[dict[str, Any]]:
        """The rows of a JSON Lines file. Only a line feed ends a line: a text may hold others (U+2028)."""
        with self.path(file).open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _names(self) -> str:
        return ", ".join(sorted(p.name for p in self.folder.iterdir() if p.name != "artifact.json"))


@dataclass(frozen=True)
class Artifact:
    """A trained subject: folder, key, and what the files themselves say."""

    key: str
    folder: Path
    weights: str
    seed: int
    unread: tuple[str, ...] = ()
    read: Mapping[str, str] = field(default_factory=dict)
    """The files of the project that training read beside its data and code, as evidence names them -> digest."""
    peeked: tuple[str, ...] = ()
    """Files of the judge's own data sets that training read."""

    @property
    def parameters(self) -> int:
        """Floating-point numbers in the weight files."""
        return artifacts.count_parameters(self.folder)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every tensor in the weight files."""
        files = artifacts.weight_files(self.folder)
        return {name: shape for path in files for name, (_, shape) in artifacts.tensors(path).items()}

    @property
    def size_mib(self) -> float:
        """MiB of the weight files."""
        return artifacts.size_bytes(self.folder) / 2**20

    @cached_property
    def flight(self) -> dict[str, Any]:
        """The flight record. SubjectError when training left none."""
        path = self.folder / "flight.json"
        try:
            result: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            raise SubjectError(f"{path}: the flight recorder left no readable record; train again") from None
        return result


@dataclass(frozen=True)
class Predictions:
    """What a subject answered for some items. Handed to the judge together with gold that it never saw."""

    subject: Subject
    method: str
    items: Sequence[Any]
    values: Any
    artifact: Artifact | None
    """None for outputs that need no trained weights (features, parse results): there is no weights control."""
    repeatable: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)
    """The files of the project that answering read beside its weights and code, as evidence names them -> digest."""
    peeked: tuple[str, ...] = ()
    """Files of the judge's own data sets that answering read, and that neither items nor arguments name."""

    @property
    def asked(self) -> Sequence[Any]:
        """The items that the subject was really given."""
        return self.items

    def all_read(self) -> dict[str, str]:
        """What training and answering read beside data, weights and code."""
        return {**(self.artifact.read if self.artifact else {}), **self.read}

    def untrained(self) -> Any:
        """The same items answered with the weights of before the first update."""
        return self.subject.ask(self.subject.untrained, self.method, self.items, self.arguments).values

    def map(
        self, function: Callable[..., Any], items: Sequence[Any] | None = None, beside: Predictions | None = None
    ) -> Predictions:
        """The same predictions in another form: applied to `values` and to the controls alike.

        Args:
            function: called with the answers, and with those of `beside`, where there is one.
            items: when the new form has other items (pairs of the old ones).
            beside: answers of the same subject to other items, those of dev, on which a threshold is chosen: the
                function is given both of the same weights, so that a control has a threshold of its own.
        """
        mine = {one.name: getattr(self, one.name) for one in fields(Predictions)}
        inner = (self,) if beside is None else (self, beside)
        changed = {
            "values": function(*(one.values for one in inner)),
            "items": self.items if items is None else items,
            "repeatable": all(one.repeatable for one in inner),
            "read": {name: digest for one in inner for name, digest in one.read.items()},
            "peeked": tuple(dict.fromkeys(name for one in inner for name in one.peeked)),
        }
        return _Mapped(**{**mine, **changed}, inner=inner, function=function)


@dataclass(frozen=True)
class _Mapped(Predictions):
    inner: tuple[Predictions, ...] = ()
    function: Callable[..., Any] = lambda x: x

    @property
    def asked(self) -> Sequence[Any]:
        return self.inner[0].asked

    def untrained(self) -> Any:
        return self.function(*(one.untrained() for one in self.inner))


@dataclass(frozen=True)
class Timings:
    """Seconds per call, taken in the worker on its serving device, one process, the stated number of threads."""

    subject: Subject
    seconds: np.ndarray
    """(calls,) float64."""
    sizes: np.ndarray
    """(calls,) items answered by each call."""
    artifact: Artifact | None
    """None for what needs no trained weights; then `method` is the entry point that was timed."""
    threads: int | None
    honest: bool
    """False when the parent's own clock disagrees with the sum of the worker's."""
    detail: str
    method: str = ""
    answers: Sequence[Any] = ()
    """(calls,) what the timed calls answered, where that was asked for."""


@dataclass(frozen=True)
class Flight:
    """The flight record of a training run together with what the spec declares of it."""

    subject: Subject
    record: dict[str, Any]
    artifact: Artifact


class Subject:
    """A system under judgement in one profile.

    Args:
        spec: its specification.
        profile: name of the profile table that is trained.
        store: where artifacts live.
        code: digests of the source roots.
        data: training data by the name under which `train` gets it; a file each.
        datasets: the data sets those files belong to, for the evidence.
        on_progress: receives short texts while a long step runs.
        meanwhile: called, one after the other, while the subject (no variant of it) trains in its own process, from the
            first update that the recorder sees on: what is prepared before needs the machine itself. Training has ended
            when they have, too; what one raises is left to whoever asks for its work again. None of them may ask a
            subject: it would wait for itself.
    """

    def __init__(
        self,
        spec: Spec,
        profile: str,
        store: Store,
        code: digests.Code,
        data: Mapping[str, Path],
        datasets: Sequence[Dataset] = (),
        on_progress: Callable[[str], None] | None = None,
        overrides: Mapping[str, Any] | None = None,
        meanwhile: Sequence[Callable[[], object]] = (),
    ) -> None:
        if spec.system.trains and profile not in spec.profile:
            raise SubjectError(
                f"{spec.path}: no table [profile.{profile}]; profiles: {', '.join(spec.profile) or 'none'}"
            )
        self.spec, self.profile_name, self.store, self.code = spec, profile, store, code
        self.data, self.datasets = dict(data), tuple(datasets)
        self.overrides = dict(overrides or {})
        self._on_progress = on_progress
        self._meanwhile = tuple(meanwhile)
        self._workers: dict[int | None, Worker] = {}
        self._loaded: set[tuple[int | None, str]] = set()
        self._variants: list[Subject] = []
        self._failure: SubjectError | None = None
        self._handed: set[str] = set()  # data sets that items or arguments named: a worker may read them on
        self.profiles = {profile}
        """Names of the profile tables that what is measured depends on; a subject and its variants share them."""

    @property
    def name(self) -> str:
        return self.spec.name

    @cached_property
    def profile(self) -> dict[str, Any]:
        """The profile table that training gets, overrides applied."""
        return {**self.spec.profile.get(self.profile_name, {}), **self.overrides}

    def table(self, profile: str) -> dict[str, Any]:
        """Another profile of the specification, for a variant; claims measured from here on decay with it, too.

        Raises:
            SubjectError: when the specification has no profile of that name.
        """
        if profile not in self.spec.profile:
            hint = did_you_mean(profile, self.spec.profile)
            raise SubjectError(f"{self.spec.path}: no table [profile.{profile}]{hint}")
        self.profiles.add(profile)
        return dict(self.spec.profile[profile])

    @cached_property
    def training_code(self) -> dict[str, str]:
        """Module -> digest of everything that training imports."""
        self._needs_model("training code")
        return self.code.closure(self.spec.system.train.partition(":")[0])

    @cached_property
    def predicting_code(self) -> dict[str, str]:
        """Module -> digest of everything that loading and predicting imports; empty where nothing is trained."""
        return self.code.closure(self.spec.system.load.partition(":")[0]) if self.spec.system.trains else {}

    def _needs_model(self, what: str) -> None:
        if not self.spec.system.trains:
            raise SubjectError(
                f"{self.spec.path}: {what} of {self.name} was asked for, but its [system] trains nothing; "
                "write train = and load =, or measure outputs(...)"
            )

    @property
    def recorded(self) -> bool:
        """Whether training is watched by the flight recorder: it is where torch takes part."""
        return any(_needs_torch(name.removesuffix(" (version)")) for name in self.training_code)

    @cached_property
    def data_digests(self) -> dict[str, str]:
        """Name -> SHA-256 of each training file."""
        return {name: digests.of_file(path) for name, path in self.data.items()}

    @cached_property
    def files(self) -> dict[str, str]:
        """The training files that lie in the project and not in the store, as evidence names them -> digest."""
        found = reads.labels(map(str, self.data.values()), self.root, apart=self.store.root)
        return {f"{reads.PREFIX}{label}": self.code.of_file(path) for label, path in found.items()}

    @cached_property
    def key(self) -> str:
        """Training closure + recorder + profile + training data: the artifact's key, less what training will read."""
        recorder = harness_digest("assay.recorder")
        spoilt = sabotage.material()
        return digests.of_json(
            [
                *(self.spec.system.train, self.training_code, recorder, harness_digest("assay.reads")),
                *(self.profile_name, self.profile, self.data_digests),
                *spoilt,
            ]
        )

    @cached_property
    def artifact(self) -> Artifact:
        """The trained artifact; trains in a worker process on first use, once for all processes.

        Raises:
            SubjectError: when training fails, leaves no weights, or never reads a key of its profile. It is not tried
                again, for every row that needs it would wait for the same end; one that was killed goes on.
        """
        if self._failure is not None:
            raise SubjectError(*self._failure.args, check=self._failure.check) from None
        try:
            key = self._built("artifact", self.key, self._train, system=self.name, profile=self.profile_name)
        except SubjectError as error:
            if error.check not in ("died", "killed"):
                self._failure = error
            raise
        self.store.verify("artifact", key)
        folder = self.store.path("artifact", key)
        sabotage.recall(folder)
        return self._describe(key, folder)

    @cached_property
    def untrained(self) -> Artifact:
        """The artifact with weights that learnt nothing: the control of every row that depends on weights.

        The weights of before the first update where the recorder saw them and there is one file of them; otherwise
        every tensor drawn anew: which of several files a recorded module ended in is not known.
        """
        trained = self.artifact

        def swap(folder: Path) -> None:
            shutil.copytree(trained.folder, folder, dirs_exist_ok=True)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            initial = trained.folder / artifacts.SIDE_FILES[0]
            weights = artifacts.weight_files(trained.folder)
            if not initial.is_file() or len(weights) > 1:
                for path in weights:
                    artifacts.reinitialise(path, folder / path.name)
                return
            before, after = artifacts.tensors(initial), artifacts.tensors(weights[0])
            if before != after:
                odd = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
                raise SubjectError(
                    f"{weights[0]}: other tensors than the model that was trained: {', '.join(odd[:5])} (save the "
                    "trained module's own state_dict; register other numbers as its buffers, or keep them in a file of "
                    "another kind)"
                )
            shutil.copy(initial, folder / weights[0].name)

        key = digests.of_json(["untrained", trained.key, trained.weights])
        folder = self.store.build("control", key, swap)
        self.store.verify("control", key)
        return self._describe(key, folder)

    @property
    def flight(self) -> Flight:
        """The flight record of the training run. SubjectError where nothing could have been recorded."""
        if not self.recorded:
            raise SubjectError(
                f"{self.name}: {self.spec.system.train} imports nothing that the flight recorder watches (torch, or "
                "what needs it), so there is no record for a training row"
            )
        return Flight(self, self.artifact.flight, self.artifact)

    def variant(self, **overrides: Any) -> Subject:
        """The same system with other values for some profile keys: an ablation, a control, another seed.

        Raises:
            SubjectError: for a key that the profile does not have.
        """
        unknown = sorted(set(overrides) - set(self.profile))
        if unknown:
            raise SubjectError(f'profile "{self.profile_name}" of {self.name} has no key {", ".join(unknown)}')
        merged = {**self.overrides, **overrides}
        result = Subject(
            self.spec,
            self.profile_name,
            self.store,
            self.code,
            self.data,
            self.datasets,
            self._on_progress,
            merged,
        )
        result.profiles = self.profiles
        self._variants.append(result)
        return result

    def predictions(self, method: str, items: Sequence[Any], **arguments: Any) -> Predictions:
        """Ask the trained subject: `method(items, **arguments)`, one answer per item.

        Args:
            method: name of a method of what the spec's `load` returns.
            items: plain data, N of them.

        Returns:
            Predictions whose values have N entries (a list, an array, or a mapping with such leaves).
        """
        return self.ask(self.artifact, method, items, arguments)

    def outputs(self, entry: str, items: Sequence[Any], **arguments: Any) -> Predictions:
        """Ask a function of the subject that needs no trained weights (features, parse results): nothing is trained.

        Args:
            entry: "package.module:function", called as `function(items, **arguments)`.
            items: plain data, N of them.
        """
        return self.ask(None, entry, items, arguments)

    def refusals(self, method: str, items: Sequence[Any], **arguments: Any) -> Predictions:
        """Ask for what cannot be answered, one broken item at a time: True where the subject raised.

        Args:
            method: called as `method([item], **arguments)`.
        """
        artifact = self.artifact
        request = {"artifact": str(artifact.folder), "method": method, "arguments": arguments}
        worker = self._worker(artifact, None)
        values = worker.ask("refuse", items=list(items), **request)
        read = self._digested(worker.read(method), self.predicting_code)
        return Predictions(self, method, items, values, artifact, True, arguments, read)

    def load_refusals(self) -> Predictions:
        """Load the artifact with its weights damaged, one way at a time: True where the subject refused."""
        values = []
        with scratch.folder("damaged") as place, Worker(self.code.roots, watched=self._watched) as worker:
            for damage in artifacts.DAMAGES:
                folder = place / damage.replace(" ", "-")
                artifacts.damaged(self.artifact.folder, folder, damage)
                try:
                    worker.ask("load", entry=self.spec.system.load, artifact=str(folder))
                except SubjectError:
                    values.append(True)
                else:
                    values.append(False)
            read = self._digested(worker.read(), self.predicting_code)
        return Predictions(self, "load", artifacts.DAMAGES, values, self.artifact, True, read=read)

    def parts(self, asked: Mapping[str, Sequence[Any]]) -> Predictions:
        """Which parts of the weights the answers depend on: True where setting one back to before training changes any.

        The first entry is a plain copy of the artifact: True where it gives the same answers.

        Args:
            asked: method -> items; together they are to use every part.
        """
        artifact = self.artifact
        groups = artifacts.parts(artifact.folder)
        values = []
        with scratch.folder("parts") as place, Worker(self.code.roots, watched=self._watched) as worker:

            def answers(folder: Path) -> list[bytes]:
                worker.ask("load", entry=self.spec.system.load, artifact=str(folder))
                request = {"artifact": str(folder), "arguments": {}}
                return [pack(worker.ask("call", method=m, items=list(items), **request)) for m, items in asked.items()]

            own = answers(artifact.folder)
            for number, names in enumerate([[], *groups.values()]):
                folder = place / str(number)
                artifacts.set_back(artifact.folder, folder, names)
                values.append((answers(folder) == own) is not bool(names))
            read = self._digested(worker.read(*asked), self.predicting_code)
        return Predictions(self, "load", ["a plain copy", *groups], values, artifact, True, read=read)

    def differing_after_kill(self, after: int) -> list[str]:
        """Names of the tensors in which a run that was killed after so many updates, and resumed, ends otherwise.

        Raises:
            SubjectError: when it had ended before.
        """

        def train(folder: Path) -> None:
            try:
                self._train(folder, stop_after=after)
            except SubjectError as error:
                if error.check != "killed":
                    raise
            else:
                raise SubjectError(f"{self.name}: trained to its end in fewer than {after} updates; kill it earlier")
            self._train(folder)

        key = digests.of_json(["resumed", self.key, after])
        folder = self.store.build("resumed", key, train, system=self.name, profile=self.profile_name)
        return artifacts.differing(self.artifact.folder, folder)

    def timings(
        self,
        method: str,
        items: Sequence[Any],
        *,
        threads: int | None = 1,
        warm_up: int = 20,
        sizes: Sequence[int] | None = None,
        answers: bool = False,
        **arguments: Any,
    ) -> Timings:
        """Time one call of `method(item)` per item, after `warm_up` untimed ones, serially.

        `sizes` says how many answers each call gives where an item is a batch (default one). With `answers`, what the
        timed calls answered comes along, for a judge who asks of one call how long it took and what it achieved; what
        they read is not watched and none is asked twice: where quality alone is claimed, ask for `predictions`.

        Raises:
            ObservationError: when no item is left to be timed.
        """
        if len(items) <= warm_up:
            raise ObservationError(
                f"{self.name}.{method}: {len(items)} items for {warm_up} untimed calls: none is timed"
            )
        artifact = self.artifact
        self._say(f"timing {method}: {len(items):,} calls")
        # a process of its own: what an earlier one was asked, it could answer from memory; and nobody watches it
        with Worker(self.code.roots, threads=threads) as worker:
            worker.ask("load", entry=self.spec.system.load, artifact=str(artifact.folder))
            start = time.perf_counter()
            result = worker.ask(
                "time",
                artifact=str(artifact.folder),
                method=method,
                items=list(items),
                warm_up=warm_up,
                arguments=arguments,
                keep=answers,
            )
            elapsed = time.perf_counter() - start
            told = worker.ask("told") if answers else ()
        self._unchanged(self.predicting_code, self.spec.system.load, "was timed")
        seconds = np.asarray(result["seconds"], dtype=float)
        inside = float(seconds.sum())
        honest = 0 < inside <= elapsed and float(result["total"]) - inside < 0.5 * inside + 0.5
        honest = honest and float(result["late"]) < 0.5 * inside + _SLACK_S + _SLACK_OF_A_CALL_S * len(seconds)
        elapsed -= float(result["packing"])
        honest = honest and elapsed < 2 * float(result["whole"]) + 2  # a slow clock in the worker; transfer is quick
        counted = np.ones(len(seconds)) if sizes is None else np.asarray(sizes[warm_up:], dtype=float)
        detail = f"calls took {inside:.2f} s inside the worker, {elapsed:.2f} s by the judge's clock"
        repeated = len(items) - len({digests.of_json(item) for item in items})
        if repeated:
            honest, detail = False, f"{repeated} of {len(items)} timed items are repeats: a cache would answer them"
        if result["empty"]:
            honest, detail = False, f"{result['empty']} of {len(seconds)} timed calls answered nothing"
        return Timings(self, seconds, counted, artifact, threads, honest, detail, answers=told)

    def ask(
        self, artifact: Artifact | None, method: str, items: Sequence[Any], arguments: Mapping[str, Any]
    ) -> Predictions:
        """Answers for the items and whether a second asking gave the same; kept in the store.

        What was read to give them is remembered: where it has changed, the subject is asked anew. Without an artifact,
        `method` is an entry point ("package.module:function").
        """
        if len(items) == 0:
            raise ObservationError(f"{self.name}.{method}: no items were handed in")
        code = self.predicting_code
        if artifact is None:
            code = {**code, **(entry := self.code.closure(method.partition(":")[0]))}
            origin: list[Any] = [entry]
        else:
            origin = [artifact.key, artifact.weights, self.spec.system.load, code]
        reading = harness_digest("assay.reads")
        key = digests.of_json([origin, method, dict(arguments), list(items), reading, *sabotage.material()])

        def call(folder: Path) -> None:
            self._say(f"{self.name}: {method} on {len(items):,} items")
            folder_name = None if artifact is None else str(artifact.folder)
            request = {"artifact": folder_name, "method": method, "arguments": dict(arguments)}
            with sabotage.marking(folder):
                worker = self._worker(artifact, None)
                values = worker.ask("call", items=list(items), **request)
                chosen = _some(len(items), seed=int(key[:8], 16))
                again = worker.ask("call", items=[items[i] for i in chosen], **request)
            for entry in (self.spec.system.load,) if artifact else (self.spec.system.load, method):
                self._unchanged(code, entry, "answered")
            same = _same(values, again, chosen, len(items))
            (folder / "values.bin").write_bytes(pack({"values": values, "same": same}))
            read = worker.read(method)
            (folder / _READ).write_text(json.dumps(self._digested(read, code)))
            (folder / _PEEKED).write_text(json.dumps(self._peeked(read, (items, arguments))))

        key = self._built("predictions", key, call, system=self.name, method=method)
        self.store.verify("predictions", key)
        folder = self.store.path("predictions", key)
        sabotage.recall(folder)
        answer = unpack((folder / "values.bin").read_bytes())
        peeked = tuple(json.loads((folder / _PEEKED).read_text()))
        same, read = bool(answer["same"]), _read_for(folder)
        return Predictions(self, method, items, answer["values"], artifact, same, arguments, read, peeked)

    def close(self) -> None:
        """End the worker processes, those of variants too."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._loaded.clear()
        for variant in self._variants:
            variant.close()

    def _train(self, folder: Path, stop_after: int | None = None) -> None:
        self._say(f"training {self.name} ({self.profile_name})")

        def progress(state: dict[str, Any]) -> None:
            updates, loss = state.get("updates", 0), state.get("loss")
            if updates:
                beside.begin()
            text = f"training {self.name} ({self.profile_name}): update {updates:,}"
            self._say(text + (f", loss {loss:.4f}" if updates and isinstance(loss, float) else ""))

        # The subject gets copies of its own files alone: what lies beside the originals may hold gold.
        with (
            sabotage.marking(folder),
            scratch.folder("train") as private,
            _Beside(self._meanwhile) as beside,
            Worker(self.code.roots, on_progress=progress, watched=self._watched) as worker,
        ):
            files = {name: private / name / path.name for name, path in self.data.items()}
            for name, path in self.data.items():
                files[name].parent.mkdir()
                shutil.copyfile(path, files[name])
            sabotage.files(files)
            if not self.recorded:
                beside.begin()  # nobody will tell of a first update
            answer = worker.ask(
                "train",
                entry=self.spec.system.train,
                config=self.profile,
                data={name: str(path) for name, path in files.items()},
                out=str(folder),
                record=self.recorded,
                stop_after=stop_after,
            )
        self._unchanged(self.training_code, self.spec.system.train, "trained")
        artifacts.weight_files(folder)
        peeked = self._peeked(worker.read(), ())
        (folder / "harness.json").write_text(json.dumps({"unread": answer["unread"], "peeked": peeked}))
        (folder / _READ).write_text(json.dumps(self._digested(worker.read(), self.training_code)))

    def _unchanged(self, before: Mapping[str, str], entry: str, what: str) -> None:
        """SubjectError when code was edited meanwhile: what it made would be kept under the key of the old code."""
        now = self.code.closure(entry.partition(":")[0]) if entry else {}
        edited = sorted(name for name, digest in now.items() if before.get(name) != digest)
        if edited:
            raise SubjectError(f"{self.name}: {', '.join(edited[:3])} was edited while it {what}; run it again")

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.spec.path.resolve().parent.parent

    @property
    def _watched(self) -> list[Path]:
        return [self.root, self.store.root / "data"]

    def _peeked(self, read: Iterable[str], handed: object) -> list[str]:
        """Files of the judge's own data sets among those read, but for those of folders that were handed over."""
        data = self.store.root / "data"
        found = reads.labels(read, data)
        said = str(handed) if found and handed else ""
        self._handed |= {folder for label in found if (folder := label.partition("/")[0]) in said}
        return sorted(label for label in found if label.partition("/")[0] not in self._handed)

    def _digested(self, read: Mapping[str, reads.Stamp], code: Iterable[str]) -> dict[str, str]:
        """Of the files that a worker has read, those that neither code nor data account for, with their digests."""
        known = [path for name in code if (path := self.code.find(name)) is not None]
        found = reads.labels(read, self.root, [*known, *self.data.values()], self.store.root)
        return {
            f"{reads.PREFIX}{label}": _CHANGED if reads.changed(path, read[str(path)]) else self.code.of_file(path)
            for label, path in found.items()
        }

    def _built(self, kind: str, base: str, builder: Callable[[Path], Any], **about: Any) -> str:
        """The key under which a folder of the store is kept that depends on what its builder reads.

        Which files those are is known after the first time; from then on the key holds their digests.
        """
        from filelock import FileLock

        index = self.store.root / "reads" / f"{base[:32]}.json"
        index.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(
            index.with_suffix(".lock")
        ):  # or who waits for the folder would look for it where it no longer is
            known: list[str] = json.loads(index.read_text()) if index.is_file() else []
            now = {name: reads.digest(name, self.root, self.code) for name in known}
            key = digests.of_json([base, now]) if known else base
            folder = self.store.build(kind, key, builder, **about)
            read = _read_for(folder)
            if not read.keys() <= now.keys():
                index.write_text(json.dumps(sorted({*known, *read})))
                new = digests.of_json([base, now | read])
                self.store.rename(kind, key, new)
                key = new
        return key

    def _describe(self, key: str, folder: Path) -> Artifact:
        told = json.loads((folder / "harness.json").read_text())
        seed = self.profile.get("seed", 0)
        return Artifact(
            key=key,
            folder=folder,
            weights=artifacts.weights_digest(folder),
            seed=int(seed),
            unread=tuple(told["unread"]),
            read=_read_for(folder),
            peeked=tuple(told.get("peeked", ())),
        )

    def _worker(self, artifact: Artifact | None, threads: int | None) -> Worker:
        if threads not in self._workers:
            self._workers[threads] = Worker(self.code.roots, threads=threads, watched=self._watched)
        worker = self._workers[threads]
        if artifact is not None and (threads, str(artifact.folder)) not in self._loaded:
            worker.ask("load", entry=self.spec.system.load, artifact=str(artifact.folder))
            self._loaded.add((threads, str(artifact.folder)))
        return worker

    def _say(self, text: str) -> None:
        if self._on_progress is not None:
            self._on_progress(text)


def _read_for(folder: Path) -> dict[str, str]:
    """What was read to make a folder of the store; nothing where it was made without a subject."""
    path = folder / _READ
    return json.loads(path.read_text()) if path.is_file() else {}


@cache
def _needs_torch(package: str) -> bool:
    """Whether an imported package is torch, or of a distribution that requires it."""
    if package in USE_TORCH:
        return True
    lines = [line for name in digests.installed().get(package, ()) for line in metadata.requires(name) or ()]
    required = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines if "extra" not in line.partition(";")[2]]
    return not {normalised(name).replace("-", "_") for name in required}.isdisjoint(USE_TORCH)


class _Beside:
    """Calls made one after the other in a thread, once `begin` is called.

    Leaving the block waits for all of them; an error in it, for the one that runs: no other is begun.
    """

    def __init__(self, acts: Sequence[Callable[[], object]]) -> None:
        self._acts = acts
        self._thread: threading.Thread | None = None
        self._is_broken_off = False

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_broken_off = kind is not None
        if self._thread is not None:
            self._thread.join()

    def begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def _work(self) -> None:
        for act in self._acts:
            if self._is_broken_off:
                return
            with contextlib.suppress(Exception):
                act()


def _some(n: int, seed: int) -> list[int]:
    """Items to ask again: a random part in random order, so that neither place nor company in the batch can help."""
    count = min(REPEATED, max(1, n // 2))
    return [int(i) for i in np.random.default_rng(seed).permutation(n)[:count]]


def _same(values: Any, again: Any, chosen: Sequence[int], total: int) -> bool:
    """Whether `again`, asked for the chosen items only, repeats what `values` said of them."""
    if isinstance(values, Mapping):
        return (
            isinstance(again, Mapping)
            and values.keys() == again.keys()
            and all(_same(values[name], again[name], chosen, total) for name in values)
        )
    if not isinstance(values, list | np.ndarray) or len(values) != total or len(again) != len(chosen):
        return _close(values, again, 0.0)  # one value for all items, such as a list of class names
    slack = _slack(values)
    return all(_close(values[i], other, slack) for i, other in zip(chosen, again, strict=True))


def _slack(values: Any) -> Any:
    """How far each number of an answer may lie from its repetition: (D,) where answers are vectors, else a number.

    By column, so that a random one does not hide behind the spread of its neighbours, and by name where answers are
    tables; 0 where they are no numbers.
    """
    if len(values) and all(isinstance(one, Mapping) for one in values):
        names = {name for one in values for name in one}
        return {name: _slack([one[name] for one in values if name in one]) for name in names}
    try:
        table = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        return 0.0
    if not table.size:
        return 0.0
    whole = float(np.nanstd(table))
    if table.ndim != 2:
        return TOLERANCE * whole
    with np.errstate(invalid="ignore"):
        return np.maximum(TOLERANCE * np.nan_to_num(np.nanstd(table, axis=0)), FLOOR * whole)


def _close(first: Any, second: Any, slack: Any) -> bool:
    if isinstance(first, Mapping):
        return (
            isinstance(second, Mapping)
            and first.keys() == second.keys()
            and all(
                _close(first[name], second[name], slack[name] if isinstance(slack, Mapping) else slack)
                for name in first
            )
        )
    if isinstance(first, np.ndarray | np.generic) or isinstance(second, np.ndarray | np.generic):
        a, b = np.asarray(first), np.asarray(second)
        if a.shape != b.shape:
            return False
        if a.dtype.kind == "f" or b.dtype.kind == "f":
            return bool(np.allclose(a, b, rtol=1e-6, atol=slack, equal_nan=True))
        return bool((a == b).all())
    if isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return False
        each = slack if np.ndim(slack) else [slack] * len(first)
        return all(_close(a, b, one) for a, b, one in zip(first, second, each, strict=True))
    if isinstance(first, float) and isinstance(second, float):
        return bool(np.isclose(first, second, rtol=1e-6, atol=slack, equal_nan=True))
    return bool(first == second)
