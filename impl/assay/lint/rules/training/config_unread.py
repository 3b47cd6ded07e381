"""Curriculum, label smoothing, span masking, negatives: all in the YAML, all in the report, and no line of code
asked for any of them. Whoever compares two runs of such a configuration compares noise."""

from __future__ import annotations

from collections.abc import Iterator

from assay.lint.finding import Confidence
from assay.lint.project import Project
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS202",
    "config-unread",
    __doc__,
    fix="Read the key where it should act, or delete it; make the loader refuse keys that nobody reads.",
    bad={
        "config.yaml": "optimizer:\n  lr: 0.001\n  warmup_steps: 500\n",
        "train.py": 'import yaml\n\ncfg = yaml.safe_load(open("config.yaml"))\nfit(lr=cfg["optimizer"]["lr"])\n',
    },
    good={
        "config.yaml": "optimizer:\n  lr: 0.001\n  warmup_steps: 500\n",
        "train.py": 'import yaml\n\ncfg = yaml.safe_load(open("config.yaml"))["optimizer"]\n'
        'fit(lr=cfg["lr"], warmup=cfg["warmup_steps"])\n',
    },
)
_DESCRIBES = frozenset(
    {"name", "description", "version", "author", "notes", "comment", "license", "title", "_comment", "project"}
)


@RULE.project
def check(project: Project) -> Iterator[Hit]:
    for facts, config in project.configs("dict", "dataclass", "file"):
        if facts.test or config.escapes or not any(entry.key in project.reads for entry in config.entries):
            continue
        for entry in config.entries:
            if entry.key in project.reads or entry.key in _DESCRIBES or project.handed_over(entry):
                continue
            if config.kind == "dataclass" and entry.key in facts.own:  # by a property or a check of its own
                continue
            if entry.key in project.logged:
                how = "is printed or logged, and has no other effect"
            elif entry.key in project.stored:
                how = f"is kept as `self.{project.stored[entry.key]}`, which nobody reads"
            else:
                how = "is read by no file"
            confidence: Confidence = "look" if config.kind == "dataclass" and not config.closed else "likely"
            yield Hit(entry.line, confidence, f"`{entry.key}` of `{config.name}` {how}", facts.path)
