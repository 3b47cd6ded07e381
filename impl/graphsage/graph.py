"""From source text to a graph in one pass over the syntax tree: nodes with spans, and the edges between them.

Never guesses: source that does not parse raises, it does not become an empty graph.
"""

from __future__ import annotations

import ast
import builtins
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus import parsing

Ints = NDArray[np.int64]


class UnparseableSource(ValueError):  # noqa: N818 (says what is the case)
    """The text is not Python that this interpreter can parse."""


#: What a node can be; small containers (arguments, with-items, expression statements, formatted values,
#: match cases, import aliases) are folded into their parent, operators and contexts into their owner.
KINDS = (
    *("FunctionDef", "ClassDef", "Module", "Return", "Delete", "Assign", "AugAssign", "AnnAssign", "For", "While"),
    *("If", "With", "Match", "Raise", "Try", "Assert", "Import", "Global", "Pass", "Break"),
    "Continue",
    *("BoolOp", "NamedExpr", "BinOp", "UnaryOp", "Lambda", "IfExp", "Dict", "Set", "ListComp", "DictComp"),
    *("GeneratorExp", "Suspend", "Compare", "Call", "JoinedStr", "Constant", "Attribute", "Subscript"),
    *("Starred", "Name", "List", "Tuple", "Slice", "arg", "keyword", "ExceptHandler", "comprehension"),
    *("MatchPattern", "MatchCapture"),
)
KIND = {name: index for index, name in enumerate(KINDS)}

#: The slot a node fills in its parent.
SLOTS = (
    *("root", "body", "orelse", "finalbody", "handler", "test", "guard", "left", "right", "operand", "func"),
    *("argument", "keyword", "value", "index", "target", "iter", "condition", "element", "generator", "item"),
    *("decorator", "returns", "annotation", "parameter", "default", "key", "entry", "raised", "cause"),
    *("message", "caught", "base", "lower", "upper", "step", "subject", "pattern"),
)
SLOT = {name: index for index, name in enumerate(SLOTS)}

#: Operators, in the order of their ids; 0 means none. A chained comparison takes the id of its first one.
OPERATORS = (
    *("none", "Add", "Sub", "Mult", "Div", "FloorDiv", "Mod", "Pow", "MatMult", "LShift", "RShift", "BitOr"),
    *("BitXor", "BitAnd", "And", "Or", "Not", "USub", "UAdd", "Invert", "Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"),
    *("Is", "IsNot", "In", "NotIn"),
)
OPERATOR = {getattr(ast, name): index for index, name in enumerate(OPERATORS) if index}

#: What a constant is; 0 means the node is none.
LITERALS = (
    *("not_literal", "None", "True", "False", "Ellipsis", "int_0", "int_1", "int_2", "int_3", "int_digit"),
    *("int_power_of_two", "int_ten", "int_below_100", "int_large", "float_0_or_1", "float", "complex"),
    *("str_empty", "str_character", "str_word", "str_format", "str_path", "str_text", "bytes"),
)
LITERAL = {name: index for index, name in enumerate(LITERALS)}

EDGE_TYPES = ("child", "next_token", "last_use", "last_write", "call")

#: Node flags (bit masks).
STORE, DELETE, STATEMENT, ASYNC, STAR, MODERN, DECLARED, VARIABLE = 1, 2, 4, 8, 16, 32, 64, 128
#: How the identifier is spelt (flags too): one letter, CONSTANT, _private, CamelCase, with digits, long, builtin.
ONE_LETTER, UPPER, PRIVATE, CAMEL, DIGITS, LONG, BUILTIN = 256, 512, 1024, 2048, 4096, 8192, 16384


@dataclass(frozen=True, slots=True)
class CodeGraphs:
    """The graphs of one or more sources, side by side as in a PyG batch.

    N nodes in pre-order (a parent before its children, values before the targets that they are written to),
    E undirected edges, G graphs. Spans are in the source given: lines from 1, columns in UTF-8 bytes from 0.
    """

    kind: Ints  # (N,) index into KINDS
    parent: Ints  # (N,) node index, -1 at a root
    slot: Ints  # (N,) index into SLOTS
    position: Ints  # (N,) place among the nodes of the same slot, from 0
    flags: Ints  # (N,) bit mask
    operator: Ints  # (N,) index into OPERATORS
    literal: Ints  # (N,) index into LITERALS
    arity: Ints  # (N,) number of arguments of a call or parameters of a function, keywords * 256 added
    size: Ints  # (N,) nodes of the subtree, itself included: it is the slice [i, i + size[i])
    symbol: NDArray[np.uint64]  # (N,) hash of the identifier, operator or constant; 0 where there is none
    noun: NDArray[np.uint64]  # (N,) hash of the last sub-token of the identifier; the symbol itself otherwise
    word_node: Ints  # (W,) node of each sub-token
    word: NDArray[np.uint64]  # (W,) hash of each sub-token (at most four a node)
    known: Ints  # (N,) index of the identifier in WELL_KNOWN, or -1
    span: Ints  # (N, 4) line, column, end line, end column
    last_use: Ints  # (N,) previous occurrence of the same variable, or -1
    last_write: Ints  # (N,) most recent write of the same variable, or -1
    callee: Ints  # (N,) of a call: local definition or previous call of the same callee, or -1
    start: Ints  # (G + 1,) first node of each graph
    edges: Ints  # (2, E) each edge once: child -> parent, token -> next token, use -> earlier use, ...
    edge_type: Ints  # (E,) index into EDGE_TYPES
    order: Ints  # (N,) nodes in the order of their own token in the text, graph by graph
    name: tuple[str, ...]  # (G,) name of the definition at the root, "" where there is none

    def __len__(self) -> int:
        return len(self.start) - 1

    def both_directions(self) -> Ints:
        """PyG's edge_index (2, 2E): every edge and its reverse."""
        return np.concatenate([self.edges, self.edges[::-1]], axis=1)


#: Identifiers met in any Python project; each has a column of its own among the features.
WELL_KNOWN = (
    *("self", "cls", "len", "isinstance", "str", "int", "list", "dict", "tuple", "range", "getattr", "super"),
    *("append", "get", "items", "join", "format", "name", "key", "value", "i", "args", "kwargs", "ValueError"),
)
_WELL_KNOWN = {name: index for index, name in enumerate(WELL_KNOWN)}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_SALT = {"name": 0x9E3779B1, "constant": 0x85EBCA77, "operator": 0xC2B2AE3D}
_BUILTINS = frozenset(dir(builtins))
_IDENTIFIERS: dict[str, tuple[int, int, tuple[int, ...], int, int]] = {}
_MEMO_LIMIT = 200_000


def hashed(text: str, salt: str) -> int:
    """A 62-bit hash that is the same in every process and on every machine; never 0."""
    data = text.encode("utf-8", "surrogatepass")
    return ((zlib.crc32(data, _SALT[salt]) << 30) ^ zlib.adler32(data) ^ _SALT[salt]) & (2**62 - 1) or 1


def _spelling(name: str) -> int:
    """Bit mask of how an identifier is spelt."""
    flags = ONE_LETTER * (len(name) == 1) | UPPER * (len(name) > 1 and name.isupper())
    flags |= PRIVATE * name.startswith("_") | CAMEL * (name[:1].isupper() and not name.isupper())
    flags |= DIGITS * any(letter.isdigit() for letter in name) | LONG * (len(name) > 12)
    return flags | BUILTIN * (name in _BUILTINS)


def _identifier(name: str) -> tuple[int, int, tuple[int, ...], int, int]:
    """(symbol, noun, sub-tokens, index in WELL_KNOWN, spelling) of an identifier, remembered per process."""
    found = _IDENTIFIERS.get(name)
    if found is None:
        words = tuple(hashed(word.lower(), "name") for word in _WORD.findall(name))[-4:]
        symbol = hashed(name, "name")
        found = (symbol, words[-1] if words else symbol, words or (symbol,), _WELL_KNOWN.get(name, -1), _spelling(name))
        if len(_IDENTIFIERS) >= _MEMO_LIMIT:
            _IDENTIFIERS.clear()
        _IDENTIFIERS[name] = found
    return found


_INTS = {0: "int_0", 1: "int_1", 2: "int_2", 3: "int_3"}


def _literal(value: Any) -> int:
    if value is None or value is True or value is False:
        return LITERAL[str(value)]
    if isinstance(value, str):
        if len(value) <= 1:
            return LITERAL["str_character" if value else "str_empty"]
        if "%" in value or "{" in value:
            return LITERAL["str_format"]
        if "/" in value or "\\" in value:
            return LITERAL["str_path"]
        return LITERAL["str_text" if " " in value else "str_word"]
    if isinstance(value, int):
        if value < 10:
            return LITERAL[_INTS.get(value, "int_digit")]
        if value & (value - 1) == 0:
            return LITERAL["int_power_of_two"]
        if value < 100:
            return LITERAL["int_ten" if value % 10 == 0 else "int_below_100"]
        return LITERAL["int_large"]
    if isinstance(value, float):
        return LITERAL["float_0_or_1" if value in (0.0, 1.0) else "float"]
    if isinstance(value, bytes):
        return LITERAL["bytes"]
    return LITERAL["complex" if isinstance(value, complex) else "Ellipsis"]


_CONSTANTS: dict[str, tuple[int, int]] = {}


def _constant(value: Any) -> tuple[int, int]:
    """(literal class, symbol) of a constant, remembered per process where it is short."""
    try:
        text = repr(value)
    except ValueError:  # an integer written in hexadecimal, of more decimal digits than Python gives
        text = hex(value)
    found = _CONSTANTS.get(text)
    if found is None:
        found = (_literal(value), hashed(text, "constant"))
        if len(text) <= 40:
            if len(_CONSTANTS) >= _MEMO_LIMIT:
                _CONSTANTS.clear()
            _CONSTANTS[text] = found
    return found


_OPERATOR_SYMBOLS = [hashed(name, "operator") for name in OPERATORS]


def _plain(kind: str, *fields: str) -> tuple[int, tuple[tuple[str, int], ...]]:
    """A table row: the kind and (attribute, slot) in order of execution; 'a=b' gives attribute a the slot b."""
    pairs = [field.partition("=") for field in fields]
    return KIND[kind], tuple((attribute, SLOT[slot or attribute]) for attribute, _, slot in pairs)


_TABLE: dict[type[ast.AST], tuple[int, tuple[tuple[str, int], ...]]] = {
    ast.FunctionDef: _plain("FunctionDef", "decorator_list=decorator", "returns", "body"),
    ast.AsyncFunctionDef: _plain("FunctionDef", "decorator_list=decorator", "returns", "body"),
    ast.ClassDef: _plain("ClassDef", "decorator_list=decorator", "bases=base", "keywords=keyword", "body"),
    ast.Module: _plain("Module", "body"),
    ast.Return: _plain("Return", "value"),
    ast.Delete: _plain("Delete", "targets=target"),
    ast.Assign: _plain("Assign", "value", "targets=target"),
    ast.AugAssign: _plain("AugAssign", "value", "target"),
    ast.AnnAssign: _plain("AnnAssign", "annotation", "value", "target"),
    ast.For: _plain("For", "iter", "target", "body", "orelse"),
    ast.AsyncFor: _plain("For", "iter", "target", "body", "orelse"),
    ast.While: _plain("While", "test", "body", "orelse"),
    ast.If: _plain("If", "test", "body", "orelse"),
    ast.With: _plain("With", "body"),
    ast.AsyncWith: _plain("With", "body"),
    ast.Match: _plain("Match", "subject"),
    ast.Raise: _plain("Raise", "exc=raised", "cause"),
    ast.Try: _plain("Try", "body", "handlers=handler", "orelse", "finalbody"),
    ast.TryStar: _plain("Try", "body", "handlers=handler", "orelse", "finalbody"),
    ast.Assert: _plain("Assert", "test", "msg=message"),
    ast.Import: _plain("Import"),
    ast.ImportFrom: _plain("Import"),
    ast.Global: _plain("Global"),
    ast.Nonlocal: _plain("Global"),
    ast.Pass: _plain("Pass"),
    ast.Break: _plain("Break"),
    ast.Continue: _plain("Continue"),
    ast.BoolOp: _plain("BoolOp", "values=operand"),
    ast.NamedExpr: _plain("NamedExpr", "value", "target"),
    ast.BinOp: _plain("BinOp", "left", "right"),
    ast.UnaryOp: _plain("UnaryOp", "operand"),
    ast.Lambda: _plain("Lambda", "body"),
    ast.IfExp: _plain("IfExp", "test", "body", "orelse"),
    ast.Dict: _plain("Dict"),
    ast.Set: _plain("Set", "elts=element"),
    ast.ListComp: _plain("ListComp", "generators=generator", "elt=element"),
    ast.SetComp: _plain("Set", "generators=generator", "elt=element"),
    ast.DictComp: _plain("DictComp", "generators=generator", "key", "value=entry"),
    ast.GeneratorExp: _plain("GeneratorExp", "generators=generator", "elt=element"),
    ast.Await: _plain("Suspend", "value"),
    ast.Yield: _plain("Suspend", "value"),
    ast.YieldFrom: _plain("Suspend", "value"),
    ast.Compare: _plain("Compare", "left", "comparators=right"),
    ast.Call: _plain("Call", "func", "args=argument", "keywords=keyword"),
    ast.JoinedStr: _plain("JoinedStr"),
    ast.Constant: _plain("Constant"),
    ast.Attribute: _plain("Attribute", "value"),
    ast.Subscript: _plain("Subscript", "value", "slice=index"),
    ast.Starred: _plain("Starred", "value"),
    ast.Name: _plain("Name"),
    ast.List: _plain("List", "elts=element"),
    ast.Tuple: _plain("Tuple", "elts=element"),
    ast.Slice: _plain("Slice", "lower", "upper", "step"),
    ast.arg: _plain("arg", "annotation"),
    ast.keyword: _plain("keyword", "value"),
    ast.ExceptHandler: _plain("ExceptHandler", "type=caught", "body"),
    ast.comprehension: _plain("comprehension", "iter", "target", "ifs=condition"),
    ast.MatchValue: _plain("MatchPattern", "value"),
    ast.MatchSingleton: _plain("MatchPattern"),
    ast.MatchSequence: _plain("MatchPattern", "patterns=pattern"),
    ast.MatchMapping: _plain("MatchPattern", "keys=key", "patterns=pattern"),
    ast.MatchClass: _plain("MatchPattern", "cls=caught", "patterns=pattern", "kwd_patterns=pattern"),
    ast.MatchOr: _plain("MatchPattern", "patterns=pattern"),
    ast.MatchStar: _plain("MatchCapture"),
    ast.MatchAs: _plain("MatchCapture", "pattern"),
}
if hasattr(ast, "TypeAlias"):  # Python 3.12 and later
    _TABLE[ast.TypeAlias] = _plain("AnnAssign", "value", "name=target")


def _parameters(arguments: ast.arguments) -> list[tuple[ast.AST, int, int, int]]:
    """(node, slot, position, flags) of a function's parameters, each followed by its default."""
    found: list[tuple[ast.AST, int, int, int]] = []
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    marks = [MODERN * (index < len(arguments.posonlyargs)) for index in range(len(plain))]
    groups = list(zip(plain, defaults, marks, strict=True))
    if arguments.vararg:
        groups.append((arguments.vararg, None, STAR))
    groups += [(arg, default, 0) for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        groups.append((arguments.kwarg, None, STAR))
    for place, (arg, default, flag) in enumerate(groups):
        found.append((arg, SLOT["parameter"], place, flag | STORE))
        if default is not None:
            found.append((default, SLOT["default"], place, 0))
    return found


def _folded(node: ast.AST) -> list[tuple[ast.AST, int, int, int]]:
    """(node, slot, position, flags) of the children that sit inside a folded container of the node."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return _parameters(node.args)
    found: list[tuple[ast.AST, int, int, int]] = []
    if isinstance(node, ast.With | ast.AsyncWith):
        for place, item in enumerate(node.items):
            found.append((item.context_expr, SLOT["item"], place, 0))
            if item.optional_vars is not None:
                found.append((item.optional_vars, SLOT["target"], place, 0))
    elif isinstance(node, ast.JoinedStr):
        for place, part in enumerate(node.values):
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            found.append((inner, SLOT["element"], place, 0))
    elif isinstance(node, ast.Dict):
        for place, (key, entry) in enumerate(zip(node.keys, node.values, strict=True)):
            if key is not None:
                found.append((key, SLOT["key"], place, 0))
            found.append((entry, SLOT["entry"], place, 0 if key is not None else STAR))
    elif isinstance(node, ast.Match):
        for place, case in enumerate(node.cases):
            found.append((case.pattern, SLOT["pattern"], place, 0))
            if case.guard is not None:
                found.append((case.guard, SLOT["guard"], place, 0))
            found += [(statement, SLOT["body"], index, 0) for index, statement in enumerate(case.body)]
    return found


#: What a node says besides its kind and children, so that the walk asks once and not class by class.
_PLAIN, _NAME, _ATTRIBUTE, _CONSTANT, _CALL, _ARGUMENT, _KEYWORD, _COMPARE, _OPERATION = range(9)
_DEFINITION, _HANDLER, _IMPORT, _GLOBAL, _CAPTURE = range(9, 14)
_FORMS: dict[type[ast.AST], int] = {
    ast.Name: _NAME,
    ast.Attribute: _ATTRIBUTE,
    ast.Constant: _CONSTANT,
    ast.Call: _CALL,
    ast.arg: _ARGUMENT,
    ast.keyword: _KEYWORD,
    ast.Compare: _COMPARE,
    **dict.fromkeys((ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.AugAssign), _OPERATION),
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef), _DEFINITION),
    ast.ExceptHandler: _HANDLER,
    **dict.fromkeys((ast.Import, ast.ImportFrom), _IMPORT),
    **dict.fromkeys((ast.Global, ast.Nonlocal), _GLOBAL),
    **dict.fromkeys((ast.MatchAs, ast.MatchStar), _CAPTURE),
}
_CONTAINERS = frozenset(
    {ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.With, ast.AsyncWith, ast.JoinedStr, ast.Dict, ast.Match}
)
_FLAGS: dict[type[ast.AST], int] = {
    ast.AsyncFunctionDef: ASYNC,
    ast.AsyncFor: ASYNC,
    ast.AsyncWith: ASYNC,
    ast.Await: ASYNC,
    ast.TryStar: MODERN,
    ast.NamedExpr: MODERN,
    ast.Match: MODERN,
}
_TOKEN_AFTER_FIRST_CHILD = np.isin(
    np.arange(len(KINDS)), [KIND[k] for k in ("BinOp", "BoolOp", "Compare", "Call", "Subscript", "Attribute")]
)


#: Kind, form, (attribute, slot) of the children, flags, whether it holds a folded container.
_ROWS: dict[type[ast.AST], tuple[int, int, tuple[tuple[str, int], ...], int, bool]] = {
    cls: (kind, _FORMS.get(cls, _PLAIN), fields, _FLAGS.get(cls, 0), cls in _CONTAINERS)
    for cls, (kind, fields) in _TABLE.items()
}
_DOCUMENTED = 3  # kinds below may begin with a docstring
_BODY = SLOT["body"]


_TOP = ast.Pass(lineno=1, col_offset=0)  # where a module begins


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


#: kind, parent, slot, position, flags, operator, literal, arity, known, symbol, noun, span, last use and write, callee
_WIDTH = 18


class _Walk:
    """Columns of the nodes met so far; one instance per call of `build`."""

    def __init__(self) -> None:
        self.cells: list[int] = []  # _WIDTH a node; one flat list, since the collector would look at every tuple
        self.parents: list[int] = []
        self.word_nodes: list[int] = []
        self.words: list[int] = []
        self.sizes: list[int] = []
        self.starts = [0]
        self.names: list[str] = []

    def add(self, root: ast.AST) -> None:
        """Append the graph under one root."""
        self.names.append(getattr(root, "name", ""))
        cells, parents, word_nodes, words = self.cells, self.parents, self.word_nodes, self.words
        last_use: dict[str, int] = {}
        last_write: dict[str, int] = {}
        definitions: dict[str, int] = {}
        calls: dict[str, int] = {}
        load, store = ast.Load, ast.Store
        here = len(parents) - 1
        stack: list[tuple[Any, int, int, int, int]] = [(root, -1, SLOT["root"], 0, 0)]
        while stack:
            node, parent, slot, position, flags = stack.pop()
            cls = node.__class__
            if cls is ast.Expr:
                node = node.value
                flags |= STATEMENT
                cls = node.__class__
            kind, form, fields, own_flags, container = _ROWS[cls]
            here += 1
            operator = literal = arity = symbol = 0
            target = known = -1
            name: str | None = None
            variable: str | None = None
            if form == _NAME:
                name = variable = node.id
                if node.ctx.__class__ is not load:
                    flags |= STORE if node.ctx.__class__ is store else DELETE
            elif form == _ATTRIBUTE:
                name = node.attr
                if node.value.__class__ is ast.Name:
                    variable = f"{node.value.id}.{name}"
                if node.ctx.__class__ is not load:
                    flags |= STORE if node.ctx.__class__ is store else DELETE
            elif form == _CONSTANT:
                literal, symbol = _constant(node.value)
            elif form == _CALL:
                function = node.func
                arity = min(len(node.args), 255) + 256 * len(node.keywords)
                if function.__class__ is ast.Name:
                    name = function.id
                    full = name
                elif function.__class__ is ast.Attribute:
                    name = function.attr
                    full = f"{function.value.id}.{name}" if function.value.__class__ is ast.Name else f".{name}"
                else:
                    full = ""
                if full:
                    target = definitions.get(full, -1)
                    if target < 0:
                        target = calls.get(full, -1)
                    calls[full] = here
            elif form == _PLAIN:
                pass
            elif form == _ARGUMENT:
                name = variable = node.arg
            elif form == _KEYWORD:
                name = node.arg
            elif form == _COMPARE:
                operator = OPERATOR[node.ops[0].__class__]
                symbol = hashed("".join([op.__class__.__name__ for op in node.ops]), "operator")
            elif form == _OPERATION:
                operator = OPERATOR[node.op.__class__]
                symbol = _OPERATOR_SYMBOLS[operator]
            elif form == _DEFINITION:
                name = node.name
                definitions[name] = here
                last_write[name] = last_use[name] = here
                if cls is not ast.ClassDef:
                    arguments = node.args
                    arity = min(len(arguments.posonlyargs) + len(arguments.args), 255) + 256 * len(arguments.kwonlyargs)
            elif form == _HANDLER:
                if node.name:
                    name = variable = node.name
                    flags |= STORE
            elif form == _IMPORT:
                name = node.names[0].name if cls is ast.Import else node.module
                for alias in node.names:
                    bound = alias.asname or alias.name.partition(".")[0]
                    last_write[bound] = last_use[bound] = here
            elif form == _GLOBAL:
                flags |= DECLARED
                name = node.names[0]
                for bound in node.names:
                    last_use[bound] = here
            elif node.name:  # _CAPTURE
                name = variable = node.name
                flags |= STORE
            used = written = -1
            if variable is not None:
                flags |= VARIABLE
                used, written = last_use.get(variable, -1), last_write.get(variable, -1)
                last_use[variable] = here
                if flags & (STORE | DELETE):
                    last_write[variable] = here
            noun = symbol
            if name is not None:
                symbol, noun, parts, known, spelling = _IDENTIFIERS.get(name) or _identifier(name)
                flags |= spelling
                words += parts
                word_nodes += [here] * len(parts)
            begin = end = node
            if cls is ast.comprehension:
                own_flags = ASYNC * bool(node.is_async)
                begin, end = node.target, node.ifs[-1] if node.ifs else node.iter
            elif cls is ast.Module:
                begin, end = _TOP, node.body[-1]
            parents.append(parent)
            cells += (
                kind, parent, slot, position, flags | own_flags, operator, literal, arity, known, symbol, noun,
                begin.lineno, begin.col_offset, end.end_lineno, end.end_col_offset, used, written, target,
            )  # fmt: skip
            first = len(stack)
            if container:
                for inner, inner_slot, place, inner_flags in _folded(node):
                    stack.append((inner, here, inner_slot, place, inner_flags))
            for attribute, child_slot in fields:
                child = getattr(node, attribute)
                if child.__class__ is list:
                    place = 0
                    if kind < _DOCUMENTED and child_slot == _BODY and _is_text(child[0]):
                        child = child[1:]  # a docstring is no code
                    for item in child:
                        if item is not None:
                            stack.append((item, here, child_slot, place, 0))
                            place += 1
                elif child is not None:
                    stack.append((child, here, child_slot, 0, 0))
            if len(stack) > first + 1:
                stack[first:] = stack[: first - 1 : -1] if first else stack[::-1]
        first = self.starts[-1]
        size = [1] * (len(parents) - first)
        for index in range(len(parents) - 1, first, -1):
            size[parents[index] - first] += size[index - first]
        self.sizes += size
        self.starts.append(len(parents))


def parse(source: str) -> ast.AST:
    """The root for a source: its one statement, or a module for several. Raises UnparseableSource."""
    try:
        module = parsing.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnparseableSource(f"not Python: {error}") from None
    if not module.body:
        raise UnparseableSource("not Python: the source holds no statement")
    return module.body[0] if len(module.body) == 1 else module


def build(sources: Sequence[str], first: int = 0, total: int | None = None) -> CodeGraphs:
    """The graphs of the sources, in order; one statement becomes the root, several get a module as root.

    Scope is kept simple on purpose: a variable is its name (or `name.attribute`) anywhere inside the source.
    Raises UnparseableSource, with the index of the source when there are several. They may be a part of `total`, from
    number `first` on.
    """
    several = len(sources) if total is None else total
    roots = []
    for index, source in enumerate(sources, first):
        try:
            roots.append(parse(source))
        except UnparseableSource as error:
            raise error if several == 1 else UnparseableSource(f"source {index}: {error}") from None
    return build_trees(roots)


def build_trees(roots: Sequence[ast.AST]) -> CodeGraphs:
    """The graphs of syntax trees that have positions; spans are in the text that the trees were parsed from."""
    walk = _Walk()
    for root in roots:
        walk.add(root)
    table = np.ascontiguousarray(np.array(walk.cells, dtype=np.int64).reshape(-1, _WIDTH).T)
    kind, parent, slot, position, flags, operator, literal, arity, known, symbol, noun = table[:11]
    span, (last_use, last_write, callee) = np.ascontiguousarray(table[11:15].T), table[15:]
    start = np.array(walk.starts, dtype=np.int64)
    order = _token_order(kind, span, start)
    edges, edge_type = _edges(order, parent, last_use, last_write, callee, start)
    return CodeGraphs(
        kind=kind,
        parent=parent,
        slot=slot,
        position=position,
        flags=flags,
        operator=operator,
        literal=literal,
        arity=arity,
        size=np.array(walk.sizes, dtype=np.int64),
        symbol=symbol.view(np.uint64),
        noun=noun.view(np.uint64),
        word_node=np.array(walk.word_nodes, dtype=np.int64),
        word=np.array(walk.words, dtype=np.uint64),
        known=known,
        span=span,
        last_use=last_use,
        last_write=last_write,
        callee=callee,
        start=start,
        edges=edges,
        edge_type=edge_type,
        order=order,
        name=tuple(walk.names),
    )


def _token_order(kind: Ints, span: Ints, start: Ints) -> Ints:
    """Nodes in the order of their own token in the text: an operator, dot or bracket stands after its first child."""
    at = span[:, :2].copy()
    inner = np.flatnonzero(_TOKEN_AFTER_FIRST_CHILD[kind])
    at[inner] = span[np.minimum(inner + 1, len(kind) - 1), 2:]
    graph = np.repeat(np.arange(len(start) - 1), np.diff(start))
    key = (graph.astype(np.int64) << 40) + (at[:, 0].astype(np.int64) << 20) + at[:, 1]
    return np.argsort(key, kind="stable")


def _edges(order: Ints, parent: Ints, last_use: Ints, last_write: Ints, callee: Ints, start: Ints) -> tuple[Ints, Ints]:
    inside = np.ones(max(len(parent) - 1, 0), dtype=bool)
    inside[start[1:-1] - 1] = False
    nodes = np.arange(len(parent), dtype=np.int64)
    pairs = [
        (nodes[parent >= 0], parent[parent >= 0]),
        (order[:-1][inside], order[1:][inside]),
        (nodes[last_use >= 0], last_use[last_use >= 0]),
        # a write that is also the previous occurrence is the same pair of nodes: one edge is enough
        (nodes[(last_write >= 0) & (last_write != last_use)], last_write[(last_write >= 0) & (last_write != last_use)]),
        (nodes[callee >= 0], callee[callee >= 0]),
    ]
    edges = np.concatenate([np.stack(pair) for pair in pairs], axis=1)
    edge_type = np.repeat(np.arange(len(pairs), dtype=np.int64), [len(a) for a, _ in pairs])
    return edges, edge_type
