"""A subject in its own process: items go in, predictions come out as data.

`python -m assay.worker` is the child. It imports the subject, never the specification, gold or a metric; what
it sends back is JSON and plain arrays, so nothing that a subject builds is ever executed by the judge.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from assay import nursery, sabotage
from assay.errors import ObservationError, SubjectError, place
from assay.nursery import Child
from assay.reads import Reads, Stamp

_clock = time.perf_counter  # bound before a subject is imported: replacing time.perf_counter gains nothing
_LENGTH = struct.Struct("<Q")
KILLED = 137
"""Exit status of a worker that was killed, also of one that was asked to die in the middle of its training."""

_WORDS = 1 << 16
"""Bytes at the end of a worker's log among which its last words are."""

_SCALARS = frozenset({type(None), bool, int, float, str})

_ARRAY = "__array__"
"""Key of the mapping that stands for an array in the JSON part of a message."""


def pack(value: Any) -> bytes:
    """Plain data (JSON values, numpy arrays without objects, mappings and sequences of them) as bytes.

    Raises:
        TypeError: for anything else, naming its type.
    """
    arrays: list[np.ndarray] = []
    head = json.dumps(_strip(value, arrays)).encode()
    body = io.BytesIO()
    for array in arrays:
        np.save(body, array, allow_pickle=False)
    return _LENGTH.pack(len(head)) + head + body.getvalue()


def unpack(data: bytes) -> Any:
    """The inverse of `pack`; arrays come back as numpy arrays, tuples as lists."""
    (length,) = _LENGTH.unpack_from(data)
    head = json.loads(data[_LENGTH.size : _LENGTH.size + length])
    body = io.BytesIO(data[_LENGTH.size + length :])
    arrays = []
    while body.tell() < len(body.getbuffer()):
        arrays.append(np.load(body, allow_pickle=False))
    return _restore(head, arrays) if arrays else head


def _strip(value: Any, arrays: list[np.ndarray]) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list or kind is tuple:  # answers hold a million of them: what JSON takes as it is, is not looked into
        return value if _SCALARS.issuperset(map(type, value)) else [_strip(item, arrays) for item in value]
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("a numpy array of objects is no plain data; deliver numbers or lists")
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError("a masked array is no plain data: what is masked would turn into numbers")
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, Mapping):
        bad = next((key for key in value if not isinstance(key, str)), None)
        if bad is not None:
            raise TypeError(f"a mapping key must be a string, got {bad!r}")
        if _ARRAY in value:
            raise TypeError(f"the mapping key {_ARRAY!r} is taken")
        return {key: _strip(item, arrays) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_strip(item, arrays) for item in value]
    if isinstance(value, Path):
        return str(value)
    told = f"{type(value).__module__}.{type(value).__qualname__}"
    raise TypeError(f"{told} is no plain data; deliver numbers, texts, lists, mappings or numpy arrays")


def _restore(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _restore(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, arrays) for item in value]
    return value


def _send(stream: IO[bytes], data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return unpack(data)


class Worker:
    """The parent's handle on one child process. Use as a context manager, or call `close`.

    What the child prints goes to a file without a name: it ends with the processes, however they end.

    Args:
        roots: folders put on the child's import path.
        threads: when given, the child's numeric libraries use that many threads; with 1 it is also pinned to
            one core where the system allows.
        on_progress: called with the recorder's progress records while the child trains.
        watched: folders of which `read` tells what the child has opened.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        threads: int | None = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        cwd: Path | None = None,
        watched: Sequence[Path] = (),
    ) -> None:
        self._on_progress = on_progress
        self._reads: dict[str, dict[str, Stamp]] = {}
        self._lock = threading.Lock()
        self.log = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - has no name, so nothing of it stays
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([*map(str, roots), *filter(None, [environment.get("PYTHONPATH")])])
        environment["PYTHONHASHSEED"] = "0"
        environment["TOKENIZERS_PARALLELISM"] = "false"
        nursery.wait_briefly(environment)
        environment["ASSAY_WORKER"] = "1"
        environment["ASSAY_WORKER_WATCHED"] = os.pathsep.join(map(str, watched))
        if threads is not None:
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                environment[name] = str(threads)
            environment["ASSAY_WORKER_THREADS"] = str(threads)
        self._process: subprocess.Popen[bytes] | Child
        if address := os.environ.get(nursery.ENVIRONMENT):
            theirs, mine = os.pipe()
            self._stdin: IO[bytes] = os.fdopen(mine, "wb")
            mine, theirs_too = os.pipe()
            self._stdout: IO[bytes] = os.fdopen(mine, "rb")
            streams = [theirs, theirs_too, self.log.fileno()]
            self._process = nursery.fork(address, "assay.worker:main", {}, streams, environment, cwd)
            os.close(theirs)
            os.close(theirs_too)
            return
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "assay.worker"],  # -P: what is imported lies under roots, not in cwd
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
            cwd=cwd,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def ask(self, op: str, **arguments: Any) -> Any:
        """Send one request and wait for its answer.

        Raises:
            ObservationError: when the arguments are no plain data; nothing was sent.
            SubjectError: when the subject raised, died, or returned something that is no plain data; the text
                holds the subject's own last words.
        """
        with self._lock:
            try:
                request = pack({"op": op, **arguments})
            except (TypeError, ValueError, RecursionError) as error:
                raise ObservationError(f"what is handed to {op!r} is no plain data: {error}") from None
            try:
                _send(self._stdin, request)
                while True:
                    answer = _receive(self._stdout)
                    if "progress" not in answer:
                        break
                    if self._on_progress is not None:
                        self._on_progress(answer["progress"])
            except (EOFError, BrokenPipeError, OSError):
                code = self._process.wait()
                if code == KILLED and arguments.get("stop_after"):
                    raise SubjectError("killed on request", check="killed") from None
                told = f"the worker process died during {op!r} ({_ending(code)}){self._last_words()}"
                raise SubjectError(told, check="died") from None
        if "error" in answer:
            raise SubjectError(f"{answer['error']}{self._last_words(answer.get('traceback', ''))}")
        for method, told in zip((str(arguments.get("method", "")), ""), answer["read"], strict=True):
            self._reads.setdefault(method, {}).update({name: (size, at) for name, (size, at) in told.items()})
        return answer["result"]

    def read(self, *methods: str) -> dict[str, Stamp]:
        """Files under the watched folders that the child has read: to load, to train or by import, and for the methods.

        What it has read for another method and remembers is not among them.
        """
        return {name: stamp for one in ("", *methods) for name, stamp in self._reads.get(one, {}).items()}

    def close(self) -> None:
        """End the child; its log goes with it."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._stdin.close()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._stdin, self._stdout, self.log):
            with contextlib.suppress(OSError):
                stream.close()

    def _last_words(self, trace: str = "") -> str:
        text = trace
        with contextlib.suppress(OSError, ValueError):  # closed already
            end = os.fstat(self.log.fileno()).st_size
            text = text or os.pread(self.log.fileno(), _WORDS, max(0, end - _WORDS)).decode(errors="replace")
        lines = [line for line in text.strip().splitlines() if line.strip()][-12:]
        return "\n    " + "\n    ".join(lines) if lines else ""


def _ending(code: int) -> str:
    """How a process ended, in words; `code` as `subprocess` and the nursery give it."""
    if code >= 0:
        return f"exit {code}" if code != nursery.UNKNOWN else "nobody saw how"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name}: perhaps memory ran out" if name == "SIGKILL" else name


def resolve(entry: str) -> Callable[..., Any]:
    """`package.module:name.attribute` -> the callable.

    Raises:
        SubjectError: naming the part that does not exist.
    """
    module_name, _, path = entry.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise SubjectError(
                f'subject "{entry}": there is no module {error.name}; is it under impl/ or beside spec/?'
            ) from None
        raise SubjectError(
            f'subject "{entry}": imports {error.name}, which is not installed; '
            "install what the systems need: pip install -e '.[systems]'"
        ) from None
    for part in path.split("."):
        if not hasattr(target, part):
            raise SubjectError(f'subject "{entry}": {module_name} has no {path}')
        target = getattr(target, part)
    if not callable(target):
        raise SubjectError(f'subject "{entry}" is not callable')
    return target  # type: ignore[no-any-return]


class _Child:
    """The child's side: holds the loaded subject between requests."""

    def __init__(self, source: IO[bytes], sink: IO[bytes]) -> None:
        self.source, self.sink = source, sink
        self.reads = Reads(map(Path, filter(None, os.environ.get("ASSAY_WORKER_WATCHED", "").split(os.pathsep))))
        self.subjects: dict[str, Any] = {}
        self.said: list[bytes] = []  # answers of the calls timed last, packed
        self.kept = contextlib.ExitStack()

    def serve(self) -> None:
        with self.kept:
            self._serve()

    def _serve(self) -> None:
        while True:
            try:
                request = _receive(self.source)
            except EOFError:
                return
            op = request.pop("op")
            try:
                result = getattr(self, f"do_{op}")(**request)
                answer = self._packed(result, self.reads.take(), str(request.get("method", "")))
            except SubjectError as error:
                answer = pack({"error": str(error)})
            except KeyboardInterrupt:
                return
            except BaseException as error:
                said = f"the subject raised {type(error).__name__}: {error}{place(error, Path.cwd())}"
                answer = pack({"error": said, "traceback": traceback.format_exc()})
            _send(self.sink, answer)

    @staticmethod
    def _packed(result: Any, read: Sequence[Mapping[str, Stamp]] = ({}, {}), method: str = "") -> bytes:
        try:
            return pack({"result": result, "read": read})
        except (TypeError, ValueError, RecursionError) as error:
            told = f"the subject{f' ({method})' if method else ''} returned what is no plain data: {error}"
            raise SubjectError(told) from None

    def do_train(
        self,
        entry: str,
        config: dict[str, Any],
        data: dict[str, str],
        out: str,
        record: bool,
        stop_after: int | None = None,
    ) -> dict[str, Any]:
        """Train under the flight recorder; answers with the config keys that nobody read.

        With `stop_after` the process dies in the middle of that optimizer update's aftermath, as if it was killed.
        """
        from assay.recorder import FlightRecorder, TrackedConfig

        function = resolve(entry)
        tracked = TrackedConfig(config)
        files = {name: Path(path) for name, path in data.items()}
        recorder: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if record:
            recorder = FlightRecorder(Path(out), on_progress=lambda state: _send(self.sink, pack({"progress": state})))
        if stop_after:
            _kill_after(stop_after)
        if sabotage.current():
            sabotage.training()
        with recorder:
            function(tracked, files, Path(out))
        return {"unread": list(tracked.unread)}

    def do_load(self, entry: str, artifact: str) -> None:
        if artifact not in self.subjects:
            folder = self.kept.enter_context(sabotage.weights(Path(artifact)))  # a subject may read on when it is asked
            self.subjects[artifact] = resolve(entry)(folder)

    def do_call(self, artifact: str | None, method: str, items: Any, arguments: dict[str, Any]) -> Any:
        function = resolve(method) if artifact is None else self._method(artifact, method)
        return sabotage.answers(function(items, **arguments), items)

    def do_refuse(self, artifact: str, method: str, items: list[Any], arguments: dict[str, Any]) -> list[bool]:
        """Whether each item, asked alone, was refused with an exception."""
        function = self._method(artifact, method)
        refused = []
        for item in items:
            try:
                function([item], **arguments)
            except Exception:
                refused.append(True)
            else:
                refused.append(False)
        return refused

    def do_time(
        self, artifact: str, method: str, items: list[Any], warm_up: int, arguments: dict[str, Any], keep: bool = False
    ) -> dict[str, Any]:
        """Time one call per item, with a clock that the subject cannot have replaced; `keep` its answer for `told`."""
        function = self._method(artifact, method)
        self.said = []
        seconds = np.empty(len(items) - warm_up)
        empty = 0
        late = packing = 0.0
        first = _clock()
        for item in items[:warm_up]:
            function(item, **arguments)
        begin = _clock()
        for index, item in enumerate(items[warm_up:]):
            start = _clock()
            answer = function(item, **arguments)
            seconds[index] = _clock() - start
            empty += answer is None
            # outside the time taken: what packing takes beyond that of plain data was still to be computed
            packed = _clock()
            said = self._packed(answer)
            once = _clock()
            plain = unpack(said)
            again = _clock()
            pack(plain)
            end = _clock()
            if keep:
                self.said.append(said)
            late += (once - packed) - (end - again)
            packing += end - packed
        end = _clock()
        return {
            "seconds": seconds,
            "empty": empty,
            "late": late,
            "total": end - begin - packing,
            "whole": end - first - packing,
            "packing": packing,
        }

    def do_told(self) -> list[Any]:
        """The answers of the timed calls, apart from them: carrying them over is none of the subject's time."""
        return [unpack(said)["result"] for said in self.said]

    def _method(self, artifact: str, method: str) -> Callable[..., Any]:
        subject = self.subjects[artifact]
        function = getattr(subject, method, None)
        if not callable(function):
            raise SubjectError(f"{type(subject).__name__} has no method {method!r}")
        return function  # type: ignore[no-any-return]


@contextlib.contextmanager
def _private_streams() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Keep the protocol's pipes for ourselves: what a subject prints goes to the log instead."""
    source, sink = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    with os.fdopen(source, "rb") as incoming, os.fdopen(sink, "wb") as outgoing:
        yield incoming, outgoing


def _kill_after(updates: int) -> None:
    """Let this process die, without any farewell, after so many optimizer updates."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    made = 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1
        if made >= updates:
            os._exit(KILLED)

    register_optimizer_step_post_hook(count)


def _die_with(parent: int) -> None:
    """End this process when its parent is gone: an orphan must not go on training beside its successor."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="assay-parent-watch").start()


def main() -> None:
    """Entry point of the child process."""
    _die_with(os.getppid())
    threads = os.environ.get("ASSAY_WORKER_THREADS")
    if threads == "1" and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with _private_streams() as (source, sink):
        _Child(source, sink).serve()


if __name__ == "__main__":
    main()
