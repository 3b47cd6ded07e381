"""Functions whose docstrings hold examples: problems that any machine has, standard library and installed packages.

The examples are read, not run; what is made here is only a candidate, and `corpus.programs` keeps those whose own code
passes in the sandbox, twice, and fails when its body is taken away. Examples that touch time, chance, files, the
network or the machine are left out beforehand.
"""

import doctest
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from corpus.distributions import Distribution
from corpus.execution.sandbox import Doctest, Example
from corpus.functions import Function, functions_of
from corpus.parsing import function_node, parse, unparse
from corpus.problems import Problem

GUTTED: Final = "raise RuntimeError"
"""The body that a function is given to see whether its examples reach it at all."""

_FEWEST: Final = 1
_MOST: Final = 40
_LEFT_OUT: Final = re.compile(
    r"\b(open|input|print_exc|time|sleep|random|randint|randn|rand|default_rng|shuffle|seed|uuid\w*|urandom|getpid"
    r"|now|today|environ|getcwd|socket|urlopen|requests|http\w*|subprocess|Popen|threading|Thread|multiprocessing"
    r"|asyncio|tempfile|mkdtemp|Path|unlink|remove|rmdir|makedirs|plt|pyplot|show|cuda|id|hash)\b"
)
_TMP: Final = re.compile(r"/tmp\b")
_ADDRESS: Final = re.compile(r"\bat 0x[0-9a-fA-F]+")


def candidates(found: Iterable[Distribution], processes: int = 2) -> list[Problem]:
    """`problems` of all files that hold a prompt."""
    asked = [replace(each, files=tuple(file for file in each.files if _has_prompt(file))) for each in found]
    return problems(functions_of(asked, processes))


def _has_prompt(file: Path) -> bool:
    try:
        return b">>>" in file.read_bytes()
    except OSError:
        return False


def problems(functions: Iterable[Function]) -> list[Problem]:
    """A problem for each function with usable examples, in order. The group is the module."""
    found = []
    for function in functions:
        if ">>>" not in function.docstring:
            continue
        examples = _examples(function.docstring)
        if not examples:
            continue
        template = Doctest(
            source=function.source,
            module=function.module,
            qualname=function.qualname,
            examples=examples,
            version=function.version,
            preload=(function.module,),
        )
        name = f"{function.distribution}:{function.module}.{function.qualname}"
        found.append(Problem(name, f"{function.distribution}:{function.module}", "doctest", function.source, template))
    return found


def is_of_this_machine(problem: Problem) -> bool:
    """Whether an example names a place in /tmp: most write there, and where Python itself lies in /tmp no cell can.

    It is asked once problems have been drawn, so that who else is drawn does not change.
    """
    template = problem.template
    return isinstance(template, Doctest) and any(_TMP.search(each.source) for each in template.examples)


def gutted(source: str) -> str:
    """`source` with its body taken away."""
    node = function_node(source)
    node.body = parse(GUTTED).body
    return unparse(node)


def _examples(docstring: str) -> tuple[Example, ...]:
    """Usable examples, or none where one of them must be left out: later ones build on it."""
    try:
        parsed = doctest.DocTestParser().get_examples(docstring)
    except ValueError:  # inconsistent indentation
        return ()
    kept = []
    for each in parsed:
        if each.options.get(doctest.SKIP):
            continue
        if _LEFT_OUT.search(each.source) or _ADDRESS.search(each.want):
            return ()
        flags = sum(flag for flag, is_set in each.options.items() if is_set)
        kept.append(Example(each.source, each.want, each.exc_msg, flags))
    tested = sum(bool(each.want) for each in kept)
    return tuple(kept) if tested >= _FEWEST and len(kept) <= _MOST else ()
