"""Items, gold and cheap baselines for GraphSAGE. Gold stays on this side; the subject gets sources only."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acceptance import jsonl, sides
from acceptance.graphsage import ngrams, places, programs
from assay.session import Session
from assay.subject import Dataset, Predictions, Subject
from corpus import defects, distributions, problems
from corpus.functions import functions as functions_in
from corpus.processes import pool

NEARLY_ARTEFACTS = ("boolean", "missing_return")
RARE = 5  # a module that fewer training functions use is out of vocabulary, and counts as a miss


def build_defects(out: Path, functions: str, seed: int, limits: Mapping[str, int]) -> None:
    """Original and mutant of so many functions of each side at most."""
    with pool(2) as two:
        jobs = [two.submit(_build_pairs, out, functions, seed, side, limit) for side, limit in limits.items()]
        for job in jobs:
            job.result()


def _build_pairs(out: Path, functions: str, seed: int, side: str, limit: int) -> None:
    rows = sides.records(Path(functions) / f"{side}.jsonl")
    random.Random(seed).shuffle(rows)
    made = defects.pairs(rows[: limit + limit // 4], seed=seed)[:limit]  # not every function takes a defect
    jsonl.write(out / f"{side}.jsonl", (asdict(pair) for pair in made))


def build_seen(out: Path, files: Mapping[str, Sequence[str]], seed: int, pairs: int) -> None:
    """Original and mutant of at most so many functions of each distribution, out of its files in the order named."""
    with pool(2) as two:
        jobs = [two.submit(_pairs_of, name, read, seed, pairs) for name, read in files.items()]
        jsonl.write(out / "pairs.jsonl", (asdict(pair) for job in jobs for pair in job.result()))


def _pairs_of(name: str, files: Sequence[str], seed: int, most: int) -> list[defects.Pair]:
    (found,) = distributions.find([name])
    chosen = replace(found, files=tuple(found.root / file for file in files))
    rows = list(itertools.islice(functions_in(chosen), 2 * most))  # not every function takes a defect
    return defects.pairs(rows, seed=seed)[:most]


def build_imports(out: Path, functions: str, seed: int, items: int) -> None:
    """Masked held-out functions that use a module, with the modules as gold; vocabulary from training."""
    for side, limit in (("test", items), ("dev", items)):
        rows = [row for row in jsonl.read(Path(functions) / f"{side}.jsonl") if row["uses"]]
        random.Random(seed).shuffle(rows)
        jsonl.write(out / f"{side}.jsonl", rows[:limit])
    train = [row for row in jsonl.read(Path(functions) / "train.jsonl") if row["uses"]]
    counts = Counter(module for row in train for module in row["uses"])
    (out / "vocabulary.json").write_text(json.dumps([name for name, count in counts.most_common() if count >= RARE]))


def build_import_baselines(out: Path, functions: str, imports: str) -> None:
    """Scores of every module for the items of dev and test, learnt from names, attributes and other words.

    "bayes": log-odds of naive Bayes where imported names are masked. "lookup": with all names in sight, the largest
    share that the module has among the functions with one of the words.
    """
    vocabulary = json.loads((Path(imports) / "vocabulary.json").read_text())
    train = [row for row in jsonl.read(Path(functions) / "train.jsonl") if row["uses"]]
    labels = np.array([[module in uses for module in vocabulary] for uses in (set(row["uses"]) for row in train)])
    items = {side: jsonl.read(Path(imports) / f"{side}.jsonl") for side in ("dev", "test")}
    result = {}
    for name, column, score in (("bayes", "masked", _bayes), ("lookup", "source", _lookup)):
        asked = [[row[column] for row in rows] for rows in items.values()]
        found = score([row[column] for row in train], labels, asked)
        result |= {f"{name}-{side}": scores for side, scores in zip(items, found, strict=True)}
    np.savez(out / "scores.npz", **result)


def _words(texts: Sequence[str], asked: Sequence[Sequence[str]]) -> tuple[Any, list[Any]]:
    """Which words stand in each of the texts, (N, V) 0/1, and in those that are asked about."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=r"[A-Za-z_]\w+", binary=True, lowercase=False, min_df=3)
    return vectorizer.fit_transform(texts), [vectorizer.transform(part) for part in asked]


def _bayes(texts: Sequence[str], labels: np.ndarray, asked: Sequence[Sequence[str]]) -> list[np.ndarray]:
    from sklearn.naive_bayes import BernoulliNB

    table, parts = _words(texts, asked)
    models = [BernoulliNB().fit(table, label) for label in labels.T]
    return [np.stack([model.predict_proba(part)[:, 1] for model in models], axis=1) for part in parts]


def _lookup(texts: Sequence[str], labels: np.ndarray, asked: Sequence[Sequence[str]]) -> list[np.ndarray]:
    table, parts = _words(texts, asked)
    share = (table.T @ labels) / (np.asarray(table.sum(axis=0)).T + 1)  # (V, K); a word seen once or twice says less
    return [np.stack([share[row.indices].max(axis=0, initial=0) for row in part]) for part in parts]


@dataclass(frozen=True)
class Defects:
    """Pairs as items: original, mutant, original, mutant, ..."""

    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def sources(self) -> list[str]:
        return [row[kind] for row in self.rows for kind in ("original", "mutant")]

    @cached_property
    def gold(self) -> dict[str, list[Any]]:
        """Label 1 for the mutant; stratum is the operator, so that each meets its own originals."""
        return {"label": [kind for _ in self.rows for kind in (0, 1)], "stratum": self.column("operator")}

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows for _ in (0, 1)]

    @cached_property
    def sizes(self) -> list[float]:
        """The ten-line heuristic: longer functions are likelier to hold a defect."""
        return [float(len(source)) for source in self.sources]

    def without(self, operators: Iterable[str]) -> np.ndarray:
        """Indices of the items of all other operators."""
        return np.flatnonzero(~np.isin(self.column("operator"), list(operators)))


class DataSets:
    """Every data set of this suite, built when it is first asked for: by a test, or while the subject trains."""

    def __init__(self, dataset: Callable[..., Dataset], tables: sides.Tables) -> None:
        self._dataset, self._tables = dataset, tables
        self.functions = sides.functions(dataset, tables)

    def _programs(self, name: str, written: Sequence[str]) -> Dataset:
        table, mbpp, contests = self._tables("programs"), programs.mbpp_file(), programs.contests_files()
        files = {f"code_contests/{path.name}": path for path in contests}
        # what equals a problem of HumanEval is left out, so its file decides, too
        beside = {"mbpp": mbpp, "humaneval": programs.humaneval_file()}
        files |= {name: file for name, file in beside.items() if file is not None}
        absent = [name for name, there in (("mbpp", mbpp), ("contests", contests)) if not there]
        table = table | {name: dict.fromkeys(table[name], 0) for name in absent}
        return self._dataset(
            name, programs.build_programs, sources=files, tables=["programs"],
            functions=str(self.functions.folder), written=written, **table,
        )  # fmt: skip

    def programs(self) -> Dataset:
        """What the subject learns from: train.jsonl and dev.jsonl."""
        return self._programs("programs-learnt", ["train", "dev"])

    def heldout_programs(self) -> Dataset:
        """test.jsonl"""
        return self._programs("programs", ["test"])

    def humaneval(self) -> Dataset | None:
        """humaneval.jsonl; None where HumanEval is not here."""
        file = programs.humaneval_file()
        if file is None:
            return None
        return self._dataset(
            "humaneval", programs.build_humaneval, sources={"humaneval": file}, tables=["humaneval"],
            **self._tables("humaneval"),
        )  # fmt: skip

    def _asked_programs(self) -> dict[str, str]:
        """Files of the programs that are asked about, by name."""
        humaneval = self.humaneval()
        files = {"programs": self.heldout_programs().path("test.jsonl")}
        files |= {} if humaneval is None else {"humaneval": humaneval.path("humaneval.jsonl")}
        return {name: str(file) for name, file in files.items()}

    def ngram_passing(self) -> dict[str, list[float]]:
        """Probability of passing by token n-grams, for "programs" and "humaneval"."""
        built = self._dataset(
            "programs-ngram", ngrams.build_passing_scores, sources={},
            learnt=str(self.programs().path("train.jsonl")), programs=self._asked_programs(),
        )  # fmt: skip
        scores: dict[str, list[float]] = json.loads(built.path("scores.json").read_text())
        return scores

    def defects(self) -> Dataset:
        """Pairs that the subject is asked about: test.jsonl, and dev.jsonl for thresholds."""
        table = self._tables("defects")
        return self._defects("defects", {"test": table["pairs"], "dev": table["pairs"]})

    def baseline_defects(self) -> Dataset:
        """Pairs that baselines learn from: train.jsonl"""
        return self._defects("defects-learnt", {"train": self._tables("defects")["baseline_pairs"]})

    def _defects(self, name: str, limits: Mapping[str, int]) -> Dataset:
        return self._dataset(
            name, build_defects, sources={}, tables=["defects"],
            functions=str(self.functions.folder), seed=self._tables("defects")["seed"], limits=limits,
        )  # fmt: skip

    def seen(self) -> Dataset:
        """pairs.jsonl: a few of each of many distributions, for what nothing was learnt for."""
        table = self._tables("seen")
        names = [*(name for side in self._tables("corpus").values() for name in side), *table["beside"]]
        read: dict[str, list[str]] = {}
        sources: dict[str, Path] = {}
        for found in distributions.find(names):
            files = random.Random(f"{table['seed']} {found.name}").sample(
                found.files, min(table["files"], len(found.files))
            )
            read[found.name] = [found.relative(file) for file in files]
            sources |= {f"{found.name}/{found.relative(file)}": file for file in files}
        return self._dataset(
            "seen", build_seen, sources=sources, tables=["corpus", "seen"],
            files=read, seed=table["seed"], pairs=table["pairs"],
        )  # fmt: skip

    def ngram_defects(self) -> dict[str, list[float]]:
        """Probability of a defect by token n-grams for "dev" and "test", of none for "programs" and "humaneval"."""
        built = self._dataset(
            "defects-ngram", ngrams.build_defect_scores, sources={},
            learnt=str(self.baseline_defects().folder), pairs=str(self.defects().folder),
            programs=self._asked_programs(),
        )  # fmt: skip
        scores: dict[str, list[float]] = json.loads(built.path("scores.json").read_text())
        return scores

    def guesses(self) -> dict[str, list[str]]:
        """Places that guesses without a model point at in the mutants of test."""
        built = self._dataset(
            "defects-guesses", places.build_guesses, sources={},
            learnt=str(self.baseline_defects().path("train.jsonl")), asked=str(self.defects().path("test.jsonl")),
        )  # fmt: skip
        guesses: dict[str, list[str]] = json.loads(built.path("guesses.json").read_text())
        return guesses

    def imports(self) -> Dataset:
        """Masked functions that use a module: test.jsonl, dev.jsonl, and the vocabulary of training."""
        return self._dataset(
            "imports", build_imports, sources={}, tables=["imports"],
            functions=str(self.functions.folder), **self._tables("imports"),
        )  # fmt: skip

    def import_baselines(self) -> dict[str, np.ndarray]:
        """Scores (N, K) of naive Bayes and of looking words up: "bayes-dev", "bayes-test", "lookup-dev", ..."""
        built = self._dataset(
            "imports-baselines", build_import_baselines, sources={},
            functions=str(self.functions.folder), imports=str(self.imports().folder),
        )  # fmt: skip
        with np.load(built.path("scores.npz")) as scores:
            return dict(scores)

    def begin(self, build: Callable[[], object]) -> None:
        """Build in a thread. Whoever asks waits for it; where it failed, they build again and see why."""

        def work() -> None:
            with contextlib.suppress(Exception):
                build()

        threading.Thread(target=work, daemon=True).start()

    def for_judging(self) -> list[Callable[[], object]]:
        """What training does not wait for."""
        return [
            self.heldout_programs,
            self.humaneval,
            self.ngram_defects,
            self.guesses,
            self.import_baselines,
            self.ngram_passing,
        ]


@pytest.fixture(scope="session")
def tables(assay_session: Session) -> sides.Tables:
    return sides.tables(assay_session, "graphsage")


@pytest.fixture(scope="session")
def made(dataset: Callable[..., Dataset], tables: sides.Tables) -> DataSets:
    return DataSets(dataset, tables)


@pytest.fixture(scope="session")
def functions(made: DataSets, request: pytest.FixtureRequest) -> Dataset:
    """What everything else is made of; what training waits for is begun beside the tests that come before it."""
    if any("program_data" in getattr(item, "fixturenames", ()) for item in request.session.items):
        made.begin(made.programs)
    return made.functions


@pytest.fixture(scope="session")
def program_data(made: DataSets) -> Dataset:
    return made.programs()


@pytest.fixture(scope="session")
def heldout_program_data(made: DataSets, graphsage: Subject) -> Dataset:
    _ = graphsage.artifact  # which it is built beside
    return made.heldout_programs()


@pytest.fixture(scope="session")
def heldout_programs(heldout_program_data: Dataset) -> programs.Programs:
    return programs.Programs(heldout_program_data.rows("test.jsonl"))


@pytest.fixture(scope="session")
def humaneval_data(made: DataSets) -> Dataset:
    found = made.humaneval()
    if found is None:
        pytest.skip(
            f"HumanEval is not here: put it into the folder of public sets as {problems.HUMANEVAL.local} "
            "and name the folder in ASSAY_DATA"
        )
    return found


@pytest.fixture(scope="session")
def graphsage(subject: Callable[..., Subject], made: DataSets, functions: Dataset, program_data: Dataset) -> Subject:
    files = {
        "train": functions.path("train.jsonl"),
        "dev": functions.path("dev.jsonl"),
        "train_programs": program_data.path("train.jsonl"),
        "dev_programs": program_data.path("dev.jsonl"),
    }
    return subject("graphsage", data=files, datasets=[functions, program_data], meanwhile=made.for_judging())


@pytest.fixture(scope="session")
def ask(graphsage: Subject) -> Callable[..., Predictions]:
    """`ask(method, sources, ...)`: predictions of the subject, with as many processes as training has."""
    return partial(graphsage.predictions, processes=graphsage.profile["processes"])


@pytest.fixture(scope="session")
def defect_data(made: DataSets) -> Dataset:
    return made.defects()


@pytest.fixture(scope="session")
def seen_data(made: DataSets) -> Dataset:
    return made.seen()


@pytest.fixture(scope="session")
def seen_defects(seen_data: Dataset) -> Defects:
    return Defects(seen_data.rows("pairs.jsonl"))


@pytest.fixture(scope="session")
def heldout_defects(defect_data: Dataset) -> Defects:
    return Defects(defect_data.rows("test.jsonl"))


@pytest.fixture(scope="session")
def nearly_artefacts() -> tuple[str, ...]:
    return NEARLY_ARTEFACTS


@pytest.fixture(scope="session")
def dev_defects(defect_data: Dataset) -> Defects:
    return Defects(defect_data.rows("dev.jsonl"))


@pytest.fixture(scope="session")
def pair_data(made: DataSets, defect_data: Dataset) -> list[Dataset]:
    """Pairs that are asked about, and those that baselines learn from."""
    return [defect_data, made.baseline_defects()]


@pytest.fixture(scope="session")
def ngram_scores(made: DataSets) -> dict[str, list[float]]:
    """Probability of a defect by token n-grams, for the items of "dev" and "test"."""
    return made.ngram_defects()


@pytest.fixture(scope="session")
def guesses(made: DataSets) -> dict[str, list[str]]:
    return made.guesses()


@pytest.fixture(scope="session")
def import_data(made: DataSets) -> Dataset:
    return made.imports()
