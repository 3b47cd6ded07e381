"""Tasks in, outcomes out: the caller's side of running programs that nobody vouches for.

A `Sandbox` owns cells, one for each program that runs at a time, and replaces a cell that a program took down with
it. Whatever a program does is an outcome, never an exception; only what is wrong with this machine or the caller's
task raises. It must never run, import or parse a program in this process.
"""

import contextlib
import queue
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from corpus.errors import CorpusError
from corpus.execution import examiner
from corpus.execution.channel import Channel, Closed, Late
from corpus.execution.confinement import MISSING, SPACES
from corpus.execution.examiner import CANDIDATE

__all__ = ["CANDIDATE", "Call", "Doctest", "Example", "Limits", "Outcome", "Sandbox", "Script", "Task"]

_ROOT: Final = Path(__file__).parents[2]
_START_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 30.0  # beyond its wall clock: a busy machine, and the import of a large package
_END_SECONDS: Final = 3.0
_KILLED: Final = "killed"
_EXITED: Final = "exited"
_STALLED: Final = "stalled"
_TIMEOUT: Final = "timeout"
AGAIN: Final = 4
"""Times the CPU limit that a program gets which the limit cut off once."""
_LONGEST_SHOWN: Final = 4 * 2**20  # bytes of what an example shows
_Verdict = tuple[bool, str, list[str]]
_ONE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use: CPU and wall clock in milliseconds, memory beyond the interpreter, bytes of a file.

    CPU time is what cuts off an endless loop, since it does not depend on what else the machine does; the wall clock
    is for those who wait. Threads and processes: none.
    """

    cpu_ms: int = 1_000
    wall_ms: int = 15_000
    memory: int = 512 * 2**20
    file_bytes: int = 16 * 2**20

    def again(self) -> "Limits":
        """Those of the second run of what they cut off."""
        return replace(self, cpu_ms=AGAIN * self.cpu_ms)


@dataclass(frozen=True, slots=True)
class Call:
    """A function against assertions.

    `source` is the module that defines `entry`. The examiner executes `context`, binds `entry` and CANDIDATE to a
    stand-in for the program's function, and executes `test`, which must call it and raise where an answer is wrong.
    """

    source: str
    entry: str
    test: str
    context: str = ""
    limits: Limits = Limits()

    def steps(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        program = {"kind": "call", "source": self.source, "entry": self.entry, "preload": (), "warm": ()}
        yield program, {"kind": "call", "entry": self.entry, "context": self.context, "test": self.test}


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a docstring: a statement and the text that it must show, or the last line of its traceback."""

    source: str
    want: str
    error: str | None = None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Doctest:
    """A function of an installed module against the examples of its docstring; `source` None is the module's own.

    `version` is that of its distribution: an outcome is known for this version only. `preload` are modules that
    the cell must be able to import first, `warm` others that it imports before them where it can, so that not every
    program does it anew. `asks_loaded` has the outcome tell what running the examples imported.
    """

    source: str | None
    module: str
    qualname: str
    examples: tuple[Example, ...]
    version: str = ""
    preload: tuple[str, ...] = ()
    warm: tuple[str, ...] = ()
    asks_loaded: bool = False
    limits: Limits = Limits()

    def steps(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        program = {
            "kind": "doctest",
            "source": self.source,
            "module": self.module,
            "qualname": self.qualname,
            "version": self.version,
            "preload": self.preload,
            "warm": self.warm,
        }
        examples = [(each.source, each.want, each.error, each.flags) for each in self.examples]
        yield program, {"kind": "doctest", "examples": examples, "asks_loaded": self.asks_loaded}


@dataclass(frozen=True, slots=True)
class Script:
    """A program that reads stdin and writes stdout, once for each case (stdin, stdout); words are compared."""

    source: str
    cases: tuple[tuple[str, str], ...]
    limits: Limits = Limits()

    def steps(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for stdin, stdout in self.cases:
            program = {"kind": "script", "source": self.source, "stdin": stdin, "preload": (), "warm": ()}
            yield program, {"kind": "script", "stdout": stdout}


Task = Call | Doctest | Script


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    `reason` is empty where it passed, else one of: wrong-answer, raised NAME, misfit NAME (the tests could not use
    the answer), unready NAME (it failed before it could be asked), exited, timeout (of CPU), no-value, output,
    arguments (the tests ask with what is no plain data), untested, import NAME, stalled (by the wall clock), killed
    (it took its cell down). `cpu_ms` is the program's own, `loaded` what it says to have imported where it was asked.
    """

    passed: bool
    reason: str = ""
    cpu_ms: float = field(default=0.0, compare=False)
    loaded: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_doubtful(self) -> bool:
        """No verdict was reached: another machine, or a quieter day, may give one."""
        return self.reason in (_KILLED, _STALLED)


class Sandbox:
    """Cells that run programs, `cells` at a time. Use as a context manager, or call `close`; safe to use by threads.

    A cell is started when it is first needed. Raises CorpusError then, where not even a Python process can be started.

    Args:
        cells: how many programs run at once.
        hash_seed: PYTHONHASHSEED of the cells, so that the order of a set is the same in every run.
        spaces: names of the namespaces to try; none leaves the walls that need no namespace.
    """

    def __init__(self, cells: int = 2, hash_seed: int = 0, spaces: Iterable[str] = SPACES) -> None:
        self._spaces = tuple(spaces)
        self.hash_seed = hash_seed
        self._all: list[_Cell] = []
        self._cells = cells
        self._free: queue.LifoQueue[_Cell | None] = queue.LifoQueue()
        for _ in range(cells):
            self._free.put(None)  # a cell is started when it is first needed

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all cells, and with them everything that runs in them."""
        for cell in self._all:
            cell.close()
        self._all.clear()

    @property
    def is_used(self) -> bool:
        """Whether anything has run in it."""
        return bool(self._all)

    @property
    def missing(self) -> dict[str, str]:
        """Protections that this system does not give, by name, with what it means; empty where all hold."""
        if not self._all:
            self._free.get()
            self._free.put(self._start())
        names = {name for cell in self._all for name in cell.missing}
        return {name: text for name, text in MISSING.items() if name in names}

    def run(self, task: Task) -> Outcome:
        """Run one task; it waits for a free cell."""
        spent = 0.0
        loaded: tuple[str, ...] = ()
        for program, tests in task.steps():
            outcome = self._step(program, tests, task.limits)
            if outcome.reason == _KILLED:  # not on the word of one cell: it may have been an earlier program's doing
                outcome = self._step(program, tests, task.limits)
            spent += outcome.cpu_ms
            loaded += outcome.loaded
            if not outcome.passed:
                return Outcome(False, outcome.reason, spent, loaded)
        return Outcome(True, "", spent, loaded)

    def _step(self, program: dict[str, Any], tests: dict[str, Any], limits: Limits) -> Outcome:
        cell = self._free.get()
        try:
            cell = cell or self._start()
            return cell.run({**program, "limits": asdict(limits)}, tests, limits)
        finally:
            if cell is not None and not cell.alive:
                cell.close()
                self._all.remove(cell)
                cell = None
            self._free.put(cell)

    def run_all(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Outcomes in the order of the tasks, as many at a time as there are cells.

        What a limit cut off is run once more, with AGAIN times the CPU time: a program that comes to an end has the
        outcome of its end, and that a busy machine made it slower changes nothing. What the wall clock ended, or what
        took its cell down, is alone then.
        """
        outcomes = self._at_once(tasks)
        cut = [place for place, each in enumerate(outcomes) if each.reason == _TIMEOUT]
        again = self._at_once([replace(tasks[place], limits=tasks[place].limits.again()) for place in cut])
        for place, outcome in zip(cut, again, strict=True):
            outcomes[place] = outcome
        for place, task in enumerate(tasks):
            if outcomes[place].is_doubtful:
                outcomes[place] = self.run(replace(task, limits=task.limits.again()))
        return outcomes

    def _at_once(self, tasks: Sequence[Task]) -> list[Outcome]:
        with ThreadPoolExecutor(self._cells) as pool:
            try:
                return list(pool.map(self.run, tasks))
            except BaseException:  # an interrupted run does not wait for what has not begun
                pool.shutdown(cancel_futures=True)
                raise

    def _start(self) -> "_Cell":
        try:
            cell = _Cell(self._spaces, self.hash_seed)
        except CorpusError:
            if "files" not in self._spaces:
                raise
            # Some systems grant the namespace and refuse the mounts.
            self._spaces = tuple(name for name in self._spaces if name != "files")
            cell = _Cell(self._spaces, self.hash_seed)
        self._all.append(cell)
        return cell


class _Cell:
    """The handle on one cell process and its scratch folder."""

    def __init__(self, spaces: Iterable[str], hash_seed: int) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="cell-", ignore_cleanup_errors=True)
        near, far = socket.socketpair()
        self._control = Channel(near)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        arguments = [str(far.fileno()), self._scratch.name, *spaces]
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": self._scratch.name,
            "PYTHONPATH": str(_ROOT),
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONDONTWRITEBYTECODE": "1",
            **dict.fromkeys(_ONE_THREAD, "1"),
        }
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "corpus.execution.cell", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=environment,
                pass_fds=[far.fileno()],
                start_new_session=True,
            )
        self.alive = True
        near.settimeout(_START_SECONDS)
        try:
            self.missing: list[str] = self._control.receive()["missing"]
        except (Closed, Late):
            words = self._last_words()
            self.close()
            raise CorpusError(f"no cell could be started to run programs in: {words}") from None

    def run(self, program: dict[str, Any], tests: dict[str, Any], limits: Limits) -> Outcome:
        near, far = socket.socketpair()
        patience = limits.wall_ms / 1000 + _GRACE_SECONDS
        near.settimeout(patience)
        self._control.end.settimeout(patience)
        with near:
            try:
                with far:
                    self._control.send(program, (far.fileno(),))
                if tests["kind"] == "doctest":
                    until = time.monotonic() + patience
                    end = Channel(near, _LONGEST_SHOWN, takes=0, deadline=until, watcher=self._control.end)
                    report, verdict = self._compared(tests, end)
                else:
                    report, verdict = self._examined(tests, Channel(near))
            except (Closed, Late):
                self.alive = False
                return Outcome(False, _KILLED)
            except BaseException:
                self.alive = False  # nobody knows what it waits for now
                raise
        self.alive = not report["last"]
        spent = report["cpu"] * 1000
        if report["reason"] not in ("", _EXITED):
            return Outcome(False, report["reason"], spent)
        if verdict is None:
            return Outcome(False, _KILLED, spent)
        passed, reason, loaded = verdict
        # A script whose output is right has to end well, too.
        reason = str(reason) or report["reason"]
        return Outcome(passed is True and not reason, reason, spent, tuple(loaded))

    def _compared(self, tests: dict[str, Any], program: Channel) -> tuple[dict[str, Any], _Verdict | None]:
        """What the cell says, and the verdict on examples that are compared here."""
        verdict = examiner.doctests(tests, program)
        self._control.send(None)
        return self._control.receive(), verdict

    def _examined(self, tests: dict[str, Any], verdict: Channel) -> tuple[dict[str, Any], _Verdict | None]:
        """What the cell says, and the verdict of the examiner in it; None where it gave none."""
        with contextlib.suppress(Closed):  # an examiner that cannot start reads nothing: the cell says why
            verdict.send(tests)
        report = self._control.receive()
        try:
            passed, reason = verdict.receive()
        except (Closed, ValueError):
            return report, None
        return report, (passed, reason, [])

    def close(self) -> None:
        """End the cell and whatever runs in it, and wait until it has gone: nothing is left to be reaped."""
        self.alive = False
        self._control.close()  # a cell that works ends by itself, its programs first
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._errors.close()
        with contextlib.suppress(RecursionError):
            self._scratch.cleanup()

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"
