"""Graph, pairs and the subject that is trained on them. What is asked of it stays in the suites' own data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from acceptance import sides
from acceptance.graphmer import facts, pair_data
from assay.session import Session
from assay.subject import Dataset, Predictions, Subject
from corpus import distributions


@dataclass(frozen=True)
class Heads:
    """The heads of one side of the graph as items, and the facts of each, as the graph says them."""

    items: Sequence[dict[str, Any]]

    @cached_property
    def gold(self) -> list[set[tuple[str, str]]]:
        return [{(relation, tail) for relation, tail in item["facts"]} for item in self.items]

    @classmethod
    def of(cls, folder: Dataset, side: str) -> Heads:
        """Every head with its text and the triples of which it is the head."""
        from graphmer import records

        rows = {part: folder.rows(f"{side}_{part}.jsonl") for part in facts.PARTS}
        own: dict[str, dict[tuple[str, str], None]] = {}
        for row in rows["triples"]:
            own.setdefault(row["head"], {})[row["relation"], row["tail"]] = None
        texts = {one.head: one.text for one in records.build(rows["triples"], rows["entities"], rows["files"])}
        return cls(
            [
                {"record_id": head, "head": head, "text": texts[head], "facts": [list(fact) for fact in known]}
                for head, known in own.items()
            ]
        )


def sources(*names: Sequence[str]) -> dict[str, Path]:
    """Label -> file of all files of some distributions."""
    return {
        f"{found.name}/{path.relative_to(found.root).as_posix()}": path
        for found in distributions.find(sorted({one for each in names for one in each}))
        for path in found.files
    }


@pytest.fixture(scope="session")
def tables(assay_session: Session) -> sides.Tables:
    return sides.tables(assay_session, "graphmer")


@pytest.fixture(scope="session")
def fact_data(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    table = tables("facts")
    return dataset(
        "facts", facts.build_facts, sources=sources(table["train"], table["dev"]), tables=["facts"], **table
    )  # fmt: skip


@pytest.fixture(scope="session")
def pairs(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    corpus, table = tables("corpus"), tables("pairs")
    return dataset(
        "pairs", pair_data.build_pairs, sources=sources(*corpus.values()), tables=["corpus", "pairs"],
        **corpus, **table,
    )  # fmt: skip


@pytest.fixture(scope="session")
def graphmer(subject: Callable[..., Subject], fact_data: Dataset, pairs: Dataset) -> Subject:
    files = {
        f"{side}_{part}": fact_data.path(f"{side}_{part}.jsonl") for side in ("train", "dev") for part in facts.PARTS
    }
    files |= {f"{side}_pairs": pairs.path(f"{side}_pairs.jsonl") for side in ("train", "dev")}
    return subject("graphmer", data=files, datasets=[fact_data, pairs])


@pytest.fixture(scope="session")
def heads(fact_data: Dataset) -> Heads:
    """Of the training side."""
    return Heads.of(fact_data, "train")


@pytest.fixture(scope="session")
def dev_heads(fact_data: Dataset) -> Heads:
    return Heads.of(fact_data, "dev")


@pytest.fixture(scope="session")
def chains(graphmer: Subject, heads: Heads) -> Predictions:
    """Every chain that the training side is cut into, decoded, by head."""
    return graphmer.predictions("chains", heads.items)


@pytest.fixture(scope="session")
def dev_chains(graphmer: Subject, dev_heads: Heads) -> Predictions:
    return graphmer.predictions("chains", dev_heads.items)
