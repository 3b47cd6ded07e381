"""What a name, an attribute or a call means, over all modules: imports, scopes, classes and bases, declared types.

An answer is a tuple of symbols; an empty one means "not known", never a guess. A resolver serves one file and is
then thrown away: its answers depend on that file and the modules alone, not on what was asked before.

Symbols:
    ("m", module)                a module of the corpus
    ("d", module, scope)         a function or class
    ("v", module, scope, name)   a variable of a module, a class or its instances
    ("o", dotted)                something outside
    ("b", name)                  a builtin           ("bm", "str.join")  a method of one
    ("i", module, scope)         an instance of a class
    ("bi", name, elements)       an instance of a builtin type
    ("oi", dotted)               an instance of a class outside
    ("s", module, class scope, receiver)   super()
"""

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from corpus.syntax import CLASS, FUNCTION, INNER, MODULE, Expression

Symbol = tuple[Any, ...]
Symbols = tuple[Symbol, ...]

BUILTINS: Final = frozenset(name for name in dir(builtins) if not name.startswith("_")) | {"__import__"}
BUILTIN_TYPES: Final = frozenset(name for name in BUILTINS if isinstance(getattr(builtins, name), type))
BUILTIN_EXCEPTIONS: Final = frozenset(
    name for name in BUILTIN_TYPES if issubclass(getattr(builtins, name), BaseException)
)
MODULE_TEXTS: Final = frozenset({"__name__", "__file__", "__doc__", "__package__"})

LONGEST_NAME: Final = 64
"""Parts of a module's dotted name; what has more of them was not written by a person, and leads nowhere."""
_DEEPEST: Final = 24
_MOST: Final = 4  # candidates of one expression; more is no answer
_PROPERTY: Final = frozenset({"property", "cached_property", "abstractproperty", "lazy_property", "reify"})
_KEEPS_RESULT: Final = _PROPERTY | {
    "staticmethod", "classmethod", "abstractmethod", "wraps", "lru_cache", "cache", "override"
}  # fmt: skip
_CONTAINERS: Final = {
    "list": "list List Sequence MutableSequence Collection Iterable Iterator Generator AsyncIterator AsyncIterable "
    "AsyncGenerator Reversible Deque deque",
    "set": "set Set FrozenSet frozenset AbstractSet MutableSet",
    "dict": "dict Dict Mapping MutableMapping DefaultDict defaultdict OrderedDict",
    "tuple": "tuple Tuple",
}
_CONTAINER_OF: Final = {name: kind for kind, names in _CONTAINERS.items() for name in names.split()}
_TRANSPARENT: Final = frozenset(
    [
        "Optional",
        "Union",
        "Annotated",
        "ClassVar",
        "Final",
        "Required",
        "NotRequired",
        "ReadOnly",
        "InitVar",
        "Awaitable",
        "Coroutine",
        "ContextManager",
        "AbstractContextManager",
    ]
)
_CONCRETE: Final = frozenset(["list", "List", "set", "Set", "frozenset", "FrozenSet", "dict", "Dict", "tuple", "Tuple"])
_TYPING: Final = frozenset({"typing", "typing_extensions", "collections", "collections.abc", "_collections_abc"})
_MADE_OF: Final = {"NamedTuple": "tuple", "TypedDict": "dict"}
_ANYTHING: Final = frozenset({"Any", "Never", "NoReturn", "object"})
_STR: Final = ("bi", "str", ())
_RESULTS: Final[Mapping[str, Symbol]] = {
    **dict.fromkeys(
        (
            f"str.{n}"
            for n in [
                "join",
                "format",
                "strip",
                "lstrip",
                "rstrip",
                "lower",
                "upper",
                "replace",
                "title",
                "capitalize",
                "zfill",
            ]
        ),
        _STR,
    ),
    **dict.fromkeys(("str.split", "str.splitlines", "str.rsplit"), ("bi", "list", (_STR,))),
    "str.encode": ("bi", "bytes", ()),
    "bytes.decode": _STR,
    "dict.keys": ("bi", "set", ()),
}
_FUNCTION_RESULTS: Final = {
    **{name: ("bi", name, ()) for name in ("str", "int", "float", "bool", "bytes", "dict", "set", "complex")},
    **dict.fromkeys(("repr", "chr", "hex", "input", "format", "ascii"), ("bi", "str", ())),
    **dict.fromkeys(("len", "ord", "hash", "id"), ("bi", "int", ())),
}
_PASSES_THROUGH: Final = frozenset({"iter", "sorted", "reversed", "list", "tuple", "set", "frozenset"})


class Modules(Protocol):
    """What a resolver asks about the corpus."""

    def scopes(self, module: str) -> Sequence[Mapping[str, Any]] | None:
        """Names of each scope of a module, as `syntax.read` gives them; None where no file was read."""

    def offers(self, module: str) -> frozenset[str]:
        """Names that a module binds itself or gets by a star."""

    def has(self, module: str) -> bool:
        """Whether the corpus has the module, or a module inside a package of that name."""

    def is_package(self, module: str) -> bool: ...

    def is_target(self, module: str) -> bool:
        """Whether it is a compiled extension of a distribution in the corpus."""


class Resolver:
    """Answers for one file."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._known: dict[tuple[Any, ...], Any] = {}
        self._scopes: dict[str, Sequence[Mapping[str, Any]] | None] = {}
        self._depth = 0

    def scopes(self, module: str) -> Sequence[Mapping[str, Any]] | None:
        """The scopes of a module, asked for once."""
        known = self._scopes.get(module)
        if known is None:
            known = self._scopes[module] = self.modules.scopes(module)
        return known

    def _once(self, key: tuple[Any, ...], compute: Callable[[], Any], otherwise: Any = ()) -> Any:
        """Compute once; what asks for itself, or asks too deep, gets `otherwise`."""
        known = self._known.get(key)
        if known is not None:
            return known
        if self._depth >= _DEEPEST:
            return otherwise
        self._known[key] = otherwise
        self._depth += 1
        try:
            found = compute()
        finally:
            self._depth -= 1
        self._known[key] = found
        return found

    # -- names -------------------------------------------------------------------------------------

    def name(self, module: str, scope: int, name: str) -> Symbols:
        """What a name means when it is read in a scope."""
        scopes = self.scopes(module)
        if scopes is None:
            return ()
        here, first = scope, True
        while here != -1:
            names = scopes[here]
            if (first or names["kind"] != CLASS) and name in names["bindings"]:
                return self.binding(module, here, name)
            first = first and names["kind"] == INNER
            here = names["parent"]
        found = self._starred(module, name)
        if found:
            return found
        if name in BUILTINS:
            return (("b", name),)
        return (_STR,) if name in MODULE_TEXTS else ()

    def binding(self, module: str, scope: int, name: str) -> Symbols:
        """What the bindings of a name in its own scope amount to."""
        return self._once(("binding", module, scope, name), lambda: self._binding(module, scope, name))

    def _binding(self, module: str, scope: int, name: str) -> Symbols:
        scopes = self.scopes(module)
        assert scopes is not None
        names = scopes[scope]
        bindings = names["bindings"][name][1]
        definitions = [one[1] for one in bindings if one[0] == "S"]
        if definitions:
            return (("d", module, canonical(scopes, definitions)),)
        imported = [self._imported(module, one) for one in bindings if one[0] in "MF"]
        if imported:
            inside = [found for found in imported if found and found[0][0] != "o"]
            found = [found for found in imported if found]
            return (inside or found or [()])[0]
        if names["kind"] in (MODULE, CLASS):
            return (("v", module, scope, name),)
        return self._union(self._held(module, one) for one in bindings)

    def _imported(self, module: str, binding: tuple[Any, ...]) -> Symbols:
        if binding[0] == "M":
            return self.module(binding[1])
        _, source, level, name = binding
        absolute = self.absolute(module, source, level)
        return () if absolute is None else self.member(absolute, name, module)

    def absolute(self, module: str, source: str, level: int) -> str | None:
        """The module that a from-import names; None where it climbs out of the top."""
        return absolute(module, self.modules.is_package(module), source, level)

    def module(self, name: str) -> Symbols:
        """The module of that dotted name, in the corpus or outside; () where a module of the corpus has no such part.

        Below a file of the corpus nothing is outside: there a name is what the file binds it to (`os.path`), if that
        is a module. A namespace package may have other parts elsewhere.
        """
        found: Symbols = ()
        dotted = ""
        parts = name.split(".")
        for part in parts if len(parts) <= LONGEST_NAME else ():
            top, dotted = not dotted, f"{dotted}.{part}" if dotted else part
            if self.modules.has(dotted):
                found = (("m", dotted),)
            elif top or self.modules.is_target(dotted):
                found = (("o", dotted),)
            elif found and (found[0][0] == "o" or self.scopes(found[0][1]) is None):
                found = (("o", f"{found[0][1]}.{part}"),)
            elif found:
                found = tuple(one for one in self.member(found[0][1], part) if one[0] in ("m", "o"))[:1]
        return found

    def member(self, module: str, name: str, asker: str = "") -> Symbols:
        """`module.name`: a binding, a submodule, or what star imports bring; something outside where the module is.

        A package asking itself for a name means the submodule (`from . import name`).
        """
        if not self.modules.has(module):
            owner = self.module(module)
            if not owner or owner[0][0] == "o":
                return tuple(_outside(dotted, name) for _, dotted in owner)
            module = owner[0][1]
        return self._once(("member", module, name, asker == module), lambda: self._member(module, name, asker))

    def _member(self, module: str, name: str, asker: str) -> Symbols:
        scopes = self.scopes(module)
        submodule = f"{module}.{name}"
        if asker == module and self.modules.has(submodule):
            return (("m", submodule),)
        if scopes is not None:
            if name in scopes[0]["bindings"]:
                found = self.binding(module, 0, name)
                if found:
                    return found
            found = () if self.modules.has(submodule) else self._starred(module, name)
            if found:
                return found
        if self.modules.has(submodule):
            return (("m", submodule),)
        if self.modules.is_target(module) or self.modules.is_target(submodule):
            return (("o", submodule),)
        return (_STR,) if name in MODULE_TEXTS else ()

    def _starred(self, module: str, name: str) -> Symbols:
        """What `from x import *` brings; a star from outside could bring anything, so it brings nothing."""
        scopes = self.scopes(module)
        if scopes is None or not scopes[0]["stars"] or name not in self.modules.offers(module):
            return ()
        return self._once(("starred", module, name), lambda: self._from_stars(module, name, scopes[0]["stars"]))

    def _from_stars(self, module: str, name: str, stars: Iterable[tuple[str, int]]) -> Symbols:
        for source, level in stars:
            absolute = self.absolute(module, source, level)
            if absolute is None or absolute == module or name not in self.modules.offers(absolute):
                continue
            scopes = self.scopes(absolute)
            public = None if scopes is None else scopes[0]["public"]
            hidden = name.startswith("_") if public is None else name not in public and name.startswith("_")
            if not hidden and (found := self.member(absolute, name)):
                return found
        return ()

    # -- expressions -------------------------------------------------------------------------------

    def evaluate(self, module: str, scope: int, written: Expression) -> Symbols:
        """What an expression means: the thing it names where it names one, else the kind of its value."""
        if written is None:
            return ()
        kind = written[0]
        if kind == "n":
            return self.name(module, scope, written[1])
        if kind == "k":
            return (("bi", written[1], ()),)
        return self._once(("evaluate", module, scope, written), lambda: self._evaluate(module, scope, written))

    def _evaluate(self, module: str, scope: int, written: tuple[Any, ...]) -> Symbols:
        kind = written[0]
        if kind == "a":
            bases = self.evaluate(module, scope, written[1])
            return self._union(self.attribute(base, written[2]) for base in bases)
        if kind == "c":
            return self._called(module, scope, written)
        if kind == "i":
            return self._union(self._item(value) for value in self.values(self.evaluate(module, scope, written[1])))
        if kind == "l":
            return (("bi", written[1], self.values(self.evaluate(module, scope, written[2]))),)
        return self._union(self.values(self.evaluate(module, scope, one)) for one in written[1])

    def _called(self, module: str, scope: int, written: tuple[Any, ...]) -> Symbols:
        function = written[1]
        if function is None:
            return ()
        arguments = written[2] if len(written) > 2 else ()
        leaf = function[-1]
        if leaf == "super" and function[0] == "n":
            return self._super(module, scope)
        if leaf == "cast" and arguments:
            return self.instances(module, scope, arguments[0])
        if leaf == "type" and function[0] == "n" and len(arguments) == 1:
            values = self.values(self.evaluate(module, scope, arguments[0]))
            return tuple(("d", *one[1:3]) for one in values if one[0] == "i")
        receivers: Symbols = ()
        if function[0] == "a":
            receivers = self.values(self.evaluate(module, scope, function[1]))
        found = []
        for symbol in self.values(self.evaluate(module, scope, function)):
            if symbol[0] == "b" and symbol[1] in _PASSES_THROUGH and arguments:
                held = self.values(self.evaluate(module, scope, arguments[0]))
                found.append((("bi", "list", self._union(self.elements(one) for one in held)),))
            else:
                found.append(self.result(symbol, receivers))
        return self._union(found)

    def _super(self, module: str, scope: int) -> Symbols:
        scopes = self.scopes(module)
        here = scope
        while scopes is not None and here != -1:
            parent = scopes[here]["parent"]
            if scopes[here]["kind"] == FUNCTION and parent != -1 and scopes[parent]["kind"] == CLASS:
                return (("s", module, canonical(scopes, [parent])),)
            here = parent
        return ()

    def values(self, symbols: Symbols) -> Symbols:
        """Symbols with each variable replaced by what it is known to hold."""
        if not any(symbol[0] == "v" for symbol in symbols):
            return symbols
        return self._union(self._variable(symbol) if symbol[0] == "v" else (symbol,) for symbol in symbols)

    def _variable(self, symbol: Symbol) -> Symbols:
        return self._once(("variable", *symbol), lambda: self._all_held(symbol))

    def _all_held(self, symbol: Symbol) -> Symbols:
        module, bindings = symbol[1], self.bindings_of(symbol)
        return self._union(self.values(self._held(module, one)) for one in bindings)

    def bindings_of(self, symbol: Symbol) -> list[tuple[Any, ...]]:
        """The bindings of a variable; those of the class before those of its instances."""
        _, module, scope, name = symbol
        scopes = self.scopes(module)
        if scopes is None:
            return []
        names = scopes[scope]
        return [one for table in ("bindings", "attributes") if name in names[table] for one in names[table][name][1]]

    def _held(self, module: str, binding: tuple[Any, ...]) -> Symbols:
        """What one binding puts into a name."""
        kind = binding[0]
        if kind == "=":
            _, value, note, scope = binding
            declared = () if note is None else self.instances(module, scope, note)
            return declared or self.values(self.evaluate(module, scope, value))
        if kind == "P":
            _, note, value, scope = binding
            if note is not None:
                return self.instances(module, self._parent(module, scope), note)
            found = self.values(self.evaluate(module, self._parent(module, scope), value))
            return tuple(one for one in found if one[0] == "bi" and one[1] not in ("bool", "int"))
        if kind == "R":
            return (("i", module, self._canonical(module, binding[1])),)
        if kind == "C":
            return (("d", module, self._canonical(module, binding[1])),)
        if kind == "S":
            return (("d", module, binding[1]),)
        if kind in "MF":
            return self._imported(module, binding)
        if kind == "E":
            values = self.values(self.evaluate(module, binding[2], binding[1]))
            return self._union(self.elements(one) for one in values)
        if kind == "W":
            values = self.values(self.evaluate(module, binding[2], binding[1]))
            return self._union(self._entered(one) for one in values)
        if kind in "XH":
            return self._made(self.values(self.evaluate(module, binding[2], binding[1])))
        return ()

    def _made(self, classes: Symbols) -> Symbols:
        """Instances of classes; anything else is dropped."""
        found: list[Symbol] = []
        for one in classes:
            if one[0] == "d" and self.kind(one) == CLASS:
                found.append(("i", *one[1:3]))
            elif one[0] == "b" and one[1] in BUILTIN_TYPES:
                found.append(("bi", one[1], ()))
            elif one[0] == "o" and _looks_like_class(one[1]):
                found.append(("oi", one[1]))
        return tuple(found)

    # -- attributes --------------------------------------------------------------------------------

    def attribute(self, symbol: Symbol, name: str) -> Symbols:
        """`symbol.name`."""
        kind = symbol[0]
        if kind == "m":
            return self.member(symbol[1], name)
        if kind == "v":
            return self._union(self.attribute(one, name) for one in self.values((symbol,)))
        if kind in ("i", "d"):
            if self.kind(symbol) != CLASS:
                return ()
            if name == "__class__" and kind == "i":
                return (("d", *symbol[1:3]),)
            return self.class_attribute(symbol[1], symbol[2], name)
        if kind == "s":
            return self.class_attribute(symbol[1], symbol[2], name, above=True)
        if kind in ("b", "bi"):
            held = getattr(builtins, symbol[1], None)
            known = isinstance(held, type) and hasattr(held, name)
            return (("bm", f"{symbol[1]}.{name}"),) if known else ()
        if kind in ("o", "oi"):
            return (_outside(symbol[1], name),)
        return ()

    def class_attribute(self, module: str, scope: int, name: str, above: bool = False) -> Symbols:
        """An attribute through the class and its bases; an outside base where it is the only one left.

        With `above` the class itself is skipped, as super() does.
        """
        key = ("class", module, scope, name, above)
        return self._once(key, lambda: self._class_attribute(module, scope, name, above))

    def _class_attribute(self, module: str, scope: int, name: str, above: bool) -> Symbols:
        outside: list[Symbol] = []
        for base in self.mro(module, scope)[1 if above else 0 :]:
            if base[0] == "d":
                scopes = self.scopes(base[1])
                assert scopes is not None
                names = scopes[base[2]]
                if name in names["bindings"]:
                    return self.binding(base[1], base[2], name)
                if name in names["attributes"]:
                    return (("v", base[1], base[2], name),)
            elif base[0] == "b":
                if hasattr(getattr(builtins, base[1]), name):
                    return (("bm", f"{base[1]}.{name}"),)
            else:
                outside.append(base)
        if len(outside) == 1 and outside[0][0] == "o":
            return (("o", f"{outside[0][1]}.{name}"),)
        if not outside and hasattr(object, name):
            return (("bm", f"object.{name}"),)
        return ()

    def mro(self, module: str, scope: int) -> Symbols:
        """The class and its bases in method resolution order (C3; left to right, depth first, where C3 has none).

        A base that is not known stands as ("?",).
        """
        own = ("d", module, scope)
        return self._once(("mro", module, scope), lambda: self._mro(own), (own,))

    def _mro(self, own: Symbol) -> Symbols:
        bases = self.bases(own[1], own[2])
        lines = [list(self.mro(*base[1:3])) if base[0] == "d" else [base] for base in bases]
        return (own, *_merged([*lines, list(bases)], own))

    def bases(self, module: str, scope: int) -> Symbols:
        scopes = self.scopes(module)
        assert scopes is not None
        names = scopes[scope]
        found: list[Symbol] = []
        for written, _ in names["bases"]:
            values = self.values(self.evaluate(module, names["parent"], written))
            one = self.base(values[0]) if values else ("?",)
            if one[0] == "b" and one[1] == "object":
                continue
            usable = (one[0] == "d" and self.kind(one) == CLASS) or one[0] == "o" or one[:1] == ("b",)
            found.append(one if usable and one != ("d", module, scope) else ("?",))
        return tuple(dict.fromkeys(found))

    def base(self, symbol: Symbol) -> Symbol:
        """What a base really is: `typing` makes a tuple of NamedTuple, which is a function, and a dict of TypedDict."""
        if symbol[0] == "d" and symbol[1] in _TYPING:
            made = _MADE_OF.get(self.names_of(symbol)["name"])
        else:
            made = _MADE_OF.get(symbol[1].rpartition(".")[2]) if symbol[0] == "o" else None
        return symbol if made is None else ("b", made)

    # -- calls, loops, context managers ------------------------------------------------------------

    def result(self, symbol: Symbol, receivers: Symbols = ()) -> Symbols:
        """What calling `symbol` gives."""
        kind = symbol[0]
        if kind == "d":
            if self.kind(symbol) == CLASS:
                return (("i", *symbol[1:3]),)
            receiver = next((one for one in receivers if one[0] in ("i", "d", "s")), None)
            return self.returned(symbol, receiver)
        if kind == "b":
            found = _FUNCTION_RESULTS.get(symbol[1])
            if found is not None:
                return (found,)
            return (("bi", symbol[1], ()),) if symbol[1] in BUILTIN_TYPES and symbol[1] != "type" else ()
        if kind == "bm":
            found = _RESULTS.get(symbol[1])
            return () if found is None else (found,)
        if kind == "o" and _looks_like_class(symbol[1]):
            return (("oi", symbol[1]),)
        if kind == "i":
            methods = self.class_attribute(symbol[1], symbol[2], "__call__")
            return self._union(self.result(one, (symbol,)) for one in methods if one[0] == "d")
        return ()

    def returned(self, function: Symbol, receiver: Symbol | None) -> Symbols:
        """What a function gives back: its declared type, else what its return statements are known to hold."""
        key = ("returned", function, receiver)
        return self._once(key, lambda: self._returned(function, receiver))

    def _returned(self, function: Symbol, receiver: Symbol | None) -> Symbols:
        _, module, scope = function
        scopes = self.scopes(module)
        assert scopes is not None
        names = scopes[scope]
        if names["result"] is not None:
            if names["result"][-1] == "Self" and names["result"][0] in "na":
                return self._itself(module, names, receiver)
            return self.instances(module, names["parent"], names["result"])
        if "generator" in names["flags"] or self._decorated_otherwise(names):
            return ()
        found = []
        own = ("n", names["self"])
        makes_itself = names["self"] and names["bindings"][names["self"]][1][0][0] == "C"
        for written in names["returns"]:
            if (written == own and names["self"]) or (makes_itself and written[:2] == ("c", own)):
                found.append(self._itself(module, names, receiver))
            else:
                found.append(self.values(self.evaluate(module, scope, written)))
        return self._union(found)

    def _itself(self, module: str, names: Mapping[str, Any], receiver: Symbol | None) -> Symbols:
        if receiver is not None and receiver[0] in ("i", "d"):
            return (("i", *receiver[1:3]),)
        scopes = self.scopes(module)
        inside = scopes is not None and names["parent"] != -1 and scopes[names["parent"]]["kind"] == CLASS
        return (("i", module, names["parent"]),) if inside else ()

    @staticmethod
    def _decorated_otherwise(names: Mapping[str, Any]) -> bool:
        """A decorator may change what a call gives, save the well-known ones that do not."""
        return any(written is None or written[-1] not in _KEEPS_RESULT for written, _ in names["decorators"])

    def elements(self, symbol: Symbol) -> Symbols:
        """What a loop over `symbol` gives."""
        if symbol[0] == "bi":
            return (_STR,) if symbol[1] == "str" else symbol[2]
        if symbol[0] == "i":
            for name in ("__iter__", "__aiter__"):
                for one in self.class_attribute(symbol[1], symbol[2], name):
                    if one[0] == "d":
                        return self._union(self.elements(held) for held in self.returned(one, symbol) if held != symbol)
        return ()

    def _item(self, symbol: Symbol) -> Symbols:
        """`symbol[...]`: a generic class is itself, a container gives its elements."""
        if symbol[0] in ("d", "b", "o"):
            return (symbol,)
        if symbol[0] == "bi":
            return (_STR,) if symbol[1] == "str" else symbol[2]
        if symbol[0] == "i":
            for one in self.class_attribute(symbol[1], symbol[2], "__getitem__"):
                if one[0] == "d":
                    return self.returned(one, symbol)
        return ()

    def _entered(self, symbol: Symbol) -> Symbols:
        """What `with symbol as x` binds."""
        if symbol[0] == "i":
            for name in ("__enter__", "__aenter__"):
                for one in self.class_attribute(symbol[1], symbol[2], name):
                    if one[0] == "d":
                        return self.returned(one, symbol) or (symbol,)
            return ()
        if symbol[0] == "bi" and symbol[1] == "iterable":
            return symbol[2]  # a context manager made of a generator function that declares Iterator[X]
        return (symbol,) if symbol[0] == "oi" else ()

    # -- annotations -------------------------------------------------------------------------------

    def instances(self, module: str, scope: int, written: Expression) -> Symbols:
        """What a value of the annotated type is."""
        if written is None:
            return ()
        key = ("instances", module, scope, written)
        return self._once(key, lambda: self._instances(module, scope, written))

    def _instances(self, module: str, scope: int, written: tuple[Any, ...]) -> Symbols:
        kind = written[0]
        if kind == "|":
            return self._union(self.instances(module, scope, one) for one in written[1])
        if kind == "i":
            base, arguments = written[1], written[2]
            leaf = "" if base is None or base[0] not in "na" else base[-1]
            if leaf in _TRANSPARENT:
                wanted = arguments if leaf == "Union" else arguments[-1:] if leaf == "Coroutine" else arguments[:1]
                return self._union(self.instances(module, scope, one) for one in wanted)
            if leaf in ("type", "Type"):
                held = self.instances(module, scope, arguments[0]) if arguments else ()
                return tuple(("d", *one[1:3]) for one in held if one[0] == "i")
            if leaf in _CONTAINER_OF and not self._is_own_class(module, scope, base):
                container = _CONTAINER_OF[leaf]
                held = self._union(self.instances(module, scope, one) for one in self._element(container, arguments))
                return (("bi", _container(leaf), held),)
            written = base if base is not None else ("?",)
            kind = written[0]
        if kind not in "na":
            return ()
        leaf = written[-1]
        if leaf in _CONTAINER_OF and not self._is_own_class(module, scope, written):
            return (("bi", _container(leaf), ()),)
        if leaf == "Self":
            return self._class_around(module, scope)
        if leaf in _ANYTHING:
            return ()
        found: list[Symbols] = []
        for symbol in self.evaluate(module, scope, written):
            if symbol[0] == "v":
                found.append(self._alias(symbol))
            elif symbol[0] == "o":
                found.append((("oi", symbol[1]),) if _looks_like_class(symbol[1]) else ())
            else:
                found.append(self._made((symbol,)))
        return self._union(found)

    def _is_own_class(self, module: str, scope: int, written: Expression) -> bool:
        """Whether List, Set and the like are here names of the corpus's own classes."""
        found = self.evaluate(module, scope, written)
        return any(one[0] == "d" and one[1] not in _TYPING for one in found)

    @staticmethod
    def _element(container: str, arguments: Sequence[Expression]) -> Sequence[Expression]:
        """The arguments that say what an iteration or a subscript gives; of a mapping, its values."""
        return arguments[1:2] if container == "dict" else arguments[:1] if container != "tuple" else arguments

    def _class_around(self, module: str, scope: int) -> Symbols:
        scopes = self.scopes(module)
        while scopes is not None and scope != -1:
            if scopes[scope]["kind"] == CLASS:
                return (("i", module, self._canonical(module, scope)),)
            scope = scopes[scope]["parent"]
        return ()

    def _alias(self, symbol: Symbol) -> Symbols:
        """A variable in an annotation: what the alias stands for, or the class that it holds."""
        found = []
        for binding in self.bindings_of(symbol):
            if binding[0] == "T" and not (binding[1] and binding[1][0] == "c"):
                found.append(self.instances(symbol[1], binding[3], binding[1]))
            elif binding[0] == "=":
                found.append(self._made(self.values(self.evaluate(symbol[1], binding[3], binding[1]))))
        return self._union(found)

    # -- definitions -------------------------------------------------------------------------------

    def names_of(self, symbol: Symbol) -> Mapping[str, Any]:
        """The scope behind a function, class or instance."""
        scopes = self.scopes(symbol[1])
        assert scopes is not None
        return scopes[symbol[2]]

    def kind(self, symbol: Symbol) -> str:
        return str(self.names_of(symbol)["kind"])

    def is_property(self, symbol: Symbol) -> bool:
        """Whether reading the attribute runs the function."""
        if symbol[0] != "d":
            return False
        for written, _ in self.names_of(symbol)["decorators"]:
            leaf = "" if written is None or written[0] not in "na" else written[-1]
            if leaf in _PROPERTY or leaf.endswith("property") or leaf in ("setter", "getter", "deleter"):
                return True
        return False

    def _parent(self, module: str, scope: int) -> int:
        scopes = self.scopes(module)
        assert scopes is not None
        return int(scopes[scope]["parent"])

    def _canonical(self, module: str, scope: int) -> int:
        scopes = self.scopes(module)
        assert scopes is not None
        return canonical(scopes, [scope])

    def _union(self, parts: Iterable[Symbols]) -> Symbols:
        found: dict[Symbol, None] = {}
        for part in parts:
            for symbol in part:
                found[symbol] = None
        return tuple(found) if len(found) <= _MOST else ()


def _outside(owner: str, name: str) -> Symbol:
    """An attribute of something outside; the module of builtins is no stranger."""
    return ("b", name) if owner == "builtins" and name in BUILTINS else ("o", f"{owner}.{name}")


def absolute(module: str, is_package: bool, source: str, level: int) -> str | None:
    """The module that `from ...source import` in `module` names; None where it climbs out of the top."""
    if level == 0:
        return source
    parts = module.split(".")
    drop = level - 1 if is_package else level
    if drop > len(parts) or (drop == len(parts) and not source):
        return None
    return ".".join([*parts[: len(parts) - drop], *([source] if source else [])])


def canonical(scopes: Sequence[Mapping[str, Any]], definitions: Sequence[int]) -> int:
    """Of several definitions of one name (branches, overloads, setters) the first that is no overload."""
    for index in definitions:
        if all(written is None or written[-1] != "overload" for written, _ in scopes[index]["decorators"]):
            return index
    return definitions[-1]


def _merged(lines: list[list[Symbol]], own: Symbol) -> Iterator[Symbol]:
    """The C3 merge; where it is stuck, the first head left, as depth-first order has it."""
    seen = {own}
    while lines := [line for line in lines if line]:
        head = next(
            (line[0] for line in lines if not any(line[0] in other[1:] for other in lines)),
            lines[0][0],
        )
        if head not in seen:
            seen.add(head)
            yield head
        lines = [[one for one in line if one != head] for line in lines]


def _container(leaf: str) -> str:
    """The builtin that has the methods of the annotated container; "iterable", which has none, for an abstract one."""
    return _CONTAINER_OF[leaf] if leaf in _CONCRETE else "iterable"


def _looks_like_class(dotted: str) -> bool:
    """Outside code is not read; by PEP 8 a class is CapWords, and a constant has no lower-case letter."""
    leaf = dotted.rpartition(".")[2].lstrip("_")
    return leaf[:1].isupper() and not leaf.isupper()
