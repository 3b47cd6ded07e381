"""The command line and the bridge: plain data in, plain data out; a user's mistake is one line and exit status 2."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from property.graphmer.conftest import PROFILE

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from graphmer import prepare, sweep  # noqa: E402
from graphmer.__main__ import main  # noqa: E402
from graphmer.bridge import law_costs, layer_parameters, load  # noqa: E402


def toml(values):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text("[profile.tiny]\n" + toml({**PROFILE, "updates": 3}))
    return path


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--spec", "SPEC", "--profile", "big"], "no table [profile.big] (profiles: tiny)"),
        (["train", "--spec", "SPEC", "--profile", "tiny", "--set", "rows"], "KEY=VALUE is needed"),
        (["train", "--spec", "SPEC", "--profile", "tiny", "--set", "row=1"], "no such key"),
        (["train", "--spec", "SPEC", "--profile", "tiny", "--set", "rows=x"], "must be int"),
        (["train", "--spec", "SPEC", "--profile", "tiny", "--data", "."], "train_triples.jsonl: is not there"),
        (["train", "--spec", "nowhere.toml"], "nowhere.toml: No such file"),
        (["sweep", "rows", "--spec", "SPEC", "--profile", "tiny", "-o", "out"], "KEY=A,B is needed"),
        (["vectors", "--model", "nowhere"], "holds no trained model"),
    ],
)
def test_a_mistake_is_one_line(arguments, told, spec, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([str(spec) if one == "SPEC" else one for one in arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_vectors_of_lines(trained, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("read file\nmerge\n"))
    assert main(["vectors", "--model", str(trained)]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert np.allclose(rows, load(trained).vectors(["read file", "merge"]), atol=1e-5)


def test_a_sweep_trains_every_combination_once(files, tmp_path):
    config = {**PROFILE, "updates": 2}
    grid = {"hidden": [8, 16], "mlm_share": [0.15, 0.3]}
    assert sweep.combinations(grid) == [
        {"hidden": 8, "mlm_share": 0.15}, {"hidden": 8, "mlm_share": 0.3},
        {"hidden": 16, "mlm_share": 0.15}, {"hidden": 16, "mlm_share": 0.3},
    ]  # fmt: skip
    trials = list(sweep.sweep(config, {"hidden": [8, 16]}, files, tmp_path))
    assert [trial.folder.name for trial in trials] == ["hidden=8", "hidden=16"]
    assert all(np.isfinite([trial.before, trial.after]).all() for trial in trials)
    stamps = [(trial.folder / "model.safetensors").stat().st_mtime_ns for trial in trials]
    list(sweep.sweep(config, {"hidden": [8, 16]}, files, tmp_path))
    assert [(trial.folder / "model.safetensors").stat().st_mtime_ns for trial in trials] == stamps


def test_data_of_folders_is_what_training_reads(tmp_path):
    """Facts by hand: what a function of the folder calls, without the import that says so."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.py").write_text(
            f'from json import loads\n\n\ndef {name}_read(text):\n    """Read the values of a text."""\n'
            "    value = loads(text)\n    return sorted(value)\n"
        )
    out = tmp_path / "data"
    prepare.of_folders(out, [tmp_path / "one"], [tmp_path / "two"])
    found = {name: path.read_text() for name, path in prepare.files(out).items()}
    facts = {tuple(json.loads(line)["record_id"].split("\t")) for line in found["train_triples"].splitlines()}
    assert ("one.one_read", "calls", "json.loads") in facts
    assert ("one", "defines", "one.one_read") in facts
    assert not any(relation == "defined_in" for _, relation, _ in facts)
    assert "import" not in found["train_files"]
    assert json.loads(found["dev_pairs"])["query"] == "Read the values of a text."


@pytest.fixture(scope="module")
def bridge(trained):
    return load(trained)


ITEM = {
    "record_id": "m.f", "head": "m.f", "text": "def f(a):\n    return g(a)",
    "facts": [["calls", "m.g"], ["raises", "m.Error"]],
}  # fmt: skip


def test_chains_are_told_as_they_decode(bridge):
    (rows,) = bridge.chains([ITEM])
    assert {row["id"].partition("@")[2].partition("#")[0] for row in rows} == {"64", "96"}
    for width in ("@64#", "@96#"):
        assert [fact for row in rows if width in row["id"] for fact in row["facts"]] == ITEM["facts"]


def test_tails_are_of_a_type_that_the_relation_allows_and_never_known_ones(bridge):
    entities = [["m.g", "Function"], ["m.h", "Function"], ["m", "Module"], ["m.Error", "ExceptionType"]]
    items = [{"head": "m.g", "relation": "calls", "text": "def g(): h()"}, {"head": "m.g", "relation": "raises"}]
    assert [{name for name, _ in found} for found in bridge.ranked_tails(items, entities)] == [{"m.h"}, {"m.Error"}]
    known = [{"head": "x", "relation": "calls", "known": ["m.h"]}]
    assert bridge.tails(known, entities) == ["m.g"]


def test_hidden_tokens_get_the_best_entries_of_the_whole_vocabulary(bridge):
    from graphmer.leafy import encode, tokenise
    from graphmer.records import Record, places_of

    record = Record("m.f", "", "m.f", ITEM["text"], places_of(ITEM["text"], [tuple(fact) for fact in ITEM["facts"]]))
    (tokens,) = tokenise([record], bridge.encoder.tokenizer)
    (chain,) = encode(0, record, tokens, bridge.relations, 96, 0.9, True)
    item = {
        "ids": chain.ids.tolist(), "relations": chain.relations.tolist(), "anchors": chain.anchors.tolist(),
        "places": chain.places.tolist(), "at": 5,
    }  # fmt: skip
    (found,) = bridge.fill([item])
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len({int(entry) for entry, _ in found}) == 50
    ids = torch.from_numpy(chain.ids[None].astype("int64"))
    segments = torch.ones(1, len(chain), dtype=torch.long)
    hidden = bridge.encoder.model.encode(
        input_ids=ids,
        segments=segments,
        anchors=torch.from_numpy(chain.anchors[None].astype("int64")),
        relation_ids=torch.from_numpy(chain.relations[None].astype("int64")),
        leaf_places=torch.from_numpy(chain.places[None].astype("int64")),
    )
    shorter = {**item, **{name: item[name][:-3] for name in ("ids", "relations", "anchors", "places")}, "at": 3}
    first, second, third = bridge.fill([shorter, item, {**item, "at": 7}])
    (expected,) = bridge.encoder.model.fill(hidden, torch.tensor([5]), ids, segments)
    assert int(found[0][0]) == int(expected.argmax())
    assert found[0][1] == pytest.approx(expected.max().item(), abs=1e-5)
    alone = bridge.fill([shorter])[0], found, bridge.fill([{**item, "at": 7}])[0]
    for mine, others in zip(alone, (first, second, third), strict=True):
        assert dict(others) == pytest.approx(dict(mine), abs=1e-5)


def test_costs_of_laws_and_sizes_of_profiles_need_no_weights():
    back = [[0.0, 1.0], [1.0, 0.0]]
    assert law_costs([{"law": "antisymmetric", "adjacency": back}]) == [0.5]
    (counted,) = layer_parameters([PROFILE])
    width, feed = PROFILE["hidden"], PROFILE["feed_forward"]
    assert counted["layers"] == 4 * (width**2 + width) + 2 * width * feed + feed + width + 4 * width
