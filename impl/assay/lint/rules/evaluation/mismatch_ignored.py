"""A checkpoint of another shape was loaded with `strict=False`: not one key matched, nobody looked at the
answer, and a freshly initialised network was evaluated under the name of the trained one. The call returns the
list of what is missing; this code throws it away."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint import vocabulary
from assay.lint.module import Module, constant, keyword, name_of
from assay.lint.rule import Hit, Rule

RULE = Rule(
    "AS103",
    "mismatch-ignored",
    __doc__,
    fix="Load strictly, or look at `missing_keys` and `unexpected_keys` and fail on what is not meant to be absent.",
    bad="""
    def load(model, state):
        model.load_state_dict(state, strict=False)
        return model.eval()
    """,
    good="""
    def load(model, state):
        missing, unexpected = model.load_state_dict(state, strict=False)
        if missing or unexpected:
            raise ValueError(f"missing {missing}, unexpected {unexpected}")
        return model.eval()
    """,
    words=("load_state_dict", "strict"),
)
_PARTIAL = vocabulary.listed("lora adapter adapters peft partial buffers ema processors ip")


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    for call in module.calls:
        if not name_of(call.func).endswith("load_state_dict") or constant(keyword(call, "strict")) is not False:
            continue
        parent = getattr(call, "parent", None)
        thrown = isinstance(parent, ast.Expr) or (isinstance(parent, ast.Assign) and name_of(parent.targets[0]) == "_")
        if thrown:
            partial = vocabulary.says(module.context(call), _PARTIAL)
            message = (
                "`strict=False`, and nobody looks at which keys were missing: the weights may not be loaded at all"
            )
            yield Hit(call.lineno, "look" if partial else "likely", message)
