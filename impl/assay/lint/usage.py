"""What becomes of an object that was made and kept under a name: which attributes are asked for, and does it get away?

Whatever may hand the object to somebody else counts as getting away, so that "never stepped" is a conclusion.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from assay.lint.facts import is_logged
from assay.lint.module import Module, name_of, parents, string

_OWN_BASES = frozenset({"object", "ABC", "abc.ABC", "nn.Module", "torch.nn.Module", "Module", "Generic", "Protocol"})


@dataclass
class Usage:
    """Attributes read of an object, and whether anybody else gets hold of it."""

    attributes: set[str] = field(default_factory=set)
    escapes: bool = False


def kept(call: ast.expr) -> ast.expr | None:
    """The name to which a new object goes, `x = make() if wanted else None` included; None when it goes elsewhere."""
    node: ast.AST = call
    for parent in parents(call):
        if isinstance(parent, ast.IfExp) and node is not parent.test:
            node = parent
        elif isinstance(parent, ast.Assign) and len(parent.targets) == 1 and name_of(parent.targets[0]):
            return parent.targets[0]
        elif isinstance(parent, ast.AnnAssign):
            return parent.target
        else:
            return None
    return None


def of(module: Module, target: ast.expr) -> Usage:
    """How a name is used in its scope, an attribute of self in the whole file."""
    name = name_of(target)
    if isinstance(target, ast.Name):
        scope = module.scope_of(target)
        reads = scope.reads(name)
        declared = any(name in node.names for node in module.nodes(ast.Global, ast.Nonlocal))
        exported = isinstance(scope.node, ast.Module) and not _is_run(module)
        found = Usage(escapes=declared or exported)
    else:
        last = name.rpartition(".")[2]
        reads = [n for n in module.nodes(ast.Attribute) if n.attr == last and isinstance(n.ctx, ast.Load)]
        owner = module.class_of(target)
        bases = {module.dotted(b.value if isinstance(b, ast.Subscript) else b) for b in (owner.bases if owner else ())}
        said = any(string(node) == last for node in module.nodes(ast.Constant))
        found = Usage(escapes=owner is None or bool(bases - _OWN_BASES) or said)
    for node in reads:
        parent = getattr(node, "parent", None)
        if isinstance(parent, ast.Attribute):
            found.attributes.add(parent.attr)
        elif not (isinstance(parent, ast.Compare | ast.Expr) or _is_condition(node, parent) or is_logged(module, node)):
            found.escapes = True
    return found


def _is_condition(node: ast.AST, parent: ast.AST | None) -> bool:
    return isinstance(parent, ast.If | ast.IfExp | ast.While) and parent.test is node


def _is_run(module: Module) -> bool:
    """Is the module a script or a notebook, and not a library that others import a name from?"""
    loops = (ast.For, ast.While)
    guarded = any(isinstance(n, ast.Name) and n.id == "__name__" for n in module.nodes(ast.Name))
    return bool(module.source.places) or guarded or any(isinstance(node, loops) for node in module.tree.body)
