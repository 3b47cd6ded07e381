"""A registry let users upload `model.pth` and called `torch.load` on it: a pickle is a program, and loading it
runs it. In the same repository a test "loaded the trained model" from a file that any earlier test could have
replaced. Weights are numbers; a format that can only hold numbers cannot surprise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.lint.finding import Confidence
from assay.lint.module import Module, constant, keyword
from assay.lint.rule import Hit, Rule
from assay.lint.vocabulary import listed

RULE = Rule(
    "AS505",
    "pickle-checkpoint",
    __doc__,
    fix="Save with `safetensors`; load foreign checkpoints with `torch.load(..., weights_only=True)`.",
    bad="""
    import torch

    def load(path):
        return torch.load(path, weights_only=False)
    """,
    good="""
    from safetensors.torch import load_file

    def load(path):
        return load_file(path)
    """,
    words=("load",),
)

_PICKLES = listed(
    "pickle.load pickle.loads cPickle.load cPickle.loads dill.load dill.loads cloudpickle.load cloudpickle.loads "
    "joblib.load sklearn.externals.joblib.load pandas.read_pickle pd.read_pickle"
)
_LOADS = _PICKLES | {"torch.load", "numpy.load", "np.load"}


@RULE.python
def check(module: Module) -> Iterator[Hit]:
    if module.is_test:
        return
    loads = [(one.dotted, call) for one in module.callees if one.dotted in _LOADS for call in one.calls]
    for name, call in loads:
        if name == "torch.load":
            only = keyword(call, "weights_only")
            if only is None and not any(k.arg is None for k in call.keywords):
                yield _hit(call, "look", "`torch.load` unpickles before PyTorch 2.6; say `weights_only=True`")
            elif constant(only) is False:
                yield _hit(call, "likely", "`torch.load(weights_only=False)` runs whatever the file holds")
        elif name in _PICKLES:
            yield _hit(call, "look", f"`{name}` runs whatever the file holds")
        elif constant(keyword(call, "allow_pickle")) is True:
            yield _hit(call, "look", "`allow_pickle=True` runs whatever the file holds")


def _hit(call: ast.Call, confidence: Confidence, message: str) -> Hit:
    return Hit(call.lineno, confidence, message)
