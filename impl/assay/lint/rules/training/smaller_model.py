"""The configuration, the README and the paper said 768 wide, twelve layers, 85 M parameters; the constructor
was called with 256 and four, written as numbers, and 3.2 M parameters were trained. Nothing failed, because
nothing compared the two."""

from __future__ import annotations

from collections.abc import Iterator

from assay.lint.facts import Built, Config, Facts
from assay.lint.project import Project
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS201",
    "smaller-model",
    __doc__,
    fix="Build the model from the configuration, and assert its counted parameters against the declared ones.",
    bad="""
    CONFIG = {"hidden_size": 768, "num_layers": 12, "lr": 3e-4}

    def main(train):
        model = Encoder(hidden_size=256, num_layers=4)
        train(model, lr=CONFIG["lr"])
    """,
    good="""
    CONFIG = {"hidden_size": 768, "num_layers": 12, "lr": 3e-4}

    def main(train):
        model = Encoder(hidden_size=CONFIG["hidden_size"], num_layers=CONFIG["num_layers"])
        train(model, lr=CONFIG["lr"])
    """,
)


_LOADERS = frozenset({"yaml", "json", "tomllib", "omegaconf"})


@RULE.project
def check(project: Project) -> Iterator[Hit]:
    builders = [facts for facts in project.facts if facts.built]
    configs = list(project.configs("dict", "dataclass", "file", "flags")) if builders else []
    for facts in builders:
        yield from _handed_file(project, facts)
        declared = {
            entry.key: (float(entry.value), config.name)
            for other, config in configs
            if not other.test and _concerns(facts, other, config)
            for entry in config.entries
            if isinstance(entry.value, int | float) and not isinstance(entry.value, bool)
        }
        for built in facts.built:
            value, name = declared.get(built.key, (built.value, ""))
            if value != built.value and (_overwrites(built) or built.key not in facts.reads):
                yield Hit(
                    built.line, "likely", f"`{built.how}`, but `{name}` declares {built.key} {value:g}", facts.path
                )


def _handed_file(project: Project, facts: Facts) -> Iterator[Hit]:
    """The file is named on the command line, and one only declares the dimension."""
    if not _LOADERS & set(facts.imports) or facts.files or facts.test:
        return
    for built in facts.built:
        found = [
            (config.name, entry.value)
            for other in project.facts
            for config in other.configs
            for entry in config.entries
            if config.kind == "file" and entry.key == built.key and isinstance(entry.value, int | float)
        ]
        if len(found) == 1 and found[0][1] != built.value and built.key not in facts.reads:
            name, value = found[0]
            yield Hit(built.line, "look", f"`{built.how}`, but `{name}` declares {built.key} {value:g}", facts.path)


def _overwrites(built: Built) -> bool:
    """`args.d_model = 128` wins over whatever was parsed."""
    return not built.how.startswith("self.") and "." in built.how.partition(" = ")[0] and " = " in built.how


def _concerns(facts: Facts, other: Facts, config: Config) -> bool:
    """Does the file that builds know the configuration?"""
    if facts.path == other.path:
        return True
    if config.kind == "file":
        return config.name in facts.files
    return any(name.rpartition(".")[2] == config.name for name in facts.imports)
