"""Forks processes from one that has already imported what they all need: a hundred short judgements in the time of ten.

The nursery holds libraries only - no project, no gold, no subject - so that a child of it knows no more than a fresh
process would. `python -m assay.nursery SOCKET MODULE...` is the nursery; it ends with its parent.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from assay import scratch
from assay.errors import AssayError

ENVIRONMENT = "ASSAY_NURSERY"
"""Environment variable with the socket of the nursery that worker processes are to come from."""

UNKNOWN = 256
"""Exit status of a child whose nursery is gone: no process ends so."""

_LENGTH = struct.Struct("<i")
_PATIENCE = 120.0
_ORPHAN_CHECK = 0.5
"""Seconds after which a nursery that hears nothing looks whether its parent is still there."""


class Child:
    """A process forked by the nursery; the part of `subprocess.Popen` that is needed of it."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self.pid = connection, pid

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        try:
            return self.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end: its exit status, as subprocess would say it. subprocess.TimeoutExpired if late."""
        self._connection.settimeout(timeout if timeout is None or timeout > 0 else 1e-6)
        try:
            said = self._connection.recv(_LENGTH.size, socket.MSG_PEEK)
        except (TimeoutError, BlockingIOError):
            raise subprocess.TimeoutExpired("a child of the nursery", timeout or 0) from None
        return _LENGTH.unpack(said)[0] if len(said) == _LENGTH.size else UNKNOWN

    def kill(self) -> None:
        """End it and what it started: a child leads its own process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def fork(
    address: str,
    entry: str,
    arguments: Mapping[str, Any],
    streams: Sequence[int],
    environment: Mapping[str, str],
    cwd: Path | None = None,
) -> Child:
    """A child of the nursery at `address` that runs `entry(**arguments)`.

    Args:
        entry: "module:function"; its return value is the exit status (None: 0).
        arguments: plain JSON data.
        streams: descriptors that become the child's 0, 1 and 2; the caller closes its own copies.
        environment: the child's whole environment.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    head = {"entry": entry, "arguments": dict(arguments), "environment": dict(environment), "cwd": str(cwd or Path())}
    data = json.dumps(head).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(data))], list(streams))
    connection.sendall(data)
    (pid,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return Child(connection, pid)


def wait_briefly(environment: MutableMapping[str, str]) -> None:
    """Have threads of OpenMP sleep soon while they wait, unless the environment says how they are to wait.

    They otherwise spin for milliseconds until the slowest of them is there. Beside any other job that one waits for the
    core that they spin on, and training takes ten times as long; alone it takes as long as it did.
    """
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "1000")  # turns


class Nursery:
    """A running nursery; a context manager.

    Args:
        modules: what it imports before the first fork; "module:function" is called, too.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = list(modules)

    def __enter__(self) -> Nursery:
        self._stack = contextlib.ExitStack()
        self.address = str(self._stack.enter_context(scratch.folder("nursery")) / "socket")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        wait_briefly(environment)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "assay.nursery", self.address, *self._modules],
            env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until = time.monotonic() + _PATIENCE
        while not Path(self.address).exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.__exit__(None, None, None)
                raise AssayError(f"the nursery did not come up: it imports {', '.join(self._modules)}")
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._stack.close()


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise AssayError("the nursery has gone; run again")
        data += part
    return data


def _serve(address: str) -> None:
    parent = os.getppid()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(64)
    ended, told = os.pipe()  # a byte comes when a child ends: whoever waits for it hears at once
    for descriptor in (ended, told):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    os.rename(f"{address}.new", address)
    running: dict[int, socket.socket] = {}
    gc.freeze()  # no child goes through all that was imported for rubbish
    while os.getppid() == parent:
        ready, _, _ = select.select([listener.fileno(), ended], [], [], _ORPHAN_CHECK)
        if ended in ready:
            os.read(ended, 4096)
        _reap(running)
        if listener.fileno() not in ready:
            continue
        with contextlib.suppress(OSError, AssayError):
            connection, _ = listener.accept()
            head, streams, _, _ = socket.recv_fds(connection, _LENGTH.size, 3)
            request = json.loads(_exactly(connection, _LENGTH.unpack(head)[0]))
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(ended)
                os.close(told)
                listener.close()
                connection.close()
                for other in running.values():
                    other.close()
                _be(request, streams)
            with contextlib.suppress(OSError):  # the child does so too; whoever is first, `kill` finds the group
                os.setpgid(pid, pid)
            for stream in streams:
                os.close(stream)
            running[pid] = connection
            connection.sendall(_LENGTH.pack(pid))


def _reap(running: dict[int, socket.socket]) -> None:
    """Tell whoever asked for a child that it has ended, and how."""
    while running:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        connection = running.pop(pid, None)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.sendall(_LENGTH.pack(os.waitstatus_to_exitcode(status)))
            connection.close()


def _be(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Become the child: never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        for place, stream in enumerate(streams):
            os.dup2(stream, place)
        for stream in streams:
            if stream > 2:
                os.close(stream)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [path for path in paths if path and path not in sys.path]
        module, _, name = request["entry"].partition(":")
        status = getattr(importlib.import_module(module), name)(**request["arguments"]) or 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    for _name in sys.argv[2:]:
        _module, _, _function = _name.partition(":")
        _found = importlib.import_module(_module)
        if _function:
            getattr(_found, _function)()
    _serve(sys.argv[1])
