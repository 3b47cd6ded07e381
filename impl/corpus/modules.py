"""All modules of a graph by name: what each binds, read from disk when asked, and who ships it.

Kept in memory are a table of places and the modules used last, so that the graph of any number of files fits.
"""

import marshal
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from corpus.resolution import absolute, canonical
from corpus.syntax import CLASS, FUNCTION, MODULE

_KEPT: Final = 600  # modules in memory at once

Definition = tuple[Any, ...]
"""("d", scope index), or ("v", scope index, name, span)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: where it lies, what it is called, and whose it is."""

    distribution: str
    version: str
    licence: str
    path: str
    file: str
    module: str
    package: bool
    test: bool
    size: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the names of a module lie on disk."""

    source: Source
    facts: str
    offset: int
    length: int


class Module:
    """The names of one file, and what it defines."""

    __slots__ = ("definitions", "scopes")

    def __init__(self, scopes: Sequence[Mapping[str, Any]]) -> None:
        self.scopes = scopes
        self.definitions = _definitions(scopes)


class ModuleTable:
    """The `Modules` of a resolver.

    `places` by module name; `targets` are the names of compiled extensions. Parents of modules that no file stands for
    are namespace packages, owned by their first file.
    """

    def __init__(self, places: Mapping[str, Place], targets: frozenset[str] = frozenset()) -> None:
        self._places = places
        self._targets = targets
        self._kept: OrderedDict[str, Module] = OrderedDict()
        self._offers: dict[str, frozenset[str]] = {}
        self.namespaces: dict[str, str] = {}
        for name in sorted(places, key=lambda one: (places[one].source.distribution, places[one].source.file)):
            parent = name.rpartition(".")[0]
            while parent and parent not in places and parent not in self.namespaces:
                self.namespaces[parent] = name
                parent = parent.rpartition(".")[0]

    def scopes(self, module: str) -> Sequence[Mapping[str, Any]] | None:
        found = self.get(module)
        return None if found is None else found.scopes

    def get(self, module: str) -> Module | None:
        """The module; None for a namespace package and for what the corpus does not have."""
        kept = self._kept.get(module)
        if kept is not None:
            self._kept.move_to_end(module)
            return kept
        place = self._places.get(module)
        if place is None:
            return None
        with Path(place.facts).open("rb") as file:
            file.seek(place.offset)
            found = Module(marshal.loads(file.read(place.length)))
        self._kept[module] = found
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def offers(self, module: str) -> frozenset[str]:
        """Every name that a module binds itself or gets by a star: what else is asked of it need not be looked for."""
        known = self._offers.get(module)
        if known is None:
            known = self._offers[module] = frozenset(self._offered(module, set()))
        return known

    def _offered(self, module: str, seen: set[str]) -> set[str]:
        found = self.get(module)
        if found is None or module in seen:
            return set()
        seen.add(module)
        names = set(found.scopes[0]["bindings"])
        for written, level in found.scopes[0]["stars"]:
            source = absolute(module, self.is_package(module), written, level)
            if source is not None:
                names |= self._offered(source, seen)
        return names

    def has(self, module: str) -> bool:
        return module in self._places or module in self.namespaces

    def is_package(self, module: str) -> bool:
        place = self._places.get(module)
        return module in self.namespaces if place is None else place.source.package

    def is_target(self, module: str) -> bool:
        return module in self._targets

    def source(self, module: str) -> Source | None:
        place = self._places.get(module)
        return None if place is None else place.source


def _definitions(scopes: Sequence[Mapping[str, Any]]) -> dict[str, Definition]:
    """Every entity inside a module by qualified name: one each, functions and classes before variables."""
    found: dict[str, list[int]] = {}
    for index, names in enumerate(scopes):
        if names["kind"] in (CLASS, FUNCTION):
            found.setdefault(names["qualname"], []).append(index)
    result: dict[str, Definition] = {name: ("d", canonical(scopes, indices)) for name, indices in found.items()}
    for index, names in enumerate(scopes):
        if names["kind"] not in (MODULE, CLASS):
            continue
        prefix = names["qualname"] + "." if names["qualname"] else ""
        for table in ("bindings", "attributes"):
            for name, (span, bindings) in names[table].items():
                if prefix + name not in result and _is_variable(name, names, table, bindings):
                    result[prefix + name] = ("v", index, name, span)
    return result


def _is_variable(name: str, names: Mapping[str, Any], table: str, bindings: Sequence[tuple[Any, ...]]) -> bool:
    if table == "attributes" and name in names["bindings"]:
        return False
    return all(one[0] not in ("S", "M", "F") for one in bindings)
