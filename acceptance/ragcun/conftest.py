"""Pairs, pool, gold and peers for the retriever. Which passage answers which query stays on this side."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acceptance import jsonl, sides
from acceptance.ragcun import baselines, collections, corpus_pairs
from assay.session import Session
from assay.subject import Dataset, Subject
from corpus import distributions


def build_pool(out: Path, pairs: str) -> None:
    """The passages of all test pairs in random order: what the subject searches, without a word about the answers."""
    rows = [{"id": row["record_id"], "text": row["passage"]} for row in jsonl.read(Path(pairs) / "test.jsonl")]
    random.Random(0).shuffle(rows)
    jsonl.write(out / "passages.jsonl", rows)


def build_peers(out: Path, pairs: str, pool: str, dimensions: int) -> None:
    """Runs of the baselines over the pool; BM25 tuned on the dev distributions."""
    sides = {side: jsonl.read(Path(pairs) / f"{side}.jsonl") for side in ("train", "dev", "test")}
    texts = {side: {name: [row[name] for row in rows] for name in ("query", "passage")} for side, rows in sides.items()}
    passages = jsonl.read(Path(pool) / "passages.jsonl")
    ids, pooled, queries = [row["id"] for row in passages], [row["text"] for row in passages], texts["test"]["query"]
    tuned = baselines.tune(texts["dev"]["query"], texts["dev"]["passage"])
    chosen = {name: value for name, value in tuned.items() if name != "ndcg"}
    found = {
        "bm25-tuned": baselines.bm25(queries, pooled, **chosen),
        "bm25-default": baselines.bm25(queries, pooled, "words", 1.2, 0.75),
        "tfidf-svd": baselines.tfidf_svd(queries, pooled, texts["train"]["passage"], dimensions),
    }
    (out / "runs.json").write_text(json.dumps({name: baselines.runs(table, ids) for name, table in found.items()}))
    (out / "tuned.json").write_text(json.dumps(tuned))


def build_large_pool(out: Path, pairs: str, passages: int) -> None:
    """That many distinct passages in random order: functions, and six lines of functions where these are too few."""
    sides = ("test", "held", "fit", "dev", "train")
    texts = dict.fromkeys(row["passage"] for side in sides for row in jsonl.read(Path(pairs) / f"{side}.jsonl"))
    parts = ["\n".join(lines[low : low + 6]) for lines in map(str.splitlines, texts) for low in range(0, len(lines), 6)]
    random.Random(0).shuffle(parts)
    chosen = list(dict.fromkeys([*texts, *parts]))[:passages]
    if len(chosen) < passages:
        raise ValueError(f"{len(chosen):,} distinct passages, {passages:,} are wanted: name more distributions")
    random.Random(1).shuffle(chosen)
    jsonl.write(out / "passages.jsonl", ({"id": str(i), "text": text} for i, text in enumerate(chosen)))


@dataclass(frozen=True)
class Heldout:
    """Queries of the test distributions, each with one relevant passage in the pool."""

    rows: Sequence[Mapping[str, Any]]

    @cached_property
    def queries(self) -> list[str]:
        return [row["query"] for row in self.rows]

    @cached_property
    def gold(self) -> dict[str, Any]:
        return {
            "qrels": [{row["record_id"]: 1.0} for row in self.rows],
            "candidates": np.full(len(self.rows), len(self.rows)),
        }

    @cached_property
    def distributions(self) -> list[str]:
        return [row["group"] for row in self.rows]

    @cached_property
    def modules(self) -> list[str]:
        return [row["cluster"] for row in self.rows]


@pytest.fixture(scope="session")
def tables(assay_session: Session) -> sides.Tables:
    return sides.tables(assay_session, "ragcun")


@pytest.fixture(scope="session")
def pair_data(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    table = tables("pairs")
    files = {
        f"{found.name}/{path.relative_to(found.root).as_posix()}": path
        for found in distributions.find([*table["train"], *table["dev"], *table["test"]])
        for path in found.files
    }
    return dataset("pairs", corpus_pairs.build_pairs, sources=files, tables=["pairs"], **table)


@pytest.fixture(scope="session")
def pool(dataset: Callable[..., Dataset], pair_data: Dataset) -> Dataset:
    return dataset("pool", build_pool, sources={}, tables=["pairs"], pairs=str(pair_data.folder))


@pytest.fixture(scope="session")
def large_pool(dataset: Callable[..., Dataset], pair_data: Dataset, tables: sides.Tables) -> Dataset:
    return dataset(
        "large-pool", build_large_pool, sources={}, tables=["timing"],
        pairs=str(pair_data.folder), passages=tables("timing")["passages"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def collection(dataset: Callable[..., Dataset]) -> Callable[..., Dataset]:
    """A public collection and what builds it -> the data set, or a skip that says how to get it."""

    def made(name: str, build: Callable[..., Any]) -> Dataset:
        path = collections.folder(name)
        if path is None:
            pytest.skip(f"{name} is not there: put its files under $ASSAY_DATA/{name}")
        return dataset(name, build, sources={file.name: file for file in sorted(path.iterdir())}, folder=str(path))

    return made


@pytest.fixture(scope="session")
def passages_of(dataset: Callable[..., Dataset]) -> Callable[[Dataset], str]:
    """A data set -> path of its passages in a data set of their own."""

    def alone(data: Dataset) -> str:
        made = dataset(f"{data.name}-pool", collections.build_passages, sources={}, of=str(data.folder))
        return str(made.path("passages.jsonl"))

    return alone


@pytest.fixture(scope="session")
def commands(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset | None:
    """Description -> command pairs of the tldr pages, by page; None where ASSAY_DATA has none."""
    path = collections.folder("tldr")
    if path is None:
        return None
    file = path / "tldr.jsonl.gz"
    return dataset(
        "commands", collections.build_commands, sources={file.name: file}, tables=["commands"],
        file=str(file), **tables("commands"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def ragcun(subject: Callable[..., Subject], pair_data: Dataset, commands: Dataset | None) -> Subject:
    files = {side: pair_data.path(f"{side}.jsonl") for side in ("train", "fit", "dev")}
    if commands is None:
        return subject("ragcun", data=files, datasets=[pair_data])
    return subject("ragcun", data={**files, "commands": commands.path("train.jsonl")}, datasets=[pair_data, commands])


@pytest.fixture(scope="session")
def peers(dataset: Callable[..., Dataset], ragcun: Subject, pair_data: Dataset, pool: Dataset) -> dict[str, Any]:
    """Name -> runs of that baseline for the test queries."""
    built = dataset(
        "peers", build_peers, sources={}, tables=["pairs"],
        pairs=str(pair_data.folder), pool=str(pool.folder), dimensions=ragcun.profile["dimensions"],
    )  # fmt: skip
    result: dict[str, Any] = json.loads(built.path("runs.json").read_text())
    return result


@pytest.fixture(scope="session")
def heldout(pair_data: Dataset) -> Heldout:
    return Heldout(pair_data.rows("test.jsonl"))
