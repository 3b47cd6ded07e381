"""Call graphs without learning: what resolution knows, and functions of the same name where it knows nothing.

The judge's own: nothing here is shared with the system under judgement.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from corpus import callgraph, distributions
from corpus.callgraph import Site
from corpus.distributions import Distribution, module_name
from corpus.parsing import UNREADABLE, content_of, parse

ANY = 1_000_000
POLICIES: Mapping[str, int] = {
    "static": 0,
    "static-or-unique-name": 1,
    "static-or-three-names": 3,
    "static-or-all-names": ANY,
}
"""Policy -> how many functions of the written name it takes at most where resolution knows nothing; none if there are
more."""


class Static:
    """One distribution as resolution sees it."""

    def __init__(self, distribution: Distribution, asked: Collection[str]) -> None:
        """`asked` are the files whose call expressions will be asked about."""
        self._tops = {distribution.relative(file).partition("/")[0].removesuffix(".py") for file in distribution.files}
        self._sites: dict[tuple[Any, ...], Site] = {
            (site.file, *site.span): site for site in callgraph.sites([distribution], asked)
        }
        self._written: dict[tuple[Any, ...], str] = {}
        self._named: dict[str, list[str]] = defaultdict(list)
        for path in distribution.files:
            file = distribution.relative(path)
            try:
                self._read(parse(content_of(path)), file, module_name(file))
            except UNREADABLE:
                continue

    def _read(self, node: ast.AST, file: str, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inside = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                self._named[child.name].append(f"{prefix}.{child.name}")
                inside = f"{prefix}.{child.name}.<locals>"
            elif isinstance(child, ast.ClassDef):
                inside = f"{prefix}.{child.name}"
            elif isinstance(child, ast.Call):
                function = child.func
                name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
                self._written[file, child.lineno, child.col_offset, child.end_lineno, child.end_col_offset] = name
            self._read(child, file, inside)

    def callees(self, sites: Sequence[Sequence[Any]], most: int) -> list[str]:
        """The functions of the distribution that these call expressions reach."""
        found: dict[str, None] = {}
        for one in sites:
            site = self._sites.get(tuple(one))
            known = [] if site is None else [*site.callees, *site.classes]
            if known:
                found |= dict.fromkeys(site.callees if site else ())
                continue
            named = self._named.get(self._written.get(tuple(one), ""), [])
            if len(named) <= most:
                found |= dict.fromkeys(named)
        return [name for name in found if name.partition(".")[0] in self._tops]


def answers(callers: Sequence[Mapping[str, Any]]) -> dict[str, list[list[str]]]:
    """Policy -> callees of each caller."""
    files: dict[str, set[str]] = defaultdict(set)
    for row in callers:
        files[row["distribution"]].update(file for file, *_ in row["sites"])
    worlds = {name: Static(distributions.find([name])[0], asked) for name, asked in files.items()}
    return {
        name: [worlds[row["distribution"]].callees(row["sites"], most) for row in callers]
        for name, most in POLICIES.items()
    }
