"""A template as a document: its members, checked for what is there at all."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.templates.errors import not_valid
from orchestrator.localcloud.templates.types import Types
from orchestrator.localcloud.templates.values import member

JSON = dict[str, Any]

_MEMBERS = (
    *("$schema", "contentVersion", "apiProfile", "languageVersion", "metadata", "definitions"),
    *("parameters", "variables", "functions", "resources", "outputs", "extensions", "imports"),
    *("asserts", "$comments", "comments", "policies", "rules"),
)
_KNOWN = {name.lower() for name in _MEMBERS}
_LIMITS = {"parameters": 256, "variables": 512, "outputs": 64}
"""How many of each a template may have ("Template limits" of Resource Manager)."""

_VERSIONS = re.compile(r"1\.0|(1\.9|1\.10|2\.\d+)(-experimental)?")
"""Language versions; from 1.9 on, resources may have symbolic names."""


class Document:
    """One template.

    Attributes:
        raw: As it was sent.
        parameters, variables, outputs, definitions: Its members, `{}` where missing.
        resources: `(symbolic name or None, resource)`, in their order.
        symbolic: Whether resources have symbolic names (language version 2.0).
    """

    def __init__(self, raw: Any) -> None:
        """Raises ArmError for what is no template."""
        if not isinstance(raw, dict):
            raise _content("The template must be a JSON object")
        for name in raw:
            if name.lower() not in _KNOWN:
                raise _content(f"Could not find member '{name}' on object of type 'Template'")
        for name in ("$schema", "contentVersion", "resources"):
            if member(raw, name) is None:
                raise _content(f"Required property '{name}' not found in JSON")
        self.raw: JSON = raw
        self.schema = str(member(raw, "$schema"))
        self.parameters = self._object("parameters")
        self.variables = self._object("variables")
        self.outputs = self._object("outputs")
        self.definitions = self._object("definitions")
        self.functions = self._functions()
        self.types = Types(raw)
        resources = member(raw, "resources")
        self.symbolic = isinstance(resources, dict)
        version = member(raw, "languageVersion", "1.0")
        if not isinstance(version, str) or not _VERSIONS.fullmatch(version):
            raise not_valid(f"The template language version '{version}' is not supported")
        self.language_two = version != "1.0"
        if self.symbolic and not self.language_two:
            raise _content(
                "The resources of a template whose 'languageVersion' is not '2.0' must be an array"
            )
        for name, most in _LIMITS.items():
            found = [key for key in self._object(name) if key.lower() != "copy"]
            if len(found) > most:
                raise not_valid(
                    f"The number of template {name} limit exceeded. Limit: '{most}' and actual: "
                    f"'{len(found)}'. Please see https://aka.ms/arm-template for usage details"
                )
        self.resources: list[tuple[str | None, JSON]] = []
        if not isinstance(resources, (dict, list)):
            raise _content("The member 'resources' must be an array or an object")
        pairs = resources.items() if isinstance(resources, dict) else enumerate(resources)
        for name, resource in pairs:
            if not isinstance(resource, dict):
                raise _content(f"The resource '{name}' of the template must be an object")
            self.resources.append((str(name) if self.symbolic else None, resource))

    def _object(self, name: str) -> JSON:
        found = member(self.raw, name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise _content(f"The member '{name}' of the template must be an object")
        return found

    def _functions(self) -> list[JSON]:
        found = member(self.raw, "functions")
        if found is None:
            return []
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise _content("The member 'functions' of the template must be an array of objects")
        return found

    def definition(self, kind: str, name: str) -> JSON:
        """A parameter's or an output's definition. Raises TemplateError for what is none."""
        found = member(self.parameters if kind == "parameter" else self.outputs, name)
        if not isinstance(found, dict):
            raise not_valid(f"The definition of the template {kind} '{name}' must be an object")
        return found


def _content(reason: str) -> ArmError:
    return ArmError(
        "InvalidRequestContent",
        "The request content was invalid and could not be deserialized: "
        f"'{reason}. Path 'properties.template'.'.",
    )
