"""Who really called whom: a distribution's own test suite run under tracing, the truth that call graphs are held to.

This is the one place that executes foreign code, in a process of its own (`corpus.tracer`) with limits on processor
time, memory and wall clock. A run that failed, was killed or executed nothing is an error, never an empty truth.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from corpus.distributions import Distribution, module_name
from corpus.errors import CorpusError

FORMAT: Final = "corpus-trace-1"
_CHILD: Final = Path(__file__).with_name("tracer.py")
_OUTCOMES: Final = ("passed", "failed", "skipped")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use: processor and wall-clock seconds, bytes of address space and of any file it writes."""

    cpu_s: int = 600
    wall_s: int = 900
    memory: int = 8 << 30
    file: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Executed:
    """A function that ran: `file` under the distribution's root, `line` its first, `lines` those that ran."""

    name: str
    file: str
    line: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """`caller` called `callee` at a place in `file` (line from 1, column from 0 in bytes, as in `ast`).

    `is_call` where a call expression stands there that means the callee; else an operator, a property, a protocol
    method or a callback handed to another function brought it about.
    """

    caller: str
    callee: str
    file: str
    span: tuple[int, int, int, int]
    is_call: bool


@dataclass(frozen=True)
class Trace:
    """One run. Names are those of the graph: module and `__qualname__`; lambdas and comprehensions belong to the
    function around them, wrappers of decorators are left out. Only the distribution's own non-test files count.
    """

    distribution: str
    version: str
    python: str
    tests: tuple[str, ...]
    outcomes: Mapping[str, int]
    functions: tuple[Executed, ...]
    edges: tuple[Edge, ...]

    def adjacency(self, calls_only: bool = True) -> dict[str, list[str]]:
        """Executed function -> the functions it called, sorted; with `calls_only`, by call expressions."""
        found: dict[str, set[str]] = {each.name: set() for each in self.functions}
        for edge in self.edges:
            if edge.is_call or not calls_only:
                found.setdefault(edge.caller, set()).add(edge.callee)
        return {caller: sorted(callees) for caller, callees in sorted(found.items())}

    def lines(self) -> dict[str, frozenset[int]]:
        """Executed function -> its lines that ran: a call site elsewhere has no truth."""
        return {each.name: frozenset(each.lines) for each in self.functions}

    def describe(self) -> str:
        """The run in one line."""
        calls = sum(edge.is_call for edge in self.edges)
        tests = ", ".join(f"{self.outcomes[key]:,} {key}" for key in _OUTCOMES if self.outcomes[key])
        return (
            f"{self.distribution} {self.version}: {tests}; {len(self.functions):,} functions executed, "
            f"{len(self.edges):,} sites with an edge, {calls:,} of them call expressions"
        )


def trace(
    distribution: Distribution,
    tests: Sequence[str],
    *,
    cache: Path | None = None,
    limits: Limits = Limits(),
    python: str = sys.executable,
    script: bool = False,
) -> Trace:
    """Run the test modules (dotted names) of an installed distribution and return what they executed.

    Kept under `cache` by the digest of the distribution's files, the tests, the tracer and the Python version, if
    given. With `script`, `tests` are imported one by one, without pytest. Raises CorpusError where no test is named,
    nothing passes, or the run breaks a limit.
    """
    if not tests:
        raise CorpusError(f'distribution "{distribution.name}": no test module is named; name some to trace')
    kept = cache / "traces" / f"{_digest(distribution, tests, python, script)}.json" if cache is not None else None
    if kept is not None and (found := _kept(kept)) is not None:
        return found
    raw = _run(distribution, tests, limits, python, script)
    found = _trace(distribution, tests, raw)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = kept.with_name(f".{kept.name}.{os.getpid()}")
        draft.write_text(json.dumps({"format": FORMAT, **asdict(found)}), encoding="utf-8")
        os.replace(draft, kept)
    return found


def _digest(distribution: Distribution, tests: Sequence[str], python: str, script: bool) -> str:
    """Everything that decides what a run gives: files beside the sources (tests, data) count, too."""
    version = platform.python_version() if python == sys.executable else python
    hashed = hashlib.sha256(repr((FORMAT, distribution.name, distribution.version, version, script)).encode())
    hashed.update(repr(list(tests)).encode())
    hashed.update(_CHILD.read_bytes())
    for file in _package_files(distribution):
        hashed.update(distribution.relative(file).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()


def _package_files(distribution: Distribution) -> Iterator[Path]:
    """Python files of the distribution's packages, tests among them."""
    tops = sorted({distribution.relative(file).partition("/")[0] for file in distribution.files})
    for top in tops:
        place = distribution.root / top
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _run(distribution: Distribution, tests: Sequence[str], limits: Limits, python: str, script: bool) -> dict[str, Any]:
    files = {str(file): module_name(distribution.relative(file)) for file in distribution.files}
    with tempfile.TemporaryDirectory(prefix="corpus-trace-") as folder:
        place = Path(folder)
        (place / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        arguments = list(tests)
        if not script:
            options = (
                "-q",
                "-p",
                "no:cacheprovider",
                "-c",
                str(place / "pytest.ini"),
                "--rootdir",
                folder,
                "-W",
                "ignore",
            )
            arguments = [*options, "--pyargs", *tests]
        request = {
            "files": files,
            "path": [str(distribution.root)],
            "arguments": arguments,
            "script": script,
            "output": str(place / "trace.json"),
        }
        (place / "request.json").write_text(json.dumps(request), encoding="utf-8")
        (place / "work").mkdir()
        status, said = _child([python, "-P", "-B", str(_CHILD), str(place / "request.json")], place / "work", limits)
        named = f'distribution "{distribution.name}": tracing its tests'
        if status == "wall":
            raise CorpusError(f"{named} took more than {limits.wall_s} s; name fewer test modules")
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            raise CorpusError(
                f"{named} was killed (limits: {limits.cpu_s} s of processor time, {limits.memory >> 20:,} MiB)"
            )
        if status != 0 or not (place / "trace.json").exists():
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            raise CorpusError(f"{named} ended with status {status}: {last[0][:300]}")
        raw: dict[str, Any] = json.loads((place / "trace.json").read_text(encoding="utf-8"))
        if not raw["outcomes"]["passed"]:
            last = said.strip().splitlines()[-1:] or ["pytest said nothing"]
            raise CorpusError(f"{named}: no test passed ({last[0][:300]}); are {', '.join(tests)} its test modules?")
        return raw


def _child(command: list[str], work: Path, limits: Limits) -> tuple[int | str, str]:
    """Exit status ("wall" where it ran too long) and what it said; the whole group of processes is gone after."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(work),
        "TMPDIR": str(work),
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_limiter(limits),
        )
        try:
            status: int | str = process.wait(limits.wall_s)
        except subprocess.TimeoutExpired:
            status = "wall"
        finally:
            _kill_group(process)
        output.seek(0)
        return status, output.read().decode("utf-8", "replace")


def _limiter(limits: Limits) -> Callable[[], None]:
    wanted = {
        resource.RLIMIT_CPU: limits.cpu_s,
        resource.RLIMIT_AS: limits.memory,
        resource.RLIMIT_FSIZE: limits.file,
        resource.RLIMIT_CORE: 0,
    }

    def limit() -> None:
        for kind, most in wanted.items():
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (most, hard) if hard == resource.RLIM_INFINITY or most <= hard else (hard, hard))

    return limit


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _trace(distribution: Distribution, tests: Sequence[str], raw: Mapping[str, Any]) -> Trace:
    def relative(path: str) -> str:
        return distribution.relative(Path(path))

    return Trace(
        distribution.name,
        distribution.version,
        raw["python"],
        tuple(tests),
        raw["outcomes"],
        tuple(Executed(r["name"], relative(r["file"]), r["line"], tuple(r["lines"])) for r in raw["functions"]),
        tuple(
            Edge(r["caller"], r["callee"], relative(r["file"]), tuple(r["span"]), r["is_call"]) for r in raw["edges"]
        ),
    )


def _kept(path: Path) -> Trace | None:
    """A trace of an earlier run; None where there is none or it is damaged."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        if row.pop("format") != FORMAT:
            return None
        row["tests"] = tuple(row["tests"])
        row["functions"] = tuple(Executed(**{**each, "lines": tuple(each["lines"])}) for each in row["functions"])
        row["edges"] = tuple(Edge(**{**each, "span": tuple(each["span"])}) for each in row["edges"])
        return Trace(**row)
    except (OSError, ValueError, KeyError, TypeError):
        return None
