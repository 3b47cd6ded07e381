"""The model card said "improvement: 100.0": the script that wrote it held the number as a literal, next to an
accuracy of 0.943 that no run had produced. A file of results is evidence only if a measurement wrote it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import origin, vocabulary
from assay.lint.module import Module, Scope, constant, keyword, name_of, string
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS502",
    "fabricated-metadata",
    __doc__,
    fix="Write the numbers where they are measured, with the digest of the weights they belong to.",
    bad="""
    import json

    metadata = {"model": "v2", "accuracy": 0.943, "improvement": 100.0}
    with open("metadata.json", "w") as file:
        json.dump(metadata, file)
    """,
    good="""
    import json

    def write(model, data, file):
        json.dump({"model": "v2", "accuracy": evaluate(model, data)}, file)
    """,
    words=("dump|write|to_json|save|model-index|metric_value", "."),
)
_REPORTED = re.compile(r"([A-Za-z][\w@ -]{1,40}?)\s*[|:=]\s*\**(?:0\.\d{2,}|\d{1,2}\.\d+ ?%)")
_CARD = re.compile(r"""^[ \t-]*value["']?:[ \t]*["']?(\d+\.\d+)""", re.M)
"""A result in the front matter of a model card."""
_REPORT = re.compile(r"(result|metric|report|card|readme|benchmark|summary|evaluation)[\w-]*\.\w+$", re.I)
_WRITES = re.compile(r"(^|\.)(dump|dumps|safe_dump|write_text|write|to_json|writerow|save)$")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    told: set[int] = set()
    for call in module.calls:
        if not _WRITES.search(module.called(call) or getattr(call.func, "attr", "")):
            continue
        scope = module.scope_of(call)
        for value in call.args:
            for key, literal in _claims(module, value, scope):
                if literal.lineno not in told:
                    told.add(literal.lineno)
                    message = f'"{key}" is a number typed into the source and written out as a result'
                    yield Hit(literal.lineno, "likely", message)
    yield from _cards(module)


def _cards(module: Module) -> Iterator[Hit]:
    """A model card with its `model-index` typed in, as text or as `EvalResult(metric_value=0.93)`."""
    for node in module.nodes(ast.Constant) if "model-index" in module.source.text else ():
        text = string(node) or ""
        if "model-index" not in text or isinstance(getattr(node, "parent", None), ast.Expr):
            continue  # a docstring shows how
        for match in _CARD.finditer(text):
            if origin.looks_measured(float(match[1])):
                line = node.lineno + text.count("\n", 0, match.start())
                yield Hit(line, "likely", f"the model card says {match[1]}, a number typed into the source")
    for callee in module.callees:
        for call in callee.calls if callee.dotted.endswith("EvalResult") else ():
            value = keyword(call, "metric_value")
            if value is not None and _is_typed(module, value, module.scope_of(call)):
                yield Hit(value.lineno, "likely", "the model card's result is a number typed into the source")


def _claims(module: Module, value: ast.expr, scope: Scope) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(value, ast.Call) and value.args and _WRITES.search(module.called(value)):
        return  # json.dumps inside write: seen for itself
    for key, inner in origin.entries(value, scope):
        if _is_claim(key) and _is_typed(module, inner, scope, gain=vocabulary.says(key, vocabulary.GAINS)):
            yield key, inner
    yield from _told(module, value, scope)
    text = next((v for v in scope.values.get(name_of(value), []) if v is not None), value) if name_of(value) else value
    if isinstance(text, ast.JoinedStr):
        for part in text.values:
            name = name_of(part.value) if isinstance(part, ast.FormattedValue) else ""
            made = scope.values.get(name)
            if (
                isinstance(part, ast.FormattedValue)
                and made
                and _is_claim(name)
                and _is_typed(module, part.value, scope)
            ):
                yield name, made[0] or part.value


def _told(module: Module, value: ast.expr, scope: Scope) -> Iterator[tuple[str, ast.expr]]:
    """Results in the lines of a report: a text, or a list of texts that is joined."""
    parts = [value]
    if (isinstance(value, ast.Call) and name_of(value.func).endswith("join")) or (
        isinstance(value, ast.Call) and (isinstance(value.func, ast.Attribute) and value.func.attr == "join")
    ):
        name = name_of(value.args[0]) if value.args else ""
        parts = [v for v in [*scope.values.get(name, ()), *scope.added.get(name, ())] if v is not None]
    parts = [one for part in parts for one in (part.elts if isinstance(part, ast.List) else [part])]
    found = [(m, part) for part in parts if (text := string(part)) and (m := _REPORTED.search(text))]
    if found and any(_REPORT.search(text) for node in scope.own if (text := string(node))):
        for match, part in found:
            if _is_claim(match[1]):
                yield match[1].strip(), part


def _is_claim(name: str) -> bool:
    gain = vocabulary.says(name, vocabulary.GAINS) and not vocabulary.says(name, vocabulary.NOT_MEASURED)
    return vocabulary.is_metric(name, strict=True) or gain


def _is_typed(module: Module, value: ast.expr, scope: Scope, gain: bool = False) -> bool:
    if name_of(value) and not origin.only_literal(origin.of(module, value, scope)):
        return False
    found = constant(value) if not name_of(value) else next(iter(origin.numbers(module, value, scope)), None)
    return isinstance(found, float) and (gain or origin.looks_measured(found)) and found != 0
