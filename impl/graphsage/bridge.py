"""From trained weights to answers: loads an artifact folder, takes source text, gives plain data.

Refuses what it cannot answer for: a folder without trained weights, weights of another shape, text that is not Python.
It never falls back to an untrained model and never turns an error into a number.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from corpus.functions import from_text
from graphsage import batches, features, graph
from graphsage.data import Store
from graphsage.graph import CodeGraphs, UnparseableSource
from graphsage.model import Batch, GraphSage

__all__ = ["Bridge", "ModelMismatch", "ModelNotTrained", "UnparseableSource", "load"]

_CHUNK = 64  # sources a batch: larger ones leave the cache, smaller ones pay the overhead more often


class ModelNotTrained(FileNotFoundError):  # noqa: N818 (says what is the case)
    """The folder holds no finished training run."""


class ModelMismatch(ValueError):  # noqa: N818
    """The weights do not fit the configuration beside them."""


def load(artifact: Path) -> Bridge:
    """The trained model in the folder `artifact`. Raises ModelNotTrained or ModelMismatch."""
    folder = Path(artifact)
    weights, about = folder / "model.safetensors", folder / "config.json"
    for path in (weights, about):
        if not path.is_file():
            raise ModelNotTrained(f"{path}: not there, so nothing was trained here; run `python -m graphsage train`")
    try:
        config = json.loads(about.read_text(encoding="utf-8"))
        model = GraphSage(
            config["hidden"], config["head"], len(config["operators"]), len(config["modules"]), 0.0, (1.0, 1.0, 1.0)
        )
        model.load_state_dict(load_file(weights), strict=True)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ModelMismatch(f"{about}: not the configuration of a model: {error!r}") from None
    except (RuntimeError, SafetensorError) as error:
        raise ModelMismatch(f"{weights}: does not fit {about.name}: {error}") from None
    return Bridge(model, config, hashlib.sha256(weights.read_bytes()).hexdigest())


def feature_matrices(sources: Sequence[str]) -> list[NDArray[np.float32]]:
    """(nodes, 978) array of each source; needs no trained weights."""
    return [features.extract(graph.build([source])).dense() for source in sources]


def fingerprints(sources: Sequence[str]) -> list[str]:
    """SHA-256 of graph and features of each source: equal where no model could tell two sources apart."""
    prints = []
    for source in sources:
        store = Store.of(graph.build([source]))
        parts = (store.feature_ptr, store.columns, store.values, store.neighbour_ptr, store.neighbours)
        prints.append(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
    return prints


class Bridge:
    """Answers about source text; every method is safe to call from several threads at once.

    All methods take sources of functions and raise UnparseableSource for text that is not Python.
    """

    def __init__(self, model: GraphSage, config: dict[str, Any], weights: str) -> None:
        self.config = config
        self.weights = weights  # SHA-256 of the weights file
        self.operators: list[str] = config["operators"]
        self.modules: list[str] = config["modules"]
        self.thresholds: dict[str, float] = config["thresholds"]
        dtype = torch.bfloat16 if config["precision"] == "bf16" else torch.float32
        self.model = model.to(dtype).eval().requires_grad_(False)
        self.model.freeze()

    def defect_scores(self, sources: Sequence[str]) -> NDArray[np.float64]:
        """(N,) probability that the function holds a defect."""
        return self._collect(sources, lambda batch, states, _: self._defects(batch, states)[0])

    def rewired_defect_scores(self, sources: Sequence[str], seed: int) -> NDArray[np.float64]:
        """The same with the neighbours of all nodes of a graph shuffled among them; degrees stay."""
        rng = np.random.default_rng(seed)
        found = [
            self._defects(batch, self.model.trunk(batch))[0]
            for batch, _ in self._batches(sources, lambda store: _rewired(store, rng))
        ]
        return np.concatenate(found) if found else np.zeros(0)

    def defect_locations(self, sources: Sequence[str]) -> list[list[int]]:
        """[line, column, end line, end column] of the most probable place, given that there is a defect."""
        spans: list[list[int]] = []
        for batch, graphs in self._batches(sources):
            cells = self._defects(batch, self.model.trunk(batch))[1]
            best = _argmax(np.logaddexp.reduce(cells, axis=1), graphs.start)
            spans += graphs.span[best].tolist()
        return spans

    def import_scores(self, masked_sources: Sequence[str]) -> dict[str, Any]:
        """{"modules": K names, "scores": (N, K) independent probabilities} that the function uses the module."""
        scores = self._collect(masked_sources, lambda batch, states, _: self._imports(batch, states))
        return {"modules": self.modules, "scores": scores.reshape(len(masked_sources), len(self.modules))}

    def answer(self, source: str) -> dict[str, Any]:
        """Everything about one function: name, line, imports, and the defect if it is above the dev threshold."""
        return self.answer_batch([source])[0]

    def answer_batch(self, sources: Sequence[str]) -> list[dict[str, Any]]:
        """One answer per source, in order."""
        return [answer for batch, graphs in self._batches(sources) for answer in self._answers(batch, graphs)]

    def answer_file(self, text: bytes | str) -> list[dict[str, Any]]:
        """Answers for all functions and methods of a file, in order of their lines, which are the file's.

        Docstrings are left out, as in training; imports are judged with the imported names masked, where the corpus
        keeps the function (it leaves out stubs and the very large).
        """
        try:
            tree = ast.parse(text)
            masked = {each.line: each.masked for each in from_text(text)}
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UnparseableSource(f"not Python: {error}") from None
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        nodes.sort(key=lambda node: node.lineno)
        for node in nodes:
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.copy_location(ast.Pass(), node.body[0])]
        answers: list[dict[str, Any]] = []
        for low in range(0, len(nodes), _CHUNK):
            chunk = nodes[low : low + _CHUNK]
            graphs = graph.build_trees(chunk)
            twins = graph.build_trees(
                [graph.parse(masked[node.lineno]) if node.lineno in masked else node for node in chunk]
            )
            batch, twin = self._batch(graphs), self._batch(twins)
            answers += self._answers(batch, graphs, self._imports(twin, self.model.trunk(twin)))
        return answers

    def _answers(
        self, batch: Batch, graphs: CodeGraphs, imports: NDArray[np.float64] | None = None
    ) -> Iterator[dict[str, Any]]:
        states = self.model.trunk(batch)
        probability, cells = self._defects(batch, states)
        if imports is None:
            imports = self._imports(batch, states)
        best = _argmax(np.logaddexp.reduce(cells, axis=1), graphs.start)
        for index, node in enumerate(best.tolist()):
            defects = []
            if probability[index] >= self.thresholds["defect"]:
                operator = self.operators[int(cells[node].argmax())]
                line = int(graphs.span[node, 0])
                defects.append({"operator": operator, "line": line, "probability": float(probability[index])})
            order = np.argsort(-imports[index])[:5]
            kept = order[imports[index, order] >= self.thresholds["imports"]]
            yield {
                "name": graphs.name[index],
                "line": int(graphs.span[graphs.start[index], 0]),
                "confidence": None,  # no head for it yet: absent, not zero
                "imports": [
                    {"module": self.modules[k], "probability": float(imports[index, k])} for k in kept.tolist()
                ],
                "defects": defects,
            }

    def _batches(
        self, sources: Sequence[str], change: Callable[[Store], None] | None = None
    ) -> Iterator[tuple[Batch, CodeGraphs]]:
        """Chunk by chunk; the next one is parsed in a thread of its own while the model works on this one."""

        def prepare(low: int) -> tuple[Batch, CodeGraphs]:
            graphs = graph.build(sources[low : low + _CHUNK])
            return self._batch(graphs, change), graphs

        if len(sources) <= _CHUNK:
            if len(sources):
                yield prepare(0)
            return
        with ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(prepare, 0)
            for low in range(0, len(sources), _CHUNK):
                current = following.result()
                if low + _CHUNK < len(sources):
                    following = ahead.submit(prepare, low + _CHUNK)
                yield current

    def _batch(self, graphs: CodeGraphs, change: Callable[[Store], None] | None = None) -> Batch:
        store = Store.of(graphs)
        if not self.config["edges"]:
            store = store.without_edges()
        if change is not None:
            change(store)
        return batches.graphs(store, np.arange(len(store)), gradient=False)

    def _collect(
        self, sources: Sequence[str], answer: Callable[[Batch, Tensor, CodeGraphs], NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        found = [answer(batch, self.model.trunk(batch), graphs) for batch, graphs in self._batches(sources)]
        return np.concatenate(found) if found else np.zeros(0)

    def _defects(self, batch: Batch, states: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probability per graph (G,), logits per node and operator (N, O)."""
        logits, cells = self.model.defects(states, batch)
        return logits.double().sigmoid().numpy(), cells.double().numpy()

    def _imports(self, batch: Batch, states: Tensor) -> NDArray[np.float64]:
        return self.model.imports(states, batch).double().sigmoid().numpy()


def _argmax(values: NDArray[np.float64], start: NDArray[np.int32]) -> NDArray[np.int64]:
    """Index of the largest value in each run start[i]:start[i + 1]."""
    return np.array([low + int(values[low:high].argmax()) for low, high in itertools.pairwise(start)])


def _rewired(store: Store, rng: np.random.Generator) -> None:
    """Shuffle who is whose neighbour, graph by graph."""
    for low, high in zip(store.node_ptr[:-1], store.node_ptr[1:], strict=True):
        begin, end = store.neighbour_ptr[low], store.neighbour_ptr[high]
        store.neighbours[begin:end] = rng.permutation(store.neighbours[begin:end])
