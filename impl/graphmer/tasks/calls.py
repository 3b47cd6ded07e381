"""Which functions does a call expression reach? What resolution knows, and every function of that name, filtered.

Candidates come from the static resolver and from names; a learned filter weighs how they are called and where they lie,
and what the encoder makes of both moves its odds. It must never run code, nor see a trace, save in fitting.
"""

from __future__ import annotations

import ast
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from corpus import callgraph
from corpus.callgraph import Site
from corpus.distributions import Distribution, module_name
from corpus.parsing import UNREADABLE, content_of, parse
from graphmer.tasks.features import overlap, parts, unit, words
from graphmer.tasks.links import Encoder
from graphmer.tasks.ranker import Floats, Ranker

_MOST: Final = 40  # candidates of one name
_ROUNDS: Final = 80
_TOKENS: Final = 64
_LEAST: Final = 1e-6  # of a probability
_BUILTIN: Final = frozenset(
    name for kind in (str, bytes, list, dict, set, tuple, int, float, frozenset) for name in dir(kind)
) | {"read", "write", "close", "flush", "seek", "readline", "acquire", "release", "put", "wait", "result"}

_WEIGHTS: Final = (0.0, 1.0, 2.0, 4.0, 8.0)  # of a cosine, in odds
FEATURES: Final = (
    "static", "static here", "resolved", "instantiates", "constructor", "method", "nested", "dunder", "private",
    "attribute",
    "on self", "on class", "on super", "bare name", "receiver is class", "receiver like class", "receiver is module",
    "same class", "class above", "class below", "same file", "shared depth", "namesakes", "namesake classes",
    "arguments fit", "arguments lacking", "arguments beyond", "keywords known", "keywords unknown", "names shared",
    "overrides static", "abstract", "class named in file", "class named in caller", "module named in file",
    "builtin method", "decorated", "property", "candidates",
    "receiver assigned class",
)  # fmt: skip
_SIGNS: Final = {
    "static": 1, "receiver is class": 1,
    "receiver like class": 1, "receiver is module": 1,
    "same class": 1, "arguments fit": 1, "arguments lacking": -1, "arguments beyond": -1, "keywords known": 1,
    "keywords unknown": -1, "names shared": 1, "overrides static": 1, "abstract": -1, "class named in file": 1,
    "class named in caller": 1, "module named in file": 1, "builtin method": -1, "property": -1, "namesakes": -1,
    "namesake classes": -1, "candidates": -1, "receiver assigned class": 1,
}  # fmt: skip
"""What can only speak for a candidate, or only against: few suites are traced, and noise is soon learnt by heart."""
_COLUMN: Final = {name: place for place, name in enumerate(FEATURES)}


@dataclass(frozen=True, slots=True)
class Defined:
    """A function of the distribution, as its text defines it."""

    name: str
    file: str
    owner: str
    parameters: tuple[str, ...]
    required: int
    most: int
    any_keyword: bool
    abstract: bool
    decorators: tuple[str, ...]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Written:
    """A call expression as it is written."""

    name: str
    receiver: str
    attribute: bool
    arguments: int
    starred: bool
    keywords: tuple[str, ...]
    values: tuple[str, ...]


@dataclass
class Code:
    """One distribution: its functions, its classes with the names of their bases, its call expressions."""

    distribution: Distribution
    functions: dict[str, Defined] = field(default_factory=dict)
    bases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calls: dict[tuple[str, tuple[int, int, int, int]], Written] = field(default_factory=dict)
    names: dict[str, Counter[str]] = field(default_factory=dict)
    assigned: dict[str, set[str]] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, distribution: Distribution) -> Code:
        code = cls(distribution)
        for path in distribution.files:
            file = distribution.relative(path)
            if not file.endswith(".py"):
                continue
            try:
                text = content_of(path).decode("utf-8")
                tree = parse(text)
            except UNREADABLE:
                continue
            code.lines[file] = text.split("\n")
            code.names[file] = Counter()
            code._walk(tree, module_name(file), "", file)
        return code

    def _walk(self, node: ast.AST, prefix: str, owner: str, file: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}.{child.name}"
                one = _defined(child, name, owner, file)
                if name not in self.functions or "overload" in self.functions[name].decorators:
                    self.functions[name] = one  # of overloads, the one that runs
                for decorator in child.decorator_list:
                    self._walk(decorator, prefix, owner, file)
                self._walk(child, f"{name}.<locals>", "", file)
            elif isinstance(child, ast.ClassDef):
                name = f"{prefix}.{child.name}"
                self.bases.setdefault(name, tuple(_last(base) for base in child.bases))
                self._walk(child, name, name, file)
            else:
                if isinstance(child, ast.Call):
                    span = (child.lineno, child.col_offset, child.end_lineno or 0, child.end_col_offset or 0)
                    self.calls[file, span] = _written(child)
                elif isinstance(child, ast.Name):
                    self.names[file][child.id] += 1
                elif isinstance(child, ast.Attribute):
                    self.names[file][child.attr] += 1
                if isinstance(child, ast.Assign) and isinstance(child.value, ast.Call):
                    for target in child.targets:
                        self.assigned.setdefault(_last(target), set()).add(_last(child.value.func))
                elif isinstance(child, ast.arg | ast.AnnAssign) and child.annotation is not None:
                    target = child.arg if isinstance(child, ast.arg) else _last(child.target)
                    found = self.assigned.setdefault(target, set())
                    found |= {one.id for one in ast.walk(child.annotation) if isinstance(one, ast.Name)}
                self._walk(child, prefix, owner, file)


def _last(node: ast.AST) -> str:
    """The last name of an expression; "" where there is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Call):
        return _last(node.func)
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    return ""


def _defined(node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, owner: str, file: str) -> Defined:
    given = node.args
    plain = [one.arg for one in (*given.posonlyargs, *given.args)]
    decorators = tuple(_last(one) for one in node.decorator_list)
    bound = int(bool(owner) and "staticmethod" not in decorators)
    required = max(0, len(plain) - len(given.defaults) - bound)
    most = 99 if given.vararg else len(plain) - bound
    body = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    stub = all(isinstance(one, ast.Pass | ast.Raise) for one in body)
    return Defined(
        name, file, owner, tuple(plain[bound:] + [one.arg for one in given.kwonlyargs]), required, most,
        given.kwarg is not None, stub or any("abstract" in one for one in decorators), decorators,
        node.lineno, node.end_lineno or node.lineno,
    )  # fmt: skip


def _written(node: ast.Call) -> Written:
    function = node.func
    receiver = _last(function.value) if isinstance(function, ast.Attribute) else ""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call) and receiver != "super":
        receiver = receiver + "()"
    return Written(
        _last(function), receiver, isinstance(function, ast.Attribute),
        sum(not isinstance(one, ast.Starred) for one in node.args),
        any(isinstance(one, ast.Starred) for one in node.args) or any(one.arg is None for one in node.keywords),
        tuple(one.arg for one in node.keywords if one.arg), tuple(filter(None, map(_last, node.args))),
    )  # fmt: skip


class Calls:
    """Edges of call expressions, by caller.

    Trees are given nothing of the encoder's: on few suites they learn what a cosine is worth there, and lose by it
    elsewhere. How far a candidate's cosine lies below the site's best one is added to their log-odds, times a weight.
    """

    def __init__(
        self,
        encoder: Encoder,
        ranker: Ranker | None = None,
        weight: float = 0.0,
        cuts: Sequence[float] = (0.5, 0.5),
    ) -> None:
        """`cuts` are those with and without the encoder."""
        self.encoder, self.ranker, self.weight, self.cuts = encoder, ranker, weight, tuple(cuts)
        self._known: dict[str, _World] = {}

    def fit(
        self, found: Mapping[str, tuple[Distribution, Sequence[Mapping[str, Any]]]], threads: int = 1, seed: int = 0
    ) -> Ranker:
        """Fit the filter on traced callers of training distributions; cuts, and the weight of the encoder, are the best
        on each of them, left out in turn.

        Args:
            found: distribution -> itself, and its callers {caller, sites, callees, reached}: `reached` holds the
                callees of each site, for what one call expression reaches, the next one of that name may not.
        """
        blocks = {name: self._block(self._world(one, rows), rows) for name, (one, rows) in found.items()}

        def fitted(names: Sequence[str]) -> Ranker:
            tables, labels = [blocks[name][0] for name in names], [blocks[name][2] for name in names]
            return Ranker.fit(
                np.concatenate(tables), np.concatenate(labels), [len(one) for one in labels], neural=(),
                objective="binary", rounds=_ROUNDS, leaves=7, threads=threads, seed=seed,
                monotone={_COLUMN[name]: sign for name, sign in _SIGNS.items()},
            )  # fmt: skip

        told = []
        for name, (table, near, _, edges) in blocks.items():
            others = [one for one in blocks if one != name] or [name]
            true = sum(len(set(row["callees"])) for row in found[name][1])
            told.append((fitted(others).scores(table), near, edges, true))
        best = {
            weight: _best_cut([(fused(scores, near, weight), edges, true) for scores, near, edges, true in told])
            for weight in _WEIGHTS
        }
        self.weight = max(_WEIGHTS, key=lambda weight: best[weight][0])  # of equal ones the first
        self.cuts = best[self.weight][1], best[0.0][1]
        self.ranker = fitted(list(blocks))
        return self.ranker

    def callees(
        self, callers: Sequence[Mapping[str, Any]], distributions: Mapping[str, Distribution], encoder: bool = True
    ) -> list[list[str]]:
        """The functions of its distribution that each caller {distribution, caller, sites} calls at these sites."""
        assert self.ranker is not None
        answers: list[list[str]] = [[] for _ in callers]
        for name in dict.fromkeys(row["distribution"] for row in callers):
            chosen = [i for i, row in enumerate(callers) if row["distribution"] == name]
            asked = [callers[i] for i in chosen]
            world, heard = self._world(distributions[name], asked), encoder and self.weight > 0
            table, near, places = self._rows(world, asked, heard)
            cut = self.cuts[0 if encoder else 1]
            scores = fused(self.ranker.scores(table), near, self.weight)
            for (row, _, callee), score in zip(places, scores, strict=True):
                if score >= cut and callee not in answers[chosen[row]]:
                    answers[chosen[row]].append(callee)
        return answers

    def _world(self, distribution: Distribution, rows: Sequence[Mapping[str, Any]]) -> _World:
        """What these callers' files need, or more."""
        files = {file for row in rows for file, *_ in row["sites"]}
        known = self._known.get(distribution.name)
        if known is None or not files <= known.asked:
            known = self._known[distribution.name] = _World(distribution, files)
        return known

    def _block(
        self, world: _World, rows: Sequence[Mapping[str, Any]]
    ) -> tuple[Floats, Floats, Any, list[tuple[int, str, bool]]]:
        """Features, cosines and labels of all candidates, and (caller, callee, whether it is an edge) of each."""
        table, near, places = self._rows(world, rows, True)
        true = [set(row["callees"]) for row in rows]
        labels = np.array([callee in rows[row]["reached"][site] for row, site, callee in places], dtype=np.int32)
        return table, near, labels, [(row, callee, callee in true[row]) for row, _, callee in places]

    def _rows(
        self, world: _World, rows: Sequence[Mapping[str, Any]], encoder: bool
    ) -> tuple[Floats, Floats, list[tuple[int, int, str]]]:
        """(N, F) features of every candidate of every site, (N,) how far its cosine lies below the best one of its
        site, 0 without the encoder, and (caller, site of it, callee) of each."""
        lines, places, groups = [], [], []
        contexts: list[str] = []
        for number, row in enumerate(rows):
            for site, (file, *span) in enumerate(row["sites"]):
                key = (file, tuple(span))
                candidates = world.candidates(key)
                if not candidates:
                    continue
                groups.append((len(contexts), len(candidates)))
                contexts.append(world.context(row["caller"], key))
                for callee in candidates:
                    lines.append(world.features(row, key, callee, candidates))
                    places.append((number, site, callee))
        if not lines:
            return np.zeros((0, len(FEATURES)), dtype=np.float32), np.zeros(0, dtype=np.float32), []
        table, below = np.array(lines, dtype=np.float32), np.zeros(len(lines), dtype=np.float32)
        if encoder:
            wanted = sorted({callee for *_, callee in places})
            place = {name: i for i, name in enumerate(wanted)}
            known = unit(self.encoder.vectors(wanted, maximum_tokens=48))
            asked = unit(self.encoder.vectors(contexts, maximum_tokens=_TOKENS))
            low = 0
            for context, count in groups:
                near = known[[place[callee] for *_, callee in places[low : low + count]]] @ asked[context]
                below[low : low + count] = near - near.max()
                low += count
        return table, below, places

    def save(self, folder: Path) -> None:
        assert self.ranker is not None
        self.ranker.save(folder)
        (folder / "fusion.json").write_text(json.dumps({"weight": self.weight, "cuts": self.cuts}))

    @classmethod
    def load(cls, encoder: Encoder, folder: Path) -> Calls:
        return cls(encoder, Ranker.load(folder), **json.loads((folder / "fusion.json").read_text()))


def fused(scores: NDArray[np.float64], near: Floats, weight: float) -> NDArray[np.float64]:
    """(N,) probabilities whose log-odds are moved by `weight` for each 1 of (N,) `near`."""
    odds = np.log(np.clip(scores, _LEAST, 1 - _LEAST) / np.clip(1 - scores, _LEAST, 1 - _LEAST))
    return np.asarray(1 / (1 + np.exp(-(odds + weight * near))))


def _best_cut(curves: Sequence[tuple[Any, Sequence[tuple[int, str, bool]], int]]) -> tuple[float, float]:
    """The best sum of F1 over distributions, edges counted once, and the cut at which it is."""
    best, chosen = -1.0, 0.5
    for cut in np.linspace(0.1, 0.9, 33):
        total = 0.0
        for scores, edges, true in curves:
            kept = {(row, callee): ok for score, (row, callee, ok) in zip(scores, edges, strict=True) if score >= cut}
            total += 2 * sum(kept.values()) / max(1, len(kept) + true)
        if total > best:
            best, chosen = total, float(cut)
    return best, chosen


class _World:
    """A distribution as candidates see it."""

    def __init__(self, distribution: Distribution, asked: Collection[str] | None = None) -> None:
        """`asked` are the files whose call expressions candidates are wanted for: all, where they are not named."""
        self.code = Code.read(distribution)
        self.asked = set(self.code.lines if asked is None else asked)
        self.tops = {distribution.relative(file).partition("/")[0].removesuffix(".py") for file in distribution.files}
        self.sites: dict[tuple[str, tuple[int, int, int, int]], Site] = {
            (site.file, site.span): site for site in callgraph.sites([distribution], asked)
        }
        self.by_name: dict[str, list[str]] = defaultdict(list)
        for name in self.code.functions:
            self.by_name[parts(name)[-1]].append(name)
        self.classes: dict[str, list[str]] = defaultdict(list)
        for name in self.code.bases:
            self.classes[parts(name)[-1]].append(name)
        self.below: dict[str, set[str]] = defaultdict(set)
        for name in self.code.bases:
            for above in self._above(name):
                self.below[above].add(name)
        self._words: dict[str, set[str]] = {}

    def _above(self, name: str) -> set[str]:
        """Classes above one, as far as the names of bases tell."""
        found: set[str] = set()
        frontier = [name]
        while frontier:
            for base in self.code.bases.get(frontier.pop(), ()):
                named = self.classes.get(base, [])
                if len(named) <= 3:
                    new = [one for one in named if one not in found]
                    found.update(new)
                    frontier += new
        return found - {name}

    def inside(self, name: str) -> bool:
        return name.partition(".")[0] in self.tops

    def candidates(self, key: tuple[str, Any]) -> list[str]:
        """Functions that a call could reach: those resolved, and those called so."""
        written, site = self.code.calls.get(key), self.sites.get(key)
        found = dict.fromkeys(one for one in site.callees if self.inside(one)) if site else {}
        if written is None or not written.name:
            return list(found)
        if not (site and (site.callees or site.classes) and not found):  # resolution says that it leads outside
            named = self.by_name.get(written.name, [])
            if written.attribute:
                named = [one for one in named if "<locals>" not in one]
            else:
                named = [one for one in named if not self.code.functions[one].owner]
            if len(named) <= _MOST:
                found |= dict.fromkeys(named)
            for one in self.classes.get(written.name, ())[:5]:
                found |= dict.fromkeys(self._constructors(one))
        return list(found)

    def _constructors(self, name: str) -> Iterator[str]:
        for method in ("__init__", "__new__"):
            for owner in (name, *sorted(self._above(name))):
                if f"{owner}.{method}" in self.code.functions:
                    yield f"{owner}.{method}"
                    break

    def context(self, caller: str, key: tuple[str, Any]) -> str:
        """Caller, the call expression itself, and the lines about it: what is first is never cut off."""
        file, (first, start, last, end) = key
        lines = self.code.lines.get(file, [])
        written = [line.encode() for line in lines[first - 1 : last]]
        if written:
            written[-1] = written[-1][:end]
            written[0] = written[0][start:]
        around = lines[max(0, first - 3) : last + 2]
        call = b"\n".join(written).decode(errors="replace")
        return "\n".join([f"calls | {caller}", call, *(line.strip() for line in around)])

    def features(
        self, row: Mapping[str, Any], key: tuple[str, Any], callee: str, candidates: Sequence[str]
    ) -> list[float]:
        code = self.code
        site, written = self.sites.get(key), code.calls.get(key) or Written("", "", False, 0, True, (), ())
        one = code.functions.get(callee)
        file = key[0]
        split, caller = parts(callee), row["caller"]
        owner = one.owner if one else ""
        short_owner = parts(owner)[-1] if owner else ""
        plain = short_owner.lower().replace("_", "")
        mine = _class_of(caller, code)
        callees = site.callees if site else ()
        constructor = split[-1] in ("__init__", "__new__") and written.name != split[-1]
        receiver = written.receiver.removesuffix("()")
        depth = 0
        for a, b in zip(parts(caller), split, strict=False):
            if a != b:
                break
            depth += 1
        known = set(one.parameters) if one else set()
        missing = max(0, (one.required if one else 0) - written.arguments - len(written.keywords))
        beyond = max(0, written.arguments - (one.most if one else 99))
        unknown = sum(name not in known for name in written.keywords) if one and not one.any_keyword else 0
        named = code.names.get(file, Counter())
        values: dict[str, float] = {
            "static": callee in callees, "static here": len(callees),
            "resolved": bool(site and (callees or site.classes)),
            "instantiates": bool(site and site.classes), "constructor": constructor, "method": bool(owner),
            "nested": "<locals>" in callee, "dunder": split[-1].startswith("__"), "private": split[-1].startswith("_"),
            "attribute": written.attribute, "on self": receiver == "self", "on class": receiver == "cls",
            "on super": receiver == "super", "bare name": not written.attribute,
            "receiver is class": bool(owner) and receiver.lower().replace("_", "") == plain,
            "receiver like class": overlap(words(receiver), words(short_owner)) if owner else 0.0,
            "receiver is module": len(split) > 1 and receiver == split[-2], "same class": bool(owner) and owner == mine,
            "class above": bool(owner) and mine in self.below.get(owner, ()),
            "class below": bool(owner) and owner in self.below.get(mine, ()),
            "same file": bool(one) and one.file == file, "shared depth": depth,
            "namesakes": len(self.by_name.get(split[-1], ())),
            "namesake classes": len({code.functions[name].owner for name in self.by_name.get(split[-1], ())}),
            "arguments fit": written.starred or not (missing or beyond or unknown), "arguments lacking": missing,
            "arguments beyond": beyond, "keywords known": sum(name in known for name in written.keywords),
            "keywords unknown": unknown, "names shared": len(known & set(written.values)),
            "overrides static": any(
                owner in self.below.get(code.functions[name].owner, ()) for name in callees if name in code.functions
            ),
            "abstract": bool(one) and one.abstract, "class named in file": bool(owner) and named[short_owner] > 0,
            "class named in caller": bool(owner) and short_owner in self._named(caller, code),
            "module named in file": any(named[name] > 0 for name in split[:-1][-2:]),
            "builtin method": written.attribute and written.name in _BUILTIN,
            "decorated": bool(one) and bool(one.decorators),
            "property": bool(one) and "property" in one.decorators,
            "candidates": len(candidates),
            "receiver assigned class": bool(owner) and short_owner in code.assigned.get(receiver, ()),
        }  # fmt: skip
        line = [0.0] * len(FEATURES)
        for name, value in values.items():
            line[_COLUMN[name]] = float(value)
        return line

    def _named(self, caller: str, code: Code) -> set[str]:
        if caller not in self._words:
            one = code.functions.get(caller)
            text = "\n".join(code.lines[one.file][one.first - 1 : one.last]) if one else ""
            self._words[caller] = set(text.replace("(", " ").replace(".", " ").replace(",", " ").split())
        return self._words[caller]


def _class_of(caller: str, code: Code) -> str:
    """The class that a caller is a method of, nested functions of methods included."""
    name = caller
    while name:
        if name in code.bases:
            return name
        name = name.rpartition(".")[0]
    return ""
