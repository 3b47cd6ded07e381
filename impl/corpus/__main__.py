"""Command line of the corpus: `python -m corpus manifest|tokenizer|kg|callgraph|programs`.

A thin edge over the package; a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

import argparse
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from corpus import archives, distributions, folders, hub, manifest, programs, tokenizer
from corpus.distributions import Distribution
from corpus.errors import CorpusError
from corpus.functions import functions_of

_SPEC: Final = Path(__file__).resolve().parents[2] / "spec/corpus.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m corpus", description="source code as data")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("manifest", help="list every file of the corpus with its digest")
    command.add_argument(
        "--distributions",
        metavar="A,B,C",
        help='comma-separated names, "python" for the standard library (default: all that are installed)',
    )
    command.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write JSON")
    command = commands.add_parser("tokenizer", help="train the byte-level BPE on functions of the training side")
    command.add_argument(
        "--distributions", metavar="A,B,C", required=True, help="comma-separated names: the training side, no other"
    )
    command.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where to write JSON")
    command = commands.add_parser("kg", help="write the knowledge graph of projects or distributions")
    command.add_argument("paths", metavar="PATH", nargs="*", type=Path, help="project folders, .py or .java files")
    command.add_argument(
        "--distributions",
        metavar="A,B,C",
        help='installed distributions, "all" for every one (default without PATH: those of spec/corpus.toml)',
    )
    command.add_argument("--archives", metavar="A,B,C", help="Java sources: pinned source archives, or mbjp")
    command.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="FILE.jsonl or FILE.parquet")
    command.add_argument("--processes", metavar="N", type=_positive, default=os.cpu_count() or 1)
    command = commands.add_parser("callgraph", help="who calls whom in a project")
    command.add_argument("path", metavar="PATH", type=Path, help="a project folder or a .py file")
    command.add_argument("--json", action="store_true", help='{"pkg.mod.f": ["pkg.mod.g", ...]}')
    command = commands.add_parser("programs", help="execute versions of functions in a sandbox and label them")
    origins = ",".join((*programs.TRAINING_ORIGINS, programs.TEST_ONLY))
    command.add_argument(
        "--origins", metavar="A,B", default="doctest", help=f"of {origins}, the last alone (default: doctest)"
    )
    command.add_argument(
        "--distributions", metavar="A,B,C", default="python", help="whose doctests are read (default: python)"
    )
    command.add_argument("--rewrites", type=_positive, default=2, metavar="N", help="of each function (default: 2)")
    command.add_argument("--mutants", type=_positive, default=3, metavar="N", help="of each version of it (default: 3)")
    command.add_argument("--contests", type=_positive, default=1000, metavar="N", help="of CodeContests, at most")
    command.add_argument("--seed", type=int, default=0, metavar="N")
    command.add_argument("--memory", type=Path, metavar="FILE", help="outcomes that are known already, kept and used")
    command.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="where to write JSON Lines")
    options = parser.parse_args(arguments)
    try:
        if options.command == "programs":
            return _programs(options)
        if options.command == "tokenizer":
            return _tokenizer(options.distributions, options.output)
        if options.command == "kg":
            return _graph(options)
        if options.command == "callgraph":
            return _callgraph(options.path, options.json)
        return _manifest(options.distributions, options.output)
    except CorpusError as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads has had enough, as `head` does; the interpreter's own flush must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _manifest(names: str | None, output: Path) -> int:
    wanted = distributions.installed() if names is None else _names(names)
    found = manifest.build(distributions.find(wanted))
    try:
        found.write(output)
    except OSError as error:
        raise CorpusError(f"cannot write {output}: {error.strerror}; choose another place with -o") from None
    print(f"{len(found.rows)} files of {len(wanted)} distributions, digest {found.digest}")
    return 0


def _tokenizer(names: str, output: Path) -> int:
    texts = list(tokenizer.texts_of(functions_of(distributions.find(_names(names)))))
    trained = tokenizer.train(texts)
    try:
        trained.write(output)
    except OSError as error:
        raise CorpusError(f"cannot write {output}: {error.strerror}; choose another place with -o") from None
    seen = len(trained.seen(texts)) / len(trained)
    print(f"{len(trained):,} entries from {len(texts):,} texts, {seen:.2%} of them seen, digest {trained.digest}")
    return 0


def _graph(options: argparse.Namespace) -> int:
    from rich.console import Console

    from corpus import bridge, graph, summary, triples

    output: Path = options.output
    found = [folders.distribution(path) for path in options.paths]
    names = None if options.distributions in (None, "all") else _names(options.distributions)
    sources = [] if options.archives is None else _names(options.archives, "--archives", "jpype1,jep")
    if options.distributions == "all":
        names = distributions.installed()
    if names is None and not found and not sources:
        default = _default()
        found += bridge.chosen(default["distributions"], default["tests"])
        for name in default["archives"]:
            try:
                found.append(archives.find(name))
            except CorpusError as error:  # no network: the graph is smaller, and says so
                print(f"corpus: left out: {error}", file=sys.stderr)
    found += distributions.find(names or [])
    found += [archives.find(name) for name in sources]
    built = graph.build(found, output, processes=options.processes, say=_progress())
    picture = output.with_suffix(".svg")
    summary.picture(built.summary, picture)
    counted = output.with_suffix(".counts.jsonl")
    triples.write_text(counted, "".join(json.dumps(row) + "\n" for row in summary.counts(built.summary)))
    summary.render(built.summary, Console())
    print(f"wrote {built.triples}, {built.entities.name}, {built.manifest.name}, {counted.name}, {picture.name}")
    return 0


def _callgraph(path: Path, as_json: bool) -> int:
    from corpus import callgraph

    found: list[Distribution] = [folders.distribution(path)]
    adjacency = callgraph.adjacency(found)
    if as_json:
        print(json.dumps(adjacency, indent=1))
        return 0
    for caller, callees in adjacency.items():
        if callees:
            print(caller, *(f"  {name}" for name in callees), sep="\n")
    edges = sum(map(len, adjacency.values()))
    print(f"{edges:,} calls of {len(adjacency):,} functions", file=sys.stderr)
    return 0


def _default() -> dict[str, list[str]]:
    """The distributions and archives that the specification names as the default corpus."""
    try:
        data = tomllib.loads(_SPEC.read_text(encoding="utf-8"))["data"]
        corpus, java = data["corpus"], data.get("java", {})
        return {
            "distributions": corpus["distributions"],
            "tests": corpus.get("tests", []),
            "archives": java.get("archives", []),
        }
    except (OSError, KeyError, ValueError):
        raise CorpusError(f"{_SPEC} names no default corpus; give a PATH or --distributions") from None


def _progress() -> Callable[[str], None]:
    """One rewritten line on a terminal, nothing elsewhere."""

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[2K  {text}" if text != "merging" else "\r\x1b[2K", end="", file=sys.stderr, flush=True)

    return say


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _programs(options: argparse.Namespace) -> int:
    origins = _names(options.origins, "--origins", "doctest,mbpp")
    plan = programs.Plan(options.seed, options.rewrites, options.mutants, memory=options.memory)
    if programs.TEST_ONLY in origins and len(origins) > 1:
        raise CorpusError("HumanEval is for tests only: build it by itself, with --origins humaneval")
    names = _names(options.distributions)
    _check_folder(options.output)
    if origins == [programs.TEST_ONLY]:
        report = programs.build_humaneval(options.output, plan, hub.folder())
        sides = {"humaneval": report["side"]}
    else:
        report = programs.build(options.output, origins, plan, names, hub.folder(), options.contests)
        sides = report["sides"]
    for name, text in report["missing_walls"].items():
        print(f"corpus: this system gives no protection of {name}: {text}", file=sys.stderr)
    for side, counts in sides.items():
        print(f"{side}: {counts['programs']} programs of {counts['problems']} problems, {counts['passed']} passed")
    return 0


def _check_folder(output: Path) -> None:
    """Make the folder and a file in it, before programs run for hours."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise CorpusError(f"cannot write into {output}: {error.strerror}; choose another place with -o") from None


def _names(text: str, option: str = "--distributions", like: str = "python,requests") -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise CorpusError(f"{option} names none; give names like {like}")
    return names


if __name__ == "__main__":
    sys.exit(main())
