"""Evaluation on any set in BEIR's format: corpus.jsonl, queries.jsonl, qrels.tsv -> nDCG@10, MRR@10, Recall@k, MAP.

Every judged query counts, an unanswered one as zero; the ideal comes from the judgements, never from the run; tied
documents share their places. It must never drop what is missing from a mean.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragcun.errors import RagcunError

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]] | Mapping[str, Sequence[tuple[str, float]]]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents and queries by id, and the grade of each judged document of a query."""

    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read(corpus: Path, queries: Path, qrels: Path) -> Collection:
    """The three files. RagcunError names file and line for what is missing, doubled, or judged and not there."""
    documents = {name: " ".join(filter(None, (row.get("title"), row["text"]))) for name, row in _rows(corpus)}
    asked = {name: row["text"] for name, row in _rows(queries)}
    judged = read_qrels(qrels)
    for query, grades in judged.items():
        if query not in asked:
            raise RagcunError(f'{qrels}: query "{query}" is judged and stands not in {queries}')
        absent = next((name for name in grades if name not in documents), None)
        if absent is not None:
            raise RagcunError(f'{qrels}: document "{absent}" is judged and stands not in {corpus}')
    if not any(grade > 0 for grades in judged.values() for grade in grades.values()):
        raise RagcunError(f"{qrels}: no document is relevant to any query: nothing can be measured")
    return Collection(documents, asked, judged)


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(file)
    except (OSError, UnicodeDecodeError) as error:
        raise RagcunError(f"{path}: cannot be read: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            name, text = str(row["_id"]), row["text"]
            if not isinstance(text, str) or not isinstance(row.get("title"), str | None):
                raise TypeError("text or title is no string")
        except (ValueError, KeyError, TypeError) as error:
            raise RagcunError(f"{path}:{number}: no JSON object with _id and text ({error!r})") from None
        if name in seen:
            raise RagcunError(f'{path}:{number}: _id "{name}" stands there twice')
        seen.add(name)
        yield name, row
    if not seen:
        raise RagcunError(f"{path}: is empty")


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """query-id, corpus-id, score, separated by tabs, with BEIR's header or without; or TREC's four columns."""
    judged: dict[str, dict[str, int]] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            rows = list(csv.reader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RagcunError(f"{path}: cannot be read: {error}") from None
    for number, row in enumerate(rows, start=1):
        cells = row[0].split() if len(row) == 1 else row
        if number == 1 and cells and not cells[-1].lstrip("-").isdigit():
            continue  # the header
        if len(cells) not in (3, 4) or not cells[-1].lstrip("-").isdigit():
            raise RagcunError(f"{path}:{number}: query-id, corpus-id and a whole score are needed, got {cells}")
        query, document, grade = cells[0], cells[-2], int(cells[-1])
        if document in judged.setdefault(query, {}):
            raise RagcunError(f'{path}:{number}: document "{document}" is judged twice for query "{query}"')
        judged[query][document] = grade
    return judged


def evaluate(run: Run, qrels: Qrels, recall_at: Sequence[int] = (10, 100), keep_self: bool = True) -> dict[str, float]:
    """Means over all queries with a relevant document: ndcg@10, mrr@10, recall@k, map.

    Args:
        run: query -> {document: score} or a list of pairs; a larger score is better.
        qrels: query -> {document: grade}; grades above 0 are relevant, gains are linear.
        keep_self: whether a document with the query's own id may answer it.

    Raises:
        RagcunError: for a document twice in a run, or a score that is not finite.
    """
    judged = {query: grades for query, grades in qrels.items() if any(grade > 0 for grade in grades.values())}
    if not judged:
        raise RagcunError("no query has a relevant document: nothing can be measured")
    totals: dict[str, float] = {}
    for query, grades in judged.items():
        own = None if keep_self else query
        blocks = _blocks(query, run.get(query, ()), grades, own)
        wanted = sorted((grade for name, grade in grades.items() if grade > 0 and name != own), reverse=True)
        for name, value in _query(blocks, wanted, recall_at).items():
            totals[name] = totals.get(name, 0.0) + value
    return {name: total / len(judged) for name, total in totals.items()}


Block = list[int]
"""Grades of the documents that share one score."""


def _blocks(query: str, answers: object, grades: Mapping[str, int], own: str | None) -> list[Block]:
    """What was retrieved, from the best score to the worst."""
    pairs = list(answers.items()) if isinstance(answers, Mapping) else list(answers)  # type: ignore[call-overload]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RagcunError(f'query "{query}": document "{twice}" stands twice in the run')
    tied: dict[float, Block] = {}
    for name, score in pairs:
        if not math.isfinite(score):
            raise RagcunError(f'query "{query}": document "{name}" has the score {score}')
        if name != own:
            tied.setdefault(score, []).append(max(0, grades.get(name, 0)))
    return [tied[score] for score in sorted(tied, reverse=True)]


def _query(blocks: Sequence[Block], wanted: Sequence[int], recall_at: Sequence[int]) -> dict[str, float]:
    """Measures of one query in expectation over the order of ties (McSherry & Najork 2008)."""
    result = {"ndcg@10": 0.0, "mrr@10": 0.0, **{f"recall@{k}": 0.0 for k in recall_at}, "map": 0.0}
    if not wanted:
        return result
    ideal = sum(grade / math.log2(rank + 1) for rank, grade in enumerate(wanted[:10], start=1))
    before = found = 0
    for block in blocks:
        size, relevant = len(block), sum(grade > 0 for grade in block)
        ranks = np.arange(before + 1, before + size + 1)
        discount = float((1 / np.log2(ranks + 1))[ranks <= 10].sum())
        result["ndcg@10"] += sum(block) / size * discount / ideal
        for k in recall_at:
            result[f"recall@{k}"] += relevant * min(max(k - before, 0), size) / size / len(wanted)
        if relevant:
            if not found:
                first = before + (size + 1) / (relevant + 1)  # expected rank of the first of them
                result["mrr@10"] = 1 / first if first <= 10 else 0.0
            # Place i of the block is relevant with probability r/n; r' others before it, in expectation.
            others = (relevant - 1) / (size - 1) if size > 1 else 0.0
            places = np.arange(size)
            result["map"] += float((relevant / size * (found + 1 + others * places) / ranks).sum()) / len(wanted)
        found += relevant
        before += size
    return result
