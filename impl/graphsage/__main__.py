"""Command line: `python -m graphsage train|evaluate|predict FILE --json|serve [FOLDER]`.

A thin edge: a user's mistake is one line on stderr and exit status 2, never a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corpus import distributions, hub, problems, programs, records
from corpus.errors import CorpusError
from corpus.functions import Function, functions_of
from corpus.programs import Plan, Program
from corpus.splits import split

MODEL = Path("graphsage-model")
_LEARNT = ("train", "dev")


class UsageError(ValueError):
    """Something the user can put right; the message says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m graphsage", description="code understanding on graphs")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("train", "build the corpus and the programs that the specification names, train its profile as `verify` does"),
        ("evaluate", "dev losses, operating points and calibration of the trained model"),
        ("predict", "confidence, imports and defects of every function in a file"),
        ("serve", "answer over HTTP, stating the verdict that lies beside the model"),
    ):
        command = commands.add_parser(name, help=text)
        if name == "serve":
            command.add_argument("model", type=Path, nargs="?", default=MODEL, help="folder of the trained model")
            command.add_argument("--host", default="127.0.0.1", help="address to listen on")
            command.add_argument("--port", type=int, default=8650, help="0 takes a free one")
        else:
            command.add_argument("--model", type=Path, default=MODEL, help="folder of the trained model")
        if name == "train":
            command.add_argument("--spec", type=Path, default=Path("spec/graphsage.toml"), help="the specification")
            command.add_argument("--profile", default="cpu", help="[profile.NAME] in the specification")
            command.add_argument(
                "--programs",
                type=Path,
                metavar="DIR",
                help="learn from programs that `python -m corpus programs` wrote there, in place of those built here: "
                "from MBPP or CodeContests by the hub, say",
            )
        else:
            command.add_argument("--device", choices=("cpu", "cuda", "mps"), help="default: what it was trained for")
        if name == "predict":
            command.add_argument("file", type=Path, help="a Python file")
        if name in ("evaluate", "predict"):
            command.add_argument("--json", action="store_true", help="machine-readable output")
    options = parser.parse_args(arguments)
    try:
        return {"train": _train, "evaluate": _evaluate, "predict": _predict, "serve": _serve}[options.command](options)
    except (UsageError, CorpusError, OSError, ValueError) as error:
        print(f"graphsage: {error}", file=sys.stderr)
        return 2


def _train(options: argparse.Namespace) -> int:
    from graphsage.train import Settings, train

    profile = _profile(options)
    with _reading(options.spec):
        Settings.read(profile)  # refused here, and not once the data are built
    train(profile, _sides(options), options.model)
    print(f"trained: {options.model / 'model.safetensors'}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from graphsage import bridge

    model = bridge.load(options.model, options.device)
    figures = {**model.facts(), **model.config["training"], "thresholds": model.thresholds,
               "calibration": model.calibration}  # fmt: skip
    print(json.dumps(figures) if options.json else "\n".join(f"{key:12} {value}" for key, value in figures.items()))
    return 0


def _predict(options: argparse.Namespace) -> int:
    if not options.file.is_file():
        raise UsageError(f"{options.file}: no such file")
    text = options.file.read_bytes()
    from graphsage import bridge, serving

    model = bridge.load(options.model, options.device)
    try:
        answer = serving.answer(model, serving.Standing.of(options.model), text)
    except bridge.UnparseableSource as error:
        raise UsageError(f"{options.file}: {error}") from None
    print(json.dumps(answer) if options.json else _readable(answer))
    return 0


def _serve(options: argparse.Namespace) -> int:
    if not 0 <= options.port < 2**16:
        raise UsageError(f"--port {options.port}: a port is a number from 0 to {2**16 - 1:,}")
    from graphsage import bridge, serving

    model = bridge.load(options.model, options.device)
    standing = serving.Standing.of(options.model)
    with serving.Server((options.host, options.port), model, standing) as server:
        host, port = server.server_address[:2]
        about = f"weights {model.weights[:12]} on {model.device.name}, {standing.verdict}"
        print(f"http://{host!s}:{port}/predict  {about}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _readable(answer: dict[str, Any]) -> str:
    lines = []
    for function in answer["functions"]:
        imports = ", ".join(f"{each['module']} {each['probability']:.2f}" for each in function["imports"])
        said = f"confidence {function['confidence']:.2f}  imports: {imports or '-'}"
        lines.append(f"{function['line']:5} {function['name']}  {said}")
        for defect in function["defects"]:
            lines.append(f"{defect['line']:5}   perhaps {defect['operator']}, {defect['probability']:.2f}")
    model = answer["model"]
    return "\n".join([*lines, f"{model['verdict']}: weights {model['weights'][:12]} on {model['device']}"])


def _profile(options: argparse.Namespace) -> dict[str, Any]:
    with _reading(options.spec):
        profiles: dict[str, dict[str, Any]] = dict(_spec(options).get("profile", {}))
    if options.profile not in profiles:
        known = ", ".join(profiles) or "none"
        raise UsageError(f'{options.spec}: no profile "{options.profile}"; known: {known}')
    return profiles[options.profile]


@contextmanager
def _reading(spec: Path) -> Iterator[None]:
    """What is missing in a specification, or of another kind than it should be, is told of the file."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{spec}: not the specification of graphsage: {error!r}") from None


def _spec(options: argparse.Namespace) -> dict[str, Any]:
    if not options.spec.is_file():
        raise UsageError(f"{options.spec}: no such file; run in the project's root or give --spec")
    return tomllib.loads(options.spec.read_text(encoding="utf-8"))


def _sides(options: argparse.Namespace) -> dict[str, Path]:
    """Build functions and labelled programs of train and dev from what the specification names and is here."""

    def table(name: str) -> dict[str, Any]:
        found: dict[str, Any] = _spec(options)["data"][name]
        for layer in ("smoke", "sketch") if options.profile == "sketch" else (options.profile,):
            found = found | found.get(layer, {})
        return found

    def counts(key: str) -> dict[str, int]:
        return {side: int(about[key][side]) for side in programs.SIDES}

    with _reading(options.spec):
        names = {side: [*table("corpus")[side]] for side in programs.SIDES}
        about = table("programs")
        wanted = {"doctest": counts("doctest"), "mbpp": counts("mbpp"), "code_contests": counts("contests")}
        memory = options.model / "outcomes.sqlite"
        plan = Plan(int(about["seed"]), int(about["rewrites"]), int(about["mutants"]), memory=memory)
    folder: Path | None = options.programs
    given = None if folder is None else {side: programs.read(folder / f"{side}.jsonl") for side in _LEARNT}
    found = functions_of(distributions.find([name for side in names.values() for name in side]))
    sides = split(found, **names)
    labelled = _labelled(sides, wanted, plan) if given is None else given
    paths: dict[str, Path] = {}
    for side in _LEARNT:
        paths[side] = options.model / f"{side}.jsonl"
        records.write(paths[side], sides[side])
        paths[f"{side}_programs"] = options.model / f"{side}_programs.jsonl"
        records.write(paths[f"{side}_programs"], labelled[side])
    return paths


def _labelled(
    sides: Mapping[str, Sequence[Function]], wanted: dict[str, dict[str, int]], plan: Plan
) -> dict[str, list[Program]]:
    """Programs of doctested functions, and of the public sets that are here."""
    data = hub.folder()
    for name, source in (("mbpp", problems.MBPP), ("code_contests", problems.CODE_CONTESTS)):
        if not source.files_in(data):
            del wanted[name]
            way_out = (
                f"`python -m corpus programs --origins {name}` asks the hub, too, and --programs takes what it wrote"
            )
            print(f"graphsage: without {source.title}, which {hub.VARIABLE} does not have; {way_out}", file=sys.stderr)
    drawn = programs.draw({side: sides[side] for side in programs.SIDES}, wanted, plan.seed, data)
    return {side: programs.label(drawn[side], plan)[0] for side in _LEARNT}


if __name__ == "__main__":
    sys.exit(main())
