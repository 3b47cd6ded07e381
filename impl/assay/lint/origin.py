"""Where a value comes from: literals, a random number generator, or something the function was given.

Flow-insensitive and per scope: the union over all assignments, so that "nothing but literals" and "nothing but random
numbers" are conclusions, never guesses. What is not understood counts as given.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from assay.lint.module import Module, Scope, constant, name_of, string
from assay.lint.vocabulary import listed

LITERAL = "literal"
RANDOM = "random"
GIVEN = "given"

Origins = frozenset[str]
_NONE: Origins = frozenset()
_GIVEN: Origins = frozenset({GIVEN})
_LITERAL: Origins = frozenset({LITERAL})
_RANDOM: Origins = frozenset({RANDOM})

_DRAWS = listed(
    "random rand randn randint randrange uniform normal gauss gauss normalvariate betavariate triangular "
    "random_sample standard_normal integers rand_like randn_like randint_like beta binomial poisson exponential "
    "lognormal dirichlet gamma randbits getrandbits truncated_normal random_integers ranf vonmisesvariate "
    "expovariate"
)
_SELECTS = listed("choice choices sample shuffle permutation permuted randperm bernoulli categorical")
_FAMILIES = re.compile(r"^(random|numpy\.random|np\.random|torch|secrets|jax\.random|tf\.random|tensorflow\.random)$")
_GENERATORS = re.compile(r"(^|[._])(rng|random_state|prng|_rng|generator|rs|rand|np_random|randomgen)(\(\))?$", re.I)
_MAKERS = re.compile(r"(^|\.)(default_rng|RandomState|Random|SystemRandom|Generator)$")
_TRANSPARENT = listed(
    "float int round abs min max sum sorted list tuple set dict str bool reversed enumerate zip pow divmod map "
    "filter range complex deepcopy copy replace asdict OrderedDict defaultdict SimpleNamespace namedtuple jsonify "
    "dumps safe_dump dump"
)
_NUMERIC = re.compile(
    r"^(numpy|np|torch|math|statistics|scipy\.special|jax\.numpy|tensorflow|tf)(\.nn\.functional|\.linalg|\.nn)?$"
)
_OPAQUE_TORCH = listed("load save from_numpy compile no_grad tensor as_tensor array asarray fromiter stack")
_LEARNS = re.compile(r"loss|(^|\.)fit$|entropy$|criterion$")
_DEPTH = 40


def of(module: Module, expression: ast.expr | None, scope: Scope) -> Origins:
    """The origins of an expression evaluated in a scope."""
    return _Reader(module).of(expression, scope, 0)


def is_rehearsal(module: Module, name: str, value: ast.expr) -> bool:
    """Is all that a loss or a fit takes beside the name random, too? That tries out shapes or speed, or is an exercise.

    `criterion(torch.randn(8, 10), labels)` claims nothing; `criterion(model(batch), labels)` does. What is fitted is an
    exercise where the `value` of the name is made of the other: `y = 3 * x + noise`, not labels that know nothing of x.
    """
    beside: list[list[ast.expr]] = []
    for call in module.calls:
        called, given = name_of(call.func).lower(), [*call.args, *(k.value for k in call.keywords)]
        if not _LEARNS.search(called) or name not in map(name_of, given):
            continue
        others = [each for each in given if name_of(each) != name]
        if called.endswith("fit") and not {name_of(n) for n in ast.walk(value)} & {*map(name_of, others)} - {""}:
            return False
        beside.append(others)
    return bool(beside) and all(others and all(_is_made_up(module, each) for each in others) for others in beside)


def _is_made_up(module: Module, value: ast.expr) -> bool:
    inner = value.args if isinstance(value, ast.Call) and draw(module, value) is None else [value]
    return bool(inner) and all(only_random(of(module, each, module.scope_of(value))) for each in inner)


def draw(module: Module, call: ast.Call, scope: Scope | None = None) -> str | None:
    """`draw` for a call that makes random numbers from nothing, `select` for one that picks from what it is given."""
    name = module.called(call)
    base, _, last = name.rpartition(".")
    if not base and name in module.aliases.values():
        return None
    known = (
        bool(_FAMILIES.match(base)) or bool(_GENERATORS.search(base)) or bool(_MAKERS.search(base.removesuffix("()")))
    )
    if not known and scope is not None and isinstance(call.func, ast.Attribute):
        for value in scope.values.get(name_of(call.func.value), ()):
            known = known or (isinstance(value, ast.Call) and bool(_MAKERS.search(module.called(value))))
    if not known:
        return None
    if last in _DRAWS:
        return "draw"
    return "select" if last in _SELECTS else None


def only_random(origins: Origins) -> bool:
    """Random numbers, with at most literals around them."""
    return RANDOM in origins and GIVEN not in origins


def only_literal(origins: Origins) -> bool:
    """Literals and nothing else."""
    return origins == _LITERAL


class _Reader:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.busy: set[tuple[ast.AST, str]] = set()
        self.known: dict[tuple[ast.AST, str], Origins] = {}

    def of(self, node: ast.AST | None, scope: Scope, depth: int) -> Origins:
        if node is None or depth > _DEPTH:
            return _GIVEN
        depth += 1
        match node:
            case ast.Constant():
                return _LITERAL
            case ast.Name() | ast.Attribute():
                return self._name(node, scope, depth)
            case ast.Call():
                return self._call(node, scope, depth)
            case ast.IfExp():
                return self.union((node.body, node.orelse), scope, depth)
            case ast.Subscript():
                return self.of(node.value, scope, depth)
            case ast.Await() | ast.Starred() | ast.FormattedValue() | ast.NamedExpr():
                return self.of(node.value, scope, depth)
            case ast.Dict():
                return self.union(node.values, scope, depth) or _LITERAL
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._comprehension(node, node.elt, scope, depth)
            case ast.DictComp():
                return self._comprehension(node, node.value, scope, depth)
            case ast.Lambda():
                return _GIVEN
            case ast.JoinedStr() | ast.Tuple() | ast.List() | ast.Set() | ast.BinOp() | ast.BoolOp() | ast.Compare():
                return (
                    self.union((n for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)), scope, depth)
                    or _LITERAL
                )
            case ast.UnaryOp():
                return self.of(node.operand, scope, depth)
            case _:
                return _GIVEN

    def union(self, nodes: Iterable[ast.AST | None], scope: Scope, depth: int) -> Origins:
        return _NONE.union(*[self.of(node, scope, depth) for node in nodes])

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        element: ast.expr,
        scope: Scope,
        depth: int,
    ) -> Origins:
        own = {name_of(g.target): g.iter for g in node.generators}
        if name_of(element) in own:
            return self.of(own[name_of(element)], scope, depth)
        return self.of(element, scope, depth)

    def _name(self, node: ast.Name | ast.Attribute, scope: Scope, depth: int) -> Origins:
        name = name_of(node)
        found = self._variable(name, scope, depth) if name else None
        if found is not None:
            return found
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                return self._member(node, depth)
            return self.of(node.value, scope, depth)
        if not isinstance(scope.node, ast.Module):  # a literal of the module's level is one here, too
            top = self.module.scope(self.module.tree)
            return self._variable(name, top, depth) or _GIVEN
        return _GIVEN

    def _member(self, node: ast.Attribute, depth: int) -> Origins:
        """An attribute that the class body sets, and nothing else in the module."""
        owner = self.module.class_of(node)
        assigned = [
            (statement.targets[0] if isinstance(statement, ast.Assign) else statement.target, statement.value)
            for statement in (owner.body if owner else ())
            if isinstance(statement, ast.Assign | ast.AnnAssign)
        ]
        values = [value for target, value in assigned if name_of(target) == node.attr and value is not None]
        if not values or node.attr in self.module.stored:
            return _GIVEN
        return self.union(values, self.module.scope(self.module.tree), depth)

    def _variable(self, name: str, scope: Scope, depth: int) -> Origins | None:
        values, added = scope.values.get(name), scope.added.get(name, [])
        if values is None:
            return None
        key = (scope.node, name)
        if key in self.busy:
            return _NONE
        if key in self.known:  # names that are made of each other would be walked once for every way between them
            return self.known[key]
        self.busy.add(key)
        try:
            filled = self.union(added, scope, depth)
            empty = filled and all(_is_empty(value) for value in values)
            self.known[key] = filled if empty else self.union(values, scope, depth) | filled
            return self.known[key]
        finally:
            self.busy.discard(key)

    def _call(self, call: ast.Call, scope: Scope, depth: int) -> Origins:
        kind = draw(self.module, call, scope)
        if kind == "draw":
            return _RANDOM
        arguments = [*call.args, *(k.value for k in call.keywords)]
        if kind == "select":
            population = self.union(call.args[:1], scope, depth) or _GIVEN
            return _RANDOM | (population - _LITERAL)
        name = self.module.called(call)
        base, _, last = name.rpartition(".")
        if (
            (not base and last in _TRANSPARENT)
            or _NUMERIC.match(base)
            or (base and last in _TRANSPARENT and base in _HOLDERS)
        ):
            if last in _OPAQUE_TORCH and base in ("torch",) and last in ("load", "from_numpy", "compile", "no_grad"):
                return _GIVEN
            return self.union(arguments, scope, depth) or _LITERAL
        if isinstance(call.func, ast.Attribute):
            receiver = self.of(call.func.value, scope, depth)
            if GIVEN in receiver:
                return _GIVEN
            return receiver | self.union((a for a in arguments if last not in ("get",)), scope, depth)
        return _GIVEN


_HOLDERS = listed("json yaml copy dataclasses collections types flask builtins orjson ujson")


def _is_empty(value: ast.expr | None) -> bool:
    """`[]`, `{}`, `set()`, `0`, `0.0`, None: where counting and collecting start."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.Call):
        return name_of(value.func).rpartition(".")[2] in (
            "dict",
            "list",
            "set",
            "defaultdict",
            "OrderedDict",
            "Counter",
        )
    return isinstance(value, ast.Constant) and value.value in (0, 0.0, None, "")


def numbers(module: Module, expression: ast.expr, scope: Scope) -> list[int | float]:
    """The numeric literals from which an expression is made, through names and class attributes."""
    found: list[int | float] = []
    seen: set[str] = set()
    queue: list[ast.AST] = [expression]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Name | ast.Attribute) and (name := name_of(node)) and name not in seen:
            seen.add(name)
            owner = module.class_of(node)
            top = module.scope(module.tree)
            last = name.rpartition(".")[2]
            values = scope.values.get(name) or top.values.get(name) or (top.values.get(last) if owner else None) or []
            queue += [v for v in [*values, *scope.added.get(name, [])] if v is not None]
        elif isinstance(value := constant(node), int | float) and not isinstance(value, bool):
            found.append(value)
        else:
            queue += list(ast.iter_child_nodes(node)) if not isinstance(node, ast.Subscript) else [node.value]
    return found


def entries(value: ast.expr, scope: Scope, above: str = "") -> list[tuple[str, ast.expr]]:
    """(dotted key, value) of a dictionary, written out or built up under a name in the scope; nested ones included."""
    found: list[tuple[str, ast.expr]] = []
    dictionaries = [value]
    if name := name_of(value):
        dictionaries = [v for v in scope.values.get(name, ()) if v is not None]
        for node in scope.own:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            key = string(target.slice) if isinstance(target, ast.Subscript) and name_of(target.value) == name else None
            if isinstance(node, ast.Assign) and key is not None:
                if isinstance(node.value, ast.Dict):
                    found += entries(node.value, scope, f"{key}.")
                else:
                    found.append((key, node.value))
    for dictionary in dictionaries:
        if isinstance(dictionary, ast.Dict):
            for key_node, inner in zip(dictionary.keys, dictionary.values, strict=True):
                key = string(key_node)
                if isinstance(inner, ast.Dict):
                    found += entries(inner, scope, f"{above}{key or ''}.")
                elif key is not None:
                    found.append((above + key, inner))
        elif isinstance(dictionary, ast.Call) and name_of(dictionary.func) == "dict":
            found += [(k.arg, k.value) for k in dictionary.keywords if k.arg]
    return found


def looks_measured(value: float) -> bool:
    """0.9234 or 62.5 look like a measurement, 0, 1, 0.5 and 100 do not."""
    return value not in (0.5, -0.5, 1.5) and not float(value).is_integer()
