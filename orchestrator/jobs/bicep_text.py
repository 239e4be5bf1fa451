"""Writing Bicep and ARM templates from one tree: plain values, with parameters in their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a template; in a tree it stands for its value.

    Attributes:
        name: A Bicep identifier.
        description: What it is, a sentence.
        default: Its default; None: it has to be given.
        secure: Whether its value is kept out of the deployment's history.
    """

    name: str
    description: str
    default: str | None = None
    secure: bool = False


def identifier(words: str) -> str:
    """A Bicep identifier in camel case: "service-bus key" -> serviceBusKey."""
    first, *rest = re.findall(r"[A-Za-z0-9]+", words) or ["x"]
    name = first[:1].lower() + first[1:] + "".join(word[:1].upper() + word[1:] for word in rest)
    return name if name[0].isalpha() else f"p{name}"


# ------------------------------------------------------------------------------- Bicep


def bicep_parameter(parameter: Parameter) -> str:
    """Its declaration, decorators first."""
    lines = [f"@description({literal(parameter.description)})"]
    if parameter.secure:
        lines.append("@secure()")
    default = "" if parameter.default is None else f" = {literal(parameter.default)}"
    return "\n".join([*lines, f"param {parameter.name} string{default}"])


def literal(text: str) -> str:
    """A string of Bicep."""
    escaped = (
        text.replace("\\", "\\\\")
        .replace("'", "\\'")
        .replace("${", "\\${")
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\t", "\\t")
    )
    return f"'{escaped}'"


def bicep(value: Any, indent: int = 0) -> str:
    """A value of a tree as Bicep, at this depth of indentation."""
    inner, outer = "  " * (indent + 1), "  " * indent
    if isinstance(value, Parameter):
        return value.name
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        lines = [f"{inner}{_key(k)}: {bicep(v, indent + 1)}" for k, v in value.items()]
        return "\n".join(["{", *lines, f"{outer}}}"])
    if isinstance(value, list | tuple):
        if not value:
            return "[]"
        return "\n".join(["[", *(f"{inner}{bicep(v, indent + 1)}" for v in value), f"{outer}]"])
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):  # Bicep has no fractions; JSON in it has
        return str(int(value)) if value.is_integer() else f"json('{value!r}')"
    return literal(str(value))


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else literal(name)


# ------------------------------------------------------------------------------- ARM templates


def arm_parameter(parameter: Parameter) -> dict[str, Any]:
    """Its declaration."""
    declared: dict[str, Any] = {"type": "securestring" if parameter.secure else "string"}
    if parameter.default is not None:
        declared["defaultValue"] = _plain(parameter.default)
    return {**declared, "metadata": {"description": parameter.description}}


def arm(value: Any) -> Any:
    """A value of a tree as an ARM template has it: parameters as expressions."""
    if isinstance(value, Parameter):
        return f"[parameters('{value.name}')]"
    if isinstance(value, Mapping):
        return {key: arm(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [arm(item) for item in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    # Text that begins with [ would be an expression; [[ is a bracket itself.
    return f"[{value}" if isinstance(value, str) and value.startswith("[") else value
