"""A transformer as base: real loading code on a tiny encoder made here, offline; frozen, trained, saved, loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from acceptance.ragcun import transformer

from property.ragcun.conftest import PROFILE, make_rows

torch = pytest.importorskip("torch")
pytest.importorskip("sentence_transformers")

from ragcun.bases import SentenceBase  # noqa: E402
from ragcun.embedder import Embedder  # noqa: E402
from ragcun.errors import RagcunError  # noqa: E402
from ragcun.train import train  # noqa: E402

TEXTS = [row[name] for row in make_rows(60, 1) for name in ("query", "passage")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two layers with a word-piece vocabulary of its own, as the hub would have it."""
    out = tmp_path_factory.mktemp("bert")
    transformer.write(out, TEXTS, layers=2, width=16, heads=2, vocabulary=200, length=32)
    return out


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_features_are_the_librarys_own_mean_pooling(folder):
    from sentence_transformers import SentenceTransformer

    base = SentenceBase.load(str(folder)).eval()
    ids = base.encode(TEXTS[:6], 32)
    with torch.no_grad():
        mine = base(ids).numpy()
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS[:6])
    assert mine == pytest.approx(np.asarray(theirs), abs=1e-5)
    assert base.width == 16


def test_a_final_normalisation_is_left_out(folder, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    plain = SentenceTransformer(str(folder), device="cpu")
    plain.append(Normalize())
    plain.save(str(tmp_path), create_model_card=False)
    base = SentenceBase.load(str(tmp_path)).eval()
    with torch.no_grad():
        norms = base(base.encode(TEXTS[:4], 24)).norm(dim=1)
    assert (norms - 1).abs().min() > 0.05


@pytest.mark.parametrize(
    "change", [{"freeze_base": True}, {"gradient_checkpointing": True, "precision": "bf16"}], ids=["frozen", "tuned"]
)
def test_it_trains_saves_and_loads(folder, files, tmp_path, change):
    profile = {**PROFILE, "base": str(folder), "epochs": 1, "base_learning_rate": 1e-3, **change}
    train(profile, files, tmp_path)
    embedder = Embedder.load(tmp_path)
    found = embedder.embed(TEXTS[:5], "query")
    assert found.shape == (5, PROFILE["dimensions"])
    assert embedder.embed(TEXTS[:1], "query")[0] == pytest.approx(found[0], abs=1e-4)  # company does not matter
    before = SentenceBase.load(str(folder)).state_dict()
    moved = [name for name, value in embedder.model.base.state_dict().items() if not torch.equal(value, before[name])]
    assert bool(moved) is not change.get("freeze_base", False)


def test_a_missing_folder_is_refused_without_asking_the_hub():
    with pytest.raises(RagcunError, match="no such folder"):
        SentenceBase.load("./nowhere/at/all")
    with pytest.raises(RagcunError, match="cannot be loaded"):
        SentenceBase.load("nobody/nothing-of-this-name")


def copied(trained, folder):
    for path in trained.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "absent", "no text", "empty"])
def test_a_model_with_a_damaged_file_is_refused_by_the_name_of_the_file(trained, tmp_path, file, damage):
    copied(trained, tmp_path)
    path = tmp_path / file
    content = path.read_bytes()
    if damage == "absent":
        path.unlink()
    else:
        path.write_bytes({"truncated": content[: len(content) // 2], "no text": b"\xff\xfe", "empty": b""}[damage])
    with pytest.raises(RagcunError, match=file):
        Embedder.load(tmp_path)


def test_a_tokenizer_of_other_words_is_refused(trained, tmp_path):
    """It fits the weights by its shape: two entries have changed places."""
    copied(trained, tmp_path)
    path = tmp_path / "tokenizer.json"
    table = json.loads(path.read_text())
    one, other = list(table["model"]["vocab"])[5:7]
    entries = table["model"]["vocab"]
    entries[one], entries[other] = entries[other], entries[one]
    path.write_text(json.dumps(table))
    with pytest.raises(RagcunError, match="not the file that these weights were saved with"):
        Embedder.load(tmp_path)


def test_weights_of_another_shape_are_refused(trained, tmp_path):
    copied(trained, tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    about["settings"]["dimensions"] = 5
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(RagcunError, match="does not fit"):
        Embedder.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"a stub")
    with pytest.raises(RagcunError, match="does not fit"):
        Embedder.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(RagcunError, match="nothing was trained here"):
        Embedder.load(tmp_path)
