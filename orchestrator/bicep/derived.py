"""`resourceInput<'type@version'>.properties.x`: what kind of value a part of a resource is.

The real compiler knows from Azure's library of types, which no package holds. What all resource
types share is known here, and what a parameter's default value and uses say. Else no kind is
written, and the service checks the value itself, which it does in either case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bicep import syntax as s

if TYPE_CHECKING:
    from orchestrator.bicep.model import Model

_TOP = {
    "id": "string",
    "name": "string",
    "type": "string",
    "apiVersion": "string",
    "location": "string",
    "kind": "string",
    "etag": "string",
    "managedBy": "string",
    "tags": "object",
    "properties": "object",
    "identity": "object",
    "sku": "object",
    "plan": "object",
    "extendedLocation": "object",
    "zones": "array",
    "dependsOn": "array",
}


def derived_kind(resource_type: str, segments: tuple[str, ...]) -> str | None:
    """string, int, bool, object or array; None when it is not known."""
    if not segments:
        return "object"
    if len(segments) == 2 and segments[0] == "properties":
        return _TOP.get(segments[1])
    if segments[0] == "properties" and segments[1] == "tags" and segments[-1] != "tags":
        return "string"
    return None


_TEXT = ("key", "password", "secret", "token", "string", "name", "id", "uri", "url", "value")


def sounds_like_text(mark: object) -> bool:
    """Whether a part of a resource type is named as texts are."""
    source = str(mark.get("source")) if isinstance(mark, dict) else str(mark)
    return source.rpartition("/")[2].lower().endswith(_TEXT)


_OF_ARRAYS = frozenset(
    {"map", "filter", "reduce", "sort", "toObject", "groupBy", "flatten", "join", "distinct"}
)
_OF_OBJECTS = frozenset({"items", "objectKeys", "mapValues"})


def _written(node: s.Node | None) -> str | None:
    """The kind of a value that is written out."""
    match node:
        case s.Array() | s.For():
            return "array"
        case s.Object():
            return "object"
        case s.Str():
            return "string"
        case s.Int():
            return "int"
        case s.Bool():
            return "bool"
    return None


def _use(node: s.Name) -> str | None:
    """What one use of a parameter says of its kind."""
    parent = node.parent
    child: s.Node = node
    while isinstance(parent, (s.Paren, s.NonNull)):
        child, parent = parent, parent.parent
    match parent:
        case s.Member():
            return "object"
        case s.Index() if parent.base is child:
            index = s.unwrap(parent.index)
            if isinstance(index, s.Int):
                return "array"
            return "object" if isinstance(index, s.Str) else None
        case s.For() if parent.array is child:
            return "array"
        case s.Spread():
            return "array" if isinstance(parent.parent, s.Array) else "object"
        case s.Binary(op="??") if parent.left is child:
            default = _written(s.unwrap(parent.right))
            if default is not None:
                return default
            return _use_of_value(parent)
        case s.Call() if parent.args and parent.args[0] is child and parent.symbol is None:
            return _of_call(parent.name.name)
        case s.Str():
            return None
    return None


def _use_of_value(node: s.Node) -> str | None:
    parent = node.parent
    child = node
    while isinstance(parent, (s.Paren, s.NonNull)):
        child, parent = parent, parent.parent
    if isinstance(parent, s.For) and parent.array is child:
        return "array"
    if isinstance(parent, s.Call) and parent.args and parent.args[0] is child:
        return _of_call(parent.name.name)
    return None


def _of_call(name: str) -> str | None:
    if name in _OF_ARRAYS:
        return "array"
    return "object" if name in _OF_OBJECTS else None


def used_kind(model: Model, decl: s.ParamDecl) -> str | None:
    """The kind of a parameter by its default value and its uses; None when they do not agree."""
    symbol = model.symbols.get(decl.name.name)
    found = {_written(decl.default)}
    for other in model.decls:
        for node in s.walk(other):
            if isinstance(node, s.Name) and node.symbol is symbol:
                found.add(_use(node))
    found.discard(None)
    return found.pop() if len(found) == 1 else None
