"""What runs in the process of a program: it gives values, output or nothing, and cannot give a verdict.

Three kinds of task: a function that is called, a function of a module whose doctest examples are run, a script that
reads stdin. Everything that a program may do to this process (patch json, close descriptors, raise SystemExit, end
it) can only cost it an answer.
"""

import ast
import builtins
import contextlib
import functools
import importlib
import io
import linecache
import os
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from corpus.execution import values
from corpus.execution.channel import Channel, Closed

NAME: Final = "program"
_FILE: Final = "<program>"
_SHORT: Final = {"np": "numpy", "pd": "pandas", "nx": "networkx"}


def run(task: Mapping[str, Any], channel: Channel) -> None:
    """Serve one task until the examiner has gone. `task` holds nothing that the program may not know."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    _open_streams()
    # What this project has loaded here is not for the program, nor is the cell's own module.
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__.partition(".")[0]]:
        del sys.modules[name]
    sys.modules["__main__"] = types.ModuleType("__main__")
    if task["kind"] == "script":
        _script(task, channel)
        return
    with contextlib.suppress(Closed):
        try:
            act = _function(task) if task["kind"] == "call" else _examples(task)
        except BaseException as error:
            channel.send(["unready", type(error).__name__])
            return
        channel.send(["ready"])
        while True:
            request = channel.receive()
            try:
                answer = act(request)
            except Exception as error:
                answer = ["raised", type(error).__name__, str(error)[:1000]]
            except BaseException as error:  # SystemExit, KeyboardInterrupt: it wanted to end
                answer = ["ended", type(error).__name__]
            channel.send(answer)


def _open_streams() -> None:
    """Fresh streams on the descriptors as they are now; the descriptors outlive them."""
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _function(task: Mapping[str, Any]) -> Callable[[str], list[str]]:
    namespace: dict[str, Any] = {"__name__": NAME, "__builtins__": builtins}
    exec(compile(task["source"], _FILE, "exec", dont_inherit=True), namespace)
    function = namespace[task["entry"]]

    def call(request: str) -> list[str]:
        arguments, keywords = values.loads(request)
        return ["value", values.dumps(function(*arguments, **keywords))]

    return call


# -- doctest examples ------------------------------------------------------------------------------


def _examples(task: Mapping[str, Any]) -> Callable[[str], list[str]]:
    module = importlib.import_module(task["module"])
    before = set(sys.modules)
    _hide_answers(module, task["qualname"])
    _shut(getattr(module, "__file__", None), getattr(module, "__cached__", None))
    if task["source"] is not None:
        replace(module, task["qualname"], task["source"])
    namespace = {**_at_hand(task["module"]), **vars(module), "__name__": "__main__"}

    def show(request: str | None) -> list[Any]:
        if request is None:
            return ["loaded", [name for name in sys.modules if name not in before and _is_importable(name)]]
        out = io.StringIO()
        raised = ""
        with contextlib.redirect_stdout(out):
            sys.displayhook = sys.__displayhook__
            try:
                exec(compile(request, _FILE, "single", dont_inherit=True), namespace)
            except Exception as error:
                raised = "".join(traceback.format_exception_only(type(error), error))
        return ["shown", out.getvalue(), raised]

    return show


def _is_importable(name: str) -> bool:
    """Whether it came from a file of this name: what others put into `sys.modules` cannot be imported again."""
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec is not None and spec.name == name and bool(spec.has_location)


def _at_hand(module: str) -> dict[str, Any]:
    """What examples take for granted: the module itself, its package, and the short names that everybody uses."""
    names = {module.partition(".")[0]: module.partition(".")[0], module.rpartition(".")[2]: module, **_SHORT}
    return {name: sys.modules[full] for name, full in names.items() if full in sys.modules}


def replace(module: types.ModuleType, qualname: str, source: str) -> None:
    """Give the function `qualname` of `module` the code of `source`, wherever it has been imported to.

    Only the code object is exchanged, so decorators, defaults and closures stay. Raises LookupError where no Python
    function with the same free variables is found.
    """
    *owners, name = qualname.split(".")
    *_, function = _layers(_found(module, qualname))
    tree = ast.parse(source)
    for owner in reversed(owners):  # names are mangled, and super() works, in a class of this name only
        tree.body = [ast.ClassDef(owner, [], [], tree.body, [])]
    code = compile(ast.fix_missing_locations(tree), _FILE, "exec", dont_inherit=True)
    for each in (*owners, name):
        code = next(part for part in code.co_consts if isinstance(part, types.CodeType) and part.co_name == each)
    if not isinstance(function, types.FunctionType) or code.co_freevars != function.__code__.co_freevars:
        raise LookupError(f"{qualname} is no plain function of {module.__name__}")
    function.__code__ = code


def _found(module: types.ModuleType, qualname: str) -> Any:
    """What the class or module holds under that name, nothing bound. Raises LookupError and AttributeError."""
    *owners, name = qualname.split(".")
    return vars(functools.reduce(getattr, owners, module))[name]


def _layers(value: Any) -> Iterator[Any]:
    """A value, then the functions inside properties, class methods and whatever wraps as `functools.wraps` does."""
    yield value
    for _ in range(20):
        holders = (
            ("__wrapped__",) if isinstance(value, types.FunctionType) else ("__func__", "fget", "func", "__wrapped__")
        )
        inner = next((found for name in holders if (found := getattr(value, name, None)) is not None), None)
        if inner is None:
            return
        value = inner
        yield value


def _hide_answers(module: types.ModuleType, qualname: str) -> None:
    """Take docstrings with examples away from the module and from the classes and functions that stand in it."""
    pending: list[Any] = [module, _found(module, qualname)]
    seen: dict[int, Any] = {}
    while pending:
        value = pending.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        with contextlib.suppress(AttributeError, TypeError):  # there is none, or it is written in C and stays
            if ">>>" in value.__doc__:
                (type.__setattr__ if isinstance(value, type) else setattr)(value, "__doc__", "")
        if isinstance(value, types.ModuleType | type):
            pending += [
                each for each in vars(value).values() if isinstance(each, type) or hasattr(type(each), "__get__")
            ]
        else:
            pending += _layers(value)


def _shut(*paths: str | None) -> None:
    """Have Python refuse to open these files, under whatever name: docstrings stand there, too.

    It is no wall against what opens files without Python: docs/threat-model.md.
    """
    linecache.clearcache()
    stat = os.stat
    files = [stat(path) for path in paths if path and os.path.exists(path)]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open":
            return
        try:
            asked = stat(arguments[0])
        except (OSError, TypeError, ValueError):  # nothing that is there
            return
        if any(os.path.samestat(asked, file) for file in files):
            raise PermissionError(f"{arguments[0]} holds answers")

    sys.addaudithook(hook)


# -- scripts ---------------------------------------------------------------------------------------


def _script(task: Mapping[str, Any], channel: Channel) -> None:
    """Run as `__main__` with stdin from the task and stdout to the examiner; the exit status counts."""
    out = channel.end.detach()
    os.dup2(out, 1)
    os.close(out)
    with tempfile.TemporaryFile() as given:
        given.write(task["stdin"].encode())
        given.seek(0)
        os.dup2(given.fileno(), 0)
    _open_streams()
    sys.argv = [NAME]
    status: Any = 0
    try:
        exec(
            compile(task["source"], _FILE, "exec", dont_inherit=True),
            {"__name__": "__main__", "__builtins__": builtins},
        )
    except SystemExit as error:
        status = error.code
    except BaseException:
        status = 1
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        os._exit(0 if status in (None, 0) else 1)
