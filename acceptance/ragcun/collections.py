"""Public collections under ASSAY_DATA: Cranfield, CISI, tldr. Absent ones are None, and their rows stay UNPROVEN."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import re
import shutil
from pathlib import Path

from acceptance import jsonl


def folder(name: str) -> Path | None:
    """The folder of a set under ASSAY_DATA, or None."""
    root = os.environ.get("ASSAY_DATA")
    path = Path(root) / name if root else None
    return path if path is not None and path.is_dir() else None


def build_commands(out: Path, file: str, pairs: int, pages: int) -> None:
    """train.jsonl: up to `pairs` pairs; test.jsonl and passages.jsonl: all pairs of up to `pages` other pages."""
    with gzip.open(file, "rt", encoding="utf-8") as text:
        rows = [json.loads(line) for line in text]
    by_page: dict[str, list[dict[str, str]]] = {}
    seen: set[str] = set()
    for row in rows:
        key = row["description"].lower()
        if key not in seen and row["command"] not in seen:
            seen |= {key, row["command"]}
            identity = hashlib.sha256(f"{key}\0{row['command']}".encode()).hexdigest()[:16]
            by_page.setdefault(row["page"], []).append(
                {"record_id": identity, "group": row["page"], "cluster": row["page"],
                 "query": row["description"], "passage": row["command"]}
            )  # fmt: skip
    order = sorted(by_page)
    random.Random(0).shuffle(order)
    test = [row for page in order[:pages] for row in by_page[page]]
    train = [row for page in order[pages:] for row in by_page[page]]
    jsonl.write(out / "train.jsonl", train[:pairs])
    jsonl.write(out / "test.jsonl", test)
    pool = [{"id": row["record_id"], "text": row["passage"]} for row in test]
    random.Random(0).shuffle(pool)
    jsonl.write(out / "passages.jsonl", pool)


def build_passages(out: Path, of: str) -> None:
    """passages.jsonl of another data set, alone: what the subject searches must not lie beside its answers."""
    shutil.copy(Path(of) / "passages.jsonl", out)


def build_cranfield(out: Path, folder: str) -> None:
    """Titles and texts of 1,400 abstracts, 225 queries (numbered in order, as the judgements count them)."""
    documents = {number: text or title for number, (title, text) in cranfield_documents(folder).items()}
    queries = {
        str(number): _tag(part, "title")
        for number, part in enumerate(_parts(Path(folder) / "cran.qry.xml.gz", "top"), start=1)
    }
    judged: dict[str, dict[str, float]] = {}
    for line in (Path(folder) / "cranqrel.trec.txt").read_text().splitlines():
        query, _, document, grade = line.split()
        judged.setdefault(query, {})[document] = max(0.0, float(grade))
    _write(out, documents, queries, judged)


def cranfield_documents(folder: str) -> dict[str, tuple[str, str]]:
    """Number -> title and text of each abstract; a text begins with its title."""
    return {
        _tag(part, "docno"): (_tag(part, "title"), _tag(part, "text"))
        for part in _parts(Path(folder) / "cran.all.1400.xml.gz", "doc")
    }


def build_cisi(out: Path, folder: str) -> None:
    """Titles and abstracts of 1,460 articles, 76 judged queries."""
    documents = _smart(Path(folder) / "CISI.ALL.gz", "TW")
    queries = _smart(Path(folder) / "CISI.QRY.gz", "W")
    judged: dict[str, dict[str, float]] = {}
    for line in _unzip(Path(folder) / "CISI.REL.gz").splitlines():
        query, document = line.split()[:2]
        judged.setdefault(query, {})[document] = 1.0
    _write(out, documents, queries, judged)


def _write(out: Path, documents: dict[str, str], queries: dict[str, str], judged: dict[str, dict[str, float]]) -> None:
    """passages.jsonl for the subject; queries.jsonl with the judgements of documents that are there, for the judge."""
    kept = {name: " ".join(text.split()) for name, text in documents.items() if text.strip()}
    jsonl.write(out / "passages.jsonl", ({"id": name, "text": text} for name, text in kept.items()))
    rows = []
    for name, text in queries.items():
        grades = {document: grade for document, grade in judged.get(name, {}).items() if document in kept}
        if any(grades.values()):
            rows.append({"id": name, "query": " ".join(text.split()), "qrels": grades})
    jsonl.write(out / "queries.jsonl", rows)


def _smart(path: Path, fields: str) -> dict[str, str]:
    """SMART's format: .I number, then fields such as .T and .W."""
    found: dict[str, str] = {}
    number, field = "", ""
    for line in _unzip(path).splitlines():
        mark = re.match(r"\.([A-Z])\b\s*(.*)", line)
        if mark and mark[1] == "I":
            number, field = mark[2].strip(), ""
            found[number] = ""
        elif mark:
            field = mark[1]
        elif field in fields and field:
            found[number] += line + "\n"
    return found


def _parts(path: Path, name: str) -> list[str]:
    return re.findall(rf"<{name}>(.*?)</{name}>", _unzip(path), flags=re.S)


def _tag(text: str, name: str) -> str:
    match = re.search(rf"<{name}>(.*?)</{name}>", text, flags=re.S)
    return match[1].strip() if match else ""


def _unzip(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
