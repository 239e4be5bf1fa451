"""Declared types, of a file and of a compiled template, as kinds (kinds.py)."""

from __future__ import annotations

from functools import partial
from typing import Any

from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.derived import described_part
from orchestrator.bicep.kinds import ANY, Kind, Property, literal, union
from orchestrator.bicep.literals import alias, part
from orchestrator.bicep.model import ArmFile, Model, has_decorator

_TEMPLATE_KINDS = {
    "string": kinds.STRING,
    "securestring": kinds.STRING,
    "int": kinds.INT,
    "bool": kinds.BOOL,
    "object": kinds.OBJECT,
    "secureobject": kinds.OBJECT,
    "array": kinds.ARRAY,
}
_DEPTH = 40


def of_schema(file: ArmFile, schema: Any, depth: int = 0) -> Kind:
    """The kind that a compiled template describes."""
    schema = file.resolve(schema)
    if not isinstance(schema, dict) or depth > 8:
        return ANY
    allowed = schema.get("allowedValues")
    base = _TEMPLATE_KINDS.get(str(schema.get("type", "any")).lower(), ANY)
    found = base
    if allowed and base.name in ("string", "int", "bool"):
        found = union(literal(value) for value in allowed)
    elif base.name == "array" and isinstance(allowed, list):
        found = kinds.among(base, [literal(one) for one in allowed if _is_plain(one)])
    elif base.name == "array" and isinstance(schema.get("items"), dict):
        items = schema["items"]
        found = Kind("array", item=lambda: of_schema(file, items, depth + 1))
    elif base.name == "object" and schema.get("properties"):
        props = {
            name: Property(
                partial(of_schema, file, inner, depth + 1),
                not file.resolve(inner).get("nullable", False),
            )
            for name, inner in schema["properties"].items()
        }
        found = Kind("object", props=props, closed=schema.get("additionalProperties") is False)
    return union([found, kinds.NULL]) if schema.get("nullable") else found


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int))


def type_kind(
    model: Model, node: s.Node, depth: int = 0, within: frozenset[s.Node] = frozenset()
) -> Kind:
    """The kind that a type's syntax means. `within`: the declarations that lead here."""
    if depth > _DEPTH:
        return ANY
    match node:
        case s.TypeLiteral():
            return literal(node.value)
        case s.TypeNullable():
            return union([type_kind(model, node.base, depth + 1, within), kinds.NULL])
        case s.TypeNonNull():
            return kinds.without_null(type_kind(model, node.base, depth + 1, within))
        case s.TypeUnion():
            return union(type_kind(model, member, depth + 1, within) for member in node.members)
        case s.TypeArray():
            return Kind("array", item=lambda: type_kind(model, node.item))
        case s.TypeTuple():
            items = tuple(type_kind(model, item.type, depth + 1, within) for item in node.items)
            return Kind("array", items=items, item=lambda: union(items))
        case s.TypeObject():
            return _object_type(model, node)
        case s.TypeName(symbol=None):
            return kinds.NAMED.get(node.name, ANY)
    found = alias(node)
    if isinstance(found, tuple):
        owner, type_, decl = found
        if decl in within:
            return ANY
        if decl not in owner.alias_kinds:
            kind = type_kind(owner, type_, depth + 1, within | {decl})
            owner.alias_kinds[decl] = _sealed(decl, kind)
        return owner.alias_kinds[decl]
    if found is not None and isinstance(found.file, ArmFile):
        return of_schema(found.file, found.file.template["definitions"][found.name])
    inner = part(model, node)
    if inner is not None:
        return type_kind(inner[0], inner[1], depth + 1, within)
    described = described_part(model, node)
    if described is not None:
        return described
    if isinstance(node, s.TypeMember):
        return kinds.NAMED.get(node.name.name, ANY) if _is_sys(node.base) else ANY
    return ANY


def declared_kind(model: Model, decl: s.Node, type_: s.Node) -> Kind:
    """A type with what `@sealed` before its declaration says."""
    return _sealed(decl, type_kind(model, type_))


def _sealed(decl: s.Node, kind: Kind) -> Kind:
    plain = kinds.without_null(kind)
    if plain.name != "object" or not has_decorator(decl, "sealed"):
        return kind
    closed = Kind("object", props=plain.props, rest=plain.rest, closed=True)
    return closed if plain is kind else union([closed, kinds.NULL])


def _is_sys(node: s.Node) -> bool:
    return (
        isinstance(node, s.TypeName)
        and node.symbol is not None
        and node.symbol.kind == sym.NAMESPACE
    )


def _object_type(model: Model, node: s.TypeObject) -> Kind:
    props = {
        prop.name: Property(
            partial(declared_kind, model, prop, prop.type),
            not isinstance(prop.type, s.TypeNullable),
        )
        for prop in node.props
        if prop.name is not None
    }
    rest = next((prop.type for prop in node.props if prop.name is None), None)
    if rest is None:
        return Kind("object", props=props)
    return Kind("object", props=props, rest=lambda: type_kind(model, rest))
