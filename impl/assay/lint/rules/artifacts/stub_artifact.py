"""`best_model.pt` was forty bytes of text, made by a script so that the test "checkpoint exists" would pass;
`persona-q4.gguf` was 452 bytes. Both were listed as deliverables, with sizes from the plan."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.lint import flow, origin
from assay.lint.module import Module, argument, name_of, parents
from assay.lint.rule import Hit, Rule
from assay.lint.source import Source

RULE = Rule(
    "AS501",
    "stub-artifact",
    __doc__,
    fix="Ship what training wrote, with its digest; let a test load it and compare an answer.",
    bad={"models/best_model.pt": "placeholder weights\n"},
    good={"train.py": "import torch\n\n\ndef save(model, path):\n    torch.save(model.state_dict(), path)\n"},
)
_MAGIC = (".gguf", ".safetensors", ".h5", ".hdf5", ".keras", ".npy", ".npz", ".onnx", ".tflite")
"""Formats that no text can be."""
_TORCH = (".pt", ".pth", ".ckpt")
_POINTERS = re.compile(rb"git-lfs|/annex/objects|^\.\./|^[\w./-]+\n?$")
_STANDS_IN = re.compile(rb"placeholder|dummy|stub|fake|mock|todo|weights|checkpoint", re.I)
_SCRIPTED = re.compile(
    r"^\s*(?:echo|printf)\b[^|;&]*>>?\s*[\"']?([^\s\"';&]+\.(?:pt|pth|ckpt|safetensors|gguf|onnx|h5|keras|npz))\b"
    r"|^\s*touch\s+(?:\S+\s+)*?[\"']?([^\s\"';&]+\.(?:pt|pth|ckpt|safetensors|gguf|onnx|h5|keras|npz|model))\b"
)
_SUFFIX = re.compile(r"\.(pt|pth|ckpt|safetensors|gguf|onnx|h5|keras|npz)$")


@RULE.text("weights")
def check_file(source: Source) -> Iterator[Hit]:
    suffix = "." + source.path.rpartition(".")[2].lower()
    if suffix not in (*_MAGIC, *_TORCH) or not _is_text(source.data) or _POINTERS.search(source.data):
        return
    if suffix in _TORCH and source.data.lstrip().startswith((b"<", b"{")):
        return  # a page template, or an index
    sure = suffix in _MAGIC or bool(_STANDS_IN.search(source.data))
    yield Hit(1, "certain" if sure else "likely", f"{source.size:,} bytes of text under the name of weights")


@RULE.text("shell")
def check_script(source: Source) -> Iterator[Hit]:
    for number, line in enumerate(source.lines, start=1):
        if (found := _SCRIPTED.search(line)) and not line.lstrip().startswith("#"):
            yield Hit(number, "likely", f"`{found[1] or found[2]}` is named as weights and holds a text, or nothing")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for call in [call for callee in module.callees if callee.dotted == "torch.save" for call in callee.calls]:
        if call.args and _is_made_up(module, call.args[0]):
            yield Hit(call.lineno, "likely", "what is saved as weights is written out in the source")
    for call in module.calls:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if last not in ("write_text", "write_bytes", "write") or not call.args or not _is_literal(call.args[0]):
            continue
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else call
        where = _opened(receiver) if last == "write" else receiver
        if where is not None and _names_weights(where):
            yield Hit(call.lineno, "likely", "a literal is written to a file that is named as weights")


def _is_made_up(module: Module, node: ast.expr) -> bool:
    return isinstance(node, ast.Dict | ast.Constant) and origin.only_literal(
        origin.of(module, node, module.scope_of(node))
    )


def _is_text(data: bytes) -> bool:
    if not data.strip():
        return False
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data[: error.start].decode("utf-8") if error.start > len(data) - 4 else "\0"
    return all(c.isprintable() or c in "\r\n\t" for c in text)


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and len(node.value) > 0


def _opened(handle: ast.expr) -> ast.expr | None:
    """The path of `with open(path, "wb") as handle`."""
    for parent in parents(handle):
        for item in parent.items if isinstance(parent, ast.With) else ():
            if item.optional_vars is not None and name_of(item.optional_vars) == name_of(handle):
                return argument(item.context_expr, 0) if isinstance(item.context_expr, ast.Call) else None
    return None


def _names_weights(node: ast.expr) -> bool:
    """Does the path end like weights, through names that can only hold one?"""
    found = flow.value(node) if isinstance(node, ast.Name) else node
    texts = [n.value for n in ast.walk(found or node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return any(_SUFFIX.search(text) for text in texts)
