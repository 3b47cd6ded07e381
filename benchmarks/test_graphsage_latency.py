"""Source text to decoded answer by size: one thread, the real dimensions, weights as initialised.

Beside it, in the same run, the model alone: packed for this machine, and the same weights in PyTorch Geometric's own
layers on dense features and an edge list, which is what a plain implementation would pay for every function.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap

import pytest

SIZES = {"small": (30, 60), "medium": (200, 330), "large": (900, 1600)}
FILES = ("bisect", "textwrap", "statistics", "argparse")  # from 100 to 2,700 lines
DIMENSIONS = [978, 512, 512, 256]
HEAD = 288
MODULES = 222  # labels of the model that `verify` trains


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def untrained():
    import torch

    from graphsage.data import OPERATORS
    from graphsage.model import GraphSage

    torch.manual_seed(0)
    return GraphSage(DIMENSIONS, HEAD, len(OPERATORS), MODULES).eval()


def known_names():
    """A table in which every name that is asked about speaks for three modules."""
    import numpy as np

    from graphsage import data, graph
    from graphsage.names import Names

    asked = [source for size in SIZES.values() for source in functions_of_size(*size)]
    symbol = np.unique(data.free(graph.build(asked))[1])
    entries = 3 * len(symbol)
    return Names(symbol, np.arange(0, entries + 1, 3), np.arange(entries) % MODULES, np.full(entries, 0.9))


@pytest.fixture(scope="module")
def bridge():
    from graphsage.bridge import Bridge
    from graphsage.data import OPERATORS

    config = {
        "operators": list(OPERATORS),
        "modules": [f"module_{i}" for i in range(MODULES)],
        "head": HEAD,
        "thresholds": {"defect": 0.5, "imports": 0.5},
        "names": {"own": 0.2, "names": 1.3, "offset": -1.0},
        "calibration": {"scale": 1.0},
        "training": {"update": 0},
        "edges": True,
        "device": "cpu",
        "precision": "native",
    }
    return Bridge(untrained(), config, "0" * 64, known_names())


def functions_of_size(low: int, high: int) -> list[str]:
    """Functions of three standard modules whose syntax tree has that many nodes."""
    import argparse
    import tarfile
    import typing

    found = []
    for module in (argparse, tarfile, typing):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.FunctionDef) and low <= sum(1 for _ in ast.walk(node)) <= high:
                found.append(textwrap.dedent(ast.unparse(node)))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_source_to_answer(benchmark, bridge, size):
    sources = functions_of_size(*SIZES[size])
    assert sources
    turn = iter(range(10**9))

    def call():
        return bridge.answer(sources[next(turn) % len(sources)])

    answer = benchmark(call)
    assert {"name", "confidence", "imports", "defects"} <= set(answer)
    benchmark.extra_info["functions"] = len(sources)
    benchmark.extra_info["nodes"] = SIZES[size]
    benchmark.extra_info["device"] = bridge.device.name


@pytest.mark.parametrize("module", FILES)
def test_whole_file_to_answers(benchmark, bridge, module):
    text = inspect.getsource(__import__(module))
    answers = benchmark(bridge.answer_file, text)
    assert answers
    benchmark.extra_info.update(module=module, lines=text.count("\n"), functions=len(answers))


@pytest.mark.parametrize("peer", ["packed", "plain PyG"])
@pytest.mark.parametrize("size", SIZES)
def test_trunk_beside_plain_pyg(benchmark, bridge, size, peer):
    """The trunk on the same graphs, features and edges made beforehand; both give the same states."""
    import torch
    from torch_geometric.nn import SAGEConv

    from graphsage import data, features, graph

    graphs = [graph.build([source]) for source in functions_of_size(*SIZES[size])[:20]]
    packed = [bridge._batch(data.Store.of(each)) for each in graphs]
    dense = [
        (torch.from_numpy(features.extract(each).dense()), torch.from_numpy(each.both_directions()).long())
        for each in graphs
    ]
    model = untrained()
    layers = [SAGEConv(low, high) for low, high in itertools.pairwise(DIMENSIONS)]
    for layer, convolution in zip(layers, model.convolutions, strict=True):
        layer.load_state_dict(convolution.state_dict())
    turn = iter(range(10**9))

    @torch.inference_mode()
    def plain(number: int) -> torch.Tensor:
        states, edges = dense[number]
        for layer, norm in zip(layers, model.norms, strict=True):
            states = torch.relu(norm(layer(states, edges)))
        return states

    @torch.inference_mode()
    def ours(number: int) -> torch.Tensor:
        return bridge.model.trunk(packed[number])

    for number in range(len(graphs)):
        gap = (ours(number).float() - plain(number)).abs().max()
        assert gap < 0.15, "other numbers are other work"
    benchmark(lambda: (ours if peer == "packed" else plain)(next(turn) % len(graphs)))
    benchmark.extra_info.update(peer=peer, nodes=SIZES[size], device=bridge.device.name if peer == "packed" else "fp32")
