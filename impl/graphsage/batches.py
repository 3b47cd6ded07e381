"""From stored graphs to the tensors of one batch. Pure copying: it draws nothing and drops nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphsage.data import IGNORED, MUTANT, REWRITE, SUBMISSION, WORDS, Samples, Store
from graphsage.features import WIDTH
from graphsage.model import Batch
from graphsage.sparse import Rows, Sparse

_LOUD = 2.0  # length of the vector of a graph's attributes
_GRAPHS, _NODES = 8, 128  # a filled batch has whole multiples of both


def _slices(array: NDArray, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray:
    return np.concatenate([array[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)])


def _pointers(counts: NDArray) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _empty(graphs: int, nodes: int) -> NDArray[np.int64]:
    """Sizes of the empty graphs that fill up so many graphs with so many nodes."""
    sizes = np.ones(_GRAPHS - graphs % _GRAPHS, dtype=np.int64)
    sizes[-1] += -(nodes + len(sizes)) % _NODES
    return sizes


def _rows(ptr: NDArray, index: NDArray, weight: NDArray) -> Rows:
    return Rows(
        torch.from_numpy(np.ascontiguousarray(ptr, dtype=np.int32)),
        torch.from_numpy(np.ascontiguousarray(index, dtype=np.int32)),
        torch.from_numpy(np.ascontiguousarray(weight, dtype=np.float32)),
    )


def graphs(
    store: Store,
    numbers: Sequence[int] | NDArray[np.int64],
    gradient: bool,
    windows: NDArray[np.int64] | None = None,
    filled: bool = False,
) -> Batch:
    """The named graphs side by side; with the transposes that a backward pass needs if `gradient`.

    `windows` (G, 2) keeps only the nodes low <= i < high of each graph, with the edges among them. `filled` puts graphs
    of empty nodes behind them, one at least, up to whole multiples of graphs and nodes: oneDNN compiles a product in
    bf16 for every shape that it meets, for half a millisecond, and no two batches have the same number of nodes.
    """
    number = np.asarray(numbers, dtype=np.int64)
    first, last = store.node_ptr[number], store.node_ptr[number + 1]
    shift = np.zeros_like(first) if windows is None else windows[:, 0]
    low = first + shift
    high = last if windows is None else np.minimum(first + windows[:, 1], last)
    sizes = high - low
    real = int(sizes.sum())  # nodes
    all_sizes = np.concatenate([sizes, _empty(len(sizes), real)]) if filled else sizes
    start = _pointers(all_sizes)
    n = int(start[-1])
    graph = np.repeat(np.arange(len(all_sizes), dtype=np.int32), all_sizes)
    nodes = np.arange(n, dtype=np.int32)
    stored = np.repeat(low - start[: len(sizes)], sizes) + nodes[:real]  # where each node lies in the store

    # (N, 978) features
    columns = _slices(store.columns, store.feature_ptr[low], store.feature_ptr[high]).astype(np.int32)
    values = _slices(store.values, store.feature_ptr[low], store.feature_ptr[high]).astype(np.float32)
    counts = np.zeros(n, dtype=np.int64)
    counts[:real] = store.feature_ptr[stored + 1] - store.feature_ptr[stored]
    features = _rows(_pointers(counts), columns, values)
    # (N, N) mean over neighbours
    edges = _slices(store.neighbours, store.neighbour_ptr[low], store.neighbour_ptr[high])
    degree = np.zeros(n, dtype=np.int64)
    degree[:real] = store.neighbour_ptr[stored + 1] - store.neighbour_ptr[stored]
    if windows is not None:
        inside = np.repeat(graph, degree)
        edges = edges - shift[inside]
        kept = (edges >= 0) & (edges < sizes[inside])
        degree = np.bincount(np.repeat(nodes, degree)[kept], minlength=n)
        edges = edges[kept]
    edges = edges + np.repeat(start[:-1][graph], degree)
    share = (1.0 / np.maximum(degree, 1)).astype(np.float32)
    around = _pointers(degree)
    neighbours = _rows(around, edges, np.repeat(share, degree))
    mean = (1.0 / all_sizes).astype(np.float32)
    ones, each = np.ones(n, dtype=np.float32), np.arange(n + 1, dtype=np.int32)
    pool, spread = _rows(start, nodes, mean[graph]), _rows(each, graph, ones)
    # (G, WORDS) attributes, as large whether there are few or many
    word = _slices(store.words, store.word_ptr[number], store.word_ptr[number + 1])
    reached = np.zeros(len(all_sizes), dtype=np.int64)
    reached[: len(number)] = store.word_ptr[number + 1] - store.word_ptr[number]
    loud = (_LOUD / np.sqrt(np.maximum(reached, 1))).astype(np.float32)
    words = _rows(_pointers(reached), word, np.repeat(loud, reached))
    if not gradient:
        matrices = (Sparse(features), Sparse(neighbours), Sparse(pool), Sparse(spread), Sparse(words))
        return Batch(*matrices, torch.from_numpy(start.astype(np.int64)))
    order = np.argsort(columns.astype(np.int16), kind="stable")
    holder = np.repeat(nodes, counts)[order]
    by_column = _rows(_pointers(np.bincount(columns, minlength=WIDTH)), holder, values[order])
    by_word = np.argsort(word, kind="stable")
    reader = np.repeat(np.arange(len(reached)), reached)[by_word]
    return Batch(
        Sparse(features, by_column),
        Sparse(neighbours, _rows(around, edges, share[edges])),  # the adjacency is symmetric
        Sparse(pool, _rows(each, graph, mean[graph])),
        Sparse(spread, _rows(start, nodes, ones)),
        Sparse(words, _rows(_pointers(np.bincount(word, minlength=WORDS)), reader, loud[reader])),
        torch.from_numpy(start.astype(np.int64)),
    )


def collate(
    samples: Samples,
    chosen: NDArray[np.int64],
    versions: NDArray[np.int64],
    gradient: bool,
    window: int | None = None,
    places: NDArray[np.float64] | None = None,
) -> Batch:
    """The samples `chosen` (B,), each with its versions (B, V): columns of `samples.versions`, -1 for a gap.

    With a `window`, larger graphs are cut to that many nodes: around the defect of the second version for all versions
    of a sample, where `places` (B, 2), uniform in [0, 1), says how far around. Programs, functions with a rewrite and
    masked ones stay whole: what the tests said, what is done, and which modules are used, is true of the whole.
    """
    rows = chosen[:, None]
    drawn = versions >= 0
    graph = np.where(drawn, samples.versions[rows, versions], -1)  # (B, V)
    there = graph >= 0
    location = np.where(there, samples.location[rows, versions], IGNORED)  # (B, V)
    role = samples.role[rows, versions]  # (B, V)
    passed = np.where(there, samples.passed[rows, versions], IGNORED)  # (B, V)
    masked = samples.masked[chosen]  # (B,)
    wanted = np.concatenate([graph[there], masked[masked >= 0]])
    windows, whole = None, np.ones(len(chosen), dtype=bool)
    if window is not None:
        assert places is not None
        size = samples.store.size(graph).min(axis=1, where=there, initial=1 << 30)  # (B,)
        site = np.where(location[:, 1] >= 0, location[:, 1], (places[:, 1] * size).astype(np.int64))
        whole = (passed != IGNORED).any(axis=1) | (there & (role == REWRITE)).any(axis=1) | (size <= window)  # (B,)
        low = np.where(whole, 0, _low(site, size, window, places[:, 0]))
        high = np.where(whole, 1 << 30, low + window)
        cut = np.stack([low, high], axis=1)[:, None].repeat(graph.shape[1], axis=1)[there]
        windows = np.concatenate([cut, np.tile([0, 1 << 30], (int((masked >= 0).sum()), 1))])
        location = np.where(location >= 0, location - low[:, None], location)
    batch = graphs(samples.store, wanted, gradient, windows, filled=True)
    version_graph = np.full(graph.shape, -1)
    version_graph[there] = np.arange(there.sum())
    import_graph = np.full((len(chosen), 2), -1)
    import_graph[masked >= 0, 0] = there.sum() + np.arange((masked >= 0).sum())
    import_graph[:, 1] = np.where((masked >= 0) & whole, version_graph[:, 0], -1)
    # a mutant that passed may be no defect at all, and somebody's own program has none of the named ones: nobody knows,
    # so nothing is learnt from it; nor from a rewrite that was not run: it has no mutant, so that being rewritten would
    # speak against defects
    unknown = ((role == MUTANT) & (passed == 1)) | (role == SUBMISSION) | ((role == REWRITE) & (passed == IGNORED))
    defect = np.where(unknown, IGNORED, role == MUTANT)
    # what a rewrite does is what its original does; what a failing version does is something else; both are believed
    # of what nobody has run
    other = (passed == 0) | ((role == MUTANT) & (passed == IGNORED))
    alike = np.where(other, 0, np.where((role == REWRITE) & (passed != 0), 1, IGNORED))
    batch.record_id = [samples.record_id[index] for index in chosen.tolist()]
    batch.version_graph = _long(version_graph)
    batch.import_graph = _long(import_graph)
    batch.bug_labels = _long(np.where(there, defect, IGNORED))
    batch.location_labels = _long(location)
    batch.operator_labels = _long(np.where(there, samples.operator[rows, versions], IGNORED))
    batch.import_labels = _long(np.where(masked[:, None] >= 0, samples.modules[chosen], IGNORED))
    batch.confidence_labels = _long(passed)
    batch.embedding_labels = _long(np.where(there, alike, IGNORED))
    return batch


def _low(
    site: NDArray[np.int64], size: NDArray[np.int64], window: int, place: NDArray[np.float64]
) -> NDArray[np.int64]:
    """First node of a window that holds the site and does not leave the graph."""
    least = np.maximum(site - window + 1, 0)
    most = np.minimum(site, np.maximum(size - window, 0))
    most = np.maximum(most, least)
    return np.where(size > window, least + (place * (most - least + 1)).astype(np.int64), 0)


def _long(array: NDArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
