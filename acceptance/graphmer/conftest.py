"""Graph, pairs and the subject that is trained on them. What is asked of it stays in the suites' own data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from acceptance import sides
from acceptance.graphmer import (
    auxiliary_data,
    call_data,
    dependency_baselines,
    dependency_data,
    facts,
    link_baselines,
    link_data,
    name_baselines,
    name_data,
    pair_data,
    search_baselines,
    search_data,
)
from acceptance.graphmer.held_links import DEPTH, Held
from acceptance.graphmer.scaling import Scaling
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
def links(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    """Triples held out of the training graph, and what is known beside them."""
    train = tables("facts")["train"]
    return dataset(
        "links", link_data.build_links, sources=sources(train), tables=["facts", "links"],
        distributions=train, **tables("links"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def known(dataset: Callable[..., Dataset], links: Dataset) -> Dataset:
    """The same without the test triples: what the subject reads."""
    return dataset("known", link_data.build_known, sources={}, tables=["links"], links=str(links.folder))


@pytest.fixture(scope="session")
def relations(dataset: Callable[..., Dataset], links: Dataset) -> Dataset:
    """Pairs of head and relation of which the known graph says nothing, with and without a tail."""
    return dataset(
        "relations", auxiliary_data.build_relations, sources={}, tables=["facts", "links"], links=str(links.folder)
    )


@pytest.fixture(scope="session")
def fact_data(dataset: Callable[..., Dataset], tables: sides.Tables, links: Dataset) -> Dataset:
    table = tables("facts")
    return dataset(
        "facts", facts.build_facts, sources=sources(table["train"], table["dev"]), tables=["facts", "links"],
        links=str(links.folder), **table,
    )  # fmt: skip


@pytest.fixture(scope="session")
def functions(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    """Docstrings and functions on three sides, and the pools that are searched."""
    corpus = tables("corpus")
    return dataset(
        "functions", search_data.build_functions, sources=sources(*corpus.values()), tables=["corpus", "search"],
        fit=tables("search")["fit"], **corpus,
    )  # fmt: skip


@pytest.fixture(scope="session")
def search_pool(dataset: Callable[..., Dataset], functions: Dataset, tables: sides.Tables) -> Dataset:
    """The pools that are searched, and the pairs that fit the ranker, without the rest."""
    return dataset(
        "search-pool", search_data.build_search_pool, sources={}, tables=["corpus", "search"],
        functions=str(functions.folder), fit=tables("search")["fit"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def dependencies(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    corpus = tables("corpus")
    return dataset(
        "dependencies", dependency_data.build_dependencies, sources=sources(*corpus.values()),
        tables=["corpus", "dependencies", "search"], fit=tables("search")["fit"], **corpus, **tables("dependencies"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def names(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    table = tables("names")
    return dataset("names", name_data.build_names, sources=sources(table["distributions"]), tables=["names"], **table)


@pytest.fixture(scope="session")
def names_read(dataset: Callable[..., Dataset], names: Dataset) -> Dataset:
    """Files and entities of the mentions, without what any mention means."""
    return dataset("names-read", name_data.build_names_read, sources={}, tables=["names"], names=str(names.folder))


def calls_of(dataset: Callable[..., Dataset], tables: sides.Tables, side: str) -> Dataset:
    """Traced functions of the distributions on one side, and whom they called."""
    table = tables("calls")
    return dataset(
        f"calls-{side}", call_data.build_calls, sources=sources(table[side]), tables=["calls"],
        names=table[side], tests=table["tests"], baselines=side == "test",
    )  # fmt: skip


@pytest.fixture(scope="session")
def call_examples(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    return calls_of(dataset, tables, "train")


@pytest.fixture(scope="session")
def comparisons(
    dataset: Callable[..., Dataset], tables: sides.Tables, links: Dataset, functions: Dataset, dependencies: Dataset,
    names: Dataset,
) -> dict[str, Callable[[], Dataset]]:  # fmt: skip
    """What answers are compared with, each built when it is called."""
    return {
        "calls": lambda: calls_of(dataset, tables, "test"),
        "links": lambda: dataset(
            "link-baselines", link_baselines.build_link_baselines, sources={}, tables=["links"],
            links=str(links.folder), tuned_on=tables("link_baselines")["tuned_on"],
        ),
        "search": lambda: dataset(
            "search-baselines", search_baselines.build_search_baselines, sources={}, tables=["corpus"],
            functions=str(functions.folder), tuned_on=tables("search")["tuned_on"],
        ),
        "dependencies": lambda: dataset(
            "dependency-baselines", dependency_baselines.build_dependency_baselines, sources={},
            tables=["corpus", "dependencies"], dependencies=str(dependencies.folder),
        ),
        "names": lambda: dataset(
            "name-baselines", name_baselines.build_name_baselines, sources={}, tables=["names"],
            names=str(names.folder),
        ),
    }  # fmt: skip


@pytest.fixture(scope="session")
def compared(graphmer: Subject, comparisons: dict[str, Callable[[], Dataset]]) -> dict[str, Callable[[], Dataset]]:
    """The same, for tests: built beside the training of the subject."""
    _ = graphmer.artifact
    return comparisons


@pytest.fixture(scope="session")
def traced(compared: dict[str, Callable[[], Dataset]]) -> Dataset:
    return compared["calls"]()


@pytest.fixture(scope="session")
def pairs(
    dataset: Callable[..., Dataset], tables: sides.Tables, functions: Dataset, links: Dataset, dependencies: Dataset
) -> Dataset:
    return dataset(
        "pairs", pair_data.build_pairs, sources={},
        tables=["corpus", "facts", "links", "search", "dependencies", "pairs"], functions=str(functions.folder),
        links=str(links.folder), dependencies=str(dependencies.folder), fit=tables("search")["fit"], **tables("pairs"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def encoder(subject: Callable[..., Subject], fact_data: Dataset, pairs: Dataset) -> Subject:
    """The encoder without the tasks' rankers: what is asked of its vectors needs no others."""
    return subject("graphmer", data=encoder_files(fact_data, pairs), datasets=[fact_data, pairs])


def encoder_files(fact_data: Dataset, pairs: Dataset) -> dict[str, Path]:
    files = {
        f"{side}_{part}": fact_data.path(f"{side}_{part}.jsonl") for side in ("train", "dev") for part in facts.PARTS
    }
    return files | {f"{side}_pairs": pairs.path(f"{side}_pairs.jsonl") for side in ("train", "dev")}


@pytest.fixture(scope="session")
def graphmer(
    subject: Callable[..., Subject], fact_data: Dataset, pairs: Dataset, known: Dataset, search_pool: Dataset,
    dependencies: Dataset, names: Dataset, call_examples: Dataset, relations: Dataset,
    comparisons: dict[str, Callable[[], Dataset]],
) -> Subject:  # fmt: skip
    files = encoder_files(fact_data, pairs)
    files |= {"link_examples": known.path("examples.jsonl"), "link_triples": known.path("triples.jsonl")}
    files |= {"search_pairs": search_pool.path("fit.jsonl"), "search_passages": search_pool.path("fit-pool.jsonl")}
    files |= {"dependency_files": dependencies.path("train.jsonl")}
    files |= {"name_mentions": names.path("train.jsonl"), "name_files": names.path("train-files.jsonl")}
    files |= {"name_entities": names.path("train-entities.jsonl"), "name_pieces": names.path("train-pieces.jsonl")}
    files |= {"relation_examples": relations.path("examples.jsonl")}
    files |= {"call_examples": call_examples.path("callers.jsonl"), "call_files": call_examples.path("files.jsonl")}
    read = [fact_data, pairs, known, search_pool, dependencies, names, call_examples, relations]
    return subject("graphmer", data=files, datasets=read, meanwhile=list(comparisons.values()))


@pytest.fixture(scope="session")
def scaling(graphmer: Subject) -> Scaling:
    """With all rankers: each variant fits its own."""
    return Scaling.of(graphmer)


@pytest.fixture(scope="session")
def heads(fact_data: Dataset) -> Heads:
    """Of the training side."""
    return Heads.of(fact_data, "train")


@pytest.fixture(scope="session")
def dev_heads(fact_data: Dataset) -> Heads:
    return Heads.of(fact_data, "dev")


@pytest.fixture(scope="session")
def unseen(dataset: Callable[..., Dataset], tables: sides.Tables) -> Dataset:
    """The graph of distributions that training is handed nothing of."""
    names = tables("masked")["distributions"]
    return dataset("unseen", facts.build_unseen, sources=sources(names), tables=["masked"], distributions=names)


@pytest.fixture(scope="session")
def unseen_heads(unseen: Dataset) -> Heads:
    return Heads.of(unseen, "test")


@pytest.fixture(scope="session")
def chains(graphmer: Subject, heads: Heads) -> Predictions:
    """Every chain that the training side is cut into, decoded, by head."""
    return graphmer.predictions("chains", heads.items)


@pytest.fixture(scope="session")
def dev_chains(graphmer: Subject, dev_heads: Heads) -> Predictions:
    return graphmer.predictions("chains", dev_heads.items)


@pytest.fixture(scope="session")
def held(links: Dataset, known: Dataset, compared: dict[str, Callable[[], Dataset]]) -> Held:
    return Held(links, known, compared["links"]())


@pytest.fixture(scope="session")
def answers(graphmer: Subject, held: Held) -> Predictions:
    return graphmer.predictions("complete", held.queries, graph=str(held.public.folder), depth=DEPTH)
