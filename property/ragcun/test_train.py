"""Training is what the profile says: rates, schedule, precision, frozen parts, and a kill that leaves no trace."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from property.ragcun.conftest import PROFILE

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import TrainerCallback  # noqa: E402

from assay.metrics import training as metrics  # noqa: E402
from assay.recorder import FlightRecorder, TrackedConfig  # noqa: E402
from ragcun import train as module  # noqa: E402
from ragcun.errors import RagcunError  # noqa: E402

WEIGHTS = "model.safetensors"


def run(files, out, recorded=False, **changes):
    """Weights, and the flight record if asked for."""
    config = {**PROFILE, **changes}
    if not recorded:
        module.train(config, files, out)
        return load_file(out / WEIGHTS)
    with FlightRecorder(out, sample_every=1):
        module.train(config, files, out)
    return json.loads((out / "flight.json").read_text())


@pytest.fixture(scope="module")
def plain(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain")
    return run(files, out)


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


class Kill(TrainerCallback):
    def __init__(self, update):
        self.update = update

    def on_step_end(self, args, state, control, **more):
        if state.global_step == self.update:
            raise KeyboardInterrupt


@pytest.fixture
def kill(monkeypatch):
    """Start a run in a folder and kill it at an update."""
    start = module.start

    def killed(update, files, out, **changes):
        def fatal(*arguments):
            trainer = start(*arguments)
            trainer.add_callback(Kill(update))
            return trainer

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(module, "start", fatal)
            run(files, out, **changes)

    return killed


@pytest.mark.parametrize("update", [1, 4, 8])
def test_killed_and_started_again_it_ends_with_the_same_bits(files, plain, tmp_path, kill, update):
    kill(update, files, tmp_path)
    assert not (tmp_path / WEIGHTS).exists()
    assert same(run(files, tmp_path), plain)


def test_a_killed_run_is_not_continued_as_another(files, plain, tmp_path, kill):
    kill(4, files, tmp_path)
    with pytest.raises(RagcunError, match=r"checkpoints: another run stopped here \(epochs: 3, now 4\); start"):
        run(files, tmp_path, epochs=4)
    with pytest.raises(RagcunError, match=r"\(fit pairs: [0-9a-f]{16}, now [0-9a-f]{16}\)"):
        run({**files, "fit": files["dev"]}, tmp_path)
    with pytest.raises(RagcunError, match="commands pairs: None, now"):
        run({**files, "commands": files["dev"]}, tmp_path)
    copied = {side: tmp_path / f"copy-{path.name}" for side, path in files.items()}
    for side, path in copied.items():
        path.write_bytes(files[side].read_bytes())
    assert same(run(copied, tmp_path), plain)  # where a file lies does not matter
    kill(4, files, tmp_path)
    (tmp_path / "checkpoints" / "run.json").unlink()
    with pytest.raises(RagcunError, match="does not say what was trained there"):
        run(files, tmp_path)


def test_a_run_that_left_no_checkpoint_binds_nobody(files, plain, tmp_path, kill):
    kill(1, files, tmp_path, epochs=4)
    assert same(run(files, tmp_path), plain)


def test_same_seed_same_bits_other_seed_others(files, plain, tmp_path):
    assert same(run(files, tmp_path / "a"), plain)
    other = run(files, tmp_path / "b", seed=1)
    assert any((other[name] != plain[name]).any() for name in plain)


@pytest.fixture(scope="module")
def flight(files, tmp_path_factory):
    return run(files, tmp_path_factory.mktemp("flight"), recorded=True)


def test_rates_are_warm_up_and_cosine_in_closed_form(flight):
    updates, warm = 9, 2
    for u, (base, projection) in enumerate(flight["lrs"]):
        share = u / warm if u < warm else (1 + math.cos(math.pi * (u - warm) / (updates - warm))) / 2
        assert base == pytest.approx(0.02 * share)
        assert projection == pytest.approx(0.002 * share)
    assert flight["updates"] == updates == metrics.updates(flight, {**PROFILE, "records": 160, "batch_size": 32}) * 9


def test_the_record_has_every_term_every_pair_and_the_dev_split(flight, files):
    assert set(flight["components"]) == {"contrastive", "isotropy", "regularisation", "prediction"}
    assert metrics.components(flight) < 1e-5
    assert metrics.finite(flight) == 0
    rows = {side: [json.loads(line)["record_id"] for line in files[side].read_text().splitlines()] for side in files}
    assert metrics.records(flight, {"records": rows["train"]}) == 1
    assert metrics.evaluation(flight, {"dev_records": rows["dev"], "test_records": rows["test"]}) == 0
    assert flight["label_counts"]["labels"]["empty"] == 0
    assert not flight["parameters"]["without_gradient"]
    assert not flight["parameters"]["never_moved"]


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", "bfloat16"), ("fp32", "float32")])
def test_precision_is_seen_in_the_matrix_products(files, tmp_path, precision, dtype):
    record = run(files, tmp_path, recorded=True, precision=precision, epochs=1)
    assert metrics.precision(record, {"precision": precision}) >= 0.5
    assert dtype in record["dtypes"]


def test_a_frozen_base_does_not_move_and_the_projection_does(files, plain, tmp_path):
    record = run(files, tmp_path, recorded=True, freeze_base=True)
    initial, final = load_file(tmp_path / "initial.safetensors"), load_file(tmp_path / WEIGHTS)
    assert (initial["base.embedding.weight"] == final["base.embedding.weight"]).all()
    assert (initial["projection.weight"] != final["projection.weight"]).any()
    assert (plain["base.embedding.weight"] != initial["base.embedding.weight"]).any()
    assert record["parameters"]["frozen"] == ["base.embedding.weight"]
    assert len(record["lrs"][0]) == 1


def test_whitening_is_fitted_before_training_too(files, tmp_path):
    """Else the first dev loss, which all others are compared with, would be of embeddings that were not whitened."""
    settings = module.Settings.read(PROFILE)
    trainer = module.start(settings, {side: module.read(path) for side, path in files.items()}, tmp_path)
    steps = trainer.model.gaussianise["query"].steps
    before = steps[0].matrix.clone()
    trainer.evaluate()
    assert not torch.equal(steps[0].matrix, before)


def test_features_of_a_frozen_base_are_computed_once(files, tmp_path, monkeypatch):
    calls = []
    forward = module.StaticBase.forward
    monkeypatch.setattr(module.StaticBase, "forward", lambda self, ids: calls.append(len(ids)) or forward(self, ids))
    trainer = module.start(
        module.Settings.read({**PROFILE, "freeze_base": True}),
        {side: module.read(path) for side, path in files.items() if side != "test"},
        tmp_path,
    )
    before = sum(calls)
    assert before == 2 * (160 + 120 + 48)  # each text of each side, once
    trainer.train()
    assert sum(calls) == before


@pytest.mark.parametrize(
    "change",
    [
        {"base_learning_rate": 0.05}, {"projection_learning_rate": 0.02}, {"isotropy": 0.0}, {"regularisation": 0.5},
        {"negatives": 0}, {"dropout": 0.5}, {"accumulation": 1}, {"gradient_norm": 0.1}, {"warmup_share": 0.5},
        {"slices": 4}, {"batch": 16},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_each_switch_changes_the_weights(files, plain, tmp_path, change):
    changed = run(files, tmp_path, **change)
    assert any((changed[name] != plain[name]).any() for name in plain)


def test_checkpointing_saves_memory_and_changes_nothing_else(files, plain, tmp_path):
    assert same(run(files, tmp_path, gradient_checkpointing=True), plain)


def test_every_key_of_the_profile_is_read(files, tmp_path):
    config = TrackedConfig(PROFILE)
    module.train(config, files, tmp_path)
    assert config.unread == []
    with pytest.raises(RagcunError, match='no key "seed"'):
        module.Settings.read({name: value for name, value in PROFILE.items() if name != "seed"})
    with pytest.raises(RagcunError, match="known are"):
        module.Settings.read({**PROFILE, "precision": "int4"})


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("vocabulary", "many", "'many': must be a whole number"), ("epochs", 2.7, "2.7: must be a whole number"),
        ("seed", True, "True: must be a whole number"), ("whitening", "false", "'false': must be true or false"),
        ("dropout", "none", "'none': must be a number"), ("base", 3, "3: must be text"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_by_its_name(key, value, told):
    with pytest.raises(RagcunError, match=f"{key} = {told}"):
        module.Settings.read({**PROFILE, key: value})
    assert module.Settings.read({**PROFILE, "dropout": 0}).dropout == 0.0


def test_a_pair_whose_text_is_none_is_refused_with_its_line(tmp_path):
    path = tmp_path / "train.jsonl"
    for change in ({"query": 3}, {"passage": None}, {"negatives": [1]}, {"negatives": "one"}):
        path.write_text(json.dumps({"record_id": "1", "query": "q", "passage": "p", **change}) + "\n")
        with pytest.raises(RagcunError, match=r"train\.jsonl:1: no pair"):
            module.read(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("batch", 0), ("epochs", -1), ("dropout", 1.0), ("negatives", -1), ("warmup_share", 1.5), ("gradient_norm", 0.0)],
)
def test_a_number_that_cannot_be_is_refused_by_its_name(key, value):
    with pytest.raises(RagcunError, match=f"{key} = {value}: must be"):
        module.Settings.read({**PROFILE, key: value})


def test_tensorboard_gets_every_term(files, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    run(files, tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"train/loss_contrastive", "train/loss_isotropy", "eval/loss", "train/learning_rate"} <= set(
        events.Tags()["scalars"]
    )


def test_negatives_that_the_data_name_are_used(files, tmp_path):
    rows = [json.loads(line) for line in files["train"].read_text().splitlines()]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({**row, "negatives": [f"wrong {i}"]}) + "\n" for i, row in enumerate(rows)))
    pairs = module.read(path)
    table = module.negatives(pairs, 2)
    assert table[:, 0].tolist() == list(range(160, 320))
    assert module.texts(pairs)[160] == "wrong 0"
    run({**files, "train": path}, tmp_path / "out", epochs=1)


def test_the_same_script_under_torchrun(files, tmp_path):
    """Two processes on the CPU: one set of weights, and half of the updates, since a batch is two of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"config": PROFILE, "data": {side: str(path) for side, path in files.items()}}))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}",
        "-m", "ragcun.train", str(job), str(tmp_path / "out"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / WEIGHTS).is_file()
    about = json.loads((tmp_path / "out" / "config.json").read_text())
    assert about["training"]["updates"] == math.ceil(160 / 2 / 32 / 2) * 3
    assert all(map(math.isfinite, about["training"]["dev_loss"]))
