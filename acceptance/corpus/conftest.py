"""The default corpus as items: its files. Planting and the independent resolver stay on this side."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from acceptance import sides
from assay.session import Session
from assay.subject import Dataset, Predictions, Subject
from corpus import bridge, graph, metadata

HEAD, RELATION, TAIL, HEAD_TYPE, TAIL_TYPE, DISTRIBUTION, VERSION, FILE, LICENCE, LINE = range(10)


@dataclasses.dataclass(frozen=True)
class Edges:
    """Every triple of the corpus as the subject delivered it, flat; `observed` holds them by file."""

    observed: Predictions

    @cached_property
    def rows(self) -> list[list[Any]]:
        return [row for rows in self.observed.values for row in rows]

    def column(self, index: int) -> list[Any]:
        return [row[index] for row in self.rows]

    def as_items(self, values: Callable[[list[list[Any]]], Any]) -> Predictions:
        """The triples themselves as items, in the form that a metric wants."""
        return self.observed.map(lambda found: values([row for rows in found for row in rows]), items=self.rows)


@pytest.fixture(scope="session")
def tables(assay_session: Session) -> sides.Tables:
    return sides.tables(assay_session, "corpus")


@pytest.fixture(scope="session")
def chosen(tables: sides.Tables) -> dict[str, Any]:
    """The arguments that name the corpus."""
    return tables("corpus")


@pytest.fixture(scope="session")
def files(dataset: Callable[..., Dataset], chosen: dict[str, Any]) -> Dataset:
    """Every file that may give a triple, as "distribution/file"."""
    found = bridge.chosen(**chosen)
    sources = {f"{one.distribution}/{one.file}": Path(one.path) for one in graph.sources_of(found)[0]}
    for each in found:
        told = metadata.of(each)
        sources |= {f"{each.name}/{file}": each.root / file for file in told.files}
    labels = sorted({*sources, *(f"{e.name}/{t.file}" for e in found for t in metadata.of(e).targets)})
    return dataset("files", build_files, sources=sources, tables=["corpus"], labels=labels)


def build_files(out: Path, labels: list[str]) -> None:
    (out / "labels.json").write_text(json.dumps(labels))


@pytest.fixture(scope="session")
def labels(files: Dataset) -> list[str]:
    found: list[str] = json.loads(files.path("labels.json").read_text())
    return found


@pytest.fixture(scope="session")
def corpus(subject: Callable[..., Subject], files: Dataset) -> Subject:
    return subject("corpus", datasets=[files])


@pytest.fixture(scope="session")
def edges(corpus: Subject, labels: Sequence[str], chosen: dict[str, Any]) -> Edges:
    return Edges(corpus.outputs("corpus.bridge:triples_of_files", labels, **chosen))


@pytest.fixture(scope="session")
def entities(corpus: Subject, labels: Sequence[str], chosen: dict[str, Any]) -> Predictions:
    """(name, type) of the entities that each file defines; those outside under the label ""."""
    return corpus.outputs("corpus.bridge:entities_of_files", [*labels, ""], **chosen)


@pytest.fixture(scope="session")
def complaints(corpus: Subject, labels: Sequence[str], chosen: dict[str, Any]) -> Predictions:
    """What the validator says of each triple of each file, in the order of `edges`."""
    return corpus.outputs("corpus.bridge:complaints_of_files", labels, **chosen)
