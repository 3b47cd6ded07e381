"""The facts of all files, and the questions that rules across files ask of them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from assay.lint.facts import Config, Entry, Facts


class Project:
    """Everything that was read in one run."""

    def __init__(self, facts: Sequence[Facts]) -> None:
        self.facts = list(facts)

    @functools.cached_property
    def reads(self) -> frozenset[str]:
        """Names that some file reads and does more with than print."""
        found = {name for facts in self.facts for name in facts.reads}
        kept = found | {name for facts in self.facts for name in facts.own}
        for facts in self.facts:
            found |= {name for name, attributes in facts.stored.items() if not kept.isdisjoint(attributes)}
        return frozenset(found)

    @functools.cached_property
    def logged(self) -> frozenset[str]:
        """Names that some file prints or logs."""
        return frozenset(name for facts in self.facts for name in facts.logged)

    @functools.cached_property
    def stored(self) -> dict[str, str]:
        """Name -> an attribute of self that keeps it, whether or not anybody reads that."""
        return {name: kept[0] for facts in self.facts for name, kept in facts.stored.items()}

    @functools.cached_property
    def splats(self) -> frozenset[str]:
        """What is handed over whole: unpacked, or as it is to code that the project does not have."""
        found = set()
        for name in {name for facts in self.facts for name in facts.splats}:
            key, _, module = name.partition("@")
            last = module.rpartition(".")[2]
            if not last or not (f"{last}.py" in self.scripts or self._has_package(last)):
                found.add(key)
        return frozenset(found)

    def _has_package(self, name: str) -> bool:
        return any(f"/{name}/__init__.py" in "/" + facts.path for facts in self.scripts.get("__init__.py", ()))

    @functools.cached_property
    def mentioned(self) -> frozenset[str]:
        """Base names of the files that code mentions."""
        return frozenset(name for facts in self.facts if facts.kind == "python" for name in facts.files)

    @functools.cached_property
    def scripts(self) -> dict[str, list[Facts]]:
        """Base name -> the Python files of that name."""
        found: dict[str, list[Facts]] = {}
        for facts in self.facts:
            if facts.kind == "python":
                found.setdefault(PurePosixPath(facts.path).name, []).append(facts)
        return found

    def configs(self, *kinds: str) -> Iterator[tuple[Facts, Config]]:
        """The configurations of the given kinds; a file counts when code mentions it."""
        for facts in self.facts:
            for config in facts.configs:
                if config.kind in kinds and (config.kind != "file" or config.name in self.mentioned):
                    yield facts, config

    def handed_over(self, entry: Entry) -> bool:
        """Is the entry, or something above it, unpacked into a call that may know what to do with it?"""
        return "*" in self.splats or not self.splats.isdisjoint([*entry.path, entry.key])

    def script(self, name: str) -> Facts | None:
        """The file that `python NAME` or `python -m NAME` runs, when exactly one can be meant."""
        if name.endswith(".py"):
            tail = "/" + name.removeprefix("./")
            found = [f for f in self.scripts.get(PurePosixPath(name).name, ()) if ("/" + f.path).endswith(tail)]
        else:
            base = name.replace(".", "/")
            tails = (f"/{base}.py", f"/{base}/__main__.py")
            names = (base.rpartition("/")[2] + ".py", "__main__.py")
            found = [f for n in names for f in self.scripts.get(n, ()) if ("/" + f.path).endswith(tails)]
        return found[0] if len(found) == 1 else None

    def closure(self, facts: Facts) -> list[Facts]:
        """A file and everything of the project that it imports, at any depth."""
        found: dict[str, Facts] = {}
        queue = [facts]
        while queue:
            current = queue.pop()
            if current.path in found:
                continue
            found[current.path] = current
            for name in current.imports:
                tail = name.lstrip(".").replace(".", "/")
                last = tail.rpartition("/")[2]
                for candidate in self.scripts.get(f"{last}.py", ()) if last else ():
                    if ("/" + candidate.path).endswith(f"/{tail}.py"):
                        queue.append(candidate)
        return list(found.values())
