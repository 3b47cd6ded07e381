"""Laws of growing: the widened network is the same function, its copies do not stay copies, and means grow into means."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from corpus import records
from corpus.programs import Program
from graphsage import batches, data, growth, train
from graphsage.model import Batch, GraphSage
from graphsage.train import Settings


@pytest.fixture(scope="module")
def start(tiny: dict[str, Any], sides: Mapping[str, Path]) -> Callable[[Path], train.Run]:
    functions = [records.read(sides[side]) for side in ("train", "dev")]
    labelled = [records.read(sides[f"{side}_programs"], Program) for side in ("train", "dev")]
    return lambda out: train.start(Settings.read({**tiny, "precision": "fp32"}), functions, labelled, "origin", out)


@pytest.fixture(scope="module")
def batch(start: Callable[[Path], train.Run], tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """With labels of every kind."""
    run = start(tmp_path_factory.mktemp("batch"))
    chosen, versions, _ = run.draw(0, 0)
    return batches.collate(run.train, chosen, versions, gradient=True)


def pair(times: int, seed: int, batch: Batch) -> tuple[GraphSage, GraphSage]:
    """A network, and one of `times` as many units with weights of its own."""
    assert batch.import_labels is not None
    torch.manual_seed(seed)
    modules, operators = batch.import_labels.shape[1], len(data.OPERATORS)
    small, large = (GraphSage([978, 6 * k, 4 * k, 3 * k], 5 * k, operators, modules) for k in (1, times))
    return small, large


def shapes(model: GraphSage) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


@pytest.mark.parametrize("times", [2, 3, 4])
def test_law_the_widened_network_says_the_same(times: int, batch: Batch) -> None:
    small, large = pair(times, times, batch)
    large.load_state_dict(growth.widened(small.state_dict(), shapes(large), times, seed=1))
    ours, theirs = small.answer(batch, embed=True), large.answer(batch, embed=True)
    for name in ("defects", "cells", "imports", "confidence"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-4)
    angles = [
        each.embedding @ each.embedding.T for each in (ours, theirs)
    ]  # the vectors hold each number several times
    torch.testing.assert_close(*angles, rtol=1e-4, atol=1e-4)


def test_law_copies_part_ways(batch: Batch) -> None:
    """Equal weights with equal gradients would stay equal for ever."""
    small, large = pair(2, 0, batch)
    large.load_state_dict(growth.widened(small.state_dict(), shapes(large), 2, seed=0))
    loss = large(batch).loss
    assert loss is not None
    loss.backward()
    for convolution in large.convolutions:
        gradient = convolution.lin_r.weight.grad
        assert (gradient[0::2] - gradient[1::2]).abs().max() > 0.1 * gradient.abs().max()


def test_law_means_grow_into_means(batch: Batch) -> None:
    first, large = pair(3, 1, batch)
    second, _ = pair(3, 2, batch)
    both = [first.state_dict(), second.state_dict()]
    both.append({name: (both[0][name] + both[1][name]) / 2 for name in both[0]})
    one, other, mean = (growth.widened(each, shapes(large), 3, seed=7) for each in both)
    for name, value in mean.items():
        torch.testing.assert_close(value, (one[name] + other[name]) / 2)


def test_law_what_has_all_units_stays(batch: Batch) -> None:
    _, large = pair(2, 0, batch)
    grown = growth.widened(large.state_dict(), shapes(large), 2, seed=0)
    assert all(torch.equal(grown[name], value) for name, value in large.state_dict().items())


def test_what_does_not_fit_is_refused(batch: Batch) -> None:
    small, large = pair(3, 0, batch)
    with pytest.raises(ValueError, match=r"lin_l.weight: \(6, 978\) does not grow 2 times into \(18, 978\)"):
        growth.widened(small.state_dict(), shapes(large), 2, seed=0)


def test_training_starts_narrow_and_goes_on_with_all_units(start: Callable[[Path], train.Run], tmp_path: Path) -> None:
    """Growing changes no dev loss, of the weights or of their mean; what was best before is never kept."""
    run = start(tmp_path)
    whole, parameters = shapes(run.model), list(run.model.parameters())
    run.resume()
    assert run.narrow_until == run.total // 2
    for _ in range(run.narrow_until):
        run.step()
    assert run.model.convolutions[0].lin_l.weight.shape == (12, 978)
    run.evaluate()
    run.progress.best_loss = 0.0  # what no later evaluation reaches
    assert not (run.checkpoints / "best.safetensors").exists()
    losses = []
    for grow in (lambda: None, run.widen):
        grow()
        losses.append(train.dev_losses(run.model, run.dev, run.device))
        mine = {name: value.clone() for name, value in run.model.state_dict().items()}
        run.model.load_state_dict(run.averaged)
        losses.append(train.dev_losses(run.model, run.dev, run.device))
        run.model.load_state_dict(mine)
    assert shapes(run.model) == whole
    assert all(one is other for one, other in zip(run.model.parameters(), parameters, strict=True))
    for narrow, wide in ((losses[0], losses[2]), (losses[1], losses[3])):
        assert wide == pytest.approx(narrow, rel=1e-4)
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)  # the two differ, so that the law says something
    before = run.model.convolutions[1].lin_l.weight.detach().clone()
    run.step()
    assert not torch.equal(run.model.convolutions[1].lin_l.weight, before)
    run.evaluate()
    kept = load_file(run.checkpoints / "best.safetensors")
    assert {name: value.shape for name, value in kept.items()} == whole
    assert run.progress.best_update == run.narrow_until + 1


def test_without_a_narrow_start_all_units_train_from_the_first_update(tiny, sides, tmp_path: Path) -> None:
    train.train({**tiny, "narrow": 1, "epochs": 1}, sides, tmp_path)
    assert load_file(tmp_path / "model.safetensors")["convolutions.0.lin_l.weight"].shape == (24, 978)


def test_a_part_of_a_unit_is_refused(tiny, sides, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"narrow = 5: \[24, 24, 16\] and head = 16 are no multiples"):
        train.train({**tiny, "narrow": 5}, sides, tmp_path)


def test_a_run_that_would_never_grow_is_refused(tiny, sides, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"narrow_share = 1.0: no update is left for all units"):
        train.train({**tiny, "narrow_share": 1.0}, sides, tmp_path)


def test_a_plateau_before_growing_does_not_end_the_run(tiny, sides, tmp_path: Path) -> None:
    """With a rate of 0 nothing improves; the run still comes to its growth, and stops after."""
    train.train({**tiny, "learning_rate": 0.0, "matrix_rate": 0.0, "stop_patience": 1}, sides, tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    assert about["training"]["best_update"] > 0
