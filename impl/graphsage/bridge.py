"""From trained weights to answers: loads an artifact folder, takes source text, gives plain data.

Refuses what it cannot answer for: a folder without trained weights, weights of another shape, text that is not Python
or no function. It never falls back to an untrained model and never turns an error into a number.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from corpus.parsing import parse
from corpus.processes import pool
from graphsage import batches, data, features, graph
from graphsage.data import Part, Reading, Store
from graphsage.device import Device
from graphsage.graph import KIND, CodeGraphs, UnparseableSource
from graphsage.model import ANSWERS, Batch, GraphSage, Output
from graphsage.names import FILE, Names, UnreadableNames, Weights

__all__ = ["Bridge", "ModelMismatch", "ModelNotTrained", "NotOneFunction", "UnparseableSource", "load"]

_TIE = 0.01  # logits this near are equal: odds of 1.01 to 1 are no preference
_AHEAD = 4  # chunks of each process that are read, or answered, before they are asked for
_CHUNK = 64  # sources a batch: larger ones leave the cache, smaller ones pay the overhead more often


class ModelNotTrained(FileNotFoundError):  # noqa: N818 (says what is the case)
    """The folder holds no finished training run."""


class ModelMismatch(ValueError):  # noqa: N818
    """The weights do not fit the configuration beside them, or this version."""


class NotOneFunction(ValueError):  # noqa: N818
    """The text is Python, but not the definition of one function."""


def load(artifact: Path, device: str | None = None) -> Bridge:
    """The trained model in the folder `artifact`, on the device that it was trained for or on the one named.

    Raises ModelNotTrained, ModelMismatch, DeviceUnavailable.
    """
    folder = Path(artifact)
    weights, about, table = folder / "model.safetensors", folder / "config.json", folder / FILE
    for path in (weights, about):
        if not path.is_file():
            raise ModelNotTrained(f"{path}: not there, so nothing was trained here; run `python -m graphsage train`")
    try:
        config = json.loads(about.read_text(encoding="utf-8"))
        if config.get("answers", 1) != ANSWERS:
            raise ModelMismatch(
                f"{about}: trained for another version, whose weights mean something else; "
                "run `python -m graphsage train` again"
            )
        model = GraphSage(config["hidden"], config["head"], len(config["operators"]), len(config["modules"]))
        content = weights.read_bytes()
        model.load_state_dict(load_tensors(content), strict=True)
        names = Names.read(table, len(config["modules"]))
        bridge = Bridge(model, config, hashlib.sha256(content).hexdigest(), names, device)
    except UnreadableNames as error:
        raise ModelMismatch(str(error)) from None
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ModelMismatch(f"{about}: not the configuration of a model: {error!r}") from None
    except (RuntimeError, SafetensorError) as error:
        raise ModelMismatch(f"{weights}: does not fit {about.name}: {error}") from None
    return bridge


def feature_matrices(sources: Sequence[str]) -> list[NDArray[np.float32]]:
    """(nodes, 978) array of each source; needs no trained weights."""
    return [features.extract(graph.build([source])).dense() for source in sources]


def fingerprints(sources: Sequence[str], processes: int = 1) -> list[str]:
    """SHA-256 of graph, features and attributes of each source: equal where no weights could tell two sources apart.

    The table of names, which is none of them, knows imported names that share their parts (`fooBar`, `foo_bar`) apart.
    """
    chunks = _chunks(sources)
    with data.readers(processes if len(chunks) > 1 else 1) as readers:
        return [each for found in data.each(data.fingerprints, chunks, readers) for each in found]


class Bridge:
    """Answers about source text; every method is safe to call from several threads at once.

    All methods but `answer_file` take sources of one function each and raise UnparseableSource for text that is not
    Python, NotOneFunction for other code, TypeError for a single text where several are asked for. Docstrings are left
    out, as in training. With more than one of `processes`, sources are read by that many processes, which stay for
    later calls until `close`; they are spawned, so the calling script needs the `if __name__ == "__main__":` guard.
    """

    def __init__(
        self, model: GraphSage, config: dict[str, Any], weights: str, names: Names, device: str | None = None
    ) -> None:
        self.config = config
        self.weights = weights  # SHA-256 of the weights file
        self.names = names  # what imported names in sight say
        self.names_weights = Weights.read(config["names"])
        self.updates: int = config["training"]["update"]  # optimizer updates behind these weights
        self.operators: list[str] = config["operators"]
        self.modules: list[str] = config["modules"]
        self.thresholds = _numbers(config["thresholds"], "defect", "imports")
        self.calibration = _numbers(config["calibration"], "scale")
        self.edges: bool = config["edges"]
        self.device = Device.of(device or config["device"], config["precision"], answers=True)
        self.model = model.to(self.device.kind, self.device.dtype).eval().requires_grad_(False)
        self.model.freeze(self.device)
        self._readers: dict[int, ProcessPoolExecutor] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the processes that read sources, once no call is at work; the next that wants some starts them anew."""
        with self._lock:
            for several in self._readers.values():
                several.shutdown()
            self._readers.clear()

    @property
    def trained(self) -> bool:
        """Whether any update was made: `load` refuses a folder without weights, but weights may be of update 0."""
        return self.updates > 0

    def facts(self) -> dict[str, Any]:
        """What answers state about the model."""
        return {"weights": self.weights, "device": self.device.name, "trained": self.trained, "updates": self.updates}

    def defect_scores(self, sources: Sequence[str], processes: int = 1) -> NDArray[np.float64]:
        """(N,) probability that the function holds a defect."""
        return self._collect(sources, _probability, processes)

    def defects(self, sources: Sequence[str], seed: int, processes: int = 1) -> dict[str, Any]:
        """Everything about the defects of N functions, read once.

        "score" (N,) is the probability that the function holds one, "rewired" (N,) the same with the neighbours of all
        nodes of a graph shuffled among them by `seed` (degrees stay), and "place" the N [line, column, end line, end
        column] of the most probable place, given that there is one.
        """
        scores, rewired, places = [], [], []
        for graphs, (own, other) in self._answered(sources, Reading(self.edges, seed), processes):
            scores.append(_probability(own))
            places += graphs.span[_places(own, graphs)].tolist()
            rewired.append(_probability(other))
        return {"score": _joined(scores), "place": places, "rewired": _joined(rewired)}

    def import_scores(self, sources: Sequence[str], processes: int = 1) -> dict[str, Any]:
        """{"modules": K names, "scores": (N, K) independent probabilities} that the function uses the module."""
        scores = _joined([self._imports(*found) for found in self._outputs(sources, processes)])
        return {"modules": self.modules, "scores": scores.reshape(len(sources), len(self.modules))}

    def confidences(self, sources: Sequence[str], processes: int = 1) -> NDArray[np.float64]:
        """(N,) calibrated probability that the program passes its tests."""
        return self._collect(sources, self._confidence, processes)

    def embeddings(self, sources: Sequence[str], processes: int = 1) -> NDArray[np.float32]:
        """(N, E) vectors of length 1; the inner product is the similarity."""
        found = _joined([output.embedding.numpy() for output, _ in self._outputs(sources, processes, embed=True)])
        return found.reshape(len(sources), self.config["head"]).astype(np.float32)

    def answer(self, source: str) -> dict[str, Any]:
        """Everything about one function: name, line, confidence, imports, and the defect if it is above the dev cut."""
        return self.answer_batch([source])[0]

    def answer_batch(self, sources: Sequence[str], processes: int = 1) -> list[dict[str, Any]]:
        """One answer per source, in order."""
        outputs = self._outputs(sources, processes)
        return [answer for output, graphs in outputs for answer in self._answers(output, graphs)]

    def answer_file(self, text: bytes | str) -> list[dict[str, Any]]:
        """Answers for all functions and methods of a file, in order of their lines, which are the file's."""
        try:
            tree = parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UnparseableSource(f"not Python: {error}") from None
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        nodes.sort(key=lambda node: node.lineno)
        answers: list[dict[str, Any]] = []
        for low in range(0, len(nodes), _CHUNK):
            graphs = graph.build_trees(nodes[low : low + _CHUNK])
            answers += self._answers(self._output(graphs), graphs)
        return answers

    def _answers(self, output: Output, graphs: CodeGraphs) -> Iterator[dict[str, Any]]:
        probability = _probability(output)
        cells = output.cells.numpy()
        modules = self._imports(output, graphs)
        confidence = self._confidence(output)
        for index, node in enumerate(_places(output, graphs)):
            defects = []
            if probability[index] >= self.thresholds["defect"]:
                operator = self.operators[_first_of_best(cells[node])]
                line = int(graphs.span[node, 0])
                defects.append({"operator": operator, "line": line, "probability": float(probability[index])})
            order = np.argsort(-modules[index], kind="stable")[:5]
            kept = order[modules[index, order] >= self.thresholds["imports"]]
            yield {
                "name": graphs.name[index],
                "line": int(graphs.span[graphs.start[index], 0]),
                "confidence": float(confidence[index]),
                "imports": [
                    {"module": self.modules[k], "probability": float(modules[index, k])} for k in kept.tolist()
                ],
                "defects": defects,
            }

    def _imports(self, output: Output, graphs: CodeGraphs) -> NDArray[np.float64]:
        """(G, K) probability that the function uses the module."""
        logits = self.names.weighed(output.imports.double().numpy(), graphs, self.names_weights)
        return torch.from_numpy(logits).sigmoid().numpy()

    def _confidence(self, output: Output) -> NDArray[np.float64]:
        logits = output.confidence.double() * self.calibration["scale"]
        return logits.sigmoid().numpy()

    def _outputs(
        self, sources: Sequence[str], processes: int, embed: bool = False
    ) -> Iterator[tuple[Output, CodeGraphs]]:
        for graphs, (output,) in self._answered(sources, Reading(self.edges), processes, embed):
            yield output, graphs

    def _answered(
        self, sources: Sequence[str], reading: Reading, processes: int, embed: bool = False
    ) -> Iterator[tuple[CodeGraphs, list[Output]]]:
        """Chunk by chunk the graphs, and what the model says of each view of them; what comes next is read meanwhile.

        One thread reads a chunk ahead; several processes read some, and as many threads have the model answer.
        """

        def prepared(part: Part, graphs: CodeGraphs, stores: list[Store]) -> tuple[CodeGraphs, list[Batch]]:
            others = np.flatnonzero(graphs.kind[graphs.start[:-1]] != KIND["FunctionDef"])
            if len(others):
                which = "the source" if len(sources) == 1 else f"source {part.first + others[0]}"
                raise NotOneFunction(f"{which} is not the definition of one function; `answer_file` takes whole files")
            return graphs, [self._batch(store) for store in stores]

        def read(part: Part) -> tuple[CodeGraphs, list[Batch]]:
            return prepared(part, *reading(part))

        def answered(graphs: CodeGraphs, found: list[Batch]) -> tuple[CodeGraphs, list[Output]]:
            return graphs, [self.model.answer(batch, embed) for batch in found]

        chunks = _chunks(sources)
        if len(chunks) <= 1:
            yield from (answered(*read(chunk)) for chunk in chunks)
        elif processes > 1:
            with _CORE_LEFT, ThreadPoolExecutor(processes) as several, self._readers_of(processes) as readers:
                waiting: deque[Future[tuple[CodeGraphs, list[Output]]]] = deque()
                for chunk in chunks:
                    elsewhere = readers.submit(reading, chunk)
                    waiting.append(
                        several.submit(lambda part, there: answered(*prepared(part, *there.result())), chunk, elsewhere)
                    )
                    if len(waiting) > _AHEAD * processes:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
        else:
            with ThreadPoolExecutor(1) as ahead, _CORE_LEFT:
                following = ahead.submit(read, chunks[0])
                for chunk in chunks[1:]:
                    ready = following.result()
                    following = ahead.submit(read, chunk)
                    yield answered(*ready)
                yield answered(*following.result())

    @contextmanager
    def _readers_of(self, processes: int) -> Iterator[ProcessPoolExecutor]:
        """The processes that read, started when they are first wanted, and anew after one of them died."""
        with self._lock:
            if processes not in self._readers:
                self._readers[processes] = pool(processes)
            readers = self._readers[processes]
        try:
            yield readers
        except BrokenProcessPool:
            with self._lock:
                if self._readers.get(processes) is readers:
                    del self._readers[processes]
            raise

    def _output(self, graphs: CodeGraphs) -> Output:
        (store,) = Reading(self.edges).of(graphs)
        return self.model.answer(self._batch(store))

    def _batch(self, store: Store) -> Batch:
        return batches.graphs(store, np.arange(len(store)), gradient=False).to(self.device.kind)

    def _collect(self, sources: Sequence[str], read: Callable[[Output], NDArray[Any]], processes: int) -> NDArray[Any]:
        return _joined([read(output) for output, _ in self._outputs(sources, processes)])


def _chunks(sources: Sequence[str]) -> list[Part]:
    if isinstance(sources, str | bytes):  # a sequence of texts, too: one of each character
        raise TypeError("one text where a sequence of texts is asked for")
    return [Part(sources[low : low + _CHUNK], low, len(sources)) for low in range(0, len(sources), _CHUNK)]


class _CoreLeft:
    """A core less for the model while a thread of its own parses: threads that wait for a core spin on another's.

    It changes the speed alone. The number of threads is the process's: the first of several calls at once takes a core
    away, and the last gives it back.
    """

    def __init__(self) -> None:
        self._lock, self._calls, self._threads = threading.Lock(), 0, 1

    def __enter__(self) -> None:
        with self._lock:
            self._calls += 1
            if self._calls == 1:
                self._threads = torch.get_num_threads()
                torch.set_num_threads(max(1, self._threads - 1))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._calls -= 1
            if not self._calls:
                torch.set_num_threads(self._threads)


_CORE_LEFT = _CoreLeft()


def _numbers(table: dict[str, float], *names: str) -> dict[str, float]:
    """Those of a table, which must be there. Raises KeyError and TypeError."""
    return {name: 0.0 + table[name] for name in names}


def _probability(output: Output) -> NDArray[np.float64]:
    """(G,) that the function holds a defect."""
    return output.defects.double().sigmoid().numpy()


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _places(output: Output, graphs: CodeGraphs) -> list[int]:
    """Of each graph the node that most speaks for a defect."""
    score = output.cells.logsumexp(dim=1).numpy()  # (N,)
    return [low + _first_of_best(score[low:high]) for low, high in itertools.pairwise(graphs.start.tolist())]


def _first_of_best(logits: NDArray[Any]) -> int:
    """Index of the first that is as good as the best.

    Twins in a graph have the same logit, and rounding, which the shape of a batch decides, must not choose among them.
    """
    return int((logits >= logits.max() - _TIE).argmax())
