"""Source text to decoded answer by size of the graph: one thread, the real dimensions, weights as initialised."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest

SIZES = {"small": (30, 60), "medium": (200, 330), "large": (900, 1600)}


@pytest.fixture(scope="module")
def bridge():
    torch = pytest.importorskip("torch")
    from graphsage.bridge import Bridge
    from graphsage.data import OPERATORS
    from graphsage.model import GraphSage

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    modules = [f"module_{i}" for i in range(150)]
    config = {
        "operators": list(OPERATORS),
        "modules": modules,
        "thresholds": {"defect": 0.5, "imports": 0.5},
        "edges": True,
        "precision": "bf16",
    }
    yield Bridge(GraphSage([978, 512, 512, 256], 256, len(OPERATORS), len(modules), 0.0, (1, 1, 1)), config, "0" * 64)
    torch.set_num_threads(threads)


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
    assert {"name", "imports", "defects"} <= set(answer)
    benchmark.extra_info["functions"] = len(sources)
    benchmark.extra_info["nodes"] = SIZES[size]
