"""A user's own folder through all tasks, by the command line: answers are JSON, mistakes one line and exit code 2."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightgbm")

from graphmer import tasks
from graphmer.__main__ import main
from graphmer.encoder import Encoder
from graphmer.errors import GraphmerError
from graphmer.records import read
from graphmer.tasks import links as link_task
from graphmer.tasks import search as search_task
from graphmer.tasks.dependencies import Dependencies, Memory
from graphmer.tasks.links import Graph, Links
from graphmer.tasks.search import Pool, Search

CODE = '''"""Shop."""
import json

def load_basket(path):
    """Read the basket of a customer from a file."""
    with open(path) as file:
        return json.load(file)

def total_price(basket):
    """Sum up the prices of what lies in the basket."""
    found = load_basket(basket)
    return sum(one.price for one in found)

class Till:
    def pay(self, basket):
        """Take the money for a basket and give change."""
        return total_price(basket)
'''


@pytest.fixture(scope="session")
def examples(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Next to nothing for each ranker to be fitted on: mechanics only."""
    place = tmp_path_factory.mktemp("tasks")
    triples = [row for row in read(files["train_triples"]) if row["relation"] == "calls"]
    entities = [{"distribution": "train", **row} for row in read(files["train_entities"])]
    names = [row["name"] for row in entities if row["type"] == "Function"]
    texts = {row["file"]: row["text"] for row in read(files["train_files"])}
    home = {row["name"]: row for row in entities}
    pairs = [{**row, "passage": row["target"]} for row in read(files["train_pairs"])]

    def write(name: str, found: list[dict[str, Any]]) -> Path:
        path = place / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in found))
        return path

    mentions = [
        {
            "record_id": str(i), "group": "train", "file": home[row["head"]]["file"], "head": row["head"],
            "name": row["tail"].rpartition(".")[2], "line": home[row["head"]]["line"] + 2, "code": "x = 1",
            "candidates": sorted({row["tail"], names[i % len(names)]}), "gold": row["tail"],
        }
        for i, row in enumerate(triples[:60])
    ]  # fmt: skip
    imports = [
        {
            "group": f"g{i % 3}",
            "text": f"x = json.load(path)\ny{i} = 1",
            "modules": ["json"] if i % 2 else ["os"],
            "fit": True,
        }
        for i in range(24)
    ]
    return {
        "link_triples": write("triples", triples[60:]),
        "link_examples": write("examples", triples[:60]),
        "train_entities": write("entities", entities),
        "train_files": files["train_files"],
        "relation_examples": write(
            "relations",
            [{"head": row["head"], "relation": "calls", "holds": i % 2} for i, row in enumerate(triples[:60])],
        ),
        "search_pairs": write("search", pairs),
        "search_passages": write(
            "passages",
            [
                *({"id": row["record_id"], "text": row["passage"]} for row in pairs),
                {"id": "undocumented", "text": "def undocumented(x):\n    return x"},
            ],
        ),
        "dependency_files": write("imports", imports),
        "name_mentions": write("mentions", mentions),
        "name_entities": write("names", entities),
        "name_files": write("files", [{"file": file, "text": text} for file, text in texts.items()]),
        "name_pieces": write(
            "pieces", [{"code": row["target"], "entities": [row["record_id"].rpartition(".")[2]]} for row in pairs]
        ),
    }


def fitted(trained: Path, examples: dict[str, Path], out: Path, threads: int) -> Path:
    """The tiny encoder with rankers."""
    shutil.copytree(trained, out, ignore=shutil.ignore_patterns("checkpoints"))
    profile = {"threads": threads, "seed": 0, "link_examples": 60, "search_examples": 40, "name_examples": 60}
    tasks.fit(Encoder.load(out), examples, out, profile)
    return out


@pytest.fixture(scope="session")
def model(trained: Path, examples: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted(trained, examples, tmp_path_factory.mktemp("fitted") / "model", threads=1)


def test_rankers_fitted_side_by_side_are_those_fitted_in_turn(trained, examples, model, tmp_path):
    beside = fitted(trained, examples, tmp_path / "model", threads=2)

    def kept(folder: Path) -> dict[str, bytes]:
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    found = kept(beside / "tasks")
    assert found == kept(model / "tasks")
    assert {name.partition("/")[0] for name in found} == {
        "links", "relations", "search", "dependencies", "names", "entities", "version.json",
    }  # fmt: skip


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "shop"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "till.py").write_text(CODE)
    return folder.parent


def ask(capsys: pytest.CaptureFixture[str], model: Path, *words: str) -> Any:
    assert main(["predict", "--model", str(model), *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_tails_are_of_the_right_type_and_say_what_is_known(capsys, model, project) -> None:
    found = ask(capsys, model, "tails", str(project), "shop.till.total_price", "calls")
    assert {"tail": "shop.till.load_basket", "known": True} in [
        {"tail": row["tail"], "known": row["known"]} for row in found
    ]
    assert not any(row["tail"] in ("shop", "shop.till.Till") for row in found)


def test_a_name_is_resolved_among_those_called_so(capsys, model, project) -> None:
    found = ask(capsys, model, "name", str(project), "shop/till.py", "load_basket")
    assert [row["entity"] for row in found] == ["shop.till.load_basket"]


def test_code_is_found_by_a_sentence(capsys, model, project) -> None:
    found = ask(capsys, model, "code", str(project), "read the basket of a customer")
    assert {row["function"] for row in found} <= {
        "shop.till.load_basket",
        "shop.till.total_price",
        "shop.till.Till.pay",
    }
    assert found == sorted(found, key=lambda row: -row["score"])


def test_missing_imports_are_named(capsys, model, project) -> None:
    found = ask(capsys, model, "imports", str(project), str(project / "shop" / "till.py"))
    assert {row["module"] for row in found} <= {"json", "os"}
    assert all(0 <= row["probability"] <= 1 for row in found)
    assert [row["imported"] for row in found if row["module"] == "json"] == [True]


def test_the_folder_s_own_functions_are_searched_for(capsys, model, project) -> None:
    assert main(["evaluate", str(project), "--model", str(model)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 <= told["mrr@10"] <= 1
    assert 1 <= told["queries"] <= told["functions"]


@pytest.mark.parametrize(
    "words",
    [
        ("tails", "shop.till.nothing", "calls"),
        ("tails", "shop.till.total_price", "eats"),
        ("name", "shop/absent.py", "total_price"),
        ("name", "shop/till.py", "absent_name"),
    ],
)
def test_a_mistake_is_one_line(capsys, model, project, words) -> None:
    assert main(["predict", "--model", str(model), words[0], str(project), *words[1:]]) == 2
    told = capsys.readouterr().err
    assert told.startswith("graphmer: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("version", [None, 1])
def test_rankers_of_another_version_are_refused(model: Path, tmp_path: Path, version: int | None):
    old = tmp_path / "model"
    shutil.copytree(model, old)
    told = old / tasks.FOLDER / "version.json"
    told.unlink()
    if version is not None:
        told.write_text(str(version))
    with pytest.raises(GraphmerError, match="fitted by another version of graphmer; train anew"):
        tasks.Tasks(Encoder.load(old), old)


def test_the_ranker_of_search_is_fitted_among_all_that_is_searched(trained, examples, tmp_path, monkeypatch):
    pools, fit = [], Search.fit

    def seen(self, queries, gold, pool, *more):
        pools.append(pool)
        return fit(self, queries, gold, pool, *more)

    monkeypatch.setattr(Search, "fit", seen)
    only = {name: examples[name] for name in ("search_pairs", "search_passages")}
    fitted(trained, only, tmp_path / "model", threads=1)
    assert "undocumented" in pools[0].ids
    assert {row["record_id"] for row in read(examples["search_pairs"])} < set(pools[0].ids)


def test_candidates_without_the_encoder_are_those_that_are_marked(model: Path, examples: dict[str, Path], monkeypatch):
    """Of each ranker whose candidates the encoder proposes, too: the twin is fitted on what it will be asked about."""
    for module, limit in ((link_task, "_KEPT"), (link_task, "_NEAREST"), (search_task, "_PROPOSED")):
        monkeypatch.setattr(module, limit, 6)  # of so few entities and passages all would be proposed
    encoder = Encoder.load(model)
    graph = Graph.read(*(examples[name] for name in ("link_triples", "train_entities", "train_files")))
    queries, links = read(examples["link_examples"])[:20], Links(encoder, graph)
    pairs = read(examples["search_pairs"])
    pool = Pool.load(examples["search_passages"])
    asked, search = [row["query"] for row in pairs[:20]], Search(encoder)
    # module i of twelve in 5 + i files: the ten most popular are thought of anyway, the least by its own files alone
    files = [{"group": "a", "names": [], "modules": [f"m{i:02}"]} for i in range(12) for _ in range(5 + i)]
    vectors = np.eye(12, dtype=np.float32)[[int(row["modules"][0][1:]) for row in files]]
    inferring = Dependencies(encoder, Memory(files), vectors)
    monkeypatch.setattr(inferring, "_named", np.zeros((12, 12), dtype=np.float32))
    for both, cheap in (
        (links.tables(queries), links.tables(queries, encoder=False)),
        (search.tables(asked, pool), search.tables(asked, pool, encoder=False)),
        ([inferring._table(set(), "", vectors[0])], [inferring._table(set(), "", None)]),
    ):
        for (candidates, _, marked), (alone, *_) in zip(both, cheap, strict=True):
            assert candidates[marked].tolist() == alone.tolist()
        assert any(not marked.all() for *_, marked in both)
