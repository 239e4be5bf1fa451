"""Compiled templates that are modules: whether a JSON file has the form of one.

Source: Azure's documentation of the structure of ARM templates, and of definitions in them.
"""

from __future__ import annotations

from typing import Any

Json = Any

_SCHEMA = "deploymenttemplate.json"
_DESCRIBED = ("definitions", "parameters", "outputs")  # descriptions by name
_EXPORTED = "__bicep_exported_variables!"


def template_fault(document: Json) -> str:
    """Why a JSON value is no template, as a part of a sentence; "" when it is one."""
    if not isinstance(document, dict) or "$schema" not in document:
        return "it has no $schema"
    schema = document["$schema"]
    if not isinstance(schema, str) or _SCHEMA not in schema.lower():
        return f"its $schema is {schema!r}"
    if not isinstance(document.get("resources"), (dict, list)):
        return "it has no resources"
    for part in _DESCRIBED:
        found = document.get(part, {})
        if not isinstance(found, dict):
            return f"its {part} are not descriptions by name"
        for name, one in found.items():
            if not _is_description(one):
                return f"its {part} do not describe {name!r}"
    variables = document.get("variables", {})
    if not isinstance(variables, dict):
        return "its variables are not values by name"
    loops = variables.get("copy")
    if isinstance(loops, list) and not _are_named(loops):
        return "its variables have a loop without a name"
    metadata = document.get("metadata", {})
    if not isinstance(metadata, dict) or not _are_named(metadata.get(_EXPORTED, [])):
        return "its metadata is none"
    functions = document.get("functions", [])
    if not isinstance(functions, list) or not all(map(_is_namespace, functions)):
        return "its functions are not namespaces with members"
    return _lost_reference(document) or _lost_variable(document)


def _lost_reference(document: Json) -> str:
    """A `$ref` that leads nowhere."""
    todo = [document.get(part) for part in (*_DESCRIBED, "functions")]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            pointer = one.get("$ref")
            if isinstance(pointer, str) and not _leads_somewhere(document, pointer):
                return f"it has no {pointer}"
            todo += one.values()
    return ""


def _leads_somewhere(document: Json, pointer: str) -> bool:
    found = document
    for part in pointer.removeprefix("#/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return False
    return isinstance(found, dict)


def _lost_variable(document: Json) -> str:
    """A variable that is said to be exported, and is not there."""
    variables = document.get("variables", {})
    loops = variables.get("copy")
    known = set(variables)
    if isinstance(loops, list):
        known |= {loop["name"] for loop in loops}
    for one in document.get("metadata", {}).get(_EXPORTED, []):
        if one["name"] not in known:
            return f"it exports the variable {one['name']!r}, which it has not"
    return ""


def _is_description(value: Json) -> bool:
    """Whether this describes a value: its kind and its parts."""
    if not isinstance(value, dict):
        return False
    texts = (value.get("$ref", "#/"), value.get("type", ""))
    if not all(isinstance(text, str) for text in texts) or not texts[0].startswith("#/"):
        return False
    if not isinstance(value.get("metadata", {}), dict):
        return False
    allowed = value.get("allowedValues", [])
    if not isinstance(allowed, list) or (
        texts[1].lower() in ("string", "securestring", "int", "bool")
        and any(isinstance(one, (dict, list)) for one in allowed)
    ):
        return False
    tagged = value.get("discriminator", {"mapping": {}})
    mapping = tagged.get("mapping") if isinstance(tagged, dict) else None
    several = (value.get("properties", {}), mapping)
    if not all(isinstance(one, dict) for one in several):
        return False
    items = value.get("prefixItems", [])
    if not isinstance(items, list):
        return False
    one = [value.get(name, True) for name in ("items", "additionalProperties")]
    parts = [part for part in one if not isinstance(part, bool)]
    parts += [part for found in several if found is not None for part in found.values()]
    return all(map(_is_description, [*parts, *items]))


def _are_named(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and isinstance(one.get("name"), str) for one in value
    )


def _is_namespace(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("namespace"), str)
        and isinstance(value.get("members"), dict)
        and all(map(_is_function, value["members"].values()))
    )


def _is_function(value: Json) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("metadata", {}), dict)
        and isinstance(value.get("output"), dict)
        and _are_named(value.get("parameters", []))
    )
