"""Laws of the training run: resumed equals uninterrupted, every record reaches a loss, dev alone chooses."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from corpus import records
from corpus.programs import Program
from graphsage import batches, data, train
from graphsage.device import DeviceUnavailable
from graphsage.train import Settings


class Killed(Exception):  # noqa: N818
    pass


@pytest.fixture
def started(tiny, sides):
    """A run over the tiny data in a folder of its own; the samples are built once."""
    settings = Settings.read(tiny)
    functions = [records.read(sides[side]) for side in ("train", "dev")]
    labelled = [records.read(sides[f"{side}_programs"], Program) for side in ("train", "dev")]

    def start(out: Path) -> train.Run:
        return train.start(settings, functions, labelled, "origin", out)

    return start


@pytest.mark.parametrize(("few", "many"), [(0, 5), (1, 3), (3, 9), (41, 1668), (200, 10)])
def test_law_samples_of_each_kind_come_at_even_distances(few: int, many: int) -> None:
    kind = np.repeat([True, False], [few, many])
    order = train.evenly(kind)
    assert sorted(order.tolist()) == list(range(few + many))
    for part in (kind, ~kind):
        places = np.flatnonzero(part[order])
        assert (np.diff(places) <= -(-len(kind) // max(1, len(places))) + 1).all()
    drawn = [place for place in order.tolist() if place >= few]
    assert many < 20 or drawn != sorted(drawn)


@pytest.mark.parametrize("killed_at", [3, 7, 12])
def test_resumed_equals_uninterrupted(tiny, sides, artifact, tmp_path, monkeypatch, killed_at) -> None:
    """Killed in the middle of an epoch, between checkpoints, and started again: the same bits at the end."""
    step = train.Run.step

    def fatal(run: train.Run) -> None:
        if run.progress.update == killed_at:
            raise Killed
        step(run)

    monkeypatch.setattr(train.Run, "step", fatal)
    with pytest.raises(Killed):
        train.train(tiny, sides, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    monkeypatch.setattr(train.Run, "step", step)
    torch.manual_seed(killed_at)  # another process has another random state
    train.train(tiny, sides, tmp_path)
    for name in ("model.safetensors", "checkpoints/last.safetensors"):
        ours, theirs = load_file(tmp_path / name), load_file(artifact / name)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), name
    assert (tmp_path / "config.json").read_text() == (artifact / "config.json").read_text()


@pytest.mark.parametrize("killed_at", [6, 13])
def test_resuming_keeps_plateau_patience_and_best(tiny, sides, tmp_path, monkeypatch, killed_at) -> None:
    """With a dev loss that only grows, the rate falls and patience runs: both must survive the kill."""
    monkeypatch.setattr(
        train,
        "dev_losses",
        lambda model, *_: {"bugs": sum(float(p.detach().square().sum()) for p in model.parameters())},
    )
    rough = {**tiny, "learning_rate": 0.05, "epochs": 4, "plateau_patience": 1, "stop_patience": 4}
    rough["narrow_share"] = 0.15  # it grows at update 6, and only what comes after can be best
    train.train(rough, sides, tmp_path / "whole")
    usual = json.loads((tmp_path / "whole" / "config.json").read_text())["training"]
    assert (usual["best_update"], usual["stale"], usual["update"]) == (10, 4, 30)  # five updates an evaluation
    step = train.Run.step

    def fatal(run: train.Run) -> None:
        if run.progress.update == killed_at:
            raise Killed
        step(run)

    monkeypatch.setattr(train.Run, "step", fatal)
    with pytest.raises(Killed):
        train.train(rough, sides, tmp_path / "killed")
    monkeypatch.setattr(train.Run, "step", step)
    train.train(rough, sides, tmp_path / "killed")
    assert json.loads((tmp_path / "killed" / "config.json").read_text())["training"] == usual
    ours, theirs = (load_file(tmp_path / name / "checkpoints" / "last.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_another_profile_does_not_resume(tiny, sides, artifact) -> None:
    with pytest.raises(ValueError, match="another profile"):
        train.train({**tiny, "learning_rate": 1.0}, sides, artifact)


def test_a_model_of_another_version_does_not_resume(tiny, sides, artifact, tmp_path, monkeypatch) -> None:
    shutil.copytree(artifact, tmp_path / "copy")
    monkeypatch.setattr(train, "ANSWERS", train.ANSWERS + 1)
    with pytest.raises(ValueError, match="another profile or version"):
        train.train(tiny, sides, tmp_path / "copy")


@pytest.mark.parametrize("side", ["train", "dev", "train_programs", "dev_programs"])
def test_other_data_in_the_same_folder_do_not_resume(tiny, sides, artifact, tmp_path, side) -> None:
    """A row less, or in another order, is other data: the model that is there would have learnt something else."""
    rows = sides[side].read_text().splitlines(keepends=True)
    others = {name: tmp_path / f"{name}.jsonl" for name in sides}
    for name, path in others.items():
        shutil.copy(sides[name], path)
    out = shutil.copytree(artifact, tmp_path / "model")
    before = (out / "model.safetensors").read_bytes()
    train.train(tiny, others, out)  # the same rows in another place are the same data
    assert (out / "model.safetensors").read_bytes() == before
    others[side].write_text("".join(rows[1:] + rows[:1]))
    with pytest.raises(ValueError, match="from other data"):
        train.train(tiny, others, out)


@pytest.mark.parametrize("side", ["train_programs", "dev_programs"])
def test_humaneval_is_refused_for_training_and_for_choices(tiny, sides, tmp_path, side) -> None:
    rows = records.read(sides[side], Program)
    records.write(tmp_path / "rows.jsonl", [*rows[:-1], replace(rows[-1], origin="humaneval")])
    with pytest.raises(ValueError, match="for tests only"):
        train.train(tiny, {**sides, side: tmp_path / "rows.jsonl"}, tmp_path / "model")


def test_as_many_functions_are_rewritten_as_the_profile_says(tiny, started, tmp_path) -> None:
    """Programs have rewrites of their own, which were run."""
    run = started(tmp_path)
    for samples, most in ((run.train, tiny["rewritten"]), (run.dev, tiny["rewritten"] // 10)):
        unrun = (samples.role == data.REWRITE) & (samples.passed == data.IGNORED) & (samples.versions >= 0)
        assert 0 < unrun.sum() <= most


def test_every_record_reaches_a_loss_in_each_epoch(started, tmp_path) -> None:
    run = started(tmp_path)
    for epoch in (0, 1):
        seen = [
            record
            for place in range(run.updates_per_epoch)
            for record in batches.collate(run.train, *run.draw(epoch, place)[:2], False).record_id
        ]
        problems = {name for name in run.train.record_id if name.startswith("problem")}
        assert len(problems) == 10
        assert Counter(seen) == {name: 2 if name in problems else 1 for name in run.train.record_id}
    orders = [run.draw(epoch, 0)[0].tolist() for epoch in (0, 1)]
    assert orders[0] != orders[1]


def test_the_model_is_the_best_on_dev_and_not_the_last(artifact) -> None:
    final = load_file(artifact / "model.safetensors")
    best = load_file(artifact / "checkpoints" / "best.safetensors")
    assert all(torch.equal(final[name], best[name]) for name in final)
    about = json.loads((artifact / "config.json").read_text())
    assert 0 <= about["training"]["best_update"] <= about["training"]["update"]


def test_training_lowers_the_dev_loss(started, artifact, tmp_path) -> None:
    run = started(tmp_path)
    before = sum(train.dev_losses(run.model, run.dev, run.device).values())
    assert json.loads((artifact / "config.json").read_text())["training"]["best_loss"] < before


def test_no_dev_batch_is_without_a_problem(started, tmp_path, monkeypatch) -> None:
    """Functions have no labels of confidence, and a batch without any would count as one without loss."""
    run = started(tmp_path)
    labelled = (run.dev.passed != data.IGNORED).any(axis=1)
    size = -(-len(labelled) // int(labelled.sum()))  # as many batches as problems, at most
    assert 1 < size < len(labelled)
    asked, collate = [], batches.collate
    monkeypatch.setattr(train, "_DEV_BATCH", size + 1)
    monkeypatch.setattr(
        batches,
        "collate",
        lambda samples, chosen, *more, **named: asked.append(chosen) or collate(samples, chosen, *more, **named),
    )
    train.dev_losses(run.model, run.dev, run.device)
    assert sorted(np.concatenate(asked).tolist()) == list(range(len(labelled)))
    assert all(labelled[chosen].any() for chosen in asked[:-1])


def test_stops_after_patience(tiny, sides, tmp_path, monkeypatch) -> None:
    """With a loss that never falls again, training stops after so many evaluations, and the rate falls on the way."""
    losses = iter([1.0, *np.linspace(2, 3, 50)])
    monkeypatch.setattr(train, "dev_losses", lambda *_: {"bugs": float(next(losses))})
    train.train({**tiny, "narrow": 1, "stop_patience": 2, "epochs": 5}, sides, tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())["training"]
    assert about["best_update"] == 0
    assert about["evaluations"] == 3
    assert about["stale"] == 2


def test_periodic_checkpoints_are_kept(artifact) -> None:
    kept = sorted(path.name for path in (artifact / "checkpoints").glob("update-*.safetensors"))
    assert len(kept) >= 2


def test_every_key_of_the_profile_is_read_and_needed(tiny) -> None:
    asked = set()

    class Watched(dict):
        def __getitem__(self, key):
            asked.add(key)
            return super().__getitem__(key)

    Settings.read(Watched(tiny))
    assert asked == set(tiny)
    for key in tiny:
        with pytest.raises(KeyError, match=key):
            Settings.read({name: value for name, value in tiny.items() if name != key})


def test_unknown_precision_and_absent_device_are_named(tiny, sides, tmp_path) -> None:
    with pytest.raises(ValueError, match='"fp8"'):
        train.train({**tiny, "precision": "fp8"}, sides, tmp_path)
    with pytest.raises(DeviceUnavailable, match='"mps" is not here'):
        train.train({**tiny, "device": "mps"}, sides, tmp_path)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_precision_reaches_the_matrix_products(tiny, sides, tmp_path, monkeypatch, precision, dtype) -> None:
    seen = set()
    linear = torch.nn.functional.linear

    def watched(states, *rest):
        output = linear(states, *rest)
        seen.add(output.dtype)
        return output

    monkeypatch.setattr(torch.nn.functional, "linear", watched)
    train.train({**tiny, "precision": precision, "epochs": 1}, sides, tmp_path)
    assert dtype in seen


def test_switching_the_edges_off_changes_the_weights(tiny, sides, artifact, tmp_path) -> None:
    train.train({**tiny, "edges": False, "epochs": 1}, sides, tmp_path)
    without, usual = load_file(tmp_path / "model.safetensors"), load_file(artifact / "model.safetensors")
    assert not torch.equal(without["convolutions.1.lin_l.weight"], usual["convolutions.1.lin_l.weight"])


def test_versions_of_an_update_are_what_their_column_says(started, tmp_path) -> None:
    """The original, a version that did not pass, a rewrite, a mutant that passed; -1 for none; mutants take turns."""
    run = started(tmp_path)
    others = (data.MUTANT, data.SUBMISSION)
    drawn: dict[int, set[int]] = {}
    for epoch in range(6):
        for place in range(run.updates_per_epoch):
            chosen, versions, _ = run.draw(epoch, place)
            for sample, row in zip(chosen.tolist(), versions.tolist(), strict=True):
                role, passed = run.train.role[sample], run.train.passed[sample]
                assert row[0] == 0
                assert row[1] < 0 or (role[row[1]] in others and passed[row[1]] != 1)
                assert row[2] < 0 or role[row[2]] == data.REWRITE
                assert row[3] < 0 or (role[row[3]] in others and passed[row[3]] == 1)
                drawn.setdefault(sample, set()).add(row[1])
    assert max(len(columns) for columns in drawn.values()) > 1


def test_scale_agrees_with_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    logits = rng.normal(size=400) * 3
    labels = (rng.random(400) < 1 / (1 + np.exp(-0.4 * logits))).astype(float)
    weight = rng.random(400)
    found = train.scale(torch.tensor(logits), torch.tensor(labels), torch.tensor(weight))
    peer = LogisticRegression(C=1e9, tol=1e-9, max_iter=1000, fit_intercept=False)
    peer.fit(logits[:, None], labels, sample_weight=weight)
    assert found == pytest.approx(float(peer.coef_[0, 0]), abs=1e-3)


def test_scale_never_turns_an_order_round() -> None:
    labels = torch.tensor([0.0, 1.0] * 50, dtype=torch.float64)
    assert 0 <= train.scale(1 - 2 * labels, labels, torch.ones(100, dtype=torch.float64)) < 0.01


def test_calibration_without_both_kinds_of_programs_changes_nothing(started, tmp_path) -> None:
    run = started(tmp_path)
    run.dev.passed[run.dev.passed == 0] = 1
    assert train.calibration(run.model, run.dev, run.device) == {"scale": 1.0}
