"""Programs with labels from execution, their cheap baselines, and triplets for the embedding.

The problems of a side are made of that side's functions alone, so no head has met a held-out one under another name.
HumanEval is judged and never trained on.
"""

from __future__ import annotations

import difflib
import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from acceptance import sides
from assay.artifacts import default_root
from corpus import hub, problems, programs, records

_TOKEN = re.compile(r"\w+|[^\w\s]+")


def mbpp_file() -> Path | None:
    """MBPP in the folder of public sets; None where it is not there: it adds to the embedded problems."""
    return _local(problems.MBPP)


def contests_files() -> list[Path]:
    """CodeContests in the folder of public sets; empty where it is not there."""
    return problems.CODE_CONTESTS.files_in(hub.folder())


def humaneval_file() -> Path | None:
    return _local(problems.HUMANEVAL)


def _local(source: hub.Source) -> Path | None:
    return next(iter(source.files_in(hub.folder())), None)


def _plan(seed: int, rewrites: int, mutants: int) -> programs.Plan:
    """What was executed once is remembered beside the artifacts, by the digest of everything that it depends on."""
    return programs.Plan(seed, rewrites, mutants, memory=default_root() / "outcomes.sqlite")


def build_programs(
    out: Path,
    functions: str,
    doctest: Mapping[str, int],
    mbpp: Mapping[str, int],
    contests: Mapping[str, int],
    seed: int,
    rewrites: int,
    mutants: int,
    written: Sequence[str] = programs.SIDES,
) -> None:
    """Write the sides `written` (train.jsonl, ...) with so many problems at most from doctests, MBPP and CodeContests.

    Which: `corpus.programs.draw`. Where a public set is absent its numbers are 0.
    """
    rows_of = {side: sides.records(Path(functions) / f"{side}.jsonl") for side in programs.SIDES}
    wanted = {"doctest": doctest, "mbpp": mbpp, "code_contests": contests}
    found = programs.draw(rows_of, wanted, seed, hub.folder())
    for side in written:
        rows, report = programs.label(found[side], _plan(seed, rewrites, mutants))
        records.write(out / f"{side}.jsonl", rows)
        (out / f"{side}.report.json").write_text(json.dumps(report, indent=1))


def build_humaneval(out: Path, seed: int, rewrites: int, mutants: int) -> None:
    """Write humaneval.jsonl: canonical solutions, rewrites and mutants of all 164 problems, as they come."""
    programs.build_humaneval(out, _plan(seed, rewrites, mutants), hub.folder())


@dataclass(frozen=True)
class Programs:
    """Programs of one side as items: sources go to the subject, what the tests said stays here."""

    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def sources(self) -> list[str]:
        return [row["source"] for row in self.rows]

    @cached_property
    def passed(self) -> list[int]:
        return [int(row["passed"]) for row in self.rows]

    def column(self, name: str) -> list[str]:
        return [row[name] or "-" for row in self.rows]

    @cached_property
    def sizes(self) -> list[float]:
        """The ten-line heuristic: the shorter a program, the likelier it passes."""
        return [-float(len(source)) for source in self.sources]

    @cached_property
    def triplets(self) -> Triplets:
        """Solution, rewrite that passed and mutant that failed, of the same problem; at most 20 a problem."""
        by_problem: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for place, row in enumerate(self.rows):
            if row["passed"] == (row["kind"] != "mutant"):
                by_problem[row["problem"]][row["kind"]].append(place)
        found: list[tuple[int, int, int]] = []
        for problem, kinds in by_problem.items():
            some = list(itertools.product(kinds["canonical"], kinds["rewrite"], kinds["mutant"]))
            random.Random(problem).shuffle(some)
            found += some[:20]
        rng = random.Random(0)
        second = [rng.random() < 0.5 for _ in found]
        return Triplets(self, found, second)


@dataclass(frozen=True)
class Triplets:
    """A solution with two other versions each, one a rewrite and one a failing mutant; gold is which is the rewrite."""

    programs: Programs
    places: Sequence[tuple[int, int, int]]  # solution, rewrite, mutant
    second: Sequence[bool]  # whether the rewrite is shown as the second of the two

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def gold(self) -> list[int]:
        return [int(each) for each in self.second]

    def column(self, name: str) -> list[str]:
        values = self.programs.column(name)
        return [values[solution] for solution, _, _ in self.places]

    def rewrites(self) -> list[str]:
        """Which rewrite each triplet has."""
        values = self.programs.column("operator")
        return [values[rewrite] for _, rewrite, _ in self.places]

    def nearer(self, similarity: Callable[[int, int], float]) -> list[int | None]:
        """Which of the two is nearer to the solution: 0 or 1; None for a tie, an answer not given."""
        answers: list[int | None] = []
        for (solution, rewrite, mutant), second in zip(self.places, self.second, strict=True):
            gap = similarity(solution, rewrite) - similarity(solution, mutant)
            answers.append(None if gap == 0 else int((gap > 0) == second))
        return answers

    def by_vectors(self, vectors: Any) -> list[int | None]:
        """By the inner product of vectors (programs, D)."""
        table = np.asarray(vectors, dtype=np.float64)
        return self.nearer(lambda a, b: float(table[a] @ table[b]))

    def by_edits(self) -> list[int | None]:
        """By the tokens that two texts have in common, in order."""
        tokens = [_TOKEN.findall(source) for source in self.programs.sources]
        return self.nearer(lambda a, b: difflib.SequenceMatcher(None, tokens[a], tokens[b], autojunk=False).ratio())

    def by_tfidf(self) -> list[int | None]:
        """By the cosine of their TF-IDF vectors over tokens and pairs of tokens."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(token_pattern=_TOKEN.pattern, ngram_range=(1, 2), lowercase=False)
        table = vectorizer.fit_transform(self.programs.sources)
        return self.nearer(lambda a, b: float(table[a].multiply(table[b]).sum()))
