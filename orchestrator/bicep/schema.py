"""User-defined types as the template describes types (`definitions`, `parameters`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.azure_types import spelling
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.derived import derived_kind
from orchestrator.bicep.diagnostics import UNSUPPORTED
from orchestrator.bicep.literals import Leaf, is_literal, leaves, literal_value
from orchestrator.bicep.model import EXPORT_MARK, ArmFile, Model, decorator
from orchestrator.bicep.naming import Naming
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.use_kinds import used_kind

if TYPE_CHECKING:
    from orchestrator.bicep.convert import Converter

Schema = dict[str, Any]

_CONSTRAINTS = ("minLength", "maxLength", "minValue", "maxValue")
DERIVED_MARK = "__bicep_resource_derived_type!"
_SECURE = {"string": "securestring", "object": "secureObject"}


@dataclass(slots=True, frozen=True)
class Pointer:
    """Where a type stands: below a definition, or in a resource type of Azure's."""

    segments: tuple[str, ...]
    node: s.Node | None  # in `model`
    model: Model | None
    schema: Any = None  # of a compiled template
    file: ArmFile | None = None
    derived: s.TypeDerived | None = None

    def down(self, *more: str) -> tuple[str, ...]:
        return (*self.segments, *more)


def merge(into: Schema, values: Schema) -> Schema:
    found = dict(into)
    for key, value in values.items():
        if isinstance(found.get(key), dict) and isinstance(value, dict):
            found[key] = merge(found[key], value)
        else:
            found[key] = value
    return found


def _encode(segment: str) -> str:
    return segment.replace("~", "~0").replace("/", "~1")


class Schemas:
    """Types of one file, as the naming calls them."""

    def __init__(self, model: Model, naming: Naming, converter: Converter) -> None:
        self.model = model
        self.naming = naming
        self.converter = converter

    # --- declarations

    def declared(self, decl: s.Node, type_: s.Node, *, export: bool = False) -> Schema:
        """A type with what the decorators of its declaration add."""
        from orchestrator.bicep.writer import Writer

        emit = Writer(self.converter).emit
        schema = self._typed(decl, type_)
        if "type" not in schema and DERIVED_MARK in schema.get("metadata", {}):
            self._find_kind(decl, schema)
        if decorator(decl, "secure") is not None and schema.get("type") in _SECURE:
            schema["type"] = _SECURE[schema["type"]]
        if decorator(decl, "sealed") is not None:
            schema["additionalProperties"] = False
        if export and decorator(decl, "export") is not None:
            schema = merge(schema, {"metadata": {EXPORT_MARK: True}})
        metadata = decorator(decl, "metadata")
        if metadata is not None and metadata.args:
            schema = merge(schema, {"metadata": emit(metadata.args[0], {})})
        for name in _CONSTRAINTS:
            found = decorator(decl, name)
            if found is not None and found.args:
                schema[name] = emit(found.args[0], {})
        description = describe(decl, self.converter)
        if description is not None:
            schema = merge(schema, {"metadata": {"description": description}})
        return schema

    def _find_kind(self, decl: s.Node, schema: Schema) -> None:
        """The kind of a part of a resource type, from the parameter's values and uses.

        Without one the service takes what it is given and checks it later. A secret must have
        one, or it would be shown.
        """
        kind = used_kind(self.model, decl) if isinstance(decl, s.ParamDecl) else None
        if kind is not None:
            schema["type"] = kind
        if decorator(decl, "secure") is not None and kind not in _SECURE:
            self.model.error(
                decl,
                UNSUPPORTED,
                "Without Azure's types it is not known whether this secret is a string or an "
                "object, and nothing here says it.",
                "Declare it as string or object.",
            )

    def _typed(self, decl: s.Node, type_: s.Node) -> Schema:
        discriminator = decorator(decl, "discriminator")
        if discriminator is None:
            return self.schema(type_)
        inner = type_.base if isinstance(type_, (s.TypeNullable, s.TypeNonNull)) else type_
        if not isinstance(inner, s.TypeUnion):
            return self.schema(type_)
        name = discriminator.args[0] if discriminator.args else None
        key = name.literal if isinstance(name, s.Str) and name.literal is not None else ""
        schema = self._tagged(inner, key)
        if inner is not type_:
            schema["nullable"] = isinstance(type_, s.TypeNullable)
        return schema

    # --- types

    def schema(self, node: s.Node) -> Schema:
        match node:
            case s.TypeName() | s.TypeMember() | s.TypeIndex() | s.TypeItems() | s.TypeRest():
                return self._reference(node)
            case s.TypeDerived():
                return self._derived(self.pointer(node))
            case s.TypeLiteral():
                kind = "object" if node.value is None else literal_kind(node.value)
                return {"type": kind, "allowedValues": [node.value]}
            case s.TypeUnion():
                return self._union(node)
            case s.TypeArray():
                allowed = self._allowed(node.item)
                if allowed is not None:
                    return {"type": "array", "allowedValues": allowed}
                return {"type": "array", "items": self.schema(node.item)}
            case s.TypeObject():
                return self._object(node)
            case s.TypeTuple():
                items = [self.declared(item, item.type) for item in node.items]
                return {"type": "array", "prefixItems": items, "items": False}
            case s.TypeNullable():
                return merge(self.schema(node.base), {"nullable": True})
            case s.TypeNonNull():
                return merge(self.schema(node.base), {"nullable": False})
        raise AssertionError(f"no type: {type(node).__name__}")

    def _object(self, node: s.TypeObject) -> Schema:
        schema: Schema = {
            "type": "object",
            "properties": {
                prop.name: self.declared(prop, prop.type)
                for prop in node.props
                if prop.name is not None
            },
        }
        for prop in node.props:
            if prop.name is None:
                schema["additionalProperties"] = self.declared(prop, prop.type)
        return schema

    def _allowed(self, node: s.Node) -> list[Any] | None:
        if isinstance(node, s.TypeLiteral):
            return [node.value]
        if isinstance(node, s.TypeUnion):
            return [literal_value(leaf) for leaf in leaves(self.model, node)]
        if isinstance(node, (s.TypeObject, s.TypeTuple)) and is_literal(self.model, node):
            return [literal_value(Leaf(node, self.model))]
        return None

    def _union(self, node: s.TypeUnion) -> Schema:
        found = leaves(self.model, node)
        values = [leaf for leaf in found if not leaf.is_null]
        schema: Schema = {}
        kind = values[0].kind if values else None
        if kind is not None:
            schema["type"] = kind
        schema["allowedValues"] = [literal_value(leaf) for leaf in values]
        if len(values) < len(found):
            schema["nullable"] = True
        return schema

    # --- references

    def _reference(self, node: s.Node) -> Schema:
        if isinstance(node, s.TypeName) and node.symbol is None:
            return {} if node.name == "any" else {"type": node.name}
        if (
            isinstance(node, s.TypeMember)
            and isinstance(node.base, s.TypeName)
            and node.base.symbol is not None
            and node.base.symbol.kind == sym.NAMESPACE
        ):
            return {} if node.name.name == "any" else {"type": node.name.name}
        pointer = self.pointer(node)
        if pointer.derived is not None:
            return self._derived(pointer)
        return {"$ref": "#/" + "/".join(_encode(part) for part in pointer.segments)}

    def _root(self, target: sym.Target) -> Pointer:
        segments = ("definitions", self.naming.closure.name(target))
        if isinstance(target.file, ArmFile):
            schema = target.file.template["definitions"][target.name]
            return Pointer(segments, None, None, schema, target.file)
        assert target.symbol is not None
        decl = target.symbol.decl
        assert isinstance(decl, s.TypeDecl)
        return Pointer(segments, decl.type, target.symbol.model)

    def pointer(self, node: s.Node) -> Pointer:
        """Where a type that is named, or a part of one, stands."""
        match node:
            case s.TypeDerived():
                return Pointer((), None, None, derived=node)
            case s.TypeName(symbol=Symbol() as symbol):
                if symbol.kind == sym.IMPORT:
                    assert symbol.target is not None
                    return self._root(symbol.target)
                assert isinstance(symbol.decl, s.TypeDecl)
                name = self.naming.type(symbol)
                return Pointer(("definitions", name), symbol.decl.type, symbol.model)
            case s.TypeMember():
                base = node.base
                if (
                    isinstance(base, s.TypeName)
                    and base.symbol is not None
                    and base.symbol.kind == sym.WILDCARD
                ):
                    return self._root(base.symbol.members[node.name.name])
                return self._property(self._traced(self.pointer(base)), node)
            case s.TypeRest():
                found = self._traced(self.pointer(node.base))
                part = None
                if isinstance(found.node, s.TypeObject):
                    part = next((p.type for p in found.node.props if p.name is None), None)
                schema = found.schema.get("additionalProperties") if found.file else None
                return self._below(found, part, schema, "additionalProperties")
            case s.TypeItems():
                found = self._traced(self.pointer(node.base))
                part = found.node.item if isinstance(found.node, s.TypeArray) else None
                schema = found.schema.get("items") if found.file else None
                return self._below(found, part, schema, "items")
            case s.TypeIndex():
                found = self._traced(self.pointer(node.base))
                part = None
                if isinstance(found.node, s.TypeTuple) and node.index < len(found.node.items):
                    part = found.node.items[node.index].type
                schema = found.schema["prefixItems"][node.index] if found.file else None
                return self._below(found, part, schema, "prefixItems", str(node.index))
        return Pointer((), node, self.model)

    def _below(self, found: Pointer, part: s.Node | None, schema: Any, *segments: str) -> Pointer:
        return Pointer(found.down(*segments), part, found.model, schema, found.file, found.derived)

    def _property(self, found: Pointer, node: s.TypeMember) -> Pointer:
        name = node.name.name
        part = None
        if isinstance(found.node, s.TypeObject):
            for prop in found.node.props:
                if prop.name is not None and prop.name.lower() == name.lower():
                    part, name = prop.type, prop.name
        schema = None
        if found.file is not None:
            schema = found.schema.get("properties", {}).get(name)
        return self._below(found, part, schema, "properties", name)

    def _traced(self, pointer: Pointer) -> Pointer:
        """Through names to where a type is spelled out."""
        for _ in range(64):
            if pointer.derived is not None:
                return pointer
            if pointer.file is not None:
                schema = pointer.schema
                if not isinstance(schema, dict) or "$ref" not in schema:
                    return pointer
                name = str(schema["$ref"]).removeprefix("#/definitions/").split("/")[0]
                pointer = self._root(sym.Target(pointer.file, sym.TYPE, name))
                continue
            node = pointer.node
            if isinstance(node, (s.TypeNullable, s.TypeNonNull)):
                pointer = Pointer(pointer.segments, node.base, pointer.model)
            elif isinstance(
                node,
                (s.TypeName, s.TypeMember, s.TypeItems, s.TypeRest, s.TypeIndex, s.TypeDerived),
            ) and not (isinstance(node, s.TypeName) and node.symbol is None):
                inner = self
                if pointer.model is not None and pointer.model is not self.model:
                    naming = Naming(self.naming.closure, pointer.model)
                    inner = Schemas(pointer.model, naming, self.converter)
                pointer = inner.pointer(node)
            else:
                return pointer
        return pointer

    def _derived(self, pointer: Pointer) -> Schema:
        node = pointer.derived
        assert node is not None
        source = node.args[0].value if node.args and isinstance(node.args[0], s.TypeLiteral) else ""
        type_, at, version = str(source).removeprefix("az:").partition("@")
        text = f"{spelling(type_, version)}{at}{version}"
        if pointer.segments:
            text += "#" + "/".join(_encode(part) for part in pointer.segments)
        mark: Any = {"source": text}
        if node.name.name == "resourceOutput":
            mark["output"] = True
        elif node.name.name == "resource":
            mark = text
        schema: Schema = {}
        kind = derived_kind(self.model, str(source), pointer.segments)
        if kind is not None:
            schema["type"] = kind
        schema["metadata"] = {DERIVED_MARK: mark}
        return schema

    # --- tagged unions

    def _tagged(self, node: s.Node, key: str) -> Schema:
        mapping: Schema = {}
        self._mapping(node, key, mapping)
        return {"type": "object", "discriminator": {"propertyName": key, "mapping": mapping}}

    def _mapping(self, node: s.Node, key: str, mapping: Schema) -> None:
        if isinstance(node, s.TypeUnion):
            for member in node.members:
                self._mapping(member, key, mapping)
            return
        if isinstance(node, s.TypeObject):
            tag = tag_of(self.model, node, key)
            if tag is not None:
                mapping[tag] = self.schema(node)
            return
        if isinstance(node, (s.TypeNullable, s.TypeNonNull)):
            self._mapping(node.base, key, mapping)
            return
        pointer = self.pointer(node)
        if pointer.file is not None:
            self._arm_mapping(pointer, key, mapping)
            return
        target, model = pointer.node, pointer.model
        if target is None or model is None or target is node:
            return
        if isinstance(target, s.TypeObject):
            tag = tag_of(model, target, key)
            if tag is not None:
                mapping[tag] = self._reference(node)
            return
        naming = self.naming if model is self.model else Naming(self.naming.closure, model)
        Schemas(model, naming, self.converter)._mapping(target, key, mapping)

    def _arm_mapping(self, pointer: Pointer, key: str, mapping: Schema) -> None:
        traced = self._traced(pointer)
        assert traced.file is not None
        schema = traced.schema
        inner = schema.get("discriminator")
        if inner:
            renamed = self.naming.closure.arm_schema(traced.file, inner["mapping"])
            mapping.update(renamed)
            return
        tag = traced.file.resolve(schema.get("properties", {}).get(key, {}))
        for value in tag.get("allowedValues", ())[:1]:
            reference = "#/" + "/".join(_encode(part) for part in pointer.segments)
            mapping[str(value)] = {"$ref": reference}


def literal_kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "string"


def tag_of(model: Model, node: s.TypeObject, key: str) -> str | None:
    """What a tagged union's member says of itself."""
    for prop in node.props:
        if prop.name == key:
            for leaf in leaves(model, prop.type):
                value = literal_value(leaf)
                return value if isinstance(value, str) else None
    return None


def describe(decl: s.Node, converter: Converter) -> Any:
    """The description of a declaration, as the template has it."""
    found = decorator(decl, "description")
    if found is None or not found.args:
        return None
    from orchestrator.bicep import arm

    node, _ = converter.resolve(found.args[0], {})
    if isinstance(node, s.Str) and node.literal is not None:
        return arm.escape(dedent(node.literal))
    return arm.to_text(converter.convert(found.args[0], {}))


def dedent(text: str) -> str:
    """A description's lines without the blanks that all but the first begin with."""
    first, *rest = text.replace("\r\n", "\n").split("\n")
    filled = [line for line in rest if line]
    common = 0
    while filled and all(len(line) > common and line[common] in " \t" for line in filled):
        common += 1
    return "\n".join([first, *(line[common:] for line in rest)])
