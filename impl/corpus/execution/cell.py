"""The process that runs programs: `python -m corpus.execution.cell FD SCRATCH NAMESPACE...`, started by `sandbox`.

It confines itself, then forks for each task. The *program* gets the source and one socket, on which it is asked for
values. Tests that are code are run by an *examiner*, a second process, which gets the other end of it, and a channel to
the caller that was opened for this one task: there it reads the tests and writes the verdict. The examples of a doctest
are texts to compare: there the caller has the other end himself, and says when he is done. The cell holds neither tests
nor verdict; it watches limits and leaves nothing behind. The program must never come to hold another descriptor, a test
or an expected answer.
"""

import contextlib
import gc
import importlib
import os
import random
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from corpus.execution import confinement, examiner, program
from corpus.execution.channel import Channel, Closed

_PREPARED: Final = (
    *("bisect", "collections", "copy", "datetime", "decimal", "doctest", "fractions", "functools", "hashlib", "heapq"),
    *("io", "itertools", "json", "math", "operator", "queue", "random", "re", "statistics", "string", "struct"),
    *("textwrap", "typing", "unicodedata"),
)
"""Modules that most programs import, so that a fork finds them loaded."""

_sleep: Final = time.sleep
_LOOK: Final = 0.02  # seconds between two looks at the clocks
_DESCRIPTORS: Final = 4_096  # a cell never has as many open


def main(arguments: list[str]) -> None:
    control = Channel(socket.socket(fileno=int(arguments[0])))
    own = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    walls = confinement.enter(arguments[1], arguments[2:])
    sys.path[:] = [path for path in sys.path if path not in own]  # nothing of this project is at hand for a program
    sys.set_int_max_str_digits(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep = _skip
    for name in _PREPARED:
        importlib.import_module(name)
    with contextlib.suppress(Closed):
        control.send({"missing": walls.missing})
        _Cell(control, walls).serve()


class _Cell:
    def __init__(self, control: Channel, walls: confinement.Walls) -> None:
        self._control = control
        self._walls = walls
        self._is_first = os.getpid() == 1
        self._is_examined = False
        self._warm: set[str] = set()

    def serve(self) -> None:
        """Task by task, until the scratch folder cannot be emptied; Closed when the caller has gone."""
        while True:
            task = self._control.receive()
            self._is_examined = False  # as the caller says of a doctest
            with socket.socket(fileno=self._control.descriptors[0]) as end:
                report = self._task(task, end)
            if task["kind"] == "doctest" and not self._is_examined:
                self._control.receive()
            is_clean = _sweep()
            self._control.send({**report, "last": not is_clean})
            if not is_clean:
                return

    def _task(self, task: Mapping[str, Any], end: socket.socket) -> dict[str, Any]:
        """Run one task; `end` is the program's own where the caller examines it, else the examiner's to the caller."""
        for name in task["warm"]:
            if name not in self._warm:
                self._warm.add(name)
                with contextlib.suppress(BaseException):
                    importlib.import_module(name)
        for name in task["preload"]:
            try:
                importlib.import_module(name)
            except BaseException as error:  # a module may raise anything, SystemExit among it
                return {"reason": f"import {type(error).__name__}", "cpu": 0.0}
        gc.freeze()  # else every fork copies what the collector touches
        size = self._walls.size()
        started = time.monotonic()
        if task["kind"] == "doctest":
            runner = self._fork(lambda: program.run(task, Channel(end)), task["limits"], size, (end,))
            end.close()
            return {"reason": self._watch(None, (runner,), task["limits"], started), "cpu": self._end(runner)}
        near, far = socket.socketpair()
        runner = self._fork(lambda: program.run(task, Channel(far)), task["limits"], size, (far,))
        far.close()
        alive, lives = os.pipe()
        judge = self._fork(lambda: examiner.run(Channel(near), Channel(end)), task["limits"], size, (near, end), lives)
        os.close(lives)
        near.close()
        try:
            reason = self._watch(alive, (runner, judge), task["limits"], started)
        finally:
            os.close(alive)
        if task["kind"] == "script" and not reason:
            reason = self._exit_of(runner)
        return {"reason": reason, "cpu": self._end(runner, judge)}

    def _fork(
        self,
        act: Callable[[], None],
        limits: Mapping[str, int],
        size: int,
        ends: tuple[socket.socket, ...],
        lives: int | None = None,
    ) -> int:
        """Start a process that has of all open descriptors only `ends`, and `lives`, which tells of its end."""
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            kept = [2, *sorted({end.fileno() for end in ends} | {lives or 2}), _DESCRIPTORS]
            for before, after in pairwise(kept):
                os.closerange(before + 1, after)
            confinement.restrict(limits["memory"], 2 + limits["cpu_ms"] // 1000, limits["file_bytes"], size)
            random.seed(0)
            act()
        finally:
            os._exit(1)

    def _watch(self, alive: int | None, pids: tuple[int, ...], limits: Mapping[str, int], started: float) -> str:
        """Wait for the examiner's end, or until the caller has examined; empty, or the limit that was passed."""
        asked = [self._control.end] if alive is None else [alive, self._control.end]
        while True:
            ready, _, _ = select.select(asked, [], [], _LOOK)
            if self._control.end in ready:
                try:
                    self._control.receive()
                except Closed:
                    self._end(*pids)  # the caller has gone
                    os._exit(0)
                self._is_examined = True
                return ""
            if alive in ready:
                return ""
            if time.monotonic() - started > limits["wall_ms"] / 1000:
                return "stalled"
            if any(_cpu(pid) > limits["cpu_ms"] / 1000 for pid in pids):
                return "timeout"

    def _exit_of(self, pid: int) -> str:
        """How a script ended by itself: its examiner has read all that it printed."""
        for _ in range(100):
            found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is not None:
                return "" if found.si_code == os.CLD_EXITED and found.si_status == 0 else "exited"
            _sleep(_LOOK)
        return "stalled"

    def _end(self, *pids: int) -> float:
        """Kill and reap them with all that they started; the CPU seconds of the first."""
        for pid in pids:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)
        used, *_ = [os.wait4(pid, 0)[2] for pid in pids]
        if self._is_first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # everything in this process namespace but the first process
        while True:
            try:
                pid, _ = os.waitpid(-1, 0 if self._is_first else os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:  # orphans that left the group: without a namespace they are found by their parent
                orphans = _children()
                if not orphans:
                    break
                for orphan in orphans:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(orphan, signal.SIGKILL)
                        os.waitpid(orphan, 0)
        return used.ru_utime + used.ru_stime


def _sweep() -> bool:
    """Empty the scratch folder; False where a program has seen to it that this fails.

    Folders inside folders are lifted to the top first: a program may nest them deeper than any recursion goes, and
    take its rights from them.
    """
    lifted = 0
    try:
        while entries := list(os.scandir(".")):
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, 0o700)
                for inner in list(os.scandir(entry.path)):
                    if inner.is_dir(follow_symlinks=False):
                        os.chmod(inner.path, 0o700)
                        lifted += 1
                        os.rename(inner.path, f".lifted-{os.getpid()}-{lifted}")
                    else:
                        os.unlink(inner.path)
                os.rmdir(entry.path)
    except OSError:
        return False
    return True


def _skip(seconds: float) -> None:
    """What `time.sleep` is in here: nobody else runs beside a program, so there is nothing to wait for.

    Code that tries again after a pause fails at once, by its own error and not by the wall clock.
    """
    _sleep(min(seconds, 0))


def _cpu(pid: int) -> float:
    """CPU seconds of a process, by its clock (clock_getcpuclockid(3)); 0 where there is no such clock."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def _children() -> list[int]:
    """Direct children of this process, where the system tells."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main(sys.argv[1:])
