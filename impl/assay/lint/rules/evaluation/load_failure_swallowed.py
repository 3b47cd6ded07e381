"""The bridge tried to load its checkpoint, caught every exception, logged a warning and went on with random
weights; its "evaluation of the trained model" ran that way for weeks, and its confidence of 0.5 was read as
caution. A model that could not be loaded has no results."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import facts
from assay.lint.finding import Confidence
from assay.lint.module import Module, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS104",
    "load-failure-swallowed",
    __doc__,
    fix="Let the exception through, or raise one that names the file; mark an untrained model as untrained in "
    "every answer.",
    bad="""
    import torch

    def load(model, path):
        try:
            model.load_state_dict(torch.load(path, weights_only=True))
        except Exception as error:
            print("could not load", error)
        return model.eval()
    """,
    good="""
    import torch

    def load(model, path):
        try:
            model.load_state_dict(torch.load(path, weights_only=True))
        except RuntimeError as error:
            raise ValueError(f"{path}: not a checkpoint of this model") from error
        return model.eval()
    """,
    words=("except", "load_|from_pretrained|.load("),
)
_LOADS = re.compile(
    r"(^|\.)(load_state_dict|load_file|load_weights|load_checkpoint|load_model|load_safetensors)$|^torch\.load$"
    r"|(Model\w*|For[A-Z]\w+)\.from_pretrained$"
)
_OTHERWISE = re.compile(r"load|from_pretrained|exit|skip|fail|abort|download|retry|warn_once")
_EVERYTHING = {"", "Exception", "BaseException"}


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for attempt in module.nodes(ast.Try):
        loaded = next((name for name in _calls(attempt.body, module) if _LOADS.search(name)), None)
        if loaded is None or len(attempt.body) > 12:
            continue
        for handler in attempt.handlers:
            if (confidence := _swallows(module, handler, loaded)) is not None:
                yield Hit(
                    handler.lineno, confidence, f"`{loaded}` may fail here and the code goes on without the weights"
                )


def _swallows(module: Module, handler: ast.ExceptHandler, loaded: str) -> Confidence | None:
    inside = [node for statement in handler.body for node in ast.walk(statement)]
    if any(isinstance(node, ast.Raise | ast.Return | ast.Continue | ast.Break | ast.Yield) for node in inside):
        return None
    called = list(_calls(handler.body, module))
    if any(_OTHERWISE.search(name) for name in called if "onfig" not in name):
        return None
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {name_of(node).rpartition(".")[2] for node in types}
    if names & {"ImportError", "ModuleNotFoundError", "AttributeError"}:
        return None
    logs = all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant | ast.Call))
        for s in handler.body
    ) and all(facts.LOGGING.search(name) for name in called)
    if any(isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) for node in inside):
        return "look"
    return "certain" if logs and names & _EVERYTHING and loaded.endswith("load_state_dict") else "likely"


def _calls(body: list[ast.stmt], module: Module) -> Iterator[str]:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                yield module.called(node)
