"""Training is what the profile says: schedule, losses, curriculum, switches that act, and a kill that leaves no trace."""

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

from property.graphmer.conftest import PROFILE

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from transformers import TrainerCallback  # noqa: E402

from assay.metrics import training as metrics  # noqa: E402
from assay.recorder import FlightRecorder, TrackedConfig  # noqa: E402
from graphmer import train as module  # noqa: E402
from graphmer.config import Settings  # noqa: E402
from graphmer.encoder import Encoder  # noqa: E402
from graphmer.errors import GraphmerError  # noqa: E402

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
    return run(files, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def flight(files, tmp_path_factory):
    return run(files, tmp_path_factory.mktemp("flight"), recorded=True)


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


class Kill(TrainerCallback):
    def __init__(self, update):
        self.update = update

    def on_step_end(self, args, state, control, **more):
        if state.global_step == self.update:
            raise KeyboardInterrupt


@pytest.mark.parametrize("update", [1, 9])
def test_killed_and_started_again_it_ends_with_the_same_bits(files, plain, tmp_path, monkeypatch, update):
    start = module.start

    def fatal(*arguments):
        trainer = start(*arguments)
        trainer.add_callback(Kill(update))
        return trainer

    monkeypatch.setattr(module, "start", fatal)
    with pytest.raises(KeyboardInterrupt):
        run(files, tmp_path)
    assert not (tmp_path / WEIGHTS).exists()
    monkeypatch.setattr(module, "start", start)
    assert same(run(files, tmp_path), plain)


def test_another_seed_gives_other_weights(files, plain, tmp_path):
    other = run(files, tmp_path, seed=1)
    assert any((other[name] != plain[name]).any() for name in plain)


def test_the_record_has_every_term_of_the_loss_and_the_whole_dev_side(flight, files):
    assert set(flight["components"]) == {"mlm", "mnm", "link", "ontology", "align", "words"}
    assert metrics.components(flight) < 1e-5
    assert metrics.finite(flight) == 0
    assert {name: counts["empty"] for name, counts in flight["label_counts"].items()} == {
        "mlm_labels": 0, "mnm_labels": 0, "labels": 0,
    }  # fmt: skip
    assert not flight["parameters"]["without_gradient"]
    assert not flight["parameters"]["never_moved"]
    rows = [json.loads(line)["record_id"] for line in files["dev_pairs"].read_text().splitlines()]
    first, *others = flight["evaluations"]
    assert first["update"] == 0
    assert others[-1]["update"] == flight["updates"]
    assert all(one["records_digest"] == first["records_digest"] and not one["training_mode"] for one in others)
    assert first["records"] > len(rows)


def test_the_first_losses_are_those_of_a_model_that_knows_nothing(flight):
    """ln(vocabulary) for hidden tokens, ln(pairs) for pairs: what a uniform guess costs."""
    assert flight["components"]["mlm"][0] == pytest.approx(math.log(PROFILE["vocabulary"]), rel=0.15)
    assert flight["components"]["mnm"][0] == pytest.approx(math.log(PROFILE["vocabulary"]), rel=0.15)


def test_the_curriculum_is_seen_in_the_widths_of_batches(flight):
    assert metrics.lengths(flight, {"lengths": PROFILE["lengths"]}) == 0


def test_rates_are_warm_up_and_cosine(flight):
    updates = flight["updates"]
    rates = [PROFILE[f"{which}learning_rate"] for which in ("embedding_", "word_", "matrix_", "")]
    declared = {
        "learning_rate": rates,
        "schedule": "cosine",
        "warmup_updates": round(PROFILE["warmup_share"] * updates),
    }
    assert metrics.schedule(flight, declared) < 1e-6


def test_it_learns(flight):
    assert metrics.learns(flight, {"chosen": "last"}) < 0.95


@pytest.mark.parametrize(
    "change",
    [
        {"bias": False}, {"leaves": False}, {"constrained_negatives": False}, {"mnm_weight": 0.0}, {"link_weight": 0.0},
        {"ontology_weight": 0.0}, {"mlm_share": 0.4}, {"mnm_share": 0.5}, {"short_share": 0.9}, {"roots": 0.4},
        {"align_from": 0.8}, {"align_batch": 8}, {"word_epochs": 4}, {"word_batch": 32}, {"query_length": 3}, {"target_length": 8}, {"dropout": 0.5},
        {"accumulation": 2}, {"gradient_norm": 0.1}, {"warmup_share": 0.5}, {"weight_decay": 0.5}, {"rows": 4},
        {"embedding_learning_rate": 0.02}, {"word_learning_rate": 0.03}, {"word_dropout": 0.4}, {"matrix_learning_rate": 0.02}, {"orthogonal": False}, {"learning_rate": 0.01},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_each_switch_changes_the_weights(files, plain, tmp_path, change):
    changed = run(files, tmp_path, **change)
    shared = plain.keys() & changed.keys()
    assert any(plain[name].shape != changed[name].shape or (changed[name] != plain[name]).any() for name in shared)


def test_a_loss_of_no_weight_is_not_there(files, tmp_path):
    record = run(files, tmp_path, recorded=True, ontology_weight=0.0, mnm_weight=0.0)
    assert set(record["components"]) == {"mlm", "link", "align", "words"}


def test_checkpointing_saves_memory_and_changes_nothing_else(files, plain, tmp_path):
    found = run(files, tmp_path, gradient_checkpointing=True)
    assert all(abs(found[name] - plain[name]).max() < 1e-5 for name in plain)


def test_in_bf16_the_products_are_bf16_and_every_loss_is_finite(files, tmp_path):
    record = run(files, tmp_path, recorded=True, precision="bf16")
    assert metrics.precision(record, {"precision": "bf16"}) >= 0.5
    assert metrics.finite(record) == 0


def test_every_key_of_the_profile_is_read(files, tmp_path):
    config = TrackedConfig(PROFILE)
    module.train(config, files, tmp_path)
    assert config.unread == []
    with pytest.raises(GraphmerError, match='no key "seed"'):
        Settings.read({name: value for name, value in PROFILE.items() if name != "seed"})
    for wrong in ({"precision": "int4"}, {"device": "abacus"}, {"lengths": [96, 64]}, {"heads": 3}):
        with pytest.raises(GraphmerError):
            Settings.read({**PROFILE, **wrong})


def test_the_trained_encoder_is_loaded_and_the_untrained_is_another(trained):
    encoder, untrained = Encoder.load(trained), Encoder.untrained(trained)
    texts = ["def read_file(path):\n    return path", "", "merge"]
    found = encoder.vectors(texts)
    assert found.shape == (3, PROFILE["dimensions"])
    assert (encoder.vectors(texts) == found).all()
    assert abs(encoder.vectors(texts[2:])[0] - found[2]).max() < 1e-5
    assert abs(untrained.vectors(texts) - found).max() > 1e-3


def test_a_long_text_is_read_in_windows_up_to_the_limit(trained):
    encoder = Encoder.load(trained)
    text = "def read_file(path): return merge(path)\n" * 40
    assert len(encoder.tokenizer.encode(text)) > 300
    short, long = (encoder.vectors([text], maximum_tokens=limit) for limit in (96, 300))
    assert abs(short - long).max() > 1e-5
    other = text + "raise"
    assert (encoder.vectors([other], maximum_tokens=300) == long).all()


def test_weights_of_another_shape_are_refused(trained, tmp_path):
    import shutil

    shutil.copytree(trained, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    (tmp_path / "copy" / "config.json").write_text(json.dumps({**config, "layers": 2}))
    with pytest.raises(GraphmerError, match="holds no trained model"):
        Encoder.load(tmp_path / "copy")


def test_the_same_script_under_torchrun(files, tmp_path):
    """Two processes on the CPU: one set of weights, and half of the updates, since a batch is two of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"config": PROFILE, "data": {name: str(path) for name, path in files.items()}}))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}",
        "-m", "graphmer.train", str(job), str(tmp_path / "out"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / WEIGHTS).is_file()
    about = json.loads((tmp_path / "out" / "training.json").read_text())
    losses = [row["eval_loss"] for row in about["history"] if "eval_loss" in row]
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
