"""Laws of the bridge: the same answer from every thread and every batch, and no answer where there is none."""

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from graphsage import bridge, data, graph, names
from graphsage.__main__ import main
from graphsage.bridge import ModelMismatch, ModelNotTrained, NotOneFunction, UnparseableSource
from graphsage.device import Device


@pytest.fixture(scope="module")
def trained(artifact) -> bridge.Bridge:
    return bridge.load(artifact)


@pytest.fixture(scope="module")
def sources(real) -> list[str]:
    return [function.source for function in real[:48]]


def test_thirty_two_threads_give_the_same_answers(trained, sources) -> None:
    expected = [trained.answer(source) for source in sources]
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(trained.answer, sources * 4)) == expected * 4


def test_batches_and_single_calls_agree(trained, sources) -> None:
    scores = trained.defect_scores(sources)
    assert scores.shape == (len(sources),)
    assert ((scores > 0) & (scores < 1)).all()
    assert len(set(scores.tolist())) > len(sources) // 2
    single = np.concatenate([trained.defect_scores([source]) for source in sources])
    np.testing.assert_allclose(scores, single, atol=0.02)  # bf16 rounds products of other shapes differently
    assert [answer["name"] for answer in trained.answer_batch(sources)] == [
        trained.answer(source)["name"] for source in sources
    ]


def test_answers_are_in_what_the_processor_answers_fastest_with(monkeypatch, artifact, tmp_path) -> None:
    about = json.loads((artifact / "config.json").read_text())
    shutil.copytree(artifact, tmp_path / "native")
    (tmp_path / "native" / "config.json").write_text(json.dumps({**about, "precision": "native"}))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True, "avx512_vnni": True})
    assert bridge.load(tmp_path / "native").facts()["device"] == "cpu int8"
    assert bridge.load(artifact).facts()["device"] == "cpu bf16"


@pytest.mark.parametrize("int8", [False, True])
def test_answers_do_not_depend_on_what_else_is_asked(monkeypatch, artifact, sources, int8) -> None:
    """What is pointed at is the same in any company, and the scores are, up to the last bits of a sum."""
    monkeypatch.setattr(bridge.Device, "of", lambda *_, **__: Device("cpu", torch.float32, int8))
    model = bridge.load(artifact)
    for part in (sources[:1], sources[5:8], sources[::-5]):
        place = [sources.index(source) for source in part]
        together, apart = model.defects(sources, seed=1)["place"], model.defects(part, seed=1)["place"]
        assert [together[i] for i in place] == apart
        for ask in (
            model.defect_scores,
            lambda s: model.defects(s, seed=1)["score"],
            lambda s: model.defects(s, seed=1)["rewired"],
            model.confidences,
            model.embeddings,
            lambda s: model.import_scores(s)["scores"],
        ):
            np.testing.assert_allclose(ask(sources)[place], ask(part), atol=1e-5)


@pytest.fixture
def several(trained) -> Iterator[bridge.Bridge]:
    yield trained
    trained.close()


def test_a_file_is_answered_as_its_functions_are(trained, sources) -> None:
    flat = [source for source in sources if source.count("def ") == 1]
    found, alone = trained.answer_file("\n\n".join(flat)), trained.answer_batch(flat)
    assert len(found) > 5
    assert [each["name"] for each in found] == [each["name"] for each in alone]
    for one, other in zip(found, alone, strict=True):
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)
        assert [each["module"] for each in one["imports"]] == [each["module"] for each in other["imports"]]


@pytest.mark.parametrize("method", ["defect_scores", "confidences", "embeddings", "answer_batch"])
def test_processes_read_what_one_thread_does(several, sources, method) -> None:
    one, two = (getattr(several, method)(sources * 3, processes=count) for count in (1, 2))
    assert np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two


def test_processes_stay_for_later_calls_and_end_with_close(several, sources) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda seed: several.defects(sources * 2, seed % 2, processes=2), range(8))]
    first = {process.pid for process in multiprocessing.active_children()}
    assert len(first) == 2
    assert all(np.array_equal(each["score"], found[0]["score"]) for each in found)
    assert np.array_equal(found[1]["rewired"], several.defects(sources * 2, 1)["rewired"])
    with pytest.raises(UnparseableSource):
        several.answer_batch([*sources * 2, "function f() { return 1 }"], processes=2)
    assert {process.pid for process in multiprocessing.active_children()} == first
    several.close()
    assert not multiprocessing.active_children()


def test_after_a_process_that_died_others_are_started(several, sources) -> None:
    expected = several.answer_batch(sources * 2, processes=2)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(BrokenProcessPool):
        several.answer_batch(sources * 2, processes=2)
    assert several.answer_batch(sources * 2, processes=2) == expected


def test_answers_are_made_as_they_are_asked_for(several, sources, monkeypatch) -> None:
    """However many sources there are, no more than a few chunks are read ahead."""
    asked = []
    monkeypatch.setattr(bridge, "_CHUNK", 2)
    monkeypatch.setattr(several.model, "answer", lambda batch, embed: asked.append(batch) or batch)
    found = several._outputs(sources * 4, processes=2)
    next(found)
    time.sleep(1)  # long enough for all of them
    assert len(asked) <= 2 * bridge._AHEAD + 1 < len(sources) * 2
    found.close()


def test_processes_end_with_a_parent_that_was_killed() -> None:
    script = """
import multiprocessing, os, signal
from corpus.processes import pool
pool = pool(2)
list(pool.map(abs, range(40)))
print(*(process.pid for process in multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    orphans = [int(pid) for pid in done.stdout.split()]
    assert orphans
    deadline = time.monotonic() + 10
    while orphans and time.monotonic() < deadline:
        time.sleep(0.05)
        orphans = [pid for pid in orphans if _runs(pid)]
    assert not orphans


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False


def test_fingerprints_are_of_each_source_alone(sources) -> None:
    together = bridge.fingerprints(sources * 2, processes=2)
    assert together == [print_ for source in sources * 2 for print_ in bridge.fingerprints([source])]
    assert len(set(together)) == len(set(sources))


@given(
    st.lists(st.floats(-9, 9), min_size=1, max_size=6),
    st.integers(2, 4),
    st.integers(0, 2**32 - 1),
)
def test_rounding_does_not_choose_among_twins(logits, times, seed) -> None:
    """Nodes that are alike have one logit; with the last bits anyhow, the first of the best twins is taken."""
    assume(all(abs(a - b) > 0.1 for a, b in itertools.combinations(logits, 2)))
    twins = np.tile(np.array(logits, dtype=np.float32), times)
    noise = np.random.default_rng(seed).uniform(-1e-4, 1e-4, len(twins))
    assert bridge._first_of_best(twins + noise) == int(np.argmax(logits))


def test_order_of_the_sources_is_the_order_of_the_answers(trained, sources) -> None:
    backwards = trained.defect_scores(sources[::-1])[::-1]
    np.testing.assert_allclose(trained.defect_scores(sources), backwards, atol=0.02)


def test_locations_are_spans_of_nodes_in_the_source(trained, sources) -> None:
    for source, (line, low, end, high) in zip(sources, trained.defects(sources, 0)["place"], strict=True):
        lines = source.split("\n")
        assert 1 <= line <= end <= len(lines)
        assert 0 <= low <= len(lines[line - 1].encode())
        assert high <= len(lines[end - 1].encode())


def test_imported_names_in_sight_change_what_modules_are_named(trained, artifact, real) -> None:
    """The answer is the model's and the table's by the weights that dev chose: neither is there for nothing."""
    used = [function.source for function in real if function.uses]
    graphs = graph.build(used)
    (store,) = data.Reading(edges=True).of(graphs)
    own = trained.model.answer(trained._batch(store)).imports.double().numpy()
    shares = trained.names.shares(*data.free(graphs), own.shape)
    weights = names.Weights(**json.loads((artifact / "config.json").read_text())["names"])
    assert weights != names.Weights()
    expected = 1 / (1 + np.exp(-names.fused(own, shares, weights)))
    found = trained.import_scores(used)["scores"]
    np.testing.assert_allclose(found, expected, atol=0.02)  # bf16 rounds products of other shapes differently
    assert np.abs(found - 1 / (1 + np.exp(-own))).max() > 0.1
    answers = {each["module"]: each["probability"] for each in trained.answer(used[0])["imports"]}
    for module, probability in answers.items():
        assert probability == pytest.approx(expected[0, trained.modules.index(module)], abs=0.02)


def test_import_scores_are_probabilities_per_module(trained, real) -> None:
    answer = trained.import_scores([function.masked for function in real[:10]])
    assert answer["scores"].shape == (10, len(answer["modules"]))
    assert ((answer["scores"] >= 0) & (answer["scores"] <= 1)).all()
    assert len(set(answer["modules"])) == len(answer["modules"])


def test_no_sources_no_answers(trained) -> None:
    assert trained.answer_batch([]) == []
    assert trained.defect_scores([]).shape == (0,)
    assert trained.import_scores([])["scores"].shape == (0, len(trained.modules))


def test_rewiring_changes_scores_and_repeats_with_its_seed(trained, sources) -> None:
    one, again, other = (trained.defects(sources, seed) for seed in (1, 1, 2))
    assert np.array_equal(one["score"], trained.defect_scores(sources))
    assert np.array_equal(one["score"], other["score"])
    assert np.array_equal(one["rewired"], again["rewired"])
    assert np.abs(one["score"] - one["rewired"]).max() > 1e-3
    assert np.abs(one["rewired"] - other["rewired"]).max() > 1e-3


def test_rewiring_keeps_every_degree(sources) -> None:
    store = bridge.Store.of(bridge.graph.build(sources))
    rewired = data.rewired(store, seed=0)
    assert rewired.neighbour_ptr is store.neighbour_ptr
    for low, high in zip(store.node_ptr[:-1], store.node_ptr[1:], strict=True):
        begin, end = store.neighbour_ptr[low], store.neighbour_ptr[high]
        assert sorted(rewired.neighbours[begin:end]) == sorted(store.neighbours[begin:end])
    assert (rewired.neighbours != store.neighbours).mean() > 0.5


def test_answers_are_plain_json(trained, sources) -> None:
    assert json.loads(json.dumps(trained.answer_batch(sources))) == trained.answer_batch(sources)


@pytest.mark.parametrize("method", ["defect_scores", "import_scores", "answer_batch"])
def test_text_that_is_not_python_is_an_error(trained, method) -> None:
    with pytest.raises(UnparseableSource):
        getattr(trained, method)(["def f(x):\n    return x", "function f() { return 1 }"])


@pytest.mark.parametrize("source", ["x = 1", "hello", "class C:\n    def f(self): ...", "def f(): ...\ndef g(): ..."])
def test_code_that_is_not_one_function_is_an_error(trained, sources, source) -> None:
    with pytest.raises(NotOneFunction):
        trained.answer(source)
    for method in ("defect_scores", "confidences", "embeddings", "import_scores", "answer_batch"):
        with pytest.raises(NotOneFunction):
            getattr(trained, method)([sources[0], source])
    with pytest.raises(NotOneFunction):
        trained.defects([source], seed=0)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_refused_is_named_by_its_number_among_all(several, sources, processes) -> None:
    """Sources are read by 64s."""
    many = (sources * 100)[:150]
    for wrong, error in (("def f(:", UnparseableSource), ("x = 1", NotOneFunction)):
        with pytest.raises(error, match=r"source 140\b"):
            several.defect_scores([*many[:140], wrong, *many[140:]], processes=processes)
    with pytest.raises(UnparseableSource, match=r"source 140\b"):
        bridge.fingerprints([*many[:140], "def f(:", *many[140:]], processes=processes)
    with pytest.raises(NotOneFunction, match="the source is"):
        several.defect_scores(["x = 1"])


@pytest.mark.parametrize("text", ["abc", "def f(x): ...", b"abc"])
def test_one_text_is_not_taken_for_several(trained, text) -> None:
    for method in ("defect_scores", "confidences", "embeddings", "import_scores", "answer_batch"):
        with pytest.raises(TypeError, match="one text"):
            getattr(trained, method)(text)
    with pytest.raises(TypeError, match="one text"):
        bridge.fingerprints(text)


def test_an_integer_of_more_digits_than_python_writes_is_answered(trained) -> None:
    source = f"def f(x):\n    y = x + 0x{'f' * 5000}\n    return y"
    assert trained.answer(source)["name"] == "f"
    assert [each["name"] for each in trained.answer_file(source)] == ["f"]


def test_an_untrained_folder_is_refused(tmp_path, artifact) -> None:
    with pytest.raises(ModelNotTrained, match="train"):
        bridge.load(tmp_path)
    shutil.copy(artifact / "config.json", tmp_path)  # a configuration alone is no model either
    with pytest.raises(ModelNotTrained, match=r"model\.safetensors"):
        bridge.load(tmp_path)


@pytest.mark.parametrize("damage", ["shape", "missing", "additional", "stub"])
def test_weights_that_do_not_fit_are_refused(artifact, tmp_path, damage) -> None:
    shutil.copy(artifact / "config.json", tmp_path)
    shutil.copy(artifact / "names.npz", tmp_path)
    weights = load_file(artifact / "model.safetensors")
    if damage == "shape":
        weights["whole.weight"] = weights["whole.weight"][:, 1:].contiguous()
    elif damage == "missing":
        del weights["whole.weight"]
    elif damage == "additional":
        weights["another.weight"] = weights["whole.weight"].clone()
    save_file(weights, tmp_path / "model.safetensors")
    if damage == "stub":
        (tmp_path / "model.safetensors").write_bytes(b"weights go here")
    with pytest.raises(ModelMismatch):
        bridge.load(tmp_path)


def test_a_configuration_that_is_none_is_refused(artifact, tmp_path) -> None:
    shutil.copy(artifact / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ModelMismatch, match="not the configuration of a model"):
        bridge.load(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [{"thresholds": {}}, {"thresholds": {"defect": 0.5, "imports": "high"}}, {"calibration": {}}, {"names": {}}],
)
def test_a_configuration_that_lacks_something_is_refused_before_any_answer(artifact, tmp_path, capsys, damage) -> None:
    shutil.copy(artifact / "model.safetensors", tmp_path)
    shutil.copy(artifact / "names.npz", tmp_path)
    config = json.loads((artifact / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | damage))
    (tmp_path / "module.py").write_text("def f(x):\n    return x\n")
    with pytest.raises(ModelMismatch, match="not the configuration of a model"):
        bridge.load(tmp_path)
    assert main(["predict", str(tmp_path / "module.py"), "--model", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("damage", ["missing", "stub", "modules", "negative", "shape", "order", "kind", "bits"])
def test_a_table_of_names_that_does_not_fit_is_refused(artifact, tmp_path, damage) -> None:
    shutil.copytree(artifact, tmp_path / "model")
    file = tmp_path / "model" / "names.npz"
    table = {
        "symbol": np.array([7], np.uint64),
        "first": np.array([0, 1]),
        "module": np.array([0]),
        "share": np.ones(1),
    }
    file.unlink()
    if damage == "stub":
        file.write_bytes(b"a table")
    elif damage == "modules":
        np.savez(file, **{**table, "module": np.array([10_000])})
    elif damage == "shape":
        np.savez(file, **{**table, "share": np.ones(2)})
    with pytest.raises(ModelMismatch, match=r"names\.npz: not a table of names"):
        bridge.load(tmp_path / "model")


@pytest.mark.parametrize("answers", [1, None])
def test_a_model_that_would_answer_otherwise_now_is_refused(artifact, tmp_path, answers) -> None:
    shutil.copy(artifact / "model.safetensors", tmp_path)
    config = json.loads((artifact / "config.json").read_text())
    del config["answers"]  # as written before there was the key
    (tmp_path / "config.json").write_text(json.dumps(config if answers is None else {**config, "answers": answers}))
    with pytest.raises(ModelMismatch, match="train` again"):
        bridge.load(tmp_path)


def test_predict_names_each_function_with_the_line_in_the_file(artifact, tmp_path, capsys) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        'import os\n\n\ndef first(a):\n    """Text."""\n    return os.path.join(a, "b")\n\n\n'
        "class C:\n    def second(self): ...\n"
    )
    assert main(["predict", str(file), "--json", "--model", str(artifact)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(f["name"], f["line"]) for f in answer["functions"]] == [("first", 4), ("second", 10)]
    assert set(answer["functions"][0]) == {"name", "line", "confidence", "imports", "defects"}
    assert answer["model"]["weights"] == bridge.load(artifact).weights


@pytest.mark.parametrize("content", [None, "def f(:\n"])
def test_a_missing_or_broken_file_is_one_line_and_exit_two(artifact, tmp_path, capsys, content) -> None:
    file = tmp_path / "module.py"
    if content is not None:
        file.write_text(content)
    assert main(["predict", str(file), "--model", str(artifact)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "module.py" in captured.err


def test_predict_refuses_without_a_trained_model(tmp_path, capsys) -> None:
    file = tmp_path / "module.py"
    file.write_text("def f(x):\n    return x\n")
    assert main(["predict", str(file), "--model", str(tmp_path)]) == 2
    assert "nothing was trained" in capsys.readouterr().err


def test_calls_that_overlap_leave_the_threads_as_they_were() -> None:
    """In, in, out, out: the first takes a core away, the last gives it back, and none takes two."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        left = bridge._CoreLeft()
        left.__enter__()
        assert torch.get_num_threads() == 1
        left.__enter__()
        left.__exit__()
        assert torch.get_num_threads() == 1
        left.__exit__()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
