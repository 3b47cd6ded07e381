"""Law: a name in sight speaks for the modules that it is imported from, and for nothing where it is the function's own."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from corpus.functions import Function, from_text
from graphsage import data, graph
from graphsage.names import Names, Weights, fit, fused

FILE = """
import numpy as np
import json

def f(x, size):
    y = np.zeros(size)
    return np.dot(x, y)

def g(x, size):
    y = np.ones(size)
    return y + x

def h(path, mode):
    text = path.read(mode)
    return json.loads(text)

def own(json, keys):
    found = [json[key] for key in keys]
    return found

def inside(text, default):
    import json
    return json.loads(text) or default

def third(values, count):
    mean = np.mean(values)
    return mean / count
"""
MODULES = ["json", "numpy"]


@pytest.fixture(scope="module")
def functions() -> list[Function]:
    return from_text(FILE)


@pytest.fixture(scope="module")
def samples(functions: list[Function]) -> data.Samples:
    return data.prepare(functions, MODULES, mutants=1, seed=0, readers=None, progress=lambda text: None)


@pytest.fixture(scope="module")
def table(samples: data.Samples) -> Names:
    return Names.learn(samples.seen, samples.modules)


def read(source: str) -> set[int]:
    return set(data.free(graph.build([source]))[1].tolist())


def of(*names: str) -> set[int]:
    return {graph.hashed(name, "name") for name in names}


def test_what_is_read_is_what_the_function_does_not_set_itself() -> None:
    assert read("def f(a):\n    b = a + c\n    return d.e(b)") == of("c", "d")
    assert read("def f(json):\n    return json.loads(x)") == of("x")
    assert read("def f(x: T = U) -> V:\n    import os\n    return os.path") == of("T", "U", "V", "os")


def test_imported_is_what_the_masked_function_does_not_read(samples: data.Samples, functions: list[Function]) -> None:
    imported = [set(samples.seen.symbol[(samples.seen.owner == i) & samples.seen.imported]) for i in range(6)]
    assert [each.qualname for each in functions] == ["f", "g", "h", "own", "inside", "third"]
    assert imported == [of("np"), of("np"), of("json"), set(), of("json"), of("np")]


def test_shares_are_counted_by_hand(table: Names) -> None:
    """np: read by three, all of which use numpy: 3 / (3 + 1). json: by two, one of them with an import of its own."""
    graphs = graph.build(["def f(x):\n    return np.array(json)", "def f(np):\n    return np + json", "def f(): x"])
    assert table.shares(*data.free(graphs), (3, 2)).tolist() == [[2 / 3, 3 / 4], [2 / 3, 0.0], [0.0, 0.0]]


def test_a_name_that_one_function_imports_says_nothing(samples: data.Samples) -> None:
    once = data.Seen(*(getattr(samples.seen, field.name)[samples.seen.owner == 2] for field in fields(data.Seen)))
    assert len(Names.learn(once, samples.modules).symbol) == 0


def test_samples_that_are_joined_keep_whose_names_they_are(samples: data.Samples, table: Names) -> None:
    twice = data.Samples.join([samples, samples])
    shares = [table.shares(each.seen.owner, each.seen.symbol, each.modules.shape) for each in (samples, twice)]
    assert np.array_equal(np.concatenate([shares[0], shares[0]]), shares[1])
    assert shares[0].max(axis=1).tolist() == [3 / 4, 3 / 4, 2 / 3, 0.0, 2 / 3, 3 / 4]


def test_a_table_is_read_as_it_was_written(table: Names, tmp_path) -> None:
    file = tmp_path / "names.npz"
    file.write_bytes(table.content())
    for field in fields(Names):
        assert np.array_equal(getattr(Names.read(file, 2), field.name), getattr(table, field.name))


def test_where_no_name_is_telling_the_answer_is_that_of_the_model() -> None:
    own, shares = np.array([[-1.0, 2.0], [-1.0, 2.0]]), np.array([[0.69, 0.3], [0.9, 0.0]])
    found = fused(own, shares, Weights(own=0.5, names=2.0, offset=-1.0))
    assert found[0].tolist() == own[0].tolist()
    # 0.9 is odds of 9 to 1; 0 counts as 0.01
    np.testing.assert_allclose(found[1], [-0.5 + 2 * np.log(9) - 1, 1.0 + 2 * np.log(1 / 99) - 1])


def test_weights_are_those_of_an_independent_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    own, shares = rng.normal(size=(400, 3)), rng.random((400, 3))
    odds = np.log(shares.clip(0.01, 0.98) / (1 - shares.clip(0.01, 0.98)))
    used = (rng.random((400, 3)) < 1 / (1 + np.exp(-(0.3 * own + 1.2 * odds - 0.8)))).astype(np.int64)
    telling = shares.max(axis=1) >= 0.7
    found = fit(own, shares, used)
    columns = np.stack([own[telling], odds[telling]], axis=2).reshape(-1, 2)
    expected = LogisticRegression(C=1e6).fit(columns, used[telling].ravel())
    np.testing.assert_allclose([found.own, found.names], expected.coef_[0], rtol=1e-2)
    np.testing.assert_allclose(found.offset, expected.intercept_[0], rtol=1e-2)
    assert fit(own, shares * 0.5, used) == Weights()
