"""Command line of the corpus: `python -m corpus manifest|tokenizer`.

A thin edge over the package; a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from corpus import distributions, manifest, tokenizer
from corpus.errors import CorpusError
from corpus.functions import functions_of


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
    options = parser.parse_args(arguments)
    try:
        if options.command == "tokenizer":
            return _tokenizer(options.distributions, options.output)
        return _manifest(options.distributions, options.output)
    except CorpusError as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 2


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


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name.strip()]
    if not names:
        raise CorpusError("--distributions names none; give names like python,requests")
    return names


if __name__ == "__main__":
    sys.exit(main())
