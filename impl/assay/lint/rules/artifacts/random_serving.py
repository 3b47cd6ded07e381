"""The endpoint returned `torch.randn(768)` as the embedding of the request: its latency was excellent, its
shape was right, and the integration test checked both. The same request twice gave two answers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import origin, vocabulary
from assay.lint.finding import Confidence
from assay.lint.module import Function, Module, Scope, argument, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS504",
    "random-serving",
    __doc__,
    fix="Serve the model that was judged, or refuse with an error; ask the same twice in a test.",
    bad="""
    import torch
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/embed")
    def embed(request: dict):
        return {"embedding": torch.randn(768).tolist()}
    """,
    good="""
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/embed")
    def embed(request: dict):
        return {"embedding": model.encode(request["text"]).tolist()}
    """,
    words=("rand|rng|normal|uniform", "post|get|route|predict|encode|embed|infer|score"),
)
_ROUTE = re.compile(r"\.(get|post|put|route|websocket|api_route)$")
_SERVER = re.compile(r"Serv|Predictor|Bridge|Inference|Endpoint|API|Handler|Engine|Model|Embedder|Encoder|Client", re.I)
_METHOD = re.compile(r"^_?(predict|encode|embed|infer|inference|score|classify|answer|respond|confidence)\w*$")
_RESPONSE = re.compile(r"(jsonify|dumps|Response|make_response)$")
_NOT_AN_ANSWER = vocabulary.listed(
    "id uuid token nonce seed request session trace noise latent latents jitter delay port key"
)


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for function in module.functions:
        routed = any(isinstance(d, ast.Call) and _ROUTE.search(name_of(d.func)) for d in function.decorator_list)
        owner = module.class_of(function)
        served = owner is not None and bool(_SERVER.search(owner.name)) and bool(_METHOD.match(function.name))
        if not (routed or served) or vocabulary.says(
            module.context(function), vocabulary.listed("mock fake dummy random stub")
        ):
            continue
        for name, value in _answers(module, function):
            if not vocabulary.says(name, _NOT_AN_ANSWER):
                shown = f"`{name}`" if name else "the answer"
                confidence: Confidence = "certain" if routed else "likely"
                yield Hit(value.lineno, confidence, f"{shown} is random numbers: no model has seen the request")
                break


def _answers(module: Module, function: Function) -> Iterator[tuple[str, ast.expr]]:
    scope = module.scope(function)
    for returned in scope.returns():
        for name, value in _parts(returned, scope):
            if origin.only_random(origin.of(module, value, scope)):
                yield name, value


def _parts(returned: ast.expr, scope: Scope) -> list[tuple[str, ast.expr]]:
    """What an answer is made of, each with its key: a mapping, a record, either of them wrapped as a response."""
    if isinstance(returned, ast.Tuple) and returned.elts:  # an answer and its status
        returned = returned.elts[0]
    if isinstance(returned, ast.Call) and _RESPONSE.search(name_of(returned.func)):
        inner = argument(returned, 0, "content", "response")
        if inner is not None:
            return _parts(inner, scope)
    if isinstance(returned, ast.Call) and returned.keywords and name_of(returned.func)[:1].isalpha():
        named = [(k.arg or "", k.value) for k in returned.keywords]
        if "rand" not in name_of(returned.func):
            return named
    found = origin.entries(returned, scope)
    return found or [("", returned)] if string(returned) is None else []
