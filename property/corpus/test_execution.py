"""Laws of execution: a program gets the label that its answers earn, whatever it tries, and leaves nothing behind.

Every attack is tried inside the full walls and inside those that need no namespace. Each would earn the program a
pass, or harm the host, if the wall that it names were not there.
"""

import os
import socket
import sqlite3
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus.errors import CorpusError
from corpus.execution import confinement, examiner, labels, program, sandbox
from corpus.execution.channel import Channel, Late
from corpus.execution.sandbox import Call, Doctest, Example, Limits, Outcome, Sandbox, Script

TEST = "assert f(1) == 2\nassert f(2) == 3"
RIGHT = "def f(x):\n    return x + 1"
ORDINARY = Limits()
BRIEF = Limits(cpu_ms=200, wall_ms=700)


@pytest.fixture(scope="module", params=["walls", "no namespaces"])
def cells(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(1, spaces=confinement.SPACES if request.param == "walls" else ()) as found:
        yield found


def call(source: str, test: str = TEST, limits: Limits = ORDINARY, entry: str = "f", context: str = "") -> Call:
    return Call(source, entry, test, context, limits)


def body(*lines: str, then: str = "return x + 1") -> str:
    return "\n".join(
        ["import builtins, ctypes, gc, json, os, signal, sys", "def f(x):", *("    " + line for line in (*lines, then))]
    )


ATTACKS = {
    # -- forging the result
    "exits with success": body("os._exit(0)"),
    "raises SystemExit": body("sys.exit(0)"),
    "raises SystemExit at once": "raise SystemExit(0)",
    "prints the verdict": body("print('passed', flush=True)", "os.write(1, b'[true, \"\"]')", then="return None"),
    "patches AssertionError": body(
        "builtins.AssertionError = type('E', (Exception,), {'__init__': lambda *_: os._exit(0)})", then="return None"
    ),
    "redefines check": "def check(candidate): pass\nimport sys\nsys.modules['__main__'].check = check\ndef f(x): pass",
    "answers with what equals everything": "class E(int):\n    __eq__ = lambda *_: True\ndef f(x): return E(99)",
    "answers with a stranger that equals everything": "class E:\n    __eq__ = lambda *_: True\ndef f(x): return E()",
    "writes the verdict to every descriptor": body(
        "data = json.dumps([True, '']).encode()",
        "data = len(data).to_bytes(8, 'big') + data",
        "for number in range(3, 256):",
        "    try: os.write(number, data)",
        "    except OSError: pass",
        then="return None",
    ),
    "looks for the tests in memory": body(
        "held = [each for each in gc.get_objects() if type(each) is dict and {'test', 'context'} & set(each)]",
        then="return x + 1 if held else None",
    ),
    "looks for the tests in the frames": body(
        "mark, frame, held = ' == '.join(['f(1)', '2']), sys._getframe().f_back, False",
        "while frame:",
        "    held = held or mark in str(frame.f_locals)",
        "    frame = frame.f_back",
        then="return x + 1 if held else None",
    ),
    "opens the examiner": body(
        "held = 0",
        "for pid in range(os.getppid(), os.getppid() + 20):",
        "    held += ctypes.CDLL(None).ptrace(16, pid, 0, 0) == 0",
        "    try: open(f'/proc/{pid}/mem', 'r+b').close(); held += pid != os.getpid()",
        "    except OSError: pass",
        then="return x + 1 if held else None",
    ),
    # -- harming the host
    "kills its parent": body("os.kill(os.getppid(), signal.SIGKILL)"),
    "stops its parent": body("os.kill(os.getppid(), signal.SIGSTOP)"),
    "kills everything": body("os.kill(-1, signal.SIGKILL)"),
    "leaves a thread": body("import threading, time", "threading.Thread(target=time.sleep, args=(60,)).start()"),
    "leaves a daemon": body("import subprocess", "subprocess.Popen(['sleep', '60'], start_new_session=True)"),
    "is a fork bomb": body("while True: os.fork()"),
    "takes 10 GB": body("held = bytearray(10 * 2**30)"),
    "takes 10 GB of shared memory": body("import mmap", "held = mmap.mmap(-1, 10 * 2**30)"),
    "takes memory bit by bit": body("held = []", "while True: held.append(bytearray(2**26))"),
    "fills a file": body("open('file', 'wb').write(bytes(2**25))"),
    "loops": body("while True: pass"),
    "waits": body("import select", "select.select([], [], [], 60)"),
    "never answers": body("signal.pause()"),
    "opens a socket": body("import socket", "socket.socket()"),
    "recurses": body(then="return f(x)"),
    "crashes": body("ctypes.string_at(0)"),
    "raises its limits": body("import resource", "resource.setrlimit(resource.RLIMIT_NPROC, (99, 99))"),
    "becomes root": body(then="return x + 1 if ctypes.CDLL(None).unshare(0x10000000) == 0 else None"),
    "answers without end": body(then="return 'x' * 2**29"),
    "answers too deep": body("held = []", "for _ in range(10**5): held = [held]", then="return held"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("attack", ATTACKS)
def test_law_no_attack_earns_a_pass_or_harms_the_host(
    cells: Sandbox, bystander: subprocess.Popen[bytes], attack: str
) -> None:
    if sys.platform != "linux" and "kill" in attack:
        pytest.skip("nothing keeps a program from signals here")
    outcome = cells.run(call(ATTACKS[attack], limits=BRIEF))
    assert not outcome.passed
    assert outcome.reason
    assert bystander.poll() is None
    # The next program is judged as if nothing had been.
    assert cells.run(call(RIGHT)) == Outcome(True)


@pytest.mark.parametrize(
    ("attack", "reason", "limits"),
    [
        ("loops", "timeout", Limits(cpu_ms=200, wall_ms=60_000)),
        ("waits", "stalled", Limits(cpu_ms=60_000, wall_ms=300)),
        ("takes 10 GB", "raised MemoryError", Limits()),
        ("exits with success", "exited", Limits()),
    ],
)
def test_example_why_an_attack_failed(cells: Sandbox, attack: str, reason: str, limits: Limits) -> None:
    assert cells.run(call(ATTACKS[attack], limits=limits)).reason == reason


@pytest.mark.parametrize(
    "write", ["open('/usr/written', 'w')", "open(sys.prefix + '/written', 'w')", "open('/written', 'w')"]
)
def test_law_only_the_scratch_folder_can_be_written(cells: Sandbox, write: str) -> None:
    if "files" in cells.missing:
        assert "may write where this user may" in cells.missing["files"]
        return
    assert cells.run(call(body(write))).reason == "raised OSError"
    assert cells.run(call(body("open('written', 'w').write('x')"))) == Outcome(True)


def test_law_what_a_program_wrote_is_gone_for_the_next(cells: Sandbox) -> None:
    nest = body("for _ in range(300): os.mkdir('d'); os.chdir('d')", "os.chmod('..', 0)", "open('file', 'w')")
    assert cells.run(call(nest, "assert f(1) == 2")) == Outcome(True)
    assert cells.run(call("import os\ndef f(x): return os.listdir('.')", "assert f(1) == []")) == Outcome(True)


def test_law_a_program_sees_nothing_of_the_host(cells: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("2")
    reads = f"def f(x):\n    return int(open({str(tmp_path / 'secret')!r}).read()) + x - 1"
    imports = "def f(x):\n    import corpus\n    return x + 1"
    if "files" in cells.missing:
        assert "see the whole file system" in cells.missing["files"]
        return
    assert cells.run(call(reads)).reason == "raised FileNotFoundError"
    assert cells.run(call(imports)).reason == "raised ModuleNotFoundError"


def test_law_missing_walls_are_named() -> None:
    with Sandbox(1, spaces=()) as bare:
        assert {"files", "processes", "ipc"} <= set(bare.missing) <= set(confinement.MISSING)
    with Sandbox(1, spaces=("network", "processes")) as some:
        assert "files" in some.missing
        assert some.run(call(RIGHT)) == Outcome(True)


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_law_nothing_is_left_to_be_reaped() -> None:
    before = set(psutil.Process().children(recursive=True))
    with Sandbox(2) as many:
        many.run_all([call(RIGHT)] * 8)
        cells = set(psutil.Process().children(recursive=True)) - before
        assert len(cells) >= 2
        many.run_all([call(ATTACKS[name]) for name in ("exits with success", "leaves a daemon", "loops", "crashes")])
        left = set(psutil.Process().children(recursive=True)) - before - cells
        assert not left
    assert not [each for each in cells if each.is_running()]  # a zombie is one that runs


def test_law_a_cell_ends_with_its_caller() -> None:
    script = (
        "import sys, os\nfrom corpus.execution.sandbox import Sandbox\n"
        "cell = Sandbox(1)._start()\nprint(cell._process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    root = str(Path(sandbox.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    pid = int(done.stdout)
    for _ in range(200):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the cell outlives its caller")


# -- labels that are earned ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        (call(RIGHT), Outcome(True)),
        (call("def f(x):\n    return x - 1"), Outcome(False, "wrong-answer")),
        (call("def f(x):\n    return {}[x]"), Outcome(False, "raised KeyError")),
        (call("def f(x):\n    return None", "assert f(1)[0] == 2"), Outcome(False, "misfit TypeError")),
        (call("def g(x): pass"), Outcome(False, "unready KeyError")),
        (call("def f(x:"), Outcome(False, "unready SyntaxError")),
        (call(RIGHT, "assert True"), Outcome(False, "untested")),
        (call(RIGHT, "f(lambda: 0)"), Outcome(False, "raised TypeError")),
        # tests that expect an exception get the builtin one, and nothing but an Exception
        (call("def f(x):\n    raise ValueError('no')", "try:\n    f(1)\nexcept ValueError as e:\n    assert str(e) == 'no'\nelse:\n    assert 0"), Outcome(True)),
        (call("def f(x):\n    raise SystemExit", "try:\n    f(1)\nexcept BaseException:\n    pass"), Outcome(False, "exited")),
        (call("def f(x):\n    raise AssertionError"), Outcome(False, "raised AssertionError")),
        # helpers of the problem's own text are at hand for the tests, the program's version of them is not
        (call("def g(x): return 0\n" + RIGHT, "assert f(g(1)) == 11", context="def g(x): return x * 10"), Outcome(True)),
        (call("def check(x):\n    return x + 1", "def check(candidate):\n    assert candidate(1) == 2\ncheck(candidate)", entry="check"), Outcome(True)),
        # what a function does to its arguments stays with it
        (call("def f(x):\n    x.clear()\n    return x", "held = [1]\nassert f(held) == held"), Outcome(False, "wrong-answer")),
        (Script("print(int(input()) + 1)", (("1\n", "2\n"), ("5\n", "6"))), Outcome(True)),
        (Script("print(int(input()) + 1)", (("1\n", "2\n"), ("5\n", "7"))), Outcome(False, "wrong-answer")),
        (Script("import os\nprint(2, flush=True)\nos._exit(0)", (("", "2"),)), Outcome(True)),
        (Script("print(2, flush=True)\n1 / 0", (("", "2"),)), Outcome(False, "exited")),
        (Script("print(0.1 + 0.2, 'YES')", (("", "0.3 YES"),)), Outcome(True)),
        (Script("print(3, 'YES')", (("", "3.1 YES"),)), Outcome(False, "wrong-answer")),
        (Script("while True: print('x' * 10**6)", (("", "2"),)), Outcome(False, "output")),
        (Script("import sys\nexit(0) if print(2) is None else 0", (("", "2"),)), Outcome(True)),
    ],
)  # fmt: skip
def test_example_labels(cells: Sandbox, task: sandbox.Task, outcome: Outcome) -> None:
    assert cells.run(task) == outcome


HEAP = (
    Example("h = []\n", ""),
    Example("for v in (3, 1, 2): heappush(h, v)\n", ""),
    Example("[heappop(h) for _ in range(3)]", "[1, 2, 3]\n"),
    Example("heappop(h)", "", "IndexError: index out of range\n"),
)
PUSH = "def merge(*iterables, key=None, reverse=False):\n    return iter({})"
MERGE = (Example("import heapq", ""), Example("list(heapq.merge([1, 3], [2]))", "[1, 2, 3]\n"))


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        (Doctest(None, "heapq", "merge", HEAP), Outcome(True)),
        (Doctest(None, "heapq", "merge", MERGE), Outcome(True)),
        # the examples import the function anew, and still meet the version that is judged
        (Doctest(PUSH.format("[1, 2, 3]"), "heapq", "merge", MERGE), Outcome(True)),
        (Doctest(PUSH.format("[1, 3, 2]"), "heapq", "merge", MERGE), Outcome(False, "wrong-answer")),
        (Doctest(PUSH.format("None"), "heapq", "merge", MERGE), Outcome(False, "raised TypeError")),
        (Doctest(PUSH.format("exit()"), "heapq", "merge", MERGE), Outcome(False, "exited")),
        (Doctest("def nobody(): pass", "heapq", "nobody", MERGE), Outcome(False, "unready KeyError")),
        (Doctest(None, "heapq", "merge", MERGE, preload=("no.such.module",)), Outcome(False, "import ModuleNotFoundError")),
        (Doctest(None, "heapq", "merge", ()), Outcome(False, "untested")),
        # a property, and a method with a private name and super()
        (Doctest("@property\ndef numerator(a):\n    return 7", "fractions", "Fraction.numerator", (Example("Fraction(1, 2).numerator", "7\n"),)), Outcome(True)),
        (Doctest("def __repr__(self):\n    return super().__repr__()[:7]", "collections", "Counter.__repr__", (Example("Counter()", "Counter\n"),)), Outcome(False, "unready LookupError")),
        (Doctest("@classmethod\ndef fromkeys(cls, iterable, v=None):\n    return 5", "collections", "Counter.fromkeys", (Example("Counter.fromkeys('a')", "5\n"),)), Outcome(True)),
    ],
)  # fmt: skip
def test_example_doctests(cells: Sandbox, task: Doctest, outcome: Outcome) -> None:
    assert cells.run(task) == outcome


FORGED = """def merge(*items):
    import array, json, os, socket
    for number in range(3, 64):
        try:
            end = socket.socket(fileno=number)
        except OSError:
            continue
        for said in {said}:
            data = json.dumps(said).encode()
            data = len(data).to_bytes(8, "big") + data
            held = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [end.fileno()]))]
            try:
                end.sendmsg([data], held)
            except OSError:
                pass
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted in /proc")
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([["shown", "", ""]], "wrong-answer"),  # said before its time, with a descriptor for whoever reads it
        ([[True, "", []], ["passed"], None], "no-value"),
        ([["shown", "x" * (5 * 2**20), ""]], "output"),  # more than anybody shows
    ],
)
def test_law_a_doctest_cannot_be_answered_by_other_means(cells: Sandbox, said: list[Any], reason: str) -> None:
    """Its examples are compared here: what comes is text, no descriptor is taken, and a verdict cannot come."""
    right = Doctest(None, "heapq", "merge", MERGE)
    assert cells.run(right) == Outcome(True)  # the cell is there
    before = set(os.listdir("/proc/self/fd"))
    shown = (Example("merge([1], [2])", "[1, 2]\n"), Example("merge([1], [2])", "[1, 2]\n"))
    assert cells.run(Doctest(FORGED.format(said=said), "heapq", "merge", shown)) == Outcome(False, reason)
    assert set(os.listdir("/proc/self/fd")) == before
    assert cells.run(right) == Outcome(True)


READ = """def merge(*items, key=None, reverse=False):
    import ast, doctest, {imports}
    for each in doctest.DocTestParser().get_examples({text}):
        if each.source.startswith('list(merge(['):
            return iter(ast.literal_eval(each.want))
"""
SHOWN = (Example("list(merge([1,3,5,7], [0,2,4,8], [5,10,15,20], [], [25]))\n", "[0, 1, 2, 3, 4, 5, 5, 7, 8, 10, 15, 20, 25]\n"),)  # fmt: skip


@pytest.mark.parametrize(
    ("imports", "text", "reason"),
    [
        ("heapq", "heapq.merge.__doc__", ""),
        ("heapq, inspect", "inspect.getdoc(heapq.merge)", ""),
        ("heapq", "open(heapq.__file__).read()", "PermissionError"),
        ("heapq, os", "open(os.symlink(heapq.__file__, 'link') or 'link').read()", "PermissionError"),
        ("heapq, os", "os.fdopen(os.open(heapq.__file__, os.O_RDONLY)).read()", "PermissionError"),
        ("heapq, os", "open(HELD, 'rb').read().decode('latin-1')", "PermissionError"),
        ("heapq, inspect", "inspect.getsource(heapq)", "OSError"),
        ("heapq", "heapq.__loader__.get_source('heapq')", "ImportError"),
    ],
)
def test_law_a_doctest_is_not_answered_from_its_docstring(cells: Sandbox, imports: str, text: str, reason: str) -> None:
    right = Doctest(None, "heapq", "merge", SHOWN)
    assert cells.run(right) == Outcome(True)
    bytecode = "heapq.__cached__ if os.path.exists(heapq.__cached__) else heapq.__file__"
    read = READ.format(imports=imports, text=text.replace("HELD", bytecode))
    outcome = cells.run(replace(right, source=read))
    assert outcome == Outcome(False, f"raised {reason or 'TypeError'}")


def test_law_what_wraps_a_function_keeps_none_of_its_examples() -> None:
    """Properties, class methods, what `functools` wraps, classes inside classes: what is the module's in any way."""
    module = types.ModuleType("module")
    exec(WRAPPED, vars(module))
    program._hide_answers(module, "Outer.Inner.cached")
    assert module.plain.__doc__ == "Nothing to show."
    inner = vars(module.Outer.Inner)
    held = [module, module.Outer, module.Outer.Inner, module.kept, module.kept.__wrapped__, *inner.values()]
    held += [inner["one"].fget, inner["two"].__func__, inner["three"].__func__, inner["cached"].func]
    assert not [each for each in held if ">>>" in (each.__doc__ or "")]


WRAPPED = '''
"""
>>> 1
"""
import functools
def plain():
    "Nothing to show."
@functools.lru_cache
def kept():
    ">>> 1"
class Outer:
    ">>> 1"
    class Inner(list):
        ">>> 1"
        @property
        def one(self):
            ">>> 1"
        @classmethod
        def two(cls):
            ">>> 1"
        @staticmethod
        def three():
            ">>> 1"
        @functools.cached_property
        def cached(self):
            ">>> 1"
'''


def test_law_what_is_late_is_no_verdict_on_a_program() -> None:
    """An import that takes longer than the caller waits says nothing of the program: it is run again, and alone."""
    near, far = socket.socketpair()
    with near, far:
        channel = Channel(near, deadline=time.monotonic() + 0.05)
        with pytest.raises(Late):
            examiner.doctests({"examples": [], "asks_loaded": False}, channel)
    near, far = socket.socketpair()
    watched, watcher = socket.socketpair()
    with near, far, watched:
        watcher.close()
        channel = Channel(near, deadline=time.monotonic() + 60, watcher=watched)
        with pytest.raises(Late):
            examiner.doctests({"examples": [], "asks_loaded": False}, channel)


def test_law_drops_of_an_answer_do_not_put_the_deadline_off() -> None:
    near, far = socket.socketpair()
    with near, far:
        for _ in range(3):
            far.send(b"\0")
        started = time.monotonic()
        with pytest.raises(Late):
            Channel(near, deadline=time.monotonic() + 0.1, takes=0).receive()
        assert time.monotonic() - started < 5


def test_law_a_doctest_that_hangs_is_cut_off_and_the_cell_goes_on(cells: Sandbox) -> None:
    endless = Doctest("def merge(*items):\n    while True: pass", "heapq", "merge", MERGE, limits=Limits(cpu_ms=100))
    assert cells.run(endless).reason == "timeout"
    assert cells.run(Doctest(None, "heapq", "merge", MERGE)) == Outcome(True)


numbers = st.lists(st.integers(-9, 9), max_size=6)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers, st.integers(-3, 3))
def test_law_the_label_is_that_of_running_the_tests_here(cells: Sandbox, items: list[int], shift: int) -> None:
    source = f"def f(x):\n    return sorted(x)[{shift}:]"
    expected = sorted(items)[1:]
    here = sorted(items)[shift:] == expected
    assert cells.run(call(source, f"assert f({items}) == {expected}")).passed is here


def test_law_outcomes_do_not_depend_on_order_or_company() -> None:
    tasks = [call(RIGHT), *map(call, list(ATTACKS.values())[:10]), call(RIGHT)]
    with Sandbox(1) as one, Sandbox(3) as three:
        forth = one.run_all(tasks)
        assert three.run_all(tasks[::-1])[::-1] == forth
        assert forth[0] == forth[-1] == Outcome(True)


def test_law_what_a_limit_cut_off_is_run_once_more_and_has_the_outcome_of_its_end() -> None:
    brief = Limits(cpu_ms=100)
    slow = body("import time", "while time.process_time() < 0.25: pass")
    late = slow.replace("return x + 1", "return x")
    with Sandbox(2) as cells:
        tasks = [call(source, limits=brief) for source in (slow, late, ATTACKS["loops"], RIGHT)]
        assert [cells.run(task).reason for task in tasks] == ["timeout", "timeout", "timeout", ""]
        assert cells.run_all(tasks) == [
            Outcome(True), Outcome(False, "wrong-answer"), Outcome(False, "timeout"), Outcome(True),
        ]  # fmt: skip


def test_law_a_pause_takes_no_time_and_a_wrong_one_is_an_error(cells: Sandbox) -> None:
    assert cells.run(call(body("import time", "time.sleep(60)"), limits=BRIEF)) == Outcome(True)
    assert cells.run(call(body("import time", "time.sleep(-1)"), limits=BRIEF)).reason == "raised ValueError"
    assert cells.run(call(body("import time", "time.sleep('1')"), limits=BRIEF)).reason == "raised TypeError"


def test_law_what_is_warm_is_imported_once_and_is_no_reason_to_fail(cells: Sandbox) -> None:
    shows = (Example("import sys, tomllib", ""), Example("'colorsys' in sys.modules", "True\n"))
    task = Doctest(None, "heapq", "merge", shows, asks_loaded=True)
    assert cells.run(task) == Outcome(False, "wrong-answer")
    assert cells.run(replace(task, warm=("no.such.module", "colorsys"))) == Outcome(True)
    told = cells.run(replace(task, examples=(Example("import sys, zipapp", ""), Example("1", "1\n")))).loaded
    assert "zipapp" in told
    assert "sys" not in told
    assert cells.run(replace(task, warm=told, examples=(Example("1", "1\n"),))).loaded == ()


def test_example_the_order_of_a_set_is_fixed_by_the_seed() -> None:
    shown = "def f(x):\n    return list({'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta'})"
    test = "assert f(0) == {}"
    with Sandbox(1) as first, Sandbox(1) as second, Sandbox(1, hash_seed=1) as other:
        code = "import os\ndef f(x): return list({'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta'})"
        order = subprocess.run(
            [sys.executable, "-c", f"{shown}\nprint(f(0))"],
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
        ).stdout.strip()
        task = call(code, test.format(order))
        assert [each.run(task).passed for each in (first, second, other)] == [True, True, False]


# -- known outcomes --------------------------------------------------------------------------------


def test_law_nothing_is_run_twice(tmp_path: Path) -> None:
    memory = tmp_path / "known.sqlite"
    tasks = [call(RIGHT), call("def f(x):\n    return x"), call(RIGHT)]
    with Sandbox(1) as cells:
        first = labels.run_all(cells, tasks, memory)
        ran: list[sandbox.Task] = []
        original = cells.run_all

        def counted(some: list[sandbox.Task]) -> list[Outcome]:
            ran.extend(some)
            return original(some)

        cells.run_all = counted  # type: ignore[method-assign, assignment]
        assert (
            labels.run_all(cells, tasks, memory)
            == first
            == [Outcome(True), Outcome(False, "wrong-answer"), Outcome(True)]
        )
        assert ran == []
        labels.run_all(cells, [call(RIGHT, limits=Limits(cpu_ms=300))], memory)
        assert len(ran) == 1
    assert len({labels.digest(task) for task in tasks}) == 2
    assert labels.digest(tasks[0]) != labels.digest(tasks[0], hash_seed=1)


def test_law_what_depends_on_the_machine_is_not_remembered(tmp_path: Path) -> None:
    waiting = call(ATTACKS["waits"], limits=Limits(cpu_ms=200, wall_ms=200))
    memory = tmp_path / "known.sqlite"
    with Sandbox(1) as cells:
        (outcome,) = labels.run_all(cells, [waiting], memory)
    assert outcome == Outcome(False, "stalled")
    assert outcome.is_doubtful
    with sqlite3.connect(memory) as store:
        assert store.execute("SELECT count(*) FROM labels").fetchone() == (0,)


def test_example_a_damaged_memory_is_named(tmp_path: Path) -> None:
    memory = tmp_path / "known.sqlite"
    memory.write_bytes(b"no database" * 100)
    with Sandbox(1) as cells, pytest.raises(CorpusError, match=r"known\.sqlite: .*; delete the file"):
        labels.run_all(cells, [call(RIGHT)], memory)
