"""The triples of one Java file: what its bodies say, resolved over the declarations of all files.

What is not known is counted with its reason and makes no triple; an overload that the arguments do not decide is not
known. The ontology is never asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from corpus.java import declarations
from corpus.java.declarations import TYPES, Field, Import, Index, Meaning, Method, Type, TypeName, Unit, span, text
from corpus.java.platform import PRIMITIVES
from corpus.parsing import UnreadableError, content_of, reason_of
from corpus.triples import Entity, Provenance, Span, Triple

if TYPE_CHECKING:
    from tree_sitter import Node

Named = tuple[str, str]
"""Name and type of an entity."""

_LITERALS: Final = {
    "string_literal": "java.lang.String",
    "text_block": "java.lang.String",
    "decimal_integer_literal": "int",
    "hex_integer_literal": "int",
    "octal_integer_literal": "int",
    "binary_integer_literal": "int",
    "decimal_floating_point_literal": "double",
    "hex_floating_point_literal": "double",
    "true": "boolean",
    "false": "boolean",
    "character_literal": "char",
    "class_literal": "java.lang.Class",
}
_FUNCTIONS: Final = ("method_declaration", "constructor_declaration", "compact_constructor_declaration")
_WIDER: Final = {
    "byte": ("short", "int", "long", "float", "double"),
    "short": ("int", "long", "float", "double"),
    "char": ("int", "long", "float", "double"),
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
}
_BOXES: Final = {
    "boolean": "Boolean", "byte": "Byte", "char": "Character", "short": "Short", "int": "Integer", "long": "Long",
    "float": "Float", "double": "Double",
}  # fmt: skip


@dataclass
class Found:
    """What one file gives; the fields are those of the Python extraction."""

    triples: list[Triple] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    outside: dict[str, str] = field(default_factory=dict)
    sites: Counter[str] = field(default_factory=Counter)
    unresolved: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Value:
    """The static type of an expression: what it means, dimensions of an array, its type arguments.

    `is_type` where the expression names the type itself; `why` says why nothing is known.
    """

    meaning: Meaning = None
    dimensions: int = 0
    arguments: tuple[TypeName, ...] = ()
    is_type: bool = False
    why: str = "computed value"


@dataclass(frozen=True, slots=True)
class Place:
    """Whose file it is: distribution, version, file under its root, licence."""

    distribution: str
    version: str
    file: str
    licence: str


def extract(content: bytes, place: Place, unit: Unit, index: Index) -> Found:
    """Triples and entities of a file in the order of its text; raises as `declarations.read`."""
    return _File(place, unit, index).run(declarations.tree(content))


class _Body:
    """Where a body stands: its type, the entity it belongs to, and the local variables in scope, innermost last."""

    def __init__(self, owner: Named, inside: Type, variables: frozenset[str] = frozenset()) -> None:
        self.owner, self.inside, self.variables = owner, inside, variables
        self.locals: list[dict[str, Value]] = [{}]
        self.opaque = False
        """Inside an anonymous or local class: names may be members that are not looked at."""

    def local(self, name: str) -> Value | None:
        for scope in reversed(self.locals):
            if name in scope:
                return scope[name]
        return None


class _File:
    def __init__(self, place: Place, unit: Unit, index: Index) -> None:
        self.place, self.unit, self.index = place, unit, index
        self.found = Found()
        self._seen: set[tuple[str, str, str]] = set()

    # -- edges and nodes ---------------------------------------------------------------------------

    def _add(self, head: Named, relation: str, tail: Named, where: Span) -> None:
        content = (head[0], relation, tail[0])
        if content in self._seen or (head == tail and relation not in ("calls", "invokes")):
            return
        self._seen.add(content)
        self.found.triples.append(Triple(*content, head[1], tail[1], self._at(where)))

    def _at(self, where: Span) -> Provenance:
        place = self.place
        return Provenance(place.distribution, place.version, place.file, where, place.licence)

    def _miss(self, relation: str, reason: str) -> None:
        self.found.unresolved[relation, reason] += 1

    def _define(self, entity: Named, where: Span) -> None:
        self.found.entities.append(Entity(*entity, "java", self._at(where)))

    def _type(self, meaning: Meaning) -> Named:
        if isinstance(meaning, Type):
            return meaning.name, self.index.kind(meaning)
        assert meaning is not None
        return self._outside(meaning, "Type" if meaning in PRIMITIVES else "API")

    def _outside(self, name: str, kind: str = "API") -> Named:
        self.found.outside[name] = kind
        return name, kind

    def _method(self, owner: Type, method: Method) -> Named:
        return owner.method_name(method), "Test" if method.is_test and method.has_body else "Method"

    # -- structure ---------------------------------------------------------------------------------

    def run(self, root: Node) -> Found:
        whole = span(root)
        file = (f"file:{self.place.distribution}/{self.place.file}", "File")
        package = (self.unit.package, "Module")
        repository = (f"repo:{self.place.distribution}", "Repository")
        self._define(file, whole)
        self._add(repository, "contains", file, whole)
        if self.index.packages.get(self.unit.package) == (self.place.distribution, self.place.file):
            self._define(package, whole)
            parent = self.unit.package.rpartition(".")[0]
            inside = parent and parent in self.index.packages
            self._add((parent, "Module") if inside else repository, "contains", package, whole)
        for one in self.unit.imports:
            self._import(package, one)
        declared = [node for node in root.named_children if node.type in TYPES]
        for node, kind in zip(declared, self.unit.types, strict=True):
            if self.index.types.get(kind.name) is not kind:
                continue  # another file has a type of this name
            self._add(file, "contains", self._type(kind), span(node))
            self._declaration(node, kind, package)
        return self.found

    def _import(self, head: Named, one: Import) -> None:
        self.found.sites["imports"] += 1
        package, _, last = one.name.rpartition(".")
        if one.is_star:
            found = self.index.qualified(one.name)
            if one.name in self.index.packages:
                self._add(head, "imports", (one.name, "Module"), one.span)
            elif isinstance(found, Type):
                self._add(head, "imports", self._type(found), one.span)
            else:
                kind = "API" if one.name.rpartition(".")[2][:1].isupper() else "Library"
                self._add(head, "imports", self._outside(one.name, kind), one.span)
            return
        owner = self.index.qualified(package) if one.is_static else None
        if isinstance(owner, Type):
            self._add(head, "imports", self._type(owner), one.span)
            members = [
                self._method(holder, method)
                for holder in self.index.lineage(owner)
                if isinstance(holder, Type)
                for method in holder.methods
                if method.name == last and method.is_static
            ]
            held = self._field(owner, last)
            if held is not None:
                members.append((f"{held[0].name}.{last}", "Variable"))
            if (nested := self.index.member_type(owner, last)) is not None:
                members.append(self._type(nested))
            if not members:
                self._miss("imports", "no such member in the type")
            for member in members:
                self._add(head, "imports", member, one.span)
            return
        found = self.index.qualified(one.name)
        if isinstance(found, Type):
            self._add(head, "imports", self._type(found), one.span)
        elif (outer := package.rpartition(".")[0] if one.is_static else package) in self.index.packages:
            self._miss("imports", "no such type in the package")
        else:
            self._add(head, "imports", self._outside(outer, "Library"), one.span)
            self._add(head, "imports", self._outside(one.name), one.span)

    def _declaration(self, node: Node, kind: Type, around: Named) -> None:
        entity = self._type(kind)
        where = span(node)
        self._define(entity, where)
        self._add(around, "defines", entity, where)
        self._add(entity, "defined_in", around, where)
        body = _Body(entity, kind)
        self._annotations(node, entity, body)
        self._bases(node, kind, entity, body)
        for name in kind.fields:
            held = kind.fields[name]
            if f"{kind.name}.{name}" not in self.index.types:
                self._define((f"{kind.name}.{name}", "Variable"), held.span)
                self._add(entity, "declares", (f"{kind.name}.{name}", "Variable"), held.span)
        methods = iter(kind.methods)
        for member in declarations.members(node):
            if member.type in TYPES:
                inner = kind.types.get(text(member.child_by_field_name("name")))
                if inner is not None and inner.span == span(member) and self.index.types.get(inner.name) is inner:
                    self._declaration(member, inner, entity)
            elif member.type in (*_FUNCTIONS[:2], "annotation_type_element_declaration"):
                self._function(member, kind, next(methods), entity)
            elif member.type in ("field_declaration", "constant_declaration"):
                self._field_declaration(member, kind, body)
            elif member.type == "enum_constant":
                self._constant(member, kind, body)
            else:  # initialisers, compact constructors
                self._walk(member, body)

    def _constant(self, node: Node, kind: Type, body: _Body) -> None:
        """A constant of an enum is made by a constructor that nothing names; its own name is no reading."""
        self._construct(kind, self._arguments(node, body), body, span(node), "invokes")
        for one in node.named_children:
            if one.type == "class_body":
                self._inner_class(one, body)

    def _bases(self, node: Node, kind: Type, head: Named, body: _Body) -> None:
        for clause in node.named_children:
            if clause.type not in ("superclass", "super_interfaces", "extends_interfaces"):
                continue
            for one in declarations.super_nodes(clause):
                written = declarations.type_name(one)
                if written is None:
                    continue
                self.found.sites["inherits_from"] += 1
                parent = self.index._parent(written, kind)
                if parent is None:
                    self._miss("inherits_from", "type that no import gives")
                elif isinstance(parent, Type) and parent.kind == "Annotation":
                    self._miss("inherits_from", "type that cannot be a parent")
                else:
                    tail = self._type(parent)
                    implements = tail[1] == "Interface" and head[1] != "Interface"
                    self._add(head, "implements" if implements else "inherits_from", tail, span(one))
                for argument in written.arguments:
                    self._uses(argument, body, span(one))

    def _function(self, node: Node, kind: Type, method: Method, around: Named) -> None:
        entity = self._method(kind, method)
        where = span(node)
        if any(kind.method_name(one) == entity[0] for one in kind.methods[: kind.methods.index(method)]):
            return  # the same erased signature twice: overloads by package of a parameter
        self._define(entity, where)
        if method.has_body:
            self._add(around, "defines", entity, where)
            self._add(entity, "defined_in", around, where)
        else:
            self._add(around, "declares", entity, where)
        body = _Body(entity, kind, method.variables)
        self._annotations(node, entity, body)
        self._overrides(kind, method, entity, where)
        if method.result is not None:
            self.found.sites["returns"] += 1
            result = self._meaning(method.result, body)
            if result is None:
                self._miss("returns", self._why_type(method.result, body))
            else:
                self._add(entity, "returns", self._type(result), span(node.child_by_field_name("type") or node))
            for argument in method.result.arguments:
                self._uses(argument, body, where)
        for name, written, at, is_rest in declarations.parameters(node):
            del is_rest
            self._declare(body, name, written, at)
        for clause in node.named_children:
            if clause.type == "throws":
                for one in clause.named_children:
                    self._thrown(declarations.type_name(one), body, span(one))
        block = node.child_by_field_name("body")
        if block is not None:
            self._walk(block, body)

    def _overrides(self, kind: Type, method: Method, entity: Named, where: Span) -> None:
        if method.is_static or method.is_private or method.name == "<init>":
            return
        for parent in self.index.lineage(kind)[1:]:
            if not isinstance(parent, Type):
                continue
            for other in parent.methods:
                if other.signature == method.signature and not other.is_static and not other.is_private:
                    self._add(entity, "overrides", self._method(parent, other), where)
                    return

    def _annotations(self, node: Node, head: Named, body: _Body) -> None:
        for mark in declarations.modifiers(node)[1]:
            self.found.sites["annotated_with"] += 1
            name = text(mark.child_by_field_name("name"))
            meaning = self.index.resolve(name, self.unit, body.inside)
            if meaning is None:
                self._miss("annotated_with", "type that no import gives")
            elif isinstance(meaning, Type) and meaning.kind != "Annotation":
                self._miss("annotated_with", "type that is no annotation")
            else:
                self._add(head, "annotated_with", self._type(meaning), span(mark))
            arguments = mark.child_by_field_name("arguments")
            if arguments is not None:
                self._walk(arguments, body)

    def _field_declaration(self, node: Node, kind: Type, body: _Body) -> None:
        written = declarations.type_name(node.child_by_field_name("type"))
        if written is not None:
            self._uses(written, body, span(node))
        for one in node.named_children:
            if one.type == "variable_declarator":
                entity = (f"{kind.name}.{text(one.child_by_field_name('name'))}", "Variable")
                if entity[0] not in self.index.types:
                    self._annotations(node, entity, body)
                if (value := one.child_by_field_name("value")) is not None:
                    self._value(value, body)

    # -- types -------------------------------------------------------------------------------------

    def _meaning(self, written: TypeName, body: _Body) -> Meaning:
        if self._is_variable(written, body):
            return None
        return self.index.resolve(written.name, self.unit, body.inside)

    def _is_variable(self, written: TypeName, body: _Body) -> bool:
        return written.name in body.variables or body.inside.sees_variable(written.name)

    def _why_type(self, written: TypeName, body: _Body) -> str:
        return "type variable" if self._is_variable(written, body) else "type that no import gives"

    def _uses(self, written: TypeName, body: _Body, where: Span) -> None:
        """A reference to a type, and to its arguments."""
        self.found.sites["uses"] += 1
        meaning = self._meaning(written, body)
        if meaning is None:
            self._miss("uses", self._why_type(written, body))
        else:
            self._add(body.owner, "uses", self._type(meaning), where)
        for argument in written.arguments:
            self._uses(argument, body, where)

    def _of_type(self, written: TypeName | None, body: _Body) -> Value:
        """A value of a declared type."""
        if written is None:
            return Value(why="variable of no declared type")
        if self._is_variable(written, body):
            return Value(why="value of a type variable")
        meaning = self.index.resolve(written.name, self.unit, body.inside)
        why = "value of a type that no import gives" if meaning is None else ""
        return Value(meaning, written.dimensions, written.arguments, why=why)

    def _declare(self, body: _Body, name: str, written: TypeName | None, where: Span) -> None:
        if written is not None:
            self._uses(written, body, where)
        body.locals[-1][name] = self._of_type(written, body)

    def _thrown(self, written: TypeName | None, body: _Body, where: Span, relation: str = "raises") -> None:
        self.found.sites[relation] += 1
        meaning = None if written is None else self._meaning(written, body)
        if meaning is None:
            self._miss(relation, "type that no import gives" if written is None else self._why_type(written, body))
        else:
            self._add_thrown(meaning, body, where, relation)

    def _add_thrown(self, meaning: Meaning, body: _Body, where: Span, relation: str) -> None:
        tail = self._type(meaning)
        if tail[1] in ("ExceptionType", "API"):
            self._add(body.owner, relation, tail, where)
        else:
            self._miss(relation, "type that cannot be thrown")

    # -- statements --------------------------------------------------------------------------------

    def _walk(self, node: Node, body: _Body) -> None:
        """Everything below a node, in order; declarations open and close scopes as blocks do."""
        handler = _STATEMENTS.get(node.type)
        if handler is not None:
            handler(self, node, body)
        elif node.type in _EXPRESSIONS or node.type in _LITERALS:
            self._value(node, body)
        else:
            for one in node.named_children:
                self._walk(one, body)

    def _scoped(self, node: Node, body: _Body) -> None:
        body.locals.append({})
        for one in node.named_children:
            self._walk(one, body)
        body.locals.pop()

    def _local_variable(self, node: Node, body: _Body) -> None:
        written = declarations.type_name(node.child_by_field_name("type"))
        if written is not None:
            self._uses(written, body, span(node))
        for one in node.named_children:
            if one.type != "variable_declarator":
                continue
            value = one.child_by_field_name("value")
            given = Value() if value is None else self._value(value, body)
            declared = given
            if written is not None:
                extra = text(one.child_by_field_name("dimensions")).count("[")
                declared = self._of_type(TypeName(written.name, written.dimensions + extra, written.arguments), body)
            body.locals[-1][text(one.child_by_field_name("name"))] = declared

    def _for_each(self, node: Node, body: _Body) -> None:
        body.locals.append({})
        value = node.child_by_field_name("value")
        over = Value() if value is None else self._value(value, body)
        written = declarations.type_name(node.child_by_field_name("type"))
        name = text(node.child_by_field_name("name"))
        if written is None and over.dimensions:
            body.locals[-1][name] = Value(over.meaning, over.dimensions - 1, over.arguments, why=over.why)
        else:
            self._declare(body, name, written, span(node))
        if (block := node.child_by_field_name("body")) is not None:
            self._walk(block, body)
        body.locals.pop()

    def _catch(self, node: Node, body: _Body) -> None:
        body.locals.append({})
        for one in node.named_children:
            if one.type == "catch_formal_parameter":
                kinds = [
                    each for part in one.named_children if part.type == "catch_type" for each in part.named_children
                ]
                for kind in kinds:
                    self._thrown(declarations.type_name(kind), body, span(kind), "catches")
                single = declarations.type_name(kinds[0]) if len(kinds) == 1 else None
                body.locals[-1][text(one.child_by_field_name("name"))] = self._of_type(single, body)
            else:
                self._walk(one, body)
        body.locals.pop()

    def _resource(self, node: Node, body: _Body) -> None:
        value = node.child_by_field_name("value")
        given = Value() if value is None else self._value(value, body)
        written = declarations.type_name(node.child_by_field_name("type"))
        name = node.child_by_field_name("name")
        if name is None:
            for one in node.named_children:
                self._walk(one, body)
        elif written is None:
            body.locals[-1][text(name)] = given
        else:
            self._declare(body, text(name), written, span(node))

    def _throw(self, node: Node, body: _Body) -> None:
        self.found.sites["raises"] += 1
        value = self._value(node.named_children[0], body)
        if value.meaning is None:
            self._miss("raises", value.why)
        else:
            self._add_thrown(value.meaning, body, span(node), "raises")

    def _lambda(self, node: Node, body: _Body) -> Value:
        body.locals.append({})
        given = node.child_by_field_name("parameters")
        for one in [] if given is None else [given] if given.type == "identifier" else given.named_children:
            if one.type == "identifier":
                body.locals[-1][text(one)] = Value(why="parameter of a lambda")
            elif one.type == "formal_parameter":
                written = declarations.type_name(one.child_by_field_name("type"))
                self._declare(body, text(one.child_by_field_name("name")), written, span(one))
        if (block := node.child_by_field_name("body")) is not None:
            self._walk(block, body)
        body.locals.pop()
        return Value(why="lambda")

    def _inner_class(self, node: Node, body: _Body) -> None:
        """An anonymous or local class: what its bodies do belongs to the method around it."""
        before, body.opaque = body.opaque, True
        body.locals.append({})
        for member in node.named_children if node.type == "class_body" else list(declarations.members(node)):
            body.locals.append({})
            for name, written, at, _ in declarations.parameters(member) if member.type in _FUNCTIONS else ():
                self._declare(body, name, written, at)
            for one in member.named_children:
                if one.type not in ("formal_parameters", "modifiers", "identifier"):
                    self._walk(one, body)
            if member.type == "field_declaration":
                fields = {text(v.child_by_field_name("name")): member for v in member.named_children
                          if v.type == "variable_declarator"}  # fmt: skip
                written = declarations.type_name(member.child_by_field_name("type"))
                body.locals[-2].update({name: self._of_type(written, body) for name in fields})
            body.locals.pop()
        body.locals.pop()
        body.opaque = before

    def _pattern(self, node: Node, body: _Body) -> None:
        """`value instanceof Kind name`, or a type pattern of a switch."""
        for one in node.named_children:
            written = declarations.type_name(one) if one.type != "identifier" else None
            if written is not None and one.type != "identifier":
                names = [
                    each
                    for each in node.named_children
                    if each.type == "identifier" and each.start_byte > one.start_byte
                ]
                self._uses(written, body, span(one))
                if names:
                    body.locals[-1][text(names[-1])] = self._of_type(written, body)
            elif one.type not in ("type_identifier",):
                self._walk(one, body)

    def _type_node(self, node: Node, body: _Body) -> None:
        written = declarations.type_name(node)
        if written is not None:
            self._uses(written, body, span(node))

    # -- expressions -------------------------------------------------------------------------------

    def _value(self, node: Node, body: _Body) -> Value:
        """Walk an expression and say of what static type it is."""
        if node.type in _LITERALS:
            for one in node.named_children if node.type == "class_literal" else ():
                self._type_node(one, body)
            return Value(_LITERALS[node.type])
        handler = _EXPRESSIONS.get(node.type)
        if handler is None:
            self._walk_children(node, body)
            return Value()
        return handler(self, node, body)

    def _walk_children(self, node: Node, body: _Body) -> None:
        for one in node.named_children:
            self._walk(one, body)

    def _parenthesised(self, node: Node, body: _Body) -> Value:
        return self._value(node.named_children[0], body)

    def _this(self, node: Node, body: _Body) -> Value:
        if body.opaque:
            return Value(why="this of an anonymous class")
        return Value(body.inside)

    def _null(self, node: Node, body: _Body) -> Value:
        return Value(why="null")

    def _identifier(self, node: Node, body: _Body) -> Value:
        return self._name(text(node), body, span(node), "reads_from")

    def _name(self, name: str, body: _Body, where: Span, relation: str) -> Value:
        """A simple name as an expression: local variable, field, statically imported field, or type."""
        local = body.local(name)
        if local is not None:
            return local
        if not body.opaque or self._enclosing_field(body.inside, name) is not None:
            found = self._enclosing_field(body.inside, name)
            if found is not None:
                return self._access(found, body, where, relation)
        for one in self.unit.imports:
            if one.is_static and (one.is_star or one.name.rpartition(".")[2] == name):
                owner = self.index.qualified(one.name if one.is_star else one.name.rpartition(".")[0])
                held = self._field(owner, name) if isinstance(owner, Type) else None
                if held is not None:
                    return self._access(held, body, where, relation)
                if isinstance(owner, str) and not one.is_star:
                    self._add(body.owner, "uses", self._outside(one.name), where)
                    return Value(why="field of outside code")
        meaning = self.index.resolve(name, self.unit, body.inside)
        if meaning is not None:
            return Value(meaning, is_type=True)
        return Value(why="name of no known meaning")

    def _access(self, found: tuple[Type, Field], body: _Body, where: Span, relation: str) -> Value:
        owner, held = found
        self.found.sites[relation] += 1
        self._add(body.owner, relation, (f"{owner.name}.{held.name}", "Variable"), where)
        return self._of_type(held.type, _Body(body.owner, owner))

    def _field(self, owner: Type, name: str) -> tuple[Type, Field] | None:
        for one in self.index.lineage(owner):
            if isinstance(one, Type) and name in one.fields:
                return one, one.fields[name]
        return None

    def _enclosing_field(self, inside: Type, name: str) -> tuple[Type, Field] | None:
        scope: Type | None = inside
        while scope is not None:
            if (found := self._field(scope, name)) is not None:
                return found
            scope = scope.outer
        return None

    def _field_access(self, node: Node, body: _Body) -> Value:
        return self._member(node, body, "reads_from")

    def _member(self, node: Node, body: _Body, relation: str) -> Value:
        """`object.field`: a field, a nested type, or a part of a qualified name."""
        target, name = node.child_by_field_name("object"), text(node.child_by_field_name("field"))
        if target is None:
            return Value()
        dotted = text(node)
        if _is_dotted(node) and body.local(dotted.partition(".")[0]) is None:
            head = (
                self._name(dotted.partition(".")[0], body, span(target), "reads_from")
                if target.type == "identifier"
                else None
            )
            found = self.index.qualified(dotted) if head is None or head.meaning is None else None
            own = isinstance(found, Type)
            if found is not None and (own or self._enclosing_field(body.inside, dotted.partition(".")[0]) is None):
                return Value(found, is_type=True)
        value = self._value(target, body)
        if name == "length" and value.dimensions:
            return Value("int")
        if name == "this" and value.is_type:
            return Value(value.meaning, why=value.why)
        if isinstance(value.meaning, Type) and not value.dimensions:
            held = self._field(value.meaning, name)
            if held is not None:
                return self._access(held, body, span(node), relation)
            nested = self.index.member_type(value.meaning, name) if value.is_type else None
            if nested is not None:
                return Value(nested, is_type=True)
            self.found.sites[relation] += 1
            self._miss(relation, self._missing(value.meaning, "no such field"))
            return Value(why="no such field")
        if isinstance(value.meaning, str) and not value.dimensions:
            if value.is_type:
                self._add(body.owner, "uses", self._outside(f"{value.meaning}.{name}"), span(node))
            return Value(why="field of outside code")
        return Value(why=value.why)

    def _missing(self, owner: Type, otherwise: str) -> str:
        known = all(isinstance(one, Type) for one in self.index.lineage(owner))
        return otherwise if known else "member that outside code may have"

    def _array_access(self, node: Node, body: _Body) -> Value:
        array = self._value(node.child_by_field_name("array") or node.named_children[0], body)
        if (index := node.child_by_field_name("index")) is not None:
            self._value(index, body)
        if array.dimensions:
            return Value(array.meaning, array.dimensions - 1, array.arguments, why=array.why)
        return Value(why=array.why)

    def _cast(self, node: Node, body: _Body) -> Value:
        written = declarations.type_name(node.child_by_field_name("type"))
        if (value := node.child_by_field_name("value")) is not None:
            self._value(value, body)
        if written is not None:
            self._uses(written, body, span(node))
        return self._of_type(written, body)

    def _assignment(self, node: Node, body: _Body) -> Value:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        value = Value() if right is None else self._value(right, body)
        if left is not None:
            self._store(left, body)
        return value

    def _update(self, node: Node, body: _Body) -> Value:
        for one in node.named_children:
            self._store(one, body)
        return Value("int")

    def _store(self, node: Node, body: _Body) -> None:
        if node.type == "identifier":
            self._name(text(node), body, span(node), "writes_to")
        elif node.type == "field_access":
            self._member(node, body, "writes_to")
        elif node.type == "array_access":
            array = node.child_by_field_name("array")
            if array is not None:
                self._store(array, body)
            if (index := node.child_by_field_name("index")) is not None:
                self._value(index, body)
        else:
            self._value(node, body)

    def _binary(self, node: Node, body: _Body) -> Value:
        sides = [self._value(one, body) for one in node.named_children]
        operator = text(node.child_by_field_name("operator"))
        if operator in ("==", "!=", "<", ">", "<=", ">=", "&&", "||"):
            return Value("boolean")
        meanings = [one.meaning for one in sides]
        if operator == "+" and "java.lang.String" in meanings:
            return Value("java.lang.String")
        if all((isinstance(one, str) and one in _WIDER) or one == "double" for one in meanings):
            order = ("byte", "short", "char", "int", "long", "float", "double")
            return Value(max(["int", *(str(one) for one in meanings)], key=order.index))
        return Value()

    def _ternary(self, node: Node, body: _Body) -> Value:
        sides = [self._value(one, body) for one in node.named_children]
        return sides[1] if len(sides) == 3 and sides[1] == sides[2] else Value()

    def _method_reference(self, node: Node, body: _Body) -> Value:
        """`Owner::name`: a use of the method where there is one of this name."""
        owner = self._value(node.named_children[0], body)
        name = text(node.named_children[-1]) if len(node.named_children) > 1 else "<init>"
        self.found.sites["uses"] += 1
        if isinstance(owner.meaning, Type):
            methods = self._methods(owner.meaning, name)
            if len(methods) == 1:
                self._add(body.owner, "uses", self._method(*methods[0]), span(node))
            else:
                self._miss("uses", "overloads of a method reference" if methods else "no such method")
        elif isinstance(owner.meaning, str):
            self._add(body.owner, "uses", self._outside(f"{owner.meaning}.{name}"), span(node))
        else:
            self._miss("uses", owner.why)
        return Value(why="method reference")

    # -- calls -------------------------------------------------------------------------------------

    def _arguments(self, node: Node, body: _Body) -> list[Value]:
        given = node.child_by_field_name("arguments")
        return (
            []
            if given is None
            else [self._value(one, body) for one in given.named_children if not one.type.endswith("_comment")]
        )

    def _call(self, node: Node, body: _Body) -> Value:
        self.found.sites["calls"] += 1
        name = text(node.child_by_field_name("name"))
        target = node.child_by_field_name("object")
        where = span(node)
        if target is None:
            arguments = self._arguments(node, body)
            return self._own_call(name, arguments, body, where)
        if target.type == "super":
            return self._super_call(name, self._arguments(node, body), body, where)
        value = self._value(target, body)
        arguments = self._arguments(node, body)
        if value.dimensions:
            self._add(body.owner, "calls", self._outside(f"java.lang.Object.{name}"), where)
            return Value(value.meaning, value.dimensions) if name == "clone" else Value(why="result of outside code")
        return self._call_on(value, name, arguments, body, where)

    def _call_on(self, value: Value, name: str, arguments: Sequence[Value], body: _Body, where: Span) -> Value:
        if isinstance(value.meaning, str) and value.meaning not in PRIMITIVES:
            self._add(body.owner, "calls", self._outside(f"{value.meaning}.{name}"), where)
            return Value(why="result of outside code")
        if not isinstance(value.meaning, Type):
            self._miss("calls", value.why)
            return Value(why=value.why)
        found, why = self._choose(value.meaning, name, arguments)
        if found is not None:
            return self._called(found, body, where)
        if why == "no such method" and value.meaning.kind == "Class" and self._is_record_field(value.meaning, name):
            return self._access((value.meaning, value.meaning.fields[name]), body, where, "reads_from")
        self._miss("calls", self._missing(value.meaning, why) if why == "no such method" else why)
        return Value(why=f"result of a call: {why}")

    def _is_record_field(self, owner: Type, name: str) -> bool:
        return name in owner.fields and not owner.methods and not owner.extends

    def _own_call(self, name: str, arguments: Sequence[Value], body: _Body, where: Span) -> Value:
        """A call without a receiver: a method of the type or of one around it, or one imported statically."""
        scope: Type | None = body.inside
        why = "method that nothing declares"
        while scope is not None:
            if self._methods(scope, name):
                found, why = self._choose(scope, name, arguments)
                if found is not None and not body.opaque:
                    return self._called(found, body, where)
                if found is not None:
                    why = "method that an anonymous class may have"
                self._miss("calls", why)
                return Value(why=f"result of a call: {why}")
            if any(not isinstance(one, Type) for one in self.index.lineage(scope)):
                why = "member that outside code may have"
            scope = scope.outer
        for one in self.unit.imports:
            if not one.is_static or not (one.is_star or one.name.rpartition(".")[2] == name):
                continue
            owner = self.index.qualified(one.name if one.is_star else one.name.rpartition(".")[0])
            if isinstance(owner, Type) and self._methods(owner, name):
                return self._call_on(Value(owner), name, arguments, body, where)
            if isinstance(owner, str) and not one.is_star:
                self._add(body.owner, "calls", self._outside(one.name), where)
                return Value(why="result of outside code")
        self._miss("calls", why)
        return Value(why="result of an unknown call")

    def _super_call(self, name: str, arguments: Sequence[Value], body: _Body, where: Span) -> Value:
        parents = self.index.lineage(body.inside)[1:]
        for parent in parents:
            if isinstance(parent, Type) and self._methods(parent, name) and not body.opaque:
                return self._call_on(Value(parent), name, arguments, body, where)
        if not parents and not body.opaque:
            self._add(body.owner, "calls", self._outside(f"java.lang.Object.{name}"), where)
        elif len(parents) == 1 and isinstance(parents[0], str) and not body.opaque:
            self._add(body.owner, "calls", self._outside(f"{parents[0]}.{name}"), where)
        else:
            self._miss("calls", "member that outside code may have")
        return Value(why="result of outside code")

    def _constructor_call(self, node: Node, body: _Body) -> Value:
        """`this(...)` or `super(...)`."""
        self.found.sites["calls"] += 1
        arguments = self._arguments(node, body)
        constructor = text(node.child_by_field_name("constructor"))
        if constructor == "this":
            return self._construct(body.inside, arguments, body, span(node), "calls")
        written = body.inside.extends
        parent = self.index._parent(written[0], body.inside) if written else "java.lang.Object"
        if isinstance(parent, Type):
            return self._construct(parent, arguments, body, span(node), "calls")
        if parent is None:
            self._miss("calls", "type that no import gives")
        else:
            self._add(body.owner, "calls", self._outside(parent), span(node))
        return Value(parent)

    def _construct(self, owner: Type, arguments: Sequence[Value], body: _Body, where: Span, relation: str) -> Value:
        constructors = [one for one in owner.methods if one.name == "<init>"]
        if not constructors:
            return Value(owner)  # the one that the compiler writes is no entity
        found, why = self._fitting([(owner, one) for one in constructors], arguments)
        if found is not None:
            self._add(body.owner, relation, self._method(*found), where)
        elif relation == "calls":
            self._miss("calls", why)
        return Value(owner)

    def _new(self, node: Node, body: _Body) -> Value:
        self.found.sites["calls"] += 1
        kind = node.child_by_field_name("type")
        written = declarations.type_name(kind)
        outer = node.named_children[0] if node.named_children and node.named_children[0] != kind else None
        inside = self._value(outer, body) if outer is not None and outer.type in _EXPRESSIONS else None
        arguments = self._arguments(node, body)
        where = span(node)
        value = self._of_type(written, body)
        if inside is not None and isinstance(inside.meaning, Type) and written is not None:
            value = Value(self.index.member_type(inside.meaning, written.name), 0, written.arguments)
        if isinstance(value.meaning, Type):
            tail = self._type(value.meaning)
            self._add(body.owner, "instantiates", tail, where)
            self._tested(body.owner, value.meaning, tail, where)
            if value.meaning.kind == "Class":
                self._construct(value.meaning, arguments, body, where, "invokes")
        elif value.meaning is not None:
            self._add(body.owner, "calls", self._outside(value.meaning), where)
        else:
            self._miss("calls", value.why)
        for argument in written.arguments if written is not None else ():
            self._uses(argument, body, where)
        for one in node.named_children:
            if one.type == "class_body":
                self._inner_class(one, body)
        return value

    def _new_array(self, node: Node, body: _Body) -> Value:
        written = declarations.type_name(node.child_by_field_name("type"))
        if written is not None:
            self._uses(written, body, span(node))
        dimensions = 0
        for one in node.named_children:
            if one.type in ("dimensions_expr", "dimensions"):
                dimensions += max(1, text(one).count("[")) if one.type == "dimensions" else 1
                self._walk_children(one, body)
            elif one.type == "array_initializer":
                self._walk_children(one, body)
        value = self._of_type(written, body)
        return Value(value.meaning, value.dimensions + dimensions, value.arguments, why=value.why)

    def _called(self, found: tuple[Type, Method], body: _Body, where: Span) -> Value:
        owner, method = found
        tail = self._method(owner, method)
        self._add(body.owner, "calls", tail, where)
        self._tested(body.owner, owner, tail, where)
        if method.result is None:
            return Value(why="result of a void method")
        return self._of_type(method.result, _Body(body.owner, owner, method.variables))

    def _tested(self, head: Named, owner: Type, tail: Named, where: Span) -> None:
        unit = owner.unit
        if head[1] == "Test" and not unit.is_test and unit.distribution == self.place.distribution:
            self._add(head, "tests", tail, where)
            self._add(tail, "tested_by", head, where)

    def _methods(self, owner: Type, name: str) -> list[tuple[Type, Method]]:
        """Methods of this name, an overridden one left out."""
        found: dict[str, tuple[Type, Method]] = {}
        for one in self.index.lineage(owner):
            if isinstance(one, Type):
                for method in one.methods:
                    if method.name == name and name != "<init>":
                        found.setdefault(method.signature, (one, method))
        if name == "<init>":
            return [(owner, one) for one in owner.methods if one.name == name]
        return list(found.values())

    def _choose(self, owner: Type, name: str, arguments: Sequence[Value]) -> tuple[tuple[Type, Method] | None, str]:
        return self._fitting(self._methods(owner, name), arguments)

    def _fitting(
        self, methods: Sequence[tuple[Type, Method]], arguments: Sequence[Value]
    ) -> tuple[tuple[Type, Method] | None, str]:
        """The one method that the arguments may mean; by number, by exact types, then by what cannot be."""
        if not methods:
            return None, "no such method"
        taking = [one for one in methods if one[1].takes(len(arguments))]
        if len(taking) <= 1:
            return (taking[0], "") if taking else (None, "no method of so many arguments")
        for rest in (False, True):  # one of variable arity is looked for where no other can be meant
            phase = [one for one in taking if one[1].varargs == rest]
            possible = [one for one in phase if self._fit(one, arguments) > 0]
            exact = [one for one in possible if self._fit(one, arguments) == 2] if len(possible) > 1 else possible
            if possible:
                return (exact[0], "") if len(exact) == 1 else (None, "overload that the arguments do not decide")
        return None, "overload that the arguments do not decide"

    def _fit(self, found: tuple[Type, Method], arguments: Sequence[Value]) -> int:
        """2: every argument is of the parameter's type; 1: may be; 0: cannot be."""
        owner, method = found
        body = _Body(("", ""), owner, method.variables)
        exact = 2
        rest = method.parameters[-1:] * (len(arguments) - len(method.parameters))
        for place, (written, given) in enumerate(zip([*method.parameters, *rest], arguments, strict=False), start=1):
            wanted = self._of_type(written, body)
            variable = method.varargs and place >= len(method.parameters) and given.dimensions != wanted.dimensions
            dimensions = wanted.dimensions - variable
            if wanted.meaning is None or given.meaning is None:
                exact = 1
            elif dimensions != given.dimensions:
                if wanted.meaning != "java.lang.Object" or dimensions:
                    return 0
                exact = 1
            elif wanted.meaning is not given.meaning and wanted.meaning != given.meaning:
                if not self._converts(given.meaning, wanted.meaning):
                    return 0
                exact = 1
        return exact

    def _converts(self, given: Meaning, wanted: Meaning) -> bool:
        """Whether a value of one type may be passed as another; unknown relations of outside types may hold."""
        if isinstance(given, str) and given in PRIMITIVES:
            if isinstance(wanted, Type):
                return False
            if wanted in PRIMITIVES:
                return wanted in _WIDER.get(given, ())
            return wanted in (
                f"java.lang.{_BOXES[given]}",
                "java.lang.Object",
                "java.lang.Number",
                "java.lang.Comparable",
            )
        if isinstance(wanted, str) and wanted in PRIMITIVES:
            return given == f"java.lang.{_BOXES[wanted]}"
        if wanted == "java.lang.Object":
            return True
        if isinstance(given, Type):
            return wanted in self.index.lineage(given) or None in self.index.lineage(given)
        if given == "java.lang.String":
            return wanted in ("java.lang.CharSequence", "java.lang.Comparable", "java.io.Serializable")
        return not isinstance(wanted, Type)


def _is_dotted(node: Node) -> bool:
    while node.type == "field_access":
        inner = node.child_by_field_name("object")
        if inner is None:
            return False
        node = inner
    return node.type == "identifier"


_STATEMENTS: Final[dict[str, Callable[[_File, Node, _Body], object]]] = {
    "block": _File._scoped,
    "for_statement": _File._scoped,
    "try_with_resources_statement": _File._scoped,
    "switch_block": _File._scoped,
    "local_variable_declaration": _File._local_variable,
    "enhanced_for_statement": _File._for_each,
    "catch_clause": _File._catch,
    "resource": _File._resource,
    "throw_statement": _File._throw,
    "class_declaration": _File._inner_class,
    "record_declaration": _File._inner_class,
    "enum_declaration": _File._inner_class,
    "interface_declaration": _File._inner_class,
    "class_body": _File._inner_class,
    "instanceof_expression": _File._pattern,
    "type_pattern": _File._pattern,
    "explicit_constructor_invocation": _File._constructor_call,
    "generic_type": _File._type_node,
    "type_identifier": _File._type_node,
    "scoped_type_identifier": _File._type_node,
    "modifiers": lambda self, node, body: None,
    "labeled_statement": lambda self, node, body: [self._walk(one, body) for one in node.named_children[1:]],
    "break_statement": lambda self, node, body: None,
    "continue_statement": lambda self, node, body: None,
}

_EXPRESSIONS: Final[dict[str, Callable[[_File, Node, _Body], Value]]] = {
    "identifier": _File._identifier,
    "this": _File._this,
    "null_literal": _File._null,
    "field_access": _File._field_access,
    "array_access": _File._array_access,
    "parenthesized_expression": _File._parenthesised,
    "cast_expression": _File._cast,
    "assignment_expression": _File._assignment,
    "update_expression": _File._update,
    "binary_expression": _File._binary,
    "ternary_expression": _File._ternary,
    "method_invocation": _File._call,
    "object_creation_expression": _File._new,
    "array_creation_expression": _File._new_array,
    "lambda_expression": _File._lambda,
    "method_reference": _File._method_reference,
}


def results(
    files: Sequence[tuple[Place, bytes | Path, bool]], taken: frozenset[str] = frozenset()
) -> Iterator[tuple[Place, Found | str]]:
    """Each file in order with what it gives, or with the word why it was skipped; two passes over all of them.

    A file is its place, its content or where that lies, and whether it is test code. `taken` are names of Python
    modules in the same graph.
    """
    index = Index()
    units: list[Unit | str] = []
    told: set[tuple[str, str, str]] = set()  # of packages, which many files share
    for place, content, is_test in files:
        try:
            unit = declarations.read(_bytes(content), place.distribution, place.file, is_test=is_test, taken=taken)
        except declarations.JavaSyntaxError:
            units.append("syntax")
        except (UnreadableError, UnicodeError, RecursionError) as error:
            units.append(reason_of(error))
        else:
            units.append(unit)
            index.add(unit, (place.distribution, place.file))
    for (place, content, _), known in zip(files, units, strict=True):
        if isinstance(known, str):
            yield place, known
            continue
        try:
            found = extract(_bytes(content), place, known, index)
        except (UnreadableError, RecursionError) as error:
            yield place, reason_of(error)
            continue
        found.triples = [one for one in found.triples if one.content not in told]
        told.update(one.content for one in found.triples if one.head_type == "Module")
        yield place, found


def _bytes(content: bytes | Path) -> bytes:
    return content_of(content) if isinstance(content, Path) else content
