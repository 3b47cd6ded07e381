"""Command line of the corpus: `python -m corpus manifest`.

A thin edge over the package; a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from corpus import distributions, manifest
from corpus.errors import CorpusError


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
    options = parser.parse_args(arguments)
    try:
        return _manifest(options.distributions, options.output)
    except CorpusError as error:
        print(f"corpus: {error}", file=sys.stderr)
        return 2


def _manifest(names: str | None, output: Path) -> int:
    wanted = distributions.installed() if names is None else [name for name in names.split(",") if name.strip()]
    if not wanted:
        raise CorpusError("--distributions names none; give names like python,requests")
    found = manifest.build(distributions.find(wanted))
    try:
        found.write(output)
    except OSError as error:
        raise CorpusError(f"cannot write {output}: {error.strerror}; choose another place with -o") from None
    print(f"{len(found.rows)} files of {len(wanted)} distributions, digest {found.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
