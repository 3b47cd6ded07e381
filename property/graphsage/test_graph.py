"""Laws of the graph: every edge type by hand on one small function, spans that lie in the text, no silent failure."""

import ast
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphsage import graph
from graphsage.graph import EDGE_TYPES, KINDS, UnparseableSource, build

FIVE_LINES = """def f(a):
    b = g(a)
    b = g(b)
    return b
"""


def _named(graphs: graph.CodeGraphs) -> list[str]:
    """Each node as kind@line:column, told apart where two share both."""
    places = [
        f"{KINDS[kind]}@{line}:{column}"
        for kind, (line, column, _, _) in zip(graphs.kind, graphs.span.tolist(), strict=True)
    ]
    assert len(set(places)) == len(places)
    return places


def _edges(graphs: graph.CodeGraphs, edge_type: str) -> set[tuple[str, str]]:
    names = _named(graphs)
    kept = graphs.edges[:, graphs.edge_type == EDGE_TYPES.index(edge_type)]
    return {(names[a], names[b]) for a, b in kept.T.tolist()}


def test_edges_of_five_lines_by_hand() -> None:
    graphs = build([FIVE_LINES])
    # A name is written as kind@line:column; an assignment and its target begin at the same place.
    assert _edges(graphs, "child") == {
        ("arg@1:6", "FunctionDef@1:0"),
        ("Assign@2:4", "FunctionDef@1:0"),
        ("Call@2:8", "Assign@2:4"),
        ("Name@2:8", "Call@2:8"),
        ("Name@2:10", "Call@2:8"),
        ("Name@2:4", "Assign@2:4"),
        ("Assign@3:4", "FunctionDef@1:0"),
        ("Call@3:8", "Assign@3:4"),
        ("Name@3:8", "Call@3:8"),
        ("Name@3:10", "Call@3:8"),
        ("Name@3:4", "Assign@3:4"),
        ("Return@4:4", "FunctionDef@1:0"),
        ("Name@4:11", "Return@4:4"),
    }
    # In the order of the text; the token of a call is its bracket, after the name that is called.
    chain = [
        *("FunctionDef@1:0", "arg@1:6", "Assign@2:4", "Name@2:4", "Name@2:8", "Call@2:8", "Name@2:10"),
        *("Assign@3:4", "Name@3:4", "Name@3:8", "Call@3:8", "Name@3:10", "Return@4:4", "Name@4:11"),
    ]
    assert _edges(graphs, "next_token") == set(itertools.pairwise(chain))
    assert _edges(graphs, "last_use") == {
        ("Name@2:10", "arg@1:6"),  # a
        ("Name@3:8", "Name@2:8"),  # g
        ("Name@3:10", "Name@2:4"),  # b is read on line 3 before it is written there
        ("Name@3:4", "Name@3:10"),
        ("Name@4:11", "Name@3:4"),
    }
    # Only where the last write is not the last occurrence; that pair has its edge already.
    assert _edges(graphs, "last_write") == {("Name@3:4", "Name@2:4")}
    assert _edges(graphs, "call") == {("Call@3:8", "Call@2:8")}


def test_a_call_of_a_local_function_leads_to_its_definition() -> None:
    graphs = build(["def f(a):\n    def g():\n        return 1\n    return g()\n"])
    assert _edges(graphs, "call") == {("Call@4:11", "FunctionDef@2:4")}


def test_both_directions_hold_each_edge_twice() -> None:
    graphs = build([FIVE_LINES, FIVE_LINES])
    pairs = graphs.both_directions().T.tolist()
    assert sorted(map(tuple, pairs)) == sorted((b, a) for a, b in pairs)
    assert len(pairs) == 2 * graphs.edges.shape[1]


def test_graphs_side_by_side_do_not_touch(real) -> None:
    sources = [function.source for function in real[:20]]
    together = build(sources)
    graph_of = np.repeat(np.arange(len(together)), np.diff(together.start))
    assert (graph_of[together.edges[0]] == graph_of[together.edges[1]]).all()
    edges = sum(build([source]).edges.shape[1] for source in sources)
    assert together.edges.shape[1] == edges


def test_subtrees_are_slices_and_parents_come_first(real) -> None:
    for function in real[:40]:
        graphs = build([function.source])
        below = np.ones(len(graphs.kind), dtype=int)
        for node in range(len(graphs.kind) - 1, 0, -1):
            assert graphs.parent[node] < node
            below[graphs.parent[node]] += below[node]
        assert below.tolist() == graphs.size.tolist()


def test_spans_cut_out_what_the_node_is(real) -> None:
    """The text of a name's span is the name, of a constant's span its value."""
    seen = 0
    for function in real[:40]:
        graphs = build([function.source])
        lines = function.source.split("\n")
        if any(ast.JoinedStr is type(node) for node in ast.walk(ast.parse(function.source))):
            continue  # Python 3.11 gives the parts of an f-string the places of other text
        for kind, (line, low, end, high) in zip(graphs.kind, graphs.span.tolist(), strict=True):
            if KINDS[kind] == "Name":
                text = lines[line - 1].encode()[low:high].decode()
                assert line == end
                assert text.isidentifier()
                seen += 1
    assert seen > 200


@pytest.mark.parametrize(
    "source", ["def f(:", "", "x = = 1", "a\0b", "def f():\n  return\n return", "# only a comment"]
)
def test_unparseable_raises(source: str) -> None:
    with pytest.raises(UnparseableSource):
        build([source])


def test_the_unparseable_one_of_several_is_named() -> None:
    with pytest.raises(UnparseableSource, match="source 1"):
        build(["x = 1", "def", "y = 2"])


@given(st.text(max_size=40))
def test_any_text_gives_a_graph_or_the_one_error(source: str) -> None:
    try:
        graphs = build([source])
    except UnparseableSource:
        return
    assert len(graphs.kind) >= 1
    assert graphs.parent[0] == -1
