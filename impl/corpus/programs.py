"""Programs with a label from execution: does this function pass the tests of its problem?

The record of one program, and the builders of the files that training and acceptance read. No label here is given by a
rule or a model. (What trains an embedding may trust rewrites and mutants that nobody ran, as `graphsage` does beside
these; nothing is judged on them.) A problem is on one side only, and HumanEval has a builder of its own: nothing of it
is ever written into train, dev or test, and no problem of another public set that equals one of it in structure.
Doctests are compared with it where a public set is asked for beside them, or HumanEval lies in the data folder.

Against artefacts: every source goes through `ast.unparse`, docstrings and comments gone; mutants are made of rewrites
as well as of originals; what passes and what fails is balanced for each way of writing each function; what cannot even
be defined is no program; equal texts of one problem are one program. Two problems differ in structure, but a version of
one may be written like a version of the other, on another side even: each is judged by the tests of its own problem.
"""

import hashlib
import itertools
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from corpus import defects, distributions, doctests, problems, records, rewrites
from corpus.errors import CorpusError
from corpus.execution import labels
from corpus.execution.sandbox import Doctest, Limits, Outcome, Sandbox, Task
from corpus.functions import Function
from corpus.problems import Problem

KINDS: Final = ("canonical", "rewrite", "mutant", "submission")
TRAINING_ORIGINS: Final = ("doctest", "mbpp", "code_contests")
TEST_ONLY: Final = "humaneval"
SIDES: Final = ("train", "dev", "test")

_SHARES: Final = {"train": 0.70, "dev": 0.15, "test": 0.15}
_PATIENCE: Final = 20  # times the CPU time of the known solution, before a version of it counts as endless
_LEAST_MS: Final = 250
_FEWEST_WARM: Final = 8  # problems
_READ_FOR_ONE: Final = 4  # problems of CodeContests that are read for one that is kept: all of them are gigabytes


@dataclass(frozen=True, slots=True)
class Program:
    """One version of one problem's function, and what became of it under the tests.

    `source` is what a model may see: the definition alone, through `ast.unparse`, without docstring. `kind` is
    canonical (the known solution), rewrite, mutant, or submission (somebody else's solution). `operator` is the name
    of the rewrite (`corpus.rewrites`) or of the defect (`corpus.defects`), else empty; `base` is what was mutated:
    empty for the known solution, else the name of the rewrite. `reason` is empty where it passed, else a word of
    `corpus.execution.sandbox.Outcome`. `group` never stands on two sides; `digest` is of problem and source, unique.
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


@dataclass(frozen=True, slots=True)
class Plan:
    """How many versions are made of each problem, and who runs them.

    `rewrites` of different operators, and `mutants` of the known solution and of each rewrite. `memory` is the file of
    known outcomes. `cells` programs run at a time.
    """

    seed: int = 0
    rewrites: int = 2
    mutants: int = 3
    cells: int = 2
    memory: Path | None = None


def build(
    folder: Path,
    origins: Sequence[str],
    plan: Plan,
    names: Sequence[str] = (),
    data: Path | None = None,
    contests: int | None = None,
) -> dict[str, Any]:
    """Write train.jsonl, dev.jsonl, test.jsonl and programs.json (its content is returned) into `folder`.

    `origins` are of TRAINING_ORIGINS; `names` are the distributions whose doctests are read, `data` the folder of
    public sets, `contests` a limit of CodeContests problems. Raises CorpusError for HumanEval among the origins, for a
    set that is not there, for MBPP or CodeContests without HumanEval, which is kept out, and where nothing passes.
    """
    for origin in origins:
        if origin == TEST_ONLY:
            raise CorpusError(
                "HumanEval is for tests only, never for training or model selection; take it off the list"
            )
        if origin not in TRAINING_ORIGINS:
            raise CorpusError(f'unknown origin "{origin}"; known: {", ".join(TRAINING_ORIGINS)}')
    found: list[Problem] = []
    if "doctest" in origins:
        found += doctests.candidates(distributions.find(names))
    if "mbpp" in origins:
        found += problems.mbpp(data)
    if "code_contests" in origins:
        found += problems.code_contests(data, contests)
    kept = list(_without_copies(found, _test_only_hashes(data, is_public=set(origins) != {"doctest"})))
    rows, report = label(kept, plan)
    if not rows:
        raise CorpusError(f"none of {len(kept)} problems gives a program of {', '.join(origins)}; name more sources")
    sides = split(rows, plan.seed)
    for side, programs in sides.items():
        records.write(folder / f"{side}.jsonl", programs)
    report["candidates"] = len(found)
    report["copies"] = len(found) - len(kept)
    report["sides"] = {side: _counts(programs) for side, programs in sides.items()}
    (folder / "programs.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def draw(
    functions: Mapping[str, Sequence[Function]], wanted: Mapping[str, Mapping[str, int]], seed: int, data: Path | None
) -> dict[str, list[Problem]]:
    """Problems of each side, so many at most as `wanted` says by origin and side, drawn by `seed`.

    Doctests are those of the side's own `functions`; a problem of a public set is on one side only. CodeContests' are
    drawn among the first that can be used, _READ_FOR_ONE times as many as are wanted. No two problems have one
    structure, and none has one of HumanEval's. Raises CorpusError for a set that is wanted and not there, and for MBPP
    or CodeContests without HumanEval.
    """
    is_public = any(any(counts.values()) for origin, counts in wanted.items() if origin != "doctest")
    taken = _test_only_hashes(data, is_public)
    found = {
        side: _some(doctests.problems(functions[side]), wanted["doctest"][side], seed, taken) for side in functions
    }
    for origin in ("mbpp", "code_contests"):
        counts = wanted.get(origin, {})
        most = sum(counts.values())
        if most:
            read = problems.mbpp(data) if origin == "mbpp" else problems.code_contests(data, _READ_FOR_ONE * most)
            every = _some(read, most, seed, taken)
            for side in functions:
                found[side] += every[: counts[side]]
                every = every[counts[side] :]
    return found


def _some(found: Iterable[Problem], limit: int, seed: int, taken: set[str]) -> list[Problem]:
    """So many problems at most, drawn by `seed`, none with a structure in `taken`, which grows by theirs."""
    order = list(found)
    random.Random(seed).shuffle(order)
    return list(itertools.islice(_without_copies(order, taken), limit))


def _without_copies(found: Iterable[Problem], taken: set[str]) -> Iterator[Problem]:
    """Those with a structure that is not in `taken`, the first of equal ones; `taken` grows by theirs."""
    for problem in found:
        digest = problem.ast_hash
        if digest not in taken:
            taken.add(digest)
            yield problem


def build_humaneval(folder: Path, plan: Plan, data: Path | None = None) -> dict[str, Any]:
    """Write humaneval.jsonl (every program of all 164 problems, not balanced) and humaneval.json: for tests only.

    Raises CorpusError where the set is not there, and where a known solution does not pass.
    """
    found = problems.humaneval(data)
    rows, report = label(found, plan, balance=False)
    lost = {each.problem for each in found} - {row.problem for row in rows}
    if lost:
        raise CorpusError(f"{len(lost)} known solutions of HumanEval do not pass here, {min(lost)} among them")
    records.write(folder / "humaneval.jsonl", rows)
    report["side"] = _counts(rows)
    (folder / "humaneval.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def read(path: Path) -> list[Program]:
    """The programs of one side, as the builders wrote them; errors as `corpus.records.read`."""
    return records.read(path, Program)


# -- labels ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Version:
    problem: Problem
    kind: str
    operator: str
    base: str
    source: str


def label(found: Sequence[Problem], plan: Plan, balance: bool = True) -> tuple[list[Program], dict[str, Any]]:
    """Programs of all problems whose known solution passes, in their order, and what was seen on the way."""
    rows: list[Program] = []
    executed: list[tuple[_Version, Outcome]] = []
    dropped: Counter[str] = Counter()
    missing: dict[str, str] = {}
    by_cell: dict[str, list[Problem]] = defaultdict(list)
    for problem in found:
        if doctests.is_of_this_machine(problem):
            dropped["solution of-this-machine"] += 1
        else:
            by_cell[_cell(problem)].append(problem)
    for group in _side_by_side(by_cell, plan):
        executed += group.executed
        dropped += group.dropped
        missing |= group.missing
    order = {problem.problem: place for place, problem in enumerate(found)}
    executed.sort(key=lambda each: order[each[0].problem.problem])
    seen: set[str] = set()
    for version, outcome in executed:
        row = _program(version, outcome)
        if row.digest in seen or outcome.is_doubtful or outcome.reason.startswith(("unready", "import", "arguments")):
            dropped["copy" if row.digest in seen else outcome.reason.split()[0]] += 1
            continue
        seen.add(row.digest)
        rows.append(row)
    report = {
        "problems": dict(Counter(row.origin for row in rows if row.kind == "canonical")),
        "executed": len(executed),
        "dropped": dict(dropped),
        "missing_walls": missing,
        "kinds": _kinds(executed),
        "kill_rate": _rates(executed, "mutant", passed=False),
        "rewrites_passed": _rates(executed, "rewrite", passed=True),
        "reasons": dict(Counter(outcome.reason.split()[0] for _, outcome in executed if outcome.reason)),
    }
    return (balanced(rows, plan.seed) if balance else rows), report


class _Group:
    """Problems that share cells: what became of their versions."""

    def __init__(self, name: str, problems: Sequence[Problem], plan: Plan, of: int) -> None:
        self.name, self._problems = name, problems
        # Each cell imports a distribution anew: such a group has one, and other groups run beside it, unless it is
        # larger than its share of all problems.
        is_one_of_many = isinstance(problems[0].template, Doctest) and len(problems) * plan.cells <= of
        self._plan = replace(plan, cells=1) if is_one_of_many else plan
        self.executed: list[tuple[_Version, Outcome]] = []
        self.dropped: Counter[str] = Counter()
        self.missing: dict[str, str] = {}

    def run(self) -> None:
        """Execute everything."""
        plan = self._plan
        with Sandbox(plan.cells) as sandbox, Sandbox(plan.cells) as warm:
            passing = _warmed(_passing(_preloaded(self._problems), sandbox, plan, self.dropped))
            cells = {problem: warm if outcome.loaded else sandbox for problem, outcome in passing.items()}
            right = _confirmed(passing, cells, plan, self.dropped)
            outcomes = _execute([*_written(right, plan)], right, cells, plan, f"{self.name} rewrites")
            kept = [version for version, outcome in outcomes if outcome.passed]
            self.executed = outcomes + _execute([*_mutated(kept, plan)], right, cells, plan, f"{self.name} mutants")
            if sandbox.is_used:
                self.missing = sandbox.missing


def _side_by_side(by_cell: Mapping[str, Sequence[Problem]], plan: Plan) -> list[_Group]:
    """All groups, in their order, as many at a time as the plan has cells."""
    total = sum(map(len, by_cell.values()))
    groups = [_Group(name, group, plan, total) for name, group in by_cell.items()]
    with ThreadPoolExecutor(plan.cells) as pool:
        try:
            list(pool.map(_Group.run, groups))
        except BaseException:  # an interrupted run does not wait for what has not begun
            pool.shutdown(cancel_futures=True)
            raise
    return groups


def balanced(rows: Iterable[Program], seed: int) -> list[Program]:
    """As many failing as passing programs of each way of writing each function, in the order given.

    A way of writing is the known solution or one rewrite of it, with the mutants of it; submissions are another one.
    Where one side has more, which of them stay is drawn by `seed`.
    """
    ways: dict[tuple[str, str], dict[bool, list[Program]]] = defaultdict(lambda: {True: [], False: []})
    kept: list[Program] = list(rows)
    for row in kept:
        ways[row.problem, _way(row)][row.passed].append(row)
    chosen: set[str] = set()
    for way, sides in ways.items():
        rng = random.Random(f"{seed} {way}")
        count = min(map(len, sides.values()))
        for side in sides.values():
            # What is written by a person or a rewrite stays before what survived a mutation.
            rng.shuffle(side)
            side.sort(key=lambda row: row.kind == "mutant")
            chosen.update(row.digest for row in side[:count])
    return [row for row in kept if row.digest in chosen]


def _way(row: Program) -> str:
    if row.kind == "submission":
        return row.kind
    return row.operator if row.kind == "rewrite" else row.base


def _preloaded(group: Sequence[Problem]) -> list[Problem]:
    """The same, each with the modules of all: what an example finds imported is not left to which cell it comes to."""
    modules = {each.template.module for each in group if isinstance(each.template, Doctest)}
    return [_with(each, warm=tuple(sorted(modules)), asks_loaded=True) for each in group]


def _warmed(right: Mapping[Problem, Outcome]) -> dict[Problem, Outcome]:
    """The same; where known solutions imported something on their way, with all of that imported beforehand.

    It costs ten times what their answers do. These problems have cells of their own: forks of a process that has
    imported much cost more than others. For a few problems more cells cost more than they save.
    """
    loaded = sorted({name for outcome in right.values() for name in outcome.loaded})
    if sum(bool(outcome.loaded) for outcome in right.values()) < _FEWEST_WARM:
        return {problem: replace(outcome, loaded=()) for problem, outcome in right.items()}
    found = {}
    for problem, outcome in right.items():
        known = problem.template.warm if isinstance(problem.template, Doctest) else ()
        found[_with(problem, warm=(*known, *loaded)) if outcome.loaded else problem] = outcome
    return found


def _with(problem: Problem, **changed: Any) -> Problem:
    if not isinstance(problem.template, Doctest):
        return problem
    return replace(problem, template=replace(problem.template, **changed))


def _passing(group: Sequence[Problem], sandbox: Sandbox, plan: Plan, dropped: Counter[str]) -> dict[Problem, Outcome]:
    """Problems whose known solution passes."""
    first = labels.run_all(sandbox, [each.task(each.solution) for each in group], plan.memory)
    dropped.update(f"solution {each.reason.split()[0]}" for each in first if not each.passed)
    right = {problem: outcome for problem, outcome in zip(group, first, strict=True) if outcome.passed}
    return {_with(problem, asks_loaded=False): outcome for problem, outcome in right.items()}


def _confirmed(
    passing: Mapping[Problem, Outcome], cells: Mapping[Problem, Sandbox], plan: Plan, dropped: Counter[str]
) -> dict[Problem, Outcome]:
    """Those where it stands: a doctest's solution passes in another hash order too, and not without its body."""
    right = dict(passing)
    with Sandbox(plan.cells, hash_seed=1) as other:
        for sandbox in dict.fromkeys(cells.values()):
            asked = [each for each in passing if cells[each] is sandbox and isinstance(each.template, Doctest)]
            hollow = [each.task(doctests.gutted(each.solution)) for each in asked]
            emptied = labels.run_all(sandbox, hollow, plan.memory)
            again = labels.run_all(other, [each.task(each.solution) for each in asked], plan.memory)
            for problem, empty, repeated in zip(asked, emptied, again, strict=True):
                if empty.passed or not repeated.passed:
                    dropped["solution not-reached" if empty.passed else "solution not-stable"] += 1
                    del right[problem]
    return right


def _written(right: Mapping[Problem, Outcome], plan: Plan) -> Iterator[_Version]:
    """The known solution, others' solutions, and rewrites of it."""
    for problem in right:
        yield _Version(problem, "canonical", "", "", problem.solution)
        for source in problem.submissions:
            yield _Version(problem, "submission", "", "", source)
        rng = random.Random(f"{plan.seed} {problem.problem}")
        for operator, source in itertools.islice(rewrites.versions(problem.solution, rng), plan.rewrites):
            yield _Version(problem, "rewrite", operator, "", source)


def _mutated(passing: Sequence[_Version], plan: Plan) -> Iterator[_Version]:
    """Mutants of each, operators as even as they can be within one problem: no other problem's outcome matters."""
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for version in passing:
        if version.kind == "submission":
            continue
        rng = random.Random(f"{plan.seed} {version.problem.problem} {version.operator}")
        try:
            made = defects.mutants(version.source, rng, plan.mutants, used[version.problem.problem])
        except (ValueError, RecursionError):
            continue
        for defect in made:
            yield _Version(version.problem, "mutant", defect.operator, version.operator, defect.source)


def _execute(
    versions: Sequence[_Version],
    right: Mapping[Problem, Outcome],
    cells: Mapping[Problem, Sandbox],
    plan: Plan,
    name: str,
) -> list[tuple[_Version, Outcome]]:
    """Each version with its outcome, in their order."""
    found: dict[int, Outcome] = {}
    for sandbox in dict.fromkeys(cells.values()):
        places = [place for place, each in enumerate(versions) if cells[each.problem] is sandbox]
        tasks = [
            each.problem.task(each.source, _limits(each.problem.template, right[each.problem]))
            for each in (versions[place] for place in places)
        ]
        outcomes = labels.run_all(sandbox, tasks, plan.memory, _progress(name, len(tasks)))
        found |= dict(zip(places, outcomes, strict=True))
    return [(each, found[place]) for place, each in enumerate(versions)]


def _limits(template: Task, known: Outcome) -> Limits:
    """CPU time by that of the known solution, in powers of two, so that a second measurement gives the same limit."""
    wanted = known.cpu_ms * _PATIENCE
    steps = _LEAST_MS
    while steps < min(wanted, template.limits.cpu_ms):
        steps *= 2
    return Limits(steps, template.limits.wall_ms, template.limits.memory, template.limits.file_bytes)


def _program(version: _Version, outcome: Outcome) -> Program:
    problem = version.problem
    identity = f"{problem.problem}\0{version.source}"
    return Program(
        digest=hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        problem=problem.problem,
        group=problem.group,
        origin=problem.origin,
        kind=version.kind,
        operator=version.operator,
        base=version.base,
        source=version.source,
        passed=outcome.passed,
        reason=outcome.reason,
    )


def _cell(problem: Problem) -> str:
    """Doctests of one distribution share cells, which have it imported."""
    return problem.problem.partition(":")[0] if isinstance(problem.template, Doctest) else problem.origin


# -- sides -----------------------------------------------------------------------------------------


def split(rows: Sequence[Program], seed: int) -> dict[str, list[Program]]:
    """{"train", "dev", "test"}: whole groups, 70/15/15 of the groups of each origin, drawn by `seed`."""
    groups: dict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.origin == TEST_ONLY:
            raise CorpusError(f'"{row.problem}" is of HumanEval, which is for tests only and is never split')
        groups[row.origin][row.group] = None
    side_of: dict[str, str] = {}
    for origin, names in groups.items():
        order = sorted(names)
        random.Random(f"{seed} {origin}").shuffle(order)
        bounds = [round(_SHARES["train"] * len(order)), round((_SHARES["train"] + _SHARES["dev"]) * len(order))]
        for place, name in enumerate(order):
            side_of[name] = SIDES[sum(place >= bound for bound in bounds)]
    sides: dict[str, list[Program]] = {side: [] for side in SIDES}
    for row in rows:
        sides[side_of[row.group]].append(row)
    return sides


def _test_only_hashes(data: Path | None, is_public: bool) -> set[str]:
    """Structures of HumanEval's solutions, from where `build_humaneval` has them.

    Beside other public sets it has to be there: what is learnt from them may be judged on it elsewhere. Doctests alone
    need no network: for them it is asked for in the data folder only.
    """
    if not is_public and not problems.HUMANEVAL.files_in(data):
        return set()
    try:
        return {each.ast_hash for each in problems.humaneval(data)}
    except CorpusError as error:
        raise CorpusError(
            f"MBPP and CodeContests are learnt from only where HumanEval is at hand, to be kept out: {error}"
        ) from None


# -- what was seen ---------------------------------------------------------------------------------


def _counts(rows: Sequence[Program]) -> dict[str, Any]:
    return {
        "programs": len(rows),
        "passed": sum(row.passed for row in rows),
        "problems": len({row.problem for row in rows}),
        "groups": len({row.group for row in rows}),
        "origins": dict(Counter(row.origin for row in rows)),
        "kinds": dict(Counter(f"{row.kind} {'passed' if row.passed else 'failed'}" for row in rows)),
    }


def _kinds(executed: Sequence[tuple[_Version, Outcome]]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = defaultdict(lambda: {"passed": 0, "failed": 0})
    for version, outcome in executed:
        table[f"{version.problem.origin} {version.kind}"]["passed" if outcome.passed else "failed"] += 1
    return dict(table)


def _rates(executed: Sequence[tuple[_Version, Outcome]], kind: str, passed: bool) -> dict[str, list[int]]:
    """Operator -> [how many ended so, of how many]."""
    table: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for version, outcome in executed:
        if version.kind == kind:
            table[version.operator][0] += outcome.passed is passed
            table[version.operator][1] += 1
    return dict(sorted(table.items()))


def _progress(name: str, total: int) -> Callable[[int], None] | None:
    if not sys.stderr.isatty():
        return None
    return lambda done: print(f"\rcorpus: {name}: {done:,}/{total:,} programs", end="", file=sys.stderr)
