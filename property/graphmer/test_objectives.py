"""The laws of the ontology as losses: what breaks one costs more, and only relations that are flagged pay."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from graphmer.objectives import GraphHead, acyclicity, antisymmetry, transitivity  # noqa: E402

SEEDS = st.integers(0, 10_000)


def forward_only(seed, n=6):
    """Edges from lower to higher numbers alone: no cycle, no edge both ways."""
    return torch.tensor(np.triu(np.random.default_rng(seed).uniform(0, 1, (n, n)), 1))


def test_by_hand():
    both_ways = torch.tensor([[0.0, 1.0], [0.5, 0.0]])
    assert antisymmetry(both_ways).item() == pytest.approx(2 * 0.5 / 4)
    # trace A = 0, trace A^2 = 1, trace A^3 = 0, trace A^4 = 0.5: (1 / 2 + 0.5 / 24) / 2 nodes
    assert acyclicity(both_ways).item() == pytest.approx((0.5 + 0.5 / 24) / 2)
    path = torch.zeros(3, 3)
    path[0, 1] = path[1, 2] = 1.0
    assert transitivity(path).item() == pytest.approx(1 / 27)
    path[0, 2] = 1.0
    assert transitivity(path).item() == 0


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_no_cycle_costs_nothing(seed):
    order = forward_only(seed)
    assert acyclicity(order).item() == 0
    assert antisymmetry(order).item() == 0


@given(SEEDS, st.integers(2, 4), st.floats(0.1, 1.0))
@settings(max_examples=50, deadline=None)
def test_a_planted_cycle_of_any_length_costs(seed, length, weight):
    order = forward_only(seed)
    for place in range(length):
        order[place, (place + 1) % length] = weight
    expected = sum(np.trace(np.linalg.matrix_power(order.numpy(), k)) / math.factorial(k) for k in range(1, 5)) / 6
    assert acyclicity(order).item() == pytest.approx(expected)
    assert acyclicity(order).item() > 0


@given(SEEDS, st.floats(0.05, 1.0))
@settings(max_examples=50, deadline=None)
def test_a_planted_reversal_costs(seed, weight):
    order = forward_only(seed)
    order[0, 1] = max(float(order[0, 1]), 0.1)
    before = antisymmetry(order)
    order[1, 0] = weight
    assert antisymmetry(order) > before


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_taking_a_shortcut_away_costs(seed):
    """The transitive closure of any order costs nothing; without one of its long edges it does."""
    order = (forward_only(seed) > 0.5).double()
    order[0, 1] = order[1, 2] = 1.0
    closure = sum(torch.matrix_power(order, k) for k in range(1, 6)).clamp(max=1)
    assert transitivity(closure).item() == 0
    closure[0, 2] = 0
    assert transitivity(closure).item() > 0


@pytest.fixture
def head():
    torch.manual_seed(0)
    return GraphHead(12, 8, 4)


def test_only_flagged_relations_pay(head):
    names = torch.randn(6, 12)
    facts = torch.tensor([[0, 1, 1], [1, 2, 2], [2, 3, 3]])
    head.ontology(names, facts, {"acyclic": [2], "antisymmetric": [2]}).backward()
    assert head.bias.grad[2] != 0
    assert head.bias.grad[[0, 1, 3, 4]].abs().sum() == 0
    assert head.ontology(names, facts[:1], {"acyclic": [2]}).item() == 0  # no fact of that relation in the batch


def test_following_the_laws_lowers_them(head):
    """Gradient descent on the term alone undoes both directions of an edge."""
    names = torch.randn(6, 12)
    facts = torch.tensor([[0, 2, 1], [1, 2, 0]])
    laws = {"antisymmetric": [2]}
    optimizer = torch.optim.SGD(head.parameters(), lr=5.0)
    before = head.ontology(names, facts, laws).item()
    for _ in range(20):
        optimizer.zero_grad()
        head.ontology(names, facts, laws).backward()
        optimizer.step()
    assert head.ontology(names, facts, laws).item() < 0.9 * before


def test_the_score_of_an_edge_is_not_that_of_its_reverse(head):
    names = torch.randn(5, 12)
    adjacency = head.adjacency(names, torch.tensor([1]))[0]
    assert not torch.allclose(adjacency, adjacency.T, atol=1e-3)


def test_what_is_not_allowed_takes_no_part_in_the_ranking(head):
    """The ranking over the tail and one other is ln(1 + e^-margin); the rest may score what it wants."""
    names, facts = torch.randn(5, 12), torch.tensor([[0, 1, 1]])
    context = torch.randn(1, 12)
    allowed = torch.tensor([[False, True, True, False, False]])
    scores = head.against(
        head.queries(names, facts[:, 0], facts[:, 1]) + head.context(context), names, facts[:, 1]
    ).detach()
    plain = head.against(head.queries(names, facts[:, 0], facts[:, 1]), names, facts[:, 1])[0].detach()
    ranking = math.log1p(math.exp(float(scores[0, 2] - scores[0, 1])))
    sides = math.log1p(math.exp(-float(plain[1]))) + math.log1p(math.exp(float(plain[2])))
    assert head.link(names, facts, torch.tensor([0]), context, allowed).item() == pytest.approx(
        ranking + sides, rel=1e-5
    )
