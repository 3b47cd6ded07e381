"""Laws of the store: built once, whole or not at all, and never believed when it is no longer what was built."""

from __future__ import annotations

import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from assay import artifacts, subject
from assay.artifacts import Store, count_parameters, reinitialise, size_bytes, tensors, weight_files, weights_digest
from assay.digests import Manifest, of_file
from assay.errors import SubjectError
from assay.subject import Artifact, Subject

KEY = "0123456789abcdef" * 4


def filler(**files: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name, text in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return build


def never(folder: Path) -> None:
    pytest.fail("built again")


# ------------------------------------------------------------------------------------------------ store


def test_a_key_is_built_once_and_its_record_names_every_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.has("data", KEY)
    assert store.record("data", KEY) is None
    folder = store.build("data", KEY, filler(a="1", sub__b="2"), name="demo")
    assert folder == store.path("data", KEY)
    assert store.has("data", KEY)
    record = store.record("data", KEY)
    assert record is not None
    assert record["about"] == {"name": "demo"}
    assert record["files"] == {"a": of_file(folder / "a"), "sub/b": of_file(folder / "sub/b")}
    assert store.build("data", KEY, never) == folder
    assert Store(tmp_path).build("data", KEY, never) == folder
    store.verify("data", KEY)
    other = store.build("data", KEY[1:] + "0", filler(a="3"))
    assert (folder / "a").read_text() == "1"
    assert (other / "a").read_text() == "3"


def test_the_root_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ASSAY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store().root == tmp_path / ".cache" / "assay"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert Store().root == Path("/x/assay")
    monkeypatch.setenv("ASSAY_CACHE", "/y")
    assert Store().root == Path("/y")


def test_a_failed_build_leaves_no_finished_folder_and_can_be_taken_up(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fails(folder: Path) -> None:
        (folder / "checkpoint").write_text("half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        store.build("artifact", KEY, fails)
    assert not store.has("artifact", KEY)
    seen: list[str] = []
    folder = store.build("artifact", KEY, lambda f: seen.append((f / "checkpoint").read_text()))
    assert seen == ["half"]
    assert folder.name == KEY[:32]


BUILDER = """
import sys, time
from pathlib import Path
from assay.artifacts import Store

def build(folder):
    with open({log!r}, "a") as log:
        log.write("built\\n")
    checkpoint = folder / "checkpoint"
    start = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(start, 4):
        checkpoint.write_text(str(step + 1))
        print("step", step, flush=True)
        time.sleep({pause})
    (folder / "result").write_text(f"went on from {{start}}")

print("folder", Store(Path({root!r})).build("artifact", {key!r}, build), flush=True)
"""


def process(tmp_path: Path, pause: float) -> subprocess.Popen[str]:
    script = BUILDER.format(log=str(tmp_path / "log"), root=str(tmp_path / "store"), key=KEY, pause=pause)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def test_two_processes_build_once(tmp_path: Path) -> None:
    """Law: who comes second waits for the first and gets its folder."""
    both = [process(tmp_path, 0.1) for _ in range(2)]
    said = [p.communicate(timeout=60)[0].splitlines()[-1] for p in both]
    assert [p.returncode for p in both] == [0, 0]
    assert said[0] == said[1] == f"folder {tmp_path / 'store' / 'artifact' / KEY[:32]}"
    assert (tmp_path / "log").read_text() == "built\n"


def test_two_threads_build_once(tmp_path: Path) -> None:
    built: list[int] = []

    def build(folder: Path) -> None:
        built.append(1)
        time.sleep(0.1)

    threads = [threading.Thread(target=Store(tmp_path).build, args=("data", KEY, build)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


def test_a_killed_build_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    """Law: after kill -9 the next builder finds the checkpoints, the lock is free, and the result is whole."""
    first = process(tmp_path, 0.3)
    assert first.stdout is not None
    for line in first.stdout:
        if line == "step 1\n":
            break
    first.send_signal(signal.SIGKILL)
    first.wait(timeout=10)
    first.stdout.close()
    store = Store(tmp_path / "store")
    assert not store.has("artifact", KEY)
    second = process(tmp_path, 0.0)
    assert second.communicate(timeout=60)[0].startswith("step 2\n")
    assert (store.path("artifact", KEY) / "result").read_text() == "went on from 2"
    store.verify("artifact", KEY)


def test_a_build_killed_on_its_last_step_is_finished_cleanly(tmp_path: Path) -> None:
    """The record was written, the folder not yet renamed: the record of then is no part of what is built now."""
    store = Store(tmp_path)
    working = store.path("data", KEY).with_suffix(".building")
    working.mkdir(parents=True)
    (working / "a").write_text("1")
    (working / artifacts.RECORD).write_text('{"files": {}}')
    store.build("data", KEY, filler(a="1"))
    store.verify("data", KEY)
    record = store.record("data", KEY)
    assert record is not None
    assert set(record["files"]) == {"a"}


def test_a_folder_without_a_record_is_built_anew(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path("data", KEY).mkdir(parents=True)
    (store.path("data", KEY) / "left").write_text("over")
    folder = store.build("data", KEY, filler(a="1"))
    assert sorted(p.name for p in folder.iterdir()) == ["a", "artifact.json"]


@pytest.mark.parametrize("name", ["a", "sub/b", "model.safetensors", "artifact.json", "extra.safetensors"])
@pytest.mark.parametrize("how", ["other", "shorter", "gone", "folder"])
def test_what_changed_after_it_was_built_is_named(tmp_path: Path, name: str, how: str) -> None:
    """Law: verify refuses whenever a file is gone or differs, a weight file came in, or the record is unreadable."""
    store = Store(tmp_path)
    folder = store.build("artifact", KEY, filler(**{"a": "1234", "sub__b": "5678", "model.safetensors": "w"}))
    path = folder / name
    if how == "other":
        path.write_text("4321")
    elif how == "shorter":
        path.write_text("")
    elif path.exists():
        path.unlink()
    if how == "folder":
        path.mkdir()
    if name == "extra.safetensors" and how == "gone":
        store.verify("artifact", KEY)
        return
    with pytest.raises(SubjectError, match=r"delete the folder .* and run again") as caught:
        store.verify("artifact", KEY)
    assert str(path) in str(caught.value)


def test_a_missing_folder_does_not_verify(tmp_path: Path) -> None:
    with pytest.raises(SubjectError):
        Store(tmp_path).verify("artifact", KEY)


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"files": 3}', "{"])
def test_an_unreadable_record_is_no_record(tmp_path: Path, content: str) -> None:
    store = Store(tmp_path)
    folder = store.build("data", KEY, filler(a="1"))
    (folder / "artifact.json").write_text(content)
    assert store.record("data", KEY) is None
    with pytest.raises(SubjectError, match="cannot be read"):
        store.verify("data", KEY)


# -------------------------------------------------------------------------------------------- manifests


def test_manifests_are_kept_by_digest(tmp_path: Path) -> None:
    store, path = Store(tmp_path / "store"), tmp_path / "source.py"
    path.write_text("x = 1")
    manifest = Manifest.of({"source.py": path}, tmp_path)
    digest = store.save_manifest(manifest)
    kept = store.load_manifest(digest)
    assert digest == manifest.digest
    assert kept is not None
    assert (kept.rows, kept.changed(tmp_path)) == (manifest.rows, [])
    assert store.load_manifest("0" * 64) is None


def test_a_manifest_follows_its_files_to_another_place(tmp_path: Path) -> None:
    """The same sources in a new environment: same digest, and looked for where they are now."""
    store, old, new = Store(tmp_path / "store"), tmp_path / "old.py", tmp_path / "new.py"
    old.write_text("x = 1")
    digest = store.save_manifest(Manifest.of({"m.py": old}, tmp_path))
    old.rename(new)
    assert store.save_manifest(Manifest.of({"m.py": new}, tmp_path)) == digest
    kept = store.load_manifest(digest)
    assert kept is not None
    assert kept.changed(tmp_path) == []


@pytest.mark.parametrize(
    "content", ["{}", "[]", "", "3", '{"a": 3}', '{"a": []}', '{"m.py": ["/dev/null", 0, 0, "d"]}']
)
def test_an_edited_manifest_is_none(tmp_path: Path, content: str) -> None:
    """An emptied manifest must not read as "nothing changed"."""
    store, path = Store(tmp_path / "store"), tmp_path / "m.py"
    path.write_text("x = 1")
    digest = store.save_manifest(Manifest.of({"m.py": path}, tmp_path))
    (kept,) = (tmp_path / "store" / "sources").iterdir()
    kept.write_text(content)
    assert store.load_manifest(digest) is None
    store.save_manifest(Manifest.of({"m.py": path}, tmp_path))
    assert store.load_manifest(digest) is not None


# ---------------------------------------------------------------------------------------------- weights

floats = hnp.floating_dtypes(endianness="<", sizes=(16, 32, 64))
integers = hnp.integer_dtypes(endianness="<", sizes=(8, 16, 32, 64)) | st.just(np.dtype(bool))
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
tables = st.dictionaries(
    st.text("abc.0", min_size=1, max_size=4), hnp.arrays(floats | integers, shapes), min_size=1, max_size=4
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables)
def test_parameters_and_shapes_are_read_from_the_file(tmp_path: Path, table: dict[str, np.ndarray]) -> None:
    """Law: count_parameters is numpy's count of floating-point numbers; tensors() has every shape."""
    path = tmp_path / "model.safetensors"
    save_file(table, path)
    save_file({"large": np.zeros(1000)}, tmp_path / "initial.safetensors")
    assert count_parameters(tmp_path) == sum(a.size for a in table.values() if a.dtype.kind == "f")
    assert {name: shape for name, (_, shape) in tensors(path).items()} == {n: a.shape for n, a in table.items()}
    assert size_bytes(tmp_path) == path.stat().st_size
    assert weight_files(tmp_path) == [path]


def test_parameters_of_several_files_and_of_types_that_numpy_does_not_have(tmp_path: Path) -> None:
    save_torch({"a": torch.zeros(3, 4, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    save_torch(
        {"b": torch.zeros(5).to(torch.float8_e4m3fn), "c": torch.zeros(7, dtype=torch.long)}, tmp_path / "b.safetensors"
    )
    assert count_parameters(tmp_path) == 17
    assert tensors(tmp_path / "a.safetensors")["a"] == ("BF16", (3, 4))


def test_the_digest_of_weights_sees_names_and_contents(tmp_path: Path) -> None:
    found = []
    for number, (name, value) in enumerate([("m", 1.0), ("m", 1.0 + 1e-12), ("n", 1.0), ("m", 1.0)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file({"w": np.array([value])}, folder / f"{name}.safetensors")
        (folder / "config.json").write_text(str(number))
        save_file({"w": np.array([float(number)])}, folder / "initial.safetensors")
        found.append(weights_digest(folder))
    assert found[0] == found[3]
    assert len(set(found)) == 3


def whole() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1.0, 2.0)


STUBS: dict[str, bytes] = {
    "placeholder": b"placeholder weights, replace before release",
    "empty": b"",
    "one byte": b"x",
    "pickle": pickle.dumps({"w": [1.0, 2.0]}),
    "torch pickle": b"PK\x03\x04" + b"\x00" * 200,
    "cut short": whole()[:-1],
    "header only": whole()[:-8],
    "half a header": whole()[:20],
    "too long": whole() + b"\x00" * 8,
    "huge header": struct.pack("<Q", 2**60) + b"{}",
    "git lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "no tensor": struct.pack("<Q", 8) + b"{}      ",
}


@pytest.mark.parametrize("name", STUBS)
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, name: str) -> None:
    """Law: a stub, a pickle or a torso under the right name is no artifact, and the error names the file."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole())
    assert count_parameters(tmp_path) == 2
    path.write_bytes(STUBS[name])
    for asked in (weight_files, weights_digest, count_parameters):
        with pytest.raises(SubjectError) as caught:
            asked(tmp_path)
        assert str(path) in str(caught.value)
        assert "train again" in str(caught.value)


def test_one_good_file_does_not_hide_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(whole())
    (tmp_path / "b.safetensors").write_bytes(STUBS["placeholder"])
    with pytest.raises(SubjectError, match=r"b\.safetensors: 43 bytes that are no safetensors file"):
        weight_files(tmp_path)


@pytest.mark.parametrize("left", [(), ("model.bin", "model.pt"), ("initial.safetensors",)])
def test_training_that_left_no_weights_is_told(tmp_path: Path, left: tuple[str, ...]) -> None:
    for name in left:
        (tmp_path / name).write_bytes(whole())
    with pytest.raises(SubjectError, match="left no weights"):
        weight_files(tmp_path)


def test_a_folder_under_a_weight_files_name_is_no_weight_file(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(SubjectError):
        weight_files(tmp_path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.integers(0, 3))
def test_weights_drawn_anew_keep_form_and_scale_and_nothing_learnt(
    tmp_path: Path, table: dict[str, np.ndarray], seed: int
) -> None:
    """Law: reinitialise keeps names, dtypes, shapes and all that is no float, and depends on the seed alone."""
    for name, tensor in table.items():
        if tensor.dtype.kind == "f":
            table[name] = np.asarray(np.nan_to_num(tensor, posinf=1, neginf=-1).clip(-9, 9))
    save_file(table, tmp_path / "a.safetensors")
    for name in ("b", "c"):
        reinitialise(tmp_path / "a.safetensors", tmp_path / f"{name}.safetensors", seed)
    assert tensors(tmp_path / "a.safetensors") == tensors(tmp_path / "b.safetensors")
    drawn, again = load_file(tmp_path / "b.safetensors"), load_file(tmp_path / "c.safetensors")
    for name, before in table.items():
        np.testing.assert_array_equal(drawn[name], again[name])
        if before.dtype.kind != "f" or not before.any():
            np.testing.assert_array_equal(drawn[name], before)


def test_a_large_tensor_drawn_anew_has_its_scale_and_no_memory(tmp_path: Path) -> None:
    learnt = np.linspace(-3, 3, 10_000, dtype=np.float32)
    save_file({"w": learnt}, tmp_path / "a.safetensors")
    reinitialise(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    drawn = load_file(tmp_path / "b.safetensors")["w"]
    assert np.sqrt(np.mean(drawn**2)) == pytest.approx(np.sqrt(np.mean(learnt**2)), rel=0.05)
    assert abs(np.corrcoef(learnt, drawn)[0, 1]) < 0.05


def test_weights_that_numpy_cannot_hold_are_told(tmp_path: Path) -> None:
    save_torch({"a": torch.ones(4, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    with pytest.raises(SubjectError, match=r"a\.safetensors"):
        reinitialise(tmp_path / "a.safetensors", tmp_path / "b.safetensors")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A pickle that would leave a trace when loaded leaves none."""
    trace = tmp_path / "trace"

    class Payload:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(trace),)

    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(SubjectError):
        weights_digest(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("files", [1, 2])
def test_the_untrained_control_is_the_beginning_of_one_file_and_noise_for_several(tmp_path: Path, files: int) -> None:
    """Of several files it is not known which module of the recorder's each is: every one is drawn anew."""
    folder = tmp_path / "trained"
    folder.mkdir()
    for number in range(files):
        save_file({"w": np.full((8, 8), number + 1.0, dtype=np.float32)}, folder / f"part{number}.safetensors")
    save_file({"w": np.zeros((8, 8), dtype=np.float32)}, folder / "initial.safetensors")
    (folder / "harness.json").write_text('{"unread": []}')
    subject = object.__new__(Subject)
    subject.store = Store(tmp_path / "store")
    subject.__dict__ |= {"profile": {}, "artifact": Artifact("key", folder, weights_digest(folder), 0)}
    control = subject.untrained.folder
    found = [load_file(control / f"part{number}.safetensors")["w"] for number in range(files)]
    if files == 1:
        assert not found[0].any()
    else:
        assert all(len(np.unique(one)) == 64 for one in found)
        assert subject.untrained.weights != weights_digest(folder)


def test_a_training_that_failed_is_not_tried_again(tmp_path: Path) -> None:
    tried = []

    def train(folder: Path) -> None:
        tried.append(folder)
        raise SubjectError("the subject raised ValueError: no")

    subject = object.__new__(Subject)
    subject.store, subject.profile_name = Store(tmp_path / "store"), "cpu"
    subject.__dict__ |= {"spec": SimpleNamespace(name="toy"), "key": "0" * 64}
    subject.__dict__ |= {"_train": train, "_failure": None}
    for _ in range(3):
        with pytest.raises(SubjectError, match="the subject raised ValueError: no"):
            _ = subject.artifact
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("package", "needs"),
    [
        ("torch", True),
        ("sentence_transformers", True),
        ("peft", True),
        ("numpy", False),
        ("datasets", False),
        ("json", False),
    ],
)
def test_what_needs_torch_is_recorded_whatever_it_is_called(package: str, needs: bool) -> None:
    """`datasets` names torch as an extra alone."""
    assert subject._needs_torch(package) is needs
