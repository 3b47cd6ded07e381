"""Which modules does a file import, when its import statements are gone? What its names tell, and what it is like.

P(module | identifier) is counted over training files, leaving out the distribution that a file belongs to while the
ranker learns; the encoder adds what the nearest training files import. It must never read an import statement.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graphmer.tasks.features import unit, words
from graphmer.tasks.links import Answer, Encoder
from graphmer.tasks.ranker import Floats, Ranker, Table

SEEN: Final = 5
"""Training files that must import a module for it to be known."""

_LEAST: Final = 2  # training files with an identifier
_PRIOR: Final = 1.0
_NEIGHBOURS: Final = 15
_TOKENS: Final = 96
_ROUNDS: Final = 60

_ATTRIBUTE: Final = re.compile(r"\b([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_QUOTED: Final = re.compile(r"(\"\"\"|''')(?:.|\n)*?\1|#[^\n]*|\"[^\"\n]*\"|'[^'\n]*'")

NEURAL: Final = ("cosine to importers", "neighbours that import it", "cosine to its name")
FEATURES: Final = (
    *NEURAL,
    "highest", "second", "third", "mean of five", "support of the highest", "above a half", "log-odds",
    "log-odds a name",
    "popularity", "named", "read from", "calls of it", "words shared", "names in file", "rare names",
    "place by highest",
    "standard library",
)  # fmt: skip


def identifiers(text: str) -> set[str]:
    """Names that the code of a file uses, strings and comments aside, and pairs around a dot."""
    code = _QUOTED.sub(" ", text)
    return set(_NAME.findall(code)) | {f"{owner}.{name}" for owner, name in _ATTRIBUTE.findall(code)}


class Memory:
    """What identifiers tell of imports, counted over training files; `apart` leaves one distribution out."""

    def __init__(self, files: Sequence[Mapping[str, Any]]) -> None:
        """`files` have a group, modules and names."""
        self.groups = [row["group"] for row in files]
        counts = Counter(module for row in files for module in row["modules"])
        self.modules = sorted(name for name, count in counts.items() if count >= SEEN)
        place = {name: i for i, name in enumerate(self.modules)}
        self.names = [set(row["names"]) for row in files]
        often = Counter(name for names in self.names for name in names)
        self.vocabulary = {name: i for i, name in enumerate(sorted(n for n, c in often.items() if c >= _LEAST))}
        self.imports = np.zeros((len(files), len(self.modules)), dtype=np.float32)
        for row, each in zip(self.imports, files, strict=True):
            row[[place[name] for name in each["modules"] if name in place]] = 1.0
        self._tables: dict[str, tuple[Floats, Floats, Floats, float]] = {}
        self._whole = self._count(range(len(files)))

    def _count(self, chosen: Sequence[int]) -> tuple[Floats, Floats, Floats, float]:
        """(V, M) files with both, (V,) files with the name, (M,) files with the import, files."""
        together = np.zeros((len(self.vocabulary), len(self.modules)), dtype=np.float32)
        alone = np.zeros(len(self.vocabulary), dtype=np.float32)
        for i in chosen:
            ids = self.ids(self.names[i])
            alone[ids] += 1
            held = np.flatnonzero(self.imports[i])
            together[np.ix_(ids, held)] += 1
        return together, alone, self.imports[list(chosen)].sum(axis=0), float(len(chosen))

    def ids(self, names: set[str]) -> NDArray[np.int64]:
        return np.array(sorted(self.vocabulary[name] for name in names if name in self.vocabulary), dtype=np.int64)

    def told(self, names: set[str], apart: str = "") -> tuple[Floats, Floats, Floats, Floats]:
        """(I, M) P(module | identifier), (I,) its support, (I, M) log-odds, (M,) popularity, for a file's names.

        Without the files that are left out a name or a module may be as little known as one that was never seen; it is
        left out, too, as that one will be: a name has no line, a module popularity zero.
        """
        together, alone, held, files = self._whole
        ids = self.ids(names)
        both, support = together[ids], alone[ids]
        if apart:
            if apart not in self._tables:
                self._tables = {apart: self._count([i for i, one in enumerate(self.groups) if one == apart])}
            less = self._tables[apart]
            both, support = both - less[0][ids], support - less[1][ids]
            held, files = held - less[2], files - less[3]
            both, support = both[support >= _LEAST], support[support >= _LEAST]
        base = (held + 0.5) / (files + 1)
        share = (both + _PRIOR * base) / (support[:, None] + _PRIOR)
        with_, without = (both + 0.5) / (held + 1), (support[:, None] - both + 0.5) / (files - held + 1)
        return share, support, np.log(with_ / without), np.where(held >= SEEN, base, 0.0)


class Dependencies:
    """Modules that a file imports."""

    def __init__(self, encoder: Encoder, memory: Memory, vectors: Floats, ranker: Ranker | None = None) -> None:
        self.encoder, self.memory, self.ranker = encoder, memory, ranker
        self.vectors = vectors
        """(files, D) unit vectors of the training files."""
        self._named: Floats | None = None

    @classmethod
    def fit(cls, encoder: Encoder, files: Sequence[Mapping[str, Any]], threads: int = 1, seed: int = 0) -> Dependencies:
        """Count over all files; fit the ranker on those marked `fit`, each distribution left out of its own counts."""
        vectors = unit(encoder.vectors([row["text"][:4000] for row in files], maximum_tokens=_TOKENS))
        task = cls(encoder, Memory([{**row, "names": identifiers(row["text"])} for row in files]), vectors)
        chosen = sorted((i for i, row in enumerate(files) if row["fit"]), key=lambda i: files[i]["group"])
        tables, labels, cheap = [], [], []
        for i in chosen:
            candidates, table, own = task._table(task.memory.names[i], files[i]["text"], vectors[i], files[i]["group"])
            tables.append(table)
            cheap.append(own)
            labels.append(task.memory.imports[i][candidates])
        neural = [FEATURES.index(name) for name in NEURAL]
        task.ranker = Ranker.fit(
            np.concatenate(tables), np.concatenate(labels), [len(one) for one in labels], neural,
            objective="binary", rounds=_ROUNDS, leaves=15, monotone=dict.fromkeys(neural, 1),
            cheap=np.concatenate(cheap), threads=threads, seed=seed,
        )  # fmt: skip
        return task

    def infer(self, texts: Sequence[str], encoder: bool = True) -> list[Answer]:
        """(module, probability) for each text, most probable first; modules that nothing speaks for are left out."""
        assert self.ranker is not None
        vectors: list[Floats | None] = [None] * len(texts)
        if encoder:
            vectors = list(unit(self.encoder.vectors([text[:4000] for text in texts], maximum_tokens=_TOKENS)))
        found = [
            self._table(identifiers(text), text, vector) for text, vector in zip(texts, vectors, strict=True)
        ]  # fmt: skip
        scores = self.ranker.scores(np.concatenate([table for _, table, _ in found]), encoder)
        bounds = np.cumsum([len(table) for _, table, _ in found])[:-1]
        answers = []
        for (candidates, *_), mine in zip(found, np.split(scores, bounds), strict=True):
            order = np.argsort(-mine, kind="stable")
            answers.append([(self.memory.modules[candidates[i]], float(mine[i])) for i in order])
        return answers

    def _table(self, names: set[str], text: str, vector: Floats | None, apart: str = "") -> Table:
        """Modules that could be imported, their features, and whether they are thought of without the encoder, too."""
        memory = self.memory
        share, support, odds, base = memory.told(names, apart)
        if not len(share):
            share, support, odds = (
                np.zeros((1, len(base)), np.float32),
                np.zeros(1, np.float32),
                np.zeros((1, len(base))),
            )
        top = -np.partition(-share, min(4, len(share) - 1), axis=0)[:5]
        top = -np.sort(-top, axis=0)
        top = np.pad(top, ((0, 5 - len(top)), (0, 0)))
        named = np.array([name in names for name in memory.modules])
        total = odds.sum(axis=0)
        interesting = (top[0] >= 0.08) | named | (base >= np.sort(base)[-10:].min(initial=1.0))
        cheap = interesting.copy()
        columns: dict[str, Any] = {}
        if vector is not None:
            near = self.vectors @ vector
            allowed = np.array([group != apart for group in memory.groups])
            near = np.where(allowed, near, -1.0)
            nearest = np.argsort(-near, kind="stable")[:_NEIGHBOURS]
            votes = memory.imports[nearest].mean(axis=0)
            held = memory.imports * allowed[:, None]
            columns["cosine to importers"] = (near @ held) / np.maximum(1.0, held.sum(axis=0)) - near[allowed].mean()
            columns["neighbours that import it"] = votes
            columns["cosine to its name"] = self._names() @ vector
            interesting |= votes >= 0.2
        candidates = np.flatnonzero(interesting & (base > 0))
        code = _QUOTED.sub(" ", text)
        best = share.argmax(axis=0)
        columns |= {
            "highest": top[0], "second": top[1], "third": top[2], "mean of five": top.mean(axis=0),
            "support of the highest": np.log1p(support[best]), "above a half": (share > 0.5).sum(axis=0),
            "log-odds": total, "log-odds a name": total / max(1, len(share)), "popularity": base, "named": named,
            "names in file": np.full(len(base), np.log1p(len(names))),
            "rare names": np.full(len(base), np.log1p(len(names) - (support > 0).sum())),
            "place by highest": np.argsort(np.argsort(-top[0])),
        }  # fmt: skip
        table = np.zeros((len(candidates), len(FEATURES)), dtype=np.float32)
        for place, name in enumerate(FEATURES):
            if name in columns:
                table[:, place] = columns[name][candidates]
        own = set(words(text[:400]))
        for row, i in zip(table, candidates, strict=True):
            module = memory.modules[i]
            read = len(re.findall(rf"(?<![\w.]){module}\.\w", code)) if named[i] else 0
            row[FEATURES.index("read from")] = np.log1p(read)
            row[FEATURES.index("calls of it")] = (
                np.log1p(len(re.findall(rf"(?<![\w.]){module}\(", code))) if named[i] else 0
            )
            row[FEATURES.index("words shared")] = len(own & set(words(module)))
            row[FEATURES.index("standard library")] = module in _STANDARD
        return candidates, table, cheap[candidates]

    def _names(self) -> Floats:
        if self._named is None:
            self._named = unit(self.encoder.vectors([f"imports | {name}" for name in self.memory.modules]))
        return self._named

    # -- files -------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Names, modules and vectors of the training files are kept, not their text; counting is done on loading."""
        assert self.ranker is not None
        self.ranker.save(folder)
        memory = self.memory
        kept = [
            {
                "group": group,
                "modules": [memory.modules[i] for i in np.flatnonzero(held)],
                "names": sorted(name for name in names if name in memory.vocabulary),
            }
            for group, held, names in zip(memory.groups, memory.imports, memory.names, strict=True)
        ]
        (folder / "memory.json").write_text(json.dumps(kept))
        np.save(folder / "vectors.npy", self.vectors)

    @classmethod
    def load(cls, encoder: Encoder, folder: Path) -> Dependencies:
        memory = Memory(json.loads((folder / "memory.json").read_text()))
        return cls(encoder, memory, np.load(folder / "vectors.npy"), Ranker.load(folder))


_STANDARD: Final = sys.stdlib_module_names
