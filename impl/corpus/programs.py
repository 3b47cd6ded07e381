"""Programs with a label from execution: does this function pass the tests of its problem?

The record of one program, and the builder of the files that training and acceptance read. A label is never
given by a rule or a model, a problem is on one side only, and HumanEval has a side of its own: no function here
writes one of its programs into train, dev or test.
"""

from dataclasses import dataclass
from typing import Final

KINDS: Final = ("canonical", "rewrite", "mutant")
ORIGINS: Final = ("doctest", "mbpp", "code_contests", "humaneval")
TEST_ONLY: Final = "humaneval"


@dataclass(frozen=True, slots=True)
class Program:
    """One version of one problem's function, and what became of it under the tests.

    `source` is what a model may see: the definition alone, through `ast.unparse`, without docstring. `operator`
    is empty for the canonical solution, the name of the rewrite (`corpus.rewrites`) or of the defect
    (`corpus.defects`) otherwise; `base` is what was mutated: empty for the canonical solution, else the name of the
    rewrite. `reason` is empty where it passed. `group` never stands on two sides; `digest` is unique.
    """

    digest: str
    problem: str
    group: str
    origin: str
    kind: str
    operator: str
    base: str
    source: str
    passed: bool
    reason: str
