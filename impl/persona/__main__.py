"""Command line: `python -m persona prepare|train|evaluate|chat`.

A thin edge: a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from persona.errors import PersonaError

MODEL, DATA = Path("persona-model"), Path("persona-data")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    commands = {"prepare": _prepare, "train": _train, "evaluate": _evaluate, "chat": _chat}
    try:
        return commands[options.command](options)
    except PersonaError as error:
        print(f"persona: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename else " ".join(str(error).split())
        print(f"persona: {told}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m persona", description="a chatbot that keeps to its persona")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("prepare", help="write the files of training, and conversations to ask about")
    command.add_argument("-o", "--output", type=Path, default=DATA, help="folder for the files")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--rows", action="append", default=[], metavar="FILE=N", help="another number of rows")
    command.add_argument("--conversations", action="store_true", help="Synthetic-Persona-Chat, too, for `evaluate`")

    command = commands.add_parser("train", help="base, SFT with adapters, reward model, reinforcement")
    command.add_argument("--data", type=Path, default=DATA, help="folder that `prepare` wrote")
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained chain")
    command.add_argument("--config", type=Path, help="a .toml, .json or .yaml file over the defaults")
    command.add_argument("--spec", type=Path, help="a specification whose profile is used in place of --config")
    command.add_argument("--profile", help="[profile.NAME] of --spec; cpu by default")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="another value, such as sft.epochs=1"
    )

    command = commands.add_parser("evaluate", help="perplexity and replies on rows of a JSON Lines file")
    command.add_argument("file", type=Path, help="rows with persona, dialogue and response")
    _common(command)
    command.add_argument("--json", action="store_true", help="one JSON object")

    command = commands.add_parser("chat", help="talk to the model")
    _common(command)
    command.add_argument("--persona", action="append", default=[], metavar="SENTENCE", help="who it is, one by one")
    return parser


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained chain")
    command.add_argument("--stage", help="whose weights answer: base, sft, ppo, blind, shuffled; the last by default")


def _prepare(options: argparse.Namespace) -> int:
    from persona import prepare

    rows = dict(prepare.ROWS)
    for text in options.rows:
        name, _, count = text.partition("=")
        if not count.isdecimal():
            raise PersonaError(f"--rows {text}: write FILE=N")
        rows[name] = int(count)
    written = prepare.write_world(options.output, options.seed, rows)
    if options.conversations:
        data = os.environ.get("ASSAY_DATA")
        written |= prepare.write_conversations(options.output, Path(data) if data else None)
    for path in written.values():
        print(path)
    return 0


def _train(options: argparse.Namespace) -> int:
    from persona.chain import FILES, train

    train(_config(options), {name: options.data / f"{name}.jsonl" for name in FILES}, options.model)
    print(f"trained: {options.model}", file=sys.stderr)
    return 0


def _config(options: argparse.Namespace) -> dict[str, Any]:
    from persona.config import Settings, get_default_config, load_config, merge_configs

    if options.spec and options.config:
        raise PersonaError("--spec and --config exclude each other")
    if options.profile and not options.spec:
        raise PersonaError("--profile names one of --spec, which is not given")
    config = load_config(options.config) if options.config else get_default_config()
    if options.spec:
        config = merge_configs(config, _profile(options.spec, options.profile or "cpu"))
    for text in options.set:
        config = merge_configs(config, _setting(text))
    Settings.read(config)
    return config


def _profile(spec: Path, name: str) -> dict[str, Any]:
    try:
        profiles = tomllib.loads(spec.read_text(encoding="utf-8")).get("profile", {})
    except ValueError as error:  # no TOML, or no UTF-8
        raise PersonaError(f"{spec}: {error}") from None
    tables = (
        {key: each for key, each in profiles.items() if isinstance(each, dict)} if isinstance(profiles, dict) else {}
    )
    if name not in tables:
        raise PersonaError(f"{spec}: no [profile.{name}]; there are {', '.join(tables) or 'none'}")
    return tables[name]


def _setting(text: str) -> dict[str, Any]:
    """`sft.epochs=1` as nested tables; a value that is no TOML is a string."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise PersonaError(f"--set {text}: write KEY=VALUE")
    try:
        found: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        found = value
    for key in reversed(name.split(".")):
        found = {key: found}
    return dict(found)


def _evaluate(options: argparse.Namespace) -> int:
    from persona import bridge, prepare
    from persona.evaluators import QualityEvaluator

    rows = prepare.read(options.file, "persona", "dialogue", "response")
    model = bridge.load(options.model)
    scored = model.perplexity(rows, stage=options.stage)
    pieces = sum(one["tokens"] for one in scored)
    perplexity = QualityEvaluator().compute_perplexity([[-sum(one["nll"] for one in scored) / pieces]])
    replies = [one["text"] for one in model.reply(rows, stage=options.stage)]
    if options.json:
        print(json.dumps({"perplexity": perplexity, "rows": len(rows), "replies": replies}))
        return 0
    print(f"perplexity {perplexity:.3f} on {len(rows)} rows")
    for row, reply in zip(rows[:20], replies, strict=False):
        print(f"  {row['dialogue'][-1]} | {row['response']} | {reply}")
    return 0


def _chat(options: argparse.Namespace) -> int:
    from persona import bridge
    from persona.chat import chat

    model = bridge.load(options.model)
    if sys.stdin.isatty():
        print("/persona shows who is speaking, /again starts anew, /quit leaves", file=sys.stderr)
    chat(model, options.persona, _lines(), print, stage=options.stage)
    return 0


def _lines() -> Iterator[str]:
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main())
