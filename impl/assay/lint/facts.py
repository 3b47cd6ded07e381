"""What one file contributes: its own hits, and the facts that rules across files need. Plain data, fit for a cache.

Facts are sound for silence: whatever might be a reading of a key or a flag counts as one.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from assay.lint import vocabulary
from assay.lint.module import Module, argument, constant, keyword, name_of, number, parents, string
from assay.lint.source import Source
from assay.lint.vocabulary import listed

CONFIG_WORDS = listed("config cfg conf hparams hyperparameters hyperparams settings configuration params")
CONFIG_CLASS = re.compile(r"(Config|Configuration|Args|Arguments|Settings|Hparams|HParams|Hyperparameters|Options)$")
LOGGING = re.compile(
    r"(^|\.)(print|pprint|debug|info|warning|warn|error|log|echo|secho|write|log_params|log_hyperparams|add_text|add_hparams|"
    r"log_param|dump|dumps|repr|str|format)$|^(wandb|mlflow|logging|logger|log|console|tqdm)\."
)
_WORD = re.compile(r"^[A-Za-z_]\w{0,47}$")
_FILE = re.compile(r"[\w.-]+\.(?:ya?ml|json|py)$")


@dataclasses.dataclass
class Entry:
    """A key of a configuration, or a flag of a command line.

    Attributes:
        key: the name under which it would be read.
        line: where it is defined, on disk.
        value: the literal, or None.
        path: the keys above it, outermost first.
    """

    key: str
    line: int
    value: Any = None
    path: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Config:
    """A configuration that a file defines.

    Attributes:
        name: of the variable, the class or the file.
        kind: dict, dataclass, file or flags.
        entries: its leaves.
        closed: nobody but code in this file can get hold of it, and only key by key.
        escapes: it is handed over whole to somebody who may be outside the project.
    """

    name: str
    kind: str
    entries: list[Entry]
    closed: bool = False
    escapes: bool = False


@dataclasses.dataclass
class Built:
    """A dimension that is written as a number where a model is built."""

    key: str
    value: float
    line: int
    how: str


@dataclasses.dataclass
class Command:
    """A documented command: the script or module, and the options shown with it."""

    line: int
    script: str
    flags: list[str]


@dataclasses.dataclass
class Ignore:
    """`# assay: ignore[AS101] reason`: where it stands, the line that it covers, for which rules, why."""

    line: int
    covers: int
    rules: list[str]
    reason: str


@dataclasses.dataclass
class Facts:
    """Everything that is known about one file.

    Attributes:
        path: as reported.
        kind: of source.
        hits: (rule, line on disk, confidence, message) of the checks of this file alone.
        note: why the file could not be read or analysed, or nothing.
        broken: a rule failed on the file: a defect of the rule.
        lines: how many.
        reads: names read as attribute of anything but self, as key, or standing in a text.
        own: attributes read of self.
        logged: names that are read to be printed or logged.
        stored: name -> attributes of self in which it is kept.
        splats: what is handed over as `**x`: the last key, or `*` for a whole configuration. `key@module` is handed to
            something of that module, which nobody knows where the project does not have it.
        files: base names of configuration files that texts mention.
        options: everything that looks like `--option`.
        parser: argparse, click, typer, opaque (somebody else defines options) or nothing.
        imports: dotted names of what is imported, relative ones with their dots.
    """

    path: str
    kind: str
    hits: list[tuple[str, int, str, str]] = dataclasses.field(default_factory=list)
    ignores: list[Ignore] = dataclasses.field(default_factory=list)
    note: str = ""
    broken: list[str] = dataclasses.field(default_factory=list)
    lines: int = 0
    test: bool = False
    reads: list[str] = dataclasses.field(default_factory=list)
    own: list[str] = dataclasses.field(default_factory=list)
    logged: list[str] = dataclasses.field(default_factory=list)
    stored: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    splats: list[str] = dataclasses.field(default_factory=list)
    files: list[str] = dataclasses.field(default_factory=list)
    options: list[str] = dataclasses.field(default_factory=list)
    parser: str = ""
    imports: list[str] = dataclasses.field(default_factory=list)
    configs: list[Config] = dataclasses.field(default_factory=list)
    built: list[Built] = dataclasses.field(default_factory=list)
    commands: list[Command] = dataclasses.field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For the cache; fields with nothing in them are left out."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Facts:
        """The inverse of as_json."""
        data = dict(data)
        data["hits"] = [tuple(hit) for hit in data.get("hits", [])]
        data["ignores"] = [Ignore(**x) for x in data.get("ignores", [])]
        data["built"] = [Built(**x) for x in data.get("built", [])]
        data["commands"] = [Command(**x) for x in data.get("commands", [])]
        data["configs"] = [
            Config(**{**x, "entries": [Entry(**entry) for entry in x["entries"]]}) for x in data.get("configs", [])
        ]
        return cls(**data)


def of_text(source: Source, facts: Facts) -> None:
    """A cheap and generous reading of Python that no rule wants to see parsed, or that does not parse."""
    text = source.text
    facts.reads = sorted(
        set(re.findall(r"\.\s*([A-Za-z_]\w*)", text)) | set(re.findall(r"[\"']([A-Za-z_]\w*)[\"']", text))
    )
    facts.files = sorted(set(re.findall(r"[\w.-]+\.(?:ya?ml|json|py)\b", text)))
    facts.options = sorted(set(re.findall(r"--[A-Za-z][\w-]*", text)))
    facts.splats = sorted({"*"} if re.search(r"\*\*\s*(?:config|cfg|conf|vars)\b", text) else set())


def of_module(module: Module, facts: Facts) -> None:
    """Fill in the facts of a Python file or notebook."""
    facts.test = module.is_test
    reads: set[str] = set()
    own: set[str] = set()
    logged: set[str] = set()
    stored: dict[str, set[str]] = {}
    for name, node in _readings(module, own):
        if name in reads:
            continue  # one reading is enough
        if is_logged(module, node):
            logged.add(name)
        elif (kept := _kept_in(node)) is not None:
            stored.setdefault(name, set()).add(kept)
        else:
            reads.add(name)
    facts.own = sorted(own)
    facts.logged, facts.stored = sorted(logged), {name: sorted(attributes) for name, attributes in stored.items()}
    texts = [text for node in module.nodes(ast.Constant) if isinstance(text := node.value, str) and _speaks(node)]
    reads |= {text for text in texts if _WORD.match(text)}
    facts.files = sorted({m.group() for text in texts if len(text) < 300 and (m := _FILE.search(text))})
    facts.options = sorted({o for text in texts if "--" in text for o in re.findall(r"--[A-Za-z][\w-]*", text)})
    facts.reads = sorted(reads)
    facts.imports = sorted(_imported(module))
    facts.splats = sorted(set(_splats(module)))
    facts.parser = _parser(module, facts)
    flags = _flags(module)
    facts.configs = [*flags, *_dictionaries(module), *_classes(module)]
    if not facts.test:
        facts.built = sorted(_built(module), key=lambda built: built.line)


def _readings(module: Module, own: set[str]) -> Iterator[tuple[str, ast.expr]]:
    """(name, node) of attributes, of keys, and of getattr, get and pop; what is read of self goes to `own`."""
    for node in module.nodes(ast.Attribute):
        if isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                own.add(node.attr)
            else:
                yield node.attr, node
    for subscript in module.nodes(ast.Subscript):
        if isinstance(subscript.ctx, ast.Load) and (key := string(subscript.slice)) is not None and _WORD.match(key):
            yield key, subscript
    for callee in module.callees:
        position = {"getattr": 1, "hasattr": 1, "get": 0, "pop": 0}.get(callee.name.rpartition(".")[2])
        if position is None:
            continue
        for call in callee.calls:
            if (key := string(argument(call, position))) is not None and _WORD.match(key):
                yield key, call


_ENDS = (ast.stmt, ast.Lambda, ast.comprehension)


def is_logged(module: Module, node: ast.AST) -> bool:
    """Does the value go into a message and nowhere else?"""
    for parent in parents(node):
        if isinstance(parent, ast.Call) and node is not parent.func and _is_message(module.called(parent)):
            return True
        if isinstance(parent, _ENDS):
            return False
        if isinstance(parent, ast.IfExp) and node is parent.test:
            return False
        node = parent
    return False


@functools.lru_cache(maxsize=65536)
def _is_message(called: str) -> bool:
    return LOGGING.search(called) is not None


def _kept_in(node: ast.AST) -> str | None:
    parent = getattr(node, "parent", None)
    if isinstance(parent, ast.Assign) and len(parent.targets) == 1 and isinstance(parent.targets[0], ast.Attribute):
        target = parent.targets[0]
        return target.attr if name_of(target.value) == "self" else None
    return None


def _speaks(node: ast.Constant) -> bool:
    """Is a text more than a docstring, the key of a literal dictionary, or the name of an option?"""
    parent = getattr(node, "parent", None)
    if isinstance(parent, ast.Expr):
        return False
    if isinstance(parent, ast.Dict):
        return not any(key is node for key in parent.keys)
    if isinstance(parent, ast.Subscript):
        return False  # a reading, or the target of an assignment
    if isinstance(parent, ast.Call):
        last = name_of(parent.func).rpartition(".")[2]
        if last in ("getattr", "hasattr", "get", "pop") or LOGGING.search(last):
            return False
    if isinstance(parent, ast.keyword):
        return parent.arg not in ("dest", "help")
    return True


def _imported(module: Module) -> Iterator[str]:
    for node in module.nodes(ast.Import, ast.ImportFrom):
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                yield "." * node.level + (node.module or "")
                yield "." * node.level + (f"{node.module}." if node.module else "") + alias.name
            else:
                yield alias.name


def _splats(module: Module) -> Iterator[str]:
    """The last key of what is unpacked into a call; `*` for a configuration or a namespace as a whole."""
    loops: dict[str, list[ast.expr]] = {}
    for loop in module.nodes(ast.For):
        loops.setdefault(name_of(loop.target), []).append(loop.iter)
    for callee in module.callees:
        if _is_message(callee.dotted):
            continue
        last = callee.name.rpartition(".")[2]
        if last in _TAKE_ALL and any(_is_settings(call) for call in callee.calls):
            yield "*"
        origin = module.origins.get(callee.name.partition(".")[0])
        for call in callee.calls:
            for word in call.keywords:
                if word.arg is None:
                    yield from _whole(module, word.value, loops)
        if origin is not None or not last or last in _VIEWS:  # no other call hands a section over
            for call in callee.calls:
                yield from _sections(call, origin)
        if callee.name in ("vars", "asdict", "dataclasses.asdict"):
            for call in callee.calls:
                if not is_logged(module, call) and not isinstance(getattr(call, "parent", None), ast.keyword):
                    yield "vars"
    if "__dict__" in module.source.text and any(node.attr == "__dict__" for node in module.nodes(ast.Attribute)):
        yield "vars"


def _sections(call: ast.Call, origin: str | None) -> Iterator[str]:
    """`build(config["model"])` for a `build` that is imported from `origin`, and `config["model"].items()`."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in _VIEWS:
        yield from _section(call.func.value)
    elif origin is not None:
        for value in _given(call):
            for key in _section(value):
                yield f"{key}@{origin}"


def _given(call: ast.Call) -> list[ast.expr]:
    """What a call may hand over: its arguments, and what a method without any is asked of."""
    if call.keywords:
        return [*call.args, *(word.value for word in call.keywords)]
    return call.args or ([call.func.value] if isinstance(call.func, ast.Attribute) else [])


def _section(node: ast.expr) -> Iterator[str]:
    """The last key of `config["model"]` or `cfg.model`."""
    if isinstance(node, ast.Subscript | ast.Attribute) and vocabulary.says(name_of(node.value), CONFIG_WORDS):
        key = string(node.slice) if isinstance(node, ast.Subscript) else node.attr
        if key is not None:
            yield key


def _is_settings(call: ast.Call) -> bool:
    """Is a configuration handed over, or a class or object of one? `Dataset.from_dict({"text": texts})` takes none."""
    names = [*map(name_of, call.args), *(name_of(word.value) for word in call.keywords)]
    owner = name_of(call.func).rpartition(".")[0].rpartition(".")[2]
    named = any(vocabulary.says(name, CONFIG_WORDS) or CONFIG_CLASS.search(name) for name in [*names, owner])
    return named or any(name in ("self", "cls", "args", "opts") for name in names)


def _whole(module: Module, node: ast.expr, loops: Mapping[str, list[ast.expr]], depth: int = 0) -> Iterator[str]:
    """The last key of what is unpacked, through names that hold it, loops over it and dictionaries made of it."""
    if depth > _STEPS:
        return
    if isinstance(node, ast.Name):
        for value in module.scope_of(node).values.get(node.id, ()):
            for held in _given(value) if isinstance(value, ast.Call) else [value]:
                if held is not None and not isinstance(held, ast.Name):
                    yield from _whole(module, held, loops, depth + 1)
        for each in loops.get(node.id, ()):
            yield from _whole(module, each, loops, depth + 1)
        if vocabulary.says(node.id, CONFIG_WORDS) or node.id in ("args", "opts"):
            yield "*"
    elif isinstance(node, ast.Dict):
        for name, value in zip(node.keys, node.values, strict=True):
            if name is None:
                yield from _whole(module, value, loops, depth + 1)
    elif isinstance(node, ast.BinOp):
        yield from _whole(module, node.left, loops, depth + 1)
        yield from _whole(module, node.right, loops, depth + 1)
    elif isinstance(node, ast.Subscript) and (key := string(node.slice)) is not None:
        yield key
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Call):
        yield "vars"
        for value in node.args:
            yield from _whole(module, value, loops, depth + 1)


_STEPS = 4  # from what is unpacked to the section that it is
_TAKE_ALL = listed("instantiate model_validate from_dict fields structured")
_VIEWS = listed("items values keys")
_PARSERS = re.compile(r"(^|\.)(ArgumentParser|ArgParser)$|argument_parser$")
_OPAQUE = re.compile(
    r"HfArgumentParser|TrlParser|SimpleParsing|simple_parsing|LightningCLI|parse_known_args|add_argparse_args|configargparse|"
    r"deepspeed\.add_config|hydra\.main|fire\.Fire|tyro|jsonargparse|absl|gin\.|tap\b|docopt|add_config_arguments"
)


def _parser(module: Module, facts: Facts) -> str:
    names = {callee.dotted for callee in module.callees} | set(facts.imports)
    adding = [call for callee in module.callees if callee.name.endswith(".add_argument") for call in callee.calls]
    defining = set(map(_defining, names))
    if "opaque" in defining or any(map(_is_computed, adding)):
        return "opaque"
    if "argparse" in defining:
        return "argparse"
    if "click" in defining:
        return "click"
    if "typer" in defining:
        if any(map(_is_registering, module.calls)):
            return "opaque"
        facts.options = sorted(
            set(facts.options)
            | {
                f"--{word}{p.replace('_', '-')}"
                for f in module.functions
                for p in module.scope(f).parameters
                for word in ("", "no-")
            }
        )
        return "typer"
    return ""


@functools.lru_cache(maxsize=65536)
def _defining(name: str) -> str:
    """How options are defined by whoever imports or calls the name; nothing for the many that define none."""
    if _OPAQUE.search(name):
        return "opaque"
    if _PARSERS.search(name):
        return "argparse"
    package = name.partition(".")[0]
    return package if package in ("click", "typer") else ""


def _is_registering(call: ast.Call) -> bool:
    """`app.command()(score)`, `app.add_typer(other)`: parameters of functions that lie elsewhere are the options."""
    maker = call.func.func if isinstance(call.func, ast.Call) else None
    return name_of(maker).endswith(".command") or name_of(call.func).endswith(".add_typer")


def _is_computed(call: ast.Call) -> bool:
    """`add_argument(f"--{name}")` defines options that no text holds."""
    return any(string(argument) is None for argument in call.args)


def _flags(module: Module) -> Iterator[Config]:
    """One configuration for all the flags that a file defines."""
    entries = []
    for call in module.calls:
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument") or not call.args:
            continue
        options = [option for option in map(string, call.args) if option and option.startswith("-")]
        if (
            not options
            or string(keyword(call, "action")) in ("version", "help")
            or any(o in options for o in ("-h", "--help"))
        ):
            continue
        named = [option for option in options if option.startswith("--")] or options
        dest = string(keyword(call, "dest")) or named[0].lstrip("-").replace("-", "_")
        if keyword(call, "dest") is not None and string(keyword(call, "dest")) is None:
            continue
        if constant(keyword(call, "help")) is None and name_of(keyword(call, "help")).endswith("SUPPRESS"):
            continue
        if _is_action(keyword(call, "action")):
            continue
        entries.append(Entry(dest, module.source.on_disk(call.lineno), number(keyword(call, "default"))))
    if entries:
        yield Config("args", "flags", entries, closed=_is_closed(module), escapes=_namespace_escapes(module))


def _is_action(node: ast.expr | None) -> bool:
    """A custom action does its work while parsing."""
    return (
        node is not None and not isinstance(node, ast.Constant) and not name_of(node).endswith("BooleanOptionalAction")
    )


def _namespaces(module: Module) -> set[str]:
    """Names that hold what parse_args returned."""
    found = set()
    for assign in module.nodes(ast.Assign):
        call = assign.value
        if isinstance(call, ast.Call) and name_of(call.func).rpartition(".")[2] in ("parse_args", "parse_known_args"):
            found |= {name_of(target) for target in assign.targets if name_of(target)}
    return found


def _is_closed(module: Module) -> bool:
    """Is the namespace only ever used as `args.x`, in this file?

    It may also be returned by a function whose result this file keeps in a name, which then is looked at, too.
    """
    names = _namespaces(module)
    if any(isinstance(n, ast.Attribute) and n.attr == "parse_known_args" for n in module.nodes(ast.Attribute)):
        return False
    makers = set()
    for function in module.functions:
        for value in module.scope(function).returns():
            parsed = isinstance(value, ast.Call) and name_of(value.func).endswith(".parse_args")
            if parsed or name_of(value) in names:
                makers.add(function.name)
    for assign in module.nodes(ast.Assign):
        if isinstance(assign.value, ast.Call) and name_of(assign.value.func) in makers:
            names |= {name_of(target) for target in assign.targets if name_of(target)}
    if not names or any(
        module.tree is module.scope_of(f).node and f.name in ("add_arguments",) for f in module.functions
    ):
        return False
    for node in module.nodes(ast.Name, ast.Attribute):
        if name_of(node) not in names or not isinstance(node.ctx, ast.Load):
            continue
        parent = getattr(node, "parent", None)
        if isinstance(parent, ast.Attribute) and not parent.attr.startswith("__"):
            continue
        if isinstance(parent, ast.Return) and (f := module.function_of(node)) is not None and f.name in makers:
            continue
        return False
    made = [n for n in module.nodes(ast.Call) if name_of(n.func).endswith(".parse_args")]
    return all(_has_home(call, makers, module) for call in made) and bool(made)


def _has_home(call: ast.Call, makers: set[str], module: Module) -> bool:
    parent = getattr(call, "parent", None)
    if isinstance(parent, ast.Assign):
        return True
    return isinstance(parent, ast.Return) and (f := module.function_of(call)) is not None and f.name in makers


def _namespace_escapes(module: Module) -> bool:
    """Is the namespace, or the parser, handed to somebody as a whole?"""
    names = _namespaces(module) | {"args", "opts", "parser", "opt"}
    for call in module.calls:
        called = module.called(call)
        if LOGGING.search(called) or called.rpartition(".")[2] in ("vars", "Namespace"):
            continue
        for value in [*call.args, *(k.value for k in call.keywords)]:
            if name_of(value) in names:
                return True
    return False


def _dictionaries(module: Module) -> Iterator[Config]:
    for assign in module.nodes(ast.Assign):
        if len(assign.targets) != 1 or not isinstance(assign.value, ast.Dict):
            continue
        name = name_of(assign.targets[0])
        if not vocabulary.says(name, CONFIG_WORDS):
            continue
        entries = list(_leaves(module, assign.value, []))
        if len(entries) < 2:
            continue
        read = escapes = False
        for node in module.nodes(ast.Name, ast.Attribute):
            if name_of(node) != name or not isinstance(node.ctx, ast.Load):
                continue
            parent = getattr(node, "parent", None)
            if (isinstance(parent, ast.Subscript) and parent.value is node and string(parent.slice) is not None) or (
                isinstance(parent, ast.Attribute) and parent.attr == "get"
            ):
                read = True
            elif not (is_logged(module, node) or _is_tracked(module, parent)):
                escapes = True
        if read:
            yield Config(name, "dict", entries, closed=not escapes, escapes=escapes)


def _is_tracked(module: Module, parent: ast.AST | None) -> bool:
    call = getattr(parent, "parent", None) if isinstance(parent, ast.keyword) else parent
    return isinstance(call, ast.Call) and bool(_is_message(module.called(call)))


def _leaves(module: Module, node: ast.Dict, path: list[str]) -> Iterator[Entry]:
    for key, value in zip(node.keys, node.values, strict=True):
        name = string(key)
        if name is None:
            continue
        if isinstance(value, ast.Dict) and value.keys:
            yield from _leaves(module, value, [*path, name])
        elif _WORD.match(name):
            yield Entry(name, module.source.on_disk(value.lineno if key is None else key.lineno), constant(value), path)


_PLAIN_BASES = frozenset(
    {"BaseModel", "pydantic.BaseModel", "NamedTuple", "typing.NamedTuple", "object", "ABC", "abc.ABC"}
)


def _classes(module: Module) -> Iterator[Config]:
    """Fields of data classes that are called a configuration and inherit from nobody who might read them."""
    for node in module.nodes(ast.ClassDef):
        decorators = {
            module.dotted(d.func if isinstance(d, ast.Call) else d).rpartition(".")[2] for d in node.decorator_list
        }
        bases = {module.dotted(base) for base in node.bases}
        if (
            not CONFIG_CLASS.search(node.name)
            or bases - _PLAIN_BASES
            or not (decorators & {"dataclass", "define"} or bases)
        ):
            continue
        if any(k.arg for k in node.keywords) or {"ABC", "abc.ABC"} & bases:
            continue
        entries = [
            Entry(statement.target.id, module.source.on_disk(statement.lineno), constant(statement.value))
            for statement in node.body
            if isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and not statement.target.id.startswith("_")
            and "ClassVar" not in ast.dump(statement.annotation)
        ]
        if len(entries) >= 2:
            yield Config(node.name, "dataclass", entries)


DIMENSIONS = listed(
    "hidden_size d_model embed_dim embedding_dim hidden_dim model_dim n_embd emb_dim embedding_size num_layers "
    "n_layers num_hidden_layers depth n_layer num_heads n_heads n_head num_attention_heads nhead "
    "intermediate_size ffn_dim d_ff dim_feedforward hidden_channels num_blocks"
)


def _built(module: Module) -> Iterator[Built]:
    for callee in module.callees:
        last = callee.name.rpartition(".")[2]
        own = CONFIG_CLASS.search(last) and not callee.dotted.startswith("transformers.")
        if not last[:1].isupper() or own:  # a configuration of the project's own may be the one that declares
            continue
        for word in [word for call in callee.calls for word in call.keywords]:
            if word.arg in DIMENSIONS and (value := number(word.value)) is not None:
                yield Built(word.arg, value, module.source.on_disk(word.value.lineno), f"{last}({word.arg}={value:g})")
    for assign in module.nodes(ast.Assign):
        value = number(assign.value)
        if value is None:
            continue
        for target in assign.targets:
            where = module.source.on_disk(assign.lineno)
            conditional = any(isinstance(p, ast.If) for p in parents(assign))
            if isinstance(target, ast.Attribute) and target.attr in DIMENSIONS and not conditional:
                owner = name_of(target.value)
                function = module.function_of(assign)
                given = {a.arg for a in function.args.args} if function is not None and owner == "self" else set()
                configured = any(vocabulary.says(name, CONFIG_WORDS) or name == "args" for name in given)
                if configured or vocabulary.says(owner, CONFIG_WORDS) or owner in ("args", "opts", "opt", "self.args"):
                    yield Built(target.attr, value, where, f"{owner}.{target.attr} = {value:g}")
            elif isinstance(target, ast.Name) and target.id in DIMENSIONS:
                function = module.function_of(assign)
                names = module.scope(function).parameters if function else ()
                if any(vocabulary.says(name, CONFIG_WORDS) or name == "args" for name in names):
                    yield Built(target.id, value, where, f"{target.id} = {value:g}")
