"""How many calls are resolved, and does an independent resolver agree?"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from acceptance.corpus import sites
from acceptance.corpus.conftest import DISTRIBUTION, FILE, LINE, RELATION, TAIL
from corpus import bridge


@pytest.mark.requirement("corpus/kg.resolution")
def test_most_calls_are_resolved(judge, corpus, chosen):
    written = sites.of(
        {
            f"{each.name}/{each.relative(path)}": path
            for each in bridge.chosen(**chosen)
            for path in (*each.files, *each.tests)
        }
    )
    told = corpus.outputs("corpus.bridge:call_sites", list(written), **chosen)
    distributions = [label.partition("/")[0] for label in written]
    judge(
        sites.resolved(told, written),
        groups=distributions,
        slices={"distribution": distributions},
        details=sites.details(told.values["sites"], written),
    )


def build_answers(out: Path, calls: list[list[Any]]) -> None:
    """What jedi says of each call: the full name of the definition behind the last name of the callee, or None."""
    import jedi

    answers = []
    for path, line, column, name in calls:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        place = _last_name(text, line, column, name)
        try:
            found = jedi.Script(text, path=path).goto(*place, follow_imports=True) if place else []
        except Exception:  # jedi's own trees expire from its cache in long runs: no answer, and counted as that
            found = []
        answers.append(sorted({one.full_name for one in found if one.full_name}))
    (out / "answers.json").write_text(json.dumps(answers))


def _last_name(text: str, line: int, column: int, name: str) -> tuple[int, int] | None:
    """Where the name of what is called ends, for the call expression that starts at (line, column)."""
    import ast

    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (node.lineno, node.col_offset) == (line, column):
            function = node.func
            written = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if written == name:
                row, end = function.end_lineno, function.end_col_offset
                prefix = text.split("\n")[row - 1].encode()[:end].decode(errors="replace")
                return row, len(prefix) - 1
    return None


@pytest.fixture(scope="session")
def sampled(edges, tables, chosen):
    """(row, [path, line, column, name]) of resolved calls, drawn at random from what calls and what instantiates
    together: as many of each as there are."""
    roots = {each.name: each.root for each in bridge.chosen(**chosen)}
    rows = [row for row in edges.rows if row[RELATION] in ("calls", "instantiates")]
    count = tables("resolver")["sites"]
    rows = random.Random(tables("resolver")["seed"]).sample(rows, min(len(rows), count))
    return [
        (row, [str(roots[row[DISTRIBUTION]] / row[FILE]), row[LINE], row[LINE + 1], row[TAIL].rpartition(".")[2]])
        for row in rows
    ]


@pytest.fixture(scope="session")
def answers(dataset, sampled):
    sources = {call[0]: Path(call[0]) for _, call in sampled}
    return dataset("jedi", build_answers, sources=sources, tables=["resolver"], calls=[call for _, call in sampled])


@pytest.fixture(scope="session")
def answered(sampled, answers):
    """(row, its tail, what jedi says) of the sampled calls for which it has one answer."""
    said = json.loads(answers.path("answers.json").read_text())
    return [
        (row, _comparable(row[TAIL]), _comparable(names[0]))
        for (row, _), names in zip(sampled, said, strict=True)
        if len(names) == 1
    ]


@pytest.fixture(scope="session")
def compared(answered, tables):
    return answered[: tables("resolver")["compared"]]


@pytest.fixture(scope="session")
def places(entities, labels, compared):
    """Where the definition of each compared call lies: inside the caller's distribution, builtin, or elsewhere."""
    home = {
        name: label.partition("/")[0]
        for label, rows in zip([*labels, ""], entities.values, strict=True)
        for name, _ in rows
    }

    def place(row):
        if row[TAIL].startswith("builtins."):
            return "builtin"
        return "inside" if home[row[TAIL]] == row[DISTRIBUTION] else "elsewhere"

    return [place(row) for row, _, _ in compared]


@pytest.mark.requirement("corpus/kg.precision")
def test_an_independent_resolver_agrees(judge, edges, sampled, answered, compared, places, answers):
    details = {"sites for which jedi has no answer, or several": len(sampled) - len(answered)}
    _agreement(judge, edges, compared, answers, details, definition=places)


@pytest.mark.requirement("corpus/kg.precision_inside")
def test_an_independent_resolver_agrees_on_definitions_inside(judge, edges, compared, places, answers):
    inside = [one for one, place in zip(compared, places, strict=True) if place == "inside"]
    _agreement(judge, edges, inside, answers, {})


def _agreement(judge, edges, compared, answers, details, **slices):
    ours, gold = [own for _, own, _ in compared], [other for _, _, other in compared]
    differ = [f"{own} / {other}" for _, own, other in compared if own != other]
    judge(
        edges.observed.map(lambda found: ours, items=ours),
        gold=gold,
        slices={"relation": [row[RELATION] for row, _, _ in compared], **slices},
        datasets=[answers],
        details={**details, "differ": differ[:20]},
    )


def _comparable(name: str) -> str:
    """jedi writes neither <locals> nor the colon that sets a module apart; and it reads stubs, which file what the
    compiled half of a module holds (_io, _warnings) under the module or under its half, and what os.path holds under
    that name: these are one. What a stub re-exports it names twice at the end (pytest.raises.raises)."""
    plain = name.replace(".<locals>", "").replace(":", ".").lstrip("_")
    for module in ("posixpath.", "ntpath.", "genericpath."):
        if plain.startswith(module):
            plain = f"os.path.{plain.removeprefix(module)}"
    owner, _, leaf = plain.rpartition(".")
    return owner if leaf and owner.rpartition(".")[2] == leaf else plain
