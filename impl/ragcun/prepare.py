"""Raw data -> pairs on three sides: folders, lines, CSV, JSON, or a set of the hub by name; checked before it is used.

Split by group, never by row. What would make a score worthless is refused with its count and an example: queries that
are a beginning of their passage, empty texts, duplicates, too few examples; a query that stands in a passage of others
is left out. It must never make fewer pairs than were asked for.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ragcun import data, folder
from ragcun.errors import RagcunError

SHARES = {"train": 0.70, "dev": 0.15, "test": 0.15}
LEAST = 30
"""Pairs below which no split and no whitening means anything."""

QUERY = ("query", "question", "anchor")
PASSAGE = ("passage", "positive", "answer", "document", "text")
NEGATIVE = ("negative", "negatives")
GROUP = ("group", "source", "page", "title")


@dataclass(frozen=True, slots=True)
class Row:
    """A pair as it is written: `group` is what the split goes by."""

    record_id: str
    group: str
    query: str
    passage: str
    negatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A text without a query; `group` names the file or line that it came from."""

    group: str
    text: str


# ------------------------------------------------------------------------------ reading


def read(source: str) -> list[Row] | list[Document]:
    """Pairs or documents of a folder, a .txt, .csv, .json or .jsonl file, or of hub:NAME.

    RagcunError names the file, the line and what is expected there; nothing is loaded before the source exists.
    """
    if source.startswith("hub:"):
        return list(_hub(source.removeprefix("hub:")))
    path = Path(source)
    if path.is_dir():
        found = folder.read(path)
        return [Document(name.partition("#")[0], text) for name, text in zip(found.ids, found.texts, strict=True)]
    if not path.is_file():
        raise RagcunError(f"{source}: is not there; give a folder, a file, or hub:NAME")
    readers: dict[str, Callable[[Path], Iterator[Any]]] = {
        ".txt": _lines, ".csv": _csv, ".tsv": _csv, ".json": _json, ".jsonl": _jsonl,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise RagcunError(f"{source}: unknown kind of file; known are {', '.join(readers)}")
    try:
        found_rows = list(reader(path))
    except UnicodeDecodeError:
        raise RagcunError(f"{source}: is not UTF-8; convert the file") from None
    if not found_rows:
        raise RagcunError(f"{source}: holds nothing")
    if len({type(row) for row in found_rows}) > 1:
        raise RagcunError(f"{source}: mixes pairs and documents without a query; split it into two files")
    return found_rows


def _lines(path: Path) -> Iterator[Document]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield Document(str(number), line.strip())


def _csv(path: Path) -> Iterator[Row | Document]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        mark = "tab" if path.suffix.lower() == ".tsv" else "comma"
        reader = csv.DictReader(file, delimiter={"tab": "\t", "comma": ","}[mark])
        try:
            for row in reader:
                place = f"{path}:{reader.line_num}"
                if None in row:
                    raise RagcunError(f"{place}: has more cells than the header; put a cell with a {mark} in quotes")
                yield _record(row, place, reader.line_num)
        except csv.Error as error:
            raise RagcunError(f"{path}:{reader.line_num + 1}: {error}; write the table as .jsonl") from None


def _json(path: Path) -> Iterator[Row | Document]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise RagcunError(f"{path}: not JSON: {error}") from None
    if not isinstance(rows, list):
        raise RagcunError(f"{path}: a list of objects is needed, got {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        yield _record(row, f"{path}: entry {number}", number)


def _jsonl(path: Path) -> Iterator[Row | Document]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise RagcunError(f"{path}:{number}: not JSON: {error}") from None
            yield _record(row, f"{path}:{number}", number)


def _record(row: Any, place: str, number: int) -> Row | Document:
    if not isinstance(row, dict):
        raise RagcunError(f"{place}: an object is needed, got {type(row).__name__}")
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise RagcunError(f"{place}: holds half of a character (a lone surrogate); mend the text") from None
    query, passage, negative, group = (_first(row, names) for names in (QUERY, PASSAGE, NEGATIVE, GROUP))
    if not isinstance(passage, str):
        keys = ", ".join(map(str, row)) or "none"
        raise RagcunError(f"{place}: no text under {', '.join(PASSAGE)} (keys: {keys})")
    if query is None:
        return Document(str(group or number), passage)
    if not isinstance(query, str):
        raise RagcunError(f"{place}: the query is {type(query).__name__}, not text")
    negatives = [negative] if isinstance(negative, str) else negative or []
    if not isinstance(negatives, list) or not all(isinstance(each, str) for each in negatives):
        raise RagcunError(f"{place}: negatives are a text, or a list of texts")
    return Row(_identity(query, passage), str(group or query), query, passage, tuple(filter(str.strip, negatives)))


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), row.get(names[0]))


def _identity(query: str, passage: str) -> str:
    return hashlib.sha256(f"{query}\0{passage}".encode()).hexdigest()[:16]


def _hub(name: str) -> Iterator[Row]:
    """`msmarco`, or a set of BEIR such as `scifact`: judged pairs, from the hub or its local cache."""
    from datasets import load_dataset

    try:
        if name == "msmarco":
            for number, row in enumerate(load_dataset("microsoft/ms_marco", "v1.1", split="train")):
                texts, chosen = row["passages"]["passage_text"], row["passages"]["is_selected"]
                right = [text for text, is_right in zip(texts, chosen, strict=True) if is_right]
                wrong = tuple(text for text, is_right in zip(texts, chosen, strict=True) if not is_right)
                for text in right[:1]:
                    yield Row(_identity(row["query"], text), str(number), row["query"], text, wrong)
            return
        corpus = {row["_id"]: f"{row['title']} {row['text']}".strip() for row in _split(f"BeIR/{name}", "corpus")}
        queries = {row["_id"]: row["text"] for row in _split(f"BeIR/{name}", "queries")}
        for row in load_dataset(f"BeIR/{name}-qrels", split="train"):
            query, passage = queries[str(row["query-id"])], corpus[str(row["corpus-id"])]
            if row["score"] > 0:
                yield Row(_identity(query, passage), str(row["query-id"]), query, passage)
    except RagcunError:
        raise
    except Exception as error:  # the library raises some ten kinds, by version
        raise RagcunError(
            f"hub:{name}: could not be had ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        ) from None


def _split(name: str, part: str) -> Iterable[dict[str, Any]]:
    from datasets import load_dataset

    rows: Iterable[dict[str, Any]] = load_dataset(name, part, split=part)
    return rows


# ------------------------------------------------------------------------------ pairs from documents

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_TITLE = re.compile(r"#{1,6} +(?P<title>\S.*)")
_WORD = re.compile(r"\w+")
SHORTEST = 4
"""Words of a generated sentence, at least; a query with fewer may stand in passages that do not answer it."""


def generate(documents: Sequence[Document], count: int, seed: int) -> list[Row]:
    """`count` pairs: a heading or a sentence, and what is left of its document without those that are queries.

    All queries of a document share that one passage: none lacks a sentence that another passage holds. RagcunError,
    with the number that there can be, when the documents hold fewer.
    """
    rng = random.Random(seed)
    parts = [_parts(document.text) for document in documents]
    asked = [list(_queries(title, sentences)) for title, sentences in parts]
    standing = _standing((query for queries in asked for query in queries), [document.text for document in documents])
    found: list[tuple[int, str]] = []
    for place, (title, sentences) in enumerate(parts):
        alone = [query for query in asked[place] if standing.get(query) == {place}]
        taken = [query for query in alone if query != title]
        taken = rng.sample(taken, min(len(taken), len(sentences) - 1))  # one sentence is left
        found += [(place, query) for query in alone if query == title or query in taken]
    if len(found) < count:
        raise RagcunError(
            f"{count:,} pairs were asked for, {len(documents):,} documents give {len(found):,}; "
            f"ask for --num-pairs {len(found)}, or add documents"
        )
    chosen: dict[int, list[str]] = {}
    for place, query in rng.sample(found, count):
        chosen.setdefault(place, []).append(query)
    rows = []
    for place, queries in chosen.items():
        passage = " ".join(sentence for sentence in parts[place][1] if sentence not in queries)
        rows += [Row(_identity(query, passage), documents[place].group, query, passage) for query in queries]
    return rows


def _parts(text: str) -> tuple[str, list[str]]:
    """Heading, "" where there is none, and sentences."""
    first, _, rest = text.strip().partition("\n")
    title = _TITLE.match(first)
    body = rest if title else text
    return title["title"].strip() if title else "", [" ".join(each.split()) for each in _SENTENCE.split(body.strip())]


def _queries(title: str, sentences: Sequence[str]) -> Iterator[str]:
    """The heading and the sentences that the rest of the document does not hold."""
    body = " ".join(sentences)
    if title and len(body.split()) >= SHORTEST and title.lower() not in body.lower():
        yield title
    for place, sentence in enumerate(sentences):
        others = " ".join([*sentences[:place], *sentences[place + 1 :]])
        if len(sentence.split()) >= SHORTEST and sentence.lower() not in others.lower():
            yield sentence


def _standing(queries: Iterable[str], texts: Sequence[str]) -> dict[str, set[int]]:
    """Query -> positions of the texts that hold it word for word. Its first words are looked up, not every text."""
    starts: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for query in dict.fromkeys(queries):
        words = _WORD.findall(query.lower())
        starts.setdefault(tuple(words[:SHORTEST]), []).append((query, f" {' '.join(words)} "))
    found: dict[str, set[int]] = {}
    for place, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        runs = {tuple(words[i : i + size]) for size in range(1, SHORTEST + 1) for i in range(len(words))}
        flat = f" {' '.join(words)} "
        for query, wanted in (each for run in runs & starts.keys() for each in starts[run]):
            if wanted in flat:
                found.setdefault(query, set()).add(place)
    return found


# ------------------------------------------------------------------------------ refusals, split, files


def check(rows: Sequence[Row], least: int = LEAST) -> list[Row]:
    """The pairs whose query stands in no passage that does not answer it: such a passage would be found in its place.

    RagcunError with count and example for the first other kind of defect that the pairs have.
    """

    def refuse(bad: Sequence[Row], what: str, way_out: str) -> None:
        if bad:
            example = f'query "{_short(bad[0].query)}", passage "{_short(bad[0].passage)}"'
            raise RagcunError(f"{len(bad):,} of {len(rows):,} pairs {what}, such as {example}; {way_out}")

    refuse(
        [row for row in rows if not row.query.strip() or not row.passage.strip()],
        "have an empty query or passage", "leave them out",
    )  # fmt: skip
    refuse(
        [row for row in rows if _plain(row.passage).startswith(_plain(row.query))],
        "have a query that their passage begins with", "finding it proves nothing: take the query out of the passage",
    )  # fmt: skip
    seen: Counter[tuple[str, str]] = Counter((_plain(row.query), _plain(row.passage)) for row in rows)
    refuse(
        [row for row in rows if seen[_plain(row.query), _plain(row.passage)] > 1],
        "are there more than once", "keep one of each",
    )  # fmt: skip
    refuse(
        [row for row in rows if any(_plain(each) == _plain(row.passage) for each in row.negatives)],
        "have their own passage as a negative", "leave that negative out",
    )  # fmt: skip
    kept = _unequalled(rows)
    if len(kept) < least:
        example = f'; the first is "{_short(rows[0].query)}"' if rows else ""
        raise RagcunError(f"{len(kept)} pairs are too few, at least {least} are needed{example}")
    return kept


def _unequalled(rows: Sequence[Row]) -> list[Row]:
    """Without queries of SHORTEST words and more that stand in a passage that answers others only."""
    answers = data.answers(rows)
    passages = list(dict.fromkeys(row.passage for row in rows))
    standing = _standing((query for query in answers if len(_WORD.findall(query)) >= SHORTEST), passages)
    wrong = {query for query, places in standing.items() if {passages[place] for place in places} - answers[query]}
    return [row for row in rows if row.query not in wrong]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else f"{flat[:57]}..."


def split(rows: Sequence[Row], seed: int) -> dict[str, list[Row]]:
    """70/15/15 by group, and groups that share a query or a passage together. RagcunError below three groups."""
    groups = _joined(rows)
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(groups[row.group], []).append(row)
    if len(members) < len(SHARES):
        raise RagcunError(
            f"{len(members)} group{'s' if len(members) > 1 else ''} cannot be split into train, dev and test; "
            "give data from at least three files, pages or sources"
        )
    order = sorted(members)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda name: -len(members[name]))  # stable: large groups first, so that shares come out
    sides: dict[str, list[Row]] = {side: [] for side in SHARES}
    for name in order:
        side = max(SHARES, key=lambda side: SHARES[side] - len(sides[side]) / len(rows))
        sides[side] += members[name]
    for side, found in sides.items():
        if not found:
            raise RagcunError(f"one group holds nearly all pairs, none is left for {side}; give smaller groups")
    return sides


def _joined(rows: Sequence[Row]) -> dict[str, str]:
    """Group -> the group that stands for all that are tied to it by an equal query or passage."""
    parent = {row.group: row.group for row in rows}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    owner: dict[str, str] = {}
    for row in rows:
        for key in (f"q {_plain(row.query)}", f"p {_plain(row.passage)}"):
            parent[root(row.group)] = root(owner.setdefault(key, row.group))
    return {name: root(name) for name in parent}


def mined(rows: Sequence[Row], count: int) -> list[Row]:
    """The rows with `count` negatives each: those that they have, then passages that BM25 ranks high."""
    pairs = [data.Pair(row.record_id, row.query, row.passage) for row in rows]
    table = data.mine(pairs, min(count, max(1, len(rows) - 1)))
    result = []
    for row, found in zip(rows, table.tolist(), strict=True):
        own = {row.passage, *row.negatives}
        more = dict.fromkeys(rows[place].passage for place in found if rows[place].passage not in own)
        negatives = (*row.negatives, *more)[:count]
        result.append(Row(row.record_id, row.group, row.query, row.passage, negatives))
    return result


def write(sides: dict[str, list[Row]], out: Path) -> None:
    """train.jsonl, dev.jsonl and test.jsonl, and the test side once more in BEIR's format under out/test."""
    out.mkdir(parents=True, exist_ok=True)
    for side, rows in sides.items():
        _write(out / f"{side}.jsonl", (asdict(row) for row in rows))
    beir = out / "test"
    beir.mkdir(exist_ok=True)
    passages = {_identity("", row.passage): row.passage for row in sides["test"]}
    queries = {_identity(row.query, ""): row.query for row in sides["test"]}
    _write(beir / "corpus.jsonl", ({"_id": name, "title": "", "text": text} for name, text in passages.items()))
    _write(beir / "queries.jsonl", ({"_id": name, "text": text} for name, text in queries.items()))
    lines = [f"{_identity(row.query, '')}\t{_identity('', row.passage)}\t1" for row in sides["test"]]
    (beir / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *dict.fromkeys(lines)]) + "\n")


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
