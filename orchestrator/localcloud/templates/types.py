"""Types of parameters, outputs and user-defined functions, with their constraints.

The simple types and `definitions` (`$ref`), nullable, unions (`allowedValues`), tuples
(`prefixItems`), `additionalProperties`, `discriminator` ("Type definitions in ARM templates").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.localcloud.templates.errors import TemplateError, not_valid, quoted
from orchestrator.localcloud.templates.values import compact, key_of, member, same

JSON = dict[str, Any]

SPELLING = {
    "string": "String",
    "securestring": "SecureString",
    "int": "Int",
    "bool": "Bool",
    "object": "Object",
    "secureobject": "SecureObject",
    "array": "Array",
}
_PLAIN = {"securestring": "string", "secureobject": "object"}
_ACTUAL = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}
_WANTED = {
    "string": "String",
    "int": "Integer",
    "bool": "Boolean",
    "object": "Object",
    "array": "Array",
}


class Types:
    """The types of one template: follows `$ref` into its definitions."""

    def __init__(self, document: JSON) -> None:
        self._document = document

    def follow(self, schema: JSON) -> JSON:
        """A schema with its references followed; what stands beside a `$ref` adds to it.

        Raises:
            TemplateError: A reference leads nowhere, or in a circle.
        """
        seen: list[str] = []
        while (reference := member(schema, "$ref")) is not None:
            if not isinstance(reference, str) or reference in seen or len(seen) > 50:
                raise not_valid(f"The type reference '{reference}' is circular or no text")
            seen.append(reference)
            own = {key: item for key, item in schema.items() if key.lower() != "$ref"}
            schema = {**self._at(reference), **own}
        return schema

    def _at(self, reference: str) -> JSON:
        found: Any = self._document
        if not reference.startswith("#/"):
            raise not_valid(f"The type reference '{reference}' must start with '#/'")
        for escaped in reference[2:].split("/"):
            part = escaped.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and part.isdigit() and int(part) < len(found):
                found = found[int(part)]
            else:
                found = member(found, part) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise not_valid(f"The type reference '{reference}' could not be resolved")
        return found

    def name(self, schema: JSON) -> str:
        """`string`, `secureobject`, …; "" where any value is allowed."""
        return str(member(self.follow(schema), "type", "")).lower()

    def is_secure(self, schema: JSON) -> bool:
        """Whether values of this type are kept secret."""
        return self.name(schema) in _PLAIN

    def nullable(self, schema: JSON) -> bool:
        """Whether null is a value of it."""
        return member(self.follow(schema), "nullable") is True

    def check(self, schema: JSON, value: Any, what: str) -> None:
        """See to it that a value is of a type.

        Args:
            schema: The type.
            value: The value.
            what: What it is the value of: `template parameter 'size'`.

        Raises:
            TemplateError: It is not, with the place inside.
        """
        schema = self.follow(schema)
        if value is None and member(schema, "nullable") is True:
            return
        kind = str(member(schema, "type", "")).lower()
        plain = _PLAIN.get(kind, kind)
        if plain:
            actual = _ACTUAL.get(plain)
            if actual is None:
                raise not_valid(f"The type '{member(schema, 'type')}' of the {what} is not valid")
            wrong = not isinstance(value, actual) or (actual is int and isinstance(value, bool))
            if wrong and not (plain == "int" and isinstance(value, float) and value.is_integer()):
                raise TemplateError(
                    f"Deployment template validation failed: 'The provided value for the {what} is "
                    f"not valid. Expected a value of type '{_WANTED[plain]}', but received a value "
                    f"of type '{quoted(value)}'. Please see "
                    "https://aka.ms/arm-create-parameter-file for usage details.'."
                )
        self._constraints(schema, value, what)
        if isinstance(value, dict):
            self._members(schema, value, what)
        elif isinstance(value, list):
            self._items(schema, value, what)

    def _constraints(self, schema: JSON, value: Any, what: str) -> None:
        allowed = member(schema, "allowedValues")
        if isinstance(allowed, list) and not _allowed(allowed, value):
            texts = ",".join(v if isinstance(v, str) else compact(v) for v in allowed)
            shown = value if isinstance(value, str) else compact(value)
            raise not_valid(
                f"The provided value for the {what} is not valid. The value '{shown}' is not part "
                f"of the allowed value(s): '{texts}'"
            )
        if isinstance(value, (str, list)):
            for name, less in (("minLength", True), ("maxLength", False)):
                limit = member(schema, name)
                if isinstance(limit, int) and (len(value) < limit if less else len(value) > limit):
                    raise not_valid(
                        f"The provided value for the {what} is not valid. Length of the value "
                        f"should be {'greater' if less else 'less'} than or equal to '{limit}'"
                    )
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for name, less in (("minValue", True), ("maxValue", False)):
                limit = member(schema, name)
                if isinstance(limit, int) and (value < limit if less else value > limit):
                    raise not_valid(
                        f"The provided value for the {what} is not valid. The value '{value}' "
                        f"should be {'greater' if less else 'less'} than or equal to '{limit}'"
                    )

    def _members(self, schema: JSON, value: JSON, what: str) -> None:
        discriminator = member(schema, "discriminator")
        if isinstance(discriminator, dict):
            schema = self._chosen(schema, discriminator, value, what)
        known = member(schema, "properties", {})
        if not isinstance(known, dict):
            return
        for name, inner in known.items():
            key = key_of(value, name)
            if key is not None and value[key] is not None:
                self.check(inner, value[key], _inside(what, name))
            elif not self.nullable(inner):
                raise not_valid(
                    f"The provided value for the {what} is not valid. The property '{name}' is "
                    "required"
                )
        rest = member(schema, "additionalProperties", True)
        for name, item in value.items():
            if key_of(known, name) is not None:
                continue
            if rest is False:
                raise not_valid(
                    f"The provided value for the {what} is not valid. The property '{name}' is not "
                    f"permitted; the permitted ones are '{', '.join(known)}'"
                )
            if isinstance(rest, dict):
                self.check(rest, item, _inside(what, name))

    def _chosen(self, schema: JSON, rule: JSON, value: JSON, what: str) -> JSON:
        name = str(member(rule, "propertyName"))
        mapping: Mapping[str, Any] = member(rule, "mapping", {})
        given = member(value, name)
        choice = next((v for k, v in mapping.items() if same(k, given)), None)
        if choice is None:
            raise not_valid(
                f"The provided value for the {what} is not valid. The property '{name}' must be "
                f"one of '{', '.join(mapping)}'"
            )
        chosen = self.follow(choice)
        return {
            **{key: item for key, item in schema.items() if key.lower() != "discriminator"},
            **chosen,
            "properties": {**member(schema, "properties", {}), **member(chosen, "properties", {})},
        }

    def _items(self, schema: JSON, value: list[Any], what: str) -> None:
        first = member(schema, "prefixItems") or []
        if not isinstance(first, list) or not all(isinstance(item, dict) for item in first):
            raise not_valid(f"The 'prefixItems' of the {what} must be an array of types")
        rest = member(schema, "items")
        for at, item in enumerate(value):
            if at < len(first):
                self.check(first[at], item, f"{what}[{at}]")
            elif rest is False:
                raise not_valid(
                    f"The provided value for the {what} is not valid. It has at most {len(first)} "
                    "items"
                )
            elif isinstance(rest, dict):
                self.check(rest, item, f"{what}[{at}]")
        if len(value) < len(first) and not all(map(self.nullable, first[len(value) :])):
            raise not_valid(
                f"The provided value for the {what} is not valid. It has at least {len(first)} "
                "items"
            )


def _inside(what: str, name: str) -> str:
    return f"{what[:-1]}.{name}'" if what.endswith("'") else f"{what}.{name}"


def _allowed(allowed: list[Any], value: Any) -> bool:
    if any(same(one, value) for one in allowed):
        return True
    # An array may hold any of the allowed values.
    return isinstance(value, list) and all(any(same(o, item) for o in allowed) for item in value)
