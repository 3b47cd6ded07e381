"""Laws of the model: its sparse layers are PyG's SAGEConv, neighbours matter, losses say what was labelled."""

import copy
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch_geometric.nn import SAGEConv

from graphsage import batches, data, features, frozen, graph
from graphsage.device import Device
from graphsage.frozen import Frozen
from graphsage.model import (
    IGNORED,
    GraphSage,
    Sage,
    SparseInputSage,
    scattered_max,
    segment_logmeanexp,
    segment_logsumexp,
    segment_max,
)

WEIGHTS = (1.0, 0.5, 0.2, 0.5, 0.3)


def _graphs(real, count: int = 3) -> graph.CodeGraphs:
    return graph.build([function.source for function in real[:count]])


@pytest.fixture(scope="module")
def model() -> GraphSage:
    torch.manual_seed(0)
    return GraphSage([978, 32, 32, 16], 16, len(data.OPERATORS), 7, weights=WEIGHTS).eval()


def test_nothing_is_written_into_the_temporary_folder_for_a_model(model: GraphSage) -> None:
    assert not [name for name in sys.modules if name.startswith("graphsage.model_")]


def test_first_layer_is_a_dense_sageconv(real) -> None:
    """Forward and weight gradients, against PyG's own layer on the dense matrix and edge_index."""
    graphs = _graphs(real)
    store = data.Store.of(graphs)
    batch = batches.graphs(store, np.arange(len(store)), gradient=True)
    torch.manual_seed(1)
    sparse, dense = SparseInputSage(978, 12), SAGEConv(978, 12)
    dense.load_state_dict(sparse.state_dict())
    rows = torch.from_numpy(features.extract(graphs).dense()).half().float()  # the store keeps half precision
    edges = torch.from_numpy(graphs.both_directions()).long()
    weight = torch.randn(len(rows), 12)
    outputs = []
    for layer, output in (
        (sparse, sparse(batch.features, batch.neighbours)),
        (dense, dense(rows, edges)),
    ):
        (output * weight).sum().backward()
        outputs.append((output.detach(), {name: p.grad for name, p in layer.named_parameters()}))
    (ours, our_gradients), (theirs, their_gradients) = outputs
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert our_gradients.keys() == their_gradients.keys()
    for name, gradient in our_gradients.items():
        torch.testing.assert_close(gradient, their_gradients[name], rtol=1e-3, atol=1e-4)


def test_inner_layers_are_sageconv_with_gradients_for_states(real) -> None:
    graphs = _graphs(real)
    store = data.Store.of(graphs)
    batch = batches.graphs(store, np.arange(len(store)), gradient=True)
    ours, theirs = Sage(9, 5), SAGEConv(9, 5)
    theirs.load_state_dict(ours.state_dict())
    edges = torch.from_numpy(graphs.both_directions()).long()
    first = torch.randn(len(graphs.kind), 9, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    one, two = ours(first, batch.neighbours), theirs(second, edges)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)
    one.square().sum().backward()
    two.square().sum().backward()
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_exactly_the_neighbours_within_three_steps(real, model: GraphSage) -> None:
    """A node's state depends on the nodes within as many steps as there are layers, and on no other graph."""
    graphs = _graphs(real)
    store = data.Store.of(graphs)
    batch = batches.graphs(store, np.arange(len(store)), gradient=True)
    states = model.convolutions[0](batch.features, batch.neighbours).detach().requires_grad_()
    hidden = states
    for layer in model.convolutions[1:]:
        hidden = layer(torch.relu(hidden), batch.neighbours)
    node = 5
    hidden[node].sum().backward()
    reached = set(np.flatnonzero(states.grad.abs().sum(dim=1).numpy()).tolist())
    near = {node}
    edges = graphs.both_directions()
    for _ in range(2):
        near |= {int(a) for a, b in edges.T if int(b) in near}
    assert reached <= near
    assert len(reached) > 3
    assert max(reached) < graphs.start[1]


def test_edges_change_the_answer(real, model: GraphSage) -> None:
    store = data.Store.of(_graphs(real))
    with_edges = batches.graphs(store, np.arange(3), gradient=False)
    without = batches.graphs(store.without_edges(), np.arange(3), gradient=False)
    one = model.logits(with_edges).defects
    two = model.logits(without).defects
    assert (one - two).abs().min() > 1e-5


def test_a_graph_is_judged_the_same_alone_and_in_company(real, model: GraphSage) -> None:
    store = data.Store.of(_graphs(real, 5))
    whole = batches.graphs(store, np.arange(5), gradient=False)
    together = model(whole)
    for index in range(5):
        batch = batches.graphs(store, [index], gradient=False)
        alone = model(batch)
        torch.testing.assert_close(alone.defects[0], together.defects[index], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.imports[0], together.imports[index], rtol=1e-4, atol=1e-5)


def test_the_words_of_a_graph_are_the_attributes_that_it_reaches_for() -> None:
    """Each once, as loud in sum whether they are few or many; names, parameters and keywords are none."""
    sources = [
        "def f(x):\n    a = np.reshape(x.shape, order=x)\n    return x.shape",
        "def g(y):\n    return y",
        "def h(z):\n    return z.items()",
    ]
    store = data.Store.of(graph.build(sources))
    batch = batches.graphs(store, np.arange(3), gradient=True, filled=True)
    dense = batch.words @ torch.eye(data.WORDS)
    expected = torch.zeros(len(dense), data.WORDS)
    expected[0, [graph.hashed(name, "name") % data.WORDS for name in ("reshape", "shape")]] = 2 / 2**0.5
    torch.testing.assert_close(dense[:2], expected[:2])
    assert not dense[3:].any()  # what fills up
    table = torch.randn(data.WORDS, 3, requires_grad=True)
    (batch.words @ table).square().sum().backward()
    again = table.detach().clone().requires_grad_()
    (dense @ again).square().sum().backward()
    torch.testing.assert_close(table.grad, again.grad)
    assert store.alone(0).words.tolist() == store.words[: store.word_ptr[1]].tolist()
    assert data.Store.join([store, store]).word_ptr.tolist() == [
        *store.word_ptr,
        *(store.word_ptr[1:] + len(store.words)),
    ]


def test_what_is_reached_for_tells_modules(model: GraphSage) -> None:
    sources = [f"def f(x):\n    return x.{name}" for name in ("reshape", "shape")]
    batch = batches.graphs(data.Store.of(graph.build(sources)), np.arange(2), gradient=False)
    deaf = copy.deepcopy(model)
    deaf.words_out.weight.data.zero_()
    heard, unheard = model.logits(batch), deaf.logits(batch)
    by_words = model.words.weight[[graph.hashed(name, "name") % data.WORDS for name in ("reshape", "shape")]]
    expected = 2 * by_words @ model.words_out.weight.T
    torch.testing.assert_close(heard.imports - unheard.imports, expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(heard.defects, unheard.defects)


def test_filling_up_changes_no_answer_and_no_gradient(real, model: GraphSage) -> None:
    store = data.Store.of(_graphs(real, 5))
    plain, filled = (batches.graphs(store, np.arange(5), gradient=True, filled=how) for how in (False, True))
    answers, gradients = [], []
    for batch in (plain, filled):
        output = model.logits(batch)
        cells = output.cells[: int(store.node_ptr[-1])]
        answers.append([output.defects[:5], output.imports[:5], output.embedding[:5], cells])
        model.zero_grad()
        (output.defects[:5].sum() + output.imports[:5].sum() + output.embedding[:5, 0].sum()).backward()
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_products_in_bf16_have_few_shapes_and_the_same_rows(monkeypatch) -> None:
    weight, bias = torch.randn(24, 40).bfloat16(), torch.randn(24).bfloat16()
    states = [torch.randn(rows, 40).bfloat16() for rows in (1, 31, 32, 33, 70)]
    plain = [torch.nn.functional.linear(each, weight, bias) for each in states]
    seen, linear = [], torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda x, w, b: seen.append(len(x)) or linear(x, w, b))
    for each, expected in zip(states, plain, strict=True):
        torch.testing.assert_close(frozen.product(each, weight, bias), expected, rtol=0.02, atol=0.02)
    assert seen == [32, 32, 32, 64, 96]


def test_batches_for_training_have_few_shapes(samples: data.Samples) -> None:
    rng = np.random.default_rng(0)
    shapes, sizes = set(), set()
    for _ in range(40):
        chosen = rng.choice(len(samples), size=12, replace=False)
        batch = batches.collate(samples, chosen, np.tile([0, 1], (12, 1)), True, 32, rng.random((12, 2)))
        shapes.add((len(batch.start), int(batch.start[-1])))
        sizes.add(len(batch.features.rows.index))
        assert torch.diff(batch.start).min() >= 1
        assert len(batch.start) % 8 == 1
        assert int(batch.start[-1]) % 128 == 0
    assert len(sizes) == 40
    assert len(shapes) <= 10


def test_logsumexp_of_runs_against_torch() -> None:
    values, start = torch.randn(10) * 40, torch.tensor([0, 3, 4, 10])
    expected = torch.stack([values[a:b].logsumexp(0) for a, b in ((0, 3), (3, 4), (4, 10))])
    torch.testing.assert_close(segment_logsumexp(values, start), expected)


def test_logmeanexp_of_runs_by_hand() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 5.0]]).log()
    found = segment_logmeanexp(values, torch.tensor([0, 2, 3]))
    torch.testing.assert_close(found.exp(), torch.tensor([[2.0, 3.0], [5.0, 5.0]]))


def test_a_larger_graph_is_not_suspected_for_its_size() -> None:
    """The same cells once, and three times over in one graph: as much speaks for a defect in it."""
    cells = torch.randn(30, 8)

    class Cells(torch.nn.Module):
        def forward(self, hidden: torch.Tensor) -> torch.Tensor:
            return cells.repeat(4, 1)

    model = GraphSage([978, 16, 16, 8], 8, operators=8, modules=3).eval()
    model.cell = Cells()
    batch = batches.Batch.__new__(batches.Batch)
    batch.start, batch.spread = torch.tensor([0, 30, 120]), torch.ones(120, 2)
    pooled = torch.randn(1, 16).repeat(2, 1)
    defects, _ = model.defects(torch.randn(120, 8), pooled, batch)
    torch.testing.assert_close(defects[0], defects[1])
    alarms = model.alarms(defects, cells.repeat(4, 1), batch)
    torch.testing.assert_close(alarms[0], alarms[1])


@pytest.fixture(scope="module")
def samples(real) -> data.Samples:
    modules = data.vocabulary(real, 1)
    return data.prepare(real[:50], modules, mutants=2, seed=0, readers=None, progress=lambda text: None)


def test_samples_carry_every_function_and_place_every_defect(real, samples: data.Samples) -> None:
    assert samples.record_id == [function.record_id for function in real[:50]]
    made = samples.versions[:, 1:] >= 0
    assert made.any(axis=1).mean() > 0.8
    assert ((samples.location[:, 1:] >= 0) == made).all()
    assert (samples.location[:, 0] == IGNORED).all()
    assert ((samples.masked >= 0) == [bool(function.uses) for function in real[:50]]).all()


def test_samples_are_the_same_for_any_number_of_processes(real, samples: data.Samples) -> None:
    modules = data.vocabulary(real, 1)
    with data.readers(2) as readers:
        again = data.prepare(real[:50], modules, mutants=2, seed=0, readers=readers, progress=lambda text: None)
    assert np.array_equal(again.versions, samples.versions)
    assert np.array_equal(again.store.columns, samples.store.columns)


def test_a_window_keeps_the_defect_and_only_inner_edges(samples: data.Samples) -> None:
    chosen = np.flatnonzero(samples.versions[:, 1] >= 0)[:16]
    versions = np.tile([0, 1], (len(chosen), 1))
    places = np.random.default_rng(0).random((len(chosen), 2))
    cut = batches.collate(samples, chosen, versions, True, window=12, places=places)
    whole = batches.collate(samples, chosen, versions, True)
    sizes = torch.diff(cut.start)
    assert (sizes[: 2 * len(chosen)] <= 12).all()
    # a module may be used anywhere: masked ones stay whole, and of those that were cut none is learnt
    used, before = torch.as_tensor(samples.masked[chosen] >= 0), torch.diff(whole.start)
    masked, fits = cut.import_graph[used, 0], before[whole.version_graph[used, 0]] <= 12
    assert torch.equal(sizes[masked], before[whole.import_graph[used, 0]])
    assert (sizes[masked] > 24).any()
    assert torch.equal(cut.import_graph[used, 1], torch.where(fits, cut.version_graph[used, 0], -1))
    assert torch.equal(whole.import_graph[used, 1], whole.version_graph[used, 0])
    assert (whole.import_graph[~used] == -1).all()
    assert (cut.location_labels[:, 1] >= 0).all()
    assert (cut.location_labels[:, 1] < sizes[cut.version_graph[:, 1]]).all()
    # the node that the label names has the same features in both
    for row in range(len(chosen)):
        rows = []
        for batch in (cut, whole):
            node = int(batch.start[batch.version_graph[row, 1]] + batch.location_labels[row, 1])
            low, high = int(batch.features.rows.ptr[node]), int(batch.features.rows.ptr[node + 1])
            rows.append(batch.features.rows.index[low:high].tolist())
        assert rows[0] == rows[1]
    graph_of = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    neighbours = cut.neighbours.rows
    holder = torch.repeat_interleave(torch.arange(len(graph_of)), torch.diff(neighbours.ptr))
    assert (graph_of[holder] == graph_of[neighbours.index.long()]).all()


@pytest.fixture(scope="module")
def rewritten(real) -> data.Samples:
    """Twenty of the functions stand there in another way of writing, too."""
    return data.prepare(
        real[:50], data.vocabulary(real, 1), mutants=2, seed=0, readers=None, progress=lambda text: None, rewritten=20
    )


def test_some_functions_are_there_in_another_way_of_writing(samples: data.Samples, rewritten: data.Samples) -> None:
    assert rewritten.role.tolist() == [[data.ORIGINAL, data.MUTANT, data.MUTANT, data.REWRITE]] * 50
    there = rewritten.versions[:, 3] >= 0
    assert 15 <= there.sum() <= 20  # a few can be written in no other way
    assert (rewritten.passed == IGNORED).all()
    assert (rewritten.location[:, 3] == IGNORED).all()
    # everything else is what it was, and what was rewritten is another graph
    for column in range(3):
        drawn = samples.versions[:, column] >= 0
        assert (drawn == (rewritten.versions[:, column] >= 0)).all()
        sizes = [one.store.size(one.versions[drawn, column]) for one in (samples, rewritten)]
        assert (sizes[0] == sizes[1]).all()
    for original, other in rewritten.versions[there][:, [0, 3]]:
        first, second = (rewritten.store.alone(int(number)) for number in (original, other))
        same = np.array_equal(first.columns, second.columns) and np.array_equal(first.neighbours, second.neighbours)
        assert not same


def test_rewritten_functions_are_the_same_for_any_number_of_processes(real, rewritten: data.Samples) -> None:
    modules = data.vocabulary(real, 1)
    with data.readers(2) as readers:
        again = data.prepare(
            real[:50], modules, mutants=2, seed=0, readers=readers, progress=lambda text: None, rewritten=20
        )
    assert np.array_equal(again.versions, rewritten.versions)
    assert np.array_equal(again.store.columns, rewritten.store.columns)


def test_what_nobody_ran_is_believed_and_learnt_from_whole(rewritten: data.Samples) -> None:
    chosen = np.flatnonzero((rewritten.versions[:, [1, 3]] >= 0).all(axis=1))
    versions = np.tile([0, 1, 3], (len(chosen), 1))
    places = np.random.default_rng(0).random((len(chosen), 2))
    cut = batches.collate(rewritten, chosen, versions, True, window=12, places=places)
    sizes = torch.diff(cut.start)[cut.version_graph]
    assert (sizes == torch.from_numpy(rewritten.store.size(rewritten.versions[chosen][:, [0, 1, 3]]))).all()
    assert (sizes > 12).any()
    assert cut.embedding_labels.tolist() == [[IGNORED, 0, 1]] * len(chosen)
    assert cut.bug_labels.tolist() == [[0, 1, IGNORED]] * len(chosen)  # no mutant of a rewrite stands against it
    assert (cut.confidence_labels == IGNORED).all()


def test_confidence_reads_alarms_alone_and_begins_as_the_defect_denied() -> None:
    torch.manual_seed(0)
    model = GraphSage([978, 16, 16, 8], 8, operators=5, modules=3)
    batch = batches.Batch.__new__(batches.Batch)
    batch.start = torch.tensor([0, 4, 9])
    cells, defects = torch.randn(9, 5), torch.tensor([2.0, -3.0])
    alarms = model.alarms(defects, cells, batch)
    torch.testing.assert_close(model.confidence(alarms), -defects)
    suspected = torch.stack([part.exp().mean(0).log() for part in (cells[:4], cells[4:])])
    torch.testing.assert_close(alarms, torch.cat([suspected, defects[:, None]], 1) / 6)
    with torch.autocast("cpu", torch.bfloat16):  # 40 and 40.1 are one number there
        close = model.confidence(torch.tensor([[0.0] * 5 + [40.0], [0.0] * 5 + [40.1]]))
    assert float((close[0] - close[1]).detach()) == pytest.approx(0.6, abs=1e-3)


def test_losses_add_up_and_begin_near_their_closed_forms(samples: data.Samples) -> None:
    torch.manual_seed(0)
    modules = samples.modules.shape[1]
    model = GraphSage([978, 32, 32, 16], 16, len(data.OPERATORS), modules, weights=WEIGHTS).eval()
    chosen = np.arange(len(samples))
    batch = batches.collate(samples, chosen, np.tile([0, 1, 2], (len(chosen), 1)), gradient=False)
    output = model(batch)
    assert set(output.losses) == {"bugs", "location", "imports"}  # nothing was run
    torch.testing.assert_close(output.loss, sum(output.losses.values()))
    cells = torch.diff(batch.start)[batch.version_graph[batch.location_labels != IGNORED]] * len(data.OPERATORS)
    expected = 0.5 * cells.float().log().mean()  # its weight times log of the number of cells
    assert abs(float(output.losses["location"]) - float(expected)) < 0.25 * float(expected)


def test_modules_are_learnt_masked_and_in_sight(samples: data.Samples) -> None:
    model = GraphSage([978, 6, 4, 3], 5, len(data.OPERATORS), samples.modules.shape[1])
    chosen = np.arange(12)
    batch = batches.collate(samples, chosen, np.zeros((12, 1), dtype=np.int64), gradient=False)
    used = torch.as_tensor(samples.masked[chosen] >= 0)
    output = model(batch)
    both = torch.cat([output.imports[batch.version_graph[used, 0]], output.imports[batch.import_graph[used, 0]]])
    target = torch.as_tensor(samples.modules[chosen])[used].repeat(2, 1)
    probability = both.sigmoid()
    each = -torch.where(target > 0, probability, 1 - probability).log().sum(1)
    torch.testing.assert_close(output.losses["imports"] / model.weights["imports"], each.mean())


def test_labels_that_are_ignored_change_nothing(samples: data.Samples, model: GraphSage) -> None:
    chosen = np.arange(12)
    batch = batches.collate(samples, chosen, np.tile([0, 1], (12, 1)), gradient=False)
    batch.location_labels[:] = IGNORED
    batch.import_labels[:] = IGNORED
    assert set(model(batch).losses) == {"bugs"}


@pytest.fixture(scope="module")
def problems(programs, samples: data.Samples) -> data.Samples:
    return data.prepare_programs(programs, modules=samples.modules.shape[1], readers=None, progress=lambda text: None)


def _whole(samples: data.Samples):
    chosen = np.arange(len(samples))
    versions = np.tile(np.arange(samples.versions.shape[1]), (len(chosen), 1))
    return batches.collate(samples, chosen, versions, gradient=False)


def test_problems_keep_every_program_with_what_its_tests_said(programs, problems: data.Samples) -> None:
    assert (problems.versions >= 0).sum() == len(programs)
    assert (problems.passed == 1).sum() == sum(program.passed for program in programs)
    assert (problems.role[:, 0] == data.ORIGINAL).all()
    assert len(set(problems.record_id)) == len(problems)
    sources = iter(programs)
    for row, column in zip(*np.nonzero(problems.versions >= 0), strict=True):
        program = next(sources)
        alone = data.Store.of(graph.build([program.source]))
        assert problems.store.size(problems.versions[row, column][None])[0] == alone.size(np.array([0]))[0]


def test_joined_samples_are_what_they_were(samples: data.Samples, problems: data.Samples) -> None:
    joined = data.Samples.join([samples, problems])
    assert joined.record_id == samples.record_id + problems.record_id
    for part, first in ((samples, 0), (problems, len(samples))):
        width = part.versions.shape[1]
        rows = slice(first, first + len(part))
        there = part.versions >= 0
        assert (joined.versions[rows, :width] >= 0).tolist() == there.tolist()
        assert (joined.versions[rows, width:] == -1).all()
        assert (joined.store.size(joined.versions[rows, :width][there]) == part.store.size(part.versions[there])).all()
        assert (joined.passed[rows, :width] == part.passed).all()
    used = samples.masked >= 0
    assert (joined.store.size(joined.masked[: len(samples)][used]) == samples.store.size(samples.masked[used])).all()


def test_only_failing_mutants_are_defects_and_only_rewrites_behave_alike(problems: data.Samples) -> None:
    batch = _whole(problems)
    for row, column in np.ndindex(*problems.versions.shape):
        bug, alike, passed = (
            int(labels[row, column]) for labels in (batch.bug_labels, batch.embedding_labels, batch.confidence_labels)
        )
        if problems.versions[row, column] < 0:
            assert (bug, alike, passed) == (IGNORED,) * 3
            continue
        role = problems.role[row, column]
        assert passed == problems.passed[row, column]
        unknown = (role == data.MUTANT and passed) or role == data.SUBMISSION
        assert bug == (IGNORED if unknown else int(role == data.MUTANT))
        assert alike == (0 if not passed else 1 if role == data.REWRITE else IGNORED)


def test_program_losses_begin_at_their_closed_forms(problems: data.Samples) -> None:
    """Confidence: ln 2 with logits of nought. Embedding: ln 2 for the pair, ln(1 + others) for the rest, if all equal."""
    torch.manual_seed(0)
    modules = problems.modules.shape[1]
    model = GraphSage([978, 16, 16, 8], 8, len(data.OPERATORS), modules, weights=(1, 1, 1, 1, 1)).eval()
    torch.nn.init.zeros_(model.confidence_out.weight)
    torch.nn.init.zeros_(model.confidence_out.bias)
    torch.nn.init.zeros_(model.embedding_out.weight)
    torch.nn.init.ones_(model.embedding_out.bias)
    losses = model(_whole(problems)).losses
    assert float(losses["confidence"].detach()) == pytest.approx(np.log(2), abs=1e-5)
    expected = (np.log(2) + np.log(len(problems))) / 2  # itself against len - 1 others
    assert float(losses["embedding"].detach()) == pytest.approx(expected, abs=1e-4)


def test_labels_of_programs_move_their_heads_the_right_way(problems: data.Samples) -> None:
    """A few steps on the same problems: what passed rises above what failed, a rewrite above a failing version."""
    torch.manual_seed(0)
    model = GraphSage([978, 32, 32, 16], 16, len(data.OPERATORS), problems.modules.shape[1], weights=(0, 0, 0, 1, 1))
    chosen = np.arange(len(problems))
    versions = np.tile(np.arange(problems.versions.shape[1]), (len(chosen), 1))
    batch = batches.collate(problems, chosen, versions, gradient=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    seen = []
    for _ in range(80):
        losses = model(batch).losses
        optimizer.zero_grad()
        (losses["confidence"] + losses["embedding"]).backward()
        optimizer.step()
        seen.append((float(losses["confidence"].detach()), float(losses["embedding"].detach())))
    assert seen[-1][0] < 0.8 * seen[0][0]
    assert seen[-1][1] < 0.8 * seen[0][1]


def test_a_frozen_model_answers_as_the_thawed_one(real) -> None:
    """Packed products are the same layers: exact in fp32, within their rounding in 8 bits."""
    store = data.Store.of(_graphs(real, 12))
    batch = batches.graphs(store, np.arange(12), gradient=False)
    for device, slack in ((Device("cpu", torch.float32), 1e-4), (Device("cpu", torch.float32, int8=True), 0.1)):
        torch.manual_seed(0)
        model = GraphSage([978, 64, 64, 32], 32, len(data.OPERATORS), 7).eval()
        with torch.inference_mode():
            usual = model.logits(batch)
        model.freeze(device)
        frozen = model.answer(batch, embed=True)
        for name in ("defects", "imports", "confidence", "embedding"):
            ours, theirs = getattr(frozen, name), getattr(usual, name)
            assert (ours - theirs).abs().max() <= slack * theirs.std(), (device.name, name)


@given(
    hnp.arrays(np.float32, (5, 32), elements=st.floats(0, 8, width=32)),
    hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(32)), elements=st.floats(0, 800, width=32)),
)
def test_what_a_row_comes_to_in_eight_bits_is_its_own_affair(rows, company) -> None:
    """Packed products round each row by itself: whatever stands beside it, and wherever, its result is the same."""
    torch.manual_seed(0)
    layers = [(torch.randn(16, 32), torch.randn(16)), (torch.randn(8, 32), None)]
    packed = Frozen(layers, Device("cpu", torch.float32, int8=True))
    alone = packed(torch.from_numpy(rows))
    beside = packed(torch.from_numpy(np.concatenate([company, rows])))
    for one, other in zip(alone, beside, strict=True):
        assert torch.equal(one, other[len(company) :])


def test_maximum_of_runs_is_the_same_by_either_way(monkeypatch) -> None:
    """Apple GPUs have no segment_reduce: what takes its place gives the same."""
    values, start = torch.randn(10, 3), torch.tensor([0, 3, 4, 10])
    run = torch.repeat_interleave(torch.diff(start))
    assert torch.equal(segment_max(values, start), scattered_max(values, run, 3))
    with torch.no_grad():  # a single run has a way of its own
        assert torch.equal(segment_max(values, start[[0, -1]]), scattered_max(values, torch.zeros_like(run), 1))
