"""The README's first command ended in an option that the script had never had. It had been renamed, or planned;
nobody had ever run the line that every reader tries first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.lint.facts import Facts
from assay.lint.finding import Confidence
from assay.lint.project import Project
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS506",
    "documented-flag-missing",
    __doc__,
    fix="Correct the document, or generate it from the parser; run documented commands in CI with `--help`.",
    bad={
        "README.md": "```\npython train.py --epochs 3 --hard-negatives 8\n```\n",
        "train.py": "import argparse\n\nparser = argparse.ArgumentParser()\n"
        'parser.add_argument("--epochs", type=int)\nprint(parser.parse_args().epochs)\n',
    },
    good={
        "README.md": "```\npython train.py --epochs 3\n```\n",
        "train.py": "import argparse\n\nparser = argparse.ArgumentParser()\n"
        'parser.add_argument("--epochs", type=int)\nprint(parser.parse_args().epochs)\n',
    },
)


_IMPLIED = frozenset({"--help", "--version", "--password", "--yes", "--install-completion", "--show-completion"})
"""What argparse, click and typer add themselves."""


@RULE.project
def check(project: Project) -> Iterator[Hit]:
    for facts in project.facts:
        for command in facts.commands:
            script = project.script(command.script)
            if script is None or script.test or not script.parser:
                continue
            files = project.closure(script)
            if any(file.parser == "opaque" or _is_extended(file) for file in files):
                continue
            known = {option for file in files for option in file.options} | _IMPLIED
            beside = (PurePosixPath(facts.path).parent / command.script).as_posix() == script.path
            sure = beside and len(files) == 1 and script.parser == "argparse" and facts.kind == "markdown"
            confidence: Confidence = "certain" if sure else "likely"
            for flag in command.flags:
                negated = flag.replace("--no-", "--", 1)
                if not any(option.startswith((flag, negated)) for option in known):
                    yield Hit(command.line, confidence, f"`{command.script}` has no option `{flag}`", facts.path)


def _is_extended(facts: Facts) -> bool:
    """Does something add options that no text of the project holds: click_log, typer_config?"""
    return any(name.startswith(("click_", "typer_")) for name in facts.imports)
