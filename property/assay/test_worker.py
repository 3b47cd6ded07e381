"""Laws of the worker: plain data crosses unchanged, and nothing that a subject does ends or fools the judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file

from assay import sabotage
from assay.errors import ObservationError, SubjectError
from assay.worker import Worker, pack, unpack

# ---------------------------------------------------------------------------------------------- messages

numeric = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(sizes=(64, 128)),
    hnp.unicode_string_dtypes(max_len=3),
)
arrays = hnp.arrays(numeric, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
plain = st.recursive(
    scalars | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, two: Any) -> bool:
    """Equal in value and type; NaN is itself, and -0.0 is not 0.0."""
    if isinstance(one, np.ndarray):
        equal = isinstance(two, np.ndarray) and one.dtype == two.dtype and one.shape == two.shape
        return equal and one.tobytes() == two.tobytes()
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float):
        return repr(one) == repr(two)
    return bool(one == two)


@settings(max_examples=200, deadline=None)
@given(plain)
@example([np.empty((0, 3)), {"": "\ud800"}, -0.0, [], {}])
def test_what_is_packed_is_unpacked(value: Any) -> None:
    """Law: unpack(pack(x)) == x for nested plain data, every numeric dtype, empty arrays, NaN and any text."""
    assert same(unpack(pack(value)), value)


@given(arrays)
def test_layout_does_not_matter(array: np.ndarray) -> None:
    """Law: strided, transposed and Fortran-ordered arrays arrive with their values."""
    for form in (array.T, array[::-1] if array.ndim else array, np.asfortranarray(array)):
        np.testing.assert_array_equal(unpack(pack(form)), form)


def test_tuples_paths_and_numpy_scalars_become_plain() -> None:
    sent = {"t": (1, (2,)), "p": Path("a/b"), "f": np.float32(0.5), "i": np.int64(3), "b": np.bool_(True)}
    assert unpack(pack(sent)) == {"t": [1, [2]], "p": "a/b", "f": 0.5, "i": 3, "b": True}


class Thing:
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Thing(), "Thing"),
        (lambda: 0, "function"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (1j, "complex"),
        (np.array([None, 1]), "objects"),
        (np.array([("a", object())], dtype=[("a", "U1"), ("b", object)]), "objects"),
        ({1: "a"}, "mapping key must be a string, got 1"),
        ({"__array__": 0}, "__array__"),
        ({"__array__": 0, "more": 1}, "__array__"),
        (torch.zeros(2), "Tensor"),
        (np.ma.masked_array([1, 2], [True, False]), "masked"),
        (np.datetime64("2026-01-01"), "date"),
    ],
)
def test_what_is_no_plain_data_is_refused_by_name(value: Any, named: str) -> None:
    for nested in (value, [value], {"key": [value]}):
        with pytest.raises(TypeError, match=named):
            pack(nested)


# ------------------------------------------------------------------------------------------- a subject

SUBJECT = """
import os, sys, time
import numpy as np

print("printed while imported")
time.perf_counter = lambda: 0.0  # a clock that makes everything instant


def load(artifact):
    if artifact.name.startswith("count"):
        with artifact.open("a") as file:
            file.write("loaded ")
    return Model()


def wrong(artifact):
    raise RuntimeError(f"cannot read {artifact}")


not_callable = 3


class Nasty(Exception):
    def __str__(self):
        raise ValueError("even its text fails")


class Model:
    attribute = 3

    def double(self, items, factor=2):
        return [factor * x for x in items]

    def echo(self, items):
        return items

    def prints(self, items):
        print("x" * 100_000)
        os.write(1, b"straight to the descriptor\\n" * 1000)
        sys.stdout.write("no newline")
        sys.stdout.flush()
        return len(items)

    def reads(self, items):
        return sys.stdin.read()

    def raises(self, items):
        raise ValueError("no such item: \\u00e9")

    def leaves(self, items):
        sys.exit(0)

    def dies(self, items):
        print("last words", file=sys.stderr, flush=True)
        os._exit(7)

    def killed(self, items):
        os.kill(os.getpid(), items[0])
        time.sleep(9)

    def nasty(self, items):
        raise Nasty

    def interrupted(self, items):
        raise KeyboardInterrupt

    def recurses(self, items):
        found = []
        found.append(found)
        return found

    def returns(self, items):
        return {"object": object(), "lambda": lambda: 0, "set": {1}, "generator": (x for x in items),
                "taken": {"__array__": 5}, "int key": {1: 2}, "array": np.array([object()]),
                "huge": 10 ** 5000}[items[0]]

    def sleeps(self, item, seconds):
        time.sleep(seconds)
        return 1

    def lazy(self, item):
        return (time.sleep(1) for _ in range(9))

    def nothing(self, item):
        return None

    def threads(self, items):
        affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        return [os.environ.get(name) for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED", "GOMP_SPINCOUNT")] + [affinity]

    def where(self, items):
        return [os.getcwd(), sys.path]


def train(config, data, out):
    print("training")
    nested = config["nested"]
    (out / "seen.txt").write_text(f"{config['lr']} {nested['used']} {data['train'].read_text()}")


def reads_all(config, data, out):
    for key, value in config.items():
        pass
    dict(**config)
"""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("roots")
    (root / "toy.py").write_text(SUBJECT)
    (root / "needs.py").write_text("import a_library_nobody_has\ndef load(artifact): pass\n")
    (root / "broken.py").write_text("def load(:\n")
    (root / "fails.py").write_text("raise OSError('no licence file')\n")
    (root / "toyshop").mkdir()
    (root / "toyshop/__init__.py").write_text("import toys\n")
    return [root]


@pytest.fixture(scope="module")
def shared(roots: list[Path]) -> Iterator[Worker]:
    with Worker(roots) as worker:
        worker.ask("load", entry="toy:load", artifact="a")
        yield worker


@pytest.fixture
def fresh(roots: list[Path]) -> Iterator[Worker]:
    with Worker(roots) as worker:
        worker.ask("load", entry="toy:load", artifact="a")
        yield worker


def call(worker: Worker, method: str, items: Any = (1, 2), **arguments: Any) -> Any:
    return worker.ask("call", artifact="a", method=method, items=items, arguments=arguments)


def alive(worker: Worker) -> bool:
    return bool(call(worker, "double", [1, 2]) == [2, 4])


def test_items_go_in_and_predictions_come_out(shared: Worker) -> None:
    assert call(shared, "double", [1, 2.5, 3]) == [2, 5.0, 6]
    assert call(shared, "double", [1], factor=10) == [10]
    assert call(shared, "double", []) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=plain)
def test_data_crosses_to_the_subject_and_back(shared: Worker, value: Any) -> None:
    """Law: what is handed in is what the subject sees and what comes back, whatever the plain data."""
    assert same(call(shared, "echo", [value]), [value])


def test_what_a_subject_prints_does_not_reach_the_protocol(shared: Worker) -> None:
    assert call(shared, "prints", [1]) == 1
    assert alive(shared)


def test_a_subject_that_reads_standard_input_reads_nothing(shared: Worker) -> None:
    assert call(shared, "reads") == ""
    assert alive(shared)


@pytest.mark.parametrize(
    ("method", "named"),
    [
        ("raises", r"the subject raised ValueError: no such item: é \(toy\.py:\d+\)\n"),
        ("leaves", "the subject raised SystemExit: 0"),
        ("recurses", "no plain data"),
        ("absent", "Model has no method 'absent'"),
        ("attribute", "Model has no method 'attribute'"),
    ],
)
def test_an_error_of_the_subject_is_told_and_survived(shared: Worker, method: str, named: str) -> None:
    with pytest.raises(SubjectError, match=named):
        call(shared, method)
    assert alive(shared)


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("object", "builtins.object"),
        ("lambda", "function"),
        ("set", "set"),
        ("generator", "generator"),
        ("taken", "__array__"),
        ("int key", "mapping key"),
        ("array", "objects"),
        ("huge", "digits"),
    ],
)
def test_an_answer_that_is_no_data_is_refused(shared: Worker, what: str, named: str) -> None:
    with pytest.raises(SubjectError, match=f"returned what is no plain data: .*{named}"):
        call(shared, "returns", [what])
    assert alive(shared)


@pytest.mark.parametrize("what", [{1, 2}, object(), [lambda: 0], np.array([object()]), {1: 2}])
def test_items_that_are_no_data_are_the_tests_mistake(shared: Worker, what: Any) -> None:
    with pytest.raises(ObservationError, match="what is handed to 'call' is no plain data"):
        call(shared, "echo", [what])
    assert alive(shared)


@pytest.mark.parametrize(("number", "told"), [(9, "SIGKILL: perhaps memory ran out"), (15, r"SIGTERM\)")])
def test_a_subject_that_was_killed_is_told_of_its_signal(fresh: Worker, number: int, told: str) -> None:
    with pytest.raises(SubjectError, match=rf"died during 'call' \({told}"):
        call(fresh, "killed", [number])


@pytest.mark.parametrize(
    ("method", "code", "words"),
    [("dies", 7, "last words"), ("nasty", 1, "even its text fails"), ("interrupted", 0, "")],
)
def test_a_subject_that_takes_its_process_with_it_is_told(fresh: Worker, method: str, code: int, words: str) -> None:
    """Law: the parent survives, every later request is refused as well, and nothing hangs."""
    with pytest.raises(SubjectError, match=rf"the worker process died during 'call' \(exit {code}\)") as caught:
        call(fresh, method)
    assert words in str(caught.value)
    for _ in range(2):
        with pytest.raises(SubjectError, match="died"):
            call(fresh, "double")


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("nowhere:load", r'"nowhere:load": there is no module nowhere; is it under impl/'),
        ("nowhere.deep:load", "there is no module nowhere"),
        ("toy.deep:load", r"there is no module toy\.deep"),
        ("toyshop:load", "imports toys, which is not installed"),
        ("needs:load", r"imports a_library_nobody_has, which is not installed.*pip install -e"),
        ("toy:absent", "toy has no absent"),
        ("toy:load.deep", r"toy has no load\.deep"),
        ("toy:not_callable", "is not callable"),
        ("broken:load", "SyntaxError"),
        ("fails:load", "the subject raised OSError: no licence file"),
        ("toy:wrong", "the subject raised RuntimeError: cannot read elsewhere"),
    ],
)
def test_an_entry_that_cannot_be_loaded_names_its_part(shared: Worker, entry: str, named: str) -> None:
    with pytest.raises(SubjectError, match=named):
        shared.ask("load", entry=entry, artifact="elsewhere")
    assert alive(shared)


def test_an_artifact_is_loaded_once(shared: Worker, tmp_path: Path) -> None:
    for _ in range(2):
        shared.ask("load", entry="toy:load", artifact=str(tmp_path / "count"))
    assert (tmp_path / "count").read_text() == "loaded "


# --------------------------------------------------------------------------------------------- timings


def test_a_replaced_clock_changes_no_timing(shared: Worker) -> None:
    """The subject set time.perf_counter to a constant when it was imported; the worker's own clock goes on."""
    answer = shared.ask("time", artifact="a", method="sleeps", items=[0] * 8, warm_up=2, arguments={"seconds": 0.01})
    assert answer["seconds"].shape == (6,)
    assert (answer["seconds"] >= 0.01).all()
    assert answer["whole"] - 0.02 >= answer["total"] >= answer["seconds"].sum() >= 0.06
    assert answer["empty"] == 0


def test_calls_that_answer_nothing_are_counted(shared: Worker) -> None:
    answer = shared.ask("time", artifact="a", method="nothing", items=[0] * 5, warm_up=1, arguments={})
    assert answer["empty"] == 4


def test_an_answer_that_is_still_to_be_computed_is_no_answer(shared: Worker) -> None:
    with pytest.raises(SubjectError, match=r"no plain data: builtins\.generator"):
        shared.ask("time", artifact="a", method="lazy", items=[0] * 3, warm_up=1, arguments={})


# -------------------------------------------------------------------------------------------- training


def train(worker: Worker, folder: Path, entry: str = "toy:train") -> Any:
    (folder / "train.txt").write_text("rows")
    config = {"lr": 0.1, "nested": {"used": 1, "unused": 2}, "forgotten": 3}
    data = {"train": str(folder / "train.txt")}
    return worker.ask("train", entry=entry, config=config, data=data, out=str(folder), record=False)


def test_training_gets_config_data_and_folder_and_unread_keys_are_told(shared: Worker, tmp_path: Path) -> None:
    answer = train(shared, tmp_path)
    assert (tmp_path / "seen.txt").read_text() == "0.1 1 rows"
    assert answer["unread"] == ["nested.unused", "forgotten"]


def test_going_over_the_whole_table_reads_nothing(shared: Worker, tmp_path: Path) -> None:
    unread = train(shared, tmp_path, "toy:reads_all")["unread"]
    assert set(unread) >= {"lr", "forgotten"}


# ---------------------------------------------------------------------------------------- the process


def test_threads_are_set_before_any_library_is_imported(roots: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)  # the suite has set it for itself
    with Worker(roots, threads=1) as worker:
        worker.ask("load", entry="toy:load", artifact="a")
        assert call(worker, "threads") == ["1", "0", "1000", 1]
    with Worker(roots, threads=3) as worker:
        worker.ask("load", entry="toy:load", artifact="a")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        assert call(worker, "threads") == ["3", "0", "1000", cores]


@pytest.mark.parametrize(
    ("name", "value", "turns"), [("OMP_WAIT_POLICY", "active", None), ("GOMP_SPINCOUNT", "7", "7")]
)
def test_who_says_how_threads_wait_is_obeyed(
    roots: list[Path], monkeypatch: pytest.MonkeyPatch, name: str, value: str, turns: str | None
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv(name, value)
    with Worker(roots) as worker:
        worker.ask("load", entry="toy:load", artifact="a")
        assert call(worker, "threads")[2] == turns


def test_the_folder_of_the_run_is_not_on_the_import_path(roots: list[Path], tmp_path: Path) -> None:
    """What lies in the current folder is in no closure: it must not be imported either."""
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong json')\n")
    (tmp_path / "stray.py").write_text("def load(artifact): pass\n")
    with Worker(roots, cwd=tmp_path) as worker:
        worker.ask("load", entry="toy:load", artifact="a")
        where, path = call(worker, "where")
        assert Path(where) == tmp_path.resolve()
        assert not {"", str(tmp_path), str(tmp_path.resolve())} & set(path)
        with pytest.raises(SubjectError, match="there is no module stray"):
            worker.ask("load", entry="stray:load", artifact="b")


def test_nothing_is_left_behind(roots: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: closing ends the process and gives back every file descriptor, and nothing lies among temporary files."""

    def descriptors() -> int:
        return len(os.listdir("/dev/fd"))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = descriptors()
    worker = Worker(roots)
    worker.ask("load", entry="toy:load", artifact="a")
    assert not list(tmp_path.glob("*"))  # not even while it runs: a killed judge removes nothing
    worker.close()
    worker.close()
    assert descriptors() == before


def test_a_worker_ends_with_its_parent(roots: list[Path]) -> None:
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom assay.worker import Worker\n"
        f"w = Worker([Path({str(roots[0])!r})])\nw.ask('load', entry='toy:load', artifact='a')\n"
        "print(w._process.pid, flush=True)\nos._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    pid = done.stdout.strip()
    for _ in range(100):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the worker outlived its parent")


def test_messages_are_json_and_arrays_and_never_pickles() -> None:
    data = pack({"a": np.arange(3), "b": [1]})
    assert b"\x80\x04" not in data
    length = int.from_bytes(data[:8], "little")
    assert json.loads(data[8 : 8 + length]) == {"a": {"__array__": 0}, "b": [1]}
    assert data[8 + length :].startswith(b"\x93NUMPY")


LAZY = """
from pathlib import Path

class Lazy:
    def __init__(self, folder):
        self.folder = folder
    def sizes(self, items):
        return [(self.folder / "model.safetensors").stat().st_size for _ in items]

def load(folder):
    return Lazy(Path(folder))
"""


def test_sabotaged_weights_stay_where_the_subject_may_read_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subject that opens its files when it is asked is sabotaged like one that read them when it was loaded."""
    (tmp_path / "lazy.py").write_text(LAZY)
    (tmp_path / "artifact").mkdir()
    save_file({"w": torch.zeros(4)}, tmp_path / "artifact" / "model.safetensors")
    monkeypatch.setenv(sabotage.ENVIRONMENT, "random-weights")
    artifact = str(tmp_path / "artifact")
    with Worker([tmp_path]) as worker:
        worker.ask("load", entry="lazy:load", artifact=artifact)
        found = worker.ask("call", artifact=artifact, method="sizes", items=[1, 2], arguments={})
    assert found == [(tmp_path / "artifact" / "model.safetensors").stat().st_size] * 2
