"""Compiled templates that are modules: whether a JSON file has the form of one.

Source: Azure's documentation of the structure of ARM templates.
"""

from __future__ import annotations

from typing import Any

Json = Any

_SCHEMA = "deploymenttemplate.json"
_NAMED = ("definitions", "parameters", "outputs")  # descriptions by name


def template_fault(document: Json) -> str:
    """Why a JSON value is no template, as a part of a sentence; "" when it is one."""
    if not isinstance(document, dict) or "$schema" not in document:
        return "it has no $schema"
    schema = document["$schema"]
    if not isinstance(schema, str) or _SCHEMA not in schema.lower():
        return f"its $schema is {schema!r}"
    if not isinstance(document.get("resources"), (dict, list)):
        return "it has no resources"
    for part in _NAMED:
        found = document.get(part, {})
        if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
            return f"its {part} are not descriptions by name"
    if not isinstance(document.get("variables", {}), dict):
        return "its variables are not values by name"
    metadata = document.get("metadata", {})
    if not isinstance(metadata, dict):
        return "its metadata is no object"
    functions = document.get("functions", [])
    if not isinstance(functions, list) or not all(map(_is_namespace, functions)):
        return "its functions are not namespaces with members"
    return ""


def _is_namespace(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("namespace"), str)
        and isinstance(value.get("members"), dict)
        and all(isinstance(member, dict) for member in value["members"].values())
    )
