"""The triples of one Python file: each event of its syntax, resolved over all modules, becomes an edge or a reason.

What is not known is counted with its reason and makes no triple. The ontology is never asked: whether the triples
keep to it is for the validator to find out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from corpus.modules import ModuleTable, Source
from corpus.resolution import BUILTIN_EXCEPTIONS, BUILTIN_TYPES, Resolver, Symbol, Symbols
from corpus.syntax import CLASS, FUNCTION, INNER, Expression, Span
from corpus.triples import Entity, Provenance, Triple

_ANNOTATIONS: Final = frozenset({"property", "staticmethod", "classmethod"})
_EXCEPTION_ENDINGS: Final = ("Error", "Exception", "Warning")
_CONSTRUCTORS: Final = ("__new__", "__init__")
_UNWRAPPED: Final = frozenset({"Optional", "Union", "Annotated", "ClassVar", "Final", "Awaitable"})
_NO_TYPE: Final = frozenset({"NoReturn", "Never", "Literal", "LiteralString"})
_CAPITALISED: Final = {name: name.lower() for name in ("List", "Dict", "Tuple", "Set", "FrozenSet", "Type")}
_NO_TRIPLE: Final = frozenset({"i", "bi", "oi", "s"})  # values, which are no entities


@dataclass
class Found:
    """What one file gives. `outside` are entities without a definition: name -> type. `sites` and `unresolved` count
    places in the source by relation, the latter by (relation, reason)."""

    triples: list[Triple] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    outside: dict[str, str] = field(default_factory=dict)
    sites: Counter[str] = field(default_factory=Counter)
    unresolved: Counter[tuple[str, str]] = field(default_factory=Counter)


def repository(distribution: str) -> str:
    return f"repo:{distribution}"


def file_entity(distribution: str, file: str) -> str:
    return f"file:{distribution}/{file}"


def extract(
    source: Source,
    events: Sequence[Sequence[tuple[str, Expression, Span]]],
    imports: Sequence[tuple[int, str, int, str | None, Span]],
    modules: ModuleTable,
    outside_modules: frozenset[str] = frozenset(),
) -> Found:
    """Triples and entities of a file in the order of its text.

    `outside_modules` are dotted names that some import statement of the corpus proves to be modules.
    """
    return _File(source, modules, outside_modules).run(events, imports)


def calls(
    source: Source,
    events: Sequence[Sequence[tuple[str, Expression, Span]]],
    modules: ModuleTable,
    outside_modules: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, Span, tuple[str, ...], tuple[str, ...]]]:
    """(caller, place, functions called, classes instantiated) of each call expression of a file, as far as known.

    The constructor that an instantiation runs is among the functions.
    """
    file = _File(source, modules, outside_modules)
    for index, found in enumerate(events):
        for kind, written, span in found:
            if kind == "call":
                yield file.owner(index), span, *file.callees(index, written, span)


def entry_point(runs: str, modules: ModuleTable) -> list[tuple[str, str, str]]:
    """(relation, name, type) of what "module:object" leads to: a function is invoked, anything else is used."""
    module, _, attribute = runs.partition(":")
    owner = modules.source(module)
    if owner is None:
        return []
    resolver = Resolver(modules)
    symbols: Symbols = (("m", module),)
    for name in attribute.split(".") if attribute else ():
        symbols = tuple(found for symbol in symbols for found in resolver.attribute(symbol, name))
    describe = _File(owner, modules, frozenset())
    held = [symbol for symbol in resolver.values(symbols) if symbol[0] not in _NO_TRIPLE]
    return [
        ("invokes" if type_ in ("Function", "Method", "API") else "uses", name, type_)
        for name, type_ in map(describe.entity, held)
    ]


class _File:
    def __init__(self, source: Source, modules: ModuleTable, outside_modules: frozenset[str]) -> None:
        self.source, self.modules, self.outside_modules = source, modules, outside_modules
        self.module = source.module
        self.resolver = Resolver(modules)
        self.found = Found()
        self._seen: set[tuple[str, str, str]] = set()
        self._entities: dict[Symbol, tuple[str, str]] = {}
        known = modules.get(source.module)
        assert known is not None
        self.scopes, self.definitions = known.scopes, known.definitions
        self._owners = [self._owner(index) for index in range(len(self.scopes))]

    def run(self, events: Sequence[Any], imports: Sequence[Any]) -> Found:
        self._structure()
        self._imports(imports)
        for index, names in enumerate(self.scopes):
            if names["kind"] == CLASS:
                self._bases(index, names)
            if names["kind"] in (CLASS, FUNCTION):
                self._decorators(index, names)
            for kind, written, span in events[index]:
                _HANDLERS[kind](self, index, written, span)
        return self.found

    def owner(self, index: int) -> str:
        """The name of the entity that the code of a scope belongs to."""
        return self._owners[index][0]

    def callees(self, index: int, written: Expression, span: Span) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The functions that one call expression calls, and the classes that it instantiates."""
        self.found = Found()
        self._seen.clear()
        self._call(index, written, span)
        called = [one.tail for one in self.found.triples if one.relation in ("calls", "invokes")]
        made = [one.tail for one in self.found.triples if one.relation == "instantiates"]
        return tuple(dict.fromkeys(called)), tuple(dict.fromkeys(made))

    # -- edges and nodes ---------------------------------------------------------------------------

    def _add(self, head: tuple[str, str], relation: str, tail: tuple[str, str], span: Span) -> None:
        content = (head[0], relation, tail[0])
        if content in self._seen:
            return
        self._seen.add(content)
        self.found.triples.append(Triple(*content, head[1], tail[1], self._at(span)))

    def _at(self, span: Span) -> Provenance:
        source = self.source
        return Provenance(source.distribution, source.version, source.file, span, source.licence)

    def _miss(self, relation: str, reason: str) -> None:
        self.found.unresolved[relation, reason] += 1

    def _owner(self, index: int) -> tuple[str, str]:
        """The entity that the code of a scope belongs to."""
        while self.scopes[index]["kind"] == INNER:
            index = self.scopes[index]["parent"]
        return self.entity(("m", self.module) if index == 0 else ("d", self.module, index))

    def entity(self, symbol: Symbol) -> tuple[str, str]:
        """Name and type of what a symbol stands for; the type is that of the definition."""
        known = self._entities.get(symbol)
        if known is None:
            known = self._entities[symbol] = self._described(symbol)
        return known

    def _described(self, symbol: Symbol) -> tuple[str, str]:
        kind = symbol[0]
        if kind == "m":
            return symbol[1], "Module"
        if kind in ("o", "b", "bm"):
            name, type_ = self._outside(symbol)
            if type_ != "BuildTarget":
                self.found.outside[name] = type_
            return name, type_
        module = self.modules.get(symbol[1])
        assert module is not None
        names = module.scopes[symbol[2]]
        qualname = names["qualname"]
        if kind == "v":
            qualname = f"{qualname}.{symbol[3]}" if qualname else symbol[3]
        definition = module.definitions.get(qualname)
        name = self._qualified(symbol[1], qualname)
        if definition is None:
            return name, "Variable"
        if definition[0] == "v":
            return name, "Type" if definition[2] in module.scopes[definition[1]]["types"] else "Variable"
        return name, self._type(symbol[1], definition[1])

    def _outside(self, symbol: Symbol) -> tuple[str, str]:
        if symbol[0] == "o":
            if self.modules.is_target(symbol[1]):
                return symbol[1], "BuildTarget"
            return symbol[1], "Library" if symbol[1] in self.outside_modules else "API"
        name = f"builtins.{symbol[1]}"
        if symbol[0] == "bm":
            return name, "API"
        if symbol[1] in _ANNOTATIONS:
            return name, "Annotation"
        if symbol[1] in BUILTIN_EXCEPTIONS:
            return name, "ExceptionType"
        return name, "Type" if symbol[1] in BUILTIN_TYPES else "API"

    def _qualified(self, module: str, qualname: str) -> str:
        """module.qualname; module:qualname where a submodule or compiled extension has that very name, too."""
        name = f"{module}.{qualname}"
        return f"{module}:{qualname}" if self.modules.has(name) or self.modules.is_target(name) else name

    def _type(self, module: str, index: int) -> str:
        scopes = self.modules.scopes(module)
        assert scopes is not None
        names = scopes[index]
        if names["kind"] == CLASS:
            return self._class_type(module, index, names, scopes)
        inside = scopes[names["parent"]]["kind"] == CLASS
        source = self.modules.source(module)
        at_top = names["parent"] == 0 or (inside and scopes[names["parent"]]["parent"] == 0)
        if source is not None and source.test and at_top and names["name"].startswith("test"):
            return "Test"
        return "Method" if inside else "Function"

    def _class_type(self, module: str, index: int, names: Mapping[str, Any], scopes: Sequence[Any]) -> str:
        for base in self.resolver.mro(module, index)[1:]:
            if base[0] == "b" and base[1] in BUILTIN_EXCEPTIONS:
                return "ExceptionType"
            if base[0] == "o" and base[1].endswith(_EXCEPTION_ENDINGS):
                return "ExceptionType"
        if any(written is not None and written[-1] == "Protocol" for written, _ in names["bases"]):
            return "Interface"
        for _, bindings in names["bindings"].values():
            for one in bindings:
                if one[0] == "S" and _is_abstract(scopes[one[1]]):
                    return "Interface"
        return "Class"

    # -- structure ---------------------------------------------------------------------------------

    def _structure(self) -> None:
        source = self.source
        module, whole = self.entity(("m", self.module)), self.scopes[0]["span"]
        repo = (repository(source.distribution), "Repository")
        file = (file_entity(source.distribution, source.file), "File")
        self._define(file, whole)
        self._define(module, whole)
        self._add(repo, "contains", file, whole)
        self._add(file, "contains", module, whole)
        self._contained(self.module, whole)
        for definition in self.definitions.values():
            if definition[0] == "d":
                self._defined(definition[1])
            else:
                self._declared(*definition[1:])

    def _contained(self, name: str, whole: Span) -> None:
        """The package around a module; a namespace package is told of by the first file inside it."""
        parent = name.rpartition(".")[0]
        if parent and self.modules.has(parent):
            self._add((parent, "Module"), "contains", (name, "Module"), whole)
            if self.modules.namespaces.get(parent) == name:
                self._define((parent, "Module"), whole)
                self._contained(parent, whole)
        else:
            self._add((repository(self.source.distribution), "Repository"), "contains", (name, "Module"), whole)

    def _define(self, entity: tuple[str, str], span: Span) -> None:
        self.found.entities.append(Entity(*entity, "python", self._at(span)))

    def _defined(self, index: int) -> None:
        names = self.scopes[index]
        entity = self.entity(("d", self.module, index))
        place = self._owners[names["parent"]]
        self._define(entity, names["span"])
        self._add(place, "defines", entity, names["span"])
        self._add(entity, "defined_in", place, names["span"])
        parent = names["parent"]
        if names["kind"] == FUNCTION and self.scopes[parent]["kind"] == CLASS and not _is_private(names["name"]):
            for symbol in self.resolver.class_attribute(self.module, parent, names["name"], above=True):
                if symbol[0] == "d" and self.resolver.kind(symbol) == FUNCTION:
                    self._add(entity, "overrides", self.entity(symbol), names["span"])

    def _declared(self, scope: int, name: str, span: Span) -> None:
        entity = self.entity(("v", self.module, scope, name))
        self._define(entity, span)
        if entity[1] == "Type":
            self._add(self._owners[scope], "defines", entity, span)
            self._add(entity, "defined_in", self._owners[scope], span)
        else:
            self._add(self._owners[scope], "declares", entity, span)

    def _bases(self, index: int, names: Mapping[str, Any]) -> None:
        head = self._owners[index]
        for written, span in names["bases"]:
            if written == ("n", "object"):
                continue
            self.found.sites["inherits_from"] += 1
            symbols = self._classes(names["parent"], written)
            if not symbols:
                self._miss("inherits_from", self._reason(names["parent"], written))
            for symbol in symbols:
                tail = self.entity(symbol)
                if tail != head:
                    implements = tail[1] == "Interface" and head[1] != "Interface"
                    self._add(head, "implements" if implements else "inherits_from", tail, span)

    def _classes(self, scope: int, written: Expression) -> Symbols:
        """What an expression names, through variables that hold a class."""
        symbols = self.resolver.evaluate(self.module, scope, written)
        values = tuple(self.resolver.base(one) for one in self.resolver.values(symbols) if one[0] not in _NO_TRIPLE)
        types = tuple(one for one in symbols if one[0] == "v" and self.entity(one)[1] == "Type")
        return values or types

    def _decorators(self, index: int, names: Mapping[str, Any]) -> None:
        head = self._owners[index]
        for written, span in names["decorators"]:
            self.found.sites["annotated_with"] += 1
            symbols = self.resolver.evaluate(self.module, names["parent"], written)
            leaf = "" if written is None else written[-1]
            if leaf in ("setter", "getter", "deleter") and written is not None and written[0] == "a":
                symbols = (("bm", f"property.{leaf}"),)
            tails = [one for one in self._through(symbols) if one[0] not in _NO_TRIPLE]
            if not tails:
                self._miss("annotated_with", self._reason(names["parent"], written))
            for symbol in tails:
                self._add(head, "annotated_with", self.entity(symbol), span)

    def _through(self, symbols: Symbols) -> Symbols:
        """Variables that hold a function or class stand for it."""
        found: list[Symbol] = []
        for symbol in symbols:
            held = self.resolver.values((symbol,)) if symbol[0] == "v" else (symbol,)
            found.extend(one for one in held if one[0] in ("d", "o", "b", "bm"))
        return tuple(dict.fromkeys(found))

    # -- imports -----------------------------------------------------------------------------------

    def _imports(self, imports: Sequence[tuple[int, str, int, str | None, Span]]) -> None:
        head = self.entity(("m", self.module))
        for _, written, level, name, span in imports:
            self.found.sites["imports"] += 1
            absolute = self.resolver.absolute(self.module, written, level)
            if not absolute:
                self._miss("imports", "climbs out of the top package")
                continue
            module = self.resolver.module(absolute)
            if not module:
                self._miss("imports", "no such module in the package")
                continue
            if module[0] != ("m", self.module):
                self._add(head, "imports", self.entity(module[0]), span)
            if name is None or name == "*":
                continue
            symbols = self.resolver.member(absolute, name, self.module)
            if not symbols:
                self._miss("imports", "no such name in the module")
            for symbol in symbols:
                if symbol[0] not in _NO_TRIPLE and symbol != ("m", self.module):
                    self._add(head, "imports", self.entity(symbol), span)

    # -- events ------------------------------------------------------------------------------------

    def _call(self, index: int, written: Expression, span: Span) -> None:
        self.found.sites["calls"] += 1
        head = self._owners[index]
        self._prefix(index, written, span)
        symbols = self.resolver.evaluate(self.module, index, written)
        known = False
        if any(symbol[0] == "v" for symbol in symbols):
            for symbol in symbols:
                if symbol[0] == "v":
                    tail = self.entity(symbol)
                    made = tail[1] == "Type"  # what namedtuple and NewType make is called to make an instance
                    self._add(head, "instantiates" if made else "reads_from", tail, span)
                    known = known or made
            symbols = self.resolver.values(symbols)
        for symbol in symbols:
            known = self._called(head, symbol, span) or known
        if not known:
            super_call = written is not None and written[0] == "n" and written[1] == "super"
            if super_call:
                self._add(head, "instantiates", self.entity(("b", "super")), span)
                return
            self._miss("calls", self._reason(index, written))

    def _called(self, head: tuple[str, str], symbol: Symbol, span: Span) -> bool:
        """Add what calling `symbol` does; whether that is known."""
        kind = symbol[0]
        if kind == "d" and self.resolver.kind(symbol) == FUNCTION:
            if self.resolver.is_property(symbol):
                self._add(head, "invokes", self.entity(symbol), span)
                return False
            tail = self.entity(symbol)
            self._add(head, "calls", tail, span)
            self._tested(head, symbol, tail, span)
            return True
        if kind == "d":
            tail = self.entity(symbol)
            self._add(head, "instantiates", tail, span)
            self._tested(head, symbol, tail, span)
            for name in _CONSTRUCTORS:
                self._invoke(head, self.resolver.class_attribute(symbol[1], symbol[2], name), span)
            return True
        if kind == "i":
            return self._invoke(head, self.resolver.class_attribute(symbol[1], symbol[2], "__call__"), span)
        if kind in ("b", "bm", "o"):
            tail = self.entity(symbol)
            if symbol == ("b", "type"):  # type(x) asks; what it makes with three arguments has no name
                self._add(head, "uses", tail, span)
                return True
            makes = tail[1] in ("Type", "ExceptionType", "Annotation")
            self._add(head, "instantiates" if makes else "calls", tail, span)
            return True
        return False

    def _invoke(self, head: tuple[str, str], methods: Symbols, span: Span) -> bool:
        found = [one for one in methods if one[0] == "d" and self.resolver.kind(one) == FUNCTION]
        for symbol in found:
            self._add(head, "invokes", self.entity(symbol), span)
        return bool(found)

    def _tested(self, head: tuple[str, str], symbol: Symbol, tail: tuple[str, str], span: Span) -> None:
        if head[1] != "Test":
            return
        source = self.modules.source(symbol[1])
        if source is not None and not source.test and source.distribution == self.source.distribution:
            self._add(head, "tests", tail, span)
            self._add(tail, "tested_by", head, span)

    def _prefix(self, index: int, written: Expression, span: Span) -> None:
        """What is read on the way to an attribute: `self.session` of `self.session.get`."""
        while written is not None and written[0] == "a":
            written = written[1]
            if written is not None and written[0] in "na":
                self._read(index, self.resolver.evaluate(self.module, index, written), span, through=True)

    def _read(self, index: int, symbols: Symbols, span: Span, through: bool = False) -> None:
        head = self._owners[index]
        for symbol in symbols:
            kind = symbol[0]
            if kind in _NO_TRIPLE or (through and kind in ("m", "o", "bm", "b")):
                continue
            if self.resolver.is_property(symbol):
                self._add(head, "invokes", self.entity(symbol), span)
                continue
            tail = self.entity(symbol)
            if tail != head:
                self._add(head, "reads_from" if tail[1] == "Variable" else "uses", tail, span)

    def _load(self, index: int, written: Expression, span: Span) -> None:
        self._prefix(index, written, span)
        self._reference(index, index, written, span)

    def _type_name(self, index: int, written: Expression, span: Span) -> None:
        self._reference(index, self.scopes[index]["parent"], written, span)

    def _reference(self, index: int, scope: int, written: Expression, span: Span) -> None:
        self.found.sites["uses"] += 1
        symbols = self.resolver.evaluate(self.module, scope, written)
        if not symbols:
            self._miss("uses", self._reason(scope, written))
        self._read(index, symbols, span)

    def _store(self, index: int, written: Expression, span: Span) -> None:
        self._prefix(index, written, span)
        self.found.sites["writes_to"] += 1
        symbols = self.resolver.evaluate(self.module, index, written)
        head = self._owners[index]
        known = False
        for symbol in symbols:
            if symbol[0] == "v":
                tail = self.entity(symbol)
                known = True
                if tail[1] == "Variable":
                    self._add(head, "writes_to", tail, span)
            elif self.resolver.is_property(symbol):
                known = True
                self._add(head, "invokes", self.entity(symbol), span)
        if not known and not (written is not None and written[0] == "n"):
            self._miss("writes_to", self._reason(index, written))

    def _exception(self, relation: str, index: int, written: Expression, span: Span) -> None:
        self.found.sites[relation] += 1
        thrown = written[1] if written is not None and written[0] == "c" else written
        called = written is not None and written[0] == "c"
        symbols = self.resolver.values(self.resolver.evaluate(self.module, index, thrown))
        head = self._owners[index]
        known = False
        for symbol in symbols:
            if symbol[0] == "i" and not called:
                symbol = ("d", *symbol[1:3])
            elif symbol[0] == "bi" and not called:
                symbol = ("b", symbol[1])
            elif symbol[0] == "oi" and not called:
                symbol = ("o", symbol[1])
            elif symbol[0] == "d" and self.resolver.kind(symbol) == FUNCTION:
                if not called:
                    continue
                made = self.resolver.result(symbol)
                symbol = ("d", *made[0][1:3]) if len(made) == 1 and made[0][0] == "i" else symbol
                if symbol[0] != "d" or self.resolver.kind(symbol) == FUNCTION:
                    continue
            if symbol[0] in ("d", "b", "o"):
                known = True
                self._add(head, relation, self.entity(symbol), span)
        if not known:
            self._miss(relation, self._reason(index, thrown) if not symbols else "no class but a value")

    def _raise(self, index: int, written: Expression, span: Span) -> None:
        self._exception("raises", index, written, span)

    def _catch(self, index: int, written: Expression, span: Span) -> None:
        self._exception("catches", index, written, span)

    def _with(self, index: int, written: Expression, span: Span) -> None:
        self._protocol(index, written, span, ("__enter__", "__exit__"))

    def _async_with(self, index: int, written: Expression, span: Span) -> None:
        self._protocol(index, written, span, ("__aenter__", "__aexit__"))

    def _for(self, index: int, written: Expression, span: Span) -> None:
        self._protocol(index, written, span, ("__iter__",))

    def _item(self, index: int, written: Expression, span: Span) -> None:
        self._protocol(index, written, span, ("__getitem__",))

    def _protocol(self, index: int, written: Expression, span: Span, methods: tuple[str, ...]) -> None:
        for value in self.resolver.values(self.resolver.evaluate(self.module, index, written)):
            if value[0] == "i":
                for name in methods:
                    self._invoke(self._owners[index], self.resolver.class_attribute(value[1], value[2], name), span)

    def _return(self, index: int, written: Expression, span: Span) -> None:
        if written is None or written[0] != "c" or self._owners[index][1] not in ("Function", "Method", "Test"):
            return
        for symbol in self.resolver.values(self.resolver.evaluate(self.module, index, written[1])):
            if symbol[0] == "d" and self.resolver.kind(symbol) == CLASS:
                self._add(self._owners[index], "returns", self.entity(symbol), span)

    def _result(self, index: int, written: Expression, span: Span) -> None:
        parent = self.scopes[index]["parent"]
        for one in _named_types(written):
            self.found.sites["returns"] += 1
            leaf = one[-1]
            if leaf in _NO_TYPE:
                continue
            if leaf in ("TypeGuard", "TypeIs"):
                symbols: Symbols = (("b", "bool"),)
            elif leaf == "Self":
                instances = self.resolver.instances(self.module, parent, one)
                symbols = tuple(("d", *found[1:3]) for found in instances if found[0] == "i")
            elif leaf in _CAPITALISED and not self._classes(parent, one):
                symbols = (("b", _CAPITALISED[leaf]),)
            else:
                symbols = self._classes(parent, one)
            if not symbols:
                self._miss("returns", self._reason(parent, one))
            for symbol in symbols:
                self._add(self._owners[index], "returns", self.entity(symbol), span)

    # -- reasons -----------------------------------------------------------------------------------

    def _reason(self, scope: int, written: Expression) -> str:
        """Why an expression means nothing: what stands at the root of it."""
        evaluate, values = self.resolver.evaluate, self.resolver.values
        while written is not None and written[0] in "aci":
            inner = written[1]
            if written[0] == "a" and (known := values(evaluate(self.module, scope, inner))):
                return "no such attribute" if known[0][0] != "o" else "attribute of outside code"
            if written[0] == "c" and (known := values(evaluate(self.module, scope, inner))):
                return "result of outside code" if known[0][0] in ("o", "b", "bm") else "result of no known type"
            if written[0] == "i":
                return "element of a container"
            written = inner
        if written is None or written[0] != "n":
            return "computed value"
        return self._reason_of_name(scope, written[1])

    def _reason_of_name(self, scope: int, name: str) -> str:
        here = scope
        while here != -1:
            names = self.scopes[here]
            if name in names["bindings"]:
                kinds = {one[0] for one in names["bindings"][name][1]}
                if "P" in kinds:
                    return "parameter of no known type"
                return "import that leads nowhere" if kinds & {"F", "M"} else "variable of no known value"
            here = names["parent"]
        return "name from a star import" if self.scopes[0]["stars"] else "name that nothing binds"


def _is_abstract(names: Mapping[str, Any]) -> bool:
    return any(written is not None and str(written[-1]).startswith("abstract") for written, _ in names["decorators"])


def _is_private(name: str) -> bool:
    """Mangled by Python: no subclass can replace it."""
    return name.startswith("__") and not name.endswith("__")


def _named_types(written: Expression) -> Iterator[tuple[Any, ...]]:
    """The types that a return annotation names, members of unions one by one, without what is inside containers."""
    if written is None:
        return
    if written[0] == "|":
        for one in written[1]:
            yield from _named_types(one)
    elif written[0] == "i":
        leaf = written[1][-1] if written[1] is not None and written[1][0] in "na" else ""
        if leaf in _UNWRAPPED:
            for one in written[2]:
                yield from _named_types(one)
        elif leaf == "Coroutine":
            yield from _named_types(written[2][-1] if written[2] else None)
        else:
            yield from _named_types(written[1])
    elif written[0] in "na":
        yield written


_HANDLERS: Final = {
    "call": _File._call,
    "load": _File._load,
    "store": _File._store,
    "raise": _File._raise,
    "catch": _File._catch,
    "with": _File._with,
    "awith": _File._async_with,
    "for": _File._for,
    "item": _File._item,
    "return": _File._return,
    "type": _File._type_name,
    "result": _File._result,
}
