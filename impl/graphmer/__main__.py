"""Command line: `python -m graphmer prepare|train|sweep|vectors|predict|evaluate`.

A thin edge: a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus.errors import CorpusError
from graphmer.config import profile
from graphmer.errors import GraphmerError

MODEL = Path("graphmer-model")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    commands = {"prepare": _prepare, "train": _train, "sweep": _sweep, "vectors": _vectors}
    commands |= {"predict": _predict, "evaluate": _evaluate}
    try:
        return commands[options.command](options)
    except (GraphmerError, CorpusError) as error:
        print(f"graphmer: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"graphmer: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m graphmer", description="an encoder of code and its graph")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("prepare", help="project folders -> data to train on")
    command.add_argument("folders", type=Path, nargs="+", help="folders to train on")
    command.add_argument("--dev", type=Path, nargs="+", required=True, help="other folders, to watch training with")
    command.add_argument("-o", "--output", type=Path, required=True)

    command = commands.add_parser("train", help="train on prepared data, or on what the specification names")
    _training(command)
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")

    command = commands.add_parser("sweep", help="train with several values and compare the dev losses")
    command.add_argument(
        "grid", nargs="+", metavar="KEY=A,B", help="keys of the profile, such as learning_rate=1e-3,3e-3"
    )
    _training(command)
    command.add_argument("-o", "--output", type=Path, required=True, help="folder of the trials")

    command = commands.add_parser("vectors", help="vectors of texts, one a line of standard input, as JSON")
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
    command.add_argument("--maximum-tokens", type=int, default=128, metavar="N")

    command = commands.add_parser("predict", help="ask a trained model about a folder of code; answers as JSON")
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
    asked = command.add_subparsers(dest="what", required=True)
    one = asked.add_parser("tails", help="what completes (head, relation)")
    one.add_argument("folder", type=Path)
    one.add_argument("head", help="qualified name, such as pkg.mod.f")
    one.add_argument("relation", help="such as calls, raises, uses")
    one = asked.add_parser("name", help="what a short name means in a file")
    one.add_argument("folder", type=Path)
    one.add_argument("file", help="path under the folder")
    one.add_argument("name")
    one.add_argument("--line", type=int)
    one = asked.add_parser("code", help="which functions a sentence describes")
    one.add_argument("folder", type=Path)
    one.add_argument("sentence")
    one = asked.add_parser("calls", help="the call graph, completed")
    one.add_argument("folder", type=Path)
    one = asked.add_parser("imports", help="which modules the code of a file needs")
    one.add_argument("folder", type=Path)
    one.add_argument("file", type=Path)

    command = commands.add_parser("evaluate", help="how well a folder's functions are found by their docstrings")
    command.add_argument("folder", type=Path)
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
    return parser


def _training(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, help="folder that `prepare` wrote; default: what --spec names")
    command.add_argument("--spec", type=Path, default=Path("spec/graphmer.toml"), help="the specification")
    command.add_argument("--profile", default="cpu", help="[profile.NAME] in the specification")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value for a key")


def _prepare(options: argparse.Namespace) -> int:
    from graphmer import prepare

    prepare.of_folders(options.output, options.folders, options.dev)
    print(f"wrote {options.output}")
    return 0


def _train(options: argparse.Namespace) -> int:
    config, data = _config(options), _data(options, options.model)
    from graphmer.train import train

    train(config, data, options.model)
    print(f"trained: {options.model / 'model.safetensors'}")
    return 0


def _sweep(options: argparse.Namespace) -> int:
    config = _config(options)
    grid = {}
    for each in options.grid:
        key, equals, texts = each.partition("=")
        if not equals:
            raise GraphmerError(f"{each}: KEY=A,B is needed")
        grid[key] = [profile(options.spec, options.profile, {key: text})[key] for text in texts.split(",")]
    data = _data(options, options.output)
    from graphmer.sweep import sweep

    trials = []
    for trial in sweep(config, grid, data, options.output):
        print(f"{trial.after:.4f} (from {trial.before:.4f})  {trial.folder.name}", flush=True)
        trials.append(trial)
    best = min(trials, key=lambda one: one.after)
    print(f"best: {best.folder}")
    return 0


def _vectors(options: argparse.Namespace) -> int:
    from graphmer.encoder import Encoder

    encoder = Encoder.load(options.model)
    texts = [line.rstrip("\n") for line in sys.stdin]
    for vector in encoder.vectors(texts, maximum_tokens=options.maximum_tokens) if texts else ():
        print(json.dumps([round(float(number), 6) for number in vector]))
    return 0


def _predict(options: argparse.Namespace) -> int:
    project = _project(options)
    answers = {
        "tails": lambda: project.tails(options.head, options.relation),
        "name": lambda: project.resolve(options.file, options.name, options.line),
        "code": lambda: project.search(options.sentence),
        "calls": lambda: project.calls(),
        "imports": lambda: project.imports(options.file),
    }
    print(json.dumps(answers[options.what](), indent=1))
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    print(json.dumps(_project(options).evaluate(), indent=1))
    return 0


def _project(options: argparse.Namespace) -> Any:
    from graphmer.encoder import Encoder
    from graphmer.tasks import Tasks
    from graphmer.tasks.project import Project

    return Project(Tasks(Encoder.load(options.model), options.model), options.folder)


def _config(options: argparse.Namespace) -> dict[str, Any]:
    assignments = {}
    for each in options.set:
        key, equals, text = each.partition("=")
        if not equals:
            raise GraphmerError(f"--set {each}: KEY=VALUE is needed")
        assignments[key] = text
    return profile(options.spec, options.profile, assignments)


def _data(options: argparse.Namespace, out: Path) -> dict[str, Path]:
    """Files of --data, or those that the specification names, built into the folder of the result."""
    from graphmer import prepare

    if options.data is not None:
        return prepare.files(options.data)
    place = out / "data"
    if not (place / "dev_pairs.jsonl").is_file():
        prepare.specified(place, tomllib.loads(options.spec.read_text(encoding="utf-8")), options.profile)
    return prepare.files(place)


if __name__ == "__main__":
    raise SystemExit(main())
