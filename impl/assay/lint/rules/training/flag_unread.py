"""`--hard-negatives 8` was in every command of the README. The parser took it, the log printed it, and nothing
else ever asked for it: the ablation "with and without hard negatives" was the same run twice."""

from __future__ import annotations

from collections.abc import Iterator

from assay.lint.finding import Confidence
from assay.lint.project import Project
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS203",
    "flag-unread",
    __doc__,
    fix="Let the option act, or remove it; a test that flips the option must see a difference.",
    bad="""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--hard-negatives", type=int, default=8)
    args = parser.parse_args()
    train(epochs=args.epochs)
    """,
    good="""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--hard-negatives", type=int, default=8)
    args = parser.parse_args()
    train(epochs=args.epochs, negatives=args.hard_negatives)
    """,
)
_ELSEWHERE = frozenset({"local_rank", "config", "f", "deepspeed", "deepspeed_config"})
"""Options that a launcher or kernel passes and the script only has to accept."""


@RULE.project
def check(project: Project) -> Iterator[Hit]:
    for facts, config in project.configs("flags"):
        if facts.parser != "argparse" or facts.test:
            continue
        handed = {name for file in project.closure(facts) for name in file.splats}
        if handed & {"*", "vars"} or not any(entry.key in project.reads for entry in config.entries):
            continue
        for entry in config.entries:
            if entry.key in project.reads or entry.key in _ELSEWHERE:
                continue
            how = "is printed and nothing else" if entry.key in project.logged else "is parsed and read by nobody"
            if entry.key in project.stored:
                how = f"is kept as `self.{project.stored[entry.key]}`, which nobody reads"
            confidence: Confidence = "certain" if config.closed else "look" if config.escapes else "likely"
            yield Hit(entry.line, confidence, f"option `{entry.key}` {how}", facts.path)
