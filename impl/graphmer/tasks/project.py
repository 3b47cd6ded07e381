"""A user's own folder through all tasks: tails, names, functions, callees, missing imports.

The graph is extracted from the folder each time. Everything answers through the same tasks as the
judge asks. It must never run the user's code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus import callgraph, facts, folders
from corpus import graph as graphs
from corpus.functions import functions_of
from corpus.hiding import code_alone
from corpus.pairs import pairs_of
from corpus.parsing import UNREADABLE, content_of, reason_of
from graphmer.errors import GraphmerError
from graphmer.records import read
from graphmer.tasks import Tasks
from graphmer.tasks.features import parts
from graphmer.tasks.links import Graph
from graphmer.tasks.search import Pool


class Project:
    """One folder of Python code, seen with one trained model. CorpusError where the folder holds no code."""

    def __init__(self, tasks: Tasks, folder: Path) -> None:
        self.tasks, self.distribution = tasks, folders.distribution(folder)

    @cached_property
    def graph(self) -> Graph:
        with tempfile.TemporaryDirectory(prefix="graphmer-") as place:
            built = graphs.build([self.distribution], Path(place) / "graph.jsonl", processes=1)
            facts.write(Path(place), "own", [self.distribution], built)
            texts = {row["file"]: row["text"] for row in read(Path(place) / "own_files.jsonl")}
            return Graph(read(Path(place) / "own_entities.jsonl"), read(Path(place) / "own_triples.jsonl"), texts)

    def tails(self, head: str, relation: str, count: int = 10) -> list[dict[str, Any]]:
        """The best tails of (head, relation), and whether the code says so already."""
        if head not in self.graph.index:
            near = [name for name in self.graph.names if name.endswith(parts(head)[-1])][:5]
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise GraphmerError(f'"{head}" is nothing that {self.distribution.root} defines or names{hint}')
        if relation not in self.graph.ranges:
            raise GraphmerError(f'relation "{relation}" is not known; there are {", ".join(sorted(self.graph.ranges))}')
        place = self.graph.index[head]
        known = {self.graph.names[tail] for kind, tail in self.graph.by_head.get(place, ()) if kind == relation}
        found = self.tasks.links(self.graph).tails([{"head": head, "relation": relation}], depth=count)[0]
        return [{"tail": name, "score": score, "known": name in known} for name, score in found]

    def resolve(self, file: str, name: str, line: int | None = None) -> list[dict[str, Any]]:
        """What a short name means in a file (a path under the folder), best first."""
        key = f"{self.distribution.name}/{file}"
        if key not in self.graph.files:
            raise GraphmerError(f"{file}: is no Python file of {self.distribution.root} that can be read")
        lines = self.graph.files[key].split("\n")
        if line is None:
            line = next((number for number, text in enumerate(lines, 1) if name in text), 0)
        if not 1 <= line <= len(lines) or name not in lines[line - 1]:
            raise GraphmerError(f'{file}:{line}: does not say "{name}" (imports aside); give --line')
        candidates = sorted(one for one in self.graph.names if parts(one)[-1] == name)
        if not candidates:
            raise GraphmerError(f'nothing that {self.distribution.root} defines or names is called "{name}"')
        code = "\n".join(lines[max(0, line - 7) : line + 6])
        mention = {
            "file": key,
            "code": code,
            "line": line,
            "name": name,
            "candidates": candidates,
            "head": self._around(key, line),
        }
        scores = self.tasks.names(self.graph.entities).resolve([mention], self.graph.files)[0]
        order = sorted(range(len(candidates)), key=lambda i: -scores[i])
        return [{"entity": candidates[i], "score": float(scores[i])} for i in order]

    def search(self, sentence: str, count: int = 10) -> list[dict[str, Any]]:
        """The functions that a sentence describes, best first."""
        found = self.tasks.searching.passages([sentence], self._pool, depth=count)[0]
        return [{**self._functions[name], "score": score} for name, score in found]

    def calls(self) -> dict[str, list[str]]:
        """Caller -> callees inside the folder, those that resolution cannot see included."""
        sites: dict[str, list[Any]] = {}
        for site in callgraph.sites([self.distribution]):
            sites.setdefault(site.caller, []).append([site.file, *site.span])
        name = self.distribution.name
        callers = [{"distribution": name, "caller": caller, "sites": found} for caller, found in sites.items()]
        answers = self.tasks.calls.callees(callers, {name: self.distribution})
        return {row["caller"]: sorted(found) for row, found in zip(callers, answers, strict=True)}

    def imports(self, file: Path, count: int = 10) -> list[dict[str, Any]]:
        """The modules that a file needs, by its code alone, and whether it imports them."""
        try:
            text = content_of(file).decode("utf-8")
            code = code_alone(text)
        except UNREADABLE as error:
            raise GraphmerError(f"{file}: cannot be read: {reason_of(error)}") from None
        found = self.tasks.dependencies([code])[0][:count]
        imported = {line.split()[1].partition(".")[0] for line in text.split("\n") if _is_import(line)}
        return [{"module": name, "probability": p, "imported": name in imported} for name, p in found]

    def evaluate(self) -> dict[str, Any]:
        """Mean reciprocal rank at ten of the folder's own functions for their docstrings."""
        pairs = pairs_of(functions_of([self.distribution], processes=1, documented=True))
        if not pairs:
            raise GraphmerError(f"{self.distribution.root}: holds no documented function to search for")
        runs = self.tasks.searching.passages([pair.query for pair in pairs], self._pool, depth=10)
        total = 0.0
        for pair, run in zip(pairs, runs, strict=True):
            total += next((1 / place for place, (name, _) in enumerate(run, 1) if name == pair.record_id), 0.0)
        return {"mrr@10": total / len(pairs), "queries": len(pairs), "functions": len(self._pool.ids)}

    @cached_property
    def _functions(self) -> dict[str, dict[str, Any]]:
        return {
            one.record_id: {"function": f"{one.module}.{one.qualname}", "file": one.file, "line": one.line}
            for one in self._found
        }

    @cached_property
    def _found(self) -> Sequence[Any]:
        found = functions_of([self.distribution], processes=1)
        if not found:
            raise GraphmerError(f"{self.distribution.root}: holds no function to search for")
        return found

    @cached_property
    def _pool(self) -> Pool:
        return Pool([one.record_id for one in self._found], [one.source for one in self._found])

    def _around(self, file: str, line: int) -> str:
        """The innermost entity whose definition holds a line."""
        best, size = "", 1 << 30
        for row in self.graph.entities:
            if row["file"] == file and row["line"] <= line <= row["end_line"] and row["end_line"] - row["line"] < size:
                best, size = row["name"], row["end_line"] - row["line"]
        return best


def _is_import(line: str) -> bool:
    return line.lstrip().startswith(("import ", "from ")) and len(line.split()) > 1
