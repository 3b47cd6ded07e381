"""Which entity does a short name mean, in a file whose imports are hidden? Places, neighbours, use, and the encoder.

Popularity is counted over other distributions than the file's own. It must never see an import, nor what another
mention of the same file means.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphmer.tasks.features import PLACES, Body, overlap, parts, unit, words
from graphmer.tasks.links import Encoder
from graphmer.tasks.ranker import Floats, Ranker

_TOKENS: Final = 96
_ROUNDS: Final = 250
_STANDARD: Final = "python"
_COMMON: Final = 30  # modules that are told apart by name
_OLDER: Final = frozenset({"Optional", "Union", "List", "Dict", "Tuple", "Set", "Type", "FrozenSet"})
_NEWER: Final = re.compile(r"\| None\b|\b(?:list|dict|tuple|set|type)\[")
_TYPES: Final = (
    "Module", "Class", "Interface", "Function", "Method", "Variable", "Type", "API", "Library", "ExceptionType",
    "Annotation", "Test", "BuildTarget",
)  # fmt: skip

_CLASS: Final = re.compile(r"^\s*class\s+(\w+)\s*\(([^)]*)\)", re.MULTILINE)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")

NEURAL: Final = ("cosine", "cosine below the best", "place by cosine")
FEATURES: Final = (
    *NEURAL,
    "type", "shared depth", "shared share", "depth", "same module", "same distribution", "outside", "builtin",
    "standard",
    "in its package", "popularity", "popularity share", "module's popularity", "distribution's popularity",
    "owner named",
    "module named", "receiver is owner", "receiver is module", "receiver like owner", "receiver is self",
    "written after dot",
    "called here", "siblings named", "siblings share", "package named", "members used", "members share", "defined here",
    "candidates", "candidates alike", "private", "constant", "capital", "words shared", "place by siblings",
    "place by popularity", "place by depth", "own class", "own base", "own names", "own names share", "behind receiver",
    "behind receiver share", "place by own names", "lines between", "which module", "older annotations",
    "newer annotations", *(f"name {place}" for place in PLACES),
)  # fmt: skip


def unit_of(file: str) -> str:
    """What is left out as one where a file is not to count for itself: its distribution; of the standard library, its
    package."""
    distribution, _, path = file.partition("/")
    return f"{distribution}/{path.partition('/')[0]}" if distribution == _STANDARD else distribution


class World:
    """All entities a file could mean, and how often training files use each."""

    def __init__(
        self,
        entities: Sequence[Mapping[str, str]],
        uses: Iterable[tuple[str, str, str]],
        common: Mapping[str, int] | None = None,
    ) -> None:
        """`uses` are (unit of the file, entity, what stands before its dot) of training mentions.

        `common` are the numbers of modules that a ranker was fitted with: what is a module depends on the entities, and
        so would they.
        """
        self.type = {row["name"]: row["type"] for row in entities}
        self.home = {row["name"]: row["distribution"] for row in entities}
        self.members: dict[str, set[str]] = defaultdict(set)
        for name in self.type:
            split = parts(name)
            self.members[".".join(split[:-1])].add(split[-1])
        self.modules = {name for name, kind in self.type.items() if kind in ("Module", "Library")}
        self.uses = Counter(uses)
        if common is None:
            often = Counter(self.module_of(name) for _, name, _ in self.uses.elements())
            common = {name: place for place, (name, _) in enumerate(often.most_common(_COMMON), start=1)}
        self.common = common
        self.popularity: dict[str, Counter[str]] = defaultdict(Counter)
        self.wide: dict[str, Counter[str]] = defaultdict(Counter)
        self.received: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        for (own, name, receiver), count in self.uses.items():
            for group in ("", own):
                self.received[group][receiver, name] += count
                self.popularity[group][name] += count
                self.popularity[group][self.module_of(name)] += count
                self.wide[group][parts(name)[0]] += count

    def module_of(self, name: str) -> str:
        """The longest leading part of a name that is a module; else all but its last component."""
        split = parts(name)
        for end in range(len(split) - 1, 0, -1):
            if ".".join(split[:end]) in self.modules:
                return ".".join(split[:end])
        return ".".join(split[:-1])

    def told(self, receiver: str, name: str, apart: str) -> float:
        """Mentions behind the same name before the dot, likewise."""
        key = (receiver, name)
        return float(self.received[""][key] - (self.received[apart][key] if apart else 0))

    def often(self, name: str, apart: str) -> float:
        """Mentions in training files of other distributions."""
        return float(self.popularity[""][name] - (self.popularity[apart][name] if apart else 0))


class File:
    """What is read of one file: all names, where they stand, and its module."""

    def __init__(self, file: str, text: str) -> None:
        self.distribution, _, path = file.partition("/")
        self.module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self.lines = text.split("\n")
        self.body = Body(text)
        self.names = set(self.body.counts)
        self.attributes = {name for name, row in self.body.counts.items() if row[2]}
        self.defined = _defined(self.lines)
        self.older, self.newer = len(_OLDER & self.names), min(20, len(_NEWER.findall(text)))
        self.bases = {name: set(_NAME.findall(bases)) for name, bases in _CLASS.findall(text)}

    def distance(self, name: str, line: int) -> int:
        """Lines up to where a class of that name begins, 100 where none does."""
        for back in range(100):
            at = line - 1 - back
            if at < 0:
                break
            if self.lines[at].lstrip().startswith((f"class {name}(", f"class {name}:")):
                return back
        return 100


def _defined(lines: Sequence[str]) -> set[str]:
    """Names that the file's top level defines."""
    found = set()
    for line in lines:
        first, _, rest = line.partition(" ")
        if first in ("def", "class"):
            found.add(rest.split("(")[0].split(":")[0].strip())
        elif first == "async":
            found.add(rest.removeprefix("def ").split("(")[0].strip())
        elif line[:1].isalpha() or line[:1] == "_":
            name, equals, _ = line.partition("=")
            if equals:
                found.add(name.split(":")[0].strip())
    return found


def receiver_of(lines: Sequence[str], line: int, name: str) -> str:
    """What stands before the dot of a mention; "" where nothing does."""
    use = Body("\n".join(lines[line - 1 : line + 2]))
    return min(use.receivers.get(name, set()), default="self" if use.row(name)[3] else "")


def uses_of(mentions: Iterable[Mapping[str, Any]], files: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(unit, entity, receiver) of mentions with gold."""
    lines: dict[str, list[str]] = {}
    for row in mentions:
        if row["file"] not in lines:
            lines[row["file"]] = files[row["file"]].split("\n")
        yield unit_of(row["file"]), row["gold"], receiver_of(lines[row["file"]], row["line"], row["name"])


class Names:
    """Ranks the candidates of mentions."""

    def __init__(self, encoder: Encoder, world: World, ranker: Ranker | None = None) -> None:
        self.encoder, self.world, self.ranker = encoder, world, ranker

    def fit(
        self, mentions: Sequence[Mapping[str, Any]], files: Mapping[str, str], threads: int = 1, seed: int = 0
    ) -> Ranker:
        """Fit the ranker on mentions with gold."""
        tables = self.tables(mentions, files, apart=True)
        labels = [np.array([one == row["gold"] for one in row["candidates"]]) for row in mentions]
        neural = [FEATURES.index(name) for name in NEURAL]
        self.ranker = Ranker.fit(
            np.concatenate(tables), np.concatenate(labels).astype(np.int32), [len(one) for one in labels], neural,
            rounds=_ROUNDS, threads=threads, seed=seed,
        )  # fmt: skip
        return self.ranker

    def resolve(
        self, mentions: Sequence[Mapping[str, Any]], files: Mapping[str, str], encoder: bool = True
    ) -> list[Floats]:
        """The score of each candidate of each mention: {file, line, head, name, code around it, candidates}."""
        assert self.ranker is not None
        tables = self.tables(mentions, files, encoder)
        scores = self.ranker.scores(np.concatenate(tables), encoder)
        return np.split(scores, np.cumsum([len(table) for table in tables])[:-1])

    def tables(
        self, mentions: Sequence[Mapping[str, Any]], files: Mapping[str, str], encoder: bool = True, apart: bool = False
    ) -> list[Floats]:
        """(candidates, F) features of each mention; `apart` leaves the file's distribution out of what was counted."""
        read: dict[str, File] = {}
        for row in mentions:
            if row["file"] not in read:
                read[row["file"]] = File(row["file"], files[row["file"]])
        near: list[Floats | None] = [None] * len(mentions)
        if encoder:
            texts = [f"uses | {row['name']}\n{row['code']}" for row in mentions]
            asked = unit(self.encoder.vectors(texts, maximum_tokens=_TOKENS))
            wanted = sorted({one for row in mentions for one in row["candidates"]})
            place = {name: i for i, name in enumerate(wanted)}
            known = unit(self.encoder.vectors(wanted, maximum_tokens=32))
            near = [known[[place[one] for one in row["candidates"]]] @ asked[i] for i, row in enumerate(mentions)]
        return [
            self._table(row, read[row["file"]], line, unit_of(row["file"]) if apart else "")
            for row, line in zip(mentions, near, strict=True)
        ]

    def _table(self, row: Mapping[str, Any], file: File, near: Floats | None, apart: str) -> Floats:
        world, name, candidates = self.world, row["name"], row["candidates"]
        here = "\n".join(file.lines[row["line"] - 1 : row["line"] + 2])
        use = Body(here)
        counts = use.row(name)
        receivers = use.receivers.get(name, set())
        receiver = min(receivers, default="self" if counts[3] else "")
        head = parts(row["head"])
        classes = set(head[len(file.module.split(".")) :])
        bases = {base for one in classes for base in file.bases.get(one, ())}
        others = Counter(sibling for one in candidates for sibling in world.members[world.module_of(one)] & file.names)
        own = file.module.split(".")
        table = np.zeros((len(candidates), len(FEATURES)), dtype=np.float32)
        column = _COLUMN
        if near is not None:
            table[:, column["cosine"]] = near
            table[:, column["cosine below the best"]] = near - near.max()
            table[:, column["place by cosine"]] = _places(near)
        file_counts = file.body.row(name)
        for line, candidate in zip(table, candidates, strict=True):
            split = parts(candidate)
            module = world.module_of(candidate)
            module_parts = module.split(".")
            shared = 0
            for a, b in zip(own, split, strict=False):
                if a != b:
                    break
                shared += 1
            home = world.home.get(candidate, "")
            owner = split[-2] if len(split) > 1 else ""
            owner_plain = owner.lower().replace("_", "")
            siblings = world.members[module]
            in_owner = ".".join(split[:-1])
            members = world.members[in_owner] if in_owner != module else set()
            inside = world.members[candidate.replace(":", ".")]
            popularity = world.often(candidate, apart)
            kind = world.type.get(candidate, "API")
            values = {
                "type": _TYPES.index(kind) if kind in _TYPES else len(_TYPES),
                "shared depth": shared, "shared share": shared / max(len(own), len(module_parts)), "depth": len(split),
                "same module": module == file.module, "same distribution": home == file.distribution,
                "outside": home == "", "builtin": split[0] == "builtins", "standard": home == _STANDARD,
                "in its package": module_parts[: len(own) - 1] == own[:-1],
                "popularity": np.log1p(popularity),
                "module's popularity": np.log1p(world.often(module, apart)),
                "distribution's popularity": np.log1p(
                    world.wide[""][split[0]] - (world.wide[apart][split[0]] if apart else 0)
                ),
                "owner named": owner in file.names, "module named": module_parts[-1] in file.names,
                "receiver is owner": any(one.lower().replace("_", "") == owner_plain for one in receivers),
                "receiver is module": module_parts[-1] in receivers,
                "receiver like owner": max((overlap(words(one), words(owner)) for one in receivers), default=0.0),
                "receiver is self": counts[3] > 0, "written after dot": counts[2] > 0, "called here": counts[1] > 0,
                "siblings named": np.log1p(len((siblings & file.names) - {split[-1]})),
                "siblings share": len((siblings & file.names) - {split[-1]}) / max(1, len(siblings)),
                "package named": module_parts[0] in file.names,
                "members used": np.log1p(len(members & file.attributes) + len(inside & file.attributes)),
                "members share": (len(members & file.attributes) + len(inside & file.attributes))
                / max(1, len(members) + len(inside)),
                "defined here": name in file.defined, "candidates": len(candidates),
                "candidates alike": sum(world.home.get(one, "") == home for one in candidates),
                "private": name.startswith("_"), "constant": name.isupper(), "capital": name[:1].isupper(),
                "words shared": overlap(words(file.module), words(module)),
                "own class": owner in classes and module == file.module, "own base": owner in bases,
                "which module": world.common.get(module, 0), "older annotations": file.older,
                "newer annotations": file.newer, "behind receiver": np.log1p(world.told(receiver, candidate, apart)),
                "own names": np.log1p(exclusive := sum(others[one] == 1 for one in siblings & file.names)),
                "own names share": exclusive / max(1, len(siblings)),
                "lines between": min(100, file.distance(owner, row["line"])) if module == file.module else 100,
            }  # fmt: skip
            for key, value in values.items():
                line[column[key]] = value
            line[column["name any"] : column["name any"] + len(PLACES)] = np.log1p(counts)
            line[column["name any"]] = np.log1p(file_counts[0])
        popular = table[:, column["popularity"]]
        table[:, column["popularity share"]] = np.expm1(popular) / max(1.0, float(np.expm1(popular).sum()))
        behind = np.expm1(table[:, column["behind receiver"]])
        table[:, column["behind receiver share"]] = behind / max(1.0, float(behind.sum()))
        table[:, column["place by own names"]] = _places(table[:, column["own names"]])
        table[:, column["place by siblings"]] = _places(table[:, column["siblings named"]])
        table[:, column["place by popularity"]] = _places(popular)
        table[:, column["place by depth"]] = _places(table[:, column["shared depth"]])
        return table

    # -- files -------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        assert self.ranker is not None
        self.ranker.save(folder)
        uses = [[*key, count] for key, count in sorted(self.world.uses.items())]
        (folder / "uses.json").write_text(json.dumps(uses))
        (folder / "modules.json").write_text(json.dumps(dict(self.world.common)))

    @classmethod
    def load(cls, encoder: Encoder, entities: Sequence[Mapping[str, str]], folder: Path) -> Names:
        """Over other entities than those it learnt from, if need be; uses are told of by name."""
        uses = json.loads((folder / "uses.json").read_text())
        common = json.loads((folder / "modules.json").read_text())
        world = World(entities, (tuple(key) for *key, count in uses for _ in range(count)), common)
        return cls(encoder, world, Ranker.load(folder))


_COLUMN: Final = {name: place for place, name in enumerate(FEATURES)}


def _places(values: NDArray[Any]) -> NDArray[np.int64]:
    """How many are higher: equal ones share a place."""
    return np.searchsorted(np.sort(-values), -values, side="left")
