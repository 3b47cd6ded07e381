"""Command line: `python -m graphsage train|evaluate|predict FILE --json`.

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


class UsageError(ValueError):
    """Something the user can put right; the message says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m graphsage", description="code understanding on graphs")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("train", "build the corpus that the specification names, train its profile"),
        ("evaluate", "dev losses and operating points of the trained model"),
        ("predict", "imports and defects of every function in a file"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--model", type=Path, default=Path("graphsage-model"), help="folder of the trained model")
        command.add_argument("--spec", type=Path, default=Path("spec/graphsage.toml"), help="the specification")
        command.add_argument("--profile", default="cpu", help="[profile.NAME] in the specification")
        if name == "predict":
            command.add_argument("file", type=Path, help="a Python file")
        if name != "train":
            command.add_argument("--json", action="store_true", help="machine-readable output")
    options = parser.parse_args(arguments)
    try:
        return {"train": _train, "evaluate": _evaluate, "predict": _predict}[options.command](options)
    except (UsageError, CorpusError, OSError, ValueError) as error:
        print(f"graphsage: {error}", file=sys.stderr)
        return 2


def _train(options: argparse.Namespace) -> int:
    from graphsage.train import train

    profile = _profile(options)
    train(profile, _sides(options), options.model)
    print(f"trained: {options.model / 'model.safetensors'}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from graphsage import bridge

    model = bridge.load(options.model)
    figures = {"weights": model.weights, **model.config["training"], **model.thresholds}
    print(json.dumps(figures) if options.json else "\n".join(f"{key:12} {value}" for key, value in figures.items()))
    return 0


def _predict(options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise UsageError(f"{options.file}: no such file")
    text = options.file.read_bytes()
    from graphsage import bridge

    model = bridge.load(options.model)
    try:
        functions = model.answer_file(text)
    except bridge.UnparseableSource as error:
        raise UsageError(f"{options.file}: {error}") from None
    answer = {"functions": functions, "model": {"weights": model.weights, "verdict": "UNPROVEN"}}
    print(json.dumps(answer) if options.json else _readable(answer))
    return 0


def _readable(answer: dict[str, Any]) -> str:
    lines = []
    for function in answer["functions"]:
        imports = ", ".join(f"{each['module']} {each['probability']:.2f}" for each in function["imports"])
        lines.append(f"{function['line']:5} {function['name']}  imports: {imports or '-'}")
        for defect in function["defects"]:
            lines.append(f"{defect['line']:5}   perhaps {defect['operator']}, {defect['probability']:.2f}")
    return "\n".join(lines)


def _profile(options: argparse.Namespace) -> dict[str, Any]:
    profiles = _spec(options).get("profile", {})
    if options.profile not in profiles:
        known = ", ".join(profiles) or "none"
        raise UsageError(f'{options.spec}: no profile "{options.profile}"; known: {known}')
    profile: dict[str, Any] = profiles[options.profile]
    return profile


def _spec(options: argparse.Namespace) -> dict[str, Any]:
    if not options.spec.is_file():
        raise UsageError(f"{options.spec}: no such file; run in the project's root or give --spec")
    return tomllib.loads(options.spec.read_text(encoding="utf-8"))


def _sides(options: argparse.Namespace) -> dict[str, Path]:
    """Build train and dev functions from the distributions that the specification names."""
    from corpus import distributions, records
    from corpus.functions import functions_of
    from corpus.splits import split

    table = _spec(options)["data"]["corpus"]
    table = {**table, **table.get(options.profile, {})}
    names = {side: table[side] for side in ("train", "dev", "test")}
    found = functions_of(distributions.find([name for side in names.values() for name in side]))
    sides = split(found, **names)
    paths = {side: options.model / f"{side}.jsonl" for side in ("train", "dev")}
    for side, path in paths.items():
        records.write(path, sides[side])
    return paths


if __name__ == "__main__":
    sys.exit(main())
