"""What Java files declare - packages, imports, types, methods, fields - read by tree-sitter, and the index of it all.

Plain data without a tree, so that an index of many files stays small. Types are named as they are written here; what
a name means is resolved where it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from corpus.java.platform import LANG, PACKAGES, PRIMITIVES
from corpus.triples import Span

if TYPE_CHECKING:
    from tree_sitter import Node

TYPES: Final[Mapping[str, str]] = {
    "class_declaration": "Class",
    "enum_declaration": "Class",
    "record_declaration": "Class",
    "interface_declaration": "Interface",
    "annotation_type_declaration": "Annotation",
}
BODIES: Final = ("class_body", "interface_body", "enum_body", "annotation_type_body", "enum_body_declarations")
_THROWABLE: Final = ("Error", "Exception", "Throwable")


class JavaSyntaxError(ValueError):
    """A file that is not Java, or not whole."""


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type as written: dotted name without arguments, number of array dimensions, arguments."""

    name: str
    dimensions: int = 0
    arguments: tuple[TypeName, ...] = ()

    @property
    def erased(self) -> str:
        """How it stands in the name of a method: last part of the name, `[]` for each dimension."""
        return self.name.rpartition(".")[2] + "[]" * self.dimensions


@dataclass(frozen=True, slots=True)
class Method:
    """`name` is `<init>` for a constructor; `result` is None for constructors and void."""

    name: str
    parameters: tuple[TypeName, ...]
    varargs: bool
    result: TypeName | None
    variables: frozenset[str]
    """Type variables of the method itself."""
    is_static: bool
    is_private: bool
    has_body: bool
    is_test: bool
    span: Span

    @property
    def signature(self) -> str:
        """`name(A,B[])`."""
        return f"{self.name}({','.join(one.erased for one in self.parameters)})"

    def takes(self, count: int) -> bool:
        """Whether a call with so many arguments may mean it."""
        return count == len(self.parameters) or (self.varargs and count >= len(self.parameters) - 1)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: TypeName
    span: Span


@dataclass(slots=True)
class Type:
    """A class, interface, enum, record or annotation type. `name` is qualified, as the graph calls it."""

    name: str
    kind: str
    unit: Unit
    outer: Type | None
    variables: frozenset[str]
    extends: tuple[TypeName, ...]
    implements: tuple[TypeName, ...]
    span: Span
    methods: list[Method] = field(default_factory=list)
    fields: dict[str, Field] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)

    def method_name(self, method: Method) -> str:
        return f"{self.name}.{method.signature}"

    def sees_variable(self, name: str) -> bool:
        """Whether `name` is a type variable of this type or of one around it."""
        return name in self.variables or (self.outer is not None and self.outer.sees_variable(name))


@dataclass(frozen=True, slots=True)
class Import:
    """`import [static] name[.*];` - without the star."""

    name: str
    is_static: bool
    is_star: bool
    span: Span


@dataclass(slots=True)
class Unit:
    """One file: the name of its package in the graph, its imports, its types in order."""

    package: str
    written_package: str
    imports: tuple[Import, ...]
    types: list[Type]
    is_test: bool
    distribution: str


@cache
def _parser() -> Any:
    import tree_sitter
    import tree_sitter_java

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_java.language()))


def tree(content: bytes) -> Node:
    """The root of a file's tree. Raises JavaSyntaxError where it does not parse whole, UnicodeDecodeError."""
    content.decode("utf-8")
    root: Node = _parser().parse(content).root_node
    if root.has_error:
        raise JavaSyntaxError("not Java, or not whole")
    return root


def text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode("utf-8")


def span(node: Node) -> Span:
    return node.start_point[0] + 1, node.start_point[1], node.end_point[0] + 1, node.end_point[1]


def type_name(node: Node | None) -> TypeName | None:
    """The type that a node writes; None for `void`, `var`, a wildcard and what is no type."""
    if node is None or node.type in ("void_type", "wildcard"):
        return None
    if node.type in ("type_identifier", "scoped_type_identifier", "identifier", "scoped_identifier"):
        written = ".".join(text(part) for part in _identifiers(node))
        return None if written == "var" else TypeName(written)
    if node.type in ("integral_type", "floating_point_type", "boolean_type"):
        return TypeName(text(node))
    if node.type == "generic_type":
        base = type_name(node.named_children[0])
        arguments = next((one for one in node.named_children if one.type == "type_arguments"), None)
        inner = tuple(found for one in (arguments.named_children if arguments else ()) for found in _argument(one))
        return None if base is None else TypeName(base.name, 0, inner)
    if node.type == "array_type":
        element = type_name(node.child_by_field_name("element"))
        count = text(node.child_by_field_name("dimensions")).count("[")
        return None if element is None else TypeName(element.name, element.dimensions + count, element.arguments)
    if node.type == "annotated_type":
        return type_name(node.named_children[-1])
    return None


def _argument(node: Node) -> Iterator[TypeName]:
    if node.type == "wildcard":
        for one in node.named_children:
            yield from _argument(one)
    elif (found := type_name(node)) is not None:
        yield found


def _identifiers(node: Node) -> Iterator[Node]:
    if node.type in ("identifier", "type_identifier"):
        yield node
        return
    for one in node.named_children:
        if one.type in ("identifier", "type_identifier", "scoped_identifier", "scoped_type_identifier", "generic_type"):
            yield from _identifiers(one.named_children[0] if one.type == "generic_type" else one)


def read(
    content: bytes, distribution: str, file: str, *, is_test: bool = False, taken: frozenset[str] = frozenset()
) -> Unit:
    """What a file declares.

    The unnamed package of a folder is called `unnamed:DISTRIBUTION/FOLDER`; a package whose name is `taken`, by a
    Python module, `java:NAME`. Raises JavaSyntaxError, UnicodeDecodeError.
    """
    root = tree(content)
    written, imports = "", []
    for node in root.named_children:
        if node.type == "package_declaration":
            written = ".".join(text(part) for one in node.named_children for part in _identifiers(one))
        elif node.type == "import_declaration":
            imports.append(_import(node))
    package = written or f"unnamed:{distribution}/{file.rpartition('/')[0]}"
    if package in taken:
        package = f"java:{package}"
    unit = Unit(package, written, tuple(imports), [], is_test, distribution)
    for node in root.named_children:
        if node.type in TYPES:
            unit.types.append(_type(node, unit, None))
    return unit


def _import(node: Node) -> Import:
    words = [one.type for one in node.children]
    name = ".".join(text(part) for one in node.named_children for part in _identifiers(one))
    return Import(name, "static" in words, "asterisk" in words, span(node))


def _type(node: Node, unit: Unit, outer: Type | None) -> Type:
    simple = text(node.child_by_field_name("name"))
    around = unit.package if outer is None else outer.name
    found = Type(
        f"{around}.{simple}", TYPES[node.type], unit, outer, variables(node),
        tuple(_supers(node, ("superclass", "extends_interfaces"))), tuple(_supers(node, ("super_interfaces",))),
        span(node),
    )  # fmt: skip
    if node.type == "record_declaration":
        for one in parameters(node):
            if one[1] is not None:
                found.fields.setdefault(one[0], Field(one[0], one[1], one[2]))
    for member in members(node):
        if member.type in TYPES:
            inner = _type(member, unit, found)
            found.types.setdefault(inner.name.rpartition(".")[2], inner)
        elif member.type in ("method_declaration", "constructor_declaration", "annotation_type_element_declaration"):
            found.methods.append(_method(member, node.type))
        elif member.type in ("field_declaration", "constant_declaration"):
            for declared in _fields(member):
                found.fields.setdefault(declared.name, declared)
        elif member.type == "enum_constant":
            name = text(member.child_by_field_name("name"))
            found.fields.setdefault(name, Field(name, TypeName(simple), span(member)))
    return found


def members(node: Node) -> Iterator[Node]:
    """Members of a type's body; those of an enum behind its constants, too."""
    for body in node.named_children:
        if body.type in BODIES:
            for one in body.named_children:
                if one.type in BODIES:
                    yield from one.named_children
                else:
                    yield one


def variables(node: Node) -> frozenset[str]:
    """Type variables that a type or method declares."""
    declared = node.child_by_field_name("type_parameters")
    if declared is None:
        return frozenset()
    return frozenset(
        text(next(_identifiers(one), None)) for one in declared.named_children if one.type == "type_parameter"
    )


def _supers(node: Node, kinds: Sequence[str]) -> Iterator[TypeName]:
    for one in node.named_children:
        if one.type in kinds:
            for each in super_nodes(one):
                if (found := type_name(each)) is not None:
                    yield found


def super_nodes(node: Node) -> Iterator[Node]:
    """The types of an extends or implements clause."""
    for one in node.named_children:
        if one.type in ("type_list", "interface_type_list"):
            yield from one.named_children
        else:
            yield one


def modifiers(node: Node) -> tuple[frozenset[str], list[Node]]:
    """Words and annotations in front of a declaration."""
    for one in node.children:
        if one.type == "modifiers":
            marks = [each for each in one.named_children if each.type in ("annotation", "marker_annotation")]
            return frozenset(text(each) for each in one.children if not each.is_named), marks
    return frozenset(), []


def parameters(node: Node) -> Iterator[tuple[str, TypeName | None, Span, bool]]:
    """(name, type, place, whether it takes the rest) of the formal parameters of a method, constructor or record."""
    formal = node.child_by_field_name("parameters")
    for one in formal.named_children if formal else ():
        if one.type == "formal_parameter":
            extra = text(one.child_by_field_name("dimensions")).count("[")
            found = type_name(one.child_by_field_name("type"))
            if found is not None and extra:
                found = TypeName(found.name, found.dimensions + extra, found.arguments)
            yield text(one.child_by_field_name("name")), found, span(one), False
        elif one.type == "spread_parameter":
            declared = next((each for each in one.named_children if each.type == "variable_declarator"), None)
            kinds = [
                type_name(each) for each in one.named_children if each.type not in ("modifiers", "variable_declarator")
            ]
            found = kinds[0] if kinds else None
            if found is not None:
                found = TypeName(found.name, found.dimensions + 1, found.arguments)
            yield text(declared.child_by_field_name("name") if declared else None), found, span(one), True


def _method(node: Node, owner: str) -> Method:
    words, marks = modifiers(node)
    taken = list(parameters(node))
    is_constructor = node.type == "constructor_declaration"
    names = {text(mark.child_by_field_name("name")).rpartition(".")[2] for mark in marks}
    return Method(
        "<init>" if is_constructor else text(node.child_by_field_name("name")),
        tuple(each[1] or TypeName("Object") for each in taken),
        any(each[3] for each in taken),
        None if is_constructor else type_name(node.child_by_field_name("type")),
        variables(node),
        "static" in words,
        "private" in words,
        node.child_by_field_name("body") is not None,
        bool(names & {"Test", "ParameterizedTest", "RepeatedTest", "TestFactory"}),
        span(node),
    )


def _fields(node: Node) -> Iterator[Field]:
    declared = type_name(node.child_by_field_name("type"))
    for one in node.named_children:
        if one.type == "variable_declarator" and declared is not None:
            extra = text(one.child_by_field_name("dimensions")).count("[")
            kind = TypeName(declared.name, declared.dimensions + extra, declared.arguments) if extra else declared
            name = text(one.child_by_field_name("name"))
            yield Field(name, kind, span(one))


# -- all files -------------------------------------------------------------------------------------

Meaning = Type | str | None
"""A type of the corpus, the qualified name of an outside type or primitive, or None."""


class Index:
    """Every type by its qualified name, and what a written name means in a unit."""

    def __init__(self) -> None:
        self.types: dict[str, Type] = {}
        self.packages: dict[str, tuple[str, str]] = {}  # package -> distribution and file that are first in it
        self._named: dict[str, str] = {}  # written package -> package of the graph

    def add(self, unit: Unit, file: tuple[str, str]) -> None:
        """Of two types of one name the first stays."""
        self.packages.setdefault(unit.package, file)
        if unit.written_package:
            self._named.setdefault(unit.written_package, unit.package)
        pending = list(unit.types)
        while pending:
            one = pending.pop(0)
            if self.types.setdefault(one.name, one) is one:
                pending[:0] = one.types.values()

    def resolve(self, name: str, unit: Unit, inside: Type | None) -> Meaning:
        """What a written type name means inside a type of a unit, by the scoping rules of the language."""
        head, _, rest = name.partition(".")
        found = self._simple(head, unit, inside)
        if found is None and rest:
            return self.qualified(name)
        return self._nested(found, rest) if rest else found

    def qualified(self, name: str) -> Meaning:
        """What a fully qualified name means: a type of the corpus, or an outside one where a package precedes it."""
        package, _, simple = name.rpartition(".")
        while package:
            if package in self._named:
                top = self.types.get(f"{self._named[package]}.{name[len(package) + 1 :].partition('.')[0]}")
                inner = name[len(package) + 1 :].partition(".")[2]
                return self._nested(top, inner) if inner else top
            package = package.rpartition(".")[0]
        package = name.rpartition(".")[0]
        first = name.partition(".")[0]
        return name if package and simple[:1].isupper() and first.islower() else None

    def _nested(self, found: Meaning, rest: str) -> Meaning:
        for part in rest.split("."):
            if isinstance(found, Type):
                found = self.member_type(found, part)
            elif isinstance(found, str):
                found = f"{found}.{part}"
        return found

    def _simple(self, name: str, unit: Unit, inside: Type | None) -> Meaning:
        if name in PRIMITIVES:
            return name
        scope = inside
        while scope is not None:
            if scope.name.rpartition(".")[2] == name:
                return scope
            if (found := self.member_type(scope, name)) is not None:
                return found
            scope = scope.outer
        for one in unit.imports:
            if not one.is_star and one.name.rpartition(".")[2] == name and (found := self.imported(one)) is not None:
                return found
        if (here := self.types.get(f"{unit.package}.{name}")) is not None:
            return here
        candidates: list[Meaning] = []
        for one in unit.imports:
            if one.is_star and not one.is_static:
                package = self._named.get(one.name)
                own = self.types.get(f"{package}.{name}") if package else self.types.get(f"{one.name}.{name}")
                if own is not None:
                    candidates.append(own)
                elif name in PACKAGES.get(one.name, ()):
                    candidates.append(f"{one.name}.{name}")
        if name in LANG and not candidates:
            return f"java.lang.{name}"
        return candidates[0] if len(candidates) == 1 else None

    def imported(self, one: Import) -> Meaning:
        """What a single import names; for a static one, a nested type, if it names one."""
        found = self.qualified(one.name)
        if one.is_static:
            return found if isinstance(found, Type) else None
        return found or one.name

    def member_type(self, owner: Type, name: str) -> Type | None:
        """A type declared in `owner` or in a type of the corpus that it inherits from."""
        for one in self.lineage(owner):
            if isinstance(one, Type) and name in one.types:
                return one.types[name]
        return None

    def lineage(self, start: Type) -> list[Meaning]:
        """The type, then what it inherits from, nearest first; outside types by name, unknown ones as None."""
        found: list[Meaning] = [start]
        seen = {start.name}
        place = 0
        while place < len(found) and len(found) < 200:
            one = found[place]
            place += 1
            if not isinstance(one, Type):
                continue
            for written in (*one.extends, *one.implements):
                parent = self._parent(written, one)
                key = parent.name if isinstance(parent, Type) else str(parent)
                if key not in seen:
                    seen.add(key)
                    found.append(parent)
        return found

    def _parent(self, written: TypeName, child: Type) -> Meaning:
        # resolved from around the child: its own members cannot name its parents, and would lead in circles
        if child.outer is not None and child.outer.name.rpartition(".")[2] == written.name:
            return child.outer
        scope = child.outer
        while scope is not None:
            if written.name in scope.types:
                return scope.types[written.name]
            scope = scope.outer
        return self.resolve(written.name, child.unit, None)

    def kind(self, one: Type) -> str:
        """The entity type: a class is an ExceptionType where its parents lead to something that can be thrown."""
        if one.kind != "Class":
            return one.kind
        for each in self.lineage(one):
            if isinstance(each, Type) and any(written.name.endswith(_THROWABLE) for written in each.extends):
                return "ExceptionType"
        return "Class"
