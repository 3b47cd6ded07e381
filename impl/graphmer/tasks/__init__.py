"""The tasks on top of the encoder: what each learns is saved beside it, in the same artifact.

It must never touch the encoder's weights, and never fit a ranker on what aligned the encoder.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from corpus import distributions, folders
from corpus.distributions import Distribution
from graphmer.errors import GraphmerError
from graphmer.records import read
from graphmer.tasks.auxiliary import Discovery, Selection
from graphmer.tasks.calls import Calls
from graphmer.tasks.dependencies import Dependencies
from graphmer.tasks.links import Answer, Encoder, Graph, Links
from graphmer.tasks.names import Names, World, uses_of
from graphmer.tasks.ranker import Ranker
from graphmer.tasks.search import Pool, Search

__all__ = ["Tasks", "fit"]

FOLDER: Final = "tasks"
VERSION: Final = 2
"""Raised when the columns of rankers mean something else. 1, of which nothing was written: what only the distribution
that was left out knew counted, too."""
_MARK: Final = "version.json"
_FIRST: Final = ("name_mentions", "search_pairs")
_OTHERS: Final = ("link_examples", "dependency_files", "call_examples")


def fit(encoder: Encoder, data: Mapping[str, Path], out: Path, profile: Mapping[str, Any]) -> None:
    """Fit the rankers of all tasks whose data are there, and leave them in `out / "tasks"`.

    On a CPU with two threads or more, about half of the work is done in a process beside: a thread for each half takes
    less time than two for one half after the other, and the rankers are the same.

    Args:
        encoder: that of the artifact in `out`.
        data: of "link_triples", "train_entities", "train_files", "link_examples" and "relation_examples";
            "search_pairs" with "search_passages", all that is searched; "dependency_files"; "name_mentions",
            "name_entities", "name_files" and "name_pieces"; "call_examples" with "call_files": those that exist.
            Nothing else is read.
        profile: `threads`, `seed`, `device`, and how much each ranker learns from: `link_examples`, `search_examples`,
            `name_examples`; all there is, where it does not say.
    """
    (out / FOLDER).mkdir(exist_ok=True)
    (out / FOLDER / _MARK).write_text(json.dumps(VERSION))
    asked: dict[str, Any] = {"threads": int(profile["threads"]), "seed": int(profile["seed"])}
    asked |= {name: profile.get(name) for name in ("link_examples", "search_examples", "name_examples")}
    both = any(name in data for name in _FIRST) and any(name in data for name in _OTHERS)
    if asked["threads"] < 2 or profile.get("device", "cpu") != "cpu" or not both:
        _fit_first(encoder, data, out / FOLDER, asked)
        _fit_others(encoder, data, out / FOLDER, asked)
        return
    import torch

    asked["threads"], before = 1, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as beside:
            others = beside.submit(_fit_beside, out, dict(data), asked)
            _fit_first(encoder, data, out / FOLDER, asked)
            others.result()
    finally:
        torch.set_num_threads(before)


def _fit_beside(out: Path, data: Mapping[str, Path], asked: Mapping[str, Any]) -> None:
    import torch

    from graphmer.encoder import Encoder as Trained

    torch.set_num_threads(1)
    _fit_others(Trained.load(out), data, out / FOLDER, asked)


def _fit_first(encoder: Encoder, data: Mapping[str, Path], place: Path, asked: Mapping[str, Any]) -> None:
    """The rankers of names and of search: they take as long as all the others."""
    threads, seed = asked["threads"], asked["seed"]
    if "name_mentions" in data:
        mentions = read(Path(data["name_mentions"]))
        texts = {row["file"]: row["text"] for row in read(Path(data["name_files"]))}
        world = World(read(Path(data["name_entities"])), uses_of(mentions, texts))
        names = Names(encoder, world)
        names.fit(mentions[: asked["name_examples"]], texts, threads, seed)
        names.save(place / "names")
    if "search_pairs" in data:
        pairs = read(Path(data["search_pairs"]))
        pool = Pool.load(Path(data["search_passages"]))
        chosen = pairs[: asked["search_examples"]]
        queries, gold = [row["query"] for row in chosen], [row["record_id"] for row in chosen]
        Search(encoder).fit(queries, gold, pool, threads, seed).save(place / "search")


def _fit_others(encoder: Encoder, data: Mapping[str, Path], place: Path, asked: Mapping[str, Any]) -> None:
    """Those of the known graph, of dependencies, entities and calls."""
    threads, seed = asked["threads"], asked["seed"]
    if "link_examples" in data:
        graph = Graph.read(*(Path(data[name]) for name in ("link_triples", "train_entities", "train_files")))
        examples = read(Path(data["link_examples"]))[: asked["link_examples"]]
        links = Links(encoder, graph)
        links.fit(examples, threads, seed).save(place / "links")
        Selection(links).fit(read(Path(data["relation_examples"])), threads, seed).save(place / "relations")
    if "dependency_files" in data:
        files = read(Path(data["dependency_files"]))
        Dependencies.fit(encoder, files, threads, seed).save(place / "dependencies")
    if "name_mentions" in data:
        pieces = read(Path(data["name_pieces"]))
        known = Counter(name for row in pieces for name in row["entities"])
        Discovery(encoder, known).fit(pieces, threads, seed).save(place / "entities")
        (place / "entities" / "known.json").write_text(json.dumps(known, sort_keys=True))
    if "call_examples" in data:
        traced: dict[str, list[dict[str, Any]]] = {}
        for row in read(Path(data["call_examples"])):
            traced.setdefault(row["distribution"], []).append(row)
        with folders.unpacked(read(Path(data["call_files"]))) as found:
            if lacking := sorted(traced.keys() - found.keys()):
                raise GraphmerError(f"call_examples are of {', '.join(lacking)}, of which call_files has no file")
            calls = Calls(encoder)
            calls.fit({name: (found[name], rows) for name, rows in traced.items()}, threads, seed)
        calls.save(place / "calls")


class Tasks:
    """What the tasks answer, with the rankers that lie beside the encoder."""

    def __init__(self, encoder: Encoder, artifact: Path) -> None:
        """GraphmerError where the rankers are of another version."""
        self.encoder, self.folder = encoder, Path(artifact) / FOLDER
        version = self.folder / _MARK
        if self.folder.is_dir() and (not version.is_file() or json.loads(version.read_text()) != VERSION):
            raise GraphmerError(f"{self.folder}: these rankers were fitted by another version of graphmer; train anew")
        self._graphs: dict[str, Graph] = {}
        self._pools: dict[str, Pool] = {}
        self._links: dict[tuple[str, bool], Links] = {}
        self._names: dict[str, tuple[Names, dict[str, str]]] = {}
        self._distributions: dict[str, Distribution] = {}

    def complete(
        self,
        queries: Sequence[Mapping[str, str]],
        graph: str,
        depth: int = 100,
        encoder: bool = True,
        code: bool = True,
    ) -> list[Answer]:
        """The best tails of each (head, relation) over the graph in a folder, as (name, score).

        Args:
            graph: folder with triples.jsonl, entities.jsonl and files.jsonl.
            encoder: False zeroes what the encoder contributes.
            code: False hides the code of all heads.
        """
        return self._over(graph, code).tails(queries, encoder, depth)

    def _over(self, graph: str, code: bool = True) -> Links:
        if (graph, code) not in self._links:
            parts = (Path(graph) / f"{name}.jsonl" for name in ("triples", "entities", "files"))
            self._links[graph, code] = self.links(Graph.read(*parts)) if code else self._over(graph).without_code()
        return self._links[graph, code]

    def search(self, queries: Sequence[str], passages: str, depth: int = 100, encoder: bool = True) -> list[Answer]:
        """The best passages of a file (JSON Lines of id and text) for each sentence, as (id, score)."""
        return self.searching.passages(queries, self._pool(passages), encoder, depth)

    def search_dense(self, queries: Sequence[str], passages: str, depth: int = 100) -> list[Answer]:
        """The same by the cosine of vectors alone."""
        return self.searching.dense(queries, self._pool(passages), depth)

    def dependencies(self, texts: Sequence[str], encoder: bool = True) -> list[Answer]:
        """(module, probability) of each text's imports, most probable first."""
        return self._dependencies.infer(texts, encoder)

    def resolve(self, mentions: Sequence[Mapping[str, Any]], names: str, encoder: bool = True) -> list[str]:
        """The candidate that each mention means. `names` is a folder with entities.jsonl and files.jsonl."""
        if names not in self._names:
            place = Path(names)
            texts = {row["file"]: row["text"] for row in read(place / "files.jsonl")}
            self._names[names] = self.names(read(place / "entities.jsonl")), texts
        task, texts = self._names[names]
        scores = task.resolve(mentions, texts, encoder)
        return [row["candidates"][int(one.argmax())] for row, one in zip(mentions, scores, strict=True)]

    def call_graph(self, callers: Sequence[Mapping[str, Any]], encoder: bool = True) -> list[list[str]]:
        """The functions that each caller {distribution, caller, sites} reaches at its call expressions."""
        for name in dict.fromkeys(row["distribution"] for row in callers):
            if name not in self._distributions:
                self._distributions[name] = distributions.find([name])[0]
        return self.calls.callees(callers, self._distributions, encoder)

    def discover(self, codes: Sequence[str], encoder: bool = True) -> list[list[tuple[str, float]]]:
        """(identifier, probability that it is an entity) of each piece of code."""
        place = self.folder / "entities"
        task = Discovery(self.encoder, json.loads((place / "known.json").read_text()), Ranker.load(place))
        return task.entities(codes, encoder)

    def select(self, queries: Sequence[Mapping[str, str]], graph: str, encoder: bool = True) -> list[float]:
        """The probability that each (head, relation) has a tail, over the graph in a folder."""
        task = Selection(self._over(graph), Ranker.load(self.folder / "relations"))
        return [float(one) for one in task.hold(queries, encoder)]

    # -- the tasks themselves, over whatever graph or code ------------------------------------------

    def links(self, graph: Graph) -> Links:
        return Links(self.encoder, graph, Ranker.load(self.folder / "links"))

    def names(self, entities: Sequence[Mapping[str, Any]]) -> Names:
        return Names.load(self.encoder, entities, self.folder / "names")

    @cached_property
    def calls(self) -> Calls:
        return Calls.load(self.encoder, self.folder / "calls")

    @cached_property
    def searching(self) -> Search:
        return Search(self.encoder, Ranker.load(self.folder / "search"))

    @cached_property
    def _dependencies(self) -> Dependencies:
        return Dependencies.load(self.encoder, self.folder / "dependencies")

    def _pool(self, path: str) -> Pool:
        if path not in self._pools:
            self._pools[path] = Pool.load(Path(path))
        return self._pools[path]
