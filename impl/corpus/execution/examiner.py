"""The tests, against values that come from elsewhere.

Tests that are code are run in a process of their own, which reads them from a channel and writes the verdict there;
the examples of a doctest are compared by whoever holds them. Nothing here may execute, import or unpickle anything that
a program sent: an answer is plain data, and only tests turn it into a verdict.
"""

import builtins
import contextlib
import doctest
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from corpus.execution import values
from corpus.execution.channel import Channel, Closed, TooLong

CANDIDATE: Final = "candidate"
"""The name under which tests find the program's function, beside its own."""

LEAST: Final = "untested"
"""The reason where tests ended without asking the program for anything: that proves nothing."""

_FILE: Final = "<tests>"
_LONGEST_OUTPUT: Final = 16 * 2**20  # bytes of stdout of one script
_FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_TOLERANCE: Final = 1e-6

_MOST_MODULES: Final = 5_000

Verdict = tuple[bool, str]


class _OutError(BaseException):
    """The program is out, whatever the tests would make of it: no `except Exception` of theirs may catch it."""


def run(program: Channel, verdict: Channel) -> None:
    """Judge one program: tests in, verdict out, on `verdict`."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115
    tests = verdict.receive()
    verdict.send(_KINDS[tests["kind"]](tests, program))


# -- a function against assertions -----------------------------------------------------------------


class _Candidate:
    """Stands for the program's function among the tests: arguments out, answers in."""

    def __init__(self, program: Channel) -> None:
        self._program = program
        self.calls = 0
        self.out = ""
        self.raised: BaseException | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if self.out:
            raise _OutError
        answer = self._ask(arguments, keywords)
        if answer[0] == "ended":
            self._end("exited")
        if answer[0] == "raised":
            self.raised = _exception(str(answer[1]), str(answer[2]))
            raise self.raised
        try:
            return values.loads(answer[1])
        except values.ValueDamage:
            self._end("no-value")

    def _ask(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        try:
            request = values.dumps([list(arguments), keywords])
        except values.ValueDamage:
            self._end("arguments")
        self.calls += 1
        try:
            self._program.send(request)
            answer = self._program.receive()
        except Closed:
            self._end("exited")
        match answer:
            case ["value", str()] | ["raised", str(), str()] | ["ended", str()]:
                return list(answer)
        self._end("no-value")

    def _end(self, reason: str) -> Any:
        self.out = self.out or reason
        raise _OutError


def _call(tests: Mapping[str, Any], program: Channel) -> Verdict:
    refused = _refused(program)
    if refused:
        return False, refused
    candidate = _Candidate(program)
    namespace = {"__name__": "tests", "__builtins__": builtins}
    try:
        exec(compile(tests["context"], _FILE, "exec", dont_inherit=True), namespace)
        namespace[tests["entry"]] = namespace[CANDIDATE] = candidate
        exec(compile(tests["test"], _FILE, "exec", dont_inherit=True), namespace)
    except _OutError:
        pass
    except AssertionError as error:
        return False, candidate.out or (_raised(error) if error is candidate.raised else "wrong-answer")
    except BaseException as error:
        # The tests stumbled over an answer (None[0]), or over themselves: then the canonical solution fails, too.
        return False, candidate.out or (_raised(error) if error is candidate.raised else _named("misfit", error))
    if candidate.out:
        return False, candidate.out
    return (True, "") if candidate.calls else (False, LEAST)


def _refused(program: Channel) -> str:
    """Empty where the program is ready, else why it is not."""
    try:
        answer = program.receive()
    except Closed:
        return "exited"
    match answer:
        case ["ready"]:
            return ""
        case ["unready", str(name)]:
            return f"unready {_word(name)}"
    return "no-value"


def _exception(name: str, message: str) -> BaseException:
    """What the program raised, as the same builtin exception, else as one of that name."""
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = type(_word(name), (Exception,), {})
    try:
        return kind(message)
    except TypeError:  # UnicodeDecodeError wants five arguments
        return ValueError(message)


def _raised(error: BaseException) -> str:
    return _named("raised", error)


def _named(word: str, error: BaseException) -> str:
    return f"{word} {_word(type(error).__name__)}"


def _word(name: str) -> str:
    return name if name.isidentifier() and name.isascii() and len(name) < 80 else "Exception"


# -- doctest examples ------------------------------------------------------------------------------


def doctests(tests: Mapping[str, Any], program: Channel) -> tuple[bool, str, list[str]]:
    """Verdict, reason, and what the program says to have imported, where the tests ask for that.

    Late, which the channel may raise, is no verdict on the program.
    """
    passed, reason = _doctest(tests, program)
    return passed, reason, _loaded(program) if passed and tests["asks_loaded"] else []


def _doctest(tests: Mapping[str, Any], program: Channel) -> Verdict:
    refused = _refused(program)
    if refused:
        return False, refused
    checker = doctest.OutputChecker()
    shown = 0
    for source, want, error, flags in tests["examples"]:
        try:
            program.send(source)
            answer = program.receive()
        except TooLong:
            return False, "output"
        except Closed:
            return False, "exited"
        match answer:
            case ["ended", str()]:
                return False, "exited"
            case ["shown", str(got), str(raised)]:
                shown += 1
            case _:
                return False, "no-value"
        if error is not None and raised:
            if not (checker.check_output(error, raised, flags | _FLAGS) or flags & doctest.IGNORE_EXCEPTION_DETAIL):
                return False, "wrong-answer"
        elif raised:
            return False, f"raised {_word(raised.partition(':')[0].strip().rpartition('.')[2])}"
        elif error is not None or not checker.check_output(want, got, flags | _FLAGS):
            return False, "wrong-answer"
    return (True, "") if shown else (False, LEAST)


def _loaded(program: Channel) -> list[str]:
    """Modules that the program says to have imported since it began."""
    try:
        program.send(None)
        answer = program.receive()
    except Closed:
        return []
    match answer:
        case ["loaded", [*names]] if len(names) <= _MOST_MODULES and all(isinstance(name, str) for name in names):
            return sorted(names)
    return []


# -- scripts ---------------------------------------------------------------------------------------


def _script(tests: Mapping[str, Any], program: Channel) -> Verdict:
    out = bytearray()
    with contextlib.suppress(ConnectionError):
        while part := program.end.recv(2**16):
            out += part
            if len(out) > _LONGEST_OUTPUT:
                return False, "output"
    got, want = out.decode(errors="replace").split(), tests["stdout"].split()
    return (True, "") if len(got) == len(want) and all(map(_alike, got, want)) else (False, "wrong-answer")


def _alike(got: str, want: str) -> bool:
    """Equal words; numbers with a point may differ by rounding."""
    if got == want:
        return True
    if "." not in want:
        return False
    try:
        return math.isclose(float(got), float(want), rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    except ValueError:
        return False


_KINDS: Final = {"call": _call, "script": _script}
