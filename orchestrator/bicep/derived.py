"""`resourceInput<'type@version'>.properties.x`: what kind of value a part of a resource is.

The real compiler knows from Azure's library of types, which no package holds. What all resource
types share is known here; what a parameter's values and uses say is read by use_kinds.py. Else no
kind is written, and the service checks the value itself, which it does in either case.
"""

from __future__ import annotations

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
