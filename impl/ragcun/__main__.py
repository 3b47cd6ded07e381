"""Command line: `python -m ragcun prepare|train|index|search|evaluate`.

A thin edge: a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from corpus.errors import CorpusError
from ragcun.errors import RagcunError

MODEL, INDEX = Path("ragcun-model"), Path("ragcun-index")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    commands = {"prepare": _prepare, "train": _train, "index": _index, "search": _search, "evaluate": _evaluate}
    try:
        return commands[options.command](options)
    except (RagcunError, CorpusError) as error:
        print(f"ragcun: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"ragcun: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ragcun", description="retrieval with Gaussian embeddings")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("prepare", help="raw data -> checked pairs on three sides")
    command.add_argument("source", help="folder, .txt, .csv, .tsv, .json, .jsonl, or hub:msmarco, hub:scifact, ...")
    command.add_argument("-o", "--output", type=Path, required=True, help="folder for train, dev and test")
    command.add_argument("--generate-pairs", action="store_true", help="make pairs out of documents")
    command.add_argument("--num-pairs", type=int, default=0, metavar="N", help="how many; fewer are an error")
    command.add_argument("--negatives", type=int, default=0, metavar="K", help="mine K hard negatives a training pair")
    command.add_argument("--seed", type=int, default=0)

    command = commands.add_parser("train", help="train on prepared pairs, or on those that the specification names")
    command.add_argument("--data", type=Path, help="folder that `prepare` wrote; default: the corpus of --spec")
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
    command.add_argument("--spec", type=Path, default=Path("spec/ragcun.toml"), help="the specification")
    command.add_argument("--profile", default="cpu", help="[profile.NAME] in the specification")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value for a key of the profile"
    )

    command = commands.add_parser("index", help="index a folder of documents")
    command.add_argument("folder", type=Path, help="folder with text, Markdown or source files")
    _common(command)

    command = commands.add_parser("search", help="search an index")
    command.add_argument("query")
    command.add_argument("-k", type=int, default=5, help="passages to show")
    command.add_argument("--mode", choices=("hybrid", "dense", "lexical"), default="hybrid")
    command.add_argument("--json", action="store_true", help="machine-readable output")
    _common(command)

    command = commands.add_parser("evaluate", help="measure retrieval on a set in BEIR's format")
    for name in ("corpus", "queries", "qrels"):
        command.add_argument(f"--{name}", type=Path, required=True)
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
    command.add_argument("--mode", choices=("hybrid", "dense", "lexical"), default="hybrid")
    command.add_argument("--recall-at", type=int, nargs="+", default=[10, 100], metavar="K")
    command.add_argument("--drop-self", action="store_true", help="a document never answers the query of its own id")
    command.add_argument("--json", action="store_true", help="machine-readable output")
    return parser


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
    command.add_argument("--index", type=Path, default=INDEX, help="folder of the index")


def _prepare(options: argparse.Namespace) -> int:
    from ragcun import prepare

    if options.num_pairs < 0 or options.negatives < 0:
        raise RagcunError("--num-pairs and --negatives are numbers of at least 1")
    if options.generate_pairs != bool(options.num_pairs):
        raise RagcunError("--generate-pairs and --num-pairs N belong together")
    found: Any = prepare.read(options.source)
    documents = isinstance(found[0], prepare.Document)
    if documents and not options.generate_pairs:
        raise RagcunError(
            f"{options.source}: holds {len(found):,} documents without queries; add --generate-pairs --num-pairs N"
        )
    if not documents and options.generate_pairs:
        raise RagcunError(f"{options.source}: holds pairs already; leave --generate-pairs out")
    rows = prepare.generate(found, options.num_pairs, options.seed) if documents else found
    kept = prepare.check(rows)
    sides = prepare.split(kept, options.seed)
    if options.negatives:
        sides["train"] = prepare.mined(sides["train"], options.negatives)
    prepare.write(sides, options.output)
    left = f"; left out: {len(rows) - len(kept):,} whose query stands in another's passage" if kept != rows else ""
    print(f"{options.output}: " + ", ".join(f"{len(found):,} {side}" for side, found in sides.items()) + left)
    return 0


def _train(options: argparse.Namespace) -> int:
    config = _profile(options)
    if options.data is not None:
        files = {side: options.data / f"{side}.jsonl" for side in ("train", "dev")}
        for path in files.values():
            if not path.is_file():
                raise RagcunError(f"{path}: is not there; write it with `python -m ragcun prepare`")
        files["fit"] = files["train"]  # whitening is fitted on what there is
    else:
        files = _corpus(options)
    from ragcun.train import train

    train(config, files, options.model)
    print(f"trained: {options.model / 'model.safetensors'}")
    return 0


def _corpus(options: argparse.Namespace) -> dict[str, Path]:
    """The pairs that the specification names, built into the model's folder."""
    from corpus import distributions, pairs
    from corpus.functions import functions_of

    try:
        table = _spec(options)["data"]["pairs"]
        table = {**table, **table.get(options.profile, {})}
        named = [table[side] for side in ("train", "dev", "test")]
        back = (table["fit"], table["held"])
    except (KeyError, TypeError, AttributeError) as error:
        wanted = "[data.pairs] with train, dev, test, fit and held"
        raise RagcunError(f"{options.spec}: no {wanted} ({error!r}); add it, or give --data") from None
    found = functions_of(distributions.find([name for names in named for name in names]), documented=True)
    out: Path = options.model / "pairs"
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for side, rows in pairs.sides(found, *named, *back).items():
        files[side] = out / f"{side}.jsonl"
        files[side].write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    return {side: files[side] for side in ("train", "fit", "dev")}


def _spec(options: argparse.Namespace) -> dict[str, Any]:
    try:
        return tomllib.loads(options.spec.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RagcunError(f"{options.spec}: {error}") from None


def _profile(options: argparse.Namespace) -> dict[str, Any]:
    profiles = _spec(options).get("profile")
    profiles = profiles if isinstance(profiles, dict) else {}
    if not isinstance(profiles.get(options.profile), dict):
        raise RagcunError(f"{options.spec}: no table [profile.{options.profile}] (profiles: {', '.join(profiles)})")
    config = dict(profiles[options.profile])
    for assignment in options.set:
        key, equals, text = assignment.partition("=")
        if not equals or key not in config:
            raise RagcunError(f"--set {assignment}: KEY=VALUE is needed, with a key of {', '.join(config)}")
        try:
            config[key] = tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError:
            config[key] = text  # a word: no need to quote it twice
        if type(config[key]) is not type(profiles[options.profile][key]):
            wanted = type(profiles[options.profile][key]).__name__
            raise RagcunError(f"--set {assignment}: the value must be {wanted}")
    return config


def _index(options: argparse.Namespace) -> int:
    from ragcun import folder
    from ragcun.embedder import Embedder
    from ragcun.retriever import Retriever

    found = folder.read(options.folder)
    retriever = Retriever(Embedder.load(options.model))
    step = 2048
    for low in range(0, len(found.ids), step):
        retriever.add(found.ids[low : low + step], found.texts[low : low + step])
        if sys.stderr.isatty():
            print(f"\rindexed {len(retriever):,}/{len(found.ids):,}", end="", file=sys.stderr, flush=True)
    retriever.save(options.index)
    left = ", ".join(f"{count:,} {reason}" for reason, count in sorted(found.left_out.items()))
    print(f"{options.index}: {len(retriever):,} passages" + (f"; files left out: {left}" if left else ""))
    return 0


def _search(options: argparse.Namespace) -> int:
    from ragcun.embedder import Embedder
    from ragcun.retriever import Retriever

    embedder = Embedder.load(options.model)
    hits = Retriever.load(options.index, embedder).search(options.query, options.k, options.mode)
    if options.json:
        print(json.dumps({"query": options.query, "weights": embedder.weights, "hits": [asdict(hit) for hit in hits]}))
        return 0
    for place, hit in enumerate(hits, start=1):
        text = " ".join(hit.text.split())
        print(f"{place}. {hit.id}  ({hit.score:.3f})\n   {text if len(text) <= 200 else text[:197] + '...'}")
    if not hits:
        print("nothing is indexed", file=sys.stderr)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from ragcun import beir
    from ragcun.embedder import Embedder
    from ragcun.retriever import Retriever
    from ragcun.tokens import has_words

    if any(k < 1 for k in options.recall_at):
        raise RagcunError("--recall-at: every K is at least 1")
    collection = beir.read(options.corpus, options.queries, options.qrels)
    retriever = Retriever(Embedder.load(options.model))
    kept = {name: text for name, text in collection.documents.items() if text.strip()}
    retriever.add(list(kept), list(kept.values()))
    depth = max(100, *options.recall_at) + options.drop_self
    asked = [query for query in collection.qrels if has_words(collection.queries[query])]
    found = retriever.search_all([collection.queries[query] for query in asked], depth, options.mode)
    run = {query: [(hit.id, hit.score) for hit in hits] for query, hits in zip(asked, found, strict=True)}
    recall_at = sorted({10, 100, *options.recall_at})
    figures: dict[str, Any] = beir.evaluate(run, collection.qrels, recall_at, keep_self=not options.drop_self)
    judged = sum(any(grade > 0 for grade in grades.values()) for grades in collection.qrels.values())
    figures |= {"queries": judged, "documents": len(collection.documents)}
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:12} {value:.4f}" if isinstance(value, float) else f"{name:12} {value:,}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
