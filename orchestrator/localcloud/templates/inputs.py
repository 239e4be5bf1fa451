"""Parameters, variables and user-defined functions of a template, bound to one deployment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.localcloud.templates.document import Document
from orchestrator.localcloud.templates.environment import Environment
from orchestrator.localcloud.templates.errors import (
    ExpressionError,
    NotYetKnown,
    TemplateError,
    not_valid,
)
from orchestrator.localcloud.templates.evaluation import (
    Answers,
    Evaluation,
    Target,
    UserFunction,
    checked_count,
)
from orchestrator.localcloud.templates.types import SPELLING
from orchestrator.localcloud.templates.values import key_of, member

JSON = dict[str, Any]


class Inputs:
    """The values that a template's expressions start from.

    Args:
        document: The template.
        given: Values of parameters by name.
        environment: Where and when.

    Attributes:
        references: Of the parameters whose values are secrets of key vaults, by name.

    Raises:
        TemplateError: A parameter is missing, unknown or not valid.
    """

    def __init__(self, document: Document, given: JSON, environment: Environment) -> None:
        self._document = document
        self._values: dict[str, Any] = {}
        self._variables: dict[str, Any] = {}
        self._busy: list[str] = []
        self.given = given
        self.references: JSON = {}
        self.functions = _functions(document)
        self.answers = Answers()
        self.base = Evaluation(
            environment,
            parameter=self.parameter,
            variable=self.variable,
            functions=self.functions,
            answers=self.answers,
        )
        self._known(given)
        self._loops = self._variable_loops()
        for name in document.parameters:
            try:
                self.parameter(name)
            except ExpressionError as error:
                raise not_valid(
                    f"The template parameter '{name}' is not valid: {error.message}"
                ) from None

    def _known(self, given: JSON) -> None:
        own = self._document.parameters
        extra = [name for name in given if key_of(own, name) is None]
        if extra:
            raise not_valid(
                f"The template parameters '{', '.join(extra)}' in the parameters file are not "
                "valid; they are not present in the original template and can therefore not be "
                "provided at deployment time. The only supported parameters for this template are "
                f"'{', '.join(own)}'. Please see https://aka.ms/arm-pass-parameter-values for "
                "usage details."
            )

    # -------------------------------------------------------------- parameters ----

    def parameter(self, name: str) -> Any:
        """A parameter's value. Raises ExpressionError or TemplateError."""
        key = key_of(self._document.parameters, name)
        if key is None:
            raise ExpressionError(
                f"The template parameter '{name}' is not found. Please see "
                "https://aka.ms/arm-syntax-parameters for usage details."
            )
        if key not in self._values:
            self._values[key] = self._parameter(key)
        return self._values[key]

    def _parameter(self, name: str) -> Any:
        definition = self._document.definition("parameter", name)
        types = self._document.types
        what = f"template parameter '{name}'"
        named = member(definition, "type") or member(definition, "$ref")
        if named is None and not self._document.language_two:
            raise not_valid(f"The {what} has no type")
        value = member(self.given, name)
        default = key_of(definition, "defaultValue")
        if value is None and default is not None:
            # A file that Bicep loads there is a variable, which the service takes.
            with_default = replace(self.base, in_default=True)
            value = self._guarded(
                f"parameter {name}", lambda: with_default.resolve(definition[default])
            )
        if value is None:
            if types.nullable(definition) or default is not None:
                return None
            raise not_valid(
                f"The value for the {what} is not provided. Please see "
                "https://aka.ms/arm-create-parameter-file for usage details."
            )
        types.check(definition, value, what)
        return value

    def values(self) -> JSON:
        """The values of all parameters, secrets included: what makes the same deployment again."""
        found = {name: self.parameter(name) for name in self._document.parameters}
        return {name: value for name, value in found.items() if value is not None}

    def shown(self) -> JSON:
        """Types and values of all parameters, as a deployment shows them; secrets left out."""
        found: JSON = {}
        types = self._document.types
        for name in self._document.parameters:
            definition = self._document.definition("parameter", name)
            kind = types.name(definition)
            found[name] = {"type": SPELLING.get(kind, "Object")}
            reference = member(self.references, name)
            if reference is not None:
                found[name]["reference"] = reference
            elif not types.is_secure(definition):
                found[name]["value"] = self.parameter(name)
        return found

    def secrets(self) -> set[str]:
        """Texts among the values of secure parameters, and of those from key vaults."""
        types = self._document.types
        found: set[str] = set()
        for name in self._document.parameters:
            secure = types.is_secure(self._document.definition("parameter", name))
            if secure or member(self.references, name) is not None:
                found.update(_texts(self.parameter(name)))
        return found

    # --------------------------------------------------------------- variables ----

    def _variable_loops(self) -> dict[str, JSON]:
        loops: dict[str, JSON] = {}
        declared = member(self._document.variables, "copy")
        if isinstance(declared, list):
            for loop in declared:
                if not isinstance(loop, dict) or not isinstance(member(loop, "name"), str):
                    raise not_valid("A loop of variables needs 'name', 'count' and 'input'")
                loops[str(member(loop, "name"))] = loop
        return loops

    def check_named(self, kind: str, name: str) -> None:
        """Raises ExpressionError where there is no such parameter or variable.

        Args:
            kind: The function that asks for it, `parameters` or `variables`.
            name: Any case.
        """
        if kind == "parameters" and key_of(self._document.parameters, name) is None:
            self.parameter(name)
        known = key_of(self._document.variables, name) or key_of(self._loops, name)
        if kind == "variables" and known is None:
            self.variable(name)

    def variable(self, name: str) -> Any:
        """A variable's value. Raises ExpressionError."""
        loop = key_of(self._loops, name)
        key = loop or key_of(self._document.variables, name)
        if key is None or (loop is None and key.lower() == "copy" and self._loops):
            raise ExpressionError(
                f"The template variable '{name}' is not found. Please see "
                "https://aka.ms/arm-syntax-variables for usage details."
            )
        if key not in self._variables:
            self._variables[key] = self._guarded(
                f"variable {key}", lambda: self._variable(key, loop is not None)
            )
        return self._variables[key]

    def _variable(self, name: str, looped: bool) -> Any:
        if not looped:
            return self.base.resolve(self._document.variables[name])
        loop = self._loops[name]
        count = checked_count(self.base.resolve(member(loop, "count")), name)
        return [
            self.base.within_copy({name: at, "": at}).resolve(member(loop, "input"))
            for at in range(count)
        ]

    def _guarded(self, what: str, work: Callable[[], Any]) -> Any:
        if what in self._busy:
            circle = " -> ".join([*self._busy[self._busy.index(what) :], what])
            raise ExpressionError(f"There is a circular dependency among '{circle}'.")
        self._busy.append(what)
        try:
            return work()
        except NotYetKnown:
            raise ExpressionError(
                "The template function 'reference' is not expected at this location. Please see "
                "https://aka.ms/arm-functions for usage details."
            ) from None
        finally:
            self._busy.pop()

    def evaluation(self, find: Callable[[str], Sequence[Target]]) -> Evaluation:
        """For resources and outputs: with the template's resources in sight."""
        return replace(self.base, find=find)


def _texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value} if value else set()
    if isinstance(value, dict):
        return {text for item in value.values() for text in _texts(item)}
    if isinstance(value, list):
        return {text for item in value for text in _texts(item)}
    return set()


def _functions(document: Document) -> dict[str, UserFunction]:
    found: dict[str, UserFunction] = {}
    for space in document.functions:
        namespace = str(member(space, "namespace", ""))
        members = member(space, "members") or {}
        if not isinstance(members, dict):
            raise not_valid(f"The members of the namespace '{namespace}' must be an object")
        for name, definition in members.items():
            full = f"{namespace}.{name}"
            parameters = member(definition, "parameters") or []
            output = member(definition, "output")
            if not isinstance(parameters, list):
                raise not_valid(f"The parameters of the function '{full}' must be an array")
            if not isinstance(output, dict) or key_of(output, "value") is None:
                raise not_valid(f"The user-defined function '{full}' has no output value")

            def check(
                values: Sequence[Any], full: str = full, wanted: list[JSON] = parameters
            ) -> None:
                for item, value in zip(wanted, values, strict=False):
                    try:
                        document.types.check(
                            item, value, f"parameter '{member(item, 'name')}' of '{full}'"
                        )
                    except TemplateError as error:
                        raise ExpressionError(error.message) from None

            found[full.lower()] = UserFunction(
                full,
                tuple(str(member(item, "name")) for item in parameters),
                member(output, "value"),
                check,
            )
    return found
