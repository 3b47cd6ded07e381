"""Problems with tests and a solution that is known to be right: what programs are made of and judged by.

Four origins: doctests of installed code, MBPP, CodeContests, HumanEval. Each public set is looked for in the folder
that ASSAY_DATA names, then on the Hugging Face hub; where it is in neither place the error says how to get it. A
problem never hands its tests to whoever reads its source: `task` is the only way to them.
"""

import ast
import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from corpus import hub
from corpus.errors import CorpusError
from corpus.execution.sandbox import CANDIDATE, Call, Limits, Script, Task
from corpus.functions import ast_hash
from corpus.parsing import FunctionNode, parse, unparse

HUMANEVAL: Final = hub.Source(
    name="humaneval",
    title="HumanEval (164 problems, MIT)",
    local="humaneval/HumanEval.jsonl.gz",
    repository="openai/openai_humaneval",
    files="openai_humaneval/test-*.parquet",
)
MBPP: Final = hub.Source(
    name="mbpp",
    title="MBPP (974 problems, CC BY 4.0)",
    local="mbpp/mbpp.jsonl.gz",
    repository="google-research-datasets/mbpp",
    files="full/*.parquet",
)
CODE_CONTESTS: Final = hub.Source(
    name="code_contests",
    title="CodeContests (about 13,000 problems, CC BY 4.0)",
    local="code_contests/*",
    repository="deepmind/code_contests",
    files="data/*.parquet",
)

PYTHON3: Final = 3
"""CodeContests numbers the languages: 1 is Python 2, 2 C++, 3 Python 3, 4 Java."""

_ENTRY: Final = "solve"
_SCRIPT_LIMITS: Final = Limits(cpu_ms=4_000, wall_ms=30_000)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `solution` is the definition of its function, canonical and without docstring.

    `group` is what a split must not tear apart. `template` holds the tests and, as its source, the known solution;
    `prelude` is what stands before the function in the module (imports, helpers of the problem's own text), `after`
    what stands behind it. `submissions` are other people's solutions, right or wrong, in the same form.
    """

    problem: str
    group: str
    origin: str
    solution: str
    template: Task
    prelude: str = ""
    after: str = ""
    submissions: tuple[str, ...] = ()

    def task(self, source: str, limits: Limits | None = None) -> Task:
        """The task that judges this version of the function."""
        text = "\n\n".join(part for part in (self.prelude, source, self.after) if part)
        return replace(self.template, source=text, limits=limits or self.template.limits)

    @property
    def ast_hash(self) -> str:
        """Equal for two problems whose solutions differ in names, constants and layout only."""
        return ast_hash(self.solution)


# -- HumanEval and MBPP ----------------------------------------------------------------------------


def humaneval(data: Path | None) -> list[Problem]:
    """All problems of HumanEval, for tests only."""
    return [_from_prompt(row, "humaneval") for row in hub.rows(HUMANEVAL, data)]


def mbpp(data: Path | None) -> list[Problem]:
    """MBPP in either of its forms: MXEval's (prompt, entry point, check) or the hub's (code, list of assertions).

    A few of its solutions do not parse and are left out; where it is more than one in twenty, CorpusError.
    """
    found: list[Problem] = []
    unread: list[CorpusError] = []
    for row in hub.rows(MBPP, data):
        try:
            found.append(_from_prompt(row, "mbpp") if "entry_point" in row else _from_assertions(row))
        except CorpusError as error:
            unread.append(error)
    if len(unread) * 20 > len(found):
        raise CorpusError(f"{MBPP.title}: {len(unread)} problems cannot be read, the first: {unread[0]}")
    return found


def _from_prompt(row: Mapping[str, Any], origin: str) -> Problem:
    """prompt + canonical_solution define `entry_point`; test defines `check(candidate)`."""
    name, entry = _field(row, "task_id", origin), _field(row, "entry_point", origin)
    text = _field(row, "prompt", origin) + _field(row, "canonical_solution", origin)
    prelude, function = _split(text, entry, name)
    # Not `check(entry)`: some functions under test are named "check" themselves.
    test = f"{_field(row, 'test', origin)}\n\ncheck({CANDIDATE})\n"
    return _called(name, origin, prelude, function, entry, test)


def _from_assertions(row: Mapping[str, Any]) -> Problem:
    name = f"MBPP/{_field(row, 'task_id', 'mbpp')}"
    tests = [str(each) for each in row["test_list"]]
    setup = str(row.get("test_setup_code") or row.get("test_imports") or "")
    called = {each.id for test in tests for each in ast.walk(parse(test)) if isinstance(each, ast.Name)}
    text = _field(row, "code", "mbpp")
    defined = [each.name for each in parse(text).body if isinstance(each, FunctionNode) and each.name in called]
    if not defined:
        raise CorpusError(f'{MBPP.title}: "{name}" has no function that its tests call; the file is another form')
    prelude, function = _split(text, defined[-1], name)
    test = "\n".join([setup, *tests, ""])
    return _called(name, "mbpp", prelude, function, defined[-1], test)


def _called(name: str, origin: str, prelude: str, function: str, entry: str, test: str) -> Problem:
    source = f"{prelude}\n\n{function}" if prelude else function
    template = Call(source=source, entry=entry, test=test, context=prelude)
    return Problem(name, name, origin, function, template, prelude=prelude)


def _split(text: str, entry: str, name: str) -> tuple[str, str]:
    """The module's other statements, and its function without docstring; both canonical."""
    try:
        tree = parse(text)
    except SyntaxError as error:
        raise CorpusError(f'problem "{name}": its solution does not parse ({error.msg}, line {error.lineno})') from None
    functions = [each for each in tree.body if isinstance(each, FunctionNode) and each.name == entry]
    if not functions:
        raise CorpusError(f'problem "{name}": its solution does not define "{entry}"')
    function = functions[-1]  # a later definition is the one that counts
    rest = [each for each in tree.body if each is not function]
    return "\n".join(unparse(_bare(each)) for each in rest), unparse(_bare(function))


def _bare(node: ast.stmt) -> ast.stmt:
    """Without docstring: it holds the examples."""
    if isinstance(node, FunctionNode) and ast.get_docstring(node, clean=False) is not None:
        node = copy.copy(node)
        node.body = node.body[1:] or [ast.Pass()]
    return node


def _field(row: Mapping[str, Any], key: str, origin: str) -> str:
    value = row.get(key)
    if value is None or isinstance(value, list | dict):
        raise CorpusError(f'{origin}: a row has no text "{key}" (it has {", ".join(sorted(row))}); is it another set?')
    return str(value)


# -- CodeContests ----------------------------------------------------------------------------------


def code_contests(data: Path | None, limit: int | None = None, cases: int = 10, submissions: int = 4) -> list[Problem]:
    """Problems with a right Python 3 solution and tests; at most `limit`, with `cases` tests and `submissions` each.

    A solution becomes the body of a function, so that it is one function like everything else; whether it still is
    right is for its tests to say.
    """
    found: list[Problem] = []
    if limit == 0:
        return found
    for row in hub.rows(CODE_CONTESTS, data):
        problem = _contest(row, cases, submissions)
        if problem is not None:
            found.append(problem)
        if len(found) == limit:  # before the next file is fetched
            break
    return found


def _contest(row: Mapping[str, Any], cases: int, submissions: int) -> Problem | None:
    name = "CodeContests/" + "_".join(_field(row, "name", "code_contests").split())
    tests = [pair for key in ("public_tests", "private_tests", "generated_tests") for pair in _pairs(row.get(key))]
    if not tests:
        return None
    right = _functions(row.get("solutions"), 1 + submissions)
    if not right:
        return None
    others = tuple(dict.fromkeys([*right[1:], *_functions(row.get("incorrect_solutions"), submissions)]))
    after = f"{_ENTRY}()"
    template = Script(source=f"{right[0]}\n\n{after}", cases=tuple(tests[:cases]), limits=_SCRIPT_LIMITS)
    return Problem(name, name, "code_contests", right[0], template, after=after, submissions=others)


def _pairs(tests: Any) -> list[tuple[str, str]]:
    """{"input": [...], "output": [...]}, or a list of {"input", "output"}."""
    if not tests:
        return []
    if isinstance(tests, Mapping):
        return [(str(given), str(want)) for given, want in zip(tests["input"], tests["output"], strict=True)]
    return [(str(each["input"]), str(each["output"])) for each in tests]


def _python(solutions: Any) -> Iterator[str]:
    if not solutions:
        return
    if isinstance(solutions, Mapping):
        pairs: Sequence[tuple[Any, Any]] = list(zip(solutions["language"], solutions["solution"], strict=True))
    else:
        pairs = [(each["language"], each["solution"]) for each in solutions]
    yield from (str(text) for language, text in pairs if language in (PYTHON3, "PYTHON3"))


def _functions(solutions: Any, most: int) -> list[str]:
    """The first so many that can be functions: a problem may have hundreds, and none is parsed that is not needed."""
    return list(itertools.islice((text for text in map(_as_function, _python(solutions)) if text is not None), most))


def _as_function(text: str) -> str | None:
    """A script as the body of one function; None for what is no Python 3, or cannot stand in a function."""
    try:
        tree = parse(text)
        body = [each for each in tree.body if not _is_docstring(each)]
        if not body:
            return None
        node = parse(f"def {_ENTRY}():\n    pass").body[0]
        assert isinstance(node, ast.FunctionDef)
        node.body = body
        function = unparse(node)
        compile(function, "<problem>", "exec", dont_inherit=True)  # `from x import *` is refused here
    except (SyntaxError, ValueError, RecursionError):
        return None
    return function


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
