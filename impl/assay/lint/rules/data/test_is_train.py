"""One file under two names: `validation_file` of the configuration was the training file, and "99.1 % on
validation" was recall of what had been read ten times. The same happens with `eval_dataset=dataset`, and with
`predict(X)` after `fit(X, y)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from assay.lint import flow, label, vocabulary
from assay.lint.facts import Entry
from assay.lint.module import Module, argument, keyword, name_of, parents, string
from assay.lint.project import Project
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS302",
    "test-is-train",
    __doc__,
    fix="Split by group before anything is fitted, and check that no record is on both sides.",
    bad="""
    from transformers import Trainer

    def finetune(model, dataset):
        return Trainer(model=model, train_dataset=dataset, eval_dataset=dataset)
    """,
    good="""
    from transformers import Trainer

    def finetune(model, data):
        return Trainer(model=model, train_dataset=data["train"], eval_dataset=data["validation"])
    """,
    words=("train|fit(", "val|test|eval|dev"),
)
_TRAIN = frozenset({"train", "training"})
_HELD_OUT = vocabulary.listed("val valid validation test testing dev eval evaluation heldout")
_LOADERS = frozenset({"DataLoader", "load_dataset", "read_csv", "read_json", "read_parquet"})
_DATA = vocabulary.listed("set data dataset ds loader x y path file df rows records split")
_DATA_FILE = re.compile(r"\.(jsonl?|csv|tsv|txt|parquet|arrow|npz?|pt|pkl|h5|gz|zip|xml|conll\w*|ya?ml)$")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    paths = [
        Entry(name_of(a.targets[0]), a.lineno, string(a.value)) for a in module.nodes(ast.Assign) if string(a.value)
    ]
    yield from _same_paths(paths)
    yield from _same_paths(list(_fields(module)))
    yield from _same_paths(list(_defaults(module)))
    yield from _given_twice(module)
    yield from _renamed(module)
    yield from _scored_on_fitted(module)
    yield from _loaders_of_one_set(module)


def _fields(module: Module) -> Iterator[Entry]:
    """Declared attributes, `train_path: str = "pairs.jsonl"`, class by class."""
    for node in module.nodes(ast.AnnAssign):
        owner = module.class_of(node)
        if (name := name_of(node.target)) and (value := string(node.value)):
            yield Entry(name, node.lineno, value, [owner.name] if owner else [])


def _defaults(module: Module) -> Iterator[Entry]:
    """Options of a command line, with the text that each has when nobody says otherwise."""
    for callee in module.callees:
        for call in callee.calls if callee.name.endswith(".add_argument") else ():
            option, value = string(argument(call, 0)), string(keyword(call, "default"))
            if option and value:
                yield Entry(option.lstrip("-"), call.lineno, value)


@RULE.project
def check_configurations(project: Project) -> Iterator[Hit]:
    for facts in project.facts:
        for config in facts.configs:
            if config.kind == "file" and not facts.test:
                for hit in _same_paths(config.entries):
                    yield Hit(hit.line, hit.confidence, hit.message, facts.path)


def _same_paths(entries: list[Entry]) -> Iterator[Hit]:
    """`train_file` and `validation_file`, side by side, with one value."""
    trained: dict[tuple[Any, ...], Entry] = {}
    for held_out in (False, True):
        for entry in entries:
            words = vocabulary.words(entry.key)
            split = _HELD_OUT if held_out else _TRAIN
            if words.isdisjoint(split) or not isinstance(entry.value, str) or not _DATA_FILE.search(entry.value):
                continue
            key = (tuple(entry.path), frozenset(words - split), entry.value)
            if not held_out and words.isdisjoint(_HELD_OUT):
                trained[key] = entry
            elif held_out and key in trained and not _is_cut(entries, entry.path):
                yield Hit(entry.line, "likely", f"`{entry.key}` is `{trained[key].key}`: both are {entry.value}")


def _is_cut(entries: list[Entry], path: list[str]) -> bool:
    """Is the one file cut in two by keys beside: `train_split`, `validation_split`?"""
    beside = [(vocabulary.words(one.key), one.value) for one in entries if one.path == path]
    cuts = [
        (words, value) for words, value in beside if words & {"split", "slice", "range", "part", "fold", "fraction"}
    ]
    return any(
        words & _TRAIN and others & _HELD_OUT and value != other for words, value in cuts for others, other in cuts
    )


def _given_twice(module: Module) -> Iterator[Hit]:
    for call in module.calls:
        held_out = keyword(call, "eval_dataset", "val_dataset", "validation_data") if call.keywords else None
        if held_out is None:
            continue
        trained = keyword(call, "train_dataset")
        if trained is not None and _same(trained, held_out):
            yield Hit(
                call.lineno, "certain", f"`{ast.unparse(trained)}` is both what is trained on and what is evaluated"
            )
        fitted = argument(call, 0, "x") if name_of(call.func).endswith(".fit") else None
        if fitted and isinstance(held_out, ast.Tuple) and any(_same(fitted, element) for element in held_out.elts):
            yield Hit(
                call.lineno, "certain", f"`{ast.unparse(fitted)}` is both what is fitted and what is validated on"
            )
    yield from _loaded_twice(module)


def _loaded_twice(module: Module) -> Iterator[Hit]:
    """`train_loader` and `val_loader` over one data set, or one split read twice."""
    seen: dict[tuple[str, ast.AST, str], tuple[str, ast.Assign]] = {}
    for assign in module.nodes(ast.Assign):
        call = assign.value
        if not isinstance(call, ast.Call) or not call.args:
            continue
        called = name_of(call.func).rpartition(".")[2]
        name = name_of(assign.targets[0]) if called in _LOADERS else ""
        if not name:
            continue
        if any(isinstance(p, ast.If) for p in parents(assign)):
            continue
        words = vocabulary.words(name.rpartition(".")[2])
        split = "train" if words & _TRAIN else "held out" if words & _HELD_OUT else ""
        if not split or (words & _TRAIN and words & _HELD_OUT):
            continue
        if called == "DataLoader":
            sampler = keyword(call, "sampler", "batch_sampler") is not None
            data = "" if sampler else name_of(call.args[0])
        else:
            data = ast.unparse(call) if keyword(call, "split") is not None or called.startswith("read") else ""
        scope = module.scope_of(assign).node
        if not data or (called == "DataLoader" and split in vocabulary.words(data)):
            continue
        if split == "train":
            seen[called, scope, data] = name, assign
        elif (called, scope, data) in seen:
            other, first = seen[called, scope, data]
            if not _is_stored_between(module, data, first, assign):
                yield Hit(assign.lineno, "likely", f"`{name}` and `{other}` hold the same data: {data[:60]}")


def _is_stored_between(module: Module, name: str, first: ast.Assign, second: ast.Assign) -> bool:
    """Is the name given something else on a line between the two?"""
    between = (node for node in module.scope_of(first).own if isinstance(node, ast.stmt))
    return any(first.lineno < node.lineno < second.lineno and name in flow.stores(node) for node in between)


def _loaders_of_one_set(module: Module) -> Iterator[Hit]:
    """`train_dataloader` and `val_dataloader` of a Lightning module, over one data set."""
    for owner in module.nodes(ast.ClassDef):
        loaded = {
            f.name: call
            for f in owner.body
            if isinstance(f, ast.FunctionDef) and f.name.endswith("_dataloader")
            for call in module.scope(f).returns()
            if isinstance(call, ast.Call) and name_of(call.func).endswith("DataLoader") and call.args
        }
        trained = loaded.pop("train_dataloader", None)
        if trained is None or any(keyword(c, "sampler", "batch_sampler") for c in [trained, *loaded.values()]):
            continue
        for name, call in loaded.items():
            if not name.startswith("predict") and _same(trained.args[0], call.args[0]):
                message = f"`{name}` and `train_dataloader` read the same data: {ast.unparse(call.args[0])[:60]}"
                yield Hit(call.lineno, "likely", message)


def _same(left: ast.expr, right: ast.expr) -> bool:
    plain = isinstance(left, ast.Name | ast.Attribute | ast.Subscript)
    return plain and ast.unparse(left) == ast.unparse(right)


def _renamed(module: Module) -> Iterator[Hit]:
    for assign in module.nodes(ast.Assign):
        value = name_of(assign.value)
        target = name_of(assign.targets[0]) if value else ""
        if not target:
            continue
        first, second = vocabulary.words(target.rpartition(".")[2]), vocabulary.words(value.rpartition(".")[2])
        if not first & _HELD_OUT or not second & _TRAIN or second & _HELD_OUT or first & _TRAIN:
            continue
        same = (first - _HELD_OUT) == (second - _TRAIN) and vocabulary.says(target, _DATA)
        if same and not any(isinstance(p, ast.If) for p in parents(assign)):
            yield Hit(assign.lineno, "likely", f"`{target}` is `{value}` under another name")


def _scored_on_fitted(module: Module) -> Iterator[Hit]:
    """`model.fit(X, y)` and then `test_acc = score(y, model.predict(X))`, or the same said in a message."""
    for fit in [call for callee in module.callees if callee.name.endswith(".fit") for call in callee.calls]:
        if len(fit.args) < 2 or not name_of(fit.args[0]):
            continue
        model, data = name_of(fit.func).removesuffix(".fit"), name_of(fit.args[0])
        for call in module.calls:
            last = name_of(call.func).removeprefix(model)
            if last not in (".predict", ".score", ".predict_proba") or not call.args or name_of(call.args[0]) != data:
                continue
            assign = next((p for p in parents(call) if isinstance(p, ast.Assign)), None)
            target = name_of(assign.targets[0]) if assign else ""
            told = label.of(call).strip(" :=\n")
            said = [target, told if vocabulary.is_metric(told) else ""]
            name = next((n for n in said if vocabulary.says(n, _HELD_OUT) and not vocabulary.says(n, _TRAIN)), "")
            if name and module.scope_of(call) is module.scope_of(fit) and not _is_other(module, data, fit, call):
                yield Hit(call.lineno, "likely", f"`{name}` is measured on `{data}`, which the model was fitted on")


def _is_other(module: Module, data: str, fit: ast.Call, call: ast.Call) -> bool:
    """Does the name hold something else by then, or is it scored before it is fitted?"""
    assigned = (
        node.lineno
        for node in module.scope_of(fit).own
        if isinstance(node, ast.stmt) and not isinstance(node, _BLOCKS) and data in flow.stores(node)
    )
    return call.lineno <= fit.lineno or any(fit.lineno < line < call.lineno for line in assigned)


_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)
"""Statements that hold others: those are looked at for themselves."""
