"""The attention knows the graph: distances, decay by relation and head, and nothing across chains."""

from __future__ import annotations

import math

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from graphmer.model import REACH, Graphmer, GraphmerConfig, RelationBias, distances  # noqa: E402

SMALL = {
    "vocabulary": 60, "hidden": 16, "layers": 2, "heads": 2, "feed_forward": 32, "dimensions": 8, "positions": 32,
    "relations": 3, "dropout": 0.0, "laws": {"acyclic": [1]},
}  # fmt: skip


def model(**changes):
    torch.manual_seed(0)
    return Graphmer(GraphmerConfig(**{**SMALL, **changes}))


def chain(roots, hung):
    """Columns of one chain with so many roots and leaves (anchor, relation, tokens)."""
    anchors, relations, places = list(range(roots)), [0] * roots, [0] * roots
    for anchor, relation, size in hung:
        anchors += [anchor] * size
        relations += [relation] * size
        places += range(1, size + 1)
    columns = (torch.tensor([each]) for each in (anchors, relations, places))
    return dict(zip(("anchors", "relation_ids", "leaf_places"), columns, strict=True))


@given(
    roots=st.integers(2, 8),
    hung=st.lists(st.tuples(st.integers(0, 7), st.integers(1, 3), st.integers(1, 2)), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_distances_are_shortest_paths_of_the_chain_graph(roots, hung):
    """Against networkx: roots in a path, each leaf token on its root, leaf tokens of one root on each other."""
    hung = [(anchor % roots, relation, size) for anchor, relation, size in hung]
    columns = chain(roots, hung)
    anchors, places = columns["anchors"][0].tolist(), columns["leaf_places"][0].tolist()
    graph = nx.path_graph(roots)
    for token in range(roots, len(anchors)):
        graph.add_edge(token, anchors[token])
        graph.add_edges_from((token, other) for other in range(roots, token) if anchors[other] == anchors[token])
    wanted = dict(nx.all_pairs_shortest_path_length(graph))
    found = distances(columns["anchors"], torch.tensor([places]) > 0)[0]
    assert found.tolist() == [[wanted[a][b] for b in range(len(anchors))] for a in range(len(anchors))]


def test_the_bias_by_hand():
    """-strength x gelu(sqrt(d) - offset), gelu(x) = x (1 + erf(x / sqrt 2)) / 2, of the looked-at leaf's relation."""
    bias = RelationBias(2, 3)
    with torch.no_grad():
        bias.strength.copy_(torch.arange(8.0).view(2, 4) / 4)
        bias.offset.copy_(torch.arange(8.0).view(2, 4) / 8)
    columns = chain(6, [(1, 2, 1), (4, 3, 1)])
    found = bias(columns["relation_ids"], columns["anchors"], columns["leaf_places"] > 0)[0]  # (H, 8, 8)

    def wanted(head, relation, distance):
        strength = math.log1p(math.exp((4 * head + relation) / 4))
        x = math.sqrt(distance) - (4 * head + relation) / 8
        return -strength * x * (1 + math.erf(x / math.sqrt(2))) / 2

    for head in (0, 1):
        assert found[head, 0, 5].item() == pytest.approx(wanted(head, 0, 5), rel=1e-5)  # root looks at root
        assert found[head, 5, 6].item() == pytest.approx(wanted(head, 2, 5), rel=1e-5)  # root at leaf on root 1
        assert found[head, 6, 5].item() == pytest.approx(wanted(head, 2, 5), rel=1e-5)  # leaf looks at root
        assert found[head, 6, 7].item() == pytest.approx(wanted(head, 3, 5), rel=1e-5)  # leaf at the other leaf
        assert found[head, 7, 6].item() == pytest.approx(wanted(head, 2, 5), rel=1e-5)


def test_at_the_start_attention_shrinks_as_published():
    """exp(bias) = 0.6^gelu(sqrt(d) - p) (GraphMERT), and it never grows with distance beyond the offset."""
    table = RelationBias(4, 3).table()
    offsets = (0.5, 0.5 + 2 / 3, 0.5 + 4 / 3, 2.5)
    for head, offset in enumerate(offsets):
        x = math.sqrt(9) - offset
        gelu = x * (1 + math.erf(x / math.sqrt(2))) / 2
        assert table[head, 2, 9].exp().item() == pytest.approx(0.6**gelu, rel=1e-5)
        far = table[head, 1, math.ceil(offset**2) :]
        assert (far.diff() < 0).all()
    assert table.shape == (4, 4, REACH + 1)


def test_the_bias_acts_on_results_and_gradients():
    """Moving a leaf to another root, or giving it another relation, changes what the roots become."""
    network = model().eval()
    near, far, other = (chain(8, [leaf]) for leaf in ((1, 2, 2), (7, 2, 2), (1, 3, 2)))
    ids = torch.arange(10).view(1, 10) + 5
    ones = torch.ones(1, 10, dtype=torch.long)
    found = [network.encode(ids, ones, **each) for each in (near, far, other)]
    assert not torch.allclose(found[0][0, 0], found[1][0, 0], atol=1e-4)
    assert not torch.allclose(found[0][0, 0], found[2][0, 0], atol=1e-4)
    found[0].square().sum().backward()
    for parameter in network.bias.parameters():
        assert parameter.grad[:, [0, 2]].abs().sum() > 0  # relations that stand in the row
        assert parameter.grad[:, [1, 3]].abs().sum() == 0


def test_without_the_bias_the_rest_of_the_weights_learns_otherwise():
    with_bias, without = model(), model(bias=False)
    assert without.bias is None
    without.load_state_dict({k: v for k, v in with_bias.state_dict().items() if not k.startswith("bias.")})
    gradients = []
    for network in (with_bias, without):
        ids = torch.arange(10).view(1, 10) + 5
        network.encode(ids, torch.ones_like(ids), **chain(8, [(1, 2, 2)]))[0, 3, :4].sum().backward()
        gradients.append(network.layers[0].queries_keys_values.weight.grad)
    assert (gradients[0] - gradients[1]).norm() > 0.02 * gradients[0].norm()


def test_a_chain_is_the_same_alone_and_in_company():
    """Packed behind another chain and before padding, its hidden states do not change."""
    network = model().eval()
    one, two = chain(5, [(2, 1, 2)]), chain(6, [(0, 3, 1)])
    ids = torch.randint(5, 60, (1, 14), generator=torch.Generator().manual_seed(1))
    alone = network.encode(ids[:, 7:], torch.ones(1, 7, dtype=torch.long), **two)
    nothing = torch.zeros(1, 4, dtype=torch.long)
    packed = {name: torch.cat([one[name], two[name], nothing], dim=1) for name in one}
    segments = torch.tensor([[1] * 7 + [2] * 7 + [0] * 4])
    together = network.encode(torch.cat([ids, nothing], dim=1), segments, **packed)
    assert torch.allclose(alone[0], together[0, 7:14], atol=1e-5)


@given(st.lists(st.integers(4, 59), min_size=1, max_size=20), st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_the_vector_of_a_text_does_not_see_padding_or_company(ids, more):
    network = model().eval()
    alone = network.embed(torch.tensor([ids]))
    table = torch.zeros(2, len(ids) + more, dtype=torch.long)
    table[0, : len(ids)] = torch.tensor(ids)
    table[1, 0] = 7
    assert torch.allclose(network.embed(table)[:1], alone, atol=1e-5)


def test_a_bag_of_words_starts_weighted_by_rarity():
    """Entry 5 stands in 3 of 7 texts, entry 6 in all: weights ln(8 / 4) and, as ln(8 / 8) is 0, the least there is."""
    network = model()
    found = torch.zeros(network.config.vocabulary, dtype=torch.long)
    found[5], found[6] = 3, 7
    network.words.weigh(found, 7)
    table = network.words.table.weight
    expected = math.log(2) * table[5] + 0.05 * table[6]
    assert torch.allclose(network.words(torch.tensor([[6, 5, 0]]))[0], expected, atol=1e-6)


def test_pairs_as_bags_teach_the_bag_alone():
    """Losses of whole pairs reach the layers, too. A bag does not know the order of its words."""
    pairs = {"query_ids": torch.tensor([[5, 6], [7, 0]]), "target_ids": torch.tensor([[6, 5], [8, 9]])}
    pairs |= {"labels": torch.arange(2), "clashes": torch.zeros(2, 2, dtype=torch.bool)}
    bag = {"words.table.weight", "words.weight.weight", "log_scale"}
    for bags in (True, False):
        network = model()
        output = network(**pairs, **({"bags": True} if bags else {}))
        assert set(output.losses) == {"words" if bags else "align"}
        output.loss.backward()
        taught = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
        assert taught == bag if bags else taught > {*bag, "mixed", "pool.weight", "tokens.weight"}
    network.words.weigh(torch.zeros(network.config.vocabulary), 9)
    assert torch.allclose(network.words(pairs["query_ids"])[0], network.words(pairs["target_ids"])[0], atol=1e-6)


def test_the_pointer_by_hand():
    """See et al. 2017, eq. 9: (1 - p) x vocabulary + p x the sum of what attention gives to places that say it."""
    made = model()
    ids = torch.tensor([[7, 9, 1, 7, 20, 21], [9, 9, 7, 30, 1, 0]])
    segments = torch.tensor([[1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 0]])
    hidden, at = torch.randn(2, 6, 16), torch.tensor([2, 9])
    flat = hidden.flatten(0, 1)
    with torch.no_grad():
        found = made.fill(hidden, at, ids, segments).exp()
        for row, place, chain_ in ((0, 2, (0, 1, 3)), (1, 9, (6, 7, 8))):  # no marker, other chain or row, nor itself
            asked, keys = made.pointer.queries(flat[place]), made.pointer.keys(flat)
            weights = torch.tensor([float(asked @ keys[one]) / 4 for one in chain_]).softmax(0)
            share = torch.sigmoid(made.pointer.gate(flat[place]) - 6.0)
            wanted = (1 - share) * made.predict(flat[place]).softmax(0)
            for weight, one in zip(weights, chain_, strict=True):
                wanted[ids.flatten()[one]] += float(share) * weight
            torch.testing.assert_close(found[row], wanted)


def test_the_loss_is_that_of_what_is_filled_in():
    made = model()
    ids = torch.tensor([[1, 9, 1, 7, 20, 9]])
    segments, hidden = torch.ones_like(ids), torch.randn(1, 6, 16)
    labels = torch.tensor([[9, 40, -100]])  # the one stands there twice, the other never
    filled = made.fill(hidden, torch.tensor([0, 2]), ids, segments)
    loss = made._masked(hidden, torch.tensor([[0, 2, 0]]), labels, ids, segments)
    torch.testing.assert_close(loss, -(filled[0, 9] + filled[1, 40]) / 2)
    with torch.no_grad():
        made.pointer.gate.bias += 4.0
    copying = made.fill(hidden, torch.tensor([0, 2]), ids, segments)
    assert copying[0, 9] > filled[0, 9]
    assert copying[1, 40] < filled[1, 40]


def test_a_chain_with_nothing_to_copy_is_filled_from_the_vocabulary():
    made = model()
    ids, segments, hidden = torch.tensor([[1, 1, 9]]), torch.tensor([[1, 1, 2]]), torch.randn(1, 3, 16)
    own = hidden[0, 0]
    with torch.no_grad():
        made.pointer.gate.bias += 8.0
    (found,) = made.fill(hidden, torch.tensor([0]), ids, segments)
    torch.testing.assert_close(found, made.predict(own).log_softmax(0))


def test_layers_count_as_declared():
    """4 (W^2 + W) + 2 W F + F + W + 4 W a layer; 85,054,464 in twelve of 768 and 3,072."""
    with torch.device("meta"):
        network = Graphmer(GraphmerConfig(hidden=768, layers=12, heads=12, feed_forward=3072))
    counted = sum(p.numel() for p in network.layers.parameters())
    assert counted == 12 * (4 * (768**2 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768) == 85_054_464


def test_saved_and_read_again_it_is_the_same(tmp_path):
    network = model().eval()
    network.save_pretrained(tmp_path)
    again = Graphmer.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[5, 6, 7]])
    torch.testing.assert_close(network.embed(ids), again.embed(ids), rtol=0, atol=1e-6)  # kernels differ by alignment
    assert again.config.laws == {"acyclic": [1]}
